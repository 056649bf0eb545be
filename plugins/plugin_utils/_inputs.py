# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A digest of all that a role settles its set from: its variables, the plan of the host, and the
collection itself.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.pyweb.stack.plugins.plugin_utils._source import COLLECTION

# What a template may know besides; see tests/unit/test_inputs.py.
MANAGED = "ansible_managed"


@cache
def of_collection() -> str:
    """A digest of what the collection would do: its plugins and its roles."""
    total = hashlib.sha256()
    for top in ("plugins", "roles"):
        for path in sorted((COLLECTION / top).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                total.update(f"{path.relative_to(COLLECTION)}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@cache
def _defaults(role: str) -> dict[str, Any]:
    path = COLLECTION / "roles" / role / "defaults" / "main.yml"
    loaded = DataLoader().load_from_file(str(path), trusted_as_template=True)
    return dict(loaded or {})


def inputs(role: str, templar: Templar, variables: dict[str, Any]) -> str | None:
    """The digest of what a role's set is settled from; the same inside of the role and outside.
    None where there is no plan: then nobody compares.
    """
    known = {**_defaults(role), **variables}
    own = templar.copy_with_new_env(available_variables=known)
    if "pyweb_plan" not in known:
        return None
    values = {name: known[name] for name in (*_defaults(role), "pyweb_plan")}
    settled = own.template({**values, MANAGED: known.get(MANAGED)})
    text = json.dumps([of_collection(), settled], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
