//! jsonb arguments.
#![allow(unsafe_code)] // ◆ the output function of jsonb

use super::Args;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;

/// A jsonb argument, `None` when NULL. Read by way of its text: pgrx panics at what `serde_json` refuses, such as very deep
/// nesting and numbers beyond any f64, all of which jsonb holds. `AL010` at `$` for those.
pub fn json_argument(args: Args, i: usize, name: &str) -> Result<Option<serde_json::Value>> {
    let Some(datum) = args.datum(i) else { return Ok(None) };
    // SAFETY: jsonb_out takes a jsonb datum, which the SQL declaration makes this, and gives a palloc'd C string in the
    // server's encoding.
    let text = unsafe {
        let datum = pgrx::fcinfo::direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(datum)]);
        datum.map(|text| std::ffi::CStr::from_ptr(text.cast_mut_ptr()).to_string_lossy().into_owned())
    };
    let parsed = serde_json::from_str(&text.unwrap_or_default());
    parsed.map(Some).map_err(|why| {
        Error::scope("$", format!("argument \"{name}\" cannot be read: {why}"))
            .hint("nest it less than 100 levels deep, and keep numbers below 1e300")
    })
}

/// As [`json_argument`]; 22023 when it is NULL.
pub fn need_json(args: Args, i: usize, name: &str) -> Result<serde_json::Value> {
    json_argument(args, i, name)?
        .ok_or_else(|| Error::new(Kind::InvalidArgument, format!("argument \"{name}\" must not be null")))
}
