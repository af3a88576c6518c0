//! Who saw a data subject: looks it up in the log's tables, and in what WAL holds behind them.
//!
//! No read is missed. One whose record has no subject part (it has not ended, its backend died, it is of a release without)
//! may have touched anybody whom its scopes are about.

use super::verify::parts::{read, ROWS};
use crate::pg::keys::ring::subjects as keys;
use crate::pg::readlog::materialiser::{retention, spi, Batch};
use crate::pg::readlog::subjects::canonical_of_texts;
use crate::pg::readlog::{audit, identity};
use crate::pg::registry::Subject;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{self, catalog, d};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use crate::pure::record::{Record, RecordKind, StatementId};
use crate::pure::retention::Erased;
use crate::pure::scope::joins::subject_domains;
use crate::pure::subjects::{decode, Certainty, Token, Touched};
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::{pg_sys, Spi};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A person under the key of one epoch and domain.
struct Sought {
    domain: String,
    epoch: i32,
    token: Token,
    hash: u64,
}

/// What is looked for.
struct Question {
    sought: Vec<Sought>,
    domains: Vec<String>,
    /// Epochs whose key is there.
    epochs: Vec<i32>,
    /// Scopes, past ones too, that are about such persons.
    scopes: Vec<i32>,
}

/// The rows of the answer, the oldest read first.
pub fn who_saw(relation: pg_sys::Oid, subject: Vec<Option<String>>) -> Result<Vec<sys::Row>> {
    if let Some(name) = identity::subprocessor()? {
        let message = format!("sub-processor {} may not read the access log", shown(&name));
        return Err(Error::new(Kind::OutsideScope, message));
    }
    let question = sql::settled(|| ask(relation, &subject))?;
    let mut hits = Hits::default();
    settled(&question, &mut hits)?;
    let batch = super::pending()?;
    if let Some((_, batch)) = &batch {
        pending(&question, batch, &mut hits)?;
    }
    answer(hits, batch)
}

/// What the value means, by all that scopes have said of the relation, and by its foreign keys now.
fn ask(relation: pg_sys::Oid, subject: &[Option<String>]) -> Result<Question> {
    let facts = catalog::relation(relation)?
        .ok_or_else(|| Error::new(Kind::Undefined, format!("relation {} does not exist", relation.to_u32())))?;
    let shape = catalog::shape(&facts)?;
    let mut subjects: Vec<Subject> = Vec::new();
    let mut add = |columns: &[String], domains: Vec<String>| {
        let here = columns.iter().all(|c| shape.column(c).is_some());
        if let Some(new) = Subject::new(columns.to_vec(), domains).filter(|_| here) {
            if !subjects.iter().any(|old| old.domain == new.domain && old.columns == new.columns) {
                subjects.push(new);
            }
        }
    };
    let declared = sql::rows(
        "SELECT s.subject, s.subject_domains FROM airlock_catalog.scope s WHERE s.relation = $1::pg_catalog.regclass",
        &[arg(relation)],
        |row| Ok((row.need::<Vec<String>>(1)?, row.need::<Vec<String>>(2)?)),
    )?;
    for (columns, domains) in &declared {
        add(columns, domains.clone());
        add(columns, subject_domains(&shape, columns));
    }
    if declared.iter().all(|(columns, _)| columns.is_empty()) {
        add(&shape.primary_key, subject_domains(&shape, &shape.primary_key));
    }
    let given: Vec<&String> = subject.iter().flatten().collect();
    if given.len() != subject.len() || !subjects.iter().any(|s| s.columns.len() == given.len()) {
        return Err(wrong_number(&facts.name, &subjects, given.len()));
    }
    audit::note(&format!("who_saw: {}.{}", facts.schema, facts.name))?;
    let mut question = Question { sought: Vec::new(), domains: Vec::new(), epochs: Vec::new(), scopes: Vec::new() };
    let epochs = keys::epochs()?;
    for subject in subjects.iter().filter(|s| s.columns.len() == given.len()) {
        // values come in the order of the table, columns in that of what they stand for
        let mut in_order: Vec<&String> = shape.columns.iter().map(|c| &c.name).collect();
        in_order.retain(|name| subject.columns.contains(name));
        let value = |column: &String| in_order.iter().position(|c| *c == column).and_then(|i| given.get(i));
        let typed: Vec<(String, String)> =
            subject.columns.iter().map(|c| (c.clone(), value(c).map_or_else(String::new, |v| v.to_string()))).collect();
        let person = canonical_of_texts(relation, &typed)?;
        for epoch in &epochs {
            let key = keys::key(*epoch, &subject.domain)?;
            question.sought.push(Sought {
                domain: subject.domain.clone(),
                epoch: *epoch as i32,
                token: key.token(&person),
                hash: key.hash(&person),
            });
        }
        question.domains.push(subject.domain.clone());
    }
    question.epochs = epochs.into_iter().map(|e| e as i32).collect();
    question.scopes = sql::rows(
        "SELECT s.id, s.relation::pg_catalog.oid, s.subject, s.subject_domains FROM airlock_catalog.scope s",
        &[],
        |row| {
            let told = Subject::new(row.need(3)?, row.need(4)?);
            let about = told.is_some_and(|told| question.domains.contains(&told.domain));
            Ok((about || row.need::<pg_sys::Oid>(2)? == relation).then_some(row.need::<i32>(1)?))
        },
    )?
    .into_iter()
    .flatten()
    .collect();
    Ok(question)
}

