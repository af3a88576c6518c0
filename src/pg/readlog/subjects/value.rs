//! The columns of a data subject, from a row that a scan holds or from what an auditor types, in their canonical form.
#![allow(unsafe_code)] // ◆ tuple slots and datums
#![allow(ffi_unwind_calls)] // reason: called per row from the executor; no frame here owns anything while C runs

use crate::pg::sys::{compat, raw};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use crate::pure::subjects::{append, Value};
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid as B;
use std::ffi::CString;

/// How a column's values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Int2,
    Int4,
    Int8,
    Text,
    Uuid,
    Bytes,
    Date,
    Timestamp,
    Numeric,
}

/// A subject's column in a kind of row.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its number there, from 1.
    attribute: i16,
    reading: Reading,
}

/// How values of this type are read; `None` for types, and collations, by which equal values may have different bytes.
fn reading(data_type: pg_sys::Oid, collation: pg_sys::Oid) -> Option<Reading> {
    // SAFETY: syscache look-ups inside a transaction, for a type and collation that a locked relation uses.
    let (base, exact) = unsafe {
        let exact = collation == pg_sys::InvalidOid || pg_sys::get_collation_isdeterministic(collation);
        (pg_sys::getBaseType(data_type), exact)
    };
    let text = |reading| exact.then_some(reading);
    match pgrx::PgBuiltInOids::try_from(base).ok()? {
        B::INT2OID => Some(Reading::Int2),
        B::INT4OID => Some(Reading::Int4),
        B::INT8OID => Some(Reading::Int8),
        B::TEXTOID | B::VARCHAROID | B::BPCHAROID => text(Reading::Text),
        B::UUIDOID => Some(Reading::Uuid),
        B::BYTEAOID => Some(Reading::Bytes),
        B::DATEOID => Some(Reading::Date),
        B::TIMESTAMPOID | B::TIMESTAMPTZOID => Some(Reading::Timestamp),
        B::NUMERICOID => Some(Reading::Numeric),
        _ => None,
    }
}

/// Where these columns are in the rows of a table; `None` when one is not there, or cannot tell persons apart.
///
/// # Safety
/// The relation is open.
pub unsafe fn locate_in_table(relation: pg_sys::Relation, columns: &[String]) -> Option<Vec<Place>> {
    // SAFETY: as the caller promises.
    let desc = unsafe { (*relation).rd_att };
    // SAFETY: the descriptor belongs to the open relation.
    columns.iter().map(|name| unsafe { in_descriptor(desc, name) }.map(|(place, _)| place)).collect()
}

/// Where these columns of a table are in the rows that an index gives by itself; `None` when it has not all of them, or
/// not as the table has them.
///
/// # Safety
/// Both relations are open.
pub unsafe fn locate_in_index(
    table: pg_sys::Relation,
    index: pg_sys::Relation,
    columns: &[String],
) -> Option<Vec<Place>> {
    // SAFETY: as the caller promises; indkey has indnatts entries.
    unsafe {
        let form = (*index).rd_index;
        let numbers = std::slice::from_raw_parts((*form).indkey.values.as_ptr(), (*form).indnatts as usize);
        let find = |name: &String| {
            let (place, data_type) = in_descriptor((*table).rd_att, name)?;
            let position = numbers.iter().position(|n| *n == place.attribute)?;
            // some operator classes store another type than the column's
            let same = compat::attribute((*index).rd_att, position).atttypid == data_type;
            same.then_some(Place { attribute: position as i16 + 1, ..place })
        };
        columns.iter().map(find).collect()
    }
}

unsafe fn in_descriptor(desc: pg_sys::TupleDesc, name: &str) -> Option<(Place, pg_sys::Oid)> {
    // SAFETY: natts attributes.
    unsafe {
        for i in 0..(*desc).natts as usize {
            let attribute = compat::attribute(desc, i);
            let here = std::ffi::CStr::from_ptr(attribute.attname.data.as_ptr());
            if !attribute.attisdropped && here.to_bytes() == name.as_bytes() {
                let reading = reading(attribute.atttypid, attribute.attcollation)?;
                return Some((Place { attribute: attribute.attnum, reading }, attribute.atttypid));
            }
        }
    }
    None
}

/// What a row says about its person.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// The canonical form was appended.
    Person,
    /// A column of the subject is NULL: the row is nobody's.
    Nobody,
}

