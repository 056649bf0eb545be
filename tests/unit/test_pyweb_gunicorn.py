# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pyweb_gunicorn over real sockets, with the real gunicorn, under every Python of the supported
targets.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import threading
import time
from importlib import metadata
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import BACKS
from runtime_helpers import Runner, eventually, interpreter, within

COMMAND = ("-m", "gunicorn", "--config", "python:pyweb_gunicorn")
FROM_FRONT = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A directory for PYTHONPATH with gunicorn and what it needs, and nothing else of this
    interpreter's.
    """
    assert BACKS["gunicorn"].requirements == (f"gunicorn=={metadata.version('gunicorn')}",)
    directory = tmp_path_factory.mktemp("gunicorn")
    for name in ("gunicorn", "packaging"):
        (directory / name).symlink_to(Path(importlib.util.find_spec(name).origin).parent)
    return directory


@pytest.fixture(scope="session", params=("3.11", "3.13"))
def python(request):
    path, reason = interpreter(request.param)
    return path or pytest.skip(reason)


@pytest.fixture(params=("unix", "tcp"))
def make(request, tmp_path, python, packages):
    runners = []

    def make(**settings):
        runner = Runner(tmp_path, python, packages, "http", request.param)
        runners.append(runner)
        ask = runner.ask
        runner.ask = lambda target="/", headers=(), **more: ask(
            target, headers=[*FROM_FRONT, *headers], **more
        )
        return runner.start(command=COMMAND, **{"request_timeout": 5, **settings})

    yield make
    for runner in runners:
        runner.close()


def test_environ_is_what_the_front_says(make):
    answer = make(script_name="/app").ask(
        "/app/environ/%C3%A9?q=%C3%A9", headers=[("Script-Name", "/x"), ("SCRIPT_NAME", "/y")]
    )
    environ = json.loads(answer.body)
    expected = {
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/environ/\xc3\xa9",
        "REQUEST_URI": "/app/environ/%C3%A9?q=%C3%A9",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
    }
    assert {name: environ.get(name) for name in expected} == expected


def head(line: str, *fields: str) -> bytes:
    """The head of a request as a front sends it."""
    known = [f"{name}: {value}" for name, value in FROM_FRONT]
    return "\r\n".join([line, "Host: x", *known, *fields, "", ""]).encode("latin-1")


def test_a_path_of_other_bytes_is_taken_as_by_other_backs(make):
    runner = make()
    with runner.connect() as sock:
        sock.sendall(head("GET /environ/caf\xc3\xa9 HTTP/1.1"))
        assert json.loads(runner.answer(sock).body)["PATH_INFO"] == "/environ/caf\xc3\xa9"


def test_an_answer_names_no_server_and_no_date(make):
    names = {name.lower() for name, _value in make().ask("/block/1").headers}
    assert names == {"connection", "content-type", "content-length"}


def test_a_body_that_breaks_off_is_not_taken_for_whole(make):
    runner = make()
    with runner.connect() as sock:
        sock.sendall(head("POST /count HTTP/1.1", "Content-Length: 10") + b"12345")
        sock.shutdown(1)
        assert b" 200 " not in sock.recv(65536)
    eventually(lambda: "has closed the connection within the request's body" in runner.log())


def test_an_upload_that_is_answered_early_is_read_to_its_end(make):
    answer = make().ask("/early", method="POST", body=bytes(20_000_000))
    assert (answer.status, answer.body) == (413, b"too large")


def test_stop_answers_what_was_begun_and_leaves_the_rest(make):
    runner = make(threads=1)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(runner.ask("/sleep/1").status))
    asking.start()
    time.sleep(0.5)
    with runner.connect() as waiting:
        waiting.sendall(head("GET /block/3 HTTP/1.1"))
        assert runner.stop() == 0
        asking.join()
        assert answers == [200]
        runner.start(command=COMMAND, request_timeout=5)
        assert runner.answer(waiting).body == b"xxx"


def test_a_silent_application_is_answered_for_and_its_worker_ends(make):
    runner = make(silence=1)
    with within(6):
        assert runner.ask("/sleep/60").status == 504
    eventually(lambda: "was silent for 1 s; its process ends" in runner.log())
    assert runner.ask("/block/1").status == 200


def test_a_worker_is_replaced_after_max_requests(make):
    runner = make(max_requests=3, threads=1)
    pids = {json.loads(runner.ask("/environ").body)["pid"] for _request in range(10)}
    assert len(pids) > 2


def test_a_replacement_that_cannot_load_ends_no_other(make, tmp_path):
    runner = make(processes=2)
    assert runner.notification() == "READY=1"  # of the second
    first, second = runner.workers()
    (tmp_path / "app.py").write_text("raise RuntimeError('gone')")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: "RuntimeError: gone" in runner.log())
    assert runner.ask("/block/1").status == 200
    assert runner.process.poll() is None and second in runner.workers()


def test_an_application_that_does_not_load_ends_the_start(make):
    runner = make(ready=False, application="none:application")
    assert runner.process.wait(20) != 0 and "No module named 'none'" in runner.log()
    assert not runner.has_notified()


def test_a_child_of_the_application_can_be_terminated(make):
    assert make().ask("/terminate").body == b"-15"
