//! Sessions that are nobody's sub-processor: a server with the library against one without.

use super::Bench;
use crate::cluster::{Cluster, DATABASE};
use crate::load::{lookups, Pgbench, LOOKUPS};
use crate::process::run as finish;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{Kind, Place};

/// One per cent is to be told from none: more rounds than elsewhere.
const MORE: usize = 4;

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
        lines.push(Line::pair(what, "ms", &o, &t, Target::AtMost(1.01)));
    }
    lines
}
