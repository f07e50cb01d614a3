# Each target creates the environment it needs. Required: make and Python 3.11 to 3.13.

VERSION := $(shell sed -n 's/^ *version="\(.*\)",$$/\1/p' setup.py)
IMAGE ?= tap-incident
# What the Dockerfile builds on, and the same image pinned by digest
BASE_IMAGE := $(shell sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
PINNED_BASE_IMAGE := $(shell sed -n 's/^FROM //p' locks/base.Dockerfile)
# `make lock` takes only versions that are older than this. Compromised ones are mostly found within days.
COOLDOWN ?= 7 days
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1 && echo $$python && break; done)

BIN := .venv/bin
DEV_ENV := .venv/.made
# Programs whose dependencies conflict with the connector's: locks/NAME.in, locks/NAME.lock and .venv-NAME
OTHER_ENVS := $(patsubst locks/%.in,%,$(wildcard locks/*.in))
TARGETS_ENV := .venv-targets/.made
RELEASE_ENV := .venv-release/.made
CLIENT_ENVS := $(patsubst %,.venv-%/.made,$(filter-out release,$(OTHER_ENVS)))
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --exclude-newer "$(COOLDOWN)"
# The tests of one file run in one process, because they share fixtures.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help env demo recording test lint types imports unit integration workers-test client-test base pinned-base image container-test container-memory bench reliability soak audit licences version notes constraints dist release lock schemas docs contract

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "make %-16s %s\n", $$1, $$2 }'

env: $(DEV_ENV) ## create the development environment, .venv

$(DEV_ENV): setup.py locks/uv.lock locks/dev.lock
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 with the venv module was found. Install one \
	(Debian: apt-get install python3-venv) or name one: make PYTHON=..." >&2; exit 1; }
	@echo "Creating .venv with $(PYTHON)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r locks/uv.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r locks/dev.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv-%/.made: locks/%.lock $(DEV_ENV)
	@echo "Creating .venv-$*"
	@$(BIN)/uv venv -q --clear --python $(BIN)/python .venv-$*
	@$(BIN)/uv pip install -q --python .venv-$*/bin/python --require-hashes -r $<
	@touch $@

demo: $(DEV_ENV) $(TARGETS_ENV) ## sync a made-up company from the mock API into DuckDB and query it
	@$(BIN)/python -m demo

recording: $(DEV_ENV) $(TARGETS_ENV) ## run the demo and write its pictures, docs/demo.svg and docs/incidents.svg
	@$(BIN)/python -m tools.recording

test: lint types imports unit integration ## run lint, types, imports, and the unit and integration tests

lint: $(DEV_ENV) ## check style, formatting, line length in Markdown, and commit subjects
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/rumdl check --no-cache --quiet .
	$(BIN)/python -m tools.commits

types: $(DEV_ENV) ## check types
	$(BIN)/mypy

imports: $(DEV_ENV) ## check which module imports which
	$(BIN)/lint-imports

unit: $(DEV_ENV) ## run the unit tests
	$(BIN)/pytest $(PARALLEL) unit_tests

integration: $(DEV_ENV) $(TARGETS_ENV) ## run the integration tests, except containers and clients
	$(BIN)/pytest $(PARALLEL) integration_tests -m "not container and not clients"

client-test: $(DEV_ENV) $(CLIENT_ENVS) ## run the connector inside other tools; needs PostgreSQL (Debian: postgresql) and Docker
	$(BIN)/pytest $(PARALLEL) integration_tests -m clients

workers-test: $(DEV_ENV) ## run the tests of state, resuming and stopping with 1 to 20 workers
	for workers in $$(seq 1 20); do \
		$(BIN)/pytest -q integration_tests/sync/test_state.py integration_tests/sync/test_stopping.py \
		integration_tests/sync/test_partitions.py --workers $$workers || exit 1; done

pinned-base: ## print the base image that releases build on, pinned by digest
	@echo $(PINNED_BASE_IMAGE)

base: ## pull the pinned base image and give it the name that the Dockerfile uses
	docker pull $(PINNED_BASE_IMAGE)
	docker tag $(PINNED_BASE_IMAGE) $(BASE_IMAGE)

image: ## build the container image
	docker build --network host --tag $(IMAGE):$(VERSION) --tag $(IMAGE):latest .

container-test: $(DEV_ENV) $(TARGETS_ENV) .venv-examples/.made ## build the image and test it; needs Docker
	$(BIN)/pytest integration_tests -m container

container-memory: $(DEV_ENV) $(TARGETS_ENV) ## read a million alerts with the image in 256 MB of memory; needs Docker
	CONTAINER_ALERTS=1000000 $(BIN)/pytest integration_tests/container -m container -k memory --timeout 1800

reliability: $(DEV_ENV) ## run the tests of every fault and write the tables of docs/reliability.md
	RELIABILITY=write $(BIN)/pytest integration_tests/faults

soak: $(DEV_ENV) ## fuzz all inputs, simulate accounts, kill syncs, inject every fault; takes an hour
	$(BIN)/python -m integration_tests.soak.fuzz
	$(BIN)/python -m integration_tests.soak.simulate --accounts 1000
	$(BIN)/python -m integration_tests.soak.moving
	$(BIN)/python -m integration_tests.soak.faults

bench: $(DEV_ENV) ## run the benchmarks; takes a quarter of an hour
	$(BIN)/python -m benchmarks

schemas: $(DEV_ENV) ## generate the streams' schemas and the mock API's contract from the vendor's OpenAPI document
	$(BIN)/python -m tools.schemas

docs: $(DEV_ENV) ## generate the pages and tables that list streams, settings and options
	$(BIN)/python -m tools.docs

contract: $(DEV_ENV) ## compare the streams with the vendor's newest OpenAPI document
	$(BIN)/python -m tools.contract --newest

audit: $(RELEASE_ENV) ## check the image's packages for known vulnerabilities; queries PyPI
	.venv-release/bin/pip-audit --strict --disable-pip --require-hashes --requirement locks/image.lock

licences: $(DEV_ENV) ## list the licences of the image's packages; fails if one is not allowed
	$(BIN)/python -m tools.licences

version: ## print the current version
	@echo $(VERSION)

notes: ## print the changelog entry of the current version
	@sed -n '/^## \[$(VERSION)\]/,/^## \[/{/^## \[/!p}' CHANGELOG.md

constraints: ## print the tested version of every dependency, for pip install --constraint
	@sed -n 's/^\([A-Za-z0-9._-]*==[^\\]*[^\\ ]\).*/\1/p' locks/dev.lock

dist: $(RELEASE_ENV) ## build and check the packages for PyPI, in dist/
	rm -rf dist
	.venv-release/bin/python -m build --no-isolation --outdir dist
	.venv-release/bin/twine check --strict dist/*

release: $(DEV_ENV) ## create a release commit and tag: make release VERSION=1.2.3 [DRY_RUN=1]
	@test "$(origin VERSION)" = "command line" || { echo "VERSION is missing: make release VERSION=1.2.3" >&2; exit 1; }
	$(BIN)/python -m tools.release $(VERSION) $(if $(DRY_RUN),--dry-run)

lock: $(DEV_ENV) ## lock the newest versions within the declared ranges that are at least a week old
	echo uv | $(COMPILE) --upgrade - -o locks/uv.lock
	$(COMPILE) --upgrade --excludes locks/image.excludes setup.py -o locks/image.lock
	$(COMPILE) --upgrade --constraints locks/image.lock --extra tests setup.py -o locks/dev.lock
	set -e; for name in $(OTHER_ENVS); do \
		$(COMPILE) --upgrade locks/$$name.in -o locks/$$name.lock; done
	npm install --prefix integration_tests/prism --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
