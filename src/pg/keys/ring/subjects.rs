//! The subject keys: one per epoch of the read log and domain of data subjects.

use super::{open, with};
use crate::pg::keys::memory::Locked;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{SubjectKey, Use, VersionState};
use std::rc::Rc;

/// The present epoch, `None` before the first.
pub fn epoch() -> Result<Option<u32>> {
    with(|ring| {
        let mut rows = ring.versions.iter().filter(|v| v.usage == Use::Subject);
        Ok(rows.find(|v| v.state == VersionState::Active).map(|v| v.version))
    })
}

/// All epochs whose key is not destroyed.
pub fn epochs() -> Result<Vec<u32>> {
    with(|ring| {
        let rows = ring.versions.iter().filter(|v| v.usage == Use::Subject && v.state != VersionState::Destroyed);
        Ok(rows.map(|v| v.version).collect())
    })
}

/// The key of an epoch and domain.
///
/// # Errors
/// AL001 without root key; AL002 for an epoch that was destroyed.
pub fn key(epoch: u32, domain: &str) -> Result<Rc<Locked<SubjectKey>>> {
    with(|ring| {
        if let Some(key) = ring.subjects.get(&(epoch, domain.to_string())) {
            return Ok(key.clone());
        }
        let row = ring.versions.iter().find(|v| v.usage == Use::Subject && v.version == epoch).cloned();
        let row = row.ok_or_else(|| Error::new(Kind::KeyVersion, format!("the read log has no epoch {epoch}")))?;
        let made = Rc::new(Locked::new(|| Ok(SubjectKey::derive(&open(ring, &row)?, domain)))?);
        ring.subjects.insert((epoch, domain.to_string()), made.clone());
        Ok(made)
    })
}
