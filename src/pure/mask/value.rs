//! Masks on dates, on PostgreSQL's own counts of days and microseconds; those on numbers are in `number` and named
//! here too. Nothing here fails: infinities stay, and a result outside the type's range is clamped to it.

use super::calendar::{civil, days, monday, DAY, HOUR, MIN_DAYS, MIN_MICROS};

pub use super::number::{bucket, bucket_f32, bucket_f64, bucket_i64, bucket_numeric, Step};

/// What `date_trunc` cuts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1 January
    Year,
    /// the first day of the quarter
    Quarter,
    /// the first day of the month
    Month,
    /// Monday
    Week,
    /// midnight (UTC for timestamptz); not for a date, which it would leave whole
    Day,
    /// the full hour; not for a date
    Hour,
}

impl Unit {
    /// Every unit, coarsest first.
    pub const ALL: [Unit; 6] = [Unit::Year, Unit::Quarter, Unit::Month, Unit::Week, Unit::Day, Unit::Hour];

    /// The word in a scope definition.
    pub fn label(self) -> &'static str {
        match self {
            Unit::Year => "year",
            Unit::Quarter => "quarter",
            Unit::Month => "month",
            Unit::Week => "week",
            Unit::Day => "day",
            Unit::Hour => "hour",
        }
    }

    /// The unit of a word, exactly as [`Unit::label`] writes it.
    pub fn from_label(label: &str) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.label() == label)
    }
}

/// `date_trunc` on days since 2000-01-01 (PostgreSQL's DateADT). Infinities stay; a result below the lowest date is
/// that date. `Day` and `Hour` are refused for dates before they get here; here they cut to the year (fail closed).
pub fn date_trunc_days(value: i32, unit: Unit) -> i32 {
    if value == i32::MIN || value == i32::MAX {
        return value;
    }
    let unit = if matches!(unit, Unit::Day | Unit::Hour) { Unit::Year } else { unit };
    i32::try_from(first_day(value.into(), unit)).unwrap_or(MIN_DAYS).max(MIN_DAYS)
}

/// `date_trunc` on microseconds since 2000-01-01 (PostgreSQL's Timestamp; a timestamptz is cut in UTC). Infinities
/// stay; a result below the lowest timestamp is that timestamp.
pub fn date_trunc_micros(value: i64, unit: Unit) -> i64 {
    if value == i64::MIN || value == i64::MAX {
        return value;
    }
    let cut = match unit {
        Unit::Hour => value.div_euclid(HOUR).saturating_mul(HOUR),
        Unit::Day => value.div_euclid(DAY).saturating_mul(DAY),
        _ => first_day(value.div_euclid(DAY), unit).saturating_mul(DAY),
    };
    cut.max(MIN_MICROS)
}

/// The first day of the unit that holds a day.
fn first_day(day: i64, unit: Unit) -> i64 {
    let (year, month, _) = civil(day);
    match unit {
        Unit::Year => days(year, 1, 1),
        Unit::Quarter => days(year, (month - 1) / 3 * 3 + 1, 1),
        Unit::Month => days(year, month, 1),
        Unit::Week => monday(day),
        Unit::Day | Unit::Hour => day,
    }
}

/// The year of a date, astronomical (44 BC is -43); `None` for the infinities.
pub fn year_of_days(value: i32) -> Option<i64> {
    (value != i32::MIN && value != i32::MAX).then(|| civil(value.into()).0)
}

/// The year of a timestamp (a timestamptz in UTC), astronomical; `None` for the infinities.
pub fn year_of_micros(value: i64) -> Option<i64> {
    (value != i64::MIN && value != i64::MAX).then(|| civil(value.div_euclid(DAY)).0)
}

/// What `age_band` answers for a date in the future and for the infinities.
pub const UNKNOWN: &str = "unknown";

/// `age_band`: the band of `year - year_of_birth`, such as `30-39`; `90+` from `cap` on.
///
/// Bands change on 1 January and never on a birthday, so that daily reads never tell a day of birth. The last band
/// below `cap` is cut off there: width 20 and cap 90 give `80-89`.
pub fn age_band(year_of_birth: Option<i64>, year: i32, width: i32, cap: i32) -> String {
    let Some(age) = year_of_birth.map(|born| i64::from(year).saturating_sub(born)).filter(|age| *age >= 0) else {
        return UNKNOWN.to_owned();
    };
    let (width, cap) = (i64::from(width.max(1)), i64::from(cap));
    if age >= cap {
        return format!("{cap}+");
    }
    let low = age / width * width;
    format!("{low}-{}", (low + width - 1).min(cap - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_dates() {
        let date = days(1989, 12, 29) as i32;
        let cut = |unit| civil(date_trunc_days(date, unit).into());
        assert_eq!(cut(Unit::Year), (1989, 1, 1));
        assert_eq!(cut(Unit::Quarter), (1989, 10, 1));
        assert_eq!(cut(Unit::Month), (1989, 12, 1));
        assert_eq!(cut(Unit::Week), (1989, 12, 25));
        // refused earlier; if it happened, it must not leave the date whole
        assert_eq!(cut(Unit::Day), (1989, 1, 1));
        assert_eq!(cut(Unit::Hour), (1989, 1, 1));
    }

    #[test]
    fn truncates_to_the_ends_of_the_calendar() {
        for unit in Unit::ALL {
            assert_eq!(date_trunc_days(i32::MAX, unit), i32::MAX);
            assert_eq!(date_trunc_days(i32::MIN, unit), i32::MIN);
            assert_eq!(date_trunc_days(MIN_DAYS, unit), MIN_DAYS);
            assert!(date_trunc_days(i32::MIN + 1, unit) >= MIN_DAYS);
            assert_eq!(date_trunc_micros(i64::MAX, unit), i64::MAX);
            assert_eq!(date_trunc_micros(i64::MIN, unit), i64::MIN);
            assert_eq!(date_trunc_micros(MIN_MICROS, unit), MIN_MICROS);
            assert!(date_trunc_micros(i64::MIN + 1, unit) >= MIN_MICROS);
            assert!(date_trunc_micros(i64::MAX - 1, unit) < i64::MAX);
        }
        assert_eq!(civil(date_trunc_days(days(-43, 3, 15) as i32, Unit::Year).into()), (-43, 1, 1));
    }

    #[test]
    fn truncates_timestamps_before_the_epoch_downwards() {
        assert_eq!(date_trunc_micros(-1, Unit::Hour), -HOUR);
        assert_eq!(date_trunc_micros(-1, Unit::Day), -DAY);
        assert_eq!(date_trunc_micros(-1, Unit::Year), days(1999, 1, 1) * DAY);
    }

    #[test]
    fn bands_of_age() {
        let band = |born| age_band(Some(born), 2026, 10, 90);
        assert_eq!(band(1989), "30-39");
        assert_eq!(band(2026), "0-9");
        assert_eq!(band(1936), "90+");
        assert_eq!(band(1937), "80-89");
        assert_eq!(band(-43), "90+");
        assert_eq!(band(2027), UNKNOWN);
        assert_eq!(age_band(None, 2026, 10, 90), UNKNOWN);
        assert_eq!(age_band(Some(1942), 2026, 20, 90), "80-89");
        assert_eq!(age_band(Some(i64::MIN), i32::MAX, 0, 90), "90+");
    }
}
