# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a front answers while all backs are stopped; molecule/shared/verify.yml stops them."""

from __future__ import annotations

STATUS = {"apache": [503], "nginx": [502], "lighttpd": [503], "cherokee": [502, 503]}  # of Cherokee, 502 over http


def test_a_front_without_its_back_says_so_at_once(any_site):
    answer = any_site.ask()
    # What is embedded in the front has no unit of its own.
    assert answer.status_code in ([200] if any_site.link == "embedded" else STATUS[any_site.front])
    assert answer.elapsed.total_seconds() < 5
