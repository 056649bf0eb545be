# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: from the values of an inventory to finished sites, or to every fault in them.

Pure: no file, no network, no Ansible. What can be combined is the data in FRONTS and BACKS;
a new server is a new row here and a new role.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    Faults,
    check_site,
    kind_of,
    nearest,
)
from ansible_collections.pyweb.stack.plugins.module_utils._tls import PORT as TLS_PORT
from ansible_collections.pyweb.stack.plugins.module_utils._tls import (
    PROFILES,
    check_tls,
    of_host,
    refuse_disagreement,
    settle,
)
from ansible_collections.pyweb.stack.plugins.module_utils._topology import LOOPBACK, Place


@dataclass(frozen=True)
class Front:
    """A front-end web server: the links it can speak, and the unit that has to have its ports and runs what is embedded in it.

    poor_links: of these, the ones that it serves so poorly that any other is better.
    overrides: whether it reads rules out of the directories that it serves.
    named_by: variables of its role of which one must say where it comes from, since Debian carries none.
    limits: keys of a site whose number it can take no higher.
    shared: keys that all sites of a server name must have alike, since it has one value for all of them.
    follows_links: whether it serves what a link in a directory of files leads to, whosoever made it.
    asks: whether its role has something to ask on the host before anything changes, in tasks/before.yml.
    tls: whether it serves HTTPS.
    """

    links: tuple[str, ...]
    unit: str
    poor_links: tuple[str, ...] = ()
    overrides: bool = False
    named_by: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    shared: tuple[str, ...] = ()
    follows_links: bool = False
    asks: bool = False
    tls: bool = True


@dataclass(frozen=True)
class Back:
    """What runs a site's Python: its links, the best first, and what its releases need besides the application.

    tasks: processes and threads besides those that the site asks for.
    """

    links: tuple[str, ...]
    tasks: int = 8
    requirements: tuple[str, ...] = ()
    needs_system_python: bool = False
    starts_with_environment: bool = True  # its processes have the site's variables from their start


# The link of a back that runs inside the front: nothing listens, so there is no transport and no endpoint.
EMBEDDED = "embedded"

FRONTS = {
    # Over SCGI it streams no response and refuses chunked requests.
    "apache": Front(
        links=(EMBEDDED, "uwsgi", "http", "fastcgi", "scgi"),
        unit="apache2.service",
        poor_links=("scgi",),
        overrides=True,
    ),
    "nginx": Front(links=("uwsgi", "http", "fastcgi", "scgi"), unit="nginx.service"),
    "lighttpd": Front(links=("uwsgi", "http", "fastcgi", "scgi"), unit="lighttpd.service"),
    "cherokee": Front(
        links=("uwsgi", "http", "fastcgi", "scgi"),
        unit="cherokee.service",
        named_by=("front_cherokee_package", "front_cherokee_prefix"),
        limits=(("max_body_size", 2**31 - 1),),
        shared=("max_body_size",),
        follows_links=True,
        asks=True,
        tls=False,
    ),
}
BACKS = {
    "uwsgi": Back(links=("uwsgi", "http", "fastcgi", "scgi"), needs_system_python=True),
    "flup": Back(links=("scgi", "fastcgi"), requirements=("flup==1.0.3",)),
    "mod_wsgi": Back(
        links=(EMBEDDED, "http"), tasks=80, needs_system_python=True, starts_with_environment=False
    ),
}
TRANSPORTS = ("unix", "tcp")
# What a site may take of its host.
LIMITS = ("memory_max", "cpu_quota", "tasks_max")
# The links that a server speaks over tcp alone, and why.
TCP_ONLY = {
    ("mod_wsgi", "http"): "Apache httpd, which runs mod_wsgi, listens on no Unix socket",
    ("cherokee", "http"): "Cherokee speaks http to no Unix socket",
    (
        "cherokee",
        "fastcgi",
    ): "over FastCGI on a Unix socket Cherokee answers 500 to many requests with an empty body, after the application has seen them",
}
# What of a host goes with the sites and servers that it shall have no longer, and how that may be written.
REMOVAL = {"prune": True, "remove_data": False, "remove_packages": False}
FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
# What the C library and Python read as a process starts, and nothing can make up for later (ld.so(8), mallopt(3), python --help-env).
READ_AT_START = re.compile(
    "(LD|MALLOC)_.+|GLIBC_TUNABLES|PYTHON("
    "COERCECLOCALE|DEBUG|DEVMODE|EXECUTABLE|FAULTHANDLER|HASHSEED|HOME|INTMAXSTRDIGITS|MALLOC|MALLOCSTATS|NODEBUGRANGES"
    "|NOUSERSITE|OPTIMIZE|PERFSUPPORT|PLATLIBDIR|PROFILEIMPORTTIME|SAFEPATH|TRACEMALLOC|USERBASE|VERBOSE|WARNDEFAULTENCODING"
    "|WARNINGS)"
)
DEFAULTS = {"front": "nginx", "back": "uwsgi", "tls_profile": "intermediate"}

