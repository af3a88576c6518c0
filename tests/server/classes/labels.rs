//! Who may label what with what. Each refusal has a twin that passes.

use super::{findings, refused};
use crate::cluster::Cluster;
use crate::fixture::{running, VISIBLE};
use crate::process::eventually;
use crate::protocol::Answer;

const ON: &str = "SECURITY LABEL FOR airlock ON";

fn labels(cluster: &Cluster) -> Vec<String> {
    cluster.admin("SELECT objname || ' ' || label FROM pg_seclabels WHERE provider = 'airlock' AND objtype = 'column' ORDER BY 1").first()
}

#[test]
fn labels_are_for_columns_of_tables() {
    let cluster = running();
    cluster.admin(
        "CREATE VIEW public.v AS SELECT id FROM public.customers; CREATE MATERIALIZED VIEW public.m AS SELECT id FROM public.customers;
         CREATE TYPE public.t AS (a int); CREATE SEQUENCE public.q; CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE TABLE public.parts (a int) PARTITION BY RANGE (a); CREATE TABLE public.part PARTITION OF public.parts DEFAULT;
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE public.far (a int) SERVER s;
         CREATE UNLOGGED TABLE public.quick (a int); CREATE DOMAIN public.d AS int; CREATE ROLE somebody",
    );
    let mut postgres = cluster.connect("postgres");
    postgres.query("CREATE TEMP TABLE passing (a int)").ok();
    for what in [
        "TABLE public.customers",
        "VIEW public.v",
        "COLUMN public.v.id",
        "COLUMN public.m.id",
        "COLUMN public.t.a",
        "COLUMN acme.customers.id",
        "COLUMN public.customers.ctid",
        "COLUMN pg_temp.passing.a",
        "COLUMN airlock_catalog.key.name",
        "COLUMN information_schema.sql_features.feature_id",
        "COLUMN pg_catalog.pg_class.relname",
        "SEQUENCE public.q",
        "FUNCTION public.f()",
        "TYPE public.t",
        "DOMAIN public.d",
        "SCHEMA public",
        "DATABASE app",
        "LARGE OBJECT 1",
        "TABLESPACE pg_default",
    ] {
        for label in ["'pii'", "NULL"] {
            let answer = postgres.query(&format!("{ON} {what} IS {label}"));
            let code = answer.code();
            assert!(code == "42809" || what.starts_with("LARGE") && code == "42704", "{what}: {answer:?}");
            assert!(code == "42704" || !answer.error.unwrap().get('H').is_empty(), "{what}");
        }
    }
    for what in ["parts.a", "part.a", "far.a", "quick.a", "customers.id"] {
        cluster.admin(&format!("{ON} COLUMN public.{what} IS 'pii'"));
    }
    assert_eq!(labels(&cluster).len(), 5);
    // what says whose sub-processor a role is, is no class, and the reverse
    assert_eq!(cluster.admin_error(&format!("{ON} ROLE somebody IS 'pii'")).code(), "42501");
    assert_eq!(cluster.admin_error(&format!("{ON} COLUMN public.customers.id IS 'subprocessor:acme'")).code(), "22023");
    assert_eq!(cluster.sql("app", &format!("{ON} ROLE acme IS NULL")).code(), "42501");
    for what in ["parts.a", "part.a", "far.a", "quick.a", "customers.id"] {
        cluster.admin(&format!("{ON} COLUMN public.{what} IS NULL; {ON} COLUMN public.{what} IS NULL"));
    }
    assert_eq!(labels(&cluster), Vec::<String>::new());
}

