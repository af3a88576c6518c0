//! The arguments of the SQL functions `airlock.mask_*`: checked, `22023` if refused, and ready for the plain functions
//! of the masks.

use crate::pure::error::Result;
use crate::pure::plaintext::PlainType;

use super::read::{
    bits_of, counted, fill, in_range, Refused, BIN, CAP, DIGITS, FEW, MIN_HIDDEN, V4, V6, WIDTH, WINDOW, YEAR,
};
use super::{clamp, crossed, initials, keep, partial, pattern, redact, show, step, unit, units};
use super::{Mask, Paths, Pattern, Show, Step, Unit};

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

    /// Checks `mask_email(value, show)` and gives what is shown.
    pub fn email_args(label: &str) -> Result<Show> {
        show(label).map_err(Refused::in_call)
    }

    /// Checks `mask_phone(value, country, right)` and gives right.
    pub fn phone_args(right: i32) -> Result<u32> {
        in_range("phone", "right", right.into(), FEW).map(counted).map_err(Refused::in_call)
    }

    /// Checks `mask_card(value, bin, right)` and gives both.
    pub fn card_args(bin: i32, right: i32) -> Result<(u32, u32)> {
        let checked = || Ok((in_range("card", "bin", bin.into(), BIN)?, in_range("card", "right", right.into(), FEW)?));
        checked().map(|(bin, right)| (counted(bin), counted(right))).map_err(Refused::in_call)
    }

    /// Checks `mask_iban(value, right)` and gives right.
    pub fn iban_args(right: i32) -> Result<u32> {
        in_range("iban", "right", right.into(), FEW).map(counted).map_err(Refused::in_call)
    }

    /// Checks `mask_ip_prefix(value, v4, v6)` and gives both.
    pub fn ip_prefix_args(v4: i32, v6: i32) -> Result<(u8, u8)> {
        let checked = || Ok((in_range("ip_prefix", "v4", v4.into(), V4)?, in_range("ip_prefix", "v6", v6.into(), V6)?));
        checked().map(|(v4, v6)| (bits_of(v4), bits_of(v6))).map_err(Refused::in_call)
    }

    /// Checks `mask_round_sig(value, digits)` and gives digits.
    pub fn round_sig_args(digits: i32) -> Result<u32> {
        in_range("round_sig", "digits", digits.into(), DIGITS).map(counted).map_err(Refused::in_call)
    }

    /// Checks `mask_clamp(value, low, high)`: which bounds there are, and whether they are in order.
    pub fn clamp_args(low: bool, high: bool, in_order: bool) -> Result<()> {
        let wrong = match (low || high, in_order) {
            (true, true) => return Ok(()),
            (false, _) => clamp(None, None, None).err(),
            (true, false) => Some(crossed()),
        };
        wrong.map_or(Ok(()), |refused| Err(refused.in_call()))
    }

    /// Checks `mask_json(value, keep)` and gives the paths.
    pub fn json_args(paths: &[String]) -> Result<Paths> {
        keep(paths).map_err(Refused::in_call)
    }

    /// Checks `mask_regex(value, pattern, replace)` and compiles them.
    pub fn regex_args(given: &str, replace: &str) -> Result<Pattern> {
        pattern(given, replace).map_err(Refused::in_call)
    }
}
