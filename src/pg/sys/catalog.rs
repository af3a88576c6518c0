//! Relations as the catalogs describe them, as plain values: what scopes are held against. By SPI (`sys::sql`), so for
//! administrative functions only.
#![allow(unsafe_code)] // ◆ relation locks, type and function look-ups

use super::sql::{self, arg};
use super::Args;
use crate::pg::encrypted;
use crate::pg::keys::ring::{self, Number};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::PlainType;
use crate::pure::scope::{Column, EncryptedColumn, ForeignKey, OtherKey, TableShape};
use pgrx::pg_sys;

/// What decides whether a relation can be shared at all.
pub struct Relation {
    /// Its number.
    pub oid: pg_sys::Oid,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `pg_class.relkind`: `r`, `p`, `v`, …
    pub kind: String,
    /// `pg_class.relpersistence`: `p`, `u`, `t`.
    pub persistence: String,
    /// Row security is enabled on it.
    pub row_security: bool,
}

/// Takes the lock that scopes of one relation take turns by: it conflicts with itself and with changes of the table's
/// definition, not with reads and writes of its rows. Held to the end of the transaction.
pub fn lock(relation: pg_sys::Oid) {
    // SAFETY: waits, or raises on cancel and deadlock; the number need not exist.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::ShareUpdateExclusiveLock as i32) }
}

/// Keeps a relation from being renamed, moved or dropped until the transaction ends, and nobody from reading and writing it.
pub fn hold(relation: pg_sys::Oid) {
    // SAFETY: as `lock`.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as i32) }
}

/// The relation, `None` when there is none.
pub fn relation(oid: pg_sys::Oid) -> Result<Option<Relation>> {
    sql::first(
        "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text,
                c.relpersistence::pg_catalog.text, c.relrowsecurity
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[arg(oid)],
        |row| {
            Ok(Relation {
                oid,
                schema: row.need(1)?,
                name: row.need(2)?,
                kind: row.need(3)?,
                persistence: row.need(4)?,
                row_security: row.need(5)?,
            })
        },
    )
}

/// The relation of that name in that schema.
pub fn relation_named(schema: &str, name: &str) -> Result<Option<pg_sys::Oid>> {
    sql::first(
        "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1::pg_catalog.name AND c.relname = $2::pg_catalog.name",
        &[arg(schema), arg(name)],
        |row| row.need(1),
    )
}

/// Owner of the schema of that name.
pub fn schema_owner(schema: &str) -> Result<Option<String>> {
    sql::first(
        "SELECT pg_catalog.pg_get_userbyid(n.nspowner)::pg_catalog.text FROM pg_catalog.pg_namespace n
          WHERE n.nspname = $1::pg_catalog.name",
        &[arg(schema)],
        |row| row.need(1),
    )
}

/// Whether a role may give SELECT on the relation away: its owner, a superuser, or a holder of the grant option.
pub fn may_share(role: pg_sys::Oid, relation: pg_sys::Oid) -> Result<bool> {
    let may = sql::first(
        "SELECT pg_catalog.has_table_privilege($1::pg_catalog.oid, $2::pg_catalog.oid, 'SELECT WITH GRANT OPTION')",
        &[arg(role), arg(relation)],
        |row| row.get::<bool>(1),
    )?;
    Ok(may.flatten() == Some(true))
}

/// The parents and children of a relation by inheritance or partitioning, over all levels.
pub fn relatives(relation: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    sql::rows(
        "WITH RECURSIVE up (oid) AS (
           SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = $1
            UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up u ON i.inhrelid = u.oid),
         down (oid) AS (
           SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = $1
            UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN down d ON i.inhparent = d.oid)
         SELECT u.oid FROM up u UNION SELECT d.oid FROM down d",
        &[arg(relation)],
        |row| row.need(1),
    )
}

/// Columns, keys and foreign keys of a relation, as scopes are held against them.
///
/// # Errors
/// `XX001` when an encrypted column names no column of the catalog; `AL001`, `AL003` from the keyring.
pub fn shape(relation: &Relation) -> Result<TableShape> {
    Ok(TableShape {
        schema: relation.schema.clone(),
        name: relation.name.clone(),
        columns: columns(relation.oid)?,
        primary_key: keys(relation.oid, true)?.into_iter().next().unwrap_or_default(),
        unique: keys(relation.oid, false)?,
        foreign_keys: foreign_keys(relation.oid, true)?.into_iter().map(|other| other.key).collect(),
        other_keys: foreign_keys(relation.oid, false)?,
    })
}

fn columns(relation: pg_sys::Oid) -> Result<Vec<Column>> {
    let citext = sql::rows("SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typname = 'citext'", &[], |row| {
        row.need::<pg_sys::Oid>(1)
    })?;
    let types = encrypted::type_oids();
    sql::rows(
        "SELECT a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated = 'v'
           FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[arg(relation)],
        |row| {
            let (oid, typmod): (pg_sys::Oid, i32) = (row.need(3)?, row.need(4)?);
            let base = base_type(oid);
            let mut column = Column {
                name: row.need(1)?,
                sql_type: row.need(2)?,
                plain: encrypted::plain_type_of(oid).or(match base {
                    pg_sys::INETOID | pg_sys::CIDROID => Some(PlainType::Inet),
                    pg_sys::JSONOID => Some(PlainType::Json),
                    _ => citext.contains(&base).then_some(PlainType::Text),
                }),
                encrypted: None,
                not_null: row.need(5)?,
                computed: row.need(6)?,
            };
            if let Some((_, searchable)) = types.filter(|(plain, searchable)| base == *plain || base == *searchable) {
                seal(&mut column, typmod, base == searchable)?;
            }
            Ok(column)
        },
    )
}

