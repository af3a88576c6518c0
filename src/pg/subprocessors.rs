//! Sub-processors: SQL to create, change, suspend, resume and terminate them.
//!
//! The row of the sub-processor is locked first in every function, so two administrators take turns.

mod role;

use crate::pg::admin::history::{kept, Of};
use crate::pg::admin::{act, existing_role, said, unknown_subprocessor};
use crate::pg::keys::{ensure_initialised, entropy, is_member, new_version};
use crate::pg::readlog::identity::set_label;
use crate::pg::readlog::materialiser::before_0_2;
use crate::pg::sys::json::{json_argument, need_json};
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{sessions, Args, Sql};
use crate::pg::{registry, shared};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::Use;
use crate::pure::name::{check_name, ident, literal, shown};
use crate::pure::scope::VIEW_OWNER;
use crate::pure::subprocessor::{apply_changes, check_details, narrows, parse_networks, Contract, State};
use crate::sql_function;
use pgrx::datum::Date;
use pgrx::{pg_sys, JsonB};

sql_function!(
    /// `airlock.create_subprocessor(name, role, legal_name, contract, purposes, valid_until, networks, require_tls,
    /// details) → integer`: registers a third party under an ordinary role, with a mask key and a schema of its own.
    ///
    /// Errors: `22023` a name, role, purpose or network that will not do; `42710` name, role or schema are taken;
    /// `AL010` unknown `details`; `AL001` no root key; `42501` a role in use, unless a superuser or a role with CREATEROLE
    /// asks. At commit the role's live sessions end; a NOTICE says what of it is in use.
    airlock_create_subprocessor,
    |args| {
        let new = New::read(args)?;
        act(|| kept(Of::Subprocessor(&new.name), "create", None, || create(&new))).map(Sql)
    }
);

sql_function!(
    /// `airlock.alter_subprocessor(name text, changes jsonb)`: changes what the contract says; effective at commit, for
    /// running sessions too.
    ///
    /// Errors: `AL010` with the JSON path; `42704` unknown name; `55000` terminated.
    airlock_alter_subprocessor,
    |args| {
        let (name, changes) = (args.need::<String>(0, "name")?, need_json(args, 1, "changes")?);
        act(|| kept(Of::Subprocessor(&name), "alter", None, || alter(&name, &changes)))
    }
);

sql_function!(
    /// `airlock.suspend(name text, reason text) → integer`: no more reads from the commit on, and the live sessions end.
    /// Gives their number. Errors: `55000` unless it is active.
    airlock_suspend,
    |args| {
        let (name, reason): (String, String) = (args.need(0, "name")?, args.need(1, "reason")?);
        act(|| with_reason(&name, "suspend", &reason, || stop(&name, reason.clone(), State::Suspended))).map(Sql)
    }
);

sql_function!(
    /// `airlock.resume(name text, reason text)`: a suspended sub-processor may read again. Errors: `55000` unless it is
    /// suspended; a terminated one stays so.
    airlock_resume,
    |args| {
        let (name, reason): (String, String) = (args.need(0, "name")?, args.need(1, "reason")?);
        act(|| with_reason(&name, "resume", &reason, || resume(&name, reason.clone())))
    }
);

sql_function!(
    /// `airlock.terminate(name text, reason text) → integer`: as suspend, and for good. Errors: `55000` when it is
    /// terminated already.
    airlock_terminate,
    |args| {
        let (name, reason): (String, String) = (args.need(0, "name")?, args.need(1, "reason")?);
        act(|| with_reason(&name, "terminate", &reason, || stop(&name, reason.clone(), State::Terminated))).map(Sql)
    }
);

fn with_reason<T>(name: &str, action: &str, reason: &str, change: impl FnOnce() -> Result<T>) -> Result<T> {
    kept(Of::Subprocessor(name), action, Some(reason), change)
}

/// The arguments of `create_subprocessor`.
struct New {
    name: String,
    role: pg_sys::Oid,
    legal_name: String,
    contract: String,
    purposes: Vec<String>,
    valid_until: Option<Date>,
    networks: Vec<String>,
    require_tls: bool,
    details: serde_json::Value,
}

impl New {
    fn read(args: Args) -> Result<New> {
        let networks = args.get::<Vec<Option<String>>>(6).unwrap_or_default();
        Ok(New {
            name: args.need(0, "name")?,
            role: args.need(1, "role")?,
            legal_name: said(args.need(2, "legal_name")?, "legal_name")?,
            contract: said(args.need(3, "contract")?, "contract")?,
            purposes: purposes(args.need(4, "purposes")?)?,
            valid_until: args.get(5),
            // canonical, so that the register shows what is compared
            networks: parse_networks(&no_null(networks, "networks")?)?.iter().map(ToString::to_string).collect(),
            require_tls: args.get(7).unwrap_or(true),
            details: json_argument(args, 8, "details")?.unwrap_or_else(|| serde_json::json!({})),
        })
    }
}

