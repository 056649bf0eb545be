# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of what no set wants: in a directory of the test's own, with systemd and useradd's family
listening only.
"""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import (
    _change,
    _record,
    _retirement,
    _units,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry
from ansible_collections.pyweb.stack.plugins.module_utils._record import Record, records
from ansible_collections.pyweb.stack.plugins.module_utils._retirement import (
    Retirement,
    going,
    remove_folders,
    take_down_all,
)
from recording import a_record

A, B = {"site": "a"}, {"site": "b"}
ALL = {"sets": [], "sites": [], "prune": True, "remove_data": False}


@pytest.fixture(autouse=True)
def ran(tmp_path, monkeypatch):
    """The commands that the host would have run."""
    monkeypatch.setattr(_record, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(_retirement, "RECORDS", tmp_path / "records")
    commands: list[list[str]] = []

    def run(argv: list[str]) -> tuple[int, str]:
        commands.append(argv)
        return 0, ""

    for module in (_change, _retirement, _units):
        if hasattr(module, "run"):
            monkeypatch.setattr(module, "run", run)
    return commands


def gone(record: Record, **parameters) -> list[str]:
    return going(
        record,
        {"sets": ["back_x"], "sites": ["a"], "prune": True, "remove_data": False, **parameters},
    )["units"]


def test_without_pruning_only_what_the_inventory_names_goes():
    record = a_record(
        "back_x", units={"a.service": A, "b.service": B, "shared.service": {"site": ""}}
    )
    record.claim("units", {})
    assert gone(record) == ["a.service", "b.service", "shared.service"]
    assert gone(record, prune=False) == ["a.service"]
    assert gone(record, prune=False, sites=["a", "b"]) == [
        "a.service",
        "b.service",
        "shared.service",
    ]


def test_a_front_that_is_replaced_goes_whole():
    record = a_record("front_old", units={"old.service": {"site": ""}, "b.service": B})
    assert gone(record, prune=False) == ["b.service", "old.service"]


def stopped(ran) -> list[str]:
    return [unit for argv in ran if "--now" in argv for unit in argv[argv.index("--now") + 1 :]]


def test_units_go_in_the_order_of_who_uses_whom(ran):
    a_record("app", files={"/etc/systemd/system/pyweb-a.slice": {**A, "original": None}})
    a_record("back_x", units={"a.service": A})
    a_record("front_x", units={"x.service": {"site": ""}})
    assert take_down_all([Retirement(record, ALL) for record in records()], patience=0)
    assert stopped(ran) == ["x.service", "a.service", "pyweb-a.slice"]


def test_a_back_waits_for_the_front_that_stays_and_goes_all_the_same(ran, monkeypatch):
    a_record("front_x", units={"x.service": {"site": ""}})
    back = a_record("back_x", units={"a.service": A})
    back.claim("units", {})
    back.save()
    asked = []
    monkeypatch.setattr(_retirement, "drained", lambda unit: asked.append(unit))
    parameters = {**ALL, "sets": ["front_x", "back_x"]}
    assert not take_down_all([Retirement(record, parameters) for record in records()], patience=0)
    assert set(asked) == {"x.service"} and stopped(ran) == ["a.service"]


def test_what_another_set_wants_stays_up(ran):
    a_record("back_new", units={"a.service": A})
    a_record("back_old", units={"a.service": A, "b.service": B})
    parameters = {**ALL, "sets": ["back_new"]}
    take_down_all([Retirement(record, parameters) for record in records()], patience=0)
    assert stopped(ran) == ["b.service"]


def test_files_go_and_what_stood_there_before_comes_back(tmp_path):
    ours, former = tmp_path / "ours", tmp_path / "former"
    ours.write_text("ours")
    former.write_text("ours, too")
    before = Entry(content=b"theirs").encode()
    record = Record("back_x")
    record.claim(
        "files", {str(ours): {**A, "original": None}, str(former): {**A, "original": before}}
    )
    record.save()
    retirement = Retirement(Record("back_x"), ALL)
    retirement.clear()
    assert not ours.exists() and former.read_text() == "theirs"
    assert records() == []


@pytest.mark.parametrize("remove_data", [False, True])
def test_data_stays_for_root_unless_it_shall_go(tmp_path, monkeypatch, remove_data):
    data, cache = tmp_path / "data", tmp_path / "cache"
    for folder in (data, cache):
        folder.mkdir()
        (folder / "file").write_text("mine")
    parked = []
    monkeypatch.setattr(_retirement, "park", parked.append)
    record = a_record(
        "app",
        directories={str(data): {**A, "holds": "data"}, str(cache): {**A, "holds": "ours"}},
    )
    retirement = Retirement(record, {**ALL, "remove_data": remove_data})
    retirement.clear()
    assert not cache.exists() and data.exists() != remove_data
    assert parked == retirement.kept == ([] if remove_data else [str(data)])
    # What is kept is known, so that a later run can remove it.
    assert [list(each.items["directories"]) for each in records()] == (
        [] if remove_data else [[str(data)]]
    )


def test_an_account_that_cannot_go_is_tried_again(monkeypatch):
    monkeypatch.setattr(_retirement, "run", lambda argv: (8, "user is logged in"))
    retirement = Retirement(a_record("app", accounts={"no-such-account": A}), ALL)
    retirement.clear()
    assert retirement.problems == ["The account no-such-account stays: user is logged in"]
    assert list(Record("app").items["accounts"]) == ["no-such-account"]


def test_units_that_ran_before_the_collection_run_again(ran):
    before = {"active": True, "enabled": True}
    record = a_record("front_x", units={"x.service": {"site": "", "before": before}})
    Retirement(record, ALL).clear()
    assert ["systemctl", "--quiet", "enable", "x.service"] in ran
    assert ["systemctl", "--quiet", "restart", "x.service"] in ran


def test_folders_go_where_they_are_empty(tmp_path):
    empty, full = tmp_path / "empty", tmp_path / "full"
    for folder in (empty, full):
        folder.mkdir()
    (full / "theirs").touch()
    a_record(
        "front_x",
        directories={str(path): {"site": "", "holds": "others"} for path in (empty, full)},
    )
    remove_folders([])
    assert (empty.exists(), full.exists(), records()) == (False, True, [])


@pytest.mark.parametrize(("sets", "stays"), [(["back_x"], True), ([], False)])
def test_what_a_set_has_noted_goes_with_the_set(sets, stays):
    record = a_record("back_x")
    record.noted = {"inputs": "all of its sites are inside their front"}
    record.save()
    for each in records():
        Retirement(each, {**ALL, "sets": sets}).clear()
    assert [each.name for each in records()] == (["back_x"] if stays else [])
