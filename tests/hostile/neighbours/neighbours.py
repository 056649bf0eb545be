# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two applications in one. /plant is a good neighbour, which leaves things wherever a program may
keep some. /try is a hostile one, which tries to reach them, and all else that is not its own.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import mmap
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs

LIBC = ctypes.CDLL(None, use_errno=True)
NAME = os.environ["PYWEB_SITE"]
STATE = f"/var/lib/pyweb/{NAME}"
KEEP = []  # what is planted stays open as long as this process lives
TRIES = []
IPC_CREAT = 0o1000
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


class Other:
    """A site to break into: its name, and where it listens."""

    def __init__(self, query: dict) -> None:
        self.name = query["victim"]
        self.endpoint = query.get("endpoint", "")
        self.pid = int(query.get("pid", "0"))
        self.key = sum(self.name.encode()) + 0x70790000
        self.abstract = f"\0pyweb-{self.name}"


def attempt(what: str):
    """A try: what it returns is what it has reached; nothing, or an error, if it was kept out."""

    def keep(function):
        TRIES.append((what, function))
        return function

    return keep


def must(status: int) -> int:
    if status < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return status


def first_readable(*patterns: str):
    """The first file of these that can be read, with its beginning."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern, recursive=True)):
            try:
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        return f"{path}: {file.read(40)!r}"
            except OSError:
                pass
    return None


def listable(path: str):
    return f"{path}: {os.listdir(path)[:5]}"


def writable(*paths: str):
    """The first of these directories in which a file can be made, or files that can be written."""
    for path in paths:
        try:
            if os.path.isdir(path):
                name = os.path.join(path, f".try-{os.getpid()}")
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                os.unlink(name)
            else:
                os.close(os.open(path, os.O_WRONLY))
            return path
        except OSError:
            pass
    return None


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def servers_of_others() -> list[int]:
    """Who has started this process, where that is not the site's own account."""
    try:
        text = open(f"/proc/{os.getppid()}/status").read()
    except OSError:
        return [os.getppid()]
    return [] if re.search(rf"^Uid:\t{os.getuid()}\t", text, re.M) else [os.getppid()]


def strangers() -> list[int]:
    """Processes of other accounts that this one can see."""
    found = []
    for process in processes():
        try:
            if os.stat(f"/proc/{process}").st_uid != os.getuid():
                found.append(process)
        except OSError:
            pass
    return found


@attempt("read another site's secrets")
def _(other):
    return first_readable(f"/etc/pyweb/{other.name}/*.secrets", f"/srv/www/{other.name}/**/secrets")


@attempt("read another site's code")
def _(other):
    return first_readable(f"/srv/www/{other.name}/**")


@attempt("read another site's state")
def _(other):
    return listable(f"/var/lib/pyweb/{other.name}")


@attempt("read another site's cache")
def _(other):
    return listable(f"/var/cache/pyweb/{other.name}")


@attempt("write where other sites' things are")
def _(other):
    folders = ("/srv/www", "/etc/pyweb", "/var/lib/pyweb", "/var/cache/pyweb", "/run/pyweb")
    return writable(*folders, *(f"{folder}/{other.name}" for folder in folders))


@attempt("change its own code, units or variables")
def _(other):
    return writable(
        f"/srv/www/{NAME}", f"/srv/www/{NAME}/releases", f"/srv/www/{NAME}/current/",
        os.path.abspath(__file__), f"/etc/pyweb/{NAME}", f"/etc/pyweb/{NAME}/secrets",
        f"/run/pyweb/{NAME}", "/etc/systemd/system",
    )  # fmt: skip


@attempt("make files in directories that all accounts share")
def _(other):
    return writable("/run/lock", "/var/spool/cron/crontabs", "/var/mail", "/run/user", "/run")


