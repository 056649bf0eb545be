# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks endpoints for a page over their own protocol, as a front would, until they are healthy or
the time is over.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from ansible_collections.pyweb.stack.plugins.module_utils._certificates import same_certificate
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import (
    DECODERS,
    DEFAULT_PORTS,
    ENCODERS,
    FastCgiResponseDecoder,
    IncompleteError,
    ProtocolError,
    Request,
    Response,
    ResponseDecoder,
)

MISDIRECTED = (
    421  # how our own servers refuse a name that no site has, or who is none of a back's fronts
)
# What a server answers for another one that is starting: Bad Gateway, Service Unavailable and
# Gateway Timeout (RFC 9110, section 15.6).
WAITING = (502, 503, 504)
HEALTHY = frozenset(range(200, 500)) - {MISDIRECTED}
REMOTE_ADDR = "127.0.0.1"  # the client that the application is told
START_TIMEOUT = 30  # seconds until the first healthy answer, where a target names none
LOOK = 1  # seconds of silence between two looks at whether an answer can still come
# seconds within which a stranger would be answered by what is healthy; one whose packets are
# dropped waits for all of it
STRANGERS_TIME = 1
PAUSE_GROWTH = 1.25  # each pause between two tries is so much longer than the one before it ...
PAUSE_MAX_GROWTH = 10  # ... up to so many times the first


# How the modules take a target as an argument; ENDPOINT_SPEC is its endpoint.
ENDPOINT_SPEC = {
    "transport": {"type": "str", "choices": ["unix", "tcp"], "required": True},
    "path": {"type": "path"},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int"},
}

TARGET_SPEC = {
    "name": {"type": "str", "required": True},
    "link": {"type": "str", "choices": ["http", "fastcgi", "scgi", "uwsgi"], "required": True},
    "endpoint": {
        "type": "dict",
        "required": True,
        "options": ENDPOINT_SPEC,
        "required_if": [("transport", "unix", ["path"]), ("transport", "tcp", ["port"])],
    },
    "script_name": {"type": "str", "default": ""},
    "path": {"type": "str", "default": "/"},
    "host": {"type": "str", "default": "localhost"},
    "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
    "headers": {"type": "dict", "default": {}},
    "status": {"type": "list", "elements": "int"},
    "timeout": {"type": "float"},
    "site": {"type": "str"},
    "unit": {"type": "str"},
    "log": {"type": "str"},
    "hint": {"type": "str"},
    "stranger": {"type": "str"},
    "certificate": {"type": "path"},
    "plain": {
        "type": "dict",
        "options": {
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": DEFAULT_PORTS["http"]},
        },
    },
}


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: a unix socket's path, or else a host and a port."""

    path: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    source: str | None = None  # the address of this host to connect from
    mark: int = 0  # of its packets (SO_MARK, socket(7)), for a firewall to tell them

    def connect(self, timeout: float) -> socket.socket:
        if self.path is None and not self.mark:
            return socket.create_connection(
                (self.host, self.port), timeout, (self.source, 0) if self.source else None
            )
        family = (
            socket.AF_UNIX
            if self.path is not None
            else socket.AF_INET6
            if ":" in self.host
            else socket.AF_INET
        )
        connection = socket.socket(family)
        try:
            connection.settimeout(timeout)
            if self.mark:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
            connection.connect(self.path if self.path is not None else (self.host, self.port))
        except BaseException:
            connection.close()
            raise
        return connection

    def __str__(self) -> str:
        if self.path is None:
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"unix:{self.path}"


@dataclass(frozen=True)
class Target:
    """What is asked, and what answer counts as healthy."""

    name: str
    link: str
    endpoint: Endpoint
    script_name: str = ""
    path: str = "/"
    host: str = "localhost"
    scheme: str = "http"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: Collection[int] = HEALTHY
    timeout: float | None = None  # seconds until its first healthy answer
    site: str | None = None  # the site of the inventory that it belongs to
    unit: str | None = None
    log: str | None = (
        None  # where its tracebacks go: a file, or a unit for its journal; default: the unit
    )
    hint: str | None = None  # what to do where it is not healthy
    stranger: str | None = None  # an address of this host from which it must not answer
    certificate: str | None = (
        None  # a file with the certificate that it has to serve: it is asked over TLS
    )

    plain: Endpoint | None = None  # where it answers without TLS
    proven: bool = False  # the same was healthy elsewhere: no ill answer becomes a healthy one

    def as_it_is(self) -> Target:
        """The same site without TLS, as long as its certificate is not there."""
        if self.certificate is None or os.path.exists(self.certificate):
            return self
        plain = self.plain or replace(self.endpoint, port=DEFAULT_PORTS["http"])
        return replace(self, scheme="http", certificate=None, endpoint=plain)

    def request(self) -> Request:
        """The request as a front sends it; ProtocolError where the target's values allow none."""
        found = re.fullmatch(r"(\[.*\]|[^:]*):?(.*)", self.host, re.DOTALL)
        name, port = found.groups() if found else (self.host, "")
        if port and not re.fullmatch("[0-9]{1,5}", port):
            raise ProtocolError(f"the host {self.host!r} is not a name, or a name and a port")
        headers = {"Host": self.host, "User-Agent": "pyweb.stack.probe"}
        if self.link == "http":  # over the others these are variables
            headers.update({"X-Forwarded-For": REMOTE_ADDR, "X-Forwarded-Proto": self.scheme})
        given = {header.lower() for header in self.headers}
        return Request(
            target=quote(self.script_name, errors="replace") + self.path,
            script_name=self.script_name,
            headers=[(key, value) for key, value in headers.items() if key.lower() not in given]
            + list(self.headers.items()),
            scheme=self.scheme,
            server_name=name,
            server_port=int(port or DEFAULT_PORTS.get(self.scheme, 0)),
            remote_addr=REMOTE_ADDR,
        )


