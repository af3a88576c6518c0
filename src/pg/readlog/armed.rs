//! Which statements of this backend are being read under a record, and where execution stands.
//!
//! A statement is *armed* from the moment its record is durable until its outcome is written. `gate` and `disclose` ask
//! here whether the innermost running statement is armed for their scope; nothing else opens them.

use super::identity;
use super::record_of;
use super::wal::{self, Sealer};
use crate::pg::registry::{self, Registry};
use crate::pg::{gucs, shared, sys};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{Outcome, Record, RecordKind};
use crate::pure::subprocessor::{may_read, Connection};
use std::cell::RefCell;
use std::rc::Rc;

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

/// One statement under a record.
struct Read {
    run: Run,
    level: i32,
    scopes: Vec<i32>,
    /// What the contract was last checked against: the registry's generation and the day.
    checked: ((u64, u64), i32),
    intent: Record,
    sealer: Rc<Sealer>,
    rows: i64,
    sqlstate: Option<String>,
}

#[derive(Default)]
struct State {
    frames: Vec<Frame>,
    reads: Vec<Read>,
    /// Runs that passed containment when they started.
    contained: Vec<Run>,
    statements: u64,
    published: bool,
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { frames: Vec::new(), reads: Vec::new(), contained: Vec::new(), statements: 0, published: false })
    };
}

/// Notes that `frame` starts.
pub fn enter(frame: Frame) {
    STATE.with(|s| s.borrow_mut().frames.push(frame));
}

/// Notes that the innermost frame ended, by whatever way.
pub fn leave() {
    STATE.with(|s| s.borrow_mut().frames.pop());
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
}

/// Asks the contract whether the session may read these scopes now, for its claimed purpose; returns the purpose to
/// record. AL006, AL008, AL009.
fn allowed(registry: &Registry, scopes: &[i32], connection: &Connection) -> Result<Option<String>> {
    let mut purpose = None;
    for id in scopes {
        let scope = registry.scopes.get(id).ok_or_else(|| gone(*id))?;
        let granted =
            may_read(&scope.subprocessor.contract, sys::today(), connection, &gucs::purpose(), &scope.purposes)?;
        purpose.get_or_insert(granted);
    }
    Ok(purpose)
}

fn gone(id: i32) -> Error {
    Error::new(Kind::OutsideScope, format!("scope {id} is no longer in force"))
        .hint("ask the controller for a new scope")
}

/// Arms a statement: checks the contract, makes the record durable, and only then lets execution start.
///
/// A read that the contract refuses leaves a `denied` record. AL005 when no record can be kept, AL006 to AL009 when the
/// contract says no.
pub fn arm(run: Run, level: i32, mut intent: Record, scopes: Vec<i32>, connection: &Connection) -> Result<()> {
    // keys first: locked is the cause then, and that the worker stands still its consequence
    let sealer = Rc::new(Sealer::new()?);
    super::materialiser::health()?;
    publish(registry::current()?.subprocessors.get(&intent.subprocessor).map_or(0, |s| s.id))?;
    // read after the publication: a suspension from now on either shows here or finds us
    let registry = registry::current()?;
    intent.statement_id.n = STATE.with(|s| {
        let mut state = s.borrow_mut();
        state.statements += 1;
        state.statements
    });
    let checked =
        allowed(&registry, &scopes, connection).and_then(|p| super::drift::check(&registry, &scopes).map(|()| p));
    match checked {
        Ok(purpose) => intent.purpose = purpose,
        Err(refusal) => {
            intent.kind = RecordKind::Denied;
            intent.outcome = Some(Outcome::Error);
            intent.sqlstate = Some(refusal.kind.sqlstate().into());
            wal::flush(sealer.append(&intent)?);
            return Err(refusal);
        }
    }
    wal::flush(sealer.append(&intent)?);
    let checked = (registry.generation(), sys::today());
    let read = Read { run, level, scopes, checked, intent, sealer, rows: 0, sqlstate: None };
    STATE.with(|s| s.borrow_mut().reads.push(read));
    Ok(())
}

/// Makes this backend findable for a suspension, whatever its login is.
fn publish(subprocessor: i32) -> Result<()> {
    let (backend, pid) = sys::backend();
    if !shared::publish(backend, pid, subprocessor) {
        return Err(Error::new(Kind::LogUnavailable, "too many sessions read for sub-processors")
            .hint("lower max_connections, or the sub-processors' CONNECTION LIMIT"));
    }
    STATE.with(|s| s.borrow_mut().published = true);
    Ok(())
}

/// The transaction ended: nothing is read for anybody any more.
pub fn unpublish() {
    if STATE.with(|s| std::mem::take(&mut s.borrow_mut().published)) {
        shared::unpublish(sys::backend().0);
    }
}

