//! What a released version leaves behind, kept in the repository: `sql/releases/` has its install script, and
//! `tests/releases/VERSION/` a database that its library wrote, with what the sub-processors read in it.
//!
//! | file | holds |
//! |---|---|
//! | `root.key` | the root key of that database; it guards nothing else |
//! | `roles.sql` | `pg_dumpall --globals-only` |
//! | `database.sql` | `pg_dump` |
//! | `reads.txt` | the answers of [`READS`] |

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::fixture;
use crate::process::{eventually, run};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who reads what.
pub const READS: [(&str, &str); 4] = [
    ("acme", "SELECT * FROM acme.customers ORDER BY id"),
    ("globex", "SELECT * FROM globex.customers ORDER BY id"),
    ("app", "SELECT id, airlock.decrypt(ssn), airlock.decrypt(pay, NULL::numeric), airlock.decrypt(diary) FROM public.customers ORDER BY id"),
    ("app", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0042'"),
];

/// The answers of all [`READS`], as text.
pub fn reads(cluster: &Cluster) -> String {
    let mut text = String::new();
    for (user, sql) in READS {
        text.push_str(&format!("-- {user}: {sql}\n"));
        for row in cluster.sql(user, sql).ok().rows {
            let row: Vec<String> = row.into_iter().map(|v| v.unwrap_or_else(|| "\\N".into())).collect();
            text.push_str(&format!("{}\n", row.join("|")));
        }
    }
    text
}

/// A released version.
#[derive(Debug)]
pub struct Release {
    /// As in `0.1.0`.
    pub version: String,
    folder: PathBuf,
}

impl Release {
    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases")
    }

    /// All of them.
    pub fn all() -> Vec<Release> {
        let folders = fs::read_dir(Self::folder()).expect("tests/releases").map(|e| e.expect("an entry").path());
        let version = |folder: &PathBuf| folder.file_name().expect("a name").to_string_lossy().into_owned();
        folders.map(|folder| Release { version: version(&folder), folder }).collect()
    }

    /// One of its files.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|e| panic!("{name} of release {}: {e}", self.version))
    }

    /// A running cluster with its database in it, the extension's SQL objects those of the given version.
    pub fn restored(&self, version: &str) -> Cluster {
        let mut cluster = Cluster::initdb(Postgres::main());
        cluster.write_key(self.text("root.key").trim());
        cluster.preload();
        cluster.start();
        cluster.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
        // says that role "postgres" exists
        psql(cluster.client("psql", "postgres").args(["-d", "postgres"]), &self.text("roles.sql"));
        let create = "CREATE EXTENSION IF NOT EXISTS pg_airlock WITH SCHEMA airlock";
        let database = self.text("database.sql");
        assert!(database.contains(create), "the dump makes the extension in another way");
        let database = database.replace(create, &format!("{create} VERSION '{version}'"));
        let mut restore = cluster.client("psql", "postgres");
        restore
            .args(["-d", DATABASE, "-v", "ON_ERROR_STOP=1"])
            .env("PGOPTIONS", "-c airlock.encrypted_input=ciphertext");
        psql(&mut restore, &database);
        fixture::open(&cluster);
        cluster
    }
}

/// Runs a script; psql decides what an error is.
fn psql(command: &mut Command, script: &str) {
    command.args(["-X", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start psql");
    let mut stdin = child.stdin.take().expect("stdin");
    let script = script.to_string();
    // beside us: psql prints while it reads
    let writer = std::thread::spawn(move || drop(stdin.write_all(script.as_bytes())));
    let output = child.wait_with_output().expect("psql ends");
    writer.join().expect("the script is written");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Version of the SQL objects in the extension's database.
pub fn version(cluster: &Cluster) -> String {
    cluster.admin("SELECT extversion FROM pg_extension WHERE extname = 'pg_airlock'").value().to_string()
}

/// Writes the files of the version under test: `make release` runs it.
#[test]
#[ignore = "writes into the source tree"]
fn write_this_release() {
    let cluster = fixture::running();
    let texts = reads(&cluster);
    eventually("the log is settled", || {
        let pending = "SELECT count(*) FROM airlock.access_log WHERE hash IS NULL OR outcome IS NULL";
        (cluster.admin(pending).value() == "0").then_some(())
    });
    let folder = Release::folder().join(version(&cluster));
    fs::create_dir_all(&folder).expect("create the release's folder");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("write a file of the release");
    write("root.key", fs::read_to_string(cluster.dir.join("root.key")).expect("root.key"));
    write("roles.sql", run(cluster.client("pg_dumpall", "postgres").arg("--globals-only")));
    write("database.sql", run(cluster.client("pg_dump", "postgres").arg(DATABASE)));
    write("reads.txt", texts);
}
