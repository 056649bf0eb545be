# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site is going to run, beside what serves it: the candidate that the plan gives it, its
files and units, and the commands of its hooks.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible.template import Templar
from ansible_collections.pyweb.stack.plugins.action.apply import FIELDS, _expand
from ansible_collections.pyweb.stack.plugins.module_utils import _candidates as module
from ansible_collections.pyweb.stack.plugins.module_utils import _commands as commands
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import EMBEDDED, combinations
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    Endpoint,
    Outcome,
    Target,
)
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place
from ansible_collections.pyweb.stack.plugins.plugin_utils._runs import candidates_of
from rendering import LOADER, ROLES, variables_of

SITE = {"name": "shop", "application": "shop:application", "source": {"path": "/src"}}
STACKS = [stack for stack in combinations() if stack[2] != EMBEDDED]


def planned(front="nginx", back="uwsgi", link=None, where=None, **values):
    known = {"front": front, "back": back, "link": link, "sites": [{**SITE, **values}]}
    (site,) = plan(known, place=where)[f"back_{back}_sites"]
    return site


def arguments(role, site):
    """The files and units of the role's task, for one site."""
    tasks = LOADER.load_from_file(
        str(ROLES / role / "tasks" / "main.yml"), trusted_as_template=True
    )
    known = {**variables_of(role), f"{role}_sites": [site]}
    task = Templar(loader=LOADER, variables=known).template(tasks[0]["pyweb.stack.apply"])
    return task["files"], task["units"]


def candidate(role, site):
    (found,) = candidates_of(
        [site],
        *arguments(role, site),
        lambda item: _expand(item, FIELDS["files"]),
        lambda item: _expand(item, FIELDS["units"]),
    )
    return found


@pytest.mark.parametrize(("front", "back", "link"), STACKS)
def test_a_candidate_shares_no_path_with_what_serves(front, back, link):
    site = planned(front, back, link)
    found = candidate(f"back_{back}", site)
    units = ["socket", "service"] if back != "mod_wsgi" else ["service"]
    assert found["units"] == [f"pyweb-shop-candidate.{kind}" for kind in units]
    paths = [file["path"] for file in found["files"]]
    assert len(set(paths)) == len(paths) >= 4
    tops = ("/run/pyweb-candidates/shop/", "/run/systemd/system/pyweb-shop-candidate.")
    assert all(path.startswith(tops) for path in paths), paths
    assert found["stands_for"] == f"{site['unit']}.service"
    endpoint, target = site["candidate"]["endpoint"], site["candidate"]["target"]
    assert endpoint["address"] != site["endpoint"]["address"]
    assert {key: endpoint[key] for key in target["endpoint"]} == target["endpoint"]
    assert target["unit"] == "pyweb-shop-candidate.service"
    assert site["candidate"]["runtime"]["PYWEB_ENDPOINT"] == endpoint["address"]


@pytest.mark.parametrize(
    ("front", "back", "link", "transport"),
    [
        ("apache", "uwsgi", "uwsgi", "unix"),
        ("cherokee", "gunicorn", "http", "unix"),  # over tcp for the front alone
        ("nginx", "mod_wsgi", "http", "tcp"),
    ],
)
def test_a_candidate_listens_where_no_other_host_reaches_it(front, back, link, transport):
    where = Place("b", {"f": "10.0.0.1"}, {"b": "10.0.0.2"}, (front,))
    beside = planned(front, back, link, where)["candidate"]
    assert beside["endpoint"]["transport"] == transport
    assert beside["endpoint"].get("host", "127.0.0.1") == "127.0.0.1"
    assert beside["allowed"] == [] and "PYWEB_ALLOWED" not in beside["runtime"]


def test_candidates_move_no_port_of_a_site():
    sites = [{**SITE, "name": f"s{number}", "mount": f"/{number}"} for number in range(60)]
    known = {"front": "nginx", "back": "mod_wsgi", "sites": sites}
    many = plan(known)["back_mod_wsgi_sites"]
    ports = [site["endpoint"]["port"] for site in many]
    beside = [site["candidate"]["endpoint"]["port"] for site in many]
    assert len({*ports, *beside}) == 120
    for site in many[:5]:
        alone = plan({**known, "sites": [next(s for s in sites if s["name"] == site["name"])]})
        assert alone["back_mod_wsgi_sites"][0]["endpoint"] == site["endpoint"]


def test_inside_the_front_only_commands_run_beside():
    (site,) = plan({"front": "apache", "back": "mod_wsgi", "sites": [SITE]})[
        "front_apache_embedded_sites"
    ]
    assert set(site["candidate"]) == {"unit", "paths"}
    (found,) = candidates_of([site], [], [], lambda item: _expand(item, FIELDS["files"]), list)
    assert found["units"] == [] and found["target"] is None
    assert [file["path"].rpartition("/")[2] for file in found["files"]] == [
        "environment",
        "secrets",
        "current",
    ]


# The commands of hooks.


@pytest.mark.parametrize(
    ("host", "expected"), [("b1", ["migrate", "warm"]), ("b2", ["warm"]), ("", ["migrate", "warm"])]
)
def test_what_one_host_does_for_all(host, expected):
    hooks = [{"command": ["migrate"], "once": True}, {"command": ["warm"]}]
    where = host and Place(
        host, {"f": "10.0.0.1"}, {"b1": "10.0.0.2", "b2": "10.0.0.3"}, ("nginx",), host == "b1"
    )
    site = planned(where=where or None, before_switch=hooks, after_switch=hooks)
    for hook in ("before_switch", "after_switch"):
        assert [each["command"][0] for each in site[hook]] == expected
    values = {"sites": [{**SITE, "before_switch": hooks}]}
    assert plan(values, place=where or None)["commands_once"] is (host == "b1")


