//! The arguments of masks: read from a scope definition (refused with `AL010` and their JSON path) or from a
//! hand-written view (refused with `22023`). One check serves both, so neither can allow more than the other.

mod call;
mod read;

use serde_json::{Map, Value as Json};

use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::PlainType;

use super::clamp::order;
use super::literal;
use super::pattern::Wrong;
use super::sticky::RATIO_DECIMALS;
use super::value::{Step, Unit};
use super::{fake, Alphabet, Mask, Paths, Pattern, Properties, Show};
use read::*;
use std::cmp::Ordering;

/// The rule object of one column as a mask for a column of type `ty`; see [`Mask::parse`].
pub(super) fn parse(name: &str, args: &Map<String, Json>, path: &str, ty: PlainType) -> Result<Mask> {
    let Some(properties) = Properties::of(name) else {
        let hint = format!("use one of: {}", list(Mask::all().iter().map(|known| known.name)));
        return Err(Error::scope(&member(path, "mask"), format!("unknown mask \"{name}\"")).hint(hint));
    };
    if !properties.accepts.contains(&ty) {
        let others = Mask::all().iter().filter(|known| known.accepts.contains(&ty)).map(|known| known.name);
        let message = format!("mask \"{name}\" does not take a column of type {}", ty.sql_name());
        let hint = format!("\"{name}\" takes {}; such a column can use: {}", properties.types, list(others));
        return Err(Error::scope(&member(path, "mask"), message).hint(hint));
    }
    build(properties, args, Some(ty)).map_err(|refused| refused.in_scope(path))
}

/// A mask from its own canonical JSON; the column's type was checked when it was made.
pub(super) fn from_json(json: &Json) -> Result<Mask> {
    let corrupt = |message: String| Error::new(Kind::Corrupt, message);
    let mut args = json.as_object().cloned().ok_or_else(|| corrupt("stored mask is not an object".to_owned()))?;
    let name = args.shift_remove("mask");
    let name = name.as_ref().and_then(Json::as_str).unwrap_or_default();
    let properties = Properties::of(name).ok_or_else(|| corrupt(format!("stored mask \"{name}\" is unknown")))?;
    build(properties, &args, None).map_err(|refused| corrupt(format!("stored mask: {}", refused.message)))
}

