# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that works or never happened, on real files; commands, units and probes are recorded in
the place of a host's.
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _record as records
from ansible_collections.pyweb.stack.plugins.module_utils import _rollout as module
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change, recover
from ansible_collections.pyweb.stack.plugins.module_utils._comparison import NOTED
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry, read
from ansible_collections.pyweb.stack.plugins.module_utils._probing import Outcome
from ansible_collections.pyweb.stack.plugins.module_utils._units import State, Unit

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
SERVER = "pyweb-mod_wsgi.service"


def entry(text: str) -> Entry:
    return Entry(content=text.encode(), **ME)


@dataclass
class World:
    """A host whose processes run what the file of their site says when a command or a unit has them
    read it.
    """

    root: object
    calls: list = field(default_factory=list)
    bad: set = field(default_factory=set)  # contents that make a site ill
    runs: dict = field(default_factory=dict)  # site: the content that its processes have read
    refuses: str = ""  # what carrying out the units' work says

    def path(self, site):
        return str(self.root / site)

    def take_up(self, site):
        self.runs[site] = read(self.path(site)).content.decode()

    def run(self, argv):
        self.calls.append(" ".join(argv))
        if argv[0] == "touch":
            self.take_up(argv[1])
        return 0, ""

    def carry_out(self, work, watch=True):
        for name, verb in work.verbs.items():
            self.calls.append(f"{verb} {name}")
            for site in list(self.runs):
                self.take_up(site)
        return self.refuses or None

    def bring_back(self, work, before):
        self.carry_out(work)

    def wait(self, targets, timeout=None, doubt=None):
        self.calls.append(f"ask {' '.join(target.name for target in targets)}".strip())
        return [
            Outcome(
                target, None, "it is ill" if self.runs.get(target.site) in self.bad else None, 0.0
            )
            for target in targets
        ]


@pytest.fixture(name="world")
def a_world(tmp_path, monkeypatch):
    (tmp_path / "host").mkdir()
    world = World(tmp_path / "host")
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    for name in ("run", "carry_out", "bring_back"):
        monkeypatch.setattr(module, name, getattr(world, name))
    monkeypatch.setattr(
        module,
        "states",
        lambda names: {name: State(active=True, enabled="enabled", exists=True) for name in names},
    )
    monkeypatch.setattr(module, "wait_until_healthy", world.wait)
    monkeypatch.setattr(module, "is_there", lambda kind, name: True)
    return world


def target(site, unit=SERVER):
    return {
        "name": site,
        "site": site,
        "link": "http",
        "endpoint": {"transport": "tcp", "host": "127.0.0.1", "port": 1},
        "unit": unit,
        "headers": {},
    }


# The lists of a set that has nothing.
EMPTY: dict = {
    **dict.fromkeys(NOTED, []),
    **dict.fromkeys(("installed", "files", "certificates", "releases", "through"), []),
    "stage": "all",
}


def rollout(
    world, contents, verify=False, units=(), touched=None, candidates=(), through=(), stage="all"
):
    """Roll these contents of sites' files out. Returns it, and what went wrong."""
    change = Change("test", {world.path(site): entry(text) for site, text in contents.items()})
    commands = [
        {"argv": ["touch", site], "paths": [world.path(site)], "site": site}
        for site in (contents if touched is None else touched)
    ]
    parameters = {
        **EMPTY, "name": "test", "defer": True, "verify": verify, "sets": None, "inputs": None, "commands": commands,
        "units": [
            {"name": unit.name, "site": "", "reload_on": [], "restart_on": [], "shared": False}
            for unit in units
        ],
        "targets": [target(site) for site in contents],
        "through": [target(site, "nginx.service") for site in through], "stage": stage,
    }  # fmt: skip
    done = module.Rollout(change, [Unit(SERVER), *units], parameters, [], list(candidates))
    problem = done.carry_through(change.differences(), [])
    if problem is None:
        done.keep()
    return done, problem


