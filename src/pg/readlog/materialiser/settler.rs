//! One turn of the worker: WAL since the cursor → rows, links and the moved cursor, in one transaction.

mod begin;

use super::backlog::Warner;
use super::batch::{self, Batch};
use super::expiry;
use super::heads::{self, Keeper};
use super::known::Known;
use super::open::OpenReads;
use super::partitions;
use super::retention::Eraser;
use super::rows;
use super::slot::{self, Slot};
use super::store::{self, Cursor, Row};
use crate::pg::error::log;
use crate::pg::keys::ring;
use crate::pg::readlog::wal;
use crate::pg::sys::{self, scan};
use crate::pg::{gucs, shared};
use crate::pure::chain::link;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::ChainKey;
use crate::pure::lag::Lag;
use crate::pure::record::{self, Parts, Record, RecordKind, StatementId};
use crate::pure::seam::{Place, Seam, FORKED};
use pgrx::spi::SpiClient;
use pgrx::{pg_sys, Spi};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The cursor row moves without a record once this much foreign WAL was read …
const FAR: u64 = 16 << 20;
/// … or this much, when the row has stood still for [`STILL`]. Above what moving it writes itself: an idle cluster must
/// stay idle.
const NEAR: u64 = 64 << 10;
const STILL: Duration = Duration::from_secs(10);
/// How often the slot is looked at when nothing happens.
const SLOT: Duration = Duration::from_secs(5);
/// After so long it is tried again to make a partition that could not be made.
const AGAIN: Duration = Duration::from_secs(60);

/// The active log key, and its version.
type Keys = (u32, Rc<ring::LogKeys>);

/// How far the worker is.
#[derive(Clone, Copy)]
pub struct Life {
    /// The log is settled up to here …
    pub position: u64,
    /// … and so is all that was flushed at this time (µs since 2000).
    pub as_of: i64,
    /// Whether WAL behind the position is kept.
    pub slot: bool,
}

/// What to do after the turn's transaction has committed.
#[derive(Default)]
pub struct After {
    /// The sign of life to give, if any.
    pub beat: Option<Life>,
    /// Where the slot may be moved to.
    pub advance: Option<u64>,
    /// Whether to look for readers that are gone, by [`Desk::look`].
    pub look: bool,
    /// Whether there is more to do at once.
    pub more: bool,
    /// Whether the extension or its key is not there yet.
    pub waiting: bool,
    /// Bytes of records that are settled now, by sub-processor.
    pub settled: HashMap<String, u64>,
}

/// The worker's memory between turns; all of it can be made anew from the cursor row.
pub struct Settler {
    table: pg_sys::Oid,
    cursor: Cursor,
    position: u64,
    moved: Instant,
    slot: bool,
    looked: Instant,
    news: Option<Seam>,
    /// What the head file knows and the log does not, and somebody accepted: to be said.
    fork: Option<String>,
    /// All WAL of before was read once.
    caught_up: bool,
    /// The head file was looked at.
    compared: bool,
    /// The log has just begun, and its slot is still to be made.
    begins: bool,
    open: OpenReads,
    known: Known,
    /// The last that was settled under, whose partitions and those ahead are there.
    day: Option<i32>,
    /// When partitions were made last, or could not be.
    tried: Instant,
    eraser: Eraser,
    count: expiry::Count,
    /// When the last record was written, and whether the table can hold one that says that there was none since.
    spoke: (Instant, bool),
    lag: Lag,
    heads: Keeper,
    warner: Warner,
}

/// The settler, or why there is none.
#[derive(Default)]
pub struct Desk {
    settler: Option<Settler>,
    said: String,
    asked_since: Option<Instant>,
}

impl Desk {
    /// What can be done without a transaction: nothing new in WAL, and nothing else due. `None` when a turn is needed.
    pub fn idle(&mut self) -> Option<Life> {
        let settler = self.settler.as_mut()?;
        // before WAL's end is looked at: all that was flushed at this time is settled then
        let now = sys::now();
        let rest = wal::flushed() <= settler.position && settler.looked.elapsed() < SLOT && !settler.open.due();
        let rest = rest && settler.compared && !settler.heads.is_stale() && !settler.silent_for_long();
        (rest && settler.news.is_none() && !settler.begins).then(|| Life {
            position: settler.position,
            as_of: settler.lag.caught_up(now),
            slot: settler.slot,
        })
    }

