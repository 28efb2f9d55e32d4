# Everything a developer or a CI machine runs. `make help` lists the verbs.
PYTHON ?= python3
SPEECH ?= $(or $(HALFBYTE_DATA),../shared/speech)

DEMO := .venv-demo
TEST := .venv
BENCH := .venv-bench
SOURCES := pyproject.toml CMakeLists.txt README.md LICENSE NOTICE \
  $(shell find src csrc -type f ! -name '*.so' ! -name '*.pyc')
WEIGHTS := ./packages/halfbyte-en-voice-weights
RECORDING := src/halfbyte/assets/demo.wav
HOUSE_TESTS := tests/test_doctests.py tests/test_house.py tests/test_docs.py tests/test_readme.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-corpora check tidy bench bench-kernels bench-encoder readme docs build hostile fuzz c clean

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(DEMO)/.installed  ## install the base package, transcribe a recording
	$(DEMO)/bin/halfbyte transcribe --stream --stats $(RECORDING)

test: lint $(TEST)/.installed  ## install everything, run linters and all tests but the corpora's
	$(TEST)/bin/python -m pytest
	$(MAKE) --no-print-directory test-arm-if-installed

test-corpora: $(TEST)/.installed  ## tests on real corpora, in HALFBYTE_DATA or ../shared/speech
	HALFBYTE_DATA="$(SPEECH)" $(TEST)/bin/python -m pytest -m corpora

.PHONY: lint
lint: $(TEST)/.installed
	$(TEST)/bin/ruff check .
	$(TEST)/bin/lint-imports --no-logo

check: lint  ## linters, formatting, types, doctests, documents against code
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/clang-format --dry-run -Werror $(shell git ls-files '*.cc' '*.h' '*.c')
	$(MAKE) --no-print-directory tidy
	$(TEST)/bin/mypy
	$(TEST)/bin/python tools/size_report.py
	$(TEST)/bin/python -m pytest $(HOUSE_TESTS)

# The Python bindings are left out: what they include comes with the build of the package alone.
tidy: $(TEST)/.installed  ## clang-tidy over the engine and the C library
	PATH="$(CURDIR)/$(TEST)/bin:$$PATH" cmake -S . -B build/tidy -G Ninja -DHALFBYTE_PYTHON=OFF -DHALFBYTE_C=ON \
	  -DHALFBYTE_CHECKS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
	$(TEST)/bin/run-clang-tidy.py -p build/tidy -quiet -hide-progress -clang-tidy-binary $(CURDIR)/$(TEST)/bin/clang-tidy

bench: $(TEST)/.installed $(BENCH)/.installed  ## measure on this machine, beside other runtimes; results go to bench/results
	@if [ -d "$(SPEECH)" ]; then \
	  HALFBYTE_DATA="$(SPEECH)" $(TEST)/bin/python bench/evaluate.py w4a8=src/halfbyte/assets/en-voice.hb; \
	else echo "no corpora in $(SPEECH): word error rates are not measured; set HALFBYTE_DATA"; fi
	$(TEST)/bin/python bench/operators.py src/halfbyte/assets/en-voice.hb
	$(MAKE) --no-print-directory bench-kernels bench-encoder

bench-kernels: $(BENCH)/.installed  ## one linear layer in every kernel and runtime
	$(BENCH)/bin/halfbyte bench kernels --append bench/results/kernels.jsonl --plot docs/kernels.svg
	$(BENCH)/bin/python bench/origin.py bench/results/kernels.jsonl

bench-encoder: $(BENCH)/.installed  ## one encoder chunk in every runtime
	$(BENCH)/bin/halfbyte bench encoder --append bench/results/encoder.jsonl --plot docs/encoder.svg
	$(BENCH)/bin/python bench/origin.py bench/results/encoder.jsonl

readme: $(TEST)/.installed  ## write the tables of documents from bench/results and the code
	$(TEST)/bin/python tools/readme_table.py
	$(TEST)/bin/python tools/config_defaults.py

docs: $(TEST)/.installed  ## build the documentation site; a warning is an error
	PATH=$(CURDIR)/$(TEST)/bin:$$PATH NO_MKDOCS_2_WARNING=1 $(TEST)/bin/mkdocs build --strict --quiet
	@echo 'read it, with its search box, at http://localhost:8000: $(PYTHON) -m http.server --directory build/site'

build:  ## build the C++ core in place, for development
	cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE=$$(command -v $(PYTHON)) \
	  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(CURDIR)/src/halfbyte
	cmake --build build/dev

c:  ## build the C library and its example in build/c
	cmake -S . -B build/c -G Ninja -DHALFBYTE_PYTHON=OFF -DHALFBYTE_C=ON -DHALFBYTE_CHECKS=ON
	cmake --build build/c

FUZZ := build/fuzz
FUZZ_TARGETS := fuzz_model_file fuzz_graph fuzz_metadata fuzz_wav fuzz_saved_state fuzz_stream
FUZZ_S ?= 150

