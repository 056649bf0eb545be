# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: interim
version_added: 1.0.0
short_description: Plan a host for the time in which certificates are still to come
description:
  - A front has to answer a CA's challenges before it has a certificate. Until then its site has
    plain HTTP.
positional: _input
options:
  _input:
    description: The plan of the host, as M(pyweb.stack.plan) makes it.
    type: dict
    required: true
  looked:
    description: What M(pyweb.stack.certificates) has returned.
    type: dict
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Put the front before its sites
  ansible.builtin.include_role:
    name: pyweb.stack.front_nginx
  vars:
    pyweb_plan: "{{ pyweb_planned.plan | pyweb.stack.interim(acme_certificates) }}"
"""

RETURN = """
_value:
  description: The plan; the same where no certificate is still to come.
  type: dict
"""

from ansible_collections.pyweb.stack.plugins.module_utils._acme import interim


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"interim": interim}
