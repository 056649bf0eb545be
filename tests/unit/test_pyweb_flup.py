# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pyweb_flup over real sockets, with the real flup, under every Python of the supported targets."""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from importlib import metadata

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _protocols as protocols
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import (
    ENCODERS,
    ProtocolError,
    Request,
)
from runtime_helpers import RUNTIME, Runner, eventually, flup_alone, interpreter, within

LINKS = ("fastcgi", "scgi")
VERSIONS = ("3.11", "3.13")
MEGABYTE = 1048576


@pytest.fixture(scope="session")
def flup(tmp_path_factory):
    assert metadata.version("flup") == "1.0.3"
    return flup_alone(tmp_path_factory.mktemp("flup"))


@pytest.fixture(scope="session", params=VERSIONS)
def python(request):
    path, reason = interpreter(request.param)
    return path or pytest.skip(reason)


@pytest.fixture(scope="session", params=LINKS)
def link(request):
    return request.param


@pytest.fixture(scope="session")
def shared(tmp_path_factory, python, flup):
    """Runners that serve for all tests that do not end them, by link and transport."""
    runners = {}

    def get(link, transport="unix"):
        if (link, transport) not in runners:
            directory = tmp_path_factory.mktemp(f"{link}-{transport}")
            runners[link, transport] = Runner(directory, python, flup, link, transport).start()
        runner = runners[link, transport]
        before = len(runner.log())
        runner.new_log = lambda: runner.log()[before:]  # of this test
        return runner

    yield get
    for runner in runners.values():
        runner.close()


@pytest.fixture
def runner(shared, link):
    return shared(link)


@pytest.fixture
def make(tmp_path, python, flup):
    runners = []

    def make(link="fastcgi", transport="unix"):
        runners.append(Runner(tmp_path, python, flup, link, transport))
        return runners[-1]

    yield make
    for runner in runners:
        runner.close()


def environ_of(response):
    assert response.status == 200
    return json.loads(response.body)


# Requests


def test_environ_is_what_the_front_sent(runner):
    environ = environ_of(
        runner.ask(
            "/app/environ/%C3%A9%FF%2F?q=%C3%A9",
            script_name="/app",
            scheme="https",
            headers=[("X-Latin", "\xe9"), ("Proxy", "http://evil/"), ("X-Forwarded-Proto", "http")],
        )
    )
    assert environ["SCRIPT_NAME"] == "/app"
    assert environ["PATH_INFO"] == "/environ/\xc3\xa9\xff/"
    assert environ["QUERY_STRING"] == "q=%C3%A9"
    assert environ["HTTP_X_LATIN"] == "\xe9"
    assert environ["wsgi.url_scheme"] == "https"
    assert not {"HTTP_PROXY", "HTTP_X_FORWARDED_PROTO"} & environ.keys()


@pytest.mark.parametrize("processes, threads", [(1, 2), (2, 1)])
def test_environ_tells_the_truth_about_concurrency(make, processes, threads):
    environ = environ_of(make().start(processes=processes, threads=threads).ask())
    assert (environ["wsgi.multiprocess"], environ["wsgi.multithread"]) == (
        processes > 1,
        threads > 1,
    )


