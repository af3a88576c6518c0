//! The gate on the wire: libpq's send methods, replaced by ours in a session that reads for a sub-processor. What may leave
//! is decided in `pure::wire`; here is where it is made to stay.
//!
//! Everything that a backend sends passes `PqCommMethods`. `putmessage` sends by itself when the buffer is full, so what
//! is held goes in by `putmessage_noblock`, which makes the buffer larger instead. Whatever happens in here, an error must
//! not be raised: the caller may be the code that reports one. A record that cannot be written ends the session, with
//! nothing sent.
//!
//! `quickdie()` puts and flushes a warning inside a signal handler, at any moment: what it needs to know is in cells of its
//! own, and it finds nothing half done.
#![allow(unsafe_code)] // ◆ function pointers of libpq, called as C calls them
#![allow(ffi_unwind_calls)] // reason: no frame here owns anything while another's method runs

use super::armed;
use crate::pg::error::{self, report};
use crate::pg::shared::Fallback;
use crate::pg::sys::raw;
use crate::pg::{gucs, self_test};
use crate::pure::error::{Error, Result};
use crate::pure::wire::{Flush, Put};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// `PQcommMethods` (`libpq/libpq.h`), the same in 15 to 18.
#[repr(C)]
#[derive(Clone, Copy)]
struct Methods {
    comm_reset: unsafe extern "C-unwind" fn(),
    flush: unsafe extern "C-unwind" fn() -> c_int,
    flush_if_writable: unsafe extern "C-unwind" fn() -> c_int,
    is_send_pending: unsafe extern "C-unwind" fn() -> bool,
    putmessage: unsafe extern "C-unwind" fn(c_char, *const c_char, usize) -> c_int,
    putmessage_noblock: unsafe extern "C-unwind" fn(c_char, *const c_char, usize),
}

extern "C" {
    /// `libpq/pqcomm.c`
    #[link_name = "PqCommMethods"]
    static mut CURRENT: *const Methods;
}

static mut PREVIOUS: *const Methods = std::ptr::null();
static mut OURS: std::mem::MaybeUninit<Methods> = std::mem::MaybeUninit::uninit();

thread_local! {
    /// There is something to count or to write.
    static BUSY: Cell<bool> = const { Cell::new(false) };
    /// Bytes are put that must not leave.
    static HOLDING: Cell<bool> = const { Cell::new(false) };
    /// Records are being written.
    static SETTLING: Cell<bool> = const { Cell::new(false) };
    /// The previous methods are at work, and may call back.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// A notice was dropped, and its flush is to follow.
    static DROPPED: Cell<bool> = const { Cell::new(false) };
    /// A FATAL was put: the session ends, and waits for nobody.
    static ENDING: Cell<bool> = const { Cell::new(false) };
    /// Held bytes will never leave.
    static SHUT: Cell<bool> = const { Cell::new(false) };
}

/// Tells the gate whether it has anything to do.
pub fn tell(busy: bool, holding: bool) {
    BUSY.with(|b| b.set(busy));
    HOLDING.with(|h| h.set(holding));
}

/// Whether reads are to be recorded at the gate. Those of the self test have no client, and are recorded before they run.
pub fn wanted() -> bool {
    gucs::release() == gucs::Release::Wire && !self_test::running()
}

/// Puts the gate in place, if it is not; else says why it cannot be.
pub fn install() -> std::result::Result<(), Fallback> {
    // SAFETY: backend-local variables; OURS is written once, before anything points to it.
    unsafe {
        if !PREVIOUS.is_null() {
            return if in_place() { Ok(()) } else { Err(Fallback::Replaced) };
        }
        let client = !pg_sys::MyProcPort.is_null()
            && pg_sys::whereToSendOutput == pg_sys::CommandDest::DestRemote
            && !pg_sys::am_walsender
            && pg_sys::MyBgworkerEntry.is_null()
            && pg_sys::ParallelWorkerNumber < 0;
        if !client || CURRENT.is_null() {
            return Err(Fallback::NoClient);
        }
        PREVIOUS = CURRENT;
        let ours = std::ptr::addr_of_mut!(OURS).cast::<Methods>();
        ours.write(Methods { comm_reset, flush, flush_if_writable, putmessage, putmessage_noblock, ..*PREVIOUS });
        CURRENT = ours;
        Ok(())
    }
}

/// Whether what the backend sends passes the gate.
pub fn in_place() -> bool {
    // SAFETY: compares two addresses.
    unsafe { std::ptr::eq(CURRENT, std::ptr::addr_of!(OURS).cast::<Methods>()) }
}

/// The portal that runs, 0 for none.
pub fn active_portal() -> usize {
    // SAFETY: reads a variable of this backend; the portal is not looked into.
    unsafe { pg_sys::ActivePortal as usize }
}

/// The session is about to end.
pub fn ending() {
    ENDING.with(|e| e.set(true));
}

/// Whether it is: nobody could end a wait any more.
pub fn is_ending() -> bool {
    // SAFETY: reads a variable of this backend.
    ENDING.with(Cell::get) || unsafe { pg_sys::proc_exit_inprogress }
}

/// The process ends: what is held stays.
pub fn shut() {
    if HOLDING.with(Cell::get) {
        SHUT.with(|s| s.set(true));
    }
}

