//! Contracts end by their date, and nobody has to say so: a statement that runs past its contract's last day is ended here.
//! Every other way of reading asks the contract itself, at each statement and each FETCH.

use super::{partitions, store::time};
use crate::pg::error::log;
use crate::pg::shared;
use crate::pg::sys::{self, sessions, sql};
use crate::pure::error::Result;
use std::time::{Duration, Instant};

/// After a failure it is tried again this much later.
const AGAIN: Duration = Duration::from_secs(60);

/// Counts for today's quotas what the log has of before: when that failed last.
#[derive(Default)]
pub struct Count(Option<Instant>);

impl Count {
    /// Counts, unless it is done. Where it cannot be, the log goes on, and who has a quota waits.
    pub fn look(&mut self) -> Result<()> {
        let soon = self.0.is_some_and(|failed| failed.elapsed() < AGAIN);
        if soon || shared::opened() == 0 || shared::counted(false) {
            return Ok(());
        }
        self.0 = match sql::attempted(count_today)? {
            Ok(()) => None,
            Err(said) => {
                log(format!("pg_airlock: what left today before the server's start could not be counted: {said}"));
                Some(Instant::now())
            }
        };
        Ok(())
    }
}

/// Adds the rows that left today before shared memory was made, at the server's start or after a crash, and the sessions that
/// read. Call it where all that was written before is in the table.
fn count_today() -> Result<()> {
    let today = sys::today();
    // by the record's own time: what was settled today may be of yesterday, and what is of today may have been settled
    // under the last day before it
    let since = partitions::newest_used(Some(today))?.unwrap_or(today);
    let opened = time(shared::opened())?;
    let arguments = || [sql::arg(since), sql::arg(today), sql::arg(opened)];
    let both = |row: &sql::Row| Ok((row.need::<String>(1)?, row.need::<i64>(2)?));
    let of_today = "r.settled_on >= '2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $1 \
         AND r.logged_at >= ('2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $2)::pg_catalog.timestamp AT TIME ZONE 'UTC' \
         AND r.logged_at < $3 GROUP BY 1";
    let rows = format!(
        "SELECT r.subprocessor, pg_catalog.sum(r.rows_sent)::pg_catalog.int8 FROM airlock_catalog.read_record r \
         WHERE r.kind IN ('exact', 'outcome') AND r.rows_sent > 0 AND {of_today}"
    );
    let rows = sql::rows(&rows, &arguments(), both)?;
    // one that was only refused has read nothing
    let sessions = format!(
        "SELECT r.subprocessor, pg_catalog.count(DISTINCT (r.backend_start, r.backend_pid)) FROM airlock_catalog.read_record r \
         WHERE r.kind IN ('exact', 'intent', 'open', 'explain') AND r.detail IS DISTINCT FROM 'self test' AND {of_today}"
    );
    let sessions = sql::rows(&sessions, &arguments(), both)?;
    // nothing below fails: what was added and not counted would be added again
    for (name, rows) in rows {
        shared::add_rows(&name, today, rows);
    }
    for (name, sessions) in sessions {
        shared::reserve_sessions(&name, today, sessions, i64::MAX);
    }
    shared::counted(true);
    Ok(())
}

/// Ends the sessions that read for a sub-processor whose contract's last day (UTC) is over.
pub fn end_readers() -> Result<()> {
    let sql = "SELECT s.id, s.name FROM airlock_catalog.subprocessor s \
               WHERE s.valid_until < '2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $1";
    for (id, name) in
        sql::rows(sql, &[sql::arg(sys::today())], |row| Ok((row.need::<i32>(1)?, row.need::<String>(2)?)))?
    {
        let ended = sessions::end_readers(id);
        if ended > 0 {
            log(format!("pg_airlock: the contract of sub-processor \"{name}\" has expired: {ended} sessions that read for it were ended"));
        }
    }
    Ok(())
}
