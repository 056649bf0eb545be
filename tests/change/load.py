# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A constant load on a site while it changes, and what became of every request.

with Load("172.17.0.2", host="shop.test") as load:
    ...
print(load)
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Load:
    """Clients of two kinds, side by side: those that keep their connection, and those that open one
    for each request.
    """

    address: str
    host: str
    path: str = "/"
    port: int = 80
    keeping: int = 2
    opening: int = 2
    pause: float = 0.02  # seconds between two requests of a client
    accept: str = "text/html"
    sent: int = 0
    # of a kept connection, by the server between two requests: repeated, as RFC 9112, section 9.3.1
    # has it
    closed: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    servers: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)  # of their first 40 bytes

    def __enter__(self) -> Load:
        self._lock, self._over = threading.Lock(), threading.Event()
        kinds = [True] * self.keeping + [False] * self.opening
        self._threads = [
            threading.Thread(target=self._ask, args=(keep,), daemon=True) for keep in kinds
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        few = "".join(f"\n  {words}" for words in self.failed[:10])
        return (
            f"{len(self.failed)} of {self.sent} requests failed, the slowest answer took "
            f"{self.slowest:.2f} s, {self.closed} idle connections closed{few}"
        )

    def _ask(self, keep: bool) -> None:
        connection = None
        while not self._over.is_set():
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPConnection(self.address, self.port, timeout=30)
            begin = time.monotonic()
            fault, idle, server, answer = None, False, "", ""
            try:
                connection.request(
                    "GET",
                    self.path,
                    headers={
                        "Host": self.host,
                        "Accept": self.accept,
                        "Connection": "keep-alive" if keep else "close",
                    },
                )
                response = connection.getresponse()
                answer = response.read(40).decode(errors="replace")
                response.read()
                server = response.headers.get("Server", "")
                if response.status != 200:
                    fault = f"status {response.status}"
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                # Before the first byte of an answer on a connection that has served others: the
                # server had closed it.
                idle, fault = not fresh, repr(error)
            except (OSError, http.client.HTTPException) as error:
                fault = repr(error)
            seconds = time.monotonic() - begin
            with self._lock:
                if idle:
                    self.closed += 1
                else:
                    self.sent += 1
                    self.slowest = max(self.slowest, seconds)
                    self.servers.add(server.split("/")[0])
                    self.answers[answer] += 1
                    if fault:
                        self.failed.append(
                            f"{'kept' if keep else 'new'} connection, after {seconds:.2f} "
                            f"s: {fault}"
                        )
            if fault or not keep or response.will_close:
                connection.close()
                connection = None
            time.sleep(self.pause)
