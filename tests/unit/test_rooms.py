# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which module may know which: imports lead one way, and a host gets nothing that it does not
run.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.action.apply import SHARED
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    CACHE_ROOT,
    CONFIGURATION_ROOT,
    SITES_ROOT,
    SOCKETS_ROOT,
    STATE_ROOT,
)
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from rendering import files

PLUGINS = Path(__file__).parents[2] / "plugins"
UTILS = "ansible_collections.pyweb.stack.plugins.module_utils"
# What the controller alone decides by.
OF_THE_PLAN = {
    "_conflicts",
    "_faults",
    "_listeners",
    "_plan",
    "_proxies",
    "_role_variables",
    "_site",
    "_targets",
    "_tls",
    "_vhosts",
}


def imported(path: Path) -> set[str]:
    """The internal modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(UTILS):
            name = node.module.removeprefix(UTILS).strip(".")
            found |= {name} if name else {alias.name for alias in node.names}
    return found


def reached(path: Path) -> set[str]:
    """The same, and what these import in turn."""
    found: set[str] = set()
    left = imported(path)
    while left:
        name = left.pop()
        found.add(name)
        left |= imported(PLUGINS / "module_utils" / f"{name}.py") - found
    return found


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("modules/*.py")), ids=lambda path: path.stem)
def test_no_module_carries_the_plan_to_a_host(path):
    assert not reached(path) & OF_THE_PLAN


@pytest.mark.parametrize(
    "path", sorted(PLUGINS.glob("module_utils/_*.py")), ids=lambda path: path.stem
)
def test_no_import_leads_back(path):
    assert path.stem not in reached(path)


def test_the_plan_is_on_top():
    assert reached(PLUGINS / "module_utils" / "_plan.py") >= OF_THE_PLAN - {
        "_plan",
        "_vhosts",
        "_role_variables",
    }


# Where a root of the layout stands besides: in words for readers; and where no site says it.
NAMED = {
    "plugins/module_utils/_finished.py",
    "plugins/module_utils/_layout.py",
    "plugins/module_utils/_site.py",
    "plugins/modules/apply.py",
    "plugins/modules/probe.py",
    "plugins/modules/release.py",
    # What all sites inside Apache write: the file does not change with the sites, or Apache would
    # start anew with each.
    "roles/front_apache/templates/sandbox.conf.j2",
    # The record of the role itself, and a directory of its own.
    "roles/front_cherokee/tasks/saved.yml",
    "roles/front_cherokee/vars/main.yml",
}


def test_the_layout_alone_knows_where_things_are():
    root = PLUGINS.parent
    roots = re.compile(
        "|".join([SITES_ROOT, STATE_ROOT, CACHE_ROOT, SOCKETS_ROOT, CONFIGURATION_ROOT])
    )
    paths = [
        path
        for pattern in ("plugins/**/*.py", "roles/*/[tv]*/**/*", "playbooks/*.yml")
        for path in root.glob(pattern)
        if path.is_file()
    ]
    assert len(paths) > 100
    found = {
        str(path.relative_to(root))
        for path in paths
        if roots.search(path.read_text(encoding="utf-8"))
    }
    assert found == NAMED


@pytest.mark.parametrize("front", FRONTS)
def test_every_sandbox_has_all_that_the_shared_one_has(front):
    """As lines of their own: of a line that it cannot read systemd takes nothing, and says so in
    the journal alone.
    """
    variables = dict.fromkeys(FRONTS[front].named_by, "/opt/front")
    written = files(plan({"front": front}, variables=variables), **variables)
    shared = (SHARED / "confined.j2").read_text(encoding="utf-8").splitlines()
    sandboxes = {path: text for path, text in written.items() if shared[0] in text}
    assert len(sandboxes) == 2
    for text in sandboxes.values():
        lines = text.splitlines()
        assert [line for line in lines if line in shared] == shared
