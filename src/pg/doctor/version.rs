//! The three versions that must agree: of the loaded library, of the SQL objects in this database, of the files on disk.

use super::{query, Report};
use crate::pure::error::Result;

/// Version of the library.
pub(super) const LIBRARY: &str = env!("CARGO_PKG_VERSION");

pub(super) fn examine(report: &mut Report) -> Result<()> {
    let sql = "SELECT e.extversion, coalesce((SELECT a.default_version::pg_catalog.text FROM pg_catalog.pg_available_extensions() a \
                 WHERE a.name OPERATOR(pg_catalog.=) 'pg_airlock'), '') \
               FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'pg_airlock'";
    let Some(row) = query(sql, 2, &[])?.into_iter().next() else { return Ok(()) };
    let (objects, files) = (row[0].as_str(), row[1].as_str());
    if number(files) > number(LIBRARY) {
        let message = format!("version {files} is installed, but the server still runs the library of {LIBRARY}");
        report.warning("version", "pg_airlock", message, "restart the server, then ALTER EXTENSION pg_airlock UPDATE");
    } else if number(files) < number(LIBRARY) {
        let message =
            format!("the server runs the library of {LIBRARY}, but the installed SQL files are of version {files}");
        let fix = format!("install version {LIBRARY} whole, with its SQL files");
        report.warning("version", "pg_airlock", message, fix);
    } else if number(objects) < number(LIBRARY) {
        let message = format!("the SQL objects of this database are of version {objects}, the library is of {LIBRARY}");
        report.warning("version", "pg_airlock", message, "ALTER EXTENSION pg_airlock UPDATE");
    } else if number(objects) > number(LIBRARY) {
        let message =
            format!("the SQL objects of this database are of version {objects}, the library only of {LIBRARY}");
        let fix = format!("install the library of version {objects}, then restart the server");
        report.error("version", "pg_airlock", message, fix);
    }
    Ok(())
}

/// The parts of a version, to be compared.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
