//! Which columns a record names, in three sets: those that reach the result, those that decide which rows do, and those of
//! the tables beneath.

use crate::fixture::{running, settled, Logged};
use std::collections::BTreeSet;

const ALL: &str = "id country city email phone born ssn pay";

/// `{schema.relation.b,schema.relation.a}` as `a`, `b`.
fn short(row: &Logged, column: &str, prefix: &str) -> BTreeSet<String> {
    let list = row.get(column).trim_matches(['{', '}']).split(',').filter(|name| !name.is_empty());
    list.map(|name| name.strip_prefix(prefix).unwrap_or(name).to_string()).collect()
}

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_string).collect()
}

#[test]
fn a_record_tells_what_is_returned_from_what_decides() {
    // v stands for the view; statement, returned, filtered
    let cases: &[(&str, &str, &str)] = &[
        ("SELECT id, city FROM v WHERE pay > 1000 ORDER BY born", "id city", "born pay"),
        ("SELECT count(*) FROM v WHERE city = 'Oslo'", "", "city"),
        ("SELECT city, count(*) FROM v GROUP BY city HAVING max(pay) > 0", "city", "city pay"),
        ("SELECT upper(city) FROM v GROUP BY 1", "city", "city"),
        ("SELECT a.id FROM v a JOIN v b ON a.city = b.city AND b.pay > 0", "id", "city pay"),
        ("SELECT id FROM v a JOIN v b USING (id)", "id", "id"),
        ("SELECT * FROM v a NATURAL JOIN (SELECT id FROM v) b", ALL, "id"),
        (
            "SELECT s.x FROM (SELECT city AS x, email AS y FROM v WHERE born IS NOT NULL) s WHERE y LIKE 'a%'",
            "city",
            "email born",
        ),
        ("SELECT s.x FROM (SELECT city AS x, email AS y FROM v OFFSET 0) s", "city", ""),
        ("WITH c AS MATERIALIZED (SELECT id AS a, phone AS b FROM v) SELECT a FROM c ORDER BY b", "id", "phone"),
        (
            "WITH RECURSIVE r (a, b, c) AS (SELECT id, city, email FROM v WHERE id < 3 UNION ALL SELECT a + 1, c, b FROM r WHERE a < 5) SELECT b FROM r",
            "city email",
            "id",
        ),
        ("SELECT (SELECT max(pay) FROM v w WHERE w.id = v.id) FROM v", "pay", "id"),
        ("SELECT EXISTS (SELECT email FROM v WHERE phone = 'x')", "", "email phone"),
        ("SELECT id FROM v WHERE city IN (SELECT city FROM v WHERE country = 'NO')", "id", "country city"),
        ("SELECT city = ANY (SELECT country FROM v) FROM v", "country city", ""),
        ("SELECT DISTINCT city FROM v", "city", "city"),
        ("SELECT DISTINCT ON (country) id FROM v ORDER BY country, pay", "id", "country pay"),
        ("SELECT city FROM v UNION SELECT country FROM v", "country city", "country city"),
        ("SELECT city FROM v UNION ALL (SELECT country FROM v WHERE id < 3)", "country city", "id"),
        ("SELECT rank() OVER (PARTITION BY city ORDER BY pay) FROM v", "", "city pay"),
        ("SELECT v FROM v", ALL, ""),
        // a whole row is named, whatever is taken from it
        ("SELECT (v).city FROM v", ALL, ""),
        ("SELECT l.x FROM v, LATERAL (SELECT email || phone AS x) l WHERE l.x > ''", "email phone", "email phone"),
        ("SELECT f.u FROM v, unnest(ARRAY[city]) f (u)", "city", "city"),
        ("SELECT id FROM v LIMIT (SELECT count(*) FROM v WHERE ssn IS NULL)", "id", "ssn"),
        ("VALUES ((SELECT max(pay) FROM v))", "pay", ""),
        // the columns of VALUES are not told apart
        ("SELECT x FROM (VALUES ((SELECT max(pay) FROM v), 1)) t (x, y) WHERE y = 1", "pay", "pay"),
        ("SELECT CASE WHEN id > 3 THEN city END, string_agg(email, '' ORDER BY phone) FROM v GROUP BY id, city", "id city email phone", "id city"),
        ("SELECT 1 FROM v", "", ""),
        ("SELECT count(*) FROM v, generate_series(1, v.id)", "", "id"),
        ("WITH RECURSIVE r (a) AS (SELECT pay FROM v UNION ALL SELECT a FROM r WHERE false) SEARCH BREADTH FIRST BY a SET o SELECT o FROM r", "pay", ""),
        ("WITH RECURSIVE r (a) AS (SELECT pay FROM v UNION ALL SELECT a FROM r WHERE false) CYCLE a SET y USING path SELECT path FROM r", "pay", ""),
        ("SELECT city FROM v EXCEPT ALL SELECT country FROM v", "country city", "country city"),
        ("COPY (SELECT id FROM v WHERE city = 'Oslo') TO STDOUT", "id", "city"),
        ("BEGIN; DECLARE c CURSOR FOR SELECT id FROM v WHERE city = 'Oslo'; FETCH 1 FROM c; COMMIT", "id", "city"),
        ("PREPARE p AS SELECT id FROM v WHERE city = $1; EXECUTE p('Oslo')", "id", "city"),
    ];
    let cluster = running();
    for (number, (sql, returned, filtered)) in cases.iter().enumerate() {
        let name = format!("named {number}");
        let mut conn = cluster.connect_as("acme", &name);
        let sql = format!("SET search_path = acme; {sql}");
        let sql = sql
            .replace("FROM v", "FROM customers v")
            .replace("JOIN v", "JOIN customers")
            .replace("customers v a", "customers a")
            .replace("customers v b", "customers b")
            .replace("customers v w", "customers w");
        let answer = conn.query(&sql);
        assert_eq!(answer.error, None, "{sql}");
        let log = settled(&cluster, &name, 1);
        let said = |column| short(&log[0], column, "acme.customers.");
        assert_eq!((said("returned"), said("filtered")), (set(returned), set(filtered)), "{sql}");
        assert!(
            said("columns").is_superset(&said("returned")) && said("columns").is_superset(&said("filtered")),
            "{sql}"
        );
        // the row filter's column is read whatever is asked for
        let mut beneath = said("columns");
        beneath.insert("consent".to_string());
        assert_eq!(short(&log[0], "base_columns", "public.customers."), beneath, "{sql}");
    }
}

