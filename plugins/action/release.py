# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.pyweb.stack.plugins.modules.release import SITE
from ansible_collections.pyweb.stack.plugins.plugin_utils._source import RUNTIME, archive, scan

# What tells whether a release is there.
ASKED = ("name", "account", "paths", "release", "python", "needs_system_python")


class ActionModule(ActionBase):
    """Asks the host which releases it lacks and sends the sources of those alone."""

    _supports_check_mode = True
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        sites = self._task.args.get("sites") or []
        wanted = [{key: site[key] for key in ASKED} for site in sites]
        if "missing" in self._task.args:
            missing = self._task.args["missing"]
            answer = {"changed": bool(missing), "missing": missing}
        else:
            answer = self._execute_module(
                "pyweb.stack.release", {"sites": wanted}, task_vars=task_vars
            )
        if answer.get("failed") or not answer.get("missing") or self._task.check_mode:
            result.update(answer)
            built = "".join(
                f"{site['release']['path']}\n"
                for site in sites
                if site["name"] in (answer.get("missing") or ())
            )
            if built and self._task.diff:
                result["diff"] = {
                    "before": "",
                    "after": built,
                    "before_header": "releases",
                    "after_header": "releases to build",
                }
            return result

        missing = [dict(site) for site in sites if site["name"] in answer["missing"]]
        for site in missing:
            if site["release"].get("held"):
                raise AnsibleActionFail(
                    f"sites[{site['name']}]: release {site['release']['id']}, which is to serve, "
                    "is not there, or was built with another Python; nothing was changed. -e "
                    "forward=true moves on to the release of the source"
                )
        remote = self._connection._shell.tmpdir or self._make_tmp_path()
        sent: dict[str, str] = {}
        for site in missing:
            path = site["source"].get("path")
            if path and path not in sent:
                sent[path] = self._send(
                    archive(scan(Path(path))), f"{remote}source-{len(sent)}.tar.gz"
                )
            site["source"] = (
                {"archive": sent[path]} if path else {"package": site["source"]["package"]}
            )
        runtime = {
            path.name: path.read_text(encoding="utf-8") for path in sorted(RUNTIME.glob("*.py"))
        }
        install = [{key: site[key] for key in SITE if key in site} for site in missing]
        result.update(
            self._execute_module(
                "pyweb.stack.release",
                {"sites": install, "runtime": runtime, "install": True},
                task_vars=task_vars,
            )
        )
        self._remove_tmp_path(remote)
        return result

    def _send(self, content: bytes, remote: str) -> str:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(content)
        try:
            self._transfer_file(file.name, remote)
        finally:
            os.unlink(file.name)
        return remote
