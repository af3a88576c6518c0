//! `nonce_audit`: no two values of a key version were sealed under one nonce. Exact: all nonces are sorted, in
//! `maintenance_work_mem`, and in temporary files beyond it. Needs no key, so it works on a locked server and a standby.
#![allow(unsafe_code)] // ◆ Postgres' sort

use super::target::{column_name, full_name, own_or_administer};
use crate::pg::encrypted::scan;
use crate::pg::sys::{compat, d, return_set, varlena, Args, Raw};
use crate::pure::envelope;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::ident;
use crate::pure::nonces::{item, Audit, ITEM, PER_N1};
use crate::sql_function;
use pgrx::pg_sys;

sql_function!(
    /// `airlock.nonce_audit(relation regclass, column_name name) → (ok, checked, repeated, copies, most_per_n1, places,
    /// message)`: one column of a table and its partitions, or all that are encrypted. `repeated` counts values that share
    /// key version and nonce with another value, `copies` those that share length and authentication tag too
    /// (`INSERT … SELECT` makes them, they give nothing away), `most_per_n1` the most values under one first half of a nonce.
    ///
    /// Errors: `42501` for who neither owns the table nor is an `airlock_admin`; `55000` the column is not encrypted.
    airlock_nonce_audit,
    audit
);

/// As many bytes as a header has at most, with what is needed to see that a value goes on behind it.
const HEAD: usize = 64;
/// An authentication tag.
const TAIL: usize = 16;

fn audit(args: Args) -> Result<Option<Raw>> {
    let relation = args.need::<pg_sys::Oid>(0, "relation")?;
    let column = column_name(args)?;
    own_or_administer(relation)?;
    let (parts, uncovered) = scan::parts(relation, column.as_deref())?;
    let sort = Sort::begin()?;
    let mut damaged = 0i64;
    scan::each(&parts, |cell| {
        let (length, head, tail) = cell.ends(HEAD, TAIL);
        match (envelope::parse(&head), <&[u8; TAIL]>::try_from(&tail[..])) {
            (Ok(header), Ok(tail)) => {
                let place = (cell.index as u32, cell.block, cell.line);
                sort.put(&item(&header, u32::try_from(length).unwrap_or(u32::MAX), tail, place));
            }
            _ => damaged += 1,
        }
        Ok(())
    })?;
    let mut audit = Audit::default();
    sort.each(|item| audit.push(item))?;
    let place = |(part, block, line): &(u32, u32, u16)| -> Result<String> {
        let part = &parts[*part as usize];
        Ok(format!("{}.{} ({block},{line})", full_name(part.relation)?, ident(&part.column)))
    };
    let places = audit.places.iter().map(place).collect::<Result<Vec<String>>>()?;
    let mut message = match audit.repeated {
        0 => format!("{} values, no nonce repeats", audit.checked),
        n => format!("{n} values share a nonce with another value: their key must be changed, SELECT airlock.verify_column(…) tells damage from misuse"),
    };
    if audit.most_per_n1 > PER_N1 {
        message.push_str(&format!("; more than {PER_N1} values under one N1"));
    }
    if damaged > 0 {
        message.push_str(&format!("; {damaged} damaged values have none, see airlock.verify_column"));
    }
    if !uncovered.is_empty() {
        message.push_str(&format!("; not looked at: {}", uncovered.join(", ")));
    }
    let count = |n: u64| d(n as i64);
    let ok = audit.ok() && damaged == 0 && uncovered.is_empty();
    let counts = [audit.checked, audit.repeated, audit.copies, audit.most_per_n1].map(count);
    let mut row = vec![d(ok)];
    row.extend(counts);
    row.extend([d(places), d(message)]);
    return_set(args, vec![row])
}

/// Postgres' sort of byte strings. An ERROR ends the transaction, which takes its memory and files along.
struct Sort(*mut pg_sys::Tuplesortstate);

impl Sort {
    fn begin() -> Result<Sort> {
        // SAFETY: a type cache look-up; the sort lives in the current context and closes its files by resource owner.
        unsafe {
            let entry = pg_sys::lookup_type_cache(pg_sys::BYTEAOID, pg_sys::TYPECACHE_LT_OPR as i32);
            let memory = pg_sys::maintenance_work_mem;
            let none = pg_sys::InvalidOid;
            Ok(Sort(pg_sys::tuplesort_begin_datum(
                pg_sys::BYTEAOID,
                (*entry).lt_opr,
                none,
                false,
                memory,
                std::ptr::null_mut(),
                0,
            )))
        }
    }

    /// Takes an item in, copied.
    fn put(&self, item: &[u8; ITEM]) {
        // SAFETY: a datum of the sort's type.
        unsafe { pg_sys::tuplesort_putdatum(self.0, varlena(item), false) }
    }

    /// Gives all items in order, and ends.
    fn each(self, mut each: impl FnMut(&[u8; ITEM])) -> Result<()> {
        let broken = || Error::new(Kind::Corrupt, "a sort gave back what was not put in");
        // SAFETY: a sort that everything was put into, ended once.
        unsafe {
            pg_sys::tuplesort_performsort(self.0);
            while let Some(bytes) = compat::sorted_bytes(self.0) {
                pgrx::check_for_interrupts!();
                each(&bytes.try_into().map_err(|_| broken())?);
            }
            pg_sys::tuplesort_end(self.0);
        }
        Ok(())
    }
}
