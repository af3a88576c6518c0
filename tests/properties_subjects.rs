//! Properties of what a record keeps apart: the persons that a read touched, and the constants of its statement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use pg_airlock::pure::error::Kind;
use pg_airlock::pure::keyring::{PrivateKey, Secret, SubjectKey};
use pg_airlock::pure::record::hash;
use pg_airlock::pure::record::private::{self, Private, MOST};
use pg_airlock::pure::subjects::{append, decode, encode, Certainty, Set, Touched, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

const DOMAIN: &str = "public.customers.id";

fn key(secret: u8) -> SubjectKey {
    SubjectKey::derive(&Secret::new([secret; 32]), DOMAIN)
}

// -- persons ----------------------------------------------------------------------------------------------------------

/// A column of a subject, with bytes of its own.
#[derive(Clone, Debug, PartialEq)]
enum Column {
    Integer(i64),
    Text(Vec<u8>),
    Uuid([u8; 16]),
    Bytes(Vec<u8>),
    Date(i32),
    Timestamp(i64),
    Numeric(String),
}

impl Column {
    fn value(&self) -> Value<'_> {
        match self {
            Column::Integer(n) => Value::Integer(*n),
            Column::Text(text) => Value::Text(text),
            Column::Uuid(id) => Value::Uuid(id),
            Column::Bytes(bytes) => Value::Bytes(bytes),
            Column::Date(days) => Value::Date(*days),
            Column::Timestamp(micros) => Value::Timestamp(*micros),
            Column::Numeric(text) => Value::Numeric(text.as_bytes()),
        }
    }
}

/// Columns that lie near each other: short, of few digits, with the bytes of other columns in them.
fn columns() -> impl Strategy<Value = Column> {
    prop_oneof![
        (-3..4_i64).prop_map(Column::Integer),
        any::<i64>().prop_map(Column::Integer),
        vec(0..8_u8, 0..12).prop_map(Column::Text),
        vec(0..8_u8, 0..12).prop_map(Column::Bytes),
        any::<[u8; 16]>().prop_map(Column::Uuid),
        (-3..4_i32).prop_map(Column::Date),
        (-3..4_i64).prop_map(Column::Timestamp),
        "-?[1-9][0-9]{0,2}(\\.[0-9]{0,2}[1-9])?".prop_map(Column::Numeric),
    ]
}

fn form(columns: &[Column]) -> Vec<u8> {
    let mut person = Vec::new();
    columns.iter().for_each(|column| append(&mut person, column.value()));
    person
}

fn set<'a>(key: &SubjectKey, persons: impl IntoIterator<Item = &'a Vec<u8>>) -> Set {
    let mut set = Set::default();
    persons.into_iter().for_each(|person| set.insert(key.hash(person), person));
    set
}

/// What a read says that saw these persons and looked at those, as it is read back.
fn touched(key: &SubjectKey, seen: &Set, scanned: &Set, unknown: bool) -> Touched {
    let made = Touched::new(7, (DOMAIN, 3), key, seen, scanned, unknown);
    let (salt, mut read) = decode(&encode(&[9; 16], vec![made.clone(), Touched::undeclared(8)])).unwrap();
    assert_eq!((salt, &read[..]), ([9; 16], &[made, Touched::undeclared(8)][..]));
    read.swap_remove(0)
}

fn of(touched: &Touched, key: &SubjectKey, person: &[u8]) -> Option<Certainty> {
    touched.certainty(&key.token(person), key.hash(person))
}