@dataclass(frozen=True)
class Outcome:
    """What the last try saw. Without `fault` the target is healthy; with one it may have answered
    all the same.
    """

    target: Target
    response: Response | None
    fault: str | None
    seconds: float  # from the connection's begin to the answer's end, in the last try
    tries: int = 1
    late: bool = False  # whether it had no answer when its time was over
    hopeless: bool = False  # whether none will come

    @property
    def refuted(self) -> bool:
        """Whether what was healthy elsewhere has answered here that it is ill; who waits for it
        may answer so, too.
        """
        answered = self.response is not None and self.response.status not in WAITING
        return self.target.proven and self.fault is not None and answered

    def __str__(self) -> str:
        """What was seen, of whom, and where to look."""
        where = f"{self.target.name} ({self.target.link}, {self.target.endpoint})"
        if self.response is not None and self.fault is None:
            return f"{where}: status {self.response.status}"
        log = self.target.log or self.target.unit
        how = f"tail -n 50 {log}" if log and log.startswith("/") else f"journalctl -u {log} -n 50"
        hints = [f"look at: {how}"] if log else []
        hints += filter(None, [self.target.hint, self._remedy()])
        return "; ".join([f"{where}: {self.fault}", *hints])

    def _remedy(self) -> str:
        """What the inventory can say of a site that is well and does not look so."""
        if self.target.site is None:
            return ""
        key = f"sites[{self.target.site}].health"
        if self.late:
            return f"where it takes longer to start, {key}: {{timeout: SECONDS}} gives it more time"
        if self.response is not None and self.response.status != MISDIRECTED:
            return (
                f"where that is as it should be, name another page or its status by {key}: "
                "{path: /..., status: [...]}"
            )
        return ""


def target_of(given: dict[str, Any]) -> Target:
    """A target from the arguments of a module, checked by TARGET_SPEC."""
    values = {key: value for key, value in given.items() if value is not None}
    endpoint = values.pop("endpoint")
    if endpoint["transport"] == "unix":
        values["endpoint"] = Endpoint(path=endpoint["path"])
    else:
        values["endpoint"] = Endpoint(host=endpoint["host"], port=endpoint["port"])
    if "plain" in values:
        values["plain"] = Endpoint(**values["plain"])
    values["headers"] = {name: str(value) for name, value in values["headers"].items()}
    return Target(**values)


class Hopeless(Exception):
    """No answer will come; the text says why."""


# Given a target that does not answer, says why it never will, or None.
Doubt = Callable[[Target], "str | None"]


def ask(
    target: Target, timeout: float = 5, body_limit: int | None = 65536, doubt: Doubt | None = None
) -> Outcome:
    """Ask once, and what is healthy also as a stranger, if it has to refuse one."""
    outcome = _ask(target, timeout, body_limit, doubt)
    if outcome.fault is not None or target.stranger is None:
        return outcome
    refused = _ask(
        replace(target, endpoint=replace(target.endpoint, source=target.stranger)),
        STRANGERS_TIME,
        body_limit,
    ).response
    if refused is None or refused.status == MISDIRECTED:
        return outcome
    fault = (
        f"it answers {target.stranger}, too, which is none of its fronts: IPAddressDeny= of "
        "systemd has no effect on this host (it needs BPF)"
    )
    return replace(outcome, fault=fault, target=replace(target, hint=None))


