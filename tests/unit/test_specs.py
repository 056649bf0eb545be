# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument specs of the roles: equal to the defaults and to the plan, and enough for a site
written out by hand.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.filter.core import FilterModule as CoreFilters
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    EMBEDDED,
    FRONTS,
    combinations,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._cherokee_config import cherokee_config
from ansible_collections.pyweb.stack.plugins.module_utils._config_token import config_token
from ansible_collections.pyweb.stack.plugins.module_utils._environment_file import environment_file
from ansible_collections.pyweb.stack.plugins.module_utils._nginx_text import authenticates
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._site import SOURCES, STATIC_KEYS
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place
from ansible_collections.pyweb.stack.plugins.module_utils._vhosts import vhosts
from traits import TRAITS

ROLES = Path(__file__).parents[2] / "roles"
NAMES = sorted(path.parts[-3] for path in ROLES.glob("*/meta/argument_specs.yml"))


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@functools.cache
def options_of(role):
    return load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


def sites_options(role):
    return options_of(role)[f"{role}_sites"]["options"]


def walk(options):
    for name, option in options.items():
        yield name, option
        yield from walk(option.get("options", {}))


def full_site(name="shop", **values):
    return {
        "name": name,
        "application": "shop.wsgi:application",
        "server_names": [f"{name}.example.org"],
        "mount": "/shop",
        "source": {"path": "/src"},
        "requirements": ["Django==5.2"],
        "environment": {"A": "b"},
        "secrets": {"S": "t"},
        "static": [
            {"url": "/static/", "path": "static/", "max_age": 60},
            {"url": "/media/", "path": "/srv/media"},
        ],
        "extra": {"nginx": "# n", "lighttpd": "# l"},
        **values,
    }


def plans():
    for front, back, link in combinations():
        for transport in transports_of(front, back, link) or (None,):
            sites = [
                full_site(),
                full_site("blog", source={"package": "blog==1"}, requirements=None),
            ]
            yield plan(
                {"front": front, "back": back, "link": link, "transport": transport, "sites": sites}
            )


def plans_of_several_hosts():
    """A front alone, a back alone, and a host that is both."""
    for front, back, link in combinations():
        if link != EMBEDDED:
            for host in ("front", "back", "both"):
                where = Place(
                    host,
                    {"front": "10.0.0.1", "both": "10.0.0.3"},
                    {"back": "10.0.0.2", "both": "10.0.0.3"},
                    (front,),
                )
                yield plan(
                    {"front": front, "back": back, "link": link, "sites": [full_site()]},
                    place=where,
                )


def test_roles_are_the_app_and_one_for_each_server_of_the_plan():
    assert set(NAMES) == {
        "acme",
        "app",
        *(f"back_{back}" for back in BACKS),
        *(f"front_{front}" for front in FRONTS),
    }


def test_tests_know_every_front():
    assert set(TRAITS) == set(FRONTS)
    assert {name: row.unit for name, row in TRAITS.items()} == {
        name: front.unit.removesuffix(".service") for name, front in FRONTS.items()
    }


def test_a_front_asks_on_the_host_where_its_role_has_a_question():
    assert {name for name, front in FRONTS.items() if front.asks} == {
        path.parts[-3].removeprefix("front_") for path in ROLES.glob("front_*/tasks/before.yml")
    }


@pytest.mark.parametrize("role", NAMES)
def test_every_boolean_is_read_as_one(role):
    """Values of -e are texts, and a text is true."""
    names = [name for name, option in options_of(role).items() if option["type"] == "bool"]
    files = [
        path
        for path in (ROLES / role).rglob("*")
        if path.suffix in (".yml", ".j2")
        and "meta" not in path.parts
        and "defaults" not in path.parts
    ]
    for name in names:
        used = [
            match
            for path in files
            for match in re.findall(rf"\b{name}\b(?! is |:)( \| bool)?", path.read_text())
            if path.name != "README.md"
        ]
        assert used and all(used), name


