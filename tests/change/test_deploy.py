# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next version of a site, under a constant load: a good one takes over without a lost request;
a bad one is refused beside what serves, and no client has an answer of it.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from load import Load

BACKS = {"one": "uwsgi", "two": "flup", "three": "gunicorn", "four": "mod_wsgi"}
APPLICATION = """
import os

# Of a candidate alone the directory is there.
BESIDE = os.path.isdir("/run/pyweb-candidates")
FAULT = "{fault}"

def application(environ, start_response):
    through = "pyweb" not in environ.get("SERVER_SOFTWARE", "pyweb")
    ill = FAULT == "ill" or FAULT == "in its place" and not BESIDE or FAULT == "through" and through
    start_response("500 Internal Server Error" if ill else "200 OK", [("Content-Type", "text/plain")])
    return [b"{version} " + os.environ.get("COLOUR", "").encode()]
"""
# What a command of a hook sees, as a line of a file in the site's state.
HOOK = """
import getpass, os, sys

with open(os.path.join(os.environ["STATE_DIRECTORY"], "hooks"), "a") as log:
    seen = [sys.argv[1], getpass.getuser(), os.getcwd().split("/")[3], os.environ["TOKEN"], sys.prefix == os.getcwd() + "/.venv"]
    print(*seen, *sys.argv[2:], file=log)
print("done", sys.argv[1])
"""


