# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sites that go, and all that goes with them; in the end the host is as it was before the
collection came.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLE = str(Path(__file__).resolve().parents[2] / "roles" / "app" / "files" / "sample")
LISTING = (Path(__file__).parent / "listing.sh").read_text()


def a_site(name: str, **values) -> dict:
    return {
        "name": name,
        "application": "sample:application",
        "source": {"path": SAMPLE},
        "server_names": [f"{name}.test"],
        **values,
    }


ONE, TWO = a_site("one"), a_site("two")


def traces(host, name: str) -> str:
    """What of a site is left on the host."""
    return host.shell(
        f"ls -d /srv/www/{name} /etc/pyweb/{name} /var/cache/pyweb/{name} /run/pyweb/{name} "
        f"/var/lib/pyweb/{name} 2>/dev/null;"
        f"getent passwd {name}; systemctl list-unit-files --no-legend 'pyweb-{name}-*'; ls "
        f"/etc/nginx/pyweb/{name}.conf /etc/apache2/pyweb/{name}.conf 2>/dev/null"
    )


@pytest.fixture(autouse=True)
def both_sites(host):
    host.play({"sites": [ONE, TWO]})
    assert "two" in traces(host, "two")


def test_an_absent_site_goes_with_all_that_it_owned(host):
    run = host.play({"sites": [ONE, {"name": "two", "state": "absent"}]}, "--diff")
    assert "accounts: two" in run.words
    assert traces(host, "two") == ""
    assert [host.ask(name).status_code for name in ("one.test", "two.test")] == [200, 421]
    assert host.play({"sites": [ONE, {"name": "two", "state": "absent"}]}).changed == 0


def test_a_site_that_is_no_longer_named_goes_too_unless_nothing_shall_be_pruned(host):
    host.play({"sites": [ONE], "prune": False})
    assert "pyweb-two-uwsgi-uwsgi-unix.service enabled" in " ".join(traces(host, "two").split())
    assert host.ask("two.test").status_code == 421
    assert host.play({"sites": [ONE], "prune": False}).changed == 0
    host.play({"sites": [ONE, {"name": "two", "state": "absent"}], "prune": False})
    assert traces(host, "two") == ""
    host.play({"sites": [ONE, TWO]})
    host.play({"sites": [ONE]})
    assert traces(host, "two") == ""


def test_data_stays_for_root_alone_and_returns_to_its_site(host):
    host.shell("echo precious > /var/lib/pyweb/two/data && chown two:two /var/lib/pyweb/two/data")
    host.play({"sites": [ONE]})
    assert (
        host.shell("stat -c '%a %U' /var/lib/pyweb/two; stat -c %U /var/lib/pyweb/two/data")
        == "700 root\nroot\n"
    )
    host.play({"sites": [ONE, TWO]})
    assert (
        host.shell("stat -c '%a %U' /var/lib/pyweb/two; stat -c %U /var/lib/pyweb/two/data")
        == "750 two\ntwo\n"
    )
    host.play({"sites": [ONE], "remove_data": True})
    assert traces(host, "two") == ""


def test_check_mode_names_what_would_go_and_removes_nothing(host):
    before = host.shell(LISTING)
    for values, playbook in (
        ({"sites": [ONE]}, "site.yml"),
        ({"sites": [ONE, TWO], "front": "apache", "back": "flup"}, "site.yml"),
        ({}, "playbooks/remove.yml"),
    ):
        run = host.play(values, "--check", "--diff", playbook=playbook)
        assert run.changed > 0
        assert "/etc/systemd/system/pyweb-two-uwsgi-uwsgi-unix.service" in run.words
        assert host.shell(LISTING) == before


def test_at_last_the_host_is_as_before(host):
    """Fronts and backs have come and gone meanwhile."""
    host.play({"sites": [ONE, {**TWO, "back": "mod_wsgi"}], "front": "apache"})
    host.play({"sites": [ONE, {**TWO, "back": "flup"}], "front": "lighttpd"})
    host.play({"remove_data": True, "remove_packages": True}, playbook="playbooks/remove.yml")
    before, after = host.shell("cat /root/listing").splitlines(), host.shell(LISTING).splitlines()
    assert [f"- {line}" for line in before if line not in after] + [
        f"+ {line}" for line in after if line not in before
    ] == []
    assert (
        host.play(
            {"remove_data": True, "remove_packages": True}, playbook="playbooks/remove.yml"
        ).changed
        == 0
    )
