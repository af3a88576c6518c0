//! Keys derived from a secret, one type per purpose, and the primitives they are made with.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Secret;
use crate::pure::aead::{Cipher, Derivation, Derived, XaesKey, HALF};

/// A key that seals and opens values of encrypted columns: of all nonces, or of some.
pub trait Seals {
    /// The cipher, for `envelope`.
    fn cipher(&self) -> &dyn Cipher;
}

/// Seals and opens values of encrypted columns: a prepared XAES-256-GCM key, HKDF `pg_airlock/seal/1`.
pub struct SealKey {
    whole: XaesKey,
    derivation: Derivation,
}

impl SealKey {
    /// From a version of a data key.
    pub fn derive(secret: &Secret) -> Self {
        let key = derive(secret, &[b"pg_airlock/seal/1"]);
        SealKey { whole: XaesKey::new(&key), derivation: Derivation::new(&key) }
    }

    /// The same for nonces that begin with `n1` only, at less cost for each of them.
    pub fn under(&self, n1: &[u8; HALF]) -> SealUnder {
        SealUnder(self.derivation.under(n1))
    }
}

impl Seals for SealKey {
    fn cipher(&self) -> &dyn Cipher {
        &self.whole
    }
}

/// What a [`SealKey`] derives for one first half of a nonce.
pub struct SealUnder(Derived);

impl SealUnder {
    /// That half.
    pub fn n1(&self) -> &[u8; HALF] {
        self.0.n1()
    }
}

impl Seals for SealUnder {
    fn cipher(&self) -> &dyn Cipher {
        &self.0
    }
}

/// Makes match tags, HKDF `pg_airlock/match/1`; independent of the sealing versions, so tags outlive a rotation.
pub struct MatchKey(MacKey);

impl MatchKey {
    /// From a version of a key's match secret.
    pub fn derive(secret: &Secret) -> Self {
        MatchKey(MacKey::new(&derive(secret, &[b"pg_airlock/match/1"])))
    }

    /// HMAC-SHA-256 of the concatenated parts, for `tag`.
    pub(in crate::pure) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.mac(parts)
    }
}

/// The mask key of one sub-processor, from which each rule gets its own.
pub struct MaskKey(Secret);

impl MaskKey {
    /// From a version of a sub-processor's mask secret.
    pub fn derive(secret: &Secret) -> Self {
        MaskKey(Secret::new(secret.0))
    }

    /// The key of a rule: HKDF with info `pg_airlock/mask/1`, then mask name and domain, each prefixed by its length
    /// (u32 big endian). Rules of one sub-processor with the same mask and domain share their pseudonyms.
    pub fn rule_key(&self, mask_name: &str, domain: &str) -> RuleKey {
        let mut names = Vec::with_capacity(8 + mask_name.len() + domain.len());
        put_item(&mut names, mask_name.as_bytes());
        put_item(&mut names, domain.as_bytes());
        RuleKey(MacKey::new(&derive(&self.0, &[b"pg_airlock/mask/1", &names])))
    }
}

/// Keys the masks of one rule.
pub struct RuleKey(MacKey);

impl RuleKey {
    /// The pseudo-random function of keyed masks: HMAC-SHA-256 of the concatenated parts, for instance type byte and
    /// canonical value. Concatenation is not injective by itself: prefix lengths where several parts can vary.
    pub fn prf(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.mac(parts)
    }

    /// 32 key bytes for a mask that is made with a cipher: HKDF-Expand (RFC 5869 section 2.3) of SHA-256 under the rule's
    /// key, with the label as info; one block, so that it is one HMAC. Mask name and domain are in the rule's key already.
    ///
    /// A label begins with `pg_airlock/` and what the masks give [`RuleKey::prf`] with a class byte from 1 to 12, or the zero
    /// of a length: they never meet.
    pub(in crate::pure) fn expand(&self, label: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.mac(&[label.as_bytes(), &[1]]))
    }
}

