//! Equality on encrypted columns: served by an index, right in every plan, for whoever may match and nobody else.

use crate::cluster::{Cluster, DATABASE};
use crate::fixture;
use crate::process::eventually;
use crate::protocol::{Answer, Conn};

/// Two tables of the application: three searchable columns under two keys, one unique, one normalised.
const TABLES: &str = "
    SELECT airlock.create_key('num', 'integer'), airlock.create_key('mail', normalise => 'lower'), airlock.create_key('other');
    CREATE TABLE public.person (id int PRIMARY KEY, region int, ssn airlock.encrypted_eq('pii'), n airlock.encrypted_eq('num'),
        mail airlock.encrypted_eq('mail', 'unique'), other airlock.encrypted_eq('other'), note airlock.encrypted('pii'));
    INSERT INTO public.person SELECT g, g % 10, CASE WHEN g % 1000 = 0 THEN NULL ELSE 'ssn' || g END, g,
        'User' || g || '@Example.org', 'ssn' || g, 'x' FROM generate_series(1, 4000) g;
    CREATE INDEX person_ssn ON public.person (airlock.match_tag(ssn));
    CREATE INDEX person_n ON public.person (airlock.match_tag(n));
    CREATE UNIQUE INDEX person_mail ON public.person (airlock.match_tag16(mail));
    CREATE TABLE public.visit (id int PRIMARY KEY, ssn airlock.encrypted_eq('pii'), spelled text);
    INSERT INTO public.visit SELECT g, 'ssn' || g * 2, 'ssn' || g * 2 FROM generate_series(1, 200) g;
    CREATE INDEX visit_ssn ON public.visit (airlock.match_tag(ssn));
    ALTER TABLE public.person OWNER TO app; ALTER TABLE public.visit OWNER TO app; ANALYZE public.person; ANALYZE public.visit;
    GRANT SELECT ON public.person, public.visit TO clerk;
    SELECT airlock.grant_decrypt('num', 'app'), airlock.grant_decrypt('mail', 'app'), airlock.grant_decrypt('other', 'app');";

fn prepared() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(TABLES);
    cluster
}

/// The first row.
fn row(answer: Answer) -> Vec<String> {
    answer.rows[0].iter().map(|field| field.clone().unwrap_or_default()).collect()
}

