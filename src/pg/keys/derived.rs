//! Keys derived from a sealing key for one first half of a nonce (N1), kept while it comes again: what they open and seal
//! costs AES-256-GCM, and the bytes are those of XAES-256-GCM.
//!
//! A backend seals under an N1 of its own, and draws another after [`PER_N1`] values; the second half is random for each. In
//! a forked child nothing of it is there (`memory`), and what is random differs: an N1 that two processes share by mistake
//! repeats no nonce.

use super::entropy;
use super::memory::{clean, Locked};
use crate::pure::aead::{HALF, NONCE};
use crate::pure::error::Result;
use crate::pure::keyring::{SealKey, SealUnder, Seals};
use crate::pure::nonces::PER_N1;
use std::cell::RefCell;

/// So many are kept for opening: as many sessions may have written between one another.
const KEPT: usize = 4;
/// An N1 that has come so often is kept: deriving anew costs a third of a value, keeping costs several.
const OFTEN: u32 = 8;

type N1 = [u8; HALF];

/// What this backend seals under.
struct Sealing {
    key: SealUnder,
    left: u64,
}

/// What was opened lately.
#[derive(Default)]
struct Opening {
    kept: Option<Locked<[Option<SealUnder>; KEPT]>>,
    /// The next to give way.
    next: usize,
    /// N1 that are not kept, and how often they have come.
    strangers: [(N1, u32); KEPT],
    /// The next of those to give way.
    oldest: usize,
}

/// A sealing key with what is derived from it. Goes away with the keyring, so a key that was retired opens nothing.
pub struct Derived {
    seal: Locked<SealKey>,
    sealing: RefCell<Option<Locked<Sealing>>>,
    opening: RefCell<Opening>,
}

impl Derived {
    /// Of a key from which nothing was derived yet.
    pub fn new(seal: Locked<SealKey>) -> Derived {
        Derived { seal, sealing: RefCell::default(), opening: RefCell::default() }
    }

    /// Calls `seal` with a fresh nonce, and what seals under it.
    ///
    /// # Errors
    /// 55000 without randomness or memory.
    pub fn seal<T>(&self, seal: impl FnOnce(&dyn Seals, &[u8; NONCE]) -> T) -> Result<T> {
        let n2: N1 = entropy::random()?;
        let mut place = self.sealing.borrow_mut();
        let run = match place.take().filter(|run| Locked::alive(run) && run.left > 0) {
            Some(run) => place.insert(run),
            None => {
                let n1: N1 = entropy::random()?;
                place.insert(Locked::new(|| Ok(Sealing { key: self.seal.under(&n1), left: PER_N1 }))?)
            }
        };
        run.left -= 1;
        let mut nonce = [0; NONCE];
        nonce[..HALF].copy_from_slice(run.key.n1());
        nonce[HALF..].copy_from_slice(&n2);
        Ok(seal(&run.key, &nonce))
    }

    /// Calls `open` with what opens values that have this nonce.
    ///
    /// # Errors
    /// 55000 without memory.
    pub fn open<T>(&self, nonce: &[u8; NONCE], open: impl FnOnce(&dyn Seals) -> T) -> Result<T> {
        let Some(n1) = nonce.first_chunk::<HALF>() else { return Ok(open(&*self.seal)) };
        let mut opening = self.opening.borrow_mut();
        let found = |kept: &Locked<[Option<SealUnder>; KEPT]>| {
            kept.iter().position(|key| key.as_ref().is_some_and(|key| key.n1() == n1))
        };
        let mut place = opening.kept.as_ref().and_then(found);
        if place.is_none() && opening.is_frequent(n1) {
            place = Some(opening.keep(&self.seal, n1)?);
        }
        match place.and_then(|i| opening.kept.as_ref().and_then(|kept| kept.get(i)?.as_ref())) {
            Some(key) => Ok(open(key)),
            None => Ok(open(&*self.seal)),
        }
    }

    /// The key itself.
    pub fn whole(&self) -> &SealKey {
        &self.seal
    }
}

impl Opening {
    /// Counts one that is not kept; whether it is time to keep it.
    fn is_frequent(&mut self, n1: &N1) -> bool {
        let Some((_, count)) = self.strangers.iter_mut().find(|(known, _)| known == n1) else {
            self.strangers[self.oldest] = (*n1, 1);
            self.oldest = (self.oldest + 1) % KEPT;
            return false;
        };
        *count += 1;
        *count > OFTEN
    }

