# Every target bootstraps what it needs with plain python3 (3.11 or newer) into .venv, hashes required.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode

$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Loupe needs Python 3.11 or newer: make PYTHON=/path/to/python3.13 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.local: requirements/local.txt pyproject.toml $(VENV)/.uv
	@echo "Installing what the local cloud needs (no torch) ..."
	@$(INSTALL) -r $<
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.local
	@echo "Installing the development tools and torch (about 5 GB on disk) ..."
	@$(INSTALL) -r $<
	@touch $@
