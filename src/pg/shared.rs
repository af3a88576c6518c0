//! The shared state: a few atomics, no lock, no pointer. Who writes what, when:
//!
//! | field | written by | when |
//! |---|---|---|
//! | generation | any backend | after commit of a change to roles' labels, contracts, scopes, keys, grants |
//! | heartbeat, settled | the materialiser | every turn of its loop; `settled` after the commit that moved the cursor |
//! | slot_ok | the materialiser | every turn |
//! | outcome | any sub-processor's backend | after it inserted an outcome record, not yet flushed |
#![allow(unsafe_code)] // ◆ the declaration of shared memory

use pgrx::prelude::*;
use pgrx::{pg_shmem_init, pg_sys, PGRXSharedMemory, PgAtomic};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};

/// The struct in shared memory.
#[derive(Default)]
pub struct Shared {
    generation: AtomicU64,
    heartbeat: AtomicI64,
    settled: AtomicU64,
    slot_ok: AtomicBool,
    outcome: AtomicU64,
}

// SAFETY: atomics only, no pointers.
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: the name is used once.
static SHARED: PgAtomic<Shared> = unsafe { PgAtomic::new(c"pg_airlock") };

thread_local! {
    static PRELOADED: Cell<bool> = const { Cell::new(false) };
    /// Moves when this backend itself changed something that is not committed yet, or took it back.
    static LOCAL_EPOCH: Cell<u64> = const { Cell::new(0) };
    static CHANGED: Cell<bool> = const { Cell::new(false) };
}

/// Reserves the shared memory; in the postmaster, while libraries are preloaded.
pub fn init() {
    PRELOADED.with(|p| p.set(true));
    pg_shmem_init!(SHARED);
}

/// Whether the library came in through shared_preload_libraries; without it nothing is hooked and nothing opens.
pub fn preloaded() -> bool {
    PRELOADED.with(Cell::get)
}

/// A number that changes whenever anything cached from the extension's catalog may have changed.
pub fn generation() -> (u64, u64) {
    let shared = if preloaded() { SHARED.get().generation.load(SeqCst) } else { 0 };
    (shared, LOCAL_EPOCH.with(Cell::get))
}

/// Marks the catalog as changed by this transaction: our caches reload now, everybody else's after commit.
pub fn changed() {
    CHANGED.with(|c| c.set(true));
    forget();
}

/// Makes this backend's caches reload.
pub fn forget() {
    LOCAL_EPOCH.with(|e| e.set(e.get() + 1));
}

/// Whether this transaction changed something that others cache; it cannot be prepared then, since nobody would tell
/// them at COMMIT PREPARED.
pub fn has_changed() -> bool {
    CHANGED.with(Cell::get)
}

/// End of a transaction: publishes the change, or forgets what was taken back. Called by the transaction callback.
pub fn end_of_transaction(committed: bool) {
    if CHANGED.with(|c| c.replace(false)) {
        if committed && preloaded() {
            SHARED.get().generation.fetch_add(1, SeqCst);
        }
        forget();
    }
}

/// The materialiser is alive and has settled the log up to `settled`.
pub fn beat(now: i64, settled: u64, slot_ok: bool) {
    let shared = SHARED.get();
    shared.settled.store(settled, SeqCst);
    shared.slot_ok.store(slot_ok, SeqCst);
    shared.heartbeat.store(now, SeqCst);
}

/// Time of the materialiser's last sign of life (µs since 2000), 0 for never.
pub fn heartbeat() -> i64 {
    if preloaded() {
        SHARED.get().heartbeat.load(SeqCst)
    } else {
        0
    }
}

/// WAL position up to which the log is in the table.
pub fn settled() -> u64 {
    if preloaded() {
        SHARED.get().settled.load(SeqCst)
    } else {
        0
    }
}

/// Notes that an outcome record ends at `lsn`; whoever reads the log flushes up to it first.
pub fn outcome_written(lsn: u64) {
    if preloaded() {
        SHARED.get().outcome.fetch_max(lsn, SeqCst);
    }
}

/// End of the newest outcome record.
pub fn newest_outcome() -> u64 {
    if preloaded() {
        SHARED.get().outcome.load(SeqCst)
    } else {
        0
    }
}

/// Whether the replication slot still keeps the WAL that is not settled.
pub fn slot_ok() -> bool {
    preloaded() && SHARED.get().slot_ok.load(SeqCst)
}
