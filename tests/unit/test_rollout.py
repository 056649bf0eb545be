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
    **dict.fromkeys(("installed", "files", "certificates", "releases"), []),
}


def rollout(world, contents, verify=False, units=(), touched=None):
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
    }  # fmt: skip
    done = module.Rollout(change, [Unit(SERVER), *units], parameters, [])
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
        done = module.Rollout(change, [], parameters, [])
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
