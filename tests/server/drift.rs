//! Whatever changes under a scope is blocked by PostgreSQL, followed, or shuts the scope (AL010) at the next statement, in
//! open sessions and for prepared statements too, until it is put back or `replace_scope` has been called.

use crate::cluster::Cluster;
use crate::fixture::{leaked, running, ACME_RULES, VISIBLE};
use crate::protocol::Conn;

const READ: &str = "SELECT id, city, phone FROM acme.customers";

/// What the session gets: a plain read, and one that was prepared before.
fn codes(conn: &mut Conn) -> Vec<String> {
    let answers = [conn.query(READ), conn.query("EXECUTE p")];
    let code = |answer: &crate::protocol::Answer| match answer.error {
        None => {
            assert_eq!(answer.received, VISIBLE, "{answer:?}");
            String::new()
        }
        Some(_) => {
            assert_eq!((answer.received, leaked(answer)), (0, None), "{answer:?}");
            answer.code().to_string()
        }
    };
    answers.iter().map(code).collect()
}

fn definition(cluster: &Cluster, view: &str) -> String {
    cluster.admin(&format!("SELECT rtrim(pg_get_viewdef('{view}'::regclass), ';')")).value()
}

#[test]
fn what_changes_under_a_scope_is_followed_or_shuts_it() {
    let cluster = running();
    let inner = cluster.admin("SELECT inner_view::regclass::text FROM airlock_catalog.scope WHERE view::text = 'acme.customers' AND dropped_at IS NULL").value();
    let (outer_as, inner_as) = (definition(&cluster, "acme.customers"), definition(&cluster, &inner));
    let replace = |view: &str, text: &str| format!("CREATE OR REPLACE VIEW {view} WITH (security_barrier) AS {text}");
    let mut acme = cluster.connect("acme");
    acme.query(&format!("PREPARE p AS {READ}")).ok();
    assert_eq!(codes(&mut acme), ["", ""]);
    let shut = [
        ("ALTER VIEW acme.customers SET (security_barrier = false)".to_string(), "ALTER VIEW acme.customers SET (security_barrier = true)".to_string()),
        (format!("ALTER VIEW {inner} RESET (security_barrier)"), format!("ALTER VIEW {inner} SET (security_barrier = true)")),
        ("ALTER VIEW acme.customers OWNER TO postgres".into(), "ALTER VIEW acme.customers OWNER TO airlock_view_owner".into()),
        // the filter of the rows, and the gate
        (replace(&inner, &inner_as[..inner_as.find("WHERE").unwrap()]), replace(&inner, &inner_as)),
        (replace(&inner, &format!("{} WHERE airlock.gate(1)", &inner_as[..inner_as.find("WHERE").unwrap()])), replace(&inner, &inner_as)),
        (replace(&inner, &format!("{inner_as} OR true")), replace(&inner, &inner_as)),
        // a mask that shows more
        (replace("acme.customers", &outer_as.replace("phone, 0, 2, ", "phone, 0, 6, ")), replace("acme.customers", &outer_as)),
        ("ALTER VIEW acme.customers RENAME COLUMN country TO land".into(), "ALTER VIEW acme.customers RENAME COLUMN land TO country".into()),
        ("ALTER TABLE public.customers RENAME COLUMN city TO town".into(), "ALTER TABLE public.customers RENAME COLUMN town TO city".into()),
        ("ALTER TABLE public.customers RENAME TO clients".into(), "ALTER TABLE public.clients RENAME TO customers".into()),
        ("CREATE SCHEMA elsewhere; ALTER TABLE public.customers SET SCHEMA elsewhere".into(), "ALTER TABLE elsewhere.customers SET SCHEMA public".into()),
        ("ALTER SCHEMA public RENAME TO once_public".into(), "ALTER SCHEMA once_public RENAME TO public".into()),
        ("ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON public.customers USING (true)".into(), "ALTER TABLE public.customers DISABLE ROW LEVEL SECURITY".into()),
    ];
    for (change, back) in shut {
        assert_ne!(change, back);
        cluster.admin(&change);
        assert_eq!(codes(&mut acme), ["AL010", "AL010"], "{change}");
        let mut new = cluster.connect("acme");
        let answer = new.query(READ);
        assert_eq!((answer.code(), answer.received), ("AL010", 0), "{change}: {answer:?}");
        let error = answer.error.as_ref().unwrap();
        assert!(error.get('H').contains("airlock.doctor()") && error.get('H').contains("replace_scope"), "{error:?}");
        let named = cluster
            .admin("SELECT count(*) FROM airlock.doctor() WHERE severity = 'error' AND \"check\" = 'view'")
            .value();
        assert_ne!(named, "0", "{change}");
        cluster.admin(&back);
        assert_eq!(codes(&mut acme), ["", ""], "{back}");
    }
    // how a session prints is no change
    acme.query("SET quote_all_identifiers = on").ok();
    cluster.admin("ALTER VIEW acme.customers RENAME COLUMN country TO land; ALTER VIEW acme.customers RENAME COLUMN land TO country");
    assert_eq!(codes(&mut acme), ["", ""]);
    let followed = [
        "ALTER TABLE public.customers ADD COLUMN extra text DEFAULT 'CANARYCOL_p_extra'",
        "ALTER TABLE public.customers DROP COLUMN extra",
        "CREATE INDEX ON public.customers (city)",
        "ANALYZE public.customers",
        "VACUUM FULL public.customers",
        "ALTER TABLE public.customers RENAME COLUMN note TO remark",
        "ALTER TABLE public.customers RENAME COLUMN remark TO note",
        "ALTER TABLE public.customers ALTER COLUMN city SET STATISTICS 10",
        "ALTER TABLE public.customers SET (fillfactor = 90)",
        // whose it is changes nothing of what is shown, nor who may read it
        "ALTER TABLE public.customers OWNER TO clerk",
        "ALTER TABLE public.customers OWNER TO app",
    ];
    for change in followed {
        cluster.admin(change);
        assert_eq!(codes(&mut acme), ["", ""], "{change}");
    }
    for blocked in [
        "ALTER TABLE public.customers DROP COLUMN city",
        "ALTER TABLE public.customers ALTER COLUMN city TYPE varchar(10)",
        "DROP TABLE public.customers",
    ] {
        let code = cluster.admin_error(blocked).code().to_string();
        assert!(["2BP01", "0A000"].contains(&code.as_str()), "{blocked}: {code}");
    }
    // an administrator looks, and makes the scope anew
    cluster.admin("ALTER TABLE public.customers RENAME COLUMN city TO town");
    assert_eq!(cluster.sql("acme", READ).code(), "AL010");
    cluster.admin(&format!(
        "SELECT airlock.replace_scope('acme', 'public.customers', '{}', row_filter => 'consent', subject => '{{id}}')",
        ACME_RULES.replace("\"city\"", "\"town\"")
    ));
    assert_eq!(cluster.sql("acme", "SELECT id, town FROM acme.customers").ok().received, VISIBLE);
}

