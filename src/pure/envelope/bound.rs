//! Values bound to their row: the row's bound columns stand in the associated data, so a value that was moved to another
//! row does not open there.

use zeroize::Zeroizing;

use super::{not_authentic, parse, seal_at, Sealing};
use crate::pure::aead::NONCE;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{item_len, Seals};
use crate::pure::plaintext::{canonical, PlainType, Value};

/// Stands where a length would, for NULL. No item is that long.
const NULL: [u8; 4] = [0xFF; 4];

/// The bound columns of one row, as they stand in the associated data: an item per column in declared order, its length,
/// type code and canonical bytes; `0xFFFFFFFF` for NULL.
///
/// The integer types count as one, `bigint`: a key that was widened keeps its rows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Row {
    bytes: Vec<u8>,
    columns: usize,
}

impl Row {
    /// A row of which no column is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of the next bound column; `None` is NULL.
    pub fn push(&mut self, value: Option<&Value>) {
        self.columns += 1;
        let Some(value) = value else { return self.bytes.extend_from_slice(&NULL) };
        let wide = match value {
            Value::Int2(v) => Some(Value::Int8((*v).into())),
            Value::Int4(v) => Some(Value::Int8((*v).into())),
            _ => None,
        };
        let value = wide.as_ref().unwrap_or(value);
        let mut item = vec![value.plain_type().code()];
        item.extend_from_slice(&canonical(value));
        self.bytes.extend_from_slice(&item_len(&item));
        self.bytes.extend_from_slice(&item);
    }

    /// How many columns it has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// As they follow the other associated data.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromIterator<Option<Value>> for Row {
    fn from_iter<I: IntoIterator<Item = Option<Value>>>(values: I) -> Self {
        let mut row = Row::new();
        values.into_iter().for_each(|value| row.push(value.as_ref()));
        row
    }
}

/// As [`super::seal`], bound to the row as well as to the column. The value is as long as an unbound one.
///
/// `nonce` must be fresh: random, and never used before under this key.
pub fn seal_bound(s: &Sealing, row: &Row, nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    seal_at(s, Some(row), nonce, plain)
}

/// As [`super::open`], for a column that is bound to its row.
///
/// # Errors
/// [`Kind::NotAuthentic`] as there, when the row is another one, and for a value that is bound to no row.
pub fn open_bound(
    bytes: &[u8],
    row: &Row,
    key: &dyn Seals,
    column_uuid: &[u8; 16],
    plain_type: PlainType,
) -> Result<Zeroizing<Vec<u8>>> {
    parse(bytes)?.open(Some(row), key, column_uuid, plain_type)
}

/// A value that is bound to no row in a column whose values all are.
pub(super) fn unbound() -> Error {
    not_authentic("An unbound value in a column that is bound to its row.").hint(
        "The trigger that binds did not run: SELECT * FROM airlock.doctor(). Once it is there again, UPDATE the \
         table and SET the column to itself; what was written before is bound to the row where it is then.",
    )
}

