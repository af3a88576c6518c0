//! Rows written without a statement and its plan: appended, many at a time, as COPY does it (`commands/copyfrom.c`), with one
//! record of WAL for the rows of a page; or replaced one by one.
#![allow(unsafe_code)] // ◆ table access method calls, slots
#![allow(ffi_unwind_calls)] // reason: the table's own function, guarded; no frame in between owns anything

use super::raw::guarded;
use super::sql::Arg;
use super::{compat, flat, varlena};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys;
use std::ffi::CStr;

/// Rows that are put into a table by one call: of so many, pages and WAL records are full, and their slots serve the next.
const AT_ONCE: usize = 200;

/// Appends rows whose values are of these columns; constraints, the bounds of a partition and indexes are those of an INSERT. False, and nothing is done, for a table that has other columns than these, or
/// something that only a statement heeds: a trigger, a rule, a default, a policy.
///
/// The caller has locked the table for writing, and may write it.
///
/// # Errors
/// XX001 where a value is of another type than its column; what constraints and indexes raise.
pub fn append(table: pg_sys::Oid, columns: &[&str], rows: &[Vec<Arg>]) -> Result<bool> {
    // SAFETY: the table is locked by the caller; what is made here is freed below, or with the transaction by an ERROR.
    unsafe {
        let relation = pg_sys::try_table_open(table, pg_sys::RowExclusiveLock as i32);
        if relation.is_null() {
            return Ok(false);
        }
        let appended = match places(relation, columns) {
            Some(places) => all(relation, &places, rows).map(|()| true),
            None => Ok(false),
        };
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
        appended
    }
}

/// Where the columns are, and their types; `None` when the table is not one that rows can be appended to.
unsafe fn places(relation: pg_sys::Relation, columns: &[&str]) -> Option<Vec<(usize, pg_sys::Oid)>> {
    // SAFETY: the relation is open.
    unsafe {
        let (form, desc) = (&*(*relation).rd_rel, (*relation).rd_att);
        let plain = form.relkind as u8 == pg_sys::RELKIND_RELATION
            && form.relpersistence as u8 == pg_sys::RELPERSISTENCE_PERMANENT
            && !form.relrowsecurity
            && (*relation).trigdesc.is_null()
            && (*relation).rd_rules.is_null()
            && !(*relation).rd_tableam.is_null();
        let mut found = vec![None; columns.len()];
        for i in 0..(*desc).natts as usize {
            let attribute = compat::attribute(desc, i);
            let name = CStr::from_ptr(attribute.attname.data.as_ptr());
            let computed = attribute.attgenerated != 0 || attribute.attidentity != 0;
            let place = columns.iter().position(|c| c.as_bytes() == name.to_bytes()).filter(|_| !computed);
            // one that is left out would get its default
            *found.get_mut(place?)? = Some((i, attribute.atttypid)).filter(|_| !attribute.attisdropped);
        }
        found.into_iter().collect::<Option<Vec<_>>>().filter(|_| plain)
    }
}

