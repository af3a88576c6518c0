//! `CALL airlock.encrypt_column_online(…)`: a column is encrypted while the application reads and writes it.
//!
//! | step | lock | what |
//! |---|---|---|
//! | twin | exclusive, an instant | a second column of the encrypted type, and a trigger that seals each row's value into it |
//! | backfill | none | rows that have a value and no sealed one, in batches |
//! | swap | exclusive, short | the twin takes the column's name, default, NOT NULL, rights and comment; the column is dropped |
//! | wipe | none | rows that still hold the dropped column's value, in batches |
//!
//! Each step is read off the catalog and the rows, so a call after a crash or cancel goes on where it was. The exclusive
//! locks are waited for five seconds only: whoever reads meanwhile is not kept behind a lock that waits for others.
#![allow(unsafe_code)] // ◆ a table lock, a column's attributes

use super::rewrite::{self, Change, Fields, Most};
use super::row::Claim;
use super::session::Session;
use super::throttle::Throttle;
use super::{family, run, Pace, Table};
use crate::pg::columns::{candidate, history, own, Candidate};
use crate::pg::encrypted::twin;
use crate::pg::encrypted::type_oids;
use crate::pg::error::notice;
use crate::pg::keys::ring::{self, Number};
use crate::pg::shared;
use crate::pg::sys::catalog::name_argument;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{compat, Args};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::{ident, literal};
use crate::sql_function;
use pgrx::pg_sys;

const ENCRYPT: &str = "encrypt";
const WIPE: &str = "wipe";

sql_function!(
    /// `CALL airlock.encrypt_column_online(relation regclass, column_name name, key text, searchable boolean, "unique" boolean,
    /// batch_rows integer, rows_per_second integer, max_lag_mb integer, swap boolean)`: encrypts an existing column in batches
    /// with a commit after each. With `swap => false` it stops when all rows are sealed in the twin column, so that indexes
    /// can be built on that one with CREATE INDEX CONCURRENTLY; the next call swaps. Runs as the caller, who must own the
    /// table. The column moves to the table's end.
    ///
    /// Errors: 25001 in a transaction block or function; 42501 not the owner; 55000 what hangs on the column, locks of
    /// others that do not end, or inheritance; 55006 another session is at it; 42804 the key seals another type.
    airlock_encrypt_column_online,
    online
);

/// What the call asks for.
struct Wish {
    relation: pg_sys::Oid,
    column: String,
    key: String,
    searchable: bool,
    unique: bool,
    swap: bool,
}

impl Wish {
    fn candidate(&self) -> Result<Candidate> {
        candidate(self.relation, &self.column, &self.key, self.searchable, self.unique)
    }
}

/// Where an earlier call left the column.
enum Stage {
    /// Nothing is done yet.
    Untouched,
    /// There is a twin, of this name.
    Twin(String),
    /// It is encrypted, and rows may still hold the old value.
    Swapped,
}

