# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role back_uwsgi writes for a site."""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from rendering import files

SITE = {
    "name": "shop",
    "application": "shop:app",
    "source": {"package": "shop"},
    "server_names": ["shop.test"],
}


def written(ending, **variables):
    found = files(plan({"sites": [SITE]}), **variables)
    (text,) = (text for path, text in found.items() if path.endswith(ending))
    return text.splitlines()


@pytest.mark.parametrize(
    "preload, is_lazy", [(None, True), ("false", True), (True, False), ("yes", False)]
)
def test_each_process_loads_the_application_unless_it_is_told_otherwise(preload, is_lazy):
    lines = written(".ini", **({} if preload is None else {"back_uwsgi_preload": preload}))
    assert ("lazy-apps = true" in lines) is is_lazy
    assert "need-app = true" in lines


def test_a_program_that_the_application_starts_holds_no_socket_open():
    assert {"close-on-exec = true", "close-on-exec2 = true"} <= set(written(".ini"))


def test_systemd_is_told_by_the_processes():
    """uWSGI itself is ready before its processes have loaded the application."""
    lines = written("pyweb-shop-uwsgi-uwsgi-unix.service")
    assert "NotifyAccess=all" in lines
    start = (
        "ExecStart=/usr/bin/env --unset=NOTIFY_SOCKET PYWEB_NOTIFY_SOCKET=${NOTIFY_SOCKET} "
        "/usr/bin/uwsgi"
    )
    assert any(line.startswith(start) for line in lines)


def test_the_master_holds_what_keeps_connections_open():
    """Where a worker alone had it, its death would end a response that then looks whole."""
    assert "shared-import = pyweb_uwsgi" in written(".ini")
