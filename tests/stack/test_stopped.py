# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a front answers while all backs are stopped; molecule/shared/verify.yml stops them. Nothing
else is asked then.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from conftest import all_sites
from deviations import find, load
from traits import TRAITS


def test_a_front_without_its_back_says_so_at_once(any_site):
    answer = any_site.ask()
    # What is embedded in the front has no unit of its own.
    assert answer.status_code in (
        (200,) if any_site.link == "embedded" else TRAITS[any_site.front].without_back
    )
    assert answer.elapsed.total_seconds() < 5


def test_slow_clients_keep_no_other_from_an_answer(host):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        for _number in range(1300):
            client = stack.enter_context(socket.create_connection((host.address, 80), 10))
            client.sendall(b"GET / HTTP/1.1\r\nHost: slow.test\r\nX-Slow: ")
        seconds = host.ask().elapsed.total_seconds()
    assert seconds < 30
    seen = "at once" if seconds < 4 else "late"
    check = "hosts: under 1,300 slow heads"
    row = find(load(), check, host)
    assert seen in (row["seen"][check] if row else ["at once"]), f"{seconds:.1f} s"


KILL = """
for count in $(seq 10); do
    old=$(systemctl show --property=MainPID --value "$0")
    kill -KILL "$old"
    for try in $(seq 600); do
        new=$(systemctl show --property=MainPID --value "$0")
        [ "$new" = 0 ] || [ "$new" = "$old" ] || continue 2
        sleep 0.05
    done
    echo "not back after $count"
    break
done
systemctl is-active "$0"
"""


def test_a_front_comes_back_however_often_it_dies():
    def kill(host):
        container, front = host
        argv = ["docker", "exec", container, "bash", "-c", KILL, FRONTS[front].unit]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout

    hosts = {(site.container, site.front) for site in all_sites()}
    with ThreadPoolExecutor(len(hosts)) as pool:
        assert dict(zip(hosts, pool.map(kill, hosts))) == dict.fromkeys(hosts, "active\n")
