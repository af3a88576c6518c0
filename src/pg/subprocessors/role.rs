//! Which roles may become a sub-processor's: an ordinary login that owns nothing and is a member of nothing that reads.

use crate::pg::error::notice;
use crate::pg::readlog::identity::labelled_roles;
use crate::pg::sys::compat;
use crate::pg::sys::roles::{by_name, caller, current, is_member, name, session};
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, literal, shown};
use pgrx::pg_sys;

/// The extension's own group roles.
const OURS: [&str; 3] = ["airlock_admin", "airlock_auditor", "airlock_view_owner"];

/// Checks that a role can be bound to a sub-processor. `role_name` is its name.
///
/// # Errors
/// `22023` with the reason in DETAIL and what to type in HINT; `42710` when it is bound already; `42501` when it is in use
/// and the caller could not change roles otherwise.
pub fn check(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    check_labels(role, role_name)?;
    if OURS.contains(&role_name) || role_name.starts_with("pg_") {
        return Err(refused(role_name, "it is a group role with another task")
            .hint("CREATE ROLE … LOGIN for the sub-processor"));
    }
    check_attributes(role, role_name)?;
    check_memberships(role, role_name)?;
    check_members(role, role_name)?;
    check_keys(role, role_name)?;
    check_ownership(role, role_name)?;
    check_use(role, role_name)
}

fn refused(role: &str, why: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("role {} cannot be a sub-processor's", shown(role))).detail(why)
}

/// One role per sub-processor, and no login under two.
fn check_labels(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    for (labelled, subprocessor) in labelled_roles() {
        if labelled == role {
            return Err(Error::new(
                Kind::Duplicate,
                format!("role {} is bound to sub-processor \"{subprocessor}\"", shown(role_name)),
            )
            .hint("CREATE ROLE … LOGIN: each sub-processor needs a role of its own"));
        }
        let other = name(labelled).unwrap_or_default();
        let (member, group) = if is_member(role, labelled) {
            (role_name, other.as_str())
        } else if is_member(labelled, role) {
            (other.as_str(), role_name)
        } else {
            continue;
        };
        return Err(refused(
            role_name,
            &format!("role {} is a member of {}, and both would be sub-processors", shown(member), shown(group)),
        )
        .hint(format!("REVOKE {} FROM {}", ident(group), ident(member))));
    }
    Ok(())
}

/// The attributes that reach past any GRANT, with the word that takes each away.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("SUPERUSER", "NOSUPERUSER"),
    ("REPLICATION", "NOREPLICATION"),
    ("BYPASSRLS", "NOBYPASSRLS"),
    ("CREATEROLE", "NOCREATEROLE"),
    ("CREATEDB", "NOCREATEDB"),
];

fn attributes(role: pg_sys::Oid) -> Result<Vec<bool>> {
    let found = sql::first(
        "SELECT r.rolsuper, r.rolreplication, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb
           FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) $1",
        &[arg(role)],
        |row| (1..=ATTRIBUTES.len()).map(|i| row.need::<bool>(i)).collect(),
    )?;
    Ok(found.unwrap_or_default())
}

fn check_attributes(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let held = attributes(role)?;
    let held: Vec<_> = ATTRIBUTES.iter().zip(held).filter(|(_, held)| *held).map(|(attribute, _)| attribute).collect();
    if held.is_empty() {
        return Ok(());
    }
    let list = |f: fn(&(&str, &str)) -> String| held.iter().map(|a| f(a)).collect::<Vec<_>>();
    let why = format!("it has {}, which reaches past every scope", list(|a| a.0.to_string()).join(", "));
    Err(refused(role_name, &why).hint(format!(
        "ALTER ROLE {} {}",
        ident(role_name),
        list(|a| a.1.to_string()).join(" ")
    )))
}

/// The groups it can act as: none of ours, none of PostgreSQL's predefined ones (all of them read, signal or run
/// something), none with an attribute that the role itself may not have.
fn check_memberships(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let groups = sql::rows("SELECT r.oid, r.rolname::pg_catalog.text FROM pg_catalog.pg_roles r", &[], |row| {
        Ok((row.need::<pg_sys::Oid>(1)?, row.need::<String>(2)?))
    })?;
    for (group, group_name) in groups {
        if group == role || !is_member(role, group) {
            continue;
        }
        let strong = attributes(group)?.contains(&true);
        if OURS.contains(&group_name.as_str()) || group_name.starts_with("pg_") || strong {
            return Err(refused(role_name, &format!("it is a member of {}", shown(&group_name))).hint(format!(
                "REVOKE {} FROM {}",
                ident(&group_name),
                ident(role_name)
            )));
        }
    }
    Ok(())
}

