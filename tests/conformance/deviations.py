# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/deviations.yml: what a stack does otherwise than the conformance client expects. Read by the
client and by tools/docs.py.
"""

from __future__ import annotations

from pathlib import Path

import yaml

TABLE = Path(__file__).resolve().parents[2] / "docs" / "deviations.yml"
STACK = ("front", "back", "link", "transport", "debian")
MOUNTS = ("root", "prefix")


def listed(value) -> list[str]:
    return value if isinstance(value, list) else [value]


def load(path: Path = TABLE) -> list[dict]:
    """The rows, with a list wherever there may be one or several."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    found = []
    for row in rows or []:
        stack = {
            key: [str(each) for each in listed(row[key])] for key in (*STACK, "mount") if key in row
        }
        seen = {
            check: [str(each) for each in listed(value)] for check, value in row["seen"].items()
        }
        if row["effect"] not in EFFECTS:
            raise ValueError(
                f"{path.name}: effect {row['effect']!r} is none of {', '.join(EFFECTS)}"
            )
        found.append({"why": row["why"], "effect": row["effect"], "seen": seen, **stack})
    return found


def find(rows: list[dict], check: str, target) -> dict | None:
    """The first row that says something of this check for this stack and mount."""
    mount = "prefix" if target.mount else "root"
    for row in rows:
        if (
            check in row["seen"]
            and all(key not in row or getattr(target, key) in row[key] for key in STACK)
            and mount in row.get("mount", [mount])
        ):
            return row
    return None


EFFECTS = {
    "differs": "the application or the client sees something else; nothing is lost",
    "refused": "an error is answered instead",
    "unnoticed": "what is lost looks whole",
}


def where(row: dict) -> str:
    """The stacks of a row, for people."""
    parts = []
    if "back" in row or "link" in row:
        parts.append(
            " ".join(
                filter(
                    None,
                    [
                        ", ".join(row.get("back", [])),
                        "over" * ("link" in row),
                        ", ".join(row.get("link", [])),
                    ],
                )
            )
        )
    parts += [", ".join(row["transport"])] if "transport" in row else []
    parts += [f"at a {row['mount'][0]}".replace("a root", "/")] if "mount" in row else []
    parts += [f"Debian {', '.join(row['debian'])}"] if "debian" in row else []
    return "; ".join(parts) or "every back and link"


def cell(text: str) -> str:
    """Text in a cell of a Markdown table, with what cannot be seen written out."""
    return text.encode("unicode_escape").decode().replace("\\\\", "\\").replace("|", "\\|")


def code(text: str) -> str:
    """As code, also where it holds a backtick."""
    return f"`` {cell(text)} ``" if "`" in text else f"`{cell(text)}`"


def page(rows: list[dict]) -> str:
    """docs/deviations.md."""
    lines = [
        "<!-- Written by tools/docs.py from docs/deviations.yml. -->",
        "# Deviations",
        "",
        "An application sees the same requests, and its clients the same answers, whatever front, "
        "back, link and transport a site has.",
        "What a server cannot do is listed here; the conformance run (`tests/conformance`) expects "
        "exactly these, and fails also where one",
        "of them has gone.",
        "",
        *[f"- **{name}**: {meaning}." for name, meaning in EFFECTS.items()],
    ]
    fronts = sorted({front for row in rows for front in row.get("front", [])})
    lines += section("Any front", [row for row in rows if "front" not in row])
    for front in fronts:
        lines += section(front, [row for row in rows if front in row.get("front", [])])
    return "\n".join([*lines, ""])


def section(title: str, rows: list[dict]) -> list[str]:
    """The rows of one front."""
    lines = [
        "",
        f"## {title}",
        "",
        "| Where | Check: what is seen | Effect | Why |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows:
        seen = "<br>".join(
            f"{code(check)}: {' or '.join(map(code, texts))}"
            for check, texts in row["seen"].items()
        )
        lines.append(f"| {where(row)} | {seen} | {row['effect']} | {cell(row['why'])} |")
    return lines
