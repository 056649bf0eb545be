# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of files that changes as one: compared, tried in private, swapped in, and put back where
that fails.

A journal, written before the first file is touched and removed after the last step, lets the next
run undo a change that was killed half way. Once all has worked, the journal holds the new record
instead, and the next run ends what is left of the change.

New files are written whole beside the old ones before the first of these is renamed away, so that a
full disk changes nothing, and going back is renaming, too.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils import _record as module
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    Entry,
    read,
    remove,
    run,
    stage,
    staged,
    write,
)
from ansible_collections.pyweb.stack.plugins.module_utils._record import (
    Record,
    elsewhere,
    wanted_elsewhere,
    write_json,
)

CLONE_NEWNS = 0x00020000
# The key of a journal whose change has worked; the other keys of a journal are paths.
KEPT = "kept"
MS_REC_PRIVATE = 0x00004000 | 0x00040000


def recover() -> list[str]:
    """Undo every change that was killed half way, and name the sets. Then it is unknown what their
    units and commands took up. A change that had worked is kept.
    """
    undone = []
    for journal in sorted(module.RECORDS.glob("[!.]*.journal")):
        begun = json.loads(journal.read_text())
        if KEPT in begun:
            _end(begun[KEPT], Record(journal.stem), journal)
            continue
        for path, entry in begun.items():
            put_back(path, Entry.decode(entry) if entry else None)
        record = Record(journal.stem)
        record.effects, record.noted = {}, {}
        record.save()
        journal.unlink()
        undone.append(journal.stem)
    return undone


def _end(kept: dict[str, Any], record: Record, journal: Path) -> None:
    """Save the record of a change that has worked, and remove what could have undone it."""
    record.data = kept["record"]
    record.save()
    for path in kept["paths"]:
        remove(old(path))
    journal.unlink(missing_ok=True)


def old(path: str) -> str:
    """The second name of what stood at a path, as long as a change may have to go back."""
    return os.path.join(os.path.dirname(path), f".pyweb-old-{os.path.basename(path)}")


def put_back(path: str, before: Entry | None) -> None:
    """Make a path what it was, and leave nothing beside it."""
    remove(staged(path))
    if before is not None and read(old(path)) == before:
        os.replace(old(path), path)
    elif read(path) != before:
        write(path, before)
    # Where both are names of one file, a rename does nothing (rename(2)).
    remove(old(path))


