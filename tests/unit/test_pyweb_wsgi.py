# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import gzip
import io
import itertools
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, request_uri, setup_testing_defaults

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime_helpers import RUNTIME

THROUGH_A_FRONT = {"HTTP_X_FORWARDED_FOR": "192.0.2.1", "HTTP_X_FORWARDED_PROTO": "http"}
PATHS = st.text(alphabet="/ab.%\xc3\xa9", max_size=12)
MOUNTS = st.sampled_from(["", "/a", "/a/b", "/\xc3\xa9"])


@pytest.fixture(scope="module")
def wsgi():
    return load()


def load(**settings):
    """The module, and the application as a back makes it."""
    environ = {
        "application": "wsgiref.simple_server:demo_app",
        "link": "uwsgi",
        "script_name": "",
        **settings,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        for key, value in environ.items():
            patch.setenv(f"PYWEB_{key.upper()}", value)
        module = SimpleNamespace(**runpy.run_path(str(RUNTIME / "pyweb_wsgi.py")))
        module.application = module.site(module.Server(environ["link"]))
        return module


def request(**variables):
    environ = {"wsgi.errors": io.StringIO(), **variables}
    setup_testing_defaults(environ)
    return environ


class Handler(SimpleHandler):
    """The standard library's server side; it raises where others would break the connection off."""

    def handle_error(self):
        raise

    def log_exception(self, exc_info):
        raise exc_info[1]


def serve(application, environ):
    """The bytes on the wire."""
    out = io.BytesIO()
    handler = Handler(environ["wsgi.input"], out, environ["wsgi.errors"], environ)
    handler.origin_server = False
    if "wsgi.file_wrapper" in environ:
        handler.wsgi_file_wrapper = None  # it would take its place
    handler.run(application)
    return out.getvalue()


# Loading


def test_application_may_be_an_attribute_of_an_attribute():
    assert load(application="wsgiref.simple_server:WSGIServer.get_app").application


@pytest.mark.parametrize(
    "name, error",
    [
        ("no_such_module:application", ModuleNotFoundError),
        ("wsgiref.simple_server:no_such_name", AttributeError),
        ("wsgiref.simple_server:__version__", TypeError),
        ("wsgiref.simple_server:", AttributeError),
    ],
)
def test_application_that_does_not_load(name, error):
    with pytest.raises(error):
        load(application=name)


def test_nothing_heavy_is_imported():
    heavy = {"asyncio", "dataclasses", "inspect", "logging", "socket", "subprocess", "typing"}
    text = (RUNTIME / "pyweb_wsgi.py").read_text()
    assert (
        not {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
        & heavy
    )


# The environ


@pytest.mark.parametrize(
    "given_, expected",
    [
        ({}, {"wsgi.url_scheme": "http", "REQUEST_SCHEME": "http"}),
        ({"HTTPS": "on"}, {"wsgi.url_scheme": "https", "REQUEST_SCHEME": "https", "HTTPS": "on"}),
        ({"HTTPS": "1"}, {"wsgi.url_scheme": "https", "REQUEST_SCHEME": "https", "HTTPS": "on"}),
        ({"HTTPS": "off"}, {"wsgi.url_scheme": "http", "REQUEST_SCHEME": "http"}),
        (
            {"REQUEST_SCHEME": "https"},
            {"wsgi.url_scheme": "https", "REQUEST_SCHEME": "https", "HTTPS": "on"},
        ),
        # uWSGI's own belief in the client's header
        (
            {
                "HTTP_X_FORWARDED_PROTO": "https",
                "wsgi.url_scheme": "https",
                "REQUEST_SCHEME": "http",
            },
            {"wsgi.url_scheme": "http", "REQUEST_SCHEME": "http"},
        ),
    ],
)
def test_scheme_over_the_wire_links(wsgi, given_, expected):
    environ = dict(given_)
    for mend in wsgi.repairs("uwsgi", ""):
        mend(environ)
    assert environ == expected


@pytest.mark.parametrize("link", ["http", "fastcgi", "scgi", "uwsgi"])
def test_what_a_client_made_up_is_dropped(wsgi, link):
    environ = dict.fromkeys(wsgi.UNTRUSTED, "http") | {
        "HTTP_REMOTE_USER": "root",
        "HTTP_HOST": "a",
        "HTTP_COOKIE": "b",
    }
    for mend in wsgi.repairs(link, ""):
        mend(environ)
    assert {name for name in environ if name.startswith("HTTP_")} == {"HTTP_HOST", "HTTP_COOKIE"}


@pytest.mark.parametrize(
    "given_, expected",
    [
        (
            {
                "HTTP_X_FORWARDED_FOR": "192.0.2.1",
                "HTTP_X_FORWARDED_PROTO": "https",
                "HTTP_HOST": "a.example",
                "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_PORT": "5",
                "SERVER_NAME": "back",
                "SERVER_PORT": "9000",
                "REMOTE_USER": "back",
                "AUTH_TYPE": "back",
            },
            {
                "REMOTE_ADDR": "192.0.2.1",
                "wsgi.url_scheme": "https",
                "REQUEST_SCHEME": "https",
                "HTTPS": "on",
                "HTTP_HOST": "a.example",
                "SERVER_NAME": "a.example",
                "SERVER_PORT": "443",
            },
        ),
        (
            {
                "HTTP_X_FORWARDED_FOR": "2001:db8::1",
                "HTTP_X_FORWARDED_PROTO": "http",
                "HTTP_HOST": "[::1]:8080",
                "HTTPS": "on",
            },
            {
                "REMOTE_ADDR": "2001:db8::1",
                "wsgi.url_scheme": "http",
                "REQUEST_SCHEME": "http",
                "HTTP_HOST": "[::1]:8080",
                "SERVER_NAME": "[::1]",
                "SERVER_PORT": "80",
            },
        ),
        (
            {
                "HTTP_X_FORWARDED_FOR": "192.0.2.1",
                "HTTP_X_FORWARDED_PROTO": "http",
                "HTTP_HOST": "[::1]",
                "HTTP_PYWEBFRONT": "nginx",
                "SERVER_SOFTWARE": "back",
            },
            {
                "REMOTE_ADDR": "192.0.2.1",
                "wsgi.url_scheme": "http",
                "REQUEST_SCHEME": "http",
                "HTTP_HOST": "[::1]",
                "SERVER_NAME": "[::1]",
                "SERVER_PORT": "80",
                "SERVER_SOFTWARE": "nginx",
            },
        ),
        (
            {
                "HTTP_X_FORWARDED_FOR": "192.0.2.1",
                "HTTP_X_FORWARDED_PROTO": "http",
                "HTTP_PYWEBFRONT": "nginx Basic a b",
            },
            {
                "REMOTE_ADDR": "192.0.2.1",
                "wsgi.url_scheme": "http",
                "REQUEST_SCHEME": "http",
                "SERVER_PORT": "80",
                "SERVER_SOFTWARE": "nginx",
                "AUTH_TYPE": "Basic",
                "REMOTE_USER": "a b",
            },
        ),
        # A proxy before the front has told it of the client.
        (
            {
                "HTTP_X_FORWARDED_FOR": "192.0.2.1",
                "HTTP_X_FORWARDED_PROTO": "http",
                "HTTP_PYWEBFRONT": "lighttpd@2001:db8::7 Basic a@b",
            },
            {
                "REMOTE_ADDR": "2001:db8::7",
                "wsgi.url_scheme": "http",
                "REQUEST_SCHEME": "http",
                "SERVER_PORT": "80",
                "SERVER_SOFTWARE": "lighttpd",
                "AUTH_TYPE": "Basic",
                "REMOTE_USER": "a@b",
            },
        ),
        # Nobody is let in by a way alone.
        (
            {
                "HTTP_X_FORWARDED_FOR": "192.0.2.1",
                "HTTP_X_FORWARDED_PROTO": "http",
                "HTTP_PYWEBFRONT": "nginx Basic ",
            },
            {
                "REMOTE_ADDR": "192.0.2.1",
                "wsgi.url_scheme": "http",
                "REQUEST_SCHEME": "http",
                "SERVER_PORT": "80",
                "SERVER_SOFTWARE": "nginx",
            },
        ),
    ],
)
def test_client_and_host_over_http(wsgi, given_, expected):
    environ = dict(given_)
    for mend in wsgi.repairs("http", ""):
        mend(environ)
    assert environ == expected


@pytest.mark.parametrize(
    "allowed, address, status",
    [
        ("", "192.0.2.9", "200 OK"),
        ("192.0.2.1,192.0.2.9", "192.0.2.9", "200 OK"),
        ("2001:db8::1", "2001:db8::1", "200 OK"),
        ("192.0.2.1", "192.0.2.9", "421 Misdirected Request"),
        ("192.0.2.1", "192.0.2.1,", "421 Misdirected Request"),
        ("192.0.2.1", "", "421 Misdirected Request"),
    ],
)
def test_only_fronts_are_answered_over_http(allowed, address, status):
    application = load(link="http", allowed=allowed).application
    environ = request(REMOTE_ADDR=address, **THROUGH_A_FRONT)
    assert serve(application, environ).startswith(f"Status: {status}\r\n".encode())


@pytest.mark.parametrize(
    "header, value",
    [
        ("FOR", None),
        ("PROTO", None),
        ("FOR", ""),
        ("FOR", "192.0.2.1, 192.0.2.2"),
        ("FOR", "192.0.2.1,192.0.2.2"),
        ("FOR", "a b"),
        ("FOR", "a\tb"),
        ("PROTO", ""),
        ("PROTO", "https, http"),
        ("PROTO", "ftp"),
    ],
)
def test_ambiguous_forwarded_header_is_a_bad_request(header, value):
    application = load(link="http").application
    environ = request(**{**THROUGH_A_FRONT, f"HTTP_X_FORWARDED_{header}": value})
    if value is None:
        del environ[f"HTTP_X_FORWARDED_{header}"]
    sent = serve(application, environ)
    assert sent.startswith(b"Status: 400 Bad Request\r\n") and sent.endswith(b"\r\n\r\nBad Request")
    assert "X-Forwarded-" in environ["wsgi.errors"].getvalue()


@pytest.mark.parametrize(
    "mount, path, expected",
    [
        ("", "/app/x", ("", "/app/x")),
        ("/app", "/app/x", ("/app", "/x")),
        ("/app", "/app/", ("/app", "/")),
        ("/app", "/app", ("/app", "")),
        ("/app", "/app//x", ("/app", "//x")),
        ("/app", "/app/app/x", ("/app", "/app/x")),
    ],
)
def test_mount_is_split_off(wsgi, mount, path, expected):
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path}
    wsgi.split_mount(mount, environ)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


@pytest.mark.parametrize(
    "mount, path", [("/app", "/apple"), ("/app", "/"), ("/one/two", "/one//two/x")]
)
def test_a_path_outside_the_mount_is_no_page(mount, path):
    environ = request(SCRIPT_NAME="", PATH_INFO=path)
    sent = serve(load(script_name=mount).application, environ)
    assert sent.startswith(b"Status: 404 Not Found\r\n") and sent.endswith(b"\r\n\r\nNot Found")


@pytest.mark.parametrize("link", ["http", "uwsgi"])
@pytest.mark.parametrize(
    "sent, seen",
    [
        ('"a"', '"a"'),
        ('W/"a"', '"a"'),
        ('W/"a", "b",W/"c W/"', '"a", "b","c W/"'),
        ("*", "*"),
        ('"W/", "b"', '"W/", "b"'),
    ],
)
def test_a_tag_that_a_front_has_weakened_is_the_application_s(wsgi, link, sent, seen):
    environ = {"HTTP_IF_MATCH": sent, "HTTP_IF_NONE_MATCH": sent, **THROUGH_A_FRONT}
    for mend in wsgi.repairs(link, ""):
        mend(environ)
    assert (environ["HTTP_IF_MATCH"], environ["HTTP_IF_NONE_MATCH"]) == (seen, sent)


@pytest.mark.parametrize(
    "given_, expected",
    [
        ({"SERVER_SOFTWARE": "Apache", "SERVER_PORT": "8000"}, {"SERVER_PORT": "80"}),
        (
            {"SERVER_SOFTWARE": "Apache", "SERVER_PORT": "8000", "HTTPS": "on"},
            {"SERVER_PORT": "443"},
        ),
        ({"SERVER_SOFTWARE": "nginx/1", "SERVER_PORT": "8080"}, {"SERVER_PORT": "8080"}),
        ({"REMOTE_USER": "", "AUTH_TYPE": "Basic"}, {}),
        ({"REMOTE_USER": "u", "AUTH_TYPE": "Basic"}, {"REMOTE_USER": "u", "AUTH_TYPE": "Basic"}),
    ],
)
def test_port_and_user_over_the_wire_links(wsgi, given_, expected):
    environ = dict(given_)
    for mend in wsgi.repairs("uwsgi", ""):
        mend(environ)
    assert {
        key: environ.get(key)
        for key in ("SERVER_PORT", "REMOTE_USER", "AUTH_TYPE")
        if key in environ
    } == expected


def test_mount_that_the_back_has_split_off(wsgi):
    environ = {"SCRIPT_NAME": "/app", "PATH_INFO": "/app/x"}
    wsgi.split_mount("/app", environ)
    assert environ == {"SCRIPT_NAME": "/app", "PATH_INFO": "/app/x"}


@given(mount=MOUNTS, path=PATHS)
def test_splitting_changes_no_url(wsgi, mount, path):
    environ = request(SCRIPT_NAME="", PATH_INFO=path)
    before = request_uri(environ)
    try:
        wsgi.split_mount(mount, environ)
    except wsgi.Outside:
        return
    assert environ["SCRIPT_NAME"] in ("", mount)
    assert environ["SCRIPT_NAME"] + environ["PATH_INFO"] == path
    if path:
        assert request_uri(environ) == before


def test_mount_that_is_not_ascii():
    application = load(
        link="http", script_name="/\xe9", application="wsgiref.simple_server:demo_app"
    ).application
    body = serve(application, request(PATH_INFO="/\xc3\xa9/x", SCRIPT_NAME="", **THROUGH_A_FRONT))
    assert b"PATH_INFO = '/x'" in body


# The application


def wrapped(wsgi, application):
    return wsgi.wrap(application, (), wsgi.Server())


def begin(start_response):
    return start_response("200 OK", [("Content-Type", "text/plain"), ("X-Mine", "1")])


def fails_at_once(environ, start_response):
    raise ValueError("reason")


def fails_after_start(environ, start_response):
    begin(start_response)
    raise ValueError("reason")


def fails_in_generator(environ, start_response):
    raise ValueError("reason")
    yield b""


def quits(environ, start_response):
    sys.exit("reason")


def is_cancelled(environ, start_response):
    raise asyncio.CancelledError


def is_closed_in_generator(environ, start_response):
    raise GeneratorExit
    yield b""


def returns_none(environ, start_response):
    begin(start_response)


@pytest.mark.parametrize(
    "application",
    [
        fails_at_once,
        fails_after_start,
        fails_in_generator,
        quits,
        returns_none,
        is_cancelled,
        is_closed_in_generator,
    ],
)
def test_failure_before_the_response_is_a_500(wsgi, application):
    environ = request()
    sent = serve(wrapped(wsgi, application), environ)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"Status: 500 Internal Server Error",
        b"Content-Type: text/plain",
        b"Content-Length: 21",
    ]
    assert body == b"Internal Server Error"
    assert environ["wsgi.errors"].getvalue().startswith("Traceback")


