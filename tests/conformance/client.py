#!/usr/bin/env python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a conformance application (app/conformance.py) through whatever serves it, and compare with
what is expected.

    python tests/conformance/client.py http[s]://HOST[:PORT][/MOUNT] [--host NAME] [--front nginx
    --back uwsgi --link http --transport unix]

The stack's names choose the rows of docs/deviations.yml that are expected of it. Anything else that
deviates, and a row that holds no longer, is unexpected, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import hashlib
import itertools
import json
import secrets
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "app")]

from conformance import pattern
from deviations import find, load

TIMEOUT = 30
PORTS = {"http": 80, "https": 443}
LARGE = 50 * 1024 * 1024
LIE = "203.0.113.9"
LIAR = "evil.example"


@dataclass
class Response:
    """What came for one request; status 0 where nothing did."""

    status: int = 0
    reason: str = ""
    version: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    whole: bool = False  # its framing has come to its end
    framing: str = ""
    interim: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # when pieces of the body came

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    @property
    def refused(self) -> bool:
        """Answered with the client's fault, with 501 or 505, or not at all."""
        return self.status < 100 or 400 <= self.status < 500 or self.status in (501, 505)


@functools.cache
def without_verification() -> ssl.SSLContext:
    """What is served is asked here, and not by whom; HTTP/2 is not offered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Wire:
    """A connection to a server, on which exactly the given bytes are sent."""

    def __init__(self, target: Target, timeout: float = TIMEOUT, receive: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in target.address else socket.AF_INET)
        if receive:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.sock.settimeout(timeout)
        self.sock.connect((target.address, target.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.own_address = self.sock.getsockname()[0]
        if target.scheme == "https":
            self.sock = without_verification().wrap_socket(self.sock, server_hostname=target.name)
        self._file = self.sock.makefile("rb", 1 << 16)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc) -> None:
        self._file.close()
        self.sock.close()

    def send(self, data: bytes) -> bool:
        try:
            self.sock.sendall(data)
        except OSError:
            return False  # it has closed; perhaps it has answered before
        return True

    def read_through(self, wrapper: Callable) -> None:
        """Read what comes from now on by wrapper(file)."""
        self._file = wrapper(self._file)

    def comes(self, within: float) -> bool:
        """Whether the server sends anything, or closes, within so many seconds."""
        return bool(select.select([self.sock], [], [], within)[0])

    def something_comes(self, within: float) -> bool:
        """Whether the server sends anything now; what it is stays to be read."""
        self.sock.settimeout(within)
        came = bool(self._file.peek(1))
        self.sock.settimeout(TIMEOUT)
        return came

    def response(self, head: bool = False) -> Response:
        """Read one response, as much of it as there is."""
        found = Response()
        try:
            self._read(found, head)
        except (OSError, ValueError):
            pass  # found.whole tells
        return found

    def _read(self, found: Response, head: bool) -> None:
        while True:
            line = self._file.readline(65536)
            if not line.endswith(b"\n"):
                return
            version, _, rest = line.decode("latin-1").rstrip("\r\n").partition(" ")
            status, _, reason = rest.partition(" ")
            headers = []
            while (line := self._file.readline(1 << 20)).strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers.append((name, value.strip()))
            if not line:
                return
            if status.startswith("1") and status != "101":
                found.interim.append(int(status))
                continue
            break
        found.version, found.status, found.reason, found.headers = (
            version,
            int(status),
            reason,
            headers,
        )
        if head or found.status in (204, 304):
            found.framing, found.whole = "none", True
        elif (found.get("Transfer-Encoding") or "").lower() == "chunked":
            found.framing = "chunked"
            self._read_chunked(found)
        elif found.get("Content-Length") is not None:
            found.framing = "length"
            self._read_length(found, int(found.get("Content-Length")))
        else:
            found.framing = "close"
            parts = []
            try:
                while data := self._file.read1(1 << 16):
                    parts.append(data)
                    found.times.append(time.monotonic())
                found.whole = True
            finally:
                found.body = b"".join(parts)

    def _read_length(self, found: Response, length: int) -> None:
        parts = []
        try:
            while length and (data := self._file.read1(min(length, 1 << 16))):
                parts.append(data)
                length -= len(data)
                found.times.append(time.monotonic())
            found.whole = not length
        finally:
            found.body = b"".join(parts)

    def _read_chunked(self, found: Response) -> None:
        parts = []
        try:
            while size := int(self._file.readline(1000).partition(b";")[0], 16):
                data = self._file.read(size)
                parts.append(data)
                found.times.append(time.monotonic())
                if len(data) != size or self._file.readline() != b"\r\n":
                    return
            while self._file.readline(65536).strip():
                pass
            found.whole = True
        finally:
            found.body = b"".join(parts)

    def is_closed(self, within: float = 1.0) -> bool:
        self.sock.settimeout(within)
        try:
            return self._file.read1(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


@dataclass(frozen=True)
class Target:
    """A site, and the stack that is said to serve it."""

    address: str
    port: int = 80
    mount: str = ""  # "" or "/app"
    name: str = "localhost"  # for Host
    front: str = ""
    back: str = ""
    link: str = ""
    transport: str = ""
    scheme: str = "http"

    @property
    def host(self) -> str:
        return self.name if self.port == PORTS[self.scheme] else f"{self.name}:{self.port}"

    def head(self, method: str, path: str | bytes, headers=(), version: str = "1.1") -> bytes:
        """A request's head; path is below the mount and sent as it is."""
        raw = path if isinstance(path, bytes) else path.encode("latin-1")
        lines = [b"%b %b%b HTTP/%b" % (method.encode(), self.mount.encode(), raw, version.encode())]
        if not any(name.lower() == "host" for name, value in headers):
            lines.append(f"Host: {self.host}".encode())
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
        return b"\r\n".join([*lines, b"", b""])

    def ask(
        self,
        path: str | bytes = "/",
        method: str = "GET",
        headers=(),
        body: bytes | None = None,
        version: str = "1.1",
        timeout: float = TIMEOUT,
    ) -> Response:
        """One request on a connection of its own."""
        headers = list(headers)
        if body is not None:
            headers.append(("Content-Length", len(body)))
        if version == "1.1":
            headers.append(("Connection", "close"))
        with Wire(self, timeout) as wire:
            wire.send(self.head(method, path, headers, version))
            if body:
                wire.send(body)
            return wire.response(head=method == "HEAD")

    @functools.cache  # noqa: B019 (a target lives as long as the run)
    def environ(
        self,
        path: str | bytes = "/",
        headers: tuple = (),
        version: str = "1.1",
        method: str = "GET",
    ) -> dict:
        """What the application sees; {"status": ...} where it was not asked."""
        body = b"" if method in ("POST", "PUT", "PATCH") else None
        answer = self.ask(path, method, headers, body, version)
        if answer.status != 200 or answer.get("Content-Type") != "application/json":
            return {"status": answer.status}
        return json.loads(answer.body)

    def action(self, name: str, **query) -> str:
        return f"/-/{name}" + (
            f"?{urlencode(query, doseq=True, encoding='latin-1')}" if query else ""
        )

    def told(self, action: str, **query):
        """What the application says of itself, to know something by."""
        answer = self.ask(self.action(action, **query))
        if answer.status != 200 or not answer.whole:
            raise ValueError(f"{action} was answered with {answer.status}: {answer.body[:300]!r}")
        return json.loads(answer.body)

    def seen(self, token: str) -> list[str]:
        """The requests with the token that have reached the application."""
        return self.told("seen", token=token)

    @functools.cached_property
    def about(self) -> dict:
        return self.told("about")

    @functools.cached_property
    def debian(self) -> str:
        return self.about["debian"]

    @property
    def max_body_size(self) -> int:
        """The site's, where it is told to the application because the site takes no large body;
        else 0.
        """
        return int(self.about["CONFORMANCE_MAX_BODY_SIZE"] or 0)

    @property
    def request_timeout(self) -> float:
        return float(self.about["PYWEB_REQUEST_TIMEOUT"] or 60)


@dataclass(frozen=True)
class Check:
    name: str
    see: Callable[[Target], object]
    expected: tuple


@dataclass(frozen=True)
class Result:
    check: str
    seen: str
    expected: str
    verdict: str  # ok, deviation (a known one), unexpected
    why: str = ""

    @property
    def good(self) -> bool:
        return self.verdict != "unexpected"


