# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.pyweb.stack.plugins.module_utils._report import report


class ActionModule(ActionBase):
    """Makes the table at the end of a run from what its tasks have registered. Asks no host
    anything.
    """

    _supports_check_mode = True
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        # As they are: the plans hold secrets, and their texts are templates no more.
        known = {
            host: task_vars["hostvars"].raw_get(host)
            for host in task_vars["ansible_play_hosts_all"]
        }
        releases = bool(self._task.args.get("releases"))
        lines = report(known, task_vars["ansible_play_hosts"], self._task.check_mode, releases)
        result.update(changed=False, skipped=not lines, msg=lines)
        # A list is a line each in every format of the output.
        result["_ansible_verbose_always"] = bool(lines)
        return result
