//! Who saw whom: whatever a statement does with the rows of a person, `who_saw()` names that read, and says how sure it is.

mod attacks;
mod kinds;

use crate::cluster::Cluster;
use crate::fixture::{self, running, settled};
use crate::process::eventually;
use std::collections::BTreeMap;

/// What `who_saw` says of one read, by person.
fn seen_by(cluster: &Cluster, read: &str, people: &str) -> BTreeMap<String, String> {
    let sql = format!(
        "SELECT p.p, w.certainty FROM ({people}) AS p (p), LATERAL airlock.who_saw('public.customers', p.p::text) w WHERE w.id = {read} ORDER BY 1"
    );
    let rows = cluster.admin(&sql).rows;
    rows.into_iter().map(|r| (r[0].clone().unwrap(), r[1].clone().unwrap())).collect()
}

const EVERYBODY: &str = "SELECT generate_series(1, 105)";

/// Those of whom the read is certain, and those of whom it is possible; nobody is merely probable here.
fn touched(cluster: &Cluster, read: &str) -> (Vec<u32>, Vec<u32>) {
    let found = seen_by(cluster, read, EVERYBODY);
    let of = |wanted: &str| {
        let mut ids: Vec<u32> = found.iter().filter(|(_, c)| *c == wanted).map(|(id, _)| id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert!(found.values().all(|c| ["exact", "possible"].contains(&c.as_str())), "{found:?}");
    (of("exact"), of("possible"))
}

fn ids(sql: &str, cluster: &Cluster) -> Vec<u32> {
    cluster.admin(sql).rows.iter().map(|r| r[0].as_ref().unwrap().parse().unwrap()).collect()
}

#[test]
fn every_way_of_touching_a_row_names_its_person() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.city_of(bigint) RETURNS text STABLE LANGUAGE plpgsql AS
           'BEGIN RETURN (SELECT city FROM acme.customers WHERE id = $1); END';
         GRANT EXECUTE ON FUNCTION public.city_of(bigint) TO acme",
    );
    let visible = "SELECT id FROM public.customers WHERE consent";
    // the statements; whom they saw for certain; whom they may have
    let cases: &[(&str, &[&str], &str, &str)] = &[
        ("key", &["SELECT city FROM acme.customers WHERE id = 42"], "VALUES (42)", ""),
        ("hidden", &["SELECT city FROM acme.customers WHERE id = 40"], "", ""),
        ("count", &["SELECT count(*) FROM acme.customers"], visible, ""),
        ("false", &["SELECT city FROM acme.customers WHERE false"], "", ""),
        ("limit 0", &["SELECT city FROM acme.customers LIMIT 0"], "", ""),
        ("limit", &["SELECT city FROM acme.customers WHERE id IN (3, 4, 10)"], "VALUES (3), (4)", ""),
        ("exists", &["SELECT EXISTS (SELECT FROM acme.customers WHERE id = 7)"], "VALUES (7)", ""),
        (
            "not leakproof",
            &["SELECT count(*) FROM acme.customers WHERE city LIKE 'O%'"],
            "SELECT id FROM public.customers WHERE consent AND city = 'Oslo'",
            "SELECT id FROM public.customers WHERE consent AND city <> 'Oslo'",
        ),
        ("sorted", &["SELECT city FROM acme.customers ORDER BY born LIMIT 1"], visible, ""),
        ("aggregate", &["SELECT city, count(*) FROM acme.customers WHERE id < 5 GROUP BY city HAVING count(*) > 5"], "VALUES (1), (2), (3), (4)", ""),
        ("join", &["SELECT a.city FROM acme.customers a JOIN acme.customers b ON b.city <> a.city WHERE a.id = 5 AND b.id = 6"], "VALUES (5), (6)", ""),
        ("lateral", &["SELECT (SELECT city FROM acme.customers c WHERE c.id = g) FROM generate_series(98, 103) g"], "VALUES (98), (99)", ""),
        ("cte used", &["WITH c AS MATERIALIZED (SELECT * FROM acme.customers WHERE id < 3) SELECT 1 FROM c"], "VALUES (1), (2)", ""),
        ("union", &["SELECT city FROM acme.customers WHERE id = 1 UNION SELECT city FROM acme.customers WHERE id = 2"], "VALUES (1), (2)", ""),
        (
            "recursive",
            &["WITH RECURSIVE r (n) AS (SELECT 11::bigint UNION ALL SELECT c.id + 1 FROM acme.customers c JOIN r ON c.id = r.n WHERE c.id IN (11, 12, 13)) SELECT n FROM r"],
            "VALUES (11), (12), (13)",
            "",
        ),
        ("copy", &["COPY (SELECT city FROM acme.customers WHERE id BETWEEN 8 AND 11) TO STDOUT"], "VALUES (8), (9), (11)", ""),
        ("function", &["SELECT public.city_of(33), public.city_of(34)"], "VALUES (33), (34)", ""),
        (
            "prepared",
            &["PREPARE p AS SELECT city FROM acme.customers WHERE id = $1", "SET plan_cache_mode = force_generic_plan", "EXECUTE p(17)"],
            "VALUES (17)",
            "",
        ),
        (
            "cursor",
            &["BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT city FROM acme.customers WHERE id IN (1, 2, 3, 4, 5, 6)", "FETCH 2 FROM c", "MOVE 1 FROM c", "FETCH BACKWARD 1 FROM c", "ROLLBACK"],
            "VALUES (1), (2), (3)",
            "",
        ),
        ("in the error", &["?SELECT 1 / (id - 5) FROM acme.customers WHERE id = 5"], "VALUES (5)", ""),
        ("in an error of the filter", &["?SELECT city FROM acme.customers WHERE id = 6 AND 1 / (id - 6) = 1"], "VALUES (6)", ""),
        ("rolled back", &["BEGIN", "SELECT city FROM acme.customers WHERE id = 77", "ROLLBACK"], "VALUES (77)", ""),
        ("in a savepoint", &["BEGIN", "SAVEPOINT s", "SELECT city FROM acme.customers WHERE id = 78", "ROLLBACK TO s", "COMMIT"], "VALUES (78)", ""),
    ];
    for mode in ["wire", "intent"] {
        cluster.admin(&format!("ALTER SYSTEM SET airlock.release = {mode}"));
        cluster.admin("SELECT pg_reload_conf()");
        eventually("the mode is taken up", || {
            (cluster.sql("acme", "SHOW airlock.release").value() == mode).then_some(())
        });
        for planner in if mode == "wire" { &["on", "off"][..] } else { &["on"] } {
            for (name, statements, exact, possible) in cases {
                let label = format!("{name} {mode} {planner}");
                let mut conn = cluster.connect_as("acme", &label);
                conn.query(&format!("SET enable_seqscan = {planner}; SET enable_bitmapscan = {planner}")).ok();
                for sql in *statements {
                    match sql.strip_prefix('?') {
                        Some(sql) => assert_eq!(conn.query(sql).code(), "22012", "{label}"),
                        None => drop(conn.query(sql).ok()),
                    }
                }
                drop(conn);
                let log = settled(&cluster, &label, 1);
                let wanted =
                    |sql: &str| if sql.is_empty() { Vec::new() } else { ids(&format!("{sql} ORDER BY 1"), &cluster) };
                let (found, perhaps) = touched(&cluster, log[0].get("id"));
                assert_eq!(found, wanted(exact), "{label}: for certain");
                assert_eq!(perhaps, wanted(possible), "{label}: perhaps");
            }
        }
    }
    assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

/// The answer is the same before the worker has settled the reads, and afterwards.
#[test]
fn reads_are_found_before_they_are_settled_and_after() {
    let cluster = running();
    let worker =
        cluster.admin("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_airlock materialiser'").value();
    let signal =
        |name: &str| assert!(std::process::Command::new("kill").args([name, &worker]).status().unwrap().success());
    signal("-STOP");
    let mut conn = cluster.connect_as("acme", "unsettled");
    for sql in
        ["SELECT city FROM acme.customers WHERE id = 4", "SELECT count(*) FROM acme.customers WHERE city LIKE 'O%'"]
    {
        conn.query(sql).ok();
    }
    // one that streams, and has not ended
    conn.query("BEGIN").ok();
    let ask = |person: u32| {
        cluster.admin(&format!(
            "SELECT subprocessor, columns, purpose, certainty, views, login_role FROM airlock.who_saw('public.customers', '{person}')
              WHERE login_role = 'acme' ORDER BY id"
        ))
    };
    let before = [4, 5].map(ask);
    signal("-CONT");
    settled(&cluster, "unsettled", 2);
    fixture::drained(&cluster);
    let after = [4, 5].map(ask);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.rows, after.rows);
    }
    assert_eq!(after[0].rows.len(), 2, "{after:?}");
    assert_eq!(after[0].rows[0][3].as_deref(), Some("exact"));
    assert_eq!(after[0].rows[0][1].as_deref(), Some("{acme.customers.id,acme.customers.city}"));
}

