# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site whose front asks for a name and a password, by `extra`, on every link of every front."""

from __future__ import annotations

import pytest
from deviations import find, load

ROWS = load()
ALICE = {"AUTH_TYPE": "Basic", "REMOTE_USER": "alice"}
LIES = {
    "Remote-User": "root",
    "Pywebfront": "nginx Basic root",
    "Auth-Type": "Negotiate",
}


@pytest.mark.parametrize("auth", [None, ("alice", "wrong"), ("root", "wonderland")])
def test_only_who_knows_the_password_reaches_the_application(authenticated, auth):
    assert authenticated.ask(auth=auth).status_code == 401


@pytest.mark.parametrize("headers", [{}, LIES])
def test_the_application_gets_the_name_that_the_front_knows(authenticated, headers):
    known = find(ROWS, "trust: REMOTE_USER", authenticated)
    assert authenticated.ask(headers=headers).json() == ({} if known else ALICE)