/// Seals read records, HKDF `pg_airlock/log/1`.
pub struct LogKey(XaesKey);

impl LogKey {
    /// From a version of the log secret.
    pub fn derive(secret: &Secret) -> Self {
        LogKey(XaesKey::new(&derive(secret, &[b"pg_airlock/log/1"])))
    }

    /// The cipher, for `record`.
    pub fn cipher(&self) -> &XaesKey {
        &self.0
    }
}

/// Chains read records, HKDF `pg_airlock/chain/1`.
pub struct ChainKey(MacKey);

impl ChainKey {
    /// From a version of the log secret.
    pub fn derive(secret: &Secret) -> Self {
        ChainKey(MacKey::new(&derive(secret, &[b"pg_airlock/chain/1"])))
    }

    /// HMAC-SHA-256 of the concatenated parts, for `chain`.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.0.mac(parts)
    }
}

/// Seals the private parts of read records, HKDF `pg_airlock/private/1`.
pub struct PrivateKey(XaesKey);

impl PrivateKey {
    /// From a version of the log secret.
    pub fn derive(secret: &Secret) -> Self {
        PrivateKey(XaesKey::new(&derive(secret, &[b"pg_airlock/private/1"])))
    }

    /// The cipher, for `record`.
    pub(in crate::pure) fn cipher(&self) -> &XaesKey {
        &self.0
    }
}

/// Names data subjects in the log, in one epoch and one domain: HKDF `pg_airlock/subject/1`, then the domain prefixed by its
/// length; 32 bytes for tokens, 16 for filters. Without it nobody can tell who a token is of.
pub struct SubjectKey {
    token: MacKey,
    filter: Zeroizing<[u8; 16]>,
}

impl SubjectKey {
    /// From an epoch's secret.
    pub fn derive(secret: &Secret, domain: &str) -> Self {
        let mut name = Vec::with_capacity(4 + domain.len());
        put_item(&mut name, domain.as_bytes());
        let both: Zeroizing<[u8; 48]> = derive(secret, &[b"pg_airlock/subject/1", &name]);
        let (mut token, mut filter) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 16]));
        token.copy_from_slice(&both[..32]);
        filter.copy_from_slice(&both[32..]);
        SubjectKey { token: MacKey::new(&token), filter }
    }

    /// The token of a canonical form: the first 16 bytes of its HMAC-SHA-256.
    pub fn token(&self, person: &[u8]) -> [u8; 16] {
        let mut token = [0; 16];
        token.copy_from_slice(&self.token.mac(&[person])[..16]);
        token
    }

    /// The hash of a canonical form for filters: SipHash-2-4.
    pub fn hash(&self, person: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.filter).hash(person)
    }
}

/// Authenticates rows of the catalog, such as grants.
pub struct CatalogKey(pub(super) MacKey);

impl CatalogKey {
    /// HMAC-SHA-256 over the label and the items, each prefixed by its length (u32 big endian): no two lists of items
    /// give the same bytes.
    pub fn mac(&self, label: &str, items: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.start();
        for item in std::iter::once(label.as_bytes()).chain(items.iter().copied()) {
            mac.update(&item_len(item));
            mac.update(item);
        }
        mac.finalize().into_bytes().into()
    }

    /// True if `mac` is the MAC of these items; constant time. False for a MAC of the wrong length.
    pub fn verify(&self, label: &str, items: &[&[u8]], mac: &[u8]) -> bool {
        self.mac(label, items).ct_eq(mac).into()
    }

