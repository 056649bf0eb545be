# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve a site over FastCGI or SCGI with flup 1.0.3, behind a listening socket that systemd owns.

A master forks PYWEB_PROCESSES workers of PYWEB_THREADS threads each and replaces those that end. It
never imports the application. A thread takes a connection only when it is free to serve it, so
whatever cannot be served yet stays in the kernel's queue: for another worker, or, since systemd
holds the socket, for the next start.

The protocols are flup's, in subclasses that repair what its servers get wrong; its servers
themselves, which lose requests when they stop or do not stop at all, are not used.

Environment: LISTEN_FDS and LISTEN_PID (one socket), NOTIFY_SOCKET, those that pyweb_wsgi reads, and
  PYWEB_LINK              fastcgi or scgi
  PYWEB_PROCESSES         workers
  PYWEB_THREADS           threads of a worker
  PYWEB_SILENCE           seconds of an application's silence that end its worker; 0: any
  PYWEB_MAX_REQUESTS      requests after which a worker is replaced; 0: never
  PYWEB_ALLOWED           addresses that may connect over tcp, with commas between them; 127.0.0.1
  if empty or unset
"""

from __future__ import annotations

import _thread
import errno
import faulthandler
import functools
import io
import os
import signal
import socket
import struct
import sys
import threading
import traceback
from _thread import allocate_lock, start_new_thread
from dataclasses import dataclass, field
from select import POLLIN, poll
from time import monotonic, sleep
from urllib.parse import unquote_to_bytes

import pyweb_wsgi
from flup.server import fcgi_base, scgi_base
from pyweb_watchdog import Watchdog, answer

# Seconds that a front may neither send nor take anything within a request: longer than it waits for
# a client.
PATIENCE = 70
# seconds that a front may hold a connection without a request on it, or without an end to its
# upload
SILENCE = 10
# seconds that a stopping worker waits for the request of a connection that it has already taken
GRACE = 1
LINGER = 30  # seconds in all that the rest of an upload is read for, once it has been answered
# seconds for a worker to exit after its last request: threads and exit functions of the application
EXIT = 10
YOUNG = 5  # seconds; a worker that dies sooner is replaced after a pause, which doubles each time
LONGEST_PAUSE = 10
BUFFER = 65536
# What an application patches later is not meant for its server; nor are those that are imported by
# name.
SOCKET = socket.socket
THREAD = threading.Thread
CONNECTION = "pyweb.connection"  # of an environ: the descriptor
RECORD = 65528  # the largest content of a FastCGI record that needs no padding


class ClientGone(ConnectionError):
    """The front has closed the connection: nobody waits for the rest of the answer."""


@dataclass(frozen=True)
class Settings:
    link: str
    processes: int
    threads: int
    silence: float
    max_requests: int
    allowed: frozenset[str]

    @classmethod
    def read(cls, environ: dict[str, str]) -> Settings:
        allowed = environ.get("PYWEB_ALLOWED") or "127.0.0.1"
        return cls(
            link=environ["PYWEB_LINK"],
            processes=int(environ["PYWEB_PROCESSES"]),
            threads=int(environ["PYWEB_THREADS"]),
            silence=float(environ["PYWEB_SILENCE"]),
            max_requests=int(environ["PYWEB_MAX_REQUESTS"]),
            allowed=frozenset(address.strip() for address in allowed.split(",")),
        )


# The connection


class Wire:
    """A connection's socket as flup sees it, with few system calls.

    What is sent waits until `flush`, a full buffer, or a read that has to wait for the front. The
    last byte that was received stays in the socket until `settle` takes it: if this process closes
    the socket or dies before, the kernel resets the connection, over unix and tcp alike, and the
    front sees a failure.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.gone = False  # the front has closed the connection, or broken it
        self.unread = False  # the front may still be sending what nobody will read
        self.fileno = sock.fileno
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", PATIENCE, 0))
        self._received = b""
        self._position = 0
        self._held = False
        self._sending: list[bytes] = []
        self._size = 0

    def received(self) -> bytes:
        """What was read from the socket and not yet taken."""
        return self._received[self._position :]

    def recv(self, size: int) -> bytes:
        if self._position == len(self._received):
            self.flush()
            self.settle()
            self._received = self.guard(self.sock.recv, BUFFER, socket.MSG_PEEK)
            self._position = 0
            self.gone = not self._received
            self._held = not self.gone
            if len(self._received) > 1:
                self.guard(self.sock.recv, len(self._received) - 1)
        data = self._received[self._position : self._position + size]
        self._position += len(data)
        return data

    def settle(self) -> None:
        """All is well so far: let the socket be closed in peace."""
        if self._held:
            self._held = False
            self.guard(self.sock.recv, 1)

    def send(self, data: bytes) -> int:
        size = len(data)
        if size < BUFFER:
            self._sending.append(data)
            self._size += size
            if self._size >= BUFFER:
                self.flush()
        else:
            self.flush()
            self.guard(self.sock.sendall, data)
        return size

    def flush(self) -> None:
        if self._sending:
            data = b"".join(self._sending)
            self._sending.clear()
            self._size = 0
            self.guard(self.sock.sendall, data)

    def guard(self, call, *args):
        try:
            return call(*args)
        except BlockingIOError as error:
            self.gone = True
            raise ClientGone(
                errno.ETIMEDOUT, f"the front has been silent for {PATIENCE} s"
            ) from error
        except OSError as error:
            self.gone = True
            raise ClientGone(*error.args) from error

    def close(self) -> None:
        """Close; a front that still sends must be heard out, or the kernel takes the answer away
        from it.
        """
        if self.unread and not self.gone:
            try:
                self._hear_out()
            except OSError:
                pass  # the front is gone
        self.unread = False
        self.sock.close()

    def _hear_out(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)
        deadline = monotonic() + LINGER
        scrap = bytearray(BUFFER)
        watched = poll()
        watched.register(self.sock, POLLIN)
        while (
            monotonic() < deadline and watched.poll(SILENCE * 1000) and self.sock.recv_into(scrap)
        ):
            pass


