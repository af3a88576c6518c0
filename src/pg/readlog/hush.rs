//! Errors that may quote a value which the reader must not see. A row filter and the conditions of masks run on columns that
//! are not shown, the filter on rows that it hides; where they call what names its argument in an error (`sys::quiet`), the
//! statement's data exceptions (class 22) are said without their text. Which of its expressions raised cannot be told, so
//! this is so for those of the reader's own as well.
#![allow(unsafe_code)] // ◆ the error that is being handled
#![allow(ffi_unwind_calls)] // reason: errfinish longjmps; the frames it leaves own nothing

use super::armed;
use crate::pg::error::{self, unpacked};
use crate::pg::registry;
use crate::pure::error::Result;
use pgrx::pg_sys;
use std::ffi::c_int;

/// Whether the data exceptions of a run are hushed.
pub fn wanted(run: armed::Run) -> Result<bool> {
    let scopes = armed::scopes_of(run);
    if scopes.is_empty() {
        return Ok(false);
    }
    let registry = registry::current()?;
    // of a scope that is gone meanwhile nothing is known
    Ok(scopes.iter().any(|id| registry.scopes.get(id).is_none_or(|scope| scope.quotes)))
}

/// A statement raised: note why, and take its frame away. The outcome is written when the transaction aborts. A data exception
/// that is to be `hushed` gets an error without text in its place; the SQLSTATE stays.
///
/// # Safety
/// In the place of a PG_CATCH, as the last thing there: where it hushes it does not return. The caller's frames own nothing.
pub unsafe fn failed(run: armed::Run, depth: usize, (code, hushed): (c_int, bool)) {
    armed::failed(run, unpacked(code));
    armed::cut(depth);
    if !hushed || !unpacked(code).starts_with("22") {
        return;
    }
    // SAFETY: as the caller promises; the error is thrown away before a new one is raised, as PG_CATCH may do.
    unsafe {
        pg_sys::FlushErrorState();
        error::raise_as(
            code,
            c"a value of a row cannot be used as the query or its scope wants",
            c"The error is not shown, for it may quote a value that the scope hides.",
        );
    }
}