fn ids(answer: &Answer) -> String {
    let mut ids: Vec<i64> = answer.rows.iter().filter_map(|r| r[0].as_ref()?.parse().ok()).collect();
    ids.sort_unstable();
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

#[track_caller]
fn plan(conn: &mut Conn, sql: &str) -> String {
    let rows = conn.query(&format!("EXPLAIN (COSTS OFF) {sql}")).ok().rows;
    rows.into_iter().filter_map(|r| r[0].clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn comparisons_are_right_and_served_by_an_index() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    // what is asked, which ids answer it, and which index serves it; none where there is no index to serve
    let cases = [
        ("ssn = 'ssn77'", "77", "person_ssn"),
        ("'ssn77' = ssn", "77", "person_ssn"),
        ("ssn = 'ssn77'::text", "77", "person_ssn"),
        ("ssn = 'ssn77'::varchar", "77", "person_ssn"),
        ("ssn = (SELECT 'ssn' || 77)", "77", "person_ssn"),
        ("ssn = 'SSN77'", "", "person_ssn"),
        ("n = 77", "77", "person_n"),
        ("n = '77'", "77", "person_n"),
        ("n = 77::smallint", "77", "person_n"),
        ("77::bigint = n", "77", "person_n"),
        ("n = 77.0", "77", "person_n"),
        ("mail = 'uSER5@eXample.ORG'", "5", "person_mail"),
        ("ssn = 'ssn5' OR n = 6", "5,6", "person_n"),
        ("ssn IN ('ssn5', 'ssn6', 'none')", "5,6", "person_ssn"),
        ("ssn IN ('ssn5')", "5", "person_ssn"),
        ("ssn = ANY (ARRAY['ssn5', 'ssn6', NULL])", "5,6", "person_ssn"),
        ("ssn = ANY ('{ssn5,ssn6}'::text[])", "5,6", "person_ssn"),
        ("n IN (5, 6)", "5,6", "person_n"),
        ("mail IN ('USER5@example.org', 'x')", "5", "person_mail"),
        ("ssn IN (SELECT v.ssn FROM visit v WHERE v.id < 3)", "2,4", "person_ssn"),
        ("ssn IN (SELECT v.spelled FROM visit v WHERE v.id < 3)", "2,4", "person_ssn"),
        ("ssn <> 'ssn1' AND id < 4", "2,3", ""),
        ("ssn NOT IN ('ssn1', 'ssn2') AND id < 5", "3,4", ""),
        ("ssn NOT IN ('ssn1', NULL) AND id < 5", "", ""),
        ("NOT ssn = 'ssn1' AND id < 4", "2,3", ""),
        ("ssn IS DISTINCT FROM 'ssn1' AND id < 3", "2", ""),
        ("(ssn = 'ssn1') IS NOT TRUE AND id IN (1, 2, 1000)", "2,1000", ""),
        ("CASE WHEN id > 0 THEN ssn END = 'ssn9' AND id < 20", "9", ""),
        ("ssn = NULL", "", ""),
    ];
    for (condition, wanted, index) in cases {
        let sql = format!("SELECT id FROM person WHERE {condition}");
        let answer = conn.query(&sql).ok();
        assert_eq!(ids(&answer), wanted, "{condition}");
        let plan = plan(&mut conn, &sql);
        assert!(plan.contains(index), "{condition}:\n{plan}");
        // the same, row by row: the index answers as the operator does
        conn.query("SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off").ok();
        assert_eq!(ids(&conn.query(&sql).ok()), wanted, "{condition} without index");
        conn.query("RESET ALL").ok();
    }
}

#[test]
fn joins_of_every_kind_agree_with_plaintext() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    conn.query("CREATE TEMP TABLE p AS SELECT id, airlock.decrypt(ssn) AS ssn FROM person; CREATE TEMP TABLE v AS SELECT id, spelled AS ssn FROM visit").ok();
    for join in [
        "SELECT count(*), sum(a.id), sum(b.id) FROM person a JOIN visit b ON a.ssn = b.ssn",
        "SELECT count(*), sum(a.id), sum(b.id) FROM person a LEFT JOIN visit b ON a.ssn = b.ssn",
        "SELECT count(*), sum(a.id), sum(b.id) FROM person a FULL JOIN visit b ON a.ssn = b.ssn",
        "SELECT count(*), sum(a.id), sum(a.id) FROM person a WHERE EXISTS (SELECT FROM visit b WHERE a.ssn = b.ssn)",
        "SELECT count(*), sum(a.id), sum(a.id) FROM person a WHERE NOT EXISTS (SELECT FROM visit b WHERE a.ssn = b.ssn)",
        "SELECT count(*), sum(a.id), sum(b.id) FROM person a JOIN visit b USING (ssn)",
        "SELECT count(*), sum(a.id), sum(a.id) FROM person a WHERE a.ssn IN (SELECT ssn FROM visit)",
        "SELECT count(*), sum(a.id), sum(a.id) FROM person a WHERE a.ssn NOT IN (SELECT ssn FROM visit)",
    ] {
        let plain = join.replace("person a", "p a").replace("visit", "v");
        for method in ["SELECT", "SET enable_hashjoin = off", "SET enable_mergejoin = off", "SET enable_nestloop = off"] {
            conn.query(method).ok();
            assert_eq!(row(conn.query(join).ok()), row(conn.query(&plain).ok()), "{method}; {join}");
        }
        conn.query("RESET ALL").ok();
    }
    let plan = plan(&mut conn, "SELECT a.id FROM person a JOIN visit b ON a.ssn = b.ssn WHERE b.id = 3");
    assert!(plan.contains("person_ssn"), "{plan}");
}

#[test]
fn parameters_of_both_protocols_in_generic_and_custom_plans() {
    let cluster = prepared();
    for mode in ["force_generic_plan", "force_custom_plan"] {
        let mut conn = cluster.connect("app");
        conn.query(&format!("SET plan_cache_mode = {mode}")).ok();
        for (sql, parameter, wanted) in [
            ("SELECT id FROM person WHERE ssn = $1", "ssn42", "42"),
            ("SELECT id FROM person WHERE ssn = $1::text", "ssn42", "42"),
            ("SELECT id FROM person WHERE ssn = ANY ($1)", "{ssn42,ssn43}", "42,43"),
            ("SELECT id FROM person WHERE ssn = ANY ($1::text[])", "{ssn42,NULL}", "42"),
            ("SELECT id FROM person WHERE n = $1::int", "42", "42"),
            ("SELECT id FROM person WHERE ssn IN ($1, 'ssn1')", "ssn42", "1,42"),
        ] {
            assert_eq!(ids(&conn.extended(sql, &[Some(parameter)]).ok()), wanted, "{mode} {sql}");
            assert_eq!(
                ids(&conn.extended(sql, &[None]).ok()),
                if sql.contains("'ssn1'") { "1" } else { "" },
                "{sql} of NULL"
            );
        }
        conn.query("PREPARE q AS SELECT id FROM person WHERE ssn = $1; PREPARE t(text[]) AS SELECT id FROM person WHERE ssn = ANY ($1)").ok();
        for round in 1..8 {
            assert_eq!(ids(&conn.query(&format!("EXECUTE q('ssn{round}')")).ok()), round.to_string());
            assert_eq!(ids(&conn.query(&format!("EXECUTE t('{{ssn{round}}}')")).ok()), round.to_string());
        }
        for statement in ["EXECUTE q('ssn5')", "EXECUTE t('{ssn5}')"] {
            let plan = plan(&mut conn, statement);
            assert!(plan.contains("person_ssn"), "{mode}: {plan}");
            assert_eq!(plan.contains("$1"), mode == "force_generic_plan", "{plan}");
        }
    }
}

#[test]
fn below_barriers_and_row_security_the_index_still_serves() {
    let cluster = prepared();
    cluster.admin(
        "CREATE VIEW public.third WITH (security_barrier) AS SELECT id, ssn FROM public.person WHERE region = 3; GRANT SELECT ON public.third TO app;
         ALTER TABLE public.person ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.person USING (region = 3);
         CREATE ROLE reader LOGIN; GRANT SELECT ON public.person TO reader; SELECT airlock.grant_match('pii', 'reader')",
    );
    for (user, table) in [("app", "third"), ("reader", "person")] {
        let mut conn = cluster.connect(user);
        for (ssn, wanted) in [("ssn43", "43"), ("ssn44", "")] {
            for condition in [format!("ssn = '{ssn}'"), format!("ssn IN ('{ssn}', 'x')")] {
                let sql = format!("SELECT id FROM {table} WHERE {condition}");
                assert_eq!(ids(&conn.query(&sql).ok()), wanted, "{user} {condition}");
                let plan = plan(&mut conn, &sql);
                assert!(plan.contains("Index Cond") && plan.contains("person_ssn"), "{user} {condition}\n{plan}");
            }
        }
    }
}

#[test]
fn unique_upsert_group_and_distinct_go_by_the_tag() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    let taken = conn.query("INSERT INTO person (id, mail) VALUES (20000, 'user7@EXAMPLE.org')");
    assert_eq!(taken.code(), "23505", "{taken:?}");
    assert!(!taken.error.unwrap().text().contains("user7"), "the value is not shown");
    let upsert = "INSERT INTO person (id, mail, n) VALUES (20000, 'user7@EXAMPLE.org', 5)
                  ON CONFLICT (airlock.match_tag16(mail)) DO UPDATE SET n = excluded.n RETURNING id";
    assert_eq!(ids(&conn.query(upsert).ok()), "7");
    assert_eq!(ids(&conn.query("SELECT id FROM person WHERE n = 5").ok()), "5,7");
    conn.query("INSERT INTO visit (id, ssn) VALUES (601, 'ssn2'), (602, 'ssn2')").ok();
    let grouped = "SELECT count(*), min(id) FROM visit GROUP BY airlock.match_tag(ssn) HAVING count(*) > 1";
    assert_eq!(row(conn.query(grouped).ok()), ["3", "1"]);
    assert_eq!(conn.query("SELECT count(DISTINCT airlock.match_tag(ssn)) FROM visit").value(), "200");
    assert_eq!(
        conn.query("SELECT count(*) FROM (SELECT DISTINCT ON (airlock.match_tag(ssn)) id FROM visit) d").value(),
        "200"
    );
    // of the column itself they are refused while the statement is parsed
    for sql in [
        "SELECT DISTINCT ssn FROM visit",
        "SELECT ssn FROM visit GROUP BY ssn",
        "SELECT id FROM visit ORDER BY ssn",
        "SELECT ssn FROM visit UNION SELECT ssn FROM visit",
    ] {
        let code = conn.query(sql).code().to_string();
        assert!(["42883", "42704"].contains(&&*code), "{sql}: {code}");
    }
    let index = cluster.sql("postgres", "CREATE UNIQUE INDEX ON public.visit (ssn)");
    assert_eq!(index.code(), "42704", "{index:?}");
    // 16 bytes are had of a unique column only, and a narrow tag is never taken for half of one
    assert_eq!(conn.query("SELECT airlock.match_tag16(ssn) FROM visit").code(), "AL003");
    assert_eq!(conn.query("CREATE TABLE t (c airlock.encrypted('pii', 'unique'))").code(), "42P16");
    assert_eq!(conn.query("CREATE TABLE t (c airlock.encrypted_eq('pii', 'once'))").code(), "22023");
    cluster.admin("CREATE TABLE public.letter (mail airlock.encrypted_eq('mail')); INSERT INTO letter VALUES ('USER7@example.org'); ALTER TABLE letter OWNER TO app");
    assert_eq!(ids(&conn.query("SELECT p.id FROM person p JOIN letter l ON p.mail = l.mail").ok()), "7");
    assert_eq!(
        conn.query("SELECT p.id FROM person p, letter l WHERE p.mail = CASE WHEN p.id > 0 THEN l.mail END").code(),
        "42804"
    );
}

