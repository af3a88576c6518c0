//! Rules that a column's class has a part in: `"default"` becomes the class's mask, and a class can forbid `"clear"`.
//!
//! A label never makes a column visible by itself, and a default is always a mask: `"clear"` is said in the scope, by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::parse::parse;
use super::{Column, Exposure, Rule, Scope, TableShape};
use crate::pure::class::Classes;
use crate::pure::error::{Error, Result};
use crate::pure::name::{ident, json_path, literal, qualified, shown};
use crate::pure::plaintext::PlainType;

/// What the definition says for the default of the column's class.
const DEFAULT: &str = "default";
/// Members of a conditional rule that are rules themselves.
const BRANCHES: [&str; 2] = ["then", "else"];

/// The labels that bear on one column.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Its class: its own label, else that of the nearest parent, as of a partition's table.
    pub class: Option<String>,
    /// All labels of the column in the relation, its parents and its children, which show the same rows.
    pub all: BTreeSet<String>,
}

/// What a scope's maker has to know of the classes.
#[derive(Clone, Debug, Default)]
pub struct Classified {
    /// By column.
    pub columns: BTreeMap<String, Labels>,
    /// The classes in force.
    pub classes: Classes,
    /// The database's objects are of a release that had no classes.
    pub absent: bool,
}

/// A default as a rule took it.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The column's class.
    pub class: String,
    /// The rule that stands for `"default"`.
    pub mask: Value,
}

impl Classified {
    /// The column's class.
    pub fn class(&self, column: &str) -> Option<&str> {
        self.columns.get(column).and_then(|labels| labels.class.as_deref())
    }

    /// The class that forbids to show the column clear, and the label that it covers.
    fn forbids(&self, column: &str) -> Option<(&str, &str)> {
        let labels = self.columns.get(column)?;
        labels.all.iter().find_map(|label| self.classes.forbids(label).map(|class| (class, label.as_str())))
    }
}

/// The definition with each `"default"` replaced by what it stands for, and what was taken, by column.
///
/// # Errors
/// `AL010` with the JSON path: the column has no class, its class no default mask for this sub-processor, or one that the
/// column's type does not take.
pub fn expand(
    rules: &Value,
    known: &Classified,
    table: &TableShape,
    subprocessor: &str,
) -> Result<(Value, BTreeMap<String, Taken>)> {
    let mut taken = BTreeMap::new();
    let Value::Object(members) = rules else { return Ok((rules.clone(), taken)) };
    let mut expanded = Map::new();
    for (name, definition) in members {
        let there = table.column(name).is_some_and(|_| takes_default(definition));
        if !there {
            expanded.insert(name.clone(), definition.clone());
            continue;
        }
        let default = default(name, known, table, subprocessor)?;
        expanded.insert(name.clone(), fill(definition, &default.mask));
        taken.insert(name.clone(), default);
    }
    Ok((Value::Object(expanded), taken))
}

fn default(column: &str, known: &Classified, table: &TableShape, subprocessor: &str) -> Result<Taken> {
    let path = json_path("$", column);
    if known.absent {
        return Err(Error::scope(&path, "the objects of the extension know no classes yet, so there is no default")
            .hint("ALTER EXTENSION pg_airlock UPDATE"));
    }
    let Some(class) = known.class(column) else {
        let message = format!("column {} has no class, so there is no default for it", shown(column));
        return Err(Error::scope(&path, message).hint(format!(
            "write a mask, or label the column: SECURITY LABEL FOR airlock ON COLUMN {}.{} IS 'pii.contact'",
            qualified(&table.schema, &table.name),
            ident(column)
        )));
    };
    let Some(mask) = known.classes.default_of(class) else {
        let message = format!(
            "class {} of column {} has no default mask for sub-processor {}",
            shown(class),
            shown(column),
            shown(subprocessor)
        );
        return Err(Error::scope(&path, message).hint(format!(
            "write a mask, or give the class one: SELECT airlock.set_class({}, '{{\"mask\": \"redact\"}}')",
            literal(class)
        )));
    };
    if let Err(why) = fits(column, mask, table) {
        let message = format!(
            "the default mask of class {} does not do for column {}: {}",
            shown(class),
            shown(column),
            why.message
        );
        return Err(Error { hint: why.hint, ..Error::scope(&path, message) });
    }
    Ok(Taken { class: class.to_string(), mask: mask.clone() })
}

/// Whether a rule can be made of that mask for the column, all by itself.
fn fits(column: &str, mask: &Value, table: &TableShape) -> Result<()> {
    parse(&Value::Object(Map::from_iter([(column.to_string(), mask.clone())])), table).map(drop)
}

/// Whether a column's definition is `"default"`, or has it in a branch.
pub fn takes_default(definition: &Value) -> bool {
    anywhere(definition, DEFAULT)
}