GROUPS: dict[str, Callable[[Target], Iterator[Check]]] = {}


def group(function):
    GROUPS[function.__name__] = function
    return function


def text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def judge(name: str, seen, expected: tuple, target: Target, rows: list[dict]) -> Result:
    """A deviation that is known is expected just as it is: what has become conformant must leave
    the table.
    """
    row = find(rows, name, target)
    wanted = " or ".join(text(value) for value in expected)
    if row is None:
        return Result(name, text(seen), wanted, "ok" if seen in expected else "unexpected")
    if text(seen) in row["seen"][name]:
        return Result(name, text(seen), wanted, "deviation", row["why"])
    return Result(
        name,
        text(seen),
        wanted,
        "unexpected",
        f"docs/deviations.yml says: {' or '.join(row['seen'][name])}",
    )


def run(target: Target, chosen: str, rows: list[dict]) -> list[Result]:
    """One group, several of its checks at once where they do not end what the others ask."""

    def one(check: Check) -> Result:
        try:
            seen = check.see(target)
        except (OSError, ValueError) as error:
            seen = f"{type(error).__name__}: {error}"
        return judge(f"{chosen}: {check.name}", seen, check.expected, target, rows)

    with ThreadPoolExecutor(1 if chosen == "slow" else 4) as pool:
        return list(pool.map(one, GROUPS[chosen](target)))


# What the application is told


def decoded(raw: str | bytes) -> str:
    return unquote_to_bytes(raw.encode("latin-1") if isinstance(raw, str) else raw).decode(
        "latin-1"
    )


@group
def environ(target: Target) -> Iterator[Check]:
    """The environ of PEP 3333."""
    with Wire(target) as wire:
        own = wire.own_address
    wanted = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": target.mount,
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=%20d",
        "SERVER_NAME": target.name,
        "SERVER_PORT": str(target.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": own,
        "HTTP_HOST": target.host,
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": target.scheme,
        "wsgi.run_once": False,
    }
    for key, value in wanted.items():
        yield Check(key, lambda t, key=key: t.environ("/a%20b?c=%20d").get(key), (value,))
    yield Check(
        "HTTPS",
        lambda t: t.environ().get("HTTPS") or "absent",
        ("on" if target.scheme == "https" else "absent",),
    )
    for key in (
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
        "HTTP_TRANSFER_ENCODING",
    ):
        yield Check(
            f"{key} without a body",
            lambda t, key=key: t.environ("/a%20b?c=%20d").get(key) or "absent",
            ("absent",),
        )
    for key in ("wsgi.input", "wsgi.errors"):
        yield Check(
            key,
            lambda t, key=key: "is there" if t.environ("/a%20b?c=%20d").get(key) else "absent",
            ("is there",),
        )
    yield Check(
        "the client's port is not the front's",
        lambda t: "right" if t.environ().get("REMOTE_PORT") != str(target.port) else "wrong",
        ("right",),
    )

    def strings(t):
        bad = [
            key
            for key, value in t.environ("/a%20b?c=%20d").items()
            if key.isupper() and not isinstance(value, str)
        ]
        return ", ".join(bad) or "texts"

    yield Check("CGI variables are texts", strings, ("texts",))

    def same_headers(t):
        sent = {"HTTP_HOST", "HTTP_CONNECTION", "HTTP_X_SENT", "HTTP_ACCEPT_LANGUAGE"}
        got = {
            key
            for key in t.environ("/", (("X-Sent", "1"), ("Accept-Language", "en")))
            if key.startswith("HTTP_")
        }
        # Connection is between the client and the front.
        return (
            ", ".join(
                [f"-{key}" for key in sorted(sent - got - {"HTTP_CONNECTION"})]
                + [f"+{key}" for key in sorted(got - sent)]
            )
            or "as sent"
        )

    yield Check("header fields", same_headers, ("as sent",))
    sent_fields = (
        ("X-Twice", "a"), ("X-Twice", "b"), ("X-Empty", ""), ("X-Bytes", "caf\u00c3\u00a9 \u00e9"), ("X-Inner", "a  b\tc"),
        ("Authorization", "Basic YTpi"), ("Cookie", "a=1; b=2"), ("X-Quote", "\"'\\$;`"),
    )  # fmt: skip
    for key, expected in {
        "HTTP_X_TWICE": ("a, b", "a,b"),
        "HTTP_X_EMPTY": ("",),
        "HTTP_X_BYTES": ("caf\u00c3\u00a9 \u00e9",),
        "HTTP_X_INNER": ("a  b\tc",),
        "HTTP_AUTHORIZATION": ("Basic YTpi",),
        "HTTP_COOKIE": ("a=1; b=2",),
        "HTTP_X_QUOTE": ("\"'\\$;`",),
    }.items():
        yield Check(
            key, lambda t, key=key: t.environ("/", sent_fields).get(key, "absent"), expected
        )
    cookies = (("Cookie", "a=1"), ("Cookie", "b=2"))
    yield Check(
        "Cookie with commas",
        lambda t: t.environ("/", (("Cookie", 'a=1,2; b="c, d"; e=f, g'),)).get("HTTP_COOKIE"),
        ('a=1,2; b="c, d"; e=f, g',),
    )
    yield Check(
        "two Cookie fields", lambda t: t.environ("/", cookies).get("HTTP_COOKIE"), ("a=1; b=2",)
    )
    yield Check(
        "SERVER_PROTOCOL of HTTP/1.0",
        lambda t: t.environ("/", (), "1.0").get("SERVER_PROTOCOL"),
        ("HTTP/1.0",),
    )
    yield Check(
        "Host with a port",
        lambda t: t.environ("/", (("Host", f"{t.name}:8000"),)).get("HTTP_HOST"),
        (f"{target.name}:8000",),
    )
    upper = target.name.upper()
    yield Check(
        "Host in capitals",
        lambda t: t.environ("/", (("Host", upper),)).get("HTTP_HOST", "").lower(),
        (target.name,),
    )

    def typed(t):
        answer = t.ask("/", "POST", [("Content-Type", "text/x; a=b")], b"12345")
        told = json.loads(answer.body)
        return [
            told.get(key, "absent")
            for key in (
                "CONTENT_TYPE",
                "CONTENT_LENGTH",
                "HTTP_CONTENT_TYPE",
                "HTTP_CONTENT_LENGTH",
            )
        ]

    yield Check(
        "CONTENT_TYPE and CONTENT_LENGTH", typed, (["text/x; a=b", "5", "absent", "absent"],)
    )
    for query in (
        "", "a=%20%2F&b", "a=b?c", "a&&b=", "caf%C3%A9", "caf\u00c3\u00a9", "a;b", "x=/../y//z", "a+b", "%", "%zz", "\"'<>", "|^{}[]`\\", "=&=", "a=1&a=2", "%00", "%0D%0A",
    ):  # fmt: skip
        yield Check(
            f"?{decoded_name(query)}",
            lambda t, query=query: t.environ(f"/?{query}").get("QUERY_STRING", "refused"),
            (query,),
        )


def decoded_name(raw: str) -> str:
    """Text for a check's name: UTF-8 as people read it."""
    return raw.encode("latin-1").decode("utf-8", "replace")


def told_path(target: Target, raw: str) -> str:
    """SCRIPT_NAME and PATH_INFO, and REQUEST_URI where it is not what was sent."""
    told = target.environ(raw)
    if "SCRIPT_NAME" not in told:
        return "refused" if Response(status=told["status"]).refused else f"status {told['status']}"
    uri = told.get("REQUEST_URI")
    more = "" if uri in (None, target.mount + raw) else f", REQUEST_URI {uri!r}"
    return f"{told['SCRIPT_NAME'].replace(target.mount, 'mount') if target.mount else told['SCRIPT_NAME']}{told['PATH_INFO']!r}{more}"


