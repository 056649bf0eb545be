# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a front says to a back and hears from it: requests to bytes, bytes to responses. No sockets
here.

Cited below by number of section:
  RFC 9110, RFC 9112   HTTP semantics, HTTP/1.1
  RFC 3875             CGI: the variables and the answer that FastCGI, SCGI and uwsgi share
  PEP 3333             how Python sees the variables: text that holds one byte a character (Latin-1)
  FastCGI              https://fastcgi-archives.github.io/FastCGI_Specification.html
  SCGI                 https://python.ca/scgi/protocol.txt
  uwsgi                https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MAX_HEAD = 262144  # bytes of a header that are read before the answer is called malformed

DEFAULT_PORTS = {"http": 80, "https": 443}

FCGI_VERSION = 1
FCGI_BEGIN_REQUEST, FCGI_END_REQUEST, FCGI_PARAMS, FCGI_STDIN, FCGI_STDOUT, FCGI_STDERR = (
    1,
    3,
    4,
    5,
    6,
    7,
)
FCGI_RESPONDER = 1
FCGI_REQUEST_ID = 1  # one request a connection, so any number but 0 serves (FastCGI 3.3)
# the largest multiple of 8 that the length's two bytes hold, so that no padding is needed
FCGI_MAX_CONTENT = 65528
FCGI_REFUSALS = {
    1: "it cannot multiplex",
    2: "it is overloaded",
    3: "it does not know the role",
}  # FastCGI 5.5

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_FIELD_VALUE = re.compile(
    r"[\t\x20-\x7e\x80-\xff]*"
)  # RFC 9110 5.5: no control character, above all no line end
_ORIGIN_FORM = re.compile(
    r"/[!-\"$-~]*"
)  # RFC 9112 3.2.1: a path and perhaps a query, no fragment, nothing to escape
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: (.*))?")  # RFC 9112 4
_STATUS_FIELD = re.compile(r"([1-9][0-9]{2})(?: (.*))?")  # RFC 3875 6.3.3
_CHUNK_SIZE = re.compile(
    rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?"
)  # RFC 9112 7.1; extensions are ignored, as 7.1.1 asks


class ProtocolError(ValueError):
    """A message that the protocol does not allow; the text says what is wrong with it."""


class IncompleteError(ProtocolError):
    """An answer that ended too early, or never began."""


@dataclass(frozen=True)
class Request:
    """A request as a front sends it on; one that no link could carry cannot be made."""

    target: str = "/"  # the path under the mount and all, percent-encoded, and perhaps a query
    method: str = "GET"
    script_name: str = ""  # the mount, decoded: "" or "/app"
    headers: Sequence[
        tuple[str, str]
    ] = ()  # Host may be among them; what frames the message may not
    body: bytes = b""
    scheme: str = "http"
    server_name: str = "localhost"
    server_port: int = 80
    remote_addr: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.method):
            raise ProtocolError(f"the method {self.method!r} is not a token")
        if not _ORIGIN_FORM.fullmatch(self.target):
            raise ProtocolError(
                f"the target {self.target!r} is not a percent-encoded path that begins with a slash"
            )
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name):
                raise ProtocolError(f"the header name {name!r} is not a token")
            if name.lower() in ("connection", "content-length", "transfer-encoding"):
                raise ProtocolError(
                    f"the header {name} follows from the body and the link and cannot be given"
                )
            if not _FIELD_VALUE.fullmatch(value):
                raise ProtocolError(
                    f"the value {value!r} of the header {name} holds a character that no header can"
                )
        if self.scheme not in DEFAULT_PORTS:
            raise ProtocolError(f"the scheme {self.scheme!r} is neither http nor https")
        for what, value in (
            ("server name", self.server_name),
            ("remote address", self.remote_addr),
        ):
            if not value or not _FIELD_VALUE.fullmatch(value):
                raise ProtocolError(
                    f"the {what} {value!r} is empty or holds a character that no header can"
                )
        self.split_path()

    def split_path(self) -> tuple[str, str]:
        """SCRIPT_NAME and PATH_INFO: the mount, and what is left of the decoded path (RFC 3875
        4.1.5, 4.1.13).
        """
        path = unquote_to_bytes(self.target.partition("?")[0])
        mount = self.script_name.encode(errors="replace")
        if mount and not (mount.startswith(b"/") and (path + b"/").startswith(mount + b"/")):
            raise ProtocolError(
                f"the target {self.target!r} does not lie under the mount {self.script_name!r}"
            )
        return mount.decode("latin-1"), path[len(mount) :].decode("latin-1")

    def all_headers(self) -> list[tuple[str, str]]:
        """The headers, with the Host that RFC 9112 3.2 demands."""
        if any(name.lower() == "host" for name, value in self.headers):
            return list(self.headers)
        port = "" if self.server_port == DEFAULT_PORTS[self.scheme] else f":{self.server_port}"
        return [("Host", self.server_name + port), *self.headers]


