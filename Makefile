# `make help` says what there is.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
BENCH_STAMP := $(VENV)/.bench-stamp
# The Python that makes the environment. Empty: the first good one of .ci/find-python.
PYTHON ?=
# Much of the time tests wait for real servers, so more of them run at once than there are cores, in
# the order of tests/turns.py. PARALLEL= runs one.
WORKERS ?= 4
PARALLEL ?= -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Arguments for pytest: make test ARGS="tests/unit -k limiter"
ARGS ?=
# What make soak does: how often it kills, what it draws, on which ledger (sqlite, postgresql, both).
KILLS ?= 1000
SEED ?= 1
DATABASE ?= both
CODE := sisgate workers beat_schedule.py tests testbed benchmarks examples

# Tests start hundreds of our processes: what those import is compiled once.
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
PIP_INSTALL := $(BIN)/python -m pip install --quiet
# From a lock: nothing whose hash is not written there, and no build backend from elsewhere.
INSTALL_LOCKED = $(PIP_INSTALL) --require-hashes --requirement locks/$(1).txt \
	&& $(PIP_INSTALL) --no-deps --no-build-isolation --editable .

.PHONY: help setup demo up test test-fast coverage browser soak docs lint format bench build lock sbom clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Make .venv with everything locked (PYTHON=python3.13 chooses the Python)

# Depends on what is installed, so an unchanged tree does nothing and a changed one installs again.
$(STAMP): pyproject.toml locks/dev.txt .ci/find-python
	@python=$$(.ci/find-python $(PYTHON)) || exit 1; \
	if ! $(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then \
		echo "setup: making $(VENV) with $$python"; \
		rm -rf $(VENV) && "$$python" -m venv $(VENV) || exit 1; \
	fi
	@echo "setup: installing pinned packages into $(VENV) (a minute or two the first time)"
	@$(call INSTALL_LOCKED,dev)
	@touch $(STAMP)
	@echo "setup: done. Next: make demo, make test"

$(BENCH_STAMP): $(STAMP) locks/bench.txt
	@echo "bench: installing the libraries that are compared with"
	@$(call INSTALL_LOCKED,bench)
	@touch $(BENCH_STAMP)

demo: $(STAMP) ## Start everything against the sandbox and show a sync
	@$(BIN)/sisgate demo

up: $(STAMP) ## Run Redis, workers, beat and Flower on this machine
	@$(BIN)/sisgate up

browser: ## Install Debian's Chromium for the browser tests, unless there is one
	@.ci/find-chromium --install >/dev/null

test: $(STAMP) ## Run all tests (ARGS="tests/unit -k words" narrows)
	@.ci/find-chromium --install >/dev/null || true
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-fast: $(STAMP) ## Run unit and contract tests only, in under a minute
	@$(BIN)/python -m pytest $(PARALLEL) --hypothesis-profile=fast tests/unit tests/contract $(ARGS)

coverage: $(STAMP) ## Measure what the tests cover that run in pytest's own process
	@mkdir -p build && rm -f build/coverage*
	@$(BIN)/python -m pytest $(PARALLEL) --cov --ignore=tests/faults --ignore=tests/acceptance --ignore=tests/browser $(ARGS)

soak: $(STAMP) ## Kill everything 1,000 times and count what broke (KILLS=, SEED=, DATABASE=)
	@$(BIN)/python -m tests.faults.soak --kills $(KILLS) --seed $(SEED) --database $(DATABASE) $(ARGS)

docs: $(STAMP) ## Write the parts of docs/ that are generated from the code
	@$(BIN)/python -m tests.unit.docs.generated

lint: $(STAMP) ## Check style, types, layers and house rules
	@failed=; \
	echo "lint: ruff check"; $(BIN)/ruff check --quiet . || failed=1; \
	echo "lint: ruff format"; $(BIN)/ruff format --quiet --check --diff . || failed=1; \
	echo "lint: mypy"; $(BIN)/mypy $(CODE) || failed=1; \
	echo "lint: import-linter"; $(BIN)/lint-imports --no-logo || failed=1; \
	echo "lint: house rules"; $(BIN)/python -m tests.lint.house_rules || failed=1; \
	test -z "$$failed"

format: $(STAMP) ## Rewrite the code in house style
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

bench: $(BENCH_STAMP) ## Measure throughput and compare with the alternatives
	@$(BIN)/python -m benchmarks $(ARGS)

build: $(STAMP) ## Build the wheel into dist
	@rm -rf dist
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' $(ARGS)

lock: $(STAMP) ## Write locks/ from pyproject.toml (ARGS=--upgrade renews all versions)
	@$(LOCK) pyproject.toml --extra all --group bench --output-file locks/bench.txt
	@$(LOCK) pyproject.toml --extra all --group dev --constraints locks/bench.txt --output-file locks/dev.txt
	@$(LOCK) pyproject.toml --extra postgres --extra worker --extra cli --extra web --constraints locks/bench.txt \
		--output-file locks/image.txt
	@$(LOCK) --group build --constraints locks/bench.txt --output-file locks/build.txt
	@$(LOCK) --group sbom --output-file locks/sbom.txt

# What the image holds: the tool lives in an environment of its own, so it does not list itself.
sbom: $(STAMP) ## Write the bill of materials of what runs in production to dist (CycloneDX)
	@rm -rf build/sbom && mkdir -p dist
	@$(BIN)/uv venv --quiet build/sbom/product && $(BIN)/uv venv --quiet build/sbom/tool
	@$(BIN)/uv pip install --quiet --python build/sbom/product --require-hashes --requirement locks/image.txt
	@$(BIN)/uv pip install --quiet --python build/sbom/tool --require-hashes --requirement locks/sbom.txt
	@build/sbom/tool/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-file dist/sisgate.cdx.json build/sbom/product/bin/python
	@echo "sbom: dist/sisgate.cdx.json"

clean: ## Remove caches and build output (keeps .venv and data)
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
