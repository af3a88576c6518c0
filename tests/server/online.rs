//! `CALL airlock.encrypt_column_online`: the application goes on, nothing is lost, whatever is killed in between.

use crate::cluster::Cluster;
use crate::fixture;
use crate::process::eventually;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

/// `copy` always holds what `email` holds: what the encrypted column must say in the end.
const TABLE: &str = "
    CREATE TABLE public.contact (id int PRIMARY KEY, email text NOT NULL DEFAULT 'none', copy text NOT NULL DEFAULT 'none', region int);
    COMMENT ON COLUMN public.contact.email IS 'where to write';
    INSERT INTO public.contact SELECT g, 'CANARYMAIL' || g, 'CANARYMAIL' || g, g % 10 FROM generate_series(1, 5000) g;
    ALTER TABLE public.contact OWNER TO app; GRANT SELECT (id, email) ON public.contact TO clerk; GRANT USAGE, CREATE ON SCHEMA public TO app;
    SELECT airlock.grant_decrypt('pii', 'app')";

const CALL: &str = "CALL airlock.encrypt_column_online('public.contact', 'email', key => 'pii', searchable => true, batch_rows => 250)";

fn prepared() -> Cluster {
    let cluster = fixture::running();
    cluster.admin(TABLE);
    cluster
}

/// Rows whose column does not say what it should.
fn wrong(cluster: &Cluster) -> String {
    cluster.sql("app", "SELECT count(*) FROM public.contact WHERE airlock.decrypt(email) IS DISTINCT FROM copy").value()
}

#[test]
fn the_application_goes_on_and_nothing_is_lost() {
    let cluster = prepared();
    let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for n in 0..3u32 {
        let (stop, writes, mut conn) = (stop.clone(), writes.clone(), cluster.connect("app"));
        writers.push(std::thread::spawn(move || {
            let mut round = 0u32;
            while !stop.load(Ordering::SeqCst) {
                round += 1;
                let id = (round * 37 + n * 1111) % 5000 + 1;
                let new = 10_000 + n * 100_000 + round;
                for sql in [
                    format!("UPDATE contact SET email = 'new{n}x{round}', copy = 'new{n}x{round}' WHERE id = {id}"),
                    format!("INSERT INTO contact (id, email, copy) VALUES ({new}, 'ins{new}', 'ins{new}')"),
                    format!("UPDATE contact SET region = region + 1 WHERE id = {}", id / 2 + 1),
                    format!("DELETE FROM contact WHERE id = {}", id / 3 + 1),
                    format!("INSERT INTO contact (id) VALUES ({}) ON CONFLICT DO NOTHING", id / 3 + 1),
                ] {
                    conn.query(&sql).ok();
                    writes.fetch_add(1, Ordering::SeqCst);
                }
            }
        }));
    }
    let before = writes.load(Ordering::SeqCst);
    cluster.connect("app").query(CALL).ok();
    let during = writes.load(Ordering::SeqCst) - before;
    stop.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|w| w.join().expect("no statement of the application failed"));
    assert!(during > 0, "the application stood still");
    assert_eq!(wrong(&cluster), "0");
    // written after it, by the default too
    cluster.sql("app", "INSERT INTO contact (id) VALUES (-1); INSERT INTO contact VALUES (-2, 'c', 1, 'c')").code();
    assert_eq!(cluster.sql("app", "SELECT airlock.decrypt(email) FROM contact WHERE id = -1").value(), "none");
    let facts = "SELECT format('%s %s %s %s', a.atttypid::regtype, a.attnotnull, col_description(a.attrelid, a.attnum), has_column_privilege('clerk', a.attrelid, a.attnum, 'SELECT'))
                   FROM pg_attribute a WHERE a.attrelid = 'public.contact'::regclass AND a.attname = 'email'";
    assert_eq!(cluster.admin(facts).value(), "airlock.encrypted_eq t where to write t");
    assert_eq!(
        cluster
            .admin("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'public.contact'::regclass AND NOT tgisinternal")
            .value(),
        "0"
    );
    assert_eq!(cluster.admin("SELECT string_agg(DISTINCT state, ',') FROM airlock.progress").value(), "done");
    assert_eq!(cluster.sql("app", CALL).code(), "55000", "it is encrypted already");
}

#[test]
fn it_goes_on_with_the_arguments_that_it_was_begun_with_only() {
    let cluster = prepared();
    cluster.admin("SELECT airlock.create_key('other'); SELECT airlock.grant_decrypt('other', 'app')");
    cluster.sql("app", &CALL.replace("batch_rows => 250", "swap => false")).ok();
    for (from, to) in [
        ("'pii'", "'other'"),
        ("searchable => true", "searchable => false"),
        ("batch_rows", "\"unique\" => true, batch_rows"),
    ] {
        let reply = cluster.sql("app", &CALL.replace(from, to));
        assert_eq!(reply.code(), "55000", "{to}");
        assert_eq!(
            reply.error.as_ref().expect("an error").get('D'),
            "It was begun with key => 'pii', searchable => true, \"unique\" => false."
        );
    }
    cluster.sql("app", CALL).ok();
    assert_eq!(wrong(&cluster), "0");
}

