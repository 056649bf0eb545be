# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a daemon process of mod_wsgi needs before it imports an application: systemd starts none of
them, so that nobody has put the site's environment into them.
"""

from __future__ import annotations

import _locale
import faulthandler
import functools
import os
import pwd
import re
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping

JOURNAL = "/run/systemd/journal/stdout"
# What Apache's own unit and mod_wsgi have in the environment and a site's unit has not.
OF_APACHE = ("INVOCATION_ID", "LC_ALL", "PIDFILE", "PWD", "RUNTIME_DIRECTORY", "SYSTEMD_EXEC_PID")
# Seconds until a process that could not load its site ends, as systemd's RestartSec= of the other
# backs.
PAUSE = 1
ASSIGNMENT = re.compile(r'^(\w+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL | re.ASCII)


def assignments(text: str) -> dict[str, str]:
    """The variables of an EnvironmentFile of systemd, in the one form that the collection writes:
    every value quoted.
    """
    return {
        name: re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        for name, value in ASSIGNMENT.findall(text)
    }


def prepare(values: dict[str, str], files: list[str]) -> None:
    """Fill the environment of this process, and keep the process with the release that is current
    as it starts.
    """
    for path in files:
        with open(path, encoding="utf-8", newline="") as file:
            values = {**values, **assignments(file.read())}
    for name in [name for name in os.environ if name.startswith("APACHE_") or name in OF_APACHE]:
        del os.environ[name]
    os.environ["LOGNAME"] = os.environ["USER"] = pwd.getpwuid(os.getuid()).pw_name
    os.environ.update(values)
    take_up(os.environ)
    # What is imported later must not come out of the release that replaces this one.
    sys.path[:] = [os.path.realpath(path) if path else path for path in sys.path]
    sys.prefix = sys.exec_prefix = os.path.realpath(sys.prefix)
    sys.executable = os.path.join(sys.prefix, "bin", "python")


def take_up(environ: Mapping[str, str]) -> None:
    """Do what the C library and Python do by the environment as a process starts, which this one
    was without.
    """
    time.tzset()
    _locale.setlocale(_locale.LC_ALL, "C")
    try:
        _locale.setlocale(_locale.LC_CTYPE, "")
    except _locale.Error:
        pass  # this host has not got it, and a program starts without it
    sys.path[1:1] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.pycache_prefix = environ.get("PYTHONPYCACHEPREFIX") or None


def open_journal(identifier: str) -> None:
    """Send the output of this process, and of what it starts, to the journal
    (sd_journal_stream_fd(3)): Apache has put it away.
    """
    with socket.socket(socket.AF_UNIX) as stream:
        try:
            stream.connect(JOURNAL)
        except OSError:
            return
        stream.sendall(f"{identifier}\n\n6\n1\n0\n0\n0\n".encode())
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    sys.stdout, sys.stderr = (
        open(descriptor, "w", encoding="utf-8", closefd=False) for descriptor in (1, 2)
    )


def serve(values: dict[str, str], files: list[str], seconds: int) -> Callable:
    """The callable that mod_wsgi looks for; where it cannot be had in so many seconds, this process
    ends and Apache begins another.

    mod_wsgi asks before the process takes a request, so that requests wait meanwhile. It would try
    again in this process alone, which is bound to its release and its environment: the next one
    takes up what is current then.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    try:
        open_journal(f"pyweb-{values['PYWEB_SITE']}")
        prepare(values, files)
        application = site()
    except BaseException:
        traceback.print_exc()
        # The collection looks for this line in the log.
        words = f"pyweb: the site {values['PYWEB_SITE']} cannot be loaded by process {os.getpid()}"
        print(f"{words}, begun {begun():.2f} s after boot", file=sys.stderr, flush=True)
        time.sleep(PAUSE)
        os._exit(1)
    faulthandler.cancel_dump_traceback_later()
    return application


def begun() -> float:
    """When this process began, in seconds since boot (starttime of proc(5))."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def site() -> Callable:
    """The application in its wrapper."""
    import pyweb_wsgi  # it comes out of the release
    from pyweb_watchdog import Watchdog

    class Server(pyweb_wsgi.Server):
        location_of_200 = "Pyweb-Location"
        signals = (
            signal.SIGINT, signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE,
            signal.SIGUSR1, signal.SIGSEGV, signal.SIGTERM,
            signal.SIGXCPU, signal.SIGHUP, signal.SIGPIPE,
        )  # fmt: skip

        def drain(self, result: Iterable[bytes], body) -> Iterable[bytes]:
            return pyweb_wsgi.Followed(result, self.watchdog.finish)

    # At this signal mod_wsgi takes no more requests.
    retreat = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
    watchdog = Watchdog(float(os.environ["PYWEB_SILENCE"]), retreat=retreat)
    pyweb_wsgi.steady(sys.stdout, sys.stderr)
    return pyweb_wsgi.site(Server(os.environ["PYWEB_LINK"], sys.stderr, watchdog))
