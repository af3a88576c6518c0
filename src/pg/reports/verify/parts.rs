//! Holds the parts of records, which are kept in tables of their own, against the hashes that the records have of them.

use crate::pg::keys::ring::{self, LogKeys};
use crate::pg::sys::tuples::{self, Tuple};
use crate::pure::chain::Break;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{hash, private, Record};
use crate::pure::retention::Erased;
use crate::pure::subjects::{encode, Touched};
use std::collections::BTreeMap;
use std::rc::Rc;

type Hash = [u8; 32];
/// The salt of a subject part, and what it says.
type Part = (Vec<u8>, Vec<Touched>);

/// The hashes that a stretch of records has of its parts.
#[derive(Default)]
pub struct Expected {
    private: BTreeMap<i64, Hash>,
    subjects: BTreeMap<i64, Hash>,
}

impl Expected {
    /// Notes what a record says.
    pub fn note(&mut self, id: i64, record: &Record) {
        self.private.extend(record.private.map(|h| (id, h)));
        self.subjects.extend(record.subjects.map(|h| (id, h)));
    }

    /// The first record from `from` to `to` whose parts are not as it says.
    ///
    /// Parts that the log says were erased may be missing.
    pub fn check(mut self, from: i64, to: i64, erased: &[Erased]) -> Result<Option<Break>> {
        for erased in erased {
            match erased {
                Erased::Values(last) => self.private.retain(|id, _| id > last),
                Erased::Subjects(last) => self.subjects.retain(|id, _| id > last),
                Erased::Records { .. } => {}
            }
        }
        let private = stored_private(from, to, &self.private)?;
        let subjects = stored_subjects(from, to)?;
        let found = [
            compare("constants and parameters", &self.private, &private),
            compare("data subjects", &self.subjects, &subjects),
        ];
        Ok(found.into_iter().flatten().min_by_key(|found| found.id))
    }
}

/// The first difference. What is stored and no part at all has no hash.
fn compare(what: &str, expected: &BTreeMap<i64, Hash>, stored: &BTreeMap<i64, Option<Hash>>) -> Option<Break> {
    // nearly always they are the same, side by side
    if expected.len() == stored.len()
        && expected.iter().map(|(id, h)| (id, Some(h))).eq(stored.iter().map(|(id, h)| (id, h.as_ref())))
    {
        return None;
    }
    let wrong = |id: i64, how: &str| Some(Break { id, message: format!("the {what} of record {id} {how}") });
    let missing = expected.keys().find(|id| !stored.contains_key(id)).copied();
    let changed =
        stored.iter().find(|(id, hash)| hash.is_none() || expected.get(id) != hash.as_ref()).map(|(id, _)| *id);
    match (missing, changed) {
        (Some(id), None) => wrong(id, "are missing"),
        (Some(id), Some(other)) if id < other => wrong(id, "are missing"),
        (_, Some(id)) if expected.contains_key(&id) => wrong(id, "were changed"),
        (_, Some(id)) => wrong(id, "were added"),
        (None, None) => None,
    }
}

/// Each private part that is stored for these records, opened.
fn stored_private(from: i64, to: i64, expected: &BTreeMap<i64, Hash>) -> Result<BTreeMap<i64, Option<Hash>>> {
    let sql = "SELECT p.id, p.sealed FROM airlock_catalog.read_private p WHERE p.id >= $1 AND p.id <= $2";
    let mut found = BTreeMap::new();
    // the same key as the row before, nearly always
    let mut at_hand: Option<(u32, Rc<LogKeys>)> = None;
    tuples::each_as_seen(sql, &[from.into(), to.into()], |tuple| {
        let id = tuple.long(1)?.unwrap_or(0);
        let sealed = tuple.bytes(2)?.unwrap_or_default();
        let opened = match (private::key_version(sealed), expected.get(&id)) {
            (Some(version), Some(of)) => {
                let keys = match at_hand.take() {
                    Some((known, keys)) if known == version => keys,
                    _ => ring::log_key(Some(version))?.1,
                };
                let part = private::open(&keys.2, sealed, of).ok().map(|part| hash(&part));
                at_hand = Some((version, keys));
                part
            }
            _ => None,
        };
        // two of one record are one too many
        let twice = found.contains_key(&id);
        found.insert(id, opened.filter(|_| !twice));
        Ok(true)
    })?;
    Ok(found)
}

/// The hash of each subject part that is stored for these records, made anew from its rows.
fn stored_subjects(from: i64, to: i64) -> Result<BTreeMap<i64, Option<Hash>>> {
    let sql = format!("{ROWS} WHERE s.id >= $1 AND s.id <= $2");
    let mut parts: BTreeMap<i64, Option<Part>> = BTreeMap::new();
    tuples::each_as_seen(&sql, &[from.into(), to.into()], |tuple| {
        let id = tuple.long(1)?.unwrap_or(0);
        let Ok((salt, touched)) = read(tuple) else {
            parts.insert(id, None);
            return Ok(true);
        };
        let part = parts.entry(id).or_insert_with(|| Some((salt.clone(), Vec::new())));
        match part {
            Some((first, all)) if *first == salt => all.push(touched),
            other => *other = None,
        }
        Ok(true)
    })?;
    let made = |part: Option<Part>| {
        let (salt, mut touched) = part?;
        touched.sort_by_key(|t| t.scope);
        Some(hash(&encode(&salt.try_into().ok()?, touched)))
    };
    Ok(parts.into_iter().map(|(id, part)| (id, made(part))).collect())
}

/// The columns that [`read`] takes.
pub const ROWS: &str =
    "SELECT s.id, s.salt, s.scope, s.domain, s.epoch, s.seen, s.scanned, s.anybody, s.tokens, s.listed, \
    s.seen_filter, s.scanned_filter FROM airlock_catalog.read_subject s";

/// A row of `read_subject`: its salt, and what it says. XX001 for one that no record gives, such as one with an array of
/// another shape.
pub fn read(tuple: &Tuple) -> Result<(Vec<u8>, Touched)> {
    let strange = || Error::new(Kind::Corrupt, "a row of airlock_catalog.read_subject is not as it was written");
    let layers = |i: usize| -> Result<Vec<Vec<u8>>> {
        let list = tuple.byte_strings(i)?.map_err(|_| strange())?;
        Ok(list.into_iter().map(<[u8]>::to_vec).collect())
    };
    let touched = Touched {
        scope: tuple.int(3)?.ok_or_else(strange)?,
        domain: tuple.text(4)?.map(str::to_owned),
        epoch: tuple.int(5)?.ok_or_else(strange)?,
        seen: tuple.long(6)?.ok_or_else(strange)?,
        scanned: tuple.long(7)?.ok_or_else(strange)?,
        anybody: tuple.bool(8)?.ok_or_else(strange)?,
        tokens: tuple.uuids(9)?.map_err(|_| strange())?,
        listed: tuple.int(10)?.ok_or_else(strange)?,
        seen_filter: layers(11)?,
        scanned_filter: layers(12)?,
    };
    Ok((tuple.bytes(2)?.ok_or_else(strange)?.to_vec(), touched))
}
