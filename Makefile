# pg_airlock: try it, test it. `make` alone says what there is.
#
# PostgreSQL 15 is taken from Debian's packages; 16, 17, 18 and builds with assertions are fetched or built by
# tools/postgres.sh. The extension goes into private copies of these under PREFIX, so that nothing of yours changes. Only
# `cargo pgrx test` on 15 installs into the system's Postgres, as pgrx always does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

MAJORS := 15 16 17 18
# the PostgreSQL major; without it `make test` runs all of 15, and a part on others
ONE_MAJOR := $(filter-out undefined,$(origin PG))
PG ?= 15
ifneq ($(words $(filter $(MAJORS),$(PG))),1)
$(error PG=$(PG): the supported majors of PostgreSQL are $(MAJORS))
endif
# ASSERT=1: a server with assertions (15 and 18)
ASSERT ?=
KIND := $(PG)$(if $(ASSERT),-assert)
# the major that the default run looks at besides 15 and 18, another one each day
OTHER ?= $(word $(shell expr $$(date +%s) / 86400 % 2 + 1),16 17)

PGRX := 0.18.1
# one per clone; short, and where the user postgres can read
PREFIX ?= /var/tmp/pg_airlock-$(shell printf %s '$(CURDIR)' | cksum | cut -d' ' -f1)

# POSTGRES: the installation that is copied; BIN: where the programs are in it and in its copies
ifeq ($(KIND),15)
POSTGRES := /usr/lib/postgresql/15
BIN := lib/postgresql/15/bin
else
POSTGRES := $(PREFIX)/postgres/$(KIND)
BIN := bin
endif

# postgresql-15 brings the libraries and the user that the other majors need too
PACKAGES := postgresql-15 postgresql-server-dev-15 sudo gcc libc6-dev tzdata openssl \
  $(if $(filter bench,$(MAKECMDGOALS)),postgresql-15-pgaudit valgrind) $(if $(filter profile,$(MAKECMDGOALS)),linux-perf) \
  $(if $(filter demo bench profile,$(MAKECMDGOALS)),,chromium) \
  python3-pip $(if $(ASSERT)$(filter-out x86_64,$(shell uname -m)),make perl bison flex pkg-config libssl-dev libxml2-dev zlib1g-dev)

# the drivers that are tested; fewer only by naming them
DRIVERS ?= psycopg3 psycopg2 asyncpg pg8000 node rust jdbc

# the data directory and the root key of the tests that run inside a backend, and more lines of its postgresql.conf
PGTEST := /var/tmp/pgtest
PGTEST_KEY := /var/tmp/pgtest-root.key
SETTINGS ?=

ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo)
RUNAS := $(if $(ROOT),--runas postgres)
OWNER := $(if $(ROOT),-o postgres -g postgres)

# pgrx's list of installations, our own. The bindings are made from it, so a build with assertions has one for itself
export PGRX_HOME := $(PREFIX)/pgrx$(if $(ASSERT),-assert)
ifdef ASSERT
export CARGO_TARGET_DIR := $(CURDIR)/target/assert
endif
# cargo-pgrx's own linker flag off: its builds then share everything with cargo test and clippy
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND := 1

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "variables: PG=$(PG) (of $(MAJORS)) ASSERT=$(ASSERT) PREFIX=$(PREFIX) DRIVERS='$(DRIVERS)'"

.PHONY: demo demo-stop
demo: setup server-install ## build, start a private cluster, read as two sub-processors, show the log
	@PG_BIN=$(PREFIX)/$(KIND)/main/$(BIN) docs/demo/demo.sh start

demo-stop: ## stop the demo's cluster and remove it
	@PG_BIN=$(PREFIX)/$(KIND)/main/$(BIN) docs/demo/demo.sh stop

.PHONY: test test-one test-all test-assert
test: test-one ## what CI runs: all of it on 15, a part on others; with PG=17 all of it on 17
ifeq ($(ONE_MAJOR),)
	$(MAKE) smoke PG=$(OTHER)
	$(MAKE) test-majors
endif

test-one: setup fmt-check lint test-pure test-pg server-install server-install-no-flush test-server test-drivers

test-all: ## all of it on each major, and from one to the other
	for pg in $(MAJORS); do $(MAKE) test-one PG=$$pg; done
	$(MAKE) test-majors

test-assert: ## all of it on a server with assertions, then the tests in a backend without caches (PG=15 or 18)
	$(MAKE) test-one PG=$(if $(ONE_MAJOR),$(PG),18) ASSERT=1
	$(MAKE) test-pg PG=$(if $(ONE_MAJOR),$(PG),18) ASSERT=1 SETTINGS='debug_discard_caches = 1'

