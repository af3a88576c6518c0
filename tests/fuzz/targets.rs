//! What is fuzzed: every decoder of bytes or text that comes from outside. Each takes whatever there is without a panic,
//! and what it reads has one spelling: written again, it gives the bytes that were read.
//!
//! `make fuzz` runs these under libFuzzer; `tests/fuzz_replay.rs` runs them over the committed corpus with each `cargo
//! test`. To keep a crash as a test, put its file into `corpus/TARGET/`.

use pg_airlock::pure::envelope::{self, CarrierKey, Sealing};
use pg_airlock::pure::head::Head;
use pg_airlock::pure::keyring::{self, ChainKey, LogKey, PrivateKey, RootKey, SealKey, Secret, Use, Wrapping};
use pg_airlock::pure::mask::literal;
use pg_airlock::pure::name;
use pg_airlock::pure::normalise::normalise;
use pg_airlock::pure::plaintext::{self, PlainType};
use pg_airlock::pure::record::private::{self, Private};
use pg_airlock::pure::record::{self, RecordKind};
use pg_airlock::pure::scope::parse::parse;
use pg_airlock::pure::scope::render::{render, Ids};
use pg_airlock::pure::scope::resolve::{resolve, Request, ViewPlan};
use pg_airlock::pure::scope::{Column, EncryptedColumn, TableShape};
use pg_airlock::pure::seam::Seam;
use pg_airlock::pure::subjects;
use pg_airlock::pure::subprocessor;
use pg_airlock::pure::tag::MatchTag;

/// What is done with one input.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora and of `fuzz_targets/NAME.rs`.
pub const TARGETS: &[(&str, Target)] = &[
    ("envelope", envelope),
    ("envelope_text", envelope_text),
    ("carrier", carrier),
    ("wrapped_key", wrapped_key),
    ("root_key", root_key),
    ("plaintext", plaintext),
    ("record", record),
    ("message", message),
    ("subject_part", subject_part),
    ("private_part", private_part),
    ("payload", payload),
    ("scope", scope),
    ("literal", literal),
    ("names", names),
    ("statement", statement),
    ("register", register),
    ("head", head),
];

/// The column and key that sealed values of the corpus are for.
pub const COLUMN: [u8; 16] = *b"column of a test";

/// The key of the corpus; its number is 7.
pub fn seal_key() -> SealKey {
    SealKey::derive(&Secret::new([1; 32]))
}

fn types() -> impl Iterator<Item = PlainType> {
    (0..=u8::MAX).filter_map(PlainType::from_code)
}

/// Bytes of a stored value: parse, open, decode.
pub fn envelope(data: &[u8]) {
    let Ok(header) = envelope::parse(data) else { return };
    let key = seal_key();
    for plain_type in types() {
        let Ok(plain) = envelope::open(data, &key, &COLUMN, plain_type) else { continue };
        // only who has the key writes what opens; then each byte is as it would be written
        let tag = header.tag.and_then(MatchTag::from_bytes);
        let sealing = Sealing {
            key: &key,
            version_id: header.version_id,
            column_uuid: &COLUMN,
            plain_type,
            tag,
            padded: header.padded,
        };
        let at = 6 + header.tag.map_or(0, <[u8]>::len);
        let nonce = data[at..at + 24].try_into().expect("a nonce");
        assert_eq!(envelope::seal(&sealing, nonce, &plain), data);
        let _ = plaintext::decode(plain_type, plain, header.padded);
    }
}

/// The text of a stored value.
pub fn envelope_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = envelope::from_text(text) {
        assert!(envelope::looks_like_ciphertext(text) && envelope::parse(&bytes).is_ok());
        assert_eq!(envelope::to_text(&bytes), text);
    }
}

/// A literal on its way.
pub fn carrier(data: &[u8]) {
    let key = CarrierKey::new(&[8; 32]);
    if let Ok(text) = envelope::open_carrier(&key, data) {
        assert!(envelope::is_carrier(data));
        let nonce = data[1..13].try_into().expect("a nonce");
        assert_eq!(envelope::seal_carrier(&key, nonce, &text), data);
    }
}

/// A secret under the root key.
pub fn wrapped_key(data: &[u8]) {
    let Ok(root) = RootKey::parse(&[7; 32]) else { return };
    let wrapping = Wrapping { usage: Use::Seal, key_uuid: [5; 16], version: 1, root_generation: 1 };
    if let Ok(secret) = keyring::unwrap(&root, data, &wrapping) {
        let nonce = data[1..25].try_into().expect("a nonce");
        assert_eq!(keyring::wrap(&root, &secret, &wrapping, nonce), data);
    }
}

/// The content of a root key file.
pub fn root_key(data: &[u8]) {
    if let Ok(root) = RootKey::parse(data) {
        assert!(root.matches(&root.check_value()));
        assert!(data.len() == 32 || data.is_ascii());
    }
}

/// Bytes that were sealed, as each type.
pub fn plaintext(data: &[u8]) {
    for ty in types() {
        if let Ok(value) = plaintext::decode(ty, data.to_vec().into(), false) {
            assert_eq!(&*plaintext::encode(&value, 0), data);
            let _ = plaintext::canonical(&value);
        }
        if let Ok(value) = plaintext::decode(ty, data.to_vec().into(), true) {
            let pad = u16::try_from(data.len()).unwrap_or(u16::MAX);
            assert!(plaintext::is_padded(ty, pad));
            if usize::from(pad) == data.len() {
                assert_eq!(&*plaintext::encode(&value, pad), data);
            }
        }
    }
}

