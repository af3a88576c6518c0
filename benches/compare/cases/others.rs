//! Sessions that are nobody's sub-processor: a server with the library against one without.

use super::Bench;
use crate::cluster::{give, Cluster, Postgres, DATABASE};
use crate::load::{lookups, repeated, Pgbench, LOOKUPS};
use crate::process::{eventually, run as finish};
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{begin, stopped, Kind, Place};
use std::fs;

/// One per cent is to be told from none: more rounds than elsewhere.
const MORE: usize = 8;

/// pgbench's own, with the table's size written out.
const SELECT_ONLY: &str = "\\set aid random(1, 100000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n";

pub fn run(bench: &Bench) -> Vec<Line> {
    let prepared = |kind| -> Cluster {
        let cluster = bench.server(Place::Memory, kind);
        finish(cluster.client("pgbench", "postgres").args(["-i", "-q", DATABASE]));
        cluster
    };
    let (with, without) = (prepared(Kind::Airlock), prepared(Kind::Bare));
    let mut lines = Vec::new();
    for protocol in ["prepared", "simple"] {
        let one = Pgbench { user: "postgres", script: SELECT_ONLY, protocol, clients: 1, seconds: bench.seconds };
        let [o, t] =
            interleaved(bench.rounds * MORE, [&mut || one.transactions(&with), &mut || one.transactions(&without)]);
        let what = format!("other sessions, pgbench -S -M {protocol}, with the library / without");
        lines.push(Line::pair(what, "tps", &o, &t, Target::AtLeast(0.99)));
    }
    for protocol in ["prepared", "simple"] {
        let (mut here, mut there) = (with.connect("postgres"), without.connect("postgres"));
        let sql = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
        let [o, t] = interleaved(
            bench.rounds * MORE,
            [&mut || lookups(&mut here, protocol, sql, 100_000), &mut || lookups(&mut there, protocol, sql, 100_000)],
        );
        let what = format!("the same, processor time of the session for {LOOKUPS} selects, {protocol}");
        lines.push(Line::pair(what, "ms", &o, &t, Target::Open));
    }
    lines.extend(instructions(bench));
    lines
}

/// What a select costs the session's process, counted: nearly the same on a busy machine, so a hundredth can
/// be told from none.
fn instructions(bench: &Bench) -> Vec<Line> {
    let (with, without) = (counting(bench, Kind::Airlock), counting(bench, Kind::Bare));
    ["prepared", "simple"]
        .into_iter()
        .map(|protocol| {
            // whether a message is there already when the server looks for it makes a few more or less
            let [o, t] = interleaved(
                bench.rounds.min(3),
                [&mut || per_select(&with, protocol), &mut || per_select(&without, protocol)],
            );
            let what = format!("the same, instructions of the session's process for a select, {protocol}");
            Line::pair(what, "", &o, &t, Target::Open)
        })
        .collect()
}

/// A server each of whose processes writes down how many instructions it took (Valgrind's callgrind).
fn counting(bench: &Bench, kind: Kind) -> Cluster {
    let mut cluster = stopped(&bench.postgres, Place::Memory, kind);
    let bin = cluster.dir.join("bin");
    fs::create_dir(&bin).expect("create a directory");
    let program = bin.join("postgres");
    let script = format!(
        "#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file={}/%p.count {} \"$@\"\n",
        cluster.dir.display(),
        bench.postgres.0.join("postgres").display()
    );
    fs::write(&program, script).expect("write a script");
    give(&program, 0o755);
    cluster.postgres = Postgres(bin);
    begin(&mut cluster, kind);
    cluster.postgres = bench.postgres.clone();
    let rows = "INSERT INTO pgbench_accounts SELECT g, 0 FROM generate_series(1, 10000) g";
    cluster.admin(&format!("CREATE TABLE pgbench_accounts (aid integer PRIMARY KEY, abalance integer); {rows}"));
    cluster.admin("VACUUM (FREEZE, ANALYZE) pgbench_accounts");
    cluster
}

/// Instructions for one select: those of a session with many less those of one with few.
fn per_select(cluster: &Cluster, protocol: &str) -> f64 {
    let (few, many) = (200, 5_200);
    let of = |selects: u64| {
        let mut conn = cluster.connect("postgres");
        let counts = cluster.dir.join(format!("{}.count", conn.pid));
        repeated(&mut conn, protocol, "SELECT abalance FROM pgbench_accounts WHERE aid = $1", 10_000, selects);
        drop(conn);
        eventually("the session has ended and said what it took", || {
            let text = fs::read_to_string(&counts).ok()?;
            let line = text.lines().rev().find_map(|l| l.strip_prefix("totals: "))?;
            line.trim().parse::<f64>().ok()
        })
    };
    (of(many) - of(few)) / (many - few) as f64
}
