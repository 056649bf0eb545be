# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes a renewed certificate up without the controller: certbot runs it after each renewal
(deploy hook), and its unit once more at its end.

A front's set is changed by the same transaction as in a run of the playbook, from what that run has
noted: tried, swapped in, reloaded and probed, or put back.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._certificates import (
    certificate_files,
    issued,
    refused_pairs,
    served,
    why_unusable,
)
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change, recover
from ansible_collections.pyweb.stack.plugins.module_utils._comparison import NOTED
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry, read
from ansible_collections.pyweb.stack.plugins.module_utils._lineages import (
    SET,
    keep_window,
    trust,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    Record,
    is_front,
    lock,
    records,
)
from ansible_collections.pyweb.stack.plugins.module_utils._rollout import Rollout
from ansible_collections.pyweb.stack.plugins.module_utils._units import unit_of_parameters


def take_up() -> list[str]:
    """Have every front serve the newest pairs of its sites. Returns what went wrong."""
    lock()
    recover()
    problems = []
    for record in records():
        pairs = record.noted.get("pairs", []) if is_front(record.name) else []
        for item in pairs:
            newest = issued(item["lineage"]) if item["lineage"] else None
            if newest and newest != served(item) and (words := why_unusable(newest)):
                problems.append(f"{item['lineage']}: {words}; what was served before stays")
        if pairs and (fault := _take_up(record)):
            problems.append(fault)
    return problems


def _take_up(record: Record) -> str | None:
    noted = record.noted
    pairs = {
        file["path"]: Entry(
            content=file["content"].encode(), mode=int(file["mode"], 8), group=file["group"]
        )
        for file in certificate_files(noted["pairs"])
    }
    known = {path: item["site"] for path, item in record.items["files"].items()}
    wanted = {**{path: read(path) for path in noted["files"]}, **pairs}
    change = Change(record.name, wanted, known)
    different = change.differences()
    if not different:
        return None
    if faults := refused_pairs(noted["pairs"], change.wanted, different):
        return "\n".join(["Nothing was changed:", *faults])
    parameters: dict[str, Any] = {
        **{key: noted[key] for key in (*NOTED, "releases", "inputs")},
        "name": record.name,
        "certificates": noted["pairs"],
        "files": [],
        "sets": None,
        "installed": [],
        "defer": False,
        "through": [],
        "stage": "over",
    }
    units = [unit_of_parameters(unit) for unit in noted["units"]]
    rollout = Rollout(change, units, parameters, [], [])
    check = noted["check"]
    tried = change.tried(different, check) if check else None
    if tried and tried[0] != 0:
        return f"{' '.join(check)} refuses the new pair; nothing was changed:\n{tried[1]}"
    if problem := rollout.carry_through(different, [] if tried else check):
        return problem
    rollout.keep()
    # What else differs from what the last run of the playbook left is for the next one to see.
    after = change.record
    sealed = {path: entry.sealed().encode() for path, entry in pairs.items()}
    after.noted["files"] = {**noted["files"], **sealed}
    after.save()
    return None


def main(argv: list[str]) -> int:
    """With the word trust, write what certbot trusts; else take up what is new."""
    if argv == ["trust"]:
        trust()
        return 0
    if renewed := os.environ.get("RENEWED_LINEAGE"):
        lineage = os.path.basename(renewed)
        if lineage in Record(SET).items["lineages"]:
            keep_window(lineage)
    problems = take_up()
    for words in problems:
        sys.stderr.write(f"{words}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