    /// Writes the log's head down outside, behind the commit that made it so.
    pub fn keep_head(&mut self) {
        if let Some(settler) = self.settler.as_mut().filter(|s| s.compared) {
            settler.heads.keep();
        }
    }

    /// Looks for readers that are gone, inside a transaction with a snapshot that sees the last turn.
    pub fn look(&mut self) -> Result<()> {
        self.settler.as_mut().map_or(Ok(()), |settler| settler.open.look())
    }

    /// One turn, inside a transaction with a snapshot.
    pub fn turn(&mut self) -> Result<After> {
        let waiting = Ok(After { waiting: true, ..After::default() });
        let Some(table) = scan::table_oid("log_cursor") else {
            self.asked_since = None;
            if self.settler.take().is_some() && slot::look()? != Slot::Missing {
                // DROP EXTENSION: nobody will read that WAL
                slot::drop_it()?;
            }
            return waiting;
        };
        if self.settler.as_ref().is_some_and(|s| s.table != table) {
            self.settler = None;
        }
        if batch::versions()?.is_empty() {
            self.settler = None;
            return waiting;
        }
        let keys = match ring::log_key(None) {
            Ok(keys) => keys,
            Err(error) if error.kind == Kind::Locked => {
                self.say(format!("the read log waits: {}", error.message));
                return waiting;
            }
            Err(error) => return Err(error),
        };
        if self.settler.is_none() {
            let (cursor, news) = match Cursor::latest()? {
                // pg_upgrade brings the row along, but not the WAL that it points into
                Some(cursor) if cursor.from_elsewhere(&keys.1 .1)? && slot::look()? == Slot::Missing => {
                    let (cursor, seam) = Settler::begin_log(&keys, Some(&cursor))?;
                    (cursor, Some(seam))
                }
                Some(cursor) => {
                    let promoted = cursor.timeline < wal::timeline();
                    let news = promoted.then_some(Seam::Promoted(cursor.timeline));
                    (cursor, news)
                }
                None if self.may_begin()? => {
                    let (cursor, seam) = Settler::begin_log(&keys, None)?;
                    (cursor, Some(seam))
                }
                None => return waiting,
            };
            let begins = matches!(news, Some(Seam::Begins | Seam::Restored(_) | Seam::Missing(_)));
            let misfit = cursor.misfit(&keys.1 .1);
            if let (Some(gap), true) = (&misfit, begins) {
                // the new cursor row must not be there without the record that says so
                return Err(Error::new(Kind::State, "the read log cannot begin here").detail(gap));
            }
            if let Some(gap) = misfit {
                return Ok(self.shut(gap, cursor.lsn));
            }
            let mut settler = Settler::resume(table, cursor, news)?;
            if begins {
                // it says what the head file knows, and waits for nobody: whoever took the cursor away is to be found in the log
                shared::share_anew();
                settler.fork = heads::fork(&keys.1 .1, &settler.cursor)?.map(|fork| format!("{FORKED}: {}", fork.what));
                settler.compared = true;
            }
            self.settler = Some(settler);
        }
        let Some(settler) = &mut self.settler else { return waiting };
        if settler.heads.is_stale() {
            // another file: what it knows is looked at before it is written over
            settler.compared = false;
            settler.heads = Keeper::for_now();
        }
        // the head counts what lies in WAL behind the cursor, so that is settled first, and nobody reads meanwhile
        if !settler.compared && settler.caught_up {
            let lsn = settler.cursor.lsn;
            if let Some(gap) = settler.compare(&keys.1 .1)? {
                // begun anew once it is accepted, or put right
                self.settler = None;
                return Ok(self.shut(gap, lsn));
            }
        }
        if settler.compared {
            self.said.clear();
        }
        settler.settle(&keys)
    }

