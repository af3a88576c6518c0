//! One row by its primary key, through a scope and through a plain view. The log is in memory: its flush is free.

use super::Bench;
use crate::load::{lookups, Pgbench, LOOKUPS};
use crate::protocol::Conn;
use crate::report::{Line, Target};
use crate::rounds::{interleaved, Spread};
use crate::world::{held, settled};

/// Plans of a turn.
const PLANNED: usize = 500;

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
    lines.push(planning(bench));
    lines
}

/// What the planner takes for one of both views, its own answer: EXPLAIN by an administrator, who is no sub-processor.
fn planning(bench: &Bench) -> Line {
    let cluster = bench.shared();
    let mut conn = cluster.connect("postgres");
    let mut planned = |view: &str| -> f64 {
        let sql = format!("EXPLAIN (SUMMARY, FORMAT JSON) SELECT name, email, amount FROM {view} WHERE id = 42");
        let one = |conn: &mut Conn| -> f64 {
            let text = conn.query(&sql).value();
            let (_, time) = text.split_once("\"Planning Time\": ").expect("a planning time");
            time.split([',', '\n', '}']).next().and_then(|t| t.trim().parse().ok()).expect("a number")
        };
        let times: Vec<f64> = (0..PLANNED).map(|_| one(&mut conn)).collect();
        Spread::of(&times).median * 1e3
    };
    let planned = std::cell::RefCell::new(&mut planned);
    let [o, t] = interleaved(
        bench.rounds,
        [&mut || (planned.borrow_mut())("keyless.person"), &mut || (planned.borrow_mut())("plain.keyless")],
    );
    Line::pair("planning a look-up, scope / view", "µs", &o, &t, Target::AtMost(1.2))
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
