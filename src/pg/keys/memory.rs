//! Where key bytes live: pages of their own, locked in memory, left out of core dumps, empty in a forked child, wiped
//! when they are let go and when the process ends.
//!
//! The pages are a process's own and are made on its first key, in the backend: mlock is not inherited by a fork, so
//! each process locks its own. One page more, made in the postmaster, is shared by all processes (`common`).
//! Where the operating system refuses to lock, keys work all the same, and `doctor()` says so ([`facts`]).
#![allow(unsafe_code)] // ◆ mmap, mlock, madvise, placement

use crate::pure::error::{Error, Kind, Result};
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::OnceLock;
use zeroize::Zeroize;

/// Bytes mapped at once. Small: where 64 kB may be locked, three of these and the shared page are.
const CHUNK: usize = 16 * 1024;
/// Places are multiples of this, and aligned to it.
const UNIT: usize = 64;
/// Stands before each value that is alive; gone in a forked child, whose pages are empty.
const MARK: u64 = 0x616C_6976_6521_0A9D;
/// Words of the shared page: 4 KiB.
pub const WORDS: usize = 512;
/// Bytes of stack wiped after keys were made or used on it; deeper than any derivation goes.
const STACK: usize = 48 * 1024;

/// What the operating system did with our pages, and would do.
pub struct Facts {
    /// All key pages of this process could be locked.
    pub locked: bool,
    /// They are left out of core dumps.
    pub undumped: bool,
    /// Most bytes that a process may lock, `None` without a limit.
    pub may_lock: Option<u64>,
    /// Whether a crash of this process would write a core dump, as far as its limits say.
    pub dumps: bool,
}

struct Arena {
    pid: u32,
    next: *mut u8,
    left: usize,
    free: HashMap<usize, Vec<NonNull<u8>>>,
    chunks: Vec<NonNull<u8>>,
}

thread_local! {
    static ARENA: RefCell<Option<Arena>> = const { RefCell::new(None) };
}

/// Set when this process has wiped its keys for good.
static WIPED: AtomicBool = AtomicBool::new(false);
/// Something could not be locked, or left out of core dumps, by the process of that id.
static UNLOCKED: AtomicU32 = AtomicU32::new(0);
static DUMPED: AtomicU32 = AtomicU32::new(0);
/// Called when a process makes its first page: registers [`wipe`] for its end.
static AT_FIRST: OnceLock<fn()> = OnceLock::new();
static COMMON: OnceLock<&'static [AtomicU64; WORDS]> = OnceLock::new();
/// The process that last locked the shared page.
static COMMON_BY: AtomicU32 = AtomicU32::new(0);

/// A number that a forked child does not share with its parent, whatever the two have in their memory. Reading it is no
/// system call, as asking for the process id would be: it is read for each value that is sealed.
pub fn lineage() -> u64 {
    static FORKS: AtomicU64 = AtomicU64::new(0);
    extern "C" fn forked() {
        FORKS.fetch_add(1, SeqCst);
    }
    static WATCHED: OnceLock<bool> = OnceLock::new();
    // SAFETY: POSIX pthread_atfork; the handler adds to a number, which a child may do, and this library is never unloaded.
    match WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(forked)) } == 0) {
        true => FORKS.load(SeqCst),
        false => u64::from(std::process::id()) | 1 << 63,
    }
}

/// In the postmaster, while libraries are preloaded: makes the page that all processes share. `at_first` is called in
/// each process before its first key.
pub fn init(at_first: fn()) {
    let _ = AT_FIRST.set(at_first);
    // SAFETY: a fresh mapping, never unmapped; zero bytes are atomics of value 0.
    if let Some(page) = map(WORDS * 8, libc::MAP_SHARED).map(|p| unsafe { p.cast::<[AtomicU64; WORDS]>().as_ref() }) {
        let _ = COMMON.set(page);
    }
}

