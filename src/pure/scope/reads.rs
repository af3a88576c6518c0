//! What a row filter reads besides the relation that it filters: other relations, in subqueries. What such a subquery may
//! be, and what the controller is told about it.

use crate::pure::error::{Error, Result};
use crate::pure::name::shown;

/// A relation that the subqueries of a row filter read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRelation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that are read of it, in attribute order: the view owner gets SELECT on these and no others.
    pub columns: Vec<String>,
}

/// What a subquery of a row filter must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// `(SELECT …)` as a value, `ARRAY(SELECT …)`, `(a, b) < (SELECT …)`.
    Value,
    /// `ALL (SELECT …)`.
    All,
    /// WITH.
    With,
    /// UNION, INTERSECT, EXCEPT.
    SetOperation,
    /// Aggregates, GROUP BY, HAVING.
    Aggregate,
    /// Window functions.
    Window,
    /// Functions that return sets.
    SetReturning,
    /// DISTINCT.
    Distinct,
    /// ORDER BY.
    Order,
    /// LIMIT, OFFSET, FETCH.
    Limit,
    /// FOR UPDATE and its kin.
    Locking,
    /// No table at all.
    NoTable,
    /// A subquery, function, VALUES, WITH query or XMLTABLE in FROM.
    From,
    /// ONLY.
    Only,
    /// TABLESAMPLE.
    Sample,
    /// NATURAL, USING, or a name for a whole join.
    Using,
    /// New names for the columns of a table.
    ColumnNames,
}

impl Unfit {
    /// `AL010` at `row_filter`, with what to write instead.
    pub fn refused(self) -> Error {
        let (what, hint) = match self {
            Unfit::Value => ("uses the result of a subquery as a value", EXISTS),
            Unfit::All => ("compares with ALL of a subquery", "write NOT EXISTS (…) or NOT IN (…)"),
            Unfit::With => ("has WITH in a subquery", "name the tables in FROM"),
            Unfit::SetOperation => {
                ("has UNION, INTERSECT or EXCEPT in a subquery", "combine several EXISTS by OR, AND")
            }
            Unfit::Aggregate => ("has an aggregate, GROUP BY or HAVING in a subquery", EXISTS),
            Unfit::Window => ("has a window function in a subquery", EXISTS),
            Unfit::SetReturning => ("calls a function that returns a set in a subquery", EXISTS),
            Unfit::Distinct => ("has DISTINCT in a subquery", "leave it out: EXISTS and IN do not count"),
            Unfit::Order => ("has ORDER BY in a subquery", "leave it out: EXISTS and IN know no order"),
            Unfit::Limit => ("has LIMIT or OFFSET in a subquery", "leave it out: one row is enough for EXISTS and IN"),
            Unfit::Locking => ("locks rows in a subquery", "leave FOR UPDATE or FOR SHARE out"),
            Unfit::NoTable => ("has a subquery without a table", "write the condition as it is"),
            Unfit::From => (
                "reads something that is no table in a subquery",
                "FROM may hold tables and their joins: keep a table of what is to be looked up",
            ),
            Unfit::Only => ("has ONLY in a subquery", "leave it out: partitions and children count as well"),
            Unfit::Sample => ("has TABLESAMPLE in a subquery", "leave it out: which rows are shown must not change"),
            Unfit::Using => ("has NATURAL, USING or a named join in a subquery", "write JOIN … ON a.x = b.x"),
            Unfit::ColumnNames => ("gives columns of a table other names in a subquery", "use the columns' own names"),
        };
        refused(format!("the row filter {what}"), hint)
    }
}

const EXISTS: &str =
    "write EXISTS (SELECT FROM schema.table t WHERE t.column = …) or column IN (SELECT t.column FROM …)";

fn refused(message: String, hint: impl Into<String>) -> Error {
    Error::scope("row_filter", message).hint(hint)
}

/// The name by which a subquery calls a table prints the same wherever the view is printed.
///
/// # Errors
/// `AL010` at `row_filter`: PostgreSQL up to 15 keeps `old` and `new` in every view for itself, so a dump would call the
/// table by another name than the view did, and what was restored would count as changed.
pub fn check_alias(alias: &str) -> Result<()> {
    match alias {
        "old" | "new" => Err(refused(
            format!("the row filter calls a table {} in a subquery", shown(alias)),
            "give the table another name: FROM schema.table AS t",
        )),
        _ => Ok(()),
    }
}

/// # Errors
/// `AL010` at `row_filter`: to see whether there is a row at all PostgreSQL wants a right on some column, and none is used.
pub fn check_columns(table: &str, columns: usize) -> Result<()> {
    if columns > 0 {
        return Ok(());
    }
    Err(refused(
        format!("the row filter reads no column of {}", shown(table)),
        "compare one of its columns, such as t.customer = customers.id",
    ))
}

/// What `preview_scope` says of the other relations, a line each.
pub fn notes(others: &[OtherRelation]) -> Vec<String> {
    let line = |other: &OtherRelation| {
        let columns: Vec<String> = other.columns.iter().map(|c| shown(c)).collect();
        format!(
            "row_filter: reads {}.{} ({}); which rows are shown tells the sub-processor about its rows",
            shown(&other.schema),
            shown(&other.name),
            columns.join(", ")
        )
    };
    others.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_named_and_says_what_to_write() {
        use Unfit as U;
        let all = [
            U::Value,
            U::All,
            U::With,
            U::SetOperation,
            U::Aggregate,
            U::Window,
            U::SetReturning,
            U::Distinct,
            U::Order,
            U::Limit,
            U::Locking,
            U::NoTable,
            U::From,
            U::Only,
            U::Sample,
            U::Using,
            U::ColumnNames,
        ];
        let mut messages: Vec<String> = Vec::new();
        for unfit in all {
            let error = unfit.refused();
            assert_eq!(error.kind.sqlstate(), "AL010");
            assert_eq!(error.detail.as_deref(), Some("at row_filter"));
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()), "{unfit:?}");
            assert!(!messages.contains(&error.message), "{unfit:?}");
            messages.push(error.message);
        }
    }

    #[test]
    fn names_that_views_keep_for_themselves_are_refused() {
        for alias in ["old", "new"] {
            assert!(check_alias(alias).is_err_and(|e| e.hint.is_some()), "{alias}");
        }
        for alias in ["o", "news", "OLD", "consents", ""] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
    }

    #[test]
    fn a_relation_of_which_nothing_is_read_is_refused() {
        assert!(check_columns("t", 1).is_ok());
        assert!(check_columns("t", 0).is_err_and(|e| e.message.contains("\"t\"") || e.message.contains(" t")));
    }

    #[test]
    fn each_relation_has_its_line() {
        let other = |name: &str, columns: &[&str]| OtherRelation {
            schema: "public".into(),
            name: name.into(),
            columns: columns.iter().map(|c| (*c).into()).collect(),
        };
        let lines = notes(&[other("consents", &["customer", "given"]), other("bans", &["who"])]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("consents") && lines[0].contains("customer") && lines[0].contains("given"));
        assert!(lines[1].contains("bans") && lines[1].contains("who"));
        assert!(notes(&[]).is_empty());
    }
}
