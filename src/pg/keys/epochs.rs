//! Epochs of the subject key, under which the read log names data subjects: begun anew, and forgotten.

use super::{new_version, ring};
use crate::pg::admin::act;
use crate::pg::error::notice;
use crate::pg::readlog::audit;
use crate::pg::readlog::materialiser::holds;
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::Sql;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::Use;
use crate::sql_function;

sql_function!(
    /// `airlock.rotate_subject_key() → integer`: begins an epoch of the read log and gives its number. Reads from now on name
    /// data subjects under a key of their own; `who_saw()` goes on to answer for earlier epochs until their key is destroyed.
    ///
    /// Errors: `AL001` no root key.
    airlock_rotate_subject_key,
    |_args| { act(rotate).map(Sql) }
);

sql_function!(
    /// `airlock.destroy_subject_key(epoch integer)`: forgets all data subjects of an earlier epoch. The records stay, and
    /// verify; whose rows those reads touched nobody can tell any more, so `who_saw()` calls them possible. Final.
    ///
    /// Errors: `42704` no such epoch; `55000` it is the present one, or destroyed already, or records are held.
    airlock_destroy_subject_key,
    |args| {
        let epoch = args.need(0, "epoch")?;
        act(|| destroy(epoch))
    }
);

/// Makes the first epoch, if there is none.
pub fn ensure() -> Result<()> {
    super::ensure_initialised()?;
    if last()? == 0 {
        new_version(ring::SUBJECT_OWNER, Use::Subject, 1)?;
        shared::changed();
    }
    Ok(())
}

/// The newest epoch, 0 for none. Two who ask take turns.
fn last() -> Result<i32> {
    sql::run("LOCK TABLE airlock_catalog.key_version IN SHARE ROW EXCLUSIVE MODE", &[])?;
    let last = sql::first(
        "SELECT coalesce(max(v.version), 0) FROM airlock_catalog.key_version v WHERE v.use = 'subject'",
        &[],
        |row| row.need::<i32>(1),
    )?;
    Ok(last.unwrap_or(0))
}

fn rotate() -> Result<i32> {
    super::ensure_initialised()?;
    audit::note("rotate_subject_key", &[])?;
    let next = last()? + 1;
    sql::run(
        "UPDATE airlock_catalog.key_version SET state = 'decrypt-only' WHERE use = 'subject' AND state = 'active'",
        &[],
    )?;
    new_version(ring::SUBJECT_OWNER, Use::Subject, next as u32)?;
    shared::changed();
    Ok(next)
}

fn destroy(epoch: i32) -> Result<()> {
    let state = sql::first(
        "SELECT v.state FROM airlock_catalog.key_version v WHERE v.use = 'subject' AND v.version = $1 FOR UPDATE",
        &[arg(epoch)],
        |row| row.need::<String>(1),
    )?;
    let wrong = match state.as_deref() {
        Some("decrypt-only") => None,
        None => Some(
            Error::new(Kind::Undefined, format!("the read log has no epoch {epoch}"))
                .hint("those there are: TABLE airlock.subject_epochs"),
        ),
        Some("active") => Some(
            Error::new(Kind::State, format!("epoch {epoch} is the present one"))
                .hint("SELECT airlock.rotate_subject_key() first"),
        ),
        Some(state) => Some(Error::new(Kind::State, format!("epoch {epoch} is {state}"))),
    };
    if let Some(error) = wrong {
        return Err(error);
    }
    // a hold is there before this, or waits for it; and one that is there counts whatever this transaction's snapshot says
    sql::run("LOCK TABLE airlock_catalog.log_hold IN SHARE MODE", &[])?;
    if holds::any()? {
        return Err(Error::new(Kind::State, "records of the read log are held, so no epoch can be destroyed")
            .hint("TABLE airlock.log_holds, then SELECT airlock.release_log_hold(…)"));
    }
    audit::note(&format!("destroy_subject_key: {epoch}"), &[])?;
    sql::run(
        "UPDATE airlock_catalog.key_version SET state = 'destroyed', wrapped = NULL, retired_at = pg_catalog.now() WHERE use = 'subject' AND version = $1",
        &[arg(epoch)],
    )?;
    shared::changed();
    notice(
        Error::new(Kind::State, format!("the data subjects of epoch {epoch} are forgotten once this is committed: that is final"))
            .detail("Backups, dumps, WAL and replicas from before hold the wrapped key still, and it opens there as long as somebody has the root key.")
            .hint("Once this is committed: VACUUM FULL airlock_catalog.key_version, whose page still holds it."),
    );
    Ok(())
}
