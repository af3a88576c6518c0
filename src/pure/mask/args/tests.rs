use super::*;

/// Parses `{"mask": …}` for a column of a type; the rule's path is `$.c`.
fn rule(json: &str, ty: PlainType) -> Result<Mask> {
    let mut args: Map<String, Json> = serde_json::from_str(json).unwrap();
    let name = args.shift_remove("mask").unwrap();
    parse(name.as_str().unwrap(), &args, "$.c", ty)
}

#[test]
fn defaults_are_those_of_the_catalogue() {
    use PlainType as T;
    let parsed = |json, ty| rule(json, ty).unwrap().to_json().to_string();
    for (json, ty, canonical) in [
        (r#"{"mask":"nullify"}"#, T::Jsonb, r#"{"mask":"nullify"}"#),
        (r#"{"mask":"redact"}"#, T::Text, r#"{"mask":"redact","fill":"*","keep_length":false,"keep_space":false}"#),
        (
            r#"{"mask":"partial","right":4}"#,
            T::Text,
            r#"{"mask":"partial","left":0,"right":4,"fill":"*","min_hidden":4}"#,
        ),
        (r#"{"mask":"initials"}"#, T::Text, r#"{"mask":"initials","max":3}"#),
        (r#"{"mask":"date_trunc","unit":"day"}"#, T::Timestamp, r#"{"mask":"date_trunc","unit":"day"}"#),
        (r#"{"mask":"age_band"}"#, T::Date, r#"{"mask":"age_band","width":10,"cap":90}"#),
        (r#"{"mask":"age_band","year":2026}"#, T::Date, r#"{"mask":"age_band","width":10,"cap":90,"year":2026}"#),
        (r#"{"mask":"bucket","step":10}"#, T::Int4, r#"{"mask":"bucket","step":10}"#),
        (r#"{"mask":"bucket","step":10.0}"#, T::Int4, r#"{"mask":"bucket","step":10}"#),
        (r#"{"mask":"bucket","step":0.1}"#, T::Float8, r#"{"mask":"bucket","step":0.1}"#),
        (r#"{"mask":"pseudonym"}"#, T::Uuid, r#"{"mask":"pseudonym","length":26,"fold":false}"#),
        (r#"{"mask":"constant","value":"n/a"}"#, T::Text, r#"{"mask":"constant","value":"n/a"}"#),
        (r#"{"mask":"constant","value":7}"#, T::Int2, r#"{"mask":"constant","value":"7"}"#),
        (r#"{"mask":"constant","value":0.1}"#, T::Numeric, r#"{"mask":"constant","value":"0.1"}"#),
        (r#"{"mask":"constant","value":true}"#, T::Bool, r#"{"mask":"constant","value":"true"}"#),
        (r#"{"mask":"constant","value":{"a":[1]}}"#, T::Jsonb, r#"{"mask":"constant","value":"{\"a\":[1]}"}"#),
    ] {
        assert_eq!(parsed(json, ty), canonical);
    }
}

#[test]
fn refusals_name_their_place() {
    use PlainType as T;
    for (json, ty, path) in [
        (r#"{"mask":"scramble"}"#, T::Text, "$.c.mask"),
        (r#"{"mask":"Partial","right":4}"#, T::Text, "$.c.mask"),
        (r#"{"mask":"partial","right":4}"#, T::Int4, "$.c.mask"),
        (r#"{"mask":"bucket","step":10}"#, T::Text, "$.c.mask"),
        (r#"{"mask":"date_trunc","unit":"year"}"#, T::Text, "$.c.mask"),
        (r#"{"mask":"pseudonym"}"#, T::Float8, "$.c.mask"),
        (r#"{"mask":"nullify","x":1}"#, T::Text, "$.c.x"),
        (r#"{"mask":"partial","rihgt":4}"#, T::Text, "$.c.rihgt"),
        (r#"{"mask":"partial","right":4,"a b":1}"#, T::Text, r#"$.c."a b""#),
        (r#"{"mask":"partial"}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","left":0,"right":0}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","right":"4"}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","right":4.5}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","right":-1}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","right":null}"#, T::Text, "$.c.right"),
        (r#"{"mask":"partial","left":99999999999}"#, T::Text, "$.c.left"),
        (r#"{"mask":"partial","left":2,"min_hidden":3}"#, T::Text, "$.c.min_hidden"),
        (r#"{"mask":"partial","left":2,"fill":"o"}"#, T::Text, "$.c.fill"),
        (r#"{"mask":"partial","left":2,"fill":"**"}"#, T::Text, "$.c.fill"),
        (r#"{"mask":"partial","left":2,"fill":""}"#, T::Text, "$.c.fill"),
        (r#"{"mask":"partial","left":2,"fill":1}"#, T::Text, "$.c.fill"),
        (r#"{"mask":"redact","keep_length":1}"#, T::Text, "$.c.keep_length"),
        (r#"{"mask":"redact","keep_space":true}"#, T::Text, "$.c.keep_space"),
        (r#"{"mask":"initials","max":0}"#, T::Text, "$.c.max"),
        (r#"{"mask":"initials","max":6}"#, T::Text, "$.c.max"),
        (r#"{"mask":"date_trunc"}"#, T::Date, "$.c.unit"),
        (r#"{"mask":"date_trunc","unit":7}"#, T::Date, "$.c.unit"),
        (r#"{"mask":"date_trunc","unit":"decade"}"#, T::Date, "$.c.unit"),
        (r#"{"mask":"date_trunc","unit":"day"}"#, T::Date, "$.c.unit"),
        (r#"{"mask":"date_trunc","unit":"hour"}"#, T::Date, "$.c.unit"),
        (r#"{"mask":"age_band","width":4}"#, T::Date, "$.c.width"),
        (r#"{"mask":"age_band","cap":101}"#, T::Date, "$.c.cap"),
        (r#"{"mask":"age_band","year":0}"#, T::Date, "$.c.year"),
        (r#"{"mask":"age_band","year":null}"#, T::Date, "$.c.year"),
        (r#"{"mask":"bucket"}"#, T::Int4, "$.c.step"),
        (r#"{"mask":"bucket","step":"10"}"#, T::Int4, "$.c.step"),
        (r#"{"mask":"bucket","step":1}"#, T::Int4, "$.c.step"),
        (r#"{"mask":"bucket","step":2.5}"#, T::Int4, "$.c.step"),
        (r#"{"mask":"bucket","step":0}"#, T::Numeric, "$.c.step"),
        (r#"{"mask":"bucket","step":-1}"#, T::Numeric, "$.c.step"),
        (r#"{"mask":"bucket","step":1e300}"#, T::Numeric, "$.c.step"),
        (r#"{"mask":"bucket","step":1e-300}"#, T::Float8, "$.c.step"),
        (r#"{"mask":"bucket","step":0.12345678901234567}"#, T::Numeric, "$.c.step"),
        (r#"{"mask":"pseudonym","length":15}"#, T::Text, "$.c.length"),
        (r#"{"mask":"pseudonym","length":27}"#, T::Text, "$.c.length"),
        (r#"{"mask":"pseudonym","fold":true}"#, T::Int4, "$.c.fold"),
        (r#"{"mask":"pseudonym","key":"k"}"#, T::Text, "$.c.key"),
        (r#"{"mask":"constant"}"#, T::Text, "$.c.value"),
        (r#"{"mask":"constant","value":null}"#, T::Text, "$.c.value"),
        (r#"{"mask":"constant","value":7}"#, T::Text, "$.c.value"),
        (r#"{"mask":"constant","value":"n/a"}"#, T::Int4, "$.c.value"),
        (r#"{"mask":"constant","value":32768}"#, T::Int2, "$.c.value"),
        (r#"{"mask":"constant","value":1.23456789012345678}"#, T::Numeric, "$.c.value"),
        (r#"{"mask":"constant","value":"today"}"#, T::Date, "$.c.value"),
        (r#"{"mask":"constant","value":"1970-01-01 00:00:00"}"#, T::Timestamptz, "$.c.value"),
    ] {
        let error = rule(json, ty).expect_err(json);
        assert_eq!(error.kind, Kind::ScopeRefused, "{json}");
        assert_eq!(error.detail.as_deref(), Some(format!("at {path}").as_str()), "{json}");
        assert!(error.hint.as_deref().is_some_and(|hint| !hint.is_empty()), "{json}");
        assert!(error.message.starts_with(char::is_lowercase) && !error.message.ends_with('.'), "{json}");
    }
}

#[test]
fn hints_list_what_is_allowed() {
    let hint = |json, ty| rule(json, ty).unwrap_err().hint.unwrap();
    assert_eq!(
        hint(r#"{"mask":"scramble"}"#, PlainType::Text),
        "use one of: nullify, constant, redact, partial, email, phone, card, iban, initials, ip_prefix, url, date_trunc, age_band, bucket, round_sig, clamp, json, regex, pseudonym, pseudonym_int, pseudonym_uuid, fpe, fake, hash_bucket, date_shift, noise"
    );
    assert_eq!(
        hint(r#"{"mask":"partial"}"#, PlainType::Int4),
        "\"partial\" takes text; such a column can use: nullify, constant, bucket, round_sig, clamp, pseudonym, pseudonym_int, hash_bucket, noise"
    );
    assert_eq!(
        hint(r#"{"mask":"date_trunc","unit":"day"}"#, PlainType::Date),
        "use one of: year, quarter, month, week"
    );
    assert_eq!(
        hint(r#"{"mask":"partial","length":1}"#, PlainType::Text),
        "\"partial\" takes: left, right, fill, min_hidden"
    );
    assert_eq!(hint(r#"{"mask":"pseudonym","length":27}"#, PlainType::Text), "use an integer from 16 to 26");
}

#[test]
fn calls_from_sql_are_checked_alike() {
    assert_eq!(Mask::redact_args("#", true, true), Ok('#'));
    assert_eq!(Mask::partial_args(0, 4, "*", 4), Ok((0, 4, '*', 4)));
    assert_eq!(Mask::initials_args(5), Ok(5));
    assert_eq!(Mask::date_trunc_args("hour", PlainType::Timestamptz), Ok(Unit::Hour));
    assert_eq!(Mask::age_band_args(2026, 5, 100), Ok(()));
    assert_eq!(Mask::bucket_args("0.50", PlainType::Numeric).unwrap().to_string(), "0.50");
    assert_eq!((Mask::email_args("tld"), Mask::phone_args(4)), (Ok(Show::Tld), Ok(4)));
    assert_eq!((Mask::card_args(6, 4), Mask::iban_args(0), Mask::round_sig_args(6)), (Ok((6, 4)), Ok(0), Ok(6)));
    assert_eq!((Mask::clamp_args(true, false, true), Mask::clamp_args(true, true, true)), (Ok(()), Ok(())));
    let refused = [
        Mask::redact_args("", false, false).err(),
        Mask::redact_args("*", false, true).err(),
        Mask::partial_args(0, 0, "*", 4).err(),
        Mask::partial_args(-1, 4, "*", 4).err(),
        Mask::partial_args(1, 4, "*", 0).err(),
        Mask::initials_args(0).err(),
        Mask::date_trunc_args("day", PlainType::Date).err(),
        Mask::date_trunc_args("", PlainType::Timestamp).err(),
        Mask::age_band_args(0, 10, 90).err(),
        Mask::age_band_args(2026, 51, 90).err(),
        Mask::age_band_args(2026, 10, 19).err(),
        Mask::bucket_args("1", PlainType::Int8).err(),
        Mask::bucket_args("NaN", PlainType::Numeric).err(),
        Mask::bucket_args("0", PlainType::Numeric).err(),
        Mask::email_args("all").err(),
        Mask::phone_args(5).err(),
        Mask::card_args(7, 4).err(),
        Mask::card_args(0, -1).err(),
        Mask::iban_args(5).err(),
        Mask::round_sig_args(0).err(),
        Mask::clamp_args(false, false, true).err(),
        Mask::clamp_args(true, true, false).err(),
        Mask::json_args(&[]).err(),
        Mask::json_args(&["plan".to_owned()]).err(),
        Mask::regex_args("(", "").err(),
        Mask::regex_args("a", "$0").err(),
    ];
    for (index, error) in refused.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("number {index} was taken"));
        assert_eq!(error.kind, Kind::InvalidArgument);
        assert!(error.hint.is_some() && error.detail.is_none());
    }
}
