//! The nonce audit: values in the order of (key version, nonce), in which two that share a nonce stand side by side.
//!
//! One nonce under two different values of one key version gives both away (AES-GCM), so it must not be. The same value
//! twice is a copy (`INSERT … SELECT` copies bytes between columns of one number) and gives nothing away.

use crate::pure::aead::NONCE;
use crate::pure::envelope::Header;

/// Values that may be sealed under one N1, the first half of a nonce, before it is drawn anew.
pub const PER_N1: u64 = 1 << 16;

const ID: usize = 4;
const N1: usize = ID + NONCE / 2;
const PAIR: usize = ID + NONCE;
/// Length and authentication tag: equal for copies only.
const VALUE: usize = PAIR + 4 + 16;
/// Part, block, line pointer.
const PLACE: usize = 10;
/// Bytes of an item.
pub const ITEM: usize = VALUE + PLACE;

/// Most places that are named.
const NAMED: usize = 10;

/// Where a value is: number of the table and column, block, line pointer.
pub type Place = (u32, u32, u16);

/// What is sorted, by its bytes: version and nonce, then what tells copies from other values, then the place. `length`
/// and `last` are the whole value's length and its last 16 bytes.
pub fn item(header: &Header, length: u32, last: &[u8; 16], (part, block, line): Place) -> [u8; ITEM] {
    let mut out = [0; ITEM];
    out[..ID].copy_from_slice(&header.version_id.to_be_bytes());
    out[ID..PAIR].copy_from_slice(header.nonce());
    out[PAIR..PAIR + 4].copy_from_slice(&length.to_be_bytes());
    out[PAIR + 4..VALUE].copy_from_slice(last);
    out[VALUE..VALUE + 4].copy_from_slice(&part.to_be_bytes());
    out[VALUE + 4..VALUE + 8].copy_from_slice(&block.to_be_bytes());
    out[VALUE + 8..].copy_from_slice(&line.to_be_bytes());
    out
}

fn place(item: &[u8; ITEM]) -> Place {
    let four = |at: usize| u32::from_be_bytes([item[at], item[at + 1], item[at + 2], item[at + 3]]);
    (four(VALUE), four(VALUE + 4), u16::from_be_bytes([item[VALUE + 8], item[VALUE + 9]]))
}

/// What the audit has found so far.
#[derive(Default)]
pub struct Audit {
    /// Values looked at.
    pub checked: u64,
    /// Values that share version and nonce with another value.
    pub repeated: u64,
    /// Values that are byte for byte another.
    pub copies: u64,
    /// The most nonces of one version that begin with the same N1.
    pub most_per_n1: u64,
    /// The first places of repeated nonces.
    pub places: Vec<Place>,
    last: Option<[u8; ITEM]>,
    run: u64,
    named: bool,
}

impl Audit {
    /// The next item, in the order of their bytes.
    pub fn push(&mut self, item: &[u8; ITEM]) {
        self.checked += 1;
        let last = self.last.replace(*item);
        let same = |to: usize| last.as_ref().is_some_and(|last| last[..to] == item[..to]);
        if same(VALUE) {
            self.copies += 1;
            return;
        }
        if same(PAIR) {
            self.repeated += 1;
            if !self.named {
                self.places.extend(last.as_ref().map(place).filter(|_| self.places.len() < NAMED));
                self.named = true;
            }
            if self.places.len() < NAMED {
                self.places.push(place(item));
            }
            return;
        }
        self.named = false;
        self.run = if same(N1) { self.run + 1 } else { 1 };
        self.most_per_n1 = self.most_per_n1.max(self.run);
    }

    /// Whether the column is as it was promised.
    pub fn ok(&self) -> bool {
        self.repeated == 0 && self.most_per_n1 <= PER_N1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(version: u32, nonce: [u8; NONCE], last: u8, line: u16) -> [u8; ITEM] {
        let mut out = [0; ITEM];
        out[..ID].copy_from_slice(&version.to_be_bytes());
        out[ID..PAIR].copy_from_slice(&nonce);
        out[PAIR + 4..VALUE].copy_from_slice(&[last; 16]);
        out[ITEM - 2..].copy_from_slice(&line.to_be_bytes());
        out
    }

    fn nonce(n1: u8, n2: u8) -> [u8; NONCE] {
        let mut nonce = [n1; NONCE];
        nonce[NONCE / 2..].fill(n2);
        nonce
    }

    fn audit(mut items: Vec<[u8; ITEM]>) -> Audit {
        items.sort_unstable();
        let mut audit = Audit::default();
        items.iter().for_each(|item| audit.push(item));
        audit
    }

    #[test]
    fn distinct_nonces_are_right() {
        let found = audit((0..100).map(|n| made(1, nonce(n, 0), n, u16::from(n))).collect());
        assert!(found.ok());
        assert_eq!((found.checked, found.repeated, found.copies, found.most_per_n1), (100, 0, 0, 1));
    }

    #[test]
    fn one_nonce_under_two_values_is_found_with_both_places() {
        let same = nonce(7, 7);
        let found =
            audit(vec![made(1, nonce(1, 1), 1, 1), made(1, same, 2, 2), made(1, same, 3, 3), made(1, same, 4, 4)]);
        assert!(!found.ok());
        assert_eq!(found.repeated, 2);
        assert_eq!(found.places.iter().map(|p| p.2).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn another_key_version_may_have_the_nonce() {
        assert!(audit(vec![made(1, nonce(7, 7), 1, 1), made(2, nonce(7, 7), 2, 2)]).ok());
    }

    #[test]
    fn a_copy_is_told_from_a_repetition() {
        let found = audit(vec![made(1, nonce(7, 7), 1, 1), made(1, nonce(7, 7), 1, 2), made(1, nonce(7, 7), 1, 3)]);
        assert!(found.ok());
        assert_eq!((found.copies, found.repeated, found.most_per_n1), (2, 0, 1));
        let both = audit(vec![made(1, nonce(7, 7), 1, 1), made(1, nonce(7, 7), 1, 2), made(1, nonce(7, 7), 2, 3)]);
        assert_eq!((both.copies, both.repeated), (1, 1));
    }

    #[test]
    fn values_under_one_n1_are_counted_by_version() {
        let mut items: Vec<_> = (0..10).map(|n| made(1, nonce(5, n), n, u16::from(n))).collect();
        items.push(made(2, nonce(5, 1), 1, 1));
        items.push(made(1, nonce(5, 3), 3, 99));
        assert_eq!(audit(items).most_per_n1, 10);
    }

    #[test]
    fn more_under_one_n1_than_promised_is_not_right() {
        let mut audit = Audit { most_per_n1: PER_N1, ..Audit::default() };
        assert!(audit.ok());
        audit.most_per_n1 += 1;
        assert!(!audit.ok());
    }

    #[test]
    fn few_places_are_named() {
        let found = audit((0..100).map(|n| made(1, nonce(1, 1), n, u16::from(n))).collect());
        assert_eq!((found.repeated, found.places.len()), (99, NAMED));
    }
}
