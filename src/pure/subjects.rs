//! Data subjects: the persons whose rows a statement touched, kept so that one can ask later who saw somebody, and so
//! that the log itself names nobody.
//!
//! A person is the value of the columns that a scope declares as `subject`. Its *canonical form* does not depend on the
//! session or on the width of the type, so the same person gives the same bytes in every table that refers to it:
//!
//! `integers = 1 | i64 (BE)   text = 2 | length (u32, BE) | bytes   uuid = 3 | 16 bytes   bytea = 4 | length | bytes`
//! `date = 5 | days since 2000 (i32, BE)   timestamp = 6 | µs since 2000 (i64, BE)   numeric = 7 | length | shortest text`
//!
//! several columns one after the other. What is stored is a *token* of it, or for many persons a *filter*
//! ([`filter`]), both under a key of an epoch and a domain ([`crate::pure::keyring::SubjectKey`]): destroying the
//! epoch's key forgets everybody in it.

pub mod filter;
mod part;
mod set;
mod tally;

pub use part::{decode, encode, Touched, MOST};
pub use set::{Already, Set};
pub use tally::{Persons, Tally};

/// A stored name of a person, under a key that can be destroyed.
pub type Token = [u8; 16];

/// One column of a subject, as its value is kept in the row.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `smallint`, `integer`, `bigint`
    Integer(i64),
    /// `text`, `varchar`, `char(n)`, without the blanks at their end
    Text(&'a [u8]),
    /// `uuid`
    Uuid(&'a [u8; 16]),
    /// `bytea`
    Bytes(&'a [u8]),
    /// `date`, days since 2000-01-01
    Date(i32),
    /// `timestamp`, `timestamptz`, microseconds since 2000-01-01
    Timestamp(i64),
    /// `numeric`, printed without trailing zeros behind the point
    Numeric(&'a [u8]),
}

/// Appends the canonical form of one column. A whole number is the same person in `numeric` as in `bigint`.
pub fn append(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Integer(n) => {
            out.push(1);
            out.extend_from_slice(&n.to_be_bytes());
        }
        Value::Text(text) => append_bytes(out, 2, text),
        Value::Uuid(id) => {
            out.push(3);
            out.extend_from_slice(id);
        }
        Value::Bytes(bytes) => append_bytes(out, 4, bytes),
        Value::Date(days) => {
            out.push(5);
            out.extend_from_slice(&days.to_be_bytes());
        }
        Value::Timestamp(micros) => {
            out.push(6);
            out.extend_from_slice(&micros.to_be_bytes());
        }
        Value::Numeric(text) => match std::str::from_utf8(text).ok().and_then(|t| t.parse::<i64>().ok()) {
            Some(n) => append(out, Value::Integer(n)),
            None => append_bytes(out, 7, text),
        },
    }
}

fn append_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    // nothing in Postgres is longer than 1 GiB
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// How sure the log is that a statement touched a person's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It may have: the read's end is not known, or it looked through rows without showing them, or who was in them could
    /// not be told.
    Possible,
    /// A filter says so, which takes about one stranger in a thousand for somebody it has.
    Probable,
    /// It did.
    Exact,
}

impl Certainty {
    /// The word in `who_saw()`.
    pub fn label(self) -> &'static str {
        match self {
            Certainty::Possible => "possible",
            Certainty::Probable => "probable",
            Certainty::Exact => "exact",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(values: &[Value<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        values.iter().for_each(|v| append(&mut out, *v));
        out
    }

    #[test]
    fn forms_are_as_written_down() {
        assert_eq!(canonical(&[Value::Integer(42)]), [1, 0, 0, 0, 0, 0, 0, 0, 42]);
        assert_eq!(canonical(&[Value::Text(b"ab")]), [2, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(canonical(&[Value::Uuid(&[9; 16])]), [&[3][..], &[9; 16]].concat());
        assert_eq!(canonical(&[Value::Bytes(b"")]), [4, 0, 0, 0, 0]);
        assert_eq!(canonical(&[Value::Date(-1)]), [5, 255, 255, 255, 255]);
        assert_eq!(canonical(&[Value::Timestamp(1)]), [6, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(canonical(&[Value::Numeric(b"1.5")]), [7, 0, 0, 0, 3, b'1', b'.', b'5']);
    }

    #[test]
    fn a_whole_number_is_one_person_whatever_its_type() {
        for (text, n) in [("42", 42), ("-7", -7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(canonical(&[Value::Numeric(text.as_bytes())]), canonical(&[Value::Integer(n)]));
        }
        // what bigint cannot hold stays text, and so do NaN and fractions
        for text in ["9223372036854775808", "NaN", "0.5", "Infinity"] {
            assert_eq!(canonical(&[Value::Numeric(text.as_bytes())])[0], 7, "{text}");
        }
        assert_ne!(canonical(&[Value::Text(b"42")]), canonical(&[Value::Integer(42)]));
    }

    #[test]
    fn columns_cannot_run_into_each_other() {
        let (ab_c, a_bc) = ([Value::Text(b"ab"), Value::Text(b"c")], [Value::Text(b"a"), Value::Text(b"bc")]);
        assert_ne!(canonical(&ab_c), canonical(&a_bc));
    }
}
