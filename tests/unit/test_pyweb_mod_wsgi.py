# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a daemon process of mod_wsgi is given before its application: the site's environment, out of
systemd's files.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._environment_file import environment_file
from hypothesis import example, given
from hypothesis import strategies as st
from runtime_helpers import RUNTIME

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture(name="module", scope="module")
def the_runtime_module():
    spec = importlib.util.spec_from_file_location("pyweb_mod_wsgi", RUNTIME / "pyweb_mod_wsgi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(st.dictionaries(NAMES, VALUES))
@example({"A": 'a\nB="b"\n', "C": '"', "D": "\\", "E": "$x `y` %n", "F": "\r\n", "G": ""})
def test_what_was_written_is_read(module, values):
    assert module.assignments("#\n# Ansible managed\n#\n" + environment_file(values)) == values


def test_a_process_is_prepared(module, tmp_path, monkeypatch):
    release = tmp_path / "releases" / "v1"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/v1")
    (tmp_path / "environment").write_bytes(
        environment_file({"A": "a\r\nb", "PYWEB_SITE": "another"}).encode()
    )
    (tmp_path / "secrets").write_bytes(environment_file({"S": "é"}).encode())
    of_apache = {
        "APACHE_RUN_DIR": "/run/apache2",
        "LC_ALL": "C.UTF-8",
        "INVOCATION_ID": "1",
        "PIDFILE": "/p",
    }
    monkeypatch.setattr(os, "environ", {"HOME": "/h", **of_apache})
    monkeypatch.setattr(module, "take_up", lambda environ: None)
    monkeypatch.setattr(sys, "path", ["", "lib.zip", f"{tmp_path}/current/site-packages"])
    monkeypatch.setattr(sys, "prefix", f"{tmp_path}/current/.venv")
    monkeypatch.setattr(sys, "exec_prefix", sys.prefix)
    monkeypatch.setattr(sys, "executable", "/usr/sbin/apache2")
    module.prepare({"PYWEB_SITE": "shop"}, [f"{tmp_path}/environment", f"{tmp_path}/secrets"])
    name = pwd.getpwuid(os.getuid()).pw_name
    assert os.environ == {
        "HOME": "/h",
        "LOGNAME": name,
        "USER": name,
        "PYWEB_SITE": "another",
        "A": "a\r\nb",
        "S": "é",
    }
    assert sys.path == ["", os.path.realpath("lib.zip"), f"{release}/site-packages"]
    assert sys.prefix == sys.exec_prefix == f"{release}/.venv"
    assert sys.executable == f"{release}/.venv/bin/python"


def ran(code, **environ):
    """What a process of its own prints that has this environment only later."""
    code = f"import os, sys, time; import pyweb_mod_wsgi as module; {code}"
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(RUNTIME),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environ,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_process_takes_up_what_others_begin_with():
    assert (
        ran(
            "print(time.tzname[0]); os.environ.update(TZ='Asia/Tokyo', PYTHONPATH='/a:/b', "
            "PYTHONPYCACHEPREFIX='/c');"
            "del os.environ['PYTHONDONTWRITEBYTECODE'];"
            "module.take_up(os.environ); print(time.tzname[0], sys.path[1:3], "
            "sys.dont_write_bytecode, sys.pycache_prefix)",
            TZ="UTC",
        )
        == "UTC\nJST ['/a', '/b'] False /c"
    )


def test_the_locale_is_that_of_the_environment():
    code = (
        "import locale; os.environ.update({}); module.take_up(os.environ); "
        "print(locale.setlocale(locale.LC_CTYPE), locale.setlocale(locale.LC_TIME))"
    )
    assert ran(code.format({"LANG": "C.UTF-8"})) == "C.UTF-8 C"
    assert ran(code.format({"LC_ALL": "no_SUCH.UTF-8"})) == "C C"


def test_all_output_goes_to_the_journal(tmp_path):
    with socket.socket(socket.AF_UNIX) as journal:
        journal.bind(str(tmp_path / "stdout"))
        journal.listen()
        journal.settimeout(20)
        printed = ran(
            f"module.JOURNAL = {str(tmp_path / 'stdout')!r}; module.open_journal('pyweb-shop');"
            "print('print'); sys.stdout.flush(); print('error', file=sys.stderr, flush=True); "
            "os.system('echo child; echo child-error >&2');"
            "status = os.fstat(1); assert os.environ['JOURNAL_STREAM'] == "
            "f'{status.st_dev}:{status.st_ino}'"
        )
        stream, _address = journal.accept()
        with stream, stream.makefile() as file:
            lines = file.read().splitlines()
    assert printed == ""
    assert lines == [
        "pyweb-shop",
        "",
        "6",
        "1",
        "0",
        "0",
        "0",
        "print",
        "error",
        "child",
        "child-error",
    ]


def test_without_a_journal_output_stays_where_it_is(tmp_path):
    assert (
        ran(
            f"module.JOURNAL = {str(tmp_path / 'none')!r}; module.open_journal('pyweb-shop'); "
            "print('here')"
        )
        == "here"
    )


SCRIPT = """
import sys
import time
sys.path[:0] = [{runtime!r}, {here!r}]
import pyweb_mod_wsgi
pyweb_mod_wsgi.PAUSE = 0
pyweb_mod_wsgi.JOURNAL = "/none"
pyweb_mod_wsgi.serve({{"PYWEB_SITE": "shop", "PYWEB_LINK": "embedded", "PYWEB_SILENCE": "9", "PYWEB_APPLICATION": "shop:application"}}, [], 1)
print("loaded")
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "raise RuntimeError('no database')",
            ["RuntimeError: no database", "pyweb: the site shop cannot be loaded by process "],
        ),
        (
            "import sys; sys.exit(0)",
            ["SystemExit: 0", "pyweb: the site shop cannot be loaded by process "],
        ),
        ("import time; time.sleep(60)", ["Timeout (0:00:01)!", 'shop.py", line 1 in <module>']),
    ],
)
def test_a_process_that_cannot_load_its_site_ends_and_says_why(tmp_path, text, words):
    (tmp_path / "shop.py").write_text(text)
    script = SCRIPT.format(runtime=str(RUNTIME), here=str(tmp_path))
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert "loaded\n" not in done.stdout
    assert all(part in done.stderr for part in words), done.stderr
    if found := re.search(r"begun (\d+\.\d\d) s after boot", done.stderr):
        assert began - 0.02 <= float(found[1]) <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_site_that_is_loaded_in_time_stays(tmp_path):
    (tmp_path / "shop.py").write_text("def application(environ, start_response): ...")
    script = (
        SCRIPT.format(runtime=str(RUNTIME), here=str(tmp_path))
        + "import time; time.sleep(1.5); print('stays')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (0, "loaded\nstays\n"), done.stderr
