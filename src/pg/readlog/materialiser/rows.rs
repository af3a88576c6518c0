//! Appending to the log's tables: the records, and in tables of their own the parts that travel with them.

use super::partitions;
use super::store::{before_0_2, spi, Row, COLUMNS, LATER};
use crate::pg::keys::entropy;
use crate::pg::keys::ring::LogKeys;
use crate::pg::sys::{composite, scan, write};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{private, Parts};
use crate::pure::subjects::{self, Touched};
use pgrx::datum::{Date, DatumWithOid};
use pgrx::pg_sys;
use pgrx::spi::SpiClient;

/// Locks the log's tables for writing, then refuses them if somebody put a trigger or rule on one, or on a partition: it
/// would run with all the rights of the bootstrap superuser. In this order nobody can add one in between.
pub fn lock(client: &mut SpiClient) -> Result<()> {
    // not all their partitions: those that are written follow
    let (only, parts) = match before_0_2() {
        true => ("", &[][..]),
        false => ("ONLY ", &["read_private", "read_subject"][..]),
    };
    let tables: Vec<String> =
        ["read_record", "log_cursor"].iter().chain(parts).map(|t| format!("airlock_catalog.{t}")).collect();
    let list: Vec<String> = tables.iter().map(|t| format!("{only}{t}")).collect();
    client.update(format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", list.join(", ")).as_str(), None, &[]).map_err(spi)?;
    refuse_triggers(client, &tables)
}

/// The same for partitions, as regclass reads them.
pub fn lock_partitions(client: &mut SpiClient, partitions: &[String]) -> Result<()> {
    let sql = format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", partitions.join(", "));
    client.update(sql.as_str(), None, &[]).map_err(spi)?;
    refuse_triggers(client, partitions)
}

/// 55000 when one of these tables has a trigger or rule.
fn refuse_triggers(client: &mut SpiClient, tables: &[String]) -> Result<()> {
    let sql = "SELECT t.tgname::pg_catalog.text FROM pg_catalog.pg_trigger t WHERE t.tgrelid = ANY ($1::pg_catalog.regclass[]) \
               UNION ALL SELECT r.rulename::pg_catalog.text FROM pg_catalog.pg_rewrite r WHERE r.ev_class = ANY ($1::pg_catalog.regclass[]) LIMIT 1";
    match client.update(sql, None, &[tables.to_vec().into()]).map_err(spi)?.first().get_heap_tuple().map_err(spi)? {
        None => Ok(()),
        Some(row) => {
            let name = row.get::<String>(1).map_err(spi)?.unwrap_or_default();
            Err(Error::new(Kind::State, format!("a table of the read log has the trigger or rule \"{name}\""))
                .hint("drop it: nothing may run when the log is written"))
        }
    }
}

/// Most rows of one statement.
const ROWS: usize = 500;
/// So many bytes of parts make a statement of fewer rows.
const BYTES: usize = 4 << 20;

const PRIVATE: [&str; 2] = ["id", "sealed"];
const SUBJECT: [&str; 12] = [
    "id",
    "scope",
    "domain",
    "epoch",
    "seen",
    "scanned",
    "anybody",
    "tokens",
    "listed",
    "seen_filter",
    "scanned_filter",
    "salt",
];

/// Rows that go into one table, many at once: one each would cost several times the row.
struct Sheet<'a> {
    table: &'static str,
    columns: Vec<&'static str>,
    /// The day that they are settled on, and its partition.
    day: Option<(Date, Option<pg_sys::Oid>)>,
    rows: Vec<Vec<DatumWithOid<'a>>>,
    bytes: usize,
}

impl<'a> Sheet<'a> {
    fn new(table: &'static str, mut columns: Vec<&'static str>, day: Option<i32>) -> Result<Sheet<'a>> {
        let of_day = |day| Ok((partitions::date(day)?, partitions::oid(table, day)?));
        let day = day.map(of_day).transpose()?;
        columns.extend(day.map(|_| "settled_on"));
        Ok(Sheet { table, columns, day, rows: Vec::new(), bytes: 0 })
    }

    /// Takes a row with so many bytes of its own.
    fn push(&mut self, client: &mut SpiClient, mut row: Vec<DatumWithOid<'a>>, bytes: usize) -> Result<()> {
        row.extend(self.day.map(|(day, _)| day.into()));
        self.rows.push(row);
        self.bytes += bytes;
        if self.rows.len() >= ROWS || self.bytes >= BYTES {
            self.write(client)?;
        }
        Ok(())
    }

    /// Writes what there is.
    fn write(&mut self, client: &mut SpiClient) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let partition = self.day.and_then(|(_, partition)| partition);
        let done = partition.map(|oid| write::append(oid, &self.columns, &self.rows)).transpose()?;
        // a table that somebody has added a column to, or of 0.1.0
        if done != Some(true) {
            self.insert(client)?;
        }
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Writes it by a statement, which heeds defaults.
    fn insert(&self, client: &mut SpiClient) -> Result<()> {
        let missing = || Error::new(Kind::Undefined, format!("the table airlock_catalog.{} is gone", self.table));
        let table = scan::table_oid(self.table).ok_or_else(missing)?;
        let rows = composite::rows(table, &self.columns, &self.rows)?;
        let (into, of) = (self.columns.join(", "), self.columns.join(", r."));
        let sql = format!(
            "INSERT INTO airlock_catalog.{} ({into}) SELECT r.{of} FROM pg_catalog.unnest($1) AS r",
            self.table
        );
        client.update(sql.as_str(), None, &[rows]).map_err(spi)?;
        Ok(())
    }
}

/// Appends rows. The caller holds the lock and moves the cursor in the same transaction.
pub fn insert(
    client: &mut SpiClient,
    rows: Vec<(Row, Parts)>,
    day: Option<i32>,
    (version, keys): (u32, &LogKeys),
) -> Result<()> {
    let later = if before_0_2() { &[][..] } else { &LATER[..] };
    let columns = COLUMNS.split(", ").chain(later.iter().copied()).collect();
    let mut records = Sheet::new("read_record", columns, day)?;
    let mut private = Sheet::new("read_private", PRIVATE.to_vec(), day)?;
    let mut subject = Sheet::new("read_subject", SUBJECT.to_vec(), day)?;
    for (row, parts) in rows {
        let id = row.id;
        let bytes = row.record.statement.len();
        records.push(client, row.values()?, bytes)?;
        if let Some(part) = parts.private {
            let sealed = private::seal(&keys.2, version, &entropy::random()?, &part);
            let bytes = sealed.len();
            private.push(client, vec![id.into(), sealed.into()], bytes)?;
        }
        if let Some(part) = parts.subjects {
            let (salt, touched) = subjects::decode(&part)?;
            for touched in touched {
                subject.push(client, subject_row(id, &salt, touched), part.len())?;
            }
        }
    }
    [records, private, subject].iter_mut().try_for_each(|sheet| sheet.write(client))
}

/// In the order of [`SUBJECT`].
fn subject_row<'a>(id: i64, salt: &[u8], t: Touched) -> Vec<DatumWithOid<'a>> {
    vec![
        id.into(),
        t.scope.into(),
        t.domain.into(),
        t.epoch.into(),
        t.seen.into(),
        t.scanned.into(),
        t.anybody.into(),
        write::uuids(&t.tokens),
        t.listed.into(),
        write::byte_strings(&t.seen_filter),
        write::byte_strings(&t.scanned_filter),
        salt.to_vec().into(),
    ]
}
