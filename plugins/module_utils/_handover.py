# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports that go from one unit to another without a connection refused.

Between the last listener of the old unit and the first of the new one, a table of our own in
nftables drops the packets that open a connection (SYN). A client's kernel sends them again after a
second (RFC 6298, section 2), and is served then. What is open already goes on with the old unit
until it is over. The ports are held as elements of a set with a time-out, so that the kernel lets
them go even where this process is killed.
"""

from __future__ import annotations

import grp
import os
import shutil
import time
from collections.abc import Callable

from ansible_collections.pyweb.stack.plugins.module_utils._host import run
from ansible_collections.pyweb.stack.plugins.module_utils._layout import FRONT_GROUP
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import LISTENING, tables
from ansible_collections.pyweb.stack.plugins.module_utils._units import processes

TABLE = "pyweb_handover"
# Packets with this mark pass: our own probe of the new unit (SO_MARK, socket(7)).
MARK = 0x70797765
SECONDS = 20  # that the ports are held at most, besides the time that a probe may take
SYN_RECEIVED = "03"  # TCP_SYN_RECV in /proc/net/tcp (proc(5))

# Before connection tracking (-300), so that nothing of a dropped packet stays behind.
RULES = """
table inet {table} {{
    set held {{ type inet_service; flags timeout; elements = {{ {elements} }}; }}
    chain input {{
        type filter hook input priority -310;
        tcp dport @held tcp flags & (fin|syn|rst|ack) == syn meta mark != {mark:#x} drop
    }}
}}
"""


class Held:
    """While it lasts, connections to these ports wait. `fault` says why they cannot, if so."""

    def __init__(self, ports: list[int], seconds: float) -> None:
        elements = ", ".join(
            f"{port} timeout {round(SECONDS + seconds)}s" for port in sorted(set(ports))
        )
        self._rules = RULES.format(table=TABLE, elements=elements, mark=MARK)
        self.fault: str | None = None

    def __enter__(self) -> Held:
        if shutil.which("nft") is None:
            self.fault = "the package nftables is not installed"
            return self
        drop_rules()
        status, words = run(["nft", "-f", "-"], self._rules)
        if status != 0:
            self.fault = f"nft: {words.splitlines()[0]}"
        return self

    def __exit__(self, *exc: object) -> None:
        if self.fault is None:
            drop_rules()


def drop_rules() -> None:
    """Let all ports go, also those of a run that was killed."""
    run(["nft", "delete", "table", "inet", TABLE])


def accepted(texts: list[str], ports: list[int]) -> bool:
    """Whether no connection to these ports waits to be accepted, by the texts of /proc/net/tcp and
    /proc/net/tcp6.
    """
    for text in texts:
        for line in text.splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) in ports:
                waiting = int(fields[4].rpartition(":")[2], 16)
                if fields[3] == SYN_RECEIVED or (fields[3] == LISTENING and waiting):
                    return False
    return True


def listens(texts: list[str], ports: list[int]) -> bool:
    """Whether anything listens on any of these ports."""
    lines = [line.split() for text in texts for line in text.splitlines()[1:]]
    return any(
        fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) in ports
        for fields in lines
    )


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.01) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def wait_until_accepted(ports: list[int]) -> None:
    """Wait for the server to take the connections that the kernel has taken: with the listener they
    would be reset.
    """
    for pause in (0.05, 0.05):  # the second time for a handshake that was under way
        wait_until(lambda: accepted(tables(), ports), seconds=2)
        time.sleep(pause)


def let_go(unit: str, ports: list[int]) -> str | None:
    """Make a unit stop listening; it goes on with the connections that it has. Returns what went
    wrong, or None.
    """
    run(["systemctl", "stop", "--no-block", unit])
    if wait_until(lambda: not listens(tables(), ports), seconds=15):
        return None
    return f"{unit} was told to stop and still listens after 15 s"


def drained(unit: str) -> bool:
    """Whether no process of a front still ends requests of its former configuration.

    Such a process does not listen any more: a worker of nginx or Apache after a graceful reload, or
    the copy that lighttpd leaves behind. Sites' own processes inside Apache never did, and run as
    other accounts.
    """
    listening = {
        inode
        for text in tables()
        for line in text.splitlines()[1:]
        if (fields := line.split())[3] == LISTENING
        for inode in [fields[9]]
    }
    group = grp.getgrnam(FRONT_GROUP).gr_gid
    return all(
        _listens(process, listening) for process in processes(unit) if _group_of(process) == group
    )


def _group_of(process: int) -> int | None:
    try:
        return os.stat(f"/proc/{process}").st_gid
    except FileNotFoundError:
        return None


def _listens(process: int, inodes: set[str]) -> bool:
    handles = f"/proc/{process}/fd"
    try:
        return any(
            os.readlink(f"{handles}/{handle}") in {f"socket:[{inode}]" for inode in inodes}
            for handle in os.listdir(handles)
        )
    except (FileNotFoundError, PermissionError):
        return True  # it has ended meanwhile, or cannot be looked into without CAP_SYS_PTRACE
