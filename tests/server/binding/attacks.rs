//! Who may write and not decrypt moves values: between rows, through other tables, with the trigger elsewhere, past it.

use super::{bound, read, refused, READ};
use crate::cluster::Cluster;

/// Writes stored values as they are, as a restore does.
fn raw(cluster: &Cluster, sql: &str) {
    let mut admin = cluster.connect("postgres");
    admin.query("SET airlock.encrypted_input = ciphertext").ok();
    admin.query(sql).ok();
}

#[test]
fn a_value_of_another_row_is_refused_when_it_is_written() {
    let cluster = bound();
    let before = read(&cluster);
    for sql in [
        "UPDATE public.people SET ssn = (SELECT ssn FROM public.people WHERE id = 2) WHERE id = 1",
        "UPDATE public.people p SET ssn = o.ssn FROM public.people o WHERE o.id = p.id % 5 + 1 AND p.id < 6",
        "UPDATE public.people p SET ssn = o.ssn, note = 'x' FROM public.people o WHERE o.id = 2 AND p.id = 1",
        "INSERT INTO public.people (id, ssn) SELECT 9, ssn FROM public.people WHERE id = 2",
        "INSERT INTO public.people (id, ssn) SELECT NULLIF(9, 9) + 9, ssn FROM (SELECT ssn FROM public.people WHERE id = 2) s UNION ALL SELECT 10, ssn FROM public.people WHERE id = 3",
        "INSERT INTO public.people VALUES (3000, 'e3', 'n', 'secret', '1980-01-01') ON CONFLICT (email) DO UPDATE SET ssn = EXCLUDED.ssn",
        "UPDATE public.people p SET id = 20, ssn = o.ssn FROM public.people o WHERE o.id = 2 AND p.id = 1",
        "MERGE INTO public.people p USING public.people o ON p.id = 1 AND o.id = 2 WHEN MATCHED AND o.id = 2 THEN UPDATE SET ssn = o.ssn WHEN NOT MATCHED THEN DO NOTHING",
        "DO $$ DECLARE v public.people.ssn%TYPE; BEGIN SELECT ssn INTO v FROM public.people WHERE id = 2; UPDATE public.people SET ssn = v WHERE id = 1; END $$",
        "DO $$ DECLARE r public.people; BEGIN SELECT * INTO r FROM public.people WHERE id = 2; r.id := 77; r.email := 'z'; INSERT INTO public.people SELECT r.*; END $$",
        "UPDATE public.people SET born = (SELECT born FROM public.people WHERE id = 2) WHERE id = 1",
    ] {
        let answer = cluster.sql("writer", sql);
        refused(&answer, "AL003", &["is bound to", "in an upsert that conflicts on other columns"]);
    }
    assert_eq!(read(&cluster), before);
    // with the row's key it is the row that moves, and back in its own row a value is at home
    let sql = "CREATE TEMP TABLE copy AS SELECT * FROM public.people; UPDATE public.people SET ssn = NULL, born = NULL;
               UPDATE public.people p SET ssn = c.ssn, born = c.born FROM copy c WHERE c.id = p.id";
    cluster.sql("writer", sql).ok();
    assert_eq!(read(&cluster), before);
}

#[test]
fn values_swapped_past_the_trigger_do_not_open() {
    let cluster = bound();
    let before = read(&cluster);
    let swap = "UPDATE public.people p SET ssn = o.ssn FROM public.people o WHERE p.id + o.id = 3 AND p.id IN (1, 2)";
    raw(&cluster, swap);
    let one = |id: u32| {
        cluster.sql("app", &format!("SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people WHERE id = {id}"))
    };
    refused(&one(1), "AL003", &["row"]);
    refused(&one(2), "AL003", &["row"]);
    assert_eq!(one(3).value(), "secret 3");
    raw(&cluster, swap);
    assert_eq!(read(&cluster), before, "back in their rows they open");
    // the whole row under another key, past the trigger
    raw(&cluster, "CREATE TEMP TABLE c AS SELECT * FROM public.people WHERE id = 1; UPDATE c SET id = 99, email = 'q'; INSERT INTO public.people SELECT * FROM c");
    refused(&one(99), "AL003", &[]);
    refused(&cluster.sql("app", READ), "AL003", &[]);
    // back under its own key it is at home, through the trigger as well
    cluster
        .sql(
            "writer",
            "DELETE FROM public.people WHERE id = 1; UPDATE public.people SET id = 1, email = 'e1' WHERE id = 99",
        )
        .ok();
    assert_eq!(read(&cluster), before);
    raw(
        &cluster,
        "UPDATE public.people SET ssn = (SELECT ssn FROM public.people WHERE id = 2), born = NULL WHERE id = 1",
    );
    raw(&cluster, "ALTER TABLE public.people DISABLE TRIGGER ALL; UPDATE public.people SET id = 99 WHERE id = 1; ALTER TABLE public.people ENABLE ALWAYS TRIGGER \"~airlock_bind\"");
    // an UPDATE through the trigger does not launder it
    refused(&cluster.sql("writer", "UPDATE public.people SET id = 98 WHERE id = 99"), "AL003", &[]);
    cluster.sql("writer", "UPDATE public.people SET note = 'untouched' WHERE id = 99").ok();
    cluster.sql("writer", "UPDATE public.people SET ssn = 'secret', born = '1999-09-09' WHERE id = 99").ok();
    assert_eq!(one(99).value(), "secret");
}

