//! What to type instead, where PostgreSQL itself refuses a definition over an encrypted column: it knows that the type
//! has no operator class, and advises to write one.

use crate::pg::error::unpacked;

/// The hint that replaces PostgreSQL's for an error with this SQLSTATE whose texts are `text`, if it is about one of
/// the encrypted types: an index, a unique constraint, a partition key (42704) or a foreign key (42804).
///
/// The texts are translated by the server, the names of types in them are not.
pub fn instead(sqlstate: i32, text: &str) -> Option<&'static str> {
    let searchable = names(text, "encrypted_eq");
    if !searchable && !names(text, "encrypted") {
        return None;
    }
    match (&*unpacked(sqlstate), searchable) {
        ("42704", true) => Some(
            "index what is compared: CREATE INDEX ON table (airlock.match_tag(column)), or CREATE UNIQUE INDEX for a unique constraint",
        ),
        ("42704", false) => Some(
            "make the column searchable: airlock.encrypted_eq('key'), encrypt_column(…, searchable => true); then CREATE INDEX ON table (airlock.match_tag(column))",
        ),
        ("42804", _) => Some("let the foreign key refer to a column that is not encrypted, such as the row's number"),
        _ => None,
    }
}

/// Whether `text` has `name` as a word of its own.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::instead;
    use pgrx::pg_sys::errcodes::PgSqlErrorCode::{
        ERRCODE_DATATYPE_MISMATCH, ERRCODE_DUPLICATE_OBJECT, ERRCODE_UNDEFINED_OBJECT,
    };

    #[test]
    fn it_is_for_our_types_and_those_errors_only() {
        let no_class = ERRCODE_UNDEFINED_OBJECT as i32;
        let of = |name: &str| format!("data type {name} has no default operator class for access method \"btree\"");
        assert!(instead(no_class, &of("airlock.encrypted_eq")).is_some_and(|h| h.starts_with("index what")));
        assert!(instead(no_class, &of("encrypted")).is_some_and(|h| h.starts_with("make the column searchable")));
        assert_eq!(instead(no_class, &of("json")), None);
        assert_eq!(instead(no_class, &of("encrypted_eq2")), None);
        assert!(instead(ERRCODE_DATATYPE_MISMATCH as i32, "of incompatible types: airlock.encrypted_eq and text.")
            .is_some_and(|h| h.contains("foreign key")));
        assert_eq!(instead(ERRCODE_DUPLICATE_OBJECT as i32, &of("encrypted")), None);
    }
}
