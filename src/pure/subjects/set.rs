//! The persons of one scope that a running statement has touched: exact for few, a filter for many, everybody for too many.

use super::filter::Filter;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Most persons that are listed one by one.
pub const LISTED: usize = 10_000;
/// Most bytes of their canonical forms.
const LISTED_BYTES: usize = 1 << 20;

/// Hands the key on as its hash: it is one already, keyed and well mixed.
#[derive(Default)]
pub struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // only u64 is ever hashed
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

type Listed = HashMap<u64, Box<[u8]>, BuildHasherDefault<Already>>;

/// A set of persons that only grows. Never forgets one; the more, the less exact.
pub enum Set {
    /// By hash, with their canonical forms.
    Few(Listed, usize),
    /// By hash.
    Many(Filter),
    /// More than a filter holds.
    Everybody,
}

impl Default for Set {
    fn default() -> Self {
        Set::Few(Listed::default(), 0)
    }
}

impl Set {
    /// Adds a person: the keyed hash of its canonical form, and that form.
    pub fn insert(&mut self, hash: u64, person: &[u8]) {
        match self {
            Set::Few(listed, bytes) => {
                let known = listed.get(&hash);
                if known.is_some_and(|known| **known == *person) {
                    return;
                }
                // two with one hash cannot both be listed, yet share a filter
                let fits = known.is_none() && listed.len() < LISTED && *bytes + person.len() <= LISTED_BYTES;
                if fits {
                    *bytes += person.len();
                    listed.insert(hash, person.into());
                    return;
                }
                let mut filter = Filter::default();
                let all = listed.keys().all(|hash| filter.insert(*hash)) && filter.insert(hash);
                *self = if all { Set::Many(filter) } else { Set::Everybody };
            }
            Set::Many(filter) => {
                if !filter.insert(hash) {
                    *self = Set::Everybody;
                }
            }
            Set::Everybody => {}
        }
    }

    /// Whether a listed person is in it; false as soon as persons are not listed any more.
    pub fn lists(&self, hash: u64, person: &[u8]) -> bool {
        matches!(self, Set::Few(listed, _) if listed.get(&hash).is_some_and(|known| **known == *person))
    }

    /// How many persons; a filter counts a little less than there were. `None` for everybody.
    pub fn len(&self) -> Option<u64> {
        match self {
            Set::Few(listed, _) => Some(listed.len() as u64),
            Set::Many(filter) => Some(filter.len()),
            Set::Everybody => None,
        }
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: u64) -> Set {
        let mut set = Set::default();
        (0..n).for_each(|i| set.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), &i.to_be_bytes()));
        set
    }

    #[test]
    fn few_are_listed_and_once_each() {
        let mut set = filled(LISTED as u64);
        (0..10).for_each(|i: u64| set.insert(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), &i.to_be_bytes()));
        assert!(matches!(set, Set::Few(..)));
        assert_eq!(set.len(), Some(LISTED as u64));
        assert!(set.lists(0, &0u64.to_be_bytes()) && !set.lists(0, b"other") && !set.lists(1, &1u64.to_be_bytes()));
        assert!(Set::default().is_empty() && !set.is_empty());
    }

    #[test]
    fn one_more_makes_a_filter_of_all() {
        let set = filled(LISTED as u64 + 1);
        let Set::Many(filter) = &set else { panic!("not a filter") };
        let layers = filter.layers();
        let in_it = |i: u64| super::super::filter::is_in(&layers, i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert!((0..=LISTED as u64).all(in_it));
        assert!(!set.lists(0, &0u64.to_be_bytes()));
    }

    #[test]
    fn long_names_are_not_listed_for_ever() {
        let mut set = Set::default();
        (0..3).for_each(|i| set.insert(i, &vec![0; LISTED_BYTES / 2]));
        assert!(matches!(set, Set::Many(_)));
    }

    #[test]
    fn two_persons_with_one_hash_are_both_in() {
        let mut set = Set::default();
        set.insert(5, b"a");
        set.insert(5, b"b");
        let Set::Many(filter) = &set else { panic!("one of them is lost") };
        assert!(super::super::filter::is_in(&filter.layers(), 5));
    }
}
