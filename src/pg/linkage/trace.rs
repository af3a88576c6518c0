//! `trace()`: a pseudonym turned up where it should not be. Whose key made it, and of which row?

use super::administers;
use super::candidates::{self, Candidate, Place};
use super::shown::Shower;
use super::table::{Cell, Which};
use crate::pg::admin::{act, caller, existing_subprocessor, said};
use crate::pg::encrypted::value::value_to_text;
use crate::pg::error::notice;
use crate::pg::readlog::audit;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{self, d, roles};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, qualified, shown};
use crate::pure::plaintext::Value;
use crate::sql_function;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::JsonB;
use serde_json::{Map, Value as Json};

/// Rows that are named of one mask.
const NAMED: usize = 1000;

sql_function!(
    /// `airlock.trace(pseudonym text, subprocessor text DEFAULT NULL) → SETOF (subprocessor, relation, column_name, mask, in_force,
    /// shown_from, shown_until, subject)`: which sub-processor's keyed mask (`pseudonym`, `pseudonym_int`, `pseudonym_uuid`,
    /// `fpe`) made a value that leaked, now or by a rule that ended, and from which row, named by the scope's subject or
    /// the primary key. Reads every row of the tables in question, whatever their row filters say today. That it
    /// was asked, and what was found, is on record before anything is shown.
    ///
    /// Errors: `42501` for whoever is no `airlock_admin`, or may not SELECT the columns that name a row; `42704` no such
    /// sub-processor; `22023` an empty pseudonym; `AL001` locked; `AL002` a mask key's version is gone; `AL005` the call cannot be recorded.
    airlock_trace,
    |args| {
        let pseudonym = said(args.need(0, "pseudonym")?, "pseudonym")?;
        let subprocessor: Option<String> = args.get(1);
        let hits = act(|| trace(&pseudonym, subprocessor.as_deref()))?;
        sys::return_set(args, hits.into_iter().map(row).collect())
    }
);

/// A row that shows as the pseudonym.
struct Hit {
    subprocessor: String,
    relation: String,
    column: String,
    mask: &'static str,
    in_force: bool,
    since: Option<TimestampWithTimeZone>,
    until: Option<TimestampWithTimeZone>,
    subject: Option<Json>,
}

fn row(hit: Hit) -> sys::Row {
    vec![
        d(hit.subprocessor),
        d(hit.relation),
        d(hit.column),
        d(hit.mask),
        d(hit.in_force),
        d(hit.since),
        d(hit.until),
        d(hit.subject.map(JsonB)),
    ]
}

fn trace(pseudonym: &str, subprocessor: Option<&str>) -> Result<Vec<Hit>> {
    administers("trace")?;
    if let Some(name) = subprocessor {
        existing_subprocessor(name)?;
    }
    let of = subprocessor.map_or(String::new(), |name| format!(" of {name}"));
    audit::note(&format!("trace{of}: asked"), &[pseudonym])?;
    let (places, missed) = candidates::find(pseudonym, subprocessor)?;
    may_name(&places)?;
    let mut hits = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let doing = format!("looking through {} ({} of {})", place.table.name(), at + 1, places.len());
        notice(Error::new(Kind::State, doing));
        search(place, &mut hits)?;
    }
    if !missed.is_empty() {
        let left =
            Error::new(Kind::State, "the answer is not complete: some of what was shown cannot be looked through");
        notice(left.detail(missed.join("; ")));
    }
    // before the answer leaves
    audit::note(&format!("trace{of}: {} rows found", hits.len()), &[pseudonym])?;
    Ok(hits)
}

/// 42501 unless the caller may read what names the rows, of every table that is looked through: whether a row is found there
/// tells of it, too.
fn may_name(places: &[Place]) -> Result<()> {
    let who = caller();
    for place in places {
        let relation = &place.table.relation;
        let mut missing: Vec<&String> = Vec::new();
        // the column itself too: who may not read it would learn of it by tracing pseudonyms of values of its own choice
        let columns = place.candidates.iter().flat_map(|one| one.name.iter().chain([&one.rule.column]));
        for column in columns {
            let may = sql::first(
                "SELECT pg_catalog.has_column_privilege($1::pg_catalog.oid, $2::pg_catalog.oid, $3, 'SELECT')",
                &[arg(who), arg(relation.oid), arg(column.as_str())],
                |row| row.get::<bool>(1),
            )?;
            if may.flatten() != Some(true) && !missing.contains(&column) {
                missing.push(column);
            }
        }
        if !missing.is_empty() {
            let columns = missing.iter().map(|name| ident(name)).collect::<Vec<_>>().join(", ");
            let (table, role) = (qualified(&relation.schema, &relation.name), roles::name(who).unwrap_or_default());
            return Err(Error::new(
                Kind::Privilege,
                format!("role {} may not name rows of {}", shown(&role), shown(&place.table.name())),
            )
            .detail("trace() says whose row a pseudonym is of, so whoever asks must be allowed to read that.")
            .hint(format!(
                "GRANT SELECT ({columns}) ON {table} TO {}, or name a sub-processor that has no scope of it",
                ident(&role)
            )));
        }
    }
    Ok(())
}

