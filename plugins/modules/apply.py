#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: apply
version_added: 0.1.0
short_description: Apply the packages, files and units of a role as one change
description:
  - Brings everything that a role owns on a host to the wanted state in one round trip - packages,
    files, links and systemd units.
  - Templates are rendered on the controller. The files are compared with what the host has, tried
    by the server's own parser in a private view of the host (an overlay in a mount namespace of its
    own), and only then swapped in. Units are then reloaded or restarted, and only those whose files
    changed since they last took them up. Targets of these units are then asked until they are
    healthy.
  - Where the parser refuses the files, a unit does not come up or a target is not healthy then, the
    files are put back byte for byte, and the commands and units take up the old ones. A change that
    was killed half way is undone by the next run before anything else.
  - A file that the set owned before and no longer names is removed, or what stood there before the
    set took it over is put back. Other files are not touched. With O(defer), and always for
    accounts and directories, that is left to M(pyweb.stack.retire).
extends_documentation_fragment: pyweb.stack.targets
options:
  name:
    description: Name of the set, usually the role's. The host keeps a record by this name below
      C(/var/lib/pyweb/.changes).
    type: str
    required: true
  packages:
    description:
      - Debian packages that have to be installed. Missing ones are installed by
        M(ansible.builtin.apt), without recommended packages and without starting their services;
        the units start them.
    type: list
    elements: str
    default: []
  installed:
    description: Packages that came for this change before it, as the action plugin and the role
      know. They go with the set, also where it is refused.
    type: list
    elements: str
    default: []
  ports:
    description:
      - Ports that a unit is going to need. Where a program has one that is not a front of this
        collection, nothing is changed.
      - Where another front of this collection has one, and the unit is one of O(units), the ports
        are handed over - new connections wait in the kernel (by a table of nftables of its own)
        while the old unit stops listening and the new one starts and is asked. What is open already
        goes on with the old unit. Without nftables connections are refused for that moment, and a
        warning says so.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The TCP port.
        type: int
        required: true
      unit:
        description: The unit that may have it.
        type: str
        required: true
  accounts:
    description: Accounts that the set makes. Where one of them is there with another home
      directory, nothing is changed.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      home:
        description: Its home directory.
        type: str
        required: true
      each:
        description: Makes one account of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for.
        type: str
        default: ""
  directories:
    description: Directories that the set's commands make, to be removed with what they belong to.
      One that is there already is not the set's.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      holds:
        description:
          - What is in it - V(ours) goes with it; V(data) goes with it only where that is asked for;
            V(others) keeps it.
        type: str
        choices: [ours, data, others]
        default: ours
      made:
        description: Whether the role has made it before this task, so that it goes with the set
          although it is there.
        type: bool
        default: false
      each:
        description: Makes one directory of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for.
        type: str
        default: ""
  releases:
    description: Releases that the sites need; the result names those that are missing, as
      M(pyweb.stack.release) would.
    type: list
    elements: dict
    default: []
  serves:
    description:
      - Directories that the front's account has to be able to read. Where one is missing, or it
        cannot, nothing is changed.
    type: list
    elements: str
    default: []
  sets:
    description: Names of all sets that this host shall have. A set that is not among them is
      leaving.
    type: list
    elements: str
  inputs:
    description: Set by the action plugin - a digest of what the set is settled from, for
      M(pyweb.stack.compare).
    type: str
  runs:
    description:
      - Finished sites whose processes the set runs, set aside by the action plugin. Their
        environment, their secrets and the link to the release that is served are files of the set,
        by templates that all backs share.
      - Where what a site runs is going to change, and the plan gives it a candidate, the set's own
        files and units for it are tried first under the names of the candidate, beside what serves.
        The commands of C(before_switch) run before that, those of C(after_switch) when the site has
        taken over and answers. Where one of all these fails, nothing was changed, or the change is
        undone.
    type: list
    elements: dict
    default: []
  through:
    description: What to ask, as in O(targets), of these sites through the front of the host, before
      and after a change. Where one answered and does not any more, the change is undone.
    type: list
    elements: dict
    default: []
  stage:
    description:
      - How far to go, where several hosts go on together.
      - V(once) runs the commands of C(before_switch) that one host runs for all; V(beside) runs the
        others and tries the candidates; neither changes what serves. V(over) does the rest. V(all)
        does everything.
    type: str
    choices: [all, once, beside, over]
    default: all
  candidates:
    description: Set by the action plugin - what the sites of O(runs) are going to run, and the
      commands of their hooks.
    type: list
    elements: dict
    default: []
    suboptions:
      site:
        description: Name of the site.
        type: str
        required: true
      account:
        description: Account that it runs as.
        type: str
        required: true
      slice:
        description: systemd slice of what runs for it.
        type: str
      release:
        description: The release, with its C(id) and C(path).
        type: dict
        required: true
      by:
        description: Who has it changed, as the host remembers.
        type: str
        default: ""
      files:
        description: Files of the candidate, as in O(files).
        type: list
        elements: dict
        default: []
      units:
        description: Units of the candidate; none where it cannot be tried.
        type: list
        elements: str
        default: []
      target:
        description: What to ask of it, as in O(targets).
        type: dict
      stands_for:
        description: The unit that is to take over.
        type: str
        required: true
      variables:
        description: For each hook, the files of environment variables of its commands.
        type: dict
        required: true
      hooks:
        description: For each hook, its commands.
        type: dict
        required: true
  defer:
    description: Leaves files and units that the set no longer wants where they are, for
      M(pyweb.stack.retire) to remove when nothing uses them any more.
    type: bool
    default: false
  verify:
    description:
      - Asks every target also where nothing changed, and of all units. Where a change was made, one
        that answered before and does not now undoes it.
    type: bool
    default: false
  files:
    description: Files that the set owns.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      template:
        description:
          - Template to render, searched in the role's C(templates), then in those of the role
            C(app), which all backs share.
          - Exactly one of O(files[].template), O(files[].content) and O(files[].target) is
            possible.
        type: str
      content:
        description: The file's text.
        type: str
      target:
        description: Makes the path a symbolic link to this target.
        type: str
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Octal mode, quoted.
        type: str
        default: "0644"
      secret:
        description: Keeps the content out of every diff and log.
        type: bool
        default: false
      once:
        description:
          - Writes the file once; from then on it belongs to somebody else. Where it is not as the
            role would write it, there is a warning.
        type: bool
        default: false
      late:
        description: Leaves the file where it is when the set no longer names it, as O(defer) does
          for all of them.
        type: bool
        default: false
      each:
        description:
          - Makes one file of each item. The path, target, owner and group may name keys of the item
            in braces, as in C(/etc/pyweb/{name}/{unit}.environment); the template sees the item as
            C(site).
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for.
        type: str
        default: ""
  certificates:
    description:
      - Certificates that a server needs, with their keys, which are files of the set. Each pair is
        tried by a handshake in memory before anything is changed, since a server may end with a key
        of another certificate although its parser finds no fault.
    type: list
    elements: dict
    default: []
    suboptions:
      each:
        description: Set aside by the action plugin - sites, of which those with C(tls) have a
          certificate.
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for.
        type: str
        default: ""
      certificate:
        description: Set by the action plugin - path of the certificate and of those that vouch for
          it.
        type: str
      key:
        description: Set by the action plugin - path of the key.
        type: str
      names:
        description: Set by the action plugin - host names that the certificate has to be for.
        type: list
        elements: str
        default: []
      chain:
        description: Set by the action plugin - text of the certificates in PEM.
        type: str
      private_key:
        description: Set by the action plugin - text of the key in PEM.
        type: str
      self_signed:
        description: Set by the action plugin - whether the host makes the pair, and anew when a
          third of its lifetime is left.
        type: bool
        default: false
      lineage:
        description: Set by the action plugin - directory in which certbot keeps the newest pair.
          Without one there, the pair that is served stays.
        type: str
      group:
        description: Group that may read the key, for a server that reads it by an account of its
          own; without one root alone may.
        type: str
        default: root
  absent:
    description:
      - Paths of files or links that have to be out of the way, such as a distribution's default
        site.
      - They are put back when the set no longer names them.
    type: list
    elements: str
    default: []
  check:
    description: Command of the server's own parser, as a list. It sees the files as wanted. An exit
      status other than 0 refuses the change.
    type: list
    elements: str
    default: []
  commands:
    description: Commands that take up changed files, run after the swap and before the units, and
      once more where the change is undone.
    type: list
    elements: dict
    default: []
    suboptions:
      argv:
        description: The command as a list.
        type: list
        elements: str
        required: true
      paths:
        description: Paths whose change makes it run. One that ends with a slash stands for the
          set's files below it.
        type: list
        elements: str
        required: true
      each:
        description: Makes one command of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for. After the
          command it is asked, too.
        type: str
        default: ""
  units:
    description: systemd units that have to be enabled and active.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit with its suffix.
        type: str
        required: true
      reload_on:
        description: Paths whose change the unit takes up by a reload. One that ends with a slash
          stands for the set's files below it.
        type: list
        elements: str
        default: []
      restart_on:
        description: Paths whose change the unit takes up only by a restart.
        type: list
        elements: str
        default: []
      restart_with:
        description: Units to restart in the same transaction when this one restarts, such as the
          service of a socket.
        type: list
        elements: str
        default: []
      enabled:
        description: Whether it starts at boot.
        type: bool
        default: true
      gap:
        description: Whether nothing listens for a moment when it reloads. New connections to its
          O(ports) wait meanwhile, as when they are handed over.
        type: bool
        default: false
      by_hand:
        description: Whether it is started by hand - then it has to be neither enabled nor active,
          but goes with the set, and takes up changes where it runs.
        type: bool
        default: false
      shared:
        description: Whether it runs for others, too - then it is not stopped when the set goes.
        type: bool
        default: false
      each:
        description: Makes one unit of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
      site:
        description: Set by the action plugin - name of the site that the item is for.
        type: str
        default: ""
