# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sites keep, or get, another release than the planned one: after a rollback, and where only
one site is deployed. Pure.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._faults import nearest
from ansible_collections.pyweb.stack.plugins.module_utils._history import KNOWN
from ansible_collections.pyweb.stack.plugins.module_utils._layout import SITES_ROOT, release_of


def settle(
    planned: dict[str, dict[str, Any]],
    served: dict[str, list[dict[str, Any]]],
    forward: bool = False,
    only: str | None = None,
    rollback: str | None = None,
) -> tuple[dict[str, dict[str, Any]], list[str], list[str]]:
    """Which sites of a host keep, or get, another release than the planned one.

    planned: the release of each site that the host runs. served: see History.found.
    forward: whether a release may come back that was left.
    only: the site that alone may get another release.
    rollback: the release that this one gets; an empty text is the one before that which serves.

    Returns these releases, what is to be said of them, and faults.
    """
    held: dict[str, dict[str, Any]] = {}
    words: list[str] = []
    if only is not None and planned and only not in planned:
        what = f"{only!r} is no site that this host runs" if only else "name one, -e site=NAME"
        return {}, [], [f"site: {what}; possible: {', '.join(planned)}{nearest(only, planned)}"]
    for site, release in planned.items():
        known = served.get(site) or []
        if site == only and rollback is not None:
            target, fault = _target(site, known, rollback)
            if target is None:
                return {}, [], [fault]
            held[site] = {**target, "instead_of": release["source"]}
        elif known and only is not None and site != only:
            # What is not there can only be built anew.
            if known[-1]["id"] != release["id"] and known[-1]["there"]:
                held[site] = known[-1]
        elif known and known[-1].get("instead_of") == release["source"] and not forward:
            held[site] = known[-1]
            words.append(
                f"sites[{site}]: release {known[-1]['id']} stays, to which it was rolled back at "
                f"{known[-1]['since']} by {known[-1]['by']}; another source moves on, or -e "
                "forward=true"
            )
    kept = {site: {key: each[key] for key in KNOWN if each.get(key)} for site, each in held.items()}
    return kept, words, []


def _target(
    site: str, served: list[dict[str, Any]], wanted: str
) -> tuple[dict[str, Any] | None, str]:
    """The release that a site goes back to, or why it cannot."""
    newest = {each["id"]: each for each in served}  # the last time that each served
    there = [each for each in newest.values() if each["there"]]
    shown = "; ".join(
        f"{each['id']} (since {each['since']}, from {each.get('from', '?')})"
        for each in sorted(there, key=lambda each: str(each["since"]), reverse=True)
    )
    if wanted:
        if wanted in newest and newest[wanted]["there"]:
            return newest[wanted], ""
        return None, (f"release: {wanted!r} is not there; releases of {site}: {shown or 'none'}")
    before = [each for each in reversed(served) if each["id"] != served[-1]["id"]]
    target = next((each for each in before if each["there"]), None)
    return target, f"site: {site} has no release before the one that serves; there: {shown or '-'}"


def hold(plan: dict[str, Any], held: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """The plan with other releases of some sites."""
    if not held:
        return plan
    replaced = {
        site["release"]["path"]: {
            **held[site["name"]],
            "path": release_of(site["name"], held[site["name"]]["id"]),
            "held": True,
        }
        for site in plan["app_sites"]
        if site["name"] in held
    }

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        if isinstance(value, dict):
            if "id" in value and value.get("path") in replaced:
                return replaced[value["path"]]
            return {key: changed(item) for key, item in value.items()}
        if isinstance(value, str) and value.startswith(f"{SITES_ROOT}/"):
            for old, new in replaced.items():
                if value == old or value.startswith(f"{old}/"):
                    return new["path"] + value[len(old) :]
        return value

    done: dict[str, Any] = changed(plan)
    for row in done["table"]:
        if row["release"] and row["site"] in held:
            row["release"] = held[row["site"]]["id"]
    return done
