# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hostile site beside a good one, for every back: what it tries, and the little that it reaches,
with the reason.

The tests go on from each other: the hostile sites run, go with their traps, come again, and go for
good.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

HOSTILE = Path(__file__).resolve().parents[1] / "hostile"
STACKS = {"nginx": ("uwsgi", "flup"), "apache": ("embedded", "http")}

# What no option of a unit separates; the two sites would need a network of their own each.
NETWORK = {
    "connect to another site's abstract socket": "abstract sockets belong to the host's network",
    "connect to another site's own port": "ports of the loopback interface belong to the "
    "host's network",
}
TCP = {
    "connect to another site's "
    "endpoint": "every account of the host may connect to a port; use transport unix"
}
APACHE = "sites inside the front are processes of one Apache"
EMBEDDED = dict.fromkeys(
    (
        "hold what Apache has open: listening sockets",
        "hold what Apache has open: files and pipes",
        "write the memory that Apache shares: its scoreboard",
    ),
    APACHE,
)
# Among sites that are inside Apache both.
BOTH_EMBEDDED = {
    **EMBEDDED,
    **dict.fromkeys(
        (
            "find another site's file in /tmp",
            "find another site's file in /dev/shm",
            "find another site's System V shared memory",
            "find another site's System V message queue",
            "take another site's key of System V semaphores, so that it cannot have it",
            "find another site's POSIX message queue",
        ),
        APACHE,
    ),
}


def a_site(kind: str, stack: str, **values) -> dict:
    """A site of one of the stacks; good ones can be connected to as far as the stack goes."""
    back = {"embedded": "mod_wsgi", "http": "mod_wsgi"}.get(stack, stack)
    return {
        "name": f"{kind}-{stack}",
        "server_names": [f"{kind}-{stack}.test"],
        "application": "neighbours:application",
        "source": {"path": str(HOSTILE / "neighbours")},
        "back": back,
        **({"link": stack} if back == "mod_wsgi" else {}),
        **({"transport": "tcp"} if (kind, stack) == ("good", "flup") else {}),
        "processes": 1,
        "secrets": {"TOKEN": "hush"},
        **(
            {}
            if stack == "embedded"
            else {"memory_max": "1G", "cpu_quota": "150%", "tasks_max": 300}
        ),
        **values,
    }


def of_kind(host, kind: str) -> list[dict]:
    return [a_site(kind, stack) for stack in STACKS[host.front]]


def ask(host, name: str, path: str, **query):
    answer = host.ask(f"{name}.test", f"{path}?{urlencode(query)}")
    assert answer.status_code == 200, (
        name,
        path,
        answer.text,
        host.shell("journalctl -n 40 --no-pager"),
    )
    return answer.json()


def endpoint(host, name: str) -> str:
    """Where a site's back listens, as its own environment says it."""
    words = host.shell(
        f'grep -rhoE \'PYWEB_ENDPOINT"?[=:] ?"?[^" ]+\' /etc/pyweb/{name} '
        f"/etc/systemd/system/pyweb-{name}-*"
    )
    return (
        words.splitlines()[0].replace('"', "").replace(": ", "=").partition("=")[2]
        if words.strip()
        else ""
    )


def uid_of(host, name: str) -> str:
    return host.shell(f"id -u {name} 2>/dev/null").strip()


@pytest.fixture(scope="module", name="planted", autouse=True)
def what_the_good_sites_have(host):
    """All sites run, a site whose build was hostile among them, and the good ones have left things
    wherever they may.
    """
    builder = a_site(
        "builder",
        STACKS[host.front][-1],
        application="builder:application",
        source={"path": str(HOSTILE / "builder")},
    )
    host.play({"sites": [*of_kind(host, "good"), *of_kind(host, "evil"), builder]})
    return {site["name"]: ask(host, site["name"], "/plant") for site in of_kind(host, "good")}


def test_what_a_hostile_site_reaches_is_known_with_its_reason(host, planted):
    seen, wrong = [], []
    for evil in STACKS[host.front]:
        for good in STACKS[host.front]:
            name = f"good-{good}"
            where = endpoint(host, name) or "/nonexistent"
            rows = ask(
                host, f"evil-{evil}", "/try", victim=name, pid=planted[name]["pid"], endpoint=where
            )
            known = {**NETWORK, **(TCP if ":" in where else {})}
            if evil == "embedded":
                known.update(BOTH_EMBEDDED if good == "embedded" else EMBEDDED)
            for row in rows:
                verdict = (
                    f"reached: {known[row['what']]}"
                    if row["reached"] and row["what"] in known
                    else "kept out"
                )
                if bool(row["reached"]) != (row["what"] in known):
                    verdict = "WRONG"
                    wrong.append(f"evil-{evil} to {name}: {row}")
                seen.append(f"evil-{evil:8} to good-{good:8} {row['what']:75} {verdict}")
    print("\n".join(seen))
    assert len(seen) > 100
    assert not wrong, "\n".join(wrong)


