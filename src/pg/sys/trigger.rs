//! What a row trigger is called with.
#![allow(unsafe_code)] // ◆ trigger data
#![allow(ffi_unwind_calls)] // reason: a comparison of bytes that does not raise

use super::{compat, raw, Args};
use pgrx::pg_sys::{self, NodeTag};

/// What a call BEFORE INSERT or UPDATE of a row brings.
pub struct Before<'a> {
    /// What the trigger manager gives.
    pub data: &'a pg_sys::TriggerData,
    /// The trigger, with its arguments.
    pub trigger: &'a pg_sys::Trigger,
    /// The relation's columns.
    pub desc: pg_sys::TupleDesc,
    /// The row as it shall be stored.
    pub new: pg_sys::HeapTuple,
    /// The row that an UPDATE replaces.
    pub old: Option<pg_sys::HeapTuple>,
}

/// Why a trigger function was called wrongly.
pub enum Misused {
    /// Not by the trigger manager.
    NoTrigger,
    /// At another event, after it, or for the statement.
    Otherwise,
}

/// The call's trigger data, checked.
///
/// # Errors
/// [`Misused`].
pub fn before_row<'a>(args: &'a Args) -> Result<Before<'a>, Misused> {
    // SAFETY: what trigger functions are promised by their manager once the context is checked: a trigger, and tuples of
    // the relation's description, alive during the call.
    unsafe {
        let context = (*args.raw()).context;
        if context.is_null() || (*context).type_ != NodeTag::T_TriggerData {
            return Err(Misused::NoTrigger);
        }
        let data = &*context.cast::<pg_sys::TriggerData>();
        let timely = data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE;
        let (new, old) = match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => (data.tg_trigtuple, None),
            pg_sys::TRIGGER_EVENT_UPDATE => (data.tg_newtuple, Some(data.tg_trigtuple)),
            _ => return Err(Misused::Otherwise),
        };
        if !timely || data.tg_event & pg_sys::TRIGGER_EVENT_ROW == 0 {
            return Err(Misused::Otherwise);
        }
        Ok(Before { data, trigger: &*data.tg_trigger, desc: (*data.tg_relation).rd_att, new, old })
    }
}

/// Whether two values of a column are the same bytes as stored: true for what an UPDATE did not touch.
///
/// # Safety
/// The description has a column at this position, from 0, and both values are of its type.
pub unsafe fn same_bytes(desc: pg_sys::TupleDesc, at: usize, a: pg_sys::Datum, b: pg_sys::Datum) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let attribute = compat::attribute(desc, at);
        raw::raw_datum_is_equal(a, b, attribute.attbyval, i32::from(attribute.attlen))
    }
}
