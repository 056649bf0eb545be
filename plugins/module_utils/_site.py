# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vocabulary of a site: its keys, their types, units, defaults and limits, and the faults of
what does not keep to them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Callable

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._faults import (
    Fault,
    Faults,
    gather,
    kind_of,
    nearest,
    shown,
)
from ansible_collections.pyweb.stack.plugins.module_utils._keys import (
    APP,
    DICT,
    FRONT,
    INT,
    RENDERING,
    RUNS,
    STR,
    Finished,
)
from ansible_collections.pyweb.stack.plugins.module_utils._role_variables import FLAGS

# Accounts of a Debian host; a site is named after its account, so it must not be one of these.
RESERVED_NAMES = frozenset(
    [
        "root",
        "daemon",
        "bin",
        "sys",
        "sync",
        "games",
        "man",
        "lp",
        "mail",
        "news",
        "uucp",
        "proxy",
        "www-data",
        "backup",
        "list",
        "irc",
        "gnats",
        "nobody",
        "sshd",
        "messagebus",
        "systemd-network",
        "systemd-resolve",
        "systemd-timesync",
        "systemd-coredump",
        "systemd-journal",
        "polkitd",
        "adm",
        "tty",
        "disk",
        "sudo",
        "shadow",
        "staff",
        "users",
        "nogroup",
        "audio",
        "cdrom",
        "clock",
        "crontab",
        "dialout",
        "dip",
        "docker",
        "fax",
        "floppy",
        "input",
        "kmem",
        "kvm",
        "netdev",
        "operator",
        "plugdev",
        "render",
        "sasl",
        "sgx",
        "src",
        "ssl-cert",
        "tape",
        "utmp",
        "video",
        "voice",
        "lighttpd",
        "mysql",
        "nginx",
        "postgres",
        "redis",
    ]
)


NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")  # 31: the longest account name of Linux (useradd(8))


HOST_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


SERVER_NAME = re.compile(rf"(\*\.)?{HOST_LABEL}(\.{HOST_LABEL})*")  # RFC 1123, section 2.1


ADDRESS = re.compile(r"((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\.(?!$)|$)){4}")


URL_PATH = re.compile(
    r"(/[A-Za-z0-9._~-]+)+"
)  # the unreserved characters of RFC 3986, so no server reads it differently


APPLICATION = re.compile(
    r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\(\))?", re.ASCII
)


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


# systemd hands over sockets by them, and uWSGI takes every UWSGI_ for an option.
TAKEN_VARIABLE = re.compile(r"UWSGI_.*|LISTEN_(FDS|PID|FDNAMES)|NOTIFY_SOCKET|WATCHDOG_(PID|USEC)")


# Bytes of NAME=value with the NUL that ends it (MAX_ARG_STRLEN of Linux, execve(2)).
VARIABLE_SIZE = 131072


PYTHON = re.compile(r"(/[\w.+-]+)*/?python3?(\.\d+)?", re.ASCII)


