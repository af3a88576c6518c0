//! What the contract says of a read: when it begins, and of the rows that leave.
//!
//! Rows are counted by sub-processor and day (UTC) in shared memory, as they leave; at the start of the server what the log
//! knows of today is added. An answer that is held is compared with the quota before it leaves, a stream row by row.
//! Sessions are counted alike, each with its first read of the day.

use super::reads::{Ended, Read};
use super::{with, State};
use crate::pg::readlog::wal::{self, Sealer};
use crate::pg::readlog::{drift, materialiser};
use crate::pg::registry::{self, Registry};
use crate::pg::{gucs, self_test, shared, sys};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{Outcome, Parts, Record, RecordKind};
use crate::pure::subprocessor::{may_read, within_connections, within_quota, Connection, Contract, Places};
use crate::pure::wire::{Counts, Form, Number};
use std::cell::RefCell;
use std::rc::Rc;

/// How many rows of a stream are added at once; what streams that run side by side may pass a quota by.
const STEP: i64 = 1000;

/// All that may refuse a read before it begins or goes on; returns the purpose to record. AL005 to AL010.
pub fn granted(
    registry: &Registry,
    scopes: &[i32],
    connection: &Connection,
    subprocessor: &str,
) -> Result<Option<String>> {
    let purpose = allowed(registry, scopes, connection)?;
    drift::check(registry, scopes)?;
    // last: a session counts with a read that nothing else refuses
    count_session(registry, subprocessor)?;
    Ok(purpose)
}

/// What a read that was let through goes on with.
pub struct Asked {
    /// Seals its records.
    pub sealer: Rc<Sealer>,
    /// What was asked.
    pub registry: Rc<Registry>,
    /// The objects of 0.1.0 are installed.
    pub older: bool,
}

/// Makes sure that a record can be kept, and asks the contract. A read that it refuses leaves a `denied` record.
///
/// # Errors
/// AL005 when no record can be kept, AL006 to AL009 when the contract says no, AL010 when a scope's views were changed.
pub fn asked(
    record: &mut Record,
    private: &mut Option<Vec<u8>>,
    scopes: &[i32],
    connection: &Connection,
) -> Result<Asked> {
    // keys first: locked is the cause then, and that the worker stands still its consequence
    let sealer = Rc::new(Sealer::new()?);
    materialiser::health().and_then(|()| materialiser::share(&record.subprocessor))?;
    // made before that was asked: what is older than the gate is counted as of the time before the server's start, and this
    // read is counted here
    record.at = record.at.max(shared::opened());
    publish(registry::current()?.subprocessors.get(&record.subprocessor).map_or(0, |s| s.id))?;
    // read after the publication: a suspension from now on either shows here or finds us
    let registry = registry::current()?;
    let older = materialiser::before_0_2();
    if older {
        // until ALTER EXTENSION … UPDATE: records as the objects of that release know them
        record.scopes = Vec::new();
        *private = None;
        (record.returned, record.filtered, record.base_columns) = (Vec::new(), Vec::new(), Vec::new());
    }
    match granted(&registry, scopes, connection, &record.subprocessor) {
        Ok(purpose) => record.purpose = purpose,
        Err(refusal) => {
            let mut record = record.clone();
            record.statement_id.n = super::next_number();
            record.kind = RecordKind::Denied;
            record.outcome = Some(Outcome::Error);
            record.sqlstate = Some(refusal.kind.sqlstate().into());
            let refused = sealer.append_with(record, Parts { private: private.take(), subjects: None })?;
            return wal::flush(refused).and(Err(refusal));
        }
    }
    Ok(Asked { sealer, registry, older })
}

/// Makes this backend findable for a suspension, whatever its login is.
fn publish(subprocessor: i32) -> Result<()> {
    let (backend, pid) = sys::backend();
    if !shared::publish(backend, pid, subprocessor) {
        return Err(Error::new(Kind::LogUnavailable, "too many sessions read for sub-processors")
            .hint("lower max_connections, or the sub-processors' CONNECTION LIMIT"));
    }
    with(|s| s.published = true);
    Ok(())
}

/// Asks the contract whether the session may read these scopes now, for its claimed purpose; returns the purpose to
/// record. AL006, AL008, AL009.
fn allowed(registry: &Registry, scopes: &[i32], connection: &Connection) -> Result<Option<String>> {
    let mut purpose = None;
    for id in scopes {
        let scope = registry.scopes.get(id).ok_or_else(|| gone(*id))?;
        let granted =
            may_read(&scope.subprocessor.contract, sys::today(), connection, &gucs::purpose(), &scope.purposes)?;
        if purpose.get_or_insert_with(|| granted.clone()) != &granted {
            return Err(Error::new(Kind::Purpose, "the statement reads views that are for different purposes")
                .hint("read them one at a time, or SET airlock.purpose to one that is agreed for all of them"));
        }
        rows_of(&scope.subprocessor.contract)?;
    }
    Ok(purpose)
}

