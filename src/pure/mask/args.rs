//! The arguments of masks: read from a scope definition (refused with `AL010` and their JSON path) or from a
//! hand-written view (refused with `22023`). One check serves both, so neither can allow more than the other.

mod call;
mod read;

use serde_json::{Map, Value as Json};

use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::PlainType;

use super::literal;
use super::value::{Step, Unit};
use super::{Mask, Properties};
use read::*;

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
        "pseudonym" => {
            let (length, fold) = (reader.integer("length", 26, LENGTH)?, reader.flag("fold")?);
            if fold && ty.is_some_and(|ty| ty != PlainType::Text) {
                let hint = "leave \"fold\" out: it lower-cases a text before it is hashed";
                return Err(Refused::new("fold", reader.says("fold", "is for text columns only"), hint));
            }
            Mask::Pseudonym { length: u8::try_from(length).unwrap_or(u8::MAX), fold }
        }
        _ => Mask::Nullify,
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

/// The value of `constant` in its canonical text.
fn constant(reader: &Reader, ty: Option<PlainType>) -> Read<String> {
    let hint = || ty.map_or_else(String::new, |ty| format!("use {}", literal::expected(ty)));
    let given = reader.get("value").ok_or_else(|| reader.missing("value", hint()))?;
    let Some(ty) = ty else {
        let text = given.as_str().map(str::to_owned);
        return text.ok_or_else(|| Refused::new("value", reader.says("value", "must be a string"), String::new()));
    };
    let numeric = integral(Some(ty)) || matches!(ty, PlainType::Numeric | PlainType::Float4 | PlainType::Float8);
    let text = match given {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) if numeric => exact(number),
        Json::Bool(flag) if ty == PlainType::Bool => Some(flag.to_string()),
        Json::Object(_) | Json::Array(_) if ty == PlainType::Jsonb => Some(given.to_string()),
        _ => None,
    };
    text.and_then(|text| literal::parse(ty, &text)).map(|value| literal::print(&value)).ok_or_else(|| {
        let what = format!("is not a value of type {}", ty.sql_name());
        Refused::new("value", reader.says("value", &what), hint())
    })
}

#[cfg(test)]
mod tests;
