# Every command a person needs. Each sets itself up in .venv the first time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NATIVE := CMakeLists.txt $(wildcard src/glasscell/native/*)

# The module is built in .venv itself, not in an environment of its own for each build: with the
# pinned versions, and going on from the last build.
BUILDERS := scikit-build-core nanobind cmake ninja

# Where a compiler and Python's headers are at hand, a module that does not build is an error;
# elsewhere the install goes without it.
COMPILER = $(if $(filter default,$(origin CXX)),c++,$(CXX))
INCLUDE  = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
GLASSCELL_NATIVE ?= $(shell $(COMPILER) -fsyntax-only -x c++ -I'$(INCLUDE)' -include Python.h \
  /dev/null >/dev/null 2>&1 && echo 1 || echo 0)

# A program of the kernels without Python: in which folder, with which sanitizers and variants.
COMMA := ,
SANITIZED = $(BIN)/cmake -S . -B build/$(1) -G Ninja -DGLASSCELL_SANITIZE=$(2) \
  -DGLASSCELL_VARIANTS=$(3) -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) && \
  $(BIN)/cmake --build build/$(1)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format bench docs sanitize clean

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.packages: pyproject.toml constraints.txt
	@echo "installing what Glasscell needs into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet torch $(BUILDERS) -c constraints.txt
	GLASSCELL_NATIVE=0 $(BIN)/python -m pip install --quiet --no-build-isolation \
	  --editable '.[dev]' -c constraints.txt
	@touch $@

$(READY): $(VENV)/.packages $(NATIVE)
	@native=$(GLASSCELL_NATIVE); \
	if [ $$native = 0 ]; then echo "building without the native engine, see CONTRIBUTING.md"; fi; \
	if [ $$native != 0 ]; then echo "compiling the kernels, which takes some minutes"; fi; \
	GLASSCELL_NATIVE=$$native \
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY)  ## train an LSTM on real text for about a minute and look inside it
	@$(BIN)/glasscell demo --force

test: $(READY)  ## the fast tests
	$(BIN)/python -m pytest

test-slow: $(READY)  ## every test, the slow ones included
	$(BIN)/python -m pytest -m 'slow or not slow'

lint: $(READY)  ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: $(READY)  ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## peers side by side, in one run
	$(BIN)/glasscell bench

docs: $(READY)  ## the pages about the variants, written anew
	$(BIN)/python -m glasscell.explaining.variant_pages docs/variants

sanitize: $(VENV)/.packages  ## the kernels under AddressSanitizer, UBSan and ThreadSanitizer
	$(call SANITIZED,sanitize,address$(COMMA)undefined,$(or $(GLASSCELL_VARIANTS),all))
	build/sanitize/exercise
	$(call SANITIZED,sanitize-threads,thread,avx2)
	build/sanitize-threads/exercise threads

clean:  ## remove what the other commands made
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
