# Neutronium's front door. `make help` says what there is.
SHELL := /bin/sh
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Where the tools of this repository find each other.
TOOLS := NEUTRONIUM=$(TARGET)/release/neutronium OPENSTACK=$(abspath .venv/bin/openstack)

.DEFAULT_GOAL := help
.PHONY: help deps build lab lab-down test bench

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps:
	@tools/check-machine
	@tools/install-deps

build: deps
	@$(CARGO) build --release --locked -p neutronium -p system-tests --bins

lab: build ## Install what is missing, build, start the lab, run the demonstration with the real client
	@$(TOOLS) $(TARGET)/release/demo

lab-down: ## Remove the lab and every trace of it
	@$(TARGET)/release/neutronium lab down

test: ## Install what is missing and run every test
	@tools/check-machine
	@tools/install-deps --tests
	@OPENSTACK=$(abspath .venv/bin/openstack) $(CARGO) nextest run --workspace --locked

bench: build ## Measure API, realisation, start times and memory
	@$(TOOLS) $(TARGET)/release/bench
