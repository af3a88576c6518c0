//! What a rule shows of a value. Masks are applied here and nowhere else in this room.

use super::rules::Rule;
use crate::pg::encrypted::value::Plain;
use crate::pg::keys::{entropy, ring};
use crate::pg::sys;
use crate::pure::error::Result;
use crate::pure::keyring::{MaskKey, RuleKey, Secret};
use crate::pure::mask::value::year_of_micros;
use crate::pure::mask::{Context, Mask};
use crate::pure::plaintext::Value;
use zeroize::Zeroizing;

/// A rule that is ready to be applied.
pub struct Shower {
    mask: Option<Mask>,
    key: Option<RuleKey>,
    domain: String,
    year: i32,
}

impl Shower {
    /// With the sub-processor's key, where the mask is keyed.
    ///
    /// # Errors
    /// AL001 while the keys are locked; AL002 for a key version that is gone.
    pub fn new(rule: &Rule) -> Result<Shower> {
        let key = match &rule.mask {
            Some(mask) if mask.keyed() => {
                let key = ring::mask_key(&rule.scope.uuid, rule.mask_key_version)?;
                Some(key.rule_key(mask.name(), &rule.domain))
            }
            _ => None,
        };
        Ok(Shower::with(rule, key))
    }

    /// As [`Shower::new`], but under a key that nobody has.
    pub fn for_sample(rule: &Rule) -> Result<Shower> {
        let keyed = rule.mask.as_ref().filter(|mask| mask.keyed());
        let key = match keyed {
            Some(mask) => {
                let secret = Secret::new(*Zeroizing::new(entropy::random::<32>()?));
                Some(MaskKey::derive(&secret).rule_key(mask.name(), &rule.domain))
            }
            None => None,
        };
        Ok(Shower::with(rule, key))
    }

    fn with(rule: &Rule, key: Option<RuleKey>) -> Shower {
        let year = year_of_micros(sys::statement_start()).and_then(|y| i32::try_from(y).ok()).unwrap_or(2000);
        Shower { mask: rule.mask.clone(), key, domain: rule.domain.clone(), year }
    }

    /// What the sub-processor sees of a value; `None` for NULL. `subject` is whom the row is about, for a mask that wants to know.
    pub fn show(&self, value: &Value, subject: Option<&[Value]>) -> Result<Option<Plain>> {
        let Some(mask) = &self.mask else { return Ok(Some(Plain(value.clone()))) };
        let context = Context { year: self.year, key: self.key.as_ref(), domain: &self.domain, subject };
        Ok(mask.apply(value, &context)?.map(Plain))
    }
}
