//! Bound values on the move: partitions, scoped views, dumps, logical replication.

use super::{bound, flags, read, refused, READ};
use crate::cluster::Postgres;
use crate::dump::{beside, dump, globals, restore_plain};
use crate::fixture;
use crate::process::eventually;

const PARTS: &str = "
    CREATE TABLE public.people (id bigint, region text, ssn text, tip text DEFAULT 'secret tip', PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE public.north PARTITION OF public.people FOR VALUES IN ('n');
    CREATE TABLE public.south (gone int, ssn text, tip text, region text NOT NULL, id bigint NOT NULL); ALTER TABLE public.south DROP gone;
    ALTER TABLE public.people ATTACH PARTITION public.south FOR VALUES IN ('s');
    INSERT INTO public.people SELECT g, CASE WHEN g < 3 THEN 'n' ELSE 's' END, 'secret ' || g FROM generate_series(1, 4) g;
    ALTER TABLE public.people OWNER TO app; ALTER TABLE public.north OWNER TO app; ALTER TABLE public.south OWNER TO app;
    GRANT CREATE ON SCHEMA public TO app;";

#[test]
fn partitions_have_the_trigger_and_rows_move_between_them() {
    let cluster = fixture::running();
    cluster.admin(PARTS);
    let mut app = cluster.connect("app");
    let done = app.query("SELECT airlock.encrypt_column('public.people', 'ssn', 'pii', bind => '{region,id}')").ok();
    let hints: String = done.notices.iter().map(crate::protocol::Fields::text).collect();
    assert!(hints.contains("GRANT EXECUTE ON FUNCTION airlock.bind_row() TO \"app\""), "{hints}");
    // a second column, served by the same trigger
    app.query("SELECT airlock.encrypt_column('public.people', 'tip', 'pii', bind => '{id}')").ok();
    let tips = "SELECT count(*) FROM public.people WHERE airlock.decrypt(tip, NULL::text, id) = 'secret tip'";
    let read = "SELECT region || id || airlock.decrypt(ssn, NULL::text, region, id) FROM public.people ORDER BY id";
    assert_eq!(app.query(read).ok().first(), ["n1secret 1", "n2secret 2", "s3secret 3", "s4secret 4"]);
    app.query("INSERT INTO public.people VALUES (5, 'n', 'secret 5'); INSERT INTO public.south (id, region, ssn) VALUES (6, 's', 'secret 6')").ok();
    app.query("UPDATE public.people SET region = 's' WHERE id IN (1, 5); UPDATE public.people SET region = 'n', id = 40, ssn = 'secret 40' WHERE id = 4").ok();
    let rows = ["s1secret 1", "n2secret 2", "s3secret 3", "s5secret 5", "s6secret 6", "n40secret 40"];
    assert_eq!(app.query(read).ok().first(), rows);
    assert_eq!(app.query(tips).value(), "5", "all but the one inserted past the parent's default");
    let clones = "SELECT string_agg(tgrelid::regclass || tgenabled::text, ' ' ORDER BY 1) FROM (SELECT tgrelid, tgenabled FROM pg_trigger WHERE tgname = '~airlock_bind' ORDER BY tgrelid) t";
    assert_eq!(cluster.admin(clones).value().matches('A').count(), 3);

    // a new partition clones the trigger, for which its maker needs the right to attach it
    let new = "CREATE TABLE public.east PARTITION OF public.people FOR VALUES IN ('e')";
    refused(&app.query(new), "42501", &["permission denied for function"]);
    cluster.admin("GRANT EXECUTE ON FUNCTION airlock.bind_row() TO app");
    app.query(new).ok();
    app.query("CREATE TABLE public.west (LIKE public.people); INSERT INTO public.west VALUES (8, 'w', 'secret 8')")
        .ok();
    app.query("ALTER TABLE public.people ATTACH PARTITION public.west FOR VALUES IN ('w'); INSERT INTO public.people VALUES (7, 'e', 'secret 7')").ok();
    refused(&app.query(read), "AL003", &["unbound"]);
    app.query("UPDATE public.people SET ssn = ssn WHERE region = 'w'").ok();
    let all = [&rows[..5], &["e7secret 7", "w8secret 8", "n40secret 40"]].concat();
    assert_eq!(app.query(read).ok().first(), all);
    let doctor = "SELECT count(*) FROM airlock.doctor() WHERE \"check\" = 'row binding'";
    assert_eq!(cluster.admin(doctor).value(), "0");
    app.query("SELECT airlock.decrypt_column('public.people', 'ssn')").ok();
    app.query("UPDATE public.people SET id = id * 10; UPDATE public.people SET id = id / 10").ok();
    assert_eq!(app.query(tips).value(), "6");
    app.query("SELECT airlock.decrypt_column('public.people', 'tip')").ok();
    assert_eq!(app.query("SELECT region || id || ssn FROM public.people ORDER BY id").ok().first(), all);
    assert_eq!(cluster.admin("SELECT count(*) FROM pg_trigger WHERE tgname = '~airlock_bind'").value(), "0");
}

#[test]
fn a_scoped_view_opens_each_value_in_its_row() {
    let cluster = bound();
    let scope = |rules: &str| {
        cluster.admin(&format!("SELECT airlock.create_scope('acme', 'public.people', '{rules}', subject => '{{id}}')"));
    };
    // the columns that the values are bound to are not shown for that
    scope(r#"{"ssn": {"mask": "partial", "right": 1}, "born": "clear", "note": "clear"}"#);
    let shown = cluster.sql("acme", "SELECT ssn, born, note FROM acme.people ORDER BY born").ok();
    let text: Vec<String> =
        shown.rows.iter().map(|r| r.iter().flatten().cloned().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(text[0], "*******1 2000-01-02 n");
    assert_eq!((text.len(), text[5].as_str()), (6, "n"));
    assert_eq!(cluster.sql("acme", "SELECT id FROM acme.people").code(), "42703");
    let rows = cluster.sql("acme", "SELECT born FROM acme.people WHERE ssn = '*******3'").value();
    assert_eq!(rows, "2000-01-04");
    let owned = "SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attacl::text LIKE '%airlock_view_owner%'";
    assert_eq!(cluster.admin(owned).value(), "born email id note ssn");
    let errors = "SELECT count(*) FROM airlock.doctor() WHERE \"check\" LIKE 'view%'";
    assert_eq!(cluster.admin(errors).value(), "0");
    // the log names the columns that are shown
    let logged = fixture::logged(&cluster, "");
    assert!(logged.iter().all(|r| !r.get("columns").contains("acme.people.id")), "{logged:?}");

    // a moved value is AL003 there as well, and no other row suffers
    let mut admin = cluster.connect("postgres");
    admin.query("SET airlock.encrypted_input = ciphertext; UPDATE public.people SET ssn = (SELECT ssn FROM public.people WHERE id = 2) WHERE id = 1").ok();
    refused(&cluster.sql("acme", "SELECT ssn FROM acme.people WHERE born = '2000-01-02'"), "AL003", &[]);
    assert_eq!(cluster.sql("acme", "SELECT ssn FROM acme.people WHERE born = '2000-01-03'").value(), "*******2");
    cluster.admin("SELECT airlock.drop_scope('acme', 'public.people')");
    assert_eq!(cluster.admin(owned).value(), "", "no column is left to the views' owner");
    // with the key shown under a mask, the value opens by the key itself
    scope(r#"{"id": {"mask": "pseudonym"}, "ssn": {"mask": "pseudonym"}}"#);
    cluster.sql("app", "UPDATE public.people SET ssn = 'secret 2' WHERE id = 1").ok();
    assert_eq!(cluster.sql("acme", "SELECT count(*) || ' ' || count(DISTINCT ssn) FROM acme.people").value(), "6 4");
}

#[test]
fn a_dump_restores_bound_values_and_the_trigger() {
    let source = bound();
    let expected = read(&source);
    let target = beside(&source, Postgres::main());
    globals(&source, &target);
    let text = dump(&source, &target, &[]);
    assert!(text.contains("ENABLE ALWAYS TRIGGER \"~airlock_bind\""), "the trigger is in the dump");
    restore_plain(&target, &text);
    assert_eq!(read(&target), expected);
    target.sql("writer", "INSERT INTO public.people (id, ssn) VALUES (70, 'secret 70'); UPDATE public.people SET id = 10 WHERE id = 1").ok();
    assert_eq!(read(&target).last().map(String::as_str), Some("70 secret 70"));
    assert_eq!((flags(&target, "ssn"), flags(&target, "born")), ("6 0".into(), "5 0".into()));
    // data alone, into a table that has its trigger
    target.admin("TRUNCATE public.people");
    restore_plain(&target, &dump(&source, &target, &["--data-only", "-t", "public.people"]));
    assert_eq!(read(&target), expected);
    assert_eq!(target.admin("SELECT count(*) FROM airlock.doctor() WHERE \"check\" = 'row binding'").value(), "0");
}

#[test]
fn a_subscriber_gets_values_bound_to_the_same_rows() {
    let mut source = bound();
    source.set("wal_level", "logical");
    source.restart();
    let mut target = beside(&source, Postgres::main());
    globals(&source, &target);
    restore_plain(&target, &dump(&source, &target, &[]));
    target.admin("TRUNCATE public.people; ALTER ROLE postgres SET airlock.encrypted_input = 'ciphertext'");
    target.restart();
    source.admin("CREATE PUBLICATION p FOR TABLE public.people");
    source.admin("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    let connection = format!("host={} port={} user=postgres dbname=app", source.dir.display(), source.port);
    target.admin(&format!("CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p WITH (create_slot = false)"));
    let arrived = |what: &str| {
        eventually(what, || {
            let (there, here) = (source.sql("app", READ).ok().first(), target.sql("app", READ));
            (here.error.is_none() && here.first() == there).then_some(())
        });
    };
    arrived("the table is copied");
    source.sql("writer", "INSERT INTO public.people (id, ssn, email) VALUES (70, 'secret 70', 'x'); UPDATE public.people SET id = 80, note = 'm' WHERE id = 1;
        UPDATE public.people SET email = 'moved' WHERE id = 2; UPDATE public.people SET note = 'other' WHERE id = 3; DELETE FROM public.people WHERE id = 4;
        UPDATE public.people SET ssn = repeat('secret', 10000)::text WHERE id = 5").ok();
    arrived("changes arrive");
    source
        .sql(
            "writer",
            "UPDATE public.people SET note = 'toasted' WHERE id = 5; UPDATE public.people SET id = 6000 WHERE id = 5",
        )
        .ok();
    arrived("a value out of line, too");
    // the trigger runs in the apply worker, and keeps what arrives: the same bytes on both sides
    let bytes = "SELECT md5(string_agg(concat(ssn, born), ',' ORDER BY id)) FROM public.people";
    assert_eq!(source.admin(bytes).value(), target.admin(bytes).value());
    assert_eq!(target.admin("SELECT tgenabled FROM pg_trigger WHERE tgname = '~airlock_bind'").value(), "A");
    target.admin("ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE)");
    target.admin("DROP SUBSCRIPTION s");
}
