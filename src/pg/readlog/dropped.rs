//! Views that a plan does not name any more. Where a join is proved empty (`FROM v a, v b WHERE false`), PostgreSQL 15
//! leaves what is beneath its sides out of the plan, permission checks included, if they had been planned by then. No row
//! can come of it, and yet it is a read of the view: it is put on record, and held against contract and rights, as one
//! that gives no row. From 16 on a statement's permissions are kept apart from its plan, but for those inside a subquery that
//! was not pulled up (`(SELECT … FROM v OFFSET 0)`); these are not looked for here.
#![allow(unsafe_code)] // ◆ range tables

use crate::pg::encrypted::search;
use crate::pg::registry;
use crate::pg::sys::{compat, list, scan};
use crate::pure::error::Result;
use pgrx::pg_sys::{self, NodeTag, RTEKind};

/// The entries by which a query, views expanded, asks for rights on scoped views: copies, since the planner changes its
/// own. A list of PostgreSQL's, for the hook's frame must own nothing.
///
/// # Safety
/// A query that is about to be planned.
pub unsafe fn named(query: *mut pg_sys::Query) -> Result<*mut pg_sys::List> {
    if scan::table_oid("scope").is_none() {
        return Ok(std::ptr::null_mut());
    }
    let registry = registry::current()?;
    let mut found = std::ptr::null_mut();
    // SAFETY: range tables hold entries; copies are of the planner's context.
    unsafe {
        for query in search::collect(query.cast(), NodeTag::T_Query) {
            for entry in list::<pg_sys::RangeTblEntry>((*query.cast::<pg_sys::Query>()).rtable) {
                if (*entry).rtekind == RTEKind::RTE_RELATION && registry.scope_of_view((*entry).relid).is_some() {
                    found = pg_sys::lappend(found, pg_sys::copyObjectImpl(entry.cast()));
                }
            }
        }
    }
    Ok(found)
}

/// Gives a plan back what it lacks of these.
///
/// # Safety
/// The plan of that query, which nobody has seen yet.
pub unsafe fn put_back(plan: *mut pg_sys::PlannedStmt, named: *mut pg_sys::List) -> Result<()> {
    // SAFETY: as the caller promises. An entry that no node of the plan refers to is looked at for rights and locks only.
    unsafe {
        let there: Vec<pg_sys::Oid> = compat::accesses_of_plan(&*plan).iter().map(|access| access.relid).collect();
        for entry in list::<pg_sys::RangeTblEntry>(named) {
            if !there.contains(&(*entry).relid) {
                (*plan).rtable = pg_sys::lappend((*plan).rtable, entry.cast());
            }
        }
    }
    Ok(())
}
