# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a daemon process of mod_wsgi is given before its application: the site's environment, out of systemd's files."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils.environment_file import environment_file
from hypothesis import example, given
from hypothesis import strategies as st
from runtime_helpers import RUNTIME

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture(name="module", scope="module")
def the_runtime_module():
    spec = importlib.util.spec_from_file_location("pyweb_mod_wsgi", RUNTIME / "pyweb_mod_wsgi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.dictionaries(NAMES, VALUES))
@example({"A": 'a\nB="b"\n', "C": '"', "D": "\\", "E": "$x `y` %n", "F": "\r\n", "G": ""})
def test_what_was_written_is_read(module, values):
    assert module.assignments("#\n# Ansible managed\n#\n" + environment_file(values)) == values


def test_a_process_is_prepared(module, tmp_path, monkeypatch):
    release = tmp_path / "releases" / "v1"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/v1")
    (tmp_path / "environment").write_bytes(environment_file({"A": "a\r\nb", "PYWEB_SITE": "another"}).encode())
    (tmp_path / "secrets").write_bytes(environment_file({"S": "é"}).encode())
    monkeypatch.setattr(os, "environ", {"HOME": "/h"})
    monkeypatch.setattr(sys, "path", ["", "lib.zip", f"{tmp_path}/current/site-packages"])
    monkeypatch.setattr(sys, "prefix", f"{tmp_path}/current/.venv")
    monkeypatch.setattr(sys, "exec_prefix", sys.prefix)
    module.prepare({"PYWEB_SITE": "shop"}, [f"{tmp_path}/environment", f"{tmp_path}/secrets"])
    assert os.environ == {"HOME": "/h", "PYWEB_SITE": "another", "A": "a\r\nb", "S": "é"}
    assert sys.path == ["", os.path.realpath("lib.zip"), f"{release}/site-packages"]
    assert sys.prefix == sys.exec_prefix == f"{release}/.venv"
