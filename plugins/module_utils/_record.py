# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection has on a host: one record for each set, with everything that has to go when
the set no longer wants it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils import _layout
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry, write

RECORDS = Path(_layout.RECORDS)
LOCK = Path(_layout.LOCK)
# Of each: a mapping of its name to what is known of it, among it the site that it belongs to and
# whether it is leaving, which means that nobody wants it any longer and it is still there.
KINDS = ("files", "units", "accounts", "directories", "lineages")


_held: list[int] = []


def lock() -> None:
    """Wait for other runs on this host to end their step. The kernel lets go when this process
    ends, however it does; to take it again changes nothing.
    """
    if not _held:
        _held.append(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600))
        fcntl.flock(_held[0], fcntl.LOCK_EX)


def is_front(name: str) -> bool:
    """Whether a set is a front's, by its role's name."""
    return name.startswith("front_")


class Record:
    """The record of one set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._path = RECORDS / f"{name}.json"
        self._saved = self._path.read_text() if self._path.exists() else "{}"
        self.data = json.loads(self._saved)

    @property
    def data(self) -> dict[str, Any]:
        """As it stands in the record's file."""
        items = {kind: items for kind, items in self.items.items() if items}
        noted = {"noted": self.noted} if self.noted else {}
        return {**items, "effects": self.effects, **noted}

    @data.setter
    def data(self, data: dict[str, Any]) -> None:
        self.items = {kind: data.get(kind, {}) for kind in KINDS}
        self.effects = data.get("effects", {})
        # What the last run of the set has settled, for the next one to compare: see _comparison.
        self.noted = data.get("noted", {})

    def unwanted(self, kind: str, wanted: Iterable[str]) -> list[str]:
        """What the set has of a kind and no longer wants."""
        return sorted(set(self.items[kind]) - set(wanted))

    def leaving(self, kind: str, all_of_it: bool = False) -> list[str]:
        """What is leaving; all_of_it: as if the whole set were. Data that is kept has left
        already.
        """
        return sorted(
            key
            for key, item in self.items[kind].items()
            if item["leaving"] or (all_of_it and not item.get("parked"))
        )

    def claim(self, kind: str, wanted: dict[str, dict[str, Any]]) -> None:
        """Take in what is wanted of a kind; the rest is leaving. What is known of an item stays
        known.
        """
        for key, item in self.items[kind].items():
            item["leaving"] = key not in wanted and not item.get("parked")
        for key, item in wanted.items():
            self.items[kind][key] = {**self.items[kind].get(key, {}), **item, "leaving": False}
            self.items[kind][key].pop("parked", None)

    def drop(self, kind: str, key: str) -> None:
        """Forget what is gone."""
        self.items[kind].pop(key, None)

    def save(self) -> None:
        """Write the record, if it changed; a record of nothing is removed. A set that owns nothing,
        since all its sites are inside their front, has noted that.
        """
        text = as_text(self.data)
        if not any(self.items.values()) and not self.noted:
            self._path.unlink(missing_ok=True)
        elif text != self._saved:
            write_json(self._path, self.data)
        self._saved = text


class Packages:
    """Debian packages: those that the collection has brought to this host, with what they needed,
    and what each set wants of them.
    """

    def __init__(self) -> None:
        self._path = RECORDS / "packages"
        data = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.ours, self.wanted = set(data.get("ours", ())), dict(data.get("wanted", {}))

    def claim(self, name: str, wanted: list[str], brought: list[str]) -> None:
        """What a set wants, and what came for it."""
        self.ours |= set(brought)
        self.wanted[name] = sorted(wanted)

    def only(self, sets: list[str]) -> None:
        """Forget what other sets want."""
        self.wanted = {name: wanted for name, wanted in self.wanted.items() if name in sets}

    def save(self) -> None:
        """Write the record, or remove it where no set is left."""
        if self.wanted:
            write_json(self._path, {"ours": sorted(self.ours), "wanted": self.wanted})
        else:
            self._path.unlink(missing_ok=True)


def as_text(data: dict[str, Any]) -> str:
    """As it stands in a file of the records."""
    return json.dumps(data, sort_keys=True)


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a file of the records, for root alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write(str(path), Entry(content=as_text(data).encode(), mode=0o600))


def journals() -> list[str]:
    """The sets whose change was killed before its end."""
    return sorted(path.stem for path in RECORDS.glob("[!.]*.journal"))


def records() -> list[Record]:
    """All records of this host: fronts first, then backs, then what these stand on, so that each
    goes before what it needs.
    """
    names = sorted(
        (path.stem for path in RECORDS.glob("[!.]*.json")),
        key=lambda name: (not is_front(name), not name.startswith("back_"), name),
    )
    return [Record(name) for name in names]


def elsewhere(kind: str, key: str, but: str) -> dict[str, Any] | None:
    """What the record of another set knows of something that it has; rather of one that wants it
    than of one that it is leaving.
    """
    found = [
        record.items[kind][key]
        for record in records()
        if record.name != but and key in record.items[kind]
    ]
    return min(found, key=lambda item: item["leaving"], default=None)


def wanted_elsewhere(kind: str, key: str, but: str) -> dict[str, Any] | None:
    """What the record of another set knows of something that it has and wants."""
    item = elsewhere(kind, key, but)
    return None if item is None or item["leaving"] else item
