//! `breach_report()`: what a sub-processor received in a time, settled or not; persons are never fewer than there were.

use crate::cluster::Cluster;
use crate::fixture::{drained, running, settled, VISIBLE};
use crate::protocol::Answer;
use std::collections::BTreeMap;

const EVER: &str = "'-infinity', 'infinity'";

/// A row of the report by column, NULL as an empty text; the whole is that of relation "".
fn report(cluster: &Cluster, who: &str, time: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let answer = cluster.admin(&format!("SELECT * FROM airlock.breach_report('{who}', {time})"));
    let named = |row: Vec<Option<String>>| -> BTreeMap<String, String> {
        answer.columns.iter().cloned().zip(row.into_iter().map(Option::unwrap_or_default)).collect()
    };
    answer.rows.clone().into_iter().map(named).map(|row| (row["relation"].clone(), row)).collect()
}

fn numbers(row: &BTreeMap<String, String>) -> [&str; 6] {
    ["reads", "rows_sent", "subjects_at_least", "subjects_at_most", "certainty", "unknown_subjects"]
        .map(|c| row[c].as_str())
}

/// What the columns were at the reads.
fn columns(cluster: &Cluster, who: &str) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' ', c ->> 'column', c ->> 'exposure', c ->> 'mask', CASE WHEN (c ->> 'encrypted')::boolean THEN 'encrypted' END, c ->> 'reads')
           FROM airlock.breach_report('{who}', {EVER}) b, jsonb_array_elements(b.columns) c WHERE b.relation = 'public.customers' ORDER BY 1"
    );
    cluster.admin(&sql).first()
}

fn now(cluster: &Cluster) -> String {
    cluster.admin("SELECT clock_timestamp()").value()
}

#[test]
fn what_was_received_is_counted_settled_or_not_by_the_rules_of_its_time() {
    let cluster = running();
    assert_eq!(numbers(&report(&cluster, "acme", EVER)[""]), ["0", "0", "0", "0", "exact", "0"]);
    let before = now(&cluster);
    let mut acme = cluster.connect_as("acme", "breach");
    acme.query("SELECT city FROM acme.customers WHERE id < 10").ok();
    acme.query("SELECT id, email, ssn FROM acme.customers WHERE id BETWEEN 5 AND 12").ok();
    let mut bob = cluster.connect_as("acme_bob", "breach");
    bob.query("SELECT count(*) FROM acme.customers WHERE id > 95").ok();
    // 9 and 7 rows and a count; 1 to 12 but for 10, and 96 to 99
    let check = |time: &str| {
        let found = report(&cluster, "acme", time);
        assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["", "public.customers"]);
        for row in found.values() {
            assert_eq!(numbers(row), ["3", "17", "15", "15", "exact", "0"], "{row:?}");
            assert_eq!(row["purposes"], "{\"product analytics\"}");
            assert_eq!(row["login_roles"], "{acme,acme_bob}");
            assert_eq!(row["client_addrs"], "{local}");
            assert!(row["first_read"] <= row["last_read"] && row["first_read"] > before, "{row:?}");
        }
        assert!(found[""]["message"].contains("the log is whole up to record"), "{:?}", found[""]);
        found[""]["message"].contains("not settled yet are counted")
    };
    check(EVER);
    settled(&cluster, "breach", 3);
    drained(&cluster);
    assert!(!check(EVER), "all is settled");
    check(&format!("'{before}', 'infinity'"));
    assert_eq!(
        columns(&cluster, "acme"),
        ["city clear 1", "email masked pseudonym 1", "id clear 3", "ssn masked partial encrypted 1"]
    );
    // other times
    assert_eq!(numbers(&report(&cluster, "acme", &format!("'-infinity', '{before}'"))[""])[0], "0");
    assert_eq!(numbers(&report(&cluster, "acme", "'infinity', 'infinity'")[""])[0], "0");
    let after = now(&cluster);
    // by other rules, and both are there; a join counts in both
    cluster.admin(
        r#"SELECT airlock.replace_scope('acme', 'public.customers', '{"id": "clear", "email": "clear"}', row_filter => 'consent', subject => '{id}');
           SELECT airlock.create_scope('acme', 'public.consents', '{"customer": "clear"}', subject => '{customer}')"#,
    );
    cluster.connect_as("acme", "breach").query("SELECT c.email FROM acme.customers c JOIN acme.consents d ON d.customer = c.id WHERE c.id = 1 AND d.customer = 1").ok();
    let found = report(&cluster, "acme", &format!("'{after}', 'infinity'"));
    for relation in ["public.customers", "public.consents"] {
        assert_eq!(numbers(&found[relation]), ["1", "1", "1", "1", "exact", "0"], "{found:?}");
        assert!(found[relation]["message"].contains("1 reads are of several relations"));
    }
    assert_eq!(numbers(&found[""])[..2], ["1", "1"]);
    assert_eq!(
        columns(&cluster, "acme"),
        ["city clear 1", "email clear 1", "email masked pseudonym 1", "id clear 4", "ssn masked partial encrypted 1"]
    );
    // and after the views are gone
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.customers'), airlock.terminate('acme', 'breach')");
    assert_eq!(numbers(&report(&cluster, "acme", EVER)["public.customers"]), ["4", "18", "15", "15", "exact", "0"]);
}

