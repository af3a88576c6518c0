//! What is looked for among match tags: a literal's, a parameter's or another column's tag under a column's key.
//!
//! A plan keeps `match_needle(column number, value)`, which is run once per execution (and once while planning, for the
//! estimate), never a tag: so a cached plan outlives the end of a right, and the right is asked for the role that runs it.
#![allow(unsafe_code)] // ◆ arrays of any type, the current user

use super::cast::convert;
use super::value::{datum_to_value, parse, Plain};
use super::{carried, key_of, refuse_subprocessor, type_oids};
use crate::pg::keys::ring::{self, KeyInfo, Number};
use crate::pg::sys::array::elements;
use crate::pg::sys::{varlena_bytes, Args, Raw, Sql};
use crate::pure::envelope::{self, is_carrier};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::Value;
use crate::pure::tag::{self, WIDE};
use crate::sql_function;
use pgrx::{pg_sys, IntoDatum};
use std::rc::Rc;

sql_function!(
    /// `airlock.match_needle(number integer, value "any") → bigint`: the match tag to look for in the column of that
    /// number. Planner support writes it; `value` is of the encrypted type or of a type that can be sealed.
    ///
    /// Errors: `AL004` without the right to match, `AL001` locked, `22P02` and `22003` when the value is none of the key's
    /// plaintext type, `42804` for a stored value of another key.
    airlock_match_needle,
    |args| by_number(args, Width::Narrow, false)
);
sql_function!(
    /// `airlock.match_needle_each(number integer, values "any") → bigint[]`: the same of each element of an array.
    airlock_match_needle_each,
    |args| by_number(args, Width::Narrow, true)
);
sql_function!(
    /// `airlock.match_needle16(number integer, value "any") → uuid`: all 16 bytes, for a unique column.
    airlock_match_needle16,
    |args| by_number(args, Width::Wide, false)
);
sql_function!(
    /// `airlock.match_needle16_each(number integer, values "any") → uuid[]`: the same of each element of an array.
    airlock_match_needle16_each,
    |args| by_number(args, Width::Wide, true)
);
sql_function!(
    /// `airlock.match_needle(key text, value text) → bigint`: the match tag of a value under a key, to compare with
    /// `airlock.match_tag(column)`. Errors as above; `42704` for an unknown key.
    airlock_match_needle_of,
    |args| by_name(args, false)
);
sql_function!(
    /// `airlock.match_needles(key text, values text[]) → bigint[]`: the same of each element.
    airlock_match_needles_of,
    |args| by_name(args, true)
);

/// How much of a tag is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pg) enum Width {
    /// 8 bytes, a bigint.
    Narrow,
    /// 16 bytes, a uuid.
    Wide,
}

fn by_number(args: Args, width: Width, array: bool) -> Result<Raw> {
    let key = key_of_number(args.need(0, "number")?)?;
    may_match(&key)?;
    needle(&key, args.datum(1).ok_or_else(null)?, args.type_of(1), width, array)
}

fn by_name(args: Args, array: bool) -> Result<Raw> {
    refuse_subprocessor()?;
    let key = ring::key_by_name(&args.need::<String>(0, "key")?)?;
    may_match(&key)?;
    let oid = if array { pg_sys::TEXTARRAYOID } else { pg_sys::TEXTOID };
    needle(&key, args.datum(1).ok_or_else(null)?, oid, Width::Narrow, array)
}

