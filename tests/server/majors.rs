//! From one major to the newest: by the newer major's pg_dump, and by pg_upgrade. When the installation under test is
//! the newest itself, the same move within one major.

use crate::cluster::{Cluster, Postgres};
use crate::dump::{beside, dump, globals, restore_plain};
use crate::fixture::{self, drained, logged};
use crate::moved::{arrived, source};
use crate::process::{both, run};
use std::fs;

/// A new cluster that pg_upgrade takes for the same kind as the old one, with the old one's root key, not started.
fn upgrade_target(old: &Cluster) -> Cluster {
    let newest = Postgres::newest();
    // checksums must be on in both or in none; from 18 on, initdb turns them on, older ones do not know the option
    let control = run(old.postgres.tool("pg_controldata").arg(old.data()));
    let without = control.lines().any(|l| l.starts_with("Data page checksum version") && l.ends_with(" 0"));
    let known = run(newest.tool("initdb").arg("--help")).contains("--no-data-checksums");
    let options: &[&str] = match (without, known) {
        (true, true) => &["--no-data-checksums"],
        (true, false) => &[],
        (false, _) => &["--data-checksums"],
    };
    let new = Cluster::initdb_with(newest, options);
    new.preload();
    new.write_key(&fs::read_to_string(old.dir.join("root.key")).expect("the root key"));
    new
}

/// pg_upgrade of two stopped clusters; what it said when it failed.
fn upgrade(old: &Cluster, new: &Cluster, options: &[&str]) -> Result<(), String> {
    let mut command = new.postgres.tool("pg_upgrade");
    command.current_dir(&new.dir).args(["-U", "postgres"]).args(options).arg("-s").arg(&new.dir);
    command.arg("-b").arg(&old.postgres.0).arg("-B").arg(&new.postgres.0);
    command.arg("-d").arg(old.data()).arg("-D").arg(new.data());
    command.arg("-p").arg(old.port.to_string()).arg("-P").arg(new.port.to_string());
    let output = command.output().expect("pg_upgrade");
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = both(&output);
            Err(format!(
                "{}\n{}",
                said.lines().filter(|l| !l.trim_end().ends_with("ok")).collect::<Vec<_>>().join("\n"),
                notes(new)
            ))
        }
    }
}

/// What the logs and reports that pg_upgrade leaves when it failed say of errors.
fn notes(new: &Cluster) -> String {
    let mut found = String::new();
    let mut places = vec![new.data().join("pg_upgrade_output.d")];
    while let Some(place) = places.pop() {
        for path in fs::read_dir(place).into_iter().flatten().flatten().map(|e| e.path()) {
            let text = || String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            match path.extension().and_then(|e| e.to_str()) {
                Some("txt") => found += &text(),
                Some("log") => {
                    let telling = ["error:", "ERROR:", "FATAL:", "PANIC:", "DETAIL:", "HINT:"];
                    found.extend(
                        text().lines().filter(|l| telling.iter().any(|t| l.contains(t))).map(|l| format!("{l}\n")),
                    );
                }
                _ if path.is_dir() => places.push(path),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn a_dump_moves_everything_to_the_newest_major() {
    let (source, moved) = source();
    let target = beside(&source, Postgres::newest());
    globals(&source, &target);
    restore_plain(&target, &dump(&source, &target, &[]));
    arrived(&target, &moved);
}

#[test]
fn pg_upgrade_moves_everything_to_the_newest_major() {
    let (mut old, moved) = source();
    old.stop();
    for options in [&["--copy"][..], &["--link"]] {
        let mut new = upgrade_target(&old);
        upgrade(&old, &new, &[options, &["--check"]].concat()).unwrap_or_else(|said| panic!("{said}"));
        upgrade(&old, &new, options).unwrap_or_else(|said| panic!("{said}"));
        new.start();
        let update = new.admin("ALTER EXTENSION pg_airlock UPDATE");
        assert!(update.notices.iter().any(|n| n.get('M').contains("already installed")), "{update:?}");
        arrived(&new, &moved);
        new.stop();
    }
}

/// pg_upgrade starts both servers to look at them, and notes the old one's next transaction id before: whoever writes
/// there meanwhile leaves rows that the new cluster takes for those of the future.
#[test]
fn the_logs_worker_keeps_still_while_pg_upgrade_runs() {
    let mut old = fixture::running();
    drained(&old);
    // what the worker cannot settle before the stop, it would settle during the upgrade
    let mut holder = old.connect("postgres");
    holder.query("BEGIN; LOCK TABLE airlock_catalog.read_record IN EXCLUSIVE MODE").ok();
    old.connect_as("acme", "late").query("SELECT id FROM acme.customers").ok();
    let late = || old.admin("SELECT hash FROM airlock.access_log WHERE application_name = 'late'").rows;
    assert_eq!(late(), [[None]]);
    old.stop();
    let before = next_xid(&old);
    let new = upgrade_target(&old);
    upgrade(&old, &new, &["--copy"]).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(next_xid(&old), before, "a transaction was begun in the old cluster");
    // the old cluster is as it was: the log settles there what it had not
    old.start();
    fixture::open(&old);
    drained(&old);
    assert_eq!(logged(&old, "late").len(), 1);
}

fn next_xid(stopped: &Cluster) -> String {
    let said = run(stopped.postgres.tool("pg_controldata").arg(stopped.data()));
    let line = said.lines().find(|l| l.contains("NextXID")).expect("pg_controldata names the next transaction id");
    line.to_string()
}
