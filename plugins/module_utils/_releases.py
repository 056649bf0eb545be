# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases a host has, and what one must not hold."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    Entry,
    execute,
    read,
    remove_tree,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import records

# Of a site: what tells whether its release is there, and whole.
ASKED = ("name", "account", "paths", "release", "python", "needs_system_python", "directories")
COMPLETE = ".venv/.complete"
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def version_of(python: str) -> str | None:
    """Major and minor version of an interpreter, or None where it does not run."""
    found = shutil.which(python)
    if found and os.path.realpath(found) == os.path.realpath(sys.executable):
        return "{}.{}".format(*sys.version_info)
    try:
        done = execute([python, "-c", VERSION])
    except OSError:
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None


def complete(site: dict[str, Any], wanted: str | None) -> bool:
    """Whether a release was finished, by an interpreter of the same version as the one of today.

    Only root's marker counts: what the site's account builds may leave one of its own.
    """
    marker = Path(site["release"]["path"], COMPLETE)
    return (
        marker.is_file()
        and not marker.is_symlink()
        and marker.stat().st_uid == 0
        and marker.read_text() == wanted
    )


def outward_links(root: str) -> list[tuple[str, str]]:
    """Links of a release, relative to it, that lead out of it, and where to; the interpreter's are
    left out.

    All of a release is root's, and so are others' files, so that no front could tell such a link
    from one of its own.
    """
    inside = os.path.realpath(root)
    found = []
    for folder, folders, files in os.walk(root):
        if os.path.relpath(folder, root) == os.path.join(".venv", "bin"):
            continue
        for path in (os.path.join(folder, name) for name in (*folders, *files)):
            if os.path.islink(path):
                target = os.path.realpath(path)
                if target != inside and not target.startswith(inside + "/"):
                    found.append((os.path.relpath(path, root), target))
    return sorted(found)


def prune(installed: str, keep: int) -> list[str]:
    """Remove the oldest releases beside one that was just installed, and name them. As many stay as
    keep says, and those that a file of the collection names or a process uses.
    """
    folder = os.path.dirname(installed)
    others = [
        entry.path
        for entry in os.scandir(folder)
        if entry.is_dir(follow_symlinks=False) and entry.path != installed
    ]
    oldest = sorted(others, key=lambda path: os.stat(path).st_mtime, reverse=True)[keep:]
    if not oldest:
        return []
    used = _named(folder) | _in_use(folder)
    gone = [path for path in oldest if os.path.basename(path) not in used]
    for path in gone:
        remove_tree(path)
    return gone


def _named(folder: str) -> set[str]:
    """The releases below a directory that files and links of the collection name."""
    found = set()
    for record in records():
        for path in record.items["files"]:
            with contextlib.suppress(OSError):  # it is a directory by now
                entry = read(path) or Entry(content=b"")
                target = os.path.join(os.path.dirname(path), entry.target or "")
                text = (entry.content or b"").decode(errors="replace")
                found |= _below(folder, f"{os.path.normpath(target)}\n{text}")
    return found


def _in_use(folder: str) -> set[str]:
    """The releases below a directory in which a process works or whose files it has mapped."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                found |= _below(folder, os.readlink(process / "cwd"))
                found |= _below(folder, (process / "maps").read_text(errors="replace"))
                command = (process / "cmdline").read_text(errors="replace")
                found |= _below(folder, command)
    return found


def _below(folder: str, text: str) -> set[str]:
    return set(re.findall(re.escape(folder) + r"/([0-9a-f]{12})\b", text))


def missing_of(sites: list[dict[str, Any]]) -> list[str]:
    """Names of the sites whose release is missing."""
    versions = {python: version_of(python) for python in {site["python"] for site in sites}}
    return [site["name"] for site in sites if not complete(site, versions[site["python"]])]


def lacking(site: dict[str, Any]) -> list[str]:
    """What is wrong with a release that has not all directories of its site's static files."""
    release = Path(site["release"]["path"])
    return [
        f"sites[{site['name']}].static: {path!r} is no directory in the release; what makes it, "
        "such as collectstatic, "
        "has to run before the source is deployed, and an empty directory does not travel"
        for path in site.get("directories") or ()
        if not (release / path).is_dir()
    ]


def lacking_of(sites: list[dict[str, Any]]) -> list[str]:
    """The same of all releases that are there."""
    return [
        words
        for site in sites
        if Path(site["release"]["path"], COMPLETE).is_file()
        for words in lacking(site)
    ]
