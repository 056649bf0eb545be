# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The WSGI callable that every back loads: the site's own application, seen the same over every
link.

What a link spoils in the environ is repaired by functions that know nothing but the environ;
`repairs` says which a link needs. The response is held back until its body begins, so that all
servers begin it alike: with a length where one is known, else marked as a stream. Where the
application fails before that, the answer is a plain 500 and the traceback is in wsgi.errors; where
it fails later, the response is broken off and the exception goes on to the server.
"""

from __future__ import annotations

import _signal  # mod_wsgi makes signal.signal() do nothing
import _socket  # of which nothing is patched, unlike of socket
import functools
import importlib
import io
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from time import sleep  # what an application makes of the module later is not meant for its server

from pyweb_watchdog import UNWATCHED, Clock, Watchdog

# What a client may have made up: a framework that believes one of these would be told a wrong
# address, scheme or host, or a wrong proxy for its own requests (HTTP_PROXY). What is true of them
# is in REMOTE_ADDR, wsgi.url_scheme, HTTP_HOST and SCRIPT_NAME, and of a body in CONTENT_LENGTH and
# CONTENT_TYPE, which some fronts send twice.
UNTRUSTED = frozenset(
    (
        "HTTP_CLIENT_IP",
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
        "HTTP_FORWARDED",
        "HTTP_PROXY",
        "HTTP_PYWEBFRONT",
        "HTTP_REMOTE_USER",
        "HTTP_TRUE_CLIENT_IP",
        "HTTP_X_CLIENT_IP",
        "HTTP_X_FORWARDED",
        "HTTP_X_FORWARDED_BY",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_X_FORWARDED_PORT",
        "HTTP_X_FORWARDED_PREFIX",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_FORWARDED_PROTOCOL",
        "HTTP_X_FORWARDED_SCHEME",
        "HTTP_X_FORWARDED_SERVER",
        "HTTP_X_FORWARDED_SSL",
        "HTTP_X_HOST",
        "HTTP_X_REAL_IP",
        "HTTP_X_SCHEME",
        "HTTP_X_SCRIPT_NAME",
        "HTTP_X_URL_SCHEME",
    )
)

# The mark of a weak entity tag, and the tag; in its quotes may be what looks like the mark.
WEAK_TAG = re.compile(r'(?:W/)?("[^"]*")')

# How Apache is told to treat its own links, and tells us to; it sends these variables along.
SETTINGS = frozenset(("PYWEB_CHUNKS", "PYWEB_HTTPS", "ap_trust_cgilike_cl"))
DROPPED = UNTRUSTED | SETTINGS

# What a response may begin with (RFC 9110, sections 5.5 and 5.6.2; RFC 9112, section 4; PEP 3333:
# one byte a character).
STATUS = re.compile(r"[1-9][0-9][0-9] [\t -~\x80-\xff]*")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(r"[\t -~\x80-\xff]*")
WITHOUT_BODY = ("1", "204", "304")
# A connection's own, which an application must not send (PEP 3333, Other HTTP Features).
HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)
# Statuses and names that have passed the checks, so many that an application without end of them
# fills no memory.
KNOWN_STATUSES: dict[str, bool] = {}  # whether a body may follow
KNOWN_NAMES: dict[str, str] = {}  # with those in small letters that mean something here, or nothing
SPECIAL = ("cache-control", "content-length", "location", "status")
KNOWN = 1000

# Seconds until a response that has failed is broken off: of one that it has not begun to send on,
# lighttpd would take what has come for the whole.
PAUSE = 0.2
# Bytes that are read of a body at once.
BLOCK = 65536


class BadRequest(Exception):
    """A request that no front of ours has sent on as it is; the text says why."""

    status = "400 Bad Request"


class Outside(BadRequest):
    """A path that a front has taken for one below the mount, which it is not."""

    status = "404 Not Found"


class Stranger(BadRequest):
    """A request from an address that is none of a front. No application answers so, and a probe can
    tell.
    """

    status = "421 Misdirected Request"


def load(name: str) -> Callable:
    """The object that "package.module:attribute.attribute" names, or that a factory makes:
    "package.module:attribute()".
    """
    module, colon, path = name.partition(":")
    attributes = path.removesuffix("()")
    found = functools.reduce(getattr, attributes.split("."), importlib.import_module(module))
    if attributes != path:
        found = found()
    if not callable(found):
        raise TypeError(f"PYWEB_APPLICATION is {name!r}, which is {found!r} and cannot be called")
    return found


def repairs(
    link: str, mount: str, allowed: frozenset[str] = frozenset()
) -> tuple[Callable[[dict], None], ...]:
    """The functions that mend the environ of a link, in their order. allowed: who may ask over
    http, if not everybody may.
    """
    split = (functools.partial(split_mount, mount),) if mount else ()
    always = *split, strengthen_if_match, drop_untrusted
    if link == "http":
        guard = (functools.partial(refuse_strangers, allowed),) if allowed else ()
        return *guard, believe_forwarded, believe_path, resolve_dots, *always
    return believe_variables, believe_path, *always


def refuse_strangers(allowed: frozenset[str], environ: dict) -> None:
    """Believe the fronts alone. Over http REMOTE_ADDR is still who has connected; over other links
    it is what that one says.
    """
    if environ.get("REMOTE_ADDR") not in allowed:
        raise Stranger(f"{environ.get('REMOTE_ADDR')} is no front of this site")


def believe_forwarded(environ: dict) -> None:
    """Take over what the front says over http of its client: the address, the scheme, and who it
    has let in.

    Pywebfront holds the front's name, after an @ the client's address where a proxy before the
    front has told it, and where it has authenticated the client the way and the name. A field of
    one word has no look-alike, so that a front which drops the client's own drops all of them. Of
    the others, more than one value means that a client's own came through under another spelling,
    and none that a client had it taken out.
    """
    address = environ.get("HTTP_X_FORWARDED_FOR", "")
    if not address or not address.isprintable() or "," in address or " " in address:
        raise BadRequest("X-Forwarded-For does not hold one address")
    environ["REMOTE_ADDR"] = address
    environ.pop("REMOTE_PORT", None)  # the front's own, not the client's
    scheme = environ.get("HTTP_X_FORWARDED_PROTO")
    if scheme not in ("http", "https"):
        raise BadRequest("X-Forwarded-Proto is neither http nor https")
    set_scheme(environ, scheme)
    host = environ.get("HTTP_HOST")
    if host:
        # The back's own name says nothing to who sees the site through the front.
        name, colon, port = host.rpartition(":")
        environ["SERVER_NAME"] = name if colon and port.isdecimal() else host
    set_port(environ)
    front, way, user = (*environ.pop("HTTP_PYWEBFRONT", "").split(" ", 2), "", "")[:3]
    front, _at, client = front.partition("@")
    if client:
        environ["REMOTE_ADDR"] = client
    if front:
        environ["SERVER_SOFTWARE"] = front
    for key, value in (("AUTH_TYPE", way), ("REMOTE_USER", user)):
        environ.pop(key, None)
        if user:
            environ[key] = value


def believe_variables(environ: dict) -> None:
    """Take the scheme from the front's own variables: uWSGI believes a client's X-Forwarded-Proto
    over every link.
    """
    # mod_wsgi keeps HTTPS to itself, unless the connection to Apache has it.
    https = environ.get("HTTPS") or environ.get("PYWEB_HTTPS")
    set_scheme(
        environ,
        "https"
        if (https and https.lower() in ("on", "1")) or environ.get("REQUEST_SCHEME") == "https"
        else "http",
    )
    if environ.get("SERVER_SOFTWARE", "").startswith("Apache"):
        set_port(environ)  # Apache has it from Host
    if not environ.get("REMOTE_USER"):
        environ.pop("REMOTE_USER", None)
        environ.pop("AUTH_TYPE", None)


def set_port(environ: dict) -> None:
    """SERVER_PORT is what the front listens on (RFC 3875, 4.1.15), and no client's to choose by
    Host.
    """
    environ["SERVER_PORT"] = "443" if environ["wsgi.url_scheme"] == "https" else "80"


def strengthen_if_match(environ: dict) -> None:
    """Take the mark of a weak tag off, which a front sets where it compresses (RFC 9110, 8.8.3).

    A tag that is weak to the application stays so: it matches nothing (13.1.1).
    """
    tags = environ.get("HTTP_IF_MATCH", "")
    if "W/" in tags:
        environ["HTTP_IF_MATCH"] = WEAK_TAG.sub(r"\1", tags)


def set_scheme(environ: dict, scheme: str) -> None:
    environ["wsgi.url_scheme"] = environ["REQUEST_SCHEME"] = scheme
    if scheme == "https":
        environ["HTTPS"] = "on"
    else:
        environ.pop("HTTPS", None)


def resolve_dots(environ: dict) -> None:
    """Resolve . and .. in PATH_INFO, as every front has done to find the site (RFC 3986, 5.2.4)."""
    path = environ.get("PATH_INFO", "")
    if "/." not in path:
        return
    segments = path.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    environ["PATH_INFO"] = "/" + "/".join(kept)


def believe_path(environ: dict) -> None:
    """Take the decoded path from the variable that Apache is told to send along; a client's headers
    are all HTTP_*.

    Of itself mod_proxy_uwsgi and mod_proxy_scgi leave the path encoded, or put its end into
    SCRIPT_NAME, too, and mod_wsgi makes one slash of several.
    """
    path = environ.pop("PYWEB_PATH", None)
    if path is not None:
        environ["SCRIPT_NAME"] = ""
        environ["PATH_INFO"] = path


def split_mount(mount: str, environ: dict) -> None:
    """Move the mount from PATH_INFO to SCRIPT_NAME, unless the back has done so."""
    path = environ.get("PATH_INFO", "")
    if mount and not environ.get("SCRIPT_NAME"):
        if path != mount and not path.startswith(mount + "/"):
            raise Outside(f"{path!r} is not below {mount!r}")
        environ["SCRIPT_NAME"] = mount
        environ["PATH_INFO"] = path[len(mount) :]


def drop_untrusted(environ: dict) -> None:
    if not environ.keys().isdisjoint(DROPPED):
        for name in DROPPED.intersection(environ):
            del environ[name]


def checked(
    status: str, headers: Iterable[tuple[str, str]], location: str
) -> tuple[list[tuple[str, str]], int | None, bool]:
    """The fields of a response that a server may send on, the length that they promise, and whether
    nothing may transform it.

    location: the name of that field for a server that would take it, with status 200, for an order
    to serve another page.
    """
    if status not in KNOWN_STATUSES:
        if not isinstance(status, str) or not STATUS.fullmatch(status):
            raise ValueError(
                f"the status {status!r} is not three digits, a space and a reason, without control "
                "characters (PEP 3333)"
            )
        if len(KNOWN_STATUSES) < KNOWN:
            KNOWN_STATUSES[status] = not status.startswith(WITHOUT_BODY)
    fields = []
    length = None
    is_final = False
    known_names = KNOWN_NAMES
    for name, value in headers:
        try:  # what is quick, and enough for nearly all
            known = (
                known_names[name]
                if value.isascii() and value.isprintable()
                else checked_field(name, value)
            )
        except (AttributeError, KeyError, TypeError):
            known = checked_field(name, value)
        if known:
            if known == "content-length":
                if length is not None or not (value.isascii() and value.isdigit()):
                    raise ValueError(f"Content-Length is {value!r}, and has to be one number")
                length = int(value)
            elif known == "status":
                continue  # CGI's word for the status line, which would replace it
            elif known == "cache-control":
                is_final = is_final or "no-transform" in value.lower()
            elif location and status.startswith("200"):
                name = location
        fields.append((name, value))
    return fields, length, is_final


def checked_field(name: str, value: str) -> str:
    """The name in small letters, if it is one of SPECIAL."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a field (RFC 9110, section 5.1)")
    known = str(name.lower())
    if known in HOP_BY_HOP:
        raise ValueError(
            f"{name} is the server's, and no application may send it (PEP 3333, Other HTTP "
            "Features)"
        )
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        raise ValueError(
            f"the value {value!r} of {name} is no str of Latin-1 characters without control "
            "characters (PEP 3333)"
        )
    known = known if known in SPECIAL else ""
    if len(KNOWN_NAMES) < KNOWN:
        KNOWN_NAMES[str(name)] = known
    return known


