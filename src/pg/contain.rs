//! Containment of a sub-processor's session: parse trees, permission lists and function calls, read off Postgres and
//! put before `pure::contain`. Called by the hooks, only in such sessions.
#![allow(unsafe_code)] // ◆ parse tree nodes
#![allow(ffi_unwind_calls)] // reason: the tree walkers' callbacks call back into the walkers, see raw.rs

use crate::pg::error::run;
use crate::pg::readlog::drift::view_owner;
use crate::pg::readlog::{columns, explain, identity};
use crate::pg::registry::{self, Registry};
use crate::pg::sys::compat::{self, Access, Gives};
use crate::pg::sys::{list, raw, role_name, roles, scan, settings};
use crate::pure::contain::{self, Function, Statement, TransactionKind, Volatility};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::shown;
use pgrx::pg_sys;
use std::ffi::{c_void, CStr};

/// First OID that is not part of PostgreSQL itself (`FirstNormalObjectId`).
const FIRST_NORMAL: u32 = 16384;

/// `pg_statistic_ext_data` (`StatisticExtDataRelationId`).
const STATISTIC_EXT_DATA: pg_sys::Oid = pg_sys::Oid::from_u32(3429);

/// Catalogs that no one reads through us, whatever was granted: statistics hold values of hidden rows.
const NEVER: [pg_sys::Oid; 2] = [pg_sys::StatisticRelationId, STATISTIC_EXT_DATA];

fn outside(message: impl Into<String>) -> Error {
    Error::new(Kind::OutsideScope, message)
}

/// May this utility statement run? AL007 otherwise.
///
/// # Safety
/// `node` is the utility statement of a planned statement.
pub unsafe fn utility(node: *mut pg_sys::Node) -> Result<()> {
    use pg_sys::NodeTag as T;
    // SAFETY: the tag says which struct the node is.
    unsafe {
        match (*node).type_ {
            T::T_TransactionStmt => {
                contain::statement(&Statement::Transaction(transaction((*node.cast::<pg_sys::TransactionStmt>()).kind)))
            }
            T::T_VariableSetStmt => set(&*node.cast::<pg_sys::VariableSetStmt>()),
            T::T_VariableShowStmt => {
                contain::statement(&Statement::Show { name: &text((*node.cast::<pg_sys::VariableShowStmt>()).name) })
            }
            T::T_CopyStmt => {
                let copy = &*node.cast::<pg_sys::CopyStmt>();
                let to_client = !copy.is_from && !copy.query.is_null() && copy.filename.is_null() && !copy.is_program;
                let select = to_client && (*copy.query).type_ == T::T_SelectStmt;
                contain::statement(if select { &Statement::CopyQueryToStdout } else { &Statement::CopyOther })
            }
            T::T_DeclareCursorStmt => {
                let options = (*node.cast::<pg_sys::DeclareCursorStmt>()).options as u32;
                contain::statement(&Statement::DeclareCursor { hold: options & pg_sys::CURSOR_OPT_HOLD != 0 })
            }
            T::T_FetchStmt => fetch(&*node.cast::<pg_sys::FetchStmt>()),
            T::T_ClosePortalStmt => contain::statement(&Statement::ClosePortal),
            T::T_PrepareStmt => contain::statement(&Statement::Prepare),
            T::T_ExecuteStmt => contain::statement(&Statement::Execute),
            T::T_DeallocateStmt => contain::statement(&Statement::Deallocate),
            T::T_DiscardStmt => contain::statement(&Statement::Discard),
            T::T_ExplainStmt => explain::check(&*node.cast::<pg_sys::ExplainStmt>()),
            T::T_ConstraintsSetStmt => contain::statement(&Statement::ConstraintsSet),
            T::T_UnlistenStmt => contain::statement(&Statement::Unlisten),
            _ => contain::statement(&Statement::Other(&text(pg_sys::CreateCommandName(node)))),
        }
    }
}

