# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a converged scenario serves, asked from outside. molecule/shared/verify.yml says in
PYWEB_STACK which hosts there are.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass, field

import pytest
import requests
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    DEFAULTS,
    links_between,
    transports_of,
)

STACK = json.loads(os.environ.get("PYWEB_STACK", "{}"))


@dataclass(frozen=True)
class Site:
    """One site of one host, and how to ask it."""

    host: str
    container: str
    address: str
    front: str
    knows_front: bool = True  # over http an application knows it only by its own environment
    name: str = "sample"
    back: str = DEFAULTS["back"]
    link: str = ""
    transport: str | None = "unix"
    mount: str = "/"
    application: str = "sample:application"
    server_names: list[str] = field(default_factory=list, hash=False)

    @property
    def auth(self) -> tuple[str, str] | None:
        """Name and password, where the front asks for them; see tests/conformance/app/users."""
        return ("alice", "wonderland") if self.application.startswith("authenticated:") else None

    @property
    def url(self) -> str:
        """The address of the site, without its final slash."""
        return f"http://{self.address}{self.mount.rstrip('/')}"

    def run(self, account: str, *argv: str) -> subprocess.CompletedProcess:
        """Run a command in the site's container as an account."""
        command = ["docker", "exec", self.container, "runuser", "-u", account, "--", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def ask(
        self, path: str = "/", method: str = "GET", headers: dict | None = None, **more
    ) -> requests.Response:
        """Ask for a path below the mount. The environment's proxies are for others."""
        with requests.Session() as session:
            session.trust_env = False
            more.setdefault("auth", self.auth)
            names = {"Host": self.server_names[0]} if self.server_names else {}
            return session.request(
                method,
                self.url + path,
                headers={**names, **(headers or {})},
                timeout=30,
                allow_redirects=False,
                **more,
            )


def all_sites() -> list[Site]:
    """Every site of every host; a host that names none has the sample site."""
    found = []
    for host, told in STACK.items():
        front = told["front"] or DEFAULTS["front"]
        for site in told["sites"] or [{}]:
            keys = {
                key: site[key]
                for key in (
                    "name",
                    "back",
                    "link",
                    "transport",
                    "mount",
                    "application",
                    "server_names",
                )
                if key in site
            }
            keys.setdefault("link", links_between(front, keys.get("back", DEFAULTS["back"]))[0])
            stack = front, keys.get("back", DEFAULTS["back"]), keys["link"]
            keys.setdefault("transport", next(iter(transports_of(*stack)), None))
            keys["knows_front"] = (
                not site or keys["link"] != "http" or "PYWEB_FRONT" in site.get("environment", {})
            )
            found.append(
                Site(
                    host=host,
                    container=told["container"],
                    address=told["address"],
                    front=front,
                    **keys,
                )
            )
    return found


def pytest_generate_tests(metafunc):
    """Fixtures: any_site, and one for the sites that run each application."""
    kinds = {
        "any_site": "",
        "sample": "sample:",
        "httpbin": "httpbin:",
        "conformance": "conformance:",
        "authenticated": "authenticated:",
    }
    for fixture, application in kinds.items():
        if fixture in metafunc.fixturenames:
            sites = [site for site in all_sites() if site.application.startswith(application)]
            metafunc.parametrize(fixture, sites, ids=[f"{site.host}-{site.name}" for site in sites])
    if "host" in metafunc.fixturenames:
        hosts = {site.host: site for site in all_sites()}
        metafunc.parametrize("host", list(hosts.values()), ids=list(hosts))


# Groups that wait for minutes: whoever begins with them need not wait for them at the end.
LONG = ("slow", "failures", "streams")


def pytest_collection_modifyitems(items):
    """What waits longest comes first; and the groups of one conformance site are far apart, so that
    the workers ask different sites.
    """

    def rank(item):
        called = getattr(item, "callspec", None)
        group = called.params.get("group") if called else None
        if group in LONG:
            return 0, LONG.index(group)
        return 1, called.indices["group"] if group else -1

    items.sort(key=rank)


@pytest.fixture(name="conformance_sites")
def the_sites_of_a_host_that_run_the_conformance_application(host):
    return [
        site
        for site in all_sites()
        if site.host == host.host and site.application.startswith("conformance:")
    ]


@pytest.fixture(name="own_address", scope="session")
def the_address_that_the_hosts_see():
    """The address of this machine on the hosts' network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((all_sites()[0].address, 80))
        return probe.getsockname()[0]
