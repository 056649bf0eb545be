# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of a finished site, as data: which roles see each, its type and its meaning. Pure.

The plan cuts a site by this table, and tools/docs.py writes the argument specs of the roles from
it. What the inventory may say of a site is SITE_KEYS in _site; a key that the roles see as it was
given has its row there alone.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    EMBEDDED,
    FRONTS,
    TRANSPORTS,
)
from ansible_collections.pyweb.stack.plugins.module_utils._keys import (
    APP,
    BACK,
    BOOL,
    DICT,
    FRONT,
    INSIDE,
    INT,
    RUNS,
    STR,
    TEXTS,
    Finished,
)
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    HOOK_KEYS,
    HOOKS,
    OVERRIDES,
    SITE_KEYS,
)


def _option(description: str | list[str], option: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": description, **option, **more}


def _endpoint(address: str) -> dict[str, Any]:
    return {
        "transport": _option(
            "A socket in the file system, or a port.",
            STR,
            choices=list(TRANSPORTS),
            required=True,
        ),
        "address": _option(
            "Path of the socket, or host and port with a colon between them.", STR, required=True
        ),
        "path": _option("With unix, the path of the socket.", STR),
        "host": _option(f"With tcp, the address{address}.", STR),
        "port": _option("With tcp, the port.", INT),
    }


RELEASE = {
    "id": _option(
        "Name of the release, another one whenever the code, the requirements or the "
        "interpreter change.",
        STR,
        required=True,
    ),
    "path": _option(
        "Directory of the release, C(/srv/www/<site>/releases/<id>).", STR, required=True
    ),
    "source": _option("Name of the source, the same whatever the collection adds to it.", STR),
    "from": _option("Where the source is from, for people to read.", STR),
    "instead_of": _option("After a rollback, the source that does not come back by itself.", STR),
    "held": _option(
        "Whether another release is planned. One that is held is never built.", BOOL, default=False
    ),
}
PATHS = {
    name: _option(meaning, STR, required=True)
    for name, meaning in {
        "home": "Its releases, and the link C(current) beside them.",
        "current": "The link to the release that is served.",
        "state": "What the site writes; its home directory, C(STATE_DIRECTORY) of its processes.",
        "cache": "What pip keeps for its next build.",
        "sockets": "Where its sockets are.",
        "configuration": "Its configuration, variables, certificate and key.",
        "environment": "The file of its environment variables.",
        "secrets": "The file of its secrets, which only its own processes and root read.",
    }.items()
}
STATIC = {
    "url": _option("URL path with the mount before it and a slash at its end.", STR, required=True),
    "path": _option("Directory, absolute.", STR, required=True),
    "max_age": _option(
        "Seconds that a client may keep a file; with none, no C(Cache-Control) is sent.", INT
    ),
    "follow_links": _option(
        "Whether links in it may lead to files of other owners; a release has none that could.",
        BOOL,
        default=True,
    ),
    "allow_override": _option(
        [
            "With front Apache, what C(.htaccess) files in the directory may set. The plan refuses "
            "them for other fronts.",
            "Who may write such a file with C(FileInfo) can make Apache reach every site's socket.",
        ],
        TEXTS,
        choices=list(OVERRIDES),
    ),
}
HOOK = {
    "command": _option("The program and its arguments.", TEXTS, required=True),
    "timeout": _option(
        "Seconds until it is ended, and has failed.", INT, default=HOOK_KEYS["timeout"].default
    ),
    "once": _option("Whether no other host runs it. Only the plan asks.", BOOL, default=False),
}
TLS = {
    "certificate": _option(
        "Path of the certificate and those that vouch for it.", STR, required=True
    ),
    "key": _option("Path of the key.", STR, required=True),
    "names": _option("Host names that the certificate has to be for.", TEXTS, default=[]),
    "self_signed": _option(
        "Whether the host makes the pair itself, and anew when a third of its lifetime is left.",
        BOOL,
        default=False,
    ),
    "lineage": _option(
        "Directory in which certbot keeps the newest pair, where a CA issues it by ACME.", STR
    ),
    "chain": _option(
        "Text of the certificates in PEM; with none, unless the host makes or certbot keeps them, "
        "both files have to exist.",
        STR,
    ),
    "private_key": _option("Text of the key in PEM.", STR, no_log=True),
    "trusted": _option(
        "Whether clients may trust the certificate. Only the plan asks.", BOOL, default=True
    ),
    "redirect": _option(
        "Whether plain HTTP is redirected; otherwise it serves the site, too.", BOOL, default=True
    ),
    "hsts": _option(
        "Seconds of C(Strict-Transport-Security); with 0 it is not sent.", INT, default=0
    ),
}

FINISHED = {
    "name": Finished((APP, *RUNS, FRONT), STR, "Name of the site.", (APP, *RUNS, FRONT)),
    "account": Finished(
        (APP, *RUNS),
        STR,
        "Account and group that the site runs as.",
        (APP, *RUNS),
        {APP: "System account and group that the site runs as; made if missing."},
    ),
    "unit": Finished(
        (*RUNS, FRONT),
        STR,
        "Name of the site's two units, without C(.service) and C(.socket). Begin it with "
        "C(pyweb-), or the sandbox does not hold it.",
        RUNS,
        {
            FRONT: "Name of the site's units, without C(.service) and C(.socket).",
            INSIDE: "Name of Apache's unit without C(.service), which is C(apache2).",
            "back_mod_wsgi": "Name of the unit that runs the site, without C(.service). Begin it "
            "with C(pyweb-), or the sandbox "
            "does not hold it.",
        },
    ),
    "source": Finished(
        (APP,),
        {
            **DICT,
            "options": {
                "path": _option("Directory on the controller, absolute.", STR),
                "package": _option("Requirement of a package index, such as C(shop==1.2).", STR),
            },
            "mutually_exclusive": [["path", "package"]],
            "required_one_of": [["path", "package"]],
        },
        "Where the code comes from, exactly one of the two.",
        (APP,),
    ),
    "requirements": Finished(
        (APP,),
        {"type": "raw"},
        "A list of requirements, or the name of a requirements file inside the source.",
        (APP,),
    ),
    "back_requirements": Finished(
        (APP,), TEXTS, "What the back needs in the virtual environment besides.", (APP,)
    ),
    "needs_system_python": Finished(
        (APP,),
        BOOL,
        "Whether the back brings Debian's own Python; the virtual environment must then be of the "
        "same version.",
        (APP,),
    ),
    "release": Finished(
        (APP, *RUNS),
        {**DICT, "options": RELEASE},
        "The release to run, as the role app installed it.",
        (APP, *RUNS),
        {APP: "The release to install. One that is there is left as it is."},
    ),
    "paths": Finished(
        (APP, *RUNS),
        {**DICT, "options": PATHS},
        "Directories and files of the site on the host, absolute.",
        (APP, *RUNS),
    ),
    "slice": Finished(
        (APP, *RUNS),
        STR,
        "The systemd slice of what runs for the site. The default is systemd's own.",
        (APP,),
        {
            APP: "systemd slice that holds all that runs for the site, C(pyweb-<site>.slice), a "
            "dash in the name written as "
            "systemd-escape(1) does.",
        },
    ),
    "directories": Finished(
        (APP,),
        {**TEXTS, "default": []},
        "Directories of static files inside the release; one that has not all of them is refused.",
    ),
    "published": Finished(
        (APP,),
        {**TEXTS, "default": []},
        "Directories below the site's state that the site writes and the front reads.",
    ),
    "passed": Finished(
        (APP,),
        {**TEXTS, "default": []},
        "Directories between the site's state and those, which the front passes through.",
    ),
    "build": Finished(
        (APP,), {**STR, "default": ""}, "What is built, in words, for the run to say so."
    ),
    "server_names": Finished(
        (FRONT,),
        TEXTS,
        "Host names, exact or beginning with C(*.); none for the catch-all of the host.",
        (FRONT,),
    ),
    "mount": Finished(
        (FRONT,),
        STR,
        "URL path of the application, C(/) or without a slash at its end.",
        (FRONT,),
    ),
    "script_name": Finished(
        (FRONT,),
        STR,
        "The mount as the application sees it, C(SCRIPT_NAME); the empty string where the "
        "mount is C(/).",
        (FRONT,),
    ),
    "back": Finished(
        (BACK, FRONT),
        STR,
        "The back that runs the site.",
        (BACK,),
        {BACK: "The back, for the units' descriptions."},
    ),
    "link": Finished(
        (BACK, FRONT),
        STR,
        "Protocol to the back.",
        (BACK, FRONT),
        {
            BACK: "Protocol from the front to the back.",
            "back_mod_wsgi": "Over C(http) to an instance of its own.",
            "front_apache": "Protocol to the back, or C(embedded) for a site that is in "
            "O(front_apache_embedded_sites), too.",
        },
    ),
    "endpoint": Finished(
        (BACK,),
        {**DICT, "options": _endpoint(" to listen on")},
        "Where the back listens.",
        (BACK,),
    ),
    "endpoints": Finished(
        (FRONT,),
        {"type": "list", "elements": "dict", "options": _endpoint("")},
        "Where the backs listen; with C(embedded) there is none. Requests are spread over several, "
        "and one that is down is "
        "passed over.",
        (FRONT,),
    ),
    "allowed": Finished(
        (BACK,),
        TEXTS,
        "Addresses that may connect to an endpoint that other hosts reach, this host's own among "
        "them. Without any, everybody "
        "may who reaches the endpoint.",
    ),
    "runtime": Finished(
        RUNS,
        DICT,
        "Environment variables that the wrapper around the application reads, names to strings. "
        "C(PYWEB_APPLICATION), "
        "C(PYWEB_LINK) and C(PYWEB_SCRIPT_NAME) have to be among them.",
        RUNS,
        {
            "back_flup": "Environment variables that the wrapper around the application reads, "
            "names to strings. "
            "C(PYWEB_APPLICATION), C(PYWEB_LINK) and C(PYWEB_SCRIPT_NAME) have to be among them, "
            "and those that the runner "
            "reads, C(PYWEB_PROCESSES), C(PYWEB_THREADS), C(PYWEB_SILENCE) and "
            "C(PYWEB_MAX_REQUESTS).",
        },
    ),
    "target": Finished(
        (BACK,),
        DICT,
        "What to ask once the site was started, as M(pyweb.stack.probe) takes it. A change after "
        "which it is not healthy is undone.",
    ),
    "candidate": Finished(
        RUNS,
        DICT,
        "What the site has otherwise while it is tried beside what serves it; without it, and "
        "inside the front, nothing is tried so.",
    ),
    **{
        name: Finished(
            RUNS,
            {"type": "list", "elements": "dict", "options": HOOK},
            f"Commands that run as the site, in its release, {when}.",
        )
        for name, when in HOOKS.items()
    },
    "error_timeout": Finished(
        RUNS, INT, "Seconds of an application's silence until an error is answered.", RUNS
    ),
    "start_timeout": Finished(RUNS, INT, "Seconds that the site may take to start; without it 30."),
    "stop_timeout": Finished(
        (BACK,), INT, "Seconds until what is left of a stopping service is killed.", (BACK,)
    ),
    "static": Finished(
        (FRONT,),
        {"type": "list", "elements": "dict", "options": STATIC},
        "Directories whose files the front serves itself.",
        (FRONT,),
    ),
    "answer_timeout": Finished(
        (FRONT,),
        INT,
        "Seconds of silence until the back is given up; it answers by an error a little before.",
        (FRONT,),
    ),
    "connect_timeout": Finished(
        (FRONT,), INT, "Seconds until a connection to a back is given up.", (FRONT,)
    ),
    "retry_after": Finished(
        (FRONT,),
        INT,
        "Seconds until a back that was down is asked again; 0 for at once.",
        (FRONT,),
    ),
    "tls": Finished(
        (FRONT,),
        {**DICT, "options": TLS},
        "HTTPS of the site; with none it has plain HTTP alone. Sites of one server name need "
        "the same.",
    ),
    "challenges": Finished(
        (FRONT,),
        STR,
        "Directory with the answers to a CA's challenges, which plain HTTP serves below "
        "C(/.well-known/acme-challenge/) (RFC 8555, section 8.3).",
    ),
    "extra": Finished(
        (FRONT,),
        STR,
        "Raw text for the site's own block.",
        (FRONT,),
        {
            "front_cherokee": "Raw lines for the site's virtual server, whose keys begin behind "
            "C(vserver!<number>!), such as "
            "C(rule!1000000!match = directory). Rules from 1000000 to 1999999 are free and come "
            "before the site's own.",
        },
    ),
}
# Those that a role sees as the inventory has them.
FINISHED.update({name: key.finished for name, key in SITE_KEYS.items() if key.finished is not None})


def keys_of(seer: str) -> tuple[str, ...]:
    """The keys that are seen by one of APP, BACK, INSIDE and FRONT."""
    return tuple(name for name, key in FINISHED.items() if seer in key.seen_by)


def choices_of(role: str, name: str) -> list[str] | None:
    """What a key may be to a role, by the catalog."""
    kind, _sign, server = role.partition("_")
    if kind == "back" and name == "back":
        return [server]
    if kind == "back" and name == "link":
        return [link for link in BACKS[server].links if link != EMBEDDED]
    if kind == "front" and name == "back":
        return list(BACKS)
    if kind == "front" and name == "link":
        return list(FRONTS[server].links)
    return None


def options_of(role: str, seer: str) -> dict[str, dict[str, Any]]:
    """The options of an item of a role's list of sites, in the form of Ansible's argument specs."""
    found = {}
    for name in keys_of(seer):
        key = FINISHED[name]
        words = key.words.get(role) or key.words.get(seer) or key.description
        words = words or f"{SITE_KEYS[name].meaning[:1].upper()}{SITE_KEYS[name].meaning[1:]}."
        choices = choices_of(role, name)
        found[name] = {
            "description": words,
            **key.option,
            **({"choices": choices} if choices else {}),
            **({"required": True} if {role, seer} & {*key.needed} else {}),
        }
    return found
