//! What the pure half costs: seal and open by size, each mask, a read record, a chain link.
//!
//! `cargo bench --no-default-features --bench pure`; `benches/README.md` says what each group measures.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros write public functions; a bench may fail loudly

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, BatchSize, BenchmarkId, Criterion, Throughput};
use pg_airlock::pure::chain::{self, GENESIS};
use pg_airlock::pure::envelope::{self, Sealing};
use pg_airlock::pure::keyring::{ChainKey, LogKey, MaskKey, SealKey, Seals, Secret};
use pg_airlock::pure::mask::{Context, Mask};
use pg_airlock::pure::normalise::normalise;
use pg_airlock::pure::plaintext::{PlainType, Value};
use pg_airlock::pure::record::{self, Outcome, Record, RecordKind, StatementId};
use serde_json::json;

/// An ssn, a short name, a paragraph, a document.
const SIZES: [usize; 4] = [11, 64, 1024, 16_384];
const COLUMN: [u8; 16] = [7; 16];
const STATEMENT: &str = "SELECT name, avg(fare) FROM harbour_stats.passengers -- by class\n  WHERE pclass = 3 \
                         AND embarked IN ('S', 'C') AND age > 18.5 GROUP BY name ORDER BY 2 DESC LIMIT 10";

/// A new nonce for each call, as the server has; a counter is enough where nothing is kept.
fn nonces() -> impl FnMut() -> [u8; 24] {
    let mut n = 0u64;
    move || {
        n += 1;
        let mut nonce = [0; 24];
        nonce[16..].copy_from_slice(&n.to_be_bytes());
        nonce
    }
}

fn envelope(c: &mut Criterion) {
    let key = SealKey::derive(&Secret::new([1; 32]));
    let kept = key.under(&[0; 12]);
    let keys: [(&str, &dyn Seals); 2] = [("", &key), (" kept", &kept)];
    for (name, open, (of, with)) in keys.into_iter().flat_map(|key| [("seal", false, key), ("open", true, key)]) {
        let sealing = Sealing {
            key: with,
            version_id: 1,
            column_uuid: &COLUMN,
            plain_type: PlainType::Text,
            tag: None,
            padded: false,
        };
        let mut group = c.benchmark_group(format!("{name}{of}"));
        for size in SIZES {
            let plain = vec![b'x'; size];
            let mut nonce = nonces();
            let sealed = envelope::seal(&sealing, &nonce(), &plain);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                if open {
                    b.iter(|| envelope::open(black_box(&sealed), with, &COLUMN, PlainType::Text).unwrap());
                } else {
                    b.iter(|| envelope::seal(&sealing, &nonce(), black_box(&plain)));
                }
            });
        }
        group.finish();
    }
}

/// About 1 KiB.
fn document() -> Value {
    let items: Vec<_> = (0..20).map(|n| json!({"sku": format!("A{n}"), "price": n, "note": "for florence"})).collect();
    Value::Jsonb(json!({"ssn": "123-45-6789", "items": items}).to_string())
}

/// Every mask with arguments a scope would have, and a value it works on.
fn masks() -> Vec<(&'static str, serde_json::Value, Value)> {
    let name = || Value::Text("Cumings, Mrs. John Bradley (Florence Briggs Thayer)".into());
    let born = || Value::Date(-7_304);
    vec![
        ("nullify", json!({}), name()),
        ("constant", json!({"value": "hidden"}), name()),
        ("redact", json!({}), name()),
        ("redact", json!({"keep_length": true, "keep_space": true}), name()),
        ("partial", json!({"right": 4}), Value::Text("123-45-6789".into())),
        ("initials", json!({}), name()),
        ("date_trunc", json!({"unit": "year"}), born()),
        ("age_band", json!({"year": 2026}), born()),
        ("bucket", json!({"step": 10}), Value::Int4(4_711)),
        ("bucket", json!({"step": 10}), Value::Numeric("71.2833".into())),
        ("email", json!({"show": "first"}), Value::Text("florence@example.com".into())),
        ("phone", json!({}), Value::Text("+33 6 39 98 01 23".into())),
        ("card", json!({}), Value::Text("4111 1111 1111 1111".into())),
        ("iban", json!({}), Value::Text("GB29 NWBK 6016 1331 9268 19".into())),
        ("url", json!({}), Value::Text("https://ada:pw@shop.example.com:8443/o/42?t=1#x".into())),
        ("round_sig", json!({"digits": 2}), Value::Int4(48_213)),
        ("round_sig", json!({"digits": 2}), Value::Numeric("48213.2".into())),
        ("clamp", json!({"low": 20_000, "high": 40_000}), Value::Int4(45_489)),
        ("json", json!({"keep": ["$.items[*].sku"]}), document()),
        ("regex", json!({"pattern": "([A-Z]{2})-[0-9]{7}", "replace": "$1-*******"}), Value::Text("AB-1234567".into())),
        ("pseudonym_int", json!({}), Value::Int8(4_711)),
        ("pseudonym_uuid", json!({}), Value::Uuid([7; 16])),
        ("fpe", json!({}), Value::Text("4111 1111 1111 1111".into())),
        ("hash_bucket", json!({}), Value::Int8(4_711)),
        ("fake", json!({"kind": "full_name"}), name()),
        ("ip_prefix", json!({}), Value::Inet("198.51.100.77/32".parse().unwrap())),
        ("ip_prefix", json!({}), Value::Text("2001:db8:1:2::5".into())),
        ("date_shift", json!({"days": 30}), born()),
        ("noise", json!({"abs": 100}), Value::Int4(48_213)),
        ("noise", json!({"abs": 0.5, "ratio": 0.1}), Value::Numeric("48213.27".into())),
        ("pseudonym", json!({}), Value::Text("florence@example.com".into())),
        ("pseudonym", json!({}), Value::Int8(4_711)),
    ]
}

