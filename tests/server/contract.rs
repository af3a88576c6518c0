//! The life of a contract: what is narrowed ends whoever reads at that moment, since a statement that runs is not asked
//! again; what is widened ends nobody; and a contract that ends by its date ends the statement that runs past it.

use crate::cluster::Cluster;
use crate::fixture::{self, running, settled, VISIBLE};
use crate::process::eventually;
use crate::protocol::{Answer, Conn};

const ENDLESS: &str = "SELECT c.id FROM acme.customers c, generate_series(1, 100000) a, generate_series(1, 100000) b";

/// A stream under way.
fn streaming(cluster: &Cluster, user: &str) -> (Conn, Answer) {
    let mut conn = cluster.connect(user);
    if user == "postgres" {
        conn.query("SET ROLE acme").ok();
    }
    conn.begin(ENDLESS);
    let mut answer = Answer::default();
    conn.take(&mut answer, 1000);
    assert_eq!(answer.received, 1000, "{answer:?}");
    (conn, answer)
}

#[test]
fn a_contract_that_allows_less_ends_who_reads_and_one_that_allows_more_does_not() {
    let cluster = running();
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"require_tls": false, "networks": ["10.0.0.0/8"], "valid_until": "2099-12-31"}')"#);
    let more = [
        r#"{"valid_until": null}"#,
        r#"{"networks": ["10.0.0.0/8", "192.0.2.0/24"]}"#,
        r#"{"legal_name": "Acme Two", "contract": "C-2"}"#,
    ];
    let (mut open, mut answer) = streaming(&cluster, "acme");
    for change in more {
        cluster.admin(&format!("SELECT airlock.alter_subprocessor('acme', '{change}')"));
        let before = answer.received;
        open.take(&mut answer, before + 200_000);
        assert!(answer.error.is_none() && !answer.closed, "{change}: {:?}", answer.error);
    }
    drop(open);
    for change in [
        r#"{"valid_until": "2098-12-31"}"#,
        r#"{"networks": ["192.0.2.0/24"]}"#,
        r#"{"require_tls": true}"#,
        r#"{"purposes": ["another one"]}"#,
    ] {
        // also under the login of a pooler that took the role on
        for user in ["acme", "postgres"] {
            if change.contains("valid") || user == "acme" {
                let (mut conn, mut answer) = streaming(&cluster, user);
                let back = cluster.connect("postgres").query("BEGIN").ok();
                drop(back);
                cluster.admin(&format!("BEGIN; SELECT airlock.alter_subprocessor('acme', '{change}'); ROLLBACK"));
                let before = answer.received;
                conn.take(&mut answer, before + 1000);
                assert!(answer.error.is_none() && !answer.closed, "taken back: {change}");
                cluster.admin(&format!("SELECT airlock.alter_subprocessor('acme', '{change}')"));
                conn.finish_into(&mut answer);
                assert!(answer.closed || answer.code() == "57P01", "{user}, {change}: {:?}", answer.error);
                cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"require_tls": false, "networks": ["10.0.0.0/8"], "valid_until": "2099-12-31"}')"#);
            }
        }
    }
    // who reads nothing at that moment keeps the session
    let mut idle = cluster.connect("acme");
    assert_eq!(idle.query("SELECT 1").ok().received, 1);
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"valid_until": "2090-12-31"}')"#);
    assert_eq!(idle.query("SELECT id FROM acme.customers").ok().received, VISIBLE);
}

/// As over midnight: the catalog's date is past, and nobody has called anything.
#[test]
fn a_statement_that_runs_past_its_contracts_last_day_is_ended() {
    let cluster = running();
    let (mut conn, mut answer) = streaming(&cluster, "acme");
    cluster.admin("UPDATE airlock_catalog.subprocessor SET valid_until = (now() AT TIME ZONE 'UTC')::date - 1 WHERE name = 'acme'");
    let mut other = cluster.connect("globex");
    other.query("BEGIN").ok();
    assert!(other.query("SELECT id FROM globex.customers").ok().received > 0);
    conn.finish_into(&mut answer);
    assert!(answer.closed || answer.code() == "57P01", "{:?}", answer.error);
    eventually("the server log says why", || {
        cluster.log().contains("the contract of sub-processor \"acme\" has expired").then_some(())
    });
    assert!(other.query("SELECT id FROM globex.customers").ok().received > 0, "others read on");
}