fn gone(id: i32) -> Error {
    Error::new(Kind::OutsideScope, format!("scope {id} is no longer in force"))
        .hint("ask the controller for a new scope")
}

thread_local! {
    /// Where this session stands among those that read today.
    static PLACES: RefCell<Places> = const { RefCell::new(Places::new()) };
}

/// Counts this session among those that read today. AL006 when it comes too late,
/// by what is agreed now: one that has counted keeps its place. AL005 while today's are not counted yet.
fn count_session(registry: &Registry, subprocessor: &str) -> Result<()> {
    let Some(contract) = registry.subprocessors.get(subprocessor).map(|s| &s.contract) else { return Ok(()) };
    if contract.connections_per_day.is_some() {
        counted("sessions")?;
    }
    if self_test::running() {
        // not a session of theirs: it would take a place from one
        return Ok(());
    }
    let today = sys::today();
    if let Some(place) = PLACES.with(|p| p.borrow().of(subprocessor, today)) {
        return within_connections(contract, place);
    }
    // where no number is agreed too: one may be later today
    let most = contract.connections_per_day.unwrap_or(i64::MAX);
    let Some(place) = shared::reserve_sessions(subprocessor, today, 1, most) else {
        return within_connections(contract, i64::MAX);
    };
    PLACES.with(|p| p.borrow_mut().take(subprocessor, today, place));
    Ok(())
}

/// AL005 while what was before the server's start is not counted yet.
fn counted(what: &str) -> Result<()> {
    if shared::counted(false) {
        return Ok(());
    }
    Err(Error::new(Kind::LogUnavailable, format!("the {what} of today are not counted yet"))
        .hint("try again in a moment: the log's worker counts them after the server's start"))
}

/// AL006 when today's rows are used up, AL005 while they are not counted yet.
fn rows_of(contract: &Contract) -> Result<()> {
    if contract.rows_per_day.is_none() {
        return Ok(());
    }
    counted("rows")?;
    // one more than there are
    within_quota(contract, shared::add_rows(&contract.name, sys::today(), 0).saturating_add(1))
}

/// The same for a read that goes on.
pub fn rows_left(read: &Read) -> Result<()> {
    read.contract.as_ref().map_or(Ok(()), |s| rows_of(&s.contract))
}

/// AL006 when a held answer would pass the quota: it must not leave, and its record is to say so.
pub fn held_within_quota(state: &mut State, due: &[(Number, Form, Counts)]) -> Result<()> {
    for (number, form, counts) in due {
        let Some(read) = state.reads.iter_mut().find(|r| r.number() == *number && *form != Form::Final) else {
            continue;
        };
        let Some(contract) = read.contract.as_ref().map(|s| &s.contract).filter(|c| c.rows_per_day.is_some()) else {
            continue;
        };
        let (more, most) = (counts.rows.saturating_sub(read.added), contract.rows_per_day.unwrap_or(i64::MAX));
        // at once, or answers of other sessions could pass beside it
        if shared::reserve_rows(&contract.name, sys::today(), more, most).is_none() {
            let error = within_quota(contract, i64::MAX).err();
            let sqlstate = error.as_ref().map(|error| error.kind.sqlstate().into());
            read.ended = Some(Ended::now(sqlstate, None));
            return error.map_or(Ok(()), Err);
        }
        read.added = counts.rows;
    }
    Ok(())
}

/// Adds the rows of a read that left, or are about to, and were not added yet.
pub fn add(read: &mut Read, rows: i64) -> i64 {
    let more = rows.saturating_sub(read.added);
    read.added = read.added.max(rows);
    shared::add_rows(&read.record.subprocessor, sys::today(), more)
}

impl State {
    /// Counts the rows of streams, where a message is one. AL006 for a row beyond the quota.
    pub fn count_stream(&mut self, kind: u8) -> Result<()> {
        if !matches!(kind, b'D' | b'd') {
            return Ok(());
        }
        for read in &mut self.reads {
            let Some(contract) = read.contract.as_ref().map(|s| &s.contract).filter(|c| c.rows_per_day.is_some())
            else {
                continue;
            };
            let Some(counts) = self.wire.streamed(read.number()) else { continue };
            let most = contract.rows_per_day.unwrap_or(i64::MAX);
            // near the quota each row counts at once
            if counts.rows - read.added < STEP.min((most - shared::add_rows(&contract.name, sys::today(), 0)).max(1)) {
                continue;
            }
            let contract = contract.clone();
            let total = add(read, counts.rows);
            within_quota(&contract, total).inspect_err(|error| {
                read.ended = Some(Ended::now(Some(error.kind.sqlstate().into()), None));
            })?;
        }
        Ok(())
    }
}
