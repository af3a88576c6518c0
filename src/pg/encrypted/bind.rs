//! Row binding: a value that stands in a bound column opens in its row only. The coercion cannot see the row, so it
//! seals unbound, and a row trigger seals once more with what the row's bound columns are.
//!
//! What the trigger makes of a value, by how it arrives:
//!
//! | | INSERT | UPDATE |
//! |---|---|---|
//! | unbound (sealed from plaintext a moment ago) | bound to NEW | bound to NEW |
//! | bound, unchanged | | stays; where the bound columns change, from OLD's to NEW's |
//! | bound, from elsewhere | must open with NEW | must open with NEW, or with OLD: then to NEW's |
//!
//! In ciphertext mode (restores, apply workers) what arrives stays as it is. The writer needs no right on the key, for
//! nothing that is opened here leaves.
//!
//! A table of one's own may have a column of any number, and a copy of another's values in it. Were the trigger to serve
//! it there, an UPDATE of the copy's key would bind the values to other rows, and they could be written back. So the
//! trigger serves the column numbers that its arguments name and no others, and nobody but who holds EXECUTE on it (the
//! extension's owner, as whom `encrypt_column` attaches it) says what they are.
#![allow(unsafe_code)] // ◆ trigger data, tuples

use super::{column_of, form_of, open_in, refuse_subprocessor, seal_in, Form};
use crate::pg::encrypted::value::{datum_to_value, plain_type_of, Plain};
use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::ring::{self, ColumnInfo, Number};
use crate::pg::sys::trigger::{before_row, same_bytes, Before, Misused};
use crate::pg::sys::{compat, varlena, varlena_bytes, Args, Raw};
use crate::pure::envelope::{parse, Row};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::name::ident;
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use pgrx::pg_sys;
use std::ffi::CStr;
use std::ops::Range;

sql_function!(
    /// `airlock.bind_row() → trigger`, BEFORE INSERT OR UPDATE, FOR EACH ROW: binds the values of the table's bound columns
    /// to the row. Its arguments are the numbers of the columns that it serves; what they are bound to, the catalog says.
    ///
    /// Errors: `AL003` for a value of another row; `AL001`, `AL002` by the state of the keys; `55000` called otherwise.
    airlock_bind_row,
    bind_row
);
sql_function!(
    /// `airlock.encrypted_bind(airlock.encrypted, VARIADIC "any")`: binds an unbound value of a bound column to a row, as
    /// the trigger does. For the rewrite by `encrypt_column`, where no trigger runs.
    airlock_encrypted_bind,
    |args| bind_value(args, Form::Plain)
);
sql_function!(
    /// `airlock.encrypted_eq_bind(airlock.encrypted_eq, VARIADIC "any")`
    airlock_encrypted_eq_bind,
    |args| bind_value(args, Form::Searchable)
);

fn bind_value(args: Args, form: Form) -> Result<Option<Raw>> {
    refuse_subprocessor()?;
    let Some(bytes) = args.bytes(0) else { return Ok(None) };
    let column = column_of(*args.site(|| args.typmod_of(0)))?;
    let row = row_of(args, 1..args.count(), &column)?;
    let value = Plain(open_in(&column, &bytes, None)?);
    Ok(Some(Raw(varlena(&seal_in(&column, &value.0, Some(&row), form)?))))
}

/// The row that these arguments are, one for each column that `column` is bound to. 22023 for another number of them.
pub(super) fn row_of(args: Args, given: Range<usize>, column: &ColumnInfo) -> Result<Row> {
    let (each, given) = (given.clone(), given.len());
    // SAFETY: flinfo is that of this call.
    let array = unsafe { pg_sys::get_fn_expr_variadic((*args.raw()).flinfo) };
    if column.bind.is_empty() {
        return Err(Error::new(Kind::InvalidArgument, "the column is not bound to its row").hint(format!(
            "leave the last arguments out: airlock.decrypt(c, NULL::{})",
            column.key.plain_type.sql_name()
        )));
    }
    if array || given != column.bind.len() {
        let given = if array { "an array".to_string() } else { given.to_string() };
        return Err(Error::new(
            Kind::InvalidArgument,
            format!("the column is bound to {} columns of its row, and {given} given", column.bind.len()),
        )
        .hint(call(column)));
    }
    let mut row = Row::new();
    for i in each {
        push(&mut row, args.datum(i), args.type_of(i))?;
    }
    Ok(row)
}

