//! The constants and parameters of a read's statement, for whoever has to find out what it was looking for.

use crate::pg::keys::ring;
use crate::pg::readlog::identity;
use crate::pg::readlog::{audit, materialiser::spi};
use crate::pg::sys::{self, d};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use crate::pure::record::private::{self, Private};
use pgrx::Spi;

/// One row, or none where the record has no such part (any more).
pub fn of_statement(id: i64) -> Result<Vec<sys::Row>> {
    if let Some(name) = identity::subprocessor()? {
        let message = format!("sub-processor {} may not read the access log", shown(&name));
        return Err(Error::new(Kind::OutsideScope, message));
    }
    audit::note(&format!("statement_values: {id}"), &[])?;
    let sql =
        "SELECT r.private, p.sealed FROM airlock_catalog.read_record r JOIN airlock_catalog.read_private p USING (id) \
               WHERE r.id = $1 AND r.private IS NOT NULL";
    let found = Spi::connect(|client| {
        let mut found = None;
        for tuple in client.select(sql, Some(1), &[id.into()]).map_err(spi)? {
            let (hash, sealed) = (tuple.get::<Vec<u8>>(1).map_err(spi)?, tuple.get::<Vec<u8>>(2).map_err(spi)?);
            found = hash.zip(sealed);
        }
        Ok::<_, Error>(found)
    })?;
    let Some((hash, sealed)) = found else { return Ok(Vec::new()) };
    let changed = || Error::new(Kind::NotAuthentic, format!("the constants of record {id} were changed"));
    let hash: [u8; 32] = hash.try_into().map_err(|_| changed())?;
    let version = private::key_version(&sealed).ok_or_else(changed)?;
    let (_, keys) = ring::log_key(Some(version))?;
    let part = Private::decode(&private::open(&keys.2, &sealed, &hash)?)?;
    Ok(vec![vec![d(part.constants), d(part.parameters), d(part.cut)]])
}
