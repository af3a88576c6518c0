//! `CALL airlock.reencrypt`: every value moves to the active version and nothing else of a row changes, whatever happens
//! meanwhile: other writers, locks, a cancel, `kill -9` of the backend and of the whole cluster.

use crate::cluster::{Cluster, DATABASE};
use crate::fixture;
use crate::key_memory::{anywhere, needles};
use crate::process::{eventually, signal};
use crate::protocol::Answer;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

/// Rows of the table.
const ROWS: usize = 3000;

/// A table with encrypted columns of two keys, whose owner's trigger notes every change, `ALWAYS`.
pub fn table(cluster: &Cluster) {
    cluster.admin(&format!(
        "SELECT airlock.create_key('work'), airlock.grant_decrypt('work', 'app');
         CREATE DOMAIN public.sealed_note AS airlock.encrypted('work');
         GRANT CREATE ON SCHEMA public TO app; GRANT USAGE ON SCHEMA airlock TO app, clerk;
         SET ROLE app;
         CREATE TABLE public.items (id bigint PRIMARY KEY, gone text, secret airlock.encrypted_eq('work'), n int NOT NULL DEFAULT 0,
            note public.sealed_note, list airlock.encrypted('work')[], money airlock.encrypted('money'), big airlock.encrypted('work'),
            changed int NOT NULL DEFAULT 0);
         INSERT INTO public.items (id, gone, secret, note, list, money, big) SELECT g, 'gone', 'secret ' || g,
            CASE WHEN g % 3 = 0 THEN NULL ELSE 'note ' || g END,
            CASE WHEN g % 2 = 0 THEN NULL ELSE ARRAY['a' || g::text, NULL, 'c'] END, g,
            CASE WHEN g % 500 = 0 THEN repeat('0123456789', 1500) END FROM generate_series(1, {ROWS}) g;
         ALTER TABLE public.items DROP COLUMN gone;
         CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := NEW.changed + 1; RETURN NEW; END $$;
         CREATE TRIGGER noted BEFORE UPDATE ON public.items FOR EACH ROW EXECUTE FUNCTION public.noted();
         ALTER TABLE public.items ENABLE ALWAYS TRIGGER noted"
    ));
    cluster.admin("VACUUM ANALYZE public.items");
}

/// All that the application reads of it.
pub fn digest(cluster: &Cluster) -> String {
    cluster
        .sql(
            "app",
            "SELECT count(*) || ' ' || md5(string_agg(concat_ws('|', id, airlock.decrypt(secret), airlock.decrypt(note::airlock.encrypted),
                airlock.decrypt(list[1]), list[2] IS NULL, airlock.decrypt(list[3]), airlock.decrypt(money), md5(airlock.decrypt(big)), n, changed), ',' ORDER BY id))
             FROM public.items",
        )
        .value()
}

/// How many values of a column of `items` are of another version than the active one of the key.
pub fn old(cluster: &Cluster, value: &str, key: &str) -> usize {
    let send = if value == "secret" { "encrypted_eq_send" } else { "encrypted_send" };
    let sql = format!(
        "SELECT count(*) FROM public.items WHERE substr(airlock.{send}({value}), 3, 4) <> (SELECT int4send(v.version_id)
           FROM airlock_catalog.key_version v JOIN airlock_catalog.key k ON k.uuid = v.owner
          WHERE k.name = '{key}' AND v.use = 'seal' AND v.state = 'active')"
    );
    cluster.admin(&sql).value().parse().unwrap()
}

fn progress(cluster: &Cluster, column: &str) -> String {
    let sql =
        format!("SELECT coalesce({column}::text, '') FROM airlock.progress WHERE relation = 'public.items'::regclass");
    cluster.admin(&sql).first().first().cloned().unwrap_or_default()
}

fn running() -> Cluster {
    let cluster = fixture::running();
    table(&cluster);
    cluster
}

