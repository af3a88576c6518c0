//! What runs when transactions, subtransactions and the process end, and when roles change. Registered by `hooks`.
//!
//! These touch no catalog. The outcome of a read is written here when no ExecutorEnd comes: after an error, for a cursor
//! that ROLLBACK closes, when the backend is terminated.
#![allow(unsafe_code)] // ◆ callbacks
#![allow(ffi_unwind_calls)] // reason: one read of a variable, which cannot raise

use super::{armed, identity, wire};
use crate::pg::encrypted::ddl;
use crate::pg::error::run;
use crate::pg::sys::raw;
use crate::pg::{keys, shared};
use crate::pure::error::{Error, Kind};
use pgrx::pg_sys;
use std::ffi::{c_int, c_void};

/// Hears of changed roles and keys from now on; once per backend.
pub fn watch() {
    let none = pg_sys::Datum::from(0);
    // SAFETY: the callbacks live as long as the library.
    unsafe {
        for cache in [pg_sys::SysCacheIdentifier::AUTHOID, pg_sys::SysCacheIdentifier::AUTHMEMMEMROLE] {
            pg_sys::CacheRegisterSyscacheCallback(cache as c_int, Some(roles_changed), none);
        }
        pg_sys::CacheRegisterRelcacheCallback(Some(keys_changed), none);
    }
}

/// A table changed, or the keys were locked: those of before are wiped, within a transaction too, whose end may be far.
///
/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn keys_changed(_: pg_sys::Datum, _: pg_sys::Oid) {
    keys::ring::drop_stale();
}

/// A role or a membership changed somewhere.
///
/// # Safety
/// Called by Postgres.
unsafe extern "C-unwind" fn roles_changed(_: pg_sys::Datum, _: c_int, _: u32) {
    identity::roles_changed();
    keys::ring::rights_moved();
}

/// The transaction ended, or is about to be prepared.
///
/// # Safety
/// Called by Postgres.
pub unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _: *mut c_void) {
    use pg_sys::XactEvent as E;
    let committed = match event {
        E::XACT_EVENT_PRE_PREPARE if shared::has_changed() => {
            // SAFETY: raises before anything is prepared; the frame owns nothing.
            unsafe {
                crate::pg::error::raise(
                    Error::new(
                        Kind::Unsupported,
                        "cannot PREPARE a transaction that changed keys, scopes or sub-processors",
                    )
                    .hint("COMMIT it"),
                )
            }
        }
        E::XACT_EVENT_PRE_COMMIT | E::XACT_EVENT_PRE_PREPARE => {
            // SAFETY: reads this transaction's id; raises before anything is committed; the frame owns nothing.
            unsafe {
                if armed::touched() && pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId {
                    run(armed::before_commit);
                }
            }
            return;
        }
        E::XACT_EVENT_COMMIT | E::XACT_EVENT_PREPARE => true,
        E::XACT_EVENT_ABORT => false,
        _ => return,
    };
    // SAFETY: the body touches no catalog and no transaction memory. It must not raise: a committed transaction cannot
    // abort any more. An outcome that cannot be written leaves its read open in the log.
    unsafe {
        run(|| {
            let touched = armed::touched();
            if touched {
                armed::cut(0);
                armed::forget_all();
            }
            keys::ring::forget_rights();
            shared::end_of_transaction(committed);
            if raw::raw_in_recovery() {
                // replay moves no generation: on a standby nothing outlives its transaction
                shared::forget();
            }
            if touched {
                if let Err(error) = armed::transaction_ended() {
                    crate::pg::error::log(format!("the outcome of a read could not be recorded: {}", error.message));
                }
                armed::unpublish();
                armed::rest();
            }
            keys::ring::drop_stale();
            Ok(())
        });
    }
}

/// A subtransaction ended.
///
/// # Safety
/// Called by Postgres.
pub unsafe extern "C-unwind" fn subtransaction_ends(
    event: pg_sys::SubXactEvent::Type,
    _: pg_sys::SubTransactionId,
    _: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    use pg_sys::SubXactEvent as E;
    // SAFETY: as `transaction_ends`.
    unsafe {
        let level = pg_sys::GetCurrentTransactionNestLevel();
        match event {
            E::SUBXACT_EVENT_ABORT_SUB => run(|| {
                if shared::has_changed() {
                    shared::forget();
                }
                keys::ring::forget_rights();
                ddl::abort(level);
                match armed::touched() {
                    true => armed::aborted(level),
                    false => Ok(()),
                }
            }),
            E::SUBXACT_EVENT_COMMIT_SUB if armed::touched() => armed::subcommitted(level),
            _ => {}
        }
    }
}

/// The process exits.
///
/// # Safety
/// Called by Postgres.
pub unsafe extern "C-unwind" fn exiting(_: c_int, _: pg_sys::Datum) {
    // SAFETY: called once, early in process exit, while WAL can still be written. A FATAL error unwinds nothing: what was
    // running is on the stack still, its QueryDesc and estate with it.
    unsafe {
        wire::shut();
        run(|| {
            for running in armed::running() {
                let estate = (*(running as *const pg_sys::QueryDesc)).estate;
                if !estate.is_null() {
                    armed::add_rows(running, (*estate).es_processed);
                }
            }
            armed::at_exit()
        });
    }
}
