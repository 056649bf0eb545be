# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the conformance application has to show of representations and of files."""

from __future__ import annotations

import os
from pathlib import Path

BODY = b'{"a": "' + b"x" * 4000 + b'"}'


def tagged(environ, start_response, query):
    """A document with the entity tag of tag, as RFC 9110 has it: weak comparison to read it, strong
    to change it (13.1).
    """
    tag = query.get("tag", '"v1"')
    if environ["REQUEST_METHOD"] == "PUT":
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        right = environ.get("HTTP_IF_MATCH") == tag and not tag.startswith("W/")
        start_response("204 No Content" if right else "412 Precondition Failed", [])
        return []
    known = [
        each.strip().removeprefix("W/") for each in environ.get("HTTP_IF_NONE_MATCH", "").split(",")
    ]
    if tag.removeprefix("W/") in known:
        start_response("304 Not Modified", [("ETag", tag)])
        return []
    headers = [
        ("Content-Type", query.get("type", "application/json")),
        ("ETag", tag),
        ("Content-Length", str(len(BODY))),
    ]
    if "control" in query:
        headers.append(("Cache-Control", query["control"]))
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [BODY]


def plant(environ, start_response, query):
    """Files in a directory of the site's own that the front serves, and links; extensions: of files
    to be.
    """
    directory = Path("/var/lib/pyweb", os.environ["PYWEB_SITE"], "planted")
    for name in (
        "own.txt",
        *(f"a.{extension}" for extension in query.get("extensions", "").split(",")),
    ):
        (directory / name).write_text("own")
        (directory / name).chmod(0o644)
    # The release is root's, and so is the system's list of accounts.
    targets = {
        "own-link": "own.txt",
        "code": os.path.realpath(__file__),
        "accounts": "/etc/passwd",
        "release": os.path.dirname(os.path.realpath(__file__)),
    }
    for name, target in targets.items():
        if not os.path.lexists(directory / name):
            os.symlink(target, directory / name)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]
