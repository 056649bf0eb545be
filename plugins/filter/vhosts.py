# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: vhosts
version_added: 0.1.0
short_description: Group sites by the server names that they share
description:
  - Several sites may share a server name under different mounts; a web server wants one virtual
    host for each set of names.
positional: _input
options:
  _input:
    description: Sites as the plan finishes them; each with C(name), C(server_names) and C(mount).
    type: list
    elements: dict
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Name the virtual hosts
  ansible.builtin.debug:
    msg: "{{ front_nginx_sites | pyweb.stack.vhosts | map(attribute='names') }}"
"""

RETURN = """
_value:
  description:
    - Virtual hosts, each with C(names), C(kind) (exact, wildcard or catch-all) and its C(sites),
      the shortest mount first; and what these share, C(tls) and C(challenges).
    - Exact names come first, then wildcards, the longest first, then the catch-all, whose C(names)
      is empty.
  type: list
  elements: dict
"""

from ansible_collections.pyweb.stack.plugins.module_utils._vhosts import vhosts


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"vhosts": vhosts}
