//! What of a stored value is authenticated beside its plaintext.

use std::borrow::Cow;

use super::{Row, FIXED, WIDEST_TAG};
use crate::pure::keyring::item_len;
use crate::pure::plaintext::PlainType;

/// Associated data, on the stack: sealing allocates once.
pub(super) struct Aad {
    bytes: [u8; Self::ROOM],
    pub(super) len: usize,
}

impl Aad {
    const LABEL: &'static [u8] = b"pg_airlock/value/1";
    pub(super) const ROOM: usize = 4 * 4 + Self::LABEL.len() + FIXED + WIDEST_TAG + 16 + 1;

    pub(super) fn new(header: &[u8], column_uuid: &[u8; 16], plain_type: PlainType) -> Self {
        // made for each value: where the compiler knows every length, no part is a call of memcpy
        match <&[u8; FIXED]>::try_from(header) {
            Ok(untagged) => Self::of(untagged, column_uuid, plain_type),
            Err(_) => Self::of(header, column_uuid, plain_type),
        }
    }

    #[inline(always)]
    fn of(header: &[u8], column_uuid: &[u8; 16], plain_type: PlainType) -> Self {
        let mut aad = Aad { bytes: [0; Self::ROOM], len: 0 };
        aad.put(Self::LABEL);
        aad.put(header);
        aad.put(column_uuid);
        aad.put(&[plain_type.code()]);
        aad
    }

    #[inline(always)]
    fn put(&mut self, item: &[u8]) {
        // in bounds: ROOM counts the longest header there is
        for part in [&item_len(item)[..], item] {
            self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// With the bound columns behind it, if there are any.
    pub(super) fn with(&self, row: Option<&Row>) -> Cow<'_, [u8]> {
        match row {
            None => Cow::Borrowed(self.bytes()),
            Some(row) => Cow::Owned([self.bytes(), row.bytes()].concat()),
        }
    }
}