@dataclass(frozen=True)
class Response:
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]  # in their order, repeated ones too
    body: bytes
    size: int  # of the whole body; `body` holds less where the decoder was told to keep less

    def values(self, name: str) -> list[str]:
        """The values of a header, whatever the case of its name."""
        return _values(self.headers, name)


def _values(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key.lower() == name.lower()]


def cgi_environ(request: Request) -> dict[str, str]:
    """The variables of a request (RFC 3875 4.1) as PEP 3333 wants them; every value is Latin-1
    text.

    FastCGI, SCGI and uwsgi differ only in how they write these down. REQUEST_URI, REQUEST_SCHEME
    and HTTPS are
    in no RFC: they are what every front sends.
    """
    script_name, path_info = request.split_path()
    environ = {
        "CONTENT_LENGTH": str(len(request.body)),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "PATH_INFO": path_info,
        "QUERY_STRING": request.target.partition("?")[2],  # 4.1.7: required also when empty
        "REMOTE_ADDR": request.remote_addr,
        "REQUEST_METHOD": request.method,
        "REQUEST_SCHEME": request.scheme,
        "REQUEST_URI": request.target,
        "SCRIPT_NAME": script_name,
        "SERVER_NAME": request.server_name,
        "SERVER_PORT": str(request.server_port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "pyweb.stack",
    }
    if request.scheme == "https":
        environ["HTTPS"] = "on"
    for name, value in request.all_headers():
        key = name.upper().replace("-", "_")
        if key != "CONTENT_TYPE":  # 4.1.3, 4.1.18
            key = "HTTP_" + key
        if (
            key in environ
        ):  # one variable of the same meaning: RFC 9110 5.3; for cookies RFC 9113 8.2.3
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ", ") + value
        environ[key] = value
    return environ


def _environ_bytes(request: Request) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in cgi_environ(request).items()
    ]


def encode_http(request: Request) -> bytes:
    """RFC 9112 3; one request a connection."""
    headers = [*request.all_headers(), ("Connection", "close")]
    if request.body or request.method in (
        "PATCH",
        "POST",
        "PUT",
    ):  # RFC 9110 8.6: say 0 where a body is expected
        headers.append(("Content-Length", str(len(request.body))))
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + request.body


def encode_fastcgi(request: Request) -> bytes:
    """FastCGI 5.1 to 5.3: begin, without the flag that keeps the connection; the variables; the
    body.
    """
    params = b"".join(_fastcgi_pair(name, value) for name, value in _environ_bytes(request))
    return (
        _fastcgi_record(FCGI_BEGIN_REQUEST, struct.pack("!HB5x", FCGI_RESPONDER, 0))
        + _fastcgi_stream(FCGI_PARAMS, params)
        + _fastcgi_stream(FCGI_STDIN, request.body)
    )


def _fastcgi_pair(name: bytes, value: bytes) -> bytes:
    return b"".join(_fastcgi_length(part) for part in (name, value)) + name + value


def _fastcgi_length(part: bytes) -> bytes:
    """FastCGI 3.4: one byte up to 127, else four of which the highest bit is set."""
    return bytes([len(part)]) if len(part) < 128 else struct.pack("!L", len(part) | 1 << 31)