/// The tag of a value, or of each element of an array, as a datum. Asks no right.
fn needle(key: &KeyInfo, value: pg_sys::Datum, oid: pg_sys::Oid, width: Width, array: bool) -> Result<Raw> {
    if !array {
        let tag = tag_of(key, &given(value, oid, is_searchable(oid))?)?.datum(width)?;
        return tag.map(Raw).ok_or_else(null);
    }
    // SAFETY: a syscache look-up.
    let element = unsafe { pg_sys::get_base_element_type(oid) };
    if element == pg_sys::InvalidOid {
        return Err(
            Error::new(Kind::Mismatch, "an array is wanted").hint("airlock.match_needles('pii', ARRAY['a', 'b'])")
        );
    }
    let searchable = is_searchable(element);
    let tag = |datum| tag_of(key, &given(datum, element, searchable)?);
    // SAFETY: the type of the argument is an array of `element`.
    let (elements, _) = unsafe { elements(value, element) };
    let tags = elements.into_iter().map(|datum| datum.map(tag).transpose());
    let tags = tags.collect::<Result<Vec<Option<Tag>>>>()?;
    let array = match width {
        Width::Narrow => tags.iter().map(|t| t.as_ref().map(Tag::bigint)).collect::<Vec<_>>().into_datum(),
        Width::Wide => {
            let uuids = tags.iter().map(|t| t.as_ref().map(Tag::uuid).transpose());
            uuids.collect::<Result<Vec<_>>>()?.into_datum()
        }
    };
    array.map(Raw).ok_or_else(null)
}

/// What is known of a value's match tag.
pub(super) struct Tag {
    bytes: [u8; WIDE],
    /// Only the first 8 bytes: a stored value carries no more.
    narrow: bool,
}

impl Tag {
    /// As `airlock.match_tag` gives it.
    fn bigint(&self) -> i64 {
        tag::as_bigint(&tag::narrow(&self.bytes))
    }

    /// As `airlock.match_tag16` gives it. 42804 when only half of it is known.
    fn uuid(&self) -> Result<pgrx::Uuid> {
        if self.narrow {
            return Err(Error::new(Kind::Mismatch, "a value of a column that is not unique was given for one that is")
                .detail("Its match tag has 8 bytes, those of the unique column 16.")
                .hint("compare the two columns themselves, or airlock.match_tag of both"));
        }
        Ok(pgrx::Uuid::from_bytes(self.bytes))
    }

    fn datum(&self, width: Width) -> Result<Option<pg_sys::Datum>> {
        Ok(match width {
            Width::Narrow => self.bigint().into_datum(),
            Width::Wide => self.uuid()?.into_datum(),
        })
    }

    /// Whether a stored value's tag is this one, in what both have of it.
    pub(super) fn is(&self, stored: &[u8]) -> bool {
        let known = if self.narrow { tag::LEN } else { WIDE };
        let both = known.min(stored.len());
        self.bytes[..both] == stored[..both]
    }
}

sql_function!(
    /// `airlock.may_match(a integer, b integer) → boolean`: true when the current role may compare the columns of these
    /// numbers, an error otherwise. Planner support writes it beside a comparison of two columns' tags.
    ///
    /// Errors: `AL004`, `AL001`; `AL003` when a column's catalog row was changed; `42804` for two keys.
    airlock_may_match,
    |args| {
        let (a, b) = (key_of_number(args.need(0, "a")?)?, key_of_number(args.need(1, "b")?)?);
        if a.key_no != b.key_no {
            return Err(two_keys(&a.name, &b.name));
        }
        may_match(&a)?;
        Ok(Sql(true))
    }
);

fn null() -> Error {
    Error::new(Kind::InvalidArgument, "a compared value is null")
}

/// `42804`: values under two keys are never compared, for their tags differ where they are equal.
pub(super) fn two_keys(a: &str, b: &str) -> Error {
    Error::new(Kind::Mismatch, format!("values under the keys \"{a}\" and \"{b}\" cannot be compared"))
        .hint("columns that are joined need one key; decrypt both, or encrypt one again under the other's key")
}

/// The key that a number stands for or belongs to, authenticated.
fn key_of_number(number: i32) -> Result<Rc<KeyInfo>> {
    Ok(match super::number(number)? {
        Number::Column(column) => column.key.clone(),
        Number::Key(key) => key,
    })
}

