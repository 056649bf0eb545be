# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The conformance client's checks, of every site that runs the conformance application."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import client
import pytest
import steady
from deviations import load

ROWS = load()


@pytest.mark.parametrize("group", client.GROUPS)
def test_conformance(conformance, group):
    target = client.Target(
        address=conformance.address,
        mount=conformance.mount.rstrip("/"),
        name=conformance.server_names[0],
        **{key: getattr(conformance, key) or "" for key in ("front", "back", "link", "transport")},
    )
    # A back that is too slow ends its process, and with it what another worker of pytest is asking
    # it.
    with open(
        Path(tempfile.gettempdir()) / f"pyweb-{conformance.host}-{conformance.name}.lock", "w"
    ) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if group == "slow" else fcntl.LOCK_SH)
        results = client.run(target, group, ROWS)
    if not results:
        pytest.skip("the site's request_timeout is too long to wait for")
    bad = [result for result in results if not result.good]
    assert not bad, "\n" + client.table(bad, everything=True)


# IPv6 leads from this machine to no container.
INSIDE = """
import errno, http.client, json, sys
for name, path in json.load(sys.stdin):
    connection = http.client.HTTPConnection("::1", 80, timeout=20)
    try:
        connection.request("GET", path, headers={"Host": name})
    except OSError as error:
        sys.exit(9 if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) else repr(error))
    print(name, path, json.loads(connection.getresponse().read())["REMOTE_ADDR"])
"""


def test_conformance_over_ipv6(host, conformance_sites):
    asked = [(site.server_names[0], site.mount) for site in conformance_sites]
    if not asked:
        pytest.skip("the host has no conformance site")
    done = subprocess.run(
        ["docker", "exec", "-i", host.container, "python3", "-c", INSIDE],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 9:
        pytest.skip("the container has no IPv6 loopback")
    assert done.stdout.splitlines() == [f"{name} {path} ::1" for name, path in asked], done.stderr
