# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates by ACME in the plan, and in the files that roles write from it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.pyweb.stack.plugins.filter.carried import carried
from ansible_collections.pyweb.stack.plugins.module_utils._acme import SERVERS, interim
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from ansible_collections.pyweb.stack.plugins.module_utils._tls import HSTS
from rendering import files
from test_rooms import PLUGINS, reached

ABLE = [front for front, row in FRONTS.items() if row.tls]
DNS = {"plugin": "cloudflare", "credentials": {"api_token": "hush"}}
AWS = {
    "plugin": "route53",
    "credentials": {"aws_access_key_id": "me", "aws_secret_access_key": "hush"},
}
PRIVATE = {"server": "https://ca.test/dir"}


def a_site(acme, name="shop", **values):
    return {
        "name": name,
        "application": "shop:app",
        "source": {"package": "shop"},
        "server_names": [f"{name}.test"],
        "tls": {"acme": acme},
        **values,
    }


def faults_of(*sites, **more):
    with pytest.raises(PlanError) as caught:
        plan({"sites": list(sites)}, **more)
    return caught.value.faults


@pytest.mark.parametrize(
    ("acme", "fault"),
    [
        ("yes", ": expected true or a mapping, got a string ('yes'); write acme: true for"),
        ({"sever": "x"}, ".sever: unknown key; did you mean 'server'?"),
        ({"server": "http://ca.test"}, ".server: 'http://ca.test' is not the https URL of an ACME"),
        ({"server": "letsencrpt"}, ".server: 'letsencrpt' is not the https URL of an ACME"),
        ({"email": "me"}, ".email: 'me' is not an address such as ops@example.org"),
        ({"key_type": "dsa"}, ".key_type: 'dsa' is unknown; possible: ecdsa, rsa"),
        ({"challenge": "dns"}, ".dns: missing: with challenge dns, plugin and credentials"),
        ({"dns": DNS}, ".dns: it is for challenge dns; write that, too, or leave it out"),
        (
            {"challenge": "dns", "dns": {"plugin": "cloudfare", "credentials": {"a": "b"}}},
            ".dns: plugin: 'cloudfare' is unknown; possible: rfc2136, cloudflare, route53, google, "
            "desec; did you mean 'cloudflare'?",
        ),
        (
            {"challenge": "dns", "dns": {**AWS, "credentials": {"aws_access_key_id": "me"}}},
            ".dns: credentials: route53 needs aws_secret_access_key, too",
        ),
        (
            {"challenge": "dns", "dns": {**DNS, "credentials": {"api_token": "a\nb"}}},
            ".dns: credentials: the value of 'api_token' has a quotation mark or a line break",
        ),
        (
            {"eab": {"kid": "me\nserver = x", "hmac_key": "x"}},
            ".eab: the value of 'kid' has a quotation mark or a line break",
        ),
        ({"eab": {"kid": "me"}}, ".eab: missing: hmac_key"),
        ({"eab": {"kid": "me", "hmac_key": ""}}, ".eab: the value of 'hmac_key' is a string"),
        ({"preferred_chain": "a\nb"}, ".preferred_chain: 'a\\nb' is not a name in one line"),
    ],
)
def test_refused(acme, fault):
    (line,) = faults_of(a_site(acme))
    assert line.startswith(f"sites[shop].tls.acme{fault}")


def test_a_host_says_what_its_sites_do_not():
    defaults = {"server": "https://ca.test/dir", "challenge": "dns", "dns": DNS}
    sites = [
        a_site(True),
        a_site({"server": "google"}, "blog"),
        a_site({"challenge": "http"}, "wiki"),
    ]
    shop, blog, wiki = plan({"sites": sites, "acme": defaults})["acme_sites"]
    assert (shop["server"], shop["dns"]["plugin"]) == ("https://ca.test/dir", "cloudflare")
    assert (blog["server"], blog["dns"]["plugin"]) == (SERVERS["google"].url, "cloudflare")
    assert (wiki["server"], wiki["dns"]) == ("https://ca.test/dir", None)


@pytest.mark.parametrize(
    ("acme", "fault"),
    [
        ("letsencrypt", "acme: expected a mapping, got a string ('letsencrypt'); write acme: {"),
        ({"mail": "a@b.test"}, "acme.mail: unknown key; did you mean 'email'?"),
    ],
)
def test_what_a_host_says_wrongly_is_told_once(acme, fault):
    with pytest.raises(PlanError) as caught:
        plan({"sites": [a_site({}), a_site({}, "blog")], "acme": acme})
    (line,) = caught.value.faults
    assert line.startswith(fault)


