# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import client
import deviations
import pytest

TABLE = """
- {front: nginx, link: [http, uwsgi], seen: {"a: b": one, "a: c": [two, three]}, effect: differs, why: So it is.}
- {mount: prefix, seen: {"a: b": "four|"}, effect: refused, why: Also.}
"""


@pytest.fixture(name="rows")
def some_rows(tmp_path):
    path = tmp_path / "deviations.yml"
    path.write_text(TABLE)
    return deviations.load(path)


def judged(rows, check, seen, **stack):
    return client.judge(check, seen, ("right",), client.Target("127.0.0.1", **stack), rows).verdict


@pytest.mark.parametrize(
    "check, seen, stack, verdict",
    [
        ("a: b", "right", {}, "ok"),
        ("a: b", "one", {}, "unexpected"),
        ("a: b", "one", {"front": "nginx", "link": "http"}, "deviation"),
        ("a: b", "right", {"front": "nginx", "link": "http"}, "unexpected"),
        ("a: c", "three", {"front": "nginx", "link": "uwsgi"}, "deviation"),
        ("a: b", "four|", {"front": "nginx", "mount": "/app"}, "deviation"),
        ("a: b", "four|", {"front": "nginx"}, "unexpected"),
    ],
)
def test_a_deviation_is_expected_just_as_it_is(rows, check, seen, stack, verdict):
    assert judged(rows, check, seen, **stack) == verdict


def test_the_page_shows_every_row(rows):
    head = ["", "| Where | Check: what is seen | Effect | Why |", "| --- | --- | --- | --- |"]
    assert deviations.page(rows).splitlines()[-11:] == [
        "## Any front",
        *head,
        "| at a prefix | `a: b`: `four\\|` | refused | Also. |",
        "",
        "## nginx",
        *head,
        "| over http, uwsgi | `a: b`: `one`<br>`a: c`: `two` or `three` | differs | So it is. |",
    ]


def test_an_unknown_effect_is_refused(tmp_path):
    path = tmp_path / "deviations.yml"
    path.write_text("- {seen: {a: b}, effect: none, why: c}\n")
    with pytest.raises(ValueError, match="none"):
        deviations.load(path)


def test_the_table_is_sound():
    assert all(row["why"].endswith(".") for row in deviations.load())
