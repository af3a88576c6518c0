//! Logical replication between two clusters under one root key: the ciphertext travels as it is, and the subscriber opens
//! it, because its tables came from a dump and have the publisher's column numbers.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::dump::{beside, dump, globals, restore_plain};
use crate::fixture;
use crate::process::eventually;

/// Beside the fixture's table: partitions, an array, a record, a value that does not fit into its row.
const MORE: &str = "
    CREATE TYPE public.pair AS (n int, c airlock.encrypted('pii'));
    CREATE TABLE public.shapes (id int, a airlock.encrypted('pii')[], p public.pair, long airlock.encrypted_eq('pii'), plain text,
        PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE public.shapes_low PARTITION OF public.shapes FOR VALUES FROM (0) TO (10);
    CREATE TABLE public.shapes_high PARTITION OF public.shapes FOR VALUES FROM (10) TO (100);
    ALTER TABLE public.shapes OWNER TO app; ALTER TABLE public.shapes_low OWNER TO app; ALTER TABLE public.shapes_high OWNER TO app;
    INSERT INTO public.shapes VALUES (1, '{a,b}', '(1,c)', repeat('long ', 40000), 'plain'), (11, NULL, NULL, '', NULL);
    CREATE PUBLICATION p FOR TABLE public.customers, public.shapes;";

/// What must be the same on both: ciphertext, and what it opens to.
const SAME: [&str; 3] = [
    "SELECT id, ssn, pay, diary, ssn::text, pay::text, diary::text FROM public.customers ORDER BY id",
    "SELECT id, a, p, long, plain, a[2]::text, airlock.decrypt((p).c), long::text FROM public.shapes ORDER BY id",
    "SELECT id FROM public.customers WHERE ssn = 'CANARYMASK_e0007'",
];

/// A publisher, and a cluster with its keys and tables but without rows in them.
fn pair() -> (Cluster, Cluster) {
    let mut publisher = fixture::stopped();
    publisher.set("wal_level", "logical");
    publisher.start();
    fixture::open(&publisher);
    publisher.admin(MORE);
    let subscriber = beside(&publisher, Postgres::main());
    subscriber.set("wal_retrieve_retry_interval", "200ms");
    globals(&publisher, &subscriber);
    let options = ["--exclude-table-data=public.*", "--no-publications"];
    restore_plain(&subscriber, &dump(&publisher, &subscriber, &options));
    subscriber.admin("SELECT pg_reload_conf(); CREATE ROLE subscribes SUPERUSER LOGIN");
    (publisher, subscriber)
}

fn subscribe(publisher: &Cluster, subscriber: &Cluster, options: &str) {
    let (host, port) = (publisher.dir.display(), publisher.port);
    let sql = format!(
        "CREATE SUBSCRIPTION s CONNECTION 'host={host} port={port} user=postgres dbname={DATABASE}' PUBLICATION p {options}"
    );
    subscriber.sql("subscribes", &sql).ok();
}

/// Waits until the subscriber has applied what the publisher has written.
#[track_caller]
fn caught_up(publisher: &Cluster, subscriber: &Cluster) {
    eventually("all tables are copied", || {
        let states = subscriber.admin("SELECT srsubstate FROM pg_subscription_rel").first();
        (!states.is_empty() && states.iter().all(|s| s == "r")).then_some(())
    });
    let written = publisher.admin("SELECT pg_current_wal_lsn()").value();
    let sql = format!("SELECT confirmed_flush_lsn >= '{written}' FROM pg_replication_slots WHERE slot_name = 's'");
    eventually("everything is applied", || (publisher.admin(&sql).first() == ["t"]).then_some(()));
}

#[track_caller]
fn same(publisher: &Cluster, subscriber: &Cluster) {
    for sql in SAME {
        let [there, here] = [publisher, subscriber].map(|cluster| cluster.sql("app", sql).ok());
        assert!(there.received > 0, "{sql}");
        assert_eq!(there.rows, here.rows, "{sql}");
    }
}

fn travels(options: &str) {
    let (publisher, subscriber) = pair();
    subscriber.admin("ALTER ROLE subscribes SET airlock.encrypted_input = 'ciphertext'");
    subscribe(&publisher, &subscriber, options);
    caught_up(&publisher, &subscriber);
    same(&publisher, &subscriber);
    let mut app = publisher.connect("app");
    for sql in [
        "INSERT INTO public.customers (id, ssn, pay, diary, consent) SELECT g, 'new ' || g, g, 'x', true FROM generate_series(200, 209) g",
        "UPDATE public.customers SET ssn = 'changed', pay = 17.50 WHERE id BETWEEN 5 AND 6",
        "UPDATE public.customers SET diary = NULL, ssn = airlock.decrypt(ssn) WHERE id = 8",
        // what is TOASTed and not changed does not travel
        "UPDATE public.shapes SET plain = 'other' WHERE id = 1",
        "UPDATE public.shapes SET a[1] = 'changed', p.c = 'changed' WHERE id = 1",
        // to another partition, which is DELETE and INSERT
        "UPDATE public.shapes SET id = 12 WHERE id = 1",
        "INSERT INTO public.shapes VALUES (11, NULL, NULL, 'upserted') ON CONFLICT (id) DO UPDATE SET long = EXCLUDED.long",
        "DELETE FROM public.customers WHERE id BETWEEN 1 AND 4",
        "BEGIN; UPDATE public.customers SET ssn = 'undone'; ROLLBACK",
    ] {
        app.query(sql).ok();
    }
    app.copy_in("COPY public.customers (id, ssn, consent) FROM STDIN", "300\tcopied\ttrue\n").ok();
    caught_up(&publisher, &subscriber);
    same(&publisher, &subscriber);
    let mut here = subscriber.connect("app");
    assert_eq!(here.query("SELECT count(*) FROM public.customers").value(), "107");
    assert_eq!(
        here.query("SELECT id FROM public.customers WHERE ssn = 'changed' ORDER BY id").ok().first(),
        ["5", "6"]
    );
    assert_eq!(here.query("SELECT length(long::text) FROM public.shapes WHERE id = 12").value(), "200000");
    // one sealed here meets one that came
    here.query("INSERT INTO public.customers (id, ssn, consent) VALUES (400, 'copied', true)").ok();
    let found = here.query(
        "SELECT id FROM public.customers WHERE ssn = (SELECT ssn FROM public.customers WHERE id = 300) ORDER BY id",
    );
    assert_eq!(found.ok().first(), ["300", "400"]);
}

#[test]
fn values_travel_as_they_are() {
    travels("");
}

#[test]
fn values_travel_as_they_are_in_binary() {
    travels("WITH (binary = true)");
}

/// Without the setting of the subscription's owner, the worker takes ciphertext for plaintext, is refused, and says so;
/// nothing is encrypted twice. With it, it goes on where it stopped.
#[test]
fn without_the_setting_the_apply_worker_stops_with_a_clear_error() {
    let (publisher, subscriber) = pair();
    subscribe(&publisher, &subscriber, "WITH (copy_data = false)");
    caught_up(&publisher, &subscriber);
    // control: what holds no ciphertext is applied
    publisher.admin("INSERT INTO public.shapes (id, plain) VALUES (50, 'no ciphertext')");
    caught_up(&publisher, &subscriber);
    let count = |table: &str| subscriber.admin(&format!("SELECT count(*) FROM public.{table}")).value();
    assert_eq!(count("shapes"), "1");
    publisher.admin("INSERT INTO public.customers (id, ssn, consent) VALUES (500, 'stopped', true)");
    eventually("the worker stops", || {
        let log = subscriber.log();
        let lines: Vec<&str> = log.lines().collect();
        let error =
            lines.iter().position(|l| l.contains("ciphertext was given as the plaintext of an encrypted column"))?;
        let hint = lines[error..].iter().take(4).find(|l| l.contains("HINT:"))?;
        assert!(hint.contains("airlock.encrypted_input = ciphertext"), "{hint}");
        Some(())
    });
    assert_eq!(count("customers"), "0", "nothing was sealed a second time");
    assert!(!subscriber.log().contains("stopped"), "the log does not hold the plaintext");
    subscriber.admin("ALTER ROLE subscribes SET airlock.encrypted_input = 'ciphertext'");
    eventually("the worker goes on", || (count("customers") == "1").then_some(()));
    assert_eq!(subscriber.sql("app", "SELECT ssn::text FROM public.customers").value(), "stopped");
}

/// Whole rows as identity need `=` of every column, which these types lack.
#[test]
fn replica_identity_full_without_a_primary_key_is_refused() {
    let cluster = fixture::running();
    let mut app = cluster.connect("postgres");
    app.query("CREATE TABLE public.whole (id int, c text); ALTER TABLE public.whole REPLICA IDENTITY FULL").ok();
    let refused = app.query("SELECT airlock.encrypt_column('public.whole', 'c', 'pii')");
    assert_eq!(refused.code(), "55000", "{refused:?}");
    let detail = refused.error.as_ref().expect("an error").get('D').to_string();
    assert!(detail.contains("replica identity FULL"), "{detail}");
    app.query("ALTER TABLE public.whole ADD PRIMARY KEY (id)").ok();
    app.query("SELECT airlock.encrypt_column('public.whole', 'c', 'pii')").ok();
}