def _fastcgi_stream(kind: int, data: bytes) -> bytes:
    """FastCGI 3.3: a stream is cut into records and ended by an empty one."""
    starts = range(0, len(data), FCGI_MAX_CONTENT)
    return b"".join(
        _fastcgi_record(kind, data[at : at + FCGI_MAX_CONTENT]) for at in starts
    ) + _fastcgi_record(kind, b"")


def _fastcgi_record(kind: int, content: bytes) -> bytes:
    padding = -len(content) % 8  # FastCGI 3.3 recommends records of a multiple of 8 bytes
    return (
        struct.pack("!BBHHBx", FCGI_VERSION, kind, FCGI_REQUEST_ID, len(content), padding)
        + content
        + bytes(padding)
    )


def encode_scgi(request: Request) -> bytes:
    """SCGI: a netstring of variables, CONTENT_LENGTH the first of them and SCGI=1 among them, then
    the body.
    """
    variables = _environ_bytes(request)  # which begins with CONTENT_LENGTH
    variables.insert(1, (b"SCGI", b"1"))
    for name, value in variables:
        if b"\0" in value:
            raise ProtocolError(f"SCGI cannot carry the zero byte in {name.decode()}")
    block = b"".join(name + b"\0" + value + b"\0" for name, value in variables)
    return b"%d:%b," % (len(block), block) + request.body


def encode_uwsgi(request: Request) -> bytes:
    """uwsgi: modifier1 0 (Python), the size of the variables, modifier2 0, the variables, then the
    body.
    """
    sizes = struct.Struct("<H")
    variables = _environ_bytes(request)
    total = sum(len(name) + len(value) + 2 * sizes.size for name, value in variables)
    if total > 0xFFFF:
        raise ProtocolError(
            f"the request's variables take {total} bytes; uwsgi carries at most 65535"
        )
    block = b"".join(sizes.pack(len(part)) + part for pair in variables for part in pair)
    return struct.pack("<BHB", 0, total, 0) + block + request.body


