//! Upgrades of the extension: from every release, with a database that its own library wrote.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::fixture;
use crate::process::{eventually, run};
use crate::release::{reads, version, Release};
use std::collections::BTreeMap;

const LIBRARY: &str = env!("CARGO_PKG_VERSION");
const CONTRACT: &str = include_str!("../golden/contract.sql");

fn older() -> Vec<Release> {
    let older: Vec<Release> = Release::all().into_iter().filter(|r| r.version != LIBRARY).collect();
    assert!(older.iter().any(|r| r.version == "0.1.0"), "the first release is among them: {older:?}");
    older
}

/// The contract's lines; what a grant on a key brought its holder is data.
fn contract(cluster: &Cluster) -> Vec<String> {
    cluster.admin(CONTRACT).first().into_iter().map(|line| line.replace(",app=USAGE", "")).collect()
}

/// Fails with the lines that only one side has.
#[track_caller]
fn same(what: &str, upgraded: &[String], new: &[String]) {
    let only = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>().join("\n");
    assert!(upgraded == new, "{what}: after the upgrade\n{}\nnew\n{}", only(upgraded, new), only(new, upgraded));
}

/// What pg_upgrade would carry over of the extension: each object's definition by its name, what differs from cluster to
/// cluster (OIDs, transaction ids) taken out.
fn definitions(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut dump = cluster.client("pg_dump", "postgres");
    let text = run(dump.args(["--schema-only", "--binary-upgrade", DATABASE]));
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut name = None;
    let mut skip = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("-- Name: ") {
            let ours = (title.contains("; Schema: airlock;") || title.contains("; Schema: airlock_catalog;"))
                && !title.contains("; Type: SEQUENCE SET;")
                // the log's days, which its worker makes
                && !title.starts_with("read_record_2")
                && !title.starts_with("read_private_2")
                && !title.starts_with("read_subject_2");
            name = ours.then(|| title.to_string());
        }
        // statements that only fix numbers, to the end of the statement
        skip |= line.starts_with("SELECT pg_catalog.binary_upgrade_") || line.starts_with("SET relfrozenxid");
        // and a setting that belongs to whatever comes next
        let setting = line.starts_with("SET default_table_access_method");
        let said = !line.is_empty() && !line.starts_with("--") && !line.starts_with('\\') && !setting;
        if let (Some(name), false, true) = (&name, skip, said) {
            found.entry(name.clone()).or_default().push_str(&format!("{line}\n"));
        }
        skip &= !line.trim_end().ends_with(';');
    }
    found
}

/// Which tables' rows go into dumps.
fn dumped_tables(cluster: &Cluster) -> Vec<Vec<Option<String>>> {
    let sql = "SELECT c.t::regclass::text, c.w FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS c (t, w) \
               WHERE e.extname = 'pg_airlock' ORDER BY 1";
    cluster.admin(sql).rows
}

fn fresh() -> Cluster {
    let mut cluster = Cluster::initdb(Postgres::main());
    cluster.preload();
    cluster.start();
    cluster.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
    cluster.admin("CREATE EXTENSION pg_airlock");
    cluster
}

fn about_versions(cluster: &Cluster) -> Vec<Vec<Option<String>>> {
    cluster.admin("SELECT severity, fix FROM airlock.doctor() WHERE \"check\" = 'version'").rows
}

