# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next version of a site, under a constant load: a good one takes over without a lost request;
a bad one is refused beside what serves, and no client has an answer of it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from load import Load

BACKS = {"one": "uwsgi", "two": "flup", "three": "gunicorn", "four": "mod_wsgi"}
APPLICATION = """
import os

# Of a candidate alone the directory is there.
BESIDE = os.path.isdir("/run/pyweb-candidates")
FAULT = "{fault}"
{extra}

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

    def write(self, name: str, version: str, fault: str = "", extra: str = "") -> None:
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        text = APPLICATION.format(version=version, fault=fault, extra=extra)
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
                Load(host.address, f"{name}.test", keeping=1, opening=1, pause=0.03)
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
    for name in BACKS:
        sites.write(name, "v2")
    with under_load(host) as loads:
        host.play(sites.values())
    lines = [f"{host.name}: v2 of {BACKS[name]:10} {load}" for name, load in loads.items()]
    print(*lines, sep="\n")
    assert not [load for load in loads.values() if load.failed], "\n".join(lines)
    assert all(set(load.answers) == {"v1 ", "v2 "} for load in loads.values())
    assert versions(host) == dict.fromkeys(BACKS, "v2")
    clean(host)
    assert host.play(sites.values()).changed == 0


def test_a_changed_environment_takes_over(host, sites):
    for name, back in BACKS.items():
        # A reload of Apache breaks requests off under mod_wsgi (docs/changes.md).
        count = {} if back == "mod_wsgi" else {"processes": 3}
        sites.set(name, environment={"COLOUR": "red"}, **count)
    with under_load(host) as loads:
        host.play(sites.values())
    lines = [f"{host.name}: {BACKS[name]:10} {load}" for name, load in loads.items()]
    assert not [load for load in loads.values() if load.failed], "\n".join(lines)
    assert all(set(load.answers) == {"v2 ", "v2 red"} for load in loads.values())


def cases(*possible):
    """What each host tries: every case on one front. Inside Apache nothing is tried beside it."""
    return pytest.mark.parametrize(
        ("front", *possible[0]), possible[1:], ids=lambda value: str(value)[:20]
    )


@cases(
    ("name", "version", "fault", "extra", "words"),
    ("apache", "one", "v3", "", "import no_such_module", "No module named 'no_such_module'"),
    ("nginx", "four", "v3", "", "import no_such_module", "No module named 'no_such_module'"),
    ("lighttpd", "two", "v4", "ill", "", "status 500 Internal Server Error: v4"),
    ("apache", "three", "v4", "ill", "", "status 500 Internal Server Error: v4"),
    ("lighttpd", "four", "v4", "ill", "", "status 500 Internal Server Error: v4"),
)
def test_no_client_sees_a_bad_version(host, sites, front, name, version, fault, extra, words):
    if front != host.front:
        pytest.skip(f"it is tried behind {front}")
    sites.write(name, version, fault, extra)
    with under_load(host, [name]) as loads:
        run = host.play(sites.values(), good=False)
    sites.write(name, "v2")
    assert "Tried beside what serves, and refused; nothing was changed" in run.words
    assert words in run.words
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


def test_commands_run_before_and_after(host, sites):
    command = ["python", "hook.py"]
    for name in BACKS:
        sites.write(name, "v6")
        sites.set(
            name,
            before_switch=[{"command": [*command, "before", "a b", "$HOME", "%n", '"', "\\"]}],
            after_switch=[{"command": [*command, "after"]}],
        )
    run = host.play(sites.values())
    expected = 'before {0} {0} hush True a b $HOME %n " \\\nafter {0} {0} hush True\n'
    for name in BACKS:
        assert host.shell(f"cat /var/lib/pyweb/{name}/hooks") == expected.format(name)
        assert f"{host.name}, {name}, after_switch: python hook.py after (" in run.words
    assert versions(host) == dict.fromkeys(BACKS, "v6")
    assert host.play(sites.values()).changed == 0
    for name in BACKS:
        assert host.shell(f"grep -c . /var/lib/pyweb/{name}/hooks") == "2\n", "nothing has changed"


@cases(
    ("name", "hook", "given", "words"),
    ("nginx", "one", "before_switch", {"command": ["python", "-c", "exit('why')"]}, "why"),
    ("apache", "four", "before_switch", {"command": ["false"]}, "it ended with status 1"),
    ("nginx", "two", "before_switch", {"command": ["sleep", "60"], "timeout": 1}, "within 1 s"),
    ("lighttpd", "three", "before_switch", {"command": ["no-such"]}, "is a program neither"),
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
    sites.write(name, "v6")
    sites.set(name)
    print(f"{host.name}: {hook} of {BACKS[name]} failed: {loads[name]}")
    assert f"sites[{name}].{hook}: {given['command'][0]}" in run.words and words in run.words
    assert not loads[name].failed, loads[name]
    assert versions(host)[name] == "v6"
    clean(host)