/// A read record.
pub fn record(data: &[u8]) {
    if let Ok(read) = record::decode(data) {
        assert_eq!(record::encode(&read), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        for kind in [RecordKind::Finding, RecordKind::Configuration] {
            if let Some((seam, place)) = Seam::read(kind, text) {
                assert_eq!((seam.kind(), seam.detail(place).as_str()), (kind, text));
            }
        }
    }
}

/// A read record and the parts that travel with it.
pub fn message(data: &[u8]) {
    if let Ok((mut read, parts)) = record::split(data) {
        assert_eq!(record::join(&mut read, &parts), data);
    }
}

/// What a record says about data subjects.
pub fn subject_part(data: &[u8]) {
    if let Ok((salt, touched)) = subjects::decode(data) {
        for t in &touched {
            // its counts and layers may be any
            let _ = t.certainty(&[7; 16], u64::MAX);
        }
        assert_eq!(subjects::encode(&salt, touched), data);
    }
}

/// The private part of the corpus, which a record would name.
pub fn private() -> Private {
    let (constants, parameters) = (vec!["'Zoë'".into(), "42".into()], vec![None, Some("a@b.example".into())]);
    Private { salt: [5; 16], constants, parameters, cut: false }
}

/// The key that it is stored under.
pub fn private_key() -> PrivateKey {
    PrivateKey::derive(&Secret::new([9; 32]))
}

/// Constants and parameters of a statement, as they travel and as they are stored.
pub fn private_part(data: &[u8]) {
    if let Ok(mut part) = Private::decode(data) {
        assert_eq!(part.encode(), data);
        part.limit();
        assert!(Private::decode(&part.encode()).is_ok_and(|again| again == part));
    }
    let (key, version) = (private_key(), private::key_version(data));
    if let Ok(part) = private::open(&key, data, &record::hash(&private().encode())) {
        let nonce = data[4..28].try_into().expect("a nonce");
        assert_eq!(private::seal(&key, version.expect("a version"), nonce, &part), data);
    }
}

/// The payload of a message in the WAL.
pub fn payload(data: &[u8]) {
    let key = LogKey::derive(&Secret::new([9; 32]));
    let version = record::key_version(data);
    if let Ok(read) = record::open(&key, data, 16_384, 42) {
        let nonce = data[5..29].try_into().expect("a nonce");
        assert_eq!(record::seal(&key, version.expect("a version"), 16_384, 42, nonce, &read), data);
    }
}

fn table() -> TableShape {
    let column = |sql_type: &str, encrypted: bool| Column {
        name: sql_type.split(' ').next().unwrap_or_default().to_string(),
        sql_type: sql_type.to_string(),
        plain: PlainType::from_name(sql_type),
        encrypted: encrypted.then(|| EncryptedColumn {
            column_no: 1,
            key_name: "pii".into(),
            searchable: true,
            bind: Vec::new(),
        }),
        not_null: false,
        computed: false,
    };
    let types = [
        "text",
        "integer",
        "bigint",
        "numeric",
        "date",
        "timestamp with time zone",
        "boolean",
        "uuid",
        "jsonb",
        "bytea",
        "inet",
    ];
    TableShape {
        schema: "public".into(),
        name: "customers".into(),
        columns: types.iter().map(|ty| column(ty, ["bigint", "date"].contains(ty))).collect(),
        primary_key: vec!["integer".into()],
        unique: vec![vec!["text".into()]],
        foreign_keys: Vec::new(),
        other_keys: Vec::new(),
    }
}

/// The JSON of a scope, to the views that it asks for.
pub fn planned(data: &[u8]) -> Option<ViewPlan> {
    let table = table();
    let scope = parse(&serde_json::from_slice(data).ok()?, &table).ok()?;
    let request = Request {
        subprocessor: "acme",
        scope: &scope,
        table: &table,
        view_schema: "acme",
        view_name: "customers",
        row_filter: None,
        filter_columns: &[],
        subject: &["integer".to_string()],
        existing: &[],
    };
    resolve(&request).ok()
}

/// The JSON of a scope, to the SQL that it becomes.
pub fn scope(data: &[u8]) {
    let Some(plan) = planned(data) else { return };
    let rules: Vec<i32> = (1..).take(plan.columns.len()).collect();
    let ids = Ids { scope_id: 1, rule_ids: &rules };
    assert_eq!(render(&plan, &ids, "acme"), render(&plan, &ids, "acme"));
}

/// A literal of a mask's argument, as each type.
pub fn literal(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for ty in types() {
        if let Some(value) = literal::parse(ty, text) {
            let printed = literal::print(&value);
            let again = literal::parse(ty, &printed).expect("what was printed is read");
            assert!(plaintext::canonical(&again) == plaintext::canonical(&value), "{text:?} as {ty:?}: {printed:?}");
        }
    }
}

/// Names and expressions that become SQL.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for quoted in [name::ident(text), name::literal(text), name::type_name(text), name::shown(text)] {
        assert!(!quoted.is_empty());
    }
    let _ = name::qualified(text, text);
    let _ = name::check_name("a name", text);
    let _ = name::check_identifier(text);
    let _ = name::check_expression(text);
    let _ = name::json_path("$", text);
}

/// A statement, as it is kept without its constants.
pub fn statement(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for most in [0, 16, 8192] {
        assert!(normalise(text, most).len() <= most);
    }
}

/// What describes a sub-processor: networks, dates, changes.
pub fn register(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = subprocessor::parse_networks(&text.split(',').map(String::from).collect::<Vec<_>>());
        let _ = subprocessor::parse_date(text);
    }
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = subprocessor::check_details(&json);
        let _ = subprocessor::apply_changes(&json);
    }
}

/// A line that says how far the log went.
pub fn head(data: &[u8]) {
    let key = ChainKey::derive(&Secret::new([1; 32]));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(head) = Head::open(&key, text) {
        assert_eq!(head.text(&key), text.trim());
    }
}
