# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the chosen servers cannot do for a site, and what one site takes from another: refused
before a host is asked. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import BACKS, EMBEDDED, FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    STATE_ROOT,
    WRITTEN_BY_SITES,
    is_below,
)
from ansible_collections.pyweb.stack.plugins.module_utils._site import Site
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place

# What a site may take of its host.
LIMITS = ("memory_max", "cpu_quota", "tasks_max")
# What the C library and Python read as a process starts, and nothing can make up for later
# (ld.so(8), mallopt(3), python --help-env).
READ_AT_START = re.compile(
    "(LD|MALLOC)_.+|GLIBC_TUNABLES|PYTHON("
    "COERCECLOCALE|DEBUG|DEVMODE|EXECUTABLE|FAULTHANDLER|HASHSEED|HOME|INTMAXSTRDIGITS|MALLOC|MALLOCSTATS|NODEBUGRANGES"
    "|NOUSERSITE|OPTIMIZE|PERFSUPPORT|PLATLIBDIR|PROFILEIMPORTTIME|SAFEPATH|TRACEMALLOC|USERBASE|VERBOSE|WARNDEFAULTENCODING"
    "|WARNINGS)"
)
# What the sandbox of every front hides.
HIDDEN = ("/dev", "/home", "/proc", "/root", "/run/user", "/tmp", "/var/tmp")


def refuse_overrides(faults: Faults, site: Site, front: str | None) -> None:
    if front is None or FRONTS[front].overrides:
        return
    able = ", ".join(name for name in FRONTS if FRONTS[name].overrides)
    for number, static in enumerate(site.static):
        if static["allow_override"]:
            faults.add(
                f"sites[{site.label}].static[{number}].allow_override",
                f"front {front} reads no rules out of directories; leave the key out, or choose "
                f"front {able}",
            )


def refuse_unserved(faults: Faults, site: Site, place: Place) -> None:
    """Directories that no front could serve, or that hold more than what is for everybody."""
    for number, static in enumerate(site.static):
        path, where = static["path"] or "", f"sites[{site.label}].static[{number}].path"
        hidden = next((folder for folder in HIDDEN if f"{path}/".startswith(f"{folder}/")), None)
        if hidden:
            faults.add(
                where,
                f"{path!r} is below {hidden}, which the sandbox hides from the front; choose "
                "another directory, such as one below /srv",
            )
        if not f"{path}/".startswith(f"{STATE_ROOT}/"):
            continue
        own = f"{STATE_ROOT}/{site.name}"
        if not is_below(path, own):
            faults.add(
                where,
                f"{path!r} holds more than files for everybody; name a directory below {own}/, "
                f"such as {own}/media/",
            )
        elif place.apart:
            faults.add(
                where,
                f"{path!r} is written on the backs, and a front of another host has none of it; "
                "serve it by the application, "
                "or from a directory elsewhere that all hosts share",
            )


def refuse_unnamed(faults: Faults, front: str, variables: dict[str, Any]) -> None:
    """A front that Debian does not carry, and nobody says where to take it from; or a package from
    a URL that nothing vouches for.
    """
    named_by = FRONTS[front].named_by
    given = {name: variables[name] for name in named_by if variables.get(name)}
    if named_by and not given:
        faults.add(
            "front",
            f"Debian carries no {front}; say where yours comes from by {' or '.join(named_by)} "
            f"(see the README of the role front_{front})",
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
                f"{value!r} is not absolute; write an absolute path on the controller, such as "
                f"{{{{ inventory_dir }}}}/{value}",
            )


def refuse_beyond(faults: Faults, site: Site, fronts: tuple[str, ...]) -> None:
    for front in fronts:
        for key, most in FRONTS[front].limits:
            if (value := getattr(site, key)) is not None and value > most:
                faults.add(
                    f"sites[{site.label}].{key}",
                    f"{value} is more than front {front} can tell; the most is {most}",
                )


def refuse_planted(faults: Faults, site: Site, fronts: tuple[str, ...]) -> None:
    """Files out of a directory that the site's processes write, where a link would show other
    sites' files.
    """
    for front in fronts:
        for number, static in enumerate(site.static) if FRONTS[front].follows_links else ():
            if static["path"] and static["path"].startswith(WRITTEN_BY_SITES):
                what = (
                    f"{static['path']!r} is a directory that the site writes, and front "
                    f"{front} "
                    "follows every link in it, also to other sites' files"
                )
                faults.add(
                    f"sites[{site.label}].static[{number}].path",
                    f"{what}; let the application serve these files, or choose another front",
                )


