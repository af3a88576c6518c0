//! Masks without a key as SQL functions: thin wrappers around `pure::mask`, usable in anybody's views.
//!
//! One C function serves all overloads of a name; which one it is, is read once per call site off the declaration. The
//! work is done on typed values, never on text that a setting could reshape.

mod formats;
mod numbers;

use crate::pg::sys::{catalog, Args, Raw, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::value::{
    age_band, bucket_f32, bucket_f64, bucket_i64, bucket_numeric, date_trunc_days, date_trunc_micros, year_of_days,
    year_of_micros, Step, Unit,
};
use crate::pure::mask::{text, Mask};
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use pgrx::{pg_sys, AnyNumeric};

sql_function!(
    /// `airlock.mask_nullify(value anyelement) → anyelement`: NULL.
    airlock_mask_nullify,
    |_args| Ok(None::<Raw>)
);

sql_function!(
    /// `airlock.mask_constant(value anyelement, constant anyelement) → anyelement`: the constant, for NULL too.
    airlock_mask_constant,
    |args| Ok(args.datum(1).map(Raw))
);

sql_function!(
    /// `airlock.mask_redact(value text, fill text, keep_length boolean, keep_space boolean) → text`: fills.
    airlock_mask_redact,
    |args| {
        let (value, fill): (&str, &str) = (args.need(0, "value")?, args.need(1, "fill")?);
        let (keep_length, keep_space) = (args.need(2, "keep_length")?, args.need(3, "keep_space")?);
        let fill = Mask::redact_args(fill, keep_length, keep_space)?;
        Ok(Sql(text::redact(value, fill, keep_length, keep_space)))
    }
);

sql_function!(
    /// `airlock.mask_partial(value text, "left" integer, "right" integer, fill text, min_hidden integer) → text`: the
    /// ends of a text, where enough stays hidden.
    airlock_mask_partial,
    |args| {
        let value: &str = args.need(0, "value")?;
        let (left, right) = (args.need(1, "left")?, args.need(2, "right")?);
        let (fill, min_hidden): (&str, i32) = (args.need(3, "fill")?, args.need(4, "min_hidden")?);
        let (left, right, fill, min_hidden) = Mask::partial_args(left, right, fill, min_hidden)?;
        Ok(Sql(text::partial(value, left, right, fill, min_hidden)))
    }
);

sql_function!(
    /// `airlock.mask_initials(value text, max integer) → text`: first letters of words.
    airlock_mask_initials,
    |args| {
        let value: &str = args.need(0, "value")?;
        Ok(Sql(text::initials(value, Mask::initials_args(args.need(1, "max")?)?)))
    }
);

sql_function!(
    /// `airlock.mask_date_trunc(value date | timestamp | timestamptz, unit text) → the same`: the start of a calendar
    /// unit, in UTC.
    airlock_mask_date_trunc,
    |args| {
        let unit: &str = args.need(1, "unit")?;
        let plain = known_overload(args)?;
        let unit: Unit = Mask::date_trunc_args(unit, plain)?;
        let cut = match plain {
            PlainType::Date => pg_sys::Datum::from(date_trunc_days(days(args)?, unit)),
            _ => pg_sys::Datum::from(date_trunc_micros(micros(args)?, unit)),
        };
        Ok(Raw(cut))
    }
);

sql_function!(
    /// `airlock.mask_age_band(value date | timestamp | timestamptz, year integer, width integer, cap integer) → text`:
    /// a band of years of age, by year of birth.
    airlock_mask_age_band,
    |args| {
        let (year, width, cap) = (args.need(1, "year")?, args.need(2, "width")?, args.need(3, "cap")?);
        Mask::age_band_args(year, width, cap)?;
        let born = match known_overload(args)? {
            PlainType::Date => year_of_days(days(args)?),
            _ => year_of_micros(micros(args)?),
        };
        Ok(Sql(age_band(born, year, width, cap)))
    }
);

sql_function!(
    /// `airlock.mask_bucket(value number, step numeric) → the same`: the lower end of a bucket, in exact decimals.
    airlock_mask_bucket,
    bucket
);

/// What a call site of `mask_bucket` keeps: the step, with the bytes it was read from. A step is nearly always constant.
type LastStep = Option<(PlainType, Vec<u8>, Step)>;

fn bucket(args: Args) -> Result<Raw> {
    let given = args.bytes(1).unwrap_or_default();
    let site = args.site::<LastStep>(|| None);
    let (plain, step) = match site {
        Some((plain, bytes, step)) if *bytes == given => (*plain, *step),
        _ => {
            let plain = overload(args)?;
            let step = Mask::bucket_args(&args.need::<AnyNumeric>(1, "step")?.to_string(), plain)?;
            *site = Some((plain, given, step));
            (plain, step)
        }
    };
    let integer = |value: i64, min: i64, max: i64| bucket_i64(value, &step, min, max);
    Ok(Raw(match plain {
        PlainType::Int2 => {
            pg_sys::Datum::from(integer(args.need::<i16>(0, "value")?.into(), i16::MIN.into(), i16::MAX.into()) as i16)
        }
        PlainType::Int4 => {
            pg_sys::Datum::from(integer(args.need::<i32>(0, "value")?.into(), i32::MIN.into(), i32::MAX.into()) as i32)
        }
        PlainType::Int8 => pg_sys::Datum::from(integer(args.need(0, "value")?, i64::MIN, i64::MAX)),
        PlainType::Float4 => pgrx_datum(bucket_f32(args.need(0, "value")?, &step))?,
        PlainType::Float8 => pgrx_datum(bucket_f64(args.need(0, "value")?, &step))?,
        _ => {
            // numeric_out and numeric_in: their text is the same under every setting
            let masked = bucket_numeric(&args.need::<AnyNumeric>(0, "value")?.to_string(), &step);
            let masked = AnyNumeric::try_from(masked.as_str())
                .map_err(|_| Error::new(Kind::OutOfRange, "a bucket is outside the range of numeric"))?;
            pgrx_datum(masked)?
        }
    }))
}

fn pgrx_datum<T: pgrx::IntoDatum>(value: T) -> Result<pg_sys::Datum> {
    value.into_datum().ok_or_else(|| Error::new(Kind::Corrupt, "a mask gave no value"))
}

/// The type of the first argument, as declared for the overload that this call site names.
fn overload(args: Args) -> Result<PlainType> {
    let declared = catalog::declared_type(args, 0);
    let plain = match declared {
        pg_sys::DATEOID => PlainType::Date,
        pg_sys::TIMESTAMPOID => PlainType::Timestamp,
        pg_sys::TIMESTAMPTZOID => PlainType::Timestamptz,
        pg_sys::INT2OID => PlainType::Int2,
        pg_sys::INT4OID => PlainType::Int4,
        pg_sys::INT8OID => PlainType::Int8,
        pg_sys::FLOAT4OID => PlainType::Float4,
        pg_sys::FLOAT8OID => PlainType::Float8,
        pg_sys::NUMERICOID => PlainType::Numeric,
        _ => return Err(Error::new(Kind::Mismatch, "this mask does not take a value of that type")),
    };
    Ok(plain)
}

/// The same, looked up once per call site. Not for a mask that keeps something else there.
fn known_overload(args: Args) -> Result<PlainType> {
    let site = args.site::<Option<PlainType>>(|| None);
    match *site {
        Some(plain) => Ok(plain),
        None => Ok(*site.insert(overload(args)?)),
    }
}

/// A date as days since 2000-01-01, the infinities included.
fn days(args: Args) -> Result<i32> {
    args.datum(0).map(|d| d.value() as i32).ok_or_else(null)
}

/// A timestamp as microseconds since 2000-01-01, the infinities included.
fn micros(args: Args) -> Result<i64> {
    args.datum(0).map(|d| d.value() as i64).ok_or_else(null)
}

fn null() -> Error {
    Error::new(Kind::InvalidArgument, "argument \"value\" must not be null")
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs)] // reason: tests write, and may fail loudly
mod tests {
    use pgrx::prelude::*;

