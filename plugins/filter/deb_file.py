# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: deb_file
version_added: 0.1.0
short_description: Read a file inside a Debian package file
description:
  - Reads a text out of a package file on the controller, without installing it.
positional: _input, part, name
options:
  _input:
    description: Path of the package file on the controller.
    type: path
    required: true
  part:
    description: Where the file is, among what is installed or among what describes the package.
    type: str
    choices: [data, control]
    required: true
  name:
    description: Path of the file in there, without a slash at its beginning.
    type: str
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Show what a package needs
  ansible.builtin.debug:
    msg: "{{ '/srv/packages/example.deb' | pyweb.stack.deb_file('control', 'control') }}"
"""

RETURN = """
_value:
  description: The text, or nothing where there is none or it cannot be read here.
  type: str
"""

from ansible_collections.pyweb.stack.plugins.plugin_utils._deb import deb_file


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"deb_file": deb_file}
