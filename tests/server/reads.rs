//! The read vehicles: however a statement reads a scoped view, and however it ends, one record names view, columns,
//! login and purpose, and covers the rows that the client counted on its socket. Nothing a reader does takes it back.

use crate::cluster::Cluster;
use crate::fixture::{self, logged, running, settled, Logged, VISIBLE};
use crate::process::eventually;
use crate::protocol::{Answer, Conn};

/// What every record of these tests says about who read what.
#[track_caller]
fn says(row: &Logged, columns: &str, kind_outcome: (&str, &str), rows: usize) {
    assert_eq!(row.get("subprocessor"), "acme", "{row:#?}");
    assert_eq!(
        (row.get("login_role"), row.get("session_role"), row.get("acting_role")),
        ("acme", "acme", "acme"),
        "{row:#?}"
    );
    assert_eq!((row.get("database"), row.get("views")), ("app", "{acme.customers}"), "{row:#?}");
    let named: Vec<String> =
        columns.split(' ').filter(|c| !c.is_empty()).map(|c| format!("acme.customers.{c}")).collect();
    assert_eq!(row.get("columns"), format!("{{{}}}", named.join(",")), "{row:#?}");
    assert_eq!(row.get("purpose"), "product analytics", "{row:#?}");
    assert_eq!((row.get("kind"), row.get("outcome")), kind_outcome, "{row:#?}");
    assert_eq!(row.rows(), Some(rows), "{row:#?}");
}

/// Small answers, in one record.
const OK: (&str, &str) = ("exact", "ok");
const FAILED: (&str, &str) = ("exact", "error");
/// What was on record before it ended.
const STREAMED: (&str, &str) = ("final", "ok");

/// Runs statements in one session, each of which must succeed; the rows received in all.
fn read(cluster: &Cluster, name: &str, statements: &[&str]) -> usize {
    let mut conn = cluster.connect_as("acme", name);
    statements.iter().map(|sql| conn.query(sql).ok()).map(|a| a.received.max(a.copied.len())).sum()
}

#[test]
fn statements_that_succeed_are_logged_with_their_columns_and_rows() {
    let cluster = running();
    let cases: &[(&str, &[&str], &str, usize)] = &[
        ("plain", &["SELECT id, pay FROM acme.customers"], "id pay", VISIBLE),
        ("read only", &["BEGIN READ ONLY", "SELECT id FROM acme.customers", "COMMIT"], "id", VISIBLE),
        ("rolled back", &["BEGIN", "SELECT id FROM acme.customers", "ROLLBACK"], "id", VISIBLE),
        (
            "rolled back to",
            &["BEGIN", "SAVEPOINT s", "SELECT id FROM acme.customers", "ROLLBACK TO s", "COMMIT"],
            "id",
            VISIBLE,
        ),
        (
            "serializable",
            &["BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT id FROM acme.customers", "ROLLBACK"],
            "id",
            VISIBLE,
        ),
        ("copy", &["COPY (SELECT id FROM acme.customers) TO STDOUT"], "id", VISIBLE),
        ("where false", &["SELECT id FROM acme.customers WHERE false"], "id", 0),
        ("joined, where false", &["SELECT count(*) FROM acme.customers a, acme.customers b WHERE false"], "", 1),
        ("joined on nothing", &["SELECT a.id FROM acme.customers a JOIN acme.customers b ON 1 = 2"], "id", 0),
        ("limit 0", &["SELECT id FROM acme.customers LIMIT 0"], "id", 0),
        ("count", &["SELECT count(*) FROM acme.customers"], "", 1),
        ("only in WHERE", &["SELECT EXISTS (SELECT FROM acme.customers WHERE ssn = 'x')"], "ssn", 1),
        (
            "whole row",
            &["SELECT string_agg(c::text, ',') FROM acme.customers c"],
            "id country city email phone born ssn pay",
            1,
        ),
        ("star", &["TABLE acme.customers"], "id country city email phone born ssn pay", VISIBLE),
        (
            "join with itself",
            &["SELECT a.id FROM acme.customers a JOIN acme.customers b USING (id) WHERE b.city = 'Oslo'"],
            "id city",
            30,
        ),
        (
            "in a CTE",
            &["WITH c AS MATERIALIZED (SELECT id, city FROM acme.customers) SELECT 1 FROM c WHERE id < 5"],
            "id city",
            4,
        ),
        ("in VALUES", &["VALUES ((SELECT max(pay) FROM acme.customers))"], "pay", 1),
        (
            "cursor",
            &[
                "BEGIN",
                "DECLARE c CURSOR FOR SELECT id FROM acme.customers",
                "FETCH 20 FROM c",
                "FETCH 30 FROM c",
                "CLOSE c",
                "COMMIT",
            ],
            "id",
            50,
        ),
        (
            "cursor left open",
            &["BEGIN", "DECLARE c CURSOR FOR SELECT id FROM acme.customers", "FETCH 50 FROM c", "ROLLBACK"],
            "id",
            50,
        ),
    ];
    for (name, statements, columns, rows) in cases {
        assert_eq!(read(&cluster, name, statements), *rows, "{name}: rows received");
        let log = settled(&cluster, name, 1);
        let kind = if statements.iter().any(|s| s.starts_with("FETCH")) { STREAMED } else { OK };
        says(&log[0], columns, kind, *rows);
        assert_eq!(log[0].get("sqlstate").trim_start_matches("00000"), "", "{name}");
    }
    // the schedule of records in one session: the control counts nothing that reads no view
    assert_eq!(
        read(&cluster, "no read", &["SELECT 1", "SELECT count(*) FROM pg_catalog.pg_class", "SHOW server_version"]),
        3
    );
    assert_eq!(logged(&cluster, "no read"), []);
}

