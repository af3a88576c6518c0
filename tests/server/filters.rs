//! Row filters that look into other tables, by EXISTS and IN: who sees which rows, and that nobody learns more by it.

mod life;
mod refused;
mod sealed;

use crate::cluster::Cluster;
use crate::fixture::{self, leaked, running, settled, ACME_RULES, VISIBLE};
use crate::process::eventually;
use crate::protocol::Conn;

/// The filters that show the fixture's visible rows, each by another way.
const FILTERS: [(&str, &str); 7] = [
    ("exists", "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.id AND c.given)"),
    ("not exists", "NOT EXISTS (SELECT * FROM public.consents WHERE customer = id AND NOT given)"),
    ("in", "id IN (SELECT c.customer FROM public.consents c WHERE c.given)"),
    ("not in", "id NOT IN (SELECT customer FROM public.consents WHERE NOT given)"),
    ("or", "id < 0 OR EXISTS (SELECT 1 FROM public.consents c WHERE c.customer = customers.id AND c.given)"),
    (
        "joined",
        "EXISTS (SELECT FROM public.consents c JOIN public.consents d ON d.customer = c.customer WHERE c.customer = customers.id AND d.given)",
    ),
    (
        "nested",
        "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.id AND c.customer IN (SELECT d.customer FROM public.consents d WHERE d.given AND d.customer = customers.id))",
    ),
];

/// Ways in which the planner may join, on as many tables as it likes.
const PLANS: [&[&str]; 6] = [
    &[],
    &["enable_hashjoin"],
    &["enable_hashjoin", "enable_mergejoin"],
    &["enable_nestloop", "enable_hashjoin"],
    &["enable_nestloop", "enable_mergejoin", "enable_seqscan"],
    &["enable_hashjoin", "enable_mergejoin", "enable_material", "enable_memoize", "enable_hashagg", "enable_sort"],
];

fn replace(cluster: &Cluster, filter: &str) {
    let filter = filter.replace('\'', "''");
    cluster.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => '{filter}', subject => '{{id}}')"
    ));
}

/// A session of acme's that plans without these.
fn planning(cluster: &Cluster, name: &str, without: &[&str]) -> Conn {
    let mut acme = cluster.connect_as("acme", name);
    for setting in without {
        acme.query(&format!("SET {setting} = off")).ok();
    }
    acme
}

/// From now on whatever can be done by several processes is.
fn parallel(cluster: &Cluster) {
    for setting in [
        "parallel_setup_cost = 0",
        "parallel_tuple_cost = 0",
        "min_parallel_table_scan_size = 0",
        "min_parallel_index_scan_size = 0",
        "max_parallel_workers_per_gather = 2",
    ] {
        cluster.admin(&format!("ALTER SYSTEM SET {setting}"));
    }
    cluster.admin("SELECT pg_reload_conf()");
    eventually("the settings are taken up", || {
        (cluster.sql("acme", "SHOW parallel_tuple_cost").value() == "0").then_some(())
    });
    let plan = cluster.admin("EXPLAIN SELECT c.id FROM public.customers c JOIN public.consents d ON d.customer = c.id");
    assert!(plan.first().iter().any(|line| line.contains("Gather")), "control: {plan:?}");
}

/// Changes one digit inside the stored ciphertext of a column.
fn damage(cluster: &Cluster, column: &str, id: u32) {
    let stored = cluster.admin(&format!("SELECT {column} FROM public.customers WHERE id = {id}")).value();
    let at = stored.len() - 10;
    let other = if &stored[at..=at] == "A" { "B" } else { "A" };
    let damaged = format!("{}{other}{}", &stored[..at], &stored[at + 1..]);
    let mut admin = cluster.connect("postgres");
    admin.query("SET airlock.encrypted_input = ciphertext").ok();
    admin.query(&format!("UPDATE public.customers SET {column} = '{damaged}' WHERE id = {id}")).ok();
}

