//! The wire gate: an answer is held until its record is durable, and the record says exactly what was sent, whatever the
//! protocol makes of it. Rows and bytes are counted here by what came out of the socket.

mod stores;

use crate::cluster::Cluster;
use crate::fixture::{self, logged, running, settled, Logged, VISIBLE};
use crate::process::eventually;
use crate::protocol::{Answer, Conn};

/// About a kilobyte per row, so that a few hundred rows are more than is held.
const WIDE: &str = "SELECT c.id, repeat('x', 1000) FROM acme.customers c, generate_series(1, 10) g";

fn kinds(log: &[Logged]) -> Vec<(&str, &str, Option<usize>)> {
    log.iter().map(|r| (r.get("kind"), r.get("outcome"), r.rows())).collect()
}

/// The one read of a session is on record with what this client received.
#[track_caller]
fn agrees(cluster: &Cluster, name: &str, kind: &str, outcome: &str, answer: &Answer) {
    let log = settled(cluster, name, 1);
    let received = answer.received + answer.copied.len();
    assert_eq!(kinds(&log), [(kind, outcome, Some(received))], "{name}");
    assert_eq!(log[0].get("bytes_sent"), answer.row_bytes.to_string(), "{name}");
}

#[test]
fn a_small_answer_is_one_exact_record_and_a_large_one_is_opened_first() {
    let cluster = running();
    let answer = cluster.connect_as("acme", "small").query("SELECT * FROM acme.customers").ok();
    agrees(&cluster, "small", "exact", "ok", &answer);
    assert_eq!(answer.received, VISIBLE);

    let mut conn = cluster.connect_as("acme", "large");
    conn.begin(WIDE);
    let mut answer = Answer::default();
    conn.take(&mut answer, 1);
    // the rest may be anywhere; that it was recorded before the first row came is what counts
    assert!(!logged(&cluster, "large").is_empty(), "a row came before a record");
    conn.finish_into(&mut answer);
    assert_eq!(answer.received, 10 * VISIBLE);
    agrees(&cluster, "large", "final", "ok", &answer);

    // the same is held whole where the limit allows it
    cluster.admin("ALTER SYSTEM SET airlock.hold_bytes = '2MB'");
    cluster.admin("SELECT pg_reload_conf()");
    let mut conn = cluster.connect_as("acme", "raised");
    eventually("the setting is in force", || {
        (conn.query("SHOW airlock.hold_bytes").ok().value() == "2MB").then_some(())
    });
    let answer = conn.query(WIDE).ok();
    agrees(&cluster, "raised", "exact", "ok", &answer);
}

#[test]
fn every_format_of_copy_is_counted_by_its_rows() {
    let cluster = running();
    for (name, options, beside) in [
        ("text", "", 0),
        ("csv", "(FORMAT csv)", 0),
        ("header", "(FORMAT csv, HEADER)", 1),
        ("header on", "(FORMAT csv, HEADER on)", 1),
        ("header off", "(FORMAT csv, HEADER off)", 0),
        ("text header", "(HEADER true)", 1),
        ("old header", "CSV HEADER", 1),
        ("binary", "(FORMAT binary)", 1),
    ] {
        for (rows, limit) in [(VISIBLE, ""), (0, "LIMIT 0"), (1, "LIMIT 1")] {
            let name = format!("{name} {rows}");
            let sql = format!("COPY (SELECT id, city FROM acme.customers {limit}) TO STDOUT {options}");
            let answer = cluster.connect_as("acme", &name).query(&sql).ok();
            let log = settled(&cluster, &name, 1);
            assert_eq!(kinds(&log), [("exact", "ok", Some(rows))], "{name}");
            assert_eq!(log[0].get("bytes_sent"), answer.row_bytes.to_string(), "{name}");
            // in an empty binary copy header and trailer are one message
            assert_eq!(answer.copied.len(), rows + beside, "{name}");
        }
    }
    // no trailer comes after an error
    let sql = "COPY (SELECT 1 / (51 - id) FROM acme.customers) TO STDOUT (FORMAT binary)";
    let answer = cluster.connect_as("acme", "binary fails").query(sql);
    assert_eq!((answer.code(), answer.copied.len()), ("22012", 45));
    agrees(&cluster, "binary fails", "exact", "error", &answer);
}

