//! Keys: SQL to create them and to grant what may be done with them. The bytes are made, wrapped and forgotten here;
//! `ring` unwraps them again for use.

mod command;
pub mod derived;
pub mod entropy;
pub mod epochs;
pub mod life;
pub mod mask_life;
pub mod memory;
mod proof;
pub mod ring;
pub mod root;
pub mod rotation;
mod source;
mod turns;

use self::memory::Locked;
use crate::pg::admin::{act, existing_role};
use crate::pg::readlog::identity::labelled_roles;
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::Sql;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{commitment, wrap, Secret, Use, Wrapping};
use crate::pure::name::{check_name, ident, shown};
use crate::pure::plaintext::PlainType;
use crate::pure::tag::Normalise;
use crate::sql_function;
use pgrx::pg_sys;
use std::rc::Rc;
use zeroize::Zeroizing;

pub use crate::pg::sys::roles::{has_rights_of, is_member};

/// Widest padding of variable-width values, in bytes.
const MAX_PAD: i32 = 256;

sql_function!(
    /// `airlock.create_key(name text, plaintext_type text, pad integer, normalise text) → integer`: makes a data
    /// encryption key with a first sealing version and a match secret, and gives its number. `normalise` (`none`,
    /// `lower`, `digits`) is what equality disregards in text: the case, or all but digits.
    ///
    /// Errors: `22023` bad name, type, padding or normalisation; `42710` the name is taken; `AL001` no root key.
    airlock_create_key,
    |args| {
        let (name, plain_type): (String, String) = (args.need(0, "name")?, args.need(1, "plaintext_type")?);
        let pad = args.need(2, "pad")?;
        // 0.1.0's function has three arguments
        let normalise = if args.count() > 3 { args.need(3, "normalise")? } else { String::from("none") };
        act(|| create_key(&name, &plain_type, pad, &normalise)).map(Sql)
    }
);

sql_function!(
    /// `airlock.grant_decrypt(key text, role regrole)`: lets the role open values under the key, which implies match.
    /// Superusers are not exempt: they need a grant as well.
    airlock_grant_decrypt,
    |args| {
        let (key, role): (String, pg_sys::Oid) = (args.need(0, "key")?, args.need(1, "role")?);
        act(|| grant(&key, role, "decrypt"))
    }
);

sql_function!(
    /// `airlock.revoke_decrypt(key text, role regrole)`: takes the right to open values back, at once for everybody.
    airlock_revoke_decrypt,
    |args| {
        let (key, role): (String, pg_sys::Oid) = (args.need(0, "key")?, args.need(1, "role")?);
        act(|| revoke(&key, role, "decrypt"))
    }
);

sql_function!(
    /// `airlock.grant_match(key text, role regrole)`: lets the role compare values under the key without reading them.
    airlock_grant_match,
    |args| {
        let (key, role): (String, pg_sys::Oid) = (args.need(0, "key")?, args.need(1, "role")?);
        act(|| grant(&key, role, "match"))
    }
);

sql_function!(
    /// `airlock.revoke_match(key text, role regrole)`: takes the right to compare back; one that comes with decrypt stays.
    airlock_revoke_match,
    |args| {
        let (key, role): (String, pg_sys::Oid) = (args.need(0, "key")?, args.need(1, "role")?);
        act(|| revoke(&key, role, "match"))
    }
);

/// The root key of a database that is set up. First use stores its check value as generation 1 and makes the log key;
/// from then on no other root key is accepted.
///
/// # Errors
/// `AL001` without root key, or with another one than the database was set up with.
pub fn ensure_initialised() -> Result<Rc<root::Root>> {
    if root::root()?.generation > 0 {
        return rotation::held();
    }
    // two first uses at once: the second waits here, and then finds what the first stored
    sql::run("LOCK TABLE airlock_catalog.root_key IN SHARE ROW EXCLUSIVE MODE", &[])?;
    shared::forget();
    let found = root::root()?;
    if found.generation > 0 {
        return Ok(found);
    }
    let check_value = memory::clean(|| found.key.check_value()).to_vec();
    sql::run("INSERT INTO airlock_catalog.root_key (generation, check_value) VALUES (1, $1)", &[arg(check_value)])?;
    shared::changed();
    new_version(ring::LOG_OWNER, Use::Log, 1)?;
    root::root()
}

/// Makes 32 random bytes, wraps them under the root key for `owner`, stores them as an active version and gives its id.
///
/// # Errors
/// `AL001` without root key, or before [`ensure_initialised`] has run.
pub fn new_version(owner: [u8; 16], usage: Use, version: u32) -> Result<u32> {
    let root = rotation::held()?;
    if root.generation == 0 {
        return Err(Error::new(Kind::Locked, "the root key of this database is not stored yet"));
    }
    let wrapping = Wrapping { usage, key_uuid: owner, version, root_generation: root.generation };
    let secret = Locked::new(|| Ok(Secret::new(*Zeroizing::new(entropy::random::<32>()?))))?;
    let nonce = entropy::random()?;
    let (wrapped, commitment) =
        memory::clean(|| (wrap(&root.key, &secret, &wrapping, &nonce), commitment(&secret).to_vec()));
    loop {
        let id = entropy::number()?;
        let stored = sql::run(
            "INSERT INTO airlock_catalog.key_version (version_id, owner, use, version, wrapped, root_generation, commitment, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'active') ON CONFLICT (version_id) DO NOTHING RETURNING version_id",
            &[
                arg(id),
                arg(pgrx::Uuid::from_bytes(owner)),
                arg(usage.label()),
                arg(version as i32),
                arg(wrapped.clone()),
                arg(root.generation as i32),
                arg(commitment.clone()),
            ],
        )?;
        if stored == 1 {
            shared::changed();
            return Ok(id as u32);
        }
    }
}

