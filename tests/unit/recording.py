# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records as a host has them."""

from __future__ import annotations

from ansible_collections.pyweb.stack.plugins.module_utils._record import Record


def a_record(name: str, **kinds) -> Record:
    """The saved record of a set with these items by kind."""
    record = Record(name)
    for kind, items in kinds.items():
        record.claim(kind, items)
    record.save()
    return Record(name)
