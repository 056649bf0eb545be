# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
name: hold
version_added: 1.0.0
short_description: Plan a host with other releases of some sites
description:
  - After a rollback, and where only one site is deployed, a site keeps another release than the one
    that its source makes.
positional: _input
options:
  _input:
    description: The plan of the host, as M(pyweb.stack.plan) makes it.
    type: dict
    required: true
  held:
    description: Sites and their releases, as M(pyweb.stack.compare) returns them.
    type: dict
    required: true
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Install the applications
  ansible.builtin.include_role:
    name: pyweb.stack.app
  vars:
    pyweb_plan: "{{ pyweb_planned.plan | pyweb.stack.hold(pyweb_compared.held) }}"
"""

RETURN = """
_value:
  description: The plan; the same where no site is held.
  type: dict
"""

from ansible_collections.pyweb.stack.plugins.module_utils._holding import hold


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"hold": hold}
