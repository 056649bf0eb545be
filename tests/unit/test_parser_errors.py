# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the real parsers of Debian 12 and 13, each with the line that it points at."""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._parser_errors import explain
from hypothesis import given
from hypothesis import strategies as st

SHOP = "".join(f"line {number} of shop\n" for number in range(1, 31))
MAIN = "".join(f"line {number} of main\n" for number in range(1, 101))

NGINX = """2026/11/24 16:03:11 [emerg] 650#650: unknown directive "gzzip" in /etc/nginx/pyweb/shop.conf:12
nginx: configuration file /etc/nginx/nginx.conf test failed"""
APACHE = """AH00526: Syntax error on line 12 of /etc/apache2/pyweb/shop.conf:
Invalid command 'Gzzip', perhaps misspelled or defined by a module not included in the server configuration"""
APACHE_INCLUDED = (
    "apache2: Syntax error on line 53 of /etc/apache2/apache2.conf: Syntax error on line 8 of"
    " /etc/apache2/sites-enabled/pyweb.conf: Syntax error on line 12 of "
    "/etc/apache2/pyweb/shop.conf:"
    " </VirtualHost> without matching <VirtualHost> section"
)
APACHE_NOT_CLOSED = (
    "apache2: Syntax error on line 53 of /etc/apache2/apache2.conf: Syntax error on line 8 of"
    " /etc/apache2/sites-enabled/pyweb.conf: Syntax error on line 30 of "
    "/etc/apache2/pyweb/shop.conf:"
    " /etc/apache2/pyweb/shop.conf:12: <Location> was not closed."
)
LIGHTTPD = """2026-11-24 16:03:16: (configfile.c.1978) source: /etc/lighttpd/pyweb/shop.conf line: 12 pos: 0 missing closing quote
2026-11-24 16:03:16: (configfile.c.2161) configfile parser failed at:
2026-11-24 16:03:16: (configfile.c.2164) source: /etc/lighttpd/pyweb.conf line: 7 pos: 4 parser failed somehow near here: (EOL)
2026-11-24 16:03:16: (configfile.c.2164) source: /etc/lighttpd/lighttpd.conf line: 80 pos: 0 parser failed somehow near here: (EOL)"""
SYSTEMD = "/etc/systemd/system/shop.service:12: Failed to parse time value, ignoring: abc"


@pytest.mark.parametrize(
    ("words", "path", "others"),
    [
        (NGINX, "/etc/nginx/pyweb/shop.conf", ["/etc/nginx/nginx.conf"]),
        (APACHE, "/etc/apache2/pyweb/shop.conf", []),
        (APACHE_INCLUDED, "/etc/apache2/pyweb/shop.conf", ["/etc/apache2/apache2.conf", "/etc/apache2/sites-enabled/pyweb.conf"]),
        (APACHE_NOT_CLOSED, "/etc/apache2/pyweb/shop.conf", ["/etc/apache2/apache2.conf"]),
        (LIGHTTPD, "/etc/lighttpd/pyweb/shop.conf", ["/etc/lighttpd/pyweb.conf", "/etc/lighttpd/lighttpd.conf"]),
        (SYSTEMD, "/etc/systemd/system/shop.service", []),
    ],
)  # fmt: skip
def test_the_line_of_the_fault_is_shown_and_no_file_that_includes_it(words, path, others):
    expected = f"""

{path}:12
  10 | line 10 of shop
  11 | line 11 of shop
> 12 | line 12 of shop
  13 | line 13 of shop
  14 | line 14 of shop"""
    assert explain(words, {path: SHOP, **dict.fromkeys(others, MAIN)}) == words + expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (1, "> 1 | a\n  2 | b\n  3 | c"),
        (4, "  2 | b\n  3 | c\n> 4 | d"),
        # The end of a file is a line that it does not have.
        (5, "  2 | b\n  3 | c\n> 4 | d"),
    ],
)
def test_the_ends_of_a_file(line, expected):
    words = f'[emerg] 1#1: unexpected end of file, expecting "}}" in /x/a.conf:{line}'
    assert (
        explain(words, {"/x/a.conf": "a\nb\nc\nd\n"})
        == f"{words}\n\n/x/a.conf:{min(line, 4)}\n{expected}"
    )


def test_lines_are_counted_as_the_parsers_count_them():
    assert explain("wrong in /a.conf:2", {"/a.conf": "a\x0cb\u2028c\r\nd\n"}).endswith("> 2 | d")


def test_what_includes_a_file_of_others_is_shown():
    words = LIGHTTPD.replace("/etc/lighttpd/pyweb/shop.conf", "/etc/others.conf")
    assert "> 7 | line 7 of main" in explain(words, {"/etc/lighttpd/pyweb.conf": MAIN})


def test_a_place_is_shown_once_and_few_of_many():
    assert explain(f"{NGINX}\n{NGINX}", {"/etc/nginx/pyweb/shop.conf": SHOP}).count("> 12 |") == 1
    many = "\n".join(f"[emerg] 1#1: wrong in /x/a.conf:{line}" for line in range(1, 30))
    assert explain(many, {"/x/a.conf": SHOP}).count("> ") == 5


@pytest.mark.parametrize(
    "texts", [{}, {"/etc/nginx/pyweb/other.conf": SHOP}, {"/etc/nginx/pyweb/shop.conf": ""}]
)
def test_words_that_point_at_no_known_line_stay_alone(texts):
    assert explain(NGINX, texts) == NGINX


@given(st.text(), st.integers(0, 10**30), st.text())
def test_words_come_first_whatever_they_are(words, line, text):
    words = f"{words} in /a.conf:{line}"
    assert explain(words, {"/a.conf": text}).startswith(words)
