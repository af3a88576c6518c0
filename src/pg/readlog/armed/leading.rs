//! Parallel workers of a read. What a statement is armed for is known to its own process; while it runs in parallel it is in
//! shared memory too, and its workers ask there. Nothing else is theirs to decide: contract, record and wire are the
//! leader's, and it waits for them before its run ends.

use super::{covers_of, depth, Run};
use crate::pg::shared;
use crate::pg::sys::{self, parallel};
use std::cell::Cell;

thread_local! {
    /// How many frames were open when the statement that leads workers began to run.
    static LEADS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A statement is about to run: if its plan wants workers, they are told what it is armed for. With more than they can be told
/// it runs alone: `wants` is what the plan says, and what it says from then on.
pub fn lead(run: Run, wants: &mut bool) {
    // one statement has workers at a time: those inside it get none
    if !*wants || parallel::is_worker() || LEADS.get().is_some() {
        return;
    }
    if shared::lead(sys::backend().0, &covers_of(run)) {
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
    parallel::leader().is_some_and(|leader| shared::leads(leader, scope))
}