#[test]
fn killed_at_every_step_it_goes_on_where_it_was() {
    let mut cluster = prepared();
    let slow = CALL.replace("batch_rows => 250", "batch_rows => 50, rows_per_second => 4000");
    for round in 0..4 {
        let mut conn = cluster.connect("app");
        conn.begin(&slow);
        // some batches in each round, the wiping ones too in the last
        let wanted = 400 + round * 2200;
        let done = "SELECT coalesce(sum(rows_changed), 0)::int FROM airlock.progress";
        eventually("some batches are done", || {
            let n: u64 = cluster.admin(done).value().parse().unwrap();
            (n >= wanted).then_some(())
        });
        cluster.kill();
        cluster.start();
        // the application writes while the job is away
        let sql = format!("UPDATE contact SET email = 'r{round}', copy = 'r{round}' WHERE id = {round} + 10");
        cluster.sql("app", &sql).ok();
    }
    cluster.sql("app", CALL).ok();
    assert_eq!(wrong(&cluster), "0");
    assert_eq!(cluster.admin("SELECT count(*) FROM public.contact").value(), "5000");
    assert_eq!(cluster.admin("SELECT string_agg(DISTINCT state, ',') FROM airlock.progress").value(), "done");
}

#[test]
fn the_plaintext_is_in_no_live_row_and_after_vacuum_in_no_page_of_the_table() {
    let mut cluster = prepared();
    cluster.admin("ALTER TABLE public.contact DROP COLUMN copy");
    let file = cluster.admin("SELECT pg_relation_filepath('public.contact')").value();
    let path = cluster.data().join(file);
    let hits = |cluster: &mut Cluster| {
        cluster.admin("CHECKPOINT");
        let bytes = std::fs::read(&path).expect("the table's file");
        bytes.windows(10).filter(|w| w == b"CANARYMAIL").count()
    };
    assert!(hits(&mut cluster) > 5000, "control: it is in clear before");
    cluster.sql("app", CALL).ok();
    cluster.admin("VACUUM FULL public.contact");
    let file = cluster.admin("SELECT pg_relation_filepath('public.contact')").value();
    let bytes = std::fs::read(cluster.data().join(file)).expect("the table's file");
    assert_eq!(bytes.windows(10).filter(|w| w == b"CANARYMAIL").count(), 0);
}

#[test]
fn built_by_hand_between_backfill_and_swap_an_index_serves() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    conn.query(&CALL.replace("batch_rows", "swap => false, batch_rows")).ok();
    assert_eq!(
        cluster.sql("app", "SELECT count(*) FROM contact WHERE email = 'CANARYMAIL7'").value(),
        "1",
        "still in clear"
    );
    conn.query(r#"CREATE INDEX CONCURRENTLY contact_email ON contact (airlock.match_tag("email~airlock_twin"))"#).ok();
    conn.query("UPDATE contact SET email = 'between', copy = 'between' WHERE id = 7").ok();
    conn.query(CALL).ok();
    assert_eq!(wrong(&cluster), "0");
    conn.query("ANALYZE contact").ok();
    let plan = conn.query("EXPLAIN (COSTS OFF) SELECT id FROM contact WHERE email = 'between'").ok();
    assert!(plan.rows.iter().flatten().flatten().any(|line| line.contains("contact_email")), "{:?}", plan.rows);
    assert_eq!(conn.query("SELECT id FROM contact WHERE email = 'between'").value(), "7");
}

#[test]
fn what_it_cannot_do_it_says_before_it_begins() {
    let cluster = prepared();
    let mut conn = cluster.connect("app");
    conn.query("BEGIN").ok();
    assert_eq!(conn.query(CALL).code(), "25001");
    conn.query("ROLLBACK").ok();
    assert_eq!(cluster.sql("clerk", CALL).code(), "42501");
    conn.query("CREATE VIEW v AS SELECT email FROM contact").ok();
    let answer = conn.query(CALL);
    assert_eq!(answer.code(), "55000");
    assert!(answer.error.unwrap().text().contains("_RETURN"));
    conn.query("DROP VIEW v").ok();
    // a long transaction: it gives up, and nobody had to wait behind it for long
    let mut long = cluster.connect("app");
    long.query("BEGIN; SELECT count(*) FROM contact").ok();
    let answer = conn.query(CALL);
    assert_eq!(answer.code(), "55006", "{answer:?}");
    long.query("COMMIT").ok();
    // two at once
    let mut first = cluster.connect("app");
    first.begin(&CALL.replace("batch_rows => 250", "batch_rows => 20, rows_per_second => 500"));
    eventually("it runs", || {
        (cluster.admin("SELECT count(*) FROM airlock.progress WHERE pid IS NOT NULL").value() != "0").then_some(())
    });
    assert_eq!(conn.query(CALL).code(), "55006");
    first.cancel();
    assert_eq!(first.finish().code(), "57014");
    conn.query(CALL).ok();
    assert_eq!(wrong(&cluster), "0");
}