    /// Derives and keeps it in the place of the oldest; where.
    fn keep(&mut self, seal: &SealKey, n1: &N1) -> Result<usize> {
        let kept = match &mut self.kept {
            Some(kept) => kept,
            none => none.insert(Locked::new(|| Ok([const { None }; KEPT]))?),
        };
        let place = self.next;
        clean(|| kept[place] = Some(seal.under(n1)));
        self.next = (place + 1) % KEPT;
        self.strangers.iter_mut().filter(|(known, _)| known == n1).for_each(|stranger| *stranger = ([0; HALF], 0));
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::tests::in_child;
    use super::*;
    use crate::pure::envelope::{open, seal, Sealing as For};
    use crate::pure::keyring::Secret;
    use crate::pure::plaintext::PlainType;
    use std::collections::{HashMap, HashSet};

    const COLUMN: [u8; 16] = [3; 16];

    fn key() -> Derived {
        Derived::new(Locked::new(|| Ok(SealKey::derive(&Secret::new([7; 32])))).unwrap())
    }

    fn sealed(key: &Derived, plain: &[u8]) -> Vec<u8> {
        let made = key.seal(|key, nonce| {
            let (column_uuid, plain_type) = (&COLUMN, PlainType::Text);
            seal(&For { key, version_id: 1, column_uuid, plain_type, tag: None, padded: false }, nonce, plain)
        });
        made.unwrap()
    }

    fn nonce(value: &[u8]) -> &[u8; NONCE] {
        value[6..].first_chunk().unwrap()
    }

    fn opened(key: &Derived, value: &[u8]) -> Option<Vec<u8>> {
        key.open(nonce(value), |key| open(value, key, &COLUMN, PlainType::Text).ok().map(|plain| plain.to_vec()))
            .unwrap()
    }

    #[test]
    fn whatever_is_kept_opens_what_was_sealed() {
        let writers: Vec<Derived> = (0..7).map(|_| key()).collect();
        let reader = key();
        // in turn, then in runs: more of them than are kept
        for i in (0..700).chain((0..700).map(|i| i / 100)) {
            let value = sealed(&writers[i % 7], &[i as u8]);
            assert_eq!(opened(&reader, &value), Some(vec![i as u8]), "kept");
            assert_eq!(open(&value, reader.whole(), &COLUMN, PlainType::Text).unwrap().to_vec(), [i as u8], "whole");
            let mut damaged = value.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(opened(&reader, &damaged), None);
            let mut foreign = value;
            foreign[6] ^= 1;
            assert_eq!(opened(&reader, &foreign), None, "another N1 is another key");
        }
        assert!(reader.opening.borrow().kept.is_some());
    }

    #[test]
    fn one_that_comes_seldom_is_not_kept() {
        let reader = key();
        for i in 0..1000u32 {
            let value = sealed(&key(), b"x");
            assert!(opened(&reader, &value).is_some(), "{i}");
        }
        assert!(reader.opening.borrow().kept.is_none());
    }

    #[test]
    fn no_nonce_comes_twice_and_n1_is_drawn_anew() {
        let key = key();
        let (mut seen, mut per_n1) = (HashSet::new(), HashMap::new());
        for _ in 0..PER_N1 + 100 {
            let value = sealed(&key, b"x");
            assert!(seen.insert(*nonce(&value)));
            *per_n1.entry(*nonce(&value).first_chunk::<HALF>().unwrap()).or_insert(0u64) += 1;
        }
        let mut counts: Vec<u64> = per_n1.into_values().collect();
        counts.sort_unstable();
        assert_eq!(counts, [100, PER_N1]);
    }

    #[test]
    fn forked_children_seal_nothing_under_the_parents_n1() {
        // its key is gone in the child, so it has one of its own, made of the same secret
        let parent = key();
        let first = *nonce(&sealed(&parent, b"x"));
        let child = in_child(|| {
            assert!(!Locked::alive(parent.sealing.borrow().as_ref().unwrap()));
            nonce(&sealed(&key(), b"x")).to_vec()
        });
        assert_eq!(child.len(), NONCE);
        assert_ne!(child[..HALF], first[..HALF]);
    }
}