def test_empty_piece_begins_no_response(wsgi):
    def application(environ, start_response):
        begin(start_response)
        yield b""
        raise ValueError("reason")

    statuses = []
    pieces = list(
        wrapped(wsgi, application)(request(), lambda status, *others: statuses.append(status))
    )
    assert pieces == [b"Internal Server Error"]
    assert statuses == ["500 Internal Server Error"]


def test_uwsgi_takes_exc_info_and_lets_python_find_fault(wsgi):
    def start_response(status, headers, exc_info=None):
        statuses.append(status)
        if exc_info:
            raise SystemError("returned a result with an exception set") from exc_info[1]

    statuses = []
    assert wrapped(wsgi, fails_at_once)(request(), start_response) == [b"Internal Server Error"]
    assert statuses == ["500 Internal Server Error"]


def began(wsgi, server, body, **variables):
    """The headers with which a response to a result begins, and its pieces."""

    def application(environ, start_response):
        begin(start_response)
        return body

    calls = []
    result = wsgi.wrap(application, (), server)(
        request(**variables), lambda *arguments: calls.append(arguments)
    )
    pieces = list(result)
    ((status, headers),) = calls
    return dict(headers[2:]), pieces


@pytest.mark.parametrize(
    "body, length", [([b"a", b"bc"], "3"), ((b"a",), "1"), ([], "0"), (iter(()), "0")]
)
def test_length_that_is_known_is_told(wsgi, body, length):
    assert began(wsgi, wsgi.Server(), body)[0] == {"Content-Length": length}


