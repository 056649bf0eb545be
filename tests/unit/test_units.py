# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._units import State, Unit, batches, decide

UP = State(active=True, enabled="enabled", exists=True)
DOWN = State(active=False, enabled="enabled", exists=True)
SERVICE = Unit("a.service", reload_on=("/conf",), restart_on=("/unit",))
KNOWN = {"a.service reload": "1", "a.service restart": "1"}


@pytest.mark.parametrize(
    ("state", "now", "verbs"),
    [
        (UP, {}, {}),
        (DOWN, {}, {"a.service": "start"}),
        (UP, {"a.service reload": "2"}, {"a.service": "reload"}),
        (UP, {"a.service restart": "2"}, {"a.service": "restart"}),
        (UP, {"a.service reload": "2", "a.service restart": "2"}, {"a.service": "restart"}),
        (DOWN, {"a.service reload": "2"}, {"a.service": "restart"}),
    ],
)
def test_a_unit_gets_the_least_that_brings_it_up_to_date(state, now, verbs):
    assert decide([SERVICE], {"a.service": state}, KNOWN, {**KNOWN, **now}).verbs == verbs


def test_a_unit_of_which_nothing_is_known_restarts():
    assert decide([SERVICE], {"a.service": UP}, {}, KNOWN).verbs == {"a.service": "restart"}


@pytest.mark.parametrize(
    ("enabled", "verbs"),
    [("disabled", ["a.service"]), ("enabled", []), ("static", []), ("", ["a.service"])],
)
def test_a_disabled_unit_is_enabled(enabled, verbs):
    assert (
        decide([SERVICE], {"a.service": State(True, enabled, exists=True)}, KNOWN, KNOWN).enable
        == verbs
    )


def test_a_unit_that_shall_not_start_at_boot_is_not_enabled():
    assert (
        decide(
            [Unit("a.service", enabled=False)],
            {"a.service": State(True, "disabled", exists=True)},
            KNOWN,
            KNOWN,
        ).enable
        == []
    )


@pytest.mark.parametrize(
    ("state", "verbs"), [(DOWN, {}), (State(True, "static", exists=True), {"a.service": "restart"})]
)
def test_a_unit_that_is_started_by_hand_is_only_taken_up_where_it_runs(state, verbs):
    work = decide(
        [Unit("a.service", restart_on=("/unit",), by_hand=True)],
        {"a.service": state},
        KNOWN,
        {**KNOWN, "a.service restart": "2"},
    )
    assert (work.verbs, work.enable) == (verbs, [])


def test_a_socket_takes_its_service_along():
    socket = Unit("a.socket", restart_on=("/socket",), restart_with=("a.service",))
    now = {**KNOWN, "a.socket reload": "1", "a.socket restart": "2"}
    effects = {**KNOWN, "a.socket reload": "1", "a.socket restart": "1"}
    work = decide([socket, SERVICE], {"a.socket": UP, "a.service": UP}, effects, now)
    assert work.verbs == {"a.socket": "restart", "a.service": "restart"}


def test_batches_keep_a_socket_with_its_service_and_lose_none():
    names = [f"{site}.{kind}" for kind in ("socket", "service") for site in "abcde"]
    groups = batches(names, 2)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert [sorted({name[0] for name in group}) for group in groups] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert batches([], 2) == []
