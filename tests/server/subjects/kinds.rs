//! Kinds of tables, keys and plans.

use super::{seen_by, touched};
use crate::cluster::Cluster;
use crate::fixture::{running, settled};

/// One read of acme's; its id in the log.
fn read(cluster: &Cluster, name: &str, sql: &str) -> String {
    let mut conn = cluster.connect_as("acme", name);
    conn.query(sql).ok();
    drop(conn);
    settled(cluster, name, 1)[0].get("id").to_string()
}

/// Certainty of a read for a person, by any relation and key; empty for none.
fn certainty(cluster: &Cluster, read: &str, relation: &str, key: &[&str]) -> String {
    let key: Vec<String> = key.iter().map(|k| format!("'{k}'")).collect();
    let sql = format!("SELECT certainty FROM airlock.who_saw('{relation}', {}) WHERE id = {read}", key.join(", "));
    cluster.admin(&sql).rows.first().and_then(|r| r[0].clone()).unwrap_or_default()
}

#[test]
fn many_persons_are_kept_in_a_filter_that_misses_none() {
    let cluster = running();
    cluster.admin("INSERT INTO public.customers (id, city, consent) SELECT g, 'Oslo', true FROM generate_series(1001, 21000) g; ANALYZE public.customers");
    let all = read(&cluster, "all", "SELECT count(*) FROM acme.customers");
    let found = seen_by(&cluster, &all, "SELECT generate_series(1001, 1500)");
    assert_eq!(found.len(), 500);
    assert!(found.values().all(|c| c == "probable"), "{found:?}");
    let strangers = seen_by(&cluster, &all, "SELECT generate_series(30001, 32000)");
    assert!(strangers.len() < 10, "{} of 2000 strangers", strangers.len());
    // few seen of many scanned
    let few = read(&cluster, "few", "SELECT count(*) FROM acme.customers WHERE pay::text LIKE '10%'");
    let found = seen_by(&cluster, &few, "SELECT generate_series(1, 30)");
    assert_eq!(found.values().filter(|c| *c == "exact").count(), 27, "{found:?}");
    assert!(seen_by(&cluster, &few, "SELECT generate_series(1001, 1200)").values().all(|c| c == "possible"));
    let sizes = cluster.admin(&format!(
        "SELECT seen, scanned, cardinality(tokens), cardinality(seen_filter), cardinality(scanned_filter) FROM airlock_catalog.read_subject WHERE id IN ({all}, {few}) ORDER BY id"
    ));
    assert_eq!(sizes.rows[0].iter().map(|c| c.as_deref().unwrap()).collect::<Vec<_>>()[1..], ["0", "0", "1", "0"]);
    assert_eq!(sizes.rows[1][0].as_deref(), Some("90"), "{sizes:?}");
    assert_eq!(crate::fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

/// One person is the same whatever table refers to it, and however wide the column is.
#[test]
fn tables_that_refer_to_a_person_name_the_same_person() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.orders (no int PRIMARY KEY, customer int REFERENCES public.customers, giver numeric, total int);
         INSERT INTO public.orders SELECT g, CASE WHEN g % 5 <> 0 THEN g % 7 + 1 END, 3, g FROM generate_series(1, 40) g;
         SELECT airlock.create_scope('acme', 'public.orders', '{\"no\": \"clear\", \"total\": \"clear\"}', subject => '{customer}')",
    );
    let one = read(&cluster, "one", "SELECT total FROM acme.orders WHERE no = 1");
    assert_eq!(touched(&cluster, &one), (vec![2], vec![]));
    assert_eq!(certainty(&cluster, &one, "public.orders", &["2"]), "exact", "by the referring table, too");
    // nobody's rows are nobody's
    let none = read(&cluster, "none", "SELECT total FROM acme.orders WHERE no = 5");
    assert_eq!(touched(&cluster, &none), (vec![], vec![]));
    let both =
        read(&cluster, "both", "SELECT count(*) FROM acme.orders o, acme.customers c WHERE o.no = 2 AND c.id = 9");
    assert_eq!(touched(&cluster, &both), (vec![3, 9], vec![]));
    // renamed, the person is the same
    cluster.admin(
        "ALTER TABLE public.customers RENAME TO clients; ALTER TABLE public.clients RENAME COLUMN note TO remark",
    );
    assert_eq!(certainty(&cluster, &one, "public.clients", &["2"]), "exact");
    assert_eq!(certainty(&cluster, &both, "public.clients", &["9"]), "exact");
}

