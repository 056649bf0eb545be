# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile

import pytest
from ansible_collections.pyweb.stack.plugins.plugin_utils._deb import deb_file


def packed(files: dict[str, str], compression: str) -> bytes:
    """An archive of tar(1)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:
        for name, text in files.items():
            item = tarfile.TarInfo(f"./{name}")
            item.size = len(text)
            archive.addfile(item, io.BytesIO(text.encode()))
    return out.getvalue()


def package(path, data: bytes, compression: str = "xz"):
    """A package file with a control file and this archive of data."""
    control = packed({"control": "Package: example\nDepends: python2\n"}, "xz")
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": control,
        f"data.tar.{compression}": data,
    }
    with open(path, "wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            file.write(f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return str(path)


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_file_in_a_package(tmp_path, compression):
    path = package(
        tmp_path / "a.deb", packed({"usr/a": "odd", "usr/b": "text"}, compression), compression
    )
    assert deb_file(path, "data", "usr/a") == "odd"
    assert deb_file(path, "data", "usr/c") == ""
    assert deb_file(path, "control", "control") == "Package: example\nDepends: python2\n"


def test_what_cannot_be_read_is_empty(tmp_path):
    assert (
        deb_file(
            package(tmp_path / "a.deb", b"(\xb5\x2f\xfd is no archive here", "zst"), "data", "usr/a"
        )
        == ""
    )
    (tmp_path / "b.deb").write_text("no package")
    assert deb_file(str(tmp_path / "b.deb"), "data", "usr/a") == ""
