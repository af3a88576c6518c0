//! A short list of attacks over rights, settings and kinds of scope. Each also runs against a naive build (a view of the
//! table's owner without a barrier, for a role that nothing contains), where it must succeed.

use super::{prepared, HOSTILE_GRANTS};
use crate::cluster::{Cluster, DATABASE};
use crate::fixture::{leaked, ACME_RULES};
use crate::protocol::Answer;

/// How an attack ends on the naive build.
#[derive(Clone, Copy, PartialEq)]
enum Naive {
    /// A canary reaches the client.
    Leaks,
    /// It runs.
    Runs,
}

/// How it ends here.
#[derive(Clone, Copy, PartialEq)]
enum Here {
    /// AL007, or 42501 where the right is missing too.
    Refused,
    /// As if there were no hidden row and nothing under the mask: no row, no error.
    Nothing,
}

/// Statements of one session; V is the view, B the table behind it.
const ATTACKS: &[(Here, Naive, &[&str])] = &[
    // A
    (Here::Nothing, Naive::Leaks, &["SELECT id FROM V WHERE CASE WHEN phone LIKE 'CANARY%' THEN phone::int > 0 ELSE false END"]),
    (Here::Refused, Naive::Leaks, &["CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$", "SELECT id FROM V WHERE pg_temp.leak(phone)"]),
    (Here::Refused, Naive::Runs, &["EXPLAIN SELECT id FROM V WHERE phone = 'CANARY'"]),
    (Here::Refused, Naive::Runs, &["EXPLAIN ANALYZE SELECT id FROM V"]),
    // B
    (Here::Refused, Naive::Runs, &["SELECT count(stavalues1::text) FROM pg_catalog.pg_statistic"]),
    // C, D
    (Here::Refused, Naive::Leaks, &["SELECT note FROM B"]),
    (Here::Refused, Naive::Leaks, &["SET ROLE app", "SELECT note FROM B"]),
    (Here::Refused, Naive::Leaks, &["SELECT query_to_xml('SELECT note FROM B', true, false, '')"]),
    (Here::Refused, Naive::Leaks, &["SELECT public.customer_report()"]),
    (Here::Refused, Naive::Leaks, &["COPY B (note) TO STDOUT"]),
    // E
    (Here::Refused, Naive::Runs, &["BEGIN", "UPDATE V SET id = id WHERE false"]),
    (Here::Refused, Naive::Runs, &["BEGIN", "SELECT id FROM V FOR UPDATE"]),
    // F, G, H, I
    (Here::Refused, Naive::Runs, &["SELECT pg_logical_emit_message(true, 'airlock', 'x')"]),
    (Here::Refused, Naive::Runs, &["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM V"]),
    (Here::Refused, Naive::Runs, &["SELECT pg_try_advisory_xact_lock(42)"]),
    (Here::Refused, Naive::Runs, &["SELECT pg_current_xact_id()"]),
    (Here::Refused, Naive::Runs, &["BEGIN", "CREATE TEMP TABLE t AS SELECT id FROM V"]),
    (Here::Refused, Naive::Runs, &["COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'"]),
];

/// A filter over another table.
const EXISTS: &str = "EXISTS (SELECT FROM public.consents c WHERE c.customer = customers.id AND c.given)";
/// The kind of scope with a fence.
const FENCED: &str = "EXISTS, fence";

/// Kind of scope, rules, row filter, rows.
fn scopes() -> [(&'static str, String, Option<&'static str>, usize); 9] {
    let masked = r#"{"id": "clear", "email": {"mask": "pseudonym"}, "phone": {"mask": "partial", "right": 2}, "ssn": {"mask": "partial", "right": 4}, "pay": {"mask": "bucket", "step": 1000000}}"#;
    let keyed = r#"{"id": "clear", "phone": {"mask": "pseudonym"}, "ssn": {"mask": "pseudonym"}, "diary": {"mask": "hash_bucket", "buckets": 10}}"#;
    let conditional = r#"{"id": "clear", "phone": {"when": "pay > 2000", "then": "clear", "else": {"mask": "partial", "right": 2}}, "ssn": {"when": "consent", "then": {"mask": "pseudonym"}, "else": "clear"}, "email": {"when": "id IS NULL", "then": "clear"}}"#;
    [
        ("boolean filter", ACME_RULES.to_string(), Some("consent"), 90),
        ("no filter, all masked", masked.to_string(), None, 100),
        ("expression, keyed masks of encrypted columns", keyed.to_string(), Some("consent AND id NOT IN (1, 2)"), 88),
        (
            "CASE, encrypted columns in clear",
            ACME_RULES.to_string(),
            Some("CASE WHEN consent THEN id > 50 ELSE false END"),
            45,
        ),
        ("EXISTS", ACME_RULES.to_string(), Some(EXISTS), 90),
        (
            "NOT IN",
            keyed.to_string(),
            Some("id NOT IN (SELECT c.customer FROM public.consents c WHERE NOT c.given)"),
            90,
        ),
        ("encrypted filter", ACME_RULES.to_string(), Some("pay < 2000"), 90),
        ("conditions, encrypted too", conditional.to_string(), Some("consent"), 90),
        (FENCED, ACME_RULES.to_string(), Some(EXISTS), 90),
    ]
}

/// Settings that a reader can make, as start-up options and as SET.
const SETTINGS: [&[(&str, &str)]; 3] = [
    &[],
    &[("plan_cache_mode", "force_generic_plan"), ("search_path", "pg_catalog"), ("jit", "on"), ("jit_above_cost", "0")],
    &[
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("from_collapse_limit", "1"),
        ("constraint_exclusion", "on"),
        ("geqo_threshold", "2"),
    ],
];

