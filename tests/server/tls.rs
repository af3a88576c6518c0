//! Connections a contract does not allow: without TLS, from another network. A local socket crosses no network.

use crate::cluster::{give, Cluster, DATABASE};
use crate::fixture::{self, VISIBLE};
use crate::process::{both, run};
use crate::protocol::{Conn, Start};
use std::process::Command;

const READ: &str = "SELECT id FROM acme.customers";

/// The fixture, listening on 127.0.0.1 with a self-signed certificate.
fn listening() -> Cluster {
    let mut cluster = fixture::stopped();
    let (key, certificate) = (cluster.data().join("server.key"), cluster.data().join("server.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate));
    give(&key, 0o600);
    give(&certificate, 0o600);
    cluster.set("listen_addresses", "127.0.0.1");
    cluster.set("ssl", "on");
    cluster.start();
    fixture::open(&cluster);
    cluster
}

/// One statement over TCP by psql: its output and SQLSTATE.
fn over_tcp(cluster: &Cluster, sslmode: &str, name: &str, sql: &str) -> String {
    let mut psql = cluster.client("psql", "acme");
    psql.env("PGHOST", "127.0.0.1").env("PGSSLMODE", sslmode).env("PGAPPNAME", name);
    psql.args(["-X", "-At", "-d", DATABASE, "-v", "VERBOSITY=sqlstate", "-c", sql]);
    both(&psql.output().expect("psql")).trim().to_string()
}

fn by_tcp(cluster: &Cluster, user: &str, name: &str) -> Conn {
    let start = Start { user, database: DATABASE, parameters: vec![("application_name", name)] };
    Conn::open(&cluster.tcp(), &start).expect("connect by TCP")
}

#[test]
fn without_tls_a_contract_that_requires_it_reads_nothing() {
    let cluster = listening();
    let answer = by_tcp(&cluster, "acme", "bare").query(READ);
    assert_eq!((answer.code(), answer.received), ("AL009", 0));
    assert!(!answer.error.as_ref().unwrap().get('H').is_empty(), "a hint says what to do: {answer:?}");
    let log = fixture::settled(&cluster, "bare", 1);
    assert_eq!(
        (log[0].get("kind"), log[0].get("sqlstate"), log[0].get("client_addr")),
        ("denied", "AL009", "127.0.0.1")
    );

    // the same login over TLS, and over the local socket
    assert_eq!(over_tcp(&cluster, "require", "sealed", "SELECT count(*) FROM acme.customers"), VISIBLE.to_string());
    let log = fixture::settled(&cluster, "sealed", 1);
    assert!(log[0].get("tls").starts_with("TLSv1."), "{log:?}");
    assert_eq!((log[0].get("client_addr"), log[0].get("outcome")), ("127.0.0.1", "ok"));
    assert_eq!(cluster.connect_as("acme", "socket").query(READ).ok().received, VISIBLE);
    let log = fixture::settled(&cluster, "socket", 1);
    assert_eq!((log[0].get("tls"), log[0].get("client_addr")), ("", ""));

    // others connect as they like
    assert_eq!(by_tcp(&cluster, "clerk", "clerk").query("SELECT count(*) FROM public.customers").value(), "100");
    // and a contract that does not require TLS does not
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"require_tls": false}')"#);
    assert_eq!(by_tcp(&cluster, "acme", "allowed").query(READ).ok().received, VISIBLE);
}

#[test]
fn from_a_network_outside_the_contract_nothing_is_read() {
    let cluster = listening();
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"require_tls": false, "networks": ["10.0.0.0/8", "2001:db8::/32"]}')"#);
    let mut conn = by_tcp(&cluster, "acme", "abroad");
    assert_eq!(conn.query(READ).code(), "AL009");
    assert_eq!(over_tcp(&cluster, "require", "abroad too", READ), "ERROR:  AL009");
    cluster.admin(r#"SELECT airlock.alter_subprocessor('acme', '{"networks": ["127.0.0.0/8"]}')"#);
    assert_eq!(conn.query(READ).ok().received, VISIBLE, "the same session, once its network is allowed");
}
