//! Runs `tests/vectors/mask/NAME.txt`: what a mask once answered it answers for ever (C13).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use pg_airlock::pure::keyring::{MaskKey, Secret};
use pg_airlock::pure::mask::{literal, Context, Mask};
use pg_airlock::pure::plaintext::{PlainType, Value};
use serde_json::Value as Json;

/// Runs the file of one mask and gives the number of its vectors.
fn run(name: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/mask/{name}.txt"));
    let file = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let secret = Secret::new(std::array::from_fn(|index| index as u8));
    let key = MaskKey::derive(&secret).rule_key(name, "public.customers.id");
    let subject = [Value::Int8(42)];
    let ctx = Context { year: 2026, key: Some(&key), domain: "public.customers.id", subject: Some(&subject) };
    let mut count = 0;
    for (number, line) in file.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let place = format!("{name}.txt:{}: {line}", number + 1);
        let columns: Vec<&str> = line.split('\t').collect();
        let [args, ty, input, output] = columns[..] else { panic!("{place}: four columns") };
        let args: Json = serde_json::from_str(args).expect(&place);
        let input: Option<String> = serde_json::from_str(input).expect(&place);
        let ty = PlainType::from_name(ty).expect(&place);
        count += 1;
        let parsed = Mask::parse(name, args.as_object().expect(&place), "$.col", ty);
        if let Some(at) = output.strip_prefix("AL010 ") {
            let error = parsed.expect_err(&place);
            assert_eq!(error.kind.sqlstate(), "AL010", "{place}");
            assert_eq!(error.detail.as_deref(), Some(format!("at {at}").as_str()), "{place}");
            continue;
        }
        let mask = parsed.expect(&place);
        let masked = match input {
            None => mask.of_null(ty),
            Some(text) => mask.apply(&literal::parse(ty, &text).expect(&place), &ctx).expect(&place),
        };
        if let Some(value) = &masked {
            assert_eq!(value.plain_type(), mask.result_type(ty), "{place}");
        }
        let wanted: Option<String> = serde_json::from_str(output).expect(&place);
        assert_eq!(masked.map(|value| literal::print(&value)), wanted, "{place}");
        // what the catalog stores is the same mask
        assert_eq!(Mask::from_json(&mask.to_json()).expect(&place), mask, "{place}");
    }
    count
}

/// The number of vectors is part of the test: a file that lost lines is no green test.
#[test]
fn every_vector_holds() {
    let counts = [
        ("nullify", 6),
        ("constant", 11),
        ("redact", 11),
        ("partial", 16),
        ("email", 47),
        ("phone", 46),
        ("card", 29),
        ("iban", 28),
        ("initials", 12),
        ("ip_prefix", 41),
        ("url", 45),
        ("date_trunc", 18),
        ("age_band", 13),
        ("bucket", 24),
        ("round_sig", 25),
        ("clamp", 24),
        ("json", 73),
        ("regex", 21),
        ("pseudonym", 27),
        ("pseudonym_int", 30),
        ("pseudonym_uuid", 6),
        ("fpe", 56),
        ("fake", 59),
        ("hash_bucket", 13),
        ("date_shift", 29),
        ("noise", 103),
    ];
    for (name, count) in counts {
        assert_eq!(run(name), count, "{name}");
    }
    let names: Vec<&str> = Mask::all().iter().map(|properties| properties.name).collect();
    assert_eq!(names, counts.map(|(name, _)| name), "every mask has its vectors");
}
