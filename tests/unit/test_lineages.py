# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates by ACME on a host: real pairs and records below a temporary root; certbot writes
what a test says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _layout
from ansible_collections.pyweb.stack.plugins.module_utils import _lineages as module
from ansible_collections.pyweb.stack.plugins.module_utils import _record as records
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import Pair, make

DAY = 86400
SERVER = "https://ca.test/dir"


class Certbot:
    """Does as certbot would, and remembers what it was told."""

    def __init__(self, root: Path) -> None:
        self.root, self.told = root, []
        self.refuses = ""
        self.names = ["shop.test"]

    def __call__(self, argv):
        self.told.append(argv[len(module.CERTBOT) :])
        verb, lineage = self.told[-1][0], "pyweb-shop"
        account = self.root / "accounts" / "ca.test" / "dir" / "me"
        if verb == "unregister":
            return 1, "An unexpected error occurred:\nno route"
        account.mkdir(parents=True, exist_ok=True)
        (account / "regr.json").write_text("{}")
        if self.refuses:
            return 1, self.refuses
        conf, live = self.root / "renewal" / f"{lineage}.conf", self.root / "live" / lineage
        if verb == "delete":
            conf.unlink()
            return 0, ""
        for folder in (conf.parent, live):
            folder.mkdir(parents=True, exist_ok=True)
        conf.write_text("# renew_before_expiry = 30 days\n[renewalparams]\naccount = me\n")
        chain, key = make("shop", self.names)
        (live / "fullchain.pem").write_bytes(chain)
        (live / "privkey.pem").write_bytes(key)
        return 0, "Successfully received certificate."


@pytest.fixture(name="certbot")
def a_certbot(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    # A process takes it once, and lets go at its end.
    monkeypatch.setattr(module, "lock", lambda: None)
    monkeypatch.setattr(_layout, "CERTBOT_ROOT", str(tmp_path / "certbot"))
    certbot = Certbot(tmp_path / "certbot")
    monkeypatch.setattr(module, "_certbot", certbot)
    (tmp_path / "shop.ini").write_text("domains = shop.test\n")
    return certbot


@pytest.fixture(name="item")
def an_item(tmp_path):
    return {
        "name": "shop",
        "lineage": "pyweb-shop",
        "names": ["shop.test"],
        "configuration": str(tmp_path / "shop.ini"),
        "certificate": str(tmp_path / "fullchain.pem"),
        "key": str(tmp_path / "key.pem"),
        "server": SERVER,
    }


def obtained(item):
    known, words = module.obtain(item)
    module.settle([item], {item["lineage"]: known})
    return words


def test_a_first_certificate_is_missing_then_pending_then_there(certbot, item):
    assert module.look([item]) == {
        "missing": [item["certificate"]],
        "pending": [item["certificate"]],
        "due": {"shop": "it has none yet"},
    }
    chain, key = make("shop", ["shop.test"])
    Path(item["certificate"]).write_bytes(chain)
    Path(item["key"]).write_bytes(key)
    assert module.look([item])["missing"] == []
    assert obtained(item) is None
    assert module.look([item]) == {"missing": [], "pending": [], "due": {}}
    told = ["certonly", "--no-directory-hooks", "--config", item["configuration"]]
    assert certbot.told == [told]
    conf = Path(_layout.CERTBOT_ROOT, "renewal", "pyweb-shop.conf").read_text()
    # A third of 397 days.
    assert conf.splitlines()[0] == "renew_before_expiry = 3176 hours"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda item: Path(item["configuration"]).write_text("domains = a.test\n"),
            "what certbot is told of it has changed",
        ),
        (
            lambda item: item["names"].append("b.test"),
            "it is not for b.test, but for shop.test",
        ),
        (
            lambda item: Path(_layout.live("pyweb-shop"), "privkey.pem").write_bytes(
                make("x", ["x.test"])[1]
            ),
            "the key is that of another certificate",
        ),
    ],
)
def test_another_certificate_is_due(certbot, item, change, why):
    obtained(item)
    change(item)
    assert module.look([item])["due"] == {"shop": why}
    module.obtain(item)
    assert certbot.told[-1][-1] == "--force-renewal"


def test_what_should_have_been_renewed_long_ago_is_due(certbot, item):
    obtained(item)
    record = records.Record(module.SET)
    begin = os.stat(_layout.live("pyweb-shop")).st_mtime
    pairs = [{"site": "shop", "lineage": _layout.live("pyweb-shop")}]
    # Of 397 days the last third is for renewals.
    for day, words in ((300, None), (340, "it ends in 57 days"), (396.5, "it ends in 12 hours")):
        now = begin + day * DAY
        why = module.why_due(item, record, now)
        assert (why or "").startswith(words or "") and bool(why) is bool(words)
        assert module.late(pairs, now) == ([f"The certificate of shop: {why}"] if why else [])
    assert module.late([{"site": "shop"}]) == []


