//! `date_shift` and `noise`: what is added is a pseudo-random function of the data subject, the same in every read, so that
//! averaging gains nothing (C11).
//!
//! The function's input is a list of items, each prefixed by its length (u32, big endian), so that no two lists meet (C9).

use zeroize::Zeroizing;

use super::calendar::{DAY, END_MICROS, MAX_DAYS, MIN_DAYS, MIN_MICROS};
use super::keyed::encode;
use super::number::{add, printed, Decimal};
use super::value::Step;
use crate::pure::keyring::RuleKey;
use crate::pure::plaintext::Value;

/// The PRF's first 64 bits for a list of values.
fn draw<'a>(key: &RuleKey, items: impl IntoIterator<Item = &'a Value>) -> u64 {
    let mut input = Zeroizing::new(Vec::with_capacity(64));
    for item in items {
        let bytes = encode(item);
        // nothing in Postgres is longer than 1 GiB
        input.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        input.extend_from_slice(&bytes);
    }
    key.prf(&[&input]).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The days by which a subject's dates are moved: from `-days` to `days` without 0. `days` is part of the input, so that two
/// shifts of one date tell nothing of each other.
pub fn offset(key: &RuleKey, subject: &[Value], days: u32) -> i64 {
    let span = u64::from(days.max(1));
    let width = Value::Int8(i64::from(days));
    // the bias is below 2^-51
    let drawn = draw(key, subject.iter().chain([&width])) % (2 * span);
    let (drawn, span) = (drawn as i64, span as i64);
    if drawn < span {
        drawn - span
    } else {
        drawn - span + 1
    }
}

/// A date, timestamp or timestamptz moved by days; `None` for any other value. Infinities stay, a result outside the
/// calendar is its nearest end.
pub fn shift(value: &Value, days: i64) -> Option<Value> {
    let micros = |value: i64| match value {
        i64::MIN | i64::MAX => value,
        _ => value.saturating_add(days.saturating_mul(DAY)).clamp(MIN_MICROS, END_MICROS - 1),
    };
    Some(match value {
        Value::Date(i32::MIN | i32::MAX) => value.clone(),
        Value::Date(day) => {
            let moved = i64::from(*day).saturating_add(days).clamp(MIN_DAYS.into(), MAX_DAYS.into());
            Value::Date(i32::try_from(moved).unwrap_or(MAX_DAYS))
        }
        Value::Timestamp(value) => Value::Timestamp(micros(*value)),
        Value::Timestamptz(value) => Value::Timestamptz(micros(*value)),
        _ => return None,
    })
}

/// The most decimals of a ratio: with them the arithmetic stays in 128 bits.
pub const RATIO_DECIMALS: u32 = 15;

/// The noise of a subject's value: v + w × (2r + 1 − 2^64) / 2^64 with w = max(abs, ratio × |v|) and r the 64 bits that
/// subject, value, abs and ratio draw, rounded half away from zero to the decimals of `abs`. `None` for a value that is no
/// number. The widths are part of what is drawn, so that two of them give two samples and not the value by a subtraction.
///
/// Exact, in decimal digits, so every CPU gives the same; linear in the length of the value.
pub fn noise(key: &RuleKey, subject: &[Value], value: &Value, abs: &Step, ratio: Option<&Step>) -> Option<Value> {
    let widths = [abs.to_string(), ratio.map_or("0".to_owned(), Step::to_string)].map(Value::Numeric);
    let drawn = draw(key, subject.iter().chain([value]).chain(&widths));
    let moved = |text: &str| noised(text, drawn, abs, ratio);
    // abs is whole for integers, so the result is
    let integer = |v: i64, min: i64, max: i64| {
        let text = moved(&v.to_string());
        text.parse().unwrap_or(if text.starts_with('-') { min } else { max }).clamp(min, max)
    };
    Some(match value {
        // the range of the type bounds the result, so the narrowing below keeps it
        Value::Int2(v) => Value::Int2(integer((*v).into(), i16::MIN.into(), i16::MAX.into()) as i16),
        Value::Int4(v) => Value::Int4(integer((*v).into(), i32::MIN.into(), i32::MAX.into()) as i32),
        Value::Int8(v) => Value::Int8(integer(*v, i64::MIN, i64::MAX)),
        Value::Numeric(v) => Value::Numeric(moved(v)),
        Value::Float4(v) if v.is_finite() => {
            Value::Float4(moved(&v.to_string()).parse().unwrap_or(f32::NAN).clamp(f32::MIN, f32::MAX))
        }
        Value::Float8(v) if v.is_finite() => {
            Value::Float8(moved(&v.to_string()).parse().unwrap_or(f64::NAN).clamp(f64::MIN, f64::MAX))
        }
        Value::Float4(_) | Value::Float8(_) => value.clone(),
        _ => return None,
    })
}

/// [`noise`] on a decimal. `NaN` and the infinities stay; what is no such text gives `NaN` (fail closed).
fn noised(text: &str, drawn: u64, abs: &Step, ratio: Option<&Step>) -> String {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return text.to_owned();
    }
    let Some(decimal) = Decimal::parse(text) else { return "NaN".to_owned() };
    let size: Vec<u8> = decimal.integer.bytes().chain(decimal.fraction.bytes()).map(|digit| digit - b'0').collect();
    let scale = abs.scale() as usize;
    // 2r + 1 − 2^64, odd: sign and size
    let (up, size_of_draw) = match drawn.checked_sub(1 << 63) {
        Some(above) => (true, u128::from(above) * 2 + 1),
        None => (false, (1u128 << 64) - 2 * u128::from(drawn) - 1),
    };
    // a number of `decimals` decimals, times 2^64
    let (number, decimals, negative) = match ratio.filter(|ratio| exceeds(&size, decimal.fraction.len(), ratio, abs)) {
        Some(ratio) => {
            let unit = 10u128.pow(ratio.scale()) << 64;
            let part = u128::from(ratio.mantissa()) * size_of_draw;
            // away from zero if value and draw have one sign
            let factor = if up == decimal.negative { unit.saturating_sub(part) } else { unit + part };
            (times(size, factor), decimal.fraction.len() + ratio.scale() as usize, decimal.negative)
        }
        None => {
            let decimals = decimal.fraction.len().max(scale);
            let mut value = times(size, 1 << 64);
            value.resize(value.len() + decimals - decimal.fraction.len(), 0);
            let mut added = times(vec![1], u128::from(abs.mantissa()) * size_of_draw);
            added.resize(added.len() + decimals - scale, 0);
            let (sum, negative) = signed_sum((value, decimal.negative), (added, !up));
            (sum, decimals, negative)
        }
    };
    rounded(number, decimals, negative, scale)
}

