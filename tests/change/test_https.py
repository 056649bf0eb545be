# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTPS on a real host: by which certificate, version and protocol each name is served, and what
changes nothing.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import client
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = ROOT / "tests" / "conformance"
GROUPS = ("environ", "paths", "lies", "answers", "bodies", "streams", "connections")


class Authority:
    """A root, what is between, and certificates below it, as files of a directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key, self._between_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self._root = self._issue("Root", self._key.public_key(), None, self._key, ca=True)
        self._between = self._issue(
            "Between", self._between_key.public_key(), self._root, self._key, ca=True
        )
        self.root = self._write("root.pem", self._pem(self._root))

    def certificate(self, name: str, *names: str) -> dict[str, str]:
        """The values of `tls` for a certificate for some names."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = self._issue(name, key.public_key(), self._between, self._between_key, names=names)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = self._pem(own) + self._pem(self._between) + self._pem(self._root)
        return {
            "certificate": self._write(f"{name}.pem", chain),
            "key": self._write(f"{name}.key", secret),
        }

    def _write(self, name: str, content: bytes) -> str:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return str(path)

    @staticmethod
    def _pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _issue(name, public, issuer, by, names=(), ca=False) -> x509.Certificate:
        now, subject = (
            datetime.datetime.now(datetime.timezone.utc),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        )
        begin, end = now - datetime.timedelta(hours=1), now + datetime.timedelta(days=90)
        builder = x509.CertificateBuilder(
            issuer.subject if issuer else subject,
            subject,
            public,
            x509.random_serial_number(),
            begin,
            end,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
            )
        return builder.sign(by, hashes.SHA256())


@pytest.fixture(scope="module", name="authority")
def the_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", name="pair")
def the_pair(authority):
    return authority.certificate("shop", "shop.test", "*.shop.test")


def a_site(name: str, tls, **values) -> dict:
    common = {
        "application": "conformance:application",
        "source": {"path": str(CONFORMANCE / "app")},
        "processes": 1,
        "max_body_size": 104857600,
    }
    return {"name": name, "server_names": [f"{name}.test"], **common, "tls": tls, **values}


@pytest.fixture(scope="module", name="sites")
def the_sites(host, pair):
    """What all tests begin with, and end with."""
    sites = [
        a_site("shop", pair, server_names=["shop.test", "*.shop.test"]),
        a_site("own", {"self_signed": True, "redirect": False}),
        a_site("plain", None),
    ]
    host.play({"sites": sites})
    return sites


def handshake(
    host,
    name: str | None,
    versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
    root: str | None = None,
):
    """A connection over TLS: its version, its protocol and the certificate that was served."""
    context = ssl.create_default_context(cafile=root)
    if root is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = versions
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host.address, 443), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return (
            connection.version(),
            connection.selected_alpn_protocol(),
            connection.getpeercert(binary_form=True),
        )


def get(
    host, name: str, path: str = "/", root: str | None = None, own_host: str = ""
) -> tuple[int, dict[str, str]]:
    """Status and header of an answer over HTTP/1.1 and TLS."""
    context = ssl.create_default_context(cafile=root)
    if root is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host.address, 443), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {own_host or name}\r\nConnection: close\r\n\r\n".encode()
        )
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return int(first.split()[1]), {
        key.lower(): value for key, value in (line.split(": ", 1) for line in lines)
    }


