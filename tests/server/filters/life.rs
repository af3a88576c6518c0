//! What a scope that looks into another table costs in rights, what shuts it, what it says of itself.

use super::{replace, FILTERS};
use crate::cluster::Cluster;
use crate::fixture::{leaked, running, ACME_RULES, VISIBLE};
use crate::process::eventually;
use crate::protocol::Conn;

const FILTER: &str = FILTERS[0].1;

/// Columns on which the view owner holds SELECT.
fn granted(cluster: &Cluster, table: &str) -> String {
    cluster
        .admin(&format!(
            "SELECT coalesce(string_agg(attname, ',' ORDER BY attnum), '') FROM pg_attribute
              WHERE attrelid = '{table}'::regclass AND attacl::text LIKE '%airlock_view_owner=r/%'"
        ))
        .value()
}

#[test]
fn the_view_owner_holds_the_columns_that_some_filter_needs_and_no_others() {
    let cluster = running();
    cluster.admin("ALTER TABLE public.consents ADD COLUMN since date, ADD COLUMN note text");
    assert_eq!(granted(&cluster, "public.consents"), "");
    // whatever is selected in EXISTS is not used
    replace(&cluster, "EXISTS (SELECT * FROM public.consents c WHERE c.customer = customers.id AND c.given)");
    assert_eq!(granted(&cluster, "public.consents"), "customer,given");
    assert_eq!(cluster.admin("SELECT count(*) FROM airlock.doctor() WHERE \"check\" = 'view owner'").value(), "0");
    let globex = |filter: &str| {
        cluster.admin(&format!(
            "SELECT airlock.replace_scope('globex', 'public.customers', '{{\"id\": {{\"mask\": \"pseudonym\"}}}}', row_filter => '{filter}')"
        ));
    };
    globex("id IN (SELECT customer FROM public.consents WHERE since IS NULL)");
    assert_eq!(granted(&cluster, "public.consents"), "customer,given,since");
    replace(&cluster, "consent");
    assert_eq!(granted(&cluster, "public.consents"), "customer,since", "globex still needs these");
    assert_eq!(cluster.sql("globex", "SELECT id FROM globex.customers").ok().received, 100);
    // a scope of the table itself, of constants at that
    cluster.admin("SELECT airlock.create_scope('acme', 'public.consents', '{\"given\": {\"mask\": \"nullify\"}}')");
    assert_eq!(granted(&cluster, "public.consents"), "customer,since", "any column will do to count rows");
    cluster.admin("SELECT airlock.replace_scope('acme', 'public.consents', '{\"given\": \"clear\"}')");
    assert_eq!(granted(&cluster, "public.consents"), "customer,given,since");
    cluster.admin("SELECT airlock.drop_scope('globex', 'public.customers')");
    assert_eq!(granted(&cluster, "public.consents"), "given");
    assert_eq!(cluster.sql("acme", "SELECT given FROM acme.consents").ok().received, 100);
    // and the other way round: the scope of the table goes, the filter that looks into it stays
    replace(&cluster, FILTER);
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.consents')");
    assert_eq!(granted(&cluster, "public.consents"), "customer,given");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
    // the table itself, seen from a row of it
    replace(&cluster, "EXISTS (SELECT FROM public.customers o WHERE o.id = customers.id + 1 AND o.note IS NOT NULL)");
    assert_eq!(granted(&cluster, "public.consents"), "");
    assert!(granted(&cluster, "public.customers").contains("note"));
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, 99);
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.customers')");
    assert_eq!(granted(&cluster, "public.customers"), "");
}

const READ: &str = "SELECT id, city, ssn FROM acme.customers";

fn codes(conn: &mut Conn) -> Vec<String> {
    let answers = [conn.query(READ), conn.query("EXECUTE p")];
    let code = |answer: &crate::protocol::Answer| {
        assert_eq!(answer.received, if answer.error.is_none() { VISIBLE } else { 0 }, "{answer:?}");
        assert_eq!(leaked(answer), None);
        answer.code().to_string()
    };
    answers.iter().map(code).collect()
}

