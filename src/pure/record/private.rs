//! The private part of a record: what was taken out of the statement's text, for whoever has to find out what a reader was
//! looking for. Kept encrypted only, and for a shorter time than the record.
//!
//! `part   = [1, salt(16), [constant, …], [parameter | null, …], cut]`, deterministic CBOR (RFC 8949 section 4.2)
//! `stored = log key version(4, BE) | nonce(24) | XAES-256-GCM(private key, nonce, label | version | hash of part, part)`

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::hash;
use crate::pure::aead;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::PrivateKey;

/// Version of the part, its first item.
const VERSION: u8 = 1;
/// Most bytes of constants and parameters that are kept.
pub const MOST: usize = 64 * 1024;
const LABEL: &[u8] = b"pg_airlock/private/1";

/// What a statement held apart from its text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// Random, so that the part's hash tells nothing of it.
    pub salt: [u8; 16],
    /// In the order of their `?` in the text, as they were written.
    pub constants: Vec<String>,
    /// Values of `$1` and so on, as their types print them.
    pub parameters: Vec<Option<String>>,
    /// Whether there was more than is kept.
    pub cut: bool,
}

impl Private {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.constants.is_empty() && self.parameters.is_empty()
    }

    /// Drops what is beyond [`MOST`] bytes.
    pub fn limit(&mut self) {
        let mut room = MOST;
        let mut fits = |text: &str| {
            let left = room.checked_sub(text.len().saturating_add(4));
            room = left.unwrap_or(room);
            left.is_some()
        };
        let constants = self.constants.iter().take_while(|c| fits(c)).count();
        let parameters = self.parameters.iter().take_while(|p| fits(p.as_deref().unwrap_or(""))).count();
        self.cut |= constants < self.constants.len() || parameters < self.parameters.len();
        self.constants.truncate(constants);
        self.parameters.truncate(parameters);
    }

    /// The part's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // a Vec takes every byte
        self.write().unwrap_or_default()
    }

    fn write(&self) -> std::result::Result<Vec<u8>, minicbor::encode::Error<std::convert::Infallible>> {
        let mut e = Encoder::new(Vec::with_capacity(64));
        e.array(5)?.u8(VERSION)?.bytes(&self.salt)?.array(self.constants.len() as u64)?;
        for constant in &self.constants {
            e.str(constant)?;
        }
        e.array(self.parameters.len() as u64)?;
        for parameter in &self.parameters {
            match parameter {
                Some(text) => e.str(text)?,
                None => e.null()?,
            };
        }
        e.bool(self.cut)?;
        Ok(e.into_writer())
    }

    /// The part of its bytes; `Corrupt` for anything that [`Private::encode`] would not write exactly so.
    pub fn decode(bytes: &[u8]) -> Result<Private> {
        let corrupt =
            || Error::new(Kind::Corrupt, "the private part of a read record is not in its one canonical form");
        let part = Self::read(bytes).map_err(|_| corrupt())?;
        match part.encode() == bytes {
            true => Ok(part),
            false => Err(corrupt()),
        }
    }

    fn read(bytes: &[u8]) -> std::result::Result<Private, minicbor::decode::Error> {
        let strange = || minicbor::decode::Error::message("");
        let mut d = Decoder::new(bytes);
        if d.array()? != Some(5) || d.u8()? != VERSION {
            return Err(strange());
        }
        let mut part = Private { salt: d.bytes()?.try_into().map_err(|_| strange())?, ..Private::default() };
        for _ in 0..d.array()?.ok_or_else(strange)? {
            part.constants.push(d.str()?.to_string());
        }
        for _ in 0..d.array()?.ok_or_else(strange)? {
            part.parameters.push(match d.datatype()? {
                Type::Null => d.null().map(|()| None)?,
                _ => Some(d.str()?.to_string()),
            });
        }
        part.cut = d.bool()?;
        Ok(part)
    }
}

/// What is stored of a part.
pub fn seal(key: &PrivateKey, key_version: u32, nonce: &[u8; aead::NONCE], part: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(4 + aead::NONCE + part.len() + aead::TAG);
    stored.extend_from_slice(&key_version.to_be_bytes());
    stored.extend_from_slice(nonce);
    let start = stored.len();
    stored.extend_from_slice(part);
    aead::seal_from(key.cipher(), &associated_data(key_version, &hash(part)), nonce, &mut stored, start);
    stored
}

/// The log key version that a stored part asks for.
pub fn key_version(stored: &[u8]) -> Option<u32> {
    stored.first_chunk().map(|version| u32::from_be_bytes(*version))
}

/// The part of what is stored, for the record that has this hash of it. `NotAuthentic` for everything else.
pub fn open(key: &PrivateKey, stored: &[u8], of: &[u8; 32]) -> Result<Vec<u8>> {
    let not_authentic =
        || Error::new(Kind::NotAuthentic, "the private part does not belong to this record, or was changed");
    let (version, rest) = stored.split_first_chunk::<4>().ok_or_else(not_authentic)?;
    let (nonce, sealed) = rest.split_first_chunk::<{ aead::NONCE }>().ok_or_else(not_authentic)?;
    let mut part = sealed.to_vec();
    let aad = associated_data(u32::from_be_bytes(*version), of);
    aead::open(key.cipher(), &aad, nonce, &mut part).map_err(|_| not_authentic())?;
    Ok(part)
}

fn associated_data(key_version: u32, hash: &[u8; 32]) -> Vec<u8> {
    [LABEL, &key_version.to_be_bytes(), hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    fn part() -> Private {
        Private {
            salt: [4; 16],
            constants: vec!["'x'".into(), "42".into()],
            parameters: vec![Some("a@b.example".into()), None],
            cut: false,
        }
    }

    #[test]
    fn is_read_back_and_in_one_form_only() {
        let bytes = part().encode();
        assert!(Private::decode(&bytes).is_ok_and(|p| p == part()));
        for end in 0..bytes.len() {
            assert!(Private::decode(&bytes[..end]).is_err(), "cut after {end}");
        }
        assert!(Private::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Private::decode(&[&bytes[..1], &[0x18, 1], &bytes[2..]].concat()).is_err());
        assert!(Private::default().is_empty() && !part().is_empty());
    }

    #[test]
    fn keeps_what_fits() {
        let mut large = Private { constants: vec!["x".repeat(MOST / 3); 4], ..part() };
        large.limit();
        assert_eq!((large.constants.len(), large.parameters.len(), large.cut), (2, 2, true));
        let mut huge = Private { parameters: vec![None; MOST], ..part() };
        huge.limit();
        assert!(huge.cut && huge.encode().len() < MOST);
        let mut small = part();
        small.limit();
        assert!(small == part());
    }

    #[test]
    fn opens_for_its_own_record_only() {
        let key = |n| PrivateKey::derive(&Secret::new([n; 32]));
        let bytes = part().encode();
        let stored = seal(&key(1), 7, &[9; 24], &bytes);
        assert_eq!(key_version(&stored), Some(7));
        assert_eq!(open(&key(1), &stored, &hash(&bytes)), Ok(bytes.clone()));
        assert!(open(&key(2), &stored, &hash(&bytes)).is_err());
        assert!(open(&key(1), &stored, &hash(b"")).is_err());
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key(1), &bad, &hash(&bytes)).map_err(|e| e.kind), Err(Kind::NotAuthentic), "bit {bit}");
        }
        assert!(open(&key(1), &stored[..20], &hash(&bytes)).is_err());
    }
}
