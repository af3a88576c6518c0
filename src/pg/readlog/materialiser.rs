//! The log's worker: one background worker that tails the WAL from the cursor row and appends the access log, exactly
//! once after any crash. Its parts: `batch` reads WAL, `settler` is one turn, `store` the tables, `slot` the WAL
//! reservation, `open` the reads whose backend is gone.
//!
//! It ends only by ERROR or FATAL, so with exit code 1, and the postmaster starts it again after five seconds; code 0
//! would unregister it for good. Nothing is lost meanwhile: the records are in WAL, and the gate shuts when the worker
//! stays silent too long.
#![allow(unsafe_code)] // ◆ background worker: signals, latch, transactions

mod backlog;
mod batch;
mod expiry;
pub mod heads;
pub mod holds;
mod known;
mod open;
mod partitions;
pub mod retention;
mod rows;
mod settler;
mod slot;
mod store;

pub use backlog::{backlog, share};
pub use batch::{versions as log_key_versions, Batch};
pub use slot::{look as look_at_slot, Slot, NAME as SLOT};
pub use store::{before_0_2, columns, spi, Cursor, Row};

use super::wal;
use crate::pg::gucs::Durability;
use crate::pg::keys::root::not_preloaded;
use crate::pg::sys::compat;
use crate::pg::{error, gucs, shared, sys};
use crate::pure::error::{Error, Kind, Result};
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::{check_for_interrupts, pg_sys};
use settler::{After, Desk, Life};
use std::convert::Infallible;
use std::ffi::{c_int, CStr, CString};
use std::time::Duration;

/// The worker's name in pg_stat_activity.
pub const NAME: &str = "pg_airlock materialiser";
/// Pause when there is nothing to read.
const IDLE: i64 = 200;
/// Pause while extension or key are not there.
const WAITING: i64 = 500;

extern "C-unwind" {
    // core's signal handlers, as function pointers
    #[link_name = "die"]
    fn raw_die(signal: c_int);
    #[link_name = "SignalHandlerForConfigReload"]
    fn raw_reload(signal: c_int);
}

/// Registers the worker; in the postmaster, while libraries are preloaded. Not in the servers that pg_upgrade starts: it
/// has read the old cluster's next transaction id already, and what the worker wrote would lie behind it.
pub fn register() {
    if sys::binary_upgrade() {
        return;
    }
    BackgroundWorkerBuilder::new(NAME)
        .set_type(NAME)
        .set_library("pg_airlock")
        .set_function("airlock_materialiser_main")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(5)))
        .enable_spi_access()
        .load();
}

/// Whether scoped reads may go on as far as the log is concerned. AL005 says why not.
pub fn health() -> Result<()> {
    if !shared::preloaded() {
        return Err(not_preloaded());
    }
    let shut = |detail: String, hint: &str| {
        Err(Error::new(Kind::LogUnavailable, "the read log is not available").detail(detail).hint(hint.to_string()))
    };
    if wal::in_recovery() {
        return shut("the server is in recovery and can write no read record".into(), "read on the primary server");
    }
    // either way: a clock that was set back must not bring a dead worker to life
    let (heartbeat, silent) = (shared::heartbeat(), sys::now().abs_diff(shared::heartbeat()));
    let doctor =
        "see SELECT * FROM airlock.doctor(); the server log says what the worker \"pg_airlock materialiser\" ran into";
    if heartbeat == 0 {
        return shut("the log's worker has not settled anything since the server was started".into(), doctor);
    }
    if shared::database() != wal::database_oid() {
        let hint = "scoped reads pass in one database: the one that the setting airlock.database names";
        return shut("this database is not the one that holds the log".into(), hint);
    }
    if silent > gucs::max_silence().unsigned_abs() {
        return shut(format!("the log's worker has been silent for {} seconds", silent / 1_000_000), doctor);
    }
    if !shared::slot_ok() {
        return shut(
            "WAL that the log needs is not kept or is gone, or the log does not go on where it was".into(),
            doctor,
        );
    }
    let backlog = backlog();
    if backlog.bytes > gucs::backlog_limit() {
        let hint = "wait until the log's worker has caught up, or raise airlock.backlog_limit";
        return shut(format!("the log's worker has {} MB of WAL still to read", backlog.bytes >> 20), hint);
    }
    if backlog.age > gucs::backlog_age() {
        let hint = "wait until the log's worker has caught up, or raise airlock.backlog_age";
        let seconds = backlog.age / 1_000_000;
        return shut(format!("the log's worker has WAL still to read that is up to {seconds} seconds old"), hint);
    }
    match gucs::durability() {
        Durability::Local => Ok(()),
        Durability::Remote => super::replicated::possible(),
    }
}

