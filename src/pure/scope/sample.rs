//! Statements that read a shared table's rows for the controller itself: columns as they lie there, never through a view.

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{check_expression, ident, qualified};

/// `SELECT columns, filter IS TRUE …, condition IS TRUE … FROM table`: for each filter a column more that says whether the row
/// passes it (`None`: every row does), and then for each condition; only rows that pass one of the filters, at most so
/// many. Without filters all rows. The table has its own name, which filters may use.
///
/// # Errors
/// `XX001` for a filter that is not one expression: they come from the extension's own catalog.
pub fn rows(
    table: (&str, &str),
    columns: &[String],
    (filters, conditions): (&[Option<&str>], &[&str]),
    most: Option<u64>,
) -> Result<String> {
    let mut shown: Vec<String> = columns.iter().map(|name| format!("{}.{}", ident(table.1), ident(name))).collect();
    let is_true = |filter: &str| {
        check_expression(filter)
            .map_err(|why| Error::new(Kind::Corrupt, format!("the row filter of a scope {why}")))?;
        Ok(format!("(({filter}) IS TRUE)"))
    };
    let mut passes = Vec::new();
    for filter in filters {
        let filter = match filter {
            None => "true".to_string(),
            Some(filter) => is_true(filter)?,
        };
        shown.push(filter.clone());
        passes.push(filter);
    }
    for condition in conditions {
        shown.push(is_true(condition)?);
    }
    let mut sql = format!("SELECT {} FROM {}", shown.join(", "), qualified(table.0, table.1));
    if !passes.is_empty() && !passes.iter().any(|filter| filter == "true") {
        sql.push_str(&format!(" WHERE {}", passes.join(" OR ")));
    }
    if let Some(most) = most {
        sql.push_str(&format!(" LIMIT {most}"));
    }
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(columns: &[&str]) -> Vec<String> {
        columns.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn statements() {
        let sql = |filters: &[Option<&str>], most| {
            rows(("public", "a\"b"), &names(&["id", "x y"]), (filters, &[]), most).unwrap()
        };
        let table = r#""public"."a""b""#;
        assert_eq!(sql(&[], None), format!(r#"SELECT "a""b"."id", "a""b"."x y" FROM {table}"#));
        assert_eq!(
            sql(&[Some("consent")], Some(5)),
            format!(
                r#"SELECT "a""b"."id", "a""b"."x y", ((consent) IS TRUE) FROM {table} WHERE ((consent) IS TRUE) LIMIT 5"#
            )
        );
        let both = sql(&[Some("consent"), None], Some(5));
        assert_eq!(
            both,
            format!(r#"SELECT "a""b"."id", "a""b"."x y", ((consent) IS TRUE), true FROM {table} LIMIT 5"#)
        );
        let or = sql(&[Some("a"), Some("b")], None);
        assert!(or.ends_with("WHERE ((a) IS TRUE) OR ((b) IS TRUE)"), "{or}");
        let asked = rows(("s", "t"), &names(&["id"]), (&[Some("a")], &["c"]), None).unwrap();
        assert_eq!(asked, r#"SELECT "t"."id", ((a) IS TRUE), ((c) IS TRUE) FROM "s"."t" WHERE ((a) IS TRUE)"#);
    }

    #[test]
    fn a_filter_that_is_no_expression_is_refused() {
        let error = rows(("public", "t"), &names(&["id"]), (&[Some("true) OR (true; --")], &[]), None).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
    }
}
