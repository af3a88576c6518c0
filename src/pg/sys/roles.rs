//! Roles: who asks, who is a member of what, names.
#![allow(unsafe_code)] // ◆ membership and user look-ups
#![allow(ffi_unwind_calls)] // reason: two reads of a variable, asked for each value, which cannot raise

use super::compat::{self, Gives};
use super::raw;
use pgrx::pg_sys;

/// The user who called a SECURITY DEFINER function: the session's current user outside of it (SET ROLE counts).
pub fn caller() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetOuterUserId() }
}

/// The user whose rights are in force right now.
pub fn current() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { raw::raw_current_user() }
}

/// Whether a role is a superuser.
pub fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up; false for an unknown role.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Whether code runs that its owner may not be trusted with: PostgreSQL maintains somebody's index, materialized view or
/// statistics. Stays true inside SECURITY DEFINER functions.
pub fn restricted() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { raw::raw_in_restricted_operation() }
}

/// Whom this session logged in as, and whom it says it is.
pub fn session() -> [pg_sys::Oid; 2] {
    // SAFETY: read variables of the backend.
    unsafe { [pg_sys::GetAuthenticatedUserId(), pg_sys::GetSessionUserId()] }
}

/// `pg_database_owner` (`ROLE_PG_DATABASE_OWNER`), whose one member was never granted it.
const DATABASE_OWNER: pg_sys::Oid = pg_sys::Oid::from_u32(6171);

/// Whether `member` is `role` or a member of it by any path of grants that can be used (see
/// [`compat::USABLE_GRANT`]). A superuser gets no shortcut.
pub fn is_member(member: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: syscache look-ups inside a transaction; unknown roles are nobody's members.
    let granted = unsafe { pg_sys::is_member_of_role_nosuper(member, role) };
    granted && (member == role || role == DATABASE_OWNER || groups(member, Gives::Something).contains(&role))
}

/// Whether `member` has the rights of `role` without SET ROLE: what a right that `role` holds is asked by. Until 15 that
/// of any member, so that a role with NOINHERIT needs no SET ROLE either. A superuser gets no shortcut.
pub fn has_rights_of(member: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    is_member(member, role)
        && (member == role || role == DATABASE_OWNER || groups(member, Gives::Rights).contains(&role))
}

/// All roles that `member` is a member of, by any path of grants of which each gives this; not itself.
pub fn groups(member: pg_sys::Oid, gives: Gives) -> Vec<pg_sys::Oid> {
    let mut found = compat::granted_roles(member, gives);
    let mut next = 0;
    while let Some(role) = found.get(next).copied() {
        for more in compat::granted_roles(role, gives) {
            if more != member && !found.contains(&more) {
                found.push(more);
            }
        }
        next += 1;
    }
    found
}

/// The role's name, `None` when there is no such role.
pub fn name(role: pg_sys::Oid) -> Option<String> {
    // SAFETY: noerr = true gives NULL for an unknown role; the text is palloc'd.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// The role of that name, `None` when there is none.
pub fn by_name(name: &str) -> Option<pg_sys::Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: missing_ok = true gives InvalidOid for an unknown role.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    (role != pg_sys::InvalidOid).then_some(role)
}
