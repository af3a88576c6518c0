//! Masks on numbers, in exact decimal arithmetic; a float counts as its shortest decimal.
//!
//! Nothing here fails: infinities and NaN stay, a result outside the type's range is clamped to it. Work is linear in
//! the size of the value, a numeric of 147,455 digits included: a bucket is found by a remainder over the digits, never
//! by a division of big numbers.

use std::fmt;

use crate::pure::plaintext::Value;

/// Significant digits a step may have, and decimals: what keeps the arithmetic in machine words.
const STEP_DIGITS: u32 = 18;

/// The step of `bucket` and the width of `noise`: an exact decimal above 0, `mantissa / 10^scale`, of at most 18 digits and 18 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    mantissa: u64,
    scale: u32,
}

impl Step {
    /// Reads a plain decimal such as `10` or `0.50`, whose decimals are the scale of every result. `None` if it is not
    /// above 0, not a plain decimal, or has more than 18 digits before or after the point, or in all.
    pub fn parse(text: &str) -> Option<Step> {
        let decimal = Decimal::parse(text).filter(|decimal| !decimal.negative)?;
        let scale = u32::try_from(decimal.fraction.len()).ok().filter(|scale| *scale <= STEP_DIGITS)?;
        let mut mantissa: u64 = 0;
        for digit in decimal.integer.bytes().chain(decimal.fraction.bytes()) {
            mantissa = mantissa.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        }
        (mantissa > 0 && mantissa <= 10u64.pow(STEP_DIGITS)).then_some(Step { mantissa, scale })
    }

    /// Its digits as a whole number: the step is `mantissa / 10^scale`.
    pub(super) fn mantissa(&self) -> u64 {
        self.mantissa
    }

    /// Its decimals.
    pub(super) fn scale(&self) -> u32 {
        self.scale
    }

    /// The step as a whole number, if it is one.
    pub fn whole(&self) -> Option<u64> {
        let unit = 10u64.pow(self.scale);
        self.mantissa.is_multiple_of(unit).then(|| self.mantissa / unit)
    }

    /// The step as a JSON number. Exact for every step that was read from one.
    pub fn to_json(&self) -> serde_json::Value {
        if self.scale == 0 {
            return self.mantissa.into();
        }
        self.to_string().parse::<f64>().unwrap_or_default().into()
    }
}

impl fmt::Display for Step {
    /// The exact decimal, with its scale: what [`Step::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u64.pow(self.scale);
        write!(f, "{}", self.mantissa / unit)?;
        if self.scale > 0 {
            write!(f, ".{:0width$}", self.mantissa % unit, width = self.scale as usize)?;
        }
        Ok(())
    }
}

/// `bucket` on any number; `None` for a value that is none.
pub fn bucket(value: &Value, step: &Step) -> Option<Value> {
    Some(match value {
        // the range of the type bounds the result, so the narrowing below keeps it
        Value::Int2(value) => Value::Int2(bucket_i64((*value).into(), step, i16::MIN.into(), i16::MAX.into()) as i16),
        Value::Int4(value) => Value::Int4(bucket_i64((*value).into(), step, i32::MIN.into(), i32::MAX.into()) as i32),
        Value::Int8(value) => Value::Int8(bucket_i64(*value, step, i64::MIN, i64::MAX)),
        Value::Numeric(value) => Value::Numeric(bucket_numeric(value, step)),
        Value::Float4(value) => Value::Float4(bucket_f32(*value, step)),
        Value::Float8(value) => Value::Float8(bucket_f64(*value, step)),
        _ => return None,
    })
}

/// `bucket` on an integer: the highest multiple of `step` that is not above it, clamped to `min..=max`.
pub fn bucket_i64(value: i64, step: &Step, min: i64, max: i64) -> i64 {
    // 2^63 × 10^18 stays below 2^123
    let unit = 10i128.pow(step.scale);
    let scaled = i128::from(value) * unit;
    let low = scaled - scaled.rem_euclid(i128::from(step.mantissa));
    i64::try_from(low.div_euclid(unit)).unwrap_or(i64::MIN).clamp(min, max)
}

/// `bucket` on a `double precision`, by its shortest decimal. Infinities and NaN stay.
pub fn bucket_f64(value: f64, step: &Step) -> f64 {
    if !value.is_finite() {
        return value;
    }
    bucket_numeric(&value.to_string(), step).parse().unwrap_or(f64::NAN).clamp(f64::MIN, f64::MAX)
}

/// `bucket` on a `real`, by its shortest decimal. Infinities and NaN stay.
pub fn bucket_f32(value: f32, step: &Step) -> f32 {
    if !value.is_finite() {
        return value;
    }
    bucket_numeric(&value.to_string(), step).parse().unwrap_or(f32::NAN).clamp(f32::MIN, f32::MAX)
}

