//! What row binding adds to `encrypt_column` and `decrypt_column`: the columns to bind to, the number that says so, the
//! rewrite of existing rows, and the trigger for new ones.
#![allow(unsafe_code)] // ◆ a syscache look-up

use crate::pg::encrypted::bind::unsupported;
use crate::pg::encrypted::{ddl, plain_type_of, type_oids};
use crate::pg::error::notice;
use crate::pg::keys::ring::{ColumnInfo, KeyInfo};
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::switch;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, qualified};
use crate::pure::plaintext::PlainType;
use pgrx::pg_sys;

/// The trigger's name. It sorts behind every name of ASCII letters, for triggers fire in the order of their names and
/// this one has to see what the others made of the row.
pub const TRIGGER: &str = "~airlock_bind";

/// The columns that `encrypt_column` was told to bind to, held against the table; empty for none.
///
/// # Errors
/// 22023 for an empty list or a doubled name, 42703's cousin 42704 for an unknown column, 42804 for a type that cannot be
/// bound to, 55000 for a column that is computed, encrypted, or the encrypted one itself, and for a table with
/// inheritance children, which inherit no trigger.
pub fn wanted(relation: pg_sys::Oid, column: &str, bind: Option<Vec<Option<String>>>) -> Result<Vec<String>> {
    let Some(bind) = bind else { return Ok(Vec::new()) };
    let names: Vec<String> = bind.iter().flatten().cloned().collect();
    let twice = (1..names.len()).any(|i| names[..i].contains(&names[i]));
    if names.is_empty() || names.len() != bind.len() || twice {
        return Err(Error::new(Kind::InvalidArgument, "argument \"bind\" must name one or more columns, each once")
            .hint("bind => '{id}', or leave it out"));
    }
    sql::settled(|| {
        for name in &names {
            check(relation, column, name)?;
        }
        let children =
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = $1 AND NOT c.relispartition";
        if sql::first(children, &[arg(relation)], |row| row.need::<i64>(1))? != Some(0) {
            return Err(Error::new(
                Kind::State,
                "values of a table with inheritance children cannot be bound to their rows",
            )
            .detail("A child inherits the column and not the trigger that binds.")
            .hint("make the children partitions, or tables of their own"));
        }
        if function()?.is_none() {
            return Err(Error::new(Kind::State, "row binding needs the extension's objects of this version")
                .hint("ALTER EXTENSION pg_airlock UPDATE"));
        }
        Ok(())
    })?;
    Ok(names)
}

fn check(relation: pg_sys::Oid, column: &str, name: &str) -> Result<()> {
    let found = sql::first(
        "SELECT a.atttypid, a.attgenerated::pg_catalog.text FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name AND a.attnum > 0 AND NOT a.attisdropped",
        &[arg(relation), arg(name)],
        |row| Ok((row.need::<pg_sys::Oid>(1)?, row.need::<String>(2)?)),
    )?;
    let (oid, generated) = found.ok_or_else(|| {
        Error::new(Kind::Undefined, format!("column \"{name}\", to bind to, does not exist"))
            .hint("bind => '{…}' takes names of columns of the same table")
    })?;
    let refused = |why: &str| {
        Err(Error::new(Kind::State, format!("nothing can be bound to column \"{name}\": it is {why}"))
            .hint("bind to the primary key, or other plain columns that tell the row"))
    };
    // SAFETY: syscache look-ups.
    let base = unsafe { pg_sys::getBaseType(oid) };
    match type_oids() {
        _ if name == column => refused("the column that is encrypted"),
        Some((plain, searchable)) if base == plain || base == searchable => refused("encrypted itself"),
        _ if !generated.is_empty() => refused("generated, and computed when the row is bound already"),
        _ if plain_type_of(oid).is_none() => Err(unsupported(oid)),
        _ => Ok(()),
    }
}

/// `bind_row()` and who owns it.
fn function() -> Result<Option<(pg_sys::Oid, pg_sys::Oid)>> {
    sql::first(
        "SELECT p.oid, p.proowner FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE n.nspname = 'airlock' AND p.proname = 'bind_row'",
        &[],
        |row| Ok((row.need(1)?, row.need(2)?)),
    )
}

/// Registers a column number whose values are bound: gives it, and the expression that seals an existing value bound.
pub fn rewrite(key: &KeyInfo, ty: &str, unique: bool, column: &str, bind: &[String]) -> Result<(String, String)> {
    let number = ddl::register(key, unique, bind)?;
    let c = ident(column);
    let text = if key.plain_type == PlainType::Text { "::pg_catalog.text" } else { "" };
    let names: Vec<String> = bind.iter().map(|name| ident(name)).collect();
    let using = format!(" USING {ty}_bind({c}{text}::{ty}({number}), {})", names.join(", "));
    Ok((number.to_string(), using))
}

