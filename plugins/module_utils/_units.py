# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd's units of a change: what they need done, decided by a pure function, and done by
systemctl.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._host import run
from ansible_collections.pyweb.stack.plugins.module_utils._logs import Logs
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import unit_of

RANK = ("start", "reload", "restart")


@dataclass(frozen=True)
class Unit:
    """A unit that shall be enabled and active, and the paths whose change it takes up by a reload
    or by a restart.

    restart_with: units that go down and come up together with it, such as the service of a socket.
    gap: whether nothing listens for a moment when it reloads.
    by_hand: it is neither started nor enabled, only taken up where it runs.
    """

    name: str
    reload_on: tuple[str, ...] = ()
    restart_on: tuple[str, ...] = ()
    restart_with: tuple[str, ...] = ()
    enabled: bool = True
    gap: bool = False
    by_hand: bool = False


@dataclass
class State:
    """What systemd says of a unit."""

    active: bool = False
    enabled: str = ""
    needs_daemon_reload: bool = False
    exists: bool = False

    def words(self) -> str:
        """As --diff shows it."""
        return f"{'active' if self.active else 'inactive'}, {self.enabled or 'unknown'}"


@dataclass
class Work:
    """What there is to do: units to enable, units that are no longer wanted, and for each other
    unit the verb that brings it up to date.
    """

    enable: list[str] = field(default_factory=list)
    disable: list[str] = field(default_factory=list)
    verbs: dict[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, str]:
        """Unit to verb, for the result."""
        return {
            **dict.fromkeys(self.disable, "disable"),
            **dict.fromkeys(self.enable, "enable"),
            **self.verbs,
        }


def unit_of_parameters(given: dict[str, Any]) -> Unit:
    """A unit as the arguments of M(pyweb.stack.apply) have it."""
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in given.items()
        if key not in ("each", "site", "shared")
    }
    return Unit(**known)


def below(owned: Iterable[str], names: Iterable[str]) -> list[str]:
    """The paths that are meant: each itself, or the owned ones below it where it ends with a
    slash.
    """
    folders = tuple(name for name in names if name.endswith("/"))
    return sorted(
        {name for name in names if not name.endswith("/")}
        | {path for path in owned if path.startswith(folders)}
    )


def taken_up(
    owned: list[str], commands: list[dict[str, Any]], units: list[Unit]
) -> dict[str, list[str]]:
    """The paths that each command and each unit takes up. owned: the paths of the set.

    Keys: the command; or the unit's name, a space, and reload or restart.
    """
    paths = {" ".join(command["argv"]): below(owned, command["paths"]) for command in commands}
    for unit in units:
        paths[f"{unit.name} reload"] = below(owned, unit.reload_on)
        paths[f"{unit.name} restart"] = below(owned, unit.restart_on)
    return paths


def decide(
    units: list[Unit], states: dict[str, State], effects: dict[str, str], current: dict[str, str]
) -> Work:
    """What has to be done, given the digests that each unit last took effect with and those of its
    paths now.

    Keys of effects and current: the unit's name, a space, and reload or restart.
    """
    work = Work()

    def need(name: str, verb: str) -> None:
        known = work.verbs.get(name)
        if known is None or RANK.index(verb) > RANK.index(known):
            work.verbs[name] = verb

    for unit in units:
        state = states[unit.name]
        if unit.by_hand and not state.active:
            continue
        if (
            unit.enabled
            and not unit.by_hand
            and state.enabled
            not in ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")
        ):
            work.enable.append(unit.name)
        stale = {
            verb
            for verb in ("reload", "restart")
            if current[f"{unit.name} {verb}"] != effects.get(f"{unit.name} {verb}")
        }
        if not state.active:
            need(unit.name, "restart" if stale else "start")
        elif "restart" in stale:
            need(unit.name, "restart")
            for other in unit.restart_with:
                need(other, "restart")
        elif "reload" in stale:
            need(unit.name, "reload")
    return work


