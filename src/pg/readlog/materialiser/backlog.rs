//! How much WAL the log's worker has still to read, and how old it may be: what the gate looks at, and what the worker warns
//! of before the gate shuts.

use crate::pg::error::log_warning;
use crate::pg::readlog::wal;
use crate::pg::{gucs, shared, sys};
use crate::pure::error::{Error, Kind, Result};

/// What the worker has not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes of WAL.
    pub bytes: u64,
    /// How old the oldest of it may be, in microseconds.
    pub age: i64,
}

/// The worker's backlog now, as it last said how far it is.
pub fn backlog() -> Backlog {
    of(shared::settled(), shared::settled_as_of())
}

fn of(settled: u64, as_of: i64) -> Backlog {
    let bytes = wal::flushed().saturating_sub(settled);
    let age = match bytes {
        0 => 0,
        // the worker has not said anything yet
        _ if as_of == 0 => 0,
        _ => sys::now().saturating_sub(as_of).max(0),
    };
    Backlog { bytes, age }
}

/// Whether this sub-processor may read on as far as its own part of the backlog is concerned. AL005 says why not.
pub fn share(subprocessor: &str) -> Result<()> {
    let own = shared::share(subprocessor);
    if own <= gucs::backlog_share() {
        return Ok(());
    }
    Err(Error::new(Kind::LogUnavailable, "too much of what you read is not in the log yet")
        .detail(format!("{} MB of records wait for the log's worker", own >> 20))
        .hint("wait a moment; fewer or smaller reads at a time are settled sooner (airlock.backlog_share)"))
}

impl Backlog {
    /// Whether it is over the limit.
    pub fn over(self) -> bool {
        self.bytes > gucs::backlog_limit() || self.age > gucs::backlog_age()
    }

    /// How near it is to the limit at which scoped reads are refused, in percent.
    pub fn percent(self) -> u64 {
        let bytes = self.bytes.saturating_mul(100) / gucs::backlog_limit().max(1);
        let age = self.age.unsigned_abs().saturating_mul(100) / gucs::backlog_age().unsigned_abs().max(1);
        bytes.max(age)
    }
}

/// Warns once when the backlog passes 50 % of a limit, and once at 80 %.
#[derive(Default)]
pub struct Warner(u64);

impl Warner {
    /// The log is settled up to here, and so is all that was flushed then.
    pub fn look(&mut self, settled: u64, as_of: i64) {
        let backlog = of(settled, as_of);
        let level = [80, 50].into_iter().find(|level| backlog.percent() >= *level).unwrap_or(0);
        if level > self.0 {
            log_warning(format!(
                "pg_airlock: the log's worker has {} MB of WAL still to read, up to {} seconds old: over {level} % of \
                 airlock.backlog_limit or airlock.backlog_age, at which scoped reads are refused",
                backlog.bytes >> 20,
                backlog.age / 1_000_000
            ));
        }
        self.0 = level;
    }
}