#[test]
fn prepared_statements_are_logged_at_each_execution() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "prepared");
    conn.query("PREPARE p AS SELECT id, city FROM acme.customers WHERE id <= $1").ok();
    assert_eq!(logged(&cluster, "prepared"), [], "preparing reads nothing");
    for n in [4, 9, 9, 9, 9, 9, 2] {
        assert_eq!(conn.query(&format!("EXECUTE p({n})")).ok().received, n);
    }
    conn.query("SET plan_cache_mode = force_generic_plan").ok();
    assert_eq!(conn.query("EXECUTE p(7)").ok().received, 7);
    let log = settled(&cluster, "prepared", 8);
    for (row, n) in log.iter().zip([4, 9, 9, 9, 9, 9, 2, 7]) {
        says(row, "id city", OK, n);
    }
}

#[test]
fn the_extended_protocol_is_logged_with_the_rows_it_sent() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "parse only");
    conn.parse("s", "SELECT id FROM acme.customers WHERE id > $1").describe(b'S', "s");
    assert_eq!(conn.sync().ok().columns, ["id"]);
    assert_eq!(logged(&cluster, "parse only"), [], "Parse and Describe read nothing");

    let mut conn = cluster.connect_as("acme", "row limit");
    conn.parse("", "SELECT id FROM acme.customers").bind("", "", &[]).execute("", 10);
    let answer = conn.sync().ok();
    assert_eq!((answer.received, answer.suspended), (10, true));
    says(&settled(&cluster, "row limit", 1)[0], "id", OK, 10);

    let mut conn = cluster.connect_as("acme", "in pieces");
    conn.query("BEGIN").ok();
    conn.parse("", "SELECT id FROM acme.customers")
        .bind("p", "", &[])
        .execute("p", 10)
        .execute("p", 15)
        .execute("p", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE);
    conn.query("COMMIT").ok();
    says(&settled(&cluster, "in pieces", 1)[0], "id", OK, VISIBLE);

    let mut conn = cluster.connect_as("acme", "pipeline");
    conn.parse("s", "SELECT id FROM acme.customers WHERE id <= $1");
    for n in ["1", "2", "3"] {
        conn.bind("", "s", &[Some(n)]).execute("", 0);
    }
    assert_eq!(conn.sync().ok().received, 6);
    let rows: Vec<_> = settled(&cluster, "pipeline", 3).iter().map(Logged::rows).collect();
    assert_eq!(rows, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_record_is_there_before_the_first_row() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "flush");
    conn.parse("", "SELECT id FROM acme.customers").bind("", "", &[]).execute("", 1).flush();
    conn.send().unwrap();
    let mut answer = Answer::default();
    conn.take(&mut answer, 1);
    let log = logged(&cluster, "flush");
    assert_eq!((log.len(), answer.received), (1, 1), "logged while the statement is still open");
    assert_eq!((log[0].get("kind"), log[0].get("views")), ("open", "{acme.customers}"));
    conn.sync();
    says(&settled(&cluster, "flush", 1)[0], "id", STREAMED, 1);
}