#[test]
fn exists_and_in_show_the_rows_that_they_say() {
    let cluster = running();
    cluster.admin("ANALYZE");
    for (name, filter) in FILTERS {
        replace(&cluster, filter);
        let shown = cluster.sql("acme", "SELECT id, city, ssn, pay FROM acme.customers ORDER BY id").ok();
        assert_eq!((shown.received, leaked(&shown)), (VISIBLE, None), "{name}");
        let ids = "SELECT id FROM public.customers WHERE id % 10 <> 0 ORDER BY id";
        assert_eq!(shown.first(), cluster.admin(ids).first(), "{name}");
        assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers WHERE id IN (10, 11)").ok().first(), ["11"]);
        // what the other table says now is what counts
        cluster.admin("UPDATE public.consents SET given = NOT given WHERE customer IN (11, 20)");
        assert_eq!(
            cluster.sql("acme", "SELECT id FROM acme.customers WHERE id IN (10, 11, 20)").ok().first(),
            ["20"],
            "{name}"
        );
        cluster.admin("UPDATE public.consents SET given = NOT given WHERE customer IN (11, 20)");
    }
    // no row, no consent; and NULL is no
    replace(&cluster, FILTERS[2].1);
    cluster.admin("DELETE FROM public.consents WHERE customer = 1; ALTER TABLE public.consents DROP CONSTRAINT consents_pkey; ALTER TABLE public.consents ALTER customer DROP NOT NULL");
    cluster.admin("INSERT INTO public.consents VALUES (NULL, true), (NULL, false)");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE - 1);
    replace(&cluster, FILTERS[3].1);
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, 0);
}

