# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the runtime files share: interpreters, a runner under a stand-in for systemd,
and a front.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ansible_collections.pyweb.stack.plugins.module_utils._protocols import (
    DECODERS,
    ENCODERS,
    Request,
)

RUNTIME = Path(__file__).parents[2] / "roles" / "app" / "files" / "runtime"


def runtime_module(name: str):
    """A file of the runtime as a module, which leaves no bytecode beside it."""
    spec = importlib.util.spec_from_file_location(name, RUNTIME / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


# The others of them import it.
sys.modules["pyweb_watchdog"] = runtime_module("pyweb_watchdog")

# Gives a process the listening socket as systemd does: as descriptor 3, with its own number in
# LISTEN_PID.
LAUNCHER = 'exec 3<&"$0"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'

APPLICATION = '''
import atexit, ctypes, json, multiprocessing, os, resource, sys, threading, time

atexit.register(print, "atexit", file=sys.stderr)


def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"].strip("/").partition("/")
    view = globals().get("see_" + name, see_environ)
    return view(environ, start_response, argument)


def ok(start_response, *headers):
    return start_response("200 OK", [("Content-Type", "text/plain"), *headers])


def see_environ(environ, start_response, argument):
    ok(start_response)
    texts = {key: value for key, value in environ.items() if isinstance(value, (str, bool))}
    return [json.dumps({**texts, "input": type(environ["wsgi.input"]).__name__, "pid": os.getpid()}).encode()]


def see_read(environ, start_response, argument):
    """wsgi.input, read in the way that the query string says."""
    data = eval(environ["QUERY_STRING"], {"input": environ["wsgi.input"]})
    assert isinstance(data, (bytes, list)), data
    ok(start_response)
    return [repr(data).encode()]


def see_count(environ, start_response, argument):
    """The size of the body, read in small pieces."""
    size = 0
    while data := environ["wsgi.input"].read(8192):
        size += len(data)
    ok(start_response)
    return [str(size).encode(), b" ", peak().encode()]


def see_zeros(environ, start_response, argument):
    """As many bytes as asked for, in pieces."""
    ok(start_response)
    for _ in range(int(argument) // 65536):
        yield bytes(65536)
    yield peak().encode()


def peak():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM"))  # KiB


def see_block(environ, start_response, argument):
    ok(start_response)
    return [b"x" * int(argument)]


def see_stream(environ, start_response, argument):
    ok(start_response)
    yield b"first"
    time.sleep(float(argument))
    yield b"second"


def see_sleep(environ, start_response, argument):
    time.sleep(float(argument))
    ok(start_response)
    return [str(os.getpid()).encode()]


def see_hold(environ, start_response, argument):
    """Keep the GIL for the given seconds."""
    ctypes.PyDLL(None).usleep(int(float(argument) * 1000000))
    ok(start_response)
    return [b"held"]


def see_early(environ, start_response, argument):
    start_response("413 Content Too Large", [("Content-Type", "text/plain")])
    return [b"too large"]


def see_files(environ, start_response, argument):
    """Take all descriptors below the given number."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * int(argument),) * 2)
    while os.open("/dev/null", os.O_RDONLY) < int(argument):
        pass
    ok(start_response)
    return [b""]


def see_fail(environ, start_response, argument):
    raise ValueError("before")


def see_fail_late(environ, start_response, argument):
    ok(start_response)
    yield b"begun"
    raise BrokenPipeError(32, "the application's own")


def see_exit(environ, start_response, argument):
    os._exit(3)


def see_quit(environ, start_response, argument):
    sys.exit("within a request")


def see_silent(environ, start_response, argument):
    return [b"no start_response"]


def see_split(environ, start_response, argument):
    ok(start_response, ("X-Split", "a\\r\\nSet-Cookie: b"))
    return [b""]


def see_empty(environ, start_response, argument):
    start_response(argument, [])
    return [b""]


def see_write(environ, start_response, argument):
    write = ok(start_response)
    write(b"written ")
    return [b"returned"]


def see_close(environ, start_response, argument):
    """A result whose close() says so on stderr."""
    class Result(list):
        def close(self):
            print("closed", argument, file=sys.stderr, flush=True)
    ok(start_response)
    return Result([b"data"])


def see_print(environ, start_response, argument):
    print("printed", argument, os.fsdecode(b"gr\\xfcn"))
    ok(start_response)
    return [b""]


def see_terminate(environ, start_response, argument):
    """How a child that only waits ends, and a program that is started."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
    child.start()
    time.sleep(0.2)
    child.terminate()
    child.join(5)
    ok(start_response)
    return [str(child.exitcode).encode()]


def see_left(environ, start_response, argument):
    """A stream without a length, and a child that outlives it."""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(float(argument),), daemon=True)
    child.start()
    ok(start_response)
    yield b"done"


def see_linger(environ, start_response, argument):
    """A thread of the application that does not end."""
    threading.Thread(target=time.sleep, args=(float(argument),)).start()
    ok(start_response)
    return [b""]
'''


def interpreter(version: str) -> tuple[str | None, str]:
    """The path of a Python, or None and the reason. A pyenv shim may exist for one that is switched
    off.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [
        shutil.which(f"python{version}"),
        *sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}")),
    ]
    for path in filter(None, found):
        result = subprocess.run(
            [path, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
        )
        if result.returncode == 0:
            return result.stdout.strip(), ""  # the interpreter itself, not the shim
    return None, f"python{version} is neither in PATH nor below {pyenv}"


def flup_alone(directory: Path) -> Path:
    """A directory for PYTHONPATH with flup and nothing else of this interpreter's packages."""
    (directory / "flup").symlink_to(Path(importlib.util.find_spec("flup").origin).parent)
    return directory


class Runner:
    """pyweb_flup behind a listening socket that outlives it."""

    def __init__(
        self, directory: Path, python: str, flup: Path, link: str, transport: str = "unix"
    ) -> None:
        self.link = link
        self.python = python
        self._directory = directory
        self._log = directory / "log"
        self._log.touch()
        (directory / "app.py").write_text(APPLICATION)
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPYCACHEPREFIX": str(flup / "cache"),
            "PYTHONPATH": os.pathsep.join(map(str, (flup, RUNTIME, directory))),
            "PYWEB_APPLICATION": "app:application",
            "PYWEB_LINK": link,
            "PYWEB_PROCESSES": "1",
            "PYWEB_THREADS": "2",
            "PYWEB_SILENCE": "20",
            "PYWEB_MAX_REQUESTS": "0",
            "NOTIFY_SOCKET": str(directory / "notify"),
        }
        if transport == "unix":
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(directory / "socket"))
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(4096)
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(self.environ["NOTIFY_SOCKET"])
        self._notifications.settimeout(20)
        self.process: subprocess.Popen | None = None

    def start(
        self,
        ready: bool = True,
        command: tuple[str, ...] = ("-m", "pyweb_flup"),
        **settings: object,
    ) -> Runner:
        environ = {
            **self.environ,
            **{f"PYWEB_{key.upper()}": str(value) for key, value in settings.items()},
        }
        descriptor = self.listener.fileno()
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", LAUNCHER, str(descriptor), self.python, *command],
                env=environ,
                cwd=self._directory,
                pass_fds=[descriptor],
                stdout=log,
                stderr=log,
            )
        if ready:
            assert self.notification() == "READY=1", self.log()
        return self

    def notification(self) -> str:
        return self._notifications.recv(1024).decode()

    def has_notified(self) -> bool:
        return bool(select.select([self._notifications], [], [], 0)[0])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def log(self) -> str:
        return self._log.read_text()

    def connect(self) -> socket.socket:
        sock = socket.socket(self.listener.family)
        sock.settimeout(20)
        sock.connect(self.listener.getsockname())
        return sock

    def ask(self, target: str = "/", **request: object):
        return self.exchange(Request(target, **request))

    def exchange(self, request: Request):
        with self.connect() as sock:
            sock.sendall(ENCODERS[self.link](request))
            return self.answer(sock, request.method)

    def answer(self, sock: socket.socket, method: str = "GET", body_limit: int | None = None):
        decoder = DECODERS[self.link](method, body_limit)
        while not decoder.finished:
            data = sock.recv(65536)
            if data:
                decoder.feed(data)
            else:
                decoder.close()
        return decoder.response

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()  # its workers see the end of their channels
            self.process.wait()
        self.listener.close()
        self._notifications.close()


@contextlib.contextmanager
def within(seconds: float):
    """The block takes no longer."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < seconds, f"took {took:.1f} s"


def eventually(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
