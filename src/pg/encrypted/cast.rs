//! Length coercion, casts in, and the one cast out: `decrypt`.
#![allow(unsafe_code)] // ◆ the declared argument types, the security context

use super::value::{datum_to_value, parse, value_to_datum, value_to_text, Plain};
use super::{
    carried, carrier, check_form, key_of, number, open_in, open_value, place, refuse_subprocessor, seal,
    taken_as_it_is, Form,
};
use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::ring::Number;
use crate::pg::sys::{roles, varlena, varlena_bytes, Args, Raw};
use crate::pure::envelope::{is_carrier, parse as header};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::{PlainType, Value};
use crate::sql_function;
use pgrx::pg_sys;
use zeroize::Zeroizing;

sql_function!(
    /// `airlock.encrypted_coerce(airlock.encrypted, integer, boolean)`: seals a carrier for the column that the typmod
    /// names; a stored value must already be of that column.
    airlock_encrypted_coerce,
    |args| coerce(args, Form::Plain)
);
sql_function!(
    /// `airlock.encrypted_eq_coerce(airlock.encrypted_eq, integer, boolean)`
    airlock_encrypted_eq_coerce,
    |args| coerce(args, Form::Searchable)
);
sql_function!(
    /// `airlock.to_encrypted(…, integer, boolean)`: the assignment casts from text, numbers, dates, …
    airlock_to_encrypted,
    |args| to_encrypted(args, Form::Plain)
);
sql_function!(
    /// `airlock.to_encrypted_eq(…, integer, boolean)`
    airlock_to_encrypted_eq,
    |args| to_encrypted(args, Form::Searchable)
);
sql_function!(
    /// `airlock.decrypt(airlock.encrypted)`: the value as text, in forms that no session setting shapes.
    airlock_decrypt,
    |args: crate::pg::sys::Args| {
        let value = decrypt(args)?;
        Ok(Raw(value_to_datum(&value.0, pg_sys::TEXTOID)?))
    }
);
sql_function!(
    /// `airlock.decrypt(airlock.encrypted, anyelement [, VARIADIC "any"])`: the value as the type of the second argument;
    /// those behind it are the row's columns that the value is bound to.
    airlock_decrypt_as,
    |args: Args| {
        if args.datum(0).is_none() {
            return Ok(None);
        }
        let target = args.type_of(1);
        let value = decrypt(args)?;
        Ok(Some(Raw(value_to_datum(&value.0, target)?)))
    }
);