attributes:
  check_mode:
    support: full
    description: Says what would change without changing it, also on a host that has none of the
      packages yet.
  diff_mode:
    support: full
    description: Shows the change of every file; of a secret one only that it changes.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: debian
    description: The releases of Debian that the README names.
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Apply nginx and its sites
  pyweb.stack.apply:
    name: front_nginx
    packages: [nginx-light]
    files:
      - path: /etc/nginx/nginx.conf
        template: nginx.conf.j2
      - path: /etc/nginx/pyweb/{name}.conf
        template: site.conf.j2
        each: "{{ front_nginx_sites }}"
    absent: [/etc/nginx/sites-enabled/default]
    check: [nginx, -t]
    units:
      - name: nginx.service
        reload_on: [/etc/nginx/]
"""

RETURN = """
packages:
  description: Packages that were installed, or would be.
  type: list
  elements: str
  returned: always
files:
  description: Paths that changed, or would.
  type: list
  elements: str
  returned: always
units:
  description: What was done to each unit, or would be - start, reload or restart.
  type: dict
  returned: always
  sample: {nginx.service: reload}
recovered:
  description: Sets whose change was killed half way and had to be undone first.
  type: list
  elements: str
  returned: always
leaving:
  description: Whether the host has something that is no longer wanted, for M(pyweb.stack.retire) to
    remove.
  type: bool
  returned: always
