//! Records that somebody wants kept whatever their period: a legal hold.

use crate::pg::admin::{act, caller, said, unknown_subprocessor};
use crate::pg::readlog::audit;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{roles, scan, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::sql_function;
use pgrx::datum::TimestampWithTimeZone;
use std::collections::HashSet;

sql_function!(
    /// `airlock.hold_log(reason text, subprocessor text DEFAULT NULL) → integer`: from now on nothing of the sub-processor's
    /// records is erased, or of anybody's where none is named, until `release_log_hold()` is called with the number that this
    /// gives. Meanwhile no epoch of the subject key can be destroyed. Days are erased whole, so others' records of the same
    /// days stay as well.
    ///
    /// Errors: `22023` no reason; `42704` no such sub-processor.
    airlock_hold_log,
    |args| {
        let reason: String = args.need(0, "reason")?;
        let subprocessor: Option<String> = args.get(1);
        act(|| hold(&said(reason, "reason")?, subprocessor.as_deref())).map(Sql)
    }
);

sql_function!(
    /// `airlock.release_log_hold(hold integer, reason text)`: ends a hold; what has been kept for long enough may be erased then.
    ///
    /// Errors: `22023` no reason; `42704` no such hold; `55000` it was released already.
    airlock_release_log_hold,
    |args| {
        let hold: i32 = args.need(0, "hold")?;
        let reason: String = args.need(1, "reason")?;
        act(|| release(hold, &said(reason, "reason")?))
    }
);

fn asker() -> String {
    roles::name(caller()).unwrap_or_default()
}

fn hold(reason: &str, subprocessor: Option<&str>) -> Result<i32> {
    let whose = match subprocessor {
        None => None,
        Some(name) => {
            let sql = "SELECT s.id FROM airlock_catalog.subprocessor s WHERE s.name = $1";
            let id = sql::first(sql, &[arg(name)], |row| row.need::<i32>(1))?;
            Some(id.ok_or_else(|| unknown_subprocessor(name))?)
        }
    };
    // whoever erases next sees the hold, or has erased before it was there
    sql::run("LOCK TABLE airlock_catalog.log_hold IN SHARE ROW EXCLUSIVE MODE", &[])?;
    audit::note(&format!("hold_log: {}; reason: {reason}", subprocessor.unwrap_or("all")), &[])?;
    let sql = "INSERT INTO airlock_catalog.log_hold (subprocessor, reason, held_by) VALUES ($1, $2, $3) RETURNING id";
    let id = sql::first(sql, &[arg(whose), arg(reason), arg(asker())], |row| row.need::<i32>(1))?;
    id.ok_or_else(|| Error::new(Kind::State, "the hold was not stored"))
}

fn release(hold: i32, reason: &str) -> Result<()> {
    let sql = "SELECT h.released_at IS NOT NULL FROM airlock_catalog.log_hold h WHERE h.id = $1 FOR UPDATE";
    match sql::first(sql, &[arg(hold)], |row| row.need::<bool>(1))? {
        Some(false) => {}
        Some(true) => {
            return Err(Error::new(Kind::State, format!("hold {hold} was released already"))
                .hint("see TABLE airlock.log_holds"))
        }
        None => {
            return Err(
                Error::new(Kind::Undefined, format!("there is no hold {hold}")).hint("see TABLE airlock.log_holds")
            )
        }
    }
    audit::note(&format!("release_log_hold: {hold}; reason: {reason}"), &[])?;
    let sql = "UPDATE airlock_catalog.log_hold SET released_at = pg_catalog.clock_timestamp(), released_by = $2, release_reason = $3 WHERE id = $1";
    sql::run(sql, &[arg(hold), arg(asker()), arg(reason)]).map(|_| ())
}

/// Whose records are held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Everybody's.
    pub all: bool,
    /// Those of these sub-processors.
    pub subprocessors: HashSet<String>,
}

impl Held {
    /// As of now, and so until this transaction ends; `None` while somebody is about to change it.
    pub fn kept_so() -> Result<Option<Held>> {
        let locked = sql::attempted(|| {
            match sql::impatient(|| sql::run("LOCK TABLE airlock_catalog.log_hold IN SHARE MODE", &[]).map(|_| ()))? {
                true => Ok(()),
                false => Err(Error::new(Kind::State, "somebody holds the lock")),
            }
        })?;
        locked.ok().map(|()| Self::now()).transpose()
    }

    /// As of now.
    pub fn now() -> Result<Held> {
        let sql = "SELECT s.name FROM airlock_catalog.log_hold h LEFT JOIN airlock_catalog.subprocessor s ON s.id = h.subprocessor \
                   WHERE h.released_at IS NULL";
        let mut held = Held::default();
        for name in sql::rows(sql, &[], |row| row.get::<String>(1))? {
            match name {
                Some(name) => drop(held.subprocessors.insert(name)),
                None => held.all = true,
            }
        }
        Ok(held)
    }
}

/// Whether anything is held, by the newest state of the catalog.
pub fn any() -> Result<bool> {
    let mut found = false;
    scan::table("log_hold", |row| {
        found |= row.get::<TimestampWithTimeZone>("released_at").is_none();
        Ok(())
    })?;
    Ok(found)
}
