//! The worker that settles the log: it comes back from whatever ends it, settles each record once, and when it cannot
//! work the gate shuts for sub-processors alone. A settled row that is changed, removed or invented is named.

use crate::cluster::Cluster;
use crate::fixture::{self, logged, running, VISIBLE};
use crate::process::{eventually, signal};

const READ: &str = "SELECT id FROM acme.customers";

/// The worker's process id, once it has one.
fn worker(cluster: &Cluster) -> u32 {
    eventually("the log worker runs", || {
        let mut admin = cluster.login("postgres", "postgres", &[]).ok()?;
        let answer = admin.query("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_airlock%'");
        answer.first().first()?.parse().ok()
    })
}

/// Waits until every read logged is in the table, and shows that each is there once.
fn all_settled(cluster: &Cluster) -> i64 {
    fixture::drained(cluster);
    cluster.admin("SELECT count(*) FROM airlock_catalog.read_record").value().parse().unwrap()
}

fn reads(cluster: &Cluster, name: &str, count: usize) {
    let mut conn = cluster.connect_as("acme", name);
    for _ in 0..count {
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
    }
}

#[test]
fn each_record_is_settled_once_with_its_id_and_hash() {
    let cluster = running();
    reads(&cluster, "many", 25);
    let before = fixture::settled(&cluster, "many", 25);
    all_settled(&cluster);
    let after = logged(&cluster, "many");
    let ids = |rows: &[fixture::Logged]| rows.iter().map(|r| r.get("id").to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before), "a read keeps the id it was first shown with");
    assert!(after.iter().all(|r| !r.get("hash").is_empty()), "settled rows are linked");
    let gapless = "SELECT min(id) = 1 AND max(id) = count(*) FROM airlock_catalog.read_record";
    assert_eq!(cluster.admin(gapless).value(), "t");
    let (ok, bad, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
    let access =
        cluster.admin("SELECT \"column\", reads FROM airlock.field_access WHERE subprocessor = 'acme' AND reads > 0");
    assert_eq!(
        access.rows,
        [vec![Some("id".to_string()), Some("25".to_string())]],
        "the field access matrix counts them"
    );
}

#[test]
fn a_terminated_worker_comes_back_and_goes_on_where_it_was() {
    let cluster = running();
    let first = worker(&cluster);
    reads(&cluster, "before", 3);
    cluster.admin(&format!("SELECT pg_terminate_backend({first})"));
    reads(&cluster, "meanwhile", 3);
    eventually("another worker", || (worker(&cluster) != first).then_some(()));
    reads(&cluster, "after", 3);
    all_settled(&cluster);
    for name in ["before", "meanwhile", "after"] {
        assert_eq!(fixture::settled(&cluster, name, 3).len(), 3);
    }
    assert!(fixture::verify(&mut cluster.connect("postgres")).0);
}

#[test]
fn a_killed_worker_restarts_the_server_and_loses_nothing() {
    let cluster = running();
    reads(&cluster, "before", 5);
    let first = worker(&cluster);
    signal("KILL", &[first]);
    eventually("the server has restarted its processes", || {
        let mut admin = cluster.login("postgres", "postgres", &[]).ok()?;
        let sql = format!("SELECT 1 FROM pg_stat_activity WHERE backend_type LIKE 'pg_airlock%' AND pid <> {first}");
        (admin.query(&sql).received == 1).then_some(())
    });
    fixture::open(&cluster);
    reads(&cluster, "after", 2);
    all_settled(&cluster);
    assert_eq!((logged(&cluster, "before").len(), logged(&cluster, "after").len()), (5, 2));
    assert!(fixture::verify(&mut cluster.connect("postgres")).0);
}

#[test]
fn a_silent_worker_shuts_the_gate_for_subprocessors_alone() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.max_silence", "2s");
    cluster.start();
    fixture::open(&cluster);
    let frozen = worker(&cluster);
    signal("STOP", &[frozen]);
    let mut acme = cluster.connect_as("acme", "shut");
    eventually("scoped reads are refused", || {
        let answer = acme.query(READ);
        assert!(matches!(answer.code(), "" | "AL005"), "{answer:?}");
        (answer.code() == "AL005" && answer.received == 0).then_some(())
    });
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "others read on");
    assert_eq!(cluster.sql("app", "SELECT ssn::text FROM public.customers WHERE id = 1").value(), "CANARYMASK_e0001");
    signal("CONT", &[frozen]);
    eventually("the gate opens again", || acme.query(READ).error.is_none().then_some(()));
}

