# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook by ansible-core itself, with roles that only say that they ran: which hosts go on
where one fails or is down.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
# Nothing listens there.
DOWN = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
RAN = """
- name: Say that {role} ran
  ansible.builtin.command: echo
  changed_when: false
  failed_when: fails_in | default('') == '{role}'
- name: Say that {role} ended
  ansible.builtin.debug:
    msg: "{role} ran on {{{{ inventory_hostname }}}}"
"""


@pytest.fixture(name="collections", scope="module")
def stub_roles(tmp_path_factory) -> Path:
    """A directory of collections that holds this one, with stubs in place of its roles."""
    top = tmp_path_factory.mktemp("collections")
    stack = top / "ansible_collections" / "pyweb" / "stack"
    stack.mkdir(parents=True)
    for name in ("plugins", "playbooks", "meta"):
        (stack / name).symlink_to(CHECKOUT / name)
    for role in ("app", "back_uwsgi", "front_nginx"):
        (stack / "roles" / role / "tasks").mkdir(parents=True)
        (stack / "roles" / role / "tasks" / "main.yml").write_text(RAN.format(role=role))
    return top


def run(collections: Path, inventory: dict, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status and the output of a run."""
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "inventory.yml", "pyweb.stack.site", *arguments],
        cwd=folder, env={**environment, "ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_LOCALHOST_WARNING": "false"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def ran(output: str) -> set[tuple[str, str]]:
    return set(re.findall(r'"msg": "(\w+) ran on (\w+)"', output))


def test_hosts_without_groups_do_not_depend_on_each_other(collections, tmp_path):
    hosts = {
        "down": DOWN,
        "failing": {**LOCAL, "fails_in": "app"},
        "refused": {**LOCAL, "front": "caddy"},
        "third": LOCAL,
    }
    status, output = run(collections, {"all": {"hosts": hosts}}, tmp_path)
    assert status != 0
    assert ran(output) == {("app", "third"), ("back_uwsgi", "third"), ("front_nginx", "third")}, (
        output
    )
    table = [
        line.strip().strip('",').split()
        for line in output.splitlines()
        if " http://" in line or "nothing" in line or "failed" in line[-9:]
    ]
    ends = {(row[0], row[-1]) for row in table}
    assert {
        ("down", "failed"),
        ("failing", "failed"),
        ("refused", "failed"),
        ("third", "nothing"),
    } <= ends, output


def grouped(**backs: dict) -> dict:
    named = {
        name: {"link_address": f"10.0.0.{number}", **values}
        for number, (name, values) in enumerate(backs.items(), 2)
    }
    return {
        "fronts": {"hosts": {"web": {**LOCAL, "link_address": "10.0.0.1"}}},
        "backs": {"hosts": named},
    }


@pytest.mark.parametrize(
    "lost", [DOWN, {**LOCAL, "fails_in": "app"}, {**LOCAL, "fails_in": "back_uwsgi"}]
)
def test_no_front_changes_where_a_back_is_lost_and_the_run_says_why(collections, tmp_path, lost):
    status, output = run(collections, grouped(one=lost, two=LOCAL), tmp_path)
    assert status != 0
    assert "front_nginx" not in {role for role, _host in ran(output)}
    assert "one failed or cannot be reached" in output
    assert re.search(r"\bone +sample .* failed\b", output), "the table is there nevertheless"


def test_no_host_changes_where_the_plan_of_one_is_refused(collections, tmp_path):
    status, output = run(
        collections, grouped(one={**LOCAL, "prune": "perhaps"}, two=LOCAL), tmp_path
    )
    assert status != 0
    assert not ran(output)


@pytest.mark.parametrize(
    "task", ["Compare the host with what its last run left", "Change what differs"]
)
def test_a_run_without_a_plan_changes_nothing(tmp_path, task):
    inventory = {"all": {"hosts": {"web": LOCAL}}}
    status, output = run(
        CHECKOUT / ".ansible" / "collections",
        inventory,
        tmp_path,
        "--start-at-task",
        task,
        "--check",
    )
    assert status != 0
    assert "There is no plan" in output
    assert "Apply" not in output and "Make accounts" not in output
