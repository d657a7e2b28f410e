# Two commands matter: `make run` and `make test`. Both install what is missing, after saying what.

# One place for build results, shared by cargo and by the recipes below.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# rustup puts cargo here, and a shell that was open before knows nothing of it.
export PATH := $(PATH):$(HOME)/.cargo/bin

QUARTET := $(CARGO_TARGET_DIR)/release/quartet
WINDOW := $(CARGO_TARGET_DIR)/release/quartet-desktop
SAMPLES := assets/samples
# Reports name the commit they were made with.
export QUARTET_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)
# For example: make run CARGO_FLAGS="--features cuda"
CARGO_FLAGS ?=

# With a display there is a window; without, everything works in the terminal.
ifneq ($(filter Darwin MINGW% MSYS%,$(shell uname -s))$(DISPLAY)$(WAYLAND_DISPLAY),)
HAS_DISPLAY := yes
endif

UI_SOURCES := $(shell find ui/src ui/public -type f 2>/dev/null) ui/index.html ui/package-lock.json ui/vite.config.ts

.PHONY: help setup setup-window setup-tests models ui build build-all run run-window run-terminal test bench bundle lint
.NOTPARALLEL:

help:
	@echo "make run     open the window (or, without a display, ask four questions in the terminal)"
	@echo "make test    build and run all tests"
	@echo "make bundle  make a .deb that installs the window and the terminal program"
	@echo "make models  download and verify the default models (1.9 GB, once)"
	@echo "make setup   check for compilers and tools, and install what is missing"
	@echo "make bench   measure speed on this machine"
	@echo "make lint    check formatting and run clippy"

setup:
	@scripts/setup.sh terminal

setup-window:
	@scripts/setup.sh window

setup-tests:
	@scripts/setup.sh tests

models: setup
	@python3 models/fetch.py

# The pages, for the window and for `quartet serve`.
ui: ui/dist/index.html

ui/node_modules/.package-lock.json: ui/package-lock.json
	@cd ui && npm ci

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	@cd ui && npm run --silent build
	@touch $@

# The terminal program, without WebKit.
build: models ui
	@cargo build --release --locked $(CARGO_FLAGS)

# Everything: the window too.
build-all: setup-window models ui
	@cargo build --release --locked --workspace $(CARGO_FLAGS)

ifdef HAS_DISPLAY
run: run-window
else
run: run-terminal
endif

run-window: build-all
	@$(QUARTET) import --collection samples $(SAMPLES)
	@echo 'Opening the window. The program is $(WINDOW).'
	@$(WINDOW)

run-terminal: build
	@$(QUARTET) import --collection samples $(SAMPLES)
	@while IFS= read -r question; do \
		printf '\nQ: %s\n' "$$question"; \
		$(QUARTET) ask --collection samples "$$question" </dev/null || exit 1; \
	done < $(SAMPLES)/ask.txt
	@printf '\nThe program is %s. Try next:\n' "$(QUARTET)"
	@echo '  quartet ask --collection samples "What does a night in the guest room cost?"'
	@echo '  quartet import ~/Documents/some-folder && quartet ask "..."'
	@echo '  quartet serve      (the window, in a browser)'
	@echo '  quartet exam --collection samples --questions $(SAMPLES)/questions.jsonl --methods none,rag --report report.json'
	@echo '  quartet doctor'

test: setup-tests build-all
	@cargo test --release --locked --workspace $(CARGO_FLAGS)
	@cd ui && npm run --silent check && npm run --silent test
	@scripts/test-pages.sh

bench: setup-tests build-all
	@$(QUARTET) bench
	@scripts/test-pages.sh bench

bundle: build-all
	@scripts/bundle.sh

lint: setup-window ui
	@cargo fmt --all --check
	@cargo clippy --release --locked --workspace --all-targets $(CARGO_FLAGS) -- -D warnings
	@cd ui && npm run --silent check