#[test]
fn a_backlog_over_its_limit_shuts_the_gate_for_subprocessors_alone() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.backlog_limit", "16MB");
    cluster.set("airlock.max_silence", "1d");
    cluster.start();
    fixture::open(&cluster);
    let mut acme = cluster.connect_as("acme", "backlog");
    assert_eq!(acme.query(READ).code(), "");
    let frozen = worker(&cluster);
    signal("STOP", &[frozen]);
    assert_eq!(acme.query(READ).code(), "", "a worker that stands still is no backlog yet");
    cluster.admin("SELECT pg_logical_emit_message(false, 'load', repeat('x', 1000000)) FROM generate_series(1, 20)");
    cluster.admin("CHECKPOINT");
    let answer = acme.query(READ);
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "others read on");
    signal("CONT", &[frozen]);
    eventually("the gate opens again", || acme.query(READ).error.is_none().then_some(()));
    assert!(cluster.log().contains("over 80 % of airlock.backlog_limit"), "it is said before reads are refused");
}

#[test]
fn a_backlog_that_is_too_old_shuts_the_gate_for_subprocessors_alone() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.backlog_age", "2s");
    cluster.set("airlock.max_silence", "1d");
    cluster.start();
    fixture::open(&cluster);
    let mut acme = cluster.connect_as("acme", "old");
    let frozen = worker(&cluster);
    signal("STOP", &[frozen]);
    let error = eventually("scoped reads are refused", || {
        let answer = acme.query(READ);
        assert!(answer.received == 0 || answer.error.is_none(), "{answer:?}");
        answer.error
    });
    assert_eq!(error.code(), "AL005");
    assert!(error.get('D').contains("seconds old") && error.get('H').contains("airlock.backlog_age"), "{error:?}");
    let sql = "SELECT severity FROM airlock.doctor() WHERE \"check\" = 'backlog'";
    assert_eq!(cluster.admin(sql).value(), "error");
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100", "others read on");
    signal("CONT", &[frozen]);
    eventually("the gate opens again", || acme.query(READ).error.is_none().then_some(()));
}

/// Who floods the log shuts itself out, and nobody else.
#[test]
fn attack_one_sub_processor_floods_the_log() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.backlog_limit", "16MB");
    cluster.set("airlock.max_silence", "1d");
    cluster.start();
    fixture::open(&cluster);
    let frozen = worker(&cluster);
    signal("STOP", &[frozen]);
    let (mut acme, mut globex) = (cluster.connect_as("acme", "flood"), cluster.connect("globex"));
    let flood = format!("SELECT id FROM acme.customers WHERE country <> '{}'", "x".repeat(50_000));
    let mut passed = 0;
    let error = loop {
        let answer = acme.query(&flood);
        match answer.error {
            None => passed += 1,
            Some(error) => {
                assert_eq!(answer.received, 0);
                break error;
            }
        }
        assert!(passed < 1000, "nothing stops it");
    };
    assert!(error.code() == "AL005" && error.get('D').contains("MB of records wait"), "{error:?}");
    assert!(passed > 20, "a share is what it is: {passed}");
    assert_eq!(cluster.sql("acme", READ).code(), "AL005", "in every session of its own");
    for _ in 0..20 {
        assert!(globex.query("SELECT id FROM globex.customers").ok().received > 0, "others read on");
    }
    signal("CONT", &[frozen]);
    eventually("it reads again", || acme.query(READ).error.is_none().then_some(()));
    all_settled(&cluster);
    assert!(fixture::verify(&mut cluster.connect("postgres")).0);
}

