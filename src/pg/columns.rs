//! `encrypt_column` and `decrypt_column`: an existing column changes its type in the caller's transaction, by ALTER TABLE
//! as the caller, who must own the table. What hangs on the column's old type is refused by name, not dropped; only a
//! plain index of the column alone goes, and is named.
#![allow(unsafe_code)] // ◆ ownership, locks, statistics

use crate::pg::admin::may_change;
use crate::pg::encrypted::{plain_type_of, type_oids};
use crate::pg::error::notice;
use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::ring::{self, Number};
use crate::pg::readlog::identity;
use crate::pg::shared;
use crate::pg::sys::{compat, role_name, Args};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, literal, qualified, type_name};
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use pgrx::spi::SpiError;
use pgrx::{pg_sys, Spi};

sql_function!(
    /// `airlock.encrypt_column(relation regclass, column_name name, key text, searchable boolean)`
    airlock_encrypt_column,
    |args: crate::pg::sys::Args| {
        let (relation, column) = target(args)?;
        encrypt(relation, &column, &args.need::<String>(2, "key")?, args.need(3, "searchable")?)
    }
);
sql_function!(
    /// `airlock.decrypt_column(relation regclass, column_name name)`
    airlock_decrypt_column,
    |args: crate::pg::sys::Args| {
        let (relation, column) = target(args)?;
        decrypt(relation, &column)
    }
);

/// The relation and its descendants that have the column, with the column's number in each.
const FAMILY: &str = "WITH RECURSIVE family AS (
    SELECT $1::pg_catalog.oid AS relid
    UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.relid
  ), col AS (
    SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a JOIN family f ON a.attrelid = f.relid
     WHERE a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  ), plain_index AS (
    SELECT x.indexrelid, c.relispartition, n.nspname, c.relname
      FROM pg_catalog.pg_index x JOIN col ON x.indrelid = col.attrelid AND x.indkey[0] = col.attnum
      JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree'
     WHERE x.indnatts = 1 AND x.indexprs IS NULL AND x.indpred IS NULL
       AND NOT x.indisunique AND NOT x.indisprimary AND NOT x.indisexclusion AND NOT x.indisreplident
  )";

/// What the catalog says of the column.
struct Facts {
    schema: String,
    table: String,
    /// Position in the table.
    number: i16,
    type_oid: pg_sys::Oid,
    typmod: i32,
    /// `format_type` of it.
    type_text: String,
    /// Plain base type with a length or precision limit that an encrypted column does not keep.
    limited: bool,
    /// Whether it is of a domain.
    domain: bool,
}

impl Facts {
    fn relation(&self) -> String {
        qualified(&self.schema, &self.table)
    }
}

fn target(args: Args) -> Result<(pg_sys::Oid, String)> {
    if let Some(name) = identity::subprocessor()? {
        return Err(Error::new(
            Kind::OutsideScope,
            format!("columns are not changed in a session of sub-processor \"{name}\""),
        ));
    }
    may_change()?;
    let relation = args.need::<pg_sys::Oid>(0, "relation")?;
    let name =
        args.datum(1).ok_or_else(|| Error::new(Kind::InvalidArgument, "argument \"column_name\" must not be null"))?;
    // SAFETY: an argument of type name is a NameData, which ends with a NUL.
    let column = unsafe { std::ffi::CStr::from_ptr((*name.cast_mut_ptr::<pg_sys::NameData>()).data.as_ptr()) };
    let column = column.to_string_lossy().into_owned();
    own(relation)?;
    // SAFETY: an ERROR ends the transaction; the lock lasts as long as it.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessExclusiveLock as i32) };
    own(relation)?;
    Ok((relation, column))
}

/// 42501 unless the current role owns the table.
pub fn own(relation: pg_sys::Oid) -> Result<()> {
    // SAFETY: syscache look-ups.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        if name.is_null() {
            return Err(Error::new(Kind::Undefined, format!("there is no relation with OID {}", relation.to_u32())));
        }
        let (name, role) = (std::ffi::CStr::from_ptr(name).to_string_lossy(), pg_sys::GetUserId());
        if compat::owns_relation(relation, role) {
            return Ok(());
        }
        Err(Error::new(Kind::Privilege, format!("must be owner of table \"{name}\""))
            .hint(format!("run this as the table's owner; the current role is \"{}\"", role_name(role))))
    }
}

