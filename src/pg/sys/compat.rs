//! Everything that differs between PostgreSQL majors, and the declarations pgrx lacks.
//!
//! The hooks call the standard functions through the raw declarations below, not through pgrx's guarded wrappers: a
//! guard turns an ERROR into a Rust panic and rebuilds it, which loses its cursor position, constraint name, context
//! and every SQLSTATE that pgrx does not know (`AL001` …). [`with_cleanup`] is C's PG_TRY / PG_RE_THROW instead: the
//! error passes through untouched.
#![allow(unsafe_code)] // ◆ declarations of Postgres functions, and the one place that longjmps on purpose
#![allow(ffi_unwind_calls)] // reason: C's PG_TRY in Rust; no frame here owns anything with a destructor

use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_void};

/// A callback of the tree walkers.
pub type Walker = Option<unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool>;

extern "C-unwind" {
    /// `executor/execMain.c`, unguarded: see the module's head.
    #[link_name = "standard_ExecutorStart"]
    pub fn raw_executor_start(desc: *mut pg_sys::QueryDesc, eflags: c_int);
    /// `executor/execMain.c`; PostgreSQL 18 dropped the last argument.
    #[cfg(not(feature = "pg18"))]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(desc: *mut pg_sys::QueryDesc, dir: pg_sys::ScanDirection::Type, count: u64, once: bool);
    /// `executor/execMain.c`
    #[cfg(feature = "pg18")]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(desc: *mut pg_sys::QueryDesc, dir: pg_sys::ScanDirection::Type, count: u64);
    /// `executor/execMain.c`
    #[link_name = "standard_ExecutorEnd"]
    pub fn raw_executor_end(desc: *mut pg_sys::QueryDesc);
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
    /// `nodes/nodeFuncs.c`; for walker callbacks in Rust: a guard in each level of a recursion turns "stack depth limit
    /// exceeded" into a panic that must unwind through the guards above, which cannot unwind and abort the process. One
    /// [`guarded`] stands around the outermost call instead.
    #[cfg_attr(feature = "pg15", link_name = "query_tree_walker")]
    #[cfg_attr(not(feature = "pg15"), link_name = "query_tree_walker_impl")]
    pub fn raw_query_tree_walker(query: *mut pg_sys::Query, walker: Walker, context: *mut c_void, flags: c_int)
        -> bool;
    /// `nodes/nodeFuncs.c`
    #[cfg_attr(feature = "pg15", link_name = "expression_tree_walker")]
    #[cfg_attr(not(feature = "pg15"), link_name = "expression_tree_walker_impl")]
    pub fn raw_expression_tree_walker(node: *mut pg_sys::Node, walker: Walker, context: *mut c_void) -> bool;
    /// `nodes/nodeFuncs.c`
    #[link_name = "check_functions_in_node"]
    pub fn raw_check_functions_in_node(
        node: *mut pg_sys::Node,
        checker: pg_sys::check_function_callback,
        context: *mut c_void,
    ) -> bool;
    /// `nodes/copyfuncs.c`
    #[link_name = "copyObjectImpl"]
    pub fn raw_copy_object(node: *const c_void) -> *mut c_void;
    /// `replication/logical/message.c`; returns the position after the record. PostgreSQL 17 added `flush`.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    #[link_name = "LogLogicalMessage"]
    fn raw_log_logical_message(prefix: *const c_char, message: *const c_char, size: usize, transactional: bool) -> u64;
    /// `replication/logical/message.c`
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    #[link_name = "LogLogicalMessage"]
    fn raw_log_logical_message(
        prefix: *const c_char,
        message: *const c_char,
        size: usize,
        transactional: bool,
        flush: bool,
    ) -> u64;
    /// `port/pqsignal.c`; 18 has one for the server and one for libpq, under two names.
    #[cfg_attr(not(feature = "pg18"), link_name = "pqsignal")]
    #[cfg_attr(feature = "pg18", link_name = "pqsignal_be")]
    fn raw_pqsignal(signal: c_int, handler: Option<unsafe extern "C-unwind" fn(c_int)>);
}

/// The signature of `ExecutorRun_hook`, whose fourth argument PostgreSQL 18 dropped: an entry point `$name` that gives
/// `$body` a [`Run`].
#[cfg(not(feature = "pg18"))]
macro_rules! executor_run_hook {
    ($name:ident => $body:path) => {
        unsafe extern "C-unwind" fn $name(
            desc: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            once: bool,
        ) {
            // SAFETY: the arguments are Postgres' own.
            unsafe { $body(desc, compat::Run { direction, count, once }) }
        }
    };
}
#[cfg(feature = "pg18")]
macro_rules! executor_run_hook {
    ($name:ident => $body:path) => {
        unsafe extern "C-unwind" fn $name(
            desc: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
        ) {
            // SAFETY: the arguments are Postgres' own.
            unsafe { $body(desc, compat::Run { direction, count }) }
        }
    };
}
pub(crate) use executor_run_hook;