#[test]
fn a_silent_log_says_so_now_and_then_and_keeps_no_wal() {
    let mut cluster = fixture::stopped();
    cluster.set("airlock.heartbeat", "1s");
    cluster.start();
    fixture::open(&cluster);
    reads(&cluster, "before", 1);
    all_settled(&cluster);
    let beats = || {
        let sql = "SELECT count(*) FROM airlock_catalog.read_record WHERE kind = 'heartbeat' AND detail LIKE 'nothing to record; WAL is read up to %'";
        cluster.admin(sql).value().parse::<i64>().unwrap()
    };
    let begin = beats();
    let slot = "SELECT restart_lsn - '0/0' FROM pg_replication_slots WHERE slot_name = 'pg_airlock'";
    let before = cluster.admin(slot).value().parse::<i64>().unwrap();
    eventually("heartbeats", || (beats() >= begin + 3).then_some(()));
    assert!(cluster.admin(slot).value().parse::<i64>().unwrap() > before, "WAL is let go of");
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.access_log WHERE statement = ''").value(), "0");
    assert!(fixture::verify(&mut cluster.connect("postgres")).0);
    cluster.set("airlock.heartbeat", "0");
    cluster.admin("SELECT pg_reload_conf()");
    reads(&cluster, "after", 1);
    all_settled(&cluster);
}

#[test]
fn rows_changed_removed_or_invented_are_named() {
    let cluster = running();
    reads(&cluster, "history", 12);
    fixture::settled(&cluster, "history", 12);
    let last = all_settled(&cluster);
    assert!(last >= 12, "a record for each: {last}");
    let row = |what: &str| format!("UPDATE airlock_catalog.read_record SET {what}");
    // what is done, and which ids may be named for it
    let cases: Vec<(String, Vec<i64>)> = vec![
        (row("rows_sent = 1 WHERE id = 4"), vec![4]),
        (row("statement = 'SELECT nothing' WHERE id = 5"), vec![5]),
        (row("subprocessor = 'globex' WHERE id = 1"), vec![1]),
        (row("columns = '{acme.customers.none}' WHERE id = 7"), vec![7]),
        (row("logged_at = logged_at + interval '1 microsecond' WHERE id = 3"), vec![3]),
        (row("hash = NULL WHERE id = 6"), vec![6]),
        (row("hash = sha256('x') WHERE id = 6"), vec![6]),
        (row("detail = 'more' WHERE id = 2"), vec![2]),
        ("DELETE FROM airlock_catalog.read_record WHERE id = 5".into(), vec![5, 6]),
        ("DELETE FROM airlock_catalog.read_record WHERE id = 1".into(), vec![1, 2]),
        (format!("DELETE FROM airlock_catalog.read_record WHERE id = {last}"), vec![last, last - 1]),
        ("TRUNCATE airlock_catalog.read_record".into(), vec![1, last]),
        (invent(last + 1), vec![last + 1]),
        // the gap is closed again: everything after the removed row moves up by one
        (format!("DELETE FROM airlock_catalog.read_record WHERE id = 5; {}", row("id = id - 1000 WHERE id > 5; UPDATE airlock_catalog.read_record SET id = id + 999 WHERE id < 0")), vec![5]),
        // two rows change places
        (row("id = CASE id WHEN 3 THEN -4 ELSE -3 END WHERE id IN (3, 4); UPDATE airlock_catalog.read_record SET id = -id WHERE id < 0"), vec![3]),
    ];
    let mut admin = cluster.connect("postgres");
    for (change, named) in cases {
        admin.query("BEGIN").ok();
        admin.query(&change).ok();
        let (ok, bad, message) = fixture::verify(&mut admin);
        admin.query("ROLLBACK").ok();
        assert!(!ok, "unnoticed: {change}");
        assert!(bad.is_some_and(|id| named.contains(&id)), "{change}: {bad:?} named instead of {named:?}: {message}");
        assert!(!message.is_empty());
    }
    let (ok, _, message) = fixture::verify(&mut admin);
    assert!(ok, "control: untouched it verifies: {message}");
}

/// A row that nobody wrote, at this id: a copy of row 3.
fn invent(id: i64) -> String {
    format!(
        "INSERT INTO airlock_catalog.read_record SELECT {id}, kind, logged_at, backend_start, backend_pid, statement_no + 1000, subprocessor,
         contract, login_role, session_role, acting_role, client_addr, tls, application_name, database, views, columns, purpose, statement,
         outcome, sqlstate, rows_sent, bytes_sent, duration_us, detail, hash FROM airlock_catalog.read_record WHERE id = 3"
    )
}

