//! The rows that write: INSERT, UPDATE, upsert, MERGE, arrays, records, PL/pgSQL, cursors, triggers, rules, views.

use super::Expect::{Copied, Refused, Sealed};
use super::{row, Row};

/// Three rows in `t`, all with the value.
const SEEDED: &str = "INSERT INTO t VALUES (1, {v}), (2, {v}), (3, {v})";
/// The same with another value.
const OLD: &str = "INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old')";
/// A second table with a column of its own.
const LOG: &str = "CREATE TABLE log (id int, c {ty})";
const COPY_IT: &str = "airlock.decrypt(c)";

pub const ROWS: &[Row] = &[
    row("INSERT", "INSERT INTO t VALUES (1, {v}), (2, {v}), (3, {v})", Sealed(3)),
    row("INSERT … SELECT", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)),
    row("INSERT … SELECT of text", "INSERT INTO t SELECT g, s FROM generate_series(1, 3) g, (SELECT {v}::text AS s) x", Sealed(3)),
    row("INSERT … SELECT of a concatenation", "INSERT INTO t SELECT g, concat({v}::text, NULL) FROM generate_series(1, 3) g", Sealed(3)),
    row("INSERT … SELECT of itself", "INSERT INTO t SELECT id + 10, c FROM t", Copied(6)).before(&[SEEDED]),
    row("INSERT … SELECT of another column", "INSERT INTO log SELECT id, c FROM t", Refused("AL003", COPY_IT))
        .before(&[LOG, SEEDED]),
    row("INSERT … SELECT, decrypted", "INSERT INTO log SELECT id, airlock.decrypt(c) FROM t", Sealed(6))
        .before(&[LOG, SEEDED])
        .cells(&[("t", "c"), ("log", "c")]),
    row("INSERT … SELECT by way of UNION", "INSERT INTO t SELECT id + 10, c FROM t UNION ALL SELECT 20, {v}::{bare}", Copied(7))
        .before(&[SEEDED]),
    row("WITH … INSERT … RETURNING", "WITH w AS (INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g RETURNING id, c)
          INSERT INTO t SELECT id + 10, c FROM w", Copied(6)),
    row("UPDATE", "UPDATE t SET c = {v}", Sealed(3)).before(&[OLD]),
    row("UPDATE of a row", "UPDATE t SET (id, c) = (SELECT id + 10, {v})", Sealed(3)).before(&[OLD]),
    row("UPDATE … FROM", "UPDATE t SET c = x.s FROM (SELECT g, {v}::text FROM generate_series(1, 3) g) x (g, s) WHERE id = g", Sealed(3))
        .before(&[OLD]),
    row("UPDATE, read, modify, write", "UPDATE t SET c = airlock.decrypt(c) || ''", Sealed(3)).before(&[SEEDED]),
    row("UPDATE with itself", "UPDATE t SET c = c", Copied(3)).before(&[SEEDED]),
    row("UPDATE with coalesce", "UPDATE t SET c = coalesce(c, {v})", Copied(3))
        .before(&["INSERT INTO t VALUES (1, {v}), (2, NULL), (3, NULL)"])
        .typed(Refused("42804", "")),
    row("UPDATE with CASE", "UPDATE t SET c = CASE WHEN id = 1 THEN c ELSE {v} END", Copied(3))
        .before(&["INSERT INTO t VALUES (1, {v}), (2, 'old'), (3, 'old')"])
        .typed(Refused("42804", "")),
    row("UPDATE with another column", "UPDATE t SET c = log.c FROM log", Refused("AL003", COPY_IT))
        .before(&[LOG, "INSERT INTO log VALUES (1, {v})", OLD]),
    row("upsert, inserting", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g ON CONFLICT (id) DO UPDATE SET c = EXCLUDED.c", Sealed(3)),
    row("upsert, EXCLUDED", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g ON CONFLICT (id) DO UPDATE SET c = EXCLUDED.c", Sealed(3))
        .before(&[OLD]),
    row("upsert, the value", "INSERT INTO t SELECT g, 'new' FROM generate_series(1, 3) g ON CONFLICT (id) DO UPDATE SET c = {v}", Sealed(3))
        .before(&[OLD]),
    row("upsert, only if there is none", "INSERT INTO t VALUES (1, {v}), (4, {v}) ON CONFLICT (id) DO NOTHING", Sealed(4)).before(&[SEEDED]),
    row("MERGE, inserting", "MERGE INTO t USING generate_series(1, 3) g ON id = g WHEN NOT MATCHED THEN INSERT VALUES (g, {v})", Sealed(3)),
    row("MERGE, updating", "MERGE INTO t USING generate_series(1, 3) g ON id = g WHEN MATCHED THEN UPDATE SET c = {v}", Sealed(3)).before(&[OLD]),
    row("MERGE from a source", "MERGE INTO t USING (SELECT g, {v}::text AS s FROM generate_series(2, 4) g) x ON id = g
          WHEN MATCHED THEN UPDATE SET c = s WHEN NOT MATCHED THEN INSERT VALUES (g, s)", Sealed(4)).before(&[SEEDED]),
    row("MERGE from another column", "MERGE INTO t USING log ON t.id = log.id WHEN NOT MATCHED THEN INSERT VALUES (log.id, log.c)", Refused("AL003", COPY_IT))
        .before(&[LOG, "INSERT INTO log VALUES (1, {v})"]),
    row("array", "INSERT INTO x SELECT g, ARRAY[{v}, {v}] FROM generate_series(1, 3) g", Sealed(6))
        .before(&["CREATE TABLE x (id int, a {ty}[])"])
        .cells(&[("x", "a[1]"), ("x", "a[2]")]),
    row("array from text", "INSERT INTO x VALUES (1, '{{raw},{raw}}')", Sealed(2))
        .before(&["CREATE TABLE x (id int, a {ty}[])"])
        .cells(&[("x", "a[1]"), ("x", "a[2]")]),
    row("array of text[]", "INSERT INTO x SELECT g, array_fill({v}::text, '{2}') FROM generate_series(1, 3) g", Sealed(6))
        .before(&["CREATE TABLE x (id int, a {ty}[])"])
        .cells(&[("x", "a[1]"), ("x", "a[2]")]),
    row("array, one element", "UPDATE x SET a[2] = {v}", Copied(6))
        .before(&["CREATE TABLE x (id int, a {ty}[])", "INSERT INTO x SELECT g, ARRAY[{v}, 'old'] FROM generate_series(1, 3) g"])
        .cells(&[("x", "a[1]"), ("x", "a[2]")]),
    row("array_append", "UPDATE x SET a = array_append(a, {v})", Copied(6))
        .before(&["CREATE TABLE x (id int, a {ty}[])", "INSERT INTO x SELECT g, ARRAY[{v}] FROM generate_series(1, 3) g"])
        .cells(&[("x", "a[1]"), ("x", "a[2]")])
        .typed(Refused("42883", "")),
    row("domain", "INSERT INTO x SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE DOMAIN d AS {ty}", "CREATE DOMAIN dd AS d NOT NULL", "CREATE TABLE x (id int, c dd)"])
        .cells(&[("x", "c")])
        .untyped(Copied(3)),
    row("domain, UPDATE", "UPDATE x SET c = {v}", Sealed(3))
        .before(&["CREATE DOMAIN d AS {ty}", "CREATE TABLE x (id int, c d)", "INSERT INTO x SELECT g, 'old' FROM generate_series(1, 3) g"])
        .cells(&[("x", "c")])
        .untyped(Copied(3)),
    row("array of a domain", "INSERT INTO x SELECT g, ARRAY[{v}] FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE DOMAIN d AS {ty}", "CREATE TABLE x (id int, a d[])"])
        .cells(&[("x", "a[1]")]),
    row("composite", "INSERT INTO x VALUES (1, ROW(1, {v})), (2, ROW(2, {v}))", Sealed(2))
        .before(&["CREATE TYPE pair AS (n int, c {ty})", "CREATE TABLE x (id int, p pair)"])
        .cells(&[("x", "(p).c")]),
    row("composite from text", "INSERT INTO x SELECT g, '(1,{raw})' FROM generate_series(1, 1) g", Sealed(1))
        .before(&["CREATE TYPE pair AS (n int, c {ty})", "CREATE TABLE x (id int, p pair)"])
        .cells(&[("x", "(p).c")]),
    row("composite, one field", "INSERT INTO x (id, p.c) SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE TYPE pair AS (n int, c {ty})", "CREATE TABLE x (id int, p pair)"])
        .cells(&[("x", "(p).c")]),
    row("composite, UPDATE of a field", "UPDATE x SET p.c = {v}", Sealed(3))
        .before(&["CREATE TYPE pair AS (n int, c {ty})", "CREATE TABLE x (id int, p pair)", "INSERT INTO x VALUES (1, ROW(1, 'old')), (2, ROW(2, 'old')), (3, NULL)"])
        .cells(&[("x", "(p).c")]),
    row("whole row of a table", "INSERT INTO x SELECT t FROM t", Copied(6))
        .before(&["CREATE TABLE x (r t)", SEEDED])
        .cells(&[("t", "c"), ("x", "(r).c")]),
    row("jsonb_populate_record", "INSERT INTO t SELECT r.* FROM generate_series(1, 3) g, jsonb_populate_record(NULL::t, jsonb_build_object('id', g, 'c', {v}::text)) r", Sealed(3)),
    row("jsonb_populate_recordset", "INSERT INTO t SELECT * FROM jsonb_populate_recordset(NULL::t, jsonb_build_array(jsonb_build_object('id', 1, 'c', {v}::text), jsonb_build_object('id', 2, 'c', {v}::text)))", Sealed(2)),
    row("json_to_recordset", "INSERT INTO t SELECT * FROM json_to_recordset(json_build_array(json_build_object('id', 1, 'c', {v}::text))) AS r (id int, c {ty})", Sealed(1)),
    row("record from text", "INSERT INTO t SELECT ('(1,{raw})'::t).*", Copied(1)),
    row("cursor", "UPDATE t SET c = {v} WHERE CURRENT OF k", Sealed(1))
        .before(&["INSERT INTO t VALUES (1, 'old')", "BEGIN; DECLARE k CURSOR FOR SELECT * FROM t FOR UPDATE; FETCH k"])
        .after(&["COMMIT"]),
    row("PL/pgSQL, literal", "DO $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO t VALUES (i, {v}); END LOOP; END $$", Sealed(3)).literal_only(),
    row("PL/pgSQL, argument", "SELECT f({v})", Sealed(20)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN FOR i IN 1..20 LOOP INSERT INTO t VALUES (i, v); END LOOP; END $$"]),
    row("PL/pgSQL, literal in a body", "SELECT f()", Sealed(20)).before(&["CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN FOR i IN 1..20 LOOP INSERT INTO t VALUES (i, {w}); END LOOP; END $$"]),
    row("PL/pgSQL, generic plan", "SELECT f({v})", Sealed(20)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS
          $$ BEGIN FOR i IN 1..20 LOOP INSERT INTO t VALUES (i, v); END LOOP; END $$"]),
    row("PL/pgSQL, variable %TYPE", "SELECT f({v})", Sealed(1)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ DECLARE x t.c%TYPE := v; BEGIN INSERT INTO t VALUES (1, x); END $$"]),
    row("PL/pgSQL, variable without a key", "SELECT f({v})", Sealed(3)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ DECLARE x {bare} := v; BEGIN INSERT INTO t SELECT g, x FROM generate_series(1, 3) g; END $$"]),
    row("PL/pgSQL, row variable", "SELECT f({v})", Sealed(1)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ DECLARE x t; BEGIN x.id := 1; x.c := v; INSERT INTO t SELECT x.*; END $$"]),
    row("PL/pgSQL, EXECUTE … USING", "SELECT f({v})", Sealed(3)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN EXECUTE 'INSERT INTO t SELECT g, $1 FROM generate_series(1, 3) g' USING v; END $$"]),
    row("PL/pgSQL, EXECUTE of a text", "SELECT f({v})", Sealed(3)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN EXECUTE format('INSERT INTO t SELECT g, %L FROM generate_series(1, 3) g', v); END $$"]),
    row("PL/pgSQL, cursor loop", "SELECT f({v})", Sealed(3)).before(&[OLD, "CREATE FUNCTION f(v text) RETURNS void LANGUAGE plpgsql AS
          $$ DECLARE k CURSOR FOR SELECT * FROM t FOR UPDATE; BEGIN FOR r IN k LOOP UPDATE t SET c = v WHERE CURRENT OF k; END LOOP; END $$"]),
    row("procedure", "CALL f({v})", Sealed(3)).before(&["CREATE PROCEDURE f(v text) LANGUAGE plpgsql AS
          $$ BEGIN FOR i IN 1..3 LOOP INSERT INTO t VALUES (i, v); COMMIT; END LOOP; END $$"]),
    row("SQL function", "SELECT f({v})", Sealed(3)).before(&["CREATE FUNCTION f(v text) RETURNS void LANGUAGE sql AS
          $$ INSERT INTO t SELECT g, v FROM generate_series(1, 3) g $$"]),
    row("function that returns the type", "INSERT INTO t SELECT g, f() FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE FUNCTION f() RETURNS {bare} RETURN {w}"]),
    row("function of the type", "SELECT f({v})", Sealed(1))
        .before(&["CREATE FUNCTION f(v {bare}) RETURNS void LANGUAGE sql AS $$ INSERT INTO t VALUES (1, v) $$"])
        .typed(Refused("42883", "")),
    row("trigger BEFORE, reading NEW", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&[
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN IF airlock.decrypt(NEW.c) NOT LIKE 'SENTINEL%' THEN RAISE 'read something else'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"]),
    row("trigger BEFORE, writing NEW", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&[
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.c := airlock.decrypt(NEW.c); RETURN NEW; END $$",
        "CREATE TRIGGER f BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"])
        .after(&["UPDATE t SET c = {v}"]),
    row("trigger BEFORE, a literal into NEW", "INSERT INTO t SELECT g, 'overwritten' FROM generate_series(1, 3) g", Sealed(3)).before(&[
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.c := {w}; RETURN NEW; END $$",
        "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"]),
    row("trigger BEFORE, OLD into NEW", "UPDATE t SET c = {v}", Copied(3)).before(&[SEEDED,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.c := OLD.c; RETURN NEW; END $$",
        "CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()"]),
    row("trigger AFTER, decrypting into a log", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(6)).before(&[LOG,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id, airlock.decrypt(NEW.c)); RETURN NULL; END $$",
        "CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"])
        .cells(&[("t", "c"), ("log", "c")]),
    row("trigger AFTER, copying into a log", "INSERT INTO t VALUES (1, {v})", Refused("AL003", COPY_IT)).before(&[LOG,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id, NEW.c); RETURN NULL; END $$",
        "CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"]),
    row("trigger per statement", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(6)).before(&[LOG,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log SELECT id, airlock.decrypt(c) FROM new; RETURN NULL; END $$",
        "CREATE TRIGGER f AFTER INSERT ON t REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION f()"])
        .cells(&[("t", "c"), ("log", "c")]),
    row("rule ALSO, decrypting into a log", "INSERT INTO t SELECT g, {v} FROM generate_series(1, 3) g", Sealed(6))
        .before(&[LOG, "CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.id, airlock.decrypt(NEW.c))"])
        .cells(&[("t", "c"), ("log", "c")]),
    row("rule ALSO, copying into a log", "INSERT INTO t VALUES (1, {v})", Refused("AL003", COPY_IT))
        .before(&[LOG, "CREATE RULE r AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.id, NEW.c)"]),
    row("rule INSTEAD on a view", "INSERT INTO w SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE VIEW w AS SELECT id, c FROM t", "CREATE RULE r AS ON INSERT TO w DO INSTEAD INSERT INTO t VALUES (NEW.id, NEW.c)"]),
    row("view", "INSERT INTO w SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&["CREATE VIEW w AS SELECT id, c FROM t"]),
    row("view, UPDATE", "UPDATE w SET c = {v}", Sealed(3)).before(&[OLD, "CREATE VIEW w AS SELECT id, c FROM t"]),
    row("view, upsert", "INSERT INTO w SELECT g, {v} FROM generate_series(1, 3) g ON CONFLICT (id) DO UPDATE SET c = EXCLUDED.c", Sealed(3))
        .before(&[OLD, "CREATE VIEW w AS SELECT id, c FROM t"]),
    row("view with a check", "INSERT INTO w SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE VIEW w WITH (security_barrier) AS SELECT id, c FROM t WHERE id < 4 WITH CHECK OPTION"]),
    row("view, trigger INSTEAD OF", "INSERT INTO w SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&["CREATE VIEW w AS SELECT id, c FROM t",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (NEW.id, NEW.c); RETURN NEW; END $$",
        "CREATE TRIGGER f INSTEAD OF INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()"]),
    row("PREPARE, untyped", "EXECUTE p (1, {v})", Sealed(3)).literal_only()
        .before(&["PREPARE p AS INSERT INTO t VALUES ($1, $2)"]).after(&["EXECUTE p (2, {v})", "EXECUTE p (3, {v})"]),
    row("PREPARE, text", "EXECUTE p (1, {v})", Sealed(3)).literal_only()
        .before(&["PREPARE p (int, text) AS INSERT INTO t VALUES ($1, $2)"]).after(&["EXECUTE p (2, {v})", "EXECUTE p (3, {v})"]),
    row("PREPARE, of the type", "EXECUTE p (1, {v})", Sealed(3)).literal_only()
        .before(&["PREPARE p (int, {bare}) AS INSERT INTO t VALUES ($1, $2)"]).after(&["EXECUTE p (2, {v})", "EXECUTE p (3, {v})"]),
    row("PREPARE with a literal, generic plan", "EXECUTE p (1)", Sealed(3)).literal_only()
        .before(&["SET plan_cache_mode = force_generic_plan", "PREPARE p (int) AS INSERT INTO t VALUES ($1, {v})"]).after(&["EXECUTE p (2)", "EXECUTE p (3)"]),
    row("generated column over it", "INSERT INTO x (id, c) SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3))
        .before(&["CREATE TABLE x (id int, c {ty}, given bool GENERATED ALWAYS AS (c IS NOT NULL) STORED)"])
        .cells(&[("x", "c")]),
];
