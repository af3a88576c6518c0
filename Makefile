# pg_airlock: try it, test it. `make` alone says what there is.
#
# Postgres is taken from Debian's packages; the extension goes into private copies of that installation under PREFIX, so
# that nothing of yours changes. Only `cargo pgrx test` installs into the system's Postgres, as pgrx always does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# the PostgreSQL major
PG ?= 15
ifneq ($(PG),15)
$(error PG=$(PG) is not supported yet: this version is for PostgreSQL 15)
endif

PGRX := 0.18.1
SYSTEM_LIB := /usr/lib/postgresql/$(PG)
SYSTEM_SHARE := /usr/share/postgresql/$(PG)
PACKAGES := postgresql-$(PG) postgresql-server-dev-$(PG) postgresql-$(PG)-pgaudit sudo gcc libc6-dev tzdata openssl
# one per clone; short, and where the user postgres can read
PREFIX ?= /var/tmp/pg_airlock-$(shell printf %s '$(CURDIR)' | cksum | cut -d' ' -f1)
BIN := lib/postgresql/$(PG)/bin

# the data directory and the root key of the tests that run inside a backend
PGTEST := /var/tmp/pgtest
PGTEST_KEY := /var/tmp/pgtest-root.key

ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo)
RUNAS := $(if $(ROOT),--runas postgres)
OWNER := $(if $(ROOT),-o postgres -g postgres)

# cargo-pgrx's own linker flag off: its builds then share everything with cargo test and clippy
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND := 1

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: PG=$(PG) PREFIX=$(PREFIX)"

.PHONY: demo demo-stop
demo: setup server-install ## build, start a private cluster, read as two sub-processors, show the log
	@PG_BIN=$(PREFIX)/main/$(BIN) docs/demo/demo.sh start

demo-stop: ## stop the demo's cluster and remove it
	@PG_BIN=$(PREFIX)/main/$(BIN) docs/demo/demo.sh stop

.PHONY: test
test: setup fmt-check lint test-pure test-pg server-install server-install-no-flush test-server ## everything that CI runs

.PHONY: setup
setup: ## install what is missing: Debian packages, cargo-pgrx, its configuration
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH: install Rust 1.88 or newer" >&2; exit 1; }
	@missing=; for p in $(PACKAGES); do \
	  [[ "$$(dpkg-query -W -f '$${Status}' $$p 2>/dev/null || true)" == *"ok installed" ]] || missing+=" $$p"; done; \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "not Debian: install the equivalents of$$missing, then try again" >&2; exit 1; }; \
	  $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@[[ "$$(cargo pgrx --version 2>/dev/null || true)" == *" $(PGRX)" ]] || \
	  CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --no-default-features cargo-pgrx@$(PGRX)
	@grep -qs '^pg$(PG) *=' "$${PGRX_HOME:-$$HOME/.pgrx}/config.toml" || cargo pgrx init --pg$(PG)=$(SYSTEM_LIB)/bin/pg_config

.PHONY: fmt-check lint test-pure
fmt-check: ## is the source formatted
	cargo fmt --check

lint: ## clippy for both halves
	cargo clippy --no-default-features --all-targets -- -D warnings
	cargo clippy --no-default-features --features "pg$(PG) pg_test" --lib -- -D warnings

test-pure: ## the half without Postgres: units, vectors, properties, layers
	cargo test --no-default-features

.PHONY: test-pg
test-pg: ## the tests inside a backend, by cargo pgrx
	@# a run that was killed may have left its server: it is the one whose working directory is in here
	@for f in $(PGTEST)/*/postmaster.pid $(PGTEST)/postmaster.pid; do \
	  [ -f "$$f" ] || continue; pid=$$(head -n 1 "$$f"); \
	  [[ "$$(readlink /proc/$$pid/cwd || true)" == $(PGTEST)* ]] || continue; \
	  kill -INT $$pid; while [ -d /proc/$$pid ] && ! grep -q '^State:.*Z' /proc/$$pid/status; do sleep 0.1; done; done
	@# pgrx drops the test database at each start, which the log worker of an older run would not allow
	rm -rf $(PGTEST) && install -d $(OWNER) -m 755 $(PGTEST)
	@head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > target-key.tmp && \
	  install $(OWNER) -m 400 target-key.tmp $(PGTEST_KEY) && rm -f target-key.tmp
	cargo pgrx test pg$(PG) --no-default-features $(RUNAS) --pgdata $(PGTEST)

# A private copy of the installed Postgres, made anew when the system's has changed; then the extension goes in.
# $(1): its name, $(2): cargo features
define install_into
	@prefix=$(PREFIX)/$(1); \
	if ! cmp -s $(SYSTEM_LIB)/bin/postgres $$prefix/$(BIN)/postgres; then \
	  rm -rf $$prefix && mkdir -p $$prefix/lib/postgresql $$prefix/share/postgresql && \
	  cp -a $(SYSTEM_LIB) $$prefix/lib/postgresql/ && cp -a $(SYSTEM_SHARE) $$prefix/share/postgresql/; fi
	cargo pgrx install --no-default-features --features "$(2)" --pg-config $(PREFIX)/$(1)/$(BIN)/pg_config
	@mkdir -p target/server && echo $(PREFIX)/$(1)/$(BIN) > target/server/$(1)
endef

.PHONY: server-install server-install-no-flush test-server
server-install: ## the extension into a private copy of Postgres
	$(call install_into,main,pg$(PG))

server-install-no-flush: ## the same without flushing records: the control of the crash test
	$(call install_into,no_flush,pg$(PG) no_flush)

test-server: ## real clusters: kill -9, attacks, files on disk, README
	cargo test --no-default-features --test server

.PHONY: clean
clean: demo-stop ## remove what this Makefile made, but not the packages
	rm -rf $(PREFIX) $(PGTEST) $(PGTEST_KEY)
	for d in /var/tmp/airlock-t*; do [ -d /proc/$${d##*airlock-t} ] || rm -rf "$$d"; done
	cargo clean