/// The page that all processes share, locked by this one too; `None` when there is none.
pub fn common() -> Option<&'static [AtomicU64; WORDS]> {
    let page = *COMMON.get()?;
    let pid = std::process::id();
    if COMMON_BY.swap(pid, SeqCst) != pid {
        lock(page.as_ptr().cast_mut().cast(), WORDS * 8);
    }
    Some(page)
}

/// Maps zeroed pages that core dumps leave out, and locks them.
fn map(bytes: usize, kind: i32) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous mapping at a place the system chooses.
    let start = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, kind | libc::MAP_ANONYMOUS, -1, 0)
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    if !advise(start.cast(), bytes, kind == libc::MAP_PRIVATE) {
        DUMPED.store(std::process::id(), SeqCst);
    }
    lock(start.cast(), bytes);
    NonNull::new(start.cast())
}

fn lock(start: *mut u8, bytes: usize) {
    // SAFETY: pages of ours.
    if unsafe { libc::mlock(start.cast(), bytes) } != 0 {
        UNLOCKED.store(std::process::id(), SeqCst);
    }
}

/// Out of core dumps, and empty in a forked child if `wipe`. A kernel that cannot wipe is older than 4.14: the marker does not
/// help there, what [`lineage`] and the process id say does.
#[cfg(target_os = "linux")]
fn advise(start: *mut u8, bytes: usize, wipe: bool) -> bool {
    // SAFETY: pages of ours.
    unsafe {
        if wipe {
            libc::madvise(start.cast(), bytes, libc::MADV_WIPEONFORK);
        }
        libc::madvise(start.cast(), bytes, libc::MADV_DONTDUMP) == 0
    }
}

/// Systems without these promises.
#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize, _: bool) -> bool {
    false
}

/// A place in the pages, given back wiped.
struct Place {
    at: NonNull<u8>,
    size: usize,
    pid: u32,
}

impl Place {
    fn take(bytes: usize) -> Result<Place> {
        let none = || Error::new(Kind::State, "there is no memory for keys").hint("free memory on the server");
        let size = bytes.next_multiple_of(UNIT);
        if size > CHUNK {
            return Err(none());
        }
        let pid = std::process::id();
        ARENA.with(|cell| {
            let mut cell = cell.try_borrow_mut().map_err(|_| none())?;
            // after a fork the parent's pages are empty here, and not locked: begin anew
            if cell.as_ref().is_none_or(|arena| arena.pid != pid) {
                if let Some(at_first) = AT_FIRST.get() {
                    at_first();
                }
                let (free, chunks) = (HashMap::new(), Vec::new());
                *cell = Some(Arena { pid, next: std::ptr::null_mut(), left: 0, free, chunks });
            }
            let arena = cell.as_mut().ok_or_else(none)?;
            if let Some(at) = arena.free.get_mut(&size).and_then(Vec::pop) {
                return Ok(Place { at, size, pid });
            }
            if arena.left < size {
                let chunk = map(CHUNK, libc::MAP_PRIVATE).ok_or_else(none)?;
                arena.chunks.push(chunk);
                (arena.next, arena.left) = (chunk.as_ptr(), CHUNK);
            }
            let at = NonNull::new(arena.next).ok_or_else(none)?;
            arena.next = arena.next.wrapping_add(size);
            arena.left -= size;
            Ok(Place { at, size, pid })
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.pid != std::process::id() || WIPED.load(SeqCst) {
            return;
        }
        // SAFETY: the place is ours alone and mapped.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.size) }.zeroize();
        // at the end of a thread the table may be gone: then the place, empty, is not used again
        let _ = ARENA.try_with(|cell| {
            if let Some(arena) = cell.try_borrow_mut().ok().as_mut().and_then(|a| a.as_mut()) {
                arena.free.entry(self.size).or_default().push(self.at);
            }
        });
    }
}

/// What is at a place.
#[repr(C, align(64))]
struct Slot<T> {
    mark: u64,
    value: T,
}

/// A value that lies in locked memory, dropped and wiped with the box. Never sent to another thread.
///
/// In a child forked off by somebody else the value is gone: touching it ends that child, which is better than sealing
/// under a key of zeros.
pub struct Locked<T> {
    place: Place,
    owns: PhantomData<(*mut (), T)>,
}

impl<T> Locked<T> {
    /// Makes a value and puts it there; what making it left on the stack is wiped.
    ///
    /// # Errors
    /// Those of `make`; `55000` without memory.
    pub fn new(make: impl FnOnce() -> Result<T>) -> Result<Self> {
        const { assert!(align_of::<Slot<T>>() <= UNIT) };
        let made = Self::made(make);
        wipe_stack();
        made
    }

    #[inline(never)]
    fn made(make: impl FnOnce() -> Result<T>) -> Result<Self> {
        let place = Place::take(size_of::<Slot<T>>())?;
        let value = make()?;
        // SAFETY: the place is large and aligned enough, and holds nothing.
        unsafe { place.at.cast::<Slot<T>>().as_ptr().write(Slot { mark: MARK, value }) };
        Ok(Locked { place, owns: PhantomData })
    }

    /// False in a forked child, where the value is gone.
    pub fn alive(this: &Self) -> bool {
        // SAFETY: the place is mapped; what a fork wiped reads as zero.
        let mark = unsafe { (&raw const (*this.place.at.cast::<Slot<T>>().as_ptr()).mark).read_volatile() };
        mark == MARK
    }

    fn slot(&self) -> NonNull<Slot<T>> {
        if !Self::alive(self) {
            std::process::abort();
        }
        self.place.at.cast()
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: alive, so initialised; shared as `self` is.
        unsafe { &self.slot().as_ref().value }
    }
}

impl<T> DerefMut for Locked<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: alive, so initialised; exclusive as `self` is.
        unsafe { &mut self.slot().as_mut().value }
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        if Self::alive(self) {
            // SAFETY: initialised, dropped once; the place wipes itself afterwards.
            unsafe { std::ptr::drop_in_place(&raw mut self.place.at.cast::<Slot<T>>().as_mut().value) };
        }
    }
}

