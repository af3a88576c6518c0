//! `mask_round_sig` and `mask_clamp` as SQL functions.

use super::{known_overload, null, pgrx_datum};
use crate::pg::sys::{Args, Raw};
use crate::pure::error::{Error, Kind, Result};
use crate::pure::mask::clamp::float;
use crate::pure::mask::round::{round_sig_f32, round_sig_f64, round_sig_i64, round_sig_numeric};
use crate::pure::mask::Mask;
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use pgrx::{pg_sys, AnyNumeric};
use std::cmp::Ordering;

sql_function!(
    /// `airlock.mask_round_sig(value number, digits integer) → the same`: some significant digits, half away from zero.
    ///
    /// Errors: `22023` digits outside 1 to 6.
    airlock_mask_round_sig,
    |args| {
        let digits = Mask::round_sig_args(args.need(1, "digits")?)?;
        Ok(Raw(match known_overload(args)? {
            PlainType::Int2 => {
                let value = i64::from(args.need::<i16>(0, "value")?);
                pg_sys::Datum::from(round_sig_i64(value, digits, i16::MIN.into(), i16::MAX.into()) as i16)
            }
            PlainType::Int4 => {
                let value = i64::from(args.need::<i32>(0, "value")?);
                pg_sys::Datum::from(round_sig_i64(value, digits, i32::MIN.into(), i32::MAX.into()) as i32)
            }
            PlainType::Int8 => pg_sys::Datum::from(round_sig_i64(args.need(0, "value")?, digits, i64::MIN, i64::MAX)),
            PlainType::Float4 => pgrx_datum(round_sig_f32(args.need(0, "value")?, digits))?,
            PlainType::Float8 => pgrx_datum(round_sig_f64(args.need(0, "value")?, digits))?,
            _ => {
                // numeric_out and numeric_in: their text is the same under every setting
                let rounded = round_sig_numeric(&args.need::<AnyNumeric>(0, "value")?.to_string(), digits);
                let rounded = AnyNumeric::try_from(rounded.as_str())
                    .map_err(|_| Error::new(Kind::OutOfRange, "a rounded value is outside the range of numeric"))?;
                pgrx_datum(rounded)?
            }
        }))
    }
);

sql_function!(
    /// `airlock.mask_clamp(value number | date | timestamp | timestamptz, low, high) → the same`: the value, or the bound that
    /// it lies beyond. A bound may be NULL.
    ///
    /// Errors: `22023` no bound, or bounds in the wrong order.
    airlock_mask_clamp,
    clamp
);

fn clamp(args: Args) -> Result<Option<Raw>> {
    let plain = known_overload(args)?;
    let (low, high) = (args.datum(1).is_some(), args.datum(2).is_some());
    let in_order = !(low && high) || order(args, plain, 1, 2)?.is_le();
    Mask::clamp_args(low, high, in_order)?;
    if args.datum(0).is_none() {
        return Ok(None);
    }
    let shown = match () {
        () if low && order(args, plain, 0, 1)?.is_lt() => 1,
        () if high && order(args, plain, 0, 2)?.is_gt() => 2,
        () => 0,
    };
    Ok(args.datum(shown).map(Raw))
}

/// PostgreSQL's order of two arguments of one type, neither of them NULL; NaN is above all numbers.
fn order(args: Args, plain: PlainType, i: usize, j: usize) -> Result<Ordering> {
    let word = |n: usize| args.datum(n).map(|datum| datum.value()).ok_or_else(null);
    Ok(match plain {
        PlainType::Int2 => (word(i)? as i16).cmp(&(word(j)? as i16)),
        PlainType::Int4 | PlainType::Date => (word(i)? as i32).cmp(&(word(j)? as i32)),
        PlainType::Int8 | PlainType::Timestamp | PlainType::Timestamptz => (word(i)? as i64).cmp(&(word(j)? as i64)),
        PlainType::Float4 => float(args.need::<f32>(i, "value")?.into(), args.need::<f32>(j, "value")?.into()),
        PlainType::Float8 => float(args.need(i, "value")?, args.need(j, "value")?),
        _ => args.need::<AnyNumeric>(i, "value")?.cmp(&args.need::<AnyNumeric>(j, "value")?),
    })
}
