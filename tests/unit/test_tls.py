# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTPS in the plan and in the files of each front: what is refused, and what a site is given."""

from __future__ import annotations

import re

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from ansible_collections.pyweb.stack.plugins.module_utils._tls import HSTS
from grammars import tokens_of
from rendering import files
from traits import TRAITS

SITE = {
    "name": "shop",
    "application": "shop:app",
    "source": {"package": "shop"},
    "server_names": ["shop.test"],
}
GIVEN = {"certificate": "shop.pem", "key": "shop.key"}
OWN = {"self_signed": True}
ABLE = [front for front, row in FRONTS.items() if row.tls]


def a_site(tls, **values):
    return {**SITE, "tls": tls, **values}


def faults_of(*sites, **values):
    with pytest.raises(PlanError) as caught:
        plan({"sites": list(sites), **values})
    return caught.value.faults


def of_site(tls, **values):
    (site,) = plan({"sites": [a_site(tls, **values)]})["front_nginx_sites"]
    return site["tls"]


@pytest.mark.parametrize(
    ("tls", "fault"),
    [
        (
            "shop.pem",
            "sites[shop].tls: expected a mapping; write tls: {acme: true}, tls: {certificate: ..., key: "
            "...} or tls: {self_signed: true}",
        ),
        (
            {},
            "sites[shop].tls: nothing says where the certificate comes from; write acme: true, "
            "name a certificate and its key, or write self_signed: true",
        ),
        (
            {"hsts": 60},
            "sites[shop].tls: nothing says where the certificate comes from, and hsts without TLS "
            "would lock browsers out; "
            "write acme: true, name a certificate and its key, or write self_signed: true",
        ),
        ({"certificate": "shop.pem"}, "sites[shop].tls.key: missing: the key of the certificate"),
        ({"key": "shop.key"}, "sites[shop].tls.certificate: missing: the certificate of the key"),
        (
            {**GIVEN, **OWN},
            "sites[shop].tls: certificate and self_signed exclude each other; leave one of them",
        ),
        (
            {**OWN, "self_signed": "yes"},
            "sites[shop].tls.self_signed: expected true or false, got 'yes'",
        ),
        (
            {**GIVEN, "redirct": False},
            "sites[shop].tls.redirct: unknown key; did you mean 'redirect'?; possible: ",
        ),
        (
            {**GIVEN, "profile": "modern"},
            "sites[shop].tls.profile: a host has one profile for all of its sites; set "
            "tls_profile, a variable of the host",
        ),
        (
            {**OWN, "hsts": 60},
            "sites[shop].tls.hsts: it forbids browsers to pass a certificate that they do not "
            "trust; leave it out with self_signed",
        ),
        (
            {**GIVEN, "hsts": 60, "redirect": False},
            "sites[shop].tls.hsts: it forbids browsers plain HTTP, which redirect: false keeps; "
            "leave one of the two out",
        ),
    ],
)
def test_refused(tls, fault):
    (line,) = faults_of(a_site(tls))
    assert line.startswith(fault)


def test_no_client_names_an_address_in_tls():
    assert faults_of(a_site(OWN, server_names=["192.0.2.1"])) == [
        "sites[shop].server_names: '192.0.2.1' is an address, and no client names one in TLS; "
        "write a host name"
    ]


@pytest.mark.parametrize("profile", ["old", "modren"])
def test_an_unknown_profile_is_refused(profile):
    (line,) = faults_of(a_site(OWN), tls_profile=profile)
    assert line.startswith(f"tls_profile: {profile!r} is unknown; possible: intermediate, modern")


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (None, ["shop.test"]),
        ({"self_signed": True}, ["shop.test"]),
        ({**GIVEN, "redirect": False}, ["x.test", "shop.test"]),
    ],
)
def test_sites_of_one_server_name_have_the_same_tls(other, names):
    blog = a_site(other, name="blog", mount="/blog", server_names=names)
    assert faults_of(a_site(GIVEN), blog) == [
        "sites[blog].tls: not that of site 'shop', with which it shares 'shop.test'; give both the "
        "same, or other server names"
    ]


def test_a_front_without_https_refuses_it():
    for front in sorted(set(FRONTS) - set(ABLE)):
        (line,) = faults_of(a_site(OWN), front=front)
        assert (
            line
            == f"sites[shop].tls: front {front} does not serve HTTPS yet; leave the key out, or "
            "choose another front"
        )


def test_a_given_certificate_is_trusted_and_pinned():
    assert of_site(GIVEN) == {
        "certificate": "/etc/pyweb/shop/tls/fullchain.pem",
        "key": "/etc/pyweb/shop/tls/key.pem",
        "names": ["shop.test"],
        "self_signed": False,
        "lineage": None,
        "chain": "shop.pem",
        "private_key": "shop.key",
        "trusted": True,
        "redirect": True,
        "hsts": HSTS,
    }


@pytest.mark.parametrize(
    ("tls", "read", "expected"),
    [
        (GIVEN, None, HSTS),
        ({**GIVEN, "hsts": 300}, None, 300),
        ({**GIVEN, "hsts": 0}, None, 0),
        ({**GIVEN, "redirect": False}, None, 0),
        # One that signed itself, and that nobody says so of.
        (GIVEN, {"chain": "c", "private_key": "k", "trusted": False}, 0),
        (OWN, None, 0),
    ],
)
def test_hsts_comes_with_a_trusted_certificate_alone(tls, read, expected):
    planned = plan({"sites": [a_site(tls)]}, certificates={"shop": read} if read else None)
    assert planned["front_nginx_sites"][0]["tls"]["hsts"] == expected


