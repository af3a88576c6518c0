//! `airlock.doctor()` names what is wrong with the set-up and what to type; a sound set-up has nothing to mend. Each
//! fault is made on a cluster of its own, and what the doctor says beyond the sound set-up is looked at.

use crate::cluster::Cluster;
use crate::fixture::{self, VISIBLE};
use crate::process::eventually;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    severity: String,
    check: String,
    object: String,
    message: String,
    fix: String,
}

fn findings(cluster: &Cluster) -> Vec<Finding> {
    let answer = cluster.admin("SELECT severity, \"check\", object, message, fix FROM airlock.doctor()");
    let text = |v: Option<String>| v.unwrap_or_default();
    let finding = |mut row: Vec<Option<String>>| Finding {
        fix: text(row.remove(4)),
        message: text(row.remove(3)),
        object: text(row.remove(2)),
        check: text(row.remove(1)),
        severity: text(row.remove(0)),
    };
    answer.rows.into_iter().map(finding).collect()
}

/// What the doctor says here and did not say about a sound set-up.
fn faults(cluster: &Cluster, sound: &[Finding]) -> Vec<Finding> {
    findings(cluster).into_iter().filter(|f| !sound.contains(f)).collect()
}

/// One of the faults speaks of these words, and says what to type.
#[track_caller]
fn names(faults: &[Finding], words: &[&str]) {
    let text = |f: &Finding| format!("{} {} {} {}", f.check, f.object, f.message, f.fix).to_lowercase();
    let found = faults.iter().find(|f| words.iter().all(|w| text(f).contains(&w.to_lowercase())));
    let found = found.unwrap_or_else(|| panic!("no finding with {words:?} among {faults:#?}"));
    assert!(!found.fix.is_empty(), "it says nothing to type: {found:?}");
}

fn sound() -> (Cluster, Vec<Finding>) {
    let cluster = fixture::running();
    let sound = findings(&cluster);
    (cluster, sound)
}

#[test]
fn a_sound_setup_has_no_error() {
    let (mut cluster, _) = sound();
    // which the template leaves off, for speed
    cluster.set("fsync", "on");
    cluster.restart();
    let errors = || findings(&cluster).into_iter().filter(|f| f.severity == "error").collect::<Vec<_>>();
    // until the worker has had its first turn there is one
    crate::process::eventually("doctor finds no error", || errors().is_empty().then_some(()));
}

#[test]
fn not_preloaded() {
    let (mut cluster, sound) = sound();
    cluster.set("shared_preload_libraries", "");
    // without the library these names are placeholders that any value fits
    cluster.restart();
    names(&faults(&cluster, &sound), &["shared_preload_libraries", "pg_airlock"]);
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "fail closed: {answer:?}");
    assert_eq!(cluster.sql("acme", "SELECT ssn FROM acme.customers").code(), "AL005");
    assert_eq!(cluster.sql("acme", "SELECT note FROM public.customers").code(), "42501");
    assert!(!cluster.sql("app", "SELECT ssn::text FROM public.customers").code().is_empty(), "nothing opens");
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "the rest works on");
}

#[test]
fn another_database_is_named() {
    let (mut cluster, sound) = sound();
    cluster.set("airlock.database", "postgres");
    cluster.restart();
    names(&faults(&cluster, &sound), &["airlock.database", "app"]);
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
}

#[test]
fn root_key_missing_wrong_or_readable_by_others() {
    let (mut cluster, sound) = sound();
    let right = fs::read_to_string(cluster.dir.join("root.key")).unwrap();
    let read = |c: &Cluster| c.sql("app", "SELECT ssn::text FROM public.customers WHERE id = 1").code().to_string();
    let scoped = |c: &Cluster| c.sql("acme", "SELECT ssn FROM acme.customers").code().to_string();
    assert_eq!((read(&cluster), scoped(&cluster)), (String::new(), String::new()));

    fs::remove_file(cluster.dir.join("root.key")).unwrap();
    cluster.restart();
    names(&faults(&cluster, &sound), &["root key"]);
    assert_eq!((read(&cluster).as_str(), scoped(&cluster).as_str()), ("AL001", "AL001"));
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "the server runs");
    assert!(!cluster.dir.join("root.key").exists(), "it is never made by itself");

    cluster.write_key(&"ab".repeat(32));
    cluster.restart();
    names(&faults(&cluster, &sound), &["root key"]);
    assert_eq!((read(&cluster).as_str(), scoped(&cluster).as_str()), ("AL001", "AL001"), "another key is refused");

    cluster.write_key(&right);
    fs::set_permissions(cluster.dir.join("root.key"), fs::Permissions::from_mode(0o440)).unwrap();
    cluster.restart();
    names(&faults(&cluster, &sound), &["root key", "chmod"]);
    assert_eq!(read(&cluster), "AL001");

    cluster.write_key(&right);
    cluster.restart();
    fixture::open(&cluster);
    assert_eq!((read(&cluster), scoped(&cluster)), (String::new(), String::new()), "the right one opens all again");
    assert_eq!(faults(&cluster, &sound), []);
}