sites:
  description: The files and units that changed, or would, by the site that they are for; what all
    sites share is under an empty name.
  type: dict
  returned: always
hooks:
  description: The commands of hooks that ran, each with its site, hook, seconds and last words; in
    check mode those that would run, without seconds.
  type: list
  elements: dict
  returned: always
  sample:
    - site: shop
      hook: before_switch
      command: [python, manage.py, migrate]
      seconds: 1.2
      output: ["Running migrations:", "  No migrations to apply."]
missing_releases:
  description: Sites whose release is missing.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.pyweb.stack.plugins.module_utils._candidates import (
    Candidate,
    candidate_of,
    clear,
)
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import (
    certificate_files,
    refused_pairs,
)
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change, diff, recover
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry
from ansible_collections.pyweb.stack.plugins.module_utils._packages import STATUS, installed
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import (
    foreign_account,
    taken_port,
    unreadable,
    unready,
)
from ansible_collections.pyweb.stack.plugins.module_utils._probing import TARGET_SPEC
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    Packages,
    Record,
    is_front,
    lock,
    records,
)
from ansible_collections.pyweb.stack.plugins.module_utils._releases import lacking_of, missing_of
from ansible_collections.pyweb.stack.plugins.module_utils._rollout import Rollout
from ansible_collections.pyweb.stack.plugins.module_utils._units import (
    is_active,
    unit_of_parameters,
)

