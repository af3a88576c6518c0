//! The log's tables: rows, and the cursor row that says how far they go. The worker is their only writer.

use crate::pg::readlog::wal;
use crate::pg::sys::flat::Other;
use crate::pg::sys::scan;
use crate::pg::sys::tuples::Tuple;
use crate::pg::sys::write;
use crate::pure::chain::{self, Hash};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::ChainKey;
use crate::pure::record::private::Private;
use crate::pure::record::{Outcome, Parts, Record, RecordKind, StatementId};
use crate::pure::retention::Erased;
use crate::pure::seam::{Place, Seam};
use crate::pure::subjects;
use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::spi::{SpiClient, SpiError};
use pgrx::{AnyNumeric, Spi};

/// The columns of `airlock_catalog.read_record`, in the table's order. Those of [`LATER`] follow.
pub(super) const COLUMNS: &str = "id, kind, logged_at, backend_start, backend_pid, statement_no, subprocessor, contract, login_role, \
    session_role, acting_role, client_addr, tls, application_name, database, views, columns, purpose, statement, outcome, \
    sqlstate, rows_sent, bytes_sent, duration_us, detail, hash";
/// Columns that the table of 0.1.0 does not have. Until ALTER EXTENSION … UPDATE no record has a value for them.
pub(super) const LATER: [&str; 6] = ["returned", "filtered", "base_columns", "private", "subjects", "scopes"];

/// Whether the SQL objects are those of 0.1.0: its view knows no records but intents, its table has fewer columns. The
/// table of jobs came with the newer ones.
pub fn before_0_2() -> bool {
    scan::table_oid("job").is_none()
}

/// The columns of `airlock_catalog.read_record`, in the table's order, as [`Row::read`] takes them.
pub fn columns() -> String {
    if before_0_2() {
        let absent = |(i, c): (usize, &&str)| match i {
            0..3 => format!(", '{{}}'::pg_catalog.text[] AS {c}"),
            3..5 => format!(", NULL::pg_catalog.bytea AS {c}"),
            _ => format!(", '{{}}'::pg_catalog.int4[] AS {c}"),
        };
        return format!("{COLUMNS}{}", LATER.iter().enumerate().map(absent).collect::<String>());
    }
    format!("{COLUMNS}, {}", LATER.join(", "))
}

/// An error of SPI itself: our own statements are wrong, or the catalog is.
pub fn spi(error: SpiError) -> Error {
    Error::new(Kind::Corrupt, "the read log's tables cannot be used").detail(error.to_string())
}

/// One row of the log.
pub struct Row {
    /// Its place, from 1 without gaps.
    pub id: i64,
    /// What it says.
    pub record: Record,
    /// Its link, `None` while it is only pending in WAL.
    pub hash: Option<Vec<u8>>,
}

impl Row {
    /// The row's values in the order of the table's columns. XX001 for a time or number that no column can hold.
    pub fn values<'a>(self) -> Result<Vec<DatumWithOid<'a>>> {
        let r = self.record;
        let mut values = vec![
            self.id.into(),
            r.kind.label().into(),
            time(r.at)?.into(),
            time(r.statement_id.backend_start)?.into(),
            r.statement_id.pid.into(),
            number(r.statement_id.n)?.into(),
            r.subprocessor.into(),
            r.contract.into(),
            r.login_role.into(),
            r.session_role.into(),
            r.acting_role.into(),
            r.client_addr.into(),
            r.tls.into(),
            r.application_name.into(),
            r.database.into(),
            write::texts(&r.views),
            write::texts(&r.columns),
            r.purpose.into(),
            r.statement.into(),
            r.outcome.map(Outcome::label).into(),
            r.sqlstate.into(),
            r.rows_sent.into(),
            r.bytes_sent.into(),
            r.duration_us.into(),
            r.detail.into(),
            self.hash.into(),
            write::texts(&r.returned),
            write::texts(&r.filtered),
            write::texts(&r.base_columns),
            r.private.map(Vec::from).into(),
            r.subjects.map(Vec::from).into(),
            write::ints(&r.scopes),
        ];
        if before_0_2() {
            values.truncate(values.len() - LATER.len());
        }
        Ok(values)
    }

