//! A quota of sessions per day: a session counts with its first read, those that have counted read on, and neither a restart
//! nor a crash forgets them.

use crate::cluster::Cluster;
use crate::fixture::{self, running, settled, VISIBLE};
use crate::process::eventually;
use crate::protocol::{Answer, Conn};

const READ: &str = "SELECT id FROM acme.customers";

fn quota(cluster: &Cluster, of: &str, sessions: &str) {
    cluster.admin(&format!("SELECT airlock.alter_subprocessor('{of}', '{{\"connections_per_day\": {sessions}}}')"));
}

/// A session of `user` that has read, and so counts.
fn reader(cluster: &Cluster, user: &str) -> Conn {
    let mut conn = cluster.connect(user);
    assert_eq!(conn.query(READ).ok().received, VISIBLE);
    conn
}

#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!((answer.code(), answer.received), ("AL006", 0), "{answer:?}");
}

/// What is left of the quota, found out by using it up.
#[track_caller]
fn left(cluster: &Cluster, user: &str) -> usize {
    let view = if user == "globex" { "SELECT id FROM globex.customers" } else { READ };
    let answer = || {
        eventually("sessions are counted", || {
            let answer = cluster.sql(user, view);
            (answer.code() != "AL005").then_some(answer)
        })
    };
    (0..20)
        .take_while(|_| match answer() {
            answer if answer.error.is_none() => true,
            answer => {
                refused(&answer);
                false
            }
        })
        .count()
}

