//! SPI for administrative functions: typed rows, one meaning for every text, and work that is undone afterwards.
//!
//! Everything here runs read-write with a fresh snapshot per statement, so it sees what was committed while it waited
//! for a lock. It therefore takes a transaction id: never call it from a hook, a view's function or a standby.
#![allow(unsafe_code)] // ◆ internal subtransactions, a nest of settings

use crate::pure::error::{Error, Kind, Result};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::spi::{SpiError, SpiHeapTupleData};
use pgrx::{pg_sys, FromDatum, IntoDatum, Spi};
use std::any::Any;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// A parameter of a statement.
pub type Arg<'a> = DatumWithOid<'a>;

/// A parameter, from any value pgrx converts; `None` is NULL.
pub fn arg<'a, T: IntoDatum>(value: T) -> Arg<'a> {
    DatumWithOid::from(value)
}

/// A row of a result; columns are counted from 1.
pub struct Row<'a>(&'a SpiHeapTupleData<'a>);

impl Row<'_> {
    /// A column, `None` when NULL.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<Option<T>> {
        self.0.get(column).map_err(|e| broken(&e))
    }

    /// A column that is never NULL.
    pub fn need<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<T> {
        self.get(column)?
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("column {column} of a catalog query is null")))
    }
}

/// SPI itself failed, which no correct statement of ours makes it do. An ERROR in a statement comes as a panic instead
/// and keeps its own code.
fn broken(error: &SpiError) -> Error {
    Error::new(Kind::Corrupt, format!("a query on the catalog failed: {error}"))
}

/// Runs one statement and gives the number of rows it touched or returned.
pub fn run(statement: &str, args: &[Arg]) -> Result<usize> {
    Spi::connect_mut(|client| client.update(statement, None, args).map(|table| table.len())).map_err(|e| broken(&e))
}

/// Runs one statement and reads every row it returns.
pub fn rows<T>(statement: &str, args: &[Arg], mut read: impl FnMut(&Row) -> Result<T>) -> Result<Vec<T>> {
    Spi::connect_mut(|client| {
        let table = client.update(statement, None, args).map_err(|e| broken(&e))?;
        table.map(|row| read(&Row(&row))).collect()
    })
}

/// Runs one statement and reads its first row, if there is one.
pub fn first<T>(statement: &str, args: &[Arg], read: impl FnMut(&Row) -> Result<T>) -> Result<Option<T>> {
    rows(statement, args, read).map(|rows| rows.into_iter().next())
}

/// As [`first`] for a SELECT that must take no transaction id: it works on a standby too.
pub fn look<T>(select: &str, args: &[Arg], mut read: impl FnMut(&Row) -> Result<T>) -> Result<Option<T>> {
    Spi::connect(|client| {
        let mut table = client.select(select, Some(1), args).map_err(|e| broken(&e))?;
        table.next().map(|row| read(&Row(&row))).transpose()
    })
}

/// What could change the meaning of a text that is read or printed here. The functions' own declarations fix
/// search_path already; here it is fixed for whoever calls from elsewhere.
const SETTINGS: [(&std::ffi::CStr, &std::ffi::CStr); 11] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"datestyle", c"ISO, YMD"),
    (c"intervalstyle", c"postgres"),
    (c"timezone", c"UTC"),
    (c"extra_float_digits", c"1"),
    (c"standard_conforming_strings", c"on"),
    (c"check_function_bodies", c"on"),
    // how expressions and constants of views are printed
    (c"quote_all_identifiers", c"off"),
    (c"bytea_output", c"hex"),
    (c"xmlbinary", c"base64"),
    (c"lc_monetary", c"C"),
];

/// Runs `body` under settings that give every text one meaning, whatever the session's are; they come back after it.
pub fn settled<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: a nest of settings is closed below, or by the (sub)transaction's abort when the body raises.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    for (name, value) in SETTINGS {
        // SAFETY: static NUL-terminated texts; a USERSET setting may be saved and set at any time.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
    let result = body();
    // SAFETY: closes the nest opened above; true keeps nothing of it, as GUC_ACTION_SAVE restores.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    result
}

/// How long a statement that must keep readers out waits for them, in milliseconds.
const PATIENCE: i32 = 5000;

