//! A stretch of WAL → records that belong in the log, and a count of what only pretended to.

use super::known::Known;
use super::store;
use crate::pg::keys::ring;
use crate::pg::readlog::wal::{self, Message, Reader};
use crate::pg::sys::scan;
use crate::pure::error::{Kind, Result};
use crate::pure::record::{self, Parts, Record, StatementId};
use std::collections::{HashMap, HashSet};

/// Most records of one turn.
const RECORDS: usize = 2000;
/// Most bytes of sealed records in one turn; one record more may come on top.
const BYTES: usize = 4 << 20;
/// Most WAL of one turn: some tens of milliseconds.
const WAL: u64 = 16 << 20;

/// What a stretch of WAL held.
#[derive(Default)]
pub struct Batch {
    /// Authentic records, each statement's beginning and end once, in LSN order.
    pub records: Vec<(Record, Parts)>,
    /// Messages with our prefix that do not authenticate, come from another database, or cannot be stored.
    pub forged: u64,
    /// Authentic records that came before.
    pub repeated: u64,
    /// Bytes of the records, by sub-processor.
    pub shares: HashMap<String, u64>,
    /// Where the next batch begins.
    pub end: u64,
    /// Whether flushed WAL ended before any limit was reached.
    pub complete: bool,
}

impl Batch {
    /// Reads on from `from` to the end of WAL, but stops early, as the worker must.
    pub fn read(from: u64) -> Result<Batch> {
        Self::gather(from, WAL, true)
    }

    /// Reads from `from` to `to`, or a little further.
    pub fn up_to(from: u64, to: u64) -> Result<Batch> {
        Self::gather(from, to.saturating_sub(from), false)
    }

    fn gather(from: u64, most: u64, limited: bool) -> Result<Batch> {
        let mut batch = Batch { end: from, ..Batch::default() };
        let mut seen = HashSet::new();
        let mut bytes = 0;
        let mut reader = Reader::new(from)?.at_most(most);
        let whole = loop {
            let Some(message) = reader.next()? else { break true };
            bytes += message.payload.len();
            batch.add(&message, &mut seen)?;
            if limited && (batch.records.len() >= RECORDS || bytes >= BYTES) {
                break false;
            }
        };
        batch.end = reader.position();
        batch.complete = whole && batch.end < from.saturating_add(most);
        Ok(batch)
    }

    fn add(&mut self, message: &Message, seen: &mut HashSet<(StatementId, bool)>) -> Result<()> {
        match open(message)? {
            None => self.forged += 1,
            Some((record, _)) if !seen.insert((record.statement_id, store::is_end(record.kind))) => self.repeated += 1,
            Some(entry) => {
                *self.shares.entry(entry.0.subprocessor.clone()).or_default() += message.payload.len() as u64;
                self.records.push(entry);
            }
        }
        Ok(())
    }

    /// Takes out what the table has already.
    pub fn without_known(&mut self, known: &mut Known) -> Result<()> {
        let suspects = known.suspects(&self.records)?;
        if suspects.is_empty() {
            return Ok(());
        }
        let looked_at = suspects.iter().filter_map(|i| self.records.get(*i)).map(|(record, _)| record);
        let there: HashSet<usize> =
            store::repeated(looked_at)?.into_iter().filter_map(|i| suspects.get(i).copied()).collect();
        self.repeated += there.len() as u64;
        let mut place = 0;
        self.records.retain(|_| {
            place += 1;
            !there.contains(&(place - 1))
        });
        Ok(())
    }

    /// What there is to say about the messages that are no reads; `None` when there were none.
    pub fn finding(&self) -> Option<String> {
        let mut said = Vec::new();
        if self.forged > 0 {
            said.push(format!("WAL messages with the read log's prefix that are not its own: {}", self.forged));
        }
        if self.repeated > 0 {
            said.push(format!("read records that came a second time: {}", self.repeated));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// The record in a message, `None` when it is not one of this database. An error when it may be one but cannot be opened
/// now (a retired key version, a record of a newer release): then the log must wait and not skip it.
fn open(message: &Message) -> Result<Option<(Record, Parts)>> {
    if message.database.to_u32() != wal::database_oid() {
        return Ok(None);
    }
    let Some(version) = record::key_version(&message.payload) else { return Ok(None) };
    if !is_version(version)? {
        return Ok(None);
    }
    let (_, keys) = ring::log_key(Some(version))?;
    let Ok(bytes) = record::open(&keys.0, &message.payload, wal::database_oid(), wal::system_identifier()) else {
        return Ok(None);
    };
    match record::split(&bytes) {
        Ok((record, parts)) if store::fits(&record) && store::has_place(&parts) => Ok(Some((record, parts))),
        Err(error) if error.kind == Kind::Unsupported => Err(error),
        _ => Ok(None),
    }
}

/// Whether the log key has that version: asked first, since anybody can write a message that names another.
fn is_version(version: u32) -> Result<bool> {
    if ring::log_key(None).is_ok_and(|(active, _)| active == version) {
        return Ok(true);
    }
    Ok(versions()?.contains(&version))
}

/// All versions of the log key, in whatever state.
pub fn versions() -> Result<Vec<u32>> {
    let mut found = Vec::new();
    scan::table("key_version", |row| {
        if row.text("use").as_deref() == Some("log") {
            found.push(row.need::<i32>("version")? as u32);
        }
        Ok(())
    })?;
    Ok(found)
}
