# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text that means the same in the configuration of every server: nothing in it ends a value or
begins another.
"""

from __future__ import annotations

import re

PLAIN = re.compile(r"[\w.:*/=@+\[\] -]+", re.ASCII)


def config_token(value: object, variable: str) -> str:
    """The value as a text. Raises ValueError, which names the variable, for one that is not
    plain.
    """
    text = str(value)
    if not PLAIN.fullmatch(text):
        raise ValueError(
            f"{variable}: {text!r} is not possible; it takes letters, digits, spaces and . : * / = "
            "@ + - _ [ ]"
        )
    return text
