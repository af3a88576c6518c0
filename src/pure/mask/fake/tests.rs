use std::collections::HashSet;

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// Every list, with its length and the SHA-256 of its file.
static LISTS: [(&str, &[&str], usize, &str); 5] = [
    ("first_names", &FIRST_NAMES, 1266, "0ff87d9219b412ee98f20e9ec7f55e8b0aee64927ab5389b0e88048ae1080ec0"),
    ("last_names", &LAST_NAMES, 1515, "9d6a354ffcd23131bc1df779f518e6397aad1735d951025fc58365264cbe55c0"),
    ("companies", &COMPANIES, 741, "8df522c5fcd9a264dba5d305102e575a459e0cc8241bc858b4861c87bec0eae7"),
    ("streets", &STREETS, 750, "3e98302cca3de13dba1715f07f872473d766b62fab9b6bd4c6cede3e9f4a51da"),
    ("cities", &CITIES, 784, "366c873db52684f9d89710a7701929acd7ec0f5ece7bd241a5b99d74adc9203e"),
];

/// The PRF's output whose four picks are these.
fn picking(first: usize, last: usize, digits: usize, other: usize) -> [u8; 32] {
    let mut bits = [0; 32];
    for (to, from) in bits.chunks_exact_mut(8).zip([first, last, digits, other]) {
        to.copy_from_slice(&(from as u64).to_be_bytes());
    }
    bits
}

fn at(list: &[&str], entry: &str) -> usize {
    list.binary_search(&entry).unwrap()
}

fn first_word(entry: &str) -> &str {
    entry.split(' ').next().unwrap()
}

/// A to Z, then a to z, at least one.
fn capitalised(word: &str) -> bool {
    let mut letters = word.bytes();
    letters.next().is_some_and(|byte| byte.is_ascii_uppercase())
        && letters.len() > 0
        && letters.all(|byte| byte.is_ascii_lowercase())
}

fn in_list(list: &[&str], entry: &str) -> bool {
    list.binary_search(&entry).is_ok()
}

/// Whether a fake is of its kind: made of entries, in the shape that the documentation promises.
fn formed(kind: Kind, fake: &str) -> bool {
    let lower = |list: &[&str], name: &str| {
        let lower = name.bytes().all(|byte| byte.is_ascii_lowercase());
        lower && !name.is_empty() && in_list(list, &(name[..1].to_ascii_uppercase() + &name[1..]))
    };
    match kind {
        Kind::FirstName => in_list(&FIRST_NAMES, fake),
        Kind::LastName => in_list(&LAST_NAMES, fake),
        Kind::FullName => {
            fake.split_once(' ').is_some_and(|(a, b)| in_list(&FIRST_NAMES, a) && in_list(&LAST_NAMES, b))
        }
        Kind::Company => in_list(&COMPANIES, fake),
        Kind::Street => in_list(&STREETS, fake),
        Kind::City => in_list(&CITIES, fake),
        // ^[a-z]+\.[a-z]+[0-9]{4}@example\.com$
        Kind::Email => fake.strip_suffix("@example.com").is_some_and(|local| {
            let (name, digits) = local.split_at(local.len() - 4);
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && name.split_once('.').is_some_and(|(a, b)| lower(&FIRST_NAMES, a) && lower(&LAST_NAMES, b))
        }),
    }
}

/// If this fails a list was changed. A list never changes, not even by one entry or their order: sub-processors store
/// what was picked from it (C13). New entries are a list of their own, for another locale or another kind.
#[test]
fn lists_are_frozen() {
    for (name, list, length, hash) in LISTS {
        let text: String = list.iter().flat_map(|entry| [*entry, "\n"]).collect();
        assert_eq!(list.len(), length, "{name}");
        assert_eq!(HEXLOWER.encode(&Sha256::digest(text)), hash, "{name}");
    }
}

#[test]
fn lists_are_long_sorted_and_without_doubles() {
    for (name, list, ..) in LISTS {
        assert!(list.len() >= 500, "{name}");
        assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        // so that the entry after one that gives way is another name, and there is one for any value
        let words: HashSet<&str> = list.iter().map(|entry| first_word(entry)).collect();
        assert_eq!(words.len(), list.len(), "{name}");
        assert!(words.len() > COMPARED / 2, "{name}");
    }
}

#[test]
fn entries_have_their_shape() {
    for (name, list, ..) in LISTS {
        let words = if ["companies", "streets"].contains(&name) { 2 } else { 1 };
        for entry in list {
            assert!(entry.split(' ').all(capitalised) && entry.split(' ').count() == words, "{name}: {entry}");
        }
    }
    let longest = |list: &[&str]| list.iter().map(|entry| entry.len()).max().unwrap();
    let all: usize = LISTS.iter().map(|(_, list, ..)| longest(list)).sum();
    assert!(all + ".0000@example.com".len() < COMPARED);
}

