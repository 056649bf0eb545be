# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxies before a front whose word it takes for the address and the scheme of a client.
Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults, shown


def check_proxies(faults: Faults, given: Any, fronts: Collection[str]) -> list[str]:
    """The networks of `trusted_proxies`, each as address/bits; what is wrong goes to faults.

    fronts: the servers that are to believe them.
    """
    if given is None or given == []:
        return []
    if not isinstance(given, list):
        faults.add(
            "trusted_proxies",
            f"expected a list of networks, got {shown(given)}; write trusted_proxies: [10.0.0.0/8]",
        )
        return []
    for front in fronts:
        if not FRONTS[front].believes:
            faults.add(
                "trusted_proxies",
                f"front {front} cannot tell a proxy's word from a client's; leave it out, or "
                "choose another front",
            )
    found = []
    for number, item in enumerate(given):
        where = f"trusted_proxies[{number}]"
        try:
            network = ipaddress.ip_network(item if isinstance(item, str) else "")
        except ValueError as error:
            wide = _network_around(item)
            hint = f"; write {wide}" if wide else f" ({error})" if isinstance(item, str) else ""
            faults.add(where, f"{item!r} is no address or network such as 10.0.0.0/8{hint}")
            continue
        if network.prefixlen == 0:
            faults.add(
                where, f"{item!r} is everybody, and every client could lie; name the proxies"
            )
        found.append(str(network))
    return list(dict.fromkeys(found))


def _network_around(item: Any) -> str | None:
    """The network of an address with bits that are none of a network's."""
    try:
        return str(ipaddress.ip_network(item, strict=False)) if isinstance(item, str) else None
    except ValueError:
        return None
