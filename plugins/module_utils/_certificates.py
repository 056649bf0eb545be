# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate and its key on the host: what a client would make of them, tried without a server,
and pairs that sign themselves.

Apache's own check says "Syntax OK" to a key of another certificate, and Apache ends with it. So
each pair is tried first, by a handshake in memory with the OpenSSL that the servers use. Nothing is
written: a key leaves this process by its own file alone.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._host import execute, read

# A chain may end below a root (X509_V_FLAG_PARTIAL_CHAIN; the module ssl names it since Python
# 3.10).
PARTIAL_CHAIN = 0x80000
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
SELF_SIGNED_DAYS = 397
# A pair is made anew when so much of its lifetime is left.
RENEW_AT = 1 / 3
SHORT = 10 * 86400  # seconds

REQUEST = """[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions
[subject]
CN = {site}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


class PairError(ValueError):
    """Why a server could not be given a certificate and a key, or why no client would take them."""


@dataclass(frozen=True)
class Pair:
    """What a client sees of a certificate: its names, when it begins and ends (seconds since 1970),
    and whether it signed itself.
    """

    names: tuple[str, ...]
    begins: float
    ends: float
    self_signed: bool

    def left(self, now: float) -> float:
        """How much of its lifetime is left, from 1 to 0."""
        return max(0.0, (self.ends - now) / (self.ends - self.begins))

    def renewed_at(self) -> float:
        """When so many seconds are left, it is renewed: a third of its lifetime, half of a short
        one.
        """
        lifetime = self.ends - self.begins
        return lifetime / (3 if lifetime > SHORT else 2)

    def overdue(self, now: float) -> bool:
        """Whether half of the time is over in which it should have been renewed."""
        return self.ends - now < self.renewed_at() / 2


def covers(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is for a server name (RFC 9525, section 6.3): a wildcard
    stands for one label.
    """
    _label, dot, rest = name.partition(".")
    return pattern.lower() == name or (bool(dot) and pattern.lower() == f"*.{rest}")


def try_pair(chain: bytes, key: bytes, names: list[str]) -> Pair:
    """What a client sees that is served these. PairError where it would refuse them, or no server
    could load them.
    """
    blocks = BLOCK.findall(chain)
    if not blocks:
        raise PairError("it holds no certificate in PEM")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= PARTIAL_CHAIN
    try:
        with in_memory(chain) as chain_path, in_memory(key) as key_path:
            # Without a passphrase OpenSSL would ask a terminal for the one of an encrypted key.
            server.load_cert_chain(chain_path, key_path, password=lambda: b"")
        client.load_verify_locations(cadata=blocks[-1].decode())
        seen = _handshake(server, client)
    except ssl.SSLCertVerificationError as error:
        raise PairError(error.verify_message) from error
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise PairError(_words(error)) from error
    known = tuple(name for kind, name in seen.get("subjectAltName", ()) if kind == "DNS")
    missing = [name for name in names if not any(covers(pattern, name) for pattern in known)]
    if missing:
        raise PairError(
            f"it is not for {', '.join(missing)}, but for {', '.join(known) or 'no name'}"
        )
    begins, ends = (
        ssl.cert_time_to_seconds(seen["notBefore"]),
        ssl.cert_time_to_seconds(seen["notAfter"]),
    )
    return Pair(known, begins, ends, len(blocks) == 1 and seen["issuer"] == seen["subject"])


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return {
        "KEY_VALUES_MISMATCH": "the key is that of another certificate",
        "EE_KEY_TOO_SMALL": "the key is too weak",
        "CA_MD_TOO_WEAK": "a signature in the chain is too weak",
        "NO_START_LINE": "there is no certificate or no key in PEM",
    }.get(reason, f"OpenSSL refuses it: {reason}")


@contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """The path of a file that is in no file system; the module ssl takes keys by a path alone."""
    handle = os.memfd_create("pyweb")
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """The certificate that the client has verified."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asked = client.wrap_bio(to_client, to_server)
    asking = server.wrap_bio(to_server, to_client, server_side=True)
    for _turn in range(8):
        over = True
        for side in (asked, asking):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                over = False
        if over:
            return asked.getpeercert() or {}
    raise PairError("no handshake came about")


def same_certificate(served: bytes | None, path: str) -> str | None:
    """What is wrong with a certificate that a server has sent (DER), where a file holds the one
    that it should send.
    """
    try:
        with open(path, "rb") as file:
            blocks = BLOCK.findall(file.read())
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not blocks or ssl.PEM_cert_to_DER_cert(blocks[0].decode()) != served:
        return f"it serves another certificate than that in {path}"
    return None


def kept_or_made(
    site: str, names: list[str], chain: bytes | None, key: bytes | None
) -> tuple[bytes, bytes]:
    """A pair that signs itself: the one that is there, as long as it is for these names and far
    from its end; else a new one.
    """
    if chain and key and stays(names, chain, key):
        return chain, key
    return make(site, names or ["localhost"])


def stays(names: list[str], chain: bytes, key: bytes) -> bool:
    """Whether a pair signs itself, is for these names, and is far from its end."""
    wanted = names or ["localhost"]
    try:
        pair = try_pair(chain, key, wanted)
    except PairError:
        return False
    of_these = pair.self_signed and set(pair.names) == set(wanted)
    return of_these and pair.left(time.time()) > RENEW_AT


def make(site: str, names: list[str]) -> tuple[bytes, bytes]:
    """A new pair: the certificate and the key, in PEM."""
    request = REQUEST.format(site=site, names=",".join(f"DNS:{name}" for name in names))
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-noenc",
        "-batch",
    ]
    argv += ["-days", str(SELF_SIGNED_DAYS), "-config", "/dev/stdin", "-keyout", "/dev/stdout"]
    done = execute(argv, request)
    key, begin, certificate = done.stdout.partition(b"-----BEGIN CERTIFICATE-----")
    if done.returncode != 0 or not begin:
        raise OSError(f"openssl req: {done.stderr.decode(errors='replace').strip()}")
    return begin + certificate, key


def issued(lineage: str) -> tuple[bytes, bytes] | None:
    """The newest pair that certbot keeps in a directory, if there is one."""
    try:
        chain, key = (Path(lineage, name).read_bytes() for name in ("fullchain.pem", "privkey.pem"))
    except OSError:
        return None
    return chain, key


def served(item: dict[str, Any]) -> tuple[bytes | None, bytes | None]:
    """The pair that a front reads now."""
    chain, key = (read(item[part]) for part in ("certificate", "key"))
    return (chain.content if chain else None), (key.content if key else None)


def why_unusable(pair: tuple[bytes, bytes]) -> str | None:
    """Why no server could be given a pair, or no client would take it, if so."""
    try:
        try_pair(*pair, [])
    except PairError as error:
        return str(error)
    return None


def usable(item: dict[str, Any]) -> bool:
    """Whether clients take the pair that a front reads now."""
    chain, key = served(item)
    try:
        try_pair(chain or b"", key or b"", item["names"])
    except PairError:
        return False
    return True


def certificate_files(
    certificates: list[dict[str, Any]], check_mode: bool = False
) -> list[dict[str, Any]]:
    """The files of pairs that are given, that the host makes, or that a CA has issued; what
    somebody else keeps is none of the set's.
    """
    found = []
    for item in certificates:
        chain, key = item["chain"], item["private_key"]
        if item["lineage"]:
            # As long as the CA has issued none that a client could take, what is served stays.
            newest = issued(item["lineage"])
            pair = served(item) if newest is None or why_unusable(newest) else newest
            chain, key = (part and part.decode().strip() for part in pair)
        elif item["self_signed"]:
            try:
                chain, key = (
                    part.decode().strip()
                    for part in kept_or_made(item["site"], item["names"], *served(item))
                )
            except FileNotFoundError:
                if not check_mode:  # where openssl is to be installed, too
                    raise
                chain = key = ""
        if chain is not None and key is not None:
            common = {
                "target": None,
                "owner": "root",
                "once": False,
                "late": False,
                "site": item["site"],
            }
            mode = "0600" if item["group"] == "root" else "0640"
            found.append(
                {
                    **common,
                    "path": item["certificate"],
                    "content": f"{chain}\n",
                    "group": "root",
                    "mode": "0644",
                    "secret": False,
                }
            )
            found.append(
                {
                    **common,
                    "path": item["key"],
                    "content": f"{key}\n",
                    "group": item["group"],
                    "mode": mode,
                    "secret": True,
                }
            )
    return found


def refused_pairs(
    certificates: list[dict[str, Any]], wanted: dict[str, Any], different: list[str]
) -> list[str]:
    """Which of the pairs that would change no server could be given."""
    faults = []
    for item in certificates:
        chain, key = (
            (wanted[item[part]].content or b"").strip() if wanted.get(item[part]) else b""
            for part in ("certificate", "key")
        )
        if chain and key and {item["certificate"], item["key"]} & set(different):
            try:
                try_pair(chain, key, item["names"])
            except PairError as error:
                faults.append(f"{item['certificate']}: {error}")
    return faults