#[test]
fn hostile_labels_are_refused() {
    let cluster = running();
    let long = "a".repeat(64);
    let huge = format!("pii.{}", "x".repeat(1 << 20));
    for label in [
        "",
        " ",
        "PII",
        "Pii.contact",
        "pii..contact",
        ".pii",
        "pii.",
        "pii.1",
        "pii contact",
        "pii\tcontact",
        "pii\n",
        "it''s",
        "pii\"",
        "pii'' OR true --",
        "pii;contact",
        "pii.кontakt",
        "ｐｉｉ",
        "p\u{131}i",
        "pii\u{200b}",
        "\u{202e}iip",
        "pii\\",
        "$1",
        "%s",
        "*",
        "subprocessor:acme",
        &long,
        &huge,
    ] {
        let sql = format!("{ON} COLUMN public.customers.city IS '{label}'");
        let error = cluster.admin_error(&sql);
        assert_eq!(error.code(), "22023", "{label:.80}");
        assert!(error.get('M').len() < 400 && error.get('H').contains("pii.contact"), "{error:?}");
    }
    assert_eq!(labels(&cluster), Vec::<String>::new());
    let longest = "a".repeat(63);
    for label in ["pii", "pii.contact.e_mail2", &longest] {
        cluster.admin(&format!("{ON} COLUMN public.customers.city IS '{label}'"));
        assert_eq!(labels(&cluster), [format!("customers.city {label}")]);
    }
    // names of columns are anybody's text
    cluster.admin(r#"CREATE TABLE public."o'; --" ("c""; x" text, id int)"#);
    cluster.admin(&format!(r#"{ON} COLUMN public."o'; --"."c""; x" IS 'pii.odd'"#));
    cluster.admin(r#"SELECT airlock.set_class('pii.odd', '{"mask": "redact"}')"#);
    let rules = cluster.admin(r#"SELECT airlock.propose_scope('acme', 'public."o''; --"')"#).value();
    assert_eq!(rules, r#"{"c\"; x": "default"}"#);
    cluster.admin(&format!(r#"SELECT airlock.create_scope('acme', 'public."o''; --"', '{rules}')"#));
    cluster.admin("SELECT airlock.set_class('pii', forbid_clear => true), airlock.drop_class('pii.odd')");
    let found = findings(&cluster);
    assert!(
        found.iter().any(|f| f[0] == r#"acme: "o'; --"."c""; x""# || f[0] == r#"acme: public."o'; --"."c""; x""#),
        "{found:#?}"
    );
}

/// A role that owns the table, and one that administers; only both together can change what a column is.
#[test]
fn an_owner_widens_no_scope_by_relabelling() {
    let cluster = running();
    cluster.admin(
        "CREATE ROLE officer LOGIN; GRANT airlock_admin TO officer; CREATE ROLE two_hats LOGIN; GRANT airlock_admin, app TO two_hats;
         CREATE ROLE aside LOGIN NOINHERIT; GRANT airlock_admin, app TO aside; GRANT CREATE ON SCHEMA public TO app",
    );
    cluster.admin(
        r#"SELECT airlock.set_class('pii', '{"mask": "redact"}', forbid_clear => true), airlock.set_class('open', '{"mask": "initials"}')"#,
    );
    let relabel = |user: &str, to: &str| cluster.sql(user, &format!("{ON} COLUMN public.customers.city IS {to}"));
    for (user, to, code) in [
        ("clerk", "'open'", "42501"),
        ("officer", "'open'", "42501"),
        ("app", "'pii.place'", ""),
        ("app", "'pii.place'", ""),
    ] {
        assert_eq!(relabel(user, to).code(), code, "{user} {to}");
    }
    let scope = r#"SELECT airlock.replace_scope('acme', 'public.customers', '{"id": "clear", "city": "default"}', row_filter => 'consent')"#;
    cluster.admin(scope);
    let shown = || -> Answer { cluster.sql("acme", "SELECT DISTINCT city FROM acme.customers").ok() };
    assert_eq!(shown().value(), "********");
    // away, lower, or up and down: none of it
    for to in ["NULL", "'open'", "'pii'", "'pii.place.town'"] {
        let answer = relabel("app", to);
        assert_eq!(answer.code(), "42501", "{to}");
        let error = answer.error.unwrap();
        assert!(error.get('M').contains("airlock_admin") && error.get('D').contains("\"pii.place\""), "{error:?}");
        assert!(error.get('H').contains("GRANT airlock_admin TO \"app\""), "{error:?}");
    }
    // by a detour: a column of a scope does not go, its name takes its label along, and a partition's owner is no better off
    let mut app = cluster.connect("app");
    assert_eq!(app.query("ALTER TABLE public.customers DROP COLUMN city").code(), "2BP01");
    app.query("BEGIN").ok();
    app.query("ALTER TABLE public.customers RENAME city TO town; ALTER TABLE public.customers RENAME note TO city")
        .ok();
    assert_eq!(
        app.query("SELECT objname FROM pg_seclabels WHERE provider = 'airlock' AND objtype = 'column'").value(),
        "customers.town"
    );
    app.query("ROLLBACK").ok();
    app.query(
        "CREATE FUNCTION public.relabel() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
           $$ BEGIN SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS 'open'; END $$",
    )
    .ok();
    for user in ["app", "officer", "clerk"] {
        assert_eq!(cluster.sql(user, "SELECT public.relabel()").code(), "42501", "{user}");
    }
    assert_eq!(relabel("aside", "'open'").code(), "42501", "a role that has not taken its groups on");
    assert_eq!(labels(&cluster), ["customers.city pii.place"]);
    let clear = scope.replace("\"default\"", "\"clear\"");
    assert_eq!(refused(&cluster, &clear, &["\"pii\" forbids"]).0, "AL010");
    cluster.admin(scope);
    assert_eq!(shown().value(), "********");

    // whoever is both may, and the scope is what it was until an administrator makes it anew
    relabel("two_hats", "'open'").ok();
    assert_eq!(shown().value(), "********");
    assert_eq!(findings(&cluster).len(), 1);
    assert_eq!(
        refused(
            &cluster,
            "SET ROLE app; SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS NULL",
            &["airlock_admin"]
        )
        .0,
        "42501"
    );
    relabel("two_hats", "NULL").ok();
    relabel("app", "'open'").ok();
    cluster.admin(scope);
    assert_eq!(shown().received, 3, "one letter of three towns");
}

/// It reads labels, as it reads all catalogs that PUBLIC may read: a class is a word, and no mask, name or person is in it.
#[test]
fn a_sub_processor_labels_nothing_and_learns_words() {
    let cluster = running();
    cluster.admin(
        "CREATE TABLE public.theirs (a text); ALTER TABLE public.theirs OWNER TO acme; GRANT airlock_admin, app TO acme;
         CREATE FUNCTION public.relabel() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
           $$ BEGIN SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS 'open'; END $$;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA airlock TO acme; GRANT USAGE ON SCHEMA airlock, airlock_catalog TO acme;
         GRANT SELECT ON ALL TABLES IN SCHEMA airlock, airlock_catalog TO acme",
    );
    cluster.admin(r#"SELECT airlock.set_class('pii', '{"mask": "constant", "value": "CANARYCOL_mask"}')"#);
    cluster.admin(&format!("{ON} COLUMN public.customers.note IS 'pii.note'"));
    for sql in [
        "SECURITY LABEL FOR airlock ON COLUMN public.theirs.a IS 'pii'",
        "SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS 'open'",
        "SECURITY LABEL FOR airlock ON COLUMN public.customers.note IS NULL",
        "SECURITY LABEL ON COLUMN public.theirs.a IS 'pii'",
        "SECURITY LABEL FOR airlock ON ROLE acme IS NULL",
        "DO $$ BEGIN EXECUTE 'SECURITY LABEL FOR airlock ON COLUMN public.theirs.a IS ''pii'''; END $$",
        "SELECT public.relabel()",
        "SELECT airlock.set_class('pii')",
        "SELECT airlock.drop_class('pii')",
        "SELECT airlock.propose_scope('acme', 'public.customers')",
        "SELECT * FROM airlock.classes",
        "SELECT * FROM airlock.classified_columns",
        "SELECT * FROM airlock_catalog.class",
        "SELECT * FROM airlock_catalog.column_label",
    ] {
        let answer = cluster.sql("acme", sql);
        assert_eq!((answer.code(), answer.received), ("AL007", 0), "{sql}: {answer:?}");
    }
    assert_eq!(labels(&cluster), ["customers.note pii.note"], "the twin: the owner's");
    let answer = cluster
        .sql("acme", "SELECT objname, label FROM pg_seclabels WHERE provider = 'airlock' AND objtype = 'column'")
        .ok();
    assert_eq!(answer.rows, [[Some("public.customers.note".to_string()), Some("pii.note".to_string())]]);
    let everything = cluster.sql("acme", "SELECT l::text FROM pg_seclabel l UNION ALL SELECT s::text FROM pg_shseclabel s UNION ALL SELECT v::text FROM pg_seclabels v").ok();
    assert!(everything.received > 3 && crate::fixture::leaked(&everything).is_none(), "{everything:?}");
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers").ok().received, VISIBLE);
    // its owner may, in a session of nobody's
    cluster.admin(&format!("{ON} COLUMN public.theirs.a IS 'pii'; SELECT public.relabel()"));
    assert_eq!(labels(&cluster).len(), 3);
}

/// What is being classified just now holds for a scope that is being made just now.
#[test]
fn a_scope_waits_for_who_classifies() {
    let cluster = running();
    cluster.admin("SELECT airlock.set_class('pii', forbid_clear => true)");
    let rules = [r#"{"id": "clear", "city": "clear"}"#, r#"{"id": "clear", "country": "clear"}"#];
    for (change, rules) in [
        ("SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS 'pii.place'", rules[0]),
        ("SELECT airlock.set_class('place', forbid_clear => true)", rules[1]),
    ] {
        cluster.admin(&format!(
            "{ON} COLUMN public.customers.country IS NULL; {ON} COLUMN public.customers.country IS 'place'"
        ));
        cluster.admin(&super::scope("replace", rules));
        let (mut first, mut second) = (cluster.connect("postgres"), cluster.connect("postgres"));
        first.query(&format!("BEGIN; {change}")).ok();
        second.begin(&super::scope("replace", rules));
        eventually("the second waits", || {
            (cluster.admin("SELECT count(*) FROM pg_locks WHERE NOT granted").value() == "1").then_some(())
        });
        first.query("COMMIT").ok();
        let answer = second.finish();
        assert_eq!(answer.code(), "AL010", "{change}: {answer:?}");
    }
}