fn online(args: Args) -> Result<()> {
    let wish = Wish {
        relation: args.need(0, "relation")?,
        column: name_argument(args, 1)
            .ok_or_else(|| Error::new(Kind::InvalidArgument, "argument \"column_name\" must not be null"))?,
        key: args.need(2, "key")?,
        searchable: args.need(3, "searchable")?,
        unique: args.need(4, "unique")?,
        swap: args.need(8, "swap")?,
    };
    let batch_rows = u64::try_from(args.need::<i32>(5, "batch_rows")?).ok().filter(|n| *n > 0).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, "argument \"batch_rows\" must be positive").hint("leave it out for 10000")
    })?;
    let mut pace = Pace { batch_rows, throttle: Throttle::new(args.get(6), args.get(7))? };
    let session = Session::open(args, "CALL airlock.encrypt_column_online")?;
    own(wish.relation)?;
    let tables = family(wish.relation)?;
    let claims = |kind, tables: &[Table]| -> Result<Vec<Claim>> {
        let column = if kind == WIPE { "" } else { &*wish.column };
        tables.iter().map(|table| Claim::take(kind, table.oid, &table.name, column)).collect()
    };
    let sealing = claims(ENCRYPT, &tables)?;
    let stage = stage(&wish, &tables)?;
    if !matches!(stage, Stage::Swapped) {
        let twin = match stage {
            Stage::Twin(twin) => {
                as_begun(&wish, &twin)?;
                twin
            }
            _ => {
                let twin = sql::settled(|| make_twin(&wish))?;
                session.commit();
                twin
            }
        };
        for claim in &sealing {
            run(&session, claim, &mut pace, &mut Backfill::new(&wish.column, &twin))?;
        }
        if !wish.swap {
            notice(
                Error::new(Kind::State, format!("all values are sealed in column \"{twin}\" as well, and stay so"))
                    .hint(format!(
                    "CREATE INDEX CONCURRENTLY on it what searches need, then call this again without swap => false; \
                         to go back: DROP TRIGGER {}, and drop the column",
                    ident(twin::TRIGGER)
                )),
            );
            return Ok(());
        }
        sql::settled(|| swap(&wish, &twin, &sealing))?;
        for claim in claims(WIPE, &family(wish.relation)?)? {
            claim.begin()?;
        }
        session.commit();
    } else {
        as_begun(&wish, &wish.column)?;
    }
    for claim in &claims(WIPE, &family(wish.relation)?)? {
        run(&session, claim, &mut pace, &mut Wipe::default())?;
    }
    let found = sql::first(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), a.atttypmod
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2::pg_catalog.name WHERE c.oid = $1",
        &[arg(wish.relation), arg(wish.column.clone())],
        |row| Ok((row.need::<String>(1)?, row.need::<i32>(2)?)),
    )?;
    if let Some((table, number)) = found {
        let (lsn, time) = history::encrypted(number)?;
        let column = &wish.column;
        notice(
            Error::new(Kind::State, format!("column \"{column}\" of table {table} is encrypted, and no live row holds its plaintext"))
                .detail(format!("WAL, its archive, backups and replicas' WAL from before {lsn}, {time}, hold it, and in the table's files dead rows do until they are vacuumed and scrubbed."))
                .hint(format!("VACUUM {table}; SELECT * FROM airlock.scrub({}); then take a new base backup and expire the older ones", literal(&table))),
        );
    }
    Ok(())
}

fn stage(wish: &Wish, tables: &[Table]) -> Result<Stage> {
    if let Some(twin) = twin::of(wish.relation, &wish.column)? {
        return Ok(Stage::Twin(twin));
    }
    let encrypted = sql::first(
        "SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name AND NOT a.attisdropped",
        &[arg(wish.relation), arg(wish.column.clone())],
        |row| row.need::<pg_sys::Oid>(1),
    )?;
    let ours = type_oids().is_some_and(|(plain, eq)| encrypted.is_some_and(|oid| oid == plain || oid == eq));
    if ours {
        for table in tables {
            if super::row::unfinished(WIPE, table.oid)? {
                return Ok(Stage::Swapped);
            }
        }
    }
    Ok(Stage::Untouched)
}

/// Refuses to go on with another key or type than a call before began with, as which column `sealed` is made.
fn as_begun(wish: &Wish, sealed: &str) -> Result<()> {
    let made = sql::first(
        "SELECT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name AND NOT a.attisdropped",
        &[arg(wish.relation), arg(sealed)],
        |row| Ok((row.need::<pg_sys::Oid>(1)?, row.need::<i32>(2)?)),
    )?;
    // a twin that is gone is what the backfill tells
    let Some((oid, number)) = made else { return Ok(()) };
    let Some(Number::Column(column)) = ring::number(number)? else { return Ok(()) };
    let searchable = type_oids().is_some_and(|(_, eq)| eq == oid);
    let begun = (&*column.key.name, searchable, column.wide);
    if begun == (&*wish.key, wish.searchable, wish.searchable && wish.unique) {
        return Ok(());
    }
    let (key, searchable, unique) = begun;
    let key = literal(key);
    Err(Error::new(
        Kind::State,
        format!("column \"{}\" is being encrypted with other arguments than these", wish.column),
    )
    .detail(format!("It was begun with key => {key}, searchable => {searchable}, \"unique\" => {unique}."))
    .hint("call it again with those: it goes on where it was"))
}

/// Waits for the exclusive lock, but not for long.
fn lock(relation: pg_sys::Oid, table: &str) -> Result<()> {
    // SAFETY: an ERROR ends the transaction; the lock lasts as long as it.
    let lock = |oid| unsafe { pg_sys::LockRelationOid(oid, pg_sys::AccessExclusiveLock as i32) };
    if sql::impatient(|| {
        lock(relation);
        // the lock of a partitioned table is not that of its partitions; none is attached any more now
        family(relation)?.iter().for_each(|member| lock(member.oid));
        Ok(())
    })? {
        return own(relation);
    }
    Err(Error::new(Kind::InUse, format!("table {table} is in use by long transactions"))
        .detail("For an instant nobody may use the table, and five seconds were not enough to get there.")
        .hint("call it again, it goes on; SELECT pid, query FROM pg_stat_activity WHERE xact_start < now() - interval '5 s'"))
}

