//! The reads of a sub-processor in a time: those in the log's tables, and those that WAL holds behind them.

use super::super::verify::parts::{read, ROWS};
use crate::pg::readlog::materialiser::retention;
use crate::pg::sys::cursor::{self, Cells};
use crate::pg::sys::sql::{self, arg, Arg};
use crate::pg::sys::tuples;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{Parts, Record, RecordKind, StatementId};
use crate::pure::retention::Erased;
use crate::pure::self_test::MARK;
use crate::pure::subjects::{decode, Tally, Touched};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::JsonB;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How a column was shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure {
    /// The mask; `None` for clear, `Some` of nothing where it is not known any more.
    pub mask: Option<String>,
    /// Whether the column was encrypted at rest.
    pub encrypted: Option<bool>,
}

impl Exposure {
    /// The word in the report.
    pub fn label(&self) -> &'static str {
        match (&self.mask, self.encrypted) {
            (_, None) => "unknown",
            (None, _) => "clear",
            (Some(_), _) => "masked",
        }
    }
}

/// The reads of one relation, or of all.
#[derive(Default)]
pub struct Part {
    /// How many.
    pub reads: u64,
    /// Rows that they sent, as far as it is known.
    pub rows: u64,
    /// How each column was shown that a read names, and by how many of them it was.
    pub columns: BTreeMap<(String, Exposure), u64>,
    /// Whose rows.
    pub tally: Tally,
    /// When the first began.
    pub first: Option<TimestampWithTimeZone>,
    /// When the last ended, or began.
    pub last: Option<TimestampWithTimeZone>,
    /// For which purposes.
    pub purposes: BTreeSet<String>,
    /// From where.
    pub addresses: BTreeSet<String>,
    /// Under which logins.
    pub logins: BTreeSet<String>,
    /// Reads whose end is not known.
    pub unfinished: u64,
    /// Reads of which it is not known whose rows they touched.
    pub unknown: u64,
    /// Reads whose persons were forgotten with their epoch.
    pub forgotten: u64,
    /// Reads of other relations as well.
    pub several: u64,
}

/// All of it.
pub struct Report {
    /// Of all relations.
    pub whole: Part,
    /// By relation.
    pub relations: BTreeMap<String, Part>,
    /// Records that are counted and not settled yet.
    pub pending: u64,
    /// When the last settled record was made.
    pub settled_to: Option<TimestampWithTimeZone>,
    /// What is not in the log any more.
    pub erased: Option<String>,
}

/// What the catalog says of a scope, in force or not.
struct Scope {
    relation: String,
    /// Column as SQL prints it, its own name, and how it is shown.
    rules: Vec<(String, String, Exposure)>,
}

/// One read.
struct Read {
    began: TimestampWithTimeZone,
    ended: Option<TimestampWithTimeZone>,
    scopes: Vec<i32>,
    views: Vec<String>,
    columns: Vec<String>,
    purpose: Option<String>,
    address: Option<String>,
    login: String,
    rows: Option<i64>,
    /// The record says whose rows, and that was not erased.
    told: bool,
}

/// The reads and their ends, without those of the self test, of which nothing left the server; `$1` the sub-processor, `$2` and `$3` the time, `$4` the last settled record that this statement sees.
const READS: &str =
    "airlock_catalog.read_record i LEFT JOIN airlock_catalog.read_record o ON o.kind IN ('outcome', 'killed')
        AND o.backend_start = i.backend_start AND o.backend_pid = i.backend_pid AND o.statement_no = i.statement_no
        AND o.settled_on >= i.settled_on AND o.id <= $4
  WHERE i.kind IN ('exact', 'intent', 'open') AND i.subprocessor = $1 AND i.detail IS DISTINCT FROM 'self test' AND i.id <= $4 AND i.logged_at <= $3
    AND (i.logged_at >= $2 OR o.id IS NULL AND i.kind <> 'exact'
         OR coalesce(o.logged_at, i.logged_at + coalesce(i.duration_us, 0) * interval '1 microsecond') >= $2)";

