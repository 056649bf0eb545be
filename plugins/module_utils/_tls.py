# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS in the plan: the keys of a site's `tls`, their faults, and what they mean for a front. Pure.

A front knows one place per site for its certificate and key, whoever issued them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._acme import check_acme, is_trusted
from ansible_collections.pyweb.stack.plugins.module_utils._faults import Fault, Faults, nearest
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    lineage_of,
    live,
    paths_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    ADDRESS,
    Key,
    Site,
    number,
    text,
)

PORT = 443
CERTIFICATE = "fullchain.pem"
KEY = "key.pem"
# Two years, as Mozilla's guideline has it.
HSTS = 63072000
PROFILES = ("intermediate", "modern")
WAYS = ("certificate", "self_signed", "acme")


@dataclass(frozen=True)
class Profile:
    """What a host speaks, as Mozilla's guideline 6.0 (2026-04-06) has it; clients choose among the
    ciphers.
    """

    protocols: tuple[str, ...]
    ciphers: tuple[str, ...] = ()


PROFILE = {
    "modern": Profile(protocols=("TLSv1.3",)),
    "intermediate": Profile(
        protocols=("TLSv1.2", "TLSv1.3"),
        ciphers=(
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ),
    ),
}
GROUPS = ("X25519", "prime256v1", "secp384r1")
# The first release of Debian whose OpenSSL (3.5) knows it; a server of another refuses to start for
# its name.
POST_QUANTUM = ("X25519MLKEM768", 13)
# The first release whose nginx has a directive for HTTP/2, and takes HTTP/3.
HTTP2_DIRECTIVE = 13


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Fault(f"expected true or false, got {value!r}")
    return value


# A text in PEM or a file of the controller; the action plugin has read and checked either before
# the plan is made.
PEM_OR_PATH = "a file on the controller, or the text itself in PEM"

TLS_KEYS = {
    "certificate": Key(
        text(None, PEM_OR_PATH),
        None,
        f"the site's certificate and those that vouch for it, in this order: {PEM_OR_PATH}",
    ),
    "key": Key(
        text(None, PEM_OR_PATH),
        None,
        f"key of the certificate: {PEM_OR_PATH}; no log, diff or other account sees it",
    ),
    "self_signed": Key(
        _flag,
        False,
        "true: the host makes a certificate that no client trusts, and keeps it up to date",
    ),
    "acme": Key(
        lambda value: value,
        None,
        "a certificate that a CA issues and certbot renews, whose terms you accept so; true: as "
        "the host's variable `acme` says, else of Let's Encrypt",
    ),
    "redirect": Key(
        _flag, True, "whether plain HTTP is redirected (308); otherwise it serves the site, too"
    ),
    "hsts": Key(
        number(0, 10**9, "seconds"),
        None,
        f"seconds for which browsers shall use HTTPS alone; default: {HSTS} with `redirect` and a "
        "certificate that browsers trust, else 0, which sends nothing",
    ),
}


