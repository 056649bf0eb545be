# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of a real ACME server on a host that was bare: how they come, are renewed, and go.

The scenario's own run has obtained the first one, and a second run has changed nothing.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

ROOT = Path(__file__).resolve().parents[2]
LINEAGE = "/etc/letsencrypt/live/pyweb-sample"
# What certbot's timer starts, and its exit status.
TIMER = "systemctl start certbot.service 2>/dev/null; echo $?"
# The same when a certificate is due.
DUE = (
    "sed -i 's/^renew_before_expiry.*/renew_before_expiry = 9000 hours/' "
    f"/etc/letsencrypt/renewal/pyweb-sample.conf; {TIMER}"
)
# Where the CA is; it forgets its accounts when it is stopped.
MOVE = "sed 's/{} ca.test/{} ca.test/' /etc/hosts >/root/hosts; cat /root/hosts >/etc/hosts"


@pytest.fixture(scope="module", name="acme")
def the_acme(host):
    return {
        "server": "https://ca.test:14000/dir",
        "ca_certificates": str(ROOT / ".cache" / f"acme-{host.name}.pem"),
        "email": "ops@sample.test",
    }


def a_site(name: str, acme: dict, **values) -> dict:
    return {
        "name": name,
        "server_names": [f"{name}.test"],
        "application": "sample:application",
        "source": {"path": str(ROOT / "roles" / "app" / "files" / "sample")},
        "tls": {"acme": acme},
        **values,
    }


def seen(host, name: str = "sample.test") -> x509.Certificate:
    """The certificate that the front serves for a name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host.address, 443), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def names_of(certificate: x509.Certificate) -> set[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def starts(host) -> str:
    """When the front's processes began to serve, and how often it was reloaded."""
    unit = {"apache": "apache2"}.get(host.front, host.front)
    return host.shell(f"journalctl --no-pager -o cat -u {unit} | grep -c '^Reloaded'").strip()


def test_a_bare_host_serves_what_the_ca_has_issued(host, acme):
    certificate = seen(host)
    assert "Pebble" in certificate.issuer.rfc4514_string()
    assert names_of(certificate) == {"sample.test"}
    assert host.ask_plainly("sample.test").status_code == 308
    window = host.shell("grep ^renew_before_expiry /etc/letsencrypt/renewal/pyweb-sample.conf")
    assert window == "renew_before_expiry = 720 hours\n"
    assert host.shell("systemctl is-active certbot.timer") == "active\n"


def test_a_challenge_is_not_redirected(host):
    folder = "/var/lib/pyweb/.acme/.well-known/acme-challenge"
    host.shell(f"mkdir -p {folder}; echo answer >{folder}/token")
    answer = host.ask_plainly("sample.test", "/.well-known/acme-challenge/token")
    assert (answer.status_code, answer.text) == (200, "answer\n")
    assert host.ask_plainly("sample.test", "/.well-known/acme-challenge/no").status_code == 404
    assert host.ask_plainly("sample.test", "/.well-known/acme-challengers").status_code == 308
    host.shell("rm -r /var/lib/pyweb/.acme/.well-known")


def test_no_secret_is_readable_or_shown(host, acme):
    assert host.shell("find /etc/pyweb/.acme -name '*.ini' ! -perm 600") == ""
    key = host.shell(f"sed -n 2p {LINEAGE}/privkey.pem").strip()
    assert key and key not in host.shell("journalctl --no-pager")


def test_the_timer_renews_by_one_reload_and_the_next_run_changes_nothing(host, acme):
    before, reloads = seen(host).serial_number, starts(host)
    assert host.shell(DUE) == "0\n"
    assert seen(host).serial_number != before
    assert int(starts(host)) == int(reloads) + 1
    window = host.shell("grep ^renew_before_expiry /etc/letsencrypt/renewal/pyweb-sample.conf")
    assert window == "renew_before_expiry = 720 hours\n"
    assert host.play().changed == 0
    # Nothing is due.
    before = seen(host).serial_number
    assert host.shell(TIMER) == "0\n"
    assert seen(host).serial_number == before


