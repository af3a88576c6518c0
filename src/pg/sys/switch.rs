//! Acting as another user for the length of a call.
#![allow(unsafe_code)] // ◆ the user and security context of the backend

use super::scan;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;

/// The user before the switch; comes back when dropped, on an ERROR that became a panic too.
struct Back(pg_sys::Oid, i32);

impl Drop for Back {
    fn drop(&mut self) {
        // SAFETY: sets two variables.
        unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) }
    }
}

fn switched<T>(user: pg_sys::Oid, flags: u32, body: impl FnOnce() -> T) -> T {
    let mut back = Back(pg_sys::InvalidOid, 0);
    // SAFETY: reads and sets two variables.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut back.0, &mut back.1);
        pg_sys::SetUserIdAndSecContext(user, back.1 | flags as i32);
    }
    body()
}

/// Runs what may call a table owner's own code (index expressions, generated columns) as that owner, and so that the code
/// can neither change the user nor leave settings or anything else behind: what REINDEX does.
pub fn as_table_owner<T>(owner: pg_sys::Oid, body: impl FnOnce() -> T) -> T {
    // SAFETY: a nest of settings is closed below, or by the transaction's abort when the body raises.
    let level = unsafe { pg_sys::NewGUCNestLevel() };
    let result = switched(owner, pg_sys::SECURITY_RESTRICTED_OPERATION, body);
    // SAFETY: closes the nest opened above; false undoes what was set in it.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    result
}

/// Runs statements of the extension's own on its own tables as their owner. For them only: no text of a user's, no table
/// of a user's.
///
/// # Errors
/// 42704 when the extension, or this table of it, is not in the database.
pub fn as_owner_of<T>(table: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let missing = || {
        Error::new(Kind::Undefined, format!("table \"airlock_catalog.{table}\" does not exist"))
            .hint("ALTER EXTENSION pg_airlock UPDATE")
    };
    let owner = owner_of(scan::table_oid(table).ok_or_else(missing)?).ok_or_else(missing)?;
    as_owner(owner, body)
}

/// The same as an owner who is known: of the extension's functions.
///
/// # Errors
/// Those of `body`.
pub fn as_owner<T>(owner: pg_sys::Oid, body: impl FnOnce() -> Result<T>) -> Result<T> {
    // under settings of ours: an operator that a caller's search_path brings would run as the owner
    switched(owner, pg_sys::SECURITY_LOCAL_USERID_CHANGE, || super::sql::settled(body))
}

/// Who owns a relation; `None` when it is gone.
fn owner_of(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
    // SAFETY: a syscache look-up; relowner is never NULL.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(relation));
        if tuple.is_null() {
            return None;
        }
        let mut null = false;
        let owner = pg_sys::SysCacheGetAttr(cache, tuple, pg_sys::Anum_pg_class_relowner as i16, &mut null);
        pg_sys::ReleaseSysCache(tuple);
        Some(pg_sys::Oid::from(owner.value() as u32))
    }
}
