#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: retire
version_added: 0.1.0
short_description: Remove what a host has of this collection and no longer wants
description:
  - Runs when everything that is wanted serves. It stops the units that no set wants any longer, removes their files or puts back what
    stood there before, and removes accounts and directories.
  - Fronts go first, then backs, then what these stand on. Before a back's unit is stopped, the processes of the front that still end requests
    of its former configuration are waited for.
  - Only what is in the records of M(pyweb.stack.apply) is removed; what others wrote stays.
options:
  sets:
    description: Names of the sets that the host shall have. All others go as a whole.
    type: list
    elements: str
    required: true
  sites:
    description: Names of the sites that the inventory names, also as absent.
    type: list
    elements: str
    default: []
  prune:
    description: Whether sites that the inventory no longer names go, too.
    type: bool
    default: true
  remove_data:
    description: Whether the data directories of sites that go are removed. Otherwise they are given to root alone, and to the site when it returns.
    type: bool
    default: false
  remove_packages:
    description: Whether Debian packages go that the collection installed and no set wants any longer, with their configuration.
    type: bool
    default: false
  patience:
    description: Seconds to wait at most for processes of a front that still end requests of its former configuration.
    type: int
    default: 75
attributes:
  check_mode:
    support: full
    description: Says what would be removed.
  diff_mode:
    support: full
    description: Lists what is removed.
  idempotent:
    support: full
    description: What is gone is not removed again.
  platform:
    support: full
    platforms: debian
    description: Debian 12 and 13.
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Remove everything of the collection from the host, except the sites' data and Debian's packages
  pyweb.stack.retire:
    sets: []
"""

RETURN = """
files:
  description: Files that were removed, or put back to what stood there before.
  type: list
  elements: str
  returned: always
units:
  description: Units that were stopped and disabled.
  type: list
  elements: str
  returned: always
accounts:
  description: Accounts that were removed.
  type: list
  elements: str
  returned: always
directories:
  description: Directories that were removed.
  type: list
  elements: str
  returned: always
kept:
  description: Directories of data that were given to root.
  type: list
  elements: str
  returned: always
packages:
  description: With O(remove_packages), packages that the collection has brought and nothing needs any longer.
  type: list
  elements: str
  returned: always
"""

import os
import pwd

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._change import (
    Change,
    recover,
    remove_empty,
)
from ansible_collections.pyweb.stack.plugins.module_utils._handover import (
    drained,
    release,
    wait_until,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    end_processes,
    park,
    processes_of,
    remove_files_of,
    remove_tree,
    run,
)
from ansible_collections.pyweb.stack.plugins.module_utils._packages import STATUS, removable
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import not_root
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    KINDS,
    RECORDS,
    Packages,
    Record,
    is_front,
    lock,
    records,
    wanted_elsewhere,
)
from ansible_collections.pyweb.stack.plugins.module_utils._units import take_down

NO_SUCH_USER = 6  # an exit status of userdel(8)
# Seconds for what a reload of the front has told to end.
GRACE = 5
# Where every account may leave files; below /tmp and /var/tmp also the private directories of units that still run.
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")

ARGUMENTS = {
    "sets": {"type": "list", "elements": "str", "required": True},
    "sites": {"type": "list", "elements": "str", "default": []},
    "prune": {"type": "bool", "default": True},
    "remove_data": {"type": "bool", "default": False},
    "remove_packages": {"type": "bool", "default": False},
    "patience": {"type": "int", "default": 75},
}


def going(record: Record, parameters: dict) -> dict[str, list[str]]:
    """What of a set goes, by kind."""
    whole = record.name not in parameters["sets"]
    leaving = {kind: record.leaving(kind, whole) for kind in KINDS}
    leaving["directories"] = [
        path
        for path in leaving["directories"]
        if record.items["directories"][path]["holds"] != "others"
    ]
    if parameters["remove_data"]:
        leaving["directories"] += [
            path for path, item in record.items["directories"].items() if item.get("parked")
        ]
    if parameters["prune"] or (whole and is_front(record.name)):
        return leaving
    sites = {record.items[kind][key]["site"] for kind in KINDS for key in leaving[kind]} - {""}
    # What sites share goes with the last of them.
    gone = {*parameters["sites"], *([""] if sites <= set(parameters["sites"]) else [])}
    return {
        kind: [key for key in keys if record.items[kind][key]["site"] in gone]
        for kind, keys in leaving.items()
    }


class Retirement:
    """The end of what one set no longer wants."""

    def __init__(self, record: Record, parameters: dict) -> None:
        self.record = record
        self.going = going(record, parameters)
        self._parameters = parameters
        self.kept: list[str] = []
        self.problems: list[str] = []

    def ends(self, kind: str) -> list[str]:
        """What is no longer there afterwards; what another set has taken over is."""
        return [
            key
            for key in self.going[kind]
            if wanted_elsewhere(kind, key, but=self.record.name) is None
        ]

    def take_down(self) -> None:
        """Stop and disable units; one that ran before the collection came runs on without it. With a site's slice ends all that it holds."""
        take_down(
            self.ends("units")
            + [os.path.basename(path) for path in self.ends("files") if path.endswith(".slice")]
        )

    def clear(self) -> None:
        """Remove files, accounts and directories, and forget them."""
        change = Change(self.record.name, {}, defer=True)
        change.give_up(self.going["files"])
        different = change.differences()
        change.swap(different)
        run(["systemctl", "daemon-reload"])
        record = change.record
        former = {}
        for unit in self.going["units"]:
            former[unit] = record.items["units"][unit].get("before", {})
            record.drop("units", unit)
        for unit, item in record.items["units"].items():
            if any(
                path == on or (on.endswith("/") and path.startswith(on))
                for path in different
                for on in item["reload_on"]
            ):
                run(["systemctl", "--quiet", "reload-or-restart", unit])
        change.forget()
        for account in self.going["accounts"]:
            self._leave_nothing_of(account)
            status, words = run(["userdel", account])
            if status in (0, NO_SUCH_USER):
                record.drop("accounts", account)
            else:
                self.problems.append(f"The account {account} stays: {words}")
        for path in self.going["directories"]:
            self._clear_directory(record, path)
        record.save()
        if not self._parameters["sets"]:
            self._bring_back(former)

    def _leave_nothing_of(self, account: str) -> None:
        """The account's number may be the next site's: no process and no file of its own shall be left for that one."""
        try:
            uid = pwd.getpwnam(account).pw_uid
        except KeyError:
            return
        wait_until(lambda: not processes_of(uid), GRACE, pause=0.1)
        end_processes(uid)
        if not wait_until(lambda: not processes_of(uid), GRACE, pause=0.05):
            self.problems.append(
                f"Processes of {account} do not end: {', '.join(map(str, processes_of(uid)))}"
            )
        mains = [
            run(["systemctl", "show", "--property=MainPID", "--value", unit])[1]
            for record in records()
            if is_front(record.name)
            for unit in record.items["units"]
        ]
        # Sites inside a front share the directories that this one has for itself.
        private = [
            f"/proc/{main}/root{folder}"
            for main in mains
            if main != "0"
            for folder in ("/dev/shm", "/dev/mqueue")
        ]
        remove_files_of(uid, [*OPEN_TO_ALL, *private])

    def _clear_directory(self, record: Record, path: str) -> None:
        item = record.items["directories"][path]
        if (
            item["holds"] == "data"
            and not self._parameters["remove_data"]
            and os.path.isdir(path)
            and os.listdir(path)
        ):
            park(path)
            item.update(parked=True, leaving=False)
            self.kept.append(path)
            return
        try:
            if os.path.isdir(path):
                remove_tree(path)
            record.drop("directories", path)
        except OSError as error:
            self.problems.append(f"The directory {path} stays: {error}")

    @staticmethod
    def _bring_back(former: dict[str, dict]) -> None:
        """Units that ran before the collection came run again, with their own files."""
        for unit, before in former.items():
            if before.get("enabled"):
                run(["systemctl", "--quiet", "enable", unit])
            if before.get("active"):
                run(["systemctl", "--quiet", "restart", unit])


