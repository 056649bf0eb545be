#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: release
version_added: 0.1.0
short_description: Install releases of sites, each with its own virtual environment
description:
  - A release is one immutable version of a site's code with its own virtual environment, below C(/srv/www/<site>/releases), named by a
    digest of all that goes into it. A release that is there is left as it is.
  - It is built by the site's own account, never by root, and then given to root, so that the application cannot change its own code.
  - Several releases are built side by side.
  - It does not make a release the current one; the role of the back does, together with what starts it.
options:
  sites:
    description: The sites whose releases have to be there, as the plan finishes them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the site.
        type: str
        required: true
      account:
        description: Account that builds the release.
        type: str
        required: true
      release:
        description: Its C(id), and the C(path) where it is installed.
        type: dict
        required: true
      python:
        description: Interpreter of the virtual environment.
        type: str
        default: python3
      needs_system_python:
        description: Whether the back brings Debian's own Python, which the interpreter then has to match in its version.
        type: bool
        default: false
      source:
        description: C(path), a directory on the controller, or C(package), a requirement.
        type: dict
      requirements:
        description: A list of requirements, or the name of a requirements file inside the source.
        type: raw
      back_requirements:
        description: What the back needs in the virtual environment.
        type: list
        elements: str
        default: []
  missing:
    description: Names of the sites whose release is missing, where M(pyweb.stack.apply) has found that out already; the host is not asked again.
    type: list
    elements: str
  runtime:
    description: Set by the action plugin - files to install beside every application, by name.
    type: dict
    default: {}
  install:
    description: Set by the action plugin - builds the releases; otherwise the module only says which are missing.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says which releases would be installed.
  diff_mode:
    support: none
    description: A release is immutable; a new one shows in the result.
  idempotent:
    support: full
    description: A release that is complete is left as it is.
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Install the releases of the sites
  pyweb.stack.release:
    sites: "{{ app_sites }}"
"""

RETURN = """
missing:
  description: Sites whose release was missing and would be, or was, installed.
  type: list
  elements: str
  returned: always
"""

import os
import pwd
import shutil
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.pyweb.stack.plugins.module_utils.host import give_tree
from ansible_collections.pyweb.stack.plugins.module_utils.preconditions import not_root
from ansible_collections.pyweb.stack.plugins.module_utils.record import lock
from ansible_collections.pyweb.stack.plugins.module_utils.releases import COMPLETE, complete, outward_links, version_of

SITE = {
    "name": {"type": "str", "required": True},
    "account": {"type": "str", "required": True},
    "release": {"type": "dict", "required": True},
    "python": {"type": "str", "default": "python3"},
    "needs_system_python": {"type": "bool", "default": False},
    "source": {"type": "dict"},
    "requirements": {"type": "raw"},
    "back_requirements": {"type": "list", "elements": "str", "default": []},
}
SYSTEM_PYTHON = "/usr/bin/python3"
# Made for each site by the role app, for its account alone: what one site's build leaves there must not reach another's.
CACHE = "/var/cache/pyweb"
WHEELS = Path("/usr/share/python-wheels")


class BuildError(Exception):
    """What went wrong, in words for the operator."""


def fault(site: dict, version: str | None, of_system: str | None) -> str | None:
    """What keeps a site's release from being built, if anything."""
    where = f"sites[{site['name']}].python"
    if version is None:
        return f"{where}: {site['python']!r} does not run on this host; name an interpreter that is installed"
    if site["needs_system_python"] and version != of_system:
        return f"{where}: {site['python']!r} is Python {version}, but the back runs Debian's Python {of_system}; leave the key out, or choose back flup"
    return None


def build(site: dict, version: str, runtime: dict[str, str]) -> None:
    """Build one release as the site's account, then give it to root."""
    with tempfile.TemporaryDirectory(prefix="pyweb-") as home:
        os.chown(home, pwd.getpwnam(site["account"]).pw_uid, -1)
        build_in(home, site, version, runtime)


