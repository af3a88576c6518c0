//! Which statements of this backend are being read under a record, and where execution stands.
//!
//! A statement is *armed* from the moment the contract allowed it until all is said about it. `gate` and `disclose` ask
//! here whether the innermost running statement is armed for their scope; nothing else opens them. What an armed
//! statement sends is held by `wire` until its record is durable; where that gate cannot be installed, the record is
//! durable before the statement is armed.
//!
//! A *read* is what one top-level statement reads: statements that run inside it, in functions, join it as long as its
//! record still can name what they read, or does so already.

mod contract;
mod ends;
mod explained;
mod leading;
mod reads;
mod settle;

pub use ends::{aborted, forget_all, rest, subcommitted, transaction_ended, unpublish};
pub use explained::explain;
pub use leading::{inside_worker, lead};
pub use reads::{next_number, persons_of};
pub use settle::{at_exit, before_commit, settle};

use super::identity;
use super::record_of;
use super::subjects::{self, Collector};
use super::wal;
use super::wire;
use crate::pg::registry;
use crate::pg::{gucs, shared, sys};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{check_size, encode, Outcome, Parts, Record, RecordKind};
use crate::pure::subprocessor::Connection;
use crate::pure::wire::{Limits, Portal, Put, Wire, MOST_WAITING};
use contract::{asked, Asked};
use reads::{Ended, Read};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Identity of an executor run: the address of its QueryDesc, never followed here.
pub type Run = usize;

/// What is running, innermost last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The planner: it may call STABLE functions to estimate.
    Planner,
    /// The executor, for one statement.
    Executor(Run),
    /// A utility command.
    Utility,
}

#[derive(Default)]
struct State {
    frames: Vec<Frame>,
    /// The portal that the top-level statement's rows leave through.
    portal: Portal,
    reads: Vec<Read>,
    wire: Wire,
    /// Runs that passed containment when they started.
    contained: Vec<Run>,
    /// Runs that outlived the read they belonged to: a cursor that a function opened and returned.
    orphans: Vec<Run>,
    statements: u64,
    published: bool,
}

/// There may be something in the state. Where there is not, whoever asks for it is done at once.
static TOUCHED: AtomicBool = AtomicBool::new(false);
thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

/// Whether anything was noted since the last transaction that left nothing. Never in sessions that are nobody's, but for
/// commands that define encrypted columns.
pub fn touched() -> bool {
    TOUCHED.load(Relaxed)
}

/// Looks at the state, or changes it; afterwards the gate knows whether it has anything to do.
fn with<T>(body: impl FnOnce(&mut State) -> T) -> T {
    TOUCHED.store(true, Relaxed);
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        let result = body(&mut state);
        wire::tell(state.wire.busy(), state.wire.holding());
        result
    })
}

// ------------------------------------------------------------------------------------------------ frames

/// A statement begins; if it is a top-level one, its rows will leave through this portal.
pub fn begin(portal: Portal) {
    with(|s| {
        if s.frames.is_empty() {
            s.portal = portal;
            s.wire.begin(portal);
        }
    });
}

/// A utility command begins, and runs at once. `header`: it is a COPY, with a header line or without.
pub fn begin_utility(portal: Portal, header: Option<bool>) {
    begin(portal);
    with(|s| {
        if s.frames.is_empty() {
            s.wire.runs(portal);
            if let Some(header) = header {
                s.wire.copies(portal, header);
            }
        }
    });
}

/// Notes that `frame` starts.
pub fn enter(frame: Frame) {
    TOUCHED.store(true, Relaxed);
    STATE.with(|s| s.borrow_mut().frames.push(frame));
}

/// Notes that the innermost frame ended, by whatever way.
pub fn leave() {
    STATE.with(|s| s.borrow_mut().frames.pop());
    leading::ended(depth());
}

/// What is innermost.
pub fn innermost() -> Option<Frame> {
    STATE.with(|s| s.borrow().frames.last().copied())
}

/// How many frames are open, for cleaning up after errors.
pub fn depth() -> usize {
    STATE.with(|s| s.borrow().frames.len())
}

/// Cuts the frames back to `depth`.
pub fn cut(depth: usize) {
    STATE.with(|s| s.borrow_mut().frames.truncate(depth));
    leading::ended(depth);
}

// ------------------------------------------------------------------------------------------------ arming