# A file inside the source that says what to install for it.
PROJECT = "pyproject.toml"

# What the processes of sites can write to.
WRITTEN_BY_SITES = ("/var/lib/pyweb/", "/var/cache/pyweb/")
# The account a Debian front runs as; its group reads static files and reaches the sockets.
FRONT_GROUP = "www-data"
FRONT_PORT = 80
SITES_ROOT = "/srv/www"
STATE_ROOT = "/var/lib/pyweb"
# What the sandbox of every front hides.
HIDDEN = ("/dev", "/home", "/proc", "/root", "/run/user", "/tmp", "/var/tmp")
# Below the kernel's default range of ephemeral ports (32768 to 60999), above the registered services in common use.
PORTS = range(20000, 30000)


class PlanError(ValueError):
    """Every fault that was found, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def links_between(front: str, back: str) -> tuple[str, ...]:
    """The links that this front and this back both speak, the best first."""
    return links_of((front,), back)


def links_of(fronts: tuple[str, ...], back: str) -> tuple[str, ...]:
    """The links that this back and all of these fronts speak, the best first; a link that one of them serves poorly comes last."""
    both = (
        link for link in BACKS[back].links if all(link in FRONTS[front].links for front in fronts)
    )
    return tuple(
        sorted(both, key=lambda link: any(link in FRONTS[front].poor_links for front in fronts))
    )


def transports_of(front: str, back: str, link: str) -> tuple[str, ...]:
    """The transports that this link of theirs can run over, the best first; none where the back runs inside the front."""
    if link == EMBEDDED:
        return ()
    return tuple(
        transport
        for transport in TRANSPORTS
        if transport == "tcp" or not why_tcp(front, back, link)
    )


def why_tcp(front: str, back: str, link: str) -> str | None:
    """Why this link of theirs runs over tcp alone, if it does."""
    return TCP_ONLY.get((front, link)) or TCP_ONLY.get((back, link))


def combinations() -> list[tuple[str, str, str]]:
    """Every front, back and link that work together."""
    return [
        (front, back, link)
        for front in FRONTS
        for back in BACKS
        for link in links_between(front, back)
    ]


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


def _flag(faults: Faults, where: str, value, default: bool) -> bool:
    """A boolean; -e gives it as a word."""
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in FLAGS:
        return FLAGS[value.lower()]
    if not isinstance(value, bool):
        faults.add(where, f"expected true or false, got {value!r}")
    return bool(value)


def _port(key: str, taken: set[int]) -> int:
    """A port that stays the same while other sites come and go, unless two keys meet."""
    start = zlib.crc32(key.encode()) % len(PORTS)
    port = next(port for port in (*PORTS[start:], *PORTS[:start]) if port not in taken)
    taken.add(port)
    return port


def _endpoints(site: dict, hosts: list[str], taken: set[int]) -> list[dict]:
    """Where the backs on these hosts listen for the site."""
    if site["transport"] is None:
        return []
    if site["transport"] == "unix":
        path = f"/run/pyweb/{site['name']}/{site['back']}-{site['link']}.sock"
        return [{"transport": "unix", "path": path, "address": path}]
    # A host may still have the one instance that sites under mod_wsgi shared, which serves until the front has moved.
    own = "/own" if site["back"] == "mod_wsgi" else ""
    port = _port(f"{site['name']}/{site['back']}/{site['link']}{own}", taken)
    written = [(host, f"[{host}]" if ":" in host else host) for host in hosts]
    return [
        {"transport": "tcp", "host": host, "port": port, "address": f"{name}:{port}"}
        for host, name in written
    ]


def _unit(site: dict, front: str) -> str:
    """The systemd unit that runs a site, without its suffix."""
    if site["link"] == EMBEDDED:
        return FRONTS[front].unit.removesuffix(".service")
    return f"pyweb-{site['name']}-{site['back']}-{site['link']}-{site['transport']}"


def _slice(name: str) -> str:
    """What holds all that runs for a site. A dash would make it a part of the slice that the words before it name (systemd.slice(5))."""
    return "pyweb-" + name.replace("-", r"\x2d") + ".slice"


def _release(site: dict, digest: str, runtime: str) -> dict:
    """A release is named after all that goes into it, so the same input is the same release."""
    parts = [digest, site["source"].get("package"), site["requirements"], site["python"], runtime]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    return {"id": name, "path": f"{SITES_ROOT}/{site['name']}/releases/{name}"}


def _timeouts(site: dict) -> dict[str, int]:
    """Every time limit that follows from a site's own, in seconds.

    error_timeout: silence of an application after which Apache answers in its place, under mod_wsgi.
    answer_timeout: silence of a back after which its front gives up; later than the back itself.
    connect_timeout: for a connection to a back; shorter where another one can be asked.
    retry_after: until a back that was down is asked again; at once where it is the only one.
    stop_timeout: until what is left of a back that shall stop is killed.
    silence: of the application, after which its process is ended.
    """
    error_timeout = site["request_timeout"] + 2
    several = len(site["endpoints"]) > 1
    return {
        "error_timeout": error_timeout,
        "answer_timeout": site["request_timeout"] + 5,
        "connect_timeout": 2 if several else 5,
        "retry_after": 10 if several else 0,
        "stop_timeout": site["request_timeout"] + 15,
        # Under mod_wsgi, Apache has no answer that fits once the process has died.
        "silence": error_timeout + 1 if site["back"] == "mod_wsgi" else site["request_timeout"],
    }


def _build(site: dict, contents: str) -> str:
    """What is going to be built of a site, in words."""
    source, requirements = (
        site["source"].get("path") or site["source"].get("package"),
        site["requirements"],
    )
    needs = (
        requirements
        if isinstance(requirements, str)
        else ", ".join(requirements) or "no requirements"
    )
    return f"{site['name']} - release {site['release']['id']} from {source}{f' ({contents})' if contents else ''}, {site['python']}, {needs}"


def _runtime(site: dict) -> dict[str, str]:
    """What the wrapper around the application and flup's runner read from their environment."""
    keys = (
        "back", "link", "transport", "script_name", "application", "processes", "threads",
        "request_timeout", "silence", "max_requests",
    )  # fmt: skip
    known = {f"PYWEB_{key.upper()}": str(site[key]) for key in keys if site[key] is not None}
    where = {"PYWEB_ENDPOINT": site["endpoint"]["address"]} if site["endpoint"] else {}
    allowed = {"PYWEB_ALLOWED": ",".join(site["allowed"])} if site["allowed"] else {}
    return {"PYWEB_SITE": site["name"], **where, **allowed, **known}


