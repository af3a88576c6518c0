//! The rows that define: tables from tables, and what would store a literal or a decrypted value in a definition.

use super::Expect::{Copied, Refused, Sealed};
use super::{row, Row};

const SEEDED: &str = "INSERT INTO t VALUES (1, {v}), (2, {v}), (3, {v})";
/// The hint for a literal that a definition would keep.
const AS_TEXT: &str = "write the literal as text";
/// The hint where an index would compare the column.
const INDEX: &str = "(airlock.match_tag(column))";
/// The hint for a result that is no column's.
const NAME_IT: &str = "CREATE TABLE with airlock.encrypted('pii') first";

/// A definition that would keep a literal, and is refused.
const fn kept(name: &'static str, sql: &'static str) -> Row {
    row(name, sql, Refused("42P17", AS_TEXT)).literal_only()
}

pub const ROWS: &[Row] = &[
    row("CREATE TABLE AS of a literal", "CREATE TABLE x AS SELECT {v}::{bare} AS c", Refused("42P16", NAME_IT)),
    row("CREATE TABLE AS under a key", "CREATE TABLE x AS SELECT {v}::{ty} AS c", Refused("42P16", NAME_IT)),
    row("CREATE TABLE AS with coalesce", "CREATE TABLE x AS SELECT id, coalesce(c, {v}::{bare}) AS c FROM t", Refused("42P16", NAME_IT)).before(&[SEEDED]),
    row("CREATE TABLE AS EXECUTE of a literal", "CREATE TABLE x AS EXECUTE p", Refused("42P16", NAME_IT))
        .before(&["PREPARE p AS SELECT coalesce(c, {v}) AS c FROM t"]),
    row("SELECT INTO of a literal", "SELECT {v}::{bare} AS c INTO x", Refused("42P16", NAME_IT)),
    row("CREATE TABLE AS of a column", "CREATE TABLE x AS SELECT * FROM t", Copied(6)).before(&[SEEDED]).cells(&[("t", "c"), ("x", "c")]),
    row("CREATE TABLE AS EXECUTE of a column", "CREATE TABLE x AS EXECUTE p", Copied(6))
        .before(&[SEEDED, "PREPARE p AS SELECT * FROM t"])
        .cells(&[("t", "c"), ("x", "c")]),
    row("SELECT INTO of a column", "SELECT * INTO x FROM t", Copied(6)).before(&[SEEDED]).cells(&[("t", "c"), ("x", "c")]),
    row("materialized view of a column", "CREATE MATERIALIZED VIEW x AS SELECT * FROM t", Copied(6)).before(&[SEEDED]).cells(&[("t", "c"), ("x", "c")]),
    row("materialized view, decrypted", "CREATE MATERIALIZED VIEW x AS SELECT airlock.decrypt(c) FROM t", Refused("42P17", "select the encrypted column itself"))
        .before(&[SEEDED]),
    row("LIKE", "INSERT INTO x SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&["CREATE TABLE x (LIKE t INCLUDING ALL)"]).cells(&[("x", "c")]),
    row("LIKE, copied into", "INSERT INTO x SELECT * FROM t", Copied(6)).before(&[SEEDED, "CREATE TABLE x (LIKE t)"]).cells(&[("t", "c"), ("x", "c")]),
    row("INHERITS", "INSERT INTO x SELECT g, {v} FROM generate_series(1, 3) g", Sealed(3)).before(&["CREATE TABLE x () INHERITS (t)"]).cells(&[("x", "c")]),
    row("INHERITS, UPDATE of the parent", "UPDATE t SET c = {v}", Sealed(2)).before(&["CREATE TABLE x () INHERITS (t)", "INSERT INTO t VALUES (1, 'old')", "INSERT INTO x VALUES (2, 'old')"]),
    row("partition", "INSERT INTO p SELECT g, {v} FROM generate_series(1, 4) g", Sealed(4))
        .before(&["CREATE TABLE p (id int, c {ty}) PARTITION BY RANGE (id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (3)",
          "CREATE TABLE p2 (LIKE p)", "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (3) TO (99)"])
        .cells(&[("p", "c")]),
    row("partition, directly", "INSERT INTO p1 SELECT g, {v} FROM generate_series(1, 2) g", Sealed(2))
        .before(&["CREATE TABLE p (id int, c {ty}) PARTITION BY RANGE (id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (3)"])
        .cells(&[("p", "c")]),
    row("partition, moved to another", "UPDATE p SET id = id + 2", Sealed(2))
        .before(&["CREATE TABLE p (id int, c {ty}) PARTITION BY RANGE (id)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (3)",
          "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (3) TO (99)", "INSERT INTO p VALUES (1, {v}), (2, {v})"])
        .cells(&[("p2", "c")]),
    row("partition of another column", "ALTER TABLE p ATTACH PARTITION x FOR VALUES FROM (1) TO (3)", Refused("42804", ""))
        .before(&["CREATE TABLE p (id int, c {ty}) PARTITION BY RANGE (id)", "CREATE TABLE x (id int, c {ty})"]),
    row("partition key", "CREATE TABLE p (id int, c {ty}) PARTITION BY LIST (c)", Refused("42704", INDEX)),
    row("DEFAULT of text", "INSERT INTO t SELECT g FROM generate_series(1, 3) g", Sealed(3)).before(&["ALTER TABLE t ALTER c SET DEFAULT {w}::text"]),
    row("ADD COLUMN DEFAULT of text", "ALTER TABLE t ADD d {ty} DEFAULT {w}::text", Sealed(6)).before(&[SEEDED]).cells(&[("t", "c"), ("t", "d")]),
    row("ALTER COLUMN TYPE", "ALTER TABLE x ALTER s TYPE {ty}", Sealed(3))
        .before(&["CREATE TABLE x (s text)", "INSERT INTO x VALUES ({w}), ({w}), ({w})"])
        .cells(&[("x", "s")]),
    row("ALTER COLUMN TYPE to another column", "ALTER TABLE t ALTER c TYPE {ty}", Refused("AL003", "airlock.decrypt(c)")).before(&[SEEDED]),
    row("ALTER COLUMN TYPE, decrypting", "ALTER TABLE t ALTER c TYPE {ty} USING airlock.decrypt(c)", Sealed(3)).before(&[SEEDED]),
    row("column without a key", "CREATE TABLE x (c {bare})", Refused("42P16", "name the key")),
    row("generated column that decrypts", "CREATE TABLE x (c {ty}, s text GENERATED ALWAYS AS (airlock.decrypt(c)) STORED)", Refused("42P17", "")),
    row("generated column of the type", "INSERT INTO x SELECT {w} FROM generate_series(1, 3)", Sealed(3))
        .before(&["CREATE TABLE x (s text, c {ty} GENERATED ALWAYS AS (s) STORED)"])
        .cells(&[("x", "c")]),
    row("index that decrypts", "CREATE INDEX ON t (airlock.decrypt(c))", Refused("42P17", "")),
    row("index", "CREATE INDEX ON t (c)", Refused("42704", INDEX)),
    row("UNIQUE", "ALTER TABLE t ADD UNIQUE (c)", Refused("42704", INDEX)),
    row("PRIMARY KEY", "CREATE TABLE x (c {ty} PRIMARY KEY)", Refused("42704", INDEX)),
    row("FOREIGN KEY to it", "CREATE TABLE x (c {ty} REFERENCES t (c))", Refused("42830", "")),
    row("FOREIGN KEY from it", "ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES x", Refused("42804", "refer to a column that is not encrypted")).before(&["CREATE TABLE x (c text PRIMARY KEY)"]),
    kept("DEFAULT", "CREATE TABLE x (c {ty} DEFAULT {v})"),
    kept("ADD COLUMN DEFAULT", "ALTER TABLE t ADD d {ty} DEFAULT {v}"),
    kept("SET DEFAULT", "ALTER TABLE t ALTER c SET DEFAULT {v}"),
    kept("SET DEFAULT of a view", "ALTER VIEW w ALTER c SET DEFAULT {v}").before(&["CREATE VIEW w AS SELECT * FROM t"]),
    kept("DEFAULT of an array", "CREATE TABLE x (c {ty}[] DEFAULT ARRAY[{v}]::{bare}[])"),
    kept("CHECK", "ALTER TABLE t ADD CHECK (coalesce(c, {v}) IS NOT NULL)"),
    kept("CHECK of a table", "CREATE TABLE x (c {ty} CHECK (coalesce(c, {v}) IS NOT NULL))"),
    kept("DEFAULT of a domain", "CREATE DOMAIN x AS {ty} DEFAULT {v}"),
    kept("CHECK of a domain", "CREATE DOMAIN x AS {ty} CHECK (coalesce(VALUE, {v}) IS NOT NULL)"),
    kept("ALTER DOMAIN SET DEFAULT", "ALTER DOMAIN d SET DEFAULT {v}").before(&["CREATE DOMAIN d AS {ty}"]),
    kept("ALTER DOMAIN ADD CHECK", "ALTER DOMAIN d ADD CHECK (coalesce(VALUE, {v}) IS NOT NULL)").before(&["CREATE DOMAIN d AS {ty}"]),
    kept("policy USING", "CREATE POLICY x ON t USING (coalesce(c, {v}) IS NOT NULL)"),
    kept("policy WITH CHECK", "CREATE POLICY x ON t WITH CHECK (coalesce(c, {v}) IS NOT NULL)"),
    kept("ALTER POLICY", "ALTER POLICY x ON t USING (coalesce(c, {v}) IS NOT NULL)").before(&["CREATE POLICY x ON t USING (true)"]),
    kept("trigger WHEN", "CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW WHEN (coalesce(NEW.c, {v}) IS NOT NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
    kept("view", "CREATE VIEW x AS SELECT coalesce(c, {v}) IS NOT NULL AS c FROM t"),
    kept("view, WHERE", "CREATE VIEW x AS SELECT id FROM t WHERE coalesce(c, {v}) IS NOT NULL"),
    kept("CREATE OR REPLACE VIEW", "CREATE OR REPLACE VIEW w AS SELECT id, coalesce(c, {v}) AS c FROM t").before(&["CREATE VIEW w AS SELECT * FROM t"]),
    kept("rule", "CREATE RULE x AS ON UPDATE TO t DO ALSO INSERT INTO t VALUES (1, {v})"),
    kept("rule WHERE", "CREATE RULE x AS ON UPDATE TO t WHERE coalesce(NEW.c, {v}) IS NOT NULL DO NOTHING"),
    kept("BEGIN ATOMIC", "CREATE FUNCTION x() RETURNS void BEGIN ATOMIC INSERT INTO t VALUES (1, {v}); END"),
    kept("BEGIN ATOMIC of a procedure", "CREATE PROCEDURE x() BEGIN ATOMIC INSERT INTO t VALUES (1, {v}); END"),
    kept("parameter default", "CREATE FUNCTION x(c {bare} DEFAULT {v}) RETURNS text LANGUAGE sql AS $$ SELECT '' $$"),
    kept("statistics", "CREATE STATISTICS x ON (coalesce(c, {v}) IS NOT NULL), id FROM t"),
    kept("index predicate", "CREATE INDEX ON t (id) WHERE coalesce(c, {v}) IS NOT NULL"),
    kept("index expression", "CREATE INDEX ON t ((coalesce(c, {v}) IS NOT NULL))"),
    kept("ALTER COLUMN TYPE USING", "ALTER TABLE t ALTER c TYPE {ty} USING {v}"),
    kept("CREATE TABLE in CREATE SCHEMA", "CREATE SCHEMA inner_schema CREATE TABLE x (c {ty} DEFAULT {v})"),
    row("materialized view", "CREATE MATERIALIZED VIEW x AS SELECT id FROM t WHERE coalesce(c, {v}) IS NOT NULL", Refused("42P17", "compare with airlock.decrypt(c)")).literal_only(),
];
