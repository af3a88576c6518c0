use serde_json::json;

use super::*;
use crate::pure::class::Class;
use crate::pure::error::Kind;

fn table() -> TableShape {
    let column = |name: &str, plain: Option<PlainType>| Column {
        name: name.into(),
        sql_type: plain.map_or("point".into(), |p| p.sql_name().into()),
        plain,
        encrypted: None,
        not_null: false,
        computed: false,
    };
    TableShape {
        schema: "public".into(),
        name: "customers".into(),
        columns: vec![
            column("id", Some(PlainType::Int8)),
            column("email", Some(PlainType::Text)),
            column("born", Some(PlainType::Date)),
            column("e mail", Some(PlainType::Text)),
            column("spot", None),
        ],
        ..TableShape::default()
    }
}

fn known(labels: &[(&str, &str)]) -> Classified {
    let class =
        |name: &str, mask: Option<Value>, forbid_clear| Class { name: name.into(), own: false, mask, forbid_clear };
    Classified {
        columns: labels
            .iter()
            .map(|(column, label)| {
                let labels = Labels { class: Some(label.to_string()), all: BTreeSet::from([label.to_string()]) };
                (column.to_string(), labels)
            })
            .collect(),
        classes: Classes(vec![
            class("pii", None, true),
            class("pii.contact", Some(json!({"mask": "email", "null_as": "none"})), false),
            class("date", Some(json!({"mask": "date_trunc", "unit": "year"})), false),
        ]),
        absent: false,
    }
}

fn expanded(rules: Value, labels: &[(&str, &str)]) -> Result<(Value, BTreeMap<String, Taken>)> {
    expand(&rules, &known(labels), &table(), "acme")
}

#[test]
fn default_becomes_the_mask_of_the_class() {
    let rules = json!({"id": "clear", "email": "default", "born": "default"});
    let (given, taken) = expanded(rules, &[("email", "pii.contact.email"), ("born", "date")]).unwrap();
    let email = json!({"mask": "email", "null_as": "none"});
    assert_eq!(given, json!({"id": "clear", "email": email, "born": {"mask": "date_trunc", "unit": "year"}}));
    assert_eq!(taken["email"], Taken { class: "pii.contact.email".into(), mask: email });
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["born", "email"]);
    let order: Vec<_> = given.as_object().unwrap().keys().cloned().collect();
    assert_eq!(order, ["id", "email", "born"]);
}

#[test]
fn default_in_branches_and_nowhere_else() {
    let email = json!({"mask": "email", "null_as": "none"});
    let when = json!({"when": "ok", "then": "default", "else": {"when": "no", "else": "default"}});
    let (given, _) = expanded(json!({ "email": when }), &[("email", "pii.contact")]).unwrap();
    assert_eq!(given, json!({"email": {"when": "ok", "then": email, "else": {"when": "no", "else": email}}}));
    for word in ["default", "clear"] {
        for other in [
            json!({"mask": "constant", "value": word}),
            json!({"mask": word, "then": word}),
            json!([word]),
            json!(null),
        ] {
            assert!(!takes_default(&other) && !shows_clear(&other), "{other}");
            assert_eq!(expanded(json!({ "email": other }), &[]).unwrap().0, json!({ "email": other }));
        }
    }
    assert!(shows_clear(&json!("clear")) && shows_clear(&json!({"when": "x", "then": "clear"})));
    assert!(shows_clear(&json!({"when": "x", "else": {"when": "y", "else": "clear"}})));
}

#[test]
fn no_default_is_refused_at_the_path() {
    let refused = |rules: Value, labels: &[(&str, &str)]| {
        let error = expanded(rules, labels).unwrap_err();
        assert_eq!(error.kind, Kind::ScopeRefused);
        (error.detail.unwrap(), error.message, error.hint.unwrap())
    };
    let (path, message, hint) = refused(json!({"e mail": "default"}), &[]);
    assert_eq!(path, "at $.\"e mail\"");
    assert!(message.contains("has no class"), "{message}");
    assert!(hint.contains("SECURITY LABEL FOR airlock ON COLUMN \"public\".\"customers\".\"e mail\" IS"), "{hint}");
    let (path, message, hint) = refused(json!({"email": "default"}), &[("email", "pii.health")]);
    assert_eq!(path, "at $.email");
    assert!(message.contains("\"pii.health\"") && message.contains("\"acme\""), "{message}");
    assert!(hint.contains("airlock.set_class('pii.health'"), "{hint}");
    let (path, message, _) = refused(json!({"born": "default"}), &[("born", "pii.contact")]);
    assert_eq!(path, "at $.born");
    assert!(message.contains("\"pii.contact\"") && message.contains("does not take"), "{message}");
    // a column that is not there is for the parser to name
    assert!(expanded(json!({"nope": "default"}), &[]).is_ok());
    assert!(expanded(json!([]), &[]).is_ok());
}

