//! What a conditional rule may be, and the view it makes.

use serde_json::{json, Value};

use crate::pure::error::{Error, Kind};
use crate::pure::plaintext::PlainType;
use crate::pure::scope::parse::parse;
use crate::pure::scope::render::{render, Ids};
use crate::pure::scope::resolve::{newly_exposed, resolve, Request, ViewPlan};
use crate::pure::scope::{Column, EncryptedColumn, Scope, TableShape};

fn column(name: &str, sql_type: &str, plain: PlainType) -> Column {
    Column {
        name: name.into(),
        sql_type: sql_type.into(),
        plain: Some(plain),
        encrypted: None,
        not_null: false,
        computed: false,
    }
}

fn table() -> TableShape {
    let sealed = EncryptedColumn { column_no: 4, key_name: "pii".into(), searchable: false, bind: vec![] };
    TableShape {
        schema: "public".into(),
        name: "customers".into(),
        columns: vec![
            column("id", "bigint", PlainType::Int8),
            column("email", "character varying(80)", PlainType::Text),
            column("consent", "boolean", PlainType::Bool),
            column("born", "date", PlainType::Date),
            Column { encrypted: Some(sealed), ..column("ssn", "text", PlainType::Text) },
        ],
        primary_key: vec!["id".into()],
        ..TableShape::default()
    }
}

/// Parses, and says what PostgreSQL would: the condition reads `consent`.
fn scope(definition: Value) -> Result<Scope, Error> {
    let mut scope = parse(&definition, &table())?;
    for condition in scope.rules.iter_mut().filter_map(|rule| rule.condition.as_mut()) {
        condition.columns = vec![condition.text.clone()];
    }
    Ok(scope)
}

fn plan(definition: Value) -> Result<ViewPlan, Error> {
    let (scope, table) = (scope(definition)?, table());
    resolve(&Request {
        subprocessor: "acme",
        scope: &scope,
        table: &table,
        view_schema: "acme",
        view_name: "customers",
        row_filter: None,
        filter_columns: &[],
        subject: &[],
        existing: &[],
    })
}

fn views(definition: Value) -> (String, String) {
    let plan = plan(definition).unwrap();
    let rules: Vec<i32> = (1..).take(plan.columns.len()).collect();
    let rendered = render(&plan, &Ids { scope_id: 3, rule_ids: &rules }, "acme").unwrap();
    (rendered.inner_sql, rendered.outer_sql)
}

fn refused_at(definition: Value) -> String {
    let error = plan(definition).unwrap_err();
    assert_eq!(error.kind, Kind::ScopeRefused);
    error.detail.unwrap().replace("at ", "")
}

#[test]
fn a_case_of_two_rules() {
    let (inner, outer) = views(json!({"email": {"when": "consent", "then": "clear", "else": {"mask": "email"}}}));
    assert!(inner.contains("SELECT \"email\", \"consent\"\n"), "{inner}");
    let case = "CASE WHEN consent THEN \"email\"::pg_catalog.text ELSE airlock.mask_email(\"email\"::pg_catalog.text, 'domain'::pg_catalog.text) END AS \"email\"";
    assert!(outer.contains(case), "{outer}");
    let (_, outer) = views(json!({"email": {"when": "consent", "then": "clear"}}));
    let case = "CASE WHEN consent THEN \"email\" ELSE NULL::character varying(80) END AS \"email\"";
    assert!(outer.contains(case), "{outer}");
    let (inner, outer) = views(
        json!({"ssn": {"when": "consent", "then": {"mask": "partial", "right": 4}, "else": {"mask": "pseudonym"}, "null_as": "none"}}),
    );
    assert!(inner.contains("SELECT \"ssn\", \"consent\"\n"), "{inner}");
    let case = "COALESCE(CASE WHEN consent THEN airlock.disclose(1, \"ssn\") ELSE airlock.disclose(2, \"ssn\") END, 'none'::pg_catalog.text)";
    assert!(outer.contains(case), "{outer}");
    // a column that decides is not shown for that
    assert!(!outer.contains("AS \"consent\""), "{outer}");
}

#[test]
fn both_branches_show_one_type() {
    assert_eq!(
        refused_at(json!({"born": {"when": "consent", "then": "clear", "else": {"mask": "age_band"}}})),
        "$.born"
    );
    for other in [
        json!({"mask": "date_trunc", "unit": "year"}),
        json!({"mask": "nullify"}),
        json!({"mask": "constant", "value": "1970-01-01"}),
    ] {
        let plan = plan(json!({"born": {"when": "consent", "then": "clear", "else": other}})).unwrap();
        assert!(plan.columns.iter().all(|column| column.result_type == "date"));
    }
}

#[test]
fn refusals_carry_the_path() {
    assert_eq!(refused_at(json!({"email": {"when": "", "then": "clear"}})), "$.email.when");
    assert_eq!(refused_at(json!({"email": {"when": true, "then": "clear"}})), "$.email.when");
    assert_eq!(refused_at(json!({"email": {"when": "consent"}})), "$.email");
    assert_eq!(refused_at(json!({"email": {"when": "consent", "then": "open"}})), "$.email.then");
    assert_eq!(refused_at(json!({"email": {"when": "consent", "then": {"mask": "nope"}}})), "$.email.then.mask");
    assert_eq!(
        refused_at(
            json!({"email": {"when": "consent", "then": "clear", "else": {"mask": "partial", "right": 99999999999i64}}})
        ),
        "$.email.else.right"
    );
    assert_eq!(
        refused_at(json!({"email": {"when": "consent", "then": {"mask": "redact", "null_as": "x"}}})),
        "$.email.then.null_as"
    );
    assert_eq!(
        refused_at(json!({"email": {"when": "consent", "then": {"when": "consent", "then": "clear"}}})),
        "$.email.then.when"
    );
    assert_eq!(refused_at(json!({"email": {"when": "consent", "then": "clear", "mask": "redact"}})), "$.email.mask");
    assert_eq!(refused_at(json!({"email": {"when": "nowhere", "then": "clear"}})), "$.email.when");
    assert_eq!(
        refused_at(json!({"id": {"when": "consent", "then": "clear", "else": {"mask": "pseudonym_int"}}})),
        "$.id"
    );
    plan(json!({"id": {"when": "consent", "then": "clear", "else": {"mask": "pseudonym_int"}, "allow_duplicates": true}})).unwrap();
}

#[test]
fn what_a_condition_opens_is_newly_exposed() {
    let masked = Some(json!({"mask": "email", "show": "domain"}));
    let new = plan(json!({"email": {"when": "consent", "then": "clear", "else": {"mask": "email"}}})).unwrap();
    let always = [("email".to_owned(), None, masked.clone())];
    assert_eq!(newly_exposed(&always, &new).len(), 2);
    assert!(newly_exposed(&always, &new)[0].starts_with("\"email\": clear where consent, was {"));
    let same = [
        ("email".to_owned(), Some("consent".to_owned()), None),
        ("email".to_owned(), Some("(consent) IS NOT TRUE".to_owned()), masked),
    ];
    assert!(newly_exposed(&same, &new).is_empty());
}
