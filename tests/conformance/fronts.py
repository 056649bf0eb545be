# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Groups of the conformance client about what a front adds: whom to believe, compression, and
files.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

from client import LIE, Check, Response, Target, Wire, group, uploaded
from representations import BODY

GZIP = ("Accept-Encoding", "gzip")
# Another spelling of a field is one name to an application, or none.
SPELLINGS = (
    "X_Auth_User",
    "X_Auth-User",
    "X-Auth_User",
    "x_auth_user",
    "X.Auth.User",
    "X-Auth.User",
    "X~Auth~User",
    "X!Auth-User",
    "X'Auth'User",
)
# What a front or the wrapper says in fields of its own, or may not lose.
NAMED = (
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Pywebfront",
    "X-Auth-User",
    "Host",
    "Cookie",
    "Authorization",
    "Content-Type",
)


@group
def trust(target: Target) -> Iterator[Check]:
    """Fields that only a front, or a gateway before it, may set or take away."""
    with Wire(target) as wire:
        own = wire.own_address
    sent = (
        ("X-Auth-User", "alice"),
        ("Cookie", "a=1"),
        ("Authorization", "Bearer x"),
        ("Content-Type", "a/b"),
    )

    def named(t, name):
        told = t.environ("/", (("Connection", f"close, {name}"), *sent))
        wanted = {"REMOTE_ADDR": own, "wsgi.url_scheme": "http", "HTTP_HOST": t.host, "HTTP_X_AUTH_USER": "alice", "HTTP_COOKIE": "a=1",
                  "HTTP_AUTHORIZATION": "Bearer x", "CONTENT_TYPE": "a/b"}  # fmt: skip
        return (
            ", ".join(
                f"{key}={told.get(key)}" for key, value in wanted.items() if told.get(key) != value
            )
            or "is there"
        )

    for name in NAMED:
        yield Check(
            f"{name} that Connection names", lambda t, name=name: named(t, name), ("is there",)
        )

    def length_named(t):
        answer = t.ask(
            t.action("upload"),
            "POST",
            [("Connection", "Content-Length, Transfer-Encoding")],
            b"hello",
        )
        return uploaded(answer, b"hello")

    yield Check("Content-Length that Connection names", length_named, ("same",))

    def user(t, fields):
        told = t.environ("/", fields)
        return (
            "refused"
            if "status" in told and Response(status=told["status"]).refused
            else told.get("HTTP_X_AUTH_USER", "none")
        )

    for spelling in SPELLINGS:
        lie = (spelling, "admin")
        yield Check(f"{spelling} alone", lambda t, lie=lie: user(t, (lie,)), ("none", "refused"))
        yield Check(
            f"{spelling} after X-Auth-User",
            lambda t, lie=lie: user(t, (("X-Auth-User", "alice"), lie)),
            ("alice", "refused"),
        )
        yield Check(
            f"{spelling} before X-Auth-User",
            lambda t, lie=lie: user(t, (lie, ("X-Auth-User", "alice"))),
            ("alice", "refused"),
        )

    def believed(t, name, value):
        told = t.environ("/", ((name, value),))
        found = [
            key
            for key in (
                "REMOTE_USER",
                "AUTH_TYPE",
                "HTTP_REMOTE_USER",
                "HTTP_PYWEBFRONT",
                "PYWEB_PATH",
            )
            if key in told
        ]
        wrong = [
            key
            for key, true in {"REMOTE_ADDR": own, "SCRIPT_NAME": t.mount, "PATH_INFO": "/"}.items()
            if "status" not in told and told.get(key) != true
        ]
        return ", ".join(found + wrong) or (
            "believed" if LIE in json.dumps(told) else "not believed"
        )

    for name, value in (
        ("Remote-User", "root"), ("Remote_User", "root"), ("REMOTE.USER", "root"), ("Auth-Type", "Basic"), ("Pywebfront", f"nginx Basic {LIE}"),
        ("PYWEBFRONT", "Apache "
                       f"Digest {LIE}"), ("Pyweb-Path", "/evil"), ("Pyweb_Path", "/evil"), ("Script_Name", "/evil"), ("Path-Info", "/evil"), ("Path_Info", "/evil"),
        # Claimed, and asked for by nobody.
        ("Authorization", "Basic cm9vdDpyb290"),
    ):  # fmt: skip
        yield Check(
            f"{name}: {value}",
            lambda t, name=name, value=value: believed(t, name, value),
            ("not believed",),
        )
    yield Check(
        "SERVER_PORT is none of Host's",
        lambda t: t.environ("/", (("Host", f"{t.name}:8000"),)).get("SERVER_PORT"),
        (str(target.port),),
    )
    yield Check(
        "SERVER_SOFTWARE is the front's",
        lambda t: t.environ().get("SERVER_SOFTWARE", "").lower().startswith(t.front),
        (True,),
    )
    yield Check(
        "Host with an underscore",
        lambda t: t.ask("/", headers=[("Host", f"a_b.{t.name}")]).status,
        (421,),
    )
    yield Check("TRACE is refused", lambda t: t.ask("/", "TRACE").status, (405,))
    yield Check(
        "request field of 30,000",
        lambda t: (
            "same" if t.environ("/", (("X-Big", "b" * 30_000),)).get("HTTP_X_BIG") else "refused"
        ),
        ("same",),
    )

    def elsewhere(t, raw):
        told = Target(
            **{**{name: getattr(t, name) for name in t.__dataclass_fields__}, "mount": ""}
        ).environ(raw)
        return (
            "outside"
            if "SCRIPT_NAME" not in told
            else "inside"
            if told["SCRIPT_NAME"] == t.mount and told["PATH_INFO"] in ("/x", "//x")
            else "wrong"
        )

    if target.mount:
        for raw in (f"/{target.mount}//x", f"{target.mount}//x", f"/x/..//{target.mount}/x"):
            yield Check(
                f"slashes: {raw}", lambda t, raw=raw: elsewhere(t, raw), ("inside", "outside")
            )


