#!/usr/bin/env python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what is generated: the keys of sites in the roles' argument specs and in docs/sites.md,
README.md's table from the plan, the roles' README files from their argument specs, and
docs/deviations.md from docs/deviations.yml.

tools/docs.py          write what is not up to date
tools/docs.py --check  change nothing; show what is not up to date, and fail if anything is
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / ".ansible" / "collections"), str(ROOT / "tests" / "conformance")]

from ansible_collections.pyweb.stack.plugins.module_utils._acme import ACME_KEYS, DNS_KEYS
from ansible_collections.pyweb.stack.plugins.module_utils._catalog import (
    BACKS,
    EMBEDDED,
    FRONTS,
    RELEASES,
    TRANSPORTS,
    links_between,
    transports_of,
)
from ansible_collections.pyweb.stack.plugins.module_utils._finished import INSIDE, options_of
from ansible_collections.pyweb.stack.plugins.module_utils._keys import APP, BACK, FRONT
from ansible_collections.pyweb.stack.plugins.module_utils._site import (
    HEALTH_KEYS,
    REQUIRED,
    SITE_KEYS,
    STATIC_KEYS,
)
from ansible_collections.pyweb.stack.plugins.module_utils._tls import TLS_KEYS
from deviations import load, page


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def code(value) -> str:
    """A value as it would stand in YAML."""
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def prose(text: str) -> str:
    """Ansible's markup as Markdown."""
    return re.sub(r"[CMOV]\((.*?)\)", r"`\1`", " ".join(text.split()))


def paragraphs(description) -> list[str]:
    return [
        prose(text) for text in ([description] if isinstance(description, str) else description)
    ]


def combination(front: str, back: str, link: str) -> str:
    """Whether these work together, and over what where not every transport will do."""
    possible, transports = links_between(front, back), transports_of(front, back, link)
    if link not in possible:
        return ""
    only = "" if transports in (TRANSPORTS, ()) else f", {' and '.join(transports)} only"
    return ("default" if link == possible[0] else "yes") + only


def combinations_table() -> str:
    links = sorted(
        dict.fromkeys(link for back in BACKS.values() for link in back.links),
        key=lambda link: link == EMBEDDED,
    )
    rows = [
        [
            f"[{front}](docs/deviations.md#{front})",
            back,
            *(combination(front, back, link) for link in links),
        ]
        for front in FRONTS
        for back in BACKS
    ]
    return table(["Front", "Back", *(f"`{link}`" for link in links)], rows)


def site_table() -> str:
    def row(name, key):
        default = (
            "required"
            if key.default is REQUIRED
            else ""
            if key.default is None
            else code(key.default)
        )
        return [f"`{name}`", default, key.meaning]

    within = {
        "static": ("static[]", STATIC_KEYS),
        "tls": ("tls", TLS_KEYS),
        "tls.acme": ("tls.acme", ACME_KEYS),
        "tls.acme.dns": ("tls.acme.dns", DNS_KEYS),
        "health": ("health", HEALTH_KEYS),
    }

    def rows_of(prefix, keys):
        for name, key in keys.items():
            yield row(f"{prefix}{name}", key)
            inner, inner_keys = within.get(f"{prefix}{name}", ("", {}))
            yield from rows_of(f"{inner}.", inner_keys)

    rows = list(rows_of("", SITE_KEYS))
    return table(["Key", "Default", "Meaning"], rows)


def kind(option: dict) -> str:
    return f"list of {option['elements']}" if option["type"] == "list" else option["type"]


def meaning(option: dict) -> str:
    choices = (
        [f"Possible: {', '.join(code(choice) for choice in option['choices'])}."]
        if "choices" in option
        else []
    )
    return " ".join([*paragraphs(option["description"]), *choices])


def items(options: dict, prefix: str = ""):
    """The keys of nested options, each with the path to it."""
    for name, option in options.items():
        yield [
            f"`{prefix}{name}`",
            kind(option),
            "yes" if option.get("required") else "",
            meaning(option),
        ]
        yield from items(
            option.get("options", {}), f"{prefix}{name}{'[]' if option['type'] == 'list' else ''}."
        )


class Spec(yaml.SafeDumper):
    """YAML as the specs have it: items further in than their list's name, short lists in one line,
    no anchors.
    """

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def plain_list(dumper: yaml.SafeDumper, data: list):
    short = all(isinstance(item, str) and len(item) < 20 or item == [] for item in data)
    nested = data and all(isinstance(item, list) for item in data)
    return dumper.represent_sequence(
        "tag:yaml.org,2002:seq", data, flow_style=bool(short or nested)
    )


Spec.add_representer(list, plain_list)


