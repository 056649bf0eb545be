# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: what a host remembers of releases, which of them serves, and which may go."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _history as history
from ansible_collections.pyweb.stack.plugins.module_utils import _record as records
from ansible_collections.pyweb.stack.plugins.module_utils import _releases as releases
from ansible_collections.pyweb.stack.plugins.module_utils._holding import hold, settle
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._report import report
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place

OLD, GOOD, BAD = "000000000001", "000000000002", "000000000003"


def entry(identifier, there=True, **more):
    """A release that has served; its source is named like it."""
    return {
        "id": identifier,
        "source": f"s{identifier[-1]}",
        "from": "/src",
        "since": f"2026-01-0{identifier[-1]}T00:00:00Z",
        "by": "ann@desk",
        "there": there,
        **more,
    }


def release(identifier):
    return {"id": identifier, "source": f"s{identifier[-1]}", "from": "/src", "path": "/x"}


SERVED = {"shop": [entry(OLD), entry(GOOD), entry(BAD)], "blog": [entry(OLD)]}
PLANNED = {"shop": release(BAD), "blog": release(GOOD)}


def test_without_a_wish_what_is_planned_serves():
    assert settle(PLANNED, SERVED) == ({}, [], [])
    assert settle(PLANNED, {}) == ({}, [], [])


@pytest.mark.parametrize(("wanted", "found"), [("", GOOD), (OLD, OLD), (GOOD, GOOD)])
def test_one_site_goes_back_and_the_others_stay(wanted, found):
    held, words, faults = settle(PLANNED, SERVED, only="shop", rollback=wanted)
    assert not words and not faults
    assert held["shop"] == {
        "id": found,
        "source": f"s{found[-1]}",
        "from": "/src",
        "instead_of": "s3",
    }
    assert held["blog"]["id"] == OLD and "instead_of" not in held["blog"]


def test_the_one_before_is_the_last_that_is_there_and_another():
    served = [entry(OLD), entry(GOOD, there=False), entry(BAD), entry(BAD, instead_of="s9")]
    held, _words, _faults = settle(
        {"shop": release(BAD)}, {"shop": served}, only="shop", rollback=""
    )
    assert held["shop"]["id"] == OLD


@pytest.mark.parametrize(
    ("only", "rollback", "served", "words"),
    [
        ("shp", "", SERVED, "site: 'shp' is no site that this host runs; possible: shop, blog; did you mean 'shop'?"),
        ("", None, SERVED, "site: name one, -e site=NAME; possible: shop, blog"),
        ("blog", "", SERVED, f"site: blog has no release before the one that serves; there: {OLD} (since"),
        ("shop", "", {}, "site: shop has no release before the one that serves; there: -"),
        (
            "shop",
            "0",
            {"shop": [entry(OLD), entry(GOOD, there=False), entry(BAD)]},
            "release: '0' is not there; releases of shop: 000000000003 (since 2026-01-03T00:00:00Z, from "
            "/src); 000000000001 (since 2026-01-01T00:00:00Z, from /src)",
        ),
        ("shop", GOOD, {"shop": [entry(GOOD, there=False)]}, f"release: '{GOOD}' is not there; releases of shop: none"),
    ],
)  # fmt: skip
def test_what_cannot_be_gone_back_to(only, rollback, served, words):
    held, _words, faults = settle(PLANNED, served, only=only, rollback=rollback)
    assert not held
    assert len(faults) == 1 and faults[0].startswith(words), faults


def test_after_a_rollback_only_another_source_moves_on():
    served = {"shop": [entry(GOOD), entry(BAD), entry(GOOD, instead_of="s3")]}
    held, (words,), _faults = settle({"shop": release(BAD)}, served)
    assert held == {"shop": {"id": GOOD, "source": "s2", "from": "/src", "instead_of": "s3"}}
    assert words == (
        f"sites[shop]: release {GOOD} stays, to which it was rolled back at 2026-01-02T00:00:00Z by "
        "ann@desk; another source moves on, or -e forward=true"
    )
    assert settle({"shop": release(BAD)}, served, forward=True) == ({}, [], [])
    assert settle({"shop": release("000000000004")}, served) == ({}, [], [])
    # A newer collection makes another release of the same source, which is as bad.
    again = {**release("000000000005"), "source": "s3"}
    assert settle({"shop": again}, served)[0]["shop"]["id"] == GOOD


def test_one_site_is_deployed_and_the_others_stay():
    held, _words, _faults = settle(PLANNED, SERVED, only="shop")
    assert list(held) == ["blog"]
    gone = {**SERVED, "blog": [entry(OLD, there=False)]}
    assert settle(PLANNED, gone, only="shop")[0] == {}, "it can only be built anew"


# The plan with other releases.

SITE = {
    "name": "shop",
    "application": "a:b",
    "source": {"path": "/src"},
    "static": [{"url": "/s/", "path": "s/"}],
}
KEPT = {"shop": {"id": GOOD, "source": "s2", "from": "/src", "instead_of": "s3"}}


