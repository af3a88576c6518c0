//! How pg_airlock compares, in one run on one machine, with what people use today and with the physical limit.
//!
//! `make bench` prepares what this needs and runs it; `benches/README.md` says what each line is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // reason: a bench may fail loudly

mod cases;
mod load;
mod machine;
mod profile;
mod report;
mod rounds;
mod world;

// the server tests' own way to a cluster, of which a bench needs a part
#[allow(dead_code, unused_imports)]
#[path = "../../tests/server"]
mod server {
    pub mod cluster;
    pub mod process;
    pub mod protocol;
}

use cases::Bench;
use cluster::Postgres;
use server::{cluster, process, protocol};
use std::fmt::Write as _;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use world::Place;

/// A number that the environment may give.
fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable).unwrap_or_default().as_str() {
        "" => default,
        text => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")),
    }
}

/// The installation built for release: named, or the one that `make` prepared.
fn installation() -> Postgres {
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/server/release");
    let bin = std::env::var("AIRLOCK_PG_BIN_RELEASE").or_else(|_| std::fs::read_to_string(pointer));
    Postgres(PathBuf::from(bin.expect("run this by `make bench`").trim()))
}

fn main() {
    // `cargo test --benches` starts benches too, without this argument: nobody waits an hour for that
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let wanted = std::env::var("AIRLOCK_BENCH").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let known: Vec<&str> = cases::ALL.iter().map(|c| c.0).collect();
    assert!(wanted.iter().all(|w| known.contains(w)), "BENCH={}: there are {}", wanted.join(" "), known.join(" "));

    let (rounds, rows) = (number("AIRLOCK_BENCH_ROUNDS", 7), number("AIRLOCK_BENCH_SCALE", 1_000_000));
    let records = number("AIRLOCK_BENCH_RECORDS", rows / 5);
    let bench = Bench::new(installation(), rounds as usize, rows, records, number("AIRLOCK_BENCH_SECONDS", 2));
    if std::env::var_os("AIRLOCK_BENCH_PROFILE").is_some() {
        profile::all(&bench);
        drop(bench);
        return Place::tidy();
    }
    let disk = machine::flushes_per_second(&Place::Disk.directory(), Duration::from_secs(2));
    let version = process::run(bench.postgres.tool("postgres").arg("--version"));
    let mut page = format!(
        "# Results\n\nWritten by `make bench` ([README.md](README.md) says what each line is). Ratios are of this run on this machine. \
         Where a target is missed, [PROFILES.md](PROFILES.md) shows where the time goes and [NOTES.md](NOTES.md) says why.\n\n\
         - date: {}\n{}\n- load before: {}\n- server: {}\n- disk: {} flushes a second (8 kB and fdatasync)\n- {rounds} rounds, {} rows\n\n{}\n",
        machine::date(),
        machine::described(),
        machine::load(),
        version.trim(),
        report::figure(disk),
        report::figure(rows as f64),
        report::HEAD
    );
    eprint!("{page}");
    let mut failed = Vec::new();
    for (name, run) in cases::ALL {
        if !wanted.is_empty() && !wanted.contains(name) {
            continue;
        }
        let start = Instant::now();
        // one that cannot be measured does not take the hour of the others with it
        match catch_unwind(AssertUnwindSafe(|| run(&bench))) {
            Ok(lines) => lines.iter().for_each(|line| {
                println!("{}", line.markdown());
                let _ = writeln!(page, "{}", line.markdown());
            }),
            Err(_) => {
                failed.push(*name);
                let _ = writeln!(page, "| {name}: failed | – | – | – | – | – | **missed** |");
            }
        }
        eprintln!("({name}: {:.0} s)", start.elapsed().as_secs_f64());
    }
    drop(bench);
    Place::tidy();
    if wanted.is_empty() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
        std::fs::write(&path, page).expect("write the results");
        eprintln!("written to {}", path.display());
    } else {
        eprintln!("a part of the lines: benches/RESULTS.md, which has all, stays as it is");
    }
    assert!(failed.is_empty(), "not measured: {}", failed.join(" "));
}
