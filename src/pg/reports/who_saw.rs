//! Who saw a data subject: looks it up in the log's tables, and in what WAL holds behind them.
//!
//! No read is missed. One whose record has no subject part (it has not ended, its backend died, it is of a release without)
//! may have touched anybody whom its scopes are about.

mod question;

use super::verify::parts::{read, ROWS};
use crate::pg::readlog::materialiser::{retention, spi, Batch};
use crate::pg::readlog::{identity, wal};
use crate::pg::sys::{self, d, sql, tuples};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use crate::pure::record::{Record, RecordKind, StatementId};
use crate::pure::retention::Erased;
use crate::pure::self_test::MARK;
use crate::pure::subjects::{decode, Certainty};
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::{pg_sys, Spi};
use question::{ask, Question};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The rows of the answer, the oldest read first.
pub fn who_saw(relation: pg_sys::Oid, subject: Vec<Option<String>>) -> Result<Vec<sys::Row>> {
    if let Some(name) = identity::subprocessor()? {
        let message = format!("sub-processor {} may not read the access log", shown(&name));
        return Err(Error::new(Kind::OutsideScope, message));
    }
    if wal::in_recovery() {
        return Err(Error::new(Kind::ReadOnly, "who_saw() answers on the primary server")
            .hint("connect to the primary; the log's views can be read here"));
    }
    let question = sql::settled(|| ask(relation, &subject))?;
    let mut hits = Hits::default();
    settled(&question, &mut hits)?;
    let batch = super::pending(as_of_statement)?;
    if let Some((_, batch)) = &batch {
        pending(&question, batch, &mut hits)?;
    }
    answer(hits, batch)
}

/// Where WAL ended when the client's statement first asked: one that asks about many persons need not read again what it puts
/// on record itself.
fn as_of_statement(end: u64) -> u64 {
    thread_local! {
        static FIRST: Cell<(i64, u64)> = const { Cell::new((0, 0)) };
    }
    let began = sys::statement_start();
    FIRST.with(|first| {
        if first.get().0 != began {
            first.set((began, end));
        }
        first.get().1
    })
}

/// What was found, by statement.
#[derive(Default)]
struct Hits {
    found: HashMap<StatementId, Certainty>,
    /// Statements whose subject part was looked at.
    told: HashSet<StatementId>,
    /// Settled beginnings without one.
    open: Vec<StatementId>,
}

impl Hits {
    fn add(&mut self, statement: StatementId, certainty: Option<Certainty>) {
        if let Some(certainty) = certainty {
            let known = self.found.entry(statement).or_insert(certainty);
            *known = (*known).max(certainty);
        }
    }
}

const STATEMENT: &str = "r.backend_start, r.backend_pid, r.statement_no";

/// Statement of a row that begins with [`STATEMENT`], behind `columns` others.
fn statement(tuple: &pgrx::spi::SpiHeapTupleData, from: usize) -> Result<StatementId> {
    Ok(StatementId {
        backend_start: tuple.get::<TimestampWithTimeZone>(from).map_err(spi)?.map_or(0, |t| t.into_inner()),
        pid: tuple.get::<i32>(from + 1).map_err(spi)?.unwrap_or(0),
        n: tuple.get::<i64>(from + 2).map_err(spi)?.unwrap_or(0).unsigned_abs(),
    })
}