def check_tls(
    faults: Faults,
    site: Site,
    unable: tuple[str, ...] = (),
    debian: int | None = None,
    acme: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """A site's `tls` with its defaults, None where it has none; empty where it is wrong, which goes
    to faults.

    unable: the servers before the site that serve no HTTPS. debian: the release of the host, where
    it is known. acme: what the host says of the certificates of all its sites.
    """
    given, where = site.tls, f"sites[{site.label}].tls"
    if given is None:
        return None
    before = len(faults.lines)
    if not isinstance(given, dict):
        faults.add(
            where,
            "expected a mapping; write tls: {acme: true}, tls: {certificate: ..., key: ...} or "
            "tls: {self_signed: true}",
        )
        return {}
    for front in unable:
        faults.add(
            where,
            f"front {front} does not serve HTTPS yet; leave the key out, or choose another front",
        )
    done = _check_keys(faults, where, given)
    _refuse_contradictions(faults, where, given, done)
    if given.get("acme") not in (None, False):
        done["acme"] = check_acme(faults, site, given["acme"], debian, acme or {})
    for server_name in site.server_names or ():
        if ADDRESS.fullmatch(server_name):
            what = (
                f"{server_name!r} is an address, and no client names one in TLS; write a host name"
            )
            faults.add(f"sites[{site.label}].server_names", what)
    return {} if len(faults.lines) > before else done


def _check_keys(faults: Faults, where: str, given: dict[str, Any]) -> dict[str, Any]:
    for key in given:
        if key == "profile":
            faults.add(
                f"{where}.profile",
                "a host has one profile for all of its sites; set tls_profile, a variable "
                "of the host",
            )
        elif key not in TLS_KEYS:
            faults.add(
                f"{where}.{key}",
                f"unknown key{nearest(str(key), TLS_KEYS)}; possible: {', '.join(TLS_KEYS)}",
            )
    done = {}
    for name, known in TLS_KEYS.items():
        done[name] = known.default
        if given.get(name) is not None:
            try:
                done[name] = known.check(given[name])
            except Fault as fault:
                for what in fault.args:
                    faults.add(f"{where}.{name}", what)
    return done


def _refuse_contradictions(
    faults: Faults, where: str, given: dict[str, Any], done: dict[str, Any]
) -> None:
    ways = [way for way in WAYS if given.get(way) not in (None, False)]
    if len(ways) > 1:
        faults.add(where, f"{' and '.join(ways)} exclude each other; leave one of them")
    elif not ways and given.get("key") is None:
        hsts = ", and hsts without TLS would lock browsers out" if done["hsts"] else ""
        faults.add(
            where,
            f"nothing says where the certificate comes from{hsts}; write acme: true, name a "
            "certificate and its key, or write self_signed: true",
        )
    if "certificate" in ways and given.get("key") is None:
        faults.add(f"{where}.key", "missing: the key of the certificate")
    if given.get("key") is not None and "certificate" not in ways:
        faults.add(f"{where}.certificate", "missing: the certificate of the key")
    if done["hsts"] and "self_signed" in ways:
        faults.add(
            f"{where}.hsts",
            "it forbids browsers to pass a certificate that they do not trust; leave it out with "
            "self_signed",
        )
    if done["hsts"] and not done["redirect"]:
        faults.add(
            f"{where}.hsts",
            "it forbids browsers plain HTTP, which redirect: false keeps; leave one of the two out",
        )


def settle(
    site: Site, found: Mapping[str, Any] | None, leader: Site | None = None
) -> dict[str, Any] | None:
    """What a front is told of a site's TLS.

    found: what the controller has read of a given certificate: chain, private_key, and whether it
    is trusted. leader: the site whose certificate by ACME this one shares.
    """
    tls = site.tls
    if tls is None:
        return None
    way = next(way for way in WAYS if tls[way])
    leader = leader or site
    directory = f"{paths_of(leader.name, leader.unit)['configuration']}/tls"
    given = (
        {"chain": tls["certificate"], "private_key": tls["key"], "trusted": True}
        if way == "certificate"
        else {}
    )
    if way == "acme":
        given = {"trusted": is_trusted(tls["acme"]) or bool(tls["hsts"])}
    known = {**given, **(found or {})}
    trusted = known.get("trusted", False)
    hsts = tls["hsts"] if tls["hsts"] is not None else HSTS if tls["redirect"] else 0
    return {
        "certificate": f"{directory}/{CERTIFICATE}",
        "key": f"{directory}/{KEY}",
        "names": leader.server_names,
        "self_signed": way == "self_signed",
        "lineage": live(lineage_of(leader.name)) if way == "acme" else None,
        "chain": known.get("chain"),
        "private_key": known.get("private_key"),
        "trusted": trusted,
        "redirect": tls["redirect"],
        "hsts": hsts if trusted else 0,
    }


def refuse_disagreement(faults: Faults, sites: list[Site]) -> None:
    """Sites that share a server name share its virtual host, which has one certificate and one
    redirect.
    """
    first: dict[str, Site] = {}
    for site in sites:
        for server_name in site.server_names or [""]:
            other = first.setdefault(server_name, site)
            if {} not in (other.tls, site.tls) and other.tls != site.tls:
                shown = repr(server_name) if server_name else "being the catch-all"
                faults.add(
                    f"sites[{site.label}].tls",
                    f"not that of site {other.label!r}, with which it shares {shown}; give both "
                    "the same, or other server names",
                )


def of_host(profile: str, debian: int | None) -> dict[str, Any]:
    """What a front is told of all its TLS: a profile by the release of Debian, where it is
    known.
    """
    chosen = PROFILE[profile]
    name, since = POST_QUANTUM
    return {
        "protocols": list(chosen.protocols),
        "ciphers": list(chosen.ciphers),
        "groups": [*([name] if debian and debian >= since else []), *GROUPS],
        "http2_directive": bool(debian and debian >= HTTP2_DIRECTIVE),
    }
