//! A standby: scoped reads are refused there, the rest is served; promoted, it takes the log over where the primary
//! left it, and every read that a client received is in it.

use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{self, drained, leaked, logged, running, settled, verify, VISIBLE};
use crate::moved::errors;
use crate::process::{eventually, signal};
use crate::protocol::Answer;

const READ: &str = "SELECT id FROM acme.customers";

/// A standby of a running cluster that receives its WAL as it is written.
pub fn streaming(primary: &Cluster) -> Cluster {
    let mut standby = primary.standby();
    // as docs/operations.md says: what the log has not settled is still there on the day of promotion
    standby.set("wal_keep_size", "1GB");
    standby.start();
    eventually("the standby streams", || {
        let states = primary.admin("SELECT state FROM pg_stat_replication WHERE application_name = 'walreceiver'");
        (states.first() == ["streaming"]).then_some(())
    });
    standby
}

/// Waits until the standby has on disk, and has replayed, what the primary has flushed by now.
pub fn caught_up(primary: &Cluster, standby: &Cluster) {
    let flushed = primary.admin("SELECT pg_current_wal_flush_lsn()").value();
    let sql = format!("SELECT pg_last_wal_receive_lsn() >= '{flushed}' AND pg_last_wal_replay_lsn() >= '{flushed}'");
    eventually("the standby has caught up", || (standby.admin(&sql).value() == "t").then_some(()));
}

/// Promotes it, and waits until scoped reads pass.
fn promote(standby: &Cluster) {
    assert_eq!(standby.admin("SELECT pg_promote(true, 60)").value(), "t");
    fixture::open(standby);
}

fn reads(cluster: &Cluster, name: &str, count: usize) {
    let mut conn = cluster.connect_as("acme", name);
    for _ in 0..count {
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
    }
}

/// The log is whole on this server, which was promoted when it held `last` settled records.
fn whole(cluster: &Cluster, last: &str) {
    drained(cluster);
    let (ok, bad, message) = verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
    let gapless = "SELECT min(id) = 1 AND max(id) = count(*) FROM airlock_catalog.read_record";
    assert_eq!(cluster.admin(gapless).value(), "t");
    let seam = format!("SELECT detail FROM airlock_catalog.read_record WHERE kind = 'configuration' AND id > {last}");
    let system = cluster.admin("SELECT system_identifier FROM pg_control_system()").value();
    let said = format!("log continues in system {system} on timeline 2, after timeline 1");
    assert_eq!(cluster.admin(&seam).first(), [said]);
    eventually("doctor finds no error", || {
        let errors = errors(cluster);
        // the worker makes its slot with the first turn; nothing else may be wrong even for a moment
        assert!(errors.iter().all(|e| e[1].as_deref() == Some("slot")), "{errors:#?}");
        errors.is_empty().then_some(())
    });
}

fn last_id(cluster: &Cluster) -> String {
    cluster.admin("SELECT coalesce(max(id), 0) FROM airlock_catalog.read_record").value()
}

