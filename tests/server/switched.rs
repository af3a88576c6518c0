//! Sessions that change hands: somebody becomes a sub-processor while connected, a superuser or pooler takes the role on
//! and off, portals fail and their memory is used again, settings come in with the connection. Each was once a hole.

use crate::cluster::DATABASE;
use crate::fixture::{leaked, running, settled, VISIBLE};

const READ: &str = "SELECT id FROM acme.customers";

/// A statement after a portal that failed in a rolled-back savepoint must not be credited to that portal.
#[test]
fn rows_are_not_credited_to_a_portal_that_failed_before() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "credited");
    conn.query("BEGIN").ok();
    conn.parse("s1", "SELECT id, 1 / (id - 31) FROM acme.customers")
        .parse("s2", "SELECT id, email FROM acme.customers LIMIT 7");
    conn.bind("p", "s1", &[]).execute("p", 10).sync();
    conn.query("SAVEPOINT s").ok();
    assert_eq!(conn.execute("p", 0).sync().code(), "22012");
    conn.query("ROLLBACK TO s").ok();
    conn.query("CLOSE p");
    let second = conn.bind("", "s2", &[]).execute("", 0).sync().ok();
    assert_eq!(second.received, 7);
    conn.query("COMMIT").ok();
    let log = settled(&cluster, "credited", 2);
    assert_eq!(log[1].rows(), Some(7), "{log:?}");
    assert_eq!((log[1].get("outcome"), log[1].get("columns")), ("ok", "{acme.customers.id,acme.customers.email}"));
    assert!(log[0].rows() >= Some(10), "{log:?}");
}

/// A cursor opened as a sub-processor serves nobody else, and nothing after a suspension.
#[test]
fn a_cursor_does_not_outlive_the_role_it_was_opened_under() {
    let cluster = running();
    for (leave, code) in [("RESET SESSION AUTHORIZATION", "AL007"), ("SELECT 1", "AL006")] {
        let mut pooler = cluster.connect_as("postgres", "switched");
        pooler.query("SET SESSION AUTHORIZATION acme").ok();
        pooler.query("BEGIN").ok();
        pooler.query("DECLARE c CURSOR FOR SELECT id, country FROM acme.customers").ok();
        assert_eq!(pooler.query("FETCH 1 FROM c").ok().received, 1);
        pooler.query(leave).ok();
        if code == "AL006" {
            cluster.admin("SELECT airlock.suspend('acme', 'test')");
        }
        let answer = pooler.query("FETCH ALL FROM c");
        assert_eq!(answer.received, 0, "{answer:?}");
        assert!(answer.code() == code || answer.closed || answer.code() == "57P01", "{answer:?}");
    }
}

/// What ends without a suspension, by its date, ends for open cursors too: the contract is asked at each FETCH.
#[test]
fn an_open_cursor_hears_that_the_contract_ended() {
    let cluster = running();
    let mut acme = cluster.connect_as("acme", "ended");
    acme.query("BEGIN").ok();
    acme.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(acme.query("FETCH 1 FROM c").ok().received, 1);
    cluster.admin("SELECT airlock.alter_subprocessor('acme', '{\"valid_until\": \"2020-01-01\"}')");
    let answer = acme.query("FETCH ALL FROM c");
    assert_eq!(answer.received, 0, "{answer:?}");
    assert!(answer.closed || answer.code() == "AL006", "{answer:?}");
}

/// Suspension finds a stream that runs under another login.
#[test]
fn suspending_ends_a_stream_of_a_pooler_that_took_the_role_on() {
    let cluster = running();
    let mut pooler = cluster.connect_as("postgres", "pooler");
    pooler.query("SET SESSION AUTHORIZATION acme").ok();
    pooler.begin("SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b");
    let mut answer = crate::protocol::Answer::default();
    pooler.take(&mut answer, 1000);
    assert_eq!(cluster.admin("SELECT airlock.suspend('acme', 'breach')").value(), "1");
    pooler.finish_into(&mut answer);
    assert!(answer.closed || answer.code() == "57P01", "{:?}", answer.error);
}