def refuse_late(faults: Faults, site: Site) -> None:
    """Variables that a program reads as it starts, where the site's come later."""
    if site.back and not BACKS[site.back].starts_with_environment:
        for key in ("environment", "secrets"):
            for name in sorted(filter(READ_AT_START.fullmatch, getattr(site, key) or ())):
                others = ", ".join(back for back in BACKS if BACKS[back].starts_with_environment)
                what = (
                    f"{name!r} is read as a process starts, and those of back {site.back} "
                    "have the site's variables only later"
                )
                faults.add(
                    f"sites[{site.label}].{key}",
                    f"{what}; leave it out, or choose another back: {others}",
                )


def refuse_limits(faults: Faults, site: Site) -> None:
    """Limits of what runs inside the front, whose processes stand in the front's control group; and
    fewer tasks than the site itself asks for.
    """
    where = f"sites[{site.label}]"
    if site.link == EMBEDDED and site.back:
        possible = ", ".join(link for link in BACKS[site.back].links if link != EMBEDDED)
        for key in LIMITS:
            if getattr(site, key) is not None:
                faults.add(
                    f"{where}.{key}",
                    f"{EMBEDDED!r} runs inside the front, which has no limits for one site; leave "
                    f"the key out, or use link {possible}",
                )
    elif site.tasks_max and None not in (site.back, site.processes, site.threads):
        least = site.processes * (site.threads + 2) + BACKS[site.back].tasks
        if site.tasks_max < least:
            what = (
                f"{site.processes} processes of {site.threads} threads under "
                f"{site.back} need {least} at least"
            )
            faults.add(f"{where}.tasks_max", f"{site.tasks_max} is too few: {what}")


def refuse_clashes(faults: Faults, sites: list[Site], shared: Collection[str]) -> None:
    names: dict[str, int] = {}
    by_server_name: dict[str, list[Site]] = {}
    for site in sites:
        label = site.label
        if site.name:
            names[site.name] = names.get(site.name, 0) + 1
            if names[site.name] == 2:
                faults.add(
                    f"sites[{label}].name",
                    f"{site.name!r} is the name of more than one site; give each a name of its own",
                )
        if site.state == "absent" or site.server_names is None or site.mount is None:
            continue
        for server_name in site.server_names or [""]:
            others = by_server_name.setdefault(server_name, [])
            for other in others:
                # Capital letters do not count: to lighttpd two conditions are one where these alone
                # tell them apart.
                if other.mount.lower() == site.mount.lower():
                    shown = repr(server_name) if server_name else "(none: the catch-all)"
                    faults.add(
                        f"sites[{label}].server_names",
                        f"{shown} at mount {other.mount!r} belongs to site {other.label!r} "
                        "already; change the server name or the mount of one",
                    )
                for key in shared:
                    own, its = getattr(site, key), getattr(other, key)
                    if own != its and None not in (own, its):
                        what = f"{own} is not the {its} of site {other.label!r}"
                        faults.add(
                            f"sites[{label}].{key}",
                            f"{what}, and the front has one for all sites of a server name; make "
                            "them equal",
                        )
                refuse_hidden(faults, site, other)
                refuse_hidden(faults, other, site)
            others.append(site)


def refuse_hidden(faults: Faults, outer: Site, inner: Site) -> None:
    """Static files below the mount of another site, or around it: the fronts differ in whose they
    are.
    """
    for static in outer.static:
        url = outer.mount.rstrip("/") + (static["url"] or "")
        if len(inner.mount) <= len(outer.mount):
            continue
        if url.startswith(f"{inner.mount}/"):
            faults.add(
                f"sites[{outer.label}].static",
                f"{url!r} is below the mount of site {inner.label!r}, {inner.mount!r}; "
                "choose another URL",
            )
        elif static["url"] and f"{inner.mount}/".startswith(url):
            what = (
                f"{inner.mount!r} is below the files of site {outer.label!r}, {url!r}; "
                "choose another mount or URL"
            )
            faults.add(f"sites[{inner.label}].mount", what)
