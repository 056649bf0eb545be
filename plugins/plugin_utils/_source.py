# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory of source on the controller: what of it is deployed, its digest, its archive and its
requirements.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

import tomllib

COLLECTION = Path(__file__).resolve().parents[2]
RUNTIME = COLLECTION / "roles" / "app" / "files" / "runtime"
SAMPLE = COLLECTION / "roles" / "app" / "files" / "sample"

# What belongs to a working copy and not to a release; .env holds secrets, for which a site has
# keys.
LEFT_OUT = frozenset(
    [
        ".env",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".tox",
        ".nox",
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
    ]
)
# Below the top these may be the application's own, such as node_modules among its static files.
LEFT_OUT_AT_THE_TOP = frozenset(("venv", "node_modules"))
# It makes a directory a virtual environment, whatever its name (PEP 405).
ENVIRONMENT = "pyvenv.cfg"


class SourceError(ValueError):
    """What keeps a source from being deployed, one argument for each thing that is wrong."""


@dataclass(frozen=True)
class Source:
    """What of a directory is deployed: its files and links, in a fixed order; and the names that
    stay behind.
    """

    root: Path
    paths: tuple[Path, ...]
    left: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(path.lstat().st_size for path in self.paths if not path.is_symlink())


def scan(root: Path) -> Source:
    """Tell what of a directory is deployed from what stays behind."""
    found: list[Path] = []
    left: set[str] = set()

    def travels(folder: str, name: str) -> bool:
        if name in LEFT_OUT or (name in LEFT_OUT_AT_THE_TOP and folder == str(root)):
            left.add(name)
            return False
        return True

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if name not in links and travels(folder, name))
        environments = [
            name for name in folders if os.path.exists(os.path.join(folder, name, ENVIRONMENT))
        ]
        left.update(os.path.relpath(os.path.join(folder, name), root) for name in environments)
        folders[:] = [name for name in folders if name not in environments]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            if not name.endswith(".pyc") and travels(folder, name):
                if path.is_symlink() or path.is_file():
                    found.append(path)
                else:
                    left.add(str(path.relative_to(root)))
    return Source(
        root,
        tuple(found),
        tuple(sorted(os.fsencode(name).decode(errors="replace") for name in left)),
    )


def stray_links(source: Source) -> list[str]:
    """What is wrong with links that lead out of the source: on a host they would lead elsewhere, or
    nowhere.
    """
    top = os.path.realpath(source.root)
    faults = []
    for path in source.paths:
        if not path.is_symlink():
            continue
        target = os.readlink(path)
        inside = os.path.normpath(os.path.join(path.parent.relative_to(source.root), target))
        real = os.path.realpath(path)
        if (
            os.path.isabs(target)
            or inside.split("/")[0] == ".."
            or os.path.commonpath([real, top]) != top
        ):
            faults.append(
                f"the link {str(path.relative_to(source.root))!r} leads to {target!r}; only a "
                "relative link to what is "
                "inside the source leads there on a host, too: copy what it names, or remove it"
            )
    return faults


def project_requirements(name: str, content: bytes) -> list[str]:
    """What to install for a project by its pyproject.toml: the project itself where it says how it
    is built, else its dependencies.
    """
    try:
        data = tomllib.loads(content.decode())
    except ValueError as error:
        raise SourceError(f"{name!r} is not valid TOML: {error}") from error
    project, poetry = _table(data, "project"), _table(data, "tool", "poetry")
    packaged = _table(data, "tool", "uv").get("package", "build-system" in data) and poetry.get(
        "package-mode", True
    )
    if packaged:
        return [f"./{os.path.dirname(name)}".rstrip("/")]
    found = project.get("dependencies", [])
    if "dependencies" in project.get("dynamic", []) or (not found and "dependencies" in poetry):
        raise SourceError(
            f"{name!r} leaves its dependencies to a tool; write them as a list into the key "
            "requirements"
        )
    if not isinstance(found, list) or not all(
        isinstance(item, str) and item[:1] not in ("", "-") for item in found
    ):
        raise SourceError(
            f"{name!r} has in project.dependencies something else than requirements such as "
            "'Django==5.2'"
        )
    return found


def _table(data: dict, *keys: str) -> dict:
    for key in keys:
        data = data.get(key, {}) if isinstance(data, dict) else {}
    return data if isinstance(data, dict) else {}


def _executable(path: Path) -> bool:
    return bool(path.lstat().st_mode & stat.S_IXUSR)


def digest(source: Source) -> str:
    """A digest of the names, contents and execution bits of what is deployed."""
    total = hashlib.sha256()
    for path in source.paths:
        kind, content = (
            ("link", os.fsencode(os.readlink(path)))
            if path.is_symlink()
            else (str(_executable(path)), path.read_bytes())
        )
        for part in (os.fsencode(path.relative_to(source.root).as_posix()), kind.encode(), content):
            total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def archive(source: Source) -> bytes:
    """A compressed tar of what is deployed, owned by root, readable by all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for path in source.paths:
            info = tar.gettarinfo(path, path.relative_to(source.root).as_posix())
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mode = 0o755 if _executable(path) else 0o644
            if info.isreg():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return buffer.getvalue()
