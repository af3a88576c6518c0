//! Invariant 3, durable before data: `kill -9` of the postmaster and all its children while sub-processors read. Every
//! answer that a client had read from its socket is in the log after the restart.
//!
//! Each read carries its nonce as a column alias, since constants are taken out of the logged statement. A nonce counts
//! as received only once its DataRow has been read. The control runs the same rounds with a library that does not
//! flush; it must lose records, else this test could not fail.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::fixture;
use crate::process::eventually;
use crate::protocol::{Conn, Start, Target};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// What one client received before its server died.
fn read_until_it_dies(target: &Target, round: usize, worker: usize, total: &AtomicUsize) -> Vec<String> {
    let start = Start { user: "acme", database: DATABASE, parameters: vec![("application_name", "crash")] };
    let mut conn = Conn::open(target, &start).expect("connect");
    let mut received = Vec::new();
    for n in 0.. {
        let nonce = format!("n_{round}_{worker}_{n}");
        let answer = conn.query(&format!("SELECT id AS {nonce}, pay FROM acme.customers WHERE id = {}", n % 9 + 1));
        if answer.received == 1 {
            received.push(nonce);
            total.fetch_add(1, Ordering::SeqCst);
        }
        if answer.closed {
            return received;
        }
        assert!(answer.error.is_none() && answer.received == 1, "a read failed: {:?}", answer.error);
    }
    received
}

/// One round: read, kill everything, start again. The nonces received, and those of them that the log does not hold.
fn round(cluster: &mut Cluster, number: usize, clients: usize) -> (usize, Vec<String>) {
    fixture::open(cluster);
    let total = AtomicUsize::new(0);
    let received = Mutex::new(BTreeSet::new());
    let target = cluster.socket();
    std::thread::scope(|scope| {
        let (total, received, target) = (&total, &received, &target);
        for worker in 0..clients {
            scope.spawn(move || {
                let mine = read_until_it_dies(target, number, worker, total);
                received.lock().unwrap().extend(mine);
            });
        }
        // another moment in each round, counted in reads
        let enough = clients * 3 + number * 37 % 211;
        eventually("the clients have read enough", || (total.load(Ordering::SeqCst) >= enough).then_some(()));
        cluster.kill();
    });
    cluster.start();
    let received = received.into_inner().unwrap();
    let sql = format!("SELECT statement FROM airlock.access_log WHERE statement LIKE '%n\\_{number}\\_%'");
    // the nonce is the word after AS
    let recorded: BTreeSet<String> = cluster
        .admin(&sql)
        .first()
        .iter()
        .filter_map(|s| s.split_once(" AS ")?.1.split([',', ' ']).next().map(str::to_string))
        .collect();
    let missing = received.iter().filter(|n| !recorded.contains(*n)).cloned().collect();
    (received.len(), missing)
}

#[test]
fn every_answer_received_before_kill_9_is_in_the_log() {
    let (rounds, clients) = (from_env("AIRLOCK_CRASH_ROUNDS", 20), from_env("AIRLOCK_CRASH_CLIENTS", 8));
    let mut cluster = fixture::stopped();
    cluster.set("fsync", "on");
    cluster.start();
    let mut all = 0;
    for number in 0..rounds {
        let (received, missing) = round(&mut cluster, number, clients);
        assert!(missing.is_empty(), "round {number}: received but not recorded: {missing:?}");
        assert!(received > clients, "round {number}: too few reads to mean anything: {received}");
        let mut admin = cluster.connect("postgres");
        let (ok, bad, message) = fixture::verify(&mut admin);
        assert!(ok, "round {number}: verify_log: {message} at {bad:?}");
        all += received;
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
            "SELECT count(*) FROM airlock_catalog.read_record WHERE kind = 'intent' AND application_name = 'crash'";
        (cluster.admin(sql).value() == logged.to_string()).then_some(())
    });
    let gaps =
        "SELECT count(*) = count(DISTINCT id) AND count(*) = max(id) - min(id) + 1 FROM airlock_catalog.read_record";
    assert_eq!(cluster.admin(gaps).value(), "t", "ids are unique and without a gap");
    let twice = "SELECT count(*) FROM (SELECT FROM airlock_catalog.read_record WHERE kind = 'intent'
                 GROUP BY backend_start, backend_pid, statement_no HAVING count(*) > 1) twice";
    assert_eq!(cluster.admin(twice).value(), "0", "no read is settled twice");
    eprintln!("{rounds} rounds, {clients} clients: {all} answers received, {logged} reads logged");
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
        let (received, missing) = round(&mut cluster, number, clients);
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
