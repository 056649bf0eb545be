# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pwd
import socket

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.pyweb.stack.plugins.module_utils._preconditions import (
    foreign_account,
    holders,
    listeners,
    taken_port,
    unreadable,
    unsupported,
)
from ansible_collections.pyweb.stack.plugins.modules import apply, release, retire

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0000000000000000 100 0 0 10 0
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0000000000000000 100 0 0 10 0
   2: 0100007F:0050 0100007F:8A2C 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0000000000000000 100 0 0 10 0
"""


@pytest.mark.parametrize(
    ("port", "inodes"), [(80, {"111"}), (443, {"222"}), (8080, set()), (0x8A2C, set())]
)
def test_only_what_listens_on_the_port_counts(port, inodes):
    assert listeners([TABLE], port) == inodes


@pytest.fixture(name="listener")
def a_listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_listener_is_found_with_its_process(listener):
    found = holders({str(os.fstat(listener.fileno()).st_ino)})
    assert os.getpid() in found


def test_a_port_that_another_has_is_named_with_its_holder(listener):
    port = listener.getsockname()[1]
    words = str(taken_port(port, "no-such-unit.service"))
    assert f"port {port} is taken by" in words
    assert f"process {os.getpid()}" in words
    assert "no-such-unit.service needs it; to free it: " in words


def test_a_free_port_is_free(listener):
    port = listener.getsockname()[1]
    listener.close()
    assert taken_port(port, "no-such-unit.service") is None


def test_an_account_of_another_purpose_is_named():
    me = pwd.getpwuid(os.getuid())
    assert f"the account {me.pw_name} exists" in foreign_account(me.pw_name, "/var/lib/pyweb/site")
    assert foreign_account(me.pw_name, me.pw_dir) is None
    assert foreign_account("no-such-account", "/var/lib/pyweb/site") is None


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [(apply, {"name": "app"}), (release, {"sites": []}), (retire, {"sets": []})],
)
def test_an_account_that_is_not_root_is_told_the_remedy(
    monkeypatch, capsys, module, arguments, check
):
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["failed"]
    assert "the account on the host is nobody; connect as root, or add --become" in answer["msg"]


def test_a_directory_that_the_front_cannot_serve_is_named(tmp_path):
    account = pwd.getpwuid(os.geteuid()).pw_name
    assert unreadable(str(tmp_path), account) is None
    assert "is no directory on this host; make it" in unreadable(str(tmp_path / "none"), account)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as another account")
def test_a_directory_that_is_closed_to_the_front_is_named(tmp_path):
    tmp_path.chmod(0o700)
    assert "cannot be read by nobody, the account of the front" in unreadable(
        str(tmp_path), "nobody"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n', None),
        ('VERSION_ID="13"\nID=debian\n', None),
        (
            'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nVERSION_ID="11"\nID=debian\n',
            "runs Debian GNU/Linux 11 (bullseye), and the collection knows Debian 12 and 13",
        ),
        # Of testing, which has no number.
        ('PRETTY_NAME="Debian GNU/Linux forky/sid"\nID=debian\n', "Debian GNU/Linux forky/sid,"),
        ('PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n', "Ubuntu 24.04 LTS,"),
        ("ID=debian\nVERSION_ID=12\n", None),
        (None, "an unknown system"),
    ],
)
def test_only_releases_that_the_roles_know_are_changed(tmp_path, text, words):
    path = tmp_path / "os-release"
    if text is not None:
        path.write_text(text)
    found = unsupported(str(path))
    assert found is None if words is None else words in found
