//! The log's head, kept outside: a log that was rewritten or set back to an earlier moment knows less than the head does. Where
//! the worker keeps it (`airlock.head_file`), reads are refused until an administrator accepts the gap, and the log says so.

use crate::cluster::Cluster;
use crate::fixture::{self, drained, running, settled, verify, VISIBLE};
use crate::process::{eventually, signal};
use std::fs;
use std::path::{Path, PathBuf};

const READ: &str = "SELECT id FROM acme.customers";

fn reads(cluster: &Cluster, name: &str, count: usize) {
    let mut conn = cluster.connect_as("acme", name);
    for _ in 0..count {
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
    }
    settled(cluster, name, count);
    drained(cluster);
}

fn last_id(cluster: &Cluster) -> i64 {
    cluster.admin("SELECT max(id) FROM airlock_catalog.read_record").value().parse().unwrap()
}

/// `verify_head()`: ok (empty for NULL), message.
fn check(cluster: &Cluster, head: &str) -> (String, String) {
    let answer = cluster.admin(&format!("SELECT ok::text, message FROM airlock.verify_head('{head}')"));
    let row = &answer.rows[0];
    (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default())
}

/// A running copy of the fixture that keeps its head in a file.
fn keeping() -> (Cluster, PathBuf) {
    let mut cluster = fixture::stopped();
    let file = cluster.dir.join("head");
    keep(&cluster, &file);
    cluster.start();
    fixture::open(&cluster);
    (cluster, file)
}

/// Where the head is kept from now on; of a server that runs, too.
fn keep(cluster: &Cluster, file: &Path) {
    cluster.set("airlock.head_file", &file.display().to_string());
    if cluster.login("postgres", "postgres", &[]).is_ok() {
        cluster.admin("SELECT pg_reload_conf()");
    }
}

/// Waits until the file has the head of the last record.
fn kept(cluster: &Cluster, file: &Path) -> String {
    eventually("the head is kept", || {
        let text = fs::read_to_string(file).ok()?;
        let id: i64 = text.split(':').nth(4)?.parse().ok()?;
        (id >= last_id(cluster)).then_some(text)
    })
}

#[test]
fn a_head_tells_later_whether_the_log_still_contains_it() {
    let cluster = running();
    reads(&cluster, "one", 3);
    let head = cluster.admin("SELECT head FROM airlock.log_head()").value();
    let same = "SELECT h.id = r.id AND h.hash = r.hash FROM airlock.log_head() h, airlock_catalog.read_record r ORDER BY r.id DESC LIMIT 1";
    assert_eq!(cluster.admin(same).value(), "t");
    reads(&cluster, "two", 2);
    let (ok, message) = check(&cluster, &head);
    assert!(ok == "true" && message.contains("is whole up to record") && message.contains("of the head"), "{message}");
    // who may
    cluster.admin("CREATE ROLE auditor LOGIN; GRANT airlock_auditor TO auditor");
    assert_eq!(cluster.sql("auditor", &format!("SELECT ok FROM airlock.verify_head('{head}')")).value(), "t");
    assert_eq!(cluster.sql("auditor", "SELECT head FROM airlock.log_head()").ok().received, 1);
    for user in ["acme", "clerk"] {
        assert!(
            ["42501", "AL007"].contains(&cluster.sql(user, "SELECT head FROM airlock.log_head()").code()),
            "{user}"
        );
    }
    // what is no head, and one of another log
    for (text, code) in [("", "22P02"), ("airlock-head:1:2", "22P02")] {
        assert_eq!(cluster.admin_error(&format!("SELECT * FROM airlock.verify_head('{text}')")).code(), code, "{text}");
    }
    let other = head.replacen(":1:", ":1:1", 1);
    assert_eq!(cluster.admin_error(&format!("SELECT * FROM airlock.verify_head('{other}')")).code(), "AL003");
    // a log that ends before it, and one whose record is another
    let mut admin = cluster.connect("postgres");
    let last = last_id(&cluster);
    let head = cluster.admin("SELECT head FROM airlock.log_head()").value();
    for (change, said) in [
        (
            format!("DELETE FROM airlock_catalog.read_record WHERE id = {last}"),
            format!("record {last} is missing in this log"),
        ),
        (
            format!("UPDATE airlock_catalog.read_record SET hash = sha256('x') WHERE id = {last}"),
            format!("record {last} is another in this log"),
        ),
        (
            format!("UPDATE airlock_catalog.log_cursor SET last_id = {last} - 3"),
            format!("records {} to {last} are not in this log", last - 2),
        ),
        ("UPDATE airlock_catalog.read_record SET rows_sent = 1 WHERE id = 2".into(), "record 2".into()),
    ] {
        admin.query("BEGIN").ok();
        admin.query(&change).ok();
        let answer = admin.query(&format!("SELECT ok, message FROM airlock.verify_head('{head}')")).ok();
        admin.query("ROLLBACK").ok();
        let message = answer.rows[0][1].clone().unwrap();
        assert!(answer.rows[0][0].as_deref() == Some("f") && message.contains(&said), "{change}: {message}");
    }
    assert_eq!(check(&cluster, &head).0, "true");
    assert_eq!(cluster.admin_error("SELECT airlock.accept_log_gap('why not')").code(), "55000");
}