fn make_twin(wish: &Wish) -> Result<String> {
    let before = wish.candidate()?;
    let table = before.facts.relation();
    lock(wish.relation, &table)?;
    let key = wish.candidate()?.key;
    let inherits = sql::first(
        "SELECT true FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhparent WHERE i.inhparent = $1 AND c.relkind = 'r'",
        &[arg(wish.relation)],
        |row| row.need::<bool>(1),
    )?;
    if inherits.is_some() {
        return Err(Error::new(Kind::State, format!("table {table} has children by inheritance"))
            .detail("The trigger that keeps the sealed column right would not fire in them.")
            .hint("airlock.encrypt_column, which rewrites parent and children in one transaction"));
    }
    let hangs = sql::first(
        "SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_seclabel l JOIN pg_catalog.pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid
                  WHERE l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objoid = $1 AND a.attname = $2::pg_catalog.name AND l.provider <> 'airlock') THEN 'a security label'
              ELSE (SELECT pg_catalog.min('publication ' || p.pubname) FROM pg_catalog.pg_publication_tables p
                     WHERE p.schemaname = $3::pg_catalog.name AND p.tablename = $4::pg_catalog.name) END",
        &[arg(wish.relation), arg(wish.column.clone()), arg(before.facts.schema.clone()), arg(before.facts.table.clone())],
        |row| row.get::<String>(1),
    )?;
    if let Some(what) = hangs.flatten() {
        return Err(Error::new(Kind::State, format!("{what} is on column \"{}\" or its table", wish.column))
            .detail("A label would not move along; subscribers of a publication lack the new column.")
            .hint("take it away first and make it again afterwards, or use airlock.encrypt_column"));
    }
    let twin = twin::name(&wish.column);
    let (kind, option) = match (wish.searchable, wish.unique) {
        (false, _) => ("encrypted", ""),
        (true, false) => ("encrypted_eq", ""),
        (true, true) => ("encrypted_eq", ", 'unique'"),
    };
    let c = ident(&twin);
    sql::run(&format!("ALTER TABLE {table} ADD COLUMN {c} airlock.{kind}({}{option})", literal(&key.name)), &[])?;
    let trigger = ident(twin::TRIGGER);
    sql::run(
        &format!(
            "CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION airlock.seal_twin({}, {})",
            literal(&wish.column),
            literal(&twin)
        ),
        &[],
    )?;
    sql::run(&format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"), &[])?;
    Ok(twin)
}

/// The twin takes the column's place, in one transaction.
fn swap(wish: &Wish, twin: &str, claims: &[Claim]) -> Result<()> {
    let table = wish.candidate()?.facts.relation();
    lock(wish.relation, &table)?;
    let plan = wish.candidate()?.plan;
    let busy = || {
        Error::new(Kind::InUse, format!("rows of table {table} are locked by another transaction"))
            .hint("call it again, it goes on")
    };
    // nobody writes now. What a trigger that was disabled, or ran later, let through is found, also in partitions that were
    // attached meanwhile: each twin is opened and compared
    for held in family(wish.relation)? {
        let (end, mut at) = (rewrite::blocks(held.oid)?, (0, 0));
        while at.0 < end {
            let most = Most { rows: u64::MAX, blocks: rewrite::BLOCKS };
            let change = &mut Backfill { compare: true, ..Backfill::new(&wish.column, twin) };
            let batch = rewrite::batch(held.oid, at, end, &most, change)?;
            if batch.locked > 0 {
                return Err(busy());
            }
            at = batch.next;
        }
    }
    for claim in claims {
        claim.finish_as_is()?;
    }
    let (old, new) = (ident(&wish.column), ident(twin));
    sql::run(&format!("DROP TRIGGER {} ON {table}", ident(twin::TRIGGER)), &[])?;
    for statement in carried(wish, &table, twin)?.iter().chain(&plan.before) {
        sql::run(statement, &[])?;
    }
    sql::run(&format!("ALTER TABLE {table} DROP COLUMN {old}"), &[])?;
    sql::run(&format!("ALTER TABLE {table} RENAME COLUMN {new} TO {old}"), &[])?;
    for statement in &plan.after {
        sql::run(statement, &[])?;
    }
    shared::changed();
    Ok(())
}

