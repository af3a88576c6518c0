//! Invariant 3, durable before data: `kill -9` of the postmaster and all its children while sub-processors read. Every
//! answer that a client had read from its socket is in the log after the restart.
//!
//! Each read carries its nonce as a column alias, since constants are taken out of the logged statement. A nonce counts
//! as received only once its DataRow has been read. The control runs the same rounds with a library that does not
//! flush; it must lose records, else this test could not fail.

use crate::cluster::{Cluster, Postgres};
use crate::fixture;
use crate::process::eventually;
use crate::protocol::Conn;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

/// How much of it to run.
pub fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// What a client reads, in turn: one row; all rows; more than is held back for one record; a cursor, in pieces. `{n}` is
/// the nonce.
const READS: [&[&str]; 4] = [
    &["SELECT id AS {n}, pay FROM acme.customers WHERE id = 7"],
    &["SELECT id AS {n} FROM acme.customers"],
    &["SELECT id AS {n}, repeat('x', 10000) FROM acme.customers"],
    &[
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id AS {n} FROM acme.customers",
        "FETCH 5 FROM c",
        "FETCH 7 FROM c",
        "COMMIT",
    ],
];

/// Rows that were received, by nonce.
type Received = BTreeMap<String, usize>;

/// What one client received before its server died.
fn read_until_it_dies(mut conn: Conn, round: usize, worker: usize, total: &AtomicUsize) -> Received {
    let mut received = Received::new();
    for n in 0.. {
        let nonce = format!("n_{round}_{worker}_{n}");
        // most reads are small ones: many of them are under way at any moment
        let statements = READS[if n % 5 == 4 { n / 5 % READS.len() } else { 0 }];
        for sql in statements {
            let answer = conn.query(&sql.replace("{n}", &nonce));
            if answer.received > 0 {
                *received.entry(nonce.clone()).or_default() += answer.received;
            }
            if answer.closed {
                return received;
            }
            assert!(answer.error.is_none(), "a read failed: {:?}", answer.error);
        }
        total.fetch_add(1, Ordering::SeqCst);
    }
    received
}

/// What a round came to.
pub struct Round {
    /// Reads of which at least a row was received.
    pub received: usize,
    /// Rows that were received.
    pub rows: usize,
    /// Those that the log does not hold, or not with as many rows.
    pub missing: Vec<String>,
}

/// One round: read, let `end` bring everything down, start again.
pub fn round(cluster: &mut Cluster, number: usize, clients: usize, end: impl Fn(&mut Cluster)) -> Round {
    fixture::open(cluster);
    let total = AtomicUsize::new(0);
    let received = Mutex::new(Received::new());
    let conns: Vec<Conn> = (0..clients).map(|_| cluster.connect_as("acme", "crash")).collect();
    std::thread::scope(|scope| {
        let (total, received) = (&total, &received);
        for (worker, conn) in conns.into_iter().enumerate() {
            scope.spawn(move || {
                let mine = read_until_it_dies(conn, number, worker, total);
                received.lock().unwrap().extend(mine);
            });
        }
        // another moment in each round, counted in reads
        let enough = clients * 3 + number * 37 % 211;
        eventually("the clients have read enough", || (total.load(Ordering::SeqCst) >= enough).then_some(()));
        end(cluster);
    });
    cluster.start();
    let received = received.into_inner().unwrap();
    let sql = format!(
        "SELECT statement, coalesce(rows_sent::text, 'open') FROM airlock.access_log WHERE statement LIKE '%n\\_{number}\\_%'"
    );
    let mut recorded: BTreeMap<String, Option<usize>> = BTreeMap::new();
    for row in cluster.admin(&sql).rows {
        let (statement, rows) = (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default());
        // the nonce is the word after AS
        let nonce = statement.split_once(" AS ").map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or(rest));
        // a read that is open in the log may have sent anything
        recorded.insert(nonce.unwrap_or_default().to_string(), rows.parse().ok());
    }
    let missing = received.iter().filter_map(|(nonce, rows)| match recorded.get(nonce) {
        None => Some(nonce.clone()),
        Some(Some(told)) if told < rows => Some(format!("{nonce}: {rows} received, {told} recorded")),
        Some(_) => None,
    });
    Round { received: received.len(), rows: received.values().sum(), missing: missing.collect() }
}

