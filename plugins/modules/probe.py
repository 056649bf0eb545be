#!/usr/bin/python

# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Ask web applications for a page over HTTP, FastCGI, SCGI or uwsgi
version_added: 0.1.0
description:
  - Asks each target for a page over its own protocol, as the web server in front of it would, and
    returns the answer.
  - Asks again until the answer is healthy or the time is over. All targets are asked side by side,
    so that many that start slowly cost the time of one.
  - Fails when a target is not healthy, naming each such target, what was seen of it last, and where
    to look.
author:
  - The pyweb.stack founders (@pyweb)
extends_documentation_fragment: pyweb.stack.targets
options:
  timeout:
    description:
      - Seconds until a target has to be healthy, instead of O(targets[].timeout). Each is asked at
        least once, so V(0) means a single try.
    type: float
  try_timeout:
    description: Seconds that a single try may take, from the connection to the end of the answer.
      By default all the time that is left.
    type: float
  interval:
    description: Seconds between the first try and the second. The pauses after that grow to ten
      times this.
    type: float
    default: 0.2
  body_limit:
    description:
      - Bytes of each body to return.
      - The rest is read too, so that an answer that is cut short is noticed, and dropped.
    type: int
    default: 65536
attributes:
  check_mode:
    description: Can run in check mode and return what it would return without it.
    support: full
    details:
      - The targets are asked in check mode too. Where they are only started by a run without it,
        skip the task.
  diff_mode:
    description: Returns what has changed, or would change, in diff mode.
    support: none
    details:
      - Nothing changes.
  idempotent:
    description: Reports no change when run a second time.
    support: full
notes:
  - The module runs where the task does. A unix socket is asked as the task's user, who must be
    allowed to write to it.
seealso:
  - module: ansible.builtin.uri
  - module: ansible.builtin.wait_for
"""

EXAMPLES = r"""
- name: Wait until the shop answers over its uwsgi socket
  pyweb.stack.probe:
    targets:
      - name: shop
        link: uwsgi
        endpoint:
          transport: unix
          path: /run/pyweb/shop/uwsgi-uwsgi.sock
        host: shop.example.org
        unit: pyweb-shop.service

- name: Wait up to a minute for two applications at the same time
  pyweb.stack.probe:
    timeout: 60
    targets:
      - name: wiki
        link: fastcgi
        endpoint: {transport: tcp, port: 9001}
        script_name: /wiki
        path: /health
        status: [200]
      - name: api
        link: scgi
        endpoint: {transport: tcp, host: 192.0.2.7, port: 9002}
        path: /v1/?format=json

- name: Ask a site through the web server of this host, once
  pyweb.stack.probe:
    timeout: 0
    targets:
      - name: shop
        link: http
        endpoint: {transport: tcp, port: 80}
        host: shop.example.org
  register: shop

- name: Show the type of its front page
  ansible.builtin.debug:
    msg: "{{ shop.targets[0].headers['content-type'][0] }}"
"""

RETURN = r"""
targets:
  description: What each target answered in its last try, in the order of O(targets). Returned on
    failure too.
  returned: unless the parameters are wrong
  type: list
  elements: dict
  contains:
    name:
      description: The target's name.
      returned: always
      type: str
      sample: shop
    healthy:
      description: Whether it answered with a status that counts as healthy.
      returned: always
      type: bool
      sample: true
    fault:
      description: What was wrong with the last try.
      returned: when the target is not healthy
      type: str
      sample: "connection refused: nothing listens there"
    tries:
      description: How often it was asked.
      returned: always
      type: int
      sample: 2
    seconds:
      description: The time of the last try, from the connection to the end of the answer.
      returned: always
      type: float
      sample: 0.004
    status:
      description: The status of the answer.
      returned: when the target answered
      type: int
      sample: 200
    reason:
      description: The reason phrase of the answer, which may be empty.
      returned: when the target answered
      type: str
      sample: OK
    headers:
      description: From each header's name in lower case to its values, in the order they came in.
      returned: when the target answered
      type: dict
      sample: {"content-type": ["text/html"], "set-cookie": ["a=1", "b=2"]}
    body:
      description: The body as UTF-8 text; bytes that are none are replaced.
      returned: when the target answered
      type: str
      sample: "<!doctype html>..."
    truncated:
      description: Whether the body was longer than O(body_limit).
      returned: when the target answered
      type: bool
      sample: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.pyweb.stack.plugins.module_utils._probing import (
    TARGET_SPEC,
    Outcome,
    target_of,
    wait_until_healthy,
)
from ansible_collections.pyweb.stack.plugins.module_utils._protocols import ProtocolError

ARGUMENT_SPEC = {
    "targets": {"type": "list", "elements": "dict", "options": TARGET_SPEC, "default": []},
    "timeout": {"type": "float"},
    "try_timeout": {"type": "float"},
    "interval": {"type": "float", "default": 0.2},
    "body_limit": {"type": "int", "default": 65536},
}


def result_of(outcome: Outcome) -> dict:
    result = {
        "name": outcome.target.name,
        "healthy": outcome.fault is None,
        "tries": outcome.tries,
        "seconds": round(outcome.seconds, 4),
    }
    if outcome.fault is not None:
        result["fault"] = outcome.fault
    response = outcome.response
    if response is not None:
        headers: dict[str, list[str]] = {}
        for name, value in response.headers:
            headers.setdefault(name.lower(), []).append(value)
        result.update(
            status=response.status,
            reason=response.reason,
            headers=headers,
            body=response.body.decode("utf-8", errors="replace"),
            truncated=len(response.body) < response.size,
        )
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = dict(module.params)
    try:
        outcomes = wait_until_healthy(
            [target_of(given) for given in params.pop("targets")], **params
        )
    except ProtocolError as error:
        module.fail_json(msg=f"A target cannot be asked as it is given: {error}")
    results = [result_of(outcome) for outcome in outcomes]
    unhealthy = [str(outcome) for outcome in outcomes if outcome.fault is not None]
    if unhealthy:
        title = f"{len(unhealthy)} of {len(outcomes)} targets not healthy:"
        module.fail_json(msg="\n".join([title, *unhealthy]), targets=results)
    module.exit_json(changed=False, targets=results)


if __name__ == "__main__":
    main()
