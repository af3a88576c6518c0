//! The log by days: partitions are made ahead, what was kept for long enough is erased by whole days, and the log still
//! verifies, and says what was erased.

use crate::cluster::Cluster;
use crate::fixture::{self, drained, running, settled, verify};
use crate::process::eventually;

fn partitions(cluster: &Cluster, table: &str) -> Vec<String> {
    let sql = format!("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'airlock_catalog.{table}'::regclass ORDER BY 1");
    cluster.admin(&sql).first()
}

fn worker(cluster: &Cluster) -> String {
    cluster.admin("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_airlock materialiser'").first().concat()
}

/// Makes the log's rows of today those of an earlier day: as if they had been settled then.
fn age(cluster: &Cluster, days: i32) {
    drained(cluster);
    for table in ["read_record", "read_private", "read_subject"] {
        cluster.admin(&format!(
            "DO $$ DECLARE d date := (now() AT TIME ZONE 'UTC')::date; was text := to_char(d, 'YYYYMMDD'); old text := to_char(d - {days}, 'YYYYMMDD'); BEGIN
               LOCK TABLE airlock_catalog.{table} IN ACCESS EXCLUSIVE MODE;
               EXECUTE format('ALTER TABLE airlock_catalog.{table} DETACH PARTITION airlock_catalog.{table}_%s', was);
               EXECUTE format('ALTER TABLE airlock_catalog.{table}_%s RENAME TO {table}_%s', was, old);
               EXECUTE format('UPDATE airlock_catalog.{table}_%s SET settled_on = settled_on - {days}', old);
               EXECUTE format('ALTER TABLE airlock_catalog.{table} ATTACH PARTITION airlock_catalog.{table}_%s FOR VALUES FROM (%L) TO (%L)', old, d - {days}, d - {days} + 1);
             END $$"
        ));
    }
    // it looks for what is due when it starts, and makes today's partitions anew
    let pid = worker(cluster);
    cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
    eventually("another worker", || (worker(cluster) != pid && !worker(cluster).is_empty()).then_some(()));
    fixture::open(cluster);
}

fn reads(cluster: &Cluster, name: &str, user: &str, view: &str, count: u32) {
    let mut conn = cluster.connect_as(user, name);
    for id in 0..count {
        conn.query(&format!("SELECT country FROM {view} WHERE country = 'NO{id}'")).ok();
    }
}

fn erased(cluster: &Cluster) -> Vec<String> {
    let sql = "SELECT detail FROM airlock_catalog.read_record WHERE kind = 'configuration' AND detail LIKE '%were erased%' ORDER BY id";
    cluster.admin(sql).first()
}