proptest! {
    #[test]
    fn persons_are_the_same_only_if_their_columns_are(one in vec(columns(), 1..4), two in vec(columns(), 1..4)) {
        // a whole number is one person, be it numeric or integer
        let whole = |column: &Column| match column {
            Column::Numeric(text) => text.parse().map_or_else(|_| column.clone(), Column::Integer),
            other => other.clone(),
        };
        let same = one.iter().map(whole).eq(two.iter().map(whole));
        prop_assert_eq!(form(&one) == form(&two), same);
    }

    #[test]
    fn few_persons_are_told_exactly(
        seen in vec(vec(columns(), 1..3), 0..30), scanned in vec(vec(columns(), 1..3), 0..30),
        strangers in vec(vec(columns(), 1..3), 0..30), unknown in any::<bool>(), both in any::<bool>(),
    ) {
        let key = key(1);
        let forms = |persons: &[Vec<Column>]| persons.iter().map(|p| form(p)).collect::<Vec<_>>();
        let (seen, mut scanned) = (forms(&seen), forms(&scanned));
        if both {
            // a filter above a scan: who passed it was looked at as well
            scanned.extend_from_slice(&seen);
        }
        let t = touched(&key, &set(&key, &seen), &set(&key, &scanned), unknown);
        for person in seen.iter().chain(&scanned).chain(&forms(&strangers)) {
            let expected = match (seen.contains(person), unknown || scanned.contains(person)) {
                (true, _) => Some(Certainty::Exact),
                (false, true) => Some(Certainty::Possible),
                (false, false) => None,
            };
            prop_assert_eq!(of(&t, &key, person), expected);
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!((t.seen, t.listed, t.anybody), (distinct.len() as i64, distinct.len() as i32, unknown));
        prop_assert_eq!(t.tokens.len() as i64, t.seen + t.scanned);
        // under another epoch's key nobody is found
        let other = self::key(2);
        prop_assert!(unknown || seen.iter().all(|person| of(&t, &other, person).is_none()));
    }
}

/// How many: on both sides of what is listed, and of a filter's first layer.
fn many() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0..40_u32,
        4 => 9_990..10_010_u32,
        2 => 10_010..40_000_u32,
        1 => 65_500..70_000_u32,
    ]
}

proptest! {
    // each case hashes tens of thousands
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nobody_is_ever_missed(
        seen in many(), scanned in many(), start in any::<u32>(), long in 0..200_usize, asked in vec(any::<Index>(), 200),
    ) {
        let key = key(1);
        let person = |n: u32| [&vec![b'x'; long][..], &start.wrapping_add(n).to_be_bytes()].concat();
        // those who were seen were looked at as well, half of the time
        let from = if start % 2 == 0 { 0 } else { seen };
        let seen_set = set(&key, &(0..seen).map(person).collect::<Vec<_>>());
        let scanned_set = set(&key, &(from..from + scanned).map(person).collect::<Vec<_>>());
        let t = touched(&key, &seen_set, &scanned_set, false);
        prop_assert!(!t.anybody);
        // the first and the last, and what is next to where a set changes its form
        let ends = [0, 1, 9_999, 10_000, 10_001, 65_535, 65_536, seen.wrapping_sub(1), scanned.wrapping_sub(1)];
        for n in ends.into_iter().chain(asked.iter().filter(|_| seen > 0).map(|i| i.index(seen as usize) as u32)) {
            if n < seen {
                let least = if t.seen_filter.is_empty() { Certainty::Exact } else { Certainty::Probable };
                prop_assert!(of(&t, &key, &person(n)) >= Some(least), "seen {n} of {seen}");
            }
        }
        for n in ends.into_iter().chain(asked.iter().filter(|_| scanned > 0).map(|i| i.index(scanned as usize) as u32)) {
            if n < scanned {
                prop_assert!(of(&t, &key, &person(from + n)).is_some(), "looked at {n} of {scanned}");
            }
        }
        // a filter counts a little less than there were
        prop_assert!(t.seen <= i64::from(seen) && t.seen >= i64::from(seen - seen / 200), "{} of {seen}", t.seen);
        let strangers = (0..300).filter(|n| of(&t, &key, &person(from + seen + scanned + n)).is_some()).count();
        prop_assert!(strangers < 10, "{strangers} of 300 strangers");
    }
}

// -- constants and parameters -----------------------------------------------------------------------------------------

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        2 => "[a-z]{0,30}",
        1 => (0..MOST + 100).prop_map(|n| "x".repeat(n)),
        1 => (0..MOST / 4).prop_map(|n| "ä".repeat(n)),
    ]
}

