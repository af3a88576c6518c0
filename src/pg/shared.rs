//! The shared state: a few atomics, no lock, no pointer. Who writes what, when:
//!
//! | field | written by | when |
//! |---|---|---|
//! | generation | any backend | after commit of a change to roles' labels, contracts, scopes, keys, grants |
//! | heartbeat, opened, settled, as_of | the materialiser | every turn of its loop; `settled` after the commit that moved the cursor |
//! | slot_ok, database | the materialiser | every turn |
//! | armed | each backend its own word | before it checks the contract of a read; 0 at the end of the transaction |
//! | leading | each backend its own words | while a read of it runs that may have parallel workers |
//! | keys_locked | whoever calls `airlock.lock()` or `unlock()` | at once; false after a restart |
//! | outcome | any sub-processor's backend | after it inserted an outcome record, not yet flushed |
//! | shares | any sub-processor's backend, the materialiser | each record that is written, each that is settled; rows as they leave; a session's first read of a day |
//! | counted | the materialiser | when the rows and sessions of today that the log knew have been added |
//! | fallbacks | any sub-processor's backend | when it records a read before it runs, because it cannot at the wire |
//! | turns | who runs the root key's command (`keys/turns.rs`) | before and after; no key is in here |
#![allow(unsafe_code)] // ◆ the declaration of shared memory

use crate::pure::subprocessor::add_today;
use pgrx::prelude::*;
use pgrx::{pg_shmem_init, pg_sys, PGRXSharedMemory, PgAtomic};
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// How many backends can be armed at once: one place for each backend id; a backend beyond does not read scoped views.
pub const PLACES: usize = 4096;

/// One word per backend: its process id and the sub-processor it is armed for.
struct Armed([AtomicU64; PLACES]);