@pytest.mark.parametrize("body", [[], [b"a", b"bc"], iter([b"a", b"bc"])])
def test_response_to_head_gets_no_length_and_no_body(wsgi, body):
    assert began(wsgi, wsgi.Server(), body, REQUEST_METHOD="HEAD") == ({}, [])


def told(length, result, at_once=b"", **variables):
    """What is sent of a response that tells its length."""

    def application(environ, start_response):
        write = start_response(
            "200 OK", [("Content-Type", "text/plain"), ("content-length", str(length))]
        )
        if at_once:
            write(at_once)
        return result

    return application, request(**variables)


@pytest.mark.parametrize("length", [2, 4])
@pytest.mark.parametrize("result", [[b"a", b"bc"], (b"abc",)])
def test_wrong_length_is_a_500_before_the_response(wsgi, length, result):
    application, environ = told(length, result)
    assert serve(wrapped(wsgi, application), environ).startswith(
        b"Status: 500 Internal Server Error\r\n"
    )
    assert (
        f"RuntimeError: the application has sent 3 bytes as a body of {length}"
        in environ["wsgi.errors"].getvalue()
    )


@pytest.mark.parametrize(
    "result, at_once",
    [(iter([b"a", b"bc"]), b""), (iter([b"c"]), b"ab"), ([b"c"], b"ab"), ([], b"abc")],
)
def test_less_than_the_length_is_a_failure(wsgi, result, at_once):
    application, environ = told(4, result, at_once)
    with pytest.raises(RuntimeError, match="has sent 1 bytes less than its Content-Length"):
        serve(wrapped(wsgi, application), environ)


