//! The log as it grows: how fast its worker settles, how fast it is verified, how long questions to it take.

use super::Bench;
use crate::cluster::Cluster;
use crate::load::{milliseconds, Pgbench};
use crate::report::{figure, Line, Target};
use crate::world::{persons, scopes, settled, Kind, Place};
use std::time::Instant;

const PERSONS: u64 = 10_000;
/// Each time the log has this many parts of its final size: the worker, then the questions.
const PARTS: u64 = 3;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.server(Place::Memory, Kind::Airlock);
    persons(&cluster, PERSONS);
    scopes(&cluster);
    let wanted = bench.rows / 5;
    let mut settling = Vec::new();
    for _ in 0..PARTS {
        settling.push(settle(&cluster, wanted / PARTS));
    }
    // somebody of whom there is little in it
    let mut few = cluster.connect("clear");
    (0..20).for_each(|n| {
        few.query(&format!("SELECT name FROM clear.person WHERE id = {}", n + 1)).ok();
    });
    settled(&cluster);
    let mut conn = cluster.connect("postgres");
    let records: f64 = conn.query("SELECT max(id) FROM airlock_catalog.read_record").value().parse().expect("a number");
    let at = format!("at {} records", figure(records));
    let mut asked = |sql: &str| -> Vec<f64> {
        milliseconds(&mut conn, sql);
        (0..bench.rounds).map(|_| milliseconds(&mut conn, sql)).collect()
    };
    let verified: Vec<f64> = asked("SELECT * FROM airlock.verify_log()").iter().map(|ms| records / ms * 1e3).collect();
    let who = asked("SELECT count(*) FROM airlock.who_saw('public.person', '42')");
    let day = "logged_at >= current_date AND logged_at < current_date + 1";
    let log = asked(&format!("SELECT count(*) FROM airlock.access_log WHERE subprocessor = 'clear' AND {day}"));
    vec![
        Line::alone("log's worker, records settled", "/s", &settling, Target::OursAtLeast(50_000.0)),
        Line::alone(format!("verify_log(), {at}"), "/s", &verified, Target::OursAtLeast(1_000_000.0)),
        Line::alone(format!("who_saw(), {at} (target: at 10 million)"), "ms", &who, Target::OursAtMost(50.0)),
        Line::alone(
            format!("access_log of a sub-processor and a day, {at} (target: at 10 million)"),
            "ms",
            &log,
            Target::OursAtMost(50.0),
        ),
    ]
}

/// Makes records while the worker is kept out of its table, then lets it in: records settled per second.
fn settle(cluster: &Cluster, wanted: u64) -> f64 {
    let mut gate = cluster.connect("postgres");
    let id = |cluster: &Cluster| -> f64 {
        let sql = "SELECT coalesce(max(id), 0) FROM airlock_catalog.read_record";
        cluster.admin(sql).value().parse().expect("a number")
    };
    settled(cluster);
    let before = id(cluster);
    gate.query("BEGIN; LOCK TABLE airlock_catalog.read_record IN SHARE MODE").ok();
    let script =
        format!("\\set id random(1, {PERSONS})\nSELECT name, email, amount FROM tracked.person WHERE id = :id;\n");
    let one = Pgbench { user: "tracked", script: &script, protocol: "prepared", clients: 2, seconds: 1 };
    let mut made = 0.0;
    while made < wanted as f64 {
        made += one.transactions(cluster);
    }
    let start = Instant::now();
    gate.query("COMMIT").ok();
    settled(cluster);
    let time = start.elapsed().as_secs_f64();
    (id(cluster) - before) / time
}
