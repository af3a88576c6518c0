//! Changing rows of a table in place of its owner, a range of blocks at a time: no trigger, rule, policy or check constraint
//! sees it, `xmin` and the columns changed aside nothing of a row changes. Index expressions and stored generated columns are
//! computed, as the table's owner.
//!
//! A row is changed only in the version that the batch's snapshot saw, and only while that is the newest, so nobody's update
//! is lost; rows that others have locked are left for the next pass. One that nobody has is not locked first: whoever comes in
//! the moment between the look and the change is waited for.
#![allow(unsafe_code)] // ◆ table access method calls

use crate::pg::columns::own;
use crate::pg::sys::{compat, raw, switch, write};
use crate::pure::error::{Error, Kind, Result};
use pgrx::pg_sys::{self, Datum};

/// Blocks looked at between two commits at most.
pub const BLOCKS: u32 = 2048;

/// Where a batch ends.
pub struct Most {
    /// After so many rows changed,
    pub rows: u64,
    /// or so many blocks looked at.
    pub blocks: u32,
}

/// What a batch did.
#[derive(Default)]
pub struct Batch {
    /// Rows changed.
    pub changed: u64,
    /// Rows to be changed that others have locked or changed.
    pub locked: u64,
    /// Block and row to go on at.
    pub next: (u32, u16),
}

/// The fields of one row, by position from 0.
pub struct Fields<'a> {
    values: &'a mut [Datum],
    nulls: &'a mut [bool],
}

impl Fields<'_> {
    /// A field, `None` when NULL.
    pub fn get(&self, i: usize) -> Option<Datum> {
        (!self.nulls[i]).then(|| self.values[i])
    }

    /// Puts another value there.
    pub fn set(&mut self, i: usize, value: Option<Datum>) {
        self.nulls[i] = value.is_none();
        self.values[i] = value.unwrap_or(Datum::from(0));
    }
}

/// What a job does to rows. Datums may be allocated in the current memory context, which lives as long as the row.
pub trait Change {
    /// Looks at the table at the start of each batch, for it may have been altered since the last. False when there is
    /// nothing in it to change.
    ///
    /// # Safety
    /// `desc` is the descriptor of an open relation.
    unsafe fn prepare(&mut self, desc: pg_sys::TupleDesc) -> Result<bool>;
    /// Whether a row is to be changed. Cheap: it is asked for every row.
    fn due(&mut self, row: &Fields) -> Result<bool>;
    /// Changes a row.
    fn apply(&mut self, row: &mut Fields) -> Result<()>;
    /// Lets go, at the end of a batch, of what must not be kept while a job waits for its next.
    fn let_go(&mut self) {}
}

/// Blocks that the table has now.
///
/// # Errors
/// 42704 when it is gone.
pub fn blocks(relation: pg_sys::Oid) -> Result<u32> {
    let table = Open::new(relation, pg_sys::AccessShareLock)?;
    // SAFETY: the relation is open.
    Ok(unsafe { pg_sys::RelationGetNumberOfBlocksInFork(table.0, pg_sys::ForkNumber::MAIN_FORKNUM) })
}

/// Changes rows from a place on, up to block `end` or as many as `most` says. The current user must own the table.
///
/// # Errors
/// 42704 when the table is gone, 42501 when it is another's; what `change` says, with the row's place; 0A000 for a table
/// whose storage has no places.
pub fn batch(relation: pg_sys::Oid, from: (u32, u16), end: u32, most: &Most, change: &mut dyn Change) -> Result<Batch> {
    let table = Open::new(relation, pg_sys::RowExclusiveLock)?;
    own(relation)?;
    // SAFETY: the relation is open and locked; the checks are those of an UPDATE.
    unsafe {
        let (rel, facts) = (table.0, &*(*table.0).rd_rel);
        if facts.relpersistence as u8 == pg_sys::RELPERSISTENCE_TEMP && !(*rel).rd_islocaltemp {
            return Err(Error::new(Kind::State, "cannot change a temporary table of another session"));
        }
        if (*rel).rd_tableam.is_null() || (*(*rel).rd_tableam).scan_set_tidrange.is_none() {
            return Err(Error::new(Kind::Unsupported, "the table's access method has no ranges of rows"));
        }
        pg_sys::CheckCmdReplicaIdentity(rel, pg_sys::CmdType::CMD_UPDATE);
        switch::as_table_owner(facts.relowner, || {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let result = rows(rel, from, end, most, change);
            pg_sys::PopActiveSnapshot();
            result
        })
    }
}

/// An open relation; an ERROR closes it, too.
pub struct Open(pg_sys::Relation);