#[test]
fn a_table_of_ones_own_rebinds_nothing() {
    let cluster = bound();
    let mut writer = cluster.connect("writer");
    writer
        .query("CREATE TEMP TABLE mine (LIKE public.people); INSERT INTO mine SELECT * FROM public.people WHERE id = 2")
        .ok();
    writer.query("UPDATE mine SET id = 1, email = 'e1'").ok();
    let answer = writer.query("UPDATE public.people SET ssn = (SELECT ssn FROM mine) WHERE id = 1");
    refused(&answer, "AL003", &[]);
    // the trigger would do it; to attach it is no right of everybody
    let attach = "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION airlock.bind_row()";
    refused(&writer.query(attach), "42501", &[]);
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO writer");
    refused(&writer.query(attach), "42501", &["bind_row"]);
    refused(&writer.query("SELECT airlock.bind_row()"), "42501", &[]);
    refused(&cluster.sql("postgres", "SELECT airlock.bind_row()"), "55000", &["is a trigger function"]);
    // what is bound already is bound to nothing else
    let rebind = "SELECT airlock.encrypted_eq_bind(ssn, 1::bigint) FROM public.people WHERE id = 2";
    refused(&writer.query(rebind), "AL003", &[]);
    // a value that he seals himself opens where he says, which an UPDATE does as well
    writer.query("INSERT INTO mine (id, ssn) VALUES (1, 'known')").ok();
    writer.query("UPDATE public.people SET ssn = (SELECT ssn FROM mine WHERE email IS NULL) WHERE id = 1").ok();
    assert_eq!(read(&cluster)[0], "1 known 2000-01-02");
}

/// The trigger is on a table of the attacker's, by encrypt_column for a column of his own; it serves that one only.
#[test]
fn the_trigger_of_ones_own_bound_column_serves_no_other() {
    let cluster = bound();
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO writer; CREATE SCHEMA w AUTHORIZATION writer");
    let mut writer = cluster.connect("writer");
    writer.query("CREATE TABLE w.mine (id bigint PRIMARY KEY, email text, own text); SELECT airlock.encrypt_column('w.mine', 'own', 'pii', bind => '{id}')").ok();
    let number = cluster
        .admin("SELECT atttypmod FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attname = 'ssn'")
        .value();
    writer.query(&format!("ALTER TABLE w.mine ADD ssn airlock.encrypted_eq({number})")).ok();
    writer.query("INSERT INTO w.mine SELECT id, email, 'own', ssn FROM public.people WHERE id = 2").ok();
    let steal = "UPDATE public.people SET ssn = (SELECT ssn FROM w.mine) WHERE id = 1";
    writer.query("UPDATE w.mine SET id = 1").ok();
    refused(&writer.query(steal), "AL003", &[]);
    // nor after the trigger was made to serve more
    writer
        .query(
            "ALTER TABLE w.mine ADD more text; SELECT airlock.encrypt_column('w.mine', 'more', 'pii', bind => '{id}')",
        )
        .ok();
    writer
        .query("UPDATE w.mine SET ssn = (SELECT ssn FROM public.people WHERE id = 2), id = 2; UPDATE w.mine SET id = 1")
        .ok();
    refused(&writer.query(steal), "AL003", &[]);
    let opens = "SELECT airlock.decrypt(own, NULL::text, id) FROM w.mine";
    cluster.admin("GRANT USAGE ON SCHEMA w TO app; GRANT SELECT ON w.mine TO app");
    assert_eq!(cluster.sql("app", opens).value(), "own", "control: it runs and serves its own");
    // control: what stands between him and the value is the number among the arguments
    cluster.admin(&format!(
        "CREATE TRIGGER u BEFORE UPDATE ON w.mine FOR EACH ROW EXECUTE FUNCTION airlock.bind_row({number})"
    ));
    writer
        .query("UPDATE w.mine SET ssn = (SELECT ssn FROM public.people WHERE id = 2), id = 2; UPDATE w.mine SET id = 1")
        .ok();
    writer.query(steal).ok();
    assert_eq!(read(&cluster)[0], "1 secret 2 2000-01-02");
}

