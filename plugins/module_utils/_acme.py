# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates by ACME (RFC 8555) in the plan: the keys of a site's `tls.acme`, their faults, and
what certbot is told. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._faults import (
    Fault,
    Faults,
    kind_of,
    nearest,
    shown,
)
from ansible_collections.pyweb.stack.plugins.module_utils._layout import (
    ACME_ROOT,
    CA_BUNDLE,
    WEBROOT,
    lineage_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    REQUIRED,
    Key,
    Site,
    check_keys,
    choice,
    number,
    optional,
    text,
)


@dataclass(frozen=True)
class Server:
    """A CA's ACME server. trusted: whether browsers know the root of what it issues."""

    url: str
    trusted: bool = True


SERVERS = {
    "letsencrypt": Server("https://acme-v02.api.letsencrypt.org/directory"),
    "letsencrypt_staging": Server(
        "https://acme-staging-v02.api.letsencrypt.org/directory", trusted=False
    ),
    "google": Server("https://dv.acme-v02.api.pki.goog/directory"),
    "zerossl": Server("https://acme.zerossl.com/v2/DV90"),
}


@dataclass(frozen=True)
class Plugin:
    """How certbot proves a name by DNS: Debian's package, the credentials that have to be there,
    and how it reads them.

    form: ini, a file of certbot's; json, a file of the service's own; aws, a file that the
        environment names.
    since: the first release of Debian that has it.
    """

    package: str
    needs: tuple[str, ...]
    form: str = "ini"
    since: int = 12


PLUGINS = {
    "rfc2136": Plugin("python3-certbot-dns-rfc2136", ("server", "name", "secret")),
    "cloudflare": Plugin("python3-certbot-dns-cloudflare", ("api_token",)),
    "route53": Plugin(
        "python3-certbot-dns-route53", ("aws_access_key_id", "aws_secret_access_key"), "aws"
    ),
    "google": Plugin("python3-certbot-dns-google", ("client_email", "private_key"), "json"),
    "desec": Plugin("python3-certbot-dns-desec", ("token",), since=13),
}
# The first release whose certbot (4.0) asks for a profile.
PROFILE_SINCE = 13
LINE = re.compile(r"[^\x00-\x1f\x7f]+")
PLAIN = re.compile(r"[^\x00-\x1f\x7f\"]+")


def _server(value: Any) -> str:
    wanted = f"the https URL of an ACME directory, or one of {', '.join(SERVERS)}"
    given = text(None, wanted)(value)
    if given in SERVERS:
        return SERVERS[given].url
    if not re.fullmatch(r"https://[^\s/]+/\S*", given):
        raise Fault(f"{given!r} is not {wanted}{nearest(given, SERVERS)}")
    return given


