# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environment files are read back as they were meant, by a parser of the rules in systemd.exec(5),
EnvironmentFile=.
"""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._environment_file import environment_file
from hypothesis import example, given
from hypothesis import strategies as st


def parse(text):
    """What systemd reads: comments, bare, single-quoted and double-quoted values, and its escapes
    in each.
    """
    values, position = {}, 0

    def take():
        nonlocal position
        position += 1
        return text[position - 1] if position <= len(text) else ""

    while position < len(text):
        letter = take()
        if letter in " \t\n\r":
            continue
        if letter in "#;":
            while letter and letter not in "\n\r":
                letter = take()
            continue
        name = ""
        while letter and letter != "=":
            assert letter not in "\n\r", "a line without ="
            name += letter
            letter = take()
        value, quote = "", ""
        while letter := take():
            if quote == "'":
                value, quote = (value, "") if letter == "'" else (value + letter, quote)
            elif quote == '"':
                if letter == "\\":
                    escaped = take()
                    value += (
                        escaped if escaped in '"\\`$' else "" if escaped == "\n" else f"\\{escaped}"
                    )
                elif letter == '"':
                    quote = ""
                else:
                    value += letter
            elif letter in "\n\r":
                break
            elif letter in "'\"":
                quote = letter
            elif letter == "\\":
                value += take().strip("\n\r")
            else:
                value += letter
        assert not quote, "a quote that never ends"
        values[name.strip()] = value
    return values


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    alphabet="\\\"'`$#;= \t\n\rab{}%"
)


@given(st.dictionaries(NAMES, TEXT))
@example(
    {
        "A": 'say "hello"',
        "B": "back\\slash\\",
        "C": "$HOME `id` ${X}",
        "D": "two\nlines\\\n",
        "E": "",
        "F": " # no comment ",
        "G": "A=b\nC=d",
    }
)
def test_systemd_reads_back_what_was_meant(values):
    assert parse(f"# Ansible managed\n{environment_file(values)}") == values


def test_lines_are_in_the_order_of_their_names():
    assert environment_file({"B": "2", "A": "1"}) == 'A="1"\nB="2"\n'


def test_nothing_is_an_empty_file():
    assert environment_file({}) == ""


def test_nul_is_refused():
    with pytest.raises(ValueError, match="the value of A has a NUL character"):
        environment_file({"A": "x\0y"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b c\n", {"A": "b c"}),
        ("A='b\\'\n", {"A": "b\\"}),
        ('A="\\a\\$"', {"A": "\\a$"}),
        ("A=b\\\nc", {"A": "bc"}),
    ],
)
def test_the_parser_itself(text, expected):
    assert parse(text) == expected
