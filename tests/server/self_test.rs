//! `airlock.self_test()`: that it tries what it says in a sub-processor's own session, sees what is broken, says nothing of
//! what it could not try, keeps its result, and gives nothing away.

use crate::cluster::Cluster;
use crate::fixture::{self, drained, leaked, ACME_RULES};
use crate::process::{eventually, hex};
use crate::sentinel::base64;
use std::fs;

/// What `doctor()` says must be done for a role before nothing is left to find.
const TIDY: &str = "
    REVOKE TEMPORARY ON DATABASE app FROM PUBLIC;
    ALTER ROLE acme CONNECTION LIMIT 5; ALTER ROLE acme_bob CONNECTION LIMIT 5;
    ALTER ROLE acme SET statement_timeout = '60s'; ALTER ROLE acme_bob SET statement_timeout = '60s';
    ALTER ROLE acme SET idle_in_transaction_session_timeout = '60s'; ALTER ROLE acme_bob SET idle_in_transaction_session_timeout = '60s';
    ALTER ROLE acme SET temp_file_limit = 0; ALTER ROLE acme_bob SET temp_file_limit = 0";

type Verdicts = Vec<(String, (Option<bool>, String))>;

/// Runs it; verdicts and messages by probe.
#[track_caller]
fn tested(cluster: &Cluster, name: &str) -> Verdicts {
    let answer = cluster.admin(&format!("SELECT probe, ok, message FROM airlock.self_test('{name}')"));
    assert_eq!(leaked(&answer), None, "a verdict holds no value");
    let row = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        let probe = row.next().flatten().unwrap();
        let ok = row.next().flatten().map(|ok| ok == "t");
        (probe, (ok, row.next().flatten().unwrap()))
    };
    answer.rows.into_iter().map(row).collect()
}

fn with(verdicts: &Verdicts, ok: Option<bool>) -> Vec<String> {
    verdicts.iter().filter(|(_, v)| v.0 == ok).map(|(probe, v)| format!("{probe}: {}", v.1)).collect()
}

#[track_caller]
fn verdict(verdicts: &Verdicts, probe: &str) -> Option<bool> {
    verdicts.iter().find(|(p, _)| p.contains(probe)).unwrap_or_else(|| panic!("no {probe} in {verdicts:#?}")).1 .0
}

#[test]
fn a_sound_scope_passes_every_probe_and_the_result_is_kept() {
    let cluster = fixture::running();
    cluster.admin(TIDY);
    let verdicts = tested(&cluster, "acme");
    assert_eq!(with(&verdicts, Some(false)), Vec::<String>::new());
    assert_eq!(with(&verdicts, None), Vec::<String>::new());
    let classes = cluster.admin("SELECT DISTINCT class FROM airlock.self_test('acme') ORDER BY 1").first();
    assert_eq!(classes, ["A", "B", "C", "D", "E", "F", "G", "H", "I", "X"]);
    // by whom, what, how many
    let kept = cluster.admin(
        "SELECT login_role || ' ' || acting_role || ' ' || subprocessor || ' ' || failed || ' ' || not_tested || ' ' || cardinality(failures)
                || ' ' || (passed = jsonb_array_length(results)) FROM airlock.self_tests",
    );
    assert_eq!(kept.first(), ["postgres postgres acme 0 0 0 true", "postgres postgres acme 0 0 0 true"]);
    let passed = verdicts.len();
    let line = format!("self_test of \"acme\": {passed} passed, 0 failed, 0 not tested");
    let noted = format!("SELECT count(*) FROM airlock.audit_log WHERE what = '{line}'");
    assert_eq!(cluster.admin(&noted).value(), "2");
    // the page says so, and counts none of its reads
    crate::fixture::drained(&cluster);
    let html = cluster.admin("SELECT airlock.report('acme')").value();
    assert!(html.contains(&format!("{passed} passed, 0 failed")));
    let plot = |html: &str| html.contains("<polyline");
    assert!(!plot(&html), "{html}");
    cluster.connect_as("acme", "plotted").query("SELECT id FROM acme.customers").ok();
    crate::fixture::drained(&cluster);
    assert!(plot(&cluster.admin("SELECT airlock.report('acme')").value()), "control");
}