class ResponseDecoder:
    """An answer, read from pieces of any size: `feed` each, `close` at the end of the stream, until
    `finished`.

    Keeps `body_limit` bytes of the body (None: all) and counts the rest. What follows the answer is
    ignored. A malformed answer raises ProtocolError, one that ends too early IncompleteError.
    """

    def __init__(self, method: str = "GET", body_limit: int | None = None) -> None:
        self.finished = False
        self.response: Response | None = None  # set when finished
        self._method = method
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._closed = False
        self._steps = self._run()

    def feed(self, data: bytes) -> None:
        if not self.finished:
            self._buffer += data
            next(self._steps, None)

    def close(self) -> None:
        self._closed = True
        next(self._steps, None)

    # Each step below is a generator that yields when it needs another piece of the stream.

    def _run(self) -> Generator[None, None, None]:
        self.response = yield from self._answer()
        self.finished = True

    def _answer(self) -> Generator[None, None, Response]:
        raise NotImplementedError

    def _more(self, where: str) -> Generator[None, None, None]:
        if self._closed:
            raise IncompleteError(f"the answer ended {where}")
        yield

    def _line(self, where: str, limit: int = MAX_HEAD) -> Generator[None, None, bytes]:
        """A line without its end; RFC 9112 2.2 and RFC 3875 6.2 take a line feed alone too."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0 and len(self._buffer) <= limit:
            start = len(self._buffer)
            yield from self._more(where)
        if end < 0 or end > limit:
            raise ProtocolError(f"a line or a header is longer than {MAX_HEAD} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line[:-1] if line.endswith(b"\r") else line


class HttpResponseDecoder(ResponseDecoder):
    """RFC 9112."""

    def _answer(self) -> Generator[None, None, Response]:
        status = 100
        while 100 <= status < 200:  # RFC 9110 15.2: any number of interim answers may come first
            status, reason, headers = self._parse_head((yield from self._head()))
            if status == 101:
                raise ProtocolError(
                    "the answer switches to another protocol, which was not asked for"
                )
        self._body = bytearray()
        self._size = 0
        yield from self._read_body(status, headers)
        return Response(status, reason, headers, bytes(self._body), self._size)

    def _head(self) -> Generator[None, None, list[bytes]]:
        while not self._buffer:
            yield from self._more("before its first byte")
        lines: list[bytes] = []
        room = MAX_HEAD
        while line := (yield from self._line("within its header", room)):
            lines.append(line)
            room -= len(line)
        if not lines:
            raise ProtocolError("the answer begins with an empty line")
        return lines

    def _parse_head(self, lines: list[bytes]) -> tuple[int, str, list[tuple[str, str]]]:
        match = _STATUS_LINE.fullmatch(lines[0])
        if not match:
            raise ProtocolError(f"{_excerpt(lines[0])} is no HTTP/1 status line")
        return int(match[1]), (match[2] or b"").decode("latin-1"), _parse_fields(lines[1:])

    def _read_body(
        self, status: int, headers: list[tuple[str, str]]
    ) -> Generator[None, None, None]:
        """The length of the body by RFC 9112 6.3, rule by rule."""
        if self._method == "HEAD" or status in (204, 304):
            return
        chunked = self._is_chunked(headers)
        length = _content_length(headers)
        if chunked and length is not None:
            raise ProtocolError("the answer has both Transfer-Encoding and Content-Length")
        if chunked:
            yield from self._chunks()
        elif length is not None:
            yield from self._bytes(length, "body")
        else:
            yield from self._rest()

    def _is_chunked(self, headers: list[tuple[str, str]]) -> bool:
        codings = ", ".join(_values(headers, "Transfer-Encoding")).lower()
        if codings not in (
            "",
            "chunked",
        ):  # others are sent only to who asks for them: RFC 9112 7.4
            raise ProtocolError(f"the answer has the unknown Transfer-Encoding {codings!r}")
        return bool(codings)

    def _chunks(self) -> Generator[None, None, None]:
        where = "within its chunked body"
        while True:
            line = yield from self._line(where)
            match = _CHUNK_SIZE.fullmatch(line)
            if not match:
                raise ProtocolError(f"{_excerpt(line)} is no size of a chunk")
            size = int(match[1], 16)
            if not size:
                break
            yield from self._bytes(size, "chunk")
            if (yield from self._line(where)):
                raise ProtocolError("a chunk is longer than its size")
        room = MAX_HEAD
        while line := (
            yield from self._line(where, room)
        ):  # trailer fields may be ignored: RFC 9112 7.1.2
            room -= len(line)

    def _bytes(self, length: int, what: str) -> Generator[None, None, None]:
        left = length
        while left:
            while not self._buffer:
                yield from self._more(f"after {length - left} of the {length} bytes of its {what}")
            left -= self._keep(left)

    def _rest(self) -> Generator[None, None, None]:
        while not self._closed:
            self._keep(len(self._buffer))
            yield
        self._keep(len(self._buffer))

    def _keep(self, at_most: int) -> int:
        part = self._buffer[:at_most]
        del self._buffer[:at_most]
        self._size += len(part)
        self._body += (
            part if self._body_limit is None else part[: max(0, self._body_limit - len(self._body))]
        )
        return len(part)


class CgiResponseDecoder(HttpResponseDecoder):
    """RFC 3875 6: the answer over SCGI and uwsgi. uWSGI begins it with an HTTP status line over
    uwsgi (RFC 3875 5).
    """

    def _parse_head(self, lines: list[bytes]) -> tuple[int, str, list[tuple[str, str]]]:
        if lines[0].startswith(b"HTTP/"):
            return super()._parse_head(lines)
        fields = _parse_fields(lines)
        headers = [(name, value) for name, value in fields if name.lower() != "status"]
        statuses = _values(fields, "Status")
        if len(statuses) > 1:  # 6.3
            raise ProtocolError("the answer has more than one Status")
        if not statuses:  # 6.2.3, 6.3.3
            return (302, "Found", headers) if _values(headers, "Location") else (200, "OK", headers)
        match = _STATUS_FIELD.fullmatch(statuses[0])
        if not match:
            raise ProtocolError(f"the Status {statuses[0]!r} is not three digits and a reason")
        return int(match[1]), match[2] or "", headers

    def _is_chunked(self, headers: list[tuple[str, str]]) -> bool:
        # what frames a connection is not the application's to say: PEP 3333, "Other HTTP Features"
        return False


class FastCgiResponseDecoder(ResponseDecoder):
    """FastCGI 3.3, 5.3 and 5.5: records that carry a CGI answer, and what the application logs
    (`stderr`).
    """

    def __init__(self, method: str = "GET", body_limit: int | None = None) -> None:
        super().__init__(method, body_limit)
        self.stderr = b""
        self._cgi = CgiResponseDecoder(method, body_limit)

    def _answer(self) -> Generator[None, None, Response]:
        while not self._buffer:
            yield from self._more("before its first byte")
        while True:
            header = yield from self._exactly(8)
            version, kind, request_id, length, padding = struct.unpack("!BBHHBx", header)
            if version != FCGI_VERSION:
                raise ProtocolError(f"{_excerpt(header)} does not begin a FastCGI record")
            content = (yield from self._exactly(length + padding))[:length]
            if request_id != FCGI_REQUEST_ID:
                raise ProtocolError(
                    f"a record belongs to the request {request_id}, which was not made"
                )
            if kind == FCGI_STDOUT:
                self._cgi.feed(content)
            elif kind == FCGI_STDERR:
                self.stderr = (self.stderr + content)[-MAX_HEAD:]
            elif kind == FCGI_END_REQUEST:
                break
            else:
                raise ProtocolError(f"a record has the type {kind}, which no application sends")
        if len(content) != 8:
            raise ProtocolError("the record that ends the request is not 8 bytes long")
        refusal = content[4]
        if refusal:
            raise ProtocolError(
                f"the application refused the request: {FCGI_REFUSALS.get(refusal, refusal)}"
            )
        self._cgi.close()
        if self._cgi.response is None:
            raise ProtocolError("the record that ends the request came before a response")
        return self._cgi.response

    def _exactly(self, length: int) -> Generator[None, None, bytes]:
        while len(self._buffer) < length:
            yield from self._more("before the record that ends the request")
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data


def _parse_fields(lines: Sequence[bytes]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for line in lines:
        text = line.decode("latin-1")
        if text[0] in " \t" and headers:  # a folded line: RFC 9112 5.2
            name, value = headers.pop()
            value += " " + text.strip(" \t")
        else:
            name, colon, value = text.partition(":")
            if not colon or not _TOKEN.fullmatch(
                name
            ):  # a space before the colon too: RFC 9112 5.1
                raise ProtocolError(f"{_excerpt(line)} is no header")
            value = value.strip(" \t")
        if not _FIELD_VALUE.fullmatch(value):
            raise ProtocolError(
                f"the value {value!r} of the header {name} holds a character that no header can"
            )
        headers.append((name, value))
    return headers


def _content_length(headers: list[tuple[str, str]]) -> int | None:
    """RFC 9110 8.6: the same number may be repeated, anything else is an error."""
    given = {
        part.strip() for value in _values(headers, "Content-Length") for part in value.split(",")
    }
    if not given:
        return None
    value = given.pop()
    if given or not re.fullmatch("[0-9]{1,18}", value):
        raise ProtocolError(
            f"the Content-Length {', '.join(_values(headers, 'Content-Length'))!r} is no number"
        )
    return int(value)


def _excerpt(data: bytes) -> str:
    return repr(data[:60].decode("latin-1"))


ENCODERS = {
    "http": encode_http,
    "fastcgi": encode_fastcgi,
    "scgi": encode_scgi,
    "uwsgi": encode_uwsgi,
}
DECODERS: dict[str, type[ResponseDecoder]] = {
    "http": HttpResponseDecoder,
    "fastcgi": FastCgiResponseDecoder,
    "scgi": CgiResponseDecoder,
    "uwsgi": CgiResponseDecoder,
}
