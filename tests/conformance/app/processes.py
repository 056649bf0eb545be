# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Actions of the conformance application that need more of a back than an answer: what it is as a
process, and what it must not send on.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time

LINES = b"".join(b"line %06d\n" % number for number in range(10000))
TICKS: list[float] = []


def tick() -> None:
    while True:
        TICKS.append(time.monotonic())
        del TICKS[:-10]
        time.sleep(0.05)


threading.Thread(target=tick, daemon=True).start()


def respond(start_response, text: str):
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def file(environ, start_response, query):
    """A file by wsgi.file_wrapper: kind plain, compressed or pipe, from the position at; length:
    Content-Length.
    """
    kind, at = query.get("kind", "plain"), int(query.get("at", "0"))
    if kind == "pipe":
        opened = subprocess.Popen(
            ["seq", "-f", "line %06.0f", "0", "9999"], stdout=subprocess.PIPE
        ).stdout
    else:
        opened = tempfile.TemporaryFile()
        opened.write(gzip.compress(LINES) if kind == "compressed" else LINES)
        opened.seek(0)
        opened = gzip.GzipFile(fileobj=opened) if kind == "compressed" else opened
        opened.seek(at)
    headers = [("Content-Type", "text/plain")]
    if "length" in query:
        headers.append(("Content-Length", query["length"]))
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](opened, 8192)


def wrong(environ, start_response, query):
    """What PEP 3333 does not allow, or that no back may lose."""
    kind = query["kind"]
    if kind == "cancelled":
        raise asyncio.CancelledError
    status = {"status line": "200 OK\r\nX-Evil: 1", "status": "OK"}.get(kind, "200 OK")
    headers = {
        "line break": [("Location", "/a\r\nX-Evil: 1")],
        "NUL": [("X-A", "a\0b")],
        "name": [("X-Evil: 1\r\nX-A", "b")],
        "of the connection": [("Transfer-Encoding", "chunked")],
    }.get(kind, [])
    write = start_response(status, [("Content-Type", "text/plain"), *headers])
    if kind == "text by write":
        write("text")
    bodies = {
        "text in a list": ["text"],
        "text in pieces": iter(["text"]),
        "one text": "text",
        "a number": iter([1]),
    }
    return bodies.get(kind, [b"ok"])


def buffers(environ, start_response, query):
    start_response("200 OK", [("Content-Type", "text/plain")])
    pieces = (bytearray(b"one "), memoryview(b"two"))
    return pieces if query["as"] == "tuple" else iter(pieces)


def leave(environ, start_response, query):
    """A stream without a length, and a child by fork or by the shell that outlives it."""
    if query["by"] == "fork":
        multiprocessing.get_context("fork").Process(
            target=time.sleep, args=(15,), daemon=True
        ).start()
    else:
        os.system("sleep 15 &")
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return iter([b"left\n"])


def square(number: int) -> int:
    return number * number


def process(environ, start_response, query):
    """What a program finds, and what becomes of programs that it starts."""
    ask = query["ask"]
    if ask == "executable":
        done = subprocess.run(
            [sys.executable, "-c", "import sys; print(sys.prefix)"],
            capture_output=True,
            text=True,
            check=False,
        )
        return respond(
            start_response,
            "the site's"
            if done.stdout.strip() == os.path.realpath(sys.prefix)
            else f"{sys.executable}: {done}",
        )
    if ask == "terminate":
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
        child.start()
        time.sleep(0.2)
        child.terminate()
        child.join(5)
        program = subprocess.Popen(["sleep", "20"])
        program.terminate()
        try:
            status = program.wait(5)
        except subprocess.TimeoutExpired:
            status = None
            program.kill()
        return respond(start_response, f"{child.exitcode} {status}")
    if ask in ("fork", "spawn"):
        with multiprocessing.get_context(ask).Pool(1) as pool:
            return respond(start_response, str(pool.map(square, [7])))
    if ask == "return":
        pid = os.fork()
        if not pid:
            return respond(start_response, "the child's answer")
        return respond(start_response, f"child {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
    if ask == "thread":
        return respond(
            start_response, "runs" if time.monotonic() - TICKS[-1] < 3 else "stands still"
        )
    if ask == "words":
        odd = os.fsdecode(b"gr\xfcn")
        print(odd)
        print(odd, file=sys.stderr)
        environ["wsgi.errors"].write(f"{odd}\n")
        return respond(start_response, "said")
    names = ("NOTIFY_SOCKET", "LISTEN_FDS", "APACHE_RUN_DIR", "UWSGI_RELOADS")
    found = [name for name in names if name in os.environ] + [
        name for name in ("HOME", "LOGNAME", "STATE_DIRECTORY", "LANG") if name not in os.environ
    ]
    return respond(start_response, " ".join(found) or "a program's")


ACTIONS = {"buffers": buffers, "file": file, "leave": leave, "process": process, "wrong": wrong}
