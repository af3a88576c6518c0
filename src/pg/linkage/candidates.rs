//! Rules that can have made a pseudonym, by the table whose rows tell.

use super::rules::{self, Rule};
use super::table::Table;
use crate::pure::error::Result;
use crate::pure::linkage::shown_as;
use crate::pure::name::shown;
use crate::pure::plaintext::Value;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use std::collections::BTreeMap;

/// A mask under one key over one column, for as long as it was shown: rules that were replaced by the same are one.
pub struct Candidate {
    /// One of its rules.
    pub rule: Rule,
    /// Whether it is shown now.
    pub in_force: bool,
    /// From when on.
    pub since: Option<TimestampWithTimeZone>,
    /// Until when; `None`: it still is.
    pub until: Option<TimestampWithTimeZone>,
    /// What it shows for the row that is sought.
    pub sought: Value,
    /// Columns that name a row.
    pub name: Vec<String>,
}

/// The candidates of a table that is still there.
pub struct Place {
    /// The table.
    pub table: Table,
    /// Its candidates.
    pub candidates: Vec<Candidate>,
}

/// All places to look at for a pseudonym, and what cannot be looked at.
pub fn find(pseudonym: &str, subprocessor: Option<&str>) -> Result<(Vec<Place>, Vec<String>)> {
    let mut by_table: BTreeMap<u32, Vec<(Rule, Value)>> = BTreeMap::new();
    for rule in rules::load(subprocessor, true)? {
        if let Some(sought) = rule.mask.as_ref().and_then(|mask| shown_as(mask, pseudonym)) {
            by_table.entry(rule.scope.relation.to_u32()).or_default().push((rule, sought));
        }
    }
    let (mut places, mut missed) = (Vec::new(), Vec::new());
    for (oid, rules) in by_table {
        let Some(table) = Table::find(pg_sys::Oid::from_u32(oid))? else {
            missed.push(format!("the table with OID {oid}, which is not there any more"));
            continue;
        };
        if table.relation.row_security {
            missed.push(format!("{}, which has row security", table.name()));
            continue;
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for (rule, sought) in rules {
            if table.shape.column(&rule.column).is_none_or(|column| column.computed) {
                let column =
                    format!("column {} of {}, which is not there as it was", shown(&rule.column), table.name());
                if !missed.contains(&column) {
                    missed.push(column);
                }
                continue;
            }
            let name = named_by(&table, &rule);
            match candidates.iter_mut().find(|known| known.name == name && same(&known.rule, &rule)) {
                Some(known) => known.also(&rule),
                None => candidates.push(Candidate {
                    in_force: rule.until.is_none(),
                    since: rule.since,
                    until: rule.until,
                    rule,
                    sought,
                    name,
                }),
            }
        }
        if !candidates.is_empty() {
            places.push(Place { table, candidates });
        }
    }
    Ok((places, missed))
}

/// Whether two rules show the same of the same column.
fn same(a: &Rule, b: &Rule) -> bool {
    a.scope.uuid == b.scope.uuid
        && a.column == b.column
        && a.mask == b.mask
        && a.domain == b.domain
        && a.mask_key_version == b.mask_key_version
}

/// The columns that name a row: the scope's subject, else the primary key; of what is there and not encrypted.
fn named_by(table: &Table, rule: &Rule) -> Vec<String> {
    let there = |columns: &Vec<String>| {
        !columns.is_empty()
            && columns.iter().all(|name| table.shape.column(name).is_some_and(|c| c.encrypted.is_none() && !c.computed))
    };
    let names = [&rule.scope.subject, &table.shape.primary_key];
    names.into_iter().find(|columns| there(columns)).cloned().unwrap_or_default()
}

impl Candidate {
    fn also(&mut self, rule: &Rule) {
        self.in_force |= rule.until.is_none();
        self.since = self.since.min(rule.since);
        self.until = match (self.until, rule.until) {
            (Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        };
    }
}
