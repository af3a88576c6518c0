//! The life of a contract: what is narrowed ends whoever reads at that moment, since a statement that runs is not asked
//! again; what is widened ends nobody; and a contract that ends by its date ends the statement that runs past it.

use crate::cluster::Cluster;
use crate::fixture::{running, VISIBLE};
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
