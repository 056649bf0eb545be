# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change on real files, in a directory of the test's own; the owner is whoever runs the tests."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils import _record as module
from ansible_collections.pyweb.stack.plugins.module_utils._change import (
    Change,
    put_back,
    recover,
)
from ansible_collections.pyweb.stack.plugins.module_utils._host import Entry, digest, read, write
from ansible_collections.pyweb.stack.plugins.module_utils._record import Record

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", tmp_path / "records")


@pytest.fixture(name="root")
def a_root(tmp_path):
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


def entry(text: str, mode: int = 0o644) -> Entry:
    return Entry(content=text.encode(), mode=mode, **ME)


def make(wanted: dict, name: str = "test", **more) -> Change:
    change = Change(name, {str(path): value for path, value in wanted.items()}, **more)
    different = change.differences()
    change.swap(different)
    return change


def tree(root: Path) -> dict:
    """What a server sees; the second names of a change that is under way are hidden from its
    patterns.
    """
    return {
        str(path): read(str(path))
        for path in sorted(root.rglob("[!.]*"))
        if not path.is_dir() or path.is_symlink()
    }


@pytest.mark.parametrize(
    "value",
    [
        entry("text\n"),
        entry("", 0o600),
        entry("#!/bin/sh\n", 0o755),
        Entry(target="there", mode=0o777, **ME),
    ],
)
def test_what_is_written_is_read_back(root, value):
    write(str(root / "a" / "b"), value)
    assert read(str(root / "a" / "b")) == value
    assert Entry.decode(value.encode()) == value


def test_nothing_temporary_stays(root):
    write(str(root / "file"), entry("one"))
    write(str(root / "file"), entry("two"))
    assert [path.name for path in root.iterdir()] == ["file"]


def test_what_is_written_once_is_left_alone_and_drift_is_told(root):
    path = str(root / "file")
    write(path, entry("a package's sample"))
    first = Change("test", {path: entry("ours")})
    assert first.leave([path]) == []
    first.swap(first.differences())
    first.keep({})
    assert read(path) == entry("ours")
    assert Change("test", {path: entry("ours")}).leave([path]) == []
    write(path, entry("theirs", 0o600))
    later = Change("test", {path: entry("ours")})
    assert later.leave([path]) == [path]
    assert later.differences() == []
    os.unlink(path)
    gone = Change("test", {path: entry("ours")})
    assert gone.leave([path]) == []
    assert gone.differences() == [path], "what has gone is written again"


def test_a_directory_in_the_way_is_an_error_and_stays(root):
    (root / "file" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="neither a file nor a symbolic link"):
        make({root / "file": entry("text")})
    assert (root / "file" / "inside").is_dir()


def test_an_unknown_owner_leaves_the_file_to_root_alone(root):
    write(
        str(root / "file"),
        Entry(content=b"secret", mode=0o640, owner="root", group="no-such-group-yet"),
    )
    assert os.stat(root / "file").st_mode & 0o777 == 0o600


def test_the_second_time_nothing_differs(root):
    wanted = {
        root / "file": entry("text"),
        root / "link": Entry(target="file", mode=0o777, **ME),
        root / "gone": None,
    }
    make(wanted).keep({})
    assert Change("test", {str(path): value for path, value in wanted.items()}).differences() == []


@pytest.mark.parametrize("changed", [entry("other"), entry("text", 0o600), None])
def test_drift_is_seen_and_mended(root, changed):
    make({root / "file": entry("text")}).keep({})
    write(str(root / "file"), changed)
    change = make({root / "file": entry("text")})
    assert change.before[str(root / "file")] == changed
    assert read(str(root / "file")) == entry("text")


def test_undo_puts_everything_back(root):
    write(str(root / "old"), entry("before", 0o600))
    write(str(root / "way"), entry("in the way"))
    before = tree(root)
    wanted = {
        str(root / "old"): entry("after"),
        str(root / "new"): entry("new"),
        str(root / "way"): None,
    }
    change = Change("test", wanted)
    different = change.differences()
    change.swap(different)
    assert tree(root) == {str(root / "new"): entry("new"), str(root / "old"): entry("after")}
    change.undo(different)
    assert tree(root) == before
    assert list(root.rglob(".*")) == []
    assert recover() == ["test"], (
        "until what has read the files has taken that up, the next run begins anew"
    )
    change.close()
    assert recover() == []


def test_undo_removes_the_directories_that_it_made(root):
    change = Change("test", {str(root / "new" / "deep" / "file"): entry("text")})
    different = change.differences()
    change.swap(different)
    change.undo(different)
    assert list(root.iterdir()) == []


def test_a_killed_change_is_undone_by_the_next(root):
    write(str(root / "old"), entry("before"))
    before = tree(root)
    make({root / "old": entry("after"), root / "new": entry("new")})  # never kept: killed here
    assert recover() == ["test"]
    assert tree(root) == before
    assert Record("test").effects == {}
    assert recover() == []


def test_what_is_deferred_stays_and_is_leaving(root):
    make({root / "old": entry("old"), root / "kept": entry("kept")}).keep({})
    make({root / "kept": entry("kept")}, defer=True).keep({})
    assert read(str(root / "old")) == entry("old")
    assert Record("test").leaving("files") == [str(root / "old")]
    make({root / "old": entry("old"), root / "kept": entry("kept")}, defer=True).keep({})
    assert Record("test").leaving("files") == []


