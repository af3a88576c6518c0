//! The read log: readers per flush of the disk; in memory beside pgaudit, which does not flush; large answers.

use super::lookup::by_key;
use super::Bench;
use crate::load::{script, thrown_away, Pgbench};
use crate::machine::flushes_per_second;
use crate::process::run;
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::{begin, persons, scopes, settled, stopped, Kind, Place};
use std::cell::RefCell;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn lines(bench: &Bench) -> Vec<Line> {
    let mut lines = vec![on_disk(bench)];
    lines.extend(on_slow_disk(bench));
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
fn on_slow_disk(bench: &Bench) -> Vec<Line> {
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
    let flushes = || -> f64 {
        // sessions say what they did when they end
        std::thread::sleep(Duration::from_millis(1_500));
        cluster.admin("SELECT wal_sync FROM pg_stat_wal").value().parse().expect("a number")
    };
    // whoever flushes waits so long for others; with any siblings it would look for transactions that write, and readers have none
    let waiting = |micros: u64| {
        let sql = format!(
            "ALTER SYSTEM SET commit_delay = {micros}; ALTER SYSTEM SET commit_siblings = 0; SELECT pg_reload_conf()"
        );
        sql.split("; ").for_each(|sql| script(&cluster, "postgres", sql));
        let before = flushes();
        let tps = readers(bench, "keyless", &ours, 32).transactions(&cluster);
        settled(&cluster);
        (tps, tps * bench.seconds as f64 / (flushes() - before))
    };
    let rates = RefCell::new([Vec::new(), Vec::new()]);
    let shared = |waits: bool| {
        let (tps, reads) = waiting(if waits { SLOW.as_micros() as u64 } else { 0 });
        rates.borrow_mut()[usize::from(waits)].push(tps);
        reads
    };
    let [with, without] = interleaved(bench.rounds, [&mut || shared(true), &mut || shared(false)]);
    let [plain, waited] = rates.into_inner();
    let what =
        "a disk whose flushes take 2 ms more, 32 clients: reads a flush made, with commit_delay of 2 ms / without";
    vec![
        Line::pair(what, "", &with, &without, Target::OursAtLeast(28.0)),
        // the pass that does not count came first
        Line::pair("the same: reads", "/s", &waited[1..], &plain[1..], Target::Open),
    ]
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
