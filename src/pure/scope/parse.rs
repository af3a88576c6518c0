//! JSON → scope. Everything unknown is refused, with its JSON path.

use serde_json::{Map, Value};

use super::{conditional, Column, Exposure, Rule, Scope, TableShape};
use crate::pure::error::{Error, Result};
use crate::pure::mask::Mask;
use crate::pure::name::{json_path, shown};
use crate::pure::plaintext::PlainType;

/// Members of a rule that belong to the scope, not to the mask.
const RULE_MEMBERS: [&str; 5] = ["mask", "null_as", "domain", "allow_duplicates", "allow_broken_join"];
/// Longest domain label in bytes.
const MAX_DOMAIN: usize = 200;

/// Reads a scope definition, `{"column": "clear" | {"mask": NAME, …}, …}`, against the table it is for. The order of
/// the members is kept.
///
/// # Errors
/// `AL010` with the JSON path: no object, no rule, an unknown column, mask or argument, a value of the wrong type or
/// out of range, a mask that does not take the column's type.
pub fn parse(json: &Value, table: &TableShape) -> Result<Scope> {
    let Value::Object(members) = json else {
        return Err(Error::scope("$", "a scope definition must be a JSON object").hint(FORM));
    };
    if members.is_empty() {
        return Err(Error::scope("$", "a scope without a rule would expose nothing").hint(FORM));
    }
    let rules: Vec<Vec<Rule>> =
        members.iter().map(|(name, definition)| rules(name, definition, table)).collect::<Result<_>>()?;
    Ok(Scope { rules: rules.concat() })
}

/// How a definition looks.
const FORM: &str = r#"write {"id": "clear", "email": {"mask": "pseudonym"}}"#;

/// One member of the definition: a rule, or the two of a conditional one.
fn rules(name: &str, definition: &Value, table: &TableShape) -> Result<Vec<Rule>> {
    let path = json_path("$", name);
    let column = table.column(name).ok_or_else(|| unknown_column(name, &path, table))?;
    if let Value::Object(members) = definition {
        if members.contains_key("when") {
            return conditional::rules(column, members, &path);
        }
        return Ok(vec![masked(column, members, &path)?]);
    }
    let exposure = clear(column, definition, &path)?;
    Ok(vec![Rule {
        column: name.to_string(),
        exposure,
        null_as: None,
        domain: None,
        allow_duplicates: false,
        allow_broken_join: false,
        condition: None,
    }])
}

/// `"clear"`, and nothing else that is no object.
fn clear(column: &Column, definition: &Value, path: &str) -> Result<Exposure> {
    match definition {
        Value::String(word) if word == "clear" => Ok(Exposure::Clear),
        Value::String(word) => Err(Error::scope(path, format!("{} is no exposure", shown(word)))
            .hint(format!("write \"clear\" or {}", mask_form(word)))),
        _ => Err(Error::scope(path, format!("the rule of column {} must be \"clear\" or a mask", shown(&column.name)))
            .hint(format!("write \"clear\" or {}", mask_form("redact")))),
    }
}

/// What one branch of a conditional rule shows, with the domain of its mask. What belongs to the column stands outside.
pub(super) fn branch(column: &Column, definition: &Value, path: &str) -> Result<(Exposure, Option<String>)> {
    let Value::Object(members) = definition else { return Ok((clear(column, definition, path)?, None)) };
    if let Some(outside) = members
        .keys()
        .find(|name| ["when", "null_as", "allow_duplicates", "allow_broken_join"].contains(&name.as_str()))
    {
        return Err(Error::scope(&json_path(path, outside), format!("{} is of the whole rule", shown(outside)))
            .hint("write it beside \"when\", \"then\" and \"else\""));
    }
    let rule = masked(column, members, path)?;
    Ok((rule.exposure, rule.domain))
}

/// `{"mask": "NAME"}`, with a known name.
fn mask_form(name: &str) -> String {
    let known = Mask::all().iter().any(|p| p.name == name);
    format!("{{\"mask\": \"{}\"}}", if known { name } else { "redact" })
}

/// A rule with a mask.
fn masked(column: &Column, members: &Map<String, Value>, path: &str) -> Result<Rule> {
    no_nul(members, path)?;
    let name = match members.get("mask") {
        Some(Value::String(name)) => name.as_str(),
        Some(_) => return Err(wrong_type(&json_path(path, "mask"), "the name of a mask, as a string")),
        None => return Err(Error::scope(path, "the rule names no mask").hint(format!("write {}", mask_form("redact")))),
    };
    if name == "clear" {
        return Err(Error::scope(&json_path(path, "mask"), "\"clear\" is no mask")
            .hint("write the rule as \"clear\", without arguments"));
    }
    let mask = mask(column, name, members, path)?;
    let domain = optional(members, "domain", path, domain)?;
    if domain.is_some() && !mask.keyed() {
        return Err(Error::scope(&json_path(path, "domain"), format!("mask \"{}\" has no domain", mask.name()))
            .hint("leave it out: a domain joins columns under a keyed mask"));
    }
    let null_as = optional(members, "null_as", path, |value, at| null_as(value, at, column, &mask))?;
    let (allow_duplicates, allow_broken_join) = rule_flags(members, path)?;
    Ok(Rule {
        column: column.name.clone(),
        null_as,
        domain,
        allow_duplicates,
        allow_broken_join,
        exposure: Exposure::Masked(mask),
        condition: None,
    })
}