def remove_folders(sets: list[str]) -> None:
    """Remove the directories that were made for files, where they are empty now; a set that has nothing else is forgotten."""
    for record in records():
        folders = [
            path for path, item in record.items["directories"].items() if item["holds"] == "others"
        ]
        remove_empty([path for path in folders if not RECORDS.is_relative_to(path)])
        for path in folders:
            if not os.path.isdir(path) or record.name not in sets:
                record.drop("directories", path)
        record.save()
    if RECORDS.is_dir():
        remove_empty([str(RECORDS), str(RECORDS.parent)])


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = module.params
    if words := not_root():
        module.fail_json(msg=words)
    if not module.check_mode:
        lock()
        recover()
        release()
    retirements = [Retirement(record, parameters) for record in records()]
    result = {
        kind: [key for retirement in retirements for key in retirement.ends(kind)] for kind in KINDS
    }
    packages = Packages()
    packages.only(parameters["sets"])
    with open(STATUS, encoding="utf-8") as file:
        wanted = {name for names in packages.wanted.values() for name in names}
        result["packages"] = (
            removable(file.read(), packages.ours, wanted) if parameters["remove_packages"] else []
        )
    changed = any(result.values())
    words = "".join(f"{kind}: {key}\n" for kind, keys in result.items() for key in keys)
    diff = {
        "before": words,
        "after": "",
        "before_header": "no longer wanted",
        "after_header": "no longer wanted",
    }
    if module.check_mode:
        module.exit_json(changed=changed, kept=[], diff=diff, **result)

    for retirement in retirements:
        if is_front(retirement.record.name):
            retirement.take_down()
    fronts = {
        unit
        for retirement in retirements
        if is_front(retirement.record.name)
        for unit in retirement.record.items["units"]
    }
    staying = fronts - set(result["units"])
    if result["units"] and not wait_until(
        lambda: all(drained(unit) for unit in staying), parameters["patience"], pause=0.1
    ):
        module.warn(
            f"After {parameters['patience']} s a process of the front's former configuration still serves; it may lose what it has begun"
        )
    for retirement in retirements:
        if not is_front(retirement.record.name):
            retirement.take_down()
    for retirement in retirements:
        retirement.clear()

    packages.ours -= set(result["packages"])
    packages.save()
    remove_folders(parameters["sets"])
    problems = [words for retirement in retirements for words in retirement.problems]
    if problems:
        module.fail_json(
            msg="\n".join([*problems, "All else is gone; the next run tries again."]),
            changed=True,
            diff=diff,
            **result,
        )
    module.exit_json(
        changed=changed,
        kept=[path for retirement in retirements for path in retirement.kept],
        diff=diff,
        **result,
    )


if __name__ == "__main__":
    main()
