# Prowl's commands; CI calls the same ones. `make help` lists them.
.DEFAULT_GOAL := help

# Where exports, features and models are kept.
STORE ?= file://$(CURDIR)/target/store
# Pull requests that the demo generates, and the seed of its dice.
COUNT ?= 6000
SEED ?= 7
# How long each part of `make fuzz` goes on, and `make soak` puts the service under load.
SECONDS ?= 600
MINUTES ?= 60

bin := $(or $(CARGO_TARGET_DIR),target)/release
# Always the same selection: with another one, cargo builds shared dependencies anew, with other features.
# What is built so says in MLflow which commit it is.
build := PROWL_COMMIT=$(shell git rev-parse HEAD 2>/dev/null) cargo build --release --workspace --bins

.PHONY: help demo build serve test images reproducible lint-delivery lint-chart e2e e2e-kubernetes e2e-cluster fuzz mutants soak rehearse readme-check lint fmt bench bench-all bench-fetch bench-train bench-inference bench-gate bench-preprocess-large bench-test benchmarks clean-store

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@printf '\nVariables: STORE=%s COUNT=%s SEED=%s\n' '$(STORE)' '$(COUNT)' '$(SEED)'

demo: ## The whole of it on COUNT generated pull requests: learn from the past, score what came after (builds first)
	$(build)
	@BIN='$(bin)' COUNT='$(COUNT)' SEED='$(SEED)' scripts/demo.sh

build: ## Build the programs into target/release
	$(build)

serve: ## Serve the newest model of STORE over gRPC and HTTP until Ctrl-C
	$(build)
	'$(bin)/prowl-inference' --store '$(STORE)' --model latest --insecure

test: ## Build everything and run every test, `buf breaking` of prowl.v1 among them
	@.ci/test

e2e: ## The whole chain with real servers, without Kubernetes: from GitHub to a switch under load and a reviewer's label, on one page
	$(if $(BIN),,$(build) --example whole)
	@'$(or $(BIN),$(bin))/examples/whole' target/e2e

e2e-cluster: ## Kill and stop the parts of a cluster at work, with a real S3 server and Vault, and compare what is published
	cargo build --workspace --all-targets
	cargo test --workspace --test cluster --test real_parts

fuzz: ## Read the inputs in fuzz/, and exports, extended JSON, models and requests damaged by chance, each for SECONDS
	PROWL_FUZZ_SECONDS='$(SECONDS)' cargo test --workspace --lib --bins --test service -- --nocapture fuzz::

mutants: ## Change the leaf crates' code in one place after another, and count what their tests notice (PART=0/20 of the places)
	@scripts/mutants $(PART)

soak: ## Swap models and restart replicas of the service under load, then load it for MINUTES
	$(if $(BIN),,$(build) --example bench_load)
	@BIN='$(or $(BIN),$(bin))' MINUTES='$(MINUTES)' bench/inference/soak

rehearse: ## Switch from the second newest model of STORE to the newest under load and back, or plant the fault BREAK in it
	$(if $(BIN),,$(build))
	@BIN='$(or $(BIN),$(bin))' STORE='$(STORE)' BREAK='$(BREAK)' SWITCHES='$(SWITCHES)' scripts/rehearse.sh

readme-check: ## Run the commands of README.md word by word, and look up all that the documents name
	@BIN='$(BIN)' scripts/readme-check

lint: ## Formatting, clippy, crate boundaries, licenses, unused dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@.ci/boundaries
	@.ci/deny
	@.ci/machete

# PROGRAMS=source compiles the programs in a container; prebuilt takes what cargo builds here, or release binaries in BIN.
images: ## Build all images, with their SBOMs, and tell their sizes (PROGRAMS=prebuilt: without a second compilation)
	$(if $(filter prebuilt,$(PROGRAMS)),@BIN='$(BIN)' images/programs)
	@PROGRAMS='$(or $(PROGRAMS),source)' images/build
	@images/sbom
	@BIN='$(if $(filter prebuilt,$(PROGRAMS)),$(BIN))' images/sizes

reproducible: ## Build prowl-inference twice, from clones with other paths, and compare the two to the last byte
	@scripts/reproducible

lint-delivery: ## Dockerfile, workflows, scripts and races: hadolint, shellcheck, ruff, actionlint, zizmor, and the tests of the scripts
	@scripts/delivery/lint

lint-chart: ## The chart and its environments: helm lint, helm-unittest, kubeconform, and Vault's roles on a real server
	@scripts/delivery/lint-chart

# It takes the images that are there: `make images` makes them anew.
e2e-kubernetes: ## Prowl as a whole in a real cluster on this machine, claim after claim, or with the cause planted that has to BREAK one
	$(if $(wildcard target/images/*.tar),,@$(MAKE) --no-print-directory images)
	@e2e-kubernetes/run $(if $(HELM),--helm '$(HELM)') $(if $(BREAK),--break '$(BREAK)')

fmt: ## Format the code
	cargo fmt --all

bench: ## List the races against other programs; each is run by `make bench-<name>`
	@for race in $$(find bench -mindepth 2 -maxdepth 2 -name run | sort); do \
	    name=$${race#bench/}; printf '  make bench-%-18s %s\n' "$${name%/run}" "$$(sed -n '2s/"""//gp' "$$race")"; done
	@echo '  make bench-preprocess-large   Ten times the rows on two executors (30 GB of disk)'
	@echo '  make bench-all                All of them, one after the other'

# BIN names release binaries that are there already; without it they are built. COUNT and RUNS are handed on where they
# were given, since the demo's own defaults do not fit.
race = BIN='$(or $(BIN),$(bin))' COUNT='$(if $(filter command line environment,$(origin COUNT)),$(COUNT))'

bench-%: bench/%/run
	$(if $(BIN),,$(build))
	@$(race) $<

bench-all: ## Run all races that `make bench` lists, one after the other on an idle machine, and write BENCHMARKS.md
	$(if $(BIN),,$(build) $(addprefix --example ,bench_github bench_cursor bench_train bench_load bench_empty bench_network bench_stall))
	@$(race) bench/series.py

bench-fetch:
	$(if $(BIN),,$(build) --example bench_github --example bench_cursor)
	@$(race) bench/fetch/run

bench-train:
	$(if $(BIN),,$(build) --example bench_train)
	@$(race) bench/train/run

bench-inference:
	$(if $(BIN),,$(build) --example bench_load --example bench_empty --example bench_network)
	@$(race) bench/inference/run

bench-gate:
	$(if $(BIN),,$(build) --example bench_load --example bench_empty --example bench_stall)
	@$(race) bench/gate/run

bench-preprocess-large:
	$(if $(BIN),,$(build))
	@$(race) bench/preprocess/run --large

bench-test: ## Test the parts of the races themselves, with DuckDB
	@bench/preprocess/run --test

benchmarks: ## Write BENCHMARKS.md from what the races kept in target/bench
	@bench/report

clean-store: ## Remove what the demo made, and the default store
	rm -rf target/demo target/store
