# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the end of a run."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._report import report
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place

SHOP = {
    "name": "shop",
    "server_names": ["shop.test"],
    "mount": "/s",
    "application": "a:b",
    "source": {"package": "shop"},
}
SECRET = {"secrets": {"KEY": "hunter2"}}


def planned(host="web", **values):
    return {
        "pyweb_planned": {
            "plan": plan({"sites": [{**SHOP, **SECRET}], **values}, place=Place(host))
        }
    }


def cells(lines):
    return [line.split() for line in lines]


@pytest.mark.parametrize(("check", "word"), [(False, "changed"), (True, "would-change")])
def test_a_run_that_changes_nothing(check, word):
    head, row = cells(report({"web": planned()}, ["web"], check))
    assert head == ["host", "site", "URL", "front", "back", "link", "release", word]
    assert row[:6] == ["web", "shop", "http://shop.test/s/", "nginx", "uwsgi", "uwsgi/unix"]
    assert row[7] == "nothing"


def test_what_changed_is_told_of_each_site():
    values = {
        **planned(),
        "__app_applied": {
            "missing_releases": ["shop"],
            "packages": ["nginx"],
            "sites": {"shop": ["/etc/pyweb/shop/secrets"]},
        },
        "__back_uwsgi_applied": {
            "sites": {"shop": ["/etc/pyweb/shop/x.ini", "pyweb-shop.service"]}
        },
        "__front_nginx_applied": {"sites": {"": ["/etc/nginx/nginx.conf"], "a-module": ["/x"]}},
        "pyweb_retired": {"accounts": ["blog"]},
    }
    rows = {row[1]: row[-1] for row in cells(report({"web": values}, ["web"], False))[1:]}
    assert rows == {"shop": "release,secrets,back", "(all)": "packages,front", "blog": "removed"}


def test_hosts_that_failed_are_in_it():
    rows = cells(report({"web": planned(), "bad": {}, "down": planned("down")}, ["web"], False))[1:]
    assert [(row[0], row[-1]) for row in rows] == [
        ("web", "nothing"),
        ("bad", "failed"),
        ("down", "failed"),
    ]


def test_without_a_plan_there_is_no_table():
    assert report({"web": {}}, [], False) == []


def test_it_is_a_line_each_in_every_format_and_holds_no_secret():
    lines = report({"web": planned(), "bad": {}}, ["web"], True)
    assert (
        len(yaml.safe_dump(lines).splitlines())
        == len(json.dumps(lines, indent=1).splitlines()) - 2
        == len(lines)
    )
    assert "hunter2" not in str(lines)


@pytest.mark.parametrize(("seconds", "how"), [({"seconds": 1.2}, "1.2 s"), ({}, "would run")])
def test_the_commands_of_hooks_follow_with_what_they_said(seconds, how):
    done = {"site": "shop", "hook": "before_switch", "command": ["a", "b"], "output": ["ok"]}
    values = {**planned(), "__back_uwsgi_applied": {"hooks": [{**done, **seconds}]}}
    assert report({"web": values}, ["web"], False)[-2:] == [
        f"web, shop, before_switch: a b ({how})",
        "    ok",
    ]
