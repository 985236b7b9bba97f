# The two commands a newcomer needs: `make demo` and `make test`.

CARGO ?= cargo
PROFILE ?= dev
export PATH := $(abspath $(or $(CARGO_TARGET_DIR),target))/tools:$(PATH)

.PHONY: help demo test stack-test check bench build build-pgo

help:
	@echo 'make demo    build and run the all-in-one demo (ports 5000 and 8000; Ctrl-C ends it)'
	@echo 'make test    every test'
	@echo 'make stack-test   docker compose up, looked at from all sides; without an Engine, the same with processes'
	@echo 'make check   format, lints and documentation, as CI asks for them'
	@echo 'make bench   the benchmarks (release profile, takes minutes to build)'
	@echo 'make build   the release binary: target/release/evenkeel'
	@echo 'make build-pgo   the same, optimised by a profile of its own traffic: target/pgo/release/evenkeel'

# The dev profile: a first build takes half of what an optimised one does, and `make test` shares it.
# `make demo PROFILE=release` for numbers that mean something.
demo:
	@.ci/install build
	$(CARGO) run --locked --profile $(PROFILE) -- demo

test:
	@.ci/install test
	$(CARGO) test --locked

# Starts an Engine where there is none and it may. EVENKEEL_BIN is tested in place of the debug build.
stack-test:
	@.ci/install test
	tests/stack/run

check:
	@.ci/install build
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps

bench:
	@.ci/install build
	$(CARGO) bench --locked

build:
	@.ci/install build
	$(CARGO) build --locked --release

# Needs wrk and llvm-profdata; the script says what is missing.
build-pgo:
	@.ci/install build
	benches/proxy/build-pgo
