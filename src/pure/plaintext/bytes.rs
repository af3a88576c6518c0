//! Canonical, padded bytes of values: what is sealed, and what match tags are made of.

use zeroize::Zeroizing;

use super::{PlainType, Value};
use crate::pure::error::{Error, Kind, Result};

/// The one NaN that is stored, of any that a float can be.
const NAN4: u32 = 0x7fc0_0000;
const NAN8: u64 = 0x7ff8_0000_0000_0000;

/// Starts the padding (ISO/IEC 7816-4); zeros follow.
const PAD_MARK: u8 = 0x80;

/// True if values of this type are padded under a key with this `pad` (bytes; 0 = off).
pub fn is_padded(ty: PlainType, pad: u16) -> bool {
    ty.is_variable() && pad > 0
}

/// The bytes that are sealed: those of the value, then, for types of variable width and `pad` > 0, ISO/IEC 7816-4
/// padding to the next multiple of `pad` bytes.
///
/// - Numbers, dates and times are big endian of fixed width; a float has one zero and one NaN.
/// - `numeric` is decimal text with its scale, `jsonb` its text output, text UTF-8.
/// - A `numeric` that Postgres would never print, such as `x` or `1e5`, is written as it is, and [`decode`] refuses it.
pub fn encode(v: &Value, pad: u16) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(v.room() + usize::from(pad)));
    match v {
        Value::Numeric(text) => {
            put_numeric(&mut out, text, false);
        }
        _ => put_plain(&mut out, v),
    }
    if is_padded(v.plain_type(), pad) {
        out.push(PAD_MARK);
        let padded = out.len().next_multiple_of(usize::from(pad));
        out.resize(padded, 0);
    }
    out
}

/// Reads what [`encode`] wrote, and nothing else. A text keeps the bytes where they are.
///
/// # Errors
/// [`Kind::NotAuthentic`] for any bytes that `encode` does not give for a value of this type: wrong width, padding or
/// UTF-8, a number in another spelling, a padded type of fixed width.
pub fn decode(ty: PlainType, mut bytes: Zeroizing<Vec<u8>>, padded: bool) -> Result<Value> {
    let length = if padded { unpadded(&bytes).filter(|_| ty.is_variable()) } else { Some(bytes.len()) };
    let value = length.and_then(|length| {
        bytes.truncate(length);
        read(ty, &mut bytes)
    });
    value.ok_or_else(|| {
        Error::new(Kind::NotAuthentic, format!("decrypted bytes are not a value of type \"{}\"", ty.sql_name()))
            .hint("Check that the key's plaintext type was never changed by hand, and run airlock.doctor().")
    })
}

/// The bytes that match tags and pseudo-random functions work on: equal for equal values, different for different
/// values of one type. As [`encode`] without padding, but `numeric`, also inside `jsonb`, takes its shortest form:
/// `1.00` and `1.0` are `1`, `-0` is `0`.
pub fn canonical(v: &Value) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(v.room()));
    match v {
        Value::Numeric(text) => {
            put_numeric(&mut out, text, true);
        }
        Value::Jsonb(text) => put_jsonb(&mut out, text),
        _ => put_plain(&mut out, v),
    }
    out
}

/// Types whose stored and canonical bytes are the same.
fn put_plain(out: &mut Vec<u8>, v: &Value) {
    match v {
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float4(v) => out.extend_from_slice(&float4_bits(*v).to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&float8_bits(*v).to_be_bytes()),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Bytea(v) => out.extend_from_slice(v),
        Value::Numeric(v) | Value::Text(v) | Value::Jsonb(v) | Value::Json(v) => out.extend_from_slice(v.as_bytes()),
        // never stored: `read` refuses it
        Value::Inet(v) => out.extend_from_slice(v.to_string().as_bytes()),
    }
}

fn float4_bits(v: f32) -> u32 {
    match v {
        _ if v.is_nan() => NAN4,
        0.0 => 0, // both zeros compare equal to it
        _ => v.to_bits(),
    }
}

fn float8_bits(v: f64) -> u64 {
    match v {
        _ if v.is_nan() => NAN8,
        0.0 => 0,
        _ => v.to_bits(),
    }
}

/// Appends decimal text in the one spelling it has: no plus, no leading zeros, no minus on zero, a digit before the
/// point; with `shortest` no trailing zeros after it either. Anything else, `NaN` and the infinities too, goes as it is,
/// and the answer is false.
fn put_numeric(out: &mut Vec<u8>, text: &str, shortest: bool) -> bool {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        out.extend_from_slice(text.as_bytes());
        return false;
    }
    let whole = whole.trim_start_matches('0');
    let significant = fraction.trim_end_matches('0');
    if negative && !(whole.is_empty() && significant.is_empty()) {
        out.push(b'-');
    }
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    let fraction = if shortest { significant } else { fraction };
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    true
}

