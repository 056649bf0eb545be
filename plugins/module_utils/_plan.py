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
from collections.abc import Collection
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.pyweb.stack.plugins.module_utils._acme import (
    check_defaults,
    leader_of,
    refuse_two_accounts,
    told,
)
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    DEFAULTS,
    EMBEDDED,
    FRONTS,
    TCP_ONLY,
    TRANSPORTS,
    links_of,
    why_tcp,
)
from ansible_collections.pyweb.stack.plugins.module_utils._conflicts import (
    refuse_beyond,
    refuse_clashes,
    refuse_late,
    refuse_limits,
    refuse_overrides,
    refuse_planted,
    refuse_unnamed,
    refuse_unserved,
)
from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults, kind_of, nearest
from ansible_collections.pyweb.stack.plugins.module_utils._finished import keys_of
from ansible_collections.pyweb.stack.plugins.module_utils._keys import APP, BACK, FRONT, INSIDE
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    HTTP_PORT,
    SITES_ROOT,
    STATE_ROOT,
    WEBROOT,
    candidate_paths,
    candidate_unit,
    endpoint_of,
    endpoints_of,
    is_below,
    passed,
    paths_of,
    port_of,
    release_of,
    slice_of,
    socket_of,
    unit_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._listeners import (
    Listener,
    listeners,
    nearest_listener,
)
from ansible_collections.pyweb.stack.plugins.module_utils._proxies import check_proxies
from ansible_collections.pyweb.stack.plugins.module_utils._role_variables import flag
from ansible_collections.pyweb.stack.plugins.module_utils._site import HOOKS, Site, check_site
from ansible_collections.pyweb.stack.plugins.module_utils._targets import (
    front_target,
    own_target,
    request_host,
    upstreams_of,
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

# What of a host goes with the sites and servers that it shall have no longer, and how that may be
# written.
REMOVAL = {"prune": True, "remove_data": False, "remove_packages": False}
# A file inside the source that says what to install for it.
PROJECT = "pyproject.toml"


class PlanError(ValueError):
    """Every fault that was found, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def sample_site(front: str, source: str) -> dict[str, Any]:
    """The site of an inventory that names none: the catch-all, whose page shows the stack that
    serves it.
    """
    return {
        "name": "sample",
        "application": "sample:application",
        "source": {"path": source},
        "environment": {"PYWEB_FRONT": front},
        "static": [{"url": "/static/", "path": "static/", "max_age": 3600}],
    }


def _choice(faults: Faults, where: str, value: Any, possible: Collection[str]) -> str | None:
    if isinstance(value, str) and value in possible:
        return value
    hint = nearest(value, possible) if isinstance(value, str) else ""
    faults.add(where, f"{value!r} is unknown; possible: {', '.join(possible)}{hint}")
    return None


@dataclass(frozen=True)
class Host:
    """What a host is to have, whatever its sites say.

    fronts: the servers before its sites, each once; none where one of them is unknown.
    front: its own, where it is a front.
    back, link, transport: of the sites that name none.
    acme: of the certificates of its sites, what they do not say themselves.
    proxies: networks that its front believes.
    listeners, tls_listeners: where its front listens.
    """

    place: Place
    fronts: tuple[str, ...]
    front: str | None
    back: str | None
    link: str | None
    transport: str | None
    profile: str | None
    acme: dict[str, Any]
    proxies: list[str]
    removal: dict[str, bool]
    listeners: tuple[Listener, ...]
    tls_listeners: tuple[Listener, ...]


class Stack(NamedTuple):
    """What runs a site, as far as it is known."""

    back: str | None
    link: str | None
    transport: str | None


def _choose(
    faults: Faults, values: dict[str, Any], place: Place, variables: dict[str, Any] | None
) -> Host:
    """The servers of a host and its defaults."""
    chosen = {
        key: values.get(key) or DEFAULTS.get(key)
        for key in ("front", "back", "link", "transport", "tls_profile")
    }
    servers = (
        tuple(server or DEFAULTS["front"] for server in place.servers)
        if place.apart
        else (chosen["front"],)
    )
    fronts = tuple(filter(None, [_choice(faults, "front", server, FRONTS) for server in servers]))
    fronts = fronts if len(fronts) == len(servers) else ()
    front = chosen["front"] if fronts and place.is_front else None
    if front and variables is not None:
        refuse_unnamed(faults, front, variables)
    # Also where every site has values of its own.
    _choice(faults, "back", chosen["back"], BACKS)
    _choice(faults, "transport", chosen["transport"] or TRANSPORTS[0], TRANSPORTS)
    given = variables or {}
    return Host(
        place=place,
        fronts=fronts,
        front=front,
        back=chosen["back"],
        link=chosen["link"],
        transport=chosen["transport"],
        profile=_choice(faults, "tls_profile", chosen["tls_profile"], PROFILES),
        acme=check_defaults(faults, values.get("acme")),
        proxies=check_proxies(faults, values.get("trusted_proxies"), fronts),
        removal={
            key: flag(faults, key, values.get(key), default) for key, default in REMOVAL.items()
        },
        listeners=listeners(faults, f"front_{front}_listen", given, HTTP_PORT),
        tls_listeners=listeners(faults, f"front_{front}_listen_tls", given, TLS_PORT),
    )


def _release(site: Site, digest: str, runtime: str) -> dict[str, Any]:
    """A release is named after all that goes into it, so the same input is the same release."""
    parts = [digest, site.source.get("package"), site.requirements, site.python]
    name = _name_of([*parts, runtime])
    return {
        "id": name,
        "path": release_of(site.name, name),
        "source": _name_of(parts),
        "from": site.source.get("path") or site.source.get("package"),
    }


def _name_of(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _timeouts(site: Site) -> dict[str, int]:
    """Every time limit that follows from a site's own, in seconds.

    error_timeout: silence of an application after which Apache answers in its place, under
        mod_wsgi.
    answer_timeout: silence of a back after which its front gives up; later than the back itself.
    connect_timeout: for a connection to a back; shorter where another one can be asked.
    retry_after: until a back that was down is asked again; at once where it is the only one.
    stop_timeout: until what is left of a back that shall stop is killed.
    silence: of the application, after which its process is ended.
    """
    error_timeout = site.request_timeout + 2
    several = len(site.endpoints) > 1
    return {
        "error_timeout": error_timeout,
        "answer_timeout": site.request_timeout + 5,
        "connect_timeout": 2 if several else 5,
        "retry_after": 10 if several else 0,
        "stop_timeout": site.request_timeout + 15,
        # Under mod_wsgi, Apache has no answer that fits once the process has died.
        "silence": error_timeout + 1 if site.back == "mod_wsgi" else site.request_timeout,
    }


def _build(site: Site, contents: str) -> str:
    """What is going to be built of a site, in words."""
    source, requirements = (
        site.source.get("path") or site.source.get("package"),
        site.requirements,
    )
    needs = (
        requirements
        if isinstance(requirements, str)
        else ", ".join(requirements) or "no requirements"
    )
    return (
        f"{site.name} - release {site.release['id']} from "
        f"{source}{f' ({contents})' if contents else ''}, {site.python}, {needs}"
    )


def _runtime(site: Site) -> dict[str, str]:
    """What the wrapper around the application and flup's runner read from their environment."""
    keys = (
        "back", "link", "transport", "script_name", "application", "processes", "threads",
        "request_timeout", "silence", "max_requests",
    )  # fmt: skip
    known = {
        f"PYWEB_{key.upper()}": str(getattr(site, key))
        for key in keys
        if getattr(site, key) is not None
    }
    where = {"PYWEB_ENDPOINT": site.endpoint["address"]} if site.endpoint else {}
    allowed = {"PYWEB_ALLOWED": ",".join(site.allowed)} if site.allowed else {}
    return {"PYWEB_SITE": site.name, **where, **allowed, **known}


def _stack(faults: Faults, where: str, own: Stack, host: Host) -> Stack:
    """The back, link and transport of a site, of which it has some of its own."""
    fronts, place = host.fronts, host.place
    link = own.link or (host.link if not own.back or own.back == host.back else None)
    back = _choice(faults, f"{where}back" if own.back else "back", own.back or host.back, BACKS)
    transport = own.transport or host.transport
    if transport:
        transport = _choice(
            faults, f"{where}transport" if own.transport else "transport", transport, TRANSPORTS
        )
    if back:
        possible = links_of(fronts, back)
        if link is None:
            link = next(each for each in possible if not (each == EMBEDDED and place.apart))
        elif link not in possible:
            faults.add(
                f"{where}link" if own.link else "link",
                f"{link!r} does not join front {', '.join(fronts) or '(unknown)'} and back {back}; "
                f"they can use: {', '.join(possible)}",
            )
            link = None
        elif link == EMBEDDED and place.apart and set(place.fronts) != set(place.backs):
            alone = ", ".join(sorted(set(place.fronts) ^ set(place.backs)))
            faults.add(
                f"{where}link" if own.link else "link",
                f"{link!r} runs inside the front, so that every front has to be a back, too, and "
                f"every back a front; {alone} is in one of the "
                "groups fronts and backs alone; use: "
                f"{', '.join(each for each in possible if each != EMBEDDED)}",
            )
            link = None
        if link and fronts:
            transport = _transport(
                faults, where, own, transport, [(front, back, link) for front in fronts], place
            )
    return Stack(back, link, transport)


def _transport(
    faults: Faults,
    where: str,
    own: Stack,
    chosen: str | None,
    stacks: list[tuple[str, str, str]],
    place: Place,
) -> str | None:
    """The transport of a site whose fronts, back and link are known: the chosen one, or the
    best.
    """
    if stacks[0][2] == EMBEDDED:
        if own.transport:
            faults.add(
                f"{where}transport",
                f"{EMBEDDED!r} runs inside front {stacks[0][0]} and has no transport; leave "
                "the key out",
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
            f"{where}transport" if own.transport else "transport",
            f"{chosen!r} is not possible: {why}; use tcp",
        )
    return chosen or possible[0]


def plan(
    values: dict[str, Any],
    sources: dict[str, Any] | None = None,
    runtime: str = "",
    sample_source: str = "sample",
    place: Place | None = None,
    variables: dict[str, Any] | None = None,
    certificates: dict[str, Any] | None = None,
    debian: int | None = None,
) -> dict[str, Any]:
    """Settle everything for one host.

    values: front, back, link, transport, tls_profile, acme, trusted_proxies, sites, prune,
        remove_data and remove_packages, as the inventory has them; None or missing is the
        default.
    sources: for each site whose source is a path, its digest, its requirements, and what of it is
        deployed, in words.
    runtime: digest of the files that are installed beside every application.
    place: the hosts that are fronts and backs, where it is not this one alone that is both.
    variables: those of the front's role that say where it comes from, and where it listens; None:
        not known here, and not asked for.
    certificates: for each site whose certificate is given, its chain, its private_key, and whether
        clients may trust it.
    debian: the release of the host, where it is known.

    Raises PlanError with all faults.
    """
    faults = Faults()
    host = _choose(faults, values, place or Place(), variables)
    sites, absent = _check(faults, values.get("sites"), host, sample_source, debian)
    shared = {key for server in host.fronts for key in FRONTS[server].shared}
    refuse_clashes(faults, sites + absent, shared)
    refuse_disagreement(faults, sites)
    refuse_two_accounts(faults, sites)
    if faults:
        raise PlanError(faults.lines)
    taken: set[int] = set()
    names = {name for site in sites for name in site.server_names}
    for site in sorted(sites, key=lambda site: site.name):
        _derive(site, host, (sources or {}).get(site.name, {}), runtime, taken, names)
    issued = _secure(sites, certificates or {})
    # After all others, whose ports do not move by them.
    for site in sorted(sites, key=lambda site: site.name):
        site.candidate = _candidate(site, taken)
    planned = _cut(sites, host)
    if any(site.tls for site in sites):
        planned["tls"] = of_host(host.profile or DEFAULTS["tls_profile"], debian)
    if host.front and host.proxies:
        planned["trusted_proxies"] = host.proxies
    if issued and host.front:
        planned["acme_sites"] = issued
        planned["sets"].insert(-1, "acme")  # before the front
    return {**planned, "sites": sorted(site.name for site in sites + absent), **host.removal}


def _secure(sites: list[Site], certificates: dict[str, Any]) -> list[dict[str, Any]]:
    """Settle the TLS of all sites. Returns what certbot is told of those that have a certificate by
    ACME of their own.
    """
    by_acme = [site for site in sites if site.tls and site.tls["acme"]]
    leaders = {site.name: leader_of(site, by_acme) for site in by_acme}
    settled = {
        site.name: settle(site, certificates.get(site.name), leaders.get(site.name))
        for site in sites
    }
    issued = [
        told(site, settled[site.name] or {}, certificates.get(site.name, {}).get("authority"))
        for site in by_acme
        if leaders[site.name] is site
    ]
    for site in sites:
        acme = site.tls and site.tls["acme"]
        site.challenges = WEBROOT if acme and acme["challenge"] == "http" else None
        site.tls = settled[site.name]
    return issued


def _check(
    faults: Faults, given: Any, host: Host, sample_source: str, debian: int | None
) -> tuple[list[Site], list[Site]]:
    """The sites that are to be there, each with its stack, and those that are not."""
    if given is None or given == []:
        given = [sample_site(", ".join(host.fronts), sample_source)]
    if not isinstance(given, list):
        how = "write each as an item, - name: ..., or with -e as JSON: '{\"sites\": [...]}'"
        faults.add("sites", f"expected a list of sites, got {kind_of(given)}; {how}")
        given = []
        _stack(faults, "", Stack(None, None, None), host)
    sites: list[Site] = []
    absent: list[Site] = []
    for number, raw in enumerate(given):
        site = check_site(faults, number, raw)
        if site is not None and site.state == "absent":
            absent.append(site)
        elif site is not None:
            own = Stack(site.back, site.link, site.transport)
            stack = _stack(faults, f"sites[{site.label}].", own, host)
            for name, value in stack._asdict().items():
                setattr(site, name, value)
            _refuse(faults, site, host)
            without = tuple(server for server in host.fronts if not FRONTS[server].tls)
            site.tls = check_tls(faults, site, without, debian, host.acme)
            sites.append(site)
    return sites, absent


def _refuse(faults: Faults, site: Site, host: Host) -> None:
    """What the chosen servers cannot do for a site."""
    refuse_overrides(faults, site, host.front)
    refuse_unserved(faults, site, host.place)
    refuse_beyond(faults, site, host.fronts)
    refuse_planted(faults, site, host.fronts)
    refuse_limits(faults, site)
    refuse_late(faults, site)


def _derive(
    site: Site,
    host: Host,
    source: dict[str, Any],
    runtime: str,
    taken: set[int],
    names: set[str],
) -> None:
    """All that follows from what a site and its host say.

    taken: the ports that other sites have. names: the server names of all sites.
    """
    place = host.place
    named = site.requirements
    # What the source says: where the site does not, or where it names a file that pip does not read
    # as a list.
    if named is None or (isinstance(named, str) and named.rpartition("/")[2] == PROJECT):
        site.requirements = source.get("requirements", [])
    site.back_requirements = list(BACKS[site.back].requirements)
    site.needs_system_python = BACKS[site.back].needs_system_python
    site.script_name = "" if site.mount == "/" else site.mount
    site.endpoints = endpoints_of(
        site, list(place.backs.values()) if place.apart else [LOOPBACK], taken
    )
    own = [
        endpoint
        for endpoint in site.endpoints
        if not place.apart or endpoint["host"] == place.backs.get(place.host)
    ]
    site.endpoint = next(iter(own), None)
    site.allowed = place.allowed if site.endpoint else []
    site.release = _release(
        site, source.get("digest", ""), runtime + "".join(site.back_requirements)
    )
    site.build = _build(site, source.get("contents", ""))
    site.account = site.name
    site.host = request_host(site.server_names, names)
    site.unit = unit_of(site, host.fronts[0])
    site.slice = slice_of(site.name)
    site.paths = paths_of(site.name, site.unit)
    for name, seconds in _timeouts(site).items():
        setattr(site, name, seconds)
    site.runtime = _runtime(site)
    site.start_timeout = site.health["timeout"]
    site.target = own_target(site, site.endpoint) if site.endpoint else None
    site.extra = site.extra.get(host.front, "")
    for name in HOOKS:
        hooks = [hook for hook in getattr(site, name) if place.leads or not hook["once"]]
        setattr(site, name, hooks)
    _derive_static(site, place)


def _candidate(site: Site, taken: set[int]) -> dict[str, Any]:
    """What a site has otherwise while it is tried beside what serves it. Inside the front nothing
    else can listen for it.
    """
    beside = copy(site)
    beside.unit, beside.paths = candidate_unit(site.name), candidate_paths(site.name)
    found = ["unit", "paths"]
    if site.endpoint:
        if (site.back, site.link) in TCP_ONLY:
            port = port_of(beside.unit, taken)
            beside.endpoint = endpoint_of(LOOPBACK, port)
        else:
            beside.transport = "unix"
            beside.endpoint = socket_of(f"{beside.paths['sockets']}/{site.link}.sock")
        beside.allowed = []
        # Nobody but the probe has asked it anything.
        beside.stop_timeout = 5
        beside.runtime = _runtime(beside)
        beside.target = own_target(beside, beside.endpoint)
        found += ["endpoint", "allowed", "stop_timeout", "runtime", "target"]
    return {key: getattr(beside, key) for key in found}


def _derive_static(site: Site, place: Place) -> None:
    """Where the files are that the front serves, and which of these directories the site writes
    itself.
    """
    paths = [static["path"] for static in site.static]
    # The link to the current release is the back's; a front alone goes over to a new one by a
    # reload.
    release = site.paths["current"] if place.is_back else site.release["path"]
    site.directories = [path for path in paths if not path.startswith("/")]
    site.serves_release = bool(site.directories)
    site.published = sorted({path.rstrip("/") for path in paths if is_below(path, STATE_ROOT)})
    site.passed = passed(site.published, site.paths["state"])
    for static in site.static:
        static["url"] = site.script_name + static["url"]
        if not static["path"].startswith("/"):
            static["path"] = f"{release}/{static['path']}"
        # A site that may write into a directory of files must not link to those of others.
        static["follow_links"] = is_below(static["path"], SITES_ROOT)


def _cut(sites: list[Site], host: Host) -> dict[str, Any]:
    """For each role what it is to see, by the table of finished keys; a role sees nothing that it
    does not use.
    """
    front, place = host.front, host.place

    def part(seer: str, chosen: list[Site]) -> list[dict[str, Any]]:
        keys = keys_of(seer)
        return [{key: site.value(key) for key in keys} for site in chosen]

    backs = (
        [back for back in BACKS if any(site.back == back for site in sites)]
        if place.is_back
        else []
    )
    # A front alone serves static files out of releases, and runs nothing.
    served = [site for site in sites if site.serves_release] if front else []
    embedded = [site for site in sites if site.link == EMBEDDED]
    secure = any(site.tls for site in sites)
    ports = dict.fromkeys(
        each.port for each in (*host.listeners, *(host.tls_listeners if secure else ()))
    )
    return {
        "front": front,
        "asks": bool(front and FRONTS[front].asks),
        "backs": backs,
        "commands_once": bool(backs and place.apart)
        and any(hook["once"] for site in sites for hook in site.before_switch),
        "sets": [
            "app",
            *(f"back_{back}" for back in backs),
            *([f"front_{front}"] if front else []),
        ],
        "ports": [{"port": port, "unit": FRONTS[front].unit} for port in ports] if front else [],
        "serves": sorted(_of_others(sites)) if front else [],
        "table": [_row(site, host) for site in sites],
        "app_sites": part(APP, sites if place.is_back else served),
        **{
            f"back_{back}_sites": part(
                BACK,
                [site for site in sites if site.back == back and site.link != EMBEDDED],
            )
            for back in backs
        },
        **(
            {f"front_{front}_embedded_sites": part(INSIDE, embedded)}
            if front and EMBEDDED in FRONTS[front].links
            else {}
        ),
        **({f"front_{front}_sites": part(FRONT, sites)} if front else {}),
        "upstreams": [target for site in sites for target in upstreams_of(site, place)]
        if front
        else [],
        "targets": [
            front_target(site, front, nearest_listener(host.listeners), _through(site, host), place)
            for site in sites
        ]
        if front
        else [],
    }


def _through(site: Site, host: Host) -> Listener:
    """Where clients of the host itself reach a site."""
    return nearest_listener(host.tls_listeners if site.tls else host.listeners)


def _row(site: Site, host: Host) -> dict[str, Any]:
    """What the table at the end of a run says of a site."""
    scheme, usual = ("https", TLS_PORT) if site.tls else ("http", HTTP_PORT)
    name = next(iter(site.server_names), host.place.host)
    port = _through(site, host).port
    shown = name if port == usual else f"{name}:{port}"
    is_back = host.place.is_back
    return {
        "site": site.name,
        "URL": f"{scheme}://{shown}{site.script_name}/" if host.front else None,
        "front": host.front,
        "back": site.back if is_back else None,
        "link": "/".join(filter(None, (site.link, site.transport))),
        "release": site.release["id"] if is_back or site.serves_release else None,
    }


def _of_others(sites: list[Site]) -> set[str]:
    """Directories of static files that nothing of a site makes, and that have to be there."""
    paths = {static["path"] for site in sites for static in site.static}
    return {
        path for path in paths if not is_below(path, SITES_ROOT) and not is_below(path, STATE_ROOT)
    }
