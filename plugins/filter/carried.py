# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: carried
version_added: 1.0.0
short_description: Name the files by which a part of this collection runs on a host by itself
description:
  - A host renews certificates without the controller, by the same code as a run of the playbook.
positional: _input
options:
  _input:
    description: A module of C(plugins/module_utils), without C(.py).
    type: str
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Name the files that renewals need
  ansible.builtin.debug:
    msg: "{{ '_renewal' | pyweb.stack.carried | map(attribute='path') }}"
"""

RETURN = """
_value:
  description:
    - The module and those that it imports, each with its C(path) below a directory of Python
      packages, and its C(text).
  type: list
  elements: dict
"""

import re

from ansible_collections.pyweb.stack.plugins.plugin_utils._source import COLLECTION

PACKAGE = "ansible_collections.pyweb.stack.plugins.module_utils"
IMPORT = re.compile(rf"^from {re.escape(PACKAGE)}(?:\.(\w+) import|( import) (\w+))", re.M)


def carried(module: str) -> list[dict[str, str]]:
    """The files of a module and of all that it imports of this collection."""
    texts: dict[str, str] = {}
    left = [module]
    while left:
        name = left.pop()
        path = COLLECTION / "plugins" / "module_utils" / f"{name}.py"
        texts[name] = path.read_text(encoding="utf-8")
        named = {found[1] or found[3] for found in IMPORT.finditer(texts[name])}
        left += sorted(named - set(texts) - set(left))
    return [
        {"path": f"{PACKAGE.replace('.', '/')}/{name}.py", "text": text}
        for name, text in sorted(texts.items())
    ]


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"carried": carried}
