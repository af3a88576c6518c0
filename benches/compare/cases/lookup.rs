//! One row by its primary key, through a scope and through a plain view. The log is in memory: its flush is free.

use super::Bench;
use crate::load::{lookups, Pgbench, LOOKUPS};
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{held, settled};

/// The script for one of both views.
pub fn by_key(view: &str, rows: u64) -> String {
    format!("\\set id random(1, {rows})\nSELECT name, email, amount FROM {view} WHERE id = :id;\n")
}

pub fn run(bench: &Bench) -> Vec<Line> {
    let mut lines = Vec::new();
    for protocol in ["prepared", "simple"] {
        lines.push(one(bench, protocol, false));
        lines.push(one(bench, protocol, true));
        lines.push(processor(bench, protocol));
    }
    lines
}

/// Where the worker is held, it takes no processor from the session that reads: with few cores that is part of the cost.
fn one(bench: &Bench, protocol: &str, worker_held: bool) -> Line {
    let cluster = bench.shared();
    let (ours, theirs) = (by_key("keyless.person", bench.rows), by_key("plain.keyless", bench.rows));
    let pgbench = |user, script| Pgbench { user, script, protocol, clients: 1, seconds: bench.seconds };
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let gate = worker_held.then(|| held(cluster));
                let tps = pgbench("keyless", &ours).transactions(cluster);
                drop(gate);
                settled(cluster);
                tps
            },
            &mut || pgbench("plain", &theirs).transactions(cluster),
        ],
    );
    match worker_held {
        false => Line::pair(format!("lookup by key, {protocol}"), "tps", &o, &t, Target::AtLeast(0.85)),
        true => Line::pair(format!("the same without the log's worker, {protocol}"), "tps", &o, &t, Target::Open),
    }
}

fn processor(bench: &Bench, protocol: &str) -> Line {
    let cluster = bench.shared();
    let (mut scope, mut view) = (cluster.connect("keyless"), cluster.connect("plain"));
    let sql = |from: &str| format!("SELECT name, email, amount FROM {from} WHERE id = $1");
    let (ours, theirs) = (sql("keyless.person"), sql("plain.keyless"));
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let time = lookups(&mut scope, protocol, &ours, bench.rows);
                settled(cluster);
                time
            },
            &mut || lookups(&mut view, protocol, &theirs, bench.rows),
        ],
    );
    let what = format!("the same, processor time of the session for {LOOKUPS} look-ups, {protocol}");
    Line::pair(what, "ms", &o, &t, Target::Open)
}
