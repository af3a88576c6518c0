//! What a mask makes of a value.

use super::{address, clamp, fake, format, json, keyed, literal, phone, round, sticky, text, value, Context, Mask};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::RuleKey;
use crate::pure::mask::ff1;
use crate::pure::plaintext::{PlainType, Value};

impl Mask {
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
            (Mask::Email { show }, Value::Text(value)) => Value::Text(format::email(value, *show)),
            (Mask::Phone { country, right }, Value::Text(value)) => Value::Text(phone::phone(value, *country, *right)),
            (Mask::Card { bin, right }, Value::Text(value)) => Value::Text(format::card(value, *bin, *right)),
            (Mask::Iban { right }, Value::Text(value)) => Value::Text(format::iban(value, *right)),
            (Mask::IpPrefix { v4, v6 }, Value::Text(value)) => Value::Text(address::ip_prefix_text(value, *v4, *v6)),
            (Mask::IpPrefix { v4, v6 }, Value::Inet(net)) => Value::Inet(address::ip_prefix(net, *v4, *v6)),
            (Mask::Url { path }, Value::Text(value)) => Value::Text(format::url(value, *path)),
            (Mask::Regex { pattern }, Value::Text(value)) => Value::Text(pattern.mask(value)),
            (Mask::Fpe { alphabet }, Value::Text(value)) => {
                Value::Text(ff1::fpe(&self.ff1(ctx)?, ctx.domain.as_bytes(), value, *alphabet))
            }
            (Mask::Fake { kind }, Value::Text(value)) => {
                Value::Text(fake::fake(&self.key(ctx)?.prf(&[&keyed::encode(v)]), value, *kind))
            }
            // a value of another type, which no rule has: nothing of it is shown
            (
                Mask::Redact { .. }
                | Mask::Partial { .. }
                | Mask::Email { .. }
                | Mask::Phone { .. }
                | Mask::Card { .. }
                | Mask::Iban { .. }
                | Mask::Initials { .. }
                | Mask::Url { .. }
                | Mask::Regex { .. }
                | Mask::Fpe { .. }
                | Mask::Fake { .. },
                _,
            ) => Value::Text(text::FULL.to_owned()),
            (Mask::Json { keep }, Value::Jsonb(value)) => Value::Jsonb(json::mask_json(keep, value)),
            (Mask::Json { keep }, Value::Json(value)) => Value::Json(json::mask_json(keep, value)),
            (Mask::RoundSig { digits }, _) => match round::round_sig(v, *digits) {
                Some(rounded) => rounded,
                None => return Ok(None),
            },
            (Mask::Clamp { low, high }, _) => {
                let bound = |text: &Option<String>| text.as_ref().map(|text| literal::parse(v.plain_type(), text));
                match (bound(low), bound(high)) {
                    (Some(None), _) | (_, Some(None)) => return Ok(None),
                    (low, high) => return Ok(clamp::clamp(v, low.flatten().as_ref(), high.flatten().as_ref())),
                }
            }
            (Mask::PseudonymInt { bits }, _) => {
                let key = self.ff1(ctx)?;
                let value = match v {
                    Value::Int2(value) => i64::from(*value),
                    Value::Int4(value) => i64::from(*value),
                    Value::Int8(value) if *bits == 64 => *value,
                    _ => return Ok(None),
                };
                let shown = ff1::pseudonym_int(&key, ctx.domain.as_bytes(), value, *bits);
                match bits {
                    32 => Value::Int4(i32::try_from(shown).unwrap_or_default()),
                    _ => Value::Int8(shown),
                }
            }
            (Mask::PseudonymUuid, _) => match (self.key(ctx)?, v) {
                (key, Value::Uuid(_)) => Value::Uuid(keyed::pseudonym_uuid(key, v)),
                _ => return Ok(None),
            },
            (Mask::HashBucket { buckets }, _) => Value::Int4(keyed::hash_bucket(self.key(ctx)?, v, *buckets)),
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
            (Mask::DateShift { days }, _) => match (self.key(ctx)?, ctx.subject) {
                (key, Some(subject)) => return Ok(sticky::shift(v, sticky::offset(key, subject, *days))),
                _ => return Ok(None),
            },
            (Mask::Noise { abs, ratio }, _) => match (self.key(ctx)?, ctx.subject) {
                (key, Some(subject)) => return Ok(sticky::noise(key, subject, v, abs, ratio.as_ref())),
                _ => return Ok(None),
            },
            (Mask::DateTrunc { .. } | Mask::Json { .. } | Mask::IpPrefix { .. }, _) => return Ok(None),
            (Mask::Pseudonym { length, fold }, _) => Value::Text(keyed::pseudonym(self.key(ctx)?, v, *length, *fold)),
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

    fn key<'a>(&self, ctx: &Context<'a>) -> Result<&'a RuleKey> {
        ctx.key.ok_or_else(|| self.locked())
    }

    fn ff1(&self, ctx: &Context) -> Result<ff1::Ff1Key> {
        self.key(ctx).map(ff1::Ff1Key::derive)
    }

    fn locked(&self) -> Error {
        Error::new(Kind::Locked, format!("mask \"{}\" has no key", self.name()))
            .hint("the sub-processor's mask key is not unlocked: see SELECT * FROM airlock.doctor()")
    }
}
