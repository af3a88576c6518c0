//! The log's partitions: one per day and table, made by the worker some days ahead. `settled_on` is the day (UTC) on which a
//! record was settled and never goes back, so each partition of `read_record` is a stretch of the chain.
//!
//! A day whose partition cannot be made (somebody's event trigger, a full disk for catalogs) does not stop the log: its
//! records go to the newest day there is.

use super::store::spi;
use crate::pg::error::log;
use crate::pg::sys::{self, sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::calendar::civil;
use crate::pure::name::ident;
use pgrx::datum::Date;
use pgrx::{pg_sys, Spi};

/// How many days ahead partitions are made.
const AHEAD: i32 = 7;

/// A partitioned table of the log, and the indexes of each partition, which PostgreSQL names.
pub struct Table {
    /// Its name in `airlock_catalog`.
    pub name: &'static str,
    indexes: &'static [(&'static str, &'static str)],
}

/// The tables. Those of records are as in `sql/tables.sql`, for the partition of what is of no day.
pub const TABLES: [Table; 3] = [
    Table {
        name: "read_record",
        indexes: &[
            ("UNIQUE ", "(id)"),
            ("", "(backend_start, backend_pid, statement_no)"),
            ("", "USING brin (logged_at)"),
            ("", "(subprocessor, logged_at)"),
            ("", "(id) WHERE kind IN ('intent', 'open')"),
            ("", "(id) WHERE kind IN ('audit', 'configuration', 'finding')"),
        ],
    },
    // ids are not unique here: a row that somebody added must not stop the log
    Table { name: "read_private", indexes: &[("", "(id)")] },
    Table {
        name: "read_subject",
        indexes: &[
            ("", "(id)"),
            ("", "USING gin (tokens)"),
            ("", "(domain, epoch)"),
            ("", "(domain, epoch) WHERE seen_filter <> '{}' OR scanned_filter <> '{}'"),
            ("", "(scope) WHERE anybody"),
            // else who_saw() reads all of the domain where the planner knows nothing of the table
            ("", "(domain) WHERE anybody AND domain IS NOT NULL"),
        ],
    },
];

/// A partition of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number: somebody may have moved it, and put another table in its place.
    pub oid: pg_sys::Oid,
    /// Its name, as SQL reads it.
    pub name: String,
    /// The day, as days since 2000-01-01.
    pub day: i32,
}

/// Name of a table's partition of a day.
fn name(table: &str, day: i32) -> String {
    let (year, month, day) = civil(i64::from(day));
    format!("{table}_{year:04}{month:02}{day:02}")
}

/// The partitions by day of a table, the oldest first: those that are attached, whatever their names. One that is being
/// detached (CONCURRENTLY) is not: who asks the table does not see its rows any more.
pub fn of(table: &str) -> Result<Vec<Partition>> {
    // the lower bound as it is written: FOR VALUES FROM ('2026-11-26') TO ('2026-11-27')
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.substring(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $2)::pg_catalog.date AS day, c.oid \
               FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE i.inhparent = $1::pg_catalog.regclass AND NOT i.inhdetachpending AND pg_catalog.pg_get_expr(c.relpartbound, c.oid) ~ $2 ORDER BY 2";
    let table = format!("airlock_catalog.{table}");
    let bound = r"FROM \('([0-9]{4}-[0-9]{2}-[0-9]{2})'\)";
    Spi::connect(|client| {
        let mut found = Vec::new();
        for row in client.select(sql, None, &[table.into(), bound.into()]).map_err(spi)? {
            let (Some(name), Some(day), Some(oid)) =
                (row.get(1).map_err(spi)?, row.get::<Date>(2).map_err(spi)?, row.get(3).map_err(spi)?)
            else {
                continue;
            };
            found.push(Partition { oid, name, day: day.to_pg_epoch_days() });
        }
        Ok(found)
    })
}

/// The partitions of a day, as regclass reads them.
pub fn of_day(day: i32) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for table in &TABLES {
        let mine = of(table.name)?.into_iter().filter(|p| p.day == day);
        found.extend(mine.map(|p| p.name));
    }
    Ok(found)
}

