# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vocabulary of a site: defaults, what is taken, and the words for what is refused."""

from __future__ import annotations

from dataclasses import fields

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults, nearest
from ansible_collections.pyweb.stack.plugins.module_utils._finished import (
    FINISHED,
    options_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._keys import FRONT, INT, Finished
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    SITE_KEYS,
    Key,
    Site,
    check_site,
    number,
)

PACKAGE = {"source": {"package": "shop==1"}}
MINIMAL = {"name": "shop", "application": "shop.wsgi:application", "source": {"path": "/src"}}


def checked(**values):
    faults = Faults()
    site = check_site(faults, 0, {**MINIMAL, **values})
    return vars(site), faults.lines


def test_a_site_has_every_key_of_the_inventory_and_every_one_that_a_role_sees():
    given = {field.name for field in fields(Site) if field.init}
    assert given <= {*SITE_KEYS, "label", "more"}
    assert set(FINISHED) <= {field.name for field in fields(Site)}


def test_a_key_from_which_nothing_is_decided_is_one_row(monkeypatch):
    """The role sees it as it was given; tools/docs.py writes its spec from the same row."""
    row = Key(number(1, 9, "mottos"), 3, "mottos of the site", Finished((FRONT,), INT))
    monkeypatch.setitem(SITE_KEYS, "mottos", row)
    monkeypatch.setitem(FINISHED, "mottos", row.finished)
    for given, seen in (({}, 3), ({"mottos": 5}, 5)):
        planned = plan({"front": "nginx", "sites": [{**MINIMAL, **PACKAGE, **given}]})
        assert planned["front_nginx_sites"][0]["mottos"] == seen
    assert "mottos" not in planned["back_uwsgi_sites"][0]
    assert options_of("front_nginx", FRONT)["mottos"] == {
        "description": "Mottos of the site.",
        "type": "int",
    }
    assert checked(mottos=12)[1]


def test_defaults():
    site, faults = checked()
    assert not faults
    assert site == {
        **MINIMAL,
        "more": {},
        "keep": 5,
        "server_names": [],
        "mount": "/",
        "back": None,
        "link": None,
        "transport": None,
        "requirements": None,
        "python": "python3",
        "environment": {},
        "secrets": {},
        "processes": 2,
        "threads": 4,
        "request_timeout": 60,
        "max_requests": 0,
        "memory_max": None,
        "cpu_quota": None,
        "tasks_max": None,
        "static": [],
        "max_body_size": 10485760,
        "tls": None,
        "health": {"path": "/", "status": None, "timeout": 30},
        "before_switch": [],
        "after_switch": [],
        "extra": {},
        "state": "present",
        "label": "shop",
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"server_names": ["Shop.Example.ORG", "*.example.org", "shop.example.org"]},
            {"server_names": ["shop.example.org", "*.example.org"]},
        ),
        ({"server_names": ["192.0.2.255"]}, {"server_names": ["192.0.2.255"]}),
        ({"mount": "/a/b.c_d~e-f"}, {"mount": "/a/b.c_d~e-f"}),
        (
            {"memory_max": "512M", "cpu_quota": "150%", "tasks_max": "256"},
            {"memory_max": "512M", "cpu_quota": "150%", "tasks_max": 256},
        ),
        ({"memory_max": "1T", "cpu_quota": "5%"}, {"memory_max": "1T", "cpu_quota": "5%"}),
        ({"application": "a.b:c.d"}, {"application": "a.b:c.d"}),
        ({"source": {"package": "shop==1.2"}}, {"source": {"package": "shop==1.2"}}),
        (
            {"requirements": ["Django==5.2", "x @ https://example.org/x.whl"]},
            {"requirements": ["Django==5.2", "x @ https://example.org/x.whl"]},
        ),
        ({"requirements": "requirements/live.txt"}, {"requirements": "requirements/live.txt"}),
        ({"requirements": []}, {"requirements": []}),
        ({"python": "/usr/bin/python3.13"}, {"python": "/usr/bin/python3.13"}),
        (
            {"environment": {"A": 1, "B": "1.50", "C": "two\nlines", "D": "x" * 131069}},
            {"environment": {"A": "1", "B": "1.50", "C": "two\nlines", "D": "x" * 131069}},
        ),
        ({"environment": {"PYWEB_FRONT": "x"}}, {"environment": {"PYWEB_FRONT": "x"}}),
        ({"processes": "3", "max_requests": "0"}, {"processes": 3, "max_requests": 0}),
        (
            {"static": [{"url": "/static/", "path": "static/"}]},
            {
                "static": [
                    {"url": "/static/", "path": "static/", "max_age": None, "allow_override": []}
                ]
            },
        ),
        (
            {"extra": {"nginx": "a;\nb;", "apache": "c"}},
            {"extra": {"nginx": "a;\nb;", "apache": "c"}},
        ),
    ],
)
def test_accepted(values, expected):
    site, faults = checked(**values)
    assert not faults
    assert {key: site[key] for key in expected} == expected


