//! What holds a job back: rows a second, and how far replicas are behind.

use super::row::{At, Claim};
use super::session::Session;
use crate::pg::sys::latch::sleep;
use crate::pg::sys::{sql, switch};
use crate::pure::error::{Error, Kind, Result};
use std::time::{Duration, Instant};

/// How long it waits before it looks at the replicas again.
const LOOK: Duration = Duration::from_millis(200);

/// The limits of a job.
pub struct Throttle {
    rows_per_second: Option<u32>,
    lag: Option<u64>,
    since: Instant,
}

impl Throttle {
    /// Limits as the user gives them: rows a second; megabytes of WAL that a replica may have to flush still.
    ///
    /// # Errors
    /// 22023 for numbers that are not positive.
    pub fn new(rows_per_second: Option<i32>, max_lag_mb: Option<i32>) -> Result<Throttle> {
        let positive = |n: i32, name: &str| {
            u32::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                Error::new(Kind::InvalidArgument, format!("argument \"{name}\" must be positive"))
                    .hint("leave it out for no limit")
            })
        };
        Ok(Throttle {
            rows_per_second: rows_per_second.map(|n| positive(n, "rows_per_second")).transpose()?,
            lag: max_lag_mb.map(|n| positive(n, "max_lag_mb")).transpose()?.map(|n| u64::from(n) << 20),
            since: Instant::now(),
        })
    }

    /// Waits between two batches, outside of any snapshot, as long as the limits ask for after `rows` more rows.
    pub fn pause(&mut self, session: &Session, claim: &Claim, at: &mut At, rows: u64) -> Result<()> {
        if let Some(rate) = self.rows_per_second {
            let due = Duration::from_secs_f64(rows as f64 / f64::from(rate));
            sleep(due.saturating_sub(self.since.elapsed()));
        }
        if let Some(most) = self.lag {
            while behind()? > most {
                if at.phase.is_empty() {
                    at.phase = "waiting for replicas".into();
                    claim.note(at)?;
                }
                session.commit();
                sleep(LOOK);
            }
            at.phase = String::new();
            session.commit();
        }
        self.since = Instant::now();
        Ok(())
    }
}

/// How many bytes of WAL the slowest connected replica has not flushed yet. One that is not connected holds nothing up.
fn behind() -> Result<u64> {
    let look = "SELECT coalesce(max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), s.flush_lsn)), 0)::pg_catalog.int8
                  FROM pg_catalog.pg_stat_get_wal_senders() s WHERE s.state IN ('streaming', 'catchup')";
    let bytes = switch::as_owner_of("job", || sql::settled(|| sql::first(look, &[], |row| row.need::<i64>(1))))?;
    Ok(bytes.and_then(|b| u64::try_from(b).ok()).unwrap_or(0))
}
