//! `=` and `<>` of `encrypted_eq`, and the tags that they compare: never values.
//!
//! Both kinds of comparison are for a role that may match under the key: whoever may define a column under it could
//! else store guesses there, and compare those with what it may not match. Planner support (`search`) turns the operators
//! into comparisons of `match_tag`, which an index serves; what runs here is what it could not turn, as where a CASE hides
//! the column.

use super::needle::{given, is_searchable, may_match, read, tag_of, two_keys, Given, Tag};
use crate::pg::keys::ring::KeyInfo;
use crate::pg::shared;
use crate::pg::sys::{catalog, varlena_head, Args, Raw, Sql};
use crate::pure::envelope;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::tag::{self, LEN, WIDE};
use crate::sql_function;
use pgrx::{pg_sys, IntoDatum};
use std::rc::Rc;

sql_function!(
    /// `airlock.eq`: whether two values, or a value and a literal, have equal match tags.
    airlock_eq,
    |args| equal(args).map(Sql)
);
sql_function!(
    /// `airlock.ne`: the negation of `airlock.eq`.
    airlock_ne,
    |args| equal(args).map(|equal| Sql(!equal))
);
sql_function!(
    /// `airlock.match_tag(airlock.encrypted_eq) → bigint`: the first 8 bytes of a value's match tag. Equal values of
    /// columns under one key have equal tags, unequal ones with odds of 2^-64. Needs no key, so an index on it can be built,
    /// restored and analysed while the database is locked. NULL for what is no stored value: it raises nothing, for it is
    /// leakproof.
    airlock_match_tag,
    |args: Args| {
        let tag = head(args).and_then(|bytes| Some(tag::as_bigint(envelope::tag_at_head(&bytes)?.first_chunk::<LEN>()?)));
        Ok(tag.and_then(IntoDatum::into_datum).map(Raw))
    }
);
sql_function!(
    /// `airlock.match_tag16(airlock.encrypted_eq) → uuid`: all 16 bytes of the match tag of a unique column,
    /// `airlock.encrypted_eq('pii', 'unique')`. Errors: `AL003` for a value whose tag has 8. It is leakproof all the same:
    /// the error tells of a value how its column was made, and nothing else.
    airlock_match_tag16,
    |args: Args| {
        let bytes = head(args).unwrap_or_default();
        let tag = envelope::tag_at_head(&bytes).and_then(|tag| <[u8; WIDE]>::try_from(tag).ok());
        let tag = tag.ok_or_else(|| {
            Error::new(Kind::NotAuthentic, "a match tag has 8 bytes, not 16")
                .detail("Only columns that were made unique have tags of 16 bytes.")
                .hint("use airlock.match_tag, or encrypt the column again: encrypt_column(…, searchable => true, \"unique\" => true)")
        })?;
        Ok(Sql(pgrx::Uuid::from_bytes(tag)))
    }
);

/// The bytes of a value up to where its tag ends.
fn head(args: Args) -> Option<Vec<u8>> {
    args.datum(0).map(|datum| varlena_head(datum, envelope::TAG_HEAD))
}

/// Literals whose tags one call site keeps: enough for an IN list.
const KEPT: usize = 64;

/// A literal on its way, the key it was tagged under, and its tag.
type Needle = (Vec<u8>, i32, Rc<Tag>);

/// What a call site remembers.
struct Site {
    /// The declared type of each argument, and whether it is the encrypted one.
    types: [(pg_sys::Oid, bool); 2],
    needles: Vec<Needle>,
    generation: (u64, u64),
}

fn equal(args: Args) -> Result<bool> {
    let site = args.site(|| {
        let declared = |i| {
            let oid = catalog::declared_type(args, i);
            (oid, is_searchable(oid))
        };
        Site { types: [declared(0), declared(1)], needles: Vec::new(), generation: (0, 0) }
    });
    let side = |i: usize| -> Result<Given> {
        let datum = args.datum(i).ok_or_else(|| Error::new(Kind::InvalidArgument, "a compared value is null"))?;
        let (oid, searchable) = site.types[i];
        given(datum, oid, searchable)
    };
    match (side(0)?, side(1)?) {
        (Given::Stored(a), Given::Stored(b)) => stored(&a, &b),
        (Given::Stored(value), literal) | (literal, Given::Stored(value)) => {
            let (key, tag) = read(&value)?;
            may_match(&key)?;
            let equal = needle(site, &key, &literal)?.is(tag);
            Ok(equal)
        }
        _ => Err(Error::new(Kind::Mismatch, "neither side of the comparison is a stored value")
            .hint("compare an encrypted column with a literal, or with another encrypted column")),
    }
}

/// Tags of two columns, of which one may be unique: what both have of them.
fn stored(a: &[u8], b: &[u8]) -> Result<bool> {
    let ((key_a, tag_a), (key_b, tag_b)) = (read(a)?, read(b)?);
    if key_a.key_no != key_b.key_no {
        return Err(two_keys(&key_a.name, &key_b.name));
    }
    may_match(&key_a)?;
    let both = tag_a.len().min(tag_b.len());
    Ok(tag_a[..both] == tag_b[..both])
}

/// The tag of a literal under a key, kept for the next row.
fn needle(site: &mut Site, key: &KeyInfo, literal: &Given) -> Result<Rc<Tag>> {
    let generation = shared::generation();
    if site.generation != generation {
        site.needles.clear();
        site.generation = generation;
    }
    let Given::Carrier(bytes) = literal else { return tag_of(key, literal).map(Rc::new) };
    if let Some((_, _, tag)) = site.needles.iter().find(|(b, key_no, _)| *key_no == key.key_no && b == bytes) {
        return Ok(tag.clone());
    }
    let tag = Rc::new(tag_of(key, literal)?);
    if site.needles.len() == KEPT {
        site.needles.clear();
    }
    site.needles.push((bytes.clone(), key.key_no, tag.clone()));
    Ok(tag)
}
