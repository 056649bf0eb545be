# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts: which sites share a server name, and in which order a server looks at them.
Pure.
"""

from __future__ import annotations

from typing import Any


def vhosts(sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Virtual hosts of the sites: exact names first, then wildcards (the longest first), then the
    catch-all, which has no names.

    Server names that lead to the same sites share one virtual host. Its sites are ordered by their
    mounts, the shortest first. They have the same tls and challenges, or none while a certificate
    is still to come.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for site in sorted(sites, key=lambda site: (len(site["mount"]), site["mount"])):
        for name in site["server_names"] or [""]:
            by_name.setdefault(name, []).append(site)
    grouped: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, of_name in by_name.items():
        kind = "catch-all" if not name else "wildcard" if name.startswith("*.") else "exact"
        key = (kind, name if kind == "wildcard" else "", tuple(site["name"] for site in of_name))
        of_all = {
            shared: next(filter(None, (site.get(shared) for site in of_name)), None)
            for shared in ("tls", "challenges")
        }
        host = grouped.setdefault(key, {"names": [], "sites": of_name, "kind": kind, **of_all})
        if name:
            host["names"].append(name)
    rank = {"exact": 0, "wildcard": 1, "catch-all": 2}
    return sorted(
        grouped.values(),
        key=lambda host: (
            rank[host["kind"]],
            -max(map(len, host["names"]), default=0),
            host["names"],
        ),
    )
