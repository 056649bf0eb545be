# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases a host has, and what one must not hold."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._host import execute

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