def test_empty_path_info_stays_empty(runner):
    environ = environ_of(runner.ask("/a%20b", script_name="/a b"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/a b", "")


def test_missing_path_info_is_decoded(runner, monkeypatch):
    complete = protocols.cgi_environ
    monkeypatch.setattr(
        protocols,
        "cgi_environ",
        lambda request: {
            name: value for name, value in complete(request).items() if name != "PATH_INFO"
        },
    )
    environ = environ_of(runner.ask("/a%20b/%C3%A9?q=/a", script_name="/a b"))
    assert environ["PATH_INFO"] == "/\xc3\xa9"


def test_variables_larger_than_a_record(runner):
    """flup decodes each FastCGI record by itself, and fails where a variable goes on in the
    next.
    """
    value = "".join(map(str, range(40000)))
    assert environ_of(runner.ask(headers=[("X-Long", value)]))["HTTP_X_LONG"] == value


@pytest.mark.parametrize("body", [b"", b"x", b"one\ntwo\nthree", b"\n" * 9, b"y" * 20000], ids=len)
@pytest.mark.parametrize(
    "how",
    [
        "input.read()",
        "input.read(-1)",
        "input.read(None)",
        "input.read(5)",
        "input.read(100000)",
        "input.readline()",
        "input.readline(-1)",
        "input.readline(2)",
        "input.readlines()",
        "list(input)",
        "[input.read(1), input.readline(), input.read()]",
    ],
)
def test_body_is_read_as_a_file_is(runner, how, body):
    response = runner.ask("/read?" + how.replace(" ", ""), method="POST", body=body)
    assert (response.status, eval(response.body)) == (200, eval(how, {"input": io.BytesIO(body)}))


def test_large_upload_in_little_memory(runner):
    response = runner.ask("/count", method="POST", body=bytes(50 * MEGABYTE))
    size, peak = map(int, response.body.split())
    assert size == 50 * MEGABYTE
    assert peak < 40 * 1024


def test_large_download_in_little_memory(runner):
    with runner.connect() as sock:
        sock.sendall(ENCODERS[runner.link](Request(f"/zeros/{50 * MEGABYTE}")))
        response = runner.answer(sock, body_limit=0)
    assert response.size > 50 * MEGABYTE
    peak = runner.ask("/count").body.split()[1]
    assert int(peak) < 40 * 1024


def test_large_block(shared, link):
    """flup copies the rest of the block for each FastCGI record."""
    runner = shared(link, "tcp")
    with runner.connect() as sock, within(2):
        sock.sendall(ENCODERS[link](Request(f"/block/{50 * MEGABYTE}")))
        response = runner.answer(sock, body_limit=0)
    assert response.values("Content-Length") == [str(response.size)] == [str(50 * MEGABYTE)]


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_early_answer_to_a_large_upload(shared, link, transport):
    """A front that reads only when it has sent everything still gets the answer."""
    runner = shared(link, transport)
    with within(3):
        assert runner.ask("/early", method="POST", body=bytes(20 * MEGABYTE)).status == 413


def test_upload_that_is_ignored_costs_nothing(runner):
    """The front's end of the body has come: there is nothing to wait for."""
    with within(3):
        assert runner.ask("/early", method="POST", body=b"small").status == 413


# Responses


def receive_until(sock, mark):
    received = b""
    while mark not in received:
        received += sock.recv(4096)
    return received


def test_stream_is_not_held_back(runner):
    with runner.connect() as sock:
        sock.sendall(ENCODERS[runner.link](Request("/stream/0.3")))
        assert b"second" not in receive_until(sock, b"first")
        receive_until(sock, b"second")


@pytest.mark.parametrize(
    "target, method, length",
    [
        ("/block/5", "GET", ["5"]),
        ("/block/0", "GET", ["0"]),
        ("/block/5", "HEAD", []),
        ("/empty/204%20No%20Content", "GET", []),
        ("/empty/304%20Not%20Modified", "GET", []),
        ("/empty/200%20OK", "HEAD", []),
        ("/stream/0", "GET", []),
    ],
)
def test_content_length_is_added_where_it_is_known(runner, target, method, length):
    assert runner.ask(target, method=method).values("Content-Length") == length


def test_write_callable(runner):
    assert runner.ask("/write").body == b"written returned"


def test_result_is_closed(runner):
    assert runner.ask("/close/mark").body == b"data"
    eventually(lambda: runner.new_log() == "closed mark\n")


@pytest.mark.parametrize("view", ["fail", "quit", "silent", "split"])
def test_failure_before_the_response_is_a_500(runner, view):
    response = runner.ask("/" + view)
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert not response.values("Set-Cookie")
    assert runner.new_log().count("Traceback") == 1


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("body", [b"", b"body"])
def test_failure_within_the_response_is_seen_by_the_front(shared, link, transport, body):
    """flup ends the response as if it were whole; and it takes the application's EPIPE for the
    front's.
    """
    runner = shared(link, transport)
    with pytest.raises((ConnectionResetError, ProtocolError)):
        runner.ask("/fail_late", body=body)
    eventually(lambda: "the application's own" in runner.new_log())


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_killed_worker_is_seen_by_the_front(make, link, transport):
    runner = make(link, transport).start()
    with runner.connect() as sock:
        sock.sendall(ENCODERS[link](Request("/stream/20")))
        receive_until(sock, b"first")
        os.kill(runner.workers()[0], signal.SIGKILL)
        with pytest.raises((ConnectionResetError, ProtocolError)):
            runner.answer(sock)


# Fronts that go away or stay


def test_front_that_leaves_a_download(runner):
    with runner.connect() as sock:
        sock.sendall(ENCODERS[runner.link](Request(f"/zeros/{50 * MEGABYTE}")))
        sock.recv(100)
    assert runner.ask().status == 200
    time.sleep(0.1)
    assert runner.new_log() == ""


def test_front_that_leaves_an_upload(runner):
    with runner.connect() as sock:
        sock.sendall(
            ENCODERS[runner.link](Request("/count", method="POST", body=bytes(MEGABYTE)))[:-99999]
        )
    assert runner.ask().status == 200
    time.sleep(0.1)
    assert runner.new_log() == ""


@pytest.mark.parametrize("data", [b"", b"\x01", b"12", b"70:CONTENT_LENGTH"])
def test_front_that_leaves_before_its_request_is_complete(runner, data):
    with runner.connect() as sock:
        sock.sendall(data)
    assert runner.ask().status == 200
    assert runner.new_log() == ""


@pytest.mark.parametrize(
    "data",
    [
        b":",
        b"x:",
        b"-1:",
        b"1" * 16,
        b"3:abc," + b"x" * 16,
        b"24:CONTENT_LENGTH\0-1\0SCGI\x001,",
    ],
)
def test_scgi_that_is_none(shared, data):
    runner = shared("scgi")
    with runner.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises((ConnectionResetError, ProtocolError)):
            runner.answer(sock)
    assert runner.ask().status == 200
    assert "Traceback" not in runner.new_log()


def test_scgi_with_an_empty_content_length(shared, monkeypatch):
    """flup closes the connection, which a front answers with 502."""
    complete = protocols.cgi_environ
    monkeypatch.setattr(
        protocols, "cgi_environ", lambda request: {**complete(request), "CONTENT_LENGTH": ""}
    )
    assert shared("scgi").ask("/read?input.read()").body == b"b''"


def kept(data):
    """The FastCGI request with the flag that keeps the connection."""
    begin = struct.pack("!BBHHBxHB5x", 1, 1, 1, 8, 0, 1, 1)
    assert data.startswith(begin[:8])
    return begin + data[len(begin) :]


def test_fastcgi_connection_that_is_kept(make):
    runner = make().start(threads=1)
    with runner.connect() as sock:
        for number in range(3):
            sock.sendall(kept(ENCODERS["fastcgi"](Request(f"/block/{number}"))))
            assert runner.answer(sock).body == b"x" * number
        with within(3):
            assert runner.stop() == 0
        assert sock.recv(1) == b""


def test_kept_fastcgi_connections_are_fast_over_tcp(shared):
    """Without TCP_NODELAY each request takes 40 ms."""
    runner = shared("fastcgi", "tcp")
    with runner.connect() as sock, within(1):
        for _ in range(50):
            sock.sendall(kept(ENCODERS["fastcgi"](Request("/stream/0"))))
            assert runner.answer(sock).body == b"firstsecond"


def test_fastcgi_role_that_is_not_served(shared):
    runner = shared("fastcgi")
    with runner.connect() as sock:
        data = ENCODERS["fastcgi"](Request())
        sock.sendall(data[:9] + b"\2" + data[10:])
        with pytest.raises(ProtocolError, match="role"):
            runner.answer(sock)


def test_descriptors_beyond_what_select_knows(make, link):
    runner = make(link).start()
    assert runner.ask("/files/1100").status == 200
    assert runner.ask("/count", method="POST", body=bytes(MEGABYTE)).body.startswith(b"1048576 ")


@pytest.mark.parametrize(
    "allowed, is_allowed", [("192.0.2.7, 127.0.0.1", True), ("192.0.2.7", False)]
)
def test_allowed_fronts(make, link, allowed, is_allowed):
    runner = make(link, "tcp").start(allowed=allowed)
    if is_allowed:
        assert runner.ask().status == 200
    else:
        with pytest.raises((ConnectionResetError, BrokenPipeError, ProtocolError)):
            runner.ask()
        assert "refused a connection from 127.0.0.1" in runner.log()


# Processes and threads


def together(runner, targets):
    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        return list(pool.map(runner.ask, targets))


def test_as_many_requests_at_once_as_threads(make):
    runner = make().start(processes=2, threads=2)
    start = time.monotonic()
    responses = together(runner, ["/sleep/0.4"] * 8)
    assert 0.8 <= time.monotonic() - start < 1.5
    assert {response.body for response in responses} == {b"%d" % pid for pid in runner.workers()}


def test_requests_go_to_the_worker_that_can_serve_them(make):
    """One worker's Python is held up by C code, which does not delay who could be served by the
    other.
    """
    runner = make().start(processes=2, threads=4)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = pool.submit(runner.ask, "/hold/1.2")
        time.sleep(0.2)
        with within(0.8):
            assert {response.status for response in together(runner, ["/block/1"] * 8)} == {200}
        assert held.result().body == b"held"


def test_request_that_holds_the_interpreter_for_too_long_ends_its_worker(make, link):
    runner = make(link).start(processes=2, threads=2, silence=0.7)
    before = set(runner.workers())
    with within(6), pytest.raises((ConnectionResetError, ProtocolError)):
        runner.ask("/hold/15")
    assert {response.status for response in together(runner, ["/sleep/0.2"] * 4)} == {200}
    eventually(lambda: len(before & set(runner.workers())) == 1)
    assert "in see_hold" in runner.log()  # where it hung
    assert "ended: a request was silent for 0.7 s\n" in runner.log()


def test_each_request_has_a_clock_of_its_own(make, link):
    runner = make(link).start(threads=2, silence=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(runner.ask, "/sleep/0.5")
        time.sleep(0.3)
        second = pool.submit(runner.ask, "/sleep/0.8")
        assert first.result().status == second.result().status == 200
        time.sleep(0.3)
        third = pool.submit(runner.ask, "/sleep/5")
        time.sleep(0.5)
        assert runner.ask("/block/1").status == 200
        with within(2):
            assert third.result().status == 504
    eventually(lambda: "was silent for 1 s; its process ends" in runner.log())
    eventually(lambda: "in see_sleep" in runner.log())


@pytest.mark.parametrize("link, processes", [("fastcgi", 1), ("scgi", 2)])
def test_worker_is_replaced_after_max_requests(make, link, processes):
    runner = make(link).start(processes=processes, max_requests=10)
    pids = set()
    with within(10):
        while len(pids) < processes + 2:
            pids |= {environ_of(response)["pid"] for response in together(runner, ["/environ"] * 4)}
    assert runner.log().replace("atexit\n", "") == ""


def test_dead_worker_is_replaced(make):
    runner = make().start(processes=2)
    for _ in range(3):
        with pytest.raises((ConnectionResetError, ProtocolError)):
            runner.ask("/exit")
    assert runner.ask().status == 200
    eventually(lambda: len(runner.workers()) == 2)
    eventually(lambda: runner.log().count("it exited with status 3\n") == 3)


def test_pause_before_a_worker_that_dies_young_is_replaced_again(make):
    runner = make().start()
    with pytest.raises((ConnectionResetError, ProtocolError)), within(0.3):
        runner.ask("/exit")
    start = time.monotonic()
    for _ in range(3):
        with pytest.raises((ConnectionResetError, ProtocolError)):
            runner.ask("/exit")
    assert time.monotonic() - start > 0.1 + 0.2 + 0.4


# Start and stop


@pytest.mark.parametrize(
    "application, words",
    [
        ("missing:application", "No module named 'missing'"),
        ("broken:application", "the application's own words"),
    ],
)
def test_application_that_does_not_load(make, tmp_path, application, words):
    (tmp_path / "broken.py").write_text('raise RuntimeError("the application\'s own words")')
    runner = make().start(ready=False, processes=2, application=application)
    assert runner.process.wait(10) == 1
    assert words in runner.log()
    assert "did not start, since a worker did not" in runner.log()
    assert runner.has_notified() is False


def test_application_that_no_longer_loads(make, tmp_path):
    """Whatever runs goes on; when nothing runs any more, the service has failed and says so."""
    runner = make().start(processes=2)
    (tmp_path / "app.py").write_text("raise RuntimeError('gone')")
    os.kill(runner.workers()[0], signal.SIGKILL)
    eventually(lambda: "gone" in runner.log())
    assert runner.ask().status == 200
    os.kill(int(environ_of(runner.ask())["pid"]), signal.SIGKILL)
    assert runner.process.wait(10) == 1
    assert "stops, since no worker comes to serve" in runner.log()


def test_start_without_a_socket(python, flup):
    environ = {"PYTHONPATH": f"{flup}{os.pathsep}{RUNTIME}", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [python, "-m", "pyweb_flup"], env=environ, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "start it through its .socket unit" in result.stderr


@pytest.mark.parametrize(
    "link, number",
    [
        ("fastcgi", signal.SIGTERM),
        ("scgi", signal.SIGTERM),
        ("scgi", signal.SIGHUP),
    ],
)
def test_stop_answers_what_was_begun_and_leaves_the_rest(make, link, number):
    runner = make(link).start(processes=2, threads=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        begun = [pool.submit(runner.ask, "/sleep/0.5") for _ in range(2)]
        time.sleep(0.2)
        queued = [pool.submit(runner.ask, "/sleep/0") for _ in range(3)]
        time.sleep(0.1)
        runner.process.send_signal(number)
        assert runner.notification() == "STOPPING=1"
        assert runner.process.wait(5) == 0
        assert {future.result().status for future in begun} == {200}
        assert not any(future.done() for future in queued)
        runner.start()
        assert {future.result().status for future in queued} == {200}
    assert runner.log() == "atexit\n" * 2


def test_stop_with_a_silent_connection(make):
    runner = make().start()
    with runner.connect():
        time.sleep(0.1)
        with within(4):
            assert runner.stop() == 0


def test_stop_while_starting(make, tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(20)")
    runner = make().start(ready=False, application="slow:application")
    eventually(lambda: runner.workers())
    with within(2):
        assert runner.stop() == 0


def test_stop_with_threads_of_the_application_that_do_not_end(make):
    code = "import pyweb_flup; pyweb_flup.EXIT = 0.5; pyweb_flup.main()"
    runner = make().start(command=("-c", code))
    runner.ask("/linger/20")
    with within(3):
        assert runner.stop() == 0
    assert "ended: it did not exit within 0.5 s of its last request\n" in runner.log()


def test_workers_end_with_their_master(make):
    runner = make().start(processes=2)
    with runner.connect() as sock:
        sock.sendall(ENCODERS["fastcgi"](Request("/sleep/0.5")))
        time.sleep(0.2)
        runner.process.kill()
        assert runner.answer(sock).status == 200
    eventually(lambda: runner.log() == "atexit\n" * 2)


def test_restarts_lose_no_request(make, link):
    runner = make(link).start(processes=2)
    results = {"answered": 0}
    over = threading.Event()

    def load():
        while not over.is_set():
            try:
                assert runner.ask("/block/10").body == b"x" * 10
                results["answered"] += 1
            except Exception as error:
                results[repr(error)] = results.get(repr(error), 0) + 1

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.2)
        assert runner.stop() == 0
        assert runner.notification() == "STOPPING=1"
        runner.start()
    over.set()
    for thread in threads:
        thread.join()
    assert results.keys() == {"answered"}, results
    assert results["answered"] > 100


# The application's own processes, output and patches


def test_what_is_printed_comes_out_at_once(runner):
    assert runner.ask("/print/this").status == 200
    assert "printed this gr\\udcfcn\n" in runner.new_log()


def test_a_child_of_the_application_can_be_terminated(runner):
    assert runner.ask("/terminate").body == b"-15"


def test_a_child_that_outlives_the_answer_does_not_keep_it_open(runner):
    with within(5):
        assert runner.ask("/left/20").body == b"done"


PATCHED = """
import _thread, os, select, signal, socket, threading, time
from app import application


def patched(*_, **__):
    os.write(2, b"patched\\n")
    os._exit(9)


class Patched:
    __init__ = patched


select.poll = threading.Lock = threading.Thread = _thread.start_new_thread = time.sleep = time.monotonic = patched
socket.socket = Patched
"""


def test_a_patch_of_the_application_is_not_meant_for_the_server(make, link):
    """As gevent makes one of select, socket, threading and time."""
    runner = make(link)
    (runner._directory / "patched.py").write_text(PATCHED)
    runner.start(application="patched:application", processes=1)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [answer.status for answer in pool.map(runner.ask, ["/block/100000"] * 8)] == [
            200
        ] * 8
    assert runner.stop() == 0 and "patched\n" not in runner.log()


def test_an_application_is_loaded_before_there_are_threads(make, link):
    """As gevent needs it, to mend the locks of what is being imported."""
    runner = make(link)
    (runner._directory / "alone.py").write_text(
        "import os\nfrom app import application\nassert len(os.listdir('/proc/self/task')) == 1\n"
    )
    assert runner.start(application="alone:application").ask().status == 200


def test_a_default_timeout_of_the_application_is_for_its_own_sockets(make, link):
    runner = make(link)
    (runner._directory / "hasty.py").write_text(
        "import socket\nsocket.setdefaulttimeout(0.1)\nfrom app import application\n"
    )
    runner.start(application="hasty:application")
    with runner.connect() as sock:
        data = ENCODERS[link](Request("/count", method="POST", body=b"x" * 10))
        sock.sendall(data[:-5])
        time.sleep(0.5)
        sock.sendall(data[-5:])
        assert runner.answer(sock, "POST").body.startswith(b"10 ")


def test_an_application_may_be_made_by_a_factory(make):
    runner = make("scgi")
    (runner._directory / "factory.py").write_text(
        "def create():\n    from app import application\n    return application\n"
    )
    assert runner.start(application="factory:create()").ask().status == 200
