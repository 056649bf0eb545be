# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time limits: each is decided once, in the plan, and what dies comes back."""

from __future__ import annotations

import pytest
import rendering
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    EMBEDDED,
    FRONTS,
    combinations,
)
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place
from traits import TRAITS

SITE = {
    "name": "shop",
    "application": "shop:application",
    "source": {"path": "/src"},
    "request_timeout": 20,
}
SEVERAL = Place("one", {"one": "10.0.0.1"}, {"two": "10.0.0.2", "three": "10.0.0.3"}, ("nginx",))


def rendered(front, back, link, **more):
    planned = plan({"front": front, "back": back, "link": link, "sites": [SITE]}, **more)
    return planned, rendering.files(planned, __front_cherokee_prefix="/usr")


@pytest.mark.parametrize("front, back, link", combinations())
def test_limits_of_a_site(front, back, link):
    planned, written = rendered(front, back, link)
    text = "\n".join(written.values())
    assert link == EMBEDDED or TRAITS[front].waits in text
    served_by = f"front_{front}_embedded" if link == EMBEDDED else f"back_{back}"
    runtime = planned[f"{served_by}_sites"][0]["runtime"]
    assert runtime["PYWEB_SILENCE"] == ("23" if back == "mod_wsgi" else "20")
    # These count whole requests, however steadily they flow.
    assert "harakiri" not in text and "request-timeout" not in text
    if back == "mod_wsgi":
        # Apache answers before the process ends, and before its front gives up.
        assert "socket-timeout=22 queue-timeout=22 deadlock-timeout=22" in text
    else:
        assert "TimeoutStopSec=35" in text


def test_another_back_is_asked_soon():
    planned = plan({"front": "nginx", "back": "uwsgi", "sites": [SITE]}, place=SEVERAL)
    site = planned["front_nginx_sites"][0]
    assert (site["answer_timeout"], site["connect_timeout"], site["retry_after"]) == (25, 2, 10)


@pytest.mark.parametrize("front, back, link", combinations())
def test_services_come_back_however_often_they_die(front, back, link):
    _planned, written = rendered(front, back, link)
    drop_in = f"/etc/systemd/system/{FRONTS[front].unit}.d/"
    units = [path for path in written if path.endswith(".service") or path.startswith(drop_in)]
    assert any(FRONTS[front].unit in path for path in units)
    for path in units:
        text = written[path]
        if "cherokee-admin" not in path:
            assert "StartLimitIntervalSec=0\n" in text.partition("[Service]")[0], path
            # What Cherokee's web interface has stopped stays so.
            when = "on-failure" if "cherokee" in path else "always"
            assert f"\nRestart={when}\nRestartSec=1\n" in text, path