@pytest.mark.parametrize(
    "result, at_once",
    [
        (iter([b"a", b"bc", b"d"]), b""),
        (iter([b"c"]), b"ab"),
        ([], b"abc"),
        (itertools.repeat(b"abc"), b""),
    ],
)
def test_no_more_is_sent_than_the_length(wsgi, result, at_once):
    application, environ = told(2, result, at_once)
    assert len(serve(wrapped(wsgi, application), environ).partition(b"\r\n\r\n")[2]) == 2


@pytest.mark.parametrize(
    "variables, status", [({"REQUEST_METHOD": "HEAD"}, "200 OK"), ({}, "304 Not Modified")]
)
def test_length_of_what_has_no_body_is_let_be(wsgi, variables, status):
    def application(environ, start_response):
        start_response(status, [("Content-Length", "10")])
        return []

    sent = serve(wrapped(wsgi, application), request(**variables))
    assert sent.startswith(f"Status: {status}\r\n".encode()) and b"Content-Length: 10\r\n" in sent


def test_stream_is_marked_for_nginx_alone(wsgi):
    assert began(wsgi, wsgi.Server(), iter([b"a"]))[0] == {}
    assert began(wsgi, wsgi.Server(), iter([b"a"]), SERVER_SOFTWARE="nginx/1.26")[0] == {
        "X-Accel-Buffering": "no"
    }


