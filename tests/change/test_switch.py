# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A live site moves from front to front, back to back, link to link and transport to transport,
under a constant load.
"""

from __future__ import annotations

import pytest
from load import Load

# Each from the one before; the scenario begins with the defaults.
STEPS = [
    {"back": "flup"},
    {"back": "flup", "link": "fastcgi"},
    {"back": "mod_wsgi"},
    {"back": "gunicorn"},
    {"back": "gunicorn", "transport": "tcp"},
    {"back": "uwsgi", "link": "http"},
    {"back": "uwsgi", "link": "fastcgi"},
    {"back": "uwsgi", "link": "scgi"},
    {"back": "uwsgi", "link": "scgi", "transport": "tcp"},
    {"back": "uwsgi"},
    {"front": "apache"},
    {"front": "apache", "back": "mod_wsgi"},
    {"front": "lighttpd"},
    {"front": "nginx"},
]


def words(step: dict) -> str:
    return " ".join(step.values())


@pytest.fixture(scope="module", name="moved")
def the_host_after_all_steps(host):
    """The load of each step, and what the site said of its stack after it."""
    seen = []
    for step in STEPS:
        with Load(host.address, "localhost") as load:
            host.play(step)
        seen.append((step, load, host.ask().json()))
    return host, seen


def test_no_request_is_lost(moved):
    host, seen = moved
    lines = [f"{host.name}: to {words(step):30} {load}" for step, load, _ in seen]
    print(*lines, sep="\n")  # shown at the end of the scenario
    assert not [load for _, load, _ in seen if load.failed], "\n".join(lines)
    # Each step was under load, and a switch of the front was seen from both sides.
    assert all(load.sent > 100 for _, load, _ in seen), "\n".join(lines)
    assert all(
        len(load.servers) == 2 for step, load, _ in seen[-4:] if step.get("back") != "mod_wsgi"
    ), "\n".join(lines)


def test_the_new_stack_serves(moved):
    for step, _, told in moved[1]:
        assert {key: told[key] for key in step} == step


def test_nothing_of_the_former_stacks_stays(moved):
    host, _ = moved
    units = host.shell(
        "systemctl list-unit-files --no-legend 'pyweb-*' nginx.service apache2.service "
        "lighttpd.service | awk '{print $1, $2}'"
    )
    assert sorted(units.split("\n")) == sorted([
        "", "apache2.service disabled", "lighttpd.service disabled", "nginx.service enabled",
        "pyweb-sample.slice static",
        "pyweb-sample-uwsgi-uwsgi-unix.service enabled", "pyweb-sample-uwsgi-uwsgi-unix.socket enabled",
    ])  # fmt: skip
    assert (
        host.shell(
            "ls /etc/apache2/pyweb /etc/lighttpd/pyweb /etc/pyweb/mod_wsgi 2>&1 | grep -v 'No "
            "such file'"
        )
        == ""
    )
    assert host.shell("find /etc /srv -name '.pyweb-*'") == ""
    assert host.shell("nft list tables") == ""


def test_another_run_changes_nothing(moved):
    assert moved[0].play(STEPS[-1]).changed == 0
