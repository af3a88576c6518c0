//! Between SQL values and [`Value`]: what an encrypted column seals is never text that a session setting can reshape.
//!
//! Input and output functions of Postgres do the parsing and printing, under settings that are ours for the length of
//! the call. What they raise is caught and replaced, for their messages quote the value. They take no lock, buffer or
//! snapshot, and the statement fails all the same, so no subtransaction is needed.
#![allow(unsafe_code)] // ◆ datums in both directions, settings of the datetime code

use crate::pg::error::unpacked;
use crate::pg::sys::{varlena, varlena_bytes, varlena_in_place};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::{PlainType, Value};
use ipnet::IpNet;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::{pg_sys, FromDatum, IntoDatum};
use std::borrow::Cow;
use std::ffi::{c_char, CStr};
use std::net::IpAddr;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use zeroize::{Zeroize, Zeroizing};

/// A plaintext value of ours, wiped when dropped.
pub struct Plain(pub Value);

impl Drop for Plain {
    fn drop(&mut self) {
        match &mut self.0 {
            Value::Text(s) | Value::Numeric(s) | Value::Jsonb(s) | Value::Json(s) => s.zeroize(),
            Value::Bytea(b) => b.zeroize(),
            _ => {}
        }
    }
}

/// The OID of the type whose input and output functions serve a plaintext type.
pub fn oid_of(ty: PlainType) -> pg_sys::Oid {
    match ty {
        PlainType::Bool => pg_sys::BOOLOID,
        PlainType::Int2 => pg_sys::INT2OID,
        PlainType::Int4 => pg_sys::INT4OID,
        PlainType::Int8 => pg_sys::INT8OID,
        PlainType::Float4 => pg_sys::FLOAT4OID,
        PlainType::Float8 => pg_sys::FLOAT8OID,
        PlainType::Numeric => pg_sys::NUMERICOID,
        PlainType::Text => pg_sys::TEXTOID,
        PlainType::Date => pg_sys::DATEOID,
        PlainType::Timestamp => pg_sys::TIMESTAMPOID,
        PlainType::Timestamptz => pg_sys::TIMESTAMPTZOID,
        PlainType::Uuid => pg_sys::UUIDOID,
        PlainType::Jsonb => pg_sys::JSONBOID,
        PlainType::Bytea => pg_sys::BYTEAOID,
        PlainType::Inet => pg_sys::INETOID,
        PlainType::Json => pg_sys::JSONOID,
    }
}

fn input_of(ty: PlainType) -> u32 {
    match ty {
        PlainType::Bool => pg_sys::F_BOOLIN,
        PlainType::Int2 => pg_sys::F_INT2IN,
        PlainType::Int4 => pg_sys::F_INT4IN,
        PlainType::Int8 => pg_sys::F_INT8IN,
        PlainType::Float4 => pg_sys::F_FLOAT4IN,
        PlainType::Float8 => pg_sys::F_FLOAT8IN,
        PlainType::Numeric => pg_sys::F_NUMERIC_IN,
        PlainType::Text => pg_sys::F_TEXTIN,
        PlainType::Date => pg_sys::F_DATE_IN,
        PlainType::Timestamp => pg_sys::F_TIMESTAMP_IN,
        PlainType::Timestamptz => pg_sys::F_TIMESTAMPTZ_IN,
        PlainType::Uuid => pg_sys::F_UUID_IN,
        PlainType::Jsonb => pg_sys::F_JSONB_IN,
        PlainType::Bytea => pg_sys::F_BYTEAIN,
        PlainType::Inet => pg_sys::F_INET_IN,
        PlainType::Json => pg_sys::F_JSON_IN,
    }
}

