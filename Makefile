# Nothing but `make train` and `make test` is needed after a clone: each does the set-up that it needs.
#
#   make train              the default run; CONFIG=... names another one, ARGS='run.steps=10 ...' overrides settings
#   make train-fundus       a vision-language model from random weights, in three stages (configs/fundus.yaml); resumes
#   make test               every test
#   make check              what a change must pass: format, warnings, tidiness, tests
#   make bench              rates of rollouts and learner steps, as shares of this machine's peak; MODEL=... another model
#   make bench-peers        the same for llama.cpp, transformers, PyTorch and TRL, as one table of ratios
#   make bench-transfer     rates of the transfer of weights to the workers
#   make bench-memory       the peak memory of learner and worker, with 32 slots of 512 positions all in use
#   make bench-instructions instructions of every kernel, against the recorded counts; RECORD=1 updates them
#   make check-neon         compares the kernels here with an emulated 64-bit Arm
#   make simulate           simulated farms with faults: SEEDS=10000, or SEED=123 to repeat one
#   make simulate-mutations breaks each mechanism on purpose, and shows which seed detects it
#   make fuzz               fuzzes every reader of outside bytes: MINUTES=5 in total, TARGETS='wire gguf' selects
#   make sanitize           the unit tests under the address, undefined-behaviour and thread sanitizers
#   make determinism        compares the final weights of farms of every size whose processes are killed
#   make faults             real processes that are killed, hung, cut off, out of disk; as root, in network namespaces
#   make soak               MINUTES=20 of a farm that loses a worker a minute; COMPARE=1 repeats it without faults
#   make verify             proofs that workers and learner compute the same bits
#   make format             formats the sources in place
#   make proto              regenerates the C of Sources/Wire/farm.proto
#   make check-transformers opens saved models in Hugging Face's transformers and PEFT (in its own Python environment)

SHELL := /bin/bash
MODEL ?= models/SmolLM2-135M-Instruct.Q4_1.gguf
CONFIG ?= configs/arithmetic.yaml
ARGS ?=

.PHONY: train-fundus determinism faults soak fuzz sanitize simulate simulate-mutations train test check lint bench bench-peers bench-transfer bench-memory bench-instructions verify check-neon format proto setup check-transformers

train: setup
	.build/release/fovea train --config $(CONFIG) $(ARGS)

train-fundus: setup
	@deploy/train-fundus $(ARGS)

setup:
	@deploy/setup

test:
	@deploy/setup --no-build
	@deploy/count-tests deploy/run-tests $(ARGS)

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

# Warnings are errors in every target (Package.swift); tidiness is a test (Tests/TidyTests).
check: lint test

bench: setup
	.build/release/fovea bench engine --model $(MODEL) $(ARGS)

# The first call installs and builds the peers, in .build/peers; ARGS='--rounds 3' and others go to compare.py.
bench-peers: setup
	@deploy/bench-peers $(ARGS)

# The transfer of a model's weights over loopback; a test that is skipped elsewhere prints the figures.
bench-transfer:
	@deploy/setup --no-build
	FOVEA_BENCH=1 deploy/run-tests --filter WeightsTransferBench $(ARGS)

# Detects on a busy machine, where timings are noisy, whether a kernel takes more instructions than before.
bench-instructions:
	@deploy/bench-instructions

