# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a Debian package file (deb(5)), read on the controller, which need not be a Debian."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

MAGIC = b"!<arch>\n"
HEADER = 60  # bytes before each member of an archive of ar(1)


def members(package: bytes):
    """Names and contents of what the archive holds."""
    start = len(MAGIC)
    while start + HEADER <= len(package):
        header = package[start : start + HEADER]
        size = int(header[48:58])
        yield header[:16].decode().rstrip(" /"), package[start + HEADER : start + HEADER + size]
        start += HEADER + size + size % 2


def deb_file(path: str, part: str, name: str) -> str:
    """The text of a file in the part control or data of a package file; empty where there is none.

    Empty, too, where it is packed in a way that this Python cannot read.
    """
    package = Path(path).read_bytes()
    for member, content in members(package) if package.startswith(MAGIC) else ():
        if member.startswith(f"{part}.tar"):
            try:
                with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                    found = archive.extractfile(f"./{name}")
                    return found.read().decode(errors="replace") if found else ""
            except (KeyError, tarfile.TarError):
                return ""
    return ""