/// Looks through the log.
pub fn gather(subprocessor: &str, from: TimestampWithTimeZone, to: TimestampWithTimeZone) -> Result<Report> {
    // first, so that what the worker settles meanwhile is counted once
    let pending = super::super::pending(|end| end)?;
    let settled = pending.as_ref().map_or(i64::MAX, |(last, _)| *last);
    let records = pending.map(|(_, batch)| batch.records).unwrap_or_default();
    let mut gathering = Gathering::new(subprocessor, (from, to))?;
    let ends = ends(&records);
    gathering.settled(settled, &ends)?;
    for (record, parts) in &records {
        let begins = record.kind == RecordKind::Exact || record.kind.is_beginning();
        if begins && record.subprocessor == subprocessor && record.detail.as_deref() != Some(MARK) {
            gathering.pending(record, parts, &ends)?;
        }
    }
    let last = sql::look(
        "SELECT r.logged_at FROM airlock_catalog.read_record r WHERE r.id <= $1 ORDER BY r.id DESC LIMIT 1",
        &[arg(settled)],
        |row| row.get::<TimestampWithTimeZone>(1),
    )?;
    let mut report = gathering.report;
    report.pending = records.iter().filter(|(record, _)| record.subprocessor == subprocessor).count() as u64;
    report.settled_to = last.flatten();
    report.erased = erased(from)?;
    Ok(report)
}

type Records = [(Record, Parts)];
type Ends<'a> = HashMap<StatementId, &'a (Record, Parts)>;

/// The ends among what is not settled.
fn ends(records: &Records) -> Ends<'_> {
    let end = |record: &Record| matches!(record.kind, RecordKind::Outcome | RecordKind::Killed);
    records.iter().filter(|(record, _)| end(record)).map(|entry| (entry.0.statement_id, entry)).collect()
}

/// That records of the time were erased.
fn erased(from: TimestampWithTimeZone) -> Result<Option<String>> {
    let records = |e: &Erased| if let Erased::Records { last, .. } = e { Some(*last) } else { None };
    let Some(last) = retention::erased(false)?.iter().filter_map(records).max() else { return Ok(None) };
    let first = sql::look(
        "SELECT r.logged_at, pg_catalog.to_char(r.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM airlock_catalog.read_record r ORDER BY r.id LIMIT 1",
        &[],
        |row| Ok((row.need::<TimestampWithTimeZone>(1)?, row.need::<String>(2)?)),
    )?;
    Ok(first.filter(|(at, _)| *at >= from).map(|(_, at)| {
        format!("records up to {last} were erased after their time: what was read before {at} UTC is not counted")
    }))
}

struct Gathering {
    subprocessor: String,
    time: (TimestampWithTimeZone, TimestampWithTimeZone),
    scopes: HashMap<i32, Scope>,
    /// Scopes of views that are there, for records of 0.1.0.
    views: HashMap<String, i32>,
    destroyed: HashSet<i32>,
    subjects_erased: i64,
    report: Report,
}

impl Gathering {
    fn new(subprocessor: &str, time: (TimestampWithTimeZone, TimestampWithTimeZone)) -> Result<Gathering> {
        let mut scopes: HashMap<i32, Scope> = HashMap::new();
        let mut views = HashMap::new();
        sql::rows(
            "SELECT c.id, c.relation::pg_catalog.text, c.view::pg_catalog.text, pg_catalog.quote_ident(r.column_name), r.column_name, r.mask, r.encrypted
               FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
               JOIN airlock_catalog.rule r ON r.scope = c.id WHERE s.name = $1 ORDER BY c.id, r.ordinal",
            &[arg(subprocessor)],
            |row| {
                let id: i32 = row.need(1)?;
                let relation: String = row.need(2)?;
                if let Some(view) = row.get::<String>(3)? {
                    views.insert(view, id);
                }
                let mask = row.get::<JsonB>(6)?.map(|json| match &json.0["mask"] {
                    Json::String(name) => name.clone(),
                    other => other.to_string(),
                });
                let exposure = Exposure { mask, encrypted: row.get(7)? };
                let scope = scopes.entry(id).or_insert_with(|| Scope { relation, rules: Vec::new() });
                scope.rules.push((row.need(4)?, row.need(5)?, exposure));
                Ok(())
            },
        )?;
        let destroyed = sql::rows(
            "SELECT v.version FROM airlock_catalog.key_version v WHERE v.use = 'subject' AND v.state = 'destroyed'",
            &[],
            |row| row.need::<i32>(1),
        )?;
        let subjects = |e: &Erased| if let Erased::Subjects(last) = e { Some(*last) } else { None };
        Ok(Gathering {
            subprocessor: subprocessor.to_string(),
            time,
            scopes,
            views,
            destroyed: destroyed.into_iter().collect(),
            subjects_erased: retention::erased(false)?.iter().filter_map(subjects).max().unwrap_or(0),
            report: Report {
                whole: Part::default(),
                relations: BTreeMap::new(),
                pending: 0,
                settled_to: None,
                erased: None,
            },
        })
    }

