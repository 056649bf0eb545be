#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: apply
version_added: 0.1.0
short_description: Apply the packages, files and units of a role as one change
description:
  - Brings everything that a role owns on a host to the wanted state in one round trip - packages, files, links and systemd units.
  - Templates are rendered on the controller. The files are compared with what the host has, tried by the server's own parser in a
    private view of the host (an overlay in a mount namespace of its own), and only then swapped in. Units are then reloaded or restarted,
    and only those whose files changed since they last took them up. Targets of these units are then asked until they are healthy.
  - Where the parser refuses the files, a unit does not come up or a target is not healthy then, the files are put back byte for byte and the
    units with them.
    A change that was killed half way is undone by the next run before anything else.
  - A file that the set owned before and no longer names is removed, or what stood there before the set took it over is put back.
    Other files are not touched.
extends_documentation_fragment: pyweb.stack.targets
options:
  name:
    description: Name of the set, usually the role's. The host keeps a record by this name below C(/var/lib/pyweb/.changes).
    type: str
    required: true
  packages:
    description:
      - Debian packages that have to be installed. Missing ones are installed by M(ansible.builtin.apt), without recommended packages and
        without starting their services; the units start them.
    type: list
    elements: str
    default: []
  ports:
    description: Ports that a unit is going to need. Where another program has one, nothing is changed.
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
    description: Accounts that the set makes. Where one of them is there with another home directory, nothing is changed.
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
          - Template to render, searched in the role's C(templates), then in those of the role C(app), which all backs share.
          - Exactly one of O(files[].template), O(files[].content) and O(files[].target) is possible.
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
          - Writes the file once; from then on it belongs to somebody else. Where it is not as the role would write it, there is a warning.
        type: bool
        default: false
      each:
        description:
          - Makes one file of each item. The path, target, owner and group may name keys of the item in braces, as in C(/etc/pyweb/{name}/environment);
            the template sees the item as C(site).
        type: list
        elements: dict
  absent:
    description:
      - Paths of files or links that have to be out of the way, such as a distribution's default site.
      - They are put back when the set no longer names them.
    type: list
    elements: str
    default: []
  check:
    description: Command of the server's own parser, as a list. It sees the files as wanted. An exit status other than 0 refuses the change.
    type: list
    elements: str
    default: []
  commands:
    description: Commands that take up changed files, run after the swap and before the units.
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
        description: Paths whose change makes it run. One that ends with a slash stands for the set's files below it.
        type: list
        elements: str
        required: true
      each:
        description: Makes one command of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
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
        description: Paths whose change the unit takes up by a reload. One that ends with a slash stands for the set's files below it.
        type: list
        elements: str
        default: []
      restart_on:
        description: Paths whose change the unit takes up only by a restart.
        type: list
        elements: str
        default: []
      restart_with:
        description: Units to restart in the same transaction when this one restarts, such as the service of a socket.
        type: list
        elements: str
        default: []
      enabled:
        description: Whether it starts at boot.
        type: bool
        default: true
      each:
        description: Makes one unit of each item; strings may name keys of the item in braces.
        type: list
        elements: dict
attributes:
  check_mode:
    support: full
    description: Says what would change without changing it, also on a host that has none of the packages yet.
  diff_mode:
    support: full
    description: Shows the change of every file; of a secret one only that it changes.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: debian
    description: Debian 12 and 13.
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
  description: Whether a change that was killed half way had to be undone first.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyweb.stack.plugins.module_utils.change import Change, Entry, digest, run
