//! The twin of a column that is being encrypted while it is in use: a trigger seals each row's value into it, until the job
//! `encrypt_column_online` puts it in the column's place.
#![allow(unsafe_code)] // ◆ trigger data, tuples

use super::value::{datum_to_value, Plain};
use super::{refuse_subprocessor, seal, Form};
use crate::pg::keys::ring::{self, ColumnInfo, Number};
use crate::pg::sys::sql::{self, arg};
use crate::pg::sys::trigger::{before_row, same_bytes, Before};
use crate::pg::sys::{compat, varlena, varlena_bytes, Args, Raw};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::encode;
use crate::sql_function;
use pgrx::pg_sys;
use std::ffi::CStr;
use std::rc::Rc;

/// The trigger's name: of the triggers of one table the last by name runs last, after what others make of the row.
pub const TRIGGER: &str = "~airlock_online";

sql_function!(
    /// `airlock.seal_twin() → trigger`, BEFORE INSERT OR UPDATE, FOR EACH ROW: seals the value of the column that its first
    /// argument names into the one that its second names. Needs no right on the key, as writing never does.
    ///
    /// Errors: `55000` called otherwise, or when a column is gone; `AL001` without root key.
    airlock_seal_twin,
    seal_twin
);

/// Name of a column's twin: at most 63 bytes, cut where a character ends.
pub fn name(column: &str) -> String {
    const END: &str = "~airlock_twin";
    let mut cut = column.len().min(63 - END.len());
    while !column.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{END}", &column[..cut])
}

/// The twin that a table's trigger keeps for a column, if there is one. 55000 when it keeps another column's.
pub fn of(relation: pg_sys::Oid, column: &str) -> Result<Option<String>> {
    let found = sql::first(
        "SELECT t.tgargs FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
           JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE t.tgrelid = $1 AND t.tgname = $2::pg_catalog.name AND n.nspname = 'airlock' AND p.proname = 'seal_twin'",
        &[arg(relation), arg(TRIGGER)],
        |row| row.need::<Vec<u8>>(1),
    )?;
    let Some(arguments) = found else { return Ok(None) };
    let mut arguments = arguments.split(|b| *b == 0).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    match (arguments.next(), arguments.next()) {
        (Some(of), Some(twin)) if of == column => Ok(Some(twin)),
        (Some(other), _) => {
            Err(Error::new(Kind::State, format!("column \"{other}\" of this table is being encrypted"))
                .hint("call it for that column first: it goes on where it was"))
        }
        _ => Ok(None),
    }
}

/// A column and its twin in a table.
pub struct Pair {
    /// Index of the column.
    pub column: usize,
    /// Index of the twin.
    pub twin: usize,
    oid: pg_sys::Oid,
    info: Rc<ColumnInfo>,
    form: Form,
}

impl Pair {
    /// Finds both; `None` when one is not there.
    ///
    /// # Errors
    /// 42704 when the twin's number is unknown, 42804 when it is no encrypted column.
    ///
    /// # Safety
    /// `desc` is the descriptor of an open relation.
    pub unsafe fn find(desc: pg_sys::TupleDesc, column: &str, twin: &str) -> Result<Option<Pair>> {
        // SAFETY: as the caller promises.
        unsafe {
            let find = |wanted: &str| {
                (0..(*desc).natts as usize).find(|i| {
                    let attribute = compat::attribute(desc, *i);
                    !attribute.attisdropped
                        && CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes() == wanted.as_bytes()
                })
            };
            let (Some(column), Some(twin)) = (find(column), find(twin)) else { return Ok(None) };
            let (from, to) = (compat::attribute(desc, column), compat::attribute(desc, twin));
            let mismatch = || Error::new(Kind::Mismatch, "the twin of a column is no encrypted column");
            let form = match super::type_oids() {
                Some((plain, _)) if plain == to.atttypid => Form::Plain,
                Some((_, searchable)) if searchable == to.atttypid => Form::Searchable,
                _ => return Err(mismatch()),
            };
            let Some(Number::Column(info)) = ring::number(to.atttypmod)? else { return Err(mismatch()) };
            Ok(Some(Pair { column, twin, oid: from.atttypid, info, form }))
        }
    }

