//! Reads the whole log back, rebuilds each record's bytes from its row, and follows the chain to the cursor row.

pub mod parts;

use crate::pg::gucs;
use crate::pg::keys::ring;
use crate::pg::readlog::materialiser::{before_0_2, columns, look_at_slot, retention, spi, Cursor, Row, Slot};
use crate::pg::sys::tuples;
use crate::pure::chain::{Break, Verifier};
use crate::pure::error::Result;
use crate::pure::keyring::ChainKey;
use crate::pure::record;
use crate::pure::retention::Erased;
use crate::pure::seam::Seams;
use parts::Expected;

use pgrx::Spi;

/// Rows read at once.
const CHUNK: i64 = 10_000;

/// What `verify_log()` says.
pub struct Verdict {
    /// False also for what has no id, such as a changed cursor row.
    pub ok: bool,
    /// How many records were found right, from the first on.
    pub checked: i64,
    /// The first that is not, or is missing.
    pub first_bad: Option<i64>,
    /// In words.
    pub message: String,
}

/// Checks the log, as the running query sees it. AL001 when the keys are locked.
pub fn verify() -> Result<Verdict> {
    let (_, keys) = match ring::log_key(None) {
        Err(_) if Cursor::as_seen()?.is_none() && is_empty()? => return nothing(),
        other => other?,
    };
    let key = &keys.1;
    let cursor = Cursor::as_seen()?;
    let erased = if before_0_2() { Vec::new() } else { retention::erased(true)? };
    let (mut verifier, mut seams) = beginning(key, &erased)?;
    let last = cursor.as_ref().map_or(i64::MAX, |c| c.last_id);
    let (found, part) = chain(&mut verifier, &mut seams, &erased, last)?;
    let checked = i64::try_from(verifier.checked()).unwrap_or(i64::MAX);
    let verdict = match (found, cursor) {
        (Some(found), _) => bad(checked, Some(found.id), found.message),
        (None, Some(cursor)) => finish(key, verifier, cursor, checked)?,
        (None, None) if checked == 0 => nothing()?,
        (None, None) => {
            let message = "the log has no cursor row, so it cannot be told whether its end was cut off";
            bad(checked, None, message.into())
        }
    };
    Ok(with_part(with_seams(verdict, &seams), part))
}

/// A verifier for the whole log, or for what follows the records that the log itself says were erased: in what follows that
/// saying is a link of the chain.
fn beginning<'k>(key: &'k ChainKey, erased: &[Erased]) -> Result<(Verifier<'k>, Seams)> {
    let first = next_id(i64::MIN)?;
    for erased in erased {
        if let Erased::Records { last, hash, place } = erased {
            if first == last.checked_add(1) {
                return Ok((Verifier::after(key, *last, *hash), Seams::after(*place)));
            }
        }
    }
    Ok((Verifier::new(key), Seams::default()))
}

/// Adds what is wrong with the parts of records: the chain may be whole all the same.
fn with_part(mut verdict: Verdict, part: Option<Break>) -> Verdict {
    let Some(part) = part else { return verdict };
    verdict.message = match verdict.ok {
        true => format!("{}; but for that {}", part.message, verdict.message),
        false => format!("{}; besides, {}", verdict.message, part.message),
    };
    verdict.first_bad = Some(verdict.first_bad.map_or(part.id, |id| id.min(part.id)));
    verdict.ok = false;
    verdict
}

fn bad(checked: i64, first_bad: Option<i64>, message: String) -> Verdict {
    Verdict { ok: false, checked, first_bad, message }
}

/// No row and no cursor: a log that has not begun, unless WAL is kept for it. The slot is made behind the first cursor.
fn nothing() -> Result<Verdict> {
    let sql = "SELECT pg_catalog.current_database() OPERATOR(pg_catalog.=) $1";
    let database = gucs::database();
    let ours = Spi::connect(|client| {
        client.select(sql, Some(1), &[database.into()]).and_then(|t| t.first().get_one::<bool>()).map_err(spi)
    })?;
    if ours == Some(true) && look_at_slot()? != Slot::Missing {
        let message = "the log is empty and has no cursor row, yet its replication slot is there: it was removed, or another database's was here";
        return Ok(bad(0, None, message.into()));
    }
    Ok(Verdict { ok: true, checked: 0, first_bad: None, message: "the log is empty".into() })
}

