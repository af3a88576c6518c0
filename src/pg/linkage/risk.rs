//! `link_risk()`: whether two sub-processors can join their copies, tried on the rows themselves.

use super::administers;
use super::pairs::{self, Finding};
use super::rules::{self, Rule, Scope};
use super::shown::Shower;
use super::table::{Cell, Query, Table, Which};
use crate::pg::admin::{act, existing_subprocessor};
use crate::pg::encrypted::value::{value_to_text, Plain};
use crate::pg::keys::entropy;
use crate::pg::readlog::audit;
use crate::pg::sys::{self, d};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{Secret, SubjectKey};
use crate::pure::linkage::{Alphabet, NULL};
use crate::pure::plaintext::Value;
use crate::pure::scope::joins::{is_root, subject_domains};
use crate::sql_function;
use pgrx::pg_sys;
use std::collections::BTreeMap;
use std::rc::Rc;
use zeroize::Zeroizing;

/// Most rows that may be asked for.
const MOST: i32 = 10_000_000;
/// Bytes that a cell takes while columns are compared.
const PER_CELL: usize = 32;

sql_function!(
    /// `airlock.link_risk(a text, b text, sample_rows integer DEFAULT 100000) → SETOF (kind, relation_a, column_a, mask_a, relation_b,
    /// column_b, mask_b, values_a, values_b, shared, message)`: reads at most so many rows of each table that one of the two
    /// has a scope of, works out what each is shown, and reports which columns join: `link`, `weak`, `combination` (columns
    /// that single out rows together), `none` for the same column that does not, `note` for what was not compared.
    /// Counts only, never a value. The call is itself recorded.
    ///
    /// Errors: `22023` the same sub-processor twice, or a number of rows out of range; `42704` an unknown name; `42501` for
    /// whoever is no `airlock_admin`; `AL001` locked; `AL005` the call cannot be recorded; `55000` a row filter raises.
    airlock_link_risk,
    |args| {
        let (a, b): (String, String) = (args.need(0, "a")?, args.need(1, "b")?);
        let most: i32 = args.need(2, "sample_rows")?;
        let found = act(|| link_risk(&a, &b, most))?;
        sys::return_set(args, found.into_iter().map(row).collect())
    }
);

fn row(f: Finding) -> sys::Row {
    let count = |n: Option<u64>| d(n.map(|n| i64::try_from(n).unwrap_or(i64::MAX)));
    let [(relation_a, column_a, mask_a), (relation_b, column_b, mask_b)] = f.sides;
    vec![
        d(f.kind),
        d(relation_a),
        d(column_a),
        d(mask_a),
        d(relation_b),
        d(column_b),
        d(mask_b),
        count(f.values_a),
        count(f.values_b),
        count(f.shared),
        d(f.message),
    ]
}

/// A column as one of the two is shown it.
pub struct Shown {
    /// 0 for the first sub-processor, 1 for the second.
    pub side: usize,
    /// Its rule.
    pub rule: Rc<Rule>,
    /// What it stands for: the root of its foreign keys.
    pub meaning: String,
    /// Its value names a row, here or where it refers to.
    pub names: bool,
    /// What its texts are made of.
    pub alphabet: Alphabet,
    shower: Shower,
    /// Its place among the columns of the query.
    place: usize,
    /// Those of the subject's columns, for a mask per subject.
    subject: Vec<usize>,
    /// Its condition's, among those that are asked.
    condition: Option<usize>,
    /// Whether the caller may read the column.
    pub readable: bool,
}

/// What one could make of its column to have the other's: the other's mask on top of its own.
pub struct Derived {
    /// Whose values.
    pub of: usize,
    /// Whose mask.
    pub like: usize,
}

/// The hashes of what both are shown of one table.
pub struct Sheet {
    /// The table.
    pub relation: String,
    /// The columns: the first cells of a row.
    pub shown: Vec<Shown>,
    /// The cells after them.
    pub derived: Vec<Derived>,
    /// All cells, row by row.
    pub cells: Vec<u64>,
    /// Of each row whether the first and the second see it.
    pub passes: Vec<[bool; 2]>,
    /// Keys the hashes; of this call only.
    pub key: Rc<SubjectKey>,
}

impl Sheet {
    /// Cells of a row.
    pub fn width(&self) -> usize {
        self.shown.len() + self.derived.len()
    }

    /// The rows' cells.
    pub fn rows(&self) -> impl Iterator<Item = (&[u64], [bool; 2])> {
        self.cells.chunks_exact(self.width().max(1)).zip(self.passes.iter().copied())
    }
}