@pytest.mark.parametrize(("days", "window"), [(90, 30), (45, 15), (12, 4), (6, 3)])
def test_when_a_certificate_is_renewed(days, window):
    pair = Pair(("shop.test",), 0, days * DAY, False)
    assert pair.renewed_at() == window * DAY
    end = days * DAY
    assert [pair.overdue(end - left * DAY) for left in (window, window * 0.51, window * 0.49)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("words", "essence"),
    [
        (
            "Saving debug log to x\nRequesting a certificate for shop.test\n\n"
            "Certbot failed to authenticate some domains (authenticator: webroot). The Certificate "
            "Authority reported these problems:\n  Domain: shop.test\n  Type:   connection\n"
            "  Detail: refused\n\nHint: do\n\nSome challenges have failed.\nAsk for help",
            "shop.test: refused (connection)",
        ),
        (
            "Saving debug log to x\nAn unexpected error occurred:\nNo route to CA\n",
            "No route to CA",
        ),
        ("", "certbot says nothing; see /var/log/letsencrypt/letsencrypt.log"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_ca(certbot, item, words, essence):
    certbot.refuses = words or "\n"
    assert obtained(item) == essence
    assert module.look([item])["due"] == {"shop": "it has none yet"}


def test_a_site_that_goes_takes_its_certificate_and_the_account_along(certbot, item):
    obtained(item)
    account = certbot.root / "accounts" / "ca.test" / "dir" / "me"
    known = records.Record(module.SET).items["lineages"]["pyweb-shop"]
    assert known["account"] == str(account)
    assert module.settle([], {}) is True
    assert records.Record(module.SET).leaving("lineages") == ["pyweb-shop"]
    assert module.end("pyweb-shop", known) is None
    assert [told[0] for told in certbot.told] == ["certonly", "delete", "unregister"]
    # Also where the CA is away.
    assert sorted(os.listdir(certbot.root)) == ["live", "renewal"]


def test_an_account_that_somebody_else_has_stays(certbot, item):
    somebody = certbot.root / "accounts" / "ca.test" / "dir" / "me"
    somebody.mkdir(parents=True)
    (somebody / "regr.json").write_text("{}")
    obtained(item)
    known = records.Record(module.SET).items["lineages"]["pyweb-shop"]
    assert "account" not in known
    assert module.end("pyweb-shop", known) is None
    assert somebody.is_dir()


def test_an_account_that_another_certificate_uses_stays(certbot, item):
    obtained(item)
    (certbot.root / "renewal" / "mine.conf").write_text("account = me\n")
    known = records.Record(module.SET).items["lineages"]["pyweb-shop"]
    assert module.end("pyweb-shop", known) is None
    assert (certbot.root / "accounts" / "ca.test" / "dir" / "me").is_dir()


def test_the_account_of_a_certificate_that_never_came_goes_too(certbot, item):
    certbot.refuses = "no"
    obtained(item)
    known = records.Record(module.SET).items["lineages"]["pyweb-shop"]
    assert module.end("pyweb-shop", known) is None
    assert [told[0] for told in certbot.told] == ["certonly", "unregister"]
    assert not (certbot.root / "accounts").exists()


def test_without_certbot_a_certificate_stays_and_the_run_says_so(certbot, item, monkeypatch):
    obtained(item)

    def gone(argv):
        raise FileNotFoundError(argv[0])

    monkeypatch.setattr(module, "_certbot", gone)
    assert module.end("pyweb-shop", {}) == (
        "The certificates pyweb-shop stay: certbot is not installed; install it, and run again"
    )


def test_a_pair_that_no_client_takes_leaves_the_time_of_renewal(certbot, item):
    obtained(item)
    conf = certbot.root / "renewal" / "pyweb-shop.conf"
    before = conf.read_text()
    (certbot.root / "live" / "pyweb-shop" / "privkey.pem").write_bytes(make("x", ["x.test"])[1])
    module.keep_window("pyweb-shop")
    assert conf.read_text() == before


def test_certbot_trusts_debians_cas_and_those_of_sites(tmp_path, monkeypatch):
    monkeypatch.setattr(_layout, "ACME_ROOT", str(tmp_path))
    monkeypatch.setattr(_layout, "CA_BUNDLE", str(tmp_path / "bundle"))
    monkeypatch.setattr(module, "SYSTEM_BUNDLE", str(tmp_path / "system"))
    (tmp_path / "system").write_text("debian")
    (tmp_path / "shop.pem").write_text("shop")
    module.trust()
    assert (tmp_path / "bundle").read_text() == "debian\nshop"
