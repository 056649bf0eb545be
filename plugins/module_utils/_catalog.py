# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers and what joins them, as data: a front or a back is a row here and a role. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Front:
    """A front-end web server: the links it can speak, and the unit that has to have its ports and
    runs what is embedded in it.

    poor_links: of these, the ones that it serves so poorly that any other is better.
    overrides: whether it reads rules out of the directories that it serves.
    named_by: variables of its role of which one must say where it comes from, since Debian carries
        none.
    limits: keys of a site whose number it can take no higher.
    shared: keys that all sites of a server name must have alike, since it has one value for all of
        them.
    follows_links: whether it serves what a link in a directory of files leads to, whosoever made
        it.
    asks: whether its role has something to ask on the host before anything changes, in
        tasks/before.yml.
    tls: whether it serves HTTPS.
    believes: whether it takes a client's address and scheme from a proxy before it.
    place: how its parser names a line of a file, where that is not path:line; a pattern with the
        groups path and line.
    place_first: whether it names the file of the fault before the files that include it; otherwise
        after them.
    """

    links: tuple[str, ...]
    unit: str
    poor_links: tuple[str, ...] = ()
    overrides: bool = False
    named_by: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    shared: tuple[str, ...] = ()
    follows_links: bool = False
    asks: bool = False
    tls: bool = True
    believes: bool = True
    place: str = ""
    place_first: bool = False


@dataclass(frozen=True)
class Back:
    """What runs a site's Python: its links, the best first, and what its releases need besides the
    application.

    tasks: processes and threads besides those that the site asks for.
    """

    links: tuple[str, ...]
    tasks: int = 8
    requirements: tuple[str, ...] = ()
    needs_system_python: bool = False
    starts_with_environment: bool = True  # its processes have the site's variables from their start


# The link of a back that runs inside the front: nothing listens, so there is no transport and no
# endpoint.
EMBEDDED = "embedded"
FRONTS = {
    # Over SCGI it streams no response and refuses chunked requests.
    "apache": Front(
        links=(EMBEDDED, "uwsgi", "http", "fastcgi", "scgi"),
        unit="apache2.service",
        poor_links=("scgi",),
        overrides=True,
        place=r"on line (?P<line>\d+) of (?P<path>/[^\s:]+)",
    ),
    "nginx": Front(links=("uwsgi", "http", "fastcgi", "scgi"), unit="nginx.service"),
    "lighttpd": Front(
        links=("uwsgi", "http", "fastcgi", "scgi"),
        unit="lighttpd.service",
        place=r"source: (?P<path>/\S+) line: (?P<line>\d+)",
        place_first=True,
    ),
    "cherokee": Front(
        links=("uwsgi", "http", "fastcgi", "scgi"),
        unit="cherokee.service",
        named_by=("front_cherokee_package", "front_cherokee_prefix"),
        limits=(("max_body_size", 2**31 - 1),),
        shared=("max_body_size",),
        follows_links=True,
        asks=True,
        tls=False,
        believes=False,
    ),
}
BACKS = {
    "uwsgi": Back(links=("uwsgi", "http", "fastcgi", "scgi"), needs_system_python=True),
    "flup": Back(links=("scgi", "fastcgi"), requirements=("flup==1.0.3",)),
    "gunicorn": Back(links=("http",), requirements=("gunicorn==27.0.1",)),
    "mod_wsgi": Back(
        links=(EMBEDDED, "http"), tasks=80, needs_system_python=True, starts_with_environment=False
    ),
}
TRANSPORTS = ("unix", "tcp")
# Of Debian, those that the roles know, and their names: their servers' versions and files are what
# was tried.
RELEASES = {12: "bookworm", 13: "trixie"}
# The links that a server speaks over tcp alone, and why.
TCP_ONLY = {
    ("mod_wsgi", "http"): "Apache httpd, which runs mod_wsgi, listens on no Unix socket",
    ("cherokee", "http"): "Cherokee speaks http to no Unix socket",
    (
        "cherokee",
        "fastcgi",
    ): "over FastCGI on a Unix socket Cherokee answers 500 to many requests with an empty body, "
    "after the application has seen them",
}
DEFAULTS = {"front": "nginx", "back": "uwsgi", "tls_profile": "intermediate"}


def links_between(front: str, back: str) -> tuple[str, ...]:
    """The links that this front and this back both speak, the best first."""
    return links_of((front,), back)


def links_of(fronts: tuple[str, ...], back: str) -> tuple[str, ...]:
    """The links that this back and all of these fronts speak, the best first; a link that one of
    them serves poorly comes last.
    """
    both = (
        link for link in BACKS[back].links if all(link in FRONTS[front].links for front in fronts)
    )
    return tuple(
        sorted(both, key=lambda link: any(link in FRONTS[front].poor_links for front in fronts))
    )


def transports_of(front: str, back: str, link: str) -> tuple[str, ...]:
    """The transports that this link of theirs can run over, the best first; none where the back
    runs inside the front.
    """
    if link == EMBEDDED:
        return ()
    return tuple(
        transport
        for transport in TRANSPORTS
        if transport == "tcp" or not why_tcp(front, back, link)
    )


def why_tcp(front: str, back: str, link: str) -> str | None:
    """Why this link of theirs runs over tcp alone, if it does."""
    return TCP_ONLY.get((front, link)) or TCP_ONLY.get((back, link))


def combinations() -> list[tuple[str, str, str]]:
    """Every front, back and link that work together."""
    return [
        (front, back, link)
        for front in FRONTS
        for back in BACKS
        for link in links_between(front, back)
    ]