def _pairs(what: str, needs: tuple[str, ...] = (), lines: bool = False) -> Any:
    """A mapping of names to strings, which may have several lines."""

    def check(value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise Fault(f"expected a mapping of {what}, got {kind_of(value)}")
        for name, item in value.items():
            # Of a secret nothing is shown.
            if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
                raise Fault(f"{name!r} is not a name of {what}")
            if isinstance(item, bool) or not isinstance(item, (str, int)) or str(item) == "":
                raise Fault(f"the value of {name!r} is {kind_of(item)}; expected a string")
            if not lines and not PLAIN.fullmatch(str(item)):
                raise Fault(f"the value of {name!r} has a quotation mark or a line break")
        if missing := [name for name in needs if name not in value]:
            raise Fault(f"missing: {', '.join(missing)}")
        return {str(name): str(item) for name, item in value.items()}

    return check


DNS_KEYS = {
    "plugin": Key(choice(*PLUGINS), REQUIRED, f"how names are proved: {', '.join(PLUGINS)}"),
    "credentials": Key(
        _pairs("credentials", lines=True),
        REQUIRED,
        "what the plugin needs to change the zone, names without `dns_<plugin>_`; needed: "
        + "; ".join(f"{name}: {', '.join(row.needs)}" for name, row in PLUGINS.items()),
    ),
    "propagation": Key(
        optional(number(0, 3600, "seconds")),
        None,
        "seconds until all name servers have a change; default: the plugin's",
    ),
}


def _dns(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Fault(f"expected a mapping with plugin and credentials, got {shown(value)}")
    faults = Faults()
    done = check_keys(faults, "", value, DNS_KEYS)
    if done["plugin"] and done["credentials"]:
        plugin, credentials = PLUGINS[done["plugin"]], done["credentials"]
        if missing := [name for name in plugin.needs if name not in credentials]:
            faults.add("credentials", f"{done['plugin']} needs {', '.join(missing)}, too")
        if plugin.form != "json":
            for name, value in credentials.items():
                if not PLAIN.fullmatch(value):
                    what = f"the value of {name!r} has a quotation mark or a line break"
                    faults.add("credentials", what)
    if faults:
        raise Fault(*faults.lines)
    return done


ACME_KEYS = {
    "server": Key(
        _server,
        SERVERS["letsencrypt"].url,
        f"the CA: {', '.join(SERVERS)}, or the https URL of its ACME directory",
    ),
    "email": Key(
        optional(text(re.compile(r"[^\s@,]+@[^\s@,]+"), "an address such as ops@example.org")),
        None,
        "where the CA writes to, if it writes; one for each CA of a host",
    ),
    "ca_certificates": Key(
        optional(text(None, "a file on the controller, or the text itself in PEM")),
        None,
        "certificates in PEM that vouch for the server of a private CA, at renewals, too: a file "
        "on the controller, or the text",
    ),
    "profile": Key(
        optional(text(re.compile(r"[A-Za-z0-9_.-]+"), "the name of a profile of the CA")),
        None,
        "profile of the CA that is asked for, such as shortlived; Debian 13",
    ),
    "key_type": Key(
        choice("ecdsa", "rsa"), "ecdsa", "of the key: ecdsa (P-256) or rsa (2048 bits)"
    ),
    "challenge": Key(
        choice("http", "dns"),
        "http",
        "how names are proved: http, by the front on port 80; dns, which wildcards need",
    ),
    "dns": Key(
        optional(_dns), None, "with challenge dns, who changes the zone: plugin, credentials"
    ),
    "preferred_chain": Key(
        optional(text(LINE, "a name in one line")),
        None,
        "name of the root that is preferred, where the CA offers several chains",
    ),
    "eab": Key(
        optional(_pairs("kid and hmac_key", ("kid", "hmac_key"))),
        None,
        "external account binding of the CA: kid and hmac_key",
    ),
}


def check_defaults(faults: Faults, given: Any) -> dict[str, Any]:
    """What a host says of the certificates of all its sites; nothing where it is wrong, which goes
    to faults.
    """
    if given is None:
        return {}
    before = len(faults.lines)
    if isinstance(given, dict):
        check_keys(faults, "acme.", given, ACME_KEYS)
    else:
        faults.add("acme", f"expected a mapping, got {shown(given)}; write acme: {{server: URL}}")
    return given if len(faults.lines) == before else {}


def check_acme(
    faults: Faults, site: Site, given: Any, debian: int | None, defaults: dict[str, Any]
) -> dict[str, Any] | None:
    """A site's `tls.acme` with its defaults; what is wrong goes to faults.

    debian: the release of the host, where it is known. defaults: what the host says of all its
    sites.
    """
    where = f"sites[{site.label}].tls.acme"
    if given is True:
        given = {}
    if not isinstance(given, dict):
        faults.add(
            where,
            f"expected true or a mapping, got {shown(given)}; write acme: true for a certificate "
            "of Let's Encrypt, or acme: {server: URL}",
        )
        return None
    if given.get("challenge") == "http":
        defaults = {key: value for key, value in defaults.items() if key != "dns"}
    given = {**defaults, **given}
    done = check_keys(faults, f"{where}.", given, ACME_KEYS)
    wildcards = [name for name in site.server_names or () if name.startswith("*")]
    if not site.server_names:
        faults.add(
            where,
            "the site has no name that a CA could issue a certificate for; give it server_names",
        )
    if wildcards and done["challenge"] == "http":
        faults.add(
            f"{where}.challenge",
            f"{', '.join(wildcards)} can be proved by DNS alone; write challenge: dns, and dns: "
            "{plugin: ..., credentials: {...}}",
        )
    if done["challenge"] == "dns" and given.get("dns") is None:
        faults.add(f"{where}.dns", "missing: with challenge dns, plugin and credentials")
    if done["dns"] and done["challenge"] == "http":
        faults.add(f"{where}.dns", "it is for challenge dns; write that, too, or leave it out")
    needed = PLUGINS[done["dns"]["plugin"]].since if done["dns"] else 0
    for key, since in (
        ("profile", PROFILE_SINCE if done["profile"] else 0),
        ("dns.plugin", needed),
    ):
        if debian and debian < since:
            faults.add(
                f"{where}.{key}",
                f"certbot has it since Debian {since}, and the host has Debian {debian}; leave it "
                "out",
            )
    return done


def refuse_two_accounts(faults: Faults, sites: list[Site]) -> None:
    """A host has one account at each CA."""
    first: dict[tuple[str, str], tuple[Site, Any]] = {}
    by_acme = {
        site.label: (site, site.tls["acme"]) for site in sites if site.tls and site.tls.get("acme")
    }
    for site, acme in by_acme.values():
        for key in ("email", "eab"):
            other, value = first.setdefault((acme["server"], key), (site, acme[key]))
            if value != acme[key]:
                faults.add(
                    f"sites[{site.label}].tls.acme.{key}",
                    f"not that of site {other.label!r}, and a host has one account at "
                    f"{acme['server']}; give both the same",
                )
    at_aws = [
        (site, acme["dns"]["credentials"])
        for site, acme in by_acme.values()
        if acme["dns"] and PLUGINS[acme["dns"]["plugin"]].form == "aws"
    ]
    for site, credentials in at_aws[1:]:
        if credentials != at_aws[0][1]:
            faults.add(
                f"sites[{site.label}].tls.acme.dns.credentials",
                f"not those of site {at_aws[0][0].label!r}, and certbot knows one account at Route "
                "53; give both the same",
            )


def is_trusted(acme: dict[str, Any]) -> bool:
    """Whether browsers trust what the CA issues, as far as is known: of a private CA it is not."""
    return any(row.url == acme["server"] and row.trusted for row in SERVERS.values())


def leader_of(site: Site, sites: list[Site]) -> Site:
    """The site whose certificate is for all names of this one, too; itself where no other's is."""
    able = [
        other
        for other in sites
        if other.tls == site.tls and set(other.server_names) >= set(site.server_names)
    ]
    return min(
        able, key=lambda other: (-len(set(other.server_names)), len(other.mount), other.name)
    )


def told(site: Site, tls: dict[str, Any], authority: str | None) -> dict[str, Any]:
    """What certbot and the host are told of a site's certificate.

    tls: as a front is told. authority: the text of ca_certificates.
    """
    acme = site.tls["acme"]  # type: ignore[index]
    dns = acme["dns"]
    files = {
        "configuration": f"{ACME_ROOT}/{site.name}.ini",
        "credentials": f"{ACME_ROOT}/{site.name}.credentials" if dns else None,
        "authority": f"{ACME_ROOT}/{site.name}.pem" if authority else None,
    }
    wanted = {
        "name": site.name,
        "lineage": lineage_of(site.name),
        "names": site.server_names,
        "configuration": files["configuration"],
        "certificate": tls["certificate"],
        "key": tls["key"],
        "server": acme["server"],
    }
    return {
        "name": site.name,
        "wanted": wanted,
        "webroot": WEBROOT,
        **{
            key: acme[key]
            for key in ACME_KEYS
            if key not in ("ca_certificates", "challenge", "dns")
        },
        **files,
        "dns": {key: dns[key] for key in ("plugin", "propagation")} if dns else None,
        "credentials_text": _credentials(dns) if dns else None,
        "by_environment": bool(dns and PLUGINS[dns["plugin"]].form == "aws"),
        "package": PLUGINS[dns["plugin"]].package if dns else None,
        "authority_text": authority,
        "bundle": CA_BUNDLE if authority else None,
    }


def interim(plan: dict[str, Any], looked: dict[str, Any]) -> dict[str, Any]:
    """The plan of a host as long as certificates are still to come: who has none has plain HTTP,
    and who has one of another kind tells browsers nothing for later.

    looked: what M(pyweb.stack.certificates) has returned.
    """
    missing, pending = looked.get("missing", ()), looked.get("pending", ())
    if not pending:
        return plan

    def tls(given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is None or given["certificate"] in missing:
            return None
        return {**given, "hsts": 0} if given["certificate"] in pending else given

    def target(given: dict[str, Any]) -> dict[str, Any]:
        if given.get("certificate") not in missing:
            return given
        through = {**given["endpoint"], **given["plain"]}
        return {**given, "endpoint": through, "scheme": "http", "certificate": None, "plain": None}

    sites = f"front_{plan['front']}_sites"
    return {
        **plan,
        sites: [{**site, "tls": tls(site["tls"])} for site in plan[sites]],
        "targets": [target(each) for each in plan["targets"]],
    }


def _credentials(dns: dict[str, Any]) -> str:
    """The file of credentials that a plugin reads."""
    given, form = dns["credentials"], PLUGINS[dns["plugin"]].form
    if form == "json":
        return json.dumps({"type": "service_account", **given}, indent=2) + "\n"
    if form == "aws":
        return "[default]\n" + "".join(f"{name} = {value}\n" for name, value in given.items())
    return "".join(f'dns_{dns["plugin"]}_{name} = "{value}"\n' for name, value in given.items())
