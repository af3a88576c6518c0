//! The kinds of keys, how they derive from one another, and how they are kept: wrapped by the root key.
//!
//! ```text
//! root key ── wraps ──▶ secrets of 32 random bytes, in versions
//!    │                    seal  ─ HKDF pg_airlock/seal/1  ▶ SealKey     match ─ pg_airlock/match/1 ▶ MatchKey
//!    │                    mask  ─ pg_airlock/mask/1 ‖ mask ‖ domain ▶ RuleKey ─ HKDF-Expand pg_airlock/ff1/1 ▶ Ff1Key
//!    │                    log   ─ pg_airlock/log/1 ▶ LogKey, pg_airlock/chain/1 ▶ ChainKey, pg_airlock/private/1 ▶ PrivateKey
//!    │                    subject ─ pg_airlock/subject/1 ‖ domain ▶ SubjectKey
//!    └─ HKDF pg_airlock/check/1 ▶ check value, pg_airlock/catalog/1 ▶ CatalogKey
//! ```
//!
//! HKDF-SHA-256 (RFC 5869) without salt and with constant labels, HMAC-SHA-256 (RFC 2104). No type here has a `Debug`
//! or `Clone`, all are wiped on drop, and there is a type per purpose, so a key cannot be used for another.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::pure::aead::{self, XaesKey, NONCE, TAG};
use crate::pure::error::{Error, Kind, Result};

mod derived;
mod spelled;

pub(in crate::pure) use derived::{item_len, put_item};
pub use derived::{
    CatalogKey, ChainKey, LogKey, MaskKey, MatchKey, PrivateKey, RuleKey, SealKey, SealUnder, Seals, SubjectKey,
};

pub use spelled::Spelled;

use derived::{derive, MacKey};

/// First byte of a wrapped key.
const WRAP_VERSION: u8 = 1;

/// Bytes of a wrapped key: version, nonce, 32 encrypted bytes, tag.
const WRAPPED: usize = 1 + NONCE + 32 + TAG;

/// 32 secret bytes: a version of a key before anything is derived from it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes 32 random bytes and wipes the copy made by passing them; the caller's own stays the caller's to wipe.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let secret = Secret(bytes);
        bytes.zeroize();
        secret
    }
}

/// The root key: wraps all others, lives outside the database.
pub struct RootKey(Secret);

impl RootKey {
    /// Reads a root key as its source gives it: 32 raw bytes, or 64 hex digits, or padded standard base64 of 32 bytes
    /// (RFC 4648); white space around hex and base64 is dropped.
    ///
    /// # Errors
    /// [`Kind::Locked`], which tells nothing of the content.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() == 32 {
            key.copy_from_slice(bytes);
            return Ok(RootKey(Secret::new(*key)));
        }
        let text = bytes.trim_ascii();
        // one byte more than a key: what unpadded base64 of this length could hold
        let mut decoded = Zeroizing::new([0; 33]);
        let len = match text.len() {
            64 => HEXLOWER_PERMISSIVE.decode_mut(text, &mut decoded[..32]).ok(),
            // padding belongs at the end: the decoder would also take two padded texts in a row
            44 if !text[..43].contains(&b'=') => BASE64.decode_mut(text, &mut *decoded).ok(),
            _ => None,
        };
        match (len, decoded.first_chunk::<32>()) {
            (Some(32), Some(found)) => {
                key.copy_from_slice(found);
                Ok(RootKey(Secret::new(*key)))
            }
            _ => Err(Error::new(Kind::Locked, "root key is not a key of 32 bytes")
                .hint("Store what \"openssl rand -hex 32\" prints; base64 of 32 bytes and 32 raw bytes are read too.")),
        }
    }

    /// Recognises the root key before anything is unwrapped: kept in the catalog, 16 bytes, HKDF `pg_airlock/check/1`.
    pub fn check_value(&self) -> [u8; 16] {
        *derive(&self.0, &[b"pg_airlock/check/1"])
    }

    /// True if this is the root key that `check_value` was stored for; constant time.
    pub fn matches(&self, check_value: &[u8]) -> bool {
        self.check_value().ct_eq(check_value).into()
    }

    /// The key that authenticates rows of the catalog, HKDF `pg_airlock/catalog/1`.
    pub fn catalog_key(&self) -> CatalogKey {
        CatalogKey(MacKey::new(&derive(&self.0, &[b"pg_airlock/catalog/1"])))
    }
}

/// What a secret is for. Part of what its wrapping authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// seals values of encrypted columns
    Seal,
    /// makes match tags
    Match,
    /// keys the masks of one sub-processor
    Mask,
    /// seals and chains the read log
    Log,
    /// names data subjects in the read log, one version per epoch
    Subject,
}

