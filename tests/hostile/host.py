# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on a host of the scenario hostile: stands in for the backs of hundreds of sites, and asks
the front for all of them.

host.py serve PLAN: listens wherever the plan's sites do, and answers in the protocol of each which
site was meant.
host.py ask PLAN: asks for every site and file by every name, and says what is not as it should be.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from traits import TRAITS


async def read_http(reader):
    await reader.readuntil(b"\r\n\r\n")
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n", bytes


async def read_uwsgi(reader):
    _first, size, _second = struct.unpack("<BHB", await reader.readexactly(4))
    await reader.readexactly(size)
    return b"HTTP/1.1 200 OK\r\n", bytes


async def read_scgi(reader):
    size = await reader.readuntil(b":")
    await reader.readexactly(int(size[:-1]) + 1)
    return b"Status: 200 OK\r\n", bytes


async def read_fastcgi(reader):
    while True:
        _version, kind, _number, size, padding = struct.unpack(
            "!BBHHBx", await reader.readexactly(8)
        )
        await reader.readexactly(size + padding)
        if kind == 5 and size == 0:
            break

    def record(kind, content):
        return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content

    return (
        b"Status: 200 OK\r\n",
        lambda answer: record(6, answer) + record(6, b"") + record(3, bytes(8)),
    )


async def serve(planned):
    """Listen in the place of every back, until it is ended."""

    def answering(site):
        async def answer(reader, writer):
            head, framed = await globals()[f"read_{site['link']}"](reader)
            body = site["name"].encode()
            writer.write(
                framed(
                    head
                    + b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
                    + body
                )
            )
            await writer.drain()
            writer.close()

        return answer

    for site in planned[f"front_{planned['front']}_sites"]:
        where = next(iter(site["endpoints"]), None)
        if not where or site["name"].startswith("own-"):
            continue
        if where["transport"] == "unix":
            Path(where["path"]).parent.mkdir(parents=True, exist_ok=True)
            await asyncio.start_unix_server(answering(site), where["path"], backlog=64)
            os.chmod(where["path"], 0o666)
        else:
            await asyncio.start_server(answering(site), where["host"], where["port"])
        for static in site["static"]:
            os.makedirs(static["path"], exist_ok=True)
            Path(static["path"], "who.txt").write_text(os.path.realpath(static["path"]))
    os.system("systemd-notify --ready")
    await asyncio.Event().wait()


def wanted(sites, host, path):
    """What of these sites has to answer: the body, and the max-age, or None for nobody."""
    names = {name for site in sites for name in site["server_names"]}
    above = [f"*.{host.split('.', dots)[dots]}" for dots in range(1, host.count(".") + 1)]
    name = next((name for name in [host, *above] if name in names), None)
    mine = [
        site
        for site in sites
        if (name in site["server_names"] if name else not site["server_names"])
    ]
    mine = [site for site in mine if (path + "/").startswith(site["script_name"] + "/")]
    if not mine:
        return None
    site = max(mine, key=lambda site: len(site["script_name"]))
    for static in sorted(site["static"], key=lambda static: -len(static["url"])):
        if path.startswith(static["url"]):
            file = Path(static["path"], path[len(static["url"]) :])
            return (file.read_text(), static["max_age"]) if file.is_file() else None
    return site["name"], None


def asked(host, path):
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    age = [
        part.strip()[8:]
        for part in (answer.getheader("Cache-Control") or "").split(",")
        if part.strip().startswith("max-age=")
    ]
    connection.close()
    return (body, int(age[0]) if age else None) if answer.status == 200 else None


def ask(planned):
    """Every site by every name, at its mount and beside it, and every static file. Returns what is
    wrong, and how many were asked.
    """
    sites = planned[f"front_{planned['front']}_sites"]
    wrong, done = [], 0
    for site in sites:
        if site["name"].startswith("own-"):
            continue
        for name in site["server_names"] or ["nobody.example"]:
            host = name.replace("*", "any")
            below = site["script_name"]
            for path in [
                f"{below}/x",
                f"{below}x" if below else "/",
                *(f"{static['url']}who.txt" for static in site["static"]),
            ]:
                expected, found = wanted(sites, host, path), asked(host, path)
                done += 1
                if found != expected:
                    wrong.append(
                        f"{site['name']} ({site['link']}): http://{host}{path}: expected "
                        f"{expected}, got {str(found)[:200]}"
                    )
    return wrong, done


def ask_environments(own):
    """The values that applications see, against those of their definitions."""
    wrong, done = [], 0
    for site in own:
        connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
        connection.request("GET", "/", headers={"Host": site["server_names"][0]})
        told = json.loads(connection.getresponse().read())
        for name, value in {**site["environment"], **site["secrets"]}.items():
            done += 1
            if told.get(name) != value:
                wrong.append(
                    f"{site['name']}: {name}: expected {value!r:.100}, got {told.get(name)!r:.100}"
                )
    return wrong, done


def try_escapes(planned):
    """The texts that would leave a site's file, each put at its end, where extra is: the parser has
    to refuse them.
    """
    front = planned["front"]
    file = Path(TRAITS[front].file_of(planned[f"front_{front}_sites"][0]["name"]))
    before, wrong = file.read_text(), []
    try:
        for text in TRAITS[front].escapes:
            file.write_text(f"{before}{text}\n")
            if (
                subprocess.run(TRAITS[front].parser, capture_output=True, check=False).returncode
                == 0
            ):
                wrong.append(f"the parser takes {text!r}")
    finally:
        file.write_text(before)
    return wrong, len(TRAITS[front].escapes)


def main():
    planned = json.loads(Path(sys.argv[2]).read_text())
    if sys.argv[1] == "serve":
        asyncio.run(serve(planned["plan"]))
    counts = {}
    faults = []
    for what, (wrong, done) in {
        "requests": ask(planned["plan"]),
        "variables": ask_environments(planned["own"]),
        "escapes": try_escapes(planned["plan"]),
    }.items():
        counts[what] = done
        faults += wrong
    print("\n".join([f"{json.dumps(counts)}, {len(faults)} wrong", *faults[:60]]))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
