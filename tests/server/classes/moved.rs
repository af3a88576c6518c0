//! Classes go where the database goes: through dumps, over the objects of an older release, through encryption.

use super::{findings, masks, refused, scope};
use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::dump::{beside, dump, from, globals, restore_plain};
use crate::fixture::{open, running, stopped, ACME_RULES};
use crate::process::run;
use crate::release::Release;

const LABELS: &str = "SELECT string_agg(objname || ' ' || label, ', ' ORDER BY objname) FROM pg_seclabels WHERE provider = 'airlock' AND objtype = 'column'";
const SET: &str = "SELECT string_agg(concat_ws(' ', id, class, subprocessor, mask, forbid_clear, since, login_role, until, until_login_role), ', ' ORDER BY id) FROM airlock.class_history";

#[test]
fn a_dump_takes_labels_and_classes_along() {
    let source = running();
    source.admin(
        "SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact';
         SECURITY LABEL FOR airlock ON COLUMN public.customers.city IS 'place';
         CREATE TABLE public.parts (a int, b text) PARTITION BY RANGE (a); CREATE TABLE public.part PARTITION OF public.parts DEFAULT;
         ALTER TABLE public.parts OWNER TO app; ALTER TABLE public.part OWNER TO app;
         SECURITY LABEL FOR airlock ON COLUMN public.part.b IS 'pii.part';
         SELECT airlock.set_class('pii', '{\"mask\": \"redact\"}'); SELECT airlock.set_class('pii', '{\"mask\": \"email\"}', true);
         SELECT airlock.set_class('pii', '{\"mask\": \"pseudonym\"}', subprocessor => 'globex'); SELECT airlock.drop_class('pii', 'globex')",
    );
    source.admin(&scope("replace", r#"{"id": "clear", "email": "default", "city": "clear"}"#));
    source.admin("SELECT airlock.set_class('place', forbid_clear => true)");
    let told = |cluster: &Cluster| {
        (cluster.admin(LABELS).value(), cluster.admin(SET).value(), masks(cluster), findings(cluster))
    };
    let before = told(&source);
    assert!(before.0.contains("part.b pii.part") && before.3.len() == 1, "{before:?}");
    let arrived = |target: &Cluster| {
        open(target);
        assert_eq!(told(target), before);
        // numbers go on, and what is forbidden is
        target.admin("SELECT airlock.set_class('new', forbid_clear => true)");
        let (code, path) =
            refused(target, &scope("replace", r#"{"id": "clear", "email": "clear"}"#), &["\"pii\" forbids"]);
        assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.email"));
    };
    let text = dump(&source, &source, &[]);
    assert!(text.contains("SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact';"));
    let plain = beside(&source, Postgres::main());
    globals(&source, &plain);
    restore_plain(&plain, &text);
    arrived(&plain);
    let parts = beside(&source, Postgres::main());
    globals(&source, &parts);
    for section in ["--section=pre-data", "--section=data", "--section=post-data"] {
        restore_plain(&parts, &dump(&source, &parts, &[section]));
    }
    arrived(&parts);
    // tables and labels without the extension's rows: by the owner, who administers nothing, and without scopes
    let bare = beside(&source, Postgres::main());
    globals(&source, &bare);
    bare.admin("CREATE EXTENSION pg_airlock; GRANT CREATE ON SCHEMA public TO app");
    let mut pg_dump = bare.client("pg_dump", "postgres");
    let text = run(from(&source, &mut pg_dump).args([
        "--schema-only",
        "--no-owner",
        "-t",
        "public.consents",
        "-t",
        "public.part*",
        DATABASE,
    ]));
    let mut psql = bare.client("psql", "app");
    let script = bare.dir.join("parts.sql");
    std::fs::write(&script, &text).unwrap();
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", DATABASE]);
    let said = psql.stdin(std::fs::File::open(&script).unwrap()).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(bare.admin(LABELS).value(), "part.b pii.part");
}

/// The new library over the objects of 0.1.0: they have no classes, and nothing else is the worse for it.
#[test]
fn objects_of_the_first_release_know_no_classes() {
    let release = Release::all().into_iter().find(|r| r.version == "0.1.0").expect("0.1.0");
    let cluster = release.restored("0.1.0");
    cluster.admin("SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact'");
    assert_eq!(findings(&cluster), Vec::<[String; 3]>::new());
    cluster.admin(&scope("replace", ACME_RULES));
    cluster.admin(&scope("preview", ACME_RULES));
    let (code, path) =
        refused(&cluster, &scope("replace", r#"{"email": "default"}"#), &["ALTER EXTENSION pg_airlock UPDATE"]);
    assert_eq!((code.as_str(), path.as_str()), ("AL010", "at $.email"));
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.customers LIMIT 1").ok().received, 1);
}

#[test]
fn a_column_keeps_its_class_when_it_is_encrypted() {
    let cluster = running();
    cluster.admin(
        "SELECT airlock.drop_scope('acme', 'public.customers'), airlock.drop_scope('globex', 'public.customers')",
    );
    cluster.admin(
        "SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact';
         SECURITY LABEL FOR airlock ON COLUMN public.customers.phone IS 'pii.contact.phone'",
    );
    let mut app = cluster.connect("app");
    app.query("SELECT airlock.encrypt_column('public.customers', 'phone', 'pii')").ok();
    app.query("CALL airlock.encrypt_column_online('public.customers', 'email', 'pii')").ok();
    let rows = cluster.admin("SELECT column_name, class, encrypted FROM airlock.classified_columns").rows;
    let row = |fields: [&str; 3]| fields.map(|f| Some(f.to_string())).to_vec();
    let mut found = rows.clone();
    found.sort();
    assert_eq!(found, [row(["email", "pii.contact", "t"]), row(["phone", "pii.contact.phone", "t"])]);
    app.query("SELECT airlock.decrypt_column('public.customers', 'phone')").ok();
    assert_eq!(cluster.admin(LABELS).value(), "customers.email pii.contact, customers.phone pii.contact.phone");
    // online, a partition's own label moves too
    cluster.admin(
        "CREATE TABLE public.parts (a int PRIMARY KEY, b text) PARTITION BY RANGE (a); CREATE TABLE public.part PARTITION OF public.parts DEFAULT;
         INSERT INTO public.parts SELECT g, g FROM generate_series(1, 10) g;
         SECURITY LABEL FOR airlock ON COLUMN public.part.b IS 'pii.part'",
    );
    cluster.connect("postgres").query("CALL airlock.encrypt_column_online('public.parts', 'b', 'pii')").ok();
    assert!(cluster.admin(LABELS).value().contains("part.b pii.part"));
}

#[test]
fn without_the_library_postgresql_says_so() {
    let mut cluster = stopped();
    cluster.set("shared_preload_libraries", "");
    cluster.start();
    let error = cluster.admin_error("SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact'");
    assert!(error.get('M').contains("security label provider \"airlock\" is not loaded"), "{error:?}");
    cluster.stop();
    cluster.preload();
    cluster.start();
    cluster.admin("SECURITY LABEL FOR airlock ON COLUMN public.customers.email IS 'pii.contact'");
}
