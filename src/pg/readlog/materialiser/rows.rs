//! Appending to the log's tables: the records, and in tables of their own the parts that travel with them.

use super::partitions;
use super::store::{before_0_2, spi, Row, COLUMNS, LATER};
use crate::pg::keys::entropy;
use crate::pg::keys::ring::LogKeys;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{private, Parts};
use crate::pure::subjects;
use pgrx::datum::{DatumWithOid, Uuid};
use pgrx::spi::{OwnedPreparedStatement, PreparedStatement, SpiClient};
use pgrx::PgOid;

/// Locks the log's tables for writing, then refuses them if somebody put a trigger or rule on one, or on a partition: it
/// would run with all the rights of the bootstrap superuser. In this order nobody can add one in between.
pub fn lock(client: &mut SpiClient) -> Result<()> {
    // not all their partitions: those that are written follow
    let (only, parts) = match before_0_2() {
        true => ("", &[][..]),
        false => ("ONLY ", &["read_private", "read_subject"][..]),
    };
    let tables: Vec<String> =
        ["read_record", "log_cursor"].iter().chain(parts).map(|t| format!("airlock_catalog.{t}")).collect();
    let list: Vec<String> = tables.iter().map(|t| format!("{only}{t}")).collect();
    client.update(format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", list.join(", ")).as_str(), None, &[]).map_err(spi)?;
    refuse_triggers(client, &tables)
}

/// The same for partitions, as regclass reads them.
pub fn lock_partitions(client: &mut SpiClient, partitions: &[String]) -> Result<()> {
    let sql = format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", partitions.join(", "));
    client.update(sql.as_str(), None, &[]).map_err(spi)?;
    refuse_triggers(client, partitions)
}

/// 55000 when one of these tables has a trigger or rule.
fn refuse_triggers(client: &mut SpiClient, tables: &[String]) -> Result<()> {
    let sql = "SELECT t.tgname::pg_catalog.text FROM pg_catalog.pg_trigger t WHERE t.tgrelid = ANY ($1::pg_catalog.regclass[]) \
               UNION ALL SELECT r.rulename::pg_catalog.text FROM pg_catalog.pg_rewrite r WHERE r.ev_class = ANY ($1::pg_catalog.regclass[]) LIMIT 1";
    match client.update(sql, None, &[tables.to_vec().into()]).map_err(spi)?.first().get_heap_tuple().map_err(spi)? {
        None => Ok(()),
        Some(row) => {
            let name = row.get::<String>(1).map_err(spi)?.unwrap_or_default();
            Err(Error::new(Kind::State, format!("a table of the read log has the trigger or rule \"{name}\""))
                .hint("drop it: nothing may run when the log is written"))
        }
    }
}

/// Appends rows. The caller holds the lock and moves the cursor in the same transaction.
pub fn insert(
    client: &mut SpiClient,
    rows: Vec<(Row, Parts)>,
    day: Option<i32>,
    (version, keys): (u32, &LogKeys),
) -> Result<()> {
    use pgrx::pg_sys::BuiltinOid::{BYTEAOID, INT4ARRAYOID, INT4OID, INT8OID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
    let mut types = vec![TEXTOID; 32];
    for (place, oid) in
        [(0, INT8OID), (2, TIMESTAMPTZOID), (3, TIMESTAMPTZOID), (4, INT4OID), (5, INT8OID), (25, BYTEAOID)]
            .into_iter()
            .chain([(15, TEXTARRAYOID), (16, TEXTARRAYOID), (21, INT8OID), (22, INT8OID), (23, INT8OID)])
            .chain([
                (26, TEXTARRAYOID),
                (27, TEXTARRAYOID),
                (28, TEXTARRAYOID),
                (29, BYTEAOID),
                (30, BYTEAOID),
                (31, INT4ARRAYOID),
            ])
    {
        types[place] = oid;
    }
    let later = if before_0_2() { &[][..] } else { &LATER[..] };
    types.truncate(types.len() - LATER.len() + later.len());
    let types: Vec<PgOid> = types.into_iter().map(PgOid::BuiltIn).collect();
    let mut places: Vec<String> = (1..=types.len()).map(|n| format!("${n}")).collect();
    let mut columns = [&[COLUMNS][..], later].concat();
    let day = day.map(|day| format!("'{}'", partitions::text(day)));
    if let Some(day) = &day {
        columns.push("settled_on");
        places.push(day.clone());
    }
    let day = day.unwrap_or_default();
    let sql =
        format!("INSERT INTO airlock_catalog.read_record ({}) VALUES ({})", columns.join(", "), places.join(", "));
    let private_sql =
        format!("INSERT INTO airlock_catalog.read_private (id, sealed, settled_on) VALUES ($1, $2, {day})");
    let subject_sql = format!(
        "INSERT INTO airlock_catalog.read_subject (id, scope, domain, epoch, seen, scanned, anybody, tokens, listed, \
         seen_filter, scanned_filter, salt, settled_on) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {day})"
    );
    let statement = client.prepare_mut(sql.as_str(), &types).map_err(spi)?;
    let (mut privates, mut touched) = (None, None);
    for (row, parts) in rows {
        let id = row.id;
        client.update(&statement, None, &row.values()?).map_err(spi)?;
        if let Some(part) = parts.private {
            let sealed = private::seal(&keys.2, version, &entropy::random()?, &part);
            let statement = prepared(client, &mut privates, &private_sql, &[INT8OID, BYTEAOID])?;
            client.update(statement, None, &[id.into(), sealed.into()]).map_err(spi)?;
        }
        if let Some(part) = parts.subjects {
            insert_subjects(client, &mut touched, &subject_sql, id, &part)?;
        }
    }
    Ok(())
}

fn prepared<'a>(
    client: &mut SpiClient,
    place: &'a mut Option<OwnedPreparedStatement>,
    sql: &str,
    types: &[pgrx::pg_sys::BuiltinOid],
) -> Result<&'a OwnedPreparedStatement> {
    if place.is_none() {
        let types: Vec<PgOid> = types.iter().copied().map(PgOid::BuiltIn).collect();
        let statement: PreparedStatement = client.prepare_mut(sql, &types).map_err(spi)?;
        *place = Some(statement.keep());
    }
    place.as_ref().ok_or_else(|| Error::new(Kind::State, "a statement of the read log could not be prepared"))
}