impl Open {
    /// Opens it under a lock that lasts to the end of the transaction.
    ///
    /// # Errors
    /// 42704 when it is gone.
    pub fn new(relation: pg_sys::Oid, lock: u32) -> Result<Open> {
        // SAFETY: NULL when it is gone; raises for what is no table.
        let open = unsafe { pg_sys::try_table_open(relation, lock as i32) };
        if open.is_null() {
            return Err(Error::new(Kind::Undefined, "the table was dropped while a job was on it"));
        }
        Ok(Open(open))
    }

    /// Its columns.
    pub fn descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: it is open.
        unsafe { (*self.0).rd_att }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by us; the lock stays until the transaction ends.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock as i32) }
        }
    }
}

/// # Safety
/// The relation is open under RowExclusiveLock, a snapshot is active.
unsafe fn rows(
    rel: pg_sys::Relation,
    from: (u32, u16),
    end: u32,
    most: &Most,
    change: &mut dyn Change,
) -> Result<Batch> {
    // SAFETY: all objects are made here and freed below, also when `change` gives an error; an ERROR of Postgres frees
    // them with its transaction.
    unsafe {
        let desc = (*rel).rd_att;
        if !change.prepare(desc)? {
            return Ok(Batch { next: (end, 0), ..Batch::default() });
        }
        let snapshot = pg_sys::GetActiveSnapshot();
        let estate = pg_sys::CreateExecutorState();
        let before = pg_sys::CurrentMemoryContext;
        pg_sys::CurrentMemoryContext = (*estate).es_query_cxt;
        let result = pg_sys::palloc0(std::mem::size_of::<pg_sys::ResultRelInfo>()).cast::<pg_sys::ResultRelInfo>();
        pg_sys::InitResultRelInfo(result, rel, 0, std::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(result, false);
        let seen = pg_sys::table_slot_create(rel, std::ptr::null_mut());
        let held = pg_sys::table_slot_create(rel, std::ptr::null_mut());
        let new = pg_sys::MakeSingleTupleTableSlot(desc, &raw const pg_sys::TTSOpsVirtual);
        (*new).tts_tableOid = (*rel).rd_id;
        pg_sys::CurrentMemoryContext = before;
        let mut worker = Worker { rel, snapshot, estate, result, held, new, rows_in_memory: 0 };

        let last = end.min(from.0.saturating_add(most.blocks));
        let (mut low, mut high) = (place(from), place((last - 1, u16::MAX)));
        let scan = pg_sys::table_beginscan_tidrange(rel, snapshot, &mut low, &mut high);
        let mut batch = Batch { next: (last, 0), ..Batch::default() };
        let mut outcome = Ok(());
        while pg_sys::table_scan_getnextslot_tidrange(scan, pg_sys::ScanDirection::ForwardScanDirection, seen) {
            pgrx::check_for_interrupts!();
            outcome = worker.row(seen, &mut batch, change);
            if outcome.is_err() {
                break;
            }
            if batch.changed >= most.rows {
                let (block, offset) = whereabouts(&(*seen).tts_tid);
                batch.next = if offset == u16::MAX { (block + 1, 0) } else { (block, offset + 1) };
                break;
            }
        }
        pg_sys::table_endscan(scan);
        for slot in [seen, held, new] {
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        pg_sys::ExecCloseIndices(result);
        pg_sys::FreeExecutorState(estate);
        change.let_go();
        outcome.map(|()| batch)
    }
}

/// What changes one row after the other.
struct Worker {
    rel: pg_sys::Relation,
    snapshot: pg_sys::Snapshot,
    estate: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    held: *mut pg_sys::TupleTableSlot,
    new: *mut pg_sys::TupleTableSlot,
    /// Rows that may have left something in the per-row memory since it was last reset.
    rows_in_memory: u32,
}

impl Worker {
    /// # Safety
    /// `seen` holds a row of the scan; the worker's objects are alive.
    unsafe fn row(
        &mut self,
        seen: *mut pg_sys::TupleTableSlot,
        batch: &mut Batch,
        change: &mut dyn Change,
    ) -> Result<()> {
        // SAFETY: as the caller promises; memory is reset now and then, and behind each row that was changed.
        unsafe {
            let mut context = (*self.estate).es_per_tuple_exprcontext;
            if context.is_null() {
                context = pg_sys::MakePerTupleExprContext(self.estate);
            }
            let memory = (*context).ecxt_per_tuple_memory;
            if self.rows_in_memory >= 256 {
                pg_sys::MemoryContextReset(memory);
                self.rows_in_memory = 0;
            }
            self.rows_in_memory += 1;
            let before = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = memory;
            let mut tid = (*seen).tts_tid;
            let result = self.changed(seen, &mut tid, batch, change);
            pg_sys::CurrentMemoryContext = before;
            result.map_err(|error| {
                let (block, offset) = whereabouts(&tid);
                let name = std::ffi::CStr::from_ptr((*(*self.rel).rd_rel).relname.data.as_ptr()).to_string_lossy();
                let place = format!("In the row at ({block},{offset}) of table \"{name}\".");
                let detail = error.detail.as_ref().map_or(place.clone(), |detail| format!("{detail} {place}"));
                error.detail(detail)
            })
        }
    }

    /// # Safety
    /// As [`Worker::row`].
    unsafe fn changed(
        &mut self,
        seen: *mut pg_sys::TupleTableSlot,
        tid: *mut pg_sys::ItemPointerData,
        batch: &mut Batch,
        change: &mut dyn Change,
    ) -> Result<()> {
        // SAFETY: as the caller promises; slots hold as many fields as the descriptor has columns.
        unsafe {
            let desc = (*self.rel).rd_att;
            let n = (*desc).natts as usize;
            if !change.due(&fields(seen, n))? {
                return Ok(());
            }
            // nobody else has most rows, and then they need not be locked first, which writes a record of WAL of its own
            let row = match (write::is_untouched(seen), self.held) {
                (true, _) => Some(seen),
                (false, held) => self.lock(tid).then_some(held),
            };
            let found = row.map(|row| self.replace(row, tid, change)).transpose()?;
            match found {
                Some(pg_sys::TM_Result::TM_Ok) => batch.changed += 1,
                _ => batch.locked += 1,
            }
            pg_sys::ExecClearTuple(self.held);
            self.rows_in_memory = u32::MAX - 1;
            Ok(())
        }
    }

    /// Locks a row unless somebody else has it; it is in `held` then.
    ///
    /// # Safety
    /// As [`Worker::row`].
    unsafe fn lock(&mut self, tid: *mut pg_sys::ItemPointerData) -> bool {
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: as the caller promises.
        let locked = unsafe {
            pg_sys::table_tuple_lock(
                self.rel,
                tid,
                self.snapshot,
                self.held,
                pg_sys::GetCurrentCommandId(true),
                pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
                pg_sys::LockWaitPolicy::LockWaitSkip,
                0,
                &mut failure,
            )
        };
        locked == pg_sys::TM_Result::TM_Ok
    }

    /// Puts what `change` makes of the row in `slot` in its place, if it is still the newest version.
    ///
    /// # Safety
    /// As [`Worker::row`]; the row is the one at `tid`.
    unsafe fn replace(
        &mut self,
        slot: *mut pg_sys::TupleTableSlot,
        tid: *mut pg_sys::ItemPointerData,
        change: &mut dyn Change,
    ) -> Result<pg_sys::TM_Result::Type> {
        // SAFETY: as the caller promises; slots hold as many fields as the descriptor has columns.
        unsafe {
            let desc = (*self.rel).rd_att;
            let n = (*desc).natts as usize;
            let old = fields(slot, n);
            pg_sys::ExecClearTuple(self.new);
            std::ptr::copy_nonoverlapping(old.values.as_ptr(), (*self.new).tts_values, n);
            std::ptr::copy_nonoverlapping(old.nulls.as_ptr(), (*self.new).tts_isnull, n);
            let mut row = Fields {
                values: std::slice::from_raw_parts_mut((*self.new).tts_values, n),
                nulls: std::slice::from_raw_parts_mut((*self.new).tts_isnull, n),
            };
            for i in (0..n).filter(|i| compat::attribute(desc, *i).attisdropped) {
                // as an UPDATE does: what a dropped column held must not live on
                row.set(i, None);
            }
            change.apply(&mut row)?;
            pg_sys::ExecStoreVirtualTuple(self.new);
            let generated = !(*desc).constr.is_null() && (*(*desc).constr).has_generated_stored;
            if generated {
                raw::compute_stored_generated(self.result, self.estate, self.new);
            }
            Ok(write::replace((self.result, self.estate), tid, self.new, self.snapshot, !generated))
        }
    }
}

/// The fields of a slot.
///
/// # Safety
/// The slot holds a row of `n` columns; the slices are not used after it is cleared.
unsafe fn fields<'a>(slot: *mut pg_sys::TupleTableSlot, n: usize) -> Fields<'a> {
    // SAFETY: as the caller promises.
    unsafe {
        pg_sys::slot_getallattrs(slot);
        Fields {
            values: std::slice::from_raw_parts_mut((*slot).tts_values, n),
            nulls: std::slice::from_raw_parts_mut((*slot).tts_isnull, n),
        }
    }
}

fn place((block, offset): (u32, u16)) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 },
        ip_posid: offset,
    }
}

fn whereabouts(tid: &pg_sys::ItemPointerData) -> (u32, u16) {
    (u32::from(tid.ip_blkid.bi_hi) << 16 | u32::from(tid.ip_blkid.bi_lo), tid.ip_posid)
}
