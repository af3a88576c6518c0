//! Invariant 5, plaintext never reaches disk: a unique text goes into an encrypted column by every way in, and is then
//! looked for in each file of the data directory, in the server's log and in a dump. The same text in a plain column is
//! found in each of them, or the search would prove nothing. Neither is the root key found, in any spelling.

use crate::cluster::Cluster;
use crate::fixture;
use crate::process::{hex, run};
use std::fs;
use std::path::{Path, PathBuf};

/// Enough copies that a page boundary through one of them hides nothing.
const COPIES: usize = 40;

/// The files below a directory that hold the needle.
pub fn files_with(needle: &[u8], dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("read a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(needle, &path));
        } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, needle)) {
            found.push(path);
        }
    }
    found
}

pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    // a plain loop: it reads a few hundred megabytes, unoptimised
    let (first, last) = (needle[0], bytes.len().saturating_sub(needle.len() - 1));
    let mut i = 0;
    while i < last {
        if bytes[i] == first && bytes[i..].starts_with(needle) {
            return true;
        }
        i += 1;
    }
    false
}

/// Where the needle lies.
pub fn places(cluster: &Cluster, needle: &[u8]) -> Vec<&'static str> {
    let data = cluster.data();
    let files = files_with(needle, &data);
    let dump = run(cluster.client("pg_dump", "postgres").arg("app"));
    let mut places = Vec::new();
    for (place, found) in [
        ("heap", files.iter().any(|f| f.starts_with(data.join("base")))),
        ("wal", files.iter().any(|f| f.starts_with(data.join("pg_wal")))),
        ("elsewhere", files.iter().any(|f| !f.starts_with(data.join("base")) && !f.starts_with(data.join("pg_wal")))),
        ("log", contains(&fs::read(cluster.dir.join("log")).unwrap(), needle)),
        ("dump", contains(dump.as_bytes(), needle)),
    ] {
        if found {
            places.push(place);
        }
    }
    places
}

/// Writes the sentinel into column `secret` of a table, by literal, parameter, COPY and UPDATE, as the application does.
fn write(cluster: &Cluster, table: &str, sentinel: &str) {
    let mut app = cluster.connect("app");
    for n in 0..COPIES {
        app.query(&format!("INSERT INTO {table} VALUES ({n}, '{sentinel}')")).ok();
        app.extended(&format!("INSERT INTO {table} VALUES ($1, $2)"), &[Some(&(1000 + n).to_string()), Some(sentinel)])
            .ok();
    }
    let lines: String = (0..COPIES).map(|n| format!("{}\t{sentinel}\n", 2000 + n)).collect();
    let copied = app.copy_in(&format!("COPY {table} FROM STDIN"), &lines).ok();
    assert_eq!(copied.tags, [format!("COPY {COPIES}")]);
    app.query(&format!("UPDATE {table} SET secret = '{sentinel}' WHERE id % 2 = 0")).ok();
    app.query(&format!("PREPARE p(text) AS UPDATE {table} SET secret = $1 WHERE id = 1")).ok();
    app.query(&format!("EXECUTE p('{sentinel}')")).ok();
    app.query(&format!("BEGIN; INSERT INTO {table} VALUES (9999, '{sentinel}'); ROLLBACK")).ok();
    app.query(&format!("VACUUM ANALYZE {table}")).ok();
    cluster.admin("CHECKPOINT");
}

fn prepared() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(
        "CREATE TABLE public.sealed (id int, secret airlock.encrypted('pii'));
         CREATE TABLE public.sealed_eq (id int, secret airlock.encrypted_eq('pii'));
         CREATE TABLE public.open (id int, secret text);
         ALTER TABLE public.sealed OWNER TO app; ALTER TABLE public.sealed_eq OWNER TO app; ALTER TABLE public.open OWNER TO app",
    );
    cluster
}

#[test]
fn plaintext_of_an_encrypted_column_is_nowhere_on_disk() {
    let cluster = prepared();
    for table in ["public.sealed", "public.sealed_eq"] {
        let sentinel = format!("SENTINEL.{}.{}", table, std::process::id());
        write(&cluster, table, &sentinel);
        // it is there for who may read it, and only for them
        let opened =
            cluster.sql("app", &format!("SELECT count(*) FROM {table} WHERE secret::text = '{sentinel}'")).value();
        assert_eq!(opened, (3 * COPIES).to_string());
        assert_eq!(places(&cluster, sentinel.as_bytes()), Vec::<&str>::new(), "{table}");
    }
}

