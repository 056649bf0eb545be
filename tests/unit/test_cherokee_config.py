# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key tree is read back as it was meant, by a parser of what Cherokee's reader does."""

from __future__ import annotations

import string

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._cherokee_config import cherokee_config
from hypothesis import given
from hypothesis import strategies as st


def parse(text):
    """What Cherokee reads: a nested tree, in which the value of a node that has children has the
    empty key.
    """
    root = {}
    for line in text.replace("\r", "\n").split("\n"):
        line = line.lstrip(" \t")
        # Its reader skips short lines without a word.
        if len(line) <= 4 or line.startswith("#"):
            continue
        key, found, value = line.partition(" = ")
        assert found, f"{line!r} is no line of a key tree"
        assert key.strip() not in ("include", "try_include")
        node = root
        for part in key.strip(" ").split("!"):
            known = {name.lower(): name for name in node}
            assert known.get(part.lower(), part) == part, (
                f"{part!r} differs from {known.get(part.lower())!r} by its case alone"
            )
            node = node.setdefault(part, {})
        node[""] = value.strip(" ")
    return plain(root)


def plain(node):
    """Leaves as texts."""
    if set(node) == {""}:
        return node[""]
    return {name: child if name == "" else plain(child) for name, child in node.items()}


def meant(tree):
    """The same tree as the parser has it: lists numbered, values as texts, nothing where there is
    nothing.
    """
    if isinstance(tree, list):
        tree = {str((len(tree) - at) * 10): item for at, item in enumerate(tree)}
    if not isinstance(tree, dict):
        return str(int(tree)) if isinstance(tree, bool) else str(tree)
    found = {str(name): meant(child) for name, child in tree.items()}
    found = {name: child for name, child in found.items() if child != {}}
    return found[""] if set(found) == {""} else found


KEYS = st.text(string.ascii_lowercase + string.digits + "_-/+.", min_size=1, max_size=8).filter(
    lambda key: key[0] != "+" and "include" not in key
)
VALUES = (
    st.text(min_size=1, max_size=20).filter(
        lambda value: not set(value) & set("\r\n\0") and value == value.strip(" \t")
    )
    | st.integers()
    | st.booleans()
)
TREES = st.recursive(
    VALUES,
    lambda inner: (
        st.dictionaries(KEYS, inner, max_size=4)
        | st.lists(inner, max_size=4)
        | st.tuples(VALUES, st.dictionaries(KEYS, inner, max_size=3)).map(
            lambda pair: {"": pair[0], **pair[1]}
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_what_was_written_is_read(tree):
    assert parse(cherokee_config(tree)) == meant(tree)


def test_the_first_item_has_the_highest_number_and_a_node_may_have_a_value():
    tree = {
        "rule": [{"match": {"": "directory", "directory": "/a"}}, {"match": "default"}],
        "on": True,
    }
    assert cherokee_config(tree).splitlines() == [
        "rule!20!match = directory",
        "rule!20!match!directory = /a",
        "rule!10!match = default",
        "on = 1",
    ]


@pytest.mark.parametrize(
    "value", ["", " ", "a\nb", "a\rb", "a\0b", "\n", " a", "a ", "a\t", "a\n", None, 1.5, ("a",)]
)
def test_values_that_would_be_read_otherwise_are_refused(value):
    with pytest.raises(ValueError, match="server!name: "):
        cherokee_config({"server": {"name": value}})


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a!b",
        "a b",
        "a = b",
        "#a",
        "a\n",
        "include",
        "try_include",
        "Include",
        None,
        True,
        1.5,
        "é",
    ],
)
def test_keys_that_would_be_read_otherwise_are_refused(key):
    with pytest.raises(ValueError, match="the tree: "):
        cherokee_config({key: "x"})


def test_keys_that_differ_by_their_case_alone_are_refused():
    with pytest.raises(ValueError, match="server: 'Port' and 'port' are the same key"):
        cherokee_config({"server": {"port": 1, "Port": 2}})
