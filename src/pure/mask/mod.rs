//! Masks: what a sub-processor sees in place of a value.
//!
//! The contract (`docs/masks.md`, C1 to C14): a mask is total on any value and deterministic, fails closed, never
//! keeps more than half of the characters, gives a typed value and reads no setting. A new mask starts as a variant of
//! [`Mask`]; the compiler then leads through every place it needs.
//!
//! What a mask answered once it answers for ever (C13): sub-processors store it. Better behaviour is a new mask, or a
//! new argument that is off by default.

pub mod address;
mod apply;
mod args;
pub mod calendar;
pub mod clamp;
pub mod fake;
pub mod ff1;
pub mod format;
pub mod json;
pub mod keyed;
pub mod literal;
mod number;
pub mod pattern;
pub mod phone;
mod properties;
pub mod round;
pub mod sticky;
pub mod text;
pub mod value;

use serde_json::{json, Map, Value as Json};

use crate::pure::error::Result;
use crate::pure::keyring::RuleKey;
use crate::pure::plaintext::{PlainType, Value};

pub use fake::Kind;
pub use ff1::Alphabet;
pub use format::Show;
pub use json::Paths;
pub use pattern::Pattern;
pub use properties::{Properties, Uniqueness};
pub use value::{Step, Unit};

/// One mask with its arguments, which are public (C14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// `NULL`; the column is not read.
    Nullify,
    /// One value for every row, NULL too; the column is not read.
    Constant {
        /// The value as ISO text of the column's type.
        value: String,
    },
    /// Fills.
    Redact {
        /// One of [`text::FILLS`].
        fill: char,
        /// One fill per character instead of eight.
        keep_length: bool,
        /// White space becomes a space; only with `keep_length`.
        keep_space: bool,
    },
    /// Both ends of a text.
    Partial {
        /// Characters kept on the left.
        left: u32,
        /// Characters kept on the right.
        right: u32,
        /// One of [`text::FILLS`].
        fill: char,
        /// The fewest characters that stay hidden, at least 4.
        min_hidden: u32,
    },
    /// Parts of an email address.
    Email {
        /// What is shown.
        show: Show,
    },
    /// A telephone number.
    Phone {
        /// Whether the country calling code stays.
        country: bool,
        /// Digits kept on the right.
        right: u32,
    },
    /// A payment card's number.
    Card {
        /// Digits kept on the left.
        bin: u32,
        /// Digits kept on the right.
        right: u32,
    },
    /// An international bank account number.
    Iban {
        /// Characters kept on the right, beside the country.
        right: u32,
    },
    /// First letters of words.
    Initials {
        /// The most words.
        max: u32,
    },
    /// The network of an address.
    IpPrefix {
        /// Bits of an IPv4 address that stay, at most 24.
        v4: u8,
        /// Bits of an IPv6 address that stay, at most 56.
        v6: u8,
    },
    /// Scheme and host of a web address.
    Url {
        /// Whether the path stays.
        path: bool,
    },
    /// The start of a calendar unit.
    DateTrunc {
        /// The unit.
        unit: Unit,
    },
    /// A band of years of age.
    AgeBand {
        /// Years in a band.
        width: i32,
        /// The age from which all are one band.
        cap: i32,
        /// The year of reckoning; `None` for that of the statement (UTC).
        year: Option<i32>,
    },
    /// The lower end of a bucket of numbers.
    Bucket {
        /// The width of a bucket.
        step: Step,
    },
    /// A number to some significant digits.
    RoundSig {
        /// Digits, 1 to 6.
        digits: u32,
    },
    /// A value within bounds, which are ISO text of the column's type.
    Clamp {
        /// The least that is shown.
        low: Option<String>,
        /// The most that is shown.
        high: Option<String>,
    },
    /// The parts of a document that lie on paths.
    Json {
        /// The paths.
        keep: Paths,
    },
    /// What a pattern captures.
    Regex {
        /// Pattern and replacement.
        pattern: Pattern,
    },
    /// A keyed hash in base32.
    Pseudonym {
        /// Characters, 16 to 26.
        length: u8,
        /// Lower-case a text first.
        fold: bool,
    },
    /// A keyed permutation of integers that keeps the sign.
    PseudonymInt {
        /// 64 or 32.
        bits: u32,
    },
    /// A keyed hash as a uuid.
    PseudonymUuid,
    /// A keyed permutation of texts over an alphabet.
    Fpe {
        /// The characters that are exchanged.
        alphabet: Alphabet,
    },
    /// A name, company or address out of a list.
    Fake {
        /// What it is a fake of.
        kind: Kind,
    },
    /// A keyed group.
    HashBucket {
        /// How many groups.
        buckets: u32,
    },
    /// A date moved by the subject's days.
    DateShift {
        /// The most days, 1 to 3650, either way.
        days: u32,
    },
    /// A number with the subject's noise.
    Noise {
        /// The least width, whose decimals the result has.
        abs: Step,
        /// The width as a share of the value, at most 1; `None` for 0.
        ratio: Option<Step>,
    },
}