/// `bucket` on a `numeric` in PostgreSQL's output form: floor(v / step) × step, exactly, with the scale of `step`.
///
/// `NaN` and the infinities stay; what is no such text gives `NaN` (fail closed). Linear: with k decimals in the step,
/// v × 10^k is first cut to an integer (a bucket is a multiple of 10^-k), then loses its remainder by the step's digits.
pub fn bucket_numeric(value: &str, step: &Step) -> String {
    if matches!(value, "NaN" | "Infinity" | "-Infinity") {
        return value.to_owned();
    }
    let Some(decimal) = Decimal::parse(value) else { return "NaN".to_owned() };
    let scale = step.scale as usize;
    let kept = decimal.fraction.len().min(scale);
    let dropped = decimal.fraction.bytes().skip(kept).any(|digit| digit != b'0');
    // room in front for a step longer than the value, and a carry
    let whole = ROOM + decimal.integer.len();
    let mut digits = Vec::with_capacity(whole + scale);
    digits.resize(ROOM, b'0');
    digits.extend_from_slice(decimal.integer.as_bytes());
    digits.extend_from_slice(&decimal.fraction.as_bytes()[..kept]);
    digits.resize(whole + scale, b'0');
    let rest = remainder(&digits, step.mantissa);
    if !decimal.negative {
        subtract(&mut digits, rest);
    } else if rest > 0 || dropped {
        add(&mut digits, step.mantissa - rest);
    }
    printed(digits, decimal.negative, scale)
}

/// Leading zeros that a value gets: the digits of the longest step, and one for a carry.
pub(super) const ROOM: usize = STEP_DIGITS as usize + 2;

/// Digits PostgreSQL's `numeric` holds before the point.
const NUMERIC_DIGITS: usize = 131_072;

/// A digit string as PostgreSQL prints a numeric of that scale, clamped to the type's range.
pub(super) fn printed(mut digits: Vec<u8>, negative: bool, scale: usize) -> String {
    let mut point = digits.len() - scale;
    let mut zeros = digits[..point - 1].iter().take_while(|digit| **digit == b'0').count();
    if point - zeros > NUMERIC_DIGITS {
        // only a negative value can grow past the range: the lowest value of this scale is below every bucket
        digits = vec![b'9'; NUMERIC_DIGITS + scale];
        (point, zeros) = (NUMERIC_DIGITS, 0);
    }
    let mut out = String::with_capacity(digits.len() - zeros + 2);
    if negative && digits.iter().any(|digit| *digit != b'0') {
        out.push('-');
    }
    out.extend(digits[zeros..point].iter().map(|digit| char::from(*digit)));
    if scale > 0 {
        out.push('.');
        out.extend(digits[point..].iter().map(|digit| char::from(*digit)));
    }
    out
}

/// A plain decimal: sign, digits, and perhaps a point and digits. No exponent: PostgreSQL prints none for numeric.
pub(super) struct Decimal<'a> {
    /// Whether it starts with a minus.
    pub negative: bool,
    /// Digits before the point, at least one.
    pub integer: &'a str,
    /// Digits after the point, perhaps none.
    pub fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads the form; `None` for anything else, `NaN` and the infinities included.
    pub fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (integer, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(integer) || !digits(fraction) {
            return None;
        }
        let fraction = if rest.len() == integer.len() { "" } else { fraction };
        Some(Decimal { negative, integer, fraction })
    }
}

/// The remainder of a digit string by a modulus of at most 10^18, eighteen digits at a time.
fn remainder(digits: &[u8], modulus: u64) -> u64 {
    let modulus = u128::from(modulus);
    let mut rest: u128 = 0;
    for chunk in digits.chunks(STEP_DIGITS as usize) {
        let (number, unit) =
            chunk.iter().fold((0u64, 1u64), |(number, unit), digit| (number * 10 + u64::from(digit - b'0'), unit * 10));
        // below 10^36
        rest = (rest * u128::from(unit) + u128::from(number)) % modulus;
    }
    // below the modulus, which is a u64
    u64::try_from(rest).unwrap_or(0)
}

/// Takes a number that is not larger from a digit string, in place.
fn subtract(digits: &mut [u8], mut number: u64) {
    let mut borrow = 0;
    for digit in digits.iter_mut().rev() {
        if number == 0 && borrow == 0 {
            return;
        }
        // 0 to 19: the digit and 10 more, less at most 9 and a borrow
        let left = (*digit - b'0') + 10 - (number % 10) as u8 - borrow;
        *digit = b'0' + left % 10;
        borrow = u8::from(left < 10);
        number /= 10;
    }
}