/// Makes an encrypted column look as its plaintext does, plus what seals it.
fn seal(column: &mut Column, column_no: i32, searchable: bool) -> Result<()> {
    let Some(Number::Column(info)) = ring::number(column_no)? else {
        return Err(Error::new(
            Kind::Corrupt,
            format!("encrypted column \"{}\" is not in the extension's catalog", column.name),
        )
        .hint("restore the rows of airlock_catalog.encrypted_column from a backup"));
    };
    column.sql_type = info.key.plain_type.sql_name().to_string();
    column.plain = Some(info.key.plain_type);
    let (key_name, bind) = (info.key.name.clone(), info.bind.clone());
    column.encrypted = Some(EncryptedColumn { column_no, key_name, searchable, bind });
    Ok(())
}

/// The type below all domains.
fn base_type(oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: syscache look-ups; the type is that of an existing column.
    unsafe { pg_sys::getBaseType(oid) }
}

/// Columns of the primary key, or of every other unique index that holds for all rows and plain columns.
fn keys(relation: pg_sys::Oid, primary: bool) -> Result<Vec<Vec<String>>> {
    sql::rows(
        "SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.n)
           FROM pg_catalog.pg_index i
          CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
          WHERE i.indrelid = $1 AND i.indisunique AND i.indisprimary = $2 AND i.indpred IS NULL AND i.indexprs IS NULL
            AND k.n <= i.indnkeyatts
          GROUP BY i.indexrelid ORDER BY i.indexrelid",
        &[arg(relation), arg(primary)],
        |row| row.need::<Vec<String>>(1),
    )
}

/// Foreign keys of the relation, or those of all others. Where partitioning made copies of a key for one relation, the
/// copies are left out.
fn foreign_keys(relation: pg_sys::Oid, own: bool) -> Result<Vec<OtherKey>> {
    sql::rows(
        "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, rn.nspname::pg_catalog.text, r.relname::pg_catalog.text,
                (SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY u.n)
                   FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (attnum, n)
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
                (SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY u.n)
                   FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (attnum, n)
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)
           FROM pg_catalog.pg_constraint k
           JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
           JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
          WHERE k.contype = 'f' AND (k.conrelid = $1) = $2
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
          ORDER BY 1, 2, k.conname",
        &[arg(relation), arg(own)],
        |row| {
            Ok(OtherKey {
                schema: row.need(1)?,
                table: row.need(2)?,
                key: ForeignKey {
                    ref_schema: row.need(3)?,
                    ref_table: row.need(4)?,
                    columns: row.need(5)?,
                    ref_columns: row.need(6)?,
                },
            })
        },
    )
}

/// What depends on a view, itself aside, as `pg_describe_object` names it.
pub fn dependents(view: pg_sys::Oid) -> Result<Vec<String>> {
    sql::rows(
        "SELECT DISTINCT CASE WHEN w.oid IS NULL THEN pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
                              ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0) END
           FROM pg_catalog.pg_depend d
           LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid
          WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.deptype = 'n'
            AND w.ev_class IS DISTINCT FROM $1 ORDER BY 1",
        &[arg(view)],
        |row| row.need(1),
    )
}

/// Columns of `relation` that a view reads.
pub fn columns_read(view: pg_sys::Oid, relation: pg_sys::Oid) -> Result<Vec<String>> {
    sql::rows(
        "SELECT DISTINCT a.attname::pg_catalog.text FROM pg_catalog.pg_rewrite w
           JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
           JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
          WHERE w.ev_class = $1 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $2 AND d.refobjsubid > 0",
        &[arg(view), arg(relation)],
        |row| row.need(1),
    )
}

/// Columns of `relation` on which `role` itself holds SELECT.
pub fn columns_granted(relation: pg_sys::Oid, role: &str) -> Result<Vec<String>> {
    sql::rows(
        "SELECT DISTINCT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
          CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS x
          WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND x.privilege_type = 'SELECT'
            AND x.grantee = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $2::pg_catalog.name)
          ORDER BY 1",
        &[arg(relation), arg(role)],
        |row| row.need(1),
    )
}

/// The type that a function declares for argument `i`, whichever overload this call site names; InvalidOid for none.
pub fn declared_type(args: Args, i: usize) -> pg_sys::Oid {
    // SAFETY: fcinfo names an existing function; the array of its argument types is palloc'd by the call.
    unsafe {
        let function = (*(*args.raw()).flinfo).fn_oid;
        let (mut types, mut n) = (std::ptr::null_mut(), 0);
        pg_sys::get_func_signature(function, &mut types, &mut n);
        let found = if i < n as usize { *types.add(i) } else { pg_sys::InvalidOid };
        if !types.is_null() {
            pg_sys::pfree(types.cast());
        }
        found
    }
}

/// An argument of type `name`, which is no varlena.
pub fn name_argument(args: Args, i: usize) -> Option<String> {
    let datum = args.datum(i)?;
    // SAFETY: the SQL declaration says `name`: a pointer to 64 bytes that end with a NUL.
    unsafe { Some(std::ffi::CStr::from_ptr(datum.cast_mut_ptr()).to_string_lossy().into_owned()) }
}