def _ask(
    target: Target, timeout: float, body_limit: int | None, doubt: Doubt | None = None
) -> Outcome:
    """Ask once. ProtocolError only for a target that cannot be asked; all that goes wrong after
    that is a fault.
    """
    data = _encode(target)
    decoder = DECODERS[target.link](body_limit=body_limit)
    begin = time.monotonic()
    late = hopeless = False
    try:
        served = _exchange(target, data, decoder, begin + timeout, doubt)
        if decoder.response is None:
            raise ProtocolError("the connection was closed without a whole answer")
        fault = _status_fault(target, decoder.response) or (
            target.certificate and same_certificate(served, target.certificate)
        )
    except Hopeless as reason:
        fault, hopeless = str(reason), True
    except (OSError, ProtocolError) as error:
        late = isinstance(error, socket.timeout)
        fault = _network_fault(error, timeout)
    if fault and isinstance(decoder, FastCgiResponseDecoder) and decoder.stderr.strip():
        fault += f"; its log: {_text(decoder.stderr).strip().splitlines()[-1]}"
    return Outcome(
        target, decoder.response, fault, time.monotonic() - begin, late=late, hopeless=hopeless
    )


def wait_until_healthy(
    targets: Sequence[Target],
    timeout: float | None = None,
    try_timeout: float | None = None,
    interval: float = 0.2,
    body_limit: int | None = 65536,
    doubt: Doubt | None = None,
) -> list[Outcome]:
    """Ask all targets side by side, each until it is healthy or its time is over.

    timeout: instead of each target's own; 0 asks once.
    try_timeout: for one try, which otherwise may take all the time that is left: who is asked may
        be starting.
    doubt: asked about a target that does not answer; what it says ends the wait.
    """
    if not targets:
        return []
    for target in targets:
        _encode(target)  # what cannot be asked is an error at once, not after the others' time
    begin = time.monotonic()

    def wait_for(target: Target) -> Outcome:
        whole = target.timeout or START_TIMEOUT
        deadline = begin + (whole if timeout is None else timeout)
        pause = interval
        tries = 1
        while True:
            limit = try_timeout or (max(deadline - time.monotonic(), 1) if timeout != 0 else whole)
            outcome = replace(ask(target, limit, body_limit, doubt), tries=tries)
            final = outcome.fault is None or outcome.hopeless or outcome.refuted
            if final or time.monotonic() + pause > deadline:
                return outcome
            if doubt and tries > 1 and (reason := doubt(target)):
                return replace(outcome, fault=f"{outcome.fault}; {reason}")
            time.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, interval * PAUSE_MAX_GROWTH)
            tries += 1

    # A thread each, so that no target waits for another's time-outs; a sleeping thread costs next
    # to nothing.
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        return list(pool.map(wait_for, targets))


def _encode(target: Target) -> bytes:
    try:
        return ENCODERS[target.link](target.request())
    except ProtocolError as error:
        raise ProtocolError(f"{target.name}: {error}") from error


def _exchange(
    target: Target, data: bytes, decoder: ResponseDecoder, deadline: float, doubt: Doubt | None
) -> bytes | None:
    """Feed the decoder with the answer. Returns the certificate that was served, if one had to
    be.
    """
    with _connect(target, deadline) as connection:
        served = (
            connection.getpeercert(binary_form=True)
            if target.certificate and isinstance(connection, ssl.SSLSocket)
            else None
        )
        connection.settimeout(_left(deadline))
        connection.sendall(data)
        while not decoder.finished:
            connection.settimeout(min(_left(deadline), LOOK))
            try:
                piece = connection.recv(65536)
            except socket.timeout:
                if doubt and (reason := doubt(target)):
                    raise Hopeless(reason) from None
                continue
            if piece:
                decoder.feed(piece)
            else:
                decoder.close()
    return served


def _connect(target: Target, deadline: float) -> socket.socket:
    connection = target.endpoint.connect(_left(deadline))
    if target.certificate is None:
        return connection
    # Whoever issued it: the one in the file has to be served, and not any that somebody vouches
    # for.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection.settimeout(_left(deadline))
        return context.wrap_socket(connection, server_hostname=target.host.partition(":")[0])
    except BaseException:
        connection.close()
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _network_fault(error: Exception, timeout: float) -> str:
    if isinstance(error, IncompleteError):
        return str(error)
    if isinstance(error, ProtocolError):
        return f"malformed answer: {error}"
    if isinstance(error, socket.timeout):
        return f"no whole answer within {round(timeout, 1):g} s"
    if isinstance(error, socket.gaierror):
        return f"the host's name cannot be resolved: {error.strerror}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason or error}"
    if isinstance(error, FileNotFoundError):
        return "no such socket"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    if isinstance(error, (BrokenPipeError, ConnectionResetError)):
        return "the connection was closed without a whole answer"
    if isinstance(error, BlockingIOError):  # how Linux refuses a unix socket whose queue is full
        return "its queue of connections is full: nothing accepts them"
    return getattr(error, "strerror", None) or str(error)


def _status_fault(target: Target, response: Response) -> str | None:
    if response.status in target.status:
        return None
    fault = f"status {response.status} {response.reason}".rstrip()
    visible = re.sub(r"<[^>]*>", " ", _text(response.body))
    first_line = next((line.strip() for line in visible.splitlines() if line.strip()), "")
    return f"{fault}: {first_line[:200]}" if first_line else fault


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
