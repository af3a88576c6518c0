//! The bytes of a stored value, version 1: strict, canonical, readable for ever. And of a carrier, in memory only.
//!
//! ```text
//! offset  length    field
//! 0       1         0xE1, magic and format version
//! 1       1         flags: bit 0 match tag, 1 row-bound, 2 subject key (reserved), 3 padded, 4 compressed (reserved),
//!                   5 tag of 16 bytes
//! 2       4         key version id, u32 big endian
//! 6       0, 8, 16  match tag
//! …       24        nonce
//! …       n + 16    ciphertext of the padded plaintext, GCM tag
//! ```
//!
//! The associated data are items, each prefixed by its length (u32 big endian): `pg_airlock/value/1`, the bytes from
//! offset 0 up to the nonce, the column's uuid, the plaintext type's code, and of a row-bound value its row ([`Row`]).
//! The value does not say which column and row it is of: the reader brings them, and that is the binding.

use zeroize::Zeroizing;

use crate::pure::aead::{self, NONCE, TAG};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::Seals;
use crate::pure::plaintext::PlainType;
use crate::pure::tag::{self, MatchTag};

mod aad;
mod bound;
mod carrier;
mod reseal;
mod text;

pub use reseal::{reseal, version_id, HEAD};

use aad::Aad;
pub use bound::{open_bound, seal_bound, Row};
pub use carrier::{is_carrier, open_carrier, seal_carrier, CarrierKey};
pub use text::{from_text, looks_like_ciphertext, to_text};

/// First byte of a stored value: magic and format version.
const MAGIC: u8 = 0xE1;

const HAS_TAG: u8 = 1 << 0;
const ROW_BOUND: u8 = 1 << 1;
const PADDED: u8 = 1 << 3;
const WIDE_TAG: u8 = 1 << 5;
/// Bits this version reads. Bits 2 and 4 are reserved, so a value that has them is from a later version.
const KNOWN: u8 = HAS_TAG | ROW_BOUND | PADDED | WIDE_TAG;

/// Magic, flags, key version id.
const FIXED: usize = 6;
const WIDEST_TAG: usize = tag::WIDE;

const HINT: &str = "It was changed, cut, or moved from another column, row or database: restore it from a backup. \
                    To copy a value between columns, write SET d = airlock.decrypt(c).";

/// What a value is sealed for.
pub struct Sealing<'a> {
    /// The key version's sealing key.
    pub key: &'a dyn Seals,
    /// The id by which a reader finds that version again.
    pub version_id: u32,
    /// The column's identity, which outlives renames, dumps and restores.
    pub column_uuid: &'a [u8; 16],
    /// The type of the plaintext.
    pub plain_type: PlainType,
    /// The match tag, for columns of `encrypted_eq`.
    pub tag: Option<MatchTag>,
    /// True if `plain` carries padding, see `plaintext::is_padded`.
    pub padded: bool,
}

/// Seals the bytes that `plaintext::encode` gave into a stored value of 46 bytes more, 54 with a match tag,
/// 62 with a wide one.
///
/// `nonce` must be fresh: random, and never used before under this key.
pub fn seal(s: &Sealing, nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    seal_at(s, None, nonce, plain)
}

fn seal_at(s: &Sealing, row: Option<&Row>, nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    // one allocation that never grows, for growing would leave the plaintext behind
    let mut out = Vec::with_capacity(FIXED + WIDEST_TAG + NONCE + plain.len() + TAG);
    let mut flags = 0;
    match s.tag {
        None => {}
        Some(MatchTag::Narrow(_)) => flags |= HAS_TAG,
        Some(MatchTag::Wide(_)) => flags |= HAS_TAG | WIDE_TAG,
    }
    if s.padded {
        flags |= PADDED;
    }
    if row.is_some() {
        flags |= ROW_BOUND;
    }
    out.extend_from_slice(&[MAGIC, flags]);
    out.extend_from_slice(&s.version_id.to_be_bytes());
    if let Some(tag) = &s.tag {
        out.extend_from_slice(tag.bytes());
    }
    let aad = Aad::new(&out, s.column_uuid, s.plain_type);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(plain);
    aead::seal_from(s.key.cipher(), &aad.with(row), nonce, &mut out, start);
    out
}