#[test]
fn what_has_no_meaning_is_refused_with_a_hint() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    for (sql, code, hint) in [
        ("SELECT id FROM person WHERE ssn = other", "42804", "one key"),
        ("SELECT a.id FROM person a JOIN visit b ON a.other = b.ssn", "42804", "one key"),
        ("SELECT id FROM person WHERE ssn = ANY (ARRAY[other])", "42804", "one key"),
        ("SELECT id FROM person WHERE note = 'x'", "42883", "encrypted_eq"),
        ("SELECT id FROM person WHERE note <> 'x'", "42883", "encrypted_eq"),
        ("SELECT id FROM person WHERE note = note", "42883", "encrypted_eq"),
        ("SELECT id FROM person WHERE note IN ('x', 'y')", "42883", "encrypted_eq"),
        // as soon as it is parsed
        ("PREPARE q AS SELECT id FROM person WHERE note = $1", "42883", "encrypted_eq"),
        ("CREATE TEMP VIEW v AS SELECT a.id FROM person a JOIN person b ON a.note = b.note", "42883", "encrypted_eq"),
        ("SELECT id FROM person WHERE n = 'seven'", "22P02", ""),
        ("SELECT id FROM person WHERE n = 5000000000", "22003", ""),
        ("SELECT id FROM person WHERE n = 'airlock:1:4QAA'", "22P02", "decrypt"),
    ] {
        let answer = conn.query(sql);
        assert_eq!(answer.code(), code, "{sql}: {answer:?}");
        let error = answer.error.unwrap();
        assert!(error.get('H').contains(hint), "{sql}: {}", error.text());
        assert!(!error.text().contains("seven") && !error.text().contains("5000000000"), "{}", error.text());
    }
}