@group
def paths(target: Target) -> Iterator[Check]:
    """SCRIPT_NAME, PATH_INFO and REQUEST_URI."""
    script = "mount" if target.mount else ""
    for raw in (
        "/", "/a", "/a/", "/a.b/c", "/a%20b", "/a+b", "/caf%C3%A9", "/caf\u00c3\u00a9", "/%E9", "/%F0%9F%90%8D", "//", "//a", "/a//b", "/a///", "/a%2Fb", "/%2F",
        "/a%252Fb", "/100%25", "/a%3Fb?c", "/a%23b", "/a;b=1", "/a%3Bb", "/a&b=c", "/a:b@c", "/a%5Cb", "/a\\b", "/~a", "/%7Ea", "/!$'()*,", "/%22%3C%3E", "/a|b", "/[a]{b}^`",
        "/%41", "/a%0Ab", "/a%0D%0AX-Evil:%201", "/a%09b", "/a%7Fb", "/index.php", "/.well-known/x", "/.htaccess", "/a.py", "/a%20/", "/a/" + 3000 * "x",
    ):  # fmt: skip
        name = decoded_name(raw) if len(raw) < 100 else "3,000 characters"
        yield Check(
            name,
            lambda t, raw=raw: told_path(t, raw),
            (f"{script}{decoded(raw.partition('?')[0])!r}",),
        )
    # As RFC 3986, 5.2.4, has it; a client of a standard library may send them.
    for raw, path in {
        "/.": "/",
        "/./a": "/a",
        "/a/.": "/a/",
        "/a/../b": "/b",
        "/a/..": "/",
        "/a/%2E%2E/b": "/b",
        "/a/.../b": "/a/.../b",
        "/a/..b": "/a/..b",
    }.items():
        yield Check(raw, lambda t, raw=raw: told_path(t, raw), (f"{script}{path!r}",))
    # No path at all.
    for raw in ("/%00", "/%", "/%zz", "/a%4"):
        yield Check(raw, lambda t, raw=raw: told_path(t, raw), ("refused",))
    if target.mount:
        yield Check("(empty)", lambda t: told_path(t, ""), ("mount''",))
        yield Check("(empty)?a", lambda t: told_path(t, "?a"), ("mount''",))

        def outside(t, raw):
            """Whether the request reached the application as one below its mount."""
            told = Target(**{**vars_of(t), "mount": ""}).environ(raw)
            return "inside" if told.get("SCRIPT_NAME") == t.mount else "outside"

        mount = target.mount
        encoded = f"/%{ord(mount[1]):02X}{mount[2:]}"
        for name, raw, side in (
            ("mount + x", f"{mount}x", "outside"), ("mount + .", f"{mount}.", "outside"), ("mount + %2Fx", f"{mount}%2Fx", "inside"), ("/x + mount", f"/x{mount}", "outside"),
            ("mount in "
             "capitals", mount.upper() + "/", "outside"), ("mount + /../x", f"{mount}/../x", "outside"), ("/x/.. + mount", f"/x/..{mount}/a", "inside"),
            ("/ + mount", f"/{mount}/a", "outside"), ("mount encoded", f"{encoded}/a", "inside"), ("mount + ;x", f"{mount};x", "outside"),
        ):  # fmt: skip
            yield Check(name, lambda t, raw=raw: outside(t, raw), (side,))
    else:
        for raw in ("/..", "/../a", "/%2E%2E/a"):
            path = raw.replace("%2E", ".").replace("/..", "", 1) or "/"
            yield Check(raw, lambda t, raw=raw: told_path(t, raw), ("refused", f"{path!r}"))


def vars_of(target: Target) -> dict:
    return {name: getattr(target, name) for name in target.__dataclass_fields__}


LIES = dict.fromkeys(
    (
        "X-Forwarded-For",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Forwarded",
        "Forwarded",
        "X-Cluster-Client-IP",
        "X-Remote-Addr",
        "CF-Connecting-IP",
        "Remote-Addr",
    ),
    LIE,
) | {
    "X-Forwarded-Host": LIAR,
    "X-Forwarded-Server": LIAR,
    "X-Forwarded-Port": "4433",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Protocol": "https",
    "X-Forwarded-Scheme": "https",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Prefix": "/evil",
    "X-Script-Name": "/evil",
    "X-Scheme": "https",
    "X-Url-Scheme": "https",
    "Proxy": "http://" + LIAR,
}
# Not among those that a front of any kind sets, so an application that believes them is told so on
# purpose.
HARMLESS = {"X-Cluster-Client-IP", "X-Remote-Addr", "CF-Connecting-IP", "Remote-Addr"}


@group
def lies(target: Target) -> Iterator[Check]:
    """Header fields of a client that say what only a front may say."""
    with Wire(target) as wire:
        own = wire.own_address

    def believed(t, name, value):
        told = t.environ("/", ((name, value),))
        if "status" in told:
            return (
                "refused" if Response(status=told["status"]).refused else f"status {told['status']}"
            )
        truth = {
            "REMOTE_ADDR": own,
            "wsgi.url_scheme": t.scheme,
            "HTTP_HOST": t.host,
            "SERVER_NAME": t.name,
            "SERVER_PORT": str(t.port),
            "SCRIPT_NAME": t.mount,
            "PATH_INFO": "/",
        }
        wrong = [f"{key}={told.get(key)}" for key, true in truth.items() if told.get(key) != true]
        # Also a value of the front's own making is not the client's business: the application must
        # not see the field.
        shown = [key for key in told if key == "HTTP_" + name.upper().replace("-", "_")]
        return ", ".join(wrong + shown) or "not believed"

    for name, value in LIES.items():
        if name in HARMLESS:
            continue
        for spelling in dict.fromkeys(
            [name, name.replace("-", "_"), name.replace("-", "_", 1), name.lower()]
        ):
            yield Check(
                f"{spelling}: {value}",
                lambda t, spelling=spelling, value=value: believed(t, spelling, value),
                ("not believed", "refused"),
            )
    for spelling, value in (
        ("Content_Length", "3"),
        ("Content_Type", "x/y"),
        ("Transfer_Encoding", "chunked"),
        ("Script-Name", "/evil"),
        ("Https", "off" if target.scheme == "https" else "on"),
        ("Remote-User", "root"),
    ):

        def variables(t, spelling=spelling, value=value):
            told = t.environ("/", ((spelling, value),))
            key = spelling.upper().replace("-", "_")
            return "believed" if told.get(key) == value else "not believed"

        yield Check(f"{spelling}: {value}", variables, ("not believed",))

    def both(t):
        told = t.environ(
            "/", (("X-Forwarded-For", LIE), ("X_Forwarded_For", LIE), ("X-Forwarded-For", LIE))
        )
        return "believed" if LIE in str(told.values()) else "not believed"

    yield Check("X-Forwarded-For thrice", both, ("not believed",))

    def absolute(t, uri_host, host):
        with Wire(t) as wire:
            wire.send(
                f"GET {t.scheme}://{uri_host}{t.mount}/ HTTP/1.1\r\nHost: {host}\r\nConnection: "
                "close\r\n\r\n".encode()
            )
            answer = wire.response()
        if answer.status != 200:
            return "refused" if answer.refused else f"status {answer.status}"
        told = json.loads(answer.body)
        return LIAR if LIAR in json.dumps(told.get("HTTP_HOST", "")) else "the target's"

    # RFC 9112, 3.2.2: the target's authority holds, and Host is ignored.
    yield Check(
        "host of an absolute target, not of Host",
        lambda t: absolute(t, t.host, LIAR),
        ("the target's", "refused"),
    )
    yield Check(
        "host of an absolute target, unknown", lambda t: absolute(t, LIAR, t.host), ("refused",)
    )


# Methods and answers


@group
def methods(target: Target) -> Iterator[Check]:
    """Methods, each with and without a body."""
    for method in (
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "PROPFIND",
        "MKCOL",
        "REPORT",
        "PURGE",
        "LINK",
    ):
        yield Check(
            method,
            lambda t, method=method: t.environ("/", method=method).get("REQUEST_METHOD", "refused"),
            (method,),
        )

        def with_body(t, method=method):
            answer = t.ask(t.action("upload"), method, body=b"hello")
            return json.loads(answer.body)["length"] if answer.status == 200 else answer.status

        yield Check(f"{method} with a body", with_body, (5,))
    yield Check(
        "unknown method",
        lambda t: t.environ("/", method="FROBNICATE").get("REQUEST_METHOD", "refused"),
        ("FROBNICATE", "refused"),
    )
    yield Check(
        "get in small letters",
        lambda t: t.environ("/", method="get").get("REQUEST_METHOD", "refused"),
        ("get", "refused"),
    )
    yield Check(
        "POST without a length", lambda t: outcome(t.ask("/", "POST")), ("200 whole", "411 whole")
    )

    def head(t):
        answer = t.ask(t.action("download", size=1000), "HEAD")
        return [answer.status, answer.get("Content-Length")]

    yield Check("HEAD", head, ([200, "1000"],))
    yield Check(
        "HEAD without a length",
        lambda t: t.ask(t.action("download", size=1000, length=0), "HEAD").status,
        (200,),
    )
    yield Check("HEAD reaches the application as HEAD", head_seen, (True,))


