//! Encrypted columns: opening a scan's values against pgcrypto and against the cipher alone, and writing them.

use super::Bench;
use crate::cluster::Cluster;
use crate::load::{milliseconds, script};
use crate::report::{Line, Target};
use crate::rounds::{interleaved, net};
use crate::world::settled;
use pg_airlock::pure::envelope::{self, Sealing};
use pg_airlock::pure::keyring::{SealKey, Secret};
use pg_airlock::pure::plaintext::PlainType;
use std::hint::black_box;
use std::time::Instant;

const COLUMN: [u8; 16] = [7; 16];
/// What 11 bytes are padded to.
const SIZE: usize = 16;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    let mut lines = opening(bench, cluster);
    lines.extend(writing(bench, cluster));
    lines
}

fn opening(bench: &Bench, cluster: &Cluster) -> Vec<Line> {
    let key = "'\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'";
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE EXTENSION pgcrypto; CREATE ROLE app LOGIN; SELECT airlock.grant_decrypt('pii', 'app');
             CREATE TABLE public.value (id bigint, sealed airlock.encrypted('pii'), raw bytea); ALTER TABLE public.value OWNER TO app;
             INSERT INTO public.value SELECT g, v, encrypt(convert_to(v, 'UTF8'), {key}, 'aes')
               FROM generate_series(1, {}) g, LATERAL (SELECT lpad(g::text, 11, '0') AS v) s",
            bench.rows
        ),
    );
    script(cluster, "postgres", "VACUUM (FREEZE, ANALYZE) public.value");
    settled(cluster);
    let mut conn = cluster.connect("app");
    let mut timed = |what: &str| milliseconds(&mut conn, &format!("SELECT count({what}) FROM public.value"));
    let timed = std::cell::RefCell::new(&mut timed);
    let theirs = format!("decrypt(raw, {key}, 'aes')");
    let mut cipher = cipher_alone(bench.rows);
    let [base, ours, theirs, alone] = interleaved(
        bench.rounds,
        [
            &mut || (timed.borrow_mut())("id"),
            &mut || (timed.borrow_mut())("airlock.decrypt(sealed)"),
            &mut || (timed.borrow_mut())(&theirs),
            &mut cipher,
        ],
    );
    let (ours, theirs) = (net(&ours, &base), net(&theirs, &base));
    vec![
        Line::pair("decrypt / pgcrypto's decrypt(), net of the scan", "ms", &ours, &theirs, Target::AtMost(0.333)),
        Line::pair("decrypt, net of the scan / the cipher alone", "ms", &ours, &alone, Target::AtMost(1.6)),
    ]
}

/// Opens as many values in this process, without a server: what `open/16` of the bench of the pure half measures.
fn cipher_alone(rows: u64) -> impl FnMut() -> f64 {
    let key = SealKey::derive(&Secret::new([1; 32]));
    let sealing = Sealing {
        key: &key,
        version_id: 1,
        column_uuid: &COLUMN,
        plain_type: PlainType::Text,
        tag: None,
        padded: false,
    };
    let sealed: Vec<Vec<u8>> = (0..1_000_u64)
        .map(|n| {
            // values that were loaded together have the first half of their nonces in common
            let mut nonce = [3; 24];
            nonce[16..].copy_from_slice(&n.to_be_bytes());
            envelope::seal(&sealing, &nonce, &[b'x'; SIZE])
        })
        .collect();
    move || {
        let start = Instant::now();
        for n in 0..rows {
            let value = &sealed[n as usize % sealed.len()];
            black_box(envelope::open(black_box(value), &key, &COLUMN, PlainType::Text).expect("it opens"));
        }
        start.elapsed().as_secs_f64() * 1e3
    }
}

fn writing(bench: &Bench, cluster: &Cluster) -> Vec<Line> {
    let rows = bench.rows / 5;
    let file = cluster.dir.join("values.tsv");
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE TABLE public.into_plain (id bigint, v text);
             CREATE TABLE public.into_sealed (id bigint, v airlock.encrypted('pii'));
             CREATE TABLE public.into_searchable (id bigint, v airlock.encrypted_eq('pii'));
             COPY (SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {rows}) g) TO '{}'",
            file.display()
        ),
    );
    let mut conn = cluster.connect("postgres");
    let mut into = |table: &str, sql: &str| {
        conn.query(&format!("TRUNCATE public.{table}")).ok();
        milliseconds(&mut conn, &sql.replace("TABLE", table))
    };
    let into = std::cell::RefCell::new(&mut into);
    let insert = format!("INSERT INTO public.TABLE SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {rows}) g");
    let copy = format!("COPY public.TABLE FROM '{}'", file.display());
    let mut lines = Vec::new();
    for (what, sql, target) in [("INSERT … SELECT", &insert, 1.25), ("COPY FROM", &copy, 1.4)] {
        let [plain, sealed, searchable] = interleaved(
            bench.rounds,
            [
                &mut || (into.borrow_mut())("into_plain", sql),
                &mut || (into.borrow_mut())("into_sealed", sql),
                &mut || (into.borrow_mut())("into_searchable", sql),
            ],
        );
        lines.push(Line::pair(format!("{what}, encrypted / text"), "ms", &sealed, &plain, Target::AtMost(target)));
        lines.push(Line::pair(format!("{what}, searchable / text"), "ms", &searchable, &plain, Target::Open));
    }
    lines
}
