#!/usr/bin/env python3
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of the matrix, from the plan's own table: a host for each front and release of
Debian; on each, every back, link and transport runs the conformance application at the root of a
server name, and again under a prefix of another, at whose root every back and link run a real
application.
The sample site is on each host once, with the links that are chosen for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(COLLECTION / ".ansible" / "collections"), str(COLLECTION / "tests")]

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    FRONTS,
    RELEASES,
    combinations,
    transports_of,
)
from traits import TRAITS

MAX_BODY_SIZE = 4 * 1024 * 1024
CONFORMANCE = {"path": str(COLLECTION / "tests" / "conformance" / "app")}


def sites_of(back: str, link: str, transport: str | None, real: bool) -> list[dict]:
    """The sites of one combination, a real application among them or not: its build takes longer
    than all that is asked of it.
    """
    # A site's name has no underscore, and at most 31 characters.
    name = "-".join(filter(None, (back.replace("_", "-"), link, transport)))
    stack = {
        "back": back,
        "link": link,
        "processes": 1,
        **({"transport": transport} if transport else {}),
    }
    httpbin = {
        "name": name,
        "server_names": [f"{name}.test"],
        "threads": 2,
        "application": "httpbin:app",
        "source": {"package": "httpbin==0.10.2"},
        "static": [
            {
                "url": "/flasgger_static/",
                "path": "site-packages/flasgger/ui3/static/",
                "max_age": 60,
            }
        ],
    }
    conformance = {
        "threads": 4,
        "application": "conformance:application",
        "source": CONFORMANCE,
    }
    large = {
        "name": f"c-{name}",
        "server_names": [f"c-{name}.test"],
        "max_body_size": 64 * 1024 * 1024,
        # Over uwsgi and scgi the end of a killed process is known by this time alone.
        "request_timeout": 20,
    }
    # Short and small enough for a test to go beyond them.
    limits = {
        "request_timeout": 5,
        "max_body_size": MAX_BODY_SIZE,
        "environment": {"CONFORMANCE_MAX_BODY_SIZE": str(MAX_BODY_SIZE)},
    }
    prefixed = {"name": f"cp-{name}", "server_names": [f"{name}.test"], "mount": "/app", **limits}
    return [
        *([{**stack, **httpbin}] if real else []),
        *(
            {**stack, **conformance, **site, "static": files_of(site["name"])}
            for site in (large, prefixed)
        ),
    ]


def files_of(name: str) -> list[dict]:
    """Of the release, which is root's, and of the site's own directory."""
    return [
        {"url": "/static/", "path": "static/"},
        {"url": "/state/planted/", "path": f"/var/lib/pyweb/{name}/planted/"},
    ]


def users_of(name: str) -> str:
    """The file of names and passwords in a site's release."""
    return f"/srv/www/{name}/current/users"


def authenticated(front: str) -> list[dict]:
    """A site for each link of a front, to which the front lets only those whom it knows."""
    stacks = {link: back for chosen, back, link in combinations() if chosen == front}
    return [
        {
            "name": f"auth-{link}",
            "server_names": [f"auth-{link}.test"],
            "application": "authenticated:application",
            "source": CONFORMANCE,
            "back": back,
            "link": link,
            "processes": 1,
            "extra": {front: TRAITS[front].authenticates.format(users=users_of(f"auth-{link}"))},
        }
        for link, back in stacks.items()
    ]


def sample(front: str) -> dict:
    return {
        "name": "sample",
        "server_names": ["sample.test"],
        "mount": "/sample",
        "application": "sample:application",
        "source": {"path": str(COLLECTION / "roles" / "app" / "files" / "sample")},
        "environment": {"PYWEB_FRONT": front},
        "static": [
            {"url": "/static/", "path": "static/"},
            {"url": "/media/", "path": "/var/lib/pyweb/sample/public/media/"},
        ],
    }


def inventory(fronts: list[str], **variables: str) -> dict:
    """In the form of ansible-inventory --list; in variables {release} stands for 12 or 13."""
    hosts = {
        f"{front}-{release}": {
            "front": front,
            "front_apache_modules": ["auth_basic", "authn_core", "authn_file", "authz_user"],
            **{name: value.replace("{release}", str(release)) for name, value in variables.items()},
            "sites": [sample(front), *authenticated(front)]
            + [
                site
                for chosen, back, link in combinations()
                if chosen == front
                for number, transport in enumerate(transports_of(front, back, link) or (None,))
                for site in sites_of(back, link, transport, real=number == 0)
            ],
        }
        for front in fronts
        for release in RELEASES
    }
    groups = {
        f"debian{release}": {"hosts": [name for name in hosts if name.endswith(f"-{release}")]}
        for release in RELEASES
    }
    return {**groups, "_meta": {"hostvars": hosts}}


if __name__ == "__main__":
    # A front that Debian does not carry has a scenario of its own.
    json.dump(
        inventory([front for front in FRONTS if not FRONTS[front].named_by]), sys.stdout, indent=1
    )
