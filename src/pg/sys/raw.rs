//! Functions of Postgres without pgrx's guard, and the two ways to call them.
//!
//! The hooks call the standard functions through the raw declarations below, not through pgrx's guarded wrappers: a
//! guard turns an ERROR into a Rust panic and rebuilds it, which loses its cursor position, constraint name, context
//! and every SQLSTATE that pgrx does not know (`AL001` …). [`with_cleanup`] is C's PG_TRY / PG_RE_THROW instead: the
//! error passes through untouched. Those that differ between majors are in `compat`.
#![allow(unsafe_code)] // ◆ declarations of Postgres functions, and the one place that longjmps on purpose
#![allow(ffi_unwind_calls)] // reason: C's PG_TRY in Rust; no frame here owns anything with a destructor

use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_void};

extern "C-unwind" {
    /// `executor/execMain.c`, unguarded: see the module's head.
    #[link_name = "standard_ExecutorStart"]
    pub fn raw_executor_start(desc: *mut pg_sys::QueryDesc, eflags: c_int);
    /// `executor/execMain.c`
    #[link_name = "standard_ExecutorEnd"]
    pub fn raw_executor_end(desc: *mut pg_sys::QueryDesc);
    /// `utils/init/miscinit.c`
    #[link_name = "InSecurityRestrictedOperation"]
    pub fn raw_in_restricted_operation() -> bool;
    /// `tcop/utility.c`
    #[link_name = "standard_ProcessUtility"]
    pub fn raw_process_utility(
        pstmt: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        env: *mut pg_sys::QueryEnvironment,
        dest: *mut pg_sys::DestReceiver,
        qc: *mut pg_sys::QueryCompletion,
    );
    /// `optimizer/plan/planner.c`
    #[link_name = "standard_planner"]
    pub fn raw_planner(
        parse: *mut pg_sys::Query,
        query: *const c_char,
        options: c_int,
        params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
    /// `utils/init/miscinit.c`; like the next two it reads a variable, so it needs no guard
    #[link_name = "GetAuthenticatedUserId"]
    pub fn raw_authenticated_user() -> pg_sys::Oid;
    /// `utils/init/miscinit.c`
    #[link_name = "GetSessionUserId"]
    pub fn raw_session_user() -> pg_sys::Oid;
    /// `utils/init/miscinit.c`
    #[link_name = "GetUserId"]
    pub fn raw_current_user() -> pg_sys::Oid;
    /// `access/transam/xact.c`; reads a variable
    #[link_name = "IsTransactionState"]
    pub fn raw_in_transaction() -> bool;
    /// `access/transam/xlog.c`; reads a variable, or one in shared memory
    #[link_name = "RecoveryInProgress"]
    pub fn raw_in_recovery() -> bool;
    /// `utils/error/elog.c`
    pub fn errstart(level: c_int, domain: *const c_char) -> bool;
    /// `utils/error/elog.c`
    pub fn errcode(code: c_int) -> c_int;
    /// `utils/error/elog.c`
    pub fn errmsg(format: *const c_char, ...) -> c_int;
    /// `utils/error/elog.c`
    pub fn errdetail(format: *const c_char, ...) -> c_int;
    /// `utils/error/elog.c`
    pub fn errhint(format: *const c_char, ...) -> c_int;
    /// `utils/error/elog.c`
    pub fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
    /// `utils/error/elog.c`; the SQLSTATE of the error being handled
    #[link_name = "geterrcode"]
    pub fn raw_geterrcode() -> c_int;
    /// `utils/error/elog.c`; a copy, in the current memory context, of the error being handled
    #[link_name = "CopyErrorData"]
    fn raw_copy_error_data() -> *mut pg_sys::ErrorData;
    /// `utils/error/elog.c`
    #[link_name = "pg_re_throw"]
    pub fn raw_pg_re_throw() -> !;
    /// `parser/parse_clause.c`
    #[link_name = "transformWhereClause"]
    pub fn raw_transform_where_clause(
        pstate: *mut pg_sys::ParseState,
        clause: *mut pg_sys::Node,
        kind: pg_sys::ParseExprKind::Type,
        construct: *const c_char,
    ) -> *mut pg_sys::Node;
    /// `nodes/nodeFuncs.c`
    #[link_name = "check_functions_in_node"]
    pub fn raw_check_functions_in_node(
        node: *mut pg_sys::Node,
        checker: pg_sys::check_function_callback,
        context: *mut c_void,
    ) -> bool;
    /// `executor/nodeModifyTable.c`, of which pgrx binds nothing
    #[link_name = "ExecComputeStoredGenerated"]
    fn raw_compute_stored_generated(
        result: *mut pg_sys::ResultRelInfo,
        estate: *mut pg_sys::EState,
        slot: *mut pg_sys::TupleTableSlot,
        command: pg_sys::CmdType::Type,
    );
    /// `utils/adt/datum.c`; compares bytes, without a look into TOAST
    #[link_name = "datumIsEqual"]
    pub fn raw_datum_is_equal(a: pg_sys::Datum, b: pg_sys::Datum, by_value: bool, length: c_int) -> bool;
    /// `catalog/pg_inherits.c`
    #[link_name = "find_all_inheritors"]
    fn raw_find_all_inheritors(
        parent: pg_sys::Oid,
        lock: pg_sys::LOCKMODE,
        counts: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
    /// `catalog/pg_inherits.c`
    #[link_name = "has_superclass"]
    fn raw_has_superclass(relation: pg_sys::Oid) -> bool;
    /// `executor/execTuples.c`
    #[link_name = "slot_getsomeattrs_int"]
    pub fn raw_slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, number: c_int);
    /// `utils/fmgr/fmgr.c`
    #[link_name = "pg_detoast_datum"]
    pub fn raw_detoast(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
    /// `utils/fmgr/fmgr.c`; leaves a short header as it is
    #[link_name = "pg_detoast_datum_packed"]
    pub fn raw_detoast_packed(value: *mut pg_sys::varlena) -> *mut pg_sys::varlena;
    /// `utils/adt/numeric.c`; the number without trailing zeros
    #[link_name = "numeric_normalize"]
    pub fn raw_numeric_normalize(value: *mut c_void) -> *mut c_char;
    /// `nodes/copyfuncs.c`
    #[link_name = "copyObjectImpl"]
    pub fn raw_copy_object(node: *const c_void) -> *mut c_void;
}

/// Runs one C call; an ERROR in it becomes a Rust panic, here and nowhere deeper.
///
/// # Safety
/// `call` is a C call whose frames, callbacks included, own nothing that needs dropping.
pub unsafe fn guarded<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::submodules::ffi::pg_guard_ffi_boundary(call) }
}