#[test]
fn attack_matching_without_the_right() {
    let cluster = prepared();
    let asks = [
        "SELECT id FROM person WHERE ssn = 'ssn1'",
        "SELECT id FROM person WHERE ssn IN ('ssn1', 'ssn2')",
        "SELECT id FROM person WHERE ssn = ANY ('{ssn1}'::text[])",
        "SELECT a.id FROM person a JOIN visit b ON a.ssn = b.ssn",
        "SELECT a.id FROM person a JOIN visit b ON a.ssn = b.spelled",
        "SELECT id FROM person WHERE CASE WHEN id > 0 THEN ssn END = 'ssn1'",
    ];
    let mut clerk = cluster.connect("clerk");
    for sql in asks {
        let answer = clerk.query(sql);
        assert_eq!((answer.code(), answer.received), ("AL004", 0), "{sql}");
    }
    cluster.admin("SELECT airlock.grant_match('pii', 'clerk')");
    clerk.query("PREPARE q AS SELECT id FROM person WHERE ssn = $1; PREPARE i AS SELECT id FROM person WHERE ssn = ANY ($1); PREPARE j AS SELECT count(*) FROM person a JOIN visit b ON a.ssn = b.ssn").ok();
    clerk.query("SET plan_cache_mode = force_generic_plan").ok();
    let runs = ["EXECUTE q('ssn1')", "EXECUTE i('{ssn1}')", "EXECUTE j"];
    for sql in asks.iter().chain(&runs) {
        clerk.query(sql).ok();
    }
    assert_eq!(clerk.query("SELECT airlock.decrypt(ssn) FROM person LIMIT 1").code(), "AL004", "match is not decrypt");
    for call in ["airlock.match_needle('other', 'x')", "airlock.match_needles('other', '{x}')"] {
        assert_eq!(clerk.query(&format!("SELECT {call}")).code(), "AL004", "{call}");
    }
    // a plan that was made while the right was there asks again
    cluster.admin("SELECT airlock.revoke_match('pii', 'clerk')");
    for sql in asks.iter().chain(&runs) {
        assert_eq!(clerk.query(sql).code(), "AL004", "{sql}");
    }
    // and so does one that another role runs
    let mut admin = cluster.connect("postgres");
    admin.query("SET plan_cache_mode = force_generic_plan; SET ROLE app").ok();
    admin.query("PREPARE q AS SELECT id FROM person WHERE ssn = $1; PREPARE j AS SELECT count(*) FROM person a JOIN visit b ON a.ssn = b.ssn").ok();
    admin.query("EXECUTE q('ssn1')").ok();
    admin.query("EXECUTE j").ok();
    admin.query("SET ROLE clerk").ok();
    assert_eq!(admin.query("EXECUTE q('ssn1')").code(), "AL004");
    assert_eq!(admin.query("EXECUTE j").code(), "AL004");
}