/// Arms a statement, before it starts: checks the contract, and makes sure that a record will name what it reads before
/// any of it can leave.
///
/// A read that the contract refuses leaves a `denied` record. AL005 when no record can be kept, AL006 to AL009 when the
/// contract says no.
pub fn arm(
    run: Run,
    level: i32,
    (mut record, mut private): (Record, Option<Vec<u8>>),
    scopes: Vec<i32>,
    connection: &Connection,
) -> Result<()> {
    let Asked { sealer, registry, older } = asked(&mut record, &mut private, &scopes, connection)?;
    if let Some(persons) = with(|s| s.join(run, level, &record, &scopes)) {
        return persons.add(&registry, &scopes);
    }
    let persons = Rc::new(Collector::new(&registry, &scopes)?);
    let at_the_wire = !older && wire::wanted() && wire::install().map_err(shared::fell_back).is_ok();
    record.statement_id.n = with(State::next_number);
    let mut waited = Ok(());
    if at_the_wire {
        // now, when the statement can still be refused; counts and times add a few bytes
        check_size(&encode(&record))?;
        record.kind = RecordKind::Open;
        if with(|s| s.wire.waiting() >= MOST_WAITING) {
            settle(true)?;
        }
    } else {
        waited = wal::flush(sealer.append_with(record.clone(), Parts { private: private.take(), subjects: None })?);
    }
    let checked = (registry.generation(), sys::today());
    let contract = registry.subprocessors.get(&record.subprocessor).cloned();
    let read = Read {
        scopes,
        checked,
        persons,
        private,
        at_the_wire,
        older,
        contract,
        ..Read::new(run, level, record, sealer)
    };
    with(|s| s.add(read));
    waited
}

/// Before each run of an armed statement (each FETCH too): the session must still be the sub-processor's, and if anything
/// changed since, or a day began, or the statement had been answered before, the contract is asked again. AL006 after a
/// suspension, even for a cursor opened before.
pub fn before_run(run: Run, session: Option<&str>) -> Result<()> {
    let found: Vec<_> = with(|s| {
        let reads = s.reads.iter().filter(|r| r.concerns(run));
        let of = |r: &Read| (r.number(), r.checked, r.scopes.clone(), r.record.subprocessor.clone());
        reads.map(|r| (of(r), s.wire.at_rest(r.number()))).collect()
    });
    for ((number, checked, scopes, subprocessor), again) in found {
        if session != Some(subprocessor.as_str()) {
            return Err(Error::new(
                Kind::OutsideScope,
                "this cursor was opened as a sub-processor, which the session no longer is",
            )
            .hint("SET ROLE back to it, or open the cursor anew"));
        }
        with(|s| s.reads.iter().filter(|r| r.number() == number).try_for_each(contract::rows_left))?;
        super::drift::check(&*registry::current()?, &scopes)?;
        if !again && checked == (shared::generation(), sys::today()) {
            continue;
        }
        if again {
            super::materialiser::health()?;
        }
        let registry = registry::current()?;
        contract::granted(&registry, &scopes, &record_of::connection(), &subprocessor)?;
        with(|s| {
            let anew = if again { Some(s.next_number()) } else { None };
            let Some(read) = s.reads.iter_mut().find(|r| r.number() == number) else { return };
            read.checked = (registry.generation(), sys::today());
            if let Some(anew) = anew {
                s.wire.revive(number, anew);
                read.record.statement_id.n = anew;
                (read.record.at, read.added) = (sys::now(), 0);
            }
        });
    }
    Ok(())
}

/// A statement runs, now or again: what it reads leaves through the portal of the top-level statement.
pub fn runs(run: Run, portal: Portal) {
    with(|s| {
        if s.frames.is_empty() {
            s.portal = portal;
            s.wire.runs(portal);
        }
        s.outlet(run);
    });
}

/// Notes that a run passed containment when it started.
pub fn contain(run: Run) {
    TOUCHED.store(true, Relaxed);
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        if !state.contained.contains(&run) {
            state.contained.push(run);
        }
    });
}

/// The run ended; true when it was one of ours. In a session that has read nothing for a sub-processor since its
/// transaction began, one comparison.
pub fn forget(run: Run) -> bool {
    if !touched() {
        return false;
    }
    subjects::forget(run);
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        let before = state.contained.len();
        state.contained.retain(|r| *r != run);
        state.orphans.retain(|r| *r != run);
        before != state.contained.len()
    })
}

/// Whether a run that is not armed may go on: it did not outlive the read that it belonged to, and passed containment when it
/// started.
pub fn may_go_on(run: Run) -> Result<()> {
    let (orphan, contained) = STATE.with(|s| {
        let state = s.borrow();
        (state.orphans.contains(&run), state.contained.contains(&run))
    });
    if orphan {
        let message = "the read that opened this cursor is over, and its record written";
        return Err(
            Error::new(Kind::LogUnavailable, message).hint("declare the cursor itself: DECLARE c CURSOR FOR SELECT …")
        );
    }
    if !contained {
        let message = "this cursor was opened before the session became a sub-processor's";
        return Err(Error::new(Kind::OutsideScope, message).hint("close it, and open it anew"));
    }
    Ok(())
}

