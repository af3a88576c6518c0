//! Carriers: a literal on its way to a column, under a key that lives only in this backend.
//!
//! A literal is seen by the type before its column is known, and plans and debug output print it. So it is sealed at
//! once: `0xE0 ‖ nonce (12) ‖ ciphertext ‖ GCM tag (16)`, AES-256-GCM (NIST SP 800-38D). Never stored.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::Aes256Gcm;
use zeroize::{Zeroize, Zeroizing};

use crate::pure::aead::TAG;
use crate::pure::error::{Error, Kind, Result};

/// First byte of a carrier.
const MAGIC: u8 = 0xE0;

/// Bytes of a carrier's nonce.
const NONCE: usize = 12;

/// Length-prefixed like the associated data of stored values.
const AAD: &[u8] = b"\0\0\0\x14pg_airlock/carrier/1\0\0\0\x01\xE0";

/// The ephemeral AES-256-GCM key of one backend's literals. Drawn in the backend on first use, wiped on drop.
pub struct CarrierKey(Aes256Gcm);

impl CarrierKey {
    /// Expands 32 random bytes. The caller's copy stays the caller's to wipe.
    pub fn new(bytes: &[u8; 32]) -> Self {
        CarrierKey(Aes256Gcm::new(bytes.into()))
    }
}

/// True for a carrier: it opens no column, and from outside it is always an error.
pub fn is_carrier(bytes: &[u8]) -> bool {
    bytes.first() == Some(&MAGIC)
}

/// Seals a literal's text. `nonce` must be fresh; one backend stays far below the 2^32 literals that random ones allow.
pub fn seal_carrier(key: &CarrierKey, nonce: &[u8; NONCE], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + NONCE + text.len() + TAG);
    out.push(MAGIC);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(text);
    match key.0.encrypt_inout_detached(nonce.into(), AAD, (&mut out[start..]).into()) {
        Ok(tag) => out.extend_from_slice(&tag),
        // above 64 GiB, which no literal reaches: fail closed, an empty carrier opens nowhere
        Err(_) => {
            out.zeroize();
            out.clear();
        }
    }
    out
}

/// Opens a carrier of this backend.
///
/// # Errors
/// [`Kind::NotAuthentic`] for one of another session, or damaged.
pub fn open_carrier(key: &CarrierKey, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    opened(key, bytes).ok_or_else(|| {
        Error::new(Kind::NotAuthentic, "literal of an encrypted column does not authenticate here")
            .hint("A literal lives only in the session that wrote it: write the value again, as text or a parameter.")
    })
}

fn opened(key: &CarrierKey, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = bytes.strip_prefix(&[MAGIC])?.split_first_chunk::<NONCE>()?;
    let (body, tag) = sealed.split_last_chunk::<TAG>()?;
    let mut text = Zeroizing::new(body.to_vec());
    key.0.decrypt_inout_detached(nonce.into(), AAD, text.as_mut_slice().into(), tag.into()).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_under_its_own_key_and_unchanged() {
        let key = CarrierKey::new(&[1; 32]);
        for text in [&b""[..], b"1980-02-03"] {
            let carrier = seal_carrier(&key, &[2; 12], text);
            assert_eq!(carrier.len(), text.len() + 29);
            assert!(is_carrier(&carrier));
            assert_eq!(&**open_carrier(&key, &carrier).ok().unwrap(), text);
            let refused = |key: &CarrierKey, bytes: &[u8]| {
                assert_eq!(open_carrier(key, bytes).err().unwrap().kind, Kind::NotAuthentic);
            };
            refused(&CarrierKey::new(&[2; 32]), &carrier);
            for bit in 0..carrier.len() * 8 {
                let mut bad = carrier.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                refused(&key, &bad);
            }
            for len in 0..carrier.len() {
                refused(&key, &carrier[..len]);
            }
            refused(&key, &[&carrier[..], &[0]].concat());
        }
    }

    #[test]
    fn a_stored_value_is_no_carrier() {
        assert!(!is_carrier(&[0xE1; 60]));
        assert!(!is_carrier(&[]));
    }

    #[test]
    fn a_carrier_hides_its_text() {
        let carrier = seal_carrier(&CarrierKey::new(&[1; 32]), &[2; 12], b"sentinel");
        assert!(!carrier.windows(8).any(|bytes| bytes == b"sentinel"));
    }

    #[test]
    fn key_is_wiped_on_drop() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        wiped(&CarrierKey::new(&[1; 32]).0);
    }
}
