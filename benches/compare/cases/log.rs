//! The read log: readers per flush of the disk; in memory beside pgaudit, which does not flush; large answers.

use super::lookup::by_key;
use super::Bench;
use crate::load::{thrown_away, Pgbench};
use crate::machine::flushes_per_second;
use crate::process::run;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{begin, persons, scopes, settled, stopped, Kind, Place};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn lines(bench: &Bench) -> Vec<Line> {
    let mut lines = vec![on_disk(bench), on_slow_disk(bench)];
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

/// How much longer each flush takes on the slow disk.
const SLOW: Duration = Duration::from_millis(2);

/// Where the disk is the limit, and not the processor.
fn on_slow_disk(bench: &Bench) -> Line {
    let mut cluster = stopped(&bench.postgres, Place::Disk, Kind::Airlock);
    let library = cluster.dir.join("slow_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/slow_disk.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl"));
    cluster.set("wal_sync_method", "fdatasync");
    cluster.environment.push(("LD_PRELOAD".into(), library.display().to_string()));
    cluster.environment.push(("SLOW_DISK_US".into(), SLOW.as_micros().to_string()));
    begin(&mut cluster, Kind::Airlock);
    let rows = bench.rows / 100;
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
            // this process has the disk as it is
            &mut || {
                let one = 1.0 / flushes_per_second(&cluster.dir, Duration::from_secs(1)) + SLOW.as_secs_f64();
                1.0 / one
            },
        ],
    );
    let what = "the same on a disk whose flushes take 2 ms more";
    Line::pair(what, "/s", &reads, &flushes, Target::AtLeast(28.0))
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