FILE = {
    "path": {"type": "str", "required": True},
    "template": {"type": "str"},
    "content": {"type": "str"},
    "target": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0644"},
    "secret": {"type": "bool", "default": False},
    "once": {"type": "bool", "default": False},
    "late": {"type": "bool", "default": False},
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
}
DIRECTORY = {
    "path": {"type": "str", "required": True},
    "holds": {"type": "str", "choices": ["ours", "data", "others"], "default": "ours"},
    "made": {"type": "bool", "default": False},
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
}
CERTIFICATE = {
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
    "certificate": {"type": "str"},
    "key": {"type": "str", "no_log": False},
    "names": {"type": "list", "elements": "str", "default": []},
    "chain": {"type": "str"},
    "private_key": {"type": "str", "no_log": True},
    "self_signed": {"type": "bool", "default": False},
    "lineage": {"type": "str"},
    "group": {"type": "str", "default": "root"},
}
PORT = {"port": {"type": "int", "required": True}, "unit": {"type": "str", "required": True}}
ACCOUNT = {
    "name": {"type": "str", "required": True},
    "home": {"type": "str", "required": True},
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
}
COMMAND = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
}
UNIT = {
    "name": {"type": "str", "required": True},
    "reload_on": {"type": "list", "elements": "str", "default": []},
    "restart_on": {"type": "list", "elements": "str", "default": []},
    "restart_with": {"type": "list", "elements": "str", "default": []},
    "enabled": {"type": "bool", "default": True},
    "gap": {"type": "bool", "default": False},
    "by_hand": {"type": "bool", "default": False},
    "shared": {"type": "bool", "default": False},
    "each": {"type": "list", "elements": "dict"},
    "site": {"type": "str", "default": ""},
}
CANDIDATE = {
    "site": {"type": "str", "required": True},
    "account": {"type": "str", "required": True},
    "slice": {"type": "str"},
    "release": {"type": "dict", "required": True},
    "by": {"type": "str", "default": ""},
    "files": {"type": "list", "elements": "dict", "default": []},
    "units": {"type": "list", "elements": "str", "default": []},
    "target": {"type": "dict"},
    "stands_for": {"type": "str", "required": True},
    "variables": {"type": "dict", "required": True},
    "hooks": {"type": "dict", "required": True},
}
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "installed": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "dict", "options": PORT, "default": []},
    "accounts": {"type": "list", "elements": "dict", "options": ACCOUNT, "default": []},
    "directories": {"type": "list", "elements": "dict", "options": DIRECTORY, "default": []},
    "releases": {"type": "list", "elements": "dict", "default": []},
    "serves": {"type": "list", "elements": "str", "default": []},
    "sets": {"type": "list", "elements": "str"},
    "inputs": {"type": "str"},
    "runs": {"type": "list", "elements": "dict", "default": []},
    "defer": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "files": {"type": "list", "elements": "dict", "options": FILE, "default": []},
    "candidates": {"type": "list", "elements": "dict", "options": CANDIDATE, "default": []},
    "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE, "default": []},
    "absent": {"type": "list", "elements": "str", "default": []},
    "check": {"type": "list", "elements": "str", "default": []},
    "commands": {"type": "list", "elements": "dict", "options": COMMAND, "default": []},
    "units": {"type": "list", "elements": "dict", "options": UNIT, "default": []},
    "targets": {"type": "list", "elements": "dict", "options": TARGET_SPEC, "default": []},
    "through": {"type": "list", "elements": "dict", "default": []},
    "stage": {"type": "str", "choices": ["all", "once", "beside", "over"], "default": "all"},
}


def settled(items: list[dict], options: dict) -> list[dict]:
    """Items of an option that another one documents, with their defaults."""
    spec = {"items": {"type": "list", "elements": "dict", "options": options}}
    checked = ArgumentSpecValidator(spec).validate({"items": items})
    if checked.error_messages:
        raise ValueError("; ".join(checked.error_messages))
    return checked.validated_parameters["items"]


def candidates(parameters: dict) -> list[Candidate]:
    """What the sites of the set are going to run."""
    found = []
    for given in parameters["candidates"]:
        target = settled([given["target"]], TARGET_SPEC)[0] if given["target"] else None
        files = entries(settled(given["files"], FILE))
        found.append(candidate_of({**given, "target": target}, files))
    return found


def entries(files: list[dict]) -> dict:
    """What is wanted at the path of each file."""
    wanted = {}
    for file in files:
        content = None if file["target"] else file["content"].encode()
        mode = 0o777 if file["target"] else int(file["mode"], 8)
        wanted[file["path"]] = Entry(
            content=content,
            target=file["target"],
            mode=mode,
            owner=file["owner"],
            group=file["group"],
        )
    return wanted