#[test]
fn reads_that_leave_no_transaction_are_settled_too() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "traceless");
    for statements in [
        ["BEGIN READ ONLY", READ, "ROLLBACK"],
        ["BEGIN", READ, "ROLLBACK"],
        ["BEGIN", "SELECT 1 / (id - 1) FROM acme.customers", "ROLLBACK"],
    ] {
        statements.iter().for_each(|sql| drop(conn.query(sql)));
    }
    fixture::settled(&cluster, "traceless", 3);
    all_settled(&cluster);
    let sql =
        "SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = 'traceless' AND kind = 'exact'";
    assert_eq!(cluster.admin(sql).value(), "3");
}

#[test]
fn attack_a_log_that_begins_again_without_its_cursor_is_named() {
    for (remove, id) in [("", None), ("TRUNCATE airlock_catalog.read_record;", Some(1))] {
        let cluster = running();
        reads(&cluster, "before", 2);
        fixture::settled(&cluster, "before", 2);
        let last = all_settled(&cluster);
        let first = worker(&cluster);
        cluster
            .admin(&format!("{remove} DELETE FROM airlock_catalog.log_cursor; SELECT pg_terminate_backend({first})"));
        let (ok, bad, message) = eventually("the log goes on", || {
            let there = cluster.admin("SELECT count(*) FROM airlock_catalog.log_cursor").value() == "1";
            there.then(|| fixture::verify(&mut cluster.connect("postgres")))
        });
        assert!(!ok && message.contains("the log's cursor was missing"), "{message}");
        assert_eq!(bad, Some(id.unwrap_or(last + 1)), "{message}");
        let sql = "SELECT count(*) FROM airlock.doctor() WHERE severity = 'error' AND \"check\" = 'log seam'";
        assert_eq!(cluster.admin(sql).value(), "1");
    }
}

#[test]
fn settled_reads_survive_a_restart() {
    let mut cluster = running();
    reads(&cluster, "old", 4);
    fixture::settled(&cluster, "old", 4);
    let ids = |c: &Cluster| logged(c, "old").iter().map(|r| r.get("id").to_string()).collect::<Vec<_>>();
    let before = ids(&cluster);
    cluster.restart();
    fixture::open(&cluster);
    reads(&cluster, "new", 1);
    all_settled(&cluster);
    assert_eq!(ids(&cluster), before);
    assert!(fixture::verify(&mut cluster.connect("postgres")).0);
}

#[test]
fn verification_reads_each_row_once_whatever_the_plan() {
    let cluster = running();
    // three ranges of ten thousand, and a little
    let mut conn = cluster.connect_as("acme", "more");
    conn.parse("one", READ);
    conn.sync().ok();
    for _ in 0..31 {
        for _ in 0..1000 {
            conn.bind("", "one", &[]).execute("", 0);
        }
        conn.sync().ok();
    }
    let records = all_settled(&cluster);
    assert!(records > 31_000);
    let mut admin = cluster.connect("postgres");
    // as where statistics are older than the rows: what a range has is fetched first, and sorted then
    admin.query("SET enable_indexscan = off; SET enable_seqscan = off").ok();
    admin.query("BEGIN").ok();
    let (ok, bad, message) = fixture::verify(&mut admin);
    assert!(ok, "{message} at {bad:?}");
    let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables
                 WHERE schemaname = 'airlock_catalog' AND relname LIKE 'read\\_record\\_%'";
    let read: i64 = admin.query(read).value().parse().unwrap();
    // each once, and what other questions cost under such settings; open ranges would read two and a half times as many
    assert!(read >= records && read < records * 9 / 4, "{read} rows were read to verify {records}");
}

/// In a transaction that has written, PostgreSQL gives each of our queries a newer snapshot: what the worker settles while the
/// log is verified must not look as if somebody had added it.
#[test]
fn what_is_settled_meanwhile_is_no_finding() {
    let cluster = running();
    reads(&cluster, "before", 3);
    all_settled(&cluster);
    // verification begins when its statement has its snapshot, and then waits
    let (mut lock, mut verifier) = (cluster.connect("postgres"), cluster.connect("postgres"));
    lock.query("BEGIN; SELECT pg_advisory_xact_lock(7)").ok();
    verifier.query("BEGIN; SELECT pg_current_xact_id()").ok();
    verifier.begin(
        "SELECT (SELECT v.ok || v.message FROM airlock.verify_log() v WHERE h.waited) FROM (SELECT pg_advisory_xact_lock(7) IS NOT NULL AS waited OFFSET 0) h",
    );
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("verification waits", || (cluster.admin(waits).value() == "1").then_some(()));
    let settled = "SELECT last_id FROM airlock_catalog.log_cursor";
    let before = cluster.admin(settled).value();
    reads(&cluster, "meanwhile", 1);
    eventually("the read is settled", || (cluster.admin(settled).value() != before).then_some(()));
    lock.query("COMMIT").ok();
    let said = verifier.finish().ok().value();
    assert!(said.starts_with("truethe log is whole"), "{said}");
}