/// Appends jsonb's text output with each number in its shortest form: `{"a": 1.0}` and `{"a": 1.00}` are equal in SQL.
fn put_jsonb(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let len = match first {
            b'"' => string_len(rest),
            b'-' | b'0'..=b'9' => {
                let is_part = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
                rest.bytes().position(|b| !is_part(b)).unwrap_or(rest.len())
            }
            _ => rest.bytes().position(|b| matches!(b, b'"' | b'-' | b'0'..=b'9')).unwrap_or(rest.len()),
        };
        let (token, tail) = rest.split_at(len);
        if first == b'-' || first.is_ascii_digit() {
            put_numeric(out, token, true);
        } else {
            out.extend_from_slice(token.as_bytes());
        }
        rest = tail;
    }
}

/// The bytes of the JSON string at the start of `text`, both quotes included; all of it if the string has no end.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How many bytes are before the padding.
fn unpadded(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|b| *b != 0).filter(|mark| bytes.get(*mark) == Some(&PAD_MARK))
}

fn read(ty: PlainType, plain: &mut Vec<u8>) -> Option<Value> {
    let bytes = plain.as_slice();
    let int4 = || bytes.try_into().ok().map(i32::from_be_bytes);
    let int8 = || bytes.try_into().ok().map(i64::from_be_bytes);
    let value = match ty {
        PlainType::Bool => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        PlainType::Int2 => Value::Int2(i16::from_be_bytes(bytes.try_into().ok()?)),
        PlainType::Int4 => Value::Int4(int4()?),
        PlainType::Int8 => Value::Int8(int8()?),
        PlainType::Float4 => {
            let bits = u32::from_be_bytes(bytes.try_into().ok()?);
            let v = f32::from_bits(bits);
            Value::Float4((float4_bits(v) == bits).then_some(v)?)
        }
        PlainType::Float8 => {
            let bits = u64::from_be_bytes(bytes.try_into().ok()?);
            let v = f64::from_bits(bits);
            Value::Float8((float8_bits(v) == bits).then_some(v)?)
        }
        PlainType::Numeric if !std::str::from_utf8(bytes).is_ok_and(is_numeric) => return None,
        PlainType::Numeric => Value::Numeric(text(plain)?),
        PlainType::Text => Value::Text(text(plain)?),
        PlainType::Date => Value::Date(int4()?),
        PlainType::Timestamp => Value::Timestamp(int8()?),
        PlainType::Timestamptz => Value::Timestamptz(int8()?),
        PlainType::Uuid => Value::Uuid(bytes.try_into().ok()?),
        PlainType::Jsonb => Value::Jsonb(text(plain)?),
        PlainType::Bytea => Value::Bytea(std::mem::take(plain)),
        PlainType::Inet | PlainType::Json => return None,
    };
    Some(value)
}

/// The bytes as text; what is none stays where it is wiped.
fn text(plain: &mut Vec<u8>) -> Option<String> {
    String::from_utf8(std::mem::take(plain)).map_err(|e| *plain = e.into_bytes()).ok()
}

