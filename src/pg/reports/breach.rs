//! `breach_report()`: how large a breach is (GDPR Art. 33(3)(a)), of all that the log says a sub-processor received in a time.
//!
//! It counts too much rather than too little, and says where it cannot tell: a read counts when any of it lies in the time, in
//! each relation that it reads, with all its rows.

mod reads;

use super::verify::verify;
use crate::pg::admin::existing_subprocessor;
use crate::pg::readlog::{audit, identity, wal};
use crate::pg::sys::{self, d, sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use crate::sql_function;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::JsonB;
use reads::{Part, Report};
use serde_json::{json, Value as Json};

sql_function!(
    /// `airlock.breach_report(subprocessor text, "from" timestamptz, "to" timestamptz) → SETOF (relation, columns, reads, rows_sent,
    /// subjects_at_least, subjects_at_most, certainty, passed_over, first_read, last_read, purposes, client_addrs, login_roles,
    /// unfinished_reads, unknown_subjects, forgotten_subjects, settled_to, message)`: the first row, without relation, is the whole,
    /// and says up to where the log is settled and whether it is whole; then a row for each relation. Reads that are not
    /// settled yet are counted. `columns` is how each was exposed at the reads. The call is itself recorded.
    ///
    /// Errors: `42704` no such sub-processor; `22023` a time that ends before it begins; `25006` on a standby; `AL001` the keys are
    /// locked; `AL005` the call cannot be recorded; `AL007` in a sub-processor's session.
    airlock_breach_report,
    |args| {
        let subprocessor: String = args.need(0, "subprocessor")?;
        let from: TimestampWithTimeZone = args.need(1, "from")?;
        let to: TimestampWithTimeZone = args.need(2, "to")?;
        let (report, message) = sql::settled(|| report(&subprocessor, from, to))?;
        let settled = report.settled_to;
        let first = row(None, &report.whole, settled, message);
        let parts = report.relations.iter().map(|(relation, part)| row(Some(relation), part, settled, about(part)));
        let rows = std::iter::once(first).chain(parts).collect();
        sys::return_set(args, rows)
    }
);

fn report(subprocessor: &str, from: TimestampWithTimeZone, to: TimestampWithTimeZone) -> Result<(Report, String)> {
    if let Some(name) = identity::subprocessor()? {
        let message = format!("sub-processor {} may not read the access log", shown(&name));
        return Err(Error::new(Kind::OutsideScope, message));
    }
    if wal::in_recovery() {
        return Err(Error::new(Kind::ReadOnly, "breach_report() answers on the primary server")
            .hint("connect to the primary; the log's views can be read here"));
    }
    if from > to {
        return Err(Error::new(Kind::InvalidArgument, "the time ends before it begins")
            .hint("the second argument is its beginning, the third its end"));
    }
    existing_subprocessor(subprocessor)?;
    audit::note(&format!("breach_report: {subprocessor}"), &[])?;
    let log = verify()?;
    let report = reads::gather(subprocessor, from, to)?;
    let mut said = vec![log.message];
    if !log.ok {
        said.insert(0, "THE LOG IS NOT WHOLE".into());
    }
    if report.pending > 0 {
        said.push(format!("{} records that are not settled yet are counted", report.pending));
    }
    said.extend(report.erased.clone());
    let own = about(&report.whole);
    said.extend((!own.is_empty()).then_some(own));
    Ok((report, said.join("; ")))
}

/// What does not go without saying of some reads.
fn about(part: &Part) -> String {
    let mut said = Vec::new();
    if part.unfinished > 0 {
        said.push(format!("of {} reads the end is not known, nor how many rows they sent", part.unfinished));
    }
    if part.unknown > 0 {
        said.push(format!("of {} reads it is not known whose rows they touched: it may be anybody", part.unknown));
    }
    if part.forgotten > 0 {
        said.push(format!("of {} reads nobody can say any more who the persons are that are counted", part.forgotten));
    }
    if part.several > 0 {
        said.push(format!("{} reads are of several relations, and count in each", part.several));
    }
    said.join("; ")
}

fn row(relation: Option<&String>, part: &Part, settled: Option<TimestampWithTimeZone>, message: String) -> sys::Row {
    let count = |n: u64| d(i64::try_from(n).unwrap_or(i64::MAX));
    let persons = part.tally.persons();
    let columns: Vec<Json> = part
        .columns
        .iter()
        .map(|((column, exposure), reads)| {
            json!({ "column": column, "exposure": exposure.label(), "mask": exposure.mask, "encrypted": exposure.encrypted, "reads": reads })
        })
        .collect();
    let list = |set: &std::collections::BTreeSet<String>| d(set.iter().cloned().collect::<Vec<String>>());
    vec![
        d(relation.cloned()),
        d(relation.map(|_| JsonB(Json::Array(columns)))),
        count(part.reads),
        count(part.rows),
        count(persons.least),
        persons.most.and_then(count),
        d(persons.certainty()),
        count(persons.passed_over),
        d(part.first),
        d(part.last),
        list(&part.purposes),
        list(&part.addresses),
        list(&part.logins),
        count(part.unfinished),
        count(part.unknown),
        count(part.forgotten),
        d(settled),
        d((!message.is_empty()).then_some(message)),
    ]
}
