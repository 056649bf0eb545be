# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The build of a release, in a directory of the test's own. The unit of systemd that a build runs
in is left to Molecule.
"""

from __future__ import annotations

import os
import sys
import tarfile

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _builds
from ansible_collections.pyweb.stack.plugins.module_utils._builds import (
    BuildError,
    build_all,
    build_in,
    fault,
)
from ansible_collections.pyweb.stack.plugins.module_utils._releases import complete

VERSION = "{}.{}".format(*sys.version_info)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="a release is given to root, by root")


@pytest.fixture
def a_site(tmp_path):
    """Makes a site of some files."""

    def make(files: dict[str, str], **keys) -> dict:
        source, root = tmp_path / "source", tmp_path / "release"
        root.mkdir()
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        with tarfile.open(tmp_path / "source.tar", "w") as tar:
            tar.add(source, arcname=".")
        return {
            "name": "shop",
            "account": "root",
            "python": sys.executable,
            "release": {"path": str(root)},
            "source": {"archive": str(tmp_path / "source.tar")},
            "requirements": [],
            "back_requirements": [],
            "directories": [],
            **keys,
        }

    return make


def built(site: dict, tmp_path, runtime=None):
    build_in(tmp_path / "release", site, VERSION, runtime or {}, ["env"])
    return tmp_path / "release"


@as_root
def test_a_release_is_the_source_with_the_runtime_beside_it_and_marked_as_complete(
    a_site, tmp_path
):
    site = a_site({"app.py": "application = 1\n", "static/a.css": "a"}, directories=["static"])
    root = built(site, tmp_path, {"pyweb_x.py": "x = 1\n"})
    assert (root / "app.py").read_text() == "application = 1\n"
    assert (root / "site-packages" / "pyweb_x.py").read_text() == "x = 1\n"
    assert list((root / "__pycache__").glob("app.*.pyc"))
    assert complete(site, VERSION) and not complete(site, "3.0")


@as_root
def test_a_release_may_be_changed_by_root_alone(a_site, tmp_path):
    site = a_site({"app.py": ""})
    os.chmod(tmp_path / "source" / "app.py", 0o777)
    root = built(site, tmp_path)
    found = [path.lstat() for path in root.rglob("*") if not path.is_symlink()]
    assert found and not any(each.st_uid or each.st_mode & 0o022 for each in found)


@as_root
@pytest.mark.parametrize(
    "files, keys, words",
    [
        ({"app.py": ""}, {"directories": ["static"]}, "'static' is no directory in the release"),
        ({"app.py": ""}, {"requirements": "no-such-file.txt"}, "install .*failed|is missing from"),
        ({"app.py": ""}, {"python": "/no/such/python"}, "/no/such/python -m venv .* failed"),
    ],
)
def test_a_release_that_cannot_be_built_says_why_and_is_not_complete(
    a_site, tmp_path, files, keys, words
):
    site = a_site(files, **keys)
    with pytest.raises(BuildError, match=f"(?s){words}"):
        built(site, tmp_path)
    assert not complete(site, VERSION)


@as_root
def test_a_build_may_leave_no_link_that_leads_out(a_site, tmp_path):
    site, root = a_site({"app.py": ""}), tmp_path / "release"
    meddling = ["sh", "-c", f'ln -sfn /etc {root}/static; exec "$@"', "sh"]
    with pytest.raises(BuildError, match=r"(?s)links lead out of the release.*\n  static -> /etc"):
        build_in(root, site, VERSION, {}, meddling)
    assert not complete(site, VERSION)


def test_nothing_is_left_of_a_release_that_failed_beside_one_that_did_not(tmp_path, monkeypatch):
    def build(site, version, runtime):
        (tmp_path / site["name"]).mkdir()
        if site["name"] == "bad":
            raise BuildError("sites[bad]: no")

    monkeypatch.setattr(_builds, "build", build)
    sites = [
        {"name": name, "python": "p", "release": {"path": str(tmp_path / name)}}
        for name in ("bad", "good")
    ]
    assert build_all(sites, {"p": VERSION}, {}) == ["sites[bad]: no"]
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize(
    "version, needs, words",
    [
        ("3.11", True, None),
        ("3.12", False, None),
        (
            "3.12",
            True,
            "is Python 3.12, but the back runs Debian's Python 3.11; leave the key out, or choose "
            "back flup or gunicorn",
        ),
        (None, False, "does not run on this host"),
    ],
)
def test_an_interpreter_has_to_run_and_to_suit_the_back(version, needs, words):
    site = {"name": "shop", "python": "python3.x", "needs_system_python": needs}
    found = fault(site, version, "3.11")
    assert words in found if words else found is None