def test_a_hostile_build_leaves_root_nothing_to_stumble_over(host):
    name = f"builder-{STACKS[host.front][-1]}"
    release = host.shell(f"readlink -f /srv/www/{name}/current").strip()
    assert host.ask(f"{name}.test").text == "ok"
    assert (
        host.shell(
            "ls /root | grep planted; ls -d /tmp/built* /var/tmp/built* /dev/shm/built* "
            "/run/lock/built* /srv/www/built* 2>/dev/null"
        )
        == ""
    )
    assert host.shell(f"find {release} ! -uid 0 -o ! -type l -perm /6022") == ""
    assert host.shell("stat -c '%U %a' /root") == "root 700\n"
    assert host.shell(f"stat -c '%F %U' {release}/.venv/.complete") == "regular file root\n"
    units = host.shell(
        f"for p in $(pgrep -u {name}); do grep ^0:: /proc/$p/cgroup; done | grep -v pyweb-{name}"
    )
    assert units == "", units


def test_limits_are_the_slice_s(host):
    for site in [*of_kind(host, "good"), *of_kind(host, "evil")]:
        unit = "pyweb-" + site["name"].replace("-", r"\\x2d") + ".slice"
        shown = host.shell(
            f"systemctl show '{unit}' -p MemoryMax -p CPUQuotaPerSecUSec -p TasksMax".replace(
                "\\\\", "\\"
            )
        )
        if site.get("link") != "embedded":
            assert sorted(shown.split()) == [
                "CPUQuotaPerSecUSec=1.500000s",
                "MemoryMax=1073741824",
                "TasksMax=300",
            ], shown
            ours = f"/pyweb.slice/{unit}/pyweb-{site['name']}-".replace("\\\\", "\\")
            assert ours in host.shell(f"grep ^0:: /proc/$(pgrep -n -u {site['name']})/cgroup")
    shown = host.shell("systemctl show pyweb.slice -p MemoryMax -p TasksMax")
    assert "infinity" not in shown and shown.count("=") == 2, shown


def test_a_flood_of_words_ends_at_a_limit(host):
    for stack in STACKS[host.front]:
        if stack != "embedded":
            ask(host, f"evil-{stack}", "/hog", what="journal", most=90000)
            kept = int(
                host.shell(
                    f"journalctl --sync; journalctl -q -o cat -u 'pyweb-evil-{stack}-*' | grep -c "
                    "'^line '"
                )
            )
            # The journal allows more than a unit's burst where its disk has much room
            # (journald.conf(5)).
            assert kept < 90000, kept


def leftovers(host, uid: str) -> str:
    """What an account has on the host: processes, and files but for the site's own."""
    return host.shell(
        f"ps -o pid=,args= -u {uid}; find / /tmp /dev/shm /run /run/lock -xdev -uid {uid} -not "
        "-path '/proc/*' 2>/dev/null;"
        "for pid in $(pgrep -o apache2) $(pgrep -o nginx); do find /proc/$pid/root/dev/shm "
        f"/proc/$pid/root/tmp -xdev -uid {uid} 2>/dev/null; done"
    )


def test_nothing_of_a_site_outlives_it(host):
    evil = of_kind(host, "evil")
    number = {site["name"]: uid_of(host, site["name"]) for site in evil}
    for site in evil:
        ask(host, site["name"], "/plant")
        ask(host, site["name"], "/outlive")
        ask(host, site["name"], "/links")
    before = host.shell("stat -c '%U %G %a' /etc/passwd /etc/shadow /root")
    host.play({"sites": of_kind(host, "good")})
    for site in evil:
        assert leftovers(host, number[site["name"]]) == ""
        assert uid_of(host, site["name"]) == ""
        assert host.shell(f"stat -c '%U %a' /var/lib/pyweb/{site['name']}") == "root 700\n"
    assert host.shell("stat -c '%U %G %a' /etc/passwd /etc/shadow /root") == before
    assert "evil" not in host.shell("systemctl list-units --all --no-legend --plain 'pyweb*'")

    # The next sites get these numbers; the former ones come back, with what they had, under others.
    heirs = [a_site("heir", stack) for stack in STACKS[host.front]]
    host.play({"sites": [*of_kind(host, "good"), *heirs]})
    assert {uid_of(host, site["name"]) for site in heirs} <= set(number.values())
    host.play({"sites": [*of_kind(host, "good"), *heirs, *evil]})
    for site in evil:
        state = f"/var/lib/pyweb/{site['name']}"
        assert (
            host.shell(
                f"stat -c '%U %a' {state}; stat -c %U {state}/data {state}/passwd {state}/fifo"
            )
            == f"{site['name']} 750\n" + f"{site['name']}\n" * 3
        )
    for site in heirs:
        assert host.shell(f"find /var/lib/pyweb/evil-* -uid {uid_of(host, site['name'])}") == ""
    assert host.shell("stat -c '%U %G %a' /etc/passwd /etc/shadow /root") == before

    host.play({"sites": of_kind(host, "good"), "remove_data": True})
    assert host.shell("ls /var/lib/pyweb /srv/www | grep -E 'evil|heir'") == ""
    assert host.play({"sites": of_kind(host, "good"), "remove_data": True}).changed == 0
    for site in of_kind(host, "good"):
        assert host.ask(site["server_names"][0]).status_code == 200