/// How a value of the column is decrypted.
pub(super) fn call(column: &ColumnInfo) -> String {
    let names: Vec<String> = column.bind.iter().map(|name| ident(name)).collect();
    format!("airlock.decrypt(c, NULL::{}, {})", column.key.plain_type.sql_name(), names.join(", "))
}

fn push(row: &mut Row, datum: Option<pg_sys::Datum>, oid: pg_sys::Oid) -> Result<()> {
    if plain_type_of(oid).is_none() {
        return Err(unsupported(oid));
    }
    let value = datum.map(|datum| datum_to_value(datum, oid)).transpose()?.flatten();
    row.push(value.as_ref());
    Ok(())
}

/// 42804 naming the types that a value can be bound to.
pub fn unsupported(oid: pg_sys::Oid) -> Error {
    // SAFETY: format_type_be gives a palloc'd text for any number.
    let name = unsafe { CStr::from_ptr(pg_sys::format_type_be(oid)) }.to_string_lossy().into_owned();
    let types: Vec<&str> = PlainType::ALL.into_iter().map(PlainType::sql_name).collect();
    Error::new(Kind::Mismatch, format!("no value can be bound to a column of type {name}"))
        .hint(format!("the types are {}, and domains over them", types.join(", ")))
}

/// An encrypted column of the trigger's table whose values are bound.
struct Bound {
    /// Index of the encrypted column.
    at: usize,
    name: String,
    typmod: i32,
    form: Form,
    /// Indexes of the columns that it is bound to, with their types; the name of one that is not there.
    to: std::result::Result<Vec<(usize, pg_sys::Oid)>, String>,
}

/// What the trigger keeps between the rows of a statement.
struct Site {
    relation: pg_sys::Oid,
    columns: Vec<Bound>,
}

