# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory of source on the controller: what of it is deployed, its digest, and its archive."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2]
RUNTIME = COLLECTION / "roles" / "app" / "files" / "runtime"
SAMPLE = COLLECTION / "roles" / "app" / "files" / "sample"

# What belongs to a working copy and not to a release.
LEFT_OUT = frozenset((".git", ".hg", ".svn", ".venv", "venv", ".tox", "node_modules", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"))


def entries(root: Path) -> list[Path]:
    """Files and symbolic links below root that are deployed, in a fixed order."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found += [Path(folder, name) for name in sorted([*files, *links]) if not name.endswith(".pyc") and name not in LEFT_OUT]
    return [path for path in found if path.is_symlink() or path.is_file()]


def _executable(path: Path) -> bool:
    return bool(path.lstat().st_mode & stat.S_IXUSR)


def digest(root: Path) -> str:
    """A digest of the names, contents and execution bits of what is deployed."""
    total = hashlib.sha256()
    for path in entries(root):
        kind, content = ("link", os.readlink(path).encode()) if path.is_symlink() else (str(_executable(path)), path.read_bytes())
        for part in (path.relative_to(root).as_posix().encode(), kind.encode(), content):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def archive(root: Path) -> bytes:
    """A compressed tar of what is deployed, owned by root, readable by all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for path in entries(root):
            info = tar.gettarinfo(path, path.relative_to(root).as_posix())
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mode = 0o755 if _executable(path) else 0o644
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return buffer.getvalue()
