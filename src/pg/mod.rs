//! The half that knows Postgres: thin glue around `pure`.
//!
//! `_PG_init` runs in the postmaster while libraries are preloaded: settings, shared memory, hooks, the worker. Loaded
//! late it defines one setting and hooks nothing, so `doctor()` can say what is wrong and everything keyed refuses.
#![allow(clippy::result_large_err)] // reason: errors are the rare path, and carry the texts the user is shown

pub mod admin;
pub mod classes;
pub mod columns;
pub mod contain;
pub mod doctor;
pub mod encrypted;
pub mod error;
pub mod gate;
pub mod gucs;
pub mod jobs;
pub mod keys;
pub mod linkage;
pub mod masks;
pub mod readlog;
pub mod registry;
pub mod reports;
pub mod scopes;
pub mod self_test;
pub mod shared;
pub mod subprocessors;
pub mod sys;
#[cfg(any(test, feature = "pg_test"))]
pub mod tests;

/// Called once per process that loads the library.
pub fn init() {
    let preloading = sys::preloading();
    gucs::define(preloading);
    if preloading {
        shared::init();
        keys::root::init();
        readlog::hooks::install();
        readlog::materialiser::register();
    }
    sys::reserve_prefix();
}
