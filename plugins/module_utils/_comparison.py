# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host is as its last run left it, for a run that would change nothing.

Each set notes what it settled, files by their digests, under a digest of all that it was settled
from: its inputs. Where these are the same in the next run, and the host has all that was noted, the
roles have nothing to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ansible_collections.pyweb.stack.plugins.module_utils._certificates import (
    issued,
    served,
    stays,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry, digest, read
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    CANDIDATES_ROOT,
    SOCKETS_ROOT,
)
from ansible_collections.pyweb.stack.plugins.module_utils._packages import STATUS, installed
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import (
    foreign_account,
    is_there,
    taken_port,
    unreadable,
)
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    target_of,
    wait_until_healthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    Record,
    is_front,
    journals,
    records,
)
from ansible_collections.pyweb.stack.plugins.module_utils._releases import (
    ASKED,
    lacking_of,
    missing_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._units import (
    decide,
    states,
    taken_up,
    unit_of_parameters,
)

if TYPE_CHECKING:
    from ansible_collections.pyweb.stack.plugins.module_utils._change import Change

# The arguments of M(pyweb.stack.apply) that are noted as they are; none of them holds a secret.
NOTED = (
    "check",
    "packages",
    "ports",
    "accounts",
    "directories",
    "serves",
    "commands",
    "units",
    "targets",
    "verify",
)
# Of the pairs that the host keeps up to date; they hold no key.
PAIR = (
    "site", "certificate", "key", "names", "group", "self_signed", "lineage", "chain", "private_key"
)  # fmt: skip


def note(parameters: dict[str, Any], change: Change) -> dict[str, Any]:
    """What a set that was applied leaves for the next run to compare; nothing where a file was left
    as somebody else has it, since each run warns of that.
    """
    if change.left:
        return {}
    wanted = {path: change.wanted[path] for path in change.paths}
    return {
        **{key: parameters[key] for key in NOTED},
        "inputs": parameters["inputs"],
        "files": {path: entry and entry.sealed().encode() for path, entry in wanted.items()},
        "releases": [
            {key: site[key] for key in ASKED if key in site} for site in parameters["releases"]
        ],
        "pairs": [
            {key: item[key] for key in PAIR}
            for item in parameters["certificates"]
            if item["self_signed"] or item["lineage"]
        ],
    }


def lasting(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of the accounts and directories that a set has all the time; those of sockets
    come and go with them.
    """
    return [
        (kind, item[key])
        for kind, key in (("accounts", "name"), ("directories", "path"))
        for item in parameters[kind]
        if not item[key].startswith(f"{SOCKETS_ROOT}/")
    ]


def differences(inputs: dict[str, str]) -> list[str]:
    """What keeps a host from being as its last run left it, in words; the first that is found.

    inputs: of each set that the host shall have, the digest of what it is settled from.
    """
    known = records()
    if interrupted := journals():
        return [f"a run was killed while it changed {', '.join(interrupted)}"]
    if os.path.isdir(CANDIDATES_ROOT):
        return ["a run was killed while it tried what a site is going to run"]
    if {record.name for record in known} != set(inputs):
        return ["the host has other servers than the inventory names"]
    for record in known:
        if record.noted.get("inputs") != inputs[record.name]:
            return [f"{record.name}: the inventory or the collection has changed since"]
    fronts = [unit for record in known if is_front(record.name) for unit in record.items["units"]]
    up = [unit for unit, state in states(fronts).items() if state.active]
    for find in (_gone, lambda record: _drift(record, up)):
        for record in known:
            if found := [f"{record.name}: {words}" for words in find(record)]:
                return found
    return unhealthy(
        [target for record in known if record.noted["verify"] for target in record.noted["targets"]]
    )


def unhealthy(targets: list[dict[str, Any]]) -> list[str]:
    """Which targets do not answer as they should; each is asked once."""
    outcomes = wait_until_healthy([target_of(target) for target in targets], timeout=0)
    return [str(outcome) for outcome in outcomes if outcome.fault is not None]


def _gone(record: Record) -> Iterator[str]:
    """What is leaving, and what is not there any more."""
    noted = record.noted
    for kind in record.items:
        yield from (f"{key} is leaving" for key in record.leaving(kind))
    with open(STATUS, encoding="utf-8") as file:
        present = installed(file.read())
    yield from (
        f"the package {name} is missing" for name in noted["packages"] if name not in present
    )
    for kind, name in lasting(noted):
        if not is_there(kind, name):
            yield f"{name} is missing"
    yield from (f"the release of {name} is missing" for name in missing_of(noted["releases"]))


def _drift(record: Record, up: list[str]) -> Iterator[str]:
    """Files and units that are not as they were left, and what else a run would refuse."""
    noted = record.noted
    for path, wanted in noted["files"].items():
        found = read(path)
        if (found and found.sealed()) != (Entry.decode(wanted) if wanted else None):
            yield f"{path} was changed"
    for pair in noted["pairs"]:
        if pair["lineage"]:
            if issued(pair["lineage"]) != served(pair):
                yield f"{pair['certificate']} is not the newest one"
        elif not stays(pair["names"], *(part or b"" for part in served(pair))):
            yield f"{pair['certificate']} has to be made anew"
    units = [unit_of_parameters(unit) for unit in noted["units"]]
    found_states = states([unit.name for unit in units])
    paths = taken_up(list(noted["files"]), noted["commands"], units)
    current = {key: digest(owned) for key, owned in paths.items()}
    for name, state in found_states.items():
        if state.needs_daemon_reload:
            yield f"{name} has to be read again"
    for command in noted["commands"]:
        key = " ".join(command["argv"])
        if current[key] != record.effects.get(key):
            yield f"{key} has to run"
    work = decide(units, found_states, record.effects, current)
    yield from (f"{name}: {verb}" for name, verb in work.summary().items())
    for port in noted["ports"]:
        if holder := taken_port(**port, active=up):
            yield str(holder)
    for account in noted["accounts"]:
        if words := foreign_account(account["name"], account["home"]):
            yield words
    yield from lacking_of(noted["releases"])
    yield from filter(None, [unreadable(path, "www-data") for path in noted["serves"]])
