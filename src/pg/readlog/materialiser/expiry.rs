//! Contracts end by their date, and nobody has to say so: a statement that runs past its contract's last day is ended here.
//! Every other way of reading asks the contract itself, at each statement and each FETCH.

use super::store::time;
use crate::pg::error::log;
use crate::pg::shared;
use crate::pg::sys::{self, sessions, sql};
use crate::pure::error::Result;

/// Adds the rows that left today before shared memory was made, at the server's start or after a crash, and the sessions that
/// read. Call it where all that was written before is in the table.
pub fn count_today() -> Result<()> {
    let opened = shared::opened();
    if opened == 0 || shared::counted(false) {
        return Ok(());
    }
    let today = sys::today();
    let both = |row: &sql::Row| Ok((row.need::<String>(1)?, row.need::<i64>(2)?));
    // by the record's own time: what was settled today may be of yesterday
    let of_today = "r.settled_on >= '2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $1 \
         AND r.logged_at >= ('2000-01-01'::pg_catalog.date OPERATOR(pg_catalog.+) $1)::pg_catalog.timestamp AT TIME ZONE 'UTC' \
         AND r.logged_at < $2 GROUP BY 1";
    let rows = format!(
        "SELECT r.subprocessor, pg_catalog.sum(r.rows_sent)::pg_catalog.int8 FROM airlock_catalog.read_record r \
         WHERE r.kind IN ('exact', 'outcome') AND r.rows_sent > 0 AND {of_today}"
    );
    for (name, rows) in sql::rows(&rows, &[sql::arg(today), sql::arg(time(opened)?)], both)? {
        shared::add_rows(&name, today, rows);
    }
    // one that was only refused has read nothing
    let sessions = format!(
        "SELECT r.subprocessor, pg_catalog.count(DISTINCT (r.backend_start, r.backend_pid)) FROM airlock_catalog.read_record r \
         WHERE r.kind IN ('exact', 'intent', 'open') AND r.detail IS DISTINCT FROM 'self test' AND {of_today}"
    );
    for (name, sessions) in sql::rows(&sessions, &[sql::arg(today), sql::arg(time(opened)?)], both)? {
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