def head_seen(target: Target) -> bool:
    token = secrets.token_hex(8)
    target.ask(f"/?{token}", "HEAD")
    return any(line.startswith("HEAD ") for line in target.seen(token))


@group
def answers(target: Target) -> Iterator[Check]:
    """Status lines, header fields and bodies of the application's answers."""
    for line in ("200 OK", "201 Created", "202 Accepted", "203 Whatever", "206 Partial Content", "299 Strange", "400 Bad Request", "401 Unauthorized", "403 Forbidden",
                 "404 Not Found", "405 Method "
                                  "Not Allowed", "409 Conflict", "410 Gone", "418 I'm a teapot", "422 Unprocessable", "429 Too Many", "451 Legal", "499 Odd", "500 Own",
                 "501 Own", "502 Own", "503 Own", "504 Own", "507 Own", "599 Odd"):  # fmt: skip
        status, reason = line.split(" ", 1)

        def told(t, line=line):
            answer = t.ask(t.action("answer", line=line, body="own words", header="X-Own: 1"))
            return [answer.status, answer.body.decode("latin-1"), answer.get("X-Own")]

        yield Check(
            f"status {status} keeps body and fields", told, ([int(status), "own words", "1"],)
        )
    yield Check(
        "reason phrase",
        lambda t: t.ask(t.action("answer", line="200 Fine indeed", body="x")).reason,
        ("Fine indeed",),
    )
    for status, reason in ((204, "No Content"), (304, "Not Modified")):

        def bodiless(t, status=status, reason=reason):
            with Wire(t) as wire:
                wire.send(
                    t.head(
                        "GET",
                        t.action("answer", line=f"{status} {reason}", header='ETag: "x"', length=0),
                    )
                )
                first = wire.response()
                wire.send(t.head("GET", "/next", [("Connection", "close")]))
                second = wire.response()
            return [first.status, first.get("ETag"), first.get("Transfer-Encoding"), second.status]

        yield Check(f"{status} and the next request", bodiless, ([status, '"x"', None, 200],))
    for status in (301, 302, 303, 307, 308):
        for location in ("/relative?a=%20b", "http://elsewhere.example/x%2Fy", "sibling"):

            def redirect(t, status=status, location=location):
                answer = t.ask(
                    t.action("answer", line=f"{status} Redirect", header=f"Location: {location}")
                )
                return [answer.status, answer.get("Location")]

            yield Check(f"{status} to {location}", redirect, ([status, location],))
    # With the address that the back is asked by, a careless proxy rewrites it.
    own = f"{target.scheme}://{target.host}{target.mount}/x"
    yield Check(
        "redirect to itself",
        lambda t: t.ask(t.action("answer", line="302 Found", header=f"Location: {own}")).get(
            "Location"
        ),
        (own,),
    )
    cookies = ["a=1; Path=/; HttpOnly", "b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT"]
    header = [f"Set-Cookie: {cookie}" for cookie in cookies]
    yield Check(
        "two Set-Cookie",
        lambda t: t.ask(t.action("answer", header=header)).all("Set-Cookie"),
        (cookies,),
    )
    yield Check(
        "repeated header fields",
        lambda t: ", ".join(t.ask(t.action("answer", header=["X-A: 1", "X-A: 2"])).all("X-A")),
        ("1, 2",),
    )
    yield Check("WWW-Authenticate twice", lambda t: t.ask(t.action("answer", line="401 No", header=['WWW-Authenticate: Basic realm="a"', 'WWW-Authenticate: Digest realm="b"'])).all("WWW-Authenticate"),
                (['Basic realm="a"', 'Digest realm="b"'],))  # fmt: skip
    for name, value in {"X-Bytes": "caf\u00c3\u00a9 \u00e9", "X-Empty": "", "Content-Disposition": 'attachment; filename="a;b.txt"', "Link": "</a>; rel=x, </b>; rel=y", "X_Under": "1",
                        "Cache-Control": "no-store", "ETag": 'W/"1"', "Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT", "Vary": "Cookie", "X-Accel-Redirect-Not": "/x", "Server-Timing": "a;dur=1"}.items():  # fmt: skip
        yield Check(
            f"response field {name}",
            lambda t, name=name, value=value: t.ask(
                t.action("answer", header=f"{name}: {value}", body="x")
            ).get(name),
            (value,),
        )
    for name in ("X-Sendfile", "X-LIGHTTPD-send-file", "X-Accel-Redirect", "X-Sendfile2"):

        def file_of_the_server(t, name=name):
            answer = t.ask(t.action("answer", header=f"{name}: /etc/passwd", body="own words"))
            return (
                "a file"
                if b"root:" in answer.body
                else "another page"
                if "PATH_INFO" in json_of(answer)
                else answer.body.decode("latin-1")
                if answer.status == 200
                else answer.status
            )

        yield Check(f"response field {name} opens no file", file_of_the_server, ("own words",))
    yield Check(
        "Content-Length: 0",
        lambda t: [
            (a := t.ask(t.action("answer"))).status,
            a.body.decode(),
            a.get("Content-Length"),
        ],
        ([200, "", "0"],),
    )
    yield Check(
        "empty iterable without a length",
        lambda t: [(a := t.ask(t.action("answer", length=0))).status, a.whole],
        ([200, True],),
    )
    for by in ("generator", "write", "file"):

        def same(t, by=by):
            answer = t.ask(t.action("download", size=300000, by=by))
            return (
                "same"
                if answer.whole and answer.body == b"".join(pattern(300000))
                else f"{answer.status}, {len(answer.body)} bytes"
            )

        yield Check(f"body by {by}", same, ("same",))

    def closed(t):
        token = secrets.token_hex(8)
        answer = t.ask(t.action("closing", size=200000, token=token))
        right = answer.whole and answer.body == b"".join(pattern(200000))
        return [
            "same" if right else "different",
            wait_until(lambda: t.seen(f"closed {token}") == [f"closed {token}"]),
        ]

    yield Check("generator with empty pieces, and its close()", closed, (["same", True],))
    yield Check(
        "start_response again with exc_info",
        lambda t: [(a := t.ask(t.action("replaced"))).status, a.get("X-First"), a.body.decode()],
        ([503, None, "handled"],),
    )
    # The application's own compression is its own.
    coded = ["Content-Encoding: gzip", "Content-Type: text/html"]
    yield Check(
        "Content-Encoding of its own",
        lambda t: (
            t.ask(
                t.action("answer", header=coded, body=2000 * "z"),
                headers=[("Accept-Encoding", "gzip")],
            ).body
            == 2000 * b"z"
        ),
        (True,),
    )


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


# Bodies


def checksum(pieces) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def chunks(data: bytes, size: int, extension: bytes = b"") -> bytes:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return (
        b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
        + b"0\r\n\r\n"
    )


def uploaded(answer: Response, body: bytes) -> str:
    """Whether the body reached the application."""
    if answer.status != 200:
        return f"status {answer.status}"
    if not answer.whole:
        return "200 cut off"
    try:
        told = json.loads(answer.body)
    except ValueError:
        return "200 whole, of a part"
    if told["sha256"] == checksum([body]):
        return "same"
    return f"200 with {told['length']} of {len(body)} bytes"


