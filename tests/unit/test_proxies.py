# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trusted proxies in the plan, and in the files of each front."""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from rendering import files

ABLE = [front for front, row in FRONTS.items() if row.believes]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            "10.0.0.0/8",
            "trusted_proxies: expected a list of networks, got a string ('10.0.0.0/8'); write "
            "trusted_proxies: [10.0.0.0/8]",
        ),
        (
            ["10.0.0.1/8"],
            "trusted_proxies[0]: '10.0.0.1/8' is no address or network such as 10.0.0.0/8; write "
            "10.0.0.0/8",
        ),
        (["proxy.test"], "trusted_proxies[0]: 'proxy.test' is no address or network such as "),
        ([10], "trusted_proxies[0]: 10 is no address or network such as 10.0.0.0/8"),
        (["::/0"], "trusted_proxies[0]: '::/0' is everybody, and every client could lie; name the"),
    ],
)
def test_refused(given, fault):
    with pytest.raises(PlanError) as caught:
        plan({"trusted_proxies": given})
    (line,) = caught.value.faults
    assert line.startswith(fault)


def test_a_front_that_cannot_tell_refuses_them():
    for front in sorted(set(FRONTS) - set(ABLE)):
        with pytest.raises(PlanError) as caught:
            plan({"front": front, "trusted_proxies": ["10.0.0.1"]})
        (line,) = caught.value.faults
        assert line.startswith(f"trusted_proxies: front {front} cannot tell a proxy's word")


@pytest.mark.parametrize("front", ABLE)
def test_each_network_is_named_once_and_without_any_nothing_changes(front):
    given = ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "10.0.0.0/8"]
    planned = plan({"front": front, "trusted_proxies": given})
    assert planned["trusted_proxies"] == ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]
    written, before = files(planned), files(plan({"front": front}))
    assert before == files(plan({"front": front, "trusted_proxies": []}))
    text = "".join(written.values())
    assert all(network in text for network in planned["trusted_proxies"])
    assert "10.0.0.0/8" not in "".join(before.values())
