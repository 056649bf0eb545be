# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: from the values of an inventory to finished sites, or to every fault in them.

Pure: no file, no network, no Ansible. What can be combined is the data in FRONTS and BACKS;
a new server is a new row here and a new role.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass

from ansible_collections.pyweb.stack.plugins.module_utils.site import Faults, check_site, nearest


@dataclass(frozen=True)
class Front:
    """A front-end web server: the links it can speak, and the unit that has to have its ports."""

    links: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Back:
    """What runs a site's Python: its links, the best first, and what its releases need besides the application."""

    links: tuple[str, ...]
    requirements: tuple[str, ...] = ()
    needs_system_python: bool = False


FRONTS = {
    "nginx": Front(links=("uwsgi", "http", "fastcgi", "scgi"), unit="nginx.service"),
    "lighttpd": Front(links=("uwsgi", "http", "fastcgi", "scgi"), unit="lighttpd.service"),
}
BACKS = {
    "uwsgi": Back(links=("uwsgi", "http", "fastcgi", "scgi"), needs_system_python=True),
    "flup": Back(links=("scgi", "fastcgi"), requirements=("flup==1.0.3",)),
}
TRANSPORTS = ("unix", "tcp")
DEFAULTS = {"front": "nginx", "back": "uwsgi"}

# The account a Debian front runs as; its group reads static files and reaches the sockets.
FRONT_GROUP = "www-data"
FRONT_PORT = 80
SITES_ROOT = "/srv/www"
# Below the kernel's default range of ephemeral ports (32768 to 60999), above the registered services in common use.
PORTS = range(20000, 30000)


class PlanError(ValueError):
    """Every fault that was found, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def links_between(front: str, back: str) -> tuple[str, ...]:
    """The links that this front and this back both speak, the best first."""
    return tuple(link for link in BACKS[back].links if link in FRONTS[front].links)


def combinations() -> list[tuple[str, str, str]]:
    """Every front, back and link that work together."""
    return [(front, back, link) for front in FRONTS for back in BACKS for link in links_between(front, back)]


def sample_site(front: str, source: str) -> dict:
    """The site of an inventory that names none: the catch-all, whose page shows the stack that serves it."""
    return {
        "name": "sample",
        "application": "sample:application",
        "source": {"path": source},
        "environment": {"PYWEB_FRONT": front},
        "static": [{"url": "/static/", "path": "static/", "max_age": 3600}],
    }


def _choice(faults: Faults, where: str, value, possible) -> str | None:
    if isinstance(value, str) and value in possible:
        return value
    hint = nearest(value, possible) if isinstance(value, str) else ""
    faults.add(where, f"{value!r} is unknown; possible: {', '.join(possible)}{hint}")
    return None


def _port(key: str, taken: set[int]) -> int:
    """A port that stays the same while other sites come and go, unless two keys meet."""
    start = zlib.crc32(key.encode()) % len(PORTS)
    port = next(port for port in (*PORTS[start:], *PORTS[:start]) if port not in taken)
    taken.add(port)
    return port


def _endpoint(site: dict, taken: set[int]) -> dict:
    if site["transport"] == "unix":
        path = f"/run/pyweb/{site['name']}/{site['back']}-{site['link']}.sock"
        return {"transport": "unix", "path": path, "address": path}
    port = _port(f"{site['name']}/{site['back']}/{site['link']}", taken)
    return {"transport": "tcp", "host": "127.0.0.1", "port": port, "address": f"127.0.0.1:{port}"}


def _release(site: dict, digest: str, runtime: str) -> dict:
    """A release is named after all that goes into it, so the same input is the same release."""
    parts = [digest, site["source"].get("package"), site["requirements"], site["python"], runtime]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    return {"id": name, "path": f"{SITES_ROOT}/{site['name']}/releases/{name}"}


def _runtime(site: dict) -> dict[str, str]:
    """What the wrapper around the application and flup's runner read from their environment."""
    keys = ("back", "link", "transport", "script_name", "application", "processes", "threads", "request_timeout", "max_requests")
    known = {f"PYWEB_{key.upper()}": str(site[key]) for key in keys}
    return {"PYWEB_SITE": site["name"], "PYWEB_ENDPOINT": site["endpoint"]["address"], **known}


