PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALLED := $(VENV)/.installed
# pyright finds the environment through PATH; the variable disables its check for a newest version.
PYRIGHT := PATH="$$(cd $(BIN) && pwd):$$PATH" PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
# Three processes fill two CPUs, because many tests wait for something. Work stealing keeps the tests of a module in one
# process, where they share a sandbox.
# `make test PYTEST="-n0 -k …"` runs a single test in one process.
PYTEST ?= -n 3 --dist worksteal
# Without bytecode, every program that a test starts would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
CHECKS := check-pyright check-mypy check-generated check-style
.PHONY: help install demo test test-long chaos check $(CHECKS) docs screenshots bench bench-scale generate schema sandbox lock clean

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Set up .venv with everything the other targets need

# In two steps, because a folder has no hash. Without isolation, nothing is downloaded that has none.
$(INSTALLED): pyproject.toml requirements/tools.txt
	@echo "Setting up $(VENV) with the development tools; this takes about a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements/tools.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## Add two cases to a sandbox, run a job on each, write the outputs to demo-output/
	$(BIN)/python examples/demo.py

test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest $(PYTEST)

test-long: $(INSTALLED) ## Run the slow tests: files of gigabytes, 10,000 items, dozens of kills
	$(BIN)/python -m pytest -m long

chaos: $(INSTALLED) ## Run workflows under 300 seeded fault schedules (about 3 minutes; RUNS=, FIRST=, SEED=)
	$(BIN)/python -m tests.support.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED))

# uv is not among the tools: CONTRIBUTING.md says how to get it. It resolves for all systems and Python versions at once.
lock: ## Pin the tools in requirements/*.in, and all that they need, with their hashes
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements/tools.txt \
		requirements/dev.in requirements/docs.in pyproject.toml \
		--extra cli --extra dicom --extra progress --extra sandbox

check: $(CHECKS) ## Check lint, format, types, layers and generated/ (-j2 is faster)

check-pyright: $(INSTALLED)
	$(PYRIGHT)
	$(PYRIGHT) --verifytypes gcapi --ignoreexternal
	$(PYRIGHT) --verifytypes grand_challenge_api --ignoreexternal
	$(PYRIGHT) --verifytypes gcapi_sandbox --ignoreexternal

check-mypy: $(INSTALLED)
	$(BIN)/mypy

check-generated: $(INSTALLED)
	$(BIN)/python scripts/generate.py --check
	$(BIN)/python scripts/reference.py --check

check-style: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

docs: $(INSTALLED) ## Build the documentation into site/; fail on a broken link or reference
	$(BIN)/zensical build --clean --strict

screenshots: $(INSTALLED) ## Make the screenshots and the notebook of the documentation (needs Chromium, LibreOffice)
	$(BIN)/python scripts/screenshots.py

bench: $(INSTALLED) ## Compare the speed with gcapi 0.16.1 (about 12 minutes)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/run.py

bench-scale: $(INSTALLED) ## Measure bulk transfers of up to 50,000 rows (about 6 minutes)
	$(BIN)/python benchmarks/scale.py

generate: $(INSTALLED) ## Generate generated/ from openapi/ (offline, reproducible)
	$(BIN)/python scripts/generate.py
	$(BIN)/python scripts/reference.py

schema: $(INSTALLED) ## Pull the schema from SCHEMA_URL, list the changes, and generate (FORCE=1 to override)
	$(BIN)/python scripts/schema.py

sandbox: $(INSTALLED) ## Start a local Grand Challenge; stop it with Ctrl-C
	$(BIN)/python -m gcapi_sandbox

clean: ## Remove .venv and all build results
	rm -rf $(VENV) .bench demo-output site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