fn no_null(texts: Vec<Option<String>>, name: &str) -> Result<Vec<String>> {
    let null = || Error::new(Kind::InvalidArgument, format!("argument \"{name}\" must not hold a null"));
    texts.into_iter().map(|text| text.ok_or_else(null)).collect()
}

/// At least one purpose, none blank, none twice.
fn purposes(given: Vec<Option<String>>) -> Result<Vec<String>> {
    let given = no_null(given, "purposes")?;
    let refused = |why: &str| {
        Error::new(Kind::InvalidArgument, format!("argument \"purposes\" {why}"))
            .hint("name what the data is read for, such as '{product analytics}'")
    };
    if given.is_empty() {
        return Err(refused("must name at least one purpose"));
    }
    if given.iter().any(|purpose| purpose.trim().is_empty()) {
        return Err(refused("must not hold an empty purpose"));
    }
    match given.iter().enumerate().find(|(i, purpose)| given[..*i].contains(purpose)) {
        Some((_, twice)) => Err(refused(&format!("names {} twice", shown(twice)))),
        None => Ok(given),
    }
}

fn create(new: &New) -> Result<i32> {
    check_name("sub-processor", &new.name)?;
    let role_name = existing_role(new.role)?;
    check_details(&new.details)?;
    if sql::run("SELECT FROM airlock_catalog.subprocessor s WHERE s.name = $1", &[arg(new.name.as_str())])? > 0 {
        return Err(taken(&new.name, &role_name));
    }
    role::check(new.role, &role_name)?;
    check_schema(&new.name)?;
    ensure_initialised()?;
    let uuid = entropy::uuid()?;
    let id = sql::first(
        "INSERT INTO airlock_catalog.subprocessor
           (uuid, name, role, legal_name, contract, purposes, valid_until, networks, require_tls, details)
         VALUES ($1, $2, $3::pg_catalog.regrole, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id",
        &[
            arg(pgrx::Uuid::from_bytes(uuid)),
            arg(new.name.as_str()),
            arg(new.role),
            arg(new.legal_name.as_str()),
            arg(new.contract.as_str()),
            arg(new.purposes.clone()),
            arg(new.valid_until),
            arg(new.networks.clone()),
            arg(new.require_tls),
            arg(JsonB(new.details.clone())),
        ],
        |row| row.need::<i32>(1),
    )?;
    let id = id.ok_or_else(|| taken(&new.name, &role_name))?;
    new_version(uuid, Use::Mask, 1)?;
    set_label(new.role, Some(&new.name))?;
    let schema = ident(&new.name);
    sql::run(&format!("CREATE SCHEMA {schema} AUTHORIZATION {}", ident(VIEW_OWNER)), &[])?;
    sql::run(&format!("GRANT USAGE ON SCHEMA {schema} TO {}", ident(&role_name)), &[])?;
    shared::changed();
    // they may hold cursors that were opened before anything was contained
    end_sessions(id, new.role)?;
    Ok(id)
}

/// Names are never used twice: reports about a terminated sub-processor must not be mistaken for its successor's.
fn taken(name: &str, role: &str) -> Error {
    Error::new(Kind::Duplicate, format!("sub-processor \"{name}\", or one with role {}, exists already", shown(role)))
        .hint("take another name, and a role of its own: see TABLE airlock.subprocessors")
}

/// A schema that exists may hold what somebody planted there.
fn check_schema(name: &str) -> Result<()> {
    let there = sql::run(
        "SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
        &[arg(name)],
    )?;
    if there == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Duplicate, format!("schema \"{name}\" exists already"))
        .detail("a sub-processor's views live in a schema of its own, which is made with it")
        .hint(format!("ALTER SCHEMA {0} RENAME TO …, or DROP SCHEMA {0}, or take another name", ident(name))))
}

/// A sub-processor whose row is locked.
struct Locked {
    id: i32,
    role: pg_sys::Oid,
    state: State,
}

fn lock(name: &str) -> Result<Locked> {
    let found = sql::first(
        "SELECT s.id, s.role::pg_catalog.oid, s.state FROM airlock_catalog.subprocessor s WHERE s.name = $1 FOR UPDATE",
        &[arg(name)],
        |row| Ok((row.need(1)?, row.need(2)?, row.need::<String>(3)?)),
    )?;
    let (id, role, state) = found.ok_or_else(|| unknown_subprocessor(name))?;
    let unknown = || Error::new(Kind::Corrupt, format!("sub-processor {} has an unknown state", shown(name)));
    Ok(Locked { id, role, state: State::from_label(&state).ok_or_else(unknown)? })
}

