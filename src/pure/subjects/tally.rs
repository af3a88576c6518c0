//! How many different persons several reads touched, from what their records say: bounds, for the log has tokens that change with
//! the epoch, and filters that do not count.

use super::{Token, Touched};
use std::collections::{BTreeMap, HashSet};

/// Most tokens that are told apart; beyond, only that there are more.
const MOST: usize = 4_000_000;
/// Bits of a filter's word, and bytes of its block.
const WORD: f64 = 32.0;
const BLOCK: usize = 32;

/// Persons of one domain and epoch.
#[derive(Default)]
struct Group {
    seen: HashSet<Token>,
    passed_over: HashSet<Token>,
    filters: Vec<Vec<u8>>,
    /// Of the filters one by one: how many persons in the fullest, in all.
    fullest: u64,
    all: u64,
    many: u32,
    /// Persons in filters of those passed over.
    over: u64,
}

/// The persons of several reads.
#[derive(Default)]
pub struct Tally {
    groups: BTreeMap<(String, i32), Group>,
    tokens: usize,
    /// There may have been anybody.
    unknown: bool,
}

/// How many persons there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persons {
    /// At least.
    pub least: u64,
    /// At most; `None`: it may have been anybody.
    pub most: Option<u64>,
    /// Who were only looked at and passed over, at most.
    pub passed_over: u64,
}

impl Persons {
    /// In a word.
    pub fn certainty(&self) -> &'static str {
        match self.most {
            None if self.least == 0 => "unknown",
            None => "at least",
            Some(most) if most == self.least => "exact",
            Some(_) => "approximate",
        }
    }
}

impl Tally {
    /// Takes in what one read says of one scope.
    pub fn add(&mut self, touched: &Touched) {
        self.unknown |= touched.anybody;
        let Some(domain) = &touched.domain else {
            self.unknown = true;
            return;
        };
        let group = self.groups.entry((domain.clone(), touched.epoch)).or_default();
        let listed = usize::try_from(touched.listed).unwrap_or(0).min(touched.tokens.len());
        let (seen, over) = touched.tokens.split_at(listed);
        for (tokens, set) in [(seen, &mut group.seen), (over, &mut group.passed_over)] {
            for token in tokens {
                if self.tokens >= MOST {
                    self.unknown = true;
                    break;
                }
                self.tokens += usize::from(set.insert(*token));
            }
        }
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        if !touched.seen_filter.is_empty() {
            group.fullest = group.fullest.max(count(touched.seen));
            group.all = group.all.saturating_add(count(touched.seen));
            group.many = group.many.saturating_add(1);
            // a layer of another size is none of ours, and holds anybody
            self.unknown |= !unite(&mut group.filters, &touched.seen_filter);
        }
        if !touched.scanned_filter.is_empty() {
            group.over = group.over.saturating_add(count(touched.scanned));
        }
    }

    /// A read of which nobody knows whose rows it touched.
    pub fn add_unknown(&mut self) {
        self.unknown = true;
    }

    /// How many there were. Persons of another epoch, or under another domain, may be the same or others.
    pub fn persons(&self) -> Persons {
        let (mut least, mut most, mut passed_over) = (0, 0_u64, 0_u64);
        for group in self.groups.values() {
            let listed = group.seen.len() as u64;
            least = least.max(listed).max(group.fullest);
            most = most.saturating_add(listed).saturating_add(group.in_filters());
            let only = group.passed_over.difference(&group.seen).count() as u64;
            passed_over = passed_over.saturating_add(only).saturating_add(group.over);
        }
        Persons { least, most: (!self.unknown).then_some(most.max(least)), passed_over }
    }
}

impl Group {
    /// Persons in all filters together, at most: a filter counts a little less than went in.
    fn in_filters(&self) -> u64 {
        if self.many == 0 {
            return 0;
        }
        let all = self.all.saturating_add(self.all / 250).saturating_add(1);
        if self.many == 1 {
            return all;
        }
        // a float is never negative here, and a cast of what is too large gives the largest
        let estimated = (self.filters.iter().map(|layer| entries(layer)).sum::<f64>() * 1.03) as u64;
        all.min(estimated).max(self.fullest)
    }
}