/// Whoever becomes a sub-processor keeps nothing that was opened before, held cursors included.
#[test]
fn becoming_a_subprocessor_ends_the_session() {
    let cluster = running();
    cluster.admin("CREATE ROLE newco LOGIN; GRANT SELECT ON public.customers TO newco");
    let mut held = cluster.connect("newco");
    held.query("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM public.customers; COMMIT").ok();
    let mut open = cluster.connect("newco");
    open.query("BEGIN").ok();
    open.query("DECLARE c CURSOR FOR SELECT id FROM public.customers").ok();
    assert_eq!(open.query("FETCH 1 FROM c").ok().received, 1);
    cluster.admin("SELECT airlock.create_subprocessor('newco', role => 'newco', legal_name => 'New', contract => 'C', purposes => '{p}')");
    for (conn, sql) in [(&mut held, "FETCH ALL FROM h"), (&mut open, "FETCH ALL FROM c")] {
        let answer = conn.query(sql);
        assert_eq!(answer.received, 0, "{sql}: {answer:?}");
        assert!(answer.closed || !answer.code().is_empty());
    }
    // the same by a membership that is granted later
    cluster.admin("CREATE ROLE bob LOGIN; GRANT SELECT ON public.customers TO bob");
    let mut bob = cluster.connect("bob");
    bob.query("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT id FROM public.customers; COMMIT").ok();
    cluster.admin("GRANT acme TO bob");
    let answer = bob.query("FETCH ALL FROM h");
    assert_eq!(answer.received, 0, "{answer:?}");
    assert_eq!(cluster.sql("bob", READ).ok().received, VISIBLE, "a new session reads as acme");
}

/// A GRANT of the role to a superuser locks nobody out; the role itself stays contained, even made a superuser.
#[test]
fn a_superuser_who_is_granted_the_role_is_not_locked_out() {
    let cluster = running();
    cluster.admin("GRANT acme TO postgres");
    assert_eq!(cluster.admin("SELECT count(*) FROM public.customers").value(), "100");
    let mut taken = cluster.connect_as("postgres", "taken on");
    taken.query("SET ROLE acme").ok();
    assert!(["AL007", "42501"].contains(&taken.query("SELECT note FROM public.customers").code()));
    assert_eq!(taken.query(READ).ok().received, VISIBLE);
    assert_eq!(settled(&cluster, "taken on", 1)[0].get("login_role"), "postgres");
    cluster.admin("REVOKE acme FROM postgres");
    cluster.admin("ALTER ROLE acme SUPERUSER");
    assert_eq!(cluster.sql("acme", "SELECT note FROM public.customers").code(), "AL007");
    assert_eq!(cluster.sql("acme", "SELECT pg_read_file('PG_VERSION')").code(), "AL007");
}

/// A session that was found to be nobody's asks again when the role that it has taken on becomes a member: its login does not,
/// so it is contained, not ended.
#[test]
fn a_role_taken_on_that_becomes_a_member_is_contained_at_once() {
    let cluster = running();
    cluster.admin("CREATE ROLE porter; GRANT SELECT ON public.customers TO porter");
    let mut conn = cluster.connect_as("postgres", "porter");
    let hidden = "SELECT count(*) FROM public.customers";
    conn.query("SET ROLE porter").ok();
    for _ in 0..2 {
        assert_eq!(conn.query(hidden).ok().value(), "100");
        cluster.admin("GRANT acme TO porter");
        assert_eq!(conn.query(hidden).code(), "AL007");
        assert_eq!(conn.query(READ).ok().received, VISIBLE);
        cluster.admin("REVOKE acme FROM porter");
    }
    assert_eq!(conn.query(hidden).ok().value(), "100");
}

/// A look-up that an error ends has found nothing out: what was known before does not hold any more.
#[test]
fn a_look_up_that_fails_leaves_no_old_answer() {
    let cluster = running();
    cluster.admin("CREATE ROLE porter LOGIN; GRANT SELECT ON public.customers TO porter");
    let mut conn = cluster.connect("porter");
    let hidden = "SELECT count(*) FROM public.customers";
    assert_eq!(conn.query(hidden).ok().value(), "100");
    conn.query("SET lock_timeout = '200ms'").ok();
    cluster.admin("GRANT acme TO porter");
    let mut lock = cluster.connect("postgres");
    lock.query("BEGIN").ok();
    lock.query("LOCK TABLE pg_shseclabel IN ACCESS EXCLUSIVE MODE").ok();
    assert_eq!(conn.query(hidden).code(), "55P03");
    assert_eq!(conn.query(hidden).code(), "55P03", "it asks again");
    lock.query("ROLLBACK").ok();
    let answer = conn.query(hidden);
    assert_eq!((answer.received, answer.code()), (0, "AL007"), "{answer:?}");
}

