//! Writing what is known about reads: before their answers leave, and when they end.

use super::reads::{Ended, Read};
use super::{contract, with, State};
use crate::pg::keys::entropy;
use crate::pg::readlog::subjects::Collector;
use crate::pg::readlog::{wal, wire};
use crate::pg::{shared, sys};
use crate::pure::error::Result;
use crate::pure::record::{Outcome, Parts, Record, RecordKind};
use crate::pure::subjects;
use crate::pure::wire::{Counts, Form};

/// Writes all records that are due, and waits until they are on disk where an answer waits for them (`durable`).
/// Afterwards whatever was put may leave. Touches no catalog and no transaction memory.
///
/// # Errors
/// As [`wal::Sealer::append`]: then nothing may leave.
pub fn settle(durable: bool) -> Result<()> {
    let due = with(|s| s.wire.due());
    if due.is_empty() {
        with(|s| s.wire.released());
        return Ok(());
    }
    if durable {
        // an answer that waits: none of it has left
        with(|s| contract::held_within_quota(s, &due)).map_err(|error| wire::end_session(error))?;
    }
    let (mut last, mut outcome) = (0, 0);
    for (number, form, counts) in &due {
        let made = with(|s| {
            let read = s.reads.iter_mut().find(|r| r.number() == *number)?;
            contract::add(read, counts.rows);
            // with the statement's text; again where a read goes on under another number
            let private = if *form == Form::Final { None } else { read.private.clone() };
            Some((record(read, *form, *counts), read.sealer.clone(), read.persons.clone(), private))
        });
        let Some((record, sealer, persons, private)) = made else { continue };
        let subjects = match form {
            // whose rows it touched is not known yet
            Form::Open => None,
            Form::Exact | Form::Final => Some(touched(&persons)?),
        };
        let lsn = sealer.append_with(record, Parts { private, subjects })?;
        match form {
            Form::Final => outcome = lsn,
            Form::Exact | Form::Open => last = lsn,
        }
    }
    if outcome > 0 {
        shared::outcome_written(outcome);
        wal::nudge(outcome);
    }
    let mut waited = Ok(());
    if last > 0 && durable {
        waited = wal::flush(last);
    } else if last > 0 {
        shared::outcome_written(last);
        wal::nudge(last);
    }
    with(|s| {
        for (number, form, _) in due {
            s.wire.settled(number, form);
        }
        if waited.is_ok() {
            s.wire.released();
        }
        s.sweep();
    });
    // written, and the answer must not leave: there is no other way to keep it back
    waited.map_err(|error| wire::end_session(error))
}

impl State {
    /// Forgets the reads of which nothing is left to say.
    fn sweep(&mut self) {
        let wire = &self.wire;
        self.reads.retain(|r| !r.at_the_wire || wire.knows(r.number()));
    }
}

/// The subject part of a read's record.
fn touched(persons: &Collector) -> Result<Vec<u8>> {
    Ok(subjects::encode(&entropy::random::<16>()?, persons.touched()))
}

fn record(read: &Read, form: Form, counts: Counts) -> Record {
    if form == Form::Open {
        return Record { kind: RecordKind::Open, ..read.record.clone() };
    }
    // answered, its portal still there: it ends well here, and goes on as another read if at all
    let ended = read.ended.clone().unwrap_or_else(|| Ended::now(None, None));
    let exact = form == Form::Exact;
    let record = if exact { read.record.clone() } else { read.record.clone().without_reads() };
    Record {
        kind: if exact { RecordKind::Exact } else { RecordKind::Outcome },
        at: if exact { read.record.at } else { ended.at },
        outcome: Some(ended.outcome()),
        sqlstate: ended.sqlstate.clone(),
        rows_sent: Some(counts.rows),
        bytes_sent: read.at_the_wire.then_some(counts.bytes),
        duration_us: Some(ended.at - read.record.at),
        ..record
    }
}

/// The outcomes of ended reads whose record was durable before they began. Not flushed: losing one only leaves its read
/// open in the log.
pub fn outcomes_of_intents() -> Result<()> {
    let ended = with(|s| {
        if !s.reads.iter().any(|r| !r.at_the_wire && r.ended.is_some()) {
            return Vec::new();
        }
        let (ended, rest) = std::mem::take(&mut s.reads).into_iter().partition(|r| !r.at_the_wire && r.ended.is_some());
        s.reads = rest;
        ended
    });
    let mut first = Ok(());
    for read in ended {
        shared::add_rows(&read.record.subprocessor, sys::today(), read.rows);
        let record = record(&read, Form::Final, Counts { rows: read.rows, bytes: 0 });
        let subjects = if read.older { Ok(None) } else { touched(&read.persons).map(Some) };
        match subjects.and_then(|subjects| read.sealer.append_with(record, Parts { private: None, subjects })) {
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

/// Before the commit of a transaction that changed something: a record that waits for its answer to leave is written
/// first, so that nothing the transaction took from what it read is there without it.
pub fn before_commit() -> Result<()> {
    if with(|s| s.wire.holding()) {
        settle(true)?;
    }
    Ok(())
}

/// The backend exits: what was held has not left, and never will.
pub fn at_exit() -> Result<()> {
    super::end_all(&Ended::now(None, Some(Outcome::Terminated)));
    with(|s| {
        s.wire.transaction_ends();
        s.wire.drop_held();
    });
    let intents = outcomes_of_intents();
    settle(false).and(intents)
}