def build_in(home: str, site: dict, version: str, runtime: dict[str, str]) -> None:
    """Build with a home directory that is gone afterwards."""
    root = Path(site["release"]["path"])
    if root.exists():
        shutil.rmtree(root)
    account = pwd.getpwnam(site["account"])
    root.parent.mkdir(mode=0o755, exist_ok=True)
    root.mkdir(mode=0o755)

    def run(argv: list[str], must: bool = True) -> None:
        environment = {"PIP_CACHE_DIR": f"{CACHE}/{site['name']}", **os.environ, "HOME": home, "LC_ALL": "C.UTF-8"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            argv, cwd=root, env=environment, umask=0o022, user=account.pw_uid, group=account.pw_gid, extra_groups=[],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
        if must and done.returncode != 0:
            raise BuildError(f"sites[{site['name']}]: {' '.join(argv)} failed:\n" + "\n".join(done.stdout.strip().splitlines()[-30:]))

    if "archive" in site["source"]:
        with tarfile.open(site["source"]["archive"]) as tar:
            tar.extractall(root, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    give_tree(str(root), account.pw_uid, account.pw_gid)
    environment = root / ".venv"
    run([site["python"], "-m", "venv", "--without-pip", str(environment)])
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
        # pip stays outside the virtual environment: Debian's own wheel of it runs as it is (pip --python).
        wheel = next(iter(sorted(WHEELS.glob("pip-*.whl"))), None)
        if wheel is None:
            raise BuildError(f"sites[{site['name']}]: Debian's pip is missing from {WHEELS}; install the package python3-pip-whl")
        run([python, f"{wheel}/pip", "--python", python, "install", "--no-input", "--disable-pip-version-check", "--quiet", *requirements])

    for name, content in runtime.items():
        (packages / name).write_text(content)
    if not os.path.lexists(root / "site-packages"):
        (root / "site-packages").symlink_to(packages.relative_to(root))
    # A file that does not compile may be a template or belong to another Python; only its import would be an error.
    run([str(environment / "bin" / "python"), "-m", "compileall", "-q", "-x", r"/\.venv/", str(root)], must=False)
    run([str(environment / "bin" / "python"), "-m", "compileall", "-q", *(str(packages / name) for name in runtime)])
    links = outward_links(str(root))
    if links:
        told = "".join(f"\n  {path} -> {target}" for path, target in links[:10])
        raise BuildError(f"sites[{site['name']}]: links lead out of the release, and a front could serve others' files by them; put files there instead:{told}")
    give_tree(str(root), 0, 0)
    marker = root / COMPLETE
    marker.write_text(version)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sites": {"type": "list", "elements": "dict", "options": SITE, "required": True},
            "missing": {"type": "list", "elements": "str"},
            "runtime": {"type": "dict", "default": {}},
            "install": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    sites = module.params["sites"]
    if words := not_root():
        module.fail_json(msg=words)
    if module.params["install"]:
        lock()
    of_system = version_of(SYSTEM_PYTHON)
    versions = {python: version_of(python) for python in {site["python"] for site in sites}}
    faults = [words for site in sites if (words := fault(site, versions[site["python"]], of_system))]
    if faults:
        module.fail_json(msg="No release was built:\n" + "\n".join(f"* {words}" for words in faults))

    missing = [site for site in sites if not complete(site, versions[site["python"]])]
    names = [site["name"] for site in missing]
    if not module.params["install"]:
        module.exit_json(changed=bool(missing), missing=names)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        building = [(site, pool.submit(build, site, versions[site["python"]], module.params["runtime"])) for site in missing]
    problems = []
    for site, future in building:
        try:
            future.result()
        except (BuildError, OSError, KeyError, tarfile.TarError) as error:
            problems.append(str(error))
            shutil.rmtree(site["release"]["path"], ignore_errors=True)
    if problems:
        module.fail_json(msg="Releases could not be built; what served before still serves:\n" + "\n".join(problems))
    module.exit_json(changed=bool(missing), missing=names)


if __name__ == "__main__":
    main()
