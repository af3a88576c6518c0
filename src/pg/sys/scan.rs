//! Reading the extension's own tables without SPI: from hooks, in read-only transactions, for any role, and as of now
//! rather than as of the reader's snapshot (a suspension must not be hidden by REPEATABLE READ).
#![allow(unsafe_code)] // ◆ table access method calls

use super::compat;
use crate::pure::error::{Error, Kind, Result};
use pgrx::{pg_sys, FromDatum};
use std::collections::HashMap;
use std::ffi::CString;

/// One row of a catalog table; columns are asked for by name.
pub struct Row<'a> {
    columns: &'a HashMap<String, (usize, pg_sys::Oid)>,
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl Row<'_> {
    /// The column's value, `None` when NULL or when there is no such column (a database not yet upgraded).
    pub fn get<T: FromDatum>(&self, column: &str) -> Option<T> {
        let (i, oid) = *self.columns.get(column)?;
        // SAFETY: value and type belong together; the tuple is alive during the callback.
        unsafe { T::from_polymorphic_datum(self.values[i], self.nulls[i], oid) }
    }

    /// The column's value; XX001 when NULL.
    pub fn need<T: FromDatum>(&self, column: &str) -> Result<T> {
        self.get(column)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("column \"{column}\" of a catalog row is null")))
    }

    /// A text column.
    pub fn text(&self, column: &str) -> Option<String> {
        self.get::<String>(column)
    }

    /// A text[] column; NULL is empty.
    pub fn texts(&self, column: &str) -> Vec<String> {
        self.get::<Vec<Option<String>>>(column).unwrap_or_default().into_iter().flatten().collect()
    }

    /// A regclass[] column; NULL, or no such column, is empty.
    pub fn oids(&self, column: &str) -> Vec<pg_sys::Oid> {
        self.get::<Vec<Option<pg_sys::Oid>>>(column).unwrap_or_default().into_iter().flatten().collect()
    }

    /// An integer[] column; NULL, or no such column, is empty.
    pub fn numbers(&self, column: &str) -> Vec<i32> {
        self.get::<Vec<Option<i32>>>(column).unwrap_or_default().into_iter().flatten().collect()
    }

    /// A bytea column.
    pub fn bytes(&self, column: &str) -> Option<Vec<u8>> {
        let (i, _) = *self.columns.get(column)?;
        (!self.nulls[i]).then(|| super::varlena_bytes(self.values[i]))
    }
}

/// OID of a table in `airlock_catalog`, or `None` when this database does not hold the extension.
pub fn table_oid(table: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(table).ok()?;
    // SAFETY: syscache look-ups inside a transaction.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"airlock_catalog".as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        let oid = pg_sys::get_relname_relid(name.as_ptr(), schema);
        (oid != pg_sys::InvalidOid).then_some(oid)
    }
}

/// Locks a table of ours until the transaction ends; waits.
pub fn lock(table: pg_sys::Oid, mode: u32) {
    // SAFETY: raises on cancel and deadlock.
    unsafe { pg_sys::LockRelationOid(table, mode as i32) }
}

/// Calls `each` for every row of `airlock_catalog.TABLE`, as of now. 42704 when the extension is not in this database.
pub fn table(table: &str, each: impl FnMut(&Row) -> Result<()>) -> Result<()> {
    // SAFETY: inside a transaction. Fresh at each call, for a table that is no system catalog; the latest snapshot is
    // off limits in parallel mode.
    scan(table, |oid| unsafe { pg_sys::GetCatalogSnapshot(oid) }, each)
}

/// As [`table`], but as the running query sees it: what belongs together with other tables that the query reads.
pub fn table_as_seen(table: &str, each: impl FnMut(&Row) -> Result<()>) -> Result<()> {
    // SAFETY: inside a query, which has pushed its snapshot.
    scan(table, |_| unsafe { pg_sys::GetActiveSnapshot() }, each)
}

fn scan(
    table: &str,
    snapshot: impl FnOnce(pg_sys::Oid) -> pg_sys::Snapshot,
    mut each: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let oid = table_oid(table).ok_or_else(|| {
        Error::new(Kind::Undefined, "extension \"pg_airlock\" is not installed in this database")
            .hint("CREATE EXTENSION pg_airlock, in the database that the setting airlock.database names")
    })?;
    // SAFETY: a plain sequential scan under a registered snapshot; an ERROR inside ends the transaction, which
    // releases lock, snapshot and scan.
    unsafe {
        let relation = pg_sys::table_open(oid, pg_sys::AccessShareLock as i32);
        let snapshot = pg_sys::RegisterSnapshot(snapshot(oid));
        let scan = pg_sys::table_beginscan(relation, snapshot, 0, std::ptr::null_mut());
        let desc = (*relation).rd_att;
        let natts = (*desc).natts as usize;
        let mut columns = HashMap::with_capacity(natts);
        for i in 0..natts {
            let attribute = compat::attribute(desc, i);
            if !attribute.attisdropped {
                let name = std::ffi::CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
                columns.insert(name, (i, attribute.atttypid));
            }
        }
        let mut values = vec![pg_sys::Datum::from(0); natts];
        let mut nulls = vec![true; natts];
        let mut result = Ok(());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() || result.is_err() {
                break;
            }
            pg_sys::heap_deform_tuple(tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            result = each(&Row { columns: &columns, values: &values, nulls: &nulls });
        }
        pg_sys::table_endscan(scan);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        result
    }
}