/// Whoever is a member of the role is contained like it: not the one who is asking, not the extension's owner.
fn check_members(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let us = session().into_iter().chain([caller(), current()]).chain(OURS.iter().filter_map(|n| by_name(n)));
    for member in us {
        if is_member(member, role) {
            let member = name(member).unwrap_or_default();
            return Err(refused(
                role_name,
                &format!("role {} is a member of it, and would be contained with it", shown(&member)),
            )
            .hint(format!("REVOKE {} FROM {}", ident(role_name), ident(&member))));
        }
    }
    Ok(())
}

/// A sub-processor decrypts through its scopes only; a grant on a key would be a second way, for whoever finds it.
fn check_keys(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let grants = sql::rows(
        "SELECT g.role::pg_catalog.oid, g.access, k.name FROM airlock_catalog.key_grant g JOIN airlock_catalog.key k ON k.key_no = g.key_no",
        &[],
        |row| Ok((row.need::<pg_sys::Oid>(1)?, row.need::<String>(2)?, row.need::<String>(3)?)),
    )?;
    match grants.into_iter().find(|(holder, ..)| is_member(role, *holder)) {
        None => Ok(()),
        Some((holder, access, key)) => {
            let holder = name(holder).unwrap_or_default();
            Err(refused(role_name, &format!("it holds {access} on key \"{key}\" by role {}", shown(&holder)))
                .hint(format!("SELECT airlock.revoke_{access}({}, {})", literal(&key), literal(&holder))))
        }
    }
}

/// An owner reads and changes what it owns, whatever it is granted. In every database of the cluster.
fn check_ownership(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let owned = sql::first(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_shdepend d
          WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
            AND d.refobjid OPERATOR(pg_catalog.=) $1 AND d.deptype OPERATOR(pg_catalog.=) 'o'",
        &[arg(role)],
        |row| row.need::<i64>(1),
    )?;
    match owned {
        Some(0) | None => Ok(()),
        Some(n) => Err(refused(role_name, &format!("it owns {n} objects"))
            .hint(format!("REASSIGN OWNED BY {} TO …, in each database that has some", ident(role_name)))),
    }
}

/// A role that is in use loses what it could do so far, and so do its members. Only who may change roles anyway decides
/// that; for them it is said.
fn check_use(role: pg_sys::Oid, role_name: &str) -> Result<()> {
    let usable = compat::USABLE_GRANT;
    let counts = sql::first(
        &format!(
            "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members a WHERE a.roleid OPERATOR(pg_catalog.=) $1 AND {usable}),
                    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members a WHERE a.member OPERATOR(pg_catalog.=) $1 AND {usable}),
                    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_shdepend d
                      WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
                        AND d.refobjid OPERATOR(pg_catalog.=) $1 AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_auth_members'::pg_catalog.regclass)"
        ),
        &[arg(role)],
        |row| Ok([row.need::<i64>(1)?, row.need(2)?, row.need(3)?]),
    )?;
    let uses = ["members", "roles that it is a member of", "objects that it holds privileges on"];
    let counts = counts.unwrap_or_default().into_iter().zip(uses).filter(|(n, _)| *n > 0);
    let found: Vec<String> = counts.map(|(n, what)| format!("{what}: {n}")).collect();
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    let may = sql::first(
        &format!("SELECT {} FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) $1", compat::MAY_CHANGE_ROLE),
        &[arg(caller()), arg(role)],
        |row| row.need::<bool>(1),
    )?;
    if may != Some(true) {
        return Err(Error::new(
            Kind::Privilege,
            format!("role {} is in use, and would be contained from now on", shown(role_name)),
        )
        .detail(found)
        .hint("who may change the role (a superuser; CREATEROLE, from PostgreSQL 16 on with ADMIN OPTION) must register it, or use a new role"));
    }
    notice(
        Error::new(Kind::State, format!("role {} is in use, and is contained from now on", shown(role_name)))
            .detail(found)
            .hint("so are its members; their live sessions end at commit"),
    );
    Ok(())
}
