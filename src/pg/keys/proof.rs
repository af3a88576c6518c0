//! The proof that a sealing version is not needed any more: every column that can hold its values is looked through, by the
//! headers of the values alone, before and after all transactions that run already have ended.
//!
//! A value of an old version can still be written after a rotation: by a transaction that sealed it before, or that read it
//! and copies it. Both hold it in a transaction that runs when the first look is over. So: look (and say at once what is
//! left), wait for those transactions, look again. What can outlive its transaction (a cursor WITH HOLD, a variable of a
//! procedure that commits) gets AL002 later, and `reencrypt` repairs it until the version is destroyed.
#![allow(unsafe_code)] // ◆ table access method calls

use super::ring::{self, KeyInfo, Number};
use crate::pg::encrypted::held::Held;
use crate::pg::encrypted::type_oids;
use crate::pg::sys::latch::sleep;
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{literal, shown};
use pgrx::pg_sys;
use std::time::{Duration, Instant};

/// Columns of tables that may hold values of the two types, whatever stands between: OID, `schema.table`, relkind, whether a
/// session's own temporary table, column, its number, type, typmod.
const COLUMNS: &str = "WITH RECURSIVE bearing (oid) AS (
    SELECT pg_catalog.unnest($1::pg_catalog.oid[])
    UNION
    SELECT x.oid FROM bearing b CROSS JOIN LATERAL (
      SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typelem = b.oid OR t.typbasetype = b.oid
      UNION ALL
      SELECT t.oid FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.typrelid = a.attrelid
       WHERE a.atttypid = b.oid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL
      SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngsubtype = b.oid) x)
  SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::pg_catalog.text,
         pg_catalog.pg_is_other_temp_schema(c.relnamespace), a.attname::pg_catalog.text, a.attnum, a.atttypid, a.atttypmod
    FROM pg_catalog.pg_attribute a JOIN bearing b ON a.atttypid = b.oid
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm', 'f')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum";

struct Column {
    relation: pg_sys::Oid,
    table: String,
    name: String,
    /// Position from 0.
    at: usize,
    held: Held,
}

/// Proves that no value needs a version of a key.
///
/// # Errors
/// 55000 naming columns and how many of their values need it; columns that cannot be looked into; or transactions that
/// did not end within `wait` seconds. 22023 for a negative wait.
pub fn unused(key: &KeyInfo, version: i32, id: u32, wait: i32) -> Result<()> {
    let wait = u64::try_from(wait).map_err(|_| {
        Error::new(Kind::InvalidArgument, "argument \"wait_seconds\" must not be negative").hint("0 does not wait")
    })?;
    let what = format!("version {version} of key {}", shown(&key.name));
    look(key, &what, id)?;
    if wait_for_others(&what, Duration::from_secs(wait))? {
        look(key, &what, id)?;
    }
    Ok(())
}

/// The columns that may hold values of the key: its own, and those whose number nobody knows.
fn columns(key: &KeyInfo, what: &str) -> Result<Vec<Column>> {
    let Some((plain, searchable)) = type_oids() else { return Ok(Vec::new()) };
    let refused = |table: &str, column: &str, why: &str, hint: &str| {
        Err(Error::new(Kind::State, format!("cannot prove that {what} is not needed any more"))
            .detail(format!("Column \"{column}\" of {table} {why}."))
            .hint(hint.to_string()))
    };
    let mut found = Vec::new();
    let rows = sql::rows(COLUMNS, &[arg(vec![plain, searchable])], |row| {
        let place = (row.need::<pg_sys::Oid>(1)?, row.need::<String>(2)?, row.need::<String>(3)?, row.need::<bool>(4)?);
        Ok((place, row.need::<String>(5)?, row.need::<i16>(6)?, (row.need::<pg_sys::Oid>(7)?, row.need::<i32>(8)?)))
    })?;
    for ((relation, table, kind, foreign_temp), name, number, (oid, typmod)) in rows {
        let Some(held) = Held::of(oid, typmod) else {
            let why = "holds encrypted values inside of a composite type, where nobody looks";
            return refused(&table, &name, why, "drop the column, or move its values to columns of their own");
        };
        match ring::number(held.typmod())? {
            Some(Number::Column(column)) if column.key.key_no != key.key_no => continue,
            Some(Number::Key(other)) if other.key_no != key.key_no => continue,
            _ => {}
        }
        if kind == "f" {
            return refused(&table, &name, "lies on a foreign server", "drop the foreign table");
        }
        if foreign_temp {
            return refused(&table, &name, "is in another session's temporary table", "end that session");
        }
        found.push(Column { relation, table, name, at: number as usize - 1, held });
    }
    Ok(found)
}

