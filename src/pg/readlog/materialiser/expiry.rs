//! Contracts end by their date, and nobody has to say so: a statement that runs past its contract's last day is ended here.
//! Every other way of reading asks the contract itself, at each statement and each FETCH.

use crate::pg::error::log;
use crate::pg::sys::{self, sessions, sql};
use crate::pure::error::Result;

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
