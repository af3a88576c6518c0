//! What auditors ask the log: the records that WAL holds and the table does not yet, and whether the log is whole.

mod breach;
mod heads;
mod page;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod values;
mod verify;
mod who_saw;

use crate::pg::admin::act;
use crate::pg::admin::history::{self, Of};
use crate::pg::keys::{ring, root};
use crate::pg::readlog::materialiser::{retention, spi, Batch, Cursor, Row};
use crate::pg::readlog::{armed, audit, wal};
use crate::pg::sys::{self, d, Sql};
use crate::pg::{error, shared};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::Mask;
use crate::pure::retention::Kept;
use crate::sql_function;
use pgrx::Spi;

sql_function!(
    /// `airlock.unsettled_records() → SETOF airlock_catalog.read_record`: the records behind the cursor row *as this query
    /// sees it*, so that with the table rows of the same query each record is there exactly once. There is one writer, in
    /// LSN order, so a pending row already has the id it will keep; its hash is NULL. The call is itself recorded. AL001 when the keys are locked.
    airlock_unsettled_records,
    |args| {
        may_read_log()?;
        let rows = unsettled()?;
        // behind what is shown, so that it does not show itself
        audit::note("access log", &[])?;
        sys::return_set(args, rows)
    }
);

sql_function!(
    /// `airlock.note_log_read() → boolean`: true, once a record says that this statement reads the access log. What the log's
    /// views begin with, so the reader's statement is on disk before a row of the log is shown.
    ///
    /// Errors: `42501` for whoever may not read the log; `AL001` the keys are locked; `AL005` no record can be written.
    airlock_note_log_read,
    |_args| {
        may_read_log()?;
        audit::note("access log", &[])?;
        Ok(Sql(true))
    }
);

sql_function!(
    /// `airlock.set_log_retention(subprocessor text, records integer, values integer, subjects integer)`: for how many days the log keeps
    /// the sub-processor's records, their constants and parameters, and their data subjects; NULL is for ever, for the parts as
    /// long as the record. The log's worker then drops whole days, the oldest first, once all sub-processors of a day let it,
    /// and says so in the chain.
    ///
    /// Errors: `22023` a period below one day; `42704` no such sub-processor.
    airlock_set_log_retention,
    |args| {
        let subprocessor: String = args.need(0, "subprocessor")?;
        let kept = Kept { records: args.get(1), values: args.get(2), subjects: args.get(3) };
        act(|| {
            if [kept.records, kept.values, kept.subjects].into_iter().flatten().any(|days| days < 1) {
                return Err(Error::new(Kind::InvalidArgument, "a period is one day at least")
                    .hint("NULL keeps records for ever"));
            }
            audit::note(&format!("set_log_retention: {subprocessor}"), &[])?;
            history::kept(Of::Subprocessor(&subprocessor), "set_log_retention", None, || retention::set(&subprocessor, kept))
        })
    }
);

sql_function!(
    /// `airlock.statement_values(id bigint, OUT constants text[], OUT parameters text[], OUT cut boolean)`: the constants and parameters
    /// that a read's statement held, from the encrypted part of its record, in the order of the `?` in its text. A row for the
    /// record if it has that part still, else none. The call is itself recorded.
    ///
    /// Errors: `AL001` the keys are locked; `AL003` the part is not the record's.
    airlock_statement_values,
    |args| {
        let id: i64 = args.need(0, "id")?;
        sys::return_set(args, values::of_statement(id)?)
    }
);

sql_function!(
    /// `airlock.verify_log(OUT ok, checked, first_bad_id, message)`: whether the log is as its worker wrote it.
    airlock_verify_log,
    |args| {
        let verdict = verify::verify()?;
        let row = vec![d(verdict.first_bad.is_none() && verdict.ok), d(verdict.checked), d(verdict.first_bad), d(verdict.message)];
        sys::return_set(args, vec![row])
    }
);

