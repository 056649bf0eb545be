# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A WSGI application that shows what a stack makes of a request and of a response.

Any path is answered with the environ as JSON, except those below /-/, which do what their name says
(see ACTIONS) with the query's parameters. What it remembers (/-/seen) is its process's own: run it
in one process.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from urllib.parse import parse_qsl, quote

import processes
from representations import plant, tagged

BLOCK = random.Random(0).randbytes(65536 - 8)
SEEN: collections.deque = collections.deque(maxlen=4000)


def pattern(size: int):
    """Bytes that are the same each time, in blocks that differ."""
    for number in range(0, size, 65536):
        yield (number.to_bytes(8, "big") + BLOCK)[: size - number]


def remember(what: str) -> None:
    SEEN.append(what)


def read_body(environ: dict, read: str = "sized"):
    """As frameworks do: as much as CONTENT_LENGTH says; without it, to the end where the server
    says there is one.
    """
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    if not length and not environ.get("wsgi.input_terminated"):
        return
    if read == "lines":
        yield from stream
    elif read == "all":
        yield stream.read()
    elif read == "readline":
        while data := stream.readline():
            yield data
    else:
        left = int(length) if length else None
        while left != 0:
            data = stream.read(65536 if left is None else min(65536, left))
            if not data:
                break
            left = None if left is None else left - len(data)
            yield data


def shown(value):
    """An environ's value for JSON: texts as they are, numbers of wsgi.version, else the type."""
    if isinstance(value, (str, bool, int)):
        return value
    return list(value) if isinstance(value, tuple) else f"<{type(value).__name__}>"


def respond_json(start_response, told, status="200 OK"):
    body = json.dumps(told).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]


def echo(environ, start_response, query):
    return respond_json(start_response, {key: shown(value) for key, value in environ.items()})


def about(environ, start_response, query):
    keys = ("PYWEB_REQUEST_TIMEOUT", "CONFORMANCE_MAX_BODY_SIZE")
    told = {"pid": os.getpid(), "debian": platform.freedesktop_os_release().get("VERSION_ID", "")}
    return respond_json(start_response, {**told, **{key: os.environ.get(key) for key in keys}})


def seen(environ, start_response, query):
    """What has reached the application and holds the token; a copy, since other threads remember
    more meanwhile.
    """
    return respond_json(start_response, [line for line in tuple(SEEN) if query["token"] in line])


def upload(environ, start_response, query):
    """Length and checksum of the body; read: sized, lines, readline, all; answer=first: begun
    before the body is read.
    """

    def read():
        length, digest = 0, hashlib.sha256()
        for data in read_body(environ, query.get("read", "sized")):
            length += len(data)
            digest.update(data)
        remember(f"upload {length} {query.get('token')}")
        return {"length": length, "sha256": digest.hexdigest()}

    def pieces():
        yield b" "
        yield json.dumps(read()).encode()

    if query.get("answer") == "first":
        start_response("200 OK", [("Content-Type", "application/json")])
        return pieces()
    return respond_json(start_response, read())


def ignore(environ, start_response, query):
    """An answer that does not read the body."""
    body = b"not wanted"
    start_response(
        query.get("line", "413 Too Large"),
        [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))],
    )
    return [body]


def download(environ, start_response, query):
    """size bytes of the pattern, with Content-Length unless length=0, by=write, file or
    generator.
    """
    size = int(query["size"])
    headers = [("Content-Type", "application/octet-stream")]
    if query.get("length", "1") == "1":
        headers.append(("Content-Length", str(size)))
    write = start_response("200 OK", headers)
    by = query.get("by", "generator")
    if by == "write":
        for data in pattern(size):
            write(data)
        return []
    if by == "file":
        file = tempfile.TemporaryFile()
        file.writelines(pattern(size))
        file.seek(0)
        return (
            environ["wsgi.file_wrapper"](file, 65536)
            if "wsgi.file_wrapper" in environ
            else iter(lambda: file.read(65536), b"")
        )
    return pattern(size)