    fn text(sql: &str) -> String {
        Spi::get_one::<String>(&format!("SELECT ({sql})::text")).unwrap().unwrap_or_else(|| "NULL".into())
    }

    #[pg_test]
    fn masks_serve_every_overload() {
        for (call, wanted) in [
            ("airlock.mask_nullify(1)", "NULL"),
            ("airlock.mask_constant(NULL::int, 5)", "5"),
            ("airlock.mask_redact('Ada Lovelace', '#', true, true)", "### ########"),
            ("airlock.mask_redact(NULL::text)", "NULL"),
            ("airlock.mask_partial('0639980123', 2, 2)", "06******23"),
            ("airlock.mask_partial('abc  '::char(5), 1)", "***"),
            ("airlock.mask_initials('Ada Lovelace')", "A. L."),
            ("airlock.mask_date_trunc(date '1989-12-29', 'quarter')", "1989-10-01"),
            ("airlock.mask_date_trunc(date '-infinity', 'year')", "-infinity"),
            ("airlock.mask_date_trunc(timestamp '2026-03-01 23:30', 'hour')", "2026-03-01 23:00:00"),
            ("airlock.mask_age_band(date '1989-12-29', 2026)", "30-39"),
            ("airlock.mask_age_band(timestamptz 'infinity', 2026)", "unknown"),
            ("airlock.mask_bucket(47::smallint, 10)", "40"),
            ("airlock.mask_bucket(-2147483648, 10)", "-2147483648"),
            ("airlock.mask_bucket(-5::bigint, 10)", "-10"),
            ("airlock.mask_bucket(49.9, 0.5)", "49.5"),
            ("airlock.mask_bucket('-Infinity'::numeric, 10)", "-Infinity"),
            ("airlock.mask_bucket(0.3::double precision, 0.1)", "0.3"),
            ("airlock.mask_bucket('NaN'::real, 10)", "NaN"),
            ("airlock.mask_email('ada.lovelace+news@example.com', 'first')", "a***@example.com"),
            ("airlock.mask_email('ada@example.com')", "***@example.com"),
            ("airlock.mask_phone('+33 6 39 98 01 23')", "+33 * ** ** ** 23"),
            ("airlock.mask_phone('+33 6 39 98 01 23', false, 0)", "+** * ** ** ** **"),
            ("airlock.mask_card('4111 1111 1111 1111', 6)", "4111 11** **** 1111"),
            ("airlock.mask_iban('DE89370400440532013000', 4)", "DE****************3000"),
            ("airlock.mask_url('https://ada:pw@shop.example.com:8443/o/42?t=1#x', true)", "https://shop.example.com/o/42"),
            ("airlock.mask_regex('AB-1234567', '([A-Z]{2})-[0-9]{7}', '$1-*******')", "AB-*******"),
            ("(SELECT string_agg(airlock.mask_regex(v, p, 'x'), ',') FROM (VALUES ('a', 'a'), ('b', 'a'), ('b', 'b')) AS t (v, p))", "x,********,x"),
            ("airlock.mask_json('{\"ssn\": \"1\", \"n\": 2.50}'::jsonb, '{$.n}')", "{\"n\": 2.50}"),
            ("airlock.mask_json('[1, 2]'::jsonb, '{$.n}')", "null"),
            ("airlock.mask_json('{\"n\": 1, \"ssn\": \"1\", \"n\": 2.50}'::json, '{$.n}')", "{\"n\":2.50}"),
            ("airlock.mask_ip_prefix(inet '198.51.100.77')", "198.51.100.0/24"),
            ("airlock.mask_ip_prefix(cidr '2001:db8:1:2::/64')", "2001:db8:1::/48"),
            ("airlock.mask_ip_prefix(inet '::ffff:198.51.100.77', 0, 56)", "::/56"),
            ("airlock.mask_ip_prefix('198.51.100.256')", "********"),
            ("airlock.mask_round_sig(32767::smallint, 2)", "32767"),
            ("airlock.mask_round_sig(-48213, 2)", "-48000"),
            ("airlock.mask_round_sig(45::bigint)", "50"),
            ("airlock.mask_round_sig(9.96, 2)", "10.0"),
            ("airlock.mask_round_sig(0.3::double precision)", "0.3"),
            ("airlock.mask_round_sig('NaN'::real)", "NaN"),
            ("airlock.mask_clamp(45489, 20000, 40000)", "40000"),
            ("airlock.mask_clamp(-3::smallint, low => 2::smallint)", "2"),
            ("airlock.mask_clamp(NULL::bigint, 1, 2)", "NULL"),
            ("airlock.mask_clamp('NaN'::double precision, 0, 1)", "1"),
            ("airlock.mask_clamp('-Infinity'::real, 0, 1)", "0"),
            ("airlock.mask_clamp(99.901, 0, 99.90)", "99.90"),
            ("airlock.mask_clamp(date '-infinity', date '1940-01-01')", "1940-01-01"),
            ("airlock.mask_clamp(timestamp '2030-01-01', high => '2026-01-01')", "2026-01-01 00:00:00"),
            ("SELECT string_agg(airlock.mask_bucket(v, s)::text, ',') FROM (VALUES (47, 10::numeric), (47, 7), (99, 10)) AS t (v, s)", "40,42,90"),
        ] {
            assert_eq!(text(call), wanted, "{call}");
        }
    }

