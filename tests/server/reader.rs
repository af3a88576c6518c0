//! The independent reader (tests/reader, in Python, written from docs/format.md alone) against SQL: both open every value
//! of a dump, and both refuse one that was changed.

use crate::cluster::Cluster;
use crate::drivers::python;
use crate::moved;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every plaintext type with values at its edges, in both types, beside arrays, domains, records, children, odd names.
const TYPES: &[(&str, &[&str])] = &[
    ("boolean", &["t", "f"]),
    ("smallint", &["-32768", "0", "32767"]),
    ("integer", &["-2147483648", "-1", "2147483647"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    (
        "real",
        &[
            "0",
            "-0",
            "1.5",
            "-1e-30",
            "1e6",
            "123456",
            "1234567",
            "0.0001",
            "0.00001",
            "NaN",
            "Infinity",
            "3.4028235e38",
            "1e-45",
        ],
    ),
    (
        "double precision",
        &[
            "0.1",
            "-0",
            "5e-324",
            "1e15",
            "1e14",
            "123456789012345.6",
            "-1.7976931348623157e308",
            "NaN",
            "-Infinity",
            "0.00012",
        ],
    ),
    (
        "numeric",
        &[
            "0",
            "-0.00",
            "1.50",
            "100",
            "1e30",
            "-0.001",
            "NaN",
            "Infinity",
            "-Infinity",
            "12345678901234567890.123456789",
        ],
    ),
    ("text", &["", "x", "0123456789abcdef", "Zoë \u{1F512}", "a\tb\\n\"c'{},", "\\N", "NULL", "line\nline"]),
    (
        "date",
        &[
            "2000-01-01",
            "1999-12-31",
            "2024-02-29",
            "0044-03-15 BC",
            "0001-01-01",
            "4713-01-01 BC",
            "5874897-12-31",
            "-infinity",
            "infinity",
        ],
    ),
    (
        "timestamp",
        &[
            "2000-01-01 00:00:00",
            "1969-07-20 20:17:40.123456",
            "0044-03-15 12:00:00.5 BC",
            "294276-12-31 23:59:59.999999",
            "infinity",
        ],
    ),
    ("timestamptz", &["2020-01-01 12:00:00+02", "1900-01-01 00:00:00+00", "-infinity"]),
    ("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("jsonb", &["{\"b\": 1.00, \"a\": [null, -0.50, \"1.00\\\\\\\"2.0\"]}", "[]", "1.0", "\"\"", "{\"n\": 1e3}"]),
    ("bytea", &["\\x", "\\x80", "\\x00ff8000", "\\x8000"]),
];

const SHAPES: &str = r#"
    CREATE SCHEMA "Odd ""Schema";
    CREATE DOMAIN public.secret AS airlock.encrypted('pii') NOT NULL;
    CREATE TYPE public.pair AS (n int, "the Value" airlock.encrypted_eq('pii'), other airlock.encrypted('pii'));
    CREATE TABLE "Odd ""Schema"."Odd, (Table)" ("Odd ""Column" airlock.encrypted('pii'), dropped text, s public.secret DEFAULT 'n/a'::text,
        a airlock.encrypted('pii')[], d public.secret[], p public.pair, q public.pair[], unpadded airlock.encrypted_eq('bare') NOT NULL);
    ALTER TABLE "Odd ""Schema"."Odd, (Table)" DROP COLUMN dropped;
    INSERT INTO "Odd ""Schema"."Odd, (Table)" SELECT 'odd ' || g, 'domain ' || g, ARRAY['a,' || g, NULL, '"b"'], ARRAY['c{}', 'd\'],
        ROW(g, 'searchable, ' || g, 'plain "' || g || '"')::public.pair, ARRAY[ROW(1, 'x', NULL)::public.pair, NULL], 'bare ' || g FROM generate_series(1, 3) g;
    INSERT INTO "Odd ""Schema"."Odd, (Table)" (unpadded) VALUES ('');
    CREATE TABLE public.parent (id int, c airlock.encrypted('pii')); CREATE TABLE public.child (more int) INHERITS (public.parent);
    INSERT INTO public.parent VALUES (1, 'of the parent'); INSERT INTO public.child VALUES (2, 'of the child', 3);"#;

/// What SQL makes of every value: by ciphertext, its plaintext.
const SHAPES_READ: &[&str] = &[
    r#"SELECT "Odd ""Column", "Odd ""Column"::text FROM "Odd ""Schema"."Odd, (Table)""#,
    r#"SELECT s, airlock.decrypt(s) FROM "Odd ""Schema"."Odd, (Table)""#,
    r#"SELECT a[i], airlock.decrypt(a[i]) FROM "Odd ""Schema"."Odd, (Table)", generate_series(1, 3) i"#,
    r#"SELECT d[i], airlock.decrypt(d[i]) FROM "Odd ""Schema"."Odd, (Table)", generate_series(1, 2) i"#,
    r#"SELECT (p)."the Value", airlock.decrypt((p)."the Value") FROM "Odd ""Schema"."Odd, (Table)""#,
    r#"SELECT (p).other, airlock.decrypt((p).other) FROM "Odd ""Schema"."Odd, (Table)""#,
    r#"SELECT (q[1])."the Value", airlock.decrypt((q[1])."the Value") FROM "Odd ""Schema"."Odd, (Table)""#,
    r#"SELECT unpadded, airlock.decrypt(unpadded) FROM "Odd ""Schema"."Odd, (Table)""#,
    "SELECT c, airlock.decrypt(c) FROM public.parent",
    "SELECT ssn, airlock.decrypt(ssn) FROM public.customers",
    "SELECT pay, airlock.decrypt(pay) FROM public.customers",
    "SELECT diary, airlock.decrypt(diary) FROM public.customers",
    "SELECT ssn, airlock.decrypt(ssn) FROM public.visits",
    "SELECT remark, airlock.decrypt(remark) FROM public.visits",
];

/// A table for each type, and the queries that read it.
fn types(cluster: &Cluster) -> Vec<String> {
    let mut conn = cluster.connect("postgres");
    let mut queries = Vec::new();
    for (n, (ty, values)) in TYPES.iter().enumerate() {
        conn.query(&format!(
            "SELECT airlock.create_key('type{n}', '{ty}'), airlock.grant_decrypt('type{n}', 'app');
             CREATE TABLE public.type{n} (v airlock.encrypted('type{n}'), e airlock.encrypted_eq('type{n}')); GRANT SELECT ON public.type{n} TO app"
        ))
        .ok();
        for value in *values {
            let value = value.replace('\'', "''");
            conn.query(&format!("INSERT INTO public.type{n} VALUES ('{value}', '{value}')")).ok();
        }
        queries.extend(["v", "e"].map(|c| format!("SELECT {c}, airlock.decrypt({c}) FROM public.type{n}")));
    }
    queries
}

/// Runs the reader; its values by ciphertext, or what it said when it refused.
fn read(root_key: &Path, dump: &Path) -> Result<BTreeMap<String, String>, String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/read_dump.py");
    let output = python(&program).arg(root_key).arg(dump).output().expect("start python3");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let line = |line: &str| {
        let object: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        let text = |name: &str| object[name].as_str().expect("a text").to_string();
        (text("ciphertext"), text("value"))
    };
    Ok(said.lines().map(line).collect())
}

fn write(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.dir.join(name);
    fs::write(&path, text).expect("write a dump");
    path
}

pub fn opens_every_value_of_a_dump() {
    let (cluster, _) = moved::source();
    cluster.admin("SELECT airlock.create_key('bare', pad => 0), airlock.grant_decrypt('bare', 'app')");
    cluster.admin(SHAPES);
    cluster.admin(r#"GRANT USAGE ON SCHEMA "Odd ""Schema" TO app; GRANT SELECT ON ALL TABLES IN SCHEMA "Odd ""Schema", public TO app"#);
    let mut queries = types(&cluster);
    queries.extend(SHAPES_READ.iter().map(ToString::to_string));
    let mut app = cluster.connect("app");
    let mut by_sql = BTreeMap::new();
    for sql in &queries {
        let rows = app.query(sql).ok().rows;
        assert!(!rows.is_empty(), "{sql}");
        for row in rows {
            if let [Some(ciphertext), Some(value)] = &row[..] {
                by_sql.insert(ciphertext.clone(), value.clone());
            }
        }
    }
    let dump = crate::dump::dump(&cluster, &cluster, &[]);
    let root_key = cluster.dir.join("root.key");
    let by_reader = read(&root_key, &write(&cluster, "plain.sql", &dump)).expect("the reader opens the dump");
    for (ciphertext, value) in &by_sql {
        assert_eq!(by_reader.get(ciphertext), Some(value), "{ciphertext}");
    }
    assert_eq!(by_reader.len(), by_sql.len(), "no value is left out by one of them");
    assert!(by_sql.len() > 500, "{}", by_sql.len());

    // what was changed is refused by both
    let (ciphertext, _) = by_sql.iter().nth(7).expect("a value");
    let (head, tail) = ciphertext.split_at(40);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    let changed = format!("{head}{other}{}", &tail[1..]);
    let said =
        read(&root_key, &write(&cluster, "changed.sql", &dump.replace(ciphertext, &changed))).expect_err("opened");
    assert!(said.contains("does not authenticate"), "{said}");
    // two columns whose values changed places
    let values = app
        .query("SELECT ssn, (SELECT ssn FROM public.visits WHERE year = 2022) FROM public.customers WHERE id = 1")
        .ok();
    let [a, b] = [0, 1].map(|i| values.rows[0][i].clone().expect("a value"));
    let swapped = dump.replace(&a, "first").replace(&b, &a).replace("first", &b);
    assert_ne!(swapped, dump);
    let said = read(&root_key, &write(&cluster, "swapped.sql", &swapped)).expect_err("opened");
    assert!(said.contains("does not authenticate"), "{said}");
    let other_root = write(&cluster, "other.key", &"cd".repeat(32));
    let said = read(&other_root, &write(&cluster, "plain.sql", &dump)).expect_err("opened");
    assert!(said.contains("not the root key"), "{said}");
}
