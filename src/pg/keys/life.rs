//! The life of a sealing version: rotate, retire, destroy; and locking all keys of the server at once.

use super::{new_version, proof, ring};
use crate::pg::admin::{act, sees_all};
use crate::pg::error::notice;
use crate::pg::readlog::identity;
use crate::pg::shared;
use crate::pg::sys::latch::{announce, nudge};
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{self, roles, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{Use, VersionState};
use crate::pure::name::{literal, shown};
use crate::sql_function;

sql_function!(
    /// `airlock.rotate_key(key text) → integer`: makes the key's next sealing version active and gives its number. Nothing is
    /// rewritten: what older versions sealed they go on opening. Tags, masks and pseudonyms stay as they are.
    ///
    /// Errors: `42704` no such key; `AL001` no root key.
    airlock_rotate_key,
    |args| {
        let key: String = args.need(0, "key")?;
        act(|| rotate(&key)).map(Sql)
    }
);

sql_function!(
    /// `airlock.retire_key_version(key text, version integer, wait_seconds integer)`: takes a decrypt-only version out of use,
    /// once no value in this database needs it and no transaction is left that could still write one. Waits for
    /// transactions that run already for `wait_seconds` at most.
    ///
    /// Errors: `42704` no such key or version; `55000` it is in another state, values need it (named by column),
    /// transactions do not end, or the active version is not committed yet; `25001` in REPEATABLE READ.
    airlock_retire_key_version,
    |args| {
        let (key, version): (String, i32) = (args.need(0, "key")?, args.need(1, "version")?);
        let wait = args.need(2, "wait_seconds")?;
        act(|| retire(&key, version, wait))
    }
);

sql_function!(
    /// `airlock.destroy_key_version(key text, version integer, wait_seconds integer)`: removes the wrapped bytes of a retired
    /// version, after the same proof as `retire_key_version`. Final: nobody opens what it sealed again.
    ///
    /// Errors: as `retire_key_version`.
    airlock_destroy_key_version,
    |args| {
        let (key, version): (String, i32) = (args.need(0, "key")?, args.need(1, "version")?);
        let wait = args.need(2, "wait_seconds")?;
        act(|| destroy(&key, version, wait))
    }
);

sql_function!(
    /// `airlock.lock()`: every backend of this server forgets its keys, and gets none until `airlock.unlock()` or a restart:
    /// keyed operations and scoped reads raise `AL001`. At once, whatever becomes of the transaction; on a standby too.
    airlock_lock,
    |_args| {
        let user = administrator()?;
        shared::lock_keys(true);
        super::root::forget();
        crate::pg::error::log(format!("the keys of this server were locked by role {}", shown(&user)));
        // idle backends wipe their keys now, within a transaction too, the others when their statement ends or asks for one
        announce(sys::scan::table_oid("key_version").unwrap_or(pgrx::pg_sys::InvalidOid));
        let others = "SELECT a.pid FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.datid <> 0";
        sql::look(&format!("SELECT coalesce(pg_catalog.array_agg(o.pid), '{{}}') FROM ({others}) o"), &[], |row| {
            row.need::<Vec<i32>>(1).map(|pids| pids.into_iter().for_each(nudge))
        })
        .map(drop)
    }
);

sql_function!(
    /// `airlock.unlock()`: ends `airlock.lock()`; keys are read from the root key's source again.
    airlock_unlock,
    |_args| {
        let user = administrator()?;
        shared::lock_keys(false);
        crate::pg::error::log(format!("the keys of this server were unlocked by role {}", shown(&user)));
        Ok(())
    }
);

/// As `act`, but for what changes no data, and so on a standby too. Who it is.
fn administrator() -> Result<String> {
    if let Some(name) = identity::subprocessor()? {
        return Err(Error::new(
            Kind::OutsideScope,
            format!("sub-processor {} may not administer anything", shown(&name)),
        ));
    }
    if roles::restricted() {
        return Err(Error::new(Kind::Privilege, "cannot administer within a security-restricted operation"));
    }
    if !shared::preloaded() {
        return Err(super::root::not_preloaded());
    }
    Ok(roles::name(roles::caller()).unwrap_or_default())
}

fn rotate(key: &str) -> Result<i32> {
    super::ensure_initialised()?;
    let key = ring::key_by_name(key)?;
    // two rotations of one key take turns
    let found = sql::run("SELECT FROM airlock_catalog.key WHERE key_no = $1 FOR UPDATE", &[arg(key.key_no)])?;
    if found == 0 {
        return Err(Error::new(Kind::Undefined, format!("key {} does not exist", shown(&key.name))));
    }
    let uuid = || arg(pgrx::Uuid::from_bytes(key.uuid));
    sql::run(
        "UPDATE airlock_catalog.key_version SET state = 'decrypt-only' WHERE owner = $1 AND use = 'seal' AND state = 'active'",
        &[uuid()],
    )?;
    let last = sql::first(
        "SELECT coalesce(max(v.version), 0) FROM airlock_catalog.key_version v WHERE v.owner = $1 AND v.use = 'seal'",
        &[uuid()],
        |row| row.need::<i32>(1),
    )?;
    let next = last.unwrap_or(0) + 1;
    new_version(key.uuid, Use::Seal, next as u32)?;
    shared::changed();
    Ok(next)
}

/// A sealing version that is in this state: its key and id.
fn version_in(key: &str, version: i32, wanted: VersionState) -> Result<(std::rc::Rc<ring::KeyInfo>, u32)> {
    let key = ring::key_by_name(key)?;
    let found = sql::first(
        "SELECT v.version_id, v.state FROM airlock_catalog.key_version v WHERE v.owner = $1 AND v.use = 'seal' AND v.version = $2",
        &[arg(pgrx::Uuid::from_bytes(key.uuid)), arg(version)],
        |row| Ok((row.need::<i32>(1)?, row.need::<String>(2)?)),
    )?;
    let name = shown(&key.name);
    let Some((id, state)) = found else {
        return Err(Error::new(Kind::Undefined, format!("key {name} has no version {version}"))
            .hint("those there are: TABLE airlock.keys"));
    };
    if state == wanted.label() {
        return Ok((key, id as u32));
    }
    let error = Error::new(Kind::State, format!("version {version} of key {name} is {state}, not {}", wanted.label()));
    let text = literal(&key.name);
    Err(match VersionState::from_label(&state) {
        Some(VersionState::Active) => error.hint(format!("SELECT airlock.rotate_key({text}) first")),
        Some(VersionState::DecryptOnly) => {
            error.hint(format!("SELECT airlock.retire_key_version({text}, {version}) first"))
        }
        _ => error,
    })
}

/// Moves a version on. 55000 when somebody else did meanwhile.
fn move_on(key: &ring::KeyInfo, id: u32, from: VersionState, set: &str) -> Result<()> {
    let sql =
        format!("UPDATE airlock_catalog.key_version SET {set} WHERE version_id = $1 AND use = 'seal' AND state = $2");
    let moved = sql::run(&sql, &[arg(id as i32), arg(from.label())])?;
    shared::changed();
    if moved == 1 {
        return Ok(());
    }
    Err(Error::new(Kind::State, format!("a version of key {} was changed by somebody else", shown(&key.name)))
        .hint("look at TABLE airlock.keys and try again"))
}

/// 55000 while the key's active version is of this very transaction: until it commits, others seal under the one before,
/// also in transactions that begin after the proof has waited.
fn rotated_for_all(key: &ring::KeyInfo, version: i32) -> Result<()> {
    let sql = "SELECT v.xmin::pg_catalog.text::pg_catalog.int8 FROM airlock_catalog.key_version v \
               WHERE v.owner = $1 AND v.use = 'seal' AND v.state = 'active'";
    let written = sql::first(sql, &[arg(pgrx::Uuid::from_bytes(key.uuid))], |row| row.need::<i64>(1))?;
    if !written.and_then(|xmin| u32::try_from(xmin).ok()).is_some_and(sys::is_own_transaction) {
        return Ok(());
    }
    let name = shown(&key.name);
    Err(Error::new(Kind::State, format!("the active version of key {name} is not committed yet"))
        .detail(format!("Until a rotation is, other sessions seal under version {version}."))
        .hint("COMMIT first, then retire the version in a transaction of its own"))
}

fn retire(key: &str, version: i32, wait: i32) -> Result<()> {
    // the columns to look through are listed anew after the wait
    sees_all()?;
    let (key, id) = version_in(key, version, VersionState::DecryptOnly)?;
    rotated_for_all(&key, version)?;
    proof::unused(&key, version, id, wait)?;
    move_on(&key, id, VersionState::DecryptOnly, "state = 'retired', retired_at = pg_catalog.now()")?;
    notice(
        Error::new(Kind::State, format!("no value in this database needs version {version} of key {}", shown(&key.name)))
            .detail("A value that turns up later (a cursor WITH HOLD, a temporary table, a restored dump) raises AL002; airlock.reencrypt still repairs it.")
            .hint(format!("to make that impossible: SELECT airlock.destroy_key_version({}, {version})", literal(&key.name))),
    );
    Ok(())
}

fn destroy(key: &str, version: i32, wait: i32) -> Result<()> {
    sees_all()?;
    let (key, id) = version_in(key, version, VersionState::Retired)?;
    rotated_for_all(&key, version)?;
    proof::unused(&key, version, id, wait)?;
    move_on(&key, id, VersionState::Retired, "state = 'destroyed', wrapped = NULL")?;
    notice(
        Error::new(Kind::State, format!("version {version} of key {} is destroyed once this is committed: that is final", shown(&key.name)))
            .detail("Backups, dumps, WAL and replicas from before hold the wrapped key still, and it opens there as long as somebody has the root key.")
            .hint("To put an end to that too: SELECT airlock.rotate_root_key(…), then destroy the old root key and its copies."),
    );
    scrub_wrapped_keys();
    Ok(())
}

/// Old row versions of `airlock_catalog.key_version` hold the wrapped bytes until their space is used again. They belong to
/// the transaction that destroys them as long as that runs, so nothing can be wiped before its commit: that is for
/// VACUUM and a scrub of the page afterwards, which the user is told.
pub(super) fn scrub_wrapped_keys() {
    notice(
        Error::new(Kind::State, "the page of the key's row still holds the wrapped bytes")
            .hint("Once this is committed: VACUUM FULL airlock_catalog.key_version."),
    );
}
