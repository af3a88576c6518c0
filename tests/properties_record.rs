//! Properties of the read record, its parts, its chain and the normaliser: for all inputs, not for chosen ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use pg_airlock::pure::chain::{self, Break, Hash, Verifier, GENESIS};
use pg_airlock::pure::error::Kind;
use pg_airlock::pure::keyring::{ChainKey, LogKey, Secret};
use pg_airlock::pure::normalise::{apart, normalise};
use pg_airlock::pure::record::{self, Outcome, Parts, Record, RecordKind, StatementId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn kinds() -> impl Strategy<Value = RecordKind> {
    select(vec![
        RecordKind::Intent,
        RecordKind::Outcome,
        RecordKind::Denied,
        RecordKind::Killed,
        RecordKind::Finding,
        RecordKind::Configuration,
        RecordKind::Heartbeat,
        RecordKind::Exact,
        RecordKind::Open,
        RecordKind::Audit,
        RecordKind::Explain,
    ])
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    select(vec![
        Outcome::Ok,
        Outcome::Error,
        Outcome::Cancelled,
        Outcome::Terminated,
        Outcome::Killed,
        Outcome::Unknown,
    ])
}

fn text() -> impl Strategy<Value = String> {
    // any characters, and lengths on both sides of every size of a CBOR head
    prop_oneof![any::<String>(), "[a-z]{0,30}", (0usize..70_000).prop_map(|n| "x".repeat(n % 300 * (n % 7)))]
}

prop_compose! {
    fn records()(
        kind in kinds(),
        numbers in (any::<i64>(), any::<i64>(), any::<i32>(), any::<u64>()),
        names in [text(), text(), text(), text(), text()],
        more in [text(), text(), text()],
        lists in [vec(text(), 0..30), vec(text(), 0..4), vec(text(), 0..3), vec(text(), 0..2), vec(text(), 0..2)],
        texts in [option::of(text()), option::of(text()), option::of(text()), option::of(text()), option::of(text())],
        outcome in option::of(outcomes()),
        counts in [option::of(any::<i64>()), option::of(any::<i64>()), option::of(any::<i64>())],
        parts in (option::of(any::<[u8; 32]>()), option::of(any::<[u8; 32]>()), vec(any::<i32>(), 0..3)),
    ) -> Record {
        let [subprocessor, contract, login_role, session_role, acting_role] = names;
        let [application_name, database, statement] = more;
        let [views, columns, returned, filtered, base_columns] = lists;
        let [client_addr, tls, purpose, sqlstate, detail] = texts;
        let [rows_sent, bytes_sent, duration_us] = counts;
        let (private, subjects, scopes) = parts;
        let statement_id = StatementId { backend_start: numbers.1, pid: numbers.2, n: numbers.3 };
        Record {
            kind, at: numbers.0, statement_id, subprocessor, contract, login_role, session_role, acting_role,
            client_addr, tls, application_name, database, views, columns, purpose, statement, outcome, sqlstate,
            rows_sent, bytes_sent, duration_us, detail, returned, filtered, base_columns, private, subjects,
            scopes,
        }
    }
}

/// One CBOR item, as a part is: a byte string, or a list with a list in it.
fn items() -> impl Strategy<Value = Vec<u8>> {
    let head = |major: u8, n: usize| match n {
        0..24 => vec![major << 5 | n as u8],
        _ => vec![major << 5 | 25, (n >> 8) as u8, n as u8],
    };
    let bytes = vec(any::<u8>(), 0..300).prop_map(move |b| [head(2, b.len()), b].concat());
    let list =
        vec(bytes.clone(), 0..30).prop_map(move |l| [head(4, l.len() + 1), l.concat(), vec![0x81, 0xf6]].concat());
    prop_oneof![bytes, list]
}

prop_compose! {
    fn parts()(private in option::of(items()), subjects in option::of(items())) -> Parts {
        Parts { private, subjects }
    }
}

fn log_key(byte: u8) -> LogKey {
    LogKey::derive(&Secret::new([byte; 32]))
}

/// Bytes of a record's head: map(n), of one byte for fewer than 24 members.
fn head(bytes: &[u8]) -> usize {
    if bytes[0] == 0xb8 {
        2
    } else {
        1
    }
}

proptest! {
    #[test]
    fn decode_after_encode_is_the_record(record in records()) {
        let bytes = record::encode(&record);
        prop_assert!(record::check_size(&bytes).is_ok());
        prop_assert_eq!(record::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn decoding_is_strict(record in records(), extra in vec(any::<u8>(), 1..9), cut in any::<prop::sample::Index>()) {
        let good = record::encode(&record);
        prop_assert!(record::decode(&[&good[..], &extra].concat()).is_err(), "trailing bytes");
        prop_assert!(record::decode(&good[..cut.index(good.len())]).is_err(), "truncated");
        // behind the head, 0: version, 1: kind; all in their one-byte forms
        let at = head(&good);
        let long_version = [&good[..at + 1], &[0x18], &good[at + 1..]].concat();
        let long_kind = [&good[..at + 3], &[0x18], &good[at + 3..]].concat();
        let wide_kind = [&good[..at + 3], &[0x19, 0x00], &good[at + 3..]].concat();
        let long_key = [&good[..at + 2], &[0x18], &good[at + 2..]].concat();
        for longer in [long_version, long_kind, wide_kind, long_key] {
            prop_assert_eq!(record::decode(&longer).unwrap_err().kind, Kind::Corrupt);
        }
    }

    #[test]
    fn unknown_versions_are_refused(record in records(), version in 3u8..24) {
        let mut bytes = record::encode(&record);
        let at = head(&bytes);
        bytes[at + 1] = version;
        prop_assert_eq!(record::decode(&bytes).unwrap_err().kind, Kind::Unsupported);
    }

    #[test]
    fn what_decodes_is_canonical(record in records(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        // any byte changed to any other: refused, or another record that has exactly these bytes
        let mut bytes = record::encode(&record);
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = record::decode(&bytes) {
            prop_assert_eq!(record::encode(&other), bytes);
        }
    }

    #[test]
    fn decode_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(record) = record::decode(&bytes) {
            prop_assert_eq!(record::encode(&record), bytes);
        }
    }

    #[test]
    fn split_after_join_is_the_record_with_its_parts(record in records(), parts in parts()) {
        let mut joined = record.clone();
        let message = record::join(&mut joined, &parts);
        let (private, subjects) = (parts.private.as_deref().map(record::hash), parts.subjects.as_deref().map(record::hash));
        prop_assert_eq!(&joined, &Record { private, subjects, ..record });
        prop_assert_eq!(record::split(&message).unwrap(), (joined.clone(), parts));
        prop_assert!(message.starts_with(&record::encode(&joined)));
    }

    #[test]
    fn splitting_is_strict(
        record in records(), parts in parts(), extra in vec(any::<u8>(), 1..9),
        cut in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
    ) {
        let mut record = record;
        let message = record::join(&mut record, &parts);
        prop_assert!(record::split(&[&message[..], &extra].concat()).is_err(), "trailing bytes");
        prop_assert!(record::split(&message[..cut.index(message.len())]).is_err(), "truncated");
        let head = record::encode(&record).len();
        if message.len() > head {
            // the record is whole, and a bit of its parts another
            let bit = head * 8 + bit.index((message.len() - head) * 8);
            let mut bad = message.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(record::split(&bad).unwrap_err().kind, Kind::Corrupt);
            prop_assert_eq!(record::decode(&message).unwrap_err().kind, Kind::Corrupt);
        }
    }

    #[test]
    fn open_after_seal_is_the_record(
        bytes in vec(any::<u8>(), 0..2000), nonce in any::<[u8; 24]>(),
        version in any::<u32>(), db in any::<u32>(), cluster in any::<u64>(),
    ) {
        let payload = record::seal(&log_key(1), version, db, cluster, &nonce, &bytes);
        prop_assert_eq!(record::key_version(&payload), Some(version));
        prop_assert_eq!(record::open(&log_key(1), &payload, db, cluster).unwrap(), bytes);
        prop_assert!(record::open(&log_key(2), &payload, db, cluster).is_err());
        prop_assert!(record::open(&log_key(1), &payload, db ^ 1, cluster).is_err());
        prop_assert!(record::open(&log_key(1), &payload, db, cluster ^ (1 << 63)).is_err());
    }

    #[test]
    fn open_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(record::open(&log_key(1), &bytes, 5, 7).is_err());
    }
}

proptest! {
    // each case opens hundreds of payloads
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_flipped_bit_of_a_payload_fails(
        record in records(), nonce in any::<[u8; 24]>(), version in any::<u32>(),
        flips in vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let payload = record::seal(&log_key(1), version, 5, 7, &nonce, &record::encode(&record));
        for flip in flips {
            let bit = flip.index(payload.len() * 8);
            let mut bad = payload.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(record::open(&log_key(1), &bad, 5, 7).unwrap_err().kind, Kind::NotAuthentic);
        }
        // the header and the nonce, bit by bit
        for bit in 0..29 * 8 {
            let mut bad = payload.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(record::open(&log_key(1), &bad, 5, 7).is_err());
        }
    }
}

// -- chain ------------------------------------------------------------------------------------------------------------

type Row = (i64, Vec<u8>, Option<Hash>);

fn chain_key() -> ChainKey {
    ChainKey::derive(&Secret::new([3; 32]))
}

fn log(records: Vec<Vec<u8>>) -> (Vec<Row>, Hash) {
    let key = chain_key();
    let mut head = GENESIS;
    let mut rows = Vec::new();
    for (id, record) in (1..).zip(records) {
        head = chain::link(&key, &head, id, &record);
        rows.push((id, record, Some(head)));
    }
    (rows, head)
}

fn verify(rows: &[Row], last: i64, head: &Hash) -> Result<u64, Break> {
    let key = chain_key();
    let mut verifier = Verifier::new(&key);
    for (id, record, hash) in rows {
        verifier.feed(*id, record, hash.as_ref().map(|h| &h[..]))?;
    }
    verifier.end(last, head)
}

fn renumber(rows: &mut [Row]) {
    (1..).zip(rows).for_each(|(id, row)| row.0 = id);
}

proptest! {
    #[test]
    fn every_attack_on_the_log_is_found_and_named(
        contents in vec(vec(any::<u8>(), 0..40), 2..20),
        at in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
        forged in any::<[u8; 32]>(),
    ) {
        // distinct contents: exchanging equal records would be no change
        let contents: Vec<Vec<u8>> = (0u8..).zip(contents).map(|(i, c)| [&[i][..], &c].concat()).collect();
        let (rows, head) = log(contents);
        let last = rows.len() as i64;
        prop_assert_eq!(verify(&rows, last, &head), Ok(last as u64));
        let i = at.index(rows.len());
        let id = i as i64 + 1;

        let mut changed = rows.clone();
        let bit = bit.index(changed[i].1.len() * 8);
        changed[i].1[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(verify(&changed, last, &head).unwrap_err().id, id, "change");

        let mut rehashed = rows.clone();
        rehashed[i].2 = Some(forged);
        prop_assert_eq!(verify(&rehashed, last, &head).unwrap_err().id, id, "change of the hash");

        let mut nulled = rows.clone();
        nulled[i].2 = None;
        let found = verify(&nulled, last, &head).unwrap_err();
        prop_assert_eq!((found.id, found.message), (id, format!("record {id} has no hash")));

        let mut deleted = rows.clone();
        deleted.remove(i);
        prop_assert_eq!(verify(&deleted, last, &head).unwrap_err().id, id, "delete");
        renumber(&mut deleted);
        prop_assert_eq!(verify(&deleted, last, &head).unwrap_err().id, id, "delete and renumber");

        let mut inserted = rows.clone();
        inserted.insert(i, (id, b"forged".to_vec(), Some(forged)));
        prop_assert_eq!(verify(&inserted, last, &head).unwrap_err().id, id, "insert");
        renumber(&mut inserted);
        prop_assert_eq!(verify(&inserted, last, &head).unwrap_err().id, id, "insert and renumber");

        let j = (i + 1) % rows.len();
        let first = i.min(j) as i64 + 1;
        let mut swapped = rows.clone();
        swapped.swap(i, j);
        prop_assert_eq!(verify(&swapped, last, &head).unwrap_err().id, first, "swap");
        renumber(&mut swapped);
        prop_assert_eq!(verify(&swapped, last, &head).unwrap_err().id, first, "swap of contents");

        prop_assert_eq!(verify(&rows[..i], last, &head).unwrap_err().id, id, "cut tail");
        prop_assert_eq!(verify(&rows, id - 1, &head).unwrap_err().id, id, "more rows than the cursor knows");
        prop_assert!(verify(&rows, last, &forged).is_err(), "another head");
    }
}

// -- normaliser -------------------------------------------------------------------------------------------------------

const MARK: &str = "marker";
/// Text of what begins and ends literals, names and comments.
const TRICKY: &str =
    "([ \\n'\"$.eEuUxXbB&\\\\/*0-9a-z_?\u{2026}\u{e4}-]|--|/\\*|\\*/|\\$q\\$|E'|U&'|U&\"|\\$\\$){0,40}";

/// A constant that contains the marker, written in any of PostgreSQL's ways.
fn constants() -> impl Strategy<Value = String> {
    let around = prop_oneof![
        "[ a-z0-9$\"()/*;.,\u{e4}\u{20ac}\u{1f600}-]{0,6}",
        "[\\\\']{0,4}",
        "(\\n|\\r|--|/\\*|\\*/|\\$\\$|E'|\\$1){0,3}",
    ];
    (around.clone(), around, 0..10).prop_map(|(before, after, form)| {
        let body = format!("{before}{MARK}{after}");
        let doubled = body.replace('\'', "''");
        let escaped = body.replace('\\', "\\\\").replace('\'', "\\'");
        match form {
            0 => format!("'{doubled}'"),
            1 => format!("E'{escaped}'"),
            2 => format!("e'{}'", body.replace('\\', "\\\\").replace('\'', "''")),
            3 => format!("U&'{doubled}'"),
            4 => format!("B'{doubled}'"),
            5 => format!("x'{doubled}'"),
            6 => format!("N'{doubled}'"),
            7 => format!("$q${}$q$", body.replace('q', "")),
            8 => format!("'x'\n  '{doubled}'"),
            // as written with standard_conforming_strings off
            _ => format!("'{escaped}'"),
        }
    })
}

fn sql() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        constants(),
        "[a-z_]{1,8}".prop_map(|w| if w.contains(MARK) { "w".into() } else { w }),
        Just("\"a \"\" 'b\"".to_owned()),
        "[0-9]{1,5}(\\.[0-9]{1,3})?(e[+-]?[0-9]{1,2})?",
        select(vec!["+", "-", "*", "/", "(", ")", ",", ".", "=", "$1", "::", "||", "@>", "?", ";"])
            .prop_map(String::from),
        Just(format!("/* {MARK} ' /* nested */ \" */")),
        Just(format!("-- {MARK} ' \" $q$\n")),
    ];
    // a comma between: without it pieces may form other tokens than the ones meant, such as a literal that goes on
    vec(piece, 0..12).prop_map(|pieces| pieces.join(" , "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_constant_or_comment_survives(sql in sql()) {
        let out = normalise(&sql, 8192);
        prop_assert!(!out.contains(MARK), "{:?} left {:?}", sql, out);
    }

    #[test]
    fn no_digit_of_a_number_survives(number in "[0-9]{1,9}(\\.[0-9]{0,9})?([eE][+-]?[0-9]{1,3})?|0[xX][0-9a-f]{1,8}") {
        let out = normalise(&format!("SELECT a{number}b, {number},-{number} FROM t WHERE x>{number}"), 8192);
        let rest = out.split_once(", ").map(|p| p.1.to_owned()).unwrap_or_default();
        prop_assert_eq!(rest, "?,-? FROM t WHERE x>?");
    }

    #[test]
    fn total_bounded_and_idempotent_on_any_text(sql in any::<String>(), max in 0usize..60) {
        let whole = normalise(&sql, usize::MAX);
        prop_assert_eq!(&normalise(&whole, usize::MAX), &whole);
        let cut = normalise(&sql, max);
        prop_assert!(cut.len() <= max);
        prop_assert_eq!(&normalise(&cut, max), &cut);
    }

    #[test]
    fn total_bounded_and_idempotent_on_tricky_text(
        sql in TRICKY, max in 0usize..60,
    ) {
        let whole = normalise(&sql, usize::MAX);
        prop_assert_eq!(&normalise(&whole, usize::MAX), &whole);
        let cut = normalise(&sql, max);
        prop_assert!(cut.len() <= max);
        prop_assert_eq!(&normalise(&cut, max), &cut);
    }

    #[test]
    fn layout_and_constants_do_not_change_the_text(a in constants(), b in constants(), gap in "[ \\n\\t]{1,4}") {
        // what tells statements apart is their shape: only the ambiguous backslash may cut it short
        let one = normalise(&format!("SELECT x FROM t WHERE y = {a} AND z"), 8192);
        let two = normalise(&format!("SELECT x{gap}FROM t WHERE{gap}y = {b}{gap}AND z"), 8192);
        for out in [one, two] {
            let whole = "SELECT x FROM t WHERE y = ? AND z";
            prop_assert!(out == whole || out == "SELECT x FROM t WHERE y = ?…", "{}", out);
        }
    }

    #[test]
    fn constants_apart_are_those_of_their_marks(sql in sql(), tricky in TRICKY, max in 0usize..60) {
        for sql in [sql, tricky] {
            prop_assert_eq!(apart(&sql, max).0, normalise(&sql, max));
            // without operators of that name each mark is a constant's
            let sql = sql.replace('?', "");
            let (text, constants) = apart(&sql, usize::MAX);
            prop_assert_eq!(&text, &normalise(&sql, usize::MAX));
            prop_assert_eq!(text.matches('?').count(), constants.len());
            let mut rest = &sql[..];
            for constant in &constants {
                let at = rest.find(constant.as_str());
                prop_assert!(at.is_some(), "{:?} is not behind the one before it in {:?}", constant, sql);
                rest = &rest[at.unwrap_or(0) + constant.len()..];
            }
            // back in their places they make a statement that says the same
            let mut pieces = text.split('?');
            let first = pieces.next().unwrap_or("").to_owned();
            let whole = constants.iter().zip(pieces).fold(first, |whole, (c, piece)| whole + c + piece);
            if !text.ends_with("?…") {
                prop_assert_eq!(apart(&whole, usize::MAX), (text, constants));
            }
        }
    }
}
