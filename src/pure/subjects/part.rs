//! What a record says about data subjects: its *subject part*, sealed with the record and bound to it by its hash, stored
//! apart and dropped apart.
//!
//! `part    = [1, salt(16), [touched, …]]`, deterministic CBOR (RFC 8949 section 4.2)
//! `touched = [scope, domain | null, epoch, seen, scanned, anybody, tokens, listed as seen, [layer, …], [layer, …]]`

use minicbor::{Decoder, Encoder};

use super::filter::{self, Filter};
use super::{Certainty, Set, Token};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::SubjectKey;

/// Version of the part, its first item.
const VERSION: u8 = 1;
/// Most bytes of a part, so that record and part fit one message. What would be more says "anybody" instead.
pub const MOST: usize = 12 * 1024 * 1024;

/// The persons of one scope that one statement touched, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Number of the scope.
    pub scope: i32,
    /// What the tokens stand for, such as `public.customers.id`; `None` when the scope declares no subject.
    pub domain: Option<String>,
    /// Version of the subject key; 0 without domain.
    pub epoch: i32,
    /// How many persons' rows entered the statement; nearly, where they are in a filter, and 0 where they are too many for one.
    pub seen: i64,
    /// How many more were looked at, and passed over by a condition that the reader wrote; nearly, where one or the other are
    /// in a filter.
    pub scanned: i64,
    /// It may have been anybody: too many to keep, or rows whose person could not be told.
    pub anybody: bool,
    /// Those who were seen, then those who were only scanned, each sorted.
    pub tokens: Vec<Token>,
    /// How many of them were seen.
    pub listed: i32,
    /// Filter of those who were seen, when they are too many to list; one item per layer.
    pub seen_filter: Vec<Vec<u8>>,
    /// The same of those who were scanned.
    pub scanned_filter: Vec<Vec<u8>>,
}

impl Touched {
    /// Of a scope that declares no subject: it may have been anybody.
    pub fn undeclared(scope: i32) -> Touched {
        Touched { scope, anybody: true, ..Touched::default() }
    }

    /// From what was collected, under the key it was hashed with.
    pub fn new(
        scope: i32,
        (domain, epoch): (&str, u32),
        key: &SubjectKey,
        seen: &Set,
        scanned: &Set,
        unknown: bool,
    ) -> Touched {
        let (mut tokens, seen_filter, all_seen) = stored(key, seen, |_, _| true);
        let listed = tokens.len();
        // the seen ones are among the scanned
        let (more, scanned_filter, all_scanned) = stored(key, scanned, |hash, person| !seen.lists(hash, person));
        let count = |set: &Set| i64::try_from(set.len().unwrap_or(0)).unwrap_or(i64::MAX);
        let only = match scanned {
            Set::Few(..) => more.len() as i64,
            _ => (count(scanned) - count(seen)).max(0),
        };
        tokens.extend(more);
        Touched {
            scope,
            domain: Some(domain.to_string()),
            epoch: i32::try_from(epoch).unwrap_or(i32::MAX),
            seen: count(seen),
            scanned: only,
            anybody: unknown || all_seen || all_scanned,
            tokens,
            listed: i32::try_from(listed).unwrap_or(i32::MAX),
            seen_filter,
            scanned_filter,
        }
    }

    /// What it says about a person, by token and hash under the same domain and epoch; `None`: it did not touch them.
    pub fn certainty(&self, token: &Token, hash: u64) -> Option<Certainty> {
        let listed = usize::try_from(self.listed).unwrap_or(0).min(self.tokens.len());
        let (seen, scanned) = self.tokens.split_at(listed);
        if seen.contains(token) {
            Some(Certainty::Exact)
        } else if filter::is_in(&self.seen_filter, hash) {
            Some(Certainty::Probable)
        } else if self.anybody || scanned.contains(token) || filter::is_in(&self.scanned_filter, hash) {
            Some(Certainty::Possible)
        } else {
            None
        }
    }

    /// Its size, nearly.
    fn size(&self) -> usize {
        let layers = |filter: &[Vec<u8>]| filter.iter().map(Vec::len).sum::<usize>();
        128 + self.tokens.len() * 16 + layers(&self.seen_filter) + layers(&self.scanned_filter)
    }

    /// Gives up who it was, for room.
    fn give_up(&mut self) {
        *self = Touched { anybody: true, tokens: Vec::new(), listed: 0, ..std::mem::take(self) };
        (self.seen_filter, self.scanned_filter) = (Vec::new(), Vec::new());
    }
}