#[test]
fn every_value_moves_and_nothing_else_changes() {
    let cluster = running();
    let before = digest(&cluster);
    let tags = "SELECT md5(string_agg(encode(substr(airlock.encrypted_eq_send(secret), 7, 8), 'hex'), ',' ORDER BY id)) FROM public.items";
    let tags_before = cluster.admin(tags).value();
    assert_eq!(cluster.admin("SELECT airlock.rotate_key('work')").value(), "2");
    assert_eq!(old(&cluster, "secret", "work"), ROWS);
    assert_eq!(digest(&cluster), before, "what was sealed before opens");

    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items', batch_rows => 250)").ok();
    assert!(
        answer.notices.iter().any(|n| n.get('M').starts_with("3000 rows were sealed anew")),
        "{:?}",
        answer.notices
    );
    for value in ["secret", "note::airlock.encrypted", "big", "list[1]", "list[3]"] {
        assert_eq!(old(&cluster, value, "work"), 0, "{value}");
    }
    // triggers did not fire (`changed` is part of it), tags and so searches are the same
    assert_eq!(digest(&cluster), before);
    assert_eq!(cluster.admin(tags).value(), tags_before);
    assert_eq!(cluster.sql("app", "SELECT id FROM public.items WHERE secret = 'secret 77'").value(), "77");
    assert_eq!(
        progress(&cluster, "state || ' ' || rows_changed || ' ' || (blocks_done = blocks_total)"),
        "done 3000 true"
    );
    // the same again has nothing to do, and the other key's values were left alone
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items')").ok();
    assert!(answer.notices.iter().any(|n| n.get('M').starts_with("0 rows")), "{:?}", answer.notices);
    let xmin = "SELECT count(DISTINCT xmin::text) FROM public.items";
    let batches = cluster.admin(xmin).value();
    assert_eq!(batches, "12", "one transaction for each batch");
    // indexes still find every row
    cluster.admin("CREATE EXTENSION IF NOT EXISTS amcheck; SELECT bt_index_check('public.items_pkey', true)");
}

#[test]
fn one_column_partitions_and_children_are_followed() {
    let cluster = running();
    cluster.admin(
        "SET ROLE app; CREATE TABLE public.parts (id int, secret airlock.encrypted('work')) PARTITION BY RANGE (id);
         CREATE TABLE public.part_1 PARTITION OF public.parts FOR VALUES FROM (0) TO (100);
         CREATE TABLE public.part_2 PARTITION OF public.parts FOR VALUES FROM (100) TO (200);
         INSERT INTO public.parts SELECT g, g FROM generate_series(1, 199) g; RESET ROLE; SELECT airlock.rotate_key('work')",
    );
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.parts')").ok();
    assert!(answer.notices.iter().any(|n| n.get('M').starts_with("199 rows")), "{:?}", answer.notices);
    cluster.sql("app", "CALL airlock.reencrypt('public.items', 'note')").ok();
    assert_eq!((old(&cluster, "note::airlock.encrypted", "work"), old(&cluster, "secret", "work")), (0, ROWS));
    // who does not own one of them changes none
    cluster.admin("ALTER TABLE public.part_2 OWNER TO clerk; SELECT airlock.rotate_key('work')");
    assert_eq!(cluster.sql("app", "CALL airlock.reencrypt('public.parts')").code(), "42501");
}

