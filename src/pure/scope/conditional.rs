//! Conditional masks: `{"when": "marketing_consent", "then": "clear", "else": {"mask": "email"}}`. A column gets two rules,
//! and the view a CASE. Where the condition is unknown it is not true; without `else` nothing is shown there.

use serde_json::{Map, Value};

use super::parse::{branch, no_nul, null_as, optional, rule_flags, wrong_type};
use super::resolve::{ColumnExpr, PlanColumn};
use super::{Column, Condition, Exposure, Rule};
use crate::pure::error::{Error, Result};
use crate::pure::mask::Mask;
use crate::pure::name::{json_path, shown};

/// Members of a conditional rule.
const MEMBERS: [&str; 6] = ["when", "then", "else", "null_as", "allow_duplicates", "allow_broken_join"];
/// How one looks.
const FORM: &str = r#"write {"when": "marketing_consent", "then": "clear", "else": {"mask": "email"}}"#;

/// The two rules of a column, in the order of `then` and `else`.
pub(super) fn rules(column: &Column, members: &Map<String, Value>, path: &str) -> Result<Vec<Rule>> {
    no_nul(members, path)?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let message = format!("member {} of a conditional rule is unknown", shown(unknown));
        return Err(Error::scope(&json_path(path, unknown), message).hint(FORM));
    }
    let when = json_path(path, "when");
    let text =
        members.get("when").and_then(Value::as_str).ok_or_else(|| wrong_type(&when, "a condition, as a string"))?;
    if text.trim().is_empty() {
        return Err(Error::scope(&when, "the condition is empty").hint(FORM));
    }
    let then = members.get("then").ok_or_else(|| Error::scope(path, "the rule has no \"then\"").hint(FORM))?;
    let (then, then_domain) = branch(column, then, &json_path(path, "then"))?;
    let (other, other_domain) = match members.get("else") {
        Some(given) => branch(column, given, &json_path(path, "else"))?,
        None => (Exposure::Masked(Mask::Nullify), None),
    };
    // the value's type is that of the branch that shows one
    let masks = [&then, &other].map(|exposure| match exposure {
        Exposure::Masked(mask) if !matches!(mask, Mask::Nullify) => Some(mask),
        _ => None,
    });
    let mask = masks.into_iter().flatten().next().unwrap_or(&Mask::Nullify);
    let null_as = optional(members, "null_as", path, |value, at| null_as(value, at, column, mask))?;
    let (allow_duplicates, allow_broken_join) = rule_flags(members, path)?;
    let rule = |exposure: &Exposure, domain: Option<String>, otherwise| Rule {
        column: column.name.clone(),
        exposure: exposure.clone(),
        null_as: null_as.clone(),
        domain,
        allow_duplicates,
        allow_broken_join,
        condition: Some(Condition { text: text.to_owned(), columns: Vec::new(), otherwise }),
    };
    Ok(vec![rule(&then, then_domain, false), rule(&other, other_domain, true)])
}

/// Gives both rules of each conditional column one type: that of the branch that shows something, or of the mask where the
/// other one shows a value that is of it.
///
/// # Errors
/// `AL010` at the column where the two show values of different types.
pub(super) fn one_type(columns: &mut [PlanColumn], plain: impl Fn(&str) -> Option<&'static str>) -> Result<()> {
    for i in 1..columns.len() {
        let (before, after) = columns.split_at_mut(i);
        let (Some(then), Some(other)) = (before.last_mut(), after.first_mut()) else { continue };
        if !other.condition.as_ref().is_some_and(|condition| condition.otherwise) {
            continue;
        }
        let nothing = |column: &PlanColumn| matches!(column.expression, ColumnExpr::Null);
        let clear = |column: &PlanColumn, ty: &str| column.mask_json.is_none() && plain(&column.name) == Some(ty);
        let ty = match (then.result_type.clone(), other.result_type.clone()) {
            (a, b) if a == b => a,
            (_, b) if nothing(then) => b,
            (a, _) if nothing(other) => a,
            (_, b) if clear(then, &b) => b,
            (a, _) if clear(other, &a) => a,
            (a, b) => {
                let message = format!("\"then\" shows a value of type {a}, and \"else\" one of type {b}");
                return Err(Error::scope(&json_path("$", &then.name), message)
                    .hint("use masks that give one type, or leave \"else\" out: then nothing is shown there"));
            }
        };
        for branch in [then, other] {
            branch.cast |= branch.result_type != ty && !nothing(branch);
            branch.result_type.clone_from(&ty);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
