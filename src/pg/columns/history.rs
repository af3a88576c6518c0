//! Since when a column is encrypted, and since when its plaintext is out of pg_statistic: kept with the column's number in
//! `airlock_catalog.encrypted_column`, shown by `airlock.encrypted_columns`. Backups from before hold the plaintext.
//!
//! By table access, not SPI: the owner of a table records this, and nobody may touch the catalog.
#![allow(unsafe_code)] // ◆ updates of the extension's catalog

use crate::pg::sys::{compat, now, scan};
use crate::pure::error::Result;
use pgrx::pg_sys;
use std::ffi::CStr;

/// The end of the WAL, and when that is, recorded as the column's; as texts.
pub fn encrypted(column_no: i32) -> Result<(String, String)> {
    let (lsn, time) = position();
    change(|row| {
        let this = row.get("column_no").is_some_and(|no| no.value() as i32 == column_no);
        this.then(|| vec![("encrypted_at", time), ("encrypted_lsn", lsn)])
    })?;
    Ok((lsn_text(lsn), time_text(time)))
}

/// pg_statistic was scrubbed, and nothing was left over: whatever column was encrypted before has its plaintext in WAL and
/// backups from before now, and nowhere else in the database.
pub fn scrubbed() -> Result<()> {
    let (lsn, time) = position();
    change(|row| {
        let due = row.get("encrypted_lsn").is_some() && row.get("scrubbed_lsn").is_none();
        due.then(|| vec![("scrubbed_at", time), ("scrubbed_lsn", lsn)])
    })
}

/// Where the WAL ends now, and the time, as pg_lsn and timestamptz.
pub fn position() -> (pg_sys::Datum, pg_sys::Datum) {
    // SAFETY: reads shared memory; not in recovery, as who calls has checked.
    let lsn = unsafe { pg_sys::GetXLogInsertRecPtr() };
    (pg_sys::Datum::from(lsn), pg_sys::Datum::from(now()))
}

fn lsn_text(lsn: pg_sys::Datum) -> String {
    let lsn = lsn.value() as u64;
    format!("{:X}/{:X}", lsn >> 32, lsn as u32)
}

fn time_text(time: pg_sys::Datum) -> String {
    // SAFETY: a valid time; the text is in a static buffer and copied here.
    unsafe { CStr::from_ptr(pg_sys::timestamptz_to_str(time.value() as i64)).to_string_lossy().into_owned() }
}

/// A row of the table, by the names of its columns; NULL is none.
struct Stored<'a> {
    names: &'a [String],
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Stored<'_> {
    fn get(&self, column: &str) -> Option<pg_sys::Datum> {
        let i = self.names.iter().position(|name| name == column)?;
        (!self.nulls[i]).then_some(self.values[i])
    }
}

/// Sets columns of the rows for which `decide` says so. Columns that the table has not (of 0.1.0) are left out.
fn change(decide: impl Fn(&Stored) -> Option<Vec<(&'static str, pg_sys::Datum)>>) -> Result<()> {
    let Some(table) = scan::table_oid("encrypted_column") else { return Ok(()) };
    // SAFETY: a scan of a plain table of ours, under a snapshot of its own, so that it does not meet what it changes;
    // values are of the columns' types. An ERROR ends the transaction, which releases all.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as i32);
        let desc = (*relation).rd_att;
        let natts = (*desc).natts as usize;
        let name = |i| {
            let attribute = compat::attribute(desc, i);
            let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
            if attribute.attisdropped {
                String::new()
            } else {
                name
            }
        };
        let names: Vec<String> = (0..natts).map(name).collect();
        let (mut values, mut nulls) = (vec![pg_sys::Datum::from(0); natts], vec![true; natts]);
        let found = pg_sys::systable_beginscan(
            relation,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(found);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_deform_tuple(tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            let Some(changes) = decide(&Stored { names: &names, values: &values, nulls: &nulls }) else { continue };
            let mut replaced = vec![false; natts];
            for (column, value) in changes {
                if let Some(i) = names.iter().position(|name| name == column) {
                    (values[i], nulls[i], replaced[i]) = (value, false, true);
                }
            }
            if replaced.contains(&true) {
                let changed = pg_sys::heap_modify_tuple(
                    tuple,
                    desc,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                    replaced.as_mut_ptr(),
                );
                pg_sys::CatalogTupleUpdate(relation, &mut (*tuple).t_self, changed);
            }
        }
        pg_sys::systable_endscan(found);
        pg_sys::table_close(relation, pg_sys::RowExclusiveLock as i32);
        pg_sys::CommandCounterIncrement();
    }
    Ok(())
}
