# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a front listens, by the variables of its role: the ports that are its own, and where to
probe it. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults
from ansible_collections.pyweb.stack.plugins.module_utils._topology import LOOPBACK

LISTEN = re.compile(r"(?:(?P<address>\[[^\]]+\]|[^:\s]*):)?(?P<port>[0-9]{1,5})(?:\s.*)?")
# Where the host itself reaches who listens on every address.
OWN = {"": LOOPBACK, "*": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}


@dataclass(frozen=True)
class Listener:
    """Where a front listens; host is an address at which its own host reaches it."""

    host: str
    port: int


def listeners(
    faults: Faults, variable: str, given: dict[str, Any], usual: int
) -> tuple[Listener, ...]:
    """What a list of addresses of the front's role says; each is a port, perhaps after an address
    and before options.
    """
    found = []
    for text in map(str, given.get(variable) or [usual]):
        known = LISTEN.fullmatch(text)
        if known:
            address = (known["address"] or "").strip("[]")
            found.append(Listener(OWN.get(address, address), int(known["port"])))
    if not found:
        faults.add(
            variable, f"no address of {given[variable]!r} has a port; write one such as {usual}"
        )
    return tuple(found)


def nearest_listener(possible: tuple[Listener, ...]) -> Listener:
    """The one to probe: on the loopback address, if there is one."""
    return min(possible, key=lambda listener: listener.host != LOOPBACK)
