//! The read log: readers per flush of the disk; in memory beside pgaudit, which does not flush; large answers.

use super::lookup::by_key;
use super::Bench;
use crate::load::{thrown_away, Pgbench};
use crate::machine::flushes_per_second;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{persons, scopes, settled, Kind, Place};
use std::time::Duration;

pub fn run(bench: &Bench) -> Vec<Line> {
    let mut lines = vec![on_disk(bench)];
    lines.extend(beside_pgaudit(bench));
    lines.push(large(bench));
    lines
}

fn readers<'a>(bench: &Bench, user: &'a str, script: &'a str, clients: usize) -> Pgbench<'a> {
    Pgbench { user, script, protocol: "prepared", clients, seconds: bench.seconds }
}

fn on_disk(bench: &Bench) -> Line {
    let cluster = bench.server(Place::Disk, Kind::Airlock);
    let rows = bench.rows / 10;
    persons(&cluster, rows);
    scopes(&cluster);
    let ours = by_key("keyless.person", rows);
    let [reads, flushes] = interleaved(
        bench.rounds,
        [
            &mut || {
                let tps = readers(bench, "keyless", &ours, 32).transactions(&cluster);
                settled(&cluster);
                tps
            },
            &mut || flushes_per_second(&cluster.dir, Duration::from_secs(bench.seconds)),
        ],
    );
    Line::pair("durable log, 32 clients: reads / flushes of the disk", "/s", &reads, &flushes, Target::AtLeast(28.0))
}

fn beside_pgaudit(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    let audited = bench.server(Place::Memory, Kind::Pgaudit);
    persons(&audited, bench.rows);
    // else it would be compared with a server that logs nothing
    audited.sql("plain", "SELECT name FROM plain.keyless WHERE id = 42").ok();
    assert!(audited.log().contains("AUDIT: SESSION"), "pgaudit is silent");
    let (ours, theirs) = (by_key("keyless.person", bench.rows), by_key("plain.keyless", bench.rows));
    let mut lines = Vec::new();
    for clients in [1, 8, 32] {
        let [o, t] = interleaved(
            bench.rounds,
            [
                &mut || {
                    let tps = readers(bench, "keyless", &ours, clients).transactions(cluster);
                    settled(cluster);
                    tps
                },
                &mut || readers(bench, "plain", &theirs, clients).transactions(&audited),
            ],
        );
        let what = format!("log in memory, {clients} clients, scope / view with pgaudit");
        lines.push(Line::pair(what, "tps", &o, &t, Target::AtLeast(1.0)));
    }
    lines
}

fn large(bench: &Bench) -> Line {
    let cluster = bench.shared();
    // every row twice: two million, when there are a million
    let twice = |from: &str| format!("COPY (SELECT p.* FROM {from} p, generate_series(1, 2)) TO STDOUT");
    let (ours, theirs) = (twice("clear.person"), twice("plain.clear"));
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let time = thrown_away(cluster, "clear", &ours);
                settled(cluster);
                time
            },
            &mut || thrown_away(cluster, "plain", &theirs),
        ],
    );
    Line::pair("answer of twice the rows by COPY, scope / view without log", "ms", &o, &t, Target::AtMost(1.03))
}
