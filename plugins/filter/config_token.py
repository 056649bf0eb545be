# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: config_token
version_added: 0.1.0
short_description: Take a text only if it is one word of a configuration
description:
  - Refuses a text with a character that may end a value in the configuration of a server, such as a
    quote, a brace or a line break.
positional: _input, variable
options:
  _input:
    description: The text or number.
    type: raw
    required: true
  variable:
    description: Name of the variable that it comes from, for the message.
    type: str
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Show an address
  ansible.builtin.debug:
    msg: "{{ front_nginx_listen[0] | pyweb.stack.config_token('front_nginx_listen') }}"
"""

RETURN = """
_value:
  description: The same text.
  type: str
"""

from ansible_collections.pyweb.stack.plugins.module_utils._config_token import config_token


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"config_token": config_token}
