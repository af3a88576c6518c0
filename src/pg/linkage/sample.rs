//! A few rows of a scope as its sub-processor would see them, for whoever is about to share them: by the same masks, and through
//! no view. Keyed ones are under a key of this call: an administrator that could see the real pseudonyms of values of its
//! own choice could name the people behind those that a sub-processor has.

use super::rules::{self, Rule};
use super::shown::Shower;
use super::table::{Cell, Table, Which};
use crate::pg::encrypted::value::value_to_text;
use crate::pure::error::Result;
use crate::pure::mask::Mask;
use crate::pure::plaintext::Value;
use pgrx::pg_sys;
use serde_json::{Map, Value as Json};

/// Longest value that is written out, in characters.
const LONGEST: usize = 60;
/// In the place of what whoever asks may not read.
const SEALED: &str = "(encrypted: you may not decrypt)";

/// A column of the scope and where its parts stand in a row that is read.
struct Shown {
    rule: Rule,
    shower: Shower,
    place: Option<usize>,
    subject: Vec<usize>,
    condition: Option<usize>,
    null_as: Option<String>,
    sealed: bool,
}

/// The first rows that the scope in force of this relation shows, each as a JSON object of texts. `null_as` is that of each
/// rule, in their order.
///
/// What is encrypted is shown only to who may decrypt it, masked or not. Errors: `55000` where the row filter raises.
pub fn rows(subprocessor: &str, relation: pg_sys::Oid, null_as: &[Option<String>], most: u64) -> Result<Vec<String>> {
    let Some(table) = Table::find(relation)? else { return Ok(Vec::new()) };
    let (mut columns, mut conditions): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut place_of = |name: &String| {
        columns.iter().position(|c| c == name).unwrap_or_else(|| {
            columns.push(name.clone());
            columns.len() - 1
        })
    };
    let mut shown = Vec::new();
    let rules = rules::load(Some(subprocessor), false)?.into_iter().filter(|rule| rule.scope.relation == relation);
    for (rule, null_as) in rules.zip(null_as) {
        let reads = rule.mask.as_ref().is_none_or(Mask::reads_column);
        let per_subject = rule.mask.as_ref().is_some_and(Mask::per_subject);
        let condition = rule.condition.clone().map(|condition| {
            conditions.push(condition);
            conditions.len() - 1
        });
        shown.push(Shown {
            shower: Shower::for_sample(&rule)?,
            place: reads.then(|| place_of(&rule.column)),
            subject: if per_subject { rule.scope.subject.iter().map(&mut place_of).collect() } else { Vec::new() },
            condition,
            null_as: null_as.clone(),
            sealed: reads && !table.opens(&rule.column)?,
            rule,
        });
    }
    let Some(first) = shown.first() else { return Ok(Vec::new()) };
    if first.rule.scope.looks_elsewhere || first.rule.scope.opens {
        // into tables on which this one's owner need not have a right, or what only a recorded read may decrypt
        return Ok(Vec::new());
    }
    let filter = first.rule.scope.row_filter.clone();
    let which = Which {
        filters: vec![filter.as_deref()],
        conditions: conditions.iter().map(String::as_str).collect(),
        most: Some(most),
    };
    let mut rows = Vec::new();
    table.rows(&table.query(&columns)?, &which, |cells, passed| {
        let holds = passed.get(1..).unwrap_or_default();
        let mut row = Map::new();
        for column in shown.iter().filter(|s| s.condition.is_none_or(|i| holds.get(i) == Some(&true))) {
            row.insert(column.rule.column.clone(), column.text(cells)?.map_or(Json::Null, Json::from));
        }
        rows.push(Json::Object(row).to_string());
        Ok(true)
    })?;
    Ok(rows)
}

impl Shown {
    fn text(&self, cells: &[Cell]) -> Result<Option<String>> {
        let cell = self.place.and_then(|place| cells.get(place));
        let value = match (&self.rule.mask, cell) {
            (Some(Mask::Constant { value }), _) => Some(value.clone()),
            (_, Some(Cell::Value(_))) if self.sealed => Some(SEALED.to_owned()),
            (_, Some(Cell::Value(value))) => {
                let subject = self.subject.iter().map(|place| match cells.get(*place) {
                    Some(Cell::Value(value)) => Some(value.0.clone()),
                    _ => None,
                });
                let subject: Option<Vec<Value>> = subject.collect();
                self.shower.show(&value.0, subject.as_deref())?.map(|shown| value_to_text(&shown.0))
            }
            (_, Some(Cell::Text(text))) => Some(text.to_string()),
            (_, Some(Cell::Unreadable)) => Some("(does not open: see airlock.verify_column())".to_owned()),
            _ => None,
        };
        Ok(value.or_else(|| self.null_as.clone()).map(cut))
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