#[test]
fn reads_of_the_test_are_the_subprocessors_and_marked() {
    let cluster = fixture::running();
    let unused = "SELECT columns::text FROM airlock.unused_fields WHERE subprocessor = 'acme'";
    let before = cluster.admin(unused).value();
    tested(&cluster, "acme");
    let marked = "SELECT DISTINCT login_role || ' ' || subprocessor || ' ' || views::text || ' ' || kind FROM airlock.access_log WHERE self_test";
    assert_eq!(cluster.admin(marked).first(), ["acme acme {acme.customers} final"]);
    // by something that a sub-processor cannot set
    let mut acme = cluster.connect_as("acme", "pg_airlock self test");
    acme.query("SELECT id FROM acme.customers").ok();
    let pretended = "SELECT self_test FROM airlock.access_log WHERE application_name = 'pg_airlock self test' AND columns = '{acme.customers.id}'";
    assert_eq!(cluster.admin(pretended).value(), "f");
    drained(&cluster);
    // what only the test read is unused still
    let after = cluster.admin(unused).value();
    assert_eq!(after, before.replace("{id,", "{").replace(",id}", "}").replace(",id,", ","), "acme itself read id");
    let (ok, _, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message}");
}

#[test]
fn a_rollback_takes_the_row_but_not_the_log() {
    let cluster = fixture::running();
    let mut conn = cluster.connect("postgres");
    conn.query("BEGIN; SELECT count(*) FROM airlock.self_test('acme'); ROLLBACK").ok();
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.self_tests").value(), "0");
    let noted = "SELECT count(*) FROM airlock.audit_log WHERE what LIKE 'self_test of \"acme\"%'";
    assert_eq!(cluster.admin(noted).value(), "1");
}

#[test]
fn far_too_many_rights_do_not_fail_an_attack_and_are_found() {
    let cluster = fixture::running();
    cluster.admin(TIDY);
    cluster.admin(
        "GRANT ALL ON public.customers TO acme; GRANT USAGE, CREATE ON SCHEMA public, airlock, airlock_scope, globex TO acme;
         GRANT ALL ON ALL TABLES IN SCHEMA airlock_scope, globex TO acme; GRANT pg_read_all_data, airlock_admin, pg_read_server_files TO acme;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock TO acme; GRANT SELECT ON pg_catalog.pg_authid, pg_catalog.pg_statistic TO acme;
         GRANT TEMP, CREATE ON DATABASE app TO acme",
    );
    let verdicts = tested(&cluster, "acme");
    let failed = with(&verdicts, Some(false));
    assert!(failed.iter().all(|f| f.starts_with("doctor()")), "{failed:#?}");
    assert!(failed.len() >= 5, "{failed:#?}");
    assert!(with(&verdicts, Some(true))
        .iter()
        .any(|v| v.contains("read \"public\".\"customers\"") && v.contains("AL007")));
}

#[test]
fn what_cannot_be_tried_gets_no_verdict() {
    let cluster = fixture::running();
    cluster.admin(TIDY);
    let tried = ["is answered", "a predicate on", "the error of a cast"];
    let untried = |verdicts: &Verdicts| {
        for probe in tried {
            assert_eq!(verdict(verdicts, probe), None, "{probe}");
        }
        // these do not ask for the scope
        assert_eq!(verdict(verdicts, "read \"public\".\"customers\""), Some(true));
        assert_eq!(verdict(verdicts, "DELETE FROM"), Some(true));
        let failed = with(verdicts, Some(false));
        assert!(failed.iter().all(|f| f.starts_with("doctor()")), "{failed:#?}");
    };
    cluster.admin("SELECT airlock.suspend('acme', 'a test')");
    untried(&tested(&cluster, "acme"));
    cluster.admin("SELECT airlock.resume('acme', 'a test')");
    cluster.admin("SELECT airlock.lock()");
    let locked = tested(&cluster, "acme");
    untried(&locked);
    assert_eq!(verdict(&locked, "find a key in views"), None);
    assert_eq!(verdict(&locked, "write the log"), None);
    cluster.admin("SELECT airlock.unlock()");
    assert_eq!(verdict(&tested(&cluster, "acme"), "a predicate on"), Some(true));
    // nor where there is no row
    cluster.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => 'consent AND id < 0')"
    ));
    let empty = tested(&cluster, "acme");
    assert_eq!((verdict(&empty, "is answered"), verdict(&empty, "a predicate on")), (Some(true), None));
    assert_eq!(verdict(&empty, "the error of a cast"), None);
}

