# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong changes nothing: after each fault every site answers as before, every file is as before, and the next good run repairs."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path

import pytest

SAMPLE = str(Path(__file__).resolve().parents[2] / "roles" / "app" / "files" / "sample")
# What each front's parser does not know.
NONSENSE = {"nginx": "no_such_directive on;", "apache": "NoSuchDirective On", "lighttpd": "no.such-option = "}
UNITS = {"nginx": "nginx", "apache": "apache2", "lighttpd": "lighttpd"}
FILES = (
    "find /etc/nginx /etc/apache2 /etc/lighttpd /etc/pyweb /etc/systemd/system /etc/sysusers.d /etc/tmpfiles.d /srv/www/*/current "
    "-not -type d -printf '%p %m %u %g %l ' -exec md5sum {} + 2>/dev/null | sort"
)


def sites() -> list[dict]:
    """Two sites; the scenario begins with them."""
    site = {"application": "sample:application", "source": {"path": SAMPLE}}
    return [{**site, "name": "one", "server_names": ["one.test"]}, {**site, "name": "two", "server_names": ["two.test"], "back": "flup"}]


def with_second(**values) -> list[dict]:
    """The sites, the second one changed."""
    changed = copy.deepcopy(sites())
    changed[1].update(values)
    return changed


def application(tmp_path: Path, text: str) -> dict:
    (tmp_path / "wrong.py").write_text(text)
    return {"application": "wrong:application", "source": {"path": str(tmp_path)}}


@pytest.fixture(name="host")
def the_host_unharmed(host):
    """Whatever the test did to it has changed nothing, and the next good run goes through."""
    before = host.shell(FILES)
    assert before.count("\n") > 20
    yield host
    assert host.shell(FILES) == before
    assert [host.ask(name).json()["site"] for name in ("one.test", "two.test")] == ["one", "two"]
    assert host.shell("find /etc /srv -name '.pyweb-*'") == ""
    assert host.shell("ls /var/lib/pyweb/.changes/*.journal 2>/dev/null") == ""


def test_what_the_servers_parser_refuses(host):
    run = host.play({"sites": with_second(extra={host.front: NONSENSE[host.front]})}, good=False)
    assert "refuses the new files; nothing was changed" in run.words
    assert f"/etc/{UNITS[host.front]}/pyweb/two.conf" in run.words
    assert "no_such_directive" in run.words or "NoSuchDirective" in run.words or "no.such-option" in run.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_module\n", "no_such_module"),
        ("def application(environ, start_response):\n    raise RuntimeError('at every request')\n", "status 500"),
    ],
)
def test_an_application_that_does_not_work(host, tmp_path, text, words):
    run = host.play({"sites": with_second(**application(tmp_path, text))}, good=False)
    assert words in run.words


def test_a_full_disk(host):
    """A small file system below the front's own directory takes the first new file and not the second."""
    folder = f"/etc/{UNITS[host.front]}/pyweb"
    host.shell(f"mkdir /root/kept && cp -a {folder}/. /root/kept && mount -t tmpfs -o size=64k tmpfs {folder} && cp -a /root/kept/. {folder}")
    try:
        large = "# " + "x" * 100 + "\n"
        changed = with_second(extra={host.front: large * 900})
        changed[0]["extra"] = {host.front: large}
        run = host.play({"sites": changed}, good=False)
        assert "No space left on device" in run.words
        assert "Every file is as it was before" in run.words
        assert host.shell(f"diff -r /root/kept {folder}") == ""
    finally:
        host.shell(f"umount {folder}; rm -r /root/kept")


@pytest.mark.parametrize("set_name", ["back_flup", "front"])
def test_a_run_that_is_killed(host, set_name):
    """SIGKILL of the module as soon as its journal is there; then the next run undoes what was begun and does it all."""
    name = f"front_{host.front}" if set_name == "front" else set_name
    # The module is the process that has the lock.
    kill = "for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null | grep -q pyweb.lock && kill -9 ${p#/proc/}; done"
    watch = f"for i in $(seq 20000); do [ -e /var/lib/pyweb/.changes/{name}.journal ] && {{ {kill}; exit 0; }}; sleep 0.005; done; exit 1"
    killer = subprocess.Popen(["docker", "exec", host.container, "sh", "-c", watch])
    changed = with_second(processes=1, max_body_size=2 * 1024 * 1024)
    run = host.play({"sites": changed}, good=False)
    assert killer.wait(120) == 0, run.words
    assert host.shell(f"ls /var/lib/pyweb/.changes/{name}.journal 2>&1") == f"/var/lib/pyweb/.changes/{name}.journal\n"
    assert [host.ask(site).status_code for site in ("one.test", "two.test")] == [200, 200]
    again = host.play({"sites": changed})
    assert again.changed > 0
    assert host.play({"sites": changed}).changed == 0
    host.play()


def test_a_unit_that_was_stopped_and_a_file_that_was_changed(host):
    """Drift is shown and mended."""
    unit = UNITS[host.front]
    host.shell(f"systemctl disable --now {unit}; echo '# mine' >> /etc/pyweb/one/environment; rm /etc/{unit}/pyweb/two.conf")
    shown = host.play(None, "--check", "--diff").words
    assert "-# mine" in shown
    assert f"{unit}.service" in shown and "-inactive, disabled" in shown and "+active, enabled" in shown
    assert host.shell(f"systemctl is-active {unit}") == "inactive\n", "--check changes nothing"
    assert host.play().changed > 0
    assert host.play().changed == 0


def test_a_port_that_another_program_has(host):
    host.shell(f"systemctl stop {UNITS[host.front]}; systemd-run --unit=intruder python3 -m http.server 80; sleep 2")
    try:
        run = host.play(good=False)
        assert "port 80 is taken by python3" in run.words
        assert "systemctl disable --now intruder.service" in run.words
    finally:
        host.shell("systemctl stop intruder")
    assert host.play().changed > 0


def test_a_file_of_others_that_breaks_the_whole_is_named_and_stays(host):
    if host.front == "lighttpd":
        pytest.skip("its main file reads no files of others")
    foreign = {"nginx": "/etc/nginx/conf.d/foreign.conf", "apache": "/etc/apache2/conf-enabled/foreign.conf"}[host.front]
    host.shell(f"echo '{NONSENSE[host.front]}' > {foreign}")
    try:
        assert foreign in host.play({"sites": with_second(max_body_size=4096)}, good=False).words
        assert host.shell(f"cat {foreign}") == f"{NONSENSE[host.front]}\n"
    finally:
        host.shell(f"rm {foreign}")
