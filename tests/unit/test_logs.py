# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was added to a log during a change, and what a message quotes of it."""

from __future__ import annotations

from ansible_collections.pyweb.stack.plugins.module_utils import _logs as module
from ansible_collections.pyweb.stack.plugins.module_utils._logs import Logs, excerpt

APACHE = "[Thu Nov 26 04:49:14.352722 2026] [wsgi:error] [pid 2075:tid 2075] "


def test_only_what_is_new_is_quoted_and_without_apaches_prefix(tmp_path):
    log = tmp_path / "error.log"
    log.write_text("old\n")
    logs = Logs([str(log)])
    assert logs.words(str(log)) == ""
    with open(log, "a", encoding="utf-8") as file:
        file.write(
            "".join(f"{APACHE}  line {number}\n" for number in range(30)) + "Timeout (0:00:20)!\n"
        )
    assert logs.words(str(log)).splitlines() == [
        f"The last words in {log}:",
        *(f"  line {number}" for number in range(11, 30)),
        "Timeout (0:00:20)!",
    ]


def test_a_log_that_was_rotated_or_is_not_there(tmp_path):
    log = tmp_path / "error.log"
    logs = Logs([str(log)])
    assert logs.words(str(log)) == ""
    log.write_text("x" * 100)
    logs = Logs([str(log)])
    log.write_text("new\n")
    assert logs.since(str(log)) == ["new"]


def test_a_journal_is_read_from_now_on(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "run", lambda argv: (asked.append(argv), (0, "one\ntwo"))[1])
    assert Logs([]).since("x.service") == ["one", "two"]
    assert asked[0][:4] == ["journalctl", "--unit", "x.service", "--since"] and asked[0][
        4
    ].startswith("@")


def test_a_process_that_began_before_the_change_says_nothing_of_it(tmp_path):
    log = tmp_path / "error.log"
    log.write_text("")
    logs = Logs([str(log)])
    log.write_text(
        f"{APACHE}pyweb: the site one cannot be loaded by process 2075, begun 1280.19 s "
        "after boot\n"
    )
    assert logs.not_loaded(str(log), "one", 1280.1)
    assert not logs.not_loaded(str(log), "one", 1280.2)
    assert not logs.not_loaded(str(log), "two", 1280.1)


FAILED = [
    "Traceback (most recent call last):",
    '  File "wrong.py", line 1, in <module>',
    "ModuleNotFoundError: No module named 'no_such_module'",
]
ENDED = ["Traceback (most recent call last):", '  File "slow.py", line 1', "KeyboardInterrupt"]


def test_the_cause_is_quoted_where_other_processes_wrote_much_after_it():
    """uWSGI ends its other processes when one cannot load its site."""
    later = [f"  line {number}" for number in range(20)]
    assert excerpt(["begin", *FAILED, *ENDED, *later], 20) == [*FAILED, "[...]", *later]


def test_what_the_last_lines_have_is_quoted_once():
    assert excerpt(["begin", *FAILED, "end"], 4) == [*FAILED, "end"]
    assert excerpt([*FAILED, "end"], 2) == [FAILED[-1], "end"]
    assert excerpt([], 20) == []


def test_two_different_causes_are_quoted():
    """gunicorn's workers tell why they could not start, then its main process that they did not."""
    halted = [FAILED[0], '  File "arbiter.py", line 683', "gunicorn.errors.HaltServer: <3>"]
    later = ["later"] * 20
    found = excerpt([*FAILED, *ENDED, *FAILED, *halted, *later], 20)
    assert found == [*FAILED, "[...]", *halted, "[...]", *later]
    assert excerpt([*FAILED, *halted], 3) == [*FAILED, "[...]", *halted]
    noise = [FAILED[0], "ValueError"]
    assert excerpt([*noise, *FAILED, *halted], 3) == [*FAILED, "[...]", *halted]


def test_of_a_long_traceback_the_end_is_quoted():
    deep = [f'  File "deep.py", line {number}' for number in range(50)]
    later = ["later"] * 20
    found = excerpt([FAILED[0], *deep, FAILED[-1], *later], 20)
    assert found == [*deep[-9:], FAILED[-1], "[...]", *later]