/// What a private part is made of, which has no `Debug` itself.
type Content = ([u8; 16], Vec<String>, Vec<Option<String>>, bool);

fn contents() -> impl Strategy<Value = Content> {
    (any::<[u8; 16]>(), vec(texts(), 0..30), vec(option::of(texts()), 0..30), any::<bool>())
}

fn part((salt, constants, parameters, cut): Content) -> Private {
    Private { salt, constants, parameters, cut }
}

fn private_key(secret: u8) -> PrivateKey {
    PrivateKey::derive(&Secret::new([secret; 32]))
}

proptest! {
    #[test]
    fn private_parts_are_read_back_and_in_one_form(
        content in contents(), extra in vec(any::<u8>(), 1..9), cut in any::<Index>(), at in any::<Index>(), to in any::<u8>(),
    ) {
        let part = part(content);
        let bytes = part.encode();
        prop_assert!(Private::decode(&bytes).is_ok_and(|read| read == part));
        prop_assert!(Private::decode(&[&bytes[..], &extra].concat()).is_err(), "trailing bytes");
        prop_assert!(Private::decode(&bytes[..cut.index(bytes.len())]).is_err(), "truncated");
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] = to;
        match Private::decode(&changed) {
            Ok(other) => prop_assert_eq!(other.encode(), changed),
            Err(refused) => prop_assert_eq!(refused.kind, Kind::Corrupt),
        }
    }

    #[test]
    fn what_is_kept_fits_and_is_a_beginning(content in contents()) {
        let part = part(content);
        let mut kept = part.clone();
        kept.limit();
        prop_assert!(part.constants.starts_with(&kept.constants) && part.parameters.starts_with(&kept.parameters));
        let size = |text: &str| text.len() + 4;
        let parameter = |p: &Option<String>| size(p.as_deref().unwrap_or(""));
        let constants: usize = kept.constants.iter().map(|c| size(c)).sum();
        let all = constants + kept.parameters.iter().map(parameter).sum::<usize>();
        prop_assert!(all <= MOST);
        // nothing is dropped that had room
        let next = (part.constants.get(kept.constants.len()), part.parameters.get(kept.parameters.len()));
        prop_assert!(next.0.is_none_or(|c| constants + size(c) > MOST));
        prop_assert!(next.1.is_none_or(|p| all + parameter(p) > MOST));
        prop_assert_eq!(kept.cut, part.cut || next.0.is_some() || next.1.is_some());
        // version, salt, heads
        let bytes = kept.encode();
        prop_assert!(bytes.len() <= MOST + 32, "{} bytes", bytes.len());
        let mut again = Private::decode(&bytes).expect("what was kept is read");
        again.limit();
        prop_assert!(again == kept);
    }

    #[test]
    fn stored_parts_open_for_their_record_only(
        part in vec(any::<u8>(), 0..2000), other in vec(any::<u8>(), 0..40), nonce in any::<[u8; 24]>(),
        version in any::<u32>(), bit in any::<Index>(), junk in vec(any::<u8>(), 0..200),
    ) {
        let stored = private::seal(&private_key(1), version, &nonce, &part);
        prop_assert_eq!(private::key_version(&stored), Some(version));
        prop_assert_eq!(private::open(&private_key(1), &stored, &hash(&part)).unwrap(), &part[..]);
        prop_assert!(private::open(&private_key(2), &stored, &hash(&part)).is_err());
        prop_assert!(part == other || private::open(&private_key(1), &stored, &hash(&other)).is_err());
        let mut bad = stored.clone();
        let bit = bit.index(stored.len() * 8);
        bad[bit / 8] ^= 1 << (bit % 8);
        let refused = private::open(&private_key(1), &bad, &hash(&part)).unwrap_err();
        prop_assert_eq!(refused.kind, Kind::NotAuthentic);
        prop_assert!(private::open(&private_key(1), &junk, &hash(&part)).is_err());
    }
}