def _stack(
    faults: Faults, where: str, site: dict, host: dict, fronts: tuple[str, ...], place: Place
) -> None:
    """Settle a site's back, link and transport. fronts: the servers before it, or none where one of them is unknown."""
    back = site["back"] or host["back"]
    link = site["link"] or (
        host["link"] if not site["back"] or site["back"] == host["back"] else None
    )
    back = _choice(faults, f"{where}back" if site["back"] else "back", back, BACKS)
    transport = site["transport"] or host["transport"]
    if transport:
        transport = _choice(
            faults, f"{where}transport" if site["transport"] else "transport", transport, TRANSPORTS
        )
    if back:
        possible = links_of(fronts, back)
        if link is None:
            link = next(each for each in possible if not (each == EMBEDDED and place.apart))
        elif link not in possible:
            faults.add(
                f"{where}link" if site["link"] else "link",
                f"{link!r} does not join front {', '.join(fronts) or '(unknown)'} and back {back}; they can use: {', '.join(possible)}",
            )
            link = None
        elif link == EMBEDDED and place.apart and set(place.fronts) != set(place.backs):
            alone = ", ".join(sorted(set(place.fronts) ^ set(place.backs)))
            faults.add(
                f"{where}link" if site["link"] else "link",
                f"{link!r} runs inside the front, so that every front has to be a back, too, and every back a front; {alone} is in one of the "
                f"groups fronts and backs alone; use: {', '.join(each for each in possible if each != EMBEDDED)}",
            )
            link = None
        if link and fronts:
            transport = _transport(
                faults, where, site, transport, [(front, back, link) for front in fronts], place
            )
    site.update(back=back, link=link, transport=transport)


