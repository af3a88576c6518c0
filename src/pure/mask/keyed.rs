//! Masks that need a key of the sub-processor: `pseudonym`, `pseudonym_uuid`, `hash_bucket`. There is no function to call them by; `disclose` alone
//! reaches them, so that nobody can pose a question of their own.
//!
//! PRF = HMAC-SHA-256 (RFC 2104, FIPS 180-4) under the rule's key over one class byte and the canonical value (C9).
//! The class keeps text `1` and integer 1 apart and makes equal values of int2, int4, int8 and numeric equal.

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::pure::keyring::RuleKey;
use crate::pure::plaintext::Value;

use super::number::Decimal;

/// Bytes of the PRF that a pseudonym shows: 128 bits, 26 characters of base32.
const PSEUDONYM_BYTES: usize = 16;

/// Class bytes of the PRF's input. Frozen: a sub-processor stores what follows from them.
mod class {
    pub const BOOL: u8 = 1;
    pub const INTEGER: u8 = 2;
    pub const DECIMAL: u8 = 3;
    pub const DATE: u8 = 4;
    pub const TIMESTAMP: u8 = 5;
    pub const TIMESTAMPTZ: u8 = 6;
    pub const UUID: u8 = 7;
    pub const BYTEA: u8 = 8;
    pub const TEXT: u8 = 9;
    pub const JSONB: u8 = 10;
    pub const INET: u8 = 11;
    pub const JSON: u8 = 12;
}

/// `pseudonym`: the first 128 bits of the PRF in lower-case base32 (RFC 4648 section 6, no padding), cut to `length`
/// characters (26 at most). `fold` lower-cases a text first, by Unicode's full mapping.
pub fn pseudonym(key: &RuleKey, value: &Value, length: u8, fold: bool) -> String {
    let input = match value {
        Value::Text(text) if fold => {
            let folded = Zeroizing::new(text.to_lowercase());
            tagged(class::TEXT, folded.as_bytes())
        }
        _ => encode(value),
    };
    let mut out = BASE32_NOPAD.encode(&key.prf(&[&input])[..PSEUDONYM_BYTES]);
    out.make_ascii_lowercase();
    out.truncate(length.into());
    out
}

/// `pseudonym_uuid`: the first 128 bits of the PRF as a uuid of version 8 (RFC 9562 section 5.8: 122 bits are the
/// application's).
pub fn pseudonym_uuid(key: &RuleKey, value: &Value) -> [u8; 16] {
    let mut out = first_half(key, value);
    out[6] = out[6] & 0x0f | 0x80;
    out[8] = out[8] & 0x3f | 0x80;
    out
}

/// `hash_bucket`: the first 128 bits of the PRF, as a big-endian number, modulo `buckets`. The bias is below 2^-118.
pub fn hash_bucket(key: &RuleKey, value: &Value, buckets: u32) -> i32 {
    let rest = u128::from_be_bytes(first_half(key, value)) % u128::from(buckets.max(1));
    i32::try_from(rest).unwrap_or_default()
}

fn first_half(key: &RuleKey, value: &Value) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(key.prf(&[&encode(value)])).for_each(|(to, from)| *to = from);
    out
}

/// The typed encoding of one value (C9): a class byte, then
///
/// - int2, int4, int8 and a numeric that is one of them: eight bytes, big endian, two's complement;
/// - any other numeric, real and double precision: the shortest plain decimal as text, `NaN`, `Infinity`, `-Infinity`;
/// - date, timestamp, timestamptz: days or microseconds since 2000-01-01, big endian; boolean: one byte;
/// - uuid, bytea, text (UTF-8) and jsonb (its text): the bytes.
///
/// One value is the whole input, so that nothing needs a length; several would each be prefixed by theirs.
pub(super) fn encode(value: &Value) -> Zeroizing<Vec<u8>> {
    match value {
        Value::Bool(value) => tagged(class::BOOL, &[u8::from(*value)]),
        Value::Int2(value) => integer((*value).into()),
        Value::Int4(value) => integer((*value).into()),
        Value::Int8(value) => integer(*value),
        Value::Numeric(value) => numeric(value),
        // shortest digits that read back, without an exponent
        Value::Float4(value) => float(Zeroizing::new(value.to_string())),
        Value::Float8(value) => float(Zeroizing::new(value.to_string())),
        Value::Date(value) => tagged(class::DATE, &value.to_be_bytes()),
        Value::Timestamp(value) => tagged(class::TIMESTAMP, &value.to_be_bytes()),
        Value::Timestamptz(value) => tagged(class::TIMESTAMPTZ, &value.to_be_bytes()),
        Value::Uuid(bytes) => tagged(class::UUID, bytes),
        Value::Bytea(bytes) => tagged(class::BYTEA, bytes),
        Value::Text(text) => tagged(class::TEXT, text.as_bytes()),
        Value::Jsonb(text) => tagged(class::JSONB, text.as_bytes()),
        // no keyed mask takes these two; apart from the others all the same
        Value::Inet(net) => tagged(class::INET, net.to_string().as_bytes()),
        Value::Json(text) => tagged(class::JSON, text.as_bytes()),
    }
}

/// The class byte in front of the bytes.
fn tagged(class: u8, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(1 + bytes.len()));
    out.push(class);
    out.extend_from_slice(bytes);
    out
}

/// The class of whole numbers.
fn integer(value: i64) -> Zeroizing<Vec<u8>> {
    tagged(class::INTEGER, &value.to_be_bytes())
}

