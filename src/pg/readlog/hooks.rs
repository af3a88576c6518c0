//! The only file that installs hooks, but for the planner's questions (`estimates`): save, chain, keep count of nesting on every way out.
//!
//! In a session that is nobody's sub-processor each hook is one comparison and a call of whatever was there before, with
//! no guard in between, so errors keep all their fields. The order in a sub-processor's session is: identity, then
//! containment, then the record; execution starts only after the record is durable.
#![allow(unsafe_code)] // ◆ hooks
#![allow(ffi_unwind_calls)] // reason: predecessors are called as C calls them; no frame here owns anything meanwhile

use super::{armed, callbacks, columns, drift, dropped, estimates, explain, hush, identity};
use super::{private, record_of, relabel, subjects, wire};
use crate::pg::encrypted::{advice, ddl, search};
use crate::pg::error::run;
use crate::pg::gate::lookup;
use crate::pg::sys::{compat, raw};
use crate::pg::{contain, gucs, registry};
use crate::pure::error::{Error, Kind, Result};
use armed::Frame;
use pgrx::pg_sys;
use std::{cell::Cell, ffi::c_char, ffi::c_int, ffi::c_void};

#[derive(Clone, Copy)]
struct Previous {
    analyze: pg_sys::post_parse_analyze_hook_type,
    planner: pg_sys::planner_hook_type,
    permissions: pg_sys::ExecutorCheckPerms_hook_type,
    start: pg_sys::ExecutorStart_hook_type,
    run: pg_sys::ExecutorRun_hook_type,
    end: pg_sys::ExecutorEnd_hook_type,
    utility: pg_sys::ProcessUtility_hook_type,
    access: pg_sys::object_access_hook_type,
    relation: pg_sys::get_relation_info_hook_type,
}

static mut PREVIOUS: Previous = Previous {
    analyze: None,
    planner: None,
    permissions: None,
    start: None,
    run: None,
    end: None,
    utility: None,
    access: None,
    relation: None,
};

thread_local! {
    static CALLBACKS: Cell<bool> = const { Cell::new(false) };
    static EXIT: Cell<bool> = const { Cell::new(false) };
}

/// Installs all hooks and callbacks; in the postmaster, while libraries are preloaded.
pub fn install() {
    // SAFETY: single-threaded start-up; each variable is saved before it is replaced.
    unsafe {
        PREVIOUS = Previous {
            analyze: pg_sys::post_parse_analyze_hook,
            planner: pg_sys::planner_hook,
            permissions: pg_sys::ExecutorCheckPerms_hook,
            start: pg_sys::ExecutorStart_hook,
            run: pg_sys::ExecutorRun_hook,
            end: pg_sys::ExecutorEnd_hook,
            utility: pg_sys::ProcessUtility_hook,
            access: pg_sys::object_access_hook,
            relation: pg_sys::get_relation_info_hook,
        };
        pg_sys::post_parse_analyze_hook = Some(analyze);
        pg_sys::planner_hook = Some(planner);
        pg_sys::ExecutorCheckPerms_hook = Some(permissions);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        pg_sys::ExecutorRun_hook = Some(executor_run);
        pg_sys::ExecutorEnd_hook = Some(executor_end);
        pg_sys::ProcessUtility_hook = Some(utility);
        pg_sys::object_access_hook = Some(access);
        pg_sys::get_relation_info_hook = Some(relation_info);
        estimates::install();
        pg_sys::RegisterXactCallback(Some(callbacks::transaction_ends), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(callbacks::subtransaction_ends), std::ptr::null_mut());
        pg_sys::register_label_provider(identity::PROVIDER.as_ptr(), Some(relabel::relabel));
    }
}

fn previous() -> Previous {
    // SAFETY: written once, in the postmaster, before any fork.
    unsafe { PREVIOUS }
}

/// Whose session this is. Registers the cache callbacks on the way: they must exist before the first answer is kept.
fn subprocessor() -> Result<Option<std::rc::Rc<str>>> {
    if !CALLBACKS.with(|c| c.replace(true)) {
        drift::watch();
        callbacks::watch();
    }
    identity::subprocessor()
}

