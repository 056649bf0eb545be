# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: nginx_authenticates
version_added: 0.1.0
short_description: Tell whether raw text makes nginx authenticate every client
description:
  - nginx knows the name that a client claims, and only what its configuration demands makes it
    true.
positional: _input
options:
  _input:
    description: Text for a server or for the http block of nginx.
    type: str
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Tell whether clients of the site have a name
  ansible.builtin.debug:
    msg: "{{ site.extra | pyweb.stack.nginx_authenticates }}"
"""

RETURN = """
_value:
  description: Whether C(auth_basic) and C(auth_basic_user_file) hold for the whole server, and
    C(satisfy any) does not.
  type: bool
"""

from ansible_collections.pyweb.stack.plugins.module_utils._nginx_text import authenticates


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"nginx_authenticates": authenticates}
