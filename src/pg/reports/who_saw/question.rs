//! What a question about a person means: under which names, of which epochs, the log may have them.

use crate::pg::keys::ring::subjects as keys;
use crate::pg::readlog::audit;
use crate::pg::readlog::materialiser::spi;
use crate::pg::readlog::subjects::canonical_of_texts;
use crate::pg::registry::Subject;
use crate::pg::sys::{catalog, sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{qualified, shown};
use crate::pure::record::Record;
use crate::pure::scope::joins::subject_domains;
use crate::pure::scope::TableShape;
use crate::pure::subjects::{Certainty, Token, Touched};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{pg_sys, Spi};
use std::collections::HashMap;

/// A person under the key of one epoch and domain.
pub struct Sought {
    domain: String,
    epoch: i32,
    /// Its token.
    pub token: Token,
    hash: u64,
}

/// What is looked for.
#[derive(Default)]
pub struct Question {
    /// The person, by all names.
    pub sought: Vec<Sought>,
    /// What these names are of.
    pub domains: Vec<String>,
    /// Domains of such persons by which they cannot be looked up.
    pub vague: Vec<String>,
    /// Epochs whose key is there.
    pub epochs: Vec<i32>,
    /// Scopes, past ones too, that are about such persons.
    pub scopes: Vec<i32>,
}

/// What the value means: the person whom the relation's key names, by all that scopes have said of it and by its foreign
/// keys now. What they said otherwise (by another column, or by one that was renamed since) cannot be held against the value,
/// and may be anybody.
pub fn ask(relation: pg_sys::Oid, subject: &[Option<String>]) -> Result<Question> {
    let facts = catalog::relation(relation)?
        .ok_or_else(|| Error::new(Kind::Undefined, format!("relation {} does not exist", relation.to_u32())))?;
    let shape = catalog::shape(&facts)?;
    let declared: Vec<Declared> = sql::rows(
        "SELECT s.id, s.relation::pg_catalog.oid, s.subject, s.subject_domains FROM airlock_catalog.scope s",
        &[],
        |row| Ok(Declared { id: row.need(1)?, relation: row.need(2)?, columns: row.need(3)?, domains: row.need(4)? }),
    )?;
    let key = key_columns(&shape, relation, &declared);
    let given: Vec<&String> = subject.iter().flatten().collect();
    if given.len() != subject.len() || key.is_empty() || given.len() != key.len() {
        return Err(wrong_number(&facts.name, &key, given.len()));
    }
    let whom: Vec<&str> = given.iter().map(|value| value.as_str()).collect();
    audit::note(&format!("who_saw: {}.{}", facts.schema, facts.name), &whom)?;
    let asked =
        Asked { relation, relatives: catalog::relatives(relation)?, now: subject_domains(&shape, &key), key: &key };
    let mut subjects: Vec<Subject> = Subject::new(key.clone(), asked.now.clone()).into_iter().collect();
    let mut question = Question::default();
    let mut shapes = HashMap::new();
    for d in &declared {
        match asked.link(d, &mut shapes)? {
            Link::Same(subject) => {
                question.scopes.push(d.id);
                if !subjects.iter().any(|old| old.domain == subject.domain) {
                    subjects.push(subject);
                }
            }
            Link::Perhaps => {
                question.scopes.push(d.id);
                question.vague.extend(Subject::new(d.columns.clone(), d.domains.clone()).map(|told| told.domain));
            }
            Link::None => {}
        }
    }
    let epochs = keys::epochs()?;
    for subject in &subjects {
        // values come in the order of the table, columns in that of what they stand for
        let value = |column: &String| key.iter().position(|c| c == column).and_then(|i| given.get(i));
        let typed: Vec<(String, String)> =
            subject.columns.iter().map(|c| (c.clone(), value(c).map_or_else(String::new, |v| v.to_string()))).collect();
        for person in canonical_of_texts(relation, &typed)? {
            for epoch in &epochs {
                let key = keys::key(*epoch, &subject.domain)?;
                question.sought.push(Sought {
                    domain: subject.domain.clone(),
                    epoch: *epoch as i32,
                    token: key.token(&person),
                    hash: key.hash(&person),
                });
            }
        }
        question.domains.push(subject.domain.clone());
    }
    question.vague.retain(|domain| !question.domains.contains(domain));
    question.epochs = epochs.into_iter().map(|e| e as i32).collect();
    Ok(question)
}

/// The relation that is asked by, and what its key stands for now.
struct Asked<'a> {
    relation: pg_sys::Oid,
    /// Its partitions, children and parents.
    relatives: Vec<pg_sys::Oid>,
    now: Vec<String>,
    key: &'a [String],
}

