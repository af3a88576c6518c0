//! The arguments of masks: read from a scope definition (refused with `AL010` and their JSON path) or from a
//! hand-written view (refused with `22023`). One check serves both, so neither can allow more than the other.

use serde_json::{Map, Number, Value as Json};

use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::PlainType;

use super::literal;
use super::text::FILLS;
use super::value::{Step, Unit};
use super::{Mask, Properties};

/// An argument that is refused; the caller knows whether it stands in a scope or in a view.
struct Refused {
    argument: String,
    message: String,
    hint: String,
}

impl Refused {
    fn new(argument: &str, message: String, hint: impl Into<String>) -> Self {
        Refused { argument: argument.to_owned(), message, hint: hint.into() }
    }

    /// In a scope definition, under the rule's path.
    fn in_scope(self, path: &str) -> Error {
        Error::scope(&member(path, &self.argument), self.message).hint(self.hint)
    }

    /// In a call from SQL.
    fn in_call(self) -> Error {
        Error::new(Kind::InvalidArgument, self.message).hint(self.hint)
    }
}

/// Arguments as they are read; the first that is refused ends it.
type Read<T> = std::result::Result<T, Refused>;

/// The path of a member: `$.email.right`, quoted where a plain word will not do, `$.email."a b"`.
fn member(path: &str, name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if word {
        format!("{path}.{name}")
    } else {
        format!("{path}.{}", Json::from(name))
    }
}

/// Names with commas between them.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

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

/// Ranges of the integer arguments, both ends allowed. The widest is what an `integer` of SQL holds.
type Range = std::ops::RangeInclusive<i64>;
const WINDOW: Range = 0..=i32::MAX as i64;
const MIN_HIDDEN: Range = 4..=i32::MAX as i64;
const INITIALS: Range = 1..=5;
const WIDTH: Range = 5..=50;
const CAP: Range = 20..=100;
const YEAR: Range = 1..=9_999;
const LENGTH: Range = 16..=26;

/// The members of one rule, read by name and type.
struct Reader<'a> {
    mask: &'static str,
    args: &'a Map<String, Json>,
}

impl<'a> Reader<'a> {
    fn get(&self, argument: &str) -> Option<&'a Json> {
        self.args.get(argument)
    }

    fn says(&self, argument: &str, what: &str) -> String {
        format!("argument \"{argument}\" of mask \"{}\" {what}", self.mask)
    }

    fn missing(&self, argument: &str, hint: String) -> Refused {
        Refused::new(argument, format!("mask \"{}\" needs the argument \"{argument}\"", self.mask), hint)
    }

    fn integer(&self, argument: &'static str, default: i64, range: Range) -> Read<i64> {
        let Some(given) = self.get(argument) else { return Ok(default) };
        let wrong = || Refused::new(argument, self.says(argument, "must be an integer"), range_hint(&range));
        in_range(self.mask, argument, given.as_i64().ok_or_else(wrong)?, range)
    }

    fn flag(&self, argument: &'static str) -> Read<bool> {
        let Some(given) = self.get(argument) else { return Ok(false) };
        let wrong = || Refused::new(argument, self.says(argument, "must be true or false"), "write true or false");
        given.as_bool().ok_or_else(wrong)
    }

    fn text(&self, argument: &'static str) -> Read<Option<&'a str>> {
        let Some(given) = self.get(argument) else { return Ok(None) };
        let wrong = || Refused::new(argument, self.says(argument, "must be a string"), "write it in double quotes");
        given.as_str().map(Some).ok_or_else(wrong)
    }

    fn fill(&self) -> Read<char> {
        fill(self.mask, self.text("fill")?.unwrap_or("*"))
    }
}

fn range_hint(range: &Range) -> String {
    match (*range.start(), *range.end()) {
        (low, high) if high == i64::from(i32::MAX) => format!("use an integer of at least {low}"),
        (low, high) => format!("use an integer from {low} to {high}"),
    }
}