.PHONY: fuzz-targets
fuzz-targets:
	cmake -S . -B $(FUZZ) -G Ninja -DHALFBYTE_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1
	cmake --build $(FUZZ)

# Portable kernels, which the sanitizers see into. What they find ends the run.
hostile fuzz: export HALFBYTE_ISA := portable
hostile: fuzz-targets $(TEST)/.installed  ## hostile files through the engine under sanitizers (needs clang)
	rm -rf $(FUZZ)/hostile
	$(TEST)/bin/python tests/hostile/build.py $(FUZZ)/hostile
	$(TEST)/bin/python fuzz/seeds.py $(FUZZ)/seeds
	$(FUZZ)/fuzz/fuzz_wav -rss_limit_mb=4096 $(FUZZ)/hostile/audio/* $(FUZZ)/hostile/odd-audio/* 2>$(FUZZ)/hostile.log
	$(FUZZ)/fuzz/fuzz_model_file $(FUZZ)/hostile/models/* 2>>$(FUZZ)/hostile.log
	for target in $(FUZZ_TARGETS); do \
	  $(FUZZ)/fuzz/$$target $(FUZZ)/seeds/$$target/* $$(ls -d fuzz/corpus/$$target/* 2>/dev/null) 2>>$(FUZZ)/hostile.log || exit 1; \
	done
	@echo "no finding; $$(grep -c '^Running: ' $(FUZZ)/hostile.log) files, log in $(FUZZ)/hostile.log"

fuzz: fuzz-targets $(TEST)/.installed  ## search new inputs, FUZZ_S seconds a target (needs clang)
	$(TEST)/bin/python fuzz/seeds.py $(FUZZ)/seeds
	for target in $(FUZZ_TARGETS); do mkdir -p $(FUZZ)/found/$$target fuzz/corpus/$$target; \
	  $(FUZZ)/fuzz/$$target -max_total_time=$(FUZZ_S) -timeout=20 -rss_limit_mb=4096 -max_len=20000 \
	    -artifact_prefix=$(FUZZ)/ $(FUZZ)/found/$$target fuzz/corpus/$$target $(FUZZ)/seeds/$$target || exit 1; \
	done

ATTACK_S ?= 600
.PHONY: attack
attack: $(TEST)/.installed  ## attack the server and all that reads files for ATTACK_S seconds, print a scoreboard
	$(TEST)/bin/python tests/attack/run.py --seconds $(ATTACK_S)

CROSS := $(shell command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null && echo yes)
.PHONY: arm test-arm test-arm-if-installed sanitize
test-arm: $(TEST)/.installed  ## the engine on emulated Arm CPUs, every NEON variant, to the last bit
	PATH="$(CURDIR)/$(TEST)/bin:$$PATH" $(MAKE) --no-print-directory c arm
	$(TEST)/bin/python -m pytest -v -m arm tests/arm

test-arm-if-installed:
ifeq ($(CROSS),yes)
	$(MAKE) --no-print-directory test-arm
else
	@echo "test-arm is not run: it needs aarch64-linux-gnu-g++ and qemu-aarch64 (apt: g++-aarch64-linux-gnu qemu-user)"
endif

arm:  ## build the checking program for 64-bit Arm in build/arm
	cmake -S . -B build/arm -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake \
	  -DHALFBYTE_PYTHON=OFF -DHALFBYTE_CHECKS=ON
	cmake --build build/arm

sanitize:  ## kernels and streams under address, undefined-behaviour and thread sanitizers
	tools/sanitize.sh

clean:  ## remove virtual environments and build folders
	rm -rf $(DEMO) $(TEST) $(BENCH) build

# A virtual environment is made anew when pyproject.toml has changed, and the package in it is
# installed anew when a source file has.
%/.made: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "set PYTHON to 3.11 or newer"'
	$(PYTHON) -m venv --clear $*
	touch $@

$(DEMO)/.installed: $(DEMO)/.made $(SOURCES)
	@echo 'compiling halfbyte: about two minutes of processor time, shared by your cores'
	@$(PYTHON) tools/install_package.py $(DEMO)/bin/pip .
	touch $@

# torch first and by its exact version, so that no other package chooses another build of it.
$(TEST)/.installed: $(TEST)/.made $(SOURCES)
	$(TEST)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(TEST)/bin/pip install --quiet --disable-pip-version-check '.[train,data,test,check,docs]' $(WEIGHTS)
	touch $@

# The other runtimes one by one, as the extra `bench` has them: one that does not install is left out.
PEERS := onnxruntime torchao openvino nncf ai-edge-litert litert-quantizer litert-torch
$(BENCH)/.installed: $(BENCH)/.made $(SOURCES)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check '.[train,data]'
	for peer in $(PEERS); do \
	  $(BENCH)/bin/pip install --quiet --disable-pip-version-check $$peer || echo "without $$peer"; \
	done
	touch $@

.PRECIOUS: %/.made