fn encrypt(relation: pg_sys::Oid, column: &str, key: &str, searchable: bool) -> Result<()> {
    let key = ring::key_by_name(key)?;
    if encrypted_input() == EncryptedInput::Ciphertext {
        return Err(Error::new(Kind::State, "airlock.encrypted_input is ciphertext: nothing would be sealed")
            .hint("RESET airlock.encrypted_input"));
    }
    let facts = inspect(|| facts(relation, column))?;
    let named = format!("column \"{column}\" of table \"{}\"", facts.table);
    if type_oids().is_some_and(|(plain, eq)| [plain, eq].contains(&facts.type_oid)) {
        return Err(Error::new(Kind::State, format!("{named} is encrypted already"))
            .hint("to change its key, decrypt_column first"));
    }
    if facts.domain {
        return Err(Error::new(
            Kind::State,
            format!("{named} is of domain {}, whose constraints would be lost", facts.type_text),
        )
        .hint("ALTER TABLE … ALTER COLUMN … TYPE its base type first"));
    }
    let plain = plain_type_of(facts.type_oid);
    if plain != Some(key.plain_type) {
        let wanted = key.plain_type.sql_name();
        return Err(Error::new(
            Kind::Mismatch,
            format!("{named} is of type {}, key \"{}\" seals {wanted}", facts.type_text, key.name),
        )
        .hint(plain.map_or_else(
            || format!("ALTER TABLE {} ALTER COLUMN {} TYPE {wanted} first", facts.relation(), ident(column)),
            |p| {
                format!(
                    "SELECT airlock.create_key('{}_{}', '{}') and use that key",
                    key.name,
                    column.to_lowercase(),
                    p.sql_name()
                )
            },
        )));
    }
    let indexes = inspect(|| {
        refuse_dependents(relation, column, &named)?;
        plain_indexes(relation, column)
    })?;
    for (name, _) in &indexes {
        execute(&format!("DROP INDEX {name}"))?;
    }
    forget_statistics(relation, column)?;
    let ty = if searchable { "airlock.encrypted_eq" } else { "airlock.encrypted" };
    let c = ident(column);
    // text's relatives go through the cast to text: char(n) loses its padding there, as everywhere in SQL
    let using = if key.plain_type == PlainType::Text { format!(" USING {c}::pg_catalog.text") } else { String::new() };
    execute(&format!("ALTER TABLE {} ALTER COLUMN {c} TYPE {ty}({}){using}", facts.relation(), literal(&key.name)))?;
    forget_statistics(relation, column)?;
    let now = inspect(|| self::facts(relation, column))?.typmod;
    if !matches!(ring::number(now)?, Some(Number::Column(_))) {
        return Err(Error::new(Kind::State, format!("{named} got no column number"))
            .hint("is pg_airlock preloaded? SELECT * FROM airlock.doctor()"));
    }
    shared::changed();
    if facts.limited {
        notice(Error::new(
            Kind::State,
            format!("the limits of type {} are no longer checked in {named}", facts.type_text),
        ));
    }
    for (name, definition) in indexes {
        notice(
            Error::new(Kind::State, format!("index {name} was dropped: an encrypted column has no order"))
                .hint(format!("after airlock.decrypt_column it can be made again: {definition}")),
        );
    }
    let (lsn, time) = inspect(position)?;
    notice(
        Error::new(Kind::State, format!("{named} is encrypted from WAL position {lsn}, {time}"))
            .detail("WAL, its archive, backups, replicas' WAL and server logs from before then still hold the plaintext, and so do free space in pg_statistic and the file system's freed blocks.")
            .hint("Once this is committed: VACUUM FULL pg_catalog.pg_statistic, take a new base backup, and expire the older ones."),
    );
    Ok(())
}

