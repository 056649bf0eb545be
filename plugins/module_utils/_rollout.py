# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of a host that works or never happened: files, then the commands and units that take
them up, then the probe of both.

Where a step fails, the files are put back and the same commands and units take up the old ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._candidates import (
    Candidate,
    clear,
    failed,
    run_hook,
    tried,
)
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change
from ansible_collections.pyweb.stack.plugins.module_utils._comparison import lasting, note
from ansible_collections.pyweb.stack.plugins.module_utils._handover import (
    MARK,
    Held,
    let_go,
    wait_until_accepted,
)
from ansible_collections.pyweb.stack.plugins.module_utils._history import History
from ansible_collections.pyweb.stack.plugins.module_utils._host import digest, run, take_out
from ansible_collections.pyweb.stack.plugins.module_utils._logs import Logs, now
from ansible_collections.pyweb.stack.plugins.module_utils._parser_errors import explain
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import Holder, is_there
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    START_TIMEOUT,
    Outcome,
    Target,
    target_of,
    wait_until_healthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import Packages, Record, records
from ansible_collections.pyweb.stack.plugins.module_utils._units import (
    Unit,
    Work,
    below,
    bring_back,
    carry_out,
    decide,
    has_died,
    states,
    take_down,
    taken_up,
)

# Seconds until what answered through the front has to answer there again.
THROUGH_TIMEOUT = 3
# At least as many has what was healthy beside to be so in its place.
PROVEN_TIMEOUT = 3