def a_candidate(*hooks, files=None):
    return module.Candidate(
        site="shop",
        account="shop",
        slice="pyweb-shop.slice",
        release={"id": "1", "path": "/srv/www/shop/releases/1"},
        by="me",
        files=files or {},
        units=[],
        target=None,
        stands_for="pyweb-shop.service",
        variables={"before_switch": ("/run/e", "/run/s"), "after_switch": ("/etc/e", "/etc/s")},
        hooks={"before_switch": list(hooks), "after_switch": []},
    )


@pytest.fixture(name="runs")
def what_runs(monkeypatch):
    """Command lines that are run, each of which ends as its first word says."""
    seen = []

    def run(argv):
        word = argv[argv.index("--") + 1]
        seen.append(argv)
        return (1, "why") if word.endswith("false") else (0, "")

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr(module, "write", lambda path, entry: seen.append(path))
    return seen


def a_hook(*command, once=False):
    return {"command": list(command), "timeout": 7, "once": once}


def test_a_command_runs_as_the_site_with_what_it_is_going_to_have(runs):
    files = {"/run/e": Entry(content=b"A=b"), "/run/other": Entry(content=b"")}
    (done,) = module.run_hook(
        a_candidate(a_hook("sh", "-c", "echo $A"), files=files), "before_switch"
    )
    written, line = runs
    assert written == "/run/e", "not the files of its server"
    assert line[line.index("--") + 1 :] == ["/usr/bin/sh", "-c", "echo $$A"]
    for option in (
        "--unit=pyweb-shop-before_switch-0",
        "--uid=shop",
        "--gid=shop",
        "--slice=pyweb-shop.slice",
        "--working-directory=/srv/www/shop/releases/1",
        "--property=RuntimeMaxSec=7",
        "--property=StateDirectory=pyweb/shop",
    ):
        assert option in line
    assert [word for word in line if "EnvironmentFile" in word] == [
        "--property=EnvironmentFile=/run/e",
        "--property=EnvironmentFile=/run/s",
    ]
    assert done["fault"] is None and done["command"] == ["sh", "-c", "echo $A"]


def test_the_first_command_that_fails_is_the_last(runs):
    hooks = [a_hook("true"), a_hook("false", "--now"), a_hook("true")]
    done = list(module.run_hook(a_candidate(*hooks), "before_switch"))
    assert [each["fault"] for each in done] == [None, "it ended with status 1"]
    assert module.failed(done[-1]) == (
        "sites[shop].before_switch: false --now: it ended with status 1\nIts last words:\nwhy"
    )


@pytest.mark.parametrize(("once", "expected"), [(True, [0]), (False, [1]), (None, [0, 1])])
def test_what_runs_once_runs_in_a_stage_of_its_own(runs, once, expected):
    hooks = a_candidate(a_hook("true", once=True), a_hook("true"))
    assert len(list(module.run_hook(hooks, "before_switch", once))) == len(expected)
    names = [word for line in runs for word in line if word.startswith("--unit")]
    assert names == [f"--unit=pyweb-shop-before_switch-{number}" for number in expected]


@pytest.mark.parametrize(
    ("word", "found"),
    [("python", ".venv/bin/python"), ("bin/job", "bin/job"), ("sh", "/usr/bin/sh")],
)
def test_a_program_of_the_release_comes_first(tmp_path, word, found):
    for name in (".venv/bin/python", "bin/job"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    expected = found if found.startswith("/") else str(tmp_path / found)
    assert commands.program(str(tmp_path), word) == expected
    with pytest.raises(commands.NotFound, match="'no-such' is a program neither of the release"):
        commands.program(str(tmp_path), "no-such")
    with pytest.raises(commands.NotFound, match="bin/no is no file"):
        commands.program(str(tmp_path), "bin/no")


def test_a_command_that_takes_too_long_says_so(monkeypatch):
    monkeypatch.setattr(commands, "run", lambda argv: (1, ""))
    clock = iter([0.0, 7.2])
    monkeypatch.setattr(commands.time, "monotonic", lambda: next(clock))
    (done,) = module.run_hook(a_candidate(a_hook("sleep", "60")), "before_switch")
    assert done["fault"] == "it did not end within 7 s, and was ended"


def test_what_is_wrong_with_a_candidate_says_what_the_inventory_can_say(monkeypatch):
    target = Target(
        "shop", "http", Endpoint(port=1), site="shop", unit="pyweb-shop-candidate.service"
    )
    seen = []
    monkeypatch.setattr(module, "run", lambda argv: (0, ""))
    monkeypatch.setattr(module, "carry_out", lambda work, watch: seen.append(work.verbs))
    monkeypatch.setattr(module, "clear", lambda: seen.append("cleared"))
    monkeypatch.setattr(
        module,
        "wait_until_healthy",
        lambda targets, doubt: [
            Outcome(each, None, "no answer", 3.0, late=True) for each in targets
        ],
    )
    monkeypatch.setattr(module.Logs, "words", lambda self, name: f"(the log of {name})")
    beside = replace(a_candidate(), target=target, units=["pyweb-shop-candidate.service"])
    problem, took = module.tried([beside])
    assert problem == (
        "shop (http, 127.0.0.1:1): no answer; look at: journalctl -u pyweb-shop-candidate.service -n "
        "50; where it takes longer to start, sites[shop].health: {timeout: SECONDS} gives it more "
        "time\n(the log of pyweb-shop-candidate.service)"
    )
    assert took == {}
    assert seen == [{"pyweb-shop-candidate.service": "start"}, "cleared"]
