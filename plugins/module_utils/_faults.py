# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with an inventory, collected: where it stands, what was given, and what is possible
instead. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any


class Fault(ValueError):
    """What is wrong with one value, and what is possible instead; one argument for each thing that
    is wrong.
    """


class Faults:
    """Collects faults: each says where, what was given and what is possible."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, what: str) -> None:
        """Note one fault, once."""
        line = f"{where}: {what}"
        if line not in self.lines:
            self.lines.append(line)

    def __bool__(self) -> bool:
        return bool(self.lines)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def kind_of(value: Any) -> str:
    names = {
        "str": "a string",
        "int": "a number",
        "bool": "a boolean",
        "list": "a list",
        "dict": "a mapping",
        "float": "a number",
    }
    for kind in (bool, str, int, list, dict, float):
        if isinstance(value, kind):
            return names[kind.__name__]
    return "nothing" if value is None else "something else"


def shown(value: Any) -> str:
    """Its kind, and a plain value itself; not what is inside a list or a mapping, where a secret
    may be.
    """
    return (
        kind_of(value)
        if value is None or isinstance(value, (list, dict))
        else f"{kind_of(value)} ({value!r:.100})"
    )


def gather(check: Callable[..., Any], items: Iterable[Any]) -> list[Any]:
    """What a check makes of each item; the faults of all of them together."""
    done: list[Any] = []
    wrong: list[str] = []
    for item in items:
        try:
            done.append(check(item))
        except Fault as fault:
            wrong += fault.args
    if wrong:
        raise Fault(*wrong)
    return done
