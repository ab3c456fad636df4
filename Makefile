# The only entry points: `make demo`, `make test`, `make bench`, `make check`. Each does all the set-up it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUST_SOURCES := Cargo.toml $(shell find rust -name '*.rs' -o -name 'Cargo.toml' -not -path '*/target/*')

.PHONY: help demo test check bench matrix fuzz fuzz-tokens neon clean

help:
	@echo "make demo   a day of a support chatbot with and without resopt, over real HTTP, no keys, no network"
	@echo "make test   Rust and Python tests"
	@echo "make check  lint, types, stubs, formatting"
	@echo "make bench  benchmarks against the libraries people use today (installs them)"
	@echo "make matrix drop-in and integration tests with each generation of the client libraries (installs them)"
	@echo "make fuzz   a minute of fuzzing the store against its reference model"
	@echo "make neon   the core's tests as an ARM processor would run them, where a cross compiler and QEMU are installed"
	@echo "make fuzz-tokens  a minute (FUZZ_SECONDS) of holding the tokenizers against tiktoken"

# One build of the extension serves everything; it is made again when Rust or the package metadata changes.
$(READY): pyproject.toml Cargo.lock $(RUST_SOURCES)
	@command -v cargo >/dev/null || { echo "resopt needs a Rust toolchain to build: install it from https://rustup.rs, then run make again"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "resopt needs Python 3.11 or newer: run make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "maturin>=1.14,<2"
	$(BIN)/maturin develop --release --quiet --extras dev,cli,http,server,prices
	@touch $@

demo: $(READY)
	$(BIN)/resopt demo

test: $(READY)
	cargo test --quiet --package resopt-core
	$(BIN)/python -m pytest --quiet

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest resopt._core
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo fmt --all --check

bench: $(READY)
	$(BIN)/maturin develop --release --quiet --extras dev,cli,http,server,prices,bench
	$(BIN)/python benches/run.py

# The drop-in and the integrations with each generation of what they stand before; the README's table says with which.
MATRIX := .venv-matrix
MATRIX_TESTS := $(wildcard tests/test_wrap_*.py)
MATRIX_NEEDS := anyio msgspec numpy genai-prices starlette uvicorn httpx httpx2 hypothesis pytest pytest-timeout trio

define in_environment
	test -x $(MATRIX)/$(1)/bin/python || $(PYTHON) -m venv $(MATRIX)/$(1)
	$(MATRIX)/$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(MATRIX_NEEDS) $(2)
	PYTHONPATH=python RESOPT_TESTED=$(MATRIX)/$(1).json $(MATRIX)/$(1)/bin/python -m pytest --quiet $(MATRIX_TESTS) $(3)
endef

matrix: $(READY)
	$(call in_environment,openai2,"openai>=2.20$(comma)<3" "litellm[proxy]>=1.106" anthropic,tests/test_integration_litellm.py)
	$(call in_environment,openai3,"openai>=3" anthropic langchain-core langchain-openai "pydantic-ai-slim[openai]>=2.68",\
	  tests/test_integration_langchain.py tests/test_integration_pydantic_ai.py)
	$(BIN)/python tests/compatibility.py --write README.md $(MATRIX)/*.json

comma := ,

# libFuzzer on a stable compiler: the coverage flags that cargo-fuzz would set. `make fuzz FUZZ=wordpiece` takes another.
FUZZ ?= store
fuzz:
	RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Ccodegen-units=1 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" \
	cargo run --release --manifest-path rust/fuzz/Cargo.toml --target $$(rustc -vV | sed -n 's/^host: //p') \
	--bin $(FUZZ) -- -max_total_time=60 -max_len=1500

# Random, realistic and nasty texts in both encodings; ends with exit code 1 at the first that tiktoken encodes otherwise.
FUZZ_SECONDS ?= 60
fuzz-tokens: $(READY)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python tests/token_texts.py

# ARM code on another processor; CONTRIBUTING.md says how to get the tools. `make neon NEON_TESTS=` takes all tests.
ARM := aarch64-unknown-linux-gnu
NEON_TESTS ?= --lib --test vector_index --test partition
neon:
	@if command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null \
	&& ls "$$(rustc --print target-libdir --target $(ARM))"/libstd-* >/dev/null 2>&1; then \
	  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
	  cargo test --locked --target $(ARM) --package resopt-core $(NEON_TESTS); \
	else echo "make neon: skipped, it needs qemu-aarch64, aarch64-linux-gnu-gcc and Rust's library for $(ARM)"; fi

clean:
	rm -rf $(VENV) $(MATRIX) target rust/fuzz/target .mypy_cache .ruff_cache .pytest_cache .hypothesis
