# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tables of a site's keys are made of: who sees a key once the plan has finished it.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# What an item of each list is for: the role app, that of a back, that of a front; or a site that
# runs inside its front.
APP, BACK, INSIDE, FRONT = "app", "back", "embedded", "front"


@dataclass(frozen=True)
class Finished:
    """A key: who sees it, and its option in Ansible's argument specs.

    description: with none, the meaning of the key in the inventory.
    needed: of those, the ones whose specs ask for it, since their templates need a value.
    words: what it means to one of them, where that differs.

    Both name a role, or what an item is for.
    """

    seen_by: tuple[str, ...]
    option: dict[str, Any]
    description: str | list[str] = ""
    needed: tuple[str, ...] = ()
    words: dict[str, str | list[str]] = field(default_factory=dict)


RUNS = (BACK, INSIDE)
# Their templates have the numbers of processes; the runners of the others read them from variables.
RENDERING = ("back_uwsgi", "back_mod_wsgi", INSIDE)
STR, INT, BOOL, DICT = ({"type": kind} for kind in ("str", "int", "bool", "dict"))
TEXTS = {"type": "list", "elements": "str"}