/// The plaintext type of a SQL type, domains by what they stand on; `None` when it has none. varchar, char(n) and what
/// is binary compatible with text (citext) count as text.
pub fn plain_type_of(oid: pg_sys::Oid) -> Option<PlainType> {
    let base = base_of(oid);
    if let Some(ty) = PlainType::ALL.into_iter().find(|ty| oid_of(*ty) == base) {
        return Some(ty);
    }
    // SAFETY: as above.
    let text = base == pg_sys::BPCHAROID || unsafe { pg_sys::IsBinaryCoercible(base, pg_sys::TEXTOID) };
    text.then_some(PlainType::Text)
}

/// Settings that shape text, held at fixed values while it lives: ISO, YMD (so that `01/02/2020` is refused rather than
/// guessed), UTC, shortest exact floats. The variables behind the settings are set, not the settings: nothing here can
/// fail, and drop restores them on every way out, an ERROR that became a panic included.
struct Fixed {
    date_style: i32,
    date_order: i32,
    digits: i32,
    zone: *mut pg_sys::pg_tz,
}

impl Fixed {
    fn new() -> Self {
        // SAFETY: backend-local variables, one thread; pg_tzset finds UTC without reading a file.
        unsafe {
            let before = Fixed {
                date_style: pg_sys::DateStyle,
                date_order: pg_sys::DateOrder,
                digits: pg_sys::extra_float_digits,
                zone: pg_sys::session_timezone,
            };
            let utc = pg_sys::pg_tzset(c"UTC".as_ptr());
            pg_sys::DateStyle = pg_sys::USE_ISO_DATES as i32;
            pg_sys::DateOrder = pg_sys::DATEORDER_YMD as i32;
            pg_sys::extra_float_digits = 1;
            if !utc.is_null() {
                pg_sys::session_timezone = utc;
            }
            before
        }
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        // SAFETY: as `new`.
        unsafe {
            pg_sys::DateStyle = self.date_style;
            pg_sys::DateOrder = self.date_order;
            pg_sys::extra_float_digits = self.digits;
            pg_sys::session_timezone = self.zone;
        }
    }
}

/// Runs a call that may raise an error which quotes a value, and replaces that error. Errors of the system (cancel, no
/// memory, …) pass: they say nothing of the value.
pub fn hushed<T>(ty: PlainType, call: impl FnOnce() -> T) -> Result<T> {
    let panic = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => return Ok(value),
        Err(panic) => panic,
    };
    let code = match panic.downcast_ref::<CaughtError>() {
        Some(CaughtError::PostgresError(report)) => unpacked(report.sql_error_code() as i32),
        _ => resume_unwind(panic),
    };
    match code.get(..2) {
        Some("53" | "55" | "57" | "58") => resume_unwind(panic),
        _ => Err(no_value(ty, matches!(&*code, "22003" | "22008"))),
    }
}

/// 22P02, or 22003 when out of range: without the value.
fn no_value(ty: PlainType, range: bool) -> Error {
    let name = ty.sql_name();
    let error = if range {
        Error::new(Kind::OutOfRange, format!("value out of range for plaintext type {name}"))
    } else {
        Error::new(Kind::InvalidText, format!("value is not of the plaintext type {name}"))
    };
    let error = error.detail("The value is not shown, for it was meant for an encrypted column.");
    match ty {
        PlainType::Date | PlainType::Timestamp | PlainType::Timestamptz => error
            .hint("Write dates as 2020-12-31; session settings such as DateStyle and TimeZone are not used, UTC is."),
        _ => error,
    }
}

/// Text of the server's encoding as UTF-8. 0A000 in a database that does not know its encoding.
pub fn to_utf8(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let bad = || no_value(PlainType::Text, false);
    if bytes.is_ascii() {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| bad());
    }
    // SAFETY: reads a variable.
    match unsafe { pg_sys::GetDatabaseEncoding() } as u32 {
        pg_sys::pg_enc::PG_UTF8 => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| bad()),
        pg_sys::pg_enc::PG_SQL_ASCII => {
            Err(Error::new(Kind::Unsupported, "encrypted columns need a database with an encoding")
                .hint("This database is SQL_ASCII: create one with ENCODING UTF8."))
        }
        _ => {
            let from = bytes.as_ptr().cast::<c_char>();
            // SAFETY: the length is given; the result is a NUL-terminated copy, for the input has no NUL.
            let text = hushed(PlainType::Text, || unsafe {
                pg_sys::pg_server_to_any(from, bytes.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32)
            })?;
            Ok(Cow::Owned(taken(text)))
        }
    }
}

