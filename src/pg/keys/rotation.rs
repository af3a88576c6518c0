//! Another root key: `rotate_root_key` wraps every key anew in one transaction, and how backends that are still pointed at the
//! old root key find the new one.
//!
//! The row of a generation names the source of its root key, under a MAC of the one before. So whoever reads the old root
//! key from `airlock.root_key_source` goes on to the new one, and nothing stands still between the rotation's commit and the
//! change of the setting. A row that was changed, or a source that cannot be read, locks.

use super::memory::{self, Locked};
use super::root::{self, Root};
use super::{entropy, ring};
use crate::pg::admin::act;
use crate::pg::error::notice;
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{roles, scan, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{is_committed, unwrap, wrap, RootKey, Use, Wrapping};
use crate::pure::name::{literal, shown};
use crate::sql_function;
use pgrx::pg_sys;
use std::collections::HashMap;

sql_function!(
    /// `airlock.rotate_root_key(new_source text) → integer`: reads a new root key from `new_source` (as
    /// `airlock.root_key_source` would), wraps every key under it, renews every MAC in the catalog, and gives its generation.
    /// No value is rewritten. All or nothing: it refuses when a single key or row does not authenticate. For superusers, as the
    /// setting is: the server reads what the source names, with its own rights.
    ///
    /// Errors: `42501` no superuser; `AL001` no root key now, or none at the new source; `AL003` a key or row that was changed; `55000` the new one
    /// is an old one, or no root key is stored yet.
    airlock_rotate_root_key,
    |args| {
        let source: String = args.need(0, "new_source")?;
        act(|| rotate(&source)).map(Sql)
    }
);

/// A row of `airlock_catalog.root_key`.
struct Stored {
    generation: u32,
    check_value: Vec<u8>,
    source: Option<String>,
    source_mac: Option<Vec<u8>>,
}

/// All generations, the oldest first.
fn stored() -> Result<Vec<Stored>> {
    let mut rows = Vec::new();
    scan::table("root_key", |row| {
        rows.push(Stored {
            generation: row.need::<i32>("generation")? as u32,
            check_value: row.bytes("check_value").unwrap_or_default(),
            source: row.text("source"),
            source_mac: row.bytes("source_mac"),
        });
        Ok(())
    })?;
    rows.sort_by_key(|row| row.generation);
    Ok(rows)
}

fn source_mac(key: &RootKey, generation: u32, check_value: &[u8], source: &str) -> [u8; 32] {
    key.catalog_key().mac("root source", &[&generation.to_be_bytes(), check_value, source.as_bytes()])
}

/// What a source is, without what it names: a command line may hold a password, and any session may come here.
fn kind(source: &str) -> &str {
    source.split(':').next().unwrap_or_default()
}

/// From the root key of a generation to the newest: from each row to the source that the next one names.
///
/// # Errors
/// AL001 when the next one names none, it cannot be read, or holds another key; AL003 when its row was changed.
pub fn follow(mut key: Locked<RootKey>, mut generation: u32) -> Result<(Locked<RootKey>, u32)> {
    if generation == 0 {
        return Ok((key, generation));
    }
    let rows = stored()?;
    for next in rows {
        if next.generation <= generation {
            continue;
        }
        let replaced = |detail: String| {
            Error::new(
                Kind::Locked,
                format!(
                    "this is the root key of generation {generation}, which generation {} replaced",
                    next.generation
                ),
            )
            .detail(detail)
            .hint("point airlock.root_key_source at the root key of the newest generation, and reload")
        };
        let (Some(source), Some(mac)) = (&next.source, &next.source_mac) else {
            return Err(replaced("The catalog does not say where that one is.".into()));
        };
        let items: [&[u8]; 3] = [&next.generation.to_be_bytes(), &next.check_value, source.as_bytes()];
        if !key.catalog_key().verify("root source", &items, mac) {
            return Err(Error::new(
                Kind::NotAuthentic,
                format!("the catalog row of root key generation {} was changed", next.generation),
            )
            .hint("point airlock.root_key_source at the root key of the newest generation, and reload"));
        }
        let (found, its) = root::current(source).map_err(|e| {
            let why = e.detail.map_or(e.message.clone(), |detail| format!("{}: {detail}", e.message));
            replaced(format!(
                "That one should come from the source of kind \"{}\" that the rotation named. There: {why}.",
                kind(source)
            ))
        })?;
        if its != next.generation {
            return Err(replaced(format!("What the source of kind \"{}\" gives is another key.", kind(source))));
        }
        (key, generation) = (found, next.generation);
    }
    Ok((key, generation))
}

/// When the setting still names a root key that was replaced: its generation, the newest, and the newest's source.
pub fn outdated(key: &RootKey) -> Result<Option<(u32, u32, String)>> {
    let (mine, rows) = (root::check(key)?, stored()?);
    Ok(rows
        .last()
        .filter(|row| mine > 0 && row.generation > mine)
        .map(|row| (mine, row.generation, row.source.clone().unwrap_or_default())))
}

/// The root key, and a lock that keeps a root rotation away until the end of the transaction: whoever stores what it wraps
/// or authenticates takes it first.
pub fn held() -> Result<std::rc::Rc<Root>> {
    let table = scan::table_oid("root_key").ok_or_else(|| {
        Error::new(Kind::Undefined, "extension \"pg_airlock\" is not installed in this database")
            .hint("CREATE EXTENSION pg_airlock, in the database that the setting airlock.database names")
    })?;
    scan::lock(table, pg_sys::RowExclusiveLock);
    root::root()
}

fn rotate(source: &str) -> Result<i32> {
    if !roles::is_superuser(roles::caller()) {
        return Err(Error::new(Kind::Privilege, "must be superuser to rotate the root key")
            .detail("The server reads the new source with its own rights, as it does with airlock.root_key_source."));
    }
    // keeps creation of keys, columns and grants out: each takes `held` first
    sql::run("LOCK TABLE airlock_catalog.root_key IN SHARE ROW EXCLUSIVE MODE", &[])?;
    let old = root::root()?;
    if old.generation == 0 {
        return Err(Error::new(Kind::State, "no root key is stored yet: there is nothing to rotate")
            .hint("point airlock.root_key_source at the key that is to be used"));
    }
    let new = root::read(source)?;
    if let Some(known) = stored()?.into_iter().find(|row| new.matches(&row.check_value)) {
        return Err(Error::new(
            Kind::State,
            format!("the key at the new source is the root key of generation {}", known.generation),
        )
        .hint("make a new one: openssl rand -hex 32"));
    }
    let generation = old.generation + 1;
    let check_value = new.check_value();
    let mac = source_mac(&old.key, generation, &check_value, source).to_vec();
    versions(&old, &new, generation)?;
    let keys = keys()?;
    columns(&old, &new, &keys)?;
    grants(&old, &new, &keys)?;
    sql::run(
        "INSERT INTO airlock_catalog.root_key (generation, check_value, source, source_mac) VALUES ($1, $2, $3, $4)",
        &[arg(generation as i32), arg(check_value.to_vec()), arg(source), arg(mac)],
    )?;
    shared::changed();
    let setting = literal(source);
    notice(
        Error::new(Kind::State, format!("root key generation {generation} wraps all keys once this is committed"))
            .detail("Until the setting names it, sessions find it by way of the old root key: keep both where they are. Standbys need it too. Backups, dumps and WAL from before open with the old root key still.")
            .hint(format!("Once this is committed: ALTER SYSTEM SET airlock.root_key_source = {setting}; SELECT pg_reload_conf(); then put the old root key where its backups are kept, or destroy it.")),
    );
    Ok(generation as i32)
}

/// Wraps every version that has bytes anew. AL003 when one does not open.
fn versions(old: &Root, new: &RootKey, generation: u32) -> Result<()> {
    let rows = sql::rows(
        "SELECT v.version_id, v.owner, v.use, v.version, v.wrapped, v.root_generation, v.commitment
           FROM airlock_catalog.key_version v WHERE v.wrapped IS NOT NULL ORDER BY v.version_id FOR UPDATE",
        &[],
        |row| {
            let usage = Use::from_label(&row.need::<String>(3)?)
                .ok_or_else(|| Error::new(Kind::Corrupt, "a key version has an unknown use"))?;
            let wrapping = Wrapping {
                usage,
                key_uuid: *row.need::<pgrx::Uuid>(2)?.as_bytes(),
                version: row.need::<i32>(4)? as u32,
                root_generation: row.need::<i32>(6)? as u32,
            };
            Ok((row.need::<i32>(1)?, wrapping, row.need::<Vec<u8>>(5)?, row.need::<Vec<u8>>(7)?))
        },
    )?;
    for (id, wrapping, wrapped, commitment) in rows {
        let (usage, version) = (wrapping.usage.label(), wrapping.version);
        let refused = |why: &str| {
            Error::new(Kind::NotAuthentic, format!("wrapped key \"{usage}\" version {version} {why}"))
                .detail(format!("Its row in airlock_catalog.key_version has version_id {id}. Nothing was changed."))
                .hint("restore the row from a backup")
        };
        if wrapping.root_generation != old.generation {
            return Err(refused(&format!("is wrapped by root key generation {}", wrapping.root_generation)));
        }
        let wrapped = memory::clean(|| {
            let secret = unwrap(&old.key, &wrapped, &wrapping).map_err(|_| refused("does not authenticate"))?;
            if !is_committed(&secret, &commitment) {
                return Err(refused("is not the one that its row commits to"));
            }
            Ok(wrap(new, &secret, &Wrapping { root_generation: generation, ..wrapping }, &entropy::random()?))
        })?;
        sql::run(
            "UPDATE airlock_catalog.key_version SET wrapped = $2, root_generation = $3 WHERE version_id = $1",
            &[arg(id), arg(wrapped), arg(generation as i32)],
        )?;
    }
    Ok(())
}

/// Names and uuids of the data keys by number.
fn keys() -> Result<HashMap<i32, (String, [u8; 16])>> {
    let rows = sql::rows("SELECT k.key_no, k.name, k.uuid FROM airlock_catalog.key k", &[], |row| {
        Ok((row.need::<i32>(1)?, (row.need::<String>(2)?, *row.need::<pgrx::Uuid>(3)?.as_bytes())))
    })?;
    Ok(rows.into_iter().collect())
}

fn changed_row(what: &str, hint: &str) -> Error {
    Error::new(Kind::NotAuthentic, format!("the catalog row of {what} was changed"))
        .detail("Nothing was changed.")
        .hint(hint.to_string())
}

/// Renews the MACs of the column numbers.
fn columns(old: &Root, new: &RootKey, keys: &HashMap<i32, (String, [u8; 16])>) -> Result<()> {
    let rows = sql::rows(
        "SELECT e.column_no, e.uuid, e.key_no, e.mac, e.tag_bytes, e.bind FROM airlock_catalog.encrypted_column e FOR UPDATE",
        &[],
        |row| {
            let uuid = *row.need::<pgrx::Uuid>(2)?.as_bytes();
            Ok((row.need::<i32>(1)?, uuid, row.need::<i32>(3)?, row.need::<Vec<u8>>(4)?, row.need::<i32>(5)?, row.need::<Vec<String>>(6)?))
        },
    )?;
    for (number, uuid, key_no, mac, tag_bytes, bind) in rows {
        let changed = || changed_row(&format!("encrypted column {number}"), "restore the row from a backup");
        let (_, key) = keys.get(&key_no).ok_or_else(changed)?;
        let tag_bytes = tag_bytes as u8;
        if !old.catalog_key().verify_column((number, &uuid[..], &key[..]), tag_bytes, &bind, &mac) {
            return Err(changed());
        }
        let mac = new.catalog_key().column_mac(number, &uuid, key, tag_bytes, &bind).to_vec();
        let sql = "UPDATE airlock_catalog.encrypted_column SET mac = $2 WHERE column_no = $1";
        sql::run(sql, &[arg(number), arg(mac)])?;
    }
    Ok(())
}

/// Renews the MACs of the grants. Those of roles that are gone go too: nobody can hold them.
fn grants(old: &Root, new: &RootKey, keys: &HashMap<i32, (String, [u8; 16])>) -> Result<()> {
    let rows = sql::rows(
        "SELECT g.key_no, g.role::pg_catalog.oid, g.access, g.mac FROM airlock_catalog.key_grant g FOR UPDATE",
        &[],
        |row| {
            let role = row.need::<pg_sys::Oid>(2)?;
            Ok((row.need::<i32>(1)?, role, row.need::<String>(3)?, row.need::<Vec<u8>>(4)?))
        },
    )?;
    for (key_no, role, access, mac) in rows {
        let here = "WHERE key_no = $1 AND role = $2::pg_catalog.regrole AND access = $3";
        let place = || vec![arg(key_no), arg(role), arg(access.clone())];
        let Some(name) = roles::name(role) else {
            sql::run(&format!("DELETE FROM airlock_catalog.key_grant {here}"), &place())?;
            continue;
        };
        let found = keys
            .get(&key_no)
            .filter(|(_, uuid)| old.catalog_key().verify("grant", &[uuid, name.as_bytes(), access.as_bytes()], &mac));
        let Some((_, uuid)) = found else {
            let key = keys.get(&key_no).map_or("?", |(key, _)| key);
            let (revoke, text) = (format!("airlock.revoke_{access}"), format!("{}, {}", literal(key), literal(&name)));
            return Err(changed_row(
                &format!("the {access} grant of role {} on key {}", shown(&name), shown(key)),
                &format!("a role that was renamed loses its grants: SELECT {revoke}({text}), and grant again"),
            ));
        };
        let mac = new.catalog_key().mac("grant", &[uuid, name.as_bytes(), access.as_bytes()]).to_vec();
        let mut values = place();
        values.push(arg(mac));
        sql::run(&format!("UPDATE airlock_catalog.key_grant SET mac = $4 {here}"), &values)?;
    }
    ring::forget_rights();
    Ok(())
}