#[test]
fn what_changes_about_the_other_table_shuts_the_scope() {
    let cluster = running();
    replace(&cluster, FILTER);
    let mut acme = cluster.connect("acme");
    acme.query(&format!("PREPARE p AS {READ}")).ok();
    assert_eq!(codes(&mut acme), ["", ""]);
    for (change, back) in [
        ("ALTER TABLE public.consents RENAME TO agreements", "ALTER TABLE public.agreements RENAME TO consents"),
        ("ALTER TABLE public.consents RENAME COLUMN given TO withdrawn", "ALTER TABLE public.consents RENAME COLUMN withdrawn TO given"),
        ("CREATE SCHEMA elsewhere; ALTER TABLE public.consents SET SCHEMA elsewhere", "ALTER TABLE elsewhere.consents SET SCHEMA public"),
        ("ALTER TABLE public.consents OWNER TO clerk", "ALTER TABLE public.consents OWNER TO app"),
        ("ALTER TABLE public.consents ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON public.consents USING (true)", "ALTER TABLE public.consents DISABLE ROW LEVEL SECURITY"),
        ("ALTER TABLE public.consents FORCE ROW LEVEL SECURITY", "ALTER TABLE public.consents NO FORCE ROW LEVEL SECURITY"),
    ] {
        cluster.admin(change);
        assert_eq!(codes(&mut acme), ["AL010", "AL010"], "{change}");
        assert_eq!(cluster.sql("acme", READ).code(), "AL010", "{change}");
        let named = "SELECT count(*) FROM airlock.doctor() WHERE severity = 'error' AND \"check\" = 'view'";
        assert_eq!(cluster.admin(named).value(), "1", "{change}");
        cluster.admin(back);
        assert_eq!(codes(&mut acme), ["", ""], "{back}");
    }
    for change in [
        "ALTER TABLE public.consents ADD COLUMN extra text DEFAULT 'CANARYCOL_p_extra'",
        "ALTER TABLE public.consents RENAME COLUMN extra TO more",
        "CREATE INDEX ON public.consents (given)",
        "VACUUM FULL public.consents",
        "ANALYZE public.consents",
    ] {
        cluster.admin(change);
        assert_eq!(codes(&mut acme), ["", ""], "{change}");
    }
    for blocked in [
        "ALTER TABLE public.consents DROP COLUMN given",
        "ALTER TABLE public.consents ALTER COLUMN customer TYPE int",
        "DROP TABLE public.consents",
    ] {
        let code = cluster.admin_error(blocked).code().to_string();
        assert!(["2BP01", "0A000"].contains(&code.as_str()), "{blocked}: {code}");
    }
    // a right that is taken away shuts it too, for PostgreSQL sees to it
    cluster.admin("REVOKE SELECT (given) ON public.consents FROM airlock_view_owner");
    assert_eq!(cluster.sql("acme", READ).code(), "42501");
    cluster.admin("GRANT SELECT (given) ON public.consents TO airlock_view_owner");
    assert_eq!(codes(&mut acme), ["", ""]);
    // what is dropped with all that stands on it takes the views along
    cluster.admin("DROP TABLE public.consents CASCADE");
    assert_ne!(cluster.sql("acme", READ).code(), "");
    cluster.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => 'consent')"
    ));
    assert_eq!(cluster.sql("acme", READ).ok().received, VISIBLE);
}

/// A view that somebody made to look into one more table does not, though the view owner may read it for another.
#[test]
fn a_filter_that_was_changed_by_hand_reads_nothing() {
    let cluster = running();
    let inner = cluster.admin("SELECT inner_view::regclass::text FROM airlock_catalog.scope WHERE view::text = 'acme.customers' AND dropped_at IS NULL").value();
    let text = cluster.admin(&format!("SELECT rtrim(pg_get_viewdef('{inner}'::regclass), ';')")).value();
    cluster.admin("SELECT airlock.replace_scope('globex', 'public.customers', '{\"country\": \"clear\"}', row_filter => 'id IN (SELECT customer FROM public.consents)')");
    cluster.admin(&format!("CREATE OR REPLACE VIEW {inner} WITH (security_barrier) AS {text} AND (EXISTS (SELECT FROM public.consents c WHERE c.customer = 7))"));
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("AL010", 0), "{answer:?}");
    // were its fingerprint taken again, the list of what the scope reads would say no
    cluster.admin("UPDATE airlock_catalog.scope SET fingerprint = NULL WHERE view::text = 'acme.customers'");
    cluster.admin("SELECT airlock.alter_subprocessor('globex', '{\"contract\": \"DPA-9\"}')");
    let answer = cluster.sql("acme", "SELECT id FROM acme.customers");
    assert_eq!((answer.code(), answer.received), ("AL007", 0), "{answer:?}");
}

#[test]
fn preview_says_what_else_is_read() {
    let cluster = running();
    let filter = "EXISTS (SELECT * FROM public.consents k WHERE k.customer = customers.id AND k.given)";
    let preview = cluster
        .admin(&format!(
            "SELECT step, what FROM airlock.preview_scope('acme', 'public.customers', '{ACME_RULES}', row_filter => '{filter}', subject => '{{id}}')"
        ))
        .rows;
    let lines: Vec<(String, String)> =
        preview.into_iter().map(|r| (r[0].clone().unwrap(), r[1].clone().unwrap())).collect();
    let has =
        |step: &str, words: &[&str]| lines.iter().any(|(s, what)| s == step && words.iter().all(|w| what.contains(w)));
    assert!(has("note", &["row_filter", "consents", "\"customer\"", "\"given\""]), "{lines:#?}");
    assert!(has("note", &["row_filter", "text", "can be read by the sub-processor"]), "{lines:#?}");
    assert!(has("sql", &["GRANT SELECT (\"customer\", \"given\")", "\"public\".\"consents\""]), "{lines:#?}");
    // the text is qualified wherever it is printed
    assert!(has("sql", &["EXISTS (SELECT FROM", "FROM public.consents k", "k.customer = customers.id"]), "{lines:#?}");
    assert_eq!(granted(&cluster, "public.consents"), "", "a preview changes nothing");
    replace(&cluster, filter);
    let row = cluster.admin("SELECT row_filter, filter_relations FROM airlock.scopes WHERE subprocessor = 'acme'").rows;
    assert_eq!(row[0][1].as_deref(), Some("{consents}"));
    assert!(row[0][0].as_deref().is_some_and(|text| text.contains("public.consents k")), "{row:?}");
    // made again from what is stored, it is the same scope
    let printed =
        "SELECT fingerprint FROM airlock_catalog.scope WHERE view::text = 'acme.customers' AND dropped_at IS NULL";
    let (text, before) = (
        row[0][0].clone().unwrap(),
        cluster.admin("SELECT row_filter FROM airlock.scopes WHERE subprocessor = 'acme'").value(),
    );
    replace(&cluster, &text);
    assert_eq!(cluster.admin("SELECT row_filter FROM airlock.scopes WHERE subprocessor = 'acme'").value(), before);
    assert!(cluster.admin(printed).value().starts_with("2:"));
}