fn transaction(kind: pg_sys::TransactionStmtKind::Type) -> TransactionKind {
    use pg_sys::TransactionStmtKind as K;
    match kind {
        K::TRANS_STMT_BEGIN | K::TRANS_STMT_START => TransactionKind::Begin,
        K::TRANS_STMT_COMMIT => TransactionKind::Commit,
        K::TRANS_STMT_ROLLBACK => TransactionKind::Rollback,
        K::TRANS_STMT_SAVEPOINT => TransactionKind::Savepoint,
        K::TRANS_STMT_RELEASE => TransactionKind::Release,
        K::TRANS_STMT_ROLLBACK_TO => TransactionKind::RollbackTo,
        K::TRANS_STMT_COMMIT_PREPARED => TransactionKind::CommitPrepared,
        K::TRANS_STMT_ROLLBACK_PREPARED => TransactionKind::RollbackPrepared,
        _ => TransactionKind::Prepare,
    }
}

/// FETCH and MOVE, but not from a cursor WITH HOLD: none can be declared here, so it is from before, as another role, and
/// is served from a store that no executor hook sees.
unsafe fn fetch(statement: &pg_sys::FetchStmt) -> Result<()> {
    // SAFETY: GetPortalByName gives NULL for an unknown name.
    let (held, stored) = unsafe {
        let portal = pg_sys::GetPortalByName(statement.portalname);
        let is = |what: &dyn Fn(&pg_sys::PortalData) -> bool| !portal.is_null() && what(&*portal);
        (
            is(&|p| p.cursorOptions as u32 & pg_sys::CURSOR_OPT_HOLD != 0),
            is(&|p| p.strategy != pg_sys::PortalStrategy::PORTAL_ONE_SELECT),
        )
    };
    if stored {
        // its rows come out of a store that no hook sees, through a portal that is not the one they were read by
        return Err(outside("FETCH from the result of EXECUTE or FETCH is outside the scope of a sub-processor")
            .hint("fetch from a cursor: DECLARE c CURSOR FOR SELECT …"));
    }
    contain::statement(if held { &Statement::DeclareCursor { hold: true } } else { &Statement::Fetch })
}

/// Whether a COPY's first line names the columns, `None` for other statements; only where that is what it says, since what
/// it means otherwise is for COPY to refuse.
///
/// # Safety
/// `node` is a utility statement.
pub unsafe fn copies(node: *mut pg_sys::Node) -> Option<bool> {
    // SAFETY: the tag says which struct the node is; the list holds DefElems.
    unsafe {
        if (*node).type_ != pg_sys::NodeTag::T_CopyStmt {
            return None;
        }
        let options = list::<pg_sys::DefElem>((*node.cast::<pg_sys::CopyStmt>()).options);
        let mut header = options.into_iter().filter(|option| CStr::from_ptr((**option).defname) == c"header");
        Some(header.any(|option| {
            (*option).arg.is_null()
                || run(|| Ok(CStr::from_ptr(raw::guarded(|| pg_sys::defGetString(option)))))
                    .to_str()
                    .is_ok_and(|text| ["true", "on", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(text)))
        }))
    }
}

unsafe fn set(statement: &pg_sys::VariableSetStmt) -> Result<()> {
    use pg_sys::VariableSetKind as K;
    // SAFETY: a NULL name is handled.
    let name = unsafe { text(statement.name) };
    match statement.kind {
        K::VAR_RESET_ALL => contain::statement(&Statement::Reset { name: None }),
        K::VAR_RESET => contain::statement(&Statement::Reset { name: Some(&name) }),
        _ => contain::statement(&Statement::Set { name: &name, is_local: statement.is_local }),
    }
}

/// Checks a query as the user wrote it, before views are expanded: it may only select, and every function it names must
/// be allowed. AL007 otherwise.
///
/// # Safety
/// `query` is an analysed, not yet rewritten query.
pub unsafe fn query(query: *mut pg_sys::Query) -> Result<()> {
    use pg_sys::CmdType as C;
    // SAFETY: query nodes as the caller promises.
    unsafe {
        match (*query).commandType {
            C::CMD_SELECT => contain::statement(if (*query).rowMarks.is_null() {
                &Statement::Select
            } else {
                &Statement::SelectLocking
            })?,
            C::CMD_INSERT => contain::statement(&Statement::Insert)?,
            C::CMD_UPDATE => contain::statement(&Statement::Update)?,
            C::CMD_DELETE => contain::statement(&Statement::Delete)?,
            C::CMD_MERGE => contain::statement(&Statement::Merge)?,
            C::CMD_UTILITY => {
                let utility = (*query).utilityStmt;
                if !utility.is_null() && (*utility).type_ == pg_sys::NodeTag::T_DeclareCursorStmt {
                    let inner = (*utility.cast::<pg_sys::DeclareCursorStmt>()).query;
                    if !inner.is_null() && (*inner).type_ == pg_sys::NodeTag::T_Query {
                        return self::query(inner.cast());
                    }
                }
                return Ok(());
            }
            _ => contain::statement(&Statement::Other("this statement"))?,
        }
        if (*query).hasModifyingCTE {
            contain::statement(&Statement::Update)?;
        }
        settings::effective()?;
        for function in functions_of(query) {
            self::function(function, false)?;
        }
        if scan::table_oid("scope").is_some() {
            columns::note(query, &*registry::current()?);
        }
    }
    Ok(())
}

