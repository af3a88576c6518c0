//! A fence keeps what the sub-processor writes above the row filter, leakproof or not, look-ups in encrypted columns too.
//! Looked at as the superuser, whose EXPLAIN shows where each condition stands, and in the counters of the indexes.

use crate::cluster::Cluster;
use crate::fixture::{self, leaked, running, settled, ACME_RULES, VISIBLE};
use crate::process::eventually;
use crate::protocol::Conn;

const RULES: &str = r#"{"id": "clear", "city": "clear", "country": "clear", "ssn": "clear", "email": {"mask": "pseudonym"}, "phone": {"mask": "partial", "right": 2}, "pay": "clear"}"#;

fn replaced(filter: &str, more: &str) -> String {
    format!("SELECT airlock.replace_scope('acme', 'public.customers', '{RULES}', row_filter => $f${filter}$f$, subject => '{{id}}'{more})")
}

fn fenced() -> Cluster {
    let cluster = running();
    cluster.admin("CREATE INDEX customers_ssn ON public.customers (airlock.match_tag(ssn)); CREATE INDEX customers_city ON public.customers (city); ANALYZE public.customers");
    cluster.admin(&replaced("consent", ", fence => true"));
    cluster
}

fn plan(conn: &mut Conn, sql: &str) -> Vec<String> {
    conn.query(&format!("EXPLAIN (COSTS OFF) {sql}")).ok().first()
}

/// How deep the line with this text is indented, and the node that it belongs to.
fn place(plan: &[String], text: &str) -> String {
    let at = plan.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text} is not in {plan:#?}"));
    let indent = |line: &String| line.len() - line.trim_start().trim_start_matches("->").trim_start().len();
    let node = plan[..at].iter().rev().find(|line| line.contains("->") || indent(line) < indent(&plan[at]));
    node.unwrap_or(&plan[0]).trim().trim_start_matches("->").trim().to_string()
}

/// Conditions that PostgreSQL holds to be leakproof, and so moves as deep as it may.
const LEAKPROOF: &[&str] =
    &["id = 7", "id = 10", "id > 95", "id IN (10, 20)", "city = 'Oslo'", "city = 'CANARYROW_p'", "id IS NOT NULL"];

#[test]
fn conditions_stand_above_the_fence() {
    let cluster = fenced();
    let mut admin = cluster.connect("postgres");
    // so few rows that no index would be taken otherwise
    admin.query("SET enable_seqscan = off").ok();
    for (fence, filter) in [(true, "consent"), (true, "id % 10 <> 0"), (false, "consent"), (false, "id % 10 <> 0")] {
        cluster.admin(&replaced(filter, if fence { ", fence => true" } else { "" }));
        for condition in LEAKPROOF {
            let column = condition.split(' ').next().unwrap();
            let plan = plan(&mut admin, &format!("SELECT id, city, country FROM acme.customers WHERE {condition}"));
            let condition_at = plan.iter().filter(|line| line.contains("Cond:") || line.contains("Filter:"));
            let own: Vec<&String> = condition_at.filter(|line| !line.contains("airlock.gate")).collect();
            let above: Vec<&&String> =
                own.iter().filter(|line| place(&plan, line.trim()).contains("Subquery Scan")).collect();
            if fence {
                assert_eq!(
                    (above.len(), own.len() - above.len()),
                    (1, usize::from(!filter.contains("consent") || own.len() > 1)),
                    "{condition}:\n{plan:#?}"
                );
                assert!(above[0].contains(column), "{condition}:\n{plan:#?}");
                assert!(!plan.iter().any(|line| line.contains("Index Cond")), "{condition}:\n{plan:#?}");
            } else {
                assert!(above.is_empty(), "without a fence this shows nothing: {condition}:\n{plan:#?}");
            }
        }
        // a join takes no look into it for each row of the other side
        let join = plan(&mut admin, "SELECT a.id FROM (VALUES (7), (10)) v (id) JOIN acme.customers a ON a.id = v.id");
        assert!(!join.iter().any(|line| line.contains("Index Cond")), "{join:#?}");
    }
}

