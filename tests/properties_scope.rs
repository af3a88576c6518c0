//! Properties of names and scopes: what is quoted reads back as itself, and what has no rule appears nowhere.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use pg_airlock::pure::name;
use pg_airlock::pure::plaintext::PlainType;
use pg_airlock::pure::scope::parse::parse;
use pg_airlock::pure::scope::render::{render, Ids, Rendered};
use pg_airlock::pure::scope::resolve::{resolve, Request, ViewPlan};
use pg_airlock::pure::scope::{Column, EncryptedColumn, TableShape};
use proptest::prelude::*;
use serde_json::{json, Map, Value};

/// A token of SQL as PostgreSQL's lexer sees it, `standard_conforming_strings` on.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Ident(String),
    Str(String),
    Word(String),
    Other(char),
}

/// A lexer of its own: it shares no code with what it checks. Panics where PostgreSQL would report an error.
fn lex(sql: &str) -> Vec<Token> {
    let chars: Vec<char> = sql.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let escape = matches!(c, 'e' | 'E') && chars.get(i + 1) == Some(&'\'');
        assert!(!(c == '-' && chars.get(i + 1) == Some(&'-')), "comment in {sql}");
        assert!(!(c == '/' && chars.get(i + 1) == Some(&'*')), "comment in {sql}");
        assert!(c != '$' && c != ';' && c != '\0', "{c:?} in {sql}");
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        if c == '"' || c == '\'' || escape {
            let quote = if c == '"' { '"' } else { '\'' };
            let mut text = String::new();
            i += if escape { 2 } else { 1 };
            loop {
                assert!(i < chars.len(), "unterminated in {sql}");
                if escape && chars[i] == '\\' {
                    text.push(chars[i + 1]); // of the escapes, only the doubled backslash is compared by a test
                    i += 2;
                } else if chars[i] == quote && chars.get(i + 1) == Some(&quote) {
                    text.push(quote);
                    i += 2;
                } else if chars[i] == quote {
                    i += 1;
                    break;
                } else {
                    text.push(chars[i]);
                    i += 1;
                }
            }
            tokens.push(if quote == '"' { Token::Ident(text) } else { Token::Str(text) });
        } else if word(c) {
            let begin = i;
            // a number has no dollar in it
            while i < chars.len() && (word(chars[i]) || (chars[i] == '$' && !c.is_ascii_digit())) {
                i += 1;
            }
            tokens.push(Token::Word(chars[begin..i].iter().collect()));
        } else {
            if !c.is_ascii_whitespace() {
                tokens.push(Token::Other(c));
            }
            i += 1;
        }
    }
    tokens
}