/// What a scope's persons have to do with those that are asked for.
enum Link {
    /// They are the same, under this domain.
    Same(Subject),
    /// They may be, and cannot be looked up.
    Perhaps,
    None,
}

impl Asked<'_> {
    /// By what the scope said when it was made, and by the foreign keys of its table now: whatever was renamed, or referred
    /// to something else in between, one of the two still tells, or nothing does, and then it may be anybody.
    fn link(&self, d: &Declared, shapes: &mut HashMap<u32, Option<TableShape>>) -> Result<Link> {
        let mine = d.relation == self.relation || self.relatives.contains(&d.relation);
        let shape = match shapes.entry(d.relation.to_u32()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(catalog::relation(d.relation)?.map(|facts| catalog::shape(&facts)).transpose()?)
            }
        };
        let roots = || self.now.iter().filter_map(|domain| table_of(domain)).collect::<Vec<_>>();
        let in_roots =
            |domains: &[String]| domains.iter().filter_map(|d| table_of(d)).any(|table| roots().contains(&table));
        let Some(told) = Subject::new(d.columns.clone(), d.domains.clone()) else {
            // no subject: by what its columns refer to
            let refers = shape.as_ref().is_some_and(|shape| {
                let columns: Vec<String> = shape.columns.iter().map(|c| c.name.clone()).collect();
                in_roots(&subject_domains(shape, &columns))
            });
            return Ok(if mine || refers { Link::Perhaps } else { Link::None });
        };
        let there = shape.as_ref().filter(|shape| d.columns.iter().all(|c| shape.column(c).is_some()));
        let today = there.map(|shape| subject_domains(shape, &d.columns));
        if let ([_], [key], [now]) = (&d.columns[..], self.key, &self.now[..]) {
            let same = told.domain == *now
                || today.as_deref() == Some(&self.now[..])
                || mine && there.is_some() && d.columns == self.key;
            if same {
                return Ok(Link::Same(Subject { domain: told.domain, columns: vec![key.clone()] }));
            }
        } else if d.relation == self.relation && sorted(&d.columns) == sorted(self.key) {
            return Ok(Link::Same(told));
        } else if Subject::new(self.key.to_vec(), self.now.clone()).is_some_and(|now| now.domain == told.domain) {
            return Ok(Subject::new(self.key.to_vec(), self.now.clone()).map_or(Link::Perhaps, Link::Same));
        }
        let named = now_of(&d.domains)?;
        let about = |domains: &Option<Vec<String>>| domains.as_deref().is_some_and(in_roots);
        let renamed = shape.is_some() && there.is_none();
        Ok(match mine || in_roots(&d.domains) || about(&today) || about(&named) || named.is_none() || renamed {
            true => Link::Perhaps,
            false => Link::None,
        })
    }
}

/// What the columns that these domains name stand for now; `None` when one of them is not there any more.
fn now_of(domains: &[String]) -> Result<Option<Vec<String>>> {
    let mut found = Vec::with_capacity(domains.len());
    for domain in domains {
        let Some((table, column)) = domain.rsplit_once('.') else { return Ok(None) };
        let sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid";
        let oid = sql::first(sql, &[sql::arg(as_sql(table))], |row| row.get::<pg_sys::Oid>(1))?.flatten();
        let Some(facts) = oid.map(catalog::relation).transpose()?.flatten() else { return Ok(None) };
        let shape = catalog::shape(&facts)?;
        if shape.column(column).is_none() {
            return Ok(None);
        }
        found.extend(subject_domains(&shape, &[column.to_string()]));
    }
    Ok(Some(found))
}

