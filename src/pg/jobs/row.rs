//! A job's claim on a table, and its row in `airlock_catalog.job`.
//!
//! The claim is a lock that lasts over commits and ends with the session, or with an ERROR; the row is written in each
//! batch's transaction by the extension's owner, for the job runs as the table's. A row that says `running` without a
//! claim behind it is that of a job that was interrupted.
#![allow(unsafe_code)] // ◆ a session lock

use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{compat, roles, scan, switch};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;

/// The claim of this session on a table, for one kind of job.
pub struct Claim {
    /// The table.
    pub relation: pg_sys::Oid,
    /// Its name, to be shown.
    pub name: String,
    kind: &'static str,
    column: String,
    tag: pg_sys::LOCKTAG,
}

/// How far a job is.
#[derive(Clone, Default)]
pub struct At {
    /// Passes over the table, from 1.
    pub pass: i32,
    /// The next block to look at.
    pub position: u32,
    /// The next row in it; not kept in the job's row, a resumed job looks at the whole block again.
    pub offset: u16,
    /// Blocks of this pass.
    pub total: u32,
    /// Rows changed by this job, its interrupted runs included.
    pub done: u64,
    /// Rows of this pass that others had locked.
    pub left: u64,
    /// What it waits for, empty while it works.
    pub phase: String,
}

