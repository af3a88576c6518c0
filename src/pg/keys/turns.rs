//! Taking turns at a source that runs a command, and sharing what came back.
//!
//! A command may be a call of a key service: not one for each connection, and no storm of them while it is down. So one
//! process at a time asks; the key it gets goes into the page of locked memory that all processes share; after a
//! failure the others hear the same failure, and the source is asked again ten seconds later. A changed setting is
//! asked at once. What the shared page holds is believed only after the check value: `root` looks.

use super::command::{self, Failure, Text, MOST};
use super::memory::{self, Locked};
use super::{root, source};
use crate::pg::shared::{self, Turns};
use crate::pg::sys;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::key_source::KeySource;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// A source that failed, or gave the wrong key, is asked again after this many microseconds.
const INTERVAL: i64 = 10_000_000;
/// How long a process that runs the command has beyond its limit, before another takes over.
const GRACE: i64 = 5_000_000;
/// How often a waiting process looks.
const PAUSE: Duration = Duration::from_millis(50);

// the shared page: turn (odd while being written), source, length, then the text
const TURN: usize = 0;
const SOURCE: usize = 1;
const LENGTH: usize = 2;
const START: usize = 3;
const _: () = assert!(START + MOST.div_ceil(8) <= memory::WORDS);

/// Which key will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever the source gave last.
    Any,
    /// Another than that of this turn, which is not this database's.
    NotOf(u64),
    /// One that was asked for within the last ten seconds.
    Fresh,
}

/// What a source gave, and when.
pub struct Found {
    /// The text that holds the key.
    pub text: Locked<Text>,
    /// Names the asking it came from.
    pub turn: u64,
}

/// The state word: who asks now (0: nobody), how many have asked, what came of the last.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    pid: u32,
    turn: u16,
    outcome: u16,
}

impl State {
    fn of(word: u64) -> State {
        State { pid: (word >> 32) as u32, turn: (word >> 16) as u16, outcome: word as u16 }
    }

    fn word(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.turn) << 16 | u64::from(self.outcome)
    }
}

fn code(failure: Option<Failure>) -> u16 {
    match failure {
        None => 0,
        Some(Failure::Start) => 1 << 8,
        Some(Failure::Exit(status)) => 2 << 8 | u16::from(status),
        Some(Failure::Signal(signal)) => 3 << 8 | u16::from(signal),
        Some(Failure::TooLong) => 4 << 8,
        Some(Failure::TooMuch) => 5 << 8,
        Some(Failure::NotAKey) => 6 << 8,
        Some(Failure::Stopped) => 7 << 8,
    }
}

fn failure(code: u16) -> Option<Failure> {
    let low = code as u8;
    match code >> 8 {
        0 => None,
        1 => Some(Failure::Start),
        2 => Some(Failure::Exit(low)),
        3 => Some(Failure::Signal(low)),
        4 => Some(Failure::TooLong),
        5 => Some(Failure::TooMuch),
        6 => Some(Failure::NotAKey),
        _ => Some(Failure::Stopped),
    }
}

/// A number for a source's text; the text itself may hold a token.
fn number(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A turn that is under way; given back as stopped when dropped by an error.
struct Mine<'a> {
    turns: &'a Turns,
    state: State,
    done: bool,
}

impl Mine<'_> {
    fn end(&mut self, outcome: u16) {
        self.done = true;
        // counted from the end: a source that hangs is not asked again at once
        self.turns.asked.store(sys::now(), SeqCst);
        let over = State { pid: 0, outcome, ..self.state };
        // somebody may have taken over
        let _ = self.turns.state.compare_exchange(self.state.word(), over.word(), SeqCst, SeqCst);
    }
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.end(code(Some(Failure::Stopped)));
        }
    }
}

