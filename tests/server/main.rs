//! Server tests: real clusters, several sessions, kill -9, files on disk. An ordinary client program without pgrx.
//!
//! `make server-install` prepares the PostgreSQL they run on; `cargo test --no-default-features --test server` runs
//! them. `AIRLOCK_PG_BIN` names another installation, `AIRLOCK_PG_BIN_NEWEST` the one that databases are moved to,
//! `AIRLOCK_DRIVERS` where the drivers are, `AIRLOCK_TEST_DIR` another place than /var/tmp, `AIRLOCK_KEEP=1` keeps the clusters, `AIRLOCK_CRASH_ROUNDS` and
//! `AIRLOCK_CRASH_CLIENTS` change the crash test.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // reason: tests fail loudly

mod cluster;
mod fixture;
mod moved;
mod process;
mod protocol;

mod audit;
mod binding;
mod breach;
mod canary_key;
mod classes;
mod conditional;
mod connections;
mod contain;
mod contract;
mod crash;
mod doctor;
mod drift;
mod drivers;
mod dump;
mod existing;
mod explain;
mod fence;
mod filters;
mod heads;
mod history;
mod hostile;
mod jobs;
mod key_life;
mod key_memory;
mod key_sources;
mod labels;
mod library;
mod linkage;
mod logical;
mod majors;
mod mask_keys;
mod masks;
mod materialiser;
mod named;
mod neighbours;
mod newer;
mod nonces;
mod online;
mod overlap;
mod page;
mod parallel;
mod power;
mod reader;
mod readme;
mod reads;
mod release;
mod remote;
mod retention;
mod rotation;
mod scrub;
mod search;
mod self_test;
mod sentinel;
mod standby;
mod statements;
mod subjects;
mod switched;
mod tls;
mod upgrade;
mod verify;
mod wire;