def as_bytes(data: object) -> bytes:
    """A piece of a body; what else holds bytes is copied, since its owner may change it."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(
            "the body of a response consists of bytes (PEP 3333), and not of "
            f"{type(data).__name__}: {data!r:.100}"
        )
    return bytes(data)


class FileWrapper:
    """PEP 3333's wsgi.file_wrapper. What an application asks of a file is answered by the file."""

    __slots__ = ("_file", "_size")

    def __init__(self, file, size: int = BLOCK) -> None:
        self._file = file
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = self._file.read(self._size)
        if data:
            return data
        raise StopIteration

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def size(self) -> int | None:
        """The size of a plain file that is to be sent as a whole."""
        file = self._file
        plain = file.raw if file.__class__ in (io.BufferedReader, io.BufferedRandom) else file
        if plain.__class__ is not io.FileIO:
            return None
        try:
            status = os.fstat(plain.fileno())
            # What the kernel makes up has no size.
            return (
                status.st_size
                if status.st_size and stat.S_ISREG(status.st_mode) and not file.tell()
                else None
            )
        except (OSError, ValueError):
            return None

    def of_server(self, wrapper: Callable) -> Iterable[bytes]:
        return wrapper(self._file, self._size)


def wrap(
    application: Callable, repair: Iterable[Callable[[dict], None]], server: Server
) -> Callable:
    """The application behind the repairs, with its response begun and ended the same by every
    server.
    """

    def wrapped(environ: dict, start_response: Callable) -> Iterable[bytes]:
        body = server.take_over_body(environ)
        if server.errors is not None:
            environ["wsgi.errors"] = server.errors
        response = Response(environ, start_response, server, body, environ.get("wsgi.file_wrapper"))
        environ["wsgi.file_wrapper"] = FileWrapper
        try:
            for mend in repair:
                mend(environ)
            server.prefetch(body)
        except (BadRequest, OSError) as error:
            status = getattr(error, "status", BadRequest.status)  # without, the body has not come
            log(environ, f"{status}: {error}\n")
            result = [response.plain(status)]
        else:
            response.watch(server.watchdog.begin(environ, server.connection(environ)))
            try:
                result = response.of(application(environ, response.start))
            except BaseException as error:
                result = [response.fail(error)]
        return server.drain(result, body)

    return wrapped


