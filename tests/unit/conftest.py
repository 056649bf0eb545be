# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection is imported as Ansible does it, so that templates find its filters.

Properties are tested with the same examples in every run, so that a failure is the fault of a
change; --hypothesis-profile=explore looks for others. A busy machine is no fault of a property.
"""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader
from hypothesis import HealthCheck, settings

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("pyweb", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("pyweb")

init_plugin_loader([str(Path(__file__).resolve().parents[2] / ".ansible" / "collections")])
