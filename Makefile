SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules
.DEFAULT_GOAL := help

PYTHON ?= python3
PY := .venv/bin/python
INSTALLED := .venv/.installed
ARGS ?=
PYTHON_IMAGE ?=
# The suite starts two hundred processes: none of them should compile everything again.
unexport PYTHONDONTWRITEBYTECODE
TSC := web/node_modules/.bin/tsc

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: $(INSTALLED) ## Make .venv and install the locked packages (run and test do it too)

.PHONY: run
run: $(INSTALLED) ## Start everything on this machine and print the address to open
	@if [ -f .env ]; then set -a; source ./.env; set +a; fi; exec $(PY) -m tests.local

FLAGS ?=
.PHONY: probe
probe: $(INSTALLED) ## Ask every configured way to mint once and say what to mend
	@if [ -f .env ]; then set -a; source ./.env; set +a; fi; ENVIRONMENT=$${ENVIRONMENT:-development} $(PY) -m broker probe $(FLAGS)

.PHONY: test
test: $(INSTALLED) ## Run all tests, with a real browser and real speech
	@$(PY) -m tests.chromium
	@$(PY) -m tests.enrichment.postgres
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder --ignore tests/test_fault_drill.py
	@$(PY) -m pytest tests/test_fault_drill.py

.PHONY: check
check: $(INSTALLED) $(TSC) ## Check format, lint and types of Python and JavaScript, Bicep, workflows and shell
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m tests.node $(TSC) -p web
	@$(PY) -m tests.bicep
	@$(PY) -m tests.pipelines

.PHONY: audit
audit: $(INSTALLED) ## Look up the known weaknesses of every locked package (asks public advisories)
	@$(PY) -m pip_audit --requirement requirements.lock --require-hashes --disable-pip --strict --progress-spinner off
	@$(PY) -m tests.node npm audit --prefix web
	@$(PY) -m tests.node npm audit --prefix tests/web/consumer

.PHONY: sbom
sbom: $(INSTALLED) ## Write what is installed as CycloneDX to .bench/sbom.json
	@mkdir -p .bench
	@$(PY) -m cyclonedx_py environment --pyproject pyproject.toml --output-reproducible --output-file .bench/sbom.json
	@$(PY) -c 'import json; print(len(json.load(open(".bench/sbom.json"))["components"]), "components in .bench/sbom.json")'

.PHONY: fmt
fmt: $(INSTALLED) ## Format Python and apply the safe lint fixes
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix-only .

.PHONY: bench
bench: bench-mint bench-calls bench-enrich ## Run every benchmark; results go to .bench/

.PHONY: bench-mint
bench-mint: $(INSTALLED) ## Measure what a mint costs, beside a floor and the peers, which it fetches (6 minutes)
	@$(PY) -m tests.bench.mint

.PHONY: bench-calls
bench-calls: $(INSTALLED) ## Make 20 spoken calls in a row and read each one back from memory
	@$(PY) -m tests.chromium
	@$(PY) -m tests.bench.calls

.PHONY: bench-connect
bench-connect: $(INSTALLED) ## Measure from click to call beside a page written by hand, and the silence when a call moves (4 minutes)
	@$(PY) -m tests.chromium
	@$(PY) -m tests.bench.connect

.PHONY: bench-faults
bench-faults: $(INSTALLED) ## Put the broker to 11 mixes of faults of Azure (hours; 20 seconds with ARGS=--short)
	@$(PY) -m tests.bench.faults $(ARGS)

.PHONY: chaos
chaos: $(INSTALLED) ## Kill, cut, fill, freeze and shuffle under load: no acknowledged turn may be lost (20 minutes; one with ARGS=--short)
	@$(PY) -m tests.chaos $(ARGS)

.PHONY: soak-browser
soak-browser: $(INSTALLED) ## End 300 visits while a page speaks: no turn it stored may be lost or doubled (4 minutes; one with ARGS=--short)
	@$(PY) -m tests.chromium
	@$(PY) -m tests.bench.soak_browser $(ARGS)

.PHONY: bench-enrich
bench-enrich: $(INSTALLED) ## Measure accepting, delivering and reading back, beside the bare engine (10 minutes; two with ARGS=--short)
	@$(PY) -m tests.bench.enrich $(ARGS)

RESOLVE := -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet
.PHONY: lock
lock: $(INSTALLED) ## Resolve the dependencies of pyproject.toml again into requirements.lock, and what the image takes of it
	@$(PY) -m pip install --quiet uv
	@$(PY) $(RESOLVE) --all-extras --upgrade --output-file requirements.lock pyproject.toml
	@$(PY) $(RESOLVE) --extra postgres --extra zep-cloud --extra azure-monitor --constraint requirements.lock \
	  --output-file requirements-image.lock pyproject.toml
	@echo cyclonedx-bom | $(PY) $(RESOLVE) --constraint requirements.lock --output-file requirements-sbom.lock -

.PHONY: image
image: ## Build the container image of both apps (needs Docker; PYTHON_IMAGE=…@sha256:… says on which bytes)
	@docker build --pull --tag voicelive --build-arg REVISION="$$(git rev-parse HEAD)" $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) .

.PHONY: clean
clean: ## Remove what was installed, measured and remembered here
	rm -rf .venv .data .bench web/node_modules web/types tests/web/consumer/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say which with: make PYTHON=python3.x ...")'
	@echo "Installing the locked packages into .venv (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(TSC): web/package-lock.json
	@$(PY) -m tests.node npm ci --prefix web --no-audit --no-fund --loglevel=error
	@touch $@
