#!/usr/bin/python
# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = """
module: plan
version_added: 0.1.0
short_description: Settle what each site is served by, or name every fault of the inventory
description:
  - Turns front, back, link, transport and sites of an inventory into finished sites - defaults,
    endpoints, releases and units - and hands each role its part.
  - Runs on the controller alone and asks the host nothing, so that wrong input is refused before
    any host is changed.
  - Where the inventory groups C(fronts) and C(backs) have hosts, it hands each host the part that
    it has in them, and a front the endpoints of all backs. It knows the hosts' addresses by their
    variables C(link_address) and C(ansible_host), or by their facts of the default route.
  - All faults of all sites are reported together, each with the site, the variable, what was given
    and what is possible.
options:
  front:
    description: Front-end web server of the host.
    type: str
    default: nginx
  back:
    description: What runs the Python of sites that name no back of their own.
    type: str
    default: uwsgi
  link:
    description: Protocol from front to back of sites that name none of their own. The default is
      the best for the pair.
    type: str
  transport:
    description: What the links of sites that name none of their own run over. The default is unix
      where it is possible, and tcp between hosts.
    type: str
    choices: [unix, tcp]
  tls_profile:
    description: What clients need to speak to the sites of the host that have TLS, as data of
      Mozilla's guideline 6.0.
    type: str
    choices: [intermediate, modern]
    default: intermediate
  acme:
    description: Of certificates by ACME, what the sites do not say themselves; docs/sites.md lists
      the keys below C(tls.acme).
    type: dict
  trusted_proxies:
    description: Addresses and networks of proxies before the front. What these say of a client by
      X-Forwarded-For and X-Forwarded-Proto is believed.
    type: list
    elements: str
  sites:
    description: The sites; docs/sites.md lists their keys. Without any there is one sample site,
      the catch-all, whose page shows the stack that serves it.
    type: list
    elements: dict
  prune:
    description: Whether sites that the inventory no longer names are removed, as by
      M(pyweb.stack.retire).
    type: bool
    default: true
  remove_data:
    description: Whether the data of sites that go is removed, too.
    type: bool
    default: false
  remove_packages:
    description: Whether Debian packages go that the collection brought and nothing needs any more.
    type: bool
    default: false
attributes:
  action:
    support: full
    description: Runs on the controller.
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: The same input is the same plan.
seealso:
  - module: pyweb.stack.apply
author: The pyweb.stack founders (@pyweb)
"""

EXAMPLES = """
- name: Plan
  pyweb.stack.plan:
    front: lighttpd
    back: flup
    sites:
      - name: shop
        server_names: [shop.example.org]
        application: shop.wsgi:application
        source: {path: ../shop}
  register: pyweb_planned
"""

RETURN = """
plan:
  description:
    - C(front), which is none on a back alone, and C(backs), whose roles have to run.
    - For each role its sites, named as its variable, such as C(front_nginx_sites).
    - C(tls), the profile of a front with TLS.
    - For M(pyweb.stack.retire) C(sets), C(sites), C(prune), C(remove_data) and C(remove_packages).
    - For M(pyweb.stack.probe) C(targets), each site as clients reach it, and C(upstreams), each
      site on each back of this run as a front reaches it.
  type: dict
  returned: success
faults:
  description: Every fault of the inventory.
  type: list
  elements: str
  returned: failure
"""