fn link_risk(a: &str, b: &str, most: i32) -> Result<Vec<Finding>> {
    administers("link_risk")?;
    if a == b {
        return Err(Error::new(Kind::InvalidArgument, "a sub-processor can always join what it has itself")
            .hint("name two of them: TABLE airlock.subprocessors"));
    }
    if !(1..=MOST).contains(&most) {
        return Err(Error::new(Kind::InvalidArgument, format!("sample_rows must be between 1 and {MOST}")));
    }
    existing_subprocessor(a)?;
    existing_subprocessor(b)?;
    audit::note(&format!("link_risk: {a}, {b}"), &[])?;
    let mut by_table: BTreeMap<u32, [Vec<Rc<Rule>>; 2]> = BTreeMap::new();
    let mut width = 0;
    for (side, name) in [a, b].into_iter().enumerate() {
        for rule in rules::load(Some(name), false)? {
            width += 1;
            by_table.entry(rule.scope.relation.to_u32()).or_default()[side].push(Rc::new(rule));
        }
    }
    let fits = sys::maintenance_memory() / PER_CELL / width.max(1);
    let most = u64::from(most.unsigned_abs()).min(fits.max(1000) as u64);
    let key = Rc::new(SubjectKey::derive(&Secret::new(entropy::random::<32>()?), "link_risk"));
    let (mut sheets, mut findings) = (Vec::new(), Vec::new());
    for (oid, sides) in by_table {
        match Table::find(pg_sys::Oid::from_u32(oid))? {
            None => findings.push(Finding::note(&oid.to_string(), None, "the table is not there any more")),
            Some(table) => sheets.extend(read(&table, sides, most, &key, &mut findings)?),
        }
    }
    findings.extend(pairs::compare(&sheets)?);
    // what matters most comes first
    findings
        .sort_by_key(|finding| ["link", "combination", "weak", "none", "note"].iter().position(|k| *k == finding.kind));
    Ok(findings)
}

/// The sheet of one table; what cannot be read of it becomes a note.
fn read(
    table: &Table,
    sides: [Vec<Rc<Rule>>; 2],
    most: u64,
    key: &Rc<SubjectKey>,
    notes: &mut Vec<Finding>,
) -> Result<Option<Sheet>> {
    let scopes: [Option<Rc<Scope>>; 2] = [0, 1].map(|side: usize| sides[side].first().map(|rule| rule.scope.clone()));
    let name = table.name();
    let (mut columns, mut conditions): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut shown: Vec<Shown> = Vec::new();
    for (side, rules) in sides.into_iter().enumerate() {
        for rule in rules {
            if !rule.mask.as_ref().is_none_or(|mask| mask.reads_column()) {
                continue;
            }
            if table.shape.column(&rule.column).is_none_or(|column| column.computed) {
                let why = "the column is not there as it was, and the view is refused: see airlock.doctor()";
                notes.push(Finding::note(&name, Some(&rule.column), why));
                continue;
            }
            let mut place_of = |name: &String| {
                columns.iter().position(|c| c == name).unwrap_or_else(|| {
                    columns.push(name.clone());
                    columns.len() - 1
                })
            };
            let place = place_of(&rule.column);
            let per_subject = rule.mask.as_ref().is_some_and(|mask| mask.per_subject());
            let subject = if per_subject { rule.scope.subject.iter().map(place_of).collect() } else { Vec::new() };
            // of a condition that cannot be asked both rules are taken to show the value
            let condition = rule.condition.clone().filter(|_| !rule.scope.opens).map(|condition| {
                conditions.push(condition);
                conditions.len() - 1
            });
            let single = |key: &Vec<String>| key[..] == [rule.column.clone()];
            let names = single(&table.shape.primary_key)
                || table.shape.unique.iter().any(single)
                || !is_root(&table.shape, &rule.column);
            let readable = table.readable(&rule.column)?;
            let meaning = subject_domains(&table.shape, std::slice::from_ref(&rule.column)).concat();
            let (shower, alphabet) = (Shower::new(&rule)?, Alphabet::default());
            shown.push(Shown { side, rule, meaning, names, alphabet, shower, place, subject, condition, readable });
        }
    }
    if columns.is_empty() {
        return Ok(None);
    }
    let derived = derive(&shown);
    let mut sheet =
        Sheet { relation: name.clone(), shown, derived, cells: Vec::new(), passes: Vec::new(), key: key.clone() };
    let query: Query = table.query(&columns)?;
    let present: Vec<usize> = (0..2).filter(|side| scopes[*side].is_some()).collect();
    let which = Which {
        // a filter that looks into other tables, on which this one's owner need not have a right, or opens encrypted columns, is
        // left out: too many rows are compared, never too few
        filters: present.iter().map(|side| scopes[*side].as_ref().and_then(|s| own_filter(s))).collect(),
        conditions: conditions.iter().map(String::as_str).collect(),
        // one more than is compared, to know whether there are more
        most: Some(most + 1),
    };
    let (mut unreadable, mut seen) = (vec![0_u64; columns.len()], 0_u64);
    table.rows(&query, &which, |cells, passed| {
        seen += 1;
        if seen > most {
            return Ok(false);
        }
        cells.iter().zip(&mut unreadable).for_each(|(cell, n)| *n += u64::from(matches!(cell, Cell::Unreadable)));
        let mut passes = [false; 2];
        present.iter().zip(passed).for_each(|(side, pass)| passes[*side] = *pass);
        sheet.push(cells, passes, passed.get(present.len()..).unwrap_or_default())?;
        Ok(true)
    })?;
    if scopes.iter().flatten().any(|scope| scope.looks_elsewhere || scope.opens) {
        let why = "a row filter that looks into other tables or encrypted columns was left out: rows that it hides were compared as well";
        notes.push(Finding::note(&name, None, why));
    }
    if seen > most {
        let why = format!("the first {most} rows were compared, and there are more; sample_rows and maintenance_work_mem say how many");
        notes.push(Finding::note(&name, None, &why));
    }
    for (column, n) in columns.iter().zip(unreadable).filter(|(_, n)| *n > 0) {
        let why = format!("{n} encrypted values do not open and were left out: see airlock.verify_column()");
        notes.push(Finding::note(&name, Some(column), &why));
    }
    Ok(Some(sheet))
}

