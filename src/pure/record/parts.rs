//! Parts that travel with a record and are stored apart from it, so that they can be erased before it is: the record, and
//! through it the chain, has their hash only. Each part holds 16 random bytes, without which its content could be guessed
//! from that hash.

use std::fmt;

use minicbor::Decoder;
use sha2::{Digest, Sha256};

use super::codec::{decode_first, malformed, not_canonical};
use super::{encode, Record};
use crate::pure::error::Result;

/// The parts of one record, each one CBOR item.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// What the statement held apart from its text.
    pub private: Option<Vec<u8>>,
    /// Whose rows it touched.
    pub subjects: Option<Vec<u8>>,
}

// constants are somebody's data
impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |part: &Option<Vec<u8>>| part.as_ref().map(Vec::len);
        write!(f, "Parts of {:?} and {:?} bytes", bytes(&self.private), bytes(&self.subjects))
    }
}

/// What the record keeps of a part.
pub fn hash(part: &[u8]) -> [u8; 32] {
    Sha256::digest(part).into()
}

/// The message of a record with these parts, whose hashes it gets.
pub fn join(record: &mut Record, parts: &Parts) -> Vec<u8> {
    record.private = parts.private.as_deref().map(hash);
    record.subjects = parts.subjects.as_deref().map(hash);
    let mut message = encode(record);
    [&parts.private, &parts.subjects].into_iter().flatten().for_each(|part| message.extend_from_slice(part));
    message
}

/// Record and parts of a message that [`join`] made.
///
/// Errors: as [`super::decode`]; `Corrupt` when a part is not there, or not the one that the record names.
pub fn split(message: &[u8]) -> Result<(Record, Parts)> {
    let (record, length) = decode_first(message)?;
    let mut rest = message.get(length..).unwrap_or_default();
    let private = take(&mut rest, record.private)?;
    let subjects = take(&mut rest, record.subjects)?;
    match rest.is_empty() {
        true => Ok((record, Parts { private, subjects })),
        false => Err(not_canonical()),
    }
}

/// The next item, if one is expected.
fn take(rest: &mut &[u8], expected: Option<[u8; 32]>) -> Result<Option<Vec<u8>>> {
    let Some(expected) = expected else { return Ok(None) };
    let mut d = Decoder::new(rest);
    d.skip().map_err(malformed)?;
    let (part, behind) = rest.split_at_checked(d.position()).ok_or_else(not_canonical)?;
    if hash(part) != expected {
        return Err(not_canonical());
    }
    *rest = behind;
    Ok(Some(part.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::super::{decode, RecordKind, StatementId};
    use super::*;

    fn record() -> Record {
        Record::new(RecordKind::Exact, 0, StatementId { backend_start: 1, pid: 2, n: 3 })
    }

    /// A CBOR byte string.
    fn part(content: &[u8]) -> Vec<u8> {
        [&[0x40 + content.len() as u8], content].concat()
    }

    #[test]
    fn a_part_is_not_printed() {
        let parts = Parts { private: Some(part(b"secret")), subjects: None };
        assert_eq!(format!("{parts:?}"), "Parts of Some(7) and None bytes");
    }

    #[test]
    fn parts_come_back_in_their_places() {
        for (private, subjects) in
            [(None, None), (Some(part(b"p")), None), (None, Some(part(b"s"))), (Some(part(b"p")), Some(part(b"")))]
        {
            let (mut record, parts) = (record(), Parts { private, subjects });
            let message = join(&mut record, &parts);
            assert_eq!(split(&message), Ok((record.clone(), parts.clone())));
            assert_eq!(decode(&message).is_ok(), parts == Parts::default());
            assert_eq!(decode(&encode(&record)), Ok(record));
        }
    }

    #[test]
    fn attack_parts_changed_swapped_left_out_or_added() {
        let mut record = record();
        let message = join(&mut record, &Parts { private: Some(part(b"p")), subjects: Some(part(b"s")) });
        let length = message.len() - 4;
        let (head, private, subjects) = (&message[..length], &message[length..length + 2], &message[length + 2..]);
        for parts in [
            [subjects, private].concat(),
            [private, private].concat(),
            [private, subjects, b"\0"].concat(),
            private.to_vec(),
            Vec::new(),
            [private, &part(b"t")].concat(),
            // an item that claims to be longer than what is there
            [private, &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
        ] {
            assert!(split(&[head, &parts].concat()).is_err(), "{parts:?}");
        }
        assert!(split(&message).is_ok());
    }
}