#[test]
fn cursors_are_counted_by_what_was_fetched() {
    let cluster = running();
    for (name, fetches, rows) in [
        ("forward", &["FETCH 3 FROM c", "FETCH FORWARD 4 FROM c", "FETCH ALL FROM c"][..], VISIBLE),
        ("backward", &["FETCH 5 FROM c", "FETCH BACKWARD 3 FROM c", "FETCH RELATIVE 2 FROM c"], 9),
        ("absolute", &["FETCH ABSOLUTE 7 FROM c", "FETCH ABSOLUTE -1 FROM c", "FETCH LAST FROM c"], 3),
        ("moved", &["MOVE 20 IN c", "FETCH 2 FROM c", "MOVE LAST IN c"], 2),
        ("moved only", &["MOVE ALL IN c"], 0),
    ] {
        let mut conn = cluster.connect_as("acme", name);
        conn.query("BEGIN").ok();
        conn.query("DECLARE c SCROLL CURSOR FOR SELECT id FROM acme.customers").ok();
        let mut all = Answer::default();
        for sql in fetches {
            conn.begin(sql);
            conn.finish_into(&mut all);
        }
        assert_eq!(all.received, rows, "{name}");
        conn.query("COMMIT").ok();
        agrees(&cluster, name, "final", "ok", &all);
    }
    // two at once, and one closed by an error in a savepoint
    let mut conn = cluster.connect_as("acme", "two");
    conn.query("BEGIN").ok();
    conn.query("DECLARE a CURSOR FOR SELECT id FROM acme.customers").ok();
    conn.query("SAVEPOINT s").ok();
    conn.query("DECLARE b CURSOR FOR SELECT 1 / (3 - id) FROM acme.customers").ok();
    assert_eq!(conn.query("FETCH 2 FROM b; FETCH 4 FROM a; FETCH 1 FROM a").ok().received, 7);
    assert_eq!(conn.query("FETCH 1 FROM b").code(), "22012");
    conn.query("ROLLBACK TO s").ok();
    assert_eq!(conn.query("FETCH 10 FROM a").ok().received, 10);
    conn.query("COMMIT").ok();
    assert_eq!(kinds(&settled(&cluster, "two", 2)), [("final", "ok", Some(15)), ("final", "error", Some(2))]);
}

#[test]
fn statements_of_one_message_are_told_apart() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "several");
    let answer = conn
        .query("SHOW server_version; SELECT id FROM acme.customers LIMIT 3; SELECT generate_series(1, 50); SELECT id FROM acme.customers LIMIT 4; SHOW ALL")
        .ok();
    assert!(answer.received > 300, "SHOW ALL has rows of its own");
    assert_eq!(kinds(&settled(&cluster, "several", 2)), [("exact", "ok", Some(3)), ("exact", "ok", Some(4))]);
    // what came before an error of the same message was sent
    let mut conn = cluster.connect_as("acme", "then fails");
    let answer = conn.query("SELECT id FROM acme.customers LIMIT 3; SELECT 1 / (2 - id) FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("22012", 4));
    assert_eq!(kinds(&settled(&cluster, "then fails", 2)), [("exact", "ok", Some(3)), ("exact", "error", Some(1))]);
}

#[test]
fn rows_of_a_stored_result_are_counted_as_they_are_fetched() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "stored");
    conn.query("PREPARE p AS SELECT id FROM acme.customers").ok();
    conn.query("BEGIN").ok();
    // EXECUTE runs to its end at once; its rows come out of a store, without the executor
    let mut all = Answer::default();
    conn.parse("", "EXECUTE p").bind("e", "", &[]).execute("e", 10).put(b'S', b"");
    conn.send().unwrap();
    conn.finish_into(&mut all);
    assert!(all.suspended);
    assert_eq!(kinds(&logged(&cluster, "stored")), [("open", "", None)], "more may come");
    // another statement in between has rows of its own
    conn.query("SELECT generate_series(1, 7)").ok();
    conn.execute("e", 25).put(b'S', b"");
    conn.send().unwrap();
    conn.finish_into(&mut all);
    conn.query("SHOW work_mem").ok();
    assert_eq!(all.received, 35);
    conn.query("COMMIT").ok();
    agrees(&cluster, "stored", "final", "ok", &all);
}

