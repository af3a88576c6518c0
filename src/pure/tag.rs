//! Match tags: what `encrypted_eq` compares instead of values.
//!
//! A tag shows to everyone which rows of a match space are equal, and nothing else to whoever lacks the tag key.

use crate::pure::keyring::MatchKey;
use crate::pure::plaintext::{canonical, Value};

/// Bytes of a match tag. Two unequal values of n share one with odds n² / 2^65.
pub const LEN: usize = 8;

/// The match tag of a value: the first 8 bytes of HMAC-SHA-256 over type code ‖ canonical bytes.
///
/// Values of one type have equal tags exactly if they are equal in SQL (`1.0` and `1.00`, `-0` and `0`); values of two
/// types never do, for the code differs.
pub fn tag(key: &MatchKey, v: &Value) -> [u8; LEN] {
    let mac = key.mac(&[&[v.plain_type().code()], &canonical(v)]);
    let [a, b, c, d, e, f, g, h, ..] = mac;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    fn key(byte: u8) -> MatchKey {
        MatchKey::derive(&Secret::new([byte; 32]))
    }

    #[test]
    fn is_the_start_of_the_mac_over_code_and_canonical_bytes() {
        let mac = key(1).mac(&[b"\x08123-45-6789"]);
        assert_eq!(tag(&key(1), &Value::Text("123-45-6789".into())), mac[..8]);
    }

    #[test]
    fn equal_values_have_equal_tags() {
        let numeric = |text: &str| tag(&key(1), &Value::Numeric(text.into()));
        assert_eq!(numeric("1.0"), numeric("1.00"));
        assert_eq!(numeric("0"), numeric("-0.00"));
        assert_eq!(tag(&key(1), &Value::Float8(0.0)), tag(&key(1), &Value::Float8(-0.0)));
        assert_eq!(tag(&key(1), &Value::Float4(f32::NAN)), tag(&key(1), &Value::Float4(-f32::NAN)));
    }

    #[test]
    fn values_types_and_keys_tell_apart() {
        let all = [
            tag(&key(1), &Value::Int4(1)),
            tag(&key(2), &Value::Int4(1)),
            tag(&key(1), &Value::Int4(2)),
            tag(&key(1), &Value::Date(1)),
            tag(&key(1), &Value::Int8(1)),
            tag(&key(1), &Value::Text("1".into())),
            tag(&key(1), &Value::Numeric("1".into())),
            tag(&key(1), &Value::Bytea(b"1".to_vec())),
            tag(&key(1), &Value::Text(String::new())),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