#[test]
fn what_went_by_the_trigger_is_found_at_the_swap() {
    let cluster = prepared();
    cluster.admin("CREATE TABLE public.parted (id serial, email text, copy text, region int) PARTITION BY LIST (region);
        CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES IN (1);
        INSERT INTO public.parted (email, copy, region) SELECT 'e' || g, 'e' || g, 1 FROM generate_series(1, 300) g;
        CREATE SEQUENCE public.codes OWNED BY public.parted.email; ALTER TABLE public.parted OWNER TO app; ALTER TABLE public.parted_1 OWNER TO app");
    let call = "CALL airlock.encrypt_column_online('public.parted', 'email', key => 'pii', searchable => true";
    cluster.sql("app", &format!("{call}, swap => false)")).ok();
    // past the trigger: changed, removed, added; and a partition that came with rows of its own
    for sql in [
        "ALTER TABLE public.parted_1 DISABLE TRIGGER ALL",
        "UPDATE public.parted SET email = 'new', copy = 'new' WHERE id = 7",
        "UPDATE public.parted SET email = NULL, copy = NULL WHERE id = 8",
        "INSERT INTO public.parted (email, copy, region) VALUES ('late', 'late', 1)",
        "ALTER TABLE public.parted_1 ENABLE ALWAYS TRIGGER \"~airlock_online\"",
        "CREATE TABLE public.parted_2 (LIKE public.parted)",
        "INSERT INTO public.parted_2 (id, email, copy, region) VALUES (9000, 'attached', 'attached', 2)",
        "ALTER TABLE public.parted_2 OWNER TO app",
        "ALTER TABLE public.parted ATTACH PARTITION public.parted_2 FOR VALUES IN (2)",
    ] {
        cluster.admin(sql);
    }
    cluster.sql("app", &format!("{call})")).ok();
    let wrong = "SELECT count(*) FILTER (WHERE airlock.decrypt(email) IS DISTINCT FROM copy) || ' of ' || count(*) FROM public.parted";
    assert_eq!(cluster.sql("app", wrong).value(), "0 of 302");
    assert_eq!(cluster.admin("SELECT pg_get_serial_sequence('public.parted', 'email')").value(), "public.codes");
}

#[test]
fn attack_operators_of_the_callers_search_path() {
    let cluster = prepared();
    cluster.admin("CREATE ROLE mallory LOGIN; GRANT CREATE ON SCHEMA public TO mallory; GRANT CREATE ON DATABASE app TO mallory; GRANT USAGE ON SCHEMA airlock TO mallory");
    let mut mallory = cluster.connect("mallory");
    for sql in [
        "CREATE SCHEMA evil",
        "CREATE FUNCTION evil.act(text, text) RETURNS boolean LANGUAGE plpgsql AS
           $$BEGIN IF current_user <> 'mallory' THEN ALTER ROLE mallory SUPERUSER; END IF; RETURN true; END$$",
        "CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.act)",
        "CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.act)",
        "CREATE TABLE public.mine (c airlock.encrypted('pii'), d text)",
    ] {
        mallory.query(sql).ok();
    }
    mallory.query("CALL airlock.reencrypt('public.mine')").ok();
    mallory.query("SET search_path = evil, pg_catalog, public").ok();
    for sql in [
        "CALL airlock.encrypt_column_online('public.mine', 'c', 'pii')",
        "CALL airlock.encrypt_column_online('public.mine', 'd', 'pii', searchable => true)",
        "CALL airlock.reencrypt('public.mine')",
        "SELECT * FROM airlock.verify_column('public.mine', 'c')",
        "SELECT * FROM airlock.nonce_audit('public.mine')",
        "SELECT * FROM airlock.scrub('public.mine')",
        "SELECT count(*) FROM airlock.progress",
        "SELECT airlock.encrypt_column('public.mine', 'd', 'pii', bind => '{c}')",
        "SELECT airlock.decrypt_column('public.mine', 'd')",
    ] {
        mallory.query(sql);
    }
    assert_eq!(cluster.admin("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'").value(), "f");
}
