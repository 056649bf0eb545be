# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands in a release: as the site, with its environment, its secrets and its sandbox, by
systemd-run(1).
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass

from ansible_collections.pyweb.stack.plugins.module_utils._host import run

# Of a host's programs, behind those of the release.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Seconds from SIGTERM to SIGKILL for a command whose time is over.
GRACE = 5


class NotFound(OSError):
    """There is no such program; the text says where it was looked for."""


@dataclass(frozen=True)
class Place:
    """What a command of a site runs in.

    release: the directory of the release.
    variables: files of environment variables, the last of which wins (systemd.exec(5)).
    """

    site: str
    account: str
    slice: str | None
    release: str
    variables: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, its output and errors together, the seconds it took,
    and whether its time was over.
    """

    status: int
    words: str
    seconds: float
    late: bool


def program(release: str, word: str) -> str:
    """The program that the first word of a command means: a path, absolute or below the release;
    else one of the release's virtual environment; else one of the host.
    """
    if "/" in word:
        found = os.path.join(release, word)
        if os.path.isfile(found):
            return found
        raise NotFound(f"{found} is no file")
    found = shutil.which(word, path=f"{release}/.venv/bin:{PATH}") or ""
    if not found:
        raise NotFound(
            f"{word!r} is a program neither of the release ({release}/.venv/bin) nor of the host"
        )
    return found


def line(place: Place, name: str, argv: list[str], timeout: int) -> list[str]:
    """The command line that runs a command as a unit whose name gives it the sandbox, since it
    begins with pyweb-.
    """
    properties = {
        "StateDirectory": f"pyweb/{place.site}",
        "StateDirectoryMode": "0750",
        "RuntimeMaxSec": str(timeout),
        "TimeoutStopSec": str(GRACE),
    }
    return [
        *("systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec"),
        f"--unit=pyweb-{place.site}-{name}",
        f"--uid={place.account}",
        f"--gid={place.account}",
        *([f"--slice={place.slice}"] if place.slice else []),
        f"--working-directory={place.release}",
        f"--setenv=PATH={place.release}/.venv/bin:{PATH}",
        *(f"--property={key}={value}" for key, value in properties.items()),
        *(f"--property=EnvironmentFile={path}" for path in place.variables),
        "--",
        program(place.release, argv[0]),
        # systemd fills in variables (systemd.service(5), on command lines).
        *(word.replace("$", "$$") for word in argv[1:]),
    ]


def start(place: Place, name: str, argv: list[str], timeout: int) -> Ended:
    """Run a command to its end. Raises NotFound where there is no such program.

    name: ends the name of its unit. timeout: in seconds.
    """
    begin = time.monotonic()
    status, words = run(line(place, name, argv, timeout))
    seconds = time.monotonic() - begin
    return Ended(status, words, seconds, status != 0 and seconds >= timeout)