    /// Reads in the log's tables, and then whose rows they touched.
    fn settled(&mut self, last: i64, ends: &Ends) -> Result<()> {
        let args = |g: &Gathering| -> [Arg<'static>; 4] {
            [arg(g.subprocessor.clone()), arg(g.time.0), arg(g.time.1), arg(last)]
        };
        let select = format!(
            "SELECT i.kind, i.logged_at, coalesce(o.logged_at, CASE WHEN i.kind = 'exact' THEN i.logged_at + coalesce(i.duration_us, 0) * interval '1 microsecond' END),
                    i.scopes, i.views, i.columns, i.purpose, i.client_addr, i.login_role, coalesce(o.rows_sent, i.rows_sent),
                    CASE WHEN i.kind = 'exact' THEN i.subjects IS NOT NULL AND i.id > {0} ELSE o.subjects IS NOT NULL AND o.id > {0} END,
                    i.backend_start, i.backend_pid, i.statement_no, o.id IS NULL FROM {READS}",
            self.subjects_erased
        );
        let arguments = args(self);
        let mut found = Vec::new();
        cursor::each("the read log", &select, &arguments, |row| {
            let id = StatementId {
                backend_start: row.get::<TimestampWithTimeZone>(12)?.map_or(0, |t| t.into_inner()),
                pid: row.get(13)?.unwrap_or(0),
                n: row.get::<i64>(14)?.unwrap_or(0).unsigned_abs(),
            };
            let mut read = Read::of(row)?;
            // it ended, and that is not settled yet
            if let Some((end, parts)) = ends.get(&id).filter(|_| row.get::<bool>(15).ok().flatten() == Some(true)) {
                read.ended = TimestampWithTimeZone::try_from(end.at).ok();
                read.rows = end.rows_sent;
                read.told = parts.subjects.is_some();
                if read.ended.is_some_and(|ended| ended < self.time.0 && read.began < self.time.0) {
                    return Ok(true);
                }
                found.push(parts.subjects.clone());
            }
            self.add(&read);
            Ok(true)
        })?;
        for part in found.into_iter().flatten() {
            self.touched(decode(&part)?.1);
        }
        let select =
            format!("{ROWS} WHERE s.id IN (SELECT CASE WHEN i.kind = 'exact' THEN i.id ELSE o.id END FROM {READS})");
        let arguments = args(self);
        tuples::each(&select, &arguments, |row| {
            match read(row) {
                Ok((_, touched)) => self.touched(vec![touched]),
                // what somebody changed may have been about anybody
                Err(_) => self.changed(row.int(3)?.unwrap_or(0)),
            }
            Ok(true)
        })
    }

    /// A read of which nothing is in the tables.
    fn pending(&mut self, record: &Record, parts: &Parts, ends: &Ends) -> Result<()> {
        let Ok(began) = TimestampWithTimeZone::try_from(record.at) else { return Ok(()) };
        let exact = record.kind == RecordKind::Exact;
        let end = ends.get(&record.statement_id).filter(|_| !exact);
        let (rows, subjects, at) = match end {
            Some((end, parts)) => (end.rows_sent, parts.subjects.as_ref(), Some(end.at)),
            None if exact => (
                record.rows_sent,
                parts.subjects.as_ref(),
                Some(record.at.saturating_add(record.duration_us.unwrap_or(0))),
            ),
            None => (None, None, None),
        };
        let ended = at.and_then(|at| TimestampWithTimeZone::try_from(at).ok());
        if began > self.time.1 || ended.is_some_and(|ended| ended < self.time.0) {
            return Ok(());
        }
        self.add(&Read {
            began,
            ended,
            scopes: record.scopes.clone(),
            views: record.views.clone(),
            columns: record.columns.clone(),
            purpose: record.purpose.clone(),
            address: record.client_addr.clone(),
            login: record.login_role.clone(),
            rows,
            told: subjects.is_some(),
        });
        if let Some(part) = subjects {
            self.touched(decode(part)?.1);
        }
        Ok(())
    }

