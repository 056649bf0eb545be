# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What works as root in directories of a site: it stays in them, and comes to an end."""

from __future__ import annotations

import os

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    end_processes,
    give_tree,
    processes_of,
    remove_tree,
)


@pytest.fixture(name="nest")
def the_nest(tmp_path):
    """A directory deeper than Python recurses, and than a path is long."""
    nest = tmp_path / "nest"
    nest.mkdir()
    folder = os.open(nest, os.O_RDONLY)
    for _number in range(2500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.mkfifo("pipe", dir_fd=folder)
    os.close(folder)
    return nest


def test_a_deep_directory_is_given_away_and_removed(nest):
    give_tree(str(nest), os.getuid(), os.getgid())
    remove_tree(str(nest))
    assert not nest.exists()


def test_what_a_link_leads_to_stays(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "folder").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    (inside / "gone").symlink_to("/nonexistent/file")
    give_tree(str(inside), os.getuid(), os.getgid())
    remove_tree(str(inside))
    assert (outside / "file").read_text() == "precious"


def test_a_fault_is_an_error(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        give_tree(str(tmp_path / "nothing"), os.getuid(), os.getgid())


def test_the_processes_of_an_account_are_found():
    assert os.getpid() in processes_of(os.getuid())


def test_root_keeps_its_processes():
    with pytest.raises(OSError, match="root"):
        end_processes(0)