    /// A row as `SELECT` [`columns`] returns it. XX001 when it cannot come from a record.
    pub fn read(tuple: &Tuple) -> Result<Row> {
        let id = tuple.long(1)?.unwrap_or(0);
        let strange = |what: &str| Error::new(Kind::Corrupt, format!("record {id} has an unknown {what}"));
        // NULL is never written where a record has a value: it must not pass for an empty one
        let need = |i: usize, what: &str| tuple.text(i)?.map(str::to_owned).ok_or_else(|| strange(what));
        let text = |i: usize| Ok(tuple.text(i)?.map(str::to_owned));
        // an array of another shape has the same elements, and is not what the worker wrote
        let other = |other: Other, what: &str| match other {
            Other::Shape => Error::new(Kind::Corrupt, format!("record {id} has an array of another shape")),
            Other::Content => strange(what),
        };
        let texts = |i: usize, what: &str| -> Result<Vec<String>> {
            let list = tuple.texts(i)?.map_err(|o| other(o, what))?;
            Ok(list.into_iter().map(str::to_owned).collect())
        };
        let hash = |i: usize| -> Result<Option<Hash>> {
            tuple.bytes(i)?.map(|h| h.try_into().map_err(|_| strange("hash of a part"))).transpose()
        };
        let kind = RecordKind::from_label(tuple.text(2)?.unwrap_or_default()).ok_or_else(|| strange("kind"))?;
        let outcome = match tuple.text(20)? {
            None => None,
            Some(word) => Some(Outcome::from_label(word).ok_or_else(|| strange("outcome"))?),
        };
        let statement_id = StatementId {
            backend_start: tuple.moment(4)?.unwrap_or(0),
            pid: tuple.int(5)?.unwrap_or(0),
            n: u64::try_from(tuple.long(6)?.unwrap_or(0)).map_err(|_| strange("statement number"))?,
        };
        let record = Record {
            kind,
            at: tuple.moment(3)?.unwrap_or(0),
            statement_id,
            subprocessor: need(7, "sub-processor")?,
            contract: need(8, "contract")?,
            login_role: need(9, "login role")?,
            session_role: need(10, "session role")?,
            acting_role: need(11, "acting role")?,
            client_addr: text(12)?,
            tls: text(13)?,
            application_name: need(14, "application name")?,
            database: need(15, "database")?,
            views: texts(16, "view")?,
            columns: texts(17, "column")?,
            purpose: text(18)?,
            statement: need(19, "statement")?,
            outcome,
            sqlstate: text(21)?,
            rows_sent: tuple.long(22)?,
            bytes_sent: tuple.long(23)?,
            duration_us: tuple.long(24)?,
            detail: text(25)?,
            returned: texts(27, "returned column")?,
            filtered: texts(28, "filtering column")?,
            base_columns: texts(29, "base column")?,
            private: hash(30)?,
            subjects: hash(31)?,
            scopes: tuple.ints(32)?.map_err(|o| other(o, "scope"))?,
        };
        Ok(Row { id, record, hash: tuple.bytes(26)?.map(<[u8]>::to_vec) })
    }
}

/// A time as Postgres keeps it.
pub fn time(micros: i64) -> Result<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(micros)
        .map_err(|_| Error::new(Kind::Corrupt, "a read record has a time that is none"))
}

fn number(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|_| Error::new(Kind::Corrupt, "a read record has a number that is none"))
}

/// Whether a table row can hold the record at all; an authentic one that cannot is a finding, not a reason to stop.
pub fn fits(r: &Record) -> bool {
    time(r.at).is_ok() && time(r.statement_id.backend_start).is_ok() && number(r.statement_id.n).is_ok()
}