/// True when the session is a sub-processor's; the slow path of every hook. Raises for a login under two.
unsafe fn watched() -> bool {
    // SAFETY: called first in a hook, before its frame owns anything.
    unsafe { run(|| Ok(subprocessor()?.is_some())) }
}

unsafe extern "C-unwind" fn analyze(
    pstate: *mut pg_sys::ParseState,
    query: *mut pg_sys::Query,
    jumble: *mut pg_sys::JumbleState,
) {
    // SAFETY: arguments come from Postgres and go to the predecessor as they are.
    unsafe {
        if let Some(next) = previous().analyze {
            next(pstate, query, jumble);
        }
        if !raw::raw_in_transaction() {
            return;
        }
        if !identity::known_other() && watched() {
            run(|| contain::query(query));
        } else if run(search::wanted) {
            run(|| search::after_analysis(query));
        }
    }
}

unsafe extern "C-unwind" fn planner(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    let next = previous().planner.unwrap_or(raw::raw_planner);
    // SAFETY: as `analyze`; the frame is removed on either way out.
    unsafe {
        if identity::known_other() || !watched() {
            if run(search::wanted) {
                run(|| search::before_planning(query));
            }
            return next(query, text, options, params);
        }
        run(|| lookup::before_planning(query));
        let views = run(|| dropped::named(query));
        // from here on nothing raises but what is cleaned up behind
        let around = run(|| estimates::begin(query));
        armed::begin(0);
        let depth = armed::depth();
        armed::enter(Frame::Planner);
        let before = columns::was_inlined();
        let plan = raw::with_cleanup(
            || next(query, text, options, params),
            |_| {
                armed::cut(depth);
                estimates::end(around);
            },
        );
        armed::leave();
        estimates::end(around);
        if columns::was_inlined() || before {
            columns::distrust(&*plan);
        }
        run(|| dropped::put_back(plan, views));
        plan
    }
}

unsafe extern "C-unwind" fn relation_info(
    root: *mut pg_sys::PlannerInfo,
    table: pg_sys::Oid,
    parent: bool,
    rel: *mut pg_sys::RelOptInfo,
) {
    // SAFETY: as `analyze`.
    unsafe {
        if let Some(next) = previous().relation {
            next(root, table, parent, rel);
        }
        if identity::known_other() || !watched() {
            return;
        }
        estimates::hide(parent, rel);
        run(|| {
            let known = crate::pg::sys::scan::table_oid("scope").is_some();
            if let Some(name) = subprocessor()?.filter(|_| known) {
                subjects::fetch_rows(&*registry::current()?, &name, table, rel);
            }
            Ok(())
        });
    }
}

compat::executor_check_perms_hook!(permissions => check);

unsafe fn check(check: compat::Check) -> bool {
    // SAFETY: as `analyze`.
    unsafe {
        if !check.go(previous().permissions) {
            return false;
        }
        if identity::known_other() {
            return true;
        }
        run(|| match subprocessor()? {
            None => Ok(true),
            Some(name) => match contain::permissions(&check.accesses(), &name) {
                Ok(()) => Ok(true),
                Err(_) if !check.raise => Ok(false),
                Err(error) => Err(error),
            },
        })
    }
}

unsafe extern "C-unwind" fn executor_start(desc: *mut pg_sys::QueryDesc, flags: c_int) {
    let next = previous().start.unwrap_or(raw::raw_executor_start);
    // SAFETY: as `analyze`.
    unsafe {
        // a portal that failed in a rolled-back savepoint sees no ExecutorEnd; its address is somebody else's now
        if armed::touched() && (armed::forget(desc as usize) || armed::is_armed(desc as usize)) {
            run(|| armed::end(desc as usize));
        }
        if identity::known_other() || !watched() {
            return next(desc, flags);
        }
        armed::begin(wire::active_portal());
        run(|| {
            start(desc, flags)?;
            armed::contain(desc as usize);
            Ok(())
        });
        let depth = armed::depth();
        armed::enter(Frame::Executor(desc as usize));
        raw::with_cleanup(|| next(desc, flags), |code| hush::failed(desc as usize, depth, (code, false)));
        armed::leave();
        if let Some(persons) = armed::persons_of(desc as usize) {
            run(|| {
                subjects::trace(desc, &persons);
                Ok(())
            });
        }
    }
}

