# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A listing of what a host has: files with their content, owner and mode, units with their state, accounts, listening ports.
find /etc /srv /run/pyweb /var/lib/pyweb /var/cache/pyweb /usr/lib/systemd/system 2>/dev/null |
    grep -Ev '^/etc/(ld\.so\.cache|passwd-|group-|shadow-?|gshadow-?|subuid-?|subgid-?|\.pwd\.lock|mtab)$' | LC_ALL=C sort |
    while read -r path; do
        if [ -L "$path" ]; then
            echo "$path -> $(readlink "$path")"
        else
            echo "$path $(stat -c '%a %U %G' "$path") $([ -f "$path" ] && md5sum <"$path")"
        fi
    done
systemctl list-unit-files --no-legend --no-pager
systemctl list-units --all --plain --no-legend --no-pager --type=service,socket | awk '/pyweb|nginx|apache|lighttpd/ { print $1, $2, $3, $4 }'
getent passwd
getent group
cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" { print $2 }'
dpkg-query -W -f '${Package} ${Status}\n'
