# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of what no set of a host wants any longer: units, files, accounts and directories, as the
records name them.
"""

from __future__ import annotations

import os
import pwd
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._change import Change, remove_empty
from ansible_collections.pyweb.stack.plugins.module_utils._handover import drained, wait_until
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    end_processes,
    park,
    processes_of,
    remove_files_of,
    remove_tree,
    run,
)
from ansible_collections.pyweb.stack.plugins.module_utils._lineages import end
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    KINDS,
    RECORDS,
    Record,
    is_front,
    records,
    wanted_elsewhere,
)
from ansible_collections.pyweb.stack.plugins.module_utils._units import take_down

NO_SUCH_USER = 6  # an exit status of userdel(8)
# Seconds for what a reload of the front has told to end.
GRACE = 5
# Where every account may leave files; below /tmp and /var/tmp also the private directories of units
# that still run.
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")


def going(record: Record, parameters: dict[str, Any]) -> dict[str, list[str]]:
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

    def __init__(self, record: Record, parameters: dict[str, Any]) -> None:
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
        """Stop and disable units; one that ran before the collection came runs on without it. With
        a site's slice ends all that it holds.
        """
        units = self.record.items["units"]
        take_down(
            [unit for unit in self.ends("units") if not units[unit].get("shared")]
            + [os.path.basename(path) for path in self.ends("files") if path.endswith(".slice")]
        )

    def clear(self) -> None:
        """Remove files, accounts and directories, and forget them."""
        change = Change(self.record.name, {}, defer=True)
        for lineage in self.going["lineages"]:
            if words := end(lineage, change.record.items["lineages"][lineage]):
                self.problems.append(words)
            else:
                change.record.drop("lineages", lineage)
        change.give_up(self.going["files"])
        different = change.differences()
        change.swap(different)
        run(["systemctl", "daemon-reload"])
        record = change.record
        if record.name not in self._parameters["sets"]:
            record.noted = {}
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
        """The account's number may be the next site's: no process and no file of its own shall be
        left for that one.
        """
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
    def _bring_back(former: dict[str, dict[str, Any]]) -> None:
        """Units that ran before the collection came run again, with their own files."""
        for unit, before in former.items():
            if before.get("enabled"):
                run(["systemctl", "--quiet", "enable", unit])
            if before.get("active"):
                run(["systemctl", "--quiet", "restart", unit])


def remove_folders(sets: list[str]) -> None:
    """Remove the directories that were made for files, where they are empty now; a set that has
    nothing else is forgotten.
    """
    known = {
        record: [
            path for path, item in record.items["directories"].items() if item["holds"] == "others"
        ]
        for record in records()
    }
    every = {path for folders in known.values() for path in folders}
    # All at once, since one of a set may be around one of another.
    remove_empty([path for path in every if not RECORDS.is_relative_to(path)])
    for record, folders in known.items():
        for path in folders:
            if not os.path.isdir(path) or record.name not in sets:
                record.drop("directories", path)
        record.save()
    if RECORDS.is_dir():
        remove_empty([str(RECORDS), str(RECORDS.parent)])


def take_down_all(retirements: list[Retirement], patience: float) -> bool:
    """Stop the units that go: fronts first, backs when the fronts that stay have drained their
    former configuration.

    patience: seconds to wait for that at most. Returns whether they have.
    """
    of_fronts = [each for each in retirements if is_front(each.record.name)]
    for retirement in of_fronts:
        retirement.take_down()
    obsolete = {unit for retirement in retirements for unit in retirement.ends("units")}
    staying = {unit for each in of_fronts for unit in each.record.items["units"]} - obsolete
    has_drained = not obsolete or wait_until(
        lambda: all(drained(unit) for unit in staying), patience, pause=0.1
    )
    for retirement in retirements:
        if retirement not in of_fronts:
            retirement.take_down()
    return has_drained
