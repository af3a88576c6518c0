//! Everything that differs between PostgreSQL majors, and nothing else: signatures, names of functions, where a plan keeps
//! its permissions. The rest of the crate sees one shape.
#![allow(unsafe_code)] // ◆ declarations of Postgres functions, plan nodes
#![allow(ffi_unwind_calls)] // reason: predecessors of hooks are called as C calls them

use super::raw::guarded;
use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_void};

/// A callback of the tree walkers.
pub type Walker = Option<unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool>;

extern "C-unwind" {
    /// `executor/execMain.c`; PostgreSQL 18 dropped the last argument.
    #[cfg(not(feature = "pg18"))]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(desc: *mut pg_sys::QueryDesc, dir: pg_sys::ScanDirection::Type, count: u64, once: bool);
    /// `executor/execMain.c`
    #[cfg(feature = "pg18")]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(desc: *mut pg_sys::QueryDesc, dir: pg_sys::ScanDirection::Type, count: u64);
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

/// What an update says of a row's indexes: whether they need it, since PostgreSQL 16 which of them.
#[cfg(feature = "pg15")]
pub type Indexes = bool;
/// The same.
#[cfg(not(feature = "pg15"))]
pub type Indexes = pg_sys::TU_UpdateIndexes::Type;

/// Puts the row in `slot` into the indexes, of which `hint` tells that their values probably stay.
///
/// # Safety
/// The relation of `result` is open and locked, its indexes are open; the row is in the table.
pub unsafe fn insert_index_tuples(
    (result, estate): (*mut pg_sys::ResultRelInfo, *mut pg_sys::EState),
    slot: *mut pg_sys::TupleTableSlot,
    hint: bool,
    #[cfg_attr(feature = "pg15", allow(unused_variables))] of: Indexes,
) {
    let none = std::ptr::null_mut();
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::ExecInsertIndexTuples(result, slot, estate, hint, false, none, none.cast());
        #[cfg(not(feature = "pg15"))]
        let few = of == pg_sys::TU_UpdateIndexes::TU_Summarizing;
        #[cfg(not(feature = "pg15"))]
        pg_sys::ExecInsertIndexTuples(result, slot, estate, hint, false, none, none.cast(), few);
    }
}

/// Whether this session holds that lock; 17 asks whether a stronger one will do.
///
/// # Safety
/// A tag of this database's.
pub unsafe fn holds_lock(tag: &pg_sys::LOCKTAG, mode: u32) -> bool {
    // SAFETY: looks at this backend's own table of locks.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return pg_sys::LockHeldByMe(tag, mode as c_int);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::LockHeldByMe(tag, mode as c_int, false);
    }
}

/// This backend's place in arrays of backends, less than MaxBackends + 1; negative for none.
pub fn backend_place() -> i32 {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    use pg_sys::MyBackendId as PLACE;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    use pg_sys::MyProcNumber as PLACE;
    // SAFETY: a variable of the backend.
    unsafe { PLACE }
}

