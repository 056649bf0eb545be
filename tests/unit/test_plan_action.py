# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the task Plan answers, and what of it is shown."""

from __future__ import annotations

from unittest.mock import Mock

from ansible_collections.pyweb.stack.plugins.action.plan import ActionModule

SHOP = {"name": "shop", "application": "shop:application", "secrets": {"KEY": "hunter2"}}


VARIABLES = {"groups": {"all": ["h"]}, "hostvars": {}, "inventory_hostname": "h", "ansible_play_hosts_all": ["h"]}


def answer(**site):
    task = Mock(args={"sites": [{**SHOP, **site}]}, async_val=0)
    templar = Mock(template=lambda value: value)
    return ActionModule(task, Mock(), Mock(), Mock(), templar, Mock()).run(task_vars=VARIABLES)


def test_a_plan_is_not_shown():
    result = answer(source={"package": "shop"})
    assert result["plan"]["app_sites"][0]["secrets"] == {"KEY": "hunter2"}
    assert result["plan"]["packages"] == ["nginx", "uwsgi-core", "uwsgi-plugin-python3"]
    assert result["_ansible_no_log"]


def test_faults_are_shown_without_the_plan():
    result = answer(source={"path": "/nowhere"})
    assert result["failed"]
    assert not result["_ansible_no_log"]
    assert "hunter2" not in str(result)
    assert result["faults"] == ["sites[shop].source.path: '/nowhere' is no directory on the controller; looked for '/nowhere'"]
