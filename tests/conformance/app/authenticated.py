# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who a front says that the client is (RFC 3875, 4.1.1 and 4.1.11)."""

import json

KEYS = ("AUTH_TYPE", "REMOTE_USER", "HTTP_REMOTE_USER", "HTTP_PYWEBFRONT")


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({key: environ[key] for key in KEYS if key in environ}).encode()]