def _transport(
    faults: Faults,
    where: str,
    site: dict,
    chosen: str | None,
    stacks: list[tuple[str, str, str]],
    place: Place,
) -> str | None:
    """The transport of a site whose fronts, back and link are known: the chosen one, or the best."""
    if stacks[0][2] == EMBEDDED:
        if site["transport"]:
            faults.add(
                f"{where}transport",
                f"{EMBEDDED!r} runs inside front {stacks[0][0]} and has no transport; leave the key out",
            )
        return None
    why = (
        "the groups fronts and backs put them on different hosts"
        if place.apart
        else next(filter(None, (why_tcp(*stack) for stack in stacks)), None)
    )
    possible = ("tcp",) if why else TRANSPORTS
    if chosen and chosen not in possible:
        faults.add(
            f"{where}transport" if site["transport"] else "transport",
            f"{chosen!r} is not possible: {why}; use tcp",
        )
    return chosen or possible[0]


def plan(
    values: dict,
    sources: dict | None = None,
    runtime: str = "",
    sample_source: str = "sample",
    place: Place | None = None,
    variables: dict | None = None,
    certificates: dict | None = None,
    debian: int | None = None,
) -> dict:
    """Settle everything for one host.

    values: front, back, link, transport, tls_profile, sites, prune, remove_data and remove_packages, as the inventory has them; None or missing is the
        default.
    sources: for each site whose source is a path, its digest, its requirements, and what of it is deployed, in words.
    runtime: digest of the files that are installed beside every application.
    place: the hosts that are fronts and backs, where it is not this one alone that is both.
    variables: those of the front's role that say where it comes from; None: not known here, and not asked for.
    certificates: for each site whose certificate is given, its chain, its private_key, and whether clients may trust it.
    debian: the release of the host, where it is known.
    Raises PlanError with all faults.
    """
    place = place or Place()
    faults = Faults()
    host = {
        key: values.get(key) or DEFAULTS.get(key) for key in ("front", "back", "link", "transport")
    }
    servers = (
        tuple(server or DEFAULTS["front"] for server in place.servers)
        if place.apart
        else (host["front"],)
    )
    fronts = tuple(filter(None, [_choice(faults, "front", server, FRONTS) for server in servers]))
    fronts = fronts if len(fronts) == len(servers) else ()
    front = host["front"] if fronts and place.is_front else None
    if front and variables is not None:
        _refuse_unnamed(faults, front, variables)
    removal = {
        key: _flag(faults, key, values.get(key), default) for key, default in REMOVAL.items()
    }
    # Also where every site has values of its own.
    _choice(faults, "back", host["back"], BACKS)
    _choice(faults, "transport", host["transport"] or TRANSPORTS[0], TRANSPORTS)
    profile = _choice(
        faults, "tls_profile", values.get("tls_profile") or DEFAULTS["tls_profile"], PROFILES
    )

    given = values.get("sites")
    if given is None or given == []:
        given = [sample_site(", ".join(fronts), sample_source)]
    if not isinstance(given, list):
        how = "write each as an item, - name: ..., or with -e as JSON: '{\"sites\": [...]}'"
        faults.add("sites", f"expected a list of sites, got {kind_of(given)}; {how}")
        given = []

    sites, absent = [], []
    for number, raw in enumerate(given):
        site = check_site(faults, number, raw)
        if site is not None and site["state"] == "absent":
            absent.append({**site, "server_names": None})
        elif site is not None:
            _stack(faults, f"sites[{site['label']}].", site, host, fronts, place)
            _refuse_overrides(faults, site, front)
            _refuse_unserved(faults, site, place)
            _refuse_beyond(faults, site, fronts)
            _refuse_planted(faults, site, fronts)
            _refuse_limits(faults, site)
            _refuse_late(faults, site)
            site["tls"] = check_tls(
                faults, site, tuple(server for server in fronts if not FRONTS[server].tls)
            )
            sites.append(site)
    if not given:
        _stack(faults, "", dict.fromkeys(("back", "link", "transport")), host, fronts, place)
    _refuse_clashes(
        faults, sites + absent, {key for server in fronts for key in FRONTS[server].shared}
    )
    refuse_disagreement(faults, sites)
    if faults:
        raise PlanError(faults.lines)

    taken: set[int] = set()
    server_names = {server_name for site in sites for server_name in site["server_names"]}
    for site in sorted(sites, key=lambda site: site["name"]):
        name, source = site["name"], (sources or {}).get(site["name"], {})
        named = site["requirements"]
        # What the source says: where the site does not, or where it names a file that pip does not read as a list.
        if named is None or (isinstance(named, str) and named.rpartition("/")[2] == PROJECT):
            site["requirements"] = source.get("requirements", [])
        site["back_requirements"] = list(BACKS[site["back"]].requirements)
        site["needs_system_python"] = BACKS[site["back"]].needs_system_python
        site["script_name"] = "" if site["mount"] == "/" else site["mount"]
        site["endpoints"] = _endpoints(
            site, list(place.backs.values()) if place.apart else [LOOPBACK], taken
        )
        own = [
            endpoint
            for endpoint in site["endpoints"]
            if not place.apart or endpoint["host"] == place.backs.get(place.host)
        ]
        site["endpoint"] = next(iter(own), None)
        site["allowed"] = place.allowed if site["endpoint"] else []
        site["release"] = _release(
            site, source.get("digest", ""), runtime + "".join(site["back_requirements"])
        )
        site["build"] = _build(site, source.get("contents", ""))
        site["account"] = name
        site["host"] = _host(site["server_names"], server_names)
        site["unit"] = _unit(site, fronts[0])
        site["slice"] = _slice(name)
        site.update(_timeouts(site))
        site["runtime"] = _runtime(site)
        site["start_timeout"] = site["health"]["timeout"]
        site["target"] = _own_target(site) if site["endpoint"] else None
        site["extra"] = site["extra"].get(front, "")
        site["tls"] = settle(site, (certificates or {}).get(name))
        # The link to the current release is the back's; a front alone goes over to a new one by a reload.
        release = f"{SITES_ROOT}/{name}/current" if place.is_back else site["release"]["path"]
        site["directories"] = [
            static["path"] for static in site["static"] if not static["path"].startswith("/")
        ]
        site["serves_release"] = bool(site["directories"])
        site["published"] = sorted(
            {
                static["path"].rstrip("/")
                for static in site["static"]
                if is_below(static["path"], STATE_ROOT)
            }
        )
        site["passed"] = passed(site["published"], f"{STATE_ROOT}/{name}")
        for static in site["static"]:
            static["url"] = site["script_name"] + static["url"]
            if not static["path"].startswith("/"):
                static["path"] = f"{release}/{static['path']}"
    planned = _by_role(front, sites, place)
    if any(site["tls"] for site in sites):
        planned["tls"] = of_host(profile, debian)
    return {**planned, "sites": sorted(site["name"] for site in sites + absent), **removal}


