# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The build of a release: by the site's account, in a unit of systemd that can write nothing else,
and then given to root.
"""

from __future__ import annotations

import json
import os
import pwd
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.pyweb.stack.plugins.module_utils._catalog import BACKS
from ansible_collections.pyweb.stack.plugins.module_utils._environment_file import environment_file
from ansible_collections.pyweb.stack.plugins.module_utils._host import (
    Entry,
    give_tree,
    must,
    remove_tree,
    run,
    write,
)
from ansible_collections.pyweb.stack.plugins.module_utils._releases import (
    COMPLETE,
    lacking,
    outward_links,
)

WHEELS = Path("/usr/share/python-wheels")
SANDBOX = Path("/etc/systemd/system/pyweb-.service.d/50-sandbox.conf")
# Of the sandbox of a site that runs, what compilers and their like do not live with.
NOT_IN_BUILDS = (
    "MemoryDenyWriteExecute",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "UMask",
)
# Puts files beside the application, with a link to where they are, and compiles all of it.
FINISH = r"""
import compileall, json, os, pathlib, re, sys
root, packages = map(pathlib.Path, sys.argv[1:])
runtime = json.load(sys.stdin)
for name, content in runtime.items():
    (packages / name).unlink(missing_ok=True)
    (packages / name).write_text(content)
if not os.path.lexists(root / "site-packages"):
    (root / "site-packages").symlink_to(packages.relative_to(root))
# A file that does not compile may be a template or belong to another Python; only its import
# would be an error.
compileall.compile_dir(root, quiet=2, rx=re.compile(r"/\.venv/"))
if not all([compileall.compile_file(packages / name, quiet=1) for name in runtime]):
    raise SystemExit(1)
"""


class BuildError(Exception):
    """What went wrong, in words for the operator."""


def fault(site: dict[str, Any], version: str | None, of_system: str | None) -> str | None:
    """What keeps a site's release from being built, if anything."""
    where = f"sites[{site['name']}].python"
    others = " or ".join(name for name, back in BACKS.items() if not back.needs_system_python)
    if version is None:
        return (
            f"{where}: {site['python']!r} does not run on this host; name an interpreter that "
            "is installed"
        )
    if site["needs_system_python"] and version != of_system:
        what = (
            f"{site['python']!r} is Python {version}, but the back runs Debian's Python {of_system}"
        )
        return f"{where}: {what}; leave the key out, or choose back {others}"
    return None


def sandbox() -> list[str]:
    """The properties of the unit that a build runs in, of those that a site runs in."""
    lines = [
        line
        for line in SANDBOX.read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("#")
    ]
    return [f"--property={line}" for line in lines if line.partition("=")[0] not in NOT_IN_BUILDS]


def build(site: dict[str, Any], version: str, runtime: dict[str, str]) -> None:
    """Build one release as the site's account, in a unit with which all of its processes end, then
    give it to root.
    """
    root = Path(site["release"]["path"])
    if os.path.lexists(root):
        remove_tree(str(root))
    account = pwd.getpwnam(site["account"])
    # Its account's alone: what one site's build leaves there must not reach another's.
    cache = site["paths"]["cache"]
    root.parent.mkdir(mode=0o755, exist_ok=True)
    root.mkdir(mode=0o755)
    # systemd shows everybody the variables of a unit, but not what is in a file.
    variables = tempfile.NamedTemporaryFile(mode="w", prefix="pyweb-", encoding="utf-8")
    environment = {"PIP_CACHE_DIR": cache, **os.environ, "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
    environment.pop("PYTHONPATH", None)
    variables.write(
        environment_file(
            {
                name: value
                for name, value in environment.items()
                if name.isidentifier() and value.isprintable()
            }
        )
    )
    variables.flush()
    start = [
        "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
        f"--description=Build of site {site['name']}",
        f"--slice={site['slice'] or 'system.slice'}",
        f"--uid={account.pw_uid}", f"--gid={account.pw_gid}",
        *sandbox(), f"--property=WorkingDirectory={root}",
        f"--property=EnvironmentFile={variables.name}", f"--property=ReadWritePaths={root} "
                                                        f"-{cache}", "--property=UMask=0022", "--",
    ]  # fmt: skip
    with variables:
        build_in(root, site, version, runtime, start)


def build_in(
    root: Path, site: dict[str, Any], version: str, runtime: dict[str, str], start: list[str]
) -> None:
    """Build in a directory; start: what runs a command as the site's account."""
    account = pwd.getpwnam(site["account"])

    def must_run(argv: list[str], told: str = "") -> None:
        status, words = run([*start, *(word.replace("$", "$$") for word in argv)], told)
        if status != 0:
            command = " ".join(word for word in argv if word != FINISH)
            raise BuildError(
                f"sites[{site['name']}]: {command} failed:\n" + "\n".join(words.splitlines()[-30:])
            )

    if "archive" in site["source"]:
        with tarfile.open(site["source"]["archive"]) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(root)
    give_tree(str(root), account.pw_uid, account.pw_gid)
    environment = root / ".venv"
    must_run([site["python"], "-m", "venv", "--without-pip", str(environment)])
    packages = environment / "lib" / f"python{version}" / "site-packages"

    requirements = list(site["back_requirements"])
    if "package" in site["source"]:
        requirements.append(site["source"]["package"])
    if isinstance(site["requirements"], str):
        requirements += ["--requirement", site["requirements"]]
    else:
        requirements += site["requirements"] or []
    if requirements:
        python = str(environment / "bin" / "python")
        # pip stays outside the virtual environment: Debian's own wheel of it runs as it is (pip
        # --python).
        wheel = next(iter(sorted(WHEELS.glob("pip-*.whl"))), None)
        if wheel is None:
            raise BuildError(
                f"sites[{site['name']}]: Debian's pip is missing from {WHEELS}; install the "
                "package python3-pip-whl"
            )
        must_run(
            [
                python,
                f"{wheel}/pip",
                "--python",
                python,
                "install",
                "--no-input",
                "--disable-pip-version-check",
                "--quiet",
                *requirements,
            ]
        )

    must_run(
        [str(environment / "bin" / "python"), "-c", FINISH, str(root), str(packages)],
        told=json.dumps(runtime),
    )
    give_tree(str(root), 0, 0)
    must(["chmod", "--recursive", "go-w,ug-s", "--", str(root)])
    links = outward_links(str(root))
    if links:
        told = "".join(f"\n  {path} -> {target}" for path, target in links[:10])
        raise BuildError(
            f"sites[{site['name']}]: links lead out of the release, and a front could serve "
            f"others' files by them; put files there instead:{told}"
        )
    if environment.is_symlink():
        raise BuildError(
            f"sites[{site['name']}]: the build has put a link in the place of {environment}"
        )
    if faults := lacking(site):
        raise BuildError("\n".join(faults))
    write(str(root / COMPLETE), Entry(content=version.encode()))


def build_all(
    sites: list[dict[str, Any]], versions: dict[str, str], runtime: dict[str, str]
) -> list[str]:
    """Build releases side by side. Returns what went wrong; of a release that failed nothing is
    left.

    versions: of each interpreter. runtime: the files that are put beside every application, by
    name.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        building = [
            (site, pool.submit(build, site, versions[site["python"]], runtime)) for site in sites
        ]
    problems = []
    for site, future in building:
        try:
            future.result()
        except (BuildError, OSError, KeyError, RecursionError, tarfile.TarError) as error:
            problems.append(str(error))
            remove_tree(site["release"]["path"])
    return problems
