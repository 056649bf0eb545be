# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to probe: each site through the front, on its own back, and on the backs of other hosts.
Pure.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._listeners import Listener
from ansible_collections.pyweb.stack.plugins.module_utils._site import Site
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place


def request_host(server_names: list[str], taken: set[str]) -> str:
    """A name that leads to a site and to no other: where it has a wildcard or none, one that no
    site names.
    """
    name = next(iter(server_names), None)
    possible = (
        (
            name.replace("*", label)
            for label in ("www", *(f"www{number}" for number in range(len(taken))))
        )
        if name
        else ("localhost", "nobody.invalid")
    )
    return next(host for host in possible if host == name or host not in taken)


def target_of(site: Site, link: str, endpoint: dict[str, Any], unit: str | None) -> dict[str, Any]:
    """What to probe of a site: its application below its mount, by one of its names."""
    where = {key: endpoint[key] for key in ("transport", "path", "host", "port") if key in endpoint}
    return {
        "name": site.name,
        "site": site.name,
        "link": link,
        "endpoint": where,
        "script_name": site.script_name,
        "host": site.host,
        "unit": unit,
        **site.health,
    }


def front_target(
    site: Site, front: str, plain: Listener, listener: Listener, place: Place
) -> dict[str, Any]:
    """The site as clients reach it. Its tracebacks are in the log of its back, where that is on
    this host.

    plain: where the site is reached without TLS.
    """
    through = {"transport": "tcp", "host": listener.host, "port": listener.port}
    log = f"{site.unit}.service" if place.is_back else None
    target = {**target_of(site, "http", through, FRONTS[front].unit), "log": log}
    return (
        {
            **target,
            "scheme": "https",
            "certificate": site.tls["certificate"],
            "plain": {"host": plain.host, "port": plain.port},
        }
        if site.tls
        else target
    )


def own_target(site: Site, endpoint: dict[str, Any]) -> dict[str, Any]:
    """The back of this host, which must not answer to who is none of its fronts."""
    target = target_of(site, site.link, endpoint, f"{site.unit}.service")
    if site.allowed:
        host = endpoint["host"]
        target["stranger"] = "::1" if ":" in host else "127.0.0.2"
        target["hint"] = f"check that link_address, {host}, is an address of this host"
    return target


def upstreams_of(site: Site, place: Place) -> list[tuple[str, dict[str, Any]]]:
    """Each back's host, and how to ask it from this front."""
    found = []
    for back, endpoint in zip(place.backs, site.endpoints) if place.apart else ():
        own = place.fronts[place.host]
        hint = (
            f"check link_address of host {back} and of this host, {own}, and that the firewall "
            f"of {back} lets this host connect to port {endpoint['port']}"
        )
        found.append(
            (
                back,
                {
                    **target_of(site, site.link, endpoint, None),
                    "name": f"{site.name} on {back}",
                    "hint": hint,
                },
            )
        )
    return found
