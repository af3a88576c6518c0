//! The life of a sub-processor's mask key: another version for all its scopes at once, and the end of a version.
//!
//! A rule pins a version. A rotation moves every rule of the sub-processor in one transaction, so that joins hold across its
//! scopes before and after; how each rule was before stays in the catalog with its end, for `airlock.trace`.

use super::life::scrub_wrapped_keys;
use super::new_version;
use crate::pg::admin::history::{kept, Of};
use crate::pg::admin::{act, said, sees_all, unknown_subprocessor};
use crate::pg::error::notice;
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{sessions, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::Use;
use crate::pure::name::{literal, shown};
use crate::pure::subprocessor::State;
use crate::sql_function;

sql_function!(
    /// `airlock.rotate_mask_key(subprocessor text, reason text) → integer`: makes the next version of the sub-processor's mask
    /// key, moves all its rules to it, and gives its number. Every pseudonym, group, shift and noise of its views changes at
    /// once; what it stored before joins no more. Sessions that read for it are ended.
    ///
    /// Errors: `42704` no such sub-processor; `55000` it is terminated; `AL001` no root key; `25001` in a
    /// transaction that keeps its first snapshot.
    airlock_rotate_mask_key,
    |args| {
        let (name, reason): (String, String) = (args.need(0, "subprocessor")?, args.need(1, "reason")?);
        let reason = said(reason, "reason")?;
        act(|| kept(Of::Subprocessor(&name), "rotate_mask_key", Some(&reason), || rotate(&name))).map(Sql)
    }
);

sql_function!(
    /// `airlock.destroy_mask_key(subprocessor text, reason text, version integer) → integer`: removes the wrapped bytes of a
    /// version that no rule in force pins; of a terminated sub-processor, and without `version`, of all. Gives how many. Final:
    /// nobody can make or trace these pseudonyms again.
    ///
    /// Errors: `42704` no such sub-processor or version; `55000` rules in force pin it, or it is destroyed.
    airlock_destroy_mask_key,
    |args| {
        let (name, reason): (String, String) = (args.need(0, "subprocessor")?, args.need(1, "reason")?);
        let (reason, version) = (said(reason, "reason")?, args.get::<i32>(2));
        act(|| kept(Of::Subprocessor(&name), "destroy_mask_key", Some(&reason), || destroy(&name, version))).map(Sql)
    }
);

/// A sub-processor whose row is locked: number, uuid, state.
fn locked(name: &str) -> Result<(i32, pgrx::Uuid, State)> {
    let found = sql::first(
        "SELECT s.id, s.uuid, s.state FROM airlock_catalog.subprocessor s WHERE s.name = $1 FOR UPDATE",
        &[arg(name)],
        |row| Ok((row.need(1)?, row.need(2)?, row.need::<String>(3)?)),
    )?;
    let (id, uuid, state) = found.ok_or_else(|| unknown_subprocessor(name))?;
    let unknown = || Error::new(Kind::Corrupt, format!("sub-processor {} has an unknown state", shown(name)));
    Ok((id, uuid, State::from_label(&state).ok_or_else(unknown)?))
}

/// The version that new rules pin.
pub fn current(subprocessor: i32) -> Result<i32> {
    let found = sql::first(
        "SELECT v.version FROM airlock_catalog.key_version v JOIN airlock_catalog.subprocessor s ON s.uuid = v.owner
          WHERE s.id = $1 AND v.use = 'mask' AND v.state = 'active'",
        &[arg(subprocessor)],
        |row| row.need::<i32>(1),
    )?;
    found.ok_or_else(|| {
        Error::new(Kind::KeyVersion, "the sub-processor has no mask key")
            .hint("restore the rows of airlock_catalog.key_version from a backup")
    })
}

fn rotate(name: &str) -> Result<i32> {
    sees_all()?;
    super::ensure_initialised()?;
    let (id, uuid, state) = locked(name)?;
    if state == State::Terminated {
        return Err(Error::new(Kind::State, format!("sub-processor {} is terminated", shown(name))).hint(format!(
            "nothing is masked for it any more: SELECT airlock.destroy_mask_key({}, 'why')",
            literal(name)
        )));
    }
    let next = current(id)? + 1;
    sql::run(
        "UPDATE airlock_catalog.key_version SET state = 'decrypt-only' WHERE owner = $1 AND use = 'mask' AND state = 'active'",
        &[arg(uuid)],
    )?;
    new_version(*uuid.as_bytes(), Use::Mask, next as u32)?;
    // the views name the rules by number, so these go on, and what they were is kept beside them
    let pinned = "FROM airlock_catalog.scope c WHERE c.id = r.scope AND c.subprocessor = $1 AND c.dropped_at IS NULL
                   AND r.until IS NULL AND r.mask_key_version IS NOT NULL";
    sql::run(
        &format!(
            "INSERT INTO airlock_catalog.rule (scope, ordinal, column_name, mask, plain_type, encrypted, domain, mask_key_version, result_type, since, until, condition)
             SELECT r.scope, r.ordinal, r.column_name, r.mask, r.plain_type, r.encrypted, r.domain, r.mask_key_version, r.result_type, r.since, pg_catalog.now(), r.condition
               FROM airlock_catalog.rule r WHERE EXISTS (SELECT {pinned})"
        ),
        &[arg(id)],
    )?;
    sql::run(
        &format!("UPDATE airlock_catalog.rule r SET mask_key_version = $2, since = pg_catalog.now() {pinned}"),
        &[arg(id), arg(next)],
    )?;
    shared::changed();
    // a statement that runs would go on under the other key
    sessions::end_at_commit(Vec::new(), id);
    Ok(next)
}

fn destroy(name: &str, version: Option<i32>) -> Result<i32> {
    sees_all()?;
    let (id, uuid, state) = locked(name)?;
    let there = sql::rows(
        "SELECT v.version, v.state FROM airlock_catalog.key_version v WHERE v.owner = $1 AND v.use = 'mask' AND ($2 IS NULL OR v.version = $2)",
        &[arg(uuid), arg(version)],
        |row| Ok((row.need::<i32>(1)?, row.need::<String>(2)?)),
    )?;
    if let (Some(version), []) = (version, &there[..]) {
        let message = format!("the mask key of sub-processor {} has no version {version}", shown(name));
        return Err(Error::new(Kind::Undefined, message).hint("those there are: TABLE airlock.mask_keys"));
    }
    let doomed: Vec<i32> =
        there.iter().filter(|(_, state)| state != "destroyed").map(|(version, _)| *version).collect();
    if doomed.is_empty() {
        return Err(Error::new(Kind::State, "it is destroyed already"));
    }
    let pinned = sql::rows(
        "SELECT DISTINCT r.mask_key_version FROM airlock_catalog.rule r JOIN airlock_catalog.scope c ON c.id = r.scope
          WHERE c.subprocessor = $1 AND c.dropped_at IS NULL AND r.until IS NULL AND r.mask_key_version IS NOT NULL",
        &[arg(id)],
        |row| row.need::<i32>(1),
    )?;
    // the active one would be pinned by the next rule
    let needed = |version: &i32| pinned.contains(version) || there.contains(&(*version, "active".to_owned()));
    if let Some(version) = doomed.iter().find(|version| state != State::Terminated && needed(version)) {
        let message = format!("version {version} of the mask key of sub-processor {} is in use", shown(name));
        return Err(Error::new(Kind::State, message).hint(format!(
            "SELECT airlock.rotate_mask_key({0}, 'why') first, or SELECT airlock.terminate({0}, 'why')",
            literal(name)
        )));
    }
    sql::run(
        "UPDATE airlock_catalog.key_version SET state = 'destroyed', wrapped = NULL WHERE owner = $1 AND use = 'mask' AND version = ANY ($2)",
        &[arg(uuid), arg(doomed.clone())],
    )?;
    shared::changed();
    notice(
        Error::new(Kind::State, format!("once this is committed nobody can make or trace these pseudonyms of sub-processor {} again", shown(name)))
            .detail("Backups, dumps, WAL and replicas from before hold the wrapped key still, and it opens there as long as somebody has the root key.")
            .hint("To put an end to that too: SELECT airlock.rotate_root_key(…), then destroy the old root key and its copies."),
    );
    scrub_wrapped_keys();
    Ok(doomed.len() as i32)
}
