# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change needs to begin: root, a known release of Debian, ports that no other program has,
and accounts of no other purpose under the sites' names.
"""

from __future__ import annotations

import glob
import os
import pwd
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import RELEASES
from ansible_collections.pyweb.stack.plugins.module_utils._host import execute

LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp (proc(5))


def not_root() -> str | None:
    """What a run says that is not root's; without it the first file that it may not open would be
    named.
    """
    if os.geteuid() == 0:
        return None
    return (
        f"Nothing was changed: this needs root, and the account on the host is {_account()}; "
        "connect as root, or add --become"
    )


def unsupported(path: str = "/etc/os-release") -> str | None:
    """What a run says on a system that the roles do not know (os-release(5)); it would fail half
    way there, or serve less than it says.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    known = {
        key: value.strip("\"'") for key, _sign, value in (line.partition("=") for line in lines)
    }
    if known.get("ID") == "debian" and known.get("VERSION_ID", "") in map(str, RELEASES):
        return None
    name = known.get("PRETTY_NAME", "an unknown system")
    possible = " and ".join(map(str, RELEASES))
    return (
        f"Nothing was changed: this host runs {name}, and the collection knows Debian "
        f"{possible}; take a host with one of these"
    )


def unready() -> str | None:
    """Why nothing can be done on this host, if so."""
    return not_root() or unsupported()


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def listeners(tables: list[str], port: int) -> set[str]:
    """Inode numbers of the sockets that listen on a port, by the texts of /proc/net/tcp and
    /proc/net/tcp6.
    """
    found = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def holders(inodes: set[str]) -> dict[int, str]:
    """Processes that hold one of these sockets: process id to name."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found = {}
    for handle in glob.iglob("/proc/[0-9]*/fd/*") if wanted else ():
        process = Path(handle).parents[1]
        try:
            if os.readlink(handle) in wanted:
                found[int(process.name)] = (process / "comm").read_text().strip()
        except OSError:
            continue  # closed meanwhile
    return found


def unit_of(process: int) -> str:
    """The systemd unit that a process belongs to, or nothing."""
    try:
        group = Path(f"/proc/{process}/cgroup").read_text()
    except OSError:
        return ""
    return next(
        (
            part
            for line in group.splitlines()
            for part in reversed(line.split("/"))
            if part.endswith(".service")
        ),
        "",
    )


def tables() -> list[str]:
    """The kernel's tables of TCP sockets."""
    return [
        path.read_text()
        for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if path.exists()
    ]


@dataclass(frozen=True)
class Holder:
    """A process that listens on a port that a unit needs, and the unit that it belongs to, if
    any.
    """

    port: int
    wanted_by: str
    process: int
    name: str
    unit: str

    def __str__(self) -> str:
        if not self.process and not self.unit:
            find = f"ss -ltnp sport = {self.port}"
            return (
                f"port {self.port} is taken by a process that cannot be seen from here, and "
                f"{self.wanted_by} needs it; to find it: {find}"
            )
        stop = f"systemctl disable --now {self.unit}" if self.unit else f"kill {self.process}"
        return (
            f"port {self.port} is taken by {self.name} (process {self.process}), and "
            f"{self.wanted_by} needs it; to free it: {stop}"
        )


def taken_port(port: int, unit: str, active: Collection[str] = ()) -> Holder | None:
    """Who holds a port that a unit needs, if it is another.

    active: units that are known to be up. Where the kernel shows no holder (to see another
    account's handles takes CAP_SYS_PTRACE, which a container may lack), it is one of these.
    """
    inodes = listeners(tables(), port)
    seen = sorted(holders(inodes).items())
    for process, name in seen:
        owner = unit_of(process)
        if owner != unit:
            return Holder(port, unit, process, name, owner)
    if seen or not inodes or unit in active:
        return None
    return Holder(port, unit, 0, "", next(iter(active), ""))


def foreign_account(name: str, home: str) -> str | None:
    """What an account of this name is, if it is there and not a site's."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    if found.pw_dir == home:
        return None
    return (
        f"the account {name} exists on this host for another purpose (home {found.pw_dir}); "
        "give the site another name"
    )


def unreadable(path: str, account: str) -> str | None:
    """Why an account cannot serve a directory, if it cannot."""
    if not os.path.isdir(path):
        return (
            f"{path} is no directory on this host; make it, or name another in the key static "
            "of the site"
        )
    known = pwd.getpwnam(account)
    test = ["/usr/bin/test", "-r", path, "-a", "-x", path]
    who: dict[str, Any] = {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}
    if execute(test, **who).returncode != 0:
        return (
            f"{path} cannot be read by {account}, the account of the front; let it, by the "
            "modes of the directory and of those above it"
        )
    return None


def is_there(kind: str, name: str) -> bool:
    """Whether an account or a directory is on this host."""
    if kind == "directories":
        return os.path.isdir(name)
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