/// UTF-8 as NUL-terminated text of the server's encoding.
fn to_server(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    if is_servers(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        let from = text.as_ptr().cast::<c_char>();
        // SAFETY: as `to_utf8`.
        let server = hushed(PlainType::Text, || unsafe {
            pg_sys::pg_any_to_server(from, text.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32)
        })?;
        // SAFETY: NUL-terminated.
        out = Zeroizing::new(unsafe { CStr::from_ptr(server) }.to_bytes().to_vec());
    }
    if out.contains(&0) {
        return Err(no_value(PlainType::Text, false));
    }
    out.push(0);
    Ok(out)
}

/// Whether the text is the same in the server's encoding.
fn is_servers(text: &str) -> bool {
    // SAFETY: reads a variable.
    text.is_ascii() || unsafe { pg_sys::GetDatabaseEncoding() } as u32 == pg_sys::pg_enc::PG_UTF8
}

/// The type beneath a domain; any other is its own.
fn base_of(oid: pg_sys::Oid) -> pg_sys::Oid {
    // those that PostgreSQL numbers by hand (access/transam.h) are no domains
    if oid.to_u32() < pg_sys::FirstGenbkiObjectId {
        return oid;
    }
    // SAFETY: a syscache look-up.
    unsafe { pg_sys::getBaseType(oid) }
}

/// Copies a palloc'd C string, wipes and frees it.
fn taken(text: *mut c_char) -> String {
    // SAFETY: ours to free, NUL-terminated; zeros are written over its own bytes only.
    unsafe {
        let bytes = CStr::from_ptr(text).to_bytes();
        let copy = String::from_utf8_lossy(bytes).into_owned();
        std::slice::from_raw_parts_mut(text.cast::<u8>(), bytes.len()).zeroize();
        pg_sys::pfree(text.cast());
        copy
    }
}

/// What an output function prints.
fn printed(function: u32, datum: pg_sys::Datum) -> String {
    // SAFETY: the function belongs to the datum's type.
    taken(unsafe { pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(function), datum) })
}

/// The value of that type which this text spells, under fixed settings: a session's DateStyle and TimeZone mean nothing
/// here. 22P02 or 22003 without the text.
pub fn parse(text: &str, ty: PlainType) -> Result<Value> {
    if ty == PlainType::Text {
        return Ok(Value::Text(text.to_string()));
    }
    let input = to_server(text)?;
    let datum = {
        let dated = matches!(ty, PlainType::Date | PlainType::Timestamp | PlainType::Timestamptz);
        let _fixed = dated.then(Fixed::new);
        let pointer = input.as_ptr().cast_mut().cast::<c_char>();
        // SAFETY: a NUL-terminated string that outlives the call, and no frame in between owns anything.
        hushed(ty, || unsafe {
            pg_sys::OidInputFunctionCall(pg_sys::Oid::from(input_of(ty)), pointer, oid_of(ty), -1)
        })?
    };
    from_datum(datum, ty)?.ok_or_else(|| no_value(ty, false))
}