fn index_scans(cluster: &Cluster) -> i64 {
    let sql = "SELECT pg_stat_clear_snapshot() IS NULL, sum(idx_scan) FROM pg_stat_all_indexes WHERE relid = 'public.customers'::regclass";
    cluster.admin(sql).rows[0][1].as_ref().unwrap().parse().unwrap()
}

#[test]
fn no_look_up_reaches_below() {
    let cluster = fenced();
    let asks = [
        ("id = 7", "7"),
        ("id = 10", ""),
        ("ssn = 'CANARYMASK_e0007'", "7"),
        ("ssn = 'CANARYROW_e0010'", ""), // a hidden row has it
        ("ssn IN ('CANARYMASK_e0007', 'CANARYROW_e0010', 'x')", "7"),
        ("'CANARYMASK_e0007' = ssn AND city = 'Lund'", "7"),
        ("city = 'CANARYROW_p'", ""),
    ];
    let read = |cluster: &Cluster, name: &str| {
        let mut acme = cluster.connect_as("acme", name);
        acme.query("SET enable_seqscan = off").ok();
        for (condition, wanted) in asks {
            let answer = acme.query(&format!("SELECT id FROM acme.customers WHERE {condition}")).ok();
            assert_eq!(answer.first().join(","), wanted, "{condition}");
            let answer = acme.extended("SELECT id FROM acme.customers WHERE ssn = $1", &[Some("CANARYROW_e0010")]).ok();
            assert_eq!(answer.received, 0);
        }
        drop(acme);
        settled(cluster, name, asks.len() * 2);
    };
    let before = index_scans(&cluster);
    read(&cluster, "fenced");
    // the twin: without a fence each look-up is one of an index; once these are counted, the others were, had there been any
    cluster.admin(&replaced("consent", ""));
    read(&cluster, "not fenced");
    eventually("the look-ups are counted", || (index_scans(&cluster) >= before + 14).then_some(()));
    let open = index_scans(&cluster);
    cluster.admin(&replaced("consent", ", fence => true"));
    read(&cluster, "fenced again");
    // nor is the condition that would be looked up added above it, where it would save nothing
    cluster.admin(&replaced("consent", ", fence => true, allow_explain => true"));
    let text =
        plan(&mut cluster.connect("acme"), "SELECT id FROM acme.customers WHERE ssn = 'CANARYMASK_e0007'").join("\n");
    assert!(text.contains("disclose(") && !text.contains("match_tag"), "{text}");
    cluster.admin(&replaced("consent", ""));
    let mut acme = cluster.connect("acme");
    acme.query("SET enable_seqscan = off").ok();
    assert_eq!(acme.query("SELECT id FROM acme.customers WHERE id = 7").ok().received, 1);
    drop(acme);
    eventually("one more", || (index_scans(&cluster) > open).then_some(()));
    assert!(index_scans(&cluster) < open + 14, "look-ups above a fence used an index");
}

