# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the wrapper does around an application under uWSGI, whose own module is a stand-in here."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import os
import signal
import socket
import sys
import threading
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

import pytest
from runtime_helpers import RUNTIME


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, RUNTIME / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="uwsgi")
def the_servers_own_module():
    """In ends: how often it was asked to read the end of a body."""

    def chunked_read(timeout):
        module.ends += 1
        raise OSError("unable to receive chunked part")

    module = SimpleNamespace(
        ends=0, numproc=1, worker_id=lambda: 1, connection_fd=lambda: 0, chunked_read=chunked_read
    )
    return module


@pytest.fixture(name="wsgi")
def the_wrapper(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setitem(sys.modules, "pyweb_wsgi", module_of("pyweb_wsgi"))
    return sys.modules["pyweb_wsgi"]


@pytest.fixture(name="module")
def the_runtime_module(monkeypatch, wsgi, uwsgi):
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    return module_of("pyweb_uwsgi")


def request(**variables):
    environ = {"wsgi.errors": io.StringIO(), **variables}
    setup_testing_defaults(environ)
    return environ


def begin(start_response):
    return start_response("200 OK", [("Content-Type", "text/plain")])


# The end of a response


def fails_after_data(environ, start_response):
    begin(start_response)
    yield b"data"
    raise ValueError("reason")


def fails_after_write(environ, start_response):
    begin(start_response)(b"data")
    raise ValueError("reason")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def keeping(wsgi, module, uwsgi, monkeypatch):
    """Asks an application over a connection that is closed after it; returns the front's end of
    it.
    """
    gc.collect()
    before = descriptors()
    server = module.Server("uwsgi", "unix")
    monkeypatch.setattr(wsgi, "PAUSE", 0)

    def ask(application):
        front, back = socket.socketpair()
        front.setblocking(False)
        with back:
            uwsgi.connection_fd = back.fileno
            try:
                result = list(
                    wsgi.wrap(application, (), server)(request(), lambda *arguments: back.send)
                )
                back.send(b"".join(result))
            except ValueError:
                pass
        return front

    yield ask
    assert descriptors() == before


def fails_with_a_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "100")])
    yield b"data"
    raise ValueError


def streams(environ, start_response):
    begin(start_response)
    yield b"data"


def is_open(front):
    try:
        while front.recv(100):
            pass
    except BlockingIOError:
        return True
    return False


def test_a_failed_stream_is_for_the_front_to_give_up_on(keeping):
    with keeping(fails_after_data) as one, keeping(fails_after_write) as another:
        assert is_open(one) and is_open(another)
        with keeping(streams) as good, keeping(fails_with_a_length) as told:
            assert not is_open(good) and not is_open(told)
        assert is_open(one) and is_open(another)
    with keeping(streams) as good:
        assert not is_open(good), "and what other fronts have given up on is closed"


def test_a_good_stream_is_none_the_worse_where_too_many_have_failed(keeping):
    with contextlib.ExitStack() as fronts:
        failed = [fronts.enter_context(keeping(fails_after_data)) for _number in range(400)]
        assert is_open(failed[0]) and not is_open(failed[-1])
        assert not is_open(fronts.enter_context(keeping(streams)))
        assert is_open(failed[0])
    with keeping(streams):
        pass


def test_a_stream_outlives_its_process_until_it_is_complete(wsgi, module, uwsgi):
    front, back = socket.socketpair()
    server = module.Server("scgi", "tcp")
    with front, back:
        front.setblocking(False)
        uwsgi.connection_fd = back.fileno
        pid = os.fork()
        if not pid:
            next(wsgi.wrap(streams, (), server)(request(), lambda *arguments: None))
            os.kill(os.getpid(), signal.SIGKILL)
        back.close()
        os.waitpid(pid, 0)
        assert is_open(front)


# The body of a request


class Source:
    """uWSGI's input, of which only read() may be asked, and not for more than there is."""

    def __init__(self, data):
        self.data = data

    def read(self, size):
        assert size <= len(self.data)
        piece, self.data = self.data[: min(size, 5)], self.data[min(size, 5) :]
        return piece


def posted(wsgi, module, link, source, length, application, start_response=lambda *args: None):
    """The answer of an application that uWSGI runs."""
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(length),
        "wsgi.input": source,
        "wsgi.errors": io.StringIO(),
    }
    return wsgi.wrap(application, [], module.Server(link, "unix"))(environ, start_response)


@pytest.mark.parametrize(("link", "ends"), [("fastcgi", 1), ("uwsgi", 0)])
def test_a_body_from_uwsgi_is_read_by_read_alone_to_its_end_before_the_answer(
    wsgi, module, uwsgi, link, ends
):
    body = b"one\ntwo lines\n\nlast"
    seen = []

    def application(environ, start_response):
        source = environ["wsgi.input"]
        seen.extend([source.readline(), source.readlines(), source.read(), source.read(10)])
        start_response("200 OK", [])
        return []

    begun = []
    posted(
        wsgi,
        module,
        link,
        Source(body),
        len(body),
        application,
        lambda *args: begun.append(uwsgi.ends),
    )
    assert seen == [b"one\n", [b"two lines\n", b"\n", b"last"], b"", b""]
    assert begun == [ends]