#[test]
fn an_error_after_some_rows_is_logged_with_them() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "division");
    let answer = conn.query("SELECT 1 / (50 - id) FROM acme.customers WHERE id <> 50 OR true");
    // id 50 is outside the filter: the row that would fail is not there
    assert_eq!((answer.code(), answer.received), ("", VISIBLE));
    let answer = conn.query("SELECT 1 / (51 - id) FROM acme.customers");
    assert_eq!(answer.code(), "22012");
    assert_eq!(answer.received, 45, "ids 1 to 50 without the five hidden ones");
    let log = settled(&cluster, "division", 2);
    says(&log[1], "id", FAILED, 45);
    assert_eq!(log[1].get("sqlstate"), "22012");

    let answer =
        cluster.connect_as("acme", "copy fails").query("COPY (SELECT 1 / (51 - id) FROM acme.customers) TO STDOUT");
    assert_eq!((answer.code(), answer.copied.len()), ("22012", 45));
    says(&settled(&cluster, "copy fails", 1)[0], "id", FAILED, 45);

    // an error before the first row, and one in the middle of a transaction that goes on
    let mut conn = cluster.connect_as("acme", "at once");
    conn.query("BEGIN").ok();
    conn.query("SAVEPOINT s").ok();
    assert_eq!(conn.query("SELECT (city || 'x')::int FROM acme.customers").code(), "22P02");
    conn.query("ROLLBACK TO s").ok();
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    conn.query("ROLLBACK").ok();
    let log = settled(&cluster, "at once", 2);
    says(&log[0], "city", FAILED, 0);
    says(&log[1], "id", OK, VISIBLE);
}

/// A statement that streams for ever, of
/// two short series: a long one would be written to a temporary file before its first row.
const ENDLESS: &str = "SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b";

/// Starts it and reads a few thousand rows.
fn streaming(cluster: &Cluster, name: &str) -> (Conn, Answer) {
    let mut conn = cluster.connect_as("acme", name);
    conn.begin(ENDLESS);
    let mut answer = Answer::default();
    conn.take(&mut answer, 3_000);
    assert_eq!((answer.received, &answer.error), (3_000, &None));
    (conn, answer)
}

#[test]
fn a_cancelled_stream_is_logged_with_the_rows_received() {
    let cluster = running();
    let (mut conn, mut answer) = streaming(&cluster, "cancelled");
    conn.cancel();
    conn.finish_into(&mut answer);
    assert_eq!(answer.code(), "57014");
    let log = settled(&cluster, "cancelled", 1);
    says(&log[0], "id", ("final", "cancelled"), answer.received);
    assert_eq!(log[0].get("sqlstate"), "57014");
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE, "the session lives on");
}

#[test]
fn a_timeout_is_logged_as_cancelled() {
    let cluster = running();
    cluster.admin("ALTER ROLE acme SET statement_timeout = '300ms'");
    let mut conn = cluster.connect_as("acme", "timeout");
    let answer = conn.query(ENDLESS);
    assert_eq!(answer.code(), "57014");
    let log = settled(&cluster, "timeout", 1);
    assert_eq!((log[0].get("outcome"), log[0].get("sqlstate")), ("cancelled", "57014"));
    assert_eq!(log[0].rows(), Some(answer.received));
}

#[test]
fn a_terminated_session_is_logged() {
    let cluster = running();
    let (mut conn, mut answer) = streaming(&cluster, "terminated");
    cluster.admin(&format!("SELECT pg_terminate_backend({})", conn.pid));
    conn.finish_into(&mut answer);
    assert!(answer.closed);
    let log = settled(&cluster, "terminated", 1);
    assert_eq!((log[0].get("views"), log[0].get("outcome")), ("{acme.customers}", "terminated"), "{log:?}");
    // what sat in buffers when the session was ended is counted, and did not arrive
    assert!(log[0].rows() >= Some(answer.received));
}

