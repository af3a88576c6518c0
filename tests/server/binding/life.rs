//! The life of a bound column: made and refused, its trigger lost and found, its key's columns changed, and undone.

use super::{bound, flags, read, refused, PEOPLE};
use crate::cluster::Cluster;
use crate::fixture;

fn doctor(cluster: &Cluster) -> Vec<String> {
    cluster.admin("SELECT concat_ws(': ', severity, object, message, fix) FROM airlock.doctor() WHERE \"check\" = 'row binding'").first()
}

#[test]
fn what_cannot_be_bound_to_is_refused() {
    let cluster = fixture::running();
    cluster.admin(PEOPLE);
    cluster.admin(
        "ALTER TABLE public.people ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED, ADD ip inet, ADD spans int[], ADD other airlock.encrypted('pii');
         CREATE TABLE public.parent (id int PRIMARY KEY, s text); CREATE TABLE public.child () INHERITS (public.parent);
         ALTER TABLE public.parent OWNER TO app; ALTER TABLE public.child OWNER TO app",
    );
    let ask = |bind: &str| {
        cluster.sql("app", &format!("SELECT airlock.encrypt_column('public.people', 'ssn', 'pii', bind => {bind})"))
    };
    refused(&ask("'{}'"), "22023", &["'{id}'"]);
    refused(&ask("'{id,NULL}'"), "22023", &[]);
    refused(&ask("'{id,id}'"), "22023", &[]);
    refused(&ask("'{nothing}'"), "42704", &["nothing"]);
    refused(&ask("'{ctid}'"), "42704", &[]);
    refused(&ask("'{ssn}'"), "55000", &["encrypted"]);
    refused(&ask("'{other}'"), "55000", &["encrypted itself"]);
    refused(&ask("'{twice}'"), "55000", &["generated"]);
    refused(&ask("'{ip}'"), "42804", &["inet", "the types are", "uuid"]);
    refused(&ask("'{spans}'"), "42804", &["integer[]"]);
    let answer = cluster.sql("app", "SELECT airlock.encrypt_column('public.parent', 's', 'pii', bind => '{id}')");
    refused(&answer, "55000", &["inheritance"]);
    assert_eq!(cluster.admin("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").value(), "0");

    let told =
        |answer: crate::protocol::Answer| answer.ok().notices.iter().any(|n| n.text().contains("no unique index"));
    assert!(told(ask("'{note}'")), "rows that are equal in it can take each other's values");
    cluster.sql("app", "SELECT airlock.decrypt_column('public.people', 'ssn')").ok();
    assert!(!told(ask("'{id,note}'")), "control");
    // the owner may, without a right on the function, and nothing of the extension's owner stays with him
    assert_eq!(cluster.sql("app", "SELECT current_user").value(), "app");
    refused(
        &cluster.sql("clerk", "SELECT airlock.encrypt_column('public.people', 'note', 'pii', bind => '{id}')"),
        "42501",
        &[],
    );
}

#[test]
fn every_type_binds_by_value_whatever_the_session() {
    let cluster = fixture::running();
    cluster.admin(
        "CREATE DOMAIN public.code AS varchar(9) CHECK (VALUE <> '');
         CREATE TABLE public.wide (b boolean, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric, t text, v varchar(9), c char(9),
           k public.code, d date, ts timestamp, tz timestamptz, u uuid, j jsonb, y bytea, s text);
         INSERT INTO public.wide VALUES (true, 1, 2, 3, 1.5, 'NaN', 1.50, 'ä', 'v', 'c', 'k', '2020-02-03', '2020-02-03 04:05', '2020-02-03 04:05+02',
           'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1.0}', '\\x00ff', 'secret'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'secret null');
         ALTER TABLE public.wide OWNER TO app",
    );
    let columns = "b,i2,i4,i8,f4,f8,n,t,v,c,k,d,ts,tz,u,j,y";
    let mut app = cluster.connect("app");
    app.query(&format!("SELECT airlock.encrypt_column('public.wide', 's', 'pii', bind => '{{{columns}}}')")).ok();
    let read = format!("SELECT airlock.decrypt(s, NULL::text, {columns}) FROM public.wide ORDER BY i4 NULLS LAST");
    for setting in
        ["TimeZone = 'Asia/Tokyo'", "DateStyle = 'German'", "extra_float_digits = -15", "bytea_output = escape"]
    {
        app.query(&format!("SET {setting}")).ok();
        assert_eq!(app.query(&read).ok().first(), ["secret", "secret null"], "{setting}");
    }
    // the same value in another spelling is the same row; another value another one, and the trigger follows
    let stored = "SELECT md5(string_agg(format('%s', s), ',' ORDER BY i4)) FROM public.wide";
    let before = app.query(stored).value();
    app.query("UPDATE public.wide SET n = 1.5, j = '{\"a\": 1}', c = 'c  ' WHERE i4 = 2").ok();
    assert_eq!(app.query(stored).value(), before);
    for set in [
        "b = NOT b",
        "i2 = 7",
        "f8 = 7",
        "n = 7",
        "t = ''",
        "t = NULL",
        "c = 'd'",
        "d = 'infinity'",
        "tz = now()",
        "u = gen_random_uuid()",
        "j = '[]'",
        "y = ''",
    ] {
        app.query(&format!("UPDATE public.wide SET {set} WHERE i4 = 2")).ok();
        assert_eq!(app.query(&read).ok().first(), ["secret", "secret null"], "{set}");
    }
    assert_ne!(app.query(stored).value(), before);
}

