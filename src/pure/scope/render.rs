//! View plan → SQL, deterministic. Generated statements are built here and nowhere else.
//!
//! Every identifier is quoted and qualified, every argument is written out with its type, so the text means the same
//! under any search path and any setting.

use super::resolve::{ColumnExpr, PlanColumn, ViewPlan};
use super::{INNER_SCHEMA, VIEW_OWNER};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::Mask;
use crate::pure::name::{ident, literal, qualified, type_name};
use crate::pure::plaintext::PlainType;

/// Numbers that the catalog gave to the scope and its rules.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// The scope, argument of `airlock.gate`.
    pub scope_id: i32,
    /// A rule per column of the plan, in its order; argument of `airlock.disclose`.
    pub rule_ids: &'a [i32],
}

/// The statements of a scope, each without a semicolon, to be run in this order: `inner_sql`, `outer_sql`, `grants`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Schema of the inner view.
    pub inner_schema: &'static str,
    /// Its name, `s` and the scope's number.
    pub inner_name: String,
    /// `CREATE VIEW` of the inner view: gate and row filter.
    pub inner_sql: String,
    /// `CREATE VIEW` of the outer view: the column expressions.
    pub outer_sql: String,
    /// Column rights of the view owner, ownership, and the sub-processor's right.
    pub grants: Vec<String>,
    /// Drops both views. Column rights stay, as another scope may need them: see [`revoke_columns`].
    pub drops: Vec<String>,
}

impl Rendered {
    /// With a fence (see [`super::fence`]) between the rows of the inner view and whatever reads them.
    pub fn fenced(mut self) -> Self {
        self.inner_sql.push_str("\nOFFSET 0");
        self
    }
}

/// Writes the plan as SQL, for a sub-processor bound to `role`.
///
/// # Errors
/// `XX001` when `ids` has not one rule per column, or a plan has a keyed mask outside `disclose`.
pub fn render(plan: &ViewPlan, ids: &Ids<'_>, role: &str) -> Result<Rendered> {
    if plan.columns.len() != ids.rule_ids.len() {
        return Err(Error::new(Kind::Corrupt, "a scope must have one rule number per column"));
    }
    let inner_name = format!("s{}", ids.scope_id);
    let inner = qualified(INNER_SCHEMA, &inner_name);
    let outer = qualified(&plan.view_schema, &plan.view_name);

    let mut read: Vec<&String> = plan.columns.iter().filter(|c| c.expression.reads_column()).map(|c| &c.name).collect();
    // two rules may read one column
    read.dedup();
    let conditions =
        |c: &PlanColumn| c.condition.iter().flat_map(|condition| condition.columns.clone()).collect::<Vec<_>>();
    let decided: Vec<String> = plan.columns.iter().flat_map(conditions).collect();
    for name in plan.columns.iter().flat_map(|c| c.bound.iter().chain(&c.subject)).chain(&decided) {
        if !read.contains(&name) {
            read.push(name);
        }
    }
    let read = read.into_iter().map(|name| ident(name)).collect::<Vec<_>>().join(", ");
    let select = if read.is_empty() { "SELECT".to_string() } else { format!("SELECT {read}") };
    let base = qualified(&plan.schema, &plan.table);
    let filter = plan.row_filter.as_ref().map_or(String::new(), |filter| format!(" AND ({filter})"));
    let gate = if plan.parallel { "gate_parallel" } else { "gate" };
    let gate = format!("airlock.{gate}({}){filter}", ids.scope_id);

    let mut shown = Vec::with_capacity(plan.columns.len());
    let mut rules = plan.columns.iter().zip(ids.rule_ids).peekable();
    while let Some((column, rule)) = rules.next() {
        let otherwise = rules.next_if(|(next, _)| next.condition.as_ref().is_some_and(|condition| condition.otherwise));
        shown.push(format!("{} AS {}", expression((column, *rule), otherwise)?, ident(&column.name)));
    }
    let shown = shown.join(",\n       ");

    let owner = ident(VIEW_OWNER);
    Ok(Rendered {
        inner_sql: format!(
            "CREATE VIEW {inner} WITH (security_barrier = true) AS\n{select}\n  FROM {base}\n WHERE {gate}"
        ),
        outer_sql: format!("CREATE VIEW {outer} WITH (security_barrier = true) AS\nSELECT {shown}\n  FROM {inner}"),
        grants: vec![
            grant_columns(&plan.schema, &plan.table, &plan.granted),
            format!("ALTER VIEW {inner} OWNER TO {owner}"),
            format!("ALTER VIEW {outer} OWNER TO {owner}"),
            // default privileges may have opened them
            format!("REVOKE ALL ON TABLE {inner}, {outer} FROM PUBLIC"),
            format!("GRANT USAGE ON SCHEMA {} TO {}", ident(&plan.view_schema), ident(role)),
            format!("GRANT SELECT ON TABLE {outer} TO {}", ident(role)),
        ],
        drops: vec![format!("DROP VIEW IF EXISTS {outer}"), format!("DROP VIEW IF EXISTS {inner}")],
        inner_schema: INNER_SCHEMA,
        inner_name,
    })
}

