# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import random
import re

import pytest
import requests
from deviations import find, load

ROWS = load()

JSON = {"Accept": "application/json"}
LIES = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Real-IP": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=https",
    "Proxy": "http://evil.example:8080",
}


def status_of(site, check, status):
    """The status that is expected: what docs/deviations.yml says of this front, or the right
    one.
    """
    row = find(ROWS, check, site)
    return int(row["seen"][check][0]) if row else status


def test_the_page_names_the_stack_that_serves_it(sample):
    answer = sample.ask(headers=JSON)
    assert answer.status_code == 200
    told = answer.json()
    front = sample.front if sample.knows_front else None
    wanted = {
        "front": front,
        "back": sample.back,
        "link": sample.link,
        "transport": sample.transport,
        "site": sample.name,
        "user": sample.name,
    }
    assert {key: told[key] for key in wanted} == wanted
    assert answer.headers["Server"].lower().startswith(sample.front)


def test_the_page_is_one_for_people(sample):
    answer = sample.ask()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1" in answer.text


def test_the_environ_is_the_same_over_every_link(sample, own_address):
    host = f"{(sample.server_names or ['localhost'])[0]}:8080"
    environ = sample.ask("/?a=%20%2F&b", headers={**JSON, "Host": host}).json()["environ"]
    wanted = {
        "SCRIPT_NAME": sample.mount.rstrip("/"),
        "PATH_INFO": "/",
        "QUERY_STRING": "a=%20%2F&b",
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": own_address,
        "HTTP_HOST": host,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }
    assert {key: environ.get(key) for key in wanted} == wanted


def test_a_client_cannot_lie_about_itself(sample, own_address):
    environ = sample.ask(headers={**JSON, **LIES}).json()["environ"]
    assert environ["REMOTE_ADDR"] == own_address
    assert environ["wsgi.url_scheme"] == "http"
    assert not [
        key for key, value in environ.items() if "203.0.113.9" in value or "evil.example" in value
    ]


def test_a_client_cannot_lie_by_a_look_alike(sample, own_address):
    answer = sample.ask(headers={**JSON, "X_Forwarded_For": "203.0.113.9"})
    assert answer.status_code == status_of(sample, "trust: X_Forwarded_For", 200)
    assert answer.status_code == 400 or answer.json()["environ"]["REMOTE_ADDR"] == own_address


def test_the_front_serves_static_files(sample):
    answer = sample.ask("/static/stack.svg")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert "ETag" in answer.headers or "Last-Modified" in answer.headers
    assert sample.ask("/static/").status_code in (403, 404), "a directory is not listed"
    assert sample.ask("/static/../sample.py").status_code == 404, (
        "the application's code is not served"
    )
    assert sample.ask("/static/nothing").status_code == 404


def test_head_has_the_headers_of_get_and_no_body(sample):
    get, head = sample.ask(headers=JSON), sample.ask(method="HEAD", headers=JSON)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_a_prefix_ends_where_it_ends(sample):
    if sample.mount == "/":
        pytest.skip("the site is mounted at the root")
    assert sample.ask("", headers=JSON).status_code in (200, 404), (
        "the prefix itself reaches the application"
    )
    assert "X-Content-Type-Options" in sample.ask("", headers=JSON).headers
    assert sample.ask("x", headers=JSON).status_code == 404
    assert "X-Content-Type-Options" not in sample.ask("x", headers=JSON).headers, (
        "a path that only begins like the prefix is outside"
    )


def test_a_real_application_answers(httpbin, own_address):
    answer = httpbin.ask("/get?x=a%20b&x=%C3%A9")
    assert answer.status_code == 200
    told = answer.json()
    assert told["args"] == {"x": ["a b", "é"]}
    assert told["origin"] == own_address
    assert told["url"] == f"http://{httpbin.server_names[0]}/get?x=a%20b&x=é"
    assert "X-Forwarded-For" not in told["headers"]


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_a_body_arrives_whole(httpbin, size):
    body = random.Random(size).randbytes(size // 2).hex() + "x" * (size % 2)
    answer = httpbin.ask("/anything", "POST", headers={"Content-Type": "text/plain"}, data=body)
    assert answer.status_code == 200
    assert (
        hashlib.sha256(answer.json()["data"].encode()).digest()
        == hashlib.sha256(body.encode()).digest()
    )


def test_a_body_that_is_too_large_is_refused(httpbin):
    # The answer may come before the body was read, and the connection close with it.
    try:
        status = httpbin.ask("/anything", "POST", data=b"x" * 10485761).status_code
    except requests.ConnectionError:
        status = 413
    assert status == 413
    assert httpbin.ask("/anything", "POST", data=b"x" * 10485760).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_methods(httpbin, method):
    assert httpbin.ask("/anything", method).json()["method"] == method


@pytest.mark.parametrize("status", [204, 304, 404, 418, 500])
def test_statuses(httpbin, status):
    assert httpbin.ask(f"/status/{status}").status_code == status_of(
        httpbin, f"statuses: {status}", status
    )


def test_redirects_and_repeated_headers(httpbin):
    answer = httpbin.ask("/cookies/set?one=1&two=2")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/cookies"
    assert sorted(cookie.split(";")[0] for cookie in answer.raw.headers.getlist("Set-Cookie")) == [
        "one=1",
        "two=2",
    ]


def test_an_answer_of_unknown_length(httpbin):
    assert len(httpbin.ask("/stream-bytes/90000?seed=1").content) == 90000


def test_static_files_of_a_package(httpbin):
    answer = httpbin.ask("/flasgger_static/swagger-ui.css")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")
    assert answer.headers["Cache-Control"] == "max-age=60"
    assert httpbin.ask("/flasgger_static/.htaccess").status_code == 404


def test_a_name_that_no_site_has_is_refused(host):
    if not host.server_names:
        pytest.skip("the host has a catch-all site")
    answer = host.ask(headers={"Host": "nobody.example"})
    assert answer.status_code == status_of(host, "hosts: a name that no site has", 421)


def test_systemd_understands_every_line_of_the_units(host):
    """What it does not understand it ignores, and says so in the journal alone."""
    said = host.run("root", "journalctl", "--no-pager", "--output=cat", "_PID=1")
    assert said.returncode == 0
    assert "Started" in said.stdout
    assert [
        line for line in said.stdout.splitlines() if re.match(r"/etc/systemd/.*:\d+: ", line)
    ] == []