fn insert_subjects(
    client: &mut SpiClient,
    place: &mut Option<OwnedPreparedStatement>,
    sql: &str,
    id: i64,
    part: &[u8],
) -> Result<()> {
    use pgrx::pg_sys::BuiltinOid::{BOOLOID, BYTEAARRAYOID, BYTEAOID, INT4OID, INT8OID, TEXTOID, UUIDARRAYOID};
    let types = [
        INT8OID,
        INT4OID,
        TEXTOID,
        INT4OID,
        INT8OID,
        INT8OID,
        BOOLOID,
        UUIDARRAYOID,
        INT4OID,
        BYTEAARRAYOID,
        BYTEAARRAYOID,
        BYTEAOID,
    ];
    let (salt, touched) = subjects::decode(part)?;
    let statement = prepared(client, place, sql, &types)?;
    for t in touched {
        let tokens: Vec<Uuid> = t.tokens.into_iter().map(Uuid::from_bytes).collect();
        let values: [DatumWithOid; 12] = [
            id.into(),
            t.scope.into(),
            t.domain.into(),
            t.epoch.into(),
            t.seen.into(),
            t.scanned.into(),
            t.anybody.into(),
            tokens.into(),
            t.listed.into(),
            t.seen_filter.into(),
            t.scanned_filter.into(),
            salt.to_vec().into(),
        ];
        client.update(statement, None, &values).map_err(spi)?;
    }
    Ok(())
}