fn own_filter(scope: &Scope) -> Option<&str> {
    scope.row_filter.as_deref().filter(|_| !scope.looks_elsewhere && !scope.opens)
}

/// Pairs of one column that are masked differently and without keys: whoever has the finer one can mask it once more.
fn derive(shown: &[Shown]) -> Vec<Derived> {
    let mut derived = Vec::new();
    for (i, x) in shown.iter().enumerate() {
        for (j, y) in shown.iter().enumerate() {
            let same = x.side != y.side && x.rule.column == y.rule.column;
            let open = !x.rule.keyed() && !y.rule.keyed() && y.rule.mask.is_some() && x.rule.mask != y.rule.mask;
            if same && open {
                derived.push(Derived { of: i, like: j });
            }
        }
    }
    derived
}

impl Sheet {
    fn push(&mut self, cells: &[Cell], passes: [bool; 2], holds: &[bool]) -> Result<()> {
        let mut values: Vec<Option<Plain>> = Vec::with_capacity(self.shown.len());
        for shown in &mut self.shown {
            // where its condition is not true the column shows what its other rule makes of it
            let cell = cells.get(shown.place).filter(|_| shown.condition.is_none_or(|i| holds.get(i) == Some(&true)));
            let subject = subject_of(cells, &shown.subject);
            let (hash, value) = match cell {
                Some(Cell::Value(value)) => match shown.shower.show(&value.0, subject.as_deref())? {
                    None => (NULL, None),
                    Some(value) => {
                        let text = canonical(&value.0);
                        if passes[shown.side] {
                            shown.alphabet.push(&text);
                        }
                        (hash(&self.key, &text), Some(value))
                    }
                },
                Some(Cell::Text(text)) => {
                    if passes[shown.side] {
                        shown.alphabet.push(text);
                    }
                    (hash(&self.key, text), None)
                }
                _ => (NULL, None),
            };
            self.cells.push(hash);
            values.push(value);
        }
        for derived in &self.derived {
            let value = match values.get(derived.of).and_then(Option::as_ref) {
                None => None,
                Some(value) => self.shown[derived.like].shower.show(&value.0, None)?,
            };
            self.cells.push(value.map_or(NULL, |value| hash(&self.key, &canonical(&value.0))));
        }
        self.passes.push(passes);
        Ok(())
    }
}

/// Whom a row is about; `None` where one of the columns is NULL.
fn subject_of(cells: &[Cell], places: &[usize]) -> Option<Vec<Value>> {
    let value = |place: &usize| match cells.get(*place) {
        Some(Cell::Value(value)) => Some(value.0.clone()),
        _ => None,
    };
    places.iter().map(value).collect()
}

fn hash(key: &SubjectKey, text: &str) -> u64 {
    match key.hash(text.as_bytes()) {
        NULL => 1,
        hash => hash,
    }
}

/// A value as whoever joins would have it: text without regard to case and outer blanks, a number without trailing zeros, so
/// that columns of several types meet.
fn canonical(value: &Value) -> Zeroizing<String> {
    let text = Zeroizing::new(value_to_text(value));
    match value {
        Value::Text(_) => Zeroizing::new(text.trim().to_lowercase()),
        Value::Numeric(_) if text.contains('.') => {
            Zeroizing::new(text.trim_end_matches('0').trim_end_matches('.').to_string())
        }
        _ => text,
    }
}

impl Finding {
    /// What was not compared.
    pub fn note(relation: &str, column: Option<&str>, message: &str) -> Finding {
        let side = || (Some(relation.to_string()), column.map(String::from), None);
        Finding {
            kind: "note",
            sides: [side(), (None, None, None)],
            values_a: None,
            values_b: None,
            shared: None,
            message: message.to_string(),
        }
    }
}
