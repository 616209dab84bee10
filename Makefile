# Neutronium's front door. `make help` says what there is.
SHELL := /bin/sh
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
NEUTRONIUM := $(TARGET)/release/neutronium

.DEFAULT_GOAL := help
.PHONY: help deps build lab lab-down test bench

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps:
	@tools/install-deps

build: deps
	@$(CARGO) build --release --locked -p neutronium

lab: build ## Install what is missing, build, start the lab, run the demonstration with the real client
	@$(NEUTRONIUM) lab up
	@NEUTRONIUM=$(abspath $(NEUTRONIUM)) OPENSTACK=$(abspath .venv/bin/openstack) tools/demo

lab-down: ## Remove the lab and every trace of it
	@$(NEUTRONIUM) lab down

test: ## Install what is missing and run every test
	@tools/install-deps --tests
	@$(CARGO) nextest run --workspace --locked

bench: build ## Measure API, realisation, start times and memory
	@NEUTRONIUM=$(abspath $(NEUTRONIUM)) OPENSTACK=$(abspath .venv/bin/openstack) tools/bench