#[test]
fn what_is_not_known_is_said_and_never_counted_as_nothing() {
    let cluster = running();
    // globex declares no subject: the fixture's first read touched nobody knows whom
    cluster.connect_as("globex", "vague").query("SELECT id FROM globex.customers LIMIT 3").ok();
    settled(&cluster, "vague", 1);
    let globex = report(&cluster, "globex", EVER);
    let row = &globex["public.customers"];
    assert_eq!((row["subjects_at_most"].as_str(), row["certainty"].as_str()), ("", "unknown"));
    assert_eq!(row["reads"], row["unknown_subjects"]);
    assert!(row["message"].contains("it may be anybody"), "{row:?}");
    // a read that has begun and not ended
    let before = now(&cluster);
    let mut open = cluster.connect_as("acme", "open");
    open.begin("SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b");
    let mut answer = Answer::default();
    open.take(&mut answer, 1000);
    let time = format!("'{before}', 'infinity'");
    for later in ["", "settled"] {
        let after = now(&cluster);
        let found = report(&cluster, "acme", &time);
        assert_eq!(numbers(&found["public.customers"]), ["1", "0", "0", "", "unknown", "1"], "{later} {found:?}");
        assert_eq!(found[""]["unfinished_reads"], "1");
        assert!(found[""]["message"].contains("of 1 reads the end is not known"), "{found:?}");
        // it goes on, so it is of any time since
        assert_eq!(numbers(&report(&cluster, "acme", &format!("'{after}', 'infinity'"))[""])[0], "1", "{later}");
        assert_eq!(numbers(&report(&cluster, "acme", &format!("'-infinity', '{before}'"))[""])[0], "0", "{later}");
        drained(&cluster);
    }
    drop(open);
    settled(&cluster, "open", 1);
    let found = report(&cluster, "acme", &time);
    let persons = found[""]["subjects_at_least"].parse::<usize>().unwrap();
    assert!((1..=VISIBLE).contains(&persons) && found[""]["unfinished_reads"] == "0", "{found:?}");
    assert!(found[""]["rows_sent"].parse::<u64>().unwrap() >= 1000, "{found:?}");
    // an epoch later the same persons may be others; forgotten they are counted, and it is said
    let mut acme = cluster.connect_as("acme", "epochs");
    acme.query("SELECT city FROM acme.customers WHERE id < 5").ok();
    cluster.admin("SELECT airlock.rotate_subject_key()");
    let mut acme = cluster.connect_as("acme", "epochs");
    acme.query("SELECT city FROM acme.customers WHERE id < 3").ok();
    let between =
        "(SELECT min(logged_at) FROM airlock.access_log WHERE application_name = 'epochs'), 'infinity'".to_string();
    let found = report(&cluster, "acme", &between);
    assert_eq!(numbers(&found["public.customers"]), ["2", "6", "4", "6", "approximate", "0"], "{found:?}");
    cluster.admin("SELECT airlock.destroy_subject_key(1)");
    let found = report(&cluster, "acme", &between);
    assert_eq!(numbers(&found["public.customers"]), ["2", "6", "4", "6", "approximate", "0"], "{found:?}");
    assert_eq!(found["public.customers"]["forgotten_subjects"], "1");
    // persons that were only looked at
    cluster.connect_as("acme", "looks").query("SELECT id FROM acme.customers WHERE city LIKE 'Os%' AND id < 6").ok();
    let found = report(
        &cluster,
        "acme",
        "(SELECT min(logged_at) FROM airlock.access_log WHERE application_name = 'looks'), 'infinity'",
    );
    let row = &found["public.customers"];
    assert_eq!(
        row["subjects_at_least"].parse::<u32>().unwrap() + row["passed_over"].parse::<u32>().unwrap(),
        5,
        "{row:?}"
    );
}

#[test]
fn auditors_and_administrators_ask_on_record_and_a_log_that_was_edited_is_told_first() {
    let cluster = running();
    cluster.admin("CREATE ROLE officer LOGIN IN ROLE airlock_admin; CREATE ROLE auditor LOGIN IN ROLE airlock_auditor");
    cluster.connect_as("acme", "reads").query("SELECT city FROM acme.customers").ok();
    settled(&cluster, "reads", 1);
    drained(&cluster);
    let ask = format!("SELECT reads FROM airlock.breach_report('acme', {EVER})");
    for role in ["officer", "auditor"] {
        assert_eq!(cluster.connect_as(role, "asks").query(&ask).ok().first(), ["1", "1"]);
    }
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO acme; GRANT EXECUTE ON FUNCTION airlock.breach_report(text, timestamptz, timestamptz) TO acme");
    for (role, code) in [("clerk", "42501"), ("app", "42501"), ("acme", "AL007")] {
        assert_eq!(cluster.sql(role, &ask).code(), code, "{role}");
    }
    let noted = "SELECT login_role FROM airlock.audit_log WHERE application_name = 'asks' AND what = 'breach_report: acme' ORDER BY id";
    assert_eq!(cluster.admin(noted).first(), ["officer", "auditor"]);
    for (arguments, code) in [
        ("'nobody', 'now', 'now'", "42704"),
        ("'acme', 'tomorrow', 'yesterday'", "22023"),
        ("'acme', NULL, 'now'", "22023"),
    ] {
        assert_eq!(
            cluster.sql("auditor", &format!("SELECT * FROM airlock.breach_report({arguments})")).code(),
            code,
            "{arguments}"
        );
    }
    cluster.admin("UPDATE airlock_catalog.read_record SET rows_sent = 1 WHERE application_name = 'reads'");
    let message = report(&cluster, "acme", EVER)[""]["message"].clone();
    assert!(message.starts_with("THE LOG IS NOT WHOLE"), "{message}");
    cluster.admin("SELECT airlock.lock()");
    assert_eq!(cluster.sql("auditor", &ask).code(), "AL001");
}