def coding(answer: Response) -> str:
    return answer.get("Content-Encoding") or "identity"


def plain(answer: Response) -> bytes:
    return gzip.decompress(answer.body) if coding(answer) == "gzip" else answer.body


def strength(answer: Response) -> str:
    tag = answer.get("ETag")
    return "no tag" if tag is None else "weak" if tag.startswith("W/") else "strong"


@group
def representations(target: Target) -> Iterator[Check]:
    """What a front makes of a document that it may compress (RFC 9110, 8.8.3, 9.3.2, 12.5.3, 13.1;
    RFC 9111, 5.2.2.6).
    """
    action = target.action("tagged")

    def got(t, path=action, headers=(GZIP,), method="GET"):
        return t.ask(path, method, headers)

    # One that is not compressed stays what it was.
    yield Check(
        "tag",
        lambda t: [coding(a := got(t)), strength(a)],
        (["gzip", "weak"], ["gzip", "no tag"], ["identity", "strong"]),
    )
    yield Check("body", lambda t: plain(got(t)) == BODY, (True,))
    yield Check(
        "tag of what is not compressed", lambda t: got(t, headers=()).get("ETag"), ('"v1"',)
    )
    yield Check(
        "asked again with its tag",
        lambda t: got(t, headers=(GZIP, ("If-None-Match", got(t).get("ETag")))).status,
        (304,),
    )
    yield Check(
        "asked again with one of two tags",
        lambda t: got(t, headers=(GZIP, ("If-None-Match", f'"x", {got(t).get("ETag")}'))).status,
        (304,),
    )

    def put(t, tag, path=action):
        return t.ask(path, "PUT", [("If-Match", tag)], b"new").status

    weak = target.action("tagged", tag='W/"v1"')
    yield Check("If-Match with its tag", lambda t: put(t, got(t).get("ETag")), (204,))
    yield Check("If-Match with the application's tag", lambda t: put(t, '"v1"'), (204,))
    yield Check("If-Match with another tag", lambda t: put(t, '"v2"'), (412,))
    yield Check("If-Match with another weak tag", lambda t: put(t, 'W/"v2"'), (412,))
    yield Check(
        "If-Match with the application's weak tag",
        lambda t: put(t, got(t, weak).get("ETag"), weak),
        (412,),
    )
    yield Check("weak tag of the application", lambda t: strength(got(t, weak)), ("weak",))

    def head(t, path):
        first, second = got(t, path), got(t, path, method="HEAD")
        length = second.get("Content-Length")
        known = first.get("Content-Length") or str(len(first.body))
        return [
            length in (None, known) or f"{length} of {known}",
            second.get("ETag") == first.get("ETag") or strength(second) == strength(first),
        ]

    for name, path in (
        ("", action),
        (
            " with a body for it",
            target.action(
                "answer", header=['ETag: "v1"', "Content-Type: text/css"], body="x" * 4000
            ),
        ),
    ):
        yield Check(f"HEAD{name}", lambda t, path=path: head(t, path), ([True, True],))

    def untouched(t, control, type_):
        answer = got(t, t.action("tagged", control=control, type=type_))
        told = [
            part.strip() for part in (answer.get("Content-Type") or "").split(";") if part.strip()
        ]
        return [coding(answer), answer.get("ETag"), answer.body == BODY, "; ".join(told)]

    for control in ("no-transform", "public, No-Transform, max-age=60"):
        for type_ in ("application/json", "text/html; charset=utf-8"):
            yield Check(
                f"{control}, {type_}",
                lambda t, control=control, type_=type_: untouched(t, control, type_),
                (["identity", '"v1"', True, type_],),
            )
    for accepted in (
        "",
        "gzip;q=0",
        "gzip; q=0.000",
        "br, gzip;q=0",
        "gzip;q=0, identity",
        "identity",
        "*;q=0, identity",
        "gzipped",
        "x-gzip2, br",
    ):
        yield Check(
            f"Accept-Encoding: {accepted}",
            lambda t, accepted=accepted: coding(got(t, headers=(("Accept-Encoding", accepted),))),
            ("identity",),
        )
    for accepted in (
        "gzip;q=0.5",
        "br, gzip",
        "gzip;q=1.0, identity;q=0.5",
        "deflate, gzip;q=0.001",
    ):
        yield Check(
            f"Accept-Encoding: {accepted}",
            lambda t, accepted=accepted: (
                plain(got(t, headers=(("Accept-Encoding", accepted),))) == BODY
            ),
            (True,),
        )

    def vary(t, headers):
        answer, other = got(t), got(t, headers=headers)
        told = [each.strip().lower() for each in ", ".join(other.all("Vary")).split(",")]
        return "accept-encoding" in told or coding(answer) == "identity"

    yield Check("Vary", lambda t: vary(t, (GZIP,)), (True,))
    yield Check("Vary of what is not compressed", lambda t: vary(t, ()), (True,))

    def as_it_is(t, line="200 OK", *header):
        answer = got(
            t,
            t.action(
                "answer",
                line=line,
                header=['ETag: "v1-own"', "Content-Type: text/css", *header],
                body="z" * 4000,
            ),
        )
        return [
            answer.status,
            answer.get("Content-Encoding"),
            answer.get("ETag"),
            answer.body == b"z" * 4000,
        ]

    yield Check(
        "coding of its own",
        lambda t: as_it_is(t, "200 OK", "Content-Encoding: gzip"),
        ([200, "gzip", '"v1-own"', True],),
    )
    # A part of the whole: its numbers are those of what is not compressed.
    yield Check(
        "part of the whole",
        lambda t: as_it_is(t, "206 Partial", "Content-Range: bytes 0-3999/9999"),
        ([206, None, '"v1-own"', True],),
    )
    small = target.action("answer", header=['ETag: "v1"', "Content-Type: text/css"], body="z" * 900)
    yield Check(
        "little", lambda t: [coding(a := got(t, small)), a.get("ETag")], (["identity", '"v1"'],)
    )