#[test]
fn it_is_refused_with_a_clear_word() {
    let cluster = running();
    let mut app = cluster.connect("app");
    app.query("BEGIN").ok();
    let answer = app.query("CALL airlock.reencrypt('public.items')");
    assert_eq!(answer.code(), "25001", "{:?}", answer.error);
    app.query("ROLLBACK").ok();
    for (user, sql, code) in [
        ("app", "CALL airlock.reencrypt('public.items'); SELECT 1", "25001"),
        ("clerk", "CALL airlock.reencrypt('public.items')", "42501"),
        ("app", "CALL airlock.reencrypt('public.consents')", "55000"),
        ("app", "CALL airlock.reencrypt('public.items', 'n')", "55000"),
        ("app", "CALL airlock.reencrypt('public.items', batch_rows => 0)", "22023"),
        ("app", "CALL airlock.reencrypt('public.items', rows_per_second => -1)", "22023"),
        ("app", "SET default_transaction_read_only = on; CALL airlock.reencrypt('public.items')", "25001"),
        ("acme", "CALL airlock.reencrypt('public.items')", "42501 AL007"),
    ] {
        let answer = cluster.sql(user, sql);
        assert!(!answer.code().is_empty() && code.contains(answer.code()), "{user}: {sql}: {:?}", answer.error);
    }
    // a block that does not hold a transaction may call it
    cluster.sql("app", "DO $$ BEGIN CALL airlock.reencrypt('public.items'); END $$").ok();
    // one job on a table at a time
    cluster.admin("SELECT airlock.rotate_key('work')");
    let mut first = cluster.connect("app");
    first.begin("CALL airlock.reencrypt('public.items', batch_rows => 10, rows_per_second => 20)");
    eventually("the first job runs", || (progress(&cluster, "state") == "running").then_some(()));
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items')");
    assert_eq!(answer.code(), "55006", "{:?}", answer.error);
    first.cancel();
    assert_eq!(first.finish().code(), "57014");
    eventually("it is seen to be interrupted", || (progress(&cluster, "state") == "interrupted").then_some(()));
    // progress is for who administers keys, and for owners
    assert_eq!(cluster.sql("app", "SELECT count(*) FROM airlock.progress").value(), "1");
    assert_eq!(cluster.sql("clerk", "SELECT count(*) FROM airlock.progress").value(), "0");
}

/// What ends a job before its time.
fn interrupt(cluster: &mut Cluster, how: &str) {
    let mut conn = cluster.connect("app");
    conn.begin("CALL airlock.reencrypt('public.items', batch_rows => 50, rows_per_second => 100)");
    eventually("some rows are done", || {
        // in one query: the row of the job before says that all are done
        let done = progress(cluster, "CASE state WHEN 'running' THEN rows_changed ELSE 0 END");
        (done.parse::<usize>().unwrap_or(0) >= 200).then_some(())
    });
    let ready = |cluster: &Cluster| cluster.log().matches("ready to accept connections").count();
    let before = ready(cluster);
    match how {
        "cancel" => conn.cancel(),
        "terminate" => drop(cluster.admin(&format!("SELECT pg_terminate_backend({})", progress(cluster, "pid")))),
        "kill -9 of the backend" => signal("KILL", &[progress(cluster, "pid").parse().unwrap()]),
        _ => cluster.kill(),
    }
    let answer = conn.finish();
    assert!(answer.closed || answer.error.is_some(), "{how}: it was not interrupted");
    match how {
        // the postmaster ends all sessions and recovers, some moments later
        "kill -9 of the backend" => {
            eventually("the server has recovered", || (ready(cluster) > before).then_some(()));
        }
        "kill -9 of the cluster" => cluster.start(),
        _ => {}
    }
    eventually("the server takes connections", || cluster.login("app", DATABASE, &[]).ok().map(drop));
}

#[test]
fn an_interrupted_job_goes_on_where_it_was() {
    let mut cluster = fixture::stopped();
    cluster.set("fsync", "on");
    cluster.start();
    table(&cluster);
    let before = digest(&cluster);
    for how in ["cancel", "terminate", "kill -9 of the backend", "kill -9 of the cluster"] {
        cluster.admin("SELECT airlock.rotate_key('work')");
        interrupt(&mut cluster, how);
        eventually("it is interrupted", || (progress(&cluster, "state") == "interrupted").then_some(()));
        let (left, position) = (old(&cluster, "secret", "work"), progress(&cluster, "blocks_done"));
        assert!(left > 0 && left < ROWS, "{how}: {left}");
        assert_ne!(position, "0", "{how}");
        assert_eq!(digest(&cluster), before, "{how}: half done");
        let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items')").ok();
        let said = format!("{left} rows were sealed anew");
        assert!(answer.notices.iter().any(|n| n.get('M').starts_with(&said)), "{how}: {:?}", answer.notices);
        assert_eq!((old(&cluster, "secret", "work"), digest(&cluster)), (0, before.clone()), "{how}");
        assert_eq!(progress(&cluster, "state || ' ' || rows_changed"), format!("done {ROWS}"), "{how}");
    }
}

