# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of gunicorn (`-c python:pyweb_gunicorn`) and its worker, which loads the site.

Environment: those that pyweb_wsgi reads, NOTIFY_SOCKET, and
  PYWEB_PROCESSES         workers
  PYWEB_THREADS           threads of a worker
  PYWEB_REQUEST_TIMEOUT   seconds until a worker that stops gives its requests up
  PYWEB_SILENCE           seconds of an application's silence that end its worker; 0: any
  PYWEB_MAX_REQUESTS      requests after which a worker is replaced; 0: never
"""

from __future__ import annotations

import faulthandler
import functools
import io
import os
import re
import signal
import socket
import sys
import traceback
from collections.abc import Iterable
from select import POLLIN, poll  # a patch of the application's is not meant for its server
from time import monotonic, sleep
from urllib.parse import unquote_to_bytes

import pyweb_wsgi
from gunicorn.http import message, wsgi
from gunicorn.workers.gthread import ThreadWorker
from pyweb_watchdog import SLACK, Watchdog, answer

# Seconds until a worker is replaced that could not load the application.
PAUSE = 1
# Seconds that the rest of an upload is read for, once it has been answered, and that its front may
# send nothing.
LINGER = 30
PATIENCE = 2
# gunicorn itself would tell systemd that it is ready before an application is loaded.
NOTIFY_SOCKET = os.environ.pop("NOTIFY_SOCKET", None)
SOCKET = socket.socket
# Fronts send bytes beyond ASCII on, and Cherokee decodes what a client has encoded; of itself
# gunicorn refuses them.
message.RFC9112_TARGET_INVALID = re.compile(r"[^\x21-\x7e\x80-\xff]")
DEFAULT_HEADERS = wsgi.Response.default_headers


def default_headers(response: wsgi.Response) -> list[str]:
    """Without the server's name and the date, which are the front's or the application's to say."""
    return [line for line in DEFAULT_HEADERS(response) if not line.startswith(("Server:", "Date:"))]


wsgi.Response.default_headers = default_headers


class Server(pyweb_wsgi.Server):
    signals = (
        signal.SIGABRT, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM,
        signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD,
    )  # fmt: skip

    def __init__(self, watchdog: Watchdog) -> None:
        super().__init__("http", sys.stderr, watchdog)
        self.frames = False  # gunicorn does, and ends no response that fails
        self.handlers = tuple(filter(callable, map(signal.getsignal, self.signals)))

    def connection(self, environ: dict) -> int:
        return environ["gunicorn.socket"].fileno()

    def drain(self, result: Iterable[bytes], body: io.BufferedReader | None) -> Iterable[bytes]:
        """Closed with something of the request unread, a connection is reset, and the answer with
        it.
        """
        return pyweb_wsgi.Followed(result, body.raw.hear_out) if body else result

    def body(self, source, length: int) -> Body:
        return Body(source, length)

    def take_over_body(self, environ: dict) -> io.BufferedReader | None:
        environ["wsgi.multithread"] = threads > 1
        uri = environ["REQUEST_URI"] = environ["RAW_URI"]
        if not uri.isascii():
            path = uri.partition("?")[0].encode("latin-1")  # which gunicorn encodes as UTF-8
            environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
        body = super().take_over_body(environ)
        if body:
            body.raw.connection = self.connection(environ)
        return body


class Body(pyweb_wsgi.Body):
    """The body of a request; connection: the descriptor that it comes over."""

    connection = -1

    def take(self, size: int) -> bytes:
        """gunicorn lets a body end early."""
        data = super().take(size)
        if size and self.left and not data:
            raise ConnectionError("the front has closed the connection within the request's body")
        return data

    def hear_out(self) -> None:
        """Read what the front still sends of a request that has been answered."""
        if not self.left:
            return
        with SOCKET(fileno=os.dup(self.connection)) as connection:
            deadline = monotonic() + LINGER
            waiting = poll()
            waiting.register(connection, POLLIN)
            try:
                connection.shutdown(socket.SHUT_WR)
                while monotonic() < deadline and waiting.poll(PATIENCE * 1000):
                    if not connection.recv(pyweb_wsgi.BLOCK, socket.MSG_DONTWAIT):
                        break
            except OSError:
                pass  # the front has gone


class Worker(ThreadWorker):
    def load_wsgi(self) -> None:
        """Each worker loads the application itself; where a replacement cannot, gunicorn would end
        all of them.
        """
        pyweb_wsgi.steady(sys.stdout, sys.stderr)
        faulthandler.enable()  # also at SIGABRT, by which gunicorn ends a silent worker
        self.watchdog = Watchdog(
            float(os.environ["PYWEB_SILENCE"]),
            functools.partial(answer, "http"),
            # At this signal it takes no more connections.
            retreat=functools.partial(os.kill, os.getpid(), signal.SIGTERM),
        )
        try:
            self.wsgi = pyweb_wsgi.site(Server(self.watchdog))
        except BaseException:
            if self.age <= self.cfg.workers:
                raise
            traceback.print_exc()
            sleep(PAUSE)
            os._exit(1)
        say_ready(NOTIFY_SOCKET)


def say_ready(address: str | None) -> None:
    """sd_notify(3)."""
    if address:
        with SOCKET(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


def post_request(worker: Worker, request, environ, response) -> None:
    worker.watchdog.finish()


# The settings, under gunicorn's own names.

wsgi_app = "the worker knows it"
worker_class = Worker
workers = int(os.environ["PYWEB_PROCESSES"])
threads = int(os.environ["PYWEB_THREADS"])
# What a worker cannot serve at once stays in the socket's queue, for another one or for the next
# start.
worker_connections = threads
max_requests = int(os.environ["PYWEB_MAX_REQUESTS"])
graceful_timeout = int(os.environ["PYWEB_REQUEST_TIMEOUT"]) + 10
# Seconds without a sign of life: only C code that holds the interpreter lets a worker be silent.
timeout = int(float(os.environ["PYWEB_SILENCE"])) + SLACK
# The front closes its connections, as it does with every back over http.
keepalive = 0
control_socket_disable = True
# The fronts have limits of their own, of which these are well beyond.
limit_request_line = 0
limit_request_fields = 1000
limit_request_field_size = 65536
permit_unconventional_http_method = True
# No field of a client's is a variable of CGI or says the scheme; the wrapper believes the front.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
