//! Values that are bound to their rows: every way of writing binds, and a value that was moved to another row does not
//! open there.

mod attacks;
mod life;
mod moves;

use crate::cluster::Cluster;
use crate::fixture;
use crate::protocol::{Answer, Conn};

/// Owned by app, which may decrypt; writer may write and holds no right on a key.
const PEOPLE: &str = "
    CREATE ROLE writer LOGIN;
    CREATE TABLE public.people (id bigint PRIMARY KEY, email text UNIQUE, note text, ssn text, born date);
    INSERT INTO public.people SELECT g, 'e' || g, 'n', 'secret ' || g, date '2000-01-01' + g FROM generate_series(1, 5) g;
    INSERT INTO public.people VALUES (6, 'e6', 'n', NULL, NULL);
    ALTER TABLE public.people OWNER TO app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON public.people TO writer; GRANT SELECT ON public.people TO clerk;
    SELECT airlock.create_key('birth', 'date'); SELECT airlock.grant_decrypt('birth', 'app');";
const ENCRYPT: &str =
    "SELECT airlock.encrypt_column('public.people', 'ssn', 'pii', searchable => true, bind => '{id}'),
           airlock.encrypt_column('public.people', 'born', 'birth', bind => '{id,email}')";
/// Opens both columns of all rows.
const READ: &str =
    "SELECT concat_ws(' ', id, airlock.decrypt(ssn, NULL::text, id), airlock.decrypt(born, NULL::date, id, email))
    FROM public.people ORDER BY id";

fn bound() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(PEOPLE);
    cluster.sql("app", ENCRYPT).ok();
    cluster
}

fn read(cluster: &Cluster) -> Vec<String> {
    cluster.sql("app", READ).ok().first()
}

