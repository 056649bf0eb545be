# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a directory of source travels, which links are refused, and what a project has installed
for it.
"""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from ansible_collections.pyweb.stack.plugins.plugin_utils._source import (
    SourceError,
    archive,
    digest,
    project_requirements,
    scan,
    stray_links,
)


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.fsencode(name))


def travelling(root):
    return [str(path.relative_to(root)) for path in scan(root).paths]


def test_what_travels(tmp_path):
    write(
        tmp_path,
        "app.py",
        ".env",
        "pkg/.env",
        "pkg/__init__.py",
        "pkg/x.pyc",
        ".git/config",
        "pkg/.venv/bin/python",
    )
    write(
        tmp_path,
        "venv/a",
        "node_modules/a",
        "pkg/venv/__init__.py",
        "static/node_modules/vendor.js",
        ".env.example",
    )
    write(tmp_path, "tools/mine/pyvenv.cfg", "tools/mine/bin/python", "tools/run")
    os.mkfifo(tmp_path / "pipe")
    assert travelling(tmp_path) == [
        ".env.example",
        "app.py",
        "pkg/__init__.py",
        "pkg/venv/__init__.py",
        "static/node_modules/vendor.js",
        "tools/run",
    ]
    assert scan(tmp_path).left == (
        ".env",
        ".git",
        ".venv",
        "node_modules",
        "pipe",
        "tools/mine",
        "venv",
    )


def test_a_name_that_is_not_utf_8_travels(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt")
    write(tmp_path, name)
    source = scan(tmp_path)
    assert len(digest(source)) == 64
    with tarfile.open(fileobj=io.BytesIO(archive(source))) as tar:
        assert tar.getnames() == [name]


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../elsewhere", "../../{top}/app.py", "sub/../../x", "{root}/app.py"]
)
def test_a_link_that_leads_out_is_refused(tmp_path, target):
    write(tmp_path, "app.py", "sub/a")
    (tmp_path / "link").symlink_to(target.format(top=tmp_path.name, root=tmp_path))
    (fault,) = stray_links(scan(tmp_path))
    assert fault.startswith("the link 'link' leads to ")


@pytest.mark.parametrize("target", ["app.py", "sub", "sub/../app.py", "nowhere"])
def test_a_link_inside_travels(tmp_path, target):
    write(tmp_path, "app.py", "sub/a")
    (tmp_path / "link").symlink_to(target)
    assert stray_links(scan(tmp_path)) == []
    assert "link" in travelling(tmp_path)


def test_a_link_in_what_stays_behind_is_not_judged(tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "python").symlink_to("/usr/bin/python3")
    (tmp_path / ".venv").symlink_to("/somewhere")
    assert stray_links(scan(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "pyproject.toml",
            "[project]\nname = 'a'\ndependencies = ['flup==1', 'x']",
            ["flup==1", "x"],
        ),
        ("pyproject.toml", "[tool.black]\nline-length = 88", []),
        ("pyproject.toml", "[build-system]\nrequires = []\n[project]\ndependencies = ['x']", ["."]),
        ("backend/pyproject.toml", "[build-system]\nrequires = []", ["./backend"]),
        (
            "pyproject.toml",
            "[build-system]\n[project]\ndependencies = ['x']\n[tool.uv]\npackage = false",
            ["x"],
        ),
        ("pyproject.toml", "[project]\ndependencies = ['x']\n[tool.uv]\npackage = true", ["."]),
        (
            "pyproject.toml",
            "[build-system]\n[project]\ndependencies = ['x']\n[tool.poetry]\npackage-mode = false",
            ["x"],
        ),
        ("pyproject.toml", "[build-system]\n[tool.poetry.dependencies]\nx = '*'", ["."]),
    ],
)
def test_what_a_project_needs(name, content, expected):
    assert project_requirements(name, content.encode()) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[project", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        (
            b"[project]\ndynamic = ['dependencies']",
            "write them as a list into the key requirements",
        ),
        (
            b"[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\nx = '*'",
            "leaves its dependencies to a tool",
        ),
        (b"[project]\ndependencies = ['--index-url=http://x']", "something else than requirements"),
        (b"[project]\ndependencies = 'x'", "something else than requirements"),
    ],
)
def test_a_project_that_does_not_say_it_is_refused(content, words):
    with pytest.raises(SourceError, match=words):
        project_requirements("pyproject.toml", content)