/// Whether the tables can hold the parts of a record.
pub fn has_place(parts: &Parts) -> bool {
    let whole = parts.subjects.as_deref().is_none_or(|part| subjects::decode(part).is_ok())
        && parts.private.as_deref().is_none_or(|part| Private::decode(part).is_ok());
    whole && (*parts == Parts::default() || !before_0_2())
}

/// How far the table goes, and to which place in which WAL: the truth that the worker resumes from.
#[derive(Clone)]
pub struct Cursor {
    /// Where the next record begins.
    pub lsn: u64,
    /// Timeline of that position.
    pub timeline: u32,
    /// The cluster whose WAL it is.
    pub system: u64,
    /// Id of the last row.
    pub last_id: i64,
    /// Its link, [`chain::GENESIS`] before the first.
    pub last_hash: Hash,
    /// Where the head was kept outside last.
    pub head_path: Option<String>,
    /// What an administrator accepted as lost: the head file's text.
    pub accepted_head: Option<String>,
    mac: Vec<u8>,
}

impl Cursor {
    /// A cursor of this cluster and its present timeline.
    pub fn here(lsn: u64, last_id: i64, last_hash: Hash) -> Cursor {
        let (timeline, system) = (wal::timeline(), wal::system_identifier());
        Cursor { lsn, timeline, system, last_id, last_hash, head_path: None, accepted_head: None, mac: Vec::new() }
    }

    /// The cursor row as of now.
    pub fn latest() -> Result<Option<Cursor>> {
        let mut found = None;
        scan::table("log_cursor", |row| Self::take(row).map(|c| found = Some(c)))?;
        Ok(found)
    }

    /// The cursor row as the running query sees it: what belongs to the table rows that the same query sees.
    pub fn as_seen() -> Result<Option<Cursor>> {
        let mut found = None;
        scan::table_as_seen("log_cursor", |row| Self::take(row).map(|c| found = Some(c)))?;
        Ok(found)
    }

    fn take(row: &scan::Row) -> Result<Cursor> {
        let corrupt = || Error::new(Kind::Corrupt, "the log cursor cannot be read");
        let system = row.need::<AnyNumeric>("system_identifier")?;
        Ok(Cursor {
            // pg_lsn is a 64-bit number inside
            lsn: row.need::<i64>("lsn")? as u64,
            timeline: row.need::<i32>("timeline")? as u32,
            system: u64::try_from(system).map_err(|_| corrupt())?,
            last_id: row.need("last_id")?,
            last_hash: row.bytes("last_hash").and_then(|h| h.try_into().ok()).ok_or_else(corrupt)?,
            head_path: row.text("head_path"),
            accepted_head: row.text("accepted_head"),
            mac: row.bytes("mac").ok_or_else(corrupt)?,
        })
    }

    /// Whether the row is as the worker wrote it.
    pub fn authentic(&self, key: &ChainKey) -> bool {
        chain::verify_head(key, self.last_id, &self.last_hash, self.lsn, self.timeline, self.system, &self.mac)
    }

    /// Whether the row is a worker's, of another cluster, and the table ends where it says.
    pub fn from_elsewhere(&self, key: &ChainKey) -> Result<bool> {
        let elsewhere = self.system != wal::system_identifier() && self.authentic(key);
        Ok(elsewhere && head()? == (self.last_id, self.last_hash))
    }

    /// Why the log cannot go on from here without a gap; `None` when it can. Not in recovery.
    pub fn misfit(&self, key: &ChainKey) -> Option<String> {
        let (lsn, flushed) = (wal::show(self.lsn), wal::flushed());
        if !self.authentic(key) {
            return Some("the log's cursor row was changed by somebody else".into());
        }
        if self.system != wal::system_identifier() {
            return Some(format!("the log's cursor belongs to another cluster, system {}", self.system));
        }
        if self.timeline > wal::timeline() {
            return Some(format!("the log's cursor is on timeline {}, which this server is not on", self.timeline));
        }
        if self.lsn > flushed {
            return Some(format!(
                "the log's cursor at {lsn} is ahead of the WAL, which ends at {}",
                wal::show(flushed)
            ));
        }
        // at the very end there is nothing to read, and the segment may not have been made yet
        if self.lsn < flushed && !wal::segment_kept(self.lsn) {
            return Some(format!("WAL from {lsn} on was removed before the log had read it"));
        }
        None
    }

