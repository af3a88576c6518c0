//! The keyed hash chain over the access log.
//!
//! `link(i) = HMAC-SHA-256(chain key, len(label) | label | link(i - 1) | id(8, BE) | SHA-256(record bytes))`
//!
//! One writer links in LSN order and numbers without gaps, so a changed, removed, added or exchanged row breaks the
//! chain at its id, and the cursor row's MAC ([`head_mac`]) tells a tail that was cut off. An absent hash is a failure,
//! never a skip.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::pure::keyring::ChainKey;

/// One link of the chain.
pub type Hash = [u8; 32];

/// What the first record is linked to.
pub const GENESIS: Hash = [0; 32];

const LINK_LABEL: &[u8] = b"pg_airlock/chain/1";
const HEAD_LABEL: &[u8] = b"pg_airlock/head/1";

/// The hash of record `id` after a record with hash `previous` ([`GENESIS`] for the first).
///
/// `record` is what [`crate::pure::record::encode`] made.
pub fn link(key: &ChainKey, previous: &Hash, id: i64, record: &[u8]) -> Hash {
    let digest = Sha256::digest(record);
    key.mac(&[&length(LINK_LABEL), LINK_LABEL, previous, &id.to_be_bytes(), &digest])
}

/// MAC of the cursor row: the chain's head, and where in which WAL it was reached.
///
/// `HMAC-SHA-256(chain key, len(label) | label | last id | hash | lsn | timeline | system identifier)`, integers big
/// endian. Compare with [`verify_head`].
pub fn head_mac(
    key: &ChainKey,
    last_id: i64,
    hash: &Hash,
    lsn: u64,
    timeline: u32,
    system_identifier: u64,
) -> [u8; 32] {
    key.mac(&[
        &length(HEAD_LABEL),
        HEAD_LABEL,
        &last_id.to_be_bytes(),
        hash,
        &lsn.to_be_bytes(),
        &timeline.to_be_bytes(),
        &system_identifier.to_be_bytes(),
    ])
}

/// Whether `stored` is the [`head_mac`] of these values; in constant time, and false for any other length.
pub fn verify_head(
    key: &ChainKey,
    last_id: i64,
    hash: &Hash,
    lsn: u64,
    timeline: u32,
    system_identifier: u64,
    stored: &[u8],
) -> bool {
    head_mac(key, last_id, hash, lsn, timeline, system_identifier).ct_eq(stored).into()
}

