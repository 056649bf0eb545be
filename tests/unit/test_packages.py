# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._packages import (
    brought,
    installed,
    removable,
)


def block(name: str, depends: str = "", status: str = "install ok installed") -> str:
    return (
        f"Package: {name}\nStatus: {status}\n"
        + (f"Depends: {depends}\n" if depends else "")
        + "Description: x\n Depends: none\n"
    )


STATUS = "\n".join([
    block("web", "web-bin (= 1), web-data | other-data, perl:any"),
    block("web-bin", "libc6 (>= 2)"),
    block("web-data"),
    block("perl"),
    block("tool", "perl"),
    block("libc6"),
    block("old", status="deinstall ok config-files"),
])  # fmt: skip
OURS = {"web", "web-bin", "web-data", "perl"}


def test_installed_packages_and_the_names_that_they_depend_on():
    assert installed(STATUS)["web"] == {"web-bin", "web-data", "other-data", "perl"}
    assert "old" not in installed(STATUS)


@pytest.mark.parametrize(
    ("ours", "wanted", "gone"),
    [
        (OURS, set(), ["web", "web-bin", "web-data"]),  # another package needs perl
        (OURS | {"tool"}, set(), ["perl", "tool", "web", "web-bin", "web-data"]),
        (OURS, {"web"}, []),
        (OURS, {"web-data"}, ["web", "web-bin"]),
        ({"not-there"}, set(), []),
    ],
)
def test_only_what_nothing_needs_is_removable(ours, wanted, gone):
    assert removable(STATUS, ours, wanted) == gone


def test_what_apt_brings_is_in_its_words():
    words = (
        "Reading...\nThe following additional packages will be installed:\n  a\nThe following "
        "NEW packages will be installed:\n  a b\n  c\n0 upgraded\n"
    )
    assert brought(words) == ["a", "b", "c"]
    assert brought("0 upgraded, 0 newly installed") == []
