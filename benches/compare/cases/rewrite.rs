//! Jobs that write every row in batches, against a batched UPDATE of the same rows by a procedure.

use super::Bench;
use crate::cluster::Cluster;
use crate::load::{milliseconds, script};
use crate::report::{Line, Target};
use crate::rounds::interleaved;
use crate::world::settled;

/// What somebody writes for a long UPDATE: by key, ten thousand rows a transaction, as the jobs do.
const BATCHED: &str = "
    CREATE PROCEDURE public.batched(relation text, what text) LANGUAGE plpgsql AS $$
    DECLARE last bigint; n bigint := 0;
    BEGIN
        EXECUTE format('SELECT max(id) FROM %s', relation) INTO last;
        WHILE n < last LOOP
            EXECUTE format('UPDATE %s SET %s WHERE id > $1 AND id <= $1 + 10000', relation, what) USING n;
            n := n + 10000;
            COMMIT;
        END LOOP;
    END $$;";

pub fn run(bench: &Bench) -> Vec<Line> {
    let cluster = bench.shared();
    script(
        cluster,
        "postgres",
        &format!(
            "{BATCHED} CREATE ROLE mover LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO mover;
             SELECT airlock.create_key('moved'); SELECT airlock.grant_decrypt('moved', 'mover'); GRANT USAGE ON SCHEMA airlock TO mover"
        ),
    );
    vec![again(bench, cluster, bench.rows / 5), online(bench, cluster, bench.rows / 5)]
}

fn again(bench: &Bench, cluster: &Cluster, rows: u64) -> Line {
    script(
        cluster,
        "postgres",
        &format!(
            "CREATE TABLE public.moved (id bigint PRIMARY KEY, v airlock.encrypted('moved')); CREATE TABLE public.same (id bigint PRIMARY KEY, v bytea);
             INSERT INTO public.moved SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {rows}) g;
             INSERT INTO public.same SELECT g, decode(lpad(g::text, 2 * 62, '0'), 'hex') FROM generate_series(1, {rows}) g;
             ALTER TABLE public.moved OWNER TO mover; ALTER TABLE public.same OWNER TO mover"
        ),
    );
    let fresh = |table: &str| {
        script(cluster, "postgres", &format!("VACUUM (FREEZE, ANALYZE) public.{table}"));
        settled(cluster);
    };
    fresh("moved");
    fresh("same");
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                // else there would be nothing to do
                cluster.admin("SELECT airlock.rotate_key('moved')");
                let time = milliseconds(&mut cluster.connect("mover"), "CALL airlock.reencrypt('public.moved')");
                fresh("moved");
                time
            },
            &mut || {
                let sql = "CALL public.batched('public.same', 'v = set_byte(v, 0, 1)')";
                let time = milliseconds(&mut cluster.connect("mover"), sql);
                fresh("same");
                time
            },
        ],
    );
    Line::pair("reencrypt / batched UPDATE", "ms", &o, &t, Target::AtMost(1.3))
}

fn online(bench: &Bench, cluster: &Cluster, rows: u64) -> Line {
    let anew = |table: &str, more: &str| {
        let sql = format!(
            "DROP TABLE IF EXISTS public.{table}; CREATE TABLE public.{table} (id bigint PRIMARY KEY, v text {more});
             INSERT INTO public.{table} (id, v) SELECT g, lpad(g::text, 11, '0') FROM generate_series(1, {rows}) g;
             ALTER TABLE public.{table} OWNER TO mover"
        );
        script(cluster, "postgres", &sql);
        script(cluster, "postgres", &format!("VACUUM (FREEZE, ANALYZE) public.{table}"));
        settled(cluster);
        cluster.connect("mover")
    };
    let [o, t] = interleaved(
        bench.rounds,
        [
            &mut || {
                let mut conn = anew("becoming", "");
                milliseconds(&mut conn, "CALL airlock.encrypt_column_online('public.becoming', 'v', key => 'moved')")
            },
            &mut || {
                let mut conn = anew("filled", ", twin bytea");
                milliseconds(
                    &mut conn,
                    "CALL public.batched('public.filled', 'twin = decode(lpad(v, 2 * 62, ''0''), ''hex'')')",
                )
            },
        ],
    );
    Line::pair("encrypt_column_online / batched UPDATE of a second column", "ms", &o, &t, Target::AtMost(1.3))
}
