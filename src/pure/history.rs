//! What a change changed: the members of two states that differ, with the value before and after.

use serde_json::{Map, Value};

/// The member whose own members are told apart: a scope's rules, by column.
pub const NESTED: &str = "rules";

/// The differences as an object: member → `[before, after]`, members of `rules` as `rules.column`. A state that is not there
/// has no members.
pub fn changed(before: Option<&Value>, after: Option<&Value>) -> Value {
    let (before, after) = (flat(before), flat(after));
    let mut out = Map::new();
    for name in before.keys().chain(after.keys()) {
        let of = |state: &Map<String, Value>| state.get(name).cloned().unwrap_or(Value::Null);
        let (was, is) = (of(&before), of(&after));
        if was != is {
            out.insert(name.clone(), Value::Array(vec![was, is]));
        }
    }
    Value::Object(out)
}

fn flat(state: Option<&Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in state.and_then(Value::as_object).into_iter().flatten() {
        match value.as_object().filter(|_| name == NESTED) {
            Some(members) => {
                out.extend(members.iter().map(|(member, value)| (format!("{NESTED}.{member}"), value.clone())));
            }
            None => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_that_differ() {
        let before = json!({"contract": "A", "networks": [], "rules": {"id": "clear", "email": {"mask": "email"}}});
        let after =
            json!({"contract": "B", "networks": [], "rules": {"id": "clear", "email": "clear", "phone": "clear"}});
        let wanted = json!({
            "contract": ["A", "B"],
            "rules.email": [{"mask": "email"}, "clear"],
            "rules.phone": [null, "clear"],
        });
        assert_eq!(changed(Some(&before), Some(&after)), wanted);
        assert_eq!(changed(Some(&before), Some(&before)), json!({}));
        assert_eq!(changed(None, Some(&json!({"state": "active", "x": null}))), json!({"state": [null, "active"]}));
        assert_eq!(changed(Some(&json!({"rules": {"id": "clear"}})), None), json!({"rules.id": ["clear", null]}));
    }
}
