//! Which columns of which tables a condition reads, its subqueries included: of the row filter that stands in the inner view
//! of a scope. From the analysed tree alone; it runs inside hooks.
#![allow(unsafe_code)] // ◆ parse trees
#![allow(ffi_unwind_calls)] // reason: the walker's callback calls back into the walker, see raw.rs

use super::{compat, list, raw};
use pgrx::pg_sys::{self, NodeTag};
use std::collections::BTreeSet;
use std::ffi::c_void;

/// What was found; relations by number.
#[derive(Default)]
pub struct Reads {
    /// Tables that subqueries name.
    pub named: BTreeSet<u32>,
    /// Columns of tables, those of the query around it too.
    pub columns: BTreeSet<(u32, i16)>,
}

struct Walk {
    /// Range tables, from that of the query around the condition to that of the subquery at hand.
    levels: Vec<*mut pg_sys::List>,
    reads: Reads,
}

/// What a condition of a query with this range table reads.
///
/// # Safety
/// An analysed condition, or NULL.
pub unsafe fn of(condition: *mut pg_sys::Node, rtable: *mut pg_sys::List) -> Reads {
    let mut walk = Walk { levels: vec![rtable], reads: Reads::default() };
    let context = std::ptr::addr_of_mut!(walk).cast();
    // SAFETY: the walk ends before `walk` is used again; the callback's frames own nothing.
    unsafe { raw::guarded(|| step(condition, context)) };
    walk.reads
}

unsafe extern "C-unwind" fn step(node: *mut pg_sys::Node, context: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: Postgres walks its own tree; the context is the Walk of `of`.
    unsafe {
        match (*node).type_ {
            NodeTag::T_Var => (*context.cast::<Walk>()).column(&*node.cast::<pg_sys::Var>()),
            NodeTag::T_Query => {
                let query = node.cast::<pg_sys::Query>();
                (*context.cast::<Walk>()).enter((*query).rtable);
                // a join's own list names every column of both sides
                let flags = pg_sys::QTW_IGNORE_JOINALIASES as std::ffi::c_int;
                let stop = compat::raw_query_tree_walker(query, Some(step), context, flags);
                (*context.cast::<Walk>()).levels.pop();
                return stop;
            }
            _ => return compat::raw_expression_tree_walker(node, Some(step), context),
        }
    }
    false
}

impl Walk {
    unsafe fn enter(&mut self, rtable: *mut pg_sys::List) {
        self.levels.push(rtable);
        // SAFETY: a range table of an analysed query.
        unsafe {
            let tables = list::<pg_sys::RangeTblEntry>(rtable).into_iter();
            let tables = tables.filter(|entry| (**entry).rtekind == pg_sys::RTEKind::RTE_RELATION);
            self.reads.named.extend(tables.map(|entry| (*entry).relid.to_u32()));
        }
    }

    unsafe fn column(&mut self, var: &pg_sys::Var) {
        let level = self.levels.len().checked_sub(1 + var.varlevelsup as usize);
        let Some(rtable) = level.and_then(|level| self.levels.get(level)) else { return };
        // SAFETY: as `enter`.
        unsafe {
            let entries = list::<pg_sys::RangeTblEntry>(*rtable);
            let entry = usize::try_from(var.varno - 1).ok().and_then(|i| entries.get(i));
            if let Some(entry) = entry.filter(|entry| (***entry).rtekind == pg_sys::RTEKind::RTE_RELATION) {
                self.reads.columns.insert(((**entry).relid.to_u32(), var.varattno));
            }
        }
    }
}