    /// Whether the twin says what the column says.
    pub fn agrees(&self, value: Option<pg_sys::Datum>, sealed: Option<pg_sys::Datum>) -> Result<bool> {
        let (Some(value), Some(sealed)) = (value, sealed) else { return Ok(value.is_none() && sealed.is_none()) };
        let held = match super::open(&self.info, &varlena_bytes(sealed)) {
            Ok(held) => Plain(held),
            Err(e) if e.kind == Kind::NotAuthentic => return Ok(false),
            Err(e) => return Err(e),
        };
        Ok(*encode(&self.plain(value)?.0, 0) == *encode(&held.0, 0))
    }

    fn plain(&self, value: pg_sys::Datum) -> Result<Plain> {
        let value = datum_to_value(value, self.oid)?.map(Plain);
        let value = value.ok_or_else(|| Error::new(Kind::Mismatch, "the column's type cannot be sealed"))?;
        super::cast::convert(&value, self.info.key.plain_type, false)
    }

    /// A value of the column, sealed for the twin.
    pub fn seal(&self, value: pg_sys::Datum) -> Result<pg_sys::Datum> {
        Ok(varlena(&seal(&self.info, &self.plain(value)?.0, self.form)?))
    }
}

/// What the trigger keeps between the rows of a statement.
struct Site {
    relation: pg_sys::Oid,
    pair: Option<Pair>,
    generation: (u64, u64),
}

fn seal_twin(args: Args) -> Result<Raw> {
    refuse_subprocessor()?;
    let call = before_row(&args).ok().filter(|call| call.trigger.tgnargs == 2);
    let Some(Before { data, trigger, desc, new: tuple, old }) = call else {
        let what = "airlock.seal_twin() is the trigger of a column that is being encrypted";
        return Err(Error::new(Kind::State, what).hint("CALL airlock.encrypt_column_online(…) attaches it"));
    };
    // SAFETY: tuples of the relation's description, alive during the call, and as many NUL-terminated arguments as the
    // trigger says. What is returned is one of the tuples or palloc'd in the caller's context.
    unsafe {
        let generation = crate::pg::shared::generation();
        let site = args.site(|| Site { relation: pg_sys::InvalidOid, pair: None, generation });
        if site.relation != (*data.tg_relation).rd_id || site.generation != generation || site.pair.is_none() {
            let name = |i| CStr::from_ptr(*trigger.tgargs.add(i)).to_string_lossy().into_owned();
            site.pair = Pair::find(desc, &name(0), &name(1))?;
            (site.relation, site.generation) = ((*data.tg_relation).rd_id, generation);
        }
        let Some(pair) = &site.pair else {
            return Err(Error::new(Kind::State, "a column that is being encrypted, or its twin, is gone")
                .hint("rename it back; or, to give the encryption up, drop the trigger and the twin column"));
        };
        let field = |tuple, i: usize| {
            let mut null = true;
            let datum = pg_sys::heap_getattr(tuple, i as i32 + 1, desc, &mut null);
            (!null).then_some(datum)
        };
        let plain = field(tuple, pair.column);
        if let (Some(old), true) = (old, plain.is_some()) {
            // most updates are of other columns: a value that stays keeps its seal, and indexes their entries
            let same = |i: usize| match (field(tuple, i), field(old, i)) {
                (Some(new), Some(old)) => same_bytes(desc, i, new, old),
                _ => false,
            };
            if same(pair.column) && same(pair.twin) {
                return Ok(Raw(pg_sys::Datum::from(tuple)));
            }
        }
        let mut sealed = match plain {
            Some(value) => Some(pair.seal(value)?),
            None => None,
        };
        if sealed.is_none() && field(tuple, pair.twin).is_none() {
            return Ok(Raw(pg_sys::Datum::from(tuple)));
        }
        let (mut null, mut column) = (sealed.is_none(), pair.twin as i32 + 1);
        // 18 takes pointers to const
        let changed = pg_sys::heap_modify_tuple_by_cols(
            tuple,
            desc,
            1,
            std::ptr::from_mut(&mut column),
            sealed.get_or_insert(pg_sys::Datum::from(0)),
            std::ptr::from_mut(&mut null),
        );
        Ok(Raw(pg_sys::Datum::from(changed)))
    }
}