#[test]
fn days_are_made_ahead_of_time() {
    let cluster = running();
    // however dates are printed here
    cluster
        .admin("ALTER DATABASE app SET datestyle = 'German'; ALTER DATABASE app SET timezone = 'Pacific/Kiritimati'");
    let pid = worker(&cluster);
    cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
    eventually("another worker", || (worker(&cluster) != pid && !worker(&cluster).is_empty()).then_some(()));
    fixture::open(&cluster);
    reads(&cluster, "today", "acme", "acme.customers", 2);
    settled(&cluster, "today", 2);
    drained(&cluster);
    for table in ["read_record", "read_private", "read_subject"] {
        let days = partitions(&cluster, table);
        let wanted = "SELECT format('airlock_catalog.%s_%s', $$TABLE$$, to_char(d, 'YYYYMMDD')) FROM generate_series((now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 7, interval '1 day') d";
        let wanted = cluster.admin(&wanted.replace("TABLE", table)).first();
        assert!(wanted.iter().all(|day| days.contains(day)), "{days:?}");
    }
    // each has the indexes that queries need, and belongs to whom the extension does
    let bare = "SELECT count(*) FROM pg_inherits i WHERE inhparent = 'airlock_catalog.read_record'::regclass AND (SELECT count(*) FROM pg_index x WHERE x.indrelid = i.inhrelid) <> 6";
    assert_eq!(cluster.admin(bare).value(), "0");
    let plan = cluster.admin("SET enable_seqscan = off; EXPLAIN SELECT * FROM airlock.access_log WHERE subprocessor = 'acme' AND logged_at > now() - interval '1 hour'");
    assert!(plan.everything().contains("subprocessor"), "{plan:?}");
    // a day that somebody takes away is missing, and is said to be
    let today = cluster.admin("SELECT to_char((now() AT TIME ZONE 'UTC')::date, 'YYYYMMDD')").value();
    let mut admin = cluster.connect("postgres");
    admin
        .query(&format!(
            "BEGIN; ALTER TABLE airlock_catalog.read_record DETACH PARTITION airlock_catalog.read_record_{today}"
        ))
        .ok();
    assert!(!verify(&mut admin).0);
    admin.query("ROLLBACK").ok();
    drop(admin);
    // somebody who forbids new tables does not stop the log
    cluster.admin(
        "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no new tables''; END';
         CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.no()",
    );
    let day = "to_char((now() AT TIME ZONE 'UTC')::date + 7, 'YYYYMMDD')";
    cluster.admin(&format!("DO $$ BEGIN EXECUTE format('DROP TABLE airlock_catalog.read_record_%s', {day}); END $$"));
    let pid = worker(&cluster);
    cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
    eventually("another worker", || (worker(&cluster) != pid && !worker(&cluster).is_empty()).then_some(()));
    fixture::open(&cluster);
    reads(&cluster, "no tables", "acme", "acme.customers", 1);
    settled(&cluster, "no tables", 1);
    drained(&cluster);
    assert!(cluster.log().contains("a partition of the log could not be made: no new tables"));
    assert_eq!(verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

/// What is read right after midnight may be settled under the day before, and counts today all the same.
#[test]
fn what_was_settled_under_the_day_before_counts_today() {
    let mut cluster = running();
    (0..2).for_each(|_| reads(&cluster, "early", "acme", "acme.customers", 1));
    age(&cluster, 1);
    cluster.restart();
    fixture::open(&cluster);
    cluster.admin("SELECT airlock.alter_subprocessor('acme', '{\"connections_per_day\": 3}')");
    let read = || {
        eventually("sessions are counted", || {
            let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
            (answer.code() != "AL005").then_some(answer.code().to_string())
        })
    };
    assert_eq!([read(), read()], ["", "AL006"]);
}

/// Who asks a table does not see the rows of a partition that is being detached: nothing is written there.
#[test]
fn a_partition_on_its_way_out_gets_no_records() {
    let cluster = running();
    reads(&cluster, "before", "acme", "acme.customers", 1);
    let today = "SELECT tableoid::regclass FROM airlock_catalog.read_record ORDER BY id DESC LIMIT 1";
    let today = cluster.admin(today).value();
    let (mut reader, mut detaching) = (cluster.connect("postgres"), cluster.connect("postgres"));
    reader.query("BEGIN; SELECT count(*) FROM airlock_catalog.read_record").ok();
    detaching.begin(&format!("ALTER TABLE airlock_catalog.read_record DETACH PARTITION {today} CONCURRENTLY"));
    let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    eventually("it is on its way", || (cluster.admin(pending).value() == "1").then_some(()));
    cluster.admin(&format!("SELECT pg_cancel_backend({})", detaching.pid));
    assert_eq!(detaching.finish().code(), "57014");
    reader.query("COMMIT").ok();
    reads(&cluster, "meanwhile", "acme", "acme.customers", 1);
    eventually("the worker stands still", || cluster.log().contains("would overlap partition").then_some(()));
    let waiting = "SELECT count(*) FROM airlock.unsettled_records() WHERE application_name = 'meanwhile'";
    assert_eq!(cluster.admin(waiting).value(), "1");
    cluster.admin(&format!("ALTER TABLE airlock_catalog.read_record DETACH PARTITION {today} FINALIZE"));
    let found = "SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = 'meanwhile'";
    eventually("it goes on in a new one", || (cluster.admin(found).value() != "0").then_some(()));
}

#[test]
fn what_was_kept_long_enough_is_erased_and_the_log_verifies() {
    let cluster = running();
    for (call, code) in [("'acme', 0", "22023"), ("'acme', 30, -1", "22023"), ("'nobody', 30", "42704")] {
        assert_eq!(cluster.admin_error(&format!("SELECT airlock.set_log_retention({call})")).code(), code, "{call}");
    }
    reads(&cluster, "old", "acme", "acme.customers", 3);
    reads(&cluster, "old too", "globex", "globex.customers", 2);
    settled(&cluster, "old", 3);
    cluster.admin("SELECT airlock.set_log_retention('acme', records => 90, \"values\" => 10, subjects => 30)");
    // one of the day's sub-processors keeps all: nothing goes
    age(&cluster, 200);
    assert_eq!(erased(&cluster), Vec::<String>::new());
    assert_eq!(
        cluster.admin("SELECT count(*) FROM airlock.access_log WHERE application_name IN ('old', 'old too')").value(),
        "5"
    );
    cluster.admin("SELECT airlock.set_log_retention('globex', 40)");
    // a new day
    reads(&cluster, "new", "acme", "acme.customers", 2);
    settled(&cluster, "new", 2);
    let last = cluster.admin("SELECT max(id) FROM airlock_catalog.read_record r WHERE settled_on < '2026-01-01'::date OR settled_on < (now() AT TIME ZONE 'UTC')::date - 100").value();
    let hash = cluster
        .admin(&format!("SELECT encode(hash, 'hex') FROM airlock_catalog.read_record WHERE id = {last}"))
        .value();
    // readers of the log are not waited for, and do not stop it
    let pid = worker(&cluster);
    cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
    let said = eventually("the day is erased", || Some(erased(&cluster)).filter(|said| said.len() == 3));
    assert_eq!(said[0], format!("constants and parameters of records up to {last} were erased after 40 days"));
    assert_eq!(said[1], format!("data subjects of records up to {last} were erased after 40 days"));
    assert!(
        said[2].starts_with(&format!(
            "records up to {last} were erased after 90 days; record {last} had the hash {hash} in system "
        )),
        "{said:?}"
    );
    drained(&cluster);
    assert_eq!(
        cluster.admin("SELECT count(*) FROM airlock.access_log WHERE application_name IN ('old', 'old too')").value(),
        "0"
    );
    assert_eq!(cluster.admin(&format!("SELECT min(id) = {last} + 1 FROM airlock_catalog.read_record")).value(), "t");
    assert_eq!(verify(&mut cluster.connect("postgres")), (true, None, String::new()));
    // of a day without reads nothing is left, and nothing said
    let old = "(now() AT TIME ZONE 'UTC')::date - 150";
    cluster.admin(&format!(
        "DO $$ BEGIN EXECUTE format('CREATE TABLE airlock_catalog.read_record_idle PARTITION OF airlock_catalog.read_record FOR VALUES FROM (%L) TO (%L)', {old}, {old} + 1); END $$"
    ));
    let pid = worker(&cluster);
    cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
    eventually("the idle day is gone", || {
        (cluster.admin("SELECT to_regclass('airlock_catalog.read_record_idle') IS NULL").value() == "t").then_some(())
    });
    fixture::open(&cluster);
    assert_eq!(erased(&cluster).len(), 3);
    drained(&cluster);
    // taking away one more is another thing
    let mut admin = cluster.connect("postgres");
    for (change, bad) in [
        (format!("DELETE FROM airlock_catalog.read_record WHERE id = {last} + 1"), 1),
        (format!("DELETE FROM airlock_catalog.read_record WHERE id = {last} + 2"), last.parse::<i64>().unwrap() + 2),
        ("UPDATE airlock_catalog.read_record SET detail = replace(detail, 'records up to', 'records up to 9') WHERE detail LIKE 'records up to%'".into(), 1),
    ] {
        admin.query("BEGIN").ok();
        admin.query(&change).ok();
        let (ok, found, message) = verify(&mut admin);
        admin.query("ROLLBACK").ok();
        assert!(!ok && found == Some(bad), "{change}: {found:?} {message}");
    }
    // and the log goes on over a restart of the server
    reads(&cluster, "later", "acme", "acme.customers", 1);
    settled(&cluster, "later", 1);
    drained(&cluster);
    assert_eq!(verify(&mut admin), (true, None, String::new()));
}

#[test]
fn parts_go_before_their_records_and_nobody_is_missed() {
    let cluster = running();
    cluster.connect_as("acme", "old").query("SELECT city FROM acme.customers WHERE id = 5 AND city <> 'x'").ok();
    let id = settled(&cluster, "old", 1)[0].get("id").to_string();
    drained(&cluster);
    for name in ["acme", "globex"] {
        cluster.admin(&format!("SELECT airlock.set_log_retention('{name}', 300, \"values\" => 5, subjects => 20)"));
    }
    let certainty = |person: u32| {
        let sql = format!("SELECT certainty FROM airlock.who_saw('public.customers', '{person}') WHERE id = {id}");
        cluster.admin(&sql).rows.first().and_then(|r| r[0].clone()).unwrap_or_default()
    };
    let constants = || cluster.admin(&format!("SELECT count(*) FROM airlock.statement_values({id})")).value();
    assert_eq!((certainty(5), certainty(6), constants()), ("exact".into(), String::new(), "1".into()));
    age(&cluster, 25);
    eventually("constants and data subjects are erased", || (erased(&cluster).len() == 2).then_some(()));
    // the record is there, and it may have been anybody
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.access_log WHERE application_name = 'old'").value(), "1");
    assert_eq!((certainty(5), certainty(6), constants()), ("possible".into(), "possible".into(), "0".into()));
    drained(&cluster);
    assert_eq!(verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

#[test]
fn a_hold_keeps_what_is_due_until_it_is_released() {
    for whose in ["", ", subprocessor => 'acme'"] {
        let cluster = running();
        for (call, code) in [("' '", "22023"), ("'x', 'nobody'", "42704")] {
            assert_eq!(cluster.admin_error(&format!("SELECT airlock.hold_log({call})")).code(), code, "{call}");
        }
        assert!(["42501", "AL007"].contains(&cluster.sql("acme", "SELECT airlock.hold_log('x')").code()));
        reads(&cluster, "old", "acme", "acme.customers", 2);
        settled(&cluster, "old", 2);
        for name in ["acme", "globex"] {
            cluster.admin(&format!("SELECT airlock.set_log_retention('{name}', 30)"));
        }
        let hold = cluster.admin(&format!("SELECT airlock.hold_log('case 7'{whose})")).value();
        let other = cluster.admin("SELECT airlock.hold_log('case 8', 'globex')").value();
        age(&cluster, 100);
        reads(&cluster, "new", "acme", "acme.customers", 1);
        drained(&cluster);
        assert_eq!(erased(&cluster), Vec::<String>::new());
        assert_eq!(
            cluster.admin("SELECT count(*) FROM airlock.access_log WHERE application_name = 'old'").value(),
            "2"
        );
        // an epoch is what who_saw() answers by
        cluster.admin("SELECT airlock.rotate_subject_key()");
        let error = cluster.admin_error("SELECT airlock.destroy_subject_key(1)");
        assert!(error.code() == "55000" && error.get('H').contains("log_holds"), "{error:?}");
        let holds =
            cluster.admin("SELECT subprocessor, reason, held_by, released_at FROM airlock.log_holds ORDER BY id").rows;
        let name = (!whose.is_empty()).then(|| "acme".to_string());
        assert_eq!(holds[0], [name, Some("case 7".into()), Some("postgres".into()), None]);
        cluster.admin(&format!("SELECT airlock.release_log_hold({hold}, 'settled out of court')"));
        for (call, code) in
            [(format!("{hold}, 'again'"), "55000"), ("99, 'x'".into(), "42704"), (format!("{other}, ''"), "22023")]
        {
            assert_eq!(cluster.admin_error(&format!("SELECT airlock.release_log_hold({call})")).code(), code, "{call}");
        }
        cluster.admin(&format!("SELECT airlock.release_log_hold({other}, 'too')"));
        let pid = worker(&cluster);
        cluster.admin(&format!("SELECT pg_terminate_backend({pid})"));
        eventually("the day is erased", || (!erased(&cluster).is_empty()).then_some(()));
        cluster.admin("SELECT airlock.destroy_subject_key(1)");
        let said = cluster.admin("SELECT what FROM airlock.audit_log WHERE what LIKE '%hold%' ORDER BY id").first();
        assert!(said.iter().any(|what| what.contains("reason: settled out of court")), "{said:?}");
        fixture::open(&cluster);
        drained(&cluster);
        assert_eq!(verify(&mut cluster.connect("postgres")), (true, None, String::new()));
    }
}

/// Whatever the transaction's snapshot, and whoever comes first.
#[test]
fn attack_an_epoch_that_is_destroyed_beside_a_hold() {
    let cluster = running();
    cluster.admin("SELECT airlock.rotate_subject_key(), airlock.rotate_subject_key()");
    let mut early = cluster.connect("postgres");
    early.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").ok();
    let hold = cluster.admin("SELECT airlock.hold_log('case 7')").value();
    assert_eq!(early.query("SELECT airlock.destroy_subject_key(1)").code(), "55000");
    early.query("ROLLBACK").ok();
    cluster.admin(&format!("SELECT airlock.release_log_hold({hold}, 'over')"));
    // a hold that comes in between waits
    early.query("BEGIN; SELECT airlock.destroy_subject_key(1)").ok();
    let mut late = cluster.connect("postgres");
    late.query("SET lock_timeout = '300ms'").ok();
    assert_eq!(late.query("SELECT airlock.hold_log('case 8')").code(), "55P03");
    early.query("ROLLBACK").ok();
    late.query("SELECT airlock.hold_log('case 8')").ok();
    assert_eq!(early.query("SELECT airlock.destroy_subject_key(1)").code(), "55000");
}
