# The front door. `make run` and `make test` set up what they need; the other targets are for people at work on it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test check format setup setup-dev lock clean lab-speed lab-injection help

help:            ## What there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

run: $(VENV)/.run      ## Set up, and run the demonstration
	$(BIN)/sallygate demo

test: $(VENV)/.dev     ## Set up, and run the whole test suite
	$(BIN)/python -m pytest

check: $(VENV)/.dev    ## Format, lint, types, layers
	$(BIN)/ruff format --check src tests lab
	$(BIN)/ruff check src tests lab
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose | tail -n 30

format: $(VENV)/.dev   ## Put the code into its format
	$(BIN)/ruff format src tests lab
	$(BIN)/ruff check --fix src tests lab

lab-speed: $(VENV)/.dev  ## The speed figures of docs/performance.md
	$(BIN)/python -m lab.speed

setup: $(VENV)/.run
setup-dev: $(VENV)/.dev

# On Debian the module that makes environments is a package of its own.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.run: requirements.lock pyproject.toml $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

lock:            ## Renew the lock files
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--universal --extra build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--universal --extra build --group dev pyproject.toml -o requirements-dev.lock

clean:           ## Remove what was set up
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
