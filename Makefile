# `make demo` and `make test` set everything up by themselves; a second call starts at once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# A worker a core, each with one thread (tests/conftest.py); who is done takes over from the others.
SIDE_BY_SIDE := --numprocesses auto --dist worksteal

.PHONY: demo test test-all check format bench bench-docs clean

demo: $(READY)
	$(BIN)/limitcycle demo --out runs/demo

test: $(READY) check
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-all: $(READY) check
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "slow or not slow"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All that is claimed about speed, in one table and in bench.json; some of it: make bench ONLY=watch
bench: $(READY)
	$(BIN)/python -m benchmarks.bench $(ONLY)

bench-docs: $(READY)
	$(BIN)/python -m benchmarks.bench --publish

# pip of the system installs into the environment: some Pythons come without ensurepip.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