class Response:
    """A response of the application: the server's side of PEP 3333.

    flup's own version takes an EPIPE of the application's for the front's, ends a response cleanly
    that failed half way, and writes a Content-Length of 0 where a response has no body. What the
    head consists of has been checked by pyweb_wsgi.
    """

    def __init__(self, wire: Wire, send) -> None:
        self.begun = False
        self._wire = wire
        self._send = send
        self._head: bytes | None = None

    def run(self, application, environ: dict) -> None:
        result = application(environ, self.start)
        try:
            if type(result) in (list, tuple):
                for data in result:
                    self._put(data)
            else:
                for data in result:
                    if data:
                        self.write(data)
            if not self.begun:
                self._put(b"")
        finally:
            if hasattr(result, "close"):
                result.close()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info=None):
        """PEP 3333's start_response()."""
        if self._wire.gone:
            raise ClientGone("the front has closed the connection")
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self._head is not None:
            raise RuntimeError("the application has called start_response() twice")
        lines = ["Status: " + status, *[name + ": " + value for name, value in headers], "", ""]
        self._head = "\r\n".join(lines).encode("latin-1")
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's write(): nothing is held back."""
        self._put(data)
        self._wire.flush()

    def _put(self, data: bytes) -> None:
        if self.begun:
            self._send(data)
            return
        if self._head is None:
            raise RuntimeError("the application has not called start_response()")
        if len(data) < BUFFER:
            self._send(self._head + data)
        else:
            self._send(self._head)
            self._send(data)
        self.begun = True


class Gateway:
    """What flup's two servers have in common here: the environ is completed, the application
    called.
    """

    def __init__(self, application, worker: Worker, settings: Settings) -> None:
        super().__init__(application)
        self.worker = worker
        self._constants = {
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": settings.threads > 1,
            "wsgi.multiprocess": settings.processes > 1,
            "wsgi.run_once": False,
        }

    def respond(self, environ: dict, body: io.BufferedIOBase, wire: Wire, send) -> None:
        environ.update(self._constants)
        environ[CONNECTION] = wire.fileno()
        environ["wsgi.input"] = body
        environ.setdefault("SCRIPT_NAME", "")
        environ.setdefault("QUERY_STRING", "")
        if "PATH_INFO" not in environ:
            environ["PATH_INFO"] = path_info(environ)
        response = Response(wire, send)
        try:
            response.run(self.application, environ)
        except Exception:
            if response.begun or wire.gone:
                raise
            response.write(pyweb_wsgi.server_error(environ, response.start))


