//! The contract of masks (`docs/masks.md`), one property per line that a mask without a server can break.
//! C4 (settings), C7 (declared in `airlock.masks`), C10 (labels), C13 (golden vectors) and C14 are tested elsewhere, and
//! that the work of C12 is linear in `benches/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};
use ipnet::IpNet;
use pg_airlock::pure::keyring::{MaskKey, RuleKey, Secret};
use pg_airlock::pure::mask::text::{self, FULL};
use pg_airlock::pure::mask::{calendar, literal, value, Context, Mask, Step, Unit};
use pg_airlock::pure::mask::{Alphabet, Kind, Paths, Pattern, Show};
use pg_airlock::pure::plaintext::{PlainType, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

fn rule_key(secret: u8, mask: &str, domain: &str) -> RuleKey {
    MaskKey::derive(&Secret::new([secret; 32])).rule_key(mask, domain)
}

/// Any Unicode up to 4 KiB, with what breaks careless segmentation: joiners, marks, flags, jamo, CR LF, conjuncts.
fn any_text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\u{200d}", "\u{301}", "👩", "🇫", "\r\n", "\r", "\u{1100}", "\u{1161}", "क", "\u{94d}", "\u{fe0f}", "\u{600}",
        " ", "\u{3000}", "a", "é", "٣", "\0", "*",
    ]);
    prop_oneof![
        vec(any::<char>(), 0..1024).prop_map(String::from_iter),
        vec(nasty, 0..600).prop_map(|parts| parts.concat()),
        "[ -~]{0,64}",
        Just(String::new()),
    ]
}

/// A numeric as PostgreSQL prints it.
fn any_numeric() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?",
        "-?9{1,30}\\.9{1,30}",
        Just("NaN".to_owned()),
        Just("Infinity".to_owned()),
        Just("-Infinity".to_owned()),
    ]
}

fn any_date() -> impl Strategy<Value = i32> {
    prop_oneof![any::<i32>(), calendar::MIN_DAYS..=calendar::MAX_DAYS, -40_000..20_000, Just(i32::MIN), Just(i32::MAX)]
}

fn any_micros() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), calendar::MIN_MICROS..calendar::END_MICROS, Just(i64::MIN), Just(i64::MAX)]
}

fn any_value() -> impl Strategy<Value = Hidden> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i16>().prop_map(Value::Int2),
        any::<i32>().prop_map(Value::Int4),
        any::<i64>().prop_map(Value::Int8),
        any::<f32>().prop_map(Value::Float4),
        any::<f64>().prop_map(Value::Float8),
        // a numeric that is none must not break anything either
        prop_oneof![any_numeric(), any_text()].prop_map(Value::Numeric),
        any_text().prop_map(Value::Text),
        any_date().prop_map(Value::Date),
        any_micros().prop_map(Value::Timestamp),
        any_micros().prop_map(Value::Timestamptz),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        any_text().prop_map(Value::Jsonb),
        any_text().prop_map(Value::Json),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(v6, bits)| Value::Inet(IpNet::new(v6.into(), bits).unwrap())),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(v4, bits)| Value::Inet(IpNet::new(v4.into(), bits).unwrap())),
        vec(any::<u8>(), 0..64).prop_map(Value::Bytea),
    ]
    .prop_map(Hidden)
}

/// A value for proptest, which wants `Debug`; what it prints is `Value`'s own, which shows no content.
#[derive(Clone)]
struct Hidden(Value);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&literal::print(&self.0))
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof!["[1-9][0-9]{0,17}", "[0-9]{1,6}\\.[0-9]{0,10}[1-9]", "0\\.0{0,16}[1-9]"]
        .prop_filter_map("a step above 0 of 18 digits", |text| Step::parse(&text))
}

/// From 0 to 1, with at most 15 decimals.
fn any_ratio() -> impl Strategy<Value = Option<Step>> {
    prop_oneof![Just(None), Just(Step::parse("1")), "0\\.[0-9]{0,14}[1-9]".prop_map(|text| Step::parse(&text))]
}