/// What a mask may know besides the value.
pub struct Context<'a> {
    /// The UTC year of the statement, for `age_band` without a year of its own.
    pub year: i32,
    /// The rule's key, for keyed masks.
    pub key: Option<&'a RuleKey>,
    /// The rule's domain, for keyed masks.
    pub domain: &'a str,
    /// Whom the row is about, for masks per subject; `None` where one of its columns is NULL.
    pub subject: Option<&'a [Value]>,
}

impl Mask {
    /// Reads the rule of one column of type `ty`: the mask's name and the other members of the rule object, without
    /// `mask`, `null_as`, `domain`, `allow_duplicates` and `allow_broken_join`. `path` is the rule's, such as `$.email`.
    ///
    /// Anything unknown, missing, of the wrong JSON type, out of range or not for such a column is `AL010` at the path
    /// of the member, with a hint that lists what is allowed. A citext column's pseudonym is then to be folded
    /// by the caller, who alone knows the SQL type.
    pub fn parse(name: &str, args: &Map<String, Json>, path: &str, ty: PlainType) -> Result<Mask> {
        args::parse(name, args, path, ty)
    }

    /// Reads what [`Mask::to_json`] wrote. Anything else is `XX001`: it comes from the extension's own catalog.
    pub fn from_json(json: &Json) -> Result<Mask> {
        args::from_json(json)
    }

