//! `CALL airlock.reencrypt(…)`: what a rotated key sealed before is sealed under its active version. Old to new in one call in
//! Rust: nothing is shown, so it takes no right to decrypt, only the table.
#![allow(unsafe_code)] // ◆ columns of a tuple descriptor

use super::rewrite::{Change, Fields};
use super::row::Claim;
use super::session::Session;
use super::throttle::Throttle;
use super::{family, run, Pace};
use crate::pg::columns::own;
use crate::pg::encrypted::bind::{places, row_of_fields};
use crate::pg::encrypted::held::{Anew, Held};
use crate::pg::error::notice;
use crate::pg::keys::ring::{self, Number};
use crate::pg::sys::catalog::name_argument;
use crate::pg::sys::{compat, Args};
use crate::pure::envelope::Row;
use crate::pure::error::{Error, Kind, Result};
use crate::sql_function;
use pgrx::pg_sys;

/// The job's kind in `airlock_catalog.job`.
const KIND: &str = "reencrypt";

sql_function!(
    /// `CALL airlock.reencrypt(relation regclass, column_name name, batch_rows integer, rows_per_second integer, max_lag_mb
    /// integer)`: seals every value of a table's encrypted columns (or of one) that an older version of its key sealed under
    /// the active version, partitions and children included. Commits after each batch of `batch_rows` rows; goes on where an
    /// interrupted call was. `rows_per_second` and `max_lag_mb` (megabytes of WAL that a replica has not flushed) hold it
    /// back. Runs as the caller, who must own the tables; no trigger fires.
    ///
    /// Errors: 25001 in a transaction block or function; 42501 not the owner; 55000 no encrypted column, or locks of others
    /// that do not end; 55006 another session is at it; AL001 to AL003 from keys and values, with the row's place.
    airlock_reencrypt,
    reencrypt
);

fn reencrypt(args: Args) -> Result<()> {
    let relation: pg_sys::Oid = args.need(0, "relation")?;
    let column = name_argument(args, 1);
    let batch_rows = args.need::<i32>(2, "batch_rows")?;
    let batch_rows = u64::try_from(batch_rows).ok().filter(|n| *n > 0).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, "argument \"batch_rows\" must be positive").hint("leave it out for 10000")
    })?;
    let mut pace = Pace { batch_rows, throttle: Throttle::new(args.get(3), args.get(4))? };
    let session = Session::open(args, "CALL airlock.reencrypt")?;
    own(relation)?;
    let tables = family(relation)?;
    let shown = column.clone().unwrap_or_default();
    let mut claims = Vec::with_capacity(tables.len());
    for table in &tables {
        own(table.oid)?;
        if has_columns(table.oid, column.as_deref())? {
            claims.push(Claim::take(KIND, table.oid, &table.name, &shown)?);
        }
    }
    if claims.is_empty() {
        return Err(match column {
            Some(column) => Error::new(Kind::State, format!("there is no encrypted column \"{column}\" in the table")),
            None => Error::new(Kind::State, "there is no encrypted column in the table"),
        }
        .hint("those there are: TABLE airlock.encrypted_columns"));
    }
    let mut changed = 0;
    for claim in &claims {
        changed += run(&session, claim, &mut pace, &mut Reencrypt { column: column.clone(), columns: Vec::new() })?;
    }
    notice(Error::new(
        Kind::State,
        format!("{changed} rows were sealed anew, no value of an older key version is left"),
    ));
    Ok(())
}

/// The columns at work.
struct Reencrypt {
    column: Option<String>,
    columns: Vec<Column>,
}

struct Column {
    /// Position from 0.
    at: usize,
    name: String,
    held: Held,
    /// The active version's id.
    active: u32,
    /// Where the columns are that its values are bound to, with their types.
    bound: Vec<(usize, pg_sys::Oid)>,
    /// What sealed its last value.
    anew: Anew,
}

impl Column {
    /// What the values in a row are bound to.
    fn row(&self, row: &Fields) -> Result<Option<Row>> {
        row_of_fields(&self.bound.iter().map(|(at, oid)| (row.get(*at), *oid)).collect::<Vec<_>>())
    }
}

impl Change for Reencrypt {
    unsafe fn prepare(&mut self, desc: pg_sys::TupleDesc) -> Result<bool> {
        // SAFETY: as the caller promises.
        self.columns = unsafe { columns(desc, self.column.as_deref())? };
        Ok(!self.columns.is_empty())
    }

    fn due(&mut self, row: &Fields) -> Result<bool> {
        for column in &self.columns {
            let Some(field) = row.get(column.at) else { continue };
            let mut old = false;
            // SAFETY: a field of that column.
            unsafe { column.held.versions(field, &mut |version| old |= version != column.active) }
                .map_err(|error| in_column(error, &column.name))?;
            if old {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn apply(&mut self, row: &mut Fields) -> Result<()> {
        for column in &mut self.columns {
            let Some(field) = row.get(column.at) else { continue };
            let mut old = false;
            // SAFETY: as `due`.
            let versions = unsafe { column.held.versions(field, &mut |version| old |= version != column.active) };
            // a value that is new already keeps its bytes, and its place in TOAST
            let new = versions.and_then(|()| match old {
                false => Ok(None),
                true => {
                    let bound = column.row(row)?;
                    // SAFETY: as `due`.
                    unsafe { column.held.resealed(field, bound.as_ref(), &mut column.anew).map(Some) }
                }
            });
            if let Some(new) = new.map_err(|error| in_column(error, &column.name))? {
                row.set(column.at, Some(new));
            }
        }
        Ok(())
    }

    fn let_go(&mut self) {
        // with the keys that sealed their last values: what is retired or locked meanwhile is in no memory then
        self.columns.clear();
    }
}

fn in_column(error: Error, name: &str) -> Error {
    let place = format!("In column \"{name}\".");
    let detail = error.detail.as_ref().map_or(place.clone(), |detail| format!("{detail} {place}"));
    error.detail(detail)
}

/// The columns that hold encrypted values, or the one of that name.
///
/// # Safety
/// `desc` is the descriptor of an open relation.
unsafe fn columns(desc: pg_sys::TupleDesc, only: Option<&str>) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    // SAFETY: as the caller promises.
    unsafe {
        for at in 0..(*desc).natts as usize {
            let attribute = compat::attribute(desc, at);
            let name = std::ffi::CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
            // a generated column holds what its expression makes of another one
            if attribute.attisdropped || attribute.attgenerated != 0 || only.is_some_and(|only| only != name) {
                continue;
            }
            let Some(held) = Held::of(attribute.atttypid, attribute.atttypmod) else { continue };
            let key = match ring::number(held.typmod())? {
                Some(Number::Column(column)) => column.key.clone(),
                _ => {
                    return Err(Error::new(
                        Kind::Undefined,
                        format!("the encrypted column number of column \"{name}\" is unknown"),
                    )
                    .hint("was the dump restored without the rows of airlock_catalog?"))
                }
            };
            let (bound, active) = (places(desc, held.typmod())?, ring::versions::active_id(key.key_no)?);
            found.push(Column { at, name, held, active, bound, anew: Anew::default() });
        }
    }
    Ok(found)
}

/// Whether a table has such a column.
fn has_columns(relation: pg_sys::Oid, only: Option<&str>) -> Result<bool> {
    let table = super::rewrite::Open::new(relation, pg_sys::AccessShareLock)?;
    // SAFETY: the relation is open.
    Ok(!unsafe { columns(table.descriptor(), only)? }.is_empty())
}