/// A read whose end is not known may have touched anybody whom its scopes are about, and nobody else.
#[test]
fn a_read_without_an_end_may_have_been_of_anybody() {
    let mut cluster = running();
    cluster.admin(
        "CREATE TABLE public.things (id int PRIMARY KEY, name text); INSERT INTO public.things SELECT g, 'x' FROM generate_series(1, 9) g;
         SELECT airlock.create_scope('acme', 'public.things', '{\"id\": \"clear\", \"name\": \"clear\"}')",
    );
    cluster.admin("ALTER SYSTEM SET airlock.release = intent");
    cluster.admin("SELECT pg_reload_conf()");
    let mut conn = cluster.connect_as("acme", "open");
    eventually("the mode is taken up", || (conn.query("SHOW airlock.release").value() == "intent").then_some(()));
    conn.query("BEGIN").ok();
    conn.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers WHERE id = 1").ok();
    conn.query("DECLARE d CURSOR FOR SELECT id FROM acme.things WHERE id = 1").ok();
    let reads = |table: &str, key: u32| -> Vec<String> {
        let sql = format!(
            "SELECT certainty FROM airlock.who_saw('public.{table}', '{key}') WHERE login_role = 'acme' ORDER BY id"
        );
        cluster.admin(&sql).rows.into_iter().map(|r| r[0].clone().unwrap()).collect()
    };
    assert_eq!(reads("customers", 1), ["possible"]);
    assert_eq!(reads("customers", 2), ["possible"]);
    assert_eq!(reads("things", 2), ["possible"]);
    // gone without a word
    cluster.kill();
    drop(conn);
    cluster.start();
    fixture::open(&cluster);
    let log = settled(&cluster, "open", 2);
    assert_eq!(log.iter().map(|r| r.get("outcome")).collect::<Vec<_>>(), ["killed", "killed"]);
    let certainty = |key: u32| {
        cluster
            .admin(&format!(
                "SELECT certainty FROM airlock.who_saw('public.customers', '{key}') WHERE login_role = 'acme'"
            ))
            .rows
    };
    assert_eq!(certainty(1), [[Some("possible".to_string())]]);
    assert_eq!(certainty(2), [[Some("possible".to_string())]]);
}

