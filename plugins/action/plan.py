# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.pyweb.stack.plugins.module_utils.place import Place, place
from ansible_collections.pyweb.stack.plugins.module_utils.plan import FRONTS, REMOVAL, PlanError, plan, unknown_variables
from ansible_collections.pyweb.stack.plugins.plugin_utils.source import COLLECTION, RUNTIME, SAMPLE, digest


class ActionModule(ActionBase):
    """Hands the values of the inventory to the plan, and its answer to the playbook. Asks no host anything."""

    _supports_check_mode = True
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        values = {key: self._task.args.get(key) for key in ("front", "back", "link", "transport", "sites", *REMOVAL)}
        sources, faults = self._sources(values["sites"], task_vars)
        variables, unread = self._origin(task_vars)
        options = _role_options()
        faults += unknown_variables([name for name in task_vars if isinstance(name, str)], options)
        where, misplaced = _place(task_vars)
        faults += misplaced + unread
        try:
            result["plan"] = plan(values, sources, digest(RUNTIME), str(SAMPLE), where, variables)
            # A back that this run leaves out may be down: a front passes it over, and is not kept from changing by it.
            upstreams, present = result["plan"]["upstreams"], task_vars["ansible_play_hosts_all"]
            result["plan"]["upstreams"] = [target for back, target in upstreams if back in present]
        except PlanError as error:
            faults = [*error.faults, *faults]
        else:
            result["plan"]["packages"] = self._packages(result["plan"]["sets"], options, task_vars)
        if faults:
            # It would be shown with them, the secrets of the sites in it.
            result.pop("plan", None)
            result.update(failed=True, faults=faults, msg="Nothing was changed. The inventory has faults:\n" + "\n".join(f"* {fault}" for fault in faults))
        result["changed"] = False
        # The plan holds the sites' secrets; faults hold none, and have to be read.
        result["_ansible_no_log"] = not faults
        return result

    def _packages(self, roles: list[str], options: dict[str, dict], task_vars: dict) -> list[str]:
        """All Debian packages of some roles, so that one transaction of apt brings them; each role's variable says which."""
        found = []
        for role in roles:
            name = f"{role}_packages"
            if name in options.get(role, {}):
                found += self._templar.template(task_vars.get(name, options[role][name].get("default", [])))
        return sorted(set(found))

    def _origin(self, task_vars) -> tuple[dict, list[str]]:
        """The variables that say where the host's front comes from, where Debian carries none, and which name no file."""
        front = FRONTS.get(self._task.args.get("front") or "")
        names = [name for named_by in front.named_by for name in (named_by, f"{named_by}_checksum")] if front else []
        found = {name: self._templar.template(task_vars[name]) for name in names if name in task_vars}
        return found, [
            f"{name}: {path!r} is no file on the controller"
            for name, path in found.items()
            if isinstance(path, str) and path.endswith(".deb") and path.startswith("/") and not Path(path).is_file()
        ]

    def _sources(self, sites, task_vars) -> tuple[dict, list[str]]:
        """What the plan must know of the directories that sites are deployed from; makes their paths absolute."""
        found, faults = {"sample": _describe(SAMPLE)} if not sites else {}, []
        for site in sites if isinstance(sites, list) else []:
            source = site.get("source") if isinstance(site, dict) else None
            path = source.get("path") if isinstance(source, dict) else None
            if not isinstance(path, str) or site.get("state") == "absent":
                continue
            tried = list(dict.fromkeys(os.path.realpath(os.path.join(base, path)) for base in (task_vars.get("inventory_dir") or ".", ".")))
            root = next((Path(each) for each in tried if os.path.isdir(each)), None)
            if root is None:
                shown = " or ".join(map(repr, tried))
                faults.append(f"sites[{site.get('name')}].source.path: {path!r} is no directory on the controller; looked for {shown}")
                continue
            source["path"] = str(root)
            found[site.get("name")] = _describe(root)
            named = site.get("requirements")
            if isinstance(named, str) and not (root / named).is_file():
                faults.append(f"sites[{site.get('name')}].requirements: {named!r} is no file in {root}; name one that is, or write a list")
        return found, faults


def _place(task_vars) -> tuple[Place, list[str]]:
    """Where the host stands by the groups fronts and backs, and what all hosts of these say of themselves."""
    groups, hostvars = task_vars["groups"], task_vars["hostvars"]
    known = {}
    for host in {*groups.get("fronts", []), *groups.get("backs", [])}:
        told = hostvars[host]
        known[host] = {key: told.get(key) for key in ("front", "back", "link", "transport", "sites", "link_address", "ansible_host")}
        facts = told.get("ansible_facts") or {}
        known[host]["default_addresses"] = [(facts.get(f"default_ipv{version}") or {}).get("address") for version in (4, 6)]
    return place(task_vars["inventory_hostname"], groups, known)


def _describe(root: Path) -> dict:
    return {"digest": digest(root), "requirements_txt": (root / "requirements.txt").is_file()}


def _role_options() -> dict[str, dict]:
    """The options of the roles of servers, as their argument specs name them."""
    options = {}
    for path in COLLECTION.glob("roles/*_*/meta/argument_specs.yml"):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        options[path.parts[-3]] = specs["main"]["options"]
    return options
