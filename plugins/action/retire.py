# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Has the module remove what is no longer wanted, and then the packages that only that needed,
    where they shall go.
    """

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result.update(
            self._execute_module("pyweb.stack.retire", dict(self._task.args), task_vars=task_vars)
        )
        packages = result.get("packages")
        if packages and not result.get("failed") and not self._task.check_mode:
            removal = {"name": packages, "state": "absent", "purge": True, "lock_timeout": 300}
            answer = self._execute_module("ansible.builtin.apt", removal, task_vars=task_vars)
            if answer.get("failed"):
                result.update(
                    failed=True,
                    msg=f"The packages {', '.join(packages)} cannot be removed; all else was: "
                    f"{answer.get('msg')}",
                )
            result["changed"] = result["changed"] or answer.get("changed", False)
        if not self._task.diff:
            result.pop("diff", None)
        return result