REFUSED = [
    (
        {"memory_max": 512},
        "expected an amount of memory such as 512M or 2G, got a number (512); write it with its "
        "unit: K, M, G or T",
    ),
    (
        {"memory_max": "512 MB"},
        "'512 MB' is not an amount of memory such as 512M or 2G: a whole number and K, M, G or T",
    ),
    ({"memory_max": "31M"}, "'31M' is out of reach: from 32M"),
    (
        {"cpu_quota": 150},
        "expected a share of processor time such as 50% or 150%, where 100% is one processor, got "
        "a number (150); write it with %",
    ),
    ({"cpu_quota": "1.5"}, "'1.5' is not a share of processor time"),
    ({"cpu_quota": "0%"}, "a whole number from 5 to 102400 and %"),
    (
        {"tasks_max": 15},
        "expected a whole number of processes and threads from 16 to 4194304, got 15",
    ),
    ({"name": "Shop"}, "sites[Shop].name: 'Shop' is not a site's name"),
    ({"name": "shop\n"}, "is not a site's name"),
    ({"name": "my_Shop"}, "letters, digits and dashes; write 'my-shop'"),
    ({"mount": "shop/"}, "'shop/' ends with a slash; write '/shop'"),
    (
        {"requirements": "Django==5"},
        "'Django==5' is a requirement; write them as a list: [Django==5.2]",
    ),
    ({"static": [{"url": "/s", "path": "s"}]}, "got '/s'; write '/s/'"),
    (
        {"static": [{"url": "/s/", "path": "/./"}]},
        "'/./' is the whole file system; name the directory of the files",
    ),
    ({"max_body_size": "10M"}, "got '10M'; write it without a unit"),
    ({"name": "s" * 32}, "is not a site's name"),
    ({"name": 7}, "sites[0].name: expected a site's name"),
    ({"name": "www-data"}, "'www-data' is an account or group of the system"),
    ({"name": "video"}, "'video' is an account or group of the system"),
    (
        {"server_names": "shop.example.org"},
        "expected a list of host names, got a string ('shop.example.org'); write server_names: "
        "[shop.example.org]",
    ),
    ({"server_names": ["https://x.org"]}, "'https://x.org' is not a host name"),
    (
        {"server_names": ["bücher.example"]},
        "without scheme, port or path; write its form in ASCII (xn--...)",
    ),
    (
        {"server_names": ["a.b.7"]},
        "'a.b.7' has a last label that begins with a digit, as only an address such as "
        "192.0.2.1 has",
    ),
    ({"server_names": ["*.2.0.192"]}, "'*.2.0.192' has a last label that begins with a digit"),
    ({"server_names": ["192.0.2.256"]}, "'192.0.2.256' has a last label that begins with a digit"),
    ({"server_names": ["192.0.02.1"]}, "'192.0.02.1' has a last label that begins with a digit"),
    ({"server_names": ["shop.1e3"]}, "'shop.1e3' has a last label that begins with a digit"),
    ({"server_names": ["*.3com"]}, "'*.3com' has a last label that begins with a digit"),
    ({"server_names": ["x.org:80"]}, "'x.org:80' is not a host name"),
    ({"server_names": ["a.*.org"]}, "is not a host name"),
    ({"server_names": ["x.org\n"]}, "is not a host name"),
    (
        {"server_names": [None]},
        "expected a host name such as shop.example.org or *.example.org, without scheme, port or "
        "path, got nothing",
    ),
    ({"mount": "shop"}, "sites[shop].mount: 'shop' has no leading slash; write '/shop'"),
    ({"mount": "/shop/"}, "'/shop/' ends with a slash; write '/shop'"),
    ({"mount": "//"}, "'//' ends with a slash; write '/'"),
    ({"mount": "/a//b"}, "is not a URL path"),
    ({"mount": "/a/../b"}, "is not a URL path"),
    ({"mount": "/a b"}, "is not a URL path"),
    ({"mount": "/%2e"}, "is not a URL path"),
    ({"mount": "/{"}, "is not a URL path"),
    ({"mount": "/$uri"}, "is not a URL path"),
    ({"mount": "/a\n"}, "is not a URL path"),
    (
        {"application": "shop.wsgi"},
        "sites[shop].application: 'shop.wsgi' is not module:callable, such as "
        "shop.wsgi:application",
    ),
    ({"application": "shop:app(1)"}, "is not module:callable"),
    (
        {"application": ["a:b"]},
        "expected module:callable, such as shop.wsgi:application for a file shop/wsgi.py, "
        "got a list",
    ),
    (
        {"source": {}},
        "sites[shop].source: exactly one source is possible, got none; possible: path, package",
    ),
    (
        {"source": {"path": "a", "package": "b"}},
        "sites[shop].source: exactly one source is possible, got package, path; possible: "
        "path, package",
    ),
    (
        {"source": "../shop"},
        "expected a mapping with exactly one of path, package, got a string ('../shop'); write "
        "source: {path: ...}",
    ),
    ({"source": {"git": {"repo": "x"}}}, "'git' is not supported yet; possible: path, package"),
    (
        {"source": {"archive": {"url": "x"}}},
        "'archive' is not supported yet; possible: path, package",
    ),
    (
        {"source": {"pathh": "x"}},
        "'pathh' is unknown; possible: path, package; did you mean 'path'?",
    ),
    ({"source": {"path": "a\nb"}}, "is not a directory on the controller"),
    ({"source": {"package": "--index-url=x"}}, "is not a requirement such as Django==5.2"),
    ({"requirements": ["-r other.txt"]}, "options of pip belong in a requirements file"),
    ({"requirements": [""]}, "is not a requirement"),
    (
        {"requirements": "/etc/requirements.txt"},
        "is absolute; name a requirements file inside the source",
    ),
    ({"requirements": "../requirements.txt"}, "leads out of its directory by '..'"),
    ({"requirements": 3}, "expected a list of requirements, got a number"),
    (
        {"source": {"package": "shop"}, "requirements": "requirements.txt"},
        "is a file inside the source, and a package has none; write a list",
    ),
    ({"python": "python3 -I"}, "is not a Python interpreter"),
    (
        {"environment": ["A=b"]},
        "sites[shop].environment: expected a mapping of names to values, got a list",
    ),
    ({"environment": {"A-B": "c"}}, "'A-B' is not the name of an environment variable"),
    ({"environment": {1: "c"}}, "1 is not the name of an environment variable"),
    ({"environment": {"A": True}}, "the value of 'A' is a boolean; quote it"),
    ({"environment": {"A": None}}, "the value of 'A' is nothing; quote it"),
    (
        {"environment": {"A": "\0"}},
        "the value of 'A' has a character that systemd takes in no environment",
    ),
    (
        {"environment": {"A": "\ud800"}},
        "the value of 'A' has a character that systemd takes in no environment",
    ),
    ({"environment": {"PYWEB_SITE": "x"}}, "'PYWEB_SITE' is set by the collection"),
    (
        {"environment": {"UWSGI_HTTP_SOCKET": ":81"}},
        "'UWSGI_HTTP_SOCKET' would change how systemd or uWSGI runs the site",
    ),
    (
        {"environment": {"LISTEN_FDS": "2"}},
        "'LISTEN_FDS' would change how systemd or uWSGI runs the site",
    ),
    (
        {"environment": {"A": 1.10}},
        "the value of 'A' is a number with a point, whose digits YAML may change; quote it",
    ),
    (
        {"secrets": {"A": "x" * 131070}},
        "'A' and its value take 131073 bytes, and Linux takes at most 131072",
    ),
    ({"a\nb": 1}, "sites[shop].'a\\nb': unknown key"),
    (
        {"environment": {"A": "1"}, "secrets": {"A": "2"}},
        "sites[shop].secrets: A is in environment too; keep it in one of them",
    ),
    (
        {"processes": 0},
        "sites[shop].processes: expected a whole number of processes from 1 to 1024, got 0",
    ),
    ({"processes": True}, "expected a whole number of processes"),
    ({"processes": 1.5}, "expected a whole number of processes"),
    ({"processes": "9" * 5000}, "expected a whole number of processes"),
    ({"request_timeout": "60s"}, "expected a whole number of seconds from 1 to 86400, got '60s'"),
    ({"max_requests": -1}, "expected a whole number of requests"),
    ({"max_body_size": "10m"}, "expected a whole number of bytes"),
    (
        {"static": {"url": "/static/"}},
        "sites[shop].static: expected a list of mappings with url and path, got a mapping",
    ),
    (
        {"static": ["/static/"]},
        "sites[shop].static[0]: expected a mapping with url and path, got a string",
    ),
    ({"static": [{"url": "/static/"}]}, "sites[shop].static[0].path: missing: directory"),
    (
        {"static": [{"url": "/static", "path": "s"}]},
        "sites[shop].static[0].url: expected a URL path that ends with a slash",
    ),
    (
        {"static": [{"url": "static/", "path": "s"}]},
        "'static/' has no leading slash; write '/static/'",
    ),
    (
        {"static": [{"url": "/", "path": "s"}]},
        "expected a URL path that ends with a slash, such as /static/, got '/'",
    ),
    ({"static": [{"url": "/a;b/", "path": "s"}]}, "is not a URL path"),
    ({"static": [{"url": "/s/", "path": "a b"}]}, "is not a directory"),
    ({"static": [{"url": "/s/", "path": "../etc"}]}, "leads out of its directory by '..'"),
    (
        {"static": [{"url": "/s/", "path": "s", "max_age": -1}]},
        "sites[shop].static[0].max_age: expected a whole number of seconds",
    ),
    (
        {"static": [{"url": "/s/", "path": "s", "maxage": 1}]},
        "sites[shop].static[0].maxage: unknown key; did you mean 'max_age'?; possible: url, "
        "path, max_age",
    ),
    (
        {"static": [{"url": "/s/", "path": "a"}, {"url": "/s/", "path": "b"}]},
        "'/s/' is named more than once",
    ),
    (
        {"static": [{"url": "/s/", "path": "a"}, {"url": "/S/", "path": "b"}]},
        "'/s/' is named more than once (capital letters do not count)",
    ),
    ({"extra": "gzip on;"}, "expected a mapping of front to raw configuration text, got a string"),
    (
        {"extra": {"ngnix": ""}},
        "sites[shop].extra: 'ngnix' is unknown; possible: apache, nginx, lighttpd, cherokee; did "
        "you mean 'nginx'?",
    ),
    ({"extra": {"nginx": ["gzip on;"]}}, "expected raw configuration text for nginx, got a list"),
    ({"extra": {"nginx": "\ud800"}}, "a character that is none of Unicode"),
    (
        {"before_switch": "migrate"},
        "sites[shop].before_switch: expected a list of mappings with command, got a string; write "
        "before_switch: [{command: [python, manage.py, migrate]}]",
    ),
    (
        {"after_switch": [["migrate"]]},
        "sites[shop].after_switch[0]: expected a mapping with command, got a list; write {command: "
        "[python, manage.py, migrate]}",
    ),
    (
        {"before_switch": [{"command": "python manage.py migrate"}]},
        "sites[shop].before_switch[0].command: expected a list of words, got a string ('python "
        "manage.py migrate'); write command: [python, manage.py, migrate]",
    ),
    (
        {"before_switch": [{"command": ["sleep", 1]}]},
        "sites[shop].before_switch[0].command: expected a word of a command, quoted if it is a "
        "number, got a number (1)",
    ),
    (
        {"before_switch": [{"command": []}]},
        "sites[shop].before_switch[0].command: an empty command; write command: [python, "
        "manage.py, migrate]",
    ),
    (
        {"before_switch": [{"command": ["a\0"]}]},
        "sites[shop].before_switch[0].command: a word has a NUL",
    ),
    (
        {"before_switch": [{"command": ["a"], "timeout": "5m"}]},
        "sites[shop].before_switch[0].timeout: expected a whole number of seconds from 1 to 86400, "
        "got '5m'; write it without a unit",
    ),
    (
        {"before_switch": [{"command": ["a"], "once": "perhaps"}]},
        "sites[shop].before_switch[0].once: expected true or false, got a string ('perhaps')",
    ),
    (
        {"before_switch": [{"command": ["a"], "run_once": True}]},
        "sites[shop].before_switch[0].run_once: unknown key; did you mean 'once'?",
    ),
    (
        {"health": "/ready"},
        "sites[shop].health: expected a mapping with path, status or timeout, got a string "
        "('/ready')",
    ),
    (
        {"health": {"paths": "/"}},
        "sites[shop].health.paths: unknown key; did you mean 'path'?; possible: path, "
        "status, timeout",
    ),
    (
        {"health": {"path": "ready"}},
        "sites[shop].health.path: 'ready' is not a path below the mount such as /health",
    ),
    ({"health": {"path": "/a b"}}, "'/a b' is not a path below the mount"),
    ({"health": {"path": "/../a"}}, "'/../a' has a part '.' or '..'"),
    (
        {"health": {"status": 200}},
        "sites[shop].health.status: expected a list of statuses, got a number (200); write "
        "status: [200]",
    ),
    (
        {"health": {"status": []}},
        "sites[shop].health.status: an empty list, which no answer satisfies",
    ),
    (
        {"health": {"status": [99]}},
        "sites[shop].health.status: expected a whole number of a status from 200 to 599, got 99",
    ),
    (
        {"health": {"timeout": 0}},
        "sites[shop].health.timeout: expected a whole number of seconds from 1 to 3600, got 0",
    ),
    ({"state": "gone"}, "sites[shop].state: 'gone' is unknown; possible: present, absent"),
    ({"state": "gone"}, "'gone' is unknown; possible: present"),
    (
        {"server_name": ["x"]},
        "sites[shop].server_name: unknown key; did you mean 'server_names'?; possible: name, "
        "server_names, mount",
    ),
    ({"back": ["flup"]}, "sites[shop].back: expected the name of a back, got a list"),
]


