//! `airlock.scrub`: what VACUUM removed leaves the files, on the primary, after a crash, and on a standby; and what could
//! not be removed is said.

use crate::cluster::Cluster;
use crate::fixture::running;
use crate::process::eventually;
use crate::sentinel::files_with;
use crate::standby::{caught_up, streaming};
use std::path::PathBuf;

/// In rows, and in values out of line.
struct Sentinels {
    short: String,
    long: String,
}

fn base(cluster: &Cluster, sentinel: &str) -> Vec<PathBuf> {
    files_with(sentinel.as_bytes(), &cluster.data().join("base"))
}

impl Sentinels {
    /// Files of the database that hold one.
    fn found(&self, cluster: &Cluster) -> Vec<PathBuf> {
        [&self.short, &self.long].iter().flat_map(|s| base(cluster, s)).collect()
    }
}

/// A table whose values were taken away, in rows and in TOAST; none of them is in a key. Between them others stay, so that
/// no file is cut.
fn emptied(cluster: &Cluster) -> Sentinels {
    let id = std::process::id();
    let sentinels = Sentinels { short: format!("SENTINELs{id}"), long: format!("SENTINELl{id}") };
    cluster.admin(&format!(
        "CREATE TABLE public.diaries (id int PRIMARY KEY, kept text, topic text, body text) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
         ALTER TABLE public.diaries ALTER body SET STORAGE EXTERNAL; ALTER TABLE public.diaries OWNER TO app;
         INSERT INTO public.diaries SELECT g, 'kept' || g, '{}' || g, CASE g % 4 WHEN 2 THEN repeat('stay', 2000) ELSE repeat('{}', 400) END FROM generate_series(1, 400) g",
        sentinels.short, sentinels.long
    ));
    cluster.admin("UPDATE public.diaries SET topic = NULL, body = CASE id % 4 WHEN 2 THEN body END WHERE id % 4 <> 0");
    cluster.admin("DELETE FROM public.diaries WHERE id % 4 = 0");
    sentinels
}

fn scrub(cluster: &Cluster, table: &str) -> Vec<Vec<Option<String>>> {
    let sql = format!("SELECT part, rewritten, dead, held, dropped, clean, todo, lsn FROM airlock.scrub('{table}')");
    cluster.sql("app", &sql).ok().rows
}

/// Whether nothing is left over, indexes apart.
fn clean(rows: &[Vec<Option<String>>]) -> bool {
    rows.iter().all(|r| r[5].as_deref() != Some("f"))
}

/// Heap and indexes are sound, as far as amcheck can tell; it comes with PostgreSQL's contrib modules.
fn sound(cluster: &Cluster, table: &str) {
    let there = cluster.admin("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'").value() == "1";
    assert!(there || !cluster.admin("SHOW server_version_num").value().starts_with("15"), "15 has amcheck");
    if !there {
        return;
    }
    cluster.admin("CREATE EXTENSION IF NOT EXISTS amcheck");
    let heaps = format!("SELECT count(*) FROM verify_heapam('{table}', check_toast => true)");
    assert_eq!(cluster.admin(&heaps).value(), "0");
    cluster
        .admin(&format!("SELECT bt_index_check(indexrelid, true) FROM pg_index WHERE indrelid = '{table}'::regclass"));
}

fn rest(cluster: &Cluster) -> String {
    cluster
        .admin("SELECT count(*) || ' ' || sum(id) || ' ' || count(topic) || ' ' || max(kept) FROM public.diaries")
        .value()
}