def served(path: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(
        Path(path).read_text().partition("-----END CERTIFICATE-----")[0]
        + "-----END CERTIFICATE-----"
    )


def files(host) -> str:
    return host.shell(
        "ls -lR --time-style=full-iso /etc/nginx /etc/apache2 /etc/lighttpd /etc/pyweb "
        "2>/dev/null; sha256sum /etc/pyweb/*/tls/*; ss -ltn"
    )


def test_each_name_has_its_certificate(host, sites, pair, authority):
    for name in ("shop.test", "www.shop.test"):
        version, protocol, certificate = handshake(host, name, root=authority.root)
        assert (version, protocol) == ("TLSv1.3", "h2")
        assert certificate == served(pair["certificate"])
    assert (
        x509.load_der_x509_certificate(handshake(host, "own.test")[2]).subject.rfc4514_string()
        == "CN=own"
    )
    assert handshake(host, "shop.test", versions=[ssl.TLSVersion.TLSv1_2] * 2)[0] == "TLSv1.2"
    assert get(host, "shop.test", root=authority.root)[0] == 200


def test_a_name_without_tls_is_refused(host, sites):
    for name in ("plain.test", "nobody.test", None):
        if host.front == "nginx":
            with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
                handshake(host, name)
        else:
            assert get(host, name or host.address)[0] == 421
    # A connection of one site serves no other name.
    assert get(host, "shop.test", own_host="nobody.test")[0] == 421
    assert get(host, "shop.test", own_host="plain.test")[0] == 421


def test_plain_http_leads_to_https_unless_it_is_kept(host, sites):
    answer = host.ask_plainly("shop.test", "/a%2Fb?c=%20&d")
    assert (answer.status_code, answer.headers["Location"]) == (
        308,
        "https://shop.test/a%2Fb?c=%20&d",
    )
    assert [
        host.ask_plainly(name).status_code for name in ("own.test", "plain.test", "nobody.test")
    ] == [200, 200, 421]


def test_hsts_comes_over_tls_with_a_trusted_certificate_alone(host, sites):
    assert get(host, "shop.test")[1]["strict-transport-security"] == "max-age=63072000"
    assert "strict-transport-security" not in get(host, "own.test")[1]
    for name in ("shop.test", "own.test"):
        assert "Strict-Transport-Security" not in host.ask_plainly(name).headers


def test_a_key_is_for_root_and_where_it_must_be_for_the_front(host, sites, pair):
    group, mode = ("www-data", "640") if host.front == "lighttpd" else ("root", "600")
    assert (
        host.shell("stat -c '%a %U %G' /etc/pyweb/shop/tls/key.pem /etc/pyweb/own/tls/key.pem")
        == f"{mode} root {group}\n" * 2
    )
    run = host.play({"sites": sites}, "-vvvv", "--diff")
    assert run.changed == 0
    secret = Path(pair["key"]).read_text().splitlines()[1]
    assert secret not in run.words
    assert secret not in host.shell("journalctl --no-pager")


def test_the_application_is_told(host, sites):
    """And whatever a client says, it is told nothing else."""
    groups = [part for group in GROUPS for part in ("--group", group)]
    stack = ["--front", host.front, "--back", "uwsgi", "--link", "uwsgi", "--transport", "unix"]
    argv = [
        sys.executable,
        str(CONFORMANCE / "client.py"),
        f"https://{host.address}",
        "--host",
        "shop.test",
        *stack,
        *groups,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("wrong", ["another key", "another name"])
def test_a_wrong_certificate_changes_nothing(host, sites, pair, authority, wrong):
    other = authority.certificate("other", "other.test")
    tls = {**pair, "key": other["key"]} if wrong == "another key" else other
    before = files(host)
    run = host.play({"sites": [{**sites[0], "tls": tls}, *sites[1:]]}, good=False)
    assert {
        "another key": "it is not the key of the certificate",
        "another name": "it is not for shop.test",
    }[wrong] in " ".join(run.words.split())
    assert files(host) == before


def test_another_certificate_and_a_modern_profile_take_one_reload(host, sites, authority):
    another = authority.certificate("another", "shop.test", "*.shop.test")
    started = host.shell("pgrep -o -f 'nginx: master|apache2|lighttpd'")
    values = {"sites": [{**sites[0], "tls": another}, *sites[1:]], "tls_profile": "modern"}
    host.play(values)
    version, _protocol, certificate = handshake(host, "shop.test", root=authority.root)
    assert (version, certificate) == ("TLSv1.3", served(another["certificate"]))
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        handshake(host, "shop.test", versions=[ssl.TLSVersion.TLSv1_2] * 2)
    if host.front != "lighttpd":
        assert host.shell("pgrep -o -f 'nginx: master|apache2|lighttpd'") == started


def test_another_front_takes_the_certificates_over(host, sites, pair, authority):
    front = "apache" if host.front == "nginx" else "nginx"
    own = handshake(host, "own.test")[2]
    host.play({"sites": sites, "front": front})
    assert handshake(host, "shop.test", root=authority.root)[2] == served(pair["certificate"])
    assert handshake(host, "own.test")[2] == own
    assert host.play({"sites": sites, "front": front}).changed == 0
    host.play({"sites": sites})
    assert handshake(host, "own.test")[2] == own


# What leads from each front to a back, and whether the front itself runs it.
LINKS = ("uwsgi", "http", "fastcgi", "scgi")
CLIENT = "203.0.113.7"
FORWARDED = (
    ("X-Forwarded-For", f"198.51.100.1, {CLIENT}"),
    ("X-Forwarded-Proto", "https"),
)


def test_a_trusted_proxy_is_believed_and_nobody_else(host, sites):
    """This machine is the proxy; the host itself, by its loopback address, is none."""
    gateway = host.shell("ip route show default").split()[2]
    proxied = [a_site(link, None, link=link) for link in LINKS]
    if host.front == "apache":
        proxied.append(a_site("embedded", None, back="mod_wsgi"))
    led = a_site("led", {"self_signed": True}, link="http")
    values = {"sites": [*proxied, led], "trusted_proxies": [gateway, "192.0.2.0/24"]}
    host.play(values)
    for site in (*proxied, led):
        name = site["server_names"][0]
        target = client.Target(address=host.address, mount="", name=name)
        told = target.environ("/", FORWARDED)
        seen = [told.get(key) for key in ("REMOTE_ADDR", "wsgi.url_scheme", "HTTPS")]
        assert seen == [CLIENT, "https", "on"], name
        assert not {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"} & set(told)
        fields = " ".join(f"-H '{key}: {value}'" for key, value in FORWARDED)
        ask = (
            f"curl -s -o /dev/null -w '%{{http_code}}' -H 'Host: {name}' {fields} http://127.0.0.1"
        )
        assert host.shell(ask) == ("308" if site is led else "200")
    for site in proxied:
        name = site["server_names"][0]
        target = client.Target(address=host.address, mount="", name=name)
        assert target.environ("/")["wsgi.url_scheme"] == "http"
        ask = f"curl -s -H 'Host: {name}' {fields} http://127.0.0.1/"
        told = json.loads(host.shell(ask))
        assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("127.0.0.1", "http"), name
    assert host.ask_plainly("led.test").status_code == 308
    log = {"apache": "apache2"}.get(host.front, host.front)
    assert CLIENT in host.shell(f"grep -h {CLIENT} /var/log/{log}/*access.log")
    assert host.play(values).changed == 0


def test_without_tls_the_port_and_the_keys_are_gone(host, sites):
    host.play({"sites": [{**site, "tls": None} for site in sites]})
    assert host.shell("ls /etc/pyweb/*/tls/* 2>/dev/null; ss -Hltn sport = 443") == ""
    assert host.ask_plainly("shop.test").status_code == 200


def test_a_site_that_goes_leaves_no_directory_of_its_certificate(host, sites):
    host.play({"sites": sites})
    host.play({"sites": sites[1:]})
    assert (
        host.shell("ls -d /etc/pyweb/shop /etc/pyweb/own/tls 2>/dev/null") == "/etc/pyweb/own/tls\n"
    )
