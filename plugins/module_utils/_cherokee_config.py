# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cherokee's configuration: a tree of keys, written flat, one line a value: a!b!c = value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# One key: no separator of keys, no comment, no space but that of a media type; "include" would read
# a file.
KEY = re.compile(
    r"(?!(try_)?include$)[A-Za-z0-9_./-][A-Za-z0-9_./+-]*(; [a-z]+=[a-z0-9-]+)?", re.IGNORECASE
)
# It cuts off spaces at both ends, and ends a line at either of these.
NOT_A_VALUE = re.compile(r"[\r\n\0]|^[ \t]|[ \t]$|^$")
STEP = 10


def cherokee_config(tree: dict[str, Any]) -> str:
    """The lines of a nested tree.

    A mapping's keys are children; the empty one stands for the value of the node itself. The items
    of a list are numbered downwards in tens, since Cherokee asks the highest number first. Raises
    ValueError where Cherokee would read something else.
    """
    return "".join(f"{'!'.join(path)} = {value}\n" for path, value in _leaves(tree, ()))


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, list):
        node = {(len(node) - at) * STEP: item for at, item in enumerate(node)}
    if not isinstance(node, dict):
        yield path, _value(node, path)
        return
    seen: dict[str, str] = {}
    for name, child in node.items():
        key = str(name)
        if key.lower() in seen:
            raise ValueError(
                f"{_shown(path)}: {key!r} and {seen[key.lower()]!r} are the same key for Cherokee"
            )
        seen[key.lower()] = key
        if key == "" and path and not isinstance(child, (dict, list)):
            yield path, _value(child, path)
        elif not isinstance(name, (str, int)) or isinstance(name, bool) or not KEY.fullmatch(key):
            raise ValueError(
                f"{_shown(path)}: {name!r} cannot be a key: letters, digits and _ . / + - only, "
                "and not include"
            )
        else:
            yield from _leaves(child, (*path, key))


def _value(value: Any, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, (str, int)) or not path:
        raise ValueError(f"{_shown(path)}: {value!r} is no text, number or boolean")
    if NOT_A_VALUE.search(str(value)):
        raise ValueError(
            f"{_shown(path)}: {value!r} cannot be a value: it is empty, has spaces at an end, or a "
            "line break"
        )
    return str(value)


def _shown(path: tuple[str, ...]) -> str:
    return "!".join(path) or "the tree"