impl Default for Armed {
    fn default() -> Self {
        Armed(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// Most scopes that parallel workers can be told of.
const LED: usize = 16;

/// Per backend: the scopes that its workers may read.
struct Leading([[AtomicI32; LED]; PLACES]);

impl Default for Leading {
    fn default() -> Self {
        Leading(std::array::from_fn(|_| std::array::from_fn(|_| AtomicI32::new(0))))
    }
}

/// How many sub-processors' records can be told apart; beyond, some share a place.
const SHARES: usize = 1024;

/// Bytes of records that are written and not settled, by sub-processor.
struct Shares {
    /// A number for its name, 0 for a free place.
    names: [AtomicU64; SHARES],
    pending: [AtomicU64; SHARES],
    /// Rows that left on a day, as [`add_today`] counts.
    rows: [AtomicU64; SHARES],
    /// Sessions that read on a day, alike.
    sessions: [AtomicU64; SHARES],
}

impl Default for Shares {
    fn default() -> Self {
        let words = || std::array::from_fn(|_| AtomicU64::new(0));
        Shares { names: words(), pending: words(), rows: words(), sessions: words() }
    }
}

/// Turns at running the command that gives the root key.
#[derive(Default)]
pub struct Turns {
    /// When the last turn began, then when it ended (µs since 2000).
    pub asked: AtomicI64,
    /// Process id of who asks now, number of the turn, outcome of the last.
    pub state: AtomicU64,
    /// A number for the source that the last turn was about.
    pub source: AtomicU64,
}

/// The struct in shared memory.
#[derive(Default)]
pub struct Shared {
    generation: AtomicU64,
    heartbeat: AtomicI64,
    opened: AtomicI64,
    settled: AtomicU64,
    as_of: AtomicI64,
    slot_ok: AtomicBool,
    keys_locked: AtomicBool,
    outcome: AtomicU64,
    database: AtomicU32,
    fallbacks: [AtomicU64; 2],
    shares: Shares,
    counted: AtomicBool,
    turns: Turns,
    armed: Armed,
    leading: Leading,
}

// SAFETY: atomics only, no pointers.
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: the name is used once.
static SHARED: PgAtomic<Shared> = unsafe { PgAtomic::new(c"pg_airlock") };

// of this process; a thread-local variable of a library costs a call, and these are asked several times for each statement
static PRELOADED: AtomicBool = AtomicBool::new(false);
/// Moves when this backend itself changed something that is not committed yet, or took it back.
static LOCAL_EPOCH: AtomicU64 = AtomicU64::new(0);
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Reserves the shared memory; in the postmaster, while libraries are preloaded.
pub fn init() {
    PRELOADED.store(true, Relaxed);
    pg_shmem_init!(SHARED);
}

/// Whether the library came in through shared_preload_libraries; without it nothing is hooked and nothing opens.
pub fn preloaded() -> bool {
    PRELOADED.load(Relaxed)
}

/// A number that changes whenever anything cached from the extension's catalog may have changed.
pub fn generation() -> (u64, u64) {
    let shared = if preloaded() { SHARED.get().generation.load(SeqCst) } else { 0 };
    (shared, LOCAL_EPOCH.load(Relaxed))
}

/// Of which generation an answer is that this process keeps.
pub struct AsOf(AtomicU64, AtomicU64);

impl AsOf {
    /// There is no answer yet.
    pub const fn never() -> AsOf {
        AsOf(AtomicU64::new(u64::MAX), AtomicU64::new(0))
    }

    /// Whether it is of this one.
    pub fn is(&self, (shared, local): (u64, u64)) -> bool {
        self.0.load(Relaxed) == shared && self.1.load(Relaxed) == local
    }

    /// It is of this one.
    pub fn set(&self, (shared, local): (u64, u64)) {
        self.0.store(shared, Relaxed);
        self.1.store(local, Relaxed);
    }
}

/// Marks the catalog as changed by this transaction: our caches reload now, everybody else's after commit.
pub fn changed() {
    CHANGED.store(true, Relaxed);
    forget();
}

/// Makes this backend's caches reload.
pub fn forget() {
    LOCAL_EPOCH.fetch_add(1, Relaxed);
}

/// Whether this transaction changed something that others cache; it cannot be prepared then, since nobody would tell
/// them at COMMIT PREPARED.
pub fn has_changed() -> bool {
    CHANGED.load(Relaxed)
}

/// Locks or unlocks the keys of this server, at once and whatever becomes of the transaction.
pub fn lock_keys(locked: bool) {
    if preloaded() {
        SHARED.get().keys_locked.store(locked, SeqCst);
        SHARED.get().generation.fetch_add(1, SeqCst);
    }
}

/// Whether an administrator has locked the keys.
pub fn keys_locked() -> bool {
    preloaded() && SHARED.get().keys_locked.load(SeqCst)
}

/// End of a transaction: publishes the change, or forgets what was taken back. Called by the transaction callback.
pub fn end_of_transaction(committed: bool) {
    if CHANGED.load(Relaxed) {
        CHANGED.store(false, Relaxed);
        if committed && preloaded() {
            SHARED.get().generation.fetch_add(1, SeqCst);
        }
        forget();
    }
}

/// The materialiser is alive and has settled the log up to `settled`, and so all that was flushed at `as_of` (µs since 2000).
pub fn beat(now: i64, settled: u64, as_of: i64, slot_ok: bool, database: u32) {
    let shared = SHARED.get();
    let _ = shared.opened.compare_exchange(0, now, SeqCst, SeqCst);
    shared.as_of.store(as_of, SeqCst);
    shared.database.store(database, SeqCst);
    shared.settled.store(settled, SeqCst);
    shared.slot_ok.store(slot_ok, SeqCst);
    shared.heartbeat.store(now, SeqCst);
}

/// Time of the materialiser's last sign of life (µs since 2000), 0 for never.
pub fn heartbeat() -> i64 {
    if preloaded() {
        SHARED.get().heartbeat.load(SeqCst)
    } else {
        0
    }
}

/// The database whose log the materialiser keeps, 0 for none yet.
pub fn database() -> u32 {
    if preloaded() {
        SHARED.get().database.load(SeqCst)
    } else {
        0
    }
}

/// Publishes that this backend reads for a sub-processor, so that a suspension finds it. Before the contract is checked:
/// then either we see the suspension or it sees us. False when there is no place for this backend.
pub fn publish(backend: i32, pid: i32, subprocessor: i32) -> bool {
    let Some(place) = usize::try_from(backend).ok().and_then(|b| SHARED.get().armed.0.get(b)) else { return false };
    place.store((pid as u32 as u64) << 32 | subprocessor as u32 as u64, SeqCst);
    true
}

/// This backend reads for nobody any more.
pub fn unpublish(backend: i32) {
    if let Some(place) = usize::try_from(backend).ok().and_then(|b| SHARED.get().armed.0.get(b)) {
        place.store(0, SeqCst);
    }
}

/// Tells this backend's workers which scopes they may read, none of them 0; false when there is no place for so many.
pub fn lead(backend: i32, scopes: &[i32]) -> bool {
    let place = usize::try_from(backend).ok().and_then(|b| SHARED.get().leading.0.get(b));
    let Some(place) = place.filter(|_| scopes.len() <= LED) else { return false };
    for (i, word) in place.iter().enumerate() {
        word.store(scopes.get(i).copied().unwrap_or(0), SeqCst);
    }
    true
}

/// The place of the words of the backend with this process id, which reads for a sub-processor.
pub fn place_of_process(pid: i32) -> Option<usize> {
    SHARED.get().armed.0.iter().position(|word| (word.load(SeqCst) >> 32) as i32 == pid)
}

/// The scopes that the workers of the backend at this place may read; none if it has another process id.
pub fn led(place: usize, pid: i32) -> Vec<i32> {
    let shared = SHARED.get();
    let armed = shared.armed.0.get(place).is_some_and(|word| (word.load(SeqCst) >> 32) as i32 == pid);
    let words = shared.leading.0.get(place).filter(|_| armed).into_iter().flatten();
    words.map(|word| word.load(SeqCst)).filter(|scope| *scope != 0).collect()
}

/// Process ids of the backends that read for a sub-processor right now, whoever logged in.
pub fn readers(subprocessor: i32) -> Vec<i32> {
    if !preloaded() {
        return Vec::new();
    }
    let words = SHARED.get().armed.0.iter().map(|w| w.load(SeqCst));
    words.filter(|w| *w as u32 as i32 == subprocessor && *w != 0).map(|w| (w >> 32) as i32).collect()
}

/// Turns at running the root key's command; only when preloaded.
pub fn turns() -> &'static Turns {
    &SHARED.get().turns
}

/// WAL position up to which the log is in the table.
pub fn settled() -> u64 {
    if preloaded() {
        SHARED.get().settled.load(SeqCst)
    } else {
        0
    }
}

/// When the gate first opened since shared memory was made (µs since 2000), 0 for not yet: no read is of before.
pub fn opened() -> i64 {
    SHARED.get().opened.load(SeqCst)
}

/// All that was flushed then is in the table (µs since 2000); 0 for never.
pub fn settled_as_of() -> i64 {
    if preloaded() {
        SHARED.get().as_of.load(SeqCst)
    } else {
        0
    }
}

/// Why a read was recorded before it ran, although it should have been at the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The session has no client of its own: a background worker, or a replication connection.
    NoClient,
    /// Another library sends in our place.
    Replaced,
}

/// Counts such a read.
pub fn fell_back(why: Fallback) {
    SHARED.get().fallbacks[why as usize].fetch_add(1, SeqCst);
}

/// How many there were since the server was started.
pub fn fallbacks(why: Fallback) -> u64 {
    if preloaded() {
        SHARED.get().fallbacks[why as usize].load(SeqCst)
    } else {
        0
    }
}

/// Notes that an outcome record ends at `lsn`; whoever reads the log flushes up to it first.
pub fn outcome_written(lsn: u64) {
    if preloaded() {
        SHARED.get().outcome.fetch_max(lsn, SeqCst);
    }
}

/// End of the newest outcome record.
pub fn newest_outcome() -> u64 {
    if preloaded() {
        SHARED.get().outcome.load(SeqCst)
    } else {
        0
    }
}

/// A sub-processor's place among the shares. Taken for good when it first reads.
fn place_of(subprocessor: &str) -> usize {
    let shares = &SHARED.get().shares;
    // FNV-1a: the name is the controller's choice, and the place no secret
    let hash =
        subprocessor.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let (name, first) = (hash.max(1), hash as usize % SHARES);
    let places = (0..SHARES).map(|step| (first + step) % SHARES);
    let mine = |place: &usize| {
        let taken = shares.names[*place].compare_exchange(0, name, SeqCst, SeqCst);
        taken.is_ok() || taken == Err(name)
    };
    places.into_iter().find(mine).unwrap_or(first)
}

fn share_of(subprocessor: &str) -> &'static AtomicU64 {
    &SHARED.get().shares.pending[place_of(subprocessor)]
}

