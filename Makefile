# Two commands matter: `make demo` and `make test`. `make help` explains the rest.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check bench chaos simulate docs env fmt lock

PYTHON ?= python3.11
UV_VERSION := 0.13.8
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_DATA ?= demo-data
MINUTES ?= 2
LANES ?= 2

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv with everything pinned

$(STAMP): requirements/full.lock requirements/ppo.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/full.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --target .venv/trl-ppo -r requirements/ppo.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

demo: setup ## Analyse, fine-tune and evaluate a real model, and show that it got better
	$(BIN)/python -m examples.demo --data-dir $(DEMO_DATA)

up: setup ## Keep the mesh running; prints URLs and where the key is
	exec $(BIN)/imts up $(UP)

test: setup ## Every test: unit, house, contract, integration, end to end, chaos
	$(BIN)/pytest tests -n $(LANES) --dist loadfile --no-loadscope-reorder $(PYTEST)

check: setup ## Style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.documents --check

bench: setup .venv-bench/.installed ## Measure, and print ratios; BENCH="memory overhead" chooses
	$(BIN)/python -m tests.bench $(BENCH)

.venv-bench/.installed: requirements/bench.lock
	$(PYTHON) -m venv .venv-bench
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements/bench.lock
	touch $@

chaos: setup ## Break things on purpose, at length; SEED=… MINUTES=… make the same faults again
	CHAOS_SEED=$(SEED) CHAOS_MINUTES=$(MINUTES) $(BIN)/pytest tests/chaos -rP $(PYTEST)

simulate: setup ## Run the reconciler through SEEDS simulated worlds (100000), from FIRST on (0)
	$(BIN)/python -m tests.simulation $(or $(FIRST),0) $(or $(SEEDS),100000)

docs: setup ## Write the generated parts of the documents
	$(BIN)/python -m tools.documents

env: .env ## Write .env with random secrets for docker-compose, once

.env:
	umask 077; random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }; \
	printf 'IMTS_SERVICE_SECRET=%s\nIMTS_API_KEY=imts-%s\nMYSQL_PASSWORD=%s\n' "$$(random)" "$$(random)" "$$(random)" > $@

fmt: setup ## Format, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11.2 pyproject.toml
SUBSET = --constraints requirements/full.lock

lock: setup ## Resolve the pins in requirements/ again
	$(COMPILE) --extra data --extra analysis --extra engine --extra dev --upgrade -o requirements/full.lock
	$(COMPILE) $(SUBSET) -o requirements/service.lock
	$(COMPILE) $(SUBSET) --extra data -o requirements/orchestrator.lock
	$(COMPILE) $(SUBSET) --extra analysis -o requirements/analyzer.lock
	$(COMPILE) $(SUBSET) --extra engine -o requirements/engine.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11.2 requirements/bench.in \
		-o requirements/bench.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11.2 --no-deps requirements/ppo.in \
		-o requirements/ppo.lock
