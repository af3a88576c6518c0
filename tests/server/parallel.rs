//! Parallel plans over scopes: workers open, mask and filter as the leader does, for what it is armed for and nothing else.

use crate::cluster::Cluster;
use crate::fixture::{leaked, logged, running};
use crate::process::eventually;
use crate::protocol::Answer;

/// Rows of the table, and of those that the filter shows.
const ROWS: usize = 20_000;
const SHOWN: usize = 18_000;

const RULES: &str = r#"{"id": "clear", "email": {"mask": "pseudonym"}, "phone": {"mask": "partial", "right": 2},
    "ssn": {"mask": "partial", "right": 4}, "born": {"mask": "date_trunc", "unit": "year"}, "code": "clear"}"#;

fn prepared() -> Cluster {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.many (id bigint PRIMARY KEY, email text, phone text, born date, ssn airlock.encrypted('pii'), code airlock.encrypted_eq('pii'), secret text);
         ALTER TABLE public.many SET (parallel_workers = 2); ALTER TABLE public.many OWNER TO app",
    );
    cluster
        .sql(
            "app",
            &format!(
                "INSERT INTO public.many SELECT g, CASE WHEN g % 10 = 0 THEN 'CANARYROW_p' ELSE 'CANARYMASK_p' END || g, 'CANARYMASK_p' || lpad(g::text, 6, '0'), date '1990-01-01' + g % 5000,
                        'CANARYMASK_e' || lpad(g::text, 6, '0'), 'code' || g % 100, 'CANARYCOL_p' FROM generate_series(1, {ROWS}) g; ANALYZE public.many"
            ),
        )
        .ok();
    for setting in [
        "parallel_setup_cost = 0",
        "parallel_tuple_cost = 0",
        "min_parallel_table_scan_size = 0",
        "max_parallel_workers = 4",
        "max_worker_processes = 12",
        "jit = off",
    ] {
        cluster.admin(&format!("ALTER SYSTEM SET {setting}"));
    }
    cluster.admin("SELECT pg_reload_conf()");
    eventually("the settings are taken up", || {
        (cluster.sql("acme", "SHOW parallel_tuple_cost").value() == "0").then_some(())
    });
    cluster
}

fn scope(cluster: &Cluster, function: &str, more: &str) {
    cluster.admin(&format!(
        "SELECT airlock.{function}('acme', 'public.many', '{RULES}', row_filter => 'id % 10 <> 0'{more})"
    ));
}

/// The answer, and how many processes scanned the table for it.
fn counted(cluster: &Cluster, user: &str, sql: &str) -> (Answer, i64) {
    let scans = || -> i64 {
        cluster.admin("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'many'").value().parse().unwrap()
    };
    let before = scans();
    // a process reports what it did when it ends
    let answer = cluster.connect_as(user, "counted").query(sql);
    let mut last = eventually("the scan is counted", || Some(scans()).filter(|now| *now > before));
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = scans();
        if now == last {
            return (answer, now - before);
        }
        last = now;
    }
}

const SUMS: &str = "SELECT count(*), count(DISTINCT email), min(phone), max(ssn), count(DISTINCT born), sum(length(code)), md5(string_agg(DISTINCT ssn, ',')) FROM acme.many";

