//! `=` and `<>` of `encrypted_eq`: match tags are compared, never values.
//!
//! Both kinds of comparison are for a role that may match under the key: whoever may define a column under it could
//! else store guesses there, and compare those with what it may not match. A literal's tag is made under the match key
//! of the stored value's key; two stored values need no key material but the root key, which vouches for the grant.
#![allow(unsafe_code)] // ◆ the declared argument types

use super::value::{parse, to_utf8, Plain};
use super::{carried, key_of, refuse_subprocessor};
use crate::pg::keys::ring::{self, KeyInfo};
use crate::pg::shared;
use crate::pg::sys::{varlena_bytes, Args, Sql};
use crate::pure::envelope::{self, is_carrier};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::tag::tag;
use crate::sql_function;
use pgrx::pg_sys;
use zeroize::Zeroizing;

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

/// Literals whose tags one call site keeps: enough for an IN list.
const KEPT: usize = 64;

/// A literal, the key it was tagged under, and its tag.
type Needle = (Zeroizing<Vec<u8>>, i32, [u8; 8]);

/// What a call site remembers.
struct Site {
    /// Whether each argument is declared as text.
    text: [bool; 2],
    needles: Vec<Needle>,
    generation: (u64, u64),
}

/// One side of the comparison.
enum Side {
    Stored(Vec<u8>),
    /// A carrier of this backend.
    Carrier(Vec<u8>),
    /// Text of the server's encoding.
    Text(Zeroizing<Vec<u8>>),
}

fn site(args: Args) -> Site {
    let (mut types, mut count) = (std::ptr::null_mut::<pg_sys::Oid>(), 0);
    // SAFETY: flinfo is that of this call; the array holds `count` OIDs.
    let text = unsafe {
        pg_sys::get_func_signature((*(*args.raw()).flinfo).fn_oid, &mut types, &mut count);
        let text = |i| i < count && *types.add(i as usize) == pg_sys::TEXTOID;
        [text(0), text(1)]
    };
    Site { text, needles: Vec::new(), generation: (0, 0) }
}

fn equal(args: Args) -> Result<bool> {
    let site = args.site(|| site(args));
    let side = |i: usize| -> Result<Side> {
        let datum = args.datum(i).ok_or_else(|| Error::new(Kind::InvalidArgument, "a compared value is null"))?;
        let bytes = varlena_bytes(datum);
        Ok(match (site.text[i], is_carrier(&bytes)) {
            (true, _) => Side::Text(Zeroizing::new(bytes)),
            (false, true) => Side::Carrier(bytes),
            (false, false) => Side::Stored(bytes),
        })
    };
    match (side(0)?, side(1)?) {
        (Side::Stored(a), Side::Stored(b)) => stored(&a, &b),
        (Side::Stored(value), literal) | (literal, Side::Stored(value)) => {
            let (key, tag) = read(&value)?;
            Ok(tag == needle(site, &key, literal)?)
        }
        _ => Err(Error::new(Kind::Mismatch, "neither side of the comparison is a stored value")
            .hint("compare an encrypted column with a literal, or with another encrypted column")),
    }
}

/// Key and tag of a stored value, as its header says.
fn read(value: &[u8]) -> Result<(std::rc::Rc<KeyInfo>, &[u8])> {
    let header = envelope::parse(value)?;
    let tag = header
        .tag
        .ok_or_else(|| Error::new(Kind::NotAuthentic, "a value of type airlock.encrypted_eq has no match tag"))?;
    Ok((key_of(header.version_id)?, tag))
}

fn stored(a: &[u8], b: &[u8]) -> Result<bool> {
    let ((key_a, tag_a), (key_b, tag_b)) = (read(a)?, read(b)?);
    if key_a.key_no != key_b.key_no {
        return Err(Error::new(
            Kind::Mismatch,
            format!("values under the keys \"{}\" and \"{}\" cannot be compared", key_a.name, key_b.name),
        )
        .hint("columns that are joined need one key; decrypt both, or encrypt one again under the other's key"));
    }
    may_match(&key_a)?;
    Ok(tag_a == tag_b)
}

/// AL004 unless the current user may match under the key. Asked for each row, since SET ROLE and functions of another
/// owner change the user under one call site; the keyring keeps the answer of each user to the end of the transaction.
fn may_match(key: &KeyInfo) -> Result<()> {
    // SAFETY: reads a backend-local variable.
    ring::may_match(key, unsafe { pg_sys::GetUserId() })
}

/// The tag of a literal under a key.
fn needle(site: &mut Site, key: &KeyInfo, literal: Side) -> Result<[u8; 8]> {
    refuse_subprocessor()?;
    may_match(key)?;
    let generation = shared::generation();
    if site.generation != generation {
        site.needles.clear();
        site.generation = generation;
    }
    let (bytes, text) = match literal {
        Side::Text(bytes) => (bytes, true),
        Side::Carrier(bytes) | Side::Stored(bytes) => (Zeroizing::new(bytes), false),
    };
    if let Some((_, _, tag)) = site.needles.iter().find(|(b, key_no, _)| *key_no == key.key_no && *b == bytes) {
        return Ok(*tag);
    }
    let spelled = if text { Zeroizing::new(to_utf8(&bytes)?.into_owned()) } else { carried(&bytes)? };
    if envelope::looks_like_ciphertext(&spelled) {
        return Err(Error::new(Kind::InvalidText, "ciphertext was given as a literal to compare with")
            .hint("compare the columns themselves, or the plaintext"));
    }
    let value = Plain(parse(&spelled, key.plain_type)?);
    let tag = tag(&*ring::match_key(key)?, &value.0);
    if site.needles.len() == KEPT {
        site.needles.clear();
    }
    site.needles.push((bytes, key.key_no, tag));
    Ok(tag)
}
