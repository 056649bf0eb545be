# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong changes nothing: after each fault every site answers as before, every file is as
before, and the next good run repairs.
"""

from __future__ import annotations

import copy
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from load import Load
from traits import TRAITS

SAMPLE = str(Path(__file__).resolve().parents[2] / "roles" / "app" / "files" / "sample")
NAMES = ("one", "two", "three")
FILES = (
    "find /etc/nginx /etc/apache2 /etc/lighttpd /etc/pyweb /etc/systemd/system /etc/sysusers.d "
    "/etc/tmpfiles.d /srv/www/*/current "
    "-not -type d -printf '%p %m %u %g %l\\n' -exec md5sum {} + 2>/dev/null | sort"
)


def sites() -> list[dict]:
    """A site of each back; the scenario begins with them. With front apache the third runs inside
    it.
    """
    site = {"application": "sample:application", "source": {"path": SAMPLE}}
    return [
        {**site, "name": "one", "server_names": ["one.test"]},
        {**site, "name": "two", "server_names": ["two.test"], "back": "flup"},
        {**site, "name": "three", "server_names": ["three.test"], "back": "mod_wsgi"},
    ]


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
    assert [host.ask(f"{name}.test").json()["site"] for name in NAMES] == list(NAMES)
    assert host.shell("find /etc /srv -name '.pyweb-*'") == ""
    assert host.shell("ls /var/lib/pyweb/.changes/*.journal 2>/dev/null") == ""


def test_what_the_servers_parser_refuses(host):
    run = host.play(
        {"sites": with_second(extra={host.front: TRAITS[host.front].unknown})}, good=False
    )
    assert "refuses the new files; nothing was changed" in run.words
    assert TRAITS[host.front].file_of("two") in run.words
    assert TRAITS[host.front].unknown.split()[0] in run.words


def changed_site(name: str, **values) -> list[dict]:
    """The sites, one of them changed; with another link of mod_wsgi, where that is named."""
    return [{**site, **values} if site["name"] == name else site for site in sites()]


# Every back, each on one front.
LOADED = {
    "apache": [("three", {}), ("three", {"link": "http"})],
    "nginx": [("one", {}), ("one", {"link": "fastcgi"})],
    "lighttpd": [("two", {"link": "fastcgi"}), ("two", {"back": "gunicorn"})],
}


@pytest.mark.parametrize(
    ("front", "name", "more"), [(front, *rest) for front, which in LOADED.items() for rest in which]
)
def test_a_release_that_cannot_be_loaded_is_undone_under_load_and_a_good_one_comes_up(
    host, tmp_path, front, name, more
):
    """No request is lost, and none sees another release or other variables."""
    if host.front != front:
        pytest.skip(f"it is a test of front {front}")
    if more:
        host.play({"sites": changed_site(name, **more)})
    before = host.ask(f"{name}.test").json()["release"]
    wrong = application(tmp_path, "import no_such_module\n")
    with ExitStack() as stack:
        loads = [
            stack.enter_context(
                Load(host.address, f"{each}.test", keeping=1, opening=1, pause=0.05)
            )
            for each in NAMES
        ]
        run = host.play(
            {"sites": changed_site(name, **wrong, **more, environment={"NEW": "1"})}, good=False
        )
        assert "ModuleNotFoundError: No module named 'no_such_module'" in run.words, run.words
        if (front, name, more) == ("apache", "three", {}):
            # Inside the front nothing is tried beside it.
            assert "Every file is as it was before" in run.words
            assert "What answered before answers again" in run.words
        else:
            assert "Tried beside what serves, and refused; nothing was changed" in run.words
        assert "unhealthy before the run" not in run.words
        answer = host.ask(f"{name}.test").json()
        assert (answer["site"], answer["release"]) == (name, before)
        host.play({"sites": changed_site(name, **more, environment={"NEW": "2"})})
    for load in loads:
        print(load)
        assert not load.failed
    variables = host.shell(f"cat /etc/pyweb/{name}/*.environment")
    assert 'NEW="2"' in variables and 'NEW="1"' not in variables
    host.play()


def test_a_release_that_cannot_be_built_changes_no_variable(host):
    """What the site runs with after its next start is the old code with the old variables."""
    if host.front == "nginx":
        pytest.skip("no front has a part in it; those of the others run Debian 12 and 13")
    state = host.shell(FILES)
    broken = {
        "requirements": ["no-such-project-of-anybody==1"],
        "environment": {"NEW": "1"},
        "secrets": {"KEY": "new"},
    }
    run = host.play({"sites": [{**site, **broken} for site in sites()]}, good=False)
    assert "no-such-project-of-anybody" in run.words
    assert host.shell(FILES) == state
    assert "NEW=" not in host.shell("cat /etc/pyweb/*/*environment /etc/pyweb/*/*secrets")
    host.shell("systemctl restart 'pyweb-*.service'")
    run = host.play(
        {
            "sites": [
                {**site, "python": "python3.99", "environment": {"NEW": "1"}} for site in sites()
            ]
        },
        good=False,
    )
    assert "'python3.99' does not run on this host" in run.words
    assert host.shell(FILES) == state


SLOW = """
import time
time.sleep(7)
first = [True]
def application(environ, start_response):
    if first and environ["PATH_INFO"] != "/ready":
        time.sleep(6)
        first.clear()
    start_response("200 OK" if environ["PATH_INFO"] == "/ready" else "500 As it should be", [("Content-Type", "application/json")])
    return [b'{"site": "%s"}' % environ["HTTP_HOST"].partition(".")[0].encode()]
