# Copyright: (c) 2026, The pyweb.stack founders
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

PYTHON ?= python3
release ?= 13
releases := $(shell sed -n 's/^RELEASES = {\(.*\)}/\1/p' plugins/module_utils/_catalog.py | grep -o '[0-9]*')
scenarios := $(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml))

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHON release front back link transport tls
# One name for all containers of a checkout; give another to test two checkouts on one machine at once.
export PYWEB_PREFIX ?= pyweb

.PHONY: help bench changelog cores demo test lint build sanity unit molecule $(scenarios) venv docker image lock clean distclean

help: ## say what there is (the default)
	@echo "make TARGET [VARIABLE=VALUE ...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-13s%s\n", $$1, $$2 }'
	@echo
	@echo "Scenarios of molecule, each a target too: $(scenarios)"
	@echo
	@echo "Variables of make demo:"
	@echo "  front      apache, nginx, lighttpd, cherokee (default: nginx)"
	@echo "  back       uwsgi, flup, gunicorn, mod_wsgi (default: uwsgi)"
	@echo "  link       embedded, uwsgi, http, fastcgi, scgi (default: the best for the pair)"
	@echo "  transport  unix, tcp (default: unix)"
	@echo "  tls        self_signed; acme, by a CA in the container (default: plain HTTP)"
	@echo "  release    $(releases): of Debian (default: 13)"
	@echo "Variables of all:"
	@echo "  PYTHON            makes the virtual environment; 3.11 or newer (default: python3)"
	@echo "  PYWEB_BASE_IMAGE  a Docker image of Debian to start from, {release} in it meaning each release"
	@echo "                    (default: one made by mmdebstrap)"
	@echo "  PYWEB_CHEROKEE_PACKAGE"
	@echo "                    a package file of Cherokee, {release} in it meaning each release; Debian carries none, so without"
	@echo "                    it the scenario cherokee is skipped"
	@echo "  PYWEB_PREFIX      begins the containers' names (default: pyweb)"

demo: venv ## show a real site on a throwaway container: make demo front=lighttpd back=flup
	@tools/demo

test: venv ## run every check below, and say at the end how each of them went
	@tools/test lint build sanity unit $(scenarios)

lint: venv ## check style and generated texts: ruff, mypy, ansible-lint (production profile), yamllint, shellcheck, tools/docs.py
	@status=0; for check in "ruff check ." "ruff format --check ." mypy "yamllint --strict ." "ansible-lint --strict" "tools/docs.py --check" "antsibull-changelog lint" \
	    "shellcheck .ci/run $$(grep -l '^#!.*sh$$' tools/* | tr '\n' ' ')"; do \
	    echo "$$check"; $$check || status=1; done; exit $$status

build: venv ## build the collection, install it into an empty directory and list its play from there
	@tools/build

sanity: build ## run ansible-test sanity on the installed collection
	@tools/sanity

unit: venv ## run the unit tests; ARGS go to pytest
	PYTHONPATH=.ansible/collections pytest tests/unit --numprocesses=auto $(ARGS)

cores: build ## run sanity and the unit tests on ansible-core 2.19 to the newest candidate, as far as their Pythons are here
	@tools/cores $(ARGS)

molecule: $(scenarios) ## run all scenarios, each with an idempotence check, in containers of every release of Debian

# Why a scenario cannot run here, if it cannot; tools/test looks for the word at the beginning of the line.
skip_cherokee = $(if $(PYWEB_CHEROKEE_PACKAGE),,PYWEB_CHEROKEE_PACKAGE names no package of Cherokee, and Debian carries none)

$(scenarios): venv docker
	@$(if $(skip_$@),echo "SKIPPED $@: $(skip_$@)",$(foreach release,$(releases),tools/image $(release) &&) molecule test -s $@)

venv: .venv/stamp ## make the virtual environment, .venv, from the lock

.venv/stamp: requirements.txt
	@tools/venv

docker: ## see that a Docker engine answers; install and start one if not (as root)
	@tools/docker

image: venv docker ## make the image of Debian (release=13) that containers start from, unless it is there
	@tools/image $(release)

lock: venv ## lock the newest versions of what requirements.in names
	uv pip compile --quiet --system-certs --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    requirements.in --output-file requirements.txt

changelog: venv ## write CHANGELOG.md and changelogs/changelog.yaml from the fragments
	antsibull-changelog release --refresh --reload-plugins --date $$(date +%F)

bench: venv docker ## measure the wrapper's cost a request, and a converge beside a shell script (release=13)
	@benchmarks/wrapper
	@tools/image $(release)
	@benchmarks/converge

clean: ## remove the containers
	@docker ps --all --format '{{.ID}} {{.Label "pyweb"}}' | awk '$$2 ~ /^$(PYWEB_PREFIX)-/ { print $$1 }' | \
	    xargs --no-run-if-empty docker rm --force --volumes

distclean: clean ## remove the images, the cache and the virtual environment, too
	@docker image rm --force $(foreach release,$(releases),pyweb-debian:$(release) pyweb-base:$(release))
	rm -rf .venv .cache
