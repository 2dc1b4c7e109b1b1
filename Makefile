# `make help` lists what can be made.
# PYTHON chooses the interpreter of the environment, ARGS is handed to the command:
#   make setup PYTHON=python3.13
#   make test ARGS="tests/unit -x"

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
NATIVE := $(wildcard $(addprefix src/palmares/ledger/embedded/*.,pyx pxd pxi))
EXTENSION := src/palmares/ledger/embedded/_index
# The official Node SDK, for the tests that use it. Where there is no npm they are left out, but in CI they fail.
NODE := tests/acceptance/node
NODE_SDK := $(if $(shell command -v npm),$(NODE)/node_modules/ready)

# Tests start the server a hundred times: without Python's cache of compiled modules, that takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

# uv does not read pip's settings: hand it the package index and certificates that pip is told to use here, if any.
define uv
	index="$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}"; \
	certificates="$${PIP_CERT:-$$($(BIN)/pip config get global.cert 2>/dev/null || true)}"; \
	if [ -n "$$index" ] && [ -z "$${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	if [ -n "$$certificates" ] && [ -z "$${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$$certificates"; fi; \
	VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/uv
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench lock clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: .venv/ready ## make the environment .venv and compile the index; does nothing when all is up to date

demo: .venv/ready ## import a year of real flights, print rankings, leave the server running
	@echo "make demo: importing a year of real flights, printing rankings, leaving the server running"
	@$(BIN)/palmares demo $(ARGS)

serve: .venv/ready ## serve the data folder ./data
	@echo "make serve: serving the data folder ./data"
	@$(BIN)/palmares serve --data ./data $(ARGS)

test: .venv/ready $(NODE_SDK) ## run the tests, or those that ARGS names
	@echo "make test: running the tests"
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations=5 $(ARGS)

check: .venv/ready ## check format, lint, types, import layers, and who reads a clock or a random source
	@echo "make check: format, lint, types, import layers, clocks and random sources"
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --quiet tests/unit/test_sources.py

bench: .venv/ready ## measure, and print figures beside their targets
	@echo "make bench: measuring, and printing figures beside their targets"
	@$(BIN)/python -m bench $(ARGS)

lock: .venv/bin/uv ## write requirements.lock from pyproject.toml; ARGS=--upgrade takes the newest versions
	@echo "make lock: writing requirements.lock from pyproject.toml"
	@$(uv) pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --quiet --output-file requirements.lock \
		--custom-compile-command "make lock (make lock ARGS=--upgrade takes the newest versions)" $(ARGS) > /dev/null

clean: ## remove the environment, what was built, and what tools remember; data folders stay
	@echo "make clean: removing the environment, what was built, and what tools remember"
	@rm -rf .venv build dist src/*.egg-info $(EXTENSION).*.so $(NODE)/node_modules
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/uv:
	@echo "make setup: making the environment .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Palmares needs Python 3.11 or newer: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet uv

.venv/installed: requirements.lock | .venv/bin/uv
	@echo "make setup: installing what requirements.lock names"
	@$(uv) pip sync --quiet requirements.lock
	@touch $@

.venv/ready: .venv/installed pyproject.toml setup.py $(NATIVE)
	@echo "make setup: compiling the index and installing palmares, editable"
	@$(uv) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(NODE)/node_modules/ready: $(NODE)/package.json $(NODE)/package-lock.json
	@echo "make test: installing what $(NODE)/package-lock.json names"
	@npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent
	@touch $@