class Server:
    """What a server leaves to be done around an application: nothing, here."""

    location_of_200 = (
        ""  # the name under which Location passes it with status 200, if it would replace the page
    )
    signals: tuple[int, ...] = ()  # those that it handles
    handlers: tuple[Callable, ...] = ()  # those of Python that it has for them

    def __init__(self, link: str = "", errors=None, watchdog: Watchdog | None = None) -> None:
        self.link = link
        self.watchdog = watchdog or Watchdog()
        self.errors = errors  # in place of the server's own wsgi.errors
        self.in_child = False  # of the application's, which is no server
        self._names: frozenset = frozenset()  # under which it listens
        # It ends with the connection, and the front would take any end for a good one.
        self.frames = link == "http"

    def take_over_body(self, environ: dict) -> io.BufferedReader | None:
        """Stand between the application and the server, to know how much of a body is still to
        come.
        """
        length = environ.get("CONTENT_LENGTH")
        if not length or not length.isdigit() or not int(length):
            return None
        body = io.BufferedReader(self.body(environ["wsgi.input"], int(length)), BLOCK)
        environ["wsgi.input"] = body
        return body

    def body(self, source, length: int) -> Body:
        return Body(source, length)

    def prefetch(self, body: io.BufferedReader | None) -> None:
        """Called before the application is; an OSError means that the body has not come."""

    def drain(self, result: Iterable[bytes], body: io.BufferedReader | None) -> Iterable[bytes]:
        """The result for the server, which sees to what is left of the request when it is
        closed.
        """
        return result

    def connection(self, environ: dict) -> int | None:
        """The descriptor to answer on in place of the application, where there is one."""
        return None

    def begin_process(self) -> None:
        """Called in each process that serves; before the application is loaded, where the server
        loads it there.
        """
        self._names = frozenset(
            name for _descriptor, name, is_listening in sockets() if is_listening
        )
        os.register_at_fork(after_in_child=self.begin_child)

    def begin_child(self) -> None:
        """Make a child of the application one like any other: signals end it, and it holds no
        client's connection open.
        """
        self.in_child = True
        self.watchdog.leave()
        for number in self.signals:
            handler = _signal.getsignal(number)
            if not callable(handler) or handler in self.handlers:
                handler = {
                    _signal.SIGINT: _signal.default_int_handler,
                    _signal.SIGPIPE: _signal.SIG_IGN,
                }.get(number, _signal.SIG_DFL)
            _signal.signal(number, handler)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        for descriptor, name, _is_listening in sockets():
            if name in self._names:
                os.close(descriptor)

    def is_behind_nginx(self, environ: dict) -> bool:
        return environ.get("SERVER_SOFTWARE", "").startswith("nginx")

    def keep(self, environ: dict) -> bytes:
        """Let the connection outlive this process, whose end its front would take for that of the
        response; what settles it.
        """
        return b""

    def settle(self, kept: bytes) -> None:
        """Let go of a connection whose response is complete."""

    def break_off(self, kept: bytes) -> None:
        """Make the front see that a response is not complete, where the server would end it
        well.
        """


