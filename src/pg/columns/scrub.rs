//! `scrub`: what VACUUM removed leaves the files too. A removed tuple's bytes stay in its page's free space until something
//! is written over them; here every byte of a page that belongs to no tuple becomes zero.
//!
//! How: the page is locked exclusively and logged as one full image (generic WAL), of which replay restores everything but
//! the hole, so a standby and a server after a crash have zeros there too. No tuple moves, so no cleanup lock is needed,
//! and readers that hold a pin may go on. Heap pages, TOAST and system catalogs alike; the visibility map stays true, for
//! the tuples stay. Then the WAL and the table's buffers are flushed: the files are clean when the function returns.
//!
//! What it cannot do it says, row by row: removed versions that VACUUM has not taken, or that somebody still sees; values
//! of dropped columns, which stay in living rows; indexes, whose inner pages keep the keys of removed rows until REINDEX.
#![allow(unsafe_code)] // ◆ pages, buffers, generic WAL

use super::history;
use super::target::{full_name, own_or_administer};
use crate::pg::admin::may_change;
use crate::pg::sys::{compat, d, list_of_oids, raw, return_set, Row};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::page::{unused, Bounds, HEADER};
use crate::sql_function;
use pgrx::pg_sys;

sql_function!(
    /// `airlock.scrub(relation regclass) → SETOF (part, pages, rewritten, dead, held, dropped, clean, lsn, done_at, todo)`:
    /// after VACUUM, zeroes the free space of the table, its partitions and their TOAST. WAL and backups from before `lsn`
    /// hold what was removed.
    ///
    /// Errors: `42501` for who neither owns the table nor is an `airlock_admin`; `25006` on a standby; `55000` for what
    /// has no heap pages.
    airlock_scrub,
    |args| {
        let relation = args.need::<pg_sys::Oid>(0, "relation")?;
        own_or_administer(relation)?;
        may_change()?;
        let reports = scrub(relation)?;
        if relation == STATISTICS && reports.iter().all(Report::clean) {
            history::scrubbed()?;
        }
        let mut rows = Vec::new();
        for report in &reports {
            rows.push(report.row()?);
            rows.extend(indexes(report.relation)?);
        }
        return_set(args, rows)
    }
);

/// `pg_statistic`, which keeps the most common values of columns.
const STATISTICS: pg_sys::Oid = pg_sys::Oid::from_u32(2619);
/// The heap's access method.
const HEAP: pg_sys::Oid = pg_sys::Oid::from_u32(2);
const LOCK: i32 = pg_sys::ShareUpdateExclusiveLock as i32;
/// States of a line pointer: a tuple, a dead one that still has its bytes.
const WITH_STORAGE: [u32; 2] = [1, 3];
const NORMAL: u32 = 1;

/// What was found and done in one relation.
pub struct Report {
    /// The relation.
    pub relation: pg_sys::Oid,
    pages: i64,
    rewritten: i64,
    /// Versions that VACUUM would remove.
    dead: i64,
    /// Removed versions that some transaction still sees.
    held: i64,
    /// Rows with values of dropped columns.
    dropped: i64,
    /// Pages of another layout.
    odd: i64,
    lsn: pg_sys::Datum,
    done_at: pg_sys::Datum,
}

impl Report {
    /// Whether nothing that was removed is left in it.
    pub fn clean(&self) -> bool {
        [self.dead, self.held, self.dropped, self.odd] == [0; 4]
    }

    fn row(&self) -> Result<Row> {
        let name = full_name(self.relation)?;
        let mut todo = Vec::new();
        if self.dead > 0 {
            todo.push(format!("VACUUM {name}, then scrub again"));
        }
        if self.held > 0 {
            todo.push("some transaction still sees removed rows: end it (pg_stat_activity, pg_prepared_xacts, pg_replication_slots), VACUUM, scrub again".into());
        }
        if self.dropped > 0 {
            todo.push(format!("VACUUM FULL {name}: rows still hold values of dropped columns"));
        }
        if self.odd > 0 {
            todo.push(format!("{} pages are not of the standard layout", self.odd));
        }
        Ok(vec![
            d(self.relation),
            d(self.pages),
            d(self.rewritten),
            d(self.dead),
            d(self.held),
            d(self.dropped),
            d(self.clean()),
            Some(self.lsn),
            Some(self.done_at),
            d((!todo.is_empty()).then(|| todo.join("; "))),
        ])
    }
}

