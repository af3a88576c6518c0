//! Rows of a table as one parameter of a statement: an array of the table's row type. Many rows then cost one start of the
//! executor and not one each.
#![allow(unsafe_code)] // ◆ tuples of a row type, arrays

use super::compat;
use super::sql::Arg;
use crate::pure::error::{Error, Kind, Result};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use std::ffi::CStr;

/// An array of `table`'s row type whose rows have these values in these columns, and NULL in others.
///
/// # Errors
/// XX001 where a column is not there, or of another type than its value.
pub fn rows<'a>(table: pg_sys::Oid, columns: &[&str], rows: &[Vec<Arg>]) -> Result<Arg<'a>> {
    let wrong = |what: &str| Error::new(Kind::Corrupt, format!("a table of the extension {what}"));
    // SAFETY: the descriptor is held while it is looked at; its columns are checked against the values, one by one. What is
    // made is of the current memory context.
    unsafe {
        let row_type = pg_sys::get_rel_type_id(table);
        let array_type = pg_sys::get_array_type(row_type);
        if array_type == pg_sys::InvalidOid {
            return Err(wrong("has no row type"));
        }
        let desc = pg_sys::lookup_rowtype_tupdesc_copy(row_type, -1);
        let attributes: Vec<_> = (0..(*desc).natts as usize).map(|i| compat::attribute(desc, i)).collect();
        let place = |name: &&str| {
            let named = |a: &&pg_sys::FormData_pg_attribute| {
                !a.attisdropped && CStr::from_ptr(a.attname.data.as_ptr()).to_bytes() == name.as_bytes()
            };
            attributes.iter().position(named).ok_or_else(|| wrong(&format!("has no column {name}")))
        };
        let places = columns.iter().map(place).collect::<Result<Vec<usize>>>()?;
        let mut datums = Vec::with_capacity(rows.len());
        for row in rows {
            let mut values = vec![pg_sys::Datum::from(0); attributes.len()];
            let mut nulls = vec![true; attributes.len()];
            if row.len() != places.len() {
                return Err(wrong("has another number of columns"));
            }
            for (value, place) in row.iter().zip(&places) {
                if value.oid() != attributes[*place].atttypid {
                    return Err(wrong("has a column of another type"));
                }
                if let Some(datum) = value.datum() {
                    (values[*place], nulls[*place]) = (datum.sans_lifetime(), false);
                }
            }
            let tuple = pg_sys::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            datums.push(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data));
        }
        let (count, align) = (datums.len() as i32, pg_sys::TYPALIGN_DOUBLE as std::ffi::c_char);
        let array = pg_sys::construct_array(datums.as_mut_ptr(), count, row_type, -1, false, align);
        Ok(DatumWithOid::new(pg_sys::Datum::from(array), array_type))
    }
}