def test_the_first_of_a_body_is_read_before_the_application_is_asked(wsgi, module, uwsgi):
    source = Source(b"hello")

    def application(environ, start_response):
        assert (source.data, uwsgi.ends) == (b"", 1)
        start_response("200 OK", [])
        return []

    posted(wsgi, module, "fastcgi", source, 5, application)


def test_a_body_that_does_not_come_is_a_bad_request(wsgi, module):
    class Gone:
        def read(self, size):
            raise OSError("the client has gone")

    statuses = []
    result = posted(
        wsgi, module, "uwsgi", Gone(), 5, None, lambda status, *args: statuses.append(status)
    )
    assert (statuses, list(result)) == (["400 Bad Request"], [b"Bad Request"])


@pytest.mark.parametrize("in_records", [True, False])
def test_what_nobody_reads_is_waited_for_a_moment_alone(module, uwsgi, in_records):
    """nginx stops sending when it has the head of an answer, and waits for its end."""
    front, back = socket.socketpair()
    with front, back:
        uwsgi.connection_fd = back.fileno
        front.send(b"some of it")
        body = module.Body(None, 1000, in_records)
        assert body.rest(4) == b"some"
        assert body.rest(65536) == b" of it"
        assert body.rest(65536) == b""
        if in_records:
            assert back.recv(1) == b"", "uWSGI waits for no more either"


def test_what_has_come_is_waited_for_no_more(module, uwsgi, monkeypatch):
    front, back = socket.socketpair()
    with front, back:
        uwsgi.connection_fd = back.fileno
        monkeypatch.setattr(module, "PATIENCE", None)  # for ever
        front.send(b"all of it")
        body = module.Body(None, 9, False)
        assert body.rest(65536) == b"all of it"
        assert body.rest(65536) == b""


# A process


@pytest.fixture(name="started")
def a_worker_that_loads_an_application(module, uwsgi, monkeypatch, tmp_path):
    """Loads an application as a worker does; returns what systemd has been told."""
    (tmp_path / "good.py").write_text("application = print")
    (tmp_path / "bad.py").write_text("raise RuntimeError('on purpose')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: uwsgi.hooks.append(hooks))
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi-core")
    monkeypatch.setattr(module.pyweb_wsgi, "steady", lambda *streams: None)
    monkeypatch.setattr(module, "sleep", lambda seconds: None)
    uwsgi.hooks = []
    uwsgi.post_fork_hook = None
    uwsgi.workers = lambda: [{"id": 1, "respawn_count": uwsgi.respawned}]

    def start(application, respawned=0, worker=1):
        uwsgi.respawned, uwsgi.worker_id = respawned, lambda: worker
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
            monkeypatch.context() as patch,
        ):
            systemd.bind(f"\0pyweb-test-{os.getpid()}")
            systemd.setblocking(False)
            for name, value in {
                "APPLICATION": f"{application}:application",
                "LINK": "uwsgi",
                "NOTIFY_SOCKET": f"@pyweb-test-{os.getpid()}",
            }.items():
                patch.setenv(f"PYWEB_{name}", value)
            patch.setenv("UWSGI_RELOADS", "0")
            patch.setenv("LISTEN_FDNAMES", "a.socket")
            try:
                module.serve()
            finally:
                assert (
                    not {"PYWEB_NOTIFY_SOCKET", "UWSGI_RELOADS", "LISTEN_FDNAMES"}
                    & os.environ.keys()
                )
                try:
                    uwsgi.told = systemd.recv(100)
                except BlockingIOError:
                    uwsgi.told = b""
        return uwsgi.told

    return start


def test_systemd_is_told_when_the_application_is_there(started):
    assert started("good") == b"READY=1"
    assert sys.executable == os.path.join(sys.prefix, "bin", "python")


def test_an_application_that_does_not_load_ends_the_start(started, uwsgi):
    with pytest.raises(RuntimeError, match="on purpose"):
        started("bad")
    assert uwsgi.told == b""


def test_a_worker_that_cannot_replace_another_does_not_end_all(started, monkeypatch, capsys):
    """uWSGI takes down every worker where one has no application."""

    def end(status):
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(SystemExit, match="1"):
        started("bad", respawned=1)
    assert "RuntimeError: on purpose" in capsys.readouterr().err


def test_a_master_that_loads_the_application_is_no_child_of_it(started, uwsgi):
    started("good", worker=0)
    assert not uwsgi.hooks
    uwsgi.post_fork_hook()
    assert [list(hooks) for hooks in uwsgi.hooks] == [["after_in_child"]]


def test_what_a_thread_starts_is_not_deaf_to_signals(wsgi, module):
    """uWSGI blocks all signals in its threads but the first."""
    masks = []

    def application(environ, start_response):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        begin(start_response)
        return []

    wrapped = wsgi.wrap(application, (), module.Server("uwsgi", "unix"))

    def thread():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        list(wrapped(request(), lambda *arguments: None))

    one = threading.Thread(target=thread)
    one.start()
    one.join()
    assert masks == [set()]


def test_a_connection_that_is_settled_is_for_no_program_meanwhile(module, uwsgi, monkeypatch):
    """Another thread may start one at any time."""
    keeper = module.Keeper(1)
    inheritable = []
    close = os.close

    def closing(descriptor):
        inheritable.append(os.get_inheritable(descriptor))
        close(descriptor)

    front, back = socket.socketpair()
    with front, back:
        token = keeper.keep(back.fileno())
        monkeypatch.setattr(os, "close", closing)
        keeper.settle(token)
    assert inheritable == [False]