#[test]
fn labels_and_back() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_label(kind.label()), Some(kind));
    }
    for label in ["", "name", "Email", "email ", "FullName", "full name"] {
        assert_eq!(Kind::from_label(label), None);
    }
}

/// Frozen with the lists (C13): the bytes of each pick and their order.
#[test]
fn known_answers() {
    let bits: [u8; 32] = std::array::from_fn(|n| n as u8);
    let answers = [
        "Vernon",
        "Wadsworth",
        "Vernon Wadsworth",
        "Wendawyn Holdings",
        "Brookcroft Road",
        "Juniperfold",
        "vernon.wadsworth2951@example.com",
    ];
    for (kind, answer) in Kind::ALL.into_iter().zip(answers) {
        assert_eq!(fake(&bits, "x", kind), answer);
    }
}

#[test]
fn picks_use_disjoint_bytes() {
    let none = picking(0, 0, 0, 0);
    for byte in 0..32 {
        let mut bits = none;
        bits[byte] = 1;
        let moved: Vec<&str> = Kind::ALL
            .into_iter()
            .filter(|kind| fake(&bits, "", *kind) != fake(&none, "", *kind))
            .map(Kind::label)
            .collect();
        let expected: &[&str] = match byte / 8 {
            0 => &["first_name", "full_name", "email"],
            1 => &["last_name", "full_name", "email"],
            // no power of 256 is a multiple of 10,000
            2 => &["email"],
            _ => &["company", "street", "city"],
        };
        assert_eq!(moved, expected, "byte {byte}");
    }
}

#[test]
fn digits_are_four() {
    let name = format!("{}.{}", FIRST_NAMES[0], LAST_NAMES[0]).to_lowercase();
    for (number, digits) in [(0, "0000"), (7, "0007"), (9_999, "9999"), (10_000, "0000"), (123_456, "3456")] {
        assert_eq!(fake(&picking(0, 0, number, 0), "", Kind::Email), format!("{name}{digits}@example.com"));
    }
}

#[test]
fn a_pick_that_the_value_holds_gives_way() {
    let (ada, next) = (at(&FIRST_NAMES, "Ada"), FIRST_NAMES[at(&FIRST_NAMES, "Ada") + 1]);
    let (smith, after) = (at(&LAST_NAMES, "Smith"), LAST_NAMES[at(&LAST_NAMES, "Smith") + 1]);
    let bits = picking(ada, smith, 42, 0);
    let masked = |value: &str, kind| fake(&bits, value, kind);
    assert_eq!(masked("Zoe", Kind::FirstName), "Ada");
    for value in ["Ada", "ada", "ADA", "  aDa\t", "Ada Smith", "Smith, Ada", "ada@example.com", "Ada\u{301}", "Ada42"] {
        assert_eq!(masked(value, Kind::FirstName), next, "{value}");
    }
    // no words of the value
    for value in ["Adam", "Adada", "A da", "Ａｄａ", "\u{c1}da Q"] {
        assert_eq!(masked(value, Kind::FirstName), "Ada", "{value}");
    }
    assert_eq!(masked("Zoe Jones", Kind::FullName), "Ada Smith");
    assert_eq!(masked("Ada Smith", Kind::FullName), format!("{next} {after}"));
    assert_eq!(masked("Ada Jones", Kind::FullName), format!("{next} Smith"));
    assert_eq!(masked("Zoe smith", Kind::FullName), format!("Ada {after}"));
    assert_eq!(masked("", Kind::Email), "ada.smith0042@example.com");
    let other = format!("{next}.{after}0042@example.com").to_lowercase();
    assert_eq!(masked("ada.smith0042@example.com", Kind::Email), other);
    assert_eq!(masked("Ada.SMITH0042@Example.com", Kind::Email), other);
    for (list, kind) in [(&COMPANIES[..], Kind::Company), (&STREETS, Kind::Street), (&CITIES, Kind::City)] {
        let bits = picking(0, 0, 0, 5);
        assert_eq!(fake(&bits, "", kind), list[5]);
        let name = first_word(list[5]);
        for value in
            [list[5].to_owned(), list[5].to_uppercase(), format!("12 {name} Way"), format!("{} {name}", list[6])]
        {
            let next = if value.starts_with(list[6]) { list[7] } else { list[6] };
            assert_eq!(fake(&bits, &value, kind), next, "{value}");
        }
    }
}

