//! Settings that came in by other doors than SET: start-up options are refused in a sub-processor's session as SET is.
#![allow(unsafe_code)] // ◆ the table of settings

use super::compat;
use crate::pure::contain;
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;
use std::ffi::CStr;

/// What the server would print to the client below this level is not for a sub-processor: LOG and DEBUG lines hold plans
/// with the row filter and the counts of hidden rows (auto_explain, debug_print_plan).
const LEAST: i32 = pgrx::PgLogLevel::NOTICE as i32;

/// AL007 when a setting in force would show what is hidden, or came in with the connection although SET would be
/// refused. Role and database defaults are the controller's own and pass.
pub fn effective() -> Result<()> {
    // SAFETY: reads backend-local variables.
    unsafe {
        if pg_sys::Debug_print_plan || pg_sys::Debug_print_parse || pg_sys::Debug_print_rewritten {
            return contain::setting("debug_print_plan");
        }
        if pg_sys::client_min_messages < LEAST {
            return Err(Error::new(
                Kind::OutsideScope,
                "client_min_messages below notice is outside the scope of a sub-processor",
            )
            .hint("SET client_min_messages = notice"));
        }
    }
    from_connection()
}

/// Looks at every setting whose value came with the connection: the start-up message or its options.
fn from_connection() -> Result<()> {
    let mut refused = None;
    // SAFETY: the pointers are valid: nothing defines a setting meanwhile.
    unsafe {
        for setting in compat::all_settings() {
            let setting = &*setting;
            if setting.source != pg_sys::GucSource::PGC_S_CLIENT {
                continue;
            }
            let name = CStr::from_ptr(setting.name).to_string_lossy();
            if let Err(error) = contain::setting(&name) {
                refused = Some(error.hint("connect without it: the controller sets it with ALTER ROLE … SET"));
                break;
            }
        }
    }
    refused.map_or(Ok(()), Err)
}
