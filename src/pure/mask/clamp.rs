//! `clamp`: a value outside two bounds becomes the nearer one. The order is PostgreSQL's: NaN is above every number.

use super::number::Decimal;
use crate::pure::plaintext::Value;
use std::cmp::Ordering;

/// `clamp` on a number, date or timestamp with bounds of the same type; `None` where the types differ or have no order.
pub fn clamp(value: &Value, low: Option<&Value>, high: Option<&Value>) -> Option<Value> {
    let below = low.map(|low| order(value, low)).map_or(Some(false), |o| o.map(Ordering::is_lt))?;
    let above = high.map(|high| order(value, high)).map_or(Some(false), |o| o.map(Ordering::is_gt))?;
    let shown = match (low, high) {
        (Some(low), _) if below => low,
        (_, Some(high)) if above => high,
        _ => value,
    };
    Some(shown.clone())
}

/// The order of two values of one type, where the mask takes that type.
pub fn order(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Int2(a), Value::Int2(b)) => a.cmp(b),
        (Value::Int4(a), Value::Int4(b)) => a.cmp(b),
        (Value::Int8(a), Value::Int8(b)) => a.cmp(b),
        (Value::Float4(a), Value::Float4(b)) => float((*a).into(), (*b).into()),
        (Value::Float8(a), Value::Float8(b)) => float(*a, *b),
        (Value::Numeric(a), Value::Numeric(b)) => numeric(a, b)?,
        // the infinities are the ends of the integers
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Timestamptz(a), Value::Timestamptz(b)) => a.cmp(b),
        _ => return None,
    })
}

/// PostgreSQL's order of floats: NaN is equal to itself and above all numbers.
pub fn float(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Where a numeric that is no decimal stands: below all, above all.
fn place(text: &str) -> i8 {
    match text {
        "-Infinity" => -1,
        "Infinity" => 1,
        "NaN" => 2,
        _ => 0,
    }
}

fn numeric(a: &str, b: &str) -> Option<Ordering> {
    if place(a) != 0 || place(b) != 0 {
        return Some(place(a).cmp(&place(b)));
    }
    let (a, b) = (Decimal::parse(a)?, Decimal::parse(b)?);
    let zero = |d: &Decimal| d.integer.bytes().chain(d.fraction.bytes()).all(|digit| digit == b'0');
    let negative = |d: &Decimal| d.negative && !zero(d);
    let size = || {
        let (x, y) = (a.integer.trim_start_matches('0'), b.integer.trim_start_matches('0'));
        let (p, q) = (a.fraction.trim_end_matches('0'), b.fraction.trim_end_matches('0'));
        // a fraction that is the beginning of another is smaller, as texts are
        x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| p.cmp(q))
    };
    Some(match (negative(&a), negative(&b)) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => size(),
        (true, true) => size().reverse(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric_clamp(value: &str) -> String {
        let text = |t: &str| Value::Numeric(t.into());
        match clamp(&text(value), Some(&text("-10.50")), Some(&text("0099.9"))) {
            Some(Value::Numeric(shown)) => shown,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers() {
        for (value, shown) in [
            ("-10.5", "-10.5"),
            ("-10.501", "-10.50"),
            ("-11", "-10.50"),
            ("-1", "-1"),
            ("0", "0"),
            ("-0.0", "-0.0"),
            ("99.90", "99.90"),
            ("99.901", "0099.9"),
            ("100", "0099.9"),
            ("9.99", "9.99"),
            ("Infinity", "0099.9"),
            ("-Infinity", "-10.50"),
            ("NaN", "0099.9"),
        ] {
            assert_eq!(numeric_clamp(value), shown, "{value}");
        }
        let (low, high) = (Value::Int4(20_000), Value::Int4(40_000));
        for (value, shown) in [(45_489, 40_000), (-3, 20_000), (30_000, 30_000)] {
            assert_eq!(clamp(&Value::Int4(value), Some(&low), Some(&high)), Some(Value::Int4(shown)));
        }
        assert_eq!(clamp(&Value::Int4(5), None, Some(&high)), Some(Value::Int4(5)));
        assert_eq!(clamp(&Value::Int8(5), None, Some(&high)), None, "another type");
        let (low, high) = (Value::Float8(0.0), Value::Float8(1.0));
        for (value, shown) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (f64::NEG_INFINITY, 0.0), (0.5, 0.5)] {
            assert_eq!(clamp(&Value::Float8(value), Some(&low), Some(&high)), Some(Value::Float8(shown)));
        }
    }

    #[test]
    fn dates() {
        let low = Value::Date(-21_914);
        assert_eq!(clamp(&Value::Date(i32::MIN), Some(&low), None), Some(low.clone()));
        assert_eq!(clamp(&Value::Date(i32::MAX), Some(&low), None), Some(Value::Date(i32::MAX)));
    }
}
