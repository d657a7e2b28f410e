# Two commands matter: `make run` and `make test`. Both install what is missing, after saying what.

# One place for build results, shared by cargo and by the recipes below.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# rustup puts cargo here, and a shell that was open before knows nothing of it.
export PATH := $(PATH):$(HOME)/.cargo/bin

QUARTET := $(CARGO_TARGET_DIR)/release/quartet
SAMPLES := assets/samples
# Reports name the commit they were made with.
export QUARTET_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
# For example: make run CARGO_FLAGS="--features cuda"
CARGO_FLAGS ?=

.PHONY: help setup models build run test bench lint
.NOTPARALLEL:

help:
	@echo "make run     build, import the sample documents and ask four questions about them"
	@echo "make test    build and run all tests"
	@echo "make models  download and verify the default models (1.9 GB, once)"
	@echo "make setup   check for compilers and tools, and install what is missing"
	@echo "make bench   measure speed on this machine"
	@echo "make lint    check formatting and run clippy"

setup:
	@scripts/setup.sh

models: setup
	@python3 models/fetch.py

build: models
	@cargo build --release --locked $(CARGO_FLAGS)

run: build
	@$(QUARTET) import --collection samples $(SAMPLES)
	@while IFS= read -r question; do \
		printf '\nQ: %s\n' "$$question"; \
		$(QUARTET) ask --collection samples "$$question" </dev/null || exit 1; \
	done < $(SAMPLES)/ask.txt
	@printf '\nThe program is %s. Try next:\n' "$(QUARTET)"
	@echo '  quartet ask --collection samples "What does a night in the guest room cost?"'
	@echo '  quartet import ~/Documents/some-folder && quartet ask "..."'
	@echo '  quartet exam --collection samples --questions $(SAMPLES)/questions.jsonl --methods none,rag --report report.json'
	@echo '  quartet doctor'

test: build
	@cargo test --release --locked --workspace $(CARGO_FLAGS)

bench: build
	@$(QUARTET) bench

lint: setup
	@cargo fmt --all --check
	@cargo clippy --release --locked --workspace --all-targets $(CARGO_FLAGS) -- -D warnings