#[test]
fn attached_elsewhere_or_otherwise_it_does_nothing_or_refuses() {
    let cluster = bound();
    let mut admin = cluster.connect("postgres");
    admin.query("CREATE TABLE other (id int, v text, ssn airlock.encrypted('pii')); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON other FOR EACH ROW EXECUTE FUNCTION airlock.bind_row('ssn', 'id')").ok();
    admin.query("INSERT INTO other VALUES (1, 'a', 'secret'); UPDATE other SET id = 2").ok();
    assert_eq!(cluster.admin("GRANT SELECT ON other TO app; SELECT count(*) FROM other").value(), "1");
    assert_eq!(
        cluster.sql("app", "SELECT ssn::text FROM other").value(),
        "secret",
        "unbound: its arguments say nothing"
    );
    for (when, each) in [
        ("BEFORE DELETE", "ROW"),
        ("AFTER INSERT OR UPDATE", "ROW"),
        ("BEFORE INSERT", "STATEMENT"),
        ("BEFORE TRUNCATE", "STATEMENT"),
    ] {
        admin
            .query(&format!(
                "BEGIN; CREATE TRIGGER u {when} ON other FOR EACH {each} EXECUTE FUNCTION airlock.bind_row()"
            ))
            .ok();
        let answer = admin.query(match when {
            "BEFORE DELETE" => "DELETE FROM other",
            "BEFORE TRUNCATE" => "TRUNCATE other",
            _ => "INSERT INTO other VALUES (3, 'b', 'secret')",
        });
        refused(&answer, "55000", &["airlock.bind_row()"]);
        admin.query("ROLLBACK").ok();
    }
    admin.query("CREATE VIEW v AS SELECT * FROM other; CREATE TRIGGER t INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION airlock.bind_row()").ok();
    refused(&admin.query("INSERT INTO v VALUES (4)"), "55000", &[]);
    // a copy of the table under other names of the columns: nothing to bind to, so nothing is written
    admin.query("CREATE TABLE renamed AS SELECT id AS number, ssn FROM public.people; DO $$ BEGIN EXECUTE format('CREATE TRIGGER t BEFORE INSERT OR UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION airlock.bind_row(%s)', (SELECT atttypmod FROM pg_attribute WHERE attrelid = 'public.people'::regclass AND attname = 'ssn')); END $$").ok();
    refused(&admin.query("INSERT INTO renamed VALUES (1, 'secret')"), "55000", &["\"id\""]);
    refused(&admin.query("UPDATE renamed SET number = 5"), "55000", &["\"id\""]);
}

#[test]
fn a_catalog_row_that_was_changed_opens_nothing() {
    let cluster = bound();
    for change in ["bind = '{}'", "bind = '{email}'", "bind = '{email,id}'"] {
        let sql = format!("UPDATE airlock_catalog.encrypted_column SET {change} WHERE bind = '{{id}}'");
        assert_eq!(cluster.admin(&sql).tags, ["UPDATE 1"]);
        refused(&cluster.sql("app", READ), "AL003", &["catalog row"]);
        refused(&cluster.sql("writer", "UPDATE public.people SET ssn = 'secret'"), "AL003", &["catalog row"]);
        cluster.admin(
            "UPDATE airlock_catalog.encrypted_column SET bind = '{id}' WHERE column_no = (SELECT atttypmod FROM pg_attribute
              WHERE attrelid = 'public.people'::regclass AND attname = 'ssn')",
        );
        assert_eq!(read(&cluster).len(), 6);
    }
}
