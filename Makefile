# Every target makes the environment it needs: Python 3.11 to 3.13 and make are enough.

VERSION := $(shell sed -n 's/^ *version="\(.*\)",$$/\1/p' setup.py)
IMAGE ?= tap-incident/source-incident
UV_VERSION := 0.13.9
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1 && echo $$python && break; done)

ENV := .venv/.made
TARGETS := .venv-targets/.made
# Programs of other people: requirements-NAME.in is .venv-NAME. All but supply's are for the tests
OTHERS := $(patsubst requirements-%.in,%,$(wildcard requirements-*.in))
CLIENTS := $(patsubst %,.venv-%/.made,$(filter-out supply,$(OTHERS)))
SUPPLY := .venv-supply/.made
RUN := .venv/bin
COMPILE := $(RUN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# Each file's tests stay together: they share what they set up.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help env demo recording test lint types imports unit integration workers-test client-test image container-test container-memory bench reliability soak audit licences version notes dist release lock schemas docs contract

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-16s %s\n", $$1, $$2 }'

env: $(ENV) ## the environment for working here, .venv

$(ENV): setup.py requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed \
	(Debian: apt-get install python3-venv), or say which one: make PYTHON=..." >&2; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@$(RUN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(RUN)/uv pip install -q --python $(RUN)/python --require-hashes -r requirements-dev.lock
	@$(RUN)/uv pip install -q --python $(RUN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-%/.made: requirements-%.lock $(ENV)
	@echo "Making .venv-$*"
	@$(RUN)/uv venv -q --clear --python $(RUN)/python .venv-$*
	@$(RUN)/uv pip install -q --python .venv-$*/bin/python --require-hashes -r $<
	@touch $@

demo: $(ENV) $(TARGETS) ## a company of the sandbox, synced into DuckDB, and three answers from it
	@$(RUN)/python -m demo

recording: $(ENV) $(TARGETS) ## the pictures of the demo in docs/, from a run of it
	@$(RUN)/python -m tools.recording

test: lint types imports unit integration ## lint, types, import rules, unit and integration tests

lint: $(ENV)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .

types: $(ENV)
	$(RUN)/mypy

imports: $(ENV)
	$(RUN)/lint-imports

unit: $(ENV)
	$(RUN)/pytest $(SIDE_BY_SIDE) unit_tests

integration: $(ENV) $(TARGETS)
	$(RUN)/pytest $(SIDE_BY_SIDE) integration_tests -m "not container and not clients"

client-test: $(ENV) $(CLIENTS) ## inside the tools that people run it with; needs PostgreSQL (Debian: postgresql) and Docker
	$(RUN)/pytest $(SIDE_BY_SIDE) integration_tests -m clients

workers-test: $(ENV) ## the tests of state, resuming and stopping with 1 to 20 workers
	for workers in $$(seq 1 20); do \
		$(RUN)/pytest -q integration_tests/sync/test_state.py integration_tests/sync/test_stopping.py \
		integration_tests/sync/test_partitions.py --workers $$workers || exit 1; done

image: ## the container image
	docker build --network host --tag $(IMAGE):$(VERSION) .

container-test: $(ENV) $(TARGETS) .venv-examples/.made ## build the image and drive it from outside; needs a Docker engine
	$(RUN)/pytest integration_tests -m container

container-memory: $(ENV) $(TARGETS) ## a million alerts read by the image with 256 MB of memory
	CONTAINER_ALERTS=1000000 $(RUN)/pytest integration_tests/container -m container -k memory --timeout 1800

reliability: $(ENV) ## the tables of docs/reliability.md, from the tests of every fault
	RELIABILITY=write $(RUN)/pytest integration_tests/faults

soak: $(ENV) ## every fault at once for thousands of requests, then what the destination lacks; takes half an hour
	$(RUN)/python -m integration_tests.soak.faults

bench: $(ENV) ## how close the connector comes to what the API and the machine allow; takes a quarter of an hour
	$(RUN)/python -m benchmarks

schemas: $(ENV) ## the streams' schemas and the sandbox's contract, from the vendor's document
	$(RUN)/python -m tools.schemas

docs: $(ENV) ## docs/streams.md, docs/cli.md and the README's tables, from the declarations
	$(RUN)/python -m tools.docs
	$(RUN)/python -m tools.settings
	$(RUN)/python -m tools.cli

contract: $(ENV) ## compare the streams with the vendor's newest document
	$(RUN)/python -m tools.contract --newest

audit: $(SUPPLY) ## known vulnerabilities of what the image is made of; asks PyPI
	.venv-supply/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

licences: $(ENV) ## the licences of what the image is made of; fails for one that is not allowed
	$(RUN)/python -m tools.licences

version: ## the version that is here
	@echo $(VERSION)

notes: ## what the changelog says of the version that is here
	@sed -n '/^## \[$(VERSION)\]/,/^## \[/{/^## \[/!p}' CHANGELOG.md

dist: $(SUPPLY) ## the packages for PyPI, in dist/, checked
	rm -rf dist
	.venv-supply/bin/python -m build --no-isolation --outdir dist
	.venv-supply/bin/twine check --strict dist/*

release: $(ENV) ## cut a release: make release VERSION=1.2.3 [DRY_RUN=1]
	@test "$(origin VERSION)" = "command line" || { echo "say which: make release VERSION=1.2.3" >&2; exit 1; }
	$(RUN)/python -m tools.release $(VERSION) $(if $(DRY_RUN),--dry-run)

lock: $(ENV) ## lock the newest versions that fit the ranges
	$(COMPILE) --upgrade --excludes requirements.excludes setup.py -o requirements.lock
	$(COMPILE) --upgrade --constraints requirements.lock --extra tests setup.py -o requirements-dev.lock
	set -e; for name in $(OTHERS); do \
		$(COMPILE) --upgrade requirements-$$name.in -o requirements-$$name.lock; done
	npm install --prefix integration_tests/prism --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
