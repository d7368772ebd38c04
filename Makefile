# Needs python3 (3.11 or later) with venv; all else goes into .venv, from the pins in constraints/.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test check format lint types imports wire images bench soak lock protos baseline clean

PYTHON ?= python3
BIN := .venv/bin
# A package index to take torch from, where the usual one has only builds you do not want (say, CUDA on a small machine).
TORCH_INDEX ?=
# Changed pins make a new stamp, so everything is installed once, and again only when it has to be.
KEY := $(shell cat pyproject.toml constraints/dev.txt constraints/torch.txt | cksum | cut -d' ' -f1)
STAMP := .venv/.installed-$(KEY)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off

help: ## says what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## builds .venv with all that the others need (TORCH_INDEX=url: where torch comes from)

$(STAMP):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Forewarn needs Python 3.11 or later: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --no-deps --require-hashes -r constraints/dev.txt
	$(PIP) -c constraints/torch.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) 'torch==2.13.*'
	$(PIP) --no-build-isolation -c constraints/torch.txt -e '.[all,dev]'
	rm -f .venv/.installed-*
	touch $@

demo: install ## runs the whole loop and prints the page's address
	$(BIN)/forewarn demo $(ARGS)

# What failed beside others runs once more by itself, so that a busy machine is told from a defect; both are printed.
test: install ## runs all tests (ARGS="-k name" for some)
	$(BIN)/pytest $(ARGS) || { [ $$? -eq 1 ] && echo "== UNSTEADY OR BROKEN: the failed ones once more, by themselves" && \
	$(BIN)/pytest --last-failed --last-failed-no-failures=none --numprocesses=0 $(ARGS); }

check: format lint types imports wire images test ## everything that CI checks, the tests last

format: install
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports --no-logo

# Only a release moves the baseline: `make baseline` when it is tagged, never to silence this.
wire: install
	$(BIN)/buf lint
	$(BIN)/buf breaking --against protos/baseline.binpb
	$(BIN)/python -m protos.generate --check

images: install
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

bench: install ## runs the benchmarks (ONLY=edge, ingest, diagnosis; on request budget, scale, wire, growth, rigs, training, science)
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: install ## kills processes and cuts links for 100 rounds; nothing may be lost or doubled (ARGS="--rounds 500")
	$(BIN)/python -m tests.soak $(ARGS)

lock: install ## pins every extra in constraints/ anew (ARGS=--upgrade: to the newest versions)
	$(BIN)/python constraints/lock.py $(ARGS)

protos: install ## writes the generated code beside each .proto
	$(BIN)/python -m protos.generate

baseline: install ## moves the wire's baseline; only a release does
	$(BIN)/buf build --exclude-source-info -o protos/baseline.binpb

clean: ## removes .venv and all that checks and tests left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist demo-data *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
