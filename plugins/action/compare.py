# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pyweb.stack.plugins.module_utils._holding import hold, settle
from ansible_collections.pyweb.stack.plugins.plugin_utils._inputs import inputs

# Of a plan, what is asked here.
NEEDED = ("app_sites", "asks", "backs", "remove_data", "remove_packages", "sets", "upstreams")


class ActionModule(ActionBase):
    """Tells the host what each of its sets would be settled from; the plan itself stays here. Says
    which sites keep another release than the planned one.
    """

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec(
            {
                "plan": {"type": "dict", "required": True},
                "forward": {"type": "bool", "default": False},
                "only": {"type": "str"},
                "rollback": {"type": "str"},
            }
        )
        plan = arguments["plan"]
        if lacking := [key for key in NEEDED if key not in plan]:
            raise AnsibleActionFail(
                f"plan: it has no {', '.join(lacking)}; give the plan that pyweb.stack.plan has "
                "returned: plan: {{ pyweb_planned.plan }}"
            )
        answer = self._compare(plan, task_vars)
        if answer.get("failed") or "releases" not in answer:
            return {**result, **answer, "held": {}}
        # A front alone serves files of a release, and has never run one.
        runs = plan["app_sites"] if plan["backs"] else []
        held, words, faults = settle(
            {site["name"]: site["release"] for site in runs},
            answer["releases"],
            *(arguments[key] for key in ("forward", "only", "rollback")),
        )
        if faults:
            words = "Nothing was changed:\n" + "\n".join(faults)
            return {**result, **answer, "held": {}, "same": False, "failed": True, "msg": words}
        if held:
            answer = self._compare(hold(plan, held), task_vars)
        answer["warnings"] = [*(answer.get("warnings") or []), *words]
        return {**result, **answer, "held": held}

    def _compare(self, plan: dict, task_vars) -> dict:
        """What the host says of a plan."""
        variables = {**(task_vars or {}), "pyweb_plan": plan}
        if asks := plan["asks"] or plan["remove_data"] or plan["remove_packages"]:
            digests = {}
        else:
            digests = {role: inputs(role, self._templar, variables) for role in plan["sets"]}
        # The sites on each back, from a front; who only looks asks no other host.
        targets = [] if self._task.check_mode else plan["upstreams"]
        asked = {"plan": {}, "inputs": digests, "targets": targets}
        answer = self._execute_module("pyweb.stack.compare", asked, task_vars=task_vars)
        answer.pop("invocation", None)
        if asks and "same" in answer:
            answer.update(same=False, differences=["the run is to ask the host"])
        return answer