# Of the front's table; what is behind the semicolon is only how it says that a text is UTF-8.
TYPES = {
    "avif": "image/avif", "css": "text/css; "
                                 "charset=utf-8", "csv": "text/csv; "
                                                         "charset=utf-8", "epub": "application/epub+zip", "geojson": "application/geo+json",
    "glb": "model/gltf-binary", "html": "text/html", "ics": "text/calendar; "
                                                            "charset=utf-8", "ico": "image/vnd.microsoft.icon", "js": "text/javascript; charset=utf-8",
    "json": "application/json", "jxl": "image/jxl", "m4a": "audio/mp4", "map": "application/json", "md": "text/markdown; charset=utf-8",
    "mjs": "text/javascript; "
           "charset=utf-8", "mp4": "video/mp4", "opus": "audio/ogg", "otf": "font/otf", "pdf": "application/pdf", "png": "image/png",
    "svg": "image/svg+xml", "ttf": "font/ttf", "txt": "text/plain; "
                                                      "charset=utf-8", "vtt": "text/vtt; "
                                                                              "charset=utf-8", "wasm": "application/wasm", "weba": "audio/webm",
    "webm": "video/webm", "webmanifest": "application/manifest+json", "webp": "image/webp", "woff": "font/woff", "woff2": "font/woff2", "xhtml": "application/xhtml+xml",
    "xml": "application/xml", "yaml": "application/yaml", "zip": "application/zip", "strange": "application/octet-stream",
}  # fmt: skip


