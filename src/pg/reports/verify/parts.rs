//! Holds the parts of records, which are kept in tables of their own, against the hashes that the records have of them.

use crate::pg::keys::ring;
use crate::pg::readlog::materialiser::spi;
use crate::pure::chain::Break;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::record::{hash, private, Record};
use crate::pure::retention::Erased;
use crate::pure::subjects::{encode, Touched};
use pgrx::datum::{Array, Uuid};
use pgrx::spi::SpiHeapTupleData;
use pgrx::Spi;
use std::collections::BTreeMap;

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
    Spi::connect(|client| {
        let mut found = BTreeMap::new();
        for tuple in client.select(sql, None, &[from.into(), to.into()]).map_err(spi)? {
            let id = tuple.get::<i64>(1).map_err(spi)?.unwrap_or(0);
            let sealed = tuple.get::<Vec<u8>>(2).map_err(spi)?.unwrap_or_default();
            let opened = match (private::key_version(&sealed), expected.get(&id)) {
                (Some(version), Some(of)) => {
                    let (_, keys) = ring::log_key(Some(version))?;
                    private::open(&keys.2, &sealed, of).ok().map(|part| hash(&part))
                }
                _ => None,
            };
            // two of one record are one too many
            let twice = found.contains_key(&id);
            found.insert(id, opened.filter(|_| !twice));
        }
        Ok(found)
    })
}

/// The hash of each subject part that is stored for these records, made anew from its rows.
fn stored_subjects(from: i64, to: i64) -> Result<BTreeMap<i64, Option<Hash>>> {
    let sql = format!("{ROWS} WHERE s.id >= $1 AND s.id <= $2 ORDER BY s.id, s.scope");
    let mut parts: BTreeMap<i64, Option<Part>> = BTreeMap::new();
    Spi::connect(|client| {
        for tuple in client.select(sql.as_str(), None, &[from.into(), to.into()]).map_err(spi)? {
            let id = tuple.get::<i64>(1).map_err(spi)?.unwrap_or(0);
            let Ok((salt, touched)) = read(&tuple) else {
                parts.insert(id, None);
                continue;
            };
            let part = parts.entry(id).or_insert_with(|| Some((salt.clone(), Vec::new())));
            match part {
                Some((first, all)) if *first == salt => all.push(touched),
                other => *other = None,
            }
        }
        Ok::<_, Error>(())
    })?;
    let made = |part: Option<Part>| {
        let (salt, touched) = part?;
        Some(hash(&encode(&salt.try_into().ok()?, touched)))
    };
    Ok(parts.into_iter().map(|(id, part)| (id, made(part))).collect())
}

/// The columns that [`read`] takes.
pub const ROWS: &str =
    "SELECT s.id, s.salt, s.scope, s.domain, s.epoch, s.seen, s.scanned, s.anybody, s.tokens, s.listed, \
    s.seen_filter, s.scanned_filter, coalesce(pg_catalog.array_ndims(s.tokens), 1) = 1 AND coalesce(pg_catalog.array_lower(s.tokens, 1), 1) = 1 \
    AND coalesce(pg_catalog.array_ndims(s.seen_filter), 1) = 1 AND coalesce(pg_catalog.array_lower(s.seen_filter, 1), 1) = 1 \
    AND coalesce(pg_catalog.array_ndims(s.scanned_filter), 1) = 1 AND coalesce(pg_catalog.array_lower(s.scanned_filter, 1), 1) = 1 \
    FROM airlock_catalog.read_subject s";

/// A row of `read_subject`: its salt, and what it says. XX001 for one that no record gives.
pub fn read(tuple: &SpiHeapTupleData) -> Result<(Vec<u8>, Touched)> {
    let strange = || Error::new(Kind::Corrupt, "a row of airlock_catalog.read_subject is not as it was written");
    let layers = |i: usize| -> Result<Vec<Vec<u8>>> {
        let list = tuple.get::<Array<&[u8]>>(i).map_err(spi)?.ok_or_else(strange)?;
        list.iter().map(|layer| layer.map(<[u8]>::to_vec).ok_or_else(strange)).collect()
    };
    // an array of another shape has the same elements, and is not what the worker wrote
    if tuple.get::<bool>(13).map_err(spi)? != Some(true) {
        return Err(strange());
    }
    let tokens = tuple.get::<Vec<Option<Uuid>>>(9).map_err(spi)?;
    let tokens: Option<Vec<Uuid>> = tokens.and_then(|t| t.into_iter().collect());
    let touched = Touched {
        scope: tuple.get(3).map_err(spi)?.ok_or_else(strange)?,
        domain: tuple.get(4).map_err(spi)?,
        epoch: tuple.get(5).map_err(spi)?.ok_or_else(strange)?,
        seen: tuple.get(6).map_err(spi)?.ok_or_else(strange)?,
        scanned: tuple.get(7).map_err(spi)?.ok_or_else(strange)?,
        anybody: tuple.get(8).map_err(spi)?.ok_or_else(strange)?,
        tokens: tokens.ok_or_else(strange)?.iter().map(|t| *t.as_bytes()).collect(),
        listed: tuple.get(10).map_err(spi)?.ok_or_else(strange)?,
        seen_filter: layers(11)?,
        scanned_filter: layers(12)?,
    };
    Ok((tuple.get::<Vec<u8>>(2).map_err(spi)?.ok_or_else(strange)?, touched))
}
