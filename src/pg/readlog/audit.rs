//! Reading the log is itself recorded: who read what of it, on disk before any of it is shown.
#![allow(unsafe_code)] // ◆ the statement at hand

use super::{armed, materialiser, private, record_of, wal};
use crate::pure::error::Result;
use crate::pure::normalise::apart;
use crate::pure::record::{Parts, Record, RecordKind, MAX_STATEMENT};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::ffi::CStr;

thread_local! {
    /// What was recorded for the statement that began then.
    static NOTED: RefCell<(i64, Vec<String>)> = const { RefCell::new((0, Vec::new())) };
}

/// Records that this session's statement reads `what` of the log, or decides how long it is kept; `values`, such as whom it
/// is about, are kept encrypted. Once for each statement of the client's and set of values. Nothing is
/// recorded on a standby, which writes no WAL, nor with the objects of 0.1.0, which have no place for it.
///
/// # Errors
/// AL001 when the keys are locked; AL005 when no record can be written.
pub fn note(what: &str, values: &[&str]) -> Result<()> {
    if wal::in_recovery() || materialiser::before_0_2() {
        return Ok(());
    }
    if materialiser::log_key_versions()?.is_empty() {
        // no key was ever made, so there is no log
        return Ok(());
    }
    // SAFETY: backend-local variables.
    let (began, text) = unsafe { (pg_sys::GetCurrentStatementStartTimestamp(), pg_sys::debug_query_string) };
    let text = if text.is_null() {
        String::new()
    } else {
        // SAFETY: the client's text, NUL-terminated.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    // another role in the same message is another reader, and statements that were bound before they run share its time
    // SAFETY: reads a variable.
    let key = format!("{} {what} {values:?} {text}", unsafe { pg_sys::GetUserId() }.to_u32());
    let known = NOTED.with(|n| {
        let n = n.borrow();
        n.0 == began && n.1.contains(&key)
    });
    if known {
        return Ok(());
    }
    let (statement, constants) = apart(&text, MAX_STATEMENT);
    let mut record = Record { statement, detail: Some(what.to_string()), ..record_of::of_session(RecordKind::Audit) };
    record.statement_id.n = armed::next_number();
    // whom an auditor asked about is as private as whom a reader did
    let values = values.iter().map(|v| Some((*v).to_string())).collect();
    let private = private::of(constants, values, record.statement.ends_with('…'))?;
    let lsn = wal::Sealer::new()?.append_with(record, Parts { private, subjects: None })?;
    wal::flush(lsn)?;
    NOTED.with(|n| {
        let mut n = n.borrow_mut();
        if n.0 != began {
            *n = (began, Vec::new());
        }
        n.1.push(key);
    });
    Ok(())
}
