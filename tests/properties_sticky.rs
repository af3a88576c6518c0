//! The contract of masks (`docs/masks.md`) for those that follow the data subject, and for addresses: what is drawn is the same in
//! every read, bounded, and another for another person, value or width.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bigdecimal::BigDecimal;
use ipnet::IpNet;
use pg_airlock::pure::keyring::{MaskKey, RuleKey, Secret};
use pg_airlock::pure::mask::{calendar, literal, Context, Mask, Step};
use pg_airlock::pure::plaintext::Value;
use proptest::prelude::*;

fn rule_key(secret: u8, mask: &str, domain: &str) -> RuleKey {
    MaskKey::derive(&Secret::new([secret; 32])).rule_key(mask, domain)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof!["[1-9][0-9]{0,17}", "[0-9]{1,6}\\.[0-9]{0,10}[1-9]", "0\\.0{0,16}[1-9]"]
        .prop_filter_map("a step above 0 of 18 digits", |text| Step::parse(&text))
}

/// From 0 to 1, with at most 15 decimals.
fn any_ratio() -> impl Strategy<Value = Option<Step>> {
    prop_oneof![Just(None), Just(Step::parse("1")), "0\\.[0-9]{0,14}[1-9]".prop_map(|text| Step::parse(&text))]
}

fn shown_text(value: &Option<Value>) -> String {
    value.as_ref().map(literal::print).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// C11 and the bound of noise: at most w and half a unit from the value, with the decimals of `abs`, for 0 as well; another
    /// subject, another value, another noise.
    #[test]
    fn c11_noise_is_bounded(v in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?", abs in any_step(), ratio in any_ratio(), who in any::<i64>()) {
        let key = rule_key(1, "noise", "d");
        let subject = [Value::Int8(who)];
        let ctx = Context { year: 2026, key: Some(&key), domain: "d", subject: Some(&subject) };
        let mask = Mask::Noise { abs, ratio };
        let Some(Value::Numeric(out)) = mask.apply(&Value::Numeric(v.clone()), &ctx).unwrap() else { panic!("a numeric") };
        let (value, shown): (BigDecimal, BigDecimal) = (v.parse().unwrap(), out.parse().unwrap());
        let decimals = |text: &str| text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        prop_assert_eq!(decimals(&out), decimals(&abs.to_string()));
        let width = |step: &Step| step.to_string().parse::<BigDecimal>().unwrap();
        let share = ratio.as_ref().map_or(BigDecimal::from(0), |ratio| width(ratio) * value.abs());
        let half_unit = BigDecimal::new(5.into(), decimals(&out) as i64 + 1);
        prop_assert!((&shown - &value).abs() <= width(&abs).max(share) + &half_unit, "{out}");
        let other = [Value::Int8(who.wrapping_add(1))];
        let ctx = Context { subject: Some(&other), ..ctx };
        let wide = Mask::Noise { abs: Step::parse("1000000000000000000").unwrap(), ratio: None };
        let noise = |ctx: &Context| shown_text(&wide.apply(&Value::Numeric(v.clone()), ctx).unwrap());
        prop_assert_ne!(noise(&ctx), noise(&Context { subject: Some(&subject), ..ctx }));
        // two widths are two samples, not twice the same one
        let sample = |width: &str| -> BigDecimal {
            let mask = Mask::Noise { abs: Step::parse(width).unwrap(), ratio: None };
            shown_text(&mask.apply(&Value::Numeric(v.clone()), &ctx).unwrap()).parse().unwrap()
        };
        let (one, two) = (sample("100000000000000000"), sample("200000000000000000"));
        prop_assert!((BigDecimal::from(2) * one - two - &value).abs() > half_unit * 1_000_000);
    }

    /// C11: a subject's days are the same for each of its dates, so that distances stay; never 0, never more than allowed.
    #[test]
    fn c11_shifts_keep_distances(days in 1u32..=3650, a in -700_000i32..700_000, b in -700_000i32..700_000, who in any::<i64>()) {
        let key = rule_key(1, "date_shift", "subject");
        let subject = [Value::Int8(who), Value::Text("x".to_owned())];
        let ctx = Context { year: 2026, key: Some(&key), domain: "subject", subject: Some(&subject) };
        let shift = |value: Value| (Mask::DateShift { days }).apply(&value, &ctx).unwrap();
        let (Some(Value::Date(x)), Some(Value::Date(y))) = (shift(Value::Date(a)), shift(Value::Date(b))) else { panic!("dates") };
        prop_assert_eq!(x - a, y - b);
        prop_assert!(x != a && (x - a).unsigned_abs() <= days);
        let at = i64::from(a) * calendar::DAY + 12_345;
        let Some(Value::Timestamp(z)) = shift(Value::Timestamp(at)) else { panic!("a timestamp") };
        prop_assert_eq!(z - at, i64::from(x - a) * calendar::DAY);
        let nobody = Context { subject: None, ..ctx };
        let mask = Mask::DateShift { days };
        prop_assert!(mask.apply(&Value::Date(a), &nobody).unwrap().is_none());
    }

    /// The network of an address holds the address, and as text says the same.
    #[test]
    fn ip_prefix_is_the_network(v4 in any::<[u8; 4]>(), bits in 0u8..=32, keep in 0u8..=24) {
        let net = IpNet::new(v4.into(), bits).unwrap();
        let mask = Mask::IpPrefix { v4: keep, v6: 48 };
        let ctx = Context { year: 2026, key: None, domain: "", subject: None };
        let Some(Value::Inet(shown)) = mask.apply(&Value::Inet(net), &ctx).unwrap() else { panic!("an inet") };
        prop_assert!(shown.contains(&net) && shown.prefix_len() == bits.min(keep) && shown.addr() == shown.network());
        let Some(Value::Text(text)) = mask.apply(&Value::Text(net.to_string()), &ctx).unwrap() else { panic!("a text") };
        prop_assert_eq!(text, shown.to_string());
    }
}