/// What the controller accepts: duplicates, a broken join.
pub(super) fn rule_flags(members: &Map<String, Value>, path: &str) -> Result<(bool, bool)> {
    let flag = |name| Ok(optional(members, name, path, boolean)?.unwrap_or(false));
    Ok((flag("allow_duplicates")?, flag("allow_broken_join")?))
}

/// The mask with its arguments, for the type of the column.
fn mask(column: &Column, name: &str, members: &Map<String, Value>, path: &str) -> Result<Mask> {
    let arguments: Map<String, Value> = members
        .iter()
        .filter(|(member, _)| !RULE_MEMBERS.contains(&member.as_str()))
        .map(|(member, value)| (member.clone(), value.clone()))
        .collect();
    // the type does not matter to nullify, which takes every column
    let plain = match column.plain {
        Some(plain) => plain,
        None if name == "nullify" || Mask::all().iter().all(|p| p.name != name) => PlainType::Text,
        None => {
            return Err(Error::scope(
                &json_path(path, "mask"),
                format!("mask {} does not take type {}", shown(name), shown(&column.sql_type)),
            )
            .hint("use \"clear\" or {\"mask\": \"nullify\"}, or leave the column out"))
        }
    };
    let mut mask = Mask::parse(name, &arguments, path, plain)?;
    if let Mask::Pseudonym { fold, .. } = &mut mask {
        // values that citext calls equal must have equal pseudonyms
        *fold |= column.ignores_case();
    }
    Ok(mask)
}

/// Reads a member if it is there.
pub(super) fn optional<T>(
    members: &Map<String, Value>,
    member: &str,
    path: &str,
    read: impl FnOnce(&Value, &str) -> Result<T>,
) -> Result<Option<T>> {
    members.get(member).map(|value| read(value, &json_path(path, member))).transpose()
}

fn boolean(value: &Value, path: &str) -> Result<bool> {
    value.as_bool().ok_or_else(|| wrong_type(path, "true or false"))
}

fn domain(value: &Value, path: &str) -> Result<String> {
    let domain = value.as_str().ok_or_else(|| wrong_type(path, "a label, as a string"))?;
    if domain.trim().is_empty() || domain.len() > MAX_DOMAIN || domain.chars().any(char::is_control) {
        return Err(Error::scope(path, "a domain is a label of 1 to 200 bytes without control characters")
            .hint("write a word such as \"email\" in each rule whose columns shall join"));
    }
    Ok(domain.to_string())
}

/// `null_as` obeys the rules of mask `constant` on the type of the view's column.
pub(super) fn null_as(value: &Value, path: &str, column: &Column, mask: &Mask) -> Result<String> {
    let Some(plain) = column.plain else {
        // only nullify gets here; PostgreSQL checks the value when the view is made
        return value.as_str().map(String::from).ok_or_else(|| wrong_type(path, "a value as a string"));
    };
    let result = mask.result_type(plain);
    let probe = Map::from_iter([("value".to_string(), value.clone())]);
    match Mask::parse("constant", &probe, path, result) {
        Ok(Mask::Constant { value }) => Ok(value),
        Ok(_) => Err(wrong_type(path, "a value of the view column's type")),
        Err(error) => {
            let message = format!("\"null_as\" is not a value of type {}", result.sql_name());
            Err(Error { hint: error.hint, ..Error::scope(path, message) })
        }
    }
}

pub(super) fn wrong_type(path: &str, wanted: &str) -> Error {
    Error::scope(path, "value of the wrong type").hint(format!("write {wanted}"))
}

/// PostgreSQL's text has no NUL: an argument with one could not be written into the view.
pub(super) fn no_nul(members: &Map<String, Value>, path: &str) -> Result<()> {
    for (member, value) in members {
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(Error::scope(&json_path(path, member), "text must not hold a NUL character")
                .hint("leave the character out: PostgreSQL's text cannot hold it"));
        }
    }
    Ok(())
}

