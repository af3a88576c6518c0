//! Starts the worker, waits for it, reads what it leaves in memory that the two share.
#![allow(unsafe_code)] // ◆ dynamic shared memory, signals

use super::Row;
use crate::pure::error::{Error, Kind, Result};
use pgrx::bgworkers::{BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime};
use pgrx::pg_sys;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// The worker's name in pg_stat_activity.
pub const NAME: &str = "pg_airlock self test";
/// Room for what all scopes have in common, and for each column.
const ROOM: usize = 512 << 10;
const ROOM_OF_RULE: usize = 8 << 10;

/// What the two share; the sub-processor's name follows, then the result.
#[repr(C)]
pub struct Shared {
    /// Whose memory this is.
    pub magic: u64,
    /// 0, or 1 once the result is there.
    pub done: AtomicU32,
    /// The database.
    pub database: pg_sys::Oid,
    /// The role to connect as.
    pub login: pg_sys::Oid,
    /// The worker's process id.
    pub pid: i32,
    /// That of whoever asked.
    pub caller: i32,
    /// Bytes of the name.
    pub name: u32,
    /// Bytes of the result.
    pub result: u32,
    /// Most bytes of name and result.
    pub room: u32,
}

/// First word of the memory.
pub const MAGIC: u64 = u64::from_be_bytes(*b"airlockT");

/// Runs the probes in a session of `login`; gives the worker's process id and their verdicts.
pub fn run(name: &str, login: pg_sys::Oid, rules: usize) -> Result<(i32, Vec<Row>)> {
    let room = ROOM + rules * ROOM_OF_RULE;
    // SAFETY: the segment is this transaction's, so an error takes it away; it is as large as asked for.
    unsafe {
        let segment = pg_sys::dsm_create(size_of::<Shared>() + room, 0);
        let shared = pg_sys::dsm_segment_address(segment).cast::<Shared>();
        shared.write(Shared {
            magic: MAGIC,
            done: AtomicU32::new(0),
            database: pg_sys::MyDatabaseId,
            login,
            pid: 0,
            caller: pg_sys::MyProcPid,
            name: name.len() as u32,
            result: 0,
            room: room as u32,
        });
        std::ptr::copy_nonoverlapping(name.as_ptr(), shared.add(1).cast::<u8>(), name.len());
        wait(pg_sys::dsm_segment_handle(segment))?;
        // the worker is gone, and what it wrote was written before
        let done = (*shared).done.load(SeqCst) == 1;
        let bytes = shared.add(1).cast::<u8>().add(name.len());
        let length = ((*shared).result as usize).min(room - name.len());
        let rows = if done { read(std::slice::from_raw_parts(bytes, length)) } else { None };
        let pid = (*shared).pid;
        pg_sys::dsm_detach(segment);
        rows.map(|rows| (pid, rows)).ok_or_else(|| {
            Error::new(Kind::State, "the self test did not end")
                .detail(format!("the background worker \"{NAME}\" went away before it was done"))
                .hint(
                    "the server log says why; it must be able to connect to this database as the sub-processor's role",
                )
        })
    }
}

/// Starts the worker and waits until it is gone. Cancelled, it ends the worker as well.
fn wait(handle: pg_sys::dsm_handle) -> Result<()> {
    // SAFETY: reads a variable of the backend.
    let me = unsafe { pg_sys::MyProcPid };
    let worker = BackgroundWorkerBuilder::new(NAME)
        .set_type(NAME)
        .set_library("pg_airlock")
        .set_function("airlock_self_test_main")
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .enable_spi_access()
        .set_argument(Some(pg_sys::Datum::from(handle)))
        .set_notify_pid(me)
        .load_dynamic();
    let worker = worker.map_err(|_| {
        Error::new(Kind::State, "no background worker is free for the self test")
            .hint("try again, or raise max_worker_processes")
    })?;
    let pid = match worker.wait_for_startup() {
        Ok(pid) => pid,
        Err(BackgroundWorkerStatus::Stopped) => return Ok(()),
        Err(_) => return Err(Error::new(Kind::State, "the self test could not be started")),
    };
    let end = End(pid);
    let ended = worker.wait_for_shutdown();
    std::mem::forget(end);
    ended.map_err(|_| Error::new(Kind::State, "the self test did not end"))
}

/// Ends the worker when the wait for it is cancelled.
struct End(pg_sys::pid_t);

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: SIGTERM to a process of this server, as pg_terminate_backend sends it.
        unsafe {
            if !pg_sys::BackendPidGetProc(self.0).is_null() {
                libc::kill(self.0, libc::SIGTERM);
            }
        }
    }
}

fn read(bytes: &[u8]) -> Option<Vec<Row>> {
    let rows: Vec<(String, String, Option<bool>, String)> = serde_json::from_slice(bytes).ok()?;
    Some(rows.into_iter().map(|(class, probe, ok, message)| Row { class, probe, ok, message }).collect())
}