#[test]
fn a_lost_trigger_is_seen_and_what_it_missed_is_bound_later() {
    let cluster = bound();
    let before = read(&cluster);
    assert_eq!(doctor(&cluster), [""; 0]);
    let ssn = "SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people WHERE id = 50";
    for (lose, said) in [
        ("ALTER TABLE public.people DISABLE TRIGGER ALL", "does not always run"),
        ("ALTER TABLE public.people ENABLE REPLICA TRIGGER \"~airlock_bind\"", "does not always run"),
        ("DROP TRIGGER \"~airlock_bind\" ON public.people", "is missing"),
    ] {
        cluster.admin(lose);
        let [line] = &doctor(&cluster)[..] else { panic!("{:?}", doctor(&cluster)) };
        assert!(line.starts_with("error: public.people: ") && line.contains(said), "{line}");
        cluster.sql("writer", "INSERT INTO public.people (id, email, ssn) VALUES (50, 'lost', 'secret lost')").ok();
        refused(&cluster.sql("app", ssn), "AL003", &["unbound value in a column that is bound", "airlock.doctor()"]);
        refused(&cluster.sql("app", "SELECT ssn::text FROM public.people WHERE id = 50"), "AL003", &[]);
        // what it says to type, up to the explanation
        let fix = line.split("fix").last().and_then(|l| l.rsplit("open: ").next()).expect("a fix");
        cluster.admin(fix.split(", for rows").next().expect("statements"));
        assert_eq!(cluster.sql("app", ssn).value(), "secret lost", "{fix}");
        assert_eq!(doctor(&cluster), [""; 0], "{lose}");
        cluster.sql("writer", "DELETE FROM public.people WHERE id = 50").ok();
    }
    assert_eq!(read(&cluster), before);
    // not the role of replication, nor a session's setting, stops it
    cluster.admin("SET session_replication_role = replica; INSERT INTO public.people (id, ssn) VALUES (51, 'secret')");
    assert_eq!(read(&cluster).last().map(String::as_str), Some("51 secret"));
    cluster.admin(
        "CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id + 1; RETURN NEW; END $$;
         CREATE TRIGGER \"~b\" BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.late()",
    );
    let [line] = &doctor(&cluster)[..] else { panic!("{:?}", doctor(&cluster)) };
    assert!(line.starts_with("warning: public.people: ") && line.contains("\"~b\""), "{line}");
    cluster.sql("writer", "INSERT INTO public.people (id, email, ssn) VALUES (60, 'late', 'secret late')").ok();
    refused(
        &cluster.sql("app", "SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people WHERE id = 61"),
        "AL003",
        &[],
    );
}