/// Scrubs a table, its partitions and children, and the TOAST tables of all. Checks no right.
pub fn scrub(relation: pg_sys::Oid) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    for table in raw::inheritors(relation, LOCK) {
        // SAFETY: opened under a lock that lasts to the end of the transaction; an ERROR ends it, which releases all.
        unsafe {
            let open = pg_sys::relation_open(table, LOCK);
            let form = &*(*open).rd_rel;
            let (kind, toast) = (form.relkind as u8, form.reltoastrelid);
            let foreign_temporary = form.relpersistence as u8 == b't' && !(*open).rd_islocaltemp;
            match kind {
                b'p' | b'f' if table != relation || kind == b'p' => {}
                b'r' | b'm' | b't' if form.relam == HEAP && !foreign_temporary => reports.push(heap(open)?),
                _ => {
                    let name = full_name(table)?;
                    return Err(Error::new(
                        Kind::State,
                        format!("{name} has no heap pages of this session's to scrub"),
                    )
                    .detail("Tables, their partitions, materialized views and TOAST tables have.")
                    .hint("REINDEX an index; give up another session's temporary table"));
                }
            }
            pg_sys::relation_close(open, pg_sys::NoLock as i32);
            if toast != pg_sys::InvalidOid {
                let open = pg_sys::relation_open(toast, LOCK);
                reports.push(heap(open)?);
                pg_sys::relation_close(open, pg_sys::NoLock as i32);
            }
        }
    }
    Ok(reports)
}

/// Scrubs one heap.
///
/// # Safety
/// An open relation of the heap's access method, locked by [`LOCK`].
unsafe fn heap(relation: pg_sys::Relation) -> Result<Report> {
    let nothing = pg_sys::Datum::from(0);
    // SAFETY: as the caller promises; one buffer is pinned and locked at a time.
    unsafe {
        let mut report = Report {
            relation: (*relation).rd_id,
            pages: i64::from(pg_sys::RelationGetNumberOfBlocksInFork(relation, pg_sys::ForkNumber::MAIN_FORKNUM)),
            rewritten: 0,
            dead: 0,
            held: 0,
            dropped: 0,
            odd: 0,
            lsn: nothing,
            done_at: nothing,
        };
        let desc = (*relation).rd_att;
        let attributes = (0..(*desc).natts as usize).map(|i| compat::attribute(desc, i));
        let dropped: Vec<i32> = attributes.filter(|a| a.attisdropped).map(|a| i32::from(a.attnum)).collect();
        let horizon = pg_sys::GetOldestNonRemovableTransactionId(relation);
        let strategy = pg_sys::GetAccessStrategy(pg_sys::BufferAccessStrategyType::BAS_VACUUM);
        for block in 0..report.pages as u32 {
            pgrx::check_for_interrupts!();
            let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
            let buffer = pg_sys::ReadBufferExtended(relation, pg_sys::ForkNumber::MAIN_FORKNUM, block, mode, strategy);
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as i32);
            page(relation, buffer, block, horizon, &dropped, &mut report);
            pg_sys::UnlockReleaseBuffer(buffer);
        }
        pg_sys::FreeAccessStrategy(strategy);
        // what VACUUM and this wrote, WAL first: whoever looks at the files, or kills the server, meets no old page
        pg_sys::FlushRelationBuffers(relation);
        (report.lsn, report.done_at) = history::position();
        Ok(report)
    }
}

