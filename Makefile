# `make demo` and `make test` set everything up by themselves; a second call starts at once.
# `make help` prints the lines that have two hashes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/demo
READY := $(VENV)/ready
# The site has an environment of its own, so that nobody installs the tests' tools to read it.
SITE := $(VENV)/site
SITE_READY := $(SITE)/ready
# A worker a core, each with one thread (tests/conftest.py); who is done takes over from the others.
SIDE_BY_SIDE := --numprocesses auto --dist worksteal
# pip of the system installs into the environment: some Pythons come without ensurepip.
INSTALL = $(PYTHON) -m pip --python $(BIN)/python install --quiet -c constraints.txt -e

.PHONY: help demo test test-all check format docs release bench bench-docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO) ## train five small networks and show what their spikes are (1 minute)
	$(BIN)/limitcycle demo --out runs/demo

test: $(READY) check ## lint, types, import contracts, quick tests (4 minutes)
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-all: $(READY) check ## the same with the slow tests (tens of minutes)
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "slow or not slow"

check: $(READY) ## lint, types, import contracts alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(SITE_READY) ## the site, into build/site; warnings are errors
	$(SITE)/bin/python -m sphinx --fail-on-warning --keep-going --quiet docs build/site
	@echo "build/site/index.html"

release: $(READY) ## build the wheel, install it bare, run README's commands from it
	$(BIN)/python tools/release.py

# All that is claimed about speed, in one table and in bench.json; some of it: make bench ONLY=watch
bench: $(READY) ## measure what is claimed about speed; a part of it: ONLY=watch
	$(BIN)/python -m benchmarks.bench $(ONLY)

bench-docs: $(READY) ## the same, written into docs/performance.md
	$(BIN)/python -m benchmarks.bench --publish

# Two stamps: the demo does not wait for the tools of the tests.
$(DEMO): pyproject.toml constraints.txt
	@echo "Installing torch and what the demo needs into $(VENV), once: about 2 minutes (1.6 GB) …"
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(INSTALL) '.[lab,report]'
	@touch $@

$(READY): $(DEMO)
	@echo "Installing what the tests need into $(VENV), once: about 3 minutes (1 GB more) …"
	@$(INSTALL) '.[test]'
	@touch $@

$(SITE_READY): pyproject.toml constraints.txt
	@echo "Installing torch and what the site needs into $(SITE), once: about 3 minutes …"
	@$(PYTHON) -m venv --without-pip $(SITE)
	@$(PYTHON) -m pip --python $(SITE)/bin/python install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

clean: ## remove the environment and what was built; your runs stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@echo "Removed: the environment, what was built, the tools' caches. Left: your runs (runs/, and"
	@echo "wherever else --out led), and the cache of decoded data (LIMITCYCLE_CACHE, else"
	@echo "~/.cache/limitcycle)."
