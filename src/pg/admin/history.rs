//! Every change of what a sub-processor is, and of what it may see: who made it, when, why, what it was before and after.
//! Appended in the same transaction as the change, and never changed itself.

use super::caller;
use crate::pg::readlog::materialiser::before_0_2;
use crate::pg::sys::roles;
use crate::pg::sys::sql::{self, arg};
use crate::pure::error::Result;
use crate::pure::history::changed;
use pgrx::{pg_sys, JsonB};
use serde_json::Value;

/// What is changed.
#[derive(Clone, Copy)]
pub enum Of<'a> {
    /// A sub-processor, by name.
    Subprocessor(&'a str),
    /// Its scope of a relation.
    Scope(&'a str, pg_sys::Oid),
}

/// Makes a change, and appends it to the history. With the objects of 0.1.0, which have no place for it, only the change.
pub fn kept<T>(of: Of, action: &str, reason: Option<&str>, change: impl FnOnce() -> Result<T>) -> Result<T> {
    if before_0_2() {
        return change();
    }
    let (before, relation) = (state(of)?, relation(of)?);
    let result = change()?;
    let after = state(of)?;
    let name = match of {
        Of::Subprocessor(name) | Of::Scope(name, _) => name,
    };
    let differs = changed(before.as_ref(), after.as_ref());
    sql::run(
        "INSERT INTO airlock_catalog.change (acting_role, subprocessor, relation, action, reason, changed, before, after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            arg(roles::name(caller()).unwrap_or_default()),
            arg(name),
            arg(relation),
            arg(action),
            arg(reason),
            arg(JsonB(differs)),
            arg(before.map(JsonB)),
            arg(after.map(JsonB)),
        ],
    )?;
    Ok(result)
}

/// The relation's name as it is now.
fn relation(of: Of) -> Result<Option<String>> {
    let Of::Scope(_, relation) = of else { return Ok(None) };
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let name = sql::first(sql, &[arg(relation)], |row| row.need::<String>(1))?;
    Ok(Some(name.unwrap_or_else(|| relation.to_u32().to_string())))
}

fn state(of: Of) -> Result<Option<Value>> {
    let json = |row: &sql::Row| row.need::<JsonB>(1).map(|json| json.0);
    match of {
        Of::Subprocessor(name) => sql::first(
            "SELECT pg_catalog.to_jsonb(x) FROM (SELECT s.role::pg_catalog.text, s.legal_name, s.contract, s.purposes, s.valid_until,
                    s.networks, s.require_tls, s.rows_per_day, s.connections_per_day, s.details, s.state, s.log_days, s.values_days, s.subjects_days,
                    (SELECT v.version FROM airlock_catalog.key_version v WHERE v.owner = s.uuid AND v.use = 'mask' AND v.state = 'active') AS mask_key_version
               FROM airlock_catalog.subprocessor s WHERE s.name = $1) x",
            &[arg(name)],
            json,
        ),
        // with what "default" stood for, which the rules as they were given do not say
        Of::Scope(name, relation) => sql::first(
            "SELECT pg_catalog.to_jsonb(x) - 'id' || (SELECT CASE WHEN count(*) > 0 THEN pg_catalog.jsonb_build_object('defaults',
                      pg_catalog.jsonb_object_agg(r.column_name, r.class_default)) ELSE '{}' END
                 FROM airlock_catalog.rule r WHERE r.scope = x.id AND r.until IS NULL AND r.class_default IS NOT NULL)
               FROM (SELECT c.id, c.definition AS rules, c.row_filter, c.subject, c.purposes, c.view::pg_catalog.text, c.fence, c.allow_explain
               FROM airlock_catalog.scope c JOIN airlock_catalog.subprocessor s ON s.id = c.subprocessor
              WHERE s.name = $1 AND c.relation = $2::pg_catalog.regclass AND c.dropped_at IS NULL) x",
            &[arg(name), arg(relation)],
            json,
        ),
    }
}