@group
def files(target: Target) -> Iterator[Check]:
    """Files that the front serves: of the release, and of a directory that is the site's own."""
    if target.ask("/static/a.mjs").status != 200:
        raise ValueError("the site has no files")
    # Cherokee serves nothing that a site writes; the plan refuses it.
    if target.front != "cherokee":
        planted = target.action("plant", extensions=",".join(TYPES))
        if target.ask(planted).status != 200:
            raise ValueError("the site has no files of its own")
        yield from written_files(target)
    yield from released_files(target)


def asked(t: Target, path: str) -> object:
    answer = t.ask(path)
    return (
        "refused"
        if answer.refused
        else answer.status
        if answer.status != 200
        else answer.body.decode("latin-1").strip()
    )


def written_files(target: Target) -> Iterator[Check]:
    """Files of a directory that the site writes."""
    for extension, type_ in TYPES.items():
        yield Check(
            f"type of .{extension}",
            lambda t, extension=extension: t.ask(f"/state/planted/a.{extension}").get(
                "Content-Type"
            ),
            (type_,),
        )
    yield Check("own link", lambda t: asked(t, "/state/planted/own-link"), ("own",))
    for name in ("code", "accounts", "release/conformance.py"):
        yield Check(
            f"link to another's: {name}",
            lambda t, name=name: asked(t, f"/state/planted/{name}"),
            ("refused",),
        )


def released_files(target: Target) -> Iterator[Check]:
    """Files of the release."""
    for path in (
        ".htpasswd", "%2ehtpasswd", "%2Ehtpasswd", ".hidden/a.txt", "%2ehidden/a.txt", ".hidden", ".hidden/", "/.htpasswd", "./.htpasswd", "%2e/.htpasswd", "x/../.htpasswd",
        ".well-known/../.htpasswd", ".well-known/.htpasswd", ".well-known/..%2f.htpasswd", ".well-knownx",
    ):  # fmt: skip
        yield Check(
            f"dot file {path}",
            lambda t, path=path: t.ask(f"/static/{path}").status,
            (404,) if "%2f" not in path else (404, 400, 403),
        )
    for path in (".well-known/a.txt", "%2ewell-known/a.txt"):
        yield Check(path, lambda t, path=path: asked(t, f"/static/{path}"), ("found",))

    large = "/static/large.css"
    yield Check(
        "tag",
        lambda t: [coding(a := t.ask(large, headers=(GZIP,))), strength(a)],
        (["gzip", "weak"], ["gzip", "no tag"], ["identity", "strong"]),
    )

    def again(t, name, field):
        first = t.ask(large, headers=(GZIP,))
        return (
            t.ask(large, headers=(GZIP, (name, first.get(field)))).status
            if first.get(field)
            else "no tag"
        )

    yield Check(
        "asked again with its tag", lambda t: again(t, "If-None-Match", "ETag"), (304, "no tag")
    )
    yield Check(
        "asked again with its date",
        lambda t: again(t, "If-Modified-Since", "Last-Modified"),
        (304,),
    )

    def head(t):
        first, second = t.ask(large, headers=(GZIP,)), t.ask(large, "HEAD", (GZIP,))
        length, known = (
            second.get("Content-Length"),
            first.get("Content-Length") or str(len(first.body)),
        )
        return length in (None, known) or f"{length} of {known}"

    yield Check("HEAD", head, (True,))
    for accepted in ("gzip;q=0", "identity"):
        yield Check(
            f"Accept-Encoding: {accepted}",
            lambda t, accepted=accepted: coding(
                t.ask(large, headers=(("Accept-Encoding", accepted),))
            ),
            ("identity",),
        )

    def part(t):
        whole, some = t.ask(large), t.ask(large, headers=(("Range", "bytes=10-19"),))
        return [some.status, some.body == whole.body[10:20]]

    yield Check("part of it", part, ([206, True],))
