# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts are fronts and backs, and where they reach each other, by the inventory's groups of
these names. Pure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = "127.0.0.1"
# What of the sites and of their defaults both ends of a link are made from.
SHARED = ("back", "link", "transport")
SHARED_OF_A_SITE = ("name", "state", "mount", *SHARED)


@dataclass(frozen=True)
class Place:
    """Where a host stands among the fronts and backs: each a host's name and its address.

    servers: the variable front of all fronts, each value once; empty where the host is its own only
    front.
    leads: whether the host does what is done once for all backs.
    """

    host: str = ""
    fronts: Mapping[str, str] = field(default_factory=dict)
    backs: Mapping[str, str] = field(default_factory=dict)
    servers: tuple[Any, ...] = ()
    leads: bool = True

    @property
    def apart(self) -> bool:
        """Whether links lead from host to host; otherwise the host is the only front of the only
        back, itself.
        """
        return bool(self.fronts)

    @property
    def is_front(self) -> bool:
        return not self.apart or self.host in self.fronts

    @property
    def is_back(self) -> bool:
        return not self.apart or self.host in self.backs

    @property
    def allowed(self) -> list[str]:
        """The addresses that this back is asked from: by its fronts, and by itself for the probe;
        none where all is on one host.
        """
        return (
            sorted({*self.fronts.values(), self.backs[self.host]})
            if self.apart and self.is_back
            else []
        )


def place(
    host: str, groups: Mapping[str, list[str]], known: Mapping[str, Mapping[str, Any]]
) -> tuple[Place, list[str]]:
    """Where a host stands, and every fault in how the groups were filled.

    known: for each host of the groups front, back, link, transport, sites, link_address,
    ansible_host and default_addresses (those of its default routes), as far as its variables and
    facts say.
    """
    fronts, backs = groups.get("fronts") or [], groups.get("backs") or []
    if fronts == backs and len(fronts) < 2:
        return Place(host), []
    if not fronts or not backs:
        there, missing = ("fronts", "backs") if fronts else ("backs", "fronts")
        what = "run the applications" if fronts else "clients reach"
        return Place(host), [
            f"groups: {there} has hosts ({', '.join(fronts or backs)}) and {missing} has none; put "
            f"those that {what} into {missing} "
            "(a host may be in both), or give up both groups: every host then gets the whole stack"
        ]
    faults: list[str] = []
    names = list(dict.fromkeys([*fronts, *backs]))
    addresses = {name: _address(faults, name, known[name]) or "" for name in names}
    for name in names:
        twin = next(
            (
                other
                for other in names
                if other != name and addresses[other] and addresses[other] == addresses[name]
            ),
            None,
        )
        if twin and name < twin:
            faults.append(
                f"link_address: the hosts {name} and {twin} have the same, {addresses[name]}; give "
                "each an address of its own"
            )
    faults += _disagreements(host, names, known)
    servers = tuple(dict.fromkeys(known[name].get("front") for name in fronts))
    return Place(
        host,
        {name: addresses[name] for name in fronts},
        {name: addresses[name] for name in backs},
        servers,
    ), faults


def _address(faults: list[str], host: str, known: Mapping[str, Any]) -> str | None:
    """Where the other hosts reach this one."""
    given = known.get("link_address")
    if given is not None:
        address = _usable(given)
        if address is None:
            faults.append(
                f"link_address of host {host}: {given!r} is no IP address that other hosts could "
                "reach; write one, such as 10.0.0.5"
            )
        return address
    for candidate in (known.get("ansible_host"), *(known.get("default_addresses") or ())):
        address = _usable(candidate)
        if address is not None:
            return address
    faults.append(
        f"link_address of host {host}: missing, and neither is ansible_host an IP address, nor is "
        "a default route of the host known "
        "(the host may have none, or this run leaves it out); write the address that the other "
        "hosts reach it by"
    )
    return None


def _usable(given: Any) -> str | None:
    try:
        address = ipaddress.ip_address(given) if isinstance(given, str) else None
    except ValueError:
        return None
    if (
        address is None
        or address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
    ):
        return None
    return str(address)


def _disagreements(
    host: str, names: list[str], known: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Where this host would build other links than another one."""
    own = _links(known[host])
    for name in names:
        other = _links(known[name])
        for key in own:
            if own[key] != other[key]:
                told = (
                    f", each with the same {', '.join(SHARED_OF_A_SITE)}" if key == "sites" else ""
                )
                return [
                    f"{key}: of host {host} and of host {name} differ; fronts and backs need the "
                    f"same{told}: set them for all of these hosts"
                ]
    return []


def _links(known: Mapping[str, Any]) -> dict[str, Any]:
    sites = known.get("sites")
    found = {key: known.get(key) for key in SHARED}
    if isinstance(sites, list):
        sites = [
            {key: site.get(key) for key in SHARED_OF_A_SITE} if isinstance(site, dict) else site
            for site in sites
        ]
    return {**found, "sites": sites}