#[test]
fn plaintext_read_through_a_scoped_view_is_nowhere_on_disk() {
    let cluster = prepared();
    let sentinel = format!("SENTINEL.view.{}", std::process::id());
    write(&cluster, "public.sealed", &sentinel);
    cluster.admin("SELECT airlock.create_scope('acme', 'public.sealed', '{\"id\": \"clear\", \"secret\": \"clear\"}')");
    let mut acme = cluster.connect_as("acme", &sentinel[..8]);
    assert_eq!(acme.query("SELECT secret FROM acme.sealed").ok().first()[0], sentinel, "the reader does see it");
    // in an error text, a sort, a constant of the statement, and after the record was settled
    assert_eq!(
        acme.query(&format!("SELECT secret FROM acme.sealed WHERE secret = '{sentinel}' ORDER BY secret"))
            .ok()
            .received,
        3 * COPIES
    );
    acme.query("SELECT count(DISTINCT secret) FROM acme.sealed").ok();
    fixture::settled(&cluster, &sentinel[..8], 3);
    cluster.admin("CHECKPOINT");
    assert_eq!(places(&cluster, sentinel.as_bytes()), Vec::<&str>::new());
}

#[test]
fn encrypt_column_leaves_no_plaintext_in_the_table_and_its_statistics() {
    let cluster = prepared();
    let sentinel = format!("SENTINEL.before.{}", std::process::id());
    write(&cluster, "public.open", &sentinel);
    cluster.admin("SELECT airlock.encrypt_column('public.open', 'secret', key => 'pii', searchable => true)");
    // as the notice says: the rows that ANALYZE wrote are deleted, their bytes go with the file
    cluster.admin("VACUUM FULL pg_catalog.pg_statistic");
    cluster.admin("CHECKPOINT");
    // WAL and backups of before are said to hold it still; the table and its statistics must not
    assert_eq!(files_with(sentinel.as_bytes(), &cluster.data().join("base")), Vec::<PathBuf>::new());
    let opened = cluster.sql("app", &format!("SELECT count(*) FROM public.open WHERE secret = '{sentinel}'")).value();
    assert_eq!(opened, (3 * COPIES).to_string());
}

#[test]
fn control_the_same_text_in_a_plain_column_is_found_in_each_place() {
    let mut cluster = prepared();
    cluster.set("log_statement", "all");
    cluster.restart();
    let sentinel = format!("SENTINEL.plain.{}", std::process::id());
    write(&cluster, "public.open", &sentinel);
    assert_eq!(places(&cluster, sentinel.as_bytes()), ["heap", "wal", "log", "dump"]);
}

#[test]
fn the_root_key_is_nowhere_in_the_cluster() {
    let cluster = prepared();
    write(&cluster, "public.sealed", "x");
    // provoke errors with keys in reach: a wrong key, a damaged value, a refused read
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap().trim().to_string();
    let raw: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
    for sql in
        ["SELECT 'airlock:1:AAAA'::airlock.encrypted", "SELECT airlock.decrypt(NULL::airlock.encrypted)", "SHOW ALL"]
    {
        cluster.sql("app", sql);
    }
    cluster.admin("SET client_min_messages = log; SET debug_print_plan = on; SELECT secret FROM public.sealed");
    let decimal = raw.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    for spelling in [raw.clone(), hex(&raw).into_bytes(), base64(&raw).into_bytes(), decimal.into_bytes()] {
        assert_eq!(places(&cluster, &spelling), Vec::<&str>::new());
    }
    let key_file = fs::read(cluster.dir.join("root.key")).unwrap();
    assert!(contains(&key_file, hex(&raw).as_bytes()), "control: the search finds the key where it lies");
}

pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let n = three.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            out.push(if i <= three.len() { DIGITS[(n >> (18 - 6 * i)) as usize & 63] as char } else { '=' });
        }
    }
    out
}

#[test]
fn base64_is_spelled_as_everybody_does() {
    assert_eq!([base64(b"f"), base64(b"fo"), base64(b"foo"), base64(b"foob")], ["Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
}
