//! Every refusal, and what a plan holds.

use serde_json::json;

use super::*;
use crate::pure::error::Kind;
use crate::pure::scope::parse::parse;
use crate::pure::scope::{EncryptedColumn, ForeignKey, OtherKey};

fn column(name: &str, sql_type: &str, plain: Option<PlainType>) -> Column {
    Column { name: name.into(), sql_type: sql_type.into(), plain, encrypted: None, not_null: false, computed: false }
}

fn encrypted(name: &str, plain: PlainType) -> Column {
    let fact = EncryptedColumn { column_no: 4, key_name: "pii".into(), searchable: false, bind: vec![] };
    Column { encrypted: Some(fact), ..column(name, plain.sql_name(), Some(plain)) }
}

fn key(column: &str, table: &str, ref_column: &str) -> ForeignKey {
    ForeignKey {
        columns: vec![column.into()],
        ref_schema: "public".into(),
        ref_table: table.into(),
        ref_columns: vec![ref_column.into()],
    }
}

fn customers() -> TableShape {
    TableShape {
        schema: "public".into(),
        name: "customers".into(),
        columns: vec![
            column("id", "bigint", Some(PlainType::Int8)),
            column("login", "character varying(20)", Some(PlainType::Text)),
            column("fare", "numeric(10,2)", Some(PlainType::Numeric)),
            column("consent", "boolean", Some(PlainType::Bool)),
            column("spot", "point", None),
            column("parent", "bigint", Some(PlainType::Int8)),
            encrypted("ssn", PlainType::Text),
            encrypted("born", PlainType::Date),
        ],
        primary_key: vec!["id".into()],
        unique: vec![vec!["login".into()]],
        foreign_keys: vec![key("parent", "customers", "id")],
        other_keys: vec![OtherKey {
            schema: "public".into(),
            table: "orders".into(),
            key: key("customer", "customers", "id"),
        }],
    }
}

fn orders() -> TableShape {
    TableShape {
        schema: "public".into(),
        name: "orders".into(),
        columns: vec![
            column("id", "bigint", Some(PlainType::Int8)),
            column("customer", "bigint", Some(PlainType::Int8)),
        ],
        primary_key: vec!["id".into()],
        foreign_keys: vec![key("customer", "customers", "id")],
        ..TableShape::default()
    }
}

struct Case<'a> {
    filter: Option<&'a str>,
    filter_columns: &'a [&'a str],
    subject: &'a [&'a str],
    existing: Vec<ExposedColumn>,
    view: (&'a str, &'a str),
}

const PLAIN: Case<'_> =
    Case { filter: None, filter_columns: &[], subject: &[], existing: Vec::new(), view: ("acme", "customers") };

fn run(table: &TableShape, scope: Value, case: Case<'_>) -> Result<ViewPlan> {
    let owned = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    resolve(&Request {
        subprocessor: "acme",
        scope: &parse(&scope, table)?,
        table,
        view_schema: case.view.0,
        view_name: case.view.1,
        row_filter: case.filter,
        filter_columns: &owned(case.filter_columns),
        subject: &owned(case.subject),
        existing: &case.existing,
    })
}

fn plan(scope: Value) -> ViewPlan {
    run(&customers(), scope, PLAIN).unwrap()
}

fn path(result: Result<ViewPlan>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::ScopeRefused, "{error:?}");
    assert!(error.hint.is_some(), "{error:?}");
    error.detail.unwrap().trim_start_matches("at ").to_string()
}

fn seen(table: &str, column: &str, exposure: &str, domain: Option<&str>) -> ExposedColumn {
    ExposedColumn {
        schema: "public".into(),
        table: table.into(),
        column: column.into(),
        exposure: exposure.into(),
        domain: domain.map(String::from),
    }
}

#[test]
fn disclose_is_for_keys_only() {
    let p = plan(json!({
        "id": {"mask": "pseudonym"}, "login": {"mask": "initials"}, "fare": "clear",
        "ssn": {"mask": "partial", "right": 4}, "born": "clear"
    }));
    let needs: Vec<bool> = p.columns.iter().map(|c| c.needs_disclose).collect();
    assert_eq!(needs, [true, false, false, true, true]);
    let types: Vec<&str> = p.columns.iter().map(|c| c.result_type.as_str()).collect();
    assert_eq!(types, ["text", "text", "numeric(10,2)", "text", "date"]);
    assert!(matches!(p.columns[1].expression, ColumnExpr::Masked { cast: Some(PlainType::Text), .. }));
    assert!(matches!(p.columns[0].expression, ColumnExpr::Disclose { cast: None }));
    assert_eq!(p.columns[0].domain.as_deref(), Some("public.customers.id"));
    assert_eq!(p.columns[3].domain, None);
    assert_eq!(p.granted, ["born", "fare", "id", "login", "ssn"]);
}

