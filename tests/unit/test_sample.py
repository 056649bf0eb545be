# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
import io
import json
import os
import platform
import re
import sys
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

FOLDER = Path(__file__).parents[2] / "roles" / "app" / "files" / "sample"
SETTINGS = {
    "PYWEB_FRONT": "nginx",
    "PYWEB_LINK": "scgi",
    "PYWEB_TRANSPORT": "unix",
    "PYWEB_ENDPOINT": "/run/pyweb/sample/uwsgi-scgi.sock",
    "PYWEB_BACK": "uwsgi",
    "PYWEB_SITE": "sample",
}
VOID = {"img", "link", "meta"}


def load(path=FOLDER / "sample.py"):
    spec = importlib.util.spec_from_file_location("sample", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = load()


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PYWEB_")]:
        monkeypatch.delenv(name)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(version=b"2.0.28-debian"))


def ask(**environ):
    """Ask as a server does, under the validator of the standard library: status, headers, body."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", **environ}
    setup_testing_defaults(environ)
    answer = []
    body = validator(sample.application)(environ, lambda *start: answer.extend(start[:2]))
    try:
        content = b"".join(body)
    finally:
        body.close()
    status, headers = answer
    assert len(dict(headers)) == len(headers)
    return status, dict(headers), content


def facts(**environ):
    return json.loads(ask(QUERY_STRING="format=json", **environ)[2])


class Page(HTMLParser):
    """The elements, links and text of a page, whose end tags must match."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], ""
        self.feed(content.decode("utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        assert not [name for name, value in attrs if name.startswith("on") or name == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_shows_the_stack():
    status, headers, content = ask(SERVER_SOFTWARE="nginx/1.26.3", REMOTE_ADDR="192.0.2.7")
    page = Page(content)
    assert status == "200 OK"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Length"] == str(len(content))
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "script" not in page.tags and "style" not in page.tags
    assert page.tags.count("table") == 1 and page.tags.count("img") == 1
    steps = [
        "Browser",
        "192.0.2.7",
        "Front",
        "1.26.3",
        "Link",
        SETTINGS["PYWEB_ENDPOINT"],
        "Back",
        "2.0.28-debian",
        str(os.getpid()),
        sample.user(),
        "Application",
        platform.python_version(),
    ]
    assert re.search(".*".join(map(re.escape, steps)), page.text, re.DOTALL)


def test_json_has_the_same():
    status, headers, content = ask(QUERY_STRING="format=json", SERVER_SOFTWARE="nginx/1.26.3")
    answer = json.loads(content)
    assert status == "200 OK"
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(content))
    assert headers["Cache-Control"] == "no-store"
    assert {
        f"PYWEB_{name.upper()}": answer[name]
        for name in ("front", "link", "transport", "endpoint", "back", "site")
    } == SETTINGS
    assert answer["versions"] == {
        "front": "1.26.3",
        "back": "2.0.28-debian",
        "python": platform.python_version(),
        "debian": sample.debian_version(),
    }
    assert answer["python"] == platform.python_version()
    assert answer["process"] == os.getpid()
    assert answer["thread"] == "MainThread"
    assert answer["user"] == sample.user()
    assert answer["release"] is None
    assert answer["environ"]["SERVER_SOFTWARE"] == "nginx/1.26.3"
    assert all(isinstance(value, str) for value in answer["environ"].values())


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("", "", "text/html"),
        ("*/*", "", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "", "text/html"),
        ("application/json", "", "application/json"),
        ("Application/JSON, */*;q=0.1", "", "application/json"),
        ("text/html, application/json", "", "text/html"),
        ("text/html", "format=json", "application/json"),
        ("text/html", "a=b&format=json", "application/json"),
        ("application/json", "format=html", "text/html"),
        ("", "format=%00&x", "text/html"),
    ],
)
def test_choice_of_format(accept, query, expected):
    _, headers, _ = ask(HTTP_ACCEPT=accept, QUERY_STRING=query)
    assert headers["Content-Type"].partition(";")[0] == expected
    assert headers["Vary"] == "Accept"


@pytest.mark.parametrize("environ", [{}, {"QUERY_STRING": "format=json"}, {"PATH_INFO": "/other"}])
def test_head_is_get_without_a_body(environ):
    status, headers, content = ask(REQUEST_METHOD="GET", **environ)
    # The length differs by the method itself, which is shown.
    length = len(content) + (len("HEAD") - len("GET") if status == "200 OK" else 0)
    assert ask(REQUEST_METHOD="HEAD", **environ) == (
        status,
        {**headers, "Content-Length": str(length)},
        b"",
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", "200 OK"),
        ("GET", "", "200 OK"),
        ("GET", "/other", "404 Not Found"),
        ("GET", "//", "404 Not Found"),
        ("GET", "/static/nothing.svg", "404 Not Found"),
        ("POST", "/other", "404 Not Found"),
        ("POST", "/", "405 Method Not Allowed"),
        ("OPTIONS", "/", "405 Method Not Allowed"),
        ("DELETE", "", "405 Method Not Allowed"),
    ],
)
def test_paths_and_methods(method, path, status):
    answer, headers, content = ask(REQUEST_METHOD=method, SCRIPT_NAME="/app", PATH_INFO=path)
    assert answer == status
    assert headers.get("Allow") == ("GET, HEAD" if status.startswith("405") else None)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Length"] == str(len(content))
    if status != "200 OK":
        assert status in Page(content).text