/// A row version, taken apart.
struct Tuple {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Tuple {
    /// # Safety
    /// The tuple is of the description.
    unsafe fn new(tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc) -> Tuple {
        // SAFETY: as the caller promises; both arrays have room for all columns.
        unsafe {
            let natts = (*desc).natts as usize;
            let (mut values, mut nulls) = (vec![pg_sys::Datum::from(0); natts], vec![true; natts]);
            pg_sys::heap_deform_tuple(tuple, desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            Tuple { values, nulls }
        }
    }

    fn get(&self, i: usize) -> Option<pg_sys::Datum> {
        (!self.nulls[i]).then(|| self.values[i])
    }

    /// What the columns are, as associated data.
    fn row(&self, columns: &[(usize, pg_sys::Oid)]) -> Result<Row> {
        let mut row = Row::new();
        for (i, oid) in columns {
            push(&mut row, self.get(*i), *oid)?;
        }
        Ok(row)
    }
}

/// Where in a table the columns are that the values of a column are bound to, with their types; empty for none.
///
/// # Errors
/// 55000 when one of them is not there.
///
/// # Safety
/// `desc` is the descriptor of an open relation.
pub unsafe fn places(desc: pg_sys::TupleDesc, typmod: i32) -> Result<Vec<(usize, pg_sys::Oid)>> {
    let place = |wanted: String| {
        // SAFETY: as the caller promises.
        let found = unsafe {
            (0..(*desc).natts as usize).find_map(|i| {
                let attribute = compat::attribute(desc, i);
                let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes();
                (!attribute.attisdropped && name == wanted.as_bytes()).then_some((i, attribute.atttypid))
            })
        };
        found.ok_or_else(|| {
            Error::new(Kind::State, format!("column \"{wanted}\", to which values are bound, is not in this table"))
                .hint(format!("ALTER TABLE … RENAME the column back to {}", ident(&wanted)))
        })
    };
    ring::binding(typmod)?.into_iter().map(place).collect()
}

/// The row that these fields are, in the order of [`places`]; `None` for no fields.
///
/// # Errors
/// 42804 for a type that nothing can be bound to.
pub fn row_of_fields(fields: &[(Option<pg_sys::Datum>, pg_sys::Oid)]) -> Result<Option<Row>> {
    let mut row = Row::new();
    for (datum, oid) in fields {
        push(&mut row, *datum, *oid)?;
    }
    Ok((!fields.is_empty()).then_some(row))
}

fn bind_row(args: Args) -> Result<Raw> {
    let Before { data, trigger, desc, new: tuple, old } = before_row(&args).map_err(|why| {
        let what = match why {
            Misused::NoTrigger => "airlock.bind_row() is a trigger function",
            Misused::Otherwise => "airlock.bind_row() is a trigger's function, called at another event or time",
        };
        Error::new(Kind::State, what)
            .hint("SELECT airlock.encrypt_column(…, bind => '{id}') attaches it: BEFORE INSERT OR UPDATE, FOR EACH ROW")
    })?;
    // SAFETY: tuples of the relation's description, alive during the call. What is returned is one of them or palloc'd in
    // the caller's context.
    unsafe {
        let untouched = Raw(pg_sys::Datum::from(tuple));
        let as_it_is = encrypted_input() == EncryptedInput::Ciphertext;
        if as_it_is && old.is_none() {
            return Ok(untouched);
        }
        let site = args.site(|| Site { relation: pg_sys::InvalidOid, columns: Vec::new() });
        if site.relation != (*data.tg_relation).rd_id {
            *site = Site { columns: bound_columns(desc, &served(trigger))?, relation: (*data.tg_relation).rd_id };
        }
        if site.columns.is_empty() {
            return Ok(untouched);
        }
        let new = Tuple::new(tuple, desc);
        let old = old.map(|old| Tuple::new(old, desc));
        let (mut numbers, mut values) = (Vec::new(), Vec::new());
        for bound in &site.columns {
            let Some(datum) = new.get(bound.at) else { continue };
            let changed = match &old {
                None => Changed { value: true, row: true, set: true },
                Some(old) => changed(bound, old, &new, desc, data.tg_updatedcols),
            };
            // the common UPDATE: of other columns
            let untouched = !changed.value && !changed.row;
            if untouched && (!changed.set || as_it_is) || as_it_is && changed.value {
                continue;
            }
            if let Some(sealed) = placed(bound, datum, &changed, old.as_ref(), &new)? {
                numbers.push(bound.at as i32 + 1);
                values.push(varlena(&sealed));
            }
        }
        if numbers.is_empty() {
            return Ok(untouched);
        }
        let mut nulls = vec![false; numbers.len()];
        let changed = pg_sys::heap_modify_tuple_by_cols(
            tuple,
            desc,
            numbers.len() as i32,
            numbers.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_mut_ptr(),
        );
        Ok(Raw(pg_sys::Datum::from(changed)))
    }
}

/// What an UPDATE did, as the tuples tell.
struct Changed {
    /// The encrypted value is another.
    value: bool,
    /// A column that it is bound to is another.
    row: bool,
    /// The statement's SET names the encrypted column.
    set: bool,
}

/// # Safety
/// Both tuples are of the description.
unsafe fn changed(
    bound: &Bound,
    old: &Tuple,
    new: &Tuple,
    desc: pg_sys::TupleDesc,
    set: *const pg_sys::Bitmapset,
) -> Changed {
    // SAFETY: as the caller promises.
    unsafe {
        let differs = |i: usize| match (old.get(i), new.get(i)) {
            (Some(old), Some(new)) => !same_bytes(desc, i, old, new),
            (old, new) => old.is_some() || new.is_some(),
        };
        let number = bound.at as i32 + 1 - pg_sys::FirstLowInvalidHeapAttributeNumber;
        Changed {
            value: differs(bound.at),
            row: bound.to.as_ref().map_or(true, |to| to.iter().any(|(i, _)| differs(*i))),
            set: pg_sys::bms_is_member(number, set),
        }
    }
}

/// A value as it belongs into the new row; `None` where it is that already.
fn placed(
    bound: &Bound,
    datum: pg_sys::Datum,
    changed: &Changed,
    old: Option<&Tuple>,
    new: &Tuple,
) -> Result<Option<Vec<u8>>> {
    let to = bound.to.as_ref().map_err(|missing| {
        Error::new(
            Kind::State,
            format!("column \"{missing}\", to which column \"{}\" is bound, is not in this table", bound.name),
        )
        .hint(format!("ALTER TABLE … RENAME the column back to {}", ident(missing)))
    })?;
    let row = new.row(to)?;
    let old_row = old.filter(|_| changed.row).map(|old| old.row(to)).transpose()?;
    let bytes = varlena_bytes(datum);
    let is_bound = parse(&bytes)?.bound;
    if is_bound && !changed.value && old_row.as_ref().is_none_or(|old| *old == row) {
        return Ok(None);
    }
    refuse_subprocessor()?;
    let Some(Number::Column(column)) = ring::number(bound.typmod)? else { return Ok(None) };
    if !is_bound {
        let value = Plain(open_in(&column, &bytes, None)?);
        return seal_in(&column, &value.0, Some(&row), bound.form).map(Some);
    }
    let opened = |row: &Row| match open_in(&column, &bytes, Some(row)) {
        Ok(value) => Ok(Some(Plain(value))),
        Err(e) if e.kind == Kind::NotAuthentic => Ok(None),
        Err(e) => Err(e),
    };
    if changed.value && opened(&row)?.is_some() {
        return Ok(None);
    }
    if let Some(value) = old_row.as_ref().map(opened).transpose()?.flatten() {
        return seal_in(&column, &value.0, Some(&row), bound.form).map(Some);
    }
    // a row whose key was changed past the trigger, and is put right again
    if !changed.value && opened(&row)?.is_some() {
        return Ok(None);
    }
    Err(elsewhere(bound, &column))
}

fn elsewhere(bound: &Bound, column: &ColumnInfo) -> Error {
    Error::new(Kind::NotAuthentic, format!("the value for column \"{}\" is not of this row", bound.name))
        .detail(format!(
            "The column is bound to {}: an encrypted value opens only in the row it was sealed for.",
            column.bind.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        ))
        .hint(format!(
            "to copy a value, write SET {} = {}; in an upsert that conflicts on other columns, give the plaintext again \
             instead of EXCLUDED",
            ident(&bound.name),
            call(column)
        ))
}

/// The column numbers that a trigger's arguments name.
unsafe fn served(trigger: &pg_sys::Trigger) -> Vec<i32> {
    // SAFETY: the relation's description holds as many NUL-terminated arguments as it says.
    unsafe {
        let argument = |i: usize| CStr::from_ptr(*trigger.tgargs.add(i)).to_str().ok()?.parse().ok();
        (0..usize::try_from(trigger.tgnargs).unwrap_or(0)).filter_map(argument).collect()
    }
}

/// The bound columns of a table that are among the numbers served.
unsafe fn bound_columns(desc: pg_sys::TupleDesc, served: &[i32]) -> Result<Vec<Bound>> {
    let mut attributes = Vec::new();
    // SAFETY: the trigger's relation is open.
    unsafe {
        for i in 0..(*desc).natts as usize {
            let attribute = compat::attribute(desc, i);
            if !attribute.attisdropped {
                let name = CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned();
                attributes.push((i, name, attribute.atttypid, attribute.atttypmod));
            }
        }
    }
    let mut found = Vec::new();
    for (at, name, oid, typmod) in &attributes {
        let Some(form) = form_of(*oid).filter(|_| served.contains(typmod)) else { continue };
        let bind = ring::binding(*typmod)?;
        if bind.is_empty() {
            continue;
        }
        let place = |wanted: &String| {
            let attribute = attributes.iter().find(|(_, name, _, _)| name == wanted);
            attribute.map(|(i, _, oid, _)| (*i, *oid)).ok_or_else(|| wanted.clone())
        };
        let to = bind.iter().map(place).collect();
        found.push(Bound { at: *at, name: name.clone(), typmod: *typmod, form, to });
    }
    Ok(found)
}
