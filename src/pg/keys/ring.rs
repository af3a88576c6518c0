//! A backend's keyring: what the catalog says about keys, columns and grants, and the keys it has unwrapped. Dropped
//! (and so zeroized) whenever the shared generation moves.

mod lately;
mod load;
mod rights;
pub mod subjects;

use super::derived::Derived;
use super::memory::Locked;
use super::{entropy, root};
use crate::pg::readlog::wal;
use crate::pg::shared::{self, AsOf};
use crate::pg::sys;
use crate::pure::envelope::CarrierKey;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::{
    commitment, unwrap, ChainKey, LogKey, MaskKey, MatchKey, PrivateKey, RuleKey, SealKey, Secret, SubjectKey, Use,
    VersionState, Wrapping,
};
use crate::pure::name::literal;
use crate::pure::plaintext::PlainType;
use crate::pure::tag::Normalise;
use pgrx::pg_sys;
use rustc_hash::FxHashMap as HashMap;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

mod spelled;
pub mod versions;
pub use lately::{lately, Opener};
pub use rights::{forget_rights, may_decrypt, may_match, rights_moved};
pub use spelled::spelled;

/// The owner of the log key's versions: a fixed uuid, there is one log in a database.
pub const LOG_OWNER: [u8; 16] = *b"pg_airlock/log/1";
/// The owner of the subject key's versions, the log's epochs.
pub const SUBJECT_OWNER: [u8; 16] = *b"pg_airlock/subj1";

/// A data encryption key as the catalog describes it.
pub struct KeyInfo {
    /// Its number, in one space with column numbers.
    pub key_no: i32,
    /// Its identity, in the wrapping's associated data.
    pub uuid: [u8; 16],
    /// Its name.
    pub name: String,
    /// Type of the values it seals.
    pub plain_type: PlainType,
    /// Padding of variable-width values, 0 for none.
    pub pad: u16,
    /// What its match tags make of text.
    pub normalise: Normalise,
}

/// An encrypted column: what its typmod stands for.
pub struct ColumnInfo {
    /// The typmod.
    pub column_no: i32,
    /// Its identity, in the associated data of every value.
    pub uuid: [u8; 16],
    /// The key that seals it.
    pub key: Rc<KeyInfo>,
    /// Whether its match tags have 16 bytes.
    pub wide: bool,
    /// The columns that its values are bound to, in the order of the associated data; empty for none.
    pub bind: Vec<String>,
}

/// What a typmod of an encrypted type names.
pub enum Number {
    /// A column: values are sealed for it.
    Column(Rc<ColumnInfo>),
    /// A key: a carrier stays a carrier, but must be of the key's plaintext type.
    Key(Rc<KeyInfo>),
}

/// A version of a sealing key, unwrapped.
pub struct SealVersion {
    /// The id in the header of each value.
    pub version_id: u32,
    /// The key it belongs to.
    pub key: Rc<KeyInfo>,
    /// The sealing key, and what is derived from it.
    pub keys: Derived,
}

/// The log key, the chain key and the key of private parts, of a version.
pub type LogKeys = Locked<(LogKey, ChainKey, PrivateKey)>;

/// Which state of the keys a ring is of: another whenever any process changed them.
pub type Generation = (u64, u64);

/// Owner and version of a mask key, mask, domain.
type OfRule = ([u8; 16], u32, String, String);

#[derive(Default)]
struct Ring {
    generation: Generation,
    keys: HashMap<i32, Rc<KeyInfo>>,
    columns: HashMap<i32, ColumnRow>,
    versions: Vec<VersionRow>,
    grants: Vec<(i32, pg_sys::Oid, String, Vec<u8>)>,
    verified: HashMap<i32, Rc<ColumnInfo>>,
    seals: HashMap<u32, Rc<SealVersion>>,
    actives: HashMap<i32, u32>,
    matches: HashMap<i32, Rc<Locked<MatchKey>>>,
    masks: HashMap<([u8; 16], u32), Rc<Locked<MaskKey>>>,
    rules: HashMap<OfRule, Rc<Locked<RuleKey>>>,
    logs: HashMap<u32, Rc<LogKeys>>,
    subjects: HashMap<(u32, String), Rc<Locked<SubjectKey>>>,
    allowed: HashMap<(i32, u32, bool), bool>,
    lately: Option<lately::Opener>,
}

use load::{load, ColumnRow, VersionRow};

