//! `verify_column`: every value of a column is authenticated, none is shown.
//!
//! No right to decrypt is asked for, so who owns a table learns of each value whether it would open there, and nothing
//! else: not the plaintext, and nothing that an AEAD would let him infer from it. Whoever can also write ciphertext
//! (`airlock.encrypted_input`, which only a superuser grants) may try forgeries here, as at any reader of an
//! authenticated cipher: each has odds of 2^-128. Padding is looked at only after a value has proved authentic.

use super::target::{column_name, full_name, own_or_administer};
use crate::pg::encrypted::{authenticate, scan};
use crate::pg::sys::{d, return_set, Args, Raw, Row};
use crate::pure::error::{Error, Kind, Result};
use crate::sql_function;
use pgrx::pg_sys;
use std::collections::BTreeMap;

sql_function!(
    /// `airlock.verify_column(relation regclass, column_name name) → SETOF (ok, part, sqlstate, count, first, message)`:
    /// one row about the whole, then one for each cause of trouble in each partition, with the ctids of its first values.
    ///
    /// Errors: `42501` for who neither owns the table nor is an `airlock_admin`; `AL001` locked; `55000` the column is
    /// not encrypted; `0A000` its values are inside a row type.
    airlock_verify_column,
    verify
);

/// Ctids that are named of each cause.
const NAMED: usize = 5;

/// Values that fail in one partition for one reason.
#[derive(Default)]
struct Failed {
    count: i64,
    first: Vec<pg_sys::ItemPointerData>,
}

/// Number of the partition, SQLSTATE, reason.
type Cause = (usize, &'static str, String);

fn verify(args: Args) -> Result<Option<Raw>> {
    let relation = args.need::<pg_sys::Oid>(0, "relation")?;
    let column = column_name(args)?
        .ok_or_else(|| Error::new(Kind::InvalidArgument, "argument \"column_name\" must not be null"))?;
    own_or_administer(relation)?;
    let (parts, uncovered) = scan::parts(relation, Some(&column))?;
    let columns = parts.iter().map(scan::column).collect::<Result<Vec<_>>>()?;
    let mut failed: BTreeMap<Cause, Failed> = BTreeMap::new();
    let mut checked = 0i64;
    scan::each(&parts, |cell| {
        checked += 1;
        let row = cell.row()?;
        let error = match authenticate(&columns[cell.index], &cell.bytes(), row.as_ref(), cell.part.form) {
            Ok(()) => return Ok(()),
            // says nothing of the value
            Err(error) if !matches!(error.kind, Kind::NotAuthentic | Kind::KeyVersion) => return Err(error),
            Err(error) => error,
        };
        let cause = (cell.index, error.kind.sqlstate(), error.detail.unwrap_or(error.message));
        let failed = failed.entry(cause).or_default();
        failed.count += 1;
        if failed.first.len() < NAMED {
            failed.first.push(ctid(cell.block, cell.line));
        }
        Ok(())
    })?;
    let bad: i64 = failed.values().map(|f| f.count).sum();
    let whole = match (bad, uncovered.is_empty()) {
        (0, true) => format!("all of {checked} values are authentic"),
        (0, false) => format!("{checked} values are authentic; not looked at: {}", uncovered.join(", ")),
        (_, true) => format!("{bad} of {checked} values do not open here"),
        (_, false) => format!("{bad} of {checked} values do not open here; not looked at: {}", uncovered.join(", ")),
    };
    let ok = bad == 0 && uncovered.is_empty();
    let mut rows: Vec<Row> = vec![vec![d(ok), d(relation), None, d(checked), None, d(whole)]];
    for ((part, sqlstate, reason), failed) in failed {
        let table = parts[part].relation;
        let message = format!("{}: {reason}", full_name(table)?);
        rows.push(vec![d(false), d(table), d(sqlstate), d(failed.count), d(failed.first), d(message)]);
    }
    return_set(args, rows)
}

fn ctid(block: u32, line: u16) -> pg_sys::ItemPointerData {
    let ip_blkid = pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 };
    pg_sys::ItemPointerData { ip_blkid, ip_posid: line }
}