/// Tokens of a set, or its filter, or that it is everybody.
fn stored(key: &SubjectKey, set: &Set, wanted: impl Fn(u64, &[u8]) -> bool) -> (Vec<Token>, Vec<Vec<u8>>, bool) {
    match set {
        Set::Few(listed, _) => {
            let persons = listed.iter().filter(|(hash, person)| wanted(**hash, person));
            let mut tokens: Vec<Token> = persons.map(|(_, person)| key.token(person)).collect();
            tokens.sort_unstable();
            (tokens, Vec::new(), false)
        }
        Set::Many(filter) => (Vec::new(), Filter::layers(filter), false),
        Set::Everybody => (Vec::new(), Vec::new(), true),
    }
}

/// The part's bytes. Without more room than [`MOST`], the largest give up whom they touched.
pub fn encode(salt: &[u8; 16], mut touched: Vec<Touched>) -> Vec<u8> {
    while touched.iter().map(Touched::size).sum::<usize>() > MOST {
        match touched.iter_mut().max_by_key(|t| t.size()) {
            Some(largest) if largest.size() > 128 => largest.give_up(),
            _ => break,
        }
    }
    // a Vec takes every byte
    write(salt, &touched).unwrap_or_default()
}

type Written<T> = std::result::Result<T, minicbor::encode::Error<std::convert::Infallible>>;

fn write(salt: &[u8; 16], touched: &[Touched]) -> Written<Vec<u8>> {
    let mut e = Encoder::new(Vec::with_capacity(64 + touched.iter().map(Touched::size).sum::<usize>()));
    e.array(3)?.u8(VERSION)?.bytes(salt)?.array(touched.len() as u64)?;
    for t in touched {
        e.array(10)?.i32(t.scope)?;
        match &t.domain {
            Some(domain) => e.str(domain)?,
            None => e.null()?,
        };
        e.i32(t.epoch)?.i64(t.seen)?.i64(t.scanned)?.bool(t.anybody)?;
        e.bytes(&t.tokens.concat())?.i32(t.listed)?;
        for filter in [&t.seen_filter, &t.scanned_filter] {
            e.array(filter.len() as u64)?;
            for layer in filter {
                e.bytes(layer)?;
            }
        }
    }
    Ok(e.into_writer())
}

/// Salt and content of a part that [`encode`] wrote; `Corrupt` for anything else.
pub fn decode(bytes: &[u8]) -> Result<([u8; 16], Vec<Touched>)> {
    let (salt, touched) = read(bytes).map_err(|_| corrupt())?;
    match write(&salt, &touched) {
        Ok(again) if again == bytes => Ok((salt, touched)),
        _ => Err(corrupt()),
    }
}

fn read(bytes: &[u8]) -> std::result::Result<([u8; 16], Vec<Touched>), minicbor::decode::Error> {
    let strange = || minicbor::decode::Error::message("");
    let mut d = Decoder::new(bytes);
    if d.array()? != Some(3) || d.u8()? != VERSION {
        return Err(strange());
    }
    let salt = d.bytes()?.try_into().map_err(|_| strange())?;
    let mut touched = Vec::new();
    // no capacity from a count: it is not to be believed before the items are there
    for _ in 0..d.array()?.ok_or_else(strange)? {
        if d.array()? != Some(10) {
            return Err(strange());
        }
        let scope = d.i32()?;
        let domain = match d.datatype()? {
            minicbor::data::Type::Null => d.null().map(|()| None)?,
            _ => Some(d.str()?.to_string()),
        };
        let (epoch, seen, scanned, anybody) = (d.i32()?, d.i64()?, d.i64()?, d.bool()?);
        let (tokens, rest) = d.bytes()?.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(strange());
        }
        let tokens = tokens.to_vec();
        let listed = d.i32()?;
        let mut filters = [Vec::new(), Vec::new()];
        for filter in &mut filters {
            for _ in 0..d.array()?.ok_or_else(strange)? {
                filter.push(d.bytes()?.to_vec());
            }
        }
        let [seen_filter, scanned_filter] = filters;
        touched.push(Touched {
            scope,
            domain,
            epoch,
            seen,
            scanned,
            anybody,
            tokens,
            listed,
            seen_filter,
            scanned_filter,
        });
    }
    Ok((salt, touched))
}