fn in_range(mask: &str, argument: &'static str, given: i64, range: Range) -> Read<i64> {
    if range.contains(&given) {
        return Ok(given);
    }
    let message = format!("argument \"{argument}\" of mask \"{mask}\" is out of range: {given}");
    Err(Refused::new(argument, message, range_hint(&range)))
}

/// Narrows a number whose range was checked.
fn small(checked: i64) -> i32 {
    i32::try_from(checked).unwrap_or(i32::MAX)
}

/// The same, for the counts.
fn counted(checked: i64) -> u32 {
    u32::try_from(checked).unwrap_or(u32::MAX)
}

fn fill(mask: &str, given: &str) -> Read<char> {
    let mut characters = given.chars();
    match (characters.next(), characters.next()) {
        (Some(fill), None) if FILLS.contains(&fill) => Ok(fill),
        _ => {
            let message = format!("argument \"fill\" of mask \"{mask}\" is not an allowed character");
            Err(Refused::new("fill", message, format!("use one of: {}", FILLS.map(String::from).join(" "))))
        }
    }
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

/// A JSON number as the decimal that was written: an integer, or a fraction of at most 15 digits (what a double keeps
/// apart). `None` if it may have been rounded when it was read.
fn exact(number: &Number) -> Option<String> {
    if number.is_i64() || number.is_u64() {
        return Some(number.to_string());
    }
    // Display writes the shortest digits that read back, without an exponent
    let text = number.as_f64()?.to_string();
    let digits = text.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let significant = digits[first..].iter().rev().skip_while(|digit| **digit == b'0').count();
    (significant <= 15).then_some(text)
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

/// The arguments of the SQL functions `airlock.mask_*`: checked, `22023` if refused, and ready for the plain functions
/// of `text` and `value`.
impl Mask {
    /// Checks `mask_redact(value, fill, keep_length, keep_space)` and gives the fill.
    pub fn redact_args(given: &str, keep_length: bool, keep_space: bool) -> Result<char> {
        fill("redact", given).and_then(|fill| redact(fill, keep_length, keep_space)).map_err(Refused::in_call)
    }

    /// Checks `mask_partial(value, left, right, fill, min_hidden)` and gives left, right, fill, min_hidden.
    pub fn partial_args(left: i32, right: i32, given: &str, min_hidden: i32) -> Result<(u32, u32, char, u32)> {
        let checked = || {
            let left = in_range("partial", "left", left.into(), WINDOW)?;
            let right = in_range("partial", "right", right.into(), WINDOW)?;
            let min_hidden = in_range("partial", "min_hidden", min_hidden.into(), MIN_HIDDEN)?;
            partial(left, right, fill("partial", given)?, min_hidden)
        };
        checked().map_err(Refused::in_call)
    }

    /// Checks `mask_initials(value, max)` and gives max.
    pub fn initials_args(max: i32) -> Result<u32> {
        initials(max.into()).map_err(Refused::in_call)
    }

    /// Checks `mask_date_trunc(value, unit)` for a value of type `ty` and gives the unit.
    pub fn date_trunc_args(label: &str, ty: PlainType) -> Result<Unit> {
        unit(label, &units(Some(ty))).map_err(Refused::in_call)
    }

    /// Checks `mask_age_band(value, year, width, cap)`.
    pub fn age_band_args(year: i32, width: i32, cap: i32) -> Result<()> {
        let checked = || {
            in_range("age_band", "year", year.into(), YEAR)?;
            in_range("age_band", "width", width.into(), WIDTH)?;
            in_range("age_band", "cap", cap.into(), CAP).map(drop)
        };
        checked().map_err(Refused::in_call)
    }

    /// Checks `mask_bucket(value, step)` for a value of type `ty`; `text` is the step as PostgreSQL prints a numeric.
    pub fn bucket_args(text: &str, ty: PlainType) -> Result<Step> {
        step(text, Some(ty)).map_err(Refused::in_call)
    }
}

#[cfg(test)]
mod tests;
