//! What hangs on a column's type and is no index: refused by name, never dropped. And how the catalog is asked.
#![allow(unsafe_code)] // ◆ settings, statistics

use crate::pure::error::{Error, Kind, Result};
use pgrx::spi::SpiError;
use pgrx::{pg_sys, Spi};

/// The relation and its descendants that have the column, with the column's number in each.
pub const FAMILY: &str = "WITH RECURSIVE family AS (
    SELECT $1::pg_catalog.oid AS relid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.relid
  ), col AS (
    SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN family f ON a.attrelid = f.relid
     WHERE a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  )";

/// Everything but indexes, and constraints that are indexes, that hangs on the column's type, described.
pub fn dependents(relation: pg_sys::Oid, column: &str) -> Result<Vec<String>> {
    let sql = format!(
        "{FAMILY}, found AS (
           SELECT CASE WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = d.refobjid THEN 'partition key of ' ELSE '' END
                  || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS what
             FROM pg_catalog.pg_depend d JOIN col ON d.refobjid = col.attrelid AND d.refobjsubid = col.attnum
            WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef f
                    WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid AND f.adrelid = col.attrelid AND f.adnum = col.attnum)
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.oid = d.objid AND s.relkind = ANY ('{{S,i,I}}'))
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.contype = ANY ('{{n,p,u,x}}'))
           UNION
           SELECT pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0)
             FROM pg_catalog.pg_constraint k JOIN col
               ON (k.conrelid = col.attrelid AND col.attnum = ANY (k.conkey)) OR (k.confrelid = col.attrelid AND col.attnum = ANY (k.confkey))
            WHERE k.contype <> ALL ('{{n,p,u,x}}')
           UNION
           SELECT 'partition key of ' || pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, p.partrelid, 0)
             FROM pg_catalog.pg_partitioned_table p JOIN col ON p.partrelid = col.attrelid AND col.attnum = ANY (p.partattrs)
           UNION
           SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0) || ', whose rows are elsewhere'
             FROM pg_catalog.pg_class c JOIN col ON c.oid = col.attrelid WHERE c.relkind = 'f'
           UNION
           SELECT 'replica identity FULL of table ' || c.oid::pg_catalog.regclass::pg_catalog.text || ', which has no primary key'
             FROM pg_catalog.pg_class c JOIN col ON c.oid = col.attrelid
            WHERE c.relreplident = 'f' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisprimary)
         ) SELECT what FROM found ORDER BY what COLLATE \"C\""
    );
    Ok(rows(&sql, relation, column, |row| row.get::<String>(1))?.into_iter().flatten().collect())
}

/// Removes the column's statistics, which hold its most common values, in the table and its children.
pub fn forget_statistics(relation: pg_sys::Oid, column: &str) -> Result<()> {
    let sql = format!("{FAMILY} SELECT attrelid, attnum FROM col");
    let columns = inspect(|| rows(&sql, relation, column, |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<i16>(2)?))))?;
    for (table, number) in columns {
        if let (Some(table), Some(number)) = (table, number) {
            // SAFETY: deletes rows of pg_statistic in this transaction, under the table's exclusive lock.
            unsafe { pg_sys::RemoveStatistics(table, number) };
        }
    }
    Ok(())
}

/// The rows of a query about `$1` relation, `$2` column. Run read-write, for it must see what this transaction did.
pub fn rows<T>(
    sql: &str,
    relation: pg_sys::Oid,
    column: &str,
    each: impl Fn(&pgrx::spi::SpiHeapTupleData) -> std::result::Result<T, SpiError>,
) -> Result<Vec<T>> {
    let args = [relation.into(), column.into()];
    let found: std::result::Result<Vec<T>, SpiError> =
        Spi::connect_mut(|c| c.update(sql, None, &args)?.map(|row| each(&row)).collect());
    found.map_err(failed)
}

/// Runs a statement as the caller would.
pub fn execute(sql: &str) -> Result<()> {
    Spi::connect_mut(|c| c.update(sql, None, &[]).map(|_| ())).map_err(failed)
}

/// SPI itself failed, which no correct statement of ours makes it do.
pub fn failed(error: SpiError) -> Error {
    Error::new(Kind::Corrupt, format!("a query of pg_airlock failed: {error}"))
}

/// Runs catalog queries with only `pg_catalog` on the search path, so that their operators are Postgres' own. Not the
/// ALTER TABLE: event triggers it fires see the caller's path. An ERROR undoes the setting with the transaction.
pub fn inspect<T>(queries: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: what functions with SET search_path do: a nest level, a saved setting, and the level's end.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let result = queries();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}