def test_what_another_set_took_over_stays_with_what_stood_there_before_both(root):
    write(str(root / "link"), entry("distribution's"))
    make({root / "link": entry("first")}, "first").keep({})
    make({root / "link": entry("second")}, "second").keep({})
    make({}, "first").keep({})
    assert read(str(root / "link")) == entry("second")
    make({}, "second").keep({})
    assert read(str(root / "link")) == entry("distribution's")


def test_what_is_no_longer_wanted_goes_and_what_stood_there_before_returns(root):
    write(str(root / "theirs"), entry("distribution's"))
    make({root / "theirs": entry("ours"), root / "ours": entry("ours")}).keep({})
    make({root / "other": entry("other")}).keep({})
    assert tree(root) == {
        str(root / "other"): entry("other"),
        str(root / "theirs"): entry("distribution's"),
    }


def test_what_others_wrote_stays(root):
    write(str(root / "foreign"), entry("foreign"))
    make({root / "ours": entry("ours")}).keep({})
    make({}).keep({})
    assert tree(root) == {str(root / "foreign"): entry("foreign")}


def test_a_digest_tells_content_mode_and_absence_apart(root):
    path = str(root / "file")
    seen = [digest([path])]
    for value in (entry("a"), entry("b"), entry("b", 0o600), Entry(target="a", mode=0o777, **ME)):
        write(path, value)
        seen.append(digest([path]))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("step", ["stage", "link", "replace"])
def test_a_change_that_the_disk_refuses_is_undone(root, monkeypatch, step):
    write(str(root / "one"), entry("before"))
    write(str(root / "two"), entry("before"))
    before = tree(root)
    change = Change(
        "test",
        {
            str(root / "one"): entry("after"),
            str(root / "two"): entry("after"),
            str(root / "new"): entry("new"),
        },
    )
    different = change.differences()
    where = {
        "stage": "ansible_collections.pyweb.stack.plugins.module_utils._change.stage",
        "link": "os.link",
        "replace": "os.replace",
    }[step]
    module_name, _, name = where.rpartition(".")
    real = getattr(sys.modules[module_name], name)

    def full(*args, **more):
        if str(args[-1] if step != "stage" else args[0]).endswith("two"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises(OSError, match="No space left"):
            change.swap(different)
    change.undo(different)
    assert tree(root) == before
    assert list(root.rglob(".*")) == []


class Killed(BaseException):
    """The end of a run by SIGKILL."""


@pytest.fixture(name="kill")
def kill_at_a_step(monkeypatch):
    """Do something, and kill it at a step of those that change a file system. Returns whether it
    came so far.
    """

    def kill(steps: int, action: Callable[[], None]) -> bool:
        left = [steps]

        def counted(function):
            def call(*args, **more):
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return function(*args, **more)

            return call

        with monkeypatch.context() as patched:
            for name in ("replace", "link", "unlink", "fsync"):
                patched.setattr(os, name, counted(getattr(os, name)))
            try:
                action()
            except Killed:
                return True
        return False

    return kill


def a_change(root: Path) -> Change:
    """One of a file, of a new one, and of one that is in the way."""
    write(str(root / "old"), entry("before", 0o600))
    write(str(root / "way"), entry("in the way"))
    return Change(
        "test",
        {
            str(root / "old"): entry("after"),
            str(root / "new"): entry("new"),
            str(root / "way"): None,
        },
    )


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_change_that_is_killed_at_any_step_is_undone_by_the_next(root, kill, steps):
    change = a_change(root)
    before = tree(root)
    different = change.differences()
    kill(steps, lambda: change.swap(different))
    assert recover() in (["test"], [])
    assert tree(root) == before
    assert list(root.rglob(".pyweb-*")) == []


def test_a_change_that_is_killed_while_it_is_kept_is_whole_or_undone(root, kill):
    """At every step: the files and the record are both of before, or both of after."""
    undone = []
    for steps in range(1, 20):
        change = a_change(root)
        before = tree(root)
        change.swap(change.differences())
        after = tree(root)
        killed = kill(steps, lambda change=change: change.keep({"unit": "digest"}))
        undone.append(recover() == ["test"])
        assert tree(root) == (before if undone[-1] else after)
        assert bool(Record("test").items["files"]) is not undone[-1]
        assert Record("test").effects == ({} if undone[-1] else {"unit": "digest"})
        assert list(root.rglob(".pyweb-*")) == []
        assert recover() == []
        if not killed:
            break
        make({}).keep({})
        for path in root.iterdir():
            path.unlink()
    assert not killed
    assert undone[0] and not undone[-1]
    assert undone == sorted(undone, reverse=True), "from one step on, the change is kept"


def test_a_second_name_of_an_earlier_run_is_not_put_back(root):
    """Versions before this one could leave one behind."""
    write(str(root / "old"), entry("before"))
    write(str(root / ".pyweb-old-old"), entry("long before"))
    put_back(str(root / "old"), entry("before"))
    assert read(str(root / "old")) == entry("before")
    assert list(root.rglob(".pyweb-*")) == []
