//! The rows of a SELECT of our own, each taken apart once and read in place: for tables with many columns and any number of
//! rows. [`super::cursor`] has datums of whatever type, and [`super::sql`] rows that are few.
#![allow(unsafe_code)] // ◆ tuples, values in place

use super::flat::{Flat, Other};
use super::sql::Arg;
use super::varlena_in_place;
use crate::pure::error::{Error, Kind, Result};
use pgrx::spi::{SpiClient, SpiCursor, SpiError, SpiErrorCodes};
use pgrx::{check_for_interrupts, pg_sys, PgMemoryContexts, Spi};
use std::ffi::{c_char, c_int, CStr, CString};

/// Rows fetched at once.
const BATCH: i64 = 1_000;

/// A row; its columns are counted from 1, and NULL is `None`. What it gives lives as long as it does.
pub struct Tuple<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
    types: &'a [pg_sys::Oid],
}

impl<'a> Tuple<'a> {
    /// The value of a column of one of these types.
    fn datum(&self, column: usize, types: &[pg_sys::Oid]) -> Result<Option<pg_sys::Datum>> {
        let i = column.wrapping_sub(1);
        match (self.values.get(i), self.nulls.get(i), self.types.get(i)) {
            (Some(value), Some(null), Some(oid)) if types.contains(oid) => Ok((!null).then_some(*value)),
            _ => Err(Error::new(Kind::Corrupt, format!("column {column} of the read log's tables is of another type"))),
        }
    }

    /// A bigint.
    pub fn long(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.datum(column, &[pg_sys::INT8OID])?.map(|datum| datum.value() as i64))
    }

    /// A time (timestamptz) in microseconds since 2000.
    pub fn moment(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.datum(column, &[pg_sys::TIMESTAMPTZOID])?.map(|datum| datum.value() as i64))
    }

    /// An integer.
    pub fn int(&self, column: usize) -> Result<Option<i32>> {
        Ok(self.datum(column, &[pg_sys::INT4OID])?.map(|datum| datum.value() as i32))
    }

    /// A boolean.
    pub fn bool(&self, column: usize) -> Result<Option<bool>> {
        Ok(self.datum(column, &[pg_sys::BOOLOID])?.map(|datum| datum.value() & 0xff != 0))
    }

    /// A bytea.
    pub fn bytes(&self, column: usize) -> Result<Option<&'a [u8]>> {
        // SAFETY: a varlena of the row.
        Ok(self.datum(column, &[pg_sys::BYTEAOID])?.map(|datum| unsafe { varlena_in_place(datum) }))
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<Option<&'a str>> {
        // SAFETY: as in `bytes`.
        let bytes = self.datum(column, &[pg_sys::TEXTOID])?.map(|datum| unsafe { varlena_in_place(datum) });
        bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| not_utf8())).transpose()
    }

    /// An array of any type.
    fn array(&self, column: usize, of: pg_sys::Oid) -> Result<Option<std::result::Result<Flat<'a>, Other>>> {
        // SAFETY: as in `bytes`; an array is a varlena.
        Ok(self.datum(column, &[of])?.map(|datum| Flat::of(unsafe { varlena_in_place(datum) })))
    }

    /// A text[]; why it is not one as the log's worker writes it, where it is not.
    pub fn texts(&self, column: usize) -> Result<std::result::Result<Vec<&'a str>, Other>> {
        let list = self.array(column, pg_sys::TEXTARRAYOID)?.unwrap_or(Err(Other::Content));
        match list.and_then(|list| list.varlena()) {
            Err(other) => Ok(Err(other)),
            Ok(list) => {
                let texts: std::result::Result<_, _> = list.into_iter().map(std::str::from_utf8).collect();
                texts.map(Ok).map_err(|_| not_utf8())
            }
        }
    }

    /// A bytea[], likewise.
    pub fn byte_strings(&self, column: usize) -> Result<std::result::Result<Vec<&'a [u8]>, Other>> {
        let list = self.array(column, pg_sys::BYTEAARRAYOID)?.unwrap_or(Err(Other::Content));
        Ok(list.and_then(|list| list.varlena()))
    }

    /// An integer[], likewise.
    pub fn ints(&self, column: usize) -> Result<std::result::Result<Vec<i32>, Other>> {
        let list = self.array(column, pg_sys::INT4ARRAYOID)?.unwrap_or(Err(Other::Content));
        Ok(list.and_then(|list| list.fixed()).map(|list| list.into_iter().map(i32::from_ne_bytes).collect()))
    }

    /// A uuid[], likewise.
    pub fn uuids(&self, column: usize) -> Result<std::result::Result<Vec<[u8; 16]>, Other>> {
        let list = self.array(column, pg_sys::UUIDARRAYOID)?.unwrap_or(Err(Other::Content));
        Ok(list.and_then(|list| list.fixed()))
    }
}