/// The value in a datum of the type that serves `ty`.
fn from_datum(datum: pg_sys::Datum, ty: PlainType) -> Result<Option<Value>> {
    fn get<T: FromDatum>(datum: pg_sys::Datum) -> Option<T> {
        // SAFETY: the caller's datum is not NULL and of T's type.
        unsafe { T::from_datum(datum, false) }
    }
    Ok(match ty {
        PlainType::Bool => get(datum).map(Value::Bool),
        PlainType::Int2 => get(datum).map(Value::Int2),
        PlainType::Int4 => get(datum).map(Value::Int4),
        PlainType::Int8 => get(datum).map(Value::Int8),
        PlainType::Float4 => get(datum).map(Value::Float4),
        PlainType::Float8 => get(datum).map(Value::Float8),
        PlainType::Date => get(datum).map(Value::Date),
        PlainType::Timestamp => get(datum).map(Value::Timestamp),
        PlainType::Timestamptz => get(datum).map(Value::Timestamptz),
        PlainType::Numeric => Some(Value::Numeric(printed(pg_sys::F_NUMERIC_OUT, datum))),
        PlainType::Jsonb => {
            let text = Zeroizing::new(printed_bytes(pg_sys::F_JSONB_OUT, datum));
            Some(Value::Jsonb(to_utf8(&text)?.into_owned()))
        }
        PlainType::Text | PlainType::Json => {
            // SAFETY: the caller's datum is not NULL and of a text type.
            let text = to_utf8(unsafe { varlena_in_place(datum) })?.into_owned();
            Some(if ty == PlainType::Json { Value::Json(text) } else { Value::Text(text) })
        }
        PlainType::Inet => inet_of(datum).map(Value::Inet),
        PlainType::Bytea => Some(Value::Bytea(varlena_bytes(datum))),
        PlainType::Uuid => get::<pgrx::Uuid>(datum).map(|u| Value::Uuid(*u.as_bytes())),
    })
}

fn printed_bytes(function: u32, datum: pg_sys::Datum) -> Vec<u8> {
    // SAFETY: the function belongs to the datum's type and gives a NUL-terminated string.
    unsafe {
        let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(function), datum);
        let bytes = CStr::from_ptr(text).to_bytes().to_vec();
        pg_sys::pfree(text.cast());
        bytes
    }
}

/// The address families that inet holds, PostgreSQL's own numbers on every platform (utils/inet.h).
const INET4: u8 = 2;
const INET6: u8 = 3;

/// An inet as its bytes have it: family, length of the netmask, address.
pub fn inet_of(datum: pg_sys::Datum) -> Option<IpNet> {
    let bytes = varlena_bytes(datum);
    let (family, bits, address) = (*bytes.first()?, *bytes.get(1)?, bytes.get(2..)?);
    let address: IpAddr = match family {
        INET4 => <[u8; 4]>::try_from(address.get(..4)?).ok()?.into(),
        INET6 => <[u8; 16]>::try_from(address.get(..16)?).ok()?.into(),
        _ => return None,
    };
    IpNet::new(address, bits).ok()
}

/// And back.
pub fn inet_datum(net: &IpNet) -> pg_sys::Datum {
    let mut bytes = match net.addr() {
        IpAddr::V4(v4) => [&[INET4, net.prefix_len()][..], &v4.octets()].concat(),
        IpAddr::V6(v6) => [&[INET6, net.prefix_len()][..], &v6.octets()].concat(),
    };
    let datum = varlena(&bytes);
    bytes.zeroize();
    datum
}

/// A plain SQL value (not NULL) of a supported type, domains included; `None` for a type that has no plaintext type.
/// char(n) loses its padding, as in SQL's cast to text.
pub fn datum_to_value(datum: pg_sys::Datum, oid: pg_sys::Oid) -> Result<Option<Value>> {
    let Some(ty) = plain_type_of(oid) else { return Ok(None) };
    let mut value = from_datum(datum, ty)?;
    if let (Some(Value::Text(text)), pg_sys::BPCHAROID) = (&mut value, base_of(oid)) {
        text.truncate(text.trim_end_matches(' ').len());
    }
    Ok(value)
}