def _refuse_overrides(faults: Faults, site: dict, front: str | None) -> None:
    if front is None or FRONTS[front].overrides:
        return
    able = ", ".join(name for name in FRONTS if FRONTS[name].overrides)
    for number, static in enumerate(site["static"]):
        if static["allow_override"]:
            faults.add(
                f"sites[{site['label']}].static[{number}].allow_override",
                f"front {front} reads no rules out of directories; leave the key out, or choose front {able}",
            )


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path leads into a directory."""
    return path.rstrip("/") != folder and path.startswith(f"{folder}/")


def passed(paths: list[str], top: str) -> list[str]:
    """The directories between a directory and some below it, which a front passes through and does not read."""
    found = set()
    for path in paths:
        parts = path[len(top) + 1 :].split("/")
        found |= {"/".join([top, *parts[:depth]]) for depth in range(1, len(parts))}
    return sorted(found - set(paths))


def _refuse_unserved(faults: Faults, site: dict, place: Place) -> None:
    """Directories that no front could serve, or that hold more than what is for everybody."""
    for number, static in enumerate(site["static"]):
        path, where = static["path"] or "", f"sites[{site['label']}].static[{number}].path"
        hidden = next((folder for folder in HIDDEN if f"{path}/".startswith(f"{folder}/")), None)
        if hidden:
            faults.add(
                where,
                f"{path!r} is below {hidden}, which the sandbox hides from the front; choose another directory, such as one below /srv",
            )
        if not f"{path}/".startswith(f"{STATE_ROOT}/"):
            continue
        own = f"{STATE_ROOT}/{site['name']}"
        if not is_below(path, own):
            faults.add(
                where,
                f"{path!r} holds more than files for everybody; name a directory below {own}/, such as {own}/media/",
            )
        elif place.apart:
            faults.add(
                where,
                f"{path!r} is written on the backs, and a front of another host has none of it; serve it by the application, "
                "or from a directory elsewhere that all hosts share",
            )


def _refuse_unnamed(faults: Faults, front: str, variables: dict) -> None:
    """A front that Debian does not carry, and nobody says where to take it from; or a package from a URL that nothing vouches for."""
    named_by = FRONTS[front].named_by
    given = {name: variables[name] for name in named_by if variables.get(name)}
    if named_by and not given:
        faults.add(
            "front",
            f"Debian carries no {front}; say where yours comes from by {' or '.join(named_by)} (see the README of the role front_{front})",
        )
    for name, value in given.items():
        if not isinstance(value, str):
            faults.add(name, f"expected a text, got {value!r}")
        elif value.startswith(("http://", "https://")):
            if not variables.get(f"{name}_checksum"):
                faults.add(
                    f"{name}_checksum", f"missing: the checksum of {value}, such as sha256:..."
                )
        elif not value.startswith("/") and (value.endswith(".deb") or "/" in value):
            faults.add(
                name,
                f"{value!r} is not absolute; write an absolute path on the controller, such as {{{{ inventory_dir }}}}/{value}",
            )


def _refuse_beyond(faults: Faults, site: dict, fronts: tuple[str, ...]) -> None:
    for front in fronts:
        for key, most in FRONTS[front].limits:
            if site[key] is not None and site[key] > most:
                faults.add(
                    f"sites[{site['label']}].{key}",
                    f"{site[key]} is more than front {front} can tell; the most is {most}",
                )


def _refuse_planted(faults: Faults, site: dict, fronts: tuple[str, ...]) -> None:
    """Files out of a directory that the site's processes write, where a link would show other sites' files."""
    for front in fronts:
        for number, static in enumerate(site["static"]) if FRONTS[front].follows_links else ():
            if static["path"] and static["path"].startswith(WRITTEN_BY_SITES):
                what = f"{static['path']!r} is a directory that the site writes, and front {front} follows every link in it, also to other sites' files"
                faults.add(
                    f"sites[{site['label']}].static[{number}].path",
                    f"{what}; let the application serve these files, or choose another front",
                )


def _refuse_late(faults: Faults, site: dict) -> None:
    """Variables that a program reads as it starts, where the site's come later."""
    if site["back"] and not BACKS[site["back"]].starts_with_environment:
        for key in ("environment", "secrets"):
            for name in sorted(filter(READ_AT_START.fullmatch, site[key] or ())):
                others = ", ".join(back for back in BACKS if BACKS[back].starts_with_environment)
                what = f"{name!r} is read as a process starts, and those of back {site['back']} have the site's variables only later"
                faults.add(
                    f"sites[{site['label']}].{key}",
                    f"{what}; leave it out, or choose another back: {others}",
                )