#[test]
fn what_is_broken_fails() {
    let cluster = fixture::running();
    cluster.admin(TIDY);
    // a key where anybody may read it, in each spelling
    let text = fs::read_to_string(cluster.dir.join("root.key")).unwrap().trim().to_string();
    let raw: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
    let signed = raw.iter().map(|b| (*b as i8).to_string()).collect::<Vec<_>>().join(" ");
    for spelling in [hex(&raw), hex(&raw).to_uppercase(), base64(&raw), signed] {
        cluster.admin(&format!("COMMENT ON TABLE public.consents IS 'the key is {spelling}'"));
        assert_eq!(verdict(&tested(&cluster, "acme"), "find a key in comments"), Some(false), "{spelling}");
    }
    cluster.admin("COMMENT ON TABLE public.consents IS 'a comment'");
    assert_eq!(verdict(&tested(&cluster, "acme"), "find a key in comments"), Some(true));
    // a role's own default, which a test of another session would not meet
    cluster.admin("ALTER ROLE acme SET debug_print_plan = on");
    assert_eq!(verdict(&tested(&cluster, "acme"), "is answered"), Some(false));
    cluster.admin("ALTER ROLE acme RESET debug_print_plan");
    // a view that somebody made anew, without its mask
    cluster.admin("GRANT SELECT ON public.customers TO airlock_view_owner");
    cluster.admin(
        "CREATE OR REPLACE VIEW acme.customers AS SELECT id, country, city, email, phone, born, ssn::text AS ssn, 0::numeric AS pay FROM public.customers",
    );
    assert_eq!(verdict(&tested(&cluster, "acme"), "is answered"), Some(false));
    // a session that nothing contains: said, and nothing tried in it
    cluster.admin("SECURITY LABEL FOR airlock ON ROLE acme IS NULL");
    let verdicts = tested(&cluster, "acme");
    assert_eq!(verdict(&verdicts, "be somebody else"), Some(false));
    assert!(!verdicts.iter().any(|(probe, _)| probe.contains("DELETE")), "{verdicts:#?}");
}

#[test]
fn who_cannot_log_in_is_tried_by_a_member_that_can() {
    let cluster = fixture::running();
    cluster.admin("ALTER ROLE acme NOLOGIN");
    assert_eq!(verdict(&tested(&cluster, "acme"), "without a record"), Some(true));
    let logins = "SELECT DISTINCT login_role FROM airlock.access_log WHERE self_test";
    assert_eq!(cluster.admin(logins).value(), "acme_bob");
    cluster.admin("ALTER ROLE acme_bob NOLOGIN");
    assert_eq!(cluster.admin_error("SELECT * FROM airlock.self_test('acme')").code(), "55000");
}