fn quota(cluster: &Cluster, rows: &str) {
    cluster.admin(&format!("SELECT airlock.alter_subprocessor('acme', '{{\"rows_per_day\": {rows}}}')"));
}

/// Rows are counted as they leave; an answer that would pass the quota does not, and its record says why.
#[test]
fn rows_of_a_day_end_at_the_quota() {
    let mut cluster = running();
    for wrong in ["0", "-1", "1.5", "\"5\""] {
        let error =
            cluster.admin_error(&format!("SELECT airlock.alter_subprocessor('acme', '{{\"rows_per_day\": {wrong}}}')"));
        assert_eq!(error.code(), "AL010", "{wrong}");
    }
    quota(&cluster, "100");
    assert_eq!(cluster.admin("SELECT rows_per_day FROM airlock.subprocessors WHERE name = 'acme'").value(), "100");
    let all = "SELECT id FROM acme.customers";
    assert_eq!(cluster.connect_as("acme", "first").query(all).ok().received, VISIBLE);
    // 90 more would be 180: nothing of them leaves
    for (name, sql) in [("held", all.to_string()), ("copied", format!("COPY ({all}) TO STDOUT"))] {
        let mut conn = cluster.connect_as("acme", name);
        let answer = conn.query(&sql);
        assert_eq!((answer.received, answer.copied.len()), (0, 0), "{name}: {answer:?}");
        assert!(answer.closed, "there is no other way to keep an answer back");
        let log = settled(&cluster, name, 1);
        assert_eq!((log[0].get("sqlstate"), log[0].rows()), ("AL006", Some(0)), "{log:?}");
    }
    // what is left can be read, by whatever way, to the last row
    let mut acme = cluster.connect_as("acme", "rest");
    assert_eq!(acme.query("SELECT id FROM acme.customers LIMIT 4").ok().received, 4);
    acme.query("BEGIN").ok();
    acme.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(acme.query("FETCH 6 FROM c").ok().received, 6);
    let answer = acme.query("FETCH 1 FROM c");
    assert!(answer.received == 0 && (answer.closed || answer.code() == "AL006"), "{answer:?}");
    let mut acme = cluster.connect_as("acme", "none left");
    for sql in [all, "SELECT count(*) FROM acme.customers"] {
        let answer = acme.query(sql);
        assert_eq!((answer.code(), answer.received), ("AL006", 0), "{answer:?}");
        let error = answer.error.unwrap();
        assert!(error.get('D').contains("100 rows a day") && error.get('H').contains("midnight UTC"), "{error:?}");
    }
    assert_eq!(settled(&cluster, "none left", 2)[0].get("kind"), "denied");
    assert!(cluster.sql("globex", "SELECT id FROM globex.customers").ok().received > 0, "others read on");
    // a restart forgets nothing, nor does a crash
    fixture::drained(&cluster);
    cluster.restart();
    fixture::open(&cluster);
    eventually("the rows of today are counted", || (cluster.sql("acme", all).code() == "AL006").then_some(()));
    cluster.kill();
    cluster.start();
    fixture::open(&cluster);
    eventually("the rows of today are counted", || (cluster.sql("acme", all).code() == "AL006").then_some(()));
    quota(&cluster, "200");
    assert_eq!(cluster.sql("acme", all).ok().received, VISIBLE);
    quota(&cluster, "null");
    assert_eq!(cluster.sql("acme", all).ok().received, VISIBLE);
}