/// Scrubs one page, and counts what VACUUM left in it.
///
/// # Safety
/// A pinned and exclusively locked buffer of that block of the relation.
unsafe fn page(
    relation: pg_sys::Relation,
    buffer: pg_sys::Buffer,
    block: u32,
    horizon: pg_sys::TransactionId,
    dropped: &[i32],
    report: &mut Report,
) {
    // SAFETY: as the caller promises; line pointers lie between header and lower, tuples where these say, which `unused`
    // has checked before any of them is read or written.
    unsafe {
        let page = pg_sys::BufferGetPage(buffer);
        let header = &*page.cast::<pg_sys::PageHeaderData>();
        if header.pd_upper == 0 {
            return; // new, all zeros
        }
        let (lower, upper, special) = (header.pd_lower, header.pd_upper, header.pd_special);
        let bounds =
            Bounds { lower: lower.into(), upper: upper.into(), special: special.into(), size: pg_sys::BLCKSZ as usize };
        let count = if bounds.sound() { (bounds.lower - HEADER) / size_of::<pg_sys::ItemIdData>() } else { 0 };
        let line = |i: usize| &*(*page.cast::<pg_sys::PageHeaderData>()).pd_linp.as_ptr().add(i);
        let stored: Vec<(u32, usize, usize, usize)> = (0..count)
            .map(|i| (line(i).lp_flags(), i, line(i).lp_off() as usize, line(i).lp_len() as usize))
            .filter(|(flags, ..)| WITH_STORAGE.contains(flags))
            .filter(|(flags, .., length)| *flags == NORMAL || *length > 0)
            .collect();
        let items: Vec<(usize, usize)> = stored.iter().map(|(_, _, offset, length)| (*offset, *length)).collect();
        let Some(free) = unused(bounds, &items) else {
            report.odd += 1;
            return;
        };
        for (flags, i, offset, length) in stored {
            if flags != NORMAL {
                report.dead += 1;
                continue;
            }
            let mut tuple = pg_sys::HeapTupleData {
                t_len: length as u32,
                t_tableOid: (*relation).rd_id,
                t_data: page.add(offset).cast(),
                t_self: pg_sys::ItemPointerData {
                    ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: block as u16 },
                    ip_posid: i as u16 + 1,
                },
            };
            use pg_sys::HTSV_Result as Is;
            match pg_sys::HeapTupleSatisfiesVacuum(&mut tuple, horizon, buffer) {
                Is::HEAPTUPLE_DEAD => report.dead += 1,
                Is::HEAPTUPLE_RECENTLY_DEAD | Is::HEAPTUPLE_DELETE_IN_PROGRESS => report.held += 1,
                _ => {
                    let has = |n: &i32| !pg_sys::heap_attisnull(&mut tuple, *n, (*relation).rd_att);
                    report.dropped += i64::from(dropped.iter().any(has));
                }
            }
        }
        let bytes = std::slice::from_raw_parts(page.cast::<u8>(), pg_sys::BLCKSZ as usize);
        if free.iter().all(|range| bytes[range.clone()].iter().all(|b| *b == 0)) {
            return;
        }
        let state = pg_sys::GenericXLogStart(relation);
        let image = pg_sys::GenericXLogRegisterBuffer(state, buffer, pg_sys::GENERIC_XLOG_FULL_IMAGE as i32);
        let image = std::slice::from_raw_parts_mut(image.cast::<u8>(), pg_sys::BLCKSZ as usize);
        for range in free {
            image[range].fill(0);
        }
        pg_sys::GenericXLogFinish(state);
        report.rewritten += 1;
    }
}

/// A row for each index of a user's table: its inner pages keep keys of removed rows.
fn indexes(table: pg_sys::Oid) -> Result<Vec<Row>> {
    // SAFETY: the table is locked; a list of OIDs comes back. System catalogs' and TOAST's keys are no data.
    let found = unsafe {
        if table.to_u32() < pg_sys::FirstNormalObjectId || pg_sys::get_rel_relkind(table) as u8 == b't' {
            return Ok(Vec::new());
        }
        let open = pg_sys::relation_open(table, pg_sys::NoLock as i32);
        let found = list_of_oids(pg_sys::RelationGetIndexList(open));
        pg_sys::relation_close(open, pg_sys::NoLock as i32);
        found
    };
    let row = |index: pg_sys::Oid| {
        let todo = format!("REINDEX INDEX CONCURRENTLY {}, if what was removed was in a key", full_name(index)?);
        Ok(vec![d(index), None, None, None, None, None, None, None, None, d(todo)])
    };
    found.into_iter().map(row).collect()
}
