//! One statement in a transaction of its own, which is rolled back however it ends; what it raised comes back as data. For a
//! background worker that has no transaction open.
#![allow(unsafe_code)] // ◆ C's PG_TRY, transactions, timeouts
#![allow(ffi_unwind_calls)] // reason: no frame between the jump and the handler owns anything

use super::raw;
use crate::pg::error::unpacked;
use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_long, CStr};

/// `STATEMENT_TIMEOUT` (`utils/timeout.h`), the same in 15 to 18.
const STATEMENT_TIMEOUT: c_int = 3;

extern "C-unwind" {
    /// `executor/spi.c`
    #[link_name = "SPI_execute_with_args"]
    fn raw_spi_execute(
        text: *const c_char,
        count: c_int,
        types: *mut pg_sys::Oid,
        values: *mut pg_sys::Datum,
        nulls: *const c_char,
        read_only: bool,
        rows: c_long,
    ) -> c_int;
    /// `parser/parser.c`
    #[link_name = "raw_parser"]
    fn raw_parser(text: *const c_char, mode: pg_sys::RawParseMode::Type) -> *mut pg_sys::List;
    /// `tcop/utility.c`; calls the hook
    #[link_name = "ProcessUtility"]
    fn raw_utility(
        statement: *mut pg_sys::PlannedStmt,
        text: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        env: *mut pg_sys::QueryEnvironment,
        dest: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
    /// `utils/misc/timeout.c`
    fn enable_timeout_after(id: c_int, milliseconds: c_int);
    /// `utils/misc/timeout.c`
    fn disable_timeout(id: c_int, keep: bool);
}

/// What came of a statement.
pub enum Attempt {
    /// Rows, and the first column of those that were asked for.
    Ran(u64, Vec<Option<String>>),
    /// The SQLSTATE, the message, and whether anything was said besides: DETAIL or HINT.
    Raised(String, String, bool),
}

/// How a statement is run.
pub struct Statement<'a> {
    /// Its text.
    pub sql: &'a CStr,
    /// `$1`, a text.
    pub parameter: Option<&'a str>,
    /// It is a utility command that SPI does not run.
    pub utility: bool,
    /// Of how many rows the first column is wanted.
    pub wanted: usize,
    /// It is cancelled then.
    pub milliseconds: i32,
}

/// Runs it and rolls back. Sessions' hooks see what they see of any statement.
pub fn attempt(statement: &Statement) -> Attempt {
    // SAFETY: no transaction is open; the abort takes snapshot, SPI level and all that the statement did away again.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::SPI_connect();
        let mut types = [pg_sys::TEXTOID];
        let mut values = [pg_sys::Datum::from(0)];
        if let Some(parameter) = statement.parameter {
            values[0] = super::varlena(parameter.as_bytes());
        }
        let count = c_int::from(statement.parameter.is_some());
        let (text, utility) = (statement.sql.as_ptr(), statement.utility);
        let (types, values) = (types.as_mut_ptr(), values.as_mut_ptr());
        enable_timeout_after(STATEMENT_TIMEOUT, statement.milliseconds);
        let raised = raw::caught(|| match utility {
            true => command(text),
            false => {
                raw_spi_execute(text, count, types, values, std::ptr::null(), false, 0);
            }
        });
        disable_timeout(STATEMENT_TIMEOUT, false);
        let result = match raised {
            Some(raised) => Attempt::Raised(unpacked(raised.code), raised.message, raised.more),
            None if utility => Attempt::Ran(0, Vec::new()),
            None => Attempt::Ran(pg_sys::SPI_processed, first_column(statement.wanted)),
        };
        pg_sys::AbortCurrentTransaction();
        pg_sys::QueryCancelPending = 0;
        result
    }
}

/// The first statement of the text, which is a utility command, as the server's main loop would run it.
unsafe fn command(text: *const c_char) {
    // SAFETY: a list of RawStmt comes back, of which the first is there; the plan of a utility command is its statement.
    unsafe {
        let parsed = raw_parser(text, pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let first = (*(*parsed).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let size = std::mem::size_of::<pg_sys::PlannedStmt>();
        let plan = pg_sys::palloc0(size).cast::<pg_sys::PlannedStmt>();
        (*plan).type_ = pg_sys::NodeTag::T_PlannedStmt;
        (*plan).commandType = pg_sys::CmdType::CMD_UTILITY;
        (*plan).canSetTag = true;
        (*plan).utilityStmt = (*first).stmt;
        (*plan).stmt_location = (*first).stmt_location;
        (*plan).stmt_len = (*first).stmt_len;
        let none: *mut c_char = std::ptr::null_mut();
        let context = pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL;
        raw_utility(plan, text, false, context, none.cast(), none.cast(), pg_sys::None_Receiver, none.cast());
    }
}

/// The first column of the rows at hand.
unsafe fn first_column(wanted: usize) -> Vec<Option<String>> {
    // SAFETY: SPI's own table, if the statement left one; values are printed by their types, NULL as NULL.
    unsafe {
        let table = pg_sys::SPI_tuptable;
        if table.is_null() || (*(*table).tupdesc).natts < 1 {
            return Vec::new();
        }
        let count = wanted.min(usize::try_from(pg_sys::SPI_processed).unwrap_or(0));
        let rows = std::slice::from_raw_parts((*table).vals, count);
        let text = |row: &pg_sys::HeapTuple| {
            let value = pg_sys::SPI_getvalue(*row, (*table).tupdesc, 1);
            (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
        };
        rows.iter().map(text).collect()
    }
}