/// 55000 when there is a value of that version.
fn look(key: &KeyInfo, what: &str, id: u32) -> Result<()> {
    let columns = columns(key, what)?;
    let mut needed = Vec::new();
    for table in columns.chunk_by(|a, b| a.relation == b.relation) {
        for (column, n) in table.iter().zip(count(table, id)?) {
            if n > 0 {
                needed.push((column, n));
            }
        }
    }
    let Some((first, _)) = needed.first() else { return Ok(()) };
    let list: Vec<String> =
        needed.iter().map(|(column, n)| format!("{}.{} ({n} values)", column.table, column.name)).collect();
    Err(Error::new(Kind::State, format!("{what} is still needed"))
        .detail(list.join(", "))
        .hint(format!("CALL airlock.reencrypt({}); then try again", literal(&first.table))))
}

/// How many values of each of a table's columns have that version in their header, as of now.
fn count(columns: &[Column], id: u32) -> Result<Vec<u64>> {
    let mut counts = vec![0; columns.len()];
    // SAFETY: a sequential scan under a registered snapshot of its own; memory for detoasted heads is reset now and then. An
    // ERROR ends the transaction, which releases all.
    unsafe {
        let rel = pg_sys::try_table_open(columns[0].relation, pg_sys::AccessShareLock as i32);
        if rel.is_null() {
            return Ok(counts);
        }
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let slot = pg_sys::table_slot_create(rel, std::ptr::null_mut());
        let scan = pg_sys::table_beginscan(rel, snapshot, 0, std::ptr::null_mut());
        let last = columns.iter().map(|c| c.at + 1).max().unwrap_or(0).min((*(*rel).rd_att).natts as usize);
        let mut memory = pgrx::PgMemoryContexts::new("pg_airlock header scan");
        let (mut outcome, mut rows) = (Ok(()), 0_u64);
        while outcome.is_ok() && pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot)
        {
            pgrx::check_for_interrupts!();
            pg_sys::slot_getsomeattrs(slot, last as i32);
            outcome = memory.switch_to(|_| {
                for (column, n) in columns.iter().zip(&mut counts).filter(|(c, _)| c.at < last) {
                    if !*(*slot).tts_isnull.add(column.at) {
                        let field = *(*slot).tts_values.add(column.at);
                        column
                            .held
                            .versions(field, &mut |version| *n += u64::from(version == id))
                            .map_err(|e| e.detail(format!("In column \"{}\" of {}.", column.name, column.table)))?;
                    }
                }
                Ok(())
            });
            rows += 1;
            if rows % 1024 == 0 {
                memory.reset();
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(rel, pg_sys::NoLock as i32);
        outcome.map(|()| counts)
    }
}

/// Waits until the transactions that run now in this database have ended. False when there were none.
fn wait_for_others(what: &str, patience: Duration) -> Result<bool> {
    // what is known of backends is kept for the length of a transaction
    sql::run("SELECT pg_catalog.pg_stat_clear_snapshot()", &[])?;
    let prepared = sql::first(
        "SELECT p.gid FROM pg_catalog.pg_prepared_xact() p JOIN pg_catalog.pg_database d ON d.oid = p.dbid
          WHERE d.datname = pg_catalog.current_database() LIMIT 1",
        &[],
        |row| row.need::<String>(1),
    )?;
    let refused = |who: String, hint: String| {
        Err(Error::new(Kind::State, format!("transactions may still write values of {what}")).detail(who).hint(hint))
    };
    if let Some(gid) = prepared {
        let sql = format!("COMMIT PREPARED {0} or ROLLBACK PREPARED {0}, and try again", literal(&gid));
        return refused(format!("Prepared transaction {} has not ended.", literal(&gid)), sql);
    }
    // virtual transaction ids: also of those that have written nothing yet
    let running = sql::rows(
        "SELECT l.virtualxid, a.pid, pg_catalog.to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')
           FROM pg_catalog.pg_lock_status() l JOIN pg_catalog.pg_stat_get_activity(NULL) a ON a.pid = l.pid
           JOIN pg_catalog.pg_database d ON d.oid = a.datid
          WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = l.virtualtransaction
            AND d.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
            AND a.backend_type <> 'autovacuum worker'",
        &[],
        |row| Ok((row.need::<String>(1)?, row.need::<i32>(2)?, row.get::<String>(3)?)),
    )?;
    let until = Instant::now() + patience;
    let ids: Vec<String> = running.iter().map(|(id, ..)| id.clone()).collect();
    while !ids.is_empty() {
        let left = sql::rows(
            "SELECT l.virtualxid FROM pg_catalog.pg_lock_status() l
              WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = l.virtualtransaction AND l.virtualxid = ANY ($1)",
            &[arg(ids.clone())],
            |row| row.need::<String>(1),
        )?;
        if left.is_empty() {
            break;
        }
        if Instant::now() >= until {
            let open = running.iter().filter(|(id, ..)| left.contains(id));
            let who: Vec<String> = open
                .map(|(_, pid, since)| format!("process {pid}, since {}", since.as_deref().unwrap_or("now")))
                .collect();
            let hint = "try again when these have ended, with a larger wait_seconds, or end them: SELECT pg_terminate_backend(PID)";
            return refused(format!("Still open: {}.", who.join("; ")), hint.into());
        }
        sleep(Duration::from_millis(50));
    }
    Ok(!ids.is_empty())
}
