use proptest::prelude::*;

use super::*;
use crate::pure::keyring::{MaskKey, Secret};

const DOMAIN: &[u8] = b"public.customers.id";

fn nist_key() -> Ff1Key {
    let hex = b"2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94";
    Ff1Key::new(&data_encoding::HEXUPPER.decode(hex).unwrap().try_into().unwrap())
}

/// The key of `tests/golden_masks.rs`.
fn golden_key(mask: &str) -> Ff1Key {
    let secret = Secret::new(std::array::from_fn(|index| index as u8));
    Ff1Key::derive(&MaskKey::derive(&secret).rule_key(mask, "public.customers.id"))
}

/// Both ways of FF1 on a string of the alphabet, without the format of `fpe`.
fn both_ways(tweak: &str, plain: &str, alphabet: Alphabet) -> (String, String) {
    let tweak = data_encoding::HEXUPPER.decode(tweak.as_bytes()).unwrap();
    let masked = fpe(&nist_key(), &tweak, plain, alphabet);
    let restored = fpe_inverse(&nist_key(), &tweak, &masked, alphabet).unwrap();
    (masked, restored)
}

#[test]
fn nist_samples_of_aes_256() {
    let both = |masked: &str, plain: &str| (masked.to_owned(), plain.to_owned());
    let digits = Alphabet::Digits;
    assert_eq!(both_ways("", "0123456789", digits), both("6657667009", "0123456789"));
    assert_eq!(both_ways("39383736353433323130", "0123456789", digits), both("1001623463", "0123456789"));
    let (plain, masked) = ("0123456789abcdefghi", "xs8a0azh2avyalyzuwd");
    assert_eq!(both_ways("3737373770717273373737", plain, Alphabet::Alnum), both(masked, plain));
}

#[test]
fn bits_are_numerals_of_radix_two() {
    for (value, width) in [(0x0123_4567_89ab_cdef, 64), (u64::MAX, 64), (0, 64), (0x89ab_cdef, 32), (1, 32)] {
        let mut numerals = Numerals::zeros(0);
        for bit in (0..width).rev() {
            numerals.push((value >> bit & 1) as u8).unwrap();
        }
        for way in [Way::Mask, Way::Restore] {
            let bits = ff1(&nist_key(), 2, DOMAIN, &Bits::new(value, width), way).unwrap();
            let numerals = ff1(&nist_key(), 2, DOMAIN, &numerals, way).unwrap();
            let read = numerals.digits().iter().fold(0, |read, bit| read << 1 | u64::from(*bit));
            assert_eq!((bits.value, numerals.digits().len() as u32), (read, width));
        }
    }
}

#[test]
fn every_smallint_has_its_own_pseudonym_and_comes_back() {
    let key = golden_key("pseudonym_int");
    for bits in [32, 64] {
        let mut seen = std::collections::HashSet::new();
        for value in i64::from(i16::MIN)..=i64::from(i16::MAX) {
            let masked = pseudonym_int(&key, DOMAIN, value, bits);
            assert_eq!(masked < 0, value < 0);
            assert!(bits == 64 || i32::try_from(masked).is_ok());
            assert!(seen.insert(masked), "{value}");
            assert_eq!(pseudonym_int_inverse(&key, DOMAIN, masked, bits), value);
        }
        assert_eq!(seen.len(), 65_536);
    }
}

#[test]
fn ends_of_the_integers() {
    let key = golden_key("pseudonym_int");
    for value in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX] {
        let masked = pseudonym_int(&key, DOMAIN, value, 64);
        assert_eq!(masked < 0, value < 0);
        assert_eq!(pseudonym_int_inverse(&key, DOMAIN, masked, 64), value);
        // never asked for, and still an integer that is not the value
        let narrow = pseudonym_int(&key, DOMAIN, value, 32);
        assert!(i32::try_from(narrow).is_ok());
        assert_eq!(pseudonym_int_inverse(&key, DOMAIN, narrow, 32), i64::from(value as i32));
        assert_eq!(pseudonym_int(&key, DOMAIN, value, 0), masked);
    }
    for value in [i32::MIN, i32::MAX] {
        let masked = pseudonym_int(&key, DOMAIN, value.into(), 32);
        assert_eq!((i32::try_from(masked).unwrap() < 0), (value < 0));
        assert_eq!(pseudonym_int_inverse(&key, DOMAIN, masked, 32), i64::from(value));
    }
}

#[test]
fn key_tweak_bits_and_mask_each_change_the_pseudonym() {
    let of = |mask, domain: &[u8], bits| pseudonym_int(&golden_key(mask), domain, 42, bits);
    let all = [
        of("pseudonym_int", DOMAIN, 64),
        of("pseudonym_int", DOMAIN, 32),
        of("pseudonym_int", b"email", 64),
        of("pseudonym_int", b"", 64),
        of("fpe", DOMAIN, 64),
    ];
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    assert_eq!(of("pseudonym_int", DOMAIN, 64), all[0]);
}

#[test]
fn a_domain_of_any_length_is_a_tweak() {
    let key = golden_key("fpe");
    let mut seen = std::collections::HashSet::new();
    for len in (0..260).chain([4_096, 1 << 20]) {
        let tweak = vec![b'x'; len];
        let masked = fpe(&key, &tweak, "0639980123456789", Alphabet::Digits);
        assert_eq!(fpe_inverse(&key, &tweak, &masked, Alphabet::Digits).as_deref(), Some("0639980123456789"));
        assert!(seen.insert(masked), "{len}");
    }
}