/// A change that is rolled back shuts nothing, and one within a reader's own transaction is seen by its next statement.
#[test]
fn a_change_that_is_not_committed_shuts_nothing() {
    let cluster = running();
    let mut acme = cluster.connect("acme");
    acme.query(&format!("PREPARE p AS {READ}")).ok();
    let mut admin = cluster.connect("postgres");
    admin.query("BEGIN; ALTER TABLE public.customers SET (autovacuum_enabled = off); ROLLBACK").ok();
    assert_eq!(codes(&mut acme), ["", ""]);
    acme.query("BEGIN").ok();
    assert_eq!(codes(&mut acme), ["", ""]);
    acme.query("COMMIT").ok();
    cluster.admin("ALTER VIEW acme.customers RENAME COLUMN country TO land");
    acme.query("BEGIN").ok();
    assert_eq!(acme.query(READ).code(), "AL010");
    acme.query("ROLLBACK").ok();
}

/// Pseudonyms that a sub-processor has stored do not change because the controller renamed a table.
#[test]
fn a_renamed_table_keeps_its_pseudonyms() {
    let cluster = running();
    let shown = || cluster.sql("acme", "SELECT email FROM acme.customers ORDER BY id").ok().first();
    let before = shown();
    assert_eq!(before.len(), VISIBLE);
    cluster.admin("ALTER TABLE public.customers RENAME TO clients");
    let replace = |rules: &str| {
        cluster.admin(&format!("SELECT airlock.replace_scope('acme', 'public.clients', '{rules}', row_filter => 'consent', subject => '{{id}}')"));
    };
    replace(ACME_RULES);
    assert_eq!(shown(), before);
    // again, for what was kept is not a label that somebody gave
    cluster.admin(
        "CREATE SCHEMA moved; ALTER TABLE public.clients SET SCHEMA moved; ALTER TABLE moved.clients SET SCHEMA public",
    );
    replace(ACME_RULES);
    assert_eq!(shown(), before);
    // a label is another domain, and without it the column's own comes back
    replace(&ACME_RULES.replace("\"pseudonym\"", "\"pseudonym\", \"domain\": \"mail\""));
    let labelled = shown();
    assert!(labelled.iter().all(|p| !before.contains(p)));
    replace(ACME_RULES);
    assert!(shown().iter().all(|p| !labelled.contains(p)));
}

