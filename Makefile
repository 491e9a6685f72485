# Every target sets itself up in .venv on first use: a bare machine needs python3 (>= 3.11, with venv and pip) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the gauge's hooks are tried with: the real libraries.
LIBRARIES := aiohttp asyncpg psycopg-pool psycopg2-binary pymemcache redis requests sqlalchemy starlette werkzeug
DEV := brotli build dnspython hdrhistogram hypothesis MLRsearch mypy pre-commit pyarrow pytest pytest-xdist ruff \
	types-psutil types-PyMySQL types-PyYAML $(LIBRARIES)

.PHONY: demo test test-all fix bench docs clean

demo: $(VENV)/.demo
	$(BIN)/prony demo

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist loadfile -m "not long and not alone"
	$(BIN)/pytest -m "alone and not long"

test-all: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BENCH=--quick makes each smaller. bench/install_peers gets the load generators to compare with.
bench: $(VENV)/.dev
	@echo "about two and a half hours on a calm machine, more than half of it bench/repeat.py; BENCH=--quick: about eleven minutes" >&2
	$(BIN)/python bench/engine.py $(BENCH)
	$(BIN)/python bench/accuracy.py $(BENCH)
	$(BIN)/python bench/fuzz.py $(BENCH)
	$(BIN)/python bench/gauge.py $(BENCH)
	$(BIN)/python bench/journey.py $(BENCH)
	$(BIN)/python bench/probes.py $(BENCH)
	$(BIN)/python bench/stack.py $(BENCH)
	$(BIN)/python bench/search.py $(BENCH)
	$(BIN)/python bench/truth.py $(BENCH)
	$(BIN)/python bench/repeat.py $(BENCH)

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "prony needs Python 3.11 or newer; $(PYTHON) is older. Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 3; }
	@touch $@

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(DEV)
	@touch $@

clean:
	rm -rf $(VENV)