#[test]
fn a_poisoned_hidden_row_fails_no_query() {
    let cluster = fenced();
    // no value of a hidden row can be opened
    for column in ["ssn", "pay"] {
        cluster.admin(&format!(
            "SET airlock.encrypted_input = ciphertext;
             UPDATE public.customers c SET {column} = (
               SELECT 'airlock:1:' || translate(encode(set_byte(b, 40, get_byte(b, 40) # 1), 'base64'), E'\\n', '')
                 FROM (SELECT decode(substr(format('%s', c.{column}), 11), 'base64') AS b) s), phone = NULL, born = 'infinity', email = ''
              WHERE NOT consent"
        ));
    }
    assert_eq!(cluster.sql("app", "SELECT airlock.decrypt(ssn) FROM public.customers WHERE id = 10").code(), "AL003");
    for (filter, more) in [
        ("consent", ", fence => true"),
        ("consent", ""),
        ("id % 10 <> 0", ", fence => true"),
        ("consent", ", fence => true, allow_explain => true"),
    ] {
        cluster.admin(&replaced(filter, more));
        let mut acme = cluster.connect("acme");
        for settings in ["", "SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan"] {
            acme.query(settings);
            for (sql, rows) in [
                ("SELECT * FROM acme.customers", VISIBLE),
                ("SELECT count(*) FROM acme.customers WHERE ssn = 'x'", 1),
                ("SELECT id FROM acme.customers WHERE ssn <> '' AND pay > 0 AND 1 / id >= 0", VISIBLE),
                ("SELECT id FROM acme.customers WHERE id = 10", 0),
                ("SELECT id FROM acme.customers WHERE CASE WHEN city ~ '^C' THEN city::int > 0 ELSE false END", 0),
                ("SELECT id FROM acme.customers WHERE CASE WHEN country LIKE 'CAN%' THEN 1 / (id - id) > 0 ELSE false END", 0),
                ("SELECT a.id FROM acme.customers a JOIN acme.customers b ON a.ssn = b.ssn", VISIBLE),
                ("SELECT id FROM acme.customers ORDER BY ssn LIMIT 3", 3),
            ] {
                let answer = acme.query(sql);
                assert_eq!((answer.code(), answer.received, leaked(&answer).filter(|l| !l.contains("MASK"))), ("", rows, None), "{filter}{more}: {sql}: {answer:?}");
            }
        }
    }
}

#[test]
fn a_fence_that_is_taken_away_shuts_the_scope() {
    let cluster = fenced();
    let inner = cluster.admin("SELECT inner_view::regclass::text FROM airlock_catalog.scope WHERE view::text = 'acme.customers' AND dropped_at IS NULL").value();
    let text = cluster.admin(&format!("SELECT rtrim(pg_get_viewdef('{inner}'::regclass), ';')")).value();
    let without = text.replace("OFFSET 0", "");
    assert_ne!(text, without);
    let mut acme = cluster.connect("acme");
    let read = "SELECT id FROM acme.customers";
    let replace =
        |text: &str| cluster.admin(&format!("CREATE OR REPLACE VIEW {inner} WITH (security_barrier) AS {text}"));
    assert_eq!(acme.query(read).ok().received, VISIBLE);
    for changed in [without.clone(), text.replace("OFFSET 0", "OFFSET 1"), text.replace("OFFSET 0", "OFFSET 0 LIMIT 5")]
    {
        replace(&changed);
        for conn in [&mut acme, &mut cluster.connect("acme")] {
            let answer = conn.query(read);
            assert_eq!((answer.code(), answer.received), ("AL010", 0), "{changed}: {answer:?}");
        }
        let finding = cluster
            .admin("SELECT message FROM airlock.doctor() WHERE \"check\" = 'view' AND severity = 'error'")
            .value();
        assert!(finding.contains("changed"), "{finding}");
        replace(&text);
        assert_eq!(acme.query(read).ok().received, VISIBLE);
    }
    // and one that is put where none was agreed
    cluster.admin(&replaced("consent", ""));
    let inner = cluster.admin("SELECT inner_view::regclass::text FROM airlock_catalog.scope WHERE view::text = 'acme.customers' AND dropped_at IS NULL").value();
    let text = cluster.admin(&format!("SELECT rtrim(pg_get_viewdef('{inner}'::regclass), ';')")).value();
    cluster.admin(&format!("CREATE OR REPLACE VIEW {inner} WITH (security_barrier) AS {text} OFFSET 0"));
    assert_eq!(acme.query(read).code(), "AL010");
    cluster.admin(&replaced("consent", ", fence => true"));
    assert_eq!(acme.query(read).ok().received, VISIBLE);
}

#[test]
fn it_is_shown_kept_and_said_when_it_ends() {
    let cluster = fenced();
    let flags = "SELECT concat(fence, allow_explain) FROM airlock.scopes WHERE subprocessor = 'acme'";
    assert_eq!(cluster.admin(flags).value(), "tf");
    let preview = |more: &str| {
        let sql = replaced("consent", more)
            .replace("SELECT airlock.replace_scope", "SELECT step || ': ' || what FROM airlock.preview_scope");
        cluster.admin(&sql).first()
    };
    let says = |lines: &[String], step: &str, what: &str| {
        lines.iter().any(|line| line.starts_with(step) && line.contains(what))
    };
    let lines = preview(", fence => true, allow_explain => true");
    assert!(says(&lines, "newly exposed", "EXPLAIN"), "{lines:#?}");
    assert!(says(&lines, "note", "no index serves them") && says(&lines, "note", "who_saw()"), "{lines:#?}");
    assert!(says(&lines, "note", "without the sizes and statistics"), "{lines:#?}");
    assert!(says(&lines, "sql", "\nOFFSET 0"), "{lines:#?}");
    let lines = preview("");
    assert!(says(&lines, "warning", "fence: it ends"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("OFFSET")), "{lines:#?}");
    assert_eq!(cluster.admin(flags).value(), "tf", "a preview changes nothing");
    // what was never read is taken back with the fence as it is
    let statement = cluster.admin("SELECT statement FROM airlock.unused_fields WHERE subprocessor = 'acme'");
    assert!(statement.value().contains("drop_scope"));
    cluster.sql("acme", "SELECT id FROM acme.customers").ok();
    fixture::drained(&cluster);
    let statement = cluster.admin("SELECT statement FROM airlock.unused_fields WHERE subprocessor = 'acme'").value();
    cluster.admin(&statement);
    assert_eq!(cluster.admin(flags).value(), "tf", "{statement}");
    cluster.admin(&replaced("consent", ", fence => true, allow_explain => true"));
    assert_eq!(cluster.admin(flags).value(), "tt");
    cluster.admin(&replaced("consent", ""));
    assert_eq!(cluster.admin(flags).value(), "ff", "what is not said again ends");
    let changed = cluster.admin("SELECT concat(changed -> 'fence', changed -> 'allow_explain') FROM airlock.scope_history WHERE subprocessor = 'acme' ORDER BY id DESC LIMIT 1").value();
    assert_eq!(changed, "[true, false][true, false]");
}

/// A cursor and a plan from before hold the old views: `replace_scope` waits for the one, and the other is made anew.
#[test]
fn sessions_meet_the_fence_at_their_next_statement() {
    let cluster = running();
    cluster.admin("CREATE INDEX customers_city ON public.customers (city)");
    cluster.admin(&replaced("consent", ""));
    let mut acme = cluster.connect_as("acme", "held");
    acme.query("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off").ok();
    acme.query("PREPARE p AS SELECT id FROM acme.customers WHERE id = 7").ok();
    acme.query("EXECUTE p").ok();
    acme.query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM acme.customers; FETCH 3 FROM c").ok();
    assert_eq!(
        cluster.admin_error(&format!("SET lock_timeout = '200ms'; {}", replaced("consent", ", fence => true"))).code(),
        "55000"
    );
    acme.query("COMMIT").ok();
    cluster.admin(&replaced("consent", ", fence => true, allow_explain => true"));
    assert_eq!(acme.query("EXECUTE p").ok().first(), ["7"]);
    let text = acme.query("EXPLAIN (COSTS OFF) SELECT id FROM acme.customers WHERE id = 7").ok().first();
    assert!(
        text.iter().any(|line| line.contains("Subquery Scan")) && !text.iter().any(|line| line.contains("Index Cond")),
        "{text:#?}"
    );
    // every look touches all persons of the scope, and that is what the log says
    let log = settled(&cluster, "held", 4);
    let seen = |id: &str| {
        let sql = format!(
            "SELECT max(certainty) FROM airlock.who_saw('public.customers', '{id}') WHERE id = {}",
            log[2].get("id")
        );
        cluster.admin(&sql).value()
    };
    assert_eq!(
        (log[2].get("kind"), seen("7"), seen("8"), seen("10")),
        ("exact", "exact".to_string(), "possible".to_string(), String::new())
    );
    assert_eq!(log[3].get("kind"), "explain");
    // the rules of the fixture are still good with it
    cluster.admin(&format!("SELECT airlock.replace_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => 'consent', fence => true)"));
    assert_eq!(acme.query("SELECT * FROM acme.customers").ok().received, VISIBLE);
}
