# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether nginx vouches for the name of a client."""

from __future__ import annotations

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._nginx_text import authenticates

FILE = "auth_basic_user_file /etc/pw;"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", False),
        (f'auth_basic "x";\n{FILE}\n', True),
        (f"auth_basic 'a; # {{ b' ; {FILE}", True),
        (f"auth_basic x;{FILE}satisfy all;", True),
        (f"# auth_basic off;\nauth_basic x; # auth_basic off;\n{FILE}", True),
        ('auth_basic "x";', False),
        (FILE, False),
        (f"# auth_basic x;\n{FILE}", False),
        (f"auth_basic off; {FILE}", False),
        (f"auth_basic x; auth_basic off; {FILE}", False),
        (f'auth_basic "$realm"; {FILE}', False),
        (f"auth_basic x; {FILE} satisfy any; allow 10.0.0.0/8; deny all;", False),
        # Only a part of the server.
        (f"location /in {{ auth_basic x; {FILE} }}", False),
        (f"location ~ x{{ auth_basic x; }} {FILE}", False),
        (f'if ($a = "}}") {{ set $b ${{c}}; }} auth_basic x; {FILE}', True),
    ],
)
def test_a_name_is_true_only_where_nginx_demands_it_of_all(text, expected):
    assert authenticates(text) is expected