@pytest.mark.parametrize(
    "software, fields, type_",
    [
        (
            "nginx/1.26",
            [
                ("Cache-Control", "public, No-Transform"),
                ("content-type", "text/html; charset=utf-8"),
            ],
            "text/html ; charset=utf-8",
        ),
        (
            "nginx",
            [("Content-Type", "application/json"), ("cache-control", "no-transform")],
            "application/json;",
        ),
        (
            "nginx",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
            "application/json",
        ),
        (
            "lighttpd",
            [("Content-Type", "application/json"), ("Cache-Control", "no-transform")],
            "application/json",
        ),
    ],
)
def test_nginx_cannot_tell_what_it_must_not_compress_by_its_type(wsgi, software, fields, type_):
    def application(environ, start_response):
        start_response("200 OK", fields)
        return [b"x"]

    sent = serve(wrapped(wsgi, application), request(SERVER_SOFTWARE=software))
    assert (
        f"ontent-{'type' if 'content-type' in dict(fields) else 'Type'}: {type_}\r\n".encode()
        in sent
    )


@pytest.mark.parametrize(
    "protocol, headers, pieces",
    [
        (
            "HTTP/1.1",
            {"Transfer-Encoding": "chunked"},
            [b"1\r\na\r\n", b"a\r\n0123456789\r\n", b"0\r\n\r\n"],
        ),
        ("HTTP/1.0", {}, [b"a", b"0123456789"]),
    ],
)
def test_stream_over_http_has_an_end(wsgi, protocol, headers, pieces):
    assert began(
        wsgi, wsgi.Server("http"), iter([b"a", b"", b"0123456789"]), SERVER_PROTOCOL=protocol
    ) == (headers, pieces)


def quits_after_data(environ, start_response):
    begin(start_response)
    yield b"data"
    sys.exit("reason")


def test_exit_within_the_response_ends_no_process(wsgi):
    with pytest.raises(RuntimeError, match="raised SystemExit within a response"):
        serve(wrapped(wsgi, quits_after_data), request())


def test_start_response_twice_is_an_error(wsgi):
    def application(environ, start_response):
        begin(start_response)
        begin(start_response)

    assert serve(wrapped(wsgi, application), request()).startswith(b"Status: 500 ")


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/a/../b", "/b"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/../a", "/a"),
        ("/a//./b", "/a//b"),
        ("/a/...", "/a/..."),
        ("/.a", "/.a"),
        ("", ""),
    ],
)
def test_dots_are_resolved(wsgi, path, expected):
    environ = {"PATH_INFO": path}
    wsgi.resolve_dots(environ)
    assert environ["PATH_INFO"] == expected


def fails_after_data(environ, start_response):
    begin(start_response)
    yield b"data"
    raise ValueError("reason")


def fails_after_write(environ, start_response):
    begin(start_response)(b"data")
    raise ValueError("reason")


def fails_after_write_in_result(environ, start_response):
    begin(start_response)(b"data")
    yield b""
    raise ValueError("reason")


@pytest.mark.parametrize(
    "application", [fails_after_data, fails_after_write, fails_after_write_in_result]
)
def test_failure_within_the_response_is_raised(wsgi, application):
    environ = request()
    with pytest.raises(ValueError, match="reason"):
        serve(wrapped(wsgi, application), environ)
    assert environ["wsgi.errors"].getvalue() == ""  # the server's own words follow


@pytest.mark.parametrize(
    "application", [fails_after_data, fails_after_write, fails_after_write_in_result]
)
def test_failure_inside_apache_ends_in_what_is_no_chunk(wsgi, application):
    environ = request(SERVER_PROTOCOL="HTTP/1.1", PYWEB_CHUNKS="1")
    sent = []
    sent += wsgi.wrap(application, (), wsgi.Server("embedded"))(
        environ, lambda *arguments: sent.append
    )
    assert sent == [b"4\r\ndata\r\n", b"-\r\n"]
    assert "ValueError: reason" in environ["wsgi.errors"].getvalue()


def test_result_is_read_piece_by_piece_and_closed(wsgi):
    events = []

    class Result:
        def __iter__(self):
            for number in range(2):
                events.append(f"made {number}")
                yield b"%d" % number

        def close(self):
            events.append("closed")

    def application(environ, start_response):
        begin(start_response)
        return Result()

    result = wrapped(wsgi, application)(request(), lambda *arguments: None)
    assert events == []
    for data in result:
        events.append(f"sent {data.decode()}")
    result.close()
    assert events == ["made 0", "sent 0", "made 1", "sent 1", "closed"]


def test_close_reaches_a_result_that_was_never_read(wsgi):
    closed = []

    class Result:
        def __iter__(self):
            return iter(())

        def close(self):
            closed.append(True)

    wrapped(wsgi, lambda environ, start_response: Result())(request(), None).close()
    assert closed == [True]