def test_what_a_command_takes_up_is_probed_and_taken_back(world):
    assert rollout(world, {"one": "v1", "two": "v1"})[1] is None
    world.bad = {"bad"}
    world.calls.clear()
    problem = rollout(world, {"one": "bad", "two": "v1"})[1]
    assert world.runs == {"one": "v1", "two": "v1"}, "the processes run what they ran"
    assert read(world.path("one")) == entry("v1")
    assert problem.splitlines()[0].startswith(
        "one (http, 127.0.0.1:1): it is ill; look at: journalctl -u pyweb-mod_wsgi.service -n 50"
    )
    assert problem.splitlines()[1:] == [
        "Every file is as it was before.",
        "What answered before answers again.",
    ]
    assert world.calls.count("touch one") == 2 and "touch two" not in world.calls
    assert "ask one" in world.calls and "ask one two" not in world.calls, (
        "only what starts anew is asked"
    )
    world.calls.clear()
    assert rollout(world, {"one": "v2", "two": "v1"})[1] is None, "the good one comes up"
    assert world.runs == {"one": "v2", "two": "v1"}
    assert recover() == []
    assert rollout(world, {"one": "v2", "two": "v1"})[0].ran == []


def test_what_was_ill_before_does_not_keep_others_from_a_change_and_is_told_so(world):
    rollout(world, {"one": "v1", "two": "bad"}, verify=True)
    world.bad = {"bad"}
    done, problem = rollout(world, {"one": "v2", "two": "bad"}, verify=True)
    assert problem is None
    assert done.unhealthy().endswith(
        "It was unhealthy before the run, too; what the run changed is kept."
    )
    assert world.runs == {"one": "v2", "two": "bad"}


def test_a_change_of_what_was_ill_before_has_to_be_well(world):
    rollout(world, {"one": "v1"}, verify=True)
    world.bad = {"v1", "bad"}
    problem = rollout(world, {"one": "bad"}, verify=True)[1]
    assert "Every file is as it was before." in problem
    assert "answers again" not in problem, "it did not answer before"
    assert rollout(world, {"one": "v2"}, verify=True)[1] is None


def test_only_what_was_seen_is_said_to_have_been_so_before(world):
    rollout(world, {"one": "v1"}, verify=True)
    world.bad = {"v1"}
    done, problem = rollout(world, {"one": "v1"}, verify=True)
    assert problem is None
    assert done.unhealthy().endswith(
        "This run changed nothing of test; what else it changed is kept."
    )


def test_what_does_not_come_back_is_told(world, monkeypatch):
    rollout(world, {"one": "v1"})
    world.bad = {"bad"}
    monkeypatch.setattr(world, "take_up", lambda site: world.runs.update({site: "bad"}))
    problem = rollout(world, {"one": "bad"})[1]
    assert "What answered before does not yet answer again:\none (http" in problem


def test_a_unit_that_does_not_come_up_is_taken_back_with_the_files(world):
    unit = Unit("pyweb-one.service", restart_on=(world.path("one"),))
    rollout(world, {"one": "v1"}, units=[unit], touched=[])
    world.runs["one"] = "v1"
    world.refuses = "systemctl restart: failed"
    problem = rollout(world, {"one": "bad"}, units=[unit], touched=[])[1]
    assert problem.splitlines()[:2] == [
        "systemctl restart: failed",
        "Every file is as it was before.",
    ]
    assert world.runs == {"one": "v1"}


def test_a_run_that_is_killed_before_the_processes_are_back_is_undone_by_the_next(
    world, monkeypatch
):
    rollout(world, {"one": "v1"})
    world.bad = {"bad"}

    class Killed(BaseException):
        pass

    def killed(*args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, "bring_back", killed)
        with pytest.raises(Killed):
            rollout(world, {"one": "bad"})
    world.calls.clear()
    assert recover() == ["test"]
    assert rollout(world, {"one": "v1"})[1] is None
    assert "touch one" in world.calls, "nobody knows what the processes have read"


