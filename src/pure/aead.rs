//! The one cipher of stored bytes: XAES-256-GCM (`C2SP/C2SP XAES-256-GCM.md`), that is AES-256-GCM with 192-bit nonces.
//!
//! - Plain AES-GCM with random nonces ends at 2^32 values per key (NIST SP 800-38D); this construction derives a key
//!   per 96-bit half of the nonce and has no such limit in practice.
//! - What it derives depends on the first half of a nonce alone, N1. Where many values have the same, [`Derived`] keeps it:
//!   the same bytes come out, at the cost of AES-256-GCM.
//! - Nonces are arguments: nothing here draws randomness, so nothing here can draw it wrongly after a fork.
//! - XAES-256-GCM does not commit to its key; `keyring::commitment` does.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::Aes256Gcm;
use cmac::{Cmac, Mac};
use xaes_256_gcm::Xaes256Gcm;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a nonce: N1 (12) ‖ N2 (12).
pub const NONCE: usize = 24;

/// Bytes of N1 and of N2.
pub const HALF: usize = NONCE / 2;

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

/// What seals and opens under a nonce.
pub trait Cipher {
    /// Encrypts in place and gives the tag; `None` where it cannot.
    fn encrypt(&self, aad: &[u8], nonce: &[u8; NONCE], plain: &mut [u8]) -> Option<[u8; TAG]>;
    /// Decrypts in place; `None` where the tag does not fit.
    fn decrypt(&self, aad: &[u8], nonce: &[u8; NONCE], sealed: &mut [u8], tag: &[u8; TAG]) -> Option<()>;
}

impl Cipher for XaesKey {
    fn encrypt(&self, aad: &[u8], nonce: &[u8; NONCE], plain: &mut [u8]) -> Option<[u8; TAG]> {
        self.0.encrypt_inout_detached(nonce.into(), aad, plain.into()).ok().map(Into::into)
    }

    fn decrypt(&self, aad: &[u8], nonce: &[u8; NONCE], sealed: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
        self.0.decrypt_inout_detached(nonce.into(), aad, sealed.into(), tag.into()).ok()
    }
}

/// Derives keys as XAES-256-GCM does, steps 3 to 5: AES-256-CMAC (NIST SP 800-38B) of a counter, a letter and N1. Without
/// `Debug` and `Clone`; wiped on drop.
pub struct Derivation(Cmac<aes::Aes256>);

impl Derivation {
    /// From the same 32 bytes as [`XaesKey::new`].
    pub fn new(key: &[u8; 32]) -> Self {
        Derivation(Cmac::new(key.into()))
    }

    /// The cipher for all nonces that begin with `n1`.
    pub fn under(&self, n1: &[u8; HALF]) -> Derived {
        let mut key = Zeroizing::new([0; 32]);
        for (half, counter) in key.chunks_exact_mut(16).zip(1u8..) {
            let mut mac = self.0.clone();
            mac.update(&[0, counter, b'X', 0]);
            mac.update(n1);
            half.copy_from_slice(&mac.finalize().into_bytes());
        }
        Derived { n1: *n1, gcm: Aes256Gcm::new((&*key).into()) }
    }
}

/// XAES-256-GCM for the nonces that begin with one N1. Without `Debug` and `Clone`; wiped on drop.
pub struct Derived {
    n1: [u8; HALF],
    gcm: Aes256Gcm,
}

impl Derived {
    /// The first half of its nonces.
    pub fn n1(&self) -> &[u8; HALF] {
        &self.n1
    }

    /// The second half of a nonce of its own; of any other nothing may be sealed or opened here.
    fn n2<'n>(&self, nonce: &'n [u8; NONCE]) -> Option<&'n [u8; HALF]> {
        nonce.split_first_chunk::<HALF>().filter(|(n1, _)| **n1 == self.n1).and_then(|(_, n2)| n2.try_into().ok())
    }
}

impl Cipher for Derived {
    fn encrypt(&self, aad: &[u8], nonce: &[u8; NONCE], plain: &mut [u8]) -> Option<[u8; TAG]> {
        self.gcm.encrypt_inout_detached(self.n2(nonce)?.into(), aad, plain.into()).ok().map(Into::into)
    }

    fn decrypt(&self, aad: &[u8], nonce: &[u8; NONCE], sealed: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
        self.gcm.decrypt_inout_detached(self.n2(nonce)?.into(), aad, sealed.into(), tag.into()).ok()
    }
}

/// Encrypts the whole of `buf` in place and appends the tag.
///
/// Reserve [`TAG`] spare bytes beforehand: a growing vector leaves a copy of the plaintext behind.
pub fn seal(key: &dyn Cipher, aad: &[u8], nonce: &[u8; NONCE], buf: &mut Vec<u8>) {
    seal_from(key, aad, nonce, buf, 0);
}

/// Encrypts `buf[start..]` in place, leaves what stands before it as it is, and appends the tag.
///
/// The cipher refuses only inputs above 64 GiB, which no datum reaches (1 GiB). Should it ever, or should `start` lie
/// outside, `buf` comes back wiped and empty: fail closed, an empty buffer opens nowhere.
pub fn seal_from(key: &dyn Cipher, aad: &[u8], nonce: &[u8; NONCE], buf: &mut Vec<u8>, start: usize) {
    let tag = buf.get_mut(start..).and_then(|plain| key.encrypt(aad, nonce, plain));
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
    key: &dyn Cipher,
    aad: &[u8],
    nonce: &[u8; NONCE],
    buf: &mut Vec<u8>,
) -> std::result::Result<(), NotAuthentic> {
    let opened = buf.split_last_chunk_mut::<TAG>().and_then(|(body, tag)| {
        let body_len = body.len();
        key.decrypt(aad, nonce, body, tag).map(|()| body_len)
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

    fn derived(key: u8, n1: &[u8; HALF]) -> Derived {
        Derivation::new(&[key; 32]).under(n1)
    }

    #[test]
    fn what_is_kept_gives_the_same_bytes() {
        let mut nonce = NONCE_A;
        for n in 0..=255u8 {
            (nonce[3], nonce[20]) = (n, n.wrapping_mul(7));
            let kept = derived(1, nonce.first_chunk().unwrap());
            let plain: Vec<u8> = (0..n).collect();
            let (mut here, mut there) = (plain.clone(), plain.clone());
            seal(&kept, b"aad", &nonce, &mut here);
            seal(&XaesKey::new(&[1; 32]), b"aad", &nonce, &mut there);
            assert_eq!(here, there);
            assert_eq!(open(&kept, b"aad", &nonce, &mut there), Ok(()));
            assert_eq!(open(&XaesKey::new(&[1; 32]), b"aad", &nonce, &mut here), Ok(()));
            assert_eq!((&here, &there), (&plain, &plain));
        }
    }

    #[test]
    fn what_is_kept_is_for_its_own_nonces() {
        let mut other = NONCE_A;
        other[0] ^= 1;
        let kept = derived(1, other.first_chunk().unwrap());
        let mut buf = b"plain".to_vec();
        seal(&kept, b"", &NONCE_A, &mut buf);
        assert!(buf.is_empty());
        let mut buf = sealed(b"plain", b"");
        assert_eq!(open(&kept, b"", &NONCE_A, &mut buf), Err(NotAuthentic));
        assert!(buf.is_empty());
        let mut buf = sealed(b"plain", b"");
        assert_eq!(open(&derived(2, NONCE_A.first_chunk().unwrap()), b"", &NONCE_A, &mut buf), Err(NotAuthentic));
    }
}
