# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small readers of the languages that the roles write: a file becomes its tokens, as its server
would take them.

Each raises ValueError for a text that ends in the middle of something, or whose blocks do not
match.
"""

from __future__ import annotations

import io
import re
import shlex
import tokenize


def _balanced(tokens: list[str], pairs: dict[str, str]) -> list[str]:
    expected = []
    for token in tokens:
        if token in pairs:
            expected.append(pairs[token])
        elif token in pairs.values() and (not expected or expected.pop() != token):
            raise ValueError(f"{token} closes nothing")
    if expected:
        raise ValueError(f"no {expected[-1]} at the end")
    return tokens


NGINX = re.compile(
    r"""(?P<skip>[ \t\r\n]+ | \#[^\n]*)
    | (?P<mark>[;{}])
    | "(?P<double>(?:[^"\\]|\\.)*)"(?=[\s;{)])
    | '(?P<single>(?:[^'\\]|\\.)*)'(?=[\s;{)])
    | (?P<bare>(?:[^\s;{}"'\\\#]|\\.)(?:[^\s;{\\]|\\.|(?<=\$)\{)*)""",
    re.VERBOSE | re.DOTALL,
)


def nginx(text: str) -> list[str]:
    """ngx_conf_read_token: a mark as it is, a word with "=" before it."""
    tokens, position = [], 0
    while position < len(text):
        match = NGINX.match(text, position)
        if not match:
            raise ValueError(f"no token at {text[position : position + 20]!r}")
        position = match.end()
        kind = match.lastgroup
        if kind == "mark":
            tokens.append(match["mark"])
        elif kind != "skip":
            tokens.append("=" + re.sub(r"""\\(["'\\])""", r"\1", match[kind]))
    if tokens and tokens[-1] not in (";", "}"):
        raise ValueError("a directive that never ends")
    return _balanced(tokens, {"{": "}"})


APACHE_WORD = re.compile(
    r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"'](?:[^\s\\]|\\.)*))(?=[ \t]|$)"""
)


def apache(text: str) -> list[str]:
    """ap_cfg_getline and ap_getword_conf: lines, joined where they end with a backslash, of
    words.
    """
    tokens = []
    for line in re.sub(r"\\\n", "", text).split("\n"):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        section = re.fullmatch(r"<(/?\w+)(.*)>", line)
        if section and section[1].startswith("/"):
            tokens.append(f"<{section[1]}>")
            continue
        if line.startswith("<") and not section:
            raise ValueError(f"no end of {line!r}")
        tokens.append(f"<{section[1]}>" if section else "\n")
        rest = section[2] if section else line
        position = 0
        while rest[position:].strip():
            word = APACHE_WORD.match(rest, position)
            if not word:
                raise ValueError(f"no word at {rest[position:]!r}")
            position = word.end()
            tokens.append(
                "="
                + re.sub(
                    r"""\\(["'\\])""",
                    r"\1",
                    next(part for part in word.groups() if part is not None),
                )
            )
    sections = {
        token: token.replace("<", "</") for token in tokens if re.fullmatch(r"<\w+>", token)
    }
    return _balanced(tokens, sections)


LIGHTTPD = re.compile(
    r"""(?P<skip>[ \t\r\n]+ | \#[^\n]*)
    | (?P<mark>=>|==|=~|=\^|!=|!~|\+=|[=(){},+])
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | \$(?P<field>[A-Z]+\["[a-zA-Z_-]+"\])
    | (?P<word>[A-Za-z_][\w.-]*|[0-9]+)""",
    re.VERBOSE | re.DOTALL,
)


def lighttpd(text: str) -> list[str]:
    """config_tokenizer: a mark as it is, a string with "=" before it, a word with a colon."""
    tokens, position = [], 0
    while position < len(text):
        match = LIGHTTPD.match(text, position)
        if not match:
            raise ValueError(f"no token at {text[position : position + 20]!r}")
        position = match.end()
        kind = match.lastgroup
        if kind == "string":
            tokens.append("=" + re.sub(r'\\(["\\])', r"\1", match[kind]))
        elif kind != "skip":
            tokens.append(match[kind] if kind == "mark" else ":" + match[kind])
    return _balanced(tokens, {"{": "}", "(": ")"})


def cherokee(text: str) -> list[str]:
    """cherokee_config_reader_parse: a key and a value a line; a carriage return ends a line,
    too.
    """
    tokens = []
    for line in re.split(r"[\r\n]", text):
        if line.strip() and not line.startswith("#"):
            key, equals, value = line.partition(" = ")
            if not equals or not value:
                raise ValueError(f"{line!r} is no assignment")
            tokens += [*key.split("!"), "=" + value]
    return tokens


def ini(text: str) -> list[str]:
    """uWSGI's files and systemd's units: sections, keys and values, a line each; no line goes on in
    the next.
    """
    tokens = []
    for line in text.split("\n"):
        if line.endswith("\\"):
            raise ValueError(f"{line!r} goes on in the next line")
        if not line.strip() or line[0] in "#;":
            continue
        if line.startswith("["):
            tokens.append(line)
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"{line!r} is no assignment")
        tokens += [key.strip(), "=" + value.strip()]
    return tokens


def words(text: str) -> list[str]:
    """sysusers.d(5) and tmpfiles.d(5): lines of words, some of them quoted."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return [
        token for line in lines for token in ("\n", *("=" + word for word in shlex.split(line)))
    ]


def python(text: str) -> list[str]:
    """A module's tokens."""
    return [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type != tokenize.COMMENT
    ]


# By what a path ends with, the first that fits.
LANGUAGES = (
    ("/current", lambda target: [target]),
    (".load", lambda target: [target]),
    ("/cherokee.conf", cherokee),
    # These hold nothing of a site.
    ("/cherokee.service", lambda text: [text]),
    ("/logrotate.d/cherokee", lambda text: [text]),
    (".lua", lambda text: [text]),
    (".ini", ini),
    (".service", ini),
    (".socket", ini),
    ("/50-sandbox.conf", ini),
    ("/60-accounts.conf", ini),
    ("/sysusers.d/pyweb.conf", words),
    ("/tmpfiles.d/pyweb.conf", words),
    (".wsgi", python),
)


def tokens_of(path: str, text: str) -> list[str]:
    """The tokens of a file that a role writes."""
    for end, language in LANGUAGES:
        if path.endswith(end):
            return language(text)
    if path.startswith("/etc/nginx/"):
        return nginx(text)
    return lighttpd(text) if path.startswith("/etc/lighttpd/") else apache(text)