#[test]
fn constants_neither_read_nor_grant() {
    let p = plan(json!({
        "fare": "clear", "ssn": {"mask": "nullify"}, "born": {"mask": "constant", "value": "1970-01-01"},
        "spot": {"mask": "nullify"}
    }));
    assert_eq!(p.granted, ["fare"]);
    assert!(p.columns[1..].iter().all(|c| !c.needs_disclose && !c.expression.reads_column()));
    assert_eq!(p.columns[2].result_type, "date");
    assert_eq!(p.columns[3].result_type, "point");
}

#[test]
fn a_scope_of_constants_is_granted_one_key_column() {
    let p = plan(json!({"ssn": {"mask": "nullify"}}));
    assert_eq!(p.granted, ["id"]);
}

#[test]
fn filter_and_subject_columns_are_granted_but_not_shown() {
    let case = Case { filter: Some("consent"), filter_columns: &["consent"], subject: &["id"], ..PLAIN };
    let p = run(&customers(), json!({"fare": "clear"}), case).unwrap();
    assert_eq!(p.granted, ["consent", "fare", "id"]);
    assert_eq!(p.columns.len(), 1);
    assert!(p.notes.iter().any(|n| n.starts_with("row_filter")));
    let unused = Case { filter_columns: &["consent"], ..PLAIN };
    assert_eq!(run(&customers(), json!({"fare": "clear"}), unused).unwrap().granted, ["fare"]);
}

#[test]
fn filters_and_subjects_that_cannot_be() {
    let table = customers();
    let scope = || json!({"fare": "clear"});
    for filter in ["", "true) OR (true", "true -- x"] {
        assert_eq!(path(run(&table, scope(), Case { filter: Some(filter), ..PLAIN })), "row_filter");
    }
    for column in ["ssn", "nope"] {
        assert_eq!(path(run(&table, scope(), Case { subject: &[column], ..PLAIN })), "subject");
    }
    let case = Case { filter: Some("x"), filter_columns: &["nope"], ..PLAIN };
    assert_eq!(path(run(&table, scope(), case)), "row_filter");
}

#[test]
fn a_filter_may_open_an_encrypted_column_and_says_so() {
    let case = Case { filter: Some("x"), filter_columns: &["ssn"], ..PLAIN };
    let plan = run(&customers(), json!({"fare": "clear"}), case).unwrap();
    assert!(plan.granted.contains(&"ssn".to_string()));
    let noted = plan.notes.iter().filter(|note| note.starts_with("\"ssn\": decrypted to decide")).count();
    assert_eq!(noted, 1, "{:?}", plan.notes);
}

#[test]
fn places_that_cannot_be() {
    let table = customers();
    let long = "é".repeat(32);
    let at = |schema, name| run(&table, json!({"fare": "clear"}), Case { view: (schema, name), ..PLAIN });
    assert_eq!(path(at("acme", "")), "view_name");
    assert_eq!(path(at("acme", "a\0b")), "view_name");
    assert_eq!(path(at("acme", &long)), "view_name");
    assert_eq!(path(at("airlock_scope", "x")), "view_schema");
    assert_eq!(path(at("pg_temp_3", "x")), "view_schema");
    assert_eq!(path(at("public", "customers")), "view_name");
    assert!(at("public", "other").is_ok());
    let secret = TableShape { schema: "airlock_catalog".into(), ..customers() };
    assert_eq!(path(run(&secret, json!({"fare": "clear"}), PLAIN)), "relation");
}

#[test]
fn a_hand_made_scope_is_checked_again() {
    let table = customers();
    let mut scope = parse(&json!({"fare": "clear"}), &table).unwrap();
    let request = |scope: &Scope| {
        resolve(&Request {
            subprocessor: "acme",
            scope,
            table: &table,
            view_schema: "acme",
            view_name: "v",
            row_filter: None,
            filter_columns: &[],
            subject: &[],
            existing: &[],
        })
    };
    scope.rules.push(scope.rules[0].clone());
    assert_eq!(path(request(&scope)), "$.fare");
    scope.rules[1].column = "nope".into();
    assert_eq!(path(request(&scope)), "$.nope");
    scope.rules.clear();
    assert_eq!(path(request(&scope)), "$");
}

#[test]
fn a_lossy_primary_key_needs_consent() {
    for mask in [json!({"mask": "bucket", "step": 10}), json!({"mask": "nullify"})] {
        assert_eq!(path(run(&customers(), json!({"id": mask.clone()}), PLAIN)), "$.id");
        let mut allowed = mask;
        allowed["allow_duplicates"] = json!(true);
        let p = run(&customers(), json!({"id": allowed}), PLAIN).unwrap();
        assert!(p.notes[0].contains("duplicates"));
    }
    let p = plan(json!({"login": {"mask": "redact"}}));
    assert!(p.notes[0].starts_with("\"login\": unique"));
    assert!(p.notes[1].contains("NULL stays NULL"));
    assert!(plan(json!({"login": {"mask": "redact", "null_as": "-"}})).notes.len() == 1);
}

