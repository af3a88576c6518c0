//! Dump and restore, as docs/operations.md says: into a new cluster with the same root key, in every format. What each
//! user reads is the same at the other end, and the log goes on there.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::fixture::CANARIES;
use crate::moved::{arrived, source};
use crate::process::{both, eventually, run};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Text given to an encrypted column is ciphertext.
const CIPHERTEXT: &str = "-c airlock.encrypted_input=ciphertext";

/// A new, running cluster with the root key of another and no database of ours.
pub fn beside(source: &Cluster, postgres: Postgres) -> Cluster {
    let mut target = Cluster::initdb(postgres);
    target.preload();
    target.write_key(&fs::read_to_string(source.dir.join("root.key")).expect("the root key"));
    target.start();
    target
}

/// What is the same for the whole cluster, made by the target's own pg_dumpall, and read in before the database exists.
pub fn globals(source: &Cluster, target: &Cluster) {
    let mut dumpall = target.client("pg_dumpall", "postgres");
    let globals = run(from(source, &mut dumpall).arg("--globals-only"));
    assert!(globals.contains("SECURITY LABEL FOR airlock ON ROLE acme"), "{globals}");
    assert!(!globals.contains("CANARY"), "{globals}");
    let said = psql(target, "postgres", &file(target, "globals.sql", &globals));
    let errors: Vec<&str> = said.lines().filter(|l| l.contains("ERROR")).collect();
    assert!(errors.len() == 1 && errors[0].ends_with("role \"postgres\" already exists"), "{said}");
    let mut created = target.login("postgres", "postgres", &[]).expect("connect");
    created.query(&format!("CREATE DATABASE {DATABASE}")).ok();
}

/// The program reads from that cluster.
pub fn from<'a>(source: &Cluster, program: &'a mut std::process::Command) -> &'a mut std::process::Command {
    program.env("PGHOST", &source.dir).env("PGPORT", source.port.to_string())
}

fn file(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.dir.join(name);
    fs::write(&path, text).expect("write a script");
    path
}

/// What psql says about a script.
pub fn psql(cluster: &Cluster, database: &str, script: &Path) -> String {
    let mut psql = cluster.client("psql", "postgres");
    psql.env("PGOPTIONS", CIPHERTEXT).args(["-X", "-q", "-o", "/dev/null", "-d", database]);
    both(&psql.stdin(Stdio::from(File::open(script).expect("a script"))).output().expect("psql"))
}

/// Reads a plain dump into a cluster.
pub fn restore_plain(target: &Cluster, dump: &str) {
    let said = psql(target, DATABASE, &file(target, "app.sql", dump));
    assert!(said.is_empty(), "{said}");
}

/// What `pg_dump` of the target's major prints about the source, without lines that no two dumps have in common.
pub fn dump(source: &Cluster, target: &Cluster, options: &[&str]) -> String {
    let mut pg_dump = target.client("pg_dump", "postgres");
    let dump = run(from(source, &mut pg_dump).args(options).arg(DATABASE));
    let random = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    dump.lines().filter(random).map(|line| format!("{line}\n")).collect()
}

/// Dumps into an archive and restores it from there.
fn restore(source: &Cluster, target: &Cluster, dump: &[&str], restore: &[&str]) {
    let archive = target.dir.join("app.dump");
    let mut pg_dump = target.client("pg_dump", "postgres");
    run(from(source, &mut pg_dump).args(dump).arg("-f").arg(&archive).arg(DATABASE));
    let mut pg_restore = target.client("pg_restore", "postgres");
    pg_restore.env("PGOPTIONS", CIPHERTEXT).args(restore).args(["--exit-on-error", "-d", DATABASE]).arg(&archive);
    run(&mut pg_restore);
}

/// The typmods in a schema, as they stand between the parentheses.
fn typmods(schema: &str) -> Vec<&str> {
    let after = schema.split("airlock.encrypted").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once('(')?;
        (name.is_empty() || name == "_eq").then(|| rest.split(')').next()).flatten()
    });
    after.collect()
}

#[test]
fn a_plain_dump_holds_numbers_ciphertext_and_no_cursor() {
    let (source, _) = source();
    let plain = dump(&source, &source, &[]);
    let typmods = typmods(&plain);
    assert!(typmods.len() >= 9, "a column each: {typmods:?}");
    assert!(typmods.iter().all(|t| t.parse::<u32>().is_ok_and(|n| n > 0)), "a name may mean another key: {typmods:?}");
    // the plain columns of the fixture hold canaries that end in _p; without them the search would prove nothing
    assert!(CANARIES.iter().all(|c| plain.contains(&format!("{c}_p"))));
    assert!(CANARIES.iter().all(|c| !plain.contains(&format!("{c}_e"))));
    assert!(plain.contains("airlock:1:") && plain.contains("COPY airlock_catalog.read_record"));
    assert!(!plain.contains("COPY airlock_catalog.log_cursor"));
}

#[test]
fn a_plain_dump_moves_everything() {
    let (source, moved) = source();
    for options in [&[][..], &["--inserts"]] {
        let target = beside(&source, Postgres::main());
        globals(&source, &target);
        restore_plain(&target, &dump(&source, &target, options));
        arrived(&target, &moved);
    }
}