def states(names: list[str]) -> dict[str, State]:
    """Ask systemd about units."""
    found = {name: State() for name in names}
    if not names:
        return found
    asked = list(dict.fromkeys(names))
    status, words = run(
        [
            "systemctl",
            "show",
            "--property=ActiveState,UnitFileState,NeedDaemonReload,LoadState,SubState",
            "--",
            *asked,
        ]
    )
    if status != 0:
        raise OSError(f"systemctl does not answer: {words}")
    for name, block in zip(asked, words.split("\n\n")):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        found[name] = State(
            active=values.get("ActiveState") in ("active", "reloading", "activating")
            and values.get("SubState") != "auto-restart",
            enabled=values.get("UnitFileState", ""),
            needs_daemon_reload=values.get("NeedDaemonReload") == "yes",
            exists=values.get("LoadState") not in (None, "", "not-found"),
        )
    return found


def batches(names: list[str], size: int) -> list[list[str]]:
    """Units in groups of so many sites or servers each; a socket stays with its service."""
    stems = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    groups = [stems[start : start + size] for start in range(0, len(stems), size)]
    return [[name for name in names if name.rpartition(".")[0] in group] for group in groups]


def carry_out(work: Work, watch: bool = True) -> str | None:
    """Do the work, a few units side by side. Returns what went wrong, with the units' last words,
    or None.

    watch: whether to look a second later at those that tell systemd nothing of their start.
    """
    logs = Logs([])
    steps = [["enable", *work.enable]] if work.enable else []
    for verb in ("restart", "start", "reload"):
        names = [name for name, wanted in work.verbs.items() if wanted == verb]
        # All at once, many that start slowly would starve each other until their time is over.
        steps += [[verb, *batch] for batch in batches(names, 2 * (os.cpu_count() or 1))]
    for verb, *names in steps:
        status, words = run(["systemctl", "--quiet", verb, *names])
        if status != 0:
            return f"systemctl {verb}: {words}\n" + "\n".join(
                logs.words(name) for name in names if not is_active(name)
            )
    return (
        fallen([name for name, verb in work.verbs.items() if verb in ("restart", "start")], logs)
        if watch
        else None
    )


def fallen(started: list[str], logs: Logs, seconds: float = 1.0) -> str | None:
    """What happened to those of the started units that tell systemd nothing of their start and were
    down shortly after it, with what their logs say since then.
    """
    silent = [
        name
        for name in started
        if run(["systemctl", "show", "--property=Type", "--value", name])[1]
        in ("simple", "exec", "idle")
    ]
    if not silent:
        return None
    time.sleep(seconds)
    down = [name for name, state in states(silent).items() if not state.active]
    return (
        "\n".join(f"{name} came up and went down again. {logs.words(name)}" for name in down)
        or None
    )


def take_down(names: list[str]) -> None:
    """Stop units that are no longer wanted, which waits until they have served what they began, and
    keep them from the next boot.
    """
    if names:
        run(["systemctl", "--quiet", "disable", "--now", *names])
        run(["systemctl", "--quiet", "reset-failed", *names])


def bring_back(work: Work, before: dict[str, State]) -> None:
    """After the files were put back: the units that were touched take them up again; those that
    were down go down.
    """
    for name, verb in work.verbs.items():
        was = before.get(name, State())
        run(["systemctl", "reset-failed", name])
        run(
            [
                "systemctl",
                "--quiet",
                "stop" if not was.active else "reload" if verb == "reload" else "restart",
                name,
            ]
        )
    for name in work.enable:
        run(["systemctl", "--quiet", "disable", name])
    if work.disable:
        run(["systemctl", "--quiet", "enable", "--now", *work.disable])


def processes(unit: str) -> list[int]:
    """The processes of a unit other than its main one."""
    main = run(["systemctl", "show", "--property=MainPID", "--value", unit])[1]
    every = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
    return sorted(
        int(process) for process in every if process != main and unit_of(int(process)) == unit
    )


def has_died(name: str, restarted: bool) -> bool:
    """Whether a unit is down, or came up and died since it was started by a command (restarted)."""
    words = run(["systemctl", "show", "--property=ActiveState,SubState,NRestarts", "--", name])[1]
    values = dict(line.split("=", 1) for line in words.splitlines() if "=" in line)
    down = (
        values.get("ActiveState") in ("inactive", "failed")
        or values.get("SubState") == "auto-restart"
    )
    return down or (restarted and values.get("NRestarts", "0") != "0")


def is_active(name: str) -> bool:
    """Whether a unit is up."""
    return run(["systemctl", "--quiet", "is-active", name])[0] == 0
