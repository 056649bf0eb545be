# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hostile definition is refused, or its files are those of a harmless one, token for token, with
its own values in their places.
"""

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleError
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import FRONTS
from ansible_collections.pyweb.stack.plugins.module_utils._config_token import config_token
from ansible_collections.pyweb.stack.plugins.module_utils._plan import PlanError, plan
from definitions import BREAKING, definitions
from grammars import tokens_of
from hypothesis import Phase, assume, given, settings
from rendering import files
from test_environment_file import parse

# Keys that no configuration carries, or that are compared as a whole.
FREE = {"environment", "secrets", "extra", "source", "requirements", "python"}


def ranks(urls: list[str]) -> dict[str, int]:
    """The place of each in the order that Jinja's sort gives them, which does not know capital
    letters; of equals the first is the last.
    """
    return {
        url: place
        for place, (_lower, _number, url) in enumerate(
            sorted((url.lower(), -number, url) for number, url in enumerate(urls))
        )
    }


def inside(urls: list[str]) -> set[tuple[str, str]]:
    """Pairs of URLs of which the second is inside the first."""
    return {
        (one, other) for one in urls for other in urls if one != other and other.startswith(one)
    }


def renamed(urls: list[str]) -> dict[str, str]:
    """Plain URLs in the same order, and inside one another as these are."""
    around = inside(urls)
    places = ranks(urls)
    return {
        url: "/"
        + "".join(
            f"qurl{places[each]}/"
            for each in sorted(places, key=len)
            if each == url or (each, url) in around
        )
        for url in urls
    }


def harmless(site: dict, planned: dict) -> dict:
    """A definition of the same shape, of plain words: what is sorted stays in the same order, what
    is counted the same number.
    """
    names = planned["server_names"]
    exact = {
        name: f"qname{place}.test" for place, name in enumerate(names) if not name.startswith("*.")
    }
    # The longest come first.
    wild = sorted(
        (name for name in names if name.startswith("*.")), key=lambda name: (-len(name), name)
    )
    known = {**exact, **{name: f"*.qwild{place}.test" for place, name in enumerate(wild)}}
    urls = renamed([static["url"] for static in site.get("static", [])])
    paths = sorted({static["path"].rstrip("/") for static in site.get("static", [])})
    return {
        **{key: site[key] for key in site if key not in FREE},
        "name": "qsite",
        "application": "qmodule:qcallable",
        "source": {"package": "qsite"},
        "server_names": [known[name] for name in names],
        "mount": "/qmount" if planned["script_name"] else "/",
        "static": [
            {
                **static,
                "url": urls[static["url"]],
                "path": f"{'/' if static['path'].startswith('/') else ''}qpath{paths.index(static['path'].rstrip('/'))}{'/' if static['path'].endswith('/') else ''}",
            }
            for static in site.get("static", [])
        ],
    }


def leaves(plain, hostile):
    """Pairs of the texts and numbers at the same place of two plans."""
    if isinstance(plain, dict):
        assert plain.keys() == hostile.keys()
        for key in plain.keys() - FREE:
            yield from leaves(plain[key], hostile[key])
    elif isinstance(plain, list):
        assert len(plain) == len(hostile)
        for pair in zip(plain, hostile):
            yield from leaves(*pair)
    elif isinstance(plain, (str, int)) and plain != hostile:
        yield str(plain), str(hostile)


def replaced(token: str, values: dict[str, str]) -> str:
    """A token with each plain value replaced by the hostile one; the longest first."""
    if not values:
        return token
    return re.sub(
        "|".join(map(re.escape, sorted(values, key=len, reverse=True))),
        lambda match: values[match[0]],
        token,
    )


def in_patterns(values: dict[str, str]) -> dict[str, str]:
    """The same values as they stand in regular expressions."""

    def pattern(value: str) -> str:
        return re.escape(value).replace(r"\*", ".+", 1 if value.startswith("*.") else 0)

    return {pattern(plain): pattern(hostile) for plain, hostile in values.items()}


CHEROKEE = "/etc/cherokee/cherokee.conf"


def without(extra: str, path: str, text: str) -> str:
    """A site's file without its own text, which is the last in it."""
    if not extra:
        return text
    if path == CHEROKEE:
        text, _, added = text.partition("\n# What the site ")
        # Each line is below the site's own virtual server.
        lines = [
            line
            for line in re.split(r"[\r\n]", added)[1:]
            if line.strip() and not line.strip().startswith("#")
        ]
        assert all(line.startswith("vserver!20!") for line in lines), lines
        return text
    assert text.endswith(f"\n{extra}\n"), path
    return text[: -len(extra) - 1]