/// Adds a number to a digit string with room for the carry, in place.
pub(super) fn add(digits: &mut [u8], number: u64) {
    let mut carry = number;
    for digit in digits.iter_mut().rev() {
        if carry == 0 {
            return;
        }
        carry += u64::from(*digit - b'0');
        *digit = b'0' + (carry % 10) as u8;
        carry /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        Step::parse(text).unwrap()
    }

    #[test]
    fn steps() {
        assert_eq!(step("0.50").to_string(), "0.50");
        assert_eq!(step("10").to_string(), "10");
        assert_eq!(step("10.0").whole(), Some(10));
        assert_eq!(step("0.5").whole(), None);
        assert_eq!(step("0.000000000000000001").to_string(), "0.000000000000000001");
        assert_eq!(step("1000000000000000000").whole(), Some(10u64.pow(18)));
        for bad in
            ["", "0", "0.0", "-1", "+1", "1e3", ".5", "5.", "NaN", "1000000000000000001", "0.0000000000000000001"]
        {
            assert!(Step::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn buckets_of_integers() {
        let ten = step("10");
        let int4 = |value: i32| bucket_i64(value.into(), &ten, i32::MIN.into(), i32::MAX.into());
        assert_eq!(int4(47), 40);
        assert_eq!(int4(-5), -10);
        assert_eq!(int4(-40), -40);
        assert_eq!(int4(i32::MIN), i64::from(i32::MIN));
        assert_eq!(int4(i32::MAX), 2_147_483_640);
        assert_eq!(bucket_i64(i64::MIN, &ten, i64::MIN, i64::MAX), i64::MIN);
        assert_eq!(bucket_i64(i64::MIN, &step("0.000000000000000003"), i64::MIN, i64::MAX), i64::MIN);
    }

    #[test]
    fn buckets_of_numerics() {
        let ten = |value| bucket_numeric(value, &step("10"));
        assert_eq!(ten("49.9"), "40");
        assert_eq!(ten("-5"), "-10");
        assert_eq!(ten("-40"), "-40");
        assert_eq!(ten("-40.0000"), "-40");
        assert_eq!(ten("-40.0001"), "-50");
        assert_eq!(ten("-99.5"), "-100");
        assert_eq!(bucket_numeric("-0.1", &step("100")), "-100");
        assert_eq!(bucket_numeric("-1", &step("1000000000000000000")), "-1000000000000000000");
        assert_eq!(bucket_numeric("-999", &step("0.000000000000000001")), "-999.000000000000000000");
        assert_eq!(ten("0.00"), "0");
        assert_eq!(ten("-0.00"), "0");
        assert_eq!(bucket_numeric("49.9", &step("0.5")), "49.5");
        assert_eq!(bucket_numeric("-0.1", &step("0.5")), "-0.5");
        assert_eq!(bucket_numeric("7", &step("0.25")), "7.00");
        assert_eq!(bucket_numeric("0.3", &step("0.1")), "0.3");
        for stays in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(ten(stays), stays);
        }
        for garbage in ["", "-", ".", "1.", ".5", "1e5", "nan", "٣", "1 "] {
            assert_eq!(ten(garbage), "NaN");
        }
    }

    #[test]
    fn buckets_at_the_end_of_numeric() {
        let nines = "9".repeat(NUMERIC_DIGITS);
        assert_eq!(bucket_numeric(&nines, &step("10")), format!("{}0", &nines[1..]));
        assert_eq!(bucket_numeric(&format!("-{nines}"), &step("10")), format!("-{nines}"));
        assert_eq!(bucket_numeric(&format!("-{nines}.5"), &step("0.7")).len(), NUMERIC_DIGITS + 3);
        let long = format!("-{nines}.{}", "9".repeat(16_383));
        assert_eq!(bucket_numeric(&long, &step("0.1")), format!("-{nines}.9"));
        assert_eq!(bucket_numeric(&format!("-{}8", &nines[1..]), &step("3")), format!("-{nines}"));
    }

    #[test]
    fn buckets_of_floats() {
        assert_eq!(bucket_f64(49.9, &step("10")), 40.0);
        assert_eq!(bucket_f64(0.3, &step("0.1")), 0.3);
        assert_eq!(bucket_f32(0.3, &step("0.1")), 0.3);
        assert_eq!(bucket_f64(-0.1, &step("0.5")), -0.5);
        assert_eq!(bucket_f64(f64::MIN, &step("3")), f64::MIN);
        assert_eq!(bucket_f32(f32::MAX, &step("10")), f32::MAX);
        assert_eq!(bucket_f64(-5e-324, &step("10")), -10.0);
        assert!(bucket_f64(-0.0, &step("10")).is_sign_positive());
        assert!(bucket_f64(f64::NAN, &step("10")).is_nan());
        assert_eq!(bucket_f32(f32::NEG_INFINITY, &step("10")), f32::NEG_INFINITY);
    }
}