/// Gives the view owner SELECT on `columns` and nothing more.
pub fn grant_columns(schema: &str, table: &str, columns: &[String]) -> String {
    let owner = ident(VIEW_OWNER);
    format!("GRANT SELECT ({}) ON TABLE {} TO {owner}", list(columns), qualified(schema, table))
}

/// Takes SELECT on `columns` back, those that no remaining scope of any sub-processor reads.
pub fn revoke_columns(schema: &str, table: &str, columns: &[String]) -> String {
    let owner = ident(VIEW_OWNER);
    format!("REVOKE SELECT ({}) ON TABLE {} FROM {owner}", list(columns), qualified(schema, table))
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|name| ident(name)).collect::<Vec<_>>().join(", ")
}

/// The expression of one column of the outer view; of a conditional one, a CASE of its two rules.
fn expression((column, rule): (&PlanColumn, i32), otherwise: Option<(&PlanColumn, &i32)>) -> Result<String> {
    let shown = match (&column.condition, otherwise) {
        (Some(condition), Some((other, other_rule))) => {
            let (then, other) = (value(column, rule)?, value(other, *other_rule)?);
            format!("CASE WHEN {} THEN {then} ELSE {other} END", condition.text)
        }
        (None, None) => value(column, rule)?,
        _ => return Err(Error::new(Kind::Corrupt, "a conditional column must have two rules")),
    };
    Ok(match &column.null_as {
        None => shown,
        Some(text) => format!("COALESCE({shown}, {}::{})", literal(text), type_name(&column.result_type)),
    })
}

/// What one rule makes of its column.
fn value(column: &PlanColumn, rule: i32) -> Result<String> {
    let name = ident(&column.name);
    let result = type_name(&column.result_type);
    let shown = match &column.expression {
        ColumnExpr::Column => name,
        ColumnExpr::Null => format!("NULL::{result}"),
        ColumnExpr::Constant(value) => format!("{}::{result}", literal(value)),
        ColumnExpr::Masked { mask, cast } => call(mask, &cast_to(name, *cast), &result)?,
        ColumnExpr::Disclose { cast } => {
            let value = cast_to(name, *cast);
            let row: Vec<String> = column.bound.iter().chain(&column.subject).map(|name| ident(name)).collect();
            if !row.is_empty() {
                format!("airlock.disclose({rule}, {value}, NULL::{result}, {})", row.join(", "))
            } else if column.result_type == PlainType::Text.sql_name() {
                format!("airlock.disclose({rule}, {value})")
            } else {
                format!("airlock.disclose({rule}, {value}, NULL::{result})")
            }
        }
    };
    Ok(if column.cast { format!("{shown}::{result}") } else { shown })
}

fn cast_to(value: String, cast: Option<PlainType>) -> String {
    match cast {
        None => value,
        Some(plain) => format!("{value}::{}", type_name(plain.sql_name())),
    }
}

/// The year of the statement, in UTC whatever the session's time zone.
const STATEMENT_YEAR: &str =
    "EXTRACT(year FROM (pg_catalog.statement_timestamp() AT TIME ZONE 'UTC'::pg_catalog.text))::integer";

