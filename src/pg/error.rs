//! `pure::Error` → SQLSTATE, message, DETAIL, HINT; nothing else raises. And the edge of every SQL function.
//!
//! pgrx knows a closed list of SQLSTATEs, ours (`AL001` …) are not among them. So errors of ours are raised by
//! calling elog.c directly, after every Rust destructor has run; and where one comes back through a pgrx guard (SPI
//! inside a function of ours) it has lost its code, which [`run`] puts back from what was last raised.
#![allow(unsafe_code)] // ◆ the call of elog.c
#![allow(ffi_unwind_calls)] // reason: errfinish longjmps; the frames it leaves own nothing

use crate::pg::sys::raw;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{pg_sys, PgLogLevel};
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

thread_local! {
    /// The last error of ours: its code is lost when it passes through a pgrx guard, see [`run`].
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// The five characters as elog.c packs them.
pub fn packed(kind: Kind) -> i32 {
    kind.sqlstate().bytes().enumerate().fold(0, |code, (i, c)| code | (((c as i32) - 48) & 0x3F) << (6 * i))
}

/// A packed SQLSTATE as its five characters.
pub fn unpacked(code: i32) -> String {
    (0..5).map(|i| (((code >> (6 * i)) & 0x3F) as u8 + 48) as char).collect()
}

/// Runs the body of a SQL function, hook or callback, and raises what it returns as an ERROR.
///
/// # Safety
/// Must be the outermost Rust frame that owns anything: an ERROR leaves it by longjmp.
pub unsafe fn run<T>(body: impl FnOnce() -> Result<T>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        // SAFETY: the caller promises that no frame above owns anything; ours has moved everything out.
        Ok(Err(error)) => unsafe { raise(error) },
        Err(panic) => match recover(panic) {
            // SAFETY: as above.
            Ok(error) => unsafe { raise(error) },
            // SAFETY: pgrx's own way for a Postgres ERROR that became a panic.
            Err(panic) => unsafe { pg_sys::panic::pgrx_extern_c_guard(move || resume_unwind(panic)) },
        },
    }
}

/// Tells whether a panic is an error of ours that lost its code on the way through a pgrx guard.
fn recover(panic: Box<dyn std::any::Any + Send>) -> std::result::Result<Error, Box<dyn std::any::Any + Send>> {
    let last = LAST.with(|l| l.borrow_mut().take());
    if let (Some(CaughtError::PostgresError(report)), Some(last)) = (panic.downcast_ref::<CaughtError>(), last) {
        if report.message() == last.message {
            return Ok(last);
        }
    }
    Err(panic)
}

/// What a panic was about, for a caller that must not raise it again.
pub fn of_panic(panic: Box<dyn std::any::Any + Send>) -> Error {
    recover(panic).unwrap_or_else(|panic| {
        let internal = Error::new(Kind::State, "internal error");
        match panic.downcast_ref::<CaughtError>() {
            Some(CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)) => {
                internal.detail(report.message())
            }
            _ => internal,
        }
    })
}

/// Raises `error` as an ERROR and does not return.
///
/// # Safety
/// As [`run`].
pub unsafe fn raise(error: Error) -> ! {
    // SAFETY: see `report`; level ERROR never returns from errfinish.
    unsafe {
        report(PgLogLevel::ERROR as i32, error);
        std::hint::unreachable_unchecked()
    }
}

/// Reports at any level; returns for levels below ERROR.
///
/// # Safety
/// At ERROR and above, as [`run`].
pub unsafe fn report(level: i32, error: Error) {
    // a notice keeps the code elog gives it: its kind says what it would be as an error
    let code = if level >= PgLogLevel::ERROR as i32 { packed(error.kind) } else { 0 };
    if level >= PgLogLevel::ERROR as i32 {
        LAST.with(|l| l.replace(Some(error.clone())));
    }
    let message = palloc_text(Some(error.message));
    let detail = palloc_text(error.detail);
    let hint = palloc_text(error.hint);
    // SAFETY: from here on the frame owns plain pointers only; elog.c copies the texts into ErrorContext.
    unsafe {
        if raw::errstart(level, std::ptr::null()) {
            if code != 0 {
                raw::errcode(code);
            }
            raw::errmsg(c"%s".as_ptr(), message);
            if !detail.is_null() {
                raw::errdetail(c"%s".as_ptr(), detail);
            }
            if !hint.is_null() {
                raw::errhint(c"%s".as_ptr(), hint);
            }
            raw::errfinish(c"pg_airlock".as_ptr(), 0, std::ptr::null());
        }
    }
}

/// Raises an ERROR of a SQLSTATE that was not ours to choose.
///
/// # Safety
/// As [`run`], and no frame at all may own anything.
pub unsafe fn raise_as(code: i32, message: &'static CStr, detail: &'static CStr) -> ! {
    // SAFETY: plain pointers only; level ERROR never returns from errfinish.
    unsafe {
        if raw::errstart(PgLogLevel::ERROR as i32, std::ptr::null()) {
            raw::errcode(code);
            raw::errmsg(c"%s".as_ptr(), message.as_ptr());
            raw::errdetail(c"%s".as_ptr(), detail.as_ptr());
            raw::errfinish(c"pg_airlock".as_ptr(), 0, std::ptr::null());
        }
        std::hint::unreachable_unchecked()
    }
}

/// A LOG line in the server log. Never a key, plaintext or row value.
pub fn log(message: impl Into<String>) {
    // SAFETY: below ERROR, so it returns.
    unsafe { report(PgLogLevel::LOG as i32, Error::new(Kind::State, message)) }
}

/// A WARNING that goes to the server log only.
pub fn log_warning(message: impl Into<String>) {
    // SAFETY: below ERROR, so it returns.
    unsafe { report(PgLogLevel::WARNING as i32, Error::new(Kind::State, message)) }
}

/// A NOTICE for the user.
pub fn notice(error: Error) {
    // SAFETY: below ERROR, so it returns.
    unsafe { report(PgLogLevel::NOTICE as i32, error) }
}

/// Copies a text into palloc'd memory, so that nothing needs dropping when elog.c jumps; NULL for none.
fn palloc_text(text: Option<String>) -> *mut std::ffi::c_char {
    let Some(text) = text.and_then(|t| CString::new(t.replace('\0', "")).ok()) else { return std::ptr::null_mut() };
    // SAFETY: pstrdup copies a NUL-terminated string.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_pack_as_elog_does() {
        assert_eq!(unpacked(packed(Kind::Locked)), "AL001");
        assert_eq!(
            packed(Kind::InvalidArgument),
            pg_sys::errcodes::PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE as i32
        );
    }
}