/// Says where the log did not simply go on. A broken chain comes first: what a seam says is true only in a whole one.
fn with_seams(mut verdict: Verdict, seams: &Seams) -> Verdict {
    let restored: Vec<String> =
        seams.restored.iter().map(|id| format!("continues after a restore at record {id}")).collect();
    if let Some(first) = seams.first_bad {
        let said = seams.bad.join("; ");
        verdict.message = match verdict.ok {
            true => format!("{said}; but for that {}", verdict.message),
            false => format!("{}; besides, {said}", verdict.message),
        };
        if verdict.ok {
            verdict.first_bad = Some(first);
        }
        verdict.ok = false;
    }
    if !restored.is_empty() {
        verdict.message = format!("{}; {}", verdict.message, restored.join(", "));
    }
    verdict
}

/// The chain is right as far as it goes: does it go as far as it should, and no further?
fn finish(key: &ChainKey, verifier: Verifier, cursor: Cursor, checked: i64) -> Result<Verdict> {
    if !cursor.authentic(key) {
        let message = "the log's cursor row was changed, so it cannot be told whether the log's end was cut off";
        return Ok(bad(checked, None, message.into()));
    }
    if let Err(found) = verifier.end(cursor.last_id, &cursor.last_hash) {
        return Ok(bad(checked, Some(found.id), found.message));
    }
    if let Some(id) = behind(cursor.last_id)? {
        return Ok(bad(checked, Some(id), format!("record {id} comes after the log's last record")));
    }
    let message = format!("the log is whole up to record {}", cursor.last_id);
    Ok(Verdict { ok: true, checked, first_bad: None, message })
}

/// Feeds all rows up to `last` to the verifier; the first break, if there is one, and the first record whose parts are not
/// its own. What is right goes to `seams`.
fn chain(
    verifier: &mut Verifier,
    seams: &mut Seams,
    erased: &[Erased],
    last: i64,
) -> Result<(Option<Break>, Option<Break>)> {
    let sql = format!("SELECT {} FROM airlock_catalog.read_record WHERE id >= $1 AND id <= $2 ORDER BY id", columns());
    let (mut next, mut behind, mut part) = (next_id(i64::MIN)?, i64::MIN, None);
    while let Some(from) = next.filter(|from| *from <= last) {
        // a range with two ends: with one the planner, whose statistics may be of before these rows, would sort all that follow
        let to = from.saturating_add(CHUNK - 1).min(last);
        let (mut found, mut any, mut parts) = (None, false, Expected::default());
        tuples::each_as_seen(&sql, &[from.into(), to.into()], |tuple| {
            any = true;
            let id = tuple.long(1)?.unwrap_or(0);
            let fed = Row::read(tuple)
                // no record of ours gives such a row
                .map_err(|error| Break { id, message: error.message })
                .and_then(|row| verifier.feed(id, &record::encode(&row.record), row.hash.as_deref()).map(|()| row));
            match fed {
                Ok(row) => {
                    seams.feed(id, &row.record);
                    parts.note(id, &row.record);
                }
                Err(broken) => found = Some(broken),
            }
            Ok(found.is_none())
        })?;
        if let Some(found) = found {
            return Ok((Some(found), part));
        }
        if part.is_none() && !before_0_2() {
            part = parts.check(behind, to, erased)?;
        }
        let Some(following) = to.checked_add(1) else { break };
        behind = following;
        next = if any { Some(following) } else { next_id(following)? };
    }
    Ok((None, part))
}

/// The first record from this id on.
fn next_id(from: i64) -> Result<Option<i64>> {
    let mut found = None;
    let sql = "SELECT r.id FROM airlock_catalog.read_record r WHERE r.id >= $1 ORDER BY r.id LIMIT 1";
    tuples::each_as_seen(sql, &[from.into()], |tuple| tuple.long(1).map(|id| found = id).map(|()| false))?;
    Ok(found)
}

/// A row behind the last that the cursor row names. By a constant, so that it is looked up whatever the planner thinks of the join.
fn behind(last: i64) -> Result<Option<i64>> {
    let parts = match before_0_2() {
        true => "",
        false => "UNION ALL SELECT p.id FROM airlock_catalog.read_private p UNION ALL SELECT s.id FROM airlock_catalog.read_subject s",
    };
    let all = format!("SELECT r.id FROM airlock_catalog.read_record r {parts}");
    let sql = format!("SELECT pg_catalog.min(r.id) FROM ({all}) r WHERE r.id > $1");
    let mut found = None;
    tuples::each_as_seen(&sql, &[last.into()], |row| row.long(1).map(|id| found = id).map(|()| false))?;
    Ok(found)
}

fn is_empty() -> Result<bool> {
    let sql = "SELECT FROM airlock_catalog.read_record LIMIT 1";
    Spi::connect(|client| client.select(sql, Some(1), &[]).map(|t| t.is_empty()).map_err(spi))
}
