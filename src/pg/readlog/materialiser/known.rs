//! How far the log has the statements of each backend. A backend counts its statements up, so a record beyond the last is new
//! without a look into the table; only one that is not, or of a backend seen for the first time, costs a query.

use super::store::{before_0_2, is_end, time};
use crate::pg::sys::tuples;
use crate::pure::error::Result;
use crate::pure::record::{Parts, Record};
use std::collections::HashMap;

/// Most backends that are kept in mind; behind that all are asked for again.
const MOST: usize = 10_000;

/// When a backend began (µs since 2000), and its process id.
type Backend = (i64, i32);

/// The highest statement number that the table has of a backend.
#[derive(Clone, Copy, Default)]
struct Last {
    /// Of beginnings.
    begun: u64,
    /// Of ends.
    ended: u64,
}

impl Last {
    fn of(&mut self, record: &Record) -> &mut u64 {
        match is_end(record.kind) {
            true => &mut self.ended,
            false => &mut self.begun,
        }
    }
}

/// What is known of the table. All of it can be made anew.
#[derive(Default)]
pub struct Known {
    backends: HashMap<Backend, Last>,
}

impl Known {
    /// The records (by index) that the table may have already; all others are new, and counted as there from now on.
    pub fn suspects(&mut self, records: &[(Record, Parts)]) -> Result<Vec<usize>> {
        if self.backends.len() > MOST {
            self.backends.clear();
        }
        self.meet(records)?;
        let mut found = Vec::new();
        for (i, (record, _)) in records.iter().enumerate() {
            let last = self.backends.entry(backend(record)).or_default().of(record);
            match record.statement_id.n > *last {
                true => *last = record.statement_id.n,
                false => found.push(i),
            }
        }
        Ok(found)
    }

    /// Counts a record that did not come through [`Known::suspects`].
    pub fn note(&mut self, record: &Record) {
        // of a backend that is not known the table will tell
        if let Some(last) = self.backends.get_mut(&backend(record)) {
            let last = last.of(record);
            *last = (*last).max(record.statement_id.n);
        }
    }

    /// Asks the table for the backends that are seen for the first time.
    fn meet(&mut self, records: &[(Record, Parts)]) -> Result<()> {
        let (mut starts, mut pids) = (Vec::new(), Vec::new());
        for (record, _) in records {
            let backend = backend(record);
            if let std::collections::hash_map::Entry::Vacant(place) = self.backends.entry(backend) {
                place.insert(Last::default());
                starts.push(time(backend.0)?);
                pids.push(backend.1);
            }
        }
        if starts.is_empty() {
            return Ok(());
        }
        // a record is settled on the day that its backend began or later, but for the clock
        let days = match before_0_2() {
            true => "",
            false => "AND (r.settled_on >= u.backend_start::pg_catalog.date - 2 OR r.settled_on < '2000-01-02')",
        };
        let sql = format!(
            "SELECT u.backend_start, u.pid, r.statement_no \
             FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS u (backend_start, pid) \
             CROSS JOIN LATERAL (SELECT r.statement_no FROM airlock_catalog.read_record r \
               WHERE r.backend_start = u.backend_start AND r.backend_pid = u.pid {days} ORDER BY r.statement_no DESC LIMIT 1) AS r"
        );
        tuples::each(&sql, &[starts.into(), pids.into()], |row| {
            let backend = (row.moment(1)?.unwrap_or(0), row.int(2)?.unwrap_or(0));
            // of both kinds: the one that has fewer is only asked about more often
            let n = row.long(3)?.unwrap_or(0).unsigned_abs();
            self.backends.insert(backend, Last { begun: n, ended: n });
            Ok(true)
        })
    }
}

fn backend(record: &Record) -> Backend {
    (record.statement_id.backend_start, record.statement_id.pid)
}
