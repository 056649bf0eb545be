#!/usr/bin/env python3
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of the scenario cherokee: the matrix's, of this one front, with the sites of the
conformance run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".ansible" / "collections"), str(ROOT / "molecule" / "matrix")]

from ansible_collections.pyweb.stack.plugins.module_utils._layout import WRITTEN_BY_SITES
from inventory import inventory

if __name__ == "__main__":
    package = os.path.abspath(os.environ["PYWEB_CHEROKEE_PACKAGE"])
    hosts = inventory(["cherokee"], front_cherokee_package=package)
    for values in hosts["_meta"]["hostvars"].values():
        for site in values["sites"]:
            # Cherokee follows every link, so that the plan lets it serve nothing that a site
            # writes.
            site["static"] = [
                static
                for static in site.get("static", [])
                if not static["path"].startswith(WRITTEN_BY_SITES)
            ]
            if site["name"].startswith("cp-"):
                # Cherokee has one limit of bodies for all sites of a server name.
                site["server_names"] = [f"{site['name']}.test"]
    json.dump(hosts, sys.stdout, indent=1)