/// A server that comes back as it was before its last reads: the log verifies, for it is whole. The head file knows better.
#[test]
fn attack_a_server_set_back_to_an_earlier_moment() {
    let (mut first, file) = keeping();
    reads(&first, "early", 2);
    kept(&first, &file);
    first.stop();
    let mut back = first.copy(first.postgres.clone());
    first.start();
    fixture::open(&first);
    reads(&first, "lost", 3);
    let head = kept(&first, &file);
    let last = last_id(&first);
    first.stop();

    back.start();
    let error = eventually("scoped reads are refused", || {
        back.sql("acme", READ).error.filter(|e| !e.get('D').contains("settled anything"))
    });
    assert!(error.code() == "AL005" && error.get('D').contains("does not go on where it was"), "{error:?}");
    assert_eq!(back.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");
    let (ok, _, message) = verify(&mut back.connect("postgres"));
    assert!(ok, "control: by itself the log is whole: {message}");
    assert_eq!(check(&back, &head).0, "false");
    let doctor = "SELECT message, fix FROM airlock.doctor() WHERE \"check\" = 'gap'";
    let said = back.admin(doctor).everything();
    assert!(said.contains("not in this log") && said.contains("airlock.accept_log_gap("), "{said}");
    // by whom, and why
    assert_eq!(back.admin_error("SELECT airlock.accept_log_gap(' ')").code(), "22023");
    assert!(["42501", "AL007"].contains(&back.sql("acme", "SELECT airlock.accept_log_gap('x')").code()));
    back.admin("BEGIN; SELECT airlock.accept_log_gap('no, wait'); ROLLBACK");
    assert_eq!(back.sql("acme", READ).code(), "AL005", "taken back");
    back.admin("SELECT airlock.accept_log_gap('restored after the fire')");
    fixture::open(&back);
    reads(&back, "after", 1);
    let (ok, bad, message) = verify(&mut back.connect("postgres"));
    assert!(!ok && bad.is_some() && message.contains("the log is not the one whose head was kept"), "{message}");
    let finding = back
        .admin("SELECT detail FROM airlock_catalog.read_record WHERE kind = 'finding' AND detail LIKE '%head file%'")
        .value();
    assert!(finding.contains(&format!("to {last} are not in this log")), "{finding}");
    let why = back
        .admin("SELECT what FROM airlock.audit_log WHERE what LIKE 'accept_log_gap%' ORDER BY id DESC LIMIT 1")
        .value();
    assert!(why.contains("reason: restored after the fire") && why.contains("not in this log"), "{why}");
    // from now on the file is this log's, over a restart too
    kept(&back, &file);
    back.restart();
    fixture::open(&back);
    assert_eq!(back.sql("acme", READ).ok().received, VISIBLE);
}

#[test]
fn a_head_file_that_is_not_this_logs_shuts_the_gate_and_one_that_cannot_be_written_does_not() {
    let (mut cluster, file) = keeping();
    reads(&cluster, "early", 1);
    let head = kept(&cluster, &file);
    cluster.stop();
    fs::write(&file, head.replacen(":1:", ":1:1", 1)).unwrap();
    cluster.start();
    let doctor = |cluster: &Cluster, check: &str| {
        cluster.admin(&format!("SELECT message FROM airlock.doctor() WHERE \"check\" = '{check}'")).first().concat()
    };
    eventually("doctor names the file", || {
        doctor(&cluster, "gap").contains("this head is not one of this log").then_some(())
    });
    assert_eq!(cluster.sql("acme", READ).code(), "AL005");
    // put back, the log goes on by itself
    fs::write(&file, head).unwrap();
    fixture::open(&cluster);
    assert_eq!(doctor(&cluster, "gap"), "");
    assert!(verify(&mut cluster.connect("postgres")).0);
    // elsewhere, where it cannot be written
    keep(&cluster, Path::new("/proc/head"));
    reads(&cluster, "goes on", 1);
    eventually("doctor says so", || doctor(&cluster, "head file").contains("not kept in \"/proc/head\"").then_some(()));
    eventually("the server log says why", || {
        cluster.log().contains("the head file \"/proc/head\" cannot be written").then_some(())
    });
    keep(&cluster, &cluster.data().join("head"));
    eventually("doctor names the place", || {
        doctor(&cluster, "head file").contains("lies in the data directory").then_some(())
    });
}

/// What the file is when the setting comes, or when its storage is away, is not written over and not passed by.
#[test]
fn attack_a_set_back_server_that_does_not_look_at_once() {
    let (mut first, file) = keeping();
    reads(&first, "early", 2);
    kept(&first, &file);
    eventually("the log knows where its head is kept", || {
        first.admin("CHECKPOINT");
        reads(&first, "more", 1);
        Some(())
    });
    drained(&first);
    first.stop();
    let mut back = first.copy(first.postgres.clone());
    first.start();
    fixture::open(&first);
    reads(&first, "lost", 3);
    let head = kept(&first, &file);
    first.stop();
    // the setting comes by a reload only
    keep(&back, Path::new(""));
    back.start();
    fixture::open(&back);
    assert_eq!(back.sql("acme", READ).ok().received, VISIBLE);
    keep(&back, &file);
    eventually("scoped reads are refused", || (back.sql("acme", READ).code() == "AL005").then_some(()));
    assert_eq!(fs::read_to_string(&file).unwrap(), head, "the witness is as it was");
    // its storage is away when the server starts
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    back.restart();
    let doctor = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'gap'";
    eventually("doctor misses the file", || back.admin(doctor).first().concat().contains("is gone").then_some(()));
    assert_eq!(back.sql("acme", READ).code(), "AL005");
    fs::rename(&away, &file).unwrap();
    eventually("doctor reads it", || back.admin(doctor).first().concat().contains("not in this log").then_some(()));
    assert_eq!(back.sql("acme", READ).code(), "AL005");
}

/// Nothing that lies at the file's place makes the worker, or who asks doctor(), wait for ever.
#[test]
fn attack_a_head_file_that_is_no_file() {
    let mut cluster = running();
    reads(&cluster, "before", 1);
    cluster.stop();
    let place = cluster.dir.join("place");
    fs::create_dir(&place).unwrap();
    crate::cluster::give(&place, 0o700);
    let file = place.join("head");
    crate::process::run(std::process::Command::new("mkfifo").arg(&file));
    crate::cluster::give(&file, 0o600);
    let victim = place.join("victim");
    fs::write(&victim, "untouched").unwrap();
    crate::cluster::give(&victim, 0o600);
    std::os::unix::fs::symlink(&victim, place.join("head.new")).unwrap();
    keep(&cluster, &file);
    cluster.start();
    let doctor = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'gap'";
    eventually("doctor says so", || {
        cluster.admin(doctor).first().concat().contains("it is no ordinary file").then_some(())
    });
    assert_eq!(cluster.sql("acme", READ).code(), "AL005");
    fs::remove_file(&file).unwrap();
    fixture::open(&cluster);
    reads(&cluster, "goes on", 1);
    kept(&cluster, &file);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "a link is not written through");
    let warned = "SELECT message FROM airlock.doctor() WHERE \"check\" = 'head file'";
    assert_eq!(cluster.admin(warned).first(), Vec::<String>::new());
    crate::cluster::give(&place, 0o777);
    assert!(cluster.admin(warned).first().concat().contains("others than the server's user may write"));
}

