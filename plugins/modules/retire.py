#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: retire
version_added: 0.1.0
short_description: Remove what a host has of this collection and no longer wants
description:
  - Runs when everything that is wanted serves. It stops the units that no set wants any longer,
    removes their files or puts back what stood there before, and removes accounts and directories.
  - Fronts go first, then backs, then what these stand on. Before a back's unit is stopped, the
    processes of the front that still end requests of its former configuration are waited for.
  - Only what is in the records of M(pyweb.stack.apply) is removed; what others wrote stays.
options:
  sets:
    description: Names of the sets that the host shall have. All others go as a whole.
    type: list
    elements: str
    required: true
  sites:
    description: Names of the sites that the inventory names, also as absent.
    type: list
    elements: str
    default: []
  prune:
    description: Whether sites that the inventory no longer names go, too.
    type: bool
    default: true
  remove_data:
    description: Whether the data directories of sites that go are removed. Otherwise they are given
      to root alone, and to the site when it returns.
    type: bool
    default: false
  remove_packages:
    description: Whether Debian packages go that the collection installed and no set wants any
      longer, with their configuration.
    type: bool
    default: false
  patience:
    description: Seconds to wait at most for processes of a front that still end requests of its
      former configuration.
    type: int
    default: 75
attributes:
  check_mode:
    support: full
    description: Says what would be removed.
  diff_mode:
    support: full
    description: Lists what is removed.
  idempotent:
    support: full
    description: What is gone is not removed again.
  platform:
    support: full
    platforms: debian
    description: The releases of Debian that the README names.
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Remove everything of the collection, except the sites' data and Debian's packages
  pyweb.stack.retire:
    sets: []
"""

RETURN = """
files:
  description: Files that were removed, or put back to what stood there before.
  type: list
  elements: str
  returned: always
units:
  description: Units that were stopped and disabled.
  type: list
  elements: str
  returned: always
accounts:
  description: Accounts that were removed.
  type: list
  elements: str
  returned: always
directories:
  description: Directories that were removed.
  type: list
  elements: str
  returned: always
lineages:
  description: Certificates by ACME that certbot no longer keeps, by its names.
  type: list
  elements: str
  returned: always
kept:
  description: Directories of data that were given to root.
  type: list
  elements: str
  returned: always
packages:
  description: With O(remove_packages), packages that the collection has brought and nothing needs
    any longer.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._change import recover
from ansible_collections.pyweb.stack.plugins.module_utils._handover import drop_rules
from ansible_collections.pyweb.stack.plugins.module_utils._history import History
from ansible_collections.pyweb.stack.plugins.module_utils._packages import STATUS, removable
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import not_root
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    KINDS,
    Packages,
    lock,
    records,
)
from ansible_collections.pyweb.stack.plugins.module_utils._retirement import (
    Retirement,
    remove_folders,
    take_down_all,
)

ARGUMENTS = {
    "sets": {"type": "list", "elements": "str", "required": True},
    "sites": {"type": "list", "elements": "str", "default": []},
    "prune": {"type": "bool", "default": True},
    "remove_data": {"type": "bool", "default": False},
    "remove_packages": {"type": "bool", "default": False},
    "patience": {"type": "int", "default": 75},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = module.params
    if words := not_root():
        module.fail_json(msg=words)
    if not module.check_mode:
        lock()
        recover()
        drop_rules()
    retirements = [Retirement(record, parameters) for record in records()]
    result = {
        kind: [key for retirement in retirements for key in retirement.ends(kind)] for kind in KINDS
    }
    packages = Packages()
    packages.only(parameters["sets"])
    with open(STATUS, encoding="utf-8") as file:
        wanted = {name for names in packages.wanted.values() for name in names}
        result["packages"] = (
            removable(file.read(), packages.ours, wanted) if parameters["remove_packages"] else []
        )
    changed = any(result.values())
    words = "".join(f"{kind}: {key}\n" for kind, keys in result.items() for key in keys)
    diff = {
        "before": words,
        "after": "",
        "before_header": "no longer wanted",
        "after_header": "no longer wanted",
    }
    if module.check_mode:
        module.exit_json(changed=changed, kept=[], diff=diff, **result)

    if not take_down_all(retirements, parameters["patience"]):
        module.warn(
            f"After {parameters['patience']} s a process of the front's former configuration still "
            "serves; it may lose what it has begun"
        )
    for retirement in retirements:
        retirement.clear()

    packages.ours -= set(result["packages"])
    packages.save()
    History().save()
    remove_folders(parameters["sets"])
    problems = [words for retirement in retirements for words in retirement.problems]
    if problems:
        module.fail_json(
            msg="\n".join([*problems, "All else is gone; the next run tries again."]),
            changed=True,
            diff=diff,
            **result,
        )
    module.exit_json(
        changed=changed,
        kept=[path for retirement in retirements for path in retirement.kept],
        diff=diff,
        **result,
    )


if __name__ == "__main__":
    main()
