# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file has the same media type behind every front."""

from __future__ import annotations

import re

import pytest
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from rendering import files
from traits import TRAITS

SITE = {
    "name": "shop",
    "application": "shop:app",
    "source": {"package": "shop"},
    "static": [{"url": "/a/", "path": "a"}],
}


def table_of(front: str) -> dict[str, str]:
    text = files(plan({"front": front, "sites": [SITE]}))[TRAITS[front].main]
    pairs = [
        (extension, found["type"])
        for found in re.finditer(TRAITS[front].media_type, text, re.MULTILINE)
        for extension in re.split("[ ,]", found["extensions"])
    ]
    assert len(dict(pairs)) == len(pairs), "an extension has two types"
    return dict(pairs)


@pytest.mark.parametrize("front", TRAITS)
def test_every_front_has_the_same_types(front):
    types = table_of(front)
    assert types == table_of("nginx")
    assert (
        types["mjs"] == "text/javascript; charset=utf-8"
        and types["wasm"] == "application/wasm"
        and types["html"] == "text/html"
    )
    assert len(types) > 120
    # HTML may say so itself, which the header would overrule.
    unsaid = {
        type_
        for type_ in types.values()
        if type_.startswith("text/") and "charset=utf-8" not in type_
    }
    assert unsaid == {"text/html"}


def test_nginx_compresses_files_by_the_whole_of_their_type():
    text = files(plan({"front": "nginx", "sites": [SITE]}))["/etc/nginx/nginx.conf"]
    compressed = re.search(r"gzip_types\n(.*?);\n", text, re.DOTALL)[1]
    assert 'text/css "text/css; charset=utf-8"' in compressed and "text/html" not in compressed