/// The OIDs of all functions that a query names: calls, operators, casts, aggregates, window functions, in every part.
pub(in crate::pg) unsafe fn functions_of(query: *mut pg_sys::Query) -> Vec<pg_sys::Oid> {
    unsafe extern "C-unwind" fn collect(function: pg_sys::Oid, found: *mut c_void) -> bool {
        // SAFETY: `found` is the vector below.
        unsafe { (*found.cast::<Vec<pg_sys::Oid>>()).push(function) };
        false
    }
    unsafe extern "C-unwind" fn walk(node: *mut pg_sys::Node, found: *mut c_void) -> bool {
        if node.is_null() {
            return false;
        }
        // SAFETY: Postgres walks its own tree; `found` is passed through.
        unsafe {
            if (*node).type_ == pg_sys::NodeTag::T_Query {
                return compat::raw_query_tree_walker(node.cast(), Some(walk), found, 0);
            }
            raw::raw_check_functions_in_node(node, Some(collect), found);
            compat::raw_expression_tree_walker(node, Some(walk), found)
        }
    }
    let mut found: Vec<pg_sys::Oid> = Vec::new();
    let context = std::ptr::addr_of_mut!(found).cast();
    // SAFETY: the walk ends before `found` is used again; the callbacks' frames own nothing.
    unsafe { raw::guarded(|| compat::raw_query_tree_walker(query, Some(walk), context, 0)) };
    found.sort_unstable_by_key(|o| o.to_u32());
    found.dedup();
    found
}

/// The role by which the current user sees what others' sessions run: one that is no sub-processor's nor a member of it
/// (`pg_read_all_stats` is one), or his own if he is a superuser.
fn sees_others() -> Option<pg_sys::Oid> {
    let current = roles::current();
    // SAFETY: a cached syscache look-up.
    if unsafe { pg_sys::superuser_arg(current) } {
        return Some(current);
    }
    let own: Vec<pg_sys::Oid> = identity::labelled_roles().into_iter().map(|(role, _)| role).collect();
    roles::groups(current, Gives::Something)
        .into_iter()
        .find(|group| !own.iter().any(|role| roles::is_member(*group, *role)))
}

/// May this function be used? `inside_view`: asked when it is about to run, where functions of our own stand in views
/// and check for themselves. AL007 otherwise.
pub fn function(oid: pg_sys::Oid, inside_view: bool) -> Result<()> {
    // SAFETY: syscache look-ups; the tuple is released before anything can return.
    let (schema, name, volatility) = unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, pg_sys::Datum::from(oid));
        if tuple.is_null() {
            return Ok(());
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let name = text(form.proname.data.as_ptr());
        let (namespace, volatility) = (form.pronamespace, form.provolatile as u8);
        pg_sys::ReleaseSysCache(tuple);
        (text(pg_sys::get_namespace_name(namespace)), name, volatility)
    };
    if inside_view && schema == "airlock" {
        return Ok(());
    }
    // what others' sessions run: to whoever may see all of it, it shows their constants
    if ["pg_stat_get_activity", "pg_stat_get_backend_activity"].contains(&name.as_str()) && builtin(oid) {
        if let Some(role) = sees_others() {
            return Err(outside("a sub-processor that may see other sessions may not look at them")
                .detail(format!("it would see them by role {}", shown(&role_name(role))))
                .hint("REVOKE that role from the sub-processor's"));
        }
    }
    let volatility = match volatility {
        b'i' => Volatility::Immutable,
        b's' => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    contain::function(&Function { schema: &schema, name: &name, builtin: builtin(oid), volatility })
}

