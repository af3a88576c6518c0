//! The value of `constant`: text read once, as its column's type, and written in the one form that PostgreSQL reads
//! the same under every DateStyle, TimeZone and extra_float_digits: ISO 8601, plain decimals, `\x` hex.

use crate::pure::plaintext::{PlainType, Value};

use super::address;
use super::calendar::{self, civil, days, DAY};
use super::number::Decimal;

/// The most characters a number may have when it is written out. A constant needs no more, and it bounds exponents.
const NUMBER_LIMIT: usize = 1_000;

/// What a constant of that type looks like, for a hint.
pub fn expected(ty: PlainType) -> &'static str {
    match ty {
        PlainType::Bool => "true or false",
        PlainType::Int2 => "an integer from -32768 to 32767",
        PlainType::Int4 => "an integer from -2147483648 to 2147483647",
        PlainType::Int8 => "an integer from -9223372036854775808 to 9223372036854775807",
        PlainType::Float4 | PlainType::Float8 => "a number such as \"1.5\", or \"NaN\", \"Infinity\", \"-Infinity\"",
        PlainType::Numeric => "a decimal such as \"12.50\", or \"NaN\", \"Infinity\", \"-Infinity\"",
        PlainType::Text => "a text without the character U+0000",
        PlainType::Date => "an ISO date such as \"1970-01-01\", or \"infinity\"",
        PlainType::Timestamp => "an ISO timestamp such as \"1970-01-01 00:00:00\", or \"infinity\"",
        PlainType::Timestamptz => "an ISO timestamp with its zone, such as \"1970-01-01 00:00:00+00\", or \"infinity\"",
        PlainType::Uuid => "a uuid such as \"00000000-0000-0000-0000-000000000000\"",
        PlainType::Jsonb | PlainType::Json => "a JSON document",
        PlainType::Inet => "an address or network such as \"198.51.100.0/24\" or \"2001:db8::/32\"",
        PlainType::Bytea => "bytes as hex, such as \"\\\\x00ff\"",
    }
}

/// Reads a text as a value of the type; `None` if it is none, or outside the type's range.
///
/// Stricter than PostgreSQL: only forms that no session setting can give another meaning. What [`print`] writes is
/// read back as the same value.
pub fn parse(ty: PlainType, text: &str) -> Option<Value> {
    match ty {
        PlainType::Bool => boolean(text).map(Value::Bool),
        PlainType::Int2 => text.parse().ok().map(Value::Int2),
        PlainType::Int4 => text.parse().ok().map(Value::Int4),
        PlainType::Int8 => text.parse().ok().map(Value::Int8),
        PlainType::Float4 => {
            let value: f32 = text.parse().ok()?;
            float_kept(text, value.is_finite(), value == 0.0).then_some(Value::Float4(value))
        }
        PlainType::Float8 => {
            let value: f64 = text.parse().ok()?;
            float_kept(text, value.is_finite(), value == 0.0).then_some(Value::Float8(value))
        }
        PlainType::Numeric => numeric(text).map(Value::Numeric),
        PlainType::Text => (!text.contains('\0')).then(|| Value::Text(text.to_owned())),
        PlainType::Date => date(text).map(Value::Date),
        PlainType::Timestamp => timestamp(text, false).map(Value::Timestamp),
        PlainType::Timestamptz => timestamp(text, true).map(Value::Timestamptz),
        PlainType::Uuid => uuid(text).map(Value::Uuid),
        PlainType::Jsonb => jsonb(text).then(|| Value::Jsonb(text.to_owned())),
        PlainType::Json => jsonb(text).then(|| Value::Json(text.to_owned())),
        PlainType::Inet => address::parse(text).map(Value::Inet),
        PlainType::Bytea => {
            let hex = text.strip_prefix("\\x")?;
            data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().map(Value::Bytea)
        }
    }
}

