# Neutronium's front door. `make help` says what there is.
SHELL := /bin/sh
CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
OPENSTACK := $(abspath .venv/bin/openstack)

.DEFAULT_GOAL := help
.PHONY: help deps lab lab-down test bench chaos

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps:
	@tools/check-machine
	@tools/install-deps

# The unoptimised build: twice as fast to have, and the one that `make test` needs too.
lab: deps ## Install what is missing, build, start the lab, run the demonstration; LAB=quantum and others tell a seed lab
	@$(CARGO) build --locked --workspace --bins
	@NEUTRONIUM=$(TARGET)/debug/neutronium OPENSTACK=$(OPENSTACK) $(TARGET)/debug/demo $(LAB)

lab-down: ## Remove the lab and every trace of it
	@$(TARGET)/debug/neutronium lab down

test: ## Install what is missing and run every test
	@tools/check-machine
	@tools/install-deps --tests
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --locked --quiet -- -D warnings
	@$(CARGO) test --doc --workspace --locked --quiet
	@fuzz/run 5
	@OPENSTACK=$(OPENSTACK) $(CARGO) nextest run --workspace --locked
	@OPENSTACK=$(OPENSTACK) tools/with-postgres $(CARGO) nextest run --workspace --locked --profile postgres

# make chaos MINUTES=60 SEED=7; with POSTGRES=1 the server keeps its state in a PostgreSQL, which is killed as well
chaos: deps ## Kill everything in a lab for MINUTES while packets are counted, in the order of SEED
	@$(CARGO) build --release --locked -p neutronium -p system-tests --bins
	@OPENSTACK=$(OPENSTACK) $(if $(POSTGRES),tools/with-postgres) $(TARGET)/release/chaos --binary $(TARGET)/release/neutronium \
		--minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres)

bench: deps ## Measure API, realisation, start times, memory and packets
	@tools/install-deps --bench
	@$(CARGO) build --release --locked -p neutronium -p system-tests --bins
	@NEUTRONIUM=$(TARGET)/release/neutronium OPENSTACK=$(OPENSTACK) $(TARGET)/release/bench
