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

/// A session that is ended once, with an answer held back: it goes at once, and so does the server.
#[test]
fn attack_a_held_answer_that_hinders_the_shutdown() {
    let (mut primary, mut standby) = pair("wire");
    standby.stop();
    for end in ["terminate", "shutdown"] {
        let mut acme = primary.connect_as("acme", end);
        acme.parse("", READ).bind("", "", &[]).execute("", 0);
        acme.send().unwrap();
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{end}' AND wait_event = 'ClientRead' AND query LIKE 'SELECT id%'");
        let pid = eventually("it has run, and waits for more", || primary.admin(&sql).first().first().cloned());
        match end {
            "terminate" => drop(primary.admin(&format!("SELECT pg_terminate_backend({pid})"))),
            _ => primary.stop(),
        }
        let answer = acme.finish();
        assert!(answer.closed && answer.received == 0 && leaked(&answer).is_none(), "{end}: {answer:?}");
        if end == "terminate" {
            let there = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
            eventually("its backend is gone", || (primary.admin(&there).value() == "0").then_some(()));
        }
    }
}

/// A logical receiver confirms positions and keeps no record.
#[test]
fn attack_a_logical_receiver_in_the_place_of_a_standby() {
    let mut primary = crate::fixture::stopped();
    primary.set("wal_level", "logical");
    primary.set("synchronous_standby_names", "ANY 1 (lg, other)");
    primary.set("airlock.durability", "remote");
    primary.start();
    let mut admin = primary.connect("postgres");
    admin.query("SET synchronous_commit = local").ok();
    admin.query("CREATE PUBLICATION everything FOR ALL TABLES").ok();
    admin.query("SELECT pg_create_logical_replication_slot('lg', 'pgoutput')").ok();
    let mut receiver = primary.client("pg_recvlogical", "postgres");
    receiver.env("PGAPPNAME", "lg").args([
        "-d",
        crate::cluster::DATABASE,
        "-S",
        "lg",
        "--start",
        "-F",
        "1",
        "-s",
        "1",
        "-f",
        "/dev/null",
    ]);
    let mut receiver =
        receiver.args(["-o", "proto_version=1", "-o", "publication_names=everything"]).spawn().expect("pg_recvlogical");
    let state =
        "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'lg' AND sync_state IN ('sync', 'quorum')";
    eventually("it counts as synchronous", || (primary.admin(state).value() == "1").then_some(()));
    let error = eventually("scoped reads are refused", || {
        let answer = primary.sql("acme", READ);
        assert_eq!(answer.received, 0, "{answer:?}");
        answer.error.filter(|e| e.get('D').contains("logical receiver"))
    });
    assert_eq!(error.code(), "AL005");
    receiver.kill().expect("end it");
    receiver.wait().expect("it ends");
}

/// The same head file on both sides of a failover: no false alarm, and nothing of what was answered is lost.
#[test]
fn a_failover_keeps_to_the_head_that_was_written() {
    let mut primary = crate::fixture::stopped();
    let file = primary.dir.join("head");
    primary.set("airlock.head_file", &file.display().to_string());
    primary.start();
    crate::fixture::open(&primary);
    let standby = streaming(&primary);
    primary.set("synchronous_standby_names", "*");
    primary.set("airlock.durability", "remote");
    primary.admin("SELECT pg_reload_conf()");
    eventually("reads pass", || (primary.sql("acme", READ).received == VISIBLE).then_some(()));
    let mut acme = primary.connect_as("acme", "failover");
    for _ in 0..50 {
        assert_eq!(acme.query(READ).ok().received, VISIBLE);
    }
    eventually("the head is kept", || std::fs::read_to_string(&file).ok());
    for _ in 0..20 {
        assert_eq!(acme.query(READ).ok().received, VISIBLE);
    }
    primary.kill();
    standby.set("airlock.durability", "local");
    standby.set("synchronous_standby_names", "");
    standby.admin("SELECT pg_reload_conf()");
    assert_eq!(standby.admin("SELECT pg_promote(true, 60)").value(), "t");
    crate::fixture::open(&standby);
    drained(&standby);
    assert_eq!(logged(&standby, "failover").len(), 70);
    let (ok, _, message) = crate::fixture::verify(&mut standby.connect("postgres"));
    assert!(ok, "{message}");
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