/// Writes a value in the form above. Only for values that are public, such as a rule's constant (C14).
pub fn print(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int2(value) => value.to_string(),
        Value::Int4(value) => value.to_string(),
        Value::Int8(value) => value.to_string(),
        Value::Float4(value) => value.to_string().replace("inf", "Infinity"),
        Value::Float8(value) => value.to_string().replace("inf", "Infinity"),
        Value::Numeric(value) | Value::Text(value) | Value::Jsonb(value) | Value::Json(value) => value.clone(),
        Value::Inet(value) => value.to_string(),
        Value::Date(i32::MAX) | Value::Timestamp(i64::MAX) | Value::Timestamptz(i64::MAX) => "infinity".to_owned(),
        Value::Date(i32::MIN) | Value::Timestamp(i64::MIN) | Value::Timestamptz(i64::MIN) => "-infinity".to_owned(),
        Value::Date(value) => dated(i64::from(*value), ""),
        Value::Timestamp(value) => dated(value.div_euclid(DAY), &clock(value.rem_euclid(DAY), "")),
        Value::Timestamptz(value) => dated(value.div_euclid(DAY), &clock(value.rem_euclid(DAY), "+00")),
        Value::Uuid(bytes) => {
            let hex = data_encoding::HEXLOWER.encode(bytes);
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
        }
        Value::Bytea(bytes) => format!("\\x{}", data_encoding::HEXLOWER.encode(bytes)),
    }
}

/// PostgreSQL's words for a boolean, in any case.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Whether a float says what its text says: no overflow to infinity and no underflow to zero, which PostgreSQL refuses.
fn float_kept(text: &str, finite: bool, zero: bool) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let named = !text.bytes().any(|byte| byte.is_ascii_digit());
    (finite || named) && !(zero && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
}

/// A numeric in PostgreSQL's output form: an exponent is written out, a plus sign and leading zeros go, decimals stay.
fn numeric(text: &str) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some("NaN".to_owned()),
        "infinity" | "+infinity" | "inf" | "+inf" => return Some("Infinity".to_owned()),
        "-infinity" | "-inf" => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, rest) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let rest = if sign.is_empty() { rest.strip_prefix('+').unwrap_or(rest) } else { rest };
    let (integer, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let digits = format!("{integer}{fraction}");
    let limit = NUMBER_LIMIT as i64;
    let fits = !digits.is_empty() && digits.len() <= NUMBER_LIMIT && (-limit..=limit).contains(&exponent);
    if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // where the point lands: in front of the digits, behind them or among them
    let point = integer.len() as i64 + exponent;
    let (integer, fraction) = if point <= 0 {
        ("0".to_owned(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)))
    } else if point >= digits.len() as i64 {
        (format!("{digits}{}", "0".repeat(point as usize - digits.len())), String::new())
    } else {
        (digits[..point as usize].to_owned(), digits[point as usize..].to_owned())
    };
    let integer = integer.trim_start_matches('0');
    let integer = if integer.is_empty() { "0" } else { integer };
    let plain = if fraction.is_empty() { integer.to_owned() } else { format!("{integer}.{fraction}") };
    let zero = !plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    (Decimal::parse(&plain).is_some() && plain.len() <= NUMBER_LIMIT).then(|| {
        if zero {
            plain.clone()
        } else {
            format!("{sign}{plain}")
        }
    })
}

/// `YYYY-MM-DD`, years of four to seven digits, perhaps ` BC`, or an infinity.
fn date(text: &str) -> Option<i32> {
    match text {
        "infinity" => return Some(i32::MAX),
        "-infinity" => return Some(i32::MIN),
        _ => {}
    }
    let (text, bc) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let day = i32::try_from(calendar_day(text, bc)?).ok()?;
    (calendar::MIN_DAYS..=calendar::MAX_DAYS).contains(&day).then_some(day)
}

/// A date of the calendar in days since 2000-01-01; `None` if there is no such day.
fn calendar_day(text: &str, bc: bool) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(4..=7).contains(&year.len()) {
        return None;
    }
    let (year, month, day) = (number(year)?, two_digits(month)?, two_digits(day)?);
    let year = if bc { 1 - year } else { year };
    if (year == 0 && !bc) || (year == 1 && bc) || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let count = days(year, month, day);
    // a day that the month does not have comes out as another date
    (civil(count) == (year, month, day)).then_some(count)
}

