//! Transaction control of a procedure: SPI without the promise of one transaction, and what must hold before it is used.
//!
//! Such a procedure can be neither SECURITY DEFINER nor carry settings, or PostgreSQL calls it atomic. So it runs as the
//! caller, and changes the user only between two commits.
#![allow(unsafe_code)] // ◆ SPI's transaction control

use crate::pg::admin::may_change;
use crate::pg::readlog::identity;
use crate::pg::sys::Args;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;

/// A procedure that may commit. Nothing that belongs to a transaction may be held across [`Session::commit`]: no
/// snapshot, no open relation, no other user.
pub struct Session(());

impl Session {
    /// Takes the control and begins a transaction of its own, READ COMMITTED.
    ///
    /// # Errors
    /// 25001 when the call stands inside a transaction block or a function; AL007 in a sub-processor's session; 25006 on
    /// a standby or in a read-only session; 42501 within a security-restricted operation.
    pub fn open(args: Args, call: &str) -> Result<Session> {
        if let Some(name) = identity::subprocessor()? {
            let message = format!("tables are not changed in a session of sub-processor \"{name}\"");
            return Err(Error::new(Kind::OutsideScope, message));
        }
        may_change()?;
        // SAFETY: the context of a call is NULL or a node; CALL gives a CallContext.
        let atomic = unsafe {
            let context = (*args.raw()).context;
            context.is_null()
                || (*context).type_ != pg_sys::NodeTag::T_CallContext
                || (*context.cast::<pg_sys::CallContext>()).atomic
        };
        if atomic {
            return Err(Error::new(Kind::TransactionBlock, format!("{call} cannot run inside a transaction block"))
                .detail("It commits after each batch, which neither BEGIN nor a function allows.")
                .hint(format!("{call}(…) as a statement of its own, with autocommit on")));
        }
        // SAFETY: reads a variable.
        if unsafe { pg_sys::XactReadOnly } {
            return Err(Error::new(Kind::ReadOnly, format!("{call} cannot run in a read-only transaction"))
                .hint("SET default_transaction_read_only = off"));
        }
        // SAFETY: raises, or pushes a level that `drop` takes off again.
        unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
        let session = Session(());
        // the caller's transaction may have a snapshot, and another isolation level
        session.commit();
        Ok(session)
    }

    /// Commits and begins the next transaction. A failing commit is an ERROR, as everywhere.
    pub fn commit(&self) {
        // SAFETY: `open` has seen that this call is not atomic. What is committed is decided row by row, so that each batch
        // should see what others committed: set before the first snapshot, as SET TRANSACTION would.
        unsafe {
            pg_sys::SPI_commit();
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        }
    }

    /// Rolls back what was not committed and begins the next transaction. Lets go of every claim.
    pub fn rollback(&self) {
        // SAFETY: as `commit`.
        unsafe {
            pg_sys::SPI_rollback();
            pg_sys::XactIsoLevel = pg_sys::XACT_READ_COMMITTED as i32;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // after an ERROR the abort takes the level off
        if !std::thread::panicking() {
            // SAFETY: the level that `open` pushed is the topmost.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}
