# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and commands of the host that a module runs on."""

from __future__ import annotations

import base64
import grp
import hashlib
import json
import os
import pwd
import signal
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What stands at a path: a file's content and mode or a link's target, and the owner and group;
    numbers where they have no name.
    """

    content: bytes | None = None
    target: str | None = None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    def encode(self) -> dict[str, Any]:
        """For a JSON file."""
        content = None if self.content is None else base64.b64encode(self.content).decode()
        return {**self.__dict__, "content": content}

    def sealed(self) -> Entry:
        """The same with a digest in place of the content, which may be secret or large."""
        return self if self.content is None else replace(self, content=seal(self.content))

    @classmethod
    def decode(cls, data: dict[str, Any]) -> Entry:
        """From a JSON file."""
        content = data["content"]
        return cls(**{**data, "content": None if content is None else base64.b64decode(content)})


def seal(content: bytes) -> bytes:
    """A digest that stands for a content."""
    return hashlib.sha256(content).hexdigest().encode()


def _name_of(number: int, lookup: Callable[[int], Any], field: str) -> str:
    try:
        return str(getattr(lookup(number), field))
    except KeyError:
        return str(number)


def _number_of(name: str, lookup: Callable[[str], Any], field: str) -> int | None:
    if name.isdigit():
        return int(name)
    try:
        return int(getattr(lookup(name), field))
    except KeyError:
        return None


def read(path: str) -> Entry | None:
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
    return Entry(
        content=Path(path).read_bytes(), mode=stat.S_IMODE(found.st_mode), owner=owner, group=group
    )


def write(path: str, entry: Entry | None) -> None:
    """Make a path what the entry says, in one step; None removes it.

    An owner that does not exist yet leaves the file to root alone; write it again when the account
    is there.
    """
    if entry is None:
        remove(path)
        return
    stage(path, entry)
    os.replace(staged(path), path)


def remove(path: str) -> None:
    """Remove a file or link, if it is there."""
    if os.path.lexists(path):
        os.unlink(path)


def staged(path: str) -> str:
    """Where the new content of a path waits, beside it."""
    return os.path.join(os.path.dirname(path), f".pyweb-new-{os.path.basename(path)}")


def stage(path: str, entry: Entry) -> None:
    """Write the new content of a path beside it, with its owner and mode; only a rename is left to
    do then.
    """
    temporary = staged(path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    remove(temporary)
    uid = _number_of(entry.owner, pwd.getpwnam, "pw_uid")
    gid = _number_of(entry.group, grp.getgrnam, "gr_gid")
    try:
        if entry.target is not None:
            os.symlink(entry.target, temporary)
            os.lchown(temporary, uid or 0, gid or 0)
            return
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(entry.content or b"")
            file.flush()
            os.fsync(file.fileno())
            os.fchown(file.fileno(), uid or 0, gid or 0)
            os.fchmod(
                file.fileno(),
                entry.mode if uid is not None and gid is not None else entry.mode & 0o700,
            )
    except OSError:
        remove(temporary)
        raise


def digest(paths: list[str]) -> str:
    """A digest of what stands at some paths."""
    total = hashlib.sha256()
    for path in sorted(paths):
        entry = read(path)
        total.update(json.dumps([path, entry and entry.encode()], sort_keys=True).encode())
    return total.hexdigest()


def execute(argv: list[str], told: str = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A command that has ended, its output and errors apart; told: its standard input.

    Raises OSError where there is no such command.
    """
    settled = {"env": {**os.environ, "LC_ALL": "C.UTF-8"}, "capture_output": True, **options}
    # No AnsibleModule comes here, whose run_command would do.
    return subprocess.run(  # pylint: disable=ansible-bad-function
        argv, input=told.encode(), check=False, **settled
    )


def run(argv: list[str], told: str = "") -> tuple[int, str]:
    """Exit status, and standard output and error together."""
    together = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = execute(argv, told, **together)
    except FileNotFoundError:
        return 127, f"{argv[0]}: not found"
    return done.returncode, done.stdout.decode(errors="replace").strip()


def must(argv: list[str]) -> None:
    """Run a command that has to succeed."""
    status, words = run(argv)
    if status != 0:
        raise OSError(words)


def give_tree(root: str, uid: int, gid: int) -> None:
    """Give a directory with all that is in it to an account. It follows no link, also where
    somebody swaps one for a directory meanwhile.
    """
    must(["chown", "--recursive", "-P", "--no-dereference", f"{uid}:{gid}", "--", root])


def remove_tree(root: str) -> None:
    """Remove a directory with all that is in it, however deep."""
    must(["rm", "--recursive", "--force", "--one-file-system", "--", root])


def processes_of(uid: int) -> list[int]:
    """The processes of an account. Who owns their files in /proc does not tell: it is root where
    they have changed the account.
    """
    found = []
    for path in Path("/proc").iterdir():
        try:
            status = (path / "status").read_text(errors="replace") if path.name.isdigit() else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if str(uid) in fields.get("Uid", "").split() and not fields["State"].startswith("Z"):
            found.append(int(path.name))
    return found


def end_processes(uid: int) -> None:
    """Kill all processes of an account at once, as itself, so that none can fork away."""
    if uid == 0:
        raise OSError("root's processes are not to be killed")
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def remove_files_of(uid: int, folders: list[str]) -> None:
    """Remove what an account has left in directories that all may write."""
    there = [folder for folder in folders if os.path.isdir(folder)]
    # What cannot be removed holds something of somebody else, and others may add and remove
    # meanwhile.
    run(["find", *there, "-mindepth", "1", "-xdev", "-depth", "-uid", str(uid), "-delete"])


def park(root: str) -> None:
    """Keep data whose account goes, for root alone: another account may get the same number."""
    give_tree(root, 0, 0)
    os.chmod(root, 0o700)


def take_out(root: str) -> None:
    """Give data that was parked to the account that its directory now belongs to."""
    found = os.stat(root)
    give_tree(root, found.st_uid, found.st_gid)
