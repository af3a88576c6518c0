//! A stored value under another key version: header, nonce and ciphertext are new; flags, match tag, plaintext and its
//! padding stay.

use super::{not_authentic, parse, Aad, Row, FIXED, MAGIC};
use crate::pure::aead::{self, NONCE, TAG};
use crate::pure::error::Result;
use crate::pure::keyring::Seals;
use crate::pure::plaintext::PlainType;

/// How many bytes of a stored value say which key version it needs.
pub const HEAD: usize = FIXED;

/// The key version id in the first [`HEAD`] bytes of a stored value, without a look at the rest.
///
/// # Errors
/// [`Kind::NotAuthentic`] when these are not the first bytes of a stored value.
pub fn version_id(head: &[u8]) -> Result<u32> {
    match head.first_chunk::<FIXED>() {
        Some([MAGIC, _, id @ ..]) => Ok(u32::from_be_bytes(*id)),
        _ => Err(not_authentic("It does not start like a stored value.")),
    }
}

/// Opens a value of this column under the key `old` and seals it under `new`, whose id goes into its header.
///
/// `nonce` must be fresh: random, and never used before under `new`.
///
/// # Errors
/// [`Kind::NotAuthentic`] as for [`super::open`]; `row` is what a bound value is bound to, and `None` for others.
pub fn reseal(
    bytes: &[u8],
    (old, new): (&dyn Seals, &dyn Seals),
    new_id: u32,
    (column_uuid, row): (&[u8; 16], Option<&Row>),
    plain_type: PlainType,
    nonce: &[u8; NONCE],
) -> Result<Vec<u8>> {
    let header = parse(bytes)?;
    let plain = header.open(row, old, column_uuid, plain_type)?;
    let mut out = Vec::with_capacity(header.authenticated.len() + NONCE + plain.len() + TAG);
    out.extend_from_slice(header.authenticated);
    out[FIXED - 4..FIXED].copy_from_slice(&new_id.to_be_bytes());
    let aad = Aad::new(&out, column_uuid, plain_type);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(&plain);
    aead::seal_from(new.cipher(), &aad.with(row), nonce, &mut out, start);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::{open, seal, Sealing};
    use super::*;
    use crate::pure::error::Kind;
    use crate::pure::keyring::{SealKey, Secret};
    use crate::pure::tag::MatchTag;

    const COLUMN: [u8; 16] = [3; 16];
    const OTHER: [u8; 16] = [4; 16];
    const NARROW: MatchTag = MatchTag::Narrow([6; 8]);

    fn key(byte: u8) -> SealKey {
        SealKey::derive(&Secret::new([byte; 32]))
    }

    fn sealed(tag: Option<MatchTag>, padded: bool) -> Vec<u8> {
        let (key, plain_type) = (key(1), PlainType::Text);
        let sealing = Sealing { key: &key, version_id: 7, column_uuid: &COLUMN, plain_type, tag, padded };
        seal(&sealing, &[9; NONCE], b"value\x80")
    }

    fn again(bytes: &[u8], column: &[u8; 16], old: u8) -> Result<Vec<u8>> {
        reseal(bytes, (&key(old), &key(2)), 8, (column, None), PlainType::Text, &[5; NONCE])
    }

    #[test]
    fn a_bound_value_stays_bound() {
        use super::super::{open_bound, seal_bound};
        use crate::pure::plaintext::Value;
        let row = |n| Row::from_iter([Some(Value::Int8(n))]);
        let key = key(1);
        let sealing = Sealing {
            key: &key,
            version_id: 7,
            column_uuid: &COLUMN,
            plain_type: PlainType::Text,
            tag: None,
            padded: false,
        };
        let old = seal_bound(&sealing, &row(1), &[9; NONCE], b"value");
        let anew =
            |row: Option<&Row>| reseal(&old, (&key, &self::key(2)), 8, (&COLUMN, row), PlainType::Text, &[5; NONCE]);
        let new = anew(Some(&row(1))).unwrap();
        let opened = |n| open_bound(&new, &row(n), &self::key(2), &COLUMN, PlainType::Text);
        assert_eq!(&**opened(1).unwrap(), b"value");
        assert!(opened(2).is_err() && anew(Some(&row(2))).is_err() && anew(None).is_err());
    }

    #[test]
    fn the_new_value_opens_under_the_new_key_only() {
        for (tag, padded) in
            [None, Some(NARROW), Some(MatchTag::Wide([6; 16]))].into_iter().flat_map(|tag| [(tag, false), (tag, true)])
        {
            let old = sealed(tag, padded);
            let new = again(&old, &COLUMN, 1).unwrap();
            let opened = open(&new, &key(2), &COLUMN, PlainType::Text).unwrap();
            assert_eq!(&opened[..], b"value\x80");
            assert!(open(&new, &key(1), &COLUMN, PlainType::Text).is_err());
            assert!(open(&new, &key(2), &OTHER, PlainType::Text).is_err());
        }
    }

    #[test]
    fn only_version_nonce_and_ciphertext_change() {
        let old = sealed(Some(NARROW), true);
        let new = again(&old, &COLUMN, 1).unwrap();
        assert_eq!(new.len(), old.len());
        assert_eq!(new[..2], old[..2]);
        assert_eq!((version_id(&old).unwrap(), version_id(&new[..HEAD]).unwrap()), (7, 8));
        assert_eq!(new[6..14], old[6..14]);
        assert_eq!(new[14..38], [5; NONCE]);
        assert_ne!(new[38..], old[38..]);
    }

    #[test]
    fn a_value_that_does_not_open_is_not_sealed_anew() {
        let old = sealed(Some(NARROW), true);
        for (bytes, column, key) in
            [(&old[..], &OTHER, 1), (&old, &COLUMN, 3), (&old[..old.len() - 1], &COLUMN, 1), (&[], &COLUMN, 1)]
        {
            assert_eq!(again(bytes, column, key).err().unwrap().kind, Kind::NotAuthentic);
        }
        for bit in 0..old.len() * 8 {
            let mut bad = old.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(again(&bad, &COLUMN, 1).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_bound_value_needs_its_row() {
        let mut bound = sealed(None, false);
        bound[1] |= 1 << 1;
        assert_eq!(again(&bound, &COLUMN, 1).err().unwrap().kind, Kind::NotAuthentic);
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
        for head in [&[][..], &[0xE1, 0, 0, 0, 7], &[0xE0, 0, 0, 0, 0, 7], b"airlock:1:"] {
            assert_eq!(version_id(head).err().unwrap().kind, Kind::NotAuthentic);
        }
    }
}
