//! Another library in the same server (`neighbour.c`): one that hooks what we hook, in any order, well or badly; and what
//! happens when a record cannot be written.

use crate::cluster::{Cluster, Postgres};
use crate::fixture::{self, logged, settled, VISIBLE};
use crate::process::run;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A library of these tests, compiled.
pub fn compiled(name: &str, arguments: &[&OsStr]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server").join(name).with_extension("c");
    let library = crate::cluster::base().join(name).with_extension("so");
    let mut cc = Command::new("cc");
    run(cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]).args(arguments).arg("-o").arg(&library).arg(source));
    library
}

/// The library, compiled for the server under test.
fn neighbour() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let postgres = Postgres::main();
        let said = |what: &str| run(Command::new(postgres.0.join("pg_config")).arg(what)).trim().to_string();
        // a copied installation of Debian's has its headers in their own place
        let own = PathBuf::from(said("--includedir-server"));
        let version = said("--version");
        let major = version.trim_start_matches("PostgreSQL ").split('.').next().unwrap_or_default().to_string();
        let headers = if own.exists() { own } else { Path::new("/usr/include/postgresql").join(major).join("server") };
        compiled("neighbour", &["-I".as_ref(), headers.as_os_str()])
    })
}

/// A running copy of the fixture with both libraries, the neighbour after us (or before), leaving out one of our hooks.
fn beside(after: bool, skip: &str) -> Cluster {
    let mut cluster = fixture::stopped();
    let other = neighbour().display();
    let both = if after { format!("pg_airlock, {other}") } else { format!("{other}, pg_airlock") };
    cluster.set("shared_preload_libraries", &both);
    cluster.set("neighbour.skip", skip);
    cluster.start();
    cluster
}

const READ: &str = "SELECT id, pay FROM acme.customers";

#[test]
fn a_library_that_calls_the_next_hook_changes_nothing_in_either_order() {
    for after in [false, true] {
        let cluster = beside(after, "");
        fixture::open(&cluster);
        assert_eq!(cluster.connect_as("acme", "plain").query(READ).ok().received, VISIBLE);
        let answer = cluster.connect_as("acme", "copied").query(&format!("COPY ({READ}) TO STDOUT")).ok();
        assert_eq!(answer.copied.len(), VISIBLE);
        for name in ["plain", "copied"] {
            let log = settled(&cluster, name, 1);
            assert_eq!((log[0].get("kind"), log[0].rows()), ("exact", Some(VISIBLE)), "{name}, after: {after}");
        }
    }
}

#[test]
fn a_library_that_leaves_our_hooks_out_shuts_the_gate() {
    for skip in ["start", "run", "planner"] {
        let cluster = beside(true, skip);
        let mut conn = cluster.connect_as("acme", skip);
        // not before the log's worker has settled something: without that the gate is shut anyway
        crate::process::eventually("the log's worker is alive", || {
            let dead = "SELECT count(*) FROM airlock.doctor() WHERE \"check\" IN ('worker', 'slot', 'log')";
            (cluster.admin(dead).value() == "0").then_some(())
        });
        if skip == "planner" {
            // a statement is recorded when it starts, whoever planned it
            assert_eq!(conn.query(READ).ok().received, VISIBLE);
            assert_eq!(settled(&cluster, skip, 1)[0].rows(), Some(VISIBLE));
            continue;
        }
        for sql in [READ, "SELECT id FROM acme.customers", "SELECT count(*) FROM acme.customers"] {
            let answer = conn.query(sql);
            // whichever of our questions comes first finds no statement of ours running
            assert!(answer.received == 0 && ["AL005", "AL007"].contains(&answer.code()), "{skip}: {sql}: {answer:?}");
        }
    }
}

#[test]
fn where_another_library_sends_in_our_place_the_record_comes_first() {
    let cluster = beside(true, "");
    fixture::open(&cluster);
    let library = neighbour().display();
    for name in ["unhook", "hook"] {
        cluster.admin(&format!("CREATE FUNCTION public.{name}() RETURNS void LANGUAGE c AS '{library}', '{name}'"));
        let mut conn = cluster.connect_as("postgres", name);
        conn.query("SET SESSION AUTHORIZATION acme").ok();
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
        conn.query("RESET SESSION AUTHORIZATION").ok();
        conn.query(&format!("SELECT public.{name}()")).ok();
        conn.query("SET SESSION AUTHORIZATION acme").ok();
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
        let log = settled(&cluster, name, 2);
        let kinds: Vec<_> = log.iter().map(|r| (r.get("kind"), r.rows(), r.get("bytes_sent").is_empty())).collect();
        assert_eq!(kinds, [("exact", Some(VISIBLE), false), ("final", Some(VISIBLE), true)], "{name}");
    }
    let said = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'release' AND severity = 'warning'";
    let said = cluster.admin(said).value();
    assert!(said.contains("another library") && said.contains(": 2 reads"), "{said}");
}

#[test]
fn a_record_that_cannot_be_written_ends_the_session_with_nothing_sent() {
    // the control build: a file in the data directory makes writing a record fail
    let mut cluster = fixture::stopped_on(Postgres::no_flush());
    cluster.start();
    fixture::open(&cluster);
    let mut sessions: Vec<_> = ["small", "large", "fails", "fetched"].map(|n| cluster.connect_as("acme", n)).into();
    sessions[3].query("BEGIN").ok();
    sessions[3].query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    let fault = cluster.data().join("fail_append");
    std::fs::write(&fault, "").unwrap();
    for (conn, sql) in sessions.iter_mut().zip([
        READ,
        "SELECT id, repeat('x', 10000) FROM acme.customers",
        "SELECT 1 / (51 - id) FROM acme.customers",
        "FETCH 10 FROM c; SELECT id FROM acme.customers",
    ]) {
        let answer = conn.query(sql);
        assert!(answer.closed, "{sql}: {answer:?}");
        assert_eq!((answer.received, &answer.error, answer.columns.len()), (0, &None, 0), "{sql}");
    }
    // others are not concerned, and sub-processors are served again when it is mended
    cluster.admin("SELECT count(*) FROM public.customers");
    std::fs::remove_file(&fault).unwrap();
    assert_eq!(cluster.connect_as("acme", "mended").query(READ).ok().received, VISIBLE);
    for name in ["small", "large", "fails"] {
        assert_eq!(logged(&cluster, name), [], "{name}");
    }
    assert!(cluster.log().contains("terminating connection: the read record cannot be written"), "{}", cluster.log());
}