fn corrupt() -> Error {
    Error::new(Kind::Corrupt, "the subjects of a read record are not in their one canonical form")
        .hint("Run SELECT * FROM airlock.verify_log().")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    fn key() -> SubjectKey {
        SubjectKey::derive(&Secret::new([3; 32]), "public.customers.id")
    }

    fn set(range: std::ops::Range<u32>) -> Set {
        let mut set = Set::default();
        range.for_each(|n| set.insert(key().hash(&n.to_be_bytes()), &n.to_be_bytes()));
        set
    }

    fn touched(seen: &Set, scanned: &Set, unknown: bool) -> Touched {
        Touched::new(7, ("public.customers.id", 2), &key(), seen, scanned, unknown)
    }

    fn of(t: &Touched, n: u32) -> Option<Certainty> {
        t.certainty(&key().token(&n.to_be_bytes()), key().hash(&n.to_be_bytes()))
    }

    #[test]
    fn few_are_told_exactly() {
        let t = touched(&set(0..3), &set(0..5), false);
        assert_eq!((t.seen, t.scanned, t.listed, t.tokens.len()), (3, 2, 3, 5));
        assert_eq!(of(&t, 2), Some(Certainty::Exact));
        assert_eq!(of(&t, 3), Some(Certainty::Possible));
        assert_eq!(of(&t, 5), None);
        assert!(t.tokens[..3].is_sorted() && t.tokens[3..].is_sorted());
    }

    #[test]
    fn many_are_told_by_filter_and_nobody_is_missed() {
        let t = touched(&set(0..20_000), &set(0..30_000), false);
        assert!(t.tokens.is_empty() && t.seen_filter.len() == 1 && t.scanned > 9_900);
        assert!((0..20_000).all(|n| of(&t, n) == Some(Certainty::Probable)));
        assert!((20_000..30_000).all(|n| of(&t, n).is_some()));
        assert!((40_000..60_000).filter(|n| of(&t, *n).is_some()).count() < 60);
        // few seen of many scanned
        let t = touched(&set(5..6), &set(0..30_000), false);
        assert_eq!((of(&t, 5), of(&t, 6)), (Some(Certainty::Exact), Some(Certainty::Possible)));
    }

    #[test]
    fn what_is_not_known_may_be_anybody() {
        for t in
            [touched(&Set::Everybody, &set(0..0), false), touched(&set(0..1), &set(0..0), true), Touched::undeclared(7)]
        {
            assert_eq!(of(&t, 99), Some(Certainty::Possible));
        }
        assert_eq!(of(&touched(&set(0..1), &set(0..0), true), 0), Some(Certainty::Exact));
    }

    #[test]
    fn another_epoch_or_domain_has_other_tokens() {
        let t = touched(&set(0..3), &set(0..0), false);
        for other in [
            SubjectKey::derive(&Secret::new([4; 32]), "public.customers.id"),
            SubjectKey::derive(&Secret::new([3; 32]), "public.orders.id"),
        ] {
            assert_eq!(t.certainty(&other.token(&1u32.to_be_bytes()), other.hash(&1u32.to_be_bytes())), None);
        }
    }

    #[test]
    fn is_read_back_and_in_one_form_only() {
        let all = vec![
            touched(&set(0..3), &set(0..5), true),
            Touched::undeclared(1),
            touched(&set(0..11_000), &set(0..0), false),
        ];
        let bytes = encode(&[5; 16], all.clone());
        assert_eq!(decode(&bytes), Ok(([5; 16], all)));
        let small = encode(&[5; 16], vec![touched(&set(0..1), &set(0..2), false)]);
        for end in 0..small.len() {
            assert!(decode(&small[..end]).is_err(), "cut after {end}");
        }
        assert!(decode(&[&small[..], &[0]].concat()).is_err());
        // 24 as a long integer
        assert!(decode(&[&small[..1], &[0x18, 1], &small[2..]].concat()).is_err());
    }

    #[test]
    fn what_is_too_much_says_anybody() {
        let large = |scope| Touched {
            scope,
            seen: 9,
            seen_filter: vec![vec![0; MOST / 2]],
            domain: Some("d".into()),
            ..Touched::default()
        };
        let small = touched(&set(0..3), &set(0..3), false);
        let bytes = encode(&[0; 16], vec![large(1), large(2), small.clone()]);
        assert!(bytes.len() <= MOST);
        let (_, read) = decode(&bytes).unwrap();
        assert_eq!(read.iter().filter(|t| t.anybody).count(), 1);
        assert_eq!(read[2], small);
        let gone = read.iter().find(|t| t.anybody).unwrap();
        assert_eq!((gone.seen, gone.domain.as_deref(), gone.seen_filter.len()), (9, Some("d"), 0));
    }
}
