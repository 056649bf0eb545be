# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: environment_file
version_added: 0.1.0
short_description: Write variables as an EnvironmentFile of systemd
description:
  - Quotes every value, so that systemd reads back the same string, whatever characters it has.
positional: _input
options:
  _input:
    description: Names and values of environment variables.
    type: dict
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Show the lines
  ansible.builtin.debug:
    msg: "{{ app_sites[0].environment | pyweb.stack.environment_file }}"
"""

RETURN = """
_value:
  description: The lines of the file, one variable each, in the order of their names.
  type: str
"""

from ansible_collections.pyweb.stack.plugins.module_utils._environment_file import environment_file


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"environment_file": environment_file}
