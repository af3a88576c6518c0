//! The replication slot `pg_airlock`: a reservation of WAL that is not settled yet. The truth is the cursor row.

use super::store::spi;
use crate::pure::error::{Error, Kind, Result};
use pgrx::Spi;

/// The slot's name.
pub const NAME: &str = "pg_airlock";

/// How the slot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    /// It keeps WAL from there on.
    Keeps(u64),
    /// There is none.
    Missing,
    /// Postgres invalidated it (`max_slot_wal_keep_size`).
    Lost,
    /// It is not ours to use: logical, or held by another process.
    Taken,
}

/// Looks at the slot.
pub fn look() -> Result<Slot> {
    let sql = "SELECT s.slot_type = 'physical' AND NOT s.active, s.wal_status = 'lost' OR s.restart_lsn IS NULL, \
               (s.restart_lsn - '0/0'::pg_catalog.pg_lsn)::pg_catalog.text FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1";
    Spi::connect(|client| {
        let table = client.select(sql, Some(1), &[NAME.into()]).map_err(spi)?.first();
        let Some(row) = table.get_heap_tuple().map_err(spi)? else { return Ok(Slot::Missing) };
        if row.get::<bool>(1).map_err(spi)? != Some(true) {
            return Ok(Slot::Taken);
        }
        if row.get::<bool>(2).map_err(spi)? != Some(false) {
            return Ok(Slot::Lost);
        }
        let restart = row.get::<String>(3).map_err(spi)?.and_then(|n| n.parse().ok());
        restart
            .map(Slot::Keeps)
            .ok_or_else(|| Error::new(Kind::Corrupt, "the position of slot \"pg_airlock\" cannot be read"))
    })
}

/// Makes sure that there is a slot, and returns where it keeps WAL from. A lost one is made anew. 55000 when the name is
/// taken; ERRORs of Postgres when no slot can be made (wal_level, max_replication_slots).
pub fn ensure() -> Result<u64> {
    if look()? == Slot::Lost {
        drop_it()?;
    }
    if look()? == Slot::Missing {
        call("SELECT pg_catalog.pg_create_physical_replication_slot($1, true)")?;
    }
    match look()? {
        Slot::Keeps(from) => Ok(from),
        _ => Err(Error::new(Kind::State, "replication slot \"pg_airlock\" is used by somebody else")
            .hint("the slot of that name belongs to the read log: drop it, the log's worker makes its own")),
    }
}

/// Drops the slot: nobody reads the log any more, and a slot left behind fills the disk.
pub fn drop_it() -> Result<()> {
    call("SELECT pg_catalog.pg_drop_replication_slot($1)")
}

/// Lets go of WAL before `lsn`. Only behind a cursor whose commit is flushed.
pub fn advance(lsn: u64) -> Result<()> {
    match look()? {
        Slot::Keeps(from) if from < lsn => Spi::connect(|client| {
            let sql = "SELECT FROM pg_catalog.pg_replication_slot_advance($1, $2::pg_catalog.pg_lsn)";
            client.select(sql, None, &[NAME.into(), crate::pg::readlog::wal::show(lsn).into()]).map(|_| ()).map_err(spi)
        }),
        _ => Ok(()),
    }
}

fn call(sql: &str) -> Result<()> {
    Spi::connect(|client| client.select(sql, None, &[NAME.into()]).map(|_| ()).map_err(spi))
}
