# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import getpass
import socket
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.pyweb.stack.plugins.module_utils._packages import brought
from ansible_collections.pyweb.stack.plugins.plugin_utils._inputs import inputs
from ansible_collections.pyweb.stack.plugins.plugin_utils._runs import candidates_of, files_of
from ansible_collections.pyweb.stack.plugins.plugin_utils._source import COLLECTION

# Templates that several roles share.
SHARED = COLLECTION / "roles" / "common" / "templates"


# The lists whose items may stand for several, and the keys of an item in which an item's values are
# filled in.
FIELDS = {
    "files": ("path", "target", "owner", "group"),
    "accounts": ("name", "home"),
    "directories": ("path",),
    "units": ("name", "reload_on", "restart_on", "restart_with"),
    "commands": ("argv", "paths"),
}


class ActionModule(ActionBase):
    """Renders a role's files on the controller and has the module apply them; installs the packages
    that it misses first.
    """

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        runs = arguments.pop("runs", None) or []
        arguments["candidates"] = candidates_of(
            runs,
            arguments.get("files") or [],
            arguments.get("units") or [],
            lambda item: [self._render(file, task_vars) for file in _expand(item, FIELDS["files"])],
            lambda item: _expand(item, FIELDS["units"]),
            by=f"{getpass.getuser()}@{socket.gethostname()}",
        )
        arguments["files"] = [
            *(arguments.get("files") or []),
            *files_of(runs, late="pyweb_plan" in task_vars),
        ]
        for name, fields in FIELDS.items():
            arguments[name] = [
                entry for item in arguments.get(name) or [] for entry in _expand(item, fields)
            ]
        arguments["certificates"] = [
            pair for item in arguments.get("certificates") or [] for pair in _pairs(item)
        ]
        arguments["files"] = [self._render(file, task_vars) for file in arguments["files"]]
        for name in ("accounts", "directories", "units", "commands"):
            arguments[name] = [
                {key: value for key, value in entry.items() if key != "values"}
                for entry in arguments[name]
            ]
        arguments["inputs"] = inputs(arguments["name"], self._templar, task_vars)
        # The arguments hold whole files, secrets among them, and the host's system log shall not:
        # the module's own no_log is not asked.
        quiet = {**(task_vars or {}), "ansible_no_target_syslog": True}
        answer = self._execute_module("pyweb.stack.apply", arguments, task_vars=quiet)
        missing = answer.pop("missing", [])
        if missing:
            install = self._execute_module(
                "ansible.builtin.apt",
                {
                    "name": missing,
                    "install_recommends": False,
                    "policy_rc_d": 101,
                    "update_cache": True,
                    "cache_valid_time": 86400,
                    "lock_timeout": 300,
                },
                task_vars=task_vars,
            )
            if install.get("failed"):
                result.update(
                    failed=True,
                    msg=f"The packages {', '.join(missing)} cannot be installed; nothing else was "
                    f"changed: {install.get('msg')}",
                )
                return result
            came = [*(arguments.get("installed") or []), *brought(install.get("stdout", ""))]
            answer = self._execute_module(
                "pyweb.stack.apply", {**arguments, "installed": came}, task_vars=quiet
            )
            answer.update(changed=True, packages=missing)
        result.update(answer)
        result.pop("invocation", None)
        result["sites"] = _by_site(arguments, answer)
        if answer.get("leaving"):
            result["ansible_facts"] = {"pyweb_leaving": True}
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _render(self, file: dict, task_vars: dict) -> dict:
        given = [key for key in ("template", "content", "target") if file.get(key) is not None]
        if len(given) != 1:
            raise AnsibleActionFail(
                f"{file.get('path')}: exactly one of template, content and target is possible, got "
                f"{', '.join(given) or 'none'}"
            )
        site = file.pop("values", None)
        name = file.get("template")
        if name is None:
            return file
        try:
            path = Path(self._find_needle("templates", name))
        except AnsibleError:
            path = SHARED / name
        content = render(self._templar, path, task_vars, site)
        return {
            **{key: value for key, value in file.items() if key != "template"},
            "content": content,
        }


def _by_site(arguments: dict, answer: dict) -> dict[str, list[str]]:
    """The files and units that changed, or would, by their sites; what all sites share is under an
    empty name.
    """
    changed: dict[str, list[str]] = {}
    for item in arguments["files"] + arguments["units"]:
        key = item.get("path") or item["name"]
        if key in (answer.get("files") or ()) or key in (answer.get("units") or ()):
            changed.setdefault(item["site"], []).append(key)
    return changed


def render(templar, path: Path, variables: dict, site: dict | None) -> str:
    """The text that a role's template makes of its variables and of one site."""
    template = trust_as_template(path.read_text(encoding="utf-8"))
    known = {"ansible_managed": "Ansible managed", **variables, "site": site}
    own = templar.copy_with_new_env(
        searchpath=[str(path.parent), str(SHARED)], available_variables=known
    )
    return str(
        own.template(
            template,
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": True},
        )
    )


def _pairs(item: dict) -> list[dict]:
    """The certificates and keys of the sites that have TLS; several sites may share a pair."""
    keys = ("certificate", "key", "names", "chain", "private_key", "self_signed", "lineage")
    common = {key: value for key, value in item.items() if key != "each"}
    pairs: dict[str, dict] = {}
    for site in item["each"]:
        known = site.get("tls") or {}
        pair = {key: known[key] for key in keys if known.get(key) is not None}
        if pair:
            pairs.setdefault(pair["certificate"], {**common, "site": site["name"], **pair})
    return list(pairs.values())


def _expand(item: dict, fields: tuple[str, ...]) -> list[dict]:
    """One entry for each item of each, its strings filled in from the item; or the entry itself.
    Each knows the site that it is for.
    """
    if "each" not in item:
        return [{**item, "site": ""}]

    def fill(value, values):
        return (
            [fill(part, values) for part in value]
            if isinstance(value, list)
            else value.format_map(values)
        )

    plain = {key: value for key, value in item.items() if key != "each"}
    expanded = []
    for values in item["each"]:
        filled = {
            key: fill(value, values) if key in fields and value is not None else value
            for key, value in plain.items()
        }
        expanded.append({**filled, "site": values.get("name", ""), "values": values})
    return expanded
