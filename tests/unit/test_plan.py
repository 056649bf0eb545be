# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: what it refuses and in which words, what it settles, and that nothing unsafe gets
through.
"""

from __future__ import annotations

import copy
import re

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    FRONTS,
    combinations,
    links_between,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._finished import keys_of
from ansible_collections.pyweb.stack.plugins.module_utils._layout import PORTS
from ansible_collections.pyweb.stack.plugins.module_utils._plan import (
    PlanError,
    plan,
)
from ansible_collections.pyweb.stack.plugins.module_utils._role_variables import (
    mistyped_variables,
    unknown_variables,
)
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place
from ansible_collections.pyweb.stack.plugins.module_utils._vhosts import vhosts
from hypothesis import event, given, settings
from hypothesis import strategies as st


def a_site(name="shop", **values):
    return {
        "name": name,
        "application": "shop.wsgi:application",
        "source": {"path": "/src"},
        "server_names": [f"{name}.example.org"],
        **values,
    }


def faults_of(values):
    with pytest.raises(PlanError) as caught:
        plan(values)
    return caught.value.faults


def one(values, part="front_nginx_sites", **others):
    """The only site of a plan, as one role is told of it."""
    (site,) = plan(values, **others)[part]
    return site


# The faults.


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"front": "ngnix"},
            [
                "front: 'ngnix' is unknown; possible: apache, nginx, lighttpd, cherokee; did you "
                "mean 'nginx'?"
            ],
        ),
        (
            {"front": ["nginx"]},
            ["front: ['nginx'] is unknown; possible: apache, nginx, lighttpd, cherokee"],
        ),
        (
            {"front": "iis", "sites": [a_site()]},
            ["front: 'iis' is unknown; possible: apache, nginx, lighttpd, cherokee"],
        ),
        (
            {"back": "uwsig"},
            [
                "back: 'uwsig' is unknown; possible: uwsgi, flup, gunicorn, mod_wsgi; did you mean "
                "'uwsgi'?"
            ],
        ),
        (
            {"back": "uwsig", "sites": [a_site(back="flup")]},
            [
                "back: 'uwsig' is unknown; possible: uwsgi, flup, gunicorn, mod_wsgi; did you mean "
                "'uwsgi'?"
            ],
        ),
        ({"transport": "udp"}, ["transport: 'udp' is unknown; possible: unix, tcp"]),
        (
            {"back": "flup", "link": "uwsgi"},
            ["link: 'uwsgi' does not join front nginx and back flup; they can use: scgi, fastcgi"],
        ),
        (
            {"back": "flup", "link": "uwsgi", "sites": []},
            ["link: 'uwsgi' does not join front nginx and back flup; they can use: scgi, fastcgi"],
        ),
        (
            {"link": ["uwsgi"]},
            [
                "link: ['uwsgi'] does not join front nginx and back uwsgi; they can use: uwsgi, "
                "http, fastcgi, scgi"
            ],
        ),
        (
            {"sites": "shop"},
            [
                "sites: expected a list of sites, got a string; write each as an item, - name: "
                "..., or with -e as JSON: '{\"sites\": [...]}'"
            ],
        ),
        (
            {"sites": a_site()},
            [
                "sites: expected a list of sites, got a mapping; write each as an item, - name: "
                "..., or with -e as JSON: '{\"sites\": [...]}'"
            ],
        ),
        (
            {"sites": [a_site(back="waitress")]},
            ["sites[shop].back: 'waitress' is unknown; possible: uwsgi, flup, gunicorn, mod_wsgi"],
        ),
        (
            {"sites": [a_site(transport="ip")]},
            ["sites[shop].transport: 'ip' is unknown; possible: unix, tcp"],
        ),
        (
            {"front": "lighttpd", "sites": [a_site(back="flup", link="http")]},
            [
                "sites[shop].link: 'http' does not join front lighttpd and back flup; they can "
                "use: scgi, fastcgi"
            ],
        ),
        (
            {"sites": [a_site(), a_site(server_names=["other.example.org"])]},
            [
                "sites[shop].name: 'shop' is the name of more than one site; give each a name "
                "of its own"
            ],
        ),
        (
            {
                "sites": [
                    a_site(server_names=["x.org", "y.org"], mount="/a"),
                    a_site("blog", server_names=["Y.org"], mount="/a"),
                ]
            },
            [
                "sites[blog].server_names: 'y.org' at mount '/a' belongs to site 'shop' already; "
                "change the server name or the mount of one"
            ],
        ),
        (
            {"sites": [a_site(server_names=[]), a_site("blog", server_names=[])]},
            [
                "sites[blog].server_names: (none: the catch-all) at mount '/' belongs to site "
                "'shop' already; change the server name or the mount of one"
            ],
        ),
        (
            {"sites": [a_site(), a_site()]},
            [
                "sites[shop].name: 'shop' is the name of more than one site; give each a name "
                "of its own",
                "sites[shop].server_names: 'shop.example.org' at mount '/' belongs to site 'shop' "
                "already; change the server name or the mount of one",
            ],
        ),
        (
            {
                "sites": [
                    a_site("blog", mount="/b", server_names=[]),
                    a_site(server_names=[], static=[{"url": "/b/s/", "path": "s"}]),
                ]
            },
            [
                "sites[shop].static: '/b/s/' is below the mount of site 'blog', '/b'; choose "
                "another URL"
            ],
        ),
        (
            {
                "sites": [
                    a_site("blog", mount="/b/c", server_names=[]),
                    a_site(server_names=[], static=[{"url": "/b/", "path": "s"}]),
                ]
            },
            [
                "sites[blog].mount: '/b/c' is below the files of site 'shop', '/b/'; choose "
                "another mount or URL"
            ],
        ),
        (
            {
                "sites": [
                    a_site(mount="/b"),
                    a_site("blog", mount="/B", server_names=["shop.example.org"]),
                ]
            },
            [
                "sites[blog].server_names: 'shop.example.org' at mount '/b' belongs to site 'shop' "
                "already; change the server name or the mount of one"
            ],
        ),
    ],
)
def test_refused(values, expected):
    assert faults_of(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"back": "mod_wsgi", "link": "embedded"},
            ["link: 'embedded' does not join front nginx and back mod_wsgi; they can use: http"],
        ),
        (
            {"front": "apache", "link": "embedded"},
            [
                "link: 'embedded' does not join front apache and back uwsgi; they can use: uwsgi, "
                "http, fastcgi, scgi"
            ],
        ),
        (
            {"back": "mod_wsgi", "transport": "unix"},
            [
                "transport: 'unix' is not possible: Apache httpd, which runs mod_wsgi, listens on "
                "no Unix socket; use tcp"
            ],
        ),
        (
            {"sites": [a_site(back="mod_wsgi", transport="unix")]},
            [
                "sites[shop].transport: 'unix' is not possible: Apache httpd, which runs mod_wsgi, "
                "listens on no Unix socket; use tcp"
            ],
        ),
        (
            {"front": "apache", "sites": [a_site(back="mod_wsgi", memory_max="1G", tasks_max=100)]},
            [
                f"sites[shop].{key}: 'embedded' runs inside the front, which has no limits for one "
                "site; leave the key out, or use link http"
                for key in ("memory_max", "tasks_max")
            ],
        ),
        (
            {"sites": [a_site(processes=4, threads=8, tasks_max=47)]},
            [
                "sites[shop].tasks_max: 47 is too few: 4 processes of 8 threads under uwsgi need "
                "48 at least"
            ],
        ),
        (
            {"front": "apache", "sites": [a_site(back="mod_wsgi", transport="tcp")]},
            [
                "sites[shop].transport: 'embedded' runs inside front apache and has no transport; "
                "leave the key out"
            ],
        ),
        (
            {
                "sites": [
                    a_site(static=[{"url": "/s/", "path": "s", "allow_override": ["AuthConfig"]}])
                ]
            },
            [
                "sites[shop].static[0].allow_override: front nginx reads no rules out of "
                "directories; leave the key out, or choose front apache"
            ],
        ),
        (
            {
                "front": "apache",
                "sites": [
                    a_site(
                        static=[
                            {"url": "/s/", "path": "s", "allow_override": ["AuthConfg", "Options"]}
                        ]
                    )
                ],
            },
            [
                "sites[shop].static[0].allow_override: 'AuthConfg' is unknown; possible: "
                "AuthConfig, FileInfo, Indexes, Limit; did you mean 'AuthConfig'?",
                "sites[shop].static[0].allow_override: 'Options' is unknown; possible: AuthConfig, "
                "FileInfo, Indexes, Limit",
            ],
        ),
    ],
)
def test_what_only_apache_can_do_is_refused_elsewhere(values, expected):
    assert faults_of(values) == expected


def test_all_faults_come_in_one_message():
    values = {
        "front": "nginxx",
        "transport": "udp",
        "sites": [
            a_site("one", mount="one"),
            a_site("two", application="two", source={"path": "a", "package": "b"}),
            a_site("three", server_names="three.org", proceses=2),
            "four",
        ],
    }
    with pytest.raises(PlanError) as caught:
        plan(values)
    wheres = [line.split(": ")[0] for line in caught.value.faults]
    assert wheres == [
        "front", "transport", "sites[one].mount", "sites[two].application", "sites[two].source",
        "sites[three].proceses", "sites[three].server_names", "sites[3]",
    ]  # fmt: skip
    assert str(caught.value) == "\n".join(caught.value.faults)


def test_what_is_wrong_already_is_no_clash():
    """Without its server names a site would be the catch-all."""
    assert (
        len(
            faults_of(
                {"sites": [a_site("a", server_names="a.org"), a_site("b", server_names="b.org")]}
            )
        )
        == 2
    )
    assert (
        len(
            faults_of(
                {
                    "sites": [
                        a_site("a", mount="a", server_names=[]),
                        a_site("b", mount="b", server_names=[]),
                    ]
                }
            )
        )
        == 2
    )


@pytest.mark.parametrize(
    "sites",
    [
        [
            a_site("a", server_names=["x.org"], mount="/a"),
            a_site("b", server_names=["x.org"], mount="/b"),
        ],
        [a_site("a", server_names=["x.org"]), a_site("b", server_names=["x.org"], mount="/b")],
        [a_site("a", server_names=["x.org"]), a_site("b", server_names=["*.org"])],
        [a_site("a", server_names=["x.org"]), a_site("b", server_names=[])],
        [
            a_site("a", server_names=["x.org"], static=[{"url": "/bb/", "path": "s"}]),
            a_site("b", server_names=["x.org"], mount="/b"),
        ],
        [
            a_site("a", server_names=["x.org"], static=[{"url": "/b/", "path": "s"}]),
            a_site("b", server_names=["y.org"], mount="/b"),
        ],
        [
            a_site("a", server_names=["x.org"], mount="/b", static=[{"url": "/s/", "path": "s"}]),
            a_site("b", server_names=["x.org"]),
        ],
    ],
)
def test_no_clash(sites):
    assert len(plan({"sites": sites})["front_nginx_sites"]) == 2


@pytest.mark.parametrize("path", ["/var/lib/pyweb/shop/media/", "/var/cache/pyweb/shop/thumbnails"])
def test_a_front_that_follows_every_link_serves_nothing_that_a_site_writes(path):
    static = [{"url": "/static/", "path": "static/"}, {"url": "/media/", "path": path}]
    with pytest.raises(PlanError) as error:
        plan({"front": "cherokee", "sites": [a_site(static=static)]})
    (fault,) = error.value.faults
    assert fault.startswith(
        f"sites[shop].static[1].path: {path!r} is a directory that the site writes, and front "
        "cherokee follows every link in it"
    )
    assert plan({"front": "nginx", "sites": [a_site(static=static)]})


def test_mistyped_variables():
    options = {
        "front_x": {
            "front_x_admin": {"type": "bool"},
            "front_x_listen": {"type": "list"},
            "front_x_name": {"type": "str"},
        }
    }
    right = {
        "front_x_admin": "False",
        "front_x_listen": ["80"],
        "front_x_name": "80",
        "other": "80",
    }
    assert mistyped_variables(right, options) == []
    assert (
        mistyped_variables({"front_x_admin": True, "front_x_listen": "{{ ports }}"}, options) == []
    )
    assert mistyped_variables({"front_x_admin": "perhaps", "front_x_listen": "80"}, options) == [
        "front_x_admin: expected true or false, got 'perhaps'",
        "front_x_listen: expected a list, got '80'; with -e write JSON: "
        "'{\"front_x_listen\": [...]}'",
    ]


def test_unknown_variables():
    options = {
        "front_nginx": {"front_nginx_sites", "front_nginx_worker_processes"},
        "back_uwsgi": {"back_uwsgi_sites"},
    }
    names = [
        "front",
        "front_nginx_sites",
        "front_nginx_worker_proceses",
        "front_nginxx",
        "back_uwsgi_x",
        "other",
    ]
    assert unknown_variables(names, options) == [
        "back_uwsgi_x: the role back_uwsgi has no such variable; did you mean 'back_uwsgi_sites'?",
        "front_nginx_worker_proceses: the role front_nginx has no such variable; did you mean "
        "'front_nginx_worker_processes'?",
    ]


# What is settled.


CHEROKEE = {"front": "cherokee", "sites": [a_site()]}


@pytest.mark.parametrize(("variables", "wanted"), [
    ({}, "front: Debian carries no cherokee; say where yours comes from by front_cherokee_package "
         "or front_cherokee_prefix"),
    ({"front_cherokee_package": "", "front_cherokee_prefix": ""}, "front: Debian carries no "
                                                                  "cherokee"),
    ({"front_cherokee_package": "https://a.example/c.deb"}, "front_cherokee_package_checksum: "
                                                            "missing: the checksum of "
                                                            "https://a.example/c.deb"),
    ({"front_cherokee_package": "c.deb"}, "front_cherokee_package: 'c.deb' is not absolute; write "
                                          "an absolute path"),
    ({"front_cherokee_package": ["c"]}, "front_cherokee_package: expected a text, got ['c']"),
])  # fmt: skip
def test_a_front_that_debian_has_not_must_be_named(variables, wanted):
    with pytest.raises(PlanError) as caught:
        plan(CHEROKEE, variables=variables)
    assert [fault[: len(wanted)] for fault in caught.value.faults] == [wanted]
    assert plan({**CHEROKEE, "front": "nginx"}, variables=variables)["front"] == "nginx"


@pytest.mark.parametrize("variables", [
    {"front_cherokee_package": "cherokee"},
    {"front_cherokee_package": "/srv/cherokee.deb"},
    {"front_cherokee_package": "https://a.example/c.deb", "front_cherokee_package_checksum": "sha256:00"},
    {"front_cherokee_package": "", "front_cherokee_prefix": "/opt/cherokee"},
    None,
])  # fmt: skip
def test_a_front_that_debian_has_not_is_planned_when_it_is_named(variables):
    assert plan(CHEROKEE, variables=variables)["ports"] == [
        {"port": 80, "unit": "cherokee.service"}
    ]


def test_what_a_front_cannot_do_for_a_site_is_refused():
    one = a_site(server_names=["a.test"], max_body_size=2**31)
    two = a_site(
        name="two", server_names=["a.test", "b.test"], mount="/two", link="http", transport="unix"
    )
    apart = a_site(name="apart", server_names=["c.test"], max_body_size=1)
    with pytest.raises(PlanError) as caught:
        plan({"front": "cherokee", "sites": [one, two, apart]})
    assert caught.value.faults == [
        "sites[shop].max_body_size: 2147483648 is more than front cherokee can tell; the most is "
        "2147483647",
        "sites[two].transport: 'unix' is not possible: Cherokee speaks http to no Unix "
        "socket; use tcp",
        "sites[two].max_body_size: 10485760 is not the 2147483648 of site 'shop', and the front "
        "has one for all sites of a server name; make them equal",
    ]
    assert plan({"sites": [one, {**two, "link": "uwsgi"}, apart]})["front"] == "nginx"


def test_combinations_are_those_of_the_design():
    flup, uwsgi = ["scgi", "fastcgi"], ["uwsgi", "http", "fastcgi", "scgi"]
    expected = [
        (front, back, link)
        for front in ("apache", "nginx", "lighttpd", "cherokee")
        for back, links in (
            ("uwsgi", uwsgi),
            ("flup", list(reversed(flup)) if front == "apache" else flup),
            ("gunicorn", ["http"]),
            ("mod_wsgi", ["embedded", "http"] if front == "apache" else ["http"]),
        )
        for link in links
    ]
    assert combinations() == expected
    assert len(expected) == 33


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (("apache", "uwsgi", "uwsgi"), ("unix", "tcp")),
        (("apache", "mod_wsgi", "embedded"), ()),
        (("apache", "mod_wsgi", "http"), ("tcp",)),
        (("nginx", "mod_wsgi", "http"), ("tcp",)),
        (("nginx", "uwsgi", "http"), ("unix", "tcp")),
    ],
)
def test_transports(stack, expected):
    assert transports_of(*stack) == expected


STACKS = [
    (*stack, transport)
    for stack in combinations()
    for transport in transports_of(*stack) or (None,)
]


@pytest.mark.parametrize(("front", "back", "link", "transport"), STACKS)
def test_every_combination_is_planned(front, back, link, transport):
    planned = plan(
        {"front": front, "back": back, "link": link, "transport": transport, "sites": [a_site()]}
    )
    assert planned["front"] == front
    assert planned["backs"] == [back]
    assert set(planned) == {
        "front",
        "asks",
        "backs",
        "commands_once",
        "app_sites",
        "ports",
        f"back_{back}_sites",
        f"front_{front}_sites",
        "upstreams",
        "targets",
        "sets",
        "sites",
        "prune",
        "serves",
        "table",
        "remove_data",
        "remove_packages",
    } | ({"front_apache_embedded_sites"} if front == "apache" else set())
    assert planned["sets"] == ["app", f"back_{back}", f"front_{front}"]
    assert planned["sites"] == ["shop"]
    (application,), (before,) = planned["app_sites"], planned[f"front_{front}_sites"]
    (behind,) = planned[f"back_{back}_sites"] + planned.get(f"front_{front}_embedded_sites", [])
    assert (tuple(application), tuple(before)) == (keys_of("app"), keys_of("front"))
    assert tuple(behind) == keys_of("back" if transport else "embedded")
    assert (
        behind["unit"]
        == before["unit"]
        == ("apache2" if link == "embedded" else f"pyweb-shop-{back}-{link}-{transport}")
    )
    assert before["endpoints"] == ([behind["endpoint"]] if transport else [])
    assert behind["release"] == application["release"]
    assert behind["runtime"] == {
        **({"PYWEB_ENDPOINT": behind["endpoint"]["address"], "PYWEB_TRANSPORT": transport} if transport else {}),
        "PYWEB_SITE": "shop", "PYWEB_BACK": back, "PYWEB_LINK": link, "PYWEB_SCRIPT_NAME": "", "PYWEB_APPLICATION": "shop.wsgi:application",
        "PYWEB_PROCESSES": "2",
        "PYWEB_THREADS": "4", "PYWEB_REQUEST_TIMEOUT": "60", "PYWEB_SILENCE": "63" if back == "mod_wsgi" else "60", "PYWEB_MAX_REQUESTS": "0",
    }  # fmt: skip
    targets = [*([behind["target"]] if transport else []), *planned["targets"]]
    assert [target["link"] for target in targets] == ([link] if transport else []) + ["http"]
    assert {target["host"] for target in targets} == {"shop.example.org"}
    assert {target["site"] for target in targets} == {"shop"}
    assert planned["targets"][0]["log"] == f"{behind['unit']}.service"


def test_one_health_of_a_site_for_every_probe():
    health = {"path": "/ready?full=1", "status": [200, 503], "timeout": 90}
    planned = plan({"sites": [a_site(health=health, mount="/shop")]})
    (behind,) = planned["back_uwsgi_sites"]
    for target in (behind["target"], *planned["targets"]):
        assert {**target, **health, "script_name": "/shop"} == target
    assert behind["start_timeout"] == 90
    (inside,) = plan(
        {"front": "apache", "back": "mod_wsgi", "sites": [a_site(health={"timeout": 7})]}
    )["front_apache_embedded_sites"]
    assert inside["start_timeout"] == 7
    apart = plan(
        {"sites": [a_site(health=health)]},
        place=Place("f", {"f": "10.0.0.1"}, {"b": "10.0.0.2"}, ("nginx",)),
    )
    assert {**apart["upstreams"][0][1], **health} == apart["upstreams"][0][1]
    assert apart["targets"][0]["log"] is None


@pytest.mark.parametrize(
    ("host", "site", "expected"),
    [
        ({}, {}, ("nginx", "uwsgi", "uwsgi", "unix")),
        (
            dict.fromkeys(("front", "back", "link", "transport")),
            {},
            ("nginx", "uwsgi", "uwsgi", "unix"),
        ),
        ({"back": "flup"}, {}, ("nginx", "flup", "scgi", "unix")),
        ({"front": "lighttpd", "transport": "tcp"}, {}, ("lighttpd", "uwsgi", "uwsgi", "tcp")),
        ({"link": "http"}, {}, ("nginx", "uwsgi", "http", "unix")),
        ({"link": "http"}, {"link": "scgi"}, ("nginx", "uwsgi", "scgi", "unix")),
        ({"link": "http"}, {"back": "uwsgi"}, ("nginx", "uwsgi", "http", "unix")),
        ({"link": "http"}, {"back": "flup"}, ("nginx", "flup", "scgi", "unix")),
        ({"transport": "tcp"}, {"transport": "unix"}, ("nginx", "uwsgi", "uwsgi", "unix")),
        ({"front": "apache"}, {}, ("apache", "uwsgi", "uwsgi", "unix")),
        ({"front": "apache", "back": "flup"}, {}, ("apache", "flup", "fastcgi", "unix")),
        (
            {"front": "apache", "transport": "tcp"},
            {"back": "mod_wsgi"},
            ("apache", "mod_wsgi", "embedded", None),
        ),
        (
            {"front": "apache", "back": "mod_wsgi", "link": "http"},
            {},
            ("apache", "mod_wsgi", "http", "tcp"),
        ),
        ({"back": "mod_wsgi"}, {}, ("nginx", "mod_wsgi", "http", "tcp")),
    ],
)
def test_defaults_of_the_host_and_of_the_pair(host, site, expected):
    planned = plan({**host, "sites": [a_site(**site)]})
    (settled,) = planned[f"front_{planned['front']}_sites"]
    transport = next((endpoint["transport"] for endpoint in settled["endpoints"]), None)
    assert (planned["front"], settled["back"], settled["link"], transport) == expected


@pytest.mark.parametrize("sites", [None, []])
@pytest.mark.parametrize("front", FRONTS)
def test_without_sites_there_is_the_sample(sites, front):
    planned = plan({"front": front, "sites": sites}, sample_source="/the/sample")
    (application,), (before,), (behind,) = (
        planned["app_sites"],
        planned[f"front_{front}_sites"],
        planned["back_uwsgi_sites"],
    )
    assert (application["name"], application["source"], behind["environment"]) == (
        "sample",
        {"path": "/the/sample"},
        {"PYWEB_FRONT": front},
    )
    assert (before["server_names"], before["mount"]) == ([], "/")
    assert planned["targets"][0]["host"] == "localhost"


def test_mount_static_and_extra_are_finished():
    static = [
        {"url": "/static/", "path": "static/", "max_age": 60},
        {"url": "/media/", "path": "/srv/media"},
    ]
    site = one(
        {"sites": [a_site(mount="/shop", static=static, extra={"nginx": "n;", "lighttpd": "l"})]}
    )
    assert (site["mount"], site["script_name"], site["extra"]) == ("/shop", "/shop", "n;")
    assert site["static"] == [
        {
            "url": "/shop/static/",
            "path": "/srv/www/shop/current/static/",
            "max_age": 60,
            "allow_override": [],
            "follow_links": True,
        },
        {
            "url": "/shop/media/",
            "path": "/srv/media",
            "max_age": None,
            "allow_override": [],
            "follow_links": False,
        },
    ]
    root = one({"sites": [a_site(static=static)]})
    assert (root["mount"], root["script_name"], root["extra"]) == ("/", "", "")
    assert root["static"][0]["url"] == "/static/"


def test_several_backs():
    planned = plan({"sites": [a_site("a"), a_site("b", back="flup"), a_site("c")]})
    assert planned["backs"] == ["uwsgi", "flup"]
    assert [site["name"] for site in planned["back_uwsgi_sites"]] == ["a", "c"]
    assert [site["name"] for site in planned["back_flup_sites"]] == ["b"]
    assert [site["back_requirements"] for site in planned["app_sites"]] == [[], ["flup==1.0.3"], []]
    assert [site["needs_system_python"] for site in planned["app_sites"]] == [True, False, True]


def test_wildcard_is_probed_by_a_name_it_covers():
    assert plan({"sites": [a_site(server_names=["*.x.org"])]})["targets"][0]["host"] == "www.x.org"


def test_input_is_left_as_it_was():
    values = {
        "sites": [a_site(static=[{"url": "/static/", "path": "static/"}], extra={"nginx": ""})]
    }
    before = copy.deepcopy(values)
    assert plan(values) == plan(values)
    assert values == before


# Endpoints.


def ports(names, **values):
    planned = plan({"transport": "tcp", "sites": [a_site(name, **values) for name in names]})
    return {site["name"]: site["endpoints"][0]["port"] for site in planned["front_nginx_sites"]}


def test_unix_endpoint():
    path = "/run/pyweb/shop/uwsgi-uwsgi.sock"
    assert one({"sites": [a_site()]})["endpoints"] == [
        {"transport": "unix", "path": path, "address": path}
    ]


def test_longest_socket_path_fits():
    site = one({"back": "flup", "link": "fastcgi", "sites": [a_site("s" * 31)]})
    assert len(site["endpoints"][0]["path"]) < 108  # unix(7)


def test_tcp_endpoint():
    (endpoint,) = one({"transport": "tcp", "sites": [a_site()]})["endpoints"]
    assert endpoint == {
        "transport": "tcp",
        "host": "127.0.0.1",
        "port": endpoint["port"],
        "address": f"127.0.0.1:{endpoint['port']}",
    }
    assert endpoint["port"] in PORTS


def test_ports_of_many_sites():
    names = [f"site-{number}" for number in range(500)]
    found = ports(names)
    assert len(set(found.values())) == 500
    assert set(found.values()) <= set(PORTS)
    assert ports(reversed(names)) == found, "the order of the inventory does not matter"
    fewer = ports(names[:-1])
    assert sum(found[name] != port for name, port in fewer.items()) <= 1, (
        "a site more moves at most the one whose port it takes"
    )


def test_another_link_or_back_listens_elsewhere():
    """So that the new endpoint can be started beside the old one."""
    assert ports(["shop"]) != ports(["shop"], link="http") != ports(["shop"], back="flup")


# Releases.


def release(source=None, runtime="r", host=None, **values):
    given_source = {"digest": "d", "requirements": [], **(source or {})}
    return one(
        {**(host or {}), "sites": [a_site(**values)]},
        "app_sites",
        sources={"shop": given_source},
        runtime=runtime,
    )["release"]


def test_release_has_a_place_of_its_own():
    found = release()
    assert re.fullmatch(r"[0-9a-f]{12}", found["id"])
    assert found["path"] == f"/srv/www/shop/releases/{found['id']}"


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"source": {"digest": "d"}},
        {"values": {"source": {"path": "/elsewhere/on/another/controller"}}},
        {
            "values": {
                "environment": {"A": "b"},
                "secrets": {"C": "d"},
                "processes": 9,
                "mount": "/x",
                "server_names": ["other.org"],
            }
        },
        {"values": {"link": "http", "transport": "tcp"}},
        {"host": {"front": "nginx"}},
    ],
)
def test_same_input_is_the_same_release(same):
    values = same.pop("values", {})
    source = same.pop("source", None)
    if "source" in values:
        site = one(
            {"sites": [a_site(**values)]},
            "app_sites",
            sources={"shop": {"digest": "d"}},
            runtime="r",
        )
        found = site["release"]
    else:
        found = release(source, **same, **values)
    # Where it is from is for people alone.
    assert {**found, "from": ""} == {**release(), "from": ""}


def test_every_input_changes_the_release():
    package = one({"sites": [a_site(source={"package": "shop==1"})]}, "app_sites", runtime="r")[
        "release"
    ]
    another = one({"sites": [a_site(source={"package": "shop==2"})]}, "app_sites", runtime="r")[
        "release"
    ]
    found = [
        package,
        another,
        release(),
        release({"digest": "e"}),
        release({"requirements": "requirements.txt"}),
        release(requirements=["Django==5.2"]),
        release(requirements=["Django==5.3"]),
        release(requirements="other.txt"),
        release(python="python3.13"),
        release(runtime="s"),
        release(back="flup"),
    ]
    assert len({item["id"] for item in found}) == len(found)


def test_requirements_txt_is_found():
    assert (
        one(
            {"sites": [a_site()]},
            "app_sites",
            sources={"shop": {"requirements": "requirements.txt"}},
        )["requirements"]
        == "requirements.txt"
    )
    assert one({"sites": [a_site()]}, "app_sites")["requirements"] == []
    assert (
        one(
            {"sites": [a_site(requirements=[])]},
            "app_sites",
            sources={"shop": {"requirements": "requirements.txt"}},
        )["requirements"]
        == []
    )


# Virtual hosts.


def grouped(*sites):
    hosts = vhosts(
        [{"name": name, "server_names": names, "mount": mount} for name, names, mount in sites]
    )
    return [
        (host["kind"], host["names"], [site["name"] for site in host["sites"]]) for host in hosts
    ]


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ([], []),
        ([("a", [], "/")], [("catch-all", [], ["a"])]),
        ([("a", ["x.org", "y.org"], "/")], [("exact", ["x.org", "y.org"], ["a"])]),
        (
            [("b", ["x.org"], "/long/er"), ("c", ["x.org"], "/z"), ("a", ["x.org"], "/")],
            [("exact", ["x.org"], ["a", "c", "b"])],
        ),
        (
            [("a", ["x.org", "y.org"], "/"), ("b", ["y.org"], "/b")],
            [("exact", ["x.org"], ["a"]), ("exact", ["y.org"], ["a", "b"])],
        ),
        (
            [("a", ["*.org", "*.example.org", "x.org"], "/"), ("b", [], "/")],
            [
                ("exact", ["x.org"], ["a"]),
                ("wildcard", ["*.example.org"], ["a"]),
                ("wildcard", ["*.org"], ["a"]),
                ("catch-all", [], ["b"]),
            ],
        ),
    ],
)
def test_vhosts(sites, expected):
    assert grouped(*sites) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([["a.org", "*.a.org"], ["*.a.org"]], ["a.org", "www.a.org"]),
        ([["*.a.org"], ["www.a.org", "www0.a.org"]], ["www1.a.org", "www.a.org"]),
        ([[], ["b.org"]], ["localhost", "b.org"]),
        ([[], ["localhost"]], ["nobody.invalid", "localhost"]),
    ],
)
def test_a_site_is_probed_by_a_name_of_its_own(names, expected):
    sites = [
        a_site(f"s{number}", server_names=of_one, mount=f"/{number}")
        for number, of_one in enumerate(names)
    ]
    assert [target["host"] for target in plan({"sites": sites})["targets"]] == expected


# Properties.

EVIL = (
    *"\n\r\t\0\"'`{}[]()<>$;#%\\*?&|= /-.,:~éß\u2028\u200b٣",
    "..", "//", "$uri", "%n", "%2f", "%{x}", "{{ 1 }}", "{% x %}", "${x}", "*/",
)  # fmt: skip
JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(([], {}, [[]], [{}], {"a": "b"}, {1: 2}, ["a"]))
)
GOOD = a_site(
    mount="/shop",
    requirements=["Django==5.2"],
    python="python3",
    environment={"A": "b"},
    secrets={"S": "t"},
    processes=2,
    request_timeout=60,
    static=[{"url": "/static/", "path": "static/", "max_age": 60}],
    extra={"nginx": "# n", "lighttpd": "# l"},
)


def places(value, path=()):
    """The paths to every value inside nested lists and mappings."""
    yield path
    for key, item in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from places(item, (*path, key))


@st.composite
def hosts(draw):
    """A good host, of which a value or two were replaced, or had something put into them."""
    front, back, link, transport = draw(st.sampled_from(STACKS))
    values = {
        "front": front, "back": back, "link": link, "transport": transport,
        "sites": copy.deepcopy([{**GOOD, "transport": transport}, a_site("blog", source={"package": "blog==1"}, back=back)]),
    }  # fmt: skip
    for _unused in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([path for path in places(values) if path]))
        around = values
        for key in path:
            around = around[key]
        old, spoilt = around[last], copy.deepcopy(draw(JUNK))
        if isinstance(old, str) and draw(st.booleans()):
            cut = draw(st.integers(0, len(old)))
            spoilt = old[:cut] + draw(st.sampled_from(EVIL)) + old[cut:]
        around[last] = spoilt
    return values


HOST_NAME = re.compile(r"(\*\.)?[a-z0-9.-]+")
PATH = re.compile(r"[A-Za-z0-9._~@+/-]*", re.ASCII)
WORD = re.compile(r"[a-z][a-z0-9_-]*")
SAFE = {
    "name": re.compile(r"[a-z][a-z0-9-]{0,30}"),
    "account": re.compile(r"[a-z][a-z0-9-]{0,30}"),
    "unit": re.compile(r"pyweb-[a-z0-9_-]+|apache2"),
    "slice": re.compile(r"pyweb-[a-z0-9_]+(\\x2d[a-z0-9_]*)*\.slice"),
    "memory_max": re.compile(r"[1-9][0-9]*[KMGT]"),
    "cpu_quota": re.compile(r"[1-9][0-9]*%"),
    "back": WORD,
    "link": WORD,
    "transport": WORD,
    "server_names": HOST_NAME,
    "mount": PATH,
    "script_name": PATH,
    "url": PATH,
    "path": PATH,
    "paths": PATH,
    "published": PATH,
    "passed": PATH,
    "directories": PATH,
    "build": re.compile(r"[^\n]*"),
    "allow_override": re.compile(r"[A-Za-z]+"),
    "address": re.compile(r"/run/pyweb(-candidates)?/[a-z0-9/-]+\.sock|127\.0\.0\.1:[0-9]+"),
    "host": re.compile(r"127\.0\.0\.1"),
    "id": re.compile(r"[0-9a-f]{12}"),
    "runtime": re.compile(r"[\w.:/~-]*", re.ASCII),
    "python": PATH,
}
# What no configuration of a server carries: it goes to pip, to the controller's own file system, or
# to the probe.
NOT_RENDERED = {"source", "requirements", "back_requirements", "target", "from"}
FREE_TEXT = {"environment", "secrets", "extra"}


def assert_safe(key, value):
    if key in NOT_RENDERED or key in FREE_TEXT or value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, list):
        for item in value:
            assert_safe(key, item)
    elif isinstance(value, dict):
        for inner, item in value.items():
            assert WORD.fullmatch(inner) or re.fullmatch(r"PYWEB_[A-Z_]+", inner)
            assert_safe(key if key in ("runtime", "paths") else inner, item)
    else:
        assert SAFE[key].fullmatch(value), (key, value)


@pytest.mark.parametrize("key", ["front", "back", "link", "transport"])
@pytest.mark.parametrize("of_a_site", [False, True])
@pytest.mark.parametrize(("front", "back", "link"), list(combinations()))
def test_of_one_unknown_word_beside_good_ones_nothing_else_is_at_fault(
    front, back, link, key, of_a_site
):
    values = {"front": front, "back": back, "link": link, "sites": [a_site("shop")]}
    inside = of_a_site and key != "front"
    (values["sites"][0] if inside else values)[key] = "unknown"
    where = f"sites[shop].{key}" if inside else key
    assert {fault.split(":")[0] for fault in faults_of(values)} == {where}


@settings(max_examples=1000)
@given(hosts())
def test_what_is_not_refused_is_safe_to_render(values):
    try:
        planned = plan(values)
    except PlanError as error:
        event("refused")
        for line in error.faults:
            assert re.match(r"(front|back|link|transport|sites)(\[.+\])?(\.\S+)?: .", line), line
            assert "\n" not in line
        return
    event("planned")
    for part, sites in planned.items():
        if part.endswith("_sites"):
            for site in sites:
                for key, value in site.items():
                    assert_safe(key, value)


@pytest.mark.parametrize("link", ["embedded", "http", "fastcgi", "scgi", "uwsgi", "ajp"])
@pytest.mark.parametrize("back", BACKS)
@pytest.mark.parametrize("front", FRONTS)
def test_every_link_of_a_pair_is_planned_and_no_other(front, back, link):
    values = {"front": front, "back": back, "link": link}
    if link in links_between(front, back):
        assert plan(values)[f"front_{front}_sites"][0]["link"] == link
    else:
        assert faults_of(values) == [
            f"link: {link!r} does not join front {front} and back {back}; they can use: "
            f"{', '.join(links_between(front, back))}"
        ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.lists(st.sampled_from(["x.org", "y.org", "*.org"]), unique=True),
            st.sampled_from(["/", "/a", "/b"]),
        )
    )
)
def test_vhosts_lose_no_site_and_no_name(drawn):
    sites = [
        {"name": f"{name}{number}", "server_names": names, "mount": mount}
        for number, (name, names, mount) in enumerate(drawn)
    ]
    hosts = vhosts(sites)
    reached = [
        (name, site["name"])
        for host in hosts
        for name in host["names"] or [""]
        for site in host["sites"]
    ]
    assert sorted(reached) == sorted(
        (name, site["name"]) for site in sites for name in site["server_names"] or [""]
    )
    named = [name for host in hosts for name in host["names"] or [""]]
    assert len(named) == len(set(named)), "a name has one virtual host"


def test_an_absent_site_is_named_and_not_planned():
    planned = plan({"sites": [a_site(), {"name": "old", "state": "absent"}]})
    assert planned["sites"] == ["old", "shop"]
    assert [site["name"] for site in planned["app_sites"]] == ["shop"]


def test_all_sites_may_be_absent():
    planned = plan({"sites": [{"name": "old", "state": "absent"}]})
    assert (planned["sites"], planned["backs"], planned["sets"]) == (
        ["old"],
        [],
        ["app", "front_nginx"],
    )


@pytest.mark.parametrize(
    ("sites", "words"),
    [
        ([{"state": "absent"}], "sites[0].name: missing"),
        ([{"name": "shop", "state": "absent", "mont": "/"}], "sites[shop].mont: unknown key"),
        (
            [a_site(), {"name": "shop", "state": "absent"}],
            "'shop' is the name of more than one site",
        ),
    ],
)
def test_what_is_wrong_with_an_absent_site(sites, words):
    with pytest.raises(PlanError) as refused:
        plan({"sites": sites})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(None, True), (True, True), (False, False), ("false", False), ("No", False), ("yes", True)],
)
def test_what_shall_go_may_be_said_by_a_word(given, meant):
    assert plan({"prune": given})["prune"] is meant


@pytest.mark.parametrize("given", ["maybe", 2, [], {}])
def test_what_is_neither_true_nor_false_is_refused(given):
    with pytest.raises(PlanError, match="^remove_data: expected true or false, got "):
        plan({"remove_data": given})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop", "pyweb-shop.slice"),
        ("my-shop-2", r"pyweb-my\x2dshop\x2d2.slice"),
        ("a-", r"pyweb-a\x2d.slice"),
    ],
)
def test_no_site_stands_in_the_slice_of_another(name, expected):
    (site,) = plan({"sites": [a_site(name, server_names=[])]})["app_sites"]
    assert site["slice"] == expected


# Directories of static files.


def static(*paths):
    return [{"url": f"/{number}/", "path": path} for number, path in enumerate(paths)]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/home/me/static", "is below /home, which the sandbox hides from the front"),
        ("/tmp", "is below /tmp, which the sandbox hides"),
        ("/var/tmp/x/", "is below /var/tmp, which the sandbox hides"),
        (
            "/var/lib/pyweb",
            "holds more than files for everybody; name a directory below /var/lib/pyweb/shop/",
        ),
        ("/var/lib/pyweb/shop", "holds more than files for everybody"),
        ("/var/lib//pyweb/shop/", "holds more than files for everybody"),
        ("/var/lib/pyweb/other/media", "holds more than files for everybody"),
        ("/var/lib/pyweb/shopping/media", "holds more than files for everybody"),
    ],
)
def test_a_directory_that_is_not_for_everybody_is_refused(path, words):
    (fault,) = faults_of({"sites": [a_site(static=static(path))]})
    assert fault.startswith("sites[shop].static[0].path: ") and words in fault


def test_what_a_site_writes_is_published_and_nothing_beside_it():
    top = "/var/lib/pyweb/shop"
    site = one(
        {
            "sites": [
                a_site(static=static(f"{top}/a/b//c/", f"{top}/a", f"{top}/x/y", "css/", "/srv/z"))
            ]
        },
        "app_sites",
    )
    assert site["published"] == [f"{top}/a", f"{top}/a/b/c", f"{top}/x/y"]
    assert site["passed"] == [f"{top}/a/b", f"{top}/x"]
    assert site["directories"] == ["css/"]


def test_what_a_site_writes_is_not_on_other_hosts():
    where = Place("web", {"web": "10.0.0.1"}, {"app": "10.0.0.2"}, ("nginx",))
    with pytest.raises(
        PlanError, match="is written on the backs, and a front of another host has none of it"
    ):
        plan({"sites": [a_site(static=static("/var/lib/pyweb/shop/media"))]}, place=where)


def test_directories_of_others_have_to_be_there():
    sites = [a_site(static=static("/srv/z/", "css/", "/var/lib/pyweb/shop/media/"))]
    assert plan({"sites": sites})["serves"] == ["/srv/z/"]


@pytest.mark.parametrize("key", ["environment", "secrets"])
@pytest.mark.parametrize(
    "name", ["PYTHONHASHSEED", "MALLOC_ARENA_MAX", "LD_PRELOAD", "PYTHONOPTIMIZE", "GLIBC_TUNABLES"]
)
def test_a_variable_that_comes_too_late_is_refused(key, name):
    site = a_site(**{key: {name: "1"}})
    (fault,) = faults_of({"back": "mod_wsgi", "sites": [site]})
    assert (
        fault.startswith(f"sites[shop].{key}: {name!r} is read as a process starts")
        and "choose another back: uwsgi, flup" in fault
    )
    assert plan({"back": "uwsgi", "sites": [site]}) and plan({"back": "flup", "sites": [site]})


@pytest.mark.parametrize(
    "name",
    [
        "TZ",
        "LANG",
        "PYTHONPATH",
        "PYTHONUTF8",
        "PYTHONUNBUFFERED",
        "PYTHONANYWHERE_SITE",
        "MY_LD_PATH",
    ],
)
def test_a_variable_that_takes_effect_later_is_taken(name):
    assert plan({"back": "mod_wsgi", "sites": [a_site(environment={name: "1"})]})


@pytest.mark.parametrize(
    ("given", "target", "ports", "url"),
    [
        (None, ("127.0.0.1", 80), [80], "http://shop.example.org/"),
        (["80", "[::]:80"], ("127.0.0.1", 80), [80], "http://shop.example.org/"),
        (["8080"], ("127.0.0.1", 8080), [8080], "http://shop.example.org:8080/"),
        (["192.0.2.1:81", "*:82"], ("127.0.0.1", 82), [81, 82], "http://shop.example.org:82/"),
        (["[::]:8080 ipv6only=on"], ("::1", 8080), [8080], "http://shop.example.org:8080/"),
        (["192.0.2.1:80"], ("192.0.2.1", 80), [80], "http://shop.example.org/"),
    ],
)
def test_a_front_is_probed_and_has_its_ports_where_it_listens(given, target, ports, url):
    variables = {"front_nginx_listen": given} if given else {}
    planned = plan({"sites": [a_site()]}, variables=variables)
    endpoint = planned["targets"][0]["endpoint"]
    assert (endpoint["host"], endpoint["port"]) == target
    assert planned["ports"] == [{"port": port, "unit": "nginx.service"} for port in ports]
    assert planned["table"][0]["URL"] == url


def test_a_front_is_probed_over_tls_where_it_listens_with_tls():
    secure = a_site(tls={"self_signed": True})
    planned = plan({"sites": [secure]}, variables={"front_nginx_listen_tls": ["8443"]})
    assert planned["targets"][0]["endpoint"]["port"] == 8443
    assert [each["port"] for each in planned["ports"]] == [80, 8443]
    assert planned["table"][0]["URL"] == "https://shop.example.org:8443/"


def test_a_front_that_listens_on_no_port_is_refused():
    with pytest.raises(PlanError) as error:
        plan({"sites": [a_site()]}, variables={"front_nginx_listen": ["unix:/run/nginx.sock"]})
    assert error.value.faults == [
        "front_nginx_listen: no address of ['unix:/run/nginx.sock'] has a port; write one "
        "such as 80"
    ]
