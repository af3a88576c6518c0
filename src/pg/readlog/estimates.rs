//! What the planner is told about tables when a statement reads nothing but scopes with `allow_explain`: nothing that
//! rows could change. Each table, catalogs too, has the same size and no statistics, so that the plan, which EXPLAIN shows, is made of
//! the query, the schema and the settings alone. The same plan runs: a plan that is only shown would say nothing.
//!
//! | the planner asks for | it gets |
//! |---|---|
//! | pages and rows of a table, share of all-visible pages | [`PAGES`], [`ROWS`], none |
//! | pages, rows and height of an index | constants |
//! | statistics of columns and expressions, extended ones | none |
//! | average width of a column | that of its type |
//!
//! Indexes of other kinds than below are left out: the cost functions of GIN and BRIN read the index itself, those of
//! other extensions are not known. What a foreign table's wrapper says cannot be kept out; it is noted, for EXPLAIN to refuse.
#![allow(unsafe_code)] // ◆ planner hooks, the planner's nodes
#![allow(ffi_unwind_calls)] // reason: predecessors are called as C calls them; no frame here owns anything meanwhile

use crate::pg::encrypted::search;
use crate::pg::registry::{self, Registry, Scope};
use crate::pg::sys::{list, scan};
use crate::pure::error::Result;
use pgrx::pg_sys::{self, NodeTag, RTEKind};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Neither so few rows that a nested loop over two such tables seems cheap, nor so many that compiling the query does.
const ROWS: f64 = 100_000.0;
/// Pages of such a table, at 50 rows each.
const PAGES: u32 = 2_000;
/// Pages of each of its indexes.
const INDEX_PAGES: u32 = 400;
/// Levels of a btree above its leaves.
const HEIGHT: i32 = 1;
/// Kinds of index whose cost is a matter of the sizes above.
const KINDS: [pg_sys::Oid; 4] = [pg_sys::BTREE_AM_OID, pg_sys::HASH_AM_OID, pg_sys::GIST_AM_OID, pg_sys::SPGIST_AM_OID];

/// How the statement that is being planned is told about tables.
#[derive(Clone, Copy, Default)]
pub struct Told {
    /// Nothing that rows could change.
    blind: bool,
    /// But a foreign table was asked.
    foreign: bool,
}

/// In variables of the process: each column of each statement asks, and one that is thread-local costs a call.
static TOLD: (AtomicBool, AtomicBool) = (AtomicBool::new(false), AtomicBool::new(false));

fn told() -> Told {
    Told { blind: TOLD.0.load(Relaxed), foreign: TOLD.1.load(Relaxed) }
}

/// Gives what was before.
fn tell(told: Told) -> Told {
    Told { blind: TOLD.0.swap(told.blind, Relaxed), foreign: TOLD.1.swap(told.foreign, Relaxed) }
}

thread_local! {
    /// The same of the one that was planned last.
    static LAST: Cell<Told> = const { Cell::new(Told { blind: false, foreign: false }) };
}

/// Whether the last statement that was planned was told nothing that rows could change.
pub fn was_blind() -> bool {
    let told = LAST.with(Cell::get);
    told.blind && !told.foreign
}

/// Nothing was planned yet: where another library's planner goes past ours, it stays so.
pub fn forget() {
    LAST.with(|last| last.set(Told { blind: false, foreign: false }));
}

/// A statement is about to be planned; gives what held for the one around it, to be put back by [`end`].
///
/// # Safety
/// `query` is the planner's own.
pub unsafe fn begin(query: *mut pg_sys::Query) -> Result<Told> {
    // SAFETY: as the caller promises.
    let read = unsafe { scopes(query)? };
    let blind = !read.is_empty() && read.iter().all(|scope| scope.fence.allow_explain);
    Ok(tell(Told { blind, foreign: false }))
}

/// A statement was planned, or failed to be.
pub fn end(around: Told) {
    let told = tell(around);
    LAST.with(|last| last.set(told));
}

/// The scopes that a query names, analysed or rewritten, each once. Those that functions bring in while it is planned
/// show in the plan only.
///
/// # Safety
/// `query` is an analysed query.
pub unsafe fn scopes(query: *mut pg_sys::Query) -> Result<Vec<Rc<Scope>>> {
    if scan::table_oid("scope").is_none() {
        return Ok(Vec::new());
    }
    let registry: Rc<Registry> = registry::current()?;
    let mut found: Vec<Rc<Scope>> = Vec::new();
    // SAFETY: range tables hold entries. A view that was expanded is a subquery; in 15 the entry OLD beneath still names it.
    unsafe {
        for query in search::collect(query.cast(), NodeTag::T_Query) {
            for entry in list::<pg_sys::RangeTblEntry>((*query.cast::<pg_sys::Query>()).rtable) {
                let named = matches!((*entry).rtekind, RTEKind::RTE_RELATION | RTEKind::RTE_SUBQUERY);
                let Some(scope) = registry.scope_of_view((*entry).relid).filter(|_| named) else { continue };
                if !found.iter().any(|known| known.id == scope.id) {
                    found.push(scope.clone());
                }
            }
        }
    }
    Ok(found)
}