fn decrypt(relation: pg_sys::Oid, column: &str) -> Result<()> {
    let facts = inspect(|| facts(relation, column))?;
    let named = format!("column \"{column}\" of table \"{}\"", facts.table);
    if !type_oids().is_some_and(|(plain, eq)| [plain, eq].contains(&facts.type_oid)) {
        return Err(Error::new(Kind::State, format!("{named} is not encrypted"))
            .detail(format!("It is of type {}.", facts.type_text)));
    }
    let Some(Number::Column(info)) = ring::number(facts.typmod)? else {
        return Err(Error::new(Kind::Undefined, format!("the encrypted column number of {named} is unknown"))
            .hint("was the dump restored without the rows of airlock_catalog?"));
    };
    // SAFETY: reads a variable.
    ring::may_decrypt(&info.key, unsafe { pg_sys::GetUserId() })?;
    inspect(|| refuse_dependents(relation, column, &named))?;
    let c = ident(column);
    let ty = type_name(info.key.plain_type.sql_name());
    let using = if info.key.plain_type == PlainType::Text {
        format!("airlock.decrypt({c})")
    } else {
        format!("airlock.decrypt({c}, NULL::{ty})")
    };
    execute(&format!("ALTER TABLE {} ALTER COLUMN {c} TYPE {ty} USING {using}", facts.relation()))?;
    shared::changed();
    notice(
        Error::new(Kind::State, format!("{named} holds plaintext again, of type {ty}"))
            .detail("Indexes, limits and collation from before it was encrypted are not brought back."),
    );
    Ok(())
}

fn facts(relation: pg_sys::Oid, column: &str) -> Result<Facts> {
    let sql = "SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text, a.attnum, a.atttypid, a.atttypmod,
        pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated::pg_catalog.text, a.attidentity::pg_catalog.text,
        c.relispartition OR coalesce(a.attinhcount, 0) > 0, t.typtype = 'd'
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.oid = $1";
    let found = Spi::connect_mut(|c| -> std::result::Result<_, SpiError> {
        let row = c.update(sql, Some(1), &[relation.into(), column.into()])?.first();
        let text = |i| row.get::<String>(i).map(Option::unwrap_or_default);
        let facts = Facts {
            schema: text(1)?,
            table: text(2)?,
            number: row.get::<i16>(4)?.unwrap_or(0),
            type_oid: row.get::<pg_sys::Oid>(5)?.unwrap_or(pg_sys::InvalidOid),
            typmod: row.get::<i32>(6)?.unwrap_or(-1),
            type_text: text(7)?,
            limited: row.get::<i32>(6)?.unwrap_or(-1) >= 0,
            domain: row.get::<bool>(11)?.unwrap_or(false),
        };
        Ok((facts, text(3)?, text(8)?, text(9)?, row.get::<bool>(10)?.unwrap_or(false)))
    });
    let (facts, kind, generated, identity, inherited) = found.map_err(failed)?;
    let table = &facts.table;
    let refused = |message: String| Err(Error::new(Kind::State, message));
    if kind != "r" && kind != "p" {
        return refused(format!("\"{table}\" is not a table"));
    }
    if relation.to_u32() < pg_sys::FirstNormalObjectId
        || ["airlock", "airlock_catalog", "airlock_scope"].contains(&&*facts.schema)
    {
        return refused(format!("\"{table}\" is a system table"));
    }
    if facts.number == 0 {
        return Err(Error::new(Kind::Undefined, format!("column \"{column}\" of table \"{table}\" does not exist")));
    }
    if facts.number < 0 {
        return refused(format!("column \"{column}\" of table \"{table}\" is a system column"));
    }
    if inherited {
        return refused(format!("column \"{column}\" of table \"{table}\" comes from a parent table"))
            .map_err(|e| e.hint("run this on the parent: its children follow"));
    }
    if !generated.is_empty() || !identity.is_empty() {
        return refused(format!("column \"{column}\" of table \"{table}\" is generated"));
    }
    Ok(facts)
}