/// The worker's main function.
///
/// # Safety
/// Called by the postmaster's child only.
#[no_mangle]
pub unsafe extern "C-unwind" fn airlock_materialiser_main(_: pg_sys::Datum) {
    // SAFETY: the outermost Rust frame of the process.
    unsafe {
        error::run(work);
    }
}

fn work() -> Result<Infallible> {
    connect()?;
    let mut desk = Desk::default();
    let mut pause = 0;
    loop {
        wait(pause);
        desk.keep_head();
        if let Some(life) = desk.idle() {
            beat(life);
            pause = IDLE;
            continue;
        }
        let after = transaction(c"settling the read log", || desk.turn())?;
        // behind the commit, like all that follows
        after.settled.iter().for_each(|(subprocessor, bytes)| shared::share_settled(subprocessor, *bytes));
        if let Some(life) = after.beat {
            beat(life);
        }
        if let Some(lsn) = after.advance {
            // its own transaction: only behind the commit that moved the cursor, which is flushed by now
            transaction(c"letting go of WAL", || slot::advance(lsn))?;
        }
        if after.look {
            // its own too: the sign of life comes before it, and it sees all that is committed
            transaction(c"looking for readers that are gone", || desk.look())?;
        }
        pause = match after {
            After { waiting: true, .. } => WAITING,
            After { more: true, .. } => 0,
            _ => IDLE,
        };
    }
}

fn beat(life: Life) {
    shared::beat(sys::now(), life.position, life.as_of, life.slot, wal::database_oid());
}

/// Signals, database, settings. A database that does not exist is FATAL here, at each start.
fn connect() -> Result<()> {
    let database = CString::new(gucs::database())
        .map_err(|_| Error::new(Kind::InvalidArgument, "airlock.database holds a zero byte"))?;
    // SAFETY: the order of worker_spi. A NULL user is the bootstrap superuser; SIGUSR1 stays Postgres' own.
    unsafe {
        compat::signal(pg_sys::SIGTERM, raw_die);
        compat::signal(pg_sys::SIGHUP, raw_reload);
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnection(database.as_ptr(), std::ptr::null(), 0);
    }
    // what ALTER DATABASE or ALTER ROLE may have set for everybody must not reach the log
    for (name, value) in [
        (c"search_path", c"pg_catalog, pg_temp"),
        // the bounds of partitions are read as they are printed
        (c"datestyle", c"ISO, YMD"),
        (c"timezone", c"UTC"),
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"statement_timeout", c"0"),
        (c"lock_timeout", c"0"),
        (c"session_replication_role", c"origin"),
        (c"log_statement", c"none"),
        // flushed before the slot lets go of WAL, yet no wait for a standby
        (c"synchronous_commit", c"local"),
        (c"application_name", c"pg_airlock materialiser"),
    ] {
        set(name, value);
    }
    Ok(())
}

fn set(name: &CStr, value: &CStr) {
    // SAFETY: static NUL-terminated strings.
    unsafe {
        let (context, source) = (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_OVERRIDE);
        pg_sys::SetConfigOption(name.as_ptr(), value.as_ptr(), context, source);
    }
}

/// Waits, and does what a signal asked for. Never longer than a second: a process that does not look at interrupts
/// holds up DROP DATABASE in every database.
fn wait(milliseconds: i64) {
    // SAFETY: this process's own latch; the flags are those of worker_spi.
    unsafe {
        if milliseconds > 0 {
            let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
            pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        check_for_interrupts!();
        if std::ptr::addr_of!(pg_sys::ConfigReloadPending).read_volatile() != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Runs `body` in a transaction with a snapshot. An error of ours ends the process, like an ERROR of Postgres: the next
/// one resumes at the cursor.
fn transaction<T>(activity: &CStr, body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: no transaction is open here; on error none is needed any more, the exit aborts it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, activity.as_ptr());
    }
    let result = body()?;
    // SAFETY: as above.
    unsafe {
        pg_sys::PopActiveSnapshot();
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
    Ok(result)
}