#[test]
fn what_vacuum_removed_leaves_heap_and_toast() {
    let mut cluster = running();
    let sentinels = emptied(&cluster);
    let before = rest(&cluster);
    cluster.admin("VACUUM public.diaries");
    cluster.admin("CHECKPOINT");
    assert_eq!(sentinels.found(&cluster).len(), 2, "control: heap and TOAST hold what VACUUM removed");
    let lsn = cluster.admin("SELECT pg_current_wal_insert_lsn()").value();
    let rows = scrub(&cluster, "public.diaries");
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new(), "{rows:?}");
    assert!(clean(&rows), "{rows:?}");
    let rewritten: Vec<i64> = rows.iter().filter_map(|r| r[1].as_ref()?.parse().ok()).collect();
    assert!(rewritten.len() == 2 && rewritten[0] > 0, "the table and its TOAST: {rows:?}");
    // an index is named: its inner pages are not looked into
    assert!(
        rows.iter().any(|r| r[6]
            .as_ref()
            .is_some_and(|t| t.contains("REINDEX INDEX CONCURRENTLY \"public\".\"diaries_pkey\""))),
        "{rows:?}"
    );
    let later = format!("SELECT '{}'::pg_lsn > '{lsn}'", rows[0][7].as_ref().unwrap());
    assert_eq!(cluster.admin(&later).value(), "t");
    sound(&cluster, "public.diaries");
    assert_eq!(rest(&cluster), before);
    // the second time there is nothing to do
    assert!(scrub(&cluster, "public.diaries").iter().all(|r| r[1].as_ref().is_none_or(|n| n == "0")));

    // killed at once: the files are as they were, and recovery brings nothing back
    cluster.kill();
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new());
    cluster.start();
    cluster.admin("CHECKPOINT");
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new());
    sound(&cluster, "public.diaries");
    assert_eq!(rest(&cluster), before);
}

/// Killed or cancelled in the middle of it, the table is sound, and the next scrub does the rest.
#[test]
fn kill_9_and_cancel_in_the_middle_of_a_scrub_lose_nothing() {
    let mut cluster = running();
    let sentinels = emptied(&cluster);
    let before = rest(&cluster);
    cluster.admin("VACUUM public.diaries");
    cluster.admin("CHECKPOINT");
    for round in 0..6 {
        let mut app = cluster.connect("app");
        app.begin("SELECT airlock.scrub('public.diaries')");
        std::thread::sleep(std::time::Duration::from_millis(round));
        if round % 2 == 0 {
            app.cancel();
            let answer = app.finish();
            assert!(matches!(answer.code(), "" | "57014"), "{answer:?}");
        } else {
            cluster.kill();
            cluster.start();
        }
        sound(&cluster, "public.diaries");
        assert_eq!(rest(&cluster), before);
    }
    cluster.admin("VACUUM public.diaries");
    assert!(clean(&scrub(&cluster, "public.diaries")));
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new());
}

/// The pages that recovery makes anew out of old files have zeros too.
#[test]
fn replay_scrubs_files_that_were_not() {
    let mut cluster = running();
    let sentinels = emptied(&cluster);
    cluster.admin("VACUUM public.diaries");
    cluster.admin("CHECKPOINT");
    let old: Vec<(PathBuf, Vec<u8>)> =
        sentinels.found(&cluster).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert_eq!(old.len(), 2);
    assert!(clean(&scrub(&cluster, "public.diaries")));
    cluster.kill();
    // as if the disk had taken the WAL, and nothing else
    for (path, bytes) in old {
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(sentinels.found(&cluster).len(), 2, "control");
    cluster.start();
    cluster.admin("CHECKPOINT");
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new());
    sound(&cluster, "public.diaries");
}

/// Waits until the standby has written to its files what it replayed: at the primary's checkpoints it may.
fn on_disk(primary: &Cluster, standby: &Cluster) {
    primary.admin("CHECKPOINT");
    caught_up(primary, standby);
    standby.admin("CHECKPOINT");
}

