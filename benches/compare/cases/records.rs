//! The log as it grows: how fast its worker settles, how fast it is verified, how long questions to it take.

use super::Bench;
use crate::cluster::Cluster;
use crate::load::{milliseconds, script, Pgbench};
use crate::report::{figure, Line, Target};
use crate::world::{held, persons, scopes, settled, Kind, Place};
use std::time::Instant;

const PERSONS: u64 = 10_000;
/// The worker is timed so often, on the way from a tenth of the records to all.
const PARTS: u64 = 3;
/// With more records, log and WAL are more than a machine's memory.
const IN_MEMORY: u64 = 2_000_000;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = match bench.records > IN_MEMORY {
        false => bench.server(Place::Memory, Kind::Airlock),
        true => {
            let cluster = bench.server(Place::Disk, Kind::Airlock);
            // their WAL is several times as large as they are: checkpoints come, as on any server
            let settings = [
                "ALTER SYSTEM SET max_wal_size = '4GB'",
                "ALTER SYSTEM SET checkpoint_timeout = DEFAULT",
                "SELECT pg_reload_conf()",
            ];
            settings.iter().for_each(|sql| script(&cluster, "postgres", sql));
            cluster
        }
    };
    persons(&cluster, PERSONS);
    scopes(&cluster);
    // somebody of whom there is little in it
    let mut few = cluster.connect("clear");
    (0..20).for_each(|n| {
        few.query(&format!("SELECT name FROM clear.person WHERE id = {}", n + 1)).ok();
    });
    settle(&cluster, bench.records / 10);
    let before = Questions::asked(bench, &cluster);
    eprintln!("(the first tenth is settled)");
    let settling: Vec<f64> = (0..PARTS).map(|_| settle(&cluster, bench.records * 3 / 10)).collect();
    let after = Questions::asked(bench, &cluster);
    let at = format!("at {} records", figure(after.records));
    let most = Target::OursAtMost(50.0);
    let day = "access_log of a sub-processor and a day";
    let times = format!("{:.0} × the records / before", after.records / before.records);
    vec![
        Line::alone("log's worker, records settled", "/s", &settling, Target::OursAtLeast(50_000.0)),
        Line::alone(format!("verify_log(), {at}"), "/s", &after.verified, Target::OursAtLeast(1_000_000.0)),
        Line::alone(format!("who_saw(), {at} (target: at 10 million)"), "ms", &after.who_saw, most),
        Line::alone(format!("{day}, {at} (target: at 10 million)"), "ms", &after.access_log, most),
        Line::pair(format!("{times}: verify_log()"), "/s", &after.verified, &before.verified, Target::Open),
        Line::pair(format!("{times}: who_saw()"), "ms", &after.who_saw, &before.who_saw, Target::Open),
        Line::pair(format!("{times}: {day}"), "ms", &after.access_log, &before.access_log, Target::Open),
    ]
}

/// What is asked of the log, at one size of it.
struct Questions {
    records: f64,
    verified: Vec<f64>,
    who_saw: Vec<f64>,
    access_log: Vec<f64>,
}

impl Questions {
    fn asked(bench: &Bench, cluster: &Cluster) -> Questions {
        script(cluster, "postgres", "ANALYZE airlock_catalog.read_record");
        let mut conn = cluster.connect("postgres");
        let records = last_id(cluster);
        let mut asked = |sql: &str| -> Vec<f64> {
            milliseconds(&mut conn, sql);
            (0..bench.rounds).map(|_| milliseconds(&mut conn, sql)).collect()
        };
        let verified = asked("SELECT * FROM airlock.verify_log()").iter().map(|ms| records / ms * 1e3).collect();
        let who_saw = asked("SELECT count(*) FROM airlock.who_saw('public.person', '42')");
        let day = "logged_at >= current_date AND logged_at < current_date + 1";
        let sql = format!("SELECT count(*) FROM airlock.access_log WHERE subprocessor = 'clear' AND {day}");
        Questions { records, verified, who_saw, access_log: asked(&sql) }
    }
}

fn last_id(cluster: &Cluster) -> f64 {
    let sql = "SELECT coalesce(max(id), 0) FROM airlock_catalog.read_record";
    cluster.admin(sql).value().parse().expect("a number")
}

/// Makes records while the worker is kept out of its table, then lets it in: records settled per second.
fn settle(cluster: &Cluster, wanted: u64) -> f64 {
    settled(cluster);
    let before = last_id(cluster);
    let gate = held(cluster);
    let reads =
        format!("\\set id random(1, {PERSONS})\nSELECT name, email, amount FROM tracked.person WHERE id = :id;\n");
    let one = Pgbench { user: "tracked", script: &reads, protocol: "prepared", clients: 2, seconds: 1 };
    let mut made = 0.0;
    while made < wanted as f64 {
        made += one.transactions(cluster);
    }
    let start = Instant::now();
    drop(gate);
    settled(cluster);
    let time = start.elapsed().as_secs_f64();
    (last_id(cluster) - before) / time
}