#[test]
fn it_is_for_administrators_and_changes_nothing() {
    let cluster = fixture::running();
    cluster.admin("CREATE ROLE boss LOGIN IN ROLE airlock_admin; CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    let call = "SELECT count(*) FROM airlock.self_test('acme')";
    let data = "SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM public.customers c";
    let objects = "SELECT string_agg(relname, ',' ORDER BY oid) FROM pg_class";
    let before = (cluster.admin(data).value(), cluster.admin(objects).value());
    for (user, code) in
        [("acme", "42501"), ("acme_bob", "42501"), ("clerk", "42501"), ("auditor", "42501"), ("boss", "")]
    {
        assert_eq!(cluster.sql(user, call).code(), code, "{user}");
    }
    cluster.admin("GRANT airlock_admin TO acme");
    assert_eq!(cluster.sql("acme", call).code(), "AL007");
    cluster.admin("REVOKE airlock_admin FROM acme");
    assert_eq!((cluster.admin(data).value(), cluster.admin(objects).value()), before);
    // whoever asked, and as whom
    let by = cluster.sql("auditor", "SELECT login_role || ' ' || acting_role FROM airlock.self_tests").value();
    assert_eq!(by, "boss boss");
    for (sql, code) in [
        ("SELECT * FROM airlock.self_test('nobody')", "42704"),
        ("SELECT * FROM airlock.self_test(NULL)", "22023"),
        ("BEGIN; SELECT airlock.suspend('globex', 'x'); SELECT * FROM airlock.self_test('acme')", "55000"),
        ("SELECT airlock.terminate('globex', 'x'); SELECT * FROM airlock.self_test('globex')", "55000"),
        ("BEGIN READ ONLY; SELECT * FROM airlock.self_test('acme')", "25006"),
    ] {
        assert_eq!(cluster.admin_error(sql).code(), code, "{sql}");
    }
}

#[test]
fn a_cancelled_test_ends_its_worker() {
    let cluster = fixture::running();
    let mut lock = cluster.connect("postgres");
    lock.query("BEGIN; LOCK TABLE public.customers").ok();
    let mut conn = cluster.connect("postgres");
    conn.begin("SELECT * FROM airlock.self_test('acme')");
    let workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_airlock self test'";
    let there = |n: &str| (cluster.admin(workers).value() == n).then_some(());
    eventually("the worker waits", || {
        let waits = format!("{workers} AND wait_event_type = 'Lock'");
        (cluster.admin(&waits).value() == "1").then_some(())
    });
    conn.cancel();
    assert_eq!(conn.finish().code(), "57014");
    eventually("the worker is gone", || there("0"));
    lock.query("ROLLBACK").ok();
    assert_eq!(conn.query("SELECT count(*) > 50 FROM airlock.self_test('acme')").value(), "t");
    assert_eq!(there("0"), Some(()), "each ends before its answer");
}

#[test]
fn without_a_free_worker_it_says_so() {
    let mut cluster = fixture::stopped();
    cluster.set("max_worker_processes", "2");
    cluster.start();
    fixture::open(&cluster);
    let error = cluster.admin_error("SELECT * FROM airlock.self_test('acme')");
    assert_eq!(error.code(), "55000");
    assert!(error.text().contains("max_worker_processes"), "{}", error.text());
}

/// It is nobody's session: it takes no place of a day, and nothing of it was received.
#[test]
fn it_takes_no_place_of_a_session_and_is_no_breach() {
    let cluster = fixture::running();
    cluster.admin(TIDY);
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"connections_per_day": 1}')"#);
    let verdicts = tested(&cluster, "acme");
    assert!(with(&verdicts, Some(false)).is_empty() && with(&verdicts, None).is_empty(), "{verdicts:?}");
    let size = "SELECT reads || ' ' || rows_sent FROM airlock.breach_report('acme', now() - interval '1 day', now()) WHERE relation IS NULL";
    assert_eq!(cluster.admin(size).value(), "0 0");
    let saw = "SELECT string_agg(DISTINCT certainty, ' ') FROM generate_series(1, 100) g, LATERAL airlock.who_saw('public.customers', g::text) w";
    assert_eq!(cluster.admin(saw).value(), "possible", "some rows were looked at, and none left");
    drained(&cluster);
    assert_eq!(cluster.admin(saw).value(), "possible", "settled as well");
    cluster.sql("acme", "SELECT id FROM acme.customers LIMIT 1").ok();
    assert_eq!(cluster.admin(size).value(), "1 1");
    assert!(with(&tested(&cluster, "acme"), None).is_empty(), "with the quota used up as well");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers LIMIT 1").code(), "AL006");
    // a rotation of the mask key leaves a rule that says the same: a column counts once
    cluster.admin("SELECT airlock.rotate_mask_key('acme', 'why')");
    let columns = "SELECT count(*) FROM airlock.breach_report('acme', now() - interval '1 day', now()) b, jsonb_array_elements(b.columns) c WHERE (c ->> 'reads')::int > 1";
    assert_eq!(cluster.admin(columns).value(), "0");
}
