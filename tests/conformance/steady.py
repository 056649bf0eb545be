# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of transfers that flow steadily and last longer than request_timeout: none is cut."""

from __future__ import annotations

import time
from collections.abc import Iterator

from client import Check, Target, Wire, group, pattern, uploaded


class Paced:
    """A file that is read at so many bytes a second."""

    def __init__(self, file, rate: float) -> None:
        self._file = file
        self._rate = rate
        self._begun = time.monotonic()
        self._taken = 0

    def _pace(self, data: bytes) -> bytes:
        self._taken += len(data)
        time.sleep(max(0.0, self._begun + self._taken / self._rate - time.monotonic()))
        return data

    def readline(self, size: int = -1) -> bytes:
        return self._pace(self._file.readline(size))

    def read(self, size: int) -> bytes:
        return self._pace(self._file.read(size))

    def read1(self, size: int) -> bytes:
        return self._pace(self._file.read1(min(size, 8192)))

    def close(self) -> None:
        self._file.close()


@group
def steady(target: Target) -> Iterator[Check]:
    """Slow clients that never stop: their side takes longer than the application may be silent."""
    if target.request_timeout > 10:
        return
    seconds = target.request_timeout + 2

    def download(t, length):
        # More than what fronts and kernels hold in memory between the application and the client.
        size = 8_000_000
        action = t.action("download", size=size, length=length)
        with Wire(t, receive=65536) as wire:
            wire.send(t.head("GET", action, [("Connection", "close")]))
            wire.read_through(lambda file: Paced(file, size / seconds))
            answer = wire.response()
        is_same = answer.whole and answer.body == b"".join(pattern(size))
        return "same" if is_same else f"{answer.status}, {len(answer.body)} bytes"

    yield Check("download", lambda t: download(t, 1), ("same",))
    yield Check("download without a length", lambda t: download(t, 0), ("same",))

    def upload(t, **query):
        body = b"".join(pattern(200_000))
        step = len(body) // 40
        fields = [("Content-Length", len(body)), ("Connection", "close")]
        with Wire(t) as wire:
            wire.send(t.head("POST", t.action("upload", **query), fields))
            for start in range(0, len(body), step):
                wire.send(body[start : start + step])
                time.sleep(seconds / 40)
            return uploaded(wire.response(), body)

    yield Check("upload", upload, ("same",))
    yield Check("upload while the answer has begun", lambda t: upload(t, answer="first"), ("same",))
