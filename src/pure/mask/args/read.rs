//! What reads the arguments of masks: their members by name and type, ranges, and how a refusal is worded.

use serde_json::{Map, Number, Value as Json};

use crate::pure::error::{Error, Kind};
use crate::pure::mask::text::FILLS;

/// An argument that is refused; the caller knows whether it stands in a scope or in a view.
pub(super) struct Refused {
    argument: String,
    /// Which one, where the argument is a list.
    place: Option<usize>,
    pub message: String,
    hint: String,
}

impl Refused {
    pub fn new(argument: &str, message: String, hint: impl Into<String>) -> Self {
        Refused { argument: argument.to_owned(), place: None, message, hint: hint.into() }
    }

    /// The same of one of a list.
    pub fn at(self, place: usize) -> Self {
        Refused { place: Some(place), ..self }
    }

    /// In a scope definition, under the rule's path.
    pub fn in_scope(self, path: &str) -> Error {
        let place = self.place.map_or(String::new(), |place| format!("[{place}]"));
        Error::scope(&(member(path, &self.argument) + &place), self.message).hint(self.hint)
    }

    /// In a call from SQL.
    pub fn in_call(self) -> Error {
        Error::new(Kind::InvalidArgument, self.message).hint(self.hint)
    }
}

/// Arguments as they are read; the first that is refused ends it.
pub(super) type Read<T> = std::result::Result<T, Refused>;

/// The path of a member: `$.email.right`, quoted where a plain word will not do, `$.email."a b"`.
pub(super) fn member(path: &str, name: &str) -> String {
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if word {
        format!("{path}.{name}")
    } else {
        format!("{path}.{}", Json::from(name))
    }
}

/// Names with commas between them.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Ranges of the integer arguments, both ends allowed. The widest is what an `integer` of SQL holds.
pub(super) type Range = std::ops::RangeInclusive<i64>;
pub(super) const WINDOW: Range = 0..=i32::MAX as i64;
pub(super) const MIN_HIDDEN: Range = 4..=i32::MAX as i64;
pub(super) const INITIALS: Range = 1..=5;
pub(super) const WIDTH: Range = 5..=50;
pub(super) const CAP: Range = 20..=100;
pub(super) const YEAR: Range = 1..=9_999;
pub(super) const LENGTH: Range = 16..=26;
pub(super) const FEW: Range = 0..=4;
pub(super) const BIN: Range = 0..=6;
pub(super) const DIGITS: Range = 1..=6;
pub(super) const BITS: Range = 32..=64;
pub(super) const BUCKETS: Range = 2..=1024;
pub(super) const V4: Range = 0..=24;
pub(super) const V6: Range = 0..=56;
pub(super) const DAYS: Range = 1..=3650;

/// The members of one rule, read by name and type.
pub(super) struct Reader<'a> {
    pub mask: &'static str,
    pub args: &'a Map<String, Json>,
}

impl<'a> Reader<'a> {
    pub fn get(&self, argument: &str) -> Option<&'a Json> {
        self.args.get(argument)
    }

    pub fn says(&self, argument: &str, what: &str) -> String {
        format!("argument \"{argument}\" of mask \"{}\" {what}", self.mask)
    }

    pub fn missing(&self, argument: &str, hint: String) -> Refused {
        Refused::new(argument, format!("mask \"{}\" needs the argument \"{argument}\"", self.mask), hint)
    }

    pub fn integer(&self, argument: &'static str, default: i64, range: Range) -> Read<i64> {
        let Some(given) = self.get(argument) else { return Ok(default) };
        let wrong = || Refused::new(argument, self.says(argument, "must be an integer"), range_hint(&range));
        in_range(self.mask, argument, given.as_i64().ok_or_else(wrong)?, range)
    }

    pub fn flag(&self, argument: &'static str) -> Read<bool> {
        self.flag_or(argument, false)
    }

    pub fn flag_or(&self, argument: &'static str, default: bool) -> Read<bool> {
        let Some(given) = self.get(argument) else { return Ok(default) };
        let wrong = || Refused::new(argument, self.says(argument, "must be true or false"), "write true or false");
        given.as_bool().ok_or_else(wrong)
    }

    pub fn text(&self, argument: &'static str) -> Read<Option<&'a str>> {
        let Some(given) = self.get(argument) else { return Ok(None) };
        let wrong = || Refused::new(argument, self.says(argument, "must be a string"), "write it in double quotes");
        given.as_str().map(Some).ok_or_else(wrong)
    }

    /// A list of strings; empty where it is not given.
    pub fn texts(&self, argument: &'static str) -> Read<Vec<String>> {
        let Some(given) = self.get(argument) else { return Ok(Vec::new()) };
        let texts = given.as_array().and_then(|list| list.iter().map(|t| t.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| {
            Refused::new(argument, self.says(argument, "must be a list of strings"), "write it as [\"…\", \"…\"]")
        })
    }

    pub fn fill(&self) -> Read<char> {
        fill(self.mask, self.text("fill")?.unwrap_or("*"))
    }
}

pub(super) fn range_hint(range: &Range) -> String {
    match (*range.start(), *range.end()) {
        (low, high) if high == i64::from(i32::MAX) => format!("use an integer of at least {low}"),
        (low, high) => format!("use an integer from {low} to {high}"),
    }
}

pub(super) fn in_range(mask: &str, argument: &'static str, given: i64, range: Range) -> Read<i64> {
    if range.contains(&given) {
        return Ok(given);
    }
    let message = format!("argument \"{argument}\" of mask \"{mask}\" is out of range: {given}");
    Err(Refused::new(argument, message, range_hint(&range)))
}

/// Narrows a number whose range was checked.
pub(super) fn small(checked: i64) -> i32 {
    i32::try_from(checked).unwrap_or(i32::MAX)
}

/// The same, for bits of an address.
pub(super) fn bits_of(checked: i64) -> u8 {
    u8::try_from(checked).unwrap_or_default()
}

/// The same, for the counts.
pub(super) fn counted(checked: i64) -> u32 {
    u32::try_from(checked).unwrap_or(u32::MAX)
}

pub(super) fn fill(mask: &str, given: &str) -> Read<char> {
    let mut characters = given.chars();
    match (characters.next(), characters.next()) {
        (Some(fill), None) if FILLS.contains(&fill) => Ok(fill),
        _ => {
            let message = format!("argument \"fill\" of mask \"{mask}\" is not an allowed character");
            Err(Refused::new("fill", message, format!("use one of: {}", FILLS.map(String::from).join(" "))))
        }
    }
}

/// A JSON number as the decimal that was written: an integer, or a fraction of at most 15 digits (what a double keeps
/// apart). `None` if it may have been rounded when it was read.
pub(super) fn exact(number: &Number) -> Option<String> {
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