def same_meaning(hostile: dict[str, str], plain: dict[str, str], values: dict[str, str]) -> None:
    """Two sets of files differ in nothing but these values."""
    assert list(hostile) == [replaced(path, values) for path in plain]
    # Apache's ServerName takes no wildcard.
    spelled = (
        values,
        in_patterns(values),
        {old.replace("*", "wildcard"): new.replace("*", "wildcard") for old, new in values.items()},
        # Cherokee names a directory without its last slash.
        {old.rstrip("/"): new.rstrip("/") for old, new in values.items() if old.rstrip("/")},
    )
    for (path, text), reference in zip(hostile.items(), plain.values()):
        if path.endswith((".environment", ".secrets")):
            continue
        found, wanted = tokens_of(path, text), tokens_of(path, reference)
        assert len(found) == len(wanted), path
        for token, other in zip(found, wanted):
            assert token in [replaced(other, of_language) for of_language in spelled], (
                path,
                token,
                other,
            )


@pytest.mark.parametrize("front", FRONTS)
def test_none_changes_the_meaning_of_a_configuration(front):
    accepted = []

    # It takes longer to make an example smaller than to read it.
    @settings(max_examples=170, phases=[Phase.generate])
    @given(definitions(front))
    def check(site):
        try:
            planned = plan({"front": front, "sites": [site]})
        except PlanError as error:
            assert all(
                re.match(r"sites\[.+\]\..+: .", line) and line.isprintable()
                for line in error.faults
            ), error.faults
            return
        urls = [static["url"] for static in site.get("static", [])]
        # A plain name has one order among those that differ in capital letters.
        assume(len(inside(urls)) == len(inside([url.lower() for url in urls])))
        accepted.append(site)
        (of_front,) = planned[f"front_{front}_sites"]
        (of_back,) = planned[f"back_{of_front['back']}_sites"] + planned.get(
            f"front_{front}_embedded_sites", []
        )
        plain = plan({"front": front, "sites": [harmless(site, of_front)]})
        written = files(planned)
        for name in ("environment", "secrets"):
            assert parse(written[f"/etc/pyweb/{of_back['name']}/{of_back['unit']}.{name}"]) == {
                **of_back[name]
            }
            assert {key: str(value) for key, value in site.get(name, {}).items()} == of_back[name]
        own = next(
            path
            for path in written
            if path == CHEROKEE
            or (path.startswith("/etc/") and path.endswith(f"pyweb/{of_back['name']}.conf"))
        )
        assert of_front["extra"] == site.get("extra", {}).get(front, "")
        written[own] = without(of_front["extra"], own, written[own])
        same_meaning(written, files(plain), dict(leaves(plain, planned)))

    check()
    assert len(accepted) > 50


LISTENING = {
    "nginx": {"front_nginx_listen": ["80"], "front_nginx_worker_processes": "4"},
    "apache": {"front_apache_listen": ["80"]},
    "lighttpd": {"front_lighttpd_listen": ["0.0.0.0:80"]},
}


@pytest.mark.parametrize(
    ("front", "variable"),
    [(front, variable) for front, known in LISTENING.items() for variable in known],
)
def test_a_variable_of_a_role_is_refused_by_name(front, variable):
    value = LISTENING[front][variable]
    spoilt = [f"{value[0]}; }}"] if isinstance(value, list) else f"{value}; }}"
    with pytest.raises(
        AnsibleError, match=f"{variable}: '.*; }}' is not possible; it takes letters"
    ):
        files(plan({"front": front}), **{variable: spoilt})


@pytest.mark.parametrize(
    "text", [text for text in BREAKING if re.search(r"[^\w.:*/=@+\[\] -]", text, re.ASCII)]
)
def test_what_may_end_a_value_is_not_plain(text):
    with pytest.raises(ValueError, match="^x: "):
        config_token(f"80{text}", "x")


def test_plain_text_stays_as_it_is():
    for value in ("80", 80, "[::]:80", "127.0.0.1:8080", "unix:/run/a_b.sock", "443 https", "auto"):
        assert config_token(value, "x") == str(value)


@pytest.mark.parametrize("text", ["a;", "}\nstream {", "{{ 7 * 7 }}", "\\", 'a "\n    b";'])
def test_the_text_for_all_of_nginx_is_alone_in_its_file(text):
    assert (
        files(plan({"front": "nginx"}), front_nginx_http_extra=text)["/etc/nginx/pyweb.conf"]
        == f"#\n# Ansible managed\n#\n{text}\n"
    )