#[test]
fn clear_is_refused_for_the_class_and_its_sub_classes() {
    let check = |rules: Value, known: &Classified| check_clear(&parse(&rules, &table()).unwrap(), known);
    for label in ["pii", "pii.contact", "pii.contact.email"] {
        let error = check(json!({"id": "clear", "email": "clear"}), &known(&[("email", label)])).unwrap_err();
        assert_eq!((error.kind, error.detail.as_deref()), (Kind::ScopeRefused, Some("at $.email")));
        assert!(error.message.contains("class \"pii\"") && error.message.contains("\"email\""), "{}", error.message);
        assert_eq!(error.message.contains(&format!("whose class is \"{label}\"")), label != "pii");
    }
    assert!(check(json!({"id": "clear", "email": {"mask": "email"}}), &known(&[("email", "pii")])).is_ok());
    assert!(check(json!({"email": "clear"}), &known(&[("email", "piit")])).is_ok());
    assert!(check(json!({"email": "clear"}), &known(&[("born", "pii")])).is_ok());
    // of a partition's label, though the table has another
    let mut both = known(&[("email", "date")]);
    both.columns.get_mut("email").unwrap().all.insert("pii.contact".into());
    assert!(check(json!({"email": "clear"}), &both).is_err());
}

#[test]
fn defaults_are_checked_as_far_as_they_can_be() {
    for good in [
        json!({"mask": "redact"}),
        json!({"mask": "date_trunc", "unit": "day"}),
        json!({"mask": "date_trunc", "unit": "year", "null_as": "1970-01-01"}),
        json!({"mask": "bucket", "step": 0.5}),
        json!({"mask": "pseudonym", "domain": "contact", "fold": true}),
        json!({"mask": "pseudonym_uuid"}),
        json!({"mask": "json", "keep": ["$.plan"]}),
        json!({"mask": "nullify"}),
        json!({"mask": "constant", "value": 7, "allow_duplicates": true}),
    ] {
        assert_eq!(check_default(&good), Ok(()), "{good}");
    }
    for (bad, at) in [
        (json!("clear"), "at $"),
        (json!("default"), "at $"),
        (json!(null), "at $"),
        (json!([]), "at $"),
        (json!({}), "at $"),
        (json!({"mask": 1}), "at $.mask"),
        (json!({"mask": "nope"}), "at $.mask"),
        (json!({"mask": "clear"}), "at $.mask"),
        (json!({"mask": "partial", "right": "4"}), "at $.right"),
        (json!({"mask": "redact", "rihgt": 4}), "at $.rihgt"),
        (json!({"mask": "date_trunc", "unit": "aeon"}), "at $.unit"),
        (json!({"mask": "date_trunc"}), "at $.unit"),
        (json!({"mask": "bucket", "step": -1}), "at $.step"),
        (json!({"mask": "redact", "domain": "x"}), "at $.domain"),
        (json!({"mask": "redact", "allow_duplicates": 1}), "at $.allow_duplicates"),
        (json!({"mask": "pseudonym", "domain": "a\0b"}), "at $.domain"),
    ] {
        let error = check_default(&bad).unwrap_err();
        assert_eq!((error.kind, error.detail.as_deref()), (Kind::ScopeRefused, Some(at)), "{bad}: {}", error.message);
        assert!(error.hint.is_some(), "{bad}");
    }
}

#[test]
fn every_mask_can_be_a_default_somewhere() {
    use crate::pure::mask::Mask;
    for properties in Mask::all() {
        let found = TRIED.iter().any(|plain| properties.accepts.contains(plain));
        assert!(found, "{} takes no type that is tried", properties.name);
    }
}

#[test]
fn a_proposal_has_the_classified_columns_only() {
    let known = known(&[("email", "pii.contact"), ("born", "pii.contact"), ("e mail", "pii.health"), ("spot", "date")]);
    let (rules, left_out) = propose(&known, &table());
    assert_eq!(rules, json!({"email": "default"}));
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out[0].starts_with("\"born\": ") && left_out[1].starts_with("\"spot\": "), "{left_out:?}");
    assert_eq!(propose(&Classified::default(), &table()).0, json!({}));
}
