//! Identifiers, literals and type names: checked and quoted. The only file in which text becomes SQL.
//!
//! Quoting follows the PostgreSQL manual, "Lexical Structure": a quoted identifier doubles `"`, a string constant
//! doubles `'`, and a constant that holds a backslash is written in the `E''` form, which reads the same whatever
//! `standard_conforming_strings` says.

use crate::pure::error::{Error, Kind, Result};

/// Longest identifier in bytes (`NAMEDATALEN - 1`); PostgreSQL silently cuts a longer one.
pub const MAX_NAME: usize = 63;

/// `name` as a quoted identifier: `a"b` becomes `"a""b"`. Always quoted, so no keyword and no case folding matters.
///
/// PostgreSQL has no identifier with a NUL; one is replaced by U+FFFD, which names nothing, rather than cutting the
/// statement short.
pub fn ident(name: &str) -> String {
    quoted(name, '"')
}

/// `"schema"."name"`.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", ident(schema), ident(name))
}

/// `text` as a string constant: `it's` becomes `'it''s'`, `a\b` becomes `E'a\\b'`.
///
/// `text` has no NUL (PostgreSQL's `text` cannot hold one); one is replaced by U+FFFD.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E{}", quoted(&text.replace('\\', "\\\\"), '\''))
    } else {
        quoted(text, '\'')
    }
}

/// Puts `text` between `quote` characters, doubling those inside.
fn quoted(text: &str, quote: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            c if c == quote => out.extend([quote, quote]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Type names that are words of the grammar: they mean `pg_catalog`'s type whatever the search path is.
const GRAMMAR_TYPES: [&str; 14] = [
    "bigint",
    "bit",
    "bit varying",
    "boolean",
    "character",
    "character varying",
    "double precision",
    "integer",
    "interval",
    "numeric",
    "real",
    "smallint",
    "time",
    "timestamp",
];

/// The text of `format_type` (run under `search_path = pg_catalog`) as a type name that no search path can move.
///
/// An unqualified ordinary name such as `text` is looked up in `pg_temp` first, so it gets its schema:
/// `pg_catalog.text`. Qualified names and the grammar's own (`integer`, `timestamp with time zone`) stay.
pub fn type_name(formatted: &str) -> String {
    // "timestamp(3) with time zone", "interval day to second(3)", "bit(8)[]": the leading words decide
    let head = formatted.split(['(', '[']).next().unwrap_or("").trim_end();
    let words = head.split(" with").next().unwrap_or("");
    let grammar = GRAMMAR_TYPES.contains(&words) || head.starts_with("interval ");
    if grammar || is_qualified(head) {
        formatted.to_string()
    } else {
        format!("pg_catalog.{formatted}")
    }
}

/// Whether a type name has a schema: a dot outside double quotes.
fn is_qualified(name: &str) -> bool {
    let mut inside = false;
    name.chars().any(|c| {
        inside ^= c == '"';
        c == '.' && !inside
    })
}

/// Checks the name of a key or a sub-processor: 1 to 63 of `a-z 0-9 _`, not beginning with a digit, `pg_` or
/// `airlock`. `what` is the thing's name in the message, such as `key`.
///
/// # Errors
/// `22023` with the rule in the hint.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let refused = |why: &str| {
        Error::new(Kind::InvalidArgument, format!("{what} name {} {why}", shown(name)))
            .hint("use 1 to 63 of the characters a-z, 0-9 and _, not beginning with a digit, \"pg_\" or \"airlock\"")
    };
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if name.is_empty() {
        Err(refused("is empty"))
    } else if name.len() > MAX_NAME {
        Err(refused("is too long"))
    } else if !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        Err(refused("has characters that are not allowed"))
    } else if name.starts_with("pg_") || name.starts_with("airlock") {
        Err(refused("is reserved"))
    } else {
        Ok(())
    }
}

/// Checks that PostgreSQL takes `name` as an identifier unchanged: 1 to 63 bytes, no NUL.
///
/// # Errors
/// The reason, to be put behind the thing's name.
pub fn check_identifier(name: &str) -> std::result::Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty")
    } else if name.len() > MAX_NAME {
        Err("is longer than 63 bytes")
    } else if name.contains('\0') {
        Err("holds a NUL")
    } else {
        Ok(())
    }
}

/// A name from outside, quoted for a message and cut, with control characters escaped.
pub fn shown(name: &str) -> String {
    let mut out = String::from("\"");
    for c in name.chars().take(MAX_NAME + 1) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    if name.chars().nth(MAX_NAME + 1).is_some() {
        out.push('…');
    }
    out.push('"');
    out
}

/// Checks that `sql` is lexically one closed expression, so that it can stand between parentheses.
///
/// The text comes from PostgreSQL's own deparser, which writes no comment, no dollar quote, no parameter and no
/// semicolon; whatever has one did not come from there. This is a second lock, not a parser.
///
/// # Errors
/// The reason, to be put behind the thing's name.
pub fn check_expression(sql: &str) -> std::result::Result<(), &'static str> {
    if sql.trim().is_empty() {
        return Err("is empty");
    }
    let bytes = sql.as_bytes();
    let mut open = Vec::new();
    let (mut at, mut word) = (0, 0); // `word`: where the identifier-like run that ends before `at` began
    while let Some(&b) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        let number = word < at && bytes.get(word).is_some_and(u8::is_ascii_digit);
        match b {
            // PostgreSQL ends a number before a quote or a dollar, so what follows would begin anew
            b'\'' | b'$' if number => return Err("holds a number that runs into something else"),
            b'\'' => {
                let escapes = matches!(bytes.get(word..at), Some(b"e" | b"E"));
                at = closing(bytes, at, escapes).ok_or("holds a string that does not end")?;
            }
            b'"' => at = closing(bytes, at, false).ok_or("holds a quoted name that does not end")?,
            b'(' | b'[' => open.push(b),
            b')' if open.pop() != Some(b'(') => return Err("has unbalanced parentheses"),
            b']' if open.pop() != Some(b'[') => return Err("has unbalanced brackets"),
            b';' => return Err("holds a semicolon"),
            b'-' if next == Some(b'-') => return Err("holds a comment"),
            b'/' if next == Some(b'*') => return Err("holds a comment"),
            b'$' if word == at => return Err("holds a parameter or a dollar quote"),
            0 => return Err("holds a NUL"),
            _ => {}
        }
        at += 1;
        let in_word = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        if !in_word {
            word = at;
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err("has unbalanced parentheses")
    }
}

