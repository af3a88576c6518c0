//! Record → WAL message → flush; and back: WAL from a position → our messages. The only file that writes or reads WAL.
//!
//! A record is a *non-transactional* logical message: it survives ROLLBACK, is replicated and archived for free, and
//! replay ignores it, so a cluster without this library still recovers. Inserting is not flushing: [`Sealer::append`]
//! gives a position, and the read may go on only after [`flush`] of it.
#![allow(unsafe_code)] // ◆ WAL insertion and xlogreader
#![allow(ffi_unwind_calls)] // reason: compat's guarded call of LogLogicalMessage

use super::replicated;
use crate::pg::gucs::{self, Durability};
use crate::pg::keys::{entropy, ring};
use crate::pg::shared;
use crate::pg::sys::{compat, raw};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{self, Parts, Record, MAX_RECORD};
use pgrx::{check_for_interrupts, pg_sys};
use std::ffi::{c_char, c_int};
use std::rc::Rc;

/// The message prefix; [`record::PREFIX`] as C wants it.
const PREFIX: &std::ffi::CStr = c"airlock";
/// `offsetof(xl_logical_message, message)`: database (4), transactional (1, padded to 8), two sizes (8 each).
const HEADER: usize = 24;
/// Longest payload that can be one of ours: a sealed record and its header. A longer one is handed on empty.
const MOST: usize = MAX_RECORD + 64;

extern "C-unwind" {
    // Called by xlogreader, never by us: an ERROR in one passes only C frames up to the guard round XLogReadRecord.
    #[link_name = "read_local_xlog_page_no_wait"]
    fn raw_read_page(
        state: *mut pg_sys::XLogReaderState,
        page: pg_sys::XLogRecPtr,
        length: c_int,
        target: pg_sys::XLogRecPtr,
        buffer: *mut c_char,
    ) -> c_int;
    #[link_name = "wal_segment_open"]
    fn raw_segment_open(
        state: *mut pg_sys::XLogReaderState,
        segment: pg_sys::XLogSegNo,
        timeline: *mut pg_sys::TimeLineID,
    );
    #[link_name = "wal_segment_close"]
    fn raw_segment_close(state: *mut pg_sys::XLogReaderState);
}

// ------------------------------------------------------------------------------------------------ writing

/// All that sealing a record needs, taken while catalogs may be read, so that the record of how a statement ended can
/// be written in an aborted transaction and at exit.
pub struct Sealer {
    version: u32,
    keys: Rc<ring::LogKeys>,
    database: u32,
    system: u64,
}

impl Sealer {
    /// Takes the active log key. AL001 without root key or log key, AL005 when the library is not preloaded.
    pub fn new() -> Result<Sealer> {
        let (version, keys) = ring::log_key(None)?;
        Ok(Sealer { version, keys, database: database_oid(), system: system_identifier() })
    }

    /// Inserts the record into WAL and returns the position behind it. It is *not* durable before [`flush`].
    ///
    /// Touches no catalog and needs no transaction. AL005 where no WAL can be written: in recovery, in a critical
    /// section, when the process has already given up its place in shared memory, or for a record too large to keep.
    pub fn append(&self, record: Record) -> Result<u64> {
        self.append_with(record, Parts::default())
    }

    /// As [`Sealer::append`], with the record's parts.
    pub fn append_with(&self, mut record: Record, parts: Parts) -> Result<u64> {
        let bytes = record::join(&mut record, &parts);
        record::check_size(&bytes)?;
        // in the control build, a file in the data directory makes writing fail
        #[cfg(feature = "no_flush")]
        if std::path::Path::new("fail_append").exists() {
            return Err(Error::new(Kind::LogUnavailable, "the read record cannot be written").detail("fail_append"));
        }
        let nonce = entropy::random::<24>()?;
        let payload = record::seal(&self.keys.0, self.version, self.database, self.system, &nonce, &bytes);
        writable()?;
        shared::share_written(&record.subprocessor, payload.len());
        // SAFETY: writable() has checked recovery and critical section. An ERROR that came between XLogBeginInsert and
        // XLogInsert leaves an insertion half built until the abort, which may come after us: drop it.
        unsafe {
            pg_sys::XLogResetInsertion();
            Ok(compat::log_logical_message(PREFIX, &payload))
        }
    }
}

