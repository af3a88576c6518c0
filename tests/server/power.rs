//! Invariant 3 at a power cut: like `crash`, but everything that was written to WAL segments since the last sync of each is
//! undone before the restart, as on a disk that had it in its cache. `power.c`, loaded before the C library, keeps what is
//! needed for that. The control, without flush, must lose records here even where the WAL writer happens to come by.

use crate::cluster::{give, Cluster, Postgres};
use crate::crash::{from_env, round, Round};
use crate::fixture;
use crate::library::compiled;
use crate::process::eventually;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A stopped copy of the fixture whose WAL lies on such a disk.
fn on_that_disk(postgres: Postgres) -> Cluster {
    let mut cluster = fixture::stopped_on(postgres);
    cluster.set("fsync", "on");
    cluster.set("wal_sync_method", "fdatasync");
    let kept = cluster.dir.join("kept");
    fs::create_dir(&kept).expect("create the directory of what may be forgotten");
    give(&kept, 0o700);
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let library = BUILT.get_or_init(|| compiled("power", &["-ldl".as_ref()]));
    cluster.environment.push(("LD_PRELOAD".into(), library.display().to_string()));
    cluster.environment.push(("POWER_DIR".into(), kept.display().to_string()));
    cluster
}

/// The cut: everything ends, and what was never synced is put back, newest first. How many writes were undone.
fn cut(cluster: &mut Cluster) -> usize {
    cluster.kill();
    let mut undone = 0;
    for file in fs::read_dir(cluster.dir.join("kept")).expect("what may be forgotten").flatten() {
        let bytes = fs::read(file.path()).expect("read what was kept");
        let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
        let number = |b: &[u8]| u64::from_ne_bytes(b.try_into().expect("eight bytes"));
        while rest.len() >= 16 {
            let (offset, length) = (number(&rest[..8]), number(&rest[8..16]) as usize);
            let Some(old) = rest.get(16..16 + length) else { break };
            pieces.push((offset, old));
            rest = &rest[16 + length..];
        }
        let segment = cluster.data().join("pg_wal").join(file.file_name());
        undone += pieces.len();
        if let (Ok(segment), false) = (fs::File::options().write(true).open(segment), pieces.is_empty()) {
            for (offset, old) in pieces.iter().rev() {
                segment.write_all_at(old, *offset).expect("put back");
            }
        }
        fs::write(file.path(), "").expect("forget");
    }
    undone
}

#[test]
fn every_answer_received_before_a_power_cut_is_in_the_log() {
    let (rounds, clients) = (from_env("AIRLOCK_CRASH_ROUNDS", 10), from_env("AIRLOCK_CRASH_CLIENTS", 8));
    let mut cluster = on_that_disk(Postgres::main());
    cluster.start();
    let (mut all, mut delivered) = (0, 0);
    for number in 0..rounds {
        let Round { received, rows, missing } = round(&mut cluster, number, clients, |cluster| {
            cut(cluster);
        });
        assert!(missing.is_empty(), "round {number}: received but not recorded: {missing:?}");
        all += received;
        delivered += rows;
        let (ok, bad, message) = fixture::verify(&mut cluster.connect("postgres"));
        assert!(ok, "round {number}: verify_log: {message} at {bad:?}");
    }
    eprintln!("{rounds} power cuts under {clients} clients: {delivered} rows of {all} answers delivered, 0 unaudited");
}

#[test]
fn without_the_flush_a_power_cut_loses_records() {
    let clients = from_env("AIRLOCK_CRASH_CLIENTS", 8);
    let mut cluster = on_that_disk(Postgres::no_flush());
    cluster.start();
    let lost = (0..from_env("AIRLOCK_CRASH_ROUNDS", 10)).any(|number| {
        let undone = std::cell::Cell::new(0);
        let Round { received, missing, .. } = round(&mut cluster, number, clients, |cluster| undone.set(cut(cluster)));
        eprintln!(
            "cut {number} without flush: {} writes undone, {received} received, {} not recorded",
            undone.get(),
            missing.len()
        );
        !missing.is_empty()
    });
    assert!(lost, "the control lost no record, so the test above proves nothing");
}

#[test]
fn a_full_disk_and_a_failing_sync_let_nothing_out_that_is_not_recorded() {
    let clients = from_env("AIRLOCK_CRASH_CLIENTS", 8);
    let mut cluster = on_that_disk(Postgres::main());
    cluster.start();
    for (number, fault) in ["full", "eio"].into_iter().enumerate() {
        let flag = cluster.dir.join("kept").join(fault);
        // the first backend that writes WAL panics, and takes the others with it
        let Round { received, missing, .. } = round(&mut cluster, number, clients, |cluster| {
            fs::write(&flag, "").expect("set the fault");
            let said = if fault == "full" { "No space left on device" } else { "Input/output error" };
            eventually("the server panics", || {
                let log = cluster.log();
                (log.contains("PANIC") && log.contains(said)).then_some(())
            });
            cluster.kill();
            fs::remove_file(&flag).expect("mend the fault");
            cut(cluster);
        });
        assert!(missing.is_empty(), "{fault}: received but not recorded: {missing:?}");
        assert!(received > clients, "{fault}: too few reads to mean anything: {received}");
    }
}

/// The log in a tablespace of its own, as docs/operations.md says, and that is full: reads go on until the worker has been
/// silent too long, then they are refused, for sub-processors alone; with space again each is in the log, once.
#[test]
fn a_full_log_tablespace_shuts_the_gate_and_loses_nothing() {
    let mut cluster = on_that_disk(Postgres::main());
    let place = cluster.dir.join("log_space");
    fs::create_dir(&place).expect("create the tablespace's directory");
    give(&place, 0o700);
    cluster.environment.push(("LOG_DIR".into(), place.display().to_string()));
    cluster.set("airlock.max_silence", "3s");
    cluster.start();
    fixture::open(&cluster);
    cluster.admin(&format!("CREATE TABLESPACE logs LOCATION '{}'", place.display()));
    for table in ["read_record", "read_private", "read_subject"] {
        cluster.admin(&format!("ALTER TABLE airlock_catalog.{table} SET TABLESPACE logs"));
    }
    let partitions = "SELECT format('ALTER TABLE %s SET TABLESPACE logs', inhrelid::regclass) FROM pg_inherits WHERE inhparent IN
        ('airlock_catalog.read_record'::regclass, 'airlock_catalog.read_private'::regclass, 'airlock_catalog.read_subject'::regclass)";
    cluster.admin(partitions).first().iter().for_each(|sql| drop(cluster.admin(sql)));
    let flag = cluster.dir.join("kept").join("logfull");
    fs::write(&flag, "").expect("set the fault");
    let mut acme = cluster.connect_as("acme", "full");
    let mut passed = 0;
    eventually("scoped reads are refused", || {
        for _ in 0..100 {
            let answer = acme.query("SELECT id FROM acme.customers");
            match answer.code() {
                "" => passed += 1,
                code => {
                    assert_eq!((code, answer.received), ("AL005", 0), "{answer:?}");
                    return Some(());
                }
            }
        }
        None
    });
    assert!(cluster.log().contains("No space left on device"), "control: the tablespace was full");
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "others read on");
    fs::remove_file(&flag).expect("mend the fault");
    fixture::open(&cluster);
    fixture::settled(&cluster, "full", passed);
    fixture::drained(&cluster);
    let (ok, bad, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
}
