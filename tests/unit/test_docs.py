# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documents say what the data says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.pyweb.stack.plugins.module_utils._acme import ACME_KEYS, DNS_KEYS
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    combinations,
    links_between,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    HEALTH_KEYS,
    SITE_KEYS,
    STATIC_KEYS,
)
from ansible_collections.pyweb.stack.plugins.module_utils._tls import TLS_KEYS
from ansible_collections.pyweb.stack.plugins.module_utils._topology import place

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md")))
}


@pytest.fixture(scope="module")
def docs():
    spec = importlib.util.spec_from_file_location("pyweb_docs", ROOT / "tools" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(page, name):
    """The cells of a generated table, without its head."""
    part = (
        PAGES[page].split(f"<!-- generated: {name} -->\n")[1].split("<!-- end of generated -->")[0]
    )
    head, _line, *lines = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in part.splitlines()
    ]
    return head, lines


def test_combinations_in_the_readme():
    (_front, _back, *links), lines = rows("README.md", "combinations")
    lines = [[re.match(r"\[(\w+)\]", front)[1], *rest] for front, *rest in lines]
    told = {
        (front, back, link): cell
        for front, back, *cells in lines
        for link, cell in zip(links, cells)
    }
    assert sorted(key for key, cell in told.items() if cell) == sorted(combinations())
    defaults = [key for key, cell in told.items() if cell.startswith("default")]
    assert defaults == [
        (front, back, links_between(front, back)[0]) for front, back, *_cells in lines
    ]
    only_tcp = [key for key, cell in told.items() if cell.endswith(", tcp only")]
    assert sorted(only_tcp) == sorted(
        stack for stack in combinations() if transports_of(*stack) == ("tcp",)
    )


def test_keys_of_a_site_in_the_readme():
    names = [line[0] for line in rows("docs/sites.md", "site")[1]]
    inner = {
        "static[]": STATIC_KEYS,
        "tls": TLS_KEYS,
        "tls.acme": ACME_KEYS,
        "tls.acme.dns": DNS_KEYS,
        "health": HEALTH_KEYS,
    }
    assert sorted(names) == sorted(
        [*SITE_KEYS, *(f"{key}.{name}" for key, keys in inner.items() for name in keys)]
    )


def inventories(page):
    """The whole inventories that a page shows."""
    return [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(all:.*?)```", PAGES[page], re.S)
    ]


def test_example_inventory_in_the_readme_is_planned():
    (inventory,) = inventories("README.md")
    assert plan(inventory["all"]["vars"])["backs"] == ["uwsgi", "flup"]


def test_example_of_django_is_planned():
    (inventory,) = inventories("docs/django.md")
    assert plan(inventory["all"]["vars"])["sites"] == ["shop"]


def plans(inventory):
    """The plan of each host of an inventory; certificates are there, wherever they are said to
    be.
    """
    values = inventory["all"].get("vars", {})
    children = inventory["all"].get("children", {})
    groups = {name: list(group["hosts"]) for name, group in children.items()}
    hosts = {
        host: {**values, **(told or {})}
        for group in (inventory["all"], *children.values())
        for host, told in group.get("hosts", {}).items()
    }
    given = {"chain": "c", "private_key": "k", "trusted": True}
    certificates = {site["name"]: given for site in values.get("sites", []) if "tls" in site}
    for host in hosts:
        where, faults = place(host, groups, hosts)
        assert faults == []
        yield host, plan(values, place=where, certificates=certificates)


def test_example_of_several_hosts_is_planned():
    (inventory,) = inventories("docs/several-hosts.md")
    fronts = inventory["all"]["children"]["fronts"]["hosts"]
    for host, planned in plans(inventory):
        assert planned["sets"] == ["app", "front_nginx" if host in fronts else "back_uwsgi"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.yml")), ids=lambda path: path.stem)
def test_examples_are_planned(path):
    text = path.read_text(encoding="utf-8")
    assert re.match(r"---\n# SPDX.*\n# [A-Z].*[.]\nall:\n", text)
    assert list(plans(yaml.safe_load(text)))


def test_example_of_https_is_planned():
    (site,) = yaml.safe_load(
        re.search(r"```yaml\n( *- name:.*?)```", PAGES["docs/https.md"], re.S)[1]
    )
    given = {site["name"]: {"chain": "c", "private_key": "k", "trusted": True}}
    planned = plan({"sites": [site]}, certificates=given)
    assert planned["front_nginx_sites"][0]["tls"]["redirect"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        found = (ROOT / page).parent / path
        assert found.exists(), target
        if heading:
            headings = re.findall(r"^##+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [each.lower().replace(" ", "-") for each in headings], target


def test_everything_generated_is_up_to_date(docs, capsys):
    assert docs.main(["--check"]) == 0, capsys.readouterr().out


def test_check_shows_what_is_not_up_to_date_and_writes_nothing(docs, capsys, monkeypatch, tmp_path):
    stale = tmp_path / "README.md"
    stale.write_text("old\n")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "documents", lambda: {stale: "new\n"})
    assert docs.main(["--check"]) == 1
    assert "-old\n+new\n" in capsys.readouterr().out
    assert stale.read_text() == "old\n"
    assert docs.main([]) == 0
    assert stale.read_text() == "new\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- generated: a -->\n",
        "<!-- generated: a -->\n<!-- generated: a -->\n<!-- end of generated -->",
    ],
)
def test_markers_have_to_be_there_once(docs, text):
    with pytest.raises(SystemExit, match="README.md"):
        docs.fill(text, {"a": "part\n"})


def test_every_fragment_is_in_the_changelog():
    """By `make changelog`."""
    known = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))
    listed = {name for release in known["releases"].values() for name in release["fragments"]}
    assert listed == {path.name for path in (ROOT / "changelogs" / "fragments").glob("*.yml")}


def test_cells_keep_their_bars(docs):
    assert docs.table(["A"], [["x|y"]]) == "| A |\n| --- |\n| x\\|y |\n"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_maps_name_what_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    folders = "changelogs|docs|molecule|playbooks|plugins|roles|tests|tools"
    named = {path for path in re.findall(rf"`((?:{folders})/[^` ]+)", text) if "<" not in path}
    gone = sorted(path for path in named if not any(ROOT.glob(path.rstrip("/"))))
    assert named and not gone
    targets = {
        target for line in re.findall(r"`make ([\w ]+)`", text) for target in line.split()[:1]
    }
    known = (ROOT / "Makefile").read_text(encoding="utf-8")
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    assert {target for target in targets if f"\n{target}:" not in known} <= scenarios
