//! Scope × table shape → view plan. Default deny, and every refusal of `AL010` that needs the table.

use std::collections::BTreeSet;

use serde_json::Value;

use super::joins::{self, is_lossy, rule_domain};
use super::{conditional, Column, Condition, Exposure, Rule, Scope, TableShape, INNER_SCHEMA};
use crate::pure::error::{Error, Result};
use crate::pure::mask::Mask;
use crate::pure::name::{check_expression, check_identifier, json_path, shown};
use crate::pure::plaintext::PlainType;

/// Everything a plan depends on.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Name of the sub-processor.
    pub subprocessor: &'a str,
    /// What the controller wants.
    pub scope: &'a Scope,
    /// What the catalog says.
    pub table: &'a TableShape,
    /// Schema of the view that the sub-processor reads.
    pub view_schema: &'a str,
    /// Its name.
    pub view_name: &'a str,
    /// Boolean expression, already analysed and deparsed by PostgreSQL.
    pub row_filter: Option<&'a str>,
    /// Columns of the table that the filter reads.
    pub filter_columns: &'a [String],
    /// Columns that tell which data subject a row is about. They need no rule.
    pub subject: &'a [String],
    /// This sub-processor's other scopes.
    pub existing: &'a [ExposedColumn],
}

/// A column in another scope of the same sub-processor.
#[derive(Clone, Debug)]
pub struct ExposedColumn {
    /// Schema of the relation.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// The column.
    pub column: String,
    /// `clear`, or [`PlanColumn::mask_json`] as text; `"allow_broken_join": true` in it is honoured.
    pub exposure: String,
    /// [`PlanColumn::domain`] as it was fixed.
    pub domain: Option<String>,
}

/// The two views of a scope, before they have numbers.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    /// Name of the sub-processor.
    pub subprocessor: String,
    /// Schema of the base table.
    pub schema: String,
    /// The base table.
    pub table: String,
    /// Schema of the outer view.
    pub view_schema: String,
    /// The outer view.
    pub view_name: String,
    /// Columns of the outer view.
    pub columns: Vec<PlanColumn>,
    /// Base columns on which the view owner needs SELECT, sorted: read, bound, filter and subject columns. Never empty:
    /// PostgreSQL wants a right on at least one column to count rows.
    pub granted: Vec<String>,
    /// The row filter.
    pub row_filter: Option<String>,
    /// Parallel workers may scan its rows: there is no subject, so nobody notes whose they are.
    pub parallel: bool,
    /// What each subject column stands for, such as `public.customers.id`, in their order.
    pub subject_domains: Vec<String>,
    /// What the controller should know, a line each, for `preview_scope`.
    pub notes: Vec<String>,
}

/// One column of the outer view.
#[derive(Clone, Debug)]
pub struct PlanColumn {
    /// Name, that of the base column.
    pub name: String,
    /// What the view shows.
    pub expression: ColumnExpr,
    /// SQL type of the view's column.
    pub result_type: String,
    /// Canonical JSON of the mask; `None` for clear.
    pub mask_json: Option<Value>,
    /// Domain of a keyed mask, fixed as text.
    pub domain: Option<String>,
    /// The expression goes through `airlock.disclose`.
    pub needs_disclose: bool,
    /// The base column is encrypted.
    pub encrypted: bool,
    /// Base columns that its values are bound to; read by the inner view, and never shown for that.
    pub bound: Vec<String>,
    /// Columns that say whom the row is about, for a mask per subject; read by the inner view, and never shown for that.
    pub subject: Vec<String>,
    /// Shown instead of NULL.
    pub null_as: Option<String>,
    /// Set where this is one of two rules of the column; the other one is beside it.
    pub condition: Option<Condition>,
    /// What is shown is cast to the type that both have.
    pub cast: bool,
}

/// The expression of a view column, before it becomes SQL.
#[derive(Clone, Debug)]
pub enum ColumnExpr {
    /// The base column as it is.
    Column,
    /// NULL; the base column is not read.
    Null,
    /// One value for every row; the base column is not read.
    Constant(String),
    /// A mask without a key over a column that is not encrypted, cast to the type the mask works on.
    Masked {
        /// The mask.
        mask: Mask,
        /// Set where the column's own type differs (varchar, citext, a domain).
        cast: Option<PlainType>,
    },
    /// `airlock.disclose(rule, column)`: decrypts, masks under a key, or both.
    Disclose {
        /// Set where a column that is not encrypted has a type other than the mask's.
        cast: Option<PlainType>,
    },
}

impl ColumnExpr {
    /// Whether the inner view must hold the base column.
    pub fn reads_column(&self) -> bool {
        !matches!(self, ColumnExpr::Null | ColumnExpr::Constant(_))
    }
}

