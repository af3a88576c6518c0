//! Match tags: what `encrypted_eq` compares instead of values.
//!
//! A tag shows to everyone which rows of a match space are equal, and nothing else to whoever lacks the tag key.

use crate::pure::keyring::MatchKey;
use crate::pure::plaintext::{canonical, Value};
use zeroize::Zeroizing;

/// Bytes of a match tag. Two unequal values of n share one with odds n² / 2^65.
pub const LEN: usize = 8;

/// Bytes of a wide match tag, whose first [`LEN`] are the narrow one: for unique columns, odds n² / 2^129.
pub const WIDE: usize = 16;

/// A match tag as a value carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchTag {
    /// 8 bytes.
    Narrow([u8; LEN]),
    /// 16 bytes, for unique columns.
    Wide([u8; WIDE]),
}

impl MatchTag {
    /// The tag of these bytes; `None` unless there are 8 or 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let narrow = bytes.try_into().ok().map(MatchTag::Narrow);
        narrow.or_else(|| bytes.try_into().ok().map(MatchTag::Wide))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            MatchTag::Narrow(tag) => tag,
            MatchTag::Wide(tag) => tag,
        }
    }
}

/// What a key makes of text before it is tagged. The stored value is not touched: it is what is found that widens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalise {
    /// Nothing: equal is equal.
    #[default]
    AsIs,
    /// Lower case by Unicode's mapping, of every character by itself: `ADA@x` and `ada@X` match.
    Lower,
    /// ASCII digits only: `123-45-6789` and `123 45 6789` match.
    Digits,
}

impl Normalise {
    /// All of them.
    pub const ALL: [Normalise; 3] = [Normalise::AsIs, Normalise::Lower, Normalise::Digits];

    /// The word in the catalog and in `create_key`.
    pub fn label(self) -> &'static str {
        match self {
            Normalise::AsIs => "none",
            Normalise::Lower => "lower",
            Normalise::Digits => "digits",
        }
    }

    /// The one of that word, if there is one.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|n| n.label() == label)
    }

    /// The value that is tagged; only text is changed.
    fn apply(self, v: &Value) -> Option<Zeroizing<String>> {
        let Value::Text(text) = v else { return None };
        match self {
            Normalise::AsIs => None,
            Normalise::Lower => {
                // grown once: a growing string would leave copies behind
                let mut out = Zeroizing::new(String::with_capacity(text.len() * 3));
                out.extend(text.chars().flat_map(char::to_lowercase));
                Some(out)
            }
            Normalise::Digits => {
                let mut out = Zeroizing::new(String::with_capacity(text.len()));
                out.extend(text.chars().filter(char::is_ascii_digit));
                Some(out)
            }
        }
    }
}

/// The match tag of a value as it is: the first 8 bytes of HMAC-SHA-256 over type code ‖ canonical bytes.
///
/// Values of one type have equal tags exactly if they are equal in SQL (`1.0` and `1.00`, `-0` and `0`); values of two
/// types never do, for the code differs.
pub fn tag(key: &MatchKey, v: &Value) -> [u8; LEN] {
    narrow(&wide(key, v, Normalise::AsIs))
}

/// The wide match tag of a value: the first 16 bytes of the same, over the normalised value.
pub fn wide(key: &MatchKey, v: &Value, normalise: Normalise) -> [u8; WIDE] {
    let code = [v.plain_type().code()];
    let mac = match normalise.apply(v) {
        Some(text) => key.mac(&[&code, text.as_bytes()]),
        None => key.mac(&[&code, &canonical(v)]),
    };
    let mut tag = [0; WIDE];
    tag.copy_from_slice(&mac[..WIDE]);
    tag
}

/// The narrow tag in a wide one.
pub fn narrow(wide: &[u8; WIDE]) -> [u8; LEN] {
    let [a, b, c, d, e, f, g, h, ..] = *wide;
    [a, b, c, d, e, f, g, h]
}

/// A narrow tag as SQL shows and indexes it, `bigint`: big endian.
pub fn as_bigint(tag: &[u8; LEN]) -> i64 {
    i64::from_be_bytes(*tag)
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
    fn normalised_text_matches_what_differs_in_form_only() {
        let tag = |text: &str, n| wide(&key(1), &Value::Text(text.into()), n);
        assert_eq!(tag("ADA@Example.ÖRG", Normalise::Lower), tag("ada@example.örg", Normalise::Lower));
        assert_eq!(tag("ada", Normalise::Lower), tag("ada", Normalise::AsIs));
        assert_ne!(tag("ADA", Normalise::AsIs), tag("ada", Normalise::AsIs));
        assert_eq!(tag("123-45-6789", Normalise::Digits), tag("(123) 45 6789", Normalise::Digits));
        assert_ne!(tag("123", Normalise::Digits), tag("124", Normalise::Digits));
        // not text: nothing to normalise
        let int = |n| wide(&key(1), &Value::Int4(7), n);
        assert_eq!(int(Normalise::Digits), int(Normalise::AsIs));
    }

    #[test]
    fn a_wide_tag_begins_with_the_narrow_one() {
        let value = Value::Text("x".into());
        let wide = wide(&key(1), &value, Normalise::AsIs);
        assert_eq!(narrow(&wide), tag(&key(1), &value));
        assert_eq!(as_bigint(&[0, 0, 0, 0, 0, 0, 1, 2]), 258);
        assert_eq!(as_bigint(&[0xFF; 8]), -1);
    }

    #[test]
    fn labels_read_back() {
        for n in Normalise::ALL {
            assert_eq!(Normalise::from_label(n.label()), Some(n));
        }
        assert_eq!(Normalise::from_label("Lower"), None);
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