def path_info(environ: dict) -> str:
    """PATH_INFO where the front has not sent it; flup's would be percent-encoded."""
    path = unquote_to_bytes(environ.get("REQUEST_URI", "").partition("?")[0]).decode("latin-1")
    mount = environ["SCRIPT_NAME"]
    return path[len(mount) :] if path.startswith(mount) else path


# FastCGI


class FastCGIBody(io.RawIOBase):
    """FCGI_STDIN, of which one record is in memory at a time.

    Behind a BufferedReader it does all that flup's InputStream does not: readline() with a size,
    read(None).
    """

    def __init__(self, connection: FastCGIConnection) -> None:
        self.ended = False
        self._connection = connection
        self._data = memoryview(b"")

    def readable(self) -> bool:
        return True

    def add_data(self, data: bytes) -> None:
        """Called by flup with the content of a record; an empty one ends the stream."""
        self._data = memoryview(data)
        self.ended = not data

    def readinto(self, buffer) -> int:
        while not self._data and not self.ended:
            try:
                self._connection.process_input()
            except EOFError as error:
                self._connection.wire.gone = True
                raise ClientGone(
                    "the front has closed the connection within the request's body"
                ) from error
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size


class FastCGIRequest(fcgi_base.Request):
    def run(self) -> None:
        """Where the application fails half way flup's ends the response as if it were whole."""
        if self.role != fcgi_base.FCGI_RESPONDER:
            self._end(0, fcgi_base.FCGI_UNKNOWN_ROLE)
            return
        wire = self._conn.wire
        self.server.respond(self.params, io.BufferedReader(self.stdin), wire, self._write)
        self._flush()
        self._end()
        wire.flush()
        wire.settle()
        self._conn.wire.unread = not self.stdin.ended and not self._conn.only_the_end_is_unread()

    def _write(self, data: bytes) -> None:
        """In pieces: flup copies all that is left for each record."""
        if len(data) <= RECORD:
            self.stdout.write(data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), RECORD):
                self.stdout.write(view[start : start + RECORD])


class FastCGIConnection(fcgi_base.Connection):
    _inputStreamClass = FastCGIBody

    _handlers = {
        fcgi_base.FCGI_BEGIN_REQUEST: fcgi_base.Connection._do_begin_request,
        fcgi_base.FCGI_ABORT_REQUEST: fcgi_base.Connection._do_abort_request,
        fcgi_base.FCGI_STDIN: fcgi_base.Connection._do_stdin,
        fcgi_base.FCGI_DATA: fcgi_base.Connection._do_data,
        fcgi_base.FCGI_GET_VALUES: fcgi_base.Connection._do_get_values,
    }

    def __init__(self, wire: Wire, address, server: FastCGIServer) -> None:
        super().__init__(wire, address, server, None)
        self.wire = wire
        self._grace = (
            GRACE  # none after the first request: the front can tell that the connection is closed
        )
        self._params: list[bytes] = []

    def run(self) -> None:
        """flup's takes an OSError of the application's for one of the connection's."""
        self._keepGoing = True
        try:
            while self._keepGoing:
                self.process_input()
        except EOFError:
            pass

    def process_input(self) -> None:
        """flup's waits by select(), which knows no file beyond the 1,024th, and again for each
        record.
        """
        worker = self.server.worker
        if not self._requests:
            if not self.wire.received() and not worker.wait(self.wire.sock, self._grace):
                raise EOFError
            worker.begin()
        record = fcgi_base.Record()
        record.read(self.wire)
        if record.type == fcgi_base.FCGI_PARAMS:
            self._do_params(record)
        elif record.type in self._handlers:
            self._handlers[record.type](self, record)
        elif record.requestId == fcgi_base.FCGI_NULL_REQUEST_ID:
            self._do_unknown_type(record)
        if not self._requests:
            self.wire.flush()
            worker.end()
            self._grace = 0

    def _do_params(self, record: fcgi_base.Record) -> None:
        """Decode when all is there: a variable may begin in one record and end in the next."""
        if record.contentLength:
            self._params.append(record.contentData)
            return
        whole = fcgi_base.Record()
        whole.requestId = record.requestId
        whole.contentData = b"".join(self._params)
        whole.contentLength = len(whole.contentData)
        self._params.clear()
        if whole.contentLength:
            super()._do_params(whole)
        super()._do_params(record)

    def _cleanupSocket(self) -> None:
        """Nothing: flup's waits without a limit for the front to close, Wire.close() does not."""

    def only_the_end_is_unread(self) -> bool:
        """Whether the empty record that ends the body has come, so that the front sends nothing any
        more.
        """
        rest = self.wire.received()
        return (
            len(rest) == fcgi_base.FCGI_HEADER_LEN
            and rest[1] == fcgi_base.FCGI_STDIN
            and rest[4:6] == b"\0\0"
        )