def _stack(faults: Faults, where: str, site: dict, host: dict, front: str | None) -> None:
    """Settle a site's back, link and transport."""
    back = site["back"] or host["back"]
    link = site["link"] or (host["link"] if not site["back"] or site["back"] == host["back"] else None)
    back = _choice(faults, f"{where}back" if site["back"] else "back", back, BACKS)
    site["transport"] = _choice(
        faults, f"{where}transport" if site["transport"] else "transport", site["transport"] or host["transport"] or TRANSPORTS[0], TRANSPORTS
    )
    if back:
        possible = links_between(front, back) if front else BACKS[back].links
        if link is None:
            link = possible[0]
        elif link not in possible:
            faults.add(
                f"{where}link" if site["link"] else "link",
                f"{link!r} does not join front {front or '(unknown)'} and back {back}; they can use: {', '.join(possible)}",
            )
    site.update(back=back, link=link)


def plan(values: dict, sources: dict | None = None, runtime: str = "", sample_source: str = "sample") -> dict:
    """Settle everything for one host.

    values: front, back, link, transport and sites, as the inventory has them; None or missing is the default.
    sources: for each site whose source is a path, its digest and whether it holds a requirements.txt.
    runtime: digest of the files that are installed beside every application.
    Raises PlanError with all faults.
    """
    faults = Faults()
    host = {key: values.get(key) or DEFAULTS.get(key) for key in ("front", "back", "link", "transport")}
    front = _choice(faults, "front", host["front"], FRONTS)
    # Also where every site has values of its own.
    _choice(faults, "back", host["back"], BACKS)
    _choice(faults, "transport", host["transport"] or TRANSPORTS[0], TRANSPORTS)

    given = values.get("sites")
    if given is None or given == []:
        given = [sample_site(front or "", sample_source)]
    if not isinstance(given, list):
        faults.add("sites", f"expected a list of sites, got {type(given).__name__}; write each site as an item: - name: ...")
        given = []

    sites = []
    for number, raw in enumerate(given):
        site = check_site(faults, number, raw)
        if site is not None:
            _stack(faults, f"sites[{site['label']}].", site, host, front)
            sites.append(site)
    if not given:
        _stack(faults, "", dict.fromkeys(("back", "link", "transport")), host, front)
    _refuse_clashes(faults, sites)
    if faults:
        raise PlanError(faults.lines)

    taken: set[int] = set()
    for site in sorted(sites, key=lambda site: site["name"]):
        name, source = site["name"], (sources or {}).get(site["name"], {})
        if site["requirements"] is None:
            site["requirements"] = "requirements.txt" if source.get("requirements_txt") else []
        site["back_requirements"] = list(BACKS[site["back"]].requirements)
        site["needs_system_python"] = BACKS[site["back"]].needs_system_python
        site["script_name"] = "" if site["mount"] == "/" else site["mount"]
        site["endpoint"] = _endpoint(site, taken)
        site["release"] = _release(site, source.get("digest", ""), runtime + "".join(site["back_requirements"]))
        site["account"] = name
        site["unit"] = f"pyweb-{name}-{site['back']}-{site['link']}-{site['transport']}"
        site["runtime"] = _runtime(site)
        site["target"] = _target(site, site["link"], site["endpoint"], f"{site['unit']}.service")
        site["extra"] = site["extra"].get(front, "")
        for static in site["static"]:
            static["url"] = site["script_name"] + static["url"]
            if not static["path"].startswith("/"):
                static["path"] = f"{SITES_ROOT}/{name}/current/{static['path']}"
    return _by_role(front, sites)


def _refuse_clashes(faults: Faults, sites: list[dict]) -> None:
    names: dict[str, int] = {}
    by_server_name: dict[str, list[dict]] = {}
    for site in sites:
        label = site["label"]
        if site["name"]:
            names[site["name"]] = names.get(site["name"], 0) + 1
            if names[site["name"]] == 2:
                faults.add(f"sites[{label}].name", f"{site['name']!r} is the name of more than one site; give each a name of its own")
        if site["server_names"] is None or site["mount"] is None:
            continue
        for server_name in site["server_names"] or [""]:
            others = by_server_name.setdefault(server_name, [])
            for other in others:
                if other["mount"] == site["mount"]:
                    shown = repr(server_name) if server_name else "(none: the catch-all)"
                    faults.add(
                        f"sites[{label}].server_names",
                        f"{shown} at mount {site['mount']!r} belongs to site {other['label']!r} already; change the server name or the mount of one",
                    )
                _refuse_hidden(faults, site, other)
                _refuse_hidden(faults, other, site)
            others.append(site)


