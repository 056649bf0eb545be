# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time limit of an application: of its silence, not of a transfer."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import DECODERS
from runtime_helpers import eventually, runtime_module

LIMIT = 0.4
GET = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}


@pytest.fixture(name="module", scope="module")
def the_runtime_module():
    return runtime_module("pyweb_watchdog")


class Process:
    """What would happen to a process."""

    def __init__(self, module, **answer) -> None:
        self.ended = threading.Event()
        self.retreated = threading.Event()
        self.wound: list[float] = []
        self.watchdog = module.Watchdog(
            LIMIT, retreat=self.retreated.set, end=self.ended.set, wind=self.wound.append, **answer
        )

    def request(self, function=lambda clock: None, connection=None) -> threading.Thread:
        def run():
            clock = self.watchdog.begin(GET, connection)
            try:
                function(clock)
            finally:
                self.watchdog.finish()

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture(name="process")
def the_process(module):
    return Process(module)


def test_a_silent_application_is_ended(process, capfd):
    release = threading.Event()
    thread = process.request(lambda clock: release.wait(10))
    assert process.ended.wait(5) and process.retreated.is_set()
    release.set()
    thread.join()
    told = capfd.readouterr().err
    assert "GET /x was silent for 0.4 s; its process ends\n" in told
    assert "in wait" in told, "where it hangs"


def flows(clock):
    """Longer than the limit, in pieces that are shorter."""
    for _piece in range(8):
        time.sleep(LIMIT / 3)
        clock.pause()
        clock.resume()


def waits_for_the_client(clock):
    clock.pause()
    time.sleep(3 * LIMIT)
    clock.resume()


@pytest.mark.parametrize("function", [flows, waits_for_the_client])
def test_a_transfer_may_last_longer(process, function):
    process.request(function).join()
    assert not process.ended.wait(2 * LIMIT) and not process.retreated.is_set()


def test_other_requests_end_first(process):
    release = threading.Event()
    process.request(lambda clock: release.wait(10))
    time.sleep(LIMIT / 2)
    other = process.request(flows)
    assert process.retreated.wait(5) and process.watchdog.retreats
    assert not process.ended.is_set() and other.is_alive()
    other.join()
    assert process.ended.wait(5)
    release.set()


def test_other_requests_cannot_keep_the_process_for_good(process):
    release = threading.Event()
    process.request(lambda clock: release.wait(10))
    others = [process.request(lambda clock: clock.pause() or release.wait(10))]
    assert process.ended.wait(5)
    release.set()
    others[0].join()


def test_an_idle_process_is_left_alone(process):
    process.request().join()
    eventually(lambda: process.wound[-1:] == [0], 5)
    wound = len(process.wound)
    time.sleep(2 * LIMIT)
    assert len(process.wound) == wound, "the thread sleeps"
    process.request().join()
    assert process.wound[wound] > LIMIT, "a later request winds the switch up"
    assert not process.ended.is_set()


def test_without_a_limit_nothing_is_watched(module):
    watchdog = module.Watchdog(end=pytest.fail, wind=pytest.fail)
    watchdog.begin(GET)
    time.sleep(LIMIT)
    watchdog.finish()


@pytest.mark.parametrize("link", ["http", "fastcgi", "scgi"])
def test_the_client_is_answered_in_place_of_the_application(module, link):
    process = Process(module, answer=lambda is_head: module.answer(link, is_head))
    ours, theirs = socket.socketpair()
    late = []

    def hangs(clock):
        process.ended.wait(5)
        with pytest.raises(module.Overdue):
            clock.pause()
        late.append(True)

    with ours, theirs:
        thread = process.request(hangs, ours.fileno())
        decoder = DECODERS[link]("GET", None)
        while data := theirs.recv(65536):
            decoder.feed(data)
        decoder.close()
        thread.join()
    assert (decoder.response.status, decoder.response.body) == (504, b"Gateway Timeout")
    assert late == [True]


def test_a_response_that_has_begun_gets_no_other(module):
    process = Process(module, answer=lambda is_head: module.answer("http", is_head))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)

        def hangs(clock):
            clock.begun = True
            process.ended.wait(5)
            clock.pause()

        process.request(hangs, ours.fileno()).join()
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