fn wrong_number(table: &str, subjects: &[Subject], given: usize) -> Error {
    let keys: Vec<String> = subjects.iter().map(|s| format!("({})", s.columns.join(", "))).collect();
    let error =
        Error::new(Kind::InvalidArgument, format!("{given} values do not name a data subject of {}", shown(table)));
    match keys.is_empty() {
        true => error
            .detail("no scope of the relation declares a subject, and it has no primary key")
            .hint("ask by a table that has one, such as the one that its foreign keys refer to"),
        false => error.detail(format!("data subjects are told by {}", keys.join(" or "))).hint(
            "SELECT * FROM airlock.who_saw('customers', '42'), one value for each column, in the order of the table",
        ),
    }
}

impl Question {
    /// What one scope's persons of a read say.
    fn certainty(&self, touched: &Touched) -> Option<Certainty> {
        let Some(domain) = &touched.domain else {
            return self.scopes.contains(&touched.scope).then_some(Certainty::Possible);
        };
        if !self.domains.contains(domain) {
            return None;
        }
        if !self.epochs.contains(&touched.epoch) {
            // forgotten: it may have been anybody
            return Some(Certainty::Possible);
        }
        let of = self.sought.iter().filter(|s| s.domain == *domain && s.epoch == touched.epoch);
        of.filter_map(|s| touched.certainty(&s.token, s.hash)).max()
    }

    /// Whether a read without a subject part may have been about such a person.
    fn may_concern(&self, record: &Record, vouched: &HashMap<String, i64>) -> bool {
        match record.scopes.is_empty() {
            false => record.scopes.iter().any(|s| self.scopes.contains(s)),
            // a release that did not say which scopes: all of its views must be known to be about others
            true => !record.views.iter().all(|v| vouched.get(v).is_some_and(|since| *since < record.at)),
        }
    }

    /// Views that are known to be about others, and since when (µs since 2000).
    fn others(&self) -> Result<HashMap<String, i64>> {
        let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), s.created_at FROM airlock_catalog.scope s \
                   JOIN pg_catalog.pg_class c ON c.oid = s.view::pg_catalog.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE s.dropped_at IS NULL AND s.id <> ALL ($1)";
        Spi::connect(|client| {
            let mut found = HashMap::new();
            for tuple in client.select(sql, None, &[self.scopes.clone().into()]).map_err(spi)? {
                let name = tuple.get::<String>(1).map_err(spi)?.unwrap_or_default();
                let since = tuple.get::<TimestampWithTimeZone>(2).map_err(spi)?.map_or(i64::MAX, |t| t.into_inner());
                found.insert(name, since);
            }
            Ok(found)
        })
    }
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
    // each by its own index
    let conditions = [
        "s.tokens && $1",
        "s.domain = ANY ($2) AND (s.seen_filter <> '{}' OR s.scanned_filter <> '{}')",
        "s.anybody AND s.scope = ANY ($4)",
        "s.anybody AND s.domain = ANY ($2)",
        "s.domain = ANY ($2) AND s.epoch <> ALL ($3)",
    ];
    let mut certain: BTreeMap<i64, Certainty> = BTreeMap::new();
    for condition in conditions {
        let sql = format!("{ROWS} WHERE {condition}");
        let values = [
            tokens.clone().into(),
            question.domains.clone().into(),
            question.epochs.clone().into(),
            question.scopes.clone().into(),
        ];
        Spi::connect(|client| {
            for tuple in client.select(sql.as_str(), None, &values).map_err(spi)? {
                pgrx::check_for_interrupts!();
                let id = tuple.get::<i64>(1).map_err(spi)?.unwrap_or(0);
                // what somebody changed may have been about anybody
                let found = read(&tuple).map_or(Some(Certainty::Possible), |(_, touched)| question.certainty(&touched));
                if let Some(found) = found {
                    let known = certain.entry(id).or_insert(found);
                    *known = (*known).max(found);
                }
            }
            Ok::<_, Error>(())
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
        let erased = retention::erased()?.iter().filter_map(subjects).max().unwrap_or(0);
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
                reads.insert((record.at, id), (record, *certainty));
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
    let sql = "SELECT u.i, r.id, r.logged_at, r.subprocessor, r.columns, r.purpose, r.views, r.login_role \
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
            reads.insert((record.at, id), (record, certainty));
        }
        Ok::<_, Error>(())
    })?;
    Ok(reads.into_iter().map(row).collect())
}