/// The type that argument 0 is declared with: each cast function has its own declaration, whatever the call site says.
fn declared_type(args: Args) -> pg_sys::Oid {
    *args.site(|| {
        let (mut types, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: flinfo is that of this call; the array holds `count` OIDs.
        unsafe {
            pg_sys::get_func_signature((*(*args.raw()).flinfo).fn_oid, &mut types, &mut count);
            if count > 0 {
                *types
            } else {
                pg_sys::InvalidOid
            }
        }
    })
}

fn coerce(args: Args, form: Form) -> Result<Raw> {
    let typmod = args.get::<i32>(1).unwrap_or(-1);
    let datum = args.datum(0).ok_or_else(|| Error::new(Kind::InvalidArgument, "the value is null"))?;
    if typmod < 0 {
        return Ok(Raw(datum));
    }
    refuse_subprocessor()?;
    let bytes = varlena_bytes(datum);
    if is_carrier(&bytes) {
        return Ok(Raw(varlena(&place(&carried(&bytes)?, typmod, form)?)));
    }
    check_form(&bytes, form)?;
    if encrypted_input() == EncryptedInput::Ciphertext {
        return Ok(Raw(datum));
    }
    match number(typmod)? {
        // of which row it is, the trigger sees
        Number::Column(column) if !column.bind.is_empty() && header(&bytes)?.bound => {
            if key_of(header(&bytes)?.version_id)?.key_no != column.key.key_no {
                return Err(another_column());
            }
        }
        Number::Column(column) => match open_in(&column, &bytes, None) {
            // by way of UNION, CASE or a variable, but this column's own
            Ok(value) => drop(Plain(value)),
            Err(e) if e.kind == Kind::NotAuthentic => return Err(another_column()),
            Err(e) => return Err(e),
        },
        Number::Key(key) => {
            let sealed_by = key_of(header(&bytes)?.version_id)?;
            if sealed_by.key_no != key.key_no {
                return Err(Error::new(
                    Kind::Mismatch,
                    format!("the value is sealed under key \"{}\", not \"{}\"", sealed_by.name, key.name),
                ));
            }
        }
    }
    Ok(Raw(datum))
}

fn another_column() -> Error {
    Error::new(Kind::NotAuthentic, "the value is of another column")
        .detail("An encrypted value opens only in the column it was sealed for.")
        .hint("to copy it, write SET d = airlock.decrypt(c)")
}

fn to_encrypted(args: Args, form: Form) -> Result<Raw> {
    refuse_subprocessor()?;
    let source = declared_type(args);
    let typmod = args.get::<i32>(1).unwrap_or(-1);
    let datum = args.datum(0).ok_or_else(|| Error::new(Kind::InvalidArgument, "the value is null"))?;
    // json is text to us: its type check is that of jsonb, when it is sealed
    let (source, json) = if source == pg_sys::JSONOID { (pg_sys::TEXTOID, true) } else { (source, false) };
    let value = datum_to_value(datum, source)?.map(Plain);
    let value = value.ok_or_else(|| Error::new(Kind::Corrupt, "a cast to an encrypted type has an unknown source"))?;
    if let Value::Text(text) = &value.0 {
        if let Some(bytes) = taken_as_it_is(text, form)? {
            return Ok(Raw(varlena(&bytes)));
        }
    }
    if typmod < 0 {
        return Ok(Raw(varlena(&carrier(&Zeroizing::new(value_to_text(&value.0)))?)));
    }
    let bytes = match number(typmod)? {
        Number::Column(column) if !json && value.0.plain_type() == column.key.plain_type => {
            seal(&column, &value.0, form)?
        }
        Number::Column(column) => seal(&column, &convert(&value, column.key.plain_type, json)?.0, form)?,
        Number::Key(key) => carrier(&Zeroizing::new(value_to_text(&convert(&value, key.plain_type, json)?.0)))?,
    };
    Ok(Raw(varlena(&bytes)))
}

/// The value as the key's plaintext type, where that needs no setting of the session to decide: 42804 elsewhere.
pub(super) fn convert(value: &Plain, ty: PlainType, json: bool) -> Result<Plain> {
    use PlainType as T;
    let from = value.0.plain_type();
    if from == ty && !json {
        return Ok(Plain(value.0.clone()));
    }
    let number = |t| matches!(t, T::Int2 | T::Int4 | T::Int8 | T::Float4 | T::Float8 | T::Numeric);
    let fits = ty == T::Text
        || from == T::Text && (!json || ty == T::Jsonb)
        || number(from) && number(ty)
        || (from, ty) == (T::Date, T::Timestamp);
    if !fits {
        let (from, to) = (if json { "json" } else { from.sql_name() }, ty.sql_name());
        return Err(Error::new(Kind::Mismatch, format!("a value of type {from} cannot be sealed as {to}"))
            .hint(format!("cast it first: value::{to}")));
    }
    let text = Zeroizing::new(value_to_text(&value.0));
    let whole = match (ty, text.split_once('.')) {
        // 5.0 is an integer, 5.5 is none: SQL would round it, unseen in a ciphertext
        (T::Int2 | T::Int4 | T::Int8, Some((whole, zeros))) if number(from) && zeros.bytes().all(|b| b == b'0') => {
            whole
        }
        _ => text.as_str(),
    };
    Ok(Plain(parse(whole, ty)?))
}

/// Opens argument 0 for the current role.
fn decrypt(args: Args) -> Result<Plain> {
    refuse_subprocessor()?;
    if roles::restricted() {
        return Err(Error::new(Kind::Privilege, "nothing is decrypted within a security-restricted operation")
            .detail(
                "Index builds, ANALYZE and materialized views run in one: what they compute is stored in the clear.",
            )
            .hint("take airlock.decrypt out of the index, statistics object or materialized view"));
    }
    let typmod = *args.site(|| args.typmod_of(0));
    let bytes = args.in_place(0).unwrap_or_default();
    if is_carrier(bytes) {
        return Err(Error::new(
            Kind::NotAuthentic,
            "a literal that was never assigned to a column cannot be decrypted",
        )
        .hint("decrypt the column itself; a literal is plaintext already"));
    }
    open_value(bytes, typmod, Some(roles::current()), args, 2..args.count()).map(Plain)
}
