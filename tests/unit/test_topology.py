# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fronts and backs on hosts of their own: where the hosts stand, what the plan refuses then, and
what it tells each.
"""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._layout import PORTS
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place, place

ADDRESSES = {"f1": "10.0.0.1", "f2": "10.0.0.2", "b1": "10.0.0.11", "b2": "10.0.0.12"}
TO_FIND = (
    "missing, and neither is ansible_host an IP address, nor is a default route of the host known "
    "(the host may have none, or this run leaves it out); write the address that the other hosts "
    "reach it by"
)


def known(hosts, **more):
    return {host: {"link_address": ADDRESSES[host], **more.get(host, {})} for host in hosts}


def at(host, fronts="f1", backs="b1 b2", servers=("nginx",)):
    """The place of a host among fronts and backs that are named in a line."""
    return Place(
        host,
        *({name: ADDRESSES[name] for name in names.split()} for names in (fronts, backs)),
        servers,
    )


def a_site(name="shop", **values):
    return {
        "name": name,
        "application": "shop:application",
        "source": {"path": "/src"},
        "server_names": [f"{name}.test"],
        **values,
    }


def faults_of(values, where):
    with pytest.raises(PlanError) as caught:
        plan(values, place=where)
    return caught.value.faults


# Where the hosts stand.


@pytest.mark.parametrize(
    "groups",
    [{}, {"fronts": [], "backs": []}, {"all": ["f1"]}, {"fronts": ["f1"], "backs": ["f1"]}],
)
def test_a_host_that_is_front_and_back_alone(groups):
    where, faults = place("f1", groups, {})
    assert (where.apart, where.is_front, where.is_back, where.allowed, faults) == (
        False,
        True,
        True,
        [],
        [],
    )


@pytest.mark.parametrize(
    ("host", "is_front", "is_back", "allowed"),
    [
        ("f1", True, False, []),
        ("b1", False, True, ["10.0.0.1", "10.0.0.11", "10.0.0.12"]),
        ("b2", True, True, ["10.0.0.1", "10.0.0.12"]),
        ("other", False, False, []),
    ],
)
def test_roles_of_hosts(host, is_front, is_back, allowed):
    where, faults = place(
        host,
        {"fronts": ["f1", "b2"], "backs": ["b1", "b2"]},
        {**known(["f1", "b1", "b2"]), "other": {}},
    )
    assert (where.apart, where.is_front, where.is_back, where.allowed, faults) == (
        True,
        is_front,
        is_back,
        allowed,
        [],
    )
    assert (list(where.fronts), list(where.backs)) == (["f1", "b2"], ["b1", "b2"])


@pytest.mark.parametrize(
    ("told", "address"),
    [
        (
            {
                "link_address": "10.1.1.1",
                "ansible_host": "10.2.2.2",
                "default_addresses": ["10.3.3.3"],
            },
            "10.1.1.1",
        ),
        ({"link_address": "FD00::0:1"}, "fd00::1"),
        ({"ansible_host": "10.2.2.2", "default_addresses": ["10.3.3.3"]}, "10.2.2.2"),
        ({"ansible_host": "b1.example.org", "default_addresses": ["10.3.3.3", None]}, "10.3.3.3"),
        ({"ansible_host": "127.0.0.1", "default_addresses": [None, "fd00::3"]}, "fd00::3"),
        ({"ansible_host": None, "default_addresses": ["10.3.3.3"]}, "10.3.3.3"),
    ],
)
def test_address_of_a_host(told, address):
    where, faults = place("f1", {"fronts": ["f1"], "backs": ["b1"]}, {**known(["f1"]), "b1": told})
    assert (where.backs, faults) == ({"b1": address}, [])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, TO_FIND),
        ({"ansible_host": "b1.example.org", "default_addresses": [None, None]}, TO_FIND),
        ({"ansible_host": "b1", "default_addresses": ["fe80::1"]}, TO_FIND),
        *(
            (
                {"link_address": wrong, "ansible_host": "10.0.0.9"},
                f"{wrong!r} is no IP address that other hosts could reach; write one, such as "
                "10.0.0.5",
            )
            for wrong in (
                "b1.example.org",
                "10.0.0",
                "127.0.0.1",
                "0.0.0.0",
                "224.0.0.1",
                "::",
                "fe80::1",
                "10.0.0.1/24",
                "",
                10,
                ["10.0.0.9"],
            )
        ),
    ],
)
def test_an_address_that_cannot_be_known(told, words):
    assert place("f1", {"fronts": ["f1"], "backs": ["b1"]}, {**known(["f1"]), "b1": told})[1] == [
        f"link_address of host b1: {words}"
    ]


@pytest.mark.parametrize(
    ("groups", "fault"),
    [
        (
            {"fronts": ["f1", "f2"]},
            "groups: fronts has hosts (f1, f2) and backs has none; put those that run the "
            "applications into backs (a host may be in both), "
            "or give up both groups: every host then gets the whole stack",
        ),
        (
            {"fronts": [], "backs": ["b1"]},
            "groups: backs has hosts (b1) and fronts has none; put those that clients reach into "
            "fronts (a host may be in both), "
            "or give up both groups: every host then gets the whole stack",
        ),
    ],
)
def test_one_group_without_the_other(groups, fault):
    assert place("f1", groups, {}) == (Place("f1"), [fault])


def test_two_hosts_with_one_address():
    hosts = {
        "f1": {"link_address": "10.0.0.1"},
        "b1": {"link_address": "10.0.0.9"},
        "b2": {"ansible_host": "10.0.0.9"},
    }
    assert place("f1", {"fronts": ["f1"], "backs": ["b1", "b2"]}, hosts)[1] == [
        "link_address: the hosts b1 and b2 have the same, 10.0.0.9; give each an address of its own"
    ]


@pytest.mark.parametrize(
    ("front", "back", "fault"),
    [
        (
            {"back": "flup"},
            {},
            "back: of host f1 and of host b1 differ; fronts and backs need the same: set them for "
            "all of these hosts",
        ),
        (
            {"sites": [a_site(link="http")]},
            {"sites": [a_site()]},
            "sites: of host f1 and of host b1 differ; fronts and backs need the same, each with "
            "the same name, state, mount, back, link, transport: "
            "set them for all of these hosts",
        ),
        ({"sites": [a_site(environment={"HOST": "f1"})]}, {"sites": [a_site(processes=9)]}, None),
        ({"front": "apache"}, {"front": "nginx"}, None),
        ({"sites": "shop"}, {"sites": "shop"}, None),
    ],
)
def test_hosts_that_would_build_different_links(front, back, fault):
    faults = place(
        "f1", {"fronts": ["f1"], "backs": ["b1"]}, known(["f1", "b1"], f1=front, b1=back)
    )[1]
    assert faults == ([fault] if fault else [])


def test_servers_of_all_fronts():
    hosts = known(
        ["f1", "f2", "b1"], f1={"front": "apache"}, f2={"front": "nginx"}, b1={"front": "lighttpd"}
    )
    assert place("b1", {"fronts": ["f1", "f2"], "backs": ["b1"]}, hosts)[0].servers == (
        "apache",
        "nginx",
    )


# What the plan refuses.


@pytest.mark.parametrize(
    ("values", "where", "fault"),
    [
        (
            {"transport": "unix"},
            at("f1"),
            "transport: 'unix' is not possible: the groups fronts and backs put them on different "
            "hosts; use tcp",
        ),
        (
            {"sites": [a_site(transport="unix")]},
            at("b1", backs="b1"),
            "sites[shop].transport: 'unix' is not possible: the groups fronts and backs put them "
            "on different hosts; use tcp",
        ),
        (
            {"back": "mod_wsgi", "link": "embedded", "front": "apache"},
            at("f1", servers=("apache",)),
            "link: 'embedded' runs inside the front, so that every front has to be a back, too, "
            "and every back a front; b1, b2, f1 is in one of the "
            "groups fronts and backs alone; use: http",
        ),
        (
            {"sites": [a_site(back="mod_wsgi", link="embedded")]},
            at("b1", fronts="b1", servers=("apache",)),
            "sites[shop].link: 'embedded' runs inside the front, so that every front has to be a "
            "back, too, and every back a front; b2 is in one of the "
            "groups fronts and backs alone; use: http",
        ),
        (
            {"back": "mod_wsgi", "link": "embedded"},
            at("b1", fronts="b1 b2", servers=("apache", "nginx")),
            "link: 'embedded' does not join front apache, nginx and back mod_wsgi; they can "
            "use: http",
        ),
        (
            {},
            at("b1", servers=("nginx", "ngnix")),
            "front: 'ngnix' is unknown; possible: apache, nginx, lighttpd, cherokee; did you mean "
            "'nginx'?",
        ),
    ],
)
def test_refused(values, where, fault):
    assert faults_of(values, where) == [fault]


# What it tells each host.


@pytest.mark.parametrize(
    ("back", "servers", "expected"),
    [
        ("uwsgi", ("nginx",), "uwsgi"),
        ("flup", ("nginx",), "scgi"),
        ("flup", ("nginx", "apache"), "fastcgi"),
        ("mod_wsgi", ("apache",), "http"),
        ("mod_wsgi", ("nginx", "apache"), "http"),
    ],
)
@pytest.mark.parametrize("host", ["f1", "b1"])
def test_both_ends_choose_the_same_link(host, back, servers, expected):
    planned = plan(
        {"back": back, "front": servers[0], "sites": [a_site()]}, place=at(host, servers=servers)
    )
    (site,) = planned[f"front_{servers[0]}_sites" if host == "f1" else f"back_{back}_sites"]
    assert site["link"] == expected


def test_a_front_has_all_backs_and_each_back_itself():
    (before,) = plan({"sites": [a_site()]}, place=at("f1"))["front_nginx_sites"]
    assert [endpoint["host"] for endpoint in before["endpoints"]] == ["10.0.0.11", "10.0.0.12"]
    assert {endpoint["transport"] for endpoint in before["endpoints"]} == {"tcp"}
    for name, endpoint in zip(("b1", "b2"), before["endpoints"]):
        (behind,) = plan({"sites": [a_site()]}, place=at(name))["back_uwsgi_sites"]
        assert behind["endpoint"] == endpoint
        assert endpoint["port"] in PORTS
        assert behind["allowed"] == sorted(["10.0.0.1", ADDRESSES[name]])
        assert behind["runtime"]["PYWEB_ALLOWED"] == ",".join(behind["allowed"])
        assert behind["runtime"]["PYWEB_ENDPOINT"] == endpoint["address"]
        assert behind["target"]["endpoint"]["host"] == ADDRESSES[name]
        assert behind["target"]["stranger"] == "127.0.0.2"


def test_an_address_of_ipv6():
    where = Place("b1", {"f1": "fd00::1"}, {"b1": "fd00::b"}, ("nginx",))
    (site,) = plan({"sites": [a_site()]}, place=where)["back_uwsgi_sites"]
    port = site["endpoint"]["port"]
    assert site["endpoint"] == {
        "transport": "tcp",
        "host": "fd00::b",
        "port": port,
        "address": f"[fd00::b]:{port}",
    }
    assert site["target"]["stranger"] == "::1"


STATIC = [{"url": "/static/", "path": "static/"}]
SECRET = {"secrets": {"TOKEN": "x"}, "environment": {"A": "b"}}


@pytest.mark.parametrize(
    ("host", "front", "backs", "app", "path"),
    [
        ("f1", "nginx", [], ["shop"], "/srv/www/shop/releases/{}/static/"),
        ("b1", None, ["uwsgi"], ["blog", "shop"], None),
        ("f2", "nginx", ["uwsgi"], ["blog", "shop"], "/srv/www/shop/current/static/"),
        ("other", None, [], [], None),
    ],
)
def test_a_host_is_told_what_it_has_to_do_and_no_more(host, front, backs, app, path):
    where = Place(
        host,
        {"f1": "10.0.0.1", "f2": "10.0.0.2"},
        {"b1": "10.0.0.11", "f2": "10.0.0.2"},
        ("nginx",),
    )
    sites = [
        a_site(static=STATIC, **SECRET),
        a_site("blog", static=[{"url": "/m/", "path": "/srv/media"}], **SECRET),
    ]
    planned = plan({"sites": sites}, place=where)
    assert (planned["front"], planned["backs"]) == (front, backs)
    assert sorted(site["name"] for site in planned["app_sites"]) == app
    told = [(site["environment"], site["secrets"]) for site in planned.get("back_uwsgi_sites", [])]
    assert told == [({"A": "b"}, {"TOKEN": "x"})] * 2 * len(backs)
    assert "TOKEN" not in str([planned["app_sites"], planned.get("front_nginx_sites")])
    assert [name for name in planned if name.startswith("front_")] == (
        [f"front_{front}_sites"] if front else []
    )
    assert [port["port"] for port in planned["ports"]] == ([80] if front else [])
    assert len(planned["targets"]) == (2 if front else 0)
    assert "upstreams" in planned
    assert [back for back, target in planned["upstreams"]] == (["b1", "f2"] * 2 if front else [])
    if path:
        release = planned["app_sites"][0]["release"]["id"]
        assert planned["front_nginx_sites"][0]["static"][0]["path"] == path.format(release)
        assert planned["front_nginx_sites"][1]["static"][0]["path"] == "/srv/media"


def test_what_a_front_asks_a_back_says_what_to_do():
    back, target = plan({"sites": [a_site(mount="/shop")]}, place=at("f1", backs="b1"))[
        "upstreams"
    ][0]
    assert (back, target["name"], target["endpoint"]["host"], target["script_name"]) == (
        "b1",
        "shop on b1",
        "10.0.0.11",
        "/shop",
    )
    assert target["hint"] == (
        "check link_address of host b1 and of this host, 10.0.0.1, and that the firewall of b1 "
        f"lets this host connect to port {target['endpoint']['port']}"
    )


@pytest.mark.parametrize("host", ["b1", "b2"])
def test_embedded_where_every_host_is_both(host):
    values = {"front": "apache", "back": "mod_wsgi", "link": "embedded", "sites": [a_site()]}
    planned = plan(values, place=at(host, fronts="b1 b2", servers=("apache",)))
    (before,), (inside,) = planned["front_apache_sites"], planned["front_apache_embedded_sites"]
    assert (before["link"], before["endpoints"], inside["unit"]) == ("embedded", [], "apache2")
    assert (planned["back_mod_wsgi_sites"], planned["backs"]) == ([], ["mod_wsgi"]), (
        "the role of the back brings the packages"
    )
    assert planned["upstreams"] == []


def test_the_sample_names_the_fronts_to_its_backs():
    (behind,) = plan({}, place=at("b1", servers=("nginx", "apache")))["back_uwsgi_sites"]
    assert behind["environment"] == {"PYWEB_FRONT": "nginx, apache"}
