# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Given certificates, read on the controller: every fault of theirs, before any host is asked.

Uses cryptography, on which ansible-core depends. No word of a key is ever part of a fault.
"""

from __future__ import annotations

import datetime
import functools
import os
import re
import ssl

from ansible.errors import AnsibleError
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import covers

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    MISSING = None
except ImportError as failure:
    MISSING = str(failure)

PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----", re.DOTALL)
# Mozilla's guideline 6.0, for either profile; OpenSSL of Debian refuses what is weaker, and Apache
# does not start with it.
RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1")


class CertificateFault(ValueError):
    """What is wrong with a given certificate or key: the key of `tls` that it is in, and what is
    possible instead.
    """

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def read(loader, given: str, base: str) -> str:
    """The text of a file on the controller, decrypted where Ansible Vault has it; a text in PEM is
    itself.
    """
    if "-----BEGIN" in given:
        return given
    tried = list(
        dict.fromkeys(os.path.realpath(os.path.join(folder, given)) for folder in (base, "."))
    )
    path = next((path for path in tried if os.path.isfile(path)), None)
    if path is None:
        raise FileNotFoundError(
            f"{given!r} is no file on the controller; looked for {' or '.join(map(repr, tried))}"
        )
    try:
        content, _show = loader._get_file_contents(path)
        return content.decode()
    except (AnsibleError, OSError, UnicodeDecodeError) as error:
        raise OSError(f"{path!r} cannot be read as a text: {str(error).splitlines()[0]}") from error


def examine(
    chain: str,
    key: str,
    names: list[str],
    roots: list[bytes] | None = None,
    now: datetime.datetime | None = None,
) -> dict:
    """What a front is to serve: chain (without a root of its own), private_key, and whether clients
    may trust it.

    roots: certificates in DER that vouch for others; by default those that the controller trusts.
    Raises CertificateFault for the first thing that is wrong.
    """
    if MISSING:
        raise AnsibleError(
            f"{MISSING}: the controller's Python needs cryptography; pip install cryptography"
        )
    certificates = _certificates(chain)
    private = _private_key(key)
    own = certificates[0]
    _refuse_another_key(certificates, private)
    _refuse_weak(own)
    _refuse_dates(certificates, now or datetime.datetime.now(datetime.timezone.utc))
    _refuse_names(own, names)
    self_signed = _vouches(own, own)
    served = _in_order(certificates, _trusted_by_controller() if roots is None else roots)
    encoded = [
        certificate.public_bytes(serialization.Encoding.PEM).decode().strip()
        for certificate in served
    ]
    (found,) = PEM.findall(key)
    return {"chain": "\n".join(encoded), "private_key": found, "trusted": not self_signed}


def authorities(text: str) -> str:
    """The certificates of a text that vouch for a CA's server, in PEM. Raises CertificateFault
    where it holds none.
    """
    found = [
        certificate.public_bytes(serialization.Encoding.PEM).decode().strip()
        for certificate in _certificates(text)
    ]
    return "\n".join(found)


def _certificates(text: str) -> list[x509.Certificate]:
    blocks = [
        block for block in PEM.findall(text) if block.startswith("-----BEGIN CERTIFICATE-----")
    ]
    if not blocks:
        raise CertificateFault(
            "certificate", "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        )
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFault(
            "certificate", "one of its certificates is damaged; copy the file again"
        ) from error


def _private_key(text: str):
    blocks = [block for block in PEM.findall(text) if "PRIVATE KEY" in block.split("\n", 1)[0]]
    if len(blocks) != 1:
        raise CertificateFault(
            "key", f"expected exactly one private key in PEM, found {len(blocks)}"
        )
    try:
        return serialization.load_pem_private_key(blocks[0].encode(), password=None)
    except TypeError as error:
        what = (
            "it is encrypted, and no server could start by itself; "
            "take the passphrase off (openssl pkey -in FILE), and let Ansible Vault keep the "
            "file secret"
        )
        raise CertificateFault("key", what) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFault(
            "key", "it is damaged, or of a kind that no server takes; copy the file again"
        ) from error


def _public(key) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _refuse_another_key(certificates: list[x509.Certificate], private) -> None:
    wanted = _public(private.public_key())
    owners = [
        place
        for place, certificate in enumerate(certificates)
        if _public(certificate.public_key()) == wanted
    ]
    if not owners:
        raise CertificateFault(
            "key",
            f"it is not the key of the certificate ({_called(certificates[0])}); name the one that "
            "the certificate was made for",
        )
    if owners[0] != 0:
        what = (
            f"wrong order: the site's own certificate ({_called(certificates[owners[0]])}) has "
            "to be the first, then the one that vouches for it, and so on"
        )
        raise CertificateFault("certificate", what)


def _refuse_weak(own: x509.Certificate) -> None:
    public = own.public_key()
    able = f"RSA of at least {RSA_BITS} bits, or ECDSA on P-256 or P-384"
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < RSA_BITS:
            raise CertificateFault(
                "key", f"RSA of {public.key_size} bits is too weak; make one of {able}"
            )
    elif not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in CURVES:
        kind = (
            public.curve.name
            if isinstance(public, ec.EllipticCurvePublicKey)
            else type(public).__name__.strip("_").removesuffix("PublicKey")
        )
        raise CertificateFault("key", f"{kind} is none that all browsers take; make one of {able}")
    if isinstance(own.signature_hash_algorithm, (hashes.SHA1, hashes.MD5)):
        raise CertificateFault(
            "certificate",
            f"its signature by {own.signature_hash_algorithm.name} is too weak; have it "
            "issued again",
        )


def _refuse_dates(certificates: list[x509.Certificate], now: datetime.datetime) -> None:
    for certificate in certificates:
        if certificate.not_valid_after_utc <= now:
            raise CertificateFault(
                "certificate",
                f"{_called(certificate)} has expired "
                f"({certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC); have it issued again",
            )
        if certificate.not_valid_before_utc > now:
            what = (
                f"{_called(certificate)} is not valid before "
                f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
                "wait until then, or check the clock of the controller"
            )
            raise CertificateFault("certificate", what)


def _refuse_names(own: x509.Certificate, names: list[str]) -> None:
    try:
        known = [
            name.lower()
            for name in own.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value.get_values_for_type(x509.DNSName)
        ]
    except x509.ExtensionNotFound:
        known = []
    missing = [name for name in names if not any(covers(pattern, name) for pattern in known)]
    if missing:
        shown = ", ".join(known) or "no name at all (subjectAltName, which alone counts)"
        raise CertificateFault(
            "certificate",
            f"it is not for {', '.join(missing)}, but for {shown}; have it issued for all names of "
            "the site",
        )


def _in_order(certificates: list[x509.Certificate], roots: list[bytes]) -> list[x509.Certificate]:
    """The certificates that are to be served: all but a root of its own, which clients have or do
    not trust.
    """
    for certificate, issuer in zip(certificates, certificates[1:]):
        if not _vouches(issuer, certificate):
            after = next(
                (
                    other
                    for other in certificates
                    if other is not certificate and _vouches(other, certificate)
                ),
                None,
            )
            if after is None:
                raise _incomplete(certificate)
            what = (
                f"wrong order: {_called(after)} has to come right after "
                f"{_called(certificate)}, "
                "for which it vouches"
            )
            raise CertificateFault("certificate", what)
    last = certificates[-1]
    if _vouches(last, last):
        return certificates if len(certificates) == 1 else certificates[:-1]
    known = [root for root in _parsed(tuple(roots)) if root.subject == last.issuer]
    if roots and not any(_vouches(root, last) for root in known):
        raise _incomplete(last)
    return certificates


def _incomplete(last: x509.Certificate) -> CertificateFault:
    what = (
        f"incomplete: nothing vouches for {_called(last)}; append the certificate of its issuer, "
        f"{last.issuer.rfc4514_string()} "
        "(its CA offers it as the chain; the root of a CA of your own, too, which is not sent to "
        "clients)"
    )
    return CertificateFault("certificate", what)


def _vouches(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _trusted_by_controller() -> list[bytes]:
    return ssl.create_default_context().get_ca_certs(binary_form=True)


@functools.cache
def _parsed(roots: tuple[bytes, ...]) -> list[x509.Certificate]:
    found = []
    for root in roots:
        try:
            found.append(x509.load_der_x509_certificate(root))
        except ValueError:
            continue  # one of the trust store that this library does not take
    return found


def _called(certificate: x509.Certificate) -> str:
    """How to call a certificate in a fault: its subject, or else its first name."""
    subject = certificate.subject.rfc4514_string()
    if subject:
        return subject
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    return names[0] if names else f"number {certificate.serial_number}"
