#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: release
version_added: 0.1.0
short_description: Install releases of sites, each with its own virtual environment
description:
  - A release is one immutable version of a site's code with its own virtual environment, below
    C(/srv/www/<site>/releases), named by a digest of all that goes into it. A release that is there
    is left as it is.
  - It is built by the site's own account, never by root, and then given to root, so that the
    application cannot change its own code.
  - The build runs in a unit of systemd that can write into the release and the site's cache alone,
    and ends with all that it has started.
  - Several releases are built side by side.
  - It does not make a release the current one; the role of the back does, together with what starts
    it.
options:
  sites:
    description: The sites whose releases have to be there, as the plan finishes them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the site.
        type: str
        required: true
      account:
        description: Account that builds the release.
        type: str
        required: true
      slice:
        description: systemd slice that holds the build; none is systemd's own.
        type: str
      paths:
        description: Its directories on the host; C(cache) is what pip keeps for its next build.
        type: dict
        required: true
      release:
        description: Its C(id), and the C(path) where it is installed.
        type: dict
        required: true
      python:
        description: Interpreter of the virtual environment.
        type: str
        default: python3
      needs_system_python:
        description: Whether the back brings Debian's own Python, which the interpreter then has to
          match in its version.
        type: bool
        default: false
      source:
        description: C(path), a directory on the controller, or C(package), a requirement.
        type: dict
      requirements:
        description: A list of requirements, or the name of a requirements file inside the source.
        type: raw
      back_requirements:
        description: What the back needs in the virtual environment.
        type: list
        elements: str
        default: []
      directories:
        description: Directories of static files, which the release has to have.
        type: list
        elements: str
        default: []
      keep:
        description: Former releases that stay when another one is installed, the newest, besides
          those that are in use. Without it all stay.
        type: int
  missing:
    description: Names of the sites whose release is missing, where M(pyweb.stack.apply) has found
      that out already; the host is not asked again.
    type: list
    elements: str
  runtime:
    description: Set by the action plugin - files to install beside every application, by name.
    type: dict
    default: {}
  install:
    description: Set by the action plugin - builds the releases; otherwise the module only says
      which are missing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says which releases would be installed.
  diff_mode:
    support: full
    description: Names the releases that would be built.
  idempotent:
    support: full
    description: A release that is complete is left as it is.
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Install the releases of the sites
  pyweb.stack.release:
    sites: "{{ app_sites }}"
"""

RETURN = """
missing:
  description: Sites whose release was missing and would be, or was, installed.
  type: list
  elements: str
  returned: always
removed:
  description: Directories of former releases that were removed, since more than C(keep) were there.
  type: list
  elements: str
  returned: where a release was installed
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._builds import build_all, fault
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import unready
from ansible_collections.pyweb.stack.plugins.module_utils._record import lock
from ansible_collections.pyweb.stack.plugins.module_utils._releases import (
    complete,
    prune,
    version_of,
)

SITE = {
    "name": {"type": "str", "required": True},
    "account": {"type": "str", "required": True},
    "slice": {"type": "str"},
    "paths": {"type": "dict", "required": True},
    "release": {"type": "dict", "required": True},
    "python": {"type": "str", "default": "python3"},
    "needs_system_python": {"type": "bool", "default": False},
    "source": {"type": "dict"},
    "requirements": {"type": "raw"},
    "back_requirements": {"type": "list", "elements": "str", "default": []},
    "directories": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "int"},
}
SYSTEM_PYTHON = "/usr/bin/python3"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sites": {"type": "list", "elements": "dict", "options": SITE, "required": True},
            "missing": {"type": "list", "elements": "str"},
            "runtime": {"type": "dict", "default": {}},
            "install": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    sites = module.params["sites"]
    if words := unready():
        module.fail_json(msg=words)
    if module.params["install"]:
        lock()
    of_system = version_of(SYSTEM_PYTHON)
    versions = {python: version_of(python) for python in {site["python"] for site in sites}}
    faults = [
        words for site in sites if (words := fault(site, versions[site["python"]], of_system))
    ]
    if faults:
        module.fail_json(
            msg="No release was built:\n" + "\n".join(f"* {words}" for words in faults)
        )

    missing = [site for site in sites if not complete(site, versions[site["python"]])]
    names = [site["name"] for site in missing]
    if not module.params["install"]:
        module.exit_json(changed=bool(missing), missing=names)

    problems = build_all(missing, versions, module.params["runtime"])
    if problems:
        module.fail_json(
            msg="Releases could not be built; what served before still serves:\n"
            + "\n".join(problems)
        )
    removed = [
        path
        for site in missing
        if site["keep"] is not None
        for path in prune(site["release"]["path"], site["keep"])
    ]
    module.exit_json(changed=bool(missing), missing=names, removed=removed)


if __name__ == "__main__":
    main()