def test_a_ca_that_is_away_leaves_the_old_certificate(host, acme):
    before = seen(host).serial_number
    host.shell(MOVE.format("127.0.0.1", "127.0.0.9"))
    assert host.shell(DUE) == "1\n"
    assert host.shell("systemctl is-failed certbot.service") == "failed\n"
    assert seen(host).serial_number == before
    assert host.play().changed == 0
    # A new site has plain HTTP as long as there is no certificate, and the others stay.
    sites = [a_site("sample", acme), a_site("late", acme)]
    run = host.play({"sites": sites}, good=False)
    assert "There is no certificate for these sites" in " ".join(run.words.split())
    assert host.ask_plainly("late.test").status_code == 200
    assert seen(host).serial_number == before
    host.shell(MOVE.format("127.0.0.9", "127.0.0.1"))
    host.play({"sites": sites})
    assert names_of(seen(host, "late.test")) == {"late.test"}
    assert host.ask_plainly("late.test").status_code == 308


def test_a_key_of_another_certificate_never_reaches_the_front(host):
    before = seen(host).serial_number
    host.shell(
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out /root/other.pem; "
        f"cp /root/other.pem $(readlink -f {LINEAGE}/privkey.pem); "
        "sed -i 's/^renew_before_expiry.*/renew_before_expiry = 1 hours/' "
        "/etc/letsencrypt/renewal/pyweb-sample.conf"
    )
    assert host.shell(TIMER) == "1\n"
    words = host.shell("journalctl --no-pager -o cat -u certbot.service")
    assert "the key is that of another certificate; what was served before stays" in words
    assert seen(host).serial_number == before


def test_a_run_has_another_certificate_issued_where_it_must_be_another(host, acme):
    before = seen(host).serial_number
    more = a_site("sample", acme, server_names=["sample.test", "www.sample.test"])
    late = a_site("late", {**acme, "key_type": "rsa"})
    host.play({"sites": [more, late]})
    for name in ("sample.test", "www.sample.test"):
        assert names_of(seen(host, name)) == {"sample.test", "www.sample.test"}
    assert seen(host).serial_number != before
    assert host.shell(TIMER) == "0\n"
    assert seen(host, "late.test").public_key().key_size == 2048


def test_a_wildcard_is_proved_by_dns(host, acme):
    credentials = {
        "server": "127.0.0.1",
        "name": "pyweb",
        "secret": "cHl3ZWIuc3RhY2s=",
        "algorithm": "HMAC-SHA256",
    }
    dns = {"plugin": "rfc2136", "credentials": credentials, "propagation": 1}
    wild = a_site(
        "wild", {**acme, "challenge": "dns", "dns": dns}, server_names=["wild.test", "*.wild.test"]
    )
    run = host.play({"sites": [a_site("sample", acme), wild]}, "--diff")
    assert names_of(seen(host, "any.wild.test")) == {"wild.test", "*.wild.test"}
    assert credentials["secret"] not in run.words
    assert host.shell("stat -c %a /etc/pyweb/.acme/wild.credentials") == "600\n"
    assert host.shell("ls /etc/letsencrypt/renewal") == "pyweb-sample.conf\npyweb-wild.conf\n"


def test_another_front_takes_the_certificate_over(host, acme):
    before = seen(host).serial_number
    front = "apache" if host.front == "nginx" else "nginx"
    host.play({"sites": [a_site("sample", acme)], "front": front})
    assert seen(host).serial_number == before
    # What has left the inventory is no longer renewed.
    assert host.shell("ls /etc/letsencrypt/renewal") == "pyweb-sample.conf\n"
    assert host.shell(DUE) == "0\n"
    assert seen(host).serial_number != before


def test_nothing_stays(host):
    host.play(playbook="playbooks/remove.yml")
    left = host.shell(
        "ls -d /etc/letsencrypt/renewal/* /etc/letsencrypt/live/pyweb* /etc/letsencrypt/accounts/* "
        "/etc/letsencrypt/renewal-hooks/deploy/pyweb /usr/local/lib/pyweb /etc/pyweb "
        "/etc/systemd/system/certbot.service.d 2>/dev/null"
    )
    assert left == ""
    assert host.shell(TIMER) == "0\n"