@pytest.mark.parametrize("result", [[b"a"], (b"a", b"b")])
def test_result_that_runs_no_code_is_the_servers_own(wsgi, result):
    def application(environ, start_response):
        begin(start_response)
        return result

    assert wrapped(wsgi, application)(request(), lambda *arguments: None) is result


def test_exc_info_and_write_are_the_servers(wsgi):
    def application(environ, start_response):
        write = begin(start_response)
        try:
            raise ValueError
        except ValueError:
            write = start_response(
                "503 Service Unavailable", [("Content-Type", "text/plain")], sys.exc_info()
            )
        write(b"one ")
        return [b"two"]

    sent = serve(wrapped(wsgi, application), request())
    assert sent.startswith(b"Status: 503 Service Unavailable\r\n") and sent.endswith(
        b"\r\n\r\none two"
    )


@pytest.mark.parametrize(
    ("link", "server", "is_gathered"),
    [
        ("uwsgi", "nginx/1.22.1", True),
        ("http", "nginx", True),
        ("http", "Apache", False),
        ("uwsgi", "lighttpd/1.4.69", False),
    ],
)
def test_a_body_is_gathered_before_an_answer_begins_that_may_still_read_it(
    wsgi, link, server, is_gathered
):
    """nginx sends no more of it once it has the head of the answer."""
    content = bytes(range(256)) * 1024
    source = io.BytesIO(content)

    def application(environ, start_response):
        taken = environ["wsgi.input"]
        start_response("200 OK", [])
        yield b"begun"
        seen.append(source.tell() == len(content))
        yield taken.read(100)
        yield taken.read()

    seen = []
    environ = request(
        REQUEST_METHOD="POST",
        CONTENT_LENGTH=str(len(content)),
        SERVER_SOFTWARE=server,
        **{"wsgi.input": source},
    )
    result = wsgi.wrap(application, [], wsgi.Server(link))(environ, lambda *args: None)
    assert b"".join(result) == b"begun" + content
    assert seen == [is_gathered]


# What may be sent on


def answers(status, headers, body=()):
    def application(environ, start_response):
        start_response(status, headers)
        return body

    return application


def told_why(wsgi, application):
    """The log of a request whose answer is a 500."""
    environ = request()
    assert serve(wrapped(wsgi, application), environ).startswith(
        b"Status: 500 Internal Server Error\r\n"
    )
    return environ["wsgi.errors"].getvalue()


@pytest.mark.parametrize(
    "status",
    [
        "200 OK\r\nX-Evil: 1",
        "200 OK\n",
        "200 O\0K",
        "200",
        "2000 OK",
        "20 OK",
        "abc OK",
        "-20 OK",
        "020 OK",
        "200  OK\x7f",
        "200 \u20ac",
        b"200 OK",
        200,
        "",
    ],
)
def test_status_that_is_no_status_line(wsgi, status):
    assert "is not three digits, a space and a reason" in told_why(wsgi, answers(status, []))


@pytest.mark.parametrize(
    "status", ["200 OK", "200 ", "299 My own", "404 Nicht gefunden, \xe4hnlich"]
)
def test_status_that_is_sent_on(wsgi, status):
    assert serve(wrapped(wsgi, answers(status, [])), request()).startswith(
        f"Status: {status}\r\n".encode("latin-1")
    )


@pytest.mark.parametrize("header", [
    ("Location", "/a\r\nSet-Cookie: b"), ("X-A", "a\nb"), ("X-A", "a\rb"), ("X-A", "a\0b"), ("X-A", "\x1b[0m"), ("X-A", "\u20ac"), ("X-A", b"a"), ("X-A", 1),
    ("X-A\r\nX-B", "a"), ("X A", "a"), ("X-A:", "a"), ("", "a"), ("X-\xe4", "a"), (b"X-A", "a"), (None, "a"),
    ("Connection", "close"), ("transfer-encoding", "chunked"), ("Keep-Alive", "1"), ("Upgrade", "h2c"), ("Trailer", "X-A"),
    ("Content-Length", "1, 1"), ("Content-Length", "+1"), ("Content-Length", ""), ("Content-Length", "1_0"), ("Content-Length", "\xb2"),
    ("X-A",), ("X-A", "a", "b"),
])  # fmt: skip
def test_header_that_is_not_sent_on(wsgi, header):
    for _again in range(2):  # what is known to be good must not be known too early
        assert "Traceback" in told_why(wsgi, answers("200 OK", [header]))


def test_two_lengths_are_an_error(wsgi):
    assert "has to be one number" in told_why(
        wsgi, answers("200 OK", [("Content-Length", "1"), ("content-length", "1")], [b"a"])
    )


