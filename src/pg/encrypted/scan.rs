//! Every stored value of an encrypted column: each row of the table and its partitions as of now, whatever row security
//! says, each element of an array, each value under a domain. A caller reads the header alone, or all of it.
//!
//! As of now: the scan takes a snapshot of its own, so it sees what was committed before it began, also in a transaction
//! that has an older one. It takes no transaction id and works on a standby. While it runs, VACUUM keeps what it can see.
#![allow(unsafe_code)] // ◆ table access method, slots, arrays, toasted values

use super::{bind, ddl, Form};
use crate::pg::keys::ring::ColumnInfo;
use crate::pg::sys::array::elements;
use crate::pg::sys::{compat, raw, varlena_bytes};
use crate::pure::envelope::Row;
use crate::pure::error::{Error, Kind, Result};
use pgrx::{pg_sys, PgMemoryContexts};
use std::ffi::CStr;
use std::rc::Rc;

/// How a column holds values.
#[derive(Clone, Copy)]
struct Shape {
    form: Form,
    typmod: i32,
    /// The type of an array's elements: ours, or a domain over it.
    elements: Option<pg_sys::Oid>,
}

/// What a type has to do with ours.
enum Found {
    No,
    Values(Shape),
    /// A row type somewhere in which there are values: not looked into.
    Inside,
}

/// A column that is scanned, of one table.
pub struct Part {
    /// The table.
    pub relation: pg_sys::Oid,
    /// The column's name.
    pub column: String,
    /// Which of the two types.
    pub form: Form,
    /// The column's number, -1 for none.
    pub typmod: i32,
    number: i16,
    elements: Option<pg_sys::Oid>,
    /// Where the columns are that its values are bound to, with their types.
    bound: Vec<(usize, pg_sys::Oid)>,
}

/// A value, where it lies.
pub struct Cell<'a> {
    /// Which of the parts.
    pub part: &'a Part,
    /// Its place among them.
    pub index: usize,
    /// Block of its row.
    pub block: u32,
    /// Line pointer of its row.
    pub line: u16,
    value: pg_sys::Datum,
    slot: *mut pg_sys::TupleTableSlot,
}

impl Cell<'_> {
    /// What it is bound to; `None` in a column that is bound to no row.
    ///
    /// # Errors
    /// 42804 for a type that nothing can be bound to.
    pub fn row(&self) -> Result<Option<Row>> {
        let field = |i: usize| {
            let mut null = false;
            // SAFETY: the slot holds the value's row while the cell is given out.
            let datum = unsafe { pg_sys::slot_getattr(self.slot, i as i32 + 1, &mut null) };
            (!null).then_some(datum)
        };
        let fields: Vec<_> = self.part.bound.iter().map(|(i, oid)| (field(*i), *oid)).collect();
        bind::row_of_fields(&fields)
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        varlena_bytes(self.value)
    }

    /// Its length, its first bytes, at most `head`, and its last ones, at most `tail`: of a value in TOAST no more is
    /// read than the chunks that hold them.
    pub fn ends(&self, head: usize, tail: usize) -> (usize, Vec<u8>, Vec<u8>) {
        // SAFETY: a non-null varlena of the scanned row; a slice is cut to what there is.
        unsafe {
            let length = pg_sys::toast_raw_datum_size(self.value) as usize - pg_sys::VARHDRSZ;
            let slice = |from: usize, count: usize| {
                let slice = pg_sys::pg_detoast_datum_slice(self.value.cast_mut_ptr(), from as i32, count as i32);
                pgrx::varlena::varlena_to_byte_slice(slice).to_vec()
            };
            (length, slice(0, head), slice(length.saturating_sub(tail), tail))
        }
    }
}

/// The parts of a column, or of all encrypted columns, of a table and its descendants, locked against changes of their
/// definition; and what holds encrypted values but is not scanned, described.
///
/// # Errors
/// 42704 no such column; 55000 it is not encrypted, or the relation has no rows of its own kind; 0A000 for a named
/// column of a row type.
pub fn parts(relation: pg_sys::Oid, column: Option<&str>) -> Result<(Vec<Part>, Vec<String>)> {
    let (mut parts, mut uncovered) = (Vec::new(), Vec::new());
    for table in raw::inheritors(relation, pg_sys::AccessShareLock as i32) {
        // SAFETY: the table is locked; its descriptor lives while it is open.
        unsafe {
            let open = pg_sys::table_open(table, pg_sys::AccessShareLock as i32);
            let mut found = Vec::new();
            for (number, name, held) in columns(open, column) {
                let bound = match &held {
                    Found::Values(shape) => bind::places((*open).rd_att, shape.typmod)?,
                    _ => Vec::new(),
                };
                found.push((number, name, held, bound));
            }
            let kind = (*(*open).rd_rel).relkind as u8;
            let temporary = (*(*open).rd_rel).relpersistence as u8 == b't' && !(*open).rd_islocaltemp;
            let name = CStr::from_ptr((*(*open).rd_rel).relname.data.as_ptr()).to_string_lossy().into_owned();
            pg_sys::table_close(open, pg_sys::NoLock as i32);
            let named = |column: &str| format!("column \"{column}\" of table \"{name}\"");
            if let (Some(wanted), true) = (column, found.is_empty()) {
                return Err(Error::new(Kind::Undefined, format!("{} does not exist", named(wanted))));
            }
            for (number, column_name, found, bound) in found {
                match found {
                    Found::No if column.is_some() => {
                        return Err(Error::new(Kind::State, format!("{} is not encrypted", named(&column_name)))
                            .hint("the columns that are: TABLE airlock.encrypted_columns"))
                    }
                    Found::No => {}
                    Found::Inside if column.is_some() => {
                        let what = format!(
                            "{} has encrypted values inside a row type, which are not looked at",
                            named(&column_name)
                        );
                        return Err(Error::new(Kind::Unsupported, what));
                    }
                    Found::Inside => uncovered.push(named(&column_name)),
                    Found::Values(_) if kind == b'p' => {}
                    Found::Values(_) if kind == b'f' || temporary => uncovered.push(named(&column_name)),
                    Found::Values(shape) => parts.push(Part {
                        relation: table,
                        column: column_name,
                        form: shape.form,
                        typmod: shape.typmod,
                        number,
                        elements: shape.elements,
                        bound,
                    }),
                }
            }
        }
    }
    Ok((parts, uncovered))
}