/// The partition of a table and day.
pub fn oid(table: &str, day: i32) -> Result<Option<pg_sys::Oid>> {
    Ok(of(table)?.into_iter().find(|p| p.day == day).map(|p| p.oid))
}

/// The newest day of which the log has a record, before that one; `None` for a log without.
pub fn newest_used(before: Option<i32>) -> Result<Option<i32>> {
    let before = |p: &Partition| before.is_none_or(|before| p.day < before);
    for partition in of("read_record")?.into_iter().rev().filter(before) {
        let sql = format!("SELECT FROM {} LIMIT 1", partition.name);
        let used =
            Spi::connect(|client| client.select(sql.as_str(), Some(1), &[]).map(|t| !t.is_empty()).map_err(spi))?;
        if used {
            return Ok(Some(partition.day));
        }
    }
    Ok(None)
}

/// The day to settle records under, not before `last`, with partitions of all tables; makes those that are missing, some
/// days ahead. The caller holds the lock of the tables.
pub fn day(last: Option<i32>) -> Result<i32> {
    let today = sys::today().max(last.unwrap_or(i32::MIN));
    let mut all: Option<Vec<i32>> = None;
    for table in &TABLES {
        let mut there: Vec<i32> = of(table.name)?.into_iter().map(|p| p.day).collect();
        for day in (today..=today + AHEAD).filter(|day| !there.contains(day)).collect::<Vec<_>>() {
            match sql::attempted(|| make(table, day))? {
                Ok(()) => there.push(day),
                Err(said) => log(format!("pg_airlock: a partition of the log could not be made: {said}")),
            }
        }
        // a day that all tables have
        all = Some(match all {
            None => there,
            Some(all) => all.into_iter().filter(|day| there.contains(day)).collect(),
        });
    }
    let newest = all.into_iter().flatten().filter(|day| *day <= today && last.is_none_or(|last| *day >= last)).max();
    newest.ok_or_else(|| {
        Error::new(Kind::State, "the read log has no partition to write to").hint("see the messages before this one")
    })
}

/// The name for a partition of a day: another where somebody has detached one, and it still has it.
fn free_name(table: &str, day: i32) -> Result<String> {
    let (first, mut turn) = (name(table, day), 1);
    let mut name = first.clone();
    let taken = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
    while sql::first(taken, &[sql::arg(format!("airlock_catalog.{name}"))], |row| row.need::<bool>(1))? == Some(true) {
        turn += 1;
        name = format!("{first}_{turn}");
    }
    Ok(name)
}

fn make(table: &Table, day: i32) -> Result<()> {
    let parent = table.name;
    let name = free_name(parent, day)?;
    let owner = "SELECT pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.regclass";
    let owner = sql::first(owner, &[sql::arg(format!("airlock_catalog.{parent}"))], |row| row.need::<String>(1))?;
    sql::run(&format!("CREATE TABLE airlock_catalog.{name} (LIKE airlock_catalog.{parent} INCLUDING DEFAULTS)"), &[])?;
    if let Some(owner) = owner {
        sql::run(&format!("ALTER TABLE airlock_catalog.{name} OWNER TO {}", ident(&owner)), &[])?;
    }
    for (unique, definition) in table.indexes {
        sql::run(&format!("CREATE {unique}INDEX ON airlock_catalog.{name} {definition}"), &[])?;
    }
    let bounds = format!("FROM ('{}') TO ('{}')", text(day), text(day + 1));
    sql::run(
        &format!("ALTER TABLE airlock_catalog.{parent} ATTACH PARTITION airlock_catalog.{name} FOR VALUES {bounds}"),
        &[],
    )?;
    Ok(())
}

/// A day as a value.
pub fn date(day: i32) -> Result<Date> {
    Date::try_from(day).map_err(|_| Error::new(Kind::Corrupt, "the read log has a day that is none"))
}

/// A day as SQL writes it.
fn text(day: i32) -> String {
    let (year, month, day) = civil(i64::from(day));
    format!("{year:04}-{month:02}-{day:02}")
}
