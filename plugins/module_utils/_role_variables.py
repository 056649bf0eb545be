# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the server roles: what is misspelt or has another type. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._faults import Faults, nearest

FLAGS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def flag(faults: Faults, where: str, value: Any, default: bool) -> bool:
    """A boolean; -e gives it as a word."""
    if value is None:
        return default
    if isinstance(value, str) and value.lower() in FLAGS:
        return FLAGS[value.lower()]
    if not isinstance(value, bool):
        faults.add(where, f"expected true or false, got {value!r}")
    return bool(value)


def mistyped_variables(values: dict[str, Any], options: dict[str, dict[str, Any]]) -> list[str]:
    """Faults of the roles' variables (name to value, which may be a template): a list or a boolean
    that is given as another text, as -e does.
    """
    types = {
        name: option.get("type", "str")
        for known in options.values()
        for name, option in known.items()
    }
    faults = []
    for name, value in sorted(values.items()):
        if isinstance(value, str) and "{{" in value:
            continue
        if types.get(name) == "list" and not isinstance(value, list):
            faults.append(
                f'{name}: expected a list, got {value!r}; with -e write JSON: \'{{"{name}": '
                "[...]}'"
            )
        if (
            types.get(name) == "bool"
            and not isinstance(value, bool)
            and str(value).lower() not in FLAGS
        ):
            faults.append(f"{name}: expected true or false, got {value!r}")
    return faults


def unknown_variables(names: Iterable[str], options: dict[str, set[str]]) -> list[str]:
    """Faults of variables that carry a server role's prefix and are not among its options (role
    name to names of options).
    """
    return [
        f"{name}: the role {role} has no such variable{nearest(name, known)}"
        for role, known in sorted(options.items())
        for name in sorted(names)
        if name.startswith(f"{role}_") and name not in known
    ]