fn writable() -> Result<()> {
    // SAFETY: backend-local variables and one flag in shared memory.
    let reason = unsafe {
        match () {
            // first: without it no shared memory may be touched
            () if pg_sys::MyProc.is_null() => "the process is ending",
            () if pg_sys::CritSectionCount > 0 => "the server is in a critical section",
            () if pg_sys::RecoveryInProgress() => "the server is in recovery",
            () => return Ok(()),
        }
    };
    Err(Error::new(Kind::LogUnavailable, "the read record cannot be written").detail(reason))
}

/// Waits until WAL up to `lsn` is durable: on disk, in a group commit with whoever else commits now, and with
/// `airlock.durability = remote` on a synchronous standby's disk too.
///
/// Compiled to nothing under the cargo feature `no_flush`, the control build of the crash test, which must lose reads.
///
/// # Errors
/// As [`replicated::wait`]; WAL is on the local disk then.
#[cfg_attr(feature = "no_flush", allow(unused_variables))]
pub fn flush(lsn: u64) -> Result<()> {
    #[cfg(not(feature = "no_flush"))]
    flush_always(lsn);
    match gucs::durability() {
        Durability::Local => Ok(()),
        Durability::Remote => replicated::wait(lsn),
    }
}

/// As [`flush`], in the control build too: what the worker needs for its own order.
pub fn flush_always(lsn: u64) {
    // SAFETY: lsn is the end of a record that was inserted.
    unsafe { pg_sys::XLogFlush(lsn) }
}

/// Asks the WAL writer to flush up to `lsn` soon, and does not wait.
pub fn nudge(lsn: u64) {
    // SAFETY: takes a spinlock and may set the WAL writer's latch.
    unsafe { pg_sys::XLogSetAsyncXactLSN(lsn) }
}

// ------------------------------------------------------------------------------------------------ where we are

/// OID of this session's database.
pub fn database_oid() -> u32 {
    // SAFETY: set once when the session starts.
    unsafe { pg_sys::MyDatabaseId.to_u32() }
}

/// When this process started (µs since 2000) and its id: together they name it for ever.
pub fn process() -> (i64, i32) {
    // SAFETY: set once when the process starts.
    unsafe { (pg_sys::MyStartTimestamp, pg_sys::MyProcPid) }
}

/// The cluster's identity, from pg_control.
pub fn system_identifier() -> u64 {
    // SAFETY: pg_control is in shared memory in every process.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// The timeline WAL is written on. Not in recovery.
pub fn timeline() -> u32 {
    // SAFETY: a field in shared memory that is set once recovery has ended.
    unsafe { pg_sys::GetWALInsertionTimeLine() }
}

/// Whether the server is a standby or still recovering.
#[allow(ffi_unwind_calls)] // reason: a read of a variable, which cannot raise
pub fn in_recovery() -> bool {
    // SAFETY: reads a flag.
    unsafe { raw::raw_in_recovery() }
}

/// Up to where WAL is on disk. Not in recovery.
pub fn flushed() -> u64 {
    // SAFETY: takes a spinlock; a NULL timeline is allowed.
    unsafe { pg_sys::GetFlushRecPtr(std::ptr::null_mut()) }
}

/// End of the newest record inserted by anybody, as a position that may be flushed. Not in recovery.
pub fn inserted() -> u64 {
    // SAFETY: takes a spinlock.
    let next = unsafe { pg_sys::GetXLogInsertRecPtr() };
    // where the next record begins: behind a page header that may not be written yet. The end of the last one is the
    // page's beginning then, and flushing further would be asking for WAL that does not exist.
    let (page, segment) = (u64::from(pg_sys::XLOG_BLCKSZ), segment_size());
    let long = std::mem::size_of::<pg_sys::XLogLongPageHeaderData>() as u64;
    let short = (std::mem::size_of::<pg_sys::XLogPageHeaderData>() as u64).next_multiple_of(8);
    match (next % segment, next % page) {
        (within, _) if within == long => next - long,
        (_, within) if within == short => next - short,
        _ => next,
    }
}

/// Bytes in a WAL segment.
pub fn segment_size() -> u64 {
    // SAFETY: set when the control file is read, before any backend starts.
    u64::try_from(unsafe { pg_sys::wal_segment_size }).unwrap_or(16 << 20).max(1 << 20)
}

/// Whether `pg_wal` still has the segment of `lsn`, on any timeline.
pub fn segment_kept(lsn: u64) -> bool {
    let (segment, per_log) = (lsn / segment_size(), 0x1_0000_0000 / segment_size());
    let wanted = format!("{:08X}{:08X}", segment / per_log, segment % per_log);
    // the data directory is every server process's working directory
    let Ok(files) = std::fs::read_dir("pg_wal") else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.len() == 24 && name.get(8..) == Some(wanted.as_str())
    })
}

