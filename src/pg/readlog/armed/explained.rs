//! A read of which the plan is shown and nothing else.

use super::contract::asked;
use super::next_number;
use crate::pg::readlog::wal;
use crate::pure::error::Result;
use crate::pure::record::{Outcome, Parts, Record, RecordKind};
use crate::pure::subprocessor::Connection;

/// Puts an EXPLAIN on record, on disk before a line of its plan is written. It opens nothing: neither the gate nor
/// `disclose` is armed by it.
///
/// # Errors
/// As [`super::arm`].
pub fn explain(
    (mut record, mut private): (Record, Option<Vec<u8>>),
    scopes: &[i32],
    connection: &Connection,
) -> Result<()> {
    let asked = asked(&mut record, &mut private, scopes, connection)?;
    record.statement_id.n = next_number();
    record.kind = RecordKind::Explain;
    // nothing of a reader can end otherwise from here on
    record.outcome = Some(Outcome::Ok);
    wal::flush(asked.sealer.append_with(record, Parts { private, subjects: None })?)
}
