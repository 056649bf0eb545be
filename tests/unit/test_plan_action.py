# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the task Plan answers, and what of it is shown."""

from __future__ import annotations

from unittest.mock import Mock

from ansible_collections.pyweb.stack.plugins.action.plan import ActionModule

SHOP = {"name": "shop", "application": "shop:application", "secrets": {"KEY": "hunter2"}}


VARIABLES = {
    "groups": {"all": ["h"]},
    "hostvars": {},
    "inventory_hostname": "h",
    "ansible_play_hosts_all": ["h"],
}


def answer(options=None, **site):
    task = Mock(args={**(options or {}), "sites": [{**SHOP, **site}]}, async_val=0)
    templar = Mock(template=lambda value: value)
    return ActionModule(task, Mock(), Mock(), Mock(), templar, Mock()).run(task_vars=VARIABLES)


def test_a_plan_is_not_shown():
    result = answer(source={"package": "shop"})
    assert result["plan"]["back_uwsgi_sites"][0]["secrets"] == {"KEY": "hunter2"}
    assert result["plan"]["packages"] == ["nginx", "uwsgi-core", "uwsgi-plugin-python3"]
    assert result["_ansible_no_log"]


def test_faults_are_shown_without_the_plan():
    result = answer(source={"path": "/nowhere"})
    assert result["failed"]
    assert not result["_ansible_no_log"]
    assert "hunter2" not in str(result)
    assert result["faults"] == [
        "sites[shop].source.path: '/nowhere' is no directory on the controller; looked for "
        "'/nowhere'"
    ]


def test_an_unknown_option_is_refused():
    result = answer({"frnt": "lighttpd"}, source={"package": "shop"})
    possible = (
        "front, back, link, transport, tls_profile, acme, trusted_proxies, sites, prune, "
        "remove_data, remove_packages"
    )
    assert result["faults"] == [
        f"frnt: unknown option; possible: {possible}; did you mean 'front'?"
    ]


def test_a_source_says_its_requirements(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['flup==1.0.3']")
    source = {"path": str(tmp_path)}
    for given in ({}, {"requirements": "pyproject.toml"}):
        assert answer(source=dict(source), **given)["plan"]["app_sites"][0]["requirements"] == [
            "flup==1.0.3"
        ]
    (tmp_path / "requirements.txt").write_text("")
    assert answer(source=dict(source))["plan"]["app_sites"][0]["requirements"] == "requirements.txt"
    assert (
        answer(source=dict(source), requirements=[])["plan"]["app_sites"][0]["requirements"] == []
    )


def test_faults_of_a_source_name_site_file_and_remedy(tmp_path):
    (tmp_path / "link").symlink_to("/etc/hosts")
    (tmp_path / "pyproject.toml").write_text("[project")
    link, project = answer(source={"path": str(tmp_path)})["faults"]
    assert link.startswith("sites[shop].source.path: the link 'link' leads to '/etc/hosts'; ")
    assert link.endswith("copy what it names, or remove it")
    assert project.startswith("sites[shop].requirements: 'pyproject.toml' is not valid TOML")


def test_the_plan_knows_where_the_front_listens():
    templated = {**VARIABLES, "front_nginx_listen": ["8080"]}
    task = Mock(args={"sites": [{**SHOP, "source": {"package": "shop"}}]}, async_val=0)
    templar = Mock(template=lambda value: value)
    result = ActionModule(task, Mock(), Mock(), Mock(), templar, Mock()).run(task_vars=templated)
    assert result["plan"]["ports"] == [{"port": 8080, "unit": "nginx.service"}]