fn previous() -> &'static Methods {
    // SAFETY: our methods are called only after install() has set it, to a static of Postgres or of another library.
    unsafe { &*PREVIOUS }
}

/// A notice that comes while interrupts are held off may come from a signal handler, in the middle of anything.
fn unwelcome(kind: u8) -> bool {
    // SAFETY: reads a variable of this backend.
    let held_off = unsafe { pg_sys::InterruptHoldoffCount } > 0;
    kind == b'N' && (SETTLING.with(Cell::get) || held_off && BUSY.with(Cell::get))
}

unsafe extern "C-unwind" fn comm_reset() {
    INSIDE.with(|i| i.set(false));
    // SAFETY: as Postgres calls it.
    unsafe { (previous().comm_reset)() }
}

unsafe extern "C-unwind" fn putmessage(kind: c_char, body: *const c_char, length: usize) -> c_int {
    // SAFETY: arguments come from Postgres and go on as they are.
    unsafe {
        if unwelcome(kind as u8) {
            DROPPED.with(|d| d.set(true));
            return 0;
        }
        if INSIDE.with(Cell::get) {
            return (previous().putmessage)(kind, body, length);
        }
        if SHUT.with(Cell::get) {
            return 0;
        }
        if BUSY.with(Cell::get) && decide(kind as u8, body, length) == Put::Hold {
            hold(kind, body, length);
            return 0;
        }
        (previous().putmessage)(kind, body, length)
    }
}

unsafe extern "C-unwind" fn putmessage_noblock(kind: c_char, body: *const c_char, length: usize) {
    // SAFETY: as `putmessage`.
    unsafe {
        if unwelcome(kind as u8) {
            DROPPED.with(|d| d.set(true));
        } else if !SHUT.with(Cell::get) {
            if BUSY.with(Cell::get) {
                decide(kind as u8, body, length);
            }
            hold(kind, body, length);
        }
    }
}

/// Counts the message, and settles first where it must not wait any longer.
unsafe fn decide(kind: u8, body: *const c_char, length: usize) -> Put {
    let put = safely(|| {
        let body = if length == 0 {
            &[][..]
        } else {
            // SAFETY: a message has `length` bytes; a NULL body has none.
            unsafe { std::slice::from_raw_parts(body.cast::<u8>(), length) }
        };
        armed::message(kind, body, active_portal())
    });
    if put == Put::Settle && !settle(true) {
        return Put::Hold;
    }
    put
}

/// Into the buffer, without sending.
unsafe fn hold(kind: c_char, body: *const c_char, length: usize) {
    // putmessage_noblock calls putmessage through CURRENT; out of memory, it raises
    INSIDE.with(|i| i.set(true));
    // SAFETY: as `putmessage`; nothing here owns anything.
    unsafe {
        raw::with_cleanup(|| (previous().putmessage_noblock)(kind, body, length), |_| INSIDE.with(|i| i.set(false)));
    }
    INSIDE.with(|i| i.set(false));
}

unsafe extern "C-unwind" fn flush() -> c_int {
    // SAFETY: as Postgres calls it.
    unsafe {
        if may_send() {
            (previous().flush)()
        } else {
            0
        }
    }
}

unsafe extern "C-unwind" fn flush_if_writable() -> c_int {
    // SAFETY: as Postgres calls it.
    unsafe {
        if may_send() {
            (previous().flush_if_writable)()
        } else {
            0
        }
    }
}

/// Whether the buffer may be sent now; writes the records that are due before it is.
fn may_send() -> bool {
    if DROPPED.with(|d| d.replace(false)) || SHUT.with(Cell::get) {
        return false;
    }
    if !BUSY.with(Cell::get) {
        return true;
    }
    match safely(|| Ok(armed::flush())) {
        Flush::Pass => true,
        Flush::Hold => false,
        Flush::Settle { durable } => settle(durable),
    }
}

/// Writes what is due. False while nothing may be written and so nothing leave: the server panics, or the process ends.
fn settle(durable: bool) -> bool {
    // SAFETY: reads variables of this backend.
    let ending = unsafe { pg_sys::CritSectionCount > 0 || pg_sys::MyProc.is_null() || pg_sys::proc_exit_inprogress };
    if ending {
        return !HOLDING.with(Cell::get);
    }
    SETTLING.with(|s| s.set(true));
    safely(|| armed::settle(durable));
    SETTLING.with(|s| s.set(false));
    true
}

/// Runs `body`; where it fails, ends the session and sends nothing any more.
fn safely<T>(body: impl FnOnce() -> Result<T>) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => end_session(error),
        Err(panic) => end_session(error::of_panic(panic)),
    }
}

/// Ends the session; nothing that is held is sent.
pub fn end_session(error: Error) -> ! {
    SHUT.with(|s| s.set(true));
    // SAFETY: FATAL does not return. Without a destination, neither this message nor what is held is sent.
    unsafe {
        pg_sys::whereToSendOutput = pg_sys::CommandDest::DestNone;
        let fatal = Error { message: format!("terminating connection: {}", error.message), ..error };
        report(pgrx::PgLogLevel::FATAL as i32, fatal);
        std::process::abort()
    }
}
