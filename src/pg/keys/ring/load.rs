//! The rows of the catalog that a keyring is made of, as they are: nothing is unwrapped or authenticated here.

use super::{KeyInfo, Ring};
use crate::pg::sys::scan;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{Use, VersionState};
use crate::pure::plaintext::PlainType;
use crate::pure::tag::Normalise;
use std::rc::Rc;

/// An encrypted column as its row says, not yet authenticated.
#[derive(Clone)]
pub(super) struct ColumnRow {
    pub uuid: [u8; 16],
    pub key_no: i32,
    pub mac: Vec<u8>,
    pub tag_bytes: u8,
    pub bind: Vec<String>,
}

/// A version of a key as its row says.
#[derive(Clone)]
pub(super) struct VersionRow {
    pub version_id: u32,
    pub owner: [u8; 16],
    pub usage: Use,
    pub version: u32,
    pub wrapped: Option<Vec<u8>>,
    pub root_generation: u32,
    pub commitment: Vec<u8>,
    pub state: VersionState,
}

/// Reads what the catalog says, as of now.
pub(super) fn load(generation: (u64, u64)) -> Result<Ring> {
    let mut ring = Ring { generation, ..Ring::default() };
    scan::table("key", |row| {
        let name = row.text("plaintext_type").unwrap_or_default();
        let plain_type = PlainType::from_name(&name)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("a key has the unknown plaintext type \"{name}\"")))?;
        let key_no = row.need::<i32>("key_no")?;
        let normalise = row.text("normalise").and_then(|n| Normalise::from_label(&n)).unwrap_or_default();
        let info = KeyInfo {
            normalise,
            key_no,
            uuid: *row.need::<pgrx::Uuid>("uuid")?.as_bytes(),
            name: row.text("name").unwrap_or_default(),
            plain_type,
            pad: row.need::<i32>("pad")? as u16,
        };
        ring.keys.insert(key_no, Rc::new(info));
        Ok(())
    })?;
    scan::table("encrypted_column", |row| {
        let uuid = *row.need::<pgrx::Uuid>("uuid")?.as_bytes();
        let mac = row.bytes("mac").unwrap_or_default();
        // a table of 0.1.0 has no such column
        let tag_bytes = row.get::<i32>("tag_bytes").map_or(8, |n| n as u8);
        ring.columns.insert(
            row.need("column_no")?,
            ColumnRow { uuid, key_no: row.need("key_no")?, mac, tag_bytes, bind: row.texts("bind") },
        );
        Ok(())
    })?;
    scan::table("key_version", |row| {
        let corrupt = || Error::new(Kind::Corrupt, "a key version has an unknown use or state");
        let version = VersionRow {
            version_id: row.need::<i32>("version_id")? as u32,
            owner: *row.need::<pgrx::Uuid>("owner")?.as_bytes(),
            usage: Use::from_label(&row.text("use").unwrap_or_default()).ok_or_else(corrupt)?,
            version: row.need::<i32>("version")? as u32,
            wrapped: row.bytes("wrapped"),
            root_generation: row.need::<i32>("root_generation")? as u32,
            commitment: row.bytes("commitment").unwrap_or_default(),
            state: VersionState::from_label(&row.text("state").unwrap_or_default()).ok_or_else(corrupt)?,
        };
        ring.versions.push(version);
        Ok(())
    })?;
    scan::table("key_grant", |row| {
        let mac = row.bytes("mac").unwrap_or_default();
        ring.grants.push((row.need("key_no")?, row.need("role")?, row.text("access").unwrap_or_default(), mac));
        Ok(())
    })?;
    Ok(ring)
}
