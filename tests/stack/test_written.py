# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a site writes below its state directory: served where static names it, and closed to the
front elsewhere.
"""

from __future__ import annotations

import pytest

TOP = "/var/lib/pyweb/sample"
# With the mask of the site's units.
WRITE = f"""
umask 0027
mkdir -p {TOP}/public/media/new
for file in public/media/a.txt public/media/new/b.txt public/beside.txt database.sqlite3; do
    echo uploaded >{TOP}/$file
done
"""


@pytest.fixture(name="written")
def a_site_that_wrote(sample):
    if sample.run("root", "test", "-d", f"{TOP}/public/media").returncode != 0:
        pytest.skip("the scenario's site names no directory of its state")
    done = sample.run("sample", "sh", "-ec", WRITE)
    assert done.returncode == 0, done.stderr
    return sample


@pytest.mark.parametrize("path", ["a.txt", "new/b.txt"])
def test_what_a_site_writes_is_served(written, path):
    answer = written.ask(f"/media/{path}")
    assert (answer.status_code, answer.text) == (200, "uploaded\n")


@pytest.mark.parametrize("path", ["database.sqlite3", "public/beside.txt", "", "public"])
def test_the_front_reads_nothing_else_of_the_state(written, path):
    assert written.run("www-data", "test", "-r", f"{TOP}/{path}").returncode == 1