/// Runs `work`, which handles key bytes on the stack, and wipes the stack below. What it returns must be no key.
pub fn clean<T>(work: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn below<T>(work: impl FnOnce() -> T) -> T {
        work()
    }
    let result = below(work);
    wipe_stack();
    result
}

/// Overwrites the stack below the caller's frame: types that are wiped on drop leave copies where they were moved from.
#[inline(never)]
fn wipe_stack() {
    let mut area = [0_u8; STACK];
    std::hint::black_box(&mut area);
}

/// The end of the process: all keys are gone. Values that are dropped afterwards are not touched.
pub fn wipe() {
    let _ = ARENA.try_with(|cell| {
        let Ok(cell) = cell.try_borrow() else { return };
        let Some(arena) = cell.as_ref().filter(|arena| arena.pid == std::process::id()) else { return };
        WIPED.store(true, SeqCst);
        for chunk in &arena.chunks {
            // SAFETY: mapped by us, and nothing reads it any more.
            unsafe { std::slice::from_raw_parts_mut(chunk.as_ptr(), CHUNK) }.zeroize();
        }
    });
}

/// How this process's key pages are kept; maps some if there are none yet.
///
/// # Errors
/// `55000` without memory.
pub fn facts() -> Result<Facts> {
    Locked::new(|| Ok([0_u8; 1]))?;
    common();
    let pid = std::process::id();
    let soft = |resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a valid place for the answer.
        let known = unsafe { libc::getrlimit(resource, &mut limit) } == 0;
        if known {
            limit.rlim_cur
        } else {
            0
        }
    };
    let lockable = soft(libc::RLIMIT_MEMLOCK);
    Ok(Facts {
        locked: UNLOCKED.load(SeqCst) != pid,
        undumped: DUMPED.load(SeqCst) != pid,
        may_lock: (lockable != libc::RLIM_INFINITY).then_some(lockable),
        dumps: soft(libc::RLIMIT_CORE) != 0,
    })
}

#[cfg(test)]
#[path = "memory/tests.rs"]
pub(super) mod tests;
