//! Where stored values lie in a column: as themselves, below a domain, in an array; and sealing them anew.
#![allow(unsafe_code)] // ◆ arrays, slices of toasted values

use super::{column_of, is_ours, type_oids};
use crate::pg::keys::ring::{self, ColumnInfo, SealVersion};
use crate::pg::sys::array::elements;
use crate::pg::sys::{varlena, varlena_bytes, varlena_in_place};
use crate::pure::envelope::{self, Row};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::keyring::Seals;
use pgrx::pg_sys;
use std::rc::Rc;

/// How a column holds values of the encrypted types. The number is the typmod they were sealed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Each field is a value.
    Value(i32),
    /// Each field is an array of values of that type.
    Array(pg_sys::Oid, i32),
}

impl Held {
    /// How a column of this type and typmod does; `None` when it holds none, or inside of something else.
    pub fn of(oid: pg_sys::Oid, typmod: i32) -> Option<Held> {
        let ours = type_oids()?;
        let below = |oid, typmod| {
            let mut typmod: i32 = typmod;
            // SAFETY: syscache look-ups; the type is that of an existing column.
            let base = unsafe { pg_sys::getBaseTypeAndTypmod(oid, &mut typmod) };
            (base, typmod)
        };
        let (base, typmod) = below(oid, typmod);
        if base == ours.0 || base == ours.1 {
            return Some(Held::Value(typmod));
        }
        // SAFETY: a syscache look-up; InvalidOid for what is no array.
        let element = unsafe { pg_sys::get_element_type(base) };
        if element == pg_sys::InvalidOid {
            return None;
        }
        let (inner, typmod) = below(element, typmod);
        is_ours(inner, ours).then_some(Held::Array(element, typmod))
    }

    /// The number of the column or key that the values are sealed for.
    pub fn typmod(self) -> i32 {
        match self {
            Held::Value(typmod) | Held::Array(_, typmod) => typmod,
        }
    }

    /// Gives `each` the key version id of every value in a field. Of a large value only its first bytes are fetched.
    ///
    /// # Errors
    /// What `each` returns; AL003 for what is no stored value.
    ///
    /// # Safety
    /// `field` is a field of such a column, not NULL.
    pub unsafe fn versions(self, field: pg_sys::Datum, each: &mut dyn FnMut(u32)) -> Result<()> {
        match self {
            Held::Value(_) => {
                let value: *mut pg_sys::varlena = field.cast_mut_ptr();
                // SAFETY: a varlena. As it lies in the row it is read in place; of one that lies elsewhere or is compressed the
                // first bytes are fetched, which is cheap, for ciphertext is stored uncompressed.
                let head = unsafe {
                    let packed = pgrx::varlena::varatt_is_1b_e(value) || pgrx::varlena::varatt_is_4b_c(value);
                    pgrx::varlena::varlena_to_byte_slice(match packed {
                        true => pg_sys::pg_detoast_datum_slice(value, 0, envelope::HEAD as i32),
                        false => value,
                    })
                };
                each(envelope::version_id(head)?);
            }
            Held::Array(element, _) => {
                // SAFETY: as the caller promises.
                for value in unsafe { elements(field, element).0 }.into_iter().flatten() {
                    each(envelope::version_id(&varlena_bytes(value))?);
                }
            }
        }
        Ok(())
    }

    /// The field with every value sealed under its key's active version.
    ///
    /// # Errors
    /// As [`Anew::reseal`].
    ///
    /// # Safety
    /// As [`Held::versions`].
    pub unsafe fn resealed(self, field: pg_sys::Datum, row: Option<&Row>, by: &mut Anew) -> Result<pg_sys::Datum> {
        let mut new = |value: pg_sys::Datum, typmod| -> Result<pg_sys::Datum> {
            // SAFETY: a value of the field, or a copy in the row's memory; both outlive the call.
            let bytes = unsafe { varlena_in_place(value) };
            Ok(by.reseal(bytes, typmod, row)?.map_or(value, |bytes| varlena(&bytes)))
        };
        match self {
            Held::Value(typmod) => new(field, typmod),
            Held::Array(element, typmod) => {
                // SAFETY: as the caller promises; the copy has the shape of the array that it is made from.
                unsafe {
                    let (values, array) = elements(field, element);
                    let mut nulls: Vec<bool> = values.iter().map(Option::is_none).collect();
                    let mut fields = Vec::with_capacity(values.len());
                    for value in values {
                        fields.push(value.map_or(Ok(pg_sys::Datum::from(0)), |v| new(v, typmod))?);
                    }
                    let dims = array.add(1).cast::<i32>();
                    let (n, align) = ((*array).ndim, pg_sys::TYPALIGN_INT as std::ffi::c_char);
                    let made = pg_sys::construct_md_array(
                        fields.as_mut_ptr(),
                        nulls.as_mut_ptr(),
                        n,
                        dims,
                        dims.add(n as usize),
                        element,
                        -1,
                        false,
                        align,
                    );
                    Ok(pg_sys::Datum::from(made))
                }
            }
        }
    }
}

/// What sealed the last value anew: a job asks the same for each row. Whoever has one lets go of it when a batch ends: the keys
/// in it outlive the keyring, and that of a retired version is in memory for nothing else.
#[derive(Default)]
pub struct Anew(Option<(ring::Generation, Replacing)>);

struct Replacing {
    column: Rc<ColumnInfo>,
    old: Rc<SealVersion>,
    new: Rc<SealVersion>,
}

impl Anew {
    /// A stored value of the column that `typmod` names, sealed anew under the active version of its key; `None` when it is
    /// already. Whoever calls needs no right to decrypt, for nothing is shown. `row` is what the column is bound to, if it is.
    ///
    /// # Errors
    /// AL003 for a value that does not open here; AL001, AL002.
    fn reseal(&mut self, bytes: &[u8], typmod: i32, row: Option<&Row>) -> Result<Option<Vec<u8>>> {
        // taken before the look-ups: should the keys move in between, they are asked for again
        let now = ring::generation()?;
        let known = self.0.as_ref().filter(|(of, last)| *of == now && last.column.column_no == typmod);
        let version = envelope::version_id(bytes)?;
        let Replacing { column, old, new } = match known.filter(|(_, last)| last.old.version_id == version) {
            Some((_, last)) => last,
            None => match replacing(typmod, version)? {
                Some(found) => &self.0.insert((now, found)).1,
                None => return Ok(None),
            },
        };
        let (of, ty) = ((&column.uuid, row), column.key.plain_type);
        let anew = |old: &dyn Seals| {
            new.keys.seal(|key, nonce| envelope::reseal(bytes, (old, key), new.version_id, of, ty, nonce))
        };
        old.keys.open(envelope::parse(bytes)?.nonce(), anew)??.map(Some)
    }
}

/// What replaces a version in values of a column; `None` for the active one.
fn replacing(typmod: i32, version: u32) -> Result<Option<Replacing>> {
    let column = column_of(typmod)?;
    let key = &column.key;
    if version == ring::versions::active_id(key.key_no)? {
        return Ok(None);
    }
    let (old, new) = (ring::versions::to_replace(version)?, ring::active_seal(key.key_no)?);
    if old.key.key_no != key.key_no {
        return Err(Error::new(Kind::NotAuthentic, "ciphertext does not authenticate here")
            .detail("The value is sealed under another key: it was moved from another column.")
            .hint("restore it from a backup, or set it to NULL"));
    }
    Ok(Some(Replacing { column, old, new }))
}