/// Before each run of an armed statement (each FETCH too): the session must still be the sub-processor's, and if anything
/// changed since, or a day began, the contract is asked again. AL006 after a suspension, even for a cursor opened before.
pub fn before_run(run: Run, session: Option<&str>) -> Result<()> {
    let found = STATE.with(|s| {
        let state = s.borrow();
        let read = state.reads.iter().find(|r| r.run == run);
        read.map(|r| (r.checked, r.scopes.clone(), r.intent.subprocessor.clone()))
    });
    let Some((checked, scopes, subprocessor)) = found else { return Ok(()) };
    if session != Some(subprocessor.as_str()) {
        return Err(Error::new(
            Kind::OutsideScope,
            "this cursor was opened as a sub-processor, which the session no longer is",
        )
        .hint("SET ROLE back to it, or open the cursor anew"));
    }
    if checked == (shared::generation(), sys::today()) {
        return Ok(());
    }
    let registry = registry::current()?;
    allowed(&registry, &scopes, &record_of::connection())?;
    with_read(run, |r| r.checked = (registry.generation(), sys::today()));
    Ok(())
}

/// Notes that a run passed containment when it started.
pub fn contain(run: Run) {
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        if !state.contained.contains(&run) {
            state.contained.push(run);
        }
    });
}

/// Whether a run passed containment when it started; one that did not was opened as somebody else.
pub fn is_contained(run: Run) -> bool {
    STATE.with(|s| s.borrow().contained.contains(&run))
}

/// The run ended; true when it was one of ours.
pub fn forget(run: Run) -> bool {
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        let before = state.contained.len();
        state.contained.retain(|r| *r != run);
        before != state.contained.len()
    })
}

/// The transaction ended: no run outlives it.
pub fn forget_all() {
    STATE.with(|s| s.borrow_mut().contained.clear());
}

/// Adds the rows that one run produced.
pub fn add_rows(run: Run, rows: u64) {
    with_read(run, |r| r.rows += i64::try_from(rows).unwrap_or(i64::MAX));
}

/// Notes how a statement failed; the outcome is written when the transaction aborts.
pub fn failed(run: Run, sqlstate: String) {
    with_read(run, |r| r.sqlstate = Some(sqlstate));
}

fn with_read(run: Run, f: impl FnOnce(&mut Read)) {
    STATE.with(|s| {
        if let Some(read) = s.borrow_mut().reads.iter_mut().find(|r| r.run == run) {
            f(read);
        }
    });
}

/// Whether the statement is armed.
pub fn is_armed(run: Run) -> bool {
    STATE.with(|s| s.borrow().reads.iter().any(|r| r.run == run))
}

/// Whether the innermost running statement is armed for this scope. The question of `gate` and `disclose`.
pub fn covers(scope: i32) -> bool {
    STATE.with(|s| {
        let state = s.borrow();
        match state.frames.last() {
            Some(Frame::Executor(run)) => state.reads.iter().any(|r| r.run == *run && r.scopes.contains(&scope)),
            _ => false,
        }
    })
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

/// The statement ended: writes its outcome. Not flushed: losing it only leaves the read open in the log.
pub fn end(run: Run) -> Result<()> {
    let ended = take(|r| r.run == run);
    write(ended, None)
}

/// A (sub)transaction aborted: the statements that belong to it will see no ExecutorEnd. Touches no catalog.
pub fn aborted(level: i32) -> Result<()> {
    let ended = take(|r| r.level >= level);
    write(ended, None)
}

/// A subtransaction committed: its open cursors now belong to the parent.
pub fn subcommitted(level: i32) {
    STATE.with(|s| s.borrow_mut().reads.iter_mut().filter(|r| r.level >= level).for_each(|r| r.level = level - 1));
}

/// The armed runs that are in the middle of something, innermost last.
pub fn running() -> Vec<Run> {
    STATE.with(|s| {
        let state = s.borrow();
        let mut runs: Vec<Run> = Vec::new();
        for frame in &state.frames {
            if let Frame::Executor(run) = frame {
                if !runs.contains(run) && state.reads.iter().any(|r| r.run == *run) {
                    runs.push(*run);
                }
            }
        }
        runs
    })
}

/// The backend exits with statements open.
pub fn exiting() -> Result<()> {
    let ended = take(|_| true);
    write(ended, Some(Outcome::Terminated))
}

fn take(which: impl Fn(&Read) -> bool) -> Vec<Read> {
    STATE.with(|s| {
        let mut state = s.borrow_mut();
        let (ended, open) = std::mem::take(&mut state.reads).into_iter().partition(|r| which(r));
        state.reads = open;
        ended
    })
}

fn write(ended: Vec<Read>, forced: Option<Outcome>) -> Result<()> {
    let mut first = Ok(());
    for read in ended {
        let at = sys::now();
        let duration = at - read.intent.at;
        let outcome = forced.unwrap_or(match read.sqlstate.as_deref() {
            None => Outcome::Ok,
            Some("57014") => Outcome::Cancelled,
            Some("57P01" | "57P02" | "57P03") => Outcome::Terminated,
            Some(_) => Outcome::Error,
        });
        let record = Record {
            kind: RecordKind::Outcome,
            at,
            outcome: Some(outcome),
            sqlstate: read.sqlstate,
            rows_sent: Some(read.rows),
            duration_us: Some(duration),
            statement: String::new(),
            views: Vec::new(),
            columns: Vec::new(),
            ..read.intent
        };
        match read.sealer.append(&record) {
            Ok(lsn) => {
                shared::outcome_written(lsn);
                wal::nudge(lsn);
            }
            // the others' outcomes are still worth writing; a missing one leaves its read open in the log
            Err(error) => first = first.and(Err(error)),
        }
    }
    first
}
