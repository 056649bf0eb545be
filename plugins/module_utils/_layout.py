# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things are on a host: directories, sockets, ports, units and accounts of the front and of
each site. Pure.
"""

from __future__ import annotations

import zlib
from typing import Any, Protocol

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import EMBEDDED, FRONTS

# The account a Debian front runs as; its group reads static files and reaches the sockets.
FRONT_GROUP = "www-data"
HTTP_PORT = 80
# Below each of these, every site has a directory of its name.
SITES_ROOT = "/srv/www"
STATE_ROOT = "/var/lib/pyweb"
CACHE_ROOT = "/var/cache/pyweb"
SOCKETS_ROOT = "/run/pyweb"
CONFIGURATION_ROOT = "/etc/pyweb"
# A candidate: what a site is going to run, started beside what serves it. It is gone with a boot.
CANDIDATES_ROOT = "/run/pyweb-candidates"
UNITS = "/etc/systemd/system"
RUNTIME_UNITS = "/run/systemd/system"
# Of certificates by ACME: where certbot keeps them, what it is told, where it leaves the answers to
# challenges, and what it trusts where a site names certificates of its own.
CERTBOT_ROOT = "/etc/letsencrypt"
ACME_ROOT = f"{CONFIGURATION_ROOT}/.acme"
WEBROOT = f"{STATE_ROOT}/.acme"
CA_BUNDLE = "/run/pyweb-acme.pem"
# What the processes of sites can write to.
WRITTEN_BY_SITES = (f"{STATE_ROOT}/", f"{CACHE_ROOT}/")
# What the collection itself knows of a host, and its lock. Not below /run/lock, where every account
# may be first to make it.
RECORDS = f"{STATE_ROOT}/.changes"
LOCK = "/run/pyweb.lock"
# Below the kernel's default range of ephemeral ports (32768 to 60999), above the registered
# services in common use.
PORTS = range(20000, 30000)


class Stack(Protocol):
    """What serves a site."""

    name: str
    back: str
    link: str
    transport: str | None


def release_of(site: str, identifier: str) -> str:
    """The directory of a release."""
    return f"{SITES_ROOT}/{site}/releases/{identifier}"


def current_of(site: str) -> str:
    """The link to the release that is served."""
    return f"{SITES_ROOT}/{site}/current"


def lineage_of(site: str) -> str:
    """What certbot calls a site's certificates, each of which replaces the one before it."""
    return f"pyweb-{site}"


def live(lineage: str) -> str:
    """Where certbot keeps the newest certificate of a lineage, and its key."""
    return f"{CERTBOT_ROOT}/live/{lineage}"


def paths_of(site: str, unit: str) -> dict[str, str]:
    """The directories and files of a site that is run by a unit (named without its suffix)."""
    configuration = f"{CONFIGURATION_ROOT}/{site}"
    return {
        "home": f"{SITES_ROOT}/{site}",
        "current": current_of(site),
        "state": f"{STATE_ROOT}/{site}",
        "cache": f"{CACHE_ROOT}/{site}",
        "sockets": f"{SOCKETS_ROOT}/{site}",
        "configuration": configuration,
        "environment": f"{configuration}/{unit}.environment",
        "secrets": f"{configuration}/{unit}.secrets",
    }


def candidate_unit(site: str) -> str:
    """The unit of a site's candidate, without its suffix. No site's own unit ends so."""
    return f"pyweb-{site}-candidate"


def candidate_paths(site: str) -> dict[str, str]:
    """As paths_of, for a site's candidate. What it writes it shares with what serves."""
    folder = f"{CANDIDATES_ROOT}/{site}"
    return {
        **paths_of(site, candidate_unit(site)),
        "current": f"{folder}/current",
        "sockets": folder,
        "configuration": folder,
        "environment": f"{folder}/environment",
        "secrets": f"{folder}/secrets",
    }


def port_of(key: str, taken: set[int]) -> int:
    """A port that stays the same while other sites come and go, unless two keys meet."""
    start = zlib.crc32(key.encode()) % len(PORTS)
    port: int = next(port for port in (*PORTS[start:], *PORTS[:start]) if port not in taken)
    taken.add(port)
    return port


def socket_of(path: str) -> dict[str, Any]:
    """An endpoint in the file system."""
    return {"transport": "unix", "path": path, "address": path}


def endpoint_of(host: str, port: int) -> dict[str, Any]:
    """An endpoint of an address."""
    written = f"[{host}]" if ":" in host else host
    return {"transport": "tcp", "host": host, "port": port, "address": f"{written}:{port}"}


def endpoints_of(site: Stack, hosts: list[str], taken: set[int]) -> list[dict[str, Any]]:
    """Where the backs on these hosts listen for the site."""
    if site.transport is None:
        return []
    if site.transport == "unix":
        return [socket_of(f"{SOCKETS_ROOT}/{site.name}/{site.back}-{site.link}.sock")]
    # A host may still have the one instance that sites under mod_wsgi shared, which serves until
    # the front has moved.
    own = "/own" if site.back == "mod_wsgi" else ""
    port = port_of(f"{site.name}/{site.back}/{site.link}{own}", taken)
    return [endpoint_of(host, port) for host in hosts]


def unit_of(site: Stack, front: str) -> str:
    """The systemd unit that runs a site, without its suffix."""
    if site.link == EMBEDDED:
        return FRONTS[front].unit.removesuffix(".service")
    return f"pyweb-{site.name}-{site.back}-{site.link}-{site.transport}"


def slice_of(name: str) -> str:
    """What holds all that runs for a site. A dash would make it a part of the slice that the words
    before it name (systemd.slice(5)).
    """
    return "pyweb-" + name.replace("-", r"\x2d") + ".slice"


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path leads into a directory."""
    return path.rstrip("/") != folder and path.startswith(f"{folder}/")


def passed(paths: list[str], top: str) -> list[str]:
    """The directories between a directory and some below it, which a front passes through and does
    not read.
    """
    found = set()
    for path in paths:
        parts = path[len(top) + 1 :].split("/")
        found |= {"/".join([top, *parts[:depth]]) for depth in range(1, len(parts))}
    return sorted(found - set(paths))
