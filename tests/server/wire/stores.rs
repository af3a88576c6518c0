//! Rows that come out of stores and cursors, after or beside the executor that made them.

use super::{agrees, kinds, WIDE};
use crate::fixture::{running, settled, VISIBLE};
use crate::protocol::Answer;

#[test]
fn attack_rows_out_of_stores_are_not_lost_from_the_count() {
    let cluster = running();
    // larger than what is held
    let mut conn = cluster.connect_as("acme", "large store");
    conn.query(&format!("PREPARE p AS {WIDE}")).ok();
    let answer = conn.query("EXECUTE p").ok();
    assert_eq!(answer.received, 10 * VISIBLE);
    agrees(&cluster, "large store", "final", "ok", &answer);
    // a store of FETCH, while the cursor itself is executed to its end
    let mut conn = cluster.connect_as("acme", "two ways");
    conn.query("BEGIN").ok();
    conn.query("DECLARE c CURSOR FOR SELECT id FROM acme.customers").ok();
    let mut all = Answer::default();
    conn.parse("", "FETCH 80 FROM c").bind("f", "", &[]).execute("f", 1).execute("c", 0).put(b'S', b"");
    conn.send().unwrap();
    conn.finish_into(&mut all);
    conn.execute("f", 0).put(b'S', b"");
    conn.send().unwrap();
    conn.finish_into(&mut all);
    conn.query("COMMIT").ok();
    assert_eq!(all.received, VISIBLE);
    agrees(&cluster, "two ways", "final", "ok", &all);
    // FETCH from a portal whose rows are in a store: no hook sees it, so it is refused
    let mut conn = cluster.connect_as("acme", "fetched");
    conn.query("PREPARE p AS SELECT id FROM acme.customers").ok();
    conn.query("BEGIN").ok();
    conn.parse("", "EXECUTE p").bind("e", "", &[]).execute("e", 1);
    assert_eq!(conn.sync().ok().received, 1);
    let answer = conn.query("FETCH ALL FROM e");
    assert_eq!((answer.code(), answer.received), ("AL007", 0));
    // a cursor executed, fetched back and executed again, larger than what is held, in one pipeline
    let mut conn = cluster.connect_as("acme", "to and fro");
    conn.query("BEGIN").ok();
    conn.query(&format!("DECLARE c SCROLL CURSOR FOR {WIDE}")).ok();
    let mut all = Answer::default();
    conn.parse("", "FETCH BACKWARD ALL FROM c")
        .bind("b", "", &[])
        .execute("c", 0)
        .execute("b", 0)
        .execute("c", 0)
        .put(b'S', b"");
    conn.send().unwrap();
    conn.finish_into(&mut all);
    conn.query("COMMIT").ok();
    let log = settled(&cluster, "to and fro", 1);
    assert_eq!(log[0].rows(), Some(all.received), "{log:?}");
    assert!(all.received > 20 * VISIBLE);
}

#[test]
fn attack_a_cursor_that_outlives_its_read_gives_nothing() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.rc() RETURNS refcursor STABLE LANGUAGE plpgsql AS
           'DECLARE r refcursor := ''rr''; x record; BEGIN OPEN r FOR SELECT id FROM acme.customers; FETCH r INTO x; RETURN r; END'",
    );
    let mut conn = cluster.connect_as("acme", "refcursor");
    conn.query("BEGIN").ok();
    let answer = conn.query("SELECT public.rc()");
    assert_eq!((answer.code(), answer.received), ("", 1));
    let answer = conn.query("FETCH ALL FROM rr");
    assert_eq!((answer.code(), answer.received), ("AL005", 0), "{answer:?}");
}

#[test]
fn copies_of_what_functions_read_count_their_rows() {
    let cluster = running();
    cluster.admin(
        "CREATE FUNCTION public.city_of(bigint) RETURNS text STABLE LANGUAGE plpgsql AS
           'DECLARE c text; BEGIN SELECT city INTO c FROM acme.customers WHERE id = $1; RETURN c; END'",
    );
    for options in ["(FORMAT csv, HEADER)", "(FORMAT binary)", ""] {
        let name = format!("nested {options}");
        let sql = format!("COPY (SELECT public.city_of(g) FROM generate_series(1, 5) g) TO STDOUT {options}");
        cluster.connect_as("acme", &name).query(&sql).ok();
        assert_eq!(kinds(&settled(&cluster, &name, 1)), [("exact", "ok", Some(5))], "{options}");
    }
}
