#!/usr/bin/env python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask fronts and backs from outside of both.

ask.py fronts SITES FRONTS BACKS   every request through every front is answered 200, by each of the
backs, and by nobody else ask.py backs SITES BACKS           no back answers this host, which is no
front

SITES: the inventory's sites as JSON. FRONTS, BACKS: addresses as JSON.
"""

from __future__ import annotations

import collections
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import requests
from ansible_collections.pyweb.stack.plugins.module_utils._plan import plan
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    MISDIRECTED,
    Endpoint,
    Target,
    ask,
)
from ansible_collections.pyweb.stack.plugins.module_utils._topology import Place

REQUESTS, CLIENTS = 40, 4


def answered_by(front: str, site: dict) -> str:
    """The address of the back that answered, or what came instead."""
    headers = {"Host": site["server_names"][0], "Accept": "application/json"}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(
                f"http://{front}{site.get('mount', '').rstrip('/')}/", headers=headers, timeout=30
            )
        except requests.RequestException as error:
            return str(error)
    return (
        answer.json()["endpoint"].rpartition(":")[0]
        if answer.status_code == 200
        else f"status {answer.status_code}"
    )


def ask_fronts(sites: list[dict], fronts: list[str], backs: list[str]) -> list[str]:
    faults = []
    total: collections.Counter = collections.Counter()
    for front in fronts:
        for site in sites:
            with ThreadPoolExecutor(CLIENTS) as pool:
                counts = collections.Counter(
                    pool.map(answered_by, REQUESTS * [front], REQUESTS * [site])
                )
            total += counts
            if set(counts) != set(backs):
                faults.append(f"{site['name']} through {front}: {dict(counts)}")
    print(dict(total))
    return faults


def ask_backs(sites: list[dict], backs: list[str]) -> list[str]:
    """By the endpoints of the plan of a front that uses these backs."""
    place = Place("front", {"front": "192.0.2.1"}, {back: back for back in backs}, ("nginx",))
    targets = [
        Target(
            f"{site['name']} at {endpoint['address']}",
            site["link"],
            Endpoint(host=endpoint["host"], port=endpoint["port"]),
            site["script_name"],
        )
        for site in plan({"sites": sites}, place=place)["front_nginx_sites"]
        for endpoint in site["endpoints"]
    ]
    with ThreadPoolExecutor(len(targets)) as pool:
        outcomes = list(pool.map(lambda target: ask(target, timeout=3), targets))
    refused = collections.Counter(
        str(outcome.response.status if outcome.response else outcome.fault) for outcome in outcomes
    )
    print(dict(refused))
    return [
        f"{outcome.target.name} answers: {outcome}"
        for outcome in outcomes
        if outcome.response and outcome.response.status != MISDIRECTED
    ]


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    sys.exit(
        "\n".join({"fronts": ask_fronts, "backs": ask_backs}[what](*map(json.loads, given))) or None
    )
