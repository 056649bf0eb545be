# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that a CA issues by ACME (RFC 8555), on the host: Debian's certbot obtains and
renews them.

Certbot calls what it keeps of a site a lineage: each certificate of it replaces the one before. The
record of the set acme has the lineages that are the collection's.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils import _layout
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import (
    Pair,
    PairError,
    issued,
    served,
    try_pair,
)
from ansible_collections.pyweb.stack.plugins.module_utils._change import remove_empty
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    execute,
    remove_tree,
    seal,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import Record, lock

SET = "acme"
CERTBOT = ("certbot", "--non-interactive")
# Seconds to wait for a certbot that somebody else has started.
PATIENCE = 120
BUSY = "Another instance of Certbot is already running"
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def why_due(item: dict[str, Any], record: Record, now: float | None = None) -> str | None:
    """Why a site has to have another certificate than the newest one, if so."""
    pair = issued(_layout.live(item["lineage"]))
    if pair is None:
        return "it has none yet"
    known = record.items["lineages"].get(item["lineage"], {})
    if known.get("told") != _digest(item["configuration"]):
        return "what certbot is told of it has changed"
    try:
        found = try_pair(*pair, item["names"])
    except PairError as error:
        return str(error)
    now = time.time() if now is None else now
    return ending(found, now) if found.overdue(now) else None


def ending(pair: Pair, now: float) -> str:
    """In words, when a certificate ends that should have been renewed."""
    hours = (pair.ends - now) / 3600
    left = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
    return f"it ends in {left}, and was not renewed; see systemctl status certbot.service"


def late(pairs: list[dict[str, Any]], now: float | None = None) -> list[str]:
    """Which of the pairs of a front should have been renewed by now, in words."""
    found = []
    for item in pairs:
        pair = issued(item["lineage"]) if item.get("lineage") else None
        try:
            seen = try_pair(*pair, []) if pair else None
        except PairError as error:
            found.append(f"The certificate of {item['site']} is not renewed: {error}")
            continue
        moment = time.time() if now is None else now
        if seen and seen.overdue(moment):
            found.append(f"The certificate of {item['site']}: {ending(seen, moment)}")
    return found