#[test]
fn a_locked_database_builds_the_index_and_matches_nothing() {
    let mut cluster = prepared();
    cluster.set("airlock.root_key_source", "file:/nowhere/root.key");
    cluster.restart();
    let mut conn = cluster.connect("app");
    assert_eq!(conn.query("SELECT id FROM person WHERE ssn = 'ssn1'").code(), "AL001");
    assert_eq!(conn.query("SELECT a.id FROM person a JOIN visit b ON a.ssn = b.ssn").code(), "AL001");
    conn.query("REINDEX INDEX person_ssn; ANALYZE person").ok();
    cluster.admin("CREATE INDEX again ON public.person (airlock.match_tag(ssn))");
    assert_eq!(conn.query("SELECT count(*) FROM person").value(), "4000");
}

/// Scans of a table and entries that its indexes gave, since statistics began; this session's are in.
fn scans(cluster: &Cluster) -> (i64, i64) {
    let sql = "SELECT pg_stat_clear_snapshot(), (SELECT seq_scan FROM pg_stat_all_tables WHERE relid = 'public.person'::regclass),
                      (SELECT sum(idx_scan) FROM pg_stat_all_indexes WHERE relid = 'public.person'::regclass)";
    let row = row(cluster.admin(sql));
    (row[1].parse().unwrap(), row[2].parse().unwrap())
}

