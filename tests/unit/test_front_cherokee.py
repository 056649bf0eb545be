# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role front_cherokee writes for every link keeps to Cherokee's grammar; no Cherokee is at
hand to say so.
"""

from __future__ import annotations

import re
import subprocess

import pytest
import rendering
from ansible.template import Templar, trust_as_template
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    combinations,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from rendering import LOADER, variables_of
from test_cherokee_config import parse
from test_deb import package, packed
from test_specs import ROLES, full_site, load, options_of, renderer

ROLE = "front_cherokee"
STACKS = [
    stack[1:] + (transport,)
    for stack in combinations()
    if stack[0] == "cherokee"
    for transport in transports_of(*stack)
]
HANDLERS = {"uwsgi": "uwsgi", "http": "proxy", "fastcgi": "fcgi", "scgi": "scgi"}
CGI = {"", "check_file", "error_handler", "pass_req_headers", "balancer"}
# What Cherokee knows below each, of what is used here; an unknown key of a handler passes its own
# test in silence.
KEYS = {
    "custom_error": {"", "error"},
    "common": {"", "allow_dirlist", "allow_pathinfo", "iocache"},
    "proxy": {
        "",
        "balancer",
        "in_preserve_host",
        "in_allow_keepalive",
        "in_header_add",
        "in_header_hide",
    },
    **dict.fromkeys(("uwsgi", "fcgi", "scgi"), CGI),
}
# Variables that the templates use; the others have tests of Ansible's own.
IN_TEMPLATES = {"prefix", "unclear", "bodiless", "some_line", "unclear_lines", "methods_with_body"}
RULE = {"match", "handler", "document_root", "expiration", "header_op", "timeout"}
SERVER = {
    "bind",
    "server_tokens",
    "pid_file",
    "fdlimit",
    "listen_queue",
    "timeout",
    "thread_number",
}
VSERVER = {
    "nick",
    "match",
    "document_root",
    "directory_index",
    "post_max_len",
    "logger",
    "error_writer",
    "rule",
}


def variables(environment):
    """The role's variables, as Ansible finishes them."""
    values = {
        name: option["default"] for name, option in options_of(ROLE).items() if "default" in option
    }

    def finish(value):
        return (
            environment.from_string(value).render(values)
            if isinstance(value, str) and "{{" in value
            else value
        )

    private = load(ROLES / ROLE / "vars" / "main.yml")
    # Those that depend on others come after them.
    for name in sorted(private, key=lambda name: "{{" in str(private[name])):
        if name.removeprefix(f"__{ROLE}_") in IN_TEMPLATES:
            values[name] = finish(private[name])
    return values


def written(sites, **values):
    environment = renderer(ROLE)
    return environment.get_template("cherokee.conf.j2").render(
        {**variables(environment), f"{ROLE}_sites": sites, **values}
    )


def planned(*sites, **host):
    return plan({"front": "cherokee", "sites": list(sites), **host})[f"{ROLE}_sites"]


def rules_of(vserver):
    """The rules of a virtual server in the order in which Cherokee asks them."""
    return [vserver["rule"][number] for number in sorted(vserver["rule"], key=int, reverse=True)]


def matches(pattern, text):
    return bool(re.search(pattern.replace(r"\z", r"\Z"), text))


@pytest.mark.parametrize(("back", "link", "transport"), STACKS)
def test_every_link_keeps_to_the_grammar(back, link, transport):
    (site,) = sites = planned(full_site(), back=back, link=link, transport=transport)
    tree = parse(written(sites))
    assert set(tree) == {"config", "server", "source", "vserver", "mime"}
    assert set(tree["server"]) <= SERVER
    assert tree["source"] == {
        "101": {"type": "host", "nick": "shop", "host": site["endpoints"][0]["address"]}
    }
    assert sorted(tree["vserver"], key=int) == ["10", "20"]
    for vserver in tree["vserver"].values():
        assert set(vserver) <= VSERVER
        for rule in rules_of(vserver):
            assert set(rule) <= RULE
            # A rule without a handler only adds to what another one does.
            assert "handler" in rule or rule["match"]["final"] == "0"
            assert set(rule.get("handler", {})) <= KEYS[rule.get("handler", {"": "common"})[""]]
    (dynamic,) = [
        rule for rule in rules_of(tree["vserver"]["20"]) if "balancer" in rule.get("handler", {})
    ]
    assert dynamic["handler"][""] == HANDLERS[link]
    assert dynamic["handler"]["balancer"] == {"": "round_robin", "source": {"1": "101"}}
    assert dynamic["timeout"] == "65"