#[test]
fn a_table_in_the_place_of_a_partition_gets_no_records() {
    let cluster = running();
    reads(&cluster, "before", 3);
    all_settled(&cluster);
    let moved = "SELECT format('ALTER TABLE airlock_catalog.%1$I SET SCHEMA public; CREATE TABLE airlock_catalog.%1$I (LIKE public.%1$I)', c.relname)
                   FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                  WHERE i.inhparent = 'airlock_catalog.read_record'::regclass AND c.relname ~ '_2[0-9]+$' ORDER BY c.relname LIMIT 1";
    let moved = cluster.admin(moved).value();
    cluster.admin(&moved);
    reads(&cluster, "after", 3);
    all_settled(&cluster);
    let kept = "SELECT count(*) FROM airlock_catalog.read_record WHERE application_name = 'after'";
    assert_eq!(cluster.admin(kept).value(), "3", "the partition gets them wherever it is");
    let (ok, bad, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
}

/// The payload of a read's message as it lies in WAL, the first that is on one page.
fn a_message_in_wal(cluster: &Cluster) -> Vec<u8> {
    const PREFIX: &[u8] = b"airlock\0";
    const PAGE: usize = 8192;
    let segment = cluster.admin("SELECT pg_walfile_name(pg_current_wal_flush_lsn())").value();
    let wal = std::fs::read(cluster.data().join("pg_wal").join(segment)).expect("read a WAL segment");
    let size = |at: usize| wal.get(at..at + 8).map_or(0, |b| u64::from_ne_bytes(b.try_into().unwrap()) as usize);
    let found = (16..wal.len()).filter(|at| wal[*at..].starts_with(PREFIX)).find_map(|at| {
        // xl_logical_message: size of the prefix, size of the message, both
        let (prefix, message) = (size(at - 16), size(at - 8));
        let end = at + PREFIX.len() + message;
        let whole = prefix == PREFIX.len() && message > 50 && (at - 16) / PAGE == end / PAGE;
        whole.then(|| wal[at + PREFIX.len()..end].to_vec())
    });
    found.expect("a message on one page")
}

#[test]
fn a_record_that_comes_a_second_time_is_a_finding_and_not_a_record() {
    let cluster = running();
    cluster.admin("SELECT pg_switch_wal()");
    reads(&cluster, "once", 30);
    all_settled(&cluster);
    let payload = crate::process::hex(&a_message_in_wal(&cluster));
    let again = format!("SELECT pg_logical_emit_message(false, 'airlock', '\\x{payload}'::bytea)");
    for restarted in [false, true] {
        if restarted {
            // it knows of no statement then, and has to ask
            cluster.admin(&format!("SELECT pg_terminate_backend({})", worker(&cluster)));
        }
        let before = all_settled(&cluster);
        cluster.admin(&again);
        reads(&cluster, "once", 1);
        let found = "SELECT count(*) FROM airlock_catalog.read_record WHERE kind = 'finding' AND detail = 'read records that came a second time: 1'";
        eventually("the finding", || (cluster.admin(found).value() == if restarted { "2" } else { "1" }).then_some(()));
        let twice = "SELECT count(*) FROM (SELECT FROM airlock_catalog.read_record WHERE kind <> 'finding'
                       GROUP BY backend_start, backend_pid, statement_no, kind IN ('outcome', 'killed') HAVING count(*) > 1) AS s";
        assert_eq!(cluster.admin(twice).value(), "0");
        assert!(all_settled(&cluster) > before);
    }
    let (ok, bad, message) = fixture::verify(&mut cluster.connect("postgres"));
    assert!(ok, "{message} at {bad:?}");
}