def sockets() -> list[tuple[int, object, bool]]:
    """Those of this process: descriptor, own name, and whether it is listened on."""
    found = []
    timeout = _socket.getdefaulttimeout()
    _socket.setdefaulttimeout(None)  # any other would be set on each of them
    try:
        for descriptor in map(int, os.listdir("/proc/self/fd")):
            try:
                sock = _socket.socket(-1, -1, -1, descriptor)
            except OSError:
                continue  # none
            try:
                found.append(
                    (
                        descriptor,
                        sock.getsockname(),
                        bool(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)),
                    )
                )
            except OSError:
                pass
            finally:
                sock.detach()
    finally:
        _socket.setdefaulttimeout(timeout)
    return found


def steady(*streams) -> None:
    """Let what is written to them come out line by line, and none of it be an error."""
    for stream in streams:
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


class Response:
    """The server's side of PEP 3333 for the application, and the application's for the server."""

    begun = False
    clock = UNWATCHED
    _framed = False
    _is_final = False  # no front may transform it
    _kept = b""
    _left: int | None = None  # bytes of the body that Content-Length still promises
    _status = ""
    _headers: list[tuple[str, str]] = []
    _write: Callable | None = None

    def __init__(
        self,
        environ: dict,
        start_response: Callable,
        server: Server,
        body: io.BufferedReader | None = None,
        file_wrapper: Callable | None = None,
    ) -> None:
        self._body = body
        self._environ = environ
        self._file_wrapper = file_wrapper  # the server's
        self._frames = server.frames or "PYWEB_CHUNKS" in environ
        self._server = server
        self._start_response = start_response

    def watch(self, clock: Clock) -> None:
        """The application is called from now on."""
        self.clock = clock
        if self._body:
            self._body.raw.clock = clock

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: tuple | None = None
    ) -> Callable:
        """PEP 3333's start_response()."""
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self._status:
            raise RuntimeError("the application has called start_response() twice")
        self._headers, self._left, self._is_final = checked(
            status, headers, self._server.location_of_200
        )
        self._status = status
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's write()."""
        if data.__class__ is not bytes:
            data = as_bytes(data)
        if not self.begun:
            self.begin()
        data = self.within(data)
        self.clock.pause()
        if data:
            self._write(self.frame(data))
        self.clock.resume()

    def begin(self, length: int | None = None, exc_info: tuple | None = None) -> None:
        """Hand the start of the response to the server, now that its body begins; length: the
        body's, where known.
        """
        self.clock.pause()
        if not self._status:
            raise RuntimeError("the application has not called start_response()")
        if self._server.in_child:
            os._exit(
                1
            )  # the application has returned in a child of its own, and the parent answers
        headers = self._headers
        may_have_body = KNOWN_STATUSES.get(self._status)
        if may_have_body is None:
            may_have_body = not self._status.startswith(WITHOUT_BODY)
        has_body = may_have_body and self._environ.get("REQUEST_METHOD") != "HEAD"
        if not has_body:
            self._left = 0  # Apache would compress it, to another length than that of GET
        elif self._left is None:
            headers += (
                self._stream_headers() if length is None else [("Content-Length", str(length))]
            )
        elif length is not None and length != self._left:
            raise RuntimeError(f"the application has sent {length} bytes as a body of {self._left}")
        gathers = length is None and self._body
        if (self._is_final or gathers) and self._server.is_behind_nginx(self._environ):
            if self._is_final:
                headers = shown_to_nginx(headers)
            if gathers:
                self._body.raw.gather()
        if exc_info:
            try:
                self._write = self._start_response(self._status, headers, exc_info)
            except SystemError as error:
                # uWSGI takes the new status and headers, and leaves the exception set, which Python
                # then finds fault with.
                if error.__cause__ is not exc_info[1]:
                    raise
        else:
            self._write = self._start_response(self._status, headers)
        self.begun = self.clock.begun = True
        # A front sees by a length that something is missing; but Apache over SCGI, which measures a
        # short response itself.
        if length is None and has_body and (self._left is None or self._server.link == "scgi"):
            self._kept = self._server.keep(self._environ)

    def _stream_headers(self) -> Iterator[tuple[str, str]]:
        if self._server.is_behind_nginx(self._environ):
            yield "X-Accel-Buffering", "no"  # nginx sends it on as it comes, and nobody this header
        if self._frames and self._environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            self._framed = True
            yield "Transfer-Encoding", "chunked"

    def within(self, data: bytes) -> bytes:
        """What of a piece Content-Length still has room for (PEP 3333, Handling the Content-Length
        Header).
        """
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    def frame(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._framed else data

    def end(self) -> bytes:
        if self._left:
            raise RuntimeError(
                f"the application has sent {self._left} bytes less than its Content-Length"
            )
        self._server.settle(self._kept)
        return b"0\r\n\r\n" if self._framed else b""

    def of(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """What the server shall read: the application's result, guarded where reading it runs code
        of the application.
        """
        kind = type(result)
        self.clock.pause()
        if self.begun:
            return Pieces(result, self)
        if kind in (list, tuple):
            for data in result:
                if data.__class__ is not bytes:
                    result = [as_bytes(data) for data in result]
                    break
            self.begin(sum(map(len, result)))
            return () if self._left == 0 else result
        size = result.size() if kind is FileWrapper else None
        if size is not None and self._left in (None, size):
            # uWSGI sends the bytes of a descriptor from the first to the last, whatever a position,
            # a decoder or a pipe makes of them.
            if (
                self._file_wrapper
                and not self._body
                and self._environ.get("REQUEST_METHOD") != "HEAD"
            ):
                self.begin(size)
                return result.of_server(self._file_wrapper)
            if self._left is None:
                self._headers.append(("Content-Length", str(size)))
                self._left = size
        return Pieces(result, self)

    def plain(self, status: str, exc_info: tuple | None = None) -> bytes:
        """Begin a response of our own and return its body."""
        body = status[4:].encode()
        self._status = status
        self._headers = [("Content-Type", "text/plain")]
        self._left = None
        self.begin(len(body), exc_info=exc_info)
        return body

    def fail(self, error: BaseException) -> bytes:
        """Answer the exception at hand; where the response has begun, break it off and raise the
        exception again.
        """
        if self._server.in_child:
            if not isinstance(error, SystemExit):
                log(self._environ, traceback.format_exc())
            os._exit(
                error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
            )
        if not self.begun:
            body = self.plain("500 Internal Server Error", sys.exc_info())
            log(self._environ, traceback.format_exc())
            return body
        if self._framed and self._server.link == "embedded":
            log(self._environ, traceback.format_exc())
            return b"-\r\n"
        sleep(PAUSE)
        self._server.break_off(self._kept)
        if not isinstance(error, Exception):
            # uWSGI would end the process, and with it the requests of all its threads.
            raise RuntimeError(
                f"the application has raised {type(error).__name__} within a response"
            ) from error
        raise error


class Body(io.RawIOBase):
    """The body of a request."""

    def __init__(self, source, length: int) -> None:
        super().__init__()
        self._source = source
        self.clock = UNWATCHED
        self.left = length  # to come
        self._gathered = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self.clock.pause()
        try:
            data = self._gathered.read(len(buffer)) if self._gathered else self.take(len(buffer))
        finally:
            self.clock.resume()
        buffer[: len(data)] = data
        return len(data)

    def take(self, size: int) -> bytes:
        data = self._source.read(min(size, self.left)) if self.left else b""
        self.left -= len(data)
        return data

    def gather(self) -> None:
        """Take in what is still to come, for a reader who begins to answer before: nginx sends no
        more once it has the head of an answer.
        """
        if self.left:
            import tempfile

            gathered = tempfile.SpooledTemporaryFile(16 * BLOCK)
            while data := self.take(BLOCK):
                gathered.write(data)
            gathered.seek(0)
            self._gathered = gathered


def shown_to_nginx(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The fields of a response with no-transform, which nginx must not compress (RFC 9111,
    5.2.2.6).

    It looks at Content-Type alone, and for the very texts of its list: one with a blank before the
    semicolon, or with nothing after it, means the same and is not among them (RFC 9110, 5.6.6).
    """
    return [
        (name, value.replace(";", " ;", 1) if ";" in value else f"{value};")
        if name.lower() == "content-type"
        else (name, value)
        for name, value in headers
    ]


class Pieces:
    """The body of a response as the server reads it: no empty pieces, and none of a failure."""

    __slots__ = ("_ended", "_pieces", "_response", "_result")

    def __init__(self, result: Iterable[bytes], response: Response) -> None:
        self._result = result
        self._pieces = filter(None, result)
        self._response = response
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        response = self._response
        try:
            response.clock.resume()
            data = next(self._pieces, None)
            response.clock.pause()
            if data is not None and data.__class__ is not bytes:
                data = as_bytes(data)
            if not response.begun:
                response.begin(0 if data is None else None)
            data = data and response.within(data)
            if data:
                return response.frame(data)
            self._ended = True
            data = response.end()
        except BaseException as error:
            self._ended = True
            return response.fail(error)
        if not data:
            raise StopIteration
        return data

    def close(self) -> None:
        close = getattr(self._result, "close", None)
        if close is not None:
            self._response.clock.resume()
            try:
                close()
            finally:
                self._response.clock.pause()


class Followed:
    """A result with something to be done once the server has closed it."""

    __slots__ = ("_afterwards", "_result")

    def __init__(self, result: Iterable[bytes], afterwards: Callable[[], object]) -> None:
        self._afterwards = afterwards
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def close(self) -> None:
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._afterwards()


def server_error(environ: dict, start_response: Callable) -> bytes:
    """For a server: answer the exception at hand, which was not the application's, by a plain
    500.
    """
    return Response(environ, start_response, Server()).fail(sys.exc_info()[1])


def log(environ: dict, text: str) -> None:
    errors = environ["wsgi.errors"]
    errors.write(text)
    errors.flush()  # uWSGI would keep it until there is more


def site(server: Server) -> Callable:
    """The site's application, as the environment of this process describes it, for a server."""
    server.begin_process()
    return wrap(
        load(os.environ["PYWEB_APPLICATION"]),
        # PEP 3333: an environ's texts hold one byte a character
        repairs(
            os.environ["PYWEB_LINK"],
            os.fsencode(os.environ.get("PYWEB_SCRIPT_NAME", "")).decode("latin-1"),
            frozenset(filter(None, os.environ.get("PYWEB_ALLOWED", "").split(","))),
        ),
        server,
    )