unsafe fn all(relation: pg_sys::Relation, places: &[(usize, pg_sys::Oid)], rows: &[Vec<Arg>]) -> Result<()> {
    let wrong = || Error::new(Kind::Corrupt, "a table of the read log has a column of another type");
    let matching = |row: &Vec<Arg>| {
        row.len() == places.len() && row.iter().zip(places).all(|(value, (_, oid))| value.oid() == *oid)
    };
    if !rows.iter().all(matching) {
        return Err(wrong());
    }
    // SAFETY: slots hold as many fields as the descriptor has columns; values live in the caller's memory context.
    unsafe {
        let insert = (*(*relation).rd_tableam).multi_insert.ok_or_else(wrong)?;
        let estate = pg_sys::CreateExecutorState();
        let before = pg_sys::MemoryContextSwitchTo((*estate).es_query_cxt);
        let result = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast::<pg_sys::ResultRelInfo>();
        pg_sys::InitResultRelInfo(result, relation, 0, std::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(result, false);
        let (constrained, partition) = (!(*(*relation).rd_att).constr.is_null(), (*(*relation).rd_rel).relispartition);
        let mut slots: Vec<*mut pg_sys::TupleTableSlot> =
            rows.iter().take(AT_ONCE).map(|_| pg_sys::table_slot_create(relation, std::ptr::null_mut())).collect();
        let command = pg_sys::GetCurrentCommandId(true);
        for rows in rows.chunks(AT_ONCE) {
            for (row, slot) in rows.iter().zip(&slots) {
                let slot = *slot;
                pg_sys::ExecClearTuple(slot);
                for (value, (place, _)) in row.iter().zip(places) {
                    let datum = value.datum().map(|datum| datum.sans_lifetime());
                    *(*slot).tts_isnull.add(*place) = datum.is_none();
                    *(*slot).tts_values.add(*place) = datum.unwrap_or(pg_sys::Datum::from(0));
                }
                pg_sys::ExecStoreVirtualTuple(slot);
                if constrained {
                    pg_sys::ExecConstraints(result, slot, estate);
                }
                if partition {
                    pg_sys::ExecPartitionCheck(result, slot, estate, true);
                }
            }
            let count = rows.len() as i32;
            guarded(|| insert(relation, slots.as_mut_ptr(), count, command, 0, std::ptr::null_mut()));
            for slot in slots.iter().take(rows.len()) {
                if (*result).ri_NumIndices > 0 {
                    compat::insert_index_tuples((result, estate), *slot, false, Default::default());
                }
                pg_sys::MemoryContextReset((*pg_sys::MakePerTupleExprContext(estate)).ecxt_per_tuple_memory);
            }
        }
        // the newest first: what holds their descriptors looks for them from its end
        slots.into_iter().rev().for_each(|slot| pg_sys::ExecDropSingleTupleTableSlot(slot));
        pg_sys::ExecCloseIndices(result);
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::FreeExecutorState(estate);
        Ok(())
    }
}

/// Whether nobody has locked or changed the row in a slot since it was written, as far as its header says.
///
/// # Safety
/// The slot holds a row of a scan.
pub unsafe fn is_untouched(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: what the operations of a slot say it is; its row's page is pinned.
    unsafe {
        if !std::ptr::eq((*slot).tts_ops, &raw const pg_sys::TTSOpsBufferHeapTuple) {
            return false;
        }
        let tuple = (*slot.cast::<pg_sys::BufferHeapTupleTableSlot>()).base.tuple;
        !tuple.is_null() && u32::from((*(*tuple).t_data).t_infomask) & pg_sys::HEAP_XMAX_INVALID != 0
    }
}

/// Replaces the row at `tid` by the one in `slot`, indexes included, which `hint` tells that their values probably stay; what
/// the table says where it is not the newest version. Waits for whoever else has the row: the caller has locked it, or has just
/// seen that nobody has.
///
/// # Safety
/// The relation of `result` is open and locked, its indexes are open; the tuple is as `snapshot` sees it.
pub unsafe fn replace(
    (result, estate): (*mut pg_sys::ResultRelInfo, *mut pg_sys::EState),
    tid: *mut pg_sys::ItemPointerData,
    slot: *mut pg_sys::TupleTableSlot,
    snapshot: pg_sys::Snapshot,
    hint: bool,
) -> pg_sys::TM_Result::Type {
    // SAFETY: as the caller promises; an ERROR becomes a Rust panic.
    unsafe {
        let relation = (*result).ri_RelationDesc;
        let Some(update) = (*(*relation).rd_tableam).tuple_update else { return pg_sys::TM_Result::TM_Invisible };
        let (mut failure, mut mode, mut indexes) = (Default::default(), 0, compat::Indexes::default());
        let (command, none) = (pg_sys::GetCurrentCommandId(true), std::ptr::null_mut());
        let (f, m, i) = (&mut failure, &mut mode, &mut indexes);
        let found = guarded(|| update(relation, tid, slot, command, snapshot, none, true, f, m, i));
        let unchanged = indexes == compat::Indexes::default();
        if found == pg_sys::TM_Result::TM_Ok && !unchanged && (*result).ri_NumIndices > 0 {
            compat::insert_index_tuples((result, estate), slot, hint, indexes);
        }
        found
    }
}

/// A text[] of these.
pub fn texts<'a>(list: &[String]) -> Arg<'a> {
    let bytes = flat::of_varlena(pg_sys::TEXTOID.to_u32(), list.iter().map(String::as_bytes));
    // SAFETY: an array of that type.
    unsafe { Arg::new(varlena(&bytes), pg_sys::TEXTARRAYOID) }
}

/// A bytea[] of these.
pub fn byte_strings<'a>(list: &[Vec<u8>]) -> Arg<'a> {
    let bytes = flat::of_varlena(pg_sys::BYTEAOID.to_u32(), list.iter().map(Vec::as_slice));
    // SAFETY: as above.
    unsafe { Arg::new(varlena(&bytes), pg_sys::BYTEAARRAYOID) }
}

/// An integer[] of these.
pub fn ints<'a>(list: &[i32]) -> Arg<'a> {
    let bytes = flat::of_fixed(pg_sys::INT4OID.to_u32(), list.iter().map(|n| n.to_ne_bytes()));
    // SAFETY: as above.
    unsafe { Arg::new(varlena(&bytes), pg_sys::INT4ARRAYOID) }
}

/// A uuid[] of these.
pub fn uuids<'a>(list: &[[u8; 16]]) -> Arg<'a> {
    let bytes = flat::of_fixed(pg_sys::UUIDOID.to_u32(), list.iter().copied());
    // SAFETY: as above.
    unsafe { Arg::new(varlena(&bytes), pg_sys::UUIDARRAYOID) }
}