#[test]
fn writers_lose_nothing_meanwhile() {
    let cluster = running();
    cluster.admin("SELECT airlock.rotate_key('work'); UPDATE public.items SET n = 0, changed = -1");
    let (stop, written) = (AtomicBool::new(false), Mutex::new(vec![0_u32; ROWS + 1]));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_usize)
            .map(|writer| {
                let (stop, written, mut conn) = (&stop, &written, cluster.connect("app"));
                scope.spawn(move || {
                    let mut id = writer;
                    while !stop.load(Ordering::SeqCst) {
                        id = (id * 7 + 13 + writer) % ROWS + 1;
                        let sql = format!(
                            "UPDATE public.items SET n = n + 1, secret = 'changed ' || id || ' ' || n + 1 WHERE id = {id}"
                        );
                        conn.query(&sql).ok();
                        written.lock().unwrap()[id] += 1;
                    }
                })
            })
            .collect();
        let jobs = (0..3).map(|_| {
            cluster.admin("SELECT airlock.rotate_key('work')");
            cluster.sql("app", "CALL airlock.reencrypt('public.items', batch_rows => 20)")
        });
        let answers: Vec<Answer> = jobs.collect();
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().unwrap();
        }
        answers.into_iter().for_each(|answer| drop(answer.ok()));
    });
    let written = written.into_inner().unwrap();
    assert!(written.iter().sum::<u32>() > 50, "the writers wrote too little to mean anything");
    let rows =
        cluster.sql("app", "SELECT id, n, changed, airlock.decrypt(secret) FROM public.items ORDER BY id").ok().rows;
    assert_eq!(rows.len(), ROWS);
    for row in rows {
        let field = |i: usize| row[i].clone().unwrap();
        let (id, n): (usize, u32) = (field(0).parse().unwrap(), field(1).parse().unwrap());
        assert_eq!(n, written[id], "row {id}");
        assert_eq!(field(2), field(1), "row {id}: the trigger fired for the writers only");
        let secret = if n == 0 { format!("secret {id}") } else { format!("changed {id} {n}") };
        assert_eq!(field(3), secret);
    }
    cluster.sql("app", "CALL airlock.reencrypt('public.items')").ok();
    assert_eq!(old(&cluster, "secret", "work"), 0);
}

#[test]
fn a_rotation_within_a_batch_is_heeded_by_the_next_row() {
    let cluster = running();
    cluster
        .sql(
            "app",
            "CREATE FUNCTION public.halt(id bigint) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
           IF id = 100 THEN PERFORM pg_advisory_xact_lock_shared(7); END IF; RETURN 0; END $$;
         ALTER TABLE public.items ADD COLUMN halted int GENERATED ALWAYS AS (public.halt(id)) STORED",
        )
        .ok();
    let before = digest(&cluster);
    cluster.admin("SELECT airlock.rotate_key('work')");
    let mut gate = cluster.connect("app");
    gate.query("SELECT pg_advisory_lock(7)").ok();
    let mut job = cluster.connect("app");
    job.begin("CALL airlock.reencrypt('public.items')");
    let halted = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'";
    eventually("it is in the middle of a batch", || (cluster.admin(halted).value() == "1").then_some(()));
    cluster.admin("SELECT airlock.rotate_key('work')");
    gate.query("SELECT pg_advisory_unlock(7)").ok();
    let answer = job.finish().ok();
    // those up to the hundredth, which were sealed before, once more; no other
    assert!(answer.notices.iter().any(|n| n.get('M').starts_with("3100 rows")), "{:?}", answer.notices);
    for value in ["secret", "note::airlock.encrypted", "big", "list[1]", "list[3]"] {
        assert_eq!(old(&cluster, value, "work"), 0, "{value}");
    }
    assert_eq!(digest(&cluster), before);
}