#[test]
fn the_last_entry_gives_way_to_the_first() {
    for (list, kind) in [(&FIRST_NAMES[..], Kind::FirstName), (&CITIES, Kind::City), (&STREETS, Kind::Street)] {
        let end = list.len() - 1;
        let bits = picking(end, 0, 0, end);
        assert_eq!(fake(&bits, list[end], kind), list[0]);
        assert_eq!(fake(&bits, &format!("{}, {}", list[end], list[0]), kind), list[1]);
    }
}

#[test]
fn the_kelvin_sign_is_a_k() {
    let kate = at(&FIRST_NAMES, "Kate");
    assert_eq!("\u{212a}ate".to_lowercase(), "kate");
    assert_eq!(fake(&picking(kate, 0, 0, 0), "\u{212a}ate", Kind::FirstName), FIRST_NAMES[kate + 1]);
}

#[test]
fn any_value_has_a_fake() {
    // the most words that are compared: names that follow each other, so that each gives way
    let names = FIRST_NAMES.join(" ");
    let cut = names[..COMPARED].rfind(' ').unwrap();
    let longer = "Ada ".repeat(1 << 20);
    let exactly = format!("{:COMPARED$}", "Ada");
    let above = format!("{:1$}", "Ada", COMPARED + 1);
    let every = STREETS.join(",");
    let hostile = [
        "",
        " ",
        "\u{1}",
        "\u{301}",
        "@",
        "'; DROP TABLE x; --",
        "👩‍👩‍👧",
        "\u{202e}Ada",
        "٠١٢",
        "\u{212a}",
        "İ",
        "ß",
        "\u{10ffff}",
        &names[..cut],
        &longer,
        &exactly,
        &above,
        &every,
        &"a ".repeat(COMPARED / 2),
        &"k".repeat(COMPARED),
        "\u{fffd}",
    ];
    for value in hostile {
        for kind in Kind::ALL {
            for bits in [[0; 32], [255; 32], picking(at(&FIRST_NAMES, "Ada"), 1, 2, 3)] {
                assert!(formed(kind, &fake(&bits, value, kind)), "{kind:?} {value:.40}");
            }
        }
    }
    let bits = picking(0, 0, 0, 0);
    let given_way = names[..cut].split(' ').count();
    assert_eq!(fake(&bits, &names[..cut], Kind::FirstName), FIRST_NAMES[given_way]);
    let ada = picking(at(&FIRST_NAMES, "Ada"), 0, 0, 0);
    assert_ne!(fake(&ada, &exactly, Kind::FirstName), "Ada");
    assert_eq!(fake(&ada, &above, Kind::FirstName), "Ada");
}

#[test]
fn picks_are_spread_over_the_lists() {
    for kind in Kind::ALL {
        let fakes: HashSet<String> = (0..20_000_u32)
            .map(|n| fake(&Sha256::digest(n.to_be_bytes()).into(), "", kind))
            .inspect(|fake| assert!(formed(kind, fake), "{fake}"))
            .collect();
        // 20,000 draws of 1,515 entries miss one with odds of 2 in a million each
        let all = match kind {
            Kind::FirstName => FIRST_NAMES.len(),
            Kind::LastName => LAST_NAMES.len(),
            Kind::Company => COMPANIES.len(),
            Kind::Street => STREETS.len(),
            Kind::City => CITIES.len(),
            Kind::FullName => 19_500,
            Kind::Email => 19_990,
        };
        assert!(fakes.len() >= all, "{kind:?}: {}", fakes.len());
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&Kind::ALL[..])
}

proptest! {
    #[test]
    fn total_and_always_the_same(bits: [u8; 32], value in "\\PC{0,400}|(?s).{0,64}", kind in kind()) {
        let once = fake(&bits, &value, kind);
        prop_assert!(formed(kind, &once), "{}", once);
        prop_assert_eq!(fake(&bits, &value, kind), once);
    }

    /// The fake of a value that is the fake, in any case of letters, is another one.
    #[test]
    fn never_the_value(bits: [u8; 32], upper: u64, kelvin: bool, kind in kind()) {
        let value: String = fake(&bits, "", kind)
            .chars()
            .enumerate()
            .map(|(n, c)| match c {
                'k' | 'K' if kelvin => KELVIN,
                c if upper >> n & 1 == 1 => c.to_ascii_uppercase(),
                c => c,
            })
            .collect();
        let fake = fake(&bits, &value, kind);
        prop_assert!(formed(kind, &fake), "{}", fake);
        prop_assert_ne!(fake.to_lowercase(), value.to_lowercase());
    }
}