fn wrong_state(name: &str, state: State, hint: String) -> Error {
    Error::new(Kind::State, format!("sub-processor {} is {}", shown(name), state.label())).hint(hint)
}

const FINAL: &str = "termination is final: register the company again under another name and role";

fn alter(name: &str, patch: &serde_json::Value) -> Result<()> {
    let changes = apply_changes(patch)?;
    let found = lock(name)?;
    if found.state == State::Terminated {
        return Err(wrong_state(name, found.state, FINAL.into()));
    }
    let contract = || Ok(registry::current()?.subprocessors.get(name).map(|s| s.contract.clone()));
    let before: Option<Contract> = contract()?;
    let networks: Option<Vec<String>> = changes.networks.map(|n| n.iter().map(ToString::to_string).collect());
    sql::run(
        "UPDATE airlock_catalog.subprocessor SET
           legal_name = COALESCE($2, legal_name), contract = COALESCE($3, contract), purposes = COALESCE($4, purposes),
           valid_until = CASE WHEN $5 THEN '2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $6 ELSE valid_until END,
           networks = COALESCE($7, networks), require_tls = COALESCE($8, require_tls), details = COALESCE($9, details)
         WHERE id = $1",
        &[
            arg(found.id),
            arg(changes.legal_name),
            arg(changes.contract),
            arg(changes.purposes),
            arg(changes.valid_until.is_some()),
            arg(changes.valid_until.flatten()),
            arg(networks),
            arg(changes.require_tls),
            arg(changes.details.map(JsonB)),
        ],
    )?;
    for (quota, most) in [("rows_per_day", changes.rows_per_day), ("connections_per_day", changes.connections_per_day)]
    {
        let Some(most) = most else { continue };
        if before_0_2() {
            return Err(Error::new(Kind::Unsupported, format!("the objects of the extension know no \"{quota}\" yet"))
                .hint("ALTER EXTENSION pg_airlock UPDATE"));
        }
        let sql = format!("UPDATE airlock_catalog.subprocessor SET {quota} = $2 WHERE id = $1");
        sql::run(&sql, &[arg(found.id), arg(most)])?;
    }
    shared::changed();
    if let (Some(before), Some(after)) = (before, contract()?) {
        if narrows(&before, &after) {
            // a statement that runs is not asked again: whoever reads now starts anew, under what is agreed now
            sessions::end_at_commit(Vec::new(), found.id);
        }
    }
    Ok(())
}

fn set_state(id: i32, state: State, reason: String) -> Result<()> {
    sql::run(
        "UPDATE airlock_catalog.subprocessor SET state = $2, state_reason = $3, state_since = pg_catalog.now() WHERE id = $1",
        &[arg(id), arg(state.label()), arg(reason)],
    )?;
    shared::changed();
    Ok(())
}

/// Suspends or terminates: state first, sessions at commit.
fn stop(name: &str, reason: String, to: State) -> Result<i32> {
    let reason = said(reason, "reason")?;
    let found = lock(name)?;
    let quoted = literal(name);
    match (found.state, to) {
        (State::Terminated, _) => return Err(wrong_state(name, found.state, FINAL.into())),
        (State::Suspended, State::Suspended) => {
            let hint = format!("SELECT airlock.resume({quoted}, 'why') or SELECT airlock.terminate({quoted}, 'why')");
            return Err(wrong_state(name, found.state, hint));
        }
        _ => set_state(found.id, to, reason)?,
    }
    end_sessions(found.id, found.role)
}

/// Ends the sessions of the role, of its members, and of whoever reads as it; at commit. Gives their number.
fn end_sessions(id: i32, role: pg_sys::Oid) -> Result<i32> {
    let logins = sql::rows("SELECT r.oid FROM pg_catalog.pg_roles r", &[], |row| row.need::<pg_sys::Oid>(1))?;
    Ok(sessions::end_at_commit(logins.into_iter().filter(|login| is_member(*login, role)).collect(), id))
}

fn resume(name: &str, reason: String) -> Result<()> {
    let reason = said(reason, "reason")?;
    let found = lock(name)?;
    match found.state {
        State::Suspended => set_state(found.id, State::Active, reason),
        State::Active => Err(wrong_state(name, found.state, "there is nothing to resume".into())),
        State::Terminated => Err(wrong_state(name, found.state, FINAL.into())),
    }
}