#[test]
fn locked_rows_are_waited_for_and_named_in_the_end() {
    let cluster = running();
    cluster.admin("SELECT airlock.rotate_key('work')");
    let mut other = cluster.connect("app");
    other.query("BEGIN; SELECT FROM public.items WHERE id IN (5, 1500) FOR UPDATE").ok();
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items')");
    assert_eq!(answer.code(), "55000");
    assert!(answer.error.unwrap().get('M').starts_with("2 rows of table public.items are locked"));
    assert_eq!(old(&cluster, "secret", "work"), 2, "all others are done");
    assert!(progress(&cluster, "state || ' ' || error").starts_with("failed 2 rows of table"));
    // locks that end while it waits are no error
    let mut job = cluster.connect("app");
    job.begin("CALL airlock.reencrypt('public.items')");
    eventually("it waits", || (progress(&cluster, "phase") == "waiting for row locks").then_some(()));
    other.query("COMMIT").ok();
    job.finish().ok();
    assert_eq!(old(&cluster, "secret", "work"), 0);
}

#[test]
fn rows_whose_key_somebody_keeps_are_done_too() {
    let cluster = running();
    cluster.admin(
        "SELECT airlock.rotate_key('work'); CREATE TABLE public.lines (item bigint REFERENCES public.items);
         ALTER TABLE public.lines OWNER TO app",
    );
    // a foreign key's check, one that has come and gone, and two at once
    cluster.sql("app", "INSERT INTO public.lines VALUES (6)").ok();
    let mut others: Vec<_> = (0..2).map(|_| cluster.connect("app")).collect();
    others[0].query("BEGIN; INSERT INTO public.lines VALUES (7), (8)").ok();
    others[1].query("BEGIN; INSERT INTO public.lines VALUES (8)").ok();
    cluster.sql("app", "CALL airlock.reencrypt('public.items')").ok();
    assert_eq!(old(&cluster, "secret", "work"), 0);
    others.iter_mut().for_each(|other| drop(other.query("COMMIT").ok()));
    let orphans =
        "SELECT count(*) FROM public.lines l WHERE NOT EXISTS (SELECT FROM public.items i WHERE i.id = l.item)";
    assert_eq!(cluster.admin(orphans).value(), "0");
}

#[test]
fn a_damaged_value_is_named_and_stops_it() {
    let cluster = running();
    let before = digest(&cluster);
    cluster.admin("SELECT airlock.rotate_key('work')");
    // a value of another column of the same key, put there as ciphertext; row 1503 had none
    cluster.admin("ALTER TABLE public.items DISABLE TRIGGER noted");
    let moved = cluster.admin("SELECT big FROM public.items WHERE id = 1500").value();
    cluster.admin(&format!(
        "SET airlock.encrypted_input = ciphertext; UPDATE public.items SET note = '{moved}' WHERE id = 1503"
    ));
    let answer = cluster.sql("app", "CALL airlock.reencrypt('public.items', batch_rows => 100)");
    assert_eq!(answer.code(), "AL003", "{:?}", answer.error);
    let detail = answer.error.unwrap().get('D').to_string();
    assert!(detail.contains("In column \"note\".") && detail.contains("In the row at ("), "{detail}");
    let left = old(&cluster, "secret", "work");
    assert!(left > 0 && left < ROWS, "batches before it are committed: {left}");
    cluster.admin("UPDATE public.items SET note = NULL WHERE id = 1503");
    cluster.sql("app", "CALL airlock.reencrypt('public.items')").ok();
    assert_eq!(old(&cluster, "secret", "work"), 0);
    assert_eq!(digest(&cluster), before);
}