/// What `ExecutorRun` is called with, the query apart.
#[derive(Clone, Copy)]
pub struct Run {
    /// Forward, backward or not at all.
    pub direction: pg_sys::ScanDirection::Type,
    /// Most rows wanted, 0 for all.
    pub count: u64,
    /// The caller will not come back for more.
    #[cfg(not(feature = "pg18"))]
    pub once: bool,
}

impl Run {
    /// Calls the predecessor, or the standard function where there is none.
    ///
    /// # Safety
    /// As `ExecutorRun`.
    pub unsafe fn go(self, next: pg_sys::ExecutorRun_hook_type, desc: *mut pg_sys::QueryDesc) {
        let next = next.unwrap_or(raw_executor_run);
        // SAFETY: as the caller promises.
        unsafe {
            #[cfg(not(feature = "pg18"))]
            next(desc, self.direction, self.count, self.once);
            #[cfg(feature = "pg18")]
            next(desc, self.direction, self.count);
        }
    }
}

/// The signature of `ExecutorCheckPerms_hook`, which got a list of permissions in PostgreSQL 16: an entry point `$name`
/// that gives `$body` a [`Check`].
#[cfg(feature = "pg15")]
macro_rules! executor_check_perms_hook {
    ($name:ident => $body:path) => {
        unsafe extern "C-unwind" fn $name(rtable: *mut pg_sys::List, raise: bool) -> bool {
            // SAFETY: the arguments are Postgres' own.
            unsafe { $body(compat::Check { rtable, raise }) }
        }
    };
}
#[cfg(not(feature = "pg15"))]
macro_rules! executor_check_perms_hook {
    ($name:ident => $body:path) => {
        unsafe extern "C-unwind" fn $name(
            rtable: *mut pg_sys::List,
            permissions: *mut pg_sys::List,
            raise: bool,
        ) -> bool {
            // SAFETY: the arguments are Postgres' own.
            unsafe { $body(compat::Check { rtable, permissions, raise }) }
        }
    };
}
pub(crate) use executor_check_perms_hook;

/// What `ExecutorCheckPerms_hook` is called with.
#[derive(Clone, Copy)]
pub struct Check {
    /// The range table.
    pub rtable: *mut pg_sys::List,
    /// Its permission infos.
    #[cfg(not(feature = "pg15"))]
    pub permissions: *mut pg_sys::List,
    /// Raise, rather than return false.
    pub raise: bool,
}

impl Check {
    /// Asks the predecessor, if there is one.
    ///
    /// # Safety
    /// As the hook.
    pub unsafe fn go(self, next: pg_sys::ExecutorCheckPerms_hook_type) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            #[cfg(feature = "pg15")]
            return next.is_none_or(|next| next(self.rtable, self.raise));
            #[cfg(not(feature = "pg15"))]
            return next.is_none_or(|next| next(self.rtable, self.permissions, self.raise));
        }
    }

    /// What is to be checked.
    ///
    /// # Safety
    /// As the hook.
    pub unsafe fn accesses(self) -> Vec<Access> {
        // SAFETY: as the caller promises.
        unsafe {
            #[cfg(feature = "pg15")]
            return accesses(self.rtable);
            #[cfg(not(feature = "pg15"))]
            return accesses(self.permissions);
        }
    }
}

/// One relation that a statement needs rights on: an entry of the range table in 15, an RTEPermissionInfo since 16. A
/// view that was expanded stands among them: in 15 as the placeholder OLD of its rule, since 16 as an entry of its own.
#[derive(Clone, Copy)]
pub struct Access {
    /// The relation.
    pub relid: pg_sys::Oid,
    /// The rights asked for, never none.
    pub required: pg_sys::AclMode,
    /// Columns that are read, offset by `FirstLowInvalidHeapAttributeNumber`.
    pub selected: *mut pg_sys::Bitmapset,
    /// Whose rights are asked for; `InvalidOid` for the current user's.
    pub user: pg_sys::Oid,
}