#[test]
fn portals_that_take_turns_are_counted_apart() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "turns");
    conn.query("BEGIN").ok();
    conn.parse("", "SELECT id FROM acme.customers").bind("a", "", &[]);
    conn.parse("", "SELECT id, city FROM acme.customers").bind("b", "", &[]);
    for (portal, rows) in [("a", 3), ("b", 5), ("a", 1), ("b", 2)] {
        conn.execute(portal, rows);
    }
    assert_eq!(conn.sync().ok().received, 11);
    conn.execute("b", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE - 7);
    conn.query("COMMIT").ok();
    let log = settled(&cluster, "turns", 2);
    assert_eq!(kinds(&log), [("final", "ok", Some(4)), ("final", "ok", Some(VISIBLE))]);
}

#[test]
fn a_portal_that_goes_on_after_its_record_gets_another() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "goes on");
    conn.query("BEGIN").ok();
    conn.parse("", "SELECT id FROM acme.customers ORDER BY id").bind("p", "", &[]).execute("p", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE);
    // one record for one round trip, although the portal is still there
    assert_eq!(kinds(&logged(&cluster, "goes on")), [("exact", "ok", Some(VISIBLE))]);
    conn.execute("p", 0);
    assert_eq!(conn.sync().ok().received, 0, "it is at its end");
    conn.query("COMMIT").ok();
    assert_eq!(kinds(&settled(&cluster, "goes on", 2)), [("exact", "ok", Some(VISIBLE)), ("exact", "ok", Some(0))]);
    // a cursor can be executed to its end, and fetched from again
    let mut conn = cluster.connect_as("acme", "back");
    conn.query("BEGIN").ok();
    conn.query("DECLARE c SCROLL CURSOR FOR SELECT id FROM acme.customers").ok();
    conn.execute("c", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE);
    assert_eq!(kinds(&logged(&cluster, "back")), [("final", "ok", Some(VISIBLE))]);
    assert_eq!(conn.query("FETCH BACKWARD 6 FROM c").ok().received, 6);
    conn.query("COMMIT").ok();
    assert_eq!(kinds(&settled(&cluster, "back", 2)), [("final", "ok", Some(VISIBLE)), ("final", "ok", Some(6))]);
    // and a suspension is asked about at that moment
    let mut conn = cluster.connect_as("acme", "suspended");
    conn.query("BEGIN").ok();
    conn.parse("", "SELECT id FROM acme.customers ORDER BY id").bind("p", "", &[]).execute("p", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE);
    cluster.admin("SELECT airlock.suspend('acme', 'test')");
    let answer = conn.query("FETCH BACKWARD 6 FROM p");
    assert_eq!((answer.received, answer.closed || !answer.code().is_empty()), (0, true));
}

#[test]
fn a_pipeline_has_few_flushes_and_every_record() {
    const QUERIES: usize = 2_000;
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "pipelined");
    conn.parse("s", "SELECT id FROM acme.customers WHERE id = $1");
    for n in 0..QUERIES {
        conn.bind("", "s", &[Some(&(n % 9 + 1).to_string())]).execute("", 0);
    }
    assert_eq!(conn.sync().ok().received, QUERIES);
    let log = settled(&cluster, "pipelined", QUERIES);
    assert!(log.iter().all(|r| (r.get("kind"), r.rows()) == ("exact", Some(1))), "{:?}", log[0]);
}