/// What the catalog knows of a part's column.
///
/// # Errors
/// 42704 when it knows no such column; AL001, AL003 as for opening a value.
pub fn column(part: &Part) -> Result<Rc<ColumnInfo>> {
    super::column_of(part.typmod)
}

/// Number, name and what it holds, of the column of that name or of all.
///
/// # Safety
/// An open relation.
unsafe fn columns(open: pg_sys::Relation, wanted: Option<&str>) -> Vec<(i16, String, Found)> {
    // SAFETY: as the caller promises.
    unsafe {
        let desc = (*open).rd_att;
        let all = (0..(*desc).natts as usize).map(|i| compat::attribute(desc, i)).filter(|a| !a.attisdropped);
        let named = all.map(|a| (a, CStr::from_ptr(a.attname.data.as_ptr()).to_string_lossy().into_owned()));
        let chosen = named.filter(|(_, name)| wanted.is_none_or(|wanted| wanted == name));
        chosen.map(|(a, name)| (a.attnum, name, found(a.atttypid, a.atttypmod, None))).collect()
    }
}

/// What a type holds; of an array, what its elements are.
fn found(ty: pg_sys::Oid, mut typmod: i32, elements: Option<pg_sys::Oid>) -> Found {
    let Some((plain, searchable)) = ddl::type_oids() else { return Found::No };
    // SAFETY: syscache look-ups; a copied descriptor.
    unsafe {
        let base = pg_sys::getBaseTypeAndTypmod(ty, &mut typmod);
        if base == plain || base == searchable {
            let form = if base == plain { Form::Plain } else { Form::Searchable };
            return Found::Values(Shape { form, typmod, elements });
        }
        let element = pg_sys::get_element_type(base);
        if element != pg_sys::InvalidOid {
            return match (found(element, typmod, Some(element)), elements) {
                (Found::Values(_), Some(_)) => Found::Inside,
                (found, _) => found,
            };
        }
        if !pg_sys::type_is_rowtype(base) || base == pg_sys::RECORDOID {
            return Found::No;
        }
        let desc = pg_sys::lookup_rowtype_tupdesc_copy(base, -1);
        let mut all = (0..(*desc).natts as usize).map(|i| compat::attribute(desc, i)).filter(|a| !a.attisdropped);
        let any = all.any(|a| !matches!(found(a.atttypid, a.atttypmod, None), Found::No));
        if any {
            Found::Inside
        } else {
            Found::No
        }
    }
}

/// Calls `each` for every value of the parts. The memory of a row is given back after it; a cancel is heeded at each.
pub fn each(parts: &[Part], mut each: impl FnMut(&Cell) -> Result<()>) -> Result<()> {
    let mut from = 0;
    while from < parts.len() {
        let to = from + parts[from..].iter().take_while(|p| p.relation == parts[from].relation).count();
        table(&parts[from..to], from, &mut each)?;
        from = to;
    }
    Ok(())
}

fn table(parts: &[Part], offset: usize, each: &mut impl FnMut(&Cell) -> Result<()>) -> Result<()> {
    // SAFETY: a sequential scan under a registered snapshot of a table that is locked. An ERROR ends the transaction,
    // which releases relation, snapshot, scan and slot; so does an Err of ours, for it becomes one. The row's context is
    // this function's own.
    unsafe {
        let relation = pg_sys::table_open(parts[0].relation, pg_sys::AccessShareLock as i32);
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
        // from the first block on, so that the first places that are named are the first there are
        let scan = pg_sys::table_beginscan_strat(relation, snapshot, 0, std::ptr::null_mut(), true, false);
        let mut context = PgMemoryContexts::new("pg_airlock column scan");
        while pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
            pgrx::check_for_interrupts!();
            let place = (*slot).tts_tid;
            let block = u32::from(place.ip_blkid.bi_hi) << 16 | u32::from(place.ip_blkid.bi_lo);
            for (i, part) in parts.iter().enumerate() {
                let mut null = false;
                let value = pg_sys::slot_getattr(slot, i32::from(part.number), &mut null);
                if null {
                    continue;
                }
                let cell = |value| Cell { part, index: offset + i, block, line: place.ip_posid, value, slot };
                context.switch_to(|_| match part.elements {
                    None => each(&cell(value)),
                    Some(element) => {
                        elements(value, element).0.into_iter().flatten().try_for_each(|value| each(&cell(value)))
                    }
                })?;
            }
            context.reset();
        }
        pg_sys::table_endscan(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    Ok(())
}
