# What a contributor types. Needs make and a Python >= 3.11 with venv; every target makes its own .venv.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python python3.14; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
WORKERS ?= 2
BIN := .venv/bin
CODE := wsharness wsharness_pytest
SOURCES := pyproject.toml $(shell find $(CODE) tests scenarios benchmarks -name '*.py' -o -name '*.ws.yaml')

# A package index may answer badly once; a build need not fail for it.
retry = for pause in 0 5 20 60; do sleep $$pause; $(1) && exit 0; done; exit 1

.PHONY: help setup demo test check lint types layers coverage changes bench docs fidelity differential servers truth clean

help:
	@echo "make setup     the .venv with everything a contributor needs"
	@echo "make demo      wsharness check on the example applications"
	@echo "make test      the test suite"
	@echo "make check     everything else that must hold: lint, types, layers, coverage, change notes"
	@echo "make bench     speed, beside the bare floor and the other test clients"
	@echo "make fidelity  what real servers do by now, and the simulated server against what they did"
	@echo "make differential  programs drawn at random on real servers and on their profiles: COUNT=100 SEED=1"
	@echo "make truth     what check finds of the known bugs in tests/bugs, and what it says of their twins"
	@echo "make docs      the documentation, as a site in build/site"
	@echo "make clean     forget the .venv and everything built"

.venv/demo.stamp: pyproject.toml
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer with its venv module: make PYTHON=/path/to/python" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(call retry,$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1')
	@$(call retry,$(BIN)/python -m pip install --quiet --editable . --group apps)
	@touch $@

.venv/all.stamp: .venv/demo.stamp
	@$(call retry,$(BIN)/python -m pip install --quiet --editable '.[http]' --group dev)
	@touch $@

setup: .venv/all.stamp

demo: .venv/demo.stamp
	@$(BIN)/wsharness demo

test: .venv/all.stamp
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal
	@$(BIN)/coverage combine --quiet

# The tests' measurements: made again only when something they measure has changed.
.coverage: .venv/all.stamp $(SOURCES)
	@$(MAKE) --no-print-directory test

check: lint types layers coverage changes

lint: .venv/all.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Seen from another folder, as users' type checkers see it: installed.
types: .venv/all.stamp
	$(BIN)/mypy
	@cd docs && PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH="$(CURDIR)" \
		basedpyright --verifytypes wsharness --ignoreexternal >../.types.txt \
		|| { grep -B1 -A1 error: ../.types.txt; exit 1; }
	@grep "completeness score" .types.txt

layers: .venv/all.stamp
	$(BIN)/lint-imports

coverage: .coverage
	$(BIN)/coverage report

changes: .venv/all.stamp
	$(BIN)/towncrier build --draft

bench: .venv/all.stamp
	@$(BIN)/python -m benchmarks

fidelity: .venv/all.stamp
	@$(BIN)/python -m tests.differential.remeasure
	@$(BIN)/python -m pytest -q -s tests/test_fidelity.py

COUNT ?= 100
SEED ?= 1
differential: .venv/all.stamp
	@for level in message handshake frame; do $(BIN)/python -m tests.differential $$level $(COUNT) $(SEED) || exit 1; done

# The table of docs/servers.md, written anew from the profiles.
servers: .venv/all.stamp
	@$(BIN)/python -c "from pathlib import Path; from wsharness.differences import markdown; page = Path('docs/servers.md'); \
		text = page.read_text(); start = text.index('|  |'); end = text.index('## What in-process'); \
		page.write_text(text[:start] + markdown() + chr(10) * 2 + text[end:])"
truth: .venv/all.stamp
	@$(BIN)/python -m tests.bugs

docs: .venv/all.stamp
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv .coverage .coverage.* build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
