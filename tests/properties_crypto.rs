//! Properties of encrypted values, by random input: what is sealed opens, and nothing else does.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::str::FromStr;

use bigdecimal::BigDecimal;
use pg_airlock::pure::aead::NONCE;
use pg_airlock::pure::envelope::{self, Sealing};
use pg_airlock::pure::error::Kind;
use pg_airlock::pure::keyring::{MatchKey, RootKey, SealKey, Secret};
use pg_airlock::pure::plaintext::{self, PlainType, Value};
use pg_airlock::pure::tag::{self, MatchTag};
use proptest::collection::vec;
use proptest::prelude::*;

/// The longest plaintext drawn here, in bytes.
const LONGEST: usize = 64 * 1024;

const COLUMN: [u8; 16] = *b"column of a test";

// ---- what is drawn --------------------------------------------------------------------------------------------------

/// Lengths that lie near each other and near the block sizes, or anywhere up to the longest.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..70_usize, 1 => 0..LONGEST, 1 => Just(LONGEST)]
}

fn text() -> BoxedStrategy<String> {
    // a long text repeats a short one, which costs the generator nothing
    let long = (length(), "\\PC{1,8}").prop_map(|(len, unit)| unit.repeat(len / unit.len()));
    prop_oneof!["\\PC{0,40}", long].boxed()
}

fn numeric() -> BoxedStrategy<String> {
    let decimal = (any::<bool>(), "(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?").prop_map(|(negative, digits)| {
        // Postgres prints no negative zero
        let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
        if negative && !is_zero {
            format!("-{digits}")
        } else {
            digits
        }
    });
    let special = prop_oneof![Just("NaN"), Just("Infinity"), Just("-Infinity")].prop_map(String::from);
    let long = length().prop_map(|len| format!("1{}", "0".repeat(len)));
    prop_oneof![8 => decimal, 1 => special, 1 => long].boxed()
}

fn value_of(ty: PlainType) -> BoxedStrategy<Value> {
    match ty {
        PlainType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        PlainType::Int2 => any::<i16>().prop_map(Value::Int2).boxed(),
        PlainType::Int4 => any::<i32>().prop_map(Value::Int4).boxed(),
        PlainType::Int8 => any::<i64>().prop_map(Value::Int8).boxed(),
        // every bit pattern: infinities, subnormals, all NaNs
        PlainType::Float4 => any::<u32>().prop_map(|bits| Value::Float4(f32::from_bits(bits))).boxed(),
        PlainType::Float8 => any::<u64>().prop_map(|bits| Value::Float8(f64::from_bits(bits))).boxed(),
        PlainType::Numeric => numeric().prop_map(Value::Numeric).boxed(),
        PlainType::Text => text().prop_map(Value::Text).boxed(),
        PlainType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        PlainType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        PlainType::Timestamptz => any::<i64>().prop_map(Value::Timestamptz).boxed(),
        PlainType::Uuid => any::<[u8; 16]>().prop_map(Value::Uuid).boxed(),
        PlainType::Jsonb => text().prop_map(|text| Value::Jsonb(format!("{text:?}"))).boxed(),
        PlainType::Bytea => (length(), any::<u8>(), vec(any::<u8>(), 0..64))
            .prop_map(|(len, fill, tail)| Value::Bytea([vec![fill; len], tail].concat()))
            .boxed(),
        PlainType::Inet | PlainType::Json => panic!("no key seals it"),
    }
}

/// One value of each type.
fn each_type() -> Vec<BoxedStrategy<Value>> {
    PlainType::ALL.map(value_of).to_vec()
}

/// A value of any type whose envelope is short enough to try each of its bits.
fn short_value() -> impl Strategy<Value = Value> {
    let short_text = || "\\PC{0,20}";
    prop_oneof![
        any::<i32>().prop_map(Value::Int4),
        any::<i64>().prop_map(Value::Timestamptz),
        any::<bool>().prop_map(Value::Bool),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        short_text().prop_map(Value::Text),
        short_text().prop_map(|text| Value::Jsonb(format!("{text:?}"))),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytea),
        "[1-9][0-9]{0,10}\\.[0-9]{2}".prop_map(Value::Numeric),
    ]
}

#[derive(Clone, Debug)]
struct Setting {
    secret: [u8; 32],
    nonce: [u8; NONCE],
    version_id: u32,
    tag: Option<[u8; 8]>,
    pad: u16,
}

fn setting() -> impl Strategy<Value = Setting> {
    let pad = prop_oneof![Just(0), Just(16), 1..200_u16];
    (any::<[u8; 32]>(), any::<[u8; NONCE]>(), any::<u32>(), any::<Option<[u8; 8]>>(), pad)
        .prop_map(|(secret, nonce, version_id, tag, pad)| Setting { secret, nonce, version_id, tag, pad })
}