/// 55000 naming everything that hangs on the column's type.
fn refuse_dependents(relation: pg_sys::Oid, column: &str, named: &str) -> Result<()> {
    let sql = format!(
        "{FAMILY}, found AS (
           SELECT CASE WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = d.refobjid THEN 'partition key of ' ELSE '' END
                  || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS what
             FROM pg_catalog.pg_depend d JOIN col ON d.refobjid = col.attrelid AND d.refobjsubid = col.attnum
            WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef f
                    WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid AND f.adrelid = col.attrelid AND f.adnum = col.attnum)
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.oid = d.objid AND s.relkind = 'S')
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                    WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid AND k.contype = 'n')
              AND NOT EXISTS (SELECT FROM plain_index p WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND p.indexrelid = d.objid)
           UNION
           SELECT pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0)
             FROM pg_catalog.pg_constraint k JOIN col
               ON (k.conrelid = col.attrelid AND col.attnum = ANY (k.conkey)) OR (k.confrelid = col.attrelid AND col.attnum = ANY (k.confkey))
            WHERE k.contype <> 'n'
           UNION
           SELECT 'partition key of ' || pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, p.partrelid, 0)
             FROM pg_catalog.pg_partitioned_table p JOIN col ON p.partrelid = col.attrelid AND col.attnum = ANY (p.partattrs)
           UNION
           SELECT 'index ' || x.indexrelid::pg_catalog.regclass::pg_catalog.text
             FROM pg_catalog.pg_index x JOIN col ON x.indrelid = col.attrelid AND col.attnum = ANY (x.indkey)
            WHERE NOT EXISTS (SELECT FROM plain_index p WHERE p.indexrelid = x.indexrelid)
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid)
           UNION
           SELECT 'replica identity FULL of table ' || c.oid::pg_catalog.regclass::pg_catalog.text || ', which has no primary key'
             FROM pg_catalog.pg_class c JOIN col ON c.oid = col.attrelid
            WHERE c.relreplident = 'f' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisprimary)
         ) SELECT what FROM found ORDER BY what COLLATE \"C\""
    );
    let found = rows(&sql, relation, column, |row| row.get::<String>(1))?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::State, format!("other objects depend on the type of {named}"))
        .detail(found.into_iter().flatten().collect::<Vec<_>>().join("\n"))
        .hint("drop them, change the column, and make those again that still have a meaning"))
}

/// Plain indexes on the column alone: qualified name and definition.
fn plain_indexes(relation: pg_sys::Oid, column: &str) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "{FAMILY} SELECT nspname::pg_catalog.text, relname::pg_catalog.text, pg_catalog.pg_get_indexdef(indexrelid)
           FROM plain_index WHERE NOT relispartition ORDER BY 1, 2"
    );
    rows(&sql, relation, column, |row| {
        let text = |i| row.get::<String>(i).map(Option::unwrap_or_default);
        // of a partitioned table it says ONLY, and would leave the partitions out
        Ok((qualified(&text(1)?, &text(2)?), text(3)?.replacen(" ON ONLY ", " ON ", 1)))
    })
}

/// Removes the column's statistics, which hold its most common values, in the table and its children.
fn forget_statistics(relation: pg_sys::Oid, column: &str) -> Result<()> {
    let sql = format!("{FAMILY} SELECT attrelid, attnum FROM col");
    let columns = inspect(|| rows(&sql, relation, column, |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<i16>(2)?))))?;
    for (table, number) in columns {
        if let (Some(table), Some(number)) = (table, number) {
            // SAFETY: deletes rows of pg_statistic in this transaction, under the table's exclusive lock.
            unsafe { pg_sys::RemoveStatistics(table, number) };
        }
    }
    Ok(())
}

/// Where the WAL ends now, and when that is.
fn position() -> Result<(String, String)> {
    let sql =
        "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text, pg_catalog.clock_timestamp()::pg_catalog.text";
    let pair =
        Spi::connect_mut(|c| c.update(sql, Some(1), &[])?.first().get_two::<String, String>()).map_err(failed)?;
    Ok((pair.0.unwrap_or_default(), pair.1.unwrap_or_default()))
}

/// The rows of a query about `$1` relation, `$2` column. Run read-write, for it must see what this transaction did.
fn rows<T>(
    sql: &str,
    relation: pg_sys::Oid,
    column: &str,
    each: impl Fn(&pgrx::spi::SpiHeapTupleData) -> std::result::Result<T, SpiError>,
) -> Result<Vec<T>> {
    let args = [relation.into(), column.into()];
    let found: std::result::Result<Vec<T>, SpiError> =
        Spi::connect_mut(|c| c.update(sql, None, &args)?.map(|row| each(&row)).collect());
    found.map_err(failed)
}

fn execute(sql: &str) -> Result<()> {
    Spi::connect_mut(|c| c.update(sql, None, &[]).map(|_| ())).map_err(failed)
}

fn failed(error: SpiError) -> Error {
    Error::new(Kind::Corrupt, format!("a query of pg_airlock failed: {error}"))
}

/// Runs catalog queries with only `pg_catalog` on the search path, so that their operators are Postgres' own. Not the
/// ALTER TABLE: event triggers it fires see the caller's path. An ERROR undoes the setting with the transaction.
fn inspect<T>(queries: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: what functions with SET search_path do: a nest level, a saved setting, and the level's end.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let result = queries();
        pg_sys::AtEOXact_GUC(true, level);
        result
    }
}