#[test]
fn a_standby_refuses_scoped_reads_and_serves_the_rest() {
    let primary = running();
    let standby = streaming(&primary);
    reads(&primary, "primary", 2);
    settled(&primary, "primary", 2);
    drained(&primary);
    let before = logged(&primary, "primary");
    caught_up(&primary, &standby);
    assert_eq!(standby.admin("SELECT pg_is_in_recovery()").value(), "t");

    let refused = |answer: Answer| {
        assert_eq!((answer.code(), answer.received, answer.copied.len()), ("AL005", 0, 0), "{answer:?}");
        assert!(leaked(&answer).is_none() && !answer.error.as_ref().unwrap().get('H').is_empty(), "{answer:?}");
    };
    let mut acme = standby.connect_as("acme", "standby");
    refused(acme.query(READ));
    refused(acme.query("SELECT email, ssn FROM acme.customers WHERE id = 1"));
    refused(acme.query("SELECT count(*) FROM acme.customers"));
    refused(acme.query("COPY (SELECT id FROM acme.customers) TO STDOUT"));
    refused(acme.extended("SELECT id FROM acme.customers WHERE id > $1", &[Some("1")]));
    acme.query("BEGIN").ok();
    // refused when it is opened or when it is fetched from, but refused
    let opened = acme.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers");
    refused(if opened.error.is_some() { opened } else { acme.query("FETCH 1 FROM c") });
    acme.query("ROLLBACK").ok();
    refused(standby.sql("globex", "SELECT * FROM globex.customers"));
    assert_eq!(standby.sql("acme", "SELECT note FROM public.customers").code(), "42501", "contained there as well");

    assert_eq!(standby.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
    assert_eq!(standby.sql("app", "SELECT ssn::text FROM public.customers WHERE id = 1").value(), "CANARYMASK_e0001");
    let stored = "SELECT ssn, pay, diary FROM public.customers ORDER BY id";
    assert_eq!(standby.sql("clerk", stored).ok().rows, primary.sql("clerk", stored).ok().rows, "the same ciphertext");
    assert_eq!(standby.sql("app", "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'").value(), "7");
    assert_eq!(standby.sql("clerk", "SELECT ssn::text FROM public.customers").code(), "AL004");
    reads(&primary, "primary still", 1);
    assert_eq!(logged(&standby, "primary"), before);
}

#[test]
fn an_auditor_can_look_at_the_log_on_a_standby() {
    let primary = running();
    let standby = streaming(&primary);
    reads(&primary, "seen", 3);
    settled(&primary, "seen", 3);
    drained(&primary);
    caught_up(&primary, &standby);
    assert_eq!(logged(&standby, "seen"), logged(&primary, "seen"));
    let (here, there) = (verify(&mut standby.connect("postgres")), verify(&mut primary.connect("postgres")));
    assert!(here.0, "{here:?}");
    assert_eq!(here, there);
    assert_eq!(errors(&standby), Vec::<Vec<_>>::new());
    let said = standby.admin("SELECT message FROM airlock.doctor() WHERE \"check\" = 'standby'").value();
    assert!(said.contains("in recovery") && said.contains("scoped reads are refused"), "{said}");
    let error = standby.admin_error("SELECT * FROM airlock.who_saw('public.customers', '1')");
    assert!(error.code() == "25006" && error.text().contains("primary"), "{error:?}");
    for report in ["subprocessors", "scopes", "field_access", "keys", "encrypted_columns"] {
        let sql = format!("SELECT r::text FROM airlock.{report} r");
        assert_eq!(standby.admin(&sql).rows, primary.admin(&sql).rows, "{report}");
    }
    // what would change something says that it cannot
    for sql in ["SELECT airlock.suspend('acme', 'x')", "SELECT airlock.create_key('other')"] {
        assert_eq!(standby.sql("postgres", sql).code(), "25006", "{sql}");
    }
}

/// Replay moves no generation: what a standby's session knows must not outlive its statement.
#[test]
fn a_standbys_open_sessions_hear_of_changes() {
    let primary = running();
    primary.admin("CREATE ROLE bob LOGIN; GRANT SELECT ON public.customers TO bob");
    let standby = streaming(&primary);
    caught_up(&primary, &standby);
    let decrypt = "SELECT airlock.decrypt(ssn) FROM public.customers WHERE id = 1";
    let (mut app, mut bob, mut within) = (standby.connect("app"), standby.connect("bob"), standby.connect("app"));
    assert_eq!(app.query(decrypt).ok().received, 1);
    within.query("BEGIN").ok();
    assert_eq!(within.query(decrypt).ok().received, 1);
    assert_eq!(bob.query("SELECT id FROM public.customers").ok().received, 100);
    primary.admin("SELECT airlock.revoke_decrypt('pii', 'app')");
    primary.admin("SELECT airlock.create_subprocessor('bob', role => 'bob', legal_name => 'B', contract => 'C', purposes => '{p}')");
    eventually("the revocation is heard of", || (app.query(decrypt).code() == "AL004").then_some(()));
    assert_eq!(within.query(decrypt).code(), "AL004", "within a transaction too, which its owner may keep open");
    eventually("so is the new sub-processor", || {
        let answer = bob.query("SELECT id FROM public.customers");
        (answer.closed || answer.received == 0).then_some(())
    });
}

#[test]
fn after_promotion_the_log_goes_on_behind_its_last_record() {
    let mut primary = running();
    let standby = streaming(&primary);
    caught_up(&primary, &standby);
    // a transaction that knows of a right, which is revoked before and asked for after
    let (mut within, decrypt) =
        (standby.connect("app"), "SELECT airlock.decrypt(ssn) FROM public.customers WHERE id = 1");
    within.query("BEGIN").ok();
    assert_eq!(within.query(decrypt).ok().received, 1);
    primary.admin("SELECT airlock.revoke_decrypt('pii', 'app')");
    reads(&primary, "before", 4);
    settled(&primary, "before", 4);
    drained(&primary);
    let (before, last) = (logged(&primary, "before"), last_id(&primary));
    caught_up(&primary, &standby);
    primary.stop();
    let mut open = standby.connect_as("acme", "after");
    assert_eq!(open.query(READ).code(), "AL005");
    promote(&standby);
    // also in a session from before the promotion
    assert_eq!(open.query(READ).ok().received, VISIBLE);
    assert_eq!(within.query(decrypt).code(), "AL004");
    reads(&standby, "after", 2);
    assert_eq!(logged(&standby, "before"), before);
    let after = settled(&standby, "after", 3);
    let number = |text: &str| text.parse::<i64>().unwrap();
    assert!(after.iter().all(|r| number(r.get("id")) > number(&last)), "behind {last}: {after:#?}");
    whole(&standby, &last);
}

/// The primary dies with reads that its worker has not settled; whatever of them the standby's WAL holds is in the log.
#[test]
fn reads_that_the_dead_primary_had_not_settled_are_in_the_promoted_log() {
    let mut primary = running();
    let standby = streaming(&primary);
    drained(&primary);
    let last = last_id(&primary);
    let worker = primary.admin("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_airlock%'").value();
    signal("STOP", &[worker.parse().unwrap()]);
    reads(&primary, "unsettled", 5);
    // and one that never ends
    let mut stream = primary.connect_as("acme", "cut off");
    stream.begin("SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b");
    let mut received = Answer::default();
    stream.take(&mut received, 1000);
    assert_eq!(received.received, 1000);
    assert_eq!(last_id(&primary), last, "control: nothing was settled");
    caught_up(&primary, &standby);
    primary.kill();
    promote(&standby);
    let found = settled(&standby, "unsettled", 5);
    assert!(found.iter().all(|r| r.get("columns") == "{acme.customers.id}"), "{found:#?}");
    let cut = settled(&standby, "cut off", 1);
    assert_eq!(cut[0].get("outcome"), "killed", "{cut:#?}");
    reads(&standby, "after", 1);
    whole(&standby, &last);
}

#[test]
fn what_the_primary_decided_holds_after_promotion_and_can_be_decided_on() {
    let mut primary = running();
    let standby = streaming(&primary);
    // sessions that the standby knows from before the changes
    let (mut acme, mut globex) = (standby.connect("acme"), standby.connect("globex"));
    assert_eq!((acme.query(READ).code(), globex.query("SELECT id FROM globex.customers").code()), ("AL005", "AL005"));
    primary.admin("SELECT airlock.suspend('globex', 'breach')");
    primary.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"purposes": ["one", "two"]}')"#);
    let rules = r#"{"id": "clear", "email": {"mask": "pseudonym"}}"#;
    primary.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => 'id <= 5')"
    ));
    caught_up(&primary, &standby);
    primary.kill();
    assert_eq!(standby.admin("SELECT pg_promote(true, 60)").value(), "t");
    eventually("scoped reads pass", || {
        let mut new = standby.login("acme", DATABASE, &[]).ok()?;
        new.query("SET airlock.purpose = 'two'").ok();
        (new.query(READ).received == 5).then_some(())
    });
    for conn in [&mut acme, &mut standby.connect("acme")] {
        assert_eq!(conn.query(READ).code(), "AL008", "a purpose must be named");
        conn.query("SET airlock.purpose = 'two'").ok();
        assert_eq!(conn.query(READ).ok().received, 5);
        assert_eq!(conn.query("SELECT country FROM acme.customers").code(), "42703");
    }
    for conn in [&mut globex, &mut standby.connect("globex")] {
        assert_eq!(conn.query("SELECT id FROM globex.customers").code(), "AL006");
    }
    // and the new primary decides
    acme.query("BEGIN").ok();
    standby.admin("SELECT airlock.suspend('acme', 'over')");
    eventually("the live session is cut off", || {
        let answer = acme.query("SELECT 1");
        (answer.closed || answer.code() == "57P01").then_some(())
    });
    assert_eq!(standby.sql("acme", READ).code(), "AL006");
    standby.admin("SELECT airlock.resume('globex', 'cleared')");
    assert_eq!(standby.sql("globex", "SELECT id FROM globex.customers").ok().received, VISIBLE);
    assert!(verify(&mut standby.connect("postgres")).0);
}

