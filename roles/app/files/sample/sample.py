# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample site: one page that shows the stack which serves it.

A person gets HTML. A program gets the same as JSON when it asks for ``?format=json``, or when its
Accept header names application/json and not text/html. The front serves ``static/`` at
``<mount>/static/``.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import threading
from html import escape
from importlib import import_module, metadata
from pathlib import Path
from urllib.parse import parse_qs, quote

HEADERS = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Vary", "Accept"),
    ("X-Content-Type-Options", "nosniff"),
]

# A page that repeats these would give a script on the same origin what HttpOnly keeps from it.
CREDENTIALS = {"HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_PROXY_AUTHORIZATION"}

# Found once: "current" may point elsewhere by the time of a request, while this process still runs
# its old code.
CODE = Path(__file__).resolve().parent
RELEASE = CODE.name if CODE.parent.name == "releases" else None

LAYOUT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="icon" type="image/svg+xml" href="{mount}/static/stack.svg">
<link rel="stylesheet" href="{mount}/static/style.css">
</head>
<body>
{body}
</body>
</html>
"""

PAGE = """<header>
<img src="{mount}/static/stack.svg" width="96" height="96" alt="Logo: three stacked layers">
<div><h1>It works</h1><p>{summary}</p></div>
</header>
<main>
<h2 id="way">The way of this request</h2>
<ol class="way" aria-labelledby="way">
{steps}
</ol>
<p>The logo above is a static file: the front sends it without asking the application.</p>
<p>This sample site of pyweb.stack tells every visitor how its host is set up. Put your own site in
its place with the variable <code>sites</code>. Programs can read this page
<a href="{mount}/?format=json">as JSON</a>.</p>
<h2 id="environ">What the application was given</h2>
<p>The text values of the WSGI environ of this request. Credentials are hidden.</p>
<table aria-labelledby="environ">
<tr><th scope="col">Name</th><th scope="col">Value</th></tr>
{rows}
</table>
</main>"""

ERROR = """<main>
<h1>{status}</h1>
<p>{reason} <a href="{mount}/">Go to its page</a>.</p>
</main>"""


def application(environ, start_response):
    mount = quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1")
    method = environ["REQUEST_METHOD"]
    headers, content_type = list(HEADERS), "text/html; charset=utf-8"
    if environ.get("PATH_INFO", "") not in ("", "/"):
        status = "404 Not Found"
        content = error(status, "The sample site has one page only.", mount)
    elif method not in ("GET", "HEAD"):
        status = "405 Method Not Allowed"
        content = error(status, "The sample site can only be read.", mount)
        headers.append(("Allow", "GET, HEAD"))
    else:
        status = "200 OK"
        facts = describe(environ)
        if wants_json(environ):
            content, content_type = json.dumps(facts, indent=2) + "\n", "application/json"
        else:
            content = page(facts, mount)
    body = content.encode("utf-8")
    headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [] if method == "HEAD" else [body]


def wants_json(environ):
    chosen = parse_qs(environ.get("QUERY_STRING", "")).get("format")
    if chosen:
        return chosen[-1] == "json"
    accept = environ.get("HTTP_ACCEPT", "").lower()
    return "application/json" in accept and "text/html" not in accept


def describe(environ):
    """What serves this request; None stands for what nobody told."""
    link = os.environ.get("PYWEB_LINK")
    back = os.environ.get("PYWEB_BACK")
    # Over http this is the back's own name, if anything: a front does not send its version along.
    software = "" if link == "http" else environ.get("SERVER_SOFTWARE", "")
    product, slash, version = software.partition(" ")[0].partition("/")
    front = os.environ.get("PYWEB_FRONT") or product.lower() or None
    return {
        "front": front,
        "link": link,
        "transport": os.environ.get("PYWEB_TRANSPORT"),
        "endpoint": os.environ.get("PYWEB_ENDPOINT"),
        "back": back,
        "versions": {
            "front": version if version and product.lower() == front else None,
            "back": back_version(back),
            "python": platform.python_version(),
            "debian": debian_version(),
        },
        "process": os.getpid(),
        "thread": threading.current_thread().name,
        "user": user(),
        "site": os.environ.get("PYWEB_SITE"),
        "release": RELEASE,
        "python": platform.python_version(),
        "environ": request_environ(environ),
    }


def back_version(back):
    if not back:
        return None
    try:
        return metadata.version(back)  # of one in the virtual environment
    except metadata.PackageNotFoundError:
        pass
    try:
        # Others offer a module of their name to the code they run, and to no other.
        version = import_module(back).version
        return version.decode() if isinstance(version, bytes) else ".".join(map(str, version))
    except (ImportError, AttributeError):
        return None


def debian_version():
    try:
        return Path("/etc/debian_version").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def user():
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def request_environ(environ):
    """The texts of the WSGI environ, without any that a server copied there from the process's
    environment.
    """
    return {
        name: "(hidden)" if name in CREDENTIALS else value
        for name, value in sorted(environ.items())
        if isinstance(value, str) and name not in os.environ
    }


def page(facts, mount):
    versions = facts["versions"]
    front, link, back = (facts[name] or "unknown" for name in ("front", "link", "back"))
    steps = [
        step("Browser", "you", {"address": facts["environ"].get("REMOTE_ADDR")}),
        step("Front", front, {"version": versions["front"]}),
        step("Link", link, {"transport": facts["transport"], "endpoint": facts["endpoint"]}),
        step(
            "Back",
            back,
            {
                "version": versions["back"],
                "process": facts["process"],
                "thread": facts["thread"],
                "user": facts["user"],
            },
        ),
        step(
            "Application",
            facts["site"] or "sample",
            {
                "release": facts["release"],
                "Python": versions["python"],
                "Debian": versions["debian"],
            },
        ),
    ]
    rows = (
        f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>'
        for name, value in facts["environ"].items()
    )
    return LAYOUT.format(
        mount=mount,
        title=text(f"It works: {front} and {back}"),
        body=PAGE.format(
            mount=mount,
            summary=text(f"{front} serves this Python application through {back}."),
            steps="\n".join(steps),
            rows="\n".join(rows),
        ),
    )


def step(role, name, details):
    items = "".join(
        f"<div><dt>{text(label)}</dt><dd>{text(value)}</dd></div>"
        for label, value in details.items()
        if value is not None
    )
    return (
        f"<li><h3>{role}</h3><p>{text(name)}</p>" + (f"<dl>{items}</dl>" if items else "") + "</li>"
    )


def error(status, reason, mount):
    return LAYOUT.format(
        mount=mount, title=status, body=ERROR.format(status=status, reason=reason, mount=mount)
    )


def text(value):
    """Escape for HTML; control characters, which HTML forbids, appear as Python writes them."""
    return escape("".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(value)))