def test_header_that_is_sent_on(wsgi):
    fields = [
        ("X-Tab", "a\tb"),
        ("X-Latin", "\xe9\xa0\x80"),
        ("X-Empty", ""),
        ("X_!#$%&'*+.^`|~9", "a"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
    ]
    sent = serve(wrapped(wsgi, answers("200 OK", fields)), request())
    assert [line for line in sent.decode("latin-1").split("\r\n") if line.startswith("X")] == [
        f"{name}: {value}" for name, value in fields
    ]


def test_the_error_is_the_applications_own(wsgi):
    def application(environ, start_response):
        try:
            start_response("302 Found", [("Location", "/\r\nX-Evil: 1")])
        except ValueError:
            start_response("400 Bad Request", [("Content-Length", "3")])
        return [b"bad"]

    sent = serve(wrapped(wsgi, application), request())
    assert sent.startswith(b"Status: 400 Bad Request\r\n") and b"Evil" not in sent


@given(status=st.text(max_size=12), name=st.text(max_size=6), value=st.text(max_size=6))
def test_nothing_makes_a_line_of_its_own(wsgi, status, name, value):
    for given_status, header in (
        (f"200 {status}", ("X-A", "b")),
        ("200 OK", (name, value)),
        ("200 OK", ("X-A", value)),
    ):
        sent = serve(
            wrapped(wsgi, answers(given_status, [header], [b"body"])),
            request(**{"wsgi.errors": io.StringIO()}),
        )
        head, _, body = sent.partition(b"\r\n\r\n")
        assert len(head.split(b"\n")) == 3 and body in (b"body", b"Internal Server Error")


def test_names_without_end_fill_no_memory(wsgi):
    for number in range(2 * wsgi.KNOWN):
        serve(wrapped(wsgi, answers(f"200 {number}", [(f"X-{number}", "a")])), request())
    assert len(wsgi.KNOWN_NAMES) <= wsgi.KNOWN and len(wsgi.KNOWN_STATUSES) <= wsgi.KNOWN


def test_a_field_status_is_not_sent_on(wsgi):
    """Where a front speaks CGI it would be the status line."""
    sent = serve(
        wrapped(wsgi, answers("200 OK", [("Status", "404 Not Found"), ("X-A", "b")])), request()
    )
    assert sent.startswith(b"Status: 200 OK\r\n") and b"404" not in sent and b"X-A: b" in sent


@pytest.mark.parametrize(
    "status, name",
    [("200 OK", "Pyweb-Location"), ("201 Created", "Location"), ("302 Found", "Location")],
)
def test_location_has_another_name_where_the_server_would_serve_it(wsgi, status, name):
    server = wsgi.Server()
    server.location_of_200 = "Pyweb-Location"
    sent = serve(wsgi.wrap(answers(status, [("location", "/x")]), (), server), request())
    assert f"\r\n{name}: /x\r\n".lower() in sent.decode().lower()


# The body


@pytest.mark.parametrize(
    "body",
    [
        ["text"],
        ("text",),
        "text",
        b"bytes",
        iter(["text"]),
        iter([1]),
        [b"a", "b"],
        [None],
        (piece for piece in ("", "text")),
    ],
)
def test_body_that_is_not_bytes_is_an_error(wsgi, body):
    assert "TypeError" in told_why(wsgi, answers("200 OK", [], body))


def test_text_by_write_is_an_error(wsgi):
    def application(environ, start_response):
        start_response("200 OK", [])("text")
        return []

    assert (
        "TypeError: the body of a response consists of bytes (PEP 3333), and not of str: 'text'"
        in told_why(wsgi, application)
    )


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_what_holds_bytes_is_sent(wsgi, kind):
    wide = memoryview(b"abcd").cast("H")
    sent = serve(
        wrapped(wsgi, answers("200 OK", [], kind([bytearray(b"12"), memoryview(b"345"), wide]))),
        request(),
    )
    assert sent.endswith(b"\r\n\r\n12345abcd")


def test_a_buffer_may_be_used_again(wsgi):
    def pieces():
        buffer = bytearray(1)
        for number in range(3):
            buffer[0] = 65 + number
            yield buffer

    taken = list(wrapped(wsgi, answers("200 OK", [], pieces()))(request(), lambda *arguments: None))
    assert taken == [b"A", b"B", b"C"]


CONTENT = bytes(range(256)) * 300


def plain(directory, position=0):
    path = directory / "file"
    path.write_bytes(CONTENT)
    file = open(path, "rb")
    file.seek(position)
    return file


def sent_by(wsgi, file, *headers, **variables):
    """The body of an answer that consists of a file, and whether the server has sent it by
    itself.
    """

    def application(environ, start_response):
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](file, 100)

    wrappers = []

    def of_server(file, size):
        wrappers.append(size)
        file.seek(0)
        return FileWrapper(file, size)

    variables.setdefault("wsgi.file_wrapper", of_server)
    head, _, body = serve(wrapped(wsgi, application), request(**variables)).partition(b"\r\n\r\n")
    assert file.closed
    return body, wrappers == [100], b"Content-Length: %d" % len(body) in head.split(b"\r\n")


def test_a_whole_file_is_sent_by_the_server(wsgi, tmp_path):
    assert sent_by(wsgi, plain(tmp_path)) == (CONTENT, True, True)
    assert sent_by(wsgi, plain(tmp_path), ("Content-Length", str(len(CONTENT)))) == (
        CONTENT,
        True,
        True,
    )