fn not_utf8() -> Error {
    Error::new(Kind::Corrupt, "a row of the read log's tables holds text that is not UTF-8")
}

/// Calls `each` for every row of a SELECT until it says that it has enough. Under the snapshot of the running query; a cancel
/// is heeded.
///
/// # Errors
/// Those of `each`; PostgreSQL's own.
pub fn each(select: &str, args: &[Arg], each: impl FnMut(&Tuple) -> Result<bool>) -> Result<()> {
    run(|client| client.try_open_cursor(select, args), each)
}

/// As [`each`], and under that snapshot in every transaction: in one that has written, PostgreSQL takes a new one for each
/// SELECT of ours, which sees what others have committed since. For tables that are held against each other.
pub fn each_as_seen(select: &str, args: &[Arg], each: impl FnMut(&Tuple) -> Result<bool>) -> Result<()> {
    run(|client| as_seen(client, select, args), each)
}

/// A cursor that writes nothing, and so reads under the snapshot that is active.
fn as_seen<'c>(client: &SpiClient<'c>, select: &str, args: &[Arg]) -> std::result::Result<SpiCursor<'c>, SpiError> {
    let mut types: Vec<_> = args.iter().map(Arg::oid).collect();
    let datum = |arg: &Arg| arg.datum().map_or(pg_sys::Datum::from(0), |datum| datum.sans_lifetime());
    let mut values: Vec<_> = args.iter().map(datum).collect();
    let nulls: Vec<_> = args.iter().map(|arg| if arg.datum().is_some() { b' ' } else { b'n' } as c_char).collect();
    let select = CString::new(select).map_err(|_| SpiErrorCodes::Argument)?;
    // SAFETY: connected to SPI; as many types, values and marks as arguments. The portal has a name, which is copied before
    // anything else runs.
    let name = unsafe {
        let (types, values, nulls) = (types.as_mut_ptr(), values.as_mut_ptr(), nulls.as_ptr());
        let count = args.len() as c_int;
        let name = std::ptr::null();
        let portal = pg_sys::SPI_cursor_open_with_args(name, select.as_ptr(), count, types, values, nulls, true, 0);
        CStr::from_ptr((*portal).name).to_string_lossy().into_owned()
    };
    client.find_cursor(&name)
}

fn run(
    open: impl for<'c> FnOnce(&SpiClient<'c>) -> std::result::Result<SpiCursor<'c>, SpiError>,
    mut each: impl FnMut(&Tuple) -> Result<bool>,
) -> Result<()> {
    let broken = |e: SpiError| Error::new(Kind::Corrupt, format!("the read log's tables cannot be used: {e}"));
    Spi::connect(|client| {
        let mut cursor = open(client).map_err(broken)?;
        let mut context = PgMemoryContexts::new("pg_airlock tuples");
        loop {
            check_for_interrupts!();
            if cursor.fetch(BATCH).map_err(broken)?.is_empty() {
                return Ok(());
            }
            // SAFETY: reads the variable that the fetch has set, and gives back what it holds when nobody refers to it.
            let more = unsafe {
                let table = pg_sys::SPI_tuptable;
                let mut own = PgMemoryContexts::For(context.value());
                let more = context.switch_to(|_| through(&*table, &mut own, &mut each));
                pg_sys::SPI_freetuptable(table);
                more?
            };
            if !more {
                return Ok(());
            }
        }
    })
}

/// The rows of a batch.
///
/// # Safety
/// A table that SPI has filled.
unsafe fn through(
    table: &pg_sys::SPITupleTable,
    context: &mut PgMemoryContexts,
    each: &mut impl FnMut(&Tuple) -> Result<bool>,
) -> Result<bool> {
    // SAFETY: `numvals` tuples of the descriptor; each is taken apart into room for all its columns. The context is ours, and
    // nothing that was made for a row is kept beyond it.
    unsafe {
        let desc = table.tupdesc;
        let columns = (*desc).natts as usize;
        let types: Vec<_> = (0..columns).map(|i| super::compat::attribute(desc, i).atttypid).collect();
        let mut values = vec![pg_sys::Datum::from(0); columns];
        let mut nulls = vec![true; columns];
        for tuple in std::slice::from_raw_parts(table.vals, table.numvals as usize) {
            pg_sys::heap_deform_tuple(*tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            let row = Tuple { values: &values, nulls: &nulls, types: &types };
            let more = each(&row)?;
            // most rows need no memory of PostgreSQL's
            if !(*context.value()).isReset {
                context.reset();
            }
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
