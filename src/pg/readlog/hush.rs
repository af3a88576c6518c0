//! Errors that may quote a value which the reader must not see. A row filter and the conditions of masks run on columns that
//! are not shown, the filter on rows that it hides; where they call what names its argument in an error (`sys::quiet`), the
//! statement's errors are said without their text, but for those that no value makes. Which of its expressions raised cannot be
//! told, so this is so for those of the reader's own as well.
#![allow(unsafe_code)] // ◆ the error that is being handled
#![allow(ffi_unwind_calls)] // reason: errfinish longjmps; the frames it leaves own nothing

use super::armed;
use crate::pg::error::{self, unpacked};
use crate::pg::registry;
use crate::pure::error::Result;
use pgrx::pg_sys;
use std::ffi::c_int;

/// Classes of errors that the server's state makes and no value: rollback, resources, intervention, system, transaction; and
/// ours. `chr` says 54000, text search 42601.
const SAID: [&str; 6] = ["40", "53", "55", "57", "58", "25"];

/// Whether the errors of a run are hushed: in a parallel worker too, whose own goes to the server's log.
pub fn wanted(run: armed::Run) -> Result<bool> {
    let scopes = armed::scopes_of(run);
    if scopes.is_empty() {
        return Ok(false);
    }
    let registry = registry::current()?;
    // of a scope that is gone meanwhile nothing is known
    Ok(scopes.iter().any(|id| registry.scopes.get(id).is_none_or(|scope| scope.quotes)))
}

/// A statement raised: note why, and take its frame away. The outcome is written when the transaction aborts. One that is to
/// be `hushed` gets an error without text in its place; the SQLSTATE stays.
///
/// # Safety
/// In the place of a PG_CATCH, as the last thing there: where it hushes it does not return. The caller's frames own nothing.
pub unsafe fn failed(run: armed::Run, depth: usize, (code, hushed): (c_int, bool)) {
    armed::failed(run, unpacked(code));
    armed::cut(depth);
    let code_text = unpacked(code);
    let said = code_text.starts_with("AL") || SAID.iter().any(|class| code_text.starts_with(class));
    drop(code_text);
    if !hushed || said {
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