def answer(environ, start_response, query):
    """The status line of line, the fields of each header (Name: value), body; as=pieces: by a
    generator.
    """
    pairs = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
    headers = [tuple(value.split(": ", 1)) for name, value in pairs if name == "header"]
    body = query.get("body", "").encode("latin-1")
    if query.get("length", "1") == "1":
        headers.append(("Content-Length", str(len(body))))
    start_response(query.get("line", "200 OK"), headers)
    pieces = [body] if body else []
    return (piece for piece in pieces) if query.get("as") == "pieces" else pieces


def big(environ, start_response, query):
    """A response header of size bytes."""
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/plain"),
            ("Content-Length", "2"),
            ("X-Big", "b" * int(query["size"])),
        ],
    )
    return [b"ok"]


def stream(environ, start_response, query):
    """count pieces with a pause between them; by=write uses write()."""
    count, pause = int(query.get("count", "3")), float(query.get("pause", "0.3"))
    write = start_response("200 OK", [("Content-Type", "text/plain")])

    def pieces():
        for number in range(count):
            if number:
                time.sleep(pause)
            yield f"piece {number}\n".encode()

    if query.get("by") == "write":
        for piece in pieces():
            write(piece)
        return []
    return pieces()


def sleep(environ, start_response, query):
    time.sleep(float(query["seconds"]))
    return respond_json(start_response, {})


def die(environ, start_response, query):
    os.kill(os.getpid(), signal.SIGKILL)


class Remembered:
    """An iterable that remembers when it is closed."""

    def __init__(self, pieces, token: str) -> None:
        self._pieces = iter(pieces)
        self._token = token

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._pieces)

    def close(self) -> None:
        remember(f"closed {self._token}")


def closing(environ, start_response, query):
    """size bytes in pieces that are generated while they are wanted; empty ones among them; close()
    is remembered.
    """
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    pieces = (piece for data in pattern(int(query.get("size", "10"))) for piece in (b"", data, b""))
    return Remembered(pieces, query["token"])


class Broken(Exception):
    """On purpose."""


def fail(environ, start_response, query):
    """An exception: at=call, start (after start_response), first (of the iterable), middle; length:
    Content-Length.
    """
    at = query["at"]
    kind = SystemExit if query.get("kind") == "exit" else Broken
    if at == "call":
        raise kind("at the call")
    headers = [("Content-Type", "text/plain")]
    if query.get("length") == "1":
        headers.append(("Content-Length", "100000"))
    write = start_response("200 OK", headers)
    if at == "start":
        raise kind("after start_response")
    if at == "write":
        write(b"x" * 50000)
        raise kind("after write")

    def pieces():
        if at == "middle":
            yield b"x" * 50000
            time.sleep(0.2)
        if query.get("kind") == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise kind("in the iterable")
        yield b"never"

    return pieces()


def replaced(environ, start_response, query):
    """start_response called again with exc_info, before anything was sent: the second holds."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "1")])
    try:
        raise Broken("handled")
    except Broken:
        start_response(
            "503 Handled", [("Content-Type", "text/plain"), ("Content-Length", "7")], sys.exc_info()
        )
    return [b"handled"]


ACTIONS = {
    "about": about, "answer": answer, "big": big, "closing": closing, "die": die, "download": download, "fail": fail, "ignore": ignore,
    "plant": plant, "replaced": replaced, "seen": seen, "sleep": sleep, "stream": stream, "tagged": tagged, "upload": upload, **processes.ACTIONS,
}  # fmt: skip


def application(environ, start_response):
    path = environ.get("PATH_INFO", "")
    query = dict(
        parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True, encoding="latin-1")
    )
    action = ACTIONS.get(path[3:]) if path.startswith("/-/") else None
    if action is not seen:
        remember(
            f"{environ['REQUEST_METHOD']} "
            f"{quote(path, encoding='latin-1')}?{environ.get('QUERY_STRING', '')}"
        )
    return (action or echo)(environ, start_response, query)
