# Each command creates .venv and installs what it needs. `make help` lists the commands.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export TF_CPP_MIN_LOG_LEVEL ?= 3

VENV ?= .venv
LOWEST ?= .venv-lowest
BIN := $(VENV)/bin
# The first of these that runs and is new enough.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; done; echo python3)
# Arguments of the tool, for example: make test ARGS="-k cropper -x"
ARGS ?=
# Test processes; 0 runs the tests in pytest's own process, as a debugger needs.
WORKERS ?= 2
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadfile
FUZZ ?= --cases 20000 --output benchmarks/results/fuzz.json
comma := ,
# Any photo of one face from the front.
PHOTO ?= $(shell $(BIN)/python -c 'import skimage; print(skimage.__path__[0])')/data/astronaut.png

.PHONY: help demo test test-all check lint types imports hooks pytest fuzz test-dist test-lowest docs check-docs dist format bench bench-scale clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done
demo: $(VENV)/.installed-examples ## fit, tune, save and load on drawn faces, then read a real photo
	@$(BIN)/python examples/demo.py
test: check ## checks and quick tests
	$(PYTEST) -m "not slow and not zoo and not dist" tests $(ARGS)
test-all: check pytest ## checks, all tests and all doctests
check: lint types imports hooks ## all checks, without tests
lint: $(VENV)/.installed-dev ## style and format (ruff)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
types: $(VENV)/.installed-dev ## type hints (mypy)
	$(BIN)/mypy
imports: $(VENV)/.installed-dev ## direction of imports (import-linter)
	$(BIN)/lint-imports --no-logo
hooks: $(VENV)/.installed-dev ## pre-commit hooks on all files
	@if git rev-parse --git-dir >/dev/null 2>&1; then PATH="$(abspath $(BIN)):$$PATH" pre-commit run --all-files; else echo 'Not a git checkout: hooks are skipped.'; fi
pytest: $(VENV)/.installed-dev ## all tests and doctests, without checks
	$(PYTEST) $(ARGS)
fuzz: $(VENV)/.installed-dev ## harmful files (FUZZ="--cases 500" for fewer)
	nice -n 19 $(BIN)/python tests/fuzz/run.py $(FUZZ)
test-dist: $(VENV)/.installed-dev ## Dask workers and training on two devices
	$(BIN)/pytest -m dist tests/distributed tests/training/test_distribution.py $(ARGS)
test-lowest: $(LOWEST)/.installed ## all tests on the lowest version of every dependency
	$(LOWEST)/bin/python -m pytest $(ARGS)
docs: $(VENV)/.installed-docs ## documentation into build/html; warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html docs build/html $(ARGS)
check-docs: docs ## every page in headless Chromium: dead links, console errors, screenshots
	$(BIN)/python scripts/check_docs.py build/html build/screenshots
dist: $(VENV)/.installed-dev ## wheel and source archive in dist/, tried in an empty environment
	rm -rf dist
	$(BIN)/python scripts/build_dist.py dist
	$(BIN)/python scripts/check_dist.py dist $(PHOTO)
format: $(VENV)/.installed-dev ## fix style and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
bench: ## list the benchmarks
	@printf '$(BIN)/python %s --help\n' benchmarks/[!_]*.py
bench-scale: $(VENV)/.installed-dev ## memory and time of a million images (ARGS="--scale 0.1" for fewer)
	$(BIN)/python benchmarks/scale.py $(ARGS)
clean: ## remove .venv, caches and build products
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .coverage htmlcov .hypothesis .*_cache demo_output docs/{api/generated,api/backreferences,gallery,benchmarks}
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. The extra `dev` contains `examples`, and the site needs `dev` and `docs`.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo 'Installing skfer into $(VENV) (about 2 minutes the first time) ...'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[$(if $(filter docs,$*),dev$(comma)docs,$*)]'
	@$(BIN)/python scripts/check_opencv.py
	@touch $(VENV)/.installed-examples $(if $(filter examples,$*),,$(VENV)/.installed-dev) $@
# uv can resolve to the lowest versions that pyproject.toml allows.
$(LOWEST)/.installed: pyproject.toml
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet uv
	@$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra dev --output-file $(LOWEST)/requirements.txt pyproject.toml
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirements $(LOWEST)/requirements.txt --no-deps --editable .
	@touch $@
$(BIN)/python:
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo 'skfer needs Python 3.11 or newer with venv: "sudo apt-get install python3-venv", or make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
