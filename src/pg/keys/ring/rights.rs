//! Who may open and match under a key: what the catalog grants, remembered within a transaction.

use super::{root, with, KeyInfo, RING};
use crate::pg::sys::role_name;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::literal;
use pgrx::pg_sys;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Something is remembered.
pub(super) static ANSWERED: AtomicBool = AtomicBool::new(false);
thread_local! {
    static RIGHTS_MOVED: Cell<bool> = const { Cell::new(false) };
}

/// AL004 unless the role holds decrypt on the key, itself or by membership. Superusers are not exempt.
pub fn may_decrypt(key: &KeyInfo, role: pg_sys::Oid) -> Result<()> {
    may(key, role, false)
}

/// AL004 unless the role holds match or decrypt on the key.
pub fn may_match(key: &KeyInfo, role: pg_sys::Oid) -> Result<()> {
    may(key, role, true)
}

fn may(key: &KeyInfo, role: pg_sys::Oid, matching: bool) -> Result<()> {
    heed_moved_rights();
    let allowed = with(|ring| {
        if let Some(known) = ring.allowed.get(&(key.key_no, role.to_u32(), matching)) {
            return Ok(*known);
        }
        let mut found = false;
        for (key_no, grantee, access, mac) in &ring.grants {
            if *key_no != key.key_no || !(access == "decrypt" || (matching && access == "match")) {
                continue;
            }
            if !crate::pg::keys::has_rights_of(role, *grantee) {
                continue;
            }
            let name = role_name(*grantee);
            let items: [&[u8]; 3] = [&key.uuid, name.as_bytes(), access.as_bytes()];
            if !root::root()?.catalog_key().verify("grant", &items, mac) {
                return Err(Error::new(
                    Kind::NotAuthentic,
                    format!("the catalog row of a grant on key \"{}\" was changed", key.name),
                )
                .hint("revoke and grant again"));
            }
            found = true;
            break;
        }
        ANSWERED.store(true, Relaxed);
        ring.allowed.insert((key.key_no, role.to_u32(), matching), found);
        Ok(found)
    })?;
    if allowed {
        return Ok(());
    }
    let (what, grant) = if matching { ("match", "grant_match") } else { ("decrypt", "grant_decrypt") };
    let role = role_name(role);
    Err(Error::new(Kind::NoRight, format!("role \"{role}\" may not {what} with key \"{}\"", key.name)).hint(format!(
        "SELECT airlock.{grant}({}, {})",
        literal(&key.name),
        literal(&role)
    )))
}

/// Roles or memberships changed: answers about rights are forgotten before the next question. Sets a flag only.
pub fn rights_moved() {
    RIGHTS_MOVED.with(|r| r.set(true));
}

/// Forgets answers about memberships; called at the end of each transaction.
pub fn forget_rights() {
    if !ANSWERED.load(Relaxed) {
        return;
    }
    RING.with(|r| {
        if let Ok(mut ring) = r.try_borrow_mut() {
            if let Some(ring) = ring.as_mut() {
                ring.allowed.clear();
                ring.lately = None;
            }
            ANSWERED.store(false, Relaxed);
        }
    });
}

/// Forgets answers that [`rights_moved`] has called old.
pub(super) fn heed_moved_rights() {
    if RIGHTS_MOVED.with(|r| r.replace(false)) {
        forget_rights();
    }
}