.PHONY: setup
setup: ## install what is missing: Debian packages, PostgreSQL, cargo-pgrx, its configuration
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH: install Rust 1.88 or newer" >&2; exit 1; }
	@missing=; for p in $(PACKAGES); do \
	  [[ "$$(dpkg-query -W -f '$${Status}' $$p 2>/dev/null || true)" == *"ok installed" ]] || missing+=" $$p"; done; \
	if [ -n "$$missing" ]; then \
	  command -v apt-get >/dev/null || { echo "not Debian: install the equivalents of$$missing, then try again" >&2; exit 1; }; \
	  $(SUDO) apt-get update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	fi
	@$(if $(filter-out 15,$(KIND)),tools/postgres.sh $(PG) $(POSTGRES) $(if $(ASSERT),assert))
	@[[ "$$(cargo pgrx --version 2>/dev/null || true)" == *" $(PGRX)" ]] || \
	  CARGO_PROFILE_DEV_DEBUG=0 cargo install --locked --debug --no-default-features cargo-pgrx@$(PGRX)
	@mkdir -p $(PGRX_HOME)
	@grep -qsxF 'pg$(PG) = "$(POSTGRES)/bin/pg_config"' $(PGRX_HOME)/config.toml || \
	  cargo pgrx init --pg$(PG)=$(POSTGRES)/bin/pg_config

.PHONY: fmt-check lint test-pure
fmt-check: ## is the source formatted
	cargo fmt --check

# the tests on servers are no default target of cargo test, so --all-targets leaves them out
lint: ## clippy for both halves and the tests
	cargo clippy --no-default-features --all-targets --test server -- -D warnings
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
	AIRLOCK_TEST_SETTINGS="$(SETTINGS)" cargo pgrx test pg$(PG) --no-default-features $(RUNAS) --pgdata $(PGTEST)

# A private copy of the installed Postgres, made anew when that has changed; then the extension goes in, with the install
# scripts of all releases, so that the tests can upgrade from each.
# $(1): its name, $(2): cargo features, $(3): more options of cargo pgrx install
define install_into
	@prefix=$(PREFIX)/$(KIND)/$(1); \
	if ! cmp -s $(POSTGRES)/bin/postgres $$prefix/$(BIN)/postgres; then \
	  rm -rf $$prefix $$prefix.new && mkdir -p $$prefix.new && $(copy) && mv $$prefix.new $$prefix; fi
	@# what cargo pgrx test left in the original
	@rm -f "$$($(PREFIX)/$(KIND)/$(1)/$(BIN)/pg_config --sharedir)"/extension/pg_airlock--*
	cargo pgrx install --no-default-features --features "$(2)" $(3) --pg-config $(PREFIX)/$(KIND)/$(1)/$(BIN)/pg_config
	@extension=$$($(PREFIX)/$(KIND)/$(1)/$(BIN)/pg_config --sharedir)/extension; \
	for f in sql/releases/*.sql; do [ -e "$$extension/$${f##*/}" ] || cp $$f "$$extension/"; done
	@mkdir -p target/server && echo $(PREFIX)/$(KIND)/$(1)/$(BIN) > target/server/$(1)
endef
ifeq ($(KIND),15)
copy = mkdir -p $$prefix.new/lib/postgresql $$prefix.new/share/postgresql && \
  cp -a $(POSTGRES) $$prefix.new/lib/postgresql/ && cp -a /usr/share/postgresql/15 $$prefix.new/share/postgresql/
else
copy = cp -a $(POSTGRES)/. $$prefix.new/
endif

.PHONY: server-install server-install-no-flush server-install-release test-server
server-install: ## the extension into a private copy of Postgres
	$(call install_into,main,pg$(PG))

server-install-no-flush: ## the same without flushing records: the control of the crash test
	$(call install_into,no_flush,pg$(PG) no_flush)

# pgaudit comes along where Debian's package was there when the copy was made; a copy without it is made anew
server-install-release: ## the same built for release: what is measured
	@[ ! -e $(POSTGRES)/lib/pgaudit.so ] || [ -e $(PREFIX)/$(KIND)/release/$(dir $(BIN))lib/pgaudit.so ] || \
	  rm -rf $(PREFIX)/$(KIND)/release
	$(call install_into,release,pg$(PG),--release)

SERVER_TESTS = AIRLOCK_PG_BIN=$(PREFIX)/$(KIND)/main/$(BIN) AIRLOCK_PG_BIN_NO_FLUSH=$(PREFIX)/$(KIND)/no_flush/$(BIN) \
  cargo test --no-default-features --test server --

test-server: ## real clusters: kill -9, attacks, files on disk, dump and restore, README
	$(SERVER_TESTS) --skip majors:: --skip drivers::

ROUNDS ?=
CLIENTS ?= 16

.PHONY: test-crash
test-crash: setup server-install server-install-no-flush ## kill -9 and power cuts while sub-processors read, for a night (ROUNDS=200 CLIENTS=16)
	AIRLOCK_CRASH_ROUNDS=$(or $(ROUNDS),200) AIRLOCK_CRASH_CLIENTS=$(CLIENTS) $(SERVER_TESTS) --nocapture crash:: power::