/// Takes out of what the planner knows of a table all that rows could change.
///
/// # Safety
/// Called while the planner fills in what it knows of a table; `parent`: of its descendants, whose rows are added up.
pub unsafe fn hide(parent: bool, rel: *mut pg_sys::RelOptInfo) {
    let told = told();
    if !told.blind {
        return;
    }
    // SAFETY: the planner's own nodes; lists of indexes hold IndexOptInfo.
    unsafe {
        (*rel).statlist = std::ptr::null_mut();
        if !(*rel).fdwroutine.is_null() {
            tell(Told { foreign: true, ..told });
        }
        if parent {
            return;
        }
        ((*rel).pages, (*rel).tuples, (*rel).allvisfrac) = (PAGES, ROWS, 0.0);
        let mut kept = std::ptr::null_mut();
        for index in list::<pg_sys::IndexOptInfo>((*rel).indexlist) {
            if KINDS.contains(&(*index).relam) {
                let height = if (*index).relam == pg_sys::BTREE_AM_OID { HEIGHT } else { -1 };
                ((*index).pages, (*index).tuples, (*index).tree_height) = (INDEX_PAGES, ROWS, height);
                kept = pg_sys::lappend(kept, index.cast());
            }
        }
        (*rel).indexlist = kept;
    }
}

fn blind() -> bool {
    TOLD.0.load(Relaxed)
}

#[derive(Clone, Copy)]
struct Previous {
    columns: pg_sys::get_relation_stats_hook_type,
    expressions: pg_sys::get_index_stats_hook_type,
    width: pg_sys::get_attavgwidth_hook_type,
}

static mut PREVIOUS: Previous = Previous { columns: None, expressions: None, width: None };

/// Installs the hooks by which the planner asks for statistics; in the postmaster, while libraries are preloaded.
pub fn install() {
    // SAFETY: single-threaded start-up; each variable is saved before it is replaced.
    unsafe {
        PREVIOUS = Previous {
            columns: pg_sys::get_relation_stats_hook,
            expressions: pg_sys::get_index_stats_hook,
            width: pg_sys::get_attavgwidth_hook,
        };
        pg_sys::get_relation_stats_hook = Some(of_column);
        pg_sys::get_index_stats_hook = Some(of_expression);
        pg_sys::get_attavgwidth_hook = Some(width);
    }
}

fn previous() -> Previous {
    // SAFETY: written once, in the postmaster, before any fork.
    unsafe { PREVIOUS }
}

unsafe extern "C-unwind" fn of_column(
    root: *mut pg_sys::PlannerInfo,
    entry: *mut pg_sys::RangeTblEntry,
    number: pg_sys::AttrNumber,
    data: *mut pg_sys::VariableStatData,
) -> bool {
    // SAFETY: arguments come from Postgres and go to the predecessor as they are. An answer without a tuple says that
    // there are no statistics.
    unsafe {
        if (*entry).rtekind == RTEKind::RTE_RELATION && blind() {
            (*data).statsTuple = std::ptr::null_mut();
            return true;
        }
        previous().columns.is_some_and(|next| next(root, entry, number, data))
    }
}

unsafe extern "C-unwind" fn of_expression(
    root: *mut pg_sys::PlannerInfo,
    index: pg_sys::Oid,
    number: pg_sys::AttrNumber,
    data: *mut pg_sys::VariableStatData,
) -> bool {
    // SAFETY: as `of_column`.
    unsafe {
        if blind() {
            (*data).statsTuple = std::ptr::null_mut();
            return true;
        }
        previous().expressions.is_some_and(|next| next(root, index, number, data))
    }
}

unsafe extern "C-unwind" fn width(table: pg_sys::Oid, number: pg_sys::AttrNumber) -> i32 {
    // SAFETY: as `of_column`; syscache look-ups of a column of a table that is being planned for.
    unsafe {
        if blind() {
            let (mut of, mut modifier, mut collation) = (pg_sys::InvalidOid, -1, pg_sys::InvalidOid);
            pg_sys::get_atttypetypmodcoll(table, number, &mut of, &mut modifier, &mut collation);
            return pg_sys::get_typavgwidth(of, modifier);
        }
        // 0: the column's own statistics are asked
        previous().width.map_or(0, |next| next(table, number))
    }
}