def test_a_part_of_a_file_is_sent_from_its_position(wsgi, tmp_path):
    assert sent_by(wsgi, plain(tmp_path, 1000)) == (CONTENT[1000:], False, False)
    assert sent_by(wsgi, plain(tmp_path, 1000), ("Content-Length", "50")) == (
        CONTENT[1000:1050],
        False,
        True,
    )
    assert sent_by(wsgi, plain(tmp_path), ("Content-Length", "50")) == (CONTENT[:50], False, True)


def test_what_is_no_plain_file_is_read(wsgi, tmp_path):
    with gzip.open(tmp_path / "compressed", "wb") as file:
        file.write(CONTENT)
    assert sent_by(wsgi, gzip.open(tmp_path / "compressed"))[:2] == (CONTENT, False)
    assert sent_by(wsgi, io.BytesIO(CONTENT))[:2] == (CONTENT, False)
    assert sent_by(wsgi, subprocess.Popen(["seq", "3"], stdout=subprocess.PIPE).stdout)[:2] == (
        b"1\n2\n3\n",
        False,
    )
    with open("/proc/version", "rb") as made_up:
        expected = made_up.read()
    assert sent_by(wsgi, open("/proc/version", "rb"))[:2] == (expected, False)
    file = tempfile.TemporaryFile()
    file.write(CONTENT)
    assert sent_by(wsgi, file)[:2] == (b"", False)


def test_a_server_without_files_of_its_own_has_them_read(wsgi, tmp_path):
    assert sent_by(wsgi, plain(tmp_path), **{"wsgi.file_wrapper": None}) == (CONTENT, False, True)


def test_a_file_is_asked_behind_its_wrapper(wsgi, tmp_path):
    with plain(tmp_path, 7) as file:
        wrapper = wsgi.FileWrapper(file)
        assert (
            wrapper.tell() == 7
            and wrapper.seekable()
            and next(wrapper) == CONTENT[7:][: wsgi.BLOCK]
        )
    assert not hasattr(wsgi.FileWrapper(object()), "close")


# Factories, children, output


def test_an_application_may_be_made_by_a_factory():
    assert load(application="wsgiref.simple_server:WSGIServer.get_app").application
    with pytest.raises(TypeError, match="cannot be called"):
        load(application="builtins:dict()")
    assert serve(
        load(application="wsgiref.validate:IteratorWrapper.__init__.__class__").application,
        request(),
    ).startswith(b"Status: 500")


@pytest.fixture
def serving(wsgi):
    """A server in a process of its own, whose handlers are its own, with a client's connection;
    runs a function in a child of it.
    """

    def run(function):
        parent, child = socket.socketpair()
        pid = os.fork()
        if not pid:
            listener = socket.create_server(("127.0.0.1", 0))
            client = socket.create_connection(listener.getsockname())
            connection, _address = listener.accept()
            server = wsgi.Server()
            server.signals = (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE)
            server.handlers = (ignore,)
            signal.signal(signal.SIGTERM, ignore)
            signal.signal(signal.SIGINT, ignore)
            server.begin_process()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            try:
                child.send(repr(function(server, client, connection)).encode())
            finally:
                os._exit(0)
        child.close()
        with parent:
            parent.settimeout(20)
            result = parent.recv(1000).decode()
        os.waitpid(pid, 0)
        return eval(result)

    return run


def ignore(*_):
    pass


def test_a_child_of_the_application_is_ended_by_a_signal(serving):
    def ends(server, client, connection):
        pid = os.fork()
        if not pid:
            time.sleep(20)
            os._exit(0)
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)
        return os.waitpid(pid, 0)[1]

    assert os.waitstatus_to_exitcode(serving(ends)) == -signal.SIGTERM


def test_a_child_of_the_application_holds_no_connection_open(serving):
    def ends(server, client, connection):
        pid = os.fork()
        if not pid:
            time.sleep(20)
            os._exit(0)
        time.sleep(0.2)
        connection.close()
        client.settimeout(5)
        try:
            return client.recv(1)
        finally:
            os.kill(pid, signal.SIGKILL)

    assert serving(ends) == b""


@pytest.mark.parametrize(
    "ends, status",
    [
        (lambda: sys.exit(7), 7),
        (lambda: sys.exit(), 1),
        (lambda: [b"an answer"], 1),
        (lambda: 1 / 0, 1),
    ],
)
def test_a_child_that_comes_back_does_not_answer(wsgi, serving, ends, status):
    def come_back(server, client, connection):
        def application(environ, start_response):
            pid = os.fork()
            start_response("200 OK", [])
            if not pid:
                return ends()
            return [str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode()]

        return list(wsgi.wrap(application, (), server)(request(), lambda *arguments: None))

    assert serving(come_back) == [str(status).encode()]


def test_output_comes_at_once_and_odd_text_is_no_error(wsgi, tmp_path):
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        wsgi.steady(stream)
        stream.write("gr\udcfcn \u20ac\n")
        assert (tmp_path / "out").read_text("utf-8") == "gr\\udcfcn \u20ac\n"