fn mask(c: &mut Criterion) {
    let secret = MaskKey::derive(&Secret::new([2; 32]));
    let mut group = c.benchmark_group("mask");
    for (name, args, value) in masks() {
        let ty = value.plain_type();
        let mask = Mask::parse(name, args.as_object().unwrap(), "$.column", ty).unwrap();
        let key = secret.rule_key(name, "");
        let context =
            Context { year: 2026, key: mask.keyed().then_some(&key), domain: "", subject: Some(&[Value::Int8(1)]) };
        let detail = if args == json!({}) { String::new() } else { format!(" {args}") };
        group.bench_function(format!("{name}/{}{detail}", ty.sql_name()), |b| {
            b.iter(|| mask.apply(black_box(&value), &context).unwrap());
        });
    }
    group.finish();
    for properties in Mask::all() {
        assert!(masks().iter().any(|m| m.0 == properties.name), "mask {} has no bench", properties.name);
    }
}

fn example() -> Record {
    let id = StatementId { backend_start: 812_345_600_000_000, pid: 4242, n: 7 };
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
        columns: ["name", "fare", "pclass", "embarked", "age"].map(|c| format!("harbour_stats.passengers.{c}")).into(),
        purpose: Some("passenger statistics".into()),
        statement: normalise(STATEMENT, record::MAX_STATEMENT),
        outcome: Some(Outcome::Ok),
        rows_sent: Some(891),
        bytes_sent: Some(70_000),
        duration_us: Some(1_234),
        ..Record::new(RecordKind::Outcome, 812_345_678_901_234, id)
    }
}

fn read_record(c: &mut Criterion) {
    let key = LogKey::derive(&Secret::new([3; 32]));
    let example = example();
    let encoded = record::encode(&example);
    let mut nonce = nonces();
    let payload = record::seal(&key, 1, 16_384, 1, &nonce(), &encoded);

    let mut group = c.benchmark_group("record");
    group.bench_function("normalise", |b| b.iter(|| normalise(black_box(STATEMENT), record::MAX_STATEMENT)));
    group.bench_function("encode", |b| b.iter(|| record::encode(black_box(&example))));
    group.bench_function("encode and seal", |b| {
        b.iter(|| record::seal(&key, 1, 16_384, 1, &nonce(), &record::encode(black_box(&example))));
    });
    group.bench_function("open and decode", |b| {
        b.iter(|| record::decode(&record::open(&key, black_box(&payload), 16_384, 1).unwrap()).unwrap());
    });
    group.finish();
}

fn chain_link(c: &mut Criterion) {
    let key = ChainKey::derive(&Secret::new([4; 32]));
    let encoded = record::encode(&example());
    let mut group = c.benchmark_group("chain");
    group.bench_function("link", |b| b.iter(|| chain::link(&key, &GENESIS, 1, black_box(&encoded))));

    const ROWS: usize = 1_000;
    let mut rows = Vec::with_capacity(ROWS);
    let mut head = GENESIS;
    for id in 1..=ROWS as i64 {
        head = chain::link(&key, &head, id, &encoded);
        rows.push((id, head));
    }
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("verify 1000", |b| {
        let verify = |mut verifier: chain::Verifier<'_>| {
            for (id, hash) in &rows {
                verifier.feed(*id, &encoded, Some(hash)).unwrap();
            }
            verifier.end(ROWS as i64, &head).unwrap()
        };
        b.iter_batched(|| chain::Verifier::new(&key), verify, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, envelope, mask, read_record, chain_link);
criterion_main!(benches);
