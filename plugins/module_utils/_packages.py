# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian packages of a host, by the text of dpkg's status file (dpkg-query(1), deb-control(5))."""

from __future__ import annotations

import re

STATUS = "/var/lib/dpkg/status"


def installed(status: str) -> dict[str, set[str]]:
    """The installed packages, and the names in their dependencies, alternatives and virtual ones
    among them.
    """
    found = {}
    for block in status.split("\n\n"):
        if "\nStatus: install ok installed" in block or "\nStatus: hold ok installed" in block:
            lines = re.findall(r"^(?:Pre-)?Depends: (.*)$", block, re.MULTILINE)
            needed = (name for line in lines for name in re.split(r" *[,|] *", line))
            found[block.lstrip().split("\n", 1)[0][len("Package: ") :]] = {
                re.split(r"[ (:]", name, maxsplit=1)[0] for name in needed
            }
    return found


def brought(words: str) -> list[str]:
    """The packages that apt-get said it was going to install anew."""
    found = re.search(
        r"^The following NEW packages will be installed:\n((?:  .*\n)+)", words, re.MULTILINE
    )
    return sorted(found[1].split()) if found else []


def removable(status: str, ours: set[str], wanted: set[str]) -> list[str]:
    """Those of our packages that nothing needs any more: none that is wanted, and no package that
    stays.
    """
    there = installed(status)
    going = (ours & set(there)) - wanted
    while needed := {
        name
        for package, depends in there.items()
        if package not in going
        for name in depends & going
    }:
        going -= needed
    return sorted(going)