/// Reads the arguments of a known mask. Without a type, what depends on it is taken as it was checked before.
fn build(properties: &'static Properties, args: &Map<String, Json>, ty: Option<PlainType>) -> Read<Mask> {
    let reader = Reader { mask: properties.name, args };
    if let Some(unknown) = args.keys().find(|name| !properties.arguments.contains(&name.as_str())) {
        let hint = match properties.arguments {
            [] => format!("\"{}\" takes no arguments", properties.name),
            known => format!("\"{}\" takes: {}", properties.name, list(known.iter().copied())),
        };
        return Err(Refused::new(unknown, reader.says(unknown, "is unknown"), hint));
    }
    Ok(match properties.name {
        "constant" => Mask::Constant { value: constant(&reader, ty)? },
        "redact" => {
            let (keep_length, keep_space) = (reader.flag("keep_length")?, reader.flag("keep_space")?);
            let fill = redact(reader.fill()?, keep_length, keep_space)?;
            Mask::Redact { fill, keep_length, keep_space }
        }
        "partial" => {
            let (left, right) = (reader.integer("left", 0, WINDOW)?, reader.integer("right", 0, WINDOW)?);
            let min_hidden = reader.integer("min_hidden", 4, MIN_HIDDEN)?;
            let (left, right, fill, min_hidden) = partial(left, right, reader.fill()?, min_hidden)?;
            Mask::Partial { left, right, fill, min_hidden }
        }
        "email" => Mask::Email { show: show(reader.text("show")?.unwrap_or("domain"))? },
        "phone" => {
            let right = counted(reader.integer("right", 2, FEW)?);
            Mask::Phone { country: reader.flag_or("country", true)?, right }
        }
        "card" => {
            let (bin, right) = (reader.integer("bin", 0, BIN)?, reader.integer("right", 4, FEW)?);
            Mask::Card { bin: counted(bin), right: counted(right) }
        }
        "iban" => Mask::Iban { right: counted(reader.integer("right", 0, FEW)?) },
        "ip_prefix" => {
            let (v4, v6) = (reader.integer("v4", 24, V4)?, reader.integer("v6", 48, V6)?);
            Mask::IpPrefix { v4: bits_of(v4), v6: bits_of(v6) }
        }
        "url" => Mask::Url { path: reader.flag("path")? },
        "initials" => Mask::Initials { max: initials(reader.integer("max", 3, INITIALS)?)? },
        "date_trunc" => {
            let allowed = units(ty);
            let label = reader.text("unit")?.ok_or_else(|| reader.missing("unit", unit_hint(&allowed)))?;
            Mask::DateTrunc { unit: unit(label, &allowed)? }
        }
        "age_band" => {
            let (width, cap) = (reader.integer("width", 10, WIDTH)?, reader.integer("cap", 90, CAP)?);
            let year = if args.contains_key("year") { Some(reader.integer("year", 0, YEAR)?) } else { None };
            Mask::AgeBand { width: small(width), cap: small(cap), year: year.map(small) }
        }
        "bucket" => {
            let given = reader.get("step").ok_or_else(|| reader.missing("step", step_hint(ty)))?;
            let Json::Number(given) = given else {
                return Err(Refused::new("step", reader.says("step", "must be a number"), step_hint(ty)));
            };
            Mask::Bucket { step: step(&exact(given).unwrap_or_default(), ty)? }
        }
        "round_sig" => Mask::RoundSig { digits: counted(reader.integer("digits", 1, DIGITS)?) },
        "clamp" => {
            let (low, high) = (bound(&reader, "low", ty)?, bound(&reader, "high", ty)?);
            clamp(low, high, ty)?
        }
        "json" => Mask::Json { keep: keep(&reader.texts("keep")?)? },
        "regex" => {
            let need = |argument| reader.text(argument)?.ok_or_else(|| reader.missing(argument, REGEX_HINT.to_owned()));
            Mask::Regex { pattern: pattern(need("pattern")?, need("replace")?)? }
        }
        "pseudonym_int" => Mask::PseudonymInt { bits: bits(reader.integer("bits", 64, BITS)?, ty)? },
        "pseudonym_uuid" => Mask::PseudonymUuid,
        "fpe" => Mask::Fpe { alphabet: alphabet(reader.text("alphabet")?.unwrap_or("digits"))? },
        "fake" => {
            let given = reader.text("kind")?.ok_or_else(|| reader.missing("kind", kind_hint()))?;
            locale(reader.text("locale")?.unwrap_or(fake::LOCALE))?;
            Mask::Fake { kind: kind(given)? }
        }
        "hash_bucket" => Mask::HashBucket { buckets: counted(reader.integer("buckets", 16, BUCKETS)?) },
        "pseudonym" => {
            let (length, fold) = (reader.integer("length", 26, LENGTH)?, reader.flag("fold")?);
            if fold && ty.is_some_and(|ty| ty != PlainType::Text) {
                let hint = "leave \"fold\" out: it lower-cases a text before it is hashed";
                return Err(Refused::new("fold", reader.says("fold", "is for text columns only"), hint));
            }
            Mask::Pseudonym { length: u8::try_from(length).unwrap_or(u8::MAX), fold }
        }
        "date_shift" => {
            reader.get("days").ok_or_else(|| reader.missing("days", range_hint(&DAYS)))?;
            Mask::DateShift { days: counted(reader.integer("days", 0, DAYS)?) }
        }
        "noise" => noise(&reader, ty)?,
        "nullify" => Mask::Nullify,
        // a mask that is declared and cannot be read must not become another one
        other => return Err(Refused::new("mask", format!("mask \"{other}\" cannot be read"), "report this as a bug")),
    })
}

fn redact(fill: char, keep_length: bool, keep_space: bool) -> Read<char> {
    if keep_space && !keep_length {
        let message = "argument \"keep_space\" of mask \"redact\" needs \"keep_length\"".to_owned();
        return Err(Refused::new("keep_space", message, "set keep_length to true as well, or leave keep_space out"));
    }
    Ok(fill)
}

fn partial(left: i64, right: i64, fill: char, min_hidden: i64) -> Read<(u32, u32, char, u32)> {
    if left == 0 && right == 0 {
        let message = "mask \"partial\" needs \"left\" or \"right\" above 0".to_owned();
        return Err(Refused::new("right", message, "say how many characters stay, such as right 4; or use redact"));
    }
    Ok((counted(left), counted(right), fill, counted(min_hidden)))
}

fn initials(max: i64) -> Read<u32> {
    in_range("initials", "max", max, INITIALS).map(counted)
}

/// The units a type can be cut to: a date has no day or hour to lose.
fn units(ty: Option<PlainType>) -> Vec<Unit> {
    let dates = ty == Some(PlainType::Date);
    Unit::ALL.into_iter().filter(|unit| !(dates && matches!(unit, Unit::Day | Unit::Hour))).collect()
}