@pytest.mark.parametrize(("values", "words"), REFUSED)
def test_refused_in_one_line(values, words):
    faults = checked(**values)[1]
    assert len(faults) == 1, faults
    assert words in faults[0]
    assert "\n" not in faults[0]


@pytest.mark.parametrize("key", sorted(SITE_KEYS))
@pytest.mark.parametrize(
    "value", [None, True, 3, 1.5, "", "\0", "é", [], [[]], {}, {1: 2}, object()]
)
def test_no_value_of_any_key_raises(key, value):
    assert checked(**{key: value})[0] is not None


@pytest.mark.parametrize("raw", [None, 3, "shop", ["shop"]])
def test_what_is_no_mapping(raw):
    faults = Faults()
    assert check_site(faults, 4, raw) is None
    assert faults.lines[0].startswith(
        "sites[4]: expected a mapping with name, application and source, got "
    )


@pytest.mark.parametrize("missing", list(MINIMAL))
def test_what_is_missing(missing):
    faults = Faults()
    check_site(faults, 2, {key: value for key, value in MINIMAL.items() if key != missing})
    label = 2 if missing == "name" else "shop"
    assert faults.lines == [f"sites[{label}].{missing}: missing: {SITE_KEYS[missing].meaning}"]


def test_all_faults_of_lists_and_mappings_are_told():
    faults = checked(
        server_names=["a b", "ok.org", "c d"],
        environment={"1": "", "A": "", "B": None},
        extra={"iis": "", "nginx": 1},
    )[1]
    assert [line.split(":")[0].partition(".")[2] for line in faults] == ["server_names"] * 2 + [
        "environment"
    ] * 2 + ["extra"] * 2