    /// Writes the first cursor row.
    pub fn insert(&self, client: &mut SpiClient, key: &ChainKey) -> Result<()> {
        let sql = "INSERT INTO airlock_catalog.log_cursor (lsn, timeline, last_id, last_hash, mac, system_identifier) \
                   VALUES ($1::pg_catalog.pg_lsn, $2, $3, $4, $5, $6::pg_catalog.numeric)";
        let mut values = self.values(key);
        values.push(self.system.to_string().into());
        client.update(sql, None, &values).map_err(spi)?;
        Ok(())
    }

    /// Removes the row. 55000 when it is not there any more.
    pub fn remove(&self, client: &mut SpiClient) -> Result<()> {
        let sql = "DELETE FROM airlock_catalog.log_cursor WHERE mac = $1";
        match client.update(sql, None, &[self.mac.clone().into()]).map_err(spi)?.len() {
            1 => Ok(()),
            _ => Err(Error::new(Kind::State, "the log's cursor row was changed by somebody else")),
        }
    }

    /// Moves the cursor row from `before` to this. 55000 when it is not where the worker left it.
    pub fn replace(&self, client: &mut SpiClient, key: &ChainKey, before: &Cursor) -> Result<()> {
        let sql = "UPDATE airlock_catalog.log_cursor SET lsn = $1::pg_catalog.pg_lsn, timeline = $2, last_id = $3, last_hash = $4, \
                   mac = $5 WHERE lsn = $6::pg_catalog.pg_lsn AND last_id = $7 AND mac = $8";
        let mut values = self.values(key);
        values.extend([wal::show(before.lsn).into(), before.last_id.into(), before.mac.clone().into()]);
        if client.update(sql, None, &values).map_err(spi)?.len() != 1 {
            return Err(Error::new(Kind::State, "the log's cursor row was changed by somebody else"));
        }
        if (&self.head_path, &self.accepted_head) != (&before.head_path, &before.accepted_head) {
            let sql = "UPDATE airlock_catalog.log_cursor SET head_path = $1, accepted_head = $2";
            client
                .update(sql, None, &[self.head_path.clone().into(), self.accepted_head.clone().into()])
                .map_err(spi)?;
        }
        Ok(())
    }

    /// The same cursor with its MAC, as [`Cursor::replace`] wants it the next time.
    pub fn sealed(mut self, key: &ChainKey) -> Cursor {
        self.mac = self.head(key).to_vec();
        self
    }

    fn head(&self, key: &ChainKey) -> [u8; 32] {
        chain::head_mac(key, self.last_id, &self.last_hash, self.lsn, self.timeline, self.system)
    }

    fn values<'a>(&self, key: &ChainKey) -> Vec<DatumWithOid<'a>> {
        vec![
            wal::show(self.lsn).into(),
            (self.timeline as i32).into(),
            self.last_id.into(),
            self.last_hash.to_vec().into(),
            self.head(key).to_vec().into(),
        ]
    }
}

