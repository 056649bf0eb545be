# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection is imported as Ansible does it, so that templates find its filters. A busy machine is no fault of a property."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.loader import init_plugin_loader
from hypothesis import HealthCheck, settings

settings.register_profile("pyweb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pyweb")

init_plugin_loader([str(Path(__file__).resolve().parents[2] / ".ansible" / "collections")])