@pytest.mark.parametrize("role", NAMES)
def test_specs_equal_defaults(role):
    defaults = load(ROLES / role / "defaults" / "main.yml")
    options = dict(options_of(role))
    # Without a plan and without sites a role would remove what the host has.
    assert defaults.pop(f"{role}_sites") == f"{{{{ pyweb_plan.{role}_sites }}}}"
    assert "default" not in options.pop(f"{role}_sites")
    if role == "app":
        assert defaults.pop("app_ports") == "{{ pyweb_plan.ports | default([]) }}"
        assert options.pop("app_ports")["default"] == []
    # Of the host rather than of its sites.
    if f"{role}_tls" in defaults:
        assert defaults.pop(f"{role}_tls") == "{{ pyweb_plan.tls | default({}) }}"
        assert options.pop(f"{role}_tls")["default"] == {}
        trusted = f"{role}_trusted_proxies"
        assert defaults.pop(trusted) == "{{ pyweb_plan.trusted_proxies | default([]) }}"
        assert options.pop(trusted)["default"] == []
    if f"{role}_embedded_sites" in options:
        assert (
            defaults.pop(f"{role}_embedded_sites")
            == f"{{{{ pyweb_plan.{role}_embedded_sites | default([]) }}}}"
        )
        assert options.pop(f"{role}_embedded_sites")["default"] == []
    assert {name: option["default"] for name, option in options.items()} == defaults
    assert all(name.startswith(f"{role}_") for name in options)


@pytest.mark.parametrize("role", NAMES)
def test_everything_has_a_type_and_a_description(role):
    for name, option in walk(options_of(role)):
        assert option["description"], name
        assert option["type"] != "list" or option["elements"], name
        assert not (option.get("required") and "default" in option), name


@pytest.mark.parametrize("role", NAMES)
def test_nested_keys_are_those_of_the_inventory(role):
    """The table of finished keys writes the specs; what is nested has its checks elsewhere."""
    options = sites_options(role)
    if "static" in options:
        assert set(options["static"]["options"]) == {*STATIC_KEYS, "follow_links"}
    if "source" in options:
        assert set(options["source"]["options"]) == set(SOURCES)


