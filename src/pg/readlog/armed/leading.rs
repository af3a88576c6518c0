//! Parallel workers of a read. What a statement is armed for is known to its own process; while it runs in parallel it is in
//! shared memory too, and its workers ask there. Nothing else is theirs to decide: contract, record and wire are the
//! leader's, and it waits for them before its run ends. What a function reads inside a worker nobody could put on record,
//! so it reads no scoped view there.

use super::{covers_of, depth, Run};
use crate::pg::shared;
use crate::pg::sys::{self, parallel};
use crate::pure::error::{Error, Kind, Result};
use std::cell::Cell;

thread_local! {
    /// How many frames were open when the statement that leads workers began to run.
    static LEADS: Cell<Option<usize>> = const { Cell::new(None) };
    /// Of a worker: its leader's process id, and the place of its words.
    static LEADER: Cell<Option<(i32, usize)>> = const { Cell::new(None) };
}

/// A statement is about to run: if its plan wants workers, they are told what it is armed for. With more than they can be told
/// it runs alone, as do statements inside one that leads: `wants` is what the plan says, for this run.
pub fn lead(run: Run, wants: &mut bool) {
    if !*wants || parallel::is_worker() {
        return;
    }
    if LEADS.get().is_some() {
        *wants = false;
        return;
    }
    let scopes: Vec<i32> = covers_of(run).into_iter().collect();
    if scopes.is_empty() {
        return;
    }
    if shared::lead(sys::backend().0, &scopes) {
        LEADS.set(Some(depth()));
    } else {
        *wants = false;
    }
}

/// So many frames are left: the statement's own is not among them any more, or it is.
pub fn ended(depth: usize) {
    if LEADS.get().is_some_and(|led| depth <= led) {
        LEADS.set(None);
        shared::lead(sys::backend().0, &[]);
    }
}

/// Whether the statement that this worker works for is armed for a scope.
pub fn covers(scope: i32) -> bool {
    scope != 0 && scopes().contains(&scope)
}

/// What the statement that this worker works for is armed for.
pub fn scopes() -> Vec<i32> {
    let Some(leader) = parallel::leader().filter(|pid| *pid > 0) else { return Vec::new() };
    let place = LEADER.get().filter(|(pid, _)| *pid == leader).map(|(_, place)| place);
    let Some(place) = place.or_else(|| shared::place_of_process(leader)) else { return Vec::new() };
    LEADER.set(Some((leader, place)));
    shared::led(place, leader)
}

/// In a worker: refuses a statement inside its own part of the leader's if it reads a scoped view. True for any process that
/// is a worker.
pub fn inside_worker(reads: impl FnOnce() -> Result<bool>) -> Result<bool> {
    if parallel::is_worker() && depth() > 0 && reads()? {
        let message = "a function that a parallel worker runs cannot read a scoped view";
        return Err(Error::new(Kind::LogUnavailable, message)
            .detail("Its read could not be put on record there.")
            .hint("ALTER FUNCTION … PARALLEL RESTRICTED"));
    }
    Ok(parallel::is_worker())
}