@attempt("connect to another site's endpoint")
def _(other):
    path, _, port = other.endpoint.rpartition(":")
    with socket.socket(socket.AF_INET if path else socket.AF_UNIX) as client:
        client.settimeout(3)
        client.connect((path, int(port)) if path else other.endpoint)
        if path:
            # It may be accepted and closed: only an answer, or its wait for more, counts.
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" if "http" in other.name else b"\0")
            try:
                said = client.recv(100)
            except socket.timeout:
                said = b"waits for more"
            return None if said == b"" or b" 421 " in said or b" 403 " in said else repr(said)
        return other.endpoint


@attempt("connect to mod_wsgi's sockets of another site")
def _(other):
    for path in glob.glob("/run/*/wsgi.*"):
        if os.stat(path).st_uid == os.getuid():
            continue
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                return path
        except OSError:
            pass
    return None


@attempt("see processes of other accounts")
def _(other):
    found = strangers()
    return f"{len(found)} of them" if found else None


@attempt("read the environment of another site's process")
def _(other):
    return first_readable(*(f"/proc/{process}/environ" for process in strangers()))


@attempt("signal another site's process")
def _(other):
    os.kill(other.pid, 0)
    return f"process {other.pid}"


@attempt("look into another process's memory")
def _(other):
    for process in [other.pid, *servers_of_others(), *strangers()]:
        try:
            os.close(os.open(f"/proc/{process}/mem", os.O_RDWR))
            return f"process {process}"
        except OSError:
            pass
    return None


@attempt("find another site's file in /tmp")
def _(other):
    return first_readable(f"/tmp/**/pyweb-{other.name}", f"/var/tmp/**/pyweb-{other.name}")


@attempt("find another site's file in /dev/shm")
def _(other):
    path = f"/dev/shm/pyweb-{other.name}"
    return path if os.path.lexists(path) else None


@attempt("find another site's System V shared memory")
def _(other):
    return f"segment {must(LIBC.shmget(other.key, 0, 0))}"


@attempt("find another site's System V message queue")
def _(other):
    return f"queue {must(LIBC.msgget(other.key, 0))}"


@attempt("take another site's key of System V semaphores, so that it cannot have it")
def _(other):
    LIBC.semget.restype = ctypes.c_int
    number = LIBC.semget(other.key, 1, 0)
    return f"semaphore {number}" if number >= 0 or ctypes.get_errno() == errno.EACCES else None


@attempt("find another site's POSIX message queue")
def _(other):
    status = LIBC.mq_open(f"/pyweb-{other.name}".encode(), os.O_RDONLY)
    return "it is there" if status >= 0 or ctypes.get_errno() == errno.EACCES else None


@attempt("connect to another site's abstract socket")
def _(other):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(other.abstract)
        return repr(other.abstract)


@attempt("connect to another site's own port")
def _(other):
    with socket.create_connection(("127.0.0.1", own_port(other.name)), timeout=3):
        return f"port {own_port(other.name)}"


@attempt("read the journal")
def _(other):
    return first_readable("/run/log/journal/**", "/var/log/journal/**")


@attempt("read or write the logs of other programs")
def _(other):
    logs = glob.glob("/var/log/**", recursive=True)
    return writable(*logs) or first_readable(
        "/var/log/apache2/*", "/var/log/nginx/*", "/var/log/auth.log"
    )