from ansible_collections.pyweb.stack.plugins.module_utils.preconditions import foreign_account, taken_port
from ansible_collections.pyweb.stack.plugins.module_utils.probing import TARGET_SPEC, target_of, wait_until_healthy
from ansible_collections.pyweb.stack.plugins.module_utils.units import Unit, Work, bring_back, carry_out, decide, states, take_down

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
    "each": {"type": "list", "elements": "dict"},
}
PORT = {"port": {"type": "int", "required": True}, "unit": {"type": "str", "required": True}}
ACCOUNT = {
    "name": {"type": "str", "required": True},
    "home": {"type": "str", "required": True},
    "each": {"type": "list", "elements": "dict"},
}
COMMAND = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    "each": {"type": "list", "elements": "dict"},
}
UNIT = {
    "name": {"type": "str", "required": True},
    "reload_on": {"type": "list", "elements": "str", "default": []},
    "restart_on": {"type": "list", "elements": "str", "default": []},
    "restart_with": {"type": "list", "elements": "str", "default": []},
    "enabled": {"type": "bool", "default": True},
    "each": {"type": "list", "elements": "dict"},
}
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "dict", "options": PORT, "default": []},
    "accounts": {"type": "list", "elements": "dict", "options": ACCOUNT, "default": []},
    "files": {"type": "list", "elements": "dict", "options": FILE, "default": []},
    "absent": {"type": "list", "elements": "str", "default": []},
    "check": {"type": "list", "elements": "str", "default": []},
    "commands": {"type": "list", "elements": "dict", "options": COMMAND, "default": []},
    "units": {"type": "list", "elements": "dict", "options": UNIT, "default": []},
    "targets": {"type": "list", "elements": "dict", "options": TARGET_SPEC, "default": []},
}


def installed(status: str) -> set[str]:
    """Names of the installed packages in dpkg's status file (dpkg-query(1))."""
    names = set()
    for block in status.split("\n\n"):
        if "\nStatus: install ok installed" in block or "\nStatus: hold ok installed" in block:
            names.add(block.split("\n", 1)[0][len("Package: ") :])
    return names


def entries(parameters: dict) -> dict:
    """What is wanted at each path."""
    wanted = dict.fromkeys(parameters["absent"])
    for file in parameters["files"]:
        content = None if file["target"] else file["content"].encode()
        mode = 0o777 if file["target"] else int(file["mode"], 8)
        wanted[file["path"]] = Entry(content=content, target=file["target"], mode=mode, owner=file["owner"], group=file["group"])
    return wanted


def diff(path: str, before, after, secret: bool) -> dict:
    """One file's change, as --diff shows it."""

    def words(entry) -> str:
        if entry is None:
            return ""
        if secret:
            return "(a secret)\n"
        return f"link to {entry.target}\n" if entry.content is None else entry.content.decode(errors="replace")

    def header(entry) -> str:
        return f"{path} ({entry.owner}:{entry.group} {entry.mode:04o})" if entry else f"{path} (absent)"

    old, new = words(before), words(after)
    if secret and before and after and before.content != after.content:
        new = "(another secret)\n"
    return {"before": old, "after": new, "before_header": header(before), "after_header": header(after)}


def below(owned, names) -> list[str]:
    """The paths that are meant: each itself, or the owned ones below it where it ends with a slash."""
    folders = tuple(name for name in names if name.endswith("/"))
    return sorted({name for name in names if not name.endswith("/")} | {path for path in owned if path.startswith(folders)})