impl Use {
    /// The word in the catalog.
    pub fn label(self) -> &'static str {
        match self {
            Use::Seal => "seal",
            Use::Match => "match",
            Use::Mask => "mask",
            Use::Log => "log",
            Use::Subject => "subject",
        }
    }

    /// The use of that word, if there is one.
    pub fn from_label(label: &str) -> Option<Self> {
        [Use::Seal, Use::Match, Use::Mask, Use::Log, Use::Subject].into_iter().find(|usage| usage.label() == label)
    }
}

/// Where a key version is in its life; only ever moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// seals and opens; one version of a key is
    Active,
    /// opens what was sealed before the rotation
    DecryptOnly,
    /// does neither, and no stored value needs it
    Retired,
    /// the wrapped bytes are gone
    Destroyed,
}

impl VersionState {
    /// The word in the catalog.
    pub fn label(self) -> &'static str {
        match self {
            VersionState::Active => "active",
            VersionState::DecryptOnly => "decrypt-only",
            VersionState::Retired => "retired",
            VersionState::Destroyed => "destroyed",
        }
    }

    /// The state of that word, if there is one.
    pub fn from_label(label: &str) -> Option<Self> {
        [VersionState::Active, VersionState::DecryptOnly, VersionState::Retired, VersionState::Destroyed]
            .into_iter()
            .find(|state| state.label() == label)
    }

    /// May a version in this state seal new values?
    pub fn seals(self) -> bool {
        self == VersionState::Active
    }

    /// May a version in this state open values?
    pub fn opens(self) -> bool {
        matches!(self, VersionState::Active | VersionState::DecryptOnly)
    }
}

/// Which secret a wrapped key is; all of it is authenticated, so a wrapped key cannot be passed off as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// What the secret is for.
    pub usage: Use,
    /// The uuid of the key it is a version of.
    pub key_uuid: [u8; 16],
    /// The number of that version, from 1.
    pub version: u32,
    /// The generation of the root key that wraps it.
    pub root_generation: u32,
}

impl Wrapping {
    fn aad(&self) -> Vec<u8> {
        let mut aad = Vec::with_capacity(80);
        put_item(&mut aad, b"pg_airlock/wrap/1");
        put_item(&mut aad, self.usage.label().as_bytes());
        put_item(&mut aad, &self.key_uuid);
        put_item(&mut aad, &self.version.to_be_bytes());
        put_item(&mut aad, &self.root_generation.to_be_bytes());
        aad
    }
}

/// Wraps a secret: version byte 1 ‖ nonce ‖ XAES-256-GCM under the root key, 73 bytes. The nonce must be fresh.
pub fn wrap(root: &RootKey, secret: &Secret, w: &Wrapping, nonce: &[u8; NONCE]) -> Vec<u8> {
    let mut out = Vec::with_capacity(WRAPPED);
    out.push(WRAP_VERSION);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(&secret.0);
    aead::seal_from(&XaesKey::new(&root.0 .0), &w.aad(), nonce, &mut out, start);
    out
}

/// Unwraps a secret.
///
/// # Errors
/// [`Kind::NotAuthentic`] when the bytes are not what [`wrap`] made for exactly this `w` under this root key. Compare
/// the check value first: then this means tampering, not a wrong root key.
pub fn unwrap(root: &RootKey, wrapped: &[u8], w: &Wrapping) -> Result<Secret> {
    let opened = wrapped.split_first().filter(|_| wrapped.len() == WRAPPED).and_then(|(version, rest)| {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().filter(|_| *version == WRAP_VERSION)?;
        let mut buf = Zeroizing::new(sealed.to_vec());
        aead::open(&XaesKey::new(&root.0 .0), &w.aad(), nonce, &mut buf).ok()?;
        buf.first_chunk::<32>().map(|bytes| Secret::new(*bytes))
    });
    opened.ok_or_else(|| {
        let (usage, version, generation) = (w.usage.label(), w.version, w.root_generation);
        Error::new(Kind::NotAuthentic, format!("wrapped key \"{usage}\" version {version} does not authenticate"))
            .detail(format!("It was to be unwrapped by the root key of generation {generation}."))
            .hint("Restore table \"airlock_catalog.key_version\" from a backup, then run airlock.doctor().")
    })
}

/// Commits to a secret, 32 bytes, HKDF `pg_airlock/commit/1`: XAES-256-GCM alone would open under more than one key.
pub fn commitment(secret: &Secret) -> [u8; 32] {
    *derive(secret, &[b"pg_airlock/commit/1"])
}