"""


def test_a_site_that_starts_slowly_and_answers_500_at_its_mount(host, tmp_path):
    """Both are told in the message, with the key that says that it is well all the same; with it
    the site comes up.
    """
    if host.front != "nginx":
        pytest.skip("it is a test of front nginx")
    slow = application(tmp_path, SLOW)
    first, *others = sites()
    run = host.play({"sites": changed_site("three", **slow, health={"timeout": 3})}, good=False)
    assert (
        "no whole answer within" in run.words
        and "sites[three].health: {timeout: SECONDS}" in run.words
    )
    run = host.play({"sites": changed_site("three", **slow)}, good=False)
    assert (
        "status 500 As it should be" in run.words
        and "sites[three].health: {path: /..., status: [...]}" in run.words
    )
    host.play(
        {"sites": [first, *({**site, **slow, "health": {"path": "/ready"}} for site in others)]}
    )
    assert [host.ask(f"{name}.test").status_code for name in NAMES] == [200, 500, 500]
    host.play({"sites": changed_site("three", **slow, health={"status": [500]})})
    host.play()


def test_a_disk_that_is_full_while_a_release_is_built(host):
    """A small file system takes the site's releases so far, and not another environment."""
    if host.front == "apache":
        pytest.skip("no front has a part in it; those of the others run Debian 12 and 13")
    state = host.shell(FILES)
    folder = "/srv/www/two/releases"
    host.shell(
        f"cp -a {folder} /root/kept && mount -t tmpfs -o mode=755,size=$(du -sk {folder} | "
        "cut -f1)k"
        f" tmpfs {folder} && cp -a /root/kept/. {folder}"
    )
    try:
        changed = with_second(requirements=["httpbin"], environment={"NEW": "1"})
        run = host.play({"sites": changed}, good=False)
        assert "No space left on device" in run.words
        assert host.shell(f"diff -r --no-dereference /root/kept {folder}") == ""
        assert host.shell(FILES) == state
        host.shell("systemctl restart 'pyweb-two*.service'")
        assert host.ask("two.test").json()["site"] == "two"
    finally:
        host.shell(
            f"umount --lazy {folder}; rm -r /root/kept; systemctl restart 'pyweb-two*.service'"
        )


def test_a_full_disk(host):
    """A small file system below the front's own directory takes the first new file and not the
    second.
    """
    folder = f"{TRAITS[host.front].directory}/pyweb"
    host.shell(
        f"mkdir /root/kept && cp -a {folder}/. /root/kept && mount -t tmpfs -o size=64k tmpfs "
        f"{folder} && cp -a /root/kept/. {folder}"
    )
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


def served(host, names) -> list[int]:
    """What the sites answer. A front that was told to reload just when the run was killed may close
    a connection of that moment: nobody holds it back any more.
    """
    for _try in range(5):
        try:
            return [host.ask(name).status_code for name in names]
        except requests.ConnectionError:
            time.sleep(1)
    return []