    /// Counts a read in each relation that it is of.
    fn add(&mut self, read: &Read) {
        let mut scopes = read.scopes.clone();
        if scopes.is_empty() {
            scopes = read.views.iter().filter_map(|view| self.views.get(view).copied()).collect();
        }
        let mut of: BTreeMap<String, Vec<(String, Exposure)>> = BTreeMap::new();
        for scope in &scopes {
            let Some(scope) = self.scopes.get(scope) else { continue };
            let columns = of.entry(scope.relation.clone()).or_default();
            for (printed, name, exposure) in &scope.rules {
                let named =
                    |column: &String| column.strip_suffix(printed.as_str()).is_some_and(|rest| rest.ends_with('.'));
                // the rule before a rotation of the mask key says the same
                let shown = (name.clone(), exposure.clone());
                if read.columns.iter().any(named) && !columns.contains(&shown) {
                    columns.push(shown);
                }
            }
        }
        if of.is_empty() {
            // of a scope that the catalog does not know: by what the record says itself
            let unknown = Exposure { mask: None, encrypted: None };
            let columns = read.columns.iter().map(|column| (column.clone(), unknown.clone())).collect();
            of.insert(format!("view {}", read.views.join(", ")), columns);
        }
        let several = of.len() > 1;
        for (relation, columns) in of {
            let part = self.report.relations.entry(relation).or_default();
            part.count(read, several);
            for column in columns {
                *part.columns.entry(column).or_default() += 1;
            }
        }
        self.report.whole.count(read, several);
    }

    /// Counts persons in the relation of their scope, and in the whole.
    fn touched(&mut self, all: Vec<Touched>) {
        let (mut unknown, mut forgotten) = (false, false);
        for touched in all {
            let relation = self.scopes.get(&touched.scope).map(|scope| scope.relation.clone());
            let gone = touched.domain.is_some() && self.destroyed.contains(&touched.epoch);
            let vague = touched.anybody || touched.domain.is_none();
            if let Some(part) = relation.and_then(|relation| self.report.relations.get_mut(&relation)) {
                part.unknown += u64::from(vague);
                part.forgotten += u64::from(gone);
                part.tally.add(&touched);
            }
            self.report.whole.tally.add(&touched);
            (unknown, forgotten) = (unknown || vague, forgotten || gone);
        }
        self.report.whole.unknown += u64::from(unknown);
        self.report.whole.forgotten += u64::from(forgotten);
    }

    /// A stored part that is not as it was written.
    fn changed(&mut self, scope: i32) {
        self.touched(vec![Touched::undeclared(scope)]);
    }
}

impl Part {
    fn count(&mut self, read: &Read, several: bool) {
        self.reads += 1;
        self.rows = self.rows.saturating_add(read.rows.map_or(0, i64::unsigned_abs));
        self.unfinished += u64::from(read.rows.is_none());
        self.several += u64::from(several);
        if !read.told {
            self.unknown += 1;
            self.tally.add_unknown();
        }
        let ended = read.ended.unwrap_or(read.began);
        self.first = Some(self.first.map_or(read.began, |first| first.min(read.began)));
        self.last = Some(self.last.map_or(ended, |last| last.max(ended)));
        self.purposes.extend(read.purpose.clone());
        // as in pg_hba.conf: no address is the server's own socket
        self.addresses.insert(read.address.clone().unwrap_or_else(|| "local".into()));
        self.logins.insert(read.login.clone());
    }
}

impl Read {
    fn of(row: &Cells) -> Result<Read> {
        let texts = |i: usize| -> Result<Vec<String>> {
            Ok(row.get::<Vec<Option<String>>>(i)?.unwrap_or_default().into_iter().flatten().collect())
        };
        let began = row.get(2)?.ok_or_else(|| Error::new(Kind::Corrupt, "a record of the log has no time"))?;
        Ok(Read {
            began,
            ended: row.get(3)?,
            scopes: row.get::<Vec<Option<i32>>>(4)?.unwrap_or_default().into_iter().flatten().collect(),
            views: texts(5)?,
            columns: texts(6)?,
            purpose: row.get(7)?,
            address: row.get(8)?,
            login: row.text(9)?,
            rows: row.get(10)?,
            told: row.get::<bool>(11)?.unwrap_or(false),
        })
    }
}
