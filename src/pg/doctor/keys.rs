//! The life of keys: root keys that were replaced, versions that were left behind, jobs that did not end.

use super::{query, Report};
use crate::pg::keys::{root, rotation};
use crate::pg::sys::scan;
use crate::pg::{gucs, shared};
use crate::pure::error::Result;
use crate::pure::name::literal;

pub(super) fn examine(report: &mut Report) -> Result<()> {
    // what a database that is not upgraded does not have; that is said elsewhere
    if scan::table_oid("job").is_none() {
        return Ok(());
    }
    if shared::preloaded() {
        root_key(report)?;
    }
    versions(report)?;
    jobs(report)
}

/// The setting names a root key that leads to the newest, as long as it is there.
fn root_key(report: &mut Report) -> Result<()> {
    let Ok(key) = root::read(&gucs::root_key_source()) else { return Ok(()) };
    let Ok(Some((mine, newest, source))) = rotation::outdated(&key) else { return Ok(()) };
    report.warning(
        "root key",
        "airlock.root_key_source",
        format!("the setting names the root key of generation {mine}, by way of which sessions find that of generation {newest}"),
        format!("ALTER SYSTEM SET airlock.root_key_source = {}; SELECT pg_reload_conf()", literal(&source)),
    );
    Ok(())
}

fn versions(report: &mut Report) -> Result<()> {
    let sql = "SELECT coalesce(k.name, 'of the extension'), v.use, v.version::pg_catalog.text, v.root_generation::pg_catalog.text
        FROM airlock_catalog.key_version v LEFT JOIN airlock_catalog.key k ON k.uuid = v.owner
       WHERE v.wrapped IS NOT NULL AND v.root_generation <> (SELECT max(r.generation) FROM airlock_catalog.root_key r) ORDER BY 1, 2, 3";
    for row in query(sql, 4, &[])? {
        report.error(
            "key version",
            row[0].clone(),
            format!(
                "its {} version {} is wrapped by root key generation {}, not by the newest",
                row[1], row[2], row[3]
            ),
            "restore the row of airlock_catalog.key_version from a backup made after the rotation of the root key",
        );
    }
    // the next version's beginning is this one's end
    let sql = "SELECT k.name, v.version::pg_catalog.text, pg_catalog.to_char(n.since, 'YYYY-MM-DD'), (n.since < pg_catalog.now() - interval '1 year')::pg_catalog.text
        FROM airlock_catalog.key_version v JOIN airlock_catalog.key k ON k.uuid = v.owner
        CROSS JOIN LATERAL (SELECT min(x.activated_at) AS since FROM airlock_catalog.key_version x
                             WHERE x.owner = v.owner AND x.use = 'seal' AND x.version > v.version) n
       WHERE v.use = 'seal' AND v.state = 'decrypt-only' ORDER BY k.name, v.version";
    for row in query(sql, 4, &[])? {
        let object = format!("version {} of key \"{}\"", row[1], row[0]);
        let message = format!("it seals nothing since {}, and may still be needed to open", row[2]);
        let fix = format!(
            "CALL airlock.reencrypt(…) for the tables of TABLE airlock.encrypted_columns with that key; then SELECT airlock.retire_key_version({}, {})",
            literal(&row[0]),
            row[1]
        );
        match row[3] == "true" {
            true => report.warning("key version", object, message, fix),
            false => report.info("key version", object, message, fix),
        }
    }
    Ok(())
}

fn jobs(report: &mut Report) -> Result<()> {
    let sql = "SELECT p.kind, p.relation::pg_catalog.text, p.state, coalesce(p.error, '')
        FROM airlock.progress p WHERE p.state IN ('interrupted', 'failed') ORDER BY 2";
    for row in query(sql, 4, &[])? {
        let message = match row[3].is_empty() {
            true => format!("a job of kind {} was {}", row[0], row[2]),
            false => format!("a job of kind {} has {}: {}", row[0], row[2], row[3]),
        };
        report.warning("job", row[1].clone(), message, format!("CALL airlock.{}({})", row[0], literal(&row[1])));
    }
    Ok(())
}