/// The generation that the ring is of, if there is one: at the end of most transactions it is the present one.
static OF: AsOf = AsOf::never();
thread_local! {
    static RING: RefCell<Option<Ring>> = const { RefCell::new(None) };
    static CARRIER: RefCell<Option<(u32, Rc<Locked<CarrierKey>>)>> = const { RefCell::new(None) };
}

/// Runs `f` on a ring that is as new as the shared generation.
fn with<T>(f: impl FnOnce(&mut Ring) -> Result<T>) -> Result<T> {
    if !shared::preloaded() {
        return Err(root::not_preloaded());
    }
    heed_replay();
    let generation = shared::generation();
    RING.with(|cell| {
        if let Some(ring) = cell.borrow_mut().as_mut().filter(|ring| ring.generation == generation) {
            return f(ring);
        }
        let fresh = load(generation)?;
        OF.set(fresh.generation);
        f(cell.borrow_mut().insert(fresh))
    })
}

/// On a standby nothing moves the generation, and neither does its promotion: there the ring is as new as the client's
/// statement.
fn heed_replay() {
    static SINCE: AtomicI64 = AtomicI64::new(0);
    let began = if wal::in_recovery() { sys::statement_start() } else { 0 };
    if SINCE.load(Relaxed) != began {
        SINCE.store(began, Relaxed);
        shared::forget();
    }
}

/// The present generation, which the ring is of.
///
/// # Errors
/// Those of a ring that cannot be read.
pub fn generation() -> Result<Generation> {
    with(|ring| Ok(ring.generation))
}

/// What a sealing key is called in errors.
fn title(keys: &HashMap<i32, Rc<KeyInfo>>, owner: &[u8; 16]) -> String {
    keys.values().find(|k| k.uuid == *owner).map_or_else(|| "of the extension".into(), |k| format!("\"{}\"", k.name))
}

/// Opens a wrapped key: AL001 without root key, AL002 when the version is retired or destroyed, AL003 when the wrapping
/// does not authenticate.
fn open(ring: &Ring, v: &VersionRow) -> Result<Secret> {
    let name = title(&ring.keys, &v.owner);
    if matches!(v.state, VersionState::Retired | VersionState::Destroyed) {
        return Err(Error::new(
            Kind::KeyVersion,
            format!("version {} of key {name} is {}", v.version, v.state.label()),
        ));
    }
    let root = root::root()?;
    if v.root_generation != root.generation {
        return Err(Error::new(
            Kind::Locked,
            format!("key {name} is wrapped by root key generation {}", v.root_generation),
        )
        .hint("point airlock.root_key_source at the root key of that generation"));
    }
    let wrapped = v.wrapped.as_deref().unwrap_or_default();
    let wrapping =
        Wrapping { usage: v.usage, key_uuid: v.owner, version: v.version, root_generation: v.root_generation };
    let tampered =
        || Error::new(Kind::NotAuthentic, format!("version {} of key {name} does not authenticate", v.version));
    let secret = unwrap(&root.key, wrapped, &wrapping).map_err(|_| tampered())?;
    if commitment(&secret)[..] != v.commitment[..] {
        return Err(tampered());
    }
    Ok(secret)
}

/// The key of that name; 42704 when there is none.
pub fn key_by_name(name: &str) -> Result<Rc<KeyInfo>> {
    with(|ring| ring.keys.values().find(|k| k.name == name).cloned().ok_or_else(|| unknown_key(name)))
}

fn unknown_key(name: &str) -> Error {
    Error::new(Kind::Undefined, format!("key \"{name}\" does not exist"))
        .hint(format!("SELECT airlock.create_key({}); the keys there are: TABLE airlock.keys", literal(name)))
}

/// What `typmod` names, or `None` when the catalog does not know the number (a restore that has not come that far).
pub fn number(typmod: i32) -> Result<Option<Number>> {
    with(|ring| {
        if let Some(column) = ring.verified.get(&typmod) {
            return Ok(Some(Number::Column(column.clone())));
        }
        if let Some(key) = ring.keys.get(&typmod) {
            return Ok(Some(Number::Key(key.clone())));
        }
        let Some(row) = ring.columns.get(&typmod).cloned() else { return Ok(None) };
        let key = ring.keys.get(&row.key_no).cloned();
        let key =
            key.ok_or_else(|| Error::new(Kind::Corrupt, "an encrypted column names a key that does not exist"))?;
        let named = (typmod, &row.uuid[..], &key.uuid[..]);
        if !root::root()?.catalog_key().verify_column(named, row.tag_bytes, &row.bind, &row.mac) {
            return Err(Error::new(
                Kind::NotAuthentic,
                format!("the catalog row of encrypted column {typmod} was changed"),
            ));
        }
        let wide = row.tag_bytes == 16;
        let info = Rc::new(ColumnInfo { column_no: typmod, uuid: row.uuid, key, wide, bind: row.bind });
        ring.verified.insert(typmod, info.clone());
        Ok(Some(Number::Column(info)))
    })
}

