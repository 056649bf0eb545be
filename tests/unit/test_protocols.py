# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The encoders against decoders written here from the specifications, the decoders against encoders
written here.
"""

from __future__ import annotations

import http.client
import io
import struct

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _protocols as protocols
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import (
    DECODERS,
    ENCODERS,
    ProtocolError,
    Request,
    cgi_environ,
)
from hypothesis import example, given
from hypothesis import strategies as st

TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)
VALUE = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40).map(
    str.strip
)
FRAMING = ("connection", "content-length", "transfer-encoding")


def headers_without(*names):
    return st.lists(
        st.tuples(TOKEN, VALUE).filter(lambda header: header[0].lower() not in names), max_size=4
    )


REQUESTS = st.builds(
    lambda mount, rest, **fields: Request(
        target=mount.replace(" ", "%20") + "/" + rest, script_name=mount, **fields
    ),
    mount=st.sampled_from(["", "/app", "/a b/c"]),
    rest=st.text("az/.~%2F%C3%A9?&=+;", max_size=30),
    method=TOKEN,
    headers=headers_without(*FRAMING, "host"),
    body=st.binary(max_size=200) | st.integers(65000, 140000).map(bytes),
    scheme=st.sampled_from(["http", "https"]),
    server_name=st.sampled_from(["localhost", "shop.example.org", "[::1]"]),
    server_port=st.integers(1, 65535),
)

BODIES = st.binary(max_size=300) | st.integers(60000, 140000).map(lambda size: b"x" * size)
RESPONSES = st.tuples(
    st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip),
    headers_without(*FRAMING, "status"),
    BODIES,
)
CUTS = st.lists(st.integers(0, 100000), max_size=8)
NEWLINES = st.sampled_from([b"\n", b"\r\n"])


# The other side of the wire, for requests


def http_request(data):
    head, blank, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, [tuple(line.split(": ", 1)) for line in lines], body


def fastcgi_request(data):
    streams = {4: b"", 5: b""}
    ended = set()
    while data:
        version, kind, request, length, padding = struct.unpack("!BBHHBx", data[:8])
        content = data[8 : 8 + length]
        assert (version, request) == (1, 1) and len(data) >= 8 + length + padding
        assert (length + padding) % 8 == 0
        data = data[8 + length + padding :]
        if kind == 1:
            assert content == bytes([0, 1, 0, 0, 0, 0, 0, 0])
        else:
            assert kind not in ended
            streams[kind] += content
            if not content:
                ended.add(kind)
    assert ended == {4, 5}
    params, environ = streams[4], {}
    while params:
        sizes = []
        for _ in range(2):
            width = 4 if params[0] & 0x80 else 1
            sizes.append(int.from_bytes(params[:width], "big") & 0x7FFFFFFF)
            params = params[width:]
        name, value = params[: sizes[0]], params[sizes[0] : sum(sizes)]
        assert name not in environ
        environ[name] = value
        params = params[sum(sizes) :]
    return environ, streams[5]


def scgi_request(data):
    size, colon, rest = data.partition(b":")
    assert rest[int(size) : int(size) + 1] == b","
    parts = rest[: int(size)].split(b"\0")
    assert parts.pop() == b"" and parts[0] == b"CONTENT_LENGTH"
    assert len(set(parts[::2])) == len(parts[::2])
    environ = dict(zip(parts[::2], parts[1::2]))
    body = rest[int(size) + 1 :]
    assert environ.pop(b"SCGI") == b"1" and int(environ[b"CONTENT_LENGTH"]) == len(body)
    return environ, body


def uwsgi_request(data):
    modifier1, size, modifier2 = struct.unpack("<BHB", data[:4])
    assert (modifier1, modifier2) == (0, 0)
    block, parts = data[4 : 4 + size], []
    while block:
        length = int.from_bytes(block[:2], "little")
        parts.append(block[2 : 2 + length])
        assert len(parts[-1]) == length
        block = block[2 + length :]
    return dict(zip(parts[::2], parts[1::2])), data[4 + size :]


@given(REQUESTS)
def test_http_request_round_trip(request):
    first, headers, body = http_request(ENCODERS["http"](request))
    assert first == f"{request.method} {request.target} HTTP/1.1"
    assert body == request.body
    names = [name.lower() for name, value in headers]
    assert (
        names.count("host") == 1
        and names.count("connection") == 1
        and names.count("content-length") <= 1
    )
    assert [header for header in headers if header[0].lower() not in (*FRAMING, "host")] == list(
        request.headers
    )
    if request.body:
        assert ("Content-Length", str(len(request.body))) in headers


@pytest.mark.parametrize(
    "link, decode",
    [
        ("fastcgi", fastcgi_request),
        ("scgi", scgi_request),
        ("uwsgi", uwsgi_request),
    ],
)
@given(request=REQUESTS)
def test_wire_request_round_trip(link, decode, request):
    environ, body = decode(ENCODERS[link](request))
    assert body == request.body
    assert {
        name.decode("latin-1"): value.decode("latin-1") for name, value in environ.items()
    } == cgi_environ(request)


@given(st.integers(0, 300), st.integers(0, 70000))
@example(127, 128)
@example(128, 127)
def test_long_fastcgi_pairs(name_size, value_size):
    request = Request(headers=[("a" * (name_size + 1), "v" * value_size)])
    environ, body = fastcgi_request(ENCODERS["fastcgi"](request))
    assert environ[b"HTTP_" + b"A" * (name_size + 1)] == b"v" * value_size


# The variables


@pytest.mark.parametrize(
    "mount, target, script_name, path_info, query",
    [
        ("", "/", "", "/", ""),
        ("", "/a?b=%20&c", "", "/a", "b=%20&c"),
        ("", "/%C3%A9%2F%25?", "", "/\xc3\xa9/%", ""),
        ("", "//x", "", "//x", ""),
        ("/app", "/app", "/app", "", ""),
        ("/app", "/app/", "/app", "/", ""),
        ("/app", "/app/x%20y?z?z", "/app", "/x y", "z?z"),
        ("/\xe9", "/%C3%A9/x", "/\xc3\xa9", "/x", ""),
    ],
)
def test_paths(mount, target, script_name, path_info, query):
    environ = cgi_environ(Request(target=target, script_name=mount))
    wanted = {
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": query,
        "REQUEST_URI": target,
    }
    assert {name: environ[name] for name in wanted} == wanted


def test_headers_become_variables():
    headers = [
        ("Content-Type", "text/x"),
        ("Cookie", "a=1"),
        ("X-Y", "1"),
        ("cookie", "b=2"),
        ("x-y", "2"),
    ]
    environ = cgi_environ(Request(headers=headers, body=b"four", method="POST", server_port=8080))
    assert environ["CONTENT_TYPE"] == "text/x" and "HTTP_CONTENT_TYPE" not in environ
    assert environ["CONTENT_LENGTH"] == "4"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_Y"] == "1, 2"
    assert environ["HTTP_HOST"] == "localhost:8080"


@pytest.mark.parametrize(
    "scheme, port, host, https",
    [
        ("http", 80, "localhost", None),
        ("http", 443, "localhost:443", None),
        ("https", 443, "localhost", "on"),
        ("https", 80, "localhost:80", "on"),
    ],
)
def test_scheme(scheme, port, host, https):
    environ = cgi_environ(Request(scheme=scheme, server_port=port))
    assert (environ["HTTP_HOST"], environ["REQUEST_SCHEME"], environ.get("HTTPS")) == (
        host,
        scheme,
        https,
    )


@pytest.mark.parametrize(
    "fields, word",
    [
        ({"method": "GET "}, "method"),
        ({"target": ""}, "target"),
        ({"target": "x"}, "target"),
        ({"target": "/a b"}, "target"),
        ({"target": "/a\r\nHost: b"}, "target"),
        ({"target": "/é"}, "target"),
        ({"target": "/a#b"}, "target"),
        ({"target": "/apple", "script_name": "/app"}, "mount"),
        ({"target": "/app/", "script_name": "app"}, "mount"),
        ({"target": "/x", "script_name": "\udc80"}, "mount"),
        ({"headers": [("a b", "")]}, "name"),
        ({"headers": [("", "")]}, "name"),
        ({"headers": [("a", "b\nc")]}, "value"),
        ({"headers": [("a", "\u20ac")]}, "value"),
        ({"headers": [("content-length", "1")]}, "body"),
        ({"server_name": "a\nb"}, "server name"),
        ({"remote_addr": ""}, "remote address"),
        ({"scheme": "ftp"}, "scheme"),
    ],
)
def test_refused_requests(fields, word):
    with pytest.raises(ProtocolError, match=word):
        Request(**fields)


def test_what_a_link_cannot_carry():
    with pytest.raises(ProtocolError, match="zero byte in PATH_INFO"):
        ENCODERS["scgi"](Request(target="/%00"))
    with pytest.raises(ProtocolError, match="65535"):
        ENCODERS["uwsgi"](Request(headers=[("a", "b" * 65535)]))


# The other side of the wire, for responses


def fields(headers, newline):
    return b"".join(f"{name}: {value}".encode("latin-1") + newline for name, value in headers)


def http_response(response, framing, newline=b"\r\n", chunk=1000):
    status, reason, headers, body = response
    if framing == "length":
        headers = [*headers, ("content-LENGTH", str(len(body)))]
    if framing == "chunked":
        headers = [*headers, ("Transfer-Encoding", "Chunked")]
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        body = (
            b"".join(b"%X;a=b\r\n%b\r\n" % (len(part), part) for part in parts)
            + b"0\r\nTrailer: x\r\n\r\n"
        )
    return (
        f"HTTP/1.1 {status} {reason}".encode() + newline + fields(headers, newline) + newline + body
    )


def cgi_response(response, newline=b"\r\n"):
    status, reason, headers, body = response
    return (
        f"Status: {status} {reason}".encode() + newline + fields(headers, newline) + newline + body
    )


def record(kind, content, padding=0, request=1, version=1):
    return (
        struct.pack("!BBHHBx", version, kind, request, len(content), padding)
        + content
        + b"p" * padding
    )


END = record(3, bytes(8))


def fastcgi_response(data, size=500, padding=0):
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    stdout = b"".join(record(7, b"log") + record(6, part, padding) for part in parts)
    return stdout + record(6, b"") + END


def decode(link, data, cuts=(), **options):
    """Decode a stream that arrives cut anywhere and is closed at its end."""
    decoder = DECODERS[link](**options)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in zip(places, places[1:]):
        decoder.feed(data[begin:end])
    if not decoder.finished:
        decoder.close()
    assert decoder.finished
    return decoder.response


def check(response, expected):
    status, reason, headers, body = expected
    seen = [header for header in response.headers if header[0].lower() not in FRAMING]
    assert (response.status, response.reason, seen) == (status, reason, headers)
    assert response.body == body and response.size == len(body)


@given(
    RESPONSES,
    st.sampled_from(["length", "chunked", "close"]),
    NEWLINES,
    st.integers(1, 70000),
    CUTS,
)
def test_http_response_round_trip(expected, framing, newline, chunk, cuts):
    chunk = max(chunk, len(expected[3]) // 50)
    check(decode("http", http_response(expected, framing, newline, chunk), cuts), expected)


@given(RESPONSES, st.sampled_from(["length", "chunked"]))
def test_http_response_as_the_standard_library_reads_it(expected, framing):
    data = http_response(expected, framing)

    class Connection:
        def makefile(self, mode):
            return io.BytesIO(data)

    theirs = http.client.HTTPResponse(Connection(), method="GET")
    theirs.begin()
    ours = decode("http", data)
    assert (ours.status, ours.reason, ours.body) == (theirs.status, theirs.reason, theirs.read())


@pytest.mark.parametrize("link", ["scgi", "uwsgi"])
@given(expected=RESPONSES, newline=NEWLINES, cuts=CUTS, length=st.booleans())
def test_cgi_response_round_trip(link, expected, newline, cuts, length):
    status, reason, headers, body = expected
    given_headers = [*headers, ("Content-Length", str(len(body)))] if length else headers
    check(
        decode(link, cgi_response((status, reason, given_headers, body), newline), cuts), expected
    )


@given(RESPONSES, CUTS)
def test_cgi_response_with_a_status_line(expected, cuts):
    check(decode("uwsgi", http_response(expected, "close"), cuts), expected)


@given(RESPONSES, st.integers(1, 65535), st.integers(0, 255), CUTS)
def test_fastcgi_response_round_trip(expected, size, padding, cuts):
    size = min(65535, max(size, len(expected[3]) // 50))
    check(
        decode("fastcgi", fastcgi_response(cgi_response(expected), size, padding), cuts), expected
    )


@given(RESPONSES, st.integers(0, 400), st.sampled_from(list(DECODERS)))
def test_body_limit(expected, limit, link):
    data = http_response(expected, "chunked") if link == "http" else cgi_response(expected)
    data = fastcgi_response(data, 65535) if link == "fastcgi" else data
    response = decode(link, data, body_limit=limit)
    assert response.body == expected[3][:limit] and response.size == len(expected[3])


# Single rules


@pytest.mark.parametrize(
    "data, status, body",
    [
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
            200,
            b"x",
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nHTTP/", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        (b"HTTP/1.0 200\r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxyz", 200, b"xy"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nxyz", 200, b"xy"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x\r\na\r\n00\r\n\r\nrest",
            200,
            b"a",
        ),
    ],
)
def test_http_rules(data, status, body):
    for size in (1, len(data)):
        response = decode("http", data, range(0, len(data), size))
        assert (response.status, response.body) == (status, body)


def test_head_has_no_body():
    assert (
        decode("http", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD").body == b""
    )


def test_folded_and_repeated_headers():
    response = decode(
        "http", b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n  b\r\nset-cookie:c\r\nX:\r\n\r\n"
    )
    assert response.values("SET-COOKIE") == ["a b", "c"] and response.values("x") == [""]


@pytest.mark.parametrize(
    "data, status, reason",
    [
        (b"Content-Type: a\n\n", 200, "OK"),
        (b"Location: /x\n\n", 302, "Found"),
        (b"status: 404 \xe9\nLocation: /x\n\n", 404, "\xe9"),
        (b"Status: 204\r\n\r\n", 204, ""),
        (b"HTTP/1.0 500 Oops\r\na: b\r\n\r\n", 500, "Oops"),
    ],
)
def test_cgi_status(data, status, reason):
    response = decode("scgi", data)
    assert (response.status, response.reason) == (status, reason)
    assert not response.values("Status")


def test_fastcgi_log_is_kept_apart():
    decoder = DECODERS["fastcgi"]()
    decoder.feed(
        record(7, b"first\n") + record(6, b"Status: 200 OK\n\nx") + record(7, b"second\n") + END
    )
    assert (
        decoder.finished and decoder.response.body == b"x" and decoder.stderr == b"first\nsecond\n"
    )


# Malformed answers


@pytest.mark.parametrize(
    "link, data, words",
    [
        ("http", b"", "before its first byte"),
        ("http", b"HTTP/1.1 200", "within its header"),
        ("http", b"\r\n\r\n", "empty line"),
        ("http", b"SSH-2.0\r\n\r\n", "'SSH-2.0' is no HTTP/1 status line"),
        ("http", b"HTTP/2 200\r\n\r\n", "no HTTP/1 status line"),
        ("http", b"HTTP/1.1 099 X\r\n\r\n", "no HTTP/1 status line"),
        ("http", b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
        ("http", b"HTTP/1.1 200 OK\r\nname : x\r\n\r\n", "'name : x' is no header"),
        ("http", b"HTTP/1.1 200 OK\r\nname\r\n\r\n", "no header"),
        ("http", b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", "no header can"),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            "after 3 of the 5 bytes of its body",
        ),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nabc", "'5, 6' is no number"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde", "is no number"),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "both",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "unknown Transfer-Encoding 'gzip'",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
            "'0x1' is no size of a chunk",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
            "longer than its size",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            "after 3 of the 5 bytes of its chunk",
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
            "within its chunked body",
        ),
        ("http", b"HTTP/1.1 200 OK\r\n" + b"a" * protocols.MAX_HEAD, "longer than 262144 bytes"),
        ("scgi", b"<html>\n\n", "'<html>' is no header"),
        ("scgi", b"Status: OK\n\n", "'OK' is not three digits"),
        ("scgi", b"Status: 200\nStatus: 404\n\n", "more than one Status"),
        ("uwsgi", b"HTTP/1.1 2xx\r\n\r\n", "no HTTP/1 status line"),
        ("fastcgi", b"", "before its first byte"),
        ("fastcgi", b"HTTP/1.1 400 Bad\r\n\r\n", "does not begin a FastCGI record"),
        ("fastcgi", record(6, b"Status: 200\n\n"), "before the record that ends the request"),
        ("fastcgi", END, "before its first byte"),
        (
            "fastcgi",
            record(6, b"Status: 200\nContent-Length: 2\n\nx") + END,
            "after 1 of the 2 bytes",
        ),
        ("fastcgi", record(3, b"\0\0\0\0\2\0\0\0"), "it is overloaded"),
        ("fastcgi", record(3, b""), "not 8 bytes"),
        ("fastcgi", record(6, b"", request=2), "the request 2"),
        ("fastcgi", record(1, b""), "type 1"),
    ],
)
def test_malformed_answers(link, data, words):
    for cuts in ((), range(min(len(data), 300))):
        with pytest.raises(ProtocolError, match=words):
            decode(link, data, cuts)


@pytest.mark.parametrize("link", DECODERS)
@given(data=st.binary(max_size=200), cuts=CUTS)
def test_any_bytes_are_an_answer_or_a_protocol_error(link, data, cuts):
    try:
        decode(link, data, cuts)
    except ProtocolError:
        pass


@pytest.mark.parametrize("link", DECODERS)
@given(expected=RESPONSES, framing=st.sampled_from(["length", "chunked", "close"]), data=st.data())
def test_damaged_answers(link, expected, framing, data):
    """A good answer with a piece replaced or lost: an answer or a ProtocolError, the same however
    it is cut.
    """
    good = http_response(expected, framing) if link in ("http", "uwsgi") else cgi_response(expected)
    if link == "fastcgi":
        good = fastcgi_response(good, 30000)
    place = data.draw(st.integers(0, min(len(good), 400)))
    damaged = (
        good[:place]
        + data.draw(st.binary(max_size=3))
        + good[place + data.draw(st.integers(0, 3)) :]
    )
    seen = []
    for cuts in ((), data.draw(CUTS)):
        try:
            seen.append(decode(link, damaged, cuts))
        except ProtocolError as error:
            seen.append(str(error))
    assert seen[0] == seen[1]