/// A numeric: an integer if it is one that fits eight bytes, else its shortest decimal, without leading and trailing
/// zeros and without a minus on zero. What is no decimal, `NaN` and the infinities, stays as it is.
fn numeric(text: &str) -> Zeroizing<Vec<u8>> {
    let Some(decimal) = Decimal::parse(text) else { return tagged(class::DECIMAL, text.as_bytes()) };
    let short = Zeroizing::new(shortest(&decimal));
    match short.parse() {
        Ok(value) => integer(value),
        Err(_) => tagged(class::DECIMAL, short.as_bytes()),
    }
}

/// A float: always a decimal, whole or not; -0 is 0, and the infinities have numeric's names.
fn float(text: Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    match (text.as_str(), Decimal::parse(&text)) {
        (_, Some(decimal)) => tagged(class::DECIMAL, Zeroizing::new(shortest(&decimal)).as_bytes()),
        ("inf", None) => tagged(class::DECIMAL, b"Infinity"),
        ("-inf", None) => tagged(class::DECIMAL, b"-Infinity"),
        (_, None) => tagged(class::DECIMAL, b"NaN"),
    }
}

/// The shortest plain form of a decimal: the same for every way of writing the same number.
fn shortest(decimal: &Decimal) -> String {
    let integer = decimal.integer.trim_start_matches('0');
    let fraction = decimal.fraction.trim_end_matches('0');
    // reserved whole, so that growing leaves no copies of the value behind
    let mut out = String::with_capacity(decimal.integer.len() + fraction.len() + 3);
    if decimal.negative && !(integer.is_empty() && fraction.is_empty()) {
        out.push('-');
    }
    out.push_str(if integer.is_empty() { "0" } else { integer });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::{MaskKey, Secret};

    fn key() -> RuleKey {
        MaskKey::derive(&Secret::new([7; 32])).rule_key("pseudonym", "public.customers.id")
    }

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    fn number(value: &str) -> Value {
        Value::Numeric(value.to_owned())
    }

    #[test]
    fn shape() {
        for value in [text(""), text("Ada"), Value::Int4(1), Value::Uuid([0; 16]), number("NaN"), Value::Date(i32::MAX)]
        {
            let out = pseudonym(&key(), &value, 26, false);
            assert_eq!(out.len(), 26);
            assert!(out.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)));
            assert_eq!(pseudonym(&key(), &value, 16, false), out[..16]);
        }
    }

    #[test]
    fn equal_numbers_share_a_pseudonym() {
        let one = encode(&Value::Int8(1));
        for same in [Value::Int2(1), Value::Int4(1), number("1"), number("1.00"), number("01")] {
            assert_eq!(*encode(&same), *one);
        }
        assert_eq!(*one, [2, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(*encode(&number("-9223372036854775808")), *encode(&Value::Int8(i64::MIN)));
        assert_eq!(*encode(&number("-0.00")), *encode(&Value::Int2(0)));
        assert_eq!(*encode(&number("1.50")), *encode(&number("1.5")));
        assert_eq!(*encode(&number("1.50")), *encode(&Value::Float8(1.5)));
        assert_eq!(*encode(&Value::Float4(0.1)), *encode(&Value::Float8(0.1)));
        assert_eq!(*encode(&Value::Float8(-0.0)), *encode(&Value::Float8(0.0)));
        assert_eq!(*encode(&number("Infinity")), *encode(&Value::Float8(f64::INFINITY)));
        assert_eq!(encode(&number("9223372036854775808"))[0], class::DECIMAL);
    }

    #[test]
    fn classes_do_not_meet() {
        let eight = vec![0, 0, 0, 0, 0, 0, 0, 1];
        let values = [
            Value::Int8(1),
            text("1"),
            Value::Bool(true),
            Value::Float8(1.0),
            Value::Date(1),
            Value::Timestamp(1),
            Value::Timestamptz(1),
            Value::Bytea(eight.clone()),
            Value::Bytea(b"1".to_vec()),
            Value::Jsonb("1".to_owned()),
            text(&String::from_utf8(eight).unwrap()),
        ];
        let encoded: std::collections::HashSet<Vec<u8>> = values.iter().map(|value| encode(value).to_vec()).collect();
        assert_eq!(encoded.len(), values.len());
    }

    #[test]
    fn uuids_and_buckets() {
        let uuids: std::collections::HashSet<[u8; 16]> =
            (0..=255).map(|n| pseudonym_uuid(&key(), &Value::Uuid([n; 16]))).collect();
        assert_eq!(uuids.len(), 256);
        assert!(uuids.iter().all(|u| u[6] >> 4 == 8 && u[8] >> 6 == 2));
        let mut buckets = [0; 16];
        (0..16_000).for_each(|n| buckets[hash_bucket(&key(), &Value::Int4(n), 16) as usize] += 1);
        assert!(buckets.iter().all(|n| (800..1200).contains(n)), "{buckets:?}");
        assert_eq!(hash_bucket(&key(), &Value::Int2(7), 1024), hash_bucket(&key(), &number("7.0"), 1024));
    }

    #[test]
    fn folding() {
        let fold = |value: &str| pseudonym(&key(), &text(value), 26, true);
        assert_eq!(fold("ADA@Example.COM"), fold("ada@example.com"));
        assert_eq!(fold("ÉVA"), fold("éva"));
        assert_ne!(pseudonym(&key(), &text("ADA"), 26, false), pseudonym(&key(), &text("ada"), 26, false));
        assert_eq!(fold("ada"), pseudonym(&key(), &text("ada"), 26, false));
        // composed and decomposed forms differ
        assert_ne!(fold("\u{e9}va"), fold("e\u{301}va"));
    }
}