/// What a plan of 15 no longer names is read all the same.
#[test]
fn a_join_that_is_proved_empty_is_held_against_the_contract() {
    let cluster = running();
    let sql = "SELECT count(*) FROM acme.customers a, acme.customers b WHERE false";
    let mut acme = cluster.connect("acme");
    acme.query(&format!("PREPARE p AS {sql}")).ok();
    for _ in 0..7 {
        assert_eq!(acme.query("EXECUTE p").ok().value(), "0");
    }
    cluster.admin("GRANT USAGE ON SCHEMA globex TO acme; GRANT SELECT ON globex.customers TO acme");
    let other = "SELECT count(*) FROM globex.customers a, globex.customers b WHERE false";
    assert_eq!(cluster.sql("acme", other).code(), "AL007");
    cluster.admin("ALTER VIEW acme.customers SET (security_barrier = false)");
    assert_eq!((acme.query(sql).code(), acme.query("EXECUTE p").code()), ("AL010", "AL010"));
    cluster.admin("ALTER VIEW acme.customers SET (security_barrier = true); SELECT airlock.suspend('acme', 'x')");
    assert_eq!(cluster.sql("acme", sql).code(), "AL006");
}

/// Until 16 a rule makes a view of an empty table, under its number and name.
#[test]
fn a_relation_that_becomes_a_view_shuts_its_scope() {
    let cluster = running();
    if cluster.admin("SELECT current_setting('server_version_num')::int >= 160000").value() == "t" {
        return;
    }
    cluster.admin(
        "CREATE TABLE public.early (id int, name text);
         SELECT airlock.create_scope('acme', 'public.early', '{\"id\": \"clear\", \"name\": {\"mask\": \"redact\"}}')",
    );
    let mut acme = cluster.connect("acme");
    acme.query("SELECT * FROM acme.early").ok();
    cluster.admin(
        "CREATE RULE \"_RETURN\" AS ON SELECT TO public.early DO INSTEAD SELECT 7 AS id, 'made up'::text AS name",
    );
    assert_eq!(acme.query("SELECT * FROM acme.early").code(), "AL010");
    assert_ne!(
        cluster.admin("SELECT count(*) FROM airlock.doctor() WHERE severity = 'error' AND \"check\" = 'view'").value(),
        "0"
    );
    assert_eq!(acme.query(READ).ok().received, VISIBLE);
}

/// A cursor reads for the sub-processor as long as its login does.
#[test]
fn a_membership_that_is_revoked_ends_an_open_cursor() {
    let cluster = running();
    let mut bob = cluster.connect("acme_bob");
    bob.query("BEGIN").ok();
    bob.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    assert_eq!(bob.query("FETCH 2 FROM c").ok().received, 2);
    cluster.admin("REVOKE acme FROM acme_bob");
    let answer = bob.query("FETCH 2 FROM c");
    assert_eq!((answer.code(), answer.received), ("AL007", 0), "{answer:?}");
}