/// Computes all stored generated columns of the row in `slot`. As for an INSERT: an UPDATE would want to know which columns
/// are updated.
///
/// # Safety
/// The relation of `result` is open, has such columns, and the slot holds a row of it.
pub unsafe fn compute_stored_generated(
    result: *mut pg_sys::ResultRelInfo,
    estate: *mut pg_sys::EState,
    slot: *mut pg_sys::TupleTableSlot,
) {
    // SAFETY: as the caller promises.
    unsafe { guarded(|| raw_compute_stored_generated(result, estate, slot, pg_sys::CmdType::CMD_INSERT)) }
}

/// A table and all its descendants, each locked from now on; a relation of another kind by itself.
pub fn inheritors(relation: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> Vec<pg_sys::Oid> {
    // SAFETY: locks and syscache look-ups inside a transaction; a list of OIDs comes back.
    unsafe {
        pg_sys::LockRelationOid(relation, lock);
        if !matches!(pg_sys::get_rel_relkind(relation) as u8, b'r' | b'p') {
            return vec![relation];
        }
        super::list_of_oids(guarded(|| raw_find_all_inheritors(relation, lock, std::ptr::null_mut())))
    }
}

/// Whether a table is a partition or child of another.
pub fn has_parents(relation: pg_sys::Oid) -> bool {
    // SAFETY: a look into pg_inherits, inside a transaction.
    unsafe { guarded(|| raw_has_superclass(relation)) }
}

/// A table and all its descendants, without locks: for comparing, not for opening.
pub fn descendants(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: looks into pg_inherits, inside a transaction; a list of OIDs comes back.
    unsafe {
        super::list_of_oids(guarded(|| {
            raw_find_all_inheritors(relation, pg_sys::NoLock as pg_sys::LOCKMODE, std::ptr::null_mut())
        }))
    }
}

/// Gives the error being handled another hint, if `advice` has one for its SQLSTATE and its message and detail; all else
/// in it stays.
///
/// # Safety
/// Within the `cleanup` of [`with_cleanup`], as its last step: without memory for the copy it raises.
pub unsafe fn advise(advice: impl FnOnce(c_int, &str) -> Option<&'static str>) {
    // SAFETY: an error is at hand, so elog.c's stack has one; its copy lives in the transaction's memory, which is
    // about to go. errhint copies the text into the error.
    unsafe {
        let error_context = pg_sys::MemoryContextSwitchTo(pg_sys::CurTransactionContext);
        let copy = raw_copy_error_data();
        let texts = [(*copy).message, (*copy).detail]
            .into_iter()
            .filter(|text| !text.is_null())
            .map(|text| std::ffi::CStr::from_ptr(text).to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        pg_sys::MemoryContextSwitchTo(error_context);
        if let Some(hint) = advice(raw_geterrcode(), &texts).and_then(|hint| std::ffi::CString::new(hint).ok()) {
            errhint(c"%s".as_ptr(), hint.as_ptr());
        }
    }
}

/// An error that ends here.
pub struct Raised {
    /// Its SQLSTATE, packed.
    pub code: c_int,
    /// Its message.
    pub message: String,
    /// Whether it has a DETAIL or HINT.
    pub more: bool,
}

/// Runs `call`; an ERROR in it comes back, and is neither logged nor thrown again, as C's `PG_TRY … PG_CATCH` with
/// `FlushErrorState` does. The caller must abort the (sub)transaction then.
///
/// # Safety
/// As [`with_cleanup`].
pub unsafe fn caught(call: impl FnOnce()) -> Option<Raised> {
    // SAFETY: as `with_cleanup`. The copy lives in memory that an abort does not free, until it is freed here.
    unsafe {
        let exception_stack = pg_sys::PG_exception_stack;
        let context_stack = pg_sys::error_context_stack;
        let jumped = cee_scape::call_with_sigsetjmp(false, |buffer| {
            pg_sys::PG_exception_stack = std::ptr::from_ref(buffer).cast_mut().cast();
            call();
            0
        });
        pg_sys::PG_exception_stack = exception_stack;
        pg_sys::error_context_stack = context_stack;
        if jumped == 0 {
            return None;
        }
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let copy = raw_copy_error_data();
        pg_sys::FlushErrorState();
        let text = |text: *const c_char| match text.is_null() {
            true => String::new(),
            false => std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned(),
        };
        let more = !(*copy).detail.is_null() || !(*copy).hint.is_null();
        let raised = Raised { code: (*copy).sqlerrcode, message: text((*copy).message), more };
        pg_sys::FreeErrorData(copy);
        Some(raised)
    }
}

/// Runs `call`; on ERROR runs `cleanup` with the SQLSTATE and throws the very same error again, as C's
/// `PG_TRY … PG_CATCH … PG_RE_THROW` does.
///
/// # Safety
/// `call` and all frames between here and the next handler must own nothing that needs dropping; so must
/// `cleanup` where it raises, and its own work be done by then.
pub unsafe fn with_cleanup<T: Copy>(call: impl FnOnce() -> T, cleanup: impl FnOnce(c_int)) -> T {
    // SAFETY: main thread only (hooks); both stacks are restored on either way out, as PG_TRY does.
    unsafe {
        let exception_stack = pg_sys::PG_exception_stack;
        let context_stack = pg_sys::error_context_stack;
        let mut result = std::mem::MaybeUninit::<T>::uninit();
        let jumped = cee_scape::call_with_sigsetjmp(false, |buffer| {
            pg_sys::PG_exception_stack = std::ptr::from_ref(buffer).cast_mut().cast();
            result.write(call());
            0
        });
        pg_sys::PG_exception_stack = exception_stack;
        pg_sys::error_context_stack = context_stack;
        if jumped == 0 {
            return result.assume_init();
        }
        cleanup(raw_geterrcode());
        raw_pg_re_throw()
    }
}