def note_beforehand(parameters: dict) -> None:
    """Note what came for this change before it was tried, so that it goes also where the change is
    refused.
    """
    if parameters["installed"]:
        packages = Packages()
        packages.claim(parameters["name"], parameters["packages"], parameters["installed"])
        packages.save()
    record = Record(parameters["name"])
    for item in parameters["directories"]:
        if item["made"]:
            record.items["directories"].setdefault(
                item["path"], {"site": item["site"], "holds": item["holds"], "leaving": False}
            )
    record.save()


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = module.params
    if words := unready():
        module.fail_json(msg=words)
    if not module.check_mode:
        lock()
        note_beforehand(parameters)
    units = [unit_of_parameters(unit) for unit in parameters["units"]]

    of_fronts = [
        unit for record in records() if is_front(record.name) for unit in record.items["units"]
    ]
    up = [unit for unit in of_fronts if is_active(unit)] if parameters["ports"] else []
    taken = [
        holder
        for holder in (taken_port(**port, active=up) for port in parameters["ports"])
        if holder
    ]
    in_the_way = [str(holder) for holder in taken if holder.unit not in of_fronts]
    in_the_way += filter(
        None,
        [foreign_account(account["name"], account["home"]) for account in parameters["accounts"]],
    )
    in_the_way += lacking_of(parameters["releases"])
    in_the_way += filter(None, [unreadable(path, "www-data") for path in parameters["serves"]])
    if in_the_way:
        module.fail_json(
            msg="Nothing was changed:\n" + "\n".join(f"* {words}" for words in in_the_way)
        )
    takeover = [holder for holder in taken if holder.wanted_by in {unit.name for unit in units}]

    with open(STATUS, encoding="utf-8") as file:
        present = installed(file.read())
    waits = takeover or (parameters["ports"] and any(unit.gap for unit in units))
    needed = parameters["packages"] + (["nftables"] if waits else [])
    missing = [name for name in needed if name not in present]
    if missing and not module.check_mode:
        # The action plugin installs these and calls again; nothing was touched yet.
        module.exit_json(changed=False, missing=missing)

    recovered = []
    if not module.check_mode:
        recovered = recover()
        clear()
    parameters["files"] += certificate_files(parameters["certificates"], module.check_mode)
    sites = {file["path"]: file["site"] for file in parameters["files"]}
    late = {file["path"] for file in parameters["files"] if file["late"]}
    wanted = {**dict.fromkeys(parameters["absent"]), **entries(parameters["files"])}
    change = Change(parameters["name"], wanted, sites, parameters["defer"], late)
    for path in change.leave([file["path"] for file in parameters["files"] if file["once"]]):
        module.warn(
            f"{path} is not as the role would write it, and is left alone, since it belongs to "
            "somebody else"
        )
    different = change.differences()
    secrets = {file["path"] for file in parameters["files"] if file["secret"]}
    parameters["through"] = settled(parameters["through"], TARGET_SPEC)
    rollout = Rollout(change, units, parameters, takeover, candidates(parameters))
    result = {
        "hooks": rollout.hooks,
        "packages": missing,
        "files": different,
        "recovered": recovered,
        "leaving": rollout.leaving(),
        "missing_releases": missing_of(parameters["releases"]),
        "diff": [
            diff(path, change.before[path], change.wanted[path], path in secrets)
            for path in different
        ],
    }

    if faults := refused_pairs(parameters["certificates"], change.wanted, different):
        module.fail_json(
            msg="Nothing was changed:\n" + "\n".join(f"* {words}" for words in faults),
            units={},
            **result,
        )
    tried = None
    if different and parameters["check"] and not missing:
        tried = change.tried(different, parameters["check"])
        if tried and tried[0] != 0:
            words = (
                f"{' '.join(parameters['check'])} refuses the new files; nothing was "
                f"changed:\n{rollout.explained(tried[1])}"
            )
            module.fail_json(msg=words, units={}, **result)

    work = rollout.decide(expecting=different)
    result["diff"] += rollout.drift(work)
    if module.check_mode:
        verbs = {**work.summary(), **{holder.unit: "stop" for holder in takeover}}
        if going := rollout.going():
            words = "".join(f"{key}\n" for key in going)
            result["diff"].append(
                {
                    "before": words,
                    "after": "",
                    "before_header": "no longer wanted",
                    "after_header": "no longer wanted",
                }
            )
        result["hooks"] = rollout.would_run(different)
        changes = missing or different or verbs or rollout.going() or rollout.lost()
        module.exit_json(changed=bool(changes), units=verbs, **result)

    if parameters["stage"] in ("once", "beside"):
        if problem := rollout.try_beside(different, parameters["stage"]):
            module.fail_json(msg=problem, units={}, **result)
        module.exit_json(changed=False, units={}, **{**result, "files": [], "diff": []})
    problem = rollout.carry_through(different, [] if tried else parameters["check"])
    verbs = rollout.work.summary()
    if problem:
        module.fail_json(msg=problem, units=verbs, **result)
    rollout.keep()
    if rollout.warning:
        module.warn(rollout.warning)
    changed = bool(different or verbs or rollout.ran)
    if parameters["verify"] and (words := rollout.unhealthy()):
        module.fail_json(msg=words, changed=changed, units=verbs, **result)
    module.exit_json(changed=changed, units=verbs, **result)


if __name__ == "__main__":
    main()
