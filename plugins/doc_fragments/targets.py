# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What to ask, as M(pyweb.stack.probe) and M(pyweb.stack.apply) take it."""

    DOCUMENTATION = r"""
options:
  targets:
    description: What to ask.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What to call the target in results and messages.
        type: str
        required: true
      link:
        description: The protocol that the target speaks. V(http) is HTTP/1.1, with TLS where
          O(targets[].certificate) is set.
        type: str
        choices: [http, fastcgi, scgi, uwsgi]
        required: true
      endpoint:
        description: Where the target listens.
        type: dict
        required: true
        suboptions:
          transport:
            description: Whether it listens on a unix socket or on a TCP port.
            type: str
            choices: [unix, tcp]
            required: true
          path:
            description: The path of the unix socket. Required with
              O(targets[].endpoint.transport=unix).
            type: path
          host:
            description: The address, or a name of it. Used with
              O(targets[].endpoint.transport=tcp).
            type: str
            default: 127.0.0.1
          port:
            description: The port. Required with O(targets[].endpoint.transport=tcp).
            type: int
      script_name:
        description:
          - The mount of the application, such as V(/app), not percent-encoded; empty where it is
            mounted at the root.
          - Over V(http) it is only the first part of the path that is asked for. Over the others it
            is C(SCRIPT_NAME).
        type: str
        default: ""
      path:
        description: The path below the mount, percent-encoded, and perhaps a query.
        type: str
        default: /
      host:
        description: The C(Host) that is asked for, perhaps with a port.
        type: str
        default: localhost
      scheme:
        description:
          - The scheme that the application is told its client used.
          - Over V(http) it is told by C(X-Forwarded-Proto), which is sent with C(X-Forwarded-For).
            The connection itself has TLS only with O(targets[].certificate).
        type: str
        choices: [http, https]
        default: http
      headers:
        description: Further headers of the request, which replace those that the module would send.
        type: dict
        default: {}
      status:
        description:
          - The statuses that count as healthy.
          - By default every one from 200 to 499, since a page that is missing or moved, or asks for
            a login, also shows that the application runs; but not 421, by which a server says that
            it is not the right one to ask.
        type: list
        elements: int
      timeout:
        description: Seconds within which it has to give a healthy answer; by default 30.
        type: float
      site:
        description: The site of the inventory that it belongs to. The failure message names its key
          C(health).
        type: str
      unit:
        description: The systemd unit of the target. The failure message names its journal, if no
          O(targets[].log) is given.
        type: str
      log:
        description: Where tracebacks of the target go, for the failure message - an absolute path,
          or a systemd unit for its journal.
        type: str
      hint:
        description: What to do where the target is not healthy, for the failure message.
        type: str
      stranger:
        description: An address of the host that the module runs on, from which the target must not
          answer, except by 421. Where it does, it is not healthy.
        type: str
      certificate:
        description:
          - File on the host that the module runs on, with the certificate that the target has to
            serve.
          - The target is asked over TLS then, by the name in O(targets[].host), and is not healthy
            with another certificate. Only with O(targets[].link=http).
        type: path
      plain:
        description: Where the target answers without TLS, as long as there is no
          O(targets[].certificate) yet.
        type: dict
        suboptions:
          host:
            description: The address, or a name of it.
            type: str
            default: 127.0.0.1
          port:
            description: The port.
            type: int
            default: 80
"""