#[test]
fn the_worker_has_no_slot_to_run_in() {
    let (mut cluster, sound) = sound();
    cluster.set("max_worker_processes", "0");
    cluster.restart();
    names(&faults(&cluster, &sound), &["worker"]);
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
}

#[test]
fn rights_of_a_subprocessor_beyond_its_views() {
    let (cluster, sound) = sound();
    for (grant, revoke, words) in [
        (
            "GRANT SELECT ON public.customers TO acme",
            "REVOKE SELECT ON public.customers FROM acme",
            &["acme", "customers"][..],
        ),
        ("GRANT pg_read_all_data TO acme", "REVOKE pg_read_all_data FROM acme", &["acme", "pg_read_all_data"]),
        ("GRANT USAGE ON SCHEMA airlock TO acme", "REVOKE USAGE ON SCHEMA airlock FROM acme", &["acme", "airlock"]),
        ("GRANT CREATE ON SCHEMA public TO acme", "REVOKE CREATE ON SCHEMA public FROM acme", &["acme", "public"]),
        ("ALTER ROLE acme CREATEROLE", "ALTER ROLE acme NOCREATEROLE", &["acme", "createrole"]),
        ("ALTER ROLE acme REPLICATION", "ALTER ROLE acme NOREPLICATION", &["acme", "replication"]),
        ("GRANT globex TO acme_bob", "REVOKE globex FROM acme_bob", &["acme_bob", "globex"]),
        ("GRANT airlock_view_owner TO clerk", "REVOKE airlock_view_owner FROM clerk", &["airlock_view_owner", "clerk"]),
    ] {
        cluster.admin(grant);
        names(&faults(&cluster, &sound), words);
        cluster.admin(revoke);
        assert_eq!(faults(&cluster, &sound), [], "after {revoke}");
    }
}

#[test]
fn views_that_drifted_from_their_scope() {
    let (cluster, sound) = sound();
    let body = cluster.admin("SELECT pg_get_viewdef('acme.customers'::regclass)").value();
    for (change, repair) in [
        (format!("CREATE OR REPLACE VIEW acme.customers AS {body}"), true),
        ("ALTER VIEW acme.customers OWNER TO postgres".to_string(), true),
        ("ALTER VIEW acme.customers SET (security_invoker = true)".to_string(), true),
        ("ALTER FUNCTION airlock.disclose(integer, \"any\") LEAKPROOF".to_string(), false),
    ] {
        cluster.admin(&change);
        let word = if change.contains("FUNCTION") { "disclose" } else { "acme.customers" };
        names(&faults(&cluster, &sound), &[word]);
        if repair {
            let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
            assert_eq!(answer.received, 0, "refused until the scope is replaced: {change}: {answer:?}");
            assert!(!answer.code().is_empty());
            let rules = fixture::ACME_RULES;
            cluster.admin(&format!("SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => 'consent', subject => '{{id}}')"));
            assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
            eventually("the doctor is content again", || faults(&cluster, &sound).is_empty().then_some(()));
        }
    }
}

#[test]
fn scopes_that_cannot_tell_whom_they_are_about() {
    let (cluster, sound) = sound();
    cluster.admin("UPDATE airlock_catalog.scope SET subject_domains = '{}' WHERE subject = '{id}'");
    names(&faults(&cluster, &sound), &["subject", "acme.customers", "0.1.0", "replace_scope('acme'"]);
    cluster.admin("UPDATE airlock_catalog.scope SET subject_domains = '{public.customers.id}' WHERE subject = '{id}'");
    assert_eq!(faults(&cluster, &sound), []);
    cluster.admin("ALTER TABLE public.customers RENAME COLUMN id TO no");
    names(&faults(&cluster, &sound), &["subject", "acme.customers", "column id is not there", "replace_scope("]);
}