@pytest.mark.parametrize(
    ("mount", "prefix"),
    [
        ("", ""),
        ("/app", "/app"),
        ("/a/b c", "/a/b%20c"),
        ("/caf\u00c3\u00a9", "/caf%C3%A9"),
        ('/"><script>', "/%22%3E%3Cscript%3E"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/other"])
def test_links_stay_under_the_mount(mount, prefix, path):
    links = Page(ask(SCRIPT_NAME=mount, PATH_INFO=path)[2]).links
    assert links and all(link.startswith(prefix + "/") for link in links)
    for link in links:
        if "/static/" in link:
            assert (FOLDER / link[len(prefix) + 1 :]).is_file()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("</td></table><img src=x onerror=alert(1)>", "</td></table><img src=x onerror=alert(1)>"),
        ("\" onload='x' {mount} {0} %s &lt;", "\" onload='x' {mount} {0} %s &lt;"),
        ("caf\u00c3\u00a9", "caf\u00c3\u00a9"),
        ("a\x00b\x1b[31m\x85", "a\\x00b\\x1b[31m\\x85"),
        ("\udcff", "\\udcff"),
    ],
)
@pytest.mark.parametrize("name", ["HTTP_USER_AGENT", "HTTP_X_<B>", "QUERY_STRING", "REMOTE_ADDR"])
def test_hostile_values_are_only_text(name, value, shown):
    plain = Page(ask(**{name: "plain"})[2])
    hostile = Page(ask(**{name: value})[2])
    assert hostile.tags == plain.tags
    assert shown in hostile.text and name in hostile.text


def test_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    environ = {
        "SECRET_KEY": "hunter2",
        "HTTP_COOKIE": "id=hunter2",
        "HTTP_AUTHORIZATION": "Basic hunter2",
        "HTTP_PROXY_AUTHORIZATION": "Basic hunter2",
    }
    for query in ("", "format=json"):
        content = ask(QUERY_STRING=query, **environ)[2]
        assert (
            b"hunter2" not in content and b"SECRET_KEY" not in content and b"HTTP_COOKIE" in content
        )


@pytest.mark.parametrize(
    ("front", "link", "software", "expected"),
    [
        ("nginx", "uwsgi", "nginx/1.26.3", ("nginx", "1.26.3")),
        ("apache", "fastcgi", "Apache/2.4.68 (Debian)", ("apache", "2.4.68")),
        ("lighttpd", "scgi", "lighttpd", ("lighttpd", None)),
        (None, "scgi", "lighttpd/1.4.79", ("lighttpd", "1.4.79")),
        (None, "embedded", "Apache/2.4.68 (Debian)", ("apache", "2.4.68")),
        (None, "uwsgi", "", (None, None)),
        ("nginx", "http", "Apache/2.4.68 (Debian)", ("nginx", None)),
        ("apache", "http", "Apache/2.4.68 (Debian)", ("apache", None)),
        (None, "http", "Apache/2.4.68 (Debian)", (None, None)),
        ("nginx", "uwsgi", "Other/7", ("nginx", None)),
    ],
)
def test_front_is_told_or_names_itself(monkeypatch, front, link, software, expected):
    monkeypatch.setenv("PYWEB_LINK", link)
    monkeypatch.delenv("PYWEB_FRONT")
    if front:
        monkeypatch.setenv("PYWEB_FRONT", front)
    answer = facts(SERVER_SOFTWARE=software)
    assert (answer["front"], answer["versions"]["front"]) == expected


@pytest.mark.parametrize(
    ("back", "module", "version"),
    [
        ("uwsgi", SimpleNamespace(version=b"2.0.21-debian"), "2.0.21-debian"),
        ("uwsgi", None, None),
        ("mod_wsgi", SimpleNamespace(version=(5, 0, 2)), "5.0.2"),
        ("mod_wsgi", SimpleNamespace(), None),
        ("os", SimpleNamespace(version="1"), None),
    ],
)
def test_version_of_the_back(monkeypatch, back, module, version):
    if back != "os":
        monkeypatch.setitem(sys.modules, back, module)
    monkeypatch.setenv("PYWEB_BACK", back)
    assert facts()["versions"]["back"] == version


@pytest.mark.parametrize(("back", "version"), [("flup", "1.0.3"), ("gunicorn", "27.0.1")])
def test_version_of_a_back_in_the_virtual_environment(monkeypatch, back, version):
    monkeypatch.setenv("PYWEB_BACK", back)
    monkeypatch.setattr(metadata, "version", {back: version}.__getitem__)
    assert facts()["versions"]["back"] == version


def test_without_settings_the_page_still_works(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name)
    answer = facts(SERVER_SOFTWARE="")
    assert {name for name, value in answer.items() if value is None} == {
        "front",
        "link",
        "transport",
        "endpoint",
        "back",
        "site",
        "release",
    }
    page = Page(ask(SERVER_SOFTWARE="")[2])
    assert "unknown" in page.text and "None" not in page.text


def test_user_without_an_account(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert facts()["user"] == str(2**31 - 7)


def test_release_is_found_through_current(tmp_path):
    release = tmp_path / "releases" / "3f9a1c"
    release.mkdir(parents=True)
    (release / "sample.py").write_bytes((FOLDER / "sample.py").read_bytes())
    (tmp_path / "current").symlink_to("releases/3f9a1c")
    assert load(tmp_path / "current" / "sample.py").RELEASE == "3f9a1c"


def test_body_of_a_request_is_left_alone():
    body = io.BytesIO(b"data")
    assert ask(REQUEST_METHOD="POST", CONTENT_LENGTH="4", **{"wsgi.input": body})[0].startswith(
        "405"
    )
    assert body.tell() == 0


def test_static_files_need_no_other_host():
    for path in (FOLDER / "static").iterdir():
        content = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        content = content.replace("https://www.gnu.org/licenses/gpl-3.0.txt", "")
        assert not re.search(r"https?:|url\(|@import|<script", content), path.name
