# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What uWSGI leaves to be done: the rest of a request that nobody has read, the end of a response
that has failed, and what makes its workers processes of Python like others.

Environment: those that pyweb_wsgi reads, and PYWEB_TRANSPORT and PYWEB_NOTIFY_SOCKET, which is
systemd's.
"""

from __future__ import annotations

import array
import functools
import io
import itertools
import math
import os
import signal
import socket
import sys
import threading
import traceback
from _thread import get_ident
from collections.abc import Callable, Iterable
from select import POLLIN, poll  # a monkey patch of the application's is not meant for its server
from time import sleep

import pyweb_wsgi
import uwsgi
from pyweb_watchdog import Watchdog, answer

# Milliseconds to wait for more of a body that nobody reads.
PATIENCE = 500
# Seconds until a worker is replaced that could not load the application.
PAUSE = 1
# What uWSGI and systemd put into its environment is not meant for programs that the application
# starts.
OWN_VARIABLES = (
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "PYWEB_NOTIFY_SOCKET",
    "UWSGI_ORIGINAL_PROC_NAME",
    "UWSGI_RELOADS",
)


class Server(pyweb_wsgi.Server):
    signals = (
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGFPE, signal.SIGUSR1,
        signal.SIGSEGV, signal.SIGUSR2, signal.SIGPIPE,
        signal.SIGALRM, signal.SIGTERM, signal.SIGTSTP, signal.SIGURG, signal.SIGWINCH,
    )  # fmt: skip

    def __init__(self, link: str, transport: str, silence: float = 0) -> None:
        # uWSGI's own limit counts whole requests, and any that ends in the process lifts it for
        # all.
        watchdog = Watchdog(silence, functools.partial(answer, link), wind=wind)
        # Its own wsgi.errors keeps lines until there are more, and fails where one is odd.
        super().__init__(link, sys.stderr, watchdog)
        self._unblocked: set[int] = set()  # threads
        self._resets = link in ("uwsgi", "scgi", "fastcgi") and transport == "tcp"
        self._in_records = link == "fastcgi"
        self._keeper = None if link == "http" else KEEPER

    def begin_process(self) -> None:
        if uwsgi.worker_id():
            super().begin_process()
        else:  # the master, which forks when it has loaded the application
            uwsgi.post_fork_hook = super().begin_process

    def body(self, source, length: int) -> Body:
        """uWSGI's readline() fails over FastCGI where a line is in two records: this one asks it
        for read() alone.
        """
        return Body(source, length, self._in_records)

    def prefetch(self, body: io.BufferedReader | None) -> None:
        """Read what uWSGI has read of it with the head, which `rest` would not find in the socket.

        It blocks all signals in its threads but the first, and what is started in one would be deaf
        to them as well.
        """
        if get_ident() not in self._unblocked:
            self._unblocked.add(get_ident())
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if body:
            body.peek()

    def drain(self, result: Iterable[bytes], body: io.BufferedReader | None) -> Iterable[bytes]:
        """It would reset the connection, and the answer with it, where something of the request is
        unread.

        Its own way, post-buffering, ended workers long before the time limit of a request, under
        uploads side by side (2.0.28).
        """
        return pyweb_wsgi.Followed(result, body.raw.drain) if body else result

    def connection(self, environ: dict) -> int:
        return uwsgi.connection_fd()

    def after_request(self) -> None:
        """Take no more requests in a process that is about to end."""
        self.watchdog.finish()
        while self.watchdog.retreats:
            sleep(0.1)

    def keep(self, environ: dict) -> bytes:
        if not self._keeper or (
            self._in_records and not environ.get("SERVER_SOFTWARE", "").startswith("nginx")
        ):
            return b""
        return self._keeper.keep(uwsgi.connection_fd())

    def settle(self, kept: bytes) -> None:
        if kept:
            self._keeper.settle(kept)

    def break_off(self, kept: bytes) -> None:
        """uWSGI ends all responses well. A socket in the file system cannot be reset: what is kept
        stays so.
        """
        if not (self._in_records or self._resets):
            return
        self.settle(kept)
        with socket.socket(fileno=os.dup(uwsgi.connection_fd())) as connection:
            if self._in_records:
                try:
                    connection.send(bytes(8))  # no record of FastCGI begins so
                    connection.shutdown(
                        socket.SHUT_WR
                    )  # and uWSGI's own end of the response must not follow
                except OSError:
                    pass  # the front has gone
            if self._resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class Keeper:
    """Keeps connections open when the process dies or fails that answers on them, so that the front
    gives up on the rest in its own time.

    To uwsgi, SCGI, and nginx over FastCGI, any end of the connection is the end of a response. A
    descriptor that was sent over a socket and is not yet received is open, whoever dies; each
    worker of uWSGI has a pair of sockets for that, which the master has as well.
    """

    def __init__(self, workers: int) -> None:
        self._pairs = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _worker in range(workers)
        ]
        for pair in self._pairs:
            for end in pair:
                end.setblocking(False)
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        return self._pairs[uwsgi.worker_id() - 1]

    def keep(self, descriptor: int) -> bytes:
        """What to settle it by; nothing where too many are kept."""
        token = b"%d %d" % (os.getpid(), next(self._numbers))
        return token if self._send(token, descriptor) else b""

    def _send(self, token: bytes, descriptor: int) -> bool:
        try:
            socket.send_fds(self._pair()[0], [token], [descriptor])
        except OSError:
            return False
        return True

    def settle(self, token: bytes) -> None:
        """Let go of this connection, and of those whose fronts have gone."""
        receiver = self._pair()[1]
        with self._lock:
            kept = []
            try:
                while True:
                    # A program that another thread starts meanwhile must not hold them open;
                    # recv_fds() ignores the flag.
                    kept.append(receiver.recvmsg(64, socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC))
            except BlockingIOError:
                pass
            for other, ancillary, *_flags in kept:
                for descriptor in array.array("i", ancillary[0][2]) if ancillary else ():
                    front = poll()
                    front.register(descriptor, 0)
                    if other != token and not front.poll(0):
                        self._send(other, descriptor)
                    os.close(descriptor)


# The master imports this file before it forks (shared-import), and so holds what a worker would
# take with it.
KEEPER = Keeper(uwsgi.numproc)


class Body(pyweb_wsgi.Body):
    """The body of a request; in_records: it came over FastCGI."""

    def __init__(self, source, length: int, in_records: bool) -> None:
        super().__init__(source, length)
        self._in_records = in_records

    def take(self, size: int) -> bytes:
        data = super().take(size)
        if data and not self.left and self._in_records:
            self._read_end()
        return data

    def _read_end(self) -> None:
        """Let uWSGI read the record that ends the body, which it waits for before it ends the
        answer, and which nginx does not send any more once it has the head of one. chunked_read()
        is for another purpose, reads on in the records, and fails at their end.
        """
        try:
            uwsgi.chunked_read(1)
        except OSError:
            pass

    def drain(self) -> None:
        """Read what is left of the request, which has been answered."""
        try:
            while self.rest(pyweb_wsgi.BLOCK):
                pass
        except OSError:
            pass  # the front has gone

    def rest(self, size: int) -> bytes:
        """More that the front has sent, or nothing where no more comes: nginx sends none once it
        has the head of an answer, and may wait for its end, while uWSGI's read() would wait for all
        that it was asked for.
        """
        if not self.left and not self._in_records:
            return b""
        with socket.socket(fileno=os.dup(uwsgi.connection_fd())) as connection:
            waiting = poll()
            waiting.register(connection, POLLIN)
            data = (
                connection.recv(size, socket.MSG_DONTWAIT)
                if self.left and waiting.poll(PATIENCE)
                else b""
            )
            if not self._in_records:
                self.left -= len(data)
            elif not data:
                # Before it ends the answer uWSGI would wait for the rest.
                connection.shutdown(socket.SHUT_RD)
            return data


def wind(seconds: float) -> None:
    uwsgi.set_user_harakiri(math.ceil(seconds))


def notify(address: str | None) -> None:
    """sd_notify(3), when the application is there; uWSGI itself does so before."""
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


def serve() -> Callable:
    """The callable that uWSGI loads."""
    pyweb_wsgi.steady(sys.stdout, sys.stderr)
    sys.executable = os.path.join(sys.prefix, "bin", "python")
    address = os.environ.get("PYWEB_NOTIFY_SOCKET")
    for name in OWN_VARIABLES:
        os.environ.pop(name, None)
    try:
        link, transport = os.environ["PYWEB_LINK"], os.environ.get("PYWEB_TRANSPORT", "")
        silence = float(os.environ.get("PYWEB_SILENCE", 0))
        server = Server(link, transport, silence)
        uwsgi.after_req_hook = server.after_request
        application = pyweb_wsgi.site(server)
    except BaseException:
        if not is_replacement():
            raise
        # uWSGI would end all workers.
        traceback.print_exc()
        sleep(PAUSE)
        os._exit(1)
    notify(address)
    return application


def is_replacement() -> bool:
    """Whether this process takes the place of a worker that has ended."""
    number = uwsgi.worker_id()
    return bool(number) and uwsgi.workers()[number - 1]["respawn_count"] > 0