/// Many small answers of one portal, and many held ones in one pipeline, add up.
#[test]
fn attack_a_quota_by_small_pieces() {
    let cluster = running();
    quota(&cluster, "100");
    let mut acme = cluster.connect_as("acme", "pieces");
    acme.query("BEGIN").ok();
    acme.query("DECLARE c SCROLL CURSOR FOR SELECT id FROM acme.customers").ok();
    let mut received = 0;
    for piece in 0..100 {
        let answer = acme.query(if piece % 2 == 0 { "FETCH FORWARD 7 FROM c" } else { "FETCH BACKWARD 7 FROM c" });
        received += answer.received;
        if answer.error.is_some() || answer.closed {
            break;
        }
    }
    assert!((90..=100).contains(&received), "{received}");
    quota(&cluster, "200");
    let mut acme = cluster.connect_as("acme", "pipeline");
    for part in 0..20 {
        let name = format!("p{part}");
        acme.parse("", "SELECT id FROM acme.customers WHERE id <= 11").bind(&name, "", &[]).execute(&name, 0);
    }
    let piped = acme.sync();
    assert!(piped.closed && piped.received == 0, "more than are left, in one flush: {piped:?}");
    // by suspended portals
    let mut acme = cluster.connect_as("acme", "suspended");
    acme.query("BEGIN").ok();
    acme.parse("", "SELECT id FROM acme.customers").bind("p", "", &[]).sync();
    let mut received = 0;
    for _ in 0..100 {
        let answer = acme.execute("p", 5).sync();
        received += answer.received;
        if answer.error.is_some() || answer.closed || answer.received == 0 {
            break;
        }
    }
    assert!(received <= 100, "{received}");
    assert_eq!(cluster.sql("globex", "SELECT id FROM globex.customers").ok().received, VISIBLE);
}

#[test]
fn a_stream_ends_at_the_quota() {
    for release in ["wire", "intent"] {
        let mut cluster = fixture::stopped();
        cluster.set("airlock.release", release);
        cluster.start();
        fixture::open(&cluster);
        cluster.sql("acme", "SELECT id FROM acme.customers LIMIT 1").ok();
        quota(&cluster, "50000");
        let mut conn = cluster.connect_as("acme", "stream");
        conn.begin("SELECT c.id FROM acme.customers c, generate_series(1, 10000) a");
        let answer = conn.finish();
        if release == "wire" {
            assert!(answer.closed, "{:?}", answer.error);
            assert!(answer.received > 30_000 && answer.received < 50_000, "{}", answer.received);
        }
        // however it went, nothing is left for today
        eventually("nothing more is read", || {
            (cluster.sql("acme", "SELECT id FROM acme.customers").code() == "AL006").then_some(())
        });
    }
}

/// One statement is read for one purpose.
#[test]
fn views_for_different_purposes_are_read_apart() {
    let cluster = running();
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"purposes": ["analytics", "mail"]}')"#);
    cluster.admin(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{\"id\": \"clear\"}', purposes => '{analytics}'),
        airlock.create_scope('acme', 'public.consents', '{\"customer\": \"clear\"}', purposes => '{mail}')",
    );
    let mut acme = cluster.connect_as("acme", "apart");
    assert_eq!(acme.query("SELECT id FROM acme.customers").ok().received, 100);
    assert_eq!(acme.query("SELECT customer FROM acme.consents").ok().received, 100);
    let both = "SELECT count(*) FROM acme.customers c JOIN acme.consents s ON s.customer = c.id";
    assert_eq!(acme.query(both).code(), "AL008");
    acme.query("SET airlock.purpose = 'mail'").ok();
    assert_eq!(acme.query(both).code(), "AL008");
    assert_eq!(acme.query("SELECT customer FROM acme.consents").ok().received, 100);
    let purposes: Vec<String> = settled(&cluster, "apart", 5).iter().map(|r| r.get("purpose").to_string()).collect();
    assert_eq!(purposes, ["analytics", "mail", "", "", "mail"]);
}
