//! The root key as a backend uses it: checked against the stored check value, kept until keys, scopes or the setting
//! change, never made here. A source that is repaired unlocks without a restart. Where it is read from: `source`; who may
//! run a command for it, and when: `turns`.

use super::memory::{self, Locked};
use super::turns::{self, Wanted};
use super::{command, rotation, source};
use crate::pg::sys::scan;
use crate::pg::{gucs, shared};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::key_source::KeySource;
use crate::pure::keyring::{CatalogKey, RootKey};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The root key and its generation in this database; 0 while none is stored yet.
pub struct Root {
    /// The key.
    pub key: Locked<RootKey>,
    /// Generation it has in `airlock_catalog.root_key`, 0 when that table is still empty.
    pub generation: u32,
    catalog: Locked<CatalogKey>,
}

impl Root {
    /// The key that authenticates rows of the catalog.
    pub fn catalog_key(&self) -> &CatalogKey {
        &self.catalog
    }
}

/// What is kept: the generation and the source it was read under.
type Cached = Option<((u64, u64), String, Rc<Root>)>;

/// This process had the root key once: others have nothing to drop when their transactions end.
static HAD: AtomicBool = AtomicBool::new(false);
thread_local! {
    static ROOT: RefCell<Cached> = const { RefCell::new(None) };
}

/// In the postmaster, while libraries are preloaded: memory for a key that all processes share.
pub fn init() {
    memory::init(command::at_exit);
}

/// The root key, checked. AL001 when there is none, it cannot be read, or it is not the one this database was set up
/// with.
pub fn root() -> Result<Rc<Root>> {
    if !shared::preloaded() {
        return Err(not_preloaded());
    }
    // before the lock is asked about: who locks the keys after that moves it on, and what is kept below is of before
    let generation = shared::generation();
    unlocked()?;
    let source = gucs::root_key_source();
    let cached = ROOT.with(|r| match &*r.borrow() {
        Some((g, s, root)) if *g == generation && *s == source => Some(root.clone()),
        _ => None,
    });
    if let Some(root) = cached {
        return Ok(root);
    }
    let (key, found) = current(&source)?;
    let (key, generation_of_key) = rotation::follow(key, found)?;
    let catalog = Locked::new(|| Ok(key.catalog_key()))?;
    // the source may have taken its time
    unlocked()?;
    let root = Rc::new(Root { key, generation: generation_of_key, catalog });
    HAD.store(true, Relaxed);
    ROOT.with(|r| r.replace(Some((generation, source, root.clone()))));
    Ok(root)
}

/// AL001 while an administrator has locked the keys; forgets the root key then.
pub(super) fn unlocked() -> Result<()> {
    if !shared::keys_locked() {
        return Ok(());
    }
    ROOT.with(|r| r.replace(None));
    Err(Error::new(Kind::Locked, "the keys were locked by an administrator")
        .hint("SELECT airlock.unlock(), or restart the server"))
}

/// Drops the root key when it was read before the shared generation moved.
pub fn drop_stale() {
    if !HAD.load(Relaxed) {
        return;
    }
    ROOT.with(|r| {
        if let Ok(mut root) = r.try_borrow_mut() {
            if root.as_ref().is_some_and(|(generation, ..)| *generation != shared::generation()) {
                *root = None;
            }
        }
    });
}

/// The key of a source, and its generation. Files are read each time; of a command's output what all share is used, and
/// the command is asked again when that is not this database's key.
pub(super) fn current(text: &str) -> Result<(Locked<RootKey>, u32)> {
    let source = KeySource::parse(text)?;
    if !source.runs_command() {
        let key = source::read(&source)?;
        let generation = check(&key)?;
        return Ok((key, generation));
    }
    let found = turns::ask(text, &source, Wanted::Any)?;
    let key = source::key(&found.text)?;
    if let Ok(generation) = check(&key) {
        return Ok((key, generation));
    }
    let found = turns::ask(text, &source, Wanted::NotOf(found.turn))?;
    let key = source::key(&found.text)?;
    let generation = check(&key)?;
    Ok((key, generation))
}

/// Reads the key of a source as it is now, whatever this session or another remembers; a command is run each time. It is
/// not compared with the check value.
///
/// # Errors
/// `AL001`.
pub fn read(source: &str) -> Result<Locked<RootKey>> {
    source::read(&KeySource::parse(source)?)
}

/// Whether the source gives a key these days: as [`read`], but a command is run at most once in ten seconds, by
/// whomever.
///
/// # Errors
/// `AL001`.
pub fn probe(text: &str) -> Result<()> {
    let source = KeySource::parse(text)?;
    match source.runs_command() {
        true => turns::ask(text, &source, Wanted::Fresh).map(|_| ()),
        false => unlocked().and_then(|()| source::read(&source).map(|_| ())),
    }
}

/// Forgets the root key, here and in the memory that all processes share: whoever needs it next asks the source. What
/// other sessions hold of their own they drop when the shared generation moves.
pub fn forget() {
    ROOT.with(|r| r.replace(None));
    turns::forget();
}

/// The error for everything that needs the library preloaded.
pub fn not_preloaded() -> Error {
    Error::new(Kind::LogUnavailable, "pg_airlock is not preloaded")
        .hint("add pg_airlock to shared_preload_libraries in postgresql.conf and restart the server")
}

/// Finds the generation whose check value this key has, the newest or an older one; 0 when none is stored yet.
pub fn check(key: &RootKey) -> Result<u32> {
    let mine = memory::clean(|| key.check_value());
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