#[test]
fn keys_of_every_type_and_of_several_columns_are_told_apart() {
    let cluster = running();
    cluster.admin(
        "CREATE DOMAIN public.code AS varchar(20);
         CREATE TABLE public.keys (n int PRIMARY KEY, i2 smallint, t text, v public.code, c char(8), u uuid, b bytea, d date, z timestamptz, m numeric(20, 4), big text);
         ALTER TABLE public.keys ALTER COLUMN big SET STORAGE EXTERNAL;
         INSERT INTO public.keys SELECT g, g, 'tö' || g, 'v' || g, 'c' || g, md5(g::text)::uuid, decode(md5(g::text), 'hex'), date '2000-01-01' + g,
             timestamptz '2020-01-01 00:00Z' + g * interval '1 h', g + 0.25, repeat(md5(g::text), 200) FROM generate_series(1, 5) g",
    );
    let cases = [
        ("i2", "2"),
        ("t", "tö2"),
        ("v", "v2"),
        ("c", "c2"),
        ("u", "c81e728d-9d4c-2f63-6f06-7f89cc14862c"),
        ("b", "\\xc81e728d9d4c2f636f067f89cc14862c"),
        ("d", "2000-01-03"),
        ("z", "2020-01-01 02:00Z"),
        ("m", "2.25000"),
        ("big", &"c81e728d9d4c2f636f067f89cc14862c".repeat(200)),
    ];
    for (column, key) in cases {
        cluster.admin(&format!(
            "SELECT airlock.create_scope('acme', 'public.keys', '{{\"n\": \"clear\", \"t\": \"clear\"}}', subject => '{{{column}}}')"
        ));
        let id = read(&cluster, column, "SELECT t FROM acme.keys WHERE n = 2");
        let sql = format!("SELECT certainty FROM airlock.who_saw('public.keys', '{key}') WHERE id = {id}");
        assert_eq!(cluster.admin(&sql).value(), "exact", "{column}");
        let sql = format!("SELECT count(*) FROM public.keys k, LATERAL airlock.who_saw('public.keys', k.{column}::text) w WHERE w.id = {id}");
        assert_eq!(cluster.admin(&sql).value(), "1", "{column}: nobody else");
        cluster.admin("SELECT airlock.drop_scope('acme', 'public.keys')");
        let sql = format!("SELECT certainty FROM airlock.who_saw('public.keys', '{key}') WHERE id = {id}");
        assert_eq!(cluster.admin(&sql).value(), "exact", "{column}: the scope is gone, its reads are not");
        cluster.admin("DELETE FROM airlock_catalog.scope WHERE dropped_at IS NOT NULL");
    }
    // several columns, in another order where they are referred to
    cluster.admin(
        "CREATE TABLE public.people (region text, no int, name text, PRIMARY KEY (region, no));
         CREATE TABLE public.visits (id int PRIMARY KEY, person int, place text, FOREIGN KEY (place, person) REFERENCES public.people);
         INSERT INTO public.people VALUES ('EU', 1, 'a'), ('US', 1, 'b'), ('EU', 2, 'c'); INSERT INTO public.visits VALUES (1, 1, 'EU'), (2, 1, 'US');
         SELECT airlock.create_scope('acme', 'public.people', '{\"name\": \"clear\"}', subject => '{no,region}');
         SELECT airlock.create_scope('acme', 'public.visits', '{\"id\": \"clear\"}', subject => '{person,place}')",
    );
    let visit = read(&cluster, "visit", "SELECT id FROM acme.visits WHERE id = 2");
    let person = read(&cluster, "person", "SELECT name FROM acme.people WHERE name = 'b'");
    for id in [visit, person] {
        assert_eq!(certainty(&cluster, &id, "public.people", &["US", "1"]), "exact");
        assert_eq!(certainty(&cluster, &id, "public.people", &["EU", "1"]), "");
    }
}