def _refuse_hidden(faults: Faults, outer: dict, inner: dict) -> None:
    """Static files below the mount of another site: the fronts differ in whose they are."""
    for static in outer["static"]:
        url = outer["mount"].rstrip("/") + (static["url"] or "")
        if len(inner["mount"]) > len(outer["mount"]) and url.startswith(f"{inner['mount']}/"):
            faults.add(f"sites[{outer['label']}].static", f"{url!r} is below the mount of site {inner['label']!r}, {inner['mount']!r}; choose another URL")


# What each stage is told of a site; a role sees nothing that it does not use.
APP_KEYS = (
    "name", "account", "source", "requirements", "back_requirements", "needs_system_python", "python", "release",
    "environment", "secrets",
)  # fmt: skip
BACK_KEYS = (
    "name", "account", "unit", "back", "link", "endpoint", "release", "runtime", "target",
    "processes", "threads", "request_timeout", "max_requests",
)  # fmt: skip
FRONT_KEYS = (
    "name", "server_names", "mount", "script_name", "back", "link", "endpoint", "unit",
    "static", "request_timeout", "max_body_size", "extra",
)  # fmt: skip


def _by_role(front: str, sites: list[dict]) -> dict:
    def part(keys, chosen):
        return [{key: site[key] for key in keys} for site in chosen]

    backs = [back for back in BACKS if any(site["back"] == back for site in sites)]
    return {
        "front": front,
        "backs": backs,
        "ports": [{"port": FRONT_PORT, "unit": FRONTS[front].unit}],
        "app_sites": part(APP_KEYS, sites),
        **{f"back_{back}_sites": part(BACK_KEYS, [site for site in sites if site["back"] == back]) for back in backs},
        f"front_{front}_sites": part(FRONT_KEYS, sites),
        "targets": [_target(site, "http", {"transport": "tcp", "host": "127.0.0.1", "port": FRONT_PORT}, FRONTS[front].unit) for site in sites],
    }


def _target(site: dict, link: str, endpoint: dict, unit: str) -> dict:
    """What to probe of a site: its application below its mount, by one of its names."""
    host = next(iter(site["server_names"]), "localhost").replace("*", "www")
    where = {key: endpoint[key] for key in ("transport", "path", "host", "port") if key in endpoint}
    return {"name": site["name"], "link": link, "endpoint": where, "script_name": site["script_name"], "host": host, "unit": unit}


def vhosts(sites: list[dict]) -> list[dict]:
    """Virtual hosts of the sites: exact names first, then wildcards (the longest first), then the catch-all, which has no names.

    Server names that lead to the same sites share one virtual host. Its sites are ordered by their mounts, the shortest first.
    """
    by_name: dict[str, list[dict]] = {}
    for site in sorted(sites, key=lambda site: (len(site["mount"]), site["mount"])):
        for name in site["server_names"] or [""]:
            by_name.setdefault(name, []).append(site)
    grouped: dict[tuple, dict] = {}
    for name, of_name in by_name.items():
        kind = "catch-all" if not name else "wildcard" if name.startswith("*.") else "exact"
        key = (kind, name if kind == "wildcard" else "", tuple(site["name"] for site in of_name))
        host = grouped.setdefault(key, {"names": [], "sites": of_name, "kind": kind})
        if name:
            host["names"].append(name)
    rank = {"exact": 0, "wildcard": 1, "catch-all": 2}
    return sorted(grouped.values(), key=lambda host: (rank[host["kind"]], -max(map(len, host["names"]), default=0), host["names"]))


def unknown_variables(names, options: dict[str, set[str]]) -> list[str]:
    """Faults of variables that carry a server role's prefix and are not among its options (role name to names of options)."""
    return [
        f"{name}: the role {role} has no such variable{nearest(name, known)}"
        for role, known in sorted(options.items())
        for name in sorted(names)
        if name.startswith(f"{role}_") and name not in known
    ]
