//! The root key: read from where `airlock.root_key_source` says, checked against the stored check value, never made
//! here. Each backend reads it itself when it first needs a key, so a repaired source unlocks without a restart.
#![allow(unsafe_code)] // ◆ geteuid

use super::rotation;
use crate::pg::sys::scan;
use crate::pg::{gucs, shared};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::RootKey;
use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use zeroize::Zeroizing;

/// The root key and its generation in this database; 0 while none is stored yet.
pub struct Root {
    /// The key.
    pub key: RootKey,
    /// Generation it has in `airlock_catalog.root_key`, 0 when that table is still empty.
    pub generation: u32,
}

/// What is kept: the generation and the source it was read under.
type Cached = Option<((u64, u64), String, Rc<Root>)>;

thread_local! {
    static ROOT: RefCell<Cached> = const { RefCell::new(None) };
}

/// Largest key file that is read: 32 bytes as hex or base64, with some white space.
const MOST: u64 = 1024;

/// The root key, checked. AL001 when there is none, it cannot be read, or it is not the one this database was set up
/// with.
pub fn root() -> Result<Rc<Root>> {
    if !shared::preloaded() {
        return Err(not_preloaded());
    }
    if shared::keys_locked() {
        ROOT.with(|r| r.replace(None));
        return Err(Error::new(Kind::Locked, "the keys were locked by an administrator")
            .hint("SELECT airlock.unlock(), or restart the server"));
    }
    let generation = shared::generation();
    let source = gucs::root_key_source();
    let cached = ROOT.with(|r| match &*r.borrow() {
        Some((g, s, root)) if *g == generation && *s == source => Some(root.clone()),
        _ => None,
    });
    if let Some(root) = cached {
        return Ok(root);
    }
    let key = read(&source)?;
    let generation_of_key = check(&key)?;
    let (key, generation_of_key) = rotation::follow(key, generation_of_key)?;
    let root = Rc::new(Root { key, generation: generation_of_key });
    ROOT.with(|r| r.replace(Some((generation, source, root.clone()))));
    Ok(root)
}

/// Drops the root key when it was read before the shared generation moved.
pub fn drop_stale() {
    ROOT.with(|r| {
        if let Ok(mut root) = r.try_borrow_mut() {
            if root.as_ref().is_some_and(|(generation, ..)| *generation != shared::generation()) {
                *root = None;
            }
        }
    });
}

/// The error for everything that needs the library preloaded.
pub fn not_preloaded() -> Error {
    Error::new(Kind::LogUnavailable, "pg_airlock is not preloaded")
        .hint("add pg_airlock to shared_preload_libraries in postgresql.conf and restart the server")
}

fn locked(message: impl Into<String>) -> Error {
    Error::new(Kind::Locked, message).hint("see SELECT * FROM airlock.doctor()")
}

/// Reads the key from its source. Only `file:` exists so far; the file must be a regular file that nobody but its owner
/// can read, and the owner must be the server's user or root.
pub fn read(source: &str) -> Result<RootKey> {
    if source.is_empty() {
        return Err(Error::new(Kind::Locked, "there is no root key")
            .detail("the setting airlock.root_key_source is empty")
            .hint("put 32 random bytes into a file that only the server's user can read (openssl rand -hex 32), set airlock.root_key_source = 'file:/path' and reload"));
    }
    let Some(path) = source.strip_prefix("file:") else {
        return Err(locked("airlock.root_key_source has an unknown kind").detail("known kinds: file:/absolute/path"));
    };
    if !path.starts_with('/') {
        return Err(locked("airlock.root_key_source must name an absolute path, file:/…"));
    }
    use std::io::Read;
    let unreadable =
        |e: std::io::Error| locked(format!("the root key file cannot be read: {}", e.kind())).detail(path.to_string());
    // opened first and then looked at, so that what is checked is what is read; no wait on a FIFO
    let file = {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
            .map_err(unreadable)?
    };
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(locked("the root key source is not a regular file").detail(path.to_string()));
    }
    // SAFETY: geteuid always succeeds.
    check_owner(path, facts.uid(), unsafe { libc::geteuid() })?;
    if facts.mode() & 0o077 != 0 {
        return Err(Error::new(Kind::Locked, "the root key file can be read by group or others")
            .detail(format!("{path} has mode {:04o}", facts.mode() & 0o7777))
            .hint(format!("chmod 0400 {path}")));
    }
    if facts.len() > MOST {
        return Err(locked("the root key file is too large to hold a key").detail(path.to_string()));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST as usize + 1));
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    RootKey::parse(&bytes)
}

/// AL001 unless the key file belongs to the server's effective user or to root: any other owner could put another key
/// there, or read it and pass it on.
fn check_owner(path: &str, owner: u32, server: u32) -> Result<()> {
    if owner == server || owner == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Locked, "the root key file belongs to another user")
        .detail(format!("{path} belongs to user id {owner}; the server runs as user id {server}"))
        .hint(format!("chown {server} {path}, and take the key for known to its owner until now")))
}

/// Finds the generation whose check value this key has, the newest or an older one; 0 when none is stored yet.
pub fn check(key: &RootKey) -> Result<u32> {
    let mine = key.check_value();
    let (mut any, mut found, mut newest) = (false, None, 0);
    scan::table("root_key", |row| {
        any = true;
        let generation = row.need::<i32>("generation")? as u32;
        newest = newest.max(generation);
        // a check value is public: an ordinary comparison will do
        if row.bytes("check_value").as_deref() == Some(&mine[..]) {
            found = Some(generation);
        }
        Ok(())
    })?;
    match found {
        Some(generation) => Ok(generation),
        None if !any => Ok(0),
        None => Err(Error::new(Kind::Locked, format!("this is not the root key of generation {newest}"))
            .detail("its check value differs from the one stored when this database was set up")
            .hint(
                "point airlock.root_key_source at the root key this database was set up with; nothing has been changed",
            )),
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[allow(clippy::unwrap_used)] // reason: a test fails by panicking
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn keys_root_key_file_belongs_to_the_server_or_root() {
        assert!(super::check_owner("/k", 26, 26).is_ok());
        assert!(super::check_owner("/k", 0, 26).is_ok());
        let error = super::check_owner("/k", 1000, 26).err().unwrap();
        assert!(error.kind == crate::pure::error::Kind::Locked);
    }
}