#[test]
fn a_second_database_with_the_extension_discloses_nothing() {
    let cluster = running();
    cluster.admin("CREATE DATABASE other");
    let mut other = cluster.login("postgres", "other", &[]).unwrap();
    for sql in [
        "CREATE EXTENSION pg_airlock",
        "SELECT airlock.create_key('pii')",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "CREATE ROLE elsewhere LOGIN",
        "SELECT airlock.create_subprocessor('elsewhere', role => 'elsewhere', legal_name => 'E', contract => 'C', purposes => '{p}')",
        "SELECT airlock.create_scope('elsewhere', 't', '{\"id\": \"clear\"}')",
    ] {
        other.query(sql).ok();
    }
    let answer = cluster.login("elsewhere", "other", &[]).unwrap().query("SELECT id FROM elsewhere.t");
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
}

/// LOG lines hold plans, and a connection's options are no way round the controller's limits.
#[test]
fn messages_and_options_that_show_or_raise_are_refused() {
    let cluster = running();
    cluster.admin("ALTER ROLE acme SET statement_timeout = '1min'");
    let mut acme = cluster.connect("acme");
    assert_eq!(acme.query(READ).ok().received, VISIBLE);
    acme.query("PREPARE p AS SELECT id FROM acme.customers").ok();
    acme.query("SET client_min_messages = log").ok();
    for sql in [READ, "EXECUTE p"] {
        let answer = acme.query(sql);
        assert_eq!((answer.code(), answer.received, leaked(&answer)), ("AL007", 0, None), "{answer:?}");
    }
    acme.query("SET client_min_messages = notice").ok();
    assert_eq!(acme.query("EXECUTE p").ok().received, VISIBLE);
    for options in ["-c statement_timeout=0", "-c work_mem=2GB", "-c client_min_messages=debug1"] {
        let mut conn = cluster.login("acme", DATABASE, &[("options", options)]).unwrap();
        assert_eq!(conn.query(READ).code(), "AL007", "{options}");
    }
    let mut conn = cluster.login("acme", DATABASE, &[("options", "-c DateStyle=German"), ("TimeZone", "UTC")]).unwrap();
    assert_eq!(conn.query(READ).ok().received, VISIBLE);
}

/// Catalogs that PUBLIC may read by columns only, whatever predefined role was granted.
#[test]
fn columns_of_catalogs_that_public_may_not_read_stay_closed() {
    let cluster = running();
    cluster.admin("GRANT pg_read_all_data, pg_monitor TO acme");
    let mut acme = cluster.connect("acme");
    assert_eq!(acme.query("SELECT subconninfo FROM pg_subscription").code(), "AL007");
    assert_eq!(acme.query("SELECT s FROM pg_subscription s").code(), "AL007");
    assert_eq!(acme.query("SELECT subname FROM pg_subscription").code(), "");
    assert_eq!(acme.query("SELECT query FROM pg_stat_activity").code(), "AL007");
    assert_eq!(acme.query(READ).ok().received, VISIBLE);
}

/// Ordinary sessions keep their caches over exceptions: what a subtransaction did not change is not read again. Seen by
/// taking the root key's file away, which a keyring that was dropped would need.
#[test]
fn exceptions_of_others_do_not_drop_the_keyring() {
    let cluster = running();
    let decrypt = "PERFORM airlock.decrypt(ssn) FROM public.customers WHERE id = 1";
    let mut app = cluster.connect("app");
    app.query(&format!("DO $$ BEGIN {decrypt}; END $$")).ok();
    let key = cluster.dir.join("root.key");
    let aside = cluster.dir.join("root.key.aside");
    std::fs::rename(&key, &aside).unwrap();
    let raise = "BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END";
    app.query(&format!("DO $$ BEGIN FOR i IN 1..20 LOOP {raise}; {decrypt}; END LOOP; END $$")).ok();
    // the control: a session that has no keyring yet does need it
    assert_eq!(cluster.sql("app", "SELECT airlock.decrypt(ssn) FROM public.customers WHERE id = 1").code(), "AL001");
    std::fs::rename(&aside, &key).unwrap();
}