/// A position as Postgres prints it: `16/B374D848`.
pub fn show(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

// ------------------------------------------------------------------------------------------------ reading

/// A WAL message with our prefix; whether it is one of ours only [`record::open`] can tell.
pub struct Message {
    /// Position behind it.
    pub end_lsn: u64,
    /// The database it was written in, as the message claims.
    pub database: pg_sys::Oid,
    /// The sealed record, or anything at all; empty when it is too long to be a record.
    pub payload: Vec<u8>,
}

/// Reads flushed WAL from a record boundary on and picks out our messages. It never sees what a crash could undo.
///
/// Made anew for each batch: after the end of WAL or an error a reader's position is not to be trusted. Must not outlive
/// the memory context it is made in.
pub struct Reader {
    state: *mut pg_sys::XLogReaderState,
    // boxed: xlogreader keeps its address
    end: Box<pg_sys::ReadLocalXLogPageNoWaitPrivate>,
    position: u64,
    stop: u64,
}

impl Reader {
    /// A reader that begins with the record at `from`: a position that an earlier reader returned, or a slot's.
    pub fn new(from: u64) -> Result<Reader> {
        let mut end = Box::new(pg_sys::ReadLocalXLogPageNoWaitPrivate { end_of_wal: false });
        let mut routine = pg_sys::XLogReaderRoutine {
            page_read: Some(raw_read_page),
            segment_open: Some(raw_segment_open),
            segment_close: Some(raw_segment_close),
        };
        // SAFETY: routine is copied; `end` is boxed and lives as long as the reader, which Drop frees.
        let state = unsafe {
            let private = std::ptr::from_mut(&mut *end).cast();
            pg_sys::XLogReaderAllocate(pg_sys::wal_segment_size, std::ptr::null(), &mut routine, private)
        };
        if state.is_null() {
            return Err(Error::new(Kind::State, "there is no memory to read WAL"));
        }
        let reader = Reader { state, end, position: from, stop: u64::MAX };
        // SAFETY: as promised by the caller, a record boundary.
        unsafe { pg_sys::XLogBeginRead(reader.state, from) };
        Ok(reader)
    }

    /// Stops after about this many bytes of WAL, so that one turn is bounded whatever others write.
    pub fn at_most(mut self, bytes: u64) -> Reader {
        self.stop = self.position.saturating_add(bytes);
        self
    }

    /// The next message with our prefix, `None` at the end of flushed WAL or of the byte limit.
    ///
    /// Errors: XX001 for WAL that is there and cannot be read. A removed segment is an ERROR of Postgres; ask
    /// [`segment_kept`] first.
    // not an Iterator: it fails, and its position outlives the end
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Message>> {
        while self.position < self.stop {
            check_for_interrupts!();
            let mut message: *mut c_char = std::ptr::null_mut();
            // SAFETY: state is ours; message is set to NULL or to text inside the reader.
            let found = unsafe { pg_sys::XLogReadRecord(self.state, &mut message) };
            if found.is_null() {
                if self.end.end_of_wal {
                    return Ok(None);
                }
                return Err(self.unreadable(message));
            }
            // SAFETY: XLogReadRecord succeeded, so the decoded record is there until the next call.
            let record = unsafe { &*(*self.state).record };
            self.position = record.next_lsn;
            if u32::from(record.header.xl_rmid) == pg_sys::RmgrIds::RM_LOGICALMSG_ID {
                // SAFETY: main_data has main_data_len bytes, decoded and copied by xlogreader.
                let data =
                    unsafe { std::slice::from_raw_parts(record.main_data.cast::<u8>(), record.main_data_len as usize) };
                if let Some((database, payload)) = split(data) {
                    let payload = if payload.len() > MOST { Vec::new() } else { payload.to_vec() };
                    return Ok(Some(Message { end_lsn: self.position, database: database.into(), payload }));
                }
            }
        }
        Ok(None)
    }

    /// Behind the last record that was read: where the next reader may begin.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn unreadable(&self, message: *const c_char) -> Error {
        let detail = if message.is_null() {
            String::from("no reason given")
        } else {
            // SAFETY: a NUL-terminated text in the reader's buffer.
            unsafe { std::ffi::CStr::from_ptr(message) }.to_string_lossy().into_owned()
        };
        Error::new(Kind::Corrupt, format!("WAL at {} cannot be read", show(self.position))).detail(detail)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once; closes the segment file.
        unsafe { pg_sys::XLogReaderFree(self.state) }
    }
}

