//! Classes of columns: SQL to set and drop what holds for one, and what a scope's maker has to know of them.
//!
//! A column's class is its security label (`readlog::relabel`); what holds for a class is kept here, version by version.

use crate::pg::admin::{act, caller, sees_all, unknown_subprocessor};
use crate::pg::sys::json::json_argument;
use crate::pg::sys::sql::{self, arg, Row};
use crate::pg::sys::{roles, scan};
use crate::pure::class::{self, Class, Classes};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{literal, shown};
use crate::pure::scope::defaults::{check_default, Classified, Labels};
use crate::sql_function;
use pgrx::{pg_sys, JsonB};
use serde_json::Value;
use std::collections::BTreeMap;

sql_function!(
    /// `airlock.set_class(class text, mask jsonb DEFAULT NULL, forbid_clear boolean DEFAULT false, subprocessor text DEFAULT NULL)`:
    /// what holds for columns with that class and its sub-classes, in the place of what held before: the default mask, as a
    /// rule of a scope has it (NULL: the class says none), and whether scopes may show such columns clear. With a sub-processor
    /// only for that one, on top of what holds for all. Scopes that exist do not change.
    ///
    /// Errors: `22023` no class; `AL010` with the JSON path of what is wrong with the mask; `42704` unknown sub-processor;
    /// `25001` in a transaction that keeps its first snapshot.
    airlock_set_class,
    |args| {
        let name: String = args.need(0, "class")?;
        let (mask, forbid_clear) = (json_argument(args, 1, "mask")?, args.get(2).unwrap_or(false));
        let subprocessor: Option<String> = args.get(3);
        act(|| set(&name, &mask, forbid_clear, subprocessor.as_deref()))
    }
);

sql_function!(
    /// `airlock.drop_class(class text, subprocessor text DEFAULT NULL)`: ends what was set for the class, for all or for that
    /// sub-processor; labels stay, and scopes that exist do not change. Errors: `42704` nothing was set.
    airlock_drop_class,
    |args| {
        let (name, subprocessor): (String, Option<String>) = (args.need(0, "class")?, args.get(1));
        act(|| drop(&name, subprocessor.as_deref()))
    }
);

/// Whether the SQL objects know classes; those of 0.1.0 do not.
pub fn known() -> bool {
    scan::table_oid("class").is_some()
}

/// The labels on the columns of a relation, and the classes as that sub-processor meets them. Nobody can set a class until the
/// transaction ends; who labels a column of the relation waits for the lock on it.
pub fn of(relation: pg_sys::Oid, subprocessor: i32) -> Result<Classified> {
    if !known() {
        return Ok(Classified { absent: true, ..Classified::default() });
    }
    sql::run("LOCK TABLE airlock_catalog.class IN SHARE MODE", &[])?;
    let mut columns: BTreeMap<String, Labels> = BTreeMap::new();
    let labels = sql::rows(
        "SELECT l.column_name, l.label, k.class FROM airlock_catalog.column_label l
           LEFT JOIN airlock_catalog.column_class k ON k.relation = l.relation AND k.column_name = l.column_name
          WHERE l.relation = $1",
        &[arg(relation)],
        |row| Ok((row.need::<String>(1)?, row.need::<String>(2)?, row.get::<String>(3)?)),
    )?;
    for (column, label, class) in labels {
        let found = columns.entry(column).or_default();
        found.all.insert(label);
        found.class = class;
    }
    let classes = sql::rows(
        "SELECT k.class, k.subprocessor IS NOT NULL, k.mask, k.forbid_clear FROM airlock_catalog.class k
          WHERE k.until IS NULL AND (k.subprocessor IS NULL OR k.subprocessor = $1)",
        &[arg(subprocessor)],
        |row| Ok(Class { name: row.need(1)?, own: row.need(2)?, mask: json(row, 3)?, forbid_clear: row.need(4)? }),
    )?;
    Ok(Classified { columns, classes: Classes(classes), absent: false })
}

fn json(row: &Row, column: usize) -> Result<Option<Value>> {
    Ok(row.get::<JsonB>(column)?.map(|json| json.0))
}

/// What is in force for one class, for all or for one sub-processor.
struct InForce {
    id: i32,
    mask: Option<Value>,
    forbid_clear: bool,
}

/// The version in force and the sub-processor's number. Administrators take turns, and wait for scopes that are being made.
fn in_force(name: &str, subprocessor: Option<&str>) -> Result<(Option<InForce>, Option<i32>)> {
    if !known() {
        return Err(Error::new(Kind::Unsupported, "the objects of the extension know no classes yet")
            .hint("ALTER EXTENSION pg_airlock UPDATE"));
    }
    let number = |name: &str| {
        let sql = "SELECT s.id FROM airlock_catalog.subprocessor s WHERE s.name = $1";
        sql::first(sql, &[arg(name)], |row| row.need::<i32>(1))?.ok_or_else(|| unknown_subprocessor(name))
    };
    let owner = subprocessor.map(number).transpose()?;
    sees_all()?;
    sql::run("LOCK TABLE airlock_catalog.class IN SHARE ROW EXCLUSIVE MODE", &[])?;
    let found = sql::first(
        "SELECT k.id, k.mask, k.forbid_clear FROM airlock_catalog.class k
          WHERE k.class = $1 AND k.subprocessor IS NOT DISTINCT FROM $2 AND k.until IS NULL",
        &[arg(name), arg(owner)],
        |row| Ok(InForce { id: row.need(1)?, mask: json(row, 2)?, forbid_clear: row.need(3)? }),
    )?;
    Ok((found, owner))
}

fn set(name: &str, mask: &Option<Value>, forbid_clear: bool, subprocessor: Option<&str>) -> Result<()> {
    class::check(name)?;
    mask.as_ref().map_or(Ok(()), check_default)?;
    let (before, owner) = in_force(name, subprocessor)?;
    if let Some(before) = before {
        if before.mask == *mask && before.forbid_clear == forbid_clear {
            return Ok(());
        }
        end(before.id)?;
    }
    sql::run(
        "INSERT INTO airlock_catalog.class (class, subprocessor, mask, forbid_clear, acting_role) VALUES ($1, $2, $3, $4, $5)",
        &[arg(name), arg(owner), arg(mask.clone().map(JsonB)), arg(forbid_clear), arg(acting())],
    )?;
    Ok(())
}

fn drop(name: &str, subprocessor: Option<&str>) -> Result<()> {
    if let (Some(before), _) = in_force(name, subprocessor)? {
        return end(before.id);
    }
    let whose = subprocessor.map_or(String::new(), |s| format!(" for sub-processor {}", shown(s)));
    Err(Error::new(Kind::Undefined, format!("nothing is set for class {}{whose}", shown(name)))
        .hint(format!("see SELECT * FROM airlock.classes WHERE class = {}", literal(name))))
}

/// A version stays, with its end.
fn end(id: i32) -> Result<()> {
    sql::run(
        "UPDATE airlock_catalog.class SET until = pg_catalog.now(), until_login_role = SESSION_USER, until_acting_role = $2 WHERE id = $1",
        &[arg(id), arg(acting())],
    )?;
    Ok(())
}

fn acting() -> String {
    roles::name(caller()).unwrap_or_default()
}