def test_the_example_of_flup_has_every_variable_that_its_runner_needs():
    spec = load(ROLES / "back_flup" / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    site = yaml.safe_load(spec["examples"])[0]["roles"][0]["back_flup_sites"][0]
    runner = (ROLES / "app" / "files" / "runtime" / "pyweb_flup.py").read_text(encoding="utf-8")
    assert set(re.findall(r'environ\["(PYWEB_\w+)"\]', runner)) <= set(site["runtime"])


def test_the_role_names_the_version_of_gunicorn_that_a_site_gets():
    spec = load(ROLES / "back_gunicorn" / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert f"C({BACKS['gunicorn'].requirements[0]})" in " ".join(spec["description"])


def test_specs_accept_what_the_plan_hands_over():
    for planned in (*plans(), *plans_of_several_hosts()):
        for role in planned["sets"]:
            names = [
                name for name in (f"{role}_sites", f"{role}_embedded_sites") if name in planned
            ]
            values = {name: planned[name] for name in names}
            embedded = planned["front"] and EMBEDDED in str(
                planned[f"front_{planned['front']}_sites"]
            )
            assert values[f"{role}_sites"] or embedded
            result = ArgumentSpecValidator(options_of(role)).validate(values)
            assert result.error_messages == []


@pytest.mark.parametrize("role", NAMES)
def test_example_keeps_to_the_spec(role):
    spec = load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    ((play),) = yaml.safe_load(spec["examples"])
    ((used),) = play["roles"]
    assert used.pop("role") == f"pyweb.stack.{role}"
    assert ArgumentSpecValidator(spec["options"]).validate(used).error_messages == []


def only_required(value, options):
    """The same without what the spec does not ask for."""
    if isinstance(value, list):
        return [only_required(item, options) for item in value]
    if not isinstance(value, dict) or not options:
        return value
    return {
        key: only_required(item, options[key].get("options"))
        for key, item in value.items()
        if options[key].get("required") or key in ("endpoint", "path", "host", "port")
    }


def as_list(function):
    """Ansible makes lists of what Jinja's filters generate."""

    @functools.wraps(function)
    def call(*arguments, **named):
        return list(function(*arguments, **named))

    return call


def renderer(role):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            [ROLES / role / "templates", ROLES / "common" / "templates"]
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Ansible's own "default" knows only Ansible's kind of undefined value.
    environment.filters.update(
        {**CoreFilters().filters(), "default": environment.filters["default"]}
    )
    ours = {
        "vhosts": vhosts,
        "environment_file": environment_file,
        "config_token": config_token,
        "cherokee_config": cherokee_config,
        "nginx_authenticates": authenticates,
    }
    environment.filters.update({f"pyweb.stack.{name}": function for name, function in ours.items()})
    for name in ("map", "reject", "rejectattr", "select", "selectattr", "unique"):
        environment.filters[name] = as_list(environment.filters[name])
    environment.globals.update(ansible_managed="managed")
    return environment


def each_of(expression, role, planned, sites):
    """What a file's each stands for: some are of sites that run inside the front alone, and their
    list says so.
    """
    if not expression:
        return [None]
    name = f"{role}_embedded_sites"
    return (
        only_required(planned.get(name, []), options_of(role)[name]["options"])
        if name in expression
        else sites
    )


def inside(role, planned):
    """The sites that run inside their front, where one of this role can."""
    name = f"{role}_embedded_sites"
    return {name: planned[name]} if name in planned else {}


@pytest.mark.parametrize("role", NAMES)
def test_what_is_required_is_enough_for_every_template(role):
    defaults = {
        name: option["default"] for name, option in options_of(role).items() if "default" in option
    }
    options = sites_options(role)
    (files,) = [
        task["pyweb.stack.apply"]["files"]
        for task in load(ROLES / role / "tasks" / "main.yml")
        if "pyweb.stack.apply" in task
    ]
    templates = [(file["template"], file.get("each", "")) for file in files if "template" in file]
    environment = renderer(role)
    private = ROLES / role / "vars" / "main.yml"
    values = {**(load(private) if private.exists() else {}), **defaults}
    for planned in plans():
        sites = only_required(planned.get(f"{role}_sites", []), options)
        for template, for_each in templates:
            for site in each_of(for_each, role, planned, sites):
                known = {f"{role}_sites": sites, "site": site, **inside(role, planned)}
                assert environment.get_template(template).render({**values, **known})


@pytest.mark.parametrize("front", FRONTS)
def test_a_front_is_given_every_back(front):
    role = f"front_{front}"
    defaults = {
        name: option["default"] for name, option in options_of(role).items() if "default" in option
    }
    private = ROLES / role / "vars" / "main.yml"
    values = {**(load(private) if private.exists() else {}), **defaults}
    environment = renderer(role)
    names = [
        name
        for name in ("site.conf.j2", "vhosts.conf.j2", "cherokee.conf.j2")
        if (ROLES / role / "templates" / name).exists()
    ]
    for planned in plans_of_several_hosts():
        for site in planned.get(f"{role}_sites", []):
            files = [environment.get_template(name) for name in names]
            text = "".join(
                file.render({**values, f"{role}_sites": [site], "site": site}) for file in files
            )
            hosts = [endpoint["host"] for endpoint in site["endpoints"]]
            assert hosts == ["10.0.0.2", "10.0.0.3"]
            assert all(
                text.count(host) == 1 and text.count(str(site["endpoints"][0]["port"])) == 2
                for host in hosts
            ), text


@pytest.mark.parametrize(
    ("back", "template", "expected"),
    [
        ("uwsgi", "fronts.conf.j2", "IPAddressDeny=any\nIPAddressAllow={}\n"),
        ("flup", "fronts.conf.j2", "IPAddressDeny=any\nIPAddressAllow={}\n"),
        ("flup", "flup.service.j2", "\nEnvironment=PYWEB_ALLOWED={}\n"),
        ("uwsgi", "back.socket.j2", "\nFreeBind=yes\n"),
        ("mod_wsgi", "apache2.conf.j2", """<If "! ({})">"""),
    ],
)
def test_a_back_is_given_its_fronts(back, template, expected):
    separator, form = {
        "mod_wsgi": (" || ", "-R '{}'"),
        "flup": ("," if "service" in template else " ", "{}"),
    }.get(back, (" ", "{}"))
    sites = [
        site
        for planned in plans_of_several_hosts()
        for site in planned.get(f"back_{back}_sites", [])
    ]
    assert sites
    for site in sites:
        words = separator.join(form.format(address) for address in site["allowed"])
        defaults = {
            name: option.get("default") for name, option in options_of(f"back_{back}").items()
        }
        assert (
            expected.format(words)
            in renderer(f"back_{back}").get_template(template).render({**defaults, "site": site})
            + "\n"
        )
