//! Bytes of read records, their parts, sealed payloads and chain links that must never drift:
//! `tests/vectors/{record,private,subjects,chain}/`.
//!
//! A vector file has lines `name = value`; values of bytes are hex. The files were written once, from fixed keys and
//! nonces, by this test with `AIRLOCK_WRITE_VECTORS=1`; they change only together with a format version. Files named
//! `attack_…` hold input that must be refused, and by which SQLSTATE.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

use std::fs;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use pg_airlock::pure::chain::{self, Verifier, GENESIS};
use pg_airlock::pure::keyring::{ChainKey, LogKey, Secret};
use pg_airlock::pure::record::private::Private;
use pg_airlock::pure::record::{self, Outcome, Parts, Record, RecordKind, StatementId};

#[path = "golden_record/parts.rs"]
mod parts;

const LOG_SECRET: [u8; 32] = [0x11; 32];
const CHAIN_SECRET: [u8; 32] = [0x22; 32];
const NONCE: [u8; 24] = *b"fixed nonce of 24 bytes.";
const KEY_VERSION: u32 = 3;
const DATABASE: u32 = 16_384;
const CLUSTER: u64 = 7_312_345_678_901_234_567;
const AT: i64 = 812_345_678_901_234;

fn statement_id() -> StatementId {
    StatementId { backend_start: 812_345_600_000_000, pid: 4242, n: 7 }
}

fn intent() -> Record {
    Record {
        subprocessor: "harbour_stats".into(),
        contract: "DPA-2026-014".into(),
        login_role: "harbour_stats".into(),
        session_role: "harbour_stats".into(),
        acting_role: "harbour_stats".into(),
        client_addr: Some("2001:db8::7".into()),
        tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".into()),
        application_name: "psql".into(),
        database: "app".into(),
        views: vec!["harbour_stats.passengers".into()],
        columns: vec!["harbour_stats.passengers.age".into(), "harbour_stats.passengers.fare".into()],
        purpose: Some("passenger statistics".into()),
        statement: "SELECT age, avg(fare) FROM harbour_stats.passengers WHERE pclass = ? GROUP BY age".into(),
        ..Record::new(RecordKind::Intent, AT, statement_id())
    }
}

fn outcome() -> Record {
    Record {
        outcome: Some(Outcome::Error),
        sqlstate: Some("22012".into()),
        rows_sent: Some(891),
        bytes_sent: Some(70_000),
        duration_us: Some(1_234_567),
        ..Record { kind: RecordKind::Outcome, ..intent() }
    }
}

fn heartbeat() -> Record {
    Record::new(RecordKind::Heartbeat, -1, StatementId { backend_start: 0, pid: 0, n: 0 })
}

fn finding() -> Record {
    Record {
        database: "åpp".into(),
        detail: Some("WAL messages that do not authenticate: 2".into()),
        outcome: Some(Outcome::Unknown),
        ..Record::new(RecordKind::Finding, i64::MAX, StatementId { backend_start: i64::MIN, pid: -1, n: u64::MAX })
    }
}

/// Of version 2, with everything that it can have but for parts.
fn exact() -> Record {
    let column = |table: &str, name: &str| format!("{table}.passengers.{name}");
    Record {
        returned: vec![column("harbour_stats", "age"), column("harbour_stats", "fare")],
        filtered: vec![column("harbour_stats", "pclass")],
        base_columns: vec![column("public", "consent"), column("public", "age"), column("public", "fare")],
        ..Record { kind: RecordKind::Exact, ..outcome() }
    }
}

/// Of version 2 by its kind alone.
fn audit() -> Record {
    Record {
        login_role: "auditor".into(),
        database: "app".into(),
        statement: "SELECT * FROM airlock.who_saw(?, ?)".into(),
        detail: Some("who_saw: public.passengers".into()),
        ..Record::new(RecordKind::Audit, AT, StatementId { n: 8, ..statement_id() })
    }
}

/// Of version 2 by its kind alone: the plan of a read, whose rows were not read.
fn explain() -> Record {
    Record {
        statement: "EXPLAIN (COSTS OFF) SELECT age FROM harbour_stats.passengers".into(),
        outcome: Some(Outcome::Ok),
        ..Record { kind: RecordKind::Explain, ..intent() }
    }
}

/// The same read with numbers of scopes, and the parts that travel with it. One number is of four bytes, one negative.
fn exact_with_parts() -> (Record, Parts) {
    let parts = Parts { private: Some(parts::private().encode()), subjects: Some(parts::subjects()) };
    (Record { scopes: vec![7, 70_000, -1], ..exact() }, parts)
}

fn records() -> [(&'static str, Record); 7] {
    [
        ("intent", intent()),
        ("outcome", outcome()),
        ("heartbeat", heartbeat()),
        ("finding", finding()),
        ("exact", exact()),
        ("audit", audit()),
        ("explain", explain()),
    ]
}

fn log_key() -> LogKey {
    LogKey::derive(&Secret::new(LOG_SECRET))
}

fn chain_key() -> ChainKey {
    ChainKey::derive(&Secret::new(CHAIN_SECRET))
}

fn seal(bytes: &[u8]) -> Vec<u8> {
    record::seal(&log_key(), KEY_VERSION, DATABASE, CLUSTER, &NONCE, bytes)
}

/// Compares with the file, or writes it when asked to.
fn check(path: &str, lines: &[(&str, String)]) {
    let text: String = lines.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path);
    if std::env::var_os("AIRLOCK_WRITE_VECTORS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    assert_eq!(kept, text, "{path} drifted: a new format needs a new version, not a new vector");
}

/// The named hex values of a file, in order.
fn read(path: &str) -> Vec<(String, String)> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines().map(|line| line.split_once(" = ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn bytes(values: &[(String, String)], name: &str) -> Vec<u8> {
    HEXLOWER.decode(values.iter().find(|v| v.0 == name).unwrap().1.as_bytes()).unwrap()
}

fn place() -> [(&'static str, String); 5] {
    [
        ("secret", HEXLOWER.encode(&LOG_SECRET)),
        ("key_version", KEY_VERSION.to_string()),
        ("database_oid", DATABASE.to_string()),
        ("system_identifier", CLUSTER.to_string()),
        ("nonce", HEXLOWER.encode(&NONCE)),
    ]
}

#[test]
fn records_and_payloads_keep_their_bytes() {
    for (name, record) in records() {
        let encoded = record::encode(&record);
        let mut lines = place().to_vec();
        lines.push(("record", HEXLOWER.encode(&encoded)));
        lines.push(("payload", HEXLOWER.encode(&seal(&encoded))));
        check(&format!("record/{name}.txt"), &lines);
    }
}

#[test]
fn kept_payloads_still_open_and_decode() {
    for (name, record) in records() {
        let values = read(&format!("record/{name}.txt"));
        let payload = bytes(&values, "payload");
        assert_eq!(record::key_version(&payload), Some(KEY_VERSION));
        let opened = record::open(&log_key(), &payload, DATABASE, CLUSTER).unwrap();
        assert_eq!(opened, bytes(&values, "record"));
        assert_eq!(record::decode(&opened).unwrap(), record, "{name}");
    }
}

#[test]
fn a_message_keeps_its_bytes() {
    let (mut record, parts) = exact_with_parts();
    let message = record::join(&mut record, &parts);
    let part = |part: &Option<Vec<u8>>| HEXLOWER.encode(part.as_ref().unwrap());
    let mut lines = place().to_vec();
    lines.push(("record", HEXLOWER.encode(&record::encode(&record))));
    lines.push(("private", part(&parts.private)));
    lines.push(("subjects", part(&parts.subjects)));
    lines.push(("message", HEXLOWER.encode(&message)));
    lines.push(("payload", HEXLOWER.encode(&seal(&message))));
    check("record/exact_with_parts.txt", &lines);

    let values = read("record/exact_with_parts.txt");
    let opened = record::open(&log_key(), &bytes(&values, "payload"), DATABASE, CLUSTER).unwrap();
    assert_eq!(opened, bytes(&values, "message"));
    assert_eq!(record::split(&opened), Ok((record.clone(), parts)));
    assert_eq!(record::decode(&bytes(&values, "record")), Ok(record));
}

/// Messages whose parts are not the ones that the record names.
fn damaged_messages() -> Vec<(&'static str, Vec<u8>)> {
    let (mut record, parts) = exact_with_parts();
    let message = record::join(&mut record, &parts);
    let (head, private, subjects) = (record::encode(&record), parts.private.unwrap(), parts.subjects.unwrap());
    assert_eq!(message, [&head[..], &private, &subjects].concat());
    let other = Private { cut: false, ..parts::private() }.encode();
    assert_eq!(other.len(), private.len());
    vec![
        ("attack_message_private_part_missing", [&head[..], &subjects].concat()),
        ("attack_message_subject_part_missing", [&head[..], &private].concat()),
        ("attack_message_parts_missing", head.clone()),
        ("attack_message_parts_swapped", [&head[..], &subjects, &private].concat()),
        ("attack_message_part_changed", [&head[..], &other, &subjects].concat()),
        ("attack_message_part_twice", [&message[..], &subjects].concat()),
        ("attack_message_part_unnamed", [&record::encode(&exact())[..], &private].concat()),
        ("attack_message_trailing_byte", [&message[..], &[0x00]].concat()),
        ("attack_message_truncated", message[..message.len() - 1].to_vec()),
    ]
}

/// Damaged records, by attack; the last part is the SQLSTATE that [`record::decode`] answers with.
fn damaged_records() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = record::encode(&heartbeat());
    assert_eq!(good[..9], [0xae, 0x00, 0x01, 0x01, 0x07, 0x02, 0x20, 0x03, 0x83]);
    vec![
        ("attack_record_trailing_byte", [&good[..], &[0x00]].concat(), "XX001"),
        ("attack_record_long_integer", [&good[..4], &[0x18, 0x07], &good[5..]].concat(), "XX001"),
        ("attack_record_long_map_length", [&[0xb8, 0x0e], &good[1..]].concat(), "XX001"),
        ("attack_record_indefinite_map", [&[0xbf], &good[1..], &[0xff]].concat(), "XX001"),
        ("attack_record_members_swapped", [&good[..3], &good[5..7], &good[3..5], &good[7..]].concat(), "XX001"),
        ("attack_record_unknown_kind", [&good[..4], &[0x08], &good[5..]].concat(), "XX001"),
        ("attack_record_unknown_version", [&good[..2], &[0x03], &good[3..]].concat(), "0A000"),
        ("attack_record_of_a_version_too_new", [&good[..2], &[0x02], &good[3..]].concat(), "XX001"),
        ("attack_record_truncated", good[..good.len() - 1].to_vec(), "XX001"),
    ]
}

/// Payloads that must not open: another place, another header, cut.
fn damaged_payloads() -> Vec<(&'static str, Vec<u8>)> {
    let encoded = record::encode(&intent());
    let good = seal(&encoded);
    let changed = |at: usize, to: u8| {
        let mut bad = good.clone();
        assert_ne!(bad[at], to);
        bad[at] = to;
        bad
    };
    let elsewhere = |db, cluster| record::seal(&log_key(), KEY_VERSION, db, cluster, &NONCE, &encoded);
    vec![
        ("attack_payload_unknown_version", changed(0, 2)),
        ("attack_payload_key_version_changed", changed(4, 4)),
        ("attack_payload_nonce_changed", changed(5, 0)),
        ("attack_payload_tag_cut", good[..good.len() - 1].to_vec()),
        ("attack_payload_of_another_database", elsewhere(DATABASE + 1, CLUSTER)),
        ("attack_payload_of_another_cluster", elsewhere(DATABASE, CLUSTER + 1)),
        (
            "attack_payload_under_another_key",
            record::seal(&LogKey::derive(&Secret::new([0x12; 32])), KEY_VERSION, DATABASE, CLUSTER, &NONCE, &encoded),
        ),
        ("attack_payload_in_clear", [&[1, 0, 0, 0, 3][..], &NONCE, &encoded, &[0; 16]].concat()),
    ]
}

#[test]
fn attack_vectors_are_refused() {
    for (name, damaged, sqlstate) in damaged_records() {
        let path = format!("record/{name}.txt");
        check(&path, &[("record", HEXLOWER.encode(&damaged)), ("sqlstate", sqlstate.into())]);
        let refused = record::decode(&bytes(&read(&path), "record")).unwrap_err();
        assert_eq!(refused.kind.sqlstate(), sqlstate, "{name}");
    }
    for (name, damaged) in damaged_messages() {
        let path = format!("record/{name}.txt");
        check(&path, &[("message", HEXLOWER.encode(&damaged)), ("sqlstate", "XX001".into())]);
        let refused = record::split(&bytes(&read(&path), "message")).unwrap_err();
        assert_eq!(refused.kind.sqlstate(), "XX001", "{name}");
    }
    for (name, damaged) in damaged_payloads() {
        let path = format!("record/{name}.txt");
        let mut lines = place().to_vec();
        lines.push(("payload", HEXLOWER.encode(&damaged)));
        lines.push(("sqlstate", "AL003".into()));
        check(&path, &lines);
        let refused = record::open(&log_key(), &bytes(&read(&path), "payload"), DATABASE, CLUSTER).unwrap_err();
        assert_eq!(refused.kind.sqlstate(), "AL003", "{name}");
    }
}

#[test]
fn chain_links_keep_their_bytes() {
    let key = chain_key();
    let mut lines = vec![("secret", HEXLOWER.encode(&CHAIN_SECRET)), ("genesis", HEXLOWER.encode(&GENESIS))];
    let mut previous = GENESIS;
    for (i, (_, record)) in records().iter().take(4).enumerate() {
        let encoded = record::encode(record);
        previous = chain::link(&key, &previous, i as i64 + 1, &encoded);
        lines.push(("id", (i + 1).to_string()));
        lines.push(("record", HEXLOWER.encode(&encoded)));
        lines.push(("hash", HEXLOWER.encode(&previous)));
    }
    check("chain/links.txt", &lines);

    let mac = chain::head_mac(&key, 4, &previous, 0x16b_3d80, 2, CLUSTER);
    let lines = [
        ("secret", HEXLOWER.encode(&CHAIN_SECRET)),
        ("last_id", "4".into()),
        ("hash", HEXLOWER.encode(&previous)),
        ("lsn", 0x16b_3d80.to_string()),
        ("timeline", "2".into()),
        ("system_identifier", CLUSTER.to_string()),
        ("mac", HEXLOWER.encode(&mac)),
    ];
    check("chain/head.txt", &lines);
}

#[test]
fn kept_chain_verifies_and_a_changed_one_does_not() {
    let key = chain_key();
    let rows: Vec<(String, Vec<u8>)> = read("chain/links.txt")
        .into_iter()
        .filter(|v| v.0 == "record" || v.0 == "hash")
        .map(|(name, hex)| (name, HEXLOWER.decode(hex.as_bytes()).unwrap()))
        .collect();
    let head: chain::Hash = rows.last().unwrap().1.clone().try_into().unwrap();
    let verify = |rows: &[(String, Vec<u8>)]| {
        let mut verifier = Verifier::new(&key);
        for (i, pair) in rows.chunks(2).enumerate() {
            verifier.feed(i as i64 + 1, &pair[0].1, Some(&pair[1].1))?;
        }
        verifier.end(4, &head)
    };
    assert_eq!(verify(&rows), Ok(4));
    let mut changed = rows.clone();
    changed[4].1[0] ^= 1;
    assert_eq!(verify(&changed).unwrap_err().id, 3);
    assert_eq!(verify(&rows[..6]).unwrap_err().id, 4);

    let values = read("chain/head.txt");
    let mac = bytes(&values, "mac");
    assert!(chain::verify_head(&key, 4, &head, 0x16b_3d80, 2, CLUSTER, &mac));
    assert!(!chain::verify_head(&key, 3, &head, 0x16b_3d80, 2, CLUSTER, &mac));
}