def test_why_an_answer_will_not_come(world, monkeypatch):
    done = rollout(world, {"one": "v1"})[0]
    monkeypatch.setattr(module, "has_died", lambda unit, restarted: False)
    (asked,) = done._targets
    found = (
        f"pyweb: the site one cannot be loaded by process 7, begun {done._swapped + 1:.2f} s "
        "after boot"
    )
    for line, words in (
        (found, "its application cannot be loaded"),
        (found.replace("site one", "site two"), None),
        (found.replace(f"{done._swapped + 1:.2f}", "1.00"), None),  # one of before the change
    ):
        monkeypatch.setattr(done._logs, "since", lambda name, line=line: ["...", line])
        assert done._doubt(asked) == words
    monkeypatch.setattr(module, "has_died", lambda unit, restarted: True)
    assert done._doubt(asked) == f"{SERVER} has died"


def test_what_the_commands_have_made_is_made_again_where_it_was_lost(world, monkeypatch):
    account = {"name": "shop", "home": "/home", "site": "shop"}
    lost: set = set()
    monkeypatch.setattr(module, "is_there", lambda kind, name: name not in lost)

    def again():
        change = Change("test", {world.path("a"): entry("a")})
        parameters = {
            **EMPTY,
            "name": "test", "defer": True, "verify": False, "sets": None, "inputs": None,
            "accounts": [account], "directories": [],
            "commands": [{"argv": ["make", "accounts"], "paths": [world.path("a")], "site": ""}],
        }  # fmt: skip
        done = module.Rollout(change, [], parameters, [], [])
        assert done.carry_through(change.differences(), []) is None
        shown = done.drift(done.work)
        found = done.lost()
        lost.clear()
        done.keep()
        return done.ran, found, [each["before_header"] for each in shown]

    lost.add("shop")
    assert again() == (["make accounts"], [], [])  # it was never there
    assert again() == ([], [], [])
    lost.add("shop")
    assert again() == (["make accounts"], ["shop"], ["shop"])


# What is tried beside what serves.


@dataclass
class Beside:
    """A candidate of a site, and what becomes of it and of its commands."""

    site: str
    hooks: dict = field(default_factory=lambda: {"before_switch": [{"command": ["x"]}]})
    release: dict = field(default_factory=lambda: {"id": "1"})
    by: str = "me"
    units: tuple = ("pyweb-one-candidate.service",)
    stands_for: str = SERVER


@pytest.fixture(name="beside")
def what_happens_beside(world, monkeypatch):
    """What is said of each step; a text is what is wrong."""
    says = {"tried": None, "before_switch": None, "after_switch": None}

    def tried(candidates):
        names = [each.site for each in candidates]
        world.calls.append(f"try {' '.join(names)}".strip())
        return says["tried"], dict.fromkeys(names, 0.5)

    def run_hook(candidate, hook, once=None):
        world.calls.append(f"{hook} {candidate.site} {once}")
        yield {
            "site": candidate.site,
            "hook": hook,
            "command": ["x"],
            "output": [],
            "fault": says[hook],
        }

    for function in (tried, run_hook):
        monkeypatch.setattr(module, function.__name__, function)
    monkeypatch.setattr(module, "clear", lambda: world.calls.append("clear"))
    return says


def versions(world, beside, **options):
    """From one version of a site to the next, and what was done for it."""
    rollout(world, {"one": "v1", "two": "v1"})
    world.calls.clear()
    done, problem = rollout(
        world, {"one": "v2", "two": "v1"}, candidates=[Beside("one"), Beside("two")], **options
    )
    steps = [call for call in world.calls if call.split()[0] not in ("systemctl", "ask", "clear")]
    return done, problem, steps


def test_what_changes_is_tried_before_it_takes_over(world, beside):
    done, problem, steps = versions(world, beside)
    assert problem is None and world.runs == {"one": "v2", "two": "v1"}
    assert steps == ["before_switch one None", "try one", "touch one", "after_switch one None"]
    assert [each["hook"] for each in done.hooks] == ["before_switch", "after_switch"]
    assert world.calls[-1] != "clear" and world.calls.count("clear") == 2
    world.calls.clear()
    rollout(world, {"one": "v2", "two": "v1"}, candidates=[Beside("one"), Beside("two")])
    assert not [call for call in world.calls if call.startswith(("try", "before"))]


