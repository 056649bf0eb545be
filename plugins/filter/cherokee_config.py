# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: cherokee_config
version_added: 0.1.0
short_description: Write nested data as Cherokee's configuration
description:
  - Cherokee is configured by a tree of keys, written flat, such as C(vserver!10!rule!20!match =
    directory).
  - Keys of mappings become keys of the tree. The empty key holds the value of a node that has
    children, too.
  - Items of lists are numbered downwards in tens, since Cherokee asks the highest number first; so
    the first item comes first.
  - Booleans become C(1) and C(0). What Cherokee would read as something else is refused, such as a
    line break in a value or a C(!) in a key.
positional: _input
options:
  _input:
    description: The tree.
    type: dict
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Show a rule
  ansible.builtin.debug:
    msg: "{{ {'match': {'': 'directory', 'directory': '/app'}} | pyweb.stack.cherokee_config }}"
"""

RETURN = """
_value:
  description: The lines, in the order of the data.
  type: str
"""

from ansible.errors import AnsibleFilterError
from ansible_collections.pyweb.stack.plugins.module_utils import _cherokee_config as writer


def cherokee_config(tree: dict) -> str:
    """The same, with its fault as Ansible's."""
    try:
        return writer.cherokee_config(tree)
    except ValueError as error:
        raise AnsibleFilterError(f"cherokee_config: {error}") from error


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"cherokee_config": cherokee_config}