fn unit_hint(allowed: &[Unit]) -> String {
    format!("use one of: {}", list(allowed.iter().map(|unit| unit.label())))
}

fn unit(label: &str, allowed: &[Unit]) -> Read<Unit> {
    Unit::from_label(label).filter(|unit| allowed.contains(unit)).ok_or_else(|| {
        let what = if Unit::from_label(label).is_some() { "would leave a date whole" } else { "is unknown" };
        let message = format!("unit \"{label}\" of mask \"date_trunc\" {what}");
        Refused::new("unit", message, unit_hint(allowed))
    })
}

fn integral(ty: Option<PlainType>) -> bool {
    matches!(ty, Some(PlainType::Int2 | PlainType::Int4 | PlainType::Int8))
}

fn step_hint(ty: Option<PlainType>) -> String {
    if integral(ty) {
        "use a whole number from 2 to 1000000000000000000".to_owned()
    } else {
        "use a number above 0 of at most 15 digits, such as 10 or 0.5".to_owned()
    }
}

fn step(text: &str, ty: Option<PlainType>) -> Read<Step> {
    let step = Step::parse(text).filter(|step| !integral(ty) || step.whole().is_some_and(|whole| whole >= 2));
    step.ok_or_else(|| {
        let message = "argument \"step\" of mask \"bucket\" is out of range".to_owned();
        Refused::new("step", message, step_hint(ty))
    })
}

/// `abs`, above 0 and whole for integers, and `ratio`, from 0 to 1.
fn noise(reader: &Reader, ty: Option<PlainType>) -> Read<Mask> {
    let whole = integral(ty);
    let hint = match whole {
        true => "use a whole number from 1 to 1000000000000000000",
        false => "use a number above 0 of at most 15 digits, such as 100 or 0.5",
    };
    let number = |argument| match reader.get(argument) {
        None => Ok(None),
        Some(Json::Number(given)) => Ok(Some(exact(given).unwrap_or_default())),
        Some(_) => Err(Refused::new(argument, reader.says(argument, "must be a number"), "write it without quotes")),
    };
    let out_of_range = |argument, hint| Refused::new(argument, reader.says(argument, "is out of range"), hint);
    let abs = number("abs")?.ok_or_else(|| reader.missing("abs", hint.to_owned()))?;
    let abs = Step::parse(&abs).filter(|abs| !whole || abs.whole().is_some());
    let abs = abs.ok_or_else(|| out_of_range("abs", hint))?;
    let ratio = match number("ratio")?.as_deref() {
        None | Some("0" | "0.0") => None,
        Some(text) => {
            let fits = |ratio: &Step| ratio.scale() <= RATIO_DECIMALS && ratio.mantissa() <= 10u64.pow(ratio.scale());
            let ratio = Step::parse(text).filter(fits);
            Some(ratio.ok_or_else(|| out_of_range("ratio", "use a number from 0 to 1 of at most 15 decimals"))?)
        }
    };
    Ok(Mask::Noise { abs, ratio })
}

fn show(label: &str) -> Read<Show> {
    Show::from_label(label).ok_or_else(|| {
        let message = format!("argument \"show\" of mask \"email\" is unknown: \"{label}\"");
        Refused::new("show", message, format!("use one of: {}", list(Show::ALL.iter().map(|show| show.label()))))
    })
}

fn alphabet(label: &str) -> Read<Alphabet> {
    Alphabet::from_label(label).ok_or_else(|| {
        let message = format!("argument \"alphabet\" of mask \"fpe\" is unknown: \"{label}\"");
        Refused::new("alphabet", message, format!("use one of: {}", list(Alphabet::ALL.iter().map(|a| a.label()))))
    })
}

fn kind_hint() -> String {
    format!("use one of: {}", list(fake::Kind::ALL.iter().map(|kind| kind.label())))
}

fn kind(label: &str) -> Read<fake::Kind> {
    fake::Kind::from_label(label).ok_or_else(|| {
        let message = format!("argument \"kind\" of mask \"fake\" is unknown: \"{label}\"");
        Refused::new("kind", message, kind_hint())
    })
}

fn locale(label: &str) -> Read<()> {
    if label == fake::LOCALE {
        return Ok(());
    }
    let message = format!("argument \"locale\" of mask \"fake\" is unknown: \"{label}\"");
    Err(Refused::new("locale", message, format!("use \"{}\", or leave it out", fake::LOCALE)))
}