/// All settings there are.
/// # Safety
/// The pointers are good until a setting is defined.
pub unsafe fn all_settings() -> Vec<*mut pg_sys::config_generic> {
    // SAFETY: an array of that many pointers: the server's own in 15, a copy to be freed since 16.
    unsafe {
        #[cfg(feature = "pg15")]
        return std::slice::from_raw_parts(pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions() as usize)
            .to_vec();
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

/// The next byte string of a sort of bytea; `None` at the end.
///
/// # Safety
/// A sort of bytea that was performed.
pub unsafe fn sorted_bytes(sort: *mut pg_sys::Tuplesortstate) -> Option<Vec<u8>> {
    let (mut value, mut null, none) = (pg_sys::Datum::from(0), false, std::ptr::null_mut());
    // SAFETY: as the caller promises. The value is a copy of the caller's in 15, the sort's own since 16.
    unsafe {
        #[cfg(feature = "pg15")]
        let more = pg_sys::tuplesort_getdatum(sort, true, &mut value, &mut null, none);
        #[cfg(not(feature = "pg15"))]
        let more = pg_sys::tuplesort_getdatum(sort, true, false, &mut value, &mut null, none);
        let bytes = more.then(|| super::varlena_bytes(value));
        #[cfg(feature = "pg15")]
        if more {
            pg_sys::pfree(value.cast_mut_ptr());
        }
        bytes
    }
}

/// In a query on `pg_auth_members AS a`: whether the member can use the role. Since 16 a grant may give neither its rights
/// (INHERIT) nor the way into it (SET), only ADMIN OPTION: so is who created a role its member.
#[cfg(feature = "pg15")]
pub const USABLE_GRANT: &str = "true";
/// As above.
#[cfg(not(feature = "pg15"))]
pub const USABLE_GRANT: &str = "(a.inherit_option OR a.set_option)";

/// In a query on `pg_roles AS r`: whether `r` may change the role `$2`. Since 16 CREATEROLE is not enough.
#[cfg(feature = "pg15")]
pub const MAY_CHANGE_ROLE: &str = "r.rolsuper OR r.rolcreaterole AND $2::pg_catalog.oid IS NOT NULL";
/// As above.
#[cfg(not(feature = "pg15"))]
pub const MAY_CHANGE_ROLE: &str =
    "r.rolsuper OR r.rolcreaterole AND pg_catalog.pg_has_role(r.oid, $2::pg_catalog.oid, 'USAGE WITH ADMIN OPTION')";

/// What a grant must give to count, from 16 on; before, all count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// The role's rights, or the way into it by SET ROLE: see [`USABLE_GRANT`].
    Something,
    /// Its rights (INHERIT).
    Rights,
}

/// The roles that `member` was granted itself, by grants that give this.
pub fn granted_roles(member: pg_sys::Oid, gives: Gives) -> Vec<pg_sys::Oid> {
    // catalog/pg_auth_members.h: roleid; inherit_option and set_option
    #[cfg(feature = "pg15")]
    let (role, options): (i16, [i16; 2]) = (1, [0, 0]);
    #[cfg(not(feature = "pg15"))]
    let (role, options): (i16, [i16; 2]) = (2, [6, 7]);
    let options = match gives {
        Gives::Something => &options[..],
        Gives::Rights => &options[..1],
    };
    let cache = pg_sys::SysCacheIdentifier::AUTHMEMMEMROLE as c_int;
    let none = pg_sys::Datum::from(0);
    // SAFETY: syscache look-ups inside a transaction; an ERROR ends it, which releases the list. The attributes are of the
    // types they are read as, and none is NULL.
    unsafe {
        let list = pg_sys::SearchSysCacheList(cache, 1, pg_sys::Datum::from(member), none, none);
        let members = (*list).members.as_slice((*list).n_members as usize);
        let mut roles = Vec::with_capacity(members.len());
        for entry in members {
            let tuple = std::ptr::addr_of_mut!((**entry).tuple);
            let value = |attribute| pg_sys::SysCacheGetAttr(cache, tuple, attribute, &mut false).value();
            if options.iter().any(|option| *option == 0 || value(*option) as u8 != 0) {
                roles.push(pg_sys::Oid::from(value(role) as u32));
            }
        }
        pg_sys::ReleaseCatCacheList(list);
        roles
    }
}

/// The expressions behind an entry of a range table, if it is the one for GROUP BY, which is new in 18.
///
/// # Safety
/// `_entry` is valid.
pub unsafe fn group_expressions(_entry: *const pg_sys::RangeTblEntry) -> Option<*mut pg_sys::List> {
    #[cfg(not(feature = "pg18"))]
    return None;
    #[cfg(feature = "pg18")]
    // SAFETY: as the caller promises.
    return unsafe { ((*_entry).rtekind == pg_sys::RTEKind::RTE_GROUP).then(|| (*_entry).groupexprs) };
}