/// Database and payload of a logical message with our prefix.
fn split(data: &[u8]) -> Option<(u32, &[u8])> {
    let head = data.get(..HEADER)?;
    let number = |from: usize| head.get(from..from + 8).and_then(|b| b.try_into().ok()).map(u64::from_ne_bytes);
    let database = u32::from_ne_bytes(head.get(..4)?.try_into().ok()?);
    // the prefix's size counts its NUL
    let (prefix, size) = (usize::try_from(number(8)?).ok()?, usize::try_from(number(16)?).ok()?);
    let body = data.get(HEADER..)?;
    if body.get(..prefix)? != PREFIX.to_bytes_with_nul() {
        return None;
    }
    Some((database, body.get(prefix..)?.get(..size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(prefix: &[u8], payload: &[u8], size: u64) -> Vec<u8> {
        let mut data = vec![5, 0, 0, 0, 0, 0, 0, 0];
        data.extend((prefix.len() as u64).to_ne_bytes());
        data.extend(size.to_ne_bytes());
        data.extend(prefix);
        data.extend(payload);
        data
    }

    #[test]
    fn the_prefix_is_the_one_that_is_authenticated() {
        assert_eq!(PREFIX.to_str(), Ok(record::PREFIX));
    }

    #[test]
    fn splits_our_messages_only() {
        assert_eq!(split(&message(b"airlock\0", b"abc", 3)), Some((5, &b"abc"[..])));
        assert_eq!(split(&message(b"airlock\0", b"", 0)), Some((5, &b""[..])));
        assert_eq!(split(&message(b"airlocks\0", b"abc", 3)), None);
        assert_eq!(split(&message(b"airlock", b"abc", 3)), None);
        assert_eq!(split(&message(b"airlock\0", b"abc", 4)), None);
        assert_eq!(split(&message(b"airlock\0", b"abc", u64::MAX)), None);
        assert_eq!(split(b"short"), None);
    }

    #[test]
    fn positions_print_as_postgres_prints_them() {
        assert_eq!(show(0x16_B374_D848), "16/B374D848");
        assert_eq!(show(0), "0/0");
    }
}
