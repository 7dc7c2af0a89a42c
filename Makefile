# Shortcuts. ./run and ./test install what they need; these want tools/deps to have run.
.DEFAULT_GOAL := help
.PHONY: help build bench bench-idle bench-price lint format fuzz test run clean
SECONDS_PER_TARGET ?= 300

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

build: ## everything, in one pass, into build/release
	@tools/deps build
	@tools/build release

bench: ## parser, address and routing figures
	@tools/deps test
	@tools/build release starling_bench
	@build/release/bench/starling_bench

bench-idle: ## memory of a thousand idle sessions, with TLS and without
	@tools/deps build
	@tools/build release starling
	@bench/idle

bench-price: ## chat with stream management and archives on, and off, beside Prosody and ejabberd
	@tools/deps test
	@tools/build release starling
	@bench/price

lint: ## layers, headers, format, and clang-tidy on every source file
	@tools/deps test
	@tools/build release
	@tools/check_layers
	@tools/check_headers
	@tools/format --check
	@tools/tidy --all

format: ## rewrite the sources in the project's format
	@tools/deps test
	@tools/format

fuzz: ## every fuzz target, SECONDS_PER_TARGET=300 each
	@tools/deps test
	@tools/build fuzz
	@tools/fuzz build/fuzz $(SECONDS_PER_TARGET)

test: ## all that must pass
	@./test

run: ## a server in the foreground
	@./run

clean: ## remove build/ (not data/)
	rm -rf build
