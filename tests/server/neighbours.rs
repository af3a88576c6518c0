//! Invariant 8, nothing for others: with the library preloaded and nobody a sub-processor, PostgreSQL's own tools print
//! what they print on a server without it, and errors keep all their fields.

use crate::cluster::{Cluster, Postgres, DATABASE};
use crate::process::{both, run};
use std::io::Write;
use std::process::Stdio;

/// The same server twice: without the library, and with it and the extension. Both hold the same objects.
fn pair() -> [Cluster; 2] {
    let mut plain = Cluster::initdb(Postgres::main());
    plain.start();
    plain.login("postgres", "postgres", &[]).expect("connect").query(&format!("CREATE DATABASE {DATABASE}")).ok();
    plain.admin(
        "CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL, amount numeric CHECK (amount > 0) DEFAULT 1);
         CREATE TABLE child (id serial, parent int REFERENCES parent, tags text[], UNIQUE (parent, tags));
         CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE VIEW summary AS SELECT name, count(*) FROM parent GROUP BY name;
         CREATE FUNCTION half(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 10 / $1; END $$;
         CREATE FUNCTION told() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'told' USING ERRCODE = 'XY123', DETAIL = 'a detail', HINT = 'a hint', COLUMN = 'c', CONSTRAINT = 'k',
             DATATYPE = 'd', TABLE = 't', SCHEMA = 's'; END $$;
         INSERT INTO parent SELECT g, 'n' || g % 7, g FROM generate_series(1, 1000) g; INSERT INTO child (parent) VALUES (1)",
    );
    plain.stop();
    let preloaded = plain.copy(Postgres::main());
    preloaded.preload();
    let mut pair = [plain, preloaded];
    pair.iter_mut().for_each(Cluster::start);
    pair
}

/// What psql prints for a script.
fn psql(cluster: &Cluster, script: &str) -> String {
    let mut command = cluster.client("psql", "postgres");
    command.args(["-X", "-d", DATABASE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start psql");
    child.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("write to psql");
    both(&child.wait_with_output().expect("psql ends"))
}

/// The first line in which two outputs differ.
fn difference(a: &str, b: &str) -> Option<(String, String)> {
    let (mut a, mut b) = (a.lines(), b.lines());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (x, y) if x == y => {}
            (x, y) => return Some((x.unwrap_or("(end)").to_string(), y.unwrap_or("(end)").to_string())),
        }
    }
}

/// A dump without the line that holds a random key of its own.
fn dump(cluster: &Cluster) -> String {
    let dump = run(cluster.client("pg_dump", "postgres").arg(DATABASE));
    dump.lines()
        .filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"))
        .map(|l| format!("{l}\n"))
        .collect()
}

#[test]
fn tools_of_postgresql_behave_as_without_the_library() {
    let [plain, preloaded] = pair();
    let script = r"\d
\d+ parent
\d+ child
\df
\dT
\du
\dp
\l
\sf half
SELECT * FROM summary ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT * FROM parent JOIN child ON child.parent = parent.id WHERE parent.id < 10;
BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM parent ORDER BY id; COMMIT; FETCH 3 FROM c; CLOSE c;
CREATE TEMP TABLE t AS SELECT * FROM parent; COPY t TO STDOUT; SELECT count(*) INTO TEMP u FROM t; PREPARE p AS SELECT $1::int; EXECUTE p(4);
DO $$ BEGIN RAISE NOTICE 'hello'; END $$; SELECT pg_advisory_lock(1); SELECT lo_creat(-1) > 0; LISTEN x; SET work_mem = '1MB'; SHOW work_mem;
VACUUM ANALYZE parent; REINDEX TABLE child; LOCK TABLE parent; SELECT 1 / 0; SELECT nothing;
";
    assert_eq!(difference(&psql(&preloaded, script), &psql(&plain, script)), None, "psql");
    assert_eq!(difference(&dump(&preloaded), &dump(&plain)), None, "pg_dump");

    // with the extension in the database, still nobody a sub-processor
    preloaded.admin("CREATE EXTENSION pg_airlock");
    let shown = psql(&preloaded, "SELECT * FROM summary ORDER BY 1;\n\\d parent\n");
    assert_eq!(shown, psql(&plain, "SELECT * FROM summary ORDER BY 1;\n\\d parent\n"));
    let dumped = dump(&preloaded);
    assert!(dumped.contains("CREATE EXTENSION IF NOT EXISTS pg_airlock") && dumped.contains("COPY public.parent"));
    for arguments in
        [&["-i", "-q"][..], &["-n", "-S", "-t", "200", "-c", "4"], &["-n", "-t", "50", "-c", "2", "-M", "prepared"]]
    {
        let said =
            both(&preloaded.client("pgbench", "postgres").args(arguments).arg(DATABASE).output().expect("pgbench"));
        assert!(!said.contains("ERROR") && !said.contains("aborted"), "pgbench {arguments:?}: {said}");
        assert!(arguments[0] == "-i" || said.contains("number of failed transactions: 0"), "{said}");
    }
    assert_eq!(preloaded.admin("SELECT count(*) FROM airlock.access_log").value(), "0");
}

#[test]
fn errors_keep_all_their_fields() {
    let [plain, preloaded] = pair();
    preloaded.admin("CREATE EXTENSION pg_airlock");
    for sql in [
        "INSERT INTO parent VALUES (1, 'again', 1)",
        "INSERT INTO parent VALUES (-1, NULL, 1)",
        "INSERT INTO parent VALUES (-1, 'x', -1)",
        "INSERT INTO child (parent) VALUES (77777)",
        "DELETE FROM parent WHERE id = 1",
        "SELECT 0::positive",
        "SELECT nothing FROM parent",
        "SELECT * FROM parent WHERE amount = 'x'",
        "SELEC 1",
        "SELECT half(0)",
        "SELECT told()",
        "DO $$ BEGIN PERFORM half(0); END $$",
        "DO $$ BEGIN EXECUTE 'SELECT nothing FROM parent'; END $$",
        "CREATE TABLE parent (x int)",
        "ALTER TABLE parent ADD COLUMN amount int",
        "DROP TABLE parent",
        "COPY (SELECT 1 / (5 - id) FROM parent ORDER BY id) TO STDOUT",
        "CREATE VIEW v AS SELECT * FROM nowhere",
        "PREPARE p AS SELECT 1 / $1::int; EXECUTE p(0)",
        "SET work_mem = 'plenty'",
        "BEGIN; DECLARE c CURSOR FOR SELECT 1 / (3 - id) FROM parent WHERE id < 9 ORDER BY id; FETCH ALL FROM c",
        "SET statement_timeout = '100ms'; SELECT pg_sleep(10)",
        "SELECT id FROM parent FOR UPDATE; SELECT 1 / 0",
        "EXPLAIN ANALYZE SELECT 1 / (3 - id) FROM parent",
        "CREATE TEMP TABLE t AS SELECT 1 / (3 - id) FROM parent",
    ] {
        let [a, b] = [&plain, &preloaded].map(|c| c.sql("postgres", sql));
        assert!(a.error.is_some(), "control: it fails on a plain server: {sql}");
        // every letter: also file, line and routine of the error's origin
        assert_eq!(b.error, a.error, "{sql}");
        assert_eq!((b.received, b.copied, b.tags, b.notices), (a.received, a.copied, a.tags, a.notices), "{sql}");
    }
}

#[test]
fn a_second_database_without_the_extension_is_left_alone() {
    let [_, preloaded] = pair();
    preloaded.admin("CREATE EXTENSION pg_airlock");
    preloaded.admin("CREATE DATABASE second");
    let mut second = preloaded.login("postgres", "second", &[]).expect("connect");
    for sql in [
        "CREATE TABLE t (x int PRIMARY KEY)",
        "INSERT INTO t SELECT generate_series(1, 100)",
        "CREATE VIEW v AS SELECT * FROM t",
        "SELECT * FROM v",
        "DROP VIEW v",
        "VACUUM t",
    ] {
        second.query(sql).ok();
    }
    drop(second);
    // and it can be dropped while the worker runs next door
    assert_eq!(preloaded.admin("DROP DATABASE second").tags, ["DROP DATABASE"]);
}
