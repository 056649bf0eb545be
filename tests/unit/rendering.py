# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that the roles would write for a plan: their own tasks and templates, by Ansible's
templating, without a host.
"""

from __future__ import annotations

import functools
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.pyweb.stack.plugins.action.apply import SHARED, _expand, render
from ansible_collections.pyweb.stack.plugins.plugin_utils._runs import files_of as files_of_runs
from jinja2 import Environment

COLLECTION = Path(__file__).resolve().parents[2]
ROLES = COLLECTION / "roles"
LOADER = DataLoader()


def remember(compile_template):
    """Jinja compiles a text once for all examples of a property; most of their time went there."""
    known: dict = {}

    def compile_once(environment, source, name=None, filename=None, **options):
        # Jinja has one lexer for all environments of the same syntax.
        key = (type(environment), environment.lexer, str(source), name, filename)
        if not isinstance(source, str) or any(options.values()):
            return compile_template(environment, source, name, filename, **options)
        if key not in known:
            known[key] = compile_template(environment, source, name, filename)
        return known[key]

    return compile_once


Environment.compile = remember(Environment.compile)  # type: ignore[method-assign]


@functools.cache
def variables_of(role: str) -> dict:
    """Defaults and private variables of a role."""
    found: dict = {}
    for path in (ROLES / role / "defaults" / "main.yml", ROLES / role / "vars" / "main.yml"):
        if path.exists():
            found.update(LOADER.load_from_file(str(path), trusted_as_template=True))
    return found


@functools.cache
def files_of(role: str) -> dict:
    """The arguments files and runs of the role's task, as they are written."""
    tasks = LOADER.load_from_file(
        str(ROLES / role / "tasks" / "main.yml"), trusted_as_template=True
    )
    task = next(task["pyweb.stack.apply"] for task in tasks if "pyweb.stack.apply" in task)
    return {"files": task["files"], "runs": task.get("runs", [])}


def files(planned: dict, **variables) -> dict[str, str]:
    """Path to text of all that the roles of a plan would write; of a link, its target."""
    written = {}
    for role in (
        "app",
        *(["acme"] if "acme" in planned["sets"] else []),
        *(f"back_{back}" for back in planned["backs"]),
        f"front_{planned['front']}",
    ):
        known = {**variables_of(role), "pyweb_plan": planned, **variables}
        templar = Templar(loader=LOADER, variables=known)
        asked = templar.template(files_of(role))
        for item in [*asked["files"], *files_of_runs(asked["runs"], late=False)]:
            for file in _expand(item, ("path", "target", "owner", "group")):
                template = ROLES / role / "templates" / file.get("template", "")
                path = template if template.exists() else SHARED / file["template"]
                written[file["path"]] = (
                    file["target"]
                    if "target" in file
                    else render(templar, path, known, file.get("values"))
                )
    return written
