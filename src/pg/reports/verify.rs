//! Reads the whole log back, rebuilds each record's bytes from its row, and follows the chain to the cursor row.

use crate::pg::keys::ring;
use crate::pg::readlog::materialiser::{spi, Cursor, Row, COLUMNS};
use crate::pure::chain::{Break, Verifier};
use crate::pure::error::Result;
use crate::pure::keyring::ChainKey;
use crate::pure::record;
use pgrx::{check_for_interrupts, Spi};

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

/// Checks the log. AL001 when the keys are locked.
pub fn verify() -> Result<Verdict> {
    let (_, keys) = match ring::log_key(None) {
        Err(_) if Cursor::latest()?.is_none() && is_empty()? => {
            return Ok(Verdict { ok: true, checked: 0, first_bad: None, message: "the log is empty".into() });
        }
        other => other?,
    };
    let key = &keys.1;
    // read first: rows that the worker appends while we read are behind it and are looked at on their own
    let cursor = Cursor::latest()?;
    let mut verifier = Verifier::new(key);
    let found = chain(&mut verifier, cursor.as_ref().map_or(i64::MAX, |c| c.last_id))?;
    let checked = i64::try_from(verifier.checked()).unwrap_or(i64::MAX);
    let bad = |first_bad, message: String| Ok(Verdict { ok: false, checked, first_bad, message });
    if let Some(found) = found {
        return bad(Some(found.id), found.message);
    }
    let Some(cursor) = cursor else {
        return match checked {
            0 => Ok(Verdict { ok: true, checked, first_bad: None, message: "the log is empty".into() }),
            _ => bad(None, "the log has no cursor row, so it cannot be told whether its end was cut off".into()),
        };
    };
    finish(key, verifier, cursor, checked)
}

/// The chain is right as far as it goes: does it go as far as it should, and no further?
fn finish(key: &ChainKey, verifier: Verifier, cursor: Cursor, checked: i64) -> Result<Verdict> {
    let bad = |first_bad, message: String| Ok(Verdict { ok: false, checked, first_bad, message });
    if !cursor.authentic(key) {
        return bad(
            None,
            "the log's cursor row was changed, so it cannot be told whether the log's end was cut off".into(),
        );
    }
    if let Err(found) = verifier.end(cursor.last_id, &cursor.last_hash) {
        return bad(Some(found.id), found.message);
    }
    if let Some(id) = behind()? {
        return bad(Some(id), format!("record {id} comes after the log's last record"));
    }
    let message = format!("the log is whole up to record {}", cursor.last_id);
    Ok(Verdict { ok: true, checked, first_bad: None, message })
}

/// Feeds all rows up to `last` to the verifier; the first break, if there is one.
fn chain(verifier: &mut Verifier, last: i64) -> Result<Option<Break>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM airlock_catalog.read_record WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT {CHUNK}"
    );
    let mut from = i64::MIN;
    loop {
        check_for_interrupts!();
        let (found, seen) = Spi::connect(|client| {
            let mut seen = None;
            let table = client.select(sql.as_str(), None, &[from.into(), last.into()]).map_err(spi)?;
            for tuple in table {
                let id = tuple.get::<i64>(1).map_err(spi)?.unwrap_or(0);
                seen = Some(id);
                let row = match Row::read(&tuple) {
                    Ok(row) => row,
                    // no record of ours gives such a row
                    Err(error) => return Ok((Some(Break { id, message: error.message }), seen)),
                };
                if let Err(found) = verifier.feed(id, &record::encode(&row.record), row.hash.as_deref()) {
                    return Ok((Some(found), seen));
                }
            }
            Ok((None, seen))
        })?;
        match (found, seen) {
            (Some(found), _) => return Ok(Some(found)),
            (None, Some(id)) if id < last => from = id + 1,
            _ => return Ok(None),
        }
    }
}

/// A row behind the cursor row of the same moment.
fn behind() -> Result<Option<i64>> {
    let sql = "SELECT pg_catalog.min(r.id) FROM airlock_catalog.read_record r, airlock_catalog.log_cursor c WHERE r.id > c.last_id";
    Spi::connect(|client| client.select(sql, Some(1), &[]).and_then(|t| t.first().get_one::<i64>()).map_err(spi))
}

fn is_empty() -> Result<bool> {
    let sql = "SELECT FROM airlock_catalog.read_record LIMIT 1";
    Spi::connect(|client| client.select(sql, Some(1), &[]).map(|t| t.is_empty()).map_err(spi))
}
