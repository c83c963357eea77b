# The project's verbs. `make help` lists them; CI and CONTRIBUTING.md use the same ones.
SHELL := /bin/sh
BIN := .venv/bin
EXTRAS := ppocrv6,pdf,heic,gcp,training,dev
IMAGES ?= samples
BUNDLES ?= latin,ppocrv6-small
PEERS ?= faster-tiny,faster-small,rapidocr
OPTIONS ?=
MINUTES ?= 10
ROUNDS ?=
comma := ,
# Each process imports torch and Beam, so there are four at most. One that has run its tests takes half of those that
# another one has left: tests of a module mostly stay together and share its fixtures.
TOGETHER := -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup test test-all lint format bench bench-quick bench-quality test-faults fuzz test-cluster clean

help:  ## list these verbs
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r verb what; do printf '  make %-12s %s\n' "$$verb" "$$what"; done

setup:  ## make .venv from a bare Python and install everything that a developer needs
	@scripts/setup.sh $(EXTRAS)

test: setup lint  ## every fast check: format, lint, types, tests with coverage
	$(BIN)/pytest $(TOGETHER) -m "not slow and not cluster" --cov --cov-report=term

test-all: setup lint  ## the same and the slow tests
	$(BIN)/pytest -m "not cluster" --cov --cov-report=term

lint: setup  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## speed and reading quality beside five other engines: make bench IMAGES=folder
	$(BIN)/python -m benchmarks --images "$(IMAGES)"

bench-quick: setup  ## ours against one engine, two minutes
	$(BIN)/python -m benchmarks --images "$(IMAGES)" --rounds 1 --bundles latin --peers faster-tiny

bench-quality: setup  ## word F1, H-mean and processor seconds on labelled pages: make bench-quality DATA=folder BUNDLES=latin,mine
	$(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") --bundles $(subst $(comma), ,$(BUNDLES)) \
		--peers $(subst $(comma), ,$(PEERS)) $(OPTIONS)

test-faults: setup  ## kill the job, break its storage, fill its disk; nothing may be lost, doubled or left: ROUNDS=20 for more
	$(BIN)/python -m benchmarks.faults $(if $(ROUNDS),--rounds $(ROUNDS))

fuzz: setup  ## mutate files of every kind that is read, for MINUTES; no case may crash, hang, or raise what it may not
	$(BIN)/python -m benchmarks.fuzz --minutes $(MINUTES)

test-cluster: setup  ## the job by Beam's Job API on Prism, on emulated buckets, and as Dataflow would get it; needs Go
	@scripts/cluster.sh
	$(BIN)/pytest -m cluster tests/cluster

clean:  ## remove what these verbs and the job made, the environments included
	rm -rf .venv .bench .cluster build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
