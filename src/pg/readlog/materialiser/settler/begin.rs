//! Where a turn finds no settler: the log begins, or goes on from its cursor.

use super::{place, Desk, Eraser, Keeper, Keys, Known, OpenReads, Settler, Warner};
use crate::pg::readlog::materialiser::rows;
use crate::pg::readlog::materialiser::slot::{self, Slot};
use crate::pg::readlog::materialiser::store::{self, Cursor};
use crate::pg::{gucs, shared, sys};
use crate::pure::error::Result;
use crate::pure::lag::Lag;
use crate::pure::seam::Seam;
use pgrx::{pg_sys, Spi};
use std::time::{Duration, Instant};

/// A log key older than this, in a log without a cursor, may be part of a restore that is still running …
const FRESH: &str = "5 seconds";
/// … so the worker keeps away from the log's table for so long.
const GRACE: Duration = Duration::from_secs(3);

impl Desk {
    /// Whether a log without a cursor may begin now. `pg_restore` fills the key's table shortly before the log's: a
    /// record of ours in between would take the place of an old one.
    pub(super) fn may_begin(&mut self) -> Result<bool> {
        let sql = "SELECT pg_catalog.max(v.activated_at) > pg_catalog.clock_timestamp() - $1::pg_catalog.interval \
                   FROM airlock_catalog.key_version v WHERE v.use = 'log'";
        let fresh = Spi::connect(|client| {
            client.select(sql, Some(1), &[FRESH.into()]).and_then(|t| t.first().get_one::<bool>()).map_err(store::spi)
        })?;
        let since = *self.asked_since.get_or_insert_with(Instant::now);
        Ok(fresh == Some(true) || since.elapsed() >= GRACE)
    }
}

impl Settler {
    /// Starts a log, or goes on with one that came without its cursor (a restore, or an administrator who removed the
    /// cursor to accept a gap) or with that of another cluster (pg_upgrade), at the place from which the slot keeps WAL.
    /// Without a slot at the last checkpoint: the slot is made by the next turn, behind the commit, so that a slot without a
    /// cursor always means that a log had begun.
    pub(super) fn begin_log(keys: &Keys, carried: Option<&Cursor>) -> Result<(Cursor, Seam)> {
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

    pub(super) fn resume(table: pg_sys::Oid, cursor: Cursor, news: Option<Seam>) -> Result<Settler> {
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
            known: Known::default(),
            day: None,
            tried: looked,
            eraser: Eraser::default(),
            count: super::expiry::Count::default(),
            spoke: (looked, !store::before_0_2()),
            // what lay in WAL when the server was started is as old as the server, for all we know
            lag: Lag::new(match shared::settled_as_of() {
                0 => sys::now(),
                as_of => as_of,
            }),
            heads: Keeper::for_now(),
            warner: Warner::default(),
            fork: None,
            caught_up: false,
            compared: gucs::head_file().is_empty(),
        })
    }
}