/// Runs `body`, which waits for no lock longer than five seconds, or than the session's own `lock_timeout` where that is
/// shorter. False when a lock was not to be had: the caller must end with an error then, for nothing was rolled back.
pub fn impatient(body: impl FnOnce() -> Result<()>) -> Result<bool> {
    // SAFETY: a setting of the backend is read; a nest of settings is closed below, or by the abort when `body` raises.
    // A USERSET setting may be saved and set at any time.
    let level = unsafe {
        let level = pg_sys::NewGUCNestLevel();
        if pg_sys::LockTimeout == 0 || pg_sys::LockTimeout > PATIENCE {
            pg_sys::set_config_option(
                c"lock_timeout".as_ptr(),
                c"5s".as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        level
    };
    let done = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result.map(|()| true),
        Err(panic) => match panic.downcast_ref::<CaughtError>() {
            Some(CaughtError::PostgresError(report))
                if crate::pg::error::unpacked(report.sql_error_code() as i32) == "55P03" =>
            {
                Ok(false)
            }
            _ => resume_unwind(panic),
        },
    };
    // SAFETY: closes the nest opened above.
    unsafe { pg_sys::AtEOXact_GUC(true, level) };
    done
}

/// Runs `body` in a subtransaction and rolls that back, however it ended: what it wrote, locked and set is undone, what
/// it returns stays. Its errors go on.
pub fn undone<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    subtransaction(body).unwrap_or_else(|panic| resume_unwind(panic))
}

/// As [`undone`], but what PostgreSQL itself has to say against the input (SQLSTATE classes 0A, 22, 42 and 54) comes
/// back as its message, `Err`. Everything else, a cancel or a full disk, goes on as the error it is.
pub fn refusable<T>(body: impl FnOnce() -> Result<T>) -> Result<std::result::Result<T, String>> {
    let panic = match subtransaction(body) {
        Ok(result) => return result.map(Ok),
        Err(panic) => panic,
    };
    if let Some(CaughtError::PostgresError(report)) = panic.downcast_ref::<CaughtError>() {
        let code = crate::pg::error::unpacked(report.sql_error_code() as i32);
        if ["0A", "22", "42", "54"].iter().any(|class| code.starts_with(class)) {
            return Ok(Err(report.message().to_string()));
        }
    }
    resume_unwind(panic)
}

/// Runs `body`, which reads rows and changes nothing, in a subtransaction that is rolled back. What PostgreSQL, or code that it
/// calls, has to say against a value is said without the value (55000): `what` cannot be read.
pub fn hushed<T>(what: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let panic = match subtransaction(body) {
        Ok(result) => return result,
        Err(panic) => panic,
    };
    if let Some(CaughtError::PostgresError(report)) = panic.downcast_ref::<CaughtError>() {
        let code = crate::pg::error::unpacked(report.sql_error_code() as i32);
        if ["22", "23", "38", "39", "P0"].iter().any(|class| code.starts_with(class)) {
            return Err(Error::new(Kind::State, format!("{what} cannot be read (SQLSTATE {code})"))
                .detail("The error is not shown, for it may quote a value of a row."));
        }
    }
    resume_unwind(panic)
}

/// Runs `body` in a subtransaction, which stays when it succeeds. What it or PostgreSQL has to say against it comes back as a
/// message, and nothing of it stays; a cancel or a termination goes on.
pub fn attempted(body: impl FnOnce() -> Result<()>) -> Result<std::result::Result<(), String>> {
    match subtransaction_kept(body) {
        Ok(result) => Ok(result.map_err(|error| error.message)),
        Err(panic) => match panic.downcast_ref::<CaughtError>() {
            Some(CaughtError::PostgresError(report))
                if !crate::pg::error::unpacked(report.sql_error_code() as i32).starts_with("57") =>
            {
                Ok(Err(report.message().to_string()))
            }
            _ => resume_unwind(panic),
        },
    }
}

fn subtransaction_kept(body: impl FnOnce() -> Result<()>) -> std::result::Result<Result<()>, Box<dyn Any + Send>> {
    in_subtransaction(body, Result::is_ok)
}

fn subtransaction<T>(body: impl FnOnce() -> Result<T>) -> std::result::Result<Result<T>, Box<dyn Any + Send>> {
    in_subtransaction(body, |_| false)
}

fn in_subtransaction<T>(
    body: impl FnOnce() -> Result<T>,
    keep: impl FnOnce(&Result<T>) -> bool,
) -> std::result::Result<Result<T>, Box<dyn Any + Send>> {
    // SAFETY: the protocol of PL/pgSQL's exception blocks: begin, keep the caller's memory context, roll back, restore
    // context and resource owner. pgrx has copied and flushed the error state before an ERROR gets here as a panic.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = context;
        let outcome = catch_unwind(AssertUnwindSafe(body));
        pg_sys::CurrentMemoryContext = context;
        if outcome.as_ref().is_ok_and(keep) {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::CurrentMemoryContext = context;
        pg_sys::CurrentResourceOwner = owner;
        outcome
    }
}

/// Whether the transaction sees what was committed when it began and nothing since: REPEATABLE READ and SERIALIZABLE.
pub fn keeps_its_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}
