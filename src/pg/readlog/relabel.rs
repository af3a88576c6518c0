//! `SECURITY LABEL FOR airlock`: which labels there are, and who may set them.
//!
//! On a role it says whose sub-processor it is, for superusers only, as a restored dump of roles needs it. On a column it says
//! its class. PostgreSQL asks for the owner of the table. That is enough for a label where there was none, which takes away
//! nothing that anybody decided; whoever changes or removes one could lift what a class forbids, or exchange a mask for a weaker
//! one at the next `"default"`, so that takes a member of `airlock_admin` besides. No scope changes by either.
#![allow(unsafe_code)] // ◆ a callback, look-ups in catalog caches

use super::identity;
use crate::pg::error::run;
use crate::pg::shared;
use crate::pg::sys::roles;
use crate::pure::class;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, shown};
use crate::pure::scope::resolve::RESERVED_SCHEMAS;
use pgrx::pg_sys;
use std::ffi::{c_char, CStr};

/// Called after PostgreSQL's own checks, before the label is stored; a NULL label removes it.
///
/// # Safety
/// Called by Postgres.
pub unsafe extern "C-unwind" fn relabel(object: *const pg_sys::ObjectAddress, label: *const c_char) {
    // SAFETY: object is valid; label is NULL or a string that outlives the call.
    unsafe {
        run(|| {
            let label = (!label.is_null()).then(|| CStr::from_ptr(label));
            match (*object).classId {
                pg_sys::AuthIdRelationId => role(label),
                _ => column(&*object, label),
            }
        });
    }
}

fn role(label: Option<&CStr>) -> Result<()> {
    let ours = label.is_none_or(|label| label.to_bytes().starts_with(identity::LABEL.as_bytes()));
    if !ours || !roles::is_superuser(roles::current()) {
        return Err(Error::new(
            Kind::Privilege,
            "a role's label of provider \"airlock\" is set by create_subprocessor",
        )
        .hint("SELECT airlock.create_subprocessor(…)"));
    }
    shared::changed();
    Ok(())
}

/// Scopes are looked at when they are made, and by `doctor()`; no session keeps labels, so nobody has to be told.
fn column(object: &pg_sys::ObjectAddress, label: Option<&CStr>) -> Result<()> {
    check_place(object)?;
    let label = match label.map(CStr::to_str) {
        Some(Ok(text)) => class::check(text).map(|()| Some(text))?,
        Some(Err(_)) => return Err(Error::new(Kind::InvalidArgument, "a class is written in ASCII")),
        None => None,
    };
    // the statement itself is refused there; this is for whatever reaches us by another way
    if let Some(name) = identity::subprocessor()? {
        return Err(Error::new(Kind::OutsideScope, format!("sub-processor {} may not classify columns", shown(&name)))
            .hint("connect as the owner of the table"));
    }
    let before = class_of(object);
    if before.is_none() || before.as_deref() == label || may_change() {
        return Ok(());
    }
    let user = roles::name(roles::current()).unwrap_or_default();
    Err(Error::new(Kind::Privilege, "to change or remove the class of a column takes a member of airlock_admin")
        .detail(format!(
            "The column's class is {}; a scope could show more under another one.",
            shown(before.as_deref().unwrap_or_default())
        ))
        .hint(format!(
            "ask an administrator of airlock who may act as the owner, or GRANT airlock_admin TO {}",
            ident(&user)
        )))
}

/// Columns of tables that could be shared; a view's columns are somebody's expressions, and an index has none.
fn check_place(object: &pg_sys::ObjectAddress) -> Result<()> {
    const HINT: &str = "SECURITY LABEL FOR airlock ON COLUMN table.column IS 'pii.contact'";
    // SAFETY: syscache look-ups by number, of a relation that the statement has locked; the name is palloc'd, or NULL.
    let (kind, schema) = unsafe {
        let name = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(object.objectId));
        let name = if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() };
        (pg_sys::get_rel_relkind(object.objectId) as u8, name)
    };
    let column = object.classId == pg_sys::RelationRelationId && object.objectSubId > 0;
    let table =
        matches!(kind, pg_sys::RELKIND_RELATION | pg_sys::RELKIND_PARTITIONED_TABLE | pg_sys::RELKIND_FOREIGN_TABLE);
    if !column || !table {
        let message = "labels of provider \"airlock\" are for columns of tables, and for roles";
        return Err(Error::new(Kind::WrongObject, message).hint(HINT));
    }
    if RESERVED_SCHEMAS.contains(&schema.as_str()) || schema.starts_with("pg_") {
        let message = format!("columns in schema {} have no class: no scope can share them", shown(&schema));
        return Err(Error::new(Kind::WrongObject, message).hint(HINT));
    }
    Ok(())
}

/// The label that the column has.
fn class_of(object: &pg_sys::ObjectAddress) -> Option<String> {
    // SAFETY: a catalog look-up; the text is palloc'd, or NULL.
    unsafe {
        let label = pg_sys::GetSecurityLabel(object, identity::PROVIDER.as_ptr());
        (!label.is_null()).then(|| CStr::from_ptr(label).to_string_lossy().into_owned())
    }
}

fn may_change() -> bool {
    let user = roles::current();
    roles::is_superuser(user) || roles::by_name("airlock_admin").is_some_and(|admin| roles::has_rights_of(user, admin))
}