@group
def bodies(target: Target) -> Iterator[Check]:
    """Request and response bodies, whole."""
    for size in (0, 1, 8191, 8192, 65535, 65536, 65537, 1_000_000):
        body = b"".join(pattern(size))
        yield Check(
            f"up {size}",
            lambda t, body=body: uploaded(t.ask(t.action("upload"), "POST", body=body), body),
            ("same",),
        )
        for length in (1, 0):

            def down(t, size=size, length=length):
                answer = t.ask(t.action("download", size=size, length=length))
                return (
                    "same"
                    if answer.whole and answer.body == b"".join(pattern(size))
                    else f"{answer.status}, {len(answer.body)} bytes"
                )

            yield Check(f"down {size}{'' if length else ' without a length'}", down, ("same",))
    for read in ("lines", "readline", "all"):
        body = b"line\n" * 5000 + b"end"
        yield Check(
            f"up, read by {read}",
            lambda t, read=read, body=body: uploaded(
                t.ask(t.action("upload", read=read), "POST", body=body), body
            ),
            ("same",),
        )

    def chunked(t, body, size, extension=b"", headers=()):
        with Wire(t) as wire:
            wire.send(
                t.head(
                    "POST",
                    t.action("upload"),
                    [("Transfer-Encoding", "chunked"), ("Connection", "close"), *headers],
                )
            )
            wire.send(chunks(body, size, extension))
            return uploaded(wire.response(), body)

    small, large = b"hello, world", b"".join(pattern(3_000_000))
    for name, arguments in {
        "chunked, empty": (b"", 1),
        "chunked, small": (small, 5),
        "chunked, bytes": (small, 1),
        "chunked, large": (large, 30_000),
        "chunked, one large chunk": (large, len(large)),
        "chunked, with extensions": (small, 5, b";a=b"),
    }.items():
        yield Check(name, lambda t, arguments=arguments: chunked(t, *arguments), ("same",))

    def trailers(t):
        with Wire(t) as wire:
            wire.send(
                t.head(
                    "POST",
                    "/",
                    [
                        ("Transfer-Encoding", "chunked"),
                        ("Trailer", "X-Late"),
                        ("Connection", "close"),
                    ],
                )
            )
            wire.send(b"5\r\nhello\r\n0\r\nX-Late: 1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
            answer = wire.response()
        if answer.status != 200:
            return f"status {answer.status}"
        told = json.loads(answer.body)
        return "believed" if LIE in json.dumps(told) else "not believed"

    yield Check("chunked, trailer fields", trailers, ("not believed",))

    def hidden(t):
        with Wire(t) as wire:
            wire.send(
                t.head("POST", "/", [("Transfer-Encoding", "chunked"), ("Connection", "close")])
            )
            wire.send(chunks(small, 5))
            answer = wire.response()
        if answer.status != 200:
            return f"status {answer.status}"
        told = json.loads(answer.body)
        return [
            told.get("HTTP_TRANSFER_ENCODING") or "absent",
            told.get("CONTENT_LENGTH")
            or ("to the end" if told.get("wsgi.input_terminated") else "absent"),
        ]

    yield Check(
        "chunked, as the application sees it",
        hidden,
        (["absent", str(len(small))], ["absent", "to the end"]),
    )

    def expecting(t, coding):
        with Wire(t) as wire:
            framing = ("Transfer-Encoding", "chunked") if coding else ("Content-Length", len(small))
            wire.send(
                t.head(
                    "POST",
                    t.action("upload"),
                    [framing, ("Expect", "100-continue"), ("Connection", "close")],
                )
            )
            asked_for = wire.something_comes(within=2)
            wire.send(chunks(small, 5) if coding else small)
            answer = wire.response()
        return [asked_for and answer.interim, uploaded(answer, small)]

    yield Check("Expect: 100-continue", lambda t: expecting(t, False), ([[100], "same"],))
    yield Check("Expect: 100-continue, chunked", lambda t: expecting(t, True), ([[100], "same"],))
    yield Check(
        "Expect: nonsense",
        lambda t: t.ask("/", headers=[("Expect", "nonsense")]).status,
        (417, 200),
    )

    def early(t, size):
        with Wire(t) as wire:
            body = b"".join(pattern(size))
            wire.send(
                t.head(
                    "POST", t.action("ignore"), [("Content-Length", size), ("Connection", "close")]
                )
            )
            wire.send(body)
            answer = wire.response()
        return [answer.status, answer.body.decode("latin-1")]

    for size in (1000, 100_000, 3_000_000):
        yield Check(
            f"early answer to {size}", lambda t, size=size: early(t, size), ([413, "not wanted"],)
        )
    yield Check(
        "early answer to 3000000, without a length",
        lambda t: outcome(
            t.ask(t.action("stream", count=2, pause=0), "POST", body=bytes(3_000_000))
        ),
        ("200 whole",),
    )
    yield Check(
        "up 3000000, read within the answer",
        lambda t: uploaded(t.ask(t.action("upload", answer="first"), "POST", body=large), large),
        ("same",),
    )

    def side_by_side(t):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return sorted(
                set(
                    pool.map(
                        lambda number: uploaded(
                            t.ask(t.action("upload"), "POST", body=large), large
                        ),
                        range(32),
                    )
                )
            )

    yield Check("32 uploads, 8 at a time", side_by_side, (["same"],))
    if not target.max_body_size:
        yield Check("up 50 MiB", large_up, ("same",))
        yield Check("down 50 MiB", large_down, ("same",))
    else:

        def too_large(t, coding):
            body = bytes(t.max_body_size + 2048)
            framing = ("Transfer-Encoding", "chunked") if coding else ("Content-Length", len(body))
            token = secrets.token_hex(8)
            with Wire(t) as wire:
                wire.send(
                    t.head(
                        "POST", t.action("upload", token=token), [framing, ("Connection", "close")]
                    )
                )
                wire.send(chunks(body, 65536) if coding else body)
                answer = wire.response()
            return "let through" if t.seen(f"upload {len(body)} {token}") else answer.status

        yield Check("too large", lambda t: too_large(t, False), (413,))
        yield Check("too large, chunked", lambda t: too_large(t, True), (413,))

    def cut_upload(t):
        token = secrets.token_hex(8)
        with Wire(t) as wire:
            wire.send(
                t.head("POST", t.action("upload", token=token), [("Content-Length", 100_000)])
            )
            wire.send(b"x" * 50_000)
        time.sleep(0.5)
        return (
            "taken for whole"
            if any(line.startswith("upload") for line in t.seen(token))
            else "not taken for whole"
        )

    yield Check("upload that the client breaks off", cut_upload, ("not taken for whole",))


@functools.cache
def large_body() -> tuple[bytes, str]:
    body = b"".join(pattern(LARGE))
    return body, checksum([body])


def large_up(target: Target) -> str:
    body, digest = large_body()
    answer = target.ask(target.action("upload"), "POST", body=body)
    told = json.loads(answer.body) if answer.status == 200 else {}
    return (
        "same"
        if told.get("sha256") == digest
        else f"status {answer.status}, {told.get('length')} bytes"
    )


def large_down(target: Target) -> str:
    answer = target.ask(target.action("download", size=LARGE))
    return (
        "same"
        if answer.whole and checksum([answer.body]) == large_body()[1]
        else f"status {answer.status}, {len(answer.body)} bytes"
    )


@group
def streams(target: Target) -> Iterator[Check]:
    """What takes its time."""

    def pieces(t, by, version="1.1", headers=()):
        answer = t.ask(
            t.action("stream", count=3, pause=0.4, by=by), headers=headers, version=version
        )
        if answer.body != b"piece 0\npiece 1\npiece 2\n" or not answer.whole:
            return f"status {answer.status}, {answer.body!r}"
        return "streamed" if answer.times[-1] - answer.times[0] > 0.6 else "at once, when complete"

    yield Check("pieces of a generator", lambda t: pieces(t, ""), ("streamed",))
    yield Check("pieces by write()", lambda t: pieces(t, "write"), ("streamed",))
    yield Check("pieces to HTTP/1.0", lambda t: pieces(t, "", "1.0"), ("streamed",))
    yield Check(
        "pieces to a client that takes gzip",
        lambda t: (
            t.ask(
                t.action("stream", count=2, pause=0.1), headers=[("Accept-Encoding", "gzip")]
            ).whole
        ),
        (True,),
    )

    def slow_reader(t, length):
        size = 8_000_000
        with Wire(t, receive=65536) as wire:
            wire.send(
                t.head(
                    "GET", t.action("download", size=size, length=length), [("Connection", "close")]
                )
            )
            time.sleep(min(5, max(1, t.request_timeout - 3)))
            answer = wire.response()
        return (
            "same"
            if answer.whole and answer.body == b"".join(pattern(size))
            else f"{answer.status}, {len(answer.body)} bytes"
        )

    yield Check("slow reader", lambda t: slow_reader(t, 1), ("same",))
    yield Check("slow reader without a length", lambda t: slow_reader(t, 0), ("same",))

    def slow_sender(t, coding):
        body = b"".join(pattern(200_000))
        raw = chunks(body, 1000) if coding else body
        framing = ("Transfer-Encoding", "chunked") if coding else ("Content-Length", len(body))
        with Wire(t) as wire:
            wire.send(t.head("POST", t.action("upload"), [framing, ("Connection", "close")]))
            for part in (raw[:7], raw[7:100_000], raw[100_000:]):
                wire.send(part)
                time.sleep(0.4)
            return uploaded(wire.response(), body)

    yield Check("slow sender", lambda t: slow_sender(t, False), ("same",))
    yield Check("slow sender, chunked", lambda t: slow_sender(t, True), ("same",))

    def gone(t):
        token = secrets.token_hex(8)
        with Wire(t) as wire:
            wire.send(t.head("GET", t.action("closing", size=200_000_000, token=token)))
            wire.sock.recv(1000)
        return wait_until(lambda: t.seen(f"closed {token}") != [])

    yield Check("close() when the client has gone", gone, (True,))


# Failures


# What tells a client that something is missing.
CUT_OFF = ("200 cut off", "no answer", "502 whole", "500 whole", "500 cut off")


def outcome(answer: Response) -> str:
    if answer.status == 0:
        return "no answer"
    return f"{answer.status} {'whole' if answer.whole else 'cut off'}"


@group
def failures(target: Target) -> Iterator[Check]:
    """An application that raises: nothing that is not whole may look whole."""
    for kind in ("error", "exit"):
        for at in ("call", "start", "first"):
            yield Check(
                f"{kind} at {at}",
                lambda t, kind=kind, at=at: outcome(t.ask(t.action("fail", at=at, kind=kind))),
                ("500 whole",),
            )
        for at, length in itertools.product(("middle", "write"), (1, 0)):
            name = f"{kind} at {at}{'' if length else ' without a length'}"
            yield Check(
                name,
                lambda t, kind=kind, at=at, length=length: outcome(
                    t.ask(t.action("fail", at=at, kind=kind, length=length))
                ),
                CUT_OFF,
            )
    yield Check(
        "HEAD of an error", lambda t: t.ask(t.action("fail", at="call"), "HEAD").status, (500,)
    )
    # The end of the connection is the only end that HTTP/1.0 knows.
    yield Check(
        "error at middle to HTTP/1.0 with a length",
        lambda t: outcome(t.ask(t.action("fail", at="middle", length=1), version="1.0")),
        CUT_OFF,
    )

    def wrong_length(t, told, sent, kind):
        return t.action(
            "answer",
            **{"header": f"Content-Length: {told}", "length": 0, "body": "x" * sent, "as": kind},
        )

    def broken_length(t, told, sent):
        with Wire(t, timeout=3) as wire:
            wire.send(t.head("GET", wrong_length(t, told, sent, "pieces")))
            first = wire.response()
            wire.send(t.head("GET", "/next"))
            second = wire.response()
        follows = (
            "the next is right"
            if second.status == 200 and b"/next" in second.body
            else "closed"
            if second.status == 0
            else "the next is wrong"
        )
        return (
            f"{outcome(first)}, {len(first.body)} bytes, {follows}"
            if first.whole
            else outcome(first)
        )

    yield Check("less than Content-Length", lambda t: broken_length(t, 100, 10), CUT_OFF)
    yield Check(
        "more than Content-Length",
        lambda t: broken_length(t, 10, 100),
        ("200 whole, 10 bytes, the next is right", "200 whole, 10 bytes, closed"),
    )

    for name, told in (("less", 100), ("more", 1)):
        yield Check(
            f"a list of {name} than Content-Length",
            lambda t, told=told: outcome(t.ask(wrong_length(t, told, 10, "list"))),
            ("500 whole",),
        )

    def request_after(t):
        return all(t.ask(f"/{number}").status == 200 for number in range(8))

    yield Check("requests after it", request_after, (True,))


@group
def slow(target: Target) -> Iterator[Check]:
    """A back that dies, or does not answer within request_timeout, which may end its process:
    nothing else is asked meanwhile.
    """
    request_timeout = target.request_timeout  # known before nothing answers

    def killed(t):
        answer = t.ask(t.action("die"))
        return [outcome(answer), wait_until(lambda: t.ask("/").status == 200, 15)]

    # Whoever else is asking it gets an error, too.
    yield Check("process killed, and started again", killed, (["502 whole", True],))
    for name, length in (("killed in the middle", 1), ("killed in the middle without a length", 0)):
        action = target.action("fail", at="middle", kind="kill", length=length)
        yield Check(
            name,
            lambda t, action=action: outcome(t.ask(action, timeout=request_timeout + 15)),
            CUT_OFF,
        )
        yield Check(
            f"{name}: started again",
            lambda t: wait_until(lambda: t.ask("/").status == 200, 15),
            (True,),
        )
    if request_timeout > 10:
        return

    def long(t):
        count = int(request_timeout) + 4
        answer = t.ask(t.action("stream", count=count, pause=1), timeout=2 * request_timeout + 15)
        return f"{outcome(answer)}{', all of it' if answer.body.count(b'piece') == count else ''}"

    yield Check("a stream that lasts longer", long, ("200 whole, all of it",))
    meanwhile = {}

    def timed(t):
        process = t.told("about")["pid"]
        begun = time.monotonic()
        seconds = t.request_timeout + 20
        with ThreadPoolExecutor() as pool:
            others = pool.submit(long, t)
            answer = t.ask(t.action("sleep", seconds=seconds), timeout=t.request_timeout + 15)
            found = (
                f"{answer.status} "
                f"{'in time' if time.monotonic() - begun < t.request_timeout + 8 else 'too late'}"
            )
            meanwhile["stream"] = others.result()
        # The process ends when others' requests have ended: nobody else shall meet that.
        meanwhile["replaced"] = wait_until(
            lambda: json_of(t.ask(t.action("about"))).get("pid", process) != process, seconds
        )
        return found

    yield Check("no answer in time", timed, ("504 in time",))
    yield Check(
        "a stream while another request hangs",
        lambda t: meanwhile.get("stream"),
        ("200 whole, all of it",),
    )
    yield Check("a process that hangs is replaced", lambda t: meanwhile.get("replaced"), (True,))


# Connections


@group
def connections(target: Target) -> Iterator[Check]:
    """Several requests on one connection, and HTTP/1.0."""

    def several(t):
        found = []
        with Wire(t) as wire:
            for method, path, body in (
                ("GET", "/one", None), ("HEAD", "/two", None), ("POST", t.action("upload"), b"hello"), ("GET", t.action("download", size=100_000, length=0), None),
                ("GET", t.action("answer", line="404 Not Found", body="x"), None), ("POST", "/unread", b"body that the application leaves"), ("GET", "/last", None),
            ):  # fmt: skip
                wire.send(
                    t.head(method, path, [("Content-Length", len(body))] if body else [])
                    + (body or b"")
                )
                found.append(wire.response(head=method == "HEAD"))
        if not json_of(found[-1]).get("PATH_INFO") == "/last":
            return "out of step"
        return [each.status for each in found]

    yield Check("kept alive", several, ([200, 200, 200, 200, 404, 200, 200],))

    def pipelined(t):
        with Wire(t) as wire:
            wire.send(b"".join(t.head("GET", f"/{number}") for number in range(5)))
            return [json_of(wire.response()).get("PATH_INFO") for _ in range(5)]

    yield Check("pipelined", pipelined, ([f"/{number}" for number in range(5)],))

    def closes(t, version, headers, path="/"):
        with Wire(t) as wire:
            wire.send(t.head("GET", path, headers, version))
            answer = wire.response()
            return [answer.status, answer.framing, wire.is_closed()]

    yield Check(
        "Connection: close",
        lambda t: closes(t, "1.1", [("Connection", "close")]),
        ([200, "length", True],),
    )
    yield Check("HTTP/1.0", lambda t: closes(t, "1.0", []), ([200, "length", True],))
    yield Check(
        "HTTP/1.0 without a length",
        lambda t: closes(t, "1.0", [], t.action("download", size=10, length=0)),
        ([200, "close", True], [200, "length", True]),
    )
    yield Check(
        "HTTP/1.0 keep-alive without a length",
        lambda t: closes(
            t, "1.0", [("Connection", "keep-alive")], t.action("download", size=10, length=0)
        ),
        ([200, "close", True], [200, "length", True], [200, "length", False]),
    )
    yield Check(
        "HTTP/1.0 upload",
        lambda t: uploaded(
            t.ask(t.action("upload"), "POST", body=b"hello", version="1.0"), b"hello"
        ),
        ("same",),
    )
    yield Check(
        "HTTP/1.1 without a length",
        lambda t: closes(t, "1.1", [], t.action("download", size=10, length=0)),
        ([200, "chunked", False], [200, "length", False]),
    )

    def byte_by_byte(t):
        with Wire(t) as wire:
            for byte in t.head("GET", "/slowly", [("Connection", "close")]):
                wire.send(bytes([byte]))
            return json_of(wire.response()).get("PATH_INFO")

    yield Check("byte by byte", byte_by_byte, ("/slowly",))


def json_of(answer: Response) -> dict:
    try:
        told = json.loads(answer.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


@group
def sizes(target: Target) -> Iterator[Check]:
    """Large heads: whole, or refused."""
    for size in (4_000, 16_000, 30_000, 60_000, 200_000):

        def sent(t, size=size):
            told = t.environ("/", (("X-Big", "b" * size),))
            return (
                "refused"
                if Response(status=told.get("status", 200)).refused
                else "same"
                if told.get("HTTP_X_BIG") == "b" * size
                else f"status {told.get('status', 200)}"
            )

        def got(t, size=size):
            answer = t.ask(t.action("big", size=size))
            return (
                "same"
                if answer.get("X-Big") == "b" * size and answer.body == b"ok"
                else f"status {answer.status}"
            )

        def query(t, size=size):
            told = t.environ("/?" + "q" * size)
            return (
                "refused"
                if Response(status=told.get("status", 200)).refused
                else "same"
                if told.get("QUERY_STRING") == "q" * size
                else f"status {told.get('status', 200)}"
            )

        expected = ("same",) if size <= 16_000 else ("same", "refused")
        yield Check(f"request field of {size}", sent, expected)
        yield Check(f"query of {size}", query, ("same",) if size < 8_000 else ("same", "refused"))
        if size <= 60_000:
            yield Check(
                f"response field of {size}",
                got,
                ("same",) if size <= 16_000 else ("same", "status 500", "status 502"),
            )

    def many(t):
        told = t.environ("/", tuple((f"X-N{number}", "v" * 100) for number in range(90)))
        return (
            "same"
            if sum(key.startswith("HTTP_X_N") for key in told) == 90
            else f"status {told.get('status', 200)}"
        )

    yield Check("90 request fields", many, ("same",))

    def cookies(t):
        return len(
            t.ask(
                t.action("answer", header=[f"Set-Cookie: c{number}=v" for number in range(60)])
            ).all("Set-Cookie")
        )

    yield Check("60 response fields", cookies, (60,))


# Requests that servers may read differently


def arrived(target: Target, raw: bytes, token: str, wait: float = 1.0) -> str:
    """Send it, and tell how many requests the application has got of it and how long the first
    one's body was.
    """
    with Wire(target, timeout=wait) as wire:
        wire.send(raw)
        # A slow machine's answer is still coming, where the application has the whole request.
        if not wire.comes(wait) and any(line.startswith("upload ") for line in target.seen(token)):
            wire.comes(TIMEOUT)
        first = wire.response()
        while first.status and wire.response().status:
            pass
    lines = target.seen(token)
    requests = [line for line in lines if not line.startswith("upload ")]
    if not requests:
        return "refused" if first.refused else f"status {first.status}"
    body = next((line.split()[1] for line in lines if line.startswith("upload ")), "?")
    return f"{len(requests)} request{'s' * (len(requests) > 1)}, body of {body}" + (
        ", refused" if first.refused else ""
    )


@group
def smuggling(target: Target) -> Iterator[Check]:
    """Ambiguous requests: refused, or one request to the application with the body that a strict
    reader sees.
    """

    def attack(t, lines, body=b"hello", end=b"\r\n", version="1.1", first=None):
        token = secrets.token_hex(8)
        raw = [
            first or f"POST {t.mount}/-/upload?token={token} HTTP/{version}".encode(),
            f"Host: {t.host}".encode(),
            *lines,
        ]
        evil = f"GET {t.mount}/evil?{token} HTTP/1.1\r\nHost: {t.host}\r\n\r\n".encode()
        if callable(body):
            body = body(evil)
            raw = [line.replace(b"LENGTH", str(len(body)).encode()) for line in raw]
        return arrived(t, end.join([*raw, b"", b""]) + body, token)

    one = "1 request, body of 5"
    length = b"Content-Length: "
    for name, lines, *expected in (
        ("Content-Length 5 and 6", [length + b"5", length + b"6"], "refused"),
        ("Content-Length 6 and 5", [length + b"6", length + b"5"], "refused"),
        ("Content-Length 5 twice", [length + b"5", length + b"5"], "refused", one),
        ("Content-Length 5, 5", [length + b"5, 5"], "refused", one),
        ("Content-Length +5", [length + b"+5"], "refused"),
        ("Content-Length -5", [length + b"-5"], "refused"),
        ("Content-Length 0x5", [length + b"0x5"], "refused"),
        ("Content-Length 5 5", [length + b"5 5"], "refused"),
        ("Content-Length 5abc", [length + b"5abc"], "refused"),
        ("Content-Length 5.0", [length + b"5.0"], "refused"),
        ("Content-Length empty", [length], "refused", "1 request, body of 0"),
        ("Content-Length of 20 digits", [length + b"99999999999999999999"], "refused"),
        ("Content-Length 05", [length + b"05"], "refused", one),
        ("space before the colon", [b"Content-Length : 5"], "refused"),
        ("tab before the colon", [b"Content-Length\t: 5"], "refused"),
        ("folded field", [length + b"5", b"X-A: b", b" c"], "refused", one),
        ("folded Content-Length", [b"Content-Length:", b" 5"], "refused", one),
        ("space before the first field", [b" " + length + b"5"], "refused"),
        ("field without a colon", [length + b"5", b"nonsense"], "refused", one),
        ("field without a name", [length + b"5", b": x"], "refused", one),
        ("NUL in a field", [length + b"5", b"X-A: a\0b"], "refused"),
        ("CR in a field", [length + b"5", b"X-A: a\rX-B: b"], "refused"),
        ("LF in a field", [length + b"5", b"X-A: a\nX-B: b"], "refused", one),
        ("Content-Length_", [b"Content_Length: 5"], "refused", "1 request, body of 0"),
    ):
        yield Check(name, lambda t, lines=lines: attack(t, lines), tuple(expected))
    yield Check(
        "lines end in LF alone", lambda t: attack(t, [length + b"5"], end=b"\n"), ("refused", one)
    )
    yield Check(
        "HTTP/1.0 without Host",
        lambda t: arrived(
            t, f"GET {t.mount}/?{(k := secrets.token_hex(8))} HTTP/1.0\r\n\r\n".encode(), k
        )[:9],
        ("refused", "1 request"),
    )
    yield Check(
        "HTTP/1.1 without Host",
        lambda t: arrived(
            t, f"GET {t.mount}/?{(k := secrets.token_hex(8))} HTTP/1.1\r\n\r\n".encode(), k
        )[:9],
        ("refused",),
    )
    for name, host in {"two Host": "{0}\r\nHost: {0}", "two different Host": "{0}\r\nHost: "
                                                                             "evil.example", "Host with a space": "{0} x", "Host with a slash": "{0}/x", "Host with a user": "x@{0}",
                       "Host with a quote": '{0}"', "Host with a bracket": "{0}<"}.items():  # fmt: skip

        def hosted(t, host=host):
            token = secrets.token_hex(8)
            return arrived(
                t,
                f"GET {t.mount}/?{token} HTTP/1.1\r\nHost: {host.format(t.name)}\r\nConnection: "
                "close\r\n\r\n".encode(),
                token,
            )[:9]

        yield Check(name, hosted, ("refused",))

    def letters(t):
        told = t.environ("/", (("Host", f"{t.name}:8a"),))
        return "believed" if "8a" in told.get("HTTP_HOST", "") else "not believed"

    yield Check("Host with a letter as port", letters, ("not believed",))

    # Content-Length spans a second request; who reads by chunks ends before it.
    def shut(evil):
        return b"0\r\n\r\n" + evil

    for name, wrong, *expected in (
        ("Content-Length and chunked", [b"Transfer-Encoding: chunked"], "refused", "1 request, "
                                                                                   "body of 0"),
        ("Content-Length and Chunked", [b"Transfer-Encoding: Chunked"], "refused", "1 request, "
                                                                                   "body of 0"),
        ("Content-Length and xchunked", [b"Transfer-Encoding: xchunked"], "refused"),
        ("Content-Length and identity", [b"Transfer-Encoding: identity"], "refused", "by length"),
        ("Content-Length and chunked, "
         "identity", [b"Transfer-Encoding: chunked, identity"], "refused"),
        ("Content-Length and "
         "identity, chunked", [b"Transfer-Encoding: identity, chunked"], "refused"),
        ("Content-Length and "
         "chunked, chunked", [b"Transfer-Encoding: chunked, chunked"], "refused"),
        ("Content-Length and gzip, chunked", [b"Transfer-Encoding: gzip, chunked"], "refused"),
        ("Content-Length and chunked twice", [b"Transfer-Encoding: chunked", b"Transfer-Encoding: "
                                                                             b"identity"], "refused"),
        ("Content-Length and chunked "
         "with a tab", [b"Transfer-Encoding:\tchunked"], "refused", "1 request, body of 0"),
        ("Content-Length and chunked with a vertical tab", [b"Transfer-Encoding: "
                                                            b"\x0bchunked"], "refused"),
        ("Content-Length and chunked with a quote", [b'Transfer-Encoding: "chunked"'], "refused"),
        ("Content-Length and chunked, space before "
         "the colon", [b"Transfer-Encoding : chunked"], "refused"),
        ("Content-Length and "
         "folded chunked", [b"Transfer-Encoding:", b" chunked"], "refused", "1 request, body of 0"),
        ("Content-Length and chunked;", [b"Transfer-Encoding: chunked;x=y"], "refused"),
        ("Content-Length and "
         "Transfer_Encoding", [b"Transfer_Encoding: chunked"], "refused", "by length"),
        ("Content-Length and empty "
         "Transfer-Encoding", [b"Transfer-Encoding:"], "refused", "by length"),
    ):  # fmt: skip

        def mixed(t, wrong=wrong):
            found = attack(t, [length + b"LENGTH", *wrong], shut)
            # The evil request has the token's and the site's length in it.
            evil = len(f"0\r\n\r\nGET {t.mount}/evil?{'0' * 16} HTTP/1.1\r\nHost: {t.host}\r\n\r\n")
            return "by length" if found == f"1 request, body of {evil}" else found

        yield Check(name, mixed, tuple(expected))
    chunked = [b"Transfer-Encoding: chunked"]
    for name, body, *expected in (
        ("chunk size 0x5", b"0x5\r\nhello\r\n0\r\n\r\n", "refused"),
        ("chunk size -5", b"-5\r\nhello\r\n0\r\n\r\n", "refused"),
        ("chunk size +5", b"+5\r\nhello\r\n0\r\n\r\n", "refused"),
        ("chunk size empty", b"\r\nhello\r\n0\r\n\r\n", "refused"),
        ("chunk size that overflows", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", "refused"),
        ("chunk size 5 and a space", b"5 \r\nhello\r\n0\r\n\r\n", "refused", one),
        ("chunk without its line break", b"5\r\nhelloXX0\r\n\r\n", "refused"),
        ("chunk longer than its size", b"5\r\nhello world\r\n0\r\n\r\n", "refused"),
        ("chunk lines end in LF alone", b"5\nhello\n0\n\n", "refused", one),
        ("chunk extension with LF", b"5;a\nhello\r\n0\r\n\r\n", "refused", one),
        ("last chunk 00", b"5\r\nhello\r\n00\r\n\r\n", one),
        ("last chunk is missing", b"5\r\nhello\r\n", "refused"),
    ):
        yield Check(name, lambda t, body=body: attack(t, chunked, body), tuple(expected))
    yield Check(
        "chunked in HTTP/1.0",
        lambda t: attack(t, chunked, b"5\r\nhello\r\n0\r\n\r\n", version="1.0"),
        ("refused", one),
    )
    for name, line in {
        "two spaces after the method": "GET  {path} HTTP/1.1",
        "a tab after the method": "GET\t{path} HTTP/1.1",
        "a space at the end": "GET {path} HTTP/1.1 ",
        "HTTP/1.2": "GET {path} HTTP/1.2",
        "HTTP/2.0": "GET {path} HTTP/2.0",
        "HTTP/1.10": "GET {path} HTTP/1.10",
        "http/1.1": "GET {path} http/1.1",
        "no version": "GET {path}",
        "a space in the target": "GET {path}&a b HTTP/1.1",
        "no slash": "GET x{path} HTTP/1.1",
        "an empty line before": "\r\nGET {path} HTTP/1.1",
        "NUL in the target": "GET {path}\0 HTTP/1.1",
        "a fragment": "GET {path}#x HTTP/1.1",
    }.items():

        def requested(t, line=line):
            token = secrets.token_hex(8)
            raw = (
                line.format(path=f"{t.mount}/?{token}")
                + f"\r\nHost: {t.host}\r\nConnection: close\r\n\r\n"
            )
            return arrived(t, raw.encode(), token)[:9]

        expected = (
            ("refused", "1 request")
            if name
            in (
                "HTTP/1.2",
                "HTTP/1.10",
                "an empty line before",
                "two spaces after the method",
                "a space at the end",
                "no version",
                "a fragment",
            )
            else ("refused",)
        )
        yield Check(f"request line: {name}", requested, expected)

    def upgrade(t):
        return t.ask(
            "/", headers=[("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")]
        ).status

    yield Check("upgrade to HTTP/2 without TLS", upgrade, (200,))

    def in_step(t):
        tokens = [secrets.token_hex(8) for _ in range(12)]
        return all(json_of(t.ask(f"/?{token}")).get("QUERY_STRING") == token for token in tokens)

    yield Check("answers belong to their requests", in_step, (True,))


import fields
import fronts
import programs

# By hand


def table(results: list[Result], everything: bool) -> str:
    rows = [["check", "seen", "expected", "verdict", "reason"]]
    rows += [
        [each.check, each.seen, each.expected, each.verdict, each.why]
        for each in results
        if everything or each.verdict != "ok"
    ]
    limits = (60, 44, 44, 10, 200)
    widths = [min(limit, max(len(row[at]) for row in rows)) for at, limit in enumerate(limits)]
    return "\n".join(
        "  ".join(cell[:width].ljust(width) for cell, width in zip(row, widths))
        .rstrip()
        .encode("unicode_escape")
        .decode()
        for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="of the mount; an address, or a name that resolves")
    parser.add_argument("--host", help="name to ask for, if it is not the URL's")
    for name in ("front", "back", "link", "transport"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument(
        "--group",
        action="append",
        choices=GROUPS,
        help="only this one; can be given more than once",
    )
    parser.add_argument("--all", action="store_true", help="show also what is as expected")
    chosen = parser.parse_args()
    url = urlsplit(chosen.url)
    address = socket.getaddrinfo(url.hostname, None)[0][4][0]
    stack = {name: getattr(chosen, name) for name in ("front", "back", "link", "transport")}
    target = Target(
        address=address,
        port=url.port or PORTS[url.scheme],
        scheme=url.scheme,
        mount=url.path.rstrip("/"),
        name=chosen.host or url.hostname,
        **stack,
    )
    rows, results = load(), []
    for name in chosen.group or GROUPS:
        begun = time.monotonic()
        results += run(target, name, rows)
        print(f"{name}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
    print(table(results, chosen.all))
    count = {
        verdict: sum(each.verdict == verdict for each in results)
        for verdict in ("ok", "deviation", "unexpected")
    }
    print(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    return int(not all(each.good for each in results))


if __name__ == "__main__":
    import client
    import steady

    sys.exit(client.main())