def main() -> None:
    # Arguments hold whole files, secrets among them: keep them out of the host's system log.
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, no_log=True)
    parameters = module.params
    in_the_way = [taken_port(**port) for port in parameters["ports"]] + [
        foreign_account(account["name"], account["home"]) for account in parameters["accounts"]
    ]
    if any(in_the_way):
        module.fail_json(msg="Nothing was changed:\n" + "\n".join(f"* {words}" for words in in_the_way if words))

    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        present = installed(file.read())
    missing = [name for name in parameters["packages"] if name not in present]
    if missing and not module.check_mode:
        # The action plugin installs these and calls again; nothing was touched yet.
        module.exit_json(changed=False, missing=missing)

    change = Change(parameters["name"], entries(parameters))
    recovered = not module.check_mode and change.recover()
    for path in change.leave([file["path"] for file in parameters["files"] if file["once"]]):
        module.warn(f"{path} is not as the role would write it, and is left alone, since it belongs to somebody else")
    different = change.differences()
    secrets = {file["path"] for file in parameters["files"] if file["secret"]}
    result = {
        "packages": missing,
        "files": different,
        "recovered": recovered,
        "diff": [diff(path, change.before[path], change.wanted[path], path in secrets) for path in different],
    }

    tried = None
    if different and parameters["check"] and not missing:
        tried = change.tried(different, parameters["check"])
        if tried and tried[0] != 0:
            module.fail_json(msg=f"{' '.join(parameters['check'])} refuses the new files; nothing was changed:\n{tried[1]}", units={}, **result)

    units = [Unit(**{key: tuple(value) if isinstance(value, list) else value for key, value in unit.items() if key != "each"}) for unit in parameters["units"]]
    taking_up = TakingUp(change, units, parameters["commands"], parameters["targets"])

    if module.check_mode:
        work = taking_up.decide(expecting=different)
        module.exit_json(changed=bool(missing or different or work.summary()), units=work.summary(), **result)

    # While their files are still there, so that nothing of them stays behind.
    take_down(taking_up.unwanted())
    if different:
        change.swap(different)
    problem = taking_up.run(different, [] if tried else parameters["check"])
    verbs = taking_up.work.summary()
    if problem:
        if different:
            change.undo(different)
            run(["systemctl", "daemon-reload"])
        bring_back(taking_up.work)
        module.fail_json(msg=f"{problem}\n" + ("Every file is as it was before." if different else "No file was changed."), units=verbs, **result)
    change.keep(taking_up.digests(), [unit.name for unit in units])
    module.exit_json(changed=bool(different or verbs or taking_up.ran), units=verbs, **result)


class TakingUp:
    """Makes the host work with the files that it has: commands that read them, then units."""

    def __init__(self, change: Change, units: list[Unit], commands: list[dict], targets: list[dict]) -> None:
        self._change, self._units, self._commands, self._targets = change, units, commands, targets
        self.work = Work()
        self.ran: list[str] = []

    def digests(self) -> dict[str, str]:
        """Of the paths that each command and unit takes up, as they are now."""
        return {key: digest(paths) for key, paths in self._paths().items()}

    def _paths(self) -> dict[str, list[str]]:
        paths = {" ".join(command["argv"]): below(self._change.wanted, command["paths"]) for command in self._commands}
        for unit in self._units:
            paths[f"{unit.name} reload"] = below(self._change.wanted, unit.reload_on)
            paths[f"{unit.name} restart"] = below(self._change.wanted, unit.restart_on)
        return paths

    def decide(self, expecting=()) -> Work:
        """What the units need; expecting: paths that are about to change."""
        changing = {key: "changing" for key, paths in self._paths().items() if set(paths) & set(expecting)}
        found = states([unit.name for unit in self._units])
        if any(state.needs_daemon_reload for state in found.values()) and not expecting:
            run(["systemctl", "daemon-reload"])
        work = decide(self._units, found, self._change.record["effects"], {**self.digests(), **changing})
        work.disable = self.unwanted()
        return work

    def unwanted(self) -> list[str]:
        """Units that the set had and no longer names."""
        return sorted(set(self._change.record["units"]) - {unit.name for unit in self._units})

    def run(self, different: list[str], check: list[str]) -> str | None:
        """Do it all, in order. Returns what went wrong, if anything; the work that was begun is in self.work."""
        if any(path.startswith("/etc/systemd/system/") for path in different):
            run(["systemctl", "daemon-reload"])
        digests = self.digests()
        for command in self._commands:
            key = " ".join(command["argv"])
            if digests[key] != self._change.record["effects"].get(key):
                self.ran.append(key)
                status, words = run(command["argv"])
                if status != 0:
                    return f"{key}: {words}"
        self._change.settle_owners(different)
        if check and different:
            status, words = run(check)
            if status != 0:
                return f"{' '.join(check)} refuses the new files:\n{words}"
        self.work = self.decide()
        return carry_out(self.work) or (self._unhealthy() if self.work.verbs else None)

    def _unhealthy(self) -> str | None:
        """Which targets of the units at work are not healthy, if any: what is up may still answer nothing but errors."""
        asked = [target for target in self._targets if target["unit"] is None or target["unit"] in self.work.verbs]
        outcomes = wait_until_healthy([target_of(target) for target in asked])
        return "\n".join(str(outcome) for outcome in outcomes if outcome.fault is not None) or None


if __name__ == "__main__":
    main()
