# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import yaml
from ansible.plugins.action import ActionBase
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import DEFAULTS, FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._faults import nearest
from ansible_collections.pyweb.stack.plugins.module_utils._plan import (
    PROJECT,
    REMOVAL,
    PlanError,
    plan,
)
from ansible_collections.pyweb.stack.plugins.module_utils._role_variables import (
    mistyped_variables,
    unknown_variables,
)
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place, place
from ansible_collections.pyweb.stack.plugins.plugin_utils._certificates import (
    CertificateFault,
    authorities,
    examine,
    read,
)
from ansible_collections.pyweb.stack.plugins.plugin_utils._source import (
    COLLECTION,
    RUNTIME,
    SAMPLE,
    SourceError,
    digest,
    project_requirements,
    scan,
    stray_links,
)

# The files of a source that say which requirements it has, where its site does not; the first that
# is there.
REQUIREMENTS = ("requirements.txt", PROJECT)
KEYS = (
    *("front", "back", "link", "transport", "tls_profile", "acme", "trusted_proxies", "sites"),
    *REMOVAL,
)


class ActionModule(ActionBase):
    """Hands the values of the inventory to the plan, and its answer to the playbook. Asks no host
    anything.
    """

    _supports_check_mode = True
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        values = {key: self._task.args.get(key) for key in KEYS}
        sources, faults = self._sources(values["sites"], task_vars)
        faults += [
            f"{key}: unknown option; possible: {', '.join(KEYS)}{nearest(key, KEYS)}"
            for key in self._task.args
            if key not in KEYS
        ]
        certificates, refused = self._certificates(values["sites"], values["acme"], task_vars)
        options = _role_options()
        variables, unread = self._of_front(task_vars, options)
        faults += unknown_variables([name for name in task_vars if isinstance(name, str)], options)
        given = {
            name: task_vars[name]
            for known in options.values()
            for name in known
            if name in task_vars
        }
        faults += mistyped_variables(given, options)
        where, misplaced = _place(task_vars)
        faults += misplaced + unread + refused
        try:
            result["plan"] = plan(
                values,
                sources,
                digest(scan(RUNTIME)),
                str(SAMPLE),
                where,
                variables,
                certificates,
                _debian(task_vars),
            )
            # A back that this run leaves out may be down: a front passes it over, and is not kept
            # from changing by it.
            upstreams, present = result["plan"]["upstreams"], task_vars["ansible_play_hosts_all"]
            result["plan"]["upstreams"] = [target for back, target in upstreams if back in present]
        except PlanError as error:
            faults = [*error.faults, *faults]
        else:
            result["plan"]["packages"] = self._packages(result["plan"]["sets"], options, task_vars)
        if faults:
            # It would be shown with them, the secrets of the sites in it.
            result.pop("plan", None)
            count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
            result.update(
                failed=True,
                faults=faults,
                msg=f"Nothing was changed, since the inventory has {count}.",
            )
            # Each in a line of its own, and once: Ansible shows the message twice.
            result["_ansible_verbose_always"] = True
        result["changed"] = False
        # The plan holds the sites' secrets; faults hold none, and have to be read.
        result["_ansible_no_log"] = not faults
        return result

    def _packages(self, roles: list[str], options: dict[str, dict], task_vars: dict) -> list[str]:
        """All Debian packages of some roles, so that one transaction of apt brings them; each
        role's variable says which.
        """
        found = []
        for role in roles:
            name = f"{role}_packages"
            if name in options.get(role, {}):
                found += self._templar.template(
                    task_vars.get(name, options[role][name].get("default", []))
                )
        return sorted(set(found))

    def _of_front(self, task_vars, options: dict[str, dict]) -> tuple[dict, list[str]]:
        """The variables of the host's front that say where it comes from and where it listens, and
        which name no file.
        """
        front = self._task.args.get("front") or DEFAULTS["front"]
        known = options.get(f"front_{front}", {})
        named_by = FRONTS[front].named_by if front in FRONTS else ()
        names = [name for each in named_by for name in (each, f"{each}_checksum")]
        names += [name for name in known if name.endswith(("_listen", "_listen_tls"))]
        found = {
            name: self._templar.template(task_vars.get(name, known[name].get("default")))
            for name in names
            if name in task_vars or "default" in known.get(name, {})
        }
        return found, [
            f"{name}: {path!r} is no file on the controller"
            for name, path in found.items()
            if isinstance(path, str)
            and path.endswith(".deb")
            and path.startswith("/")
            and not Path(path).is_file()
        ]

    def _sources(self, sites, task_vars) -> tuple[dict, list[str]]:
        """What the plan must know of the directories that sites are deployed from; makes their
        paths absolute.
        """
        found, faults = {"sample": _describe(SAMPLE, None)} if not sites else {}, []
        for site in sites if isinstance(sites, list) else []:
            source = site.get("source") if isinstance(site, dict) else None
            path = source.get("path") if isinstance(source, dict) else None
            if not isinstance(path, str) or site.get("state") == "absent":
                continue
            tried = list(
                dict.fromkeys(
                    os.path.realpath(os.path.join(base, path))
                    for base in (task_vars.get("inventory_dir") or ".", ".")
                )
            )
            root = next((Path(each) for each in tried if os.path.isdir(each)), None)
            if root is None:
                shown = " or ".join(map(repr, tried))
                faults.append(
                    f"sites[{site.get('name')}].source.path: {path!r} is no directory on the "
                    f"controller; looked for {shown}"
                )
                continue
            source["path"] = str(root)
            where, named = f"sites[{site.get('name')}]", site.get("requirements")
            try:
                found[site.get("name")] = _describe(root, named)
            except SourceError as error:
                faults += [f"{where}.{fault}" for fault in error.args]
            except OSError as error:
                faults.append(
                    f"{where}.source.path: {error.filename} cannot be read: {error.strerror}"
                )
        return found, faults

    def _certificates(self, sites, acme, task_vars) -> tuple[dict, list[str]]:
        """The given certificates and keys of the sites, and every fault in them; what has another
        shape is left to the plan.
        """
        found, faults = {}, []
        for site in sites if isinstance(sites, list) else []:
            tls = (
                site.get("tls")
                if isinstance(site, dict) and site.get("state") != "absent"
                else None
            )
            if authority := _authority(tls, acme):
                where = f"sites[{site.get('name')}].tls.acme.ca_certificates"
                try:
                    text = read(self._loader, authority, task_vars.get("inventory_dir") or ".")
                    found[site.get("name")] = {"authority": authorities(text)}
                except (OSError, CertificateFault) as fault:
                    faults.append(f"{where}: {fault}")
            given = (
                {key: tls.get(key) for key in ("certificate", "key")}
                if isinstance(tls, dict)
                else {}
            )
            if not given or not all(isinstance(value, str) and value for value in given.values()):
                continue
            texts = {}
            for key, value in given.items():
                try:
                    texts[key] = read(
                        self._loader, str(value), task_vars.get("inventory_dir") or "."
                    )
                except OSError as error:
                    faults.append(f"sites[{site.get('name')}].tls.{key}: {error}")
            names = site.get("server_names")
            names = (
                [name.lower() for name in names if isinstance(name, str)]
                if isinstance(names, list)
                else []
            )
            if len(texts) == len(given):
                try:
                    found[site.get("name")] = examine(texts["certificate"], texts["key"], names)
                except CertificateFault as fault:
                    faults.append(f"sites[{site.get('name')}].tls.{fault.key}: {fault}")
        return found, faults


