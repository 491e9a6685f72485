# Every target sets itself up in .venv on first use: a bare machine needs python3 (>= 3.11, with venv and pip) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the gauge's hooks are tried with: the real libraries.
LIBRARIES := aiohttp asyncpg psycopg-pool psycopg2-binary pymemcache redis requests sqlalchemy starlette werkzeug
DEV := build hypothesis mypy pre-commit pytest pytest-xdist ruff types-psutil types-PyYAML $(LIBRARIES)

.PHONY: demo test test-all fix bench docs clean

demo: $(VENV)/.demo
	$(BIN)/prony demo

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile -m "not long and not alone"
	$(BIN)/pytest -m "alone and not long"

test-all: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python bench/engine.py
	$(BIN)/python bench/accuracy.py
	$(BIN)/python bench/fuzz.py
	$(BIN)/python bench/gauge.py
	$(BIN)/python bench/journey.py
	$(BIN)/python bench/stack.py

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
