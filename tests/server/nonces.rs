//! Nonces: many forked backends seal by every way in, and no pair of key version and nonce comes twice. A plan that
//! folded a sealed constant, a prepared statement that kept one, or a pool of random bytes that a fork copied would.

use crate::fixture;
use crate::protocol::Conn;
use data_encoding::BASE64;
use std::collections::HashMap;
use std::thread;

/// Sessions at once, each a backend of its own.
const SESSIONS: usize = 10;
/// Rows that one way in writes.
const ROWS: usize = 40;

/// Version id and nonce of a stored value, from its text form (`docs/format.md`).
fn header(text: &str) -> (Vec<u8>, [u8; 24]) {
    let bytes = BASE64.decode(text.strip_prefix("airlock:1:").expect("ciphertext").as_bytes()).expect("base64");
    assert_eq!(bytes[0], 0xE1);
    let tag = [0, 8][usize::from(bytes[1] & 1)];
    (bytes[2..6].to_vec(), bytes[6 + tag..30 + tag].try_into().unwrap())
}

/// One way after the other; how many values were sealed.
fn write(conn: &mut Conn, session: usize) -> usize {
    let mut sealed = 0;
    let mut wrote = |rows: usize| sealed += 2 * rows;
    let values = |value: &str| vec![format!("('{value}', '{value}')"); ROWS].join(", ");
    for n in 0..ROWS {
        conn.query(&format!("INSERT INTO public.t VALUES ('same', 'v{n}')")).ok();
        wrote(1);
    }
    conn.query(&format!("INSERT INTO public.t VALUES {}", values("same"))).ok();
    wrote(ROWS);
    // custom plans, then generic ones; typed and untyped
    for mode in ["force_custom_plan", "force_generic_plan", "auto"] {
        conn.query(&format!("SET plan_cache_mode = {mode}")).ok();
        for sql in [
            "INSERT INTO public.t VALUES ($1, $2)",
            "INSERT INTO public.t VALUES ($1::text, $2::text)",
            "INSERT INTO public.t VALUES ('same', 'same')",
        ] {
            conn.parse("s", sql);
            conn.sync().ok();
            for _ in 0..ROWS {
                let parameters = [Some("same"), Some("same")];
                conn.bind("", "s", &parameters[..2 * usize::from(sql.contains('$'))]).execute("", 0);
                conn.sync().ok();
                wrote(1);
            }
            conn.query("DEALLOCATE s").ok();
        }
    }
    conn.query("PREPARE p (text) AS INSERT INTO public.t VALUES ($1, 'same'), ('same', $1)").ok();
    for _ in 0..ROWS {
        conn.query("EXECUTE p ('same')").ok();
        wrote(2);
    }
    conn.query(&format!(
        "DO $$ DECLARE v text := 'same'; BEGIN FOR i IN 1..{ROWS} LOOP INSERT INTO public.t VALUES (v, 'same'); END LOOP; END $$"
    ))
    .ok();
    wrote(ROWS);
    conn.query(&format!("SELECT public.one('same') FROM generate_series(1, {ROWS})")).ok();
    wrote(ROWS);
    conn.query(&format!("INSERT INTO public.t (n) SELECT g FROM generate_series(1, {ROWS}) g")).ok();
    wrote(ROWS);
    conn.query(&format!("INSERT INTO public.t SELECT 'same', 'same' FROM generate_series(1, {ROWS})")).ok();
    wrote(ROWS);
    conn.query(&format!(
        "INSERT INTO public.t SELECT r.a, r.b FROM generate_series(1, {ROWS}) g, jsonb_populate_record(NULL::public.t, jsonb_build_object('a', 'same', 'b', 'same', 'n', g)) r"
    ))
    .ok();
    wrote(ROWS);
    let copied = conn.copy_in("COPY public.t (a, b) FROM STDIN", "same\tsame\n".repeat(ROWS)).ok();
    assert_eq!(copied.tags, [format!("COPY {ROWS}")]);
    wrote(ROWS);
    conn.query(&format!(
        "INSERT INTO public.t (a, b, n) SELECT 'x', 'x', -{} FROM generate_series(1, {ROWS})",
        session + 1
    ))
    .ok();
    conn.query(&format!("UPDATE public.t SET a = 'same', b = 'same' WHERE n = -{}", session + 1)).ok();
    wrote(ROWS);
    sealed
}

#[test]
fn no_nonce_comes_twice_under_a_key_version_whoever_seals_and_however() {
    let cluster = fixture::running();
    cluster.admin(
        "CREATE TABLE public.t (a airlock.encrypted_eq('pii') DEFAULT 'same'::text, b airlock.encrypted('pii') DEFAULT 'same'::text, n int);
         ALTER TABLE public.t OWNER TO app;
         CREATE FUNCTION public.one(v text) RETURNS void LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.t VALUES (v, v); END'",
    );
    let sealed: usize = thread::scope(|scope| {
        let cluster = &cluster;
        let writers: Vec<_> =
            (0..SESSIONS).map(|n| scope.spawn(move || write(&mut cluster.connect("app"), n))).collect();
        writers.into_iter().map(|w| w.join().unwrap()).sum()
    });
    let mut seen: HashMap<(Vec<u8>, [u8; 24]), usize> = HashMap::new();
    let mut halves: HashMap<[u8; 12], usize> = HashMap::new();
    let mut count = 0;
    let total: usize = cluster.admin("SELECT count(*) FROM public.t").value().parse().unwrap();
    let mut conn = cluster.connect("app");
    conn.query("BEGIN").ok();
    conn.query("DECLARE c CURSOR FOR SELECT a, b FROM public.t").ok();
    loop {
        let rows = conn.query("FETCH 4000 FROM c").ok().rows;
        if rows.is_empty() {
            break;
        }
        for value in rows.iter().flatten() {
            let (version, nonce) = header(value.as_ref().expect("no value is NULL"));
            *halves.entry(nonce[..12].try_into().unwrap()).or_default() += 1;
            *seen.entry((version, nonce)).or_default() += 1;
            count += 1;
        }
    }
    assert_eq!((count, count / 2), (sealed, total), "every value was looked at");
    let twice: Vec<_> = seen.values().filter(|n| **n > 1).collect();
    assert!(twice.is_empty(), "{} of {count} nonces came more than once", twice.len());
    // each session keeps to an N1 of its own: one that two shared would have the values of both
    let most = sealed / SESSIONS;
    assert!(halves.len() >= SESSIONS, "{} sessions sealed under {} N1", SESSIONS, halves.len());
    assert!(halves.values().all(|n| *n <= most), "two sessions sealed under one N1");
}