@attempt("hold what Apache has open: listening sockets")
def _(other):
    """Sockets that other sites or the front listen on, inherited from who started this process."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            opened = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with opened:
            listening = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            address = opened.getsockname()
            if listening and not is_own(address):
                found.append(address)
    return str(found) if found else None


@attempt("hold what Apache has open: files and pipes")
def _(other):
    found = []
    if not servers_of_others():
        return None
    own = os.stat("/proc/self/fd/2").st_ino
    for name in os.listdir("/proc/self/fd"):
        try:
            target, status = os.readlink(f"/proc/self/fd/{name}"), os.fstat(int(name))
        except OSError:
            continue
        flags = int(re.search(r"flags:\s*(\d+)", open(f"/proc/self/fdinfo/{name}").read())[1], 8)
        foreign = status.st_uid != os.getuid() and flags & 3 != os.O_RDONLY
        if (
            foreign
            and target != "/dev/null"
            and status.st_ino != own
            and not target.startswith(("anon", "socket"))
        ):
            found.append(f"{name}: {target}")
    return ", ".join(found) or None


@attempt("write the memory that Apache shares: its scoreboard")
def _(other):
    """Memory that is shared and writable, and not made by this application or by a server of its
    own.
    """
    found = []
    if not servers_of_others():
        return None
    for line in open("/proc/self/maps"):
        span, rights, rest = line.split(None, 2)
        if (
            rights.startswith("rw")
            and rights[3] == "s"
            and "planted" not in rest
            and "anon_inode" not in rest
        ):
            found.append(f"{span} {rest.split(None, 2)[-1].strip()}")
    return ", ".join(found) or None


@attempt("signal the front or the server that started it")
def _(other):
    for process in {*servers_of_others(), *strangers()} - {0}:
        try:
            os.kill(process, 0)
            return f"process {process}"
        except OSError:
            pass
    return None


@attempt("gain rights by a program with the set-user-id bit")
def _(other):
    text = open("/proc/self/status").read()
    found = [
        f"{key} {value}"
        for key, value in re.findall(r"^(Cap(?:Prm|Eff|Inh|Amb)):\s*(\w+)", text, re.M)
        if int(value, 16)
    ]
    if "NoNewPrivs:\t1" not in text:
        found.append("NoNewPrivs is off")
    return ", ".join(found) or None


@attempt("become root, or another account")
def _(other):
    for call in (os.setuid, os.setgid):
        try:
            call(0)
            return call.__name__
        except OSError:
            pass
    groups = {os.getgid()}
    return f"groups {os.getgroups()}" if set(os.getgroups()) - groups else None


@attempt("make a file with the set-user-id bit")
def _(other):
    path = f"{STATE}/suid"
    with open(path, "w"):
        pass
    os.chmod(path, 0o4755)
    return path if os.stat(path).st_mode & stat.S_ISUID else None


@attempt("make namespaces of its own")
def _(other):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 else 1)
    return "unshare" if os.waitpid(pid, 0)[1] == 0 else None


@attempt("ask systemd to run something outside its unit")
def _(other):
    done = subprocess.run(
        ["systemd-run", "--quiet", "true"],
        capture_output=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return "systemd-run" if done.returncode == 0 else None


@attempt("leave its control group")
def _(other):
    return writable(*glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:200])


@attempt("see devices of the host")
def _(other):
    found = [path for path in glob.glob("/dev/*") if stat.S_ISBLK(os.stat(path).st_mode)]
    return ", ".join(found) or None


@attempt("use kernel interfaces that a site has no use for")
def _(other):
    for kind in (socket.AF_NETLINK, socket.AF_PACKET, 38):
        try:
            socket.socket(kind, socket.SOCK_RAW if kind != 38 else socket.SOCK_SEQPACKET).close()
            return f"socket family {kind}"
        except OSError:
            pass
    return "ptrace" if LIBC.ptrace(16, other.pid, 0, 0) == 0 else None


def own_port(name: str) -> int:
    return 18000 + sum(name.encode()) % 1000


def is_own(address) -> bool:
    if isinstance(address, tuple):
        mine = os.environ.get("PYWEB_ENDPOINT", "").rpartition(":")[2]
        return str(address[1]) in (mine, str(own_port(NAME)))
    path = address.decode(errors="replace") if isinstance(address, bytes) else address
    if path.startswith("\0"):
        return path == f"\0pyweb-{NAME}"
    try:
        # mod_wsgi's processes of a site take its requests from a socket of the site's account.
        return f"/{NAME}/" in path or os.stat(path).st_uid == os.getuid()
    except OSError:
        return False


def plant() -> dict:
    """Leave something of this site's wherever a program may."""
    me = Other({"victim": NAME})
    for path in (
        f"{STATE}/data",
        f"/tmp/pyweb-{NAME}",
        f"/var/tmp/pyweb-{NAME}",
        f"/dev/shm/pyweb-{NAME}",
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write("precious")
        os.chmod(path, 0o666)
    number = must(LIBC.shmget(me.key, 4096, IPC_CREAT | 0o666))
    must(LIBC.msgget(me.key, IPC_CREAT | 0o666))
    must(LIBC.semget(me.key, 1, IPC_CREAT | 0o666))
    must(LIBC.mq_open(f"/pyweb-{NAME}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None))
    if not KEEP:
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(me.abstract)
        abstract.listen()
        port = socket.create_server(("127.0.0.1", own_port(NAME)))
        KEEP.extend([abstract, port])
    return {"pid": os.getpid(), "shm": number, "uid": os.getuid()}


def outlive() -> dict:
    """Leave a process behind that has nothing to do with its parents."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, b"%d" % os.getpid())
            os.close(writing)
            while True:
                time.sleep(1)
        os._exit(0)
    os.wait()
    return {"pid": int(os.read(reading, 20))}


def try_all(query: dict) -> list:
    other, rows = Other(query), []
    for what, function in TRIES:
        try:
            reached = function(other)
        except (OSError, AttributeError, ValueError) as error:
            reached, why = None, f"{type(error).__name__}: {error}"
        else:
            why = ""
        rows.append({"what": what, "reached": reached, "why": why})
    return rows


def hog(query: dict) -> dict:
    """Take as much of something as there is, up to a bound."""
    what, most, taken = query["what"], int(query["most"]), 0
    kept: list = []
    try:
        while taken < most:
            if what == "processes":
                pid = os.fork()
                if pid == 0:
                    time.sleep(30)
                    os._exit(0)
                kept.append(pid)
            elif what == "threads":
                thread = threading.Thread(target=time.sleep, args=(5,), daemon=True)
                thread.start()
            elif what == "files":
                kept.append(os.open("/dev/null", os.O_RDONLY))
            elif what == "memory":
                kept.append(mmap.mmap(-1, 1 << 20))
                kept[-1].write(b"x" * (1 << 20))
            elif what == "journal":
                print(f"line {taken}", file=sys.stderr, flush=True)
            taken += 1
        error = ""
    except (OSError, RuntimeError) as problem:
        error = str(problem)
    finally:
        if what == "processes":
            for pid in kept:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
        elif what == "files":
            for handle in kept:
                os.close(handle)
    return {"taken": taken, "error": error}


def plant_links() -> dict:
    """Leave links, pipes and nests where the next run works as root."""
    made = []
    for name, target in (
        ("passwd", "/etc/passwd"),
        ("root", "/root"),
        ("up", "../../../../etc/shadow"),
    ):
        path = f"{STATE}/{name}"
        if not os.path.lexists(path):
            os.symlink(target, path)
        made.append(path)
    try:
        os.link("/etc/passwd", f"{STATE}/hard")
        made.append(f"{STATE}/hard")
    except OSError:
        pass
    if not os.path.exists(f"{STATE}/fifo"):
        os.mkfifo(f"{STATE}/fifo")
    os.makedirs(f"{STATE}/deep", exist_ok=True)
    folder = os.open(f"{STATE}/deep", os.O_RDONLY)
    for _number in range(3000):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    return {"made": made}


def application(environ, start_response):
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    does = {
        "/plant": plant,
        "/outlive": outlive,
        "/links": plant_links,
        "/try": lambda: try_all(query),
        "/hog": lambda: hog(query),
    }.get(environ["PATH_INFO"], lambda: {"pid": os.getpid()})
    body = json.dumps(does()).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
