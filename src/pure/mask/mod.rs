//! Masks: what a sub-processor sees in place of a value.
//!
//! The contract (`docs/masks.md`, C1 to C14): a mask is total on any value and deterministic, fails closed, never
//! keeps more than half of the characters, gives a typed value and reads no setting. A new mask starts as a variant of
//! [`Mask`]; the compiler then leads through every place it needs.
//!
//! What a mask answered once it answers for ever (C13): sub-processors store it. Better behaviour is a new mask, or a
//! new argument that is off by default.

mod args;
pub mod calendar;
pub mod clamp;
pub mod keyed;
pub mod literal;
mod number;
mod properties;
pub mod round;
pub mod text;
pub mod value;

use serde_json::{json, Map, Value as Json};

use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::RuleKey;
use crate::pure::plaintext::{PlainType, Value};

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
    /// First letters of words.
    Initials {
        /// The most words.
        max: u32,
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
    /// A keyed hash in base32.
    Pseudonym {
        /// Characters, 16 to 26.
        length: u8,
        /// Lower-case a text first.
        fold: bool,
    },
}

/// What a mask may know besides the value.
pub struct Context<'a> {
    /// The UTC year of the statement, for `age_band` without a year of its own.
    pub year: i32,
    /// The rule's key, for keyed masks.
    pub key: Option<&'a RuleKey>,
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
            Mask::Initials { max } => json!({ "max": max }),
            Mask::DateTrunc { unit } => json!({ "unit": unit.label() }),
            Mask::AgeBand { width, cap, year: None } => json!({ "width": width, "cap": cap }),
            Mask::AgeBand { width, cap, year: Some(year) } => json!({ "width": width, "cap": cap, "year": year }),
            Mask::Bucket { step } => json!({ "step": step.to_json() }),
            Mask::Pseudonym { length, fold } => json!({ "length": length, "fold": fold }),
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
            Mask::Initials { .. } => 4,
            Mask::DateTrunc { .. } => 5,
            Mask::AgeBand { .. } => 6,
            Mask::Bucket { .. } => 7,
            Mask::Pseudonym { .. } => 8,
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

    /// Whether the view reads the column at all.
    pub fn reads_column(&self) -> bool {
        !matches!(self, Mask::Nullify | Mask::Constant { .. })
    }

    /// The type of the result on a column of type `ty` (C5).
    pub fn result_type(&self, ty: PlainType) -> PlainType {
        match self {
            Mask::Redact { .. }
            | Mask::Partial { .. }
            | Mask::Initials { .. }
            | Mask::AgeBand { .. }
            | Mask::Pseudonym { .. } => PlainType::Text,
            Mask::Nullify | Mask::Constant { .. } | Mask::DateTrunc { .. } | Mask::Bucket { .. } => ty,
        }
    }

    /// Masks one value; `None` is NULL. Total on every value (C1): a value of a type the mask does not take gives
    /// [`text::FULL`], or NULL where the result is not text. The one error, `AL001`, is a keyed mask without its key.
    pub fn apply(&self, v: &Value, ctx: &Context) -> Result<Option<Value>> {
        let masked = match (self, v) {
            (Mask::Nullify, _) => return Ok(None),
            (Mask::Constant { .. }, _) => return Ok(self.of_null(v.plain_type())),
            (Mask::Redact { fill, keep_length, keep_space }, Value::Text(value)) => {
                Value::Text(text::redact(value, *fill, *keep_length, *keep_space))
            }
            (Mask::Partial { left, right, fill, min_hidden }, Value::Text(value)) => {
                Value::Text(text::partial(value, *left, *right, *fill, *min_hidden))
            }
            (Mask::Initials { max }, Value::Text(value)) => Value::Text(text::initials(value, *max)),
            (Mask::Redact { .. } | Mask::Partial { .. } | Mask::Initials { .. }, _) => {
                Value::Text(text::FULL.to_owned())
            }
            (Mask::DateTrunc { unit }, Value::Date(value)) => Value::Date(value::date_trunc_days(*value, *unit)),
            (Mask::DateTrunc { unit }, Value::Timestamp(value)) => {
                Value::Timestamp(value::date_trunc_micros(*value, *unit))
            }
            (Mask::DateTrunc { unit }, Value::Timestamptz(value)) => {
                Value::Timestamptz(value::date_trunc_micros(*value, *unit))
            }
            (Mask::AgeBand { width, cap, year }, _) => {
                let born = match v {
                    Value::Date(value) => value::year_of_days(*value),
                    Value::Timestamp(value) | Value::Timestamptz(value) => value::year_of_micros(*value),
                    _ => None,
                };
                Value::Text(value::age_band(born, year.unwrap_or(ctx.year), *width, *cap))
            }
            (Mask::Bucket { step }, _) => match value::bucket(v, step) {
                Some(bucket) => bucket,
                None => return Ok(None),
            },
            (Mask::DateTrunc { .. }, _) => return Ok(None),
            (Mask::Pseudonym { length, fold }, _) => {
                Value::Text(keyed::pseudonym(ctx.key.ok_or_else(|| self.locked())?, v, *length, *fold))
            }
        };
        Ok(Some(masked))
    }

    /// Masks NULL, which stays NULL in all masks but `constant` (C6), in a column of type `ty`.
    pub fn of_null(&self, ty: PlainType) -> Option<Value> {
        match self {
            Mask::Constant { value } => literal::parse(ty, value),
            _ => None,
        }
    }

    fn locked(&self) -> Error {
        Error::new(Kind::Locked, format!("mask \"{}\" has no key", self.name()))
            .hint("the sub-processor's mask key is not unlocked: see SELECT * FROM airlock.doctor()")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::{MaskKey, Secret};

    fn every_mask() -> Vec<Mask> {
        vec![
            Mask::Nullify,
            Mask::Constant { value: "7".to_owned() },
            Mask::Redact { fill: '#', keep_length: true, keep_space: true },
            Mask::Partial { left: 1, right: 4, fill: '*', min_hidden: 5 },
            Mask::Initials { max: 2 },
            Mask::DateTrunc { unit: Unit::Week },
            Mask::AgeBand { width: 10, cap: 90, year: None },
            Mask::AgeBand { width: 10, cap: 90, year: Some(2026) },
            Mask::Bucket { step: Step::parse("0.25").unwrap() },
            Mask::Bucket { step: Step::parse("10").unwrap() },
            Mask::Pseudonym { length: 26, fold: true },
        ]
    }

    #[test]
    fn properties_belong_to_their_mask() {
        for mask in every_mask() {
            let json = mask.to_json();
            assert_eq!(json["mask"], mask.name());
            for member in json.as_object().unwrap().keys().filter(|member| *member != "mask") {
                assert!(mask.properties().arguments.contains(&member.as_str()), "{}: {member}", mask.name());
            }
            let declared = mask.properties().result;
            for ty in mask.properties().accepts {
                let result = mask.result_type(*ty);
                assert_eq!(result, if declared == "same" { *ty } else { PlainType::Text });
            }
        }
        let names: std::collections::HashSet<_> = Mask::all().iter().map(|properties| properties.name).collect();
        assert_eq!(names.len(), 9);
    }

    #[test]
    fn json_and_back() {
        for mask in every_mask() {
            assert_eq!(Mask::from_json(&mask.to_json()).unwrap(), mask);
        }
        let partial = Mask::Partial { left: 0, right: 4, fill: '*', min_hidden: 4 };
        let canonical = r#"{"mask":"partial","left":0,"right":4,"fill":"*","min_hidden":4}"#;
        assert_eq!(partial.to_json().to_string(), canonical);
    }

    #[test]
    fn stored_rubbish_is_corrupt() {
        for text in ["1", "{}", r#"{"mask":"nope"}"#, r#"{"mask":"partial"}"#, r#"{"mask":"nullify","x":1}"#] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(Mask::from_json(&json).unwrap_err().kind, Kind::Corrupt, "{text}");
        }
    }

    #[test]
    fn a_keyed_mask_needs_its_key_and_no_other_does() {
        let without = Context { year: 2026, key: None };
        let key = MaskKey::derive(&Secret::new([1; 32])).rule_key("pseudonym", "d");
        let with = Context { year: 2026, key: Some(&key) };
        for mask in every_mask() {
            let result = mask.apply(&Value::Text("Ada".to_owned()), &without);
            assert_eq!(result.is_err_and(|error| error.kind == Kind::Locked), mask.keyed());
            assert!(mask.apply(&Value::Text("Ada".to_owned()), &with).is_ok());
        }
    }

    #[test]
    fn a_value_of_another_type_shows_nothing() {
        let ctx = Context { year: 2026, key: None };
        let masked = |mask: Mask, value| mask.apply(&value, &ctx).unwrap().map(|masked| literal::print(&masked));
        let redact = Mask::Redact { fill: '*', keep_length: true, keep_space: false };
        assert_eq!(masked(redact, Value::Int4(12)).as_deref(), Some(text::FULL));
        assert_eq!(masked(Mask::Initials { max: 3 }, Value::Bytea(vec![65])).as_deref(), Some(text::FULL));
        assert_eq!(masked(Mask::DateTrunc { unit: Unit::Year }, Value::Int4(12)), None);
        assert_eq!(masked(Mask::Bucket { step: Step::parse("10").unwrap() }, Value::Bool(true)), None);
        let band = Mask::AgeBand { width: 10, cap: 90, year: None };
        assert_eq!(masked(band, Value::Int4(12)).as_deref(), Some(value::UNKNOWN));
    }
}
