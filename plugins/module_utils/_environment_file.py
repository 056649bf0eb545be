# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd's EnvironmentFile (systemd.exec(5)): every value between double quotes, where newlines
are kept and nothing is expanded.
"""

from __future__ import annotations

import re


def environment_file(values: dict[str, str]) -> str:
    """The lines of the file. Raises ValueError for a value that no environment can hold."""
    for name, value in values.items():
        if "\0" in value:
            raise ValueError(f"the value of {name} has a NUL character")
    return "".join(
        '{}="{}"\n'.format(name, re.sub(r'(["\\$`])', r"\\\1", value))
        for name, value in sorted(values.items())
    )
