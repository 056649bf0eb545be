# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The WSGI callable that every back loads: the site's own application, seen the same over every link.

What a link spoils in the environ is repaired by functions that know nothing but the environ; `repairs` says which
a link needs. Around the application itself there is one thing only: where it fails before its response has begun,
the answer is a plain 500 and the traceback is in wsgi.errors; where it fails later, the exception goes on to the
server, which breaks the connection off.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator

# What a client may have made up: a framework that believes one of these would be told a wrong address, scheme or
# host, or a wrong proxy for its own requests (HTTP_PROXY). What is true of them is in REMOTE_ADDR, wsgi.url_scheme,
# HTTP_HOST and SCRIPT_NAME.
UNTRUSTED = (
    "HTTP_CLIENT_IP",
    "HTTP_FORWARDED",
    "HTTP_PROXY",
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


class BadRequest(Exception):
    """A request that no front of ours has sent on as it is; the text says why."""


def load(name: str) -> Callable:
    """The object that "package.module:attribute.attribute" names."""
    module, colon, path = name.partition(":")
    found = functools.reduce(getattr, path.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"PYWEB_APPLICATION is {name!r}, which is {found!r} and cannot be called")
    return found


def repairs(link: str, mount: str) -> tuple[Callable[[dict], None], ...]:
    """The functions that mend the environ of a link, in their order."""
    if link == "http":
        return believe_forwarded, functools.partial(split_mount, mount), drop_untrusted
    return believe_variables, drop_untrusted


def believe_forwarded(environ: dict) -> None:
    """Take address and scheme of the client from the two headers that the front sets over http.

    More than one value means that a client's own header came through under another spelling: which of them is the
    front's cannot be told any more. A request without them was not made through the front (a probe).
    """
    address = environ.get("HTTP_X_FORWARDED_FOR")
    if address is not None:
        if not address or not address.isprintable() or "," in address or " " in address:
            raise BadRequest("X-Forwarded-For does not hold one address")
        environ["REMOTE_ADDR"] = address
        environ.pop("REMOTE_PORT", None)  # the front's own, not the client's
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "http")
    if scheme not in ("http", "https"):
        raise BadRequest("X-Forwarded-Proto is neither http nor https")
    set_scheme(environ, scheme)
    host = environ.get("HTTP_HOST")
    if host:
        # The back's own name and port say nothing to who sees the site through the front.
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdecimal():
            name, port = host, "443" if scheme == "https" else "80"
        environ["SERVER_NAME"] = name
        environ["SERVER_PORT"] = port


def believe_variables(environ: dict) -> None:
    """Take the scheme from the front's own variables: uWSGI believes a client's X-Forwarded-Proto over every link."""
    secure = environ.get("HTTPS", "").lower() in ("on", "1") or environ.get("REQUEST_SCHEME") == "https"
    set_scheme(environ, "https" if secure else "http")


def set_scheme(environ: dict, scheme: str) -> None:
    environ["wsgi.url_scheme"] = environ["REQUEST_SCHEME"] = scheme
    if scheme == "https":
        environ["HTTPS"] = "on"
    else:
        environ.pop("HTTPS", None)


def split_mount(mount: str, environ: dict) -> None:
    """Move the mount from PATH_INFO to SCRIPT_NAME, unless the back has done so."""
    path = environ.get("PATH_INFO", "")
    if mount and not environ.get("SCRIPT_NAME") and (path == mount or path.startswith(mount + "/")):
        environ["SCRIPT_NAME"] = mount
        environ["PATH_INFO"] = path[len(mount):]


def drop_untrusted(environ: dict) -> None:
    for name in UNTRUSTED:
        if name in environ:
            del environ[name]


def wrap(application: Callable, repair: Iterable[Callable[[dict], None]]) -> Callable:
    """The application behind the repairs, with one answer to its failures."""

    def wrapped(environ: dict, start_response: Callable) -> Iterable[bytes]:
        try:
            for mend in repair:
                mend(environ)
        except BadRequest as error:
            log(environ, f"Bad request: {error}\n")
            return [answer("400 Bad Request", start_response)]
        try:
            result = application(environ, start_response)
            if runs_no_code(environ, result):
                return result
            return Guarded(result, environ, start_response)
        except (Exception, SystemExit):
            return [server_error(environ, start_response)]

    return wrapped


def runs_no_code(environ: dict, result: object) -> bool:
    """Whether reading the result runs none of the application's code, or it is a file that the server sends itself.

    Such a result goes to the server as it is: uWSGI recognizes a file by its identity.
    """
    kind = type(result)
    return kind is list or kind is tuple or kind is environ.get("wsgi.file_wrapper") or hasattr(result, "read")


class Guarded:
    """An application's iterable, whose failure before the first byte is a 500."""

    __slots__ = ("_begun", "_environ", "_iterator", "_result", "_start_response")

    def __init__(self, result: Iterable[bytes], environ: dict, start_response: Callable) -> None:
        self._result = result
        self._iterator = iter(result)
        self._environ = environ
        self._start_response = start_response
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            data = next(self._iterator)
        except StopIteration:
            raise
        except (Exception, SystemExit):
            if self._begun:
                raise
            self._iterator = iter(())
            data = server_error(self._environ, self._start_response)
        if data:
            self._begun = True
        return data

    def close(self) -> None:
        close = getattr(self._result, "close", None)
        if close is not None:
            close()


def server_error(environ: dict, start_response: Callable) -> bytes:
    """Begin the answer to the exception at hand and return its body; raises it again where another has begun."""
    body = answer("500 Internal Server Error", start_response, sys.exc_info())
    log(environ, traceback.format_exc())
    return body


def log(environ: dict, text: str) -> None:
    errors = environ["wsgi.errors"]
    errors.write(text)
    errors.flush()  # uWSGI would keep it until there is more


def answer(status: str, start_response: Callable, exc_info: tuple | None = None) -> bytes:
    body = status[4:].encode()
    try:
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))], exc_info)
    except SystemError as error:
        # uWSGI takes the new status and headers, and leaves the exception set, which Python then finds fault with.
        if not exc_info or error.__cause__ is not exc_info[1]:
            raise
    return body


application = wrap(
    load(os.environ["PYWEB_APPLICATION"]),
    # PEP 3333: an environ's texts hold one byte a character
    repairs(os.environ["PYWEB_LINK"], os.fsencode(os.environ.get("PYWEB_SCRIPT_NAME", "")).decode("latin-1")),
)