def test_without_tls_nothing_changes():
    planned = plan({"sites": [a_site(None)]})
    assert planned["front_nginx_sites"][0]["tls"] is None
    assert "tls" not in planned
    assert [port["port"] for port in planned["ports"]] == [80]


def test_a_site_is_probed_as_clients_reach_it():
    planned = plan(
        {"sites": [a_site(GIVEN), {**SITE, "name": "blog", "server_names": ["blog.test"]}]}
    )
    assert [port["port"] for port in planned["ports"]] == [80, 443]
    found = {
        target["name"]: (target["endpoint"]["port"], target.get("certificate"))
        for target in planned["targets"]
    }
    assert found == {"shop": (443, "/etc/pyweb/shop/tls/fullchain.pem"), "blog": (80, None)}


@pytest.mark.parametrize(
    ("profile", "debian", "protocols", "groups"),
    [
        (
            "intermediate",
            13,
            ["TLSv1.2", "TLSv1.3"],
            ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"],
        ),
        ("modern", 13, ["TLSv1.3"], ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"]),
        # A server whose OpenSSL does not know a group refuses to start.
        ("modern", 12, ["TLSv1.3"], ["X25519", "prime256v1", "secp384r1"]),
        ("intermediate", None, ["TLSv1.2", "TLSv1.3"], ["X25519", "prime256v1", "secp384r1"]),
    ],
)
def test_profiles(profile, debian, protocols, groups):
    found = plan({"sites": [a_site(OWN)], "tls_profile": profile}, debian=debian)["tls"]
    assert (found["protocols"], found["groups"]) == (protocols, groups)
    assert bool(found["ciphers"]) == (profile == "intermediate")
    assert found["http2_directive"] == (debian == 13)


# What each front is told.

SITES = [
    a_site(GIVEN, server_names=["shop.test", "*.shop.test"]),
    {**SITE, "name": "plain", "server_names": ["plain.test"]},
    a_site({**OWN, "redirect": False}, name="both", server_names=["both.test"]),
]


def written(front, sites=None, debian=13, **values):
    found = files(
        plan({"front": front, "sites": SITES if sites is None else sites, **values}, debian=debian)
    )
    for path, text in found.items():
        if front in path:
            tokens_of(path, text)
    return found


def blocks(front, text):
    """The virtual hosts of a file, one text each."""
    return re.findall(TRAITS[front].block, text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("front", ABLE)
def test_a_key_is_in_no_configuration(front):
    sites = [
        a_site(
            {"certificate": "-----BEGIN CERTIFICATE-----c", "key": "-----BEGIN PRIVATE KEY-----k"}
        )
    ]
    assert "PRIVATE" not in "".join(written(front, sites).values())


@pytest.mark.parametrize("front", ABLE)
def test_plain_http_leads_to_https_unless_it_is_kept(front):
    text = written(front)[TRAITS[front].vhosts]
    found = blocks(front, text)
    redirected = [block for block in found if "https://" in block]
    # One for exact names, one for the wildcard.
    assert len(redirected) == 2
    assert all(
        "308" in block and "both.test" not in block.replace("\\", "") for block in redirected
    )
    assert not any("plain.test" in block.replace("\\", "") for block in redirected)


@pytest.mark.parametrize("front", ABLE)
def test_hsts_is_sent_over_tls_alone(front):
    for block in blocks(front, written(front)[TRAITS[front].vhosts]):
        if "Strict-Transport-Security" not in block:
            continue
        assert "shop" in block
        assert TRAITS[front].secure in block.partition("Strict-Transport-Security")[0]
        assert "listen 80" not in block


@pytest.mark.parametrize("front", ABLE)
def test_a_name_without_tls_gets_none(front):
    text = written(front)[TRAITS[front].vhosts]
    if front == "nginx":
        (refusing,) = [
            block for block in blocks(front, text) if "ssl_reject_handshake on;" in block
        ]
        assert "listen 443 ssl default_server;" in refusing
        # For a request over the connection to another name.
        assert "return 421;" in refusing
        assert text.count("ssl_reject_handshake") == 1
    elif front == "apache":
        first = next(block for block in blocks(front, text) if "*:443" in block)
        assert 'Redirect 421 "/"' in first
    else:
        (plain,) = [block for block in blocks(front, text) if "plain" in block]
        for address in ("0.0.0.0:443", "[::]:443"):
            (refused,) = re.findall(rf'"{re.escape(address)}" \{{[^}}]*', plain)
            assert "421" in refused


@pytest.mark.parametrize("front", ABLE)
def test_a_catch_all_with_tls_takes_every_name(front):
    text = written(front, [a_site(OWN, server_names=[])])[TRAITS[front].vhosts]
    assert "421" not in text
    assert "ssl_reject_handshake" not in text


@pytest.mark.parametrize("front", ABLE)
def test_without_tls_no_port_is_opened(front):
    text = "".join(text for path, text in written(front, [a_site(None)]).items() if front in path)
    assert "443" not in text
    assert not re.search(r"\bssl[._]|openssl|SSL|http2|rewrite", text)


@pytest.mark.parametrize(
    ("debian", "listen", "directive"),
    [(12, "listen 443 ssl http2;", False), (13, "listen 443 ssl;", True)],
)
def test_nginx_of_each_release_is_told_of_http2_in_its_own_way(debian, listen, directive):
    text = written("nginx", debian=debian)[TRAITS["nginx"].vhosts]
    assert listen in text
    assert ("http2 on;" in text) is directive


@pytest.mark.parametrize("front", ABLE)
def test_a_redirect_leads_to_the_port_of_https(front):
    row = TRAITS[front]
    planned = plan({"front": front, "sites": SITES})
    text = files(planned, **{f"front_{front}_listen_tls": [row.listen_tls]})[row.vhosts]
    assert row.redirect in text