/// Schemas that are no place for a scoped table or view.
pub const RESERVED_SCHEMAS: [&str; 5] =
    ["pg_catalog", "information_schema", "airlock", "airlock_catalog", INNER_SCHEMA];

/// Holds the scope against the table.
///
/// # Errors
/// `AL010` at a JSON path (`$.id`) or argument (`row_filter`): a scope without a rule, unknown or doubled columns, a
/// lossy mask on a primary key, foreign keys that would not join, virtual generated columns, an encrypted column in the subject, names PostgreSQL would cut, system schemas.
pub fn resolve(r: &Request<'_>) -> Result<ViewPlan> {
    check_place(r)?;
    if let Some(filter) = r.row_filter {
        check_filter(r.table, filter, r.filter_columns, "row_filter")?;
    }
    check_subject(r)?;
    if r.scope.rules.is_empty() {
        return Err(Error::scope("$", "a scope without a rule would expose nothing")
            .hint("name each column that the sub-processor may see"));
    }
    let mut seen = BTreeSet::new();
    let mut columns = Vec::with_capacity(r.scope.rules.len());
    for rule in &r.scope.rules {
        let path = json_path("$", &rule.column);
        let column = r.table.column(&rule.column).ok_or_else(|| missing(&path, &rule.column, r.table))?;
        let otherwise = rule.condition.as_ref().is_some_and(|condition| condition.otherwise);
        if !seen.insert(rule.column.as_str()) && !otherwise {
            return Err(Error::scope(&path, format!("column {} has two rules", shown(&rule.column)))
                .hint("two exposures of one column can add up to its value: keep one"));
        }
        check_uniqueness(r.table, rule, &path)?;
        check_per_subject(r, rule, &path)?;
        if let Some(condition) = &rule.condition {
            check_filter(r.table, &condition.text, &condition.columns, &json_path(&path, "when"))?;
        }
        let planned = plan_column(r, column, rule);
        if column.computed && planned.expression.reads_column() {
            return Err(computed(&path, &rule.column));
        }
        columns.push(planned);
    }
    conditional::one_type(&mut columns, |name| r.table.column(name)?.plain.map(PlainType::sql_name))?;
    joins::check(r)?;
    Ok(ViewPlan {
        subprocessor: r.subprocessor.to_string(),
        schema: r.table.schema.clone(),
        table: r.table.name.clone(),
        view_schema: r.view_schema.to_string(),
        view_name: r.view_name.to_string(),
        granted: granted(r, &columns),
        notes: notes(r, &columns),
        columns,
        row_filter: r.row_filter.map(String::from),
        parallel: r.subject.is_empty(),
        subject_domains: joins::subject_domains(r.table, r.subject),
    })
}

/// Where the views and the table are.
fn check_place(r: &Request<'_>) -> Result<()> {
    for (what, name) in [("view_schema", r.view_schema), ("view_name", r.view_name)] {
        check_identifier(name).map_err(|why| {
            Error::scope(what, format!("view name {} {why}", shown(name))).hint("use a name of 1 to 63 bytes")
        })?;
    }
    for (what, schema) in [("view_schema", r.view_schema), ("relation", r.table.schema.as_str())] {
        if RESERVED_SCHEMAS.contains(&schema) || schema.starts_with("pg_") {
            return Err(Error::scope(what, format!("schema {} is not open to scopes", shown(schema)))
                .hint("scopes are for tables of your own, and views in a schema of the sub-processor"));
        }
    }
    if r.view_schema == r.table.schema && r.view_name == r.table.name {
        return Err(Error::scope("view_name", format!("the view cannot take the table's name {}", shown(r.view_name)))
            .hint("give another view_name, or keep the sub-processor's own schema"));
    }
    Ok(())
}

/// A filter or condition: its columns exist.
fn check_filter(table: &TableShape, filter: &str, columns: &[String], path: &str) -> Result<()> {
    let what = if path == "row_filter" { "row filter" } else { "condition" };
    check_expression(filter)
        .map_err(|why| Error::scope(path, format!("the {what} {why}")).hint("write one boolean expression"))?;
    for name in columns {
        let column = table.column(name).ok_or_else(|| missing(path, name, table))?;
        if column.computed {
            return Err(computed(path, name));
        }
    }
    Ok(())
}

/// PostgreSQL puts the expression of a virtual column below both views, where it runs on rows that the filter hides: its
/// errors would quote them (seen on 18.6, with a condition on the column that the planner holds to be leakproof).
fn computed(path: &str, column: &str) -> Error {
    Error::scope(path, format!("column {} is a virtual generated column", shown(column)))
        .hint("make it GENERATED ALWAYS AS (…) STORED, or share the columns that it is computed from")
}