// Length first, so that no label can be read as the beginning of another with its data.
fn length(label: &[u8]) -> [u8; 4] {
    u32::try_from(label.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Where the chain is broken first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Id of the record that is wrong or missing.
    pub id: i64,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Break {}

/// Checks rows in the order of their ids and stops at the first that is wrong.
///
/// Feed every row, then ask [`Verifier::end`]; without the latter a cut tail goes unseen. Once broken it stays broken:
/// later calls return the same [`Break`].
pub struct Verifier<'k> {
    key: &'k ChainKey,
    last_id: i64,
    last_hash: Hash,
    checked: u64,
    broken: Option<Break>,
}

impl<'k> Verifier<'k> {
    /// A verifier for a log from its first record on, which has id 1.
    pub fn new(key: &'k ChainKey) -> Self {
        Self::after(key, 0, GENESIS)
    }

    /// A verifier for the part of a log that follows record `id` with hash `hash`: the anchor a dropped partition or
    /// an exported head left behind. The anchor itself is taken on trust.
    pub fn after(key: &'k ChainKey, id: i64, hash: Hash) -> Self {
        Verifier { key, last_id: id, last_hash: hash, checked: 0, broken: None }
    }

    /// How many records were found right.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Id and hash of the last record that was found right, or the anchor.
    pub fn head(&self) -> (i64, Hash) {
        (self.last_id, self.last_hash)
    }

    /// Takes the next row: its id, the record's bytes and the stored hash, `None` if that is NULL.
    pub fn feed(&mut self, id: i64, record: &[u8], stored: Option<&[u8]>) -> Result<(), Break> {
        if let Some(found) = &self.broken {
            return Err(found.clone());
        }
        match self.check(id, record, stored) {
            Ok(hash) => {
                (self.last_id, self.last_hash) = (id, hash);
                self.checked += 1;
                Ok(())
            }
            Err(found) => Err(self.broken.insert(found).clone()),
        }
    }

    fn check(&self, id: i64, record: &[u8], stored: Option<&[u8]>) -> Result<Hash, Break> {
        if id <= self.last_id {
            let message = match id == self.last_id {
                true => format!("record {id} is there twice"),
                false => format!("record {id} comes after record {}", self.last_id),
            };
            return Err(Break { id, message });
        }
        // Not last_id + 1 == id: that could overflow; id is above last_id here.
        let expected = self.last_id.saturating_add(1);
        if id != expected {
            return Err(missing(expected, id.saturating_sub(1)));
        }
        let Some(stored) = stored else {
            return Err(Break { id, message: format!("record {id} has no hash") });
        };
        let hash = link(self.key, &self.last_hash, id, record);
        match bool::from(hash.ct_eq(stored)) {
            true => Ok(hash),
            false => {
                let message = format!("record {id} does not match its hash: the one or the other was changed");
                Err(Break { id, message })
            }
        }
    }

    /// Compares the end with the cursor row or an exported head: the number of records checked, or the first break.
    pub fn end(self, expected_last_id: i64, expected_hash: &Hash) -> Result<u64, Break> {
        if let Some(found) = self.broken {
            return Err(found);
        }
        let last = self.last_id;
        if last < expected_last_id {
            return Err(missing(last.saturating_add(1), expected_last_id));
        }
        if last > expected_last_id {
            let id = expected_last_id.saturating_add(1);
            let message = format!("record {id} comes after the log's last record, {expected_last_id}");
            return Err(Break { id, message });
        }
        if !bool::from(self.last_hash.ct_eq(expected_hash)) {
            return Err(Break { id: last, message: format!("record {last} is not the head that was kept") });
        }
        Ok(self.checked)
    }
}

fn missing(first: i64, last: i64) -> Break {
    let message = match first == last {
        true => format!("record {first} is missing"),
        false => format!("records {first} to {last} are missing"),
    };
    Break { id: first, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    type Row = (i64, Vec<u8>, Option<Hash>);

    fn key(byte: u8) -> ChainKey {
        ChainKey::derive(&Secret::new([byte; 32]))
    }

    fn log(key: &ChainKey, n: i64) -> Vec<Row> {
        let mut previous = GENESIS;
        (1..=n)
            .map(|id| {
                let record = format!("record {id}").into_bytes();
                previous = link(key, &previous, id, &record);
                (id, record, Some(previous))
            })
            .collect()
    }

    fn verify(key: &ChainKey, rows: &[Row], last: i64, head: &Hash) -> Result<u64, Break> {
        let mut verifier = Verifier::new(key);
        for (id, record, hash) in rows {
            let _ = verifier.feed(*id, record, hash.as_ref().map(|h| &h[..])); // a break is kept until the end
        }
        verifier.end(last, head)
    }

    fn found(change: impl Fn(&mut Vec<Row>)) -> Break {
        let key = key(1);
        let mut rows = log(&key, 10);
        let head = rows[9].2.unwrap();
        assert_eq!(verify(&key, &rows, 10, &head), Ok(10));
        change(&mut rows);
        verify(&key, &rows, 10, &head).unwrap_err()
    }

    #[test]
    fn an_untouched_log_verifies_and_an_empty_one_too() {
        assert_eq!(verify(&key(1), &[], 0, &GENESIS), Ok(0));
        found(|rows| rows.truncate(3));
    }

    #[test]
    fn attack_change() {
        assert_eq!(found(|rows| rows[3].1[0] ^= 1).id, 4);
        let b = found(|rows| rows[3].2 = Some([7; 32]));
        assert_eq!(b.message, "record 4 does not match its hash: the one or the other was changed");
    }

    #[test]
    fn attack_delete() {
        assert_eq!(found(|rows| drop(rows.remove(4))), Break { id: 5, message: "record 5 is missing".into() });
        assert_eq!(found(|rows| drop(rows.drain(..2))).message, "records 1 to 2 are missing");
        // closing the gap by renumbering does not help
        assert_eq!(
            found(|rows| {
                rows.remove(4);
                (0..9).for_each(|i| rows[i].0 = i as i64 + 1);
            })
            .id,
            5
        );
    }

    #[test]
    fn attack_insert() {
        assert_eq!(found(|rows| rows.insert(5, rows[4].clone())).message, "record 5 is there twice");
        assert_eq!(found(|rows| rows.push((11, b"x".to_vec(), Some([1; 32])))).id, 11);
        assert_eq!(
            found(|rows| rows.push((3, b"x".to_vec(), Some([1; 32])))).message,
            "record 3 comes after record 10"
        );
        assert_eq!(found(|rows| rows.insert(0, (0, b"x".to_vec(), Some([1; 32])))).id, 0);
    }

    #[test]
    fn attack_insert_by_who_holds_the_key() {
        // a well linked extra row at the end is still more than the cursor knows
        let key = key(1);
        let rows = log(&key, 11);
        let b = verify(&key, &rows, 10, &rows[9].2.unwrap()).unwrap_err();
        assert_eq!((b.id, b.message.as_str()), (11, "record 11 comes after the log's last record, 10"));
    }

    #[test]
    fn attack_swap() {
        assert_eq!(found(|rows| rows.swap(2, 3)).id, 3);
        // contents exchanged, ids in order
        assert_eq!(
            found(|rows| {
                rows.swap(2, 3);
                (rows[2].0, rows[3].0) = (3, 4);
            })
            .id,
            3
        );
    }

    #[test]
    fn attack_null_hash() {
        assert_eq!(found(|rows| rows[9].2 = None), Break { id: 10, message: "record 10 has no hash".into() });
        let key = key(1);
        let hash = link(&key, &GENESIS, 1, b"r");
        assert_eq!(Verifier::new(&key).feed(1, b"r", Some(&hash[..31])).unwrap_err().id, 1);
        assert_eq!(Verifier::new(&key).feed(1, b"r", Some(&[])).unwrap_err().id, 1);
    }

    #[test]
    fn attack_cut_tail() {
        assert_eq!(found(|rows| rows.truncate(7)).message, "records 8 to 10 are missing");
        assert_eq!(found(Vec::clear).id, 1);
    }

    #[test]
    fn attack_rewritten_log() {
        let (key, other) = (key(1), key(2));
        let rows = log(&key, 3);
        assert_eq!(verify(&key, &rows, 3, &[7; 32]).unwrap_err().message, "record 3 is not the head that was kept");
        assert_eq!(verify(&other, &rows, 3, &rows[2].2.unwrap()).unwrap_err().id, 1);
    }

    #[test]
    fn attack_row_of_another_history() {
        // written under the same key with the same id, as after a restore of an old backup
        let key = key(1);
        let mut rows = log(&key, 4);
        let head = rows[3].2.unwrap();
        let first = link(&key, &GENESIS, 1, b"another first record");
        rows[1].2 = Some(link(&key, &first, 2, &rows[1].1));
        assert_eq!(verify(&key, &rows, 4, &head).unwrap_err().id, 2);
    }

    #[test]
    fn a_link_depends_on_all_it_links() {
        let one = link(&key(1), &[1; 32], 1, b"r");
        assert_eq!(one, link(&key(1), &[1; 32], 1, b"r"));
        let others = [
            link(&key(2), &[1; 32], 1, b"r"),
            link(&key(1), &[2; 32], 1, b"r"),
            link(&key(1), &[1; 32], 2, b"r"),
            link(&key(1), &[1; 32], 1, b"s"),
        ];
        assert!(!others.contains(&one));
    }

    #[test]
    fn goes_on_from_an_anchor_and_stays_broken() {
        let key = key(1);
        let rows = log(&key, 3);
        let mut verifier = Verifier::after(&key, 2, rows[1].2.unwrap());
        assert!(verifier.feed(3, &rows[2].1, rows[2].2.as_ref().map(|h| &h[..])).is_ok());
        assert_eq!((verifier.checked(), verifier.head()), (1, (3, rows[2].2.unwrap())));
        let first = verifier.feed(5, b"", None).unwrap_err();
        assert_eq!(verifier.feed(4, b"", None).unwrap_err(), first);
        assert_eq!(verifier.end(3, &rows[2].2.unwrap()).unwrap_err().id, 4);
        // at the very end of the numbers nothing overflows
        assert_eq!(Verifier::after(&key, i64::MAX, GENESIS).feed(i64::MAX, b"", None).unwrap_err().id, i64::MAX);
    }

    #[test]
    fn attack_edited_cursor() {
        let key = key(1);
        let mac = head_mac(&key, 10, &[3; 32], 0x16b_3d80, 1, 7);
        assert!(verify_head(&key, 10, &[3; 32], 0x16b_3d80, 1, 7, &mac));
        for other in [
            head_mac(&key, 9, &[3; 32], 0x16b_3d80, 1, 7),
            head_mac(&key, 10, &[4; 32], 0x16b_3d80, 1, 7),
            head_mac(&key, 10, &[3; 32], 0x16b_3d81, 1, 7),
            head_mac(&key, 10, &[3; 32], 0x16b_3d80, 2, 7),
            head_mac(&key, 10, &[3; 32], 0x16b_3d80, 1, 8),
            link(&key, &[3; 32], 10, b""),
        ] {
            assert!(!verify_head(&key, 10, &[3; 32], 0x16b_3d80, 1, 7, &other));
        }
        assert!(!verify_head(&key, 10, &[3; 32], 0x16b_3d80, 1, 7, &mac[..31]));
    }
}