/// What the source gives: from the shared page, from whoever asks just now, or by asking.
///
/// # Errors
/// `AL001` with what went wrong, and when the source is asked again. A cancelled query raises.
pub fn ask(text: &str, source: &KeySource, wanted: Wanted) -> Result<Found> {
    let (turns, id) = (shared::turns(), number(text));
    loop {
        // the shared page stays empty then
        root::unlocked()?;
        let seen = State::of(turns.state.load(SeqCst));
        let age = sys::now() - turns.asked.load(SeqCst);
        let recent = (0..INTERVAL).contains(&age) && turns.source.load(SeqCst) == id;
        if let Some(found) = take(id) {
            let good = match wanted {
                Wanted::Any => true,
                Wanted::NotOf(turn) => found.turn != turn || (recent && seen.pid == 0),
                Wanted::Fresh => recent && seen.pid == 0 && seen.outcome == 0,
            };
            if good {
                return Ok(found);
            }
        }
        if !command::possible() {
            return Err(Error::new(Kind::Locked, "the root key command cannot be run at this moment")
                .hint("begin a new session"));
        }
        let longest = source::limit().as_micros() as i64 + GRACE;
        if seen.pid != 0 && (0..longest).contains(&age) {
            pause()?;
            continue;
        }
        if seen.pid == 0 && recent {
            match failure(seen.outcome) {
                // it went to another source's place, or was taken out
                None => {}
                Some(Failure::Stopped) => {
                    pause()?;
                    continue;
                }
                Some(why) => return Err(again(source::explain(why, source), age)),
            }
        }
        // opened before the turn is taken: that is cheap, and says more by itself
        let blob = source::wrapped(source)?;
        turns.asked.store(sys::now(), SeqCst);
        let state = State { pid: std::process::id(), turn: seen.turn.wrapping_add(1), outcome: 0 };
        if turns.state.compare_exchange(seen.word(), state.word(), SeqCst, SeqCst).is_err() {
            continue;
        }
        let mut mine = Mine { turns, state, done: false };
        turns.source.store(id, SeqCst);
        match source::run(source, blob) {
            Ok(text) => {
                publish(id, u64::from(state.turn), &text);
                mine.end(0);
                if shared::keys_locked() {
                    // while the command ran; whoever locks after this empties the page
                    forget();
                    root::unlocked()?;
                }
                return Ok(Found { text, turn: u64::from(state.turn) });
            }
            Err(why) => {
                mine.end(code(Some(why)));
                if why == Failure::Stopped {
                    pgrx::check_for_interrupts!();
                }
                return Err(source::explain(why, source));
            }
        }
    }
}

/// Says that the failure is that of another session's asking.
fn again(error: Error, age: i64) -> Error {
    let (ago, left) = (age / 1_000_000, (INTERVAL - age) / 1_000_000 + 1);
    let detail = error.detail.clone().unwrap_or_default();
    error.detail(format!("{detail}; asked {ago} seconds ago, and again {left} seconds from now"))
}

fn pause() -> Result<()> {
    command::wait(None, PAUSE).map_err(|_| {
        pgrx::check_for_interrupts!();
        Error::new(Kind::Locked, "the wait for the root key was interrupted").hint("run the statement again")
    })
}

/// Reads the shared page; `None` when it holds nothing of this source, or is being written.
fn take(id: u64) -> Option<Found> {
    let page = memory::common()?;
    let turn = page[TURN].load(SeqCst);
    let len = usize::try_from(page[LENGTH].load(SeqCst)).ok().filter(|len| (1..=MOST).contains(len))?;
    if turn % 2 == 1 || page[SOURCE].load(SeqCst) != id {
        return None;
    }
    let text = Locked::new(|| {
        let mut bytes = zeroize::Zeroizing::new([0; MOST + 8]);
        for (eight, word) in bytes.chunks_exact_mut(8).zip(&page[START..START + MOST.div_ceil(8)]) {
            eight.copy_from_slice(&word.load(SeqCst).to_ne_bytes());
        }
        let mut text = Text::empty();
        text.copy(&bytes[..len]);
        Ok(text)
    });
    // unchanged meanwhile, or what was read is a mixture
    (page[TURN].load(SeqCst) == turn).then_some(())?;
    text.ok().map(|text| Found { text, turn: turn / 2 })
}

/// Writes the shared page. Only who has the turn does.
fn publish(id: u64, turn: u64, text: &Text) {
    let Some(page) = memory::common() else { return };
    memory::clean(|| {
        page[TURN].fetch_or(1, SeqCst);
        page[SOURCE].store(id, SeqCst);
        page[LENGTH].store(text.bytes().len() as u64, SeqCst);
        empty(&page[START..]);
        for (word, bytes) in page[START..].iter().zip(text.bytes().chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(eight), SeqCst);
        }
        page[TURN].store(2 * turn, SeqCst);
    });
}

fn empty(words: &[AtomicU64]) {
    words.iter().for_each(|word| word.store(0, SeqCst));
}

/// Takes the key out of the shared page: everybody asks the source again, and the next one may do so at once.
pub fn forget() {
    if let Some(page) = memory::common() {
        page[TURN].fetch_or(1, SeqCst);
        empty(&page[SOURCE..]);
        page[TURN].fetch_add(1, SeqCst);
    }
    shared::turns().asked.store(0, SeqCst);
}

/// The process ends: a turn of its own is over. Called once, late.
pub fn abandon() {
    if !shared::preloaded() {
        return;
    }
    let turns = shared::turns();
    let state = State::of(turns.state.load(SeqCst));
    if state.pid == std::process::id() {
        Mine { turns, state, done: false }.end(code(Some(Failure::Stopped)));
    }
}