def _refuse_limits(faults: Faults, site: dict) -> None:
    """Limits of what runs inside the front, whose processes stand in the front's control group; and fewer tasks than the site itself asks for."""
    where = f"sites[{site['label']}]"
    if site["link"] == EMBEDDED:
        possible = ", ".join(link for link in BACKS[site["back"]].links if link != EMBEDDED)
        for key in LIMITS:
            if site[key] is not None:
                faults.add(
                    f"{where}.{key}",
                    f"{EMBEDDED!r} runs inside the front, which has no limits for one site; leave the key out, or use link {possible}",
                )
    elif None not in (site["tasks_max"], site["back"], site["processes"], site["threads"]):
        least = site["processes"] * (site["threads"] + 2) + BACKS[site["back"]].tasks
        if site["tasks_max"] < least:
            what = f"{site['processes']} processes of {site['threads']} threads under {site['back']} need {least} at least"
            faults.add(f"{where}.tasks_max", f"{site['tasks_max']} is too few: {what}")


def _refuse_clashes(faults: Faults, sites: list[dict], shared: Collection[str]) -> None:
    names: dict[str, int] = {}
    by_server_name: dict[str, list[dict]] = {}
    for site in sites:
        label = site["label"]
        if site["name"]:
            names[site["name"]] = names.get(site["name"], 0) + 1
            if names[site["name"]] == 2:
                faults.add(
                    f"sites[{label}].name",
                    f"{site['name']!r} is the name of more than one site; give each a name of its own",
                )
        if site["server_names"] is None or site["mount"] is None:
            continue
        for server_name in site["server_names"] or [""]:
            others = by_server_name.setdefault(server_name, [])
            for other in others:
                # Capital letters do not count: to lighttpd two conditions are one where these alone tell them apart.
                if other["mount"].lower() == site["mount"].lower():
                    shown = repr(server_name) if server_name else "(none: the catch-all)"
                    faults.add(
                        f"sites[{label}].server_names",
                        f"{shown} at mount {other['mount']!r} belongs to site {other['label']!r} already; change the server name or the mount of one",
                    )
                for key in shared:
                    if site[key] != other[key] and None not in (site[key], other[key]):
                        what = f"{site[key]} is not the {other[key]} of site {other['label']!r}"
                        faults.add(
                            f"sites[{label}].{key}",
                            f"{what}, and the front has one for all sites of a server name; make them equal",
                        )
                _refuse_hidden(faults, site, other)
                _refuse_hidden(faults, other, site)
            others.append(site)