#[test]
fn plans_that_are_kept_know_what_their_query_said() {
    let cluster = running();
    let mut conn = cluster.connect_as("acme", "kept");
    conn.query("SET plan_cache_mode = force_generic_plan").ok();
    conn.query("PREPARE p (numeric) AS SELECT id FROM acme.customers WHERE pay > $1").ok();
    for _ in 0..3 {
        conn.query("EXECUTE p (1000)").ok();
    }
    // replanned, and another statement in between
    conn.query("SELECT city FROM acme.customers ORDER BY pay").ok();
    conn.query("DISCARD PLANS").ok();
    conn.query("EXECUTE p (1000)").ok();
    let log = settled(&cluster, "kept", 5);
    let sets: Vec<_> = log.iter().map(|r| (r.get("returned"), r.get("filtered"))).collect();
    let prepared = ("{acme.customers.id}", "{acme.customers.pay}");
    assert_eq!(sets, [prepared, prepared, prepared, ("{acme.customers.city}", "{acme.customers.pay}"), prepared]);
    // with PostgreSQL's own identifiers
    cluster.admin("ALTER ROLE acme SET compute_query_id = on");
    let mut conn = cluster.connect_as("acme", "own");
    conn.query("SELECT id FROM acme.customers WHERE pay > 1").ok();
    let log = settled(&cluster, "own", 1);
    assert_eq!((log[0].get("returned"), log[0].get("filtered")), prepared);
}

#[test]
fn attack_queries_that_look_alike_and_bodies_that_become_part_of_a_plan() {
    let cluster = running();
    cluster.admin("ALTER ROLE acme SET compute_query_id = on");
    let mut conn = cluster.connect_as("acme", "alike");
    // what is only sorted by does not count for PostgreSQL's identifier
    conn.parse("a", "SELECT id, pay FROM acme.customers ORDER BY 2");
    conn.parse("b", "SELECT id FROM acme.customers ORDER BY pay");
    conn.bind("", "a", &[]).execute("", 0);
    conn.sync().ok();
    assert_eq!(short(&settled(&cluster, "alike", 1)[0], "returned", "acme.customers."), set("id pay"));
    cluster.admin("CREATE FUNCTION public.all_pay() RETURNS SETOF numeric STABLE LANGUAGE sql AS 'SELECT pay FROM acme.customers'");
    let mut conn = cluster.connect_as("acme", "inlined");
    conn.query("SELECT p FROM public.all_pay() p, acme.customers c WHERE c.pay > 0 AND c.id = 1").ok();
    let log = settled(&cluster, "inlined", 1);
    assert!(short(&log[0], "returned", "acme.customers.").contains("pay"), "{log:?}");
}

#[test]
fn a_query_too_deep_to_look_through_counts_as_returned() {
    let cluster = running();
    // recursive queries inside recursive ones: each level runs the one inside it until that gives nothing new
    let mut sql = "SELECT id, city FROM acme.customers".to_string();
    for n in 0..24 {
        sql = format!("WITH RECURSIVE r{n} (a, b) AS (SELECT * FROM ({sql}) s (x, y) UNION SELECT b::bigint, a::text FROM r{n} WHERE false) SELECT a, b FROM r{n}");
    }
    let mut conn = cluster.connect_as("acme", "deep");
    let answer = conn.query(&format!("SELECT a FROM ({sql}) z (a, b) WHERE b IS NULL AND false"));
    assert!(matches!(answer.code(), "" | "54001"), "{answer:?}");
    if answer.error.is_none() {
        let log = settled(&cluster, "deep", 1);
        assert_eq!(log[0].get("returned"), "{acme.customers.id,acme.customers.city}");
    }
}