#[test]
fn what_a_function_reads_is_part_of_the_statement_that_calls_it() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.pay_of(bigint) RETURNS numeric STABLE LANGUAGE sql AS 'SELECT pay FROM acme.customers WHERE id = $1';
         CREATE FUNCTION public.city_of(bigint) RETURNS text STABLE LANGUAGE plpgsql AS
           'DECLARE c text; BEGIN SELECT city INTO c FROM acme.customers WHERE id = $1; RETURN c; END'",
    );
    let columns = |log: &[Logged]| log.iter().map(|r| r.get("columns").to_string()).collect::<Vec<_>>();
    // called from a statement that reads nothing itself: once, however often it runs
    let mut conn = cluster.connect_as("acme", "alone");
    let answer = conn.query("SELECT public.city_of(g) FROM generate_series(1, 50) g").ok();
    agrees(&cluster, "alone", "exact", "ok", &answer);
    assert_eq!(columns(&logged(&cluster, "alone")), ["{acme.customers.id,acme.customers.city}"]);
    // by portals that take turns, the rows of each its own
    let mut conn = cluster.connect_as("acme", "in turns");
    conn.query("BEGIN").ok();
    conn.parse("", "SELECT public.city_of(g) FROM generate_series(1, 50) g").bind("a", "", &[]);
    conn.parse("", "SELECT 1").bind("b", "", &[]);
    conn.execute("a", 3).execute("b", 0).execute("a", 4);
    assert_eq!(conn.sync().ok().received, 8);
    conn.execute("a", 0);
    assert_eq!(conn.sync().ok().received, 43);
    conn.query("COMMIT").ok();
    assert_eq!(kinds(&settled(&cluster, "in turns", 1)), [("final", "ok", Some(50))]);
    // and from one that does
    let mut conn = cluster.connect_as("acme", "within");
    let answer = conn.query("SELECT email, public.city_of(id) FROM acme.customers").ok();
    agrees(&cluster, "within", "exact", "ok", &answer);
    let log = logged(&cluster, "within");
    assert_eq!(columns(&log), ["{acme.customers.id,acme.customers.email,acme.customers.city}"]);
    // what was streaming when it was called needs a record that names it
    let mut conn = cluster.connect_as("acme", "late");
    let answer = conn
        .query("SELECT id, repeat('x', 10000), CASE WHEN id > 80 THEN public.city_of(id) END FROM acme.customers")
        .ok();
    let log = settled(&cluster, "late", 2);
    assert_eq!(log[0].rows(), Some(answer.received));
    assert_eq!(columns(&log), ["{acme.customers.id}", "{acme.customers.id,acme.customers.city}"]);
    assert!(log[1].rows() >= Some(10), "{log:?}");
    // an error that is caught, and its value told
    cluster.admin(
        "CREATE FUNCTION public.told(bigint) RETURNS text STABLE LANGUAGE plpgsql AS
           'BEGIN PERFORM city::int FROM acme.customers WHERE id = $1; RETURN ''none''; EXCEPTION WHEN others THEN RETURN sqlerrm; END'",
    );
    let answer = cluster.connect_as("acme", "caught").query("SELECT public.told(1)").ok();
    assert!(answer.rows[0][0].as_deref().unwrap_or_default().contains("invalid input syntax"), "{answer:?}");
    let log = settled(&cluster, "caught", 1);
    assert_eq!(kinds(&log), [("exact", "ok", Some(1))]);
    assert_eq!(log[0].get("views"), "{acme.customers}");
}

#[test]
fn notices_neither_release_an_answer_nor_fill_the_log() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.loud(bigint) RETURNS bigint STABLE LANGUAGE plpgsql AS
           'BEGIN RAISE NOTICE ''%'', repeat(''n'', 100); RETURN $1; END'",
    );
    let mut conn = cluster.connect_as("acme", "loud");
    let answer = conn.query("SELECT public.loud(id) FROM acme.customers").ok();
    assert_eq!((answer.received, answer.notices.len()), (VISIBLE, VISIBLE));
    agrees(&cluster, "loud", "exact", "ok", &answer);
    // a storm: more than is held, one open record
    let mut conn = cluster.connect_as("acme", "storm");
    let answer = conn.query("SELECT public.loud(id) FROM acme.customers, generate_series(1, 100) g").ok();
    assert_eq!((answer.received, answer.notices.len()), (100 * VISIBLE, 100 * VISIBLE));
    agrees(&cluster, "storm", "final", "ok", &answer);
    // what a notice tells is read, too
    cluster.admin(
        "CREATE FUNCTION public.tell() RETURNS void STABLE LANGUAGE plpgsql AS
           'DECLARE c text; BEGIN SELECT city INTO c FROM acme.customers WHERE id = 1; RAISE NOTICE ''%'', c; END'",
    );
    let answer = cluster.connect_as("acme", "told").query("SELECT public.tell()").ok();
    assert_eq!(answer.notices.len(), 1);
    assert_eq!(settled(&cluster, "told", 1)[0].get("columns"), "{acme.customers.id,acme.customers.city}");
}

