//! Masks of texts with a format, and of documents, as SQL functions.

use crate::pg::encrypted::{datum_to_value, inet_datum, inet_of, value_to_datum};
use crate::pg::sys::{catalog, varlena, Args, Raw, Sql};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::{address, format, json, phone, Mask, Paths, Pattern};
use crate::pure::plaintext::Value;
use crate::sql_function;
use pgrx::pg_sys;

sql_function!(
    /// `airlock.mask_email(value text, show text) → text`: the domain, the first letter too, the last label, or nothing.
    ///
    /// Errors: `22023` an argument that is not allowed.
    airlock_mask_email,
    |args| {
        let (value, show): (&str, &str) = (args.need(0, "value")?, args.need(1, "show")?);
        Ok(Sql(format::email(value, Mask::email_args(show)?)))
    }
);

sql_function!(
    /// `airlock.mask_phone(value text, country boolean, "right" integer) → text`: country calling code, punctuation and the
    /// last digits.
    ///
    /// Errors: `22023` an argument that is not allowed.
    airlock_mask_phone,
    |args| {
        let (value, country): (&str, bool) = (args.need(0, "value")?, args.need(1, "country")?);
        Ok(Sql(phone::phone(value, country, Mask::phone_args(args.need(2, "right")?)?)))
    }
);

sql_function!(
    /// `airlock.mask_card(value text, bin integer, "right" integer) → text`: the first and last digits of a payment card.
    ///
    /// Errors: `22023` an argument that is not allowed.
    airlock_mask_card,
    |args| {
        let value: &str = args.need(0, "value")?;
        let (bin, right) = Mask::card_args(args.need(1, "bin")?, args.need(2, "right")?)?;
        Ok(Sql(format::card(value, bin, right)))
    }
);

sql_function!(
    /// `airlock.mask_iban(value text, "right" integer) → text`: country and last characters of an IBAN.
    ///
    /// Errors: `22023` an argument that is not allowed.
    airlock_mask_iban,
    |args| {
        let value: &str = args.need(0, "value")?;
        Ok(Sql(format::iban(value, Mask::iban_args(args.need(1, "right")?)?)))
    }
);

sql_function!(
    /// `airlock.mask_ip_prefix(value inet | text, v4 integer, v6 integer) → the same`: the network of an address.
    ///
    /// Errors: `22023` an argument that is not allowed.
    airlock_mask_ip_prefix,
    |args| {
        let (v4, v6) = Mask::ip_prefix_args(args.need(1, "v4")?, args.need(2, "v6")?)?;
        Ok(Raw(match *args.site(|| catalog::declared_type(args, 0)) {
            pg_sys::INETOID => {
                let net = args.datum(0).and_then(inet_of);
                let net = net.ok_or_else(|| Error::new(Kind::Corrupt, "an address cannot be read"))?;
                inet_datum(&address::ip_prefix(&net, v4, v6))
            }
            _ => varlena(address::ip_prefix_text(args.need(0, "value")?, v4, v6).as_bytes()),
        }))
    }
);

sql_function!(
    /// `airlock.mask_url(value text, path boolean) → text`: scheme, host and perhaps path of a web address.
    airlock_mask_url,
    |args| {
        let (value, path): (&str, bool) = (args.need(0, "value")?, args.need(1, "path")?);
        Ok(Sql(format::url(value, path)))
    }
);

/// What a call site of `mask_regex` keeps: patterns are nearly always constant, and slow to compile.
type LastPattern = Option<Pattern>;

sql_function!(
    /// `airlock.mask_regex(value text, pattern text, replace text) → text`: what a pattern of the whole value captures.
    ///
    /// Errors: `22023` a pattern or replacement that is not allowed.
    airlock_mask_regex,
    |args| {
        let value: &str = args.need(0, "value")?;
        let (pattern, replace): (&str, &str) = (args.need(1, "pattern")?, args.need(2, "replace")?);
        let site = args.site::<LastPattern>(|| None);
        let compiled = match site.take().filter(|p| p.pattern() == pattern && p.replace() == replace) {
            Some(known) => known,
            None => Mask::regex_args(pattern, replace)?,
        };
        Ok(Sql(site.insert(compiled).mask(value)))
    }
);

/// What a call site of `mask_json` keeps: the paths, with the bytes that they were read from, and the type of the document.
type LastPaths = Option<(Vec<u8>, Paths, pg_sys::Oid)>;

sql_function!(
    /// `airlock.mask_json(value json | jsonb, keep text[]) → the same`: what lies on the paths.
    ///
    /// Errors: `22023` a path that cannot be read, or none.
    airlock_mask_json,
    of_json
);

fn of_json(args: Args) -> Result<Option<Raw>> {
    let given = args.bytes(1).unwrap_or_default();
    let site = args.site::<LastPaths>(|| None);
    if site.as_ref().is_none_or(|(bytes, _, _)| *bytes != given) {
        let paths: Vec<Option<String>> = args.need(1, "keep")?;
        let paths = Mask::json_args(&paths.into_iter().flatten().collect::<Vec<_>>())?;
        *site = Some((given, paths, catalog::declared_type(args, 0)));
    }
    let (Some((_, paths, declared)), Some(datum)) = (site.as_ref(), args.datum(0)) else { return Ok(None) };
    if *declared == pg_sys::JSONOID {
        // its text is what it is
        let text: &str = args.need(0, "value")?;
        return Ok(Some(Raw(varlena(json::mask_json(paths, text).as_bytes()))));
    }
    match datum_to_value(datum, pg_sys::JSONBOID)? {
        Some(Value::Jsonb(text)) => {
            let masked = Value::Jsonb(json::mask_json(paths, &text));
            Ok(Some(Raw(value_to_datum(&masked, pg_sys::JSONBOID)?)))
        }
        _ => Ok(None),
    }
}