fn any_mask() -> impl Strategy<Value = Mask> {
    let fill = || prop::sample::select(text::FILLS.to_vec());
    prop_oneof![
        Just(Mask::Nullify),
        Just(Mask::Constant { value: "1".to_owned() }),
        (fill(), any::<bool>(), any::<bool>()).prop_map(|(fill, keep_length, space)| Mask::Redact {
            fill,
            keep_length,
            keep_space: keep_length && space
        }),
        (0u32..9, 0u32..9, fill(), 4u32..9).prop_map(|(left, right, fill, min_hidden)| Mask::Partial {
            left,
            right,
            fill,
            min_hidden
        }),
        (1u32..=5).prop_map(|max| Mask::Initials { max }),
        prop::sample::select(Unit::ALL.to_vec()).prop_map(|unit| Mask::DateTrunc { unit }),
        (5i32..=50, 20i32..=100, prop::option::of(1i32..=9_999)).prop_map(|(width, cap, year)| Mask::AgeBand {
            width,
            cap,
            year
        }),
        any_step().prop_map(|step| Mask::Bucket { step }),
        (16u8..=26, any::<bool>()).prop_map(|(length, fold)| Mask::Pseudonym { length, fold }),
        newer_mask(),
    ]
}

fn newer_mask() -> impl Strategy<Value = Mask> {
    let path = |path: &str| Paths::parse(&[path.to_owned()]).unwrap();
    prop_oneof![
        prop::sample::select(Show::ALL.to_vec()).prop_map(|show| Mask::Email { show }),
        (any::<bool>(), 0u32..=4).prop_map(|(country, right)| Mask::Phone { country, right }),
        (0u32..=6, 0u32..=4).prop_map(|(bin, right)| Mask::Card { bin, right }),
        (0u32..=4).prop_map(|right| Mask::Iban { right }),
        any::<bool>().prop_map(|path| Mask::Url { path }),
        (1u32..=6).prop_map(|digits| Mask::RoundSig { digits }),
        Just(Mask::Clamp { low: Some("10".to_owned()), high: Some("20".to_owned()) }),
        Just(Mask::Json { keep: path("$.a[*].**") }),
        Just(Mask::Regex { pattern: Pattern::new("([a-z]*)(.*)", "$1").unwrap() }),
        prop::sample::select(vec![32u32, 64]).prop_map(|bits| Mask::PseudonymInt { bits }),
        Just(Mask::PseudonymUuid),
        prop::sample::select(Alphabet::ALL.to_vec()).prop_map(|alphabet| Mask::Fpe { alphabet }),
        (2u32..=1024).prop_map(|buckets| Mask::HashBucket { buckets }),
        prop::sample::select(Kind::ALL.to_vec()).prop_map(|kind| Mask::Fake { kind }),
        (0u8..=24, 0u8..=56).prop_map(|(v4, v6)| Mask::IpPrefix { v4, v6 }),
        (1u32..=3650).prop_map(|days| Mask::DateShift { days }),
        (any_step(), any_ratio()).prop_map(|(abs, ratio)| Mask::Noise { abs, ratio }),
    ]
}

fn apply(mask: &Mask, value: &Value) -> Option<Value> {
    let key = rule_key(1, mask.name(), "d");
    mask.apply(value, &Context { year: 2026, key: Some(&key), domain: "d", subject: Some(&[Value::Int4(7)]) }).unwrap()
}

fn pseudonym(secret: u8, mask: &str, domain: &str, value: &Value) -> String {
    let key = rule_key(secret, mask, domain);
    match (Mask::Pseudonym { length: 26, fold: false })
        .apply(value, &Context { year: 2026, key: Some(&key), domain: "d", subject: None })
    {
        Ok(Some(Value::Text(out))) => out,
        _ => panic!("a pseudonym is text"),
    }
}

/// The same value for comparing results: NaN equals itself.
fn shown(value: &Option<Value>) -> Option<String> {
    value.as_ref().map(literal::print)
}