def _refuse_hidden(faults: Faults, outer: dict, inner: dict) -> None:
    """Static files below the mount of another site, or around it: the fronts differ in whose they are."""
    for static in outer["static"]:
        url = outer["mount"].rstrip("/") + (static["url"] or "")
        if len(inner["mount"]) <= len(outer["mount"]):
            continue
        if url.startswith(f"{inner['mount']}/"):
            faults.add(
                f"sites[{outer['label']}].static",
                f"{url!r} is below the mount of site {inner['label']!r}, {inner['mount']!r}; choose another URL",
            )
        elif static["url"] and f"{inner['mount']}/".startswith(url):
            what = f"{inner['mount']!r} is below the files of site {outer['label']!r}, {url!r}; choose another mount or URL"
            faults.add(f"sites[{inner['label']}].mount", what)


# What each stage is told of a site; a role sees nothing that it does not use.
APP_KEYS = (
    "name", "account", "source", "requirements", "back_requirements", "needs_system_python", "python", "release",
    "slice", "directories", "published", "passed", "build", *LIMITS,
)  # fmt: skip
BACK_KEYS = (
    "name", "account", "unit", "slice", "back", "link", "endpoint", "allowed", "release", "runtime", "environment", "secrets", "target",
    "processes", "threads", "error_timeout", "start_timeout", "stop_timeout", "max_requests",
)  # fmt: skip
# What runs inside the front is one change with it: probed through it, and undone with it.
EMBEDDED_KEYS = (
    "name", "account", "unit", "release", "runtime", "environment", "secrets",
    "processes", "threads", "error_timeout", "start_timeout", "max_requests",
)  # fmt: skip
FRONT_KEYS = (
    "name", "server_names", "mount", "script_name", "back", "link", "endpoints", "unit",
    "static", "answer_timeout", "connect_timeout", "retry_after", "max_body_size", "tls", "extra",
)  # fmt: skip


def _by_role(front: str | None, sites: list[dict], place: Place) -> dict:
    def part(keys, chosen):
        return [{key: site[key] for key in keys} for site in chosen]

    backs = (
        [back for back in BACKS if any(site["back"] == back for site in sites)]
        if place.is_back
        else []
    )
    # A front alone serves static files out of releases, and runs nothing.
    served = [site for site in sites if site["serves_release"]] if front else []
    embedded = [site for site in sites if site["link"] == EMBEDDED]
    ports = [FRONT_PORT, *([TLS_PORT] if any(site["tls"] for site in sites) else [])]
    return {
        "front": front,
        "asks": bool(front and FRONTS[front].asks),
        "backs": backs,
        "sets": [
            "app",
            *(f"back_{back}" for back in backs),
            *([f"front_{front}"] if front else []),
        ],
        "ports": [{"port": port, "unit": FRONTS[front].unit} for port in ports] if front else [],
        "serves": sorted(_of_others(sites)) if front else [],
        "table": [_row(site, front, place) for site in sites],
        "app_sites": part(APP_KEYS, sites if place.is_back else served),
        **{
            f"back_{back}_sites": part(
                BACK_KEYS,
                [site for site in sites if site["back"] == back and site["link"] != EMBEDDED],
            )
            for back in backs
        },
        **(
            {f"front_{front}_embedded_sites": part(EMBEDDED_KEYS, embedded)}
            if front and EMBEDDED in FRONTS[front].links
            else {}
        ),
        **({f"front_{front}_sites": part(FRONT_KEYS, sites)} if front else {}),
        "upstreams": [target for site in sites for target in _upstreams(site, place)]
        if front
        else [],
        "targets": [_front_target(site, front, place) for site in sites] if front else [],
    }