/// # Safety
/// `list` holds range table entries in 15, permission infos since 16.
unsafe fn accesses(list: *mut pg_sys::List) -> Vec<Access> {
    #[cfg(feature = "pg15")]
    type Entry = pg_sys::RangeTblEntry;
    #[cfg(not(feature = "pg15"))]
    type Entry = pg_sys::RTEPermissionInfo;
    #[cfg(feature = "pg15")]
    let relation = |entry: &Entry| entry.rtekind == pg_sys::RTEKind::RTE_RELATION;
    #[cfg(not(feature = "pg15"))]
    let relation = |entry: &Entry| entry.relid != pg_sys::InvalidOid;
    // SAFETY: as the caller promises.
    let entries = unsafe { super::list::<Entry>(list).into_iter().map(|e| &*e) };
    let needed = entries.filter(|e| relation(e) && e.requiredPerms != 0);
    needed
        .map(|e| Access { relid: e.relid, required: e.requiredPerms, selected: e.selectedCols, user: e.checkAsUser })
        .collect()
}

/// What a planned statement needs rights on.
///
/// # Safety
/// `plan` is a valid plan.
pub unsafe fn accesses_of_plan(plan: &pg_sys::PlannedStmt) -> Vec<Access> {
    // SAFETY: the list belongs to the plan.
    unsafe {
        #[cfg(feature = "pg15")]
        return accesses(plan.rtable);
        #[cfg(not(feature = "pg15"))]
        return accesses(plan.permInfos);
    }
}

/// A column of a tuple descriptor, counted from 0; 18 keeps them behind an array of short descriptions.
///
/// # Safety
/// `desc` is valid for `'a`, `i` less than its `natts`.
pub unsafe fn attribute<'a>(desc: pg_sys::TupleDesc, i: usize) -> &'a pg_sys::FormData_pg_attribute {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return &*(*desc).attrs.as_ptr().add(i);
        #[cfg(feature = "pg18")]
        return &*pg_sys::TupleDescAttr(desc, i as c_int);
    }
}

/// Sets a signal's handler in a server process.
///
/// # Safety
/// The handler does what a signal handler may do.
pub unsafe fn signal(signal: u32, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: as the caller promises; cannot raise.
    unsafe { raw_pqsignal(signal as c_int, Some(handler)) }
}

/// Whether `role` owns a relation. Superusers own everything.
///
/// # Safety
/// Inside a transaction; raises for a relation that is gone.
pub unsafe fn owns_relation(relation: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::pg_class_ownercheck(relation, role);
        #[cfg(not(feature = "pg15"))]
        return pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, role);
    }
}

/// This backend's place in arrays of backends, less than MaxBackends + 1; negative for none.
pub fn backend_place() -> i32 {
    // SAFETY: a variable of the backend.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return pg_sys::MyBackendId;
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::MyProcNumber;
    }
}

/// All settings there are.
///
/// # Safety
/// The pointers are good until a setting is defined.
pub unsafe fn all_settings() -> Vec<*mut pg_sys::config_generic> {
    // SAFETY: an array of that many pointers: the server's own in 15, a copy to be freed since 16.
    unsafe {
        #[cfg(feature = "pg15")]
        return std::slice::from_raw_parts(pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions() as usize).to_vec();
        #[cfg(not(feature = "pg15"))]
        {
            let mut n = 0;
            let array = pg_sys::get_guc_variables(&mut n);
            let settings = std::slice::from_raw_parts(array, n as usize).to_vec();
            pg_sys::pfree(array.cast());
            settings
        }
    }
}

/// Runs one C call; an ERROR in it becomes a Rust panic, here and nowhere deeper.
///
/// # Safety
/// `call` is a C call whose frames, callbacks included, own nothing that needs dropping.
pub unsafe fn guarded<T>(call: impl FnOnce() -> T) -> T {
    // SAFETY: as the caller promises.
    unsafe { pg_sys::submodules::ffi::pg_guard_ffi_boundary(call) }
}

/// Inserts a non-transactional logical message into WAL and returns the position after it. Does not flush.
///
/// # Safety
/// Not in recovery, not in a critical section; `prefix` ends with a NUL.
pub unsafe fn log_logical_message(prefix: &std::ffi::CStr, message: &[u8]) -> u64 {
    let (p, m, n) = (prefix.as_ptr(), message.as_ptr().cast::<c_char>(), message.len());
    // SAFETY: pointers outlive the call; the caller promises the state. An ERROR in it becomes a Rust panic.
    unsafe {
        guarded(|| {
            #[cfg(any(feature = "pg15", feature = "pg16"))]
            return raw_log_logical_message(p, m, n, false);
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            return raw_log_logical_message(p, m, n, false, false);
        })
    }
}

/// Runs `call`; on ERROR runs `cleanup` with the SQLSTATE and throws the very same error again, as C's
/// `PG_TRY … PG_CATCH … PG_RE_THROW` does.
///
/// # Safety
/// `call` and all frames between here and the next handler must own nothing that needs dropping; `cleanup` must not
/// raise.
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