/// Appends the canonical form of the person of the row in `slot`, through `out`, which takes one column at a time.
///
/// # Safety
/// The slot holds a row of the kind that the places were found for. May raise; the current memory context is one for a row.
pub unsafe fn read(slot: *mut pg_sys::TupleTableSlot, places: &[Place], out: impl Fn(Value<'_>)) -> Read {
    // SAFETY: as the caller promises.
    unsafe {
        for place in places {
            if (*slot).tts_nvalid < place.attribute {
                raw::raw_slot_getsomeattrs_int(slot, i32::from(place.attribute));
            }
            let at = place.attribute as usize - 1;
            if *(*slot).tts_isnull.add(at) {
                return Read::Nobody;
            }
            value(*(*slot).tts_values.add(at), place.reading, &out);
        }
    }
    Read::Person
}

unsafe fn value(datum: pg_sys::Datum, reading: Reading, out: &impl Fn(Value<'_>)) {
    let bits = datum.value();
    // SAFETY: the datum is of the type that the reading stands for.
    unsafe {
        match reading {
            Reading::Int2 => out(Value::Integer(i64::from(bits as i16))),
            Reading::Int4 => out(Value::Integer(i64::from(bits as i32))),
            Reading::Int8 => out(Value::Integer(bits as i64)),
            Reading::Date => out(Value::Date(bits as i32)),
            Reading::Timestamp => out(Value::Timestamp(bits as i64)),
            Reading::Uuid => out(Value::Uuid(&*datum.cast_mut_ptr::<[u8; 16]>())),
            // a key of text may refer to one of char(n), which disregards blanks at the end
            Reading::Text => out(Value::Text(trimmed(bytes(datum)))),
            Reading::Bytes => out(Value::Bytes(bytes(datum))),
            Reading::Numeric => {
                let plain = raw::raw_detoast(datum.cast_mut_ptr());
                let text = raw::raw_numeric_normalize(plain.cast());
                out(Value::Numeric(std::ffi::CStr::from_ptr(text).to_bytes()));
            }
        }
    }
}

/// The bytes of a varlena, detoasted if need be; they live as long as the row or the current memory context.
unsafe fn bytes<'a>(datum: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: the datum is a varlena.
    unsafe {
        let plain = raw::raw_detoast_packed(datum.cast_mut_ptr());
        std::slice::from_raw_parts(pgrx::vardata_any(plain).cast::<u8>(), pgrx::varsize_any_exhdr(plain))
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

/// The canonical forms of a person whose columns somebody typed: as its type reads it, and as other types would have it that
/// the column may have had before, or has where it is referred to.
///
/// # Errors
/// 42704 for a column that is not there, 0A000 for one that cannot tell persons apart; whatever the type's input raises.
pub fn canonical_of_texts(relation: pg_sys::Oid, columns: &[(String, String)]) -> Result<Vec<Vec<u8>>> {
    let mut persons = vec![Vec::new()];
    for (name, text) in columns {
        let wanted = CString::new(name.as_str()).unwrap_or_default();
        let text = CString::new(text.as_str())
            .map_err(|_| Error::new(Kind::InvalidArgument, "a data subject's key holds a zero byte"))?;
        // SAFETY: syscache look-ups and the type's own input function, inside a transaction.
        unsafe {
            let number = pg_sys::get_attnum(relation, wanted.as_ptr());
            if number <= 0 {
                return Err(Error::new(Kind::Undefined, format!("column {} does not exist", shown(name))));
            }
            let (mut data_type, mut typmod, mut collation) = (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
            pg_sys::get_atttypetypmodcoll(relation, number, &mut data_type, &mut typmod, &mut collation);
            let Some(reading) = reading(data_type, collation) else {
                return Err(Error::new(
                    Kind::Unsupported,
                    format!("column {} cannot tell data subjects apart", shown(name)),
                ));
            };
            let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
            // of the type beneath a domain, whose constraints may call anybody's functions
            pg_sys::getTypeInputInfo(pg_sys::getBaseType(data_type), &mut input, &mut parameter);
            let datum = pg_sys::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1);
            // detoasting and numeric_normalize cannot raise for a value that was just read, but for want of memory
            let forms = std::cell::RefCell::new(Vec::new());
            raw::guarded(|| value(datum, reading, &|v| forms.borrow_mut().extend(others(v, &text))));
            let mut all: Vec<Vec<u8>> = Vec::new();
            for (person, form) in persons.iter().flat_map(|p| forms.borrow().clone().into_iter().map(move |f| (p, f))) {
                let person = [&person[..], &form].concat();
                if !all.contains(&person) {
                    all.push(person);
                }
            }
            persons = all;
        }
    }
    Ok(persons)
}

/// The canonical form of a value, and those of what is the same in another type.
fn others(value: Value<'_>, typed: &CString) -> Vec<Vec<u8>> {
    const DAY: i64 = 86_400_000_000;
    let form = |value: Value<'_>| {
        let mut out = Vec::new();
        append(&mut out, value);
        out
    };
    let text = trimmed(typed.to_bytes());
    let mut forms = vec![form(value)];
    match value {
        Value::Date(days) => forms.push(form(Value::Timestamp(i64::from(days) * DAY))),
        Value::Timestamp(micros) if micros % DAY == 0 => {
            forms.extend(i32::try_from(micros / DAY).ok().map(|days| form(Value::Date(days))));
        }
        Value::Text(text) => forms.push(form(Value::Numeric(text))),
        Value::Integer(_) | Value::Numeric(_) => forms.push(form(Value::Text(text))),
        _ => {}
    }
    forms
}