/// What makes the twin what the column was: default, NOT NULL, comment, statistics target, rights, class.
fn carried(wish: &Wish, table: &str, twin: &str) -> Result<Vec<String>> {
    let sql = "WITH col AS (SELECT a.* FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::pg_catalog.name)
        SELECT 1, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', $3, $4, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
          FROM col JOIN pg_catalog.pg_attrdef d ON d.adrelid = col.attrelid AND d.adnum = col.attnum
        UNION ALL SELECT 2, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', $3, $4) FROM col WHERE col.attnotnull
        UNION ALL SELECT 3, pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', $3, $4, m.description)
          FROM col JOIN pg_catalog.pg_description m ON m.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objoid = col.attrelid AND m.objsubid = col.attnum
        UNION ALL SELECT 4, pg_catalog.format('GRANT %s (%I) ON TABLE %s TO %s%s', g.privilege_type, $4, $3,
            CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::pg_catalog.regrole::pg_catalog.text END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
          FROM col CROSS JOIN LATERAL pg_catalog.aclexplode(col.attacl) g
        UNION ALL SELECT 5, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', $3, $4, col.attstattarget)
          FROM col WHERE col.attstattarget >= 0
        UNION ALL SELECT 6, pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', $3, $4, pg_catalog.array_to_string(col.attoptions, ', '))
          FROM col WHERE col.attoptions IS NOT NULL
        UNION ALL SELECT 7, pg_catalog.format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, s.relname, $3, $4)
          FROM col JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = col.attrelid
                AND d.refobjsubid = col.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'a'
          JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
        UNION ALL SELECT 8, pg_catalog.format('SECURITY LABEL FOR airlock ON COLUMN %I.%I.%I IS %L', n.nspname, c.relname, $4, l.label)
          FROM pg_catalog.pg_seclabel l JOIN pg_catalog.pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid AND a.attname = $2::pg_catalog.name
          JOIN pg_catalog.pg_class c ON c.oid = l.objoid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE l.provider = 'airlock' AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND (l.objoid = $1 OR l.objoid IN (SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) t))
        ORDER BY 1";
    sql::rows(sql, &[arg(wish.relation), arg(wish.column.clone()), arg(table), arg(twin)], |row| row.need::<String>(2))
}

/// Seals what the trigger has not.
struct Backfill {
    column: String,
    twin: String,
    at: Option<twin::Pair>,
    /// Look into twins that are there already.
    compare: bool,
}

impl Backfill {
    fn new(column: &str, twin: &str) -> Backfill {
        Backfill { column: column.into(), twin: twin.into(), at: None, compare: false }
    }
}

impl Change for Backfill {
    unsafe fn prepare(&mut self, desc: pg_sys::TupleDesc) -> Result<bool> {
        // SAFETY: as the caller promises.
        self.at = unsafe { twin::Pair::find(desc, &self.column, &self.twin)? };
        match self.at {
            Some(_) => Ok(true),
            None => {
                Err(Error::new(Kind::State, format!("column \"{}\" or its twin was dropped or renamed", self.column))
                    .hint("rename it back, or drop the trigger and the twin column and begin again"))
            }
        }
    }

    fn due(&mut self, row: &Fields) -> Result<bool> {
        let Some(at) = &self.at else { return Ok(false) };
        let (value, sealed) = (row.get(at.column), row.get(at.twin));
        if self.compare {
            return Ok(!at.agrees(value, sealed)?);
        }
        Ok(value.is_some() && sealed.is_none())
    }

    fn apply(&mut self, row: &mut Fields) -> Result<()> {
        if let Some(at) = &self.at {
            let sealed = row.get(at.column).map(|value| at.seal(value)).transpose()?;
            row.set(at.twin, sealed);
        }
        Ok(())
    }
}

/// Rewrites rows that hold something in a column that was dropped; `rewrite` leaves such fields out.
#[derive(Default)]
struct Wipe {
    dropped: Vec<usize>,
}

impl Change for Wipe {
    unsafe fn prepare(&mut self, desc: pg_sys::TupleDesc) -> Result<bool> {
        // SAFETY: as the caller promises.
        unsafe {
            let all = 0..(*desc).natts as usize;
            self.dropped = all.filter(|i| compat::attribute(desc, *i).attisdropped).collect();
        }
        Ok(!self.dropped.is_empty())
    }

    fn due(&mut self, row: &Fields) -> Result<bool> {
        Ok(self.dropped.iter().any(|i| row.get(*i).is_some()))
    }

    fn apply(&mut self, _: &mut Fields) -> Result<()> {
        Ok(())
    }
}