sql_function!(
    /// `airlock.who_saw(relation regclass, VARIADIC subject text[], OUT logged_at, subprocessor, columns, purpose, certainty, id, views,
    /// login_role)`: every read that touched a data subject's rows, in whatever table refers to it by foreign keys, and every
    /// read that may have. `subject` are the values of the relation's subject columns (of its primary key, where no scope
    /// declares any), in the order of the table. Misses none that the log still has.
    ///
    /// Errors: `22023` another number of values than columns; `0A000` columns that cannot tell persons apart; `AL001` the keys
    /// are locked; whatever the columns' types say of a value.
    airlock_who_saw,
    |args| {
        let relation = args.need(0, "relation")?;
        let subject: Vec<Option<String>> = args.need(1, "subject")?;
        sys::return_set(args, who_saw::who_saw(relation, subject)?)
    }
);

sql_function!(
    /// `airlock.mask_properties()`: what each mask declares of itself.
    airlock_mask_properties,
    |args| {
        let rows = Mask::all().iter().map(|m| {
            vec![d(m.name), d(m.keyed), d(m.types), d(m.keeps_order), d(m.uniqueness.label()), d(m.leaks), d(m.result)]
        });
        sys::return_set(args, rows.collect())
    }
);

/// 42501 unless the caller is an auditor, a superuser or the extension's owner. EXECUTE alone is no protection: in the
/// view `airlock.access_log` the function runs with the rights of whoever reads.
fn may_read_log() -> Result<()> {
    let sql = "SELECT pg_catalog.pg_has_role(CURRENT_USER, 'airlock_auditor', 'MEMBER') OR EXISTS (SELECT FROM pg_catalog.pg_extension e \
               WHERE e.extname OPERATOR(pg_catalog.=) 'pg_airlock' AND pg_catalog.pg_has_role(CURRENT_USER, e.extowner, 'USAGE'))";
    let may =
        Spi::connect(|client| client.select(sql, Some(1), &[]).and_then(|t| t.first().get_one::<bool>()).map_err(spi))?;
    if may == Some(true) {
        return Ok(());
    }
    Err(Error::new(Kind::Privilege, "permission denied for the access log")
        .hint("GRANT airlock_auditor TO the role that audits"))
}

fn unsettled() -> Result<Vec<sys::Row>> {
    let Some((last_id, batch)) = pending(|end| end)? else { return Ok(Vec::new()) };
    let mut rows = Vec::with_capacity(batch.records.len());
    for (id, (record, _)) in (last_id + 1..).zip(batch.records) {
        let values = Row { id, record, hash: None }.values()?;
        rows.push(values.iter().map(|v| v.datum().map(|d| d.sans_lifetime())).collect());
    }
    Ok(rows)
}

/// What WAL holds behind the cursor row that this query sees, and the last id before it; up to where `bound` says, which is
/// told where WAL ends.
fn pending(bound: impl FnOnce(u64) -> u64) -> Result<Option<(i64, Batch)>> {
    if !shared::preloaded() {
        return Err(root::not_preloaded());
    }
    if wal::in_recovery() {
        return Ok(None);
    }
    let (_, keys) = match ring::log_key(None) {
        // nothing was ever sealed
        Err(_) if Cursor::as_seen()?.is_none() => return Ok(None),
        other => other?,
    };
    let Some(cursor) = Cursor::as_seen()? else { return Ok(None) };
    if let Some(gap) = cursor.misfit(&keys.1) {
        error::notice(
            Error::new(Kind::LogUnavailable, "records that are not in the table yet cannot be shown")
                .detail(gap)
                .hint("see SELECT * FROM airlock.doctor()"),
        );
        return Ok(None);
    }
    // what this session itself has read and not sent yet
    armed::settle(true)?;
    // how a statement ended is not flushed by its reader: whoever asks for it does that
    let newest = shared::newest_outcome();
    if newest > wal::flushed() {
        wal::flush_always(newest);
    }
    let end = bound(wal::flushed());
    if end <= cursor.lsn {
        return Ok(None);
    }
    Ok(Some((cursor.last_id, Batch::up_to(cursor.lsn, end)?)))
}
