//! Keeps the planner from plans that would not show whose rows they read: an index that gives rows by itself must have
//! the subject's columns, or the row is fetched.
#![allow(unsafe_code)] // ◆ the planner's lists of indexes

use super::trace::is_of;
use crate::pg::registry::Registry;
use crate::pg::sys::list;
use pgrx::pg_sys;
use std::ffi::CString;

/// Takes the indexes of a scope's table that lack a subject's column out of the running for index-only scans.
///
/// # Safety
/// Called while the planner fills in what it knows of `table`, which is locked.
pub unsafe fn fetch_rows(registry: &Registry, subprocessor: &str, table: pg_sys::Oid, rel: *mut pg_sys::RelOptInfo) {
    let mine = |s: &&std::rc::Rc<crate::pg::registry::Scope>| {
        s.subprocessor.contract.name == subprocessor && s.subject.is_some() && is_of(table, s.relation)
    };
    // SAFETY: the planner's own nodes; the arrays of an index have ncolumns entries.
    unsafe {
        let indexes = list::<pg_sys::IndexOptInfo>((*rel).indexlist);
        if indexes.is_empty() {
            return;
        }
        let Some(subject) = registry.scopes.values().find(mine).and_then(|s| s.subject.as_ref()) else { return };
        let numbers: Vec<i32> = subject
            .columns
            .iter()
            .map(|name| CString::new(name.as_str()).map_or(0, |c| i32::from(pg_sys::get_attnum(table, c.as_ptr()))))
            .collect();
        for index in indexes {
            let columns = usize::try_from((*index).ncolumns).unwrap_or(0);
            let keys = std::slice::from_raw_parts((*index).indexkeys, columns);
            let returns = std::slice::from_raw_parts_mut((*index).canreturn, columns);
            let shown = |n: &i32| keys.iter().zip(returns.iter()).any(|(key, returns)| key == n && *returns);
            if !numbers.iter().all(shown) {
                returns.fill(false);
            }
        }
    }
}