def _authority(tls, defaults) -> str | None:
    """What a site's `tls`, or else its host, says of the certificates that vouch for its CA."""
    acme = tls.get("acme") if isinstance(tls, dict) else None
    if acme is True:
        acme = {}
    if not isinstance(acme, dict):
        return None
    more = defaults if isinstance(defaults, dict) else {}
    given = {**more, **acme}.get("ca_certificates")
    return given if isinstance(given, str) and given else None


def _debian(task_vars) -> int | None:
    """The release of the host, where its facts are known."""
    facts = task_vars.get("ansible_facts") or {}
    release = str(facts.get("distribution_major_version", ""))
    return int(release) if facts.get("distribution") == "Debian" and release.isdigit() else None


def _place(task_vars) -> tuple[Place, list[str]]:
    """Where the host stands by the groups fronts and backs, and what all hosts of these say of
    themselves.
    """
    groups, hostvars = task_vars["groups"], task_vars["hostvars"]
    known = {}
    for host in {*groups.get("fronts", []), *groups.get("backs", [])}:
        told = hostvars[host]
        known[host] = {
            key: told.get(key)
            for key in (
                "front",
                "back",
                "link",
                "transport",
                "sites",
                "link_address",
                "ansible_host",
            )
        }
        facts = told.get("ansible_facts") or {}
        known[host]["default_addresses"] = [
            (facts.get(f"default_ipv{version}") or {}).get("address") for version in (4, 6)
        ]
    host = task_vars["inventory_hostname"]
    where, faults = place(host, groups, known)
    present = [back for back in where.backs if back in task_vars["ansible_play_hosts_all"]]
    return replace(where, leads=not where.apart or present[:1] == [host]), faults


def _describe(root: Path, named) -> dict:
    """What the plan must know of a directory of source. named: the site's key requirements, as it
    is given.
    """
    source = scan(root)
    faults = [f"source.path: {fault}" for fault in stray_links(source)]
    if named is None:
        named = next((name for name in REQUIREMENTS if (root / name).is_file()), [])
    if isinstance(named, str):
        if not (root / named).is_file():
            faults.append(
                f"requirements: {named!r} is no file in {root}; name one that is, or write a list"
            )
        elif os.path.basename(named) == PROJECT:
            try:
                named = project_requirements(named, (root / named).read_bytes())
            except SourceError as error:
                faults += [f"requirements: {fault}" for fault in error.args]
    if faults:
        raise SourceError(*faults)
    contents = f"{len(source.paths)} files, {source.size / 1e6:.1f} MB"
    left = f"; stays behind: {', '.join(source.left)}" if source.left else ""
    return {"digest": digest(source), "requirements": named, "contents": contents + left}


def _role_options() -> dict[str, dict]:
    """The options of the roles of servers, as their argument specs name them."""
    options = {}
    for path in COLLECTION.glob("roles/*_*/meta/argument_specs.yml"):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        options[path.parts[-3]] = specs["main"]["options"]
    return options