HEALTH_PATH = re.compile(
    r"/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)  # RFC 3986, section 3


FILE_PATH = re.compile(r"[\w./@+~-]+", re.ASCII)


# NUL, surrogates and noncharacters: systemd refuses a whole file for one of them, and UTF-8 cannot
# even write the surrogates.
NOT_TEXT = re.compile(
    "[\0\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


# Apache's classes of directives for .htaccess files; who may write such a file with FileInfo can
# make Apache reach other sites' sockets.
OVERRIDES = ("AuthConfig", "FileInfo", "Indexes", "Limit")


LEAST_MEMORY = 32 << 20


def text(pattern: re.Pattern[str] | None, wanted: str) -> Callable[[Any], str]:
    """A string that a pattern matches as a whole."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise Fault(f"expected {wanted}, got {shown(value)}")
        if pattern and not pattern.fullmatch(value):
            raise Fault(f"{value!r} is not {wanted}")
        return str(value)

    return check


def number(least: int, most: int, unit: str) -> Callable[[Any], int]:
    """A whole number within limits; its digits may come as a string, as -e gives them."""

    def check(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            hint = (
                "; write it without a unit"
                if isinstance(value, str) and not value.isdigit()
                else ""
            )
            raise Fault(
                f"expected a whole number of {unit} from {least} to {most}, got {value!r}{hint}"
            )
        return value

    return check


def choice(*possible: str) -> Callable[[Any], str]:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in possible:
            hint = nearest(value, possible) if isinstance(value, str) else ""
            raise Fault(f"{value!r} is unknown; possible: {', '.join(possible)}{hint}")
        return str(value)

    return check


def each(check: Callable[..., Any], what: str, example: str) -> Callable[[Any], list[Any]]:
    """A list whose every item passes a check."""

    def check_all(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Fault(f"expected a list of {what}, got {shown(value)}; write {example}")
        return gather(check, value)

    return check_all


def optional(check: Callable[..., Any]) -> Callable[..., Any]:
    """None, or what passes a check."""
    return lambda value: None if value is None else check(value)


def _name(given: Any) -> str:
    wanted = (
        "a site's name: a lower-case letter, then at most 30 lower-case letters, digits and dashes"
    )
    value = text(None, wanted)(given)
    if not NAME.fullmatch(value):
        close = re.sub("[^a-z0-9]+", "-", value.lower())
        raise Fault(
            f"{value!r} is not {wanted}" + (f"; write {close!r}" if NAME.fullmatch(close) else "")
        )
    if value in RESERVED_NAMES:
        raise Fault(
            f"{value!r} is an account or group of the system, and a site's account is named after "
            "it; choose another name"
        )
    return value


def _server_name(given: Any) -> str:
    wanted = "a host name such as shop.example.org or *.example.org, without scheme, port or path"
    value = text(None, wanted)(given).lower()
    if len(value) > 253 or not SERVER_NAME.fullmatch(value):
        raise Fault(
            f"{value!r} is not {wanted}"
            + ("; write its form in ASCII (xn--...)" if not value.isascii() else "")
        )
    # Apache and lighttpd take a number there for an address's, and Apache no last label that begins
    # with a digit (RFC 1123, section 2.1).
    _before, dot, last = value.rpartition(".")
    if (last.isdigit() or (dot and last[0].isdigit())) and not ADDRESS.fullmatch(value):
        raise Fault(
            f"{value!r} has a last label that begins with a digit, as only an address such as "
            "192.0.2.1 has; choose another name"
        )
    return value


def _url_path(given: Any, wanted: str) -> str:
    value = text(None, wanted)(given)
    if not value.startswith("/"):
        raise Fault(f"{value!r} has no leading slash; write {'/' + value!r}")
    if not URL_PATH.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise Fault(f"{value!r} is not {wanted}")
    return value


def _mount(value: Any) -> str:
    if isinstance(value, str) and len(value) > 1 and value.endswith("/"):
        raise Fault(f"{value!r} ends with a slash; write {'/' + value.strip('/')!r}")
    return (
        "/"
        if value == "/"
        else _url_path(value, "a URL path such as / or /shop, of letters, digits and . _ ~ - only")
    )


def _variables(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Fault(
            f"expected a mapping of names to values, got {kind_of(value)}; write each as "
            "NAME: value"
        )
    return dict(gather(_variable, value.items()))


def _variable(pair: tuple[Any, ...]) -> tuple[str, str]:
    key, item = pair
    if not isinstance(key, str) or not VARIABLE.fullmatch(key):
        raise Fault(
            f"{key!r} is not the name of an environment variable: letters, digits and underscores, "
            "no digit first"
        )
    if key.startswith("PYWEB_") and key != "PYWEB_FRONT":
        raise Fault(f"{key!r} is set by the collection; choose a name without the prefix PYWEB_")
    if TAKEN_VARIABLE.fullmatch(key):
        raise Fault(f"{key!r} would change how systemd or uWSGI runs the site; choose another name")
    if isinstance(item, float):
        # 1.10 is 1.1 by now.
        raise Fault(
            f"the value of {key!r} is a number with a point, whose digits YAML may change; quote it"
        )
    if isinstance(item, bool) or not isinstance(item, (str, int)):
        raise Fault(
            f"the value of {key!r} is {kind_of(item)}; quote it, so that it is the string you mean"
        )
    if NOT_TEXT.search(str(item)):
        raise Fault(
            f"the value of {key!r} has a character that systemd takes in no environment: NUL, or "
            "one that is no character of Unicode"
        )
    size = len(f"{key}={item}".encode()) + 1
    if size > VARIABLE_SIZE:
        raise Fault(
            f"{key!r} and its value take {size} bytes, and Linux takes at most {VARIABLE_SIZE}; "
            "put the text into a file, and name the file"
        )
    return str(key), str(item)


def _file_path(wanted: str) -> Callable[[Any], str]:
    is_path = text(FILE_PATH, f"{wanted}, of letters, digits and . _ / @ + ~ - only")

    def check(given: Any) -> str:
        value = re.sub("//+", "/", is_path(given))
        if ".." in value.split("/"):
            raise Fault(f"{value!r} leads out of its directory by '..'; name the place itself")
        return value

    return check


def _directory(given: Any) -> str:
    value = _file_path("a directory")(given)
    if value.startswith("/") and not set(value) - set("/."):
        raise Fault(f"{value!r} is the whole file system; name the directory of the files")
    return value


def _static_url(value: Any) -> str:
    if not isinstance(value, str) or not value.endswith("/") or value == "/":
        close = f"; write {value + '/'!r}" if isinstance(value, str) and value.strip("/") else ""
        raise Fault(
            f"expected a URL path that ends with a slash, such as /static/, got {value!r}{close}"
        )
    if not value.startswith("/"):
        raise Fault(f"{value!r} has no leading slash; write {'/' + value!r}")
    return (
        _url_path(value[:-1], "a URL path such as /static/, of letters, digits and . _ ~ - only")
        + "/"
    )


def _requirement(given: Any) -> str:
    value = text(None, "a requirement such as Django==5.2 (PEP 508)")(given)
    if value.startswith("-") or not value.strip() or not value.isprintable():
        raise Fault(
            f"{value!r} is not a requirement such as Django==5.2 (PEP 508); options of pip belong "
            "in a requirements file"
        )
    return value


def _requirements(value: Any) -> list[str] | str:
    if isinstance(value, str):
        if re.search("[=<>!;]", value):
            raise Fault(f"{value!r} is a requirement; write them as a list: [Django==5.2]")
        path: str = _file_path("a requirements file inside the source")(value)
        if path.startswith("/"):
            raise Fault(f"{path!r} is absolute; name a requirements file inside the source")
        return path
    return each(
        _requirement,
        "requirements",
        "[Django==5.2], or the name of a requirements file inside the source",
    )(value)


def _source(value: Any) -> dict[str, Any]:
    possible = ", ".join(SOURCES)
    if not isinstance(value, dict):
        raise Fault(
            f"expected a mapping with exactly one of {possible}, got {shown(value)}; write source: "
            "{path: ...}"
        )
    for key in value:
        if key not in (*SOURCES, "git", "archive"):
            raise Fault(f"{key!r} is unknown; possible: {possible}{nearest(str(key), SOURCES)}")
    if len(value) != 1:
        raise Fault(
            f"exactly one source is possible, got {', '.join(sorted(value)) or 'none'}; possible: "
            f"{possible}"
        )
    ((key, item),) = value.items()
    if key not in SOURCES:
        raise Fault(f"{key!r} is not supported yet; possible: {possible}")
    return {key: SOURCES[key](item)}


def _command(value: Any) -> list[str]:
    example = "[python, manage.py, migrate]"
    found = each(
        text(None, "a word of a command, quoted if it is a number"), "words", f"command: {example}"
    )(value)
    if not found or not found[0]:
        raise Fault(f"an empty command; write command: {example}")
    if any(NOT_TEXT.search(word) for word in found):
        raise Fault("a word has a NUL, or a character that is none of Unicode")
    return found


def _flag(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in FLAGS:
        return FLAGS[value.lower()]
    if not isinstance(value, bool):
        raise Fault(f"expected true or false, got {shown(value)}")
    return value


def _extra(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Fault(
            f"expected a mapping of front to raw configuration text, got {kind_of(value)}; write "
            "extra: {nginx: ...}"
        )
    return dict(gather(_extra_text, value.items()))


def _extra_text(pair: tuple[Any, ...]) -> tuple[str, str]:
    front, item = choice(*FRONTS)(pair[0]), pair[1]
    if not isinstance(item, str):
        raise Fault(f"expected raw configuration text for {front}, got {kind_of(item)}")
    if NOT_TEXT.search(item):
        raise Fault(f"the text for {front} has a NUL, or a character that is none of Unicode")
    return front, str(item)


def _memory(value: Any) -> str:
    """Bytes, with a unit, as systemd takes them (MemoryMax=)."""
    wanted = "an amount of memory such as 512M or 2G"
    if isinstance(value, (bool, int)) or not isinstance(value, str):
        raise Fault(f"expected {wanted}, got {shown(value)}; write it with its unit: K, M, G or T")
    found = re.fullmatch(r"([1-9][0-9]{0,11})([KMGT])", value, re.ASCII)
    if not found:
        raise Fault(f"{value!r} is not {wanted}: a whole number and K, M, G or T")
    size = int(found[1]) << {"K": 10, "M": 20, "G": 30, "T": 40}[found[2]]
    if not LEAST_MEMORY <= size <= 2**50:
        raise Fault(
            f"{value!r} is out of reach: from {LEAST_MEMORY >> 20}M, below which Python hardly "
            "starts, to 1024T"
        )
    return str(value)


def _cpu(value: Any) -> str:
    """Percent of one processor (CPUQuota=)."""
    wanted = "a share of processor time such as 50% or 150%, where 100% is one processor"
    if not isinstance(value, str):
        raise Fault(f"expected {wanted}, got {shown(value)}; write it with %")
    found = re.fullmatch(r"([1-9][0-9]{0,5})%", value, re.ASCII)
    if not found or not 5 <= int(found[1]) <= 102400:
        raise Fault(f"{value!r} is not {wanted}: a whole number from 5 to 102400 and %")
    return str(value)


def _health_path(given: Any) -> str:
    value = text(
        HEALTH_PATH, "a path below the mount such as /health, percent-encoded, perhaps with a query"
    )(given)
    if {".", ".."} & set(value.partition("?")[0].split("/")):
        raise Fault(f"{value!r} has a part '.' or '..'; name the page itself")
    return value


def _statuses(value: Any) -> list[int]:
    found = each(number(200, 599, "a status"), "statuses", "status: [200]")(value)
    if not found:
        raise Fault(
            "an empty list, which no answer satisfies; write status: [200], or leave the key out "
            "for any below 500"
        )
    return found


REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """A key of a mapping: how its value is checked, its default, and what it means.

    finished: who sees it as it was given, where nothing is decided from it.
    """

    check: Callable[[Any], Any]
    default: Any
    meaning: str
    finished: Finished | None = None


SOURCES: dict[str, Callable[[Any], str]] = {
    "path": text(re.compile(r"[^\0\n]+"), "a directory on the controller"),
    "package": _requirement,
}


HOOK_KEYS = {
    "command": Key(
        _command,
        REQUIRED,
        "program and its arguments, as a list; a program of the release's virtual environment "
        "comes before one of the host",
    ),
    "timeout": Key(number(1, 86400, "seconds"), 300, "seconds until it is ended, and has failed"),
    "once": Key(
        _flag,
        False,
        "with the groups fronts and backs, only the first back of the run runs it, before any "
        "other back goes on",
    ),
}


# When the commands of a hook run, by its key.
HOOKS = {
    "before_switch": "before what the site is going to run is tried beside what serves",
    "after_switch": "after it has taken over and answers",
}


HEALTH_KEYS = {
    "path": Key(_health_path, "/", "page to ask for, relative to the site's mount"),
    "status": Key(
        optional(_statuses), None, "statuses of a healthy answer; default: any below 500"
    ),
    "timeout": Key(
        number(1, 3600, "seconds"),
        30,
        "seconds the site may take to start and to give its first healthy answer",
    ),
}


HOOK_EXAMPLE = "{command: [python, manage.py, migrate]}"


STATIC_KEYS = {
    "url": Key(_static_url, REQUIRED, "URL path below the site's mount"),
    "path": Key(
        _directory,
        REQUIRED,
        "directory: absolute, or inside the release; one below /var/lib/pyweb/<site> is made for "
        "the site to write",
    ),
    "max_age": Key(
        optional(number(0, 315360000, "seconds")),
        None,
        "seconds a client may keep a file; none: no Cache-Control is sent",
    ),
    "allow_override": Key(
        each(choice(*OVERRIDES), "classes of directives", "allow_override: [AuthConfig]"),
        [],
        "with front apache, what .htaccess files in the directory may set: " + ", ".join(OVERRIDES),
    ),
}


SITE_KEYS = {
    "name": Key(_name, REQUIRED, "account, units, sockets and directories are named after it"),
    "server_names": Key(
        each(_server_name, "host names", "server_names: [shop.example.org]"),
        [],
        "host names; none: the catch-all site of the host",
    ),
    "mount": Key(
        _mount, "/", "URL path of the application, its SCRIPT_NAME; / is the empty string"
    ),
    "application": Key(
        text(APPLICATION, "module:callable, such as shop.wsgi:application for a file shop/wsgi.py"),
        REQUIRED,
        "module:callable (PEP 3333), or module:factory() that makes one",
    ),
    "back": Key(
        optional(text(None, "the name of a back")), None, "back of this site; default: the host's"
    ),
    "link": Key(
        optional(text(None, "the name of a link")), None, "link of this site; default: the host's"
    ),
    "transport": Key(
        optional(text(None, "unix or tcp")), None, "transport of this site; default: the host's"
    ),
    "source": Key(
        _source,
        REQUIRED,
        "exactly one of path (a directory on the controller) and package (a package index's "
        "requirement)",
    ),
    "requirements": Key(
        optional(_requirements),
        None,
        "requirements, or a requirements file inside the source; default: its requirements.txt, or "
        "what its pyproject.toml says",
    ),
    "python": Key(
        text(PYTHON, "a Python interpreter such as python3 or /usr/bin/python3.13"),
        "python3",
        "interpreter of the virtual environment",
        Finished((APP,), STR, needed=(APP,)),
    ),
    "keep": Key(
        number(1, 1000, "releases"),
        5,
        "former releases that stay when another one is installed, the newest; one that still "
        "serves or has a process stays anyway",
        Finished((APP,), INT),
    ),
    "environment": Key(
        _variables, {}, "environment variables of the application", Finished(RUNS, DICT)
    ),
    "secrets": Key(
        _variables,
        {},
        "environment variables that no log, diff or other account sees",
        Finished(RUNS, {**DICT, "no_log": True}),
    ),
    "processes": Key(
        number(1, 1024, "processes"), 2, "worker processes", Finished(RUNS, INT, needed=RENDERING)
    ),
    "threads": Key(
        number(1, 1024, "threads"),
        4,
        "threads of each process",
        Finished(RUNS, INT, needed=RENDERING),
    ),
    "request_timeout": Key(
        number(1, 86400, "seconds"),
        60,
        "seconds until a silent application is given up; a transfer may last longer",
    ),
    "max_requests": Key(
        number(0, 10**9, "requests"),
        0,
        "requests before a process is replaced; 0: never",
        Finished(RUNS, INT, needed=RENDERING),
    ),
    "memory_max": Key(
        optional(_memory),
        None,
        "memory of all that runs for the site, such as 512M; none: 80 % of the host for all sites "
        "together",
        Finished((APP,), STR),
    ),
    "cpu_quota": Key(
        optional(_cpu),
        None,
        "processor time of all that runs for the site, such as 150%; none: an equal share where it "
        "is short",
        Finished((APP,), STR),
    ),
    "tasks_max": Key(
        optional(number(16, 4194304, "processes and threads")),
        None,
        "processes and threads of the site; none: 15 % of what the host can have",
        Finished((APP,), INT),
    ),
    "static": Key(
        lambda value: value, [], "files that the front serves: a list of url, path, max_age"
    ),
    "max_body_size": Key(
        number(1, 2**40, "bytes"),
        10485760,
        "bytes of the largest request body",
        Finished(
            (FRONT,),
            INT,
            needed=(FRONT,),
            words={
                "front_cherokee": "Bytes of the largest request body. Cherokee has one size for "
                "all sites of a server name, so it takes the largest of theirs.",
                "front_lighttpd": "Bytes of the largest request body. lighttpd counts in KiB, so "
                "the size is rounded up.",
            },
        ),
    ),
    "tls": Key(
        lambda value: value,
        None,
        "HTTPS: a mapping with certificate and key, or self_signed; none: plain HTTP",
    ),
    "health": Key(
        lambda value: value,
        {},
        "how a change is told to be well: a mapping of path, status, timeout",
    ),
    **{
        name: Key(lambda value: value, [], f"commands in the new release, as the site, {when}")
        for name, when in HOOKS.items()
    },
    "extra": Key(_extra, {}, "raw text for the site's own block, by front"),
    "state": Key(
        choice("present", "absent"),
        "present",
        "absent: the site is removed with all that it owned; only its name is needed then",
    ),
}


def check_keys(
    faults: Faults, where: str, raw: dict[str, Any], keys: dict[str, Key]
) -> dict[str, Any]:
    """The values of all keys: the default where one is not given, None where it is wrong. What is
    absent needs nothing but its name.
    """
    done: dict[str, Any] = {}
    for given in raw:
        if given not in keys:
            shown = given if isinstance(given, str) and given.isprintable() else repr(given)
            faults.add(
                f"{where}{shown}",
                f"unknown key{nearest(str(given), keys)}; possible: {', '.join(keys)}",
            )
    for name, key in keys.items():
        done[name] = None
        if name in raw:
            try:
                done[name] = key.check(raw[name])
            except Fault as fault:
                for what in fault.args:
                    faults.add(f"{where}{name}", what)
        elif key.default is REQUIRED and (name == "name" or raw.get("state") != "absent"):
            faults.add(f"{where}{name}", f"missing: {key.meaning}")
        else:
            done[name] = None if key.default is REQUIRED else key.default
    return done


def _mappings(
    faults: Faults, where: str, given: Any, keys: dict[str, Key], example: str
) -> list[dict[str, Any]]:
    """The items of a list of mappings with these keys."""
    needed = " and ".join(name for name, key in keys.items() if key.default is REQUIRED)
    if not isinstance(given, list):
        name = where.rpartition(".")[2]
        faults.add(
            where,
            f"expected a list of mappings with {needed}, got {kind_of(given)}; write {name}: "
            f"[{example}]",
        )
        return []
    found = []
    for number_of_item, item in enumerate(given):
        inner = f"{where}[{number_of_item}]"
        if isinstance(item, dict):
            found.append(check_keys(faults, f"{inner}.", item, keys))
        else:
            faults.add(
                inner,
                f"expected a mapping with {needed}, got {shown(item)}; write {example}",
            )
    return found


@dataclass
class Site:
    """A site on its way through the plan. A value that is wrong is None, and a plan with a fault
    derives nothing.
    """

    label: str  # its name, or its number where it has none
    name: str
    server_names: list[str]
    mount: str
    application: str
    back: str
    link: str
    transport: str | None
    source: dict[str, str]
    requirements: list[str] | str
    python: str
    keep: int
    environment: dict[str, str]
    secrets: dict[str, str]
    processes: int
    threads: int
    request_timeout: int
    max_requests: int
    memory_max: str | None
    cpu_quota: str | None
    tasks_max: int | None
    static: list[dict[str, Any]]
    max_body_size: int
    tls: dict[str, Any] | None
    health: dict[str, Any]
    before_switch: list[dict[str, Any]]
    after_switch: list[dict[str, Any]]
    extra: Any  # raw text by front; once derived, that of its own front
    state: str
    more: dict[str, Any]  # keys from which nothing is decided

    # What the plan derives; see _finished for the meaning of each.
    script_name: str = field(init=False)
    endpoints: list[dict[str, Any]] = field(init=False)
    endpoint: dict[str, Any] | None = field(init=False)
    allowed: list[str] = field(init=False)
    back_requirements: list[str] = field(init=False)
    needs_system_python: bool = field(init=False)
    release: dict[str, str] = field(init=False)
    build: str = field(init=False)
    account: str = field(init=False)
    host: str = field(init=False)  # by which it is probed
    unit: str = field(init=False)
    slice: str = field(init=False)
    paths: dict[str, str] = field(init=False)
    error_timeout: int = field(init=False)
    answer_timeout: int = field(init=False)
    connect_timeout: int = field(init=False)
    retry_after: int = field(init=False)
    stop_timeout: int = field(init=False)
    start_timeout: int = field(init=False)
    silence: int = field(init=False)  # of the application, after which its process is ended
    runtime: dict[str, str] = field(init=False)
    target: dict[str, Any] | None = field(init=False)
    candidate: dict[str, Any] = field(init=False)
    directories: list[str] = field(init=False)
    serves_release: bool = field(init=False)  # whether the front serves files out of its release
    published: list[str] = field(init=False)
    passed: list[str] = field(init=False)
    challenges: str | None = field(init=False)

    def value(self, key: str) -> Any:
        """What a role sees of a key."""
        return self.more[key] if key in self.more else getattr(self, key)


def check_site(faults: Faults, number_of_site: int, raw: Any) -> Site | None:
    """Check one site and fill in its defaults; what is wrong goes to faults. Returns None where it
    is no mapping at all.
    """
    if not isinstance(raw, dict):
        faults.add(
            f"sites[{number_of_site}]",
            f"expected a mapping with name, application and source, got {shown(raw)}",
        )
        return None
    name = raw.get("name")
    label = name if isinstance(name, str) and name and name.isprintable() else str(number_of_site)
    where = f"sites[{label}]."
    given = check_keys(faults, where, raw, SITE_KEYS)
    typed = {each.name for each in fields(Site)}
    more = {key: value for key, value in given.items() if key not in typed}
    decided = {key: value for key, value in given.items() if key in typed}
    site = Site(label=label, more=more, **decided)
    if site.server_names is not None:
        site.server_names = list(dict.fromkeys(site.server_names))
    if isinstance(site.requirements, str) and "package" in (site.source or {}):
        faults.add(
            f"{where}requirements",
            f"{site.requirements!r} is a file inside the source, and a package has none; write "
            "a list: [Django==5.2]",
        )
    health = site.health
    if not isinstance(health, dict):
        faults.add(
            f"{where}health",
            f"expected a mapping with path, status or timeout, got {shown(health)}; write health: "
            "{path: /health}",
        )
        health = {}
    site.health = check_keys(faults, f"{where}health.", health, HEALTH_KEYS)
    for name in HOOKS:
        setattr(
            site,
            name,
            _mappings(faults, f"{where}{name}", getattr(site, name), HOOK_KEYS, HOOK_EXAMPLE),
        )
    site.static = _mappings(
        faults, f"{where}static", site.static, STATIC_KEYS, "{url: /static/, path: static/}"
    )
    # To lighttpd two conditions are one where capital letters alone tell them apart.
    urls = [item["url"].lower() for item in site.static if item["url"]]
    for url in sorted({url for url in urls if urls.count(url) > 1}):
        faults.add(
            f"{where}static",
            f"{url!r} is named more than once (capital letters do not count); one directory a URL",
        )
    both = sorted(set(site.environment or ()) & set(site.secrets or ()))
    if both:
        faults.add(
            f"{where}secrets", f"{', '.join(both)} is in environment too; keep it in one of them"
        )
    return site
