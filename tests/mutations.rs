//! A million mutated, cut, extended, spliced and swapped values, wrapped keys, carriers and log payloads: each is refused,
//! none panics. The seed is fixed and printed, so a failure repeats. `AIRLOCK_MUTATIONS` changes the number.
#![allow(clippy::unwrap_used, clippy::panic)]

use pg_airlock::pure::aead::NONCE;
use pg_airlock::pure::envelope::{self, CarrierKey, Sealing};
use pg_airlock::pure::error::Kind;
use pg_airlock::pure::keyring::{self, LogKey, MatchKey, RootKey, SealKey, Secret, Use, Wrapping};
use pg_airlock::pure::plaintext::{self, PlainType, Value};
use pg_airlock::pure::record;
use pg_airlock::pure::tag::{self, MatchTag, Normalise};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How many of each kind, of the whole number.
const VALUES: usize = 80;
const OTHERS: usize = 100 - VALUES;

const SEED: u64 = 0x0061_6972_6c6f_636b;

/// Draws that a run makes.
fn number() -> usize {
    std::env::var("AIRLOCK_MUTATIONS").ok().map_or(1_000_000, |n| n.parse().unwrap())
}

/// Where a value belongs: all that a reader brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    key: usize,
    column: usize,
    ty: PlainType,
}

const COLUMNS: [[u8; 16]; 2] = [*b"the first column", *b"the other column"];
const TYPES: [PlainType; 4] = [PlainType::Text, PlainType::Bytea, PlainType::Int4, PlainType::Numeric];

struct Keys {
    seal: [SealKey; 2],
    tags: MatchKey,
}

fn keys() -> Keys {
    let secret = |n| Secret::new([n; 32]);
    Keys { seal: [SealKey::derive(&secret(1)), SealKey::derive(&secret(2))], tags: MatchKey::derive(&secret(3)) }
}

fn value(ty: PlainType, n: usize) -> Value {
    match ty {
        PlainType::Bytea => Value::Bytea(vec![n as u8; n]),
        PlainType::Int4 => Value::Int4(n as i32),
        PlainType::Numeric => Value::Numeric(format!("-{n}.50")),
        _ => Value::Text("Zoë ".repeat(n / 5)),
    }
}

/// Sealed values of every shape, each with its place.
fn stock(keys: &Keys, random: &mut StdRng) -> Vec<(Place, Vec<u8>)> {
    let mut stock = Vec::new();
    for (n, ty) in (0..160).zip(TYPES.iter().cycle()) {
        let place = Place { key: n / 4 % 2, column: n / 8 % 2, ty: *ty };
        let (value, pad) = (value(*ty, n), [16, 0][n / 16 % 2]);
        let sealing = Sealing {
            key: &keys.seal[place.key],
            version_id: 7 + place.key as u32,
            column_uuid: &COLUMNS[place.column],
            plain_type: *ty,
            tag: match n % 3 {
                0 => None,
                1 => Some(MatchTag::Narrow(tag::tag(&keys.tags, &value))),
                _ => Some(MatchTag::Wide(tag::wide(&keys.tags, &value, Normalise::AsIs))),
            },
            padded: plaintext::is_padded(*ty, pad),
        };
        stock.push((place, envelope::seal(&sealing, &random.random(), &plaintext::encode(&value, pad))));
    }
    stock
}

/// Changes bytes in one of the ways that an attacker or a bad disk has.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    let at = |random: &mut StdRng, len: usize| if len == 0 { 0 } else { random.random_range(0..len) };
    let i = at(random, bytes.len());
    match random.random_range(0..12) {
        _ if bytes.is_empty() => bytes.push(random.random()),
        0 => bytes[i] ^= 1 << random.random_range(0..8),
        1 => bytes[i] = random.random(),
        2 => bytes.truncate(i),
        3 => drop(bytes.drain(..i)),
        4 => bytes.extend_from_slice(&vec![random.random(); random.random_range(1..40)]),
        5 => bytes.insert(i, random.random()),
        6 => drop(bytes.remove(i)),
        7 => {
            // the head of one, the tail of another
            bytes.truncate(i);
            bytes.extend_from_slice(&other[i.min(other.len())..]);
        }
        8 => {
            // a run of another in place of one's own: header, tag, nonce, ciphertext
            let end = i + at(random, bytes.len().min(other.len()).saturating_sub(i));
            if end <= other.len() {
                bytes[i..end].copy_from_slice(&other[i..end]);
            }
        }
        9 => bytes[i..].fill(0),
        10 => {
            let j = at(random, bytes.len());
            bytes.swap(i, j);
        }
        _ => {
            // the flags and the version, which say how all the rest is read
            let i = i % bytes.len().min(6);
            bytes[i] = random.random();
        }
    }
}

