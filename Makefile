# The targets that people and CI use; `make` alone lists them. Prerequisites: git, make, Python 3.11 or newer with venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python on the path that is new enough; an old one gets a sentence from scripts/environment.py.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)
BIN := .venv/bin
ARGS ?=
TESTS ?= tests
SHORT := not long and not race and not fuzz

.PHONY: help demo story test check bench load mutants nightly env lock format

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

# Its own process group, so that Ctrl-C reaches the demo alone and make ends with the demo's status.
demo: env-demo ## see the whole kit at work, then look at its pages; Ctrl-C ends it
	@if [ -t 0 ] && [ -t 1 ]; then set -m; fi; $(BIN)/python -m demo $(ARGS); exit $$?

story: env-demo ## play the same story and end
	@$(BIN)/python -m demo --story $(ARGS)

test: env ## all tests but the long ones, services set up first
	@$(BIN)/python -m tests.services
	$(BIN)/python -m pytest -n 2 -q -m "$(SHORT)" $(TESTS) $(ARGS)

check: env ## style, types, import arrows, committed files
	@status=0; check() { echo "$$*"; "$$@" || status=1; }; \
	check $(BIN)/ruff check --output-format concise .; \
	check $(BIN)/ruff format --check .; \
	check $(BIN)/mypy; \
	check $(BIN)/mypy scripts; \
	check $(BIN)/lint-imports --no-cache; \
	check $(BIN)/python scripts/check_tree.py; \
	check $(BIN)/python scripts/check_requirements.py; \
	exit $$status

bench: env ## our speed as a ratio of the unavoidable cryptography; build/bench.json
	@mkdir -p build
	$(BIN)/python -m tests.bench $(ARGS)

load: env ## CPU per flow on PostgreSQL; build/load.json
	@mkdir -p build
	@$(BIN)/python -m tests.services
	$(BIN)/python -m tests.bench.load $(ARGS)

mutants: env ## bend the checks of ARGS (default: all, hours) and see that a test notices
	@mkdir -p build
	$(BIN)/python -m tests.mutation $(ARGS)

nightly: env ## the long suites in full; writes docs/nightly.md
	@$(BIN)/python -m tests.services
	$(BIN)/python scripts/nightly.py

env: ## the environment with all tools (.venv), redone only when its lock file changes
	@$(PYTHON) scripts/environment.py dev

.PHONY: env-demo
env-demo:
	@$(PYTHON) scripts/environment.py demo

lock: env ## resolve the lock files anew (ARGS=--upgrade for the newest releases)
	scripts/lock.sh $(ARGS)

format: env ## put the code in its form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