impl Claim {
    /// Takes the table for a job of this kind; `column` is empty for a job on all of them. Held until dropped.
    ///
    /// # Errors
    /// 55006 when another session has a job on the table.
    pub fn take(kind: &'static str, relation: pg_sys::Oid, name: &str, column: &str) -> Result<Claim> {
        let table = scan::table_oid("job").ok_or_else(|| {
            Error::new(Kind::Undefined, "table \"airlock_catalog.job\" does not exist")
                .hint("ALTER EXTENSION pg_airlock UPDATE")
        })?;
        // an object lock in the name of our own table: nothing else of Postgres' ever takes it, and no SQL can
        let tag = pg_sys::LOCKTAG {
            // SAFETY: reads a variable.
            locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
            locktag_field2: table.to_u32(),
            locktag_field3: relation.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        // SAFETY: a session lock without waiting; an abort releases it too, `drop` otherwise.
        let taken = unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock as i32, true, true) };
        if taken == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return Err(Error::new(Kind::InUse, format!("another session has a job on table {name}"))
                .hint("see SELECT * FROM airlock.progress"));
        }
        Ok(Claim { relation, name: name.into(), kind, column: column.into(), tag })
    }

    /// Begins, or goes on where an interrupted job of the same kind was.
    pub fn begin(&self) -> Result<At> {
        let user = roles::name(roles::current()).unwrap_or_default();
        self.as_owner(|| {
            let left = sql::first(
                "SELECT j.pass, j.position, j.done FROM airlock_catalog.job j
                  WHERE j.kind = $1 AND j.relation = $2::pg_catalog.regclass AND j.column_name = $3 AND j.state = 'running'",
                &[arg(self.kind), arg(self.relation), arg(self.column.clone())],
                |row| Ok((row.need::<i32>(1)?, row.need::<i64>(2)?, row.need::<i64>(3)?)),
            )?;
            let at = match left {
                Some((pass, position, done)) => At {
                    pass,
                    position: u32::try_from(position).unwrap_or(0),
                    done: u64::try_from(done).unwrap_or(0),
                    ..At::default()
                },
                None => At { pass: 1, ..At::default() },
            };
            sql::run(
                "INSERT INTO airlock_catalog.job AS j (kind, relation, column_name, state, pid, started_by)
                 VALUES ($1, $2::pg_catalog.regclass, $3, 'running', pg_catalog.pg_backend_pid(), $4)
                 ON CONFLICT (kind, relation, column_name) DO UPDATE SET pid = EXCLUDED.pid, started_by = EXCLUDED.started_by,
                   started_at = CASE j.state WHEN 'running' THEN j.started_at ELSE EXCLUDED.started_at END,
                   state = 'running', error = NULL, updated_at = pg_catalog.clock_timestamp(), ended_at = NULL",
                &[arg(self.kind), arg(self.relation), arg(self.column.clone()), arg(user)],
            )?;
            self.write(&at, "running", None)?;
            Ok(at)
        })
    }

    /// Notes how far it is, in the batch's transaction.
    pub fn note(&self, at: &At) -> Result<()> {
        self.as_owner(|| self.write(at, "running", None))
    }

    /// Notes that it is done.
    pub fn finish(&self, at: &At) -> Result<()> {
        self.as_owner(|| self.write(at, "done", None))
    }

    /// Notes that it is done, whatever it noted last.
    pub fn finish_as_is(&self) -> Result<()> {
        self.as_owner(|| {
            sql::run(
                "UPDATE airlock_catalog.job SET state = 'done', phase = '', ended_at = pg_catalog.clock_timestamp()
                  WHERE kind = $1 AND relation = $2::pg_catalog.regclass AND column_name = $3",
                &[arg(self.kind), arg(self.relation), arg(self.column.clone())],
            )
            .map(drop)
        })
    }

    /// Notes why it ended.
    pub fn fail(&self, error: &Error) -> Result<()> {
        self.as_owner(|| {
            sql::run(
                "UPDATE airlock_catalog.job SET state = 'failed', phase = '', error = $4,
                        updated_at = pg_catalog.clock_timestamp(), ended_at = pg_catalog.clock_timestamp()
                  WHERE kind = $1 AND relation = $2::pg_catalog.regclass AND column_name = $3",
                &[arg(self.kind), arg(self.relation), arg(self.column.clone()), arg(error.message.clone())],
            )
            .map(drop)
        })
    }

    fn write(&self, at: &At, state: &str, error: Option<&str>) -> Result<()> {
        sql::run(
            "UPDATE airlock_catalog.job SET state = $4, phase = $5, pass = $6, position = $7, total = $8, done = $9, locked = $10,
                    error = $11, updated_at = pg_catalog.clock_timestamp(),
                    ended_at = CASE WHEN $4 = 'running' THEN NULL ELSE pg_catalog.clock_timestamp() END
              WHERE kind = $1 AND relation = $2::pg_catalog.regclass AND column_name = $3",
            &[
                arg(self.kind),
                arg(self.relation),
                arg(self.column.clone()),
                arg(state),
                arg(at.phase.clone()),
                arg(at.pass),
                arg(i64::from(at.position)),
                arg(i64::from(at.total)),
                arg(i64::try_from(at.done).unwrap_or(i64::MAX)),
                arg(i64::try_from(at.left).unwrap_or(i64::MAX)),
                arg(error),
            ],
        )
        .map(drop)
    }

    fn as_owner<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        switch::as_owner_of("job", body)
    }
}

/// Whether a job of that kind on a table began and did not end well.
pub fn unfinished(kind: &str, relation: pg_sys::Oid) -> Result<bool> {
    let found = switch::as_owner_of("job", || {
        sql::first(
            "SELECT true FROM airlock_catalog.job j WHERE j.kind OPERATOR(pg_catalog.=) $1 AND j.relation OPERATOR(pg_catalog.=) $2::pg_catalog.regclass AND j.state OPERATOR(pg_catalog.<>) 'done'",
            &[arg(kind), arg(relation)],
            |row| row.need::<bool>(1),
        )
    })?;
    Ok(found.is_some())
}

impl Drop for Claim {
    fn drop(&mut self) {
        // after an ERROR the abort lets go, as a rollback does
        if !std::thread::panicking() {
            // SAFETY: a lock of this session; that it is not held any more is a WARNING, so it is asked first.
            unsafe {
                if compat::holds_lock(&self.tag, pg_sys::ExclusiveLock) {
                    pg_sys::LockRelease(&self.tag, pg_sys::ExclusiveLock as i32, true);
                }
            }
        }
    }
}