#[test]
fn columns_that_others_are_bound_to_keep_name_and_type() {
    let cluster = bound();
    let before = read(&cluster);
    let app = |sql: &str| cluster.sql("app", sql);
    for sql in [
        "ALTER TABLE public.people RENAME COLUMN id TO number",
        "ALTER TABLE public.people RENAME email TO mail",
        "ALTER TABLE public.people DROP COLUMN id",
        "ALTER TABLE public.people DROP COLUMN email CASCADE",
        "ALTER TABLE public.people ALTER COLUMN id TYPE text",
        "ALTER TABLE public.people ALTER COLUMN id TYPE numeric",
        "ALTER TABLE public.people ALTER COLUMN id TYPE bigint USING id + 1",
        "ALTER TABLE public.people ADD x int, ALTER COLUMN email SET DATA TYPE varchar(20)",
    ] {
        refused(&app(sql), "55000", &["is bound to it", "airlock.decrypt_column('people'"]);
    }
    app("ALTER TABLE public.people ALTER COLUMN id TYPE int").ok();
    app("INSERT INTO public.people (id, email, ssn, born) VALUES (7, 'e7', 'secret 7', '2007-07-07')").ok();
    app("ALTER TABLE public.people ALTER COLUMN id TYPE bigint").ok();
    assert_eq!(read(&cluster), [&before[..], &["7 secret 7 2007-07-07".to_string()]].concat(), "integers are one type");
    app("ALTER TABLE public.people RENAME note TO remark; ALTER TABLE public.people DROP remark").ok();
    app(
        "ALTER TABLE public.people RENAME ssn TO number; ALTER TABLE public.people RENAME CONSTRAINT people_pkey TO pk",
    )
    .ok();
    app("INSERT INTO public.people (id, number) VALUES (8, 'secret 8')").ok();
    assert_eq!(
        app("SELECT airlock.decrypt(number, NULL::text, id) FROM public.people WHERE id = 8").value(),
        "secret 8"
    );
    // errors of PostgreSQL's own stay its own
    assert_eq!(app("ALTER TABLE public.nowhere RENAME a TO b").code(), "42P01");
    assert_eq!(app("ALTER TABLE public.people RENAME nothing TO b").code(), "42703");
    app("ALTER TABLE public.people DROP COLUMN number, DROP COLUMN born").ok();
    app("ALTER TABLE public.people DROP COLUMN id").ok();
}

#[test]
fn decrypt_column_undoes_it() {
    let cluster = bound();
    let mut app = cluster.connect("app");
    app.query("SELECT airlock.decrypt_column('public.people', 'born')").ok();
    assert_eq!(app.query("SELECT born FROM public.people WHERE id = 2").value(), "2000-01-03");
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname = '~airlock_bind'";
    assert_eq!(cluster.admin(triggers).value(), "1", "another column needs it");
    app.query("UPDATE public.people SET id = 20 WHERE id = 2").ok();
    app.query("SELECT airlock.decrypt_column('public.people', 'ssn')").ok();
    assert_eq!(app.query("SELECT ssn FROM public.people WHERE id = 20").value(), "secret 2");
    assert_eq!(cluster.admin(triggers).value(), "0");
    app.query("SELECT airlock.encrypt_column('public.people', 'ssn', 'pii', bind => '{id}')").ok();
    app.query("SELECT airlock.encrypt_column('public.people', 'born', 'birth')").ok();
    let sql = "SELECT airlock.decrypt(ssn, NULL::text, id) || airlock.decrypt(born) FROM public.people WHERE id = 20";
    assert_eq!(app.query(sql).value(), "secret 22000-01-03");
    assert_eq!(flags(&cluster, "ssn"), "5 0");
    assert_eq!(flags(&cluster, "born"), "0 5");
    let sql = "SELECT string_agg(bind::text, ' ' ORDER BY \"column\") FROM airlock.encrypted_columns WHERE relation = 'public.people'::regclass";
    assert_eq!(cluster.admin(sql).value(), "{} {id}");
}

/// What goes over whole columns takes each value's row along.
#[test]
fn reencryption_and_verification_keep_to_the_row() {
    let cluster = bound();
    let before = read(&cluster);
    let verified = |cluster: &Cluster| {
        cluster
            .sql("app", "SELECT bool_and(ok) || ' ' || sum(count) FROM airlock.verify_column('public.people', 'ssn')")
            .value()
    };
    assert_eq!(verified(&cluster), "true 5");
    cluster.admin("SELECT airlock.rotate_key('pii'), airlock.rotate_key('birth')");
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.people')").ok();
    assert!(answer.notices.iter().any(|n| n.get('M').starts_with("5 rows were sealed anew")), "{:?}", answer.notices);
    assert_eq!((read(&cluster), flags(&cluster, "ssn")), (before, "5 0".into()));
    assert_eq!(verified(&cluster), "true 5");
    cluster.sql("app", "CALL airlock.reencrypt('public.customers')").ok();
    cluster.admin("SELECT airlock.retire_key_version('pii', 1), airlock.retire_key_version('birth', 1)");
    // two values change places
    cluster.admin(
        "ALTER TABLE public.people DISABLE TRIGGER USER; SET airlock.encrypted_input = ciphertext;
         UPDATE public.people p SET ssn = q.ssn FROM public.people q WHERE (p.id, q.id) IN ((1, 2), (2, 1));
         ALTER TABLE public.people ENABLE ALWAYS TRIGGER \"~airlock_bind\"",
    );
    assert_eq!(verified(&cluster), "false 7", "of 5 values, 2 are not of their row");
    cluster.admin("SELECT airlock.rotate_key('pii')");
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.people', 'ssn')");
    assert_eq!(answer.code(), "AL003", "{answer:?}");
    assert!(answer.error.unwrap().text().contains("In the row at"));
}
