# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A group of the conformance client about what runs the application: what it sends on of an answer,
and what a program finds.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator

from client import Check, Target, group
from processes import LINES

FORBIDDEN = (
    "status line", "status", "line break", "NUL", "name", "of the "
                                                          "connection", "text in a list", "text in pieces", "one text", "a number",
    "text by write", "cancelled",
)  # fmt: skip
# A child that is forked while another thread starts a program inherits the pipes between the two.
ALONE = threading.Lock()


@group
def programs(target: Target) -> Iterator[Check]:
    """The answer is the application's or a 500, and the application is a program like others."""
    for kind in FORBIDDEN:

        def refused(t, kind=kind):
            answer = t.ask(t.action("wrong", kind=kind))
            return [answer.status, answer.whole, answer.get("X-Evil")]

        yield Check(f"forbidden: {kind}", refused, ([500, True, None],))
    for kind in ("tuple", "pieces"):
        yield Check(
            f"buffers in {kind}",
            lambda t, kind=kind: t.ask(t.action("buffers", **{"as": kind})).body.decode(),
            ("one two",),
        )
    for name, query, expected in (
        ("whole", {}, LINES),
        ("from a position", {"at": 1200}, LINES[1200:]),
        ("a part", {"at": 1200, "length": 24}, LINES[1200:1224]),
        ("its beginning", {"length": 24}, LINES[:24]),
        ("compressed", {"kind": "compressed"}, LINES),
        ("a pipe", {"kind": "pipe"}, LINES),
    ):

        def sent(t, query=query, expected=expected):
            with ALONE:
                answer = t.ask(t.action("file", **query))
            return (
                "same"
                if answer.whole and answer.body == expected
                else f"{answer.status}, {answer.body[:40]!r}, {len(answer.body)} bytes"
            )

        yield Check(f"file: {name}", sent, ("same",))
    for method, location in (
        ("GET", "/-/answer?body=another"),
        ("POST", "/-/answer?body=another"),
        ("GET", "http://elsewhere.example/x"),
    ):

        def created(t, method=method, location=location):
            token = secrets.token_hex(8)
            where = location if "//" in location else f"{t.mount}{location}&{token}"
            answer = t.ask(
                t.action("answer", header=f"Location: {where}", body="own words", token=token),
                method,
                body=b"" if method == "POST" else None,
            )
            return [
                answer.status,
                answer.body.decode(),
                answer.get("Location") == where,
                len(t.seen(token)),
            ]

        yield Check(
            f"200 with Location {location} to {method}", created, ([200, "own words", True, 1],)
        )
    yield Check(
        "field Status",
        lambda t: [
            (a := t.ask(t.action("answer", header="Status: 404 Not Found", body="x"))).status,
            a.body.decode(),
            a.get("Status"),
        ],
        ([200, "x", None],),
    )
    for by in ("fork", "shell"):

        def left(t, by=by):
            with ALONE:
                begun = time.monotonic()
                answer = t.ask(t.action("leave", by=by))
                return [
                    answer.status,
                    answer.body.decode(),
                    answer.whole,
                    time.monotonic() - begun < 10,
                ]

        yield Check(f"child by {by} that outlives the answer", left, ([202, "left\n", True, True],))
    for ask, expected in {
        "executable": "the site's", "terminate": "-15 -15", "fork": "[49]", "spawn": "[49]", "return": "child 1", "thread": "runs", "words": "said",
        "environment": "a program's",
    }.items():  # fmt: skip

        def found(t, ask=ask):
            with ALONE:
                return t.ask(t.action("process", ask=ask)).body.decode()

        yield Check(f"process: {ask}", found, (expected,))