class Sites:
    """The sources of the sites, and their definitions."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._values: dict = {name: {} for name in BACKS}
        for name in BACKS:
            self.write(name, "v1")

    def write(self, name: str, version: str, fault: str = "") -> None:
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        text = APPLICATION.format(version=version, fault=fault)
        (folder / "app.py").write_text(text)
        (folder / "hook.py").write_text(HOOK)

    def set(self, name: str, **values) -> None:
        self._values[name] = values

    def values(self) -> dict:
        return {
            "sites": [
                {
                    "name": name,
                    "server_names": [f"{name}.test"],
                    "application": "app:application",
                    "source": {"path": str(self._root / name)},
                    "back": back,
                    "secrets": {"TOKEN": "hush"},
                    "health": {"timeout": 20},
                    **self._values[name],
                }
                for name, back in BACKS.items()
            ]
        }


@pytest.fixture(scope="module", name="sites")
def the_sites(host, tmp_path_factory):
    made = Sites(tmp_path_factory.mktemp("sources"))
    host.play(made.values())
    return made


@contextlib.contextmanager
def under_load(host, names=BACKS):
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Load(host.address, f"{name}.test", keeping=1, opening=1, pause=0.1)
            )
            for name in names
        }


def clean(host) -> None:
    """Nothing of a candidate stays, and nothing is half done."""
    assert host.shell("ls -d /run/pyweb-candidates /run/systemd/system/pyweb-* 2>/dev/null") == ""
    assert host.shell("systemctl list-units --all --no-legend 'pyweb-*-candidate*'") == ""
    assert host.shell("ls /var/lib/pyweb/.changes/*.journal 2>/dev/null") == ""


def versions(host) -> dict[str, str]:
    return {name: host.ask(f"{name}.test").text.split()[0] for name in BACKS}


def test_a_good_version_takes_over(host, sites):
    """With other variables, another number of processes and commands of its own."""
    command = ["python", "hook.py"]
    hooks = {
        "before_switch": [{"command": [*command, "before", "a b", "$HOME", "%n", '"', "\\"]}],
        "after_switch": [{"command": [*command, "after"]}],
    }
    for name, back in BACKS.items():
        # A reload of Apache breaks requests off under mod_wsgi (docs/changes.md).
        count = {} if back == "mod_wsgi" else {"processes": 3}
        sites.write(name, "v2")
        sites.set(name, environment={"COLOUR": "red"}, **count, **hooks)
    with under_load(host) as loads:
        run = host.play(sites.values())
    lines = [f"{host.name}: v2 of {BACKS[name]:10} {load}" for name, load in loads.items()]
    print(*lines, sep="\n")
    assert not [load for load in loads.values() if load.failed], "\n".join(lines)
    assert all(set(load.answers) == {"v1 ", "v2 red"} for load in loads.values())
    assert versions(host) == dict.fromkeys(BACKS, "v2")
    clean(host)
    assert host.play(sites.values()).changed == 0
    expected = 'before {0} {0} hush True a b $HOME %n " \\\nafter {0} {0} hush True\n'
    for name in BACKS:
        assert host.shell(f"cat /var/lib/pyweb/{name}/hooks") == expected.format(name), "each once"
        assert f"{host.name}, {name}, after_switch: python hook.py after (" in run.words


def cases(*possible):
    """What each host tries: every case on one front. Inside Apache nothing is tried beside it."""
    return pytest.mark.parametrize(
        ("front", *possible[0]), possible[1:], ids=lambda value: str(value)[:20]
    )


@cases(
    ("name",),
    ("nginx", "one"),
    ("lighttpd", "two"),
    ("apache", "three"),
    ("lighttpd", "four"),
)
def test_no_client_sees_a_version_that_answers_errors(host, sites, front, name):
    """One that cannot be loaded is in the scenario broken."""
    if front != host.front:
        pytest.skip(f"it is tried behind {front}")
    sites.write(name, "v4", "ill")
    with under_load(host, [name]) as loads:
        run = host.play(sites.values(), good=False)
    sites.write(name, "v2")
    assert "Tried beside what serves, and refused; nothing was changed" in run.words
    assert "status 500 Internal Server Error: v4" in run.words
    assert not loads[name].failed and set(loads[name].answers) == {"v2 red"}, loads[name]
    clean(host)


@cases(
    ("name", "fault"),
    ("apache", "one", "in its place"),
    ("nginx", "four", "in its place"),
    ("lighttpd", "two", "through"),
)
def test_what_is_ill_only_in_its_place_is_taken_back(host, sites, front, name, fault):
    if front != host.front:
        pytest.skip(f"it is tried behind {front}")
    sites.write(name, "v5", fault)
    with under_load(host) as loads:
        run = host.play(sites.values(), good=False)
    sites.write(name, "v2")
    print(f"{host.name}: v5 of {BACKS[name]}, ill {fault}: {loads[name]}")
    assert "status 500 Internal Server Error: v5" in run.words
    assert "Every file is as it was before." in run.words
    assert "What answered before answers again." in run.words
    assert not [load for other, load in loads.items() if other != name and load.failed]
    assert versions(host)[name] == "v2"
    clean(host)


@cases(
    ("name", "hook", "given", "words"),
    ("apache", "four", "before_switch", {"command": ["false"]}, "it ended with status 1"),
    ("lighttpd", "two", "before_switch", {"command": ["sleep", "60"], "timeout": 1}, "within 1 s"),
    ("apache", "one", "after_switch", {"command": ["false"]}, "it ended with status 1"),
    ("lighttpd", "four", "after_switch", {"command": ["false"]}, "it ended with status 1"),
)
def test_a_command_that_fails_leaves_the_old_version(host, sites, front, name, hook, given, words):
    if front != host.front:
        pytest.skip(f"it is tried behind {front}")
    sites.write(name, "v7")
    sites.set(name, **{hook: [given]})
    with under_load(host, [name]) as loads:
        run = host.play(sites.values(), good=False)
    sites.write(name, "v2")
    sites.set(name)
    print(f"{host.name}: {hook} of {BACKS[name]} failed: {loads[name]}")
    assert f"sites[{name}].{hook}: {given['command'][0]}" in run.words and words in run.words
    assert not loads[name].failed, loads[name]
    assert versions(host)[name] == "v2"
    clean(host)


def test_a_rollback_builds_nothing_and_lasts(host, sites):
    """The way back loses no request, and the same source does not undo it."""
    if host.front != "nginx":
        pytest.skip("no front has a part in it")
    former = {name: host.ask(f"{name}.test").text for name in BACKS}
    for name in ("one", "four"):
        sites.write(name, "v8")
    host.play(sites.values())
    assert versions(host) == {**dict.fromkeys(BACKS, "v2"), "one": "v8", "four": "v8"}
    sites.write("two", "v9")  # of another site, and not to be deployed now
    releases = host.shell("ls /srv/www/*/releases")
    back = {"playbook": "playbooks/rollback.yml"}
    for name in ("one", "four"):
        with under_load(host, [name]) as loads:
            run = host.play({**sites.values(), "site": name}, **back)
        print(f"{host.name}: rollback of {BACKS[name]}: {loads[name]}")
        assert not loads[name].failed, loads[name]
        assert host.ask(f"{name}.test").text == former[name]
    assert host.shell("ls /srv/www/*/releases") == releases
    row = rf"{host.name} +four +[0-9a-f]{{12}} +/\S+/four +now +[0-9a-f]{{12}}"
    assert re.search(row, run.words), run.words
    wrong = host.play({**sites.values(), "site": "one", "release": "0"}, good=False, **back)
    assert "'0' is not there; releases of one: " in wrong.words
    sites.write("two", "v2")
    again = host.play(sites.values())
    assert again.changed == 0 and "stays, to which it was rolled back" in again.words
    assert versions(host) == dict.fromkeys(BACKS, "v2")
    host.play({**sites.values(), "forward": True})
    assert versions(host) == {**dict.fromkeys(BACKS, "v2"), "one": "v8", "four": "v8"}


def test_former_releases_go_and_what_serves_stays(host, sites):
    if host.front != "lighttpd":
        pytest.skip("no front has a part in it")
    for name in BACKS:
        sites.set(name, keep=2)
        sites.write(name, "v10")
    host.play(sites.values())
    for name in BACKS:
        kept = host.shell(f"ls /srv/www/{name}/releases").split()
        # The new one, and of the former the newest and the one that served until now.
        assert 3 <= len(kept) <= 4
        assert host.shell(f"readlink /srv/www/{name}/current").split("/")[1].strip() in kept
    assert versions(host) == dict.fromkeys(BACKS, "v10")