fn session(cluster: &Cluster, user: &str, settings: &[(&str, &str)], by_options: bool) -> crate::protocol::Conn {
    let options: Vec<String> = settings.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
    let options = if by_options { options.join(" ") } else { String::new() };
    let mut conn = cluster.login(user, DATABASE, &[("options", &options)]).expect("connect");
    if !by_options {
        settings.iter().for_each(|(name, value)| drop(conn.query(&format!("SET {name} = {value}")).ok()));
    }
    conn
}

fn spelled(sql: &str, view: &str) -> String {
    sql.replace("FROM V", &format!("FROM {view}"))
        .replace("UPDATE V", &format!("UPDATE {view}"))
        .replace("FROM B", "FROM public.customers")
        .replace("COPY B", "COPY public.customers")
}

/// By one message or by parse, bind, execute.
fn run(conn: &mut crate::protocol::Conn, sql: &str, extended: bool) -> Answer {
    if extended && !sql.starts_with("COPY") {
        conn.extended(sql, &[])
    } else {
        conn.query(sql)
    }
}

fn matrix(hostile: bool, server: &[(&str, &str)], subject: &str) {
    let cluster = prepared(false);
    if hostile {
        cluster.admin(HOSTILE_GRANTS);
    }
    for (name, value) in server {
        cluster.admin(&format!("ALTER ROLE acme SET {name} = {value}"));
    }
    let mut wrong = Vec::new();
    for (kind, rules, filter, visible) in scopes() {
        let filter = filter.map_or("NULL".to_string(), |f| format!("'{f}'"));
        let fence = kind == FENCED;
        cluster.admin(&format!("SELECT airlock.replace_scope('acme', 'public.customers', '{rules}', row_filter => {filter}, subject => '{{{subject}}}', fence => {fence})"));
        let mut seen: Option<String> = None;
        for settings in SETTINGS {
            for by_options in [false, true] {
                for (here, _, statements) in ATTACKS {
                    let mut conn = session(&cluster, "acme", settings, by_options);
                    let answers: Vec<Answer> = statements
                        .iter()
                        .map(|sql| run(&mut conn, &spelled(sql, "acme.customers"), by_options))
                        .collect();
                    let last = answers.last().unwrap();
                    let good = match here {
                        Here::Nothing => last.error.is_none() && last.received == 0,
                        Here::Refused => {
                            let codes = ["AL007", "42501"];
                            let codes = if hostile { &codes[..1] } else { &codes[..] };
                            last.error.is_some() && answers.iter().any(|a| codes.contains(&a.code()))
                        }
                    };
                    if !good || answers.iter().any(|a| leaked(a).is_some()) {
                        wrong.push(format!("{kind}, {settings:?}: {statements:?}: {last:?}"));
                    }
                }
                // the positive twin: the same answer in every cell
                let mut conn = session(&cluster, "acme", settings, by_options);
                let answer = run(&mut conn, "SELECT c::text FROM acme.customers c ORDER BY id", by_options).ok();
                assert_eq!((answer.received, leaked(&answer)), (visible, None), "{kind}, {settings:?}");
                let rows = answer.first().join("\n");
                let before = seen.get_or_insert_with(|| rows.clone());
                assert_eq!(*before, rows, "{kind}, {settings:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_matrix_holds_with_the_rights_a_subprocessor_has() {
    matrix(false, &[], "id");
    assert!(!ATTACKS.is_empty());
}

#[test]
fn the_matrix_holds_with_far_too_many_rights() {
    matrix(true, &[], "id");
    assert!(!ATTACKS.is_empty());
}

#[test]
fn the_matrix_holds_where_everything_is_parallel() {
    let cluster = crate::fixture::running();
    let there = "SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    let forced = cluster.admin(there).value();
    matrix(
        true,
        &[
            (&forced, "on"),
            ("parallel_setup_cost", "0"),
            ("parallel_tuple_cost", "0"),
            ("min_parallel_table_scan_size", "0"),
        ],
        // nobody is noted, so that workers read
        "",
    );
}

/// The naive build: the same rights for a role that nothing contains, on a view without barrier that masks in PL/pgSQL.
#[test]
fn control_the_matrix_succeeds_on_a_naive_build() {
    let cluster = prepared(false);
    cluster.admin(
        "CREATE ROLE naive LOGIN; CREATE SCHEMA naive AUTHORIZATION app;
         CREATE FUNCTION naive.mask(v text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN v; END $$;
         CREATE VIEW naive.customers AS SELECT id, phone FROM public.customers WHERE (consent::integer + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0 + 0) > 0;
         ALTER VIEW naive.customers OWNER TO app; GRANT ALL ON SCHEMA naive TO naive; GRANT ALL ON naive.customers TO naive",
    );
    cluster.admin(
        &HOSTILE_GRANTS
            .replace(" acme;", " naive;")
            .replace("AUTHORIZATION acme;", "AUTHORIZATION naive;")
            .replace("ALTER ROLE acme ", "ALTER ROLE naive "),
    );
    for settings in SETTINGS {
        for (_, naive, statements) in ATTACKS {
            let mut conn = session(&cluster, "naive", settings, true);
            let answers: Vec<Answer> =
                statements.iter().map(|sql| conn.query(&spelled(sql, "naive.customers"))).collect();
            let (last, leaks) = (answers.last().unwrap(), answers.iter().any(|a| leaked(a).is_some()));
            let succeeds = match naive {
                Naive::Leaks => leaks,
                Naive::Runs => last.error.is_none(),
            };
            assert!(succeeds, "{settings:?}: {statements:?}: {last:?}");
        }
    }
}
