//! What every administrative function does first: it refuses sub-processors' sessions and fixes the settings.
//!
//! These functions are SECURITY DEFINER, so inside them the current user is the extension's owner; who asked is
//! [`caller`]. EXECUTE is granted to `airlock_admin` only; the check here holds even if somebody grants more.

pub mod history;

use crate::pg::readlog::{identity, wal};
use crate::pg::sys::{roles, sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;

pub use crate::pg::sys::roles::caller;

/// Runs the body of an administrative function.
///
/// # Errors
/// `AL007` in a sub-processor's session, by whatever way the function was reached (fast-path calls too); `42501` within a
/// security-restricted operation; `25006` on a standby.
pub fn act<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    if let Some(name) = identity::subprocessor()? {
        return Err(Error::new(
            Kind::OutsideScope,
            format!("sub-processor {} may not administer anything", shown(&name)),
        )
        .hint("connect as a role that is a member of airlock_admin and of no sub-processor's role"));
    }
    may_change()?;
    sql::settled(body)
}

/// 25001 in a transaction that keeps its first snapshot: there a change that others committed since is not seen, and two
/// that must know of each other would pass.
pub fn sees_all() -> Result<()> {
    if !sql::keeps_its_snapshot() {
        return Ok(());
    }
    let message = "this needs to see what others have committed, and the transaction keeps its first snapshot";
    Err(Error::new(Kind::TransactionBlock, message).hint("use READ COMMITTED: BEGIN ISOLATION LEVEL READ COMMITTED"))
}

/// 25006 on a standby, where PostgreSQL itself would only say that it cannot assign a transaction id.
///
/// 42501 inside an operation that PostgreSQL runs with a table owner's code for somebody else: ANALYZE, autovacuum,
/// REINDEX, CREATE INDEX, REFRESH. There [`caller`] is whoever started it, a superuser often, and the call is not theirs.
pub fn may_change() -> Result<()> {
    if wal::in_recovery() {
        return Err(
            Error::new(Kind::ReadOnly, "cannot administer during recovery").hint("connect to the primary server")
        );
    }
    if !roles::restricted() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Privilege,
        "cannot administer from an index expression, a materialized view or other code within a security-restricted operation",
    )
    .hint("call the function in a statement of your own"))
}

/// 42704 when a role that was given by number does not exist.
pub fn existing_role(role: pgrx::pg_sys::Oid) -> Result<String> {
    roles::name(role).ok_or_else(|| {
        Error::new(Kind::Undefined, format!("role {} does not exist", role.to_u32())).hint("CREATE ROLE … LOGIN first")
    })
}

/// 42704 when there is no sub-processor of that name.
pub fn existing_subprocessor(name: &str) -> Result<()> {
    let there =
        sql::look("SELECT true FROM airlock_catalog.subprocessor s WHERE s.name = $1", &[sql::arg(name)], |row| {
            row.need::<bool>(1)
        })?;
    there.map(drop).ok_or_else(|| unknown_subprocessor(name))
}

/// 42704: nobody has that name.
pub fn unknown_subprocessor(name: &str) -> Error {
    Error::new(Kind::Undefined, format!("sub-processor {} does not exist", shown(name)))
        .hint("see TABLE airlock.subprocessors")
}

/// A text that the user must give: 22023 when it is blank.
pub fn said(text: String, name: &str) -> Result<String> {
    if text.trim().is_empty() {
        return Err(Error::new(Kind::InvalidArgument, format!("argument \"{name}\" must not be empty")));
    }
    Ok(text)
}

#[cfg(any(test, feature = "pg_test"))]
mod tests;