/// `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]` (or `T` for the space), with a zone if and only if `zoned`, perhaps ` BC`.
fn timestamp(text: &str, zoned: bool) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, bc) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let (clock, east) = if zoned { zone(clock)? } else { (clock, 0) };
    let micros = if clock.is_empty() && !zoned { 0 } else { time_of_day(clock)? };
    let local = calendar_day(date, bc)?.checked_mul(DAY)?.checked_add(micros)?;
    let utc = local.checked_sub(east)?;
    (calendar::MIN_MICROS..calendar::END_MICROS).contains(&utc).then_some(utc)
}

/// Splits `Z`, `±HH`, `±HHMM` or `±HH:MM` off a time of day, and gives the microseconds east of Greenwich.
fn zone(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = clock.rfind(['+', '-'])?;
    let offset = &clock[at + 1..];
    if !offset.is_ascii() {
        return None;
    }
    let (hours, minutes) = match offset.len() {
        2 => (offset, "00"),
        4 => offset.split_at(2),
        _ => offset.split_once(':')?,
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    // PostgreSQL takes offsets below sixteen hours
    if hours > 15 || minutes > 59 {
        return None;
    }
    let east = (hours * 60 + minutes) * 60_000_000;
    Some((&clock[..at], if clock[at..].starts_with('-') { -east } else { east }))
}

/// `HH:MM[:SS[.ffffff]]` in microseconds. No 24:00 and no leap second: PostgreSQL would move both to another minute.
fn time_of_day(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() || (fraction.is_some() && seconds.is_none()) {
        return None;
    }
    let (hours, minutes, seconds) = (two_digits(hours)?, two_digits(minutes)?, two_digits(seconds.unwrap_or("00"))?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = match fraction {
        None => 0,
        Some(fraction) if (1..=6).contains(&fraction.len()) => number(fraction)? * 10i64.pow(6 - fraction.len() as u32),
        Some(_) => return None,
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

/// ASCII digits only, at least one and few enough for the callers.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Exactly two digits.
fn two_digits(text: &str) -> Option<i64> {
    (text.len() == 2).then(|| number(text))?
}

/// 32 hex digits, bare or grouped 8-4-4-4-12.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [32] && lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    data_encoding::HEXLOWER_PERMISSIVE.decode(groups.concat().as_bytes()).ok()?.try_into().ok()
}

/// Whether a text is a document that jsonb takes: it refuses U+0000 in strings and in keys.
fn jsonb(text: &str) -> bool {
    fn clean(document: &serde_json::Value) -> bool {
        match document {
            serde_json::Value::String(text) => !text.contains('\0'),
            serde_json::Value::Array(items) => items.iter().all(clean),
            serde_json::Value::Object(members) => {
                members.iter().all(|(name, member)| !name.contains('\0') && clean(member))
            }
            _ => true,
        }
    }
    serde_json::from_str(text).is_ok_and(|document| clean(&document))
}

/// A day as `YYYY-MM-DD`, then the time of day, then ` BC` if it is.
fn dated(day: i64, clock: &str) -> String {
    let (year, month, day) = civil(day);
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}{clock}")
    } else {
        format!("{:04}-{month:02}-{day:02}{clock} BC", 1 - year)
    }
}

/// A time of day as ` HH:MM:SS[.ffffff]` and its zone.
fn clock(micros: i64, zone: &str) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    format!(" {hours:02}:{minutes:02}:{seconds:02}{}{zone}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use PlainType as T;

    fn normal(ty: PlainType, text: &str) -> Option<String> {
        parse(ty, text).map(|value| print(&value))
    }

    #[test]
    fn accepted_and_normalised() {
        for (ty, text, out) in [
            (T::Bool, "Yes", "true"),
            (T::Int2, "-32768", "-32768"),
            (T::Int8, "+7", "7"),
            (T::Float8, "1e3", "1000"),
            (T::Float8, "-Infinity", "-Infinity"),
            (T::Float4, "nan", "NaN"),
            (T::Numeric, "+0012.50", "12.50"),
            (T::Numeric, "-1.25e3", "-1250"),
            (T::Numeric, "1.25e1", "12.5"),
            (T::Numeric, "5e-3", "0.005"),
            (T::Numeric, "-0.0", "0.0"),
            (T::Numeric, ".5", "0.5"),
            (T::Numeric, "inf", "Infinity"),
            (T::Text, "n/a", "n/a"),
            (T::Date, "1970-01-01", "1970-01-01"),
            (T::Date, "0044-03-15 BC", "0044-03-15 BC"),
            (T::Date, "0001-02-29 BC", "0001-02-29 BC"),
            (T::Date, "5874897-12-31", "5874897-12-31"),
            (T::Date, "4714-11-24 BC", "4714-11-24 BC"),
            (T::Timestamp, "1970-01-01", "1970-01-01 00:00:00"),
            (T::Timestamp, "1970-01-01T01:02:03.5", "1970-01-01 01:02:03.5"),
            (T::Timestamptz, "2026-03-01 23:30:00-01:30", "2026-03-02 01:00:00+00"),
            (T::Timestamptz, "2026-03-01T00:00Z", "2026-03-01 00:00:00+00"),
            (T::Timestamptz, "0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
            (T::Timestamptz, "infinity", "infinity"),
            (T::Uuid, "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (T::Jsonb, "{\"a\": 1.10}", "{\"a\": 1.10}"),
            (T::Bytea, "\\xDEadbe", "\\xdeadbe"),
            (T::Bytea, "\\x", "\\x"),
        ] {
            assert_eq!(normal(ty, text).as_deref(), Some(out), "{text}");
            assert_eq!(normal(ty, out).as_deref(), Some(out), "{out} is stable");
        }
    }

    #[test]
    fn refused() {
        for (ty, text) in [
            (T::Bool, "maybe"),
            (T::Int2, "32768"),
            (T::Int4, "n/a"),
            (T::Int4, " 1"),
            (T::Int8, "1.0"),
            (T::Float4, "1e39"),
            (T::Float8, "1e-400"),
            (T::Float8, ""),
            (T::Numeric, ""),
            (T::Numeric, "."),
            (T::Numeric, "1e999999999"),
            (T::Numeric, "1e9223372036854775807"),
            (T::Numeric, "--1"),
            (T::Numeric, "-+1"),
            (T::Numeric, "0x10"),
            (T::Text, "\0"),
            (T::Date, "01/02/1970"),
            (T::Date, "1970-02-29"),
            (T::Date, "1970-1-1"),
            (T::Date, "0000-01-01"),
            (T::Date, "4714-11-23 BC"),
            (T::Date, "5874898-01-01"),
            (T::Date, "70-01-01"),
            (T::Date, "today"),
            (T::Date, "1970-01-01 00:00:00"),
            (T::Timestamp, "1970-01-01 00:00:00+00"),
            (T::Timestamp, "1970-01-01 24:00:00"),
            (T::Timestamp, "1970-01-01 00:00:60"),
            (T::Timestamp, "1970-01-01 00:00:00.1234567"),
            (T::Timestamp, "294277-01-01 00:00:00"),
            (T::Timestamptz, "1970-01-01 00:00:00"),
            (T::Timestamptz, "1970-01-01"),
            (T::Timestamptz, "1970-01-01 00:00:00+16"),
            (T::Timestamptz, "1970-01-01 00:00:00+é"),
            (T::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"),
            (T::Uuid, "a0eebc999c0b-4ef8bb6d-6bb9bd380a11"),
            (T::Jsonb, "{"),
            (T::Jsonb, "{\"a\\u0000\": 1}"),
            (T::Jsonb, "[\"\\u0000\"]"),
            (T::Bytea, "00ff"),
            (T::Bytea, "\\x0"),
        ] {
            assert!(parse(ty, text).is_none(), "{text}");
        }
    }
}
