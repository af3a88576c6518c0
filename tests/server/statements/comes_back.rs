//! What each way of reading gives: ciphertext, or the value to who may decrypt and asked for it; and never a value to
//! who may not.

use super::{Form, FORMS};
use crate::fixture;

const VALUE: &str = "what was written";

#[derive(Clone, Copy, PartialEq, Debug)]
enum Shows {
    /// The stored value, or a text that holds it.
    Ciphertext,
    Value,
    /// SQLSTATE.
    Refused(&'static str),
}

use Shows::{Ciphertext, Refused, Value};

/// With `{v}` as the value; `t.c` of the only row holds it.
const READS: &[(&str, Shows)] = &[
    ("SELECT c FROM t", Ciphertext),
    ("TABLE t", Ciphertext),
    ("SELECT t FROM t", Ciphertext),
    ("SELECT to_jsonb(t) FROM t", Ciphertext),
    ("SELECT row_to_json(t) FROM t", Ciphertext),
    ("SELECT format('%s %L', c, c) FROM t", Ciphertext),
    ("SELECT array_agg(c) FROM t", Ciphertext),
    ("SELECT concat(c, 'x') FROM t", Ciphertext),
    ("SELECT quote_literal(c) FROM t", Value),
    ("SELECT query_to_xml('SELECT c FROM t', true, true, '')", Ciphertext),
    ("EXECUTE p", Ciphertext),
    ("DECLARE k CURSOR FOR SELECT c FROM t; FETCH k", Ciphertext),
    ("INSERT INTO t VALUES (2, '{v}') RETURNING c", Ciphertext),
    ("UPDATE t SET c = '{v}' RETURNING *", Ciphertext),
    ("DELETE FROM t WHERE id = 1 RETURNING c", Ciphertext),
    ("SELECT * FROM f()", Ciphertext),
    ("SELECT c FROM w", Ciphertext),
    ("SELECT (SELECT c FROM t WHERE id = 1)", Ciphertext),
    ("SELECT max(c) FROM t", Refused("42883")),
    ("SELECT c FROM t ORDER BY c", Refused("42883")),
    ("SELECT DISTINCT c FROM t", Refused("42883")),
    ("SELECT c FROM t GROUP BY c", Refused("42883")),
    ("SELECT c FROM t UNION SELECT c FROM t", Refused("42883")),
    ("SELECT c < 'x' FROM t", Refused("42883")),
    ("SELECT c LIKE 'x%' FROM t", Refused("42883")),
    ("SELECT airlock.decrypt(c) FROM t", Value),
    ("SELECT c::text FROM t", Value),
    ("SELECT CAST(c AS text) FROM w", Value),
    ("SELECT airlock.decrypt(c, NULL::text) FROM t", Value),
    ("SELECT c::varchar FROM t", Ciphertext),
    ("SELECT airlock.decrypt((SELECT c FROM t WHERE id = 1))", Value),
    ("SELECT airlock.decrypt((t).c) FROM t", Value),
    ("WITH x AS MATERIALIZED (SELECT * FROM t) SELECT airlock.decrypt(c) FROM x", Value),
    ("SELECT airlock.decrypt(x.c) FROM generate_series(1, 1) g LEFT JOIN t x ON id = g", Value),
    ("INSERT INTO t VALUES (3, '{v}') RETURNING airlock.decrypt(c)", Value),
    ("UPDATE t SET c = '{v}' WHERE id = 1 RETURNING c::text", Value),
    ("DELETE FROM t WHERE id = 1 RETURNING airlock.decrypt(c)", Value),
    ("DECLARE k CURSOR FOR SELECT airlock.decrypt(c) FROM t; FETCH k", Value),
    ("SELECT airlock.decrypt(c) FROM f()", Value),
    ("SELECT array_agg(airlock.decrypt(c)) FROM t", Value),
    ("SELECT airlock.decrypt((array_agg(c))[1]) FROM t", Refused("AL003")),
    ("SELECT airlock.decrypt(CASE WHEN id = 1 THEN c ELSE d END) FROM t", Refused("AL003")),
    ("SELECT airlock.decrypt(max(c) OVER ()) FROM t", Refused("42883")),
    ("SELECT airlock.decrypt(first_value(c) OVER ()) FROM t", Refused("AL003")),
    ("SELECT airlock.decrypt('{v}')", Refused("42725")),
];

#[test]
fn every_way_of_reading_gives_ciphertext_or_asks_for_the_right() {
    let cluster = fixture::running();
    cluster.admin("GRANT CREATE ON DATABASE app TO app; GRANT USAGE ON SCHEMA airlock TO clerk");
    let mut wrong = Vec::new();
    for form in FORMS {
        let (schema, ty) = (if form == Form::Plain { "plain" } else { "searchable" }, form.bare());
        let set_up = format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; GRANT USAGE ON SCHEMA {schema} TO clerk;
             CREATE TABLE t (id int PRIMARY KEY, c {ty}('pii'), d {ty}('pii')); GRANT ALL ON t TO clerk;
             INSERT INTO t VALUES (1, '{VALUE}'); CREATE VIEW w AS SELECT * FROM t; GRANT ALL ON w TO clerk;
             CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t'"
        );
        cluster.sql("app", &set_up).ok();
        for (user, (sql, shows)) in READS.iter().flat_map(|read| [("app", read), ("clerk", read)]) {
            // in one transaction, which is rolled back
            let mut conn = cluster.connect(user);
            conn.query(&format!("SET search_path = {schema}; PREPARE p AS SELECT c FROM t")).ok();
            let answer = conn.query(&format!("BEGIN; {}; ROLLBACK", sql.replace("{v}", VALUE)));
            let all = answer.everything();
            let good = match *shows {
                // who may not decrypt gets the same of everything that is not decrypted
                Value if user == "clerk" => answer.code() == "AL004",
                Refused(code) => answer.code() == code,
                Value => answer.error.is_none() && all.contains(VALUE),
                Ciphertext => answer.error.is_none() && all.contains("airlock:1:4Q"),
            };
            if !good || (*shows != Value || user == "clerk") && all.contains(VALUE) {
                wrong.push(format!("{user}: {sql} × {form:?} is not {shows:?}: {all}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
