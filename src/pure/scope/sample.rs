//! Statements that read a shared table's rows for the controller itself: columns as they lie there, never through a view.

use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{check_expression, ident, qualified};

/// `SELECT columns, filter IS TRUE … FROM table`: for each filter a column more that says whether the row passes it (`None`:
/// every row does), and only rows that pass one of them, at most so many. Without filters all rows.
///
/// # Errors
/// `XX001` for a filter that is not one expression: they come from the extension's own catalog.
pub fn rows(table: (&str, &str), columns: &[String], filters: &[Option<&str>], most: Option<u64>) -> Result<String> {
    let mut shown: Vec<String> = columns.iter().map(|name| format!("t.{}", ident(name))).collect();
    let mut passes = Vec::new();
    for filter in filters {
        let filter = match filter {
            None => "true".to_string(),
            Some(filter) => {
                check_expression(filter)
                    .map_err(|why| Error::new(Kind::Corrupt, format!("the row filter of a scope {why}")))?;
                format!("(({filter}) IS TRUE)")
            }
        };
        shown.push(filter.clone());
        passes.push(filter);
    }
    let mut sql = format!("SELECT {} FROM {} t", shown.join(", "), qualified(table.0, table.1));
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
        let sql =
            |filters: &[Option<&str>], most| rows(("public", "a\"b"), &names(&["id", "x y"]), filters, most).unwrap();
        let table = r#""public"."a""b" t"#;
        assert_eq!(sql(&[], None), format!(r#"SELECT t."id", t."x y" FROM {table}"#));
        assert_eq!(
            sql(&[Some("consent")], Some(5)),
            format!(r#"SELECT t."id", t."x y", ((consent) IS TRUE) FROM {table} WHERE ((consent) IS TRUE) LIMIT 5"#)
        );
        let both = sql(&[Some("consent"), None], Some(5));
        assert_eq!(both, format!(r#"SELECT t."id", t."x y", ((consent) IS TRUE), true FROM {table} LIMIT 5"#));
        let or = sql(&[Some("a"), Some("b")], None);
        assert!(or.ends_with("WHERE ((a) IS TRUE) OR ((b) IS TRUE)"), "{or}");
    }

    #[test]
    fn a_filter_that_is_no_expression_is_refused() {
        let error = rows(("public", "t"), &names(&["id"]), &[Some("true) OR (true; --")], None).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
    }
}
