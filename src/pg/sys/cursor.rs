//! The rows of a query one after another, as datums of whatever type: for tables of any size. What a row was read with is
//! given back after it, and a cancel is heeded at each.
#![allow(unsafe_code)] // ◆ datums of any type, memory of rows

use super::sql::{self, Arg};
use crate::pg::encrypted::value::to_utf8;
use crate::pure::error::{Error, Kind, Result};
use pgrx::spi::{SpiError, SpiTupleTable};
use pgrx::{pg_sys, FromDatum, PgMemoryContexts, Spi};
use std::ffi::CStr;
use zeroize::Zeroizing;

/// Rows fetched at once.
const BATCH: i64 = 500;

/// A row; its columns are counted from 1. Its datums live until the next one.
pub struct Cells<'a>(&'a SpiTupleTable<'a>);

impl Cells<'_> {
    /// A column with its type; `None` for NULL.
    pub fn datum(&self, column: usize) -> Result<Option<(pg_sys::Datum, pg_sys::Oid)>> {
        let datum = self.0.get_datum_by_ordinal(column).map_err(|_| no_column(column))?;
        Ok(datum.map(|datum| (datum, self.type_of(column))))
    }

    /// The type of a column.
    pub fn type_of(&self, column: usize) -> pg_sys::Oid {
        self.0.column_type_oid(column).map_or(pg_sys::InvalidOid, |oid| oid.value())
    }

    /// A column as the type that the statement gives it.
    pub fn get<T: FromDatum>(&self, column: usize) -> Result<Option<T>> {
        let Some((datum, oid)) = self.datum(column)? else { return Ok(None) };
        // SAFETY: value and type belong together; the row is alive.
        Ok(unsafe { T::from_polymorphic_datum(datum, false, oid) })
    }

    /// A text column; empty for NULL.
    pub fn text(&self, column: usize) -> Result<String> {
        Ok(self.get::<String>(column)?.unwrap_or_default())
    }
}

fn no_column(column: usize) -> Error {
    Error::new(Kind::Corrupt, format!("a query has no column {column}"))
}

/// A value as its type prints it, under the settings in force.
pub fn printed(datum: pg_sys::Datum, oid: pg_sys::Oid) -> Result<Zeroizing<String>> {
    // SAFETY: the datum is of the type, whose output function gives a NUL-terminated text.
    let text = unsafe {
        let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(oid, &mut output, &mut varlena);
        CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, datum))
    };
    Ok(Zeroizing::new(to_utf8(text.to_bytes())?.into_owned()))
}

/// Calls `each` for every row of a SELECT, until it says that it has enough. As whoever is the current user.
///
/// What PostgreSQL has to say against a value of a row says it without the value: `what` cannot be read (55000).
///
/// # Errors
/// Those of `each`; PostgreSQL's own.
pub fn each(what: &str, select: &str, args: &[Arg], each: impl FnMut(&Cells) -> Result<bool>) -> Result<()> {
    sql::hushed(what, || rows(select, args, each))
}

fn rows(select: &str, args: &[Arg], mut each: impl FnMut(&Cells) -> Result<bool>) -> Result<()> {
    let broken = |e: SpiError| Error::new(Kind::Corrupt, format!("a query failed: {e}"));
    Spi::connect(|client| {
        let mut cursor = client.try_open_cursor(select, args).map_err(broken)?;
        let mut context = PgMemoryContexts::new("pg_airlock rows");
        loop {
            let mut batch = cursor.fetch(BATCH).map_err(broken)?;
            if batch.is_empty() {
                return Ok(());
            }
            // SAFETY: reads the variable that the fetch has set: the batch.
            let memory = unsafe { pg_sys::SPI_tuptable };
            while batch.next().is_some() {
                pgrx::check_for_interrupts!();
                // SAFETY: the context is this function's own.
                let more = unsafe { context.switch_to(|_| each(&Cells(&batch))) }?;
                // SAFETY: nothing that was made for the row is kept.
                unsafe { context.reset() };
                if !more {
                    return Ok(());
                }
            }
            // SAFETY: the batch, to which nothing refers any more.
            unsafe { pg_sys::SPI_freetuptable(memory) };
        }
    })
}
