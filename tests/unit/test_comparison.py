# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run notes of a host, and what the next one finds different: on real files and records;
systemd, packages, releases and sites answer from a table.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _comparison as module
from ansible_collections.pyweb.stack.plugins.module_utils import _record as records
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import make
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change
from ansible_collections.pyweb.stack.plugins.module_utils._comparison import differences, note
from ansible_collections.pyweb.stack.plugins.module_utils._host import digest
from ansible_collections.pyweb.stack.plugins.module_utils._probing import Outcome
from ansible_collections.pyweb.stack.plugins.module_utils._units import State
from test_rollout import entry, target

UNIT = "x.service"
INPUTS = {"front_x": "as it was"}


@dataclass
class World:
    """A host that is as its last run left it, until a test changes it."""

    root: Path
    unit: State = field(default_factory=lambda: State(active=True, enabled="enabled", exists=True))
    packages: set = field(default_factory=lambda: {"x"})
    lost: set = field(default_factory=set)
    releases: list = field(default_factory=list)
    without: list = field(default_factory=list)
    unreadable: str | None = None
    foreign: str | None = None
    holder: str | None = None
    fault: str | None = None

    @property
    def file(self) -> Path:
        return self.root / "file"


@pytest.fixture(name="world")
def a_world(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(module, "STATUS", os.devnull)
    world = World(tmp_path)
    for name, answer in {
        "installed": lambda text: world.packages,
        "states": lambda names: dict.fromkeys(names, world.unit),
        "is_there": lambda kind, name: name not in world.lost,
        "missing_of": lambda sites: world.releases,
        "lacking_of": lambda sites: world.without,
        "unreadable": lambda path, account: world.unreadable,
        "foreign_account": lambda name, home: world.foreign,
        "taken_port": lambda port, unit, active: world.holder,
        "wait_until_healthy": lambda targets, timeout: [
            Outcome(each, None, world.fault, 0.0) for each in targets
        ],
    }.items():
        monkeypatch.setattr(module, name, answer)
    chain, key = make("x", ["localhost"])
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    keep(world)
    return world


def keep(world: World, **parameters) -> None:
    """A run that works, and notes what it settled."""
    change = Change("front_x", {str(world.file): entry("secret"), str(world.root / "no"): None})
    change.leave(parameters.pop("once", []))
    change.swap(change.differences())
    given = {
        "inputs": INPUTS["front_x"],
        "check": ["x", "-t"],
        "packages": ["x"],
        "ports": [{"port": 80, "unit": UNIT}],
        "accounts": [{"name": "shop", "home": "/home", "site": "shop"}],
        "directories": [{"path": "/srv/shop", "site": "shop", "holds": "ours"}],
        "serves": ["/srv/static"],
        "commands": [{"argv": ["touch", "it"], "paths": [str(world.file)], "site": ""}],
        "units": [{"name": UNIT, "reload_on": [str(world.file)], "site": ""}],
        "targets": [target("shop")],
        "verify": True,
        "releases": [{"name": "shop", "paths": {}, "secrets": {"TOKEN": "hush"}}],
        "certificates": [
            {
                "self_signed": True,
                "site": "x",
                "names": [],
                "certificate": f"{world.root}/chain.pem",
                "key": f"{world.root}/key.pem",
                "private_key": None,
                "chain": None,
                "lineage": None,
                "group": "root",
            }
        ],
        **parameters,
    }
    change.record.noted = note(given, change)
    taken = {
        "touch it": [str(world.file)],
        f"{UNIT} reload": [str(world.file)],
        f"{UNIT} restart": [],
    }
    change.keep({key: digest(paths) for key, paths in taken.items()})


def test_a_host_that_is_as_it_was_left_has_no_difference(world):
    assert differences(INPUTS) == []


def test_the_directory_of_a_socket_may_be_gone(world):
    keep(world, directories=[{"path": "/run/pyweb/shop", "site": "shop", "holds": "ours"}])
    world.lost.add("/run/pyweb/shop")
    assert differences(INPUTS) == []


def test_what_is_noted_holds_no_content(world):
    noted = (world.root / "records" / "front_x.json").read_text()
    assert str(world.file) in noted
    assert "hush" not in noted
    assert (
        records.Record("front_x").noted["files"][str(world.file)]
        == entry("secret").sealed().encode()
    )


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (lambda world: world.file.write_text("other"), "/file was changed"),
        (lambda world: world.file.chmod(0o600), "/file was changed"),
        (lambda world: world.file.unlink(), "/file was changed"),
        (lambda world: (world.root / "no").touch(), "/no was changed"),
        (lambda world: setattr(world.unit, "active", False), f"{UNIT}: start"),
        (lambda world: setattr(world.unit, "enabled", "disabled"), f"{UNIT}: enable"),
        (
            lambda world: setattr(world.unit, "needs_daemon_reload", True),
            f"{UNIT} has to be read again",
        ),
        (lambda world: world.packages.clear(), "the package x is missing"),
        (lambda world: world.lost.add("shop"), "shop is missing"),
        (lambda world: world.lost.add("/srv/shop"), "/srv/shop is missing"),
        (lambda world: world.releases.append("shop"), "the release of shop is missing"),
        (lambda world: world.without.append("no directory"), "no directory"),
        (lambda world: setattr(world, "unreadable", "it cannot be read"), "it cannot be read"),
        (lambda world: setattr(world, "foreign", "another's account"), "another's account"),
        (lambda world: setattr(world, "holder", "port 80 is taken"), "port 80 is taken"),
        (lambda world: setattr(world, "fault", "it is ill"), "it is ill"),
        (lambda world: (world.root / "chain.pem").write_text(""), "has to be made anew"),
        (lambda world: (world.root / "key.pem").unlink(), "has to be made anew"),
        (lambda world: (world.root / "records/front_x.journal").write_text("{}"), "was killed"),
    ],
)  # fmt: skip
def test_what_was_lost_or_changed_since_is_found(world, drift, words):
    drift(world)
    assert words in "\n".join(differences(INPUTS))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"front_x": "another"}, "front_x: the inventory or the collection has changed since"),
        ({**INPUTS, "back_x": "new"}, "the host has other servers than the inventory names"),
        ({}, "the host has other servers than the inventory names"),
        ({"front_x": None}, "front_x: the inventory or the collection has changed since"),
    ],
)
def test_another_inventory_is_another_host(world, inputs, words):
    assert differences(inputs) == [words]


def test_what_is_leaving_is_left_to_the_roles(world):
    record = records.Record("front_x")
    record.claim("units", {"old.service": {"site": ""}})
    record.claim("units", {})
    record.save()
    assert differences(INPUTS) == ["front_x: old.service is leaving"]


@pytest.mark.parametrize("more", [{"inputs": None}, {"once": "the file"}])
def test_no_host_is_the_same_without_a_plan_or_where_somebody_else_has_a_file(world, more):
    """Each run warns of such a file. Without a plan there is a note all the same: the host renews
    certificates by it.
    """
    if "once" in more:
        world.file.write_text("somebody else's")
        more = {"once": [str(world.file)]}
    keep(world, **more)
    assert bool(records.Record("front_x").noted) is ("once" not in more)
    assert differences(INPUTS) == ["front_x: the inventory or the collection has changed since"]


def test_the_record_of_an_earlier_version_has_noted_nothing(world):
    path = world.root / "records" / "front_x.json"
    record = records.Record("front_x")
    record.noted = {}
    record.save()
    assert "noted" not in path.read_text()
    assert differences(INPUTS) == ["front_x: the inventory or the collection has changed since"]