/// A base backup begins a new WAL segment and brings none before it, where the cursor of a log at rest may still point.
/// Started by itself, it needs that one segment, and then has no gap.
#[test]
fn a_base_backup_of_a_log_at_rest_goes_on_with_the_segment_of_its_cursor() {
    let primary = running();
    reads(&primary, "before", 2);
    settled(&primary, "before", 2);
    drained(&primary);
    let before = logged(&primary, "before");
    let segment = primary.admin("SELECT pg_walfile_name(lsn) FROM airlock_catalog.log_cursor").value();
    let mut restored = primary.standby();
    std::fs::remove_file(restored.data().join("standby.signal")).expect("a standby's mark");
    let (there, here) = (primary.data().join("pg_wal").join(&segment), restored.data().join("pg_wal").join(&segment));
    if !here.exists() {
        std::fs::copy(there, &here).expect("the segment of the primary");
        crate::cluster::give(&here, 0o600);
    }
    // else the checkpoint at the end of recovery removes it
    restored.set("wal_keep_size", "1GB");
    restored.start();
    fixture::open(&restored);
    reads(&restored, "after", 1);
    settled(&restored, "after", 1);
    assert_eq!(logged(&restored, "before"), before);
    drained(&restored);
    let (ok, bad, message) = verify(&mut restored.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
    assert_eq!(errors(&restored), Vec::<Vec<_>>::new());
}
