# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release must not hold."""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._releases import outward_links


@pytest.mark.parametrize(
    "path, target, out",
    [
        ("static/a", "../real/b", False),
        ("static/a", "/etc/passwd", True),
        ("static/a", "../../outside", True),
        ("static/a", "../../release-2/b", True),
        ("static/a", "missing", False),
        ("static/a", "/nowhere/at/all", True),
        ("static", "..", True),
        ("static", ".", False),
        # By way of another link.
        ("static/a", "../up/outside", True),
        ("static/a", "../../release/real/b", False),
        (".venv/bin/python", "/usr/bin/python3", False),
        (".venv/lib/python", "/usr/bin/python3", True),
    ],
)
def test_a_link_that_leads_out_of_the_release_is_found(tmp_path, path, target, out):
    root = tmp_path / "release"
    for directory in ("real", ".venv/bin", ".venv/lib"):
        (root / directory).mkdir(parents=True)
    (root / "real" / "b").write_text("b")
    (tmp_path / "outside").write_text("c")
    (root / ".venv" / "bin" / "up").symlink_to("../../..")
    (root / "up").symlink_to(".venv/bin/up")
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).symlink_to(target)
    found = [link for link, where in outward_links(str(root)) if link != "up"]
    assert found == ([path] if out else [])