/// Looks through one table for all its candidates at once.
fn search(place: &Place, hits: &mut Vec<Hit>) -> Result<()> {
    let mut columns: Vec<String> = Vec::new();
    let mut number = |name: &String| {
        columns.iter().position(|known| known == name).unwrap_or_else(|| {
            columns.push(name.clone());
            columns.len() - 1
        })
    };
    let mut wanted = Vec::with_capacity(place.candidates.len());
    for candidate in &place.candidates {
        let names: Vec<usize> = candidate.name.iter().map(&mut number).collect();
        let shower = match Shower::new(&candidate.rule) {
            Err(gone) if gone.kind == Kind::KeyVersion => {
                let of = format!(
                    "version {} of the mask key of {}",
                    candidate.rule.mask_key_version,
                    shown(&candidate.rule.scope.subprocessor)
                );
                notice(Error::new(Kind::State, format!("{of} is destroyed: its pseudonyms cannot be traced")));
                continue;
            }
            made => made?,
        };
        wanted.push((candidate, shower, number(&candidate.rule.column), names, 0_usize));
    }
    let query = place.table.query(&columns)?;
    let (relation, mut unreadable) = (place.table.name(), vec![0_u64; columns.len()]);
    place.table.rows(&query, &Which::default(), |cells, _| {
        cells.iter().zip(&mut unreadable).for_each(|(cell, n)| *n += u64::from(matches!(cell, Cell::Unreadable)));
        for (candidate, shower, at, names, found) in &mut wanted {
            let Some(Cell::Value(value)) = cells.get(*at) else { continue };
            // no mask per subject is traced
            if shower.show(&value.0, None)?.is_none_or(|shown| shown.0 != candidate.sought) {
                continue;
            }
            *found += 1;
            if *found <= NAMED {
                hits.push(hit(candidate, &relation, name_of(candidate, names, cells)));
            }
        }
        Ok(true)
    })?;
    for (candidate, _, _, _, found) in wanted.iter().filter(|(.., found)| *found > NAMED) {
        let what = format!("column {} of {relation} shows it in {found} rows", shown(&candidate.rule.column));
        notice(Error::new(Kind::State, what).detail(format!("{NAMED} of them are named.")));
    }
    for (column, n) in columns.iter().zip(unreadable).filter(|(_, n)| *n > 0) {
        let what =
            format!("{n} values of column {} of {relation} do not open, and may be what is sought", shown(column));
        notice(Error::new(Kind::State, what).hint("see airlock.verify_column()"));
    }
    Ok(())
}

fn hit(candidate: &Candidate, relation: &str, subject: Option<Json>) -> Hit {
    Hit {
        subprocessor: candidate.rule.scope.subprocessor.clone(),
        relation: relation.to_string(),
        column: candidate.rule.column.clone(),
        mask: candidate.rule.mask.as_ref().map_or("", |mask| mask.name()),
        in_force: candidate.in_force,
        since: candidate.since,
        until: candidate.until,
        subject,
    }
}

/// The row's name; `None` in a table without key.
fn name_of(candidate: &Candidate, places: &[usize], cells: &[Cell]) -> Option<Json> {
    if candidate.name.is_empty() {
        return None;
    }
    let mut name = Map::new();
    for (column, place) in candidate.name.iter().zip(places) {
        let value = match cells.get(*place) {
            Some(Cell::Value(value)) => json(&value.0),
            Some(Cell::Text(text)) => Json::from(text.as_str()),
            _ => Json::Null,
        };
        name.insert(column.clone(), value);
    }
    Some(Json::Object(name))
}

fn json(value: &Value) -> Json {
    match value {
        Value::Bool(v) => Json::from(*v),
        Value::Int2(v) => Json::from(*v),
        Value::Int4(v) => Json::from(*v),
        Value::Int8(v) => Json::from(*v),
        other => Json::from(value_to_text(other)),
    }
}
