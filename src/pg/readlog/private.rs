//! What a statement holds apart from its text: the constants that were taken out of it, and its parameters.
#![allow(unsafe_code)] // ◆ the executor's parameters

use crate::pg::keys::entropy;
use crate::pure::error::Result;
use crate::pure::record::private::{Private, MOST};
use pgrx::{pg_sys, varsize_any};
use std::ffi::CStr;

/// The private part of a statement's record, whose text was cut off or not; `None` when it holds nothing.
///
/// # Safety
/// `params` is NULL or a statement's parameters; inside a transaction.
pub unsafe fn part(constants: Vec<String>, params: pg_sys::ParamListInfo, cut_text: bool) -> Result<Option<Vec<u8>>> {
    // SAFETY: as the caller promises.
    let (parameters, cut) = unsafe { parameters(params) };
    of(constants, parameters, cut || cut_text)
}

/// The same of parameters that are at hand.
pub fn of(constants: Vec<String>, parameters: Vec<Option<String>>, cut: bool) -> Result<Option<Vec<u8>>> {
    let mut private = Private { constants, parameters, cut, ..Private::default() };
    if private.is_empty() && !private.cut {
        return Ok(None);
    }
    private.salt = entropy::random()?;
    private.limit();
    Ok(Some(private.encode()))
}

/// The parameters as their types print them, and whether one was too long for that.
unsafe fn parameters(params: pg_sys::ParamListInfo) -> (Vec<Option<String>>, bool) {
    // SAFETY: numParams entries; output functions of the parameters' types.
    unsafe {
        // those of a function's own statements come from its variables one by one
        if params.is_null() || (*params).paramFetch.is_some() {
            return (Vec::new(), false);
        }
        let count = usize::try_from((*params).numParams).unwrap_or(0);
        let (mut found, mut cut) = (Vec::with_capacity(count), false);
        for parameter in std::slice::from_raw_parts((*params).params.as_ptr(), count) {
            if parameter.isnull || parameter.ptype == pg_sys::InvalidOid {
                found.push(None);
                continue;
            }
            let long = pg_sys::get_typlen(parameter.ptype) == -1 && {
                let value = parameter.value.cast_mut_ptr::<pg_sys::varlena>();
                // one outside the row or compressed may be longer than it looks
                pgrx::varatt_is_1b_e(value) || pgrx::varatt_is_4b_c(value) || varsize_any(value) > MOST
            };
            if long {
                cut = true;
                found.push(None);
                continue;
            }
            let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
            pg_sys::getTypeOutputInfo(parameter.ptype, &mut output, &mut varlena);
            let text = pg_sys::OidOutputFunctionCall(output, parameter.value);
            found.push(Some(CStr::from_ptr(text).to_string_lossy().into_owned()));
            pg_sys::pfree(text.cast());
        }
        (found, cut)
    }
}