/// True if `committed` is this secret's [`commitment`]; constant time.
pub fn is_committed(secret: &Secret, committed: &[u8]) -> bool {
    commitment(secret).ct_eq(committed).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    const NONCE_A: [u8; NONCE] = [9; NONCE];

    fn root() -> RootKey {
        RootKey::parse(&[7; 32]).ok().unwrap()
    }

    fn wrapping() -> Wrapping {
        Wrapping { usage: Use::Seal, key_uuid: [3; 16], version: 2, root_generation: 1 }
    }

    fn parsed(bytes: &[u8]) -> Option<[u8; 16]> {
        RootKey::parse(bytes).ok().map(|root| root.check_value())
    }

    #[test]
    fn root_key_reads_raw_hex_and_base64() {
        let raw: Vec<u8> = (100..132).collect();
        let want = parsed(&raw).unwrap();
        let hex = HEXLOWER.encode(&raw);
        let base64 = BASE64.encode(&raw);
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            format!("{hex}\n"),
            format!(" \t{hex}\r\n"),
            base64.clone(),
            format!("{base64}\n"),
            format!("\n{base64} "),
        ] {
            assert_eq!(parsed(text.as_bytes()), Some(want));
        }
    }

    #[test]
    fn root_key_refuses_the_rest_and_shows_none_of_it() {
        let raw: Vec<u8> = (100..132).collect();
        let (hex, base64) = (HEXLOWER.encode(&raw), BASE64.encode(&raw));
        for bad in [
            String::new(),
            "\n".into(),
            hex[..62].into(),
            format!("{hex}00"),
            format!("0x{}", &hex[..62]),
            format!("{} {}", &hex[..32], &hex[33..]),
            base64.trim_end_matches('=').into(),
            BASE64.encode(&raw[..31]),
            format!("AAA={}", BASE64.encode(&raw[..30])),
            BASE64.encode(&[0; 33]),
            // 43 characters carry 258 bits: the last two must be zero
            format!("{}B=", "A".repeat(42)),
            "pässword".into(),
        ] {
            let error = RootKey::parse(bad.as_bytes()).err().unwrap();
            assert_eq!(error.kind, Kind::Locked);
            let shown = format!("{error:?}");
            assert!(bad.trim().is_empty() || !shown.contains(bad.trim()), "{shown}");
        }
        for len in [31, 33] {
            assert_eq!(parsed(&vec![200; len]), None);
        }
    }

    #[test]
    fn check_value_tells_root_keys_apart() {
        let other = RootKey::parse(&[8; 32]).ok().unwrap();
        assert!(root().matches(&root().check_value()));
        assert!(!root().matches(&other.check_value()));
        assert!(!root().matches(&[]));
        assert!(!root().matches(&root().check_value()[..15]));
    }

    #[test]
    fn unwraps_what_it_wrapped() {
        let wrapped = wrap(&root(), &Secret::new([5; 32]), &wrapping(), &NONCE_A);
        assert_eq!(wrapped.len(), 73);
        assert_eq!(unwrap(&root(), &wrapped, &wrapping()).ok().unwrap().0, [5; 32]);
    }

    #[test]
    fn unwrap_refuses_any_other_use_key_version_generation_and_root() {
        let wrapped = wrap(&root(), &Secret::new([5; 32]), &wrapping(), &NONCE_A);
        let good = wrapping();
        for other in [
            Wrapping { usage: Use::Match, ..good },
            Wrapping { key_uuid: [4; 16], ..good },
            Wrapping { version: 1, ..good },
            Wrapping { root_generation: 2, ..good },
        ] {
            assert_eq!(unwrap(&root(), &wrapped, &other).err().unwrap().kind, Kind::NotAuthentic);
        }
        let other_root = RootKey::parse(&[8; 32]).ok().unwrap();
        assert_eq!(unwrap(&other_root, &wrapped, &good).err().unwrap().kind, Kind::NotAuthentic);
    }

    #[test]
    fn unwrap_refuses_every_flipped_bit_and_every_other_length() {
        let wrapped = wrap(&root(), &Secret::new([5; 32]), &wrapping(), &NONCE_A);
        for bit in 0..wrapped.len() * 8 {
            let mut bad = wrapped.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(&root(), &bad, &wrapping()).is_err(), "bit {bit}");
        }
        for len in 0..wrapped.len() {
            assert!(unwrap(&root(), &wrapped[..len], &wrapping()).is_err());
        }
        assert!(unwrap(&root(), &[&wrapped[..], &[0]].concat(), &wrapping()).is_err());
    }

    #[test]
    fn unwrap_error_names_the_version() {
        let error = unwrap(&root(), b"", &wrapping()).err().unwrap();
        assert_eq!(error.message, "wrapped key \"seal\" version 2 does not authenticate");
    }

    #[test]
    fn labels_read_back() {
        for usage in [Use::Seal, Use::Match, Use::Mask, Use::Log, Use::Subject] {
            assert_eq!(Use::from_label(usage.label()), Some(usage));
        }
        for state in [VersionState::Active, VersionState::DecryptOnly, VersionState::Retired, VersionState::Destroyed] {
            assert_eq!(VersionState::from_label(state.label()), Some(state));
        }
        assert_eq!(Use::from_label("Seal"), None);
        assert_eq!(VersionState::from_label(""), None);
        assert!(VersionState::Active.seals() && VersionState::Active.opens());
        assert!(!VersionState::DecryptOnly.seals() && VersionState::DecryptOnly.opens());
        assert!(!VersionState::Retired.opens() && !VersionState::Destroyed.opens());
    }
}