# Two steps of 32 samples that fill their 32 slots: a high temperature makes tokens almost equally likely, so that hardly any
# sample ends early. The second version of the weights is sent between the steps. Each process logs its peak memory.
BENCH_RUNS := .build/bench-memory
bench-memory: setup
	rm -rf $(BENCH_RUNS)
	.build/release/fovea train --config $(CONFIG) model.path=$(MODEL) run.directory=$(BENCH_RUNS) run.name=memory \
	  run.steps=2 rollout.prompts_per_step=16 rollout.group_size=2 rollout.sampling.max_new_tokens=476 \
	  rollout.sampling.temperature=50 algorithm.dynamic_sampling=false evaluation.prompts=1 farm.workers=1 \
	  $(ARGS)
	@grep -H 'MiB at most' $(BENCH_RUNS)/*/logs/*

# SEEDS farms, starting at seed FIRST, or the one farm of SEED. Seeds that fail are printed.
SEEDS ?= 10000
FIRST ?= 0
ifdef SEED
SEEDS := 1
FIRST := $(SEED)
endif
SIMULATION := deploy/run-tests --filter SimulationTests

simulate:
	@deploy/setup --no-build
	FOVEA_SIMULATION_SEEDS=$(SEEDS) FOVEA_SIMULATION_FIRST=$(FIRST) $(SIMULATION)/many

simulate-mutations:
	@deploy/setup --no-build
	FOVEA_SIMULATION_MUTATIONS=1 $(SIMULATION)/mutation

# The first call builds everything with libFuzzer, in .build/fuzz. ARGS=--keep adds new inputs to the corpora.
fuzz: MINUTES ?= 5
TARGETS ?=
fuzz:
	@deploy/setup --no-build
	MINUTES=$(MINUTES) deploy/fuzz $(ARGS) $(TARGETS)

sanitize:
	@deploy/setup --no-build
	@deploy/sanitize $(ARGS)

# Byte-equal weights: {1, 2, 4 workers} x {none, a worker, the learner, the coordinator, all of them killed}.
determinism:
	@deploy/setup --no-build
	FOVEA_DETERMINISM=all deploy/run-tests --filter DeterminismTests

# Real faults on real processes (docs/FAULTS.md). Without root, the tests that need it are skipped by name.
faults:
	@deploy/setup --faults
	FOVEA_FAULTS=all deploy/run-tests --filter 'FaultTests|StragglerFarmTests' $(ARGS)

soak: MINUTES ?= 20
soak:
	@deploy/setup --faults
	FOVEA_SOAK_MINUTES=$(MINUTES) $(if $(COMPARE),FOVEA_SOAK_COMPARE=1) deploy/run-tests --filter SoakTests

# The proofs that workers and learner compute the same bits, on this machine.
verify: setup
	.build/release/fovea verify --model $(MODEL)

check-neon:
	@deploy/check-neon

format:
	swift format --in-place --recursive Package.swift Sources Tests

proto:
	protoc-c --c_out=Sources/CWire -I Sources/Wire farm.proto
	mv Sources/CWire/farm.pb-c.h Sources/CWire/include/

# Saves every kind of model and adapter and opens it in transformers and PEFT; CHECKPOINT=runs/... opens a run's checkpoint as well.
# PYTHON=... names a Python that has the packages of Tests/Fixtures/model/requirements.txt already.
PYTHON ?= .venv/bin/python
SAVED := .build/saved-models
CHECK := $(PYTHON) Tests/Fixtures/model/check_checkpoint.py

.venv/bin/python:
	python3 -m venv .venv
	.venv/bin/pip install --quiet -r Tests/Fixtures/model/requirements.txt

check-transformers: setup $(PYTHON)
	rm -rf $(SAVED) $(SAVED)-new $(SAVED)-vision $(SAVED)-adapters && mkdir -p $(SAVED)
	FOVEA_SAVED_MODELS=$(CURDIR)/$(SAVED) FOVEA_SAVED_NEW_MODELS=$(CURDIR)/$(SAVED)-new \
	  FOVEA_SAVED_VISION_MODELS=$(CURDIR)/$(SAVED)-vision FOVEA_SAVED_ADAPTERS=$(CURDIR)/$(SAVED)-adapters \
	  deploy/run-tests --filter 'ModelOracleSavingTests|NewModelTests|VisionOracleTests|AdapterOracleTests'
	$(PYTHON) Tests/Fixtures/vision/check_new.py $(SAVED)-new
	$(PYTHON) Tests/Fixtures/vision/check_saved.py $(SAVED)-vision
	$(PYTHON) Tests/Fixtures/lora/check_saved.py $(SAVED)-adapters
	for folder in $(SAVED)/*/; do $(CHECK) $${folder%/} $${folder%/}.json || exit 1; done
ifdef CHECKPOINT
	.build/release/fovea score --model $(CHECKPOINT) --text README.md --json > $(SAVED)/scores.json
	$(CHECK) $(CHECKPOINT) $(SAVED)/scores.json --text README.md
endif
