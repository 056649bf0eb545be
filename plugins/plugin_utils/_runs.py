# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sites whose processes a set runs: the files that all such sets have for each of them, and
their candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._layout import RUNTIME_UNITS, UNITS
from ansible_collections.pyweb.stack.plugins.module_utils._site import HOOKS

VARIABLES: list[dict[str, Any]] = [
    {"path": "{paths[environment]}", "template": "environment.j2"},
    {
        "path": "{paths[secrets]}",
        "template": "secrets.j2",
        "group": "{account}",
        "mode": "0640",
        "secret": True,
    },
]
CURRENT = {"path": "{paths[current]}", "target": "releases/{release[id]}"}
# Elsewhere than beside the releases.
CURRENT_OF_CANDIDATE = {**CURRENT, "target": "{release[path]}"}

# From an item of a list, each of its entries: one for every site that it names.
Expand = Callable[[dict[str, Any]], "list[dict[str, Any]]"]


def files_of(runs: list[dict[str, Any]], late: bool) -> list[dict[str, Any]]:
    """The files that every set has of the sites that it runs, as items of its files.

    late: whether they stay until nothing uses them.
    """
    more = {"each": runs, **({"late": True} if late else {})}
    return [{**file, **more} for file in (*VARIABLES, CURRENT)]


def candidates_of(
    runs: list[dict[str, Any]],
    files: list[dict[str, Any]],
    units: list[dict[str, Any]],
    expand_file: Expand,
    expand_unit: Expand,
    by: str = "",
) -> list[dict[str, Any]]:
    """The candidates of a set's sites, as far as the plan gives them one or they have hooks.

    files, units: the set's own items, each of which may stand for several sites.
    by: who changes them.
    """
    found = []
    for site in runs:
        beside = site.get("candidate")
        if not beside:
            continue
        values = {**site, **beside}
        own = [*VARIABLES, CURRENT_OF_CANDIDATE]
        names: list[str] = []
        if beside.get("endpoint"):
            own = [*_of_site(files, site["name"]), *own]
            names = [
                entry["name"]
                for item in _of_site(units, site["name"])
                for entry in expand_unit({**item, "each": [values]})
            ]
        found.append(
            {
                "site": site["name"],
                "account": site["account"],
                "slice": site.get("slice"),
                "release": site["release"],
                "by": by,
                "files": [
                    {**entry, "path": _placed(entry["path"])}
                    for item in own
                    for entry in expand_file({**item, "each": [values]})
                ],
                "units": names,
                "target": beside.get("target"),
                "stands_for": f"{site['unit']}.service",
                "variables": {
                    "before_switch": [beside["paths"][key] for key in ("environment", "secrets")],
                    "after_switch": [site["paths"][key] for key in ("environment", "secrets")],
                },
                "hooks": {name: site.get(name) or [] for name in HOOKS},
            }
        )
    return found


def _of_site(items: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The items of a set that stand for a site, too."""
    return [item for item in items if any(each["name"] == name for each in item.get("each") or ())]


def _placed(path: str) -> str:
    """Where a file of a candidate stands: units where a boot forgets them."""
    return RUNTIME_UNITS + path[len(UNITS) :] if path.startswith(f"{UNITS}/") else path