@pytest.mark.parametrize(
    "where",
    [None, Place("f", {"f": "10.0.0.1"}, {"b": "10.0.0.2"}, ("nginx",))],
    ids=["alone", "front"],
)
def test_every_place_of_a_release_is_the_other_one(where):
    planned = plan({"sites": [SITE]}, place=where)
    former = planned["app_sites"][0]["release"]
    done = hold(planned, KEPT)
    text = json.dumps(done)
    assert former["id"] in json.dumps(planned) and former["id"] not in text.replace(
        done["app_sites"][0]["build"], ""
    )
    assert done["app_sites"][0]["release"] == {
        **KEPT["shop"],
        "path": f"/srv/www/shop/releases/{GOOD}",
        "held": True,
    }
    assert done["table"][0]["release"] == GOOD
    if where:
        assert done["front_nginx_sites"][0]["static"][0]["path"].startswith(
            f"/srv/www/shop/releases/{GOOD}/"
        )
    assert planned["app_sites"][0]["release"] == former, "the plan itself is left as it was"


def test_without_one_the_plan_is_the_same():
    planned = plan({"sites": [SITE]})
    assert hold(planned, {}) is planned and hold(planned, None) is planned


# What a host remembers.


@pytest.fixture(name="host")
def a_host(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(history, "SITES_ROOT", str(tmp_path))
    monkeypatch.setattr(
        history, "release_of", lambda site, name: str(tmp_path / site / "releases" / name)
    )
    (tmp_path / "shop").mkdir()
    return tmp_path


def test_a_release_is_remembered_once_while_it_serves(host):
    for identifier in (GOOD, GOOD, BAD, GOOD):
        known = history.History()
        known.note("shop", release(identifier), "ann@desk")
        known.note("gone", release(identifier), "ann@desk")
        known.save()
    found = history.History().found()
    assert [each["id"] for each in found["shop"]] == [GOOD, BAD, GOOD]
    assert {each["by"] for each in found["shop"]} == {"ann@desk"}
    assert not any(each["there"] for each in found["shop"])
    assert list(found) == ["shop"], "a site that is gone is forgotten"
    marker = host / "shop" / "releases" / BAD / releases.COMPLETE
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert [each["there"] for each in history.History().found()["shop"]] == [False, True, False]


def test_nothing_is_left_where_no_site_is(host):
    known = history.History()
    known.note("shop", release(GOOD), "me")
    known.save()
    (host / "shop").rename(host / "shop-is-gone")
    history.History().save()
    assert list((host / "records").iterdir()) == []


def test_the_oldest_releases_go_that_nothing_uses(tmp_path, monkeypatch):
    folder = tmp_path / "releases"
    for number in range(7):
        (folder / f"00000000000{number}").mkdir(parents=True)
        os.utime(folder / f"00000000000{number}", (number, number))
    monkeypatch.setattr(releases, "remove_tree", os.rmdir)
    monkeypatch.setattr(releases, "_named", lambda folder: {"000000000001"})
    monkeypatch.setattr(releases, "_in_use", lambda folder: {"000000000002"})
    gone = releases.prune(str(folder / "000000000006"), keep=2)
    assert [path[-1] for path in gone] == ["3", "0"]
    assert sorted(path.name[-1] for path in folder.iterdir()) == ["1", "2", "4", "5", "6"]
    assert releases.prune(str(folder / "000000000006"), keep=5) == []


def test_files_and_links_of_the_collection_use_the_releases_that_they_name(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    folder = tmp_path / "releases"
    (tmp_path / "unit").write_text(f"ExecStart={folder}/{GOOD}/.venv/bin/python\n")
    (tmp_path / "current").symlink_to(f"releases/{BAD}")
    (tmp_path / "a-directory").mkdir()
    record = records.Record("back_x")
    for name in ("unit", "current", "a-directory", "gone"):
        record.items["files"][str(tmp_path / name)] = {"site": "shop", "leaving": False}
    record.save()
    assert releases._named(str(folder)) == {GOOD, BAD}


def test_a_process_uses_the_release_that_it_works_in(tmp_path, monkeypatch):
    folder = tmp_path / "releases"
    (folder / GOOD).mkdir(parents=True)
    monkeypatch.chdir(folder / GOOD)
    assert releases._in_use(str(folder)) == {GOOD}


# The table.


def test_the_table_says_what_serves_since_when_and_what_did_before():
    planned = plan({"sites": [SITE]}, place=Place("web"))
    compared = {"held": KEPT, "releases": {"shop": [entry(OLD), entry(GOOD), entry(BAD)]}}
    known = {"web": {"pyweb_planned": {"plan": planned}, "pyweb_compared": compared}}
    rows = [line.split() for line in report(known, ["web"], False, releases=True)[-2:]]
    assert rows[0] == ["host", "site", "release", "from", "since", "before"]
    assert rows[1] == ["web", "shop", GOOD, "/src", "now", BAD]
    failed = report(known, [], False, releases=True)[-1].split()
    assert failed == ["web", "shop", BAD, "/src", "2026-01-03T00:00:00Z", GOOD]
    assert "since" not in "\n".join(report(known, ["web"], False))