def test_no_fault_shows_a_secret():
    faults = Faults()
    assert check_site(faults, 0, [{"secrets": {"A": "hunter2"}}]) is None
    assert "hunter2" not in "".join(faults.lines)
    for secrets in ("hunter2", ["hunter2"], {"A": ["hunter2"]}, {"A": "hunter2\0"}):
        assert "hunter2" not in "".join(checked(secrets=secrets)[1])


def test_checking_changes_nothing_that_was_given_nor_a_default():
    static = [{"url": "/static/", "path": "static/"}]
    site = checked(static=static)[0]
    site["static"][0]["url"] = "/other/"
    site["server_names"].append("x.org")
    assert static == [{"url": "/static/", "path": "static/"}]
    assert checked()[0]["server_names"] == []


@pytest.mark.parametrize(
    ("word", "hint"), [("serv_names", "; did you mean 'server_names'?"), ("zzz", "")]
)
def test_nearest(word, hint):
    assert nearest(word, SITE_KEYS) == hint


@pytest.mark.parametrize(
    "application",
    ["shop.wsgi:application", "shop:a.b", "shop:create_app()", "shop.web:Factory.make()"],
)
def test_an_application_or_what_makes_it(application):
    faults = Faults()
    assert (
        check_site(faults, 0, {**MINIMAL, "application": application}).application == application
        and not faults
    )
