use super::*;
use crate::pure::error::Kind;
use crate::pure::keyring::{MaskKey, Secret};
use crate::pure::plaintext::Value;

fn every_mask() -> Vec<Mask> {
    vec![
        Mask::Nullify,
        Mask::Constant { value: "7".to_owned() },
        Mask::Redact { fill: '#', keep_length: true, keep_space: true },
        Mask::Partial { left: 1, right: 4, fill: '*', min_hidden: 5 },
        Mask::Initials { max: 2 },
        Mask::DateTrunc { unit: Unit::Week },
        Mask::AgeBand { width: 10, cap: 90, year: None },
        Mask::AgeBand { width: 10, cap: 90, year: Some(2026) },
        Mask::Bucket { step: Step::parse("0.25").unwrap() },
        Mask::Bucket { step: Step::parse("10").unwrap() },
        Mask::Email { show: Show::Tld },
        Mask::Phone { country: false, right: 3 },
        Mask::Card { bin: 6, right: 0 },
        Mask::Iban { right: 4 },
        Mask::Url { path: true },
        Mask::RoundSig { digits: 3 },
        Mask::Clamp { low: Some("1".to_owned()), high: None },
        Mask::Clamp { low: None, high: Some("2".to_owned()) },
        Mask::Clamp { low: Some("1".to_owned()), high: Some("2".to_owned()) },
        Mask::Json { keep: Paths::parse(&["$.a".to_owned(), "$.b[*].**".to_owned()]).unwrap() },
        Mask::Regex { pattern: Pattern::new("(a)b", "$1").unwrap() },
        Mask::Pseudonym { length: 26, fold: true },
        Mask::PseudonymInt { bits: 64 },
        Mask::PseudonymInt { bits: 32 },
        Mask::PseudonymUuid,
        Mask::Fpe { alphabet: Alphabet::Alnum },
        Mask::HashBucket { buckets: 7 },
        Mask::Fake { kind: fake::Kind::FullName },
        Mask::IpPrefix { v4: 16, v6: 0 },
        Mask::DateShift { days: 30 },
        Mask::Noise { abs: Step::parse("0.5").unwrap(), ratio: None },
        Mask::Noise { abs: Step::parse("100").unwrap(), ratio: Step::parse("0.125") },
    ]
}

#[test]
fn properties_belong_to_their_mask() {
    for mask in every_mask() {
        let json = mask.to_json();
        assert_eq!(json["mask"], mask.name());
        for member in json.as_object().unwrap().keys().filter(|member| *member != "mask") {
            assert!(mask.properties().arguments.contains(&member.as_str()), "{}: {member}", mask.name());
        }
        let declared = mask.properties().result;
        for ty in mask.properties().accepts {
            let result = mask.result_type(*ty);
            let (first, other) = declared.split_once(", or ").unwrap_or((declared, ""));
            let named = first == result.sql_name() || other.starts_with(result.sql_name());
            assert!(if declared == "same" { result == *ty } else { named }, "{}: {declared}", mask.name());
        }
    }
    let names: std::collections::HashSet<_> = Mask::all().iter().map(|properties| properties.name).collect();
    assert_eq!(names.len(), 26);
}

#[test]
fn json_and_back() {
    for mask in every_mask() {
        assert_eq!(Mask::from_json(&mask.to_json()).unwrap(), mask);
    }
    let partial = Mask::Partial { left: 0, right: 4, fill: '*', min_hidden: 4 };
    let canonical = r#"{"mask":"partial","left":0,"right":4,"fill":"*","min_hidden":4}"#;
    assert_eq!(partial.to_json().to_string(), canonical);
}

#[test]
fn stored_rubbish_is_corrupt() {
    for text in ["1", "{}", r#"{"mask":"nope"}"#, r#"{"mask":"partial"}"#, r#"{"mask":"nullify","x":1}"#] {
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(Mask::from_json(&json).unwrap_err().kind, Kind::Corrupt, "{text}");
    }
}

#[test]
fn a_keyed_mask_needs_its_key_and_no_other_does() {
    let without = Context { year: 2026, key: None, domain: "d", subject: None };
    let key = MaskKey::derive(&Secret::new([1; 32])).rule_key("pseudonym", "d");
    let with = Context { year: 2026, key: Some(&key), domain: "d", subject: None };
    for mask in every_mask() {
        let result = mask.apply(&Value::Text("Ada".to_owned()), &without);
        assert_eq!(result.is_err_and(|error| error.kind == Kind::Locked), mask.keyed());
        assert!(mask.apply(&Value::Text("Ada".to_owned()), &with).is_ok());
    }
}

#[test]
fn a_value_of_another_type_shows_nothing() {
    let ctx = Context { year: 2026, key: None, domain: "d", subject: None };
    let masked = |mask: Mask, value| mask.apply(&value, &ctx).unwrap().map(|masked| literal::print(&masked));
    let redact = Mask::Redact { fill: '*', keep_length: true, keep_space: false };
    assert_eq!(masked(redact, Value::Int4(12)).as_deref(), Some(text::FULL));
    assert_eq!(masked(Mask::Initials { max: 3 }, Value::Bytea(vec![65])).as_deref(), Some(text::FULL));
    assert_eq!(masked(Mask::DateTrunc { unit: Unit::Year }, Value::Int4(12)), None);
    assert_eq!(masked(Mask::Bucket { step: Step::parse("10").unwrap() }, Value::Bool(true)), None);
    let band = Mask::AgeBand { width: 10, cap: 90, year: None };
    assert_eq!(masked(band, Value::Int4(12)).as_deref(), Some(value::UNKNOWN));
}
