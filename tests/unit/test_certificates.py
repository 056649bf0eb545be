# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates: what the controller refuses, what a host would make of a pair, and pairs that sign
themselves.
"""

from __future__ import annotations

import datetime
import functools
import os
import re
import shutil
import socket
import ssl
import threading

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.pyweb.stack.plugins.action.apply import _pairs
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import (
    PairError,
    certificate_files,
    covers,
    kept_or_made,
    refused_pairs,
    same_certificate,
    try_pair,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._probing import Endpoint, Target, ask
from ansible_collections.pyweb.stack.plugins.modules.apply import ARGUMENTS
from ansible_collections.pyweb.stack.plugins.plugin_utils._certificates import (
    CertificateFault,
    examine,
    read,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@functools.cache
def key(name="own", kind="P-256"):
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[4:]))
    curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    return (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "Ed25519"
        else ec.generate_private_key(curve[kind]())
    )


def issue(subject, own, issuer=None, by=None, names=(), ca=False, days=(-1, 90)):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    begin, end = (NOW + datetime.timedelta(days=day) for day in days)
    builder = x509.CertificateBuilder(
        issuer.subject if issuer else name,
        name,
        own.public_key(),
        x509.random_serial_number(),
        begin,
        end,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
    signer = by or own
    return builder.sign(
        signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    )


def pem(*certificates):
    return "".join(
        certificate.public_bytes(serialization.Encoding.PEM).decode()
        for certificate in certificates
    )


def secret(own, passphrase=None):
    way = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, way
    ).decode()


ROOT = issue("Root", key("root"), ca=True, days=(-9, 900))
MIDDLE = issue("Middle", key("middle"), ROOT, key("root"), ca=True, days=(-5, 500))
NAMES = ("shop.test", "*.shop.test")


def leaf(own=None, **values):
    return issue("shop.test", own or key(), MIDDLE, key("middle"), **{"names": NAMES, **values})


LEAF = leaf()
TRUSTED = [ROOT.public_bytes(serialization.Encoding.DER)]


def test_a_good_pair_is_taken():
    found = examine(
        pem(LEAF, MIDDLE), secret(key()), ["shop.test", "*.shop.test", "x.shop.test"], TRUSTED
    )
    assert found == {
        "chain": pem(LEAF, MIDDLE).strip(),
        "private_key": secret(key()).strip(),
        "trusted": True,
    }


def test_a_root_of_its_own_vouches_and_is_not_served():
    found = examine(pem(LEAF, MIDDLE, ROOT), secret(key()), ["shop.test"], [b"another"])
    assert found["chain"] == pem(LEAF, MIDDLE).strip()
    assert found["trusted"]


def test_one_that_signed_itself_is_not_trusted():
    own = issue("shop.test", key(), names=NAMES)
    assert examine(pem(own), secret(key()), ["shop.test"], TRUSTED)["trusted"] is False


@pytest.mark.parametrize("kind", ["RSA-2048", "P-256", "P-384"])
def test_keys_that_all_browsers_take(kind):
    own = key(kind, kind)
    examine(pem(leaf(own), MIDDLE), secret(own), ["shop.test"], TRUSTED)


@pytest.mark.parametrize(
    ("chain", "private", "names", "where", "words"),
    [
        ("", secret(key()), [], "certificate", "it holds no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
         "CERTIFICATE-----", secret(key()), [], "certificate", "one of its certificates "
                                                               "is damaged"),
        (pem(LEAF), "", [], "key", "expected exactly one private key in PEM, found 0"),
        (pem(LEAF), secret(key()) * 2, [], "key", "expected exactly one private key in "
                                                  "PEM, found 2"),
        (pem(LEAF), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE "
                    "KEY-----", [], "key", "it is damaged"),
        (pem(LEAF, MIDDLE), secret(key(), b"word"), [], "key", "it is encrypted, and no server "
                                                               "could start by itself; take the "
                                                               "passphrase off"),
        (pem(LEAF, MIDDLE), secret(key("other")), [], "key", "it is not the key of the certificate "
                                                             "(CN=shop.test)"),
        (pem(MIDDLE, LEAF), secret(key()), [], "certificate", "wrong order: the site's own "
                                                              "certificate (CN=shop.test) has to "
                                                              "be the first"),
        (pem(LEAF, ROOT, MIDDLE), secret(key()), [], "certificate", "wrong order: CN=Middle has to "
                                                                    "come right after "
                                                                    "CN=shop.test"),
        (pem(LEAF), secret(key()), [], "certificate", "incomplete: nothing vouches for "
                                                      "CN=shop.test; append the certificate of its "
                                                      "issuer, CN=Middle"),
        (pem(LEAF, ROOT), secret(key()), [], "certificate", "incomplete: nothing vouches for "
                                                            "CN=shop.test"),
        (pem(leaf(days=(-90, -1)), MIDDLE), secret(key()), [], "certificate", "CN=shop.test has "
                                                                              "expired ("),
        (pem(leaf(days=(1, 90)), MIDDLE), secret(key()), [], "certificate", "CN=shop.test is not "
                                                                            "valid before "),
        (
            pem(LEAF, issue("Middle", key("middle"), ROOT, key("root"), ca=True, days=(-5, -1))),
            secret(key()), [], "certificate", "CN=Middle has expired (",
        ),
        (
            pem(LEAF, MIDDLE), secret(key()), ["shop.test", "blog.test", "a.b.shop.test"], "certificate",
            "it is not for blog.test, a.b.shop.test, but for shop.test, *.shop.test; have it "
            "issued for all names of the site",
        ),
        (pem(leaf(names=()), MIDDLE), secret(key()), ["shop.test"], "certificate", "it is not for "
                                                                                   "shop.test, but "
                                                                                   "for no "
                                                                                   "name at all"),
        (
            pem(leaf(key("weak", "RSA-1024")), MIDDLE), secret(key("weak", "RSA-1024")), [], "key",
            "RSA of 1024 bits is too weak; make one of RSA of at least 2048 bits, or ECDSA on "
            "P-256 or P-384",
        ),
        (pem(leaf(key("odd", "P-521")), MIDDLE), secret(key("odd", "P-521")), [], "key", "secp521r1 is none that all browsers take"),
        (pem(leaf(key("ed", "Ed25519")), MIDDLE), secret(key("ed", "Ed25519")), [], "key", "Ed25519 is none that all browsers take"),
    ],
)  # fmt: skip
def test_what_the_controller_refuses(chain, private, names, where, words):
    with pytest.raises(CertificateFault) as caught:
        examine(chain, private, names, TRUSTED)
    assert caught.value.key == where
    assert str(caught.value).startswith(words)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("a.test", "a.test", True),
        ("*.a.test", "b.a.test", True),
        ("*.a.test", "*.a.test", True),
        ("*.a.test", "c.b.a.test", False),
        ("*.a.test", "a.test", False),
        ("b.a.test", "*.a.test", False),
        ("*", "test", False),
    ],
)
def test_names_of_a_certificate(pattern, name, expected):
    assert covers(pattern, name) is expected


def test_a_text_or_a_file_of_the_controller(tmp_path):
    (tmp_path / "shop.pem").write_text("text")
    assert read(DataLoader(), "shop.pem", str(tmp_path)) == "text"
    assert read(DataLoader(), pem(LEAF), "/nowhere") == pem(LEAF)
    with pytest.raises(
        OSError,
        match=r"'gone.pem' is no file on the controller; looked for '/nowhere/gone.pem' or ",
    ):
        read(DataLoader(), "gone.pem", "/nowhere")


# On the host.


def pair(own=None, *chain, of=None):
    return pem(*(chain or (LEAF, MIDDLE))).encode(), secret(of or own or key()).encode()


def test_a_host_tries_a_pair_by_a_handshake():
    found = try_pair(*pair(), ["shop.test", "x.shop.test"])
    assert found.names == NAMES
    assert not found.self_signed
    assert 0.9 < found.left(NOW.timestamp()) < 1


@pytest.mark.parametrize(
    ("chain", "private", "names", "words"),
    [
        (pem(LEAF, MIDDLE), secret(key("other")), [], "the key is that of another certificate"),
        (pem(LEAF, MIDDLE), secret(key(), b"word"), [], "OpenSSL refuses it: "),
        (pem(LEAF, MIDDLE), "", [], "OpenSSL refuses it: "),
        ("", secret(key()), [], "it holds no certificate in PEM"),
        (pem(leaf(days=(-90, -1)), MIDDLE), secret(key()), [], "certificate has expired"),
        (pem(leaf(days=(1, 90)), MIDDLE), secret(key()), [], "certificate is not yet valid"),
        (pem(LEAF, ROOT), secret(key()), [], "unable to get local issuer certificate"),
        (
            pem(LEAF, MIDDLE),
            secret(key()),
            ["blog.test"],
            "it is not for blog.test, but for shop.test, *.shop.test",
        ),
    ],
)
def test_what_a_host_refuses(chain, private, names, words):
    with pytest.raises(PairError) as caught:
        try_pair(chain.encode(), private.encode(), names)
    assert str(caught.value).startswith(words)


@needs_openssl
def test_a_pair_that_signs_itself_is_kept_until_it_nears_its_end(monkeypatch):
    chain, private = kept_or_made("shop", ["shop.test", "*.shop.test"], None, None)
    found = try_pair(chain, private, ["shop.test"])
    assert found.self_signed
    assert found.names == ("shop.test", "*.shop.test")
    assert kept_or_made("shop", ["*.shop.test", "shop.test"], chain, private) == (chain, private)
    # Other names, a key of another, or one that somebody has issued.
    assert kept_or_made("shop", ["shop.test"], chain, private) != (chain, private)
    assert (
        kept_or_made("shop", ["shop.test", "*.shop.test"], chain, secret(key()).encode())[0]
        != chain
    )
    assert kept_or_made("shop", list(NAMES), *pair()) != pair()
    monkeypatch.setattr("time.time", lambda: found.ends - (found.ends - found.begins) / 3 + 1)
    assert kept_or_made("shop", ["shop.test", "*.shop.test"], chain, private) != (chain, private)


def wanted(certificates):
    found = certificate_files(certificates)
    return found, {file["path"]: Entry(content=file["content"].encode()) for file in found}


def planned(tls, front="nginx", **read):
    site = {
        "name": "shop",
        "application": "shop:app",
        "source": {"package": "shop"},
        "server_names": ["shop.test"],
        "tls": tls,
    }
    sites = plan({"front": front, "sites": [site]}, certificates=read)[f"front_{front}_sites"]
    spec = ARGUMENTS["certificates"]["options"]
    blank = {name: option.get("default") for name, option in spec.items()}
    return [
        {**blank, **item}
        for item in _pairs(
            {"each": sites, "group": "www-data"} if front == "lighttpd" else {"each": sites}
        )
    ]


def test_a_key_is_a_secret_file_of_root(front="nginx"):
    given = examine(pem(LEAF, MIDDLE), secret(key()), [], TRUSTED)
    for front, group, mode in (("nginx", "root", "0600"), ("lighttpd", "www-data", "0640")):
        files, _entries = wanted(planned({"certificate": "c", "key": "k"}, front, shop=given))
        assert [
            (file["path"], file["owner"], file["group"], file["mode"], file["secret"], file["site"])
            for file in files
        ] == [
            ("/etc/pyweb/shop/tls/fullchain.pem", "root", "root", "0644", False, "shop"),
            ("/etc/pyweb/shop/tls/key.pem", "root", group, mode, True, "shop"),
        ]
        assert files[1]["content"] == secret(key())


def test_a_key_of_another_certificate_changes_nothing():
    certificates = planned(
        {"certificate": "c", "key": "k"},
        shop={"chain": pem(LEAF, MIDDLE), "private_key": secret(key("other"))},
    )
    _files, entries = wanted(certificates)
    assert refused_pairs(certificates, entries, list(entries)) == [
        "/etc/pyweb/shop/tls/fullchain.pem: the key is that of another certificate"
    ]
    assert refused_pairs(certificates, entries, ["/etc/nginx/nginx.conf"]) == []


# The probe.


def serve(
    tmp_path,
    chain,
    private,
    answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
):
    """A server of one connection; returns its port and the names that it was asked by."""
    (tmp_path / "c.pem").write_bytes(chain)
    (tmp_path / "k.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    asked = []
    context.sni_callback = lambda connection, name, _context: asked.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def once():
        with (
            listener,
            listener.accept()[0] as plain,
            context.wrap_socket(plain, server_side=True) as connection,
        ):
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=once, daemon=True).start()
    return listener.getsockname()[1], asked


@pytest.mark.parametrize("other", [False, True])
def test_a_target_has_to_serve_the_certificate_of_its_file(tmp_path, other):
    chain, private = pair()
    port, asked = serve(tmp_path, chain, private)
    expected = tmp_path / "expected.pem"
    expected.write_text(pem(leaf(), MIDDLE) if other else chain.decode())
    target = Target(
        "shop",
        "http",
        Endpoint(port=port),
        host="shop.test:8443",
        scheme="https",
        certificate=str(expected),
    )
    outcome = ask(target)
    assert asked == ["shop.test"]
    assert outcome.fault == (
        f"it serves another certificate than that in {expected}" if other else None
    )


def test_a_target_without_tls_is_told_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=lambda: listener.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            daemon=True,
        )
        thread.start()
        target = Target(
            "shop",
            "http",
            Endpoint(port=listener.getsockname()[1]),
            certificate=str(tmp_path / "c.pem"),
        )
        assert re.match("no TLS: ", ask(target).fault)


def test_a_certificate_that_is_gone_is_a_fault(tmp_path):
    path = os.fspath(tmp_path / "gone.pem")
    assert same_certificate(b"", path) == f"{path}: No such file or directory"
