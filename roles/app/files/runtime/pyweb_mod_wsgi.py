# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a daemon process of mod_wsgi needs before it imports an application: systemd starts none of them, so that
nobody has put the site's environment into them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable

ASSIGNMENT = re.compile(r'^(\w+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL | re.ASCII)


def assignments(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile of systemd, in the one form that the collection writes: every value quoted."""
    return {name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) for name, value in ASSIGNMENT.findall(text)}


def prepare(values: dict[str, str], files: list[str]) -> None:
    """Fill the environment of this process, and keep the process with the release that is current as it starts."""
    for path in files:
        with open(path, encoding="utf-8", newline="") as file:
            values = {**values, **assignments(file.read())}
    os.environ.update(values)
    # What is imported later must not come out of the release that replaces this one.
    sys.path[:] = [os.path.realpath(path) if path else path for path in sys.path]
    sys.prefix = sys.exec_prefix = os.path.realpath(sys.prefix)


def serve(values: dict[str, str], files: list[str]) -> Callable:
    """The callable that mod_wsgi looks for, when the process is prepared."""
    prepare(values, files)
    import pyweb_wsgi  # it comes out of the release

    return pyweb_wsgi.site(pyweb_wsgi.Server(os.environ["PYWEB_LINK"]))
