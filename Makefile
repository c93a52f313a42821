# Each command creates .venv and installs what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
# The lowest versions that pyproject.toml allows, for `make test-lowest`.
LOWEST ?= .venv-lowest
# The first of these that runs and is new enough; python3 if none is, so that the message can name it.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; exit; fi; done; echo python3)
# A comma between the arguments of `call` would part them.
DEV_AND_DOCS := dev,docs
# Arguments of pytest: make test ARGS="-k cropper -x"
ARGS ?=
# Processes of the tests; 0 runs them in the process of pytest, as a debugger needs.
WORKERS ?= 2
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadfile

# TensorFlow's start-up notes are no news to anyone here.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help demo test test-all check lint types imports hooks pytest fuzz test-dist test-lowest docs check-docs dist format bench bench-scale clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-18s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.installed-examples ## fit, tune, save and reload on drawn faces, then read a real photo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.installed-dev ## checks and quick tests (ARGS="-k cropper" goes to pytest)
	@$(MAKE) --no-print-directory check
	$(PYTEST) -m "not slow and not zoo and not dist" tests $(ARGS)

test-all: $(VENV)/.installed-dev ## checks, all tests and doctests, about an hour
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory pytest

check: lint types imports hooks ## everything but the tests

lint: $(VENV)/.installed-dev ## style and format (ruff)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-dev ## type hints (mypy)
	$(BIN)/mypy

imports: $(VENV)/.installed-dev ## the layout's arrows (import-linter)
	$(BIN)/lint-imports --no-logo

hooks: $(VENV)/.installed-dev ## the pre-commit hooks on all files
	@if git rev-parse --git-dir >/dev/null 2>&1; then \
		echo '$(BIN)/pre-commit run --all-files'; $(BIN)/pre-commit run --all-files; \
	else echo 'Not a git checkout: pre-commit is left out.'; fi

pytest: $(VENV)/.installed-dev ## all tests and doctests, without the checks
	$(PYTEST) $(ARGS)

# The figures of docs/reliability.md. Each process is niced: wrong files are no hurry.
FUZZ ?= --cases 20000 --output benchmarks/results/fuzz.json
fuzz: $(VENV)/.installed-dev ## 20,000 wrong files, in watched processes (FUZZ="--cases 500")
	nice -n 19 $(BIN)/python tests/fuzz/run.py $(FUZZ)

test-dist: $(VENV)/.installed-dev ## searches on Dask workers and fits on two devices, some minutes
	$(BIN)/pytest -m dist tests/distributed tests/test_distribution.py $(ARGS)

test-lowest: $(LOWEST)/.installed ## the tests on the lowest versions of every dependency
	$(LOWEST)/bin/python -m pytest $(ARGS)

# Warnings are errors: a dead reference, a page nobody links to, an example that fails.
docs: $(VENV)/.installed-docs ## the documentation, into build/html: pages, API, gallery (some minutes)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html docs build/html $(ARGS)
	@echo 'Open build/html/index.html'

check-docs: docs ## every page in headless Chromium: dead links, console errors, screenshots
	$(BIN)/python scripts/check_docs.py build/html build/screenshots

# Any photo of one face from the front. scikit-image brings one of an astronaut.
PHOTO ?= $(shell $(BIN)/python -c 'import skimage; print(skimage.__path__[0])')/data/astronaut.png
dist: $(VENV)/.installed-dev ## wheel and source archive into dist/, tried in an empty environment
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python scripts/check_dist.py dist $(PHOTO)

format: $(VENV)/.installed-dev ## put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: ## say how the benchmarks are run
	@echo 'Benchmarks print ratios measured in one run; let nothing else run beside them.'
	@for script in benchmarks/[!_]*.py; do [ ! -e "$$script" ] || echo "  $(BIN)/python $$script --help"; done

bench-scale: $(VENV)/.installed-dev ## memory and time of a million images, a quarter of an hour (ARGS="--scale 0.1")
	$(BIN)/python benchmarks/scale.py $(ARGS)

clean: ## remove caches and build products, .venv too
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .coverage htmlcov .hypothesis
	rm -rf demo_output docs/api/generated docs/api/backreferences docs/gallery docs/benchmarks
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment -------------------------------------------------------------------

# What `dev` installs holds all of `examples`, so a test run serves the demo too.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(call install,dev)
	@touch $(VENV)/.installed-examples $@

$(VENV)/.installed-examples: pyproject.toml | $(BIN)/python
	$(call install,examples)
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/python
	$(call install,$(DEV_AND_DOCS))
	@touch $(VENV)/.installed-examples $(VENV)/.installed-dev $@

# pip resolves to the newest only; uv can take the lowest of what pyproject.toml names.
$(LOWEST)/.installed: pyproject.toml
	@echo 'Installing the lowest versions of what skfer needs into $(LOWEST) ...'
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet uv
	@$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--extra dev --output-file $(LOWEST)/requirements.txt pyproject.toml
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python \
		--requirements $(LOWEST)/requirements.txt --no-deps --editable .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c '' 2>/dev/null || { \
		echo 'skfer needs Python 3.11 or newer, and "$(PYTHON)" does not run. On Debian:'; \
		echo '    sudo apt-get update && sudo apt-get install -y python3 python3-venv'; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "skfer needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo 'With a newer one elsewhere:  make $(MAKECMDGOALS) PYTHON=/path/to/python3.11'; \
		exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Python $$version here lacks its venv module. Install it, then run make again:"; \
		echo "    sudo apt-get update && sudo apt-get install -y python$$version-venv"; exit 1; } >&2
	@echo 'Making $(VENV) with $(PYTHON) ...'
	@$(PYTHON) -m venv --clear $(VENV)

# pip names each package as it comes, on one line, instead of five lines for each.
define install
@echo 'Installing skfer and what it needs into $(VENV) (about 2 minutes the first time) ...'
@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable '.[$(1)]' \
	| while read -r step what _; do case $$step in \
		Collecting) printf ' %s' "$${what%%[^[:alnum:]._-]*}";; \
		Installing) [ "$$what" = collected ] && printf '\nUnpacking ...';; \
	esac; done; echo
@$(BIN)/python scripts/check_opencv.py
endef
