# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that is changed by the collection's own playbooks and looked at meanwhile.
molecule/shared/change.yml says in PYWEB_HOST which.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """What came of a playbook."""

    status: int
    words: str

    @property
    def changed(self) -> int:
        return int(self.words.rpartition("changed=")[2].split()[0])


@dataclass(frozen=True)
class Host:
    """A container of the scenario."""

    name: str
    container: str
    address: str
    inventory: list[str]

    @property
    def front(self) -> str:
        """Hosts of some scenarios are named after their front."""
        return self.name.partition("-")[0]

    def play(
        self,
        values: dict | None = None,
        *options: str,
        playbook: str = "site.yml",
        good: bool = True,
    ) -> Run:
        """Run a playbook on this host alone."""
        inventories = [part for path in self.inventory for part in ("--inventory", path)]
        command = [
            "ansible-playbook",
            *inventories,
            "--limit",
            self.name,
            playbook,
            "--extra-vars",
            json.dumps(values or {}),
            *options,
        ]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run = Run(done.returncode, done.stdout)
        assert (run.status == 0) is good, run.words
        return run

    def shell(self, command: str) -> str:
        """What a command on the host says."""
        done = subprocess.run(
            ["docker", "exec", self.container, "sh", "-c", command],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def ask(self, name: str = "localhost", path: str = "/") -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(
                f"http://{self.address}{path}",
                headers={"Host": name, "Accept": "application/json"},
                timeout=30,
            )

    def ask_plainly(self, name: str, path: str = "/") -> requests.Response:
        """The answer itself, be it a redirect."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(
                f"http://{self.address}{path}",
                headers={"Host": name},
                timeout=30,
                allow_redirects=False,
            )


@pytest.fixture(scope="session", name="host")
def the_host():
    return Host(**json.loads(os.environ["PYWEB_HOST"]))
