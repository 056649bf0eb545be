#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: certificates
version_added: 1.0.0
short_description: Look for the certificates that sites have by ACME, and obtain them
description:
  - Tells which sites have to have a certificate from their CA (RFC 8555), and with O(obtain) has
    certbot obtain these. Each site has one of its own, for all of its names.
  - Does not change what a front serves; that is for M(pyweb.stack.apply).
options:
  sites:
    description: What the plan wants of each site in C(acme_sites), its key C(wanted).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the site.
        type: str
        required: true
      lineage:
        description: What certbot calls the site's certificates.
        type: str
        required: true
      names:
        description: Host names that the certificate has to be for.
        type: list
        elements: str
        required: true
      configuration:
        description: Path of the file with what certbot is told.
        type: str
        required: true
      certificate:
        description: Path at which the front reads the certificate.
        type: str
        required: true
      key:
        description: Path at which the front reads the key.
        type: str
        required: true
      server:
        description: URL of the CA's ACME directory.
        type: str
        required: true
  obtain:
    description: Whether certificates that are due are obtained.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says which certificates would be obtained.
  diff_mode:
    support: full
    description: Says which certificates are obtained, and why.
  idempotent:
    support: full
    description: A certificate is obtained when it is due.
  platform:
    support: full
    platforms: debian
    description: The releases of Debian that the README names.
seealso:
  - module: pyweb.stack.apply
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Obtain the certificates that are due
  pyweb.stack.certificates:
    sites: "{{ acme_sites | map(attribute='wanted') }}"
    obtain: true
"""

RETURN = """
missing:
  description: Paths of certificates that no front could serve yet, since the host has none.
  type: list
  elements: str
  returned: always
pending:
  description: Paths of certificates of which the CA has issued none yet.
  type: list
  elements: str
  returned: always
due:
  description: Of each site whose certificate was to be obtained, why.
  type: dict
  returned: always
  sample: {shop: it has none yet}
obtained:
  description: Sites that got a certificate, or would.
  type: list
  elements: str
  returned: always
refused:
  description: Of each site that got none and needs one, what the CA or certbot said.
  type: dict
  returned: always
  sample: {shop: "shop.example.org: no such domain (dns)"}
leaving:
  description: Whether the host has certificates that no site has any longer, for
    M(pyweb.stack.retire) to remove.
  type: bool
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._certificates import usable
from ansible_collections.pyweb.stack.plugins.module_utils._lineages import (
    look,
    obtain,
    settle,
)
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import unready

TEXT = {"type": "str", "required": True}
SITE = {
    **dict.fromkeys(("name", "lineage", "configuration", "certificate", "server"), TEXT),
    "key": {**TEXT, "no_log": False},
    "names": {"type": "list", "elements": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sites": {"type": "list", "elements": "dict", "options": SITE, "required": True},
            "obtain": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if words := unready():
        module.fail_json(msg=words)
    sites = module.params["sites"]
    found = look(sites)
    due, leaving = found["due"], False
    obtained = list(due) if module.params["obtain"] else []
    known, failed = {}, {}
    if not module.check_mode:
        for site in (site for site in sites if site["name"] in obtained):
            known[site["lineage"]], words = obtain(site)
            if words:
                failed[site["name"]] = words
        obtained = [name for name in obtained if name not in failed]
        leaving = settle(sites, known)
        found = look(sites)
    refused = {
        site["name"]: failed[site["name"]]
        for site in sites
        if site["name"] in failed and not usable(site)
    }
    for name in sorted(set(failed) - set(refused)):
        module.warn(f"{name}: {due[name]}; no new certificate: {failed[name]}")
    words = "".join(f"{name}: {why}\n" for name, why in due.items())
    module.exit_json(
        changed=bool(obtained),
        **{**found, "due": due},
        obtained=obtained,
        refused=refused,
        leaving=leaving,
        diff={
            "before": words,
            "after": "",
            "before_header": "certificates to be obtained",
            "after_header": "certificates to be obtained",
        },
        ansible_facts={"pyweb_leaving": True} if leaving else {},
    )


if __name__ == "__main__":
    main()