/// The datum of a value as type `target`: its own type, a text type, or a domain over one (whose constraints are
/// checked). 42804 for any other.
pub fn value_to_datum(value: &Value, target: pg_sys::Oid) -> Result<pg_sys::Datum> {
    let ty = plain_type_of(target);
    let datum = match ty {
        Some(PlainType::Text) => match value {
            Value::Numeric(text) | Value::Text(text) | Value::Jsonb(text) | Value::Json(text) => text_datum(text)?,
            other => text_datum(&Zeroizing::new(value_to_text(other)))?,
        },
        Some(ty) if ty == value.plain_type() => native_datum(value)?,
        _ => {
            let name = value.plain_type().sql_name();
            return Err(Error::new(Kind::Mismatch, format!("the value is of type {name}"))
                .hint(format!("ask for it as {name} or as text, then cast: airlock.decrypt(c, NULL::{name})")));
        }
    };
    if base_of(target) != target {
        // SAFETY: it is given no cache and raises on a violation.
        unsafe { pg_sys::domain_check(datum, false, target, std::ptr::null_mut(), std::ptr::null_mut()) };
    }
    Ok(datum)
}

fn text_datum(text: &str) -> Result<pg_sys::Datum> {
    if is_servers(text) {
        return match text.as_bytes().contains(&0) {
            true => Err(no_value(PlainType::Text, false)),
            false => Ok(varlena(text.as_bytes())),
        };
    }
    let server = to_server(text)?;
    Ok(varlena(&server[..server.len() - 1]))
}

fn native_datum(value: &Value) -> Result<pg_sys::Datum> {
    let datum = match value {
        Value::Bool(v) => v.into_datum(),
        Value::Int2(v) => v.into_datum(),
        Value::Int4(v) | Value::Date(v) => v.into_datum(),
        Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => v.into_datum(),
        Value::Float4(v) => v.into_datum(),
        Value::Float8(v) => v.into_datum(),
        Value::Uuid(v) => pgrx::Uuid::from_bytes(*v).into_datum(),
        Value::Bytea(v) => Some(varlena(v)),
        Value::Text(v) | Value::Json(v) => Some(text_datum(v)?),
        Value::Inet(v) => Some(inet_datum(v)),
        Value::Numeric(v) | Value::Jsonb(v) => {
            let (ty, text) = (value.plain_type(), to_server(v)?);
            let pointer = text.as_ptr().cast_mut().cast::<c_char>();
            // SAFETY: as `parse`.
            Some(hushed(ty, || unsafe {
                pg_sys::OidInputFunctionCall(pg_sys::Oid::from(input_of(ty)), pointer, oid_of(ty), -1)
            })?)
        }
    };
    datum.ok_or_else(|| Error::new(Kind::Corrupt, "a value has no datum"))
}

/// The value as text that no session setting shapes: ISO dates, times in UTC, `true` and `false`, hex for bytes. The
/// type's input function reads it back to the same value.
pub fn value_to_text(value: &Value) -> String {
    let print = |function, datum: Option<pg_sys::Datum>| {
        let _fixed = Fixed::new();
        printed(function, datum.unwrap_or(pg_sys::Datum::from(0)))
    };
    match value {
        Value::Bool(v) => v.to_string(),
        Value::Int2(v) => v.to_string(),
        Value::Int4(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Numeric(v) | Value::Text(v) | Value::Jsonb(v) | Value::Json(v) => v.clone(),
        Value::Inet(v) => v.to_string(),
        Value::Float4(v) => print(pg_sys::F_FLOAT4OUT, v.into_datum()),
        Value::Float8(v) => print(pg_sys::F_FLOAT8OUT, v.into_datum()),
        Value::Date(v) => print(pg_sys::F_DATE_OUT, v.into_datum()),
        Value::Timestamp(v) => print(pg_sys::F_TIMESTAMP_OUT, v.into_datum()),
        Value::Timestamptz(v) => print(pg_sys::F_TIMESTAMPTZ_OUT, v.into_datum()),
        Value::Uuid(v) => {
            let hex = data_encoding::HEXLOWER.encode(v);
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
        }
        Value::Bytea(v) => format!("\\x{}", data_encoding::HEXLOWER.encode(v)),
    }
}
