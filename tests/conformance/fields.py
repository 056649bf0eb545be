# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of fields that an application and a front may both set, and of which there is one (RFC
9110, 5.3).
"""

from __future__ import annotations

from collections.abc import Iterator

from client import Check, Target, group

FIELDS = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Server": "own"}


@group
def fields(target: Target) -> Iterator[Check]:
    """Of an answer whose application sets them."""
    for name, value in FIELDS.items():
        action = target.action("answer", header=[f"{name}: {value}"], body="x")
        yield Check(
            f"{name} of the application",
            lambda t, name=name, action=action: f"{len(t.ask(action).all(name))} of them",
            ("1 of them",),
        )