/// The readable part of a stored value. Not yet authenticated: only [`open`] proves it.
pub struct Header<'a> {
    /// Which key version opens it.
    pub version_id: u32,
    /// The match tag, 8 or 16 bytes.
    pub tag: Option<&'a [u8]>,
    /// True if the plaintext carries padding.
    pub padded: bool,
    /// True if it is bound to its row as well as its column.
    pub bound: bool,
    authenticated: &'a [u8],
    nonce: &'a [u8; NONCE],
    sealed: &'a [u8],
}

impl Header<'_> {
    /// What makes this sealing under its key version unlike every other. Not secret: it is stored in the clear.
    pub fn nonce(&self) -> &[u8; NONCE] {
        self.nonce
    }

    /// Opens the value that this is the header of, as [`open`] and, where there is a row, [`open_bound`] do.
    ///
    /// # Errors
    /// Theirs, but for those of the structure, which has been read.
    pub fn open(
        &self,
        row: Option<&Row>,
        key: &dyn Seals,
        column_uuid: &[u8; 16],
        plain_type: PlainType,
    ) -> Result<Zeroizing<Vec<u8>>> {
        match (self.bound, row) {
            (true, None) => return Err(bound::rowless()),
            (false, Some(_)) => return Err(bound::unbound()),
            _ => {}
        }
        let aad = Aad::new(self.authenticated, column_uuid, plain_type);
        let mut plain = Zeroizing::new(self.sealed.to_vec());
        let opened = aead::open(key.cipher(), &aad.with(row), self.nonce, &mut plain);
        opened.map(|()| plain).map_err(|_| {
            not_authentic(match row {
                None => "Its authentication tag does not fit this column, type and key version.",
                Some(_) => "Its authentication tag does not fit this column, type, key version and row.",
            })
        })
    }
}

/// Reads the structure of a stored value; needs no key.
///
/// # Errors
/// [`Kind::NotAuthentic`] for anything version 1 does not write: another first byte (a carrier has 0xE0), an unknown
/// flag, a wide tag without a tag, too few bytes.
pub fn parse(bytes: &[u8]) -> Result<Header<'_>> {
    match bytes.first() {
        Some(&MAGIC) => structure(bytes).ok_or_else(|| not_authentic("Its structure is damaged.")),
        _ if is_carrier(bytes) => Err(not_authentic("It is a literal that was never assigned to a column.")),
        _ => Err(not_authentic("It does not start like a stored value.")),
    }
}

/// How many bytes of a stored value [`tag_at_head`] needs.
pub const TAG_HEAD: i32 = (FIXED + WIDEST_TAG) as i32;

/// The match tag in the first [`TAG_HEAD`] bytes of a stored value, without a look at the rest; `None` where there is none.
pub fn tag_at_head(head: &[u8]) -> Option<&[u8]> {
    let ([magic, flags, ..], rest) = head.split_first_chunk::<FIXED>()?;
    if *magic != MAGIC || flags & !KNOWN != 0 {
        return None;
    }
    match flags & (HAS_TAG | WIDE_TAG) {
        HAS_TAG => rest.get(..tag::LEN),
        0 | WIDE_TAG => None,
        _ => rest.get(..tag::WIDE),
    }
}

fn structure(bytes: &[u8]) -> Option<Header<'_>> {
    let ([_, flags, id @ ..], rest) = bytes.split_first_chunk::<FIXED>()?;
    let tag_len = match flags & (HAS_TAG | WIDE_TAG) {
        0 => 0,
        HAS_TAG => tag::LEN,
        WIDE_TAG => return None,
        _ => WIDEST_TAG,
    };
    let (tag, rest) = rest.split_at_checked(tag_len)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
    let padded = flags & PADDED != 0;
    // padding is never empty
    let least = if padded { TAG + 1 } else { TAG };
    if flags & !KNOWN != 0 || sealed.len() < least {
        return None;
    }
    Some(Header {
        version_id: u32::from_be_bytes(*id),
        tag: (tag_len > 0).then_some(tag),
        padded,
        bound: flags & ROW_BOUND != 0,
        authenticated: &bytes[..FIXED + tag_len],
        nonce,
        sealed,
    })
}