/// Adds the bits of layers to others of their sizes; false where they do not fit.
fn unite(into: &mut Vec<Vec<u8>>, layers: &[Vec<u8>]) -> bool {
    for (i, layer) in layers.iter().enumerate() {
        match into.get_mut(i) {
            None => into.push(layer.clone()),
            Some(known) if known.len() == layer.len() => known.iter_mut().zip(layer).for_each(|(x, y)| *x |= y),
            Some(_) => return false,
        }
    }
    layers.iter().all(|layer| !layer.is_empty() && layer.len() % BLOCK == 0)
}

/// How many entries a layer has, from its bits: each entry sets one of the 32 in each word of a block.
fn entries(layer: &[u8]) -> f64 {
    let block = |block: &[u8]| {
        let set: u32 = block.iter().map(|byte| byte.count_ones()).sum();
        let share = f64::from(set) / (WORD * 8.0);
        // a full block may have had any number
        if share >= 1.0 {
            f64::INFINITY
        } else {
            (1.0 - share).ln() / (1.0 - 1.0 / WORD).ln()
        }
    };
    layer.chunks_exact(BLOCK).map(block).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::{Secret, SubjectKey};
    use crate::pure::subjects::Set;

    fn key() -> SubjectKey {
        SubjectKey::derive(&Secret::new([7; 32]), "public.people.id")
    }

    fn read(persons: std::ops::Range<u64>, scanned: std::ops::Range<u64>, epoch: u32) -> Touched {
        let key = key();
        let set = |range: std::ops::Range<u64>| {
            let mut set = Set::default();
            range.for_each(|n| set.insert(key.hash(&n.to_be_bytes()), &n.to_be_bytes()));
            set
        };
        Touched::new(1, ("public.people.id", epoch), &key, &set(persons), &set(scanned), false)
    }

    fn tally(reads: &[Touched]) -> Persons {
        let mut tally = Tally::default();
        reads.iter().for_each(|read| tally.add(read));
        tally.persons()
    }

    #[test]
    fn few_are_counted_exactly_however_often_they_were_read() {
        let persons = tally(&[read(0..90, 0..0, 1), read(10..100, 0..0, 1), read(10..100, 90..120, 1)]);
        assert_eq!(persons, Persons { least: 100, most: Some(100), passed_over: 20 });
        assert_eq!(persons.certainty(), "exact");
        let nobody = tally(&[read(0..0, 0..0, 1)]);
        assert_eq!((nobody.least, nobody.most, nobody.certainty()), (0, Some(0), "exact"));
    }

    #[test]
    fn after_an_epoch_the_same_persons_may_be_others() {
        let persons = tally(&[read(0..90, 0..0, 1), read(0..50, 0..0, 2)]);
        assert_eq!(persons, Persons { least: 90, most: Some(140), passed_over: 0 });
        assert_eq!(persons.certainty(), "approximate");
    }

    #[test]
    fn many_are_bounded_and_the_same_many_are_no_more() {
        let one = tally(&[read(0..20_000, 0..0, 1)]);
        assert!(
            (19_900..=20_000).contains(&one.least) && one.most.is_some_and(|most| (20_000..20_200).contains(&most)),
            "{one:?}"
        );
        let again = tally(&[read(0..20_000, 0..0, 1), read(0..20_000, 0..0, 1), read(0..5, 0..0, 1)]);
        assert!(again.most.is_some_and(|most| (20_000..21_000).contains(&most)), "{again:?}");
        let more = tally(&[read(0..20_000, 0..0, 1), read(15_000..35_000, 0..0, 1)]);
        assert!(more.least < 35_000 && more.most.is_some_and(|most| (35_000..36_500).contains(&most)), "{more:?}");
        assert_eq!(more.certainty(), "approximate");
    }

    #[test]
    fn who_is_not_known_is_never_counted_as_nobody() {
        let mut unknown = Tally::default();
        unknown.add(&Touched::undeclared(3));
        assert_eq!((unknown.persons().most, unknown.persons().certainty()), (None, "unknown"));
        let mut some = Tally::default();
        some.add(&read(0..9, 0..0, 1));
        some.add_unknown();
        assert_eq!((some.persons().least, some.persons().most, some.persons().certainty()), (9, None, "at least"));
        let damaged = Touched { seen_filter: vec![vec![0; 31]], seen: 5, ..read(0..0, 0..0, 1) };
        assert_eq!(tally(&[damaged]).most, None);
    }
}