/// Containment and record of one statement, before it starts.
unsafe fn start(desc: *mut pg_sys::QueryDesc, flags: c_int) -> Result<()> {
    // SAFETY: desc and its plan are valid while the executor starts.
    unsafe {
        let plan = &*(*desc).plannedstmt;
        if plan.commandType != pg_sys::CmdType::CMD_SELECT || plan.hasModifyingCTE {
            return Err(Error::new(Kind::OutsideScope, "only SELECT is within the scope of a sub-processor"));
        }
        let explains = flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int != 0;
        if crate::pg::sys::scan::table_oid("scope").is_none() {
            return Ok(());
        }
        let scoped = || Ok(registry::current()?.names_any(&compat::accesses_of_plan(plan)));
        if armed::inside_worker(scoped)? {
            return Ok(());
        }
        let registry = registry::current()?;
        let accesses = compat::accesses_of_plan(plan);
        let facts = record_of::facts(&registry, &accesses, columns::of(plan).as_deref());
        if explains {
            explain::planned(&registry, &facts.scopes)?;
        }
        if facts.scopes.is_empty() {
            return Ok(());
        }
        let Some(name) = subprocessor()? else { return Ok(()) };
        crate::pg::sys::settings::effective()?;
        // somebody else's view: the executor's permission check says so, and nothing is armed
        let mine = |id: &i32| registry.scopes.get(id).is_some_and(|s| s.subprocessor.contract.name == *name);
        if !facts.scopes.iter().all(mine) {
            return contain::permissions(&accesses, &name);
        }
        let contract = registry.subprocessors.get(&*name).map(|s| s.contract_reference.clone()).unwrap_or_default();
        let source = match explains {
            true => explain::text((*desc).sourceText),
            false => record_of::statement_text((*desc).sourceText, plan.stmt_location, plan.stmt_len),
        };
        let scopes = facts.scopes.clone();
        let (intent, constants) = record_of::intent(facts, &name, &contract, &source);
        let private = private::part(constants, (*desc).params, intent.statement.ends_with('…'))?;
        if explains {
            return armed::explain((intent, private), &scopes, &record_of::connection());
        }
        if !EXIT.with(|e| e.replace(true)) {
            // after ShutdownPostgres in registration, so before it at exit: the transaction is still there
            pg_sys::before_shmem_exit(Some(callbacks::exiting), pg_sys::Datum::from(0));
        }
        let level = pg_sys::GetCurrentTransactionNestLevel();
        armed::arm(desc as usize, level, (intent, private), scopes, &record_of::connection())
    }
}

compat::executor_run_hook!(executor_run => run_query);

unsafe fn run_query(desc: *mut pg_sys::QueryDesc, call: compat::Run) {
    let next = previous().run;
    // SAFETY: as `analyze`; estate exists once the executor has started.
    unsafe {
        let read = armed::is_armed(desc as usize);
        if !read && (identity::known_other() || !watched()) {
            return call.go(next, desc);
        }
        // of a plan that may be kept
        let parallel = (*(*desc).plannedstmt).parallelModeNeeded;
        let hushed = run(|| {
            if read {
                // FETCH opens nothing that would take in what others committed
                pg_sys::AcceptInvalidationMessages();
                armed::before_run(desc as usize, subprocessor()?.as_deref())?;
            } else {
                armed::may_go_on(desc as usize)?;
            }
            // a statement that reads nothing may call a function that does
            armed::runs(desc as usize, wire::active_portal());
            let hushed = hush::wanted(desc as usize)?;
            armed::lead(desc as usize, &mut (*(*desc).plannedstmt).parallelModeNeeded);
            Ok(hushed)
        });
        let depth = armed::depth();
        armed::enter(Frame::Executor(desc as usize));
        raw::with_cleanup(
            || call.go(next, desc),
            |code| {
                (*(*desc).plannedstmt).parallelModeNeeded = parallel;
                armed::add_rows(desc as usize, (*(*desc).estate).es_processed);
                hush::failed(desc as usize, depth, (code, hushed));
            },
        );
        armed::leave();
        (*(*desc).plannedstmt).parallelModeNeeded = parallel;
        armed::add_rows(desc as usize, (*(*desc).estate).es_processed);
    }
}