class FastCGIServer(Gateway, fcgi_base.BaseFCGIServer):
    connection_class = FastCGIConnection
    request_class = FastCGIRequest
    maxwrite = fcgi_base.FCGI_HEADER_LEN + RECORD


# SCGI


class SCGIBody(io.RawIOBase):
    """The body, as long as CONTENT_LENGTH says: flup's goes on to the end of the connection, which
    does not come.

    Its last byte is looked at but left in the socket, see SCGIConnection.
    """

    def __init__(self, wire: Wire, length: int) -> None:
        self.left = length
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self.left:
            return 0
        if self.left > 1:
            size = self._wire.guard(
                self._wire.sock.recv_into, buffer, min(len(buffer), self.left - 1)
            )
        else:
            size = self._wire.guard(self._wire.sock.recv_into, buffer, 1, socket.MSG_PEEK)
        if not size:
            self._wire.gone = True
            raise ClientGone("the front has closed the connection within the request's body")
        self.left -= size
        return size


class SCGIConnection(scgi_base.Connection):
    """One request. SCGI has no end of a response but the end of the connection, whether all went
    well or not.

    So the last byte of the request is left unread until the response is complete. If this process
    closes the socket or dies before, the kernel resets the connection, over unix and tcp alike, and
    the front sees a failure.
    """

    def __init__(self, wire: Wire, address, server: SCGIServer) -> None:
        super().__init__(wire, address, server, None)
        self.wire = wire

    def processInput(self) -> None:
        worker = self.server.worker
        if not worker.wait(self.wire.sock, GRACE):
            raise EOFError
        worker.begin()
        try:
            self._answer()
        except ClientGone as error:
            raise EOFError from error
        except Exception as error:
            if self.wire.gone:  # a failure that follows from it
                raise EOFError from error
            raise
        finally:
            worker.end()

    def _answer(self) -> None:
        environ = self._read_environ()
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length < 0:
                raise ValueError
        except ValueError:
            raise scgi_base.ProtocolError("invalid CONTENT_LENGTH") from None
        if length:
            if self._take(1) != b",":
                raise scgi_base.ProtocolError("invalid netstring trailer")
            raw = SCGIBody(self.wire, length)
            body = io.BufferedReader(raw)
        else:
            raw = body = io.BytesIO()
        self.server.respond(environ, body, self.wire, self.wire.send)
        self.wire.flush()
        if length and raw.left:
            self.wire.unread = True
        else:
            self._take(1)

    def _read_environ(self) -> dict[str, str]:
        """The netstring without its comma, which may be the last byte."""
        start = b""
        while b":" not in start:
            if len(start) == 16:  # which is shorter than any request
                raise scgi_base.ProtocolError("invalid netstring length")
            piece = self.wire.guard(self.wire.sock.recv, 16 - len(start))
            if not piece:
                raise EOFError
            start += piece
        digits, colon, block = start.partition(b":")
        if not digits.isdigit() or int(digits) < len(block):
            raise scgi_base.ProtocolError("invalid netstring length")
        parts = (block + self._take(int(digits) - len(block))).decode("latin-1").split("\0")
        if len(parts) % 2 != 1:
            raise scgi_base.ProtocolError("invalid headers")
        return dict(zip(parts[0:-1:2], parts[1::2]))

    def _take(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.wire.guard(self.wire.sock.recv, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class SCGIServer(Gateway, scgi_base.BaseSCGIServer):
    connection_class = SCGIConnection


SERVERS = {"fastcgi": FastCGIServer, "scgi": SCGIServer}


# A worker

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# From a worker: it serves; it had max_requests; one of its requests is overdue; its last request is
# answered.
READY, SPENT, OVERDUE, DONE = b"r", b"s", b"o", b"d"


class Server(pyweb_wsgi.Server):
    signals = (*STOP_SIGNALS, signal.SIGALRM)

    def connection(self, environ: dict) -> int | None:
        return environ.pop(CONNECTION, None)

    def begin_child(self) -> None:
        faulthandler.unregister(signal.SIGALRM)
        super().begin_child()


class Worker:
    """One process: the application, and threads that each take a connection and serve it."""

    def __init__(self, listener: socket.socket, channel: socket.socket, settings: Settings) -> None:
        self._listener = listener
        self._channel = channel  # to the master; where it ends, the worker ends too
        self._settings = settings
        self._stopped, self._stop = (
            os.pipe()
        )  # all threads watch the first, which has an end once the second is closed
        self._turn = (
            allocate_lock()
        )  # one idle thread waits for a connection, the others for their turn to
        self._arrivals = poll()
        self._arrivals.register(listener, POLLIN)
        self._arrivals.register(self._stopped, POLLIN)
        self._count = allocate_lock()
        self._requests = 0
        self.watchdog = Watchdog(
            settings.silence,
            functools.partial(answer, settings.link),
            retreat=lambda: self._tell(OVERDUE),
            end=lambda: os.kill(os.getpid(), signal.SIGALRM),
            wind=lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds),
        )

    def run(self) -> None:
        pyweb_wsgi.steady(sys.stdout, sys.stderr)
        server = Server(self._settings.link, watchdog=self.watchdog)
        server.handlers = (self._on_stop_signal,)
        try:
            application = pyweb_wsgi.site(server)
        except BaseException:
            self.stop()
            raise
        self._server = SERVERS[self._settings.link](application, self, self._settings)
        # By default the kernel ends a process on SIGALRM, also one whose Python is held up by C
        # code; before that, the stacks of its threads are printed.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGALRM, chain=True)
        faulthandler.enable()
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop_signal)
        self._tell(
            READY
        )  # first: a request that kills the worker at once must not look like a failure to start
        try:
            # After the application is loaded: gevent cannot mend the locks of what threads import
            # meanwhile.
            threads = [allocate_lock() for number in range(self._settings.threads)]
            for ended in threads:  # each is held until its thread has ended
                ended.acquire()
                start_thread(self._serve, ended)
            orders = poll()
            orders.register(self._channel, POLLIN)
            orders.register(self._stopped, POLLIN)
            orders.poll()
        finally:
            self.stop()
        for ended in threads:
            ended.acquire()
        self._tell(DONE)
        self.watchdog.retire()
        signal.setitimer(signal.ITIMER_REAL, EXIT)

    def _on_stop_signal(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Take no more connections. Called by the main thread only."""
        if self._stop is not None:
            stop, self._stop = self._stop, None
            os.close(stop)

    def wait(self, sock: socket.socket, grace: float) -> bool:
        """Whether a request comes; where the worker stops, only within the seconds of grace."""
        watched = poll()
        watched.register(sock, POLLIN)
        watched.register(self._stopped, POLLIN)
        ready = dict(watched.poll(SILENCE * 1000))
        if sock.fileno() not in ready and self._stopped in ready:
            watched.unregister(self._stopped)
            ready = dict(watched.poll(grace * 1000))
        return sock.fileno() in ready

    def begin(self) -> None:
        """This thread begins a request."""
        with self._count:
            self._requests += 1
            if self._requests == self._settings.max_requests:
                self._tell(SPENT)

    def end(self) -> None:
        self.watchdog.finish()

    def _tell(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except OSError:
            pass  # the master is dead, which the end of the channel says too

    def _serve(self, ended) -> None:
        while True:
            with self._turn:
                accepted = self._accept()
            if accepted is None:
                ended.release()
                return
            sock, address = accepted
            wire = Wire(sock)
            try:
                self._server.connection_class(wire, address, self._server).run()
            except BaseException:  # the thread lives on
                if not wire.gone:
                    traceback.print_exc()
            finally:
                self.end()
                wire.close()

    def _accept(self) -> tuple[socket.socket, object] | None:
        """The next connection, or None when the worker stops.

        Every worker with an idle thread is woken, and the first one has it. Were only one of them
        woken (EPOLLEXCLUSIVE), the connection would wait for it also where its Python is held up by
        C code.
        """
        while True:
            if self._stopped in dict(self._arrivals.poll()):
                return None
            try:
                descriptor, address = (
                    self._listener._accept()
                )  # accept() makes a socket of a class that may be patched
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another worker has it, or the front has given up
            except OSError as error:  # no more descriptors or memory
                log(f"cannot accept a connection: {error}")
                sleep(1)
                continue
            sock = SOCKET(self._listener.family, self._listener.type, fileno=descriptor)
            if sock.gettimeout() is not None:
                sock.settimeout(None)  # the application's default is for its own
            if self._is_allowed(address):
                return sock, address
            log(f"refused a connection from {address[0]}, which is not in PYWEB_ALLOWED")
            sock.close()

    def _is_allowed(self, address) -> bool:
        """Over unix the address is a text, and the mode of the socket says who may connect."""
        return (
            not isinstance(address, tuple)
            or address[0].removeprefix("::ffff:") in self._settings.allowed
        )


# The master


@dataclass
class Child:
    """A worker as the master sees it."""

    pid: int
    channel: socket.socket
    born: float = field(default_factory=monotonic)
    heard: bytes = b""
    silent: bool = False  # it has closed its end
    told_to_stop: bool = False

    def hear(self) -> None:
        try:
            message = self.channel.recv(16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message = b""
        self.heard += message
        self.silent = not message

    def stop(self) -> None:
        """Let it finish what it has begun; one that does not serve yet ends at once."""
        if not self.told_to_stop:
            self.told_to_stop = True
            self.channel.shutdown(socket.SHUT_WR)
            if READY not in self.heard:
                os.kill(self.pid, signal.SIGTERM)


class Master:
    def __init__(self, listener: socket.socket, settings: Settings, notify) -> None:
        self._listener = listener
        self._settings = settings
        self._notify = notify
        self._children: dict[int, Child] = {}  # by the worker's number, from 1
        self._running = False  # all first workers have come to serve
        self._stopping = False
        self._status = 0
        self._pause = 0.0  # before the last replacement
        self._next_birth = 0.0

    def run(self) -> int:
        """Return the exit status. A worker's process leaves by SystemExit."""
        signals, wakeup = os.pipe()
        for descriptor in (signals, wakeup):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop_signal)
        while True:
            if not self._stopping:
                self._fork_missing()
                self._replace_overdue()
                self._replace_spent()
                self._announce()
            else:
                for child in self._children.values():
                    child.stop()
                if not self._children:
                    return self._status
            self._wait(signals)
            self._hear()
            self._reap()

    def _on_stop_signal(self, *_) -> None:
        if not self._stopping:
            self._stopping = True
            self._notify("STOPPING=1")

    def _fork_missing(self) -> None:
        if monotonic() >= self._next_birth:
            for number in range(1, self._settings.processes + 1):
                if number not in self._children:
                    self._fork(number)

    def _fork(self, number: int) -> None:
        channel, theirs = socket.socketpair()
        channel.setblocking(False)
        signal.pthread_sigmask(
            signal.SIG_BLOCK, STOP_SIGNALS
        )  # a signal to the child must not meet these handlers
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            theirs.close()
            self._children[number] = Child(pid, channel)
            return
        signal.set_wakeup_fd(-1)
        for name in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        channel.close()
        for child in self._children.values():
            child.channel.close()
        Worker(self._listener, theirs, self._settings).run()
        sys.exit()

    def _replace_overdue(self) -> None:
        """At once: the old one only ends what it has begun."""
        for number, child in list(self._children.items()):
            if OVERDUE in child.heard and not child.told_to_stop:
                child.stop()
                self._children[-child.pid] = self._children.pop(number)

    def _replace_spent(self) -> None:
        """One at a time, and only while all others serve."""
        children = self._children.values()
        if len(children) == self._settings.processes and all(
            READY in c.heard and not c.told_to_stop for c in children
        ):
            for child in children:
                if SPENT in child.heard:
                    child.stop()
                    break

    def _announce(self) -> None:
        ready = sum(READY in child.heard for child in self._children.values())
        if not self._running and ready == self._settings.processes:
            self._running = True
            self._notify("READY=1")

    def _wait(self, signals: int) -> None:
        watched = poll()
        watched.register(signals, POLLIN)
        for child in self._children.values():
            if not child.silent:
                watched.register(child.channel, POLLIN)
        numbers = range(1, self._settings.processes + 1)
        is_missing = not self._stopping and any(number not in self._children for number in numbers)
        watched.poll(max(0, self._next_birth - monotonic()) * 1000 + 1 if is_missing else None)
        try:
            os.read(signals, 4096)
        except BlockingIOError:
            pass

    def _hear(self) -> None:
        for child in self._children.values():
            if not child.silent:
                child.hear()

    def _reap(self) -> None:
        for number, child in list(self._children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                child.channel.close()
                del self._children[number]
                code = os.waitstatus_to_exitcode(status)
                if not child.told_to_stop or (code and READY in child.heard):
                    log(f"worker {number} ended: {self._reason(child, code)}")
                if not child.told_to_stop:
                    self._recover(child)

    def _reason(self, child: Child, code: int) -> str:
        if code == -signal.SIGALRM:
            if DONE in child.heard:
                return f"it did not exit within {EXIT} s of its last request"
            return f"a request was silent for {self._settings.silence:g} s"
        return (
            f"killed by signal {-code} ({signal.strsignal(-code)})"
            if code < 0
            else f"it exited with status {code}"
        )

    def _recover(self, child: Child) -> None:
        """After a death that was not asked for: a new one, but not in a tight loop, and not where
        none can start.
        """
        if not self._running or (
            READY not in child.heard and not any(READY in c.heard for c in self._children.values())
        ):
            log(
                "stops, since no worker comes to serve"
                if self._running
                else "did not start, since a worker did not"
            )
            self._stopping = True
            self._status = 1
        elif monotonic() - child.born < YOUNG:
            self._pause = min(max(2 * self._pause, 0.1), LONGEST_PAUSE)
            self._next_birth = monotonic() + self._pause
        else:
            self._pause = 0.0


# The process


def start_thread(target, *args) -> None:
    """Start a thread: of `threading`, where an application has not patched that."""
    if _thread.start_new_thread is start_new_thread:
        THREAD(target=target, args=args).start()
    else:
        start_new_thread(target, args)


def log(text: str) -> None:
    print(f"pyweb_flup: {text}", file=sys.stderr, flush=True)


def inherited_socket(environ) -> socket.socket:
    """The listening socket, by sd_listen_fds(3)."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or count != "1":
        sys.exit(
            "pyweb_flup: needs exactly one listening socket from systemd; start it through its "
            ".socket unit"
        )
    listener = socket.socket(fileno=3)
    listener.setblocking(False)
    listener.set_inheritable(False)
    if listener.family != socket.AF_UNIX:
        listener.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # which accepted connections inherit
    return listener


def notifier(address: str | None):
    """sd_notify(3)."""

    def notify(state: str) -> None:
        if address:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                try:
                    sock.sendto(
                        state.encode(), "\0" + address[1:] if address.startswith("@") else address
                    )
                except OSError as error:
                    log(f"cannot tell systemd {state}: {error}")

    return notify


def main() -> None:
    listener = inherited_socket(os.environ)
    notify = notifier(os.environ.pop("NOTIFY_SOCKET", None))
    sys.exit(Master(listener, Settings.read(os.environ), notify).run())


if __name__ == "__main__":
    main()