def test_no_fault_shows_a_credential():
    credentials = {"server": ["hush"], "name": "n", "secret": "hush"}
    acme = {"challenge": "dns", "dns": {"plugin": "rfc2136", "credentials": credentials}}
    assert "hush" not in "".join(faults_of(a_site(acme)))


def test_a_site_needs_names_and_a_wildcard_needs_dns():
    assert faults_of(a_site({}, server_names=[])) == [
        "sites[shop].tls.acme: the site has no name that a CA could issue a certificate for; give "
        "it server_names"
    ]
    (line,) = faults_of(a_site({}, server_names=["*.shop.test"]))
    assert line.startswith("sites[shop].tls.acme.challenge: *.shop.test can be proved by DNS alone")
    plan({"sites": [a_site({"challenge": "dns", "dns": DNS}, server_names=["*.shop.test"])]})


@pytest.mark.parametrize(
    ("acme", "key"),
    [
        ({"profile": "shortlived"}, "profile"),
        (
            {"challenge": "dns", "dns": {"plugin": "desec", "credentials": {"token": "x"}}},
            "dns.plugin",
        ),
    ],
)
def test_what_debian_12_lacks_is_refused_there(acme, key):
    assert faults_of(a_site(acme), debian=12) == [
        f"sites[shop].tls.acme.{key}: certbot has it since Debian 13, and the host has Debian 12; "
        "leave it out"
    ]
    for debian in (13, None):
        plan({"sites": [a_site(acme)]}, debian=debian)


def test_a_host_has_one_account_at_each_ca():
    (line,) = faults_of(a_site({"email": "a@b.test"}), a_site({"email": "c@b.test"}, "blog"))
    assert line.startswith("sites[blog].tls.acme.email: not that of site 'shop', and a host has")
    plan({"sites": [a_site({"email": "a@b.test"}), a_site({**PRIVATE}, "blog")]})
    other = {**AWS, "credentials": {**AWS["credentials"], "aws_access_key_id": "you"}}
    sites = [
        a_site({"challenge": "dns", "dns": AWS}),
        a_site({"challenge": "dns", "dns": other}, "blog"),
    ]
    (line,) = faults_of(*sites)
    assert line.startswith("sites[blog].tls.acme.dns.credentials: not those of site 'shop'")


def test_browsers_are_told_to_stay_where_they_are_known_to_trust_the_ca():
    for acme, tls, expected in (
        ({}, {}, HSTS),
        ({"server": "google"}, {}, HSTS),
        ({"server": "letsencrypt_staging"}, {}, 0),
        (PRIVATE, {}, 0),
        (PRIVATE, {"hsts": 60}, 60),
        ({}, {"hsts": 0}, 0),
    ):
        planned = plan({"sites": [a_site(acme, tls={"acme": acme, **tls})]})
        assert planned["front_nginx_sites"][0]["tls"]["hsts"] == expected


def test_what_certbot_is_told():
    acme = {
        "email": "me@shop.test",
        "key_type": "rsa",
        "profile": "shortlived",
        "preferred_chain": "Root X",
        "eab": {"kid": "me", "hmac_key": "hush"},
    }
    written = files(plan({"sites": [a_site(acme, server_names=["a.test", "b.test"])]}))
    lines = written["/etc/pyweb/.acme/shop.ini"].splitlines()
    assert lines[3:] == [
        "cert-name = pyweb-shop",
        "domains = a.test,b.test",
        f"server = {SERVERS['letsencrypt'].url}",
        "agree-tos = true",
        "email = me@shop.test",
        "no-eff-email = true",
        "key-type = rsa",
        "rsa-key-size = 2048",
        "preferred-profile = shortlived",
        "preferred-chain = Root X",
        "eab-kid = me",
        "eab-hmac-key = hush",
        "authenticator = webroot",
        "webroot-path = /var/lib/pyweb/.acme",
    ]
    assert "REQUESTS_CA_BUNDLE" not in written["/etc/pyweb/.acme/certbot.environment"]


