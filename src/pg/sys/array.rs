//! Arrays, taken apart.
#![allow(unsafe_code)] // ◆ array functions of Postgres

use pgrx::pg_sys;

/// The elements of an array, and the array itself, detoasted. Elements may point into it.
///
/// # Safety
/// `array` is an array of that element type.
pub unsafe fn elements(
    array: pg_sys::Datum,
    element: pg_sys::Oid,
) -> (Vec<Option<pg_sys::Datum>>, *mut pg_sys::ArrayType) {
    let (mut length, mut by_value, mut align) = (0i16, false, 0);
    let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    // SAFETY: as the caller promises; what deconstruct_array gives has `count` members.
    unsafe {
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
        let array = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let length = i32::from(length);
        pg_sys::deconstruct_array(array, element, length, by_value, align, &mut values, &mut nulls, &mut count);
        ((0..count as usize).map(|i| (!*nulls.add(i)).then(|| *values.add(i))).collect(), array)
    }
}