/// AL004 unless the current user may match under the key; AL007 for a sub-processor, who looks for what its views show.
/// Asked at each call, since SET ROLE and functions of another owner change the user under one plan; the keyring keeps
/// the answer of each user to the end of the transaction.
pub(super) fn may_match(key: &KeyInfo) -> Result<()> {
    refuse_subprocessor()?;
    // SAFETY: reads a backend-local variable.
    ring::may_match(key, unsafe { pg_sys::GetUserId() })
}

/// One side of a comparison.
pub(super) enum Given {
    /// A value sealed for some column.
    Stored(Vec<u8>),
    /// A literal of this backend.
    Carrier(Vec<u8>),
    /// A value of a type that can be sealed, and whether it came as json.
    Plain(Plain, bool),
}

/// Whether a type is `encrypted_eq`.
pub(super) fn is_searchable(oid: pg_sys::Oid) -> bool {
    type_oids().is_some_and(|(_, searchable)| searchable == oid)
}

/// What a datum of a type is; `searchable` says whether that is `encrypted_eq`. 42804 for a type that no key can seal.
pub(super) fn given(datum: pg_sys::Datum, oid: pg_sys::Oid, searchable: bool) -> Result<Given> {
    if searchable {
        let bytes = varlena_bytes(datum);
        return Ok(if is_carrier(&bytes) { Given::Carrier(bytes) } else { Given::Stored(bytes) });
    }
    let (oid, json) = if oid == pg_sys::JSONOID { (pg_sys::TEXTOID, true) } else { (oid, false) };
    match datum_to_value(datum, oid)? {
        Some(value) => Ok(Given::Plain(Plain(value), json)),
        None => Err(Error::new(Kind::Mismatch, "an encrypted column cannot be compared with a value of this type")
            .hint("cast the value to text or to the column's plaintext type: TABLE airlock.encrypted_columns")),
    }
}

/// The match tag of one side under a key.
pub(super) fn tag_of(key: &KeyInfo, given: &Given) -> Result<Tag> {
    let value = match given {
        Given::Stored(bytes) => {
            let (its, tag) = read(bytes)?;
            if its.key_no != key.key_no {
                return Err(two_keys(&key.name, &its.name));
            }
            let mut out = Tag { bytes: [0; WIDE], narrow: tag.len() < WIDE };
            out.bytes[..tag.len()].copy_from_slice(tag);
            return Ok(out);
        }
        Given::Carrier(bytes) => {
            let spelled = carried(bytes)?;
            refuse_ciphertext(&spelled)?;
            Plain(parse(&spelled, key.plain_type)?)
        }
        Given::Plain(value, json) => {
            if let Value::Text(text) = &value.0 {
                refuse_ciphertext(text)?;
            }
            convert(value, key.plain_type, *json)?
        }
    };
    Ok(Tag { bytes: tag::wide(&*ring::match_key(key)?, &value.0, key.normalise), narrow: false })
}

fn refuse_ciphertext(text: &str) -> Result<()> {
    if !envelope::looks_like_ciphertext(text) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidText, "ciphertext was given as a literal to compare with")
        .hint("compare the columns themselves, or the plaintext"))
}

/// Key and tag of a stored value, as its header says.
pub(super) fn read(value: &[u8]) -> Result<(Rc<KeyInfo>, &[u8])> {
    let header = envelope::parse(value)?;
    let tag = header
        .tag
        .ok_or_else(|| Error::new(Kind::NotAuthentic, "a value of type airlock.encrypted_eq has no match tag"))?;
    Ok((key_of(header.version_id)?, tag))
}

/// The tag of a plain value, or of each element of an array, for a column that a scope shows in clear. Asks no right: the
/// caller has.
pub(in crate::pg) fn for_rule(
    column_no: i32,
    value: pg_sys::Datum,
    oid: pg_sys::Oid,
    width: Width,
    array: bool,
) -> Result<Raw> {
    needle(&*key_of_number(column_no)?, value, oid, width, array)
}
