//! The one cipher of stored bytes: XAES-256-GCM (`C2SP/C2SP XAES-256-GCM.md`), that is AES-256-GCM with 192-bit nonces.
//!
//! - Plain AES-GCM with random nonces ends at 2^32 values per key (NIST SP 800-38D); this construction derives a key
//!   per 96-bit half of the nonce and has no such limit in practice.
//! - Nonces are arguments: nothing here draws randomness, so nothing here can draw it wrongly after a fork.
//! - XAES-256-GCM does not commit to its key; `keyring::commitment` does.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use xaes_256_gcm::Xaes256Gcm;
use zeroize::Zeroize;

/// Bytes of a nonce: N1 (12) ‖ N2 (12).
pub const NONCE: usize = 24;

/// Bytes of an authentication tag.
pub const TAG: usize = 16;

/// The bytes do not authenticate under this key, nonce and associated data. Says nothing more, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

impl fmt::Display for NotAuthentic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not authentic")
    }
}

impl std::error::Error for NotAuthentic {}

/// A prepared XAES-256-GCM key. Without `Debug` and `Clone`; the key schedule is wiped on drop.
pub struct XaesKey(Xaes256Gcm);

impl XaesKey {
    /// Expands 32 key bytes. The caller's copy stays the caller's to wipe.
    pub fn new(key: &[u8; 32]) -> Self {
        XaesKey(Xaes256Gcm::new(key.into()))
    }
}

/// Encrypts the whole of `buf` in place and appends the tag.
///
/// Reserve [`TAG`] spare bytes beforehand: a growing vector leaves a copy of the plaintext behind.
pub fn seal(key: &XaesKey, aad: &[u8], nonce: &[u8; NONCE], buf: &mut Vec<u8>) {
    seal_from(key, aad, nonce, buf, 0);
}

/// Encrypts `buf[start..]` in place, leaves what stands before it as it is, and appends the tag.
///
/// The cipher refuses only inputs above 64 GiB, which no datum reaches (1 GiB). Should it ever, or should `start` lie
/// outside, `buf` comes back wiped and empty: fail closed, an empty buffer opens nowhere.
pub fn seal_from(key: &XaesKey, aad: &[u8], nonce: &[u8; NONCE], buf: &mut Vec<u8>, start: usize) {
    let tag = buf.get_mut(start..).and_then(|plain| key.0.encrypt_inout_detached(nonce.into(), aad, plain.into()).ok());
    match tag {
        Some(tag) => buf.extend_from_slice(&tag),
        None => wipe(buf),
    }
}

/// Decrypts `buf` (ciphertext ‖ tag) in place and cuts the tag off.
///
/// # Errors
/// [`NotAuthentic`], and `buf` is then wiped and empty: no unauthenticated byte gets out.
pub fn open(
    key: &XaesKey,
    aad: &[u8],
    nonce: &[u8; NONCE],
    buf: &mut Vec<u8>,
) -> std::result::Result<(), NotAuthentic> {
    let opened = buf.split_last_chunk_mut::<TAG>().and_then(|(body, tag)| {
        let body_len = body.len();
        key.0.decrypt_inout_detached(nonce.into(), aad, body.into(), (&*tag).into()).ok().map(|()| body_len)
    });
    match opened {
        Some(len) => {
            buf.truncate(len);
            Ok(())
        }
        None => {
            wipe(buf);
            Err(NotAuthentic)
        }
    }
}

fn wipe(buf: &mut Vec<u8>) {
    buf.zeroize();
    buf.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE_A: [u8; NONCE] = *b"ABCDEFGHIJKLMNOPQRSTUVWX";

    fn sealed(plain: &[u8], aad: &[u8]) -> Vec<u8> {
        let mut buf = plain.to_vec();
        seal(&XaesKey::new(&[1; 32]), aad, &NONCE_A, &mut buf);
        buf
    }

    #[test]
    fn seals_the_first_c2sp_vector() {
        let want = data_encoding::HEXLOWER.decode(b"ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271").unwrap();
        assert_eq!(sealed(b"XAES-256-GCM", b""), want);
    }

    #[test]
    fn opens_what_it_sealed() {
        for len in [0, 1, 15, 16, 17, 255, 4096] {
            let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut buf = sealed(&plain, b"aad");
            assert_eq!(buf.len(), plain.len() + TAG);
            assert_eq!(open(&XaesKey::new(&[1; 32]), b"aad", &NONCE_A, &mut buf), Ok(()));
            assert_eq!(buf, plain);
        }
    }

    #[test]
    fn keeps_what_stands_before_the_start() {
        let mut buf = b"headXAES-256-GCM".to_vec();
        seal_from(&XaesKey::new(&[1; 32]), b"", &NONCE_A, &mut buf, 4);
        assert_eq!(&buf[..4], b"head");
        assert_eq!(&buf[4..], sealed(b"XAES-256-GCM", b""));
    }

    #[test]
    fn a_start_outside_leaves_nothing() {
        let mut buf = b"plaintext".to_vec();
        seal_from(&XaesKey::new(&[1; 32]), b"", &NONCE_A, &mut buf, 10);
        assert!(buf.is_empty());
    }

    #[test]
    fn refuses_every_flipped_bit_and_leaves_nothing_behind() {
        let good = sealed(b"secret", b"aad");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&XaesKey::new(&[1; 32]), b"aad", &NONCE_A, &mut bad), Err(NotAuthentic));
            assert!(bad.is_empty());
        }
    }

    #[test]
    fn refuses_other_key_nonce_and_associated_data() {
        let good = sealed(b"secret", b"aad");
        let mut other_nonce = NONCE_A;
        other_nonce[23] ^= 1;
        let mut other_derived_key = NONCE_A;
        other_derived_key[0] ^= 1;
        for (key, nonce, aad) in [
            ([2; 32], NONCE_A, &b"aad"[..]),
            ([1; 32], other_nonce, b"aad"),
            ([1; 32], other_derived_key, b"aad"),
            ([1; 32], NONCE_A, b"aae"),
            ([1; 32], NONCE_A, b""),
        ] {
            assert_eq!(open(&XaesKey::new(&key), aad, &nonce, &mut good.clone()), Err(NotAuthentic));
        }
    }

    #[test]
    fn refuses_what_is_shorter_than_a_tag() {
        for len in 0..TAG {
            assert_eq!(open(&XaesKey::new(&[1; 32]), b"", &NONCE_A, &mut vec![0; len]), Err(NotAuthentic));
        }
    }

    #[test]
    fn key_schedule_is_wiped_on_drop() {
        fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        wiped(&XaesKey::new(&[1; 32]).0);
    }
}
