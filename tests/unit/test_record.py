# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _record as module
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    Packages,
    Record,
    records,
    wanted_elsewhere,
)
from recording import a_record

A, B = {"site": "a"}, {"site": "b"}


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", tmp_path / "records")


def test_what_is_not_claimed_again_is_leaving_until_it_is_claimed_or_dropped():
    record = a_record("back_x", units={"a.service": A, "b.service": B})
    record.claim("units", {"b.service": B})
    assert (record.leaving("units"), record.leaving("units", all_of_it=True)) == (
        ["a.service"],
        ["a.service", "b.service"],
    )
    record.claim("units", {"a.service": A, "b.service": B})
    assert record.leaving("units") == []
    record.drop("units", "a.service")
    assert list(record.items["units"]) == ["b.service"]


def test_data_that_is_kept_has_left_already():
    record = a_record("app", directories={"/var/lib/pyweb/a": {**A, "holds": "data"}})
    record.items["directories"]["/var/lib/pyweb/a"]["parked"] = True
    record.claim("directories", {})
    assert record.leaving("directories", all_of_it=True) == []
    record.claim("directories", {"/var/lib/pyweb/a": {**A, "holds": "data"}})
    assert "parked" not in record.items["directories"]["/var/lib/pyweb/a"]


def test_what_is_dropped_after_a_save_is_gone_after_the_next():
    record = a_record("app", units={"a.service": A, "b.service": B})
    record.save()
    record.drop("units", "a.service")
    record.save()
    assert list(Record("app").items["units"]) == ["b.service"]


def test_a_record_of_nothing_is_removed():
    record = a_record("app", units={"a.service": A})
    record.drop("units", "a.service")
    record.save()
    assert records() == []


def test_fronts_go_before_backs_and_these_before_what_they_stand_on():
    for name in ("app", "back_uwsgi", "front_nginx", "back_flup", "front_apache"):
        a_record(name, units={f"{name}.service": A})
    assert [record.name for record in records()] == [
        "front_apache",
        "front_nginx",
        "back_flup",
        "back_uwsgi",
        "app",
    ]


def test_only_what_another_set_wants_is_wanted_elsewhere():
    a_record("one", files={"/x": {**A, "original": {}}})
    assert wanted_elsewhere("files", "/x", but="one") is None
    assert wanted_elsewhere("files", "/x", but="two") == {**A, "original": {}, "leaving": False}
    leaving = Record("one")
    leaving.claim("files", {})
    leaving.save()
    assert wanted_elsewhere("files", "/x", but="two") is None


def test_packages_are_remembered_as_long_as_any_set_is():
    packages = Packages()
    packages.claim("app", ["nginx"], ["nginx", "nginx-common"])
    packages.save()
    packages = Packages()
    assert (packages.ours, packages.wanted) == ({"nginx", "nginx-common"}, {"app": ["nginx"]})
    packages.only([])
    packages.save()
    assert Packages().ours == set()