fn create_key(name: &str, plain_type: &str, pad: i32, normalise: &str) -> Result<i32> {
    check_name("key", name)?;
    let plain = PlainType::from_name(plain_type).filter(|plain| PlainType::ALL.contains(plain)).ok_or_else(|| {
        let known: Vec<&str> = PlainType::ALL.iter().map(|t| t.sql_name()).collect();
        Error::new(Kind::InvalidArgument, format!("plaintext type {} is not supported", shown(plain_type)))
            .hint(format!("use one of: {}", known.join(", ")))
    })?;
    if !(0..=MAX_PAD).contains(&pad) {
        return Err(Error::new(Kind::InvalidArgument, format!("pad {pad} is out of range"))
            .hint(format!("use 0 (no padding) to {MAX_PAD} bytes; 16 hides lengths up to 16 from each other")));
    }
    let wanted = Normalise::from_label(normalise).ok_or_else(|| {
        let known: Vec<&str> = Normalise::ALL.iter().map(|n| n.label()).collect();
        Error::new(Kind::InvalidArgument, format!("normalisation {} is not supported", shown(normalise)))
            .hint(format!("use one of: {}", known.join(", ")))
    })?;
    if wanted != Normalise::AsIs && plain != PlainType::Text {
        return Err(Error::new(Kind::InvalidArgument, format!("only text is normalised, not {}", plain.sql_name()))
            .hint("leave normalise out"));
    }
    ensure_initialised()?;
    let uuid = entropy::uuid()?;
    let mut key_no = entropy::number()?;
    while ring::taken(key_no)? {
        key_no = entropy::number()?;
    }
    let stored = sql::run(
        "INSERT INTO airlock_catalog.key (key_no, uuid, name, plaintext_type, pad) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING RETURNING key_no",
        &[arg(key_no), arg(pgrx::Uuid::from_bytes(uuid)), arg(name), arg(plain.sql_name()), arg(pad)],
    )?;
    if stored == 0 {
        return Err(Error::new(Kind::Duplicate, format!("key \"{name}\" exists already"))
            .hint("take another name, or use the key that is there: TABLE airlock.keys"));
    }
    if wanted != Normalise::AsIs {
        // apart, for 0.1.0's table has no such column
        sql::run(
            "UPDATE airlock_catalog.key SET normalise = $2 WHERE key_no = $1",
            &[arg(key_no), arg(wanted.label())],
        )?;
    }
    new_version(uuid, Use::Seal, 1)?;
    new_version(uuid, Use::Match, 1)?;
    shared::changed();
    Ok(key_no)
}

/// Stores a grant under the MAC that `ring` checks, and lets the role name what it was given.
fn grant(key: &str, role: pg_sys::Oid, access: &str) -> Result<()> {
    let key = ring::key_by_name(key)?;
    let name = existing_role(role)?;
    if let Some((_, subprocessor)) = labelled_roles().into_iter().find(|(labelled, _)| is_member(role, *labelled)) {
        return Err(Error::new(
            Kind::InvalidArgument,
            format!("role {} belongs to sub-processor \"{subprocessor}\"", shown(&name)),
        )
        .detail("a sub-processor reads through its scopes only, which decrypt for it")
        .hint("SELECT airlock.create_scope(…) with \"clear\" or a mask for the column"));
    }
    let root = ensure_initialised()?;
    let mac = root.catalog_key().mac("grant", &[&key.uuid, name.as_bytes(), access.as_bytes()]).to_vec();
    sql::run(
        "INSERT INTO airlock_catalog.key_grant (key_no, role, access, mac) VALUES ($1, $2::pg_catalog.regrole, $3, $4)
         ON CONFLICT (key_no, role, access) DO UPDATE SET mac = EXCLUDED.mac",
        &[arg(key.key_no), arg(role), arg(access), arg(mac)],
    )?;
    sql::run(&format!("GRANT USAGE ON SCHEMA airlock TO {}", ident(&name)), &[])?;
    shared::changed();
    Ok(())
}

/// Removes a grant. As with REVOKE, one that is not there is no error.
fn revoke(key: &str, role: pg_sys::Oid, access: &str) -> Result<()> {
    let key = ring::key_by_name(key)?;
    let removed = sql::run(
        "DELETE FROM airlock_catalog.key_grant WHERE key_no = $1 AND role = $2::pg_catalog.regrole AND access = $3",
        &[arg(key.key_no), arg(role), arg(access)],
    )?;
    shared::changed();
    if removed == 0 {
        let name = crate::pg::sys::role_name(role);
        let message = format!("role {} holds no {access} grant on key \"{}\"", shown(&name), key.name);
        crate::pg::error::notice(
            Error::new(Kind::Undefined, message).hint("a role of which it is a member may hold one"),
        );
    }
    Ok(())
}