#[test]
fn a_standby_is_scrubbed_by_replay() {
    let primary = running();
    let mut standby = streaming(&primary);
    let sentinels = emptied(&primary);
    let before = rest(&primary);
    primary.admin("VACUUM public.diaries");
    on_disk(&primary, &standby);
    assert_eq!(sentinels.found(&standby).len(), 2, "control: the standby holds it as well");
    assert!(clean(&scrub(&primary, "public.diaries")));
    caught_up(&primary, &standby);
    assert_eq!(rest(&standby), before);
    for (sql, code) in [
        ("SELECT airlock.scrub('public.diaries')", "25006"),
        ("SELECT airlock.verify_column('public.customers', 'ssn')", ""),
        ("SELECT airlock.nonce_audit('public.customers')", ""),
    ] {
        assert_eq!(standby.sql("app", sql).code(), code, "{sql}");
    }
    on_disk(&primary, &standby);
    assert_eq!(sentinels.found(&standby), Vec::<PathBuf>::new());
    standby.restart();
    assert_eq!(rest(&standby), before);
    sound(&primary, "public.diaries");
}

#[test]
fn what_is_left_over_is_said() {
    let cluster = running();
    let sentinels = emptied(&cluster);
    // not vacuumed
    let rows = scrub(&cluster, "public.diaries");
    assert!(!clean(&rows) && rows[0][2].as_ref().unwrap() != "0", "{rows:?}");
    assert!(rows[0][6].as_ref().unwrap().starts_with("VACUUM \"public\".\"diaries\""), "{rows:?}");
    assert_eq!(sentinels.found(&cluster).len(), 2);

    // vacuumed while somebody still sees a row
    cluster.admin("VACUUM public.diaries");
    let mut reader = cluster.connect("app");
    reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM public.consents").ok();
    cluster.admin(&format!("UPDATE public.diaries SET topic = '{}' WHERE id = 1", sentinels.short));
    cluster.admin("UPDATE public.diaries SET topic = NULL WHERE id = 1");
    let held = |rows: &[Vec<Option<String>>]| rows[0][3].clone().unwrap();
    cluster.admin("VACUUM public.diaries");
    let rows = scrub(&cluster, "public.diaries");
    assert!(
        !clean(&rows) && held(&rows) != "0" && rows[0][6].as_ref().unwrap().contains("pg_prepared_xacts"),
        "{rows:?}"
    );
    assert_eq!(base(&cluster, &sentinels.short).len(), 1);
    reader.query("ROLLBACK").ok();
    cluster.admin("VACUUM public.diaries");
    assert!(clean(&scrub(&cluster, "public.diaries")));
    assert_eq!(sentinels.found(&cluster), Vec::<PathBuf>::new());

    // a dropped column's values stay in the rows
    cluster.admin(&format!(
        "ALTER TABLE public.diaries ADD COLUMN again text; UPDATE public.diaries SET again = '{}'",
        sentinels.short
    ));
    cluster.admin("ALTER TABLE public.diaries DROP COLUMN again");
    cluster.admin("VACUUM public.diaries");
    let rows = scrub(&cluster, "public.diaries");
    assert!(!clean(&rows) && rows[0][4].as_ref().unwrap() == "300", "{rows:?}");
    assert!(rows[0][6].as_ref().unwrap().starts_with("VACUUM FULL"), "{rows:?}");
    assert_eq!(base(&cluster, &sentinels.short).len(), 1);
    cluster.admin("VACUUM FULL public.diaries");
    assert!(clean(&scrub(&cluster, "public.diaries")));
    eventually("the old file is gone", || sentinels.found(&cluster).is_empty().then_some(()));
}