def look(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the sites' certificates: missing, those of which a front could serve none; pending, those
    that no CA has issued yet; due, why which are to be obtained.
    """
    record = Record(SET)
    pending = [item for item in items if issued(_layout.live(item["lineage"])) is None]
    return {
        "missing": [item["certificate"] for item in pending if None in served(item)],
        "pending": [item["certificate"] for item in pending],
        "due": {item["name"]: why for item in items if (why := why_due(item, record))},
    }


def obtain(item: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Have a certificate issued. Returns what is to be known of it, and the words of the CA or of
    certbot where there is none.
    """
    argv = [*CERTBOT, "certonly", "--no-directory-hooks", "--config", item["configuration"]]
    if issued(_layout.live(item["lineage"])):
        argv.append("--force-renewal")
    before = _accounts()
    status, words = _certbot(argv)
    known = {"site": item["name"], "server": item["server"]}
    ours = {one.get("account", "") for one in Record(SET).items["lineages"].values()}
    ours |= _accounts() - before
    if account := next((path for path in ours if item["server"] == _server_of(path)), None):
        known["account"] = account
    if status != 0:
        return known, _essence(words)
    keep_window(item["lineage"])
    return {**known, "told": _digest(item["configuration"])}, None


def settle(items: list[dict[str, Any]], obtained: dict[str, dict[str, Any]]) -> bool:
    """Note which lineages are wanted, and what is known of those that came. Returns whether any is
    leaving.
    """
    lock()
    record = Record(SET)
    known = record.items["lineages"]
    for name, more in obtained.items():
        known[name] = {**known.get(name, {}), **more}
    wanted = {item["lineage"] for item in items}
    for name, one in known.items():
        one["leaving"] = name not in wanted
    record.save()
    return bool(record.leaving("lineages"))


def keep_window(lineage: str) -> None:
    """Tell certbot when to renew, by the lifetime of the certificate itself: its own rule is 30
    days, whatever the lifetime.
    """
    path = Path(_layout.CERTBOT_ROOT, "renewal", f"{lineage}.conf")
    pair = issued(_layout.live(lineage))
    try:
        seen = try_pair(*pair, []) if pair else None
    except PairError:
        seen = None  # whoever takes it up says so
    if seen is None:
        return
    window = f"renew_before_expiry = {seen.renewed_at() / 3600:.0f} hours"
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(r"(?m)^#?\s*renew_before_expiry\s*=.*$", window, text, count=1)
    changed = changed if count else f"{window}\n{text}"
    if changed != text:
        path.write_text(changed, encoding="utf-8")


def end(lineage: str, known: dict[str, Any]) -> str | None:
    """Remove a lineage, and its account at the CA where no other lineage is left that uses it.
    Returns why it stays, if it does.
    """
    if Path(_layout.CERTBOT_ROOT, "renewal", f"{lineage}.conf").exists():
        try:
            status, words = _certbot([*CERTBOT, "delete", "--cert-name", lineage])
        except FileNotFoundError:
            status, words = 127, "certbot is not installed; install it, and run again"
        if status != 0:
            return f"The certificates {lineage} stay: {_essence(words)}"
    account = known.get("account")
    if account and os.path.isdir(account) and os.path.basename(account) not in _used_accounts():
        _certbot([*CERTBOT, "unregister", "--server", known["server"]])
        # Also where the CA cannot be reached.
        if os.path.isdir(account):
            remove_tree(account)
        for folder in Path(account).parents:
            if folder == Path(_layout.CERTBOT_ROOT):
                break
            remove_empty([str(folder)])
    return None


def trust() -> None:
    """Write what certbot trusts: the CAs of Debian, and those that sites name."""
    own = sorted(Path(_layout.ACME_ROOT).glob("*.pem"))
    Path(_layout.CA_BUNDLE).write_bytes(
        b"\n".join(path.read_bytes() for path in [Path(SYSTEM_BUNDLE), *own])
    )


def _certbot(argv: list[str]) -> tuple[int, str]:
    """Run certbot as its timer does, in the same environment."""
    given = Path(_layout.ACME_ROOT, "certbot.environment")
    lines = given.read_text(encoding="utf-8").splitlines() if given.exists() else []
    more = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if "REQUESTS_CA_BUNDLE" in more:
        trust()
    begin = time.monotonic()
    while True:
        done = execute(argv, env={**os.environ, "LC_ALL": "C.UTF-8", **more})
        words = (done.stdout + done.stderr).decode(errors="replace")
        if BUSY not in words or time.monotonic() - begin > PATIENCE:
            return done.returncode, words
        time.sleep(2)


def _essence(words: str) -> str:
    """What the CA has said, of all that certbot prints."""
    problems = re.findall(r"(?m)^\s*Domain:\s*(\S+)\s+Type:\s*(\S+)\s+Detail:\s*(.*)$", words)
    if problems:
        return "; ".join(f"{name}: {detail} ({kind})" for name, kind, detail in problems)
    noise = re.compile(
        r"Saving debug log|Ask for help|Requesting|Renewing|An unexpected error|- - "
    )
    lines = [line for line in words.splitlines() if line.strip() and not noise.match(line)]
    return " ".join(lines[-3:]) or "certbot says nothing; see /var/log/letsencrypt/letsencrypt.log"


def _digest(path: str) -> str:
    """Of what certbot is told; empty where it is told nothing yet."""
    return seal(Path(path).read_bytes()).decode() if os.path.exists(path) else ""


def _accounts() -> set[str]:
    """The directories of all accounts that certbot has."""
    root = Path(_layout.CERTBOT_ROOT, "accounts")
    return {str(path.parent) for path in root.glob("**/regr.json")}


def _server_of(account: str) -> str:
    """The URL of the CA of an account: certbot keeps it by that."""
    root = Path(_layout.CERTBOT_ROOT, "accounts")
    return f"https://{Path(account).parent.relative_to(root)}" if account else ""


def _used_accounts() -> set[str]:
    """The names of the accounts by which certificates are renewed."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in Path(_layout.CERTBOT_ROOT, "renewal").glob("*.conf")
    ]
    return {name for text in texts for name in re.findall(r"(?m)^account = (\w+)$", text)}
