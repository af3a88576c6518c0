//! Waiting that a cancel ends, and waking others.
#![allow(unsafe_code)] // ◆ latch, signals between backends

use pgrx::{check_for_interrupts, pg_sys};
use std::time::{Duration, Instant};

/// Waits that long; a cancel, a termination and the postmaster's death end it, as everywhere in the server.
pub fn sleep(how_long: Duration) {
    let until = Instant::now() + how_long;
    loop {
        check_for_interrupts!();
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        let milliseconds = i64::try_from(left.as_millis()).unwrap_or(i64::MAX).clamp(1, 1000);
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        // SAFETY: this process's own latch.
        unsafe {
            pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, milliseconds, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
    }
}

/// Tells every backend of the server that something about the table changed, now and without a transaction: their relcache
/// callbacks run when they next heed invalidations, for which a [`nudge`] is enough where they wait for their clients.
pub fn announce(table: pg_sys::Oid) {
    if table == pg_sys::InvalidOid {
        return;
    }
    // of no database: all backends heed it
    let mut message = pg_sys::SharedInvalidationMessage::default();
    message.rc = pg_sys::SharedInvalRelcacheMsg {
        id: pg_sys::SHAREDINVALRELCACHE_ID as i8,
        dbId: pg_sys::InvalidOid,
        relId: table,
    };
    // SAFETY: one message, which is copied into the queue in shared memory.
    unsafe { pg_sys::SendSharedInvalidMessages(&raw const message, 1) }
}

/// Makes a backend that waits for its client end an empty transaction, and so run what we do at the end of each. One
/// that is at work does so by itself.
pub fn nudge(pid: i32) {
    // SAFETY: looked up by process id; no such backend is no error. The signal is the one by which Postgres itself has
    // idle backends catch up with invalidations.
    unsafe {
        pg_sys::SendProcSignal(pid, pg_sys::ProcSignalReason::PROCSIG_CATCHUP_INTERRUPT, -1);
    }
}
