//! The log's head: given out to be kept elsewhere, compared with the log later, and the word of an administrator that lets a
//! log go on which is not what it was.

use super::verify::verify;
use crate::pg::admin::{act, said};
use crate::pg::error::notice;
use crate::pg::keys::ring;
use crate::pg::readlog::audit;
use crate::pg::readlog::materialiser::heads::{fit, fork, Fit};
use crate::pg::readlog::materialiser::Cursor;
use crate::pg::shared;
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::{self, d};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::head::Head;
use crate::sql_function;

sql_function!(
    /// `airlock.log_head(OUT id bigint, OUT hash bytea, OUT head text)`: the log's last record, its link of the chain, and both
    /// with the cluster and the time as one authenticated line (`src/pure/head.rs`), for `verify_head()`. No row before the
    /// log has begun.
    ///
    /// Errors: `AL001` the keys are locked.
    airlock_log_head,
    |args| {
        let Some(cursor) = Cursor::as_seen()? else { return sys::return_set(args, Vec::new()) };
        let (_, keys) = ring::log_key(None)?;
        let (system, timeline, id, hash) = (cursor.system, cursor.timeline, cursor.last_id, cursor.last_hash);
        let head = Head { system, timeline, id, at: sys::now(), hash }.text(&keys.1);
        sys::return_set(args, vec![vec![d(id), d(hash.to_vec()), d(head)]])
    }
);

sql_function!(
    /// `airlock.verify_head(head text, OUT ok boolean, OUT message text)`: whether the log is whole and contains the record that
    /// a line of `log_head()` or of `airlock.head_file` names. NULL when that record was erased after its time.
    ///
    /// Errors: `22P02` it is no such line; `AL003` it is not one of this log; `AL001` the keys are locked.
    airlock_verify_head,
    |args| {
        let text: String = args.need(0, "head")?;
        let (_, keys) = ring::log_key(None)?;
        let head = Head::open(&keys.1, &text)?;
        let verdict = verify()?;
        let last = Cursor::as_seen()?.map_or(0, |c| c.last_id);
        let (ok, message) = match (fit(&head, last)?, verdict.ok) {
            (Fit::Not(what), _) => (Some(false), format!("{what}; {}", verdict.message)),
            (_, false) => (Some(false), verdict.message),
            (Fit::Same, true) => (Some(true), format!("{}, and contains record {} of the head", verdict.message, head.id)),
            (Fit::Erased, true) => (None, format!("{}; record {} of the head was erased after its time", verdict.message, head.id)),
        };
        sys::return_set(args, vec![vec![d(ok), d(message)]])
    }
);

sql_function!(
    /// `airlock.accept_log_gap(reason text)`: lets the log go on where it can go on only with a gap: its WAL is gone, its cursor
    /// belongs elsewhere, or the head file knows records that it does not have. What is missing, who accepted it and why are in
    /// the log from then on, and `verify_log()` names the place.
    ///
    /// Errors: `55000` there is no gap; `22023` no reason; `AL001` the keys are locked.
    airlock_accept_log_gap,
    |args| {
        let reason: String = args.need(0, "reason")?;
        act(|| accept(&said(reason, "reason")?))
    }
);

fn accept(reason: &str) -> Result<()> {
    let none = || {
        Err(Error::new(Kind::State, "the read log has no gap to accept")
            .hint("what is wrong with it: SELECT * FROM airlock.verify_log() and airlock.doctor()"))
    };
    let Some(cursor) = Cursor::latest()? else { return none() };
    let (_, keys) = ring::log_key(None)?;
    let gap = match (cursor.misfit(&keys.1), fork(&keys.1, &cursor)?) {
        (Some(gap), _) => {
            audit::note(&format!("accept_log_gap: {gap}; reason: {reason}"), &[])?;
            // nothing of it can be gone on from
            sql::run("DELETE FROM airlock_catalog.log_cursor", &[])?;
            gap
        }
        // the worker's own file may be ahead of the cursor that is seen here
        (None, Some(fork)) if !shared::slot_ok() => {
            audit::note(&format!("accept_log_gap: {}; reason: {reason}", fork.what), &[])?;
            // the log goes on where it is: what lies in WAL behind the cursor is not lost
            sql::run("UPDATE airlock_catalog.log_cursor SET accepted_head = $1", &[arg(fork.text)])?;
            fork.what
        }
        _ => return none(),
    };
    notice(
        Error::new(Kind::State, format!("the read log goes on once this is committed: {gap}"))
            .detail("Reads may be missing from it; airlock.verify_log() names the place from then on."),
    );
    Ok(())
}