impl Setting {
    fn key(&self) -> SealKey {
        SealKey::derive(&Secret::new(self.secret))
    }

    fn seal(&self, value: &Value) -> Vec<u8> {
        let (key, plain_type) = (self.key(), value.plain_type());
        let padded = plaintext::is_padded(plain_type, self.pad);
        let (version_id, tag) = (self.version_id, self.tag.map(MatchTag::Narrow));
        let sealing = Sealing { key: &key, version_id, column_uuid: &COLUMN, plain_type, tag, padded };
        envelope::seal(&sealing, &self.nonce, &plaintext::encode(value, self.pad))
    }
}

fn refused<T>(result: Result<T, pg_airlock::pure::error::Error>) -> bool {
    result.err().is_some_and(|error| error.kind == Kind::NotAuthentic)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float4(a), Value::Float4(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::Float8(a), Value::Float8(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => a == b,
    }
}

// ---- envelope -------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn open_undoes_seal(values in each_type(), setting in setting()) {
        for value in values {
            let ty = value.plain_type();
            let sealed = setting.seal(&value);
            let header = envelope::parse(&sealed).unwrap();
            prop_assert_eq!(header.version_id, setting.version_id);
            prop_assert_eq!(header.tag, setting.tag.as_ref().map(|tag| &tag[..]));
            prop_assert_eq!(header.padded, plaintext::is_padded(ty, setting.pad));
            let plain = envelope::open(&sealed, &setting.key(), &COLUMN, ty).unwrap();
            let read = plaintext::decode(ty, plain, header.padded).unwrap();
            prop_assert!(same(&read, &value), "{:?}", value);
        }
    }

    #[test]
    fn every_flipped_bit_fails(value in short_value(), setting in setting()) {
        let (key, ty) = (setting.key(), value.plain_type());
        let good = setting.seal(&value);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(refused(envelope::open(&bad, &key, &COLUMN, ty)), "bit {}", bit);
        }
    }

    #[test]
    fn any_flipped_bit_of_a_long_value_fails(
        values in each_type(), setting in setting(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        for value in values {
            let mut bad = setting.seal(&value);
            let at = at.index(bad.len());
            bad[at] ^= 1 << bit;
            prop_assert!(refused(envelope::open(&bad, &setting.key(), &COLUMN, value.plain_type())));
        }
    }

    #[test]
    fn every_other_length_fails(value in short_value(), setting in setting(), more in vec(any::<u8>(), 1..40)) {
        let (key, ty) = (setting.key(), value.plain_type());
        let good = setting.seal(&value);
        for len in 0..good.len() {
            prop_assert!(refused(envelope::open(&good[..len], &key, &COLUMN, ty)), "cut to {}", len);
            // from the front too
            prop_assert!(refused(envelope::open(&good[good.len() - len..], &key, &COLUMN, ty)), "last {}", len);
        }
        prop_assert!(refused(envelope::open(&[&good[..], &more].concat(), &key, &COLUMN, ty)));
    }

    #[test]
    fn other_column_type_and_key_fail(
        values in each_type(), setting in setting(), column in any::<[u8; 16]>(), secret in any::<[u8; 32]>(),
    ) {
        prop_assume!(column != COLUMN && secret != setting.secret);
        let other_key = SealKey::derive(&Secret::new(secret));
        for value in values {
            let ty = value.plain_type();
            let sealed = setting.seal(&value);
            prop_assert!(refused(envelope::open(&sealed, &setting.key(), &column, ty)));
            prop_assert!(refused(envelope::open(&sealed, &other_key, &COLUMN, ty)));
            for other in PlainType::ALL.into_iter().filter(|other| *other != ty) {
                prop_assert!(refused(envelope::open(&sealed, &setting.key(), &COLUMN, other)));
            }
        }
    }

    #[test]
    fn parts_of_two_values_do_not_combine(a in short_value(), b in short_value(), setting in setting()) {
        // header and nonce of one, ciphertext of the other
        let other = Setting { nonce: setting.nonce.map(|byte| !byte), tag: setting.tag.map(|t| t.map(|b| !b)), ..setting.clone() };
        let (a, b, ty) = (setting.seal(&a), other.seal(&b), a.plain_type());
        let body = 6 + setting.tag.map_or(0, |tag| tag.len()) + NONCE;
        for cut in [6, body - NONCE, body] {
            let mixed = [&a[..cut], &b[cut..]].concat();
            // without a tag both have the same header, and the first mix is all of b
            if mixed != b {
                prop_assert!(refused(envelope::open(&mixed, &setting.key(), &COLUMN, ty)));
            }
        }
    }

    #[test]
    fn the_same_value_twice_shows_nothing_of_being_the_same(value in short_value(), setting in setting()) {
        let again = Setting { nonce: setting.nonce.map(|byte| byte.wrapping_add(1)), ..setting.clone() };
        let head = 6 + setting.tag.map_or(0, |tag| tag.len());
        prop_assert_ne!(&setting.seal(&value)[head + NONCE..], &again.seal(&value)[head + NONCE..]);
    }
}

