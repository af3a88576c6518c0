//! The arguments of the SQL functions `airlock.mask_*`: checked, `22023` if refused, and ready for the plain functions
//! of the masks.

use crate::pure::error::Result;
use crate::pure::plaintext::PlainType;

use super::read::{fill, in_range, Refused, CAP, MIN_HIDDEN, WIDTH, WINDOW, YEAR};
use super::{initials, partial, redact, step, unit, units, Mask, Step, Unit};

impl Mask {
    /// Checks `mask_redact(value, fill, keep_length, keep_space)` and gives the fill.
    pub fn redact_args(given: &str, keep_length: bool, keep_space: bool) -> Result<char> {
        fill("redact", given).and_then(|fill| redact(fill, keep_length, keep_space)).map_err(Refused::in_call)
    }

    /// Checks `mask_partial(value, left, right, fill, min_hidden)` and gives left, right, fill, min_hidden.
    pub fn partial_args(left: i32, right: i32, given: &str, min_hidden: i32) -> Result<(u32, u32, char, u32)> {
        let checked = || {
            let left = in_range("partial", "left", left.into(), WINDOW)?;
            let right = in_range("partial", "right", right.into(), WINDOW)?;
            let min_hidden = in_range("partial", "min_hidden", min_hidden.into(), MIN_HIDDEN)?;
            partial(left, right, fill("partial", given)?, min_hidden)
        };
        checked().map_err(Refused::in_call)
    }

    /// Checks `mask_initials(value, max)` and gives max.
    pub fn initials_args(max: i32) -> Result<u32> {
        initials(max.into()).map_err(Refused::in_call)
    }

    /// Checks `mask_date_trunc(value, unit)` for a value of type `ty` and gives the unit.
    pub fn date_trunc_args(label: &str, ty: PlainType) -> Result<Unit> {
        unit(label, &units(Some(ty))).map_err(Refused::in_call)
    }

    /// Checks `mask_age_band(value, year, width, cap)`.
    pub fn age_band_args(year: i32, width: i32, cap: i32) -> Result<()> {
        let checked = || {
            in_range("age_band", "year", year.into(), YEAR)?;
            in_range("age_band", "width", width.into(), WIDTH)?;
            in_range("age_band", "cap", cap.into(), CAP).map(drop)
        };
        checked().map_err(Refused::in_call)
    }

    /// Checks `mask_bucket(value, step)` for a value of type `ty`; `text` is the step as PostgreSQL prints a numeric.
    pub fn bucket_args(text: &str, ty: PlainType) -> Result<Step> {
        step(text, Some(ty)).map_err(Refused::in_call)
    }
}
