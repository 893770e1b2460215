# The commands of this project. Python >= 3.11 and make are all that must be installed; the rest goes into .venv.
#   make forecast ARGS="--prices my.csv --horizon 3"
#   make test ARGS=tests/ingest/test_dates.py
#   PYTHON=python3.12 make test

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# One process per core, at most four. ARGS="-n 0" runs the tests in one process.
PARALLEL := -n auto --maxprocesses 4
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help forecast ui test test-all lint format bench bench-gpu prior clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

forecast: .venv/.job ## forecast the sample in data/, and print where it wrote
	$(BIN)/python flows/daily_forecast.py $(ARGS)

ui: .venv/.job ## start a server, its deployments and a worker on this machine; Ctrl-C stops them all
	$(BIN)/daily-forecast ui $(ARGS)

test: .venv/.test ## run the tests, without the slow ones; ARGS=tests/ingest/test_dates.py runs one file
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

test-all: .venv/.test ## run all tests, and report which lines they did not reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PARALLEL) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/.test ## ruff, mypy --strict, the import contract, and pip-audit over the pinned versions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict forecasting flows
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

format: .venv/.test ## format the code, with ruff's fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.bench ## run the benchmarks; the first run installs the other libraries under .cache/bench
	for script in $$(ls tests/benchmarks/bench_*.py | grep -v bench_gpu); do $(BIN)/python $$script || exit 1; done

bench-gpu: .venv/.bench ## training steps per second on the processor and, where there is one, on a GPU
	$(BIN)/python tests/benchmarks/bench_gpu.py $(ARGS)

prior: .venv/.job ## fit on the sample what every LSTM starts from, and HAR's coefficients; the same bytes every time
	$(BIN)/python -m forecasting.model.pretrain

clean: ## remove the environments and caches, but not data/output
	rm -rf .venv .cache .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks build dist *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed (choose one with PYTHON=...); this is " + sys.version)'
	$(PYTHON) -m venv .venv

# One stamp per set of packages: the job itself installs no test tool.
.venv/.job: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing packages into .venv; the first time this takes a few minutes."
	$(INSTALL) -e .
	@touch $@

.venv/.test: .venv/.job
	$(INSTALL) -e '.[test]'
	@touch $@

.venv/.bench: .venv/.test
	$(INSTALL) -e '.[test,bench]'
	@touch $@
