//! What a view calls and what a table inherits from, read from the system catalogs without a query: it runs inside hooks, in a
//! session that may query next to nothing.
#![allow(unsafe_code)] // ◆ scans of system catalogs

use pgrx::{pg_sys, FromDatum};

/// `pg_depend` (`DependRelationId`) …
const DEPEND: pg_sys::Oid = pg_sys::Oid::from_u32(2608);
/// … and `pg_depend_depender_index` (`DependDependerIndexId`).
const DEPENDER: pg_sys::Oid = pg_sys::Oid::from_u32(2673);
/// `pg_rewrite` (`RewriteRelationId`).
const REWRITE: pg_sys::Oid = pg_sys::Oid::from_u32(2618);
/// `pg_inherits` (`InheritsRelationId`) …
const INHERITS: pg_sys::Oid = pg_sys::Oid::from_u32(2611);
/// … and `pg_inherits_relid_seqno_index` (`InheritsRelidSeqnoIndexId`).
const CHILD: pg_sys::Oid = pg_sys::Oid::from_u32(2680);
/// `F_OIDEQ`.
const OIDEQ: pg_sys::Oid = pg_sys::Oid::from_u32(184);

/// The functions that a view's expressions call, its subqueries' and those behind its operators too; without those that come
/// with PostgreSQL.
pub fn functions_of(view: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    let mut functions = Vec::new();
    for rule in rules_of(view) {
        // classid, objid; refclassid, refobjid
        for [class, object] in scan(DEPEND, DEPENDER, &[REWRITE, rule], [4, 5]) {
            let function = match class {
                pg_sys::ProcedureRelationId => object,
                // SAFETY: a syscache look-up; an operator that is gone has no function.
                pg_sys::OperatorRelationId => unsafe { pg_sys::get_opcode(object) },
                _ => continue,
            };
            if function != pg_sys::InvalidOid && !functions.contains(&function) {
                functions.push(function);
            }
        }
    }
    functions
}

/// What a relation is a partition or an inheritance child of.
pub fn parents(relation: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // inhparent, inhrelid
    scan(INHERITS, CHILD, &[relation], [2, 1]).into_iter().map(|[parent, _]| parent).collect()
}

/// The rules of a view; none of one that is gone.
fn rules_of(view: pg_sys::Oid) -> Vec<pg_sys::Oid> {
    // SAFETY: the relation is opened, looked at and closed; its rules are its relcache entry's.
    unsafe {
        let relation = pg_sys::try_relation_open(view, pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Vec::new();
        }
        let rules = match (*relation).rd_rules.as_ref() {
            Some(lock) if lock.numLocks > 0 => {
                let rules = std::slice::from_raw_parts(lock.rules, lock.numLocks as usize);
                rules.iter().map(|rule| (**rule).ruleId).collect()
            }
            _ => Vec::new(),
        };
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        rules
    }
}

/// Two OID columns of the rows of a system catalog whose first index columns are `keys`; those are the catalog's first, too.
fn scan(catalog: pg_sys::Oid, index: pg_sys::Oid, keys: &[pg_sys::Oid], columns: [usize; 2]) -> Vec<[pg_sys::Oid; 2]> {
    let mut found = Vec::new();
    // SAFETY: an index scan of a system catalog under the catalog snapshot, which is taken anew so that it is as of now; an
    // ERROR ends the transaction, which releases all of it. The columns are NOT NULL and of type oid.
    unsafe {
        pg_sys::InvalidateCatalogSnapshot();
        let mut scan_keys = [pg_sys::ScanKeyData::default(); 2];
        for (i, key) in keys.iter().enumerate() {
            pg_sys::ScanKeyInit(
                &mut scan_keys[i],
                i as pg_sys::AttrNumber + 1,
                pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber,
                OIDEQ,
                pg_sys::Datum::from(*key),
            );
        }
        let relation = pg_sys::table_open(catalog, pg_sys::AccessShareLock as i32);
        let count = keys.len() as i32;
        let scan =
            pg_sys::systable_beginscan(relation, index, true, std::ptr::null_mut(), count, scan_keys.as_mut_ptr());
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let desc = (*relation).rd_att;
            let width = (*desc).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::from(0); width], vec![true; width]);
            pg_sys::heap_deform_tuple(tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            let read = |column: usize| pg_sys::Oid::from_datum(values[column - 1], nulls[column - 1]);
            found.push(columns.map(|column| read(column).unwrap_or(pg_sys::InvalidOid)));
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}