def test_one_virtual_server_comes_last_and_is_the_default():
    named, star = (
        full_site("shop", server_names=["shop.example.org"]),
        full_site("star", server_names=["*.example.org"]),
    )
    for sites in (
        [named],
        [named, full_site("rest", server_names=[])],
        [named, star, full_site("rest", server_names=[])],
    ):
        vservers = parse(written(planned(*sites)))["vserver"]
        nicks = [vservers[number]["nick"] for number in sorted(vservers, key=int)]
        assert nicks[0] == "default"
        assert nicks.count("default") == 1
        assert all(" " in nick for nick in nicks[1:]), "a nick is a host name, too"


def test_names_are_matched_whole_and_in_any_case():
    vservers = parse(
        written(
            planned(
                full_site(server_names=["shop.example.org", "www.shop.example.org"]),
                full_site("star", server_names=["*.example.org"]),
            )
        )
    )["vserver"]
    exact, star = [list(vservers[number]["match"]["regex"].values()) for number in ("30", "20")]
    hits = {
        host: [any(matches(pattern, host) for pattern in patterns) for patterns in (exact, star)]
        for host in (
            "shop.example.org",
            "SHOP.example.ORG",
            "www.shop.example.org",
            "shopxexample.org",
            "a.example.org",
            "a.b.example.org",
            "example.org",
            "a.example.org.evil",
        )
    }
    assert [host for host, (found, _star) in hits.items() if found] == [
        "shop.example.org",
        "SHOP.example.ORG",
        "www.shop.example.org",
    ]
    assert [host for host, (_exact, found) in hits.items() if not found] == [
        "shopxexample.org",
        "example.org",
        "a.example.org.evil",
    ]


def test_the_longest_mount_and_static_url_come_first():
    outer = full_site(
        "outer",
        server_names=["a.test"],
        mount="/",
        static=[{"url": "/s/", "path": "/srv/s"}, {"url": "/s/t/", "path": "/srv/t"}],
    )
    inner = full_site("inner", server_names=["a.test"], mount="/a", static=[])
    rules = rules_of(parse(written(planned(outer, inner)))["vserver"]["20"])
    dynamic_or_files = [
        rule for rule in rules if rule.get("handler", {}).get("") in ("uwsgi", "common")
    ]
    patterns = [
        rule["match"].get("request") or rule["match"]["left"]["request"]
        for rule in dynamic_or_files
    ]
    assert patterns == [r"^/a(/|\?|\z)", "^/s/t/", "^/s/", r"^(/|\?|\z)"]
    assert [
        matches(patterns[0], request) for request in ("/a", "/a/b", "/a?b", "/ab", "/b/a", "/a\n")
    ] == [True, True, True, False, False, False]
    assert rules[-1] == {"match": "default", "handler": {"": "custom_error", "error": "404"}}


def test_what_cherokee_would_lose_or_misread_is_refused_first():
    for vserver in parse(written(planned(full_site())))["vserver"].values():
        guards = rules_of(vserver)[:4]
        assert [guard["handler"]["error"] for guard in guards] == ["405", "400", "400", "411"]
        assert guards[0]["match"] == {"": "method", "method": "trace"}
        assert guards[3]["match"] == {
            "": "header",
            "header": "Transfer-Encoding",
            "type": "provided",
        }


POST = b"POST / HTTP/1.1\r\nHost: shop.example.org\r\n"


