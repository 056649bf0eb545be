# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What raw text says to nginx, where a template has to know."""

from __future__ import annotations

import re

# A comment, a quoted or a bare word, or what ends a directive.
TOKEN = re.compile(
    r"""(?<![^\s;{}])\#[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | [;{}]
    | (?:\$\{[^}]*\}|\\.|[^\s;{}])+""",
    re.VERBOSE | re.DOTALL,
)


def authenticates(text: str) -> bool:
    """Whether nginx lets no request of a server with this text pass without a user's name and
    password.

    Its $remote_user is what a client claims: true only behind auth_basic with a file of users, and
    where nothing else is enough. What a block of its own says, such as a location's, does not hold
    for the rest of the server.
    """
    told: dict[str, list[str]] = {}
    words: list[str] = []
    depth = 0
    for token in TOKEN.findall(text):
        if token.startswith("#"):
            continue
        if token not in (";", "{", "}"):
            words.append(token.strip("\"'"))
            continue
        if token == ";" and words and not depth:
            told[words[0]] = words[1:]
        words = []
        depth += {"{": 1, "}": -1}.get(token, 0)
    realm = told.get("auth_basic") or ["off"]
    # A variable may hold "off".
    demanded = realm[0] != "off" and "$" not in realm[0] and "auth_basic_user_file" in told
    return demanded and told.get("satisfy") != ["any"]
