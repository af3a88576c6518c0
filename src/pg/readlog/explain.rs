//! EXPLAIN as a sub-processor: which statement may be explained, and that it is on record before its plan is shown.
//!
//! `pure::contain::explain` decides. It is asked twice: before the statement is planned, by what it names, and when the
//! plan has been made, by what it reads, for a function that was inlined may read more.
#![allow(unsafe_code)] // ◆ EXPLAIN's parse tree

use super::{estimates, record_of};
use crate::pg::registry::{Registry, Scope};
use crate::pg::sys::{list, raw};
use crate::pure::contain::explain::{option, refused, views};
use crate::pure::error::Result;
use pgrx::pg_sys::{self, NodeTag};
use std::cell::Cell;
use std::ffi::{c_char, CStr};

/// Where a statement stands in the text that it came in.
pub type Place = (i32, i32);

thread_local! {
    /// The EXPLAIN that is running.
    static EXPLAINED: Cell<Option<Place>> = const { Cell::new(None) };
}

/// A utility command begins; gives what held around it, to be put back by [`end`].
///
/// # Safety
/// A planned statement that [`super::hooks`] has let through.
pub unsafe fn begin(statement: *const pg_sys::PlannedStmt) -> Option<Place> {
    // SAFETY: as the caller promises.
    let place = unsafe {
        let explains = (*(*statement).utilityStmt).type_ == NodeTag::T_ExplainStmt;
        explains.then_some(((*statement).stmt_location, (*statement).stmt_len))
    };
    if place.is_some() {
        estimates::forget();
    }
    EXPLAINED.with(|e| e.replace(place))
}

/// A utility command ended.
pub fn end(around: Option<Place>) {
    EXPLAINED.with(|e| e.set(around));
}

/// May this EXPLAIN run? Only of a SELECT that names scoped views, each of which allows it: EXECUTE would show a plan that
/// may be older than the permission, and what DECLARE or CREATE TABLE AS explain is a SELECT too.
///
/// # Errors
/// AL007.
///
/// # Safety
/// `statement` has been analysed.
pub unsafe fn check(statement: &pg_sys::ExplainStmt) -> Result<()> {
    // SAFETY: the tag says which struct the node is; options are a list of DefElem.
    unsafe {
        if statement.query.is_null() || (*statement.query).type_ != NodeTag::T_Query {
            return Err(refused());
        }
        let query = statement.query.cast::<pg_sys::Query>();
        if (*query).commandType != pg_sys::CmdType::CMD_SELECT || (*query).hasModifyingCTE {
            return Err(refused());
        }
        views(&named(estimates::scopes(query)?.iter().map(|scope| &**scope)))?;
        for element in list::<pg_sys::DefElem>(statement.options) {
            let value = if (*element).arg.is_null() {
                None
            } else {
                let text = raw::guarded(|| pg_sys::defGetString(element));
                Some(CStr::from_ptr(text).to_string_lossy().into_owned())
            };
            option(&CStr::from_ptr((*element).defname).to_string_lossy(), value.as_deref())?;
        }
    }
    Ok(())
}

/// The same of what the plan reads, by number of scope.
///
/// # Errors
/// AL007.
pub fn planned(registry: &Registry, scopes: &[i32]) -> Result<()> {
    if EXPLAINED.with(Cell::get).is_none() || !estimates::was_blind() {
        return Err(refused());
    }
    views(&named(scopes.iter().filter_map(|id| registry.scopes.get(id)).map(|scope| &**scope)))
}

/// Views by name, each with whether its scope allows EXPLAIN.
fn named<'a>(scopes: impl Iterator<Item = &'a Scope>) -> Vec<(String, bool)> {
    scopes.map(|scope| (record_of::relation_name(scope.view), scope.fence.allow_explain)).collect()
}

/// The text of the EXPLAIN that is running, for its record.
///
/// # Safety
/// `source` is NULL or the text that it came in.
pub unsafe fn text(source: *const c_char) -> String {
    let (location, length) = EXPLAINED.with(Cell::get).unwrap_or((-1, 0));
    // SAFETY: as the caller promises.
    unsafe { record_of::statement_text(source, location, length) }
}
