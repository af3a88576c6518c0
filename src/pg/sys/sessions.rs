//! Ending the sessions of a sub-processor, at commit: when it is suspended, and when its role becomes one.
//!
//! Sessions are signalled after the new state is committed and the shared generation has moved, so a client that
//! reconnects at once meets the new state. A session that the walk does not see yet (it has not authenticated) runs its
//! first statement after the commit, and that is refused with AL006. Nothing is signalled when the transaction, or the
//! subtransaction that asked for it, is rolled back.
#![allow(unsafe_code)] // ◆ transaction callbacks, the process array, signals

use crate::pg::{error, shared};
use crate::pure::error::{Error, Kind};
use pgrx::{pg_guard, pg_sys};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;

/// Whose sessions: those that logged in as one of the roles, and those that read for the sub-processor right now under
/// whatever login (a pooler's, after SET ROLE).
struct Whose {
    roles: Vec<pg_sys::Oid>,
    subprocessor: i32,
}

thread_local! {
    /// Whose sessions end when this transaction commits, with the subtransaction that said so.
    static DOOMED: RefCell<Vec<(pg_sys::SubTransactionId, Whose)>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Ends every session that logged in as one of `roles` or reads for the sub-processor, when this transaction commits; our
/// own excepted. Gives how many there are now.
pub fn end_at_commit(roles: Vec<pg_sys::Oid>, subprocessor: i32) -> i32 {
    if !REGISTERED.with(|r| r.replace(true)) {
        // SAFETY: registered once; the callbacks live as long as the library.
        unsafe {
            pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(at_end_of_sub), std::ptr::null_mut());
        }
    }
    let whose = Whose { roles, subprocessor };
    let there = pids(&whose).len();
    // SAFETY: reads a variable of the backend.
    let sub = unsafe { pg_sys::GetCurrentSubTransactionId() };
    DOOMED.with(|d| d.borrow_mut().push((sub, whose)));
    i32::try_from(there).unwrap_or(i32::MAX)
}

/// Ends whoever reads for the sub-processor right now, under whatever login; gives how many that are.
pub fn end_readers(subprocessor: i32) -> usize {
    let found = pids(&Whose { roles: Vec::new(), subprocessor });
    for pid in &found {
        // SAFETY: as at commit.
        unsafe { libc::kill(*pid, libc::SIGTERM) };
    }
    found.len()
}

/// Process ids of all these sessions but our own, each once. Reads no catalog and waits for nothing but a short shared
/// lock: it runs after the commit, where nothing may fail.
fn pids(whose: &Whose) -> Vec<i32> {
    let mut found = Vec::new();
    // SAFETY: the process array is fixed shared memory. Two words per entry are read without its lock, each whole. An
    // entry that is free keeps the pid of the session it had, which may be anybody's by now; so the pid is looked up
    // among the live sessions, and must be this entry's. pg_terminate_backend has the same window before its signal.
    unsafe {
        let procs = pg_sys::ProcGlobal;
        let me = pg_sys::MyProcPid;
        for i in 0..(*procs).allProcCount as usize {
            let entry = (*procs).allProcs.add(i);
            let role = std::ptr::read_volatile(&raw const (*entry).roleId);
            let pid = std::ptr::read_volatile(&raw const (*entry).pid);
            if pid > 0 && pid != me && whose.roles.contains(&role) && pg_sys::BackendPidGetProc(pid) == entry {
                found.push(pid);
            }
        }
        for pid in shared::readers(whose.subprocessor) {
            if pid > 0 && pid != me && !found.contains(&pid) && !pg_sys::BackendPidGetProc(pid).is_null() {
                found.push(pid);
            }
        }
    }
    found
}

/// Takes back what was asked in a transaction that ends, or does it.
#[pg_guard]
unsafe extern "C-unwind" fn at_end(event: pg_sys::XactEvent::Type, _arg: *mut c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT, XACT_EVENT_PREPARE, XACT_EVENT_PRE_PREPARE,
    };
    match event {
        XACT_EVENT_COMMIT => {
            let doomed = DOOMED.with(|d| std::mem::take(&mut *d.borrow_mut()));
            if doomed.is_empty() {
                return;
            }
            // other callbacks may publish it later than this one runs; twice does no harm. Before the walk: a reader
            // publishes itself and then checks the contract, so it meets the new state or is found
            shared::end_of_transaction(true);
            for pid in doomed.iter().flat_map(|(_, whose)| pids(whose)) {
                // SAFETY: SIGTERM to a backend of this server is what pg_terminate_backend sends.
                unsafe { libc::kill(pid, libc::SIGTERM) };
            }
        }
        XACT_EVENT_PRE_PREPARE if DOOMED.with(|d| !d.borrow().is_empty()) => {
            let error = Error::new(
                Kind::Unsupported,
                "a transaction that registers or suspends a sub-processor cannot be prepared",
            )
            .hint("COMMIT it instead");
            // SAFETY: nothing here owns anything; the transaction can still abort at this point.
            unsafe { error::raise(error) }
        }
        XACT_EVENT_ABORT | XACT_EVENT_PARALLEL_ABORT | XACT_EVENT_PREPARE => DOOMED.with(|d| d.borrow_mut().clear()),
        _ => {}
    }
}

/// A subtransaction that is rolled back ends nothing; one that ends well hands over to its parent.
#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_sub(
    event: pg_sys::SubXactEvent::Type,
    mine: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut c_void,
) {
    DOOMED.with(|d| {
        let mut doomed = d.borrow_mut();
        match event {
            pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => doomed.retain(|(sub, _)| *sub != mine),
            pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
                doomed.iter_mut().filter(|(sub, _)| *sub == mine).for_each(|(sub, _)| *sub = parent);
            }
            _ => {}
        }
    });
}
