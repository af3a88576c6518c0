//! `airlock.durability = remote`: a read record counts as durable only once a synchronous standby has it on disk.
//!
//! Core's own wait does the waiting (`replication/syncrep.c`). It was made for commits, which cannot be taken back: a
//! cancelled wait returns like one that has succeeded, and a session whose `synchronous_commit` is `local` or less does not
//! wait at all. Here both would let an answer leave, so the level is ours while we wait, and afterwards the position that
//! the standbys have confirmed is looked at.
#![allow(unsafe_code)] // ◆ variables of Postgres' synchronous replication

use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;
use std::ffi::{c_int, c_void};

extern "C" {
    /// `replication/syncrep.c`: remembers what a level waits for, and raises nothing. Its header is bound for 15 only.
    fn assign_synchronous_commit(level: c_int, extra: *mut c_void);
}

/// Whether records can be replicated at all: AL005 when no standby is meant to be synchronous, since the wait would
/// return at once.
pub fn possible() -> Result<()> {
    // SAFETY: the value of a setting: NULL or NUL-terminated.
    let named = unsafe {
        pg_sys::max_wal_senders > 0
            && !pg_sys::SyncRepStandbyNames.is_null()
            && *pg_sys::SyncRepStandbyNames.cast::<u8>() != 0
    };
    let refused = |detail: &str, hint: &str| {
        Err(Error::new(Kind::LogUnavailable, "the read log is not available")
            .detail(detail.to_string())
            .hint(hint.to_string()))
    };
    match named {
        false => refused(
            "airlock.durability is remote, and no standby is meant to be synchronous",
            "set synchronous_standby_names, or airlock.durability = 'local'",
        ),
        true if logical() => refused(
            "airlock.durability is remote, and a logical receiver counts as a synchronous standby: it keeps no read records",
            "name physical standbys only in synchronous_standby_names, and not '*'",
        ),
        true => Ok(()),
    }
}

/// Whether a synchronous receiver is a logical one: it confirms positions and keeps nothing of ours. Told by its database,
/// which a physical receiver does not connect to.
fn logical() -> bool {
    // SAFETY: an array in shared memory of max_wal_senders entries; each word is read whole, and a stale one is looked at
    // again after the wait.
    unsafe {
        let first = std::ptr::addr_of!((*pg_sys::WalSndCtl).walsnds).cast::<pg_sys::WalSnd>();
        (0..pg_sys::max_wal_senders.max(0) as usize).any(|i| {
            let sender = first.add(i);
            let pid = std::ptr::addr_of!((*sender).pid).read_volatile();
            let priority = std::ptr::addr_of!((*sender).sync_standby_priority).read_volatile();
            pid > 0 && priority > 0 && {
                let process = pg_sys::BackendPidGetProc(pid);
                !process.is_null() && (*process).databaseId != pg_sys::InvalidOid
            }
        })
    }
}

/// Waits until a synchronous standby has WAL up to `lsn`, which is flushed here, on its disk.
///
/// # Errors
/// AL005 when the wait was cancelled, timed out or ended by a shutdown, or no standby is meant to be synchronous any more.
pub fn wait(lsn: u64) -> Result<()> {
    // a session that ends would wait for a signal that it has had already
    if !super::wire::is_ending() {
        let level = Level::remote();
        // SAFETY: a backend with shared memory; interrupts are held off as syncrep.c asserts.
        unsafe { pg_sys::SyncRepWaitForLSN(lsn, false) };
        drop(level);
    }
    possible()?;
    match confirmed() >= lsn {
        true => Ok(()),
        false => Err(Error::new(Kind::LogUnavailable, "the read record is not known to be on a standby")
            .detail(
                "the wait for a synchronous standby was cancelled or timed out, or no standby is synchronous any more",
            )
            .hint("see pg_stat_replication; without a standby: airlock.durability = 'local'")),
    }
}

/// Up to where the synchronous standbys have WAL on disk.
pub fn confirmed() -> u64 {
    // SAFETY: an aligned word in shared memory that only grows; a stale value errs on the safe side.
    unsafe {
        let control = pg_sys::WalSndCtl;
        std::ptr::addr_of!((*control).lsn[pg_sys::SYNC_REP_WAIT_FLUSH as usize]).read_volatile()
    }
}

/// The session's level of waiting, put back when dropped; interrupts are held off meanwhile.
struct Level(i32);

impl Level {
    fn remote() -> Level {
        // SAFETY: variables of this backend; the hook only remembers how long to wait for the level that it is given.
        unsafe {
            let level = Level(pg_sys::synchronous_commit);
            pg_sys::InterruptHoldoffCount += 1;
            level.set(pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_FLUSH as i32);
            level
        }
    }

    unsafe fn set(&self, level: i32) {
        // SAFETY: a level that the setting can have.
        unsafe {
            pg_sys::synchronous_commit = level;
            assign_synchronous_commit(level, std::ptr::null_mut());
        }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        // SAFETY: as above; the level that was there. An error has set the count to zero already.
        unsafe {
            self.set(self.0);
            pg_sys::InterruptHoldoffCount = pg_sys::InterruptHoldoffCount.saturating_sub(1);
        }
    }
}
