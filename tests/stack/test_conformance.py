# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The conformance client's checks, of every site that runs the conformance application."""

from __future__ import annotations

import fcntl
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

import client  # noqa: E402 (the path comes first)
from deviations import load  # noqa: E402

ROWS = load()


@pytest.mark.parametrize("group", client.GROUPS)
def test_conformance(conformance, group):
    target = client.Target(
        address=conformance.address,
        mount=conformance.mount.rstrip("/"),
        name=conformance.server_names[0],
        **{key: getattr(conformance, key) or "" for key in ("front", "back", "link", "transport")},
    )
    # A back that is too slow ends its process, and with it what another worker of pytest is asking it.
    with open(Path(tempfile.gettempdir()) / f"pyweb-{conformance.host}-{conformance.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if group == "slow" else fcntl.LOCK_SH)
        results = client.run(target, group, ROWS)
    if not results:
        pytest.skip("the site's request_timeout is too long to wait for")
    bad = [result for result in results if not result.good]
    assert not bad, "\n" + client.table(bad, everything=True)