/// One value, changed or brought to another place; false if the draw left it as it was.
fn value_is_refused(keys: &Keys, stock: &[(Place, Vec<u8>)], random: &mut StdRng) -> bool {
    let (place, original) = &stock[random.random_range(0..stock.len())];
    let (mut place, mut bytes) = (*place, original.clone());
    if random.random_range(0..8) == 0 {
        match random.random_range(0..3) {
            0 => place.key = 1 - place.key,
            1 => place.column = 1 - place.column,
            _ => place.ty = TYPES[random.random_range(0..TYPES.len())],
        }
    } else {
        let (_, other) = &stock[random.random_range(0..stock.len())];
        for _ in 0..random.random_range(1..4) {
            mutate(&mut bytes, other, random);
        }
    }
    if stock.iter().any(|(at, sealed)| *at == place && *sealed == bytes) {
        return false;
    }
    let key = &keys.seal[place.key];
    let opened = envelope::open(&bytes, key, &COLUMNS[place.column], place.ty);
    assert!(opened.is_err_and(|e| e.kind == Kind::NotAuthentic), "{place:?} opened {bytes:x?}");
    // what is read without a key takes everything without a panic, and no text has two meanings
    let structure = envelope::parse(&bytes).is_ok();
    let mut text = envelope::to_text(&bytes);
    assert_eq!(envelope::from_text(&text).ok(), structure.then(|| bytes.clone()), "{text}");
    if random.random_range(0..4) == 0 {
        let i = random.random_range(0..text.len());
        let with = char::from(b"A9+/=:\n \x7f"[random.random_range(0..9)]);
        text.replace_range(i..=i, &with.to_string());
        if let Ok(read) = envelope::from_text(&text) {
            assert_eq!(envelope::to_text(&read), text);
        }
    }
    true
}

/// What else is sealed: a wrapped key, a carrier, a payload of the log.
struct Others {
    root: RootKey,
    wrapping: Wrapping,
    carrier: CarrierKey,
    log: LogKey,
    sealed: [Vec<Vec<u8>>; 3],
}

fn others(random: &mut StdRng) -> Others {
    let root = RootKey::parse(&[7; 32]).ok().unwrap();
    let wrapping = Wrapping { usage: Use::Seal, key_uuid: [5; 16], version: 1, root_generation: 1 };
    let (carrier, log) = (CarrierKey::new(&[8; 32]), LogKey::derive(&Secret::new([9; 32])));
    let nonce = |random: &mut StdRng| random.random::<[u8; NONCE]>();
    let sealed = [
        (0..8).map(|n| keyring::wrap(&root, &Secret::new([n; 32]), &wrapping, &nonce(random))).collect(),
        (0..8).map(|n| envelope::seal_carrier(&carrier, &random.random(), "literal".repeat(n).as_bytes())).collect(),
        (1..9).map(|n| record::seal(&log, 1, 16_384, 42, &nonce(random), &vec![n; 20 * n as usize])).collect(),
    ];
    Others { root, wrapping, carrier, log, sealed }
}

fn other_is_refused(others: &Others, random: &mut StdRng) -> bool {
    let kind = random.random_range(0..others.sealed.len());
    let of_kind = &others.sealed[kind];
    let mut bytes = of_kind[random.random_range(0..of_kind.len())].clone();
    let other = &of_kind[random.random_range(0..of_kind.len())];
    for _ in 0..random.random_range(1..4) {
        mutate(&mut bytes, other, random);
    }
    if of_kind.contains(&bytes) {
        return false;
    }
    let error = match kind {
        0 => keyring::unwrap(&others.root, &bytes, &others.wrapping).err(),
        1 => envelope::open_carrier(&others.carrier, &bytes).err(),
        _ => record::open(&others.log, &bytes, 16_384, 42).err(),
    };
    assert!(error.is_some_and(|e| e.kind == Kind::NotAuthentic), "kind {kind} opened {bytes:x?}");
    true
}

#[test]
fn a_million_mutations_are_refused_and_none_panics() {
    let (total, workers) = (number(), std::thread::available_parallelism().map_or(2, usize::from));
    println!("seed {SEED:#x}, {total} draws, {workers} threads");
    let keys = keys();
    let stock = stock(&keys, &mut StdRng::seed_from_u64(SEED));
    // the control: unchanged, each opens at its place, and only there
    for (place, bytes) in &stock {
        let opened = envelope::open(bytes, &keys.seal[place.key], &COLUMNS[place.column], place.ty);
        assert!(opened.is_ok(), "{place:?}");
    }
    let others = others(&mut StdRng::seed_from_u64(SEED));
    let refused: usize = std::thread::scope(|scope| {
        let work = |worker: usize| {
            let (keys, stock, others) = (&keys, &stock, &others);
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(SEED + 1 + worker as u64);
                let mut refused = 0;
                while refused < total / workers + 1 {
                    let of_values = random.random_range(0..VALUES + OTHERS) < VALUES;
                    refused += usize::from(if of_values {
                        value_is_refused(keys, stock, &mut random)
                    } else {
                        other_is_refused(others, &mut random)
                    });
                }
                refused
            })
        };
        let threads: Vec<_> = (0..workers).map(work).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert!(refused >= total, "{refused} of {total}");
}