/// Two scopes that look into each other's tables are made by two administrators at once: they take turns.
#[test]
fn scopes_that_look_into_each_other_do_not_deadlock() {
    let cluster = running();
    let customers = format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{{\"id\": \"clear\"}}', row_filter => '{FILTER}')"
    );
    cluster.admin("SELECT airlock.create_scope('globex', 'public.consents', '{\"given\": \"clear\"}')");
    let consents = "SELECT airlock.replace_scope('globex', 'public.consents', '{\"given\": \"clear\"}', row_filter => 'EXISTS (SELECT FROM public.customers c WHERE c.id = consents.customer AND c.consent)')";
    // in the order of their names each would hold its own table and wait for the other's
    let (mut held, mut one, mut two) =
        (cluster.connect("postgres"), cluster.connect("postgres"), cluster.connect("postgres"));
    held.query("BEGIN; LOCK TABLE public.customers IN SHARE UPDATE EXCLUSIVE MODE").ok();
    for (conn, sql, waiting) in [(&mut one, customers.as_str(), "1"), (&mut two, consents, "2")] {
        conn.begin(sql);
        conn.send().expect("send");
        eventually("it waits", || {
            (cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted").value() == waiting).then_some(())
        });
    }
    held.query("COMMIT").ok();
    one.finish().ok();
    two.finish().ok();
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
    assert_eq!(cluster.sql("globex", "SELECT given FROM globex.consents").ok().received, 90);
}

/// Partitions on either side, and a column of the other table that is to be encrypted.
#[test]
fn partitioned_tables_and_columns_that_are_to_be_encrypted() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.parts (id bigint, name text) PARTITION BY RANGE (id);
         CREATE TABLE public.parts_low PARTITION OF public.parts FOR VALUES FROM (0) TO (50);
         CREATE TABLE public.parts_high PARTITION OF public.parts FOR VALUES FROM (50) TO (1000);
         INSERT INTO public.parts SELECT g, 'CANARYMASK_p' FROM generate_series(1, 100) g;
         CREATE TABLE public.marks (part bigint, mark text) PARTITION BY LIST (mark);
         CREATE TABLE public.marks_good PARTITION OF public.marks FOR VALUES IN ('good');
         CREATE TABLE public.marks_bad PARTITION OF public.marks FOR VALUES IN ('bad');
         INSERT INTO public.marks SELECT g, CASE WHEN g % 10 = 0 THEN 'bad' ELSE 'good' END FROM generate_series(1, 100) g;
         ALTER TABLE public.parts OWNER TO app; ALTER TABLE public.marks OWNER TO app;
         SELECT airlock.create_scope('acme', 'public.parts', '{\"id\": \"clear\"}',
           row_filter => 'id IN (SELECT part FROM public.marks WHERE mark = ''good'') AND NOT EXISTS (SELECT FROM public.marks m WHERE m.part = parts.id AND m.mark = ''bad'')')",
    );
    assert_eq!(granted(&cluster, "public.marks"), "part,mark");
    assert_eq!(granted(&cluster, "public.marks_good"), "");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.parts").ok().received, VISIBLE);
    cluster.admin("CREATE TABLE public.marks_new PARTITION OF public.marks FOR VALUES IN ('new'); UPDATE public.marks SET mark = 'new' WHERE part = 1");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.parts").ok().received, VISIBLE - 1);
    // a column that a filter reads cannot become one that it cannot read
    let error = cluster.admin_error("SELECT airlock.encrypt_column('public.marks', 'mark', key => 'pii')");
    assert!(!error.code().is_empty(), "{error:?}");
    replace(&cluster, FILTER);
    cluster.admin("ALTER TABLE public.consents ADD COLUMN note text");
    cluster.admin("SELECT airlock.encrypt_column('public.consents', 'note', key => 'pii')");
    let error = cluster
        .admin_error("ALTER TABLE public.consents ALTER COLUMN given TYPE airlock.encrypted('pii') USING given::text");
    assert!(["0A000", "2BP01"].contains(&error.code()), "{error:?}");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
}
