# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What servers write to their logs during a change: the reason of a failure."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable

from ansible_collections.pyweb.stack.plugins.module_utils._host import run

LIMIT = 262144  # bytes of a file's end that are read
# What Apache puts before each line: its time, module, process, perhaps an error code and a client.
PREFIX = re.compile(r"^(\[[^\]]*\] )+")
# The first line of Python's traceback, and its last: an exception with or without its message.
TRACEBACK = "Traceback (most recent call last)"
EXCEPTION = re.compile(r"[\w.]+(: |$)")
INTERRUPTIONS = ("KeyboardInterrupt", "SystemExit")
# A process of mod_wsgi that could not load its site (the runtime's pyweb_mod_wsgi.py), and when it
# began, in seconds since boot.
NOT_LOADED = re.compile(
    r"pyweb: the site (\S+) cannot be loaded by process \d+, begun (\d+\.\d+) s after boot"
)


class Logs:
    """Logs, each a file or a unit for its journal, and what was added to them since now."""

    def __init__(self, names: Iterable[str]) -> None:
        self._begin = time.time()
        self._sizes = {name: _size(name) for name in names if name.startswith("/")}

    def since(self, name: str) -> list[str]:
        """The new lines of a log."""
        if not name.startswith("/"):
            argv = [
                "journalctl",
                "--unit",
                name,
                "--since",
                f"@{self._begin:.6f}",
                "--no-pager",
                "--quiet",
                "--output",
                "cat",
            ]
            return run(argv)[1].splitlines()
        known, size = self._sizes.get(name, 0), _size(name)
        try:
            with open(name, "rb") as file:
                # A file that is smaller than it was is another.
                file.seek(max(known if known <= size else 0, size - LIMIT))
                return file.read().decode(errors="replace").splitlines()
        except OSError:
            return []

    def words(self, name: str, lines: int = 20) -> str:
        """The last new lines of a log, as a message quotes them, or nothing."""
        if not name.startswith("/"):
            # What a process has just written, journald may not have taken up yet.
            run(["journalctl", "--sync"])
        found = excerpt([PREFIX.sub("", line) for line in self.since(name)], lines)
        return f"The last words in {name}:\n" + "\n".join(found) if found else ""

    def not_loaded(self, name: str, site: str, moment: float) -> bool:
        """Whether a process that began after a moment (in seconds since boot) says that it cannot
        load a site.
        """
        found = (NOT_LOADED.search(line) for line in self.since(name))
        return any(match and match[1] == site and float(match[2]) >= moment for match in found)


def excerpt(lines: list[str], last: int) -> list[str]:
    """The last lines; before them the ends of the last two different tracebacks that tell a cause,
    as far as these do not have them.

    A server whose process cannot load the application ends the others, each of which writes a
    traceback of its own, and may end itself by another exception.
    """
    rest = max(len(lines) - last, 0)
    causes: dict[str, range] = {}
    begin = None
    for number, line in enumerate(lines):
        if line.startswith(TRACEBACK):
            begin = number
        elif begin is not None and EXCEPTION.match(line):
            if not line.startswith(INTERRUPTIONS):
                causes.pop(line, None)
                causes[line] = range(max(begin, number - 9), number + 1)
            begin = None
    quoted = []
    for cause in list(causes.values())[-2:]:
        if cause.stop <= rest:
            quoted += [*(lines[number] for number in cause), "[...]"]
    return [*quoted, *lines[rest:]]


def now() -> float:
    """Seconds since boot, as a process knows of its own begin."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