/// NaN and out-of-calendar values aside, whether a value is one that PostgreSQL holds.
fn in_range(value: &Value) -> bool {
    match value {
        Value::Date(i32::MIN | i32::MAX) | Value::Timestamp(i64::MIN | i64::MAX) => true,
        Value::Timestamptz(i64::MIN | i64::MAX) => true,
        Value::Date(days) => (calendar::MIN_DAYS..=calendar::MAX_DAYS).contains(days),
        Value::Timestamp(micros) | Value::Timestamptz(micros) => {
            (calendar::MIN_MICROS..calendar::END_MICROS).contains(micros)
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// C1 Total: any mask on any value of any type gives an answer, without a panic and without an error.
    #[test]
    fn c1_total(mask in any_mask(), v in any_value()) {
        apply(&mask, &v.0);
        mask.of_null(v.0.plain_type());
    }

    /// C2 Fail closed: what has no word with a letter has no initials; what is no text shows nothing of itself.
    #[test]
    fn c2_fail_closed(noise in "[0-9 .,:;!?\t-]{0,40}", v in any_value(), mask in any_mask()) {
        prop_assert_eq!(text::initials(&noise, 3), FULL);
        if !mask.properties().accepts.contains(&v.0.plain_type()) && !mask.keyed() {
            let out = shown(&apply(&mask, &v.0));
            prop_assert!(out.is_none() || out.as_deref() == Some(FULL) || out.as_deref() == Some(value::UNKNOWN));
        }
    }

    /// C3 Reveal bound, counted by position: the output is a prefix, fills, a suffix of the input, and the fills are
    /// at least four and at least half of the characters, or the whole.
    #[test]
    fn c3_partial_reveals_at_most_half(v in any_text(), left in 0u32..60, right in 0u32..60, min_hidden in 4u32..20) {
        // the fill cannot be told from the same character of the value
        let v = v.replace('*', "");
        let out = text::partial(&v, left, right, '*', min_hidden);
        let n = v.graphemes(true).count();
        let hidden = out.chars().filter(|c| *c == '*').count();
        let (head, rest) = out.split_once('*').unwrap_or((&out, ""));
        let tail = rest.trim_start_matches('*');
        prop_assert_eq!(out.len(), head.len() + hidden + tail.len(), "the fills are one run");
        prop_assert!(v.starts_with(head) && v.ends_with(tail) && head.len() + tail.len() <= v.len());
        // each window is whole characters of the value, at the value's own boundaries
        let boundaries: HashSet<usize> = v.grapheme_indices(true).map(|(at, _)| at).chain([v.len()]).collect();
        prop_assert!(boundaries.contains(&head.len()) && boundaries.contains(&(v.len() - tail.len())));
        let kept = v[..head.len()].graphemes(true).count() + v[v.len() - tail.len()..].graphemes(true).count();
        prop_assert_eq!(kept + hidden, n);
        prop_assert!(kept == 0 || (hidden >= 4 && hidden >= min_hidden as usize && 2 * hidden >= n));
        prop_assert!(kept == 0 || kept == (left + right) as usize);
    }

    /// C3 for initials: of each word one letter, and only if the word has two or more.
    #[test]
    fn c3_initials_reveal_one_letter_of_two(v in any_text(), max in 1u32..=5) {
        let v = v.replace('*', "");
        let out = text::initials(&v, max);
        let words: Vec<Vec<&str>> = v
            .split(char::is_whitespace)
            .map(|word| word.graphemes(true).filter(|g| g.chars().any(char::is_alphabetic)).collect::<Vec<_>>())
            .filter(|letters| !letters.is_empty())
            .take(max as usize)
            .collect();
        if words.is_empty() {
            prop_assert_eq!(out, FULL);
        } else {
            let wanted: Vec<String> =
                words.iter().map(|word| format!("{}.", if word.len() > 1 { word[0] } else { "*" })).collect();
            prop_assert_eq!(out, wanted.join(" "));
        }
    }

    /// C3 for redact: not one character of the value survives, white space aside where it is asked for.
    #[test]
    fn c3_redact_reveals_nothing(v in any_text(), keep_length in any::<bool>(), space in any::<bool>()) {
        let out = text::redact(&v, '#', keep_length, keep_length && space);
        prop_assert!(out.chars().all(|c| c == '#' || (space && c == ' ')));
        let length = if keep_length { v.graphemes(true).count() } else { 8 };
        prop_assert_eq!(out.len(), length);
    }

    /// C5 Types: the result has the declared type, and its range: what the type can hold and PostgreSQL can read.
    #[test]
    fn c5_typed(mask in any_mask(), v in any_value()) {
        let ty = v.0.plain_type();
        if let Some(out) = apply(&mask, &v.0) {
            prop_assert_eq!(out.plain_type().sql_name(), mask.result_type(ty).sql_name());
            if in_range(&v.0) {
                prop_assert!(in_range(&out));
            }
            if let (Mask::Bucket { .. }, Value::Numeric(out)) = (&mask, &out) {
                let special = matches!(out.as_str(), "NaN" | "Infinity" | "-Infinity");
                prop_assert!(special || out.parse::<BigDecimal>().is_ok());
            }
        } else {
            // the constant 1 is no date and no uuid, and the bounds of clamp are no dates
            let null = matches!(mask, Mask::Nullify | Mask::Constant { .. } | Mask::Clamp { .. })
                // 32 bits are refused for a bigint when the rule is made
                || mask == Mask::PseudonymInt { bits: 32 } && ty == PlainType::Int8;
            prop_assert!(null || !mask.properties().accepts.contains(&ty));
        }
    }

    /// C5 for buckets: the exact floor of the quotient times the step, by an independent decimal arithmetic.
    #[test]
    fn c5_bucket_is_the_exact_floor(v in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?", step in any_step()) {
        let (number, width): (BigDecimal, BigDecimal) = (v.parse().unwrap(), step.to_string().parse().unwrap());
        let out = value::bucket_numeric(&v, &step);
        let bucket: BigDecimal = out.parse().unwrap();
        prop_assert!(bucket <= number && number < &bucket + &width);
        prop_assert_eq!((&bucket / &width).with_scale_round(0, RoundingMode::HalfEven) * &width, bucket);
        let decimals = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        prop_assert_eq!(decimals(&out), decimals(&step.to_string()));
    }

    /// C5 for buckets of integers: as the numeric, clamped to the type.
    #[test]
    fn c5_integer_buckets_clamp(v in prop_oneof![any::<i64>(), Just(i64::MIN)], step in 2i64..) {
        let step = Step::parse(&step.min(10i64.pow(18)).to_string()).unwrap();
        let exact: BigDecimal = value::bucket_numeric(&v.to_string(), &step).parse().unwrap();
        prop_assert_eq!(value::bucket_i64(v, &step, i64::MIN, i64::MAX), exact.to_i64().unwrap_or(i64::MIN));
    }

    /// C5: what keeps order keeps it, infinities included.
    #[test]
    fn c5_order_is_kept(
        a in any_date(), b in any_date(), s in any_micros(), t in any_micros(), x in any::<i64>(), y in any::<i64>(),
        f in any::<f64>(), g in any::<f64>(), unit in prop::sample::select(Unit::ALL.to_vec()), step in any_step(),
    ) {
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(value::date_trunc_days(low, unit) <= value::date_trunc_days(high, unit));
        let (low, high) = (s.min(t), s.max(t));
        prop_assert!(value::date_trunc_micros(low, unit) <= value::date_trunc_micros(high, unit));
        let bucket = |v| value::bucket_i64(v, &step, i64::MIN, i64::MAX);
        prop_assert!(bucket(x.min(y)) <= bucket(x.max(y)));
        if !f.is_nan() && !g.is_nan() {
            prop_assert!(value::bucket_f64(f.min(g), &step) <= value::bucket_f64(f.max(g), &step));
        }
    }

    /// C5 for dates: the result is the start of a unit, not after the value, and cutting again changes nothing.
    #[test]
    fn c5_truncation_is_idempotent(days in any_date(), micros in any_micros(), unit in prop::sample::select(Unit::ALL.to_vec())) {
        let cut = value::date_trunc_days(days, unit);
        prop_assert!(cut <= days.max(calendar::MIN_DAYS));
        prop_assert_eq!(value::date_trunc_days(cut, unit), cut);
        let cut = value::date_trunc_micros(micros, unit);
        prop_assert!(cut <= micros.max(calendar::MIN_MICROS));
        prop_assert_eq!(value::date_trunc_micros(cut, unit), cut);
    }

    /// C6 NULL: it stays NULL in every mask but constant, whose value is there for every type it was checked for.
    #[test]
    fn c6_null_stays_null(mask in any_mask(), v in any_value()) {
        let ty = v.0.plain_type();
        match &mask {
            Mask::Constant { .. } => prop_assert_eq!(shown(&mask.of_null(ty)), shown(&apply(&mask, &v.0))),
            _ => prop_assert!(mask.of_null(ty).is_none()),
        }
    }

    /// C8: two sub-processors, two domains, two masks never share a pseudonym.
    #[test]
    fn c8_keys_domains_and_masks_differ(v in any_value(), a in any::<u8>(), b in any::<u8>(), d in "[a-z.]{0,12}", e in "[a-z.]{0,12}") {
        prop_assume!(a != b && d != e);
        let all = [
            pseudonym(a, "pseudonym", &d, &v.0),
            pseudonym(b, "pseudonym", &d, &v.0),
            pseudonym(a, "pseudonym", &e, &v.0),
            pseudonym(a, "fake", &d, &v.0),
        ];
        prop_assert_eq!(HashSet::from(all.clone()).len(), all.len());
    }

    /// C8: the boundary between mask name and domain is part of the key.
    #[test]
    fn c8_names_do_not_run_together(v in any_value(), name in "[a-z]{2,12}", at in 1usize..12) {
        let at = at.min(name.len() - 1);
        prop_assert_ne!(pseudonym(1, &name[..at], &name[at..], &v.0), pseudonym(1, &name, "", &v.0));
    }

    /// C9: integers of every width and the numerics equal to them share a pseudonym, however they are written.
    #[test]
    fn c9_equal_integers_share(v in any::<i16>(), wide in any::<i64>(), zeros in 0usize..9) {
        let of = |value| pseudonym(1, "pseudonym", "d", &value);
        let written = |text: String| if zeros == 0 { text } else { format!("{text}.{}", "0".repeat(zeros)) };
        let all = [Value::Int2(v), Value::Int4(v.into()), Value::Int8(v.into()), Value::Numeric(written(v.to_string()))];
        prop_assert_eq!(HashSet::from(all.map(of)).len(), 1);
        prop_assert_eq!(of(Value::Int8(wide)), of(Value::Numeric(written(wide.to_string()))));
    }

    /// C9: values that differ in type or content differ, text `1` and integer 1 and the bytes of both included.
    #[test]
    fn c9_types_do_not_collide(v in any::<i64>(), t in any_text(), u in any_text()) {
        let of = |value| pseudonym(1, "pseudonym", "d", &value);
        let all = [
            Value::Int8(v),
            Value::Text(v.to_string()),
            Value::Bytea(v.to_be_bytes().to_vec()),
            Value::Bytea(v.to_string().into_bytes()),
            Value::Timestamp(v),
            Value::Timestamptz(v),
            Value::Numeric(format!("{v}.5")),
            Value::Text(format!("{v}.5")),
        ];
        prop_assert_eq!(HashSet::from(all.clone().map(of)).len(), all.len());
        prop_assert_eq!(t == u, of(Value::Text(t.clone())) == of(Value::Text(u.clone())));
        // moving a boundary between two parts is not a way to the same input
        prop_assert_eq!(of(Value::Text(format!("{t}{u}"))) == of(Value::Text(t.clone())), u.is_empty());
    }

    /// C11: a mask has no memory and no chance in it.
    #[test]
    fn c11_sticky(mask in any_mask(), v in any_value()) {
        let first = shown(&apply(&mask, &v.0));
        for _ in 0..8 {
            prop_assert_eq!(&shown(&apply(&mask, &v.0)), &first);
        }
    }

    /// C12 Bounded: no output is longer than the value plus what a fixed form needs.
    #[test]
    fn c12_output_is_bounded(mask in any_mask(), v in any_text(), n in any_numeric()) {
        for value in [Value::Text(v), Value::Numeric(n)] {
            let size = literal::print(&value).len();
            let out = shown(&apply(&mask, &value)).unwrap_or_default();
            prop_assert!(out.len() <= size + 48, "{} from {}", out.len(), size);
        }
    }
}

#[test]
fn c11_a_thousand_calls_one_result() {
    let key = rule_key(1, "pseudonym", "d");
    let mask = Mask::Pseudonym { length: 26, fold: false };
    let ctx = Context { year: 2026, key: Some(&key), domain: "d", subject: None };
    let results: HashSet<_> = (0..1000).map(|_| shown(&mask.apply(&Value::Int4(7), &ctx).unwrap())).collect();
    assert_eq!(results.len(), 1);
}

#[test]
fn c7_pseudonyms_of_all_int2_are_distinct() {
    let key = rule_key(1, "pseudonym", "d");
    let mask = Mask::Pseudonym { length: 16, fold: false };
    let ctx = Context { year: 2026, key: Some(&key), domain: "d", subject: None };
    let all: HashSet<_> = (i16::MIN..=i16::MAX).map(|v| shown(&mask.apply(&Value::Int2(v), &ctx).unwrap())).collect();
    assert_eq!(all.len(), 65_536);
}

/// Every type has a value in the strategies above, so that C1 means all of them.
#[test]
fn all_types_are_drawn() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let drawn: HashSet<PlainType> =
        (0..1000).map(|_| any_value().new_tree(&mut runner).unwrap().current().0.plain_type()).collect();
    assert_eq!(drawn.len(), 16);
}