#[test]
fn a_sub_processors_lookup_does_not_open_the_table() {
    let cluster = prepared();
    cluster.admin(
        r#"SELECT airlock.create_scope('acme', 'public.person', '{"id": "clear", "ssn": "clear", "n": "clear", "mail": "clear",
             "other": {"mask": "partial", "right": 2}}', row_filter => 'region <> 7')"#,
    );
    let asks = [
        ("ssn = 'ssn42'", "42"),
        ("ssn = 'ssn47'", ""), // behind the row filter
        ("'ssn42' = ssn AND id > 0", "42"),
        ("ssn IN ('ssn42', 'ssn43', 'ssn47')", "42,43"),
        ("ssn = ANY ('{ssn42,NULL}')", "42"),
        ("n = 42", "42"),
        ("mail = 'User42@Example.org'", "42"),
        ("mail = 'user42@example.org'", ""), // what it sees is text, compared as text
        ("mail IN ('User42@Example.org')", "42"),
        ("ssn = 'ssn' || 42", "42"),
    ];
    let before = scans(&cluster);
    let mut conn = cluster.connect_as("acme", "lookups");
    for (condition, wanted) in asks {
        assert_eq!(
            ids(&conn.query(&format!("SELECT id, ssn, mail FROM acme.person WHERE {condition}")).ok()),
            wanted,
            "{condition}"
        );
    }
    conn.query("PREPARE q AS SELECT id FROM acme.person WHERE ssn = $1; SET plan_cache_mode = force_generic_plan").ok();
    assert_eq!(ids(&conn.query("EXECUTE q('ssn42')").ok()), "42");
    assert_eq!(ids(&conn.extended("SELECT id FROM acme.person WHERE ssn = $1", &[Some("ssn43")]).ok()), "43");
    assert_eq!(
        ids(&conn.query("SELECT p.id FROM (VALUES (1)) v LEFT JOIN acme.person p ON true WHERE p.ssn = 'ssn42'").ok()),
        "42"
    );
    drop(conn);
    let count = asks.len() as i64 + 3;
    eventually("the look-ups are counted", || (scans(&cluster).1 >= before.1 + count).then_some(()));
    assert_eq!(scans(&cluster).0, before.0, "a look-up read the whole table");
    assert_eq!(fixture::settled(&cluster, "lookups", asks.len() + 3).len(), asks.len() + 3, "each is a read on record");
    // where it would be wrong it is not used: the other side of an outer join keeps its row
    let mut conn = cluster.connect("acme");
    let outer = "SELECT count(*), count(p.id) FROM acme.person p LEFT JOIN (VALUES (1)) v ON p.ssn = 'ssn42'";
    assert_eq!(row(conn.query(outer).ok()), ["3600", "3600"]);
    let masked = conn.query("SELECT id FROM acme.person WHERE other = '****42' AND id < 1000").ok();
    assert_eq!(
        ids(&masked),
        "142,242,342,442,542,642,742,842,942",
        "of a masked column the mask's values are compared"
    );
}

#[test]
fn attack_needles_by_a_sub_processor() {
    let cluster = prepared();
    // rights far too wide
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO acme; GRANT SELECT ON public.person TO acme; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock TO acme");
    let mut conn = cluster.connect("acme");
    for sql in [
        "SELECT airlock.match_needle('pii', 'x')",
        "SELECT airlock.match_needles('pii', '{x}')",
        "SELECT airlock.match_needle(1, 'x'::text)",
        "SELECT airlock.disclose_needle(1, 1, 'x'::text)",
        "SELECT airlock.disclose_needles(1, 1, '{x}'::text[])",
        "SELECT airlock.may_match(1, 1)",
        "SELECT airlock.match_tag(ssn) FROM public.person",
        "SELECT id FROM public.person WHERE ssn = 'ssn1'",
    ] {
        let answer = conn.query(sql);
        assert_eq!((answer.code(), answer.received), ("AL007", 0), "{sql}: {answer:?}");
    }
    // whoever gets there without a record, a superuser too, is refused by the function itself
    cluster.admin(r#"SELECT airlock.create_scope('acme', 'public.person', '{"id": "clear", "ssn": "clear"}')"#);
    let rule = cluster.admin("SELECT max(id) FROM airlock_catalog.rule WHERE column_name = 'ssn'").value();
    let number = cluster.admin("SELECT column_no FROM airlock.encrypted_columns WHERE relation = 'public.person'::regclass AND \"column\" = 'ssn'").value();
    for call in [
        format!("disclose_needle({rule}, {number}, 'x'::text)"),
        format!("disclose_needles({rule}, {number}, '{{x}}'::text[])"),
    ] {
        let answer = cluster.sql("postgres", &format!("SELECT airlock.{call}"));
        assert!(["AL005", "AL007"].contains(&answer.code()) && answer.received == 0, "{call}: {answer:?}");
    }
}

#[test]
fn sessions_without_encrypted_columns_are_left_alone() {
    let cluster = prepared();
    let mut conn = cluster.login("postgres", "postgres", &[]).unwrap();
    assert_ne!(DATABASE, "postgres");
    assert_eq!(conn.query("SELECT 1 WHERE 'a' IN ('a', 'b') AND 'x'::text = ANY ('{x}')").value(), "1");
}
