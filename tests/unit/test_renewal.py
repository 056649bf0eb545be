# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A renewed certificate is taken up on a host by itself, on real pairs and records: by the
transaction of a run, from what the last run has noted.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _record as records
from ansible_collections.pyweb.stack.plugins.module_utils import _renewal as module
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import make
from ansible_collections.pyweb.stack.plugins.module_utils._change import Change
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry
from ansible_collections.pyweb.stack.plugins.module_utils._rollout import Rollout
from ansible_collections.pyweb.stack.plugins.module_utils._units import (
    Unit,
    unit_of_parameters,
)
from test_rollout import EMPTY, ME, SERVER, World, a_world, entry, target

__all__ = ["a_world"]  # a fixture
FRONT = "front_x"


class Host:
    """A front whose one site has a certificate by ACME."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.lineage = world, folder
        self.conf = Path(world.path("conf"))
        self.pair = [Path(world.path(name)) for name in ("chain", "key")]

    def issue(self, key_of_another: bool = False) -> None:
        """What certbot does at a renewal."""
        chain, key = make("shop", ["shop.test"])
        self.lineage.mkdir(exist_ok=True)
        (self.lineage / "fullchain.pem").write_bytes(chain)
        if key_of_another:
            key = make("other", ["other.test"])[1]
        (self.lineage / "privkey.pem").write_bytes(key)

    def converge(self) -> None:
        """What a run of the playbook does."""
        unit = {**vars(Unit(SERVER, reload_on=(f"{self.world.root}/",))), "site": ""}
        certificate = {
            "site": "shop",
            "certificate": str(self.pair[0]),
            "key": str(self.pair[1]),
            "names": ["shop.test"],
            "group": ME["group"],
            "self_signed": False,
            "lineage": str(self.lineage),
            "chain": None,
            "private_key": None,
        }
        parameters = {
            **EMPTY,
            "name": FRONT,
            "defer": False,
            "verify": True,
            "sets": None,
            "inputs": "as they are",
            "units": [{**unit, "shared": False}],
            "certificates": [certificate],
            "targets": [{**target("chain"), "headers": {}}],
        }
        wanted = {str(self.conf): entry("v1")}
        for file in module.certificate_files([certificate]):
            wanted[file["path"]] = Entry(
                content=file["content"].encode(),
                mode=int(file["mode"], 8),
                owner=ME["owner"],
                group=file["group"],
            )
        change = Change(FRONT, wanted)
        units = [unit_of_parameters(parameters["units"][0])]
        rollout = Rollout(change, units, parameters, [], [])
        assert rollout.carry_through(change.differences(), []) is None
        rollout.keep()
        self.world.runs = {"chain": self.pair[0].read_text()}
        self.world.calls.clear()

    def serves_the_newest(self) -> bool:
        newest = (self.lineage / "fullchain.pem").read_text().strip()
        return self.world.runs["chain"].strip() == newest == self.pair[0].read_text().strip()


@pytest.fixture(name="host")
def a_host(world, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "lock", lambda: None)
    monkeypatch.setattr(module, "Entry", functools.partial(Entry, owner=ME["owner"]))
    host = Host(world, tmp_path / "live")
    host.issue()
    host.converge()
    return host


def test_a_renewed_pair_is_served_after_one_reload(host):
    host.issue()
    assert module.take_up() == []
    assert host.serves_the_newest()
    assert host.world.calls.count(f"reload {SERVER}") == 1
    host.world.calls.clear()
    assert module.take_up() == []
    assert host.world.calls == []


def test_what_else_has_changed_is_left_to_the_next_run(host):
    noted = records.Record(FRONT).noted["files"][str(host.conf)]
    host.conf.write_text("somebody's")
    host.issue()
    assert module.take_up() == []
    assert host.serves_the_newest()
    assert host.conf.read_text() == "somebody's"
    after = records.Record(FRONT).noted
    assert after["files"][str(host.conf)] == noted
    assert after["inputs"] == "as they are"


def test_a_pair_with_which_a_site_is_ill_is_put_back(host):
    before = host.pair[0].read_text()
    host.issue()
    host.world.bad = {f"{(host.lineage / 'fullchain.pem').read_text().strip()}\n"}
    (fault,) = module.take_up()
    assert fault.startswith("chain (http, 127.0.0.1:1): it is ill")
    assert "Every file is as it was before." in fault
    assert host.pair[0].read_text() == before == host.world.runs["chain"]


def test_a_key_of_another_certificate_changes_nothing(host):
    before = host.pair[0].read_text()
    host.issue(key_of_another=True)
    assert module.take_up() == [
        f"{host.lineage}: the key is that of another certificate; what was served before stays"
    ]
    assert host.pair[0].read_text() == before
    assert host.world.calls == []


def test_the_hook_says_what_failed_and_fails(host, capsys):
    assert module.main([]) == 0
    host.issue(key_of_another=True)
    assert module.main([]) == 1
    assert "the key is that of another certificate" in capsys.readouterr().err
