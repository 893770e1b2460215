# Everything a day with this project needs. Only Python >= 3.11 and make are asked for; the rest goes into .venv.
#   make forecast ARGS="--prices my.csv --horizon 3"      PYTHON=python3.12 make test

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help forecast ui test test-all lint format bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

forecast: .venv/.job ## forecast the sample in data/, and say where it wrote
	$(BIN)/python flows/daily_forecast.py $(ARGS)

ui: .venv/.job ## bring up a server, its deployments and a worker on this machine; Ctrl-C takes all down
	$(BIN)/python -m flows.ui $(ARGS)

test: .venv/.test ## the test suite, without what takes long
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-all: .venv/.test ## the test suite, all of it
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.test ## ruff, mypy --strict, the import contract, and pip-audit over the pinned versions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict forecasting flows
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

format: .venv/.test ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.bench ## measure; the first run makes the peers' own environments under .cache/bench
	for script in tests/benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean: ## remove the environments and caches; data/output stays
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks build dist *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, PYTHON=... says which; this is " + sys.version)'
	$(PYTHON) -m venv .venv

# A stamp for each set of packages: the job installs no test tool.
.venv/.job: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) -e .
	@touch $@

.venv/.test: .venv/.job
	$(INSTALL) -e '.[test]'
	@touch $@

.venv/.bench: .venv/.test
	$(INSTALL) -e '.[test,bench]'
	@touch $@