/// Adds rows that leave today, and gives how many that makes. Days are counted from 2000.
pub fn add_rows(subprocessor: &str, today: i32, rows: i64) -> i64 {
    reserve_rows(subprocessor, today, rows, i64::MAX).unwrap_or(i64::MAX)
}

/// Adds rows that are to leave today, unless that makes more than `most`. Gives how many that makes.
pub fn reserve_rows(subprocessor: &str, today: i32, rows: i64, most: i64) -> Option<i64> {
    reserve(|shares| &shares.rows, subprocessor, today, rows, most)
}

/// Adds sessions that read today, unless that makes more than `most`. Gives how many that makes.
pub fn reserve_sessions(subprocessor: &str, today: i32, sessions: i64, most: i64) -> Option<i64> {
    reserve(|shares| &shares.sessions, subprocessor, today, sessions, most)
}

fn reserve(
    words: impl Fn(&'static Shares) -> &'static [AtomicU64; SHARES],
    subprocessor: &str,
    today: i32,
    more: i64,
    most: i64,
) -> Option<i64> {
    if !preloaded() {
        return Some(0);
    }
    let total = |word: u64| add_today(word, today, more, most);
    let word = &words(&SHARED.get().shares)[place_of(subprocessor)];
    word.fetch_update(SeqCst, SeqCst, |word| total(word).map(|(word, _)| word))
        .ok()
        .and_then(total)
        .map(|(_, total)| total)
}

/// Whether what left today, and who read, before the server was started has been added; says so, if it has.
pub fn counted(now: bool) -> bool {
    preloaded() && (SHARED.get().counted.fetch_or(now, SeqCst) || now)
}

/// Notes that a record of the sub-processor was written.
pub fn share_written(subprocessor: &str, bytes: usize) {
    if preloaded() && !subprocessor.is_empty() {
        share_of(subprocessor).fetch_add(bytes as u64, SeqCst);
    }
}

/// Notes that records of it were settled; those of before the server's start were never noted as written.
pub fn share_settled(subprocessor: &str, bytes: u64) {
    if preloaded() && !subprocessor.is_empty() {
        let less = |pending: u64| Some(pending.saturating_sub(bytes));
        let _ = share_of(subprocessor).fetch_update(SeqCst, SeqCst, less);
    }
}

/// Forgets what was noted as written: the log begins, or goes on without it.
pub fn share_anew() {
    if preloaded() {
        SHARED.get().shares.pending.iter().for_each(|pending| pending.store(0, SeqCst));
    }
}

/// Bytes of its records that are written and not settled.
pub fn share(subprocessor: &str) -> u64 {
    if preloaded() {
        share_of(subprocessor).load(SeqCst)
    } else {
        0
    }
}

/// Whether the replication slot still keeps the WAL that is not settled.
pub fn slot_ok() -> bool {
    preloaded() && SHARED.get().slot_ok.load(SeqCst)
}
