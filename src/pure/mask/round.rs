//! `round_sig`: numbers to a few significant digits, half away from zero, in exact decimals; a float counts as its
//! shortest decimal. Nothing here fails: infinities and NaN stay, a result outside the type's range is clamped to it.

use super::number::{add, printed, Decimal, ROOM};
use crate::pure::plaintext::Value;

/// `round_sig` on any number; `None` for a value that is none.
pub fn round_sig(value: &Value, digits: u32) -> Option<Value> {
    Some(match value {
        // the range of the type bounds the result, so the narrowing below keeps it
        Value::Int2(value) => {
            Value::Int2(round_sig_i64((*value).into(), digits, i16::MIN.into(), i16::MAX.into()) as i16)
        }
        Value::Int4(value) => {
            Value::Int4(round_sig_i64((*value).into(), digits, i32::MIN.into(), i32::MAX.into()) as i32)
        }
        Value::Int8(value) => Value::Int8(round_sig_i64(*value, digits, i64::MIN, i64::MAX)),
        Value::Numeric(value) => Value::Numeric(round_sig_numeric(value, digits)),
        Value::Float4(value) => Value::Float4(round_sig_f32(*value, digits)),
        Value::Float8(value) => Value::Float8(round_sig_f64(*value, digits)),
        _ => return None,
    })
}

/// `round_sig` on an integer, clamped to `min..=max`.
pub fn round_sig_i64(value: i64, digits: u32, min: i64, max: i64) -> i64 {
    let size = i128::from(value).unsigned_abs();
    let surplus = size.checked_ilog10().map_or(0, |power| (power + 1).saturating_sub(digits));
    let unit = 10u128.pow(surplus);
    // below 10^20
    let rounded = (size + unit / 2) / unit * unit;
    let rounded = i64::try_from(rounded).unwrap_or(i64::MAX);
    match value < 0 {
        // the one size that only a negative number has was rounded past the range, or is it
        true if rounded == i64::MAX => min,
        true => (-rounded).clamp(min, max),
        false => rounded.clamp(min, max),
    }
}

/// `round_sig` on a `double precision`. Infinities and NaN stay.
pub fn round_sig_f64(value: f64, digits: u32) -> f64 {
    if !value.is_finite() {
        return value;
    }
    round_sig_numeric(&value.to_string(), digits).parse().unwrap_or(f64::NAN).clamp(f64::MIN, f64::MAX)
}

/// `round_sig` on a `real`. Infinities and NaN stay.
pub fn round_sig_f32(value: f32, digits: u32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    round_sig_numeric(&value.to_string(), digits).parse().unwrap_or(f32::NAN).clamp(f32::MIN, f32::MAX)
}

/// `round_sig` on a `numeric` in PostgreSQL's output form, to digits − 1 − ⌊log10 |v|⌋ decimals. Linear in its length.
///
/// `NaN` and the infinities stay; what is no such text gives `NaN` (fail closed).
pub fn round_sig_numeric(value: &str, digits: u32) -> String {
    if matches!(value, "NaN" | "Infinity" | "-Infinity") {
        return value.to_owned();
    }
    let Some(decimal) = Decimal::parse(value) else { return "NaN".to_owned() };
    let (whole, scale) = (decimal.integer.len(), decimal.fraction.len());
    let mut all = Vec::with_capacity(ROOM + whole + scale);
    all.resize(ROOM, b'0');
    all.extend_from_slice(decimal.integer.as_bytes());
    all.extend_from_slice(decimal.fraction.as_bytes());
    let Some(first) = all.iter().position(|digit| *digit != b'0') else { return "0".to_owned() };
    let cut = first + digits as usize;
    let Some(dropped) = all.get(cut).copied() else { return printed(all, decimal.negative, scale) };
    all.truncate(cut);
    if dropped >= b'5' {
        add(&mut all, 1);
    }
    let point = ROOM + whole;
    let scale = cut.saturating_sub(point);
    all.resize(cut.max(point), b'0');
    printed(all, decimal.negative, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (value, digits, rounded) in [
            ("48213.2", 2, "48000"),
            ("-48213", 2, "-48000"),
            ("0.004567", 2, "0.0046"),
            ("9.96", 2, "10.0"),
            ("42", 2, "42"),
            ("4", 2, "4"),
            ("42.00", 2, "42"),
            ("42.00", 4, "42.00"),
            ("0", 2, "0"),
            ("0.00", 2, "0"),
            ("45", 1, "50"),
            ("-45", 1, "-50"),
            ("44.999", 1, "40"),
            ("0.95", 1, "1.0"),
            ("0.000095", 1, "0.00010"),
            ("999999", 6, "999999"),
            ("999999.5", 6, "1000000"),
            ("NaN", 1, "NaN"),
            ("-Infinity", 1, "-Infinity"),
            ("rubbish", 1, "NaN"),
        ] {
            assert_eq!(round_sig_numeric(value, digits), rounded, "{value} to {digits}");
        }
    }

    #[test]
    fn integers() {
        let int2 = |value, digits| round_sig_i64(value, digits, i16::MIN.into(), i16::MAX.into());
        assert_eq!(int2(32_767, 2), 32_767, "33000, clamped");
        assert_eq!(int2(-32_768, 2), -32_768);
        assert_eq!((int2(45, 1), int2(44, 1), int2(-45, 1), int2(0, 1), int2(7, 1)), (50, 40, -50, 0, 7));
        let int8 = |value, digits| round_sig_i64(value, digits, i64::MIN, i64::MAX);
        assert_eq!((int8(i64::MAX, 1), int8(i64::MIN, 1)), (9_000_000_000_000_000_000, -9_000_000_000_000_000_000));
        assert_eq!((int8(i64::MAX, 3), int8(i64::MIN, 3)), (9_220_000_000_000_000_000, -9_220_000_000_000_000_000));
        assert_eq!((int8(i64::MAX, 2), int8(i64::MIN, 6)), (9_200_000_000_000_000_000, -9_223_370_000_000_000_000));
    }

    /// An integer and the same numeric round alike.
    #[test]
    fn integers_round_as_decimals_do() {
        for value in (-12_000..12_000_i64).chain([i64::from(i32::MAX), 123_456_789_012, -999_999_999_999]) {
            for digits in 1..=6 {
                let decimal = round_sig_numeric(&value.to_string(), digits);
                assert_eq!(
                    round_sig_i64(value, digits, i64::MIN, i64::MAX).to_string(),
                    decimal,
                    "{value} to {digits}"
                );
            }
        }
    }

    #[test]
    fn floats() {
        assert_eq!(round_sig_f64(0.3, 1), 0.3);
        assert_eq!(round_sig_f64(1.25e-10, 2), 1.3e-10);
        assert_eq!(round_sig_f64(f64::MAX, 1), f64::MAX);
        assert_eq!(round_sig_f64(f64::MIN, 3), f64::MIN);
        assert_eq!(round_sig_f32(f32::MAX, 6), 3.402_82e38);
        assert!(round_sig_f64(f64::NAN, 1).is_nan() && round_sig_f32(f32::INFINITY, 1).is_infinite());
    }

    #[test]
    fn a_numeric_at_the_end_of_its_range_is_clamped() {
        let most = "9".repeat(131_072);
        assert_eq!(round_sig_numeric(&most, 3), most);
    }
}