@pytest.mark.parametrize("set_name", ["back_flup", "front"])
def test_a_run_that_is_killed(host, set_name):
    """SIGKILL of the module as soon as its journal is there; then the next run undoes what was
    begun and does it all.
    """
    name = f"front_{host.front}" if set_name == "front" else set_name
    # The module is the process that has the lock (proc_locks(5)).
    kill = (
        "kill -9 $(awk -v inode=$(stat -c %i /run/pyweb.lock) "
        '\'$2 == "FLOCK" && $6 ~ ":" inode "$" { print $5 }\' /proc/locks)'
    )
    watch = (
        f"for i in $(seq 20000); do [ -e /var/lib/pyweb/.changes/{name}.journal ] && {{ "
        f"{kill}; exit; }}; sleep 0.005; done; exit 1"
    )
    killer = subprocess.Popen(["docker", "exec", host.container, "sh", "-c", watch])
    changed = with_second(processes=1, max_body_size=2 * 1024 * 1024)
    run = host.play({"sites": changed}, good=False)
    assert killer.wait(120) == 0, run.words
    assert (
        host.shell(f"ls /var/lib/pyweb/.changes/{name}.journal 2>&1")
        == f"/var/lib/pyweb/.changes/{name}.journal\n"
    )
    assert served(host, ("one.test", "two.test")) == [200, 200]
    again = host.play({"sites": changed})
    assert again.changed > 0
    assert host.play({"sites": changed}).changed == 0
    host.play()


def test_a_unit_that_was_stopped_and_a_file_that_was_changed(host):
    """Drift is shown and mended."""
    unit = TRAITS[host.front].unit
    host.shell(
        f"systemctl disable --now {unit}; echo '# mine' >> $(ls /etc/pyweb/one/*.environment); rm "
        f"/etc/{unit}/pyweb/two.conf"
    )
    shown = host.play(None, "--check", "--diff").words
    assert "-# mine" in shown
    assert (
        f"{unit}.service" in shown
        and "-inactive, disabled" in shown
        and "+active, enabled" in shown
    )
    assert host.shell(f"systemctl is-active {unit}") == "inactive\n", "--check changes nothing"
    assert host.play().changed > 0
    assert_unchanged(host.play())


def assert_unchanged(run) -> None:
    """One call has found the host as it was left, and no role was gone into."""
    assert run.changed == 0
    assert "pyweb.stack.app" not in run.words


# Each on one front.
LOSSES = {
    "apache": ["userdel --force one", "chmod 0644 /etc/pyweb/one/*.secrets"],
    "nginx": ["rm --recursive /srv/www/two/releases"],
    "lighttpd": [
        "rm --recursive /var/cache/pyweb/two",
        "systemctl stop pyweb-two-flup-scgi-unix.socket",
    ],
}


@pytest.mark.parametrize(
    ("front", "loss"), [(front, loss) for front, losses in LOSSES.items() for loss in losses]
)
def test_what_somebody_took_away_is_there_again(host, front, loss):
    if host.front != front:
        pytest.skip(f"it is a test of front {front}")
    host.shell(loss)
    assert host.play().changed > 0
    assert_unchanged(host.play())
    assert host.ask("one.test").status_code == host.ask("two.test").status_code == 200


def test_a_port_that_another_program_has(host):
    host.shell(
        f"systemctl stop {TRAITS[host.front].unit}; systemd-run --unit=intruder python3 -m http.server "
        "80; sleep 2"
    )
    try:
        run = host.play(good=False)
        assert "port 80 is taken by python3" in run.words
        assert "systemctl disable --now intruder.service" in run.words
    finally:
        host.shell("systemctl stop intruder")
    assert host.play().changed > 0


def test_a_file_of_others_that_breaks_the_whole_is_named_and_stays(host):
    foreign, unknown = TRAITS[host.front].foreign, TRAITS[host.front].unknown
    if foreign is None:
        pytest.skip("its main file reads no files of others")
    host.shell(f"echo '{unknown}' > {foreign}")
    try:
        assert foreign in host.play({"sites": with_second(max_body_size=4096)}, good=False).words
        assert host.shell(f"cat {foreign}") == f"{unknown}\n"
    finally:
        host.shell(f"rm {foreign}")