/// The file knows records that the standby has in WAL and not in its table yet: they are settled first, and compared then.
#[test]
fn a_failover_settles_what_wal_holds_before_it_compares() {
    let (mut primary, file) = keeping();
    let standby = crate::standby::streaming(&primary);
    reads(&primary, "before", 2);
    let pid = |cluster: &Cluster, sql: &str| cluster.admin(sql).value().parse::<u32>().unwrap();
    let worker = pid(&primary, "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_airlock%'");
    signal("STOP", &[worker]);
    let mut acme = primary.connect_as("acme", "unsettled");
    for _ in 0..5 {
        assert_eq!(acme.query(READ).ok().received, VISIBLE);
    }
    crate::standby::caught_up(&primary, &standby);
    let sender = pid(&primary, "SELECT pid FROM pg_stat_replication");
    signal("STOP", &[sender]);
    signal("CONT", &[worker]);
    // no records of who reads the log in between, which the standby would not have
    let head = kept(&primary, &file);
    assert_eq!(
        primary.admin("SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = 'unsettled'").value(),
        "5"
    );
    assert_eq!(
        standby.admin("SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = 'unsettled'").value(),
        "0"
    );
    primary.kill();
    assert_eq!(standby.admin("SELECT pg_promote(true, 60)").value(), "t");
    fixture::open(&standby);
    settled(&standby, "unsettled", 5);
    drained(&standby);
    assert_eq!(check(&standby, &head).0, "true");
    assert!(verify(&mut standby.connect("postgres")).0);
}