/// An index that gives rows by itself has the subject's columns, or the row is fetched; a bitmap scan that fetches none
/// says that it may have been anybody.
#[test]
fn plans_that_look_into_no_row_still_tell_whose_it_is() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.wide (id int PRIMARY KEY, kind int, gone int, owner int NOT NULL);
         ALTER TABLE public.wide DROP COLUMN gone;
         INSERT INTO public.wide SELECT g, g % 50, g % 100 FROM generate_series(1, 5000) g;
         CREATE INDEX wide_kind ON public.wide (kind); CREATE INDEX wide_both ON public.wide (id, kind) INCLUDE (owner);
         SELECT airlock.create_scope('acme', 'public.wide', '{\"id\": \"clear\", \"kind\": \"clear\"}', subject => '{owner}')",
    );
    cluster.admin("VACUUM ANALYZE public.wide");
    let read = |name: &str, settings: &str, sql: &str| {
        let mut conn = cluster.connect_as("acme", name);
        conn.query(settings).ok();
        conn.query(sql).ok();
        drop(conn);
        settled(&cluster, name, 1)[0].get("id").to_string()
    };
    let of = |id: &str| -> Vec<(String, String)> {
        let sql = format!("SELECT p, w.certainty FROM generate_series(0, 99) p, LATERAL airlock.who_saw('public.wide', p::text) w WHERE w.id = {id} ORDER BY p");
        cluster.admin(&sql).rows.into_iter().map(|r| (r[0].clone().unwrap(), r[1].clone().unwrap())).collect()
    };
    let exact = |list: &[&str]| list.iter().map(|p| (p.to_string(), "exact".to_string())).collect::<Vec<_>>();
    let only = "SET enable_seqscan = off; SET enable_bitmapscan = off";
    assert_eq!(of(&read("without", only, "SELECT count(*) FROM acme.wide WHERE kind = 7")), exact(&["7", "57"]));
    assert_eq!(of(&read("with", only, "SELECT id, kind FROM acme.wide WHERE id = 123")), exact(&["23"]));
    let bitmap = "SET enable_seqscan = off; SET enable_indexscan = off; SET enable_indexonlyscan = off";
    let found = of(&read("bitmap", bitmap, "SELECT count(*) FROM acme.wide WHERE kind = 7"));
    assert!(["7", "57"].iter().all(|p| found.iter().any(|(who, _)| who == p)), "{found:?}");
    // the control: the administrator's own plans are as ever
    let plan = cluster.admin("SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN SELECT count(*) FROM public.wide WHERE kind = 7").everything();
    assert!(plan.contains("Index Only Scan using wide_kind"), "{plan}");
}

#[test]
fn partitions_with_other_column_orders_are_read_as_they_are() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.parted (id int, owner text, kind int) PARTITION BY LIST (kind);
         CREATE TABLE public.parted_a PARTITION OF public.parted FOR VALUES IN (1);
         CREATE TABLE public.parted_b (gone int, kind int, owner text, id int); ALTER TABLE public.parted_b DROP COLUMN gone;
         ALTER TABLE public.parted ATTACH PARTITION public.parted_b FOR VALUES IN (2);
         CREATE TABLE public.parted_c PARTITION OF public.parted FOR VALUES IN (3) PARTITION BY LIST (id);
         CREATE TABLE public.parted_c1 PARTITION OF public.parted_c DEFAULT;
         INSERT INTO public.parted SELECT g, 'p' || g, g % 3 + 1 FROM generate_series(1, 30) g;
         SELECT airlock.create_scope('acme', 'public.parted', '{\"id\": \"clear\"}', row_filter => 'id <> 30', subject => '{owner}')",
    );
    let id = read(&cluster, "parted", "SELECT id FROM acme.parted WHERE id::text LIKE '%1'");
    for (owner, wanted) in
        [("p1", "exact"), ("p11", "exact"), ("p21", "exact"), ("p2", "possible"), ("p30", ""), ("p31", "")]
    {
        assert_eq!(certainty(&cluster, &id, "public.parted", &[owner]), wanted, "{owner}");
    }
    let id = read(&cluster, "parted some", "SELECT id FROM acme.parted ORDER BY id");
    assert_eq!(certainty(&cluster, &id, "public.parted", &["p29"]), "exact");
    // who reads another table waits for none of this one's partitions
    cluster.admin("ALTER ROLE acme SET statement_timeout = '10s'");
    let mut admin = cluster.connect("postgres");
    admin.query("BEGIN; LOCK TABLE public.parted_a IN ACCESS EXCLUSIVE MODE").ok();
    let mut conn = cluster.connect_as("acme", "beside");
    conn.query("SELECT city FROM acme.customers WHERE id = 1").ok();
    admin.query("ROLLBACK").ok();
    cluster.admin("ALTER ROLE acme RESET statement_timeout");
    // a partition that comes later
    cluster.admin("CREATE TABLE public.parted_d (owner text, kind int, id int); INSERT INTO public.parted_d VALUES ('new', 4, 99); ALTER TABLE public.parted ATTACH PARTITION public.parted_d FOR VALUES IN (4)");
    let id = read(&cluster, "parted new", "SELECT id FROM acme.parted WHERE id = 99");
    assert_eq!(certainty(&cluster, &id, "public.parted", &["new"]), "exact");
}
