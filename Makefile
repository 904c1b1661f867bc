# Nothing but `make train` and `make test` is needed after a clone: each does the set-up that it needs.
#
#   make train              the default run; CONFIG=... another one, ARGS='run.steps=10 ...' overrides
#   make test               every test
#   make check              what a change must pass: format, warnings, tidiness, tests
#   make bench              speed of the kernels, the engine and a training step
#   make format             formats the sources in place
#   make check-transformers opens a checkpoint that we saved in Hugging Face's transformers (its own Python environment)

SHELL := /bin/bash
CONFIG ?= configs/arithmetic.yaml
ARGS ?=
# Tests import no module with @testable, so that they share one build with the binary.
SWIFT_TEST := swift test -c release --disable-testable-imports --disable-xctest
PYTHON_ENVIRONMENT := .venv

.PHONY: train test check lint bench format setup check-transformers

train: setup
	.build/release/fovea train --config $(CONFIG) $(ARGS)

setup:
	@deploy/setup

test:
	@deploy/setup --no-build
	@deploy/count-tests $(SWIFT_TEST) $(ARGS)

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

# Warnings are errors in every target (Package.swift); tidiness is a test (Tests/TidyTests).
check: lint test

bench: setup
	.build/release/fovea bench $(ARGS)

format:
	swift format --in-place --recursive Package.swift Sources Tests

# CHECKPOINT=runs/.../checkpoints/... names the folder; PYTHON=... a Python that has torch, transformers and numpy already.
check-transformers: setup
	@test -n "$(CHECKPOINT)" || { echo "check-transformers: say which folder: CHECKPOINT=runs/..." >&2; exit 2; }
	@test -n "$(PYTHON)" || test -x $(PYTHON_ENVIRONMENT)/bin/python || { \
	  python3 -m venv $(PYTHON_ENVIRONMENT) && \
	  $(PYTHON_ENVIRONMENT)/bin/pip install --quiet -r Tests/Fixtures/model/requirements.txt; }
	.build/release/fovea score --model $(CHECKPOINT) --text README.md --json > .build/scores.json
	$(or $(PYTHON),$(PYTHON_ENVIRONMENT)/bin/python) Tests/Fixtures/model/check_checkpoint.py \
	  $(CHECKPOINT) .build/scores.json
