//! A whole table through a scope, against a security barrier view by hand.

use super::Bench;
use crate::load::{milliseconds, thrown_away, with_workers};
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::session;

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    let mut lines = Vec::new();
    let (mut scope, mut view) = (cluster.connect("masked"), cluster.connect("plain"));

    // count(x) computes x and nothing more: neither hides what a mask costs behind an output
    let counted = |from: &str| format!("SELECT count(name), count(email), count(phone), count(code) FROM {from}");
    let (ours, theirs) = (counted("masked.person"), counted("plain.masked"));
    let [o, t] =
        interleaved(bench.rounds, [&mut || milliseconds(&mut scope, &ours), &mut || milliseconds(&mut view, &theirs)]);
    lines.push(Line::pair("scan, four masks, counted", "ms", &o, &t, Target::AtMost(1.2)));

    let sent = |from: &str| format!("COPY (SELECT name, email, phone, code FROM {from}) TO STDOUT");
    let (ours, theirs) = (sent("masked.person"), sent("plain.masked"));
    let [o, t] = interleaved(
        bench.rounds,
        [&mut || thrown_away(cluster, "masked", &ours), &mut || thrown_away(cluster, "plain", &theirs)],
    );
    lines.push(Line::pair("scan, four masks, sent by COPY", "ms", &o, &t, Target::AtMost(1.2)));

    // each mask beside its built-in
    for (column, mask, target) in [
        ("name", "constant", Target::Open),
        ("email", "email", Target::Open),
        ("phone", "partial", Target::Open),
        ("code", "pseudonym", Target::Open),
    ] {
        let one = |from: &str| format!("SELECT count({column}) FROM {from}");
        let (ours, theirs) = (one("masked.person"), one("plain.masked"));
        let [o, t] = interleaved(
            bench.rounds,
            [&mut || milliseconds(&mut scope, &ours), &mut || milliseconds(&mut view, &theirs)],
        );
        lines.push(Line::pair(format!("scan, {mask} alone"), "ms", &o, &t, target));
    }

    lines.extend(parallel(
        bench,
        "three masks without a key",
        "keyless",
        "wide",
        "count(name), count(email), count(phone)",
    ));
    let four = "count(name), count(email), count(phone), count(code)";
    lines.extend(parallel(bench, "four masks, one keyed", "masked", "wide_masked", four));
    lines
}

/// The same scope with two workers and with none, and the hand-written view likewise.
fn parallel(bench: &Bench, what: &str, scope: &str, wide: &str, columns: &str) -> Vec<Line> {
    let cluster = bench.shared();
    let sql = format!("SELECT {columns} FROM {scope}.person");
    let (mut two, mut none) = (cluster.connect(wide), cluster.connect(scope));
    let mut workers = 0;
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let (time, seen) = with_workers(cluster, &mut two, &sql);
                workers = workers.max(seen);
                time
            },
            &mut || milliseconds(&mut none, &sql),
        ],
    );
    let theirs = format!("SELECT {columns} FROM plain.{scope}");
    let mut view_two = session(cluster, "plain", "SET max_parallel_workers_per_gather = 2");
    let mut view_none = cluster.connect("plain");
    let [vo, vt] = interleaved(
        bench.rounds,
        [&mut || milliseconds(&mut view_two, &theirs), &mut || milliseconds(&mut view_none, &theirs)],
    );
    vec![
        Line::pair(format!("parallel scope ({workers} workers seen) / none, {what}"), "ms", &o, &t, Target::Open),
        Line::pair(format!("the same of the view by hand, {what}"), "ms", &vo, &vt, Target::Open),
    ]
}
