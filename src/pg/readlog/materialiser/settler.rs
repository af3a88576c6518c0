//! One turn of the worker: WAL since the cursor → rows, links and the moved cursor, in one transaction.

use super::backlog::Warner;
use super::batch::{self, Batch};
use super::expiry;
use super::heads::{self, Keeper};
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
use crate::pure::lag::Lag;
use crate::pure::record::{self, Parts, Record, RecordKind, StatementId};
use crate::pure::seam::{Place, Seam};
use pgrx::spi::SpiClient;
use pgrx::{pg_sys, Spi};
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
/// A log key older than this, in a log without a cursor, may be part of a restore that is still running …
const FRESH: &str = "5 seconds";
/// … so the worker keeps away from the log's table for so long.
const GRACE: Duration = Duration::from_secs(3);

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
    /// What the head file knows and the log does not, to be said with the news.
    fork: Option<String>,
    /// The log has just begun, and its slot is still to be made.
    begins: bool,
    open: OpenReads,
    /// The last that was settled under, whose partitions and those ahead are there.
    day: Option<i32>,
    /// When partitions were made last, or could not be.
    tried: Instant,
    eraser: Eraser,
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
        (rest && settler.news.is_none() && !settler.begins && !settler.silent_for_long()).then(|| Life {
            position: settler.position,
            as_of: settler.lag.caught_up(now),
            slot: settler.slot,
        })
    }

    /// Writes the log's head down outside, behind the commit that made it so.
    pub fn keep_head(&mut self) {
        if let Some(settler) = &mut self.settler {
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
            let fork = heads::fork(&keys.1 .1, cursor.last_id)?;
            // a log that begins, or whose gap was accepted, says what the head file knows; any other waits for an administrator
            if let Some(gap) = misfit.or(fork.clone().filter(|_| !begins)) {
                self.say(format!("the read log has a gap, scoped reads are refused: {gap}; see airlock.doctor()"));
                let life = Life { position: cursor.lsn, as_of: shared::settled_as_of(), slot: false };
                return Ok(After { beat: Some(life), ..After::default() });
            }
            self.settler = Some(Settler::resume(table, cursor, news, fork)?);
            self.said.clear();
        }
        match &mut self.settler {
            Some(settler) => settler.settle(&keys),
            None => waiting,
        }
    }

    /// Whether a log without a cursor may begin now. `pg_restore` fills the key's table shortly before the log's: a
    /// record of ours in between would take the place of an old one.
    fn may_begin(&mut self) -> Result<bool> {
        let sql = "SELECT pg_catalog.max(v.activated_at) > pg_catalog.clock_timestamp() - $1::pg_catalog.interval \
                   FROM airlock_catalog.key_version v WHERE v.use = 'log'";
        let fresh = Spi::connect(|client| {
            client.select(sql, Some(1), &[FRESH.into()]).and_then(|t| t.first().get_one::<bool>()).map_err(store::spi)
        })?;
        let since = *self.asked_since.get_or_insert_with(Instant::now);
        Ok(fresh == Some(true) || since.elapsed() >= GRACE)
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
    /// Starts a log, or goes on with one that came without its cursor (a restore, or an administrator who removed the
    /// cursor to accept a gap) or with that of another cluster (pg_upgrade), at the place from which the slot keeps WAL.
    /// Without a slot at the last checkpoint: the slot is made by the next turn, behind the commit, so that a slot without a
    /// cursor always means that a log had begun.
    fn begin_log(keys: &Keys, carried: Option<&Cursor>) -> Result<(Cursor, Seam)> {
        Spi::connect_mut(|client| {
            // waits for a COPY into the table, and keeps another away
            let sql = "LOCK TABLE airlock_catalog.read_record, airlock_catalog.log_cursor IN SHARE ROW EXCLUSIVE MODE";
            client.update(sql, None, &[]).map(|_| ()).map_err(store::spi)
        })?;
        let (last_id, last_hash) = store::head()?;
        let slot = slot::look()?;
        let from = match slot {
            Slot::Missing | Slot::Lost => store::last_checkpoint()?,
            Slot::Keeps(_) | Slot::Taken => slot::ensure()?,
        };
        let seam = Seam::without_cursor(last_id, store::last_place(last_id)?, place(), slot != Slot::Missing);
        let cursor = Cursor::here(from, last_id, last_hash);
        Spi::connect_mut(|client| {
            rows::lock(client)?;
            if let Some(carried) = carried {
                carried.remove(client)?;
            }
            cursor.insert(client, &keys.1 .1)
        })?;
        Ok((cursor.sealed(&keys.1 .1), seam))
    }

    fn resume(table: pg_sys::Oid, cursor: Cursor, news: Option<Seam>, fork: Option<String>) -> Result<Settler> {
        let begun = !matches!(news, Some(Seam::Begins | Seam::Restored(_) | Seam::Missing(_)));
        if begun {
            slot::ensure()?;
        }
        let (position, open) = (cursor.lsn, OpenReads::up_to(cursor.last_id));
        let (moved, looked) = (Instant::now(), Instant::now());
        Ok(Settler {
            table,
            cursor,
            position,
            moved,
            slot: begun,
            looked,
            news,
            begins: !begun,
            open,
            day: None,
            tried: looked,
            eraser: Eraser::default(),
            spoke: (looked, !store::before_0_2()),
            // what lay in WAL when the server was started is as old as the server, for all we know
            lag: Lag::new(match shared::settled_as_of() {
                0 => sys::now(),
                as_of => as_of,
            }),
            heads: Keeper::default(),
            warner: Warner::default(),
            fork,
        })
    }

    fn settle(&mut self, keys: &Keys) -> Result<After> {
        let now = sys::now();
        self.warner.look(self.position, self.lag.read(self.position));
        self.lag.note(wal::flushed(), now);
        let mut batch = match wal::flushed() > self.position {
            true => Batch::read(self.position)?,
            false => Batch { end: self.position, complete: true, ..Batch::default() },
        };
        batch.without_known()?;
        let finding = batch.finding().map(|text| (RecordKind::Finding, text));
        let mut records = Vec::with_capacity(batch.records.len() + 2);
        let news = self.news.take();
        let begins = self.begins && news.is_some();
        if let Some(news) = news {
            records.push((own(news.kind(), news.detail(place())), Parts::default()));
        }
        let fork = self.fork.take().map(|text| own(RecordKind::Finding, text));
        records.extend(fork.map(|record| (record, Parts::default())));
        records.append(&mut batch.records);
        records.extend(finding.map(|(kind, text)| (own(kind, text), Parts::default())));
        records.iter().for_each(|(r, _)| self.open.note(r));
        if batch.complete {
            let killed = self.open.killed(batch.end);
            killed.iter().for_each(|r| self.open.note(r));
            records.extend(killed.into_iter().map(|record| (record, Parts::default())));
        }
        let erased = match batch.complete && !begins && self.eraser.due() {
            true => self.eraser.erase()?,
            false => Vec::new(),
        };
        records.extend(erased.into_iter().map(|text| (own(RecordKind::Configuration, text), Parts::default())));
        if records.is_empty() && batch.complete && self.silent_for_long() {
            let text = format!("nothing to record; WAL is read up to {}", wal::show(batch.end));
            records.push((own(RecordKind::Heartbeat, text), Parts::default()));
        }
        let mut force = false;
        if !begins && (self.looked.elapsed() >= SLOT || !self.slot) {
            expiry::end_readers()?;
            force = self.look_at_slot()?;
        }
        for (subprocessor, bytes) in &batch.shares {
            shared::share_settled(subprocessor, *bytes);
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
        let life = Life { position: self.position, as_of: self.lag.read(self.position), slot: self.slot };
        if batch.complete && !store::before_0_2() {
            expiry::count_rows()?;
        }
        let (beat, more) = (Some(life), begins || !batch.complete);
        Ok(After { beat, advance, look: batch.complete && self.open.due(), more, waiting: false })
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
        let next = Cursor::here(self.position, id, hash);
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
            None => self.try_partitions(partitions::newest_used()?)?,
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