/// Whether the statement is armed, or one inside it was.
pub fn is_armed(run: Run) -> bool {
    touched() && STATE.with(|s| s.borrow().reads.iter().any(|r| r.concerns(run)))
}

/// Whether the innermost running statement is armed for this scope. The question of `gate` and `disclose`.
pub fn covers(scope: i32) -> bool {
    STATE.with(|s| {
        let state = s.borrow();
        match state.frames.last() {
            // what runs inside a worker's part of the statement, in functions, is nobody's to record
            Some(Frame::Executor(_)) if sys::parallel::is_worker() => state.frames.len() == 1 && leading::covers(scope),
            Some(Frame::Executor(run)) => state
                .reads
                .iter()
                .any(|r| r.has(*run) && r.scopes.contains(&scope) && (!r.at_the_wire || wire::in_place())),
            _ => false,
        }
    })
}

/// The scopes that a run is armed for, as [`covers`] sees it while it is innermost.
fn covers_of(run: Run) -> BTreeSet<i32> {
    let open = |r: &&Read| r.has(run) && (!r.at_the_wire || wire::in_place());
    STATE.with(|s| s.borrow().reads.iter().filter(open).flat_map(|r| r.scopes.clone()).collect())
}

/// Why the gate stays shut: said when [`covers`] is false.
pub fn refusal(what: &str) -> Error {
    match identity::who() {
        Err(error) => error,
        Ok(identity::Who::Other) => {
            Error::new(Kind::OutsideScope, format!("{what} works only in a sub-processor's session")).hint(
                "read the base table, see preview_scope(), or SET ROLE to the sub-processor's role to read as it does",
            )
        }
        Ok(_) => Error::new(Kind::LogUnavailable, format!("{what} was called without a read record"))
            .hint("query the view itself; see SELECT * FROM airlock.doctor()"),
    }
}

// ------------------------------------------------------------------------------------------------ what is sent

/// A message is put into the connection's buffer, while this portal is active. AL006 beyond the day's quota of rows.
pub fn message(kind: u8, body: &[u8], active: Portal) -> Result<Put> {
    if kind == b'E' {
        if let Some(sqlstate) = crate::pure::wire::fatal(body) {
            // nothing unwinds: this is the last that the open reads' client hears
            wire::ending();
            let how = Ended::now(Some(sqlstate.to_string()), Some(Outcome::Terminated));
            with(|s| {
                s.wire.transaction_ends();
                s.end(|r| r.at_the_wire, &how);
            });
        }
    }
    // neither busy nor holding changes by a message
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        let put = state.wire.put(kind, body, active, sys::now, limits());
        state.count_stream(kind).map(|()| put)
    })
}

/// The buffer is about to be sent.
pub fn flush() -> crate::pure::wire::Flush {
    STATE.with(|s| s.borrow().wire.flush(sys::now(), limits()))
}

fn limits() -> Limits {
    Limits { bytes: gucs::hold_bytes(), time: gucs::hold_time() }
}

/// Adds the rows that one run produced, where the wire does not count them.
pub fn add_rows(run: Run, rows: u64) {
    with(|s| {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        s.reads.iter_mut().filter(|r| r.root == run).for_each(|r| r.rows = r.rows.saturating_add(rows));
    });
}

// ------------------------------------------------------------------------------------------------ ends

/// A run raised an error. If it was a top-level statement's, nothing more comes of it.
pub fn failed(run: Run, sqlstate: String) {
    with(|s| s.end(|r| r.root == run, &Ended::now(Some(sqlstate), None)));
}

/// The scopes that a run reads, itself or inside it.
pub fn scopes_of(run: Run) -> Vec<i32> {
    if sys::parallel::is_worker() {
        return leading::scopes();
    }
    STATE.with(|s| s.borrow().reads.iter().filter(|r| r.concerns(run)).flat_map(|r| r.scopes.clone()).collect())
}

/// A run ended.
pub fn end(run: Run) -> Result<()> {
    with(|s| {
        s.end(|r| r.root == run, &Ended::now(None, None));
        s.reads.iter_mut().for_each(|r| r.runs.retain(|(other, _)| *other != run));
    });
    settle::outcomes_of_intents()
}

/// The armed runs that are in the middle of something, innermost last.
pub fn running() -> Vec<Run> {
    STATE.with(|s| {
        let state = s.borrow();
        let mut runs: Vec<Run> = Vec::new();
        for frame in &state.frames {
            if let Frame::Executor(run) = frame {
                if !runs.contains(run) && state.reads.iter().any(|r| r.root == *run) {
                    runs.push(*run);
                }
            }
        }
        runs
    })
}

fn end_all(how: &Ended) {
    with(|s| s.end(|_| true, how));
}