class Change:
    """The change of one named set of files on this host, to what is wanted: entries, or None for a
    path that has to be out of the way.

    sites: the site that a path belongs to, where it belongs to one.
    defer: leaves what is no longer wanted where it is; the record says that it is leaving.
    late: paths for which that holds one by one, in this change and in later ones.
    """

    def __init__(
        self,
        name: str,
        wanted: dict[str, Entry | None],
        sites: dict[str, str] | None = None,
        defer: bool = False,
        late: Collection[str] = (),
    ) -> None:
        self.record = Record(name)
        self.wanted = dict(wanted)
        self._journal = module.RECORDS / f"{name}.journal"
        self._claimed = {
            path: {"site": (sites or {}).get(path, ""), **({"late": True} if path in late else {})}
            for path in wanted
        }
        self._going: list[str] = []
        self.left: list[str] = []  # as somebody else has made them
        if not defer:
            known = self.record.items["files"]
            self.give_up(
                [
                    path
                    for path in self.record.unwanted("files", wanted)
                    if not known[path].get("late")
                ]
            )
        self.before: dict[str, Entry | None] = {}
        self._made: list[str] = []

    @property
    def paths(self) -> list[str]:
        """The paths that the set has after the change."""
        return list(self._claimed)

    def give_up(self, paths: list[str]) -> None:
        """Want back what stood at some paths of the set before it took them over."""
        self._going = paths
        for path in paths:
            # What another set has taken over is its own now.
            if wanted_elsewhere("files", path, but=self.record.name) is None:
                original = self.record.items["files"][path].get("original")
                self.wanted[path] = Entry.decode(original) if original else None

    def leave(self, paths: list[str]) -> list[str]:
        """Want these paths as they are, where the set has written them before. Returns those that
        it would have changed.
        """
        found = {path: read(path) for path in paths if path in self.record.items["files"]}
        drifted = [
            path
            for path, entry in found.items()
            if entry is not None and entry != self.wanted[path]
        ]
        self.wanted.update({path: found[path] for path in drifted})
        self.left += drifted
        return drifted

    def differences(self) -> list[str]:
        """The paths that are not as wanted."""
        self.before = {path: read(path) for path in self.wanted}
        return [path for path, entry in self.wanted.items() if entry != self.before[path]]

    def swap(self, paths: list[str]) -> None:
        """Make these paths as wanted, so that it can be undone."""
        self._made = missing_folders([path for path in paths if self.wanted[path] is not None])
        write_json(
            self._journal,
            {
                path: entry and entry.encode()
                for path, entry in self.before.items()
                if path in paths
            },
        )
        for path in paths:
            if (wanted := self.wanted[path]) is not None:
                stage(path, wanted)
        for path in paths:
            if self.before[path] is not None:
                remove(old(path))
                os.link(path, old(path), follow_symlinks=False)
        for path in paths:
            if self.wanted[path] is None:
                os.unlink(path)
            else:
                os.replace(staged(path), path)

    def settle_owners(self, paths: list[str]) -> None:
        """Write again what waited for an account that now exists."""
        self._write(
            [
                path
                for path in paths
                if self.wanted[path] is not None and read(path) != self.wanted[path]
            ]
        )

    def undo(self, paths: list[str]) -> None:
        """Put these paths back. The change is over when what has read them has taken that up, too:
        see close.
        """
        for path in paths:
            put_back(path, self.before[path])
        remove_empty(self._made)

    def close(self) -> None:
        """Note that a change that was undone is over."""
        self._journal.unlink(missing_ok=True)

    def keep(self, effects: dict[str, str]) -> None:
        """Note what the host now has, and that the change is over."""
        known = self.record.items["files"]
        for path, item in self._claimed.items():
            if path not in known:
                former = elsewhere("files", path, but=self.record.name)
                before = self.before.get(path)
                original = former.get("original") if former else before and before.encode()
                item.update({"original": original} if original else {})
        self.record.claim("files", self._claimed)
        for folder in self._made:
            self.record.items["directories"].setdefault(
                folder, {"site": "", "holds": "others", "leaving": False}
            )
        self.record.effects = effects
        self.forget()

    def forget(self) -> None:
        """Note that what was given up is gone, and that the change is over."""
        for path in self._going:
            self.record.drop("files", path)
        kept = {"record": self.record.data, "paths": list(self.before)}
        if self._journal.exists():
            write_json(self._journal, {KEPT: kept})
        _end(kept, self.record, self._journal)

    def _write(self, paths: list[str]) -> None:
        for path in paths:
            write(path, self.wanted[path])

    def tried(self, paths: list[str], argv: list[str]) -> tuple[int, str] | None:
        """The exit status and the words of a command that sees the host with these paths as wanted,
        while nobody else does.

        None where the host allows no private mounts; the command then has to run after the swap.
        """
        tops = sorted({path.split("/")[1] for path in paths})
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            answer = None
            try:
                _private_overlays(tops)
                self._write(paths)
                answer = run(argv)
            except OSError as error:
                answer = None if error.errno in (1, 22, 38) else (1, str(error))
            finally:
                with os.fdopen(writing, "w") as out:
                    json.dump(answer, out)
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as source:
            answer = json.load(source)
        os.waitpid(child, 0)
        return answer and tuple(answer)


def missing_folders(paths: list[str]) -> list[str]:
    """The directories above some paths that are not there, the outermost first."""
    return sorted(
        {str(folder) for path in paths for folder in Path(path).parents if not folder.exists()}
    )


def remove_empty(folders: list[str]) -> list[str]:
    """Remove those of some directories that hold nothing, and name them."""
    gone = []
    for folder in sorted(folders, reverse=True):
        if os.path.isdir(folder) and not os.listdir(folder):
            os.rmdir(folder)
            gone.append(folder)
    return gone


def _private_overlays(tops: list[str]) -> None:
    """Give this process a view of its own of some top directories, whose changes go to memory
    (mount_namespaces(7)).
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)

    def must(status: int) -> None:
        if status != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
        must(libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()))

    must(libc.unshare(CLONE_NEWNS))
    mount("none", "/", "none", MS_REC_PRIVATE, "")
    mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0700")
    if "tmp" not in tops:
        # Cherokee's parser leaves a directory there each time.
        mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777")
    for top in tops:
        upper, work = f"/mnt/{top}/upper", f"/mnt/{top}/work"
        os.makedirs(upper)
        os.makedirs(work)
        os.chmod(upper, stat.S_IMODE(os.stat(f"/{top}").st_mode))
        mount(
            "overlay", f"/{top}", "overlay", 0, f"lowerdir=/{top},upperdir={upper},workdir={work}"
        )


def diff(path: str, before: Entry | None, after: Entry | None, secret: bool) -> dict[str, Any]:
    """One file's change, as --diff shows it."""

    def words(entry: Entry | None) -> str:
        if entry is None:
            return ""
        if secret:
            return "(a secret)\n"
        return (
            f"link to {entry.target}\n"
            if entry.content is None
            else entry.content.decode(errors="replace")
        )

    def header(entry: Entry | None) -> str:
        return (
            f"{path} ({entry.owner}:{entry.group} {entry.mode:04o})"
            if entry
            else f"{path} (absent)"
        )

    old, new = words(before), words(after)
    if secret and before and after and before.content != after.content:
        new = "(another secret)\n"
    return {
        "before": old,
        "after": new,
        "before_header": header(before),
        "after_header": header(after),
    }