#[test]
fn workers_answer_as_the_leader_alone_does() {
    let cluster = prepared();
    scope(&cluster, "create_scope", "");
    cluster.admin("ALTER ROLE acme_bob SET max_parallel_workers_per_gather = 0");
    // nobody but the workers scans
    cluster.admin("ALTER ROLE acme SET parallel_leader_participation = off");
    let (wanted, by_one) = counted(&cluster, "acme_bob", SUMS);
    assert_eq!((wanted.ok().first()[0].as_str(), by_one), (SHOWN.to_string().as_str(), 1));
    let (mut alone, mut acme) = (cluster.connect("acme_bob"), cluster.connect("acme"));
    let wanted = alone.query(SUMS).ok();
    let (answer, by) = counted(&cluster, "acme", SUMS);
    assert_eq!(answer.ok().rows, wanted.rows);
    assert!(by > 1, "{by} processes scanned");
    let log = logged(&cluster, "counted");
    assert_eq!((log.len(), log[1].rows()), (2, Some(1)), "{log:?}");
    for sql in [
        "SELECT id, ssn, code FROM acme.many WHERE phone LIKE '%7'",
        "SELECT a.id FROM acme.many a JOIN acme.many b ON a.ssn = b.ssn AND a.id < 100",
        "SELECT code, count(*) FROM acme.many GROUP BY code",
        "SELECT id FROM acme.many ORDER BY email LIMIT 7",
        "SELECT string_agg(c::text, '') FROM acme.many c WHERE id < 50",
    ] {
        let sorted = |answer: &Answer| {
            let mut rows = answer.rows.clone();
            rows.sort();
            rows
        };
        let (together, one) = (acme.query(sql).ok(), alone.query(sql).ok());
        assert_eq!(sorted(&together), sorted(&one), "{sql}");
        assert_eq!(leaked(&together), None, "{sql}");
        acme.query(&format!("PREPARE p AS {sql}")).ok();
        for _ in 0..6 {
            assert_eq!(sorted(&acme.query("EXECUTE p").ok()), sorted(&one), "{sql}");
        }
        acme.query("DEALLOCATE p").ok();
    }
    // an error in a worker is one of the statement; a filter over an encrypted column, and keyed masks by condition
    cluster.admin(
        "SELECT airlock.replace_scope('acme', 'public.many', '{\"id\": \"clear\", \"email\": {\"when\": \"code = ''code7''\", \"then\": {\"mask\": \"pseudonym\"}}}', row_filter => 'ssn < ''CANARYMASK_e000101'' AND id % 10 <> 0')",
    );
    assert_eq!(
        acme.query("SELECT count(*), count(email) FROM acme.many").ok().first(),
        ["90", "1"].map(String::from)[..1]
    );
    assert_eq!(acme.query("SELECT 1 / (id - id) FROM acme.many").code(), "22012");
    cluster.admin("SELECT airlock.suspend('acme', 'x')");
    assert!(matches!(cluster.sql("acme", "SELECT count(*) FROM acme.many").code(), "AL006" | "57P01"));
}