unsafe extern "C-unwind" fn executor_end(desc: *mut pg_sys::QueryDesc) {
    let next = previous().end.unwrap_or(raw::raw_executor_end);
    // SAFETY: as `analyze`.
    unsafe {
        if armed::touched() && armed::forget(desc as usize) {
            run(|| armed::end(desc as usize));
        }
        next(desc);
    }
}

#[allow(clippy::too_many_arguments)] // reason: the hook's own signature
unsafe extern "C-unwind" fn utility(
    mut pstmt: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    mut read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    env: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let next = previous().utility.unwrap_or(raw::raw_process_utility);
    // SAFETY: as `analyze`. In an aborted transaction only COMMIT and ROLLBACK arrive here, and catalogs are off limits.
    unsafe {
        // what pg_upgrade restores has its numbers, and comes before the tables that say what they mean
        let defines = ddl::concerns((*(*pstmt).utilityStmt).type_) && !crate::pg::sys::binary_upgrade();
        if !raw::raw_in_transaction() || (!defines && identity::known_other()) {
            return next(pstmt, text, read_only, context, params, env, dest, completion);
        }
        let contained = !identity::known_other() && watched();
        if contained {
            run(|| contain::utility((*pstmt).utilityStmt));
            let header = contain::copies((*pstmt).utilityStmt);
            if header.is_some() && gucs::release() == gucs::Release::Wire {
                // its header leaves before anything is read; where the gate cannot be, arming finds out
                let _ = wire::install();
            }
            armed::begin_utility(wire::active_portal(), header);
        }
        if !contained && !defines {
            return next(pstmt, text, read_only, context, params, env, dest, completion);
        }
        if defines {
            if read_only {
                // the tree may belong to a cached plan, and it is changed below
                pstmt = run(|| Ok(raw::guarded(|| raw::raw_copy_object(pstmt.cast::<c_void>())))).cast();
                read_only = false;
            }
            run(|| ddl::before((*pstmt).utilityStmt));
            ddl::enter();
        }
        let depth = armed::depth();
        armed::enter(Frame::Utility);
        let around = explain::begin(pstmt);
        raw::with_cleanup(
            || next(pstmt, text, read_only, context, params, env, dest, completion),
            |_| {
                armed::cut(depth);
                explain::end(around);
                if defines {
                    ddl::leave();
                    raw::advise(advice::instead);
                }
            },
        );
        armed::leave();
        explain::end(around);
        if defines {
            ddl::leave();
        }
    }
}

/// Function calls, as they are about to run: what containment refused by name cannot come in by another door, and the
/// fast-path message, which passes no parser, planner or executor, is refused whole.
unsafe extern "C-unwind" fn access(
    kind: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    arg: *mut c_void,
) {
    // SAFETY: as `analyze`.
    unsafe {
        if let Some(next) = previous().access {
            next(kind, class, object, sub, arg);
        }
        if kind != pg_sys::ObjectAccessType::OAT_FUNCTION_EXECUTE || identity::known_other() || !watched() {
            return;
        }
        run(|| {
            if armed::innermost().is_none() {
                return Err(Error::new(
                    Kind::OutsideScope,
                    "functions called outside of a query are outside the scope of a sub-processor",
                )
                .detail("a function call message, or the function of a login event trigger")
                .hint("use SELECT; the database's administrator: no login event triggers for sub-processors"));
            }
            contain::function(object, true)
        });
    }
}