/// True for what Postgres prints as a `numeric`.
fn is_numeric(text: &str) -> bool {
    let mut again = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    let is_decimal = put_numeric(&mut again, text, false);
    (is_decimal && *again == text.as_bytes()) || matches!(text, "NaN" | "Infinity" | "-Infinity")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Value {
        Value::Numeric(text.into())
    }

    fn samples() -> Vec<Value> {
        vec![
            Value::Bool(true),
            Value::Int2(-2),
            Value::Int4(i32::MIN),
            Value::Int8(i64::MAX),
            Value::Float4(1.5),
            Value::Float8(f64::NEG_INFINITY),
            numeric("-12.50"),
            Value::Text("Zoë".into()),
            Value::Date(-1),
            Value::Timestamp(i64::MIN),
            Value::Timestamptz(0),
            Value::Uuid([7; 16]),
            Value::Jsonb("{\"a\": [1, null]}".into()),
            Value::Bytea(vec![0, 0x80, 0]),
        ]
    }

    #[test]
    fn decodes_what_it_encoded_padded_or_not() {
        for value in samples() {
            let ty = value.plain_type();
            for pad in [0, 1, 2, 16, u16::MAX] {
                let bytes = encode(&value, pad);
                let got = decode(ty, bytes, is_padded(ty, pad)).unwrap();
                assert!(got == value, "{value:?} with pad {pad}");
            }
        }
    }

    #[test]
    fn bytes_are_frozen() {
        let hex = |v: Value, pad| data_encoding::HEXLOWER.encode(&encode(&v, pad));
        assert_eq!(hex(Value::Bool(true), 16), "01");
        assert_eq!(hex(Value::Int2(-2), 16), "fffe");
        assert_eq!(hex(Value::Date(1), 16), "00000001");
        assert_eq!(hex(Value::Timestamptz(-1), 16), "ffffffffffffffff");
        assert_eq!(hex(Value::Float8(1.0), 0), "3ff0000000000000");
        assert_eq!(hex(Value::Text("ab".into()), 0), "6162");
        assert_eq!(hex(Value::Text("ab".into()), 4), "61628000");
        assert_eq!(hex(Value::Text(String::new()), 4), "80000000");
        assert_eq!(hex(Value::Text("abcd".into()), 4), "6162636480000000");
        assert_eq!(hex(numeric("1.50"), 0), "312e3530");
    }

    #[test]
    fn padding_shows_only_the_class() {
        for len in 0..64 {
            assert_eq!(encode(&Value::Text("x".repeat(len)), 16).len(), (len / 16 + 1) * 16);
        }
    }

    #[test]
    fn encoding_never_grows_its_vector() {
        for value in samples() {
            let out = encode(&value, 16);
            assert!(out.capacity() <= value.room() + 16);
        }
        let out = encode(&numeric(".5"), 1);
        assert!(out.capacity() <= 4);
    }

    #[test]
    fn refuses_wrong_widths_padding_and_utf8() {
        let refused = |ty, bytes: &[u8], padded| {
            let error = decode(ty, bytes.to_vec().into(), padded).err().unwrap();
            assert_eq!(error.kind, Kind::NotAuthentic);
        };
        for value in samples().iter().filter(|v| !v.plain_type().is_variable()) {
            let bytes = encode(value, 0);
            refused(value.plain_type(), &bytes[1..], false);
            refused(value.plain_type(), &[&bytes[..], &[0]].concat(), false);
            // a type of fixed width is never padded
            refused(value.plain_type(), &[&bytes[..], &[PAD_MARK]].concat(), true);
        }
        for bytes in [&b""[..], b"\0\0", b"ab", b"ab\x81\0", b"ab\x80\x01"] {
            refused(PlainType::Text, bytes, true);
        }
        refused(PlainType::Bool, &[2], false);
        refused(PlainType::Text, &[0xff], false);
        refused(PlainType::Jsonb, &[0xc3], false);
    }

    #[test]
    fn refuses_other_spellings_of_a_number() {
        for bad in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-0.00",
            "1.",
            ".5",
            "-.5",
            "1e5",
            "1.2.3",
            "--1",
            "-+1",
            "nan",
            "infinity",
            "Infinity0",
            " 1",
            "1 ",
            "٣",
            "1_0",
        ] {
            assert!(decode(PlainType::Numeric, bad.as_bytes().to_vec().into(), false).is_err(), "{bad}");
        }
        for good in ["0", "0.00", "-0.01", "100", "10.0", "NaN", "Infinity", "-Infinity"] {
            assert!(
                decode(PlainType::Numeric, good.as_bytes().to_vec().into(), false).unwrap() == numeric(good),
                "{good}"
            );
        }
        for bits in [0x8000_0000_0000_0000_u64, 0xfff8_0000_0000_0000, 0x7ff8_0000_0000_0001] {
            assert!(decode(PlainType::Float8, bits.to_be_bytes().to_vec().into(), false).is_err());
        }
        for bits in [0x8000_0000_u32, 0xffc0_0000, 0x7f80_0001] {
            assert!(decode(PlainType::Float4, bits.to_be_bytes().to_vec().into(), false).is_err());
        }
    }

    #[test]
    fn stored_numbers_keep_their_scale_in_one_spelling() {
        for (given, stored, shortest) in [
            ("1.00", "1.00", "1"),
            ("-12.50", "-12.50", "-12.5"),
            ("100", "100", "100"),
            ("0.000", "0.000", "0"),
            ("-0.00", "0.00", "0"),
            ("+007.10", "7.10", "7.1"),
            (".5", "0.5", "0.5"),
            ("5.", "5", "5"),
            ("NaN", "NaN", "NaN"),
            ("-Infinity", "-Infinity", "-Infinity"),
            (".", ".", "."),
            ("1e5", "1e5", "1e5"),
        ] {
            assert_eq!(&*encode(&numeric(given), 0), stored.as_bytes());
            assert_eq!(&*canonical(&numeric(given)), shortest.as_bytes());
        }
    }

    #[test]
    fn floats_have_one_zero_and_one_nan() {
        assert_eq!(*canonical(&Value::Float8(-0.0)), *canonical(&Value::Float8(0.0)));
        assert_eq!(*encode(&Value::Float4(-0.0), 0), [0; 4]);
        let other_nan = f64::from_bits(0xfff8_0000_0000_1234);
        assert_eq!(*encode(&Value::Float8(other_nan), 0), NAN8.to_be_bytes());
        assert_eq!(*encode(&Value::Float4(-f32::NAN), 0), NAN4.to_be_bytes());
    }

    #[test]
    fn numbers_in_jsonb_take_their_shortest_form_and_strings_stay() {
        for (given, want) in [
            (r#"{"a": 1.00, "b": [-0.0, 10, 2.50]}"#, r#"{"a": 1, "b": [0, 10, 2.5]}"#),
            (r#"{"1.00": "2.00", "\"3.00": null}"#, r#"{"1.00": "2.00", "\"3.00": null}"#),
            (r#""\\""#, r#""\\""#),
            ("1.0", "1"),
            ("\"1.0", "\"1.0"),
            ("", ""),
            ("[\"é1.0\", 1.0]", "[\"é1.0\", 1]"),
        ] {
            assert_eq!(&*canonical(&Value::Jsonb(given.into())), want.as_bytes());
            assert_eq!(&*encode(&Value::Jsonb(given.into()), 0), given.as_bytes());
        }
    }
}