    /// The gate stays shut until somebody has looked.
    fn shut(&mut self, gap: String, lsn: u64) -> After {
        self.say(format!("the read log has a gap, scoped reads are refused: {gap}; see airlock.doctor()"));
        let life = Life { position: lsn, as_of: shared::settled_as_of(), slot: false };
        After { beat: Some(life), ..After::default() }
    }

    /// A LOG line, once for each thing there is to say.
    fn say(&mut self, what: String) {
        if self.said != what {
            log(format!("pg_airlock: {what}"));
            self.said = what;
        }
    }
}

impl Settler {
    /// Compares the log with the head file; why the gate must stay shut, unless somebody accepted that.
    fn compare(&mut self, key: &ChainKey) -> Result<Option<String>> {
        if let Some(fork) = heads::fork(key, &self.cursor)? {
            if self.cursor.accepted_head.as_deref() != Some(fork.text.as_str()) {
                return Ok(Some(fork.what));
            }
            self.fork = Some(format!("{FORKED}: {}", fork.what));
        }
        self.compared = true;
        Ok(None)
    }

    fn settle(&mut self, keys: &Keys) -> Result<After> {
        let now = sys::now();
        self.warner.look(self.position, self.lag.read(self.position));
        self.lag.note(wal::flushed(), now);
        let mut batch = match wal::flushed() > self.position {
            true => Batch::read(self.position)?,
            false => Batch { end: self.position, complete: true, ..Batch::default() },
        };
        batch.without_known(&mut self.known)?;
        let finding = batch.finding().map(|text| (RecordKind::Finding, text));
        let mut records = Vec::with_capacity(batch.records.len() + 2);
        // what is the worker's own comes behind what lay in WAL, or the head's record would have another place
        let catching_up = !self.compared;
        let news = self.news.take_if(|_| !catching_up);
        let begins = self.begins && news.is_some();
        if let Some(news) = news {
            records.push((own(news.kind(), news.detail(place())), Parts::default()));
        }
        let fork = self.fork.take().map(|text| own(RecordKind::Finding, text));
        records.extend(fork.map(|record| (record, Parts::default())));
        records.append(&mut batch.records);
        records.extend(finding.map(|(kind, text)| (own(kind, text), Parts::default())));
        records.iter().for_each(|(r, _)| self.open.note(r));
        if batch.complete && !catching_up {
            let killed = self.open.killed(batch.end);
            for record in &killed {
                self.open.note(record);
                self.known.note(record);
            }
            records.extend(killed.into_iter().map(|record| (record, Parts::default())));
        }
        let erased = match batch.complete && !begins && !catching_up && self.eraser.due() {
            true => self.eraser.erase()?,
            false => Vec::new(),
        };
        records.extend(erased.into_iter().map(|text| (own(RecordKind::Configuration, text), Parts::default())));
        if records.is_empty() && batch.complete && !catching_up && self.silent_for_long() {
            let text = format!("nothing to record; WAL is read up to {}", wal::show(batch.end));
            records.push((own(RecordKind::Heartbeat, text), Parts::default()));
        }
        let mut force = false;
        if !begins && (self.looked.elapsed() >= SLOT || !self.slot) {
            expiry::end_readers()?;
            force = self.look_at_slot()?;
        }
        self.position = batch.end;
        let distance = self.position - self.cursor.lsn;
        let far = distance >= FAR || (distance >= NEAR && self.moved.elapsed() >= STILL);
        let mut advance = None;
        if far || force || !records.is_empty() {
            // one step behind: a query that began before this commit still sees the old cursor row and reads from there
            advance = Some(self.cursor.lsn);
            self.save(keys, records)?;
        }
        self.caught_up |= batch.complete;
        let life = Life { position: self.position, as_of: self.lag.read(self.position), slot: self.slot };
        if batch.complete && !store::before_0_2() {
            self.count.look()?;
        }
        // nobody reads on the word of a worker that has not looked at the head
        let (beat, more) = (Some(life).filter(|_| !catching_up), begins || catching_up || !batch.complete);
        let look = batch.complete && !catching_up && self.open.due();
        Ok(After { beat, advance, look, more, waiting: false, settled: batch.shares })
    }