/// A value that needs its row, and was given none.
pub(super) fn rowless() -> Error {
    Error::new(Kind::NotAuthentic, "ciphertext does not authenticate here")
        .detail("It is bound to its row, and the row's bound columns were not given.")
        .hint("give the bound columns as last arguments: airlock.decrypt(c, NULL::text, id)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::envelope::{open, seal};
    use crate::pure::keyring::{SealKey, Secret};
    use crate::pure::tag::MatchTag;

    const COLUMN: [u8; 16] = [3; 16];

    fn row(values: &[Option<Value>]) -> Row {
        values.iter().cloned().collect()
    }

    fn text(s: &str) -> Option<Value> {
        Some(Value::Text(s.into()))
    }

    fn sealing(key: &SealKey) -> Sealing<'_> {
        let plain_type = PlainType::Text;
        Sealing {
            key,
            version_id: 7,
            column_uuid: &COLUMN,
            plain_type,
            tag: Some(MatchTag::Narrow([5; 8])),
            padded: false,
        }
    }

    fn key() -> SealKey {
        SealKey::derive(&Secret::new([1; 32]))
    }

    fn opened(bytes: &[u8], row: &Row) -> Result<Zeroizing<Vec<u8>>> {
        open_bound(bytes, row, &key(), &COLUMN, PlainType::Text)
    }

    #[test]
    fn a_row_is_written_as_documented() {
        assert_eq!(row(&[text("ab"), None, text("")]).bytes(), b"\0\0\0\x03\x08ab\xff\xff\xff\xff\0\0\0\x01\x08");
        assert_eq!(row(&[text("ab"), None]).columns(), 2);
        assert_eq!(row(&[Some(Value::Bool(true))]).bytes(), b"\0\0\0\x02\x01\x01");
    }

    #[test]
    fn integers_are_one_type() {
        let wide = row(&[Some(Value::Int8(-5))]);
        assert_eq!(wide.bytes(), b"\0\0\0\x09\x04\xff\xff\xff\xff\xff\xff\xff\xfb");
        assert!(wide == row(&[Some(Value::Int4(-5))]) && wide == row(&[Some(Value::Int2(-5))]));
    }

    #[test]
    fn other_types_tell_apart() {
        let all = [
            row(&[Some(Value::Int8(1))]),
            row(&[Some(Value::Timestamp(1))]),
            row(&[Some(Value::Timestamptz(1))]),
            row(&[Some(Value::Numeric("1".into()))]),
            row(&[text("1")]),
            row(&[Some(Value::Bytea(b"1".to_vec()))]),
            row(&[None]),
            row(&[text("")]),
            row(&[]),
            row(&[None, None]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
        assert!(row(&[Some(Value::Numeric("1.0".into()))]) == row(&[Some(Value::Numeric("1.00".into()))]));
    }

    #[test]
    fn a_bound_value_has_its_flag_and_the_length_of_an_unbound_one() {
        let key = key();
        let bound = seal_bound(&sealing(&key), &row(&[text("a long key")]), &[9; NONCE], b"value");
        assert_eq!(bound.len(), seal(&sealing(&key), &[9; NONCE], b"value").len());
        assert_eq!(bound[1], 0b11);
        assert!(parse(&bound).ok().is_some_and(|h| h.bound && h.tag == Some(&[5; 8][..])));
    }

    #[test]
    fn opens_in_its_row_only() {
        let key = key();
        let mine = row(&[Some(Value::Int4(1)), text("a")]);
        let bound = seal_bound(&sealing(&key), &mine, &[9; NONCE], b"value");
        assert_eq!(&**opened(&bound, &mine).ok().unwrap(), b"value");
        for other in [
            row(&[Some(Value::Int4(2)), text("a")]),
            row(&[text("a"), Some(Value::Int4(1))]),
            row(&[Some(Value::Int4(1)), None]),
            row(&[Some(Value::Int4(1)), text("a"), None]),
            row(&[Some(Value::Int4(1))]),
            row(&[]),
        ] {
            assert_eq!(opened(&bound, &other).err().unwrap().kind, Kind::NotAuthentic);
        }
    }

    #[test]
    fn bound_and_unbound_do_not_mix() {
        let key = key();
        let mine = row(&[None]);
        let bound = seal_bound(&sealing(&key), &mine, &[9; NONCE], b"value");
        let error = open(&bound, &key, &COLUMN, PlainType::Text).err().unwrap();
        assert!(error.detail.unwrap().contains("bound to its row") && error.hint.unwrap().contains("NULL::text, id"));
        let free = seal(&sealing(&key), &[9; NONCE], b"value");
        assert!(opened(&free, &mine).err().unwrap().detail.unwrap().contains("unbound value"));
        // the flag is authenticated: neither becomes the other by it
        let (mut freed, mut tied) = (bound, free);
        (freed[1], tied[1]) = (freed[1] & !2, tied[1] | 2);
        assert_eq!(open(&freed, &key, &COLUMN, PlainType::Text).err().unwrap().kind, Kind::NotAuthentic);
        // nor does a row without columns stand for no row
        for row in [mine, row(&[])] {
            assert_eq!(opened(&tied, &row).err().unwrap().kind, Kind::NotAuthentic);
        }
    }
}
