//! Properties of values that are bound to their rows, by random input: a value opens in its row, and in no other.
#![allow(clippy::unwrap_used, clippy::panic)]

use pg_airlock::pure::aead::NONCE;
use pg_airlock::pure::envelope::{self, Row, Sealing};
use pg_airlock::pure::error::Kind;
use pg_airlock::pure::keyring::{SealKey, Secret};
use pg_airlock::pure::plaintext::{PlainType, Value};
use proptest::collection::vec;
use proptest::prelude::*;

const COLUMN: [u8; 16] = *b"column of a test";

/// Values that lie near each other: short, of few digits, of types whose bytes look alike.
fn bound() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        2 => Just(None),
        4 => (-3..4_i64).prop_map(|v| Some(Value::Int8(v))),
        2 => any::<i64>().prop_map(|v| Some(Value::Int8(v))),
        2 => (-3..4_i64).prop_map(|v| Some(Value::Timestamp(v))),
        4 => "[ab\0\u{ff}]{0,3}".prop_map(|s| Some(Value::Text(s))),
        2 => "[ab]{0,3}".prop_map(|s| Some(Value::Bytea(s.into_bytes()))),
        2 => "-?[1-9]{1,2}".prop_map(|s| Some(Value::Numeric(s))),
        1 => any::<bool>().prop_map(|v| Some(Value::Bool(v))),
        1 => any::<[u8; 16]>().prop_map(|v| Some(Value::Uuid(v))),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Option<Value>>> {
    vec(bound(), 1..5)
}

fn row(values: &[Option<Value>]) -> Row {
    values.iter().cloned().collect()
}

fn key(secret: [u8; 32]) -> SealKey {
    SealKey::derive(&Secret::new(secret))
}

fn sealed(key: &SealKey, row: &Row, nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    let plain_type = PlainType::Bytea;
    envelope::seal_bound(
        &Sealing { key, version_id: 1, column_uuid: &COLUMN, plain_type, tag: None, padded: false },
        row,
        nonce,
        plain,
    )
}

fn opens(bytes: &[u8], row: &Row, key: &SealKey) -> bool {
    match envelope::open_bound(bytes, row, key, &COLUMN, PlainType::Bytea) {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(e.kind, Kind::NotAuthentic);
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_value_opens_in_its_row_and_in_no_other(
        mine in rows(), other in rows(), plain in vec(any::<u8>(), 0..40), secret in any::<[u8; 32]>(), nonce in any::<[u8; NONCE]>(),
    ) {
        let key = key(secret);
        let bytes = sealed(&key, &row(&mine), &nonce, &plain);
        prop_assert!(opens(&bytes, &row(&mine), &key));
        prop_assert_eq!(opens(&bytes, &row(&other), &key), mine == other);
        prop_assert!(envelope::open(&bytes, &key, &COLUMN, PlainType::Bytea).is_err());
    }

    #[test]
    fn any_column_changed_dropped_added_or_swapped_fails(
        mine in rows(), new in bound(), at in any::<prop::sample::Index>(), secret in any::<[u8; 32]>(), nonce in any::<[u8; NONCE]>(),
    ) {
        let key = key(secret);
        let bytes = sealed(&key, &row(&mine), &nonce, b"value");
        let i = at.index(mine.len());
        let (mut changed, mut dropped, mut added, mut swapped) = (mine.clone(), mine.clone(), mine.clone(), mine.clone());
        changed[i] = new.clone();
        dropped.remove(i);
        added.insert(i, new);
        swapped.rotate_left(i);
        for other in [changed, dropped, added, swapped] {
            prop_assert_eq!(opens(&bytes, &row(&other), &key), other == mine);
        }
    }

    #[test]
    fn every_flipped_bit_fails(mine in rows(), secret in any::<[u8; 32]>(), nonce in any::<[u8; NONCE]>()) {
        let (key, row) = (key(secret), row(&mine));
        let good = sealed(&key, &row, &nonce, b"value");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!opens(&bad, &row, &key));
            prop_assert!(envelope::open(&bad, &key, &COLUMN, PlainType::Bytea).is_err());
        }
    }

    #[test]
    fn integers_of_each_width_are_one_column(v in any::<i16>()) {
        let wide = row(&[Some(Value::Int8(v.into()))]);
        prop_assert!(wide == row(&[Some(Value::Int4(v.into()))]) && wide == row(&[Some(Value::Int2(v))]));
    }
}