    /// The MAC of an encrypted column's catalog row: column number (u32 big endian), uuid, the key's uuid; and only where
    /// the column is other than 0.1.0 made them, so that those keep their MAC, the bytes of its tags and then the name of
    /// each column that its values are bound to.
    pub fn column_mac(&self, number: i32, uuid: &[u8], key: &[u8], tag_bytes: u8, bind: &[String]) -> [u8; 32] {
        let (number, tag_bytes) = (number.to_be_bytes(), [tag_bytes]);
        let mut items = vec![&number[..], uuid, key];
        if tag_bytes != [8] || !bind.is_empty() {
            items.push(&tag_bytes);
            items.extend(bind.iter().map(|name| name.as_bytes()));
        }
        self.mac("column", &items)
    }

    /// True if `mac` is [`CatalogKey::column_mac`] of these; constant time.
    pub fn verify_column(
        &self,
        (number, uuid, key): (i32, &[u8], &[u8]),
        tag_bytes: u8,
        bind: &[String],
        mac: &[u8],
    ) -> bool {
        self.column_mac(number, uuid, key, tag_bytes, bind).ct_eq(mac).into()
    }
}

/// An HMAC-SHA-256 key with its two key blocks hashed in advance.
pub(super) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a key with zeros to the block (RFC 2104 section 2): done here, the constructor cannot fail
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        MacKey(<Hmac<Sha256> as KeyInit>::new((&*block).into()))
    }

    fn start(&self) -> Hmac<Sha256> {
        self.0.clone()
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.start();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Appends an item and, before it, its length.
pub(in crate::pure) fn put_item(out: &mut Vec<u8>, item: &[u8]) {
    out.extend_from_slice(&item_len(item));
    out.extend_from_slice(item);
}

/// The length of an item, u32 big endian; nothing in Postgres is longer than 1 GiB.
pub(in crate::pure) fn item_len(item: &[u8]) -> [u8; 4] {
    u32::try_from(item.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// HKDF-SHA-256 (RFC 5869) of a secret, no salt; the info is the concatenation of its parts.
pub(super) fn derive<const N: usize>(secret: &Secret, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA-256 gives at most 255 blocks") };
    let mut out = Zeroizing::new([0; N]);
    match Hkdf::<Sha256>::new(None, &secret.0).expand_multi_info(info, &mut *out) {
        Ok(()) => out,
        // proved impossible when compiled, three lines above; never go on with zeros for a key
        Err(_) => unreachable!("HKDF output length"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{commitment, is_committed, RootKey};
    use super::*;
    use zeroize::{Zeroize, ZeroizeOnDrop};

    fn root() -> RootKey {
        RootKey::parse(&[7; 32]).ok().unwrap()
    }

    #[test]
    fn derivation_is_hkdf_of_rfc_5869() {
        // the same through extract and expand written out with HMAC
        let secret = Secret::new([11; 32]);
        let prk = MacKey::new(&[0; 32]).mac(&[&[11; 32]]);
        let want = MacKey::new(&prk).mac(&[b"pg_airlock/commit/1", &[1]]);
        assert_eq!(commitment(&secret), want);
        assert!(is_committed(&secret, &want));
        assert!(!is_committed(&Secret::new([12; 32]), &want));
        assert!(!is_committed(&secret, &want[..31]));
    }

    #[test]
    fn every_label_gives_another_key() {
        let secret = Secret::new([11; 32]);
        let labels: [&[u8]; 11] = [
            b"pg_airlock/seal/1",
            b"pg_airlock/match/1",
            b"pg_airlock/mask/1",
            b"pg_airlock/log/1",
            b"pg_airlock/chain/1",
            b"pg_airlock/subject/1",
            b"pg_airlock/private/1",
            b"pg_airlock/check/1",
            b"pg_airlock/commit/1",
            b"pg_airlock/wrap/1",
            b"pg_airlock/catalog/1",
        ];
        let keys: std::collections::HashSet<[u8; 32]> = labels.iter().map(|label| *derive(&secret, &[label])).collect();
        assert_eq!(keys.len(), labels.len());
    }

    #[test]
    fn rule_keys_differ_by_secret_mask_and_domain_and_do_not_run_together() {
        let prf = |secret: u8, mask: &str, domain: &str| {
            MaskKey::derive(&Secret::new([secret; 32])).rule_key(mask, domain).prf(&[b"value"])
        };
        let all = [
            prf(1, "pseudonym", "email"),
            prf(2, "pseudonym", "email"),
            prf(1, "pseudonym", "phone"),
            prf(1, "pseudonyme", "mail"),
            prf(1, "pseudonymemail", ""),
            prf(1, "", "pseudonymemail"),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(prf(1, "pseudonym", "email"), all[0]);
    }

    #[test]
    fn rule_key_info_is_as_documented() {
        let secret = Secret::new([1; 32]);
        let want = derive::<32>(&secret, &[b"pg_airlock/mask/1\0\0\0\x09pseudonym\0\0\0\x05email"]);
        let got = MaskKey::derive(&secret).rule_key("pseudonym", "email");
        assert_eq!(got.prf(&[b"v"]), MacKey::new(&want).mac(&[b"v"]));
    }

    #[test]
    fn a_rule_key_expands_as_rfc_5869_says() {
        let secret = Secret::new([1; 32]);
        let rule = derive::<32>(&secret, &[b"pg_airlock/mask/1\0\0\0\x03fpe\0\0\0\x05email"]);
        let mut want = [0; 32];
        Hkdf::<Sha256>::from_prk(&*rule).unwrap().expand(b"pg_airlock/ff1/1", &mut want).unwrap();
        let got = MaskKey::derive(&secret).rule_key("fpe", "email");
        assert_eq!(*got.expand("pg_airlock/ff1/1"), want);
        assert_ne!(*got.expand("pg_airlock/ff1/2"), want);
    }

    #[test]
    fn catalog_mac_separates_items() {
        let key = root().catalog_key();
        let mac = key.mac("grant", &[b"ab", b"c"]);
        assert!(key.verify("grant", &[b"ab", b"c"], &mac));
        for items in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"c", b"ab"], &[]] {
            assert!(!key.verify("grant", items, &mac));
        }
        assert!(!key.verify("column", &[b"ab", b"c"], &mac));
        assert!(!key.verify("grant", &[b"ab", b"c"], &mac[..16]));
        assert!(!key.verify("grant", &[b"ab", b"c"], &[]));
    }

    #[test]
    fn secrets_are_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        wiped(&Secret::new([1; 32]));
        // an HMAC key is two SHA-256 states; Hmac itself does not carry the marker
        wiped(&Sha256::default());
        let mut secret = Secret::new([1; 32]);
        secret.zeroize();
        assert_eq!(secret.0, [0; 32]);
    }

    #[test]
    fn the_mac_of_a_column_is_that_of_0_1_0_until_it_has_more_to_say() {
        let key = CatalogKey(MacKey::new(&[1; 32]));
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect::<Vec<_>>();
        let mac = |tag, bind: &[&str]| key.column_mac(7, &[2; 16], &[3; 16], tag, &names(bind));
        assert_eq!(mac(8, &[]), key.mac("column", &[&7_i32.to_be_bytes(), &[2; 16], &[3; 16]]));
        assert_eq!(
            mac(8, &["id", "n"]),
            key.mac("column", &[&7_i32.to_be_bytes(), &[2; 16], &[3; 16], &[8], b"id", b"n"])
        );
        let all =
            [mac(8, &[]), mac(16, &[]), mac(8, &["id"]), mac(8, &["i", "d"]), mac(8, &["n", "id"]), mac(8, &[""])];
        assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])));
        assert!(key.verify_column((7, &[2; 16], &[3; 16]), 8, &names(&["id"]), &mac(8, &["id"])));
        assert!(!key.verify_column((7, &[2; 16], &[3; 16]), 8, &names(&["id"]), &mac(8, &[])));
        assert!(!key.verify_column((7, &[2; 16], &[3; 16]), 8, &[], b""));
    }
}