fn idents(sql: &str) -> BTreeSet<String> {
    lex(sql)
        .into_iter()
        .filter_map(|token| match token {
            Token::Ident(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Text without NUL, rich in what quoting must survive.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[\"'\\\\$;(){}\\[\\]*/. \n\r\t-]{1,4}",
        "(--|/\\*|\\*/|E'|U&\"|\\$\\$|\\$q\\$|'\\);)",
        "[a-zA-Zé李👩]{1,6}",
        "\\PC{1,4}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat().replace('\0', ""))
}

/// A column's name: 1 to 63 bytes.
fn column_name() -> impl Strategy<Value = String> {
    hostile().prop_filter("1 to 63 bytes", |name| (1..=63).contains(&name.len()))
}

/// The exposure of one column, or none.
fn exposure() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(json!("clear"))),
        1 => Just(Some(json!({"mask": "nullify"}))),
        1 => hostile().prop_map(|text| Some(json!({"mask": "constant", "value": text}))),
        1 => hostile().prop_map(|text| Some(json!({"mask": "redact", "null_as": text}))),
        1 => (1..9u32).prop_map(|n| Some(json!({"mask": "partial", "right": n}))),
        1 => Just(Some(json!({"mask": "pseudonym"}))),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    table: TableShape,
    scope: Value,
    filter: Vec<String>,
    subject: Vec<String>,
    view: (String, String),
}

fn case() -> impl Strategy<Value = Case> {
    let columns = prop::collection::btree_map(column_name(), (any::<bool>(), exposure(), 0..5u8, 0..5u8), 1..8);
    (columns, column_name(), column_name(), column_name()).prop_map(|(columns, schema, table, view)| {
        let mut case = Case {
            table: TableShape {
                schema: format!("s{schema}").chars().take(20).collect(),
                name: table,
                ..Default::default()
            },
            scope: Value::Null,
            filter: vec![],
            subject: vec![],
            view: ("acme".into(), view),
        };
        let mut rules = Map::new();
        for (name, (encrypted, exposure, filter, subject)) in columns {
            let key = EncryptedColumn { column_no: 1, key_name: "pii".into(), searchable: false, bind: vec![] };
            case.table.columns.push(Column {
                name: name.clone(),
                sql_type: "text".into(),
                plain: Some(PlainType::Text),
                encrypted: encrypted.then_some(key),
                not_null: false,
                computed: false,
            });
            if !encrypted && filter == 0 {
                case.filter.push(name.clone());
            }
            if !encrypted && subject == 0 {
                case.subject.push(name.clone());
            }
            if let Some(exposure) = exposure {
                rules.insert(name, exposure);
            }
        }
        case.scope = Value::Object(rules);
        case
    })
}

fn filter_text(case: &Case) -> Option<String> {
    let terms: Vec<String> = case.filter.iter().map(|name| format!("({} IS NOT NULL)", name::ident(name))).collect();
    (!terms.is_empty()).then(|| terms.join(" AND "))
}

fn made(case: &Case) -> (ViewPlan, Rendered) {
    let scope = parse(&case.scope, &case.table).unwrap();
    let plan = resolve(&Request {
        subprocessor: "acme",
        scope: &scope,
        table: &case.table,
        view_schema: &case.view.0,
        view_name: &case.view.1,
        row_filter: filter_text(case).as_deref(),
        filter_columns: &case.filter,
        subject: &case.subject,
        existing: &[],
    })
    .unwrap();
    let rule_ids: Vec<i32> = (1..).take(plan.columns.len()).collect();
    let sql = render(&plan, &Ids { scope_id: 7, rule_ids: &rule_ids }, "acme").unwrap();
    (plan, sql)
}

fn rules(case: &Case) -> &Map<String, Value> {
    case.scope.as_object().unwrap()
}

/// Whether the rule lets a value of the column through, in whatever form.
fn is_read(rule: Option<&Value>) -> bool {
    rule.is_some_and(|rule| !matches!(rule["mask"].as_str(), Some("nullify" | "constant")))
}

proptest! {
    #[test]
    fn a_quoted_identifier_reads_back(text in hostile()) {
        prop_assert_eq!(lex(&name::ident(&text)), vec![Token::Ident(text)]);
    }

    #[test]
    fn a_literal_reads_back(text in hostile()) {
        prop_assert_eq!(lex(&name::literal(&text)), vec![Token::Str(text)]);
    }

    #[test]
    fn a_qualified_name_reads_back(schema in hostile(), table in hostile()) {
        let tokens = vec![Token::Ident(schema.clone()), Token::Other('.'), Token::Ident(table.clone())];
        prop_assert_eq!(lex(&name::qualified(&schema, &table)), tokens);
    }

    #[test]
    fn no_byte_makes_quoting_panic_or_leak_a_nul(text in any::<String>()) {
        prop_assert!(!name::ident(&text).contains('\0'));
        prop_assert!(!name::literal(&text).contains('\0'));
        let _ = (name::check_expression(&text), name::type_name(&text), name::json_path("$", &text));
        prop_assert!(!name::shown(&text).contains(['\0', '\n']));
    }

    #[test]
    fn an_expression_that_passes_cannot_leave_its_parentheses(text in hostile()) {
        if name::check_expression(&text).is_ok() {
            let mut depth = 0i32;
            for token in lex(&text) {
                depth += match token { Token::Other('(') => 1, Token::Other(')') => -1, _ => 0 };
                prop_assert!(depth >= 0);
            }
            prop_assert_eq!(depth, 0);
        }
    }

    /// Invariant 1: default deny.
    #[test]
    fn no_rule_no_column(case in case()) {
        prop_assume!(!rules(&case).is_empty());
        let (_, sql) = made(&case);
        let outer = idents(sql.outer_sql.split_once(" AS\n").unwrap().1);
        let inner = idents(sql.inner_sql.split_once("\n  FROM ").unwrap().0.split_once(" AS\n").unwrap().1);
        for column in &case.table.columns {
            let rule = rules(&case).get(&column.name);
            let other_name = ["airlock_scope", "s7"].contains(&column.name.as_str());
            prop_assert!(rule.is_some() || other_name || !outer.contains(&column.name), "{}", sql.outer_sql);
            prop_assert_eq!(inner.contains(&column.name), is_read(rule), "{}", sql.inner_sql);
        }
    }

    /// The view owner gets what the views read, and nothing more.
    #[test]
    fn grants_are_exactly_what_is_read(case in case()) {
        prop_assume!(!rules(&case).is_empty());
        let (plan, sql) = made(&case);
        let needed: BTreeSet<String> = case.table.columns.iter()
            .map(|c| c.name.clone())
            .filter(|n| is_read(rules(&case).get(n)) || case.filter.contains(n) || case.subject.contains(n))
            .collect();
        let granted: BTreeSet<String> = plan.granted.iter().cloned().collect();
        if needed.is_empty() {
            prop_assert_eq!(granted.len(), 1);
        } else {
            prop_assert_eq!(&granted, &needed);
        }
        let between = lex(&sql.grants[0]);
        let close = between.iter().position(|t| *t == Token::Other(')')).unwrap();
        let listed: BTreeSet<String> = between[..close].iter()
            .filter_map(|t| match t { Token::Ident(n) => Some(n.clone()), _ => None }).collect();
        prop_assert_eq!(listed, granted);
    }

    /// An encrypted column is never in the outer view outside `disclose`.
    #[test]
    fn ciphertext_never_comes_out(case in case()) {
        prop_assume!(!rules(&case).is_empty());
        let (plan, sql) = made(&case);
        for column in plan.columns.iter().filter(|c| c.encrypted && c.expression.reads_column()) {
            prop_assert!(column.needs_disclose);
            let call = format!(", {})", name::ident(&column.name));
            prop_assert!(sql.outer_sql.contains(&call), "{}", sql.outer_sql);
        }
    }

    #[test]
    fn rendering_is_deterministic(case in case()) {
        prop_assume!(!rules(&case).is_empty());
        let ((_, one), (_, two)) = (made(&case), made(&case));
        prop_assert_eq!(&one, &two);
        for statement in [&one.inner_sql, &one.outer_sql].into_iter().chain(&one.grants).chain(&one.drops) {
            lex(statement);
        }
    }

    #[test]
    fn any_json_is_a_scope_or_an_error(text in "\\PC{0,40}", number in any::<i64>()) {
        let table = TableShape {
            columns: vec![Column {
                name: "c".into(), sql_type: "text".into(), plain: Some(PlainType::Text), encrypted: None, not_null: false, computed: false,
            }],
            ..Default::default()
        };
        for mask in ["constant", "redact", "partial", "initials", "date_trunc", "age_band", "bucket", "pseudonym", &text] {
            for value in [json!(text), json!(number), json!(null), json!([text]), json!({"a": text})] {
                for member in ["value", "fill", "right", "max", "unit", "width", "step", "length", "null_as", "domain", &text] {
                    let mut rule = json!({"mask": mask});
                    rule[member] = value.clone();
                    let _ = parse(&json!({"c": rule}), &table);
                }
            }
        }
    }
}