#[test]
fn a_client_that_goes_away_in_mid_stream_stays_in_the_log() {
    let cluster = running();
    let (conn, answer) = streaming(&cluster, "gone");
    let pid = conn.pid;
    drop(conn);
    eventually("its backend is gone", || {
        (cluster.admin(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).value() == "0")
            .then_some(())
    });
    let log = logged(&cluster, "gone");
    assert_eq!((log.len(), log[0].get("views")), (1, "{acme.customers}"));
    assert!(log[0].rows().is_none_or(|rows| rows >= answer.received), "{} received, {log:?}", answer.received);
}

#[test]
fn a_killed_backend_leaves_its_record() {
    let cluster = running();
    let (mut conn, mut answer) = streaming(&cluster, "killed");
    let mut witness = cluster.connect("clerk");
    crate::process::signal("KILL", &[conn.pid as u32]);
    conn.finish_into(&mut answer);
    assert!(answer.closed);
    // the server restarts all its processes after that, once it has seen it
    eventually("every session is ended", || witness.query("SELECT 1").closed.then_some(()));
    fixture::open(&cluster);
    let log = settled(&cluster, "killed", 1);
    assert_eq!((log[0].get("views"), log[0].get("outcome")), ("{acme.customers}", "killed"), "{log:?}");
}

#[test]
fn members_and_acting_roles_are_told_apart() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme_bob", "bob");
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    conn.query("SET ROLE acme").ok();
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    let log = settled(&cluster, "bob", 2);
    for (row, acting) in log.iter().zip(["acme_bob", "acme"]) {
        let roles = (row.get("subprocessor"), row.get("login_role"), row.get("session_role"), row.get("acting_role"));
        assert_eq!(roles, ("acme", "acme_bob", "acme_bob", acting));
    }
    // a superuser who poses as acme is found by the login
    let mut conn = cluster.connect_as("postgres", "posing");
    conn.query("SET SESSION AUTHORIZATION acme").ok();
    assert_eq!(conn.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
    let log = settled(&cluster, "posing", 1);
    assert_eq!((log[0].get("login_role"), log[0].get("session_role")), ("postgres", "acme"));
}

#[test]
fn the_logged_statement_holds_no_constant() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "constants");
    conn.query("SELECT id FROM acme.customers WHERE ssn = '987-65-4321' AND pay > 4711 -- ask for Ada").ok();
    conn.extended("SELECT id FROM acme.customers WHERE ssn = $1", &[Some("555-44-3333")]).ok();
    let log = settled(&cluster, "constants", 2);
    for row in &log {
        let statement = row.get("statement");
        assert!(statement.contains("FROM acme.customers WHERE ssn ="), "{statement}");
        assert!(!["987-65", "4711", "Ada", "555-44"].iter().any(|c| statement.contains(c)), "{statement}");
    }
}

#[test]
fn reads_take_no_transaction_id() {
    let cluster = running();
    let before = cluster.admin("SELECT pg_snapshot_xmax(pg_current_snapshot())").value();
    // the worker settles records in transactions of its own, so the reader's own id is asked for
    let mut conn = cluster.connect_as("acme", "no xid");
    conn.query("BEGIN").ok();
    conn.query("SELECT id FROM acme.customers").ok();
    let own = format!("SELECT coalesce(backend_xid::text, 'none') FROM pg_stat_activity WHERE pid = {}", conn.pid);
    assert_eq!(cluster.admin(&own).value(), "none", "snapshot before: {before}");
}

#[test]
fn the_answer_itself_is_masked_and_filtered() {
    let cluster = running();
    let answer = cluster.sql("acme", "SELECT * FROM acme.customers ORDER BY id").ok();
    assert_eq!(answer.columns, ["id", "country", "city", "email", "phone", "born", "ssn", "pay"], "no rule, no column");
    assert_eq!(fixture::leaked(&answer), None);
    let third: Vec<&str> = answer.rows[2].iter().flatten().map(String::as_str).collect();
    assert_eq!(
        [third[0], third[4], third[5], third[6], third[7]],
        ["3", "**************03", "1951-01-01", "************0003", "1003"]
    );
    assert_eq!(third[3].len(), 26, "a pseudonym: {}", third[3]);
}
