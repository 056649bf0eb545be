# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A set of files that changes as one: compared, tried in private, swapped in, and put back where that fails.

What a host has of a set is kept in one record: the paths that it owns, what stood there before (to be put back when the
set no longer wants them), its units, and for each unit and command the digest of the files it last took effect with. A journal, written
before the first file is touched and removed after the last step, lets the next run undo a change that was killed half way.
"""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import grp
import hashlib
import json
import os
import pwd
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

RECORDS = Path("/var/lib/pyweb/.changes")

CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x00004000 | 0x00040000


@dataclass(frozen=True)
class Entry:
    """What stands at a path: a file's content and mode or a link's target, and the owner and group; numbers where they have no name."""

    content: Optional[bytes] = None
    target: Optional[str] = None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    def encode(self) -> dict:
        """For a JSON file."""
        content = None if self.content is None else base64.b64encode(self.content).decode()
        return {**self.__dict__, "content": content}

    @classmethod
    def decode(cls, data: dict) -> Entry:
        """From a JSON file."""
        content = data["content"]
        return cls(**{**data, "content": None if content is None else base64.b64decode(content)})


def _name_of(number: int, lookup, field: str) -> str:
    try:
        return getattr(lookup(number), field)
    except KeyError:
        return str(number)


def _number_of(name: str, lookup, field: str) -> Optional[int]:
    if name.isdigit():
        return int(name)
    try:
        return getattr(lookup(name), field)
    except KeyError:
        return None


def read(path: str) -> Optional[Entry]:
    """What stands at a path now, or None."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    owner = _name_of(found.st_uid, pwd.getpwuid, "pw_name")
    group = _name_of(found.st_gid, grp.getgrgid, "gr_name")
    if stat.S_ISLNK(found.st_mode):
        return Entry(target=os.readlink(path), mode=0o777, owner=owner, group=group)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is neither a file nor a symbolic link; move it out of the way")
    return Entry(content=Path(path).read_bytes(), mode=stat.S_IMODE(found.st_mode), owner=owner, group=group)


def write(path: str, entry: Optional[Entry]) -> None:
    """Make a path what the entry says, in one step; None removes it.

    An owner that does not exist yet leaves the file to root alone; write it again when the account is there.
    """
    if entry is None:
        if os.path.lexists(path):
            os.unlink(path)
        return
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    uid = _number_of(entry.owner, pwd.getpwnam, "pw_uid")
    gid = _number_of(entry.group, grp.getgrnam, "gr_gid")
    handle, temporary = tempfile.mkstemp(prefix=".pyweb-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if entry.content is not None:
                file.write(entry.content)
                file.flush()
                os.fsync(file.fileno())
                os.fchown(file.fileno(), uid or 0, gid or 0)
                os.fchmod(file.fileno(), entry.mode if uid is not None and gid is not None else entry.mode & 0o700)
        if entry.target is not None:
            os.unlink(temporary)
            os.symlink(entry.target, temporary)
            os.lchown(temporary, uid or 0, gid or 0)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def digest(paths: list[str]) -> str:
    """A digest of what stands at some paths."""
    total = hashlib.sha256()
    for path in sorted(paths):
        entry = read(path)
        total.update(json.dumps([path, entry and entry.encode()], sort_keys=True).encode())
    return total.hexdigest()


def _save(path: Path, data: dict) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write(str(path), Entry(content=json.dumps(data, sort_keys=True).encode(), mode=0o600))


class Change:
    """The change of one named set of files on this host, to what is wanted: entries, or None for a path that has to be out of the way."""

    def __init__(self, name: str, wanted: dict[str, Optional[Entry]]) -> None:
        self._record_path = RECORDS / f"{name}.json"
        self._journal_path = RECORDS / f"{name}.journal"
        empty = {"owned": [], "originals": {}, "effects": {}, "units": []}
        self.record = {**empty, **(json.loads(self._record_path.read_text()) if self._record_path.exists() else {})}
        self.wanted = dict(wanted)
        for path in self.record["owned"]:
            if path not in wanted:
                original = self.record["originals"].get(path)
                self.wanted[path] = Entry.decode(original) if original else None
        self._owned = set(wanted)
        self.before: dict[str, Optional[Entry]] = {}

    def recover(self) -> bool:
        """Undo a change that was killed half way. Says whether there was one; then it is unknown what the units took up."""
        if not self._journal_path.exists():
            return False
        for path, entry in json.loads(self._journal_path.read_text()).items():
            write(path, Entry.decode(entry) if entry else None)
        self.record["effects"] = {}
        _save(self._record_path, self.record)
        self._journal_path.unlink()
        return True

    def leave(self, paths: list[str]) -> list[str]:
        """Want these paths as they are, where the set has written them before. Returns those that it would have changed."""
        found = {path: read(path) for path in paths if path in self.record["owned"]}
        drifted = [path for path, entry in found.items() if entry is not None and entry != self.wanted[path]]
        self.wanted.update({path: found[path] for path in drifted})
        return drifted

    def differences(self) -> list[str]:
        """The paths that are not as wanted."""
        self.before = {path: read(path) for path in self.wanted}
        return [path for path, entry in self.wanted.items() if entry != self.before[path]]

    def swap(self, paths: list[str]) -> None:
        """Make these paths as wanted, so that it can be undone."""
        _save(self._journal_path, {path: entry and entry.encode() for path, entry in self.before.items() if path in paths})
        self._write(paths)

    def settle_owners(self, paths: list[str]) -> None:
        """Write again what waited for an account that now exists."""
        self._write([path for path in paths if self.wanted[path] is not None and read(path) != self.wanted[path]])

    def undo(self, paths: list[str]) -> None:
        """Put these paths back."""
        for path in paths:
            write(path, self.before[path])
        self._journal_path.unlink()

    def keep(self, effects: dict[str, str], units: list[str]) -> None:
        """Note what the host now has, and that the change is over."""
        originals = {path: data for path, data in self.record["originals"].items() if path in self._owned}
        for path in self._owned - set(self.record["owned"]):
            if self.before.get(path) is not None and path not in originals:
                originals[path] = self.before[path].encode()
        record = {"owned": sorted(self._owned), "originals": originals, "effects": effects, "units": sorted(units)}
        if record != self.record:
            _save(self._record_path, record)
        if self._journal_path.exists():
            self._journal_path.unlink()

    def _write(self, paths: list[str]) -> None:
        for path in paths:
            write(path, self.wanted[path])

    def tried(self, paths: list[str], argv: list[str]) -> Optional[tuple[int, str]]:
        """The exit status and the words of a command that sees the host with these paths as wanted, while nobody else does.

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


def _private_overlays(tops: list[str]) -> None:
    """Give this process a view of its own of some top directories, whose changes go to memory (mount_namespaces(7))."""
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
    for top in tops:
        upper, work = f"/mnt/{top}/upper", f"/mnt/{top}/work"
        os.makedirs(upper)
        os.makedirs(work)
        os.chmod(upper, stat.S_IMODE(os.stat(f"/{top}").st_mode))
        mount("overlay", f"/{top}", "overlay", 0, f"lowerdir=/{top},upperdir={upper},workdir={work}")


def run(argv: list[str]) -> tuple[int, str]:
    """Exit status, and standard output and error together."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment, check=False)
    except FileNotFoundError:
        return 127, f"{argv[0]}: not found"
    return done.returncode, done.stdout.decode(errors="replace").strip()
