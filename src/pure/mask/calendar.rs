//! The proleptic Gregorian calendar on PostgreSQL's own counts: days and microseconds since 2000-01-01.
//!
//! Masks work on these counts and never on printed dates, so no DateStyle and no TimeZone can move a result. Years are
//! astronomical: 1 BC is year 0, 44 BC is year -43.

/// The lowest date PostgreSQL stores, 4714-11-24 BC, in days since 2000-01-01.
pub const MIN_DAYS: i32 = -2_451_545;
/// The highest date PostgreSQL stores, 5874897-12-31, in days since 2000-01-01.
pub const MAX_DAYS: i32 = 2_145_031_948;
/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;
/// Microseconds of an hour.
pub const HOUR: i64 = 3_600_000_000;
/// The lowest timestamp, 4714-11-24 00:00:00 BC, in microseconds since 2000-01-01.
pub const MIN_MICROS: i64 = MIN_DAYS as i64 * DAY;
/// The first microsecond after the highest timestamp: 294277-01-01 00:00:00.
pub const END_MICROS: i64 = 9_223_371_331_200_000_000;

/// Days of an era of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;
/// Days from 0000-03-01 to 2000-01-01. Years are counted from 1 March, which puts the leap day last.
const SHIFT: i64 = 730_425;

/// Year, month (1 to 12) and day (1 to 31) of a count of days since 2000-01-01. Total for every day an `i32` can hold.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(SHIFT);
    let era = shifted.div_euclid(ERA);
    let day_of_era = shifted.rem_euclid(ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days since 2000-01-01 of a date of the calendar; month 1 to 12, day 1 to 31. A year beyond seven digits saturates.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year.clamp(-9_999_999, 9_999_999) - i64::from(month <= 2);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA + day_of_era - SHIFT
}

/// The Monday on or before a day, in days since 2000-01-01, which was a Saturday.
pub fn monday(days: i64) -> i64 {
    days - (days.saturating_add(5)).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days(2000, 1, 1), 0);
        assert_eq!(days(1970, 1, 1), -10_957);
        assert_eq!(days(2000, 2, 29), 59);
        assert_eq!(days(2000, 3, 1), 60);
        assert_eq!(civil(-10_957), (1970, 1, 1));
        assert_eq!(civil(59), (2000, 2, 29));
    }

    #[test]
    fn the_ends_of_postgres_range() {
        // 4714-11-24 BC is Julian day 0, and the highest date the last that PostgreSQL accepts
        assert_eq!(civil(MIN_DAYS.into()), (-4713, 11, 24));
        assert_eq!(civil(MAX_DAYS.into()), (5_874_897, 12, 31));
        assert_eq!(days(294_277, 1, 1) * DAY, END_MICROS);
        assert_eq!(MIN_MICROS, -211_813_488_000_000_000);
    }

    #[test]
    fn days_and_civil_are_inverse() {
        for day in (-2_500_000..2_500_000).step_by(17).chain([i32::MIN.into(), i32::MAX.into(), -1, 0, 1]) {
            let (y, m, d) = civil(day);
            assert!((1..=12).contains(&m) && (1..=31).contains(&d));
            assert_eq!(days(y, m, d), day);
        }
    }

    #[test]
    fn consecutive_days_are_consecutive_dates() {
        let mut before = civil(-800_000);
        for day in -799_999..-650_000 {
            let now = civil(day);
            assert!(now > before, "day {day}");
            before = now;
        }
    }

    #[test]
    fn weeks_start_on_monday() {
        // 1989-12-25 and 2024-01-01 were Mondays
        for first in [days(1989, 12, 25), days(2024, 1, 1), days(-43, 1, 1) - (days(-43, 1, 1) + 5).rem_euclid(7)] {
            for offset in 0..7 {
                assert_eq!(monday(first + offset), first);
            }
        }
    }
}
