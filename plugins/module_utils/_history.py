# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases a host has served of each site: the way back, and what stays where a run would
bring back the release that was left.

Each is known by its id, by a digest of its source (the same where only the collection is another
one), by where it is from, since when it served and who had it served; and, where somebody went
back to it, by the digest of the source instead of which it serves.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils import _record
from ansible_collections.pyweb.stack.plugins.module_utils._layout import SITES_ROOT, release_of
from ansible_collections.pyweb.stack.plugins.module_utils._releases import COMPLETE

# Releases of a site that are remembered.
REMEMBERED = 50
# What a release is known by, as the plan settles it.
KNOWN = ("id", "source", "from", "instead_of")


class History:
    """The releases that this host has served, by their sites, the newest last."""

    def __init__(self) -> None:
        self._path = _record.RECORDS / "releases"
        self.sites: dict[str, list[dict[str, Any]]] = (
            json.loads(self._path.read_text()) if self._path.exists() else {}
        )

    def note(self, site: str, release: dict[str, Any], by: str) -> None:
        """Note what serves a site from now on."""
        known = {key: release[key] for key in KNOWN if release.get(key)}
        served = self.sites.setdefault(site, [])
        if served and {key: served[-1][key] for key in KNOWN if key in served[-1]} == known:
            return
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        served.append({**known, "since": since, "by": by})
        del served[:-REMEMBERED]

    def found(self) -> dict[str, list[dict[str, Any]]]:
        """The same, each with whether the release is still there."""
        return {
            site: [
                {**each, "there": Path(release_of(site, each["id"]), COMPLETE).is_file()}
                for each in served
            ]
            for site, served in self.sites.items()
        }

    def save(self) -> None:
        """Write it, without the sites that are gone."""
        there = {
            site: served
            for site, served in self.sites.items()
            if os.path.isdir(f"{SITES_ROOT}/{site}")
        }
        if there:
            _record.write_json(self._path, there)
        else:
            self._path.unlink(missing_ok=True)