/// Makes the trigger serve the bound column, beside those that it serves already. The caller owns the table.
pub fn install(relation: pg_sys::Oid, schema: &str, table: &str, column: &str, bind: &[String]) -> Result<()> {
    sql::settled(|| {
        let number = "SELECT a.atttypmod FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name";
        let number = sql::first(number, &[arg(relation), arg(column)], |row| row.need::<i32>(1))?;
        let mut numbers = served(relation)?;
        numbers.extend(number);
        attach(schema, table, &numbers)?;
        tell(relation, table, bind)?;
        tell_partitions(relation, table)
    })
}

/// The column numbers that the table's trigger serves, of those that are columns of the table still.
fn served(relation: pg_sys::Oid) -> Result<Vec<i32>> {
    let Some((plain, searchable)) = type_oids() else { return Ok(Vec::new()) };
    sql::rows(
        "SELECT a.atttypmod FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = $1 AND a.atttypid IN ($2, $3) AND NOT a.attisdropped AND EXISTS (
            SELECT FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
             WHERE g.tgrelid = $1 AND g.tgname = $4::pg_catalog.name AND n.nspname = 'airlock' AND p.proname = 'bind_row'
               AND a.atttypmod::pg_catalog.text = ANY (pg_catalog.string_to_array(pg_catalog.encode(g.tgargs, 'escape'), '\\000')))
          ORDER BY a.attnum",
        &[arg(relation), arg(plain), arg(searchable), arg(TRIGGER)],
        |row| row.need(1),
    )
}

/// Makes the trigger, or changes what it serves, as the extension's owner: that is no right of everybody, see
/// `encrypted::bind`.
fn attach(schema: &str, table: &str, numbers: &[i32]) -> Result<()> {
    let Some((_, owner)) = function()? else { return Ok(()) };
    let (place, name) = (qualified(schema, table), ident(TRIGGER));
    let numbers: Vec<String> = numbers.iter().map(i32::to_string).collect();
    let create = format!(
        "CREATE OR REPLACE TRIGGER {name} BEFORE INSERT OR UPDATE ON {place} FOR EACH ROW EXECUTE FUNCTION airlock.bind_row({})",
        numbers.join(", ")
    );
    switch::as_owner(owner, || {
        sql::run(&create, &[])?;
        sql::run(&format!("ALTER TABLE {place} ENABLE ALWAYS TRIGGER {name}"), &[])?;
        Ok(())
    })
}

/// Two rows with the same bound columns can take each other's values: say so where nothing rules them out.
fn tell(relation: pg_sys::Oid, table: &str, bind: &[String]) -> Result<()> {
    let unique = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i
          WHERE i.indrelid = $1 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (SELECT FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE k.n <= i.indnkeyatts AND NOT a.attname::pg_catalog.text = ANY ($2))";
    if sql::first(unique, &[arg(relation), arg(bind.to_vec())], |row| row.need::<i64>(1))? == Some(0) {
        notice(
            Error::new(
                Kind::State,
                format!("no unique index of table \"{table}\" covers the columns that are bound to"),
            )
            .detail("Rows that are equal in them can take each other's values.")
            .hint("bind to the primary key, or make a unique index"),
        );
    }
    Ok(())
}

/// A partition clones the trigger, for which PostgreSQL asks whoever makes or attaches one for the right on it: its error
/// names no function, so it is said here.
fn tell_partitions(relation: pg_sys::Oid, table: &str) -> Result<()> {
    let owner = "SELECT pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text FROM pg_catalog.pg_class c
          WHERE c.oid = $1 AND c.relkind = 'p' AND NOT pg_catalog.has_function_privilege(c.relowner, 'airlock.bind_row()', 'EXECUTE')";
    if let Some(owner) = sql::first(owner, &[arg(relation)], |row| row.need::<String>(1))? {
        notice(
            Error::new(Kind::State, format!("the owner of table \"{table}\" cannot add partitions to it"))
                .detail("Each partition has the trigger that binds, and to attach it takes a right: with it, values of any bound column that a role may read can be bound to other rows in tables of its own.")
                .hint(format!("GRANT EXECUTE ON FUNCTION airlock.bind_row() TO {}, if it shall", ident(&owner))),
        );
    }
    Ok(())
}

/// Takes the trigger off a table that held the column number, where it serves no other.
pub fn uninstall(relation: pg_sys::Oid, schema: &str, table: &str) -> Result<()> {
    sql::settled(|| {
        let there = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
              WHERE g.tgrelid = $1 AND g.tgname = $2::pg_catalog.name AND n.nspname = 'airlock' AND p.proname = 'bind_row'";
        if sql::first(there, &[arg(relation), arg(TRIGGER)], |row| row.need::<i64>(1))? == Some(0) {
            return Ok(());
        }
        match &served(relation)?[..] {
            [] => {
                sql::run(&format!("DROP TRIGGER {} ON {}", ident(TRIGGER), qualified(schema, table)), &[]).map(|_| ())
            }
            left => attach(schema, table, left),
        }
    })
}

/// The bound columns as further arguments of `airlock.decrypt`; empty for a column that is bound to no row.
pub fn arguments(column: &ColumnInfo) -> String {
    column.bind.iter().map(|name| format!(", {}", ident(name))).collect()
}