// ---- text form ------------------------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn text_form_reads_back(value in short_value(), setting in setting()) {
        let sealed = setting.seal(&value);
        let text = envelope::to_text(&sealed);
        prop_assert!(envelope::looks_like_ciphertext(&text));
        prop_assert_eq!(envelope::from_text(&text).unwrap(), sealed);
    }

    /// One value has one text: whatever is read is what would be written.
    #[test]
    fn changed_text_is_refused_or_canonical(
        value in short_value(), setting in setting(), at in any::<prop::sample::Index>(), put in "[A-Za-z0-9+/=_ \n-]{0,2}",
    ) {
        let text = envelope::to_text(&setting.seal(&value));
        let at = at.index(text.len());
        for changed in [
            format!("{}{put}{}", &text[..at], &text[at..]),
            format!("{}{put}{}", &text[..at], &text[at + 1..]),
            text.replace('=', &put),
        ] {
            match envelope::from_text(&changed) {
                Ok(bytes) => prop_assert_eq!(envelope::to_text(&bytes), changed),
                Err(error) => prop_assert_eq!(error.kind, Kind::InvalidText),
            }
        }
    }

    /// Lenient decoders read padding inside, and stray bits behind the last byte.
    #[test]
    fn padding_stands_at_the_end_only(value in short_value(), setting in setting()) {
        let text = envelope::to_text(&setting.seal(&value));
        for at in 0..text.len() {
            for put in ["=", "=="] {
                let changed = format!("{}{put}{}", &text[..at], &text[(at + put.len()).min(text.len())..]);
                if let Ok(bytes) = envelope::from_text(&changed) {
                    prop_assert_eq!(envelope::to_text(&bytes), changed);
                }
            }
        }
    }

    #[test]
    fn any_text_is_refused_or_canonical(body in "4[QY][A-Za-z0-9+/]{60,80}={0,3}", free in "\\PC{0,40}") {
        for text in [format!("airlock:1:{body}"), format!("airlock:1:{free}"), free] {
            match envelope::from_text(&text) {
                Ok(bytes) => prop_assert_eq!(envelope::to_text(&bytes), text),
                Err(error) => prop_assert_eq!(error.kind, Kind::InvalidText),
            }
        }
    }
}

// ---- plaintext ------------------------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn decoding_is_strict(bytes in vec(any::<u8>(), 0..40), numeric in "-?[0-9.]{0,8}", zeros in 0..20_usize) {
        for ty in PlainType::ALL {
            for bytes in [&bytes[..], numeric.as_bytes()] {
                match plaintext::decode(ty, bytes.to_vec().into(), false) {
                    Ok(value) => prop_assert_eq!(&**plaintext::encode(&value, 0), bytes),
                    Err(error) => prop_assert_eq!(error.kind, Kind::NotAuthentic),
                }
                let padded = [bytes, &[0x80], &vec![0; zeros]].concat();
                match plaintext::decode(ty, padded.into(), true) {
                    Ok(value) => {
                        prop_assert!(ty.is_variable());
                        prop_assert_eq!(&**plaintext::encode(&value, 0), bytes);
                    }
                    Err(error) => prop_assert_eq!(error.kind, Kind::NotAuthentic),
                }
            }
        }
    }

    #[test]
    fn nothing_panics(bytes in vec(any::<u8>(), 0..200), first in prop_oneof![Just(0xE1_u8), any::<u8>()]) {
        let bytes = [&[first], &bytes[..]].concat();
        let _ = envelope::parse(&bytes);
        let _ = RootKey::parse(&bytes);
        for ty in PlainType::ALL {
            let _ = plaintext::decode(ty, bytes.clone().into(), true);
        }
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = plaintext::canonical(&Value::Jsonb(text.clone()));
            let _ = plaintext::canonical(&Value::Numeric(text.clone()));
            let _ = plaintext::encode(&Value::Numeric(text), 16);
        }
    }

    #[test]
    fn padding_shows_only_the_class(text in text(), pad in 1..300_u16) {
        let classes = text.len() / usize::from(pad) + 1;
        for value in [Value::Text(text.clone()), Value::Bytea(text.into_bytes())] {
            prop_assert_eq!(plaintext::encode(&value, pad).len(), classes * usize::from(pad));
        }
    }

    #[test]
    fn values_of_one_class_have_sealed_forms_of_one_length(
        setting in setting(), a in vec(any::<u8>(), 16..32), b in vec(any::<u8>(), 16..32),
    ) {
        let setting = Setting { pad: 16, ..setting };
        prop_assert_eq!(setting.seal(&Value::Bytea(a)).len(), setting.seal(&Value::Bytea(b)).len());
    }
}

