# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of sites, unusual ones and such as try to break out of the language of a server's
configuration.
"""

from __future__ import annotations

import copy
import json
import string
import sys
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(COLLECTION / ".ansible" / "collections"))

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    EMBEDDED,
    combinations,
    links_between,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# What has a meaning of its own in one of the languages, and what would end a value there and begin
# something else.
BREAKING = (
    *"\n\r\t\0\"'`{}[]()<>$;#%\\*?&|= "
     "/-.,:!@~^+éß\x0b\x0c\x1b\x7f\x85\u2028\u200b\u202e\ufeff٣\U0001f40d",
    "..", "/../", "//", "/./", "$uri", "$(id)", "`id`", "%n", "%i", "%2f", "%2e%2e", "%{x}", "%{ENV:PATH}", "*/",
    "{{ 7 * 7 }}", "{% raw %}", "{# #}", "{name}", "{0}", "{release[id]}", "${x}", "${APACHE_RUN_DIR}", "$(PATH)", "@(/etc/passwd)",
    "; } server { listen 81; "
    "server_name evil; #", '"; } location / { return 200 "evil"; } #', "/;root /;",
    '">\n</Location>\n<Location "/">\nRequire all '
    'granted\n#', '"\n</VirtualHost>\n<VirtualHost *:80>\n#', "\\\n",
    '" {}\n}\n$HTTP["host"] == "evil" { #', '")\n}\nserver.errorlog = "/dev/null"\n#',
    "\nUser=root\n", "\nExecStartPre=/bin/id\n", "\n[Service]\nUser=root", "\nprotocol = http\n", '"\nA="b', "\nu evil - -",
)  # fmt: skip

UNRESERVED = string.ascii_letters + string.digits + "._~-"
# What YAML takes for something else than a text.
NO_TEXTS = st.sampled_from(["no", "off", "true", "y", "null", "nan"])
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True) | NO_TEXTS
LABELS = (
    st.from_regex(r"[a-z0-9]([a-zA-Z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
    | st.sampled_from(["xn--bcher-kva", "0", "1e3", "a" * 63])
    | NO_TEXTS
)
HOSTS = st.lists(LABELS, min_size=1, max_size=5).map(".".join).filter(lambda host: len(host) <= 251)
# Some that several sites share.
SHARED = st.sampled_from(
    ["www.shared.test", "a.shared.test", "*.shared.test", "*.a.shared.test", "shared.test"]
)
SERVER_NAMES = st.lists(HOSTS | HOSTS.map("*.{}".format) | SHARED, max_size=4)
SEGMENTS = st.text(UNRESERVED, min_size=1, max_size=20).filter(
    lambda segment: segment not in (".", "..")
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda segments: "/" + "/".join(segments))
FOLDERS = st.lists(
    st.text(UNRESERVED + "@+", min_size=1, max_size=12).filter(lambda part: part != ".."),
    min_size=1,
    max_size=3,
).map("/".join)
VARIABLES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: not name.startswith("PYWEB_")
)
TEXTS = st.text(max_size=20) | st.lists(st.sampled_from(BREAKING), max_size=4).map("".join)
WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)


def numbers(least: int, most: int):
    """Whole numbers, the limits among them."""
    return st.sampled_from([least, most]) | st.integers(least, most)


STATIC = st.fixed_dictionaries(
    {
        "url": PATHS.map("{}/".format),
        "path": FOLDERS | FOLDERS.map("/srv/files/{}".format) | FOLDERS.map("{}/".format),
    },
    optional={"max_age": numbers(0, 315360000)},
)
SITES = st.fixed_dictionaries(
    {
        "name": NAMES,
        "application": st.tuples(st.lists(WORDS, min_size=1, max_size=3).map(".".join), WORDS).map(
            ":".join
        ),
        "source": st.fixed_dictionaries({"path": st.just("/src") | TEXTS.map("/src{}".format)})
        | st.fixed_dictionaries({"package": st.just("shop==1")}),
    },
    optional={
        "server_names": SERVER_NAMES,
        "mount": st.just("/") | PATHS,
        "requirements": st.lists(TEXTS, max_size=2) | st.just("requirements.txt"),
        "python": st.sampled_from(["python3", "/usr/bin/python3.13", "/opt/a+b_c-1.2/bin/python"]),
        "environment": st.dictionaries(VARIABLES, TEXTS, max_size=3),
        "secrets": st.dictionaries(VARIABLES, TEXTS, max_size=3),
        "processes": numbers(1, 1024),
        "threads": numbers(1, 1024),
        "request_timeout": numbers(1, 86400),
        "max_requests": numbers(0, 10**9),
        "memory_max": st.sampled_from(["32M", "1G", "1024T"]),
        "cpu_quota": st.sampled_from(["5%", "150%", "102400%"]),
        "tasks_max": numbers(16, 4194304),
        "static": st.lists(STATIC, max_size=3),
        "max_body_size": numbers(1, 2**40),
        "extra": st.dictionaries(
            st.sampled_from(["apache", "lighttpd", "nginx"]), TEXTS, max_size=3
        ),
    },
)


def places(value, path=()):
    """The paths to every value inside nested lists and mappings."""
    yield path
    for key, item in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from places(item, (*path, key))


@st.composite
def definitions(draw, front: str):
    """A site for this front, over any of its links; of two in three a value, or a name of one, was
    spoilt.
    """
    back, link = draw(
        st.sampled_from([(back, link) for chosen, back, link in combinations() if chosen == front])
    )
    transport = draw(st.sampled_from(transports_of(front, back, link) or (None,)))
    site = copy.deepcopy(draw(SITES))
    for _unused in range(draw(st.integers(0, 2))):
        *path, last = draw(st.sampled_from([path for path in places(site) if path]))
        around = site
        for key in path:
            around = around[key]
        old, breaking = around[last], draw(st.sampled_from(BREAKING))
        if isinstance(last, str) and draw(st.integers(0, 5)) == 0:
            around[last + breaking] = around.pop(last)
        elif isinstance(old, (str, int)):
            cut = draw(st.integers(0, len(str(old))))
            around[last] = str(old)[:cut] + breaking + str(old)[cut:]
    return {**site, "back": back, "link": link, "transport": transport}


# No release is made of these.
UNRELEASED = {"source": {"package": "none"}, "requirements": []}


def tricky(front: str) -> list[dict]:
    """Sites whose files, mounts and names lie inside each other's, and such at the limits."""
    longest = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
    most = {
        "processes": 1024,
        "threads": 1024,
        "request_timeout": 86400,
        "max_requests": 10**9,
        "max_body_size": 2**40,
    }
    nested = [
        {"url": "/in/", "path": "in", "max_age": 5},
        {"url": "/in/ner/", "path": "ner/"},
        {"url": "/in/ner/most/", "path": "/srv/files/./most//", "max_age": 0},
        {"url": "/inn/", "path": "."},
        {"url": "/x.y~z-_/", "path": "x@y+z~/-/...", "max_age": 315360000},
    ]
    sites = [
        {"name": "tricky-outer", "server_names": ["tricky.test"], "static": nested},
        {
            "name": "tricky-inner",
            "server_names": ["tricky.test"],
            "mount": "/side",
            "static": nested,
        },
        {
            "name": "tricky-most",
            "server_names": ["tricky.test", "*.tricky.test"],
            "mount": "/side/most",
            **most,
        },
        {
            "name": "tricky-dotted",
            "server_names": ["dotted.tricky.test"],
            "mount": "/x.y~z-_/a",
            "static": nested,
        },
        {
            "name": "tricky-longest",
            "server_names": [longest, "192.0.2.7", "catch-all.invalid", "wildcard.tricky.test"],
            **most,
        },
    ]
    links = links_between(front, "uwsgi")
    return [
        {
            "application": "a:b",
            "transport": "unix",
            "back": "uwsgi",
            "link": links[place % len(links)],
            **UNRELEASED,
            **site,
        }
        for place, site in enumerate(sites)
    ]