def test_what_proves_names_by_dns():
    google = {"client_email": "me@shop.test", "private_key": "hush\n"}
    written = files(
        plan(
            {
                "sites": [
                    a_site({"challenge": "dns", "dns": {**DNS, "propagation": 5}}),
                    a_site({"challenge": "dns", "dns": AWS}, "blog"),
                    a_site(
                        {"challenge": "dns", "dns": {"plugin": "google", "credentials": google}},
                        "wiki",
                    ),
                ]
            }
        )
    )
    root = "/etc/pyweb/.acme"
    assert written[f"{root}/shop.ini"].splitlines()[-3:] == [
        "authenticator = dns-cloudflare",
        f"dns-cloudflare-credentials = {root}/shop.credentials",
        "dns-cloudflare-propagation-seconds = 5",
    ]
    assert written[f"{root}/shop.credentials"].strip() == 'dns_cloudflare_api_token = "hush"'
    assert written[f"{root}/blog.ini"].splitlines()[-1] == "authenticator = dns-route53"
    assert written[f"{root}/blog.credentials"].splitlines()[0] == "[default]"
    assert (
        f"AWS_SHARED_CREDENTIALS_FILE={root}/blog.credentials"
        in written[f"{root}/certbot.environment"]
    )
    assert json.loads(written[f"{root}/wiki.credentials"]) == {"type": "service_account", **google}


def test_a_private_ca_is_trusted_at_renewals_too():
    planned = plan({"sites": [a_site(PRIVATE)]}, certificates={"shop": {"authority": "PEM"}})
    written = files(planned)
    assert written["/etc/pyweb/.acme/shop.pem"].strip() == "PEM"
    assert (
        "REQUESTS_CA_BUNDLE=/run/pyweb-acme.pem" in written["/etc/pyweb/.acme/certbot.environment"]
    )
    unit = written["/etc/systemd/system/certbot.service.d/50-pyweb.conf"]
    assert "ExecStartPre=/usr/local/lib/pyweb/certificates trust" in unit


def test_sites_whose_names_another_has_too_share_its_certificate():
    shop = a_site({}, server_names=["a.test", "b.test"])
    blog = a_site({}, "blog", mount="/blog", server_names=["a.test"])
    planned = plan({"sites": [blog, shop]})
    assert [site["name"] for site in planned["acme_sites"]] == ["shop"]
    for site in planned["front_nginx_sites"]:
        assert site["tls"]["certificate"] == "/etc/pyweb/shop/tls/fullchain.pem"
        assert site["tls"]["lineage"] == "/etc/letsencrypt/live/pyweb-shop"
        assert site["tls"]["names"] == ["a.test", "b.test"]


def test_who_has_no_certificate_yet_has_plain_http():
    values = {"front_nginx_listen": ["8080"], "front_nginx_listen_tls": ["8443"]}
    planned = plan(
        {"sites": [a_site({}), a_site({}, "blog"), a_site({}, "wiki")]}, variables=values
    )
    paths = {name: f"/etc/pyweb/{name}/tls/fullchain.pem" for name in ("shop", "blog")}
    looked = {"missing": [paths["shop"]], "pending": list(paths.values())}
    found = interim(planned, looked)
    tls = {site["name"]: site["tls"] for site in found["front_nginx_sites"]}
    assert tls["shop"] is None
    # It has one of another kind, which browsers need not trust.
    assert tls["blog"]["hsts"] == 0 and tls["wiki"]["hsts"] == HSTS
    asked = {
        target["site"]: (target["scheme"], target["endpoint"]["port"], target["certificate"])
        for target in found["targets"]
    }
    assert asked["shop"] == ("http", 8080, None)
    assert asked["blog"] == ("https", 8443, paths["blog"])
    assert interim(planned, {}) is planned
    assert planned["front_nginx_sites"][0]["tls"] is not None


@pytest.mark.parametrize("front", ABLE)
@pytest.mark.parametrize("missing", [True, False])
def test_challenges_are_answered_before_anything_else(front, missing):
    planned = plan({"front": front, "sites": [a_site({}), a_site(None, "other", tls=None)]})
    path = "/etc/pyweb/shop/tls/fullchain.pem"
    if missing:
        planned = interim(planned, {"missing": [path], "pending": [path]})
    text = "".join(files(planned).values())
    assert text.count("RFC 8555, section 8.3") == 1
    assert ("308" in text) is not missing


def test_a_challenge_by_dns_needs_nothing_of_the_front():
    planned = plan({"sites": [a_site({"challenge": "dns", "dns": DNS})]})
    assert "acme-challenge" not in "".join(files(planned).values())


def test_what_a_host_renews_by_is_whole_and_holds_no_plan():
    found = {file["path"].rpartition("/")[2].removesuffix(".py") for file in carried("_renewal")}
    path = PLUGINS / "module_utils" / "_renewal.py"
    assert found == reached(path) | {"_renewal"}
    assert not found & {"_plan", "_acme", "_tls", "_site"}