#[test]
fn a_key_into_the_own_table_must_join() {
    let table = customers();
    let both = |id, parent| run(&table, json!({"id": id, "parent": parent}), PLAIN);
    assert!(both(json!("clear"), json!("clear")).is_ok());
    assert!(both(json!({"mask": "pseudonym"}), json!({"mask": "pseudonym"})).is_ok());
    assert_eq!(path(both(json!("clear"), json!({"mask": "pseudonym"}))), "$.parent");
    assert_eq!(path(both(json!({"mask": "pseudonym"}), json!("clear"))), "$.parent");
    assert_eq!(path(both(json!({"mask": "pseudonym"}), json!({"mask": "pseudonym", "length": 16}))), "$.parent");
    assert_eq!(path(both(json!({"mask": "pseudonym"}), json!({"mask": "pseudonym", "domain": "x"}))), "$.parent");
    assert!(both(json!("clear"), json!({"mask": "pseudonym", "allow_broken_join": true})).is_ok());
    let p = both(json!({"mask": "pseudonym"}), json!({"mask": "pseudonym"})).unwrap();
    assert_eq!(p.columns[1].domain.as_deref(), Some("public.customers.id"));
}

#[test]
fn the_referencing_scope_must_join() {
    let table = orders();
    let with =
        |rule: Value, existing| run(&table, json!({"customer": rule}), Case { existing: vec![existing], ..PLAIN });
    let mask = Mask::Pseudonym { length: 26, fold: false }.to_json().to_string();
    let theirs = || seen("customers", "id", &mask, Some("public.customers.id"));
    assert!(with(json!({"mask": "pseudonym"}), theirs()).is_ok());
    assert!(with(json!("clear"), seen("customers", "id", "clear", None)).is_ok());
    assert_eq!(path(with(json!("clear"), theirs())), "$.customer");
    assert_eq!(path(with(json!({"mask": "pseudonym"}), seen("customers", "id", "clear", None))), "$.customer");
    assert_eq!(path(with(json!({"mask": "pseudonym"}), seen("customers", "id", &mask, Some("x")))), "$.customer");
    // equal, but lossy: rows that do not belong together would join
    let step = json!({"mask": "bucket", "step": 10});
    let text = parse(&json!({"customer": step}), &table).unwrap().rules[0].exposure.mask_json().unwrap().to_string();
    assert_eq!(path(with(step.clone(), seen("customers", "id", &text, None))), "$.customer");
    let mut allowed = step;
    allowed["allow_broken_join"] = json!(true);
    assert!(with(allowed, seen("customers", "id", &text, None)).is_ok());
    // another table's columns do not matter
    assert!(with(json!("clear"), seen("shops", "id", &mask, None)).is_ok());
}

#[test]
fn the_referenced_scope_must_join_too() {
    let table = customers();
    let with = |rule: Value, existing| run(&table, json!({"id": rule}), Case { existing: vec![existing], ..PLAIN });
    let clear = || seen("orders", "customer", "clear", None);
    assert!(with(json!("clear"), clear()).is_ok());
    assert_eq!(path(with(json!({"mask": "pseudonym"}), clear())), "$.id");
    assert!(with(json!({"mask": "pseudonym", "allow_broken_join": true}), clear()).is_ok());
    let mask = r#"{"mask": "pseudonym", "length": 16, "fold": false, "allow_broken_join": true}"#;
    assert!(with(json!("clear"), seen("orders", "customer", mask, Some("x"))).is_ok());
}

#[test]
fn what_is_newly_exposed_is_listed() {
    let p = plan(json!({"ssn": "clear", "login": {"mask": "redact"}, "fare": "clear", "born": {"mask": "nullify"}}));
    let lines = newly_exposed(&[], &p);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "\"ssn\": clear, decrypted");
    assert_eq!(lines[2], "\"fare\": clear");
    let old: Vec<_> = p.columns.iter().map(|c| (c.name.clone(), None, c.mask_json.clone())).collect();
    assert!(newly_exposed(&old, &p).is_empty());
    let weaker = plan(json!({"login": "clear", "born": "clear"}));
    let lines = newly_exposed(&old, &weaker);
    assert!(lines[0].starts_with("\"login\": clear, was {\"mask\":\"redact\""), "{lines:?}");
    assert_eq!(lines[1], "\"born\": clear, decrypted, was {\"mask\":\"nullify\"}");
}
