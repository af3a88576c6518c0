//! EXPLAIN as the sub-processor: refused unless every scoped view that the statement reads allows it, on record, and the
//! same text whatever the rows are that it may not see.

mod foreign;

use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{self, logged, settled, VISIBLE};
use crate::protocol::{Answer, Conn};

/// What may be explained: scopes of `shop`, beside the fixture's customers. Rows with `shown` are acme's.
const SHOP: &str = "
    CREATE TABLE public.shop (id int PRIMARY KEY, shown boolean NOT NULL, kind int, city text, tags text[], bought date, note text);
    INSERT INTO public.shop SELECT g, true, g % 5, (ARRAY['Oslo', 'Lund', 'Bergen'])[g % 3 + 1], ARRAY['t' || g % 7], date '2020-01-01' + g, 'x'
      FROM generate_series(1, 200) g;
    CREATE INDEX ON public.shop (kind);
    CREATE INDEX ON public.shop (shown, city);
    CREATE INDEX ON public.shop USING gin (tags);
    CREATE INDEX ON public.shop USING brin (bought);
    CREATE INDEX ON public.shop (lower(note));
    CREATE STATISTICS public.shop_both (ndistinct, mcv, dependencies) ON kind, city FROM public.shop;
    CREATE TABLE public.sale (id int, shop int, price numeric, shown boolean NOT NULL) PARTITION BY RANGE (id);
    CREATE TABLE public.sale_1 PARTITION OF public.sale FOR VALUES FROM (0) TO (1000);
    CREATE TABLE public.sale_2 PARTITION OF public.sale FOR VALUES FROM (1000) TO (10000000);
    CREATE INDEX ON public.sale (shop);
    INSERT INTO public.sale SELECT g, g % 200, g, true FROM generate_series(1, 2000) g;
    ANALYZE";

/// Rows of `shop` that no scope shows, many and unlike the others; the last ones wait in the GIN index's list.
const HIDDEN: &str = "
    INSERT INTO public.shop SELECT g, false, 3, 'Nowhere', ARRAY['t3', 'u' || g], date '1990-01-01', repeat('CANARYROW', 20)
      FROM generate_series(1000, 20000) g;
    SELECT gin_clean_pending_list('public.shop_tags_idx');
    INSERT INTO public.shop SELECT g, false, 3, 'Nowhere', ARRAY['t3', repeat('v', 500) || g], date '1990-01-01', 'CANARYROW' FROM generate_series(20001, 20300) g;
    ANALYZE public.shop";

/// The same of `sale`.
const HIDDEN_SALES: &str = "
    INSERT INTO public.sale SELECT g, 7, 1, false FROM generate_series(10000, 60000) g;
    ANALYZE public.sale";

/// Row filters that hide these rows, each by other means: an index of each kind, a condition on two columns that have
/// statistics together, an expression.
const FILTERS: [&str; 7] = [
    "shown",
    "kind < 9 AND city <> 'Nowhere'",
    "city IN ('Oslo', 'Lund')",
    "id < 1000",
    "tags && '{t0,t1,t2}' AND shown",
    "bought > '2019-01-01'",
    "lower(note) = 'x'",
];

const SHOP_RULES: &str =
    r#"{"id": "clear", "kind": "clear", "city": "clear", "note": {"mask": "initials"}, "bought": "clear"}"#;

fn scope(table: &str, rules: &str, filter: &str, more: &str) -> String {
    format!("SELECT airlock.create_scope('acme', 'public.{table}', '{rules}', row_filter => $f${filter}$f${more})")
}

const ALLOWED: &str = ", fence => true, allow_explain => true";

