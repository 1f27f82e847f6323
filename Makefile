# make demo   real models from torch, compiled, run sparse and compared with torch
# make test   everything: checks, unit, end-to-end and lit tests, one summary at the end
# make fuzz   random programs and mutated text until Ctrl-C; N=1000 for so many of each, SEED=7 to choose where they begin
# make bench  ten minutes of benchmarks against torch, zentorch and others, into bench/results, and their figures; ONLY=moe for some
# make emulate  the end-to-end tests again, for a GPU, in the emulator; ONLY="test_experts or test_models" for some
# make check  format, lint, types, import law, size budget
# make sanitize  libpit_runtime with ASan and UBSan, with TSan, with guard pages, and their tests
# make format puts the sources into the format that `make check` asks for
#
# Each does the set-up it needs in .venv; what is up to date is left alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMPS := build/stamps
NATIVE := CMakeLists.txt $(wildcard pit_mlir/runtime/native/* pit_mlir/runtime/native/*/*)
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: demo test emulate fuzz bench sanitize check format setup clean
.DEFAULT_GOAL := test

demo: setup
	$(BIN)/python -m examples.demo

test: setup
	@$(BIN)/python tests/run_all.py

emulate: setup
	@PIT_TARGET=emulator $(BIN)/python -m pytest -n auto $(if $(ONLY),-k "$(ONLY)") tests/e2e

fuzz: setup
	@$(BIN)/python -m tests.fuzz all $(if $(N),--n $(N)) $(if $(SEED),--seed $(SEED))

bench: setup $(STAMPS)/bench
	@$(BIN)/python -m bench.subset $(if $(ONLY),--only "$(ONLY)")

check: setup
	@$(BIN)/python tests/run_all.py check

sanitize: setup
	@$(BIN)/python tests/sanitize.py

format: setup
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

setup: $(STAMPS)/installed

# A wheel of torch without CUDA is a tenth of the size; not every index has one under a version of its own.
$(STAMPS)/dependencies: constraints.txt pyproject.toml
	@mkdir -p $(STAMPS)
	@$(PYTHON) .ci/supported.py
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing dependencies (minutes, the first time)"
	@$(PIP) install --constraint constraints.txt pip
	@$(PIP) install --constraint constraints.txt "torch==$(TORCH)+cpu" 2>/dev/null || echo "pip sees no +cpu build of torch $(TORCH): taking the plain one"
	@$(PIP) install --constraint constraints.txt scikit-build-core cmake ninja
	@$(BIN)/python .ci/requirements.py hf test > build/requirements.txt
	@$(PIP) install --constraint constraints.txt --requirement build/requirements.txt
	@touch $@

$(STAMPS)/bench: $(STAMPS)/dependencies
	@echo "installing what is measured against"
	@$(BIN)/python .ci/requirements.py bench > build/requirements-bench.txt
	@$(PIP) install --constraint constraints.txt --requirement build/requirements-bench.txt
	@touch $@

$(STAMPS)/installed: $(STAMPS)/dependencies $(NATIVE)
	@echo "building libpit_runtime and installing pit_mlir in $(VENV)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

clean:
	rm -rf build
