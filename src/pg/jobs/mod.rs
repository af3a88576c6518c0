//! Work on a whole table in batches with a commit after each, while others read and write it.
//!
//! `session` is the procedure's transaction control, `rewrite` changes rows, `throttle` holds back, `row` is the job's row
//! in `airlock_catalog.job`, which [`airlock.progress`](../../sql/views.sql) shows and from which an interrupted job goes
//! on. A job moves a position through the table, pass after pass, until a full pass finds nothing to do: what is done is
//! read off the rows themselves, the position only saves time. So a crash, a cancel or a row that moved loses nothing.

pub mod online;
pub mod reencrypt;
pub mod rewrite;
pub mod row;
pub mod session;
pub mod throttle;

use crate::pg::sys::catalog;
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;
use rewrite::{Change, Most};
use row::{At, Claim};
use session::Session;
use std::time::Duration;
use throttle::Throttle;

/// Passes in a row that change nothing because others hold locks on what is left, before the job gives up.
const PATIENCE: u32 = 10;

/// What a job runs with.
pub struct Pace {
    /// Rows changed between two commits.
    pub batch_rows: u64,
    /// What holds it back.
    pub throttle: Throttle,
}

/// Changes all rows of a table for which `change` has something to do, in batches, until there are none left. Gives the
/// number of rows changed in this run.
///
/// # Errors
/// 55000 when others keep locking what is left; what `change` says, after it has been noted in the job's row.
pub fn run(session: &Session, claim: &Claim, pace: &mut Pace, change: &mut dyn Change) -> Result<u64> {
    let result = passes(session, claim, pace, change);
    if let Err(error) = &result {
        // an error of ours leaves the transaction whole; one of Postgres' does not come by here, and leaves the row as it
        // was at the last commit
        session.rollback();
        claim.fail(error)?;
        session.commit();
    }
    result
}

fn passes(session: &Session, claim: &Claim, pace: &mut Pace, change: &mut dyn Change) -> Result<u64> {
    let mut at = claim.begin()?;
    session.commit();
    let (mut changed, mut fruitless) = (0, 0);
    loop {
        let began_at = at.position;
        at.total = rewrite::blocks(claim.relation)?;
        at.left = 0;
        let before = changed;
        while at.position < at.total {
            let most = Most { rows: pace.batch_rows, blocks: rewrite::BLOCKS };
            let batch = rewrite::batch(claim.relation, (at.position, at.offset), at.total, &most, change)?;
            changed += batch.changed;
            at.done += batch.changed;
            at.left += batch.locked;
            (at.position, at.offset) = batch.next;
            claim.note(&at)?;
            session.commit();
            pace.throttle.pause(session, claim, &mut at, batch.changed)?;
        }
        // a pass that began in the middle proves nothing of what is before
        if began_at == 0 && changed == before && at.left == 0 {
            claim.finish(&at)?;
            session.commit();
            return Ok(changed);
        }
        fruitless = if changed == before && at.left > 0 { fruitless + 1 } else { 0 };
        if fruitless >= PATIENCE {
            return Err(Error::new(
                Kind::State,
                format!("{} rows of table {} are locked by other transactions", at.left, claim.name),
            )
            .detail(format!("All other rows are done; {PATIENCE} passes in a row met these locks."))
            .hint("end the transactions that hold them (SELECT * FROM pg_locks), and call it again: it goes on"));
        }
        if fruitless > 0 {
            at.phase = "waiting for row locks".into();
            claim.note(&at)?;
            session.commit();
            crate::pg::sys::latch::sleep(Duration::from_millis(100 << fruitless.min(5)));
            at.phase = String::new();
        }
        at = At { pass: at.pass + 1, position: 0, offset: 0, ..at };
    }
}

/// A table that holds rows: OID and quoted name.
pub struct Table {
    /// Its number.
    pub oid: pg_sys::Oid,
    /// Its name, to be shown.
    pub name: String,
}

/// The tables that hold the rows of a table: itself, its partitions and children, without partitioned tables.
///
/// # Errors
/// 42704 when there is no such relation; 55000 when it is no table, or a foreign table is among them.
pub fn family(relation: pg_sys::Oid) -> Result<Vec<Table>> {
    let facts = catalog::relation(relation)?
        .ok_or_else(|| Error::new(Kind::Undefined, format!("there is no relation with OID {}", relation.to_u32())))?;
    match &*facts.kind {
        "r" | "p" => {}
        "m" => {
            let hint = "re-encrypt the tables that it reads, then REFRESH MATERIALIZED VIEW";
            return Err(Error::new(Kind::State, format!("\"{}\" is a materialized view", facts.name)).hint(hint));
        }
        _ => return Err(Error::new(Kind::State, format!("\"{}\" is not a table", facts.name))),
    }
    let found = sql::rows(
        "WITH RECURSIVE family AS (
           SELECT $1::pg_catalog.oid AS relid
           UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.relid)
         SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::pg_catalog.text
           FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE c.relkind <> 'p' ORDER BY c.oid",
        &[arg(relation)],
        |row| Ok((Table { oid: row.need(1)?, name: row.need(2)? }, row.need::<String>(3)?)),
    )?;
    let mut tables = Vec::with_capacity(found.len());
    for (table, kind) in found {
        if kind != "r" {
            return Err(Error::new(Kind::State, format!("{} is not a table of this database", table.name))
                .hint("call this on the other partitions or children one by one"));
        }
        tables.push(table);
    }
    Ok(tables)
}
