# What a fresh machine needs: make, Python 3.10 or newer, and the package index.

PYTHON ?= python3
ARGS ?=
# Extras of pyproject.toml for `make install`, with commas: EXTRAS=service,wandb
EXTRAS ?=
# Processes of tests: more than there are cores on a small machine, as many tests wait for others.
PROCESSES ?= 4

BIN := .venv/bin
# Empty files, as old as the last complete installation, without and with extras.
RUNTIME := .venv/.installed
DEV := $(RUNTIME)-dev
SERVICE := $(RUNTIME)-service
DOCS := $(RUNTIME)-docs

PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
ADVICE = make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3
CHECK_PYTHON = import sys; sys.exit(sys.version_info < (3, 10) and \
	"raysweep needs Python >= 3.10, $(PYTHON) is %d.%d; $(ADVICE)" % sys.version_info[:2])

.PHONY: help install quickstart serve test lint check bench docs clean

help:  ## Show the targets
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

install: $(RUNTIME)$(EXTRAS:%=-%)  ## Install raysweep into .venv (EXTRAS=service for some extras)

quickstart: $(RUNTIME)  ## Run examples/quickstart.yaml on this machine and print its table
	$(BIN)/raysweep run examples/quickstart.yaml

serve: $(SERVICE)  ## Start Ray and the service on this machine (ARGS="--port 8081")
	$(BIN)/raysweep serve --local $(ARGS)

test: $(DEV)  ## Run all tests (ARGS="-k name" for some)
	$(BIN)/pytest --numprocesses $(PROCESSES) --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: $(DEV)  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test  ## What CI runs: lint and test

bench: $(DEV)  ## Run the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DOCS)  ## Build the pages of docs/ as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

clean:  ## Remove .venv, the site and the tools' caches; results stay
	rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info

# Setuptools comes first, so that the project is built by the listed version of it.
$(RUNTIME): constraints.txt pyproject.toml | $(BIN)/pip
	@echo "installing into .venv: 2 GB, more with CUDA"
	@$(PIP_INSTALL) setuptools
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(RUNTIME)-%: $(RUNTIME)
	@echo "installing what the extra '$*' needs into .venv"
	@$(PIP_INSTALL) --no-build-isolation --editable '.[$*]'
	@touch $@

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON): not found; $(ADVICE)" >&2; exit 1; }
	@$(PYTHON) -c '$(CHECK_PYTHON)'
	@$(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }
