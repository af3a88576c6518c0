//! The fuzz targets over their committed corpora, and over each file cut at every length: on any toolchain, with every
//! `cargo test`. `WRITE_CORPUS=1 cargo test --test fuzz_replay` writes the seeds that only a key makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "fuzz/targets.rs"]
mod targets;

use pg_airlock::pure::envelope::{self, CarrierKey, Sealing};
use pg_airlock::pure::head::Head;
use pg_airlock::pure::keyring::{self, ChainKey, LogKey, RootKey, Secret, SubjectKey, Use, Wrapping};
use pg_airlock::pure::plaintext::{encode, is_padded, PlainType, Value};
use pg_airlock::pure::record::private::{self, Private};
use pg_airlock::pure::record::{self, Parts, Record, RecordKind, StatementId};
use pg_airlock::pure::subjects::{self, Set, Touched};
use pg_airlock::pure::tag::MatchTag;
use std::fs;
use std::path::{Path, PathBuf};

/// Longer files are not cut at every length, which would take their length squared.
const CUT: usize = 400;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = corpus(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).map(|p| (p.clone(), fs::read(p).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, run) in targets::TARGETS {
        let files = files(name);
        assert!(files.len() >= 3, "{name}: {} files", files.len());
        for (path, data) in files {
            println!("{}", path.display());
            run(&data);
            (0..data.len().min(CUT)).for_each(|end| run(&data[..end]));
        }
    }
}

#[test]
fn every_target_has_a_program_and_no_program_lacks_a_target() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
    let programs = fs::read_dir(dir.join("fuzz_targets")).unwrap().count();
    assert_eq!(programs, targets::TARGETS.len());
    for (name, _) in targets::TARGETS {
        let program = fs::read_to_string(dir.join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("targets::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

/// The keyed seeds open: else the targets would only ever see what they refuse.
#[test]
fn the_corpus_holds_what_opens() {
    let opens = |target: &str, open: &dyn Fn(&[u8]) -> bool| {
        let files = files(target);
        assert!(files.iter().any(|(_, data)| open(data)), "{target}: nothing opens; WRITE_CORPUS=1 writes seeds");
        assert!(!files.iter().all(|(_, data)| open(data)), "{target}: everything opens");
    };
    let key = targets::seal_key();
    opens("envelope", &|data| envelope::open(data, &key, &targets::COLUMN, PlainType::Text).is_ok());
    opens("envelope_text", &|data| std::str::from_utf8(data).is_ok_and(|t| envelope::from_text(t).is_ok()));
    opens("carrier", &|data| envelope::open_carrier(&CarrierKey::new(&[8; 32]), data).is_ok());
    opens("wrapped_key", &|data| keyring::unwrap(&root(), data, &WRAPPING).is_ok());
    opens("scope", &|data| targets::planned(data).is_some());
    for name in ["newer", "conditional"] {
        assert!(targets::planned(&fs::read(corpus("scope").join(name)).unwrap()).is_some(), "scope/{name}");
    }
    opens("root_key", &|data| RootKey::parse(data).is_ok());
    opens("record", &|data| record::decode(data).is_ok());
    opens("message", &|data| record::split(data).is_ok_and(|(_, parts)| parts.private.is_some()));
    opens("subject_part", &|data| subjects::decode(data).is_ok());
    opens("private_part", &|data| Private::decode(data).is_ok());
    let of = record::hash(&targets::private().encode());
    opens("private_part", &|data| private::open(&targets::private_key(), data, &of).is_ok());
    opens("head", &|data| std::str::from_utf8(data).is_ok_and(|t| Head::open(&head_key(), t).is_ok()));
    opens("payload", &|data| record::open(&LogKey::derive(&Secret::new([9; 32])), data, 16_384, 42).is_ok());
}

fn head_key() -> ChainKey {
    ChainKey::derive(&Secret::new([1; 32]))
}

const WRAPPING: Wrapping = Wrapping { usage: Use::Seal, key_uuid: [5; 16], version: 1, root_generation: 1 };

fn root() -> RootKey {
    RootKey::parse(&[7; 32]).ok().unwrap()
}

fn write(target: &str, name: &str, data: impl AsRef<[u8]>) {
    fs::create_dir_all(corpus(target)).unwrap();
    fs::write(corpus(target).join(name), data).unwrap();
}

#[test]
fn write_corpus() {
    if std::env::var_os("WRITE_CORPUS").is_none() {
        return;
    }
    let key = targets::seal_key();
    let values = [
        ("text", Value::Text("Zoë".into())),
        ("empty", Value::Text(String::new())),
        ("numeric", Value::Numeric("-12.50".into())),
        ("date", Value::Date(-1)),
        ("float", Value::Float8(0.1)),
        ("jsonb", Value::Jsonb("{\"a\": [1.00, null]}".into())),
        ("bytea", Value::Bytea(vec![0, 0x80, 0])),
        ("uuid", Value::Uuid([7; 16])),
    ];
    for (name, value) in &values {
        write("plaintext", name, &*encode(value, 0));
        write("plaintext", &format!("{name}_padded"), &*encode(value, 16));
        for (kind, tag) in
            [("plain", None), ("tagged", Some(MatchTag::Narrow([7; 8]))), ("unique", Some(MatchTag::Wide([8; 16])))]
        {
            let (plain_type, padded) = (value.plain_type(), is_padded(value.plain_type(), 16));
            let s = Sealing { key: &key, version_id: 7, column_uuid: &targets::COLUMN, plain_type, tag, padded };
            let bytes = envelope::seal(&s, &[9; 24], &encode(value, 16));
            write("envelope", &format!("{name}_{kind}"), &bytes);
            write("envelope_text", &format!("{name}_{kind}"), envelope::to_text(&bytes));
        }
    }
    let text = fs::read_to_string(corpus("envelope_text").join("text_plain")).unwrap();
    write("envelope_text", "two_paddings", format!("{text}{}", &text[10..]));
    let carrier = envelope::seal_carrier(&CarrierKey::new(&[8; 32]), &[9; 12], b"a literal");
    write("carrier", "literal", &carrier);
    write("envelope", "carrier", &carrier);
    write("carrier", "other_key", envelope::seal_carrier(&CarrierKey::new(&[6; 32]), &[9; 12], b"a literal"));
    write("carrier", "empty", envelope::seal_carrier(&CarrierKey::new(&[8; 32]), &[9; 12], b""));
    let wrapped = keyring::wrap(&root(), &Secret::new([3; 32]), &WRAPPING, &[9; 24]);
    write("wrapped_key", "wrapped", &wrapped);
    write("wrapped_key", "longer", [&wrapped[..], &[0]].concat());
    write("wrapped_key", "other_version", [&[2], &wrapped[1..]].concat());
    let head = Head { system: u64::MAX, timeline: 2, id: 900, at: -1, hash: [0xab; 32] };
    write("head", "line", head.text(&head_key()) + "\n");
    write("head", "first", Head { id: 0, at: 0, hash: [0; 32], ..head.clone() }.text(&head_key()));
    write("head", "another_key", head.text(&ChainKey::derive(&Secret::new([2; 32]))));
    write("head", "cut", &head.text(&head_key())[..100]);
    write("root_key", "raw", [7; 32]);
    write("root_key", "hex", "07".repeat(32) + "\n");
    write("root_key", "base64", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n");
    write("root_key", "short", "07".repeat(31));
    let statement = StatementId { backend_start: 1, pid: 2, n: 3 };
    let least = record::encode(&Record::new(RecordKind::Intent, 4, statement));
    write("record", "least", &least);
    let mut full = Record::new(RecordKind::Outcome, -1, StatementId { backend_start: i64::MIN, pid: 1, n: u64::MAX });
    full.views = vec!["acme.customers".into()];
    full.columns = vec!["acme.customers.id".into(), "Zoë".into()];
    full.purpose = Some("support".into());
    full.rows_sent = Some(90);
    write("record", "more", record::encode(&full));
    write("record", "seam", "log continues in system 42 on timeline 2, after timeline 1");
    write("record", "not_canonical", [&least[..], &[0]].concat());
    write_parts(full);
    let log = LogKey::derive(&Secret::new([9; 32]));
    let payload = record::seal(&log, 1, 16_384, 42, &[9; 24], &least);
    write("payload", "record", &payload);
    write("payload", "other_database", record::seal(&log, 1, 16_385, 42, &[9; 24], &least));
    write("payload", "other_format", [&[2], &payload[1..]].concat());
}

/// A record's parts, alone and behind it.
fn write_parts(mut record: Record) {
    let private = targets::private().encode();
    let stored = private::seal(&targets::private_key(), 7, &[9; 24], &private);
    write("private_part", "part", &private);
    write("private_part", "nothing", Private::default().encode());
    write("private_part", "stored", &stored);
    write("private_part", "not_canonical", [&private[..1], &[0x18, 0x01], &private[2..]].concat());
    let key = SubjectKey::derive(&Secret::new([3; 32]), "public.customers.id");
    let set = |persons: &[&[u8]]| {
        let mut set = Set::default();
        persons.iter().for_each(|person| set.insert(key.hash(person), person));
        set
    };
    let few = |epoch, seen: &[&[u8]], scanned: &[&[u8]]| {
        Touched::new(7, ("public.customers.id", epoch), &key, &set(seen), &set(scanned), false)
    };
    let listed = few(2, &[b"1", b"2"], &[b"2", b"3"]);
    let filters = Touched {
        seen_filter: vec![vec![0x11; 32], vec![0xff; 64]],
        scanned_filter: vec![vec![0; 31], Vec::new()],
        ..few(3, &[], &[])
    };
    let subjects = subjects::encode(&[5; 16], vec![listed, Touched::undeclared(-1)]);
    write("subject_part", "listed", &subjects);
    write("subject_part", "filters", subjects::encode(&[5; 16], vec![filters]));
    write("subject_part", "nobody", subjects::encode(&[5; 16], Vec::new()));
    write("subject_part", "not_canonical", [&subjects[..1], &[0x18, 0x01], &subjects[2..]].concat());
    record.scopes = vec![7, -1];
    let both = record::join(&mut record, &Parts { private: Some(private.clone()), subjects: Some(subjects.clone()) });
    write("message", "both", &both);
    write("message", "swapped", [&record::encode(&record)[..], &subjects, &private].concat());
    write("message", "longer", [&both[..], &[0]].concat());
    write("message", "one", record::join(&mut record, &Parts { private: None, subjects: Some(subjects) }));
    write("message", "alone", record::join(&mut record, &Parts::default()));
}