#[test]
fn the_library_serves_a_database_of_each_release_before_and_after_the_update() {
    let fresh = fresh();
    for release in older() {
        let cluster = release.restored(&release.version);
        assert_eq!(version(&cluster), release.version);
        // a setting that the old objects know nothing of
        let head = cluster.dir.join("head");
        cluster.set("airlock.head_file", &head.display().to_string());
        cluster.admin("SELECT pg_reload_conf()");
        let update = vec![Some("warning".to_string()), Some("ALTER EXTENSION pg_airlock UPDATE".to_string())];
        assert_eq!(about_versions(&cluster), [update], "{}", release.version);

        // everything that the old library wrote opens, and the log goes on
        assert_eq!(reads(&cluster), release.text("reads.txt"), "{} before the update", release.version);
        assert!(fixture::verify(&mut cluster.connect("postgres")).0, "{}", release.version);
        write(&cluster, 1001);
        eventually("the head is kept", || head.exists().then_some(()));
        // and goes on being kept: only now does the worker have a place to note
        let settled = "SELECT max(id) FROM airlock_catalog.read_record";
        for round in 0..3 {
            let before: i64 = cluster.admin(settled).value().parse().unwrap();
            assert!(!reads(&cluster).is_empty());
            eventually("the log goes on, and the head with it", || {
                let last: i64 = cluster.admin(settled).value().parse().unwrap();
                let kept: i64 = std::fs::read_to_string(&head).ok()?.split(':').nth(4)?.parse().ok()?;
                (last > before && kept >= last).then_some(())
            });
            write(&cluster, 1010 + round);
        }
        let log = cluster.log();
        assert!(!log.contains("head_path"), "the worker writes what the old objects have no place for:\n{log}");

        cluster.admin("ALTER EXTENSION pg_airlock UPDATE");
        assert_eq!(version(&cluster), LIBRARY);
        assert_eq!(about_versions(&cluster), Vec::<Vec<_>>::new());
        cluster.admin("DELETE FROM public.customers WHERE id > 1000");
        assert_eq!(reads(&cluster), release.text("reads.txt"), "{} after the update", release.version);
        assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
        write(&cluster, 1002);
        // its filter is a plain column: errors are said as they are
        let error = cluster.sql("acme", "SELECT 1 / (id - id) FROM acme.customers").error;
        assert_eq!(error.map(|e| e.get('M').to_string()).as_deref(), Some("division by zero"));

        // 0.1.0's fingerprints of views can be compared, and made anew, on the major it was for
        let views = cluster.admin("SELECT severity FROM airlock.doctor() WHERE \"check\" = 'view'").first();
        let fifteen = cluster.admin("SHOW server_version_num").value().starts_with("15");
        let unknown = if fifteen || release.version != "0.1.0" { 0 } else { 2 };
        assert_eq!(views, vec!["warning"; unknown], "{}", release.version);

        // and the extension is what CREATE EXTENSION would have made
        same("contract", &contract(&cluster), &contract(&fresh));
        assert_eq!(dumped_tables(&cluster), dumped_tables(&fresh), "{}", release.version);
        let (upgraded, new) = (definitions(&cluster), definitions(&fresh));
        assert!(new.len() > 100 && new.keys().any(|k| k.starts_with("read_record; Type: TABLE;")), "{:#?}", new.keys());
        let lines = |d: BTreeMap<String, String>| d.into_iter().map(|(k, v)| k + "\n" + &v).collect::<Vec<_>>();
        same("definitions", &lines(upgraded), &lines(new));
    }
}

/// A new encrypted row, found again, and read by a sub-processor.
#[track_caller]
fn write(cluster: &Cluster, id: u32) {
    let mut app = cluster.connect("app");
    app.query(&format!(
        "INSERT INTO public.customers (id, consent, ssn, pay) VALUES ({id}, true, '{id}-{id}-{id}', {id})"
    ))
    .ok();
    assert_eq!(
        app.query(&format!("SELECT id FROM public.customers WHERE ssn = '{id}-{id}-{id}'")).value(),
        id.to_string()
    );
    let sql = format!("SELECT pay, ssn FROM acme.customers WHERE id = {id}");
    let row = cluster.connect_as("acme", &format!("new {id}")).query(&sql).ok().rows.remove(0);
    assert_eq!(row[0].as_deref(), Some(id.to_string().as_str()));
    assert!(row[1].as_deref().is_some_and(|ssn| ssn.ends_with(&id.to_string()) && ssn.starts_with("****")), "{row:?}");
    fixture::settled(cluster, &format!("new {id}"), 1);
}

/// The dump of an old release goes into a new one by the documented way, too.
#[test]
fn a_dump_of_each_release_restores_into_this_one() {
    for release in Release::all() {
        let cluster = release.restored(LIBRARY);
        assert_eq!(reads(&cluster), release.text("reads.txt"), "{}", release.version);
        assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
    }
}

/// Every release has its install script, from which PostgreSQL knows a way to this version.
#[test]
fn every_release_has_a_way_here() {
    let cluster = fresh();
    for release in older() {
        let sql = format!(
            "SELECT path FROM pg_extension_update_paths('pg_airlock') WHERE source = '{}' AND target = '{LIBRARY}'",
            release.version
        );
        let path = cluster.admin(&sql).value().to_string();
        assert!(path.starts_with(&release.version) && path.ends_with(LIBRARY), "{}: {path:?}", release.version);
    }
    assert_eq!(cluster.admin("SELECT airlock.version()").value(), LIBRARY);
}