#[test]
fn every_answer_received_before_kill_9_is_in_the_log() {
    let (rounds, clients) = (from_env("AIRLOCK_CRASH_ROUNDS", 20), from_env("AIRLOCK_CRASH_CLIENTS", 8));
    let mut cluster = fixture::stopped();
    cluster.set("fsync", "on");
    cluster.start();
    let (mut all, mut delivered) = (0, 0);
    for number in 0..rounds {
        let Round { received, rows, missing } = round(&mut cluster, number, clients, Cluster::kill);
        assert!(missing.is_empty(), "round {number}: received but not recorded: {missing:?}");
        assert!(received > clients, "round {number}: too few reads to mean anything: {received}");
        let mut admin = cluster.connect("postgres");
        let (ok, bad, message) = fixture::verify(&mut admin);
        assert!(ok, "round {number}: verify_log: {message} at {bad:?}");
        all += received;
        delivered += rows;
    }
    // exactly once: settled rows are as many as their numbers, without a gap, and no statement was settled twice
    let logged: usize = cluster
        .admin("SELECT count(*) FROM airlock.access_log WHERE application_name = 'crash'")
        .value()
        .parse()
        .unwrap();
    assert!(logged >= all, "{logged} logged, {all} received");
    eventually("the worker has settled the log", || {
        let sql =
            "SELECT count(*) FROM airlock_catalog.read_record WHERE kind IN ('exact', 'open') AND application_name = 'crash'";
        (cluster.admin(sql).value() == logged.to_string()).then_some(())
    });
    let gaps =
        "SELECT count(*) = count(DISTINCT id) AND count(*) = max(id) - min(id) + 1 FROM airlock_catalog.read_record";
    assert_eq!(cluster.admin(gaps).value(), "t", "ids are unique and without a gap");
    let twice = "SELECT count(*) FROM (SELECT FROM airlock_catalog.read_record WHERE kind IN ('exact', 'open')
                 GROUP BY backend_start, backend_pid, statement_no HAVING count(*) > 1) twice";
    assert_eq!(cluster.admin(twice).value(), "0", "no read is settled twice");
    eprintln!(
        "kill -9 of everything {rounds} times under {clients} clients: {delivered} rows of {all} answers delivered, 0 unaudited; {logged} reads logged"
    );
}

#[test]
fn without_the_flush_the_same_rounds_lose_records() {
    let clients = from_env("AIRLOCK_CRASH_CLIENTS", 8);
    let mut cluster = fixture::stopped_on(Postgres::no_flush());
    // only what the reader itself flushes may save a record, not the WAL writer that happens to come by
    cluster.set("wal_writer_delay", "10s");
    cluster.set("wal_writer_flush_after", "1GB");
    cluster.start();
    let lost = (0..from_env("AIRLOCK_CRASH_ROUNDS", 20)).any(|number| {
        let Round { received, missing, .. } = round(&mut cluster, number, clients, Cluster::kill);
        eprintln!("round {number} without flush: {received} received, {} of them not recorded", missing.len());
        !missing.is_empty()
    });
    assert!(lost, "the control lost no record, so the test above proves nothing");
}

#[test]
fn an_immediate_stop_loses_no_read_whatever_synchronous_commit_says() {
    let mut cluster = fixture::stopped();
    cluster.set("synchronous_commit", "off");
    cluster.start();
    fixture::open(&cluster);
    let answer = cluster.connect_as("acme", "last words").query("SELECT id FROM acme.customers").ok();
    assert_eq!(answer.received, fixture::VISIBLE);
    cluster.stop_immediately();
    cluster.start();
    let rows = fixture::logged(&cluster, "last words");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get("views"), "{acme.customers}");
}
