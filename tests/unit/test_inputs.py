# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The digest of what a set is settled from: it changes with all that its files could say, and with
nothing else.
"""

from __future__ import annotations

import json

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.plugin_utils._inputs import MANAGED, inputs
from jinja2 import Environment, meta, nodes
from rendering import LOADER, ROLES, variables_of

SETS = sorted(
    path.parents[1].name
    for path in ROLES.glob("*/tasks/main.yml")
    if "pyweb.stack.apply" in path.read_text(encoding="utf-8")
)
# What a template is given beside the role's own variables.
GIVEN = {"site", "pyweb_plan", "omit", MANAGED}
# How far a role goes, which changes no file.
GIVEN |= {"pyweb_stage"}
# Results of the role's own tasks, which ask the host: with these nobody compares (plan.asks).
ASKED = {"front_cherokee"}


class Every(dict):
    """Has every key."""

    def __contains__(self, key) -> bool:
        return True

    def __missing__(self, key):
        return str

    def get(self, key, default=None):
        return str


def digest(role: str, **variables) -> str | None:
    planned = plan({"front": "nginx", **variables.pop("planned", {})})
    return inputs(role, Templar(loader=LOADER), {"pyweb_plan": planned, **variables})


def texts(value):
    """The strings of a task or of variables."""
    if isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("role", [role for role in SETS if role not in ASKED])
def test_files_know_nothing_but_what_the_digest_covers(role):
    own = ROLES / role
    tasks = DataLoader().load_from_file(str(own / "tasks" / "main.yml"))
    applied = [task["pyweb.stack.apply"] for task in tasks if "pyweb.stack.apply" in task]
    assert applied
    sources = [*texts(applied), *texts(list(variables_of(role).values()))]
    for folder in (own / "templates", ROLES / "common" / "templates"):
        sources += [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.j2"))]
    environment = Environment()
    environment.filters = environment.tests = Every()  # Ansible's own are not known here
    trees = [environment.parse(source) for source in sources]
    used = set().union(*map(meta.find_undeclared_variables, trees))
    # One template includes another, which knows what that one has set.
    made = {name.name for tree in trees for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    assert len(used) > 3
    assert used - made - GIVEN <= set(variables_of(role)) | set(environment.globals)


@pytest.mark.parametrize("role", ["app", "back_uwsgi", "front_nginx"])
def test_it_is_the_same_inside_of_a_role_and_outside(role):
    assert digest(role) == digest(role, **variables_of(role))


def test_what_changes_it():
    usual = digest("front_nginx")
    for other in (
        {"front_nginx_http_extra": "gzip off;"},
        {
            "planned": {
                "sites": [{"name": "a", "application": "a:b", "source": {"package": "a==1"}}]
            }
        },
        {MANAGED: "by hand"},
    ):
        assert digest("front_nginx", **other) != usual
    assert digest("front_nginx", front_apache_http_extra="x", unrelated=1) == usual
    led = {"front_nginx_http_extra": trust_as_template("{{ unrelated }}")}
    assert digest("front_nginx", **led, unrelated="") == usual
    assert digest("front_nginx", **led, unrelated="gzip off;") != usual


def test_without_a_plan_there_is_none():
    assert inputs("front_nginx", Templar(loader=LOADER), {}) is None


def test_a_secret_changes_it_and_cannot_be_read_from_it():
    def site(token):
        known = {"name": "a", "application": "a:b", "source": {"package": "a==1"}}
        return {"planned": {"sites": [{**known, "secrets": {"TOKEN": token}}]}}

    assert digest("back_uwsgi", **site("one")) != digest("back_uwsgi", **site("two"))
    assert len(json.dumps(digest("back_uwsgi", **site("one")))) == 66