/// Whether ratio × |v| is above abs: v as digits with `decimals` decimals.
fn exceeds(size: &[u8], decimals: usize, ratio: &Step, abs: &Step) -> bool {
    let part = (times(size.to_vec(), ratio.mantissa().into()), decimals + ratio.scale() as usize);
    let whole = (times(vec![1], abs.mantissa().into()), abs.scale() as usize);
    let places = part.1.max(whole.1);
    let aligned = |(mut digits, decimals): (Vec<u8>, usize)| {
        digits.resize(digits.len() + places - decimals, 0);
        digits
    };
    compare(&aligned(part), &aligned(whole)).is_gt()
}

/// A number of `decimals` decimals, times 2^64, as a numeric of `scale` decimals, half away from zero.
fn rounded(number: Vec<u8>, decimals: usize, negative: bool, scale: usize) -> String {
    // one digit more than are wanted, so that the first that is dropped decides
    let places = decimals.max(scale) + 1;
    let mut digits = number;
    digits.resize(digits.len() + places - decimals, 0);
    let mut rest = 0u128;
    for digit in &mut digits {
        rest = rest * 10 + u128::from(*digit);
        // below 10: the rest was below 2^64
        *digit = (rest >> 64) as u8;
        rest &= u128::from(u64::MAX);
    }
    // a digit before the point, and one for a carry
    let missing = (places + 2).saturating_sub(digits.len());
    let mut digits = [vec![0; missing + 1], digits].concat();
    let cut = digits.len() - (places - scale);
    let up = digits.get(cut).is_some_and(|dropped| *dropped >= 5);
    digits.truncate(cut);
    digits.iter_mut().for_each(|digit| *digit += b'0');
    if up {
        add(&mut digits, 1);
    }
    printed(digits, negative, scale)
}

/// A digit string times a factor of at most 10^18 × 2^65.
fn times(mut digits: Vec<u8>, factor: u128) -> Vec<u8> {
    let mut carry = 0u128;
    for digit in digits.iter_mut().rev() {
        carry += u128::from(*digit) * factor;
        *digit = (carry % 10) as u8;
        carry /= 10;
    }
    let mut front = Vec::new();
    while carry > 0 {
        front.push((carry % 10) as u8);
        carry /= 10;
    }
    front.reverse();
    front.extend_from_slice(&digits);
    front
}

fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let zeros = |digits: &[u8]| digits.iter().take_while(|digit| **digit == 0).count();
    let (a, b) = (&a[zeros(a)..], &b[zeros(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The sum of two signed numbers with the same decimals: size, and whether it is negative.
fn signed_sum(a: (Vec<u8>, bool), b: (Vec<u8>, bool)) -> (Vec<u8>, bool) {
    let (large, small) = if compare(&a.0, &b.0).is_lt() { (b, a) } else { (a, b) };
    let (mut digits, negative) = large;
    // leading zeros of the smaller one may be longer than the other
    let room = (small.0.len() + 1).saturating_sub(digits.len());
    digits.splice(0..0, vec![0; room]);
    let subtract = negative != small.1;
    let mut carry = 0i8;
    let mut other = small.0.iter().rev();
    for digit in digits.iter_mut().rev() {
        let next = other.next().map_or(0, |digit| *digit as i8);
        let sum = *digit as i8 + carry + if subtract { -next } else { next };
        *digit = sum.rem_euclid(10) as u8;
        carry = sum.div_euclid(10);
    }
    if carry > 0 {
        digits.insert(0, 1);
    }
    (digits, negative)
}
