# Everything a developer or a newcomer runs. Needs Linux or macOS, Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Each worker of `make test` starts servers of its own: 1.5 GB. FILE=tests/… runs a part.
WORKERS ?= 3
FILE ?=
# How long `make soak` lasts; below 20 it gives no verdict on memory.
MINUTES ?= 60
TRUSTING := $(BIN)/python requirements/system_trust.py

# What is installed but not imported by the product, or seldom: half of all code, compiled when it is needed.
NOT_COMPILED := /(tests?|rllib|tune|train|llm|ray/data|mypyc?|pip(_api)?|pygments|schemathesis|hypothesis|graphql|_pytest|werkzeug|lightkube|kopf|cyclonedx|virtualenv|jgo|pyasn1_modules|schema_registry|distutils|f2py|openai/(types|resources)|opentelemetry/semconv)/

# Some machines switch bytecode off; a dozen Ray processes would then compile everything at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up down status check test-unit test test-k8s test-k8s-pods faults soak acceptance bench bench-quick score lint docs reference format crds lock pooler audit version release coverage hooks kind-up kind-demo kind-down clean
.DEFAULT_GOAL := help

help: ## Show these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Set everything up, send a bad deploy, show the incident with its cause
	@$(BIN)/signals demo

up: $(READY) ## Start servers, Ray, both APIs and all actors in the background
	@$(BIN)/signals up

down: $(READY) ## Stop them; data stays
	@$(BIN)/signals down

status: $(READY) ## Show what runs, lags and costs
	@$(BIN)/signals status

check: $(READY) ## Check format, lint, contracts and the quick unit tests (20 seconds)
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest tests/unit -q -n 2 -m "not slow"

test-unit: $(READY) ## Run all unit tests: no servers (a minute)
	@$(BIN)/pytest tests/unit -q -n 2

test: $(READY) ## Run all tests on real servers of their own, several at a time (WORKERS=3)
	@$(BIN)/pytest -n $(WORKERS) --no-loadscope-reorder --durations=20 $(FILE) \
	  -m "not acceptance and not faults and not pooler and not kubernetes and not pods"

coverage: $(READY) ## Measure what the unit tests reach; the page is htmlcov/index.html
	@$(BIN)/pytest tests/unit -q -n 2 --cov --cov-report=term --cov-report=html

test-k8s: $(READY) ## Test CRDs, operator and chart on a real Kubernetes control plane (needs Go; built once)
	@PYTHON="$$PWD/$(BIN)/python" tests/k8s/rig/build.sh control-plane kuberay tools docker
	@$(BIN)/pytest tests/k8s/control_plane -m kubernetes --timeout=600

test-k8s-pods: $(READY) ## Test the product in real pods (Linux, root, Debian 12 with cgroup v1; half an hour)
	@$(BIN)/pytest tests/k8s/pods -m pods -s

faults: $(READY) ## Hurt every part hundreds of times and print what it cost (one to two hours)
	@$(BIN)/pytest tests/system/faults -m "faults or faults_quick" --timeout=1800

soak: $(READY) ## Kill a process each minute under traffic; fail when memory grows or an event is lost (MINUTES=60)
	@SOAK_MINUTES=$(MINUTES) $(BIN)/pytest tests/system/faults/test_soak.py -m faults -s

acceptance: $(READY) ## Run the ten-minute acceptance run (docs/requirements.md, R38)
	@$(BIN)/pytest -m acceptance -s

bench: $(READY) ## Measure every hop against its limit and its peers, write docs/operations/performance.md (40 minutes)
	@$(BIN)/python -m benchmarks all

bench-quick: $(READY) ## Compare our hops with their limits alone; fails on a regression (5 minutes)
	@$(BIN)/python -m benchmarks quick

score: $(READY) ## Run the labelled detection corpus, in part on real servers; fails when a figure fell (2 minutes)
	@$(BIN)/python -m benchmarks.detection $(ARGS)

lint: $(READY) ## Check format, lint, types, import contracts, spelling and locks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@$(BIN)/python requirements/check.py

docs: $(READY) ## Build the documentation site into site/, strictly; the reference pages must be current
	@$(BIN)/python -m docs.writers --check
	@$(BIN)/zensical build --clean --strict

reference: $(READY) ## Write the reference pages again after a change of settings, commands, routes or types
	@$(BIN)/python -m docs.writers

format: $(READY) ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

pooler: $(READY) ## Run what uses PostgreSQL through PgBouncer (apt install pgbouncer)
	@$(BIN)/pytest --pooler tests/integration/store tests/integration/detection tests/integration/indexing tests/integration/operations \
	  tests/integration/summary tests/integration/core tests/integration/ingest tests/system/tls/test_pooler.py

audit: $(READY) ## Ask an advisory service about every locked dependency (needs the network)
	@$(BIN)/python requirements/audit.py

crds: $(READY) ## Write the CRDs and the chart's schema again after a change of their types
	@$(BIN)/python -m k8s.operator.crds
	@$(BIN)/python -m k8s.operator.values_schema

lock: $(READY) ## Write locks and licences again, all versions moved (KEEP=1: only what pyproject.toml asks)
	@$(TRUSTING) $(BIN)/python requirements/lock.py $(if $(KEEP),--keep)
	@$(BIN)/python requirements/licences.py

hooks: $(READY) ## Run the quick checks before each commit (pre-commit)
	@$(TRUSTING) $(BIN)/uv tool run pre-commit install

version: $(READY) ## Write a new version everywhere: make version TO=0.2.0
	@$(BIN)/python -m release.version $(TO)

release: $(READY) ## Build sdist, wheel, chart and checksums of this commit into dist/
	@$(BIN)/python -m release.build

kind-up: ## Run the product on Kubernetes in Docker (needs docker, kind, kubectl, helm)
	@k8s/kind/kind.sh up

kind-demo: ## Send an outage there and wait for its incident
	@k8s/kind/kind.sh demo

kind-down: ## Remove that cluster
	@k8s/kind/kind.sh down

clean: ## Remove the virtual environment and caches; the stack's data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 …"; exit 1; }
	@echo "installing the locked dependencies into .venv (half a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { echo "Python's venv module does not work here; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(TRUSTING) $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@$(TRUSTING) $(BIN)/uv pip sync -q --require-hashes --python $(BIN)/python requirements/dev.lock
	@$(BIN)/python -m compileall -qq -j 0 -x '$(NOT_COMPILED)' .venv/lib || true # what cannot be compiled is not run
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $(READY)