/// What `bits` may be: 32 has no room for a bigint.
fn bits(given: i64, ty: Option<PlainType>) -> Read<u32> {
    match (given, ty) {
        (64, _) => Ok(64),
        (32, ty) if ty != Some(PlainType::Int8) => Ok(32),
        (32, _) => {
            let message =
                "argument \"bits\" of mask \"pseudonym_int\" is too small for a column of type bigint".to_owned();
            Err(Refused::new("bits", message, "leave it out: a bigint takes 64"))
        }
        _ => {
            let message = format!("argument \"bits\" of mask \"pseudonym_int\" is out of range: {given}");
            Err(Refused::new("bits", message, "use 64, or 32 for smallint and integer"))
        }
    }
}

fn keep(paths: &[String]) -> Read<Paths> {
    let hint = "write paths such as \"$.plan\", \"$.items[*].sku\" or \"$.address.**\"";
    if paths.is_empty() {
        return Err(Refused::new("keep", "mask \"json\" keeps no path".to_owned(), format!("{hint}; or use nullify")));
    }
    Paths::parse(paths).map_err(|(at, why)| {
        let path = paths.get(at).map_or("", String::as_str);
        Refused::new("keep", format!("path \"{path}\" of mask \"json\" cannot be read: {why}"), hint).at(at)
    })
}

const REGEX_HINT: &str = "such as \"pattern\": \"([A-Z]{2})-[0-9]{7}\", \"replace\": \"$1-*******\"";

fn pattern(pattern: &str, replace: &str) -> Read<Pattern> {
    Pattern::new(pattern, replace).map_err(|wrong| match wrong {
        Wrong::Pattern(why) => {
            let message = format!("argument \"pattern\" of mask \"regex\" is no pattern: {why}");
            Refused::new("pattern", message, "the syntax is that of the Rust crate regex; the whole value must match")
        }
        Wrong::Replace(why) => {
            let message = format!("argument \"replace\" of mask \"regex\" is refused: {why}");
            Refused::new("replace", message, "use groups of the pattern: $1, ${1}, ${name}; a dollar sign is $$")
        }
    })
}

/// A bound of `clamp` in its canonical text.
fn bound(reader: &Reader, argument: &'static str, ty: Option<PlainType>) -> Read<Option<String>> {
    reader.get(argument).map(|_| typed(reader, argument, ty)).transpose()
}

fn clamp(low: Option<String>, high: Option<String>, ty: Option<PlainType>) -> Read<Mask> {
    if low.is_none() && high.is_none() {
        let message = "mask \"clamp\" needs \"low\" or \"high\"".to_owned();
        return Err(Refused::new("low", message, "say the least or the most that is shown; or use \"clear\""));
    }
    let value = |text: &Option<String>| text.as_deref().and_then(|text| literal::parse(ty?, text));
    if let (Some(least), Some(most)) = (value(&low), value(&high)) {
        if order(&least, &most).is_none_or(Ordering::is_gt) {
            return Err(crossed());
        }
    }
    Ok(Mask::Clamp { low, high })
}

fn crossed() -> Refused {
    let message = "argument \"high\" of mask \"clamp\" is below \"low\"".to_owned();
    Refused::new("high", message, "exchange them")
}

/// The value of `constant` in its canonical text.
fn constant(reader: &Reader, ty: Option<PlainType>) -> Read<String> {
    let hint = || ty.map_or_else(String::new, |ty| format!("use {}", literal::expected(ty)));
    reader.get("value").ok_or_else(|| reader.missing("value", hint()))?;
    typed(reader, "value", ty)
}

/// An argument of the column's type in its canonical text.
fn typed(reader: &Reader, argument: &'static str, ty: Option<PlainType>) -> Read<String> {
    let hint = || ty.map_or_else(String::new, |ty| format!("use {}", literal::expected(ty)));
    let given = reader.get(argument).unwrap_or(&Json::Null);
    let Some(ty) = ty else {
        let text = given.as_str().map(str::to_owned);
        return text.ok_or_else(|| Refused::new(argument, reader.says(argument, "must be a string"), String::new()));
    };
    let numeric = integral(Some(ty)) || matches!(ty, PlainType::Numeric | PlainType::Float4 | PlainType::Float8);
    let text = match given {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) if numeric => exact(number),
        Json::Bool(flag) if ty == PlainType::Bool => Some(flag.to_string()),
        Json::Object(_) | Json::Array(_) if matches!(ty, PlainType::Json | PlainType::Jsonb) => Some(given.to_string()),
        _ => None,
    };
    text.and_then(|text| literal::parse(ty, &text)).map(|value| literal::print(&value)).ok_or_else(|| {
        let what = format!("is not a value of type {}", ty.sql_name());
        Refused::new(argument, reader.says(argument, &what), hint())
    })
}

#[cfg(test)]
mod tests;