/// Opens a stored value of this column: the bytes that `plaintext::decode` reads, padding included.
///
/// # Errors
/// [`Kind::NotAuthentic`] as for [`parse`], and when a single bit, the column, the type or the key is another. A
/// row-bound value does not open here either: its row is needed for that.
pub fn open(
    bytes: &[u8],
    key: &dyn Seals,
    column_uuid: &[u8; 16],
    plain_type: PlainType,
) -> Result<Zeroizing<Vec<u8>>> {
    parse(bytes)?.open(None, key, column_uuid, plain_type)
}

/// The one error of this file; the detail tells the owner of the data why, and is known to whoever holds the bytes.
fn not_authentic(detail: &str) -> Error {
    Error::new(Kind::NotAuthentic, "ciphertext does not authenticate here").detail(detail).hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::{SealKey, Secret};

    const COLUMN: [u8; 16] = [3; 16];
    const NONCE_A: [u8; NONCE] = [9; NONCE];

    fn key(byte: u8) -> SealKey {
        SealKey::derive(&Secret::new([byte; 32]))
    }

    fn sealed(tag: Option<MatchTag>, padded: bool, plain: &[u8]) -> Vec<u8> {
        let key = key(1);
        let plain_type = PlainType::Text;
        seal(
            &Sealing { key: &key, version_id: 0x0102_0304, column_uuid: &COLUMN, plain_type, tag, padded },
            &NONCE_A,
            plain,
        )
    }

    fn opened(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        open(bytes, &key(1), &COLUMN, PlainType::Text)
    }

    /// Seals with any flags and tag, as a later version or an attacker with the key could.
    fn forged(flags: u8, tag: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = vec![MAGIC, flags, 1, 2, 3, 4];
        out.extend_from_slice(tag);
        let aad = Aad::new(&out, &COLUMN, PlainType::Text);
        out.extend_from_slice(&NONCE_A);
        let start = out.len();
        out.extend_from_slice(plain);
        aead::seal_from(key(1).cipher(), aad.bytes(), &NONCE_A, &mut out, start);
        out
    }

    #[test]
    fn layout_is_as_documented() {
        let plain = sealed(None, false, b"value");
        assert_eq!(plain.len(), 5 + 46);
        assert_eq!(plain[..6], [0xE1, 0, 1, 2, 3, 4]);
        assert_eq!(plain[6..30], NONCE_A);

        let tagged = sealed(Some(MatchTag::Narrow([7; 8])), true, b"value\x80");
        assert_eq!(tagged.len(), 6 + 54);
        assert_eq!(tagged[..6], [0xE1, 0b1001, 1, 2, 3, 4]);
        assert_eq!(tagged[6..14], [7; 8]);
        assert_eq!(tagged[14..38], NONCE_A);
    }

    #[test]
    fn header_is_read_back() {
        let bytes = sealed(Some(MatchTag::Narrow([7; 8])), true, b"value\x80");
        let header = parse(&bytes).ok().unwrap();
        assert_eq!(header.version_id, 0x0102_0304);
        assert_eq!(header.tag, Some(&[7; 8][..]));
        assert!(header.padded && !header.bound);
        let bytes = sealed(Some(MatchTag::Wide([8; 16])), false, b"value");
        assert_eq!(bytes[1], 0b10_0001);
        assert_eq!(parse(&bytes).ok().unwrap().tag, Some(&[8; 16][..]));
        assert_eq!(&**opened(&bytes).ok().unwrap(), b"value");
        assert_eq!(tag_at_head(&bytes[..TAG_HEAD as usize]), Some(&[8; 16][..]));
        assert_eq!(tag_at_head(&sealed(Some(MatchTag::Narrow([7; 8])), false, b"")), Some(&[7; 8][..]));
        assert_eq!(tag_at_head(&bytes[..TAG_HEAD as usize - 1]), None);
        assert_eq!(tag_at_head(&[0xE0; 40]), None);
        let bytes = sealed(None, false, b"");
        assert_eq!(tag_at_head(&bytes), None);
        let header = parse(&bytes).ok().unwrap();
        assert_eq!(header.tag, None);
        assert!(!header.padded && !header.bound);
    }

    #[test]
    fn associated_data_are_as_documented() {
        let header = [0xE1, 1, 0, 0, 0, 5, 7, 7, 7, 7, 7, 7, 7, 7];
        let want =
            [&b"\0\0\0\x12pg_airlock/value/1"[..], b"\0\0\0\x0e", &header, b"\0\0\0\x10", &COLUMN, b"\0\0\0\x01\x08"]
                .concat();
        assert_eq!(Aad::new(&header, &COLUMN, PlainType::Text).bytes(), want);
        assert_eq!(Aad::new(&[0; FIXED + WIDEST_TAG], &COLUMN, PlainType::Text).len, Aad::ROOM);
    }

    #[test]
    fn sealing_allocates_once() {
        let out = sealed(Some(MatchTag::Narrow([7; 8])), false, b"value");
        assert!(out.capacity() <= FIXED + WIDEST_TAG + NONCE + 5 + TAG);
    }

    #[test]
    fn opens_only_here() {
        let bytes = sealed(None, false, b"value");
        assert_eq!(&**opened(&bytes).ok().unwrap(), b"value");
        for wrong in [
            open(&bytes, &key(2), &COLUMN, PlainType::Text),
            open(&bytes, &key(1), &[4; 16], PlainType::Text),
            open(&bytes, &key(1), &COLUMN, PlainType::Bytea),
        ] {
            assert_eq!(wrong.err().unwrap().kind, Kind::NotAuthentic);
        }
    }

    #[test]
    fn opens_a_wide_tag() {
        let bytes = forged(HAS_TAG | WIDE_TAG, &[7; 16], b"value");
        assert_eq!(parse(&bytes).ok().unwrap().tag, Some(&[7; 16][..]));
        assert_eq!(&**opened(&bytes).ok().unwrap(), b"value");
    }

    #[test]
    fn refuses_unknown_reserved_and_contradicting_flags() {
        for flags in [1 << 2, 1 << 4, 1 << 6, 1 << 7, WIDE_TAG] {
            assert_eq!(opened(&forged(flags, &[], b"value")).err().unwrap().kind, Kind::NotAuthentic);
        }
    }

    #[test]
    fn refuses_a_row_bound_value_without_its_row() {
        let bytes = forged(ROW_BOUND, &[], b"value");
        assert!(parse(&bytes).ok().unwrap().bound);
        assert!(opened(&bytes).err().unwrap().detail.unwrap().contains("row"));
    }

    #[test]
    fn refuses_padding_without_a_byte() {
        assert!(parse(&forged(PADDED, &[], b"")).is_err());
        assert!(parse(&forged(PADDED, &[], b"\x80")).is_ok());
    }

    #[test]
    fn refuses_other_first_bytes() {
        let mut bytes = sealed(None, false, b"value");
        for first in (0..=u8::MAX).filter(|first| *first != MAGIC) {
            bytes[0] = first;
            assert_eq!(parse(&bytes).err().unwrap().kind, Kind::NotAuthentic);
        }
        assert_eq!(parse(&[]).err().unwrap().kind, Kind::NotAuthentic);
    }

    #[test]
    fn errors_show_no_byte() {
        let mut bytes = sealed(None, false, b"sentinel");
        bytes[20] ^= 1;
        let shown = format!("{:?}", opened(&bytes).err().unwrap());
        assert!(!shown.contains("sentinel") && !shown.contains(&to_text(&bytes)));
    }
}
