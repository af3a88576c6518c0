//! Which part this process has in a parallel statement.
#![allow(unsafe_code)] // ◆ variables of the process

use pgrx::pg_sys;

/// Whether it is a parallel worker.
pub fn is_worker() -> bool {
    // SAFETY: a variable of the process.
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

/// The process id of a worker's leader.
pub fn leader() -> Option<i32> {
    // SAFETY: a worker is in the lock group of its leader from its start to its end, and the leader waits for that.
    unsafe {
        let leader = (*pg_sys::MyProc).lockGroupLeader;
        (is_worker() && !leader.is_null() && leader != pg_sys::MyProc).then(|| (*leader).pid)
    }
}
