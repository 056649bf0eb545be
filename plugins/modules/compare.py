#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: compare
version_added: 1.0.0
short_description: Tell whether a host is as its last run left it
description:
  - Compares, in one call, all that M(pyweb.stack.apply) noted of each set - files, owners and
    modes, units, packages, accounts, ports, certificates and releases - and asks the sites whether
    they are healthy.
  - A host whose inventory and whose collection are the same as in its last run, and which has lost
    nothing since, needs none of the roles.
  - Changes nothing. Where it is not sure, it says that the host differs, and the roles decide.
extends_documentation_fragment: pyweb.stack.targets
options:
  plan:
    description: The plan of the host, as M(pyweb.stack.plan) makes it.
    type: dict
    required: true
  forward:
    description: Whether a site that was rolled back gets the planned release again although its
      source is the same.
    type: bool
    default: false
  only:
    description: Name of the site that alone may get another release than the one that serves; the
      others keep theirs.
    type: str
  rollback:
    description: Has the site of O(only) get this release, by its id; an empty text means the one
      before that which serves.
    type: str
  inputs:
    description: Set by the action plugin - of each set, the digest of what it is settled from.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
  platform:
    support: full
    platforms: debian
    description: The releases of Debian that the README names.
seealso:
  - module: pyweb.stack.apply
  - module: pyweb.stack.plan
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Compare the host with what its last run left
  pyweb.stack.compare:
    plan: "{{ pyweb_planned.plan }}"
  register: pyweb_compared
"""

RETURN = """
same:
  description: Whether the host is as its last run left it.
  type: bool
  returned: always
held:
  description: Sites that keep, or get, another release than the planned one, and that release, for
    P(pyweb.stack.hold#filter).
  type: dict
  returned: always
releases:
  description: Of each site the releases that have served, the newest last, and whether each is
    still there.
  type: dict
  returned: always
differences:
  description: What differs, if anything; the first kind that was found.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._comparison import (
    differences,
    unhealthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._history import History
from ansible_collections.pyweb.stack.plugins.module_utils._lineages import late
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import unready
from ansible_collections.pyweb.stack.plugins.module_utils._probing import TARGET_SPEC
from ansible_collections.pyweb.stack.plugins.module_utils._record import lock, records


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "plan": {"type": "dict", "required": True, "no_log": True},
            "forward": {"type": "bool", "default": False},
            "only": {"type": "str"},
            "rollback": {"type": "str"},
            "inputs": {"type": "dict", "default": {}},
            "targets": {
                "type": "list",
                "elements": "dict",
                "options": TARGET_SPEC,
                "default": [],
            },
        },
        supports_check_mode=True,
    )
    if words := unready():
        module.exit_json(changed=False, same=False, differences=[words])
    if not module.check_mode:
        lock()
    found = differences(module.params["inputs"]) or unhealthy(module.params["targets"])
    for record in records():
        for words in late(record.noted.get("pairs", [])):
            module.warn(words)
    releases = History().found()
    module.exit_json(changed=False, same=not found, differences=found, releases=releases)


if __name__ == "__main__":
    main()