    /// Appends the records, linked, and moves the cursor row.
    fn save(&mut self, keys: &Keys, records: Vec<(Record, Parts)>) -> Result<()> {
        let (mut id, mut hash) = (self.cursor.last_id, self.cursor.last_hash);
        let chain = &keys.1 .1;
        let mut rows = Vec::with_capacity(records.len());
        for (mut record, parts) in records {
            id += 1;
            if record.statement_id.n == 0 {
                // the worker's own records are numbered by their place
                record.statement_id.n = id.unsigned_abs();
            }
            hash = link(chain, &hash, id, &record::encode(&record));
            rows.push((Row { id, record, hash: Some(hash.to_vec()) }, parts));
        }
        let mut next = Cursor::here(self.position, id, hash);
        if !store::before_0_2() {
            // the row of 0.1.0 has no place for it
            next.head_path = self.heads.place().or_else(|| self.cursor.head_path.clone());
        }
        // what was accepted is said once the head has been looked at
        next.accepted_head = self.cursor.accepted_head.clone().filter(|_| !self.compared);
        Spi::connect_mut(|client| {
            rows::lock(client)?;
            let day = self.day(client)?;
            rows::insert(client, rows, day, (keys.0, &keys.1))?;
            next.replace(client, chain, &self.cursor)
        })?;
        if id > self.cursor.last_id {
            self.spoke = (Instant::now(), !store::before_0_2());
        }
        self.heads.note(chain, id, hash, next.system, next.timeline, sys::now());
        self.cursor = next.sealed(chain);
        self.moved = Instant::now();
        Ok(())
    }

    /// Whether it is time to say that there is nothing to say.
    fn silent_for_long(&self) -> bool {
        let (spoke, can) = self.spoke;
        can && gucs::heartbeat().is_some_and(|s| spoke.elapsed() >= Duration::from_secs(s))
    }

    /// The day to settle under; `None` with the objects of 0.1.0.
    fn day(&mut self, client: &mut SpiClient) -> Result<Option<i32>> {
        if store::before_0_2() {
            self.day = None;
            return Ok(None);
        }
        let day = match self.day {
            Some(day) if day >= sys::today() || self.tried.elapsed() < AGAIN => day,
            Some(day) => self.try_partitions(Some(day))?,
            None => self.try_partitions(partitions::newest_used(None)?)?,
        };
        rows::lock_partitions(client, &partitions::of_day(day)?)?;
        self.day = Some(day);
        Ok(Some(day))
    }

    fn try_partitions(&mut self, last: Option<i32>) -> Result<i32> {
        self.tried = Instant::now();
        partitions::day(last)
    }

    /// Looks after the slot. A new log's is made; a lost one is made anew while the WAL is still there; true when the cursor row must follow
    /// at once, since only what is behind it may be gone.
    fn look_at_slot(&mut self) -> Result<bool> {
        self.looked = Instant::now();
        let new = std::mem::take(&mut self.begins);
        let before = slot::look()?;
        if matches!(before, Slot::Keeps(_)) {
            self.slot = true;
            return Ok(false);
        }
        if before == Slot::Taken {
            self.slot = false;
            return Ok(false);
        }
        slot::ensure()?;
        if !new {
            log("pg_airlock: replication slot \"pg_airlock\" was gone and has been made anew");
        }
        self.slot = true;
        Ok(true)
    }
}

fn place() -> Place {
    Place { system: wal::system_identifier(), timeline: wal::timeline() }
}

/// A record of the worker's own; its number follows from its place.
fn own(kind: RecordKind, detail: String) -> Record {
    let role = sys::role_name(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID));
    let (backend_start, pid) = wal::process();
    Record {
        login_role: role.clone(),
        session_role: role.clone(),
        acting_role: role,
        application_name: super::NAME.into(),
        database: crate::pg::gucs::database(),
        detail: Some(detail),
        ..Record::new(kind, sys::now(), StatementId { backend_start, pid, n: 0 })
    }
}