/// What a number is, as the catalog says, without a key to check it by: for plans, whose execution checks it.
#[derive(Clone, Copy)]
pub struct Named {
    /// The key that it stands for or belongs to.
    pub key_no: i32,
    /// Whether it is a column's.
    pub column: bool,
    /// Whether that column's match tags have 16 bytes.
    pub wide: bool,
}

/// What a number is; `None` for an unknown one.
pub fn named(number: i32) -> Result<Option<Named>> {
    with(|ring| {
        let column = ring.columns.get(&number);
        let column = column.map(|row| Named { key_no: row.key_no, column: true, wide: row.tag_bytes == 16 });
        let key = ring.keys.contains_key(&number).then_some(Named { key_no: number, column: false, wide: false });
        Ok(column.or(key))
    })
}

/// Whether the catalog knows any encrypted column.
pub fn any_column() -> Result<bool> {
    with(|ring| Ok(!ring.columns.is_empty()))
}

/// A key's name, for messages.
pub fn key_name(key_no: i32) -> Result<String> {
    with(|ring| Ok(ring.keys.get(&key_no).map_or_else(|| key_no.to_string(), |k| k.name.clone())))
}

/// The columns that the values of a column are bound to, as its catalog row says, which is not authenticated here: needs
/// no root key. Empty for any other number.
pub fn binding(typmod: i32) -> Result<Vec<String>> {
    with(|ring| Ok(ring.columns.get(&typmod).map(|row| row.bind.clone()).unwrap_or_default()))
}

/// Whether a number is in use, as a key or a column.
pub fn taken(number: i32) -> Result<bool> {
    with(|ring| Ok(ring.keys.contains_key(&number) || ring.columns.contains_key(&number)))
}

/// The active sealing version of a key.
pub fn active_seal(key_no: i32) -> Result<Rc<SealVersion>> {
    let id = with(|ring| {
        if let Some(id) = ring.actives.get(&key_no) {
            return Ok(*id);
        }
        let key =
            ring.keys.get(&key_no).cloned().ok_or_else(|| Error::new(Kind::Undefined, "the key does not exist"))?;
        let mut rows = ring.versions.iter().filter(|v| v.owner == key.uuid && v.usage == Use::Seal);
        let row = rows.find(|v| v.state == VersionState::Active);
        let row =
            row.ok_or_else(|| Error::new(Kind::KeyVersion, format!("key \"{}\" has no active version", key.name)))?;
        ring.actives.insert(key_no, row.version_id);
        Ok(row.version_id)
    })?;
    seal_version(id)
}

/// The sealing version with that id; AL003 when it is of no key here.
pub fn seal_version(version_id: u32) -> Result<Rc<SealVersion>> {
    with(|ring| {
        if let Some(v) = ring.seals.get(&version_id) {
            return Ok(v.clone());
        }
        let row = ring.versions.iter().find(|v| v.version_id == version_id && v.usage == Use::Seal).cloned();
        let row = row.ok_or_else(|| {
            Error::new(Kind::NotAuthentic, "the value is sealed by a key that is not of this database")
        })?;
        let key = ring.keys.values().find(|k| k.uuid == row.owner).cloned();
        let key = key.ok_or_else(|| Error::new(Kind::Corrupt, "a key version names a key that does not exist"))?;
        let seal = Locked::new(|| Ok(SealKey::derive(&open(ring, &row)?)))?;
        let version = Rc::new(SealVersion { version_id, key, keys: Derived::new(seal) });
        ring.seals.insert(version_id, version.clone());
        Ok(version)
    })
}

/// The key number that a version id belongs to, without opening anything.
pub fn key_of_version(version_id: u32) -> Result<Option<Rc<KeyInfo>>> {
    with(|ring| {
        let owner = ring.versions.iter().find(|v| v.version_id == version_id && v.usage == Use::Seal).map(|v| v.owner);
        Ok(owner.and_then(|o| ring.keys.values().find(|k| k.uuid == o).cloned()))
    })
}

/// The key of the match tags.
pub fn match_key(key: &KeyInfo) -> Result<Rc<Locked<MatchKey>>> {
    with(|ring| {
        if let Some(k) = ring.matches.get(&key.key_no) {
            return Ok(k.clone());
        }
        let row = active(ring, &key.uuid, Use::Match)?;
        let made = Rc::new(Locked::new(|| Ok(MatchKey::derive(&open(ring, &row)?)))?);
        ring.matches.insert(key.key_no, made.clone());
        Ok(made)
    })
}