// ---- tags -----------------------------------------------------------------------------------------------------------

/// Equality as Postgres has it, by another way than the canonical bytes.
fn equal_in_sql(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Numeric(a), Value::Numeric(b)) => match (BigDecimal::from_str(a), BigDecimal::from_str(b)) {
            (Ok(a), Ok(b)) => a == b,
            _ => a == b,
        },
        _ => same(a, b),
    }
}

/// Few values, so that equal ones meet; numbers in several spellings.
fn crowded() -> impl Strategy<Value = Value> {
    let spelling = || {
        prop_oneof![
            (any::<bool>(), 0..3_u8, "\\.[01]{1,3}|")
                .prop_map(|(minus, whole, fraction)| format!("{}{whole}{fraction}", if minus { "-" } else { "" })),
            Just("NaN".to_string()),
            Just("Infinity".to_string()),
        ]
    };
    let float = || prop_oneof![Just(0.0), Just(-0.0), Just(f32::NAN), Just(-f32::NAN), Just(1.0), Just(-1.0)];
    prop_oneof![
        spelling().prop_map(Value::Numeric),
        float().prop_map(Value::Float4),
        float().prop_map(|v| Value::Float8(v.into())),
        (0..3_i16).prop_map(Value::Int2),
        (0..3_i32).prop_map(Value::Int4),
        (0..3_i64).prop_map(Value::Int8),
        (0..3_i32).prop_map(Value::Date),
        (0..3_i64).prop_map(Value::Timestamp),
        (0..3_i64).prop_map(Value::Timestamptz),
        any::<bool>().prop_map(Value::Bool),
        "[01.]{0,3}".prop_map(Value::Text),
        "[01.]{0,3}".prop_map(|text| Value::Bytea(text.into_bytes())),
        (0..2_u8).prop_map(|byte| Value::Uuid([byte; 16])),
        "\"[01.]{0,3}\"".prop_map(Value::Jsonb),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn equal_values_are_those_with_equal_tags(values in vec(crowded(), 2..40), secret in any::<[u8; 32]>()) {
        let key = MatchKey::derive(&Secret::new(secret));
        let tags: Vec<_> = values.iter().map(|value| tag::tag(&key, value)).collect();
        for (a, tag_a) in values.iter().zip(&tags) {
            for (b, tag_b) in values.iter().zip(&tags) {
                prop_assert_eq!(tag_a == tag_b, equal_in_sql(a, b), "{:?} and {:?}", a, b);
            }
        }
    }

    #[test]
    fn a_number_keeps_its_tag_through_spelling_sealing_and_jsonb(
        number in numeric(), zeros in 0..10_usize, setting in setting(), secret in any::<[u8; 32]>(),
    ) {
        prop_assume!(number.len() < 200 && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-')));
        let point = if number.contains('.') { "" } else { ".0" };
        let other = format!("{number}{point}{}", "0".repeat(zeros));
        let key = MatchKey::derive(&Secret::new(secret));
        let value = Value::Numeric(number.clone());
        prop_assert_eq!(tag::tag(&key, &value), tag::tag(&key, &Value::Numeric(other.clone())));

        let plain = envelope::open(&setting.seal(&value), &setting.key(), &COLUMN, PlainType::Numeric).unwrap();
        let read = plaintext::decode(PlainType::Numeric, plain, setting.pad > 0).unwrap();
        prop_assert_eq!(tag::tag(&key, &value), tag::tag(&key, &read));

        let json = |number: &str| Value::Jsonb(format!("{{\"{number}\": [{number}, \"1.0\"]}}"));
        prop_assert_eq!(tag::tag(&key, &json(&number)), tag::tag(&key, &{
            // the spelling of the key is part of the value, that of the number is not
            let Value::Jsonb(text) = json(&number) else { unreachable!() };
            Value::Jsonb(text.replacen(&format!("[{number},"), &format!("[{other},"), 1))
        }));
        prop_assert_eq!(tag::tag(&key, &json(&number)) == tag::tag(&key, &json(&other)), number == other);
    }

    #[test]
    fn other_keys_give_other_tags(value in short_value(), a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        prop_assume!(a != b);
        let tag_under = |secret| tag::tag(&MatchKey::derive(&Secret::new(secret)), &value);
        prop_assert_ne!(tag_under(a), tag_under(b));
    }
}
