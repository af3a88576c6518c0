//! What the ring knows of sealing versions apart from their keys: which key they are of, and in which state.

use super::{open, with, SealVersion};
use crate::pg::keys::derived::Derived;
use crate::pg::keys::memory::Locked;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{SealKey, Use, VersionState};
use std::rc::Rc;

/// The id of a key's active sealing version; nothing is unwrapped.
///
/// # Errors
/// AL002 when it has none.
pub fn active_id(key_no: i32) -> Result<u32> {
    with(|ring| {
        let missing = || Error::new(Kind::Undefined, "the key does not exist");
        let key = ring.keys.get(&key_no).ok_or_else(missing)?;
        let mut sealing = ring.versions.iter().filter(|v| v.owner == key.uuid && v.usage == Use::Seal);
        let active = sealing.find(|v| v.state == VersionState::Active);
        active
            .map(|v| v.version_id)
            .ok_or_else(|| Error::new(Kind::KeyVersion, format!("key \"{}\" has no active version", key.name)))
    })
}

/// The sealing version of that id as something to be replaced. Opens a retired one, too: a value that turns up after its
/// version was retired can still be sealed anew, until the version is destroyed.
///
/// # Errors
/// AL001; AL002 when it is destroyed; AL003 when it is of no key here.
pub fn to_replace(version_id: u32) -> Result<Rc<SealVersion>> {
    let retired = with(|ring| {
        let mut rows = ring.versions.iter().filter(|v| v.usage == Use::Seal && v.state == VersionState::Retired);
        let Some(mut row) = rows.find(|v| v.version_id == version_id).cloned() else { return Ok(None) };
        let key = ring.keys.values().find(|k| k.uuid == row.owner).cloned();
        let key = key.ok_or_else(|| Error::new(Kind::Corrupt, "a key version names a key that does not exist"))?;
        row.state = VersionState::DecryptOnly;
        let seal = Locked::new(|| Ok(SealKey::derive(&open(ring, &row)?)))?;
        // not kept here: whoever reads must go on being refused
        Ok(Some(Rc::new(SealVersion { version_id, key, keys: Derived::new(seal) })))
    })?;
    retired.map_or_else(|| super::seal_version(version_id), Ok)
}
