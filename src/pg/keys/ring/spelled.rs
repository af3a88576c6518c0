//! Whether texts spell one of our keys: the self test's look through what catalogs show.

use super::{load, open, with, VersionState};
use crate::pg::keys::memory::Locked;
use crate::pg::keys::root;
use crate::pure::error::Result;
use crate::pure::keyring::Spelled;

/// Whether one of the texts spells the root key or a version of any key that can be unwrapped.
///
/// # Errors
/// AL001 without root key; AL003 when a wrapping does not authenticate.
pub fn spelled(texts: &[String]) -> Result<bool> {
    let is_in = |key: &Locked<Spelled>| texts.iter().any(|text| key.is_in(text));
    let root = root::root()?;
    if is_in(&Locked::new(|| Ok(Spelled::root(&root.key)))?) {
        return Ok(true);
    }
    with(|ring| {
        let opens = |v: &&load::VersionRow| !matches!(v.state, VersionState::Retired | VersionState::Destroyed);
        for version in ring.versions.iter().filter(opens) {
            if is_in(&Locked::new(|| Ok(Spelled::secret(&open(ring, version)?)))?) {
                return Ok(true);
            }
        }
        Ok(false)
    })
}
