//! `airlock.durability = remote`: nothing leaves before a synchronous standby has the record on its disk, whatever ends the
//! wait. Core's own wait for replication returns like one that succeeded when it is cancelled.

use crate::cluster::Cluster;
use crate::fixture::{drained, leaked, logged, running, VISIBLE};
use crate::process::{eventually, signal};
use crate::standby::streaming;

const READ: &str = "SELECT id, city FROM acme.customers";

/// A primary whose reads are recorded on a standby too.
fn pair(release: &str) -> (Cluster, Cluster) {
    let primary = running();
    let standby = streaming(&primary);
    primary.set("synchronous_standby_names", "*");
    primary.set("airlock.durability", "remote");
    primary.set("airlock.release", release);
    primary.admin("SELECT pg_reload_conf()");
    eventually("the standby is synchronous", || {
        let state = primary.admin("SELECT sync_state FROM pg_stat_replication WHERE application_name = 'walreceiver'");
        (state.first() == ["sync"]).then_some(())
    });
    eventually("reads pass", || (primary.sql("acme", READ).received == VISIBLE).then_some(()));
    (primary, standby)
}

/// Stops what the standby receives with; the process id to wake up again.
fn freeze(standby: &Cluster) -> u32 {
    let pid = standby.admin("SELECT pid FROM pg_stat_wal_receiver").value().parse().expect("a pid");
    signal("STOP", &[pid]);
    pid
}

/// Records in the table of sessions that called themselves so: reading the log itself would wait for the standby.
fn in_table(cluster: &Cluster, name: &str) -> String {
    let sql = format!("SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = '{name}' AND kind <> 'outcome' AND kind <> 'killed'");
    cluster.admin(&sql).value()
}

fn waits(cluster: &Cluster, name: &str) {
    let sql = format!("SELECT wait_event FROM pg_stat_activity WHERE application_name = '{name}'");
    eventually("the read waits for the standby", || (cluster.admin(&sql).first() == ["SyncRep"]).then_some(()));
}

#[test]
fn an_answer_leaves_once_a_standby_has_its_record() {
    for release in ["wire", "intent"] {
        let (primary, standby) = pair(release);
        primary.admin("ALTER ROLE acme SET synchronous_commit = off");
        let mut acme = primary.connect_as("acme", "patient");
        assert_eq!(acme.query(READ).ok().received, VISIBLE);
        let receiver = freeze(&standby);
        acme.begin(READ);
        waits(&primary, "patient");
        assert_eq!(primary.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "others read on");
        signal("CONT", &[receiver]);
        assert_eq!(acme.finish().ok().received, VISIBLE);
        // also where the worker has not come by: the record is on the standby's disk
        drained(&primary);
        assert_eq!(logged(&primary, "patient").len(), 2);
    }
}

/// However the wait ends, but for the standby's word.
#[test]
fn attack_a_wait_for_the_standby_that_is_cut_short() {
    for release in ["wire", "intent"] {
        let (primary, standby) = pair(release);
        type Cut = fn(&Cluster, &crate::protocol::Conn, &str);
        let cuts: [(&str, Cut); 4] = [
            ("cancelled", |_, acme, _| acme.cancel()),
            ("timed out", |_, _, _| {}),
            ("terminated", |primary, _, name| {
                primary.admin(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
                ));
            }),
            ("unnamed", |primary, _, _| {
                primary.set("synchronous_standby_names", "");
                primary.admin("SELECT pg_reload_conf()");
            }),
        ];
        for (name, cut) in cuts {
            if (release, name) == ("wire", "timed out") {
                // the statement is over when its answer leaves
                continue;
            }
            let timeout = if name == "timed out" { "300ms" } else { "0" };
            primary.admin(&format!("ALTER ROLE acme SET statement_timeout = '{timeout}'"));
            let mut acme = primary.connect_as("acme", name);
            let small = acme.query("SELECT id FROM acme.customers WHERE id = 1").ok();
            assert_eq!(small.received, 1);
            let receiver = freeze(&standby);
            acme.begin(READ);
            if name != "timed out" {
                waits(&primary, name);
            }
            cut(&primary, &acme, name);
            let answer = acme.finish();
            assert_eq!((answer.received, leaked(&answer)), (0, None), "{release}, {name}: {answer:?}");
            assert!(answer.closed || answer.code() == "AL005", "{release}, {name}: {answer:?}");
            if release == "intent" && !answer.closed {
                // nothing of it comes later either
                let error = answer.error.as_ref().unwrap();
                assert!(!error.get('H').is_empty(), "{error:?}");
            }
            signal("CONT", &[receiver]);
            eventually("the record is there all the same", || (in_table(&primary, name) == "2").then_some(()));
        }
        // nobody is meant to be synchronous any more
        let answer = primary.sql("acme", READ);
        assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
        let error = answer.error.unwrap();
        assert!(error.get('D').contains("no standby is meant to be synchronous"), "{error:?}");
        assert!(error.get('H').contains("synchronous_standby_names"), "{error:?}");
        assert_eq!(primary.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
        let sql = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'durability'";
        primary.set("airlock.durability", "local");
        primary.admin("SELECT pg_reload_conf()");
        eventually("reads pass again", || (primary.sql("acme", READ).received == VISIBLE).then_some(()));
        assert_eq!(primary.admin(sql).first(), Vec::<String>::new());
    }
}

#[test]
fn doctor_says_why_reads_wait_for_a_standby() {
    let (primary, mut standby) = pair("wire");
    let checks = || primary.admin("SELECT message FROM airlock.doctor() WHERE \"check\" = 'durability'").first();
    assert_eq!(checks(), Vec::<String>::new());
    standby.stop();
    let sql = "SELECT count(*) FROM pg_stat_replication";
    eventually("the standby is gone", || (primary.admin(sql).value() == "0").then_some(()));
    assert_eq!(checks(), ["no synchronous standby is connected: scoped reads wait for one"]);
    primary.set("synchronous_standby_names", "");
    primary.admin("SELECT pg_reload_conf()");
    eventually("doctor sees the setting", || checks().iter().any(|m| m.contains("no standby is meant")).then_some(()));
}

/// The primary dies behind its answers; the promoted standby has a record of each.
#[test]
fn every_answer_is_in_the_promoted_standbys_log() {
    let (mut primary, standby) = pair("wire");
    let mut acme = primary.connect_as("acme", "nonces");
    for nonce in 0..200 {
        assert_eq!(
            acme.query(&format!("SELECT id FROM acme.customers WHERE id = 5 AND country <> 'N{nonce}'")).ok().received,
            1
        );
    }
    primary.kill();
    assert_eq!(standby.admin("SELECT pg_promote(true, 60)").value(), "t");
    // its reads wait for a standby of its own, which it does not have
    standby.set("airlock.durability", "local");
    standby.set("synchronous_standby_names", "");
    standby.admin("SELECT pg_reload_conf()");
    crate::fixture::open(&standby);
    drained(&standby);
    assert_eq!(logged(&standby, "nonces").len(), 200);
}
