#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: report
version_added: 0.2.0
short_description: Show what serves each site after a run, and what the run changed
description:
  - Makes one table of all hosts of the play, from what its tasks have registered - host, site, URL,
    front, back, link, release and what changed.
  - Runs on the controller alone and asks the hosts nothing. Hosts that failed are in it, too.
options:
  releases:
    description: Adds a table of the release that serves each site - where it is from, since when it
      serves, and the one that did before it.
    type: bool
    default: false
attributes:
  action:
    support: full
    description: Runs on the controller.
  check_mode:
    support: full
    description: Says what would change.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
seealso:
  - module: pyweb.stack.plan
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Report what serves each site
  pyweb.stack.report:
  run_once: true
"""

RETURN = """
msg:
  description: The lines of the table.
  type: list
  elements: str
  returned: success
"""
