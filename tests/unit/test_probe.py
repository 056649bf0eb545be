# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe against real servers: http.server for HTTP, flup for FastCGI and SCGI, bare sockets for
what is broken.
"""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pyweb.stack.plugins.doc_fragments.targets import ModuleDocFragment
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    Endpoint,
    Target,
    ask,
    wait_until_healthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import ProtocolError
from ansible_collections.pyweb.stack.plugins.modules import probe
from flup.server import fcgi, scgi


def listener(directory, transport, backlog=16):
    if transport == "unix":
        path = str(directory / "probe.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        endpoint = Endpoint(path=path)
    else:
        server = socket.create_server(("127.0.0.1", 0))
        endpoint = Endpoint(port=server.getsockname()[1])
    server.listen(backlog)
    return server, endpoint


@pytest.fixture(params=["unix", "tcp"])
def listening(request, tmp_path):
    server, endpoint = listener(tmp_path, request.param)
    yield server, endpoint
    server.close()


@pytest.fixture
def started():
    """Starts functions as threads and at the end runs what stops them."""
    running = []

    def start(run, stop):
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        running.append((thread, stop))

    yield start
    for thread, stop in running:
        stop()
        thread.join(10)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        start_response("500 Internal Server Error", [("Content-Type", "text/html")])
        return [b"<!doctype html>\n<title>No module named shop</title>\n<p>more"]
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response(
        "200 Fine",
        [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    )
    return [json.dumps(seen).encode()]


def flup_server(module, server, app=application):
    """flup on a socket that listens already, in a thread, where it cannot have signals."""

    class Server(module.WSGIServer):
        def _setupSocket(self):
            return server

        def _installSignalHandlers(self):
            pass

        def _restoreSignalHandlers(self):
            pass

    return Server(app, debug=False)


@pytest.mark.parametrize("link, module", [("fastcgi", fcgi), ("scgi", scgi)])
def test_flup(link, module, listening, started):
    server, endpoint = listening
    back = flup_server(module, server)
    started(back.run, back._exit)
    target = Target(
        "shop",
        link,
        endpoint,
        script_name="/app",
        path="/x%20y?a=%20b",
        host="shop.example.org:8443",
        scheme="https",
        headers={"X-Big": "b" * 20000},
    )
    outcome = ask(target)
    assert outcome.fault is None and outcome.response.reason == "Fine"
    assert outcome.response.values("set-cookie") == ["a=1", "b=2"]
    environ = json.loads(outcome.response.body)
    wanted = {
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/x y",
        "QUERY_STRING": "a=%20b",
        "REQUEST_URI": "/app/x%20y?a=%20b",
        "HTTP_HOST": "shop.example.org:8443",
        "SERVER_NAME": "shop.example.org",
        "SERVER_PORT": "8443",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "https",
        "HTTP_X_BIG": "b" * 20000,
    }
    assert {name: environ[name] for name in wanted} == wanted
    assert ask(Target("shop", link, endpoint, path="/fail")).fault == (
        "status 500 Internal Server Error: No module named shop"
    )


def test_the_log_of_fastcgi_explains(listening, started):
    def broken(environ, start_response):
        environ["wsgi.errors"].write("Traceback\nKeyError: 'SECRET_KEY'\n")
        start_response("500 Oops", [])
        return []

    server, endpoint = listening
    back = flup_server(fcgi, server, broken)
    started(back.run, back._exit)
    assert (
        ask(Target("shop", "fastcgi", endpoint)).fault
        == "status 500 Oops; its log: KeyError: 'SECRET_KEY'"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps(
            [self.path, *([name, value] for name, value in self.headers.items())]
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):  # an address over a unix socket has no host
        return "-"

    def log_message(self, *ignored):
        pass


def test_http(listening, started):
    server, endpoint = listening
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    front.socket.close()
    front.socket = server
    started(front.serve_forever, front.shutdown)
    headers = {"x-forwarded-for": "::2"}
    outcome = ask(
        Target("shop", "http", endpoint, script_name="/a b", host="[::1]:80", headers=headers)
    )
    assert outcome.fault is None
    path, *headers = json.loads(outcome.response.body)
    assert path == "/a%20b/"
    assert dict(headers) == {
        "Host": "[::1]:80",
        "User-Agent": "pyweb.stack.probe",
        "X-Forwarded-Proto": "http",
        "x-forwarded-for": "::2",
        "Connection": "close",
    }


# What can be wrong


def answering(server, *answers):
    """Give each connection the next of the answers; then no more."""

    def run():
        for answer in answers:
            connection = server.accept()[0]
            connection.recv(65536)
            connection.sendall(answer)
            connection.close()

    return run, lambda: None


@pytest.mark.parametrize(
    "link, answer, fault",
    [
        ("http", b"", "the answer ended before its first byte"),
        (
            "fastcgi",
            b"HTTP/1.0 400 Bad\r\n",
            "malformed answer: 'HTTP/1.0' does not begin a FastCGI record",
        ),
        ("scgi", b"Status: 503 Busy\r\n\r\n\n  try later \nx", "status 503 Busy: try later"),
        ("uwsgi", b"HTTP/1.1 404 \r\n\r\n", "status 404"),
    ],
)
def test_wrong_answers(listening, started, link, answer, fault):
    server, endpoint = listening
    started(*answering(server, answer))
    outcome = ask(Target("shop", link, endpoint, status=[200]))
    assert outcome.fault == fault
    assert outcome.response is None or outcome.response.status in (404, 503)


@pytest.mark.parametrize(
    "to_strangers, fault",
    [
        (b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", None),
        (b"", None),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "it answers 127.0.0.2, too, which is none of its fronts: IPAddressDeny= of systemd has "
            "no effect on this host (it needs BPF)",
        ),
    ],
)
def test_a_stranger_has_to_be_refused(tmp_path, started, to_strangers, fault):
    server, endpoint = listener(tmp_path, "tcp")
    seen = []

    def run():
        for _connection in range(2):
            connection, (address, _port) = server.accept()
            seen.append(address)
            connection.recv(65536)
            connection.sendall(
                to_strangers
                if address == "127.0.0.2"
                else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            )
            connection.close()

    started(run, server.close)
    assert (
        ask(Target("shop", "http", endpoint, hint="turn it off and on", stranger="127.0.0.2")).fault
        == fault
    )
    assert seen == ["127.0.0.1", "127.0.0.2"]


def test_the_wrong_server_is_not_healthy(tmp_path, started):
    server, endpoint = listener(tmp_path, "tcp")
    started(*answering(server, b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"))
    outcome = ask(Target("shop", "http", endpoint, hint="check the address"))
    assert (
        str(outcome)
        == f"shop (http, {endpoint}): status 421 Misdirected Request; check the address"
    )


def test_nothing_listens(tmp_path):
    assert (
        ask(Target("shop", "http", Endpoint(path=str(tmp_path / "none")))).fault == "no such socket"
    )
    for transport in ("unix", "tcp"):
        server, endpoint = listener(tmp_path, transport)
        server.close()
        assert (
            ask(Target("shop", "http", endpoint)).fault
            == "connection refused: nothing listens there"
        )


def test_hanging(listening):
    server, endpoint = listening
    outcome = ask(Target("shop", "uwsgi", endpoint), timeout=0.2)
    assert outcome.fault == "no whole answer within 0.2 s"
    assert 0.2 <= outcome.seconds < 2


def test_a_slow_start_is_waited_for_in_one_try(listening, started):
    server, endpoint = listening

    def run():
        connection = server.accept()[0]
        time.sleep(1.5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.close()

    started(run, lambda: None)
    (outcome,) = wait_until_healthy(
        [Target("shop", "http", endpoint, timeout=20)], doubt=lambda target: None
    )
    assert (outcome.fault, outcome.tries) == (None, 1)


def test_what_will_never_answer_is_not_waited_for(listening):
    server, endpoint = listening
    begin = time.monotonic()
    (outcome,) = wait_until_healthy(
        [Target("shop", "http", endpoint, timeout=20)], doubt=lambda target: "it has died"
    )
    assert (outcome.fault, outcome.tries) == ("it has died", 1)
    assert time.monotonic() - begin < 10


def test_each_target_has_its_own_time(listening):
    server, endpoint = listening
    targets = [
        Target("shop", "http", endpoint, timeout=1),
        Target("wiki", "http", endpoint, timeout=2),
    ]
    outcomes = wait_until_healthy(targets)
    assert all(outcome.fault.startswith("no whole answer within ") for outcome in outcomes)
    assert outcomes[0].seconds < outcomes[1].seconds
    assert [
        outcome.fault for outcome in wait_until_healthy(targets, timeout=0, try_timeout=0.1)
    ] == ["no whole answer within 0.1 s"] * 2


@pytest.mark.parametrize(
    "answer, log, words",
    [
        (
            b"500 Oops",
            None,
            "status 500 Oops; look at: journalctl -u x.service -n 50; where that is as it should "
            "be, name another page or its "
            "status by sites[shop].health: {path: /..., status: [...]}",
        ),
        (b"500 Oops", "/var/log/x", "status 500 Oops; look at: tail -n 50 /var/log/x; where that"),
        (
            b"500 Oops",
            "y.service",
            "status 500 Oops; look at: journalctl -u y.service -n 50; where that",
        ),
        (
            None,
            None,
            "no whole answer within 1 s; look at: journalctl -u x.service -n 50; where it takes "
            "longer to start, sites[shop].health: "
            "{timeout: SECONDS} gives it more time",
        ),
    ],
)
def test_the_message_says_what_the_inventory_can_say(tmp_path, started, answer, log, words):
    server, endpoint = listener(tmp_path, "tcp")
    if answer:
        started(*answering(server, b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n"))
    (outcome,) = wait_until_healthy(
        [Target("shop", "http", endpoint, timeout=1, site="shop", unit="x.service", log=log)],
        timeout=0,
    )
    server.close()
    assert words in str(outcome)


def test_an_answer_in_drops_does_not_outlast_the_timeout(listening, started):
    server, endpoint = listening

    def run():
        connection = server.accept()[0]
        try:
            for _ in range(100):
                connection.sendall(b"a")
                time.sleep(0.05)
        except OSError:
            pass
        finally:
            connection.close()

    started(run, lambda: None)
    assert ask(Target("shop", "scgi", endpoint), timeout=0.3).seconds < 2


def test_full_queue(tmp_path):
    server, endpoint = listener(tmp_path, "unix", backlog=0)
    with server, endpoint.connect(1):
        assert "queue of connections is full" in ask(Target("shop", "http", endpoint)).fault


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "x y"},
        {"scheme": "ftp"},
        {"host": ""},
        {"host": "a:b"},
        {"headers": {"a": "b\n"}},
        {"link": "scgi", "path": "/%00"},
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(fields):
    good = Target("good", "http", Endpoint(path="/nonexistent"))
    bad = Target(
        **{"name": "bad", "link": "uwsgi", "endpoint": Endpoint(path="/nonexistent"), **fields}
    )
    begin = time.monotonic()
    with pytest.raises(ProtocolError, match="^bad: "):
        wait_until_healthy([good, bad])
    assert time.monotonic() - begin < 2


# Waiting


def test_waits_for_a_server_that_starts_late(tmp_path, started):
    path = tmp_path / "probe.sock"

    def run():
        time.sleep(0.3)
        server, ignored = listener(tmp_path, "unix")
        answering(server, b"Status: 503 Starting\n\n", b"Status: 200 OK\n\nready")[0]()
        server.close()

    started(run, lambda: None)
    [outcome] = wait_until_healthy(
        [Target("late", "scgi", Endpoint(path=str(path)))], timeout=20, interval=0.05
    )
    assert outcome.fault is None and outcome.response.body == b"ready"
    assert outcome.tries >= 3


@pytest.mark.parametrize(
    ("status", "tries"),
    [(b"500 Internal Server Error", 1), (b"404 Not Found", 2), (b"503 Starting", 2)],
)
def test_an_ill_answer_of_what_was_healthy_elsewhere_is_its_last(tmp_path, started, status, tries):
    server, endpoint = listener(tmp_path, "unix")
    answers = [b"Status: " + status + b"\n\n", b"Status: 200 OK\n\nready"]
    started(*answering(server, *answers[:tries]))
    asked = Target("x", "scgi", endpoint, status=[200], proven=status != b"404 Not Found")
    [outcome] = wait_until_healthy([asked], timeout=20, interval=0.05)
    assert outcome.tries == tries
    assert (outcome.fault is None) is (tries == 2)


def test_many_slow_targets_cost_the_time_of_one(tmp_path, started):
    class Slow(Handler):
        def do_GET(self):
            time.sleep(0.4)
            super().do_GET()

    server, endpoint = listener(tmp_path, "tcp", backlog=64)
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow, bind_and_activate=False)
    front.socket.close()
    front.socket = server
    started(front.serve_forever, front.shutdown)
    targets = [Target(f"site{number}", "http", endpoint) for number in range(20)]
    begin = time.monotonic()
    outcomes = wait_until_healthy(targets)
    assert time.monotonic() - begin < 4  # one after the other: 8
    assert [outcome.target for outcome in outcomes] == targets
    assert all(outcome.fault is None for outcome in outcomes)
    server.close()


def test_no_targets():
    assert wait_until_healthy([]) == []


# The module


def run_module(capsys, **arguments):
    with patch_module_args(arguments), pytest.raises(SystemExit) as end:
        probe.main()
    return end.value.code, json.loads(capsys.readouterr().out)


def test_module(capsys, listening, started):
    server, endpoint = listening
    body = "é" * 100
    answer = b"HTTP/1.1 201 Made\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n" + body.encode()
    started(*answering(server, answer))
    if endpoint.path:
        given = {"transport": "unix", "path": endpoint.path}
    else:
        given = {"transport": "tcp", "port": endpoint.port}
    targets = [{"name": "shop", "link": "uwsgi", "endpoint": given}]
    code, result = run_module(capsys, targets=targets, body_limit=101, _ansible_check_mode=True)
    assert code == 0 and result["changed"] is False
    [target] = result["targets"]
    assert target.pop("seconds") >= 0
    assert target == {
        "name": "shop",
        "healthy": True,
        "tries": 1,
        "status": 201,
        "reason": "Made",
        "headers": {"set-cookie": ["a", "b"]},
        "body": "é" * 50 + "\ufffd",
        "truncated": True,
    }


def test_module_names_every_unhealthy_target(capsys, tmp_path, started):
    server, endpoint = listener(tmp_path, "tcp")
    started(*answering(server, b"HTTP/1.1 200 OK\r\n\r\n"))
    shop = {"name": "shop", "link": "http", "endpoint": {"transport": "tcp", "port": endpoint.port}}
    wiki = {
        "name": "wiki",
        "link": "uwsgi",
        "endpoint": {"transport": "unix", "path": "/nonexistent"},
        "unit": "pyweb-wiki.service",
    }
    blog = {
        "name": "blog",
        "link": "scgi",
        "endpoint": {"transport": "unix", "path": "/nonexistent"},
    }
    code, result = run_module(capsys, targets=[shop, wiki, blog], timeout=0)
    server.close()
    assert code == 1
    assert result["msg"].splitlines() == [
        "2 of 3 targets not healthy:",
        "wiki (uwsgi, unix:/nonexistent): no such socket; look at: journalctl -u "
        "pyweb-wiki.service -n 50",
        "blog (scgi, unix:/nonexistent): no such socket",
    ]
    assert [target["healthy"] for target in result["targets"]] == [True, False, False]
    assert result["targets"][1]["fault"] == "no such socket"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"link": "ajp"}, "ajp"),
        ({"endpoint": {"transport": "unix"}}, "path"),
        ({"endpoint": {"transport": "tcp"}}, "port"),
        ({"path": "no slash"}, "shop: the target 'no slash'"),
    ],
)
def test_module_refuses(capsys, change, words):
    target = {
        "name": "shop",
        "link": "http",
        "endpoint": {"transport": "unix", "path": "/nonexistent"},
        **change,
    }
    code, result = run_module(capsys, targets=[target], timeout=0)
    assert code == 1 and words in result["msg"] and "targets" not in result


def test_documentation_equals_the_specification():
    def described(options):
        return {
            name: {
                key: described(value) if key == "suboptions" else value
                for key, value in option.items()
                if key != "description"
            }
            for name, option in options.items()
        }

    def specified(spec):
        return {
            name: {
                "suboptions" if key == "options" else key: specified(value)
                if key == "options"
                else value
                for key, value in option.items()
                if key != "required_if"
            }
            for name, option in spec.items()
        }

    options = {}
    for text in (ModuleDocFragment.DOCUMENTATION, probe.DOCUMENTATION):
        options.update(yaml.safe_load(text)["options"])
    assert described(options) == specified(probe.ARGUMENT_SPEC)