/// The call of a mask without a key, for a view column of type `result`. Exhaustive, so that the compiler leads a new
/// mask here.
fn call(mask: &Mask, value: &str, result: &str) -> Result<String> {
    let arguments = match mask {
        Mask::Redact { fill, keep_length, keep_space } => {
            vec![text(&fill.to_string()), flag(*keep_length), flag(*keep_space)]
        }
        Mask::Partial { left, right, fill, min_hidden } => {
            vec![left.to_string(), right.to_string(), text(&fill.to_string()), min_hidden.to_string()]
        }
        Mask::Email { show } => vec![text(show.label())],
        Mask::Phone { country, right } => vec![flag(*country), right.to_string()],
        Mask::Card { bin, right } => vec![bin.to_string(), right.to_string()],
        Mask::Iban { right } => vec![right.to_string()],
        Mask::Initials { max } => vec![max.to_string()],
        Mask::IpPrefix { v4, v6 } => vec![v4.to_string(), v6.to_string()],
        Mask::Url { path } => vec![flag(*path)],
        Mask::DateTrunc { .. } => vec![text(&argument(mask, "unit"))],
        Mask::AgeBand { width, cap, year } => {
            let year = year.map_or(STATEMENT_YEAR.to_string(), |year| year.to_string());
            vec![year, width.to_string(), cap.to_string()]
        }
        Mask::Bucket { .. } => vec![format!("{}::numeric", literal(&argument(mask, "step")))],
        Mask::RoundSig { digits } => vec![digits.to_string()],
        Mask::Clamp { low, high } => {
            let bound = |b: &Option<String>| b.as_deref().map_or("NULL".to_string(), literal);
            vec![format!("{}::{result}", bound(low)), format!("{}::{result}", bound(high))]
        }
        Mask::Json { keep } => {
            let paths: Vec<String> = keep.keep().iter().map(|path| literal(path)).collect();
            vec![format!("ARRAY[{}]::pg_catalog.text[]", paths.join(", "))]
        }
        Mask::Regex { pattern } => vec![text(pattern.pattern()), text(pattern.replace())],
        Mask::Nullify
        | Mask::Constant { .. }
        | Mask::Pseudonym { .. }
        | Mask::PseudonymInt { .. }
        | Mask::PseudonymUuid
        | Mask::Fpe { .. }
        | Mask::Fake { .. }
        | Mask::HashBucket { .. }
        | Mask::DateShift { .. }
        | Mask::Noise { .. } => {
            return Err(Error::new(Kind::Corrupt, format!("mask \"{}\" has no call in a view", mask.name())))
        }
    };
    Ok(format!("airlock.mask_{}({value}, {})", mask.name(), arguments.join(", ")))
}

fn text(value: &str) -> String {
    format!("{}::pg_catalog.text", literal(value))
}

fn flag(value: bool) -> String {
    value.to_string()
}