/// Class A: the filter is a join. Whatever the user asks, the columns' expressions see no row that the join leaves out.
#[test]
fn a_damaged_value_in_a_row_that_a_join_hides_fails_no_query() {
    let cluster = running();
    damage(&cluster, "ssn", 100);
    damage(&cluster, "pay", 90);
    cluster.admin("ANALYZE");
    let queries = [
        ("SELECT count(*) FROM acme.customers WHERE ssn = 'x'", 1),
        ("SELECT count(*) FROM acme.customers WHERE ssn = 'x' OR pay = 5", 1),
        ("SELECT id FROM acme.customers WHERE pay > 1000 AND ssn <> ''", VISIBLE),
        ("SELECT id FROM acme.customers WHERE id = 100 OR id = 90", 0),
        ("SELECT id FROM acme.customers WHERE id = 100 AND ssn = 'x'", 0),
        ("SELECT ssn, pay FROM acme.customers WHERE id >= 90 ORDER BY ssn, pay", 9),
        ("SELECT ssn, max(pay) FROM acme.customers GROUP BY ssn", VISIBLE),
        ("SELECT a.id FROM acme.customers a JOIN acme.customers b ON a.ssn = b.ssn AND a.id = b.id", VISIBLE),
        ("SELECT a.id FROM acme.customers a LEFT JOIN acme.customers b ON a.pay = b.pay AND b.id > 89", VISIBLE),
    ];
    for turn in ["alone", "parallel"] {
        if turn == "parallel" {
            parallel(&cluster);
        }
        for (name, filter) in FILTERS {
            replace(&cluster, filter);
            for without in PLANS {
                let mut acme = planning(&cluster, "", without);
                for (sql, rows) in queries {
                    let answer = acme.query(sql);
                    let said = (answer.code(), answer.received, leaked(&answer));
                    assert_eq!(said, ("", rows, None), "{turn}, {name} without {without:?}: {sql}: {:?}", answer.error);
                }
            }
        }
    }
    // looked up by the tag in its index, below the join
    let clear = ACME_RULES.replace(r#""ssn": {"mask": "partial", "right": 4}"#, r#""ssn": "clear""#);
    assert_ne!(clear, ACME_RULES);
    cluster.admin("CREATE INDEX ON public.customers (airlock.match_tag(ssn)); ANALYZE public.customers");
    for (name, filter) in FILTERS {
        cluster.admin(&format!(
            "SELECT airlock.replace_scope('acme', 'public.customers', '{clear}', row_filter => '{filter}', subject => '{{id}}')"
        ));
        for without in [&[][..], &["enable_seqscan"], &["enable_hashjoin", "enable_mergejoin"]] {
            let mut acme = planning(&cluster, "", without);
            for (value, rows) in [("CANARYMASK_e0007", 1), ("CANARYROW_e0100", 0), ("CANARYROW_e0090", 0)] {
                let answer = acme.query(&format!("SELECT id FROM acme.customers WHERE ssn = '{value}'"));
                assert_eq!((answer.code(), answer.received), ("", rows), "{name} without {without:?}: {value}");
            }
        }
    }
    // control: shown, the rows fail
    replace(&cluster, "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.id)");
    assert_eq!(cluster.sql("acme", "SELECT ssn FROM acme.customers").code(), "AL003");
    // control: one level is not enough
    cluster.admin(
        "CREATE TABLE public.broken AS SELECT id, CASE WHEN id % 10 = 0 THEN 'CANARYROW_p' ELSE id::text END AS text FROM public.customers;
         CREATE VIEW public.naive WITH (security_barrier) AS SELECT b.id, b.text::int AS n FROM public.broken b
           WHERE EXISTS (SELECT FROM public.consents c WHERE c.customer = b.id AND c.given);
         GRANT SELECT ON public.naive TO clerk; ANALYZE public.broken",
    );
    let answer = cluster.sql("clerk", "SELECT id FROM public.naive WHERE n = 5");
    assert!(answer.code() == "22P02" && leaked(&answer).is_some(), "the naive view holds: {answer:?}");
}

#[test]
fn the_other_table_cannot_be_read_by_any_other_way() {
    let cluster = running();
    replace(&cluster, FILTERS[0].1);
    for hostile in [false, true] {
        if hostile {
            cluster.admin("GRANT ALL ON public.consents TO acme; GRANT pg_read_all_data TO acme; GRANT airlock_view_owner TO acme");
        }
        for sql in [
            "SELECT * FROM public.consents",
            "SELECT customer FROM public.consents",
            "SELECT count(*) FROM public.consents",
            "SELECT id FROM acme.customers WHERE EXISTS (SELECT FROM public.consents WHERE customer = 10)",
            "SELECT query_to_xml('SELECT customer FROM public.consents', true, true, '')",
            "COPY public.consents TO STDOUT",
            "SET ROLE airlock_view_owner; SELECT customer FROM public.consents",
            "SELECT most_common_vals FROM pg_catalog.pg_stats WHERE tablename = 'consents'",
        ] {
            let answer = cluster.sql("acme", sql);
            let stats = sql.contains("pg_stats");
            assert!(
                ["AL007", "42501"].contains(&answer.code()) || stats && answer.received == 0,
                "{hostile}: {sql}: {answer:?}"
            );
            assert_eq!(answer.received, 0, "{sql}");
        }
        assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
        // another sub-processor's filter opens nothing for this one
        let answer = cluster.sql("globex", "SELECT customer FROM public.consents");
        assert!(["AL007", "42501"].contains(&answer.code()), "{answer:?}");
    }
}

/// What the filter reads is in the record, by its table; and nobody whom the join hides counts as seen for certain.
#[test]
fn the_record_says_what_the_filter_read_and_whom_it_showed() {
    let cluster = running();
    cluster.admin("ANALYZE");
    for (name, filter) in FILTERS {
        replace(&cluster, filter);
        for (i, without) in PLANS.iter().enumerate() {
            let label = format!("{name} {i}");
            let mut acme = planning(&cluster, &label, without);
            acme.query("SELECT city FROM acme.customers WHERE id > 80").ok();
            drop(acme);
            let log = settled(&cluster, &label, 1);
            let columns = log[0].get("base_columns");
            for column in ["public.customers.id", "public.consents.customer", "public.consents.given"] {
                assert!(columns.contains(column), "{label}: {columns}");
            }
            assert_eq!(log[0].get("columns"), "{acme.customers.id,acme.customers.city}", "{label}");
            let saw = |certainty: &str| {
                let sql = format!(
                    "SELECT p FROM generate_series(1, 100) p, LATERAL airlock.who_saw('public.customers', p::text) w
                      WHERE w.id = {} AND w.certainty = '{certainty}' ORDER BY 1",
                    log[0].get("id")
                );
                cluster.admin(&sql).first().iter().map(|p| p.parse().unwrap()).collect::<Vec<u32>>()
            };
            let (exact, possible) = (saw("exact"), saw("possible"));
            let shown: Vec<u32> = (81..=99).filter(|p| *p != 90).collect();
            assert!(exact.iter().all(|p| shown.contains(p)), "{label}: {exact:?}");
            assert!(shown.iter().all(|p| exact.contains(p) || possible.contains(p)), "{label}: {exact:?} {possible:?}");
            // a filter of the scan itself, or a loop: it shows which rows pass
            if ["not in", "or"].contains(&name) || without.contains(&"enable_material") {
                assert_eq!(exact, shown, "{label}: possible {possible:?}");
            }
        }
    }
    assert_eq!(fixture::verify(&mut cluster.connect("postgres")), (true, None, String::new()));
}

/// A hash join that does not fit in memory puts rows of its outer side into files: by the time they come back, others were
/// scanned. Nobody is named for somebody else then.
#[test]
fn rows_that_a_join_kept_in_a_file_name_nobody_else() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.folk (id bigint PRIMARY KEY, city text); INSERT INTO public.folk SELECT g, repeat('x', 100) FROM generate_series(1, 6000) g;
         CREATE TABLE public.agreed (folk bigint PRIMARY KEY, given boolean); INSERT INTO public.agreed SELECT g, g % 10 <> 0 FROM generate_series(1, 6000) g;
         ALTER TABLE public.folk OWNER TO app; ALTER TABLE public.agreed OWNER TO app; ANALYZE public.folk; ANALYZE public.agreed;
         SELECT airlock.create_scope('acme', 'public.folk', '{\"city\": \"clear\"}', subject => '{id}',
           row_filter => 'EXISTS (SELECT FROM public.agreed a WHERE a.folk = folk.id AND a.given)')",
    );
    for setting in ["work_mem = '64kB'", "hash_mem_multiplier = 1", "enable_nestloop = off", "enable_mergejoin = off"] {
        cluster.admin(&format!("ALTER SYSTEM SET {setting}"));
    }
    cluster.admin("SELECT pg_reload_conf()");
    eventually("the settings are taken up", || (cluster.sql("acme", "SHOW work_mem").value() == "64kB").then_some(()));
    let plan = cluster.admin("EXPLAIN (ANALYZE) SELECT f.city FROM public.folk f WHERE EXISTS (SELECT FROM public.agreed a WHERE a.folk = f.id AND a.given)").first();
    let batches = plan.iter().find(|line| line.contains("Batches:"));
    assert!(batches.is_some_and(|line| !line.contains("Batches: 1 ")), "control: {plan:?}");
    let scans = plan.iter().filter(|line| line.contains("Scan on")).collect::<Vec<_>>();
    assert!(scans[0].contains("folk") && scans[1].contains("agreed"), "control: {plan:?}");
    let mut acme = cluster.connect_as("acme", "kept in files");
    assert_eq!(acme.query("SELECT city FROM acme.folk").ok().received, 5400);
    drop(acme);
    let log = settled(&cluster, "kept in files", 1);
    // a few of them, as each question takes its time
    let asked = "SELECT p, w.certainty FROM generate_series(91, 6000, 311) p, LATERAL airlock.who_saw('public.folk', p::text) w WHERE w.id =";
    let mut admin = cluster.connect("postgres");
    admin.query("SET work_mem = '4MB'; SET enable_nestloop = on; SET enable_mergejoin = on").ok();
    let found = admin.query(&format!("{asked} {}", log[0].get("id"))).ok().rows;
    let found: Vec<(u32, String)> =
        found.iter().map(|r| (r[0].as_ref().unwrap().parse().unwrap(), r[1].clone().unwrap())).collect();
    assert!(found.iter().all(|(p, certainty)| p % 10 != 0 || certainty != "exact"), "{found:?}");
    let shown = found.iter().filter(|(p, _)| p % 10 != 0).count();
    assert_eq!(shown, (91..=6000).step_by(311).filter(|p| p % 10 != 0).count());
    let exact = found.iter().filter(|(_, certainty)| certainty == "exact").count();
    assert!(exact > 0 && exact < shown, "{found:?}");
}