#[test]
fn sessions_of_a_day_end_at_the_quota() {
    let cluster = running();
    for wrong in ["0", "-1", "1.5", "\"5\""] {
        let error = cluster
            .admin_error(&format!("SELECT airlock.alter_subprocessor('acme', '{{\"connections_per_day\": {wrong}}}')"));
        assert_eq!(error.code(), "AL010", "{wrong}");
    }
    // those that read before anything was agreed count
    let mut first = reader(&cluster, "acme");
    quota(&cluster, "acme", "3");
    assert_eq!(cluster.admin("SELECT connections_per_day FROM airlock.subprocessors WHERE name = 'acme'").value(), "3");
    let shown = "SELECT airlock.processing_record() #>> '{subprocessors,0,connections_per_day}'";
    assert_eq!(cluster.admin(shown).value(), "3");
    let last = "SELECT changed::text FROM airlock.subprocessor_history ORDER BY id DESC LIMIT 1";
    assert_eq!(cluster.admin(last).value(), r#"{"connections_per_day": [null, 3]}"#);
    // one that reads nothing, or whose read is refused, does not
    let mut idle = cluster.connect("acme");
    idle.query("SELECT 1").ok();
    idle.query("SET airlock.purpose = 'another'").ok();
    assert_eq!(idle.query(READ).code(), "AL008");
    // one that reads much, by whatever way, and takes it back, counts once
    let mut second = cluster.connect("acme_bob");
    second.query("BEGIN").ok();
    second.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(second.query("FETCH 5 FROM c").ok().received, 5);
    second.query("ROLLBACK").ok();
    second.query(&format!("PREPARE p AS {READ}")).ok();
    for _ in 0..5 {
        assert_eq!(second.query("EXECUTE p").ok().received, VISIBLE);
    }
    // a pooler's login that took the role on, for each sub-processor that it reads for
    let mut third = cluster.connect("postgres");
    third.query("SET ROLE globex").ok();
    assert_eq!(third.query("SELECT id FROM globex.customers").ok().received, VISIBLE);
    third.query("SET ROLE acme").ok();
    assert_eq!(third.query(READ).ok().received, VISIBLE);
    let mut beyond = cluster.connect_as("acme", "beyond");
    for sql in [READ, &format!("COPY ({READ}) TO STDOUT"), "SELECT count(*) FROM acme.customers"] {
        let answer = beyond.query(sql);
        refused(&answer);
        assert!(answer.copied.is_empty(), "{answer:?}");
        let error = answer.error.unwrap();
        assert!(error.get('D').contains("At most 3 sessions") && error.get('D').contains("UTC"), "{error:?}");
        assert!(error.get('H').contains("midnight UTC") && error.get('H').contains("alter_subprocessor"), "{error:?}");
    }
    let log = settled(&cluster, "beyond", 3);
    assert!(log.iter().all(|r| (r.get("kind"), r.get("sqlstate")) == ("denied", "AL006")), "{log:?}");
    idle.query("RESET airlock.purpose").ok();
    refused(&idle.query(READ));
    // those that have counted go on, and so do others
    for conn in [&mut first, &mut third] {
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
    }
    assert_eq!(second.query("EXECUTE p").ok().received, VISIBLE);
    quota(&cluster, "globex", "20");
    assert!(left(&cluster, "globex") > 0, "others read on");
    // more are allowed: who was refused before may read now
    quota(&cluster, "acme", "4");
    assert_eq!(idle.query(READ).ok().received, VISIBLE);
    refused(&beyond.query(READ));
    quota(&cluster, "acme", "null");
    assert_eq!(beyond.query(READ).ok().received, VISIBLE);
}

/// Each session keeps its place: fewer end who reads just then, and the latest of the others at their next statement.
#[test]
fn fewer_sessions_end_the_latest() {
    let cluster = running();
    let mut conns: Vec<Conn> = (0..4).map(|_| reader(&cluster, "acme")).collect();
    let mut cursor = conns.pop().unwrap();
    cursor.query("BEGIN").ok();
    cursor.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(cursor.query("FETCH 5 FROM c").ok().received, 5);
    cursor.query("COMMIT").ok();
    let mut streaming = cluster.connect("acme");
    streaming.begin("SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b");
    let mut answer = Answer::default();
    streaming.take(&mut answer, 1000);
    assert_eq!(answer.received, 1000, "{answer:?}");
    quota(&cluster, "acme", "2");
    streaming.finish_into(&mut answer);
    assert!(answer.closed || answer.code() == "57P01", "{:?}", answer.error);
    for (place, conn) in conns.iter_mut().enumerate() {
        let answer = conn.query(READ);
        match place {
            0 | 1 => assert_eq!(answer.ok().received, VISIBLE),
            _ => refused(&answer),
        }
    }
    refused(&cursor.query(READ));
    refused(&cluster.sql("acme", READ));
    quota(&cluster, "acme", "4");
    assert_eq!(cursor.query(READ).ok().received, VISIBLE, "its place is within again");
}

/// An open cursor meets the quota at its next FETCH, before a row of it.
#[test]
fn a_cursor_of_a_session_that_is_too_many_ends() {
    let cluster = running();
    drop(reader(&cluster, "acme"));
    let mut late = cluster.connect("acme");
    late.query("BEGIN").ok();
    late.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(late.query("FETCH 5 FROM c").ok().received, 5);
    // not by alter_subprocessor, which ends who reads
    cluster.admin("UPDATE airlock_catalog.subprocessor SET connections_per_day = 2 WHERE name = 'acme'; SELECT airlock.alter_subprocessor('acme', '{\"contract\": \"C-2\"}')");
    assert_eq!(late.query("FETCH 5 FROM c").ok().received, 5);
    cluster.admin("UPDATE airlock_catalog.subprocessor SET connections_per_day = 1 WHERE name = 'acme'; SELECT airlock.alter_subprocessor('acme', '{\"contract\": \"C-3\"}')");
    refused(&late.query("FETCH 5 FROM c"));
}

/// The log knows who has read, by sub-processor: after a restart, and after a crash that comes while some read.
#[test]
fn sessions_of_a_day_survive_restart_and_crash() {
    for release in ["wire", "intent"] {
        let mut cluster = fixture::stopped();
        cluster.set("airlock.release", release);
        cluster.start();
        fixture::open(&cluster);
        let readers: Vec<Conn> = ["acme", "acme_bob"].map(|user| reader(&cluster, user)).into();
        // a session counts that has only asked for a plan
        cluster.admin("CREATE TABLE public.plans (id int); SELECT airlock.create_scope('acme', 'public.plans', '{\"id\": \"clear\"}', fence => true, allow_explain => true)");
        cluster.sql("acme", "EXPLAIN SELECT id FROM acme.plans").ok();
        let mut refused = cluster.connect("acme");
        refused.query("SET airlock.purpose = 'another'").ok();
        assert_eq!(refused.query(READ).code(), "AL008");
        quota(&cluster, "acme", "5");
        fixture::drained(&cluster);
        drop((readers, refused));
        cluster.restart();
        fixture::open(&cluster);
        // one more, and a crash with it in the middle
        let mut open = eventually("sessions are counted", || {
            let mut conn = cluster.connect("acme");
            conn.begin("SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b");
            let mut answer = Answer::default();
            conn.take(&mut answer, 1000);
            (answer.code() != "AL005").then(|| {
                assert_eq!(answer.received, 1000, "{answer:?}");
                conn
            })
        });
        cluster.kill();
        open.finish();
        cluster.start();
        fixture::open(&cluster);
        assert_eq!(left(&cluster, "acme"), 1, "{release}");
        // those of globex made sure that the log is open
        fixture::drained(&cluster);
        let read = "SELECT count(DISTINCT (backend_pid, logged_at)) FROM airlock.access_log WHERE subprocessor = 'globex' AND kind <> 'denied'";
        let read: usize = cluster.admin(read).value().parse().unwrap();
        assert!(read >= 3, "{read}");
        quota(&cluster, "globex", &(read + 2).to_string());
        let left = left(&cluster, "globex");
        let log = "SELECT logged_at, backend_pid, kind, sqlstate, application_name FROM airlock.access_log WHERE subprocessor = 'globex' ORDER BY 1";
        assert_eq!(left, 2, "{release}: each is counted apart: {read} of {:#?}", cluster.admin(log).rows);
    }
}

/// The worker adds what the log has of before the gate opened to what shared memory counts since: no read may be of both,
/// also one that was on its way when the gate opened, or it takes two places of the day.
#[test]
fn a_read_that_the_gate_opens_for_is_not_of_before() {
    let mut cluster = fixture::stopped();
    cluster.set("max_prepared_transactions", "2");
    cluster.start();
    fixture::open(&cluster);
    let config = cluster.admin("SELECT 'pg_catalog.simple'::regconfig::oid").value();
    // a lock that outlasts the server keeps the worker from its cursor
    cluster.admin("BEGIN; LOCK TABLE airlock_catalog.log_cursor; PREPARE TRANSACTION 'worker'");
    cluster.restart();
    let mut conn = cluster.connect("acme");
    conn.query("PREPARE p (regconfig) AS SELECT id FROM acme.customers WHERE $1 IS NOT NULL").ok();
    // and another the read from the name of its parameter
    let mut lock = cluster.connect("postgres");
    lock.query("BEGIN; LOCK TABLE pg_catalog.pg_ts_config").ok();
    conn.begin(&format!("EXECUTE p ({config})"));
    let waits = "SELECT count(*) FROM pg_locks WHERE relation = 'pg_catalog.pg_ts_config'::regclass AND NOT granted";
    eventually("the read waits", || (cluster.admin(waits).value() == "1").then_some(()));
    let shut = cluster.admin("SELECT clock_timestamp()").value();
    cluster.admin("COMMIT PREPARED 'worker'");
    fixture::open(&cluster);
    lock.query("COMMIT").ok();
    assert_eq!(conn.finish().ok().received, VISIBLE);
    fixture::drained(&cluster);
    let before = format!("SELECT count(*) FILTER (WHERE logged_at < '{shut}'), count(*) FROM airlock.access_log WHERE subprocessor = 'acme'");
    assert_eq!(cluster.admin(&before).rows, [[Some("0".to_string()), Some("1".to_string())]]);
}

/// Where the log cannot be counted, it goes on: who has a quota waits, and nobody else.
#[test]
fn what_cannot_be_counted_stops_those_with_a_quota_alone() {
    let mut cluster = running();
    let mut conn = cluster.connect("acme");
    for _ in 0..3000 {
        assert_eq!(conn.query("SELECT id FROM acme.customers WHERE id = 1").ok().received, 1);
    }
    quota(&cluster, "globex", "9");
    fixture::drained(&cluster);
    // too many records to be sorted in memory, and no room beside it
    cluster.set("work_mem", "64kB");
    cluster.set("temp_file_limit", "0");
    cluster.restart();
    let failed = "could not be counted: temporary file size exceeds";
    eventually("counting fails", || cluster.log().contains(failed).then_some(()));
    let globex = cluster.sql("globex", "SELECT id FROM globex.customers");
    assert_eq!(globex.code(), "AL005", "{globex:?}");
    assert!(globex.error.is_some_and(|e| e.get('M') == "the sessions of today are not counted yet"));
    reader(&cluster, "acme");
    fixture::drained(&cluster);
    let log = "SELECT count(*) FROM airlock.access_log WHERE subprocessor = 'acme' AND kind <> 'denied'";
    assert_eq!(cluster.admin(log).value(), "3001");
}