    #[pg_test]
    fn masks_are_blind_to_settings() {
        let cut = "airlock.mask_date_trunc(timestamptz '2026-03-01 23:30:00+00', 'day') = timestamptz '2026-03-01 00:00:00+00'";
        for zone in ["UTC", "Asia/Tokyo", "America/New_York"] {
            Spi::run(&format!(
                "SET LOCAL timezone = '{zone}'; SET LOCAL datestyle = 'German'; SET LOCAL extra_float_digits = -15"
            ))
            .unwrap();
            assert_eq!(text(cut), "true", "{zone}");
            assert_eq!(
                text("airlock.mask_bucket(1234567.891::double precision, 0.001) = 1234567.891::double precision"),
                "true"
            );
        }
    }

    #[pg_test]
    fn masks_refuse_arguments_with_22023() {
        for call in [
            "airlock.mask_redact('x', '?')",
            "airlock.mask_redact('x', '*', false, true)",
            "airlock.mask_partial('x')",
            "airlock.mask_initials('x', 9)",
            "airlock.mask_date_trunc(date '2000-01-01', 'day')",
            "airlock.mask_age_band(date '2000-01-01', 2026, 1)",
            "airlock.mask_bucket(1, 0.5)",
            "airlock.mask_bucket(1.0, 'NaN')",
            "airlock.mask_email('x', 'all')",
            "airlock.mask_phone('x', true, 5)",
            "airlock.mask_card('x', 7)",
            "airlock.mask_iban('x', 5)",
            "airlock.mask_regex('x', '(', '')",
            "airlock.mask_json('{}'::jsonb, '{}')",
            "airlock.mask_json('{}'::json, '{n}')",
            "airlock.mask_ip_prefix(inet '1.2.3.4', 25)",
            "airlock.mask_ip_prefix('1.2.3.4', 24, 57)",
            "airlock.mask_round_sig(1, 7)",
            "airlock.mask_clamp(1)",
            "airlock.mask_clamp(NULL::int, 2, 1)",
        ] {
            Spi::run(&format!(
                "DO $d$ BEGIN PERFORM {call}; RAISE 'was allowed'; EXCEPTION WHEN invalid_parameter_value THEN NULL; END $d$"
            ))
            .unwrap();
        }
    }
}