/// The subject columns exist and can be told apart in the log.
fn check_subject(r: &Request<'_>) -> Result<()> {
    use PlainType as P;
    for (place, name) in r.subject.iter().enumerate() {
        let column = r.table.column(name).ok_or_else(|| missing("subject", name, r.table))?;
        if r.subject[..place].contains(name) {
            return Err(Error::scope("subject", format!("column {} is named twice", shown(name)))
                .hint("name each column of the data subject's key once"));
        }
        if column.computed {
            return Err(computed("subject", name));
        }
        if column.encrypted.is_some() {
            return Err(Error::scope("subject", format!("column {} is encrypted", shown(name)))
                .hint("name the data subject by a column that is not encrypted, such as its id"));
        }
        let known = matches!(
            column.plain,
            Some(
                P::Int2
                    | P::Int4
                    | P::Int8
                    | P::Numeric
                    | P::Text
                    | P::Uuid
                    | P::Bytea
                    | P::Date
                    | P::Timestamp
                    | P::Timestamptz
            )
        );
        if !known || column.base_type().ends_with("citext") {
            return Err(Error::scope(
                "subject",
                format!("column {} is of type {}, which cannot tell data subjects apart", shown(name), column.sql_type),
            )
            .hint("name the data subject by a number, text, uuid, bytea, date or timestamp"));
        }
    }
    Ok(())
}

fn missing(path: &str, name: &str, table: &TableShape) -> Error {
    let names: Vec<String> = table.columns.iter().take(20).map(|c| shown(&c.name)).collect();
    Error::scope(path, format!("column {} does not exist in {}", shown(name), shown(&table.name)))
        .hint(format!("columns are {}", names.join(", ")))
}

/// A primary key stays a key, unless the rule says otherwise.
fn check_uniqueness(table: &TableShape, rule: &Rule, path: &str) -> Result<()> {
    if rule.allow_duplicates || !table.primary_key.contains(&rule.column) || !is_lossy(rule) {
        return Ok(());
    }
    let what = match rule.condition {
        Some(_) => "a condition".to_owned(),
        None => format!("mask \"{}\"", rule.exposure.label()),
    };
    let message = format!("{what} can give two rows the same value of primary key column {}", shown(&rule.column));
    Err(Error::scope(path, message).hint(
        "use \"clear\" or {\"mask\": \"pseudonym\"}, or add \"allow_duplicates\": true to the rule, or leave the column out",
    ))
}

/// One column of the outer view.
fn plan_column(r: &Request<'_>, column: &Column, rule: &Rule) -> PlanColumn {
    let encrypted = column.encrypted.is_some();
    let cast = column.plain.filter(|plain| !encrypted && column.base_type() != plain.sql_name());
    let needs_disclose = rule.exposure.reads_column() && (encrypted || rule.exposure.keyed());
    let expression = match &rule.exposure {
        Exposure::Masked(Mask::Nullify) => ColumnExpr::Null,
        Exposure::Masked(Mask::Constant { value }) => ColumnExpr::Constant(value.clone()),
        _ if needs_disclose => ColumnExpr::Disclose { cast },
        Exposure::Clear => ColumnExpr::Column,
        Exposure::Masked(mask) => ColumnExpr::Masked { mask: mask.clone(), cast },
    };
    let result_type = match (&rule.exposure, column.plain) {
        (Exposure::Masked(mask), Some(plain)) => mask.result_type(plain).sql_name().to_string(),
        _ => column.sql_type.clone(),
    };
    PlanColumn {
        name: column.name.clone(),
        expression,
        result_type,
        mask_json: rule.exposure.mask_json(),
        domain: rule_domain(r.table, rule),
        needs_disclose,
        encrypted,
        bound: column.encrypted.as_ref().filter(|_| needs_disclose).map_or_else(Vec::new, |e| e.bind.clone()),
        subject: if per_subject(rule) { subject(r) } else { Vec::new() },
        null_as: rule.null_as.clone(),
        condition: rule.condition.clone(),
        cast: false,
    }
}

/// The subject's columns in the order of what they stand for, the same in all tables about the same persons.
fn subject(r: &Request<'_>) -> Vec<String> {
    let mut both: Vec<(String, &String)> =
        joins::subject_domains(r.table, r.subject).into_iter().zip(r.subject).collect();
    both.sort();
    both.into_iter().map(|(_, column)| column.clone()).collect()
}

fn per_subject(rule: &Rule) -> bool {
    matches!(&rule.exposure, Exposure::Masked(mask) if mask.per_subject())
}

