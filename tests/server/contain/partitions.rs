//! Partitions of a shared table, and copies of the database: what is there without anybody having granted it.

use crate::cluster::Cluster;
use crate::fixture;

const READ: &str = "SELECT count(*) FROM acme.events";

fn partitioned() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(
        "CREATE TABLE public.events (id bigint, at date, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
         INSERT INTO public.events VALUES (1, '2026-06-01', 'CANARYCOL');
         ALTER TABLE public.events OWNER TO app; ALTER TABLE public.events_1 OWNER TO app;
         SELECT airlock.create_scope('acme', 'public.events', '{\"id\": \"clear\"}')",
    );
    cluster
}

#[test]
fn attack_a_new_partition_that_everybody_may_read() {
    let cluster = partitioned();
    let warned =
        "SELECT count(*) FROM airlock.doctor() WHERE \"check\" = 'grant' AND object = 'PUBLIC' AND message LIKE";
    let before = cluster.admin(&format!("{warned} 'SELECT will be granted%'")).value();
    assert_eq!(before, "0");
    cluster.admin("ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO PUBLIC");
    let fix = "SELECT fix FROM airlock.doctor() WHERE message LIKE 'SELECT will be granted%'";
    assert_eq!(
        cluster.admin(fix).first(),
        ["ALTER DEFAULT PRIVILEGES FOR ROLE app REVOKE SELECT ON TABLES FROM PUBLIC"]
    );
    let new =
        "CREATE TABLE public.events_2 PARTITION OF public.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
               INSERT INTO public.events VALUES (2, '2027-06-01', 'CANARYCOL')";
    cluster.connect("app").query("GRANT CREATE ON SCHEMA public TO app");
    cluster.admin("GRANT CREATE ON SCHEMA public TO app");
    cluster.connect("app").query(new).ok();
    let answer = cluster.sql("acme", "SELECT * FROM public.events_2");
    assert_eq!((answer.code(), fixture::leaked(&answer)), ("AL007", None));
    // the naive build: whoever is not contained reads it, though the parent is denied
    assert_eq!(cluster.sql("pooled", "SELECT * FROM public.events").code(), "42501");
    assert!(fixture::leaked(&cluster.sql("pooled", "SELECT * FROM public.events_2")).is_some());
    let held = cluster.admin(&format!("{warned} 'SELECT ON % is granted%'"));
    assert_eq!(held.value(), "1", "the partition is found by its parent");
    let fix = "SELECT fix FROM airlock.doctor() WHERE message LIKE 'SELECT ON % is granted%'";
    for fix in cluster.admin(fix).first() {
        cluster.admin(&fix);
    }
    assert_eq!(cluster.admin(&format!("{warned} 'SELECT ON % is granted%'")).value(), "0");
    // its rows come through the view, by the view's columns
    assert_eq!(cluster.sql("acme", READ).value(), "2");
}

#[test]
fn attack_a_copy_of_the_database() {
    let cluster = fixture::running();
    // the log's worker and the fixture's sessions hold the template: copied from outside of it, when they are gone
    let mut outside = cluster.login("postgres", "postgres", &[]).expect("connect");
    crate::process::eventually("the database is copied", || {
        outside.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'").ok();
        outside.query("CREATE DATABASE copy TEMPLATE app").error.is_none().then_some(())
    });
    fixture::open(&cluster);
    let mut acme = cluster.login("acme", "copy", &[]).expect("connect");
    for sql in ["SELECT * FROM acme.customers", "SELECT * FROM public.customers", "CREATE TEMP TABLE t (a int)"] {
        let answer = acme.query(sql);
        assert!(["AL005", "AL007", "42501"].contains(&answer.code()), "{sql}: {answer:?}");
        assert_eq!((answer.received, fixture::leaked(&answer)), (0, None), "{sql}");
    }
    assert_eq!(
        cluster.sql("acme", "SELECT id FROM acme.customers").ok().received,
        fixture::VISIBLE,
        "the twin, in the one database"
    );
}