/// Whether a column's definition is `"clear"`, or has it in a branch.
pub fn shows_clear(definition: &Value) -> bool {
    anywhere(definition, "clear")
}

fn anywhere(definition: &Value, word: &str) -> bool {
    match definition {
        Value::String(said) => said == word,
        // a mask's arguments are words of their own
        Value::Object(members) if !members.contains_key("mask") => {
            BRANCHES.iter().filter_map(|branch| members.get(*branch)).any(|branch| anywhere(branch, word))
        }
        _ => false,
    }
}

/// A column's definition with `mask` wherever it says `"default"`.
pub fn fill(definition: &Value, mask: &Value) -> Value {
    match definition {
        Value::String(said) if said == DEFAULT => mask.clone(),
        Value::Object(members) if takes_default(definition) => {
            let member = |(name, value): (&String, &Value)| match BRANCHES.contains(&name.as_str()) {
                true => (name.clone(), fill(value, mask)),
                false => (name.clone(), value.clone()),
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// Refuses clear where a class forbids it.
///
/// # Errors
/// `AL010` at the column's path, naming the class.
pub fn check_clear(scope: &Scope, known: &Classified) -> Result<()> {
    for rule in scope.rules.iter().filter(|rule| may_be_clear(rule)) {
        let Some((class, label)) = known.forbids(&rule.column) else { continue };
        let name = shown(&rule.column);
        let message = match class == label {
            true => format!("class {} forbids to show column {name} clear", shown(class)),
            false => {
                format!("class {} forbids to show column {name} clear, whose class is {}", shown(class), shown(label))
            }
        };
        return Err(Error::scope(&json_path("$", &rule.column), message)
            .hint("write \"default\" or a mask; TABLE airlock.classes says who forbids it since when"));
    }
    Ok(())
}

/// Whether the rule shows a value as it is. Every way to expose a column has an answer here.
fn may_be_clear(rule: &Rule) -> bool {
    match &rule.exposure {
        Exposure::Clear => true,
        Exposure::Masked(_) => false,
    }
}

/// The types that a default is tried on: text first, whose refusals say most about arguments.
const TRIED: [PlainType; 14] = [
    PlainType::Text,
    PlainType::Date,
    PlainType::Int8,
    PlainType::Int4,
    PlainType::Int2,
    PlainType::Numeric,
    PlainType::Float8,
    PlainType::Float4,
    PlainType::Timestamp,
    PlainType::Timestamptz,
    PlainType::Uuid,
    PlainType::Jsonb,
    PlainType::Bytea,
    PlainType::Bool,
];

/// Checks a default mask as far as it can be without its column: there is a type of column that takes it as it is.
///
/// # Errors
/// `AL010` with the path from the mask on: `"clear"` or another word, an unknown mask or argument, a value that no type takes.
pub fn check_default(mask: &Value) -> Result<()> {
    // a condition is about columns, which a class does not know, and could hold "clear"
    if mask.get("mask").is_none() {
        return Err(Error::scope("$", "the default of a class must be a mask")
            .hint("write {\"mask\": \"redact\"}; \"clear\" is said in a scope, column by column"));
    }
    let mut refused: Option<Error> = None;
    for plain in TRIED {
        let column = Column {
            name: "column".into(),
            sql_type: plain.sql_name().into(),
            plain: Some(plain),
            encrypted: None,
            not_null: false,
            computed: false,
        };
        let table = TableShape { columns: vec![column], ..TableShape::default() };
        let Err(why) = fits("column", mask, &table) else { return Ok(()) };
        // that a type is not the mask's says nothing about the mask; the first other refusal does
        let of_type = |error: &Error| error.message.contains(" does not take ");
        if refused.as_ref().is_none_or(|before| of_type(before) && !of_type(&why)) {
            refused = Some(why);
        }
    }
    let mut why = refused.unwrap_or_else(|| Error::scope("$", "no type of column takes this mask"));
    why.detail = why.detail.map(|at| at.replacen("$.column", "$", 1));
    Err(why)
}

/// A scope to begin with: `"default"` for each column whose class has a mask that does for it; and a line for each column that
/// was left out although its class has one.
pub fn propose(known: &Classified, table: &TableShape) -> (Value, Vec<String>) {
    let (mut rules, mut left_out) = (Map::new(), Vec::new());
    for column in &table.columns {
        let Some(mask) = known.class(&column.name).and_then(|class| known.classes.default_of(class)) else { continue };
        match fits(&column.name, mask, table) {
            Ok(()) => {
                rules.insert(column.name.clone(), DEFAULT.into());
            }
            Err(why) => left_out.push(format!("{}: {}", shown(&column.name), why.message)),
        }
    }
    (Value::Object(rules), left_out)
}

#[cfg(test)]
mod tests;
