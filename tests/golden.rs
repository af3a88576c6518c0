//! Golden files: `tests/golden/<case>/` holds a scope definition and a table, and the SQL that they must become or the
//! error that they must get. `UPDATE_GOLDEN=1 cargo test --test golden` writes what comes out today; read the diff.
//!
//! `table.json` is the table's shape plus `request` (view, filter, subject, role, existing scopes). With
//! `"like": "CASE"` it takes all that it does not say itself from that case's file.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pg_airlock::pure::error::Error;
use pg_airlock::pure::plaintext::PlainType;
use pg_airlock::pure::scope::parse::parse;
use pg_airlock::pure::scope::render::{render, Ids};
use pg_airlock::pure::scope::resolve::{newly_exposed, resolve, ExposedColumn, Request};
use pg_airlock::pure::scope::{Column, EncryptedColumn, ForeignKey, OtherKey, TableShape};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `table.json`, completed from the case it is like.
fn table_json(case: &str) -> Value {
    let mut own = json(&root().join(case).join("table.json"));
    if let Some(like) = own.get("like").and_then(Value::as_str) {
        let Value::Object(mut members) = table_json(like) else { panic!("{like}: no object") };
        members.extend(own.as_object().unwrap().clone());
        own = Value::Object(members);
    }
    own
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).to_string()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map(|items| items.iter().map(text).collect()).unwrap_or_default()
}

fn column(value: &Value) -> Column {
    let sql_type = text(&value["type"]);
    let plain = match value.get("plain") {
        Some(name) => PlainType::from_name(&text(name)),
        None => PlainType::from_name(&sql_type),
    };
    let encrypted = value.get("encrypted").map(|key| EncryptedColumn {
        column_no: 1,
        key_name: text(key),
        searchable: value["searchable"] == true,
        bind: texts(&value["bind"]),
    });
    let (not_null, computed) = (value["not_null"] == true, value["computed"] == true);
    Column { name: text(&value["name"]), sql_type, plain, encrypted, not_null, computed }
}

fn key(value: &Value) -> ForeignKey {
    ForeignKey {
        columns: texts(&value["columns"]),
        ref_schema: text(&value["ref_schema"]),
        ref_table: text(&value["ref_table"]),
        ref_columns: texts(&value["ref_columns"]),
    }
}

fn each<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().map(|items| items.iter().map(read).collect()).unwrap_or_default()
}

fn shape(value: &Value) -> TableShape {
    TableShape {
        schema: text(&value["schema"]),
        name: text(&value["name"]),
        columns: each(&value["columns"], column),
        primary_key: texts(&value["primary_key"]),
        unique: each(&value["unique"], texts),
        foreign_keys: each(&value["foreign_keys"], key),
        other_keys: each(&value["other_keys"], |other| OtherKey {
            schema: text(&other["schema"]),
            table: text(&other["table"]),
            key: key(other),
        }),
    }
}

/// Everything a case gives: the statements, what the preview says, or the error.
fn outcome(case: &str) -> Result<String, Error> {
    let shape_json = table_json(case);
    let table = shape(&shape_json);
    let request = &shape_json["request"];
    let scope = parse(&json(&root().join(case).join("scope.json")), &table)?;
    let existing = each(&request["existing"], |e| ExposedColumn {
        schema: text(&e["schema"]),
        table: text(&e["table"]),
        column: text(&e["column"]),
        exposure: e["exposure"].as_str().map_or_else(|| e["exposure"].to_string(), String::from),
        domain: e.get("domain").map(text),
    });
    let plan = resolve(&Request {
        subprocessor: "acme",
        scope: &scope,
        table: &table,
        view_schema: &request.get("view_schema").map_or("acme".to_string(), text),
        view_name: &request.get("view_name").map_or(table.name.clone(), text),
        row_filter: request["row_filter"].as_str(),
        filter_columns: &texts(&request["filter_columns"]),
        subject: &texts(&request["subject"]),
        existing: &existing,
    })?;
    let rule_ids: Vec<i32> = (11..).take(plan.columns.len()).collect();
    let ids = Ids { scope_id: 3, rule_ids: &rule_ids };
    let role = request.get("role").map_or("acme".to_string(), text);
    let sql = render(&plan, &ids, &role)?;
    assert_eq!(sql, render(&plan, &ids, &role)?, "{case}: rendering is not deterministic");

    let mut out = String::new();
    for statement in [&sql.inner_sql, &sql.outer_sql].into_iter().chain(&sql.grants).chain(&sql.drops) {
        let _ = writeln!(out, "{statement};");
    }
    for column in &plan.columns {
        let domain = column.domain.as_ref().map_or(String::new(), |domain| format!(", domain {domain}"));
        let _ = writeln!(out, "-- {:?}: {}{domain}", column.name, column.result_type);
    }
    for line in newly_exposed(&[], &plan) {
        let _ = writeln!(out, "-- newly exposed: {line}");
    }
    for line in &plan.notes {
        let _ = writeln!(out, "-- note: {line}");
    }
    Ok(out)
}

fn error_text(error: &Error) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}\n{}\n{}\n{}\n", error.kind.sqlstate(), part(&error.detail), error.message, part(&error.hint))
}

/// The cases, sorted.
fn cases() -> Vec<String> {
    let mut cases: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("scope.json").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_gives_what_its_file_says() {
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (name, found) = match outcome(case) {
            Ok(sql) => ("expected.sql", sql),
            Err(error) => ("expected.error", error_text(&error)),
        };
        let path = root().join(case).join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &found).unwrap();
        }
        if fs::read_to_string(&path).ok().as_deref() != Some(&found) {
            wrong.push(format!("== {case}/{name}\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_case_expects_one_thing_and_refusals_are_named_so() {
    for case in cases() {
        let dir = root().join(&case);
        let (sql, error) = (dir.join("expected.sql").exists(), dir.join("expected.error").exists());
        assert!(sql != error, "{case}: expected.sql or expected.error, not both or none");
        assert_eq!(error, case.starts_with("refused_"), "{case}");
    }
}

#[test]
fn every_refusal_is_al010_with_a_place_and_a_hint() {
    for case in cases().iter().filter(|case| case.starts_with("refused_")) {
        let text = fs::read_to_string(root().join(case).join("expected.error")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{case}: {text}");
        assert_eq!(lines[0], "AL010", "{case}");
        assert!(lines[1].starts_with("at "), "{case}");
        assert!(!lines[3].is_empty(), "{case}: no hint");
        assert!(!lines[2].ends_with('.') && !lines[3].ends_with('.'), "{case}");
    }
}