#[test]
fn an_archive_restored_by_one_or_several_connections_moves_everything() {
    let (source, moved) = source();
    for (write, read) in [(&["-Fc"][..], &[][..]), (&["-Fc"], &["-j2"]), (&["-Fd", "-j2"], &["-j2"])] {
        let target = beside(&source, Postgres::main());
        globals(&source, &target);
        restore(&source, &target, write, read);
        arrived(&target, &moved);
    }
}

#[test]
fn schema_and_data_can_be_restored_one_after_the_other() {
    let (source, moved) = source();
    let target = beside(&source, Postgres::main());
    globals(&source, &target);
    for section in ["--section=pre-data", "--section=data", "--section=post-data"] {
        restore_plain(&target, &dump(&source, &target, &[section]));
    }
    arrived(&target, &moved);
}

#[test]
fn a_dump_of_the_restored_database_is_the_same_dump() {
    let (source, _) = source();
    let target = beside(&source, Postgres::main());
    globals(&source, &target);
    let options = ["--exclude-table-data=airlock_catalog.read_*"];
    let first = dump(&source, &source, &options);
    restore(&source, &target, &["-Fc"], &[]);
    let second = dump(&target, &target, &options);
    let difference = first.lines().zip(second.lines()).find(|(a, b)| a != b);
    assert_eq!(difference, None);
    assert_eq!(first.lines().count(), second.lines().count());
    assert!(first.contains("COPY public.customers") && !first.contains("COPY airlock_catalog.read_record"));
}

#[test]
fn without_the_setting_no_ciphertext_is_taken_for_plaintext() {
    let (source, _) = source();
    let target = beside(&source, Postgres::main());
    globals(&source, &target);
    let archive = file(&target, "app.sql", &dump(&source, &target, &["--section=pre-data", "--section=data"]));
    let mut psql = target.client("psql", "postgres");
    psql.args(["-X", "-q", "-o", "/dev/null", "-v", "VERBOSITY=verbose", "-d", DATABASE]);
    let said = both(&psql.stdin(Stdio::from(File::open(archive).expect("a script"))).output().expect("psql"));
    assert!(said.contains("22P02"), "{said}");
    assert_eq!(target.admin("SELECT count(*) FROM public.customers").value(), "0");
    assert_eq!(target.admin("SELECT count(*) FROM public.consents").value(), "100", "control: the rest is restored");
}

#[test]
fn under_another_root_key_everything_is_refused_with_one_error() {
    let (source, moved) = source();
    let target = beside(&source, Postgres::main());
    let right = fs::read_to_string(target.dir.join("root.key")).expect("the root key");
    target.write_key(&"cd".repeat(32));
    globals(&source, &target);
    // no value is opened by a restore, so it needs no key, and the wrong one does not get into it
    restore(&source, &target, &["-Fc"], &[]);
    for (user, sql) in [
        ("app", "SELECT ssn::text FROM public.customers"),
        ("app", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'"),
        ("app", "INSERT INTO public.visits VALUES (1, 2020, 'x', 'x')"),
        ("acme", "SELECT id FROM acme.customers"),
        ("acme", "SELECT ssn FROM acme.customers"),
        ("postgres", "SELECT * FROM airlock.verify_log()"),
        ("postgres", "SELECT airlock.create_key('other')"),
    ] {
        let answer = target.sql(user, sql);
        assert_eq!((answer.code(), answer.received), ("AL001", 0), "{user}: {sql}: {answer:?}");
        assert!(!answer.error.as_ref().is_none_or(|e| e.get('H').is_empty()), "{sql}: {answer:?}");
    }
    let wrong = crate::moved::errors(&target);
    assert!(wrong.iter().any(|e| e[1].as_deref() == Some("root key")), "{wrong:#?}");
    assert_eq!(target.admin("SELECT count(*) FROM public.customers").value(), "100", "the rest works on");
    target.write_key(&right);
    eventually("the right key opens it", || {
        target.sql("app", "SELECT ssn::text FROM public.customers").error.is_none().then_some(())
    });
    arrived(&target, &moved);
}

/// Neither a restore nor a dump needs the root key: what is locked can be moved on.
#[test]
fn without_a_root_key_a_restore_is_whole_and_locked() {
    let (source, moved) = source();
    let target = beside(&source, Postgres::main());
    let key = target.dir.join("root.key");
    let kept = fs::read_to_string(&key).expect("the root key");
    fs::remove_file(&key).expect("remove the root key");
    globals(&source, &target);
    restore(&source, &target, &["-Fd", "-j2"], &["-j2"]);
    let values = "SELECT ssn, pay, diary FROM public.customers ORDER BY id";
    assert_eq!(target.admin(values).rows, source.admin(values).rows, "ciphertext is read, and is the same");
    let options = ["--exclude-table-data=airlock_catalog.read_*"];
    assert_eq!(dump(&target, &target, &options), dump(&source, &target, &options), "and dumped");
    target.admin("VACUUM ANALYZE public.customers");
    for (user, sql) in [
        ("app", "SELECT ssn::text FROM public.customers"),
        ("app", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'"),
        ("app", "INSERT INTO public.visits VALUES (1, 2020, 'x', 'x')"),
        ("acme", "SELECT ssn FROM acme.customers"),
    ] {
        let answer = target.sql(user, sql);
        assert_eq!((answer.code(), answer.received), ("AL001", 0), "{user}: {sql}: {answer:?}");
    }
    target.write_key(&kept);
    eventually("the key opens it", || {
        target.sql("app", "SELECT ssn::text FROM public.customers").error.is_none().then_some(())
    });
    arrived(&target, &moved);
}
