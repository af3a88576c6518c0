//! Record bytes ↔ payload of the WAL message: authenticated encryption under the log key.

use super::{MAX_RECORD, PAYLOAD_VERSION, PREFIX};
use crate::pure::aead;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::LogKey;

const HEADER: usize = 1 + 4;

/// Refuses what may not be sealed: nothing at all, or more than [`MAX_RECORD`] bytes, which [`open`] would not read
/// back. Call it between [`encode`] and [`seal`]; on `LogUnavailable` the read must not happen.
pub fn check_size(record: &[u8]) -> Result<()> {
    if record.is_empty() || record.len() > MAX_RECORD {
        let message = format!("read record of {} bytes cannot be kept", record.len());
        return Err(Error::new(Kind::LogUnavailable, message).hint("Name fewer views and columns in one statement."));
    }
    Ok(())
}

/// `payload = version | log key version | nonce | XAES-256-GCM(key, nonce, aad, record)`; `nonce` is fresh from the
/// operating system. The associated data binds the payload to its own header, to one database and to one cluster.
pub fn seal(
    key: &LogKey,
    key_version: u32,
    database_oid: u32,
    system_identifier: u64,
    nonce: &[u8; aead::NONCE],
    record: &[u8],
) -> Vec<u8> {
    let aad = associated_data(key_version, database_oid, system_identifier);
    let mut sealed = Vec::with_capacity(record.len() + aead::TAG);
    sealed.extend_from_slice(record);
    aead::seal(key.cipher(), &aad, nonce, &mut sealed);
    let mut payload = Vec::with_capacity(HEADER + aead::NONCE + sealed.len());
    payload.push(PAYLOAD_VERSION);
    payload.extend_from_slice(&key_version.to_be_bytes());
    payload.extend_from_slice(nonce);
    payload.append(&mut sealed);
    payload
}

/// The log key version a payload asks for; `None` if it cannot be a payload. Not authenticated before [`open`].
pub fn key_version(payload: &[u8]) -> Option<u32> {
    split(payload).map(|parts| parts.0)
}

fn split(payload: &[u8]) -> Option<(u32, &[u8; aead::NONCE], &[u8])> {
    let (version, rest) = payload.split_first()?;
    let (key_version, rest) = rest.split_first_chunk::<4>()?;
    let (nonce, sealed) = rest.split_first_chunk::<{ aead::NONCE }>()?;
    let fits = sealed.len() >= aead::TAG && sealed.len() - aead::TAG <= MAX_RECORD;
    (*version == PAYLOAD_VERSION && fits).then_some((u32::from_be_bytes(*key_version), nonce, sealed))
}

/// The record's bytes of a payload that [`seal`] made with this key, in this database of this cluster.
///
/// Errors: `NotAuthentic` for everything else, without saying which part was wrong.
pub fn open(key: &LogKey, payload: &[u8], database_oid: u32, system_identifier: u64) -> Result<Vec<u8>> {
    let (key_version, nonce, sealed) = split(payload).ok_or_else(not_authentic)?;
    let aad = associated_data(key_version, database_oid, system_identifier);
    let mut record = sealed.to_vec();
    aead::open(key.cipher(), &aad, nonce, &mut record).map_err(|_| not_authentic())?;
    Ok(record)
}

// The header is part of it: otherwise the key version of a payload could be changed without notice.
fn associated_data(key_version: u32, database_oid: u32, system_identifier: u64) -> Vec<u8> {
    let mut aad = Vec::with_capacity(PREFIX.len() + HEADER + 4 + 8);
    aad.extend_from_slice(PREFIX.as_bytes());
    aad.push(PAYLOAD_VERSION);
    aad.extend_from_slice(&key_version.to_be_bytes());
    aad.extend_from_slice(&database_oid.to_be_bytes());
    aad.extend_from_slice(&system_identifier.to_be_bytes());
    aad
}

fn not_authentic() -> Error {
    Error::new(Kind::NotAuthentic, "WAL message does not authenticate as a read record of this database")
        .hint("Look for kind \"finding\" in airlock.access_log, and revoke pg_logical_emit_message from PUBLIC.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::Secret;

    const DATABASE: u32 = 16_384;
    const CLUSTER: u64 = 7_300_000_000_000_000_001;

    fn key(byte: u8) -> LogKey {
        LogKey::derive(&Secret::new([byte; 32]))
    }

    fn payload() -> Vec<u8> {
        seal(&key(1), 5, DATABASE, CLUSTER, &[9; 24], b"record")
    }

    #[test]
    fn opens_what_it_sealed() {
        let payload = payload();
        assert_eq!(payload[..5], [1, 0, 0, 0, 5]);
        assert_eq!(payload.len(), 5 + 24 + 6 + 16);
        assert_eq!(key_version(&payload), Some(5));
        assert_eq!(open(&key(1), &payload, DATABASE, CLUSTER), Ok(b"record".to_vec()));
    }

    #[test]
    fn attack_payload_of_another_place_or_key() {
        let payload = payload();
        for opened in [
            open(&key(2), &payload, DATABASE, CLUSTER),
            open(&key(1), &payload, DATABASE + 1, CLUSTER),
            open(&key(1), &payload, DATABASE, CLUSTER + 1),
        ] {
            assert_eq!(opened.unwrap_err().kind, Kind::NotAuthentic);
        }
    }

    #[test]
    fn attack_any_flipped_bit_or_cut() {
        let good = payload();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key(1), &bad, DATABASE, CLUSTER).unwrap_err().kind, Kind::NotAuthentic, "bit {bit}");
        }
        for end in 0..good.len() {
            assert_eq!(open(&key(1), &good[..end], DATABASE, CLUSTER).unwrap_err().kind, Kind::NotAuthentic);
        }
    }

    #[test]
    fn attack_forged_message_is_no_payload() {
        assert_eq!(key_version(b""), None);
        assert_eq!(key_version(b"{\"role\":\"acme\"}"), None);
        assert_eq!(key_version(&[1; 44]), None);
        assert_eq!(key_version(&[1; 45]), Some(0x0101_0101));
        assert_eq!(key_version(&[2; 45]), None);
    }

    #[test]
    fn attack_a_huge_message_is_refused_unread() {
        let huge = vec![1; HEADER + aead::NONCE + MAX_RECORD + aead::TAG + 1];
        assert_eq!(key_version(&huge), None);
        assert_eq!(key_version(&huge[1..]), Some(0x0101_0101));
        assert_eq!(check_size(&huge).unwrap_err().kind, Kind::LogUnavailable);
    }

    #[test]
    fn check_size_refuses_nothing_and_too_much() {
        assert!(check_size(&[]).is_err());
        assert!(check_size(&[0]).is_ok());
        assert!(check_size(&vec![0; MAX_RECORD]).is_ok());
    }
}