/// Looks through the tables.
fn settled(question: &Question, hits: &mut Hits) -> Result<()> {
    let tokens: Vec<Uuid> = question.sought.iter().map(|s| Uuid::from_bytes(s.token)).collect();
    // what lies between the epochs whose keys are there: the planner would look through the whole table for what is not equal
    let (above, below) = question.gaps();
    let gaps = "ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7)) AS g (above, below) CROSS JOIN LATERAL (SELECT * FROM airlock_catalog.read_subject x \
                WHERE x.domain = ANY ($2) AND x.epoch > g.above AND x.epoch < g.below OFFSET 0)";
    let forgotten = ROWS.replace("airlock_catalog.read_subject", gaps);
    // each by its own index
    let conditions = [
        (ROWS, "s.tokens && $1"),
        (ROWS, "s.domain = ANY ($2) AND (s.seen_filter <> '{}' OR s.scanned_filter <> '{}')"),
        (ROWS, "s.anybody AND s.scope = ANY ($4)"),
        (ROWS, "s.anybody AND s.domain = ANY ($2)"),
        (&forgotten, "s.epoch <> ALL ($3)"),
        (ROWS, "s.domain = ANY ($5)"),
    ];
    let mut certain: BTreeMap<i64, Certainty> = BTreeMap::new();
    for (rows, condition) in conditions {
        let values = [
            tokens.clone().into(),
            question.domains.clone().into(),
            question.epochs.clone().into(),
            question.scopes.clone().into(),
            question.vague.clone().into(),
            above.clone().into(),
            below.clone().into(),
        ];
        tuples::each(&format!("{rows} WHERE {condition}"), &values, |tuple| {
            let id = tuple.long(1)?.unwrap_or(0);
            // what somebody changed may have been about anybody
            let found = read(tuple).map_or(Some(Certainty::Possible), |(_, touched)| question.certainty(&touched));
            if let Some(found) = found {
                let known = certain.entry(id).or_insert(found);
                *known = (*known).max(found);
            }
            Ok(true)
        })?;
    }
    Spi::connect(|client| {
        let ids: Vec<i64> = certain.keys().copied().collect();
        let sql = format!("SELECT r.id, {STATEMENT} FROM airlock_catalog.read_record r WHERE r.id = ANY ($1)");
        for tuple in client.select(sql.as_str(), None, &[ids.into()]).map_err(spi)? {
            let id = tuple.get::<i64>(1).map_err(spi)?.unwrap_or(0);
            hits.add(statement(&tuple, 2)?, certain.get(&id).copied());
        }
        let vouched = question.others()?;
        let sql = format!(
            "SELECT r.scopes, r.views, r.logged_at, {STATEMENT} FROM airlock_catalog.read_record r WHERE r.kind IN ('exact', 'intent', 'open') AND r.id <= $1 \
             OR r.kind IN ('intent', 'open') AND NOT EXISTS (SELECT FROM airlock_catalog.read_record o WHERE o.kind = 'outcome' AND o.subjects IS NOT NULL \
             AND o.backend_start = r.backend_start AND o.backend_pid = r.backend_pid AND o.statement_no = r.statement_no OFFSET 0)"
        );
        // what was erased may have been about anybody
        let subjects = |e: &Erased| if let Erased::Subjects(last) = e { Some(*last) } else { None };
        let erased = retention::erased(false)?.iter().filter_map(subjects).max().unwrap_or(0);
        for tuple in client.select(sql.as_str(), None, &[erased.into()]).map_err(spi)? {
            let id = statement(&tuple, 4)?;
            let record = Record {
                scopes: tuple
                    .get::<Vec<Option<i32>>>(1)
                    .map_err(spi)?
                    .unwrap_or_default()
                    .into_iter()
                    .flatten()
                    .collect(),
                views: tuple
                    .get::<Vec<Option<String>>>(2)
                    .map_err(spi)?
                    .unwrap_or_default()
                    .into_iter()
                    .flatten()
                    .collect(),
                at: tuple.get::<TimestampWithTimeZone>(3).map_err(spi)?.map_or(0, |t| t.into_inner()),
                ..Record::new(RecordKind::Open, 0, id)
            };
            if question.may_concern(&record, &vouched) {
                hits.open.push(id);
            }
        }
        Ok(())
    })
}

/// Looks through what is not in the tables yet.
fn pending(question: &Question, batch: &Batch, hits: &mut Hits) -> Result<()> {
    let vouched = question.others()?;
    for (record, parts) in &batch.records {
        let id = record.statement_id;
        if let Some(part) = &parts.subjects {
            hits.told.insert(id);
            let (_, touched) = decode(part)?;
            hits.add(id, touched.iter().filter_map(|t| question.certainty(t)).max());
        } else if record.kind.is_beginning() && question.may_concern(record, &vouched) {
            hits.open.push(id);
        }
    }
    Ok(())
}