fn unknown_column(name: &str, path: &str, table: &TableShape) -> Error {
    let error = Error::scope(path, format!("column {} does not exist in {}", shown(name), shown(&table.name)));
    if name == "*" {
        return error.hint("name each column: there is no rule for all of them");
    }
    let near = table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name.trim()));
    match near {
        Some(column) => error.hint(format!("the column is called {}", shown(&column.name))),
        None => {
            let names: Vec<String> = table.columns.iter().take(20).map(|c| shown(&c.name)).collect();
            error.hint(format!("columns are {}{}", names.join(", "), if table.columns.len() > 20 { ", …" } else { "" }))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pure::error::Kind;

    fn table() -> TableShape {
        let column = |name: &str, sql_type: &str, plain| Column {
            name: name.into(),
            sql_type: sql_type.into(),
            plain,
            encrypted: None,
            not_null: false,
            computed: false,
        };
        TableShape {
            schema: "public".into(),
            name: "customers".into(),
            columns: vec![
                column("id", "bigint", Some(PlainType::Int8)),
                column("email", "text", Some(PlainType::Text)),
                column("Login", "public.citext", Some(PlainType::Text)),
                column("born", "date", Some(PlainType::Date)),
                column("spot", "point", None),
                column("e mail", "text", Some(PlainType::Text)),
            ],
            ..TableShape::default()
        }
    }

    fn refused(json: Value) -> (String, String) {
        let error = parse(&json, &table()).unwrap_err();
        assert_eq!(error.kind, Kind::ScopeRefused, "{json}");
        (error.message, error.detail.unwrap())
    }

    fn path(json: Value) -> String {
        refused(json).1.trim_start_matches("at ").to_string()
    }

    #[test]
    fn keeps_the_order_of_the_definition() {
        let scope = parse(&json!({"email": {"mask": "redact"}, "born": "clear", "id": "clear"}), &table()).unwrap();
        let names: Vec<_> = scope.rules.iter().map(|r| r.column.as_str()).collect();
        assert_eq!(names, ["email", "born", "id"]);
        assert_eq!(scope.rules[0].exposure.label(), "redact");
    }

    #[test]
    fn refusals_carry_the_path() {
        assert_eq!(path(json!({})), "$");
        assert_eq!(path(json!([])), "$");
        assert_eq!(path(json!({"nope": "clear"})), "$.nope");
        assert_eq!(path(json!({"*": "clear"})), "$.\"*\"");
        assert_eq!(path(json!({"email": "plain"})), "$.email");
        assert_eq!(path(json!({"email": null})), "$.email");
        assert_eq!(path(json!({"email": true})), "$.email");
        assert_eq!(path(json!({"email": {}})), "$.email");
        assert_eq!(path(json!({"e mail": {"mask": 1}})), "$.\"e mail\".mask");
        assert_eq!(path(json!({"email": {"mask": "nope"}})), "$.email.mask");
        assert_eq!(path(json!({"email": {"mask": "clear"}})), "$.email.mask");
        assert_eq!(path(json!({"email": {"mask": "partial", "right": "4"}})), "$.email.right");
        assert_eq!(path(json!({"email": {"mask": "partial", "right": 4, "rihgt": 4}})), "$.email.rihgt");
        assert_eq!(path(json!({"email": {"when": "x"}})), "$.email");
        assert_eq!(path(json!({"spot": {"mask": "redact"}})), "$.spot.mask");
        assert_eq!(path(json!({"spot": {"mask": "constant", "value": "x"}})), "$.spot.mask");
        assert_eq!(path(json!({"email": {"mask": "redact", "domain": "x"}})), "$.email.domain");
        assert_eq!(path(json!({"email": {"mask": "pseudonym", "domain": ""}})), "$.email.domain");
        assert_eq!(path(json!({"email": {"mask": "pseudonym", "domain": 1}})), "$.email.domain");
        assert_eq!(path(json!({"id": {"mask": "pseudonym", "allow_duplicates": 1}})), "$.id.allow_duplicates");
        assert_eq!(path(json!({"id": {"mask": "pseudonym", "allow_broken_join": "t"}})), "$.id.allow_broken_join");
        assert_eq!(path(json!({"email": {"mask": "redact", "null_as": []}})), "$.email.null_as");
        assert_eq!(path(json!({"email": {"mask": "redact", "null_as": "a\0b"}})), "$.email.null_as");
        assert_eq!(path(json!({"born": {"mask": "date_trunc", "unit": "year", "null_as": "n/a"}})), "$.born.null_as");
    }

    #[test]
    fn unknown_columns_get_a_helpful_hint() {
        let error = parse(&json!({"EMAIL": "clear"}), &table()).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("the column is called \"email\""));
        let error = parse(&json!({"email": "pseudonym"}), &table()).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("write \"clear\" or {\"mask\": \"pseudonym\"}"));
    }

    #[test]
    fn unsupported_types_may_be_clear_or_null() {
        let scope = parse(&json!({"spot": {"mask": "nullify"}}), &table()).unwrap();
        assert!(!scope.rules[0].exposure.reads_column());
        assert!(parse(&json!({"spot": "clear"}), &table()).is_ok());
    }

    #[test]
    fn citext_forces_folding() {
        let scope = parse(&json!({"Login": {"mask": "pseudonym", "fold": false}}), &table()).unwrap();
        assert!(matches!(scope.rules[0].exposure, Exposure::Masked(Mask::Pseudonym { fold: true, .. })));
    }

    #[test]
    fn null_as_is_a_value_of_the_result_type() {
        let scope = parse(&json!({"born": {"mask": "age_band", "null_as": "none"}}), &table()).unwrap();
        assert_eq!(scope.rules[0].null_as.as_deref(), Some("none"));
        let scope = parse(&json!({"id": {"mask": "bucket", "step": 10, "null_as": -1}}), &table()).unwrap();
        assert_eq!(scope.rules[0].null_as.as_deref(), Some("-1"));
    }
}
