# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time limit of an application: of its silence, while a transfer may last as long as it flows.

A request's clock runs while code of the application runs. It stands still while the server waits
for the client to send or to take a piece, and begins anew after each piece. When the limit is over,
the client is answered by a 504 where the back lets us, and the process ends as soon as no other
request is in flight in it, or after the limit again.

The thread that watches needs Python's lock. Where C code keeps that, a timer outside of Python ends
the process (a dead man's switch): it is wound up as long as the thread runs.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import traceback

# Frameworks that replace these later must not replace them here.
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Callable, Mapping
from socket import MSG_DONTWAIT, SHUT_WR, socket
from time import monotonic, sleep

TICK = 1.0  # seconds between two looks
SLACK = 3  # seconds that the switch waits beyond the limit: uWSGI counts whole ones
PAUSE = 0.3  # seconds for a front to take an answer before its process ends

GATEWAY_TIMEOUT = "504 Gateway Timeout"


class Overdue(ConnectionError):
    """The application comes back to a request whose client has got an answer already."""


def log(text: str) -> None:
    print(f"pyweb_watchdog: {text}", file=sys.stderr, flush=True)


def answer(link: str, is_head: bool = False) -> bytes:
    """A whole response that says that the time is over, as a back sends it over this link."""
    body = GATEWAY_TIMEOUT[4:]
    begin = "Status:" if link in ("fastcgi", "scgi") else "HTTP/1.1"
    lines = [
        f"{begin} {GATEWAY_TIMEOUT}",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
    ]
    lines += ["Connection: close"] * (link == "http")
    data = "\r\n".join([*lines, "", "" if is_head else body]).encode()
    if link != "fastcgi":
        return data
    # Of FastCGI 1.0 and request 1: no front has more than one on a connection.
    head = struct.Struct(">BBHHBx").pack
    stdout, end_request = 6, 3
    data = head(1, stdout, 1, len(data), 0) + data + head(1, stdout, 1, 0, 0)
    return data + head(1, end_request, 1, 8, 0) + bytes(8)


class Clock:
    """How long the application has been silent in one request."""

    __slots__ = (
        "_environ", "_lock", "begun", "connection", "is_answered", "is_overdue", "method", "since",
    )  # fmt: skip

    def __init__(self, lock, environ: Mapping, connection: int | None) -> None:
        self._environ = environ
        self._lock = lock
        self.begun = False  # the response
        self.connection = connection
        self.is_answered = False
        self.is_overdue = False
        self.method = environ.get("REQUEST_METHOD")
        self.since: float | None = monotonic()

    def __str__(self) -> str:
        path = self._environ.get("SCRIPT_NAME", "") + self._environ.get("PATH_INFO", "")
        return f"{self.method} {path}"

    def follow(self, lock) -> None:
        self._lock = lock

    def resume(self) -> None:
        """Code of the application runs from now on."""
        self.since = monotonic()

    def pause(self) -> None:
        """It has come back."""
        if self.since is None and not self.is_answered:
            return
        with self._lock:
            self.since = None
            if self.is_answered:
                raise Overdue("the time limit of the request is over, and it has been answered")


UNWATCHED = Clock(allocate_lock(), {}, None)


class Watchdog:
    """What watches over the requests of this process.

    limit: seconds of silence; 0: any.
    answer: what a client is told on its connection.
    retreat: called once a request is overdue, to take no more of them.
    end: end the process.
    wind: set the switch to these seconds; 0: off.
    """

    def __init__(
        self,
        limit: float = 0,
        answer: Callable[[bool], bytes] | None = None,
        retreat: Callable[[], None] = lambda: None,
        end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
        wind: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self._limit = limit
        self._answer = answer
        self._retreat = retreat
        self._end = end
        self._wind = wind
        self._clocks: dict[int, Clock] = {}  # by thread
        self._lock = allocate_lock()
        self._is_awake = False
        self._is_started = False
        self._waking = allocate_lock()
        self._waking.acquire()

    def begin(self, environ: Mapping, connection: int | None = None) -> Clock:
        """A request of this thread: the application is called now."""
        clock = Clock(self._lock, environ, connection)
        if self._limit:
            with self._lock:
                self._clocks[get_ident()] = clock
                self._wind(self._limit + SLACK)
                if not self._is_awake:
                    self._is_awake = True
                    self._wake()
        return clock

    def _wake(self) -> None:
        # Not before the first request: a server may fork after it has loaded the application.
        if self._is_started:
            self._waking.release()
        else:
            self._is_started = True
            start_new_thread(self._watch, ())

    @property
    def retreats(self) -> bool:
        with self._lock:
            return any(clock.is_overdue for clock in self._clocks.values())

    def finish(self) -> None:
        """The request of this thread is answered."""
        with self._lock:
            self._clocks.pop(get_ident(), None)

    def leave(self) -> None:
        """In a child of the application: nobody watches, and the lock may be held for good."""
        self._limit = 0
        self._lock = allocate_lock()
        for clock in self._clocks.values():
            clock.follow(self._lock)
        self._clocks.clear()

    def retire(self) -> None:
        """Leave the switch alone from now on."""
        with self._lock:
            self._wind = lambda seconds: None

    def _watch(self) -> None:
        while True:
            sleep(min(TICK, self._limit / 4))
            with self._lock:
                self._is_awake = is_awake = bool(self._clocks)
                self._wind(self._limit + SLACK if is_awake else 0)
            if is_awake:
                self._look()
            else:
                self._waking.acquire()

    def _look(self) -> None:
        with self._lock:
            now = monotonic()
            found = {}
            for thread, clock in self._clocks.items():
                is_running = clock.since is not None and not clock.is_overdue
                if is_running and now - clock.since >= self._limit:
                    clock.is_overdue = True
                    found[thread] = clock
                    self._give_up(clock)
            overdue = [clock.since for clock in self._clocks.values() if clock.is_overdue]
            is_alone = len(overdue) == len(self._clocks)
        if found:
            frames = sys._current_frames()
            for thread, clock in found.items():
                stack = "".join(traceback.format_stack(frames[thread])) if thread in frames else ""
                what = f"{ascii(str(clock))[1:-1]} was silent for {self._limit:g} s"
                log(f"{what}; its process ends\n{stack}")
            if len(found) == len(overdue):
                self._retreat()
        first = min(filter(None, overdue), default=now)
        if overdue and (is_alone or now - first >= 2 * self._limit):
            sleep(PAUSE)
            self._end()

    def _give_up(self, clock: Clock) -> None:
        """Answer in place of the application, which cannot begin to answer meanwhile."""
        if clock.connection is None or clock.begun or self._answer is None:
            return
        clock.is_answered = True
        with socket(fileno=os.dup(clock.connection)) as connection:
            try:
                connection.send(self._answer(clock.method == "HEAD"), MSG_DONTWAIT)
                connection.shutdown(SHUT_WR)
            except OSError:
                pass  # the front has gone