@pytest.mark.parametrize(("head", "refused"), [
    (POST + b"Content-Length: 5\r\n\r\n", False),
    (POST + b"content-length:5 \r\nX: a:b c\r\n\r\n", False),
    (POST.replace(b"\r", b"") + b"Content-Length: 5\n\n", True),
    (POST + b"X: a\nContent-Length: 5\r\n\r\n", True),
    (POST + b": a\r\n\r\n", True),
    (POST + b"no field\r\n\r\n", True),
    (POST + b"nofield\r\n\r\n", True),
    (POST + b"Content-Length: 5\r\n\r\nContent-Length: 6\r\nno head \0\r", False),
    (b"GET http://shop.example.org/a:b?c HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", False),
    (b"GET / HTTP/1.0\r\n\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: shop.example.org:8000\r\nContent-Length: 0\r\n\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: shop.example.org\r\nContent-Length: 10\r\n\r\n", True),
    (b"HEAD / HTTP/1.1\r\nHost: shop.example.org\r\nContent-Length: 010\r\n\r\n", True),
    (POST + b"Content-Length: 5\r\nCONTENT-LENGTH: 5\r\n\r\n", True),
    (POST + b"Content-Length: 5\r\nX: y\r\nContent-Length: 6\r\n\r\n", True),
    (POST + b"Host: other.example.org\r\n\r\n", True),
    *[(POST + b"Content-Length: " + value + b"\r\n\r\n", True) for value in (b"+5", b"0x5", b"5 5", b"5,5", b"5abc", b"-1", b"", b"5.0")],
    *[(b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n", True) for value in (b"a b", b"a:8x", b"a/b", b"a@b", b"a,b", b"a:80:80", b"[::1")],
    (POST + b"Content-Length : 5\r\n\r\n", True),
    (POST + b"X: a\r\n Content-Length: 5\r\n\r\n", True),
    (POST + b"X: a\0b\r\n\r\n", True),
    (POST + b"X: a\rContent-Length: 5\r\n\r\n", True),
    (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", True),
    (POST + b"X" * 7000 + b" : " + b"\r\n\r\n", True),
    (POST + b"a:\r\n" * 1500 + b"Content-Length: 5x\r\n\r\n", True),
])  # fmt: skip
def test_unclear_heads(head, refused):
    values = variables(renderer(ROLE))
    patterns = values["__front_cherokee_unclear"], values["__front_cherokee_bodiless"]
    assert any(re.search(pattern.encode(), head) for pattern in patterns) is refused


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("X-Auth-User", False),
        ("X_Auth_User", True),
        ("X.Auth.User", True),
        ("X-Auth_User", True),
        ("Transfer_Encoding", True),
        ("X~Y", True),
        ("x1-2", False),
    ],
)
def test_look_alikes_of_fields(name, refused):
    head = (
        b"GET / HTTP/1.1\r\nHost: shop.example.org\r\nX: 1\r\n" + name.encode() + b": admin\r\n\r\n"
    )
    assert (
        bool(re.search(variables(renderer(ROLE))["__front_cherokee_unclear"].encode(), head))
        is refused
    )


@pytest.mark.parametrize(
    ("request_", "hidden"),
    [
        ("/shop/static/.htpasswd", True), ("/shop/static/a/.git/config", True), ("/shop/static/.", True), ("/shop/static/a.b/c.d", False),
        ("/shop/static/.well-known/a", False), ("/shop/static/.well-known?a", False), ("/shop/static/.well-knownx", True),
        ("/shop/static/a\n/.env", True), ("/shop/static/a?b=/.c", False), ("/shop/.env", False), ("/other/shop/static/.env", False),
    ],
)  # fmt: skip
def test_dot_files_are_kept(request_, hidden):
    rules = rules_of(parse(written(planned(full_site())))["vserver"]["20"])
    patterns = [
        rule["match"]["request"]
        for rule in rules
        if rule.get("handler") == {"": "custom_error", "error": "404"}
        and "request" in rule["match"]
    ]
    assert len(patterns) == 2
    assert any(matches(pattern, request_) for pattern in patterns) is hidden


def test_extra_lines_belong_to_the_sites_virtual_server():
    extra = {
        "cherokee": "rule!1000000!match = directory\n\n# why\n  rule!1000000!match!directory = /x\n"
    }
    text = written(
        planned(full_site(extra=extra), full_site("rest", server_names=[])),
        front_cherokee_extra="server!log_flush_lapse = 5",
    )
    assert text.endswith(
        "\n# What the site shop adds.\nvserver!30!rule!1000000!match = directory\n\n# "
        "why\nvserver!30!rule!1000000!match!directory = /x\n\n\nserver!log_flush_lapse = 5\n"
    )
    assert parse(text)["vserver"]["30"]["rule"]["1000000"] == {
        "match": {"": "directory", "directory": "/x"}
    }


def test_listeners():
    bind = parse(
        written(planned(full_site()), front_cherokee_listen=["80", "127.0.0.1:81", "[::1]:82"])
    )["server"]["bind"]
    assert list(bind.values()) == [
        {"port": "80"},
        {"port": "81", "interface": "127.0.0.1"},
        {"port": "82", "interface": "::1"},
    ]


def finished(expression, **values):
    """A variable of the role as its tasks have it."""
    known = {**variables_of(ROLE), **values}
    return Templar(loader=LOADER, variables=known).template(
        trust_as_template("{{ " + expression + " }}")
    )


def test_every_boolean_from_the_command_line_counts_as_what_it_says():
    for given, units in ((True, 1), (False, 0), ("true", 1), ("false", 0), ("no", 0), ("0", 0)):
        assert len(finished("__front_cherokee_interfaces", front_cherokee_admin=given)) == units
    assert (
        "thread_number"
        not in parse(written(planned(full_site()), front_cherokee_thread_number="0"))["server"]
    )


def test_the_web_interface_would_save_every_rule():
    """It refuses a rule for heads that names no field, which the server does not read where it
    looks at the whole head.
    """
    for vserver in parse(written(planned(full_site())))["vserver"].values():
        assert vserver["document_root"] and vserver["nick"]
        about_heads = [
            match
            for rule in rules_of(vserver)
            if (match := rule["match"]) != "default" and match[""] == "header"
        ]
        assert len(about_heads) == 3
        assert all(match["header"] for match in about_heads)


@pytest.mark.parametrize(
    ("line", "brought", "refused"),
    [
        ("#!/usr/bin/env python2", [], "python2"),
        ("#!/usr/bin/python2.7 -E", [], "python2.7"),
        ("#! /usr/bin/env -S python2 -u", [], "python2"),
        ("#!/usr/bin/env python2", ["python2"], None),
        ("#!/usr/bin/env python3", [], None),
        ("#!/bin/sh -e", [], None),
        ("", [], None),
    ],
)
def test_the_python_of_the_web_interface_is_looked_for(tmp_path, line, brought, refused):
    """As it is installed; where it is not, nothing is known yet."""
    program = tmp_path / "share" / "cherokee" / "admin" / "server.py"
    if line:
        program.parent.mkdir(parents=True)
        program.write_text(f"{line}\nprint()\n")
    for name in ("env", "sh", "echo"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    (tmp_path / "python3").symlink_to("/bin/true")
    argv = finished(
        "__front_cherokee_test_interface + ['echo', 'looked']",
        front_cherokee_prefix=str(tmp_path),
        front_cherokee_packages=brought,
    )
    done = subprocess.run(
        [f"/bin/{argv[0]}", *argv[1:]],
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
        check=False,
    )
    assert done.stderr == ""
    if refused:
        assert done.returncode == 1
        assert f"runs on {refused}, which this host has not" in done.stdout
    else:
        assert (done.returncode, done.stdout) == (0, "looked\n")


def test_a_package_file_says_before_it_is_installed_what_its_web_interface_runs_on(tmp_path):
    data = packed({"usr/share/cherokee/admin/server.py": "#!/usr/bin/env python2\n"}, "xz")
    argv = finished(
        "__front_cherokee_test_interface",
        front_cherokee_package=package(tmp_path / "cherokee.deb", data),
    )
    assert argv[-3:] == ["/usr/share/cherokee/admin/server.py", "#!/usr/bin/env python2", "python2"]
    assert finished("__front_cherokee_test_interface", front_cherokee_package="cherokee")[-2:] == [
        "",
        "",
    ]


def test_a_configuration_of_the_web_interface_has_to_name_every_back():
    before, after = (
        planned(full_site(), full_site("blog")),
        planned(full_site(), full_site("blog"), link="scgi"),
    )
    for sites, missing in (
        (before, []),
        (
            after,
            [
                f"{site['name']} scgi {site['endpoint']['address']}"
                for site in [{**site, "endpoint": site["endpoints"][0]} for site in after]
            ],
        ),
    ):
        found = finished(
            "__front_cherokee_unnamed",
            front_cherokee_sites=sites,
            __front_cherokee_saved={"stdout": written(before)},
        )
        assert found == missing


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        (" IPv6: yes\n Polling methods: epoll poll select \n", 0),
        (" IPv6: no\n Polling methods: epoll poll select \n", 1),
        (" IPv6: no\n Polling methods: poll select \n", 2),
    ],
)
def test_what_a_package_was_built_without_is_told(words, lacks):
    assert (
        len(finished("__front_cherokee_lacks", __front_cherokee_built={"stdout": words})) == lacks
    )


def test_start_of_the_web_interface_starts_the_unit():
    files = rendering.files(
        {**plan({"front": "cherokee", "sites": [full_site()]}), "backs": []},
        front_cherokee_admin=True,
    )
    unit = files["/etc/systemd/system/cherokee-admin.service"]
    assert "\nBindReadOnlyPaths=/etc/cherokee/start:/usr/sbin/cherokee\n" in unit
    assert "systemctl start cherokee.service" in files["/etc/cherokee/start"]