/// What is the same for all of a person's values needs to know whose they are.
fn check_per_subject(r: &Request<'_>, rule: &Rule, path: &str) -> Result<()> {
    if !per_subject(rule) || !r.subject.is_empty() {
        return Ok(());
    }
    let message = format!("mask \"{}\" needs the data subject, and the scope names none", rule.exposure.label());
    Err(Error::scope(path, message).hint("say whom a row is about, such as subject => '{id}'"))
}

/// The base columns that the view owner reads.
fn granted(r: &Request<'_>, columns: &[PlanColumn]) -> Vec<String> {
    let read = columns.iter().filter(|c| c.expression.reads_column()).map(|c| &c.name);
    let filter = r.filter_columns.iter().filter(|_| r.row_filter.is_some());
    let bound = columns.iter().flat_map(|c| &c.bound);
    let conditions = columns.iter().filter_map(|c| c.condition.as_ref()).flat_map(|condition| &condition.columns);
    let bound = bound.chain(conditions);
    let mut names: BTreeSet<&String> = read.chain(bound).chain(filter).chain(r.subject).collect();
    if names.is_empty() {
        // nothing but constants: PostgreSQL still wants a right on one column before it counts rows
        names.extend(r.table.primary_key.first().or_else(|| r.table.columns.first().map(|c| &c.name)));
    }
    names.into_iter().cloned().collect()
}

/// What is allowed and worth a second look.
fn notes(r: &Request<'_>, columns: &[PlanColumn]) -> Vec<String> {
    let mut notes = Vec::new();
    for (rule, plan) in r.scope.rules.iter().zip(columns) {
        let name = shown(&rule.column);
        let lossy = is_lossy(rule);
        if lossy && r.table.primary_key.contains(&rule.column) {
            notes.push(format!("{name}: the primary key may have duplicates in the view"));
        } else if lossy && r.table.unique.iter().any(|key| key.contains(&rule.column)) {
            notes.push(format!("{name}: unique in the table, may have duplicates in the view"));
        }
        let masked = matches!(rule.exposure, Exposure::Masked(_)) && plan.expression.reads_column();
        let nullable = r.table.column(&rule.column).is_some_and(|c| !c.not_null);
        if masked && nullable && rule.null_as.is_none() {
            notes.push(format!("{name}: NULL stays NULL and tells that there is no value; null_as hides it"));
        }
        if let Some(condition) = &rule.condition {
            notes.push(format!(
                "{name}: {} where {}; the condition can be read by the sub-processor",
                rule.exposure.label(),
                condition.sql()
            ));
        }
        if rule.allow_broken_join {
            notes.push(format!("{name}: a foreign key may not join in the views"));
        }
    }
    let sealed = |name: &&String| r.table.column(name).is_some_and(|column| column.encrypted.is_some());
    let mut opened: Vec<&String> = r.filter_columns.iter().filter(sealed).collect();
    opened.extend(columns.iter().filter_map(|c| c.condition.as_ref()).flat_map(|c| &c.columns).filter(sealed));
    opened.sort();
    opened.dedup();
    for name in opened {
        notes.push(format!(
            "{}: decrypted to decide what is shown, which tells the sub-processor about its values; so no row is shown here",
            shown(name)
        ));
    }
    if r.row_filter.is_some() {
        notes.push("row_filter: its text can be read by the sub-processor".to_string());
    }
    notes
}

/// How a column was or is exposed: its name, when, and [`PlanColumn::mask_json`].
pub type Exposed = (String, Option<String>, Option<Value>);

/// What `new` shows that `old` did not, a line per rule: a new column, or one whose exposure changed in any way. `old` is
/// empty for a new scope. Columns that are not read (`nullify`, `constant`) expose nothing.
pub fn newly_exposed(old: &[Exposed], new: &ViewPlan) -> Vec<String> {
    let text = |mask: &Option<Value>| mask.as_ref().map_or("clear".to_string(), Value::to_string);
    let when = |condition: &Option<String>| condition.as_ref().map_or(String::new(), |sql| format!(" where {sql}"));
    let mut lines = Vec::new();
    for column in new.columns.iter().filter(|c| c.expression.reads_column()) {
        let condition = column.condition.as_ref().map(Condition::sql);
        let before: Vec<&Exposed> = old.iter().filter(|(name, _, _)| *name == column.name).collect();
        if before.iter().any(|(_, when, mask)| (when, mask) == (&condition, &column.mask_json)) {
            continue;
        }
        let mut line = format!("{}: {}{}", shown(&column.name), text(&column.mask_json), when(&condition));
        if column.encrypted && column.mask_json.is_none() {
            line.push_str(", decrypted");
        }
        if !before.is_empty() {
            let was: Vec<String> = before.iter().map(|(_, at, mask)| text(mask) + &when(at)).collect();
            line.push_str(&format!(", was {}", was.join(" or ")));
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests;