#[test]
fn code_of_the_owner_runs_as_the_owner_and_is_confined() {
    let cluster = running();
    cluster.admin("ALTER TABLE public.items DISABLE TRIGGER noted");
    cluster.sql(
        "app",
        "CREATE TABLE public.spied (who name, what text);
         CREATE FUNCTION public.spy(v bytea) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
           IF current_user <> 'app' THEN RAISE EXCEPTION 'run as %', current_user; END IF;
           IF current_setting('work_mem') = '5MB' THEN
             BEGIN PERFORM set_config('role', 'postgres', false); RAISE EXCEPTION SQLSTATE 'ZZ001' USING MESSAGE = 'took the role'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
             PERFORM set_config('search_path', 'evil', false);
           END IF;
           RETURN length(v); END $$;
         CREATE INDEX spy ON public.items (public.spy(airlock.encrypted_eq_send(secret)));
         ALTER TABLE public.items ADD COLUMN copy bytea GENERATED ALWAYS AS (airlock.encrypted_eq_send(secret)) STORED",
    )
    .ok();
    cluster.admin("SELECT airlock.rotate_key('work')");
    let mut admin = cluster.connect("postgres");
    admin.query("SET work_mem = '5MB'").ok();
    admin.query("CALL airlock.reencrypt('public.items')").ok();
    assert_eq!(admin.query("SHOW search_path").value(), "\"$user\", public", "nothing is left behind");
    assert_eq!(admin.query("SELECT current_user").value(), "postgres");
    assert_eq!(old(&cluster, "secret", "work"), 0);
    // what is generated from the ciphertext follows it
    let sql = "SELECT count(*) FROM public.items WHERE copy <> airlock.encrypted_eq_send(secret)";
    assert_eq!(cluster.admin(sql).value(), "0");
}

#[test]
fn replicas_that_are_behind_hold_it_up() {
    let cluster = running();
    let mut standby = cluster.standby();
    standby.set("hot_standby", "on");
    standby.start();
    let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    eventually("the standby streams", || (cluster.admin(streams).value() == "1").then_some(()));
    cluster.admin("SELECT airlock.rotate_key('work')");
    // its receiver sleeps, so nothing is flushed there, and a megabyte of other WAL comes by
    let receiver: u32 = standby.sql("postgres", "SELECT pid FROM pg_stat_wal_receiver").value().parse().unwrap();
    signal("STOP", &[receiver]);
    cluster.admin("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 3000000))");
    let mut job = cluster.connect("app");
    job.begin("CALL airlock.reencrypt('public.items', batch_rows => 100, max_lag_mb => 1)");
    eventually("it waits", || (progress(&cluster, "phase") == "waiting for replicas").then_some(()));
    let left = old(&cluster, "secret", "work");
    assert!(left > 0, "it did not wait");
    // keys that are locked while it waits are in its memory no longer
    let needles = needles(&cluster, &fs::read_to_string(cluster.dir.join("root.key")).unwrap());
    assert!(!anywhere(job.pid, &needles).is_empty(), "control: its memory holds keys");
    cluster.admin("SELECT airlock.lock()");
    eventually("it has no key", || anywhere(job.pid, &needles).is_empty().then_some(()));
    cluster.admin("SELECT airlock.unlock()");
    signal("CONT", &[receiver]);
    job.finish().ok();
    assert_eq!(old(&cluster, "secret", "work"), 0);
    let behind = "SELECT flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication";
    eventually("the standby has it", || (cluster.admin(behind).value() == "t").then_some(()));
    let count = "SELECT count(*) FROM public.items WHERE substr(airlock.encrypted_eq_send(secret), 3, 4) =
        (SELECT int4send(version_id) FROM airlock_catalog.key_version v JOIN airlock_catalog.key k ON k.uuid = v.owner
          WHERE k.name = 'work' AND v.use = 'seal' AND v.state = 'active')";
    eventually("it is replayed", || (standby.sql("postgres", count).value() == ROWS.to_string()).then_some(()));
    // what was locked on a standby is locked there alone
    standby.sql("postgres", "SELECT airlock.lock()").ok();
    let read = "SELECT airlock.decrypt(secret) FROM public.items WHERE id = 7";
    assert_eq!(standby.sql("app", read).code(), "AL001");
    assert_eq!(cluster.sql("app", read).value(), "secret 7");
    standby.sql("postgres", "SELECT airlock.unlock()").ok();
    assert_eq!(standby.sql("app", read).value(), "secret 7");
}