def _row(site: dict, front: str | None, place: Place) -> dict:
    """What the table at the end of a run says of a site."""
    scheme = "https" if site["tls"] else "http"
    name = next(iter(site["server_names"]), place.host)
    link = "/".join(filter(None, (site["link"], site["transport"])))
    return {
        "site": site["name"],
        "URL": f"{scheme}://{name}{site['script_name']}/" if front else None,
        "front": front,
        "back": site["back"] if place.is_back else None,
        "link": link,
        "release": site["release"]["id"] if place.is_back or site["serves_release"] else None,
    }


def _of_others(sites: list[dict]) -> set[str]:
    """Directories of static files that nothing of a site makes, and that have to be there."""
    paths = {static["path"] for site in sites for static in site["static"]}
    return {
        path for path in paths if not is_below(path, SITES_ROOT) and not is_below(path, STATE_ROOT)
    }


def _host(server_names: list[str], taken: set[str]) -> str:
    """A name that leads to a site and to no other: where it has a wildcard or none, one that no site names."""
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


def _target(site: dict, link: str, endpoint: dict, unit: str | None) -> dict:
    """What to probe of a site: its application below its mount, by one of its names."""
    where = {key: endpoint[key] for key in ("transport", "path", "host", "port") if key in endpoint}
    return {
        "name": site["name"],
        "site": site["name"],
        "link": link,
        "endpoint": where,
        "script_name": site["script_name"],
        "host": site["host"],
        "unit": unit,
        **site["health"],
    }


def _front_target(site: dict, front: str, place: Place) -> dict:
    """The site as clients reach it. Its tracebacks are in the log of its back, where that is on this host."""
    through = {
        "transport": "tcp",
        "host": LOOPBACK,
        "port": TLS_PORT if site["tls"] else FRONT_PORT,
    }
    log = f"{site['unit']}.service" if place.is_back else None
    target = {**_target(site, "http", through, FRONTS[front].unit), "log": log}
    return (
        {**target, "scheme": "https", "certificate": site["tls"]["certificate"]}
        if site["tls"]
        else target
    )


def _own_target(site: dict) -> dict:
    """The back of this host, which must not answer to who is none of its fronts."""
    target = _target(site, site["link"], site["endpoint"], f"{site['unit']}.service")
    if site["allowed"]:
        host = site["endpoint"]["host"]
        target["stranger"] = "::1" if ":" in host else "127.0.0.2"
        target["hint"] = f"check that link_address, {host}, is an address of this host"
    return target


def _upstreams(site: dict, place: Place) -> list[tuple[str, dict]]:
    """Each back's host, and how to ask it from this front."""
    found = []
    for back, endpoint in zip(place.backs, site["endpoints"]) if place.apart else ():
        own = place.fronts[place.host]
        hint = f"check link_address of host {back} and of this host, {own}, and that the firewall of {back} lets this host connect to port {endpoint['port']}"
        found.append(
            (
                back,
                {
                    **_target(site, site["link"], endpoint, None),
                    "name": f"{site['name']} on {back}",
                    "hint": hint,
                },
            )
        )
    return found


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
    return sorted(
        grouped.values(),
        key=lambda host: (
            rank[host["kind"]],
            -max(map(len, host["names"]), default=0),
            host["names"],
        ),
    )


def mistyped_variables(values: dict, options: dict[str, dict]) -> list[str]:
    """Faults of the roles' variables (name to value, which may be a template): a list or a boolean that is given as another text, as -e does."""
    types = {
        name: option.get("type", "str")
        for known in options.values()
        for name, option in known.items()
    }
    faults = []
    for name, value in sorted(values.items()):
        if isinstance(value, str) and "{{" in value:
            continue
        if types.get(name) == "list" and not isinstance(value, list):
            faults.append(
                f"{name}: expected a list, got {value!r}; with -e write JSON: '{{\"{name}\": [...]}}'"
            )
        if (
            types.get(name) == "bool"
            and not isinstance(value, bool)
            and str(value).lower() not in FLAGS
        ):
            faults.append(f"{name}: expected true or false, got {value!r}")
    return faults


def unknown_variables(names, options: dict[str, set[str]]) -> list[str]:
    """Faults of variables that carry a server role's prefix and are not among its options (role name to names of options)."""
    return [
        f"{name}: the role {role} has no such variable{nearest(name, known)}"
        for role, known in sorted(options.items())
        for name in sorted(names)
        if name.startswith(f"{role}_") and name not in known
    ]
