//! How transactions end for what is armed: reads that are over get their outcomes, and nothing of a run is left.

use super::reads::Ended;
use super::{settle, subjects, with, STATE, TOUCHED};
use crate::pg::{shared, sys};
use crate::pure::error::Result;
use std::sync::atomic::Ordering::Relaxed;

/// The transaction ended: no run outlives it.
pub fn forget_all() {
    subjects::forget_all();
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        state.contained.clear();
        state.orphans.clear();
    });
}

/// A (sub)transaction aborted: the statements that belong to it will see no ExecutorEnd. Touches no catalog.
pub fn aborted(level: i32) -> Result<()> {
    with(|s| {
        s.end(|r| r.level >= level, &Ended::now(None, None));
        s.reads.iter_mut().for_each(|r| r.runs.retain(|(_, of)| *of < level));
    });
    settle::outcomes_of_intents()
}

/// The transaction ended: no portal outlives it.
pub fn transaction_ended() -> Result<()> {
    with(|s| s.wire.transaction_ends());
    aborted(0)
}

/// A subtransaction committed: its open cursors now belong to the parent.
pub fn subcommitted(level: i32) {
    with(|s| {
        for read in &mut s.reads {
            let levels = read.runs.iter_mut().map(|(_, of)| of).chain([&mut read.level]);
            levels.filter(|of| **of >= level).for_each(|of| *of = level - 1);
        }
    });
}

/// The transaction ended: nothing is read for anybody any more.
pub fn unpublish() {
    if STATE.with(|s| std::mem::take(&mut s.borrow_mut().published)) {
        shared::unpublish(sys::backend().0);
    }
}

/// The transaction is over, and all that follows from it done: the next one begins untouched where nothing is left.
pub fn rest() {
    let left = STATE.with(|s| {
        let s = s.borrow();
        let runs = !s.reads.is_empty() || !s.frames.is_empty() || !s.contained.is_empty() || !s.orphans.is_empty();
        runs || s.published || s.wire.busy() || s.wire.holding()
    });
    TOUCHED.store(left, Relaxed);
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use super::super::{enter, leave, touched, Frame};
    use super::rest;
    use pgrx::prelude::*;

    #[pg_test]
    fn what_is_left_is_not_passed_by() {
        enter(Frame::Utility);
        rest();
        assert!(touched(), "a frame is open");
        leave();
        assert!(touched(), "nobody has looked yet");
        rest();
        assert!(!touched());
    }
}
