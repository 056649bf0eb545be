# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._handover import accepted, listens

HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
    "timeout inode\n"
)


def row(port: int, state: str, waiting: int = 0) -> str:
    return (
        f"   0: 00000000:{port:04X} 00000000:0000 {state} 00000000:{waiting:08X} 00:00000000 "
        "00000000     0        0 1 1 0\n"
    )


@pytest.mark.parametrize(
    ("rows", "done", "up"),
    [
        (row(80, "0A"), True, True),
        (row(80, "0A", 2), False, True),
        (row(80, "0A") + row(80, "03"), False, True),
        (row(80, "01", 5), True, False),  # data of a connection that was accepted
        (row(443, "0A", 2), True, False),
        ("", True, False),
    ],
)
def test_the_queue_of_a_listener_is_read_from_the_kernels_table(rows, done, up):
    assert accepted([HEAD + rows], [80]) is done
    assert listens([HEAD + rows], [80]) is up


def test_a_real_listener_is_seen():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        open("/proc/net/tcp", encoding="ascii") as table,
    ):
        text = table.read()
        assert listens([text], [server.getsockname()[1]])
