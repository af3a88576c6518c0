//! Class G and invariant 4: after `suspend`, `terminate`, `alter_subprocessor`, `replace_scope` or `drop_scope` returns,
//! no row flows under the old terms: not from a plan, a cursor, a snapshot or a cache. Others notice nothing.

use super::prepared;
use crate::fixture::{self, VISIBLE};

const READ: &str = "SELECT id FROM acme.customers";

#[test]
fn suspending_cuts_off_live_sessions_at_once() {
    let cluster = prepared(false);
    let mut idle = cluster.connect("acme");
    idle.query("PREPARE p AS SELECT id FROM acme.customers").ok();
    let mut cursor = cluster.connect("acme");
    cursor.query("BEGIN").ok();
    cursor.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(cursor.query("FETCH 5 FROM c").ok().received, 5);
    let mut snapshot = cluster.connect("acme_bob");
    snapshot.query("BEGIN ISOLATION LEVEL REPEATABLE READ").ok();
    snapshot.query("SELECT 1").ok();
    let mut globex = cluster.connect("globex");
    globex.query("SELECT id FROM globex.customers").ok();

    cluster.admin("SELECT airlock.suspend('acme', 'breach under investigation')");
    for (conn, sql) in [(&mut idle, "EXECUTE p"), (&mut cursor, "FETCH 5 FROM c"), (&mut snapshot, READ)] {
        let answer = conn.query(sql);
        assert_eq!(answer.received, 0, "{sql}: {answer:?}");
        assert!(answer.closed || answer.code() == "AL006", "{sql}: {answer:?}");
    }
    // a new session reads nothing, and is told why; the attempt is logged
    let answer = cluster.connect_as("acme", "suspended").query(READ);
    assert_eq!((answer.code(), answer.received), ("AL006", 0));
    let log = fixture::settled(&cluster, "suspended", 1);
    assert_eq!((log[0].get("kind"), log[0].get("sqlstate")), ("denied", "AL006"));
    // the other sub-processor and everybody else go on, in the same sessions
    assert_eq!(globex.query("SELECT id FROM globex.customers").ok().received, VISIBLE);
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM public.customers").value(), "100");

    cluster.admin("SELECT airlock.resume('acme', 'cleared')");
    assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
    cluster.admin("SELECT airlock.terminate('acme', 'contract ended')");
    assert_eq!(cluster.sql("acme", READ).code(), "AL006");
    assert!(
        !cluster.sql("postgres", "SELECT airlock.resume('acme', 'no')").code().is_empty(),
        "terminated is for good"
    );
}

#[test]
fn an_expired_contract_reads_nothing() {
    let cluster = prepared(false);
    let mut conn = cluster.connect("acme");
    assert_eq!(conn.query(READ).ok().received, VISIBLE);
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"valid_until": "2020-12-31"}')"#);
    assert_eq!(conn.query(READ).code(), "AL006");
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"valid_until": "2999-12-31"}')"#);
    assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
}

#[test]
fn a_purpose_outside_the_contract_reads_nothing() {
    let cluster = prepared(false);
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"purposes": ["product analytics", "billing"]}')"#);
    let mut conn = cluster.connect_as("acme", "purposes");
    assert_eq!(conn.query(READ).code(), "AL008", "two purposes, none claimed");
    for purpose in ["marketing", "Billing", "billing "] {
        conn.query(&format!("SET airlock.purpose = '{purpose}'")).ok();
        assert_eq!(conn.query(READ).code(), "AL008", "{purpose}");
    }
    conn.query("SET airlock.purpose = 'billing'").ok();
    assert_eq!(conn.query(READ).ok().received, VISIBLE);
    let log = fixture::settled(&cluster, "purposes", 5);
    assert_eq!(log.iter().filter(|r| r.get("kind") == "denied").count(), 4);
    assert_eq!((log[4].get("kind"), log[4].get("purpose")), ("exact", "billing"));
}

#[test]
fn a_replaced_rule_shows_at_the_next_execution() {
    let cluster = prepared(false);
    let mut conn = cluster.connect("acme");
    conn.query("SET plan_cache_mode = force_generic_plan").ok();
    conn.query("PREPARE p AS SELECT ssn, pay FROM acme.customers WHERE id = 3").ok();
    for _ in 0..6 {
        assert_eq!(conn.query("EXECUTE p").ok().rows[0][0].as_deref(), Some("************0003"));
    }
    let rules = fixture::ACME_RULES
        .replace("\"right\": 4", "\"right\": 1")
        .replace("\"pay\": \"clear\"", "\"pay\": {\"mask\": \"bucket\", \"step\": 100}");
    cluster.admin(&format!("SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => 'consent AND id < 50', subject => '{{id}}')"));
    let row = conn.query("EXECUTE p").ok().rows[0].clone();
    assert_eq!((row[0].as_deref(), row[1].as_deref()), (Some("***************3"), Some("1000")));
    assert_eq!(conn.query(READ).ok().received, 45, "the new row filter holds");

    // a cursor that began under the old rules goes on under the new ones, or not at all
    conn.query("BEGIN").ok();
    conn.query("DECLARE c CURSOR FOR SELECT ssn FROM acme.customers").ok();
    assert_eq!(conn.query("FETCH 1 FROM c").ok().received, 1);
    let rules = rules.replace("\"ssn\": {\"mask\": \"partial\", \"right\": 1}", "\"ssn\": {\"mask\": \"nullify\"}");
    let mut admin = cluster.connect("postgres");
    admin.query("SET lock_timeout = '2s'").ok();
    let replaced = admin.query(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => 'consent')"
    ));
    let answer = conn.query("FETCH ALL FROM c");
    if replaced.error.is_none() {
        assert!(!answer.first().iter().any(|v| v.contains('*')), "rows under the old rule: {answer:?}");
    } else {
        assert_eq!(replaced.code(), "55000", "an open cursor may make the change wait, nothing else");
    }
}

#[test]
fn a_dropped_scope_is_gone() {
    let cluster = prepared(false);
    let mut conn = cluster.connect("acme");
    conn.query("PREPARE p AS SELECT id FROM acme.customers").ok();
    assert_eq!(conn.query("EXECUTE p").ok().received, VISIBLE);
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.customers')");
    for sql in [READ, "EXECUTE p"] {
        assert_eq!(conn.query(sql).code(), "42P01", "{sql}");
    }
    // the view owner lost what no scope needs any more
    let rights = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.customers'::regclass AND attnum > 0
                  AND has_column_privilege('airlock_view_owner', attrelid, attnum, 'SELECT')";
    let left: u32 = cluster.admin(rights).value().parse().unwrap();
    assert!(left <= 4, "only what globex's scope reads: {left} columns");
}

#[test]
fn the_view_owner_may_read_exactly_the_columns_of_scopes() {
    let cluster = prepared(false);
    let sql = "SELECT attname FROM pg_attribute WHERE attrelid = 'public.customers'::regclass AND attnum > 0
               AND has_column_privilege('airlock_view_owner', attrelid, attnum, 'SELECT') ORDER BY attnum";
    let columns = cluster.admin(sql).first();
    assert_eq!(
        columns,
        ["id", "country", "city", "email", "phone", "born", "consent", "ssn", "pay"],
        "not note, not diary"
    );
    assert_eq!(
        cluster.admin("SELECT has_table_privilege('airlock_view_owner', 'public.customers', 'SELECT')").value(),
        "f"
    );
}
