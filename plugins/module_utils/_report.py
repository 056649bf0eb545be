# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table at the end of a run: each site of each host, what serves it, and what changed. Pure.

No cell holds a space, since Ansible breaks long lines at single ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._holding import hold

HEAD = ("host", "site", "URL", "front", "back", "link", "release")
RELEASES = ("host", "site", "release", "from", "since", "before")
NONE = "-"
# The files of a site that a reader knows by their names; of others the role is enough.
NAMED = ("environment", "secrets")


def report(
    known: Mapping[str, Mapping[str, Any]], alive: list[str], check: bool, releases: bool = False
) -> list[str]:
    """The lines of the table; none where no host has a plan.

    known: what is registered for each host of the run. alive: the hosts that have not failed.
    releases: whether to say which release serves each site, and which did before it.
    """
    if not any(_plan(values) for values in known.values()):
        return []
    rows: list[tuple[str, ...]] = [(*HEAD, "would-change" if check else "changed")]
    for host, values in known.items():
        plan, failed = _plan(values), host not in alive
        changes = _changes(plan, values)
        for row in plan.get("table") or ([{"site": NONE}] if failed else []):
            words = [*changes.pop(row["site"], ()), *(["failed"] if failed else [])]
            rows.append(
                (host, *[row.get(key) or NONE for key in HEAD[1:]], ",".join(words) or "nothing")
            )
        for site, words in sorted(changes.items()):
            rows.append((host, site or "(all)", *[NONE] * (len(HEAD) - 2), ",".join(words)))
    commands = [line for host, values in known.items() for line in _commands(host, values)]
    return [*_table(rows), *commands, *(_releases(known, alive) if releases else [])]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]


def _releases(known: Mapping[str, Mapping[str, Any]], alive: list[str]) -> list[str]:
    """The release of each site on each back, where it is from, since when it serves, and the one
    before it.
    """
    rows: list[tuple[str, ...]] = [RELEASES]
    for host, values in known.items():
        plan = _plan(values)
        served = (values.get("pyweb_compared") or {}).get("releases") or {}
        for site in plan.get("app_sites", []) if plan.get("backs") else []:
            before, release = list(served.get(site["name"]) or []), site["release"]
            since = "now"
            if host not in alive or (before and before[-1]["id"] == release["id"]):
                release = before.pop() if before else {}
                since = release.get("since", NONE)
            former = [each["id"] for each in before if each["id"] != release.get("id")]
            words = (release.get("id"), release.get("from"), since, (former or [NONE])[-1])
            rows.append((host, site["name"], *(word or NONE for word in words)))
    return _table(rows)


def _applied(values: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What the role of each set of a host has registered."""
    return [(role, values.get(f"__{role}_applied") or {}) for role in _plan(values).get("sets", [])]


def _commands(host: str, values: Mapping[str, Any]) -> list[str]:
    """The commands of hooks that ran on a host, each with what it has said."""
    lines = []
    for _role, applied in _applied(values):
        for done in applied.get("hooks") or []:
            words = " ".join(done["command"])
            how = f"{done['seconds']} s" if "seconds" in done else "would run"
            lines.append(f"{host}, {done['site']}, {done['hook']}: {words} ({how})")
            lines += [f"    {line}" for line in done["output"]]
    return lines


def _plan(values: Mapping[str, Any]) -> Mapping[str, Any]:
    plan = (values.get("pyweb_planned") or {}).get("plan") or {}
    return hold(plan, (values.get("pyweb_compared") or {}).get("held")) if plan else {}


def _changes(plan: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What changed of each site, in words; of what all sites share under an empty name."""
    found: dict[str, list[str]] = {}

    def note(site: str, word: str) -> None:
        words = found.setdefault(site, [])
        if word not in words:
            words.append(word)

    for role, applied in _applied(values):
        for site in applied.get("missing_releases") or []:
            note(site, "release")
        if applied.get("packages"):
            note("", "packages")
        for site, keys in (applied.get("sites") or {}).items():
            for key in keys:
                name = key.rpartition("/")[2]
                word = (
                    ("limits" if site else "accounts") if role == "app" else role.partition("_")[0]
                )
                # Items of another kind have names, too, such as the modules of Apache.
                note(site if site in plan["sites"] else "", name if name in NAMED else word)
    for site in (values.get("acme_certificates") or {}).get("obtained") or []:
        note(site, "certificate")
    # A site's account has its name, and goes with it.
    for site in (values.get("pyweb_retired") or {}).get("accounts") or []:
        note(site, "removed")
    return found