/// Who notes whose rows they are reads alone, and so do tables of another sub-processor's scope and those of nobody.
#[test]
fn what_workers_must_not_do_they_do_not() {
    let cluster = prepared();
    scope(&cluster, "create_scope", ", subject => '{id}'");
    let mut acme = cluster.connect_as("acme", "noted");
    let (answer, by) = counted(&cluster, "acme", "SELECT count(*), max(ssn) FROM acme.many");
    assert_eq!(
        (answer.ok().first()[0].as_str(), by),
        (SHOWN.to_string().as_str(), 1),
        "a subject is noted by one process"
    );
    let seen = |id: u32| {
        cluster
            .admin(&format!(
                "SELECT count(*) FROM airlock.who_saw('public.many', '{id}') WHERE certainty <> 'possible' OR true"
            ))
            .value()
    };
    assert_ne!(seen(11), "0");
    scope(&cluster, "replace_scope", "");
    // beside one whose rows nobody notes: whose were read of the other is exact all the same
    let joined = "SELECT count(*) FROM acme.customers c JOIN (SELECT count(*) FROM acme.many) m ON c.id = 11";
    cluster.connect_as("acme", "beside").query(joined).ok();
    let of = "SELECT count(*) FILTER (WHERE certainty = 'exact') || ' ' || count(*) FROM airlock.who_saw('public.customers', '";
    let saw = |id: u32| {
        cluster
            .admin(&format!("{of}{id}') w JOIN airlock.access_log a USING (id) WHERE a.application_name = 'beside'"))
            .value()
    };
    assert_eq!((saw(11).as_str(), saw(12).as_str()), ("1 1", "0 0"));
    // by hand, in a worker: of no armed statement, and of one that is armed for another scope
    let number = cluster.admin("SELECT scope_no FROM airlock.scopes WHERE relation = 'public.many'::regclass").value();
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO acme; GRANT SELECT ON public.many TO acme");
    for sql in [
        format!("SELECT count(*) FROM public.many WHERE airlock.gate_parallel({number})"),
        format!("SELECT count(*) FROM public.many m, acme.many v WHERE airlock.gate_parallel({number})"),
    ] {
        assert_eq!(acme.query(&sql).code(), "AL007", "{sql}");
    }
    for who in ["postgres", "app"] {
        let answer = cluster.sql(who, &format!("SET parallel_leader_participation = off; SELECT count(*) FROM public.many WHERE airlock.gate_parallel({number})"));
        assert!(matches!(answer.code(), "AL005" | "AL007" | "42501"), "{who}: {answer:?}");
    }
    // what a function reads in a worker has no record: it reads nothing there, and in the leader it is on record
    cluster.admin(
        "CREATE FUNCTION public.code_of(bigint) RETURNS text STABLE PARALLEL SAFE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT code FROM acme.many WHERE id = $1); END';
         CREATE FUNCTION public.city_of(bigint) RETURNS text STABLE PARALLEL SAFE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT city FROM acme.customers WHERE id = $1); END';
         CREATE TABLE public.other AS SELECT g AS id, 'x' || g AS name FROM generate_series(1, 20000) g; ALTER TABLE public.other SET (parallel_workers = 2); ANALYZE public.other;
         SELECT airlock.create_scope('acme', 'public.other', '{\"id\": \"clear\", \"name\": {\"mask\": \"redact\"}}');
         CREATE FUNCTION public.others() RETURNS SETOF bigint STABLE PARALLEL RESTRICTED LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT count(name) FROM acme.other; END'",
    );
    cluster.admin("ALTER ROLE acme SET parallel_leader_participation = off");
    for sql in [
        "SELECT count(public.code_of(id)) FROM acme.many",
        "SELECT count(public.city_of(id)) FROM acme.many WHERE (SELECT count(*) FROM acme.customers) > 0",
    ] {
        let answer = cluster.sql("acme", sql);
        assert_eq!((answer.code(), answer.received), ("AL005", 0), "{sql}: {answer:?}");
        assert!(answer.error.is_some_and(|e| e.get('H').contains("PARALLEL RESTRICTED")));
    }
    cluster.admin("ALTER FUNCTION public.code_of(bigint) PARALLEL RESTRICTED");
    cluster.connect_as("acme", "function").query("SELECT count(public.code_of(id)) FROM acme.many WHERE id < 40").ok();
    let log = logged(&cluster, "function");
    assert!(log[0].get("columns").contains("acme.many.code"), "{log:?}");
    // one inside a statement that leads has no workers of its own, and its plan keeps its wish
    let nested = "SELECT count(*), (SELECT o FROM public.others() o) FROM acme.many";
    for _ in 0..3 {
        assert_eq!(acme.query(nested).ok().rows[0], [Some(SHOWN.to_string()), Some("20000".to_string())]);
    }
    let (_, by) = counted(&cluster, "acme", "SELECT count(*), max(ssn) FROM acme.many");
    assert!(by > 1, "{by}");
    // an error in a worker is said without the value, in the server's log as well
    let named = "SELECT airlock.replace_scope('acme', 'public.many', '{\"id\": \"clear\"}', row_filter => 'id % 10 <> 0 OR make_date(id::int, 2, 30) IS NULL')";
    cluster.admin(named);
    let answer = cluster.sql("acme", "SELECT count(*) FROM acme.many");
    assert_eq!(answer.code(), "22008", "{answer:?}");
    assert!(!answer.everything().contains("-30") && !cluster.log().contains("out of range: "), "{answer:?}");
    scope(&cluster, "replace_scope", "");
    // more scopes than workers can be told of: the statement runs by itself, and is answered
    let views: Vec<String> = (0..18)
        .map(|n| {
            cluster.admin(&format!("CREATE TABLE public.t{n} AS SELECT 1 AS id; SELECT airlock.create_scope('acme', 'public.t{n}', '{{\"id\": \"clear\"}}')"));
            format!("acme.t{n}")
        })
        .collect();
    let sql = format!("SELECT count(*) FROM acme.many m, {}", views.join(", "));
    assert_eq!(acme.query(&sql).ok().value(), SHOWN.to_string());
}

/// A filter's look-ups may run in workers, which note nobody: whom they met there may have been anybody.
#[test]
fn whom_a_filter_met_in_a_worker_may_be_anybody() {
    let cluster = prepared();
    cluster.admin(&format!(
        "SELECT airlock.create_scope('acme', 'public.many', '{RULES}', row_filter => 'id NOT IN (SELECT c.id FROM public.customers c WHERE c.id > 50)')"
    ));
    // the look-up is no scan of workers itself, or nobody else could run it
    cluster.admin("ALTER TABLE public.customers SET (parallel_workers = 0)");
    cluster.admin("ALTER ROLE acme SET parallel_leader_participation = off");
    let sql =
        "SELECT count(*), max(m.n) FROM acme.customers c JOIN (SELECT count(*) AS n FROM acme.many) m ON c.id = 11";
    let (answer, by) = counted(&cluster, "acme", sql);
    assert_eq!(answer.ok().rows[0], [Some("1".to_string()), Some((ROWS - 50).to_string())]);
    assert!(by > 1, "{by}");
    let saw = |id: u32| {
        let of = "SELECT coalesce(min(certainty::text), 'nobody') FROM airlock.who_saw('public.customers', '";
        let read = "w JOIN airlock.access_log a USING (id) WHERE a.application_name = 'counted'";
        cluster.admin(&format!("{of}{id}') {read}")).value()
    };
    assert_eq!((saw(60).as_str(), saw(11).as_str()), ("possible", "exact"));
}