def named(
    items: list[dict[str, Any]], key: str = "name", keep: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Items by their names, each with its site, as a record keeps them."""
    return {
        item[key]: {"site": item["site"], **{name: item[name] for name in keep}} for item in items
    }


def made(record: Record) -> dict[str, dict[str, Any]]:
    """Directories that came with files and are kept in the record as long as the set is."""
    return {
        path: item
        for path, item in record.items["directories"].items()
        if item["holds"] == "others"
    }


class Rollout:
    """Makes the host work with the files of a change: commands that read them, then units; and goes
    back where that fails.
    """

    def __init__(
        self,
        change: Change,
        units: list[Unit],
        parameters: dict[str, Any],
        takeover: list[Holder],
        candidates: list[Candidate],
    ) -> None:
        self._change, self._units, self._takeover = change, units, takeover
        self._candidates = candidates
        self._parameters = parameters
        self._claims = {
            "units": named(parameters["units"], keep=("reload_on", "restart_on", "shared")),
            "accounts": named(parameters["accounts"]),
            "directories": {
                **made(change.record),
                **named(parameters["directories"], "path", keep=("holds",)),
            },
        }
        self._before = states([unit.name for unit in units])
        self._there = {
            kind: {name for name in self._claims[kind] if is_there(kind, name)}
            for kind in ("accounts", "directories")
        }
        self._targets = [target_of(target) for target in parameters["targets"]]
        self._through = [target_of(target).as_it_is() for target in parameters["through"]]
        self._logs = Logs({log for target in self._targets if (log := target.log or target.unit)})
        self._swapped = now()
        self._stopped: list[str] = []
        self._is_back = False
        self._wrong: list[Outcome] = []
        self._quoted = False
        self._restarting = {command["site"] for command in parameters["commands"]} - {
            ""
        }  # sites whose processes a command starts anew
        self._sites: set[str] = set()  # those of them whose command ran
        self._ill: set[str] = set()  # targets that were not healthy before
        self._well: set[str] = set()  # those that were
        self._reached: list[Target] = []  # through the front, before the change
        self._took: dict[str, float] = {}  # seconds of the candidates that were tried
        self.hooks: list[dict[str, Any]] = []  # what came of each command
        self.work = Work()
        self.ran: list[str] = []
        self.warning = ""

    def explained(self, words: str) -> str:
        """A parser's words with the lines of the new files that they point at."""
        return explain(
            words,
            {
                file["path"]: file["content"]
                for file in self._parameters["files"]
                if file["content"] and not file["secret"]
            },
        )

    def digests(self) -> dict[str, str]:
        """Of the paths that each command and unit takes up, as they are now."""
        return {key: digest(paths) for key, paths in self._paths().items()}

    def _paths(self) -> dict[str, list[str]]:
        return taken_up(self._change.paths, self._parameters["commands"], self._units)

    def decide(self, expecting: Collection[str] = ()) -> Work:
        """What the units need; expecting: paths that are about to change."""
        changing = {
            key: "changing" for key, paths in self._paths().items() if set(paths) & set(expecting)
        }
        found = states([unit.name for unit in self._units])
        if any(state.needs_daemon_reload for state in found.values()) and not expecting:
            run(["systemctl", "daemon-reload"])
        work = decide(
            self._units, found, self._change.record.effects, {**self.digests(), **changing}
        )
        work.disable = self.unwanted()
        return work

    def drift(self, work: Work) -> list[dict[str, Any]]:
        """Units, accounts and directories that are not as the last run left them, as --diff shows
        them.
        """
        known = self._change.record.items["units"]
        found = {
            name: self._before[name]
            for name in {*work.enable, *work.verbs}
            if name in known and work.verbs.get(name) != "reload"
        }
        wrong = {
            name: state
            for name, state in sorted(found.items())
            if not state.active or name in work.enable
        }
        lines = {name: (state.words(), "active, enabled") for name, state in wrong.items()}
        lines.update(dict.fromkeys(self.lost(), ("absent", "present")))
        return [
            {
                "before": f"{before}\n",
                "after": f"{after}\n",
                "before_header": name,
                "after_header": name,
            }
            for name, (before, after) in lines.items()
        ]

    def lost(self) -> list[str]:
        """Accounts and directories that the set's commands have made and that are gone: the same
        commands make them again.
        """
        if not self._parameters["commands"]:
            return []
        items = self._change.record.items
        return [
            name
            for kind, name in lasting(self._parameters)
            if name in items[kind] and name not in self._there[kind]
        ]

    def unwanted(self) -> list[str]:
        """Units that the set had, no longer names and does not leave to M(pyweb.stack.retire)."""
        return (
            []
            if self._parameters["defer"]
            else self._change.record.unwanted("units", self._claims["units"])
        )

    def going(self) -> list[str]:
        """What of the set will be leaving after this run."""
        record = self._change.record
        claims: dict[str, Iterable[str]] = {**self._claims, "files": self._change.wanted}
        if not self._parameters["defer"]:
            del claims["units"]
        return [
            key
            for kind in claims
            for key in record.unwanted(kind, claims[kind])
            if not record.items[kind][key].get("parked")
        ]

    def leaving(self) -> bool:
        """Whether anything of the host is leaving, or will be after this run."""
        sets = self._parameters["sets"]

        def goes(record: Record) -> bool:
            return (sets is not None and record.name not in sets) or any(
                record.leaving(kind) for kind in record.items
            )

        return bool(self.going()) or any(
            goes(record) for record in records() if record.name != self._parameters["name"]
        )

    def keep(self) -> None:
        """Note what the host now has."""
        record = self._change.record
        for name, item in self._claims["units"].items():
            if name not in record.items["units"]:
                item["before"] = {
                    "active": self._before[name].active,
                    "enabled": self._before[name].enabled == "enabled",
                }
        # Only what the set has made itself may go with it.
        for kind, there in self._there.items():
            self._claims[kind] = {
                name: item
                for name, item in self._claims[kind].items()
                if name in record.items[kind] or name not in there
            }
        gone = set(self.unwanted())
        for kind, wanted in self._claims.items():
            record.claim(kind, wanted)
        for name in gone:
            record.drop("units", name)
        # Whichever front made them first: the last one takes them away, where they are empty then.
        for item in self._parameters["certificates"]:
            folder = os.path.dirname(item["certificate"])
            record.items["directories"].setdefault(
                folder, {"site": "", "holds": "others", "leaving": False}
            )
        # What is leaving may come back, and then its unit has to know what it still runs with.
        leaving = {
            key: value
            for key, value in record.effects.items()
            if key.split(" ")[0] in record.leaving("units")
        }
        record.noted = note(self._parameters, self._change)
        self._change.keep({**leaving, **self.digests()})
        history = History()
        for candidate in self._candidates:
            history.note(candidate.site, candidate.release, candidate.by)
        history.save()
        packages = Packages()
        packages.claim(record.name, self._parameters["packages"], self._parameters["installed"])
        packages.save()

    def _changing(self, different: list[str]) -> list[Candidate]:
        """The candidates of the sites whose processes read a path that is going to change."""
        read = [(item["site"], item["paths"]) for item in self._parameters["commands"]]
        read += [
            (unit["site"], [*unit["reload_on"], *unit["restart_on"]])
            for unit in self._parameters["units"]
        ]
        changing = {
            site for site, paths in read if {*below(self._change.paths, paths)} & {*different}
        }
        return [each for each in self._candidates if each.site in changing]

    def _trying(self, different: list[str]) -> list[Candidate]:
        """Those that are tried beside what serves: of units that are up, and are going to read a
        path that changes, or to start anew.
        """
        changing = self._changing(different)
        verbs = self.decide(expecting=different).verbs
        serving = {name for name, state in self._before.items() if state.active}
        return [
            each
            for each in self._candidates
            if each.units
            and each.stands_for in serving
            and (each in changing or verbs.get(each.stands_for) == "restart")
        ]

    def try_beside(self, different: list[str], stage: str = "all") -> str | None:
        """Run the commands of before_switch, then start what is going to change beside what serves,
        and probe it. Returns what went wrong, if anything; what serves has seen nothing of it.
        """
        changing, trying = self._changing(different), self._trying(different)
        if not changing and not trying:
            return None
        clear()
        try:
            once = {"once": True, "beside": False}.get(stage)
            problem = self._run_hooks(changing, "before_switch", once)
            if not problem and stage != "once":
                problem, self._took = tried(trying)
        except OSError as error:
            problem = str(error)
        finally:
            clear()
        return problem and (
            f"Tried beside what serves, and refused; nothing was changed:\n{problem}"
        )

    def would_run(self, different: list[str]) -> list[dict[str, Any]]:
        """The commands of hooks that a change of these paths would run."""
        return [
            {"site": each.site, "hook": hook, "command": given["command"], "output": []}
            for each in self._changing(different)
            for hook, hooks in each.hooks.items()
            for given in hooks
        ]

    def _run_hooks(
        self, candidates: list[Candidate], hook: str, once: bool | None = None
    ) -> str | None:
        """Run the commands of a hook of these sites. Returns what the first that failed has said,
        if one did.
        """
        for candidate in candidates:
            for done in run_hook(candidate, hook, once):
                self.hooks.append(done)
                if done["fault"]:
                    return failed(done)
        return None

    def carry_through(self, different: list[str], check: list[str]) -> str | None:
        """Change these paths and have them taken up, or go back. Returns what went wrong and how it
        is now, or None.
        """
        if self._parameters["stage"] == "over":
            # It was tried by a call before this one.
            self._took = {each.site: START_TIMEOUT / 2 for each in self._trying(different)}
        elif problem := self.try_beside(different):
            return problem
        if different:
            self._look(different)
        # While their files are still there, so that nothing of them stays behind.
        take_down(self.unwanted())
        try:
            if different:
                self._change.swap(different)
            self._swapped = now()
            problem = self._take_up(different, check) or self._taken_over(different)
        except OSError as error:
            problem = str(error)
        return problem and self._go_back(problem, different)

    def _taken_over(self, different: list[str]) -> str | None:
        """Ask through the front what answered there before, and run the commands of after_switch.
        Returns what went wrong, if anything.
        """
        changing = self._changing(different)
        sites = {each.site for each in changing}
        asked = [replace(target, proven=True) for target in self._reached if target.site in sites]
        wrong = [
            outcome
            for outcome in self._ask(asked, timeout=THROUGH_TIMEOUT, doubting=False)
            if outcome.fault is not None
        ]
        if wrong:
            self._wrong = wrong
            return f"Through the front, after the switch:\n{self._report(wrong)}"
        return self._run_hooks(changing, "after_switch")

    def _take_up(self, different: list[str], check: list[str]) -> str | None:
        """Do it all, in order. Returns what went wrong, if anything; the work that was begun is in
        self.work.
        """
        if any(path.startswith("/etc/systemd/system/") for path in different):
            run(["systemctl", "daemon-reload"])
        digests = self.digests()
        for command in self._parameters["commands"]:
            key = " ".join(command["argv"])
            if digests[key] != self._change.record.effects.get(key) or self.lost():
                self.ran.append(key)
                self._sites |= {command["site"]} - {""}
                status, words = run(command["argv"])
                if status != 0:
                    return f"{key}: {words}"
        self._change.settle_owners(different)
        for path, item in self._change.record.items["directories"].items():
            if item.get("parked") and path in self._claims["directories"]:
                take_out(path)
        if check and different:
            status, words = run(check)
            if status != 0:
                return f"{' '.join(check)} refuses the new files:\n{self.explained(words)}"
        self.work = self.decide()
        gaps = {unit.name for unit in self._units if unit.gap}
        again = {
            name
            for name, verb in self.work.verbs.items()
            if (verb == "restart" or name in gaps) and self._before[name].active
        }
        restarting = [port["port"] for port in self._parameters["ports"] if port["unit"] in again]
        if ports := restarting or [holder.port for holder in self._takeover]:
            return self._hand_over(ports, different)
        return carry_out(self.work) or self._failed()

    def _hand_over(self, ports: list[int], different: list[str]) -> str | None:
        """Start our units anew, or in the place of other fronts' units, while new connections
        wait.
        """
        longest = max(
            (target.timeout or START_TIMEOUT for target in self._targets), default=START_TIMEOUT
        )
        with Held(ports, longest) as held:
            begin = time.monotonic()
            wait_until_accepted(ports)
            problem = None
            for unit in dict.fromkeys(holder.unit for holder in self._takeover):
                self._stopped.append(unit)
                problem = problem or let_go(unit, ports)
            problem = (
                problem
                or carry_out(self.work, watch=False)
                or self._failed(mark=0 if held.fault else MARK)
            )
            if problem:
                # Connections wait for this, too.
                self._put_back(different)
                return problem
            if held.fault:
                seconds = time.monotonic() - begin
                self.warning = (
                    f"New connections were refused for about {seconds:.1f} s, since "
                    f"they could not be made to wait: {held.fault}"
                )
        if self._stopped:
            # Not at the next boot either.
            run(["systemctl", "--quiet", "disable", *self._stopped])
        return None

    def _go_back(self, problem: str, different: list[str]) -> str:
        """Undo what was begun. Returns the problem, and how it is now."""
        self._put_back(different)
        touched = [
            target.as_it_is()
            for target in self._touched(self.work.verbs, self._sites)
            if target.name in self._well
        ]
        still = [
            str(outcome)
            for outcome in self._ask(touched, doubting=False)
            if outcome.fault is not None
        ]
        # What hung has said where only when its time was over.
        words = [problem, *([] if self._quoted else self._quotes(self._wrong))]
        words.append("Every file is as it was before." if different else "No file was changed.")
        if still:
            words += ["What answered before does not yet answer again:", *still]
        elif touched:
            words.append("What answered before answers again.")
        self._change.close()
        return "\n".join(words)

    def _put_back(self, different: list[str]) -> None:
        """The old files, and what has read the new ones reads them again; then what had to stop for
        that starts. Once is enough.
        """
        if self._is_back:
            return
        self._is_back = True
        if different:
            self._change.undo(different)
            run(["systemctl", "daemon-reload"])
        argvs = [
            command["argv"]
            for command in self._parameters["commands"]
            if " ".join(command["argv"]) in self.ran
        ]
        for argv in argvs:
            run(argv)
        bring_back(self.work, self._before)
        for unit in self._stopped:
            run(["systemctl", "start", unit])

    def _look(self, different: list[str]) -> None:
        """See which targets of what is up, and is going to start anew, are healthy before the
        change.
        """
        sites = {each.site for each in self._changing(different)}
        self._reached = [
            outcome.target
            for outcome in self._ask(
                [target for target in self._through if target.site in sites], timeout=0
            )
            if outcome.fault is None
        ]
        if self._takeover:
            return
        verbs = self.decide(expecting=different).verbs
        sites = {
            item["site"]
            for item in self._parameters["commands"]
            if set(below(self._change.paths, item["paths"])) & set(different)
        }
        up = {name for name, state in self._before.items() if state.active}
        asked = [target for target in self._touched(verbs, sites) if target.unit in up]
        # A site that gets TLS by this change has none until now.
        asked = [target.as_it_is() for target in asked]
        for outcome in self._ask(asked, timeout=0):
            (self._well if outcome.fault is None else self._ill).add(outcome.target.name)

    def _touched(self, verbs: Collection[str], sites: Collection[str]) -> list[Target]:
        """The targets of what starts anew: of these units, and of sites whose commands run; where
        all are verified, all of them.
        """
        if not verbs and not sites:
            return []
        every = self._parameters["verify"]
        return [
            target
            for target in self._targets
            if every or target.unit is None or target.unit in verbs or target.site in sites
        ]

    def _failed(self, mark: int = 0) -> str | None:
        """Which targets of the change are not healthy after it, if any: what is up may still answer
        nothing but errors.

        One of another site that was ill before does not count.
        """
        excused = self._ill if self._parameters["verify"] else set()
        touched = self._touched(self.work.verbs, self._sites)
        asked = [
            target for target in touched if target.name not in excused or target.site in self._sites
        ]
        # What was healthy beside needs no more time in its place.
        asked = [
            replace(target, timeout=max(PROVEN_TIMEOUT, 2 * self._took[target.site]), proven=True)
            if target.site in self._took
            else target
            for target in asked
        ]
        if mark:
            asked = [
                replace(target, endpoint=replace(target.endpoint, mark=mark)) for target in asked
            ]
        self._wrong = [outcome for outcome in self._ask(asked) if outcome.fault is not None]
        return self._report(self._wrong)

    def unhealthy(self) -> str | None:
        """Which of all targets are not healthy after a change that went well, if any."""
        wrong = [outcome for outcome in self._ask(self._targets) if outcome.fault is not None]
        words = self._report(wrong)
        if not words:
            return None
        if {outcome.target.name for outcome in wrong} <= self._ill:
            return f"{words}\nIt was unhealthy before the run, too; what the run changed is kept."
        if self.work.verbs or self.ran:
            return f"{words}\nIt was healthy right after the change, which is kept."
        return (
            f"{words}\nThis run changed nothing of {self._parameters['name']}; what else it "
            "changed is kept."
        )

    def _ask(
        self, targets: list[Target], timeout: float | None = None, doubting: bool = True
    ) -> list[Outcome]:
        return wait_until_healthy(targets, timeout=timeout, doubt=self._doubt if doubting else None)

    def _doubt(self, target: Target) -> str | None:
        """Why a target that does not answer never will, if so."""
        if target.unit and has_died(
            target.unit, self.work.verbs.get(target.unit) in ("restart", "start")
        ):
            return f"{target.unit} has died"
        log = target.log or target.unit
        # Processes that systemd does not start say it in their log alone.
        if (
            log
            and target.site
            and target.site in self._restarting
            and self._logs.not_loaded(log, target.site, self._swapped)
        ):
            return "its application cannot be loaded"
        return None

    def _report(self, wrong: list[Outcome]) -> str | None:
        """What is not healthy, and the last words of its logs."""
        quotes = self._quotes(wrong)
        self._quoted = bool(quotes)
        return "\n".join([*map(str, wrong), *quotes]) or None

    def _quotes(self, wrong: list[Outcome]) -> list[str]:
        """The last words in the logs of what is not healthy; of many it would be too much to
        read.
        """
        logs = dict.fromkeys(
            log for outcome in wrong if (log := outcome.target.log or outcome.target.unit)
        )
        return [text for log in list(logs)[:3] if (text := self._logs.words(log))]