/// A sub-processor's mask key, in the version that the rule pins.
pub fn mask_key(owner: &[u8; 16], version: u32) -> Result<Rc<Locked<MaskKey>>> {
    with(|ring| mask_key_in(ring, owner, version))
}

fn mask_key_in(ring: &mut Ring, owner: &[u8; 16], version: u32) -> Result<Rc<Locked<MaskKey>>> {
    if let Some(k) = ring.masks.get(&(*owner, version)) {
        return Ok(k.clone());
    }
    let mut rows = ring.versions.iter();
    let row = rows.find(|v| v.owner == *owner && v.usage == Use::Mask && v.version == version).cloned();
    let row = row.ok_or_else(|| Error::new(Kind::KeyVersion, "the mask key version of this rule does not exist"))?;
    let made = Rc::new(Locked::new(|| Ok(MaskKey::derive(&open(ring, &row)?)))?);
    ring.masks.insert((*owner, version), made.clone());
    Ok(made)
}

/// What a sub-processor's mask key, in the version that the rule pins, gives for a mask and a domain. Who keeps it between
/// rows keeps it weakly: the ring lets go of it when the keys are locked, whatever is open then.
pub fn rule_key(owner: &[u8; 16], version: u32, mask: &str, domain: &str) -> Result<Rc<Locked<RuleKey>>> {
    let which = (*owner, version, mask.to_string(), domain.to_string());
    with(|ring| {
        if let Some(known) = ring.rules.get(&which) {
            return Ok(known.clone());
        }
        let key = mask_key_in(ring, owner, version)?;
        let made = Rc::new(Locked::new(|| Ok(key.rule_key(mask, domain)))?);
        ring.rules.insert(which, made.clone());
        Ok(made)
    })
}

/// The log key and the chain key: of the version asked for, or the active one. Returns the version.
pub fn log_key(version: Option<u32>) -> Result<(u32, Rc<LogKeys>)> {
    with(|ring| {
        let row = match version {
            Some(n) => ring.versions.iter().find(|v| v.usage == Use::Log && v.version == n).cloned(),
            None => Some(active(ring, &LOG_OWNER, Use::Log)?),
        };
        let row = row.ok_or_else(|| Error::new(Kind::Locked, "the log key version does not exist"))?;
        if let Some(k) = ring.logs.get(&row.version) {
            return Ok((row.version, k.clone()));
        }
        let made = Rc::new(Locked::new(|| {
            let secret = open(ring, &row)?;
            Ok((LogKey::derive(&secret), ChainKey::derive(&secret), PrivateKey::derive(&secret)))
        })?);
        ring.logs.insert(row.version, made.clone());
        Ok((row.version, made))
    })
}

fn active(ring: &Ring, owner: &[u8; 16], usage: Use) -> Result<VersionRow> {
    let mut rows = ring.versions.iter();
    let row = rows.find(|v| v.owner == *owner && v.usage == usage && v.state == VersionState::Active).cloned();
    row.ok_or_else(|| {
        Error::new(Kind::Locked, format!("there is no active {} key", usage.label()))
            .hint("SELECT airlock.create_key('pii') sets up the keys of this database")
    })
}

/// Drops what was unwrapped when the shared generation has moved on; called at the end of each transaction, so that a
/// backend that is woken wipes its keys without being asked for one.
pub fn drop_stale() {
    let generation = shared::generation();
    if !OF.is(generation) {
        RING.with(|r| {
            if let Ok(mut ring) = r.try_borrow_mut() {
                if ring.as_ref().is_some_and(|ring| ring.generation != generation) {
                    *ring = None;
                }
                OF.set(generation);
            }
        });
    }
    root::drop_stale();
}

/// This backend's ephemeral key for carriers, made on first use and never leaving the process.
pub fn carrier_key() -> Result<Rc<Locked<CarrierKey>>> {
    let pid = std::process::id();
    let cached = CARRIER.with(|c| c.borrow().as_ref().filter(|(p, _)| *p == pid).map(|(_, k)| k.clone()));
    if let Some(key) = cached {
        return Ok(key);
    }
    let key = Rc::new(Locked::new(|| Ok(CarrierKey::new(&zeroize::Zeroizing::new(entropy::random::<32>()?))))?);
    CARRIER.with(|c| c.replace(Some((pid, key.clone()))));
    Ok(key)
}
