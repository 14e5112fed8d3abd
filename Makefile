# Commands of the project. `make run` and `make test` install what they need; the other targets are for contributors.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
# One worker for each core; an idle worker takes tests from another one.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-long check format pictures setup setup-dev lock clean lab-speed lab-injection lab-flood lab-clients lab-first-request lab-peers help

help:            ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

run: $(VENV)/.run      ## Set up, and run the demonstration
	@command -v curl >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends curl; } \
		|| echo "Without root: have curl installed for the lines that the demonstration prints"
	$(BIN)/sallygate demo

test: $(VENV)/.dev     ## Set up, and run the test suite: within five minutes on two idle cores
	$(PYTEST) -m "not long"

test-long: $(VENV)/.dev  ## The slow tests: within five minutes on two idle cores
	$(PYTEST) -m long

check: $(VENV)/.dev    ## Format, lint, types, layers
	$(BIN)/ruff format --check src tests lab
	$(BIN)/ruff check src tests lab
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev   ## Format the code
	$(BIN)/ruff format src tests lab
	$(BIN)/ruff check --fix src tests lab

pictures: $(VENV)/.dev ## Draw the pictures of docs/images from the code
	$(BIN)/python -m lab.diagrams
	$(BIN)/python -m lab.pictures

lab-speed: $(VENV)/.dev lab-peers  ## The speed figures of docs/performance.md
	$(BIN)/python -m lab.speed

lab-injection: $(VENV)/.dev  ## Detection rates of injection: docs/injection-evaluation.md
	$(BIN)/python -m lab.injection $(if $(DATA),--data $(DATA))

lab-flood: $(VENV)/.dev  ## Effects of floods and slow senders: docs/flood-evaluation.md
	@command -v slowhttptest >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends slowhttptest; } \
		|| echo "Without root: have slowhttptest installed"
	$(BIN)/python -m lab.flood

lab-clients: $(VENV)/.dev  ## Real products' own clients behind the gate: Chroma, Prefect, PocketBase
	$(BIN)/python -m lab.clients

lab-first-request: $(VENV)/.dev  ## Time from git clone to the first protected request of an API
	$(BIN)/python -m lab.first_request

lab-peers: .venv-lab/.peers  ## Install the peers of the measurements: from Debian, and in an environment of their own
	@for program in nginx wrk; do PATH=$$PATH:/usr/sbin command -v $$program >/dev/null && continue; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
			nginx libnginx-mod-http-modsecurity modsecurity-crs wrk && break; \
		echo "Without root: have nginx, libnginx-mod-http-modsecurity, modsecurity-crs and wrk installed"; done

.venv-lab/.peers: lab/requirements.lock
	test -x .venv-lab/bin/python || $(PYTHON) -m venv .venv-lab
	.venv-lab/bin/python -m pip --version >/dev/null 2>&1 || .venv-lab/bin/python -m ensurepip
	.venv-lab/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r lab/requirements.lock
	touch $@

# The patterns of injection are compiled once for a user; without a cache for them the first start compiles them.
setup: $(VENV)/.run    ## Set up, and compile the patterns of injection
	@$(BIN)/sallygate patterns || true
setup-dev: $(VENV)/.dev

# On Debian the module `venv` is a separate package.
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

lock:            ## Update the lock files
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--universal --extra build --extra demo pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--universal --extra build --extra demo --group dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		lab/requirements.in -o lab/requirements.lock
	$(BIN)/uv pip compile --quiet --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--resolution lowest-direct --extra demo --extra otel pyproject.toml -o .lowest.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--extra build --extra demo --extra otel --group dev -c .lowest.txt pyproject.toml -o requirements-lowest.lock
	rm .lowest.txt

test-lowest: .venv-lowest/.set  ## Unit, contract and attack tests with the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python -m pytest --numprocesses auto --dist worksteal -m "not long" tests/unit tests/contract tests/attack

.venv-lowest/.set: requirements-lowest.lock pyproject.toml
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-lowest.lock
	.venv-lowest/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	touch $@

clean:           ## Remove the environments and caches
	rm -rf $(VENV) .venv-lab .venv-lowest .pytest_cache .mypy_cache .ruff_cache .hypothesis
