# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role front_apache writes for a site."""

from __future__ import annotations

import re

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from rendering import files

SITE = {
    "name": "shop",
    "application": "shop:app",
    "source": {"package": "shop"},
    "server_names": ["shop.test"],
}


def written(site, **variables):
    return files(plan({"front": "apache", "sites": [{**SITE, **site}]}), **variables)[
        "/etc/apache2/pyweb/shop.conf"
    ]


def test_an_age_is_that_of_its_own_directory():
    text = written(
        {
            "static": [
                {"url": "/b/", "path": "b", "max_age": 60},
                {"url": "/b/c/", "path": "c"},
                {"url": "/a/b/", "path": "d"},
            ]
        }
    )
    blocks = dict(re.findall(r'<Location "(/\w/[^"]*)">(.*?)</Location>', text, re.DOTALL))
    assert {
        url: re.findall(r"Header (.*Cache-Control.*)", block) for url, block in blocks.items()
    } == {
        "/b/": ['set Cache-Control "max-age=60"'],
        "/b/c/": ["unset Cache-Control"],
        "/a/b/": [],
    }


@pytest.mark.parametrize(
    "extra, of_all, chunks",
    [
        ("", "", True),
        ("Header set X-Own 1", "Timeout 30", True),
        ("SetOutputFilter DEFLATE", "", False),
        ("", "addoutputfilterbytype DEFLATE text/csv", False),
    ],
)
def test_no_filter_gets_the_chunks_of_an_application(extra, of_all, chunks):
    site = {"back": "mod_wsgi", "link": "embedded", "extra": {"apache": extra}}
    assert ("PYWEB_CHUNKS" in written(site, front_apache_extra=of_all)) is chunks


@pytest.mark.parametrize("link", ["uwsgi", "http"])
def test_no_other_link_is_told_to_send_chunks(link):
    assert "PYWEB_CHUNKS" not in written({"back": "uwsgi", "link": link})
