# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server's parser complains about, together with the lines that it points at: they exist on
no disk when it refuses them.
"""

from __future__ import annotations

import re

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS

# How the parsers name a place. Where one line names several, each includes the next, and the last
# is where the fault is.
PLACES = (
    *(re.compile(front.place) for front in FRONTS.values() if front.place),
    re.compile(r"(?P<path>/[^\s:]+):(?P<line>\d+)\b"),  # systemd's, too
)
# These come, a line each, after the place of the fault, from the files that include it.
INCLUDING = [re.compile(front.place) for front in FRONTS.values() if front.place_first]
AROUND = 2
MOST = 5


def explain(words: str, texts: dict[str, str]) -> str:
    """The words of a parser, followed by the lines that they point at.

    texts: the files that were tried, path to text; leave out the secret ones, and no line of theirs
    is shown.
    """
    shown = [_excerpt(path, line, texts[path]) for path, line in _places(words, texts)[:MOST]]
    return "\n\n".join([words, *shown])


def _places(words: str, texts: dict[str, str]) -> list[tuple[str, int]]:
    """The places in these texts that the words name, each once; the line is never beyond the text's
    end.
    """
    found: list[tuple[str, int]] = []
    included = False
    for sentence in words.splitlines():
        place = _place(sentence, texts)
        including = any(pattern.search(sentence) for pattern in INCLUDING)
        if place is None or (included and including):
            continue
        included = included or including
        if place not in found:
            found.append(place)
    return found


def _place(sentence: str, texts: dict[str, str]) -> tuple[str, int] | None:
    named = [
        (match["path"], int(match["line"]))
        for pattern in PLACES
        for match in pattern.finditer(sentence)
    ]
    known = [
        (path, max(1, min(line, len(_lines(texts[path])))))
        for path, line in named
        if texts.get(path)
    ]
    return known[-1] if known else None


def _lines(text: str) -> list[str]:
    """As the parsers count them, which is by line feeds alone."""
    return text.removesuffix("\n").split("\n")


def _excerpt(path: str, line: int, text: str) -> str:
    lines = _lines(text)
    first = max(1, line - AROUND)
    numbered = list(enumerate(lines, 1))[first - 1 : line + AROUND]
    width = len(str(numbered[-1][0]))
    return "\n".join(
        [
            f"{path}:{line}",
            *(
                f"{'>' if number == line else ' '} {number:{width}} | {content}"
                for number, content in numbered
            ),
        ]
    )