def spec_text(role: str) -> str:
    """A role's argument specs with the keys of its sites."""
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    seer = role.partition("_")[0]
    # Others have keys of their own.
    parts = {f"{role}_sites": seer} if seer in (APP, BACK, FRONT) else {}
    if f"{role}_embedded_sites:" in text:
        parts[f"{role}_embedded_sites"] = INSIDE
    indent = " " * 10
    for name, seer in parts.items():
        begin = f"{indent}# The keys of {name} are written by tools/docs.py from _finished.py.\n"
        end = f"{indent}# End of the keys of {name}.\n"
        options = options_of(role, seer)
        lines = yaml.dump(
            options, Dumper=Spec, sort_keys=False, width=78, allow_unicode=True
        ).splitlines(True)
        before, _begin, rest = text.partition(begin)
        _old, _end, after = rest.partition(end)
        if not after:
            sys.exit(f"tools/docs.py: the argument specs of {role} lack {begin.strip()} or its end")
        text = before + begin + "".join(indent + line for line in lines) + end + after
    return text


def role_readme(role: str, text: str) -> str:
    spec = yaml.safe_load(text)["argument_specs"]["main"]
    options = spec["options"]
    parts = [
        f"<!-- Written by tools/docs.py from meta/argument_specs.yml. -->\n# pyweb.stack.{role}\n",
        f"{spec['short_description']}.\n",
        "".join(f"- {text}\n" for text in paragraphs(spec["description"])),
        "## Variables\n",
        table(
            ["Variable", "Type", "Default", "Meaning"],
            [
                [
                    f"`{name}`",
                    kind(each),
                    code(each["default"]) if "default" in each else "the plan's",
                    meaning(each),
                ]
                for name, each in options.items()
            ],
        ),
    ]
    for name, option in options.items():
        if "options" in option:
            parts += [
                f"## Keys of an item of `{name}`\n",
                table(["Key", "Type", "Required", "Meaning"], list(items(option["options"]))),
            ]
    parts += [
        "## Alone\n",
        "`pyweb.stack.site` hands the role finished sites. Without it, write them out:\n",
        f"```yaml\n{spec['examples'].rstrip()}\n```\n",
    ]
    return "\n".join(parts)


def role_metadata(description: str) -> str:
    """What a gallery of collections shows of a role."""
    minimum = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    found = {
        "galaxy_info": {
            "author": "The pyweb.stack founders",
            "description": description,
            "license": "GPL-3.0-or-later",
            "min_ansible_version": re.sub(r"[>=]+(\d+\.\d+).*", r"\1", minimum["requires_ansible"]),
            "platforms": [{"name": "Debian", "versions": list(RELEASES.values())}],
        },
        "dependencies": [],
    }
    written = "---\n# Written by tools/docs.py from the catalog.\n"
    return written + yaml.dump(found, Dumper=Spec, sort_keys=False)


def fill(text: str, generated: dict[str, str], name_of_page: str = "README.md") -> str:
    """The text of a page with the parts between its markers replaced."""
    for name, part in generated.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end of generated -->"
        if text.count(begin) != 1:
            sys.exit(
                f"tools/docs.py: {name_of_page} needs the line {begin.strip()} exactly once, and "
                f"{end} after it"
            )
        before, _begin, rest = text.partition(begin)
        _old, found, after = rest.partition(end)
        if not found:
            sys.exit(f"tools/docs.py: {name_of_page} lacks {end} after {begin.strip()}")
        text = f"{before}{begin}{part}{end}{after}"
    return text


def documents() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    found = {}
    for name, generated in (
        ("README.md", {"combinations": combinations_table()}),
        ("docs/sites.md", {"site": site_table()}),
    ):
        found[ROOT / name] = fill((ROOT / name).read_text(encoding="utf-8"), generated, name)
    for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        found[spec] = spec_text(spec.parts[-3])
        found[spec.parents[1] / "README.md"] = role_readme(spec.parts[-3], found[spec])
        short = yaml.safe_load(found[spec])["argument_specs"]["main"]["short_description"]
        found[spec.parent / "main.yml"] = role_metadata(short)
    common = "Templates that the other roles share"
    found[ROOT / "roles" / "common" / "meta" / "main.yml"] = role_metadata(common)
    found[ROOT / "docs" / "deviations.md"] = page(load())
    return found


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    stale = False
    for path, wanted in documents().items():
        current = path.read_text(encoding="utf-8") if path.exists() else ""
        if current == wanted:
            continue
        name = str(path.relative_to(ROOT))
        if arguments:
            stale = True
            sys.stdout.writelines(
                difflib.unified_diff(
                    current.splitlines(True), wanted.splitlines(True), name, f"{name} (up to date)"
                )
            )
        else:
            path.write_text(wanted, encoding="utf-8")
            print(f"wrote {name}")
    if stale:
        print("Not up to date; run tools/docs.py and commit what it writes.", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
