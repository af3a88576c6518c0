//! Reads that have begun and not ended. When their backend is gone without a word, the worker ends them: `killed`.
//!
//! The order matters, since an ending may still be on its way through WAL: first see that the backend is gone (whatever
//! it had to say is inserted by then), then flush WAL up to there, then read that far, and only then write `killed`.

use super::store::{self, is_end, spi, Row};
use crate::pg::readlog::wal;
use crate::pg::sys::{self, tuples};
use crate::pure::error::Result;
use crate::pure::record::{Outcome, Record, RecordKind, StatementId};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::Spi;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// How often backends are counted.
const EVERY: Duration = Duration::from_secs(5);
/// A read younger than this is left alone, in microseconds.
const YOUNG: i64 = 3_000_000;

/// How many rows are loaded at once: some tenths of a second. The whole log must be gone through once, since any old
/// row may be a read that a crash left open; between two pieces the worker settles and gives signs of life.
const PIECE: i64 = 50_000;

/// The open reads in the table, kept in step with it.
pub struct OpenReads {
    reads: HashMap<StatementId, Record>,
    /// Rows up to this id are not loaded yet; later ones are noted one by one. Newest first.
    unloaded: i64,
    looked: Option<Instant>,
    doomed: Vec<StatementId>,
    barrier: u64,
}

impl OpenReads {
    /// Nothing loaded yet of a table whose last row is this.
    pub fn up_to(last_id: i64) -> OpenReads {
        OpenReads { reads: HashMap::new(), unloaded: last_id, looked: None, doomed: Vec::new(), barrier: 0 }
    }

    /// Notes a record that goes into the table.
    pub fn note(&mut self, record: &Record) {
        if record.kind.is_beginning() {
            self.reads.insert(record.statement_id, record.clone().without_reads());
        } else if is_end(record.kind) {
            self.reads.remove(&record.statement_id);
        }
    }

    /// Whether there is something to do: to look for backends that are gone, or to end what they left open.
    pub fn due(&self) -> bool {
        self.unloaded > 0
            || !self.doomed.is_empty()
            || (!self.reads.is_empty() && self.looked.is_none_or(|t| t.elapsed() >= EVERY))
    }

    /// Looks for backends that are gone, when it is time; the verdict comes with a later [`OpenReads::killed`]. Call it
    /// with all flushed WAL in the table.
    pub fn look(&mut self) -> Result<()> {
        if !self.due() || !self.doomed.is_empty() {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        if self.unloaded > 0 {
            let from = self.unloaded.saturating_sub(PIECE);
            self.load(from, self.unloaded)?;
            self.unloaded = from;
        }
        let old = sys::now() - YOUNG;
        let mut old = self.reads.iter().filter(|(_, r)| r.at < old).map(|(id, _)| *id).peekable();
        if old.peek().is_none() {
            return Ok(());
        }
        let alive = alive()?;
        self.doomed = old.filter(|id| !alive.contains(&(id.pid, id.backend_start))).collect();
        if !self.doomed.is_empty() {
            self.barrier = wal::inserted();
            wal::flush_always(self.barrier);
        }
        Ok(())
    }

    /// The endings to write, once the table holds all WAL up to `position`.
    pub fn killed(&mut self, position: u64) -> Vec<Record> {
        if self.doomed.is_empty() || position < self.barrier {
            return Vec::new();
        }
        let gone = std::mem::take(&mut self.doomed);
        let open = gone.iter().filter_map(|id| self.reads.get(id));
        open.map(|read| Record {
            kind: RecordKind::Killed,
            at: sys::now(),
            outcome: Some(Outcome::Killed),
            ..read.clone()
        })
        .collect()
    }

    /// Takes in what is still open among the rows behind `from` up to `to`.
    fn load(&mut self, from: i64, to: i64) -> Result<()> {
        // OFFSET 0: the end of each is looked up by index, and never by a scan of the whole log
        let sql = format!(
            "SELECT {} FROM airlock_catalog.read_record i WHERE i.id > $1 AND i.id <= $2 AND i.kind IN ('intent', 'open') AND NOT EXISTS \
             (SELECT FROM airlock_catalog.read_record o WHERE o.kind IN ('outcome', 'killed') AND o.backend_start = i.backend_start \
             AND o.backend_pid = i.backend_pid AND o.statement_no = i.statement_no OFFSET 0)",
            store::columns()
        );
        tuples::each(&sql, &[from.into(), to.into()], |row| {
            // a row that somebody changed so that it is no record any more is verify_log()'s to name
            if let Ok(row) = Row::read(row) {
                self.note(&row.record);
            }
            Ok(true)
        })
    }
}

/// Process id and start of every live backend.
fn alive() -> Result<HashSet<(i32, i64)>> {
    Spi::connect(|client| {
        let mut alive = HashSet::new();
        let sql = "SELECT a.pid, a.backend_start FROM pg_catalog.pg_stat_get_activity(NULL) a";
        for row in client.select(sql, None, &[]).map_err(spi)? {
            let start = row.get::<TimestampWithTimeZone>(2).map_err(spi)?.map_or(0, |t| t.into_inner());
            alive.insert((row.get::<i32>(1).map_err(spi)?.unwrap_or(0), start));
        }
        Ok(alive)
    })
}