/// Which of these records (by index) the table has already, as the same kind or as another end of the same statement.
pub fn repeated<'a>(records: impl Iterator<Item = &'a Record>) -> Result<Vec<usize>> {
    let (mut starts, mut pids, mut numbers, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for r in records {
        starts.push(time(r.statement_id.backend_start)?);
        pids.push(r.statement_id.pid);
        numbers.push(number(r.statement_id.n)?);
        ends.push(is_end(r.kind));
    }
    // not joined by hash: a plan that scans the whole log is never the right one here. A record is settled on the day that its
    // backend began or later, but for the clock
    let days = match before_0_2() {
        true => "",
        false => "AND (r.settled_on >= u.backend_start::pg_catalog.date - 2 OR r.settled_on < '2000-01-02')",
    };
    let sql = format!(
        "SELECT u.i FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) \
                 WITH ORDINALITY AS u (backend_start, pid, n, is_end, i) \
               CROSS JOIN LATERAL (SELECT FROM airlock_catalog.read_record r \
                 WHERE r.backend_start = u.backend_start AND r.backend_pid = u.pid AND r.statement_no = u.n \
                   AND (r.kind IN ('outcome', 'killed')) = u.is_end {days} OFFSET 0) AS r"
    );
    let sql = sql.as_str();
    Spi::connect(|client| {
        let mut found = Vec::new();
        for row in client.select(sql, None, &[starts.into(), pids.into(), numbers.into(), ends.into()]).map_err(spi)? {
            let place = row.get::<i64>(1).map_err(spi)?.unwrap_or(0);
            found.extend(usize::try_from(place - 1));
        }
        Ok(found)
    })
}

/// Whether a record of this kind says how a statement ended, rather than that it begins.
pub fn is_end(kind: RecordKind) -> bool {
    matches!(kind, RecordKind::Outcome | RecordKind::Killed)
}

/// Id and link of the table's last row; (0, genesis) for an empty log.
pub fn head() -> Result<(i64, Hash)> {
    Spi::connect(|client| {
        let sql = "SELECT id, hash FROM airlock_catalog.read_record ORDER BY id DESC LIMIT 1";
        let table = client.select(sql, Some(1), &[]).map_err(spi)?.first();
        let Some(row) = table.get_heap_tuple().map_err(spi)? else { return Ok((0, chain::GENESIS)) };
        let id = row.get::<i64>(1).map_err(spi)?.unwrap_or(0);
        let hash = row.get::<Vec<u8>>(2).map_err(spi)?.and_then(|h| h.try_into().ok());
        let hash =
            hash.ok_or_else(|| Error::new(Kind::Corrupt, format!("record {id}, the log's last, has no hash")))?;
        Ok((id, hash))
    })
}

/// The place that the log came to last, by its own records up to this one.
pub fn last_place(up_to: i64) -> Result<Option<Place>> {
    let sql =
        "SELECT r.kind, r.detail FROM airlock_catalog.read_record r WHERE r.kind IN ('configuration', 'finding') \
               AND r.detail LIKE '%in system % on timeline %' AND r.id <= $1 ORDER BY r.id DESC";
    Spi::connect(|client| {
        for row in client.select(sql, None, &[up_to.into()]).map_err(spi)? {
            let kind = row.get::<String>(1).map_err(spi)?.and_then(|k| RecordKind::from_label(&k));
            let detail = row.get::<String>(2).map_err(spi)?.unwrap_or_default();
            if let Some((_, place)) = kind.and_then(|kind| Seam::read(kind, &detail)) {
                return Ok(Some(place));
            }
            // where the seam itself was erased
            if let Some(Erased::Records { place: Some(place), .. }) = kind.and_then(|kind| Erased::read(kind, &detail))
            {
                return Ok(Some(place));
            }
        }
        Ok(None)
    })
}

/// Where the last checkpoint begins: a record's beginning, whose WAL is there.
pub fn last_checkpoint() -> Result<u64> {
    let sql =
        "SELECT (c.redo_lsn - '0/0'::pg_catalog.pg_lsn)::pg_catalog.text FROM pg_catalog.pg_control_checkpoint() c";
    let found = Spi::connect(|client| {
        client.select(sql, Some(1), &[]).and_then(|t| t.first().get_one::<String>()).map_err(spi)
    })?;
    found
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| Error::new(Kind::Corrupt, "the position of the last checkpoint cannot be read"))
}