def test_what_would_run_is_told_beforehand(world, beside):
    rollout(world, {"one": "v1"})
    done, _problem = rollout(world, {"one": "v1"}, candidates=[Beside("one"), Beside("two")])
    assert done.would_run([]) == []
    assert done.would_run([world.path("one")]) == [
        {"site": "one", "hook": "before_switch", "command": ["x"], "output": []}
    ]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("before_switch", ["before_switch one None"]),
        ("tried", ["before_switch one None", "try one"]),
    ],
)
def test_what_is_refused_beside_changes_nothing(world, beside, step, expected):
    beside[step] = "it is ill"
    _done, problem, steps = versions(world, beside)
    assert steps == expected
    assert problem.startswith("Tried beside what serves, and refused; nothing was changed:\n")
    assert problem.endswith("it is ill")
    assert world.runs == {"one": "v1", "two": "v1"}
    assert read(world.path("one")) == entry("v1")
    assert recover() == []


def test_a_command_that_fails_after_the_switch_takes_it_back(world, beside):
    beside["after_switch"] = "it ended with status 1"
    _done, problem, steps = versions(world, beside)
    assert steps[-2:] == ["after_switch one None", "touch one"]
    assert problem.splitlines() == [
        "sites[one].after_switch: x: it ended with status 1",
        "Every file is as it was before.",
        "What answered before answers again.",
    ]
    assert world.runs["one"] == "v1"


@pytest.mark.parametrize("ill", [False, True])
def test_it_is_asked_through_the_front_what_answered_there(world, beside, monkeypatch, ill):
    def wait(targets, timeout=None, doubt=None):
        found = world.wait(targets)
        return [
            Outcome(
                each.target,
                None,
                "it is ill"
                if each.target.unit == "nginx.service" and world.runs["one"] == "v2"
                else each.fault,
                0.0,
            )
            for each in found
        ]

    if ill:
        monkeypatch.setattr(module, "wait_until_healthy", wait)
    _done, problem, steps = versions(world, beside, through=["one", "two"])
    assert world.runs["one"] == ("v1" if ill else "v2")
    if ill:
        assert problem.startswith("Through the front, after the switch:\none (http, 127.0.0.1:1):")
        assert "after_switch one None" not in steps
    assert "ask one two" not in world.calls, "of two nothing has changed"


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("once", ["before_switch one True"]),
        ("beside", ["before_switch one False", "try one"]),
        ("over", ["touch one", "after_switch one None"]),
    ],
)
def test_several_hosts_go_on_together_by_stages(world, beside, stage, expected):
    rollout(world, {"one": "v1"})
    world.calls.clear()
    change = Change("test", {world.path("one"): entry("v2")})
    parameters = {
        **EMPTY,
        "name": "test",
        "defer": True,
        "verify": False,
        "sets": None,
        "inputs": None,
        "commands": [{"argv": ["touch", "one"], "paths": [world.path("one")], "site": "one"}],
        "stage": stage,
    }
    done = module.Rollout(change, [Unit(SERVER)], parameters, [], [Beside("one")])
    different = change.differences()
    if stage == "over":
        assert done.carry_through(different, []) is None
    else:
        assert done.try_beside(different, stage) is None
    assert [
        call for call in world.calls if call.split()[0] not in ("systemctl", "ask", "clear")
    ] == expected


def test_what_starts_for_the_first_time_is_not_tried_beside(world, beside, monkeypatch):
    monkeypatch.setattr(
        module, "states", lambda names: {name: State(exists=True) for name in names}
    )
    rollout(world, {"one": "v1"}, candidates=[Beside("one")])
    assert "before_switch one None" in world.calls
    assert not [call for call in world.calls if call == "try one"]


def test_what_was_healthy_beside_has_little_time_in_its_place(world, beside, monkeypatch):
    asked = []

    def wait(targets, timeout=None, doubt=None):
        asked.extend(targets)
        return world.wait(targets)

    monkeypatch.setattr(module, "wait_until_healthy", wait)
    versions(world, beside)
    assert [(each.timeout, each.proven) for each in asked if each.site == "one"][-1] == (3, True)
