PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
INSTALLED := $(VENV)/.installed
# It finds what is installed by the path, and shall not ask the registry whether it is the newest.
PYRIGHT := PATH="$$(cd $(BIN) && pwd):$$PATH" PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright
# Half a suite on each core; `make test PYTEST="-n0 -k …"` for one test.
PYTEST ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long chaos check docs bench generate schema sandbox clean

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Set up .venv with everything the other targets need

$(INSTALLED): pyproject.toml requirements/dev.txt requirements/docs.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-r requirements/dev.txt -r requirements/docs.txt -e '.[cli,dicom,progress,sandbox]'
	@touch $@

demo: $(INSTALLED) ## Do the main job on a sandbox: two cases up, a job on each, outputs in demo-output/
	$(BIN)/python examples/demo.py

test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest $(PYTEST)

test-long: $(INSTALLED) ## Run the tests that take minutes: files of gigabytes, 10,000 items, dozens of kills
	$(BIN)/python -m pytest -m long

chaos: $(INSTALLED) ## Run 300 seeded fault schedules over the workflows (about 2 minutes; RUNS=, SEED=)
	$(BIN)/python -m tests.support.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED))

check: $(INSTALLED) ## Lint, format, types, layers, and whether generated/ is what `make generate` makes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYRIGHT)
	$(PYRIGHT) --verifytypes gcapi --ignoreexternal
	$(PYRIGHT) --verifytypes grand_challenge_api --ignoreexternal
	$(PYRIGHT) --verifytypes gcapi_sandbox --ignoreexternal
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/generate.py --check

docs: $(INSTALLED) ## Build the site into site/; a broken link or reference fails
	$(BIN)/zensical build --clean --strict

bench: $(INSTALLED) ## Measure against the published client and the link's limit (about 8 minutes)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/run.py

generate: $(INSTALLED) ## Make generated/ from openapi/ (offline, the same bytes every time)
	$(BIN)/python scripts/generate.py

schema: $(INSTALLED) ## Pull the schema from SCHEMA_URL, show what changed, and regenerate (FORCE=1 to go on)
	$(BIN)/python scripts/schema.py

sandbox: $(INSTALLED) ## Start a local Grand Challenge to try things against; stop it with Ctrl-C
	$(BIN)/python -m gcapi_sandbox

clean: ## Remove .venv and what the targets made
	rm -rf $(VENV) .bench demo-output site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
