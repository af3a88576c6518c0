//! Drivers that applications use, each in a program of its own below tests/drivers: text, typed and NULL parameters, both
//! protocols, prepared statements, batches, COPY, arrays, reading and searching. The program says what it did and with
//! which rows; the rows are then held against what they must be, and nothing of them lies on disk.
//!
//! `make drivers` installs them; `make test-drivers` runs these tests.

use crate::cluster::Cluster;
use crate::fixture;
use crate::process::both;
use crate::sentinel::places;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const TABLE: &str = "
    SELECT airlock.create_key('of_date', 'date'), airlock.create_key('of_int', 'integer'), airlock.create_key('of_bytea', 'bytea');
    CREATE TABLE public.of_driver (id int PRIMARY KEY, ssn airlock.encrypted_eq('pii'), note airlock.encrypted('pii'),
        born airlock.encrypted('of_date'), pay airlock.encrypted('money'), n airlock.encrypted('of_int'),
        doc airlock.encrypted('of_bytea'), tags airlock.encrypted('pii')[]);
    ALTER TABLE public.of_driver OWNER TO app;
    SELECT airlock.grant_decrypt(k, 'app') FROM unnest('{of_date,of_int,of_bytea}'::text[]) k;";

/// Every row as it must be, by its number; `born`, `pay` and `n` as text.
const ROWS: &str = "
    SELECT id, ssn::text = 'ssn-' || id AND note::text = 'Zoë ' || id AND airlock.decrypt(born, NULL::date) = date '1980-01-01' + id
        AND airlock.decrypt(pay) = id || '.50' AND airlock.decrypt(n, NULL::int) = 7 * id
        AND airlock.decrypt(doc, NULL::bytea) = ('\\x00' || lpad(to_hex(id), 2, '0') || 'ff')::bytea,
        num_nulls(ssn, note, born, pay, n, doc) = 6,
        tags[1]::text = 'a' || id AND tags[2] IS NULL AND tags[3]::text = 'b' || id AND array_length(tags, 1) = 3
      FROM public.of_driver ORDER BY id";

/// What every driver does.
const BASIC: [&str; 11] = [
    "text parameters",
    "typed parameters",
    "null",
    "prepared",
    "copy in, text",
    "arrays",
    "raw column",
    "decrypt",
    "where",
    "copy out, text",
    "ciphertext refused",
];

/// Where `make drivers` put them.
fn installed() -> PathBuf {
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/server/drivers");
    let dir = std::env::var("AIRLOCK_DRIVERS").or_else(|_| std::fs::read_to_string(&pointer));
    PathBuf::from(dir.expect("set AIRLOCK_DRIVERS, or run `make drivers`").trim())
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(name)
}

/// A Python program that finds the packages that `make drivers` installed.
pub fn python(program: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg(program).env("PYTHONPATH", installed().join("python")).env("PYTHONUTF8", "1");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a driver's program on a cluster of its own; `more` is what it does beside the basic list.
#[track_caller]
fn drive(mut program: Command, more: &[&str]) {
    let mut cluster = fixture::stopped();
    cluster.set("listen_addresses", "127.0.0.1");
    cluster.start();
    fixture::open(&cluster);
    cluster.admin(TABLE);
    program.env("PGHOST", &cluster.dir).env("PGPORT", cluster.port.to_string()).env("PGUSER", "app");
    let output = program.env("PGDATABASE", "app").output().unwrap_or_else(|e| panic!("{program:?}: {e}"));
    assert!(output.status.success(), "{program:?} failed:\n{}", both(&output));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let mut done = BTreeSet::new();
    let (mut nulls, mut arrays, mut written) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in said.lines() {
        let mut fields = line.split('\t');
        let what = fields.next().unwrap_or_default();
        done.insert(what);
        for id in fields {
            let of = match what {
                "null" => &mut nulls,
                "arrays" => &mut arrays,
                _ => &mut written,
            };
            of.insert(id.to_string());
        }
    }
    let expected: BTreeSet<&str> = BASIC.iter().chain(more).copied().collect();
    assert_eq!(done, expected, "what {program:?} did");
    hold(&cluster, &written, &nulls, &arrays);
    cluster.admin("CHECKPOINT");
    assert_eq!(places(&cluster, "Zoë".as_bytes()), Vec::<&str>::new());
}

fn hold(cluster: &Cluster, written: &BTreeSet<String>, nulls: &BTreeSet<String>, arrays: &BTreeSet<String>) {
    let rows = cluster.sql("app", ROWS).ok().rows;
    assert_eq!(rows.len(), written.len() + nulls.len() + arrays.len(), "rows: {rows:?}");
    for row in rows {
        let id = row[0].clone().unwrap_or_default();
        let is = |i: usize| row[i].as_deref() == Some("t");
        assert!(!written.contains(&id) || is(1), "row {id} is not what was written: {row:?}");
        assert!(!(nulls.contains(&id) || arrays.contains(&id)) || is(2), "row {id} is not NULL: {row:?}");
        assert!(!arrays.contains(&id) || is(3), "row {id} has another array: {row:?}");
        // what COPY brought in has tags too
        assert!(arrays.contains(&id) || row[3].is_none() || is(3), "row {id} has another array: {row:?}");
    }
    let values = cluster.admin("SELECT ssn, note, born, pay, n, doc, tags[1], tags[3] FROM public.of_driver");
    let values: Vec<String> = values.rows.into_iter().flatten().flatten().collect();
    assert!(values.iter().all(|v| v.starts_with("airlock:1:4Q")));
    let distinct: BTreeSet<&String> = values.iter().collect();
    assert_eq!(distinct.len(), values.len(), "each value has a nonce of its own");
}

#[test]
fn psycopg3() {
    let more = ["simple protocol", "many", "copy in, binary", "copy out, binary", "binary parameters"];
    drive(python(&source("python/with_psycopg3.py")), &more);
}

#[test]
fn psycopg2() {
    drive(python(&source("python/with_psycopg2.py")), &["many", "copy out, binary"]);
}

#[test]
fn asyncpg() {
    drive(python(&source("python/with_asyncpg.py")), &["simple protocol", "many", "copy out, binary"]);
}

#[test]
fn pg8000() {
    drive(python(&source("python/with_pg8000.py")), &["simple protocol", "copy out, binary"]);
}

#[test]
fn node() {
    let mut node = Command::new("node");
    // modules are looked for beside the program, so it lies where they were installed
    node.arg(installed().join("node/with_node_postgres.js"));
    drive(node, &["simple protocol"]);
}

#[test]
fn rust() {
    let program = Command::new(installed().join("rust/debug/with_tokio_postgres"));
    drive(program, &["simple protocol", "copy in, binary", "copy out, binary", "blocking"]);
}

#[test]
fn jdbc() {
    let mut java = Command::new("java");
    java.args(["-Dfile.encoding=UTF-8", "-cp", "/usr/share/java/postgresql.jar"]).arg(source("jdbc/WithJdbc.java"));
    drive(java, &["simple protocol", "many", "untyped parameters"]);
}

/// docs/format.md suffices to open a dump: a reader that was written from it, on another AEAD library, finds every value
/// that SQL finds.
#[test]
fn independent_reader() {
    crate::reader::opens_every_value_of_a_dump();
}