    /// The canonical definition, every default written out. `age_band` has no `year` if it is the statement's.
    pub fn to_json(&self) -> Json {
        let mut json = match self {
            Mask::Nullify => json!({}),
            Mask::Constant { value } => json!({ "value": value }),
            Mask::Redact { fill, keep_length, keep_space } => {
                json!({ "fill": fill, "keep_length": keep_length, "keep_space": keep_space })
            }
            Mask::Partial { left, right, fill, min_hidden } => {
                json!({ "left": left, "right": right, "fill": fill, "min_hidden": min_hidden })
            }
            Mask::Email { show } => json!({ "show": show.label() }),
            Mask::Phone { country, right } => json!({ "country": country, "right": right }),
            Mask::Card { bin, right } => json!({ "bin": bin, "right": right }),
            Mask::Iban { right } => json!({ "right": right }),
            Mask::Initials { max } => json!({ "max": max }),
            Mask::IpPrefix { v4, v6 } => json!({ "v4": v4, "v6": v6 }),
            Mask::Url { path } => json!({ "path": path }),
            Mask::DateTrunc { unit } => json!({ "unit": unit.label() }),
            Mask::AgeBand { width, cap, year: None } => json!({ "width": width, "cap": cap }),
            Mask::AgeBand { width, cap, year: Some(year) } => json!({ "width": width, "cap": cap, "year": year }),
            Mask::Bucket { step } => json!({ "step": step.to_json() }),
            Mask::RoundSig { digits } => json!({ "digits": digits }),
            Mask::Clamp { low: Some(low), high: Some(high) } => json!({ "low": low, "high": high }),
            Mask::Clamp { low: Some(low), high: None } => json!({ "low": low }),
            Mask::Clamp { low: None, high } => json!({ "high": high }),
            Mask::Json { keep } => json!({ "keep": keep.keep() }),
            Mask::Regex { pattern } => json!({ "pattern": pattern.pattern(), "replace": pattern.replace() }),
            Mask::Pseudonym { length, fold } => json!({ "length": length, "fold": fold }),
            Mask::PseudonymInt { bits } => json!({ "bits": bits }),
            Mask::PseudonymUuid => json!({}),
            Mask::Fpe { alphabet } => json!({ "alphabet": alphabet.label() }),
            Mask::Fake { kind } => json!({ "kind": kind.label(), "locale": fake::LOCALE }),
            Mask::HashBucket { buckets } => json!({ "buckets": buckets }),
            Mask::DateShift { days } => json!({ "days": days }),
            Mask::Noise { abs, ratio } => {
                json!({ "abs": abs.to_json(), "ratio": ratio.map_or(Json::from(0), |ratio| ratio.to_json()) })
            }
        };
        if let Json::Object(members) = &mut json {
            members.shift_insert(0, "mask".to_owned(), Json::from(self.name()));
        }
        json
    }

    /// Every mask's properties.
    pub fn all() -> &'static [Properties] {
        &properties::ALL
    }

    /// This mask's properties.
    pub fn properties(&self) -> &'static Properties {
        &properties::ALL[match self {
            Mask::Nullify => 0,
            Mask::Constant { .. } => 1,
            Mask::Redact { .. } => 2,
            Mask::Partial { .. } => 3,
            Mask::Email { .. } => 4,
            Mask::Phone { .. } => 5,
            Mask::Card { .. } => 6,
            Mask::Iban { .. } => 7,
            Mask::Initials { .. } => 8,
            Mask::IpPrefix { .. } => 9,
            Mask::Url { .. } => 10,
            Mask::DateTrunc { .. } => 11,
            Mask::AgeBand { .. } => 12,
            Mask::Bucket { .. } => 13,
            Mask::RoundSig { .. } => 14,
            Mask::Clamp { .. } => 15,
            Mask::Json { .. } => 16,
            Mask::Regex { .. } => 17,
            Mask::Pseudonym { .. } => 18,
            Mask::PseudonymInt { .. } => 19,
            Mask::PseudonymUuid => 20,
            Mask::Fpe { .. } => 21,
            Mask::Fake { .. } => 22,
            Mask::HashBucket { .. } => 23,
            Mask::DateShift { .. } => 24,
            Mask::Noise { .. } => 25,
        }]
    }

    /// The name in a scope definition.
    pub fn name(&self) -> &'static str {
        self.properties().name
    }

    /// Whether it needs the sub-processor's mask key.
    pub fn keyed(&self) -> bool {
        self.properties().keyed
    }

    /// Whether it needs to know whom the row is about.
    pub fn per_subject(&self) -> bool {
        matches!(self, Mask::DateShift { .. } | Mask::Noise { .. })
    }

    /// Whether the view reads the column at all.
    pub fn reads_column(&self) -> bool {
        !matches!(self, Mask::Nullify | Mask::Constant { .. })
    }

    /// The type of the result on a column of type `ty` (C5).
    pub fn result_type(&self, ty: PlainType) -> PlainType {
        match (self, self.properties().result) {
            (Mask::PseudonymInt { bits: 32 }, _) => PlainType::Int4,
            (Mask::PseudonymInt { .. }, _) => PlainType::Int8,
            (_, "text") => PlainType::Text,
            (_, "integer") => PlainType::Int4,
            _ => ty,
        }
    }
}

#[cfg(test)]
mod tests;