fn shops() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(SHOP);
    cluster.admin(&scope("shop", SHOP_RULES, "shown", ALLOWED));
    cluster.admin(&scope("sale", r#"{"id": "clear", "shop": "clear", "price": "clear"}"#, "shown", ALLOWED));
    cluster
}

const STATEMENTS: &[&str] = &[
    "SELECT * FROM acme.shop",
    "SELECT id FROM acme.shop WHERE city = 'Oslo'",
    "SELECT id FROM acme.shop WHERE city = 'Nowhere'",
    "SELECT id FROM acme.shop WHERE kind = 3 AND bought < '2000-01-01' ORDER BY id LIMIT 5",
    "SELECT id FROM acme.shop WHERE id = 1500",
    "SELECT kind, city, count(*) FROM acme.shop GROUP BY kind, city",
    "SELECT DISTINCT note FROM acme.shop ORDER BY 1",
    "SELECT a.id, b.price FROM acme.shop a JOIN acme.sale b ON b.shop = a.id WHERE b.id < 100",
    "SELECT count(*) FROM acme.shop a JOIN acme.shop b USING (kind) JOIN acme.sale c ON c.id = a.id",
    "SELECT * FROM acme.sale WHERE shop IN (SELECT id FROM acme.shop WHERE city = 'Lund')",
    "WITH s AS MATERIALIZED (SELECT * FROM acme.shop) SELECT (SELECT max(price) FROM acme.sale WHERE shop = s.id) FROM s",
    "SELECT id, row_number() OVER (PARTITION BY kind ORDER BY bought) FROM acme.shop",
    "SELECT a.id FROM acme.shop a LEFT JOIN pg_catalog.pg_class c ON c.relname = a.city WHERE EXISTS (SELECT FROM acme.sale s WHERE s.shop = a.kind)",
    "SELECT id FROM acme.sale UNION SELECT id FROM acme.shop",
];

/// The text of each, in the forms that are allowed; what names the query by a number is left out.
fn plans(conn: &mut Conn, statements: &[String]) -> Vec<String> {
    let mut texts = Vec::new();
    for sql in statements {
        for options in ["", "(COSTS OFF)", "(VERBOSE, FORMAT JSON)"] {
            let answer = conn.query(&format!("EXPLAIN {options} {sql}"));
            assert_eq!(answer.code(), "", "{sql}: {:?}", answer.error);
            let text = answer.first().join("\n");
            let lines: Vec<&str> = text.lines().filter(|line| !line.contains("Query Identifier")).collect();
            texts.push(format!("{options} {sql}\n{}", lines.join("\n")));
        }
    }
    texts
}

fn is_refused(answer: &Answer, what: &str) {
    // of a table without a grant PostgreSQL says it first
    let theirs = ["public.consents", "pg_statistic", "airlock.gate"].iter().any(|table| what.contains(table));
    let code = if theirs { "42501" } else { "AL007" };
    assert_eq!(answer.code(), code, "{what}: {:?} {:?}", answer.error, answer.rows);
    assert_eq!(answer.received, 0, "{what}");
}

#[test]
fn a_plan_tells_nothing_of_hidden_rows() {
    let cluster = fixture::running();
    cluster.admin(SHOP);
    cluster.admin(&scope("sale", r#"{"id": "clear", "shop": "clear", "price": "clear"}"#, "shown", ALLOWED));
    let named = |text: &str, i: usize| {
        text.replace("public.shop", &format!("public.shop{i}")).replace("acme.shop", &format!("acme.shop{i}"))
    };
    for (i, filter) in FILTERS.iter().enumerate() {
        cluster.admin(&format!("CREATE TABLE public.shop{i} (LIKE public.shop INCLUDING ALL); INSERT INTO public.shop{i} SELECT * FROM public.shop; ANALYZE public.shop{i}"));
        cluster.admin(&scope(&format!("shop{i}"), SHOP_RULES, filter, ALLOWED));
    }
    let statements: Vec<Vec<String>> =
        (0..FILTERS.len()).map(|i| STATEMENTS.iter().map(|sql| named(sql, i)).collect()).collect();
    let all = |conn: &mut Conn| statements.iter().flat_map(|list| plans(conn, list)).collect::<Vec<_>>();
    // the control: who may see the tables' sizes and statistics does
    let control = || {
        statements
            .iter()
            .flatten()
            .map(|sql| cluster.admin(&format!("EXPLAIN {sql}")).first().join("\n"))
            .collect::<Vec<_>>()
    };
    let mut acme = cluster.connect("acme");
    let rows = |conn: &mut Conn, i: usize| conn.query(&format!("SELECT id FROM acme.shop{i}")).ok().first();
    let (few, before) = (all(&mut acme), control());
    let shown: Vec<_> = (0..FILTERS.len()).map(|i| rows(&mut acme, i)).collect();
    for i in 0..FILTERS.len() {
        cluster.admin(&named(HIDDEN, i));
    }
    cluster.admin(HIDDEN_SALES);
    for (i, shown) in shown.iter().enumerate() {
        let mut now = rows(&mut acme, i);
        let mut shown = shown.clone();
        now.sort();
        shown.sort();
        assert_eq!(now, shown, "{}: only hidden rows were added", FILTERS[i]);
    }
    for (before, after) in before.iter().zip(control()) {
        assert_ne!(*before, after, "the hidden rows change no plan, so this shows nothing");
    }
    for (few, many) in few.iter().zip(all(&mut acme)) {
        assert_eq!(*few, many);
    }
    for (few, many) in few.iter().zip(all(&mut cluster.connect("acme"))) {
        assert_eq!(*few, many, "a new session");
    }
    // and again without them
    for table in (0..FILTERS.len()).map(|i| format!("shop{i}")).chain(["sale".to_string()]) {
        cluster.admin(&format!("DELETE FROM public.{table} WHERE NOT shown"));
        cluster.admin(&format!("VACUUM FULL ANALYZE public.{table}"));
    }
    for (few, again) in few.iter().zip(all(&mut acme)) {
        assert_eq!(*few, again, "without the hidden rows");
    }
}

/// What is asked for decides only where it stands in the text: the estimate for a value that is there and for one that is
/// not is the same.
#[test]
fn a_constant_changes_no_estimate() {
    let cluster = shops();
    cluster.admin(HIDDEN);
    let mut acme = cluster.connect("acme");
    for (there, not) in [
        ("city = 'Oslo'", "city = 'Nowhere'"),
        ("kind = 3", "kind = 8"),
        ("id = 7", "id = 7000007"),
        ("bought = '1990-01-01'", "bought = '1890-01-01'"),
    ] {
        let mut plan = |condition: &str| {
            let text =
                acme.query(&format!("EXPLAIN SELECT * FROM acme.shop WHERE {condition}")).ok().first().join("\n");
            text.lines().filter(|line| !line.contains("Filter:")).collect::<Vec<_>>().join("\n")
        };
        let (a, b) = (plan(there), plan(not));
        assert_eq!(a, b);
        assert!(a.contains("rows="), "{a}");
    }
}

#[test]
fn refused_by_default_in_every_way() {
    let cluster = fixture::running();
    cluster.admin(SHOP);
    // a fence alone allows nothing
    cluster.admin(&scope("shop", SHOP_RULES, "shown", ", fence => true"));
    let mut acme = cluster.connect("acme");
    for sql in
        ["SELECT id FROM acme.customers", "SELECT id FROM acme.shop", "SELECT 1", "SELECT * FROM pg_catalog.pg_class"]
    {
        for explain in
            ["EXPLAIN", "EXPLAIN (COSTS OFF)", "EXPLAIN ANALYZE", "EXPLAIN (ANALYZE OFF, COSTS OFF)", "EXPLAIN VERBOSE"]
        {
            let sql = format!("{explain} {sql}");
            is_refused(&acme.query(&sql), &sql);
            is_refused(&acme.extended(&sql, &[]), &sql);
        }
        acme.query(sql).ok();
        acme.query(&format!("PREPARE p AS {sql}")).ok();
        is_refused(&acme.query("EXPLAIN EXECUTE p"), sql);
        acme.query("EXECUTE p").ok();
        acme.query("DEALLOCATE p").ok();
    }
    let error = acme.query("EXPLAIN SELECT id FROM acme.shop").error.unwrap();
    assert!(error.get('H').contains("run the query itself"), "{}", error.text());
}

#[test]
fn allowed_above_a_fence_only() {
    let cluster = fixture::running();
    cluster.admin(SHOP);
    for more in
        [", allow_explain => true", ", fence => false, allow_explain => true", ", fence => NULL, allow_explain => true"]
    {
        let error = cluster.admin_error(&scope("shop", SHOP_RULES, "shown", more));
        assert_eq!(error.code(), "AL010", "{more}");
        assert!(error.get('H').contains("fence => true"), "{}", error.text());
    }
    // nor by a hand in the catalog
    cluster.admin(&scope("shop", SHOP_RULES, "shown", ""));
    let error = cluster.admin_error("UPDATE airlock_catalog.scope SET allow_explain = true WHERE dropped_at IS NULL");
    assert_eq!(error.code(), "23514");
    cluster.admin(&scope("shop", SHOP_RULES, "shown", ALLOWED).replace("create_scope", "replace_scope"));
    let mut acme = cluster.connect("acme");
    let text = acme.query("EXPLAIN SELECT id FROM acme.shop WHERE city = 'Oslo'").ok().first().join("\n");
    assert!(text.contains("Seq Scan on shop") && text.contains("airlock.gate"), "{text}");
    let sql = "EXPLAIN (COSTS OFF) SELECT id FROM acme.shop WHERE city = $1 AND kind = $2";
    let text = acme.extended(sql, &[Some("Oslo"), Some("3")]).ok().first().join("\n");
    assert!(text.contains("'Oslo'"), "{text}");
    // what it shows runs: the same plan is made for the read
    assert_eq!(acme.query("SELECT id FROM acme.shop WHERE city = 'Oslo'").ok().received, 66);
}

#[test]
fn every_option_that_counts_or_measures_is_refused() {
    let cluster = shops();
    let mut acme = cluster.connect("acme");
    for option in [
        "ANALYZE",
        "ANALYZE true",
        "ANALYZE 1",
        "ANALYZE on, COSTS off, TIMING off, SUMMARY off",
        "ANALYZE off, ANALYZE on",
        "BUFFERS",
        "WAL",
        "TIMING",
        "SUMMARY",
        "SUMMARY true",
        "SETTINGS",
        "SETTINGS on",
        "GENERIC_PLAN",
        "MEMORY",
        "SERIALIZE",
        "SERIALIZE text",
        "\"ANALYZE\"",
        "io",
        "plan_advice off",
        "nonsense",
        "COSTS off, FORMAT json, MEMORY on",
    ] {
        for sql in [
            format!("EXPLAIN ({option}) SELECT id FROM acme.shop"),
            format!("EXPLAIN ({option}) SELECT id FROM acme.shop WHERE $1 = 1"),
        ] {
            let answer = if sql.contains("$1") { acme.extended(&sql, &[Some("1")]) } else { acme.query(&sql) };
            is_refused(&answer, &sql);
            assert!(!answer.error.unwrap().get('H').is_empty(), "{sql}");
        }
    }
    for sql in ["EXPLAIN ANALYZE SELECT id FROM acme.shop", "EXPLAIN ANALYZE VERBOSE SELECT id FROM acme.shop"] {
        let answer = acme.query(sql);
        is_refused(&answer, sql);
        assert!(answer.error.unwrap().get('H').contains("without running it"), "{sql}");
    }
    // what pgAdmin sends: off is off
    for options in [
        "(FORMAT JSON, ANALYZE OFF, VERBOSE OFF, COSTS OFF, BUFFERS OFF, TIMING OFF, SUMMARY OFF, SETTINGS OFF, WAL OFF)",
        "(COSTS)", "(FORMAT YAML, VERBOSE)", "(FORMAT XML, COSTS true)", "VERBOSE",
    ] {
        let answer = acme.query(&format!("EXPLAIN {options} SELECT id FROM acme.shop")).ok();
        assert!(answer.received > 0, "{options}");
        assert!(!answer.everything().contains("Planning"), "{options}: {answer:?}");
    }
}

#[test]
fn only_a_select_of_views_that_all_allow_it() {
    let cluster = shops();
    cluster.admin("
        CREATE FUNCTION public.others() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT city FROM acme.customers $$;
        CREATE FUNCTION public.shops() RETURNS SETOF text LANGUAGE sql STABLE AS $$ SELECT city FROM acme.shop $$;
        CREATE FUNCTION public.explains() RETURNS SETOF text LANGUAGE plpgsql AS $$ DECLARE line text; BEGIN FOR line IN EXPLAIN ANALYZE SELECT * FROM acme.shop LOOP RETURN NEXT line; END LOOP; END $$;
        GRANT USAGE ON SCHEMA globex TO acme; GRANT SELECT ON globex.customers TO acme; GRANT SELECT ON public.shop TO acme; GRANT INSERT ON acme.shop TO acme");
    let mut acme = cluster.connect("acme");
    acme.query("PREPARE p AS SELECT id FROM acme.shop").ok();
    acme.query("EXECUTE p").ok();
    for sql in [
        // a scope that does not, wherever it stands
        "SELECT a.id FROM acme.shop a JOIN acme.customers b ON a.id = b.id",
        "SELECT id, (SELECT count(*) FROM acme.customers) FROM acme.shop",
        "WITH c AS (SELECT * FROM acme.customers) SELECT s.id FROM acme.shop s, c",
        "WITH c AS (SELECT * FROM acme.customers) SELECT id FROM acme.shop",
        "SELECT id FROM acme.shop WHERE EXISTS (SELECT FROM acme.customers) AND false",
        "SELECT id FROM acme.shop UNION ALL SELECT id FROM acme.customers",
        "SELECT s.id FROM acme.shop s, public.others() o",
        // one that names no scoped view
        "SELECT * FROM public.others()",
        "SELECT * FROM public.shops()",
        "SELECT * FROM public.explains()",
        "SELECT 1",
        // not its own
        "SELECT a.id FROM acme.shop a, globex.customers b",
        "SELECT a.id FROM acme.shop a, public.shop b",
        "SELECT a.id FROM acme.shop a, public.consents b",
        "SELECT a.id FROM acme.shop a, pg_catalog.pg_statistic b",
        // no SELECT, or more than one
        "EXECUTE p",
        "SELECT id INTO x FROM acme.shop",
        "CREATE TABLE x AS SELECT id FROM acme.shop",
        "CREATE TABLE x AS EXECUTE p",
        "DECLARE c CURSOR FOR SELECT id FROM acme.shop",
        "INSERT INTO acme.shop (id) SELECT id FROM acme.shop",
        "WITH x AS (INSERT INTO acme.shop (id) VALUES (1) RETURNING id) SELECT * FROM x",
        "SELECT id FROM acme.shop FOR UPDATE",
        "SELECT id FROM acme.shop WHERE set_config('x.y', city, false) IS NULL",
        "SELECT airlock.gate(1), id FROM acme.shop",
    ] {
        for explain in ["EXPLAIN", "EXPLAIN (COSTS OFF)"] {
            let sql = format!("{explain} {sql}");
            is_refused(&acme.query(&sql), &sql);
            is_refused(&acme.extended(&sql, &[]), &sql);
        }
    }
    is_refused(&acme.query("SELECT * FROM public.explains()"), "through a function");
    // the twins
    acme.query("EXPLAIN SELECT s.id FROM acme.shop s, public.shops() o").ok();
    acme.query("SELECT s.id FROM acme.shop s, public.others() o LIMIT 1").ok();
    acme.query("EXPLAIN SELECT a.id FROM acme.shop a JOIN acme.sale b ON a.id = b.shop").ok();
    assert_eq!(acme.query("SELECT a.id FROM acme.shop a JOIN acme.customers b ON a.id = b.id").ok().received, VISIBLE);
    let error = acme.query("EXPLAIN SELECT a.id FROM acme.shop a JOIN acme.customers b ON a.id = b.id").error.unwrap();
    assert!(error.get('D').contains("acme.customers"), "{}", error.text());
}

#[test]
fn the_record_is_there_before_the_plan() {
    let mut cluster = shops();
    let mut acme = cluster.connect_as("acme", "looks");
    acme.query("SELECT id FROM acme.shop WHERE id < 4").ok();
    // nothing of one that is refused before it is planned; one that PostgreSQL refuses afterwards is on record already
    is_refused(&acme.query("EXPLAIN ANALYZE SELECT id FROM acme.shop"), "ANALYZE");
    is_refused(&acme.query("EXPLAIN SELECT a.id FROM acme.shop a, public.consents b"), "public.consents");
    acme.query("EXPLAIN (COSTS OFF) SELECT id FROM acme.shop WHERE city = 'Oslo'; SELECT 7").ok();
    let sql = "EXPLAIN SELECT max(price) FROM acme.sale WHERE shop = $1";
    acme.extended(sql, &[Some("70007")]).ok();
    // no read follows that would flush it
    cluster.stop_immediately();
    cluster.start();
    fixture::open(&cluster);
    let log: Vec<_> = logged(&cluster, "looks").into_iter().filter(|r| r.get("sqlstate").is_empty()).collect();
    let said: Vec<_> = log
        .iter()
        .map(|r| (r.get("kind"), r.get("outcome"), r.get("views"), r.get("columns"), r.get("statement")))
        .collect();
    assert_eq!(
        said,
        [
            ("exact", "ok", "{acme.shop}", "{acme.shop.id}", "SELECT id FROM acme.shop WHERE id < ?"),
            (
                "explain",
                "ok",
                "{acme.shop}",
                "{acme.shop.id}",
                "EXPLAIN SELECT a.id FROM acme.shop a, public.consents b"
            ),
            (
                "explain",
                "ok",
                "{acme.shop}",
                "{acme.shop.id,acme.shop.city}",
                "EXPLAIN (COSTS OFF) SELECT id FROM acme.shop WHERE city = ?"
            ),
            (
                "explain",
                "ok",
                "{acme.sale}",
                "{acme.sale.shop,acme.sale.price}",
                "EXPLAIN SELECT max(price) FROM acme.sale WHERE shop = $1"
            ),
        ]
    );
    assert_eq!((log[2].get("returned"), log[2].get("filtered")), ("{acme.shop.id}", "{acme.shop.city}"));
    assert_eq!(
        (log[2].get("purpose"), log[2].get("login_role"), log[2].get("rows_sent")),
        ("product analytics", "acme", "")
    );
    let values =
        |i: usize| cluster.admin(&format!("SELECT * FROM airlock.statement_values({})", log[i].get("id"))).everything();
    assert!(values(2).contains("Oslo") && values(3).contains("70007"));
    fixture::drained(&cluster);
    assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

#[test]
fn what_the_contract_refuses_is_not_explained() {
    let cluster = shops();
    let explain = "EXPLAIN SELECT id FROM acme.shop";
    let mut acme = cluster.connect_as("acme", "looks");
    acme.query(explain).ok();
    cluster.admin("SELECT airlock.alter_subprocessor('acme', '{\"purposes\": [\"a\", \"b\"]}')");
    let mut acme = cluster.connect_as("acme", "purposeless");
    assert_eq!(acme.query(explain).code(), "AL008");
    acme.query("SET airlock.purpose = 'b'").ok();
    acme.query(explain).ok();
    let log = settled(&cluster, "purposeless", 2);
    assert_eq!((log[0].get("kind"), log[0].get("sqlstate")), ("denied", "AL008"));
    assert_eq!((log[1].get("kind"), log[1].get("purpose")), ("explain", "b"));
    cluster.admin("SELECT airlock.suspend('acme', 'why')");
    assert_eq!(
        cluster.login("acme", DATABASE, &[]).map(|mut c| c.query(explain).code().to_string()).unwrap_or("AL006".into()),
        "AL006"
    );
    cluster.admin("SELECT airlock.resume('acme', 'why')");
    // a permission that was taken back is not there for what was prepared before either
    let mut acme = cluster.connect("acme");
    acme.query("SET airlock.purpose = 'b'").ok();
    acme.parse("e", explain);
    assert_eq!(acme.sync().code(), "");
    acme.bind("", "e", &[]).execute("", 0);
    assert!(acme.sync().ok().received > 0);
    cluster.admin(&scope("shop", SHOP_RULES, "shown", ", fence => true").replace("create_scope", "replace_scope"));
    acme.bind("", "e", &[]).execute("", 0);
    is_refused(&acme.sync(), "prepared before");
    acme.query("SELECT id FROM acme.shop").ok();
}