/// `schema.table` of a domain, as SQL reads it: its parts are quoted only where they hold a dot or a quote.
fn as_sql(table: &str) -> String {
    match table.split_once('.') {
        Some((schema, name)) if !table.contains('"') => qualified(schema, name),
        _ => table.to_string(),
    }
}

/// What a scope's row says of its subject.
struct Declared {
    id: i32,
    relation: pg_sys::Oid,
    columns: Vec<String>,
    domains: Vec<String>,
}

fn sorted(columns: &[String]) -> Vec<&String> {
    let mut sorted: Vec<&String> = columns.iter().collect();
    sorted.sort();
    sorted
}

/// The columns by which persons of the relation are asked for, in the order of the table: the primary key if a scope
/// declares it, else what the newest scope declares, of columns that are still there, else the primary key.
fn key_columns(shape: &TableShape, relation: pg_sys::Oid, declared: &[Declared]) -> Vec<String> {
    let mine = declared.iter().filter(|d| d.relation == relation && !d.columns.is_empty());
    let there: Vec<&Declared> = mine.filter(|d| d.columns.iter().all(|c| shape.column(c).is_some())).collect();
    let primary = there.iter().any(|d| sorted(&d.columns) == sorted(&shape.primary_key));
    let wanted = match there.iter().max_by_key(|d| d.id) {
        Some(newest) if !primary => &newest.columns,
        _ => &shape.primary_key,
    };
    shape.columns.iter().map(|c| c.name.clone()).filter(|name| wanted.contains(name)).collect()
}

/// The table in `schema.table.column`, a domain of one column.
fn table_of(domain: &str) -> Option<String> {
    domain.rsplit_once('.').map(|(table, _)| table.to_string())
}

fn wrong_number(table: &str, key: &[String], given: usize) -> Error {
    let error =
        Error::new(Kind::InvalidArgument, format!("{given} values do not name a data subject of {}", shown(table)));
    match key.is_empty() {
        true => error
            .detail("no scope of the relation declares a subject by columns that it has, and it has no primary key")
            .hint("ask by a table that has one, such as the one that its foreign keys refer to"),
        false => error.detail(format!("data subjects are told by ({})", key.join(", "))).hint(
            "SELECT * FROM airlock.who_saw('customers', '42'), one value for each column, in the order of the table",
        ),
    }
}

impl Question {
    /// What one scope's persons of a read say.
    pub fn certainty(&self, touched: &Touched) -> Option<Certainty> {
        let Some(domain) = &touched.domain else {
            return self.scopes.contains(&touched.scope).then_some(Certainty::Possible);
        };
        if self.vague.contains(domain) {
            return Some(Certainty::Possible);
        }
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

    /// Pairs of bounds, which are not within, between which every epoch is one whose key is not there.
    pub fn gaps(&self) -> (Vec<i64>, Vec<i64>) {
        let mut known: Vec<i64> = self.epochs.iter().map(|epoch| i64::from(*epoch)).collect();
        known.sort_unstable();
        // beyond every integer
        let (first, last) = (i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1);
        let above = std::iter::once(first).chain(known.iter().copied());
        let below = known.iter().copied().chain(std::iter::once(last));
        above.zip(below).filter(|(above, below)| below - above > 1).unzip()
    }

    /// Whether a read without a subject part may have been about such a person.
    pub fn may_concern(&self, record: &Record, vouched: &HashMap<String, i64>) -> bool {
        match record.scopes.is_empty() {
            false => record.scopes.iter().any(|s| self.scopes.contains(s)),
            // a release that did not say which scopes: all of its views must be known to be about others
            true => !record.views.iter().all(|v| vouched.get(v).is_some_and(|since| *since < record.at)),
        }
    }

    /// Views that are known to be about others, and since when (µs since 2000).
    pub fn others(&self) -> Result<HashMap<String, i64>> {
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
