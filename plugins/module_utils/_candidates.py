# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Candidates: what sites are going to run, started beside what serves them on endpoints that no
front knows, and probed there; and the commands of their hooks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._commands import (
    NotFound,
    Place,
    start,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    Entry,
    remove_tree,
    run,
    write,
)
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    CANDIDATES_ROOT,
    RUNTIME_UNITS,
)
from ansible_collections.pyweb.stack.plugins.module_utils._logs import Logs, excerpt
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    Target,
    target_of,
    wait_until_healthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._units import (
    Work,
    carry_out,
    has_died,
)

# Lines of a command's output that a message quotes.
QUOTED = 20


@dataclass(frozen=True)
class Candidate:
    """What a site is going to run.

    units: of the candidate; none inside a front, where only the hooks run beside what serves.
    stands_for: the unit that is to take over.
    by: who has it changed.
    variables: for each hook, the files of the environment that its commands see.
    """

    site: str
    account: str
    slice: str | None
    release: dict[str, Any]
    by: str
    files: dict[str, Entry]
    units: list[str]
    target: Target | None
    stands_for: str
    variables: dict[str, tuple[str, ...]]
    hooks: dict[str, list[dict[str, Any]]]


def candidate_of(given: dict[str, Any], files: dict[str, Entry]) -> Candidate:
    """A candidate from the arguments of M(pyweb.stack.apply). files: its files as entries."""
    return Candidate(
        files=files,
        target=target_of(given["target"]) if given["target"] else None,
        variables={name: tuple(paths) for name, paths in given["variables"].items()},
        **{
            key: given[key]
            for key in ("site", "account", "slice", "release", "by", "units", "stands_for", "hooks")
        },
    )


def clear() -> None:
    """Stop and remove all candidates, also those that a killed run has left."""
    found = sorted(Path(RUNTIME_UNITS).glob("pyweb-*-candidate.*"))
    units = [path.name for path in found if path.is_file()]
    if units:
        run(["systemctl", "--quiet", "stop", *units])
    for path in found:
        remove_tree(str(path))
    if found:
        run(["systemctl", "daemon-reload"])
    if units:
        run(["systemctl", "--quiet", "reset-failed", *units])
    if os.path.isdir(CANDIDATES_ROOT):
        remove_tree(CANDIDATES_ROOT)


def tried(candidates: list[Candidate]) -> tuple[str | None, dict[str, float]]:
    """Start candidates and probe each, a few at a time, since each takes as much of the host as
    what it stands for. Returns what went wrong, if anything, and of each site the seconds until
    it was healthy.
    """
    took: dict[str, float] = {}
    for batch in _batches(candidates, os.cpu_count() or 1):
        begin = time.monotonic()
        try:
            if problem := _problem_of(batch):
                return problem, took
        finally:
            clear()
        took.update(dict.fromkeys([each.site for each in batch], time.monotonic() - begin))
    return None, took


def _batches(candidates: list[Candidate], size: int) -> Iterator[list[Candidate]]:
    for begin in range(0, len(candidates), size):
        yield candidates[begin : begin + size]


def _write(files: Iterable[tuple[str, Entry]]) -> None:
    for path, entry in files:
        write(path, entry)


def _problem_of(candidates: list[Candidate]) -> str | None:
    """What is wrong with some candidates, with the last words of their logs."""
    _write(item for candidate in candidates for item in candidate.files.items())
    run(["systemctl", "daemon-reload"])
    units = [unit for candidate in candidates for unit in candidate.units]
    services = [unit for unit in units if unit.endswith(".service")]
    logs = Logs(services)
    # A service brings its socket.
    if problem := carry_out(Work(verbs=dict.fromkeys(services, "start")), watch=False):
        return problem
    targets = [candidate.target for candidate in candidates if candidate.target]
    wrong = [each for each in wait_until_healthy(targets, doubt=_doubt) if each.fault is not None]
    words = [*map(str, wrong)]
    words += [logs.words(unit) for each in wrong[:3] if (unit := each.target.unit)]
    return "\n".join(filter(None, words)) or None


def _doubt(target: Target) -> str | None:
    """Why a candidate that does not answer never will, if so."""
    died = target.unit and has_died(target.unit, True)
    return f"{target.unit} has died" if died else None


def run_hook(candidate: Candidate, hook: str, once: bool | None = None) -> Iterator[dict[str, Any]]:
    """Run the commands of a hook one after the other, up to the first that fails. Yields what came
    of each: site, hook, command, seconds, output and, where it failed, why.

    once: those alone that only one host runs, or that every host runs.
    """
    for number, given in enumerate(candidate.hooks[hook]):
        if once is not None and given["once"] is not once:
            continue
        done = _run(candidate, hook, number, given)
        yield done
        if done["fault"]:
            return


def _run(candidate: Candidate, hook: str, number: int, given: dict[str, Any]) -> dict[str, Any]:
    variables = candidate.variables[hook]
    _write((path, entry) for path, entry in candidate.files.items() if path in variables)
    release = candidate.release["path"]
    place = Place(candidate.site, candidate.account, candidate.slice, release, variables)
    done = {"site": candidate.site, "hook": hook, "command": given["command"]}
    try:
        ended = start(place, f"{hook}-{number}", given["command"], given["timeout"])
    except NotFound as error:
        return {**done, "seconds": 0.0, "output": [], "fault": str(error)}
    fault = None
    if ended.late:
        fault = f"it did not end within {given['timeout']} s, and was ended"
    elif ended.status != 0:
        fault = f"it ended with status {ended.status}"
    output = excerpt(ended.words.splitlines(), QUOTED)
    return {**done, "seconds": round(ended.seconds, 1), "output": output, "fault": fault}


def failed(done: dict[str, Any]) -> str:
    """What a message says of a command of a hook that has failed."""
    where = f"sites[{done['site']}].{done['hook']}"
    lines = [f"{where}: {' '.join(done['command'])}: {done['fault']}"]
    lines += [f"Its last words:\n{chr(10).join(done['output'])}"] if done["output"] else []
    return "\n".join(lines)