/// An argument of a mask as its canonical JSON writes it, without the quotes of a string.
fn argument(mask: &Mask, name: &str) -> String {
    match mask.to_json().get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(expression: ColumnExpr, result_type: &str) -> PlanColumn {
        PlanColumn {
            name: "c".into(),
            needs_disclose: matches!(expression, ColumnExpr::Disclose { .. }),
            expression,
            result_type: result_type.into(),
            mask_json: None,
            domain: None,
            encrypted: false,
            bound: vec![],
            subject: vec![],
            null_as: None,
            condition: None,
            cast: false,
        }
    }

    fn plan(columns: Vec<PlanColumn>) -> ViewPlan {
        ViewPlan {
            subprocessor: "acme".into(),
            schema: "public".into(),
            table: "t".into(),
            view_schema: "acme".into(),
            view_name: "t".into(),
            columns,
            granted: vec!["c".into()],
            parallel: false,
            subject_domains: Vec::new(),
            row_filter: None,
            notes: vec![],
        }
    }

    fn shown(column: &PlanColumn) -> String {
        expression((column, 7), None).unwrap()
    }

    #[test]
    fn each_kind_of_expression() {
        let redact = Mask::Redact { fill: '*', keep_length: true, keep_space: false };
        let age = Mask::AgeBand { width: 10, cap: 90, year: Some(2026) };
        for (expr, result, wanted) in [
            (ColumnExpr::Column, "text", "\"c\""),
            (ColumnExpr::Null, "date", "NULL::pg_catalog.date"),
            (ColumnExpr::Null, "numeric", "NULL::numeric"),
            (ColumnExpr::Constant("it's".into()), "text", "'it''s'::pg_catalog.text"),
            (
                ColumnExpr::Masked { mask: redact, cast: Some(PlainType::Text) },
                "text",
                "airlock.mask_redact(\"c\"::pg_catalog.text, '*'::pg_catalog.text, true, false)",
            ),
            (ColumnExpr::Masked { mask: age, cast: None }, "text", "airlock.mask_age_band(\"c\", 2026, 10, 90)"),
            (ColumnExpr::Disclose { cast: None }, "text", "airlock.disclose(7, \"c\")"),
            (ColumnExpr::Disclose { cast: None }, "date", "airlock.disclose(7, \"c\", NULL::pg_catalog.date)"),
        ] {
            assert_eq!(shown(&column(expr, result)), wanted);
        }
    }

    #[test]
    fn the_row_follows_the_typed_value() {
        let mut bound = column(ColumnExpr::Disclose { cast: None }, "text");
        bound.bound = vec!["id".into(), "a\"b".into()];
        let sql = "airlock.disclose(7, \"c\", NULL::pg_catalog.text, \"id\", \"a\"\"b\")";
        assert_eq!(shown(&bound), sql);
        let inner = render(&plan(vec![bound]), &Ids { scope_id: 3, rule_ids: &[7] }, "r").unwrap().inner_sql;
        assert!(inner.contains("SELECT \"c\", \"id\", \"a\"\"b\"\n"), "{inner}");
    }

    #[test]
    fn the_subject_comes_last() {
        let mut sticky = column(ColumnExpr::Disclose { cast: None }, "date");
        sticky.subject = vec!["id".into()];
        assert_eq!(shown(&sticky), "airlock.disclose(7, \"c\", NULL::pg_catalog.date, \"id\")");
        sticky.bound = vec!["tenant".into(), "id".into()];
        let sql = "airlock.disclose(7, \"c\", NULL::pg_catalog.date, \"tenant\", \"id\", \"id\")";
        assert_eq!(shown(&sticky), sql);
        let inner = render(&plan(vec![sticky]), &Ids { scope_id: 3, rule_ids: &[7] }, "r").unwrap().inner_sql;
        assert!(inner.contains("SELECT \"c\", \"tenant\", \"id\"\n"), "{inner}");
    }

    #[test]
    fn null_as_is_typed() {
        let mut c = column(ColumnExpr::Column, "bigint");
        c.null_as = Some("-1".into());
        assert_eq!(shown(&c), "COALESCE(\"c\", '-1'::bigint)");
    }

    #[test]
    fn the_year_of_the_statement_is_utc() {
        let mask = Mask::AgeBand { width: 10, cap: 90, year: None };
        let sql = call(&mask, "\"born\"", "text").unwrap();
        assert!(sql.contains("AT TIME ZONE 'UTC'"), "{sql}");
    }

    #[test]
    fn a_keyed_mask_has_no_call() {
        let error = call(&Mask::Pseudonym { length: 26, fold: false }, "\"c\"", "text").unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
    }

    #[test]
    fn rule_numbers_must_fit_the_columns() {
        let plan = plan(vec![column(ColumnExpr::Column, "text")]);
        assert_eq!(render(&plan, &Ids { scope_id: 1, rule_ids: &[] }, "r").unwrap_err().kind, Kind::Corrupt);
        assert!(render(&plan, &Ids { scope_id: 1, rule_ids: &[5] }, "r").is_ok());
    }

    #[test]
    fn a_scope_of_constants_reads_nothing() {
        let plan = plan(vec![column(ColumnExpr::Constant("x".into()), "text")]);
        let sql = render(&plan, &Ids { scope_id: 3, rule_ids: &[1] }, "r").unwrap();
        let fenced = sql.clone().fenced();
        assert_eq!(
            (fenced.inner_sql, fenced.outer_sql),
            (format!("{}\nOFFSET 0", sql.inner_sql), sql.outer_sql.clone())
        );
        assert_eq!(
            sql.inner_sql,
            "CREATE VIEW \"airlock_scope\".\"s3\" WITH (security_barrier = true) AS\nSELECT\n  FROM \"public\".\"t\"\n WHERE airlock.gate(3)"
        );
    }

    #[test]
    fn revoking_is_the_mirror_of_granting() {
        let columns = ["a\"b".to_string(), "c".to_string()];
        assert_eq!(
            grant_columns("public", "t", &columns),
            "GRANT SELECT (\"a\"\"b\", \"c\") ON TABLE \"public\".\"t\" TO \"airlock_view_owner\""
        );
        assert_eq!(
            revoke_columns("public", "t", &columns),
            "REVOKE SELECT (\"a\"\"b\", \"c\") ON TABLE \"public\".\"t\" FROM \"airlock_view_owner\""
        );
    }
}