def accepted(front: str, examples: int) -> list[dict]:
    """The definitions, of as many examples, that the plan takes on one host; always the same
    ones.
    """
    found: dict[str, dict] = {site["name"]: site for site in tricky(front)}

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(definitions(front))
    def collect(site):
        # What runs inside the front needs a release of its own.
        if site["link"] != EMBEDDED:
            try:
                plan({"front": front, "sites": [site]})
                # Many together need names of their own, and a host has one catch-all. A server's
                # own text belongs to the tests of its parser.
                name = f"s{len(found)}-{site['name']}"[:31]
                names = site.get("server_names") or (
                    [] if len(found) % 9 == 0 else [f"{name.strip('-')}.test"]
                )
                found[name] = {
                    **{key: value for key, value in site.items() if key != "extra"},
                    **UNRELEASED,
                    "name": name,
                    "server_names": names,
                }
            except PlanError:
                pass

    collect()
    while True:
        sites = list(found.values())
        try:
            plan({"front": front, "sites": sites})
            return sites
        except PlanError as error:
            for line in error.faults:
                found.pop(line.partition("[")[2].partition("]")[0], None)


def environments(front: str) -> list[dict]:
    """A site for each back, which tells its environment; every text that may break something is a
    value of it.
    """
    texts = [text for text in (*BREAKING, "".join(BREAKING), "x" * 100000) if "\0" not in text]
    values = {
        f"V{number}": text
        for number, text in enumerate(["", *texts, *(text * 2 for text in texts[:-1])])
        if "\0" not in text
    }
    return [
        {
            "name": f"own-{back.replace('_', '-')}",
            "server_names": [f"own-{back.replace('_', '-')}.test"],
            "application": "environment:application",
            "source": {"path": str(COLLECTION / "tests" / "hostile" / "app")},
            "back": back,
            "link": links_between(front, back)[0],
            "processes": 1,
            "environment": values,
            "secrets": {f"S{name}": value for name, value in list(values.items())[:40]},
        }
        for back in BACKS
    ]


if __name__ == "__main__":
    json.dump({"own": environments(sys.argv[1]), "others": accepted(sys.argv[1], 400)}, sys.stdout)