/// Nor does the whole log have to be read for it, where the planner has no statistics of the log: a partition is new each day.
#[test]
fn a_question_reads_what_may_be_about_the_person() {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE other LOGIN;
         SELECT airlock.create_subprocessor('other', role => 'other', legal_name => 'Other', contract => 'DPA', purposes => '{x}');
         SELECT airlock.create_scope('other', 'public.customers', '{\"id\": \"clear\"}')",
    );
    // reads of a scope without a subject may be of anybody, and there are few
    let mut other = cluster.connect_as("other", "few");
    (1..=20).for_each(|id| drop(other.query(&format!("SELECT id FROM other.customers WHERE id = {id}")).ok()));
    let mut acme = cluster.connect_as("acme", "many");
    (0..3000).for_each(|_| drop(acme.query("SELECT city FROM acme.customers WHERE id = 1").ok()));
    settled(&cluster, "many", 3000);
    let mut asking = cluster.connect("postgres");
    let mut read = || -> i64 {
        asking.query("SELECT pg_stat_force_next_flush()").ok();
        // a scan of the table is right where it is small
        let sql = "SELECT sum(idx_tup_read) FROM pg_stat_all_indexes WHERE relname LIKE 'read_subject%'";
        let before: i64 = asking.query(sql).value().parse().unwrap();
        let found = asking.query("SELECT count(*) >= 20 FROM airlock.who_saw('public.customers', '99')").value();
        assert_eq!(found, "t");
        asking.query("SELECT pg_stat_force_next_flush()").ok();
        asking.query(sql).value().parse::<i64>().unwrap() - before
    };
    let rows = read();
    assert!((20..200).contains(&rows), "{rows} entries of indexes, of 3,000 reads");
}