# some of the themes (scan lookup …); rows of the larger tables; records of the larger log; seconds of one run of pgbench
BENCH ?=
SCALE ?=
RECORDS ?=
BENCH_SECONDS ?=
COMPARE = AIRLOCK_PG_BIN_RELEASE=$(PREFIX)/$(KIND)/release/$(BIN) AIRLOCK_BENCH="$(BENCH)" AIRLOCK_BENCH_ROUNDS=$(ROUNDS) \
  AIRLOCK_BENCH_SCALE=$(SCALE) AIRLOCK_BENCH_RECORDS=$(RECORDS) AIRLOCK_BENCH_SECONDS=$(BENCH_SECONDS) cargo bench --no-default-features --bench compare

.PHONY: bench profile
bench: setup server-install-release ## compare with pgcrypto, pgaudit, views by hand; writes benches/RESULTS.md (BENCH='scan lookup' ROUNDS=7 SCALE=1000000)
	@[ $(KIND) = 15 ] || { echo "pgaudit is Debian's, for 15" >&2; exit 1; }
	$(COMPARE)

profile: setup server-install-release ## where the time goes, by function: lists in target/profile (SCALE=200000)
	AIRLOCK_BENCH_PROFILE=1 $(COMPARE)

.PHONY: drivers test-drivers
drivers: setup ## what test-drivers runs, into PREFIX (Node, a JDK and JDBC come from Debian's packages)
	tools/drivers.sh $(PREFIX)/drivers $(DRIVERS)
	@mkdir -p target/server && echo $(PREFIX)/drivers > target/server/drivers

test-drivers: drivers ## drivers from the package registries and Debian, and the reader of dumps that is not ours (DRIVERS=…)
	@[ -x $(PREFIX)/$(KIND)/main/$(BIN)/postgres ] || $(MAKE) setup server-install
	$(SERVER_TESTS) --exact drivers::independent_reader $(addprefix drivers::,$(DRIVERS))

# one program or several of tests/fuzz/fuzz_targets, and for how long each runs
FUZZ ?= $(notdir $(basename $(wildcard tests/fuzz/fuzz_targets/*.rs)))
FUZZ_SECONDS ?= 60

.PHONY: fuzz
fuzz: ## every decoder under libFuzzer, on any toolchain (FUZZ=envelope FUZZ_SECONDS=600); test-pure runs the corpora
	@command -v g++ >/dev/null || { echo "libFuzzer is C++: install g++" >&2; exit 1; }
	@[ -x $(PREFIX)/cargo-fuzz/bin/cargo-fuzz ] || cargo install --locked --root $(PREFIX)/cargo-fuzz cargo-fuzz@0.13.2
	@for target in $(FUZZ); do mkdir -p $(PREFIX)/fuzz/$$target && \
	  PATH="$(PREFIX)/cargo-fuzz/bin:$$PATH" cargo fuzz run --fuzz-dir tests/fuzz --target-dir $(PREFIX)/fuzz/target --sanitizer none \
	    $$target $(PREFIX)/fuzz/$$target tests/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	    -print_final_stats=1 -artifact_prefix=$(PREFIX)/fuzz/; done

.PHONY: smoke test-majors
smoke: setup test-pg server-install ## build on one major, run the tests in a backend and some on real clusters
	$(SERVER_TESTS) reads:: contain:: readme::

test-majors: ## from 15 to 18: dump and restore, pg_upgrade
	$(MAKE) setup server-install PG=18 ASSERT=
	$(MAKE) setup server-install-oldest PG=15 ASSERT=
	AIRLOCK_PG_BIN_NEWEST=$(PREFIX)/18/main/bin AIRLOCK_PG_BIN=$(PREFIX)/oldest/bin \
	  cargo test --no-default-features --test server -- majors::

# Not Debian's 15: from 15.20 on the catalogs hold versions of columns (pg_attver), which 18.6 does not take from a dump.
.PHONY: server-install-oldest
server-install-oldest:
	@tools/postgres.sh 15 $(PREFIX)/postgres/15
	@cmp -s $(PREFIX)/postgres/15/bin/postgres $(PREFIX)/oldest/bin/postgres || \
	  { rm -rf $(PREFIX)/oldest{,.new} && cp -a $(PREFIX)/postgres/15 $(PREFIX)/oldest.new && mv $(PREFIX)/oldest{.new,}; }
	cargo pgrx install --no-default-features --features pg15 --pg-config $(PREFIX)/oldest/bin/pg_config

.PHONY: release
release: setup server-install ## write the files of this version that later ones are tested against: once, when it is released
	@[ $(KIND) = 15 ] || { echo "the oldest major writes them: every other one takes its dump" >&2; exit 1; }
	$(eval version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1))
	cp "$$($(PREFIX)/$(KIND)/main/$(BIN)/pg_config --sharedir)/extension/pg_airlock--$(version).sql" sql/releases/
	$(SERVER_TESTS) --ignored write_this_release

.PHONY: clean
clean: demo-stop ## remove what this Makefile made, but not the packages
	rm -rf $(PREFIX) $(PGTEST) $(PGTEST_KEY)
	for d in {/var/tmp,/dev/shm}/airlock-t*; do [ -d /proc/$${d##*airlock-t} ] || rm -rf "$$d"; done
	cargo clean