#[test]
fn who_may_scrub_what() {
    let cluster = running();
    emptied(&cluster);
    cluster.admin("CREATE ROLE keeper LOGIN IN ROLE airlock_admin");
    let cases = [
        ("clerk", "public.diaries", "42501"),
        ("acme", "public.diaries", "42501"),
        ("app", "public.diaries", ""),
        ("keeper", "public.diaries", ""),
        ("app", "pg_catalog.pg_statistic", "42501"),
        ("keeper", "pg_catalog.pg_statistic", ""),
        ("keeper", "airlock_catalog.key_version", ""),
        ("app", "public.diaries_pkey", "55000"),
        ("keeper", "airlock.keys", "55000"),
    ];
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO clerk");
    for (user, table, code) in cases {
        let oid = cluster.admin(&format!("SELECT '{table}'::regclass::oid")).value();
        let answer = cluster.sql(user, &format!("SELECT airlock.scrub({oid}::regclass)"));
        assert_eq!(answer.code(), code, "{user} {table}: {:?}", answer.error);
    }
}

/// Rows come and go while pages are scrubbed: nothing is lost, nothing is damaged.
#[test]
fn writers_go_on_while_a_table_is_scrubbed() {
    let cluster = running();
    emptied(&cluster);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|w| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || {
                    let mut app = cluster.connect("app");
                    let mut rounds = 0;
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        let id = 1000 * (w + 1) + rounds % 50;
                        app.query(&format!("INSERT INTO public.diaries VALUES ({id}, 'w{w}', repeat('x', {}), repeat('y', 5000)) ON CONFLICT (id) DO UPDATE SET topic = repeat('z', {})", rounds % 300, rounds % 200)).ok();
                        // two of them may meet the same rows in two orders, scrubbed or not
                        let update = app.query(&format!("UPDATE public.diaries SET kept = 'k' || {rounds} WHERE id % 100 = {}", rounds % 100));
                        assert!(matches!(update.code(), "" | "40P01"), "{:?}", update.error);
                        if rounds % 10 == 9 {
                            app.query(&format!("DELETE FROM public.diaries WHERE id = {id}")).ok();
                        }
                        rounds += 1;
                    }
                })
            })
            .collect();
        for _ in 0..15 {
            cluster.admin("VACUUM public.diaries");
            scrub(&cluster, "public.diaries");
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        writers.into_iter().for_each(|w| w.join().unwrap());
    });
    sound(&cluster, "public.diaries");
    // the same rows by the table and by the index
    let counts = "SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT (SELECT count(*) FROM public.diaries WHERE id > 0) - (SELECT count(*) FROM public.diaries d WHERE length(d.body) IS NOT NULL OR d.body IS NULL)";
    assert_eq!(cluster.admin(counts).value(), "0");
}

#[test]
fn partitions_and_their_toast_are_scrubbed_by_the_parent() {
    let cluster = running();
    let sentinel = format!("SENTINELp{}", std::process::id());
    cluster.admin(&format!(
        "CREATE TABLE public.years (year int, body text) PARTITION BY RANGE (year);
         CREATE TABLE public.years_a PARTITION OF public.years FOR VALUES FROM (2000) TO (2010);
         CREATE TABLE public.years_b PARTITION OF public.years FOR VALUES FROM (2010) TO (2020);
         ALTER TABLE public.years OWNER TO app; ALTER TABLE public.years_a OWNER TO app; ALTER TABLE public.years_b OWNER TO app;
         INSERT INTO public.years SELECT 2000 + g % 20, '{sentinel}' FROM generate_series(1, 100) g"
    ));
    cluster.admin("DELETE FROM public.years WHERE year > 2000");
    cluster.admin("VACUUM public.years");
    cluster.admin("CHECKPOINT");
    cluster.admin("DELETE FROM public.years WHERE year = 2000");
    assert!(!base(&cluster, &sentinel).is_empty(), "control");
    cluster.admin("VACUUM public.years");
    let rows = scrub(&cluster, "public.years");
    let parts: Vec<_> = rows.iter().filter_map(|r| r[0].clone()).filter(|p| p.contains("years")).collect();
    assert_eq!(parts.len(), 2, "{rows:?}");
    assert!(clean(&rows) && rows.len() == 4, "two tables, two TOAST tables: {rows:?}");
    assert_eq!(base(&cluster, &sentinel), Vec::<PathBuf>::new());
}