fn builtin(oid: pg_sys::Oid) -> bool {
    oid.to_u32() < FIRST_NORMAL
}

/// The permission check of every executor run, nested ones too: only the sub-processor's own views, whatever the view
/// owner reads beneath them, and catalogs that PUBLIC may read. By session, whoever the current user is.
///
/// # Safety
/// The entries' bitmapsets are valid.
pub unsafe fn permissions(accesses: &[Access], subprocessor: &str) -> Result<()> {
    let registry = if scan::table_oid("scope").is_some() { Some(registry::current()?) } else { None };
    let owner = view_owner();
    for access in accesses {
        if access.required & !(pg_sys::ACL_SELECT as pg_sys::AclMode) != 0 {
            return Err(refused(access.relid, "only SELECT is within the scope of a sub-processor"));
        }
        // SAFETY: as the caller promises.
        if !unsafe { may_select(access, registry.as_deref(), subprocessor, owner) } {
            return Err(refused(
                access.relid,
                "a sub-processor reads the views of its own scopes, and catalogs that everybody may read",
            ));
        }
    }
    Ok(())
}

unsafe fn may_select(access: &Access, registry: Option<&Registry>, subprocessor: &str, owner: pg_sys::Oid) -> bool {
    let relid = access.relid;
    if NEVER.contains(&relid) {
        return false;
    }
    if relid.to_u32() < FIRST_NORMAL {
        // through a system view its owner is asked, and the view itself stands in the same list
        return access.user != pg_sys::InvalidOid && access.user != owner || public_may_read(access);
    }
    let Some(registry) = registry else { return false };
    let mine = |scope: &crate::pg::registry::Scope| scope.subprocessor.contract.name == subprocessor;
    if let Some(scope) = registry.scope_of_view(relid) {
        return mine(scope);
    }
    // beneath the views: by the view owner, and only what a scope of this sub-processor stands on
    let beneath = |s: &crate::pg::registry::Scope| {
        s.relation == relid || s.inner_view == relid || s.filter_relations.contains(&relid)
    };
    access.user == owner && owner != pg_sys::InvalidOid && registry.scopes.values().any(|s| mine(s) && beneath(s))
}

/// Whether PUBLIC holds SELECT on a catalog, or on each of the columns that are read of it.
fn public_may_read(access: &Access) -> bool {
    let public = pg_sys::InvalidOid;
    let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
    let good = pg_sys::AclResult::ACLCHECK_OK;
    // SAFETY: ACL look-ups for the pseudo-role PUBLIC (ACL_ID_PUBLIC is 0); selectedCols is a bitmapset or NULL.
    unsafe {
        if pg_sys::pg_class_aclcheck(access.relid, public, select) == good {
            return true;
        }
        let all = |how| pg_sys::pg_attribute_aclcheck_all(access.relid, public, select, how) == good;
        let (mut member, mut columns) = (-1, 0);
        loop {
            member = pg_sys::bms_next_member(access.selected, member);
            if member < 0 {
                break;
            }
            columns += 1;
            let number = member + pg_sys::FirstLowInvalidHeapAttributeNumber;
            let readable = match number {
                0 => all(pg_sys::AclMaskHow::ACLMASK_ALL),
                n => pg_sys::pg_attribute_aclcheck(access.relid, n as i16, public, select) == good,
            };
            if !readable {
                return false;
            }
        }
        columns > 0 || all(pg_sys::AclMaskHow::ACLMASK_ANY)
    }
}

fn refused(relid: pg_sys::Oid, why: &str) -> Error {
    // SAFETY: a syscache look-up that gives NULL for what is gone.
    let name = unsafe { text(pg_sys::get_rel_name(relid)) };
    outside(format!("relation \"{name}\" is outside the scope of this sub-processor"))
        .detail(why)
        .hint("the views of your scopes: \\dv in your own schema, or ask the controller")
}

unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's pointer is a NUL-terminated string.
    unsafe { CStr::from_ptr(pointer).to_string_lossy().into_owned() }
}