/// Position of the quote that closes the one at `start`; a doubled quote does not close.
fn closing(bytes: &[u8], start: usize, escapes: bool) -> Option<usize> {
    let quote = *bytes.get(start)?;
    let mut at = start + 1;
    while let Some(&b) = bytes.get(at) {
        if (b == b'\\' && escapes) || (b == quote && bytes.get(at + 1) == Some(&quote)) {
            at += 2;
        } else if b == quote {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// The path of a member below `path`, as PostgreSQL's jsonpath writes it: `$.email`, or `$."e mail"` when the name is
/// not a plain word.
pub fn json_path(path: &str, member: &str) -> String {
    let plain = !member.is_empty()
        && member.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !member.starts_with(|c: char| c.is_ascii_digit());
    if plain {
        format!("{path}.{member}")
    } else {
        format!("{path}.{}", serde_json::Value::from(member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_always_quoted() {
        assert_eq!(ident("id"), r#""id""#);
        assert_eq!(ident(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
        assert_eq!(ident("a\\b\nc'é"), "\"a\\b\nc'é\"");
        assert_eq!(ident("a\0b"), "\"a\u{fffd}b\"");
        assert_eq!(qualified("Acme", "select"), r#""Acme"."select""#);
    }

    #[test]
    fn literals_use_the_escape_form_only_for_backslashes() {
        assert_eq!(literal(""), "''");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'"), r"E'\\'''");
        assert_eq!(literal("a\nb"), "'a\nb'");
    }

    #[test]
    fn types_get_a_schema_unless_the_grammar_fixes_them() {
        for (given, wanted) in [
            ("text", "pg_catalog.text"),
            ("date", "pg_catalog.date"),
            ("json", "pg_catalog.json"),
            ("text[]", "pg_catalog.text[]"),
            ("\"char\"", "pg_catalog.\"char\""),
            ("integer", "integer"),
            ("integer[]", "integer[]"),
            ("numeric(10,2)", "numeric(10,2)"),
            ("character varying(20)", "character varying(20)"),
            ("bit varying(8)", "bit varying(8)"),
            ("timestamp(3) with time zone", "timestamp(3) with time zone"),
            ("timestamp without time zone", "timestamp without time zone"),
            ("time with time zone", "time with time zone"),
            ("interval day to second(3)", "interval day to second(3)"),
            ("public.citext", "public.citext"),
            ("app.\"my.type\"", "app.\"my.type\""),
            ("\"my.type\"", "pg_catalog.\"my.type\""),
        ] {
            assert_eq!(type_name(given), wanted);
        }
    }

    #[test]
    fn key_names_are_plain_words() {
        for good in ["pii", "_x", "a1", &"a".repeat(63)] {
            assert_eq!(check_name("key", good), Ok(()));
        }
        for bad in ["", "1a", "42", "Pii", "a-b", "a b", "é", "pg_x", "airlock", "airlock_x", "a\0", &"a".repeat(64)] {
            let error = check_name("key", bad).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument, "{bad}");
            assert!(error.message.starts_with("key name \""));
            assert!(!error.message.contains('\0'));
        }
    }

    #[test]
    fn expressions_of_the_deparser_pass() {
        for good in [
            "consent",
            "(age > 17)",
            "((city = 'Oslo; --'::text) AND (x ~ E'\\\\d'' (/*'))",
            "(\"a\"\"; --)\" = ANY (ARRAY[1, 2]))",
            "(EXISTS ( SELECT 1\n   FROM consent c\n  WHERE (c.id = customers.id)))",
            "(a$b = 1)",
            "((a - (- 1)) > 0)",
            "type'x)'",
        ] {
            assert_eq!(check_expression(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn expressions_that_could_escape_their_parentheses_do_not() {
        for bad in [
            "",
            "  \n",
            "true) OR (true",
            "(true",
            "true]",
            "(a]",
            "true -- x",
            "true /* x",
            "true; DROP TABLE t",
            "'x",
            "\"x",
            "E'\\'",
            "$$)$$",
            "$1",
            "a = $x$ ) $x$",
            "a\0",
            "1$$ ) $$",
            "1e'\\' OR ('",
        ] {
            assert!(check_expression(bad).is_err(), "{bad}");
        }
        // not an escape string: the identifier ends in e, so the backslash is plain and the string ends
        assert!(check_expression("type'\\' OR (").is_err());
    }

    #[test]
    fn json_paths_quote_what_is_no_word() {
        assert_eq!(json_path("$", "email"), "$.email");
        assert_eq!(json_path("$", "e mail"), "$.\"e mail\"");
        assert_eq!(json_path("$", "a\"\n"), "$.\"a\\\"\\n\"");
        assert_eq!(json_path("$.x", "1"), "$.x.\"1\"");
        assert_eq!(json_path("$", ""), "$.\"\"");
    }

    #[test]
    fn names_in_messages_are_cut_and_escaped() {
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown(&"é".repeat(80)), format!("\"{}…\"", "é".repeat(64)));
    }
}