#[test]
fn fpe_keeps_length_and_punctuation() {
    let key = golden_key("fpe");
    let plain = fpe(&key, DOMAIN, "0639980123", Alphabet::Digits);
    assert_eq!(plain.len(), 10);
    let spaced = fpe(&key, DOMAIN, "06 39 98 01 23", Alphabet::Digits);
    assert_eq!(spaced.replace(' ', ""), plain);
    assert_eq!(
        spaced.bytes().map(|byte| byte == b' ').collect::<Vec<_>>(),
        "06 39 98 01 23".bytes().map(|b| b == b' ').collect::<Vec<_>>()
    );
    for value in ["", "12345", "AB-1234567", "٠١٢٣٤٥", "123456\0", "123456*", FULL] {
        assert_eq!(fpe(&key, DOMAIN, value, Alphabet::Digits), FULL);
        assert_eq!(fpe_inverse(&key, DOMAIN, value, Alphabet::Digits), None);
    }
}

#[test]
fn fpe_takes_a_million_values_at_least_and_64_characters_at_most() {
    let key = golden_key("fpe");
    for alphabet in Alphabet::ALL {
        let last = char::from(*alphabet.characters().last().unwrap());
        let (radix, fewest) = (alphabet.characters().len() as u64, alphabet.fewest() as u32);
        assert!(radix.pow(fewest) >= 1_000_000 && radix.pow(fewest - 1) < 1_000_000);
        for len in 0..=70 {
            let value = last.to_string().repeat(len);
            let masked = fpe(&key, DOMAIN, &value, alphabet);
            let formed = (alphabet.fewest()..=LONGEST).contains(&len);
            assert_eq!(masked == FULL, !formed, "{len}");
            assert_eq!(fpe_inverse(&key, DOMAIN, &masked, alphabet), formed.then_some(value));
        }
    }
    // punctuation does not count, up to the length from which no format is looked at
    let mut long = "-".repeat(FORMAT_LIMIT - 6);
    long.push_str("123456");
    assert!(fpe(&key, DOMAIN, &long, Alphabet::Digits).starts_with("----"));
    long.push('-');
    assert_eq!(fpe(&key, DOMAIN, &long, Alphabet::Digits), FULL);
}

#[test]
fn fpe_of_four_characters_is_a_permutation() {
    let key = golden_key("fpe");
    let of = |n: usize| format!("{}{}00", char::from(b'a' + (n / 26) as u8), char::from(b'a' + (n % 26) as u8));
    let seen: std::collections::HashSet<_> = (0..676)
        .map(|n| fpe(&key, DOMAIN, &of(n), Alphabet::Alnum))
        .inspect(|masked| assert_ne!(masked, FULL))
        .collect();
    assert_eq!(seen.len(), 676);
}

#[test]
fn labels_of_alphabets() {
    for alphabet in Alphabet::ALL {
        assert_eq!(Alphabet::from_label(alphabet.label()), Some(alphabet));
    }
    for label in ["", "Digits", "digits ", "hex"] {
        assert_eq!(Alphabet::from_label(label), None);
    }
}

#[test]
fn keys_and_values_are_wiped_and_not_printed() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Zeroizing<[u8; 32]>>();
    wiped::<Aes256Enc>();
    wiped::<Numerals>();
    wiped::<Bits>();
    wiped::<Number>();
    assert_eq!(format!("{:?}", Ff1Key::new(&[7; 32])), "Ff1Key(..)");
}

proptest! {
    #[test]
    fn integers_come_back(value: i64, narrow: i32, key: [u8; 32], tweak in prop::collection::vec(any::<u8>(), 0..300)) {
        let key = Ff1Key::new(&key);
        let masked = pseudonym_int(&key, &tweak, value, 64);
        prop_assert_eq!(masked < 0, value < 0);
        prop_assert_eq!(pseudonym_int_inverse(&key, &tweak, masked, 64), value);
        let masked = pseudonym_int(&key, &tweak, narrow.into(), 32);
        prop_assert_eq!(i32::try_from(masked).map(|masked| masked < 0), Ok(narrow < 0));
        prop_assert_eq!(pseudonym_int_inverse(&key, &tweak, masked, 32), i64::from(narrow));
    }

    #[test]
    fn texts_come_back_or_show_nothing(value in "[0-9a-z ./()+-]{0,70}|[0-9 -]{0,80}|[A-Z -]{0,80}|\\PC{0,40}", which in 0..4_usize) {
        let (key, alphabet) = (golden_key("fpe"), Alphabet::ALL[which]);
        let masked = fpe(&key, DOMAIN, &value, alphabet);
        match fpe_inverse(&key, DOMAIN, &masked, alphabet) {
            Some(back) => {
                prop_assert_eq!(back, value.clone());
                let still = |text: &str| text.bytes().map(|b| PUNCTUATION.contains(&b).then_some(b)).collect::<Vec<_>>();
                prop_assert_eq!(still(&masked), still(&value));
            }
            None => prop_assert_eq!(masked, FULL),
        }
    }
}