/// Executes a statement whose answer stays with the server, since neither Flush nor Sync follows, and ends its backend by a
/// signal: what came, and what is in the log.
fn ended_by(cluster: &Cluster, signal: &str) -> (Answer, Vec<Logged>) {
    let mut conn = cluster.connect_as("acme", signal);
    conn.parse("", "SELECT id FROM acme.customers").bind("", "", &[]).execute("", 0);
    conn.send().unwrap();
    eventually("it has run, and waits for more", || {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'ClientRead' AND query LIKE 'SELECT id%'", conn.pid);
        (cluster.admin(&sql).value() == "1").then_some(())
    });
    let restarts = || cluster.log().matches("all server processes terminated; reinitializing").count();
    let before = restarts();
    crate::process::signal(signal, &[conn.pid as u32]);
    let answer = conn.finish();
    assert!(answer.closed, "{signal}");
    if signal != "TERM" {
        // the server starts all its processes anew, once it has noticed
        eventually("the server restarts its processes", || (restarts() > before).then_some(()));
    }
    fixture::open(cluster);
    let log = logged(cluster, signal);
    (answer, log)
}

#[test]
fn what_is_held_when_a_backend_dies_never_left() {
    let cluster = running();
    // its last words release what it had
    let (answer, log) = ended_by(&cluster, "TERM");
    assert_eq!((answer.code(), answer.received), ("57P01", VISIBLE));
    assert_eq!(kinds(&log), [("exact", "terminated", Some(VISIBLE))]);
    for signal in ["QUIT", "KILL"] {
        // no WAL from a signal handler, not one row, and no word
        let (answer, log) = ended_by(&cluster, signal);
        assert_eq!((answer.received, answer.notices.len(), answer.error), (0, 0, None), "{signal}");
        assert_eq!(log, [], "{signal}");
    }
}

#[test]
fn a_client_that_leaves_before_its_answer_got_nothing() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "leaves");
    let pid = conn.pid;
    conn.begin(
        "SELECT id FROM acme.customers c, LATERAL (SELECT count(*) FROM generate_series(1, 300000) s WHERE s > c.id) w",
    );
    drop(conn);
    eventually("its backend is gone", || {
        (cluster.admin(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")).value() == "0")
            .then_some(())
    });
    // the server notices when it sends, or behind it: the statement was run and recorded as if all of it had left
    let log = logged(&cluster, "leaves");
    assert_eq!(kinds(&log), [("exact", "ok", Some(VISIBLE))]);
}

#[test]
fn intent_records_before_the_statement_runs() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.release", "intent");
    cluster.start();
    fixture::open(&cluster);
    let mut conn = cluster.connect_as("acme", "intent");
    conn.parse("", "SELECT id FROM acme.customers").bind("", "", &[]).flush();
    conn.send().unwrap();
    // bound, not executed
    eventually("its record", || {
        let log = logged(&cluster, "intent");
        (kinds(&log) == [("intent", "", None)]).then_some(())
    });
    conn.execute("", 0);
    assert_eq!(conn.sync().ok().received, VISIBLE);
    let log = settled(&cluster, "intent", 1);
    assert_eq!(kinds(&log), [("final", "ok", Some(VISIBLE))]);
    assert_eq!(log[0].get("bytes_sent"), "", "it does not see the wire");
    let said = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'release'";
    assert!(cluster.admin(said).value().contains("before they run"));
    let answer = cluster.connect_as("acme", "intent fails").query("SELECT 1 / (3 - id) FROM acme.customers");
    assert_eq!(answer.code(), "22012");
    assert_eq!(kinds(&settled(&cluster, "intent fails", 1)), [("final", "error", Some(2))]);
}

#[test]
fn a_session_that_reads_nothing_is_not_held() {
    let cluster = running();
    let mut conn: Conn = cluster.connect_as("acme", "nothing");
    conn.query("SELECT id FROM acme.customers LIMIT 1").ok();
    assert_eq!(conn.query("SELECT generate_series(1, 20000)").ok().received, 20_000);
    assert_eq!(settled(&cluster, "nothing", 1).len(), 1);
}