/// Stored values of a column that carry the flag of a bound one, and those that do not.
fn flags(cluster: &Cluster, column: &str) -> String {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE b) || ' ' || count(*) FILTER (WHERE NOT b) FROM (SELECT
           get_byte(decode(substr({column}::text COLLATE \"C\", 11), 'base64'), 1) & 2 > 0 AS b FROM
           (SELECT format('%s', {column}) AS {column} FROM public.people WHERE {column} IS NOT NULL) s) t"
    );
    cluster.admin(&sql).value()
}

/// Refused with this code, its hint among the words; nothing shows a value.
#[track_caller]
fn refused(answer: &Answer, code: &str, words: &[&str]) {
    assert_eq!(answer.code(), code, "{answer:?}");
    let error = answer.error.as_ref().expect("an error").text();
    assert!(words.iter().all(|w| error.contains(w)), "{words:?} in {error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn existing_rows_are_bound_and_open_with_their_row_only() {
    let cluster = bound();
    let first = ["1 secret 1 2000-01-02", "2 secret 2 2000-01-03", "3 secret 3 2000-01-04", "4 secret 4 2000-01-05"];
    assert_eq!(read(&cluster), [&first[..], &["5 secret 5 2000-01-06", "6"]].concat());
    assert_eq!((flags(&cluster, "ssn"), flags(&cluster, "born")), ("5 0".into(), "5 0".into()));

    let mut app = cluster.connect("app");
    let ask = |app: &mut Conn, call: &str| app.query(&format!("SELECT {call} FROM public.people WHERE id = 1"));
    assert_eq!(ask(&mut app, "airlock.decrypt(ssn, NULL::text, 1)").value(), "secret 1", "integers are one type");
    assert_eq!(ask(&mut app, "airlock.decrypt(ssn, NULL::text, id + 0)").value(), "secret 1");
    for call in ["ssn::text", "airlock.decrypt(ssn)", "airlock.decrypt(ssn, NULL::text)"] {
        refused(&ask(&mut app, call), "AL003", &["airlock.decrypt(c, NULL::text, \"id\")", "row is not given"]);
    }
    refused(&ask(&mut app, "airlock.decrypt(born, NULL::date)"), "AL003", &["NULL::date, \"id\", \"email\")"]);
    for (call, code) in [
        ("airlock.decrypt(ssn, NULL::text, 2)", "AL003"),
        ("airlock.decrypt(ssn, NULL::text, NULL::bigint)", "AL003"),
        ("airlock.decrypt(ssn, NULL::text, '1'::text)", "AL003"),
        ("airlock.decrypt(ssn, NULL::text, 1::numeric)", "AL003"),
        ("airlock.decrypt(born, NULL::date, email, id)", "AL003"),
        ("airlock.decrypt(born, NULL::date, id, NULL::text)", "AL003"),
        ("airlock.decrypt(ssn, NULL::text, '1')", "42804"),
        ("airlock.decrypt(ssn, NULL::text, id, id)", "22023"),
        ("airlock.decrypt(born, NULL::date, id)", "22023"),
        ("airlock.decrypt(ssn, NULL::text, VARIADIC ARRAY[1])", "22023"),
    ] {
        refused(&ask(&mut app, call), code, &[]);
    }
    refused(&app.query("SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.customers"), "22023", &["not bound"]);
    refused(&cluster.sql("clerk", "SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people"), "42501", &[]);
    cluster.admin("GRANT USAGE ON SCHEMA airlock TO clerk");
    refused(&cluster.sql("clerk", "SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people"), "AL004", &[]);
    assert_eq!(app.query("SELECT id FROM public.people WHERE ssn = 'secret 3'").value(), "3", "= needs no row");
}

#[test]
fn a_call_without_its_row_is_told_before_what_is_wrong_with_the_value() {
    let cluster = bound();
    cluster.admin("ALTER TABLE public.people DISABLE TRIGGER USER");
    // as of a key version that nobody has
    cluster.admin(
        "SET airlock.encrypted_input = 'ciphertext';
         UPDATE public.people SET ssn = 'airlock:1:' || translate(encode(overlay(decode(substr(format('%s', ssn), 11), 'base64')
           PLACING '\\xfffffffe'::bytea FROM 3), 'base64'), E'\\n', '') WHERE id = 1",
    );
    let mut app = cluster.connect("app");
    let mut ask = |call: &str| app.query(&format!("SELECT {call} FROM public.people WHERE id = 1"));
    refused(&ask("airlock.decrypt(ssn)"), "AL003", &["row is not given"]);
    refused(&ask("airlock.decrypt(ssn, NULL::text, id, id)"), "22023", &[]);
    refused(&ask("airlock.decrypt(ssn, NULL::text, id)"), "AL003", &["not of this database"]);
}

/// Statements that write, each from where the one before left the table; what they leave is compared with what they
/// leave in a table of plain text.
const WRITES: &[&str] = &[
    "INSERT INTO public.people VALUES (10, 'a', 'n', 'secret a', '1990-01-01')",
    "INSERT INTO public.people VALUES (11, 'b', 'n', 'secret b', '1991-01-01'), (12, 'c', 'n', NULL, '1992-01-01'), (13, NULL, NULL, 'secret d', '1993-01-01')",
    "INSERT INTO public.people SELECT g, 'g' || g, 'n', 'secret ' || g, date '2001-01-01' + g FROM generate_series(20, 24) g",
    "INSERT INTO public.people (id, ssn) VALUES (14, 'secret e') RETURNING id",
    "UPDATE public.people SET ssn = 'secret changed' WHERE id = 10",
    "UPDATE public.people SET note = 'changed'",
    "UPDATE public.people SET id = 100 WHERE id = 10",
    "UPDATE public.people SET id = id + 1000 WHERE id BETWEEN 20 AND 24",
    "UPDATE public.people SET email = 'moved' WHERE id = 11",
    "UPDATE public.people SET id = 15, ssn = 'secret both', email = NULL WHERE id = 14",
    "UPDATE public.people SET id = -id WHERE id IN (1, 2); UPDATE public.people SET id = 3 + id WHERE id < 0 ",
    "UPDATE public.people SET ssn = ssn, born = born",
    "UPDATE public.people SET ssn = NULL WHERE id = 4",
    "UPDATE public.people SET ssn = 'secret again', born = NULL WHERE id = 4",
    "INSERT INTO public.people VALUES (3, 'x', 'n', 'secret up', '1980-01-01') ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn, note = 'up'",
    "INSERT INTO public.people VALUES (200, 'e3', 'n', 'secret new key', '1980-01-01') ON CONFLICT (email) DO UPDATE SET id = EXCLUDED.id, ssn = EXCLUDED.ssn",
    "INSERT INTO public.people VALUES (30, 'y', 'n', 'secret up', '1981-01-01') ON CONFLICT (id) DO UPDATE SET ssn = EXCLUDED.ssn",
    "INSERT INTO public.people VALUES (31, 'y', 'n', 'secret', '1981-01-01') ON CONFLICT DO NOTHING",
    "MERGE INTO public.people p USING (VALUES (4, 'secret merged'), (40, 'secret made')) v (id, s) ON p.id = v.id
       WHEN MATCHED THEN UPDATE SET ssn = v.s WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (v.id, v.s)",
    "INSERT INTO public.people SELECT * FROM jsonb_populate_record(NULL::public.people, '{\"id\": 50, \"ssn\": \"secret json\", \"born\": \"1970-01-01\"}')",
    "DO $$ DECLARE r public.people; BEGIN r.id := 60; r.ssn := 'secret plpgsql'; INSERT INTO public.people SELECT r.*;
       UPDATE public.people SET ssn = 'secret plpgsql 2', born = '1960-01-01' WHERE id = 60; END $$",
    "WITH gone AS (DELETE FROM public.people WHERE id = 13 RETURNING id, note) INSERT INTO public.people (id, note, ssn) SELECT id, note, 'secret cte' FROM gone",
    "PREPARE p (bigint, text) AS INSERT INTO public.people (id, ssn) VALUES ($1, $2); EXECUTE p (70, 'secret p'); EXECUTE p (71, 'secret q')",
    "BEGIN; UPDATE public.people SET id = 72 WHERE id = 71; SAVEPOINT s; UPDATE public.people SET id = 73 WHERE id = 72; ROLLBACK TO s; COMMIT",
    "DELETE FROM public.people WHERE id = 70",
];

#[test]
fn every_statement_leaves_what_it_leaves_in_a_plain_table() {
    let (cluster, twin) = (bound(), fixture::running());
    twin.admin(PEOPLE);
    let plain = "SELECT concat_ws(' ', id, ssn, born) FROM public.people ORDER BY id";
    for sql in WRITES {
        for c in [&cluster, &twin] {
            c.sql("writer", sql).ok();
        }
        assert_eq!(read(&cluster), twin.admin(plain).first(), "after {sql}");
    }
    // typed and untyped parameters, COPY in both formats
    for c in [&cluster, &twin] {
        let mut writer = c.connect("writer");
        let parameters = [Some("80"), Some("secret param"), Some("1955-05-05")];
        writer.extended("INSERT INTO public.people (id, ssn, born) VALUES ($1, $2, $3)", &parameters).ok();
        let parameters = [Some("81"), Some("secret param"), Some("1955-05-05")];
        writer.extended("INSERT INTO public.people (id, ssn, born) VALUES ($1, $2::text, $3::date)", &parameters).ok();
        writer.extended("UPDATE public.people SET id = $2 WHERE id = $1", &[Some("81"), Some("82")]).ok();
        writer.copy_in("COPY public.people (id, ssn, email) FROM STDIN", "90\tsecret copied\tk\n91\t\\N\tl\n").ok();
        writer.copy_in("COPY public.people (ssn, id) FROM STDIN (FORMAT csv)", "secret csv,92\n").ok();
    }
    assert_eq!(read(&cluster), twin.admin(plain).first());
    for column in ["ssn", "born"] {
        assert!(flags(&cluster, column).ends_with(" 0"), "{column}: {}", flags(&cluster, column));
    }
    let found = cluster.sql("app", "SELECT count(*) FROM public.people WHERE ssn = 'secret param'").value();
    assert_eq!(found, "2", "the match tag is there");
}

#[test]
fn an_update_of_other_columns_leaves_the_bytes() {
    let cluster = bound();
    let big = "repeat('secret', 100000)";
    cluster.sql("writer", &format!("INSERT INTO public.people (id, ssn) VALUES (7, {big}::text)")).ok();
    let stored = "SELECT md5(string_agg(concat(ssn, born), ',' ORDER BY id)) FROM public.people";
    let before = cluster.admin(stored).value();
    cluster.sql("writer", "UPDATE public.people SET note = 'other'; UPDATE public.people SET ssn = ssn").ok();
    cluster.sql("writer", "UPDATE public.people SET id = id, email = email").ok();
    assert_eq!(cluster.admin(stored).value(), before);
    cluster.sql("writer", "UPDATE public.people SET id = id + 100").ok();
    assert_ne!(cluster.admin(stored).value(), before, "control: the digest sees a change");
    let sql = format!("SELECT airlock.decrypt(ssn, NULL::text, id) = {big} FROM public.people WHERE id = 107");
    assert_eq!(cluster.sql("app", &sql).value(), "t", "out of line, too");
}

#[test]
fn without_the_root_key_rows_are_updated_but_not_rebound() {
    let mut cluster = bound();
    cluster.write_key(&"cd".repeat(32));
    cluster.restart();
    cluster.sql("writer", "UPDATE public.people SET note = 'locked' WHERE id = 1").ok();
    refused(&cluster.sql("writer", "UPDATE public.people SET id = 11 WHERE id = 1"), "AL001", &[]);
    refused(&cluster.sql("app", READ), "AL001", &[]);
}

#[test]
fn a_cascade_from_a_foreign_key_rebinds() {
    let cluster = bound();
    let mut app = cluster.connect("app");
    cluster.admin("CREATE TABLE public.notes (person bigint REFERENCES public.people ON UPDATE CASCADE ON DELETE SET NULL, body text);
        INSERT INTO public.notes VALUES (1, 'secret one'), (2, 'secret two'); ALTER TABLE public.notes OWNER TO app");
    app.query("SELECT airlock.encrypt_column('public.notes', 'body', 'pii', bind => '{person}')").ok();
    cluster
        .sql("writer", "UPDATE public.people SET id = 100 WHERE id = 1; DELETE FROM public.people WHERE id = 2")
        .ok();
    let sql =
        "SELECT concat_ws(' ', person, airlock.decrypt(body, NULL::text, person)) FROM public.notes ORDER BY person";
    assert_eq!(app.query(sql).ok().first(), ["100 secret one", "secret two"]);
}

#[test]
fn other_triggers_run_before_and_see_no_secret() {
    let cluster = bound();
    cluster.admin(
        "CREATE FUNCTION public.renumber() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id + 5000;
           NEW.ssn := coalesce(NEW.note, 'secret by trigger'); RETURN NEW; END $$;
         CREATE TRIGGER \"zz renumber\" BEFORE INSERT OR UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION public.renumber();
         CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE NOTICE '% %', NEW.id, airlock.decrypt(NEW.ssn, NULL::text, NEW.id); RETURN NULL; END $$;
         CREATE TRIGGER audit AFTER INSERT OR UPDATE ON public.people FOR EACH ROW EXECUTE FUNCTION public.audit()",
    );
    let answer = cluster.sql("app", "INSERT INTO public.people (id, ssn) VALUES (8, 'secret')").ok();
    assert_eq!(answer.notices[0].get('M'), "5008 secret by trigger");
    cluster.sql("app", "UPDATE public.people SET id = 8 WHERE id = 5008").ok();
    let sql = "SELECT airlock.decrypt(ssn, NULL::text, id) FROM public.people WHERE id = 5008";
    assert_eq!(cluster.sql("app", sql).value(), "secret by trigger");
}