/// Of what a self test read nothing left the server.
fn capped(certainty: Certainty, self_test: bool) -> Certainty {
    if self_test {
        Certainty::Possible
    } else {
        certainty
    }
}

/// The reads of these statements, as the access log has them.
fn answer(mut hits: Hits, batch: Option<(i64, Batch)>) -> Result<Vec<sys::Row>> {
    for id in std::mem::take(&mut hits.open) {
        if !hits.told.contains(&id) {
            hits.add(id, Some(Certainty::Possible));
        }
    }
    let mut reads: BTreeMap<(i64, i64), (Record, Certainty)> = BTreeMap::new();
    // not within SPI, whose memory goes with it
    let row = |((_, id), (r, certainty)): ((i64, i64), (Record, Certainty))| -> sys::Row {
        vec![
            d(TimestampWithTimeZone::try_from(r.at).ok()),
            d(r.subprocessor.clone()),
            d(r.columns.clone()),
            d(r.purpose.clone()),
            d(certainty.label()),
            d(id),
            d(r.views.clone()),
            d(r.login_role.clone()),
        ]
    };
    let begins = |kind: RecordKind| kind == RecordKind::Exact || kind.is_beginning();
    if let Some((last_id, batch)) = batch {
        for (id, (record, _)) in (last_id + 1..).zip(batch.records) {
            if let Some(certainty) = hits.found.get(&record.statement_id).filter(|_| begins(record.kind)) {
                let certainty = capped(*certainty, record.detail.as_deref() == Some(MARK));
                reads.insert((record.at, id), (record, certainty));
            }
        }
    }
    let (mut starts, mut pids, mut numbers, mut certain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, certainty) in &hits.found {
        starts.push(TimestampWithTimeZone::try_from(id.backend_start).ok());
        pids.push(id.pid);
        numbers.push(i64::try_from(id.n).unwrap_or(i64::MAX));
        certain.push(*certainty);
    }
    let sql = "SELECT u.i, r.id, r.logged_at, r.subprocessor, r.columns, r.purpose, r.views, r.login_role, r.detail \
               FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) \
                 WITH ORDINALITY AS u (backend_start, pid, n, i) \
               CROSS JOIN LATERAL (SELECT * FROM airlock_catalog.read_record r WHERE r.backend_start = u.backend_start \
                 AND r.backend_pid = u.pid AND r.statement_no = u.n AND r.kind IN ('exact', 'intent', 'open') OFFSET 0) AS r";
    Spi::connect(|client| {
        for tuple in client.select(sql, None, &[starts.into(), pids.into(), numbers.into()]).map_err(spi)? {
            let place = usize::try_from(tuple.get::<i64>(1).map_err(spi)?.unwrap_or(1) - 1).unwrap_or(0);
            let id = tuple.get::<i64>(2).map_err(spi)?.unwrap_or(0);
            let texts = |i: usize| -> Result<Vec<String>> {
                let list = tuple.get::<Vec<Option<String>>>(i).map_err(spi)?;
                Ok(list.unwrap_or_default().into_iter().flatten().collect())
            };
            let record = Record {
                at: tuple.get::<TimestampWithTimeZone>(3).map_err(spi)?.map_or(0, |t| t.into_inner()),
                subprocessor: tuple.get::<String>(4).map_err(spi)?.unwrap_or_default(),
                columns: texts(5)?,
                purpose: tuple.get::<String>(6).map_err(spi)?,
                views: texts(7)?,
                login_role: tuple.get::<String>(8).map_err(spi)?.unwrap_or_default(),
                ..Record::new(RecordKind::Exact, 0, StatementId { backend_start: 0, pid: 0, n: 0 })
            };
            let certainty = certain.get(place).copied().unwrap_or(Certainty::Possible);
            let certainty = capped(certainty, tuple.get::<&str>(9).map_err(spi)? == Some(MARK));
            reads.insert((record.at, id), (record, certainty));
        }
        Ok::<_, Error>(())
    })?;
    Ok(reads.into_iter().map(row).collect())
}
